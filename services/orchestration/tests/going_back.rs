//! Going back to what was there before an update: the same things, not others in their places.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, in_batches, path, template};

fn failing(after: &str) -> Value {
    json!({"type": "OS::Heat::TestResource", "properties": {"fail": true}, "depends_on": after})
}

/// Updates a stack to these resources, going back when they fail.
async fn try_it(cloud: &Cloud, stack: &str, resources: Value) {
    let body = json!({"template": template(resources), "disable_rollback": false});
    cloud.update(stack, body).await.expect(202);
    cloud.settle().await;
}

async fn id(cloud: &Cloud, stack: &str, name: &str) -> Value {
    cloud.resource(stack, name).await["physical_resource_id"].clone()
}

fn volume(zone: &str) -> Value {
    json!({"type": "OS::Cinder::Volume", "properties": {"size": 1, "availability_zone": zone}})
}

fn word(salt: &str) -> Value {
    json!({"type": "OS::Heat::RandomString", "properties": {"salt": salt}})
}

#[tokio::test]
async fn a_volume_whose_replacement_fails_is_kept_with_all_that_is_on_it() {
    let cloud = cloud().await;
    let stack = cloud.made("s", json!({"v": volume("a")})).await;
    let before = id(&cloud, &stack, "v").await;
    let refused = ("volumes".to_owned(), "no room".to_owned());
    cloud.siblings.state().refuses.extend([refused]);
    try_it(&cloud, &stack, json!({"v": volume("b")})).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "ROLLBACK_COMPLETE", "{shown}");
    assert_eq!(id(&cloud, &stack, "v").await, before);
    assert_eq!(cloud.siblings.count("volumes"), 1);
    // The same without a rollback, by an update back.
    cloud.updated(&stack, json!({"v": volume("b")})).await;
    let target = json!({"template": template(json!({"v": volume("b")})), "disable_rollback": true});
    cloud.update(&stack, target).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_FAILED");
    let back = json!({"template": template(json!({"v": volume("a")}))});
    let target = path(&format!("/stacks/{stack}/preview"));
    let member = cloud.member();
    let preview = member.put(&target, back.clone());
    let preview = preview.await.expect(200).json;
    assert_eq!(
        preview["resource_changes"]["replaced"],
        json!([]),
        "{preview}"
    );
    cloud.update(&stack, back).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    assert_eq!(id(&cloud, &stack, "v").await, before);
    assert_eq!(cloud.siblings.count("volumes"), 1);
}

