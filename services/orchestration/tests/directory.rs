//! What administrators have of the identity service by stacks: projects, users, groups, roles, the catalogue.

use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message, path, template};

async fn of_admin() -> Cloud {
    let mut cloud = cloud().await;
    cloud.who = Persona::Admin;
    cloud
}

fn of(name: &str) -> Value {
    json!({ "get_resource": name })
}

fn thing(kind: &str, properties: Value) -> Value {
    json!({"type": format!("OS::Keystone::{kind}"), "properties": properties})
}

fn only(cloud: &Cloud, collection: &str) -> Value {
    let mut state = cloud.siblings.state();
    let rows: Vec<Value> = state
        .rows(&format!("v3/{collection}"))
        .values()
        .cloned()
        .collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

fn keys(cloud: &Cloud, rows: &str) -> Vec<String> {
    cloud.siblings.state().rows(rows).keys().cloned().collect()
}

async fn complete(cloud: &Cloud, stack: &str) {
    let shown = cloud.show(stack).await;
    let state = shown["stack_status"].as_str().unwrap();
    assert!(state.ends_with("_COMPLETE"), "{shown}");
}

fn text<'a>(thing: &'a Value, name: &str) -> &'a str {
    thing[name].as_str().unwrap()
}

fn people(user: Value) -> Value {
    json!({
        "project": thing("Project", json!({"name": "apollo", "tags": ["b", "a"]})),
        "group": thing("Group", json!({"name": "crew", "roles": [{"role": "member", "project": of("project")}]})),
        "user": thing("User", user),
    })
}

#[tokio::test]
async fn a_project_and_its_people_are_made_changed_and_go() {
    let cloud = of_admin().await;
    let first = json!({
        "name": "neil", "email": "n@a.test", "password": "secret-one", "default_project": of("project"),
        "groups": [of("group")], "roles": [{"role": "r1", "project": "apollo"}, {"role": "member", "domain": "Default"}],
    });
    // Its groups and roles are named, so their order has to be said.
    let mut resources = people(first.clone());
    resources["user"]["depends_on"] = json!(["project", "group"]);
    let mut body = template(resources);
    body["outputs"] = json!({"domain": {"value": {"get_attr": ["user", "domain_id"]}}});
    let stack = cloud.create("s", json!({ "template": body })).await;
    cloud.settle().await;
    complete(&cloud, &stack).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["outputs"][0]["output_value"], "default", "{shown}");
    let (project, group, user) = (
        only(&cloud, "projects"),
        only(&cloud, "groups"),
        only(&cloud, "users"),
    );
    assert_eq!(
        [&project["name"], &project["domain_id"], &project["enabled"]],
        [&json!("apollo"), &json!("default"), &json!(true)]
    );
    assert_eq!(
        [
            &user["name"],
            &user["email"],
            &user["password"],
            &user["default_project_id"]
        ],
        [
            &json!("neil"),
            &json!("n@a.test"),
            &json!("secret-one"),
            &project["id"]
        ]
    );
    let (p, g, u) = (text(&project, "id"), text(&group, "id"), text(&user, "id"));
    assert_eq!(keys(&cloud, "members"), [format!("{g}/{u}")]);
    let on_domain = format!("domains/default/users/{u}/roles/r1");
    let of_group = format!("projects/{p}/groups/{g}/roles/r1");
    let of_user = format!("projects/{p}/users/{u}/roles/r1");
    assert_eq!(
        keys(&cloud, "grants"),
        [on_domain.clone(), of_group.clone(), of_user]
    );
    // Somebody else puts the user into another group: it stays there.
    let other = ("other/".to_owned() + u, Value::Null);
    cloud.siblings.state().rows("members").extend([other]);
    let mut next = people(json!({
        "name": "buzz", "password": "secret-two", "enabled": false, "roles": [{"role": "member", "domain": "default"}],
    }));
    next["project"] = thing("Project", json!({"name": "gemini", "description": "d"}));
    cloud.updated(&stack, next).await;
    complete(&cloud, &stack).await;
    let now = only(&cloud, "users");
    assert_eq!(
        [
            &now["id"],
            &now["name"],
            &now["password"],
            &now["enabled"],
            &now["email"],
            &now["default_project_id"]
        ],
        [
            &user["id"],
            &json!("buzz"),
            &json!("secret-two"),
            &json!(false),
            &Value::Null,
            &Value::Null
        ]
    );
    let project = only(&cloud, "projects");
    assert_eq!(
        [
            &project["id"],
            &project["name"],
            &project["description"],
            &project["tags"]
        ],
        [&json!(p), &json!("gemini"), &json!("d"), &json!([])]
    );
    assert_eq!(keys(&cloud, "members"), [format!("other/{u}")]);
    assert_eq!(keys(&cloud, "grants"), [on_domain, of_group]);
    cloud.delete(&stack).await;
    let left: usize = cloud.siblings.picture().values().sum();
    assert_eq!(left, 0, "{:?}", cloud.siblings.picture());
}

