//! Policies that say how fast packets pass.

use futures_util::future::join_all;
use nephos_testkit::{Ask, Persona};
use serde_json::{Value, json};

use crate::cloud::{Cloud, create, fault, ids, make, path, refused};

/// A policy of the member's project.
async fn policy(cloud: &Cloud, more: Value) -> String {
    let mut body = json!({"name": "p", "project_id": Persona::Member.project()});
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    make(&cloud.admin(), "policy", body).await
}

fn rules_of(policy: &str) -> String {
    format!("{}/{policy}/bandwidth_limit_rules", path("policy"))
}

/// A rule of a policy; all of it.
async fn rule(cloud: &Cloud, policy: &str, body: Value) -> Value {
    let body = json!({ "bandwidth_limit_rule": body });
    let made = cloud.admin().post(&rules_of(policy), body).await;
    made.expect(201).json["bandwidth_limit_rule"].clone()
}

async fn set(ask: &Ask, kind: &str, id: &str, body: Value) -> Value {
    let target = format!("{}/{id}", path(kind));
    let answer = ask.put(&target, json!({ kind: body })).await.expect(200);
    answer.json[kind].clone()
}

/// What a host is told of how fast the packets of a port pass.
async fn limits(cloud: &Cloud, host: &str, port: &str) -> Value {
    cloud.document(host, "port", port).await["limits"].clone()
}

/// A guest's port of a network on host one.
async fn guest(cloud: &Cloud, network: &str, more: Value) -> String {
    let mut body = json!({"network_id": network, "device_owner": "compute:nova", "device_id": "s",
        "binding:host_id": "one", "project_id": Persona::Member.project()});
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    make(&cloud.admin(), "port", body).await
}

#[tokio::test]
async fn a_policy_has_one_rule_for_each_direction_within_bounds() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin();
    let policy = policy(&cloud, json!({})).await;
    let out = rule(&cloud, &policy, json!({"max_kbps": 1000})).await;
    assert_eq!(out["direction"], "egress");
    assert_eq!(out["max_burst_kbps"], 0);
    let keys: Vec<&String> = out.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
    let try_rule = |body: Value| {
        let body = json!({ "bandwidth_limit_rule": body });
        let (admin, target) = (admin.clone(), rules_of(&policy));
        async move { admin.post(&target, body).await }
    };
    let same = try_rule(json!({"max_kbps": 5, "direction": "egress"})).await;
    assert_eq!(fault(&same.expect(409)), "QoSRulesConflict");
    for (wrong, why) in [
        (json!({"max_kbps": -1}), "'-1' is too small"),
        (json!({"max_kbps": 2_147_483_648_i64}), "is too large"),
        (
            json!({"max_kbps": 1, "direction": "any"}),
            "'any' is not in",
        ),
        (json!({"max_kbps": "much"}), "'much' is not an integer"),
        (json!({"direction": "ingress"}), "'max_kbps' not specified"),
        (json!({"max_kbps": 1, "max_burst_kbps": -1}), "too small"),
    ] {
        let answer = try_rule(wrong).await.expect(400);
        let message = answer.json["NeutronError"]["message"].as_str().unwrap();
        assert!(message.contains(why), "{message}");
    }
    let within = rule(
        &cloud,
        &policy,
        json!({"max_kbps": 2_147_483_647, "direction": "ingress"}),
    )
    .await;
    // Neither can become like the other one.
    let target = format!("{}/{}", rules_of(&policy), within["id"].as_str().unwrap());
    let turned = json!({"bandwidth_limit_rule": {"direction": "egress"}});
    let answer = admin.put(&target, turned).await.expect(409);
    assert_eq!(fault(&answer), "QoSRulesConflict");
    let shown = admin.get(&format!("{}/{policy}", path("policy"))).await;
    let shown = shown.expect(200).json["policy"].clone();
    let of_policy = shown["rules"].as_array().unwrap();
    assert_eq!(of_policy.len(), 2);
    assert_eq!(of_policy[0]["type"], "bandwidth_limit");
    assert_eq!(of_policy[0]["qos_policy_id"], policy.as_str());
    assert_eq!(shown["revision_number"], 3);
    let list = format!("{}?direction=ingress&sort_key=max_kbps", rules_of(&policy));
    let listed = admin.get(&list).await.expect(200).json;
    assert_eq!(listed["bandwidth_limit_rules"], json!([within]));
    let unknown = format!("{}/bandwidth_limit_rules", path("policy") + "/policy");
    let answer = admin.get(&unknown).await.expect(404);
    assert_eq!(fault(&answer), "QosPolicyNotFound");
    admin.delete(&target).await.expect(204);
    assert_eq!(
        fault(&admin.get(&target).await.expect(404)),
        "QosRuleNotFound"
    );
}

