//! Allocation candidates over HTTP: trees, sharing providers, and what changes between two questions.

use std::collections::BTreeSet;

use nephos_testkit::Answer;
use serde_json::{Value, json};

use crate::{Cloud, uuid};

/// The providers of each candidate.
fn providers(answer: &Answer) -> BTreeSet<BTreeSet<String>> {
    let requests = answer.json["allocation_requests"].as_array().unwrap();
    requests
        .iter()
        .map(|one| {
            one["allocations"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect()
        })
        .collect()
}

fn sets(expected: &[&[u64]]) -> BTreeSet<BTreeSet<String>> {
    let sets = expected
        .iter()
        .map(|set| set.iter().map(|n| uuid(*n)).collect());
    sets.collect()
}

/// Two hosts and a disk that both share; the first host has two NUMA nodes.
async fn cloud() -> Cloud {
    let cloud = Cloud::new().await;
    cloud.provider(1, None, &[("MEMORY_MB", 1024)]).await;
    cloud.provider(2, Some(1), &[("VCPU", 4)]).await;
    cloud.provider(3, Some(1), &[("VCPU", 8)]).await;
    cloud
        .provider(
            4,
            None,
            &[("VCPU", 8), ("MEMORY_MB", 1024), ("DISK_GB", 50)],
        )
        .await;
    cloud.provider(5, None, &[("DISK_GB", 1000)]).await;
    cloud.traits(5, &["MISC_SHARES_VIA_AGGREGATE"]).await;
    cloud.traits(3, &["HW_CPU_X86_AVX2", "CUSTOM_FAST"]).await;
    for n in [1, 4, 5] {
        cloud.aggregates(n, &[100]).await;
    }
    cloud
}

#[tokio::test]
async fn resources_come_from_a_tree_and_its_neighbours() {
    let cloud = cloud().await;
    let check = |query: &'static str, expected: &'static [&'static [u64]]| {
        let ask = cloud.admin.clone();
        async move {
            let answer = ask
                .get(&format!("/allocation_candidates?{query}"))
                .await
                .expect(200);
            assert_eq!(providers(&answer), sets(expected), "{query}");
        }
    };
    check("resources=VCPU:5", &[&[3], &[4]]).await;
    check("resources=VCPU:2,MEMORY_MB:512", &[&[1, 2], &[1, 3], &[4]]).await;
    check(
        "resources=VCPU:5,MEMORY_MB:512,DISK_GB:40",
        &[&[1, 3, 5], &[4], &[4, 5]],
    )
    .await;
    check("resources=VCPU:5,DISK_GB:100", &[&[3, 5], &[4, 5]]).await;
    check("resources=VCPU:1&required=CUSTOM_FAST", &[&[3]]).await;
    check("resources=VCPU:1&required=!CUSTOM_FAST", &[&[2], &[4]]).await;
    check(
        "resources1=VCPU:4&resources2=VCPU:4&group_policy=isolate",
        &[&[2, 3]],
    )
    .await;
    check(
        "resources1=VCPU:4&resources2=VCPU:4&group_policy=none",
        &[&[2, 3], &[3], &[4]],
    )
    .await;
    check("resources=VCPU:9", &[]).await;
}

#[tokio::test]
async fn the_next_answer_knows_every_change() {
    let cloud = cloud().await;
    let ask = || async {
        let answer = cloud
            .admin
            .get("/allocation_candidates?resources=VCPU:8")
            .await
            .expect(200);
        providers(&answer)
    };
    assert_eq!(ask().await, sets(&[&[3], &[4]]));
    let some = json!({ uuid(3): {"resources": {"VCPU": 1}} });
    cloud.claim(9, Value::Null, some).await.expect(204);
    assert_eq!(ask().await, sets(&[&[4]]));
    cloud
        .admin
        .delete(&format!("/allocations/{}", uuid(9)))
        .await
        .expect(204);
    assert_eq!(ask().await, sets(&[&[3], &[4]]));
    cloud
        .admin
        .delete(&format!("/resource_providers/{}", uuid(4)))
        .await
        .expect(204);
    assert_eq!(ask().await, sets(&[&[3]]));
    let alone = json!({"name": "host-3", "parent_provider_uuid": null});
    cloud
        .admin
        .put(&format!("/resource_providers/{}", uuid(3)), alone)
        .await
        .expect(200);
    let answer = cloud
        .admin
        .get("/allocation_candidates?resources=VCPU:8,MEMORY_MB:1")
        .await;
    assert_eq!(providers(&answer), sets(&[]));
    cloud.provider(6, None, &[("VCPU", 8)]).await;
    assert_eq!(ask().await, sets(&[&[3], &[6]]));
}

#[tokio::test]
async fn summaries_show_whole_trees_and_mappings_say_who_serves_which_group() {
    let cloud = cloud().await;
    let query = "/allocation_candidates?resources=MEMORY_MB:1&resources_CPU=VCPU:5&required_CPU=CUSTOM_FAST";
    let answer = cloud.admin.get(query).await.expect(200);
    let requests = &answer.json["allocation_requests"];
    assert_eq!(
        requests[0]["mappings"],
        json!({"": [uuid(1)], "_CPU": [uuid(3)]})
    );
    let summaries = answer.json["provider_summaries"].as_object().unwrap();
    let shown: Vec<&String> = summaries.keys().collect();
    assert_eq!(shown, [&uuid(1), &uuid(2), &uuid(3)]);
    assert_eq!(
        summaries[&uuid(3)]["traits"],
        json!(["HW_CPU_X86_AVX2", "CUSTOM_FAST"])
    );
    assert_eq!(
        summaries[&uuid(3)]["resources"]["VCPU"],
        json!({"capacity": 8, "used": 0})
    );
    assert_eq!(summaries[&uuid(3)]["parent_provider_uuid"], json!(uuid(1)));
    let few = cloud
        .admin
        .get("/allocation_candidates?resources=VCPU:1&limit=1")
        .await
        .expect(200);
    assert_eq!(few.json["allocation_requests"].as_array().unwrap().len(), 1);
    assert_eq!(few.header("cache-control"), Some("no-cache"));
}
