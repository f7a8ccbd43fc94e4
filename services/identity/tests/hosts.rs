//! Hosts: how a machine becomes one, and what it can then prove.

use std::time::Duration;

use nephos_testkit::{Answer, Ask};
use serde_json::{Value, json};

use crate::cloud::{Cloud, by_token, on_project, token_of};

/// A secret as a host makes it.
fn secret(of: &str) -> String {
    format!("{of}{}", "-".repeat(60))
}

async fn add(admin: &Ask, name: &str, zone: Option<&str>) -> String {
    let body = json!({"host": {"name": name, "availability_zone": zone}});
    let added = admin.post("/host/v1/hosts", body).await.expect(201);
    added.json["join_token"].as_str().unwrap().to_owned()
}

async fn join(cloud: &Cloud, token: &str, secret: &str) -> Answer {
    let body = json!({"join": {"token": token, "secret": secret}});
    cloud.ask.post("/host/v1/join", body).await
}

async fn log_in(cloud: &Cloud, name: &str, secret: &str) -> Answer {
    let body = json!({"host": {"name": name, "secret": secret}});
    cloud.ask.post("/host/v1/tokens", body).await
}

async fn listed(admin: &Ask) -> Value {
    admin.get("/host/v1/hosts").await.expect(200).json["hosts"].clone()
}

#[tokio::test]
async fn a_host_joins_once_and_its_tokens_carry_its_name_and_zone() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let token = add(&admin, "one", Some("az1")).await;
    assert_eq!(listed(&admin).await[0]["joined_at"], Value::Null);
    log_in(&cloud, "one", &secret("own")).await.expect(401);
    let joined = join(&cloud, &token, &secret("own")).await.expect(200);
    assert_eq!(
        (
            &joined.json["host"]["name"],
            &joined.json["host"]["availability_zone"]
        ),
        (&json!("one"), &json!("az1"))
    );
    assert_ne!(listed(&admin).await[0]["joined_at"], Value::Null);
    // The answer may have been lost on the way.
    join(&cloud, &token, &secret("own")).await.expect(200);
    let answer = log_in(&cloud, "one", &secret("own")).await.expect(201);
    let caller = cloud.world.verifier.verify(token_of(&answer)).unwrap();
    assert_eq!(caller.host.as_ref().unwrap().as_str(), "one");
    assert_eq!(caller.host_zone.as_deref(), Some("az1"));
    assert_eq!(caller.project_id(), None);
    assert_eq!(caller.roles, ["host"]);
    log_in(&cloud, "one", &secret("other")).await.expect(401);
    log_in(&cloud, "two", &secret("own")).await.expect(401);
}

#[tokio::test]
async fn a_one_time_token_is_good_for_one_host_and_for_an_hour() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let used = add(&admin, "one", None).await;
    join(&cloud, &used, &secret("own")).await.expect(200);
    let refused = join(&cloud, &used, &secret("thief")).await.expect(401);
    let words = refused.json["error"]["message"].as_str().unwrap();
    assert!(words.contains("nephos host add"), "{words}");
    join(&cloud, "unknown", &secret("own")).await.expect(401);
    join(&cloud, &used, "short").await.expect(400);
    let late = add(&admin, "two", None).await;
    cloud.world.clock.advance(Duration::from_secs(3600));
    join(&cloud, &late, &secret("two")).await.expect(401);
    // Nothing that is stored can be used: neither token stands in the database in the clear.
    let admin = cloud.admin().await;
    let text = listed(&admin).await.to_string();
    assert!(
        !text.contains(&late) && !text.contains("secret") && !text.contains("hash"),
        "{text}"
    );
}

