//! Passwords: right, wrong, too many wrong ones, and new ones.

use std::time::Duration;

use futures_util::future::join_all;
use nephos_identity::Config;
use serde_json::{Value, json};

use crate::cloud::{Cloud, by_name, by_token, on_project, token_of};

#[tokio::test]
async fn wrong_user_wrong_password_and_disabled_look_the_same() {
    let cloud = Cloud::new().await;
    let id = cloud.user("alice").await;
    let wrong = cloud
        .log_in(by_name("alice", "wrong"), Value::Null)
        .await
        .expect(401);
    let nobody = cloud
        .log_in(by_name("nobody", "wrong"), Value::Null)
        .await
        .expect(401);
    assert_eq!(wrong.json, nobody.json);
    assert_eq!(
        wrong.json["error"]["message"],
        "The request you have made requires authentication."
    );
    let admin = cloud.admin().await;
    let body = json!({"user": {"enabled": false}});
    admin
        .patch(&format!("/v3/users/{id}"), body)
        .await
        .expect(200);
    let disabled = cloud
        .log_in(by_name("alice", "alice"), Value::Null)
        .await
        .expect(401);
    assert_eq!(disabled.json, nobody.json);
}

#[tokio::test]
async fn an_account_is_locked_after_wrong_passwords_and_opens_by_itself() {
    let config = Config {
        lockout_tries: 2,
        lockout_secs: 5,
        ..Config::default()
    };
    let cloud = Cloud::with(config).await;
    cloud.user("alice").await;
    let log_in = |password| cloud.log_in(by_name("alice", password), Value::Null);
    log_in("wrong").await.expect(401);
    log_in("alice").await.expect(201);
    log_in("wrong").await.expect(401);
    log_in("wrong").await.expect(401);
    log_in("alice").await.expect(401);
    cloud.world.clock.advance(Duration::from_secs(6));
    log_in("alice").await.expect(201);
    // Those who do not exist are counted too, and never lock anybody.
    for _try in 0..3 {
        cloud
            .log_in(by_name("ghost", "wrong"), Value::Null)
            .await
            .expect(401);
    }
    log_in("alice").await.expect(201);
}

#[tokio::test]
async fn own_passwords_are_changed_with_the_old_one_and_not_reused() {
    let config = Config {
        remembered_passwords: 2,
        password_pattern: Some("^.{5,}$".to_owned()),
        password_hint: "five characters".to_owned(),
        ..Config::default()
    };
    let cloud = Cloud::with(config).await;
    let id = cloud.user("alice").await;
    let path = format!("/v3/users/{id}/password");
    let change = |old: &str, new: &str| {
        cloud.later();
        let body = json!({"user": {"original_password": old, "password": new}});
        let (ask, path) = (cloud.ask.clone(), path.clone());
        async move { ask.post(&path, body).await }
    };
    let before = cloud
        .log_in(by_name("alice", "alice"), Value::Null)
        .await
        .expect(201);
    change("wrong", "second").await.expect(401);
    let short = change("alice", "abc").await.expect(400);
    assert!(
        short.json["error"]["message"]
            .as_str()
            .unwrap()
            .contains("five characters")
    );
    change("alice", "second").await.expect(204);
    cloud
        .log_in(by_token(token_of(&before)), Value::Null)
        .await
        .expect(404);
    cloud
        .log_in(by_name("alice", "alice"), Value::Null)
        .await
        .expect(401);
    cloud
        .log_in(by_name("alice", "second"), Value::Null)
        .await
        .expect(201);
    change("second", "second").await.expect(400);
    change("second", "alice").await.expect(400);
    change("second", "third").await.expect(204);
    change("third", "alice").await.expect(204);
    cloud
        .ask
        .post(
            "/v3/users/nobody/password",
            json!({"user": {
        "original_password": "x", "password": "second"}}),
        )
        .await
        .expect(401);
    // An administrator is not bound by it.
    let admin = cloud.admin().await;
    admin
        .patch(
            &format!("/v3/users/{id}"),
            json!({"user": {"password": "alice"}}),
        )
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_log_ins_at_once_all_succeed_while_their_failures_are_all_counted() {
    let config = Config {
        lockout_tries: 1000,
        password_cache_secs: 0,
        ..Config::default()
    };
    let cloud = Cloud::with(config).await;
    cloud.tenant("alice", "member").await;
    let right = (0..20).map(|_| cloud.log_in(by_name("alice", "alice"), on_project("alice")));
    let wrong = (0..20).map(|_| cloud.log_in(by_name("alice", "wrong"), on_project("alice")));
    let (right, wrong) = tokio::join!(join_all(right), join_all(wrong));
    let mut tokens: Vec<String> = right
        .into_iter()
        .map(|answer| token_of(&answer.expect(201)).to_owned())
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 20);
    assert!(wrong.iter().all(|answer| answer.status == 401));
}

#[tokio::test]
async fn a_password_of_a_wrong_form_is_not_repeated() {
    let cloud = Cloud::new().await;
    let id = cloud.user("alice").await;
    let admin = cloud.admin().await;
    let user = format!("/v3/users/{id}");
    for odd in [json!(12_345_678), json!(["12345678"])] {
        let body = json!({"user": {"password": odd}});
        let set = admin.patch(&user, body).await.expect(400);
        let body = json!({"user": {"original_password": odd, "password": "x"}});
        let own = admin
            .post(&format!("{user}/password"), body)
            .await
            .expect(400);
        for answer in [set, own] {
            // It is also what the log has.
            let said = answer.json["error"]["message"].as_str().unwrap();
            assert!(said.contains("password"), "{said}");
            assert!(!said.contains("12345678"), "{said}");
        }
    }
}
