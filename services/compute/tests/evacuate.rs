//! A host is lost: what ran there is made anew elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use nephos_api::Check as _;
use nephos_compute::driver::fake::HostSize;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::crash::{killed_everywhere, seen};

/// Two hosts, a server on each at least; gives the cloud, a server, and the host that it is on.
async fn two_hosts() -> (Cloud, String, String) {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    let id = cloud.running().await;
    let host = cloud.show(&id).await["OS-EXT-SRV-ATTR:host"].clone();
    (cloud, id, host.as_str().unwrap().to_owned())
}

async fn declare(cloud: &Cloud, host: &str, off: bool) {
    let body = json!({"host": host, "binary": "nova-compute", "forced_down": off});
    let admin = cloud.admin().at("compute 2.11");
    admin
        .put("/v2.1/os-services/force-down", body)
        .await
        .expect(200);
}

async fn evacuate(cloud: &Cloud, id: &str, version: &str, wish: Value) -> nephos_testkit::Answer {
    let target = format!("/v2.1/servers/{id}/action");
    let admin = cloud.admin().at(&format!("compute {version}"));
    admin.post(&target, json!({ "evacuate": wish })).await
}

/// Somebody reads the console log; the question stands in the host's feed from then on.
async fn look_at_console(cloud: &mut Cloud, id: &str, host: &str) {
    let target = format!("/v2.1/servers/{id}/action");
    let (member, ask, images) = (cloud.member(), cloud.ask.clone(), cloud.image.clone());
    let host = cloud.hosts.get_mut(host).unwrap();
    let asking = member.post(&target, json!({"os-getConsoleOutput": {}}));
    let answering = async {
        loop {
            host.sync(&ask, &images).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = asking => drop(answer.expect(200)),
        () = answering => {}
    }
}

#[tokio::test]
async fn an_evacuated_server_runs_elsewhere_with_its_addresses() {
    let (mut cloud, id, host) = two_hosts().await;
    let before = cloud.show(&id).await;
    look_at_console(&mut cloud, &id, &host).await;
    let lost = cloud.hosts.remove(&host).unwrap();
    cloud.world.clock.advance(Duration::from_secs(120));
    cloud.work_for(1).await;
    // Silent is not off.
    let refused = evacuate(&cloud, &id, "2.94", json!({})).await.expect(400);
    let message = refused.json["badRequest"]["message"].as_str().unwrap();
    assert!(
        message.contains("is still in use") && message.contains("force-down"),
        "{message}"
    );
    declare(&cloud, &host, true).await;
    evacuate(&cloud, &id, "2.94", json!({})).await.expect(200);
    assert_eq!(cloud.show(&id).await["OS-EXT-STS:task_state"], "rebuilding");
    cloud.settle().await;
    let after = cloud.show(&id).await;
    assert_eq!(after["status"], "ACTIVE", "{after}");
    assert_ne!(after["OS-EXT-SRV-ATTR:host"], json!(host));
    assert_eq!(after["addresses"], before["addresses"]);
    assert_eq!(
        cloud.network.ports()[0]["binding:host_id"],
        after["OS-EXT-SRV-ATTR:host"]
    );
    assert_eq!(cloud.placement.state().allocations[&id].len(), 1);
    assert_eq!(cloud.compute.check().await.unwrap(), []);

    // The lost host comes back: it ends its copy, and leaves the other alone.
    declare(&cloud, &host, false).await;
    cloud.hosts.insert(host.clone(), lost);
    for _round in 0..30 {
        cloud.world.clock.advance(Duration::from_secs(10));
        cloud.settle().await;
    }
    assert!(cloud.simulated.snapshot(&host).is_empty());
    assert_eq!(cloud.show(&id).await["status"], "ACTIVE");
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn a_server_that_was_being_built_on_a_host_that_is_lost_is_built_on_another() {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    // Neither host hears of it: one is lost now.
    let hosts = std::mem::take(&mut cloud.hosts);
    let id = cloud.create(&json!({})).await;
    cloud.work_for(2).await;
    let before = cloud.show(&id).await;
    assert_eq!(before["OS-EXT-STS:task_state"], "spawning", "{before}");
    let lost = before["OS-EXT-SRV-ATTR:host"].as_str().unwrap().to_owned();
    cloud.hosts = hosts;
    cloud.hosts.remove(&lost).unwrap();
    declare(&cloud, &lost, true).await;
    cloud.settle().await;
    let after = cloud.show(&id).await;
    assert_eq!(after["status"], "ACTIVE", "{after}");
    assert_ne!(after["OS-EXT-SRV-ATTR:host"], json!(lost));
    assert_eq!(cloud.placement.state().allocations[&id].len(), 1);
    assert_eq!(cloud.compute.check().await.unwrap(), []);
}

#[tokio::test]
async fn an_evacuation_keeps_power_and_from_2_95_on_leaves_off() {
    let (mut cloud, id, host) = two_hosts().await;
    let other = if host == "one" { "two" } else { "one" };
    cloud.act(&id, json!({"os-stop": null})).await.expect(202);
    cloud.settle().await;
    cloud.hosts.remove(&host).unwrap();
    declare(&cloud, &host, true).await;
    evacuate(&cloud, &id, "2.94", json!({"host": "nowhere"}))
        .await
        .expect(404);
    evacuate(&cloud, &id, "2.94", json!({"host": host}))
        .await
        .expect(400);
    evacuate(&cloud, &id, "2.29", json!({"force": true}))
        .await
        .expect(400);
    evacuate(&cloud, &id, "2.1", json!({})).await.expect(400);
    evacuate(&cloud, &id, "2.1", json!({"onSharedStorage": "True"}))
        .await
        .expect(400);
    let old = json!({"onSharedStorage": false, "adminPass": "secret", "host": other});
    let told = evacuate(&cloud, &id, "2.1", old).await.expect(200);
    assert_eq!(told.json, json!({"adminPass": "secret"}));
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["status"], "SHUTOFF");

    let (mut cloud, id, host) = two_hosts().await;
    cloud.hosts.remove(&host).unwrap();
    declare(&cloud, &host, true).await;
    evacuate(&cloud, &id, "2.95", json!({})).await.expect(200);
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["status"], "SHUTOFF");
}

