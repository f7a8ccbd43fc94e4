//! Roles, what they imply, and who has them where.

use serde_json::{Value, json};

use crate::cloud::{Cloud, all, id_of, on_domain, on_project, on_system};

async fn role(cloud: &Cloud, name: &str) -> String {
    let body = json!({"role": {"name": name}});
    id_of(
        &cloud
            .admin()
            .await
            .post("/v3/roles", body)
            .await
            .expect(201),
        "role",
    )
}

#[tokio::test]
async fn a_role_is_given_checked_listed_and_taken_everywhere() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let (user, project) = (cloud.user("alice").await, cloud.project("p").await);
    let group = json!({"group": {"name": "g", "domain_id": "default"}});
    let group = id_of(&admin.post("/v3/groups", group).await.expect(201), "group");
    let role = role(&cloud, "pilot").await;
    for actor in [format!("users/{user}"), format!("groups/{group}")] {
        let targets = [
            format!("projects/{project}"),
            "domains/default".into(),
            "system".into(),
        ];
        for target in targets {
            let list = format!("/v3/{target}/{actor}/roles");
            round(&admin, &list, &format!("{list}/{role}")).await;
            if target != "system" {
                let list = format!("/v3/OS-INHERIT/{target}/{actor}/roles");
                let one = format!("{list}/{role}/inherited_to_projects");
                round(&admin, &format!("{list}/inherited_to_projects"), &one).await;
            }
        }
    }
    let nobody = format!("/v3/projects/{project}/users/nobody/roles/{role}");
    admin.put(&nobody, Value::Null).await.expect(404);
}

async fn round(admin: &nephos_testkit::Ask, list: &str, one: &str) {
    admin.get(one).await.expect(404);
    admin.delete(one).await.expect(404);
    admin.put(one, Value::Null).await.expect(204);
    admin.put(one, Value::Null).await.expect(204);
    admin.get(one).await.expect(204);
    let head = admin
        .send(http::Method::HEAD, one, bytes::Bytes::new())
        .await;
    assert_eq!(head.status, 204);
    assert_eq!(
        all(&admin.get(list).await.expect(200), "roles", "name"),
        ["pilot"],
        "{list}"
    );
    admin.delete(one).await.expect(204);
    assert_eq!(
        admin.get(list).await.expect(200).json["roles"],
        json!([]),
        "{list}"
    );
}

#[tokio::test]
async fn a_group_gives_its_roles_and_takes_them_with_the_membership() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let (user, project) = (cloud.user("alice").await, cloud.project("p").await);
    let group = json!({"group": {"name": "g", "domain_id": "default"}});
    let group = id_of(&admin.post("/v3/groups", group).await.expect(201), "group");
    let member = cloud.role("member").await;
    let grant = format!("/v3/projects/{project}/groups/{group}/roles/{member}");
    admin.put(&grant, Value::Null).await.expect(204);
    let membership = format!("/v3/groups/{group}/users/{user}");
    for case in 0..3 {
        admin.put(&membership, Value::Null).await.expect(204);
        let alice = cloud.as_user("alice", "alice", on_project("p")).await;
        cloud.later();
        match case {
            0 => admin.delete(&membership).await.expect(204),
            1 => {
                admin.delete(&grant).await.expect(204);
                admin.get("/v3/roles").await.expect(200);
                alice.get("/v3/auth/projects").await.expect(401);
                admin.put(&grant, Value::Null).await.expect(204)
            }
            _ => admin
                .delete(&format!("/v3/groups/{group}"))
                .await
                .expect(204),
        };
        alice.get("/v3/auth/projects").await.expect(401);
        cloud.later();
    }
    let log_in = crate::cloud::by_name("alice", "alice");
    cloud.log_in(log_in, on_project("p")).await.expect(401);
}

