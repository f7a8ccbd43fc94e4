//! Where load balancers live, and what becomes of them when a host is lost.

use nephos_api::Check as _;
use serde_json::json;

use crate::kit::{both, cloud, cloud_of, id};
use crate::network::{OUTSIDE, SUBNET};

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
    cloud.watch(120).await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    cloud.watch(20).await;
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
async fn after_this_side_was_away_no_host_is_left_by_whoever_has_not_heard_others_all_the_while() {
    let cloud = cloud_of(&["one", "two"]).await;
    let lb = cloud.balancer().await;
    let at = usize::from(cloud.told(&lb)[0].0 == "two");
    cloud.watch(200).await;
    // Nobody reaches the API for ten minutes; then the other host is the first to be heard again.
    for at in [0, 1] {
        cloud.on(at, |host| host.silent = true);
    }
    cloud.watch(600).await;
    cloud.on(1 - at, |host| host.silent = false);
    cloud.watch(100).await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    cloud.on(at, |host| host.silent = false);
    cloud.watch(200).await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    // The worker itself was away.
    cloud.on(at, |host| host.silent = true);
    cloud.later(300).await;
    cloud.service.look_after_hosts().await.unwrap();
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    cloud.watch(130).await;
    assert_eq!(cloud.status(&lb).await.0, "PENDING_UPDATE");
}

#[tokio::test]
async fn some_at_a_time_leave_a_host_that_is_drained_and_come_back_when_it_is_not() {
    let mut cloud = cloud().await;
    let ids = {
        let mut ids = Vec::new();
        for _each in 0..25 {
            ids.push(cloud.balancer().await);
        }
        ids
    };
    let target = "/host/v1/hosts/one";
    let drain = |drained: bool| json!({"host": {"drained": drained}});
    let service = cloud.ask.as_persona(nephos_testkit::Persona::Service);
    cloud.member().put(target, drain(true)).await.expect(403);
    let shown = service.put(target, drain(true)).await.expect(200).json;
    assert_eq!(
        (&shown["host"]["drained"], &shown["host"]["load_balancers"]),
        (&json!(true), &json!(25))
    );
    service
        .put("/host/v1/hosts/nobody", drain(true))
        .await
        .expect(404);
    // Nobody else is there.
    cloud.watch(20).await;
    assert_eq!(cloud.status(&ids[0]).await.0, "ACTIVE");
    cloud.add_host("two");
    cloud.watch(10).await;
    let mut moving = 0;
    for id in &ids {
        moving += usize::from(cloud.status(id).await.0 == "PENDING_UPDATE");
    }
    assert_eq!(moving, 20);
    // They are there until others have them.
    let shown = service.get(target).await.expect(200).json;
    assert_eq!(shown["host"]["load_balancers"], 25);
    cloud.settle().await;
    cloud.watch(10).await;
    cloud.settle().await;
    let shown = service.get(target).await.expect(200).json;
    assert_eq!(shown["host"]["load_balancers"], 0);
    for id in &ids {
        assert_eq!(cloud.status(id).await, both("ACTIVE", "ONLINE"));
        assert_eq!(cloud.told(id)[0].0, "two");
    }
    // New ones go where others may be.
    let next = cloud.balancer().await;
    assert_eq!(cloud.told(&next)[0].0, "two");
    service.put(target, drain(false)).await.expect(200);
    let next = cloud.balancer().await;
    assert_eq!(cloud.told(&next)[0].0, "one");
    assert_eq!(cloud.service.check().await.unwrap(), []);
}

