//! Every endpoint, asked by every persona, against the member's things.

use std::path::Path;
use std::sync::Arc;

use nephos_network::Network;
use nephos_testkit::{Persona, check_matrix, matrix};
use serde_json::{Value, json};

use crate::cloud::{Cloud, make, path};

const PROJECT: &str = Persona::Member.project();

/// What a call needs: its target and body, made anew for each.
async fn call(cloud: &Cloud, name: &str) -> Option<(String, Value)> {
    let null = Value::Null;
    let (verb, kind) = split(name);
    if let Some(kind) = kind {
        return Some(crud(cloud, verb, kind).await);
    }
    Some(match name {
        "ListVersions" => ("/".into(), null),
        "ListResources" => ("/v2.0".into(), null),
        "ListExtensions" => ("/v2.0/extensions".into(), null),
        "ShowExtension" => ("/v2.0/extensions/router".into(), null),
        "ListAgents" => ("/v2.0/agents".into(), null),
        "ShowAgent" | "DeleteAgent" | "UpdateAgent" => {
            cloud.host("h1", "192.0.2.1").await;
            let agents = cloud.admin().get("/v2.0/agents").await.json;
            let target = format!("/v2.0/agents/{}", agents["agents"][0]["id"].as_str()?);
            (
                target,
                if name == "UpdateAgent" {
                    json!({"agent": {"description": "x"}})
                } else {
                    null
                },
            )
        }
        "ListAgentRouters" => (
            format!("/v2.0/agents/{}/l3-routers", agent(cloud, "L3").await),
            null,
        ),
        "AddAgentRouter" => {
            let router = make(&cloud.member(), "router", json!({})).await;
            let target = format!("/v2.0/agents/{}/l3-routers", agent(cloud, "L3").await);
            (target, json!({"router_id": router}))
        }
        "RemoveAgentRouter" => {
            let router = make(&cloud.member(), "router", json!({})).await;
            let target = format!("/v2.0/agents/{}/l3-routers", agent(cloud, "L3").await);
            cloud
                .admin()
                .post(&target, json!({"router_id": router}))
                .await
                .expect(201);
            (format!("{target}/{router}"), null)
        }
        "ListRouterAgents" => {
            let router = make(&cloud.member(), "router", json!({})).await;
            (format!("/v2.0/routers/{router}/l3-agents"), null)
        }
        "ListAgentNetworks" => (
            format!("/v2.0/agents/{}/dhcp-networks", agent(cloud, "DHCP").await),
            null,
        ),
        "AddAgentNetwork" => {
            let target = format!("/v2.0/agents/{}/dhcp-networks", agent(cloud, "DHCP").await);
            (target, json!({"network_id": cloud.net().await}))
        }
        "RemoveAgentNetwork" => {
            let target = format!("/v2.0/agents/{}/dhcp-networks", agent(cloud, "DHCP").await);
            (format!("{target}/{}", cloud.net().await), null)
        }
        "ListNetworkAgents" => (
            format!("/v2.0/networks/{}/dhcp-agents", cloud.net().await),
            null,
        ),
        "ListAvailabilityZones" => ("/v2.0/availability_zones".into(), null),
        "ListServiceProviders" => ("/v2.0/service-providers".into(), null),
        "ListIpAvailabilities" => ("/v2.0/network-ip-availabilities".into(), null),
        "ShowIpAvailability" => (
            format!("/v2.0/network-ip-availabilities/{}", cloud.net().await),
            null,
        ),
        "ListFloatingIpPools" => ("/v2.0/floatingip_pools".into(), null),
        "PollFeed" => ("/host/v1/feed?host=one&since=0&wait=0".into(), null),
        "ReportObserved" => ("/host/v1/observed?host=one".into(), json!([])),
        "ListQuotas" => ("/v2.0/quotas".into(), null),
        "ShowOwnProject" => ("/v2.0/quotas/project".into(), null),
        "ShowQuota" | "DeleteQuota" => (format!("/v2.0/quotas/{PROJECT}"), null),
        "ShowDefaultQuota" => (format!("/v2.0/quotas/{PROJECT}/default"), null),
        "ShowQuotaDetails" => (format!("/v2.0/quotas/{PROJECT}/details"), null),
        "UpdateQuota" => (
            format!("/v2.0/quotas/{PROJECT}"),
            json!({"quota": {"network": -1}}),
        ),
        "AddRouterInterface" | "RemoveRouterInterface" => {
            let (_, subnet) = cloud.wired("10.0.0.0/24").await;
            let router = make(&cloud.member(), "router", json!({})).await;
            let body = json!({"subnet_id": subnet});
            let add = format!("/v2.0/routers/{router}/add_router_interface");
            if name == "AddRouterInterface" {
                (add, body)
            } else {
                cloud.member().put(&add, body.clone()).await.expect(200);
                (
                    format!("/v2.0/routers/{router}/remove_router_interface"),
                    body,
                )
            }
        }
        "AddExtraRoutes" | "RemoveExtraRoutes" => {
            let router = make(&cloud.member(), "router", json!({})).await;
            let verb = if name == "AddExtraRoutes" {
                "add"
            } else {
                "remove"
            };
            (
                format!("/v2.0/routers/{router}/{verb}_extraroutes"),
                json!({"router": {"routes": []}}),
            )
        }
        "AddPrefixes" | "RemovePrefixes" => {
            let pool = make(
                &cloud.member(),
                "subnetpool",
                body_of(cloud, "subnetpool").await,
            )
            .await;
            let verb = if name == "AddPrefixes" {
                "add"
            } else {
                "remove"
            };
            (
                format!("/v2.0/subnetpools/{pool}/{verb}_prefixes"),
                json!({"prefixes": ["10.9.0.0/16"]}),
            )
        }
        name if name.contains("Qos") || name.contains("Bandwidth") => qos(cloud, name).await,
        "GetSubports" | "AddSubports" | "RemoveSubports" => subports(cloud, name).await,
        _tags => return tags(cloud, name).await,
    })
}

