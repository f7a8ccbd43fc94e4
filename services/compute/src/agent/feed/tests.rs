//! A binding between a simulated host and a service that is only a page and a list of reports.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use nephos_peer::{Credentials, Directory, Transport};
use nephos_types::Timestamp;
use nephos_types::feed::FeedPage;
use serde_json::json;

use super::*;
use crate::agent::Settings;
use crate::driver::fake::{HostSize, Latency, World};
use crate::model::spec::Progress;

pub(in crate::agent) const SERVER: &str = "9f0f1d9c-0d1c-4d3c-8f6e-1a2b3c4d5e6f";

/// The service as the host sees it.
#[derive(Clone, Default)]
pub(in crate::agent) struct Service(Arc<Mutex<Inner>>);

#[derive(Default)]
pub(in crate::agent) struct Inner {
    revision: i64,
    pub items: Vec<FeedItem>,
    reports: Vec<Vec<Observed>>,
    down: bool,
}

impl Service {
    pub fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn want(&self, item: FeedItem) {
        self.with(|inner| {
            inner.revision += 1;
            inner
                .items
                .retain(|there| (&there.kind, &there.id) != (&item.kind, &item.id));
            inner.items.push(item);
        });
    }

    /// What was told of one kind since it was last asked.
    pub fn told(&self, kind: &str) -> Vec<Observed> {
        self.with(|inner| {
            let told = inner.reports.iter().flatten();
            told.filter(|seen| seen.kind == kind).cloned().collect()
        })
    }
}

impl Dispatch for Service {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let (status, body) = self.with(|inner| match request.path.as_str() {
            _ if inner.down => (StatusCode::SERVICE_UNAVAILABLE, Vec::new()),
            "/host/v1/feed" => {
                let page = FeedPage {
                    revision: inner.revision,
                    lists: 0,
                    complete: true,
                    items: inner.items.clone(),
                };
                (StatusCode::OK, serde_json::to_vec(&page).unwrap())
            }
            "/host/v1/observed" => {
                let Incoming::Bytes(body) = request.body else {
                    panic!("a stream")
                };
                inner.reports.push(serde_json::from_slice(&body).unwrap());
                (StatusCode::NO_CONTENT, Vec::new())
            }
            other => panic!("{other}"),
        });
        let is_poll = request.path == "/host/v1/feed";
        Box::pin(async move {
            if is_poll {
                tokio::task::yield_now().await;
            }
            Response {
                status,
                headers: HeaderMap::new(),
                body: Payload::Bytes(Bytes::from(body)),
            }
        })
    }
}

pub(in crate::agent) struct Bench {
    pub clock: Clock,
    pub service: Service,
    pub world: World,
    shutdown: Shutdown,
    _tasks: Vec<Task>,
}

impl Bench {
    async fn start() -> Self {
        Self::beside(None).await
    }

    /// Beside an image service.
    pub async fn beside(image: Option<Arc<dyn Dispatch>>) -> Self {
        let clock = Clock::virtual_at(Timestamp(1_000_000_000_000_000));
        let world = World::new(clock.clone(), Latency::default());
        let service = Service::default();
        let directory = Directory::default();
        directory.set(SERVICE, Transport::Local(Arc::new(service.clone())));
        if let Some(image) = image {
            directory.set("image", Transport::Local(image));
        }
        let account = Credentials {
            user: "nova".to_owned(),
            password: String::new(),
            project: "service".to_owned(),
        };
        let peers = Peers::new(directory, account, clock.clone(), String::new()).unwrap();
        peers
            .keep_token("token".to_owned(), clock.now().plus_secs(1_000_000))
            .await;
        let driver = Arc::new(world.host("one", HostSize::default()));
        let binding = Binding {
            agent: Agent::new(driver, clock.clone(), Settings::default()),
            peers,
            host: "one".to_owned(),
            clock: clock.clone(),
        };
        let shutdown = Shutdown::new();
        let tasks = binding.start(Path::new("/nonexistent"), &shutdown);
        Self {
            clock,
            service,
            world,
            shutdown,
            _tasks: tasks,
        }
    }

