//! How fast volumes of a type may be read and written.

use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, SERVER, cloud, connector, message};

/// QoS specs that hypervisors keep to.
pub async fn specs(cloud: &Cloud, specs: Value) -> String {
    let mut body = json!({"name": nephos_runtime::ids::hex(), "consumer": "front-end"});
    let all = specs.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(all);
    let answer = cloud
        .admin()
        .post("/v3/qos-specs", json!({ "qos_specs": body }))
        .await;
    let id = &answer.expect(200).json["qos_specs"]["id"];
    id.as_str().unwrap().to_owned()
}

async fn kind(cloud: &Cloud, name: &str) -> String {
    let body = json!({"volume_type": {"name": name}});
    let made = cloud.admin().post("/v3/types", body).await.expect(200).json;
    made["volume_type"]["id"].as_str().unwrap().to_owned()
}

async fn associate(cloud: &Cloud, (id, verb): (&str, &str), kind: &str) -> nephos_testkit::Answer {
    let target = format!("/v3/qos-specs/{id}/{verb}?vol_type_id={kind}");
    cloud.admin().get(&target).await
}

/// What a server's host is told of a volume.
async fn told(cloud: &Cloud, volume: &str) -> Value {
    let root = format!("/v3/{}/attachments", Persona::Member.project());
    let body = json!({"attachment": {"volume_uuid": volume, "instance_uuid": SERVER, "connector": connector("here")}});
    let made = cloud.service().post(&root, body).await.expect(200).json;
    made["attachment"]["connection_info"]["data"]["qos_specs"].clone()
}

#[tokio::test]
async fn a_host_is_told_what_the_type_says_by_the_size_of_the_volume() {
    let cloud = cloud().await;
    let limits = json!({"read_iops_sec_per_gb": "100", "write_bytes_sec": "1048576"});
    let (id, slow) = (specs(&cloud, limits).await, kind(&cloud, "slow").await);
    associate(&cloud, (&id, "associate"), &slow)
        .await
        .expect(202);
    let volume = cloud
        .volume_of(json!({"size": 2, "volume_type": "slow"}))
        .await;
    assert_eq!(
        told(&cloud, &volume).await,
        json!({"read_iops_sec": "200", "write_bytes_sec": "1048576"})
    );
    assert_eq!(told(&cloud, &cloud.volume().await).await, Value::Null);
    let back = json!({"qos_specs": {"consumer": "back-end"}});
    cloud
        .admin()
        .put(&format!("/v3/qos-specs/{id}"), back)
        .await
        .expect(200);
    let other = cloud
        .volume_of(json!({"size": 1, "volume_type": "slow"}))
        .await;
    assert_eq!(told(&cloud, &other).await, Value::Null, "not for hosts");
}

