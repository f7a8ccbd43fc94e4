//! A cloud with an image service, and verbs to arrange things in it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use nephos_api::{App, Dispatch, Incoming, Request, Response, Service as _};
use nephos_auth::{Overrides, Policy};
use nephos_image::{Config, Image};
use nephos_peer::Transport;
use nephos_testkit::{Answer, Ask, Persona, World};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// A cloud with an image service.
pub struct Cloud {
    pub world: World,
    pub image: Arc<Image>,
    pub app: App<Image>,
    pub ask: Ask,
    config: Config,
}

pub async fn cloud() -> Cloud {
    cloud_with(|_config| {}).await
}

/// Two stores, `file` and `reserve`, and whatever `change` makes of the configuration.
pub async fn cloud_with(change: impl FnOnce(&mut Config)) -> Cloud {
    let world = World::new();
    let mut config = Config {
        folder: world.folder().join("images"),
        stores: vec!["file".to_owned(), "reserve".to_owned()],
        ..Config::default()
    };
    change(&mut config);
    start(world, config, &Overrides::default()).await
}

/// One whose operator has written this rule otherwise.
pub async fn cloud_ruled(name: &str, rule: &str) -> Cloud {
    let world = World::new();
    let config = Config {
        folder: world.folder().join("images"),
        ..Config::default()
    };
    let mut overrides = Overrides::default();
    overrides.set(name, rule);
    start(world, config, &overrides).await
}

async fn start(world: World, config: Config, overrides: &Overrides) -> Cloud {
    let mut core = world.core::<Image>().await;
    let policy = Policy::new(Image::rules(), overrides).expect("a rule");
    core.policy = policy.projects_only(Image::PROJECTS_ONLY);
    let peers = world.peers().await;
    let image = Image::new(core, world.bus.clone(), config.clone(), peers);
    let image = image.expect("an image service");
    let image = Arc::new(image);
    image.take_over().await.expect("recovery");
    let app = world.app(Arc::clone(&image));
    let ask = world.ask(&app);
    Cloud {
        world,
        image,
        app,
        ask,
        config,
    }
}

/// A compute service that says which image a host needs or brings, or that it is all of them.
pub struct Needs(pub &'static str, pub Option<String>);

impl Dispatch for Needs {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let Self(host, image) = self;
        let of_host = request
            .path
            .strip_prefix(&format!("/host/v1/hosts/{host}/"));
        let below = of_host.and_then(|path| {
            let needed = path.strip_prefix("images/");
            needed.or_else(|| path.strip_prefix("snapshots/"))
        });
        let needed = below.is_some_and(|id| image.as_ref().is_none_or(|image| image == id));
        Box::pin(std::future::ready(Response {
            status: if needed {
                StatusCode::NO_CONTENT
            } else {
                StatusCode::NOT_FOUND
            },
            headers: http::HeaderMap::new(),
            body: nephos_api::Payload::Empty,
        }))
    }
}

impl Cloud {
    /// From now on compute says this.
    pub fn needs(&self, needs: Needs) {
        let compute = Transport::Local(Arc::new(needs));
        self.world.directory.set("compute", compute);
    }

