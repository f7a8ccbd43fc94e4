//! The way of every request: id, version, route, token, rule, body, handler, headers.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use nephos_auth::{Caller, Scope, Target};
use nephos_runtime::crash::Crashed;
use nephos_runtime::metrics::Durations;
use nephos_types::{RequestId, Timestamp};
use serde_json::{Value, json};
use tracing::{Instrument, error, info};

use crate::cx::{Asked, forbidden};
use crate::endpoint::{EndpointInfo, Parts, Row};
use crate::http_types::{Dispatch, Incoming, Payload, Request, Response};
use crate::reply::Written;
use crate::router::{self, Choice, Found, Router};
use crate::{Access, Cx, Dialect, Fault, HtmlFaults, Service, Version, Versioning, openapi};

/// Until when the caller of a sibling waits: microseconds since 1970.
pub const UNTIL: HeaderName = HeaderName::from_static("x-nephos-until");

static TOOK: LazyLock<Durations> =
    LazyLock::new(|| Durations::new("http_request", "Time to answer a call", "endpoint"));

/// A service ready to answer.
pub struct App<S: Service>(Arc<Inner<S>>);

struct Inner<S: Service> {
    service: Arc<S>,
    rows: Vec<Row<S>>,
    infos: Vec<&'static EndpointInfo>,
    router: Router,
}

impl<S: Service> Clone for App<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Service> App<S> {
    /// Builds the routing tree.
    ///
    /// # Errors
    /// When two rows answer the same calls.
    pub fn new(service: Arc<S>) -> Result<Self, String> {
        let rows = S::endpoints();
        let infos: Vec<_> = rows.iter().map(|row| row.info).collect();
        let router = Router::build(&infos)?;
        Ok(Self(Arc::new(Inner {
            service,
            rows,
            infos,
            router,
        })))
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &Arc<S> {
        &self.0.service
    }
}

impl<S: Service> Dispatch for App<S> {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let inner = Arc::clone(&self.0);
        let id = request_id(&request.headers);
        let span = tracing::info_span!("request", service = S::NAME, request_id = %id);
        let behalf = id.clone();
        let until = until(&request.headers);
        let answer = async move { inner.answer(request, id).await };
        let answer = nephos_runtime::request::within(until, answer);
        nephos_runtime::request::under(behalf, answer)
            .instrument(span)
            .boxed()
    }
}

/// A caller may name the request, so that one id follows the work through every service.
fn request_id(headers: &HeaderMap) -> RequestId {
    headers
        .get("x-openstack-request-id")
        .and_then(|value| value.to_str().ok())
        .filter(|text| {
            text.strip_prefix("req-")
                .is_some_and(|rest| uuid::Uuid::try_parse(rest).is_ok())
        })
        .map_or_else(nephos_runtime::ids::request_id, RequestId::from)
}

/// Until when the caller waits, as siblings say: nothing is stored for it later. Others who say so bind only themselves.
fn until(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(UNTIL)?.to_str().ok()?;
    text.parse().ok().map(Timestamp)
}

/// What negotiation and routing found out before the handler runs.
struct Route<'a> {
    version: Version,
    lenient: bool,
    found: Found<'a>,
}

/// Who brought a request, and by which token.
struct Bearer {
    token: Option<Arc<str>>,
    caller: Option<Arc<Caller>>,
}

impl<S: Service> Inner<S> {
    async fn answer(&self, request: Request, id: RequestId) -> Response {
        let clock = &self.service.core().clock;
        let began = clock.monotonic();
        let (method, path) = (request.method.clone(), request.path.clone());
        let mut label = "none";
        let mut version = None;
        let as_page = prefers_html(S::DIALECT.html_faults, &request.headers);
        let outcome = self
            .route_and_run(request, &id, &mut label, &mut version)
            .await;
        let mut response = match outcome {
            Ok(written) => response(written),
            Err(fault) if as_page => page(&fault),
            Err(fault) => self.refuse(&fault, &id, version),
        };
        self.add_headers(&mut response.headers, &id, version);
        let took = clock.monotonic().saturating_sub(began);
        TOOK.record(label, took);
        let status = response.status.as_u16();
        let micros = took.as_micros();
        info!(%method, path, status, micros, endpoint = label, "answered");
        response
    }

