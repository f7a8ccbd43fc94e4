//! Flavors, extra specs, access, key pairs.

use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::cloud::Cloud;

#[tokio::test]
async fn flavors_are_made_listed_and_deleted_and_servers_keep_theirs() {
    let mut cloud = Cloud::new().await;
    let admin = cloud.admin();
    let body = json!({"flavor": {"name": "m1", "ram": "512", "vcpus": 2, "disk": 5, "swap": 0, "rxtx_factor": 2}});
    let made = admin
        .post("/v2.1/flavors", body.clone())
        .await
        .expect(200)
        .json;
    assert_eq!(
        (
            &made["flavor"]["swap"],
            &made["flavor"]["OS-FLV-EXT-DATA:ephemeral"]
        ),
        (&json!(""), &json!(0))
    );
    assert_eq!(
        admin
            .at("compute 2.75")
            .get("/v2.1/flavors/small")
            .await
            .json["flavor"]["swap"],
        0
    );
    admin.post("/v2.1/flavors", body).await.expect(409);
    let described =
        json!({"flavor": {"name": "m2", "ram": 1, "vcpus": 1, "disk": 0, "description": "mine"}});
    admin
        .post("/v2.1/flavors", described.clone())
        .await
        .expect(400);
    admin
        .at("compute 2.55")
        .post("/v2.1/flavors", described)
        .await
        .expect(200);
    let ask = |query: &'static str| {
        let member = cloud.member();
        async move {
            let listed = member
                .get(&format!("/v2.1/flavors?{query}"))
                .await
                .expect(200)
                .json;
            let names = listed["flavors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["name"].as_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        }
    };
    assert_eq!(ask("sort_key=name").await, ["m1", "m2", "small"]);
    assert_eq!(ask("minRam=500").await, ["m1"]);
    assert_eq!(ask("sort_key=name&sort_dir=desc&limit=1").await, ["small"]);
    cloud
        .member()
        .get("/v2.1/flavors?marker=none")
        .await
        .expect(400);
    cloud
        .member()
        .get("/v2.1/flavors?minDisk=x")
        .await
        .expect(400);

    let id = cloud.running().await;
    admin.delete("/v2.1/flavors/small").await.expect(202);
    admin.delete("/v2.1/flavors/small").await.expect(404);
    assert_eq!(cloud.show(&id).await["flavor"]["original_name"], "small");
}

#[tokio::test]
async fn a_private_flavor_is_seen_by_those_who_may() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin();
    let body = json!({"flavor": {"id": "own", "name": "own", "ram": 1, "vcpus": 1, "disk": 0, "os-flavor-access:is_public": "False"}});
    let made = admin.post("/v2.1/flavors", body).await.expect(200).json;
    assert_eq!(made["flavor"]["os-flavor-access:is_public"], false);
    let unclear = json!({"flavor": {"name": "unclear", "ram": 1, "vcpus": 1, "disk": 0, "os-flavor-access:is_public": "perhaps"}});
    admin.post("/v2.1/flavors", unclear).await.expect(400);
    cloud.member().get("/v2.1/flavors/own").await.expect(404);
    let add = json!({"addTenantAccess": {"tenant": Persona::Member.project()}});
    let access = admin
        .post("/v2.1/flavors/own/action", add.clone())
        .await
        .expect(200)
        .json;
    assert_eq!(
        access["flavor_access"][0]["tenant_id"],
        Persona::Member.project()
    );
    admin
        .post("/v2.1/flavors/own/action", add)
        .await
        .expect(409);
    cloud.member().get("/v2.1/flavors/own").await.expect(200);
    cloud
        .ask
        .as_persona(Persona::OtherProject)
        .get("/v2.1/flavors/own")
        .await
        .expect(404);
    let remove = json!({"removeTenantAccess": {"tenant": Persona::Member.project()}});
    admin
        .post("/v2.1/flavors/own/action", remove.clone())
        .await
        .expect(200);
    admin
        .post("/v2.1/flavors/own/action", remove)
        .await
        .expect(404);
    admin
        .get("/v2.1/flavors/small/os-flavor-access")
        .await
        .expect(404);
}

#[tokio::test]
async fn extra_specs_are_set_one_by_one() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin();
    let at = "/v2.1/flavors/small/os-extra_specs";
    admin
        .post(at, json!({"extra_specs": {"hw:cpu_cores": "1", "x": "y"}}))
        .await
        .expect(200);
    admin
        .put(&format!("{at}/x"), json!({"x": "z"}))
        .await
        .expect(200);
    admin
        .put(&format!("{at}/x"), json!({"y": "z"}))
        .await
        .expect(400);
    assert_eq!(
        cloud
            .member()
            .get(&format!("{at}/x"))
            .await
            .expect(200)
            .json,
        json!({"x": "z"})
    );
    admin.delete(&format!("{at}/x")).await.expect(200);
    admin.delete(&format!("{at}/x")).await.expect(404);
    cloud.member().get(&format!("{at}/x")).await.expect(404);
    admin
        .post(at, json!({"extra_specs": {"a/b": "y"}}))
        .await
        .expect(400);
    assert_eq!(
        cloud.member().get(at).await.json,
        json!({"extra_specs": {"hw:cpu_cores": "1"}})
    );
}

