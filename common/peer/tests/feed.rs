use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use nephos_api::{Dispatch, Payload, Request, Response};
use nephos_peer::feed::FeedClient;
use nephos_peer::{Directory, Transport};
use nephos_types::feed::FeedPage;

use super::peers;

/// A service with nothing new after its first document; it remembers what it was asked.
#[derive(Clone, Default)]
struct Quiet(Arc<Mutex<Vec<String>>>);

impl Dispatch for Quiet {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let page = FeedPage {
            revision: 1,
            lists: 0,
            complete: request.query.contains("since=0"),
            items: Vec::new(),
        };
        self.0.lock().unwrap().push(request.query);
        let body = serde_json::to_vec(&page).unwrap();
        Box::pin(async move {
            Response {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: Payload::Bytes(body.into()),
            }
        })
    }
}

#[tokio::test]
async fn who_keeps_no_feed_waits_as_long_as_who_has_kept_it() {
    let folder = std::env::temp_dir().join(format!("nephos-feed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for file in [std::path::PathBuf::new(), folder.join("feed.json")] {
        let quiet = Quiet::default();
        let directory = Directory::default();
        directory.set("quiet", Transport::Local(Arc::new(quiet.clone())));
        let mut client = FeedClient::new(peers(&directory).await, "quiet", "h1", file);
        for _ in 0..2 {
            client.next(20).await.unwrap();
        }
        let asked = quiet.0.lock().unwrap().clone();
        assert_eq!(
            asked,
            [
                "host=h1&since=0&lists=0&wait=0",
                "host=h1&since=1&lists=0&wait=20"
            ]
        );
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_was_kept_before_the_machine_started_is_told_from_what_it_has_heard_since() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("feed.json");
    let directory = Directory::default();
    directory.set("quiet", Transport::Local(Arc::new(Quiet::default())));
    let peers = peers(&directory).await;
    let client = || FeedClient::new(peers.clone(), "quiet", "h1", &file);
    assert!(client().cached().is_none());
    client().next(0).await.unwrap();
    assert!(client().cached().unwrap().of_this_boot);

    let text = std::fs::read_to_string(&file).unwrap();
    let mut kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    for earlier in [serde_json::json!("another"), serde_json::json!("")] {
        kept["boot"] = earlier;
        std::fs::write(&file, kept.to_string()).unwrap();
        let cached = client().cached().unwrap();
        assert!(!cached.of_this_boot && cached.desired.revision == 1);
    }
    // As a program wrote it that noted no start.
    kept.as_object_mut().unwrap().remove("boot");
    std::fs::write(&file, kept.to_string()).unwrap();
    assert!(!client().cached().unwrap().of_this_boot);

    client().next(0).await.unwrap();
    assert!(client().cached().unwrap().of_this_boot);
}
