//! Killed at every point of the work behind requests, it reaches the same end.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use nephos_runtime::crash::{self, Mode};
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::cloud::{Cloud, make};

/// Two hosts with a port each, and a router that waits for a home: all that is left to do is behind the requests.
async fn prepared() -> (Cloud, String, String) {
    let cloud = Cloud::new().await;
    let (network, subnet) = cloud.wired("10.0.0.0/24").await;
    let router = make(&cloud.member(), "router", json!({})).await;
    let add = format!("/v2.0/routers/{router}/add_router_interface");
    cloud
        .member()
        .put(&add, json!({"subnet_id": subnet}))
        .await
        .expect(200);
    for (host, vtep) in [("h1", "192.0.2.1"), ("h2", "192.0.2.2")] {
        let report = json!([{"kind": "host", "id": host, "generation_seen": 0, "state": "up", "at": "2026-01-02T03:04:05Z",
            "detail": {"host": host, "vtep": vtep}}]);
        cloud.observed(host, report).await;
        let port = json!({"network_id": network, "project_id": Persona::Member.project(), "binding:host_id": host});
        make(&cloud.service(), "port", port).await;
    }
    (cloud, network, router)
}

/// What both hosts are told in the end, without what is random.
async fn end(cloud: &Cloud, network: &str, router: &str) -> Vec<(usize, bool)> {
    let mut end = Vec::new();
    for host in ["h1", "h2"] {
        let net = cloud.document(host, "network", network).await;
        let routed = cloud.document(host, "router", router).await != Value::Null;
        end.push((net["remote"].as_array().unwrap().len(), routed));
    }
    end
}

#[tokio::test]
async fn killed_anywhere_hosts_are_told_the_same_in_the_end() {
    let (cloud, network, router) = prepared().await;
    crash::set(Mode::Record);
    cloud.network.settle().await.unwrap();
    let points = crash::recorded();
    crash::set(Mode::Off);
    let expected = end(&cloud, &network, &router).await;
    assert!(points.len() >= 5, "{points:?}");
    assert_eq!(expected.iter().filter(|(_, routed)| *routed).count(), 1);
    let mut hits = std::collections::HashMap::new();
    for name in points {
        let nth = hits.entry(name).and_modify(|n| *n += 1).or_insert(1);
        let (cloud, network, router) = prepared().await;
        crash::set(Mode::Unwind {
            name: name.to_owned(),
            nth: *nth,
        });
        let killed = AssertUnwindSafe(cloud.network.settle())
            .catch_unwind()
            .await;
        crash::set(Mode::Off);
        assert!(killed.is_err(), "{name} was not reached again");
        assert_eq!(end(&cloud, &network, &router).await, expected, "{name}");
        cloud.assert_consistent().await;
    }
}
