//! Texts that no database takes, and those that are too long for its indexes: they are the client's mistake.

use http::Method;
use serde_json::{Value, json};

use crate::cloud::{ADMIN_PASSWORD, Cloud, by_name, id_of, on_project};

/// Every text of the body in turn, replaced.
fn variants(body: &Value, with: &str) -> Vec<Value> {
    let mut found = Vec::new();
    match body {
        Value::String(_) => found.push(json!(with)),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                for variant in variants(item, with) {
                    let mut whole = body.clone();
                    whole[at] = variant;
                    found.push(whole);
                }
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                for variant in variants(value, with) {
                    let mut whole = body.clone();
                    whole[key] = variant;
                    found.push(whole);
                }
                let mut whole = map.clone();
                let value = whole.remove(key).unwrap();
                whole.insert(format!("{key}{with}"), value);
                found.push(Value::Object(whole));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_text_with_nul_is_refused_and_an_overlong_one_breaks_nothing() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let service = json!({"service": {"type": "t", "name": "n", "description": "d"}});
    let service_id = id_of(
        &admin
            .post("/v3/services", service.clone())
            .await
            .expect(201),
        "service",
    );
    let tags = format!("/v3/projects/{project}/tags");
    let apps = format!("/v3/users/{user}/application_credentials");
    let keys = format!("/v3/users/{user}/credentials/OS-EC2");
    let password = format!("/v3/users/{user}/password");
    let providers = "/v3/OS-FEDERATION/identity_providers/i";
    let log_in = json!({"auth": {"identity": by_name("admin", ADMIN_PASSWORD), "scope": on_project("admin")}});
    let calls = [
        (
            &admin,
            Method::POST,
            "/v3/users",
            json!({"user": {"name": "u", "domain_id": "default",
            "default_project_id": project, "password": "p", "email": "e"}}),
        ),
        (
            &admin,
            Method::POST,
            "/v3/projects",
            json!({"project": {"name": "p", "domain_id": "default",
            "parent_id": "default", "description": "d", "tags": ["t"]}}),
        ),
        (&admin, Method::PUT, tags.as_str(), json!({"tags": ["t"]})),
        (
            &admin,
            Method::POST,
            "/v3/domains",
            json!({"domain": {"name": "d", "description": "d",
            "explicit_domain_id": "0123", "tags": ["t"]}}),
        ),
        (
            &admin,
            Method::POST,
            "/v3/groups",
            json!({"group": {"name": "g", "domain_id": "default",
            "description": "d"}}),
        ),
        (
            &admin,
            Method::POST,
            "/v3/roles",
            json!({"role": {"name": "r", "domain_id": "default",
            "description": "d"}}),
        ),
        (
            &admin,
            Method::POST,
            "/v3/regions",
            json!({"region": {"id": "r", "description": "d",
            "parent_region_id": "RegionOne"}}),
        ),
        (&admin, Method::POST, "/v3/services", service),
        (
            &admin,
            Method::POST,
            "/v3/endpoints",
            json!({"endpoint": {"service_id": service_id,
            "interface": "public", "url": "http://a.test", "region": "R", "name": "n"}}),
        ),
        (
            &admin,
            Method::POST,
            "/v3/policies",
            json!({"policy": {"type": "t", "blob": "b"}}),
        ),
        (
            &admin,
            Method::POST,
            "/v3/registered_limits",
            json!({"registered_limits": [{
            "service_id": service_id, "region_id": "RegionOne", "resource_name": "n", "default_limit": 1,
            "description": "d"}]}),
        ),
        (
            &admin,
            Method::POST,
            "/v3/limits",
            json!({"limits": [{"service_id": service_id,
            "region_id": "RegionOne", "resource_name": "n", "project_id": project, "resource_limit": 1,
            "description": "d"}]}),
        ),
        (
            &admin,
            Method::POST,
            "/v3/credentials",
            json!({"credential": {"user_id": user,
            "project_id": project, "type": "t", "blob": "b"}}),
        ),
        (
            &admin,
            Method::POST,
            keys.as_str(),
            json!({"tenant_id": project}),
        ),
        (
            &alice,
            Method::POST,
            apps.as_str(),
            json!({"application_credential": {"name": "a",
            "description": "d", "secret": "s", "expires_at": "2100-01-01T00:00:00",
            "roles": [{"name": "member"}],
            "access_rules": [{"service": "s", "method": "GET", "path": "/p"}]}}),
        ),
        (
            &alice,
            Method::POST,
            "/v3/OS-TRUST/trusts",
            json!({"trust": {"trustor_user_id": user,
            "trustee_user_id": user, "project_id": project, "impersonation": true,
            "roles": [{"name": "member"}], "note": "n"}}),
        ),
        (
            &admin,
            Method::PUT,
            providers,
            json!({"identity_provider": {"description": "d",
            "remote_ids": ["r"], "domain_id": "default"}}),
        ),
        (&cloud.ask, Method::POST, "/v3/auth/tokens", log_in),
        (
            &cloud.ask,
            Method::POST,
            password.as_str(),
            json!({"user": {"original_password": "x",
            "password": "y"}}),
        ),
        (
            &admin,
            Method::POST,
            "/v3/s3tokens",
            json!({"credentials": {"access": "a",
            "signature": "s", "token": "t"}}),
        ),
        (
            &admin,
            Method::POST,
            "/host/v1/hosts",
            json!({"host": {"name": "h",
            "availability_zone": "z"}}),
        ),
    ];
    // Random, because an index compresses what repeats.
    let long: String = (0..4000)
        .map(|_| char::from(rand::random_range(b'a'..=b'z')))
        .collect();
    for (ask, method, path, body) in calls {
        for wrong in variants(&body, "a\0b") {
            let answer = ask.json(method.clone(), path, &wrong).await;
            assert_eq!(answer.status, 400, "{method} {path} {wrong}");
        }
        for wrong in variants(&body, &long) {
            let answer = ask.json(method.clone(), path, &wrong).await;
            assert!(answer.status < 500, "{method} {path} {wrong}");
        }
    }
}

#[tokio::test]
async fn names_in_paths_and_queries_may_hold_no_nul_and_have_a_length() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let long: String = (0..4000)
        .map(|_| char::from(rand::random_range(b'a'..=b'z')))
        .collect();
    let body = |path: &str| {
        let mapping =
            json!({"mapping": {"rules": [{"local": [{}], "remote": [{"type": "user"}]}]}});
        match path.rsplit('/').next().unwrap() {
            "identity_providers" => json!({"identity_provider": {}}),
            "mappings" => mapping,
            "service_providers" => {
                json!({"service_provider": {"auth_url": "http://a/", "sp_url": "http://s/"}})
            }
            _ => json!({"region": {}}),
        }
    };
    for path in [
        "/v3/OS-FEDERATION/identity_providers",
        "/v3/OS-FEDERATION/mappings",
        "/v3/OS-FEDERATION/service_providers",
        "/v3/regions",
    ] {
        for id in ["a%00b", &long] {
            let answer = admin.put(&format!("{path}/{id}"), body(path)).await;
            assert_eq!(answer.status, 400, "{path}");
        }
    }
    for path in [
        "users",
        "projects",
        "groups",
        "roles",
        "domains",
        "regions",
        "services",
        "endpoints",
    ] {
        admin.get(&format!("/v3/{path}/a%00b")).await.expect(400);
        admin.get(&format!("/v3/{path}/{long}")).await.expect(404);
        admin
            .get(&format!("/v3/{path}?name=a%00b"))
            .await
            .expect(400);
        admin
            .get(&format!("/v3/{path}?name={long}"))
            .await
            .expect(200);
    }
}