/// A policy of the member's project, which managers make, with a rule.
async fn qos(cloud: &Cloud, name: &str) -> (String, Value) {
    let list = path("policy");
    let policy = make(&cloud.admin(), "policy", json!({"project_id": PROJECT})).await;
    let rules = format!("{list}/{policy}/bandwidth_limit_rules");
    let new = json!({"bandwidth_limit_rule": {"max_kbps": 1000}});
    let rule = cloud.admin().post(&rules, new).await.expect(201).json;
    let rule = rule["bandwidth_limit_rule"]["id"].as_str().unwrap();
    let alias = format!("/v2.0/qos/alias-bandwidth-limit-rules/{rule}");
    let change = json!({"max_kbps": 2000});
    match name {
        "CreateQosPolicies" => (list, json!({"policy": {}})),
        "ListQosPolicies" => (list, Value::Null),
        "UpdateQosPolicy" => (format!("{list}/{policy}"), json!({"policy": {"name": "x"}})),
        "ShowQosPolicy" | "DeleteQosPolicy" => (format!("{list}/{policy}"), Value::Null),
        "ListQosRuleTypes" => ("/v2.0/qos/rule-types".into(), Value::Null),
        "ShowQosRuleType" => ("/v2.0/qos/rule-types/bandwidth_limit".into(), Value::Null),
        "CreateBandwidthRules" => (
            rules,
            json!({"bandwidth_limit_rule": {"max_kbps": 1000, "direction": "ingress"}}),
        ),
        "ListBandwidthRules" => (rules, Value::Null),
        "UpdateBandwidthRule" => (
            format!("{rules}/{rule}"),
            json!({"bandwidth_limit_rule": change}),
        ),
        "UpdateBandwidthRuleAlias" => (alias, json!({"alias_bandwidth_limit_rule": change})),
        "ShowBandwidthRuleAlias" | "DeleteBandwidthRuleAlias" => (alias, Value::Null),
        _one => (format!("{rules}/{rule}"), Value::Null),
    }
}

/// A trunk of the member's, with a subport unless one is to be added.
async fn subports(cloud: &Cloud, name: &str) -> (String, Value) {
    let sub = make(&cloud.member(), "port", body_of(cloud, "port").await).await;
    let parts = json!([{"port_id": sub, "segmentation_type": "vlan", "segmentation_id": 7}]);
    let mut new = body_of(cloud, "trunk").await;
    if name != "AddSubports" {
        new["sub_ports"] = parts.clone();
    }
    let trunk = make(&cloud.member(), "trunk", new).await;
    let target = format!("/v2.0/trunks/{trunk}");
    match name {
        "GetSubports" => (format!("{target}/get_subports"), Value::Null),
        "AddSubports" => (
            format!("{target}/add_subports"),
            json!({"sub_ports": parts}),
        ),
        _remove => (
            format!("{target}/remove_subports"),
            json!({"sub_ports": parts}),
        ),
    }
}

/// An agent of a host that does this job.
async fn agent(cloud: &Cloud, job: &str) -> String {
    cloud.host("h1", "192.0.2.1").await;
    let target = format!("/v2.0/agents?agent_type={job}%20agent");
    let agents = cloud.admin().get(&target).await.expect(200).json;
    agents["agents"][0]["id"].as_str().unwrap().to_owned()
}

