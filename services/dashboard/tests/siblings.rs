//! Stand-ins for the services: as much of each as the dashboard asks for.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use nephos_testkit::Persona;
use serde_json::{Value, json};

/// A request that reached a service.
#[derive(Clone, Debug)]
pub struct Reached {
    pub service: &'static str,
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What the stand-ins know.
pub struct Siblings {
    /// For the project, and without a scope.
    tokens: Vec<String>,
    servers: Mutex<Vec<Value>>,
    reached: Mutex<Vec<Reached>>,
}

impl Siblings {
    pub fn new(tokens: Vec<String>) -> Self {
        Self {
            tokens,
            servers: Mutex::default(),
            reached: Mutex::default(),
        }
    }

    pub fn named(self: &Arc<Self>, service: &'static str) -> Arc<dyn Dispatch> {
        Arc::new(Sibling {
            service,
            all: Arc::clone(self),
        })
    }

    /// The token of the project.
    pub fn scoped(&self) -> &str {
        &self.tokens[0]
    }

    pub fn add_server(&self, name: &str) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.push(json!({ "name": name }));
    }

    /// Everything that reached a service, but for what the dashboard asks identity by itself.
    pub fn reached(&self) -> Vec<Reached> {
        self.reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn answer(&self, reached: &Reached) -> Response {
        let path = reached.target.split('?').next().unwrap();
        match (reached.service, &reached.method, path) {
            ("identity", &Method::POST, "/v3/auth/tokens") => self.token(&reached.body),
            ("identity", &Method::GET, "/v3/auth/projects") => {
                let project = json!({"id": Persona::Member.project(), "name": "acme", "domain_id": "default"});
                reply(200, &json!({ "projects": [project] }))
            }
            ("compute", _, "/v2.1/servers/detail") => {
                let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
                reply(200, &json!({ "servers": *servers }))
            }
            ("placement", _, "/nephos/v1/explain") => {
                let lacking = reached.target.contains("VCPU:64");
                let constraint = json!({"constraint": "resources", "group": "", "resource_class": "VCPU", "removed": 3, "left": if lacking { 0 } else { 3 }});
                reply(
                    200,
                    &json!({"total": 3, "left": if lacking { 0 } else { 3 }, "constraints": [constraint], "largest_free": {"VCPU": 8}}),
                )
            }
            _other => {
                let mut response = reply(200, &json!({"from": reached.service}));
                for (name, value) in [
                    ("set-cookie", "a=b"),
                    ("x-subject-token", "secret"),
                    ("content-type", "text/html"),
                ] {
                    response
                        .headers
                        .insert(name, HeaderValue::from_static(value));
                }
                response
            }
        }
    }

    fn token(&self, body: &[u8]) -> Response {
        let body: Value = serde_json::from_slice(body).unwrap();
        let (identity, scope) = (&body["auth"]["identity"], &body["auth"]["scope"]);
        let right = match identity["methods"][0].as_str() {
            Some("password") => identity["password"]["user"]["password"] == "right",
            _token => identity["token"]["id"] == self.tokens[1].as_str(),
        };
        let project = scope["project"]["id"].as_str();
        let token = match project {
            None => Some(&self.tokens[1]),
            Some(id) if id == Persona::Member.project() => Some(&self.tokens[0]),
            Some(_other) => None,
        };
        let Some(token) = token.filter(|_| right) else {
            return reply(
                401,
                &json!({"error": {"code": 401, "message": "The request you have made requires authentication."}}),
            );
        };
        let user = json!({"id": Persona::Member.user(), "name": "dana", "domain": {"id": "default", "name": "Default"}});
        let mut response = reply(
            201,
            &json!({"token": {"user": user, "expires_at": "2026-01-02T04:04:05.000000Z"}}),
        );
        response
            .headers
            .insert("x-subject-token", token.parse().unwrap());
        response
    }
}

struct Sibling {
    service: &'static str,
    all: Arc<Siblings>,
}

impl Dispatch for Sibling {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let (service, all) = (self.service, Arc::clone(&self.all));
        async move {
            let mut body = Vec::new();
            match request.body {
                Incoming::Bytes(bytes) => body.extend_from_slice(&bytes),
                Incoming::Stream(mut chunks) => {
                    while let Some(Ok(Some(chunk))) = chunks.recv().await {
                        body.extend_from_slice(&chunk);
                    }
                }
            }
            let target = match request.query.as_str() {
                "" => request.path,
                query => format!("{}?{query}", request.path),
            };
            let reached = Reached {
                service,
                method: request.method,
                target,
                headers: request.headers,
                body: body.into(),
            };
            let response = all.answer(&reached);
            if !reached.target.starts_with("/v3/auth/") {
                all.reached
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(reached);
            }
            response
        }
        .boxed()
    }
}

fn reply(status: u16, body: &Value) -> Response {
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Payload::Bytes(body.to_string().into()),
    }
}
