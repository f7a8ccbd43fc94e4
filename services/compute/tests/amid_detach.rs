//! What an owner may do while a guest does not let go of what is to be taken out of it.

use nephos_api::Check as _;
use nephos_compute::driver::fake::HostSize;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::crash::killed_everywhere;
use crate::volumes::{attach, detach, outcome, plugged};

/// A running server with a volume.
async fn with_volume(cloud: &mut Cloud) -> (String, String) {
    let server = cloud.running().await;
    let volume = cloud.block.add(&json!({}));
    attach(cloud, &server, json!({ "volumeId": volume }))
        .await
        .expect(200);
    cloud.settle().await;
    (server, volume)
}

/// On every host: it is on one of them.
fn deaf(cloud: &Cloud, server: &str, is_deaf: bool) {
    for host in cloud.hosts.keys() {
        cloud.simulated.set_deaf(host, &server.into(), is_deaf);
    }
}

fn task(shown: &Value) -> (&str, &Value) {
    let status = shown["status"].as_str().unwrap_or_default();
    (status, &shown["OS-EXT-STS:task_state"])
}

#[tokio::test]
async fn a_paused_guest_goes_on_and_lets_go() {
    let mut cloud = Cloud::new().await;
    let (server, volume) = with_volume(&mut cloud).await;
    cloud.act(&server, json!({"pause": null})).await.expect(202);
    cloud.settle().await;
    detach(&cloud, &server, &volume).await.expect(202);
    cloud.work_for(20).await;
    assert_eq!(cloud.block.status(&volume), "detaching");
    cloud
        .act(&server, json!({"unpause": null}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.show(&server).await["status"], "ACTIVE");
    assert_eq!(cloud.block.status(&volume), "available");
    assert_eq!(plugged(&cloud, &server), []);
    for action in ["unpause", "detach_volume"] {
        assert_eq!(outcome(&cloud, &server, action).await.0, "Success");
    }
}

#[tokio::test]
async fn a_guest_that_holds_on_is_set_going_all_the_same_and_asked_further() {
    let mut cloud = Cloud::new().await;
    let (server, volume) = with_volume(&mut cloud).await;
    deaf(&cloud, &server, true);
    detach(&cloud, &server, &volume).await.expect(202);
    cloud.work_for(20).await;
    for (action, status) in [("pause", "PAUSED"), ("unpause", "ACTIVE")] {
        cloud
            .act(&server, json!({ action: null }))
            .await
            .expect(202);
        cloud.work_for(10).await;
        let shown = cloud.show(&server).await;
        assert_eq!(task(&shown), (status, &Value::Null));
        assert_eq!(cloud.block.status(&volume), "detaching");
    }
    // It has its whole time again, and ends as clearly.
    cloud.work_for(140).await;
    assert_eq!(cloud.block.status(&volume), "detaching");
    cloud.work_for(30).await;
    cloud.settle().await;
    assert_eq!(cloud.block.status(&volume), "in-use");
    assert_eq!(plugged(&cloud, &server).len(), 1);
    assert_eq!(outcome(&cloud, &server, "detach_volume").await.0, "Error");
}

#[tokio::test]
async fn a_guest_that_is_switched_off_holds_nothing() {
    for (action, status) in [
        (json!({"reboot": {"type": "HARD"}}), "ACTIVE"),
        (json!({"reboot": {"type": "SOFT"}}), "ACTIVE"),
        (json!({"os-stop": null}), "SHUTOFF"),
    ] {
        let mut cloud = Cloud::new().await;
        let (server, volume) = with_volume(&mut cloud).await;
        deaf(&cloud, &server, true);
        detach(&cloud, &server, &volume).await.expect(202);
        cloud.work_for(20).await;
        cloud.act(&server, action).await.expect(202);
        cloud.settle().await;
        let shown = cloud.show(&server).await;
        assert_eq!(task(&shown), (status, &Value::Null));
        assert_eq!(cloud.block.status(&volume), "available");
        assert_eq!(plugged(&cloud, &server), []);
        assert_eq!(outcome(&cloud, &server, "detach_volume").await.0, "Success");
        assert_eq!(cloud.compute.check().await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_guest_is_not_saved_to_disk_with_what_it_is_to_let_go_of() {
    let mut cloud = Cloud::new().await;
    let (server, volume) = with_volume(&mut cloud).await;
    deaf(&cloud, &server, true);
    detach(&cloud, &server, &volume).await.expect(202);
    cloud.work_for(5).await;
    let refused = cloud.act(&server, json!({"suspend": null})).await;
    let refused = refused.expect(409).json;
    let said = refused["conflictingRequest"]["message"].as_str().unwrap();
    assert!(said.contains("server.detach_volume is under way"), "{said}");
    // One after the other: what is put aside is not put aside by other work of the same kind.
    let reboot = json!({"reboot": {"type": "HARD"}});
    cloud.act(&server, reboot.clone()).await.expect(202);
    cloud.act(&server, reboot).await.expect(409);
    cloud.settle().await;
    assert_eq!(cloud.block.status(&volume), "available");
}

#[tokio::test]
async fn an_interface_goes_with_a_reboot_too() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    deaf(&cloud, &server, true);
    let target = format!("/v2.1/servers/{server}/os-interface");
    let member = cloud.member().at("compute 2.96");
    let all = member.get(&target).await.expect(200).json;
    let port = all["interfaceAttachments"][0]["port_id"].as_str().unwrap();
    member.delete(&format!("{target}/{port}")).await.expect(202);
    cloud.work_for(20).await;
    cloud
        .act(&server, json!({"reboot": {"type": "HARD"}}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.show(&server).await["status"], "ACTIVE");
    assert_eq!(
        member.get(&target).await.expect(200).json,
        json!({"interfaceAttachments": []})
    );
    assert_eq!(
        outcome(&cloud, &server, "detach_interface").await.0,
        "Success"
    );
}

#[tokio::test]
async fn what_a_guest_held_on_to_on_a_lost_host_is_free_after_its_evacuation() {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    let (server, volume) = with_volume(&mut cloud).await;
    let host = cloud.show(&server).await["OS-EXT-SRV-ATTR:host"].clone();
    let host = host.as_str().unwrap();
    deaf(&cloud, &server, true);
    detach(&cloud, &server, &volume).await.expect(202);
    cloud.work_for(5).await;
    // Waits for a host that is not there any more, with the detach put aside.
    cloud.hosts.remove(host).unwrap();
    cloud
        .act(&server, json!({"reboot": {"type": "HARD"}}))
        .await
        .expect(202);
    cloud.work_for(5).await;
    let body = json!({"host": host, "binary": "nova-compute", "forced_down": true});
    let admin = cloud.admin().at("compute 2.11");
    admin
        .put("/v2.1/os-services/force-down", body)
        .await
        .expect(200);
    let admin = cloud.admin().at("compute 2.94");
    let target = format!("/v2.1/servers/{server}/action");
    admin
        .post(&target, json!({"evacuate": {}}))
        .await
        .expect(200);
    cloud.settle().await;
    let shown = cloud.show(&server).await;
    assert_eq!(task(&shown), ("ACTIVE", &Value::Null));
    assert_ne!(shown["OS-EXT-SRV-ATTR:host"], host);
    assert_eq!(cloud.block.status(&volume), "available");
    assert_eq!(cloud.block.attachments(), 0);
    assert_eq!(outcome(&cloud, &server, "detach_volume").await.0, "Success");
}

/// Paused, asked to let go, set going.
async fn life() -> (Vec<Value>, u32) {
    let mut cloud = Cloud::new().await;
    let (server, volume) = with_volume(&mut cloud).await;
    deaf(&cloud, &server, true);
    detach(&cloud, &server, &volume).await.expect(202);
    cloud.work_for(12).await;
    cloud.act(&server, json!({"pause": null})).await.expect(202);
    cloud.work_for(12).await;
    deaf(&cloud, &server, false);
    cloud
        .act(&server, json!({"unpause": null}))
        .await
        .expect(202);
    cloud.settle().await;
    let shown = cloud.show(&server).await;
    let story = vec![json!([
        shown["status"],
        shown["OS-EXT-STS:task_state"],
        cloud.block.status(&volume),
        plugged(&cloud, &server).len(),
        outcome(&cloud, &server, "pause").await.0,
        outcome(&cloud, &server, "detach_volume").await.0,
        cloud.compute.check().await.unwrap().len()
    ])];
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{server}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
    (story, cloud.killed)
}

#[tokio::test]
async fn a_detach_that_is_put_aside_and_killed_anywhere_ends_the_same() {
    killed_everywhere(life, 20).await;
}
