//! Registered limits and limits.

use serde_json::{Value, json};

use crate::cloud::{Cloud, all, id_of, on_project};

#[tokio::test]
async fn a_projects_limit_stands_in_for_the_registered_one() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let (_, project) = cloud.tenant("alice", "reader").await;
    cloud.tenant("bob", "reader").await;
    let service = json!({"service": {"type": "t"}});
    let service = id_of(
        &admin.post("/v3/services", service).await.expect(201),
        "service",
    );
    let registered = |limit: Value| json!({"registered_limits": [{"service_id": service, "resource_name": "cores", "default_limit": limit}]});
    let made = admin
        .post("/v3/registered_limits", registered(json!(10)))
        .await
        .expect(201)
        .json;
    let made = &made["registered_limits"][0];
    assert_eq!(made["default_limit"], 10);
    let default = format!("/v3/registered_limits/{}", made["id"].as_str().unwrap());
    admin
        .post("/v3/registered_limits", registered(json!(10)))
        .await
        .expect(409);
    for wrong in [json!(-2), json!("10"), json!(2_147_483_648_i64)] {
        admin
            .post("/v3/registered_limits", registered(wrong))
            .await
            .expect(400);
    }
    let limit = |name: &str| {
        json!({"limits": [{"project_id": project, "service_id": service, "resource_name": name,
            "resource_limit": 5}]})
    };
    admin.post("/v3/limits", limit("disks")).await.expect(403);
    let made = admin
        .post("/v3/limits", limit("cores"))
        .await
        .expect(201)
        .json;
    admin.post("/v3/limits", limit("cores")).await.expect(409);
    let path = format!("/v3/limits/{}", made["limits"][0]["id"].as_str().unwrap());
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    let bob = cloud.as_user("bob", "bob", on_project("bob")).await;
    assert_eq!(
        alice.get(&path).await.expect(200).json["limit"]["resource_limit"],
        5
    );
    bob.get(&path).await.expect(403);
    assert_eq!(
        all(
            &alice.get("/v3/limits").await.expect(200),
            "limits",
            "resource_name"
        ),
        ["cores"]
    );
    assert_eq!(
        bob.get("/v3/limits").await.expect(200).json["limits"],
        json!([])
    );
    bob.get("/v3/registered_limits").await.expect(200);
    let change = json!({"limit": {"resource_limit": 7}});
    alice.patch(&path, change.clone()).await.expect(403);
    admin.patch(&path, change).await.expect(200);
    assert_eq!(
        alice.get(&path).await.expect(200).json["limit"]["resource_limit"],
        7
    );
    let renamed = json!({"registered_limit": {"resource_name": "x"}});
    admin.patch(&default, renamed.clone()).await.expect(403);
    admin.delete(&default).await.expect(403);
    admin.delete(&path).await.expect(204);
    admin.patch(&default, renamed).await.expect(200);
    admin.delete(&default).await.expect(204);
    assert_eq!(
        alice.get("/v3/limits/model").await.expect(200).json["model"]["name"],
        "flat"
    );
}
