//! A cloud with an object service, and verbs to arrange things in it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use nephos_api::{App, Check as _, Dispatch, Incoming, Request, Response};
use nephos_auth::{Caller, Scope};
use nephos_object::{Config, Object};
use nephos_testkit::{Answer, Ask, Persona, World};
use tokio::sync::mpsc;

/// The account of the project that reader, member and manager are in.
pub const MINE: &str = "/v1/AUTH_11111111111111111111111111111111";

/// A cloud with an object service.
pub struct Cloud {
    pub world: World,
    pub object: Arc<Object>,
    pub app: App<Object>,
    pub ask: Ask,
    config: Config,
}

pub async fn cloud() -> Cloud {
    cloud_with(|_config| {}).await
}

pub async fn cloud_with(change: impl FnOnce(&mut Config)) -> Cloud {
    let world = World::new();
    let mut config = Config {
        folder: world.folder().join("objects"),
        ..Config::default()
    };
    change(&mut config);
    start(world, config).await
}

/// With an empty container `c`.
pub async fn cloud_with_container() -> Cloud {
    let cloud = cloud().await;
    cloud.container("c").await;
    cloud
}

async fn start(world: World, config: Config) -> Cloud {
    let core = world.core::<Object>().await;
    let peers = world.peers().await;
    let object = Object::new(core, peers, config.clone()).expect("an object service");
    let object = Arc::new(object);
    object.take_over().await.expect("recovery");
    let app = world.app(Arc::clone(&object));
    let ask = world.ask(&app);
    Cloud {
        world,
        object,
        app,
        ask,
        config,
    }
}

impl Cloud {
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
        let cloud = start(world, config).await;
        if std::env::var("NEPHOS_TEST_PG").is_ok() {
            cloud.world.clock.advance(Duration::from_secs(300));
        }
        cloud
    }

    pub fn member(&self) -> Ask {
        self.ask.as_persona(Persona::Member)
    }

    pub fn other(&self) -> Ask {
        self.ask.as_persona(Persona::OtherProject)
    }

    /// A caller who sets quotas.
    pub fn reseller(&self) -> Ask {
        let mut caller = Caller::new("reseller", Scope::project("operators"), &["ResellerAdmin"]);
        caller.expires_at = self.world.clock.now().plus_secs(3600);
        self.ask.with_token(&self.world.sign(&caller))
    }

    /// A container of the member's.
    pub async fn container(&self, name: &str) {
        let target = format!("{MINE}/{name}");
        put(&self.member(), &target, "").await.expect(201);
    }

    /// Names of all files in the store.
    pub fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in std::fs::read_dir(&self.config.folder).expect("the store") {
            for file in std::fs::read_dir(folder.expect("a folder").path()).expect("a folder") {
                names.push(file.expect("a file").path().display().to_string());
            }
        }
        names.sort();
        names
    }

    /// All housekeeping is done and everything fits together.
    pub async fn settle(&self) {
        self.object.sweep().await.expect("housekeeping");
        assert_eq!(self.object.check().await.expect("a check"), []);
    }

    /// Sends an upload chunk by chunk; the sender says how it ends.
    pub fn stream(&self, target: &str, headers: &[(&'static str, &str)]) -> Streaming {
        let (sender, receiver) = mpsc::channel(8);
        let mut request = Request::new(Method::PUT, target);
        let token = self.world.token(Persona::Member).expect("a token");
        let mut set = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).expect("a header");
            request.headers.insert(HeaderName::from_static(name), value);
        };
        set("x-auth-token", &token);
        if headers.is_empty() {
            set("transfer-encoding", "chunked");
        }
        for (name, value) in headers {
            set(name, value);
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
        let chunk = Ok(Some(Bytes::from_static(bytes)));
        self.sender.send(chunk).await.expect("somebody reads");
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

/// PUT of these bytes.
pub async fn put(ask: &Ask, target: &str, bytes: impl Into<Bytes>) -> Answer {
    ask.send(Method::PUT, target, bytes.into()).await
}

/// POST without a body.
pub async fn post(ask: &Ask, target: &str) -> Answer {
    ask.send(Method::POST, target, Bytes::new()).await
}

pub async fn head(ask: &Ask, target: &str) -> Answer {
    ask.send(Method::HEAD, target, Bytes::new()).await
}

pub async fn copy(ask: &Ask, target: &str, to: &str) -> Answer {
    let copy = Method::from_bytes(b"COPY").expect("a method");
    ask.with_header("destination", to)
        .send(copy, target, Bytes::new())
        .await
}

/// The lines of a plain answer.
pub fn lines(answer: &Answer) -> Vec<String> {
    let text = String::from_utf8_lossy(&answer.bytes);
    text.lines().map(str::to_owned).collect()
}