#[tokio::test]
async fn the_security_group_that_a_project_had_by_itself_goes_with_it() {
    let cloud = of_admin().await;
    let stack = cloud
        .made("s", json!({"p": thing("Project", json!({}))}))
        .await;
    complete(&cloud, &stack).await;
    let project = only(&cloud, "projects");
    assert!(text(&project, "name").starts_with("s-p-"), "{project}");
    for (id, owner) in [("g1", text(&project, "id")), ("g2", "another")] {
        let group = json!({"id": id, "name": "default", "project_id": owner});
        let mut state = cloud.siblings.state();
        state.rows("security-groups").insert(id.to_owned(), group);
    }
    cloud.delete(&stack).await;
    assert_eq!(keys(&cloud, "security-groups"), ["g2"]);
    assert_eq!(cloud.siblings.count("v3/projects"), 0);
}

fn catalogue(url: &str, parent: Value) -> Value {
    json!({
        "upper": thing("Region", json!({"id": "a b"})),
        "region": thing("Region", json!({"description": "d", "parent_region": parent})),
        "service": thing("Service", json!({"name": "weather", "type": "weather"})),
        "endpoint": thing("Endpoint", json!({
            "service": of("service"), "region": of("region"), "interface": "public", "url": url})),
        "domain": thing("Domain", json!({"name": "hills"})),
        "role": thing("Role", json!({"name": "forecaster"})),
    })
}

#[tokio::test]
async fn a_service_with_its_place_in_the_catalogue_a_domain_and_a_role() {
    let cloud = of_admin().await;
    let stack = cloud
        .made("s", catalogue("http://a.test", of("upper")))
        .await;
    complete(&cloud, &stack).await;
    let upper = cloud.siblings.state().rows("v3/regions")["a%20b"].clone();
    assert_eq!(upper["enabled"], true);
    let endpoint = only(&cloud, "endpoints");
    let region = cloud.resource(&stack, "region").await["physical_resource_id"].clone();
    assert_eq!(
        [&endpoint["service_id"], &endpoint["region_id"]],
        [&only(&cloud, "services")["id"], &region]
    );
    let region = region.as_str().unwrap().to_owned();
    let row = cloud.siblings.state().rows("v3/regions")[&region].clone();
    assert_eq!(row["parent_region_id"], "a%20b");
    cloud
        .updated(&stack, catalogue("http://b.test", Value::Null))
        .await;
    complete(&cloud, &stack).await;
    let now = only(&cloud, "endpoints");
    assert_eq!(
        (&now["id"], &now["url"]),
        (&endpoint["id"], &json!("http://b.test"))
    );
    let row = cloud.siblings.state().rows("v3/regions")[&region].clone();
    assert_eq!(row["parent_region_id"], Value::Null);
    assert_eq!(only(&cloud, "domains")["name"], "hills");
    cloud.delete(&stack).await;
    let left: usize = cloud.siblings.picture().values().sum();
    assert_eq!(left, 0, "{:?}", cloud.siblings.picture());
}

#[tokio::test]
async fn roles_that_were_given_before_stay_where_they_are() {
    let cloud = of_admin().await;
    let before = "projects/p1/users/u1/roles/r1".to_owned();
    let given = (before.clone(), Value::Null);
    cloud.siblings.state().rows("grants").extend([given]);
    let all = |domain: &str| {
        let roles = json!([{"role": "member", "project": "first{Default}"}, {"role": "member", "domain": domain}]);
        json!({"a": thing("UserRoleAssignment", json!({"user": "alice", "roles": roles}))})
    };
    let stack = cloud.made("s", all("default")).await;
    complete(&cloud, &stack).await;
    let own = "domains/default/users/u1/roles/r1".to_owned();
    assert_eq!(keys(&cloud, "grants"), [own.clone(), before.clone()]);
    // What somebody takes away is found by a check, and given again by the next update.
    cloud.siblings.state().rows("grants").remove(&own);
    let target = format!("/v1/{}/stacks/{stack}/actions", Persona::Admin.project());
    cloud.member().post(&target, json!({"check": null})).await;
    cloud.settle().await;
    let reason = cloud.show(&stack).await["stack_status_reason"].to_string();
    assert!(
        reason.contains(&format!("not given any more: {own}")),
        "{reason}"
    );
    cloud.updated(&stack, all("Default")).await;
    complete(&cloud, &stack).await;
    assert_eq!(keys(&cloud, "grants"), [own, before.clone()]);
    cloud.delete(&stack).await;
    assert_eq!(keys(&cloud, "grants"), [before]);
}