    /// The same cloud after the process was killed and started again.
    ///
    /// A SQLite file has one process, so what another one was writing is given up at once. Several may share a
    /// PostgreSQL database: there, silence has to tell.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test run says where PostgreSQL is"
    )]
    pub async fn restarted(self) -> Self {
        let Self { world, config, .. } = self;
        let cloud = start(world, config, &Overrides::default()).await;
        if std::env::var("NEPHOS_TEST_PG").is_ok() {
            cloud.world.clock.advance(Duration::from_secs(120));
            cloud.image.look().await.expect("recovery");
        }
        cloud
    }

    pub fn member(&self) -> Ask {
        self.ask.as_persona(Persona::Member)
    }

    pub fn admin(&self) -> Ask {
        self.ask.as_persona(Persona::Admin)
    }

    pub fn other(&self) -> Ask {
        self.ask.as_persona(Persona::OtherProject)
    }

    /// Does all durable work that is due.
    pub async fn settle(&self) {
        let worker = self.image.worker();
        worker.take_over().await.expect("leases");
        worker
            .settle(Duration::from_secs(600))
            .await
            .expect("durable work");
    }

    /// Names of all files in all stores.
    pub fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        let folders = std::fs::read_dir(&self.config.folder).expect("the stores' folder");
        for folder in folders {
            let folder = folder.expect("a store").path();
            for file in std::fs::read_dir(&folder).expect("a store") {
                names.push(file.expect("a file").path().display().to_string());
            }
        }
        names.sort();
        names
    }

    /// A member's queued image of raw data.
    pub async fn queued(&self) -> String {
        created(&self.member(), json!({})).await
    }

    /// A member's active image with these bytes.
    pub async fn active(&self, bytes: &'static [u8]) -> String {
        let id = self.queued().await;
        upload(&self.member(), &id, Bytes::from_static(bytes))
            .await
            .expect(204);
        id
    }

    pub async fn show(&self, id: &str) -> Value {
        self.admin()
            .get(&format!("/v2/images/{id}"))
            .await
            .expect(200)
            .json
    }

    /// Sends an upload chunk by chunk; the sender says how it ends.
    pub fn stream(&self, persona: Persona, target: &str) -> Streaming {
        let (sender, receiver) = mpsc::channel(8);
        let mut request = Request::new(Method::PUT, target);
        let token = self.world.token(persona).expect("a token");
        for (name, value) in [
            ("x-auth-token", token.as_str()),
            ("content-type", "application/octet-stream"),
        ] {
            request.headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("a header"),
            );
        }
        request.body = Incoming::Stream(receiver);
        let (tell, answer) = tokio::sync::oneshot::channel();
        let asked = self.app.dispatch(request);
        nephos_runtime::spawn("ask", async move {
            let _test_gone = tell.send(asked.await);
        });
        Streaming { sender, answer }
    }
}

/// An upload under way.
pub struct Streaming {
    pub sender: mpsc::Sender<Result<Option<Bytes>, std::io::Error>>,
    pub answer: tokio::sync::oneshot::Receiver<Response>,
}

impl Streaming {
    pub async fn send(&self, bytes: &'static [u8]) {
        self.sender
            .send(Ok(Some(Bytes::from_static(bytes))))
            .await
            .expect("somebody reads");
    }

    /// The data is at its end.
    pub async fn end(self) -> u16 {
        self.sender.send(Ok(None)).await.expect("somebody reads");
        self.answer.await.expect("an answer").status.as_u16()
    }

    /// The client goes away.
    pub async fn abort(self) -> u16 {
        drop(self.sender);
        self.answer.await.expect("an answer").status.as_u16()
    }
}

/// Creates a raw, bare image with further attributes; gives its id.
pub async fn created(ask: &Ask, more: Value) -> String {
    let mut body = json!({"name": "im", "disk_format": "raw", "container_format": "bare"});
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    let answer = ask.post("/v2/images", body).await.expect(201);
    answer.json["id"].as_str().expect("an id").to_owned()
}

pub async fn upload(ask: &Ask, id: &str, bytes: Bytes) -> Answer {
    put_octets(ask, &format!("/v2/images/{id}/file"), bytes).await
}

pub async fn put_octets(ask: &Ask, target: &str, bytes: Bytes) -> Answer {
    ask.with_header("content-type", "application/octet-stream")
        .send(Method::PUT, target, bytes)
        .await
}

/// PATCH in the newer form.
pub async fn patch(ask: &Ask, id: &str, changes: Value) -> Answer {
    ask.with_header(
        "content-type",
        "application/openstack-images-v2.1-json-patch",
    )
    .patch(&format!("/v2/images/{id}"), changes)
    .await
}

/// The message of a refusal.
pub fn message(answer: &Answer) -> &str {
    answer.json["message"].as_str().expect("a message")
}

/// A web server that answers everything alike.
pub struct WebServer {
    port: u16,
    asked: Arc<std::sync::atomic::AtomicUsize>,
}

impl WebServer {
    pub async fn serving(status: &'static str, body: &'static [u8]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        nephos_runtime::spawn("web", async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let mut request = [0; 4096];
                let _read = socket.read(&mut request).await;
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nLocation: http://127.0.0.1/\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _written = socket.write_all(head.as_bytes()).await;
                let _written = socket.write_all(body).await;
            }
        });
        Self { port, asked }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("http://{}/image", self.host())
    }

    pub fn asked(&self) -> usize {
        self.asked.load(std::sync::atomic::Ordering::SeqCst)
    }
}
