//! Things of siblings: made in the caller's name, found again, removed.

use serde_json::{Value, json};

use crate::kit::{cloud, path, template};

fn network() -> Value {
    json!({
        "net": {"type": "OS::Neutron::Net", "properties": {"name": "n", "description": "mine", "tags": ["a"]}},
        "sub": {"type": "OS::Neutron::Subnet", "properties": {"network": {"get_resource": "net"}, "cidr": "10.0.0.0/24"}},
        "router": {"type": "OS::Neutron::Router"},
        "leg": {"type": "OS::Neutron::RouterInterface", "properties": {"router": {"get_resource": "router"}, "subnet": {"get_resource": "sub"}}},
        "group": {"type": "OS::Neutron::SecurityGroup", "properties": {"rules": [{"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}, {"remote_mode": "remote_group_id"}]}},
        "port": {"type": "OS::Neutron::Port", "properties": {"network": {"get_resource": "net"}, "security_groups": [{"get_resource": "group"}], "fixed_ips": [{"subnet": {"get_resource": "sub"}}]}},
        "key": {"type": "OS::Nova::KeyPair", "properties": {"name": "k", "save_private_key": true}},
        "server": {"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "small one", "key_name": {"get_resource": "key"}, "networks": [{"port": {"get_resource": "port"}}], "user_data": {"get_resource": "init"}}},
        "init": {"type": "OS::Heat::CloudConfig", "properties": {"cloud_config": {"packages": ["x"]}}},
        "address": {"type": "OS::Neutron::FloatingIP", "properties": {"floating_network": "00000000-0000-4000-8000-00000000beef"}},
        "link": {"type": "OS::Neutron::FloatingIPAssociation", "properties": {"floatingip_id": {"get_resource": "address"}, "port_id": {"get_resource": "port"}}},
    })
}

#[tokio::test]
async fn a_whole_network_with_a_server_is_made_and_goes() {
    let cloud = cloud().await;
    let mut body = template(network());
    body["outputs"] = json!({
        "address": {"value": {"get_attr": ["address", "floating_ip_address"]}}, "first": {"value": {"get_attr": ["server", "first_address"]}},
        "nets": {"value": {"get_attr": ["server", "networks", "net"]}}, "private": {"value": {"get_attr": ["key", "private_key"]}},
    });
    let stack = cloud.create("s", json!({ "template": body })).await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    let values: Vec<Value> = shown["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| output["output_value"].clone())
        .collect();
    assert_eq!(
        values,
        [
            json!("198.51.100.7"),
            json!("10.0.0.5"),
            json!(["10.0.0.5"]),
            json!("-----BEGIN")
        ]
    );
    {
        let state = cloud.siblings.state();
        let net = state.rows["networks"].values().next().unwrap();
        assert_eq!(
            (net["description"].as_str().unwrap(), &net["tags"]),
            ("mine", &json!(["a"]))
        );
        let server = state.rows["servers"].values().next().unwrap();
        assert_eq!(server["flavorRef"], "tiny");
        assert!(
            server["user_data"]
                .as_str()
                .unwrap()
                .starts_with("I2Nsb3VkLWNvbmZpZ"),
            "{server}"
        );
        assert_eq!(state.rows["security-group-rules"].len(), 4);
        assert_eq!(state.trusts.len(), 1);
    }
    cloud.delete(&stack).await;
    cloud.get(&stack, "").await.expect(404);
    let left: Vec<String> = cloud
        .siblings
        .picture()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, _)| name)
        .collect();
    // Rules go with their group in the real service.
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_sibling_refuses_is_the_reason() {
    let cloud = cloud().await;
    cloud.siblings.state().refuses.insert(
        "networks".to_owned(),
        "Quota exceeded for resources: ['network'].".to_owned(),
    );
    let stack = cloud
        .made("s", json!({"net": {"type": "OS::Neutron::Net"}}))
        .await;
    let reason = cloud.show(&stack).await["stack_status_reason"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(reason.contains("resources.net: Quota exceeded for resources: ['network']. (HTTP 409 of the network service)"), "{reason}");
    cloud.siblings.state().refuses.clear();
    cloud
        .updated(&stack, json!({"net": {"type": "OS::Neutron::Net"}}))
        .await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    assert_eq!(cloud.siblings.count("networks"), 1);
}

#[tokio::test]
async fn a_server_that_does_not_come_up_fails_with_its_fault_and_goes_with_the_stack() {
    let cloud = cloud().await;
    cloud
        .siblings
        .state()
        .refuses
        .insert("servers".to_owned(), "No valid host was found.".to_owned());
    let stack = cloud.made("s", json!({"server": {"type": "OS::Nova::Server", "properties": {"image": "i", "flavor": "tiny"}}})).await;
    let reason = cloud.show(&stack).await["stack_status_reason"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        reason.contains(
            "resources.server: Went to status ERROR due to \"Message: No valid host was found.\""
        ),
        "{reason}"
    );
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("servers"), 0);
}

#[tokio::test]
async fn a_stack_whose_user_lends_nothing_any_more_is_deleted_by_whoever_deletes_it() {
    let cloud = cloud().await;
    let stack = cloud
        .made("s", json!({"net": {"type": "OS::Neutron::Net"}}))
        .await;
    cloud.siblings.state().broken = true;
    cloud
        .world
        .clock
        .advance(std::time::Duration::from_secs(10 * 365 * 24 * 3600));
    let manager = cloud.ask.as_persona(nephos_testkit::Persona::Manager);
    manager
        .delete(&path(&format!("/stacks/{stack}")))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.get(&stack, "").await.expect(404);
    assert_eq!(cloud.siblings.count("networks"), 0);
}

#[tokio::test]
async fn what_is_retained_or_only_used_stays() {
    let cloud = cloud().await;
    let first = cloud
        .made(
            "first",
            json!({"net": {"type": "OS::Neutron::Net", "deletion_policy": "retain"}}),
        )
        .await;
    let id = cloud.resource(&first, "net").await["physical_resource_id"].clone();
    let second = cloud
        .made(
            "second",
            json!({"net": {"type": "OS::Neutron::Net", "external_id": id}}),
        )
        .await;
    assert_eq!(
        cloud.state(&second).await,
        "CREATE_COMPLETE",
        "{}",
        cloud.show(&second).await
    );
    assert_eq!(
        cloud.resource(&second, "net").await["physical_resource_id"],
        id
    );
    cloud.delete(&second).await;
    cloud.delete(&first).await;
    assert_eq!(cloud.siblings.count("networks"), 1);
}
