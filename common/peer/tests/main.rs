//! The same promises whether a sibling is in this process or behind a socket.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod feed;
mod trust;

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use nephos_api::shell::{self, Audience, Health, Mount, Site};
use nephos_api::{Dispatch, Incoming, Payload, Request, Response, UNTIL};
use nephos_peer::{Credentials, Directory, Peers, Replicas, Transport};
use nephos_runtime::{Clock, Shutdown, request};
use nephos_types::{RequestId, Timestamp};
use serde_json::{Value, json};

/// A sibling that tells what it was asked, and can be slow.
#[derive(Clone, Default)]
pub struct Echo {
    asked: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    ids: Arc<Mutex<Vec<String>>>,
    until: Arc<Mutex<Vec<i64>>>,
}

impl Dispatch for Echo {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let echo = self.clone();
        Box::pin(async move {
            echo.asked.fetch_add(1, Ordering::SeqCst);
            let id = request.headers.get("x-openstack-request-id");
            let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
            echo.ids.lock().unwrap().push(id.to_owned());
            let until = request.headers.get(UNTIL).and_then(|at| at.to_str().ok());
            let until = until.and_then(|at| at.parse().ok()).unwrap_or_default();
            echo.until.lock().unwrap().push(until);
            if request.path == "/slow" {
                Clock::system().sleep(Duration::from_millis(300)).await;
            }
            echo.ended.fetch_add(1, Ordering::SeqCst);
            answer(request).await
        })
    }
}

