//! Everything below `/dashboard`: tells apart the interface's files, its own calls and calls of the services, and puts
//! the headers on every answer that keep a page from doing what it should not.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use nephos_api::{App, Dispatch, Fault, Payload, Request, Response, Service};
use nephos_types::RequestId;

use super::{assets, fault, proxy};
use crate::Dashboard;

/// Nothing but what this origin serves; no inline scripts, no inline styles, no frames around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The site. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Site {
    app: App<Dashboard>,
}

impl Site {
    pub fn new(app: App<Dashboard>) -> Self {
        Self { app }
    }

    async fn answer(self, request: Request) -> Response {
        if let Some(rest) = below(&request.path, "/api") {
            return self.hand_on(request, &rest).await;
        }
        if let Some(rest) = below(&request.path, "/download")
            && request.method == Method::GET
        {
            return self.download(request, &rest).await;
        }
        if below(&request.path, "/v1").is_some() || request.path == "/openapi.json" {
            return self.app.dispatch(request).await;
        }
        if request.method != Method::GET && request.method != Method::HEAD {
            let why = Fault::method_not_allowed("A page can only be read.");
            return refusal(&why, &nephos_runtime::ids::request_id());
        }
        assets::find(&request.path, &request.headers)
    }

    async fn hand_on(self, request: Request, rest: &str) -> Response {
        let request_id = nephos_runtime::ids::request_id();
        let service = self.app.service();
        match proxy::hand_on(service, request, rest, &request_id).await {
            Ok(response) => response,
            Err(fault) => refusal(&fault, &request_id),
        }
    }

    async fn download(self, request: Request, rest: &str) -> Response {
        let request_id = nephos_runtime::ids::request_id();
        let service = self.app.service();
        match proxy::download(service, request, rest, &request_id).await {
            Ok(response) => response,
            Err(fault) => refusal(&fault, &request_id),
        }
    }
}

impl Dispatch for Site {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let site = self.clone();
        async move {
            let mut response = site.answer(request).await;
            harden(&mut response.headers);
            response
        }
        .boxed()
    }
}

/// What comes after `prefix` in `path`, if that is a whole part of it.
fn below(path: &str, prefix: &str) -> Option<String> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
}

fn refusal(why: &Fault, request_id: &RequestId) -> Response {
    let mut headers = why.headers.clone();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    if let Ok(id) = HeaderValue::from_str(request_id.as_str()) {
        headers.insert("x-openstack-request-id", id);
    }
    let status = why.status;
    tracing::info!(
        status = status.as_u16(),
        message = why.message,
        service = Dashboard::NAME,
        "refused"
    );
    Response {
        status,
        headers,
        body: Payload::Bytes(fault::render(why, request_id).to_string().into()),
    }
}

fn harden(headers: &mut HeaderMap) {
    let pairs = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in pairs {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(POLICY));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}
