//! Domains, projects, users and groups.

use serde_json::{Value, json};

use crate::cloud::{Cloud, all, id_of, on_domain, on_project};

#[tokio::test]
async fn a_user_keeps_its_extra_keys_and_names_are_unique_in_a_domain() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let body = json!({"user": {"name": "Zoë", "email": "z@test", "description": "d", "domain_id": "default",
        "options": {"lock_password": true}}});
    let made = admin.post("/v3/users", body.clone()).await.expect(201).json;
    let user = &made["user"];
    assert_eq!(user["email"], "z@test");
    assert_eq!(user["enabled"], true);
    assert_eq!(user["options"], json!({"lock_password": true}));
    assert_eq!(user.get("password"), None);
    assert_eq!(user["password_expires_at"], Value::Null);
    let id = user["id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(
        user["links"]["self"],
        format!("http://cloud.test/identity/v3/users/{id}")
    );
    let again = admin.post("/v3/users", body).await.expect(409).json;
    assert!(
        again["error"]["message"]
            .as_str()
            .unwrap()
            .contains("Duplicate entry")
    );
    let path = format!("/v3/users/{id}");
    let change =
        json!({"user": {"email": "y@test", "shoe": 42, "options": {"lock_password": null}}});
    let changed = admin.patch(&path, change).await.expect(200).json;
    assert_eq!(changed["user"]["shoe"], 42);
    assert_eq!(changed["user"]["options"], json!({}));
    assert_eq!(admin.get(&path).await.expect(200).json, changed);
    for wrong in [
        json!({"user": {"enabled": "yes"}}),
        json!({"user": {"name": ""}}),
        json!({"user": {"name": "x".repeat(256)}}),
        json!({"user": {"domain_id": "other"}}),
        json!({"user": {"id": "other"}}),
        json!({"user": {"options": {"nonsense": true}}}),
        json!({"user": {"options": {"multi_factor_auth_rules": [[]]}}}),
        json!({"person": {}}),
    ] {
        admin.patch(&path, wrong).await.expect(400);
    }
    admin.delete(&path).await.expect(204);
    admin.get(&path).await.expect(404);
    let lost = json!({"user": {"name": "x", "domain_id": "nowhere"}});
    admin.post("/v3/users", lost).await.expect(404);
}

#[tokio::test]
async fn lists_filter_and_page() {
    let cloud = Cloud::new().await;
    for name in ["anna", "anton", "berta", "ANTON2"] {
        cloud.user(name).await;
    }
    let admin = cloud.admin().await;
    let names = |query: &str| {
        let (admin, path) = (admin.clone(), format!("/v3/users?{query}"));
        async move { all(&admin.get(&path).await.expect(200), "users", "name") }
    };
    assert_eq!(names("name=anna").await, ["anna"]);
    assert_eq!(names("name__contains=nto").await, ["anton"]);
    assert_eq!(names("name__icontains=NTO").await, ["ANTON2", "anton"]);
    assert_eq!(names("name__startswith=b").await, ["berta"]);
    assert_eq!(names("enabled=false").await, [] as [&str; 0]);
    assert_eq!(names("enabled=true&name__endswith=ta").await, ["berta"]);
    assert_eq!(names("unknown=1").await.len(), 6);

    let mut seen = Vec::new();
    let mut next = Some("/v3/users?limit=4".to_owned());
    while let Some(path) = next {
        let page = admin.get(&path).await.expect(200);
        seen.extend(all(&page, "users", "name"));
        next = page.json["links"]["next"].as_str().map(|url| {
            url.strip_prefix("http://cloud.test/identity")
                .unwrap()
                .to_owned()
        });
    }
    seen.sort_unstable();
    assert_eq!(seen, ["ANTON2", "admin", "anna", "anton", "berta", "nova"]);
    let all_projects = admin.get("/v3/projects").await.expect(200);
    let (mut seen, mut marker) = (Vec::new(), String::new());
    loop {
        let path = format!("/v3/projects?limit=1&is_domain=false{marker}");
        let page = all(&admin.get(&path).await.expect(200), "projects", "id");
        let Some(id) = page.first() else { break };
        marker = format!("&marker={id}");
        seen.extend(page);
    }
    assert_eq!(seen, all(&all_projects, "projects", "id"));
    assert_eq!(names("limit=2&name=anna").await, ["anna"]);
    assert_eq!(names("limit=1&name__contains=nto").await, ["anton"]);
    admin.get("/v3/users?limit=0").await.expect(400);
    admin
        .get("/v3/users?limit=1&marker=nobody")
        .await
        .expect(404);
    admin.get("/v3/users?marker=nobody").await.expect(404);
}

