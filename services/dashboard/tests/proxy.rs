//! The way to the services, and what keeps other pages out.

use http::Method;
use nephos_api::Incoming;
use nephos_peer::Transport;
use nephos_testkit::Persona;
use serde_json::json;
use tokio::sync::mpsc;

use crate::Site;

#[tokio::test]
async fn a_call_goes_on_as_it_is_with_the_users_token() {
    let site = Site::new().await;
    let browser = site
        .signed_in()
        .await
        .with("x-nephos-project", Persona::Member.project());
    let browser = browser.with("openstack-api-version", "compute 2.96");
    let browser = browser
        .with("x-auth-token", "forged")
        .with("authorization", "Basic x");
    let got = browser
        .json(
            Method::PUT,
            "/api/compute/v2.1/a%2Fb?x=1&x=2",
            &json!({"k": 1}),
        )
        .await
        .expect(200);
    let reached = &site.siblings.reached()[0];
    assert_eq!(reached.target, "/v2.1/a%2Fb?x=1&x=2");
    assert_eq!(
        (&reached.method, reached.body.as_ref()),
        (&Method::PUT, br#"{"k":1}"#.as_slice())
    );
    assert_eq!(reached.headers["x-auth-token"], site.siblings.scoped());
    assert_eq!(reached.headers["openstack-api-version"], "compute 2.96");
    for name in ["cookie", "authorization", "x-nephos-project"] {
        assert!(!reached.headers.contains_key(name), "{name}");
    }
    for name in ["set-cookie", "x-subject-token"] {
        assert_eq!(got.header(name), "", "{name}");
    }
    assert!(got.header("content-security-policy").contains("sandbox"));
    assert_eq!(got.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn an_upload_arrives_piece_by_piece() {
    let site = Site::new().await;
    let browser = site.signed_in().await;
    let (sender, receiver) = mpsc::channel(1);
    let sending = async {
        for _ in 0..64 {
            sender
                .send(Ok(Some(vec![7_u8; 1024].into())))
                .await
                .unwrap();
        }
        sender.send(Ok(None)).await.unwrap();
    };
    let asking = browser.send(
        Method::PUT,
        "/api/image/v2/images/1/file",
        Incoming::Stream(receiver),
    );
    let ((), got) = tokio::join!(sending, asking);
    got.expect(200);
    assert_eq!(site.siblings.reached()[0].body.len(), 64 * 1024);
}

#[tokio::test]
async fn nothing_but_the_services_is_reached() {
    let site = Site::new().await;
    let browser = site.signed_in().await;
    for target in [
        "/api",
        "/api/",
        "/api/http://evil.test/",
        "/api/evil.test",
        "/api/dashboard/v1/session",
        // Also an administrator reads there by the API, and not by way of a browser.
        "/api/compute/journal/v1/entries",
        "/api/compute/%6aournal/v1/requests/req-1",
        "/apiary",
    ] {
        let got = browser.get(target).await;
        assert!(
            got.status == 404 || got.header("content-type").starts_with("text/html"),
            "{target}"
        );
    }
    browser.get("/api/image/../compute").await.expect(400);
    assert!(site.siblings.reached().is_empty());
    // A service that this cloud does not have.
    browser.get("/api/object/v1/x").await.expect(503);
}

#[tokio::test]
async fn a_project_that_is_not_the_users_is_refused() {
    let site = Site::new().await;
    let browser = site
        .signed_in()
        .await
        .with("x-nephos-project", Persona::Admin.project());
    let got = browser.get("/api/compute/v2.1/servers").await.expect(403);
    assert!(
        got.json["error"]["message"]
            .as_str()
            .unwrap()
            .contains("no role")
    );
    assert!(site.siblings.reached().is_empty());
}

#[tokio::test]
async fn who_is_not_signed_in_reaches_nothing() {
    let site = Site::new().await;
    let browser = site.browser().with("x-auth-token", site.siblings.scoped());
    browser.get("/api/compute/v2.1/servers").await.expect(401);
    assert!(site.siblings.reached().is_empty());
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out() {
    let site = Site::new().await;
    let signed = site.signed_in().await;
    let others = [
        signed.without("x-nephos-dashboard"),
        signed.with("sec-fetch-site", "cross-site"),
        signed.with("sec-fetch-site", "same-site"),
        signed.with("origin", "http://evil.test"),
        signed.with("origin", "null"),
    ];
    for other in &others {
        other.get("/api/compute/v2.1/servers").await.expect(403);
        other
            .json(Method::POST, "/api/compute/v2.1/servers", &json!({}))
            .await
            .expect(403);
        other
            .json(Method::DELETE, "/v1/session", &json!({}))
            .await
            .expect(403);
        other
            .json(
                Method::POST,
                "/v1/session",
                &json!({"user": "dana", "password": "right"}),
            )
            .await
            .expect(403);
    }
    let target = format!(
        "/v1/events?project={}&kinds=servers",
        Persona::Member.project()
    );
    others[1].get(&target).await.expect(403);
    let own = signed
        .with("origin", "http://cloud.test")
        .with("sec-fetch-site", "same-origin");
    own.get("/api/compute/v2.1/x").await.expect(200);
}

#[tokio::test]
async fn every_answer_keeps_scripts_styles_and_frames_of_others_out() {
    let site = Site::new().await;
    let browser = site.browser();
    for target in [
        "/",
        "/p/1/instances",
        "/v1/session",
        "/assets/none.js",
        "/api/compute/v2.1/x",
    ] {
        let got = browser.get(target).await;
        let policy = got.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'"),
            "{target}: {policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{target}");
        assert!(!policy.contains("unsafe"), "{target}");
        assert_eq!(got.header("x-content-type-options"), "nosniff", "{target}");
    }
    browser
        .json(Method::POST, "/", &json!({}))
        .await
        .expect(405);
}

#[tokio::test]
async fn an_object_is_saved_as_a_file_and_never_shown_as_a_page() {
    let site = Site::new().await;
    let object = Transport::Local(site.siblings.named("object"));
    site.world.directory.set("object", object);
    let browser = site.signed_in().await.without("x-nephos-dashboard");
    let project = Persona::Member.project();
    let target = format!("/download/{project}/v1/AUTH_{project}/c/a%20b/%C3%BC.html");
    let got = browser.get(&format!("{target}?x=1")).await.expect(200);
    let reached = &site.siblings.reached()[0];
    assert_eq!(reached.service, "object");
    assert_eq!(
        reached.target,
        format!("/v1/AUTH_{project}/c/a%20b/%C3%BC.html")
    );
    assert_eq!(reached.headers["x-auth-token"], site.siblings.scoped());
    assert_eq!(got.header("content-disposition"), "attachment");
    assert!(got.header("content-security-policy").contains("sandbox"));
    // From elsewhere, without a session, for another project, or to change something: no.
    let foreign = browser.with("sec-fetch-site", "cross-site");
    foreign.get(&target).await.expect(403);
    site.browser().get(&target).await.expect(401);
    browser
        .get("/download/other/v1/AUTH_x/c/o")
        .await
        .expect(403);
    browser.get("/download/x").await.expect(404);
    browser
        .get(&format!("/download/{project}/../../identity/v3"))
        .await
        .expect(400);
    assert_eq!(site.siblings.reached().len(), 1);
}
