//! Providers, their trees, classes, traits and inventories.

use serde_json::json;

use crate::{Cloud, detail, uuid};

#[tokio::test]
async fn a_provider_moves_with_everything_below_it_and_never_into_itself() {
    let cloud = Cloud::new().await;
    for (n, parent) in [(1, None), (2, Some(1)), (3, Some(2)), (4, None)] {
        cloud.provider(n, parent, &[]).await;
    }
    let put = |n: u64, parent: serde_json::Value| {
        let body = json!({"name": format!("host-{n}"), "parent_provider_uuid": parent});
        let (ask, target) = (
            cloud.admin.clone(),
            format!("/resource_providers/{}", uuid(n)),
        );
        async move { ask.put(&target, body).await }
    };
    let into_itself = put(1, json!(uuid(3))).await.expect(400);
    assert!(detail(&into_itself).contains("creating loop"));
    put(2, json!(uuid(4))).await.expect(200);
    let moved = cloud
        .admin
        .get(&format!("/resource_providers/{}", uuid(3)))
        .await;
    assert_eq!(moved.json["root_provider_uuid"], uuid(4));
    let tree = cloud
        .admin
        .get(&format!("/resource_providers?in_tree={}", uuid(3)))
        .await;
    assert_eq!(tree.json["resource_providers"].as_array().unwrap().len(), 3);
    let body = json!({"name": "host-2", "parent_provider_uuid": null});
    let old = cloud
        .at(36)
        .put(&format!("/resource_providers/{}", uuid(2)), body)
        .await;
    assert!(detail(&old.expect(400)).contains("un-parenting"));
    let parent = cloud
        .admin
        .delete(&format!("/resource_providers/{}", uuid(4)))
        .await
        .expect(409);
    assert_eq!(
        parent.json["errors"][0]["code"],
        "placement.resource_provider.cannot_delete_parent"
    );
    cloud.check().await;
}

#[tokio::test]
async fn names_and_ids_are_taken_once() {
    let cloud = Cloud::new().await;
    cloud.provider(1, None, &[]).await;
    cloud.provider(2, None, &[]).await;
    let same = json!({"name": "host-1", "uuid": uuid(9)});
    let refused = cloud
        .admin
        .post("/resource_providers", same)
        .await
        .expect(409);
    assert_eq!(
        refused.json["errors"][0]["code"],
        "placement.duplicate_name"
    );
    let same = json!({"name": "host-1"});
    cloud
        .admin
        .put(&format!("/resource_providers/{}", uuid(2)), same)
        .await
        .expect(409);
    let listed = cloud
        .admin
        .get("/resource_providers?name=host-2")
        .await
        .expect(200);
    assert_eq!(listed.json["resource_providers"][0]["uuid"], uuid(2));
}

#[tokio::test]
async fn used_stock_and_used_names_stay() {
    let cloud = Cloud::new().await;
    for name in ["CUSTOM_GOLD", "CUSTOM_TIN"] {
        let target = format!("/resource_classes/{name}");
        cloud
            .admin
            .send(http::Method::PUT, &target, "".into())
            .await
            .expect(201);
        cloud
            .admin
            .send(http::Method::PUT, &target, "".into())
            .await
            .expect(204);
    }
    let host = cloud.provider(1, None, &[("CUSTOM_GOLD", 5)]).await;
    cloud.traits(1, &["CUSTOM_SHINY"]).await;
    let some = json!({ host.clone(): {"resources": {"CUSTOM_GOLD": 2}} });
    cloud
        .claim(9, serde_json::Value::Null, some)
        .await
        .expect(204);
    cloud
        .admin
        .delete(&format!("/resource_providers/{host}"))
        .await
        .expect(409);
    cloud
        .admin
        .delete(&format!("/resource_providers/{host}/inventories"))
        .await
        .expect(409);
    cloud
        .admin
        .delete(&format!(
            "/resource_providers/{host}/inventories/CUSTOM_GOLD"
        ))
        .await
        .expect(409);
    cloud
        .admin
        .delete("/resource_classes/CUSTOM_GOLD")
        .await
        .expect(409);
    cloud.admin.delete("/traits/CUSTOM_SHINY").await.expect(409);
    cloud
        .admin
        .delete("/resource_classes/VCPU")
        .await
        .expect(400);
    cloud
        .admin
        .delete("/traits/HW_CPU_X86_AVX2")
        .await
        .expect(400);
    cloud
        .admin
        .delete("/resource_classes/CUSTOM_TIN")
        .await
        .expect(204);
    cloud
        .admin
        .delete(&format!("/allocations/{}", uuid(9)))
        .await
        .expect(204);
    cloud
        .admin
        .delete(&format!("/resource_providers/{host}"))
        .await
        .expect(204);
    cloud
        .admin
        .delete("/resource_classes/CUSTOM_GOLD")
        .await
        .expect(204);
    cloud.admin.delete("/traits/CUSTOM_SHINY").await.expect(204);
    let left = cloud.admin.get("/resource_classes").await.expect(200);
    assert_eq!(left.json["resource_classes"].as_array().unwrap().len(), 21);
    cloud.check().await;
}

