//! The dashboard's server half as a browser sees it: SQLite always, PostgreSQL when `NEPHOS_TEST_PG` names a server.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod events;
mod matrix;
mod proxy;
mod sessions;
mod siblings;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderName, Method};
use nephos_api::{App, Dispatch, Incoming, Payload, Request};
use nephos_dashboard::{Config, Dashboard};
use nephos_peer::Transport;
use nephos_testkit::{Persona, World};
use serde_json::{Value, json};

use crate::siblings::Siblings;

/// The dashboard among stand-ins of the services.
pub struct Site {
    pub world: World,
    pub siblings: Arc<Siblings>,
    pub app: App<Dashboard>,
    site: Arc<dyn Dispatch>,
}

/// What a browser got.
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Bytes,
    pub json: Value,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }
}

impl Site {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        Self::over(World::new(), config).await
    }

    /// Over what is in the world already: a restart.
    pub async fn over(world: World, config: Config) -> Self {
        let tokens =
            [Persona::Member, Persona::Reader].map(|persona| world.token(persona).unwrap());
        let siblings = Arc::new(Siblings::new(tokens.into()));
        for name in ["identity", "compute", "image", "placement"] {
            let local = siblings.named(name);
            world.directory.set(name, Transport::Local(local));
        }
        let core = world.core::<Dashboard>().await;
        let peers = world.peers().await;
        let service = Arc::new(Dashboard::new(core, peers, world.bus.clone(), config));
        let app = App::new(Arc::clone(&service)).unwrap();
        let site = Dashboard::site(app.clone());
        Self {
            world,
            siblings,
            app,
            site,
        }
    }

    pub fn browser(&self) -> Browser {
        Browser {
            site: Arc::clone(&self.site),
            base: "http://cloud.test/dashboard".to_owned(),
            cookie: None,
            headers: vec![("x-nephos-dashboard", "1".to_owned())],
        }
    }

    /// A browser in which somebody has signed in.
    pub async fn signed_in(&self) -> Browser {
        self.browser().sign_in().await
    }
}

/// A browser: it keeps the cookie and sends what pages send.
#[derive(Clone)]
pub struct Browser {
    site: Arc<dyn Dispatch>,
    pub base: String,
    pub cookie: Option<String>,
    headers: Vec<(&'static str, String)>,
}

pub fn credentials() -> Value {
    json!({"user": "dana", "password": "right"})
}

impl Browser {
    pub async fn sign_in(mut self) -> Self {
        let got = self.json(Method::POST, "/v1/session", &credentials()).await;
        let got = got.expect(201);
        let cookie = got.header("set-cookie").split(';').next().unwrap();
        self.cookie = Some(cookie.to_owned());
        self
    }

    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut next = self.clone();
        next.headers.retain(|(known, _)| *known != name);
        next.headers.push((name, value.to_owned()));
        next
    }

    pub fn without(&self, name: &'static str) -> Self {
        let mut next = self.clone();
        next.headers.retain(|(known, _)| *known != name);
        next
    }

    pub async fn get(&self, target: &str) -> Got {
        self.send(Method::GET, target, Incoming::Bytes(Bytes::new()))
            .await
    }

    pub async fn json(&self, method: Method, target: &str, body: &Value) -> Got {
        let bytes = Incoming::Bytes(body.to_string().into());
        self.send(method, target, bytes).await
    }

    pub async fn send(&self, method: Method, target: &str, body: Incoming) -> Got {
        let (status, headers, body) = self.ask(method, target, body).await;
        let bytes = match body {
            Payload::Empty | Payload::Socket(_) => Bytes::new(),
            Payload::Bytes(bytes) => bytes,
            Payload::Stream { mut chunks, .. } | Payload::Open(mut chunks) => {
                let mut all = Vec::new();
                while let Some(Ok(chunk)) = chunks.next().await {
                    all.extend_from_slice(&chunk);
                }
                all.into()
            }
        };
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Got {
            status,
            headers,
            bytes,
            json,
        }
    }

    /// The chunks of an answer that does not end by itself.
    pub async fn stream(&self, target: &str) -> BoxStream<'static, Result<Bytes, std::io::Error>> {
        let none = Incoming::Bytes(Bytes::new());
        let (status, _, body) = self.ask(Method::GET, target, none).await;
        assert_eq!(status, 200);
        let Payload::Open(chunks) = body else {
            unreachable!("it has a length")
        };
        chunks
    }

    async fn ask(&self, method: Method, target: &str, body: Incoming) -> (u16, HeaderMap, Payload) {
        let mut request = Request::new(method, target);
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers.insert(name, value.parse().unwrap());
        }
        if let Some(cookie) = &self.cookie {
            request.headers.insert("cookie", cookie.parse().unwrap());
        }
        request.base_url = self.base.clone();
        request.body = body;
        let response = self.site.dispatch(request).await;
        (response.status.as_u16(), response.headers, response.body)
    }
}
