//! Things that hang on others: nothing is made on what goes at the same time, and whoever looks finds nothing that hangs
//! on nothing.

use http::Method;
use nephos_api::Check as _;
use nephos_testkit::Ask;
use serde_json::{Value, json};

use crate::cloud::{Cloud, id_of, on_project};
use crate::together::made;

/// One call.
struct Call(Ask, Method, String, Value);

impl Call {
    fn post(ask: &Ask, path: &str, body: Value) -> Self {
        Self(ask.clone(), Method::POST, path.to_owned(), body)
    }

    fn put(ask: &Ask, path: impl Into<String>, body: Value) -> Self {
        Self(ask.clone(), Method::PUT, path.into(), body)
    }

    fn patch(ask: &Ask, path: impl Into<String>, body: Value) -> Self {
        Self(ask.clone(), Method::PATCH, path.into(), body)
    }

    fn delete(ask: &Ask, path: impl Into<String>) -> Self {
        Self(ask.clone(), Method::DELETE, path.into(), Value::Null)
    }

    async fn run(&self) -> u16 {
        let Self(ask, method, path, body) = self;
        match body {
            Value::Null if *method == Method::DELETE => ask.delete(path).await.status,
            body => ask.json(method.clone(), path, body).await.status,
        }
    }
}

/// Several makers beside one that takes away; both may come first, and nothing hangs on nothing afterwards.
async fn race(cloud: &Cloud, makers: &[Call], taker: &Call) {
    let makes = futures_util::future::join_all(makers.iter().map(Call::run));
    let (made, taken) = tokio::join!(makes, taker.run());
    for (status, call) in made
        .iter()
        .chain([&taken])
        .zip(makers.iter().chain([taker]))
    {
        assert!(*status < 500, "{} {}: {status}", call.1, call.2);
    }
    let found = cloud.identity.check().await.unwrap();
    assert_eq!(found, [], "{} {}", taker.1, taker.2);
}

