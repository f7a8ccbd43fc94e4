//! Every endpoint, asked by every kind of caller.

use std::path::Path;
use std::sync::Arc;

use nephos_load_balancer::LoadBalancing;
use nephos_testkit::{Persona, check_matrix, matrix};
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, id};
use crate::network::SUBNET;

#[tokio::test]
async fn tenants_are_separate() {
    let cloud = Arc::new(cloud().await);
    let target = format!("/v2/lbaas/quotas/{}", Persona::Member.project());
    cloud
        .admin()
        .put(&target, json!({"quota": {"loadbalancer": -1}}))
        .await
        .expect(202);
    let ask = cloud.ask.clone();
    let table = matrix::<LoadBalancing, _, _>(&ask, |endpoint| {
        let cloud = Arc::clone(&cloud);
        async move { fixture(&cloud, endpoint).await }
    })
    .await;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/matrix.txt");
    check_matrix(&table, &golden);
}

/// A fresh thing for each call.
async fn fixture(cloud: &Cloud, endpoint: &'static str) -> Option<(String, Value)> {
    if let Some((target, body)) = plain(endpoint) {
        return Some((target, body));
    }
    let body = json!({"vip_subnet_id": SUBNET, "listeners": [{"protocol": "HTTP", "protocol_port": 80, "l7policies": [
        {"action": "REJECT", "rules": [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]}]}],
        "pools": [{"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": [{"address": "10.0.0.5", "protocol_port": 80}],
        "healthmonitor": {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}}]});
    let made = cloud.make("loadbalancers", "loadbalancer", body).await;
    let lb = id(&made);
    let (listener, pool) = (id(&made["listeners"][0]), id(&made["pools"][0]));
    let policy = &made["listeners"][0]["l7policies"][0];
    let (policy, rule) = (id(policy), id(&policy["rules"][0]));
    let member = id(&made["pools"][0]["members"][0]);
    let monitor = id(&made["pools"][0]["healthmonitor"]);
    let name = json!({"name": "n"});
    let none = Value::Null;
    let (target, body) = match endpoint {
        "ShowBalancer" => (format!("loadbalancers/{lb}"), none),
        "DeleteBalancer" => (format!("loadbalancers/{lb}?cascade=true"), none),
        "UpdateBalancer" => (format!("loadbalancers/{lb}"), json!({"loadbalancer": name})),
        "FailOver" => (format!("loadbalancers/{lb}/failover"), none),
        "ShowBalancerStats" => (format!("loadbalancers/{lb}/stats"), none),
        "ShowBalancerStatus" => (format!("loadbalancers/{lb}/status"), none),
        "ShowBalancerStatuses" => (format!("loadbalancers/{lb}/statuses"), none),
        "CreateListener" => {
            let body = json!({"loadbalancer_id": lb, "protocol": "TCP", "protocol_port": 81});
            ("listeners".to_owned(), json!({"listener": body}))
        }
        "ShowListener" | "DeleteListener" => (format!("listeners/{listener}"), none),
        "UpdateListener" => (format!("listeners/{listener}"), json!({"listener": name})),
        "ShowListenerStats" => (format!("listeners/{listener}/stats"), none),
        "CreatePool" => {
            let body =
                json!({"loadbalancer_id": lb, "protocol": "TCP", "lb_algorithm": "SOURCE_IP"});
            ("pools".to_owned(), json!({"pool": body}))
        }
        "ShowPool" | "DeletePool" => (format!("pools/{pool}"), none),
        "UpdatePool" => (format!("pools/{pool}"), json!({"pool": name})),
        "ListMembers" => (format!("pools/{pool}/members"), none),
        "CreateMember" => {
            let body = json!({"address": "10.0.0.6", "protocol_port": 80});
            (format!("pools/{pool}/members"), json!({"member": body}))
        }
        "ReplaceMembers" => (format!("pools/{pool}/members"), json!({"members": []})),
        "ShowMember" | "DeleteMember" => (format!("pools/{pool}/members/{member}"), none),
        "UpdateMember" => (
            format!("pools/{pool}/members/{member}"),
            json!({"member": name}),
        ),
        "CreateMonitor" => {
            cloud
                .member()
                .delete(&format!("/v2/lbaas/healthmonitors/{monitor}"))
                .await
                .expect(204);
            let body =
                json!({"pool_id": pool, "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1});
            ("healthmonitors".to_owned(), json!({"healthmonitor": body}))
        }
        "ShowMonitor" | "DeleteMonitor" => (format!("healthmonitors/{monitor}"), none),
        "UpdateMonitor" => (
            format!("healthmonitors/{monitor}"),
            json!({"healthmonitor": name}),
        ),
        "CreatePolicy" => {
            let body = json!({"listener_id": listener, "action": "REJECT"});
            ("l7policies".to_owned(), json!({"l7policy": body}))
        }
        "ShowPolicy" | "DeletePolicy" => (format!("l7policies/{policy}"), none),
        "UpdatePolicy" => (format!("l7policies/{policy}"), json!({"l7policy": name})),
        "ListRules" => (format!("l7policies/{policy}/rules"), none),
        "CreateRule" => {
            let body = json!({"type": "PATH", "compare_type": "EQUAL_TO", "value": "/a"});
            (format!("l7policies/{policy}/rules"), json!({"rule": body}))
        }
        "ShowRule" | "DeleteRule" => (format!("l7policies/{policy}/rules/{rule}"), none),
        "UpdateRule" => (
            format!("l7policies/{policy}/rules/{rule}"),
            json!({"rule": {"value": "/b"}}),
        ),
        _unknown => return None,
    };
    Some((format!("/v2/lbaas/{target}"), body))
}

fn plain(endpoint: &str) -> Option<(String, Value)> {
    let project = Persona::Member.project();
    let (target, body) = match endpoint {
        "ListVersions" => ("/".to_owned(), Value::Null),
        "ShowVersion" => ("/v2".to_owned(), Value::Null),
        "HostFeed" => ("/host/v1/feed?host=one".to_owned(), Value::Null),
        "HostObserved" => ("/host/v1/observed?host=one".to_owned(), json!([])),
        "ShowHost" => ("/host/v1/hosts/one".to_owned(), Value::Null),
        "UpdateHost" => {
            let body = json!({"host": {"drained": false}});
            ("/host/v1/hosts/one".to_owned(), body)
        }
        "ListProviders" => ("/v2/lbaas/providers".to_owned(), Value::Null),
        "ListBalancers" => ("/v2/lbaas/loadbalancers".to_owned(), Value::Null),
        "CreateBalancer" => {
            let body = json!({"loadbalancer": {"vip_subnet_id": SUBNET}});
            ("/v2/lbaas/loadbalancers".to_owned(), body)
        }
        "ListListeners" => ("/v2/lbaas/listeners".to_owned(), Value::Null),
        "ListPools" => ("/v2/lbaas/pools".to_owned(), Value::Null),
        "ListMonitors" => ("/v2/lbaas/healthmonitors".to_owned(), Value::Null),
        "ListPolicies" => ("/v2/lbaas/l7policies".to_owned(), Value::Null),
        "ListQuotas" => ("/v2/lbaas/quotas".to_owned(), Value::Null),
        "ShowDefaultQuota" => ("/v2/lbaas/quotas/defaults".to_owned(), Value::Null),
        "ShowQuota" => (format!("/v2/lbaas/quotas/{project}"), Value::Null),
        "UpdateQuota" => (
            format!("/v2/lbaas/quotas/{project}"),
            json!({"quota": {"pool": -1}}),
        ),
        "DeleteQuota" => (
            "/v2/lbaas/quotas/99999999999999999999999999999999".to_owned(),
            Value::Null,
        ),
        _other => return None,
    };
    Some((target, body))
}