#[tokio::test]
async fn what_was_replaced_well_is_gone_back_to_when_something_else_fails() {
    let cloud = cloud().await;
    let server = |data: &str| json!({"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny", "user_data": data}});
    let all =
        |salt: &str, zone: &str| json!({"w": word(salt), "v": volume(zone), "s": server(salt)});
    let stack = cloud.made("s", all("1", "a")).await;
    let secret = cloud.resource(&stack, "w").await["attributes"]["value"].clone();
    let before = (id(&cloud, &stack, "v").await, id(&cloud, &stack, "s").await);
    let mut next = all("2", "b");
    next["z"] = json!({"type": "OS::Heat::TestResource", "properties": {"fail": true}, "depends_on": ["w", "v", "s"]});
    try_it(&cloud, &stack, next).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "ROLLBACK_COMPLETE", "{shown}");
    assert_eq!(
        cloud.resource(&stack, "w").await["attributes"]["value"],
        secret
    );
    let after = (id(&cloud, &stack, "v").await, id(&cloud, &stack, "s").await);
    assert_eq!(after, before);
    assert_eq!(
        (
            cloud.siblings.count("volumes"),
            cloud.siblings.count("servers")
        ),
        (1, 1)
    );
    // When all goes well, the old ones go.
    cloud.updated(&stack, all("2", "b")).await;
    assert_ne!(
        cloud.resource(&stack, "w").await["attributes"]["value"],
        secret
    );
    assert_ne!(id(&cloud, &stack, "v").await, before.0);
    assert_eq!(
        (
            cloud.siblings.count("volumes"),
            cloud.siblings.count("servers")
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_cancelled_update_and_one_that_takes_another_back_keep_what_there_was() {
    let cloud = cloud().await;
    let slow = |salt: &str, wait: u64| json!({"w": word(salt), "z": {"type": "OS::Heat::TestResource", "properties": {"value": salt, "action_wait_secs": {"update": wait}}, "depends_on": "w"}});
    let stack = cloud.made("s", slow("1", 0)).await;
    let secret = cloud.resource(&stack, "w").await["attributes"]["value"].clone();
    let next = json!({"template": template(slow("2", 500))});
    cloud.update(&stack, next.clone()).await.expect(202);
    cloud.settle_for(5).await;
    let target = path(&format!("/stacks/{stack}/actions"));
    cloud
        .member()
        .post(&target, json!({"cancel_update": null}))
        .await
        .expect(202);
    cloud.settle_for(100).await;
    assert_eq!(cloud.state(&stack).await, "ROLLBACK_COMPLETE");
    assert_eq!(
        cloud.resource(&stack, "w").await["attributes"]["value"],
        secret
    );
    cloud.update(&stack, next).await.expect(202);
    cloud.settle_for(5).await;
    assert_ne!(
        cloud.resource(&stack, "w").await["attributes"]["value"],
        secret
    );
    cloud
        .update(&stack, json!({"template": template(slow("1", 0))}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    assert_eq!(
        cloud.resource(&stack, "w").await["attributes"]["value"],
        secret
    );
}

/// A server with a port of its own.
fn with_port(data: &str) -> Value {
    json!({
        "p": {"type": "OS::Neutron::Port", "properties": {"network": "00000000-0000-4000-8000-000000000099"}},
        "s": {"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny", "user_data": data, "networks": [{"port": {"get_resource": "p"}}]}},
    })
}

#[tokio::test]
async fn a_server_that_let_go_of_its_port_has_it_again() {
    let cloud = cloud().await;
    let stack = cloud.made("s", with_port("1")).await;
    let before = id(&cloud, &stack, "s").await;
    let port = id(&cloud, &stack, "p").await;
    let mut next = with_port("2");
    next["z"] = failing("s");
    try_it(&cloud, &stack, next).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "ROLLBACK_COMPLETE", "{shown}");
    assert_eq!(id(&cloud, &stack, "s").await, before);
    let server = cloud.siblings.state().rows["servers"][before.as_str().unwrap()].clone();
    assert_eq!(server["interfaces"][0]["port_id"], port);
    assert_eq!(cloud.siblings.count("servers"), 1);
    cloud.updated(&stack, with_port("2")).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    assert_ne!(id(&cloud, &stack, "s").await, before);
    assert_eq!(cloud.siblings.count("servers"), 1);
}

fn group(salt: &str, count: u32) -> Value {
    json!({"type": "OS::Heat::ResourceGroup", "properties": {"count": count, "resource_def": word(salt)}})
}

#[tokio::test]
async fn members_of_groups_are_gone_back_to() {
    let cloud = cloud().await;
    let nets = |zone: &str, count: u32| {
        let net =
            json!({"type": "OS::Neutron::Net", "properties": {"availability_zone_hints": [zone]}});
        json!({"type": "OS::Heat::ResourceGroup", "properties": {"count": count, "resource_def": net}})
    };
    let whole = |resources: Value| {
        let mut body = template(resources);
        body["outputs"] = json!({"o": {"value": {"get_attr": ["g", "value"]}}});
        json!({"template": body, "disable_rollback": false})
    };
    let first = json!({"g": group("1", 3), "n": nets("1", 3)});
    let stack = cloud.create("s", whole(first)).await;
    cloud.settle().await;
    let values = async || cloud.show(&stack).await["outputs"][0]["output_value"].clone();
    let before = values().await;
    assert_eq!(before.as_array().map(Vec::len), Some(3), "{before}");
    // Other ones and fewer: what uses the group sees those, and they are let go of again.
    let z = json!({"type": "OS::Heat::TestResource", "properties": {"fail": true, "value": {"list_join": ["", {"get_attr": ["g", "value"]}]}}});
    let next = json!({"g": group("2", 2), "n": nets("2", 2)});
    let mut bad = next.clone();
    bad["z"] = z;
    cloud.update(&stack, whole(bad)).await.expect(202);
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "ROLLBACK_COMPLETE", "{shown}");
    assert_eq!(values().await, before);
    assert_eq!(cloud.siblings.count("networks"), 3);
    cloud.update(&stack, whole(next)).await.expect(202);
    cloud.settle().await;
    // Nothing of the old ones is left.
    assert_eq!(cloud.siblings.count("networks"), 2);
    let after = values().await;
    assert_eq!(after.as_array().map(Vec::len), Some(2), "{after}");
    assert!(
        before
            .as_array()
            .unwrap()
            .iter()
            .all(|old| !after.as_array().unwrap().contains(old))
    );
}

#[tokio::test]
async fn what_could_not_be_removed_is_taken_again() {
    let cloud = cloud().await;
    let net = json!({"type": "OS::Neutron::Net"});
    let stack = cloud
        .made(
            "s",
            json!({"n": net, "t": {"type": "OS::Heat::TestResource"}}),
        )
        .await;
    let before = id(&cloud, &stack, "n").await;
    cloud
        .siblings
        .state()
        .refuses
        .insert("delete-networks".to_owned(), "nobody may".to_owned());
    cloud
        .updated(&stack, json!({"t": {"type": "OS::Heat::TestResource"}}))
        .await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_FAILED");
    cloud.siblings.state().refuses.clear();
    cloud
        .updated(
            &stack,
            json!({"n": net, "t": {"type": "OS::Heat::TestResource"}}),
        )
        .await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    assert_eq!(id(&cloud, &stack, "n").await, before);
}

/// An output of a stack.
async fn output(cloud: &Cloud, stack: &str, name: &str) -> Value {
    let shown = cloud.show(stack).await;
    let mut outputs = shown["outputs"].as_array().unwrap().iter();
    outputs.find(|found| found["output_key"] == name).unwrap()["output_value"].clone()
}

#[tokio::test]
async fn a_group_goes_back_member_by_member_from_a_batch_that_fails() {
    let cloud = cloud().await;
    let stack = cloud.create("s", in_batches("good")).await;
    cloud.settle().await;
    let words = async || output(&cloud, &stack, "words").await;
    let before = words().await;
    let mut next = in_batches("bad");
    next["disable_rollback"] = json!(false);
    cloud.update(&stack, next.clone()).await.expect(202);
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "ROLLBACK_COMPLETE", "{shown}");
    let all = |value: &str| json!([value, value, value]);
    assert_eq!(output(&cloud, &stack, "values").await, all("good"));
    // What was replaced by a batch before is made anew, what the one that failed has replaced is there still.
    let after = words().await;
    assert_ne!(after[0], before[0]);
    assert_eq!((&after[1], &after[2]), (&before[1], &before[2]));
    // The same by an update: back, and on to something else.
    next["disable_rollback"] = json!(true);
    for (value, same) in [("good", true), ("better", false)] {
        cloud.update(&stack, next.clone()).await.expect(202);
        cloud.settle().await;
        assert_eq!(cloud.state(&stack).await, "UPDATE_FAILED");
        let before = words().await;
        cloud.update(&stack, in_batches(value)).await.expect(202);
        cloud.settle().await;
        let shown = cloud.show(&stack).await;
        assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
        assert_eq!(output(&cloud, &stack, "values").await, all(value));
        assert_eq!(words().await[2] == before[2], same);
    }
}

