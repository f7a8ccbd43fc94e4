//! Claims: the last unit is given once, nothing is half done.

use nephos_api::Check as _;
use serde_json::{Value, json};

use crate::{Cloud, claim, detail, uuid};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_parallel_claims_for_the_last_unit_one_is_given() {
    let cloud = Cloud::new().await;
    let host = cloud.provider(1, None, &[("VCPU", 2)]).await;
    let first = json!({ host.clone(): {"resources": {"VCPU": 1}} });
    cloud
        .claim(99, Value::Null, first.clone())
        .await
        .expect(204);
    let mut told = Vec::new();
    for n in 100..150 {
        let (ask, body) = (cloud.admin.clone(), claim(Value::Null, first.clone()));
        let (tell, heard) = tokio::sync::oneshot::channel();
        nephos_runtime::spawn("claimer", async move {
            let answer = ask.put(&format!("/allocations/{}", uuid(n)), body).await;
            tell.send(answer.status).unwrap();
        });
        told.push(heard);
    }
    let mut given = 0;
    for heard in told {
        match heard.await.unwrap() {
            204 => given += 1,
            status => assert_eq!(status, 409),
        }
    }
    assert_eq!(given, 1);
    assert_eq!(cloud.used(1).await, json!({"VCPU": 2}));
    let candidates = cloud
        .admin
        .get("/allocation_candidates?resources=VCPU:1")
        .await;
    assert_eq!(candidates.json["allocation_requests"], json!([]));
    cloud.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_of_many_parallel_claims_is_refused_changes_nothing_for_the_others() {
    let cloud = Cloud::new().await;
    let host = cloud
        .provider(1, None, &[("VCPU", 100), ("DISK_GB", 100)])
        .await;
    let good = json!({ host.clone(): {"resources": {"VCPU": 1, "DISK_GB": 2}} });
    cloud.claim(7, Value::Null, good.clone()).await.expect(204);
    let before = cloud.generation(1).await;
    let mut told = Vec::new();
    for n in 100..160 {
        let (consumer, allocations, expected) = match n % 6 {
            // It has something already.
            0 => (7, good.clone(), 409),
            1 => (n, json!({ uuid(99): {"resources": {"VCPU": 1}} }), 400),
            2 => (
                n,
                json!({ host.clone(): {"resources": {"VCPU": 1, "CUSTOM_NONE": 1}} }),
                400,
            ),
            3 => (
                n,
                json!({ host.clone(): {"resources": {"VCPU": 1000}} }),
                409,
            ),
            _good => (n, good.clone(), 204),
        };
        let (ask, body) = (cloud.admin.clone(), claim(Value::Null, allocations));
        let (tell, heard) = tokio::sync::oneshot::channel();
        nephos_runtime::spawn("claimer", async move {
            let answer = ask
                .put(&format!("/allocations/{}", uuid(consumer)), body)
                .await;
            tell.send((answer.status, expected)).unwrap();
        });
        told.push(heard);
    }
    for heard in told {
        let (status, expected) = heard.await.unwrap();
        assert_eq!(status, expected);
    }
    assert_eq!(cloud.used(1).await, json!({"VCPU": 21, "DISK_GB": 42}));
    assert_eq!(cloud.generation(1).await, before + 20);
    let shown = cloud
        .admin
        .get(&format!("/allocations/{}", uuid(104)))
        .await;
    assert_eq!(shown.json["consumer_generation"], 1);
    assert_eq!(shown.json["project_id"], "project");
    cloud.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_writers_of_one_generation_do_not_overwrite_each_other() {
    let cloud = Cloud::new().await;
    let host = cloud.provider(1, None, &[]).await;
    let mut told = Vec::new();
    for total in 1..20 {
        let ask = cloud.admin.clone();
        let body =
            json!({"resource_provider_generation": 0, "inventories": {"VCPU": {"total": total}}});
        let target = format!("/resource_providers/{host}/inventories");
        let (tell, heard) = tokio::sync::oneshot::channel();
        nephos_runtime::spawn("writer", async move {
            tell.send(ask.put(&target, body).await.status).unwrap();
        });
        told.push(heard);
    }
    let mut written = 0;
    for heard in told {
        match heard.await.unwrap() {
            200 => written += 1,
            status => assert_eq!(status, 409),
        }
    }
    assert_eq!((written, cloud.generation(1).await), (1, 1));
}

#[tokio::test]
async fn a_consumer_is_changed_only_by_who_knows_its_generation() {
    let cloud = Cloud::new().await;
    let host = cloud.provider(1, None, &[("VCPU", 8)]).await;
    let some = |amount: i64| json!({ host.clone(): {"resources": {"VCPU": amount}} });
    let early = cloud.claim(9, json!(3), some(1)).await.expect(409);
    assert!(detail(&early).contains("expected null but got 3"));
    assert_eq!(
        early.json["errors"][0]["code"],
        "placement.concurrent_update"
    );
    cloud.claim(9, Value::Null, some(1)).await.expect(204);
    cloud.claim(9, Value::Null, some(2)).await.expect(409);
    cloud.claim(9, json!(1), some(2)).await.expect(204);
    assert_eq!(cloud.used(1).await, json!({"VCPU": 2}));
    let shown = cloud.admin.get(&format!("/allocations/{}", uuid(9))).await;
    assert_eq!(shown.json["consumer_generation"], 2);
    cloud.claim(9, json!(2), json!({})).await.expect(204);
    assert_eq!(cloud.used(1).await, json!({"VCPU": 0}));
    cloud.claim(9, Value::Null, some(1)).await.expect(204);
    cloud
        .admin
        .delete(&format!("/allocations/{}", uuid(9)))
        .await
        .expect(204);
    cloud
        .admin
        .delete(&format!("/allocations/{}", uuid(9)))
        .await
        .expect(404);
    cloud.check().await;
}

#[tokio::test]
async fn several_consumers_are_served_together_or_not_at_all() {
    let cloud = Cloud::new().await;
    let (a, b) = (
        cloud.provider(1, None, &[("VCPU", 4)]).await,
        cloud.provider(2, None, &[("VCPU", 4)]).await,
    );
    let on = |host: &str, amount: i64| json!({ host: {"resources": {"VCPU": amount}} });
    cloud.claim(9, Value::Null, on(&a, 4)).await.expect(204);
    // A move: the old place goes to a second consumer in the same moment.
    let both = json!({
        uuid(9): claim(json!(1), on(&b, 4)),
        uuid(10): claim(Value::Null, on(&a, 4)),
    });
    cloud.admin.post("/allocations", both).await.expect(204);
    assert_eq!(cloud.used(1).await, cloud.used(2).await);
    let too_much = json!({
        uuid(9): claim(json!(2), json!({})),
        uuid(10): claim(json!(1), on(&b, 5)),
    });
    let refused = cloud.admin.post("/allocations", too_much).await.expect(409);
    assert!(detail(&refused).contains("violate") || detail(&refused).contains("exceed"));
    assert_eq!(cloud.used(2).await, json!({"VCPU": 4}));
    let shown = cloud.admin.get(&format!("/allocations/{}", uuid(9))).await;
    assert_eq!(shown.json["consumer_generation"], 2);
    cloud.check().await;
}

#[tokio::test]
async fn what_is_claimed_stands_after_a_restart_and_in_another_process() {
    let cloud = Cloud::new().await;
    let host = cloud.provider(1, None, &[("VCPU", 4)]).await;
    let other = Cloud {
        service: std::sync::Arc::clone(&cloud.service),
        ..Cloud::over(cloud.world).await
    };
    let some = json!({ host.clone(): {"resources": {"VCPU": 3}} });
    let by_old = std::sync::Arc::clone(&other.service);
    other.claim(9, Value::Null, some).await.expect(204);
    assert_eq!(other.used(1).await, json!({"VCPU": 3}));
    assert_eq!(by_old.check().await.unwrap(), []);
}

#[tokio::test]
async fn stock_moves_to_a_child_with_its_allocations() {
    let cloud = Cloud::new().await;
    let parent = cloud
        .provider(1, None, &[("VCPU", 4), ("MEMORY_MB", 4)])
        .await;
    let child = cloud.provider(2, Some(1), &[]).await;
    let before = json!({ parent.clone(): {"resources": {"VCPU": 2, "MEMORY_MB": 1}} });
    cloud.claim(9, Value::Null, before).await.expect(204);
    let after = json!({
        parent.clone(): {"resources": {"MEMORY_MB": 1}},
        child.clone(): {"resources": {"VCPU": 2}},
    });
    let move_all = |allocations: Value| {
        json!({
            "inventories": {
                parent.clone(): {"resource_provider_generation": 3, "inventories": {"MEMORY_MB": {"total": 4}}},
                child.clone(): {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 4}}},
            },
            "allocations": allocations,
        })
    };
    // The allocation would hang in the air.
    let refused = cloud
        .peer()
        .post("/reshaper", move_all(json!({})))
        .await
        .expect(409);
    assert_eq!(
        refused.json["errors"][0]["code"],
        "placement.inventory.inuse"
    );
    assert_eq!(cloud.used(2).await, json!({}));
    let moved = move_all(json!({ uuid(9): claim(json!(1), after) }));
    cloud
        .admin
        .post("/reshaper", moved.clone())
        .await
        .expect(403);
    cloud.peer().post("/reshaper", moved).await.expect(204);
    assert_eq!(cloud.used(1).await, json!({"MEMORY_MB": 1}));
    assert_eq!(cloud.used(2).await, json!({"VCPU": 2}));
    cloud.check().await;
}

