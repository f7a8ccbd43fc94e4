//! What many hosts are told alike.

use std::time::Duration;

use nephos_ops::feed::lists::{self, Edit, List};
use nephos_ops::feed::{self, Feed, Place};
use nephos_types::feed::{FeedPage, Known};
use serde_json::json;

use crate::{Shop, known, shop};

const TOPIC: &str = "toys.feed";
const SHELF: List<'static> = List {
    kind: "neighbour",
    id: "shelf",
};

fn feed_of(shop: &Shop) -> Feed {
    Feed::new(shop.db.clone(), shop.bus.clone(), shop.clock.clone(), TOPIC)
}

/// The host is given the document that the list goes with, or loses it.
async fn reads(shop: &Shop, host: &str, reads: bool) {
    let mut tx = shop.db.write().await.unwrap();
    let (place, now) = (
        Place {
            topic: TOPIC,
            host,
            kind: "shelf",
            id: SHELF.id,
        },
        shop.clock.now(),
    );
    if reads {
        feed::publish_changed(&mut tx, now, place, &json!({}))
            .await
            .unwrap();
        lists::join(&mut tx, host, SHELF).await.unwrap();
    } else {
        feed::withdraw_present(&mut tx, now, place).await.unwrap();
        lists::leave(&mut tx, host, SHELF).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// Writes an entry, or takes it away.
async fn entry(shop: &Shop, name: &str, spec: Option<i64>) {
    let mut tx = shop.db.guarded().await.unwrap();
    let edit = Edit::begin(&mut tx, TOPIC, shop.clock.now()).await.unwrap();
    match spec {
        Some(spec) => {
            edit.set(&mut tx, (SHELF, name), &spec).await.unwrap();
        }
        None => edit.remove(&mut tx, SHELF, name).await.unwrap(),
    }
    tx.commit().await.unwrap();
}

fn entries(page: &FeedPage) -> Vec<(&str, Option<i64>)> {
    let entries = page.items.iter().filter(|item| item.kind == SHELF.kind);
    let mut entries: Vec<_> = entries
        .map(|item| {
            let spec = item.spec.as_ref();
            (item.id.as_str(), spec.and_then(serde_json::Value::as_i64))
        })
        .collect();
    entries.sort_unstable();
    entries
}

#[tokio::test]
async fn who_reads_a_list_gets_all_of_it_then_only_changes() {
    let shop = shop().await;
    let feed = feed_of(&shop);
    entry(&shop, "a", Some(1)).await;
    reads(&shop, "h1", true).await;
    let first = feed.since("h1", Known::default(), 0).await.unwrap();
    assert_eq!(entries(&first), [("shelf/a", Some(1))]);
    entry(&shop, "a", Some(1)).await;
    let same = feed.since("h1", known(&first), 0).await.unwrap();
    assert_eq!(same.items, [], "the same again is no change");
    entry(&shop, "b", Some(2)).await;
    entry(&shop, "a", None).await;
    let change = feed.since("h1", known(&first), 0).await.unwrap();
    assert!(!change.complete);
    assert_eq!(entries(&change), [("shelf/a", None), ("shelf/b", Some(2))]);
    let nothing = feed.since("h2", Known::default(), 0).await.unwrap();
    assert_eq!(nothing.items, [], "who does not read it hears nothing");
}

#[tokio::test]
async fn who_reads_a_list_again_learns_what_went_meanwhile() {
    let shop = shop().await;
    let feed = feed_of(&shop);
    entry(&shop, "a", Some(1)).await;
    entry(&shop, "b", Some(2)).await;
    reads(&shop, "h1", true).await;
    let first = feed.since("h1", Known::default(), 0).await.unwrap();
    reads(&shop, "h1", false).await;
    entry(&shop, "a", None).await;
    reads(&shop, "h1", true).await;
    let again = feed.since("h1", known(&first), 0).await.unwrap();
    assert_eq!(entries(&again), [("shelf/a", None), ("shelf/b", Some(2))]);
}

#[tokio::test]
async fn a_poll_is_woken_by_the_lists_that_the_host_reads() {
    let shop = shop().await;
    let feed = feed_of(&shop);
    reads(&shop, "h1", true).await;
    let first = feed.since("h1", Known::default(), 0).await.unwrap();
    let (page, ()) = tokio::join!(
        feed.since("h1", known(&first), 20),
        entry(&shop, "a", Some(1))
    );
    assert_eq!(entries(&page.unwrap()), [("shelf/a", Some(1))]);
}

#[tokio::test]
async fn a_poll_that_comes_again_hears_of_a_list_that_was_begun_meanwhile() {
    let shop = shop().await;
    let feed = feed_of(&shop);
    reads(&shop, "h1", true).await;
    let first = feed.since("h1", Known::default(), 0).await.unwrap();
    // Twice, so that what the host reads is remembered.
    for _ in 0..2 {
        let time_goes_by = async {
            loop {
                shop.clock.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            page = feed.since("h1", known(&first), 1) => assert_eq!(page.unwrap().items, []),
            () = time_goes_by => {}
        }
    }
    reads(&shop, "h1", false).await;
    let without = feed.since("h1", known(&first), 0).await.unwrap();
    reads(&shop, "h1", true).await;
    let again = feed.since("h1", known(&without), 0).await.unwrap();
    let (page, ()) = tokio::join!(
        feed.since("h1", known(&again), 20),
        entry(&shop, "a", Some(1))
    );
    assert_eq!(entries(&page.unwrap()), [("shelf/a", Some(1))]);
}

#[tokio::test]
async fn who_was_away_while_entries_were_forgotten_reads_everything() {
    let shop = shop().await;
    let feed = feed_of(&shop);
    entry(&shop, "a", Some(1)).await;
    reads(&shop, "h1", true).await;
    let first = feed.since("h1", Known::default(), 0).await.unwrap();
    entry(&shop, "a", None).await;
    let seen = feed.since("h1", known(&first), 0).await.unwrap();
    shop.clock.advance(Duration::from_secs(2 * 24 * 3600));
    let mut tx = shop.db.write().await.unwrap();
    feed::prune(&mut tx, shop.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let late = feed.since("h1", known(&first), 0).await.unwrap();
    assert!(late.complete, "{late:?}");
    assert_eq!(entries(&late), []);
    assert!(!feed.since("h1", known(&seen), 0).await.unwrap().complete);
}