#[tokio::test]
async fn a_scaling_group_whose_batches_are_cancelled_goes_back() {
    let cloud = cloud().await;
    let group = |value: &str| {
        let one = json!({"type": "OS::Heat::TestResource", "properties": {"value": value, "action_wait_secs": {"update": 20}}});
        let mut body = template(
            json!({"g": {"type": "OS::Heat::AutoScalingGroup", "properties": {
            "min_size": 3, "max_size": 3, "resource": one, "rolling_updates": {"max_batch_size": 1}}}}),
        );
        body["outputs"] = json!({"all": {"value": {"get_attr": ["g", "outputs_list", "output"]}}});
        json!({ "template": body })
    };
    let stack = cloud.create("s", group("a")).await;
    cloud.settle().await;
    cloud.update(&stack, group("b")).await.expect(202);
    // Within the second batch.
    cloud.settle_for(30).await;
    assert_eq!(output(&cloud, &stack, "all").await[0], "b");
    assert_eq!(output(&cloud, &stack, "all").await[2], "a");
    let target = path(&format!("/stacks/{stack}/actions"));
    let cancel = json!({"cancel_update": null});
    let answer = cloud.member().post(&target, cancel).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "ROLLBACK_COMPLETE", "{shown}");
    assert_eq!(output(&cloud, &stack, "all").await, json!(["a", "a", "a"]));
}
