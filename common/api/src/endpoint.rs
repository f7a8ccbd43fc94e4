//! An endpoint: one row of data and one handler.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use nephos_auth::{Rule, RuleInfo};

use crate::http_types::Incoming;
use crate::openapi::{SchemaRef, Schemas};
use crate::reply::Written;
use crate::{
    Body, Cx, Dialect, Fault, FromPath, FromQuery, ReplyBody, Req, Service, Shape, Version,
};

/// A call of a service's API. Made by [`endpoint!`](crate::endpoint!).
pub trait Endpoint: Sized + Send + Sync + 'static {
    /// The service.
    type Service: Service;
    /// The `{names}` of the path.
    type Path: FromPath;
    /// The query string.
    type Query: FromQuery;
    /// The body.
    type Body: Body;
    /// The reply.
    type Reply: ReplyBody;
    /// Everything about it that is data.
    const INFO: &'static EndpointInfo;

    /// Carries it out.
    fn handle(
        cx: Cx<Self::Service>,
        req: Req<Self>,
    ) -> impl Future<Output = Result<Self::Reply, Fault>> + Send;
}

/// An endpoint as data.
#[derive(Debug)]
pub struct EndpointInfo {
    /// `CreateServers`: operation id in OpenAPI, label in metrics, name in the persona matrix.
    pub name: &'static str,
    /// First line of its documentation.
    pub doc: &'static str,
    /// The method.
    pub method: Method,
    /// The path below the service's prefix, with `{names}`; `{name*}` takes the tail.
    pub path: &'static str,
    /// The key of the body that is part of the route, for `POST …/action`.
    pub action: Option<&'static str>,
    /// The status when it succeeds.
    pub status: u16,
    /// The first version that has it.
    pub since: Version,
    /// The last version that has it.
    pub until: Version,
    /// Who may call it.
    pub access: Access,
    /// Whether the agents of hosts are among them.
    pub hosts: bool,
    /// How the body changed over the versions.
    pub body_shape: Option<Shape>,
    /// How the reply changed over the versions.
    pub reply_shape: Option<Shape>,
    /// Whether the body is handed over as a stream.
    pub streamed: bool,
    /// The body's schema.
    pub body_schema: fn(&mut Schemas) -> Option<SchemaRef>,
    /// The reply's schema.
    pub reply_schema: fn(&mut Schemas) -> Option<SchemaRef>,
    /// The query's schema: an object whose properties are the keys.
    pub query_schema: fn(&mut Schemas) -> Option<SchemaRef>,
}

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// Anybody, without a token.
    Public,
    /// Any valid token.
    Authenticated,
    /// The rule, checked before the handler against the caller's own project.
    Rule(&'static RuleInfo),
    /// The rule, checked by the handler once the target is loaded; before it, any valid token passes.
    Loaded(&'static RuleInfo),
}

/// What may stand in a `policy:` row: [`Public`], [`Authenticated`], a rule, [`Loaded`] of a rule, or
/// [`Hosts`] of one of these.
pub trait AccessRow {
    /// What it means.
    const ACCESS: Access;
    /// Whether the token of a host is good for it.
    const HOSTS: bool = false;
}

/// Anybody, without a token.
#[derive(Debug)]
pub struct Public;

/// Any valid token.
#[derive(Debug)]
pub struct Authenticated;

/// The rule is checked by the handler against the loaded target, because the caller's own project says nothing about it.
#[derive(Debug)]
pub struct Loaded<R>(std::marker::PhantomData<R>);

/// The same, and the token of a host is good for it: `Hosts<rules::HostFeed>`. For all other calls such a token is
/// refused, whatever the rules say.
#[derive(Debug)]
pub struct Hosts<A>(std::marker::PhantomData<A>);

impl<A: AccessRow> AccessRow for Hosts<A> {
    const ACCESS: Access = A::ACCESS;
    const HOSTS: bool = true;
}
impl AccessRow for Public {
    const ACCESS: Access = Access::Public;
}
impl AccessRow for Authenticated {
    const ACCESS: Access = Access::Authenticated;
}
impl<R: Rule> AccessRow for Loaded<R> {
    const ACCESS: Access = Access::Loaded(R::INFO);
}
impl<R: Rule> AccessRow for R {
    const ACCESS: Access = Access::Rule(R::INFO);
}

/// A request after routing, before the body is read.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Decoded values of the path's names.
    pub path: Vec<(&'static str, String)>,
    /// The raw query.
    pub query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// The negotiated version.
    pub version: Version,
    /// Whether keys that the body should not have are dropped and not refused.
    pub lenient: bool,
    /// The service's words.
    pub dialect: &'a Dialect,
    /// The body; collected unless the endpoint streams.
    pub body: Incoming,
}

impl<'a> Parts<'a> {
    /// The same once more, for another try; without the body, if that is a stream.
    pub(crate) fn again(&self) -> Parts<'a> {
        let body = match &self.body {
            Incoming::Bytes(bytes) => bytes.clone(),
            Incoming::Stream(_) => bytes::Bytes::new(),
        };
        Parts {
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            version: self.version,
            lenient: self.lenient,
            dialect: self.dialect,
            body: Incoming::Bytes(body),
        }
    }

    /// The collected body.
    pub fn body_bytes(&mut self) -> bytes::Bytes {
        match self.take_body() {
            Incoming::Bytes(bytes) => bytes,
            Incoming::Stream(_) => bytes::Bytes::new(),
        }
    }

    /// The body, leaving none.
    pub fn take_body(&mut self) -> Incoming {
        std::mem::replace(&mut self.body, Incoming::Bytes(bytes::Bytes::new()))
    }
}

type Handler<S> = fn(Cx<S>, Parts<'static>) -> BoxFuture<'static, Result<Written, Fault>>;

/// One endpoint, erased: its data and one function.
pub struct Row<S> {
    /// The data.
    pub info: &'static EndpointInfo,
    pub(crate) run: Handler<S>,
}

impl<S: Service> Row<S> {
    /// The row of `E`.
    #[must_use]
    pub fn of<E: Endpoint<Service = S>>() -> Self {
        Self {
            info: E::INFO,
            run: serve::<E>,
        }
    }
}

/// A service's endpoints, as [`routes!`](crate::routes!) lists them.
pub type Endpoints<S> = Vec<Row<S>>;

/// The only generic function of the pipeline: reads, handles, writes.
#[doc(hidden)]
pub fn serve<E: Endpoint>(
    cx: Cx<E::Service>,
    mut parts: Parts<'static>,
) -> BoxFuture<'static, Result<Written, Fault>> {
    Box::pin(async move {
        let path = E::Path::from_path(std::mem::take(&mut parts.path))?;
        let query = E::Query::from_query(&parts.query)?;
        let body = E::Body::read(&mut parts, E::INFO.body_shape.as_ref())?;
        let headers = Arc::new(parts.headers);
        let version = cx.version;
        let reply = E::handle(
            cx,
            Req {
                path,
                query,
                body,
                headers,
            },
        )
        .await?;
        let mut written = reply.write(E::INFO.reply_shape.as_ref(), version)?;
        written.status = written.status.or(StatusCode::from_u16(E::INFO.status).ok());
        Ok(written)
    })
}
