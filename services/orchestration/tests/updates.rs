//! Updating stacks, going back, cancelling, and what an update would do.

use serde_json::{Value, json};

use crate::kit::{cloud, path, template};

#[tokio::test]
async fn an_update_adds_changes_replaces_and_removes() {
    let cloud = cloud().await;
    let net = |name: &str| json!({"type": "OS::Neutron::Net", "properties": {"name": name}});
    let stack = cloud.made("s", json!({
        "kept": net("kept"), "renamed": net("old"), "gone": net("gone"),
        "replaced": {"type": "OS::Neutron::Net", "properties": {"availability_zone_hints": ["a"]}},
    })).await;
    assert_eq!(
        cloud.state(&stack).await,
        "CREATE_COMPLETE",
        "{}",
        cloud.show(&stack).await
    );
    let id = |row: serde_json::Value| row["physical_resource_id"].as_str().unwrap().to_owned();
    let before = (
        id(cloud.resource(&stack, "renamed").await),
        id(cloud.resource(&stack, "replaced").await),
    );
    let next = template(json!({
        "kept": net("kept"), "renamed": net("new"), "added": net("added"),
        "replaced": {"type": "OS::Neutron::Net", "properties": {"availability_zone_hints": ["b"]}},
    }));
    let target = path(&format!("/stacks/{stack}/preview"));
    let preview = cloud
        .member()
        .put(&target, json!({ "template": next }))
        .await
        .expect(200)
        .json;
    let names = |list: &str| {
        preview["resource_changes"][list]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| change["resource_name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("unchanged"), ["kept"]);
    assert_eq!(names("updated"), ["renamed"]);
    assert_eq!(names("replaced"), ["replaced"]);
    assert_eq!(names("added"), ["added"]);
    assert_eq!(names("deleted"), ["gone"]);
    let diff = preview["diff"].as_str().unwrap();
    assert!(
        diff.contains(
            "-/+ replaced (OS::Neutron::Net): availability_zone_hints cannot be changed in place"
        ),
        "{diff}"
    );
    assert!(diff.contains("    name: \"old\" -> \"new\""), "{diff}");
    cloud
        .update(&stack, json!({ "template": next }))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    let after = (
        id(cloud.resource(&stack, "renamed").await),
        id(cloud.resource(&stack, "replaced").await),
    );
    assert_eq!(before.0, after.0);
    assert_ne!(before.1, after.1);
    assert_eq!(cloud.siblings.count("networks"), 4);
    assert_eq!(
        cloud.siblings.state().rows["networks"][&after.0]["name"],
        "new"
    );
}

#[tokio::test]
async fn what_a_patch_does_not_say_stays() {
    let cloud = cloud().await;
    let mut body = template(
        json!({"t": {"type": "OS::Heat::TestResource", "properties": {"value": {"get_param": "a"}}}}),
    );
    body["parameters"] =
        json!({"a": {"type": "string", "default": "x"}, "b": {"type": "string", "default": "y"}});
    body["outputs"] = json!({"o": {"value": {"get_attr": ["t", "output"]}}});
    let stack = cloud
        .create(
            "s",
            json!({"template": body, "parameters": {"a": "1", "b": "2"}, "tags": "t"}),
        )
        .await;
    cloud.settle().await;
    let target = path(&format!("/stacks/{stack}"));
    cloud
        .member()
        .patch(&target, json!({"parameters": {"a": "3"}}))
        .await
        .expect(202);
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["parameters"]["b"], "2");
    assert_eq!(shown["outputs"][0]["output_value"], "3");
    assert_eq!(shown["tags"], json!(["t"]));
    cloud
        .member()
        .patch(&target, json!({"clear_parameters": ["a"]}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.show(&stack).await["outputs"][0]["output_value"], "x");
}

#[tokio::test]
async fn a_failed_update_goes_back_if_it_may_and_can_be_made_again() {
    let cloud = cloud().await;
    let good = json!({"t": {"type": "OS::Heat::TestResource", "properties": {"value": "good"}}});
    let stack = cloud.made("s", good.clone()).await;
    let bad = template(json!({
        "t": {"type": "OS::Heat::TestResource", "properties": {"value": "bad"}},
        "u": {"type": "OS::Heat::TestResource", "properties": {"fail": true}, "depends_on": "t"},
    }));
    cloud
        .update(&stack, json!({"template": bad, "disable_rollback": false}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(
        cloud.state(&stack).await,
        "ROLLBACK_COMPLETE",
        "{}",
        cloud.show(&stack).await
    );
    assert_eq!(
        cloud.resource(&stack, "t").await["attributes"]["output"],
        "good"
    );
    cloud.get(&stack, "/resources/u").await.expect(404);
    cloud
        .update(&stack, json!({"template": bad, "disable_rollback": true}))
        .await
        .expect(202);
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "UPDATE_FAILED");
    assert!(
        shown["stack_status_reason"]
            .as_str()
            .unwrap()
            .contains("resources.u:")
    );
    cloud.updated(&stack, good).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn a_change_that_fails_leaves_a_network_that_can_be_changed_again() {
    let cloud = cloud().await;
    let stack = cloud
        .made("s", json!({"net": {"type": "OS::Neutron::Net"}}))
        .await;
    cloud.siblings.lose("networks");
    cloud
        .updated(
            &stack,
            json!({"net": {"type": "OS::Neutron::Net", "properties": {"name": "x"}}}),
        )
        .await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "UPDATE_FAILED");
    assert!(
        shown["stack_status_reason"]
            .as_str()
            .unwrap()
            .contains("resources.net:"),
        "{shown}"
    );
    // A check says what is wrong, and the next update makes it anew.
    cloud
        .member()
        .post(
            &path(&format!("/stacks/{stack}/actions")),
            json!({"check": null}),
        )
        .await
        .expect(200);
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "CHECK_FAILED");
    cloud
        .updated(
            &stack,
            json!({"net": {"type": "OS::Neutron::Net", "properties": {"name": "x"}}}),
        )
        .await;
    assert_eq!(
        cloud.state(&stack).await,
        "UPDATE_COMPLETE",
        "{}",
        cloud.show(&stack).await
    );
    assert_eq!(cloud.siblings.count("networks"), 1);
}

#[tokio::test]
async fn an_update_is_cancelled_back_or_where_it_is() {
    let cloud = cloud().await;
    let fast = json!({"t": {"type": "OS::Heat::TestResource", "properties": {"value": "a"}}});
    let slow = template(
        json!({"t": {"type": "OS::Heat::TestResource", "properties": {"value": "b", "action_wait_secs": {"update": 500}}}}),
    );
    for (action, end) in [
        ("cancel_update", "ROLLBACK_COMPLETE"),
        ("cancel_without_rollback", "UPDATE_FAILED"),
    ] {
        let stack = cloud.made(&action.replace('_', "-"), fast.clone()).await;
        cloud
            .update(&stack, json!({ "template": slow }))
            .await
            .expect(202);
        cloud.settle_for(5).await;
        assert_eq!(cloud.state(&stack).await, "UPDATE_IN_PROGRESS");
        let target = path(&format!("/stacks/{stack}/actions"));
        cloud
            .member()
            .post(&target, json!({ action: null }))
            .await
            .expect(202);
        cloud.settle_for(100).await;
        assert_eq!(
            cloud.state(&stack).await,
            end,
            "{}",
            cloud.show(&stack).await
        );
        cloud
            .member()
            .post(&target, json!({ action: null }))
            .await
            .expect(400);
    }
}

#[tokio::test]
async fn a_resource_that_somebody_found_wanting_is_replaced() {
    let cloud = cloud().await;
    let resources = json!({"t": {"type": "OS::Heat::RandomString"}});
    let stack = cloud.made("s", resources.clone()).await;
    let value = cloud.resource(&stack, "t").await["attributes"]["value"].clone();
    let target = path(&format!("/stacks/{stack}/resources/t"));
    cloud
        .member()
        .patch(
            &target,
            json!({"mark_unhealthy": true, "resource_status_reason": "it smells"}),
        )
        .await
        .expect(200);
    let row = cloud.resource(&stack, "t").await;
    assert_eq!(row["resource_status"], "CHECK_FAILED");
    assert_eq!(row["resource_status_reason"], "it smells");
    cloud.updated(&stack, resources).await;
    assert_ne!(
        cloud.resource(&stack, "t").await["attributes"]["value"],
        value
    );
}

#[tokio::test]
async fn servers_sleep_and_wake_with_their_stack() {
    let cloud = cloud().await;
    let stack = cloud.made("s", json!({"server": {"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny"}}})).await;
    let target = path(&format!("/stacks/{stack}/actions"));
    for (action, end, status) in [
        ("suspend", "SUSPEND_COMPLETE", "SUSPENDED"),
        ("resume", "RESUME_COMPLETE", "ACTIVE"),
    ] {
        cloud
            .member()
            .post(&target, json!({ action: null }))
            .await
            .expect(200);
        cloud.settle().await;
        assert_eq!(
            cloud.state(&stack).await,
            end,
            "{}",
            cloud.show(&stack).await
        );
        assert_eq!(
            cloud.resource(&stack, "server").await["resource_status"],
            end
        );
        assert_eq!(
            cloud.siblings.state().rows["servers"]
                .values()
                .next()
                .unwrap()["status"],
            status
        );
        if action == "suspend" {
            cloud
                .update(&stack, json!({"template": template(json!({}))}))
                .await
                .expect(400);
        }
    }
    cloud
        .member()
        .post(&target, json!({"explode": null}))
        .await
        .expect(400);
    cloud.member().post(&target, json!({})).await.expect(400);
}

#[tokio::test]
async fn a_preview_shows_no_hidden_parameter() {
    let cloud = cloud().await;
    let mut body = template(
        json!({"t": {"type": "OS::Heat::TestResource", "properties": {"value": {"list_join": ["-", ["a", {"get_param": "secret"}]]}}}}),
    );
    body["parameters"] = json!({"secret": {"type": "string", "hidden": true}});
    let whole = |secret: &str| json!({"template": body, "parameters": {"secret": secret}});
    let stack = cloud.create("s", whole("SECRET1")).await;
    cloud.settle().await;
    let target = path(&format!("/stacks/{stack}/preview"));
    let preview = cloud.member().put(&target, whole("SECRET2")).await;
    let preview = preview.expect(200).json;
    let text = preview.to_string();
    assert!(
        text.contains("******") && !text.contains("SECRET"),
        "{text}"
    );
    assert_eq!(
        preview["resource_changes"]["updated"][0]["resource_name"],
        "t"
    );
}

#[tokio::test]
async fn a_preview_says_what_becomes_of_the_members_of_a_group() {
    let cloud = cloud().await;
    let group = |data: &str| {
        let server = json!({"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny", "user_data": data}});
        json!({"g": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 2, "resource_def": server}}})
    };
    let stack = cloud.made("s", group("a")).await;
    let body = json!({"template": template(group("b"))});
    let target = path(&format!("/stacks/{stack}/preview?show_nested=true"));
    let preview = cloud.member().put(&target, body).await.expect(200).json;
    let replaced = preview["resource_changes"]["replaced"].as_array().unwrap();
    let names: Vec<&Value> = replaced
        .iter()
        .map(|change| &change["resource_name"])
        .collect();
    assert_eq!(names, ["0", "1"], "{preview}");
    assert_ne!(replaced[0]["stack_name"], "s");
    let diff = preview["diff"].as_str().unwrap();
    assert!(
        diff.contains("-/+ g.0 (OS::Nova::Server): user_data cannot be changed in place"),
        "{diff}"
    );
    assert!(
        diff.ends_with("0 to add, 1 to change in place, 2 to replace, 0 to delete, 0 unchanged"),
        "{diff}"
    );
    // Without being asked for, what is inside is no entry of the lists.
    let target = path(&format!("/stacks/{stack}/preview"));
    let body = json!({"template": template(group("b"))});
    let preview = cloud.member().put(&target, body).await.expect(200).json;
    assert_eq!(preview["resource_changes"]["replaced"], json!([]));
    let body = json!({"template": template(group("a"))});
    let preview = cloud.member().put(&target, body).await.expect(200).json;
    assert_eq!(
        preview["resource_changes"]["unchanged"][0]["resource_name"], "g",
        "{preview}"
    );
}
