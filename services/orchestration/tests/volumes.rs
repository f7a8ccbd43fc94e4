//! Volumes of stacks, and the servers that have them.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, template};

fn volume(properties: Value) -> Value {
    json!({"type": "OS::Cinder::Volume", "properties": properties})
}

fn with_server(server: &str, volume: Value) -> Value {
    let server_of =
        || json!({"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny"}});
    json!({
        "one": server_of(), "two": server_of(), "volume": volume,
        "plug": {"type": "OS::Cinder::VolumeAttachment", "properties": {
            "instance_uuid": {"get_resource": server}, "volume_id": {"get_resource": "volume"}, "mountpoint": "/dev/vdb",
        }},
    })
}

fn only(cloud: &Cloud) -> Value {
    let state = cloud.siblings.state();
    let volumes: Vec<&Value> = state.rows["volumes"].values().collect();
    assert_eq!(volumes.len(), 1, "{volumes:?}");
    volumes[0].clone()
}

async fn id(cloud: &Cloud, stack: &str, name: &str) -> String {
    let resource = cloud.resource(stack, name).await;
    resource["physical_resource_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_volume_has_what_the_template_says_and_shows_it() {
    let cloud = cloud().await;
    let mut body = template(json!({"volume": volume(json!({
        "size": 2, "name": "data", "description": "mine", "metadata": {"k": 1}, "volume_type": "fast", "image": "i",
    }))}));
    body["outputs"] = json!({
        "size": {"value": {"get_attr": ["volume", "size"]}}, "name": {"value": {"get_attr": ["volume", "display_name"]}},
        "k": {"value": {"get_attr": ["volume", "metadata_values", "k"]}},
    });
    let stack = cloud.create("s", json!({ "template": body })).await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    let values: Vec<&Value> = shown["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| &output["output_value"])
        .collect();
    assert_eq!(values, [&json!(2), &json!("data"), &json!("1")]);
    let made = only(&cloud);
    assert_eq!(made["description"], "mine");
    assert_eq!(
        (&made["volume_type"], &made["imageRef"]),
        (&json!("fast"), &json!("an-image"))
    );
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("volumes"), 0);
}

#[tokio::test]
async fn a_volume_is_changed_in_place_as_far_as_it_can_be() {
    let cloud = cloud().await;
    let stack = cloud
        .made(
            "s",
            json!({"volume": volume(json!({"size": 1, "description": "d"}))}),
        )
        .await;
    let before = id(&cloud, &stack, "volume").await;
    let wanted = json!({"size": 3, "name": "n", "metadata": {"a": "b"}});
    cloud
        .updated(&stack, json!({ "volume": volume(wanted) }))
        .await;
    let now = only(&cloud);
    assert_eq!(now["id"], before);
    assert_eq!((&now["size"], &now["name"]), (&json!(3), &json!("n")));
    assert_eq!(
        (&now["description"], &now["metadata"]),
        (&json!(""), &json!({"a": "b"}))
    );
    let smaller = template(json!({"volume": volume(json!({"size": 2}))}));
    cloud
        .update(&stack, json!({ "template": smaller }))
        .await
        .expect(202);
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "UPDATE_FAILED");
    let why = shown["stack_status_reason"].as_str().unwrap();
    assert!(why.contains("Shrinking volume is not supported"), "{why}");
}

#[tokio::test]
async fn a_volume_that_cannot_be_made_fails_its_stack_with_its_state() {
    let cloud = cloud().await;
    let refuses = ("volumes".to_owned(), "no".to_owned());
    cloud.siblings.state().refuses.extend([refuses]);
    let body = template(json!({"volume": volume(json!({"size": 1}))}));
    let stack = cloud.create("s", json!({ "template": body })).await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_FAILED");
    let why = shown["stack_status_reason"].as_str().unwrap();
    assert!(why.contains("went to status error"), "{why}");
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("volumes"), 0);
}

