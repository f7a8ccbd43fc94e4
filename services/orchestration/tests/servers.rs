//! Servers of stacks that are changed as they are, and those that boot from volumes.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message, path, template};

fn server(more: Value) -> Value {
    let mut properties = json!({"image": "i", "flavor": "tiny"});
    let more = more.as_object().unwrap().clone();
    properties.as_object_mut().unwrap().extend(more);
    properties
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    json!({"server": {"type": "OS::Nova::Server", "properties": properties}})
}

fn only(cloud: &Cloud) -> Value {
    let mut state = cloud.siblings.state();
    let servers: Vec<Value> = state.rows("servers").values().cloned().collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
    servers[0].clone()
}

async fn updated(cloud: &Cloud, stack: &str, more: Value) {
    cloud.updated(stack, server(more)).await;
    let shown = cloud.show(stack).await;
    assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
}

#[tokio::test]
async fn another_flavor_resizes_a_server_that_stays_what_it_is() {
    let cloud = cloud().await;
    let stack = cloud.made("s", server(json!({}))).await;
    let before = only(&cloud);
    updated(&cloud, &stack, json!({"flavor": "large"})).await;
    let now = only(&cloud);
    assert_eq!(
        (&now["id"], &now["flavorRef"]),
        (&before["id"], &json!("large"))
    );
    assert_eq!(now["status"], "ACTIVE");
    // Unless the template says otherwise.
    updated(
        &cloud,
        &stack,
        json!({"flavor_update_policy": "REPLACE", "flavor": "tiny"}),
    )
    .await;
    assert_ne!(only(&cloud)["id"], before["id"]);
}

#[tokio::test]
async fn a_server_that_cannot_be_resized_says_so_and_can_be_updated_again() {
    let cloud = cloud().await;
    let stack = cloud.made("s", server(json!({}))).await;
    let before = only(&cloud);
    cloud
        .siblings
        .state()
        .refuses
        .extend([("resize".to_owned(), "no".to_owned())]);
    cloud
        .updated(&stack, server(json!({"flavor": "large"})))
        .await;
    let shown = cloud.show(&stack).await;
    let why = shown["stack_status_reason"].as_str().unwrap();
    assert!(
        why.contains("Resizing to 'large one' failed, status 'ACTIVE'"),
        "{shown}"
    );
    cloud.siblings.state().refuses.clear();
    updated(&cloud, &stack, json!({"flavor": "large"})).await;
    let now = only(&cloud);
    assert_eq!(
        (&now["id"], &now["flavorRef"]),
        (&before["id"], &json!("large"))
    );
}

#[tokio::test]
async fn image_tags_and_user_data_change_as_their_policies_say() {
    let cloud = cloud().await;
    let image = "00000000-0000-4000-8000-00000000beef";
    let stack = cloud
        .made("s", server(json!({"user_data": "a", "tags": ["x"]})))
        .await;
    let before = only(&cloud);
    let next = json!({"image": image, "tags": ["y"], "user_data": "b", "user_data_update_policy": "IGNORE"});
    updated(&cloud, &stack, next).await;
    let now = only(&cloud);
    assert_eq!(
        (&now["id"], &now["image"]["id"]),
        (&before["id"], &json!(image))
    );
    assert_eq!(now["tags"][0], "y");
    assert_eq!(now["user_data"], before["user_data"]);
    let next = json!({"image": "i", "image_update_policy": "REPLACE"});
    updated(&cloud, &stack, next).await;
    assert_ne!(only(&cloud)["id"], before["id"]);
}

#[tokio::test]
async fn other_networks_are_plugged_into_a_server_that_stays() {
    let cloud = cloud().await;
    let [net, other, port] = [1, 2, 3].map(|n| format!("00000000-0000-4000-8000-0000000000f{n}"));
    let stack = cloud
        .made(
            "s",
            server(json!({"networks": [{"network": net}, {"network": other}]})),
        )
        .await;
    let before = only(&cloud);
    let next = json!([{"network": net}, {"port": port}, {"network": net, "fixed_ip": "10.0.0.9"}]);
    updated(&cloud, &stack, json!({"networks": next})).await;
    let now = only(&cloud);
    assert_eq!(now["id"], before["id"]);
    let plugged = now["interfaces"].as_array().unwrap();
    assert_eq!(plugged.len(), 3, "{plugged:?}");
    assert_eq!(plugged[0]["port_id"], "own-0");
    assert!(
        plugged.iter().any(|nic| nic["port_id"] == port.as_str()),
        "{plugged:?}"
    );
    assert!(
        plugged
            .iter()
            .any(|nic| nic["fixed_ips"][0]["ip_address"] == "10.0.0.9"),
        "{plugged:?}"
    );
}

