//! The whole agent: it pulls the feed, changes simulated load balancers and reports.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use nephos_peer::{Account, Directory, Peers, Transport};
use nephos_runtime::{Clock, Shutdown, Task};
use nephos_types::Timestamp;
use nephos_types::feed::{FeedItem, FeedPage, Observed};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::model::spec::*;

/// A control plane: one page, and what was reported.
#[derive(Clone)]
struct Control {
    page: watch::Sender<FeedPage>,
    observed: Arc<Mutex<Vec<Observed>>>,
}

impl Dispatch for Control {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let control = self.clone();
        async move {
            // As the API has it.
            if matches!(&request.body, Incoming::Bytes(body) if body.len() > 1024 * 1024) {
                return Response {
                    status: http::StatusCode::PAYLOAD_TOO_LARGE,
                    headers: http::HeaderMap::new(),
                    body: Payload::Bytes("{}".into()),
                };
            }
            let body = match request.path.as_str() {
                "/host/v1/feed" => control.feed(&request.query).await,
                "/host/v1/observed" => control.take(&request),
                other => panic!("{other}"),
            };
            Response {
                status: http::StatusCode::OK,
                headers: http::HeaderMap::new(),
                body: Payload::Bytes(body.to_string().into()),
            }
        }
        .boxed()
    }
}

impl Control {
    async fn feed(&self, query: &str) -> Value {
        let mut pairs = query.split('&');
        let since = pairs.find_map(|pair| pair.strip_prefix("since="));
        let since: i64 = since.unwrap().parse().unwrap();
        let mut page = self.page.subscribe();
        let page = page.wait_for(|page| page.revision > since).await.unwrap();
        serde_json::to_value(&*page).unwrap()
    }

    fn take(&self, request: &Request) -> Value {
        let Incoming::Bytes(body) = &request.body else {
            panic!()
        };
        let observed: Vec<Observed> = serde_json::from_slice(body).unwrap();
        self.observed.lock().unwrap().extend(observed);
        json!({})
    }

    fn seen(&self, id: &str) -> Vec<Observed> {
        let observed = self.observed.lock().unwrap().clone();
        observed.into_iter().filter(|one| one.id == id).collect()
    }
}

/// A host with an agent, and time that moves when it is told to.
struct Bench {
    control: Control,
    clock: Clock,
    fake: Arc<Fake>,
    folder: tempfile::TempDir,
    running: Option<(Task, Shutdown)>,
}

fn item(id: &str, generation: i64, spec: Option<Value>) -> FeedItem {
    FeedItem {
        kind: KIND_LOAD_BALANCER.to_owned(),
        id: id.to_owned(),
        generation,
        spec,
        request_id: None,
    }
}

fn spec(id: &str) -> Value {
    json!({"id": id, "port_id": "p",
        "listeners": [{"id": "l", "protocol": "http", "port": 80, "addresses": ["10.0.0.5"], "default_pool": "p"}],
        "pools": [{"id": "p", "protocol": "http", "algorithm": "round_robin",
            "members": [{"id": "m", "address": "10.0.0.11", "port": 80, "weight": 1}],
            "monitor": {"kind": "tcp", "delay_s": 1, "timeout_s": 1, "max_retries": 1, "max_retries_down": 1}}]})
}

impl Bench {
    async fn new(items: Vec<FeedItem>) -> Self {
        let mut bench = Self::unstarted(items);
        bench.start().await;
        bench
    }

    fn unstarted(items: Vec<FeedItem>) -> Self {
        let page = FeedPage {
            revision: 1,
            lists: 0,
            complete: true,
            items,
        };
        Self {
            control: Control {
                page: watch::Sender::new(page),
                observed: Arc::default(),
            },
            clock: Clock::virtual_at(Timestamp(1_000_000_000_000_000)),
            fake: Arc::default(),
            folder: tempfile::tempdir().unwrap(),
            running: None,
        }
    }

    async fn start(&mut self) {
        let directory = Directory::default();
        let local = Transport::Local(Arc::new(self.control.clone()));
        directory.set(SERVICE, local);
        self.start_with(directory).await;
    }

