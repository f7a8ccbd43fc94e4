//! Application credentials, access rules, credentials and access keys.

use std::time::Duration;

use nephos_testkit::Ask;
use serde_json::{Value, json};

use crate::cloud::{Cloud, all, by_token, id_of, on_project, token_of};

fn by_app(id: &str, secret: &str) -> Value {
    json!({"methods": ["application_credential"], "application_credential": {"id": id, "secret": secret}})
}

/// An application credential of the user; its id and secret.
async fn app(ask: &Ask, user: &str, extra: Value) -> (String, String) {
    let mut body = json!({"name": "app"});
    body.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    let path = format!("/v3/users/{user}/application_credentials");
    let made = ask
        .post(&path, json!({"application_credential": body}))
        .await
        .expect(201)
        .json;
    let made = &made["application_credential"];
    (
        made["id"].as_str().unwrap().to_owned(),
        made["secret"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn an_application_credential_logs_in_with_its_roles_on_its_project() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let (id, secret) = app(&alice, &user, json!({"roles": [{"name": "reader"}]})).await;
    let token = cloud
        .log_in(by_app(&id, &secret), Value::Null)
        .await
        .expect(201)
        .json;
    assert_eq!(token["token"]["project"]["id"], project);
    assert_eq!(token["token"]["roles"][0]["name"], "reader");
    assert_eq!(token["token"]["roles"].as_array().unwrap().len(), 1);
    assert_eq!(token["token"]["methods"], json!(["application_credential"]));
    let shown = &token["token"]["application_credential"];
    assert_eq!(*shown, json!({"id": id, "name": "app", "restricted": true}));
    let by_name = json!({"methods": ["application_credential"], "application_credential": {
        "name": "app", "user": {"name": "alice", "domain": {"id": "default"}}, "secret": secret}});
    cloud.log_in(by_name, on_project("alice")).await.expect(201);
    cloud
        .log_in(by_app(&id, "wrong"), Value::Null)
        .await
        .expect(401);
    cloud
        .log_in(by_app("nobody", &secret), Value::Null)
        .await
        .expect(401);
    cloud
        .log_in(by_app(&id, &secret), on_project("admin"))
        .await
        .expect(401);
    let path = format!("/v3/users/{user}/application_credentials");
    let listed = alice.get(&format!("{path}?name=app")).await.expect(200);
    assert_eq!(all(&listed, "application_credentials", "id"), [id.as_str()]);
    let one = alice.get(&format!("{path}/{id}")).await.expect(200).json;
    assert_eq!(one["application_credential"].get("secret"), None);
    alice
        .post(&path, json!({"application_credential": {"name": "app"}}))
        .await
        .expect(409);
    let more = json!({"application_credential": {"name": "b", "roles": [{"name": "admin"}]}});
    alice.post(&path, more).await.expect(400);
}

#[tokio::test]
async fn an_application_credential_ends_with_its_time_its_removal_and_the_users_role() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    let admin = cloud.admin().await;
    let expires = cloud.world.clock.now().plus_secs(600);
    for case in 0..3 {
        let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
        let extra = if case == 0 {
            json!({"expires_at": expires.iso_naive()})
        } else {
            json!({})
        };
        let (id, secret) = app(&alice, &user, extra).await;
        let token = cloud
            .log_in(by_app(&id, &secret), Value::Null)
            .await
            .expect(201);
        let program = cloud.ask.with_token(token_of(&token));
        program.get("/v3/auth/projects").await.expect(200);
        cloud.later();
        let path = format!("/v3/users/{user}/application_credentials/{id}");
        match case {
            0 => {
                assert_eq!(token.json["token"]["expires_at"], expires.iso_micros());
                cloud.world.clock.advance(Duration::from_secs(600));
            }
            1 => {
                alice.delete(&path).await.expect(204);
            }
            _ => {
                let member = cloud.role("member").await;
                let grant = format!("/v3/projects/{project}/users/{user}/roles/{member}");
                admin.delete(&grant).await.expect(204);
                admin.get(&path).await.expect(404);
            }
        }
        program.get("/v3/auth/projects").await.expect(401);
        cloud
            .log_in(by_app(&id, &secret), Value::Null)
            .await
            .expect(401);
        if case == 0 {
            alice.delete(&path).await.expect(204);
        }
    }
}

#[tokio::test]
async fn a_restricted_one_makes_no_more_of_its_kind_and_no_other_tokens() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let path = format!("/v3/users/{user}/application_credentials");
    for (name, unrestricted, status) in [("a", false, 403), ("b", true, 201)] {
        let extra = json!({"name": name, "unrestricted": unrestricted});
        let (id, secret) = app(&alice, &user, extra).await;
        let token = cloud
            .log_in(by_app(&id, &secret), Value::Null)
            .await
            .expect(201);
        let program = cloud.ask.with_token(token_of(&token));
        let body = json!({"application_credential": {"name": format!("{name} again")}});
        program.post(&path, body).await.expect(status);
        cloud
            .log_in(by_token(token_of(&token)), on_project("alice"))
            .await
            .expect(403);
        let trust = json!({"trust": {"trustor_user_id": user, "trustee_user_id": user,
            "impersonation": true, "project_id": project, "roles": [{"name": "member"}]}});
        program.post("/v3/OS-TRUST/trusts", trust).await.expect(403);
    }
    let other = cloud.user("bob").await;
    let body = json!({"application_credential": {"name": "x"}});
    alice
        .post(&format!("/v3/users/{other}/application_credentials"), body)
        .await
        .expect(403);
}