    pub async fn pass(&self, secs: u32) {
        for _quarter in 0..secs * 4 {
            self.clock.advance(Duration::from_millis(250));
            for _turn in 0..100 {
                tokio::task::yield_now().await;
            }
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

pub(in crate::agent) fn server(generation: i64, want: &str) -> FeedItem {
    FeedItem {
        kind: KIND_SERVER.to_owned(),
        id: SERVER.to_owned(),
        generation,
        spec: Some(json!({
            "server_id": SERVER, "generation": generation, "want": want,
            "size": {"vcpus": 1, "ram_mib": 128, "disk_gib": 1},
            "boot": {"image": {"id": "i", "hash": {"algo": "sha512", "value": "00"},
                               "size_bytes": 1, "disk_format": "qcow2"}},
        })),
        request_id: None,
    }
}

fn wish(generation: i64) -> FeedItem {
    FeedItem {
        kind: KIND_CONSOLE.to_owned(),
        id: SERVER.to_owned(),
        generation,
        spec: Some(json!({"max_bytes": 1000})),
        request_id: None,
    }
}

#[tokio::test]
async fn what_is_wanted_is_done_and_told() {
    let bench = Bench::start().await;
    bench.service.want(server(1, "running"));
    bench.pass(2).await;
    let last = bench.service.told(KIND_SERVER).pop().expect("a report");
    assert_eq!(
        (last.id.as_str(), last.generation_seen, last.state.as_str()),
        (SERVER, 1, "running")
    );
    let seen: ObservedServer = serde_json::from_value(last.detail).unwrap();
    assert_eq!(
        (seen.state, seen.progress),
        (GuestState::Running, Progress::Settled)
    );
    let host = bench.service.told(KIND_HOST);
    assert_eq!(host.len(), 1);
    let inventory: HostInventory = serde_json::from_value(host[0].detail.clone()).unwrap();
    assert_eq!((inventory.host.as_str(), inventory.vcpus), ("one", 64));
}

#[tokio::test]
async fn a_quiet_host_says_that_it_is_alive_and_what_it_has_only_now_and_then() {
    let bench = Bench::start().await;
    bench.service.want(server(1, "running"));
    bench.pass(30).await;
    let (before, inventories) = (
        bench.service.with(|inner| inner.reports.len()),
        bench.service.told(KIND_HOST).len(),
    );
    bench.pass(60).await;
    let reports = bench.service.with(|inner| inner.reports.split_off(before));
    assert_eq!(reports.len(), 3, "{reports:?}");
    for report in &reports {
        assert_eq!(
            report
                .iter()
                .filter(|seen| seen.kind == KIND_SERVER)
                .count(),
            1,
            "{report:?}"
        );
    }
    assert!(bench.service.told(KIND_HOST).len() <= inventories);
    bench.pass(120).await;
    let inventories = bench.service.told(KIND_HOST).len();
    assert!(
        (2..=4).contains(&inventories),
        "{inventories} inventories in 210 s"
    );
}

#[tokio::test]
async fn what_could_not_be_told_is_told_once_the_service_is_back() {
    let bench = Bench::start().await;
    bench.service.want(server(1, "running"));
    bench.pass(2).await;
    bench.service.with(|inner| inner.down = true);
    bench.world.guest_shuts_down("one", &ServerId::from(SERVER));
    bench.pass(5).await;
    assert_eq!(
        bench.service.told(KIND_SERVER).pop().unwrap().state,
        "running"
    );
    bench.service.with(|inner| inner.down = false);
    bench.pass(3).await;
    assert_eq!(
        bench.service.told(KIND_SERVER).pop().unwrap().state,
        "stopped"
    );
}

#[tokio::test]
async fn a_question_about_a_console_is_answered_once() {
    let bench = Bench::start().await;
    bench.service.want(server(1, "running"));
    let long_ago = bench.clock.now().plus_secs(-3600).0;
    bench.service.want(wish(long_ago));
    bench.pass(2).await;
    assert_eq!(
        bench.service.told(KIND_CONSOLE),
        [],
        "nobody waits for it any more"
    );
    let now = bench.clock.now().0;
    bench.service.want(wish(now));
    bench.pass(2).await;
    bench.service.want(server(2, "running"));
    bench.pass(2).await;
    let told = bench.service.told(KIND_CONSOLE);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].generation_seen, now);
    let tail: ConsoleTail = serde_json::from_value(told[0].detail.clone()).unwrap();
    assert!(
        tail.text.contains("login:") && tail.error.is_none(),
        "{tail:?}"
    );
    bench.service.want(wish(now + 1));
    bench.pass(2).await;
    assert_eq!(bench.service.told(KIND_CONSOLE).len(), 2);
}

#[tokio::test]
async fn a_server_that_cannot_be_read_harms_no_other() {
    let bench = Bench::start().await;
    let broken = FeedItem {
        id: "x".to_owned(),
        spec: Some(json!({"want": "nonsense"})),
        ..server(1, "running")
    };
    bench.service.want(broken);
    bench.service.want(server(1, "running"));
    bench.pass(2).await;
    assert_eq!(
        bench.service.told(KIND_SERVER).pop().unwrap().state,
        "running"
    );
}