#[tokio::test]
async fn what_is_inherited_holds_below_and_what_is_implied_follows() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let user = cloud.user("alice").await;
    let top = cloud.project("top").await;
    let body = json!({"project": {"name": "below", "parent_id": top}});
    let below = id_of(
        &admin.post("/v3/projects", body).await.expect(201),
        "project",
    );
    let manager = cloud.role("manager").await;
    let grant =
        format!("/v3/OS-INHERIT/projects/{top}/users/{user}/roles/{manager}/inherited_to_projects");
    admin.put(&grant, Value::Null).await.expect(204);
    let identity = || crate::cloud::by_name("alice", "alice");
    cloud
        .log_in(identity(), on_project("top"))
        .await
        .expect(401);
    let token = cloud
        .log_in(identity(), on_project("below"))
        .await
        .expect(201);
    assert_eq!(all_roles(&token.json), ["manager", "member", "reader"]);
    let alice = cloud.ask.with_token(crate::cloud::token_of(&token));
    let own = alice.get("/v3/auth/projects").await.expect(200);
    assert_eq!(all(&own, "projects", "id"), [below.as_str()]);

    let given = format!("/v3/role_assignments?user.id={user}");
    let listed = admin
        .get(&format!("{given}&include_names"))
        .await
        .expect(200)
        .json;
    let one = &listed["role_assignments"][0];
    assert_eq!(one["scope"]["OS-INHERIT:inherited_to"], "projects");
    assert_eq!(one["scope"]["project"]["name"], "top");
    assert_eq!(
        one["user"]["domain"],
        json!({"id": "default", "name": "Default"})
    );
    assert_eq!(one["role"]["name"], "manager");
    let links = one["links"]["assignment"].as_str().unwrap();
    assert_eq!(links, format!("http://cloud.test/identity{grant}"));
    let effective = admin
        .get(&format!("{given}&effective"))
        .await
        .expect(200)
        .json;
    let effective = effective["role_assignments"].as_array().unwrap();
    assert_eq!(effective.len(), 3);
    assert!(
        effective
            .iter()
            .all(|one| one["scope"]["project"]["id"] == below.as_str())
    );
    let tree = format!("/v3/role_assignments?scope.project.id={top}&include_subtree&effective");
    let tree = admin.get(&tree).await.expect(200).json;
    assert_eq!(tree["role_assignments"].as_array().unwrap().len(), 3);

    cloud.later();
    admin.delete(&grant).await.expect(204);
    alice.get("/v3/auth/projects").await.expect(401);
}

fn all_roles(token: &Value) -> Vec<String> {
    let roles = token["token"]["roles"].as_array().unwrap();
    let mut names: Vec<String> = roles
        .iter()
        .map(|role| role["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn assignments_are_filtered_and_contradictions_refused() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let count = |query: &str| {
        let (admin, path) = (admin.clone(), format!("/v3/role_assignments?{query}"));
        async move {
            admin.get(&path).await.expect(200).json["role_assignments"]
                .as_array()
                .unwrap()
                .len()
        }
    };
    // admin on project, domain and system; nova as service.
    assert_eq!(count("").await, 4);
    assert_eq!(count("scope.system=all").await, 1);
    assert_eq!(count("scope.domain.id=default").await, 1);
    let role = cloud.role("service").await;
    assert_eq!(count(&format!("role.id={role}")).await, 1);
    assert_eq!(count("scope.system=all&effective").await, 4);
    assert_eq!(count("scope.OS-INHERIT:inherited_to=projects").await, 0);
    for wrong in [
        "scope.system=all&scope.domain.id=default",
        "user.id=a&group.id=b",
        "effective&group.id=b",
        "include_subtree",
        "effective&scope.domain.id=default&scope.OS-INHERIT:inherited_to=projects",
    ] {
        admin
            .get(&format!("/v3/role_assignments?{wrong}"))
            .await
            .expect(400);
    }
}

#[tokio::test]
async fn implied_roles_are_made_shown_and_ended() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let (a, b) = (role(&cloud, "a").await, role(&cloud, "b").await);
    let path = format!("/v3/roles/{a}/implies/{b}");
    admin.get(&path).await.expect(404);
    let made = admin.put(&path, Value::Null).await.expect(201).json;
    assert_eq!(made["role_inference"]["prior_role"]["name"], "a");
    assert_eq!(made["role_inference"]["implies"]["name"], "b");
    assert_eq!(admin.get(&path).await.expect(200).json, made);
    let head = admin
        .send(http::Method::HEAD, &path, bytes::Bytes::new())
        .await;
    assert_eq!(head.status, 204);
    let listed = admin
        .get(&format!("/v3/roles/{a}/implies"))
        .await
        .expect(200)
        .json;
    assert_eq!(listed["role_inference"]["implies"][0]["name"], "b");
    let every = admin.get("/v3/role_inferences").await.expect(200).json;
    assert_eq!(every["role_inferences"].as_array().unwrap().len(), 4);
    let chief = cloud.role("admin").await;
    admin
        .put(&format!("/v3/roles/{a}/implies/{chief}"), Value::Null)
        .await
        .expect(403);

    let (user, project) = cloud.tenant("alice", "reader").await;
    let grant = format!("/v3/projects/{project}/users/{user}/roles/{a}");
    admin.put(&grant, Value::Null).await.expect(204);
    let identity = || crate::cloud::by_name("alice", "alice");
    let token = cloud
        .log_in(identity(), on_project("alice"))
        .await
        .expect(201);
    assert_eq!(all_roles(&token.json), ["a", "b", "reader"]);
    cloud.later();
    admin.delete(&path).await.expect(204);
    admin.delete(&path).await.expect(404);
    let alice = cloud.ask.with_token(crate::cloud::token_of(&token));
    alice.get("/v3/auth/projects").await.expect(401);
    cloud.later();
    let token = cloud
        .log_in(identity(), on_project("alice"))
        .await
        .expect(201);
    assert_eq!(all_roles(&token.json), ["a", "reader"]);
    cloud.later();
    admin.delete(&format!("/v3/roles/{a}")).await.expect(204);
    let alice = cloud.ask.with_token(crate::cloud::token_of(&token));
    alice.get("/v3/auth/projects").await.expect(401);
}

