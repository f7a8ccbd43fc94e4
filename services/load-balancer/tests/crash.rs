//! Killed at every crash point of every piece of work, a restart reaches the same end.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use nephos_api::Check as _;
use nephos_runtime::crash::{self, Mode};
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud_of};

/// What is left in the end: load balancers and listeners as clients see them, ports, what hosts are told.
async fn end(cloud: &Cloud) -> Value {
    let mut all = Vec::new();
    for kind in ["loadbalancers", "listeners"] {
        let list = cloud.show(kind, kind).await;
        for one in list.as_array().unwrap() {
            all.push(json!([
                one["name"],
                one["provisioning_status"],
                one["operating_status"]
            ]));
        }
    }
    let ports: Vec<Value> = cloud
        .network
        .ports()
        .iter()
        .map(|port| {
            json!([
                port["device_owner"],
                port["binding:host_id"],
                port["fixed_ips"]
            ])
        })
        .collect();
    let told: Vec<usize> = (0..cloud.hosts.len())
        .map(|at| cloud.on(at, |host| host.told.len()))
        .collect();
    json!([all, ports, told])
}

fn cases(points: &[&'static str]) -> Vec<(&'static str, u32)> {
    let mut seen = std::collections::HashMap::new();
    let count = |point: &&'static str| {
        let count = seen.entry(*point).or_insert(0);
        *count += 1;
        (*point, *count)
    };
    points.iter().map(count).collect()
}

async fn check<F, Fut>(at_least: usize, arrange: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Cloud>,
{
    let reference = arrange().await;
    crash::set(Mode::Record);
    reference.settle().await;
    let points = crash::recorded();
    crash::set(Mode::Off);
    assert!(points.len() >= at_least, "{points:?}");
    let expected = end(&reference).await;
    for (name, nth) in cases(&points) {
        let cloud = arrange().await;
        crash::set(Mode::Unwind {
            name: name.to_owned(),
            nth,
        });
        let crashed = AssertUnwindSafe(cloud.settle()).catch_unwind().await;
        crash::set(Mode::Off);
        assert!(crashed.is_err(), "{name} {nth} was not reached");
        // On PostgreSQL the lease of whoever was killed runs out first.
        cloud
            .world
            .clock
            .advance(std::time::Duration::from_secs(10));
        let cloud = cloud.restarted().await;
        cloud.settle().await;
        assert_eq!(end(&cloud).await, expected, "{name} {nth}");
        assert_eq!(cloud.service.check().await.unwrap(), [], "{name} {nth}");
    }
}

fn whole() -> Value {
    json!({"name": "lb", "vip_subnet_id": crate::network::SUBNET, "listeners": [{"name": "l", "protocol": "TCP", "protocol_port": 80,
        "default_pool": {"protocol": "TCP", "lb_algorithm": "SOURCE_IP", "members": [{"address": "10.0.0.5", "protocol_port": 80}]}}]})
}

#[tokio::test]
async fn making_one() {
    check(5, || async {
        let cloud = cloud_of(&["one"]).await;
        cloud.make("loadbalancers", "loadbalancer", whole()).await;
        cloud
    })
    .await;
}

#[tokio::test]
async fn moving_one() {
    check(5, || async {
        let cloud = cloud_of(&["one", "two"]).await;
        let lb = cloud.make("loadbalancers", "loadbalancer", whole()).await;
        cloud.settle().await;
        let target = format!("/v2/lbaas/loadbalancers/{}/failover", crate::kit::id(&lb));
        cloud.admin().put(&target, json!({})).await.expect(202);
        cloud
    })
    .await;
}

#[tokio::test]
async fn mending_one_whose_port_is_lost() {
    check(5, || async {
        let cloud = cloud_of(&["one"]).await;
        let lb = cloud.make("loadbalancers", "loadbalancer", whole()).await;
        cloud.settle().await;
        cloud.network.lose(lb["vip_port_id"].as_str().unwrap());
        let target = format!("/v2/lbaas/loadbalancers/{}", crate::kit::id(&lb));
        cloud
            .member()
            .put(&target, json!({"loadbalancer": {"name": "n"}}))
            .await
            .expect(200);
        cloud
    })
    .await;
}

#[tokio::test]
async fn deleting_one() {
    check(3, || async {
        let cloud = cloud_of(&["one"]).await;
        let lb = cloud.make("loadbalancers", "loadbalancer", whole()).await;
        cloud.settle().await;
        let target = format!(
            "/v2/lbaas/loadbalancers/{}?cascade=true",
            crate::kit::id(&lb)
        );
        cloud.member().delete(&target).await.expect(204);
        cloud
    })
    .await;
}
