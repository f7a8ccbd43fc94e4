//! What an update leaves alone, and what it mends.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message, path, template};

fn test(value: &str) -> Value {
    json!({"t": {"type": "OS::Heat::TestResource", "properties": {"value": value}}})
}

async fn updated_to(cloud: &Cloud, stack: &str, body: Value) -> Value {
    cloud.update(stack, body).await.expect(202);
    cloud.settle().await;
    cloud.show(stack).await
}

fn restricted(value: &str) -> Value {
    let registry = json!({"resources": {"t": {"restricted_actions": "update"}}});
    json!({"template": template(test(value)), "environment": {"resource_registry": registry}})
}

#[tokio::test]
async fn a_restricted_resource_stays_as_it_was() {
    let cloud = cloud().await;
    let mut body = restricted("a");
    body["disable_rollback"] = json!(true);
    let stack = cloud.create("s", body).await;
    cloud.settle().await;
    for _ in 0..2 {
        let shown = updated_to(&cloud, &stack, restricted("b")).await;
        assert_eq!(shown["stack_status"], "UPDATE_FAILED");
        let why = shown["stack_status_reason"].as_str().unwrap();
        assert_eq!(
            why,
            "Resource UPDATE failed: resources.t: update is restricted for resource."
        );
        let row = cloud.resource(&stack, "t").await;
        assert_eq!(row["resource_status"], "CREATE_COMPLETE");
    }
    let events = cloud.get(&stack, "/resources/t/events").await.expect(200);
    let said = |event: &&Value| {
        event["resource_status_reason"] == "update is restricted for resource."
            && event["resource_status"] == "UPDATE_FAILED"
    };
    let events = events.json["events"].as_array().unwrap().clone();
    assert_eq!(events.iter().filter(said).count(), 2);
    let shown = updated_to(&cloud, &stack, restricted("a")).await;
    assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
    let row = cloud.resource(&stack, "t").await;
    assert_eq!(row["resource_status"], "CREATE_COMPLETE");
}

#[tokio::test]
async fn a_thing_that_is_only_used_is_neither_changed_nor_exchanged() {
    let cloud = cloud().await;
    let made = cloud
        .made(
            "made",
            json!({"a": {"type": "OS::Neutron::Net", "properties": {"name": "mine"}}, "b": {"type": "OS::Neutron::Net"}}),
        )
        .await;
    let id = |row: Value| row["physical_resource_id"].as_str().unwrap().to_owned();
    let a = id(cloud.resource(&made, "a").await);
    let b = id(cloud.resource(&made, "b").await);
    let used = |id: &str| {
        let properties = json!({"name": "yours"});
        json!({"net": {"type": "OS::Neutron::Net", "external_id": id, "properties": properties}})
    };
    let own = json!({"net": {"type": "OS::Neutron::Net", "properties": {"name": "yours"}}});
    let stack = cloud.made("s", used(&a)).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    for next in [used(&b), own.clone()] {
        let preview = cloud
            .member()
            .put(
                &path(&format!("/stacks/{stack}/preview")),
                json!({"template": template(next.clone())}),
            )
            .await
            .expect(400);
        assert!(message(&preview).contains("external_id"), "{preview:?}");
        let shown = updated_to(&cloud, &stack, json!({"template": template(next)})).await;
        assert_eq!(shown["stack_status"], "UPDATE_FAILED", "{shown}");
        let why = shown["stack_status_reason"].as_str().unwrap();
        assert!(
            why.contains("Update to property external_id of net (OS::Neutron::Net)"),
            "{why}"
        );
        assert_eq!(id(cloud.resource(&stack, "net").await), a);
    }
    assert_eq!(cloud.siblings.state().rows["networks"][&a]["name"], "mine");
    let shown = updated_to(&cloud, &stack, json!({"template": template(used(&a))})).await;
    assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
    // What a stack has made does not become something that it only uses, either.
    let other = cloud.made("other", own).await;
    let shown = updated_to(&cloud, &other, json!({"template": template(used(&a))})).await;
    assert_eq!(shown["stack_status"], "UPDATE_FAILED", "{shown}");
    cloud.delete(&other).await;
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("networks"), 2);
}