#[tokio::test]
async fn a_type_has_one_and_none_goes_while_types_have_it() {
    let cloud = cloud().await;
    let (id, other) = (
        specs(&cloud, json!({})).await,
        specs(&cloud, json!({})).await,
    );
    let kind = kind(&cloud, "fast").await;
    associate(&cloud, (&id, "associate"), &kind)
        .await
        .expect(202);
    associate(&cloud, (&id, "associate"), &kind)
        .await
        .expect(202);
    let refused = associate(&cloud, (&other, "associate"), &kind)
        .await
        .expect(400);
    assert!(message(&refused.json).contains(&id), "{}", refused.json);
    let shown = cloud
        .admin()
        .get(&format!("/v3/types/{kind}"))
        .await
        .expect(200)
        .json;
    assert_eq!(shown["volume_type"]["qos_specs_id"], id);
    let target = format!("/v3/qos-specs/{id}");
    let types = cloud
        .admin()
        .get(&format!("{target}/associations"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        types["qos_associations"],
        json!([{"association_type": "volume_type", "name": "fast", "id": kind}])
    );
    let refused = cloud.admin().delete(&target).await.expect(400);
    assert!(message(&refused.json).contains("fast"), "{}", refused.json);
    // Those of another are not taken from it.
    associate(&cloud, (&other, "disassociate"), &kind)
        .await
        .expect(202);
    cloud.admin().delete(&target).await.expect(400);
    associate(&cloud, (&id, "disassociate"), &kind)
        .await
        .expect(202);
    cloud.admin().delete(&target).await.expect(202);
    cloud.admin().get(&target).await.expect(404);
    associate(&cloud, (&other, "associate"), &kind)
        .await
        .expect(202);
    cloud
        .admin()
        .delete(&format!("/v3/qos-specs/{other}?force=true"))
        .await
        .expect(202);
    let shown = cloud
        .admin()
        .get(&format!("/v3/types/{kind}"))
        .await
        .expect(200)
        .json;
    assert_eq!(shown["volume_type"]["qos_specs_id"], Value::Null);
    associate(&cloud, (&other, "associate"), &kind)
        .await
        .expect(404);
    let fresh = specs(&cloud, json!({})).await;
    associate(&cloud, (&fresh, "associate"), SERVER)
        .await
        .expect(404);
    associate(&cloud, (&fresh, "disassociate"), SERVER)
        .await
        .expect(404);
}

#[tokio::test]
async fn names_are_added_changed_and_removed() {
    let cloud = cloud().await;
    let id = specs(&cloud, json!({"total_iops_sec": "5"})).await;
    let target = format!("/v3/qos-specs/{id}");
    let change = json!({"qos_specs": {"total_iops_sec": "7", "colour": "red", "note": null}});
    let answer = cloud
        .admin()
        .put(&target, change.clone())
        .await
        .expect(200)
        .json;
    assert_eq!(answer, change);
    let shown = cloud.admin().get(&target).await.expect(200).json;
    assert_eq!(
        shown["qos_specs"]["specs"],
        json!({"total_iops_sec": "7", "colour": "red", "note": null})
    );
    assert!(shown["links"][0]["href"].as_str().unwrap().contains(&id));
    let keys = format!("{target}/delete_keys");
    let missing = json!({"keys": ["colour", "taste"]});
    cloud.admin().put(&keys, missing).await.expect(404);
    cloud
        .admin()
        .put(&keys, json!({"keys": ["colour", "note"]}))
        .await
        .expect(202);
    cloud
        .admin()
        .put(&keys, json!({"keys": "colour"}))
        .await
        .expect(400);
    let shown = cloud.admin().get(&target).await.expect(200).json;
    assert_eq!(shown["qos_specs"]["specs"], json!({"total_iops_sec": "7"}));
}

#[tokio::test]
async fn what_cannot_be_kept_to_is_refused_with_the_reason() {
    let cloud = cloud().await;
    let create = async |body: Value| {
        cloud
            .admin()
            .post("/v3/qos-specs", json!({ "qos_specs": body }))
            .await
    };
    create(json!({"name": "one"})).await.expect(200);
    create(json!({"name": "one"})).await.expect(409);
    for (odd, word) in [
        (json!({"name": ""}), "name"),
        (json!({"consumer": "both"}), "name"),
        (
            json!({"name": "a", "consumer": "nobody"}),
            "['back-end', 'front-end', 'both']",
        ),
        (
            json!({"name": "a", "consumer": "both", "total_iops_sec": "many"}),
            "total_iops_sec",
        ),
        (json!({"name": "a", "total_iops_sec": 5}), "total_iops_sec"),
        (json!({"name": "a", "k": "v".repeat(256)}), "k must be"),
        (
            json!({"name": "a", "consumer": "both", "read_iops_sec_max": "1"}),
            "read_iops_sec",
        ),
    ] {
        let refused = create(odd).await.expect(400);
        assert!(message(&refused.json).contains(word), "{}", refused.json);
    }
    let id = specs(&cloud, json!({"total_iops_sec": "5"})).await;
    let change = json!({"qos_specs": {"write_iops_sec": "5"}});
    cloud
        .admin()
        .put(&format!("/v3/qos-specs/{id}"), change)
        .await
        .expect(400);
    associate(&cloud, (&id, "associate"), "").await.expect(400);
}

#[tokio::test]
async fn a_list_has_pages_filters_and_an_order() {
    let cloud = cloud().await;
    let mut ids = Vec::new();
    for (name, consumer) in [("a", "front-end"), ("b", "back-end"), ("c", "front-end")] {
        let body = json!({"qos_specs": {"name": name, "consumer": consumer}});
        let made = cloud
            .admin()
            .post("/v3/qos-specs", body)
            .await
            .expect(200)
            .json;
        ids.push(made["qos_specs"]["id"].as_str().unwrap().to_owned());
    }
    let names = async |query: &str| {
        let target = format!("/v3/qos-specs?sort=name:asc{query}");
        let found = cloud.admin().get(&target).await.expect(200).json;
        let all = found["qos_specs"].as_array().unwrap().clone();
        let names: Vec<String> = all
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect();
        names.concat()
    };
    assert_eq!(names("").await, "abc");
    assert_eq!(names("&consumer=front-end").await, "ac");
    assert_eq!(names("&limit=2").await, "ab");
    assert_eq!(names(&format!("&marker={}", ids[0])).await, "bc");
    cloud
        .admin()
        .get("/v3/qos-specs?marker=mars")
        .await
        .expect(404);
    let page = cloud
        .admin()
        .get("/v3/qos-specs?limit=1")
        .await
        .expect(200)
        .json;
    assert!(
        page["qos_specs_links"][0]["href"]
            .as_str()
            .unwrap()
            .contains("marker=")
    );
}

#[tokio::test]
async fn a_volume_in_use_keeps_its_limits() {
    let cloud = cloud().await;
    let id = specs(&cloud, json!({"total_iops_sec": "5"})).await;
    let slow = kind(&cloud, "slow").await;
    kind(&cloud, "plain").await;
    associate(&cloud, (&id, "associate"), &slow)
        .await
        .expect(202);
    let volume = cloud
        .volume_of(json!({"size": 1, "volume_type": "slow"}))
        .await;
    let attachment = cloud.attached(&volume).await;
    let retype = json!({"os-retype": {"new_type": "plain"}});
    let target = format!("/v3/volumes/{volume}/action");
    let refused = cloud
        .admin()
        .post(&target, retype.clone())
        .await
        .expect(400);
    assert!(
        message(&refused.json).contains("front-end qos specs"),
        "{}",
        refused.json
    );
    let gone = cloud
        .member()
        .delete(&format!("/v3/attachments/{attachment}"))
        .await;
    gone.expect(200);
    cloud.admin().post(&target, retype).await.expect(202);
}