#[tokio::test]
async fn a_server_boots_from_a_volume_or_has_volumes_from_the_beginning() {
    let cloud = cloud().await;
    let root = json!([{"image": "i", "volume_size": 3, "delete_on_termination": true}]);
    let stack = cloud
        .made(
            "s",
            server(json!({"image": null, "block_device_mapping_v2": root})),
        )
        .await;
    let made = only(&cloud);
    assert_eq!(made.get("imageRef"), None);
    let device = json!({
        "source_type": "image", "destination_type": "volume", "uuid": "an-image", "boot_index": 0,
        "volume_size": 3, "delete_on_termination": true,
    });
    assert_eq!(made["block_device_mapping_v2"], json!([device]));
    cloud.delete(&stack).await;
    let data = json!([{"volume_id": "v", "boot_index": -1}]);
    let stack = cloud
        .made("t", server(json!({"block_device_mapping_v2": data})))
        .await;
    let devices = only(&cloud)["block_device_mapping_v2"].clone();
    assert_eq!(
        (&devices[0]["source_type"], &devices[0]["destination_type"]),
        (&json!("image"), &json!("local"))
    );
    assert_eq!(
        (&devices[1]["uuid"], &devices[1]["boot_index"]),
        (&json!("v"), &json!(-1))
    );
    cloud.delete(&stack).await;
    let older = json!([{"device_name": "vda", "volume_id": "v"}]);
    cloud
        .made(
            "u",
            server(json!({"image": null, "block_device_mapping": older})),
        )
        .await;
    assert_eq!(only(&cloud)["block_device_mapping"], older);
}

#[tokio::test]
async fn what_a_server_cannot_boot_from_is_said_at_once() {
    let cloud = cloud().await;
    for (more, why) in [
        (json!({"image": null}), "Neither image nor bootable volume"),
        (
            json!({"block_device_mapping_v2": [{"volume_id": "v"}]}),
            "Multiple bootable sources",
        ),
        (
            json!({"block_device_mapping_v2": [{"volume_id": "v", "image": "i", "boot_index": 1}]}),
            "exactly one of",
        ),
        (
            json!({"block_device_mapping": [{"device_name": "vda"}], "block_device_mapping_v2": []}),
            "at the same time",
        ),
    ] {
        let body = json!({"stack_name": "s", "template": template(server(more))});
        let answer = cloud
            .member()
            .post(&path("/stacks"), body)
            .await
            .expect(400);
        assert!(message(&answer).contains(why), "{answer:?}");
    }
}

#[tokio::test]
async fn a_volume_is_given_another_type_and_keeps_its_data() {
    let cloud = cloud().await;
    let volume = |more: Value| {
        let mut properties = json!({"size": 1, "volume_type": "slow"});
        properties
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"v": {"type": "OS::Cinder::Volume", "properties": properties}})
    };
    let only = |cloud: &Cloud| {
        cloud.siblings.state().rows["volumes"]
            .values()
            .next()
            .cloned()
            .unwrap()
    };
    let stack = cloud.made("s", volume(json!({}))).await;
    let before = only(&cloud);
    cloud
        .updated(
            &stack,
            volume(json!({"volume_type": "fast", "read_only": true})),
        )
        .await;
    assert_eq!(
        cloud.state(&stack).await,
        "UPDATE_COMPLETE",
        "{}",
        cloud.show(&stack).await
    );
    let now = only(&cloud);
    assert_eq!(
        (&now["id"], &now["volume_type"]),
        (&before["id"], &json!("fast"))
    );
    assert_eq!(now["metadata"]["readonly"], "True");
    cloud
        .siblings
        .state()
        .refuses
        .extend([("retype".to_owned(), "no".to_owned())]);
    cloud
        .updated(&stack, volume(json!({"read_only": true})))
        .await;
    let shown = cloud.show(&stack).await;
    let why = shown["stack_status_reason"].as_str().unwrap();
    assert!(why.contains("could not be given the type slow"), "{shown}");
    cloud.siblings.state().refuses.clear();
    cloud
        .updated(&stack, volume(json!({"read_only": true})))
        .await;
    assert_eq!(only(&cloud)["volume_type"], "slow");
}

