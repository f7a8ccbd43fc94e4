//! Log-ins, tokens and what ends them.

use std::time::Duration;

use nephos_identity::Config;
use serde_json::{Value, json};

use crate::cloud::{
    ADMIN_PASSWORD, Cloud, SERVICE_PASSWORD, all, by_name, by_token, id_of, on_domain, on_project,
    on_system, token_of,
};

#[tokio::test]
async fn discovery_needs_no_token() {
    let cloud = Cloud::new().await;
    let root = cloud.ask.get("/").await.expect(300).json;
    let version = &root["versions"]["values"][0];
    assert_eq!(
        version["links"][0]["href"],
        "http://cloud.test/identity/v3/"
    );
    assert_eq!(
        version["media-types"][0]["type"],
        "application/vnd.openstack.identity-v3+json"
    );
    let shown = cloud.ask.get("/v3").await.expect(200).json;
    assert_eq!(shown["version"], *version);
    assert_eq!(shown["version"]["status"], "stable");
}

#[tokio::test]
async fn a_project_token_says_who_where_with_which_roles_and_has_the_catalog() {
    let cloud = Cloud::new().await;
    let answer = cloud
        .log_in(by_name("admin", ADMIN_PASSWORD), on_project("admin"))
        .await
        .expect(201);
    let token = &answer.json["token"];
    assert_eq!(token["user"]["name"], "admin");
    assert_eq!(
        token["user"]["domain"],
        json!({"id": "default", "name": "Default"})
    );
    assert_eq!(token["project"]["name"], "admin");
    assert_eq!(token["methods"], json!(["password"]));
    assert_eq!(token["is_domain"], false);
    assert_eq!(token["issued_at"], "2026-01-02T03:04:05.000000Z");
    assert_eq!(token["expires_at"], "2026-01-02T04:04:05.000000Z");
    let mut roles: Vec<&str> = token["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["name"].as_str().unwrap())
        .collect();
    roles.sort_unstable();
    assert_eq!(roles, ["admin", "manager", "member", "reader"]);
    let project = token["project"]["id"].as_str().unwrap();
    let swift = token["catalog"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["type"] == "object-store");
    let url = swift.unwrap()["endpoints"][0]["url"].as_str().unwrap();
    assert_eq!(url, format!("http://cloud.test/object/v1/AUTH_{project}"));

    let admin = cloud.ask.with_token(token_of(&answer));
    let subject = admin.with_header("x-subject-token", token_of(&answer));
    let shown = subject.get("/v3/auth/tokens").await.expect(200);
    assert_eq!(shown.json, answer.json);
    assert_eq!(
        shown.header("x-subject-token"),
        answer.header("x-subject-token")
    );
    let short = subject.get("/v3/auth/tokens?nocatalog").await.expect(200);
    assert_eq!(short.json["token"].get("catalog"), None);
    let head = subject
        .send(http::Method::HEAD, "/v3/auth/tokens", bytes::Bytes::new())
        .await;
    assert_eq!(head.expect(200).bytes.len(), 0);
}

#[tokio::test]
async fn every_scope_has_its_own_form() {
    let cloud = Cloud::new().await;
    let log_in = |scope| cloud.log_in(by_name("admin", ADMIN_PASSWORD), scope);
    let domain = log_in(on_domain("default")).await.expect(201).json;
    assert_eq!(
        domain["token"]["domain"],
        json!({"id": "default", "name": "Default"})
    );
    let system = log_in(on_system()).await.expect(201).json;
    assert_eq!(system["token"]["system"], json!({"all": true}));
    let types = |token: &Value| token["token"]["catalog"].as_array().unwrap().len();
    assert_eq!(types(&system), 3);
    // Without a word, the user's default project.
    let default = log_in(Value::Null).await.expect(201).json;
    assert_eq!(default["token"]["project"]["name"], "admin");
    let unscoped = log_in(json!({"unscoped": {}})).await.expect(201).json;
    for absent in ["project", "roles", "catalog", "domain", "system"] {
        assert_eq!(unscoped["token"].get(absent), None, "{absent}");
    }
    log_in(json!({"project": {"id": "nowhere"}}))
        .await
        .expect(401);
    log_in(json!({"project": {"name": "admin"}}))
        .await
        .expect(400);
    log_in(json!({"project": {"id": "x"}, "system": {"all": true}}))
        .await
        .expect(400);
}

#[tokio::test]
async fn a_token_can_be_exchanged_and_keeps_its_end_and_its_chain() {
    let cloud = Cloud::new().await;
    let first = cloud
        .log_in(by_name("admin", ADMIN_PASSWORD), json!({"unscoped": {}}))
        .await
        .expect(201);
    cloud.world.clock.advance(Duration::from_secs(60));
    let second = cloud
        .log_in(by_token(token_of(&first)), on_project("admin"))
        .await
        .expect(201);
    let (a, b) = (&first.json["token"], &second.json["token"]);
    assert_eq!(a["expires_at"], b["expires_at"]);
    assert_eq!(b["audit_ids"][1], a["audit_ids"][0]);
    assert_eq!(b["methods"], json!(["password", "token"]));
    let both = json!({"methods": ["password", "token"], "token": {"id": token_of(&first)},
        "password": {"user": {"name": "nova", "domain": {"id": "default"}, "password": SERVICE_PASSWORD}}});
    cloud.log_in(both, Value::Null).await.expect(401);
    cloud
        .log_in(by_token("no token"), Value::Null)
        .await
        .expect(404);
}

#[tokio::test]
async fn a_revoked_token_ends_at_once_and_its_siblings_live() {
    let cloud = Cloud::new().await;
    let first = cloud.admin().await;
    let second = cloud
        .log_in(by_name("admin", ADMIN_PASSWORD), on_project("admin"))
        .await
        .expect(201);
    let ending = first.with_header("x-subject-token", token_of(&second));
    ending.delete("/v3/auth/tokens").await.expect(204);
    ending.get("/v3/auth/tokens").await.expect(404);
    cloud
        .ask
        .with_token(token_of(&second))
        .get("/v3/users")
        .await
        .expect(401);
    first.get("/v3/users").await.expect(200);
    // A restart remembers it.
    let Cloud { world, .. } = cloud;
    let identity = Cloud::open(&world, Config::default()).await;
    identity.load().await.unwrap();
    let cloud = Cloud::around(world, identity);
    cloud
        .ask
        .with_token(token_of(&second))
        .get("/v3/users")
        .await
        .expect(401);
    let events = first.get("/v3/OS-REVOKE/events").await.expect(200);
    assert_eq!(events.json["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn whatever_takes_a_right_away_ends_the_tokens_that_carry_it() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    let role = cloud.role("member").await;
    let grant = format!("/v3/projects/{project}/users/{user}/roles/{role}");
    let (user_path, project_path) = (
        format!("/v3/users/{user}"),
        format!("/v3/projects/{project}"),
    );
    let admin = cloud.admin().await;
    let on = |enabled: bool, key: &str| json!({key: {"enabled": enabled}});
    for case in 0..5 {
        let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
        alice.get("/v3/auth/projects").await.expect(200);
        cloud.later();
        match case {
            0 => {
                admin.patch(&user_path, on(false, "user")).await.expect(200);
                alice.get("/v3/auth/projects").await.expect(401);
                admin.patch(&user_path, on(true, "user")).await.expect(200);
            }
            1 => {
                admin
                    .patch(&project_path, on(false, "project"))
                    .await
                    .expect(200);
                alice.get("/v3/auth/projects").await.expect(401);
                admin
                    .patch(&project_path, on(true, "project"))
                    .await
                    .expect(200);
            }
            2 => {
                admin.delete(&grant).await.expect(204);
                alice.get("/v3/auth/projects").await.expect(401);
                admin.put(&grant, Value::Null).await.expect(204);
            }
            3 => {
                let body = json!({"user": {"password": "alice"}});
                admin.patch(&user_path, body).await.expect(200);
            }
            _ => {
                admin.delete(&user_path).await.expect(204);
            }
        }
        alice.get("/v3/auth/projects").await.expect(401);
        cloud.later();
    }
    admin.get("/v3/users").await.expect(200);
}

#[tokio::test]
async fn a_disabled_domain_ends_its_tokens_and_keeps_its_users_out() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let domain = admin
        .post("/v3/domains", json!({"domain": {"name": "other"}}))
        .await
        .expect(201);
    let domain = id_of(&domain, "domain");
    let user = json!({"user": {"name": "bob", "password": "bob", "domain_id": domain}});
    let user = id_of(&admin.post("/v3/users", user).await.expect(201), "user");
    cloud
        .give(&user, "reader", &format!("domains/{domain}"))
        .await;
    let identity =
        json!({"methods": ["password"], "password": {"user": {"id": user, "password": "bob"}}});
    let bob = cloud
        .log_in(identity.clone(), on_domain(&domain))
        .await
        .expect(201);
    let bob = cloud.ask.with_token(token_of(&bob));
    bob.get("/v3/auth/domains").await.expect(200);
    cloud.later();
    let off = json!({"domain": {"enabled": false}});
    admin
        .patch(&format!("/v3/domains/{domain}"), off)
        .await
        .expect(200);
    bob.get("/v3/auth/domains").await.expect(401);
    cloud.log_in(identity, Value::Null).await.expect(401);
    admin.get("/v3/auth/domains").await.expect(200);
}

#[tokio::test]
async fn an_expired_token_is_shown_to_services_that_ask_for_it() {
    let cloud = Cloud::new().await;
    let old = cloud
        .log_in(by_name("admin", ADMIN_PASSWORD), on_project("admin"))
        .await
        .expect(201);
    cloud.world.clock.advance(Duration::from_secs(3601));
    cloud
        .ask
        .with_token(token_of(&old))
        .get("/v3/users")
        .await
        .expect(401);
    let nova = cloud
        .as_user("nova", SERVICE_PASSWORD, on_project("service"))
        .await;
    let nova = nova.with_header("x-subject-token", token_of(&old));
    nova.get("/v3/auth/tokens").await.expect(404);
    nova.get("/v3/auth/tokens?allow_expired=1")
        .await
        .expect(200);
    let alice = cloud.tenant("alice", "member").await;
    assert!(!alice.0.is_empty());
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let alice = alice.with_header("x-subject-token", token_of(&old));
    alice
        .get("/v3/auth/tokens?allow_expired=1")
        .await
        .expect(404);
    cloud
        .world
        .clock
        .advance(Duration::from_secs(2 * 24 * 3600));
    let nova = cloud
        .as_user("nova", SERVICE_PASSWORD, on_project("service"))
        .await;
    let nova = nova.with_header("x-subject-token", token_of(&old));
    nova.get("/v3/auth/tokens?allow_expired=1")
        .await
        .expect(404);
}

#[tokio::test]
async fn other_peoples_tokens_are_shown_to_services_only() {
    let cloud = Cloud::new().await;
    cloud.tenant("alice", "member").await;
    cloud.tenant("bob", "member").await;
    let alice = cloud
        .log_in(by_name("alice", "alice"), on_project("alice"))
        .await
        .expect(201);
    let bob = cloud.as_user("bob", "bob", on_project("bob")).await;
    let bob = bob.with_header("x-subject-token", token_of(&alice));
    bob.get("/v3/auth/tokens").await.expect(403);
    bob.delete("/v3/auth/tokens").await.expect(403);
    let nova = cloud
        .as_user("nova", SERVICE_PASSWORD, on_project("service"))
        .await;
    let nova = nova.with_header("x-subject-token", token_of(&alice));
    nova.get("/v3/auth/tokens").await.expect(200);
    nova.delete("/v3/auth/tokens").await.expect(403);
    let own = cloud
        .ask
        .with_token(token_of(&alice))
        .with_header("x-subject-token", token_of(&alice));
    own.delete("/v3/auth/tokens").await.expect(204);
}

#[tokio::test]
async fn what_a_token_may_ask_about_itself() {
    let cloud = Cloud::new().await;
    cloud.tenant("alice", "member").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let projects = alice.get("/v3/auth/projects").await.expect(200);
    assert_eq!(all(&projects, "projects", "name"), ["alice"]);
    assert_eq!(
        alice.get("/v3/auth/domains").await.expect(200).json["domains"],
        json!([])
    );
    assert_eq!(
        alice.get("/v3/auth/system").await.expect(200).json["system"],
        json!([])
    );
    assert_eq!(
        alice.get("/v3/auth/catalog").await.expect(200).json["catalog"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let admin = cloud.system_admin().await;
    assert_eq!(
        admin.get("/v3/auth/system").await.expect(200).json["system"],
        json!([{"all": true}])
    );
    admin.get("/v3/auth/catalog").await.expect(403);
    cloud.ask.get("/v3/auth/projects").await.expect(401);
}

#[tokio::test]
async fn malformed_log_ins_are_named() {
    let cloud = Cloud::new().await;
    let post = |body: Value| async { cloud.ask.post("/v3/auth/tokens", body).await };
    post(json!({})).await.expect(400);
    post(json!({"auth": {"identity": {"methods": "password"}}}))
        .await
        .expect(400);
    let lacks = post(json!({"auth": {"identity": {"methods": ["password"]}}}))
        .await
        .expect(400);
    assert_eq!(lacks.json["error"]["title"], "Bad Request");
    post(json!({"auth": {"identity": {"methods": []}}}))
        .await
        .expect(401);
    post(json!({"auth": {"identity": {"methods": ["magic"]}}}))
        .await
        .expect(401);
    let no_domain =
        json!({"methods": ["password"], "password": {"user": {"name": "admin", "password": "x"}}});
    cloud.log_in(no_domain, Value::Null).await.expect(400);
    let long = "x".repeat(5000);
    cloud
        .log_in(by_name("admin", &long), Value::Null)
        .await
        .expect(401);
}

#[tokio::test]
async fn bootstrapping_again_changes_nothing_but_what_was_asked_for() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let before = admin.get("/v3/endpoints").await.expect(200).json;
    cloud.later();
    cloud
        .identity
        .bootstrap(&crate::cloud::bootstrap("http://cloud.test"))
        .await
        .unwrap();
    assert_eq!(admin.get("/v3/endpoints").await.expect(200).json, before);
    let mut moved = crate::cloud::bootstrap("http://192.0.2.1:80/");
    moved.service_users[0].password = "changed".to_owned();
    let nova = cloud
        .as_user("nova", SERVICE_PASSWORD, on_project("service"))
        .await;
    cloud.later();
    cloud.identity.bootstrap(&moved).await.unwrap();
    let after = admin.get("/v3/endpoints").await.expect(200);
    assert_eq!(after.json["endpoints"].as_array().unwrap().len(), 9);
    assert!(
        all(&after, "endpoints", "url")
            .iter()
            .all(|url| url.starts_with("http://192.0.2.1:80/"))
    );
    nova.get("/v3/auth/projects").await.expect(401);
    cloud.later();
    cloud
        .as_user("nova", "changed", on_project("service"))
        .await;
    cloud
        .as_user("admin", ADMIN_PASSWORD, on_domain("default"))
        .await;
    // An account that is not needed any more goes with its tokens.
    let nova = cloud
        .as_user("nova", "changed", on_project("service"))
        .await;
    moved.service_users.clear();
    moved.retired_users = vec!["nova".to_owned()];
    cloud.later();
    cloud.identity.bootstrap(&moved).await.unwrap();
    nova.get("/v3/auth/projects").await.expect(401);
    let gone = crate::cloud::by_name("nova", "changed");
    cloud.log_in(gone, on_project("service")).await.expect(401);
}

#[tokio::test]
async fn the_trust_bundle_is_for_services() {
    let cloud = Cloud::new().await;
    cloud.tenant("alice", "member").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    alice.get("/trust/v1/bundle").await.expect(403);
    let nova = cloud
        .as_user("nova", SERVICE_PASSWORD, on_project("service"))
        .await;
    let bundle = nova.get("/trust/v1/bundle").await.expect(200).json;
    let bundle: nephos_auth::TrustBundle = serde_json::from_value(bundle).unwrap();
    assert_eq!(bundle, *cloud.identity.trust_bundle());
    assert_eq!(bundle.keys.len(), 2);
}
