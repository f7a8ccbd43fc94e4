//! What comes between two polls of a host.

use std::time::Duration;

use nephos_bus::Bus;
use nephos_db::args;
use nephos_ops::feed::lists::{self, Edit, List};
use nephos_ops::feed::{self, Feed, Place};
use nephos_runtime::WakeSink as _;
use nephos_types::Wake;
use nephos_types::feed::{FeedPage, Known};
use serde_json::json;

use crate::{Shop, known, shop};

const TOPIC: &str = "toys.feed";

async fn tell(shop: &Shop, generation: i64) {
    let place = Place {
        topic: TOPIC,
        host: "h1",
        kind: "toy",
        id: "a",
    };
    let mut tx = shop.db.write().await.unwrap();
    feed::publish(&mut tx, shop.clock.now(), place, generation, &json!({}))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_poll_hears_at_once_of_what_came_since_the_last() {
    let shop = shop().await;
    let feed = Feed::new(shop.db.clone(), shop.bus.clone(), shop.clock.clone(), TOPIC);
    tell(&shop, 1).await;
    let mut last = feed.since("h1", Known::default(), 20).await.unwrap();
    let began = shop.clock.monotonic();
    for generation in 2..5 {
        tell(&shop, generation).await;
        last = feed.since("h1", known(&last), 20).await.unwrap();
        let seen: Vec<i64> = last.items.iter().map(|item| item.generation).collect();
        assert_eq!(seen, [generation]);
    }
    assert_eq!(shop.clock.monotonic(), began, "it did not wait for that");
}

#[tokio::test]
async fn a_poll_after_a_wake_that_brought_nothing_waits_and_then_says_so() {
    let shop = shop().await;
    let feed = Feed::new(shop.db.clone(), shop.bus.clone(), shop.clock.clone(), TOPIC);
    tell(&shop, 1).await;
    let first = feed.since("h1", Known::default(), 20).await.unwrap();
    let time_goes_by = async {
        loop {
            shop.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let nothing = tokio::select! {
        page = feed.since("h1", known(&first), 20) => page.unwrap(),
        () = time_goes_by => return,
    };
    assert_eq!((nothing.items.len(), nothing.complete), (0, false));
    tell(&shop, 2).await;
    let news = feed.since("h1", known(&nothing), 20).await.unwrap();
    assert_eq!(news.items.len(), 1);
}

/// A poll of `host` by a process that hears nobody else, and how long it took.
async fn deaf_poll(
    shop: &Shop,
    last: &FeedPage,
    meanwhile: impl Future<Output = ()>,
) -> (FeedPage, Duration) {
    let bus = Bus::amqp("amqp://127.0.0.1:1", shop.clock.clone()).unwrap();
    let feed = Feed::new(shop.db.clone(), bus, shop.clock.clone(), TOPIC);
    // The first one learns what the host reads.
    feed.since("h1", known(last), 0).await.unwrap();
    let began = shop.clock.monotonic();
    let time_goes_by = async {
        meanwhile.await;
        loop {
            shop.clock.advance(Duration::from_millis(500));
            while_it_looks(shop).await;
        }
    };
    tokio::select! {
        page = feed.since("h1", known(last), 20) => {
            (page.unwrap(), shop.clock.monotonic().saturating_sub(began))
        }
        () = time_goes_by => unreachable!(),
    }
}

#[tokio::test]
async fn without_the_broker_a_poll_hears_before_its_end_of_what_another_process_wrote() {
    let shop = shop().await;
    let feed = Feed::new(shop.db.clone(), shop.bus.clone(), shop.clock.clone(), TOPIC);
    let list = List {
        kind: "entry",
        id: "l",
    };
    tell(&shop, 1).await;
    let mut tx = shop.db.write().await.unwrap();
    lists::join(&mut tx, "h1", list).await.unwrap();
    tx.commit().await.unwrap();
    tell(&shop, 2).await;
    let first = feed.since("h1", Known::default(), 0).await.unwrap();

    let (page, took) = deaf_poll(&shop, &first, tell(&shop, 3)).await;
    assert_eq!(page.items.len(), 1);
    assert!(took < Duration::from_secs(20), "{took:?}");

    let entry = async {
        let mut tx = shop.db.write().await.unwrap();
        let edit = Edit::begin(&mut tx, TOPIC, shop.clock.now()).await.unwrap();
        edit.set(&mut tx, (list, "e"), &1).await.unwrap();
        tx.commit().await.unwrap();
    };
    let (page, took) = deaf_poll(&shop, &page, entry).await;
    assert_eq!(page.items.len(), 1);
    assert!(took < Duration::from_secs(20), "{took:?}");

    let (nothing, took) = deaf_poll(&shop, &page, async {}).await;
    assert_eq!((nothing.items.len(), nothing.complete), (0, false));
    assert_eq!(known(&nothing), known(&page));
    assert!(took >= Duration::from_secs(20), "{took:?}");
}

/// Time in which a poll does what it can.
async fn while_it_looks(shop: &Shop) {
    for _ in 0..50 {
        let hosts = "SELECT COUNT(*) FROM feed_hosts";
        let _count: i64 = shop.db.fetch_scalar(hosts, args![]).await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_is_asked_to_look_at_everything_does_not_go_by_a_look_of_before() {
    let shop = shop().await;
    // It hears nothing of what is written by way of the other one.
    let bus = Bus::local();
    let feed = Feed::new(shop.db.clone(), bus.clone(), shop.clock.clone(), TOPIC);
    tell(&shop, 1).await;
    let first = feed.since("h1", Known::default(), 0).await.unwrap();
    let look_at_everything = || bus.wake(Wake::new(TOPIC, ""));
    let wakes = async {
        while_it_looks(&shop).await;
        look_at_everything();
        while_it_looks(&shop).await;
        tell(&shop, 2).await;
        look_at_everything();
        while_it_looks(&shop).await;
    };
    let page = tokio::select! {
        biased;
        page = feed.since("h1", known(&first), 20) => page.unwrap(),
        () = wakes => panic!("it waits for the end"),
    };
    let seen: Vec<i64> = page.items.iter().map(|item| item.generation).collect();
    assert_eq!(seen, [2]);
}