#[tokio::test]
async fn access_rules_bound_what_a_program_may_ask() {
    let cloud = Cloud::new().await;
    let (user, _) = cloud.tenant("alice", "member").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let rule = json!({"service": "identity", "method": "GET", "path": "/v3/auth/projects"});
    let (id, secret) = app(&alice, &user, json!({"access_rules": [rule]})).await;
    let token = cloud
        .log_in(by_app(&id, &secret), Value::Null)
        .await
        .expect(201);
    let shown = &token.json["token"]["application_credential"]["access_rules"][0];
    assert_eq!(shown["path"], "/v3/auth/projects");
    let program = cloud.ask.with_token(token_of(&token));
    program.get("/v3/auth/projects").await.expect(200);
    program.get("/v3/auth/domains").await.expect(401);
    let rules = alice
        .get(&format!("/v3/users/{user}/access_rules"))
        .await
        .expect(200);
    let rules = all(&rules, "access_rules", "id");
    assert_eq!(rules.len(), 1);
    let path = format!("/v3/users/{user}/access_rules/{}", rules[0]);
    alice.get(&path).await.expect(200);
    alice.delete(&path).await.expect(403);
    // The same rule again is the same rule.
    app(
        &alice,
        &user,
        json!({"name": "b", "access_rules": [{"id": rules[0]}]}),
    )
    .await;
    app(&alice, &user, json!({"name": "c", "access_rules": [rule]})).await;
    let again = alice
        .get(&format!("/v3/users/{user}/access_rules"))
        .await
        .expect(200);
    assert_eq!(all(&again, "access_rules", "id"), rules);
    let apps = format!("/v3/users/{user}/application_credentials");
    for id in all(
        &alice.get(&apps).await.expect(200),
        "application_credentials",
        "id",
    ) {
        alice.delete(&format!("{apps}/{id}")).await.expect(204);
    }
    alice.delete(&path).await.expect(204);
    let wrong =
        json!({"application_credential": {"name": "d", "access_rules": [{"method": "GET"}]}});
    alice.post(&apps, wrong).await.expect(400);
}