#[tokio::test]
async fn a_rule_is_found_by_its_id_alone() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin();
    let policy = policy(&cloud, json!({})).await;
    let rule = rule(&cloud, &policy, json!({"max_kbps": 1000})).await;
    let alias = |id: &str| format!("/v2.0/qos/alias-bandwidth-limit-rules/{id}");
    let target = alias(rule["id"].as_str().unwrap());
    let shown = admin.get(&target).await.expect(200).json;
    assert_eq!(shown["alias_bandwidth_limit_rule"], rule);
    let change = json!({"alias_bandwidth_limit_rule": {"max_kbps": 7}});
    let changed = admin.put(&target, change).await.expect(200).json;
    assert_eq!(changed["alias_bandwidth_limit_rule"]["max_kbps"], 7);
    admin.delete(&target).await.expect(204);
    let gone = admin.get(&target).await.expect(404);
    assert_eq!(fault(&gone), "QosRuleNotFound");
}

#[tokio::test]
async fn there_is_one_type_of_rules_and_its_details_are_for_operators() {
    let cloud = Cloud::new().await;
    let types = cloud.member().get("/v2.0/qos/rule-types").await.expect(200);
    assert_eq!(
        types.json,
        json!({"rule_types": [{"type": "bandwidth_limit"}]})
    );
    let target = "/v2.0/qos/rule-types/bandwidth_limit";
    cloud.member().get(target).await.expect(403);
    let shown = cloud.admin().get(target).await.expect(200).json;
    let driver = &shown["rule_type"]["drivers"][0];
    assert_eq!(driver["supported_parameters"].as_array().unwrap().len(), 3);
    let other = cloud.admin().get("/v2.0/qos/rule-types/dscp_marking").await;
    let none = json!({"rule_type": {"type": "dscp_marking", "drivers": []}});
    assert_eq!(other.expect(200).json, none);
}