#[tokio::test]
async fn without_room_an_evacuation_says_why_and_can_be_asked_again() {
    let (mut cloud, id, host) = two_hosts().await;
    let other = if host == "one" { "two" } else { "one" };
    cloud.hosts.remove(&host).unwrap();
    declare(&cloud, &host, true).await;
    declare(&cloud, other, true).await;
    evacuate(&cloud, &id, "2.94", json!({})).await.expect(200);
    cloud.settle().await;
    let failed = cloud.show(&id).await;
    assert_eq!(failed["status"], "ERROR");
    let message = failed["fault"]["message"].as_str().unwrap();
    assert!(message.contains("2 of 2 does not report"), "{message}");
    assert_eq!(cloud.network.ports().len(), 1, "its address stays its own");
    declare(&cloud, other, false).await;
    evacuate(&cloud, &id, "2.94", json!({})).await.expect(200);
    cloud.settle().await;
    let server = cloud.show(&id).await;
    assert_eq!(
        (&server["status"], &server["OS-EXT-SRV-ATTR:host"]),
        (&json!("ACTIVE"), &json!(other))
    );
    assert_eq!(cloud.compute.check().await.unwrap(), []);
}

/// A host is lost while its server runs, and the server moves.
async fn loss() -> (Vec<Value>, u32) {
    let (mut cloud, id, host) = two_hosts().await;
    cloud.hosts.remove(&host).unwrap();
    declare(&cloud, &host, true).await;
    evacuate(&cloud, &id, "2.94", json!({})).await.expect(200);
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    let bound: BTreeMap<String, Value> = cloud
        .network
        .ports()
        .into_iter()
        .map(|port| (port["id"].to_string(), port["binding:host_id"].clone()))
        .collect();
    let mut view = seen(&shown);
    view["host"] = json!(shown["OS-EXT-SRV-ATTR:host"] != json!(host));
    let there = bound
        .values()
        .all(|at| *at == shown["OS-EXT-SRV-ATTR:host"]);
    let claims = cloud.placement.state().allocations[&id].len();
    let findings = cloud.compute.check().await.unwrap().len();
    let story = vec![json!([view, bound.len(), there, claims, findings])];
    (story, cloud.killed)
}

#[tokio::test]
async fn an_evacuation_killed_anywhere_is_the_same_evacuation() {
    killed_everywhere(loss, 20).await;
}
