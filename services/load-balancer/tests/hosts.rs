//! Where load balancers live, and what becomes of them when a host is lost.

use nephos_api::Check as _;
use serde_json::json;

use crate::kit::{both, cloud, cloud_of, id};
use crate::network::SUBNET;

#[tokio::test]
async fn they_are_spread_and_moved_when_an_operator_says_so() {
    let cloud = cloud_of(&["one", "two"]).await;
    let (a, b) = (cloud.balancer().await, cloud.balancer().await);
    let at = |id: &str| {
        cloud
            .told(id)
            .into_iter()
            .map(|(host, _)| host)
            .collect::<Vec<_>>()
    };
    let (first, second) = (at(&a), at(&b));
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
    let target = format!("/v2/lbaas/loadbalancers/{a}/failover");
    cloud.member().put(&target, json!({})).await.expect(403);
    cloud.admin().put(&target, json!({})).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.status(&a).await, both("ACTIVE", "ONLINE"));
    assert_eq!(at(&a), second);
    let port = cloud
        .network
        .ports()
        .into_iter()
        .find(|port| port["device_id"] == format!("lb-{a}"));
    assert_eq!(port.unwrap()["binding:host_id"], second[0].as_str());
    assert_eq!(cloud.service.check().await.unwrap(), []);
}

#[tokio::test]
async fn with_one_host_they_stay() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    cloud
        .admin()
        .put(&format!("/v2/lbaas/loadbalancers/{lb}/failover"), json!({}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
}

#[tokio::test]
async fn a_host_that_fell_silent_is_left() {
    let cloud = cloud_of(&["one", "two"]).await;
    let lb = cloud.balancer().await;
    let lost = cloud.told(&lb)[0].0.clone();
    let at = usize::from(lost == "two");
    cloud.on(at, |host| host.silent = true);
    cloud.later(60).await;
    cloud.service.leave_silent_hosts().await.unwrap();
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    cloud.later(90).await;
    cloud.service.leave_silent_hosts().await.unwrap();
    assert_eq!(cloud.status(&lb).await.0, "PENDING_UPDATE");
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    assert_eq!(cloud.told(&lb).len(), 2, "the silent one does not know yet");
    // It comes back, hears of it, and lets go.
    cloud.on(at, |host| host.silent = false);
    cloud.settle().await;
    let told = cloud.told(&lb);
    assert_eq!(told.len(), 1);
    assert_ne!(told[0].0, lost);
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
}

#[tokio::test]
async fn without_a_host_it_fails_in_words_and_is_made_when_one_comes() {
    let cloud = cloud_of(&[]).await;
    let made = cloud
        .make(
            "loadbalancers",
            "loadbalancer",
            json!({"vip_subnet_id": SUBNET}),
        )
        .await;
    let lb = id(&made);
    cloud
        .service
        .worker()
        .settle(std::time::Duration::from_secs(400))
        .await
        .unwrap();
    let shown = cloud
        .show(&format!("loadbalancers/{lb}"), "loadbalancer")
        .await;
    assert_eq!(shown["provisioning_status"], "ERROR");
    assert!(
        shown["fault"].as_str().unwrap().contains("No host"),
        "{shown}"
    );
    cloud
        .member()
        .delete(&format!("/v2/lbaas/loadbalancers/{lb}"))
        .await
        .expect(204);
    cloud.settle().await;
    assert!(cloud.network.ports().is_empty());
}

#[tokio::test]
async fn a_deletion_does_not_wait_for_a_lost_host_for_ever() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    cloud.on(0, |host| host.silent = true);
    cloud
        .member()
        .delete(&format!("/v2/lbaas/loadbalancers/{lb}"))
        .await
        .expect(204);
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await.0, "PENDING_DELETE");
    cloud
        .service
        .worker()
        .settle(std::time::Duration::from_secs(70))
        .await
        .unwrap();
    cloud
        .member()
        .get(&format!("/v2/lbaas/loadbalancers/{lb}"))
        .await
        .expect(404);
    cloud.on(0, |host| host.silent = false);
    cloud.settle().await;
    assert!(cloud.told(&lb).is_empty());
}

#[tokio::test]
async fn a_port_that_is_lost_is_made_again_with_its_address() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    let before = cloud.network.ports()[0].clone();
    cloud.network.lose(&id(&before));
    let target = format!("/v2/lbaas/loadbalancers/{lb}");
    cloud
        .member()
        .put(&target, json!({"loadbalancer": {"name": "n"}}))
        .await
        .expect(200);
    cloud.settle().await;
    let after = cloud.network.ports()[0].clone();
    assert_ne!(before["id"], after["id"]);
    assert_eq!(before["fixed_ips"], after["fixed_ips"]);
    let shown = cloud
        .show(&format!("loadbalancers/{lb}"), "loadbalancer")
        .await;
    assert_eq!(shown["vip_port_id"], after["id"]);
    assert_eq!(shown["provisioning_status"], "ACTIVE");
    assert_eq!(cloud.told(&lb)[0].1["port_id"], after["id"]);
}

#[tokio::test]
async fn reports_are_bounded_and_of_the_host_that_sends_them() {
    let cloud = cloud().await;
    let lb = cloud.balancer().await;
    let host = cloud.ask.as_host("two");
    let seen = json!({"kind": "load_balancer", "id": lb, "generation_seen": 1, "state": "failed", "detail": {"problem": "x"}, "at": "2026-01-02T03:04:05Z"});
    // What another host says of it changes nothing.
    host.put("/host/v1/observed", json!([seen]))
        .await
        .expect(204);
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    let lie = json!({"kind": "host", "id": "one", "generation_seen": 0, "state": "up", "detail": {"host": "one"}, "at": "2026-01-02T03:04:05Z"});
    host.put("/host/v1/observed", json!([lie]))
        .await
        .expect(400);
    host.put("/host/v1/observed", json!(vec![seen; 5001]))
        .await
        .expect(400);
    host.put("/host/v1/observed", json!({"x": 1}))
        .await
        .expect(400);
    host.get("/host/v1/feed?host=one").await.expect(403);
    cloud.member().get("/host/v1/feed").await.expect(403);
}
