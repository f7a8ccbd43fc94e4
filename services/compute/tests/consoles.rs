//! Consoles that one can type into: links, and the conversations that they begin.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderValue, Method};
use nephos_api::{App, Dispatch as _, Incoming, Payload, Request, Response, Socket};
use nephos_compute::Compute;
use nephos_testkit::{HOST, OTHER_HOST, Persona};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::cloud::Cloud;

async fn link(cloud: &Cloud, id: &str, body: Value) -> Value {
    let target = format!("/v2.1/servers/{id}/remote-consoles");
    let member = cloud.member().at("compute 2.6");
    let answer = member.post(&target, json!({ "remote_console": body }));
    answer.await.expect(200).json["remote_console"].clone()
}

fn token(url: &Value) -> String {
    let url = url.as_str().unwrap();
    url.rsplit(['=', 'D']).next().unwrap().to_owned()
}

/// As a browser asks for a WebSocket.
fn opening(token: &str) -> Request {
    let mut request = Request::new(Method::GET, &format!("/console?token={token}"));
    let websocket = HeaderValue::from_static("websocket");
    request.headers.insert("upgrade", websocket);
    request.base_url = "http://cloud.test/compute".to_owned();
    request
}

/// The session that the host is called to.
async fn called(cloud: &Cloud) -> Option<String> {
    let feed = cloud.ask.as_host(HOST).get("/host/v1/feed?wait=0").await;
    let feed = feed.expect(200).json;
    let mut items = feed["items"].as_array()?.iter();
    let call = items.find(|item| item["kind"] == "console-call")?;
    Some(call["spec"]["session"].as_str()?.to_owned())
}

fn joining(cloud: &Cloud, host: Persona, session: &str, body: Incoming) -> Request {
    let mut request = Request::new(Method::POST, &format!("/host/v1/consoles/{session}"));
    let token = cloud.world.token(host).unwrap();
    let token = HeaderValue::from_str(&token).unwrap();
    request.headers.insert("x-auth-token", token);
    request.body = body;
    request
}

/// What the guest says.
type Guest = mpsc::Sender<Result<Option<Bytes>, std::io::Error>>;

/// Opens a console while its host comes.
async fn conversation(
    cloud: &Cloud,
    app: &App<Compute>,
    token: &str,
) -> (Response, Response, Guest) {
    let (said, body) = mpsc::channel(4);
    let opening = app.dispatch(opening(token));
    let coming = async {
        loop {
            tokio::task::yield_now().await;
            if let Some(session) = called(cloud).await {
                let body = Incoming::Stream(body);
                return app
                    .dispatch(joining(cloud, Persona::Host, &session, body))
                    .await;
            }
        }
    };
    let (opened, joined) = tokio::join!(opening, coming);
    (opened, joined, said)
}

#[tokio::test]
async fn a_link_leads_to_a_page_or_to_a_websocket() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let screen = link(&cloud, &id, json!({"protocol": "vnc", "type": "novnc"})).await;
    let url = screen["url"].as_str().unwrap();
    assert!(
        url.contains("/dashboard/console.html?path=compute%2Fconsole%3Ftoken%3D"),
        "{url}"
    );
    let serial = link(&cloud, &id, json!({"protocol": "serial", "type": "serial"})).await;
    let url = serial["url"].as_str().unwrap();
    assert!(
        url.starts_with("ws://") && url.contains("/console?token="),
        "{url}"
    );
    assert_ne!(token(&screen["url"]), token(&serial["url"]));

    let member = cloud.member().at("compute 2.5");
    let target = format!("/v2.1/servers/{id}/action");
    for body in [
        json!({"os-getVNCConsole": {"type": "novnc"}}),
        json!({"os-getSerialConsole": {"type": "serial"}}),
    ] {
        let answer = member.post(&target, body.clone()).await.expect(200);
        assert!(answer.json["console"]["url"].is_string(), "{body}");
        // Newer versions have the other call.
        let newer = cloud.member().at("compute 2.6");
        newer.post(&target, body).await.expect(404);
    }
}

#[tokio::test]
async fn what_there_is_not_is_refused_in_novas_words() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let target = format!("/v2.1/servers/{id}/remote-consoles");
    let member = cloud.member().at("compute 2.96");
    for (protocol, wanted, words) in [
        ("vnc", "serial", "Invalid console type serial"),
        (
            "spice",
            "spice-html5",
            "Unavailable console type spice-html5.",
        ),
        ("vnc", "x", "'x' is not one of"),
        ("x", "novnc", "'x' is not one of"),
    ] {
        let body = json!({"remote_console": {"protocol": protocol, "type": wanted}});
        let answer = member.post(&target, body).await.expect(400);
        let said = answer.json["badRequest"]["message"].as_str().unwrap();
        assert!(said.contains(words), "{said}");
    }
    let stop = json!({"os-stop": null});
    let action = format!("/v2.1/servers/{id}/action");
    member.post(&action, stop).await.expect(202);
    cloud.settle().await;
    let body = json!({"remote_console": {"protocol": "vnc", "type": "novnc"}});
    let answer = member.post(&target, body).await.expect(409);
    let said = answer.json["conflictingRequest"]["message"]
        .as_str()
        .unwrap();
    assert!(said.contains("while it is in vm_state stopped"), "{said}");
}