#[tokio::test]
async fn usages_are_summed_by_project_and_type() {
    let cloud = Cloud::new().await;
    let host = cloud
        .provider(1, None, &[("VCPU", 8), ("DISK_GB", 8)])
        .await;
    let some = json!({ host.clone(): {"resources": {"VCPU": 1, "DISK_GB": 2}} });
    cloud.claim(9, Value::Null, some.clone()).await.expect(204);
    cloud.claim(10, Value::Null, some.clone()).await.expect(204);
    let mut untyped = claim(Value::Null, some);
    untyped.as_object_mut().unwrap().remove("consumer_type");
    let target = format!("/allocations/{}", uuid(11));
    cloud.at(37).put(&target, untyped).await.expect(204);
    let get = |query: &str| {
        let (ask, target) = (
            cloud.admin.clone(),
            format!("/usages?project_id=project{query}"),
        );
        async move { ask.get(&target).await.expect(200).json["usages"].clone() }
    };
    let two = json!({"DISK_GB": 4, "VCPU": 2, "consumer_count": 2});
    let one = json!({"DISK_GB": 2, "VCPU": 1, "consumer_count": 1});
    assert_eq!(get("").await, json!({"INSTANCE": two, "unknown": one}));
    assert_eq!(
        get("&consumer_type=INSTANCE").await,
        json!({"INSTANCE": two})
    );
    assert_eq!(
        get("&consumer_type=all&user_id=user").await["all"]["consumer_count"],
        3
    );
    assert_eq!(get("&user_id=other").await, json!({}));
    let old = cloud
        .at(37)
        .get("/usages?project_id=project")
        .await
        .expect(200);
    assert_eq!(old.json["usages"], json!({"DISK_GB": 6, "VCPU": 3}));
}

