//! What each microversion brought: not there below it, there from it on.

use http::Method;
use serde_json::{Value, json};

use crate::{Cloud, claim, uuid};

/// One provider with stock, a trait, an aggregate and an allocation.
async fn cloud() -> Cloud {
    let cloud = Cloud::new().await;
    let host = cloud
        .provider(1, None, &[("VCPU", 8), ("DISK_GB", 9)])
        .await;
    cloud.traits(1, &["CUSTOM_A"]).await;
    cloud.aggregates(1, &[50]).await;
    let some = json!({ host: {"resources": {"VCPU": 1}} });
    cloud.claim(9, Value::Null, some).await.expect(204);
    cloud
}

#[tokio::test]
async fn replies_grow() {
    let cloud = cloud().await;
    let host = format!("/resource_providers/{}", uuid(1));
    let consumer = format!("/allocations/{}", uuid(9));
    let candidates = "/allocation_candidates?resources=VCPU:1";
    let summary = |key: &str| format!("/provider_summaries/{}/{key}", uuid(1));
    let rows: Vec<(u16, String, String)> = vec![
        (1, host.clone(), "/links/3".into()),
        (6, host.clone(), "/links/4".into()),
        (11, host.clone(), "/links/5".into()),
        (14, host.clone(), "/parent_provider_uuid".into()),
        (14, host.clone(), "/root_provider_uuid".into()),
        (
            14,
            "/resource_providers".into(),
            "/resource_providers/0/root_provider_uuid".into(),
        ),
        (
            19,
            format!("{host}/aggregates"),
            "/resource_provider_generation".into(),
        ),
        (12, consumer.clone(), "/project_id".into()),
        (12, consumer.clone(), "/user_id".into()),
        (28, consumer.clone(), "/consumer_generation".into()),
        (38, consumer, "/consumer_type".into()),
        (
            28,
            format!("{host}/allocations"),
            format!("/allocations/{}/consumer_generation", uuid(9)),
        ),
        (
            12,
            candidates.into(),
            format!(
                "/allocation_requests/0/allocations/{}/resources/VCPU",
                uuid(1)
            ),
        ),
        (17, candidates.into(), summary("traits")),
        (27, candidates.into(), summary("resources/DISK_GB")),
        (29, candidates.into(), summary("root_provider_uuid")),
        (
            34,
            candidates.into(),
            "/allocation_requests/0/mappings".into(),
        ),
        (
            38,
            "/usages?project_id=project".into(),
            "/usages/INSTANCE/consumer_count".into(),
        ),
        (39, host, "/uuid".into()),
    ];
    for (minor, target, pointer) in rows {
        let at = |minor: u16| {
            let (ask, target) = (cloud.at(minor), target.clone());
            async move { ask.get(&target).await.expect(200).json }
        };
        assert!(
            at(minor).await.pointer(&pointer).is_some(),
            "1.{minor} {target} has no {pointer}"
        );
        if minor < 39 {
            assert!(
                at(minor - 1).await.pointer(&pointer).is_none(),
                "below 1.{minor} {target} has {pointer}"
            );
        }
    }
    let old = cloud.at(11).get(candidates).await.expect(200);
    let first = &old.json["allocation_requests"][0];
    let expected = json!([{"resource_provider": {"uuid": uuid(1)}, "resources": {"VCPU": 1}}]);
    assert_eq!(first, &json!({ "allocations": expected }));
}

