//! As much of the object service as backups need: containers, and objects by their names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nephos_api::{Dispatch, Incoming, Request, Response};
use serde_json::json;

use crate::kit::respond;

#[derive(Clone, Default)]
pub struct Objects(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    containers: BTreeMap<String, BTreeMap<String, Bytes>>,
    /// So many more objects are taken; none said, all.
    takes: Option<usize>,
    /// The most bytes that came at once.
    largest: usize,
}

impl Objects {
    /// The names of all objects with their containers.
    pub fn names(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        let all = state.containers.iter();
        all.flat_map(|(name, objects)| objects.keys().map(move |key| format!("{name}/{key}")))
            .collect()
    }

    pub fn containers(&self) -> Vec<String> {
        self.0.lock().unwrap().containers.keys().cloned().collect()
    }

    /// The most bytes that came in one request.
    pub fn largest(&self) -> usize {
        self.0.lock().unwrap().largest
    }

    /// Takes so many objects more, and has no room for others.
    pub fn refuse_from(&self, takes: usize) {
        self.0.lock().unwrap().takes = Some(takes);
    }

    /// Changes the bytes of every object whose name says so.
    pub fn damage(&self, part: &str) {
        for objects in self.0.lock().unwrap().containers.values_mut() {
            for (name, bytes) in objects.iter_mut() {
                if name.contains(part) {
                    let mut other = bytes.to_vec();
                    other[0] ^= 1;
                    *bytes = other.into();
                }
            }
        }
    }

    /// Loses every object whose name says so.
    pub fn lose(&self, part: &str) {
        for objects in self.0.lock().unwrap().containers.values_mut() {
            objects.retain(|name, _| !name.contains(part));
        }
    }
}

impl State {
    fn container(&mut self, method: &str, name: &str, query: &str) -> Response {
        match method {
            "PUT" => {
                self.containers.entry(name.to_owned()).or_default();
                respond(201, Bytes::new())
            }
            "DELETE" => match self.containers.get(name) {
                None => respond(404, Bytes::new()),
                Some(objects) if !objects.is_empty() => respond(409, Bytes::new()),
                Some(_empty) => {
                    self.containers.remove(name);
                    respond(204, Bytes::new())
                }
            },
            _list => {
                let of = |key: &str| {
                    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                    pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
                };
                let prefix = of("prefix").unwrap_or_default().replace("%2F", "/");
                let limit: usize = of("limit").unwrap().parse().unwrap();
                let Some(objects) = self.containers.get(name) else {
                    return respond(404, Bytes::new());
                };
                let found: Vec<_> = objects
                    .keys()
                    .filter(|name| name.starts_with(&prefix))
                    .take(limit)
                    .map(|name| json!({ "name": name }))
                    .collect();
                respond(200, json!(found).to_string().into())
            }
        }
    }

    fn object(&mut self, method: &str, (container, name): (&str, &str), body: Bytes) -> Response {
        let Some(objects) = self.containers.get_mut(container) else {
            return respond(404, Bytes::new());
        };
        match method {
            "PUT" => {
                if self.takes == Some(0) {
                    return respond(507, Bytes::from_static(b"{}"));
                }
                self.takes = self.takes.map(|takes| takes - 1);
                self.largest = self.largest.max(body.len());
                objects.insert(name.to_owned(), body);
                respond(201, Bytes::new())
            }
            "DELETE" => match objects.remove(name) {
                Some(_gone) => respond(204, Bytes::new()),
                None => respond(404, Bytes::new()),
            },
            _get => match objects.get(name) {
                Some(bytes) => respond(200, bytes.clone()),
                None => respond(404, Bytes::new()),
            },
        }
    }
}

impl Dispatch for Objects {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let method = request.method.as_str().to_owned();
        let path = request.path.clone();
        let query = request.query.clone();
        let body = match request.body {
            Incoming::Bytes(bytes) => bytes,
            Incoming::Stream(_) => Bytes::new(),
        };
        let parts: Vec<&str> = path.splitn(5, '/').collect();
        let says = request.headers.get(http::header::CONTENT_LENGTH);
        let says = says.and_then(|length| length.to_str().ok()?.parse().ok());
        // As the service does: it wants to know how much comes.
        if method == "PUT" && parts.len() == 5 && says != Some(body.len()) {
            return std::future::ready(respond(411, Bytes::new())).boxed();
        }
        let mut state = self.0.lock().unwrap();
        let answer = match parts.as_slice() {
            ["", "v1", account, container] if account.starts_with("AUTH_") => {
                state.container(&method, container, &query)
            }
            ["", "v1", account, container, name] if account.starts_with("AUTH_") => {
                state.object(&method, (container, name), body)
            }
            _other => respond(400, Bytes::new()),
        };
        std::future::ready(answer).boxed()
    }
}