#[tokio::test]
async fn a_claim_of_many_classes_is_written_and_given_back_whole() {
    let cloud = Cloud::new().await;
    let classes = ["VCPU", "MEMORY_MB", "DISK_GB", "PCI_DEVICE", "VGPU"];
    let stock: Vec<(&str, i64)> = classes.iter().map(|class| (*class, 9)).collect();
    for host in [1, 2] {
        cloud.provider(host, None, &stock).await;
    }
    let taken = |amount: i64, count: usize| -> Value {
        let pairs = classes.iter().take(count);
        let map = pairs.map(|class| ((*class).to_owned(), json!(amount)));
        Value::Object(map.collect())
    };
    let all = json!({
        uuid(1): {"resources": taken(2, 5)}, uuid(2): {"resources": taken(3, 4)},
    });
    cloud.claim(9, Value::Null, all).await.expect(204);
    let used = |amounts: [i64; 5]| -> Value {
        let pairs = classes.iter().zip(amounts);
        Value::Object(
            pairs
                .map(|(class, used)| ((*class).to_owned(), json!(used)))
                .collect(),
        )
    };
    assert_eq!(cloud.used(1).await, used([2; 5]));
    assert_eq!(cloud.used(2).await, used([3, 3, 3, 3, 0]));
    let moved = json!({ uuid(2): {"resources": taken(1, 3)} });
    cloud.claim(9, json!(1), moved).await.expect(204);
    assert_eq!(cloud.used(1).await, used([0; 5]));
    assert_eq!(cloud.used(2).await, used([1, 1, 1, 0, 0]));
    cloud
        .admin
        .delete(&format!("/allocations/{}", uuid(9)))
        .await
        .expect(204);
    assert_eq!(cloud.used(2).await, used([0; 5]));
    cloud.check().await;
}