async fn tags(cloud: &Cloud, name: &str) -> Option<(String, Value)> {
    let all = format!("/v2.0/networks/{}/tags", cloud.net().await);
    let one = format!("{all}/x");
    cloud.member().put(&one, Value::Null).await.expect(201);
    Some(match name {
        "ListTags" | "RemoveTags" => (all, Value::Null),
        "AddTags" | "ReplaceTags" => (all, json!({"tags": ["y"]})),
        "AddTag" | "CheckTag" | "RemoveTag" => (one, Value::Null),
        _unknown => return None,
    })
}

/// `CreateNetworks` → create, network.
fn split(name: &str) -> (&str, Option<&'static str>) {
    const KINDS: [(&str, &str); 10] = [
        ("Network", "network"),
        ("Subnet", "subnet"),
        ("Port", "port"),
        ("Router", "router"),
        ("FloatingIp", "floatingip"),
        ("SecurityGroup", "security_group"),
        ("SecurityGroupRule", "security_group_rule"),
        ("SubnetPool", "subnetpool"),
        ("AddressScope", "address_scope"),
        ("Trunk", "trunk"),
    ];
    for verb in ["Create", "List", "Show", "Update", "Delete"] {
        let Some(noun) = name.strip_prefix(verb) else {
            continue;
        };
        if let "RbacPolicy" | "RbacPolicies" = noun {
            return (verb, Some("rbac_policy"));
        }
        let kind = KINDS
            .iter()
            .find(|(word, _)| noun == *word || noun.strip_suffix('s') == Some(word));
        return (verb, kind.map(|(_, kind)| *kind));
    }
    ("", None)
}

async fn crud(cloud: &Cloud, verb: &str, kind: &'static str) -> (String, Value) {
    let list = path(kind);
    let new = body_of(cloud, kind).await;
    match verb {
        "Create" => (list, json!({ kind: new })),
        "List" => (list, Value::Null),
        other => {
            let id = make(&cloud.member(), kind, new).await;
            let target = format!("{list}/{id}");
            let change = match kind {
                "floatingip" => json!({"description": "x"}),
                "rbac_policy" => json!({"target_tenant": "55555555555555555555555555555555"}),
                _named => json!({"name": "x"}),
            };
            (
                target,
                if other == "Update" {
                    json!({ kind: change })
                } else {
                    Value::Null
                },
            )
        }
    }
}

async fn body_of(cloud: &Cloud, kind: &str) -> Value {
    match kind {
        "subnet" => {
            json!({"network_id": cloud.net().await, "cidr": "10.0.0.0/24", "ip_version": 4})
        }
        "port" => json!({"network_id": cloud.net().await}),
        "trunk" => {
            let port = json!({"network_id": cloud.net().await});
            json!({"port_id": make(&cloud.member(), "port", port).await})
        }
        "floatingip" => json!({"floating_network_id": outside(cloud).await}),
        "security_group" => json!({"name": "g"}),
        "security_group_rule" => {
            let group = make(&cloud.member(), "security_group", json!({"name": "g"})).await;
            json!({"security_group_id": group, "direction": "ingress", "protocol": "tcp"})
        }
        "subnetpool" => json!({"name": "p", "prefixes": ["10.0.0.0/8"]}),
        "address_scope" => json!({"name": "s", "ip_version": 4}),
        "rbac_policy" => {
            json!({"object_type": "network", "object_id": cloud.net().await, "action": "access_as_shared",
            "target_tenant": "66666666666666666666666666666666"})
        }
        _plain => json!({}),
    }
}

async fn outside(cloud: &Cloud) -> String {
    let found = cloud
        .admin()
        .get("/v2.0/networks?router:external=true")
        .await
        .json;
    match found["networks"][0]["id"].as_str() {
        Some(id) => id.to_owned(),
        None => cloud.outside().await,
    }
}

#[tokio::test]
async fn every_endpoint_for_every_persona() {
    let cloud = Arc::new(Cloud::new().await);
    let unlimited = json!({"quota": {"network": -1, "subnet": -1, "port": -1, "router": -1, "floatingip": -1,
        "security_group": -1, "security_group_rule": -1, "rbac_policy": -1}});
    let table = matrix::<Network, _, _>(&cloud.ask, |name| {
        let (cloud, unlimited) = (Arc::clone(&cloud), unlimited.clone());
        async move {
            for persona in Persona::ALL {
                let target = format!("/v2.0/quotas/{}", persona.project());
                cloud
                    .admin()
                    .put(&target, unlimited.clone())
                    .await
                    .expect(200);
            }
            call(&cloud, name).await
        }
    })
    .await;
    check_matrix(
        &table,
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/matrix.txt"),
    );
    cloud.assert_consistent().await;
}