#[tokio::test]
async fn projects_form_a_tree() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let make = |name: &str, parent: &str| {
        let (admin, body) = (
            admin.clone(),
            json!({"project": {"name": name, "parent_id": parent}}),
        );
        async move { admin.post("/v3/projects", body).await }
    };
    let top = id_of(&make("top", "default").await.expect(201), "project");
    let mid = id_of(&make("mid", &top).await.expect(201), "project");
    let leaf = id_of(&make("leaf", &mid).await.expect(201), "project");
    make("mid", &mid).await.expect(409);
    make("x", "nowhere").await.expect(404);
    let ids = admin
        .get(&format!("/v3/projects/{leaf}?parents_as_ids"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        ids["project"]["parents"],
        json!({mid.clone(): {top.clone(): {"default": null}}})
    );
    let ids = admin
        .get(&format!("/v3/projects/{top}?subtree_as_ids"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        ids["project"]["subtree"],
        json!({mid.clone(): {leaf.clone(): null}})
    );
    let both = format!("/v3/projects/{top}?subtree_as_ids&subtree_as_list");
    admin.get(&both).await.expect(400);
    let own = admin
        .get(&format!("/v3/projects/{top}?subtree_as_list"))
        .await
        .expect(200)
        .json;
    assert_eq!(own["project"]["subtree"], json!([]));
    let below = admin
        .get(&format!("/v3/projects?parent_id={top}"))
        .await
        .expect(200);
    assert_eq!(all(&below, "projects", "name"), ["mid"]);

    let path = |id: &str| format!("/v3/projects/{id}");
    let off = json!({"project": {"enabled": false}});
    admin.patch(&path(&top), off.clone()).await.expect(403);
    admin.delete(&path(&mid)).await.expect(403);
    admin
        .patch(&path(&leaf), json!({"project": {"parent_id": top}}))
        .await
        .expect(403);
    admin
        .patch(&path(&leaf), json!({"project": {"domain_id": "x"}}))
        .await
        .expect(400);
    admin.patch(&path(&leaf), off).await.expect(200);
    make("under a disabled one", &leaf).await.expect(400);
    let four = id_of(&make("four", &mid).await.expect(201), "project");
    let five = id_of(&make("five", &four).await.expect(201), "project");
    let six = id_of(&make("six", &five).await.expect(201), "project");
    make("seven", &six).await.expect(403);
    admin.delete(&path(&leaf)).await.expect(204);
}

#[tokio::test]
async fn tags_are_kept_and_searched() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let (a, b) = (cloud.project("a").await, cloud.project("b").await);
    let path = format!("/v3/projects/{a}/tags");
    let put = admin
        .put(&path, json!({"tags": ["red", "blue"]}))
        .await
        .expect(200)
        .json;
    assert_eq!(put["tags"], json!(["blue", "red"]));
    admin
        .put(&format!("/v3/projects/{b}/tags/red"), Value::Null)
        .await
        .expect(201);
    admin.get(&format!("{path}/red")).await.expect(204);
    admin.get(&format!("{path}/green")).await.expect(404);
    admin.put(&path, json!({"tags": ["a,b"]})).await.expect(400);
    let names = |query: &'static str| {
        let admin = admin.clone();
        async move {
            all(
                &admin
                    .get(&format!("/v3/projects?{query}"))
                    .await
                    .expect(200),
                "projects",
                "name",
            )
        }
    };
    assert_eq!(names("tags=red,blue").await, ["a"]);
    assert_eq!(names("tags-any=red,blue").await, ["a", "b"]);
    assert_eq!(names("not-tags=red,blue").await, ["admin", "b", "service"]);
    assert_eq!(names("not-tags-any=red,blue").await, ["admin", "service"]);
    admin.delete(&format!("{path}/red")).await.expect(204);
    admin.delete(&format!("{path}/red")).await.expect(404);
    admin.delete(&path).await.expect(204);
    assert_eq!(admin.get(&path).await.expect(200).json["tags"], json!([]));
}

#[tokio::test]
async fn a_domain_goes_with_everything_in_it_and_only_when_disabled() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let made = admin
        .post("/v3/domains", json!({"domain": {"name": "d"}}))
        .await
        .expect(201)
        .json;
    assert_eq!(made["domain"]["description"], "");
    assert_eq!(made["domain"]["enabled"], true);
    let domain = made["domain"]["id"].as_str().unwrap().to_owned();
    admin
        .post("/v3/domains", json!({"domain": {"name": "d"}}))
        .await
        .expect(409);
    for wrong in ["", &"x".repeat(65)] {
        admin
            .post("/v3/domains", json!({"domain": {"name": wrong}}))
            .await
            .expect(400);
    }
    let inside = |body: Value| {
        let mut body = body;
        let key = body.as_object().unwrap().keys().next().unwrap().clone();
        body[&key]["domain_id"] = json!(domain);
        let (admin, path) = (admin.clone(), format!("/v3/{key}s"));
        async move { id_of(&admin.post(&path, body).await.expect(201), &key) }
    };
    let user = inside(json!({"user": {"name": "u"}})).await;
    let group = inside(json!({"group": {"name": "g"}})).await;
    let project = inside(json!({"project": {"name": "p"}})).await;
    let role = inside(json!({"role": {"name": "r"}})).await;
    let path = format!("/v3/domains/{domain}");
    assert_eq!(
        admin
            .get(&format!("/v3/projects/{domain}"))
            .await
            .expect(200)
            .json["project"]["is_domain"],
        true
    );
    admin.delete(&path).await.expect(403);
    admin
        .patch(&path, json!({"domain": {"enabled": false}}))
        .await
        .expect(200);
    admin.delete(&path).await.expect(204);
    for gone in [
        path,
        format!("/v3/users/{user}"),
        format!("/v3/groups/{group}"),
        format!("/v3/projects/{project}"),
        format!("/v3/roles/{role}"),
    ] {
        admin.get(&gone).await.expect(404);
    }
    admin.delete("/v3/domains/default").await.expect(403);
}