#[tokio::test]
async fn a_volume_goes_from_one_server_to_another_and_out_before_both_go() {
    let cloud = cloud().await;
    let data = || volume(json!({"size": 1}));
    let stack = cloud.made("s", with_server("one", data())).await;
    let (one, two) = (
        id(&cloud, &stack, "one").await,
        id(&cloud, &stack, "two").await,
    );
    let plugged = |server: &str| {
        let state = cloud.siblings.state();
        let names: Vec<String> = state.rows["attachments"].keys().cloned().collect();
        names.len() == 1 && names[0].starts_with(server)
    };
    assert!(plugged(&one));
    assert_eq!(only(&cloud)["status"], "in-use");
    cloud.updated(&stack, with_server("two", data())).await;
    assert!(plugged(&two));
    cloud.delete(&stack).await;
    let left: usize = cloud.siblings.picture().values().sum();
    assert_eq!(left, 0);
}

fn kept(policy: Value) -> Value {
    let mut body = template(json!({"volume": volume(json!({"size": 1, "name": "data"}))}));
    body["parameters"] = json!({"policy": {"type": "string", "default": "delete"}});
    body["resources"]["volume"]["deletion_policy"] = policy;
    body
}

#[tokio::test]
async fn a_backup_of_a_volume_stays_where_that_is_said() {
    let cloud = cloud().await;
    let body = kept(json!("snapshot"));
    let stack = cloud.create("s", json!({ "template": body })).await;
    cloud.settle().await;
    let volume = id(&cloud, &stack, "volume").await;
    cloud
        .siblings
        .state()
        .refuses
        .insert("backups".to_owned(), String::new());
    cloud.delete(&stack).await;
    let reason = cloud.show(&stack).await["stack_status_reason"].to_string();
    assert!(reason.contains("went to status error: no room"), "{reason}");
    assert_eq!(cloud.siblings.count("volumes"), 1);
    cloud.siblings.state().refuses.clear();
    cloud.siblings.lose("backups");
    cloud.delete(&stack).await;
    cloud.get(&stack, "").await.expect(404);
    assert_eq!(cloud.siblings.count("volumes"), 0);
    let backups: Vec<Value> = cloud
        .siblings
        .state()
        .rows("backups")
        .values()
        .cloned()
        .collect();
    assert_eq!(backups.len(), 1);
    assert_eq!(
        (&backups[0]["volume_id"], &backups[0]["name"]),
        (&json!(volume), &json!("data"))
    );
}

#[tokio::test]
async fn a_parameter_may_say_what_becomes_of_a_volume() {
    let cloud = cloud().await;
    for (name, policy, left) in [("a", "retain", 1), ("b", "delete", 1)] {
        let body = kept(json!({"get_param": "policy"}));
        let body = json!({"template": body, "parameters": {"policy": policy}});
        let stack = cloud.create(name, body).await;
        cloud.settle().await;
        cloud.delete(&stack).await;
        assert_eq!(cloud.siblings.count("volumes"), left, "{policy}");
    }
    let refused = |template: Value, parameters: Value, words: &'static str| {
        let body = json!({"stack_name": "c", "template": template, "parameters": parameters});
        let ask = cloud.member();
        async move {
            let answer = ask
                .post(&crate::kit::path("/stacks"), body)
                .await
                .expect(400);
            let message = crate::kit::message(&answer).to_owned();
            assert!(message.contains(words), "{message}");
        }
    };
    let by_parameter = kept(json!({"get_param": "policy"}));
    refused(
        by_parameter,
        json!({"policy": "burn"}),
        "Invalid deletion policy",
    )
    .await;
    let by_attribute = kept(json!({"get_attr": ["volume", "size"]}));
    refused(
        by_attribute,
        json!({}),
        "cannot depend on the resource volume",
    )
    .await;
    let mut other = kept(json!("snapshot"));
    other["resources"]["volume"] =
        json!({"type": "OS::Neutron::Net", "deletion_policy": "Snapshot"});
    refused(
        other,
        json!({}),
        "\"Snapshot\" deletion policy not supported",
    )
    .await;
}