    async fn route_and_run(
        &self,
        mut request: Request,
        id: &RequestId,
        label: &mut &'static str,
        told: &mut Option<Version>,
    ) -> Result<Written, Fault> {
        if let Some(rewrite) = S::DIALECT.rewrite {
            rewrite(&mut request)?;
        }
        // No database of text takes it, and nothing is called by it.
        if request.path.contains("%00") || request.query.contains("%00") {
            return Err(Fault::bad_request("A NUL character has no place in a URL."));
        }
        if request.path == "/openapi.json" {
            return Ok(json_reply(&openapi::document(S::NAME, &self.infos)));
        }
        let newer = S::DIALECT
            .older
            .and_then(|older| older.translate(&request.path));
        let lenient = newer.is_some();
        let version = match newer {
            Some(path) => {
                request.path = path;
                oldest(S::DIALECT)
            }
            None => *told.insert(negotiate(S::DIALECT, &request.headers)?),
        };
        if S::DIALECT.strict_slash && self.router.lacks_name(&request.path) {
            return Err(router::no_such_path());
        }
        let found = self
            .router
            .find(&request.path)
            .ok_or_else(router::no_such_path)?;
        let route = Route {
            version,
            lenient,
            found,
        };
        self.run(request, id, route, label).await
    }

    async fn run(
        &self,
        mut request: Request,
        id: &RequestId,
        route: Route<'_>,
        label: &mut &'static str,
    ) -> Result<Written, Fault> {
        let Route {
            version,
            lenient,
            found,
        } = route;
        let Bearer { token, caller } = self.authenticate(&request, &found).await?;
        let body = std::mem::replace(&mut request.body, Incoming::Bytes(bytes::Bytes::new()));
        let streams = found
            .endpoints
            .iter()
            .filter_map(|at| self.infos.get(*at))
            .any(|info| info.streamed && info.method == request.method);
        let body = if streams {
            body
        } else {
            collect(body, S::DIALECT.max_body_bytes).await?
        };
        let hides_methods = S::DIALECT.hides_methods;
        let choice = Choice {
            method: &request.method,
            version,
            hides_methods,
        };
        let picked = choice.pick(&self.infos, &found, || action_of(&body))?;
        let row = self.rows.get(picked).ok_or_else(router::no_such_path)?;
        *label = row.info.name;
        let caller = self.check_access(row.info, caller, &request)?;
        let path = router::names(row.info.path).zip(found.values).collect();
        let parts = Parts {
            path,
            query: request.query,
            headers: request.headers,
            version,
            lenient,
            dialect: S::DIALECT,
            body,
        };
        let request_id = id.clone();
        let asked = Asked {
            caller,
            version,
            request_id,
            token,
            base_url: request.base_url,
        };
        let cx = Cx::new(Arc::clone(&self.service), asked);
        if !matches!(parts.body, Incoming::Bytes(_)) {
            // What has streamed by does not come again.
            return handle(row, cx, parts).await;
        }
        let db = &self.service.core().db;
        db.again(|| handle(row, cx.clone(), parts.again())).await
    }

    /// The caller of the token, if there is one. A path that only serves callers refuses the rest before it reads a body.
    async fn authenticate(&self, request: &Request, found: &Found<'_>) -> Result<Bearer, Fault> {
        let public = found
            .endpoints
            .iter()
            .filter_map(|at| self.infos.get(*at))
            .any(|info| matches!(info.access, Access::Public));
        let token = request
            .headers
            .get("x-auth-token")
            .and_then(|value| value.to_str().ok());
        let verifier = &self.service.core().verifier;
        let caller = match token {
            Some(token) => Some(verifier.verify_or_ask(token).await),
            None => None,
        };
        match caller {
            Some(Ok(caller)) => Ok(Bearer {
                token: token.map(Arc::from),
                caller: Some(caller),
            }),
            _none_or_invalid if public => Ok(Bearer {
                token: None,
                caller: None,
            }),
            _none_or_invalid => Err(unauthorized(&request.base_url)),
        }
    }