#[tokio::test]
async fn a_renamed_class_takes_its_stock_along() {
    let cloud = Cloud::new().await;
    cloud
        .admin
        .post("/resource_classes", json!({"name": "CUSTOM_OLD"}))
        .await
        .expect(201);
    cloud
        .admin
        .post("/resource_classes", json!({"name": "CUSTOM_OLD"}))
        .await
        .expect(409);
    let host = cloud.provider(1, None, &[("CUSTOM_OLD", 5)]).await;
    let some = json!({ host.clone(): {"resources": {"CUSTOM_OLD": 2}} });
    cloud
        .claim(9, serde_json::Value::Null, some)
        .await
        .expect(204);
    let old = cloud.at(6);
    let new_name = json!({"name": "CUSTOM_NEW"});
    old.put("/resource_classes/CUSTOM_OLD", new_name)
        .await
        .expect(200);
    assert_eq!(cloud.used(1).await, json!({"CUSTOM_NEW": 2}));
    cloud
        .admin
        .get("/resource_classes/CUSTOM_OLD")
        .await
        .expect(404);
    cloud.check().await;
}

#[tokio::test]
async fn lists_are_narrowed() {
    let cloud = Cloud::new().await;
    cloud.provider(1, None, &[("VCPU", 2)]).await;
    cloud.provider(2, None, &[("VCPU", 8)]).await;
    cloud.provider(3, Some(2), &[]).await;
    cloud.traits(2, &["CUSTOM_A"]).await;
    cloud.traits(3, &["CUSTOM_B"]).await;
    cloud.aggregates(1, &[50]).await;
    let check = |query: String, expected: &'static [u64]| {
        let ask = cloud.admin.clone();
        async move {
            let answer = ask
                .get(&format!("/resource_providers?{query}"))
                .await
                .expect(200);
            let list = answer.json["resource_providers"]
                .as_array()
                .unwrap()
                .clone();
            let found: Vec<&str> = list
                .iter()
                .map(|one| one["uuid"].as_str().unwrap())
                .collect();
            let expected: Vec<String> = expected.iter().map(|n| uuid(*n)).collect();
            assert_eq!(found, expected, "{query}");
        }
    };
    check(String::new(), &[1, 2, 3]).await;
    check("resources=VCPU:4".into(), &[2]).await;
    check("required=CUSTOM_A".into(), &[2]).await;
    check("required=in:CUSTOM_A,CUSTOM_B".into(), &[2, 3]).await;
    check("required=!CUSTOM_A".into(), &[1, 3]).await;
    check(format!("member_of={}", uuid(50)), &[1]).await;
    check(format!("member_of=!{}", uuid(50)), &[2, 3]).await;
    check(format!("in_tree={}", uuid(3)), &[2, 3]).await;
    check(format!("in_tree={}", uuid(99)), &[]).await;
    check(format!("uuid={}", uuid(2)), &[2]).await;
    let traits = cloud
        .admin
        .get("/traits?name=startswith:CUSTOM_&associated=true")
        .await;
    assert_eq!(
        traits.expect(200).json["traits"],
        json!(["CUSTOM_A", "CUSTOM_B"])
    );
}
