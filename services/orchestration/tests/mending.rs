//! What is not well and how it is mended; deployments; what holds things up.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message, path, template};

fn deployed(config: &str, actions: Value) -> Value {
    json!({
        "config": {"type": "OS::Heat::SoftwareConfig", "properties": {"config": config, "outputs": [{"name": "bad", "error_output": true}]}},
        "deploy": {"type": "OS::Heat::SoftwareDeployment", "properties": {"server": "a-server", "config": {"get_resource": "config"}, "signal_transport": "HEAT_SIGNAL", "actions": actions}},
    })
}

/// What the server is to do, and upon which action.
async fn told(cloud: &Cloud) -> (Value, Value) {
    let target = path("/software_deployments/metadata/a-server");
    let metadata = cloud.member().get(&target).await.expect(200).json;
    let list = cloud
        .member()
        .get(&path("/software_deployments"))
        .await
        .expect(200)
        .json;
    let found = &list["software_deployments"][0];
    (
        metadata["metadata"][0]["config"].clone(),
        found["action"].clone(),
    )
}

#[tokio::test]
async fn an_update_that_comes_during_a_deployment_is_deployed_after_it() {
    let cloud = cloud().await;
    let both = json!(["CREATE", "UPDATE"]);
    let body = json!({"template": template(deployed("one", both.clone()))});
    let stack = cloud.create("s", body).await;
    cloud.settle_for(5).await;
    let body = json!({"template": template(deployed("two", both))});
    cloud.update(&stack, body).await.expect(202);
    cloud.settle_for(5).await;
    cloud
        .signal(&stack, "deploy", json!({"deploy_status_code": 0}))
        .await
        .expect(200);
    cloud.settle_for(5).await;
    assert_eq!(told(&cloud).await, (json!("two"), json!("UPDATE")));
    assert_eq!(cloud.state(&stack).await, "UPDATE_IN_PROGRESS");
    cloud
        .signal(&stack, "deploy", json!({"deploy_status_code": 0}))
        .await
        .expect(200);
    cloud.settle_for(5).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn a_deployment_runs_when_its_stack_sleeps_wakes_and_goes() {
    let cloud = cloud().await;
    let actions = json!(["SUSPEND", "RESUME", "DELETE"]);
    let stack = cloud.made("s", deployed("x", actions.clone())).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    // What was never deployed is not deployed in the end, either.
    let other = cloud.made("other", deployed("x", actions)).await;
    cloud.delete(&other).await;
    cloud.get(&other, "").await.expect(404);
    let target = path(&format!("/stacks/{stack}/actions"));
    for action in ["SUSPEND", "RESUME"] {
        let body = json!({ action.to_ascii_lowercase(): null });
        cloud.member().post(&target, body).await.expect(200);
        cloud.settle_for(5).await;
        assert_eq!(cloud.state(&stack).await, format!("{action}_IN_PROGRESS"));
        assert_eq!(told(&cloud).await.1, action);
        cloud.signal(&stack, "deploy", json!({})).await.expect(200);
        cloud.settle_for(5).await;
        assert_eq!(cloud.state(&stack).await, format!("{action}_COMPLETE"));
    }
    let target = path(&format!("/stacks/{stack}"));
    cloud.member().delete(&target).await.expect(204);
    cloud.settle_for(5).await;
    assert_eq!(told(&cloud).await.1, "DELETE");
    cloud.signal(&stack, "deploy", json!({})).await.expect(200);
    cloud.settle_for(5).await;
    cloud.get(&stack, "").await.expect(404);
    let list = cloud
        .member()
        .get(&path("/software_configs"))
        .await
        .expect(200)
        .json;
    assert_eq!(list["software_configs"], json!([]));
}

#[tokio::test]
async fn an_output_that_says_what_is_wrong_is_the_reason() {
    let cloud = cloud().await;
    let body = json!({"template": template(deployed("x", json!(["CREATE"])))});
    let stack = cloud.create("s", body).await;
    cloud.settle_for(5).await;
    let said = json!({"bad": "oops", "deploy_status_code": 0});
    cloud.signal(&stack, "deploy", said).await.expect(200);
    cloud.settle_for(5).await;
    let shown = cloud.show(&stack).await;
    let reason = shown["stack_status_reason"].as_str().unwrap();
    assert!(
        reason.ends_with("Deployment to server failed: bad : oops"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_group_pauses_between_batches() {
    let cloud = cloud().await;
    let group = |value: &str| {
        let one = json!({"type": "OS::Heat::TestResource", "properties": {"value": value, "action_wait_secs": {"update": 20}}});
        let policy = json!({"rolling_update": {"max_batch_size": 1, "pause_time": 10}});
        json!({"g": {"type": "OS::Heat::ResourceGroup", "update_policy": policy, "properties": {"count": 2, "resource_def": one}}})
    };
    let stack = cloud.made("s", group("a")).await;
    let body = json!({"template": template(group("b"))});
    cloud.update(&stack, body).await.expect(202);
    // Twice 20 s of work with 10 s between.
    cloud.settle_for(46).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_IN_PROGRESS");
    cloud.settle_for(20).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn a_stack_that_sleeps_does_not_scale() {
    let cloud = cloud().await;
    let group = json!({"type": "OS::Heat::AutoScalingGroup", "properties": {"min_size": 1, "max_size": 3, "resource": {"type": "OS::Heat::TestResource"}}});
    let up = json!({"type": "OS::Heat::ScalingPolicy", "properties": {"auto_scaling_group_id": {"get_resource": "g"}, "adjustment_type": "change_in_capacity", "scaling_adjustment": 1}});
    let stack = cloud.made("s", json!({"g": group, "up": up})).await;
    let target = path(&format!("/stacks/{stack}/actions"));
    cloud
        .member()
        .post(&target, json!({"suspend": null}))
        .await
        .expect(200);
    cloud.settle().await;
    let answer = cloud.signal(&stack, "up", json!({})).await.expect(400);
    assert!(message(&answer).contains("Signal resource during SUSPEND is not supported"));
    cloud
        .member()
        .post(&target, json!({"resume": null}))
        .await
        .expect(200);
    cloud.settle().await;
    cloud.signal(&stack, "up", json!({})).await.expect(200);
}

async fn nested(cloud: &Cloud, stack: &str, name: &str) -> String {
    let row = cloud.resource(stack, name).await;
    let id = row["physical_resource_id"].as_str().unwrap();
    let list = cloud
        .member()
        .get(&path("/stacks?show_nested=true"))
        .await
        .expect(200)
        .json;
    let all = list["stacks"].as_array().unwrap();
    let found = all.iter().find(|found| found["id"] == id).unwrap();
    format!("{}/{id}", found["stack_name"].as_str().unwrap())
}

#[tokio::test]
async fn what_is_not_well_in_a_group_is_mended_by_the_update_around_it() {
    let cloud = cloud().await;
    let group = json!({"g": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 2, "resource_def": {"type": "OS::Heat::RandomString"}}}});
    let stack = cloud.made("s", group.clone()).await;
    let child = nested(&cloud, &stack, "g").await;
    let value =
        async |name: &str| cloud.resource(&child, name).await["attributes"]["value"].clone();
    let before = (value("0").await, value("1").await);
    let unhealthy = json!({"mark_unhealthy": true});
    let target = path(&format!("/stacks/{child}/resources/0"));
    cloud
        .member()
        .patch(&target, unhealthy.clone())
        .await
        .expect(200);
    cloud.updated(&stack, group.clone()).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    let after = (value("0").await, value("1").await);
    assert!(
        after.0 != before.0 && after.1 == before.1,
        "{before:?} {after:?}"
    );
    // The group itself: all of it is made anew.
    let target = path(&format!("/stacks/{stack}/resources/g"));
    cloud.member().patch(&target, unhealthy).await.expect(200);
    cloud.updated(&stack, group).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    assert_ne!(nested(&cloud, &stack, "g").await, child);
    cloud.get(&child, "").await.expect(404);
}

#[tokio::test]
async fn what_holds_up_a_removal_is_said() {
    let cloud = cloud().await;
    let stack = cloud
        .made("s", json!({"n": {"type": "OS::Neutron::Net"}}))
        .await;
    let row = cloud.resource(&stack, "n").await;
    let net = row["physical_resource_id"].clone();
    let foreign = json!({"id": "f", "network_id": net});
    cloud
        .siblings
        .state()
        .rows("subnets")
        .insert("f".to_owned(), foreign);
    let target = path(&format!("/stacks/{stack}"));
    cloud.member().delete(&target).await.expect(204);
    cloud.settle_for(30).await;
    let row = cloud.resource(&stack, "n").await;
    assert_eq!(
        row["resource_status_reason"],
        "cannot be removed yet: in use"
    );
    cloud.settle_for(4000).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "DELETE_FAILED");
    assert_eq!(
        shown["stack_status_reason"],
        "Delete timed out: resources.n: cannot be removed yet: in use"
    );
    cloud.siblings.lose("subnets");
    cloud.delete(&stack).await;
    cloud.get(&stack, "").await.expect(404);
}