#[tokio::test]
async fn a_server_has_the_tags_that_it_was_given_and_no_other() {
    let cloud = cloud().await;
    let stack = cloud.made("s", server(json!({"tags": ["mine"]}))).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    assert_eq!(only(&cloud)["tags"], json!(["mine"]));
    updated(&cloud, &stack, json!({"tags": ["other"]})).await;
    assert_eq!(only(&cloud)["tags"], json!(["other"]));
    // One that was made when the tag by which it is found stayed does not show it.
    let id = only(&cloud)["id"].as_str().unwrap().to_owned();
    let tags = json!(["other", "stack-resource-1"]);
    cloud.siblings.state().rows("servers").get_mut(&id).unwrap()["tags"] = tags;
    let target = path(&format!("/stacks/{stack}/actions"));
    cloud.member().post(&target, json!({"check": null})).await;
    cloud.settle().await;
    let shown = cloud
        .get(&stack, "/resources/server?with_attr=tags")
        .await
        .expect(200);
    assert_eq!(
        shown.json["resource"]["attributes"]["tags"],
        json!(["other"])
    );
}

fn kept() -> Value {
    let mut resources = server(json!({"name": "web"}));
    resources["server"]["deletion_policy"] = json!("Snapshot");
    resources
}

fn images(cloud: &Cloud) -> Vec<Value> {
    let mut state = cloud.siblings.state();
    state.rows("images").values().cloned().collect()
}

#[tokio::test]
async fn an_image_of_a_server_stays_where_that_is_said_and_is_done_before_the_server_goes() {
    let cloud = cloud().await;
    let stack = cloud.made("s", kept()).await;
    let made = only(&cloud);
    cloud
        .siblings
        .state()
        .refuses
        .insert("images".to_owned(), String::new());
    cloud.delete(&stack).await;
    let reason = cloud.show(&stack).await["stack_status_reason"].to_string();
    assert!(
        reason.contains("that was to be kept is deleted"),
        "{reason}"
    );
    assert_eq!(only(&cloud)["id"], made["id"]);
    cloud.siblings.state().refuses.clear();
    cloud.delete(&stack).await;
    cloud.get(&stack, "").await.expect(404);
    assert_eq!(cloud.siblings.count("servers"), 0);
    let images = images(&cloud);
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(
        (&images[0]["instance_uuid"], &images[0]["status"]),
        (&made["id"], &json!("active"))
    );
    let name = images[0]["name"].as_str().unwrap();
    assert!(name.starts_with("s-server-"), "{name}");
}

#[tokio::test]
async fn a_server_of_which_no_image_can_be_made_stays_and_says_why() {
    let cloud = cloud().await;
    let stack = cloud.made("s", kept()).await;
    let why = "Instance boots from a volume, of which no image is made here.";
    cloud
        .siblings
        .state()
        .refuses
        .insert("createImage".to_owned(), why.to_owned());
    cloud.delete(&stack).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "DELETE_FAILED", "{shown}");
    let reason = shown["stack_status_reason"].as_str().unwrap();
    assert!(
        reason.contains("resources.server: No image of server") && reason.contains(why),
        "{shown}"
    );
    assert_eq!(cloud.siblings.count("servers"), 1);
    // Whoever deletes it again does without.
    cloud.delete(&stack).await;
    cloud.get(&stack, "").await.expect(404);
    assert_eq!(
        (cloud.siblings.count("servers"), images(&cloud)),
        (0, vec![])
    );
}

#[tokio::test]
async fn nothing_is_kept_of_a_server_that_never_ran() {
    let cloud = cloud().await;
    let refused = ("servers".to_owned(), "No valid host".to_owned());
    cloud.siblings.state().refuses.extend([refused]);
    let stack = cloud.made("s", kept()).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_FAILED");
    cloud.delete(&stack).await;
    cloud.get(&stack, "").await.expect(404);
    assert_eq!(
        (cloud.siblings.count("servers"), images(&cloud)),
        (0, vec![])
    );
}