    fn check_access(
        &self,
        info: &EndpointInfo,
        caller: Option<Arc<Caller>>,
        request: &Request,
    ) -> Result<Arc<Caller>, Fault> {
        let access = info.access;
        if matches!(access, Access::Public) {
            // What anybody may ask, a host asks as anybody.
            let known = caller.filter(|caller| info.hosts || caller.host.is_none());
            return Ok(known.unwrap_or_else(|| Arc::new(Caller::new("", Scope::Unscoped, &[]))));
        }
        let caller = caller.ok_or_else(|| unauthorized(&request.base_url))?;
        if let Some(host) = caller.host.as_ref().filter(|_| !info.hosts) {
            return Err(Fault::forbidden(format!(
                "The token of host {host} is good for what is wanted on that host and for nothing else."
            ))
            .kind("PolicyNotAuthorized"));
        }
        let path = &request.path;
        if !caller.may_request(S::TYPE, request.method.as_str(), path) {
            return Err(unauthorized(&request.base_url));
        }
        if let Access::Rule(rule) = access
            && !self
                .service
                .core()
                .policy
                .check(rule, &caller, &own_target(&caller))
        {
            return Err(forbidden::<S>(rule.name));
        }
        Ok(caller)
    }

    fn refuse(&self, fault: &Fault, id: &RequestId, version: Option<Version>) -> Response {
        // Who gave up waiting wanted it so: that is no error of the service.
        let waits_no_longer = fault.status == StatusCode::GATEWAY_TIMEOUT;
        if fault.status.is_server_error() && !waits_no_longer {
            error!(
                status = fault.status.as_u16(),
                message = fault.message,
                cause = fault.cause,
                "refused"
            );
        } else {
            info!(
                status = fault.status.as_u16(),
                message = fault.message,
                "refused"
            );
        }
        if let Some(render) = S::DIALECT.fault_page {
            return html(fault, render(fault));
        }
        let body = if fault.status == StatusCode::UNAUTHORIZED && fault.kind == "Unauthenticated" {
            // Every service shows the token check's own body, as keystonemiddleware writes it.
            json!({"error": {"code": 401, "title": "Unauthorized", "message": fault.message}})
        } else {
            match S::DIALECT.render_fault_at {
                Some(render) => render(fault, id, version),
                None => (S::DIALECT.render_fault)(fault, id),
            }
        };
        let mut written = json_reply(&body);
        written.status = Some(fault.status);
        written.headers.extend(fault.headers.clone());
        response(written)
    }

    fn add_headers(&self, headers: &mut HeaderMap, id: &RequestId, version: Option<Version>) {
        let put = |headers: &mut HeaderMap, name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        put(headers, "x-openstack-request-id", id.as_str());
        if let Some(name) = S::DIALECT.request_id_header {
            put(headers, name, &(S::DIALECT.request_id_form)(id));
        }
        headers.append(header::VARY, HeaderValue::from_static("X-Auth-Token"));
        let Versioning::Microversion {
            service,
            legacy_header,
            ..
        } = S::DIALECT.versioning
        else {
            return;
        };
        headers.append(
            header::VARY,
            HeaderValue::from_static(S::DIALECT.version_words.vary),
        );
        if let Some(name) = legacy_header {
            headers.append(header::VARY, HeaderValue::from_static(name));
        }
        if let Some(version) = version {
            put(
                headers,
                "openstack-api-version",
                &format!("{service} {version}"),
            );
            let lower = legacy_header.map(str::to_ascii_lowercase);
            if let Some(Ok(name)) = lower.map(|name| HeaderName::from_bytes(name.as_bytes()))
                && let Ok(value) = HeaderValue::from_str(&version.to_string())
            {
                headers.insert(name, value);
            }
        }
    }
}

/// Runs the handler; its panic is a fault like others.
async fn handle<S: Service>(
    row: &Row<S>,
    cx: Cx<S>,
    parts: Parts<'static>,
) -> Result<Written, Fault> {
    match AssertUnwindSafe((row.run)(cx, parts)).catch_unwind().await {
        Ok(outcome) => outcome,
        // A test's own crash is not an error to hide.
        Err(panic) if panic.is::<Crashed>() => std::panic::resume_unwind(panic),
        Err(_) => {
            error!(endpoint = row.info.name, "handler panicked");
            Err(Fault::internal("The request could not be carried out."))
        }
    }
}

/// What a rule may compare with before anything is loaded: the caller's own project, user and domain.
fn own_target(caller: &Caller) -> Target {
    let mut target = Target::new();
    if let Some(project) = caller.project_id() {
        target.set_project(project.as_str());
    }
    target.set("user_id", &caller.user_id);
    target
}

fn unauthorized(base_url: &str) -> Fault {
    let origin = base_url
        .rsplit_once('/')
        .map_or(base_url, |(origin, _service)| origin);
    Fault::unauthorized("The request you have made requires authentication.")
        .kind("Unauthenticated")
        .header(
            header::WWW_AUTHENTICATE,
            &format!("Keystone uri=\"{origin}/identity\""),
        )
}