const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_made_below_a_project_a_service_or_a_region_that_goes() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    for round in 0..ROUNDS {
        let project = |name: &str| json!({"project": {"name": format!("{name}-{round}")}});
        let parent = made(&cloud, "/v3/projects", project("parent")).await;
        let child = json!({"project": {"name": format!("child-{round}"), "parent_id": parent}});
        let child = Call::post(&admin, "/v3/projects", child);
        let gone = Call::delete(&admin, format!("/v3/projects/{parent}"));
        race(&cloud, &[child], &gone).await;

        let kind = json!({"service": {"type": format!("t-{round}")}});
        let service = made(&cloud, "/v3/services", kind.clone()).await;
        let region = made(&cloud, "/v3/regions", json!({"region": {}})).await;
        let endpoint = |service: &str| {
            json!({"endpoint": {"service_id": service, "interface": "public",
            "url": "http://a.test", "region_id": region}})
        };
        let limit = |service: &str| {
            json!({"registered_limits": [{"service_id": service, "region_id": region,
            "resource_name": "r", "default_limit": 1}]})
        };
        let makers = [
            Call::post(&admin, "/v3/endpoints", endpoint(&service)),
            Call::post(&admin, "/v3/registered_limits", limit(&service)),
        ];
        let gone = Call::delete(&admin, format!("/v3/services/{service}"));
        race(&cloud, &makers, &gone).await;

        let region = made(&cloud, "/v3/regions", json!({"region": {}})).await;
        let service = made(&cloud, "/v3/services", kind).await;
        let makers = [
            json!({"endpoint": {"service_id": service, "interface": "public", "url": "http://a.test",
                "region_id": region}}),
            json!({"region": {"parent_region_id": region}}),
            json!({"registered_limits": [{"service_id": service, "region_id": region, "resource_name": "r",
                "default_limit": 1}]}),
        ];
        let paths = ["/v3/endpoints", "/v3/regions", "/v3/registered_limits"];
        let makers: Vec<Call> = makers
            .into_iter()
            .zip(paths)
            .map(|(body, path)| Call::post(&admin, path, body))
            .collect();
        let gone = Call::delete(&admin, format!("/v3/regions/{region}"));
        race(&cloud, &makers, &gone).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_role_is_given_to_or_on_what_goes() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    for round in 0..ROUNDS {
        for gone in ["user", "group", "project", "role"] {
            let named = format!("{gone}-{round}");
            let one = |kind: &str| json!({kind: {"name": format!("{kind}-{named}")}});
            let user = made(&cloud, "/v3/users", one("user")).await;
            let group = made(&cloud, "/v3/groups", one("group")).await;
            let project = made(&cloud, "/v3/projects", one("project")).await;
            let role = made(&cloud, "/v3/roles", one("role")).await;
            let member = cloud.role("member").await;
            let put = |path: String| Call::put(&admin, path, Value::Null);
            let makers = [
                put(format!("/v3/projects/{project}/users/{user}/roles/{role}")),
                put(format!(
                    "/v3/projects/{project}/groups/{group}/roles/{role}"
                )),
                put(format!("/v3/domains/default/users/{user}/roles/{role}")),
                put(format!("/v3/system/groups/{group}/roles/{role}")),
                put(format!("/v3/groups/{group}/users/{user}")),
                put(format!("/v3/roles/{role}/implies/{member}")),
            ];
            let id = match gone {
                "user" => &user,
                "group" => &group,
                "project" => &project,
                _ => &role,
            };
            let gone = Call::delete(&admin, format!("/v3/{gone}s/{id}"));
            race(&cloud, &makers, &gone).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_domain_that_goes_leaves_nothing_of_its_own() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    for round in 0..ROUNDS {
        let domain = json!({"domain": {"name": format!("d-{round}"), "enabled": false}});
        let domain = made(&cloud, "/v3/domains", domain).await;
        let of_it = |kind: &str| {
            let body = json!({kind: {"name": format!("{kind}-{round}"), "domain_id": domain}});
            Call::post(&admin, &format!("/v3/{kind}s"), body)
        };
        let user = cloud.user(&format!("u-{round}")).await;
        let member = cloud.role("member").await;
        let provider = json!({"identity_provider": {"domain_id": domain}});
        let makers = [
            of_it("user"),
            of_it("group"),
            of_it("role"),
            Call::put(
                &admin,
                format!("/v3/OS-FEDERATION/identity_providers/i-{round}"),
                provider,
            ),
            Call::put(
                &admin,
                format!("/v3/domains/{domain}/users/{user}/roles/{member}"),
                Value::Null,
            ),
        ];
        let gone = Call::delete(&admin, format!("/v3/domains/{domain}"));
        race(&cloud, &makers, &gone).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_user_that_goes_leaves_no_key_no_trust_and_no_password() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    for round in 0..ROUNDS {
        for goes in ["trustor", "trustee", "project"] {
            let (name, other) = (format!("{goes}-{round}"), format!("other-{goes}-{round}"));
            let (user, project) = cloud.tenant(&name, "member").await;
            let trustee = cloud.user(&other).await;
            let own = cloud.as_user(&name, &name, on_project(&name)).await;
            let trust = json!({"trust": {"trustor_user_id": user, "trustee_user_id": trustee,
                "project_id": project, "impersonation": true, "roles": [{"name": "member"}]}});
            let credential = json!({"credential": {"user_id": user, "type": "t", "blob": "b"}});
            let app = json!({"application_credential": {"name": "a",
                "access_rules": [{"service": "s", "method": "GET", "path": "/"}]}});
            let apps = format!("/v3/users/{user}/application_credentials");
            let key = json!({"tenant_id": project});
            let password = json!({"user": {"original_password": name, "password": "new"}});
            let makers = [
                Call::post(&own, "/v3/OS-TRUST/trusts", trust),
                Call::post(&admin, "/v3/credentials", credential),
                Call::post(&own, &apps, app),
                Call::post(&own, &format!("/v3/users/{user}/credentials/OS-EC2"), key),
                Call::post(&cloud.ask, &format!("/v3/users/{user}/password"), password),
            ];
            let gone = match goes {
                "trustor" => format!("/v3/users/{user}"),
                "trustee" => format!("/v3/users/{trustee}"),
                _ => format!("/v3/projects/{project}"),
            };
            race(&cloud, &makers, &Call::delete(&admin, gone)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn limits_and_protocols_go_with_what_they_are_of() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let mapping = json!({"mapping": {"rules": [{"local": [{}], "remote": [{"type": "user"}]}]}});
    let path = "/v3/OS-FEDERATION/mappings/m";
    admin.put(path, mapping).await.expect(201);
    let service = made(&cloud, "/v3/services", json!({"service": {"type": "t"}})).await;
    for round in 0..ROUNDS {
        for goes in ["project", "registered"] {
            let name = format!("{goes}-{round}");
            let project = cloud.project(&name).await;
            let of = json!({"service_id": service, "resource_name": name, "default_limit": 1});
            let answer = admin
                .post("/v3/registered_limits", json!({"registered_limits": [of]}))
                .await
                .expect(201);
            let registered = answer.json["registered_limits"][0]["id"].clone();
            let registered = registered.as_str().unwrap();
            let limit = json!({"limits": [{"service_id": service, "resource_name": name, "resource_limit": 2,
                "project_id": project}]});
            let makers = [
                Call::post(&admin, "/v3/limits", limit),
                Call::patch(
                    &admin,
                    format!("/v3/registered_limits/{registered}"),
                    json!({"registered_limit": {"default_limit": 3}}),
                ),
            ];
            let gone = match goes {
                "project" => format!("/v3/projects/{project}"),
                _ => format!("/v3/registered_limits/{registered}"),
            };
            race(&cloud, &makers, &Call::delete(&admin, gone)).await;
        }
        let provider = format!("/v3/OS-FEDERATION/identity_providers/p-{round}");
        let body = json!({"identity_provider": {}});
        admin.put(&provider, body).await.expect(201);
        let protocol = json!({"protocol": {"mapping_id": "m"}});
        let maker = Call::put(&admin, format!("{provider}/protocols/x"), protocol);
        race(&cloud, &[maker], &Call::delete(&admin, provider)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_project_is_not_enabled_below_one_that_is_disabled() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let parent = cloud.project("parent").await;
    let child = json!({"project": {"name": "child", "parent_id": parent, "enabled": false}});
    let child = made(&cloud, "/v3/projects", child).await;
    let (parent, child) = (
        format!("/v3/projects/{parent}"),
        format!("/v3/projects/{child}"),
    );
    let set = |enabled: bool| json!({"project": {"enabled": enabled}});
    admin.patch(&parent, set(false)).await.expect(200);
    let refused = admin.patch(&child, set(true)).await.expect(403);
    let words = refused.json["error"]["message"].as_str().unwrap();
    assert!(words.starts_with("Cannot enable project "), "{words}");
    assert!(words.ends_with(" since it has disabled parents"), "{words}");
    for _round in 0..6 {
        admin.patch(&child, set(false)).await.expect(200);
        admin.patch(&parent, set(true)).await.expect(200);
        let on = Call::patch(&admin, child.clone(), set(true));
        let off = Call::patch(&admin, parent.clone(), set(false));
        race(&cloud, &[on], &off).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_lent_by_a_role_ends_with_it_also_at_the_same_time() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    let member = cloud.role("member").await;
    let grant = format!("/v3/projects/{project}/users/{user}/roles/{member}");
    let apps = format!("/v3/users/{user}/application_credentials");
    for round in 0..ROUNDS {
        cloud.later();
        let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
        let app = json!({"application_credential": {"name": format!("a-{round}")}});
        let maker = Call::post(&alice, &apps, app);
        race(&cloud, &[maker], &Call::delete(&admin, grant.clone())).await;
        admin.put(&grant, Value::Null).await.expect(204);
        let left = admin.get(&apps).await.expect(200);
        assert_eq!(left.json["application_credentials"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_lent_on_does_not_outlive_the_trust_it_was_lent_by() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    let bob = cloud.user("bob").await;
    let carol = cloud.user("carol").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let trust = |trustee: &str| {
        json!({"trust": {"trustor_user_id": user, "trustee_user_id": trustee, "project_id": project,
            "impersonation": true, "roles": [{"name": "member"}], "allow_redelegation": true}})
    };
    let path = "/v3/OS-TRUST/trusts";
    for _round in 0..ROUNDS {
        let lent = alice.post(path, trust(&bob)).await.expect(201);
        let lent = id_of(&lent, "trust");
        let scope = json!({"OS-TRUST:trust": {"id": lent}});
        let as_bob = cloud.as_user("bob", "bob", scope).await;
        let maker = Call::post(&as_bob, path, trust(&carol));
        race(
            &cloud,
            &[maker],
            &Call::delete(&alice, format!("{path}/{lent}")),
        )
        .await;
        let left = alice.get(&format!("{path}?trustor_user_id={user}")).await;
        assert_eq!(left.expect(200).json["trusts"], json!([]));
    }
    // Nor the one who lent it on.
    let lent = id_of(&alice.post(path, trust(&bob)).await.expect(201), "trust");
    let scope = json!({"OS-TRUST:trust": {"id": lent}});
    let as_bob = cloud.as_user("bob", "bob", scope).await;
    let on = as_bob.post(path, trust(&carol)).await.expect(201);
    let scope = json!({"OS-TRUST:trust": {"id": id_of(&on, "trust")}});
    let as_carol = cloud.as_user("carol", "carol", scope.clone()).await;
    as_carol.get("/v3/auth/projects").await.expect(200);
    cloud.later();
    let admin = cloud.admin().await;
    admin.delete(&format!("/v3/users/{bob}")).await.expect(204);
    as_carol.get("/v3/auth/projects").await.expect(401);
    let by_carol = crate::cloud::by_name("carol", "carol");
    cloud.log_in(by_carol, scope).await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_project_that_goes_leaves_no_access_key() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let user = json!({"user": {"name": "keys"}});
    let user = made(&cloud, "/v3/users", user).await;
    let keys = format!("/v3/users/{user}/credentials/OS-EC2");
    for round in 0..ROUNDS {
        let project = json!({"project": {"name": format!("p-{round}")}});
        let project = made(&cloud, "/v3/projects", project).await;
        let key = Call::post(&admin, &keys, json!({"tenant_id": project}));
        let gone = Call::delete(&admin, format!("/v3/projects/{project}"));
        let (made, _gone) = tokio::join!(key.run(), gone.run());
        assert!(matches!(made, 201 | 404), "{made}");
        let left = admin.get(&keys).await.expect(200).json;
        assert_eq!(left["credentials"], json!([]));
    }
}
