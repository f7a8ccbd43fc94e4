//! Types that need little, and those of networks for administrators.

use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, path, template};

fn only(cloud: &Cloud, collection: &str) -> Value {
    let mut state = cloud.siblings.state();
    let rows: Vec<Value> = state.rows(collection).values().cloned().collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

async fn complete(cloud: &Cloud, stack: &str) {
    let shown = cloud.show(stack).await;
    let status = shown["stack_status"].as_str().unwrap();
    assert!(status.ends_with("_COMPLETE"), "{shown}");
}

#[tokio::test]
async fn a_delay_takes_its_time_upon_the_actions_that_it_is_told() {
    let cloud = cloud().await;
    let delay =
        |properties: Value| json!({"d": {"type": "OS::Heat::Delay", "properties": properties}});
    let waits = json!({"min_wait": 90, "max_jitter": 1, "jitter_multiplier": 20.5, "actions": ["CREATE", "DELETE"]});
    let body = json!({"template": template(delay(waits))});
    let stack = cloud.create("s", body).await;
    cloud.settle_for(80).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_IN_PROGRESS");
    cloud.settle_for(130).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    let again = json!({"min_wait": 500, "actions": ["DELETE"]});
    let body = json!({"template": template(delay(again))});
    cloud.update(&stack, body).await.expect(202);
    cloud.settle_for(5).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    let target = path(&format!("/stacks/{stack}"));
    cloud.member().delete(&target).await.expect(204);
    cloud.settle_for(400).await;
    assert_eq!(cloud.state(&stack).await, "DELETE_IN_PROGRESS");
    cloud.settle_for(600).await;
    cloud.get(&stack, "").await.expect(404);
}

#[tokio::test]
async fn a_handle_that_updates_make_anew_has_another_url_and_waits_again() {
    let cloud = cloud().await;
    let resources = json!({
        "h": {"type": "OS::Heat::UpdateWaitConditionHandle"},
        "w": {"type": "OS::Heat::WaitCondition", "properties": {"handle": {"get_resource": "h"}, "timeout": 300}},
    });
    let body = json!({"template": template(resources.clone())});
    let stack = cloud.create("s", body).await;
    cloud.settle_for(5).await;
    let first = cloud.resource(&stack, "h").await;
    assert!(
        first["attributes"]["endpoint"]
            .as_str()
            .unwrap()
            .starts_with("http")
    );
    cloud.signal(&stack, "h", json!({})).await.expect(200);
    cloud.settle_for(60).await;
    assert_eq!(cloud.state(&stack).await, "CREATE_COMPLETE");
    let body = json!({"template": template(resources)});
    cloud.update(&stack, body).await.expect(202);
    cloud.settle_for(60).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_IN_PROGRESS");
    let next = cloud.resource(&stack, "h").await;
    assert_ne!(next["physical_resource_id"], first["physical_resource_id"]);
    // In the way of CloudFormation's clients, without a token.
    let url = next["attributes"]["endpoint"].as_str().unwrap().to_owned();
    let target = url.strip_prefix("http://cloud.test/orchestration").unwrap();
    let said = json!({"Status": "SUCCESS", "UniqueId": "1", "Data": "d", "Reason": "r"});
    cloud.ask.put(target, said).await.expect(200);
    cloud.settle_for(60).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn a_component_is_deployed_upon_the_actions_of_its_configurations() {
    let cloud = cloud().await;
    let component = |update: &str| {
        json!({
            "c": {"type": "OS::Heat::SoftwareComponent", "properties": {"configs": [
                {"actions": ["CREATE"], "config": "one", "tool": "script"},
                {"actions": [update], "config": "two", "tool": "script"},
            ]}},
            "d": {"type": "OS::Heat::SoftwareDeployment", "properties": {
                "config": {"get_resource": "c"}, "server": "a-server", "signal_transport": "NO_SIGNAL", "actions": ["SUSPEND"]}},
        })
    };
    let stack = cloud.made("s", component("DELETE")).await;
    complete(&cloud, &stack).await;
    let shown = cloud
        .get(&stack, "/resources/c?with_attr=configs")
        .await
        .expect(200);
    assert_eq!(
        shown.json["resource"]["attributes"]["configs"][1]["config"],
        "two"
    );
    let target = path("/software_deployments/metadata/a-server");
    let list = cloud.member().get(&target).await.expect(200).json["metadata"].clone();
    assert_eq!(list[0]["group"], "component");
    assert_eq!(list[0]["config"]["configs"][0]["config"], "one");
    let stack = cloud.made("t", component("CREATE")).await;
    let reason = cloud.show(&stack).await["stack_status_reason"].to_string();
    assert!(
        reason.contains("more than one configuration for the same action"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_server_of_somewhere_else_is_deployed_to_like_one_that_the_stack_makes() {
    let cloud = cloud().await;
    let resources = |name: &str, config: &str| {
        json!({
            "server": {"type": "OS::Heat::DeployedServer", "metadata": {"k": "v"}, "properties": {
                "name": name, "software_config_transport": "POLL_SERVER_HEAT"}},
            "config": {"type": "OS::Heat::SoftwareConfig", "properties": {"config": config, "group": "script"}},
            "deploy": {"type": "OS::Heat::SoftwareDeployment", "properties": {
                "config": {"get_resource": "config"}, "server": {"get_resource": "server"}, "signal_transport": "NO_SIGNAL"}},
        })
    };
    let stack = cloud.made("s", resources("metal", "echo 1")).await;
    complete(&cloud, &stack).await;
    let shown = cloud.resource(&stack, "server").await;
    assert_eq!(shown["attributes"]["name"], "metal");
    let metadata = async || {
        let shown = cloud.get(&stack, "/resources/server/metadata").await;
        shown.expect(200).json["metadata"].clone()
    };
    let before = metadata().await;
    assert_eq!(before["k"], "v");
    assert_eq!(before["deployments"][0]["config"], "echo 1", "{before}");
    cloud.updated(&stack, resources("iron", "echo 2")).await;
    complete(&cloud, &stack).await;
    let now = cloud.resource(&stack, "server").await;
    assert_eq!(now["physical_resource_id"], shown["physical_resource_id"]);
    assert_eq!(now["attributes"]["name"], "iron");
    let after = metadata().await;
    assert_eq!(after["deployments"][0]["config"], "echo 2", "{after}");
    cloud.delete(&stack).await;
    cloud.get(&stack, "").await.expect(404);
}

#[tokio::test]
async fn administrators_have_networks_of_their_own_making() {
    let mut cloud = cloud().await;
    let net = json!({"p": {"type": "OS::Neutron::ProviderNet", "properties": {
        "network_type": "vlan", "physical_network": "physnet1", "segmentation_id": 100, "router_external": true, "shared": false}}});
    let body = json!({"stack_name": "s", "template": template(net.clone())});
    cloud
        .member()
        .post(&path("/stacks"), body)
        .await
        .expect(403);
    cloud.who = Persona::Admin;
    let stack = cloud.made("s", net.clone()).await;
    complete(&cloud, &stack).await;
    let made = only(&cloud, "networks");
    let field = |name: &str| made[name].clone();
    assert_eq!(
        [
            field("provider:network_type"),
            field("provider:physical_network"),
            field("provider:segmentation_id"),
            field("router:external")
        ],
        [json!("vlan"), json!("physnet1"), json!("100"), json!(true)]
    );
    assert_eq!(made.get("network_type"), None);
    let mut next = net;
    next["p"]["properties"]
        .as_object_mut()
        .unwrap()
        .remove("segmentation_id");
    cloud.updated(&stack, next).await;
    complete(&cloud, &stack).await;
    assert_eq!(
        only(&cloud, "networks")["provider:segmentation_id"],
        Value::Null
    );
}

#[tokio::test]
async fn subnet_pools_stand_in_address_scopes() {
    let cloud = cloud().await;
    let resources = |name: &str| {
        json!({
            "scope": {"type": "OS::Neutron::AddressScope", "properties": {"name": name}},
            "pool": {"type": "OS::Neutron::SubnetPool", "properties": {
                "prefixes": ["10.0.0.0/16"], "default_prefixlen": 24, "address_scope": {"get_resource": "scope"}, "tags": ["a"]}},
        })
    };
    let stack = cloud.made("s", resources("one")).await;
    complete(&cloud, &stack).await;
    let scope = only(&cloud, "address-scopes");
    assert_eq!(
        (&scope["name"], scope.get("description")),
        (&json!("one"), None)
    );
    let pool = only(&cloud, "subnetpools");
    assert_eq!(
        (&pool["address_scope_id"], &pool["tags"]),
        (&scope["id"], &json!(["a"]))
    );
    cloud.updated(&stack, resources("two")).await;
    complete(&cloud, &stack).await;
    assert_eq!(only(&cloud, "address-scopes")["name"], "two");
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("address-scopes"), 0);
    assert_eq!(cloud.siblings.count("subnetpools"), 0);
}

#[tokio::test]
async fn ports_and_networks_have_policies_that_say_how_fast_packets_pass() {
    let cloud = cloud().await;
    let resources = |kbps: u32, direction: &str, policy: Value| {
        json!({
            "slow": {"type": "OS::Neutron::QoSPolicy", "properties": {"name": "slow", "description": "d"}},
            "rule": {"type": "OS::Neutron::QoSBandwidthLimitRule", "properties": {
                "policy": {"get_resource": "slow"}, "max_kbps": kbps, "direction": direction}},
            "net": {"type": "OS::Neutron::Net", "properties": {"qos_policy": policy}, "depends_on": "slow"},
            "port": {"type": "OS::Neutron::Port", "properties": {"network": {"get_resource": "net"}, "qos_policy": "slow"}},
        })
    };
    let slow = json!({"get_resource": "slow"});
    let stack = cloud.made("s", resources(1000, "egress", slow)).await;
    complete(&cloud, &stack).await;
    let policy = only(&cloud, "policies");
    assert_eq!(policy["description"], "d");
    let made = only(&cloud, "bandwidth_limit_rules");
    assert_eq!(
        (
            &made["max_kbps"],
            &made["max_burst_kbps"],
            &made["direction"],
            &made["qos_policy_id"]
        ),
        (&json!(1000), &json!(0), &json!("egress"), &policy["id"])
    );
    for collection in ["networks", "ports"] {
        assert_eq!(only(&cloud, collection)["qos_policy_id"], policy["id"]);
    }
    let shown = cloud.resource(&stack, "net").await;
    assert_eq!(shown["attributes"]["qos_policy_id"], policy["id"]);
    cloud
        .updated(&stack, resources(2000, "ingress", Value::Null))
        .await;
    complete(&cloud, &stack).await;
    let now = only(&cloud, "bandwidth_limit_rules");
    assert_eq!(
        (&now["id"], &now["max_kbps"], &now["direction"]),
        (&made["id"], &json!(2000), &json!("ingress"))
    );
    assert_eq!(only(&cloud, "networks")["qos_policy_id"], Value::Null);
    // A policy has one rule of a direction, and that of somebody else is not taken over.
    let second = json!({"r": {"type": "OS::Neutron::QoSBandwidthLimitRule", "properties": {
        "policy": "slow", "max_kbps": 5, "direction": "ingress"}}});
    let other = cloud.made("t", second).await;
    let reason = cloud.show(&other).await["stack_status_reason"].to_string();
    assert!(reason.contains("has a rule of this direction"), "{reason}");
    cloud.delete(&other).await;
    assert_eq!(cloud.siblings.count("bandwidth_limit_rules"), 1);
    cloud.delete(&stack).await;
    for collection in ["bandwidth_limit_rules", "policies", "ports", "networks"] {
        assert_eq!(cloud.siblings.count(collection), 0, "{collection}");
    }
}

#[tokio::test]
async fn a_trunk_gets_and_loses_subports_in_place() {
    let cloud = cloud().await;
    let port = |name: &str| json!({"type": "OS::Neutron::Port", "properties": {"network": {"get_resource": "net"}, "name": name}});
    let resources = |name: &str, up: bool, parts: &[(&str, u16)]| {
        let parts: Vec<Value> = parts
            .iter()
            .map(|(port, tag)| json!({"port": {"get_resource": port}, "segmentation_type": "vlan", "segmentation_id": tag}))
            .collect();
        json!({
            "net": {"type": "OS::Neutron::Net"},
            "parent": port("parent"), "a": port("a"), "b": port("b"), "c": port("c"),
            "trunk": {"type": "OS::Neutron::Trunk", "properties": {"name": name, "description": name,
                "port": {"get_resource": "parent"}, "sub_ports": parts, "admin_state_up": up}},
            "shown": {"type": "OS::Heat::Value", "properties": {"value": {"get_attr": ["trunk", "port_id"]}}},
        })
    };
    let tags = |trunk: &Value| {
        let parts = trunk["sub_ports"].as_array().unwrap().iter();
        let mut tags: Vec<u64> = parts
            .map(|one| one["segmentation_id"].as_u64().unwrap())
            .collect();
        tags.sort_unstable();
        tags
    };
    let stack = cloud
        .made("s", resources("one", true, &[("a", 10), ("b", 11)]))
        .await;
    complete(&cloud, &stack).await;
    let made = only(&cloud, "trunks");
    assert_eq!(
        (&made["name"], &made["description"]),
        (&json!("one"), &json!("one"))
    );
    assert_eq!(tags(&made), [10, 11]);
    let shown = cloud.resource(&stack, "shown").await;
    assert_eq!(shown["attributes"]["value"], made["port_id"]);
    // Tags change places, and one goes; then it is switched off with what it is to have.
    for (up, parts) in [
        (true, [("a", 11), ("b", 10)]),
        (false, [("b", 10), ("c", 7)]),
    ] {
        cloud.updated(&stack, resources("two", up, &parts)).await;
        complete(&cloud, &stack).await;
        let now = only(&cloud, "trunks");
        assert_eq!((&now["id"], &now["name"]), (&made["id"], &json!("two")));
        assert_eq!(now["admin_state_up"], up);
        let mut wanted: Vec<u64> = parts.iter().map(|(_, tag)| u64::from(*tag)).collect();
        wanted.sort_unstable();
        assert_eq!(tags(&now), wanted);
    }
    cloud.updated(&stack, resources("three", true, &[])).await;
    complete(&cloud, &stack).await;
    assert_eq!(tags(&only(&cloud, "trunks")), [] as [u64; 0]);
    let port = only(&cloud, "trunks")["port_id"].clone();
    assert_eq!(port, made["port_id"]);
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("trunks"), 0);
}

#[tokio::test]
async fn what_clients_ask_of_types_and_templates() {
    let cloud = cloud().await;
    let ask = cloud.member();
    // `openstack orchestration template validate --ignore-errors 99001`.
    let away = json!({"heat_template_version": "2018-08-31", "parameters": {"p": {"type": "string"}},
        "resources": {"k": {"type": "OS::Barbican::Order", "properties": {"name": {"get_param": "p"}}}}});
    let body = json!({ "template": away });
    ask.post(&path("/validate"), body.clone()).await.expect(400);
    let shown = ask
        .post(&path("/validate?ignore_errors=99001"), body.clone())
        .await
        .expect(200);
    assert_eq!(shown.json["Parameters"]["p"]["Type"], "String");
    let refused = ask
        .post(&path("/validate?ignore_errors=99001,7"), body)
        .await
        .expect(400);
    assert!(crate::kit::message(&refused).contains("Invalid codes in ignore_errors"));
    // python-heatclient's `resource_types.generate_template`.
    let target = path("/resource_types/OS::Heat::TestResource/template?template_type=cfn");
    let shown = ask.get(&target).await.expect(200);
    assert_eq!(
        shown.json["Resources"]["TestResource"]["Type"],
        "OS::Heat::TestResource"
    );

    let mut body = template(json!({"t": {"type": "OS::Heat::TestResource"}}));
    body["parameters"] = json!({"known": {"type": "string", "default": "a"}});
    let stack = cloud.create("s", json!({ "template": body })).await;
    cloud.settle().await;
    // A list is filtered by what lists know.
    cloud.get(&stack, "/resources?bogus=1").await.expect(400);
    let listed = cloud
        .get(&stack, "/resources?name=t&with_detail=true")
        .await
        .expect(200);
    assert_eq!(listed.json["resources"].as_array().unwrap().len(), 1);
    // What the template does not have is left out of an update of what there is.
    let change = json!({"parameters": {"known": "b", "stranger": "c"}});
    let target = path(&format!("/stacks/{stack}"));
    ask.patch(&target, change).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.show(&stack).await["parameters"]["known"], "b");
    let shown = cloud.get(&stack, "/environment").await.expect(200);
    assert_eq!(shown.json["encrypted_param_names"], json!([]));
    let template = json!({"heat_template_version": "rocky"});
    let target = path("/validate");
    let valid = ask.post(&target, json!({ "template": template })).await;
    let valid = valid.expect(200).json;
    let environment = valid["Environment"].as_object().unwrap();
    assert!(!environment.contains_key("encrypted_param_names"));
}

#[tokio::test]
async fn quotas_are_set_and_are_the_defaults_again() {
    let mut cloud = cloud().await;
    for (target, some, left) in [
        (
            "OS::Nova::Quota",
            json!({"cores": 5, "ram": -1}),
            json!({"cores": 6, "ram": 51200}),
        ),
        (
            "OS::Neutron::Quota",
            json!({"network": 5, "port": 7}),
            json!({"network": 6, "port": 500}),
        ),
    ] {
        let resource = |mut limits: Value| {
            limits["project"] = json!("first");
            json!({"q": {"type": target, "properties": limits}})
        };
        cloud.who = Persona::Member;
        let body = json!({"stack_name": "s", "template": template(resource(some.clone()))});
        cloud
            .member()
            .post(&path("/stacks"), body)
            .await
            .expect(403);
        cloud.who = Persona::Admin;
        let stack = cloud.made("s", resource(some.clone())).await;
        complete(&cloud, &stack).await;
        assert_eq!(cloud.siblings.state().rows("limits")["p1"], some);
        let (first, limit) = left.as_object().unwrap().iter().next().unwrap();
        cloud
            .updated(&stack, resource(json!({ first: limit })))
            .await;
        complete(&cloud, &stack).await;
        assert_eq!(cloud.siblings.state().rows("limits")["p1"], left);
        cloud.delete(&stack).await;
        assert_eq!(cloud.siblings.count("limits"), 0);
        let none = cloud.made("t", resource(json!({}))).await;
        let reason = cloud.show(&none).await["stack_status_reason"].to_string();
        assert!(reason.contains("At least one of the following"), "{reason}");
        cloud.delete(&none).await;
    }
}

#[tokio::test]
async fn others_may_use_what_a_policy_says() {
    let cloud = cloud().await;
    let resources = |target: &str| {
        json!({
            "net": {"type": "OS::Neutron::Net", "properties": {"name": "n"}},
            "all": {"type": "OS::Neutron::RBACPolicy", "properties": {
                "object_type": "network", "object_id": {"get_resource": "net"}, "action": "access_as_shared", "target_tenant": target}},
        })
    };
    let stack = cloud.made("s", resources("p1")).await;
    complete(&cloud, &stack).await;
    let made = only(&cloud, "rbac-policies");
    assert_eq!(made["object_id"], only(&cloud, "networks")["id"]);
    cloud.updated(&stack, resources("*")).await;
    complete(&cloud, &stack).await;
    let now = only(&cloud, "rbac-policies");
    assert_eq!(
        (&now["id"], &now["target_tenant"]),
        (&made["id"], &json!("*"))
    );
    // What somebody else has said already is not taken over, nor taken away.
    let mut twice = resources("*")["all"].clone();
    twice["properties"]["object_id"] = json!("n");
    let other = cloud.made("t", json!({ "all": twice })).await;
    let reason = cloud.show(&other).await["stack_status_reason"].to_string();
    assert!(
        reason.contains("There is an RBAC policy that says the same"),
        "{reason}"
    );
    cloud.delete(&other).await;
    assert_eq!(only(&cloud, "rbac-policies")["id"], made["id"]);
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("rbac-policies"), 0);
}

#[tokio::test]
async fn a_chain_has_resources_of_several_types_one_after_another() {
    let cloud = cloud().await;
    let chain = |types: Value| {
        let mut all = template(
            json!({"c": {"type": "OS::Heat::ResourceChain", "properties": {
            "resources": types, "resource_properties": {"value": "x"}}}}),
        );
        all["outputs"] = json!({
            "refs": {"value": {"get_attr": ["c", "refs"]}},
            "all": {"value": {"get_attr": ["c", "attributes", "output"]}},
            "one": {"value": {"get_attr": ["c", "resource.0", "output"]}},
        });
        json!({ "template": all })
    };
    let stack = cloud
        .create(
            "s",
            chain(json!(["OS::Heat::TestResource", "OS::Heat::Value"])),
        )
        .await;
    cloud.settle().await;
    complete(&cloud, &stack).await;
    let shown = cloud.show(&stack).await;
    let outputs = shown["outputs"].as_array().unwrap();
    let value = |key: &str| {
        let mut found = outputs.iter().filter(|output| output["output_key"] == key);
        found.next().unwrap()["output_value"].clone()
    };
    assert_eq!(value("refs").as_array().unwrap().len(), 2, "{shown}");
    assert_eq!(value("one"), "x");
    let child = cloud.resource(&stack, "c").await["physical_resource_id"].clone();
    let list = cloud.get(&stack, "/resources?nested_depth=1").await.json;
    let list = list["resources"].as_array().unwrap();
    let inner: Vec<&Value> = list
        .iter()
        .filter(|row| row["resource_name"] == "0")
        .collect();
    assert_eq!(inner.len(), 1, "{child} {list:?}");
    assert_eq!(inner[0]["required_by"], json!(["1"]));
    let body = chain(json!(["OS::Heat::TestResource"]));
    cloud.update(&stack, body).await.expect(202);
    cloud.settle().await;
    complete(&cloud, &stack).await;
    assert_eq!(
        cloud.show(&stack).await["outputs"][1]["output_value"],
        json!({"0": "x"})
    );
}

#[tokio::test]
async fn what_only_cloud_formation_has_is_refused_by_name_or_does_nothing() {
    let cloud = cloud().await;
    let policy = |name: &str| {
        template(json!({
            "t": {"type": "OS::Heat::TestResource"},
            "p": {"type": "OS::Heat::AccessPolicy", "properties": {"AllowedResources": [name]}},
        }))
    };
    let group = template(json!({"g": {"type": "OS::Heat::InstanceGroup", "properties": {}}}));
    for (template, why) in [
        (policy("other"), "AccessPolicy resource other not in stack"),
        (group, "Service CloudFormation is not available"),
    ] {
        let body = json!({"stack_name": "s", "template": template});
        let answer = cloud.member().post(&path("/stacks"), body).await;
        let answer = answer.expect(400);
        assert!(crate::kit::message(&answer).contains(why), "{answer:?}");
    }
    let stack = cloud.create("s", json!({"template": policy("t")})).await;
    cloud.settle().await;
    complete(&cloud, &stack).await;
}

#[tokio::test]
async fn only_an_update_can_be_asked_to_converge() {
    let cloud = cloud().await;
    for target in ["/stacks", "/stacks/preview"] {
        let body = json!({"stack_name": "s", "template": template(json!({})), "converge": true});
        let answer = cloud.member().post(&path(target), body).await;
        let answer = answer.expect(400);
        assert!(
            crate::kit::message(&answer).contains("only supported in stack update"),
            "{answer:?}"
        );
    }
}