fn oldest(dialect: &Dialect) -> Version {
    match dialect.versioning {
        Versioning::Microversion { min, .. } => min,
        Versioning::None => Version::ZERO,
    }
}

fn negotiate(dialect: &Dialect, headers: &HeaderMap) -> Result<Version, Fault> {
    let Versioning::Microversion {
        service,
        legacy_header,
        min,
        max,
    } = dialect.versioning
    else {
        return Ok(Version::ZERO);
    };
    let words = &dialect.version_words;
    let Some(asked) = asked_version(headers, service, legacy_header) else {
        return Ok(min);
    };
    if asked == "latest" {
        return Ok(max);
    }
    let version =
        Version::parse(&asked).ok_or_else(|| Fault::bad_request((words.malformed)(&asked)))?;
    if version < min || version > max {
        return Err(Fault::not_acceptable((words.refused)(version, min, max))
            .with(json!({"min_version": min.to_string(), "max_version": max.to_string()})));
    }
    Ok(version)
}

fn asked_version(headers: &HeaderMap, service: &str, legacy: Option<&str>) -> Option<String> {
    let values = headers.get_all("openstack-api-version").into_iter();
    let by_service = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|item| item.trim().split_once(' '))
        .filter(|(name, _)| name.eq_ignore_ascii_case(service))
        .map(|(_, version)| version.trim().to_owned())
        .reduce(|_, last| last);
    by_service.or_else(|| Some(headers.get(legacy?)?.to_str().ok()?.trim().to_owned()))
}

async fn collect(body: Incoming, limit: usize) -> Result<Incoming, Fault> {
    let too_large = || Fault::too_large(format!("The body is larger than {limit} bytes."));
    match body {
        Incoming::Bytes(bytes) if bytes.len() > limit => Err(too_large()),
        Incoming::Bytes(bytes) => Ok(Incoming::Bytes(bytes)),
        Incoming::Stream(mut channel) => {
            let mut all = bytes::BytesMut::new();
            loop {
                match channel.recv().await {
                    Some(Ok(Some(chunk))) if all.len() + chunk.len() > limit => {
                        return Err(too_large());
                    }
                    Some(Ok(Some(chunk))) => all.extend_from_slice(&chunk),
                    Some(Ok(None)) => return Ok(Incoming::Bytes(all.freeze())),
                    Some(Err(_)) | None => {
                        return Err(Fault::bad_request("The body ended before its end."));
                    }
                }
            }
        }
    }
}

/// The action of a body: its only key. Values are skipped without being built.
fn action_of(body: &Incoming) -> Option<String> {
    let Incoming::Bytes(bytes) = body else {
        return None;
    };
    let keys: std::collections::BTreeMap<String, serde::de::IgnoredAny> =
        serde_json::from_slice(bytes).ok()?;
    let mut keys = keys.into_keys();
    let first = keys.next()?;
    keys.next().is_none().then_some(first)
}

fn prefers_html(faults: HtmlFaults, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
    let html = match faults {
        HtmlFaults::Never => false,
        HtmlFaults::Asked => accept.contains("text/html"),
        HtmlFaults::UnlessJson => accept.contains("text/html") || accept.contains("*/*"),
    };
    html && !accept.contains("application/json")
}

/// A fault for a browser.
fn page(fault: &Fault) -> Response {
    let escaped = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
    };
    let title = escaped(&fault.status.to_string());
    let message = escaped(&fault.message);
    html(
        fault,
        format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><h1>{title}</h1>\n<p>{message}</p></body></html>\n"
        ),
    )
}

fn html(fault: &Fault, page: String) -> Response {
    let mut headers = fault.headers.clone();
    // What is no page says so itself.
    let page_type = HeaderValue::from_static("text/html; charset=UTF-8");
    headers.entry(header::CONTENT_TYPE).or_insert(page_type);
    Response {
        status: fault.status,
        headers,
        body: Payload::Bytes(page.into()),
    }
}

fn json_reply(value: &Value) -> Written {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    Written {
        status: None,
        headers,
        body: Payload::Bytes(value.to_string().into()),
    }
}

fn response(written: Written) -> Response {
    Response {
        status: written.status.unwrap_or(StatusCode::OK),
        headers: written.headers,
        body: written.body,
    }
}
