//! The event stream.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use nephos_dashboard::Config;
use nephos_peer::Transport;
use nephos_runtime::WakeSink;
use nephos_testkit::Persona;
use nephos_types::Wake;
use serde_json::{Value, json};

use crate::Site;

type Chunks = BoxStream<'static, Result<bytes::Bytes, std::io::Error>>;

fn target(kinds: &str) -> String {
    format!(
        "/v1/events?project={}&kinds={kinds}",
        Persona::Member.project()
    )
}

/// The next event while time goes by.
async fn next(site: &Site, chunks: &mut Chunks) -> Option<(String, Value)> {
    loop {
        let passing = async {
            loop {
                // The database works on threads of its own, in real time.
                tokio::time::sleep(Duration::from_millis(2)).await;
                site.world.clock.advance(Duration::from_millis(500));
            }
        };
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk?,
            () = passing => return None,
        };
        let text = String::from_utf8(chunk.unwrap().to_vec()).unwrap();
        let line = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name).map(str::to_owned))
        };
        if let Some(event) = line("event: ") {
            return Some((
                event,
                serde_json::from_str(&line("data: ").unwrap()).unwrap(),
            ));
        }
    }
}

#[tokio::test]
async fn a_list_that_changes_is_told_and_one_that_does_not_is_not() {
    let site = Site::new().await;
    let browser = site.signed_in().await;
    let mut chunks = browser.stream(&target("servers,keypairs")).await;
    let (event, first) = next(&site, &mut chunks).await.unwrap();
    assert_eq!(event, "seen");
    assert!(first["servers"].is_string() && first["keypairs"].is_string());
    site.siblings.add_server("web");
    let (_, second) = next(&site, &mut chunks).await.unwrap();
    assert_ne!(second["servers"], first["servers"]);
    assert_eq!(second.as_object().unwrap().len(), 1);
    // Who comes back later compares, and has missed nothing.
    let mut again = browser.stream(&target("servers")).await;
    let (_, third) = next(&site, &mut again).await.unwrap();
    assert_eq!(third["servers"], second["servers"]);
}

#[tokio::test]
async fn a_wake_makes_it_look_at_once() {
    for topic in ["compute.ops", "block.ops"] {
        a_wake_is_heard(topic).await;
    }
}

async fn a_wake_is_heard(topic: &'static str) {
    let site = Site::new().await;
    let browser = site.signed_in().await;
    let mut chunks = browser.stream(&target("servers")).await;
    chunks.next().await.unwrap().unwrap();
    site.siblings.add_server("web");
    let told = chunks.next();
    tokio::pin!(told);
    // Polled once, so that it waits; only the moment after the wake has to pass.
    assert!(futures_util::poll!(&mut told).is_pending());
    site.world.bus.wake(Wake::new(topic, "x"));
    let passing = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        site.world.clock.advance(Duration::from_millis(200));
        std::future::pending::<()>().await;
    };
    let chunk = tokio::select! { chunk = &mut told => chunk, () = passing => None };
    let text = String::from_utf8(chunk.unwrap().unwrap().to_vec()).unwrap();
    assert!(text.contains("servers"), "{text}");
}

#[tokio::test]
async fn volumes_and_their_copies_are_lists_of_the_project() {
    let site = Site::new().await;
    let block = Transport::Local(site.siblings.named("block"));
    site.world.directory.set("block", block);
    let browser = site.signed_in().await;
    let kinds = "volumes,snapshots,backups,volume-types";
    let mut chunks = browser.stream(&target(kinds)).await;
    let (_, seen) = next(&site, &mut chunks).await.unwrap();
    for kind in kinds.split(',') {
        assert!(seen[kind].is_string(), "{kind}");
    }
    let reached = site.siblings.reached();
    let below = format!("/v3/{}/", Persona::Member.project());
    for list in [
        "volumes/detail?",
        "snapshots/detail?",
        "backups/detail?",
        "types?",
    ] {
        let asked = format!("{below}{list}");
        assert!(
            reached.iter().any(|one| one.target.starts_with(&asked)),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn signing_out_ends_the_stream() {
    let site = Site::new().await;
    let browser = site.signed_in().await;
    let mut chunks = browser.stream(&target("servers")).await;
    next(&site, &mut chunks).await.unwrap();
    browser
        .json(http::Method::DELETE, "/v1/session", &json!({}))
        .await
        .expect(204);
    let (event, _) = next(&site, &mut chunks).await.unwrap();
    assert_eq!(event, "signed-out");
    assert!(chunks.next().await.is_none());
}

#[tokio::test]
async fn streams_have_a_limit_and_give_their_place_back() {
    let config = Config {
        event_streams: 1,
        ..Config::default()
    };
    let site = Site::with(config).await;
    let browser = site.signed_in().await;
    let first = browser.stream(&target("servers")).await;
    let got = browser.get(&target("servers")).await.expect(503);
    assert!(
        got.json["error"]["message"]
            .as_str()
            .unwrap()
            .contains("Too many pages")
    );
    drop(first);
    drop(browser.stream(&target("servers")).await);
}

#[tokio::test]
async fn only_known_lists_are_watched() {
    let site = Site::new().await;
    let browser = site.signed_in().await;
    for kinds in ["", "secrets", "servers,../x", &["servers"; 13].join(",")] {
        browser.get(&target(kinds)).await.expect(400);
    }
    site.browser().get(&target("servers")).await.expect(401);
}