#[tokio::test]
async fn what_is_gone_behind_the_back_of_a_stack_is_made_anew_by_the_update_after_the_one_that_saw_it()
 {
    let cloud = cloud().await;
    let net =
        |name: &str| json!({"net": {"type": "OS::Neutron::Net", "properties": {"name": name}}});
    let stack = cloud.made("s", net("a")).await;
    cloud.siblings.lose("networks");
    cloud.updated(&stack, net("b")).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_FAILED");
    cloud.updated(&stack, net("b")).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
    assert_eq!(cloud.siblings.count("networks"), 1);
}

#[tokio::test]
async fn a_wait_condition_that_is_changed_waits_anew() {
    let cloud = cloud().await;
    let wait = |count: u32| {
        json!({"h": {"type": "OS::Heat::WaitConditionHandle"},
            "w": {"type": "OS::Heat::WaitCondition", "properties": {"handle": {"get_resource": "h"}, "timeout": 60, "count": count}}})
    };
    let stack = cloud
        .create("s", json!({"template": template(wait(1))}))
        .await;
    cloud.settle_for(5).await;
    cloud.signal(&stack, "h", json!({})).await.expect(200);
    cloud.settle_for(30).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    cloud
        .world
        .clock
        .advance(std::time::Duration::from_secs(600));
    cloud
        .update(&stack, json!({"template": template(wait(2))}))
        .await
        .expect(202);
    cloud.settle_for(5).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_IN_PROGRESS");
    cloud
        .signal(&stack, "h", json!({"id": "2"}))
        .await
        .expect(200);
    cloud.settle_for(30).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
}

#[tokio::test]
async fn a_template_that_is_a_resource_says_what_it_is_referred_to_by() {
    let cloud = cloud().await;
    let mut inner = template(
        json!({"t": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_param": "v"}}}}),
    );
    inner["parameters"] = json!({"v": {"type": "string"}});
    inner["outputs"] = json!({"OS::stack_id": {"value": {"get_attr": ["t", "output"]}}});
    let mut outer = template(json!({"n": {"type": "n.yaml", "properties": {"v": "me"}}}));
    outer["outputs"] = json!({
        "reference": {"value": {"get_resource": "n"}},
        "inside": {"value": {"get_attr": ["n", "resource.t", "output"]}},
        "itself": {"value": {"get_attr": ["n", "resource.t"]}},
    });
    let body = json!({"template": outer, "files": {"n.yaml": inner.to_string()}});
    let stack = cloud.create("s", body).await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    let value = |at: usize| shown["outputs"][at]["output_value"].clone();
    assert_eq!((value(0), value(1)), (json!("me"), json!("me")));
    assert!(value(2).as_str().unwrap().contains("-t-"), "{shown}");
}

#[tokio::test]
async fn an_update_that_is_to_converge_looks_for_what_is_gone() {
    let cloud = cloud().await;
    let net = json!({"type": "OS::Neutron::Net"});
    let group =
        json!({"type": "OS::Heat::ResourceGroup", "properties": {"count": 1, "resource_def": net}});
    let all = json!({"n": net, "g": group, "v": {"type": "OS::Cinder::Volume", "properties": {"size": 1}}});
    let stack = cloud.made("s", all.clone()).await;
    cloud.siblings.lose("networks");
    cloud.updated(&stack, all.clone()).await;
    assert_eq!(cloud.siblings.count("networks"), 0);
    let volume = cloud.resource(&stack, "v").await["physical_resource_id"].clone();
    let body = json!({"template": template(all), "converge": true});
    cloud.update(&stack, body).await.expect(202);
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
    assert_eq!(cloud.siblings.count("networks"), 2);
    // What is there stays.
    assert_eq!(
        cloud.resource(&stack, "v").await["physical_resource_id"],
        volume
    );
    let body = json!({"template": template(json!({})), "converge": "perhaps"});
    cloud.update(&stack, body).await.expect(400);
}
