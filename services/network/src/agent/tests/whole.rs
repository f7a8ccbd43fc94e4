//! The whole agent: it pulls the feed, changes the simulated data plane and reports.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use nephos_peer::{Credentials, Directory, Peers, Transport};
use nephos_runtime::{Clock, Shutdown};
use nephos_types::Timestamp;
use nephos_types::feed::{FeedItem, FeedPage, Observed};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::bench::*;
use crate::agent::Agent;
use crate::driver::Driver;
use crate::driver::fake::Fake;
use crate::driver::plane::HOST;
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
            let body = match request.path.as_str() {
                "/host/v1/feed" => control.feed(&request.query).await,
                "/host/v1/observed" => control.take(&request),
                other => panic!("{other}"),
            };
            Response {
                status: http::StatusCode::OK,
                headers: http::HeaderMap::new(),
                body: Payload::Bytes(Bytes::from(body.to_string())),
            }
        }
        .boxed()
    }
}

impl Control {
    async fn feed(&self, query: &str) -> Value {
        let since = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("since="));
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

    /// Waits until this was reported.
    async fn reported(&self, kind: &str, id: &str, state: &str) -> Observed {
        for _try in 0..1000 {
            let seen = self.observed.lock().unwrap().clone();
            let found = seen
                .iter()
                .rev()
                .find(|seen| seen.kind == kind && seen.id == id);
            if let Some(found) = found.filter(|found| found.state == state) {
                return found.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!(
            "{kind} {id} was never {state}: {:?}",
            self.observed.lock().unwrap()
        );
    }
}

fn item(kind: &str, id: &str, generation: i64, spec: Option<Value>) -> FeedItem {
    FeedItem {
        kind: kind.to_owned(),
        id: id.to_owned(),
        generation,
        spec,
        request_id: None,
    }
}

async fn peers(directory: Directory, clock: &Clock) -> Peers {
    let credentials = Credentials {
        user: String::new(),
        password: String::new(),
        project: String::new(),
    };
    let peers = Peers::new(directory, credentials, clock.clone(), String::new()).unwrap();
    peers.keep_token("t".into(), Timestamp(i64::MAX)).await;
    peers
}

#[tokio::test]
async fn what_the_feed_wants_is_done_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(1, Segment::Vxlan { vni: 7 }, "10.0.0.0/24");
    let spec = port(11, 1, &["10.0.0.11"], &[]);
    let wanted = vec![
        item(
            KIND_NETWORK,
            &id(1),
            3,
            Some(serde_json::to_value(network).unwrap()),
        ),
        item(
            KIND_PORT,
            &id(11),
            4,
            Some(serde_json::to_value(spec).unwrap()),
        ),
        item(KIND_PORT, &id(12), 1, Some(json!({"id": id(12)}))),
        item("of a newer release", "x", 1, Some(json!({}))),
    ];
    let page = FeedPage {
        revision: 5,
        lists: 0,
        complete: true,
        items: wanted,
    };
    let control = Control {
        page: watch::Sender::new(page),
        observed: Arc::default(),
    };
    let directory = Directory::default();
    directory.set("network", Transport::Local(Arc::new(control.clone())));
    let clock = Clock::system();
    let peers = peers(directory, &clock).await;
    let mut settings = settings("127.0.0.1");
    settings.feed_file = folder.path().join("network-feed.json");
    let fake = Arc::new(Fake::default());
    let driver: Arc<dyn Driver> = Arc::clone(&fake) as Arc<dyn Driver>;
    let agent = Agent::new(peers, clock, settings, driver);
    let shutdown = Shutdown::new();
    let running = nephos_runtime::spawn("agent", {
        let shutdown = shutdown.clone();
        async move { agent.run(shutdown).await.unwrap() }
    });
    assert_eq!(
        control
            .reported(KIND_PORT, &id(11), "up")
            .await
            .generation_seen,
        4
    );
    assert_eq!(
        control
            .reported(KIND_NETWORK, &id(1), "up")
            .await
            .generation_seen,
        3
    );
    let failed = control.reported(KIND_PORT, &id(12), "failed").await;
    assert!(
        failed.detail["reason"]
            .as_str()
            .unwrap()
            .contains("missing field"),
        "{failed:?}"
    );
    let host = control.reported(KIND_HOST, "one", "up").await;
    let report: HostReport = serde_json::from_value(host.detail).unwrap();
    assert_eq!(report.physical_networks, ["public"]);
    assert!(fake.plane().spaces[HOST].links.contains_key(&tap(11)));
    let gone = FeedPage {
        revision: 6,
        lists: 0,
        complete: false,
        items: vec![
            item(KIND_PORT, &id(11), 5, None),
            item(KIND_PORT, &id(12), 2, None),
        ],
    };
    control.page.send_replace(gone);
    control.reported(KIND_PORT, &id(11), "gone").await;
    assert!(!fake.plane().spaces[HOST].links.contains_key(&tap(11)));
    assert!(folder.path().join("network-feed.json").exists());
    shutdown.begin();
    running.join().await;
}

/// The network of a host whose agent starts with a document that was kept in a start of the machine, and hears nothing.
async fn without_control_plane(boot: &str) -> Arc<Fake> {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings("127.0.0.1");
    settings.feed_file = folder.path().join("network-feed.json");
    let network = network(1, Segment::Vxlan { vni: 7 }, "10.0.0.0/24");
    let spec = serde_json::to_value(port(11, 1, &["10.0.0.11"], &[])).unwrap();
    let items = [
        item(
            KIND_NETWORK,
            &id(1),
            3,
            Some(serde_json::to_value(network).unwrap()),
        ),
        item(KIND_PORT, &id(11), 4, Some(spec)),
    ];
    let kept = json!({"host": settings.host, "boot": boot, "revision": 5, "items": items});
    std::fs::write(&settings.feed_file, kept.to_string()).unwrap();
    let clock = Clock::virtual_at(Timestamp(1_000_000_000_000_000));
    let peers = peers(Directory::default(), &clock).await;
    let fake = Arc::new(Fake::default());
    let driver: Arc<dyn Driver> = Arc::clone(&fake) as Arc<dyn Driver>;
    let agent = Agent::new(peers, clock.clone(), settings, driver);
    let shutdown = Shutdown::new();
    let running = nephos_runtime::spawn("agent", {
        let shutdown = shutdown.clone();
        async move { agent.run(shutdown).await.unwrap() }
    });
    for _second in 0..100 {
        clock.advance(Duration::from_secs(1));
        for _turn in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    shutdown.begin();
    running.join().await;
    fake
}

#[tokio::test]
async fn what_was_kept_is_made_again_after_a_start_of_the_agent_and_not_after_one_of_the_machine() {
    let plane = |fake: &Fake| fake.plane().spaces.get(HOST).cloned();
    let same = without_control_plane(&nephos_runtime::boot::id()).await;
    assert!(plane(&same).unwrap().links.contains_key(&tap(11)));
    let another = without_control_plane("another").await;
    assert!(plane(&another).is_none_or(|space| !space.links.contains_key(&tap(11))));
}
