//! Volumes of servers as a client sees them: attached, detached, booted from, extended, lost and killed.

use nephos_api::version::v;
use nephos_compute::driver::DriverError;
use nephos_compute::driver::fake::{HostSize, Verb};
use nephos_db::args;
use nephos_testkit::{Answer, Persona};
use serde_json::{Value, json};

use crate::cloud::Cloud;

fn attachments(server: &str) -> String {
    format!("/v2.1/servers/{server}/os-volume_attachments")
}

pub(crate) async fn attach(cloud: &mut Cloud, server: &str, wish: Value) -> Answer {
    attach_at(cloud, "2.96", server, wish).await
}

async fn attach_at(cloud: &mut Cloud, version: &str, server: &str, wish: Value) -> Answer {
    let member = cloud.member().at(&format!("compute {version}"));
    let target = attachments(server);
    let asking = member.post(&target, json!({ "volumeAttachment": wish }));
    cloud.work_beside(asking).await
}

pub(crate) async fn detach(cloud: &Cloud, server: &str, volume: &str) -> Answer {
    let target = format!("{}/{volume}", attachments(server));
    cloud.member().at("compute 2.96").delete(&target).await
}

/// The volumes that the guest has.
pub(crate) fn plugged(cloud: &Cloud, server: &str) -> Vec<(String, String)> {
    let mut guests = cloud
        .hosts
        .keys()
        .filter_map(|host| cloud.simulated.snapshot(host).remove(&server.into()));
    let volumes = guests.next().map(|found| found.volumes).unwrap_or_default();
    volumes
        .into_iter()
        .map(|(id, volume)| (id, volume.device))
        .collect()
}

/// The result of the last action of this name.
pub(crate) async fn outcome(cloud: &Cloud, server: &str, action: &str) -> (String, String) {
    let admin = cloud.admin().at("compute 2.96");
    let target = format!("/v2.1/servers/{server}/os-instance-actions");
    let list = admin.get(&target).await.expect(200).json["instanceActions"].clone();
    let mut all = list.as_array().unwrap().iter();
    let one = all.find(|one| one["action"] == action).unwrap();
    let request = one["request_id"].as_str().unwrap();
    let shown = admin.get(&format!("{target}/{request}")).await.expect(200);
    let event = &shown.json["instanceAction"]["events"][0];
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    (text("result"), text("details"))
}

#[tokio::test]
async fn a_volume_is_attached_to_a_running_guest_and_detached_again() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let volume = cloud.block.add(&json!({"size": 3}));
    let wish = json!({"volumeId": volume, "tag": "data", "delete_on_termination": false});
    let attached = attach(&mut cloud, &server, wish).await.expect(200).json;
    assert_eq!(
        attached["volumeAttachment"],
        json!({"id": volume, "volumeId": volume, "serverId": server, "device": "/dev/vdb", "tag": "data",
            "delete_on_termination": false})
    );
    cloud.settle().await;
    assert_eq!(
        plugged(&cloud, &server),
        [(volume.clone(), "vdb".to_owned())]
    );
    assert_eq!(cloud.block.status(&volume), "in-use");
    let connector = cloud.block.state().connectors[0].clone();
    assert_eq!(connector["host"], "one");
    assert_eq!(connector["mountpoint"], "/dev/vdb");
    assert_eq!(connector["multipath"], false);
    let shown = cloud.show(&server).await;
    assert_eq!(
        shown["os-extended-volumes:volumes_attached"],
        json!([{"id": volume, "delete_on_termination": false}])
    );
    assert_eq!(outcome(&cloud, &server, "attach_volume").await.0, "Success");

    let member = cloud.member().at("compute 2.96");
    let one = member
        .get(&format!("{}/{volume}", attachments(&server)))
        .await
        .expect(200)
        .json;
    let list = member.get(&attachments(&server)).await.expect(200).json;
    assert_eq!(list["volumeAttachments"][0], one["volumeAttachment"]);
    assert!(one["volumeAttachment"]["attachment_id"].is_string());

    detach(&cloud, &server, &volume).await.expect(202);
    cloud.settle().await;
    assert_eq!(plugged(&cloud, &server), []);
    assert_eq!(cloud.block.status(&volume), "available");
    assert_eq!(cloud.block.attachments(), 0);
    assert_eq!(outcome(&cloud, &server, "detach_volume").await.0, "Success");
    detach(&cloud, &server, &volume).await.expect(404);
}

