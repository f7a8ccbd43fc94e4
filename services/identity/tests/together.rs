//! Changes that come together: none is lost, none brings back what goes, and what can happen once happens once.

use futures_util::future::join_all;
use nephos_identity::Config;
use serde_json::{Value, json};

use crate::cloud::{Cloud, all, by_name, id_of, on_project};

pub async fn made(cloud: &Cloud, path: &str, body: Value) -> String {
    let kind = body.as_object().unwrap().keys().next().unwrap().clone();
    let made = cloud.admin().await.post(path, body).await.expect(201);
    id_of(&made, &kind)
}

/// One of each thing that keeps keys which identity does not know; its name and its path.
async fn things(cloud: &Cloud) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for (kind, path) in [
        ("user", "/v3/users"),
        ("project", "/v3/projects"),
        ("role", "/v3/roles"),
        ("group", "/v3/groups"),
        ("domain", "/v3/domains"),
    ] {
        let body = json!({kind: {"name": format!("a-{kind}")}});
        let id = made(cloud, path, body).await;
        found.push((kind, format!("{path}/{id}")));
    }
    let id = made(cloud, "/v3/regions", json!({"region": {}})).await;
    found.push(("region", format!("/v3/regions/{id}")));
    let id = made(cloud, "/v3/services", json!({"service": {"type": "t"}})).await;
    found.push(("service", format!("/v3/services/{id}")));
    let of = made(cloud, "/v3/services", json!({"service": {"type": "u"}})).await;
    let body =
        json!({"endpoint": {"service_id": of, "interface": "public", "url": "http://a.test"}});
    let id = made(cloud, "/v3/endpoints", body).await;
    found.push(("endpoint", format!("/v3/endpoints/{id}")));
    let body = json!({"policy": {"type": "t", "blob": "b"}});
    let id = made(cloud, "/v3/policies", body).await;
    found.push(("policy", format!("/v3/policies/{id}")));
    let user = made(cloud, "/v3/users", json!({"user": {"name": "owner"}})).await;
    let body = json!({"credential": {"user_id": user, "type": "t", "blob": "b"}});
    let id = made(cloud, "/v3/credentials", body).await;
    found.push(("credential", format!("/v3/credentials/{id}")));
    found
}