#[tokio::test]
async fn a_project_has_one_default_policy_and_its_networks_have_it_unless_they_name_another() {
    let cloud = Cloud::new().await;
    let (admin, member) = (cloud.admin(), cloud.member());
    let first = policy(&cloud, json!({"is_default": true})).await;
    let second = policy(&cloud, json!({})).await;
    let project = Persona::Member.project();
    let body = json!({"project_id": project, "is_default": true});
    let kind = refused(&admin, "policy", body, 409).await;
    assert_eq!(kind, "QoSPolicyDefaultAlreadyExists");
    let target = format!("{}/{second}", path("policy"));
    let change = json!({"policy": {"is_default": true}});
    let answer = admin.put(&target, change).await.expect(409);
    assert_eq!(fault(&answer), "QoSPolicyDefaultAlreadyExists");
    let network = create(&member, "network", json!({})).await;
    assert_eq!(network["qos_policy_id"], first.as_str());
    let named = create(&member, "network", json!({"qos_policy_id": second})).await;
    assert_eq!(named["qos_policy_id"], second.as_str());
    let other = create(&cloud.other(), "network", json!({})).await;
    assert_eq!(other["qos_policy_id"], Value::Null);
    set(&admin, "policy", &first, json!({"is_default": false})).await;
    let network = create(&member, "network", json!({})).await;
    assert_eq!(network["qos_policy_id"], Value::Null);
    let listed = ids(&member, "policy", "is_default=false&sort_key=name").await;
    assert_eq!(listed.len(), 2);
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn a_policy_of_others_is_used_when_it_is_shared_and_stays_shared_while_it_is_used() {
    let cloud = Cloud::new().await;
    let (admin, other) = (cloud.admin(), cloud.other());
    let policy = policy(&cloud, json!({})).await;
    rule(&cloud, &policy, json!({"max_kbps": 1000})).await;
    let body = json!({"qos_policy_id": policy});
    let kind = refused(&other, "network", body.clone(), 404).await;
    assert_eq!(kind, "QosPolicyNotFound");
    let shown = format!("{}/{policy}", path("policy"));
    other.get(&shown).await.expect(404);
    set(&admin, "policy", &policy, json!({"shared": true})).await;
    let seen = other.get(&shown).await.expect(200).json["policy"].clone();
    assert_eq!(seen["shared"], true);
    assert_eq!(seen["rules"].as_array().unwrap().len(), 1);
    let listed = other.get(&rules_of(&policy)).await.expect(200).json;
    assert_eq!(listed["bandwidth_limit_rules"], json!([]));
    other.delete(&shown).await.expect(403);
    let network = make(&other, "network", body.clone()).await;
    let port = make(
        &other,
        "port",
        json!({"network_id": network, "qos_policy_id": policy}),
    )
    .await;
    let unshare = json!({"policy": {"shared": false}});
    let answer = admin.put(&shown, unshare.clone()).await.expect(409);
    assert_eq!(fault(&answer), "RbacPolicyInUse");
    // A grant of its own will do.
    let grant = json!({"object_type": "qos_policy", "object_id": policy, "action": "access_as_shared",
        "target_tenant": Persona::OtherProject.project()});
    let grant = make(&admin, "rbac_policy", grant).await;
    admin.put(&shown, unshare).await.expect(200);
    let grant = format!("{}/{grant}", path("rbac_policy"));
    assert_eq!(
        fault(&admin.delete(&grant).await.expect(409)),
        "RbacPolicyInUse"
    );
    set(&other, "port", &port, json!({"qos_policy_id": null})).await;
    set(&other, "network", &network, json!({"qos_policy_id": null})).await;
    admin.delete(&grant).await.expect(204);
    // What the operator gave, who may not know of it does not take away.
    set(
        &admin,
        "network",
        &network,
        json!({"qos_policy_id": policy}),
    )
    .await;
    let target = format!("{}/{network}", path("network"));
    let taken = json!({"network": {"qos_policy_id": null}});
    let answer = other.put(&target, taken).await.expect(403);
    assert_eq!(fault(&answer), "PolicyRemoveAuthorizationError");
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn a_policy_that_something_has_stays_and_one_that_nothing_has_goes_with_its_rules() {
    let cloud = Cloud::new().await;
    let (admin, member) = (cloud.admin(), cloud.member());
    let policy = policy(&cloud, json!({})).await;
    rule(&cloud, &policy, json!({"max_kbps": 1000})).await;
    let network = make(&member, "network", json!({"qos_policy_id": policy})).await;
    let target = format!("{}/{policy}", path("policy"));
    let answer = admin.delete(&target).await.expect(409);
    assert_eq!(fault(&answer), "QosPolicyInUse");
    let message = answer.json["NeutronError"]["message"].to_string();
    assert!(message.contains(&format!("network {network}")), "{message}");
    set(&member, "network", &network, json!({"qos_policy_id": null})).await;
    let port = make(
        &member,
        "port",
        json!({"network_id": network, "qos_policy_id": policy}),
    )
    .await;
    let message = admin.delete(&target).await.expect(409).json.to_string();
    assert!(message.contains(&format!("port {port}")), "{message}");
    member
        .delete(&format!("/v2.0/ports/{port}"))
        .await
        .expect(204);
    admin.delete(&target).await.expect(204);
    admin.get(&target).await.expect(404);
    let wrong = json!({"network_id": network, "qos_policy_id": policy});
    assert_eq!(
        refused(&member, "port", wrong, 404).await,
        "QosPolicyNotFound"
    );
}

#[tokio::test]
async fn a_host_is_told_the_limits_of_a_ports_own_policy_or_else_of_its_networks() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin();
    cloud.host("one", "192.0.2.1").await;
    let (network, _subnet) = cloud.wired("10.0.0.0/24").await;
    let (own, of_network) = (
        policy(&cloud, json!({})).await,
        policy(&cloud, json!({})).await,
    );
    let egress = rule(&cloud, &of_network, json!({"max_kbps": 1000})).await;
    let port = guest(&cloud, &network, json!({})).await;
    assert_eq!(limits(&cloud, "one", &port).await, Value::Null);
    set(
        &admin,
        "network",
        &network,
        json!({"qos_policy_id": of_network}),
    )
    .await;
    let thousand = json!({"egress": {"kbps": 1000, "burst_kbits": 800}});
    assert_eq!(limits(&cloud, "one", &port).await, thousand);
    let shown = admin.get(&format!("/v2.0/ports/{port}")).await.json["port"].clone();
    assert_eq!(shown["qos_policy_id"], Value::Null);
    assert_eq!(shown["qos_network_policy_id"], of_network.as_str());
    // Its own goes before, even without rules.
    set(&admin, "port", &port, json!({"qos_policy_id": own})).await;
    assert_eq!(limits(&cloud, "one", &port).await, Value::Null);
    rule(
        &cloud,
        &own,
        json!({"max_kbps": 10, "max_burst_kbps": 3, "direction": "ingress"}),
    )
    .await;
    let ten = json!({"ingress": {"kbps": 10, "burst_kbits": 3}});
    assert_eq!(limits(&cloud, "one", &port).await, ten);
    // A port that is made in the network has the network's; a change of a rule reaches both.
    let second = guest(&cloud, &network, json!({})).await;
    assert_eq!(limits(&cloud, "one", &second).await, thousand);
    let target = format!(
        "{}/{}",
        rules_of(&of_network),
        egress["id"].as_str().unwrap()
    );
    let more = json!({"bandwidth_limit_rule": {"max_kbps": 2000}});
    admin.put(&target, more).await.expect(200);
    let two = json!({"egress": {"kbps": 2000, "burst_kbits": 1600}});
    assert_eq!(limits(&cloud, "one", &second).await, two);
    assert_eq!(limits(&cloud, "one", &port).await, ten);
    set(&admin, "port", &port, json!({"qos_policy_id": null})).await;
    assert_eq!(limits(&cloud, "one", &port).await, two);
    admin.delete(&target).await.expect(204);
    for port in [&port, &second] {
        assert_eq!(limits(&cloud, "one", port).await, Value::Null);
    }
    cloud.assert_consistent().await;
}

#[tokio::test]
async fn a_networks_policy_is_not_for_the_legs_of_routers_in_it_but_for_their_gateways() {
    let cloud = Cloud::new().await;
    let (admin, member) = (cloud.admin(), cloud.member());
    cloud.host("one", "192.0.2.1").await;
    let (network, subnet) = cloud.wired("10.0.0.0/24").await;
    let outside = cloud.outside().await;
    let policy = policy(&cloud, json!({})).await;
    rule(&cloud, &policy, json!({"max_kbps": 1000})).await;
    let gateway = json!({"external_gateway_info": {"network_id": outside}});
    let router = make(&member, "router", gateway).await;
    let plug = format!("/v2.0/routers/{router}/add_router_interface");
    let leg = member
        .put(&plug, json!({"subnet_id": subnet}))
        .await
        .expect(200);
    for network in [&network, &outside] {
        set(&admin, "network", network, json!({"qos_policy_id": policy})).await;
    }
    let told = cloud.document("one", "router", &router).await;
    let limits = json!({"egress": {"kbps": 1000, "burst_kbits": 800}});
    assert_eq!(told["gateway"]["leg"]["limits"], limits);
    assert_eq!(told["interfaces"][0]["limits"], Value::Null);
    // Of its own it has one like everybody else.
    let leg = leg.json["port_id"].as_str().unwrap().to_owned();
    set(&admin, "port", &leg, json!({"qos_policy_id": policy})).await;
    let told = cloud.document("one", "router", &router).await;
    assert_eq!(told["interfaces"][0]["limits"], limits);
    rule(
        &cloud,
        &policy,
        json!({"max_kbps": 5, "direction": "ingress"}),
    )
    .await;
    let told = cloud.document("one", "router", &router).await;
    let five = json!({"kbps": 5, "burst_kbits": 4});
    assert_eq!(told["interfaces"][0]["limits"]["ingress"], five);
    assert_eq!(told["gateway"]["leg"]["limits"]["ingress"], five);
}

#[tokio::test]
async fn policies_have_tags_and_are_found_by_them() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin();
    let (first, second) = (
        policy(&cloud, json!({})).await,
        policy(&cloud, json!({})).await,
    );
    let tags = format!("/v2.0/policies/{first}/tags");
    let body = json!({"tags": ["gold"]});
    admin.put(&tags, body.clone()).await.expect(200);
    assert_eq!(admin.get(&tags).await.expect(200).json, body);
    assert_eq!(
        ids(&admin, "policy", "tags=gold").await,
        std::slice::from_ref(&first)
    );
    assert_eq!(ids(&admin, "policy", "not-tags=gold").await, [second]);
    cloud.member().put(&tags, body).await.expect(403);
    let shown = admin.get(&format!("{}/{first}", path("policy"))).await.json;
    assert_eq!(shown["policy"]["tags"], json!(["gold"]));
    assert_eq!(shown["policy"]["revision_number"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_port_that_is_made_while_its_limits_change_has_those_that_stand_in_the_end() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin();
    cloud.host("one", "192.0.2.1").await;
    let policy = policy(&cloud, json!({})).await;
    let rule = rule(&cloud, &policy, json!({"max_kbps": 1})).await;
    let (network, _subnet) = cloud.wired("10.0.0.0/24").await;
    let target = format!("{}/{}", rules_of(&policy), rule["id"].as_str().unwrap());
    for (turn, wanted) in [json!(policy), Value::Null, json!(policy)]
        .into_iter()
        .enumerate()
    {
        let ports = (0..4).map(|_| guest(&cloud, &network, json!({})));
        let kbps = u32::try_from(turn).unwrap() + 2;
        let given = async {
            let body = json!({"bandwidth_limit_rule": {"max_kbps": kbps}});
            admin.put(&target, body).await.expect(200);
            set(
                &admin,
                "network",
                &network,
                json!({"qos_policy_id": wanted}),
            )
            .await;
        };
        let (ports, ()) = tokio::join!(join_all(ports), given);
        let expected = match &wanted {
            Value::Null => Value::Null,
            _policy => json!(kbps),
        };
        for port in &ports {
            let told = limits(&cloud, "one", port).await;
            assert_eq!(told["egress"]["kbps"], expected, "turn {turn}");
        }
    }
    cloud.assert_consistent().await;
}