#[tokio::test]
async fn a_stopped_server_takes_a_volume_and_stays_stopped() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    // By itself, so that its wish is still to run.
    cloud
        .simulated
        .guest_shuts_down("one", &server.as_str().into());
    cloud.settle().await;
    assert_eq!(cloud.show(&server).await["status"], "SHUTOFF");
    let volume = cloud.block.add(&json!({}));
    attach(&mut cloud, &server, json!({"volumeId": volume}))
        .await
        .expect(200);
    cloud.settle().await;
    assert_eq!(cloud.show(&server).await["status"], "SHUTOFF");
    assert_eq!(cloud.block.status(&volume), "in-use");
    cloud
        .act(&server, json!({"os-start": null}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(plugged(&cloud, &server).len(), 1);
    cloud
        .act(&server, json!({"os-stop": null}))
        .await
        .expect(202);
    cloud.settle().await;
    detach(&cloud, &server, &volume).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.show(&server).await["status"], "SHUTOFF");
    assert_eq!(cloud.block.status(&volume), "available");
}

#[tokio::test]
async fn a_detach_that_the_guest_ignores_ends_and_the_volume_stays() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let volume = cloud.block.add(&json!({}));
    attach(&mut cloud, &server, json!({"volumeId": volume}))
        .await
        .expect(200);
    cloud.settle().await;
    cloud
        .simulated
        .set_deaf("one", &server.as_str().into(), true);
    detach(&cloud, &server, &volume).await.expect(202);
    cloud.work_for(60).await;
    assert_eq!(cloud.block.status(&volume), "detaching");
    cloud.work_for(120).await;
    cloud.settle().await;
    assert_eq!(cloud.block.status(&volume), "in-use");
    assert_eq!(plugged(&cloud, &server).len(), 1);
    let (result, why) = outcome(&cloud, &server, "detach_volume").await;
    assert_eq!(result, "Error");
    assert!(
        why.contains("/dev/vdb") && why.contains("not released"),
        "{why}"
    );
    assert_eq!(cloud.show(&server).await["status"], "ACTIVE");

    cloud
        .simulated
        .set_deaf("one", &server.as_str().into(), false);
    detach(&cloud, &server, &volume).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.block.status(&volume), "available");
}

#[tokio::test]
async fn a_host_that_cannot_open_the_volume_gives_it_back() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let volume = cloud.block.add(&json!({}));
    let refusal = DriverError::Refused("the target does not answer".to_owned());
    cloud.simulated.fail_next("one", Verb::Volume, refusal);
    attach(&mut cloud, &server, json!({"volumeId": volume}))
        .await
        .expect(200);
    cloud.settle().await;
    assert_eq!(cloud.block.status(&volume), "available");
    assert_eq!(
        cloud.show(&server).await["os-extended-volumes:volumes_attached"],
        json!([])
    );
    let (result, why) = outcome(&cloud, &server, "attach_volume").await;
    assert_eq!(
        (result.as_str(), why.as_str()),
        ("Error", "the target does not answer")
    );
    attach(&mut cloud, &server, json!({"volumeId": volume}))
        .await
        .expect(200);
    cloud.settle().await;
    assert_eq!(cloud.block.status(&volume), "in-use");
}

