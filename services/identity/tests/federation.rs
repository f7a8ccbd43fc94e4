//! The records of federation.

use serde_json::{Value, json};

use crate::cloud::{ADMIN_PASSWORD, Cloud, all, by_name, on_project};

const BASE: &str = "/v3/OS-FEDERATION";

fn mapping() -> Value {
    json!({"mapping": {"rules": [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "user"}]}]}})
}

#[tokio::test]
async fn an_identity_provider_gets_a_domain_and_its_protocols_a_mapping() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let idp = format!("{BASE}/identity_providers/acme");
    let body = json!({"identity_provider": {"description": "d", "remote_ids": ["r1", "r2"]}});
    let made = admin.put(&idp, body.clone()).await.expect(201).json;
    let shown = &made["identity_provider"];
    assert_eq!(shown["enabled"], false);
    assert_eq!(shown["remote_ids"], json!(["r1", "r2"]));
    assert_eq!(
        shown["links"]["self"],
        format!("http://cloud.test/identity{idp}")
    );
    let domain = shown["domain_id"].as_str().unwrap();
    admin
        .get(&format!("/v3/domains/{domain}"))
        .await
        .expect(200);
    admin.put(&idp, body.clone()).await.expect(409);
    // A remote id is one provider's only, and a refused one leaves no domain behind.
    let before = all(&admin.get("/v3/domains").await.expect(200), "domains", "id");
    admin
        .put(&format!("{BASE}/identity_providers/other"), body)
        .await
        .expect(409);
    assert_eq!(
        all(&admin.get("/v3/domains").await.expect(200), "domains", "id"),
        before
    );
    let on = json!({"identity_provider": {"enabled": true}});
    assert_eq!(
        admin.patch(&idp, on).await.expect(200).json["identity_provider"]["enabled"],
        true
    );
    for wrong in [
        json!({"enabled": "x"}),
        json!({"remote_ids": "x"}),
        json!({"color": "red"}),
    ] {
        admin
            .patch(&idp, json!({"identity_provider": wrong}))
            .await
            .expect(400);
    }

    let map = format!("{BASE}/mappings/m");
    let protocol = format!("{idp}/protocols/saml2");
    let with = |mapping: &str| json!({"protocol": {"mapping_id": mapping}});
    admin.put(&protocol, with("m")).await.expect(400);
    admin.put(&map, json!({"mapping": {}})).await.expect(400);
    admin.put(&map, mapping()).await.expect(201);
    admin.put(&protocol, with("m")).await.expect(201);
    admin.patch(&protocol, with("nothing")).await.expect(400);
    let nowhere = format!("{BASE}/identity_providers/none/protocols");
    admin
        .put(&format!("{nowhere}/x"), with("m"))
        .await
        .expect(404);
    admin.get(&nowhere).await.expect(404);
    // A mapping that is called as the provider has nothing below it.
    let namesake = format!("{BASE}/mappings/acme");
    admin.put(&namesake, mapping()).await.expect(201);
    admin.delete(&namesake).await.expect(204);
    let listed = admin.get(&format!("{idp}/protocols")).await.expect(200);
    assert_eq!(all(&listed, "protocols", "mapping_id"), ["m"]);
    admin.delete(&idp).await.expect(204);
    admin.get(&protocol).await.expect(404);
    admin.delete(&map).await.expect(204);
    admin.delete(&map).await.expect(404);
}

#[tokio::test]
async fn enabled_service_providers_are_in_tokens() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let path = |name: &str| format!("{BASE}/service_providers/{name}");
    let body = |enabled: bool| json!({"service_provider": {"auth_url": "http://a/", "sp_url": "http://s/", "enabled": enabled}});
    let made = admin.put(&path("on"), body(true)).await.expect(201).json;
    assert_eq!(made["service_provider"]["relay_state_prefix"], "ss:mem:");
    admin.put(&path("off"), body(false)).await.expect(201);
    let wrong = json!({"service_provider": {"auth_url": "nonsense", "sp_url": "http://s/"}});
    admin.put(&path("x"), wrong.clone()).await.expect(400);
    admin.patch(&path("on"), wrong).await.expect(400);
    let token = cloud
        .log_in(by_name("admin", ADMIN_PASSWORD), on_project("admin"))
        .await
        .expect(201);
    let expected = json!([{"id": "on", "auth_url": "http://a/", "sp_url": "http://s/"}]);
    assert_eq!(token.json["token"]["service_providers"], expected);
    admin.delete(&path("on")).await.expect(204);
    let token = cloud
        .log_in(by_name("admin", ADMIN_PASSWORD), on_project("admin"))
        .await
        .expect(201);
    assert_eq!(token.json["token"].get("service_providers"), None);
}
