//! What comes between two polls of a host.

use std::time::Duration;

use nephos_ops::feed::{self, Feed, Place};
use nephos_types::feed::Known;
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