#[tokio::test]
async fn what_cannot_be_attached_is_refused_at_once_in_upstreams_words() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let words = |answer: &Answer| {
        let fault = answer.json.as_object().unwrap().values().next().unwrap();
        fault["message"].as_str().unwrap().to_owned()
    };
    let missing = "11111111-1111-4111-8111-111111111111";
    let answer = attach(&mut cloud, &server, json!({"volumeId": missing}))
        .await
        .expect(404);
    assert_eq!(
        words(&answer),
        format!("Volume {missing} could not be found.")
    );
    attach(&mut cloud, &server, json!({"volumeId": "no-uuid"}))
        .await
        .expect(400);
    let used = cloud.block.add(&json!({"status": "in-use"}));
    let answer = attach(&mut cloud, &server, json!({"volumeId": used}))
        .await
        .expect(400);
    assert!(
        words(&answer).starts_with("Invalid volume: "),
        "{}",
        words(&answer)
    );
    let free = cloud.block.add(&json!({}));
    let wish = json!({"volumeId": free, "device": "/dev/vda"});
    let answer = attach(&mut cloud, &server, wish).await.expect(409);
    assert_eq!(
        words(&answer),
        "The supplied device path (/dev/vda) is in use."
    );
    let wish = json!({"volumeId": free, "device": "vdb"});
    let answer = attach(&mut cloud, &server, wish).await.expect(400);
    assert_eq!(words(&answer), "The supplied device path (vdb) is invalid.");
    let shared = cloud.block.add(&json!({"multiattach": true}));
    let wish = json!({"volumeId": shared});
    let answer = attach_at(&mut cloud, "2.59", &server, wish.clone())
        .await
        .expect(400);
    assert!(words(&answer).contains("2.60"));
    attach_at(&mut cloud, "2.60", &server, wish.clone())
        .await
        .expect(200);
    cloud.settle().await;
    let answer = attach(&mut cloud, &server, wish).await.expect(400);
    assert_eq!(
        words(&answer),
        format!("Invalid volume: volume {shared} already attached")
    );
    // Seen as free, and taken when it is asked for.
    let refusal = json!({"badRequest": {"code": 400, "message": "Volume is reserved."}});
    cloud.block.state().refuse_attachment = Some((400, refusal));
    let answer = attach(&mut cloud, &server, json!({"volumeId": free}))
        .await
        .expect(400);
    assert_eq!(words(&answer), "Invalid volume: Volume is reserved.");
    cloud.settle().await;
    assert_eq!(
        cloud.show(&server).await["os-extended-volumes:volumes_attached"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    cloud.act(&server, json!({"lock": null})).await.expect(202);
    attach(&mut cloud, &server, json!({"volumeId": free}))
        .await
        .expect(409);
    detach(&cloud, &server, &shared).await.expect(409);
}

#[tokio::test]
async fn two_servers_that_want_one_volume_do_not_both_get_it() {
    let mut cloud = Cloud::new().await;
    let (one, two) = (cloud.running().await, cloud.running().await);
    let volume = cloud.block.add(&json!({}));
    let member = cloud.member().at("compute 2.96");
    let body = json!({"volumeAttachment": {"volumeId": volume}});
    let (first, second) = (attachments(&one), attachments(&two));
    let both = async {
        tokio::join!(
            member.post(&first, body.clone()),
            member.post(&second, body.clone())
        )
    };
    let (a, b) = cloud.work_beside(both).await;
    let mut codes = [a.status, b.status];
    codes.sort_unstable();
    assert_eq!(codes, [200, 400]);
    cloud.settle().await;
    assert_eq!(cloud.block.attachments(), 1);
    assert_eq!(plugged(&cloud, &one).len() + plugged(&cloud, &two).len(), 1);
}

#[tokio::test]
async fn a_cloud_without_volumes_says_that_there_is_none() {
    let cloud = Cloud::without_volumes().await;
    let mut cloud = cloud;
    let server = cloud.running().await;
    let volume = "11111111-1111-4111-8111-111111111111";
    attach(&mut cloud, &server, json!({"volumeId": volume}))
        .await
        .expect(404);
    let member = cloud.member().at("compute 2.96");
    let list = member.get(&attachments(&server)).await.expect(200);
    assert_eq!(list.json, json!({"volumeAttachments": []}));
    let device = json!({"source_type": "volume", "destination_type": "volume", "boot_index": 0, "uuid": volume});
    let body = cloud.body(&json!({"imageRef": "", "block_device_mapping_v2": [device]}));
    let answer = member.post("/v2.1/servers", body).await.expect(400);
    assert_eq!(
        answer.json["badRequest"]["message"],
        format!("Block Device Mapping is Invalid: failed to get volume {volume}.")
    );
}

#[tokio::test]
async fn a_server_boots_from_a_volume_made_of_an_image_that_goes_with_it() {
    let mut cloud = Cloud::new().await;
    let devices = json!([
        {"source_type": "image", "destination_type": "volume", "boot_index": 0, "uuid": cloud.image_id,
         "volume_size": 2, "delete_on_termination": true, "volume_type": "fast"},
        {"source_type": "blank", "destination_type": "volume", "boot_index": -1, "volume_size": "1", "tag": "scratch"},
    ]);
    let id = cloud
        .create(&json!({"imageRef": "", "block_device_mapping_v2": devices}))
        .await;
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["status"], "ACTIVE", "{shown}");
    assert_eq!(shown["image"], "");
    let volumes = shown["os-extended-volumes:volumes_attached"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(volumes.len(), 2);
    assert_eq!(volumes[0]["delete_on_termination"], true);
    let (root, blank) = (
        volumes[0]["id"].as_str().unwrap(),
        volumes[1]["id"].as_str().unwrap(),
    );
    assert_eq!(cloud.block.status(root), "in-use");
    assert_eq!(cloud.block.state().volumes[root]["volume_type"], "fast");
    let mut guest = plugged(&cloud, &id);
    guest.sort_by_key(|(_, device)| device.clone());
    assert_eq!(
        guest,
        [
            (root.to_owned(), "vda".to_owned()),
            (blank.to_owned(), "vdb".to_owned())
        ]
    );
    let claims = cloud.placement.state().allocations[&id].clone();
    let claim = claims.values().next().unwrap();
    assert_eq!(claim.get("DISK_GB"), None, "the flavor's disk is not used");

    let answer = detach(&cloud, &id, root).await.expect(400);
    assert_eq!(
        answer.json["badRequest"]["message"],
        "Cannot detach a root device volume"
    );
    let rebuild = json!({"rebuild": {"imageRef": cloud.image_id}});
    cloud.act(&id, rebuild).await.expect(400);

    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    assert_eq!(cloud.block.status(root), "gone");
    assert_eq!(cloud.block.status(blank), "available");
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn a_server_boots_from_given_volumes_and_snapshots_in_both_forms() {
    let mut cloud = Cloud::new().await;
    let given = cloud.block.add(&json!({"bootable": "true", "size": 4,
        "volume_image_metadata": {"min_ram": "64", "min_disk": "1", "hw_rng_model": "virtio"}}));
    let data = cloud.block.add(&json!({}));
    let snapshot = "22222222-2222-4222-8222-222222222222";
    cloud.block.state().snapshots.insert(
        snapshot.to_owned(),
        json!({"id": snapshot, "volume_id": given, "status": "available", "size": 4}),
    );
    let older = json!([{"device_name": "vdc", "volume_id": data}, {"device_name": "vda", "volume_id": given}]);
    let id = cloud
        .create(&json!({"imageRef": "", "block_device_mapping": older}))
        .await;
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["status"], "ACTIVE");
    let mut guest = plugged(&cloud, &id);
    guest.sort_by_key(|(_, device)| device.clone());
    assert_eq!(
        guest,
        [
            (given.clone(), "vda".to_owned()),
            (data.clone(), "vdc".to_owned())
        ]
    );
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    assert_eq!(cloud.block.status(&given), "available");

    let newer = json!([{"source_type": "snapshot", "destination_type": "volume", "boot_index": "0", "uuid": snapshot,
        "delete_on_termination": true}]);
    let id = cloud
        .create(&json!({"imageRef": "", "block_device_mapping_v2": newer}))
        .await;
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["status"], "ACTIVE");
    let root = plugged(&cloud, &id)[0].0.clone();
    assert_eq!(cloud.block.state().volumes[&root]["size"], 4);
    // A volume with snapshots of its own stays behind.
    cloud.block.state().volumes.get_mut(&root).unwrap()["snapshot"] = json!(true);
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    assert_eq!(cloud.block.status(&root), "available");
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn wrong_devices_are_refused_in_upstreams_words() {
    let cloud = Cloud::new().await;
    let image = cloud.image_id.clone();
    let plain = cloud.block.add(&json!({}));
    let missing = "11111111-1111-4111-8111-111111111111";
    let invalid = "Block Device Mapping is Invalid: ";
    let sequence = format!(
        "{invalid}Boot sequence for the instance and image/block device mapping combination is not valid."
    );
    let cases = [
        (
            json!([{"source_type": "volume", "destination_type": "volume", "boot_index": 0, "uuid": missing}]),
            format!("{invalid}failed to get volume {missing}."),
        ),
        (
            json!([{"source_type": "snapshot", "destination_type": "volume", "boot_index": 0, "uuid": missing}]),
            format!("{invalid}failed to get snapshot {missing}."),
        ),
        (
            json!([{"source_type": "image", "destination_type": "volume", "boot_index": 0, "uuid": missing, "volume_size": 1}]),
            format!("{invalid}failed to get image {missing}."),
        ),
        (
            json!([{"source_type": "volume", "destination_type": "volume", "boot_index": 0, "uuid": plain}]),
            format!("Block Device {plain} is not bootable."),
        ),
        (
            json!([{"source_type": "volume", "destination_type": "volume", "boot_index": 1, "uuid": plain}]),
            sequence.clone(),
        ),
        (
            json!([{"source_type": "volume", "destination_type": "volume", "uuid": plain}]),
            sequence.clone(),
        ),
        (
            json!([{"source_type": "image", "destination_type": "volume", "boot_index": 0, "uuid": image}]),
            "Images with destination_type 'volume' need to have a non-zero size specified"
                .to_owned(),
        ),
        (
            json!([{"source_type": "image", "destination_type": "local", "boot_index": 0, "uuid": image}]),
            format!("{invalid}Mapping image to local is not supported."),
        ),
        (
            json!([{"source_type": "volume", "destination_type": "volume", "boot_index": 0}]),
            format!("{invalid}Missing device UUID."),
        ),
        (
            json!([{"source_type": "blank", "destination_type": "volume", "boot_index": 0, "uuid": plain}]),
            format!("{invalid}Invalid device UUID."),
        ),
        (
            json!([{"source_type": "volume", "destination_type": "volume", "boot_index": 0, "uuid": plain, "volume_type": "t"}]),
            format!("{invalid}Specifying volume type to existing volume is not supported."),
        ),
    ];
    let member = cloud.member().at("compute 2.96");
    for (devices, words) in cases {
        let body = cloud.body(&json!({"imageRef": "", "block_device_mapping_v2": devices}));
        let answer = member.post("/v2.1/servers", body).await.expect(400);
        assert_eq!(
            answer.json["badRequest"]["message"],
            json!(words),
            "{devices}"
        );
    }
    let root = json!({"source_type": "image", "destination_type": "volume", "boot_index": 0, "uuid": image, "volume_size": 1});
    let both = json!({"imageRef": "", "block_device_mapping_v2": [root], "block_device_mapping": [{"volume_id": plain}]});
    let answer = member
        .post("/v2.1/servers", cloud.body(&both))
        .await
        .expect(400);
    assert_eq!(
        answer.json["badRequest"]["message"],
        "Using different block_device_mapping syntaxes is not allowed in the same request."
    );
    let data = json!([{"source_type": "image", "destination_type": "local", "boot_index": 0, "uuid": image},
        {"source_type": "volume", "destination_type": "volume", "uuid": plain}]);
    let many = cloud.body(&json!({"block_device_mapping_v2": data, "min_count": 2}));
    let answer = member.post("/v2.1/servers", many).await.expect(400);
    assert_eq!(
        answer.json["badRequest"]["message"],
        "Cannot attach one or more volumes to multiple instances"
    );
    for (version, key, value) in [("2.41", "tag", "t"), ("2.66", "volume_type", "t")] {
        let mut root = root.clone();
        root[key] = json!(value);
        let body = cloud.body(&json!({"imageRef": "", "block_device_mapping_v2": [root]}));
        let at = cloud.member().at(&format!("compute {version}"));
        let answer = at.post("/v2.1/servers", body).await.expect(400);
        let words = answer.json["badRequest"]["message"].as_str().unwrap();
        assert!(
            words.contains(&format!("'{key}' was unexpected")),
            "{words}"
        );
    }
    cloud.image.state().get_mut(&image).unwrap()["min_disk"] = json!(5);
    let body = cloud.body(&json!({"imageRef": "", "block_device_mapping_v2": [root]}));
    let answer = member.post("/v2.1/servers", body).await.expect(400);
    let words = answer.json["badRequest"]["message"].as_str().unwrap();
    assert!(
        words.starts_with("Volume is smaller than the minimum size"),
        "{words}"
    );
    assert_eq!(cloud.block.names().len(), 1, "no volume was made");
}

#[tokio::test]
async fn a_volume_that_cannot_be_filled_leaves_a_server_in_error_and_nothing_else() {
    let mut cloud = Cloud::new().await;
    cloud.block.state().fails_to_fill = true;
    let devices = json!([{"source_type": "image", "destination_type": "volume", "boot_index": 0, "uuid": cloud.image_id,
        "volume_size": 2, "delete_on_termination": true}]);
    let id = cloud
        .create(&json!({"imageRef": "", "block_device_mapping_v2": devices}))
        .await;
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown["status"], "ERROR");
    let words = shown["fault"]["message"].as_str().unwrap();
    assert!(words.contains("did not finish being created"), "{words}");
    assert_eq!(cloud.block.names().len(), 0);
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn a_volume_that_grew_is_seen_by_the_guest() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let volume = cloud.block.add(&json!({}));
    attach(&mut cloud, &server, json!({"volumeId": volume}))
        .await
        .expect(200);
    cloud.settle().await;
    cloud.block.state().volumes.get_mut(&volume).unwrap()["size"] = json!(7);
    let event =
        |server: &str| json!({"name": "volume-extended", "server_uuid": server, "tag": volume});
    let body = json!({"events": [event(&server), event("11111111-1111-4111-8111-111111111111")]});
    let service = cloud.ask.as_persona(Persona::Service).at("compute 2.96");
    let answer = service
        .post("/v2.1/os-server-external-events", body)
        .await
        .expect(207);
    let codes: Vec<&Value> = answer.json["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["code"])
        .collect();
    assert_eq!(codes, [&json!(200), &json!(404)]);
    cloud.settle().await;
    let found = cloud
        .simulated
        .snapshot("one")
        .remove(&server.as_str().into())
        .unwrap();
    assert_eq!(found.volumes[&volume].size_bytes, Some(7 << 30));
    assert_eq!(outcome(&cloud, &server, "extend_volume").await.0, "Success");
}

#[tokio::test]
async fn the_volumes_of_an_evacuated_server_are_opened_by_its_new_host() {
    let mut cloud = Cloud::with_hosts(&["one", "two"], HostSize::default()).await;
    let server = cloud.running().await;
    let volume = cloud.block.add(&json!({}));
    attach(&mut cloud, &server, json!({"volumeId": volume}))
        .await
        .expect(200);
    cloud.settle().await;
    let host = cloud.show(&server).await["OS-EXT-SRV-ATTR:host"]
        .as_str()
        .unwrap()
        .to_owned();
    cloud.hosts.remove(&host);
    let mut tx = cloud.db.write().await.unwrap();
    tx.exec(
        "UPDATE hosts SET forced_down = $1 WHERE host = $2",
        args![true, host],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let admin = cloud.admin().at("compute 2.96");
    admin
        .post(
            &format!("/v2.1/servers/{server}/action"),
            json!({"evacuate": {}}),
        )
        .await
        .expect(200);
    cloud.settle().await;
    assert_eq!(
        plugged(&cloud, &server),
        [(volume.clone(), "vdb".to_owned())]
    );
    assert_eq!(cloud.block.attachments(), 1);
    assert_eq!(cloud.block.status(&volume), "in-use");
    let connectors = cloud.block.state().connectors.clone();
    assert_ne!(connectors[0]["host"], connectors[1]["host"]);
}

#[tokio::test]
async fn an_attachment_is_changed_only_in_what_may_change() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let (volume, other) = (cloud.block.add(&json!({})), cloud.block.add(&json!({})));
    attach(&mut cloud, &server, json!({"volumeId": volume}))
        .await
        .expect(200);
    cloud.settle().await;
    let target = format!("{}/{volume}", attachments(&server));
    let member = cloud.member().at("compute 2.85");
    let body = |wish: Value| json!({ "volumeAttachment": wish });
    let wish = json!({"volumeId": volume, "device": "/dev/vdb", "delete_on_termination": true});
    member.put(&target, body(wish)).await.expect(202);
    for (key, value) in [
        ("device", "/dev/vdc"),
        ("tag", "x"),
        ("serverId", volume.as_str()),
        ("id", other.as_str()),
    ] {
        let answer = member
            .put(&target, body(json!({"volumeId": volume, key: value})))
            .await
            .expect(400);
        let words = answer.json["badRequest"]["message"].as_str().unwrap();
        assert_eq!(words, format!("The {key} property is not mutable"));
    }
    member
        .put(&target, body(json!({"volumeId": other})))
        .await
        .expect(403);
    let older = cloud.member().at("compute 2.84");
    older
        .put(&target, body(json!({"volumeId": volume})))
        .await
        .expect(403);
    cloud
        .member()
        .delete(&format!("/v2.1/servers/{server}"))
        .await
        .expect(204);
    cloud.settle().await;
    assert_eq!(
        cloud.block.status(&volume),
        "gone",
        "it goes with the server now"
    );
    cloud.assert_nothing_left().await;
}

#[tokio::test]
async fn each_version_shows_an_attachment_as_it_was() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let volume = cloud.block.add(&json!({}));
    attach(&mut cloud, &server, json!({"volumeId": volume}))
        .await
        .expect(200);
    cloud.settle().await;
    let keys = [
        ("id", v(2, 1), Some(v(2, 89))),
        ("tag", v(2, 70), None),
        ("delete_on_termination", v(2, 79), None),
        ("attachment_id", v(2, 89), None),
        ("bdm_uuid", v(2, 89), None),
    ];
    for at in [
        v(2, 1),
        v(2, 69),
        v(2, 70),
        v(2, 78),
        v(2, 79),
        v(2, 88),
        v(2, 89),
        v(2, 96),
    ] {
        let member = cloud.member().at(&format!("compute {at}"));
        let list = member.get(&attachments(&server)).await.expect(200).json;
        for (key, since, until) in keys {
            let there = at >= since && until.is_none_or(|until| at < until);
            assert_eq!(
                list["volumeAttachments"][0].get(key).is_some(),
                there,
                "{key} at {at}"
            );
        }
    }
    for (at, key, status) in [("2.48", "tag", 400), ("2.78", "delete_on_termination", 400)] {
        let wish = json!({"volumeId": volume, key: "true"});
        attach_at(&mut cloud, at, &server, wish)
            .await
            .expect(status);
    }
    let admin = cloud.admin();
    for (at, there) in [("2.1", false), ("2.3", true)] {
        let shown = admin
            .at(&format!("compute {at}"))
            .get(&format!("/v2.1/servers/{server}"))
            .await
            .expect(200);
        let volumes = &shown.json["server"]["os-extended-volumes:volumes_attached"];
        assert_eq!(
            volumes[0].get("delete_on_termination").is_some(),
            there,
            "{at}"
        );
    }
}

