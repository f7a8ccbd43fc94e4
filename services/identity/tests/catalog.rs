//! Services, endpoints, regions and policy documents.

use serde_json::{Value, json};

use crate::cloud::{Cloud, all, id_of, on_project};

#[tokio::test]
async fn a_new_endpoint_is_in_the_next_catalog() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let body = json!({"service": {"type": "dns", "name": "designate", "color": "blue"}});
    let service = admin.post("/v3/services", body).await.expect(201);
    assert_eq!(service.json["service"]["color"], "blue");
    assert_eq!(service.json["service"]["enabled"], true);
    let service = id_of(&service, "service");
    let body = json!({"endpoint": {"service_id": service, "interface": "public", "region_id": "RegionOne",
        "url": "http://dns.test/$(project_id)s"}});
    let endpoint = admin.post("/v3/endpoints", body.clone()).await.expect(201);
    assert_eq!(endpoint.json["endpoint"]["region"], "RegionOne");
    let path = format!("/v3/endpoints/{}", id_of(&endpoint, "endpoint"));
    let urls = |catalog: &Value| catalog.to_string().matches("http://dns.test/").count();
    let shown = admin.get("/v3/auth/catalog").await.expect(200).json;
    assert_eq!(urls(&shown), 1);
    admin
        .patch(&path, json!({"endpoint": {"enabled": false}}))
        .await
        .expect(200);
    assert_eq!(
        urls(&admin.get("/v3/auth/catalog").await.expect(200).json),
        0
    );
    admin
        .patch(&path, json!({"endpoint": {"enabled": "yes"}}))
        .await
        .expect(400);
    let mut wrong = body.clone();
    wrong["endpoint"]["url"] = json!("http://dns.test/$(secret)s");
    admin.post("/v3/endpoints", wrong).await.expect(400);
    let mut wrong = body.clone();
    wrong["endpoint"]["interface"] = json!("secret");
    admin.post("/v3/endpoints", wrong).await.expect(400);
    let mut wrong = body;
    wrong["endpoint"]["region_id"] = json!("nowhere");
    admin.post("/v3/endpoints", wrong).await.expect(400);
    admin
        .delete(&format!("/v3/services/{service}"))
        .await
        .expect(204);
    admin.get(&path).await.expect(404);
}

#[tokio::test]
async fn regions_form_a_tree_and_one_in_use_stays() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let put = admin
        .put(
            "/v3/regions/north",
            json!({"region": {"description": "cold"}}),
        )
        .await
        .expect(201);
    assert_eq!(put.json["region"]["id"], "north");
    let child = json!({"region": {"parent_region_id": "north"}});
    let child = id_of(
        &admin.post("/v3/regions", child).await.expect(201),
        "region",
    );
    admin
        .put("/v3/regions/north", json!({"region": {}}))
        .await
        .expect(409);
    let circle = json!({"region": {"parent_region_id": child}});
    admin.patch("/v3/regions/north", circle).await.expect(400);
    admin
        .post("/v3/regions", json!({"region": {"parent_region_id": "x"}}))
        .await
        .expect(404);
    let below = admin
        .get("/v3/regions?parent_region_id=north")
        .await
        .expect(200);
    assert_eq!(all(&below, "regions", "id"), [child.as_str()]);
    admin.delete("/v3/regions/north").await.expect(403);
    admin.delete("/v3/regions/RegionOne").await.expect(403);
    admin
        .delete(&format!("/v3/regions/{child}"))
        .await
        .expect(204);
    admin.delete("/v3/regions/north").await.expect(204);
    admin.get("/v3/regions/north").await.expect(404);
}

#[tokio::test]
async fn policy_documents_are_kept() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let body = json!({"policy": {"type": "application/json", "blob": "{}"}});
    let policy = id_of(
        &admin.post("/v3/policies", body).await.expect(201),
        "policy",
    );
    let path = format!("/v3/policies/{policy}");
    admin
        .patch(&path, json!({"policy": {"type": "text/plain"}}))
        .await
        .expect(200);
    let shown = admin.get(&path).await.expect(200).json;
    assert_eq!(shown["policy"]["type"], "text/plain");
    assert_eq!(shown["policy"]["blob"], "{}");
    admin.delete(&path).await.expect(204);
    admin.get(&path).await.expect(404);
}

#[tokio::test]
async fn a_members_catalog_is_not_a_members_to_change() {
    let cloud = Cloud::new().await;
    cloud.tenant("alice", "member").await;
    let alice = cloud.as_user("alice", "alice", on_project("alice")).await;
    alice.get("/v3/services").await.expect(403);
    alice.get("/v3/endpoints").await.expect(403);
    alice.get("/v3/regions").await.expect(200);
    alice
        .post("/v3/services", json!({"service": {"type": "x"}}))
        .await
        .expect(403);
}
