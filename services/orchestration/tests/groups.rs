//! Groups of alike resources, and policies that scale them.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message, path, template};

async fn members(cloud: &Cloud, stack: &str, group: &str) -> Vec<String> {
    let row = cloud.resource(stack, group).await;
    let link = row["links"]
        .as_array()
        .unwrap()
        .iter()
        .find(|link| link["rel"] == "nested")
        .unwrap()["href"]
        .as_str()
        .unwrap()
        .to_owned();
    let target = format!(
        "{}/resources",
        link.strip_prefix("http://cloud.test/orchestration")
            .unwrap()
    );
    let list = cloud.member().get(&target).await.expect(200).json;
    let mut names: Vec<String> = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["resource_name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn group(count: u32, value: &str) -> Value {
    json!({"type": "OS::Heat::ResourceGroup", "properties": {"count": count, "resource_def": {"type": "OS::Heat::TestResource", "properties": {"value": format!("{value}-%index%")}}}})
}

#[tokio::test]
async fn a_group_grows_shrinks_and_shows_its_members() {
    let cloud = cloud().await;
    let mut body = template(json!({"g": group(2, "a")}));
    body["outputs"] = json!({"all": {"value": {"get_attr": ["g", "output"]}}, "first": {"value": {"get_attr": ["g", "resource.0", "output"]}}});
    let stack = cloud.create("s", json!({ "template": body })).await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    assert_eq!(shown["outputs"][0]["output_value"], json!(["a-0", "a-1"]));
    body["resources"]["g"] = group(3, "b");
    cloud
        .update(&stack, json!({ "template": body }))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(
        cloud.show(&stack).await["outputs"][0]["output_value"],
        json!(["b-0", "b-1", "b-2"])
    );
    cloud.updated(&stack, json!({"g": group(1, "b")})).await;
    assert_eq!(members(&cloud, &stack, "g").await, ["0"]);
    cloud.updated(&stack, json!({})).await;
    let left = cloud
        .member()
        .get(&path("/stacks?show_nested=true"))
        .await
        .expect(200)
        .json;
    assert_eq!(left["stacks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_member_that_fails_fails_the_group_and_is_named() {
    let cloud = cloud().await;
    let bad = json!({"type": "OS::Heat::ResourceGroup", "properties": {"count": 2, "resource_def": {"type": "OS::Heat::TestResource", "properties": {"fail": true}}}});
    let stack = cloud.made("s", json!({"g": bad})).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_FAILED");
    assert!(
        shown["stack_status_reason"]
            .as_str()
            .unwrap()
            .contains("resources.g: Resource CREATE failed: resources."),
        "{shown}"
    );
    cloud.updated(&stack, json!({"g": group(2, "a")})).await;
    assert_eq!(
        cloud.state(&stack).await,
        "UPDATE_COMPLETE",
        "{}",
        cloud.show(&stack).await
    );
}

fn scaling(value: &str) -> Value {
    json!({
        "asg": {"type": "OS::Heat::AutoScalingGroup", "properties": {
            "min_size": 1, "max_size": 3, "resource": {"type": "OS::Heat::TestResource", "properties": {"value": value}},
            "rolling_updates": {"min_in_service": 1, "max_batch_size": 1, "pause_time": 10}}},
        "up": {"type": "OS::Heat::ScalingPolicy", "properties": {"auto_scaling_group_id": {"get_resource": "asg"}, "adjustment_type": "change_in_capacity", "scaling_adjustment": 1, "cooldown": 60}},
    })
}

#[tokio::test]
async fn a_policy_scales_its_group_within_its_bounds() {
    let cloud = cloud().await;
    let stack = cloud.made("s", scaling("a")).await;
    assert_eq!(
        cloud.state(&stack).await,
        "CREATE_COMPLETE",
        "{}",
        cloud.show(&stack).await
    );
    assert_eq!(members(&cloud, &stack, "asg").await, ["member0"]);
    cloud.signal(&stack, "up", json!({})).await.expect(200);
    cloud.settle().await;
    assert_eq!(members(&cloud, &stack, "asg").await, ["member0", "member1"]);
    // It is still cooling down.
    cloud.signal(&stack, "up", json!({})).await.expect(200);
    cloud.settle().await;
    assert_eq!(members(&cloud, &stack, "asg").await.len(), 2);
    for _ in 0..3 {
        cloud
            .world
            .clock
            .advance(std::time::Duration::from_secs(61));
        cloud.signal(&stack, "up", json!({})).await.expect(200);
        cloud.settle().await;
    }
    assert_eq!(members(&cloud, &stack, "asg").await.len(), 3);
    // An update keeps the size, and changes one member after the other.
    cloud.updated(&stack, scaling("b")).await;
    assert_eq!(
        cloud.state(&stack).await,
        "UPDATE_COMPLETE",
        "{}",
        cloud.show(&stack).await
    );
    assert_eq!(members(&cloud, &stack, "asg").await.len(), 3);
    let outputs = cloud.resource(&stack, "asg").await;
    assert_eq!(outputs["attributes"]["current_size"], 3);
    cloud.delete(&stack).await;
}

#[tokio::test]
async fn a_stack_in_a_stack_is_made_in_this_region_only() {
    let cloud = cloud().await;
    let inner = json!({"heat_template_version": "2018-08-31", "resources": {"r": {"type": "OS::Heat::RandomString"}}, "outputs": {"o": {"value": {"get_resource": "r"}}}});
    let within = |context: Value, template: Value| json!({"s": {"type": "OS::Heat::Stack", "properties": {"context": context, "template": template.to_string()}}});
    let here = within(json!({"region_name": "RegionOne"}), inner.clone());
    let stack = cloud.made("here", here).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    let broken = json!({"heat_template_version": "2018-08-31", "resource": {}});
    let named = json!({"region_name": "RegionOne"});
    for (context, inner, why) in [
        (
            json!({"region_name": "DARKHOLE"}),
            inner.clone(),
            "Cannot establish connection to Heat endpoint at region \"DARKHOLE\" due to \"public endpoint for orchestration service in DARKHOLE region not found\". Stacks can be made in region RegionOne only.",
        ),
        (
            json!({"credential_secret_id": "x"}),
            inner.clone(),
            "Property error: resources.s.properties: context.credential_secret_id: there is no key manager here",
        ),
        (
            json!({"ca_cert": "x"}),
            inner.clone(),
            "Property error: resources.s.properties: context.ca_cert: stacks are made in this cloud only",
        ),
        (
            named,
            broken,
            "Failed validating stack template using Heat endpoint at region \"RegionOne\" due to \"ERROR: The template section is invalid: resource\"",
        ),
    ] {
        let body = json!({"stack_name": "there", "template": template(within(context, inner))});
        let answer = cloud
            .member()
            .post(&path("/stacks"), body)
            .await
            .expect(400);
        assert!(message(&answer).starts_with(why), "{answer:?}");
    }
    // One that is known only when the stack is made fails then.
    let later = json!({
        "where": {"type": "OS::Heat::Value", "properties": {"value": "DARKHOLE"}},
        "s": {"type": "OS::Heat::Stack", "properties": {"context": {"region_name": {"get_attr": ["where", "value"]}}, "template": inner.to_string()}},
    });
    let stack = cloud.made("later", later).await;
    let shown = cloud.show(&stack).await;
    let reason = shown["stack_status_reason"].as_str().unwrap();
    assert!(reason.contains("region \"DARKHOLE\""), "{shown}");
}

#[tokio::test]
async fn a_member_that_is_removed_by_name_does_not_come_back() {
    let cloud = cloud().await;
    let group = |removed: &[&str], mode: &str, other: &str| {
        let mut group = group(2, "a");
        group["properties"]["removal_policies"] = json!([{"resource_list": removed}]);
        group["properties"]["removal_policies_mode"] = json!(mode);
        json!({"g": group, "other": {"type": "OS::Heat::Value", "properties": {"value": other}}})
    };
    let stack = cloud.made("s", group(&[], "append", "1")).await;
    for (removed, mode, expected) in [
        (&["0"] as &[&str], "append", ["1", "2"]),
        // The same again changes nothing.
        (&["0"], "append", ["1", "2"]),
        (&[], "append", ["1", "2"]),
        (&["1"], "append", ["2", "3"]),
        (&[], "update", ["0", "1"]),
    ] {
        let other = format!("{removed:?} {mode} {expected:?}");
        cloud.updated(&stack, group(removed, mode, &other)).await;
        let shown = cloud.show(&stack).await;
        assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
        assert_eq!(members(&cloud, &stack, "g").await, expected, "{other}");
    }
}

#[tokio::test]
async fn a_group_is_made_and_changed_in_batches() {
    let cloud = cloud().await;
    let batched = |value: &str| {
        let mut group = group(4, value);
        group["update_policy"] = json!({
            "batch_create": {"max_batch_size": 3, "pause_time": 20},
            "rolling_update": {"min_in_service": 1, "max_batch_size": 2, "pause_time": 20}});
        json!({ "g": group })
    };
    let with = |value: &str| {
        let mut body = template(batched(value));
        body["outputs"] = json!({"all": {"value": {"get_attr": ["g", "output"]}}});
        json!({ "template": body })
    };
    let all = async |stack: &str| cloud.show(stack).await["outputs"][0]["output_value"].clone();
    let stack = cloud.create("s", with("a")).await;
    cloud.settle_for(10).await;
    assert_eq!(members(&cloud, &stack, "g").await, ["0", "1", "2"]);
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    assert_eq!(all(&stack).await, json!(["a-0", "a-1", "a-2", "a-3"]));
    cloud.update(&stack, with("b")).await.expect(202);
    cloud.settle_for(10).await;
    assert_eq!(all(&stack).await, json!(["b-0", "b-1", "a-2", "a-3"]));
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    assert_eq!(all(&stack).await, json!(["b-0", "b-1", "b-2", "b-3"]));
    let mut wrong = template(batched("a"));
    wrong["resources"]["g"]["update_policy"] = json!({"rolling_update": {"batch": 1}});
    let answer = cloud
        .member()
        .post(
            &path("/stacks"),
            json!({"stack_name": "t", "template": wrong}),
        )
        .await
        .expect(400);
    assert!(
        message(&answer).contains("resources.g.update_policy"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_file_may_stand_for_a_type_that_it_uses() {
    let cloud = cloud().await;
    let mut inner = template(
        json!({"t": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_param": "value"}}}}),
    );
    inner["parameters"] = json!({"value": {"type": "string"}});
    let outer = json!({"r": {"type": "OS::Heat::TestResource", "properties": {"value": "x"}}});
    let body = json!({"template": template(outer), "files": {"t.yaml": inner.to_string(), "unused": "x"},
        "environment": {"resource_registry": {"OS::Heat::TestResource": "t.yaml"}}});
    let stack = cloud.create("s", body).await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    assert_eq!(members(&cloud, &stack, "r").await, ["t"]);
}

#[tokio::test]
async fn a_member_is_removed_by_what_refers_to_it() {
    let cloud = cloud().await;
    let net = json!({"type": "OS::Heat::RandomString"});
    for mode in ["append", "update"] {
        let group = |removed: &Value| {
            json!({"g": {"type": "OS::Heat::ResourceGroup", "properties": {
                "count": 2, "resource_def": net, "removal_policies_mode": mode,
                "removal_policies": [{"resource_list": [removed]}]}}})
        };
        let stack = cloud.made(&format!("s-{mode}"), group(&json!("x"))).await;
        let target = "/resources/g?with_attr=refs_map";
        let shown = cloud.get(&stack, target).await.expect(200).json;
        let first = shown["resource"]["attributes"]["refs_map"]["0"].clone();
        cloud.updated(&stack, group(&first)).await;
        let shown = cloud.show(&stack).await;
        assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
        assert_eq!(members(&cloud, &stack, "g").await, ["1", "2"], "{mode}");
    }
}

#[tokio::test]
async fn a_group_that_shrinks_lets_its_oldest_member_go() {
    let cloud = cloud().await;
    let down = json!({"type": "OS::Heat::ScalingPolicy", "properties": {"auto_scaling_group_id": {"get_resource": "asg"}, "adjustment_type": "change_in_capacity", "scaling_adjustment": -1}});
    let group = json!({"type": "OS::Heat::AutoScalingGroup", "properties": {"min_size": 1, "max_size": 3, "desired_capacity": 2, "resource": {"type": "OS::Heat::TestResource"}}});
    let stack = cloud.made("s", json!({"asg": group, "down": down})).await;
    cloud.signal(&stack, "down", json!({})).await.expect(200);
    cloud.settle().await;
    assert_eq!(members(&cloud, &stack, "asg").await, ["member1"]);
}