#[tokio::test]
async fn groups_have_members() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let user = cloud.user("alice").await;
    let group = json!({"group": {"name": "g", "domain_id": "default", "color": "red"}});
    let group = id_of(&admin.post("/v3/groups", group).await.expect(201), "group");
    let member = format!("/v3/groups/{group}/users/{user}");
    admin.get(&member).await.expect(404);
    admin.put(&member, Value::Null).await.expect(204);
    admin.put(&member, Value::Null).await.expect(204);
    admin.get(&member).await.expect(204);
    let users = admin
        .get(&format!("/v3/groups/{group}/users"))
        .await
        .expect(200);
    assert_eq!(all(&users, "users", "id"), [user.as_str()]);
    let groups = admin
        .get(&format!("/v3/users/{user}/groups"))
        .await
        .expect(200);
    assert_eq!(all(&groups, "groups", "name"), ["g"]);
    admin.delete(&member).await.expect(204);
    admin.delete(&member).await.expect(404);
    let renamed = json!({"group": {"name": "h"}});
    let renamed = admin
        .patch(&format!("/v3/groups/{group}"), renamed)
        .await
        .expect(200)
        .json;
    assert_eq!(renamed["group"]["color"], "red");
    admin
        .delete(&format!("/v3/groups/{group}"))
        .await
        .expect(204);
}

#[tokio::test]
async fn what_is_immutable_stays_until_that_is_taken_back() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let on = json!({"project": {"name": "p", "options": {"immutable": true}}});
    let project = id_of(&admin.post("/v3/projects", on).await.expect(201), "project");
    let path = format!("/v3/projects/{project}");
    admin
        .patch(&path, json!({"project": {"name": "q"}}))
        .await
        .expect(403);
    admin.delete(&path).await.expect(403);
    let off = json!({"project": {"options": {"immutable": false}}});
    admin.patch(&path, off).await.expect(200);
    admin.delete(&path).await.expect(204);
}

#[tokio::test]
async fn a_domain_manager_works_in_its_own_domain_only() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let user = cloud.user("mia").await;
    cloud.give(&user, "manager", "domains/default").await;
    let other = admin
        .post("/v3/domains", json!({"domain": {"name": "other"}}))
        .await
        .expect(201);
    let other = id_of(&other, "domain");
    let mia = cloud.as_user("mia", "mia", on_domain("default")).await;
    let made = mia
        .post("/v3/users", json!({"user": {"name": "new"}}))
        .await
        .expect(201)
        .json;
    assert_eq!(made["user"]["domain_id"], "default");
    mia.post(
        "/v3/users",
        json!({"user": {"name": "new", "domain_id": other}}),
    )
    .await
    .expect(403);
    mia.post("/v3/projects", json!({"project": {"name": "new"}}))
        .await
        .expect(201);
    mia.post("/v3/domains", json!({"domain": {"name": "new"}}))
        .await
        .expect(403);
    let foreign = json!({"user": {"name": "foreign", "domain_id": other}});
    let foreign = id_of(&admin.post("/v3/users", foreign).await.expect(201), "user");
    mia.get(&format!("/v3/users/{foreign}")).await.expect(403);
    mia.get("/v3/users/nobody").await.expect(403);
    admin.get("/v3/users/nobody").await.expect(404);
    let listed = mia.get("/v3/users").await.expect(200);
    assert!(!all(&listed, "users", "name").contains(&"foreign".to_owned()));
    mia.get(&format!("/v3/users?domain_id={other}"))
        .await
        .expect(403);
    assert_eq!(
        all(&mia.get("/v3/domains").await.expect(200), "domains", "id"),
        ["default"]
    );
}

#[tokio::test]
async fn a_member_sees_itself_and_its_project() {
    let cloud = Cloud::new().await;
    let (user, project) = cloud.tenant("alice", "member").await;
    let (other, foreign) = cloud.tenant("bob", "member").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    alice.get(&format!("/v3/users/{user}")).await.expect(200);
    alice.get(&format!("/v3/users/{other}")).await.expect(403);
    alice
        .get(&format!("/v3/projects/{project}"))
        .await
        .expect(200);
    alice
        .get(&format!("/v3/projects/{foreign}"))
        .await
        .expect(403);
    alice.get("/v3/users").await.expect(403);
    let own = alice
        .get(&format!("/v3/users/{user}/projects"))
        .await
        .expect(200);
    assert_eq!(all(&own, "projects", "id"), [project.as_str()]);
    alice
        .get(&format!("/v3/users/{other}/projects"))
        .await
        .expect(403);
    alice.get("/v3/domains/default").await.expect(200);
    alice
        .patch(&format!("/v3/users/{user}"), json!({"user": {"name": "x"}}))
        .await
        .expect(403);
}
