//! A host beside an image service that takes what it is sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use nephos_types::feed::FeedItem;
use serde_json::json;

use crate::agent::feed::tests::{Bench, SERVER, server};
use crate::driver::DriverError;
use crate::driver::fake::Verb;
use crate::model::snapshot::{KIND_SNAPSHOT, SnapshotSeen};

const IMAGE: &str = "7a1b6c2d-0d1c-4d3c-8f6e-1a2b3c4d5e6f";

/// What was brought, and how the next ones are answered.
type Story = (Vec<Vec<u8>>, Vec<StatusCode>);

#[derive(Clone, Default)]
struct Images(Arc<Mutex<Story>>);

impl Images {
    fn with<T>(&self, f: impl FnOnce(&mut Story) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Dispatch for Images {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let this = self.clone();
        Box::pin(async move {
            assert_eq!(request.path, format!("/v2/images/{IMAGE}/file"));
            let length = request.headers.get("content-length").cloned();
            let Incoming::Stream(mut stream) = request.body else {
                panic!("not a stream")
            };
            let mut all = Vec::new();
            while let Some(Ok(Some(piece))) = stream.recv().await {
                all.extend(piece);
            }
            assert_eq!(length.unwrap().to_str().unwrap(), all.len().to_string());
            let status = this.with(|(brought, answers)| {
                brought.push(all);
                answers.pop().unwrap_or(StatusCode::NO_CONTENT)
            });
            Response {
                status,
                headers: HeaderMap::new(),
                body: Payload::Bytes(Bytes::new()),
            }
        })
    }
}

fn wish(generation: i64) -> FeedItem {
    FeedItem {
        kind: KIND_SNAPSHOT.to_owned(),
        id: SERVER.to_owned(),
        generation,
        spec: Some(json!({"image": IMAGE, "epoch": 0, "on": true})),
        request_id: None,
    }
}

async fn bench() -> (Bench, Images) {
    let images = Images::default();
    let bench = Bench::beside(Some(Arc::new(images.clone()))).await;
    bench.service.want(server(1, "running"));
    bench.pass(2).await;
    (bench, images)
}

fn told(bench: &Bench) -> Vec<SnapshotSeen> {
    let told = bench.service.told(KIND_SNAPSHOT).into_iter();
    told.map(|seen| serde_json::from_value(seen.detail).unwrap())
        .collect()
}

#[tokio::test]
async fn a_disk_is_read_and_brought_once() {
    let (bench, images) = bench().await;
    bench.service.want(wish(7));
    bench.pass(2).await;
    // Other news about the same wish changes nothing.
    bench.service.want(server(2, "running"));
    bench.pass(2).await;
    use SnapshotSeen::{Reading, Uploaded, Uploading};
    assert_eq!(told(&bench), [Reading, Uploading, Uploaded]);
    let brought = images.with(|(brought, _)| brought.clone());
    assert_eq!(brought.len(), 1);
    assert!(brought[0].starts_with(b"QFI\xfb") && brought[0].len() > 512);
    let seen = bench.service.told(KIND_SNAPSHOT).pop().unwrap();
    assert_eq!((seen.id.as_str(), seen.generation_seen), (SERVER, 7));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_the_disk_is_not_read_twice_for_it() {
    let (bench, images) = bench().await;
    let passing = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::CONFLICT];
    images.with(|(_, answers)| answers.extend(passing));
    bench.service.want(wish(7));
    bench.pass(20).await;
    assert_eq!(told(&bench).last(), Some(&SnapshotSeen::Uploaded));
    assert_eq!(images.with(|(brought, _)| brought.len()), 3);
    // Read, opened three times, removed.
    assert_eq!(bench.world.calls("one", Verb::Snapshot), 5);
}

#[tokio::test]
async fn what_lasts_is_said() {
    let (bench, images) = bench().await;
    let full = DriverError::Refused("the host's disk is full".to_owned());
    bench.world.fail_next("one", Verb::Snapshot, full);
    bench.service.want(wish(7));
    bench.pass(2).await;
    let said = |bench: &Bench| match told(bench).pop() {
        Some(SnapshotSeen::Failed { reason }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(said(&bench), "the host's disk is full");
    images.with(|(_, answers)| answers.push(StatusCode::NOT_FOUND));
    bench.service.want(wish(8));
    bench.pass(2).await;
    assert_eq!(said(&bench), "the image is gone");
}

#[tokio::test]
async fn what_is_wanted_no_longer_is_ended() {
    let (bench, images) = bench().await;
    for _try in 0..3 {
        let later = DriverError::Unavailable("busy".to_owned());
        bench.world.fail_next("one", Verb::Snapshot, later);
    }
    bench.service.want(wish(7));
    bench.pass(2).await;
    assert_eq!(told(&bench), [SnapshotSeen::Reading]);
    bench.service.with(|inner| {
        inner.items.retain(|item| item.kind != KIND_SNAPSHOT);
    });
    bench.service.want(server(2, "running"));
    bench.pass(60).await;
    assert_eq!(told(&bench), [SnapshotSeen::Reading]);
    assert!(images.with(|(brought, _)| brought.is_empty()));
    // The one after it is another matter.
    bench.service.want(wish(9));
    bench.pass(10).await;
    assert_eq!(told(&bench).last(), Some(&SnapshotSeen::Uploaded));
}

#[tokio::test]
async fn a_guest_that_still_starts_is_waited_for() {
    let images = Images::default();
    let bench = Bench::beside(Some(Arc::new(images.clone()))).await;
    bench.world.withhold_taps("one", true);
    let mut starting = server(1, "running");
    let port = json!([{"port_id": "p", "tap": "tap1", "mac": "fa:16:3e:00:00:01", "mtu": 1500}]);
    starting.spec.as_mut().unwrap()["ports"] = port;
    bench.service.want(starting);
    bench.service.want(wish(7));
    bench.pass(30).await;
    assert_eq!(told(&bench), [SnapshotSeen::Reading]);
    bench.world.withhold_taps("one", false);
    bench.pass(30).await;
    assert_eq!(told(&bench).last(), Some(&SnapshotSeen::Uploaded));
}

#[tokio::test]
async fn a_guest_that_ended_by_itself_is_not_waited_for_forever() {
    let (bench, images) = bench().await;
    bench.world.guest_shuts_down("one", &SERVER.into());
    bench.pass(2).await;
    bench.service.want(wish(7));
    bench.pass(10).await;
    bench.clock.advance(Duration::from_secs(570));
    bench.pass(10).await;
    assert_eq!(told(&bench), [SnapshotSeen::Reading]);
    bench.pass(20).await;
    assert_eq!(told(&bench).last(), Some(&SnapshotSeen::Uploaded));
    assert_eq!(images.with(|(brought, _)| brought.len()), 1);
}

#[tokio::test]
async fn what_an_agent_before_this_one_was_reading_is_ended_before_anything_is_read() {
    let images = Images::default();
    let bench = Bench::beside(Some(Arc::new(images.clone()))).await;
    for _try in 0..8 {
        let away = DriverError::Unavailable("away".to_owned());
        bench.world.fail_next("one", Verb::GiveUp, away);
    }
    bench.service.want(server(1, "running"));
    bench.service.want(wish(7));
    bench.pass(30).await;
    assert!(bench.world.calls("one", Verb::GiveUp) > 2);
    assert_eq!(bench.world.calls("one", Verb::Snapshot), 0);
    bench.pass(30).await;
    assert_eq!(told(&bench).last(), Some(&SnapshotSeen::Uploaded));
    assert_eq!(bench.world.calls("one", Verb::GiveUp), 9);
}

#[tokio::test]
async fn a_wish_that_cannot_be_read_is_refused_once() {
    let (bench, images) = bench().await;
    let mut strange = wish(7);
    strange.spec = Some(json!({"picture": IMAGE}));
    bench.service.want(strange);
    bench.pass(2).await;
    bench.service.want(server(2, "running"));
    bench.pass(10).await;
    let said = told(&bench);
    let [SnapshotSeen::Failed { reason }] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert!(reason.contains("too old"), "{reason}");
    assert!(images.with(|(brought, _)| brought.is_empty()));
}