#[tokio::test]
async fn calls_and_queries_appear() {
    let cloud = cloud().await;
    let host = format!("/resource_providers/{}", uuid(1));
    let agg = uuid(50);
    let rows: Vec<(u16, Method, String)> = vec![
        (1, Method::GET, format!("{host}/aggregates")),
        (2, Method::GET, "/resource_classes".into()),
        (3, Method::GET, format!("/resource_providers?member_of={agg}")),
        (4, Method::GET, "/resource_providers?resources=VCPU:1".into()),
        (6, Method::GET, "/traits".into()),
        (9, Method::GET, "/usages?project_id=project".into()),
        (10, Method::GET, "/allocation_candidates?resources=VCPU:1".into()),
        (14, Method::GET, format!("/resource_providers?in_tree={}", uuid(1))),
        (16, Method::GET, "/allocation_candidates?resources=VCPU:1&limit=1".into()),
        (17, Method::GET, "/allocation_candidates?resources=VCPU:1&required=CUSTOM_A".into()),
        (18, Method::GET, "/resource_providers?required=CUSTOM_A".into()),
        (21, Method::GET, format!("/allocation_candidates?resources=VCPU:1&member_of={agg}")),
        (22, Method::GET, "/resource_providers?required=!CUSTOM_A".into()),
        (24, Method::GET, format!("/resource_providers?member_of={agg}&member_of={agg}")),
        (25, Method::GET, "/allocation_candidates?resources1=VCPU:1".into()),
        (31, Method::GET, format!("/allocation_candidates?resources=VCPU:1&in_tree={}", uuid(1))),
        (32, Method::GET, format!("/resource_providers?member_of=!{agg}")),
        (33, Method::GET, "/allocation_candidates?resources_A=VCPU:1".into()),
        (35, Method::GET, "/allocation_candidates?resources=VCPU:1&root_required=CUSTOM_A".into()),
        (36, Method::GET, "/allocation_candidates?resources1=VCPU:1&required2=CUSTOM_A&same_subtree=1,2&group_policy=none".into()),
        (38, Method::GET, "/usages?project_id=project&consumer_type=all".into()),
        (39, Method::GET, "/resource_providers?required=in:CUSTOM_A,HW_CPU_X86_AVX2".into()),
    ];
    for (minor, method, target) in rows {
        let at = |minor: u16| cloud.at(minor);
        at(minor)
            .send(method.clone(), &target, "".into())
            .await
            .expect(200);
        let below = at(minor - 1).send(method, &target, "".into()).await.status;
        assert!(
            matches!(below, 400 | 404),
            "below 1.{minor} {target} answers {below}"
        );
    }
    let no_cache = |minor: u16| {
        let ask = cloud.at(minor);
        async move {
            ask.get("/")
                .await
                .header("cache-control")
                .map(str::to_owned)
        }
    };
    assert_eq!(no_cache(14).await, None);
    assert_eq!(no_cache(15).await.as_deref(), Some("no-cache"));
}

#[tokio::test]
async fn bodies_change() {
    let cloud = cloud().await;
    let host = uuid(1);
    let one = format!("/allocations/{}", uuid(70));
    let listed = json!([{"resource_provider": {"uuid": host}, "resources": {"VCPU": 1}}]);
    let mapped = json!({ host.clone(): {"resources": {"VCPU": 1}} });
    let owner = |allocations: &Value| json!({"allocations": allocations, "project_id": "p", "user_id": "u"});
    let full = claim(Value::Null, mapped.clone());
    let mut untyped = full.clone();
    untyped.as_object_mut().unwrap().remove("consumer_type");
    let mut with_mappings = untyped.clone();
    with_mappings["mappings"] = json!({"": [host]});
    // The body, the first version that takes it, and the last.
    let bodies: Vec<(Value, u16, u16)> = vec![
        (json!({"allocations": listed}), 0, 7),
        (owner(&listed), 8, 11),
        (owner(&mapped), 12, 27),
        (untyped, 28, 37),
        (with_mappings, 34, 37),
        (full, 38, 39),
    ];
    for (body, first, last) in bodies {
        for minor in [
            first.checked_sub(1),
            Some(first),
            Some(last),
            Some(last + 1),
        ] {
            let Some(minor) = minor.filter(|minor| *minor < 40) else {
                continue;
            };
            let expected = if (first..=last).contains(&minor) {
                204
            } else {
                400
            };
            cloud
                .at(minor)
                .put(&one, body.clone())
                .await
                .expect(expected);
            if expected == 204 {
                cloud.admin.delete(&one).await.expect(204);
            }
        }
    }
    let made = cloud
        .at(19)
        .post("/resource_providers", json!({"name": "a"}))
        .await
        .expect(201);
    assert!(made.bytes.is_empty() && made.header("location").is_some());
    let made = cloud
        .at(20)
        .post("/resource_providers", json!({"name": "b"}))
        .await
        .expect(200);
    assert_eq!(made.json["name"], "b");
    let inventory =
        |total: i64| json!({"resource_class": "PCPU", "total": total, "reserved": total});
    let target = format!("/resource_providers/{host}/inventories");
    cloud.at(25).post(&target, inventory(1)).await.expect(400);
    cloud.at(26).post(&target, inventory(1)).await.expect(201);
    cloud.at(4).delete(&target).await.expect(405);
    cloud
        .at(12)
        .post("/allocations", json!({}))
        .await
        .expect(404);
    cloud.at(29).post("/reshaper", json!({})).await.expect(404);
    cloud.at(36).get("/").await.expect(200);
}