#[tokio::test]
async fn what_cannot_be_is_said_and_leaves_nothing() {
    let cloud = of_admin().await;
    for (kind, properties, why) in [
        ("User", json!({"name": "alice"}), "Duplicate entry"),
        (
            "Project",
            json!({"domain": "nowhere"}),
            "The Domain (nowhere) could not be found.",
        ),
        (
            "UserRoleAssignment",
            json!({"user": "bob", "roles": []}),
            "The User (bob) could not be found.",
        ),
        (
            "Endpoint",
            json!({"service": "none", "interface": "public", "url": "http://a.test"}),
            "The Service (none) could not be found.",
        ),
    ] {
        let stack = cloud
            .made(kind, json!({"r": thing(kind, properties)}))
            .await;
        let shown = cloud.show(&stack).await;
        assert_eq!(shown["stack_status"], "CREATE_FAILED", "{shown}");
        assert!(text(&shown, "stack_status_reason").contains(why), "{shown}");
        cloud.delete(&stack).await;
        let left: usize = cloud.siblings.picture().values().sum();
        assert_eq!(left, 0, "{:?}", cloud.siblings.picture());
    }
    let roles = |one: Value| thing("Group", json!({ "roles": [one] }));
    for (resource, why) in [
        (
            roles(json!({"role": "member", "project": "p", "domain": "d"})),
            "at the same time",
        ),
        (
            roles(json!({"role": "member"})),
            "Either project or domain must be specified for role member",
        ),
    ] {
        let body = json!({"stack_name": "s", "template": template(json!({ "r": resource }))});
        let target = format!("/v1/{}/stacks", Persona::Admin.project());
        let answer = cloud.member().post(&target, body).await.expect(400);
        assert!(message(&answer).contains(why), "{answer:?}");
    }
}

#[tokio::test]
async fn a_change_that_fails_is_taken_back_the_password_too() {
    let cloud = of_admin().await;
    let user = |password: &str, roles: Value| json!({"u": thing("User", json!({"name": "neil", "password": password, "roles": roles}))});
    let stack = cloud.made("s", user("secret-one", json!([]))).await;
    let next = user("secret-two", json!([{"role": "none", "domain": "default"}]));
    let body = json!({"template": template(next), "disable_rollback": false});
    cloud.update(&stack, body).await.expect(202);
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "ROLLBACK_COMPLETE", "{shown}");
    assert_eq!(only(&cloud, "users")["password"], "secret-one");
}

#[tokio::test]
async fn what_was_lost_is_made_anew_under_its_name() {
    let cloud = of_admin().await;
    let group = |name: &str| json!({"g": thing("Group", json!({ "name": name }))});
    let stack = cloud.made("s", group("crew")).await;
    let before = only(&cloud, "groups");
    cloud.siblings.lose("v3/groups");
    let target = format!("/v1/{}/stacks/{stack}/actions", Persona::Admin.project());
    cloud.member().post(&target, json!({"check": null})).await;
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "CHECK_FAILED");
    cloud.updated(&stack, group("crew")).await;
    complete(&cloud, &stack).await;
    let now = only(&cloud, "groups");
    assert_eq!(now["name"], "crew");
    assert_ne!(now["id"], before["id"]);
    let shown = cloud.resource(&stack, "g").await;
    assert_eq!(shown["physical_resource_id"], now["id"]);
}

#[tokio::test]
async fn only_administrators_have_anything_of_the_identity_service() {
    let cloud = cloud().await;
    for (kind, properties) in [
        ("Project", json!({})),
        ("User", json!({})),
        ("Group", json!({})),
        ("Role", json!({})),
        ("Domain", json!({})),
        ("Region", json!({})),
        ("Service", json!({"type": "t"})),
        (
            "Endpoint",
            json!({"service": "s", "interface": "public", "url": "http://a.test"}),
        ),
        ("UserRoleAssignment", json!({"user": "u"})),
        ("GroupRoleAssignment", json!({"group": "g"})),
    ] {
        let body = template(json!({"r": thing(kind, properties)}));
        let body = json!({"stack_name": "s", "template": body});
        let answer = cloud.member().post(&path("/stacks"), body).await;
        let answer = answer.expect(403);
        let why = format!("You are not authorized to use OS::Keystone::{kind}.");
        assert_eq!(message(&answer), why);
    }
}