#[tokio::test]
async fn a_guest_reads_of_its_volumes() {
    let mut cloud = Cloud::new().await;
    let devices = json!([
        {"source_type": "image", "destination_type": "local", "boot_index": 0, "uuid": cloud.image_id},
        {"source_type": "blank", "destination_type": "volume", "volume_size": 1, "tag": "scratch"},
    ]);
    let id = cloud
        .create(&json!({"block_device_mapping_v2": devices, "config_drive": true}))
        .await;
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["status"], "ACTIVE");
    assert_ne!(cloud.show(&id).await["image"], "");
    let volume = plugged(&cloud, &id)[0].0.clone();
    let meta = crate::guest::read(&cloud, &id, "openstack/latest/meta_data.json").await;
    let meta: Value = serde_json::from_slice(&meta).unwrap();
    let disk = json!({"type": "disk", "bus": "none", "address": "none", "serial": volume, "path": "/dev/vdb",
        "tags": ["scratch"]});
    assert_eq!(meta["devices"], json!([disk]));
    let names = crate::guest::read(&cloud, &id, "latest/meta-data/block-device-mapping/").await;
    assert_eq!(names, b"ami\nroot\nebs0");
    let ebs = crate::guest::read(&cloud, &id, "latest/meta-data/block-device-mapping/ebs0").await;
    assert_eq!(ebs, b"/dev/vdb");
}
