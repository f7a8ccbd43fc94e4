//! Nics of servers that are more than a network: ports in subnets, floating IPs.

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

fn port_of(cloud: &Cloud, server: &Value, at: usize) -> Value {
    let id = server["interfaces"][at]["port_id"].as_str().unwrap();
    cloud.siblings.state().rows("ports")[id].clone()
}

/// A network with two subnets, floating IPs, and a server with these nics.
fn in_subnets(nics: Value) -> Value {
    let subnet = |cidr: &str| json!({"type": "OS::Neutron::Subnet", "properties": {"network": {"get_resource": "net"}, "cidr": cidr}});
    let floating =
        json!({"type": "OS::Neutron::FloatingIP", "properties": {"floating_network": "public"}});
    let mut all = server(json!({"networks": nics, "security_groups": ["g"]}));
    let more = json!({
        "net": {"type": "OS::Neutron::Net"}, "a": subnet("10.0.0.0/24"), "b": subnet("10.0.1.0/24"),
        "ip": floating, "ip2": floating,
    });
    all.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    all
}

fn of(name: &str) -> Value {
    json!({ "get_resource": name })
}

fn with_public_network_and_group(cloud: &Cloud) {
    let mut state = cloud.siblings.state();
    let public = json!({"id": "p", "name": "public"});
    state.rows("networks").insert("p".to_owned(), public);
    let group = json!({"id": "g1", "name": "g"});
    state.rows("security-groups").insert("g1".to_owned(), group);
}

fn leads_to(cloud: &Cloud) -> Vec<Value> {
    let mut state = cloud.siblings.state();
    let ips = state.rows("floatingips").values();
    ips.map(|ip| ip.get("port_id").cloned().unwrap_or_default())
        .collect()
}

#[tokio::test]
async fn a_nic_in_a_subnet_has_a_port_that_comes_and_goes_with_the_server() {
    let cloud = cloud().await;
    with_public_network_and_group(&cloud);
    let first = json!({"subnet": of("a"), "fixed_ip": "10.0.0.9", "floating_ip": of("ip")});
    let stack = cloud.made("s", in_subnets(json!([first]))).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    let before = only(&cloud);
    let port = port_of(&cloud, &before, 0);
    let subnet = cloud.resource(&stack, "a").await["physical_resource_id"].clone();
    assert_eq!(
        port["fixed_ips"],
        json!([{"subnet_id": subnet, "ip_address": "10.0.0.9"}])
    );
    assert_eq!(port["security_groups"], json!(["g1"]));
    assert_eq!(port["name"], "server-port-0");
    assert!(leads_to(&cloud).contains(&port["id"]));
    // Another subnet: another port, to which another floating IP leads.
    let second = json!({"network": of("net"), "subnet": of("b"), "floating_ip": of("ip2")});
    let next = in_subnets(json!([second]));
    cloud.updated(&stack, next.clone()).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
    let now = only(&cloud);
    assert_eq!(now["id"], before["id"]);
    let port = port_of(&cloud, &now, 0);
    assert_eq!(cloud.siblings.count("ports"), 1);
    let mut ends = leads_to(&cloud);
    ends.sort_by_key(Value::to_string);
    assert_eq!(ends, [port["id"].clone(), Value::Null]);
    // What is the same stays; what is added comes beside it.
    let more = json!([second, {"subnet": of("b")}, {"network": of("net"), "subnet": of("a")}]);
    cloud.updated(&stack, in_subnets(more)).await;
    let now = only(&cloud);
    assert_eq!(now["interfaces"].as_array().unwrap().len(), 3, "{now}");
    assert_eq!(now["interfaces"][0]["port_id"], port["id"]);
    assert_eq!(cloud.siblings.count("ports"), 3);
    cloud.delete(&stack).await;
    for gone in ["ports", "servers", "floatingips", "subnets"] {
        assert_eq!(cloud.siblings.count(gone), 0, "{gone}");
    }
}

#[tokio::test]
async fn a_replaced_server_has_its_floating_ip_again_when_the_update_fails() {
    let cloud = cloud().await;
    with_public_network_and_group(&cloud);
    let nics = json!([{"subnet": of("a"), "floating_ip": of("ip")}]);
    let stack = cloud.made("s", in_subnets(nics.clone())).await;
    let before = only(&cloud);
    let port = port_of(&cloud, &before, 0);
    let mut next = in_subnets(nics);
    next["server"]["properties"]["key_name"] = json!("other");
    next["bad"] = json!({"type": "OS::Heat::TestResource", "properties": {"fail": true}, "depends_on": "server"});
    let body = json!({"template": template(next), "disable_rollback": false});
    cloud.update(&stack, body).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "ROLLBACK_COMPLETE");
    assert_eq!(only(&cloud)["id"], before["id"]);
    assert_eq!(cloud.siblings.count("ports"), 1);
    assert!(leads_to(&cloud).contains(&port["id"]));
}

