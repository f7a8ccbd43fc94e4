//! Properties that templates from elsewhere have.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud};

/// Makes a stack of one resource `r`, which must succeed.
async fn made(cloud: &Cloud, name: &str, target: &str, properties: Value) -> String {
    let resource = json!({"r": {"type": target, "properties": properties}});
    let stack = cloud.made(name, resource).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    stack
}

fn only(cloud: &Cloud, collection: &str) -> Value {
    let mut state = cloud.siblings.state();
    let rows: Vec<Value> = state.rows(collection).values().cloned().collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

#[tokio::test]
async fn other_user_data_rebuilds_a_server_where_that_is_said() {
    let cloud = cloud().await;
    let server = |data: &str| {
        json!({"image": "i", "flavor": "tiny", "user_data": data, "user_data_format": "SOFTWARE_CONFIG",
            "software_config_transport": "POLL_SERVER_HEAT", "user_data_update_policy": "REBUILD",
            "image_update_policy": "REBUILD_PRESERVE_EPHEMERAL",
            "block_device_mapping_v2": [{"image_id": "i", "volume_size": 1, "volume_type": "fast", "boot_index": 1}]})
    };
    let stack = made(&cloud, "s", "OS::Nova::Server", server("one")).await;
    let before = only(&cloud, "servers");
    assert_eq!(before["block_device_mapping_v2"][1]["volume_type"], "fast");
    let next = json!({"r": {"type": "OS::Nova::Server", "properties": server("two")}});
    cloud.updated(&stack, next).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    let now = only(&cloud, "servers");
    assert_eq!(now["id"], before["id"]);
    assert_eq!(
        (&now["user_data"], &now["preserve_ephemeral"]),
        (&json!("dHdv"), &json!(true))
    );
}

#[tokio::test]
async fn another_password_reaches_the_server_that_is_there() {
    let cloud = cloud().await;
    let server = |password: &str| json!({"image": "i", "flavor": "tiny", "admin_pass": password});
    let stack = made(&cloud, "s", "OS::Nova::Server", server("one")).await;
    let before = only(&cloud, "servers");
    assert_eq!(before["adminPass"], "one");
    let next = json!({"r": {"type": "OS::Nova::Server", "properties": server("two")}});
    cloud.updated(&stack, next).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    let now = only(&cloud, "servers");
    assert_eq!(
        (&now["id"], &now["adminPass"]),
        (&before["id"], &json!("two"))
    );
}

#[tokio::test]
async fn networks_belong_to_whom_they_are_to_and_ports_may_have_no_address() {
    let cloud = cloud().await;
    made(
        &cloud,
        "net",
        "OS::Neutron::Net",
        json!({"tenant_id": "p1"}),
    )
    .await;
    let net = only(&cloud, "networks");
    assert_eq!(net["tenant_id"], "p1");
    let port = json!({"network": net["id"], "no_fixed_ips": true, "replacement_policy": "AUTO"});
    made(&cloud, "port", "OS::Neutron::Port", port).await;
    let port = only(&cloud, "ports");
    assert_eq!(port["fixed_ips"], json!([]));
    assert_eq!(
        (port.get("no_fixed_ips"), port.get("replacement_policy")),
        (None, None)
    );
}

#[tokio::test]
async fn an_administrator_makes_key_pairs_for_others() {
    let cloud = cloud().await;
    let key = json!({"name": "k", "user": "alice"});
    let stack = made(&cloud, "s", "OS::Nova::KeyPair", key).await;
    assert_eq!(only(&cloud, "keypairs")["user_id"], "u1");
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("keypairs"), 0);
    let nobody =
        json!({"r": {"type": "OS::Nova::KeyPair", "properties": {"name": "k", "user": "bob"}}});
    let stack = cloud.made("t", nobody).await;
    let shown = cloud.show(&stack).await;
    let reason = shown["stack_status_reason"].as_str().unwrap();
    assert!(
        reason.contains("The User (bob) could not be found."),
        "{shown}"
    );
}

#[tokio::test]
async fn older_names_and_parts_of_seconds_are_taken() {
    let cloud = cloud().await;
    let random = json!({"sequence": "digits", "length": 40});
    let stack = made(&cloud, "random", "OS::Heat::RandomString", random).await;
    let target = "/resources/r?with_attr=value";
    let shown = cloud.get(&stack, target).await.expect(200);
    let value = shown.json["resource"]["attributes"]["value"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(value.len(), 40);
    assert!(
        value.chars().all(|letter| letter.is_ascii_digit()),
        "{value}"
    );

    let test = json!({"wait_secs": 0.1, "action_wait_secs": {"delete": 0.5}, "attr_wait_secs": 0, "client_name": ""});
    let stack = made(&cloud, "test", "OS::Heat::TestResource", test).await;
    cloud.delete(&stack).await;
    cloud.get(&stack, "").await.expect(404);

    let parts = json!({"group": "script", "parts": [{"config": "#!/bin/sh"}]});
    let stack = made(&cloud, "mime", "OS::Heat::MultipartMime", parts).await;
    let id = cloud.resource(&stack, "r").await["physical_resource_id"].clone();
    let path = crate::kit::path(&format!("/software_configs/{}", id.as_str().unwrap()));
    let shown = cloud.member().get(&path).await.expect(200);
    assert_eq!(shown.json["software_config"]["group"], "script");
    made(
        &cloud,
        "volume",
        "OS::Cinder::Volume",
        json!({"imageRef": "i", "size": 1, "multiattach": false}),
    )
    .await;
    let volume = only(&cloud, "volumes");
    assert_eq!(volume["imageRef"], "an-image");
    assert_eq!(volume.get("multiattach"), None);
}
