//! A client without a socket: it asks the pipeline and shows what a client would see.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use nephos_api::{Dispatch, Incoming, Payload, Request};
use nephos_auth::Caller;
use serde_json::Value;

/// The origin of the cloud under test.
pub const BASE: &str = "http://cloud.test";

/// Asks one service as one caller. Cheap to clone; methods that set something give a new one.
#[derive(Clone)]
pub struct Ask {
    pub(crate) app: Arc<dyn Dispatch>,
    pub(crate) base: String,
    pub(crate) token: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) sign: Arc<dyn Fn(Caller) -> Option<String> + Send + Sync>,
}

/// What a client sees.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; null when it is none.
    pub json: Value,
    /// The body.
    pub bytes: Bytes,
}

impl Answer {
    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// This answer, after checking its status; the body is shown when it is another.
    #[track_caller]
    #[expect(clippy::panic, reason = "a test's assertion")]
    pub fn expect(self, status: u16) -> Self {
        if self.status != status {
            let body = String::from_utf8_lossy(&self.bytes).into_owned();
            panic!("expected {status}, got {}: {body}", self.status);
        }
        self
    }
}

impl Ask {
    /// As this persona.
    #[must_use]
    pub fn as_persona(&self, persona: crate::Persona) -> Self {
        Self {
            token: persona.caller().and_then(|caller| (self.sign)(caller)),
            ..self.clone()
        }
    }

    /// As the agents of this host.
    #[must_use]
    pub fn as_host(&self, name: &str) -> Self {
        Self {
            token: (self.sign)(Caller::of_host(format!("host {name}"), name.into())),
            ..self.clone()
        }
    }

    /// With this token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// With this header.
    #[must_use]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut next = self.clone();
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            next.headers.insert(name, value);
        }
        next
    }

    /// At this microversion: `compute 2.79`.
    #[must_use]
    pub fn at(&self, version: &str) -> Self {
        self.with_header("openstack-api-version", version)
    }

    /// GET.
    pub async fn get(&self, target: &str) -> Answer {
        self.send(Method::GET, target, Bytes::new()).await
    }

    /// DELETE.
    pub async fn delete(&self, target: &str) -> Answer {
        self.send(Method::DELETE, target, Bytes::new()).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, target: &str, body: Value) -> Answer {
        self.json(Method::POST, target, &body).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, target: &str, body: Value) -> Answer {
        self.json(Method::PUT, target, &body).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, target: &str, body: Value) -> Answer {
        self.json(Method::PATCH, target, &body).await
    }

    /// Any method with a JSON body.
    pub async fn json(&self, method: Method, target: &str, body: &Value) -> Answer {
        self.send(method, target, Bytes::from(body.to_string()))
            .await
    }

    /// Any method with any body.
    pub async fn send(&self, method: Method, target: &str, body: Bytes) -> Answer {
        let mut request = Request::new(method, target);
        request.headers = self.headers.clone();
        if !request.headers.contains_key(header::CONTENT_TYPE) && !body.is_empty() {
            let json = HeaderValue::from_static("application/json");
            request.headers.insert(header::CONTENT_TYPE, json);
        }
        request
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        let token = self
            .token
            .as_deref()
            .and_then(|token| HeaderValue::from_str(token).ok());
        if let Some(token) = token {
            request.headers.insert("x-auth-token", token);
        }
        request.base_url = self.base.clone();
        request.body = Incoming::Bytes(body);
        let response = self.app.dispatch(request).await;
        let bytes = whole(response.body).await;
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            status: response.status.as_u16(),
            headers: response.headers,
            json,
            bytes,
        }
    }
}

async fn whole(body: Payload) -> Bytes {
    match body {
        Payload::Empty | Payload::Socket(_) => Bytes::new(),
        Payload::Bytes(bytes) => bytes,
        Payload::Stream { mut chunks, .. } | Payload::Open(mut chunks) => {
            let mut all = bytes::BytesMut::new();
            while let Some(Ok(chunk)) = chunks.next().await {
                all.extend_from_slice(&chunk);
            }
            all.freeze()
        }
    }
}