#[tokio::test]
async fn credentials_are_kept_for_their_owner() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    cloud.tenant("bob", "member").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let bob = cloud.as_user("bob", "bob", on_project("bob")).await;
    let blob = r#"{"access": "a", "secret": "s"}"#;
    let body = json!({"credential": {"user_id": user, "project_id": project, "type": "ec2", "blob": blob}});
    bob.post("/v3/credentials", body.clone()).await.expect(403);
    let id = id_of(
        &alice
            .post("/v3/credentials", body.clone())
            .await
            .expect(201),
        "credential",
    );
    alice.post("/v3/credentials", body).await.expect(409);
    let path = format!("/v3/credentials/{id}");
    alice.get(&path).await.expect(200);
    bob.get(&path).await.expect(403);
    bob.delete(&path).await.expect(403);
    assert_eq!(
        all(
            &alice.get("/v3/credentials").await.expect(200),
            "credentials",
            "id"
        ),
        [id.as_str()]
    );
    assert_eq!(
        bob.get("/v3/credentials").await.expect(200).json["credentials"],
        json!([])
    );
    let change = json!({"credential": {"blob": r#"{"access": "b", "secret": "t"}"#}});
    let changed = alice.patch(&path, change).await.expect(200).json;
    assert!(
        changed["credential"]["blob"]
            .as_str()
            .unwrap()
            .contains("\"b\"")
    );
    for wrong in ["{}", "nonsense", r#"{"access": "b", "trust_id": "x"}"#] {
        alice
            .patch(&path, json!({"credential": {"blob": wrong}}))
            .await
            .expect(400);
    }
    // What is of no project is no access key.
    let free = json!({"credential": {"user_id": user, "type": "cert", "blob": blob}});
    let free = id_of(
        &alice.post("/v3/credentials", free).await.expect(201),
        "credential",
    );
    let free = format!("/v3/credentials/{free}");
    let change = json!({"credential": {"type": "ec2"}});
    alice.patch(&free, change).await.expect(400);
    alice.delete(&free).await.expect(204);
    // Its key finds it among the access keys.
    let keys = alice
        .get(&format!("/v3/users/{user}/credentials/OS-EC2"))
        .await
        .expect(200);
    assert_eq!(all(&keys, "credentials", "access"), ["b"]);
    alice.delete(&path).await.expect(204);
    alice.get(&path).await.expect(403);
    cloud.admin().await.get(&path).await.expect(404);
}

#[tokio::test]
async fn access_keys_are_made_shown_and_removed() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    cloud.tenant("bob", "member").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let path = format!("/v3/users/{user}/credentials/OS-EC2");
    let made = alice
        .post(&path, json!({"tenant_id": project}))
        .await
        .expect(201)
        .json;
    let key = &made["credential"];
    assert_eq!(key["tenant_id"], project);
    let one = format!("{path}/{}", key["access"].as_str().unwrap());
    assert_eq!(alice.get(&one).await.expect(200).json, made);
    let bob = cloud.as_user("bob", "bob", on_project("bob")).await;
    bob.get(&one).await.expect(403);
    bob.get(&path).await.expect(403);
    bob.delete(&one).await.expect(403);
    alice.delete(&one).await.expect(204);
    cloud.admin().await.get(&one).await.expect(404);
}

#[tokio::test]
async fn a_signature_tells_whose_access_key_made_it() {
    use base64::Engine as _;
    use hmac::{Hmac, Mac as _};
    let cloud = Cloud::new().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let path = format!("/v3/users/{user}/credentials/OS-EC2");
    let made = alice
        .post(&path, json!({"tenant_id": project}))
        .await
        .expect(201)
        .json;
    let text = |key: &str| made["credential"][key].as_str().unwrap().to_owned();
    let (access, secret) = (text("access"), text("secret"));
    let base64 = base64::engine::general_purpose::STANDARD;
    let signed = |secret: &str| {
        let mac = Hmac::<sha1::Sha1>::new_from_slice(secret.as_bytes()).unwrap();
        let signature = base64.encode(mac.chain_update("GET").finalize().into_bytes());
        json!({"credentials": {"access": access, "signature": signature, "token": base64.encode("GET")}})
    };
    let admin = cloud.admin().await;
    let token = admin
        .post("/v3/s3tokens", signed(&secret))
        .await
        .expect(200)
        .json;
    assert_eq!(token["token"]["user"]["id"], user);
    assert_eq!(token["token"]["project"]["id"], project);
    admin
        .post("/v3/s3tokens", signed("other"))
        .await
        .expect(401);
    // It tells roles: only services and administrators ask.
    alice
        .post("/v3/s3tokens", signed(&secret))
        .await
        .expect(403);
    let gone = json!({"user": {"enabled": false}});
    admin
        .patch(&format!("/v3/users/{user}"), gone)
        .await
        .expect(200);
    admin
        .post("/v3/s3tokens", signed(&secret))
        .await
        .expect(401);
}