#[tokio::test]
async fn where_the_network_is_outside_it_lives_on_a_host_that_leads_there_or_says_why_not() {
    let cloud = cloud_of(&["one", "two"]).await;
    cloud.network.lead_out(&["two"]);
    for _each in 0..2 {
        let body = json!({"vip_subnet_id": OUTSIDE});
        let lb = id(&cloud.make("loadbalancers", "loadbalancer", body).await);
        cloud.settle().await;
        assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
        assert_eq!(cloud.told(&lb)[0].0, "two");
    }
    cloud.network.lead_out(&[]);
    let body = json!({"vip_subnet_id": OUTSIDE});
    let lb = id(&cloud.make("loadbalancers", "loadbalancer", body).await);
    for _look in 0..40 {
        cloud.settle().await;
        cloud.later(10).await;
    }
    let shown = cloud
        .show(&format!("loadbalancers/{lb}"), "loadbalancer")
        .await;
    assert_eq!(shown["provisioning_status"], "ERROR");
    let why = shown["fault"].as_str().unwrap();
    assert!(why.contains("network outside public"), "{why}");
    // A host leads there at last.
    cloud.network.lead_out(&["one"]);
    cloud.watch(10).await;
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    assert_eq!(cloud.told(&lb)[0].0, "one");
}

#[tokio::test]
async fn a_host_that_is_drained_is_not_empty_while_one_has_nowhere_else_to_go() {
    let cloud = cloud_of(&["one", "two"]).await;
    cloud.network.lead_out(&["one"]);
    let body = json!({"vip_subnet_id": OUTSIDE});
    let lb = id(&cloud.make("loadbalancers", "loadbalancer", body).await);
    cloud.settle().await;
    let target = "/host/v1/hosts/one";
    let service = cloud.ask.as_persona(nephos_testkit::Persona::Service);
    let drain = json!({"host": {"drained": true}});
    service.put(target, drain).await.expect(200);
    for _look in 0..3 {
        cloud.watch(10).await;
        let shown = service.get(target).await.expect(200).json;
        assert_eq!(shown["host"]["load_balancers"], 1);
        cloud.settle().await;
        let shown = service.get(target).await.expect(200).json;
        assert_eq!(shown["host"]["load_balancers"], 1);
    }
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
    assert_eq!(cloud.told(&lb)[0].0, "one");
}

#[tokio::test]
async fn a_host_that_waits_for_the_port_is_waited_for() {
    let cloud = cloud().await;
    cloud.on(0, |host| host.waits = true);
    let body = json!({"vip_subnet_id": SUBNET});
    let lb = id(&cloud.make("loadbalancers", "loadbalancer", body).await);
    cloud.settle().await;
    cloud.later(60).await;
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await.0, "PENDING_CREATE");
    cloud.on(0, |host| host.waits = false);
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
}

#[tokio::test]
async fn without_a_host_it_fails_in_words_and_is_made_when_one_comes() {
    let mut cloud = cloud_of(&[]).await;
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
    cloud.watch(20).await;
    assert_eq!(cloud.status(&lb).await.0, "ERROR");
    cloud.add_host("one");
    cloud.watch(10).await;
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await, both("ACTIVE", "ONLINE"));
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
async fn one_whose_deletion_failed_never_comes_back_and_goes_in_the_end() {
    let mut cloud = cloud_of(&[]).await;
    let body = json!({"vip_subnet_id": SUBNET});
    let lb = id(&cloud.make("loadbalancers", "loadbalancer", body).await);
    cloud.network.refuse(Some("DELETE"));
    let target = format!("/v2/lbaas/loadbalancers/{lb}");
    cloud.member().delete(&target).await.expect(204);
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await.0, "ERROR");
    // A host comes; that is no reason to be again.
    cloud.add_host("one");
    cloud.watch(10).await;
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await.0, "ERROR");
    assert!(cloud.told(&lb).is_empty());
    let named = json!({"loadbalancer": {"name": "n"}});
    cloud.member().put(&target, named).await.expect(409);
    let over = format!("{target}/failover");
    cloud.admin().put(&over, json!({})).await.expect(409);
    cloud.watch(40).await;
    cloud.settle().await;
    assert_eq!(cloud.status(&lb).await.0, "ERROR");
    cloud.network.refuse(None);
    cloud.watch(100).await;
    cloud.settle().await;
    cloud.member().get(&target).await.expect(404);
    assert!(cloud.network.ports().is_empty());
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