#[tokio::test]
async fn a_role_of_a_domain_stays_in_it_and_out_of_tokens() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let body = json!({"role": {"name": "local", "domain_id": "default"}});
    let local = id_of(
        &admin.post("/v3/roles", body.clone()).await.expect(201),
        "role",
    );
    admin.post("/v3/roles", body).await.expect(409);
    assert_eq!(
        all(
            &admin.get("/v3/roles?domain_id=default").await.expect(200),
            "roles",
            "name"
        ),
        ["local"]
    );
    let global = admin.get("/v3/roles").await.expect(200);
    assert!(!all(&global, "roles", "name").contains(&"local".to_owned()));
    let (user, project) = (cloud.user("alice").await, cloud.project("alice").await);
    admin
        .put(
            &format!("/v3/projects/{project}/users/{user}/roles/{local}"),
            Value::Null,
        )
        .await
        .expect(204);
    let identity = || crate::cloud::by_name("alice", "alice");
    cloud
        .log_in(identity(), on_project("alice"))
        .await
        .expect(401);
    let reader = cloud.role("reader").await;
    admin
        .put(&format!("/v3/roles/{local}/implies/{reader}"), Value::Null)
        .await
        .expect(201);
    let token = cloud
        .log_in(identity(), on_project("alice"))
        .await
        .expect(201);
    assert_eq!(all_roles(&token.json), ["reader"]);
    admin
        .put(&format!("/v3/roles/{reader}/implies/{local}"), Value::Null)
        .await
        .expect(403);
    let other = admin
        .post("/v3/domains", json!({"domain": {"name": "o"}}))
        .await
        .expect(201);
    let other = id_of(&other, "domain");
    admin
        .put(
            &format!("/v3/domains/{other}/users/{user}/roles/{local}"),
            Value::Null,
        )
        .await
        .expect(403);
}

#[tokio::test]
async fn a_domains_manager_gives_small_roles_in_its_domain_only() {
    let cloud = Cloud::new().await;
    let mia = cloud.user("mia").await;
    cloud.give(&mia, "manager", "domains/default").await;
    let (user, project) = (cloud.user("alice").await, cloud.project("p").await);
    let mia = cloud.as_user("mia", "mia", on_domain("default")).await;
    let give = |role: String| format!("/v3/projects/{project}/users/{user}/roles/{role}");
    mia.put(&give(cloud.role("member").await), Value::Null)
        .await
        .expect(204);
    mia.put(&give(cloud.role("admin").await), Value::Null)
        .await
        .expect(403);
    mia.put(&give(cloud.role("service").await), Value::Null)
        .await
        .expect(403);
    let member = cloud.role("member").await;
    mia.put(
        &format!("/v3/system/users/{user}/roles/{member}"),
        Value::Null,
    )
    .await
    .expect(403);
    let roles = mia.get("/v3/roles").await.expect(200);
    assert_eq!(
        all(&roles, "roles", "name"),
        ["manager", "member", "reader"]
    );
    // With the same role on a project, nothing of it.
    let (_, _) = cloud.tenant("max", "manager").await;
    let max = cloud.as_user("max", "max", on_project("max")).await;
    max.put(&give(member), Value::Null).await.expect(403);
    max.get("/v3/roles").await.expect(403);
}

#[tokio::test]
async fn a_systems_reader_reads_everything_and_changes_nothing() {
    let cloud = Cloud::new().await;
    let user = cloud.user("rea").await;
    cloud.give(&user, "reader", "system").await;
    let rea = cloud.as_user("rea", "rea", on_system()).await;
    for path in [
        "users",
        "projects",
        "domains",
        "groups",
        "roles",
        "services",
        "endpoints",
        "policies",
        "credentials",
        "role_assignments",
        "role_inferences",
        "OS-TRUST/trusts",
    ] {
        rea.get(&format!("/v3/{path}")).await.expect(200);
    }
    rea.post(
        "/v3/projects",
        json!({"project": {"name": "x", "domain_id": "default"}}),
    )
    .await
    .expect(403);
    rea.post("/v3/roles", json!({"role": {"name": "x"}}))
        .await
        .expect(403);
    rea.delete(&format!("/v3/users/{user}")).await.expect(403);
    // A domain's admin is no operator where the rule does not speak of domains.
    let admin = cloud
        .as_user("admin", crate::cloud::ADMIN_PASSWORD, on_domain("default"))
        .await;
    admin.get("/v3/services").await.expect(403);
    admin.get("/v3/users").await.expect(200);
}
