//! Metadata definitions.

use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud};

const ROOT: &str = "/v2/metadefs/namespaces";

async fn namespace(cloud: &Cloud, more: Value) {
    let mut body = json!({"namespace": "My::Space", "visibility": "public", "description": "d"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    cloud.admin().post(ROOT, body).await.expect(201);
}

#[tokio::test]
async fn a_namespace_comes_with_all_that_is_in_it() {
    let cloud = cloud().await;
    namespace(
        &cloud,
        json!({
            "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}],
            "properties": {"bus": {"title": "Bus", "type": "string", "enum": ["ide", "virtio"]}},
            "objects": [{"name": "CPU", "required": ["n"], "properties": {"n": {"title": "N", "type": "integer"}}}],
            "tags": [{"name": "t"}],
        }),
    )
    .await;
    let one = format!("{ROOT}/My::Space");
    let reader = cloud.ask.as_persona(Persona::Reader);
    let shown = reader.get(&one).await.expect(200).json;
    assert_eq!(shown["visibility"], "public");
    assert_eq!(shown["properties"]["bus"]["title"], "Bus");
    assert_eq!(shown["objects"][0]["name"], "CPU");
    assert_eq!(shown["tags"], json!([{"name": "t"}]));
    assert_eq!(shown["resource_type_associations"][0]["prefix"], "hw_");
    let prefixed = reader
        .get(&format!("{one}?resource_type=OS::Glance::Image"))
        .await
        .expect(200)
        .json;
    assert_eq!(prefixed["properties"]["hw_bus"]["title"], "Bus");
    assert_eq!(prefixed["objects"][0]["required"], json!(["hw_n"]));
    let property = format!("{one}/properties/hw_bus?resource_type=OS::Glance::Image");
    assert_eq!(
        reader.get(&property).await.expect(200).json["name"],
        "hw_bus"
    );
    let listed = reader.get(ROOT).await.expect(200).json;
    assert_eq!(listed["namespaces"][0]["namespace"], "My::Space");
    assert_eq!(listed["namespaces"][0].get("properties"), None);
    let by_type = |name: &str| format!("{ROOT}?resource_types={name}");
    let count = |json: &Value| json["namespaces"].as_array().unwrap().len();
    assert_eq!(
        count(&reader.get(&by_type("OS::Glance::Image")).await.json),
        1
    );
    assert_eq!(
        count(&reader.get(&by_type("OS::Nova::Flavor")).await.json),
        0
    );
    cloud.admin().delete(&one).await.expect(204);
    cloud.admin().get(&one).await.expect(404);
    namespace(&cloud, json!({})).await;
    assert_eq!(
        cloud.admin().get(&one).await.expect(200).json.get("tags"),
        None
    );
}

#[tokio::test]
async fn namespaces_are_changed_renamed_and_protected() {
    let cloud = cloud().await;
    namespace(&cloud, json!({"protected": true, "tags": [{"name": "t"}]})).await;
    let one = format!("{ROOT}/My::Space");
    cloud
        .admin()
        .post(ROOT, json!({"namespace": "My::Space"}))
        .await
        .expect(409);
    cloud.admin().delete(&one).await.expect(403);
    cloud
        .admin()
        .delete(&format!("{one}/tags"))
        .await
        .expect(403);
    cloud
        .admin()
        .delete(&format!("{one}/tags/t"))
        .await
        .expect(403);
    let renamed = json!({"namespace": "New", "visibility": "private", "protected": false});
    let changed = cloud.admin().put(&one, renamed).await.expect(200).json;
    assert_eq!(changed["namespace"], "New");
    assert_eq!(changed["protected"], false);
    cloud.admin().get(&one).await.expect(404);
    cloud
        .admin()
        .get(&format!("{ROOT}/New/tags/t"))
        .await
        .expect(200);
    cloud.member().get(&format!("{ROOT}/New")).await.expect(404);
    namespace(&cloud, json!({})).await;
    cloud
        .admin()
        .put(&one, json!({"namespace": "New"}))
        .await
        .expect(409);
    cloud
        .admin()
        .delete(&format!("{ROOT}/New"))
        .await
        .expect(204);
    for body in [
        json!({}),
        json!({"namespace": ""}),
        json!({"namespace": "x".repeat(81)}),
        json!({"namespace": "x", "visibility": "shared"}),
        json!({"namespace": "x", "color": "red"}),
        json!({"namespace": "x", "properties": {"p": {"title": "P"}}}),
        json!({"namespace": "x", "tags": [{"name": ""}]}),
    ] {
        cloud.admin().post(ROOT, body).await.expect(400);
    }
}

#[tokio::test]
async fn objects_properties_and_tags_live_and_die() {
    let cloud = cloud().await;
    namespace(&cloud, json!({})).await;
    let admin = cloud.admin();
    for (kind, body, changed) in [
        (
            "objects",
            json!({"name": "a"}),
            json!({"name": "b", "description": "d"}),
        ),
        (
            "properties",
            json!({"name": "a", "title": "T", "type": "string"}),
            json!({"name": "b", "title": "U", "type": "string"}),
        ),
    ] {
        let all = format!("{ROOT}/My::Space/{kind}");
        let made = admin.post(&all, body.clone()).await.expect(201).json;
        assert_eq!(made["name"], "a");
        admin.post(&all, body.clone()).await.expect(409);
        admin
            .post(&all, json!({"name": "a\u{0}"}))
            .await
            .expect(400);
        cloud.member().post(&all, body.clone()).await.expect(403);
        let renamed = admin
            .put(&format!("{all}/a"), changed.clone())
            .await
            .expect(200)
            .json;
        assert_eq!(renamed["name"], "b");
        admin.get(&format!("{all}/a")).await.expect(404);
        cloud.member().get(&format!("{all}/b")).await.expect(200);
        admin.post(&all, body.clone()).await.expect(201);
        admin.put(&format!("{all}/a"), changed).await.expect(409);
        admin.delete(&format!("{all}/a")).await.expect(204);
        admin.delete(&format!("{all}/a")).await.expect(404);
        admin.delete(&all).await.expect(204);
        let listed = cloud.member().get(&all).await.expect(200).json;
        assert_eq!(listed[kind].as_array().map_or(0, Vec::len), 0);
    }
    let tags = format!("{ROOT}/My::Space/tags");
    let three = json!({"tags": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
    admin.post(&tags, three).await.expect(201);
    admin
        .post(&format!("{tags}/d"), Value::Null)
        .await
        .expect(201);
    admin
        .put(&format!("{tags}/d"), json!({"name": "e"}))
        .await
        .expect(200);
    admin
        .put(&format!("{tags}/e"), json!({"name": "a"}))
        .await
        .expect(409);
    let page = cloud
        .member()
        .get(&format!("{tags}?limit=2&sort_key=name&sort_dir=asc"))
        .await
        .expect(200)
        .json;
    assert_eq!(page["tags"], json!([{"name": "a"}, {"name": "b"}]));
    let next = cloud
        .member()
        .get(page["next"].as_str().unwrap())
        .await
        .expect(200)
        .json;
    assert_eq!(next["tags"], json!([{"name": "c"}, {"name": "e"}]));
    let append = admin.with_header("x-openstack-append", "True");
    append
        .post(&tags, json!({"tags": [{"name": "f"}]}))
        .await
        .expect(201);
    append
        .post(&tags, json!({"tags": [{"name": "f"}]}))
        .await
        .expect(409);
    admin
        .post(&tags, json!({"tags": [{"name": "g"}]}))
        .await
        .expect(201);
    assert_eq!(admin.get(&tags).await.json["tags"], json!([{"name": "g"}]));
}

#[tokio::test]
async fn resource_types_are_known_and_associated() {
    let cloud = cloud().await;
    namespace(&cloud, json!({})).await;
    let types = cloud
        .member()
        .get("/v2/metadefs/resource_types")
        .await
        .expect(200)
        .json;
    assert_eq!(types["resource_types"][1]["name"], "OS::Glance::Image");
    let all = format!("{ROOT}/My::Space/resource_types");
    for name in ["OS::Glance::Image", "My::Thing"] {
        cloud
            .admin()
            .post(&all, json!({"name": name}))
            .await
            .expect(201);
        cloud
            .admin()
            .post(&all, json!({"name": name}))
            .await
            .expect(409);
    }
    let listed = cloud.member().get(&all).await.expect(200).json;
    assert_eq!(
        listed["resource_type_associations"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    cloud
        .admin()
        .delete(&format!("{all}/My::Thing"))
        .await
        .expect(204);
    cloud
        .admin()
        .delete(&format!("{all}/My::Thing"))
        .await
        .expect(404);
    let types = cloud
        .member()
        .get("/v2/metadefs/resource_types")
        .await
        .expect(200)
        .json;
    assert_eq!(types["resource_types"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn every_schema_has_its_name() {
    let cloud = cloud().await;
    for name in ["image", "images", "member", "members", "task", "tasks"] {
        let schema = cloud
            .member()
            .get(&format!("/v2/schemas/{name}"))
            .await
            .expect(200)
            .json;
        assert_eq!(schema["name"], name);
    }
    for name in [
        "namespace",
        "namespaces",
        "object",
        "objects",
        "property",
        "properties",
        "tag",
        "tags",
    ] {
        let schema = cloud
            .member()
            .get(&format!("/v2/schemas/metadefs/{name}"))
            .await
            .expect(200)
            .json;
        assert_eq!(schema["name"], name);
    }
    let association = cloud
        .member()
        .get("/v2/schemas/metadefs/resource_type")
        .await
        .expect(200)
        .json;
    assert_eq!(association["name"], "resource_type_association");
    cloud.member().get("/v2/schemas/color").await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_deleted_by_many_goes_once() {
    let cloud = cloud().await;
    let admin = cloud.admin();
    namespace(
        &cloud,
        json!({"objects": [{"name": "o"}], "properties": {"p": {"title": "P", "type": "string"}}, "tags": [{"name": "t"}]}),
    )
    .await;
    for rest in ["/objects/o", "/properties/p", "/tags/t", ""] {
        let target = format!("{ROOT}/My::Space{rest}");
        let deletes = (0..6).map(|_| admin.delete(&target));
        let mut answers: Vec<u16> = futures_util::future::join_all(deletes)
            .await
            .into_iter()
            .map(|answer| answer.status)
            .collect();
        answers.sort_unstable();
        assert_eq!(answers, [204, 404, 404, 404, 404, 404], "{rest}");
    }
}