async fn answer(request: Request) -> Response {
    let body = match request.body {
        Incoming::Bytes(bytes) => bytes,
        Incoming::Stream(mut chunks) => {
            let mut all = Vec::new();
            while let Some(Ok(Some(chunk))) = chunks.recv().await {
                all.extend_from_slice(&chunk);
            }
            all.into()
        }
    };
    let (status, body) = match request.path.as_str() {
        "/none" => (StatusCode::NO_CONTENT, Payload::Empty),
        "/refused" => {
            let fault = json!({"itemNotFound": {"code": 404, "message": "no such thing"}});
            (
                StatusCode::NOT_FOUND,
                Payload::Bytes(fault.to_string().into()),
            )
        }
        _ => {
            let told = json!({
                "method": request.method.as_str(), "path": request.path, "query": request.query, "bytes": body.len(),
                "base": request.base_url,
                "type": request.headers.get("content-type").and_then(|value| value.to_str().ok()),
            });
            (StatusCode::OK, Payload::Bytes(told.to_string().into()))
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-subject-token", "t".parse().unwrap());
    Response {
        status,
        headers,
        body,
    }
}

/// Serves a sibling on a port of its own; the URL of its prefix.
pub fn listen(service: Arc<dyn Dispatch>, shutdown: &Shutdown) -> String {
    listen_for(service, shutdown, |_site| {})
}

fn listen_for(
    service: Arc<dyn Dispatch>,
    shutdown: &Shutdown,
    change: impl FnOnce(&mut Site),
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut site = Site {
        mounts: vec![Mount {
            prefix: "/echo",
            service,
        }],
        audience: Audience::Everybody,
        proxies: Vec::new(),
        health: Arc::new(|| Health {
            ready: true,
            words: "ok\n".to_owned(),
        }),
        workers: 1,
    };
    change(&mut site);
    shell::serve(listener, site, shutdown.clone()).unwrap();
    format!("http://{address}/echo")
}

pub async fn peers(directory: &Directory) -> Peers {
    let account = Credentials {
        user: "x".to_owned(),
        password: String::new(),
        project: "service".to_owned(),
    };
    let origin = "http://cloud.test".to_owned();
    let peers = Peers::new(directory.clone(), account, Clock::system(), origin).unwrap();
    peers.keep_token("t".to_owned(), Timestamp(i64::MAX)).await;
    peers
}

/// A sibling by both ways.
async fn both() -> (Echo, [Peers; 2]) {
    let echo = Echo::default();
    let url = listen(Arc::new(echo.clone()), &Shutdown::new());
    let (near, far) = (Directory::default(), Directory::default());
    near.set("echo", Transport::Local(Arc::new(echo.clone())));
    far.set("echo", Transport::Http(Arc::new(Replicas::new(vec![url]))));
    (echo, [peers(&near).await, peers(&far).await])
}

#[tokio::test]
async fn both_ways_say_the_same() {
    let (_echo, both) = both().await;
    let mut told: Vec<Vec<Value>> = Vec::new();
    for peers in &both {
        let get = peers.get("echo", "/a/b%20c?d=e&f=g%26").as_service();
        let plain = get.send().await.unwrap();
        let header = plain.headers.get("x-subject-token").unwrap();
        let posted = peers.post("echo", "/x").json(&json!({"a": 1}));
        let large = Bytes::from(vec![7; 3_000_000]);
        let large = peers.put("echo", "/large").bytes(large);
        let none = peers.delete("echo", "/none").send().await.unwrap();
        let refused = peers.get("echo", "/refused").send().await.unwrap_err();
        told.push(vec![
            plain.json().unwrap(),
            json!(header.to_str().unwrap()),
            posted.send().await.unwrap().json().unwrap(),
            large.send().await.unwrap().json().unwrap(),
            json!([none.status.as_u16(), none.body.len()]),
            json!([refused.status, refused.message, refused.is_not_found()]),
        ]);
    }
    for told in told.iter_mut().flatten().filter_map(Value::as_object_mut) {
        // Where the sibling is differs, of course.
        told.remove("base");
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[1][3]["bytes"], 3_000_000);
}

#[tokio::test]
async fn a_sibling_does_what_it_was_asked_even_when_the_caller_gives_up() {
    let (echo, both) = both().await;
    let clock = Clock::system();
    for (number, peers) in both.iter().enumerate() {
        let call = peers.get("echo", "/slow").send();
        let answered = clock.timeout(Duration::from_millis(100), call).await;
        assert!(answered.is_none());
        assert_eq!(echo.asked.load(Ordering::SeqCst), number + 1);
        clock.sleep(Duration::from_millis(400)).await;
        assert_eq!(echo.ended.load(Ordering::SeqCst), number + 1);
    }
}

#[tokio::test]
async fn the_request_id_goes_along_with_every_call_of_a_request() {
    let (echo, both) = both().await;
    for peers in &both {
        let id = RequestId::from("req-00000000-0000-4000-8000-000000000001");
        request::under(id, async { peers.get("echo", "/x").send().await.unwrap() }).await;
        peers.get("echo", "/x").send().await.unwrap();
    }
    let seen = echo.ids.lock().unwrap().clone();
    let named = "req-00000000-0000-4000-8000-000000000001";
    assert_eq!(seen, [named, "", named, ""]);
}

#[tokio::test]
async fn a_sibling_is_told_until_when_it_is_waited_for() {
    let (echo, both) = both().await;
    let clock = Clock::system();
    for peers in &both {
        let began = clock.now();
        peers.get("echo", "/x").send().await.unwrap();
        let soon = clock.now().plus_secs(3);
        let call = async { peers.get("echo", "/x").send().await.unwrap() };
        request::within(Some(soon), call).await;
        let told = std::mem::take(&mut *echo.until.lock().unwrap());
        // Earlier than the caller gives up, so that what is under way then is done.
        let usual = began.plus_secs(25).0..=clock.now().plus_secs(25).0;
        assert!(usual.contains(&told[0]), "{told:?}");
        assert_eq!(told[1], soon.0);
    }
}

#[tokio::test]
async fn a_copy_that_is_away_is_passed_over_and_none_at_all_is_worth_another_try() {
    let echo = Echo::default();
    let url = listen(Arc::new(echo.clone()), &Shutdown::new());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("http://{}/echo", nobody.local_addr().unwrap());
    drop(nobody);
    let directory = Directory::default();
    let set = |urls: Vec<String>| {
        directory.set("echo", Transport::Http(Arc::new(Replicas::new(urls))));
    };
    let peers = peers(&directory).await;
    set(vec![away.clone(), url]);
    for _try in 0..3 {
        peers.get("echo", "/x").send().await.unwrap();
    }
    assert_eq!(echo.asked.load(Ordering::SeqCst), 3);
    set(vec![away]);
    let why = peers.get("echo", "/x").send().await.unwrap_err();
    assert!(why.is_transient(), "{why}");
}

#[tokio::test]
async fn only_a_known_proxy_is_believed_what_it_says_of_the_clients_url() {
    let (plain, proxied) = (Directory::default(), Directory::default());
    let set = |directory: &Directory, url: String| {
        directory.set("echo", Transport::Http(Arc::new(Replicas::new(vec![url]))));
    };
    set(&plain, listen(Arc::new(Echo::default()), &Shutdown::new()));
    let trusting = |site: &mut Site| site.proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let url = listen_for(Arc::new(Echo::default()), &Shutdown::new(), trusting);
    set(&proxied, url);
    for (directory, believed) in [(plain, false), (proxied, true)] {
        let peers = peers(&directory).await;
        let call = peers
            .get("echo", "/x")
            .header("x-forwarded-host".parse().unwrap(), "evil.example")
            .header("x-forwarded-proto".parse().unwrap(), "https");
        let told: Value = call.send().await.unwrap().json().unwrap();
        let base = told["base"].as_str().unwrap();
        assert_eq!(base == "https://evil.example/echo", believed, "{base}");
        assert_eq!(base.starts_with("http://127.0.0.1:"), !believed, "{base}");
    }
}

#[tokio::test]
async fn clients_see_neither_metrics_nor_the_clouds_own_calls() {
    for audience in [Audience::Clients, Audience::Everybody] {
        let set = |site: &mut Site| site.audience = audience;
        let url = listen_for(Arc::new(Echo::default()), &Shutdown::new(), set);
        let origin = url.trim_end_matches("/echo").to_owned();
        let directory = Directory::default();
        directory.set(
            "echo",
            Transport::Http(Arc::new(Replicas::new(vec![origin]))),
        );
        let peers = peers(&directory).await;
        for (target, for_clients) in [
            ("/healthz", true),
            ("/echo/v2.1/servers", true),
            ("/metrics", false),
            ("/echo/host/v1/feed", false),
            ("/echo//host/v1/feed", false),
            ("/echo/%68ost/v1/feed", false),
            ("/echo/trust/v1/bundle", false),
            ("/echo/journal/v1/entries", false),
        ] {
            let answer = peers.get("echo", target).send().await;
            let shown = for_clients || audience == Audience::Everybody;
            assert_eq!(answer.is_ok(), shown, "{target} for {audience:?}");
        }
    }
}