#[tokio::test]
async fn a_console_carries_bytes_both_ways_until_one_side_ends_it() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let app = App::new(Arc::clone(&cloud.compute)).unwrap();
    let made = link(&cloud, &id, json!({"protocol": "serial", "type": "serial"})).await;
    let token = token(&made["url"]);
    let (opened, joined, guest) = conversation(&cloud, &app, &token).await;
    assert_eq!((opened.status.as_u16(), joined.status.as_u16()), (101, 200));
    let (Payload::Socket(Socket { said, mut answers }), Payload::Open(mut typed)) =
        (opened.body, joined.body)
    else {
        panic!("no conversation");
    };
    guest
        .send(Ok(Some(Bytes::from_static(b"login: "))))
        .await
        .unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap(), "login: ");
    said.send(Bytes::from_static(b"dana")).await.unwrap();
    assert_eq!(
        typed.next().await.unwrap().unwrap().as_ref(),
        b"\0\0\0\x04dana"
    );
    // The user hangs up: the host hears of it.
    drop(said);
    assert!(typed.next().await.is_none());
    guest.send(Ok(None)).await.unwrap();
    assert!(answers.next().await.is_none());
    // The link was used.
    let again = app.dispatch(opening(&token)).await;
    assert_eq!(again.status.as_u16(), 401);
}

#[tokio::test]
async fn only_the_host_that_was_called_brings_the_console() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let app = App::new(Arc::clone(&cloud.compute)).unwrap();
    let wanted = json!({"protocol": "serial", "type": "serial"});
    let made = token(&link(&cloud, &id, wanted).await["url"]);
    let strangers = async {
        let session = loop {
            tokio::task::yield_now().await;
            if let Some(session) = called(&cloud).await {
                break session;
            }
        };
        let target = format!("/host/v1/consoles/{session}");
        for (who, status) in [
            (cloud.ask.as_host(OTHER_HOST), 404),
            (cloud.ask.as_persona(Persona::Service), 403),
            (cloud.ask.as_persona(Persona::Admin), 403),
        ] {
            let body = json!({"error": "a lie"});
            who.put(&target, body).await.expect(status);
        }
        for (who, status) in [(Persona::OtherHost, 404), (Persona::Service, 403)] {
            let (_said, body) = mpsc::channel(1);
            let joining = joining(&cloud, who, &session, Incoming::Stream(body));
            assert_eq!(app.dispatch(joining).await.status.as_u16(), status);
        }
        // Whom nobody believed has taken nothing from the host that was called.
        let (_said, body) = mpsc::channel(1);
        let joining = joining(&cloud, Persona::Host, &session, Incoming::Stream(body));
        assert_eq!(app.dispatch(joining).await.status.as_u16(), 200);
    };
    let (opened, ()) = tokio::join!(app.dispatch(opening(&made)), strangers);
    assert_eq!(opened.status.as_u16(), 101);
}

#[tokio::test]
async fn a_link_is_good_for_a_while_for_this_site_alone_and_over_a_websocket() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let app = App::new(Arc::clone(&cloud.compute)).unwrap();
    let wanted = json!({"protocol": "vnc", "type": "novnc"});
    let made = token(&link(&cloud, &id, wanted.clone()).await["url"]);
    let mut plain = opening(&made);
    plain.headers.remove("upgrade");
    assert_eq!(app.dispatch(plain).await.status.as_u16(), 400);
    let mut foreign = opening(&made);
    let evil = HeaderValue::from_static("http://evil.test");
    foreign.headers.insert("origin", evil);
    assert_eq!(app.dispatch(foreign).await.status.as_u16(), 403);
    assert_eq!(app.dispatch(opening("0000")).await.status.as_u16(), 401);
    // None of these has used it up.
    let (opened, _joined, _guest) = conversation(&cloud, &app, &made).await;
    assert_eq!(opened.status.as_u16(), 101);

    let late = token(&link(&cloud, &id, wanted).await["url"]);
    let mut tx = cloud.db.write().await.unwrap();
    let sql = "UPDATE console_links SET expires_at = 1";
    tx.exec(sql, nephos_db::args![]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(app.dispatch(opening(&late)).await.status.as_u16(), 401);
}

#[tokio::test]
async fn a_host_that_cannot_bring_it_says_why_and_one_that_does_not_come_is_not_waited_for() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    let app = App::new(Arc::clone(&cloud.compute)).unwrap();
    let wanted = json!({"protocol": "vnc", "type": "novnc"});
    let made = token(&link(&cloud, &id, wanted).await["url"]);
    let refusing = async {
        loop {
            tokio::task::yield_now().await;
            if let Some(session) = called(&cloud).await {
                let host = cloud.ask.as_host(HOST);
                let target = format!("/host/v1/consoles/{session}");
                let body = json!({"error": "the guest does not run"});
                host.put(&target, body.clone()).await.expect(204);
                host.put(&target, body).await.expect(404);
                return;
            }
        }
    };
    let (refused, ()) = tokio::join!(app.dispatch(opening(&made)), refusing);
    assert_eq!(refused.status.as_u16(), 409);

    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
}
