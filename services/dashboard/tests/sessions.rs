//! Signing in and out, and how long it lasts.

use std::time::Duration;

use http::Method;
use nephos_dashboard::Config;
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::{Site, credentials};

#[tokio::test]
async fn who_signs_in_gets_a_cookie_and_no_token() {
    let site = Site::new().await;
    let got = site
        .browser()
        .json(Method::POST, "/v1/session", &credentials())
        .await;
    let got = got.expect(201);
    let cookie = got.header("set-cookie");
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let seen = format!("{:?} {}", got.headers, got.json);
    for persona in [Persona::Member, Persona::Reader] {
        assert!(
            !seen.contains(&site.world.token(persona).unwrap()),
            "{seen}"
        );
    }
    assert_eq!(got.json["user"]["name"], "dana");
    assert_eq!(got.json["projects"][0]["name"], "acme");
    let again = site.signed_in().await.get("/v1/session").await.expect(200);
    assert_eq!(again.json["user"]["domain"], "Default");
}

#[tokio::test]
async fn over_https_the_cookie_is_for_https_alone() {
    let site = Site::new().await;
    let mut browser = site.browser();
    browser.base = "https://cloud.test/dashboard".to_owned();
    let mut browser = browser.sign_in().await;
    let cookie = browser.cookie.clone().unwrap();
    assert!(cookie.starts_with("__Host-nephos="), "{cookie}");
    browser.get("/v1/session").await.expect(200);
    browser.cookie = Some(cookie.replace("__Host-nephos", "nephos-dashboard"));
    browser.get("/v1/session").await.expect(401);
}

#[tokio::test]
async fn a_wrong_password_says_so_and_gives_no_cookie() {
    let site = Site::new().await;
    let wrong = json!({"user": "dana", "password": "wrong"});
    let got = site
        .browser()
        .json(Method::POST, "/v1/session", &wrong)
        .await
        .expect(401);
    let words = got.json["error"]["message"].as_str().unwrap();
    assert!(words.contains("password is not right"), "{words}");
    assert_eq!(got.header("set-cookie"), "");
}

#[tokio::test]
async fn a_cookie_that_is_none_of_ours_signs_nobody_in() {
    let site = Site::new().await;
    let mut browser = site.signed_in().await;
    for value in ["", "x", &"A".repeat(43), "'; DROP TABLE sessions; --"] {
        browser.cookie = Some(format!("nephos-dashboard={value}"));
        browser.get("/v1/session").await.expect(401);
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_for_good() {
    let site = Site::new().await;
    let browser = site.signed_in().await;
    let got = browser
        .json(Method::DELETE, "/v1/session", &Value::Null)
        .await
        .expect(204);
    assert!(got.header("set-cookie").contains("Max-Age=0"));
    browser.get("/v1/session").await.expect(401);
    browser
        .json(Method::DELETE, "/v1/session", &Value::Null)
        .await
        .expect(204);
}

#[tokio::test]
async fn a_session_outlives_the_process() {
    let site = Site::new().await;
    let browser = site.signed_in().await;
    let next = Site::over(site.world, Config::default()).await;
    let mut other = next.browser();
    other.cookie = browser.cookie;
    other.get("/v1/session").await.expect(200);
}

#[tokio::test]
async fn a_session_in_which_nobody_does_anything_ends() {
    let site = Site::new().await;
    let browser = site.signed_in().await;
    let active = browser.with("x-nephos-active", "1");
    for _ in 0..3 {
        site.world.clock.advance(Duration::from_secs(900));
        active.get("/v1/session").await.expect(200);
    }
    // Now it is the token's end that counts, an hour after signing in.
    site.world.clock.advance(Duration::from_secs(900));
    active.get("/v1/session").await.expect(401);

    let browser = Site::new().await;
    let idle = browser.signed_in().await;
    browser.world.clock.advance(Duration::from_secs(900));
    idle.get("/v1/session").await.expect(200);
    browser.world.clock.advance(Duration::from_secs(901));
    let got = idle.get("/v1/session").await.expect(401);
    assert!(
        got.json["error"]["message"]
            .as_str()
            .unwrap()
            .contains("Sign in again")
    );
}

#[tokio::test]
async fn the_oldest_of_too_many_sessions_ends() {
    let config = Config {
        sessions_per_user: 2,
        ..Config::default()
    };
    let site = Site::with(config).await;
    let mut browsers = Vec::new();
    for _ in 0..3 {
        browsers.push(site.signed_in().await);
        site.world.clock.advance(Duration::from_secs(1));
    }
    browsers[0].get("/v1/session").await.expect(401);
    browsers[1].get("/v1/session").await.expect(200);
    browsers[2].get("/v1/session").await.expect(200);
}

#[tokio::test]
async fn the_roles_of_a_project_are_shown_and_of_no_other() {
    let site = Site::new().await;
    let browser = site.signed_in().await;
    let target = format!("/v1/projects/{}", Persona::Member.project());
    let got = browser.get(&target).await.expect(200);
    assert_eq!(got.json["roles"], json!(["member", "reader"]));
    let target = format!("/v1/projects/{}", Persona::Admin.project());
    browser.get(&target).await.expect(403);
}

#[tokio::test]
async fn a_size_says_whether_it_fits_and_no_more_than_that() {
    let site = Site::new().await;
    let browser = site.signed_in().await;
    let got = browser
        .get("/v1/fit?vcpus=2&ram_mib=512&disk_gib=1")
        .await
        .expect(200);
    assert_eq!(
        got.json,
        json!({"fits": true, "lacking": null, "why": null})
    );
    let got = browser
        .get("/v1/fit?vcpus=64&ram_mib=512&disk_gib=1")
        .await
        .expect(200);
    assert_eq!(got.json["lacking"], "VCPU");
    assert_eq!(got.json["why"], "No host has 64 vCPUs free at once now.");
    assert_eq!(got.json.as_object().unwrap().len(), 3);
    browser
        .get("/v1/fit?vcpus=0&ram_mib=0&disk_gib=0")
        .await
        .expect(400);
    site.browser()
        .get("/v1/fit?vcpus=1&ram_mib=1&disk_gib=1")
        .await
        .expect(401);
}
