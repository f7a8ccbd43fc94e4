//! Requests that come together: none is lost, none brings back what goes, and the later one stands as a whole.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::kit::{cloud, path, template};

/// Resources that say this, and one output with all that they say.
fn saying(word: &str, count: usize) -> Value {
    let name = |number: usize| format!("t{number}");
    let resources: serde_json::Map<String, Value> = (0..count)
        .map(|number| {
            let kind = "OS::Heat::TestResource";
            let resource = json!({"type": kind, "properties": {"value": word}});
            (name(number), resource)
        })
        .collect();
    let words: Vec<Value> = (0..count)
        .map(|number| json!({"get_attr": [name(number), "output"]}))
        .collect();
    let mut whole = template(Value::Object(resources));
    whole["outputs"] = json!({"said": {"value": words}});
    whole
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stack_whose_deletion_was_accepted_goes_whatever_comes_with_it() {
    let cloud = cloud().await;
    for what in ["update", "patch", "suspend", "resume", "check"] {
        for round in 0..6 {
            let name = format!("{what}{round}");
            let body = json!({ "template": saying("first", 2) });
            let stack = cloud.create(&name, body).await;
            cloud.settle().await;
            let target = path(&format!("/stacks/{stack}"));
            let actions = format!("{target}/actions");
            let member = cloud.member();
            if what == "resume" {
                let body = json!({"suspend": null});
                member.post(&actions, body).await.expect(200);
                cloud.settle().await;
            }
            let other = async {
                let next = json!({ "template": saying("second", 2) });
                match what {
                    "update" => member.put(&target, next).await,
                    "patch" => member.patch(&target, next).await,
                    action => member.post(&actions, json!({ action: null })).await,
                }
            };
            let (deleted, other) = tokio::join!(member.delete(&target), other);
            deleted.expect(204);
            assert!(
                matches!(other.status, 200 | 202 | 400 | 404 | 409),
                "{what}: {other:?}"
            );
            cloud.settle().await;
            member.get(&target).await.expect(404);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_updates_that_come_together_one_stands_as_a_whole() {
    let cloud = cloud().await;
    for round in 0..4 {
        let body = json!({ "template": saying("first", 3) });
        let stack = cloud.create(&format!("s{round}"), body).await;
        cloud.settle().await;
        let updates = (0..4).map(|number| {
            let next = saying(&format!("update {number}"), 3);
            cloud.update(&stack, json!({ "template": next }))
        });
        let worker = cloud.orchestration.worker();
        let (updates, _) = tokio::join!(join_all(updates), worker.drain());
        for update in updates {
            update.expect(202);
        }
        cloud.settle().await;
        assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
        let kept = cloud.get(&stack, "/template").await.expect(200).json;
        let word = &kept["resources"]["t0"]["properties"]["value"];
        let said = cloud.show(&stack).await["outputs"][0]["output_value"].clone();
        assert_eq!(said, json!([word, word, word]));
        // Each update was one: the stack says so.
        let events = cloud.get(&stack, "/events").await.expect(200).json;
        let started = |event: &&Value| event["resource_status_reason"] == "Stack UPDATE started";
        let events = events["events"].as_array().unwrap();
        assert_eq!(events.iter().filter(started).count(), 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn signals_that_come_together_all_count() {
    let cloud = cloud().await;
    let resources = json!({
        "handle": {"type": "OS::Heat::WaitConditionHandle"},
        "wait": {"type": "OS::Heat::WaitCondition", "properties": {"handle": {"get_resource": "handle"}, "timeout": 300, "count": 9}},
    });
    let stack = cloud
        .create("s", json!({ "template": template(resources) }))
        .await;
    cloud.settle_for(10).await;
    // One that has the name which another would be given.
    let named = json!({"id": "3", "data": "named"});
    cloud.signal(&stack, "handle", named).await.expect(200);
    let signals = (0..8).map(|number| {
        let body = json!({"status": "SUCCESS", "data": number});
        cloud.signal(&stack, "handle", body)
    });
    for signal in join_all(signals).await {
        signal.expect(200);
    }
    cloud.settle_for(30).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    let wait = cloud.resource(&stack, "wait").await;
    let data = wait["attributes"]["data"].as_str().unwrap();
    let data: serde_json::Map<String, Value> = serde_json::from_str(data).unwrap();
    assert_eq!(data.len(), 9, "{data:?}");
    assert_eq!(data["3"], "named");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_servers_say_of_a_deployment_at_once_is_all_kept() {
    let cloud = cloud().await;
    let resources = json!({
        "config": {"type": "OS::Heat::SoftwareConfig", "properties": {"config": "x"}},
        "deploy": {"type": "OS::Heat::SoftwareDeployment", "properties": {"server": "a-server", "config": {"get_resource": "config"}, "signal_transport": "HEAT_SIGNAL"}},
    });
    let stack = cloud
        .create("s", json!({ "template": template(resources) }))
        .await;
    cloud.settle_for(10).await;
    let signals = (0..6).map(|number| {
        let body = json!({format!("said{number}"): "x"});
        cloud.signal(&stack, "deploy", body)
    });
    for signal in join_all(signals).await {
        signal.expect(200);
    }
    let target = path("/software_deployments");
    let found = cloud.member().get(&target).await.expect(200).json;
    let values = &found["software_deployments"][0]["output_values"];
    for number in 0..6 {
        assert_eq!(values[format!("said{number}")], "x", "{values}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_group_that_is_told_to_grow_twice_at_once_grows_once() {
    let cloud = cloud().await;
    let policy = json!({"type": "OS::Heat::ScalingPolicy", "properties": {"auto_scaling_group_id": {"get_resource": "asg"}, "adjustment_type": "change_in_capacity", "scaling_adjustment": 1, "cooldown": 60}});
    let group = json!({"type": "OS::Heat::AutoScalingGroup", "properties": {"min_size": 1, "max_size": 9, "resource": {"type": "OS::Heat::TestResource"}}});
    let stack = cloud.made("s", json!({"asg": group, "up": policy})).await;
    let signals = (0..4).map(|_| cloud.signal(&stack, "up", json!({})));
    let mut statuses: Vec<u16> = join_all(signals)
        .await
        .iter()
        .map(|answer| answer.status)
        .collect();
    statuses.sort_unstable();
    // Whoever looks while it grows is told so; whoever looks after it was told so, that there is nothing to do.
    assert_eq!(statuses[0], 200, "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [200, 409].contains(status)),
        "{statuses:?}"
    );
    cloud.settle().await;
    let shown = cloud.resource(&stack, "asg").await;
    assert_eq!(shown["attributes"]["current_size"], 2);
}

#[tokio::test]
async fn a_structured_configuration_takes_its_inputs() {
    let cloud = cloud().await;
    let config = json!({"packages": [{"get_input": "name"}], "port": {"get_input": "port"}, "none": {"get_input": "none"}});
    let all = |validate: &str| {
        json!({
            "config": {"type": "OS::Heat::StructuredConfig", "properties": {"group": "hiera", "config": config, "inputs": [{"name": "port", "type": "Number", "default": 80}]}},
            "deploy": {"type": "OS::Heat::StructuredDeployments", "properties": {"servers": {"0": "a-server"}, "config": {"get_resource": "config"}, "input_values": {"name": "web"}, "signal_transport": "NO_SIGNAL", "input_values_validate": validate}},
        })
    };
    let stack = cloud.made("s", all("LAX")).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    let target = path("/software_deployments/metadata/a-server");
    let listed = cloud.member().get(&target).await.expect(200).json;
    assert_eq!(
        listed["metadata"][0]["config"],
        json!({"packages": ["web"], "port": 80, "none": null})
    );
    let strict = cloud.made("strict", all("STRICT")).await;
    let shown = cloud.show(&strict).await;
    assert_eq!(shown["stack_status"], "CREATE_FAILED");
    let why = shown["stack_status_reason"].as_str().unwrap();
    assert!(
        why.contains("The Parameter (none) was not provided"),
        "{why}"
    );
}
