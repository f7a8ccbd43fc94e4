//! Servers with volumes become another size and move to other hosts, switched off on the way.

use nephos_api::Check as _;
use nephos_compute::driver::fake::HostSize;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::crash::{killed_everywhere, seen};
use crate::volumes::{attach, detach, plugged};

/// Two hosts, and a server with a volume beside its disk, or in place of it.
async fn cloud(boots_from_it: bool) -> (Cloud, String, String) {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    let flavor =
        json!({"flavor": {"id": "large", "name": "large", "vcpus": 2, "ram": 256, "disk": 1}});
    cloud
        .admin()
        .post("/v2.1/flavors", flavor)
        .await
        .expect(200);
    let id = if boots_from_it {
        let devices = json!([{"source_type": "image", "destination_type": "volume", "boot_index": 0,
            "uuid": cloud.image_id, "volume_size": 2, "delete_on_termination": true}]);
        let more = json!({"imageRef": "", "block_device_mapping_v2": devices});
        let id = cloud.create(&more).await;
        cloud.settle().await;
        id
    } else {
        let id = cloud.running().await;
        let volume = cloud.block.add(&json!({"size": 3}));
        let wish = json!({ "volumeId": volume });
        attach(&mut cloud, &id, wish).await.expect(200);
        cloud.settle().await;
        id
    };
    let host = cloud.show(&id).await["OS-EXT-SRV-ATTR:host"].clone();
    (cloud, id, host.as_str().unwrap().to_owned())
}

/// What there is of it, whichever host it is on.
async fn around(cloud: &Cloud, id: &str, first: &str) -> Value {
    let shown = cloud.show(id).await;
    let mut view = seen(&shown);
    let host = view.as_object_mut().unwrap().remove("host");
    let connected: Vec<Value> = cloud
        .block
        .state()
        .connectors
        .last()
        .map(|one| json!(one["host"] == shown["OS-EXT-SRV-ATTR:host"]))
        .into_iter()
        .collect();
    let claims = cloud.placement.state().allocations.len();
    let findings = cloud.compute.check().await.unwrap().len();
    let attachments = cloud.block.attachments();
    let is_first = host == Some(json!(first));
    json!([view, is_first, connected, attachments, claims, findings])
}

/// Moved or resized, then kept or not; deleted.
async fn way(boots_from_it: bool, wish: Value, verb: &str) -> (Vec<Value>, u32) {
    let (mut cloud, id, host) = cloud(boots_from_it).await;
    let target = format!("/v2.1/servers/{id}/action");
    cloud.admin().post(&target, wish).await.expect(202);
    cloud.settle().await;
    let mut story = vec![around(&cloud, &id, &host).await];
    assert_eq!(
        story[0][0]["status"],
        "VERIFY_RESIZE",
        "{}",
        cloud.show(&id).await
    );
    assert_eq!(plugged_where_it_is(&cloud, &id).await, 1);
    cloud.admin().post(&target, json!({ verb: null })).await;
    cloud.settle().await;
    story.push(around(&cloud, &id, &host).await);
    assert_eq!(story[1][0]["status"], "ACTIVE", "{}", cloud.show(&id).await);
    assert_eq!(
        plugged(&cloud, &id).len(),
        1,
        "one host has it, and with its volume"
    );
    assert_eq!(cloud.block.attachments(), 1);
    let target = format!("/v2.1/servers/{id}");
    cloud.member().delete(&target).await.expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
    (story, cloud.killed)
}

/// The volumes of the guest on the server's own host; a former one has none.
async fn plugged_where_it_is(cloud: &Cloud, id: &str) -> usize {
    let shown = cloud.show(id).await;
    let own = shown["OS-EXT-SRV-ATTR:host"].as_str().unwrap();
    for host in ["one", "two"] {
        let found = cloud.simulated.snapshot(host).remove(&id.into());
        let volumes = found.map_or(0, |found| found.volumes.len());
        if host == own {
            assert_eq!(volumes, 1);
        } else {
            assert_eq!(volumes, 0, "a host that it has left opens none");
        }
    }
    1
}

/// The volumes of a server, as its owner sees them.
async fn held(cloud: &Cloud, id: &str) -> Vec<String> {
    let shown = cloud.show(id).await;
    let all = shown["os-extended-volumes:volumes_attached"].as_array();
    let ids = all.unwrap().iter().map(|one| one["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

#[tokio::test]
async fn volumes_go_with_a_server_that_moves_and_come_back_with_it() {
    for boots_from_it in [false, true] {
        for verb in ["confirmResize", "revertResize"] {
            let (story, _) = way(boots_from_it, json!({"migrate": null}), verb).await;
            assert_eq!(story[0][1], false, "it moved");
            assert_eq!(story[1][1], json!(verb == "revertResize"));
            assert_eq!(story[1][2], json!([true]), "the block service knows where");
        }
    }
}

#[tokio::test]
async fn a_server_with_volumes_becomes_another_size() {
    for boots_from_it in [false, true] {
        for verb in ["confirmResize", "revertResize"] {
            let wish = json!({"resize": {"flavorRef": "large"}});
            way(boots_from_it, wish, verb).await;
        }
    }
}

#[tokio::test]
async fn volumes_come_and_go_while_the_owner_has_not_decided_yet() {
    for wish in [
        json!({"migrate": null}),
        json!({"resize": {"flavorRef": "large"}}),
    ] {
        for verb in ["confirmResize", "revertResize"] {
            let (mut cloud, id, _host) = cloud(false).await;
            let target = format!("/v2.1/servers/{id}/action");
            cloud.admin().post(&target, wish.clone()).await.expect(202);
            cloud.settle().await;
            let held = held(&cloud, &id).await;
            detach(&cloud, &id, &held[0]).await.expect(202);
            cloud.settle().await;
            let comes = cloud.block.add(&json!({"size": 2}));
            let attached = attach(&mut cloud, &id, json!({ "volumeId": comes })).await;
            attached.expect(200);
            cloud.settle().await;
            assert_eq!(cloud.show(&id).await["status"], "VERIFY_RESIZE");
            assert_eq!(plugged_where_it_is(&cloud, &id).await, 1);
            cloud.admin().post(&target, json!({ verb: null })).await;
            cloud.settle().await;
            assert_eq!(cloud.show(&id).await["status"], "ACTIVE");
            assert_eq!(plugged_where_it_is(&cloud, &id).await, 1);
            assert_eq!(self::held(&cloud, &id).await, [comes]);
            assert_eq!(cloud.block.attachments(), 1);
            let gone = format!("/v2.1/servers/{id}");
            cloud.member().delete(&gone).await.expect(204);
            cloud.settle().await;
            cloud.assert_nothing_left().await;
        }
    }
}

#[tokio::test]
async fn a_server_with_volumes_does_not_move_while_it_runs_and_says_so() {
    let (cloud, id, _host) = cloud(false).await;
    let target = format!("/v2.1/servers/{id}/action");
    let wish = json!({"os-migrateLive": {"host": null, "block_migration": "auto"}});
    let admin = cloud.admin().at("compute 2.96");
    let refused = admin.post(&target, wish).await.expect(409);
    let said = refused.json["conflictingRequest"]["message"]
        .as_str()
        .unwrap();
    assert!(
        said.contains("servers with volumes switched off only"),
        "{said}"
    );
}

#[tokio::test]
async fn a_move_with_volumes_killed_anywhere_is_the_same_move() {
    killed_everywhere(|| way(false, json!({"migrate": null}), "revertResize"), 20).await;
}