#[tokio::test]
async fn a_nic_may_say_what_its_port_is_like_and_say_it_otherwise_later() {
    let cloud = cloud().await;
    with_public_network_and_group(&cloud);
    let slow = json!({"id": "the-slow-one", "name": "slow"});
    let place = "the-slow-one".to_owned();
    cloud.siblings.state().rows("policies").insert(place, slow);
    let first = json!({"network": of("net"), "fixed_ip": "10.0.0.8", "floating_ip": of("ip"), "port_extra_properties": {
        "allowed_address_pairs": [{"ip_address": "10.0.0.100"}], "mac_address": "fa:16:3e:00:00:01",
        "value_specs": {"dns_name": "web"}, "qos_policy": "slow",
    }});
    let second =
        json!({"subnet": of("b"), "port_extra_properties": {"port_security_enabled": false}});
    let stack = cloud.made("s", in_subnets(json!([first, second]))).await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    let server = only(&cloud);
    let port = port_of(&cloud, &server, 0);
    assert_eq!(
        [
            &port["fixed_ips"],
            &port["allowed_address_pairs"],
            &port["mac_address"],
            &port["dns_name"]
        ],
        [
            &json!([{"ip_address": "10.0.0.8"}]),
            &json!([{"ip_address": "10.0.0.100"}]),
            &json!("fa:16:3e:00:00:01"),
            &json!("web")
        ]
    );
    assert_eq!(port.get("value_specs"), None, "{port}");
    assert_eq!(port.get("qos_policy"), None, "{port}");
    assert_eq!(port["qos_policy_id"], "the-slow-one");
    assert!(leads_to(&cloud).contains(&port["id"]));
    assert_eq!(port_of(&cloud, &server, 1)["port_security_enabled"], false);
    // What can be changed is changed at the port that is there; the order of the nics does not count.
    let mut next = first.clone();
    let extra = json!({"mac_address": "fa:16:3e:00:00:01", "admin_state_up": false});
    next["port_extra_properties"] = extra;
    cloud
        .updated(&stack, in_subnets(json!([second, next])))
        .await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "UPDATE_COMPLETE", "{shown}");
    let now = port_of(&cloud, &only(&cloud), 0);
    assert_eq!(
        [
            &now["id"],
            &now["admin_state_up"],
            &now["allowed_address_pairs"],
            &now["qos_policy_id"]
        ],
        [&port["id"], &json!(false), &json!([]), &Value::Null]
    );
    assert_eq!(cloud.siblings.count("ports"), 2);
    // What it has from the beginning is had by another port only.
    next["port_extra_properties"]["mac_address"] = json!("fa:16:3e:00:00:02");
    cloud
        .updated(&stack, in_subnets(json!([next, second])))
        .await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    assert_eq!(cloud.siblings.count("ports"), 2);
    let macs: Vec<Value> = cloud.siblings.state().rows["ports"]
        .values()
        .filter_map(|port| port.get("mac_address").cloned())
        .collect();
    assert_eq!(macs, [json!("fa:16:3e:00:00:02")]);
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("ports"), 0);
}

#[tokio::test]
async fn a_subnet_of_another_network_fails_the_server_and_leaves_nothing() {
    let cloud = cloud().await;
    with_public_network_and_group(&cloud);
    let nics = json!([{"network": "public", "subnet": of("a")}]);
    let stack = cloud.made("s", in_subnets(nics)).await;
    let shown = cloud.show(&stack).await;
    let why = shown["stack_status_reason"].as_str().unwrap();
    assert!(why.contains("does not belong to network public"), "{shown}");
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("ports"), 0);
}

#[tokio::test]
async fn a_nic_that_says_nothing_or_too_much_is_refused_at_once() {
    let cloud = cloud().await;
    for (nic, why) in [
        (json!({}), "One of the properties"),
        (
            json!({"allocate_network": "auto", "tag": "x"}),
            "other keys of networks",
        ),
        (
            json!({"port": "p", "fixed_ip": "10.0.0.1"}),
            "at the same time",
        ),
        (
            json!({"network": "n", "floating_ip": "f"}),
            "port can not be retrieved",
        ),
        (
            json!({"subnet": "n", "port_extra_properties": {"no_fixed_ips": true}}),
            "no_fixed_ips",
        ),
        (
            json!({"network": "n", "port_extra_properties": {"colour": "q"}}),
            "Unknown Property colour",
        ),
    ] {
        let body =
            json!({"stack_name": "s", "template": template(server(json!({"networks": [nic]})))});
        let answer = cloud.member().post(&path("/stacks"), body).await;
        let answer = answer.expect(400);
        assert!(message(&answer).contains(why), "{answer:?}");
    }
}