/// A registered limit and a limit; their names and paths.
async fn limits(cloud: &Cloud) -> [(&'static str, String); 2] {
    let admin = cloud.admin().await;
    let service = made(cloud, "/v3/services", json!({"service": {"type": "l"}})).await;
    let of = json!({"service_id": service, "resource_name": "r", "default_limit": 1});
    let body = json!({"registered_limits": [of]});
    let answer = admin.post("/v3/registered_limits", body).await.expect(201);
    let registered = answer.json["registered_limits"][0]["id"].as_str().unwrap();
    let project = cloud.project("limited").await;
    let of = json!({"service_id": service, "resource_name": "r", "resource_limit": 1, "project_id": project});
    let answer = admin.post("/v3/limits", json!({"limits": [of]})).await;
    let limit = answer.expect(201).json["limits"][0]["id"].clone();
    let limit = limit.as_str().unwrap();
    [
        ("limit", format!("/v3/limits/{limit}")),
        (
            "registered_limit",
            format!("/v3/registered_limits/{registered}"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_one_thing_that_come_together_all_happen() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    for (kind, target) in things(&cloud).await {
        let changes = (0..8).map(|number| {
            let change = json!({kind: {format!("key{number}"): number}});
            admin.patch(&target, change)
        });
        for answer in join_all(changes).await {
            answer.expect(200);
        }
        let shown = admin.get(&target).await.expect(200).json[kind].clone();
        for number in 0..8 {
            assert_eq!(shown[format!("key{number}")], number, "{shown}");
        }
    }
    for (kind, target) in limits(&cloud).await {
        let amount = match kind {
            "limit" => "resource_limit",
            _ => "default_limit",
        };
        for round in 2..8 {
            let of_amount = admin.patch(&target, json!({kind: {(amount): round}}));
            let of_words = json!({kind: {"description": format!("d{round}")}});
            let (one, other) = tokio::join!(of_amount, admin.patch(&target, of_words));
            assert_eq!((one.status, other.status), (200, 200));
            let shown = admin.get(&target).await.expect(200).json[kind].clone();
            assert_eq!(shown[amount], round, "{shown}");
            assert_eq!(shown["description"], format!("d{round}"), "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_change_brings_nothing_back_and_one_of_many_removals_has_it() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let mut every = things(&cloud).await;
    for (kind, target) in &every {
        if *kind == "domain" {
            let off = json!({"domain": {"enabled": false}});
            admin.patch(target, off).await.expect(200);
        }
    }
    every.extend(limits(&cloud).await);
    for (kind, target) in every {
        let change = json!({kind: {"description": "changed"}});
        let changes = join_all((0..4).map(|_| admin.patch(&target, change.clone())));
        let removals = join_all((0..6).map(|_| admin.delete(&target)));
        let (changed, removed) = tokio::join!(changes, removals);
        for answer in changed {
            assert!([200, 404].contains(&answer.status), "{kind}: {answer:?}");
        }
        let mut removed: Vec<u16> = removed.into_iter().map(|answer| answer.status).collect();
        removed.sort_unstable();
        assert_eq!(removed, [204, 404, 404, 404, 404, 404], "{kind}");
        admin.get(&target).await.expect(404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_lent_is_taken_back_once() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    let bob = cloud.user("bob").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let trust = json!({"trust": {"trustor_user_id": user, "trustee_user_id": bob, "project_id": project,
        "impersonation": false, "roles": [{"name": "member"}]}});
    let trust = alice.post("/v3/OS-TRUST/trusts", trust).await.expect(201);
    let trust = format!("/v3/OS-TRUST/trusts/{}", id_of(&trust, "trust"));
    let apps = format!("/v3/users/{user}/application_credentials");
    let rule = json!({"service": "compute", "method": "GET", "path": "/x"});
    let app =
        |name: &str| json!({"application_credential": {"name": name, "access_rules": [rule]}});
    // The same rule, made by several at once, is one.
    let bodies: Vec<Value> = (0..6).map(|number| app(&format!("a{number}"))).collect();
    let several = join_all(bodies.into_iter().map(|body| alice.post(&apps, body)));
    let mut made = Vec::new();
    for answer in several.await {
        made.push(format!(
            "{apps}/{}",
            id_of(&answer.expect(201), "application_credential")
        ));
    }
    let rules = format!("/v3/users/{user}/access_rules");
    let shown = alice.get(&rules).await.expect(200);
    let [rule] = &all(&shown, "access_rules", "id")[..] else {
        panic!("{:?}", shown.json);
    };
    let last = made.pop().unwrap();
    for path in &made {
        alice.delete(path).await.expect(204);
    }
    for target in [trust, last, format!("{rules}/{rule}")] {
        let removals = join_all((0..6).map(|_| alice.delete(&target))).await;
        let mut statuses: Vec<u16> = removals.into_iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 404, 404, 404, 404, 404], "{target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tags_that_come_together_are_all_there() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let id = made(&cloud, "/v3/projects", json!({"project": {"name": "p"}})).await;
    let target = format!("/v3/projects/{id}/tags");
    let paths: Vec<String> = (0..8).map(|number| format!("{target}/t{number}")).collect();
    for answer in join_all(paths.iter().map(|path| admin.put(path, Value::Null))).await {
        answer.expect(201);
    }
    let tags = admin.get(&target).await.expect(200).json["tags"].clone();
    assert_eq!(tags.as_array().unwrap().len(), 8, "{tags}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_password_changes_with_one_old_password_one_happens() {
    let config = Config {
        lockout_tries: 100,
        ..Config::default()
    };
    let cloud = Cloud::with(config).await;
    let id = cloud.user("alice").await;
    let path = format!("/v3/users/{id}/password");
    // Also when there is a failed log-in to forget.
    cloud
        .log_in(by_name("alice", "wrong"), Value::Null)
        .await
        .expect(401);
    let changes = (0..4).map(|number| {
        let new = format!("new-{number}");
        let body = json!({"user": {"original_password": "alice", "password": new}});
        cloud.ask.post(&path, body)
    });
    let answers = join_all(changes).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    let winner = statuses.iter().position(|status| *status == 204).unwrap();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 401, 401, 401]);
    for number in 0..4 {
        let with = by_name("alice", &format!("new-{number}"));
        let answer = cloud.log_in(with, Value::Null).await;
        assert_eq!(answer.status == 201, number == winner, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_thing_may_have_alone_one_of_many_gets() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let base = "/v3/OS-FEDERATION/identity_providers";
    let names: Vec<String> = (0..4).map(|number| format!("{base}/p{number}")).collect();
    for name in &names {
        let body = json!({"identity_provider": {}});
        admin.put(name, body).await.expect(201);
    }
    let change = json!({"identity_provider": {"remote_ids": ["one"]}});
    let changes = names.iter().map(|name| admin.patch(name, change.clone()));
    let mut statuses: Vec<u16> = join_all(changes)
        .await
        .into_iter()
        .map(|answer| answer.status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
    let region = json!({"region": {"id": "one"}});
    let makes = (0..4).map(|_| admin.post("/v3/regions", region.clone()));
    let mut statuses: Vec<u16> = join_all(makes)
        .await
        .into_iter()
        .map(|answer| answer.status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
    // Of two regions that want to stand below each other, one does.
    let other = made(&cloud, "/v3/regions", json!({"region": {}})).await;
    let below = |id: &str| json!({"region": {"parent_region_id": id}});
    let path = format!("/v3/regions/{other}");
    let (one, two) = tokio::join!(
        admin.patch("/v3/regions/one", below(&other)),
        admin.patch(&path, below("one"))
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}