#[tokio::test]
async fn key_pairs_are_imported_or_made_and_are_ones_own() {
    let cloud = Cloud::new().await;
    let member = cloud.member();
    let made = member
        .post("/v2.1/os-keypairs", json!({"keypair": {"name": "made"}}))
        .await
        .expect(200)
        .json;
    assert!(
        made["keypair"]["private_key"]
            .as_str()
            .unwrap()
            .contains("PRIVATE KEY")
    );
    assert_eq!(made["keypair"].get("type"), None);
    let public = made["keypair"]["public_key"].clone();
    let newer = member.at("compute 2.2");
    let body = json!({"keypair": {"name": "imported", "public_key": public, "type": "ssh"}});
    let imported = newer
        .post("/v2.1/os-keypairs", body.clone())
        .await
        .expect(201)
        .json;
    assert_eq!(
        imported["keypair"]["fingerprint"],
        made["keypair"]["fingerprint"]
    );
    assert_eq!(imported["keypair"].get("private_key"), None);
    newer.post("/v2.1/os-keypairs", body).await.expect(409);
    let listed = newer.get("/v2.1/os-keypairs").await.expect(200).json;
    assert_eq!(listed["keypairs"].as_array().unwrap().len(), 2);
    assert_eq!(
        newer.get("/v2.1/os-keypairs/made").await.expect(200).json["keypair"]["type"],
        "ssh"
    );
    cloud
        .ask
        .as_persona(Persona::Reader)
        .get("/v2.1/os-keypairs/made")
        .await
        .expect(404);
    member
        .at("compute 2.92")
        .post("/v2.1/os-keypairs", json!({"keypair": {"name": "x"}}))
        .await
        .expect(400);
    member
        .post(
            "/v2.1/os-keypairs",
            json!({"keypair": {"name": "bad", "public_key": "ssh-rsa JUNK"}}),
        )
        .await
        .expect(400);
    for name in ["", "a/b", &"k".repeat(256)] {
        member
            .post("/v2.1/os-keypairs", json!({"keypair": {"name": name}}))
            .await
            .expect(400);
    }
    member.delete("/v2.1/os-keypairs/made").await.expect(202);
    newer.delete("/v2.1/os-keypairs/imported").await.expect(204);
    newer.delete("/v2.1/os-keypairs/imported").await.expect(404);
    let by_admin = json!({"keypair": {"name": "theirs", "public_key": public, "user_id": Persona::Member.user()}});
    cloud
        .admin()
        .at("compute 2.10")
        .post("/v2.1/os-keypairs", by_admin.clone())
        .await
        .expect(201);
    member
        .at("compute 2.10")
        .get("/v2.1/os-keypairs/theirs")
        .await
        .expect(200);
    let other = cloud
        .ask
        .as_persona(Persona::OtherProject)
        .at("compute 2.10");
    other.post("/v2.1/os-keypairs", by_admin).await.expect(403);
    assert_eq!(
        Value::Null,
        other.get("/v2.1/os-keypairs").await.json["keypairs"][0]
    );
}

#[tokio::test]
async fn extra_specs_that_nobody_understands_are_refused_since_2_86() {
    let cloud = Cloud::new().await;
    let target = format!("/v2.1/flavors/{}/os-extra_specs", cloud.flavor_id);
    let newer = cloud.admin().at("compute 2.86");
    let older = cloud.admin().at("compute 2.85");
    let wrong = json!({"extra_specs": {"hw:cpu_policy": "nope"}});
    let refused = newer.post(&target, wrong.clone()).await.expect(400).json;
    assert_eq!(
        refused["badRequest"]["message"],
        "Validation failed; 'nope' is not one of: dedicated, shared, mixed."
    );
    older.post(&target, wrong).await.expect(200);
    let one = format!("{target}/hw:nope");
    let unknown = json!({"hw:nope": "1"});
    newer.put(&one, unknown).await.expect(400);
    let own = json!({"extra_specs": {"mine:own": "anything"}});
    newer.post(&target, own).await.expect(200);
}

#[tokio::test]
async fn a_user_has_as_many_key_pairs_as_the_project_allows() {
    let cloud = Cloud::new().await;
    let target = format!("/v2.1/os-quota-sets/{}", Persona::Member.project());
    let two = json!({"quota_set": {"key_pairs": 2}});
    cloud.admin().put(&target, two).await.expect(200);
    let member = cloud.member();
    let make = |name: &str| json!({"keypair": {"name": name}});
    member
        .post("/v2.1/os-keypairs", make("a"))
        .await
        .expect(200);
    member
        .post("/v2.1/os-keypairs", make("b"))
        .await
        .expect(200);
    member
        .post("/v2.1/os-keypairs", make("c"))
        .await
        .expect(403);
    let endless = json!({"quota_set": {"key_pairs": -1}});
    cloud.admin().put(&target, endless).await.expect(200);
    member
        .post("/v2.1/os-keypairs", make("c"))
        .await
        .expect(200);
}