    async fn start_with(&mut self, directory: Directory) {
        let clock = self.clock.clone();
        let peers = Peers::new(directory, Account::Nobody, clock.clone(), String::new()).unwrap();
        peers.keep_token("t".into(), Timestamp(i64::MAX)).await;
        let settings = Settings::new("one", self.folder.path().join("feed.json"));
        let driver: Arc<dyn Driver> = Arc::clone(&self.fake) as Arc<dyn Driver>;
        let agent = Agent::new(peers, clock, settings, driver);
        let shutdown = Shutdown::new();
        let until = shutdown.clone();
        let task = nephos_runtime::spawn("agent", async move { agent.run(until).await.unwrap() });
        self.running = Some((task, shutdown));
    }

    async fn stop(&mut self) {
        let (task, shutdown) = self.running.take().unwrap();
        shutdown.begin();
        task.join().await;
    }

    fn tell(&self, complete: bool, items: Vec<FeedItem>) {
        self.control.page.send_modify(|page| {
            *page = FeedPage {
                revision: page.revision + 1,
                lists: 0,
                complete,
                items,
            }
        });
    }

    /// Lets time pass.
    async fn pass(&self, seconds: u64) {
        for _tenth in 0..seconds * 10 {
            self.clock.advance(Duration::from_millis(100));
            for _turn in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Lets time pass until this was reported last; what it was.
    async fn reported(&self, id: &str, state: &str) -> (Observed, LoadBalancerSeen) {
        for _tenth in 0..3000 {
            let last = self.control.seen(id).pop();
            if let Some(last) = last.filter(|last| last.state == state) {
                let seen = serde_json::from_value(last.detail.clone()).unwrap();
                return (last, seen);
            }
            self.clock.advance(Duration::from_millis(100));
            // The file is written on a thread of its own.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{id} was never {state}: {:?}", self.control.seen(id));
    }
}

#[tokio::test]
async fn what_the_feed_wants_is_made_and_told_and_goes_again() {
    let mut bench = Bench::new(vec![
        item("a", 4, Some(spec("a"))),
        item("b", 5, Some(json!({"id": "b"}))),
        item("c", 6, Some(spec("a"))),
    ])
    .await;
    let (told, seen) = bench.reported("a", "up").await;
    assert_eq!((told.generation_seen, seen.revision), (4, 4));
    assert!(seen.running && seen.listeners["l"].up);
    assert_eq!(seen.members["p/m"], MemberHealth::Up);
    let (_, seen) = bench.reported("b", "failed").await;
    let problem = seen.problem.unwrap();
    assert!(problem.contains("missing field"), "{problem}");
    let (_, seen) = bench.reported("c", "failed").await;
    assert_eq!(seen.problem.unwrap(), "its document is of load balancer a");
    let host = bench.control.seen("one").pop().unwrap();
    let report: HostReport = serde_json::from_value(host.detail).unwrap();
    assert_eq!(report.haproxy.as_deref(), Some("simulated"));
    let mut off = spec("a");
    off["enabled"] = json!(false);
    bench.tell(false, vec![item("a", 7, Some(off))]);
    let (told, seen) = bench.reported("a", "down").await;
    assert_eq!((told.generation_seen, seen.running), (7, false));
    bench.tell(false, vec![item("a", 8, None)]);
    bench.reported("a", "gone").await;
    assert!(bench.fake.here().is_empty());
    bench.stop().await;
}

/// Likewise, with so many members.
fn large(id: &str, members: usize) -> Value {
    let mut spec = spec(id);
    let member = |number: usize| json!({"id": format!("{number:036}"), "address": "10.0.0.11", "port": 80, "weight": 1});
    spec["pools"][0]["members"] = (0..members).map(member).collect();
    spec
}

#[tokio::test]
async fn what_is_too_much_for_one_report_is_told_in_pieces_and_one_that_is_refused_holds_up_no_other()
 {
    let mut bench = Bench::new(vec![
        item("a", 1, Some(large("a", 30_000))),
        item("b", 2, Some(large("b", 8_000))),
        item("c", 3, Some(large("c", 8_000))),
        item("d", 4, Some(large("d", 8_000))),
        item("e", 5, Some(spec("e"))),
    ])
    .await;
    for id in ["b", "c", "d", "e"] {
        let (_, seen) = bench.reported(id, "up").await;
        assert!(!seen.members.is_empty());
    }
    assert_eq!(bench.control.seen("a"), []);
    assert!(!bench.control.seen("one").is_empty());
    bench.stop().await;
}

#[tokio::test]
async fn some_that_take_for_ever_hold_up_no_other() {
    let ids: Vec<String> = (0..20).map(|number| format!("slow-{number}")).collect();
    let slow: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut items: Vec<_> = slow.iter().map(|id| item(id, 1, Some(spec(id)))).collect();
    items.push(item("z", 1, Some(spec("z"))));
    items.push(item("going", 1, Some(spec("going"))));
    let mut bench = Bench::unstarted(items);
    bench.fake.hang(&slow);
    bench.start().await;
    bench.reported("z", "up").await;
    bench.reported("going", "up").await;
    let mut off = spec("z");
    off["enabled"] = json!(false);
    bench.tell(false, vec![item("z", 2, Some(off)), item("going", 2, None)]);
    let (told, _) = bench.reported("z", "down").await;
    assert_eq!(told.generation_seen, 2);
    bench.reported("going", "gone").await;
    for id in slow {
        assert_eq!(bench.control.seen(id), []);
    }
    bench.stop().await;
}

#[tokio::test]
async fn health_is_told_at_once_and_counters_every_ten_seconds() {
    let mut bench = Bench::new(vec![item("a", 1, Some(spec("a")))]).await;
    bench.reported("a", "up").await;
    bench.pass(35).await; // everything was told again once
    let told = bench.control.seen("a").len();
    bench.fake.make_ill(&["m"]);
    bench.pass(3).await;
    let seen = bench.control.seen("a");
    assert_eq!(seen.len(), told + 1, "{seen:?}");
    assert_eq!(seen[told].detail["members"]["p/m"], "down");
    for bytes_in in 0..5 {
        bench.fake.count(Counters {
            bytes_in,
            ..Counters::default()
        });
        bench.pass(2).await;
    }
    let seen = bench.control.seen("a");
    assert!(seen.len() <= told + 2, "{seen:?}");
    bench.pass(12).await;
    let last = bench.control.seen("a").pop().unwrap();
    assert_eq!(last.detail["listeners"]["l"]["counters"]["bytes_in"], 4);
    bench.stop().await;
}

#[tokio::test]
async fn one_that_fails_says_why_and_which_document_it_lives_by() {
    let mut bench = Bench::new(vec![item("a", 1, Some(spec("a")))]).await;
    bench.reported("a", "up").await;
    bench.fake.fail(Some(DriverError::Refused("no".to_owned())));
    bench.tell(false, vec![item("a", 2, Some(spec("a")))]);
    let (told, seen) = bench.reported("a", "failed").await;
    assert_eq!((told.generation_seen, seen.revision), (2, 1));
    assert_eq!(seen.problem.as_deref(), Some("no"));
    assert!(seen.running);
    bench.fake.fail(None);
    let (_, seen) = bench.reported("a", "up").await;
    assert_eq!(seen.revision, 2);
    bench.fake.lose("a");
    let _made = bench.fake.take_changes();
    bench.pass(3).await;
    assert_eq!(bench.fake.take_changes(), 1);
    bench.stop().await;
}

#[tokio::test]
async fn a_port_may_be_on_its_way_for_a_minute() {
    let bench = Bench::unstarted(vec![item("a", 1, Some(spec("a")))]);
    let mut bench = bench;
    bench
        .fake
        .fail(Some(DriverError::Waiting("not yet".to_owned())));
    bench.start().await;
    bench.pass(50).await;
    assert_eq!(bench.control.seen("a"), []);
    // It is said then, and not that it has failed.
    let (_, seen) = bench.reported("a", "waiting").await;
    assert_eq!(seen.problem.as_deref(), Some("not yet"));
    bench.fake.fail(None);
    bench.reported("a", "up").await;
    bench.stop().await;
}

#[tokio::test]
async fn an_attempt_that_fails_is_made_again_for_a_minute_before_it_is_said_to_have_failed() {
    let mut bench = Bench::new(vec![item("a", 1, Some(spec("a")))]).await;
    bench.reported("a", "up").await;
    let why = DriverError::failed("write x.cfg", "no space left");
    bench.fake.fail(Some(why));
    bench.tell(false, vec![item("a", 2, Some(spec("a")))]);
    bench.pass(50).await;
    let seen = bench.control.seen("a");
    assert!(seen.iter().all(|told| told.state == "up"), "{seen:?}");
    let (_, seen) = bench.reported("a", "failed").await;
    assert_eq!(
        seen.problem.as_deref(),
        Some("cannot write x.cfg: no space left")
    );
    bench.fake.fail(None);
    bench.reported("a", "up").await;
    bench.stop().await;
}

#[tokio::test]
async fn without_the_control_plane_what_was_kept_in_this_start_of_the_machine_goes_on_and_nothing_goes()
 {
    for (boot, expected) in [
        (nephos_runtime::boot::id(), vec!["a", "x"]),
        ("another".to_owned(), vec!["x"]),
    ] {
        let mut bench = Bench::unstarted(Vec::new());
        let kept = json!({"host": "one", "boot": boot, "revision": 5, "items": [item("a", 1, Some(spec("a")))]});
        std::fs::write(bench.folder.path().join("feed.json"), kept.to_string()).unwrap();
        let stranger = serde_json::from_value(spec("x")).unwrap();
        bench.fake.ensure(&stranger, 1).await.unwrap();
        bench.start_with(Directory::default()).await;
        bench.pass(20).await;
        let here: Vec<_> = bench.fake.here().into_keys().collect();
        assert_eq!(here, expected);
        bench.stop().await;
        bench.start().await;
        bench.reported("x", "gone").await;
        assert!(bench.fake.here().is_empty());
        bench.stop().await;
    }
}

#[tokio::test]
async fn what_was_kept_does_not_bring_an_older_document_back() {
    let mut bench = Bench::unstarted(vec![item("a", 7, Some(spec("a")))]);
    let mut later = spec("a");
    later["listeners"] = json!([]);
    let later = serde_json::from_value(later).unwrap();
    bench.fake.ensure(&later, 7).await.unwrap();
    let kept = json!({"host": "one", "boot": nephos_runtime::boot::id(), "revision": 5, "items": [item("a", 6, Some(spec("a")))]});
    std::fs::write(bench.folder.path().join("feed.json"), kept.to_string()).unwrap();
    bench.start_with(Directory::default()).await;
    bench.pass(20).await;
    assert_eq!(bench.fake.here()["a"], later);
    bench.stop().await;
    // Whatever the control plane says is so.
    bench.start().await;
    bench.reported("a", "up").await;
    assert_ne!(bench.fake.here()["a"], later);
    bench.stop().await;
}

#[tokio::test]
async fn one_of_which_nothing_is_here_is_said_to_be_gone_too() {
    let mut bench = Bench::new(vec![item("a", 1, Some(spec("a")))]).await;
    bench.reported("a", "up").await;
    bench.fake.lose("a");
    bench.fake.fail(Some(DriverError::Refused("no".to_owned())));
    bench.tell(false, vec![item("a", 2, None)]);
    bench.reported("a", "gone").await;
    bench.stop().await;
    // Also by an agent that was started again meanwhile.
    let kept = json!({"host": "one", "boot": "another", "revision": 5, "items": [item("b", 1, Some(spec("b")))]});
    std::fs::write(bench.folder.path().join("feed.json"), kept.to_string()).unwrap();
    bench.tell(true, Vec::new());
    bench.start().await;
    bench.reported("b", "gone").await;
    bench.stop().await;
}

#[tokio::test]
async fn nothing_is_left_when_the_cloud_is_taken_down() {
    let fake = Fake::default();
    for id in ["a", "b"] {
        let spec = serde_json::from_value(spec(id)).unwrap();
        fake.ensure(&spec, 1).await.unwrap();
    }
    remove_everything(&fake).await.unwrap();
    assert!(fake.here().is_empty());
}