#[tokio::test]
async fn a_host_that_joins_anew_leaves_its_old_secret_and_tokens_good_for_nothing() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let first = add(&admin, "one", None).await;
    join(&cloud, &first, &secret("old")).await.expect(200);
    let old = log_in(&cloud, "one", &secret("old")).await.expect(201);
    let again = add(&admin, "one", None).await;
    // Until it is used, the host works on.
    log_in(&cloud, "one", &secret("old")).await.expect(201);
    join(&cloud, &first, &secret("old")).await.expect(401);
    cloud.later();
    join(&cloud, &again, &secret("new")).await.expect(200);
    log_in(&cloud, "one", &secret("old")).await.expect(401);
    cloud.world.verifier.verify(token_of(&old)).unwrap_err();
    let new = log_in(&cloud, "one", &secret("new")).await.expect(201);
    cloud.world.verifier.verify(token_of(&new)).unwrap();
}

#[tokio::test]
async fn a_removed_host_is_nobody_at_once() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let token = add(&admin, "one", None).await;
    join(&cloud, &token, &secret("own")).await.expect(200);
    let answer = log_in(&cloud, "one", &secret("own")).await.expect(201);
    cloud.later();
    admin.delete("/host/v1/hosts/one").await.expect(204);
    cloud.world.verifier.verify(token_of(&answer)).unwrap_err();
    log_in(&cloud, "one", &secret("own")).await.expect(401);
    join(&cloud, &token, &secret("own")).await.expect(401);
    assert_eq!(listed(&admin).await, json!([]));
    admin.delete("/host/v1/hosts/one").await.expect(404);
}

#[tokio::test]
async fn the_hosts_of_a_process_are_known_without_one_time_tokens_and_asking_again_changes_nothing()
{
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let body = |of: &str| json!({"hosts": [{"name": "sim-1", "secret": secret(of)}, {"name": "sim-2", "secret": secret("two")}]});
    admin.put("/host/v1/hosts", body("one")).await.expect(204);
    let before = log_in(&cloud, "sim-1", &secret("one")).await.expect(201);
    cloud.later();
    admin.put("/host/v1/hosts", body("one")).await.expect(204);
    cloud.world.verifier.verify(token_of(&before)).unwrap();
    // Another secret ends what the first was good for, and nothing of the other host.
    let other = log_in(&cloud, "sim-2", &secret("two")).await.expect(201);
    cloud.later();
    admin.put("/host/v1/hosts", body("anew")).await.expect(204);
    cloud.world.verifier.verify(token_of(&before)).unwrap_err();
    cloud.world.verifier.verify(token_of(&other)).unwrap();
    let bad = json!({"hosts": [{"name": "a/b", "secret": secret("x")}]});
    admin.put("/host/v1/hosts", bad).await.expect(400);
}

#[tokio::test]
async fn the_token_of_a_host_says_nothing_to_identity_and_becomes_no_other_token() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let token = add(&admin, "one", None).await;
    join(&cloud, &token, &secret("own")).await.expect(200);
    let answer = log_in(&cloud, "one", &secret("own")).await.expect(201);
    let host = cloud.ask.with_token(token_of(&answer));
    let refused = host.get("/v3/auth/projects").await.expect(403);
    let words = refused.json["error"]["message"].as_str().unwrap();
    assert!(words.contains("host one"), "{words}");
    host.get("/v3/users").await.expect(403);
    host.get("/trust/v1/bundle").await.expect(403);
    host.get("/host/v1/hosts").await.expect(403);
    host.delete("/host/v1/hosts/one").await.expect(403);
    for scope in [Value::Null, on_project("service")] {
        let exchanged = cloud.log_in(by_token(token_of(&answer)), scope).await;
        exchanged.expect(403);
    }
}

#[tokio::test]
async fn names_zones_and_times_are_checked() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    for host in [
        json!({"name": "a b"}),
        json!({"name": ""}),
        json!({"name": "one", "availability_zone": "a:b"}),
        json!({"name": "one", "expires_secs": 0}),
        json!({"name": "one", "expires_secs": 10_000_000}),
        json!({"name": "one", "color": "red"}),
    ] {
        admin
            .post("/host/v1/hosts", json!({"host": host}))
            .await
            .expect(400);
    }
    assert_eq!(listed(&admin).await, json!([]));
}
