//! Images that are made of servers.

use nephos_compute::driver::DriverError;
use nephos_compute::driver::fake::Verb;
use nephos_compute::model::snapshot::{KIND_SNAPSHOT, SnapshotSeen};
use nephos_ops::feed;
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::crash::{killed_everywhere, seen};
use crate::volumes::outcome;

/// Asks for an image; gives its id.
async fn begin(cloud: &Cloud, server: &str, name: &str) -> String {
    let body = json!({"createImage": {"name": name, "metadata": {"purpose": "backup", "os_distro": "ours"}}});
    let answer = cloud.act(server, body).await.expect(202);
    answer.json["image_id"].as_str().unwrap().to_owned()
}

fn image(cloud: &Cloud, id: &str) -> Option<Value> {
    cloud.image.state().get(id).cloned()
}

async fn task(cloud: &Cloud, server: &str) -> Value {
    cloud.show(server).await["OS-EXT-STS:task_state"].clone()
}

/// The next try of the host, and those after it, find it busy.
fn busy(cloud: &Cloud) {
    let busy = DriverError::Unavailable("busy".to_owned());
    cloud.simulated.fail_next("one", Verb::Snapshot, busy);
}

#[tokio::test]
async fn an_image_says_whose_it_is_and_what_it_was_made_of() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let id = begin(&cloud, &server, "copy").await;
    let begun = image(&cloud, &id).unwrap();
    assert_eq!(begun["status"], "queued", "it is there at once");
    assert_eq!(task(&cloud, &server).await, "image_snapshot_pending");
    cloud.settle().await;
    assert_eq!(task(&cloud, &server).await, Value::Null);
    assert_eq!(cloud.show(&server).await["status"], "ACTIVE");
    let made = image(&cloud, &id).unwrap();
    assert_eq!(
        made,
        json!({
            "id": id, "name": "copy", "status": "active", "visibility": "private", "container_format": "bare",
            "disk_format": "qcow2", "min_disk": 1, "min_ram": 0, "image_type": "snapshot", "image_location": "snapshot",
            "image_state": "available", "instance_uuid": server, "owner_id": Persona::Member.project(),
            "user_id": made["user_id"], "base_image_ref": cloud.image_id,
            "purpose": "backup", "os_distro": "ours",
        })
    );
    let (result, _) = outcome(&cloud, &server, "createImage").await;
    assert_eq!(result, "Success");
}

#[tokio::test]
async fn before_2_45_a_header_says_which_image_it_is() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let target = format!("/v2.1/servers/{server}/action");
    let body = json!({"createImage": {"name": "copy"}});
    let old = cloud.member().at("compute 2.44");
    let answer = old.post(&target, body).await.expect(202);
    assert!(answer.bytes.is_empty());
    let location = answer.header("location").unwrap();
    let id = location.rsplit('/').next().unwrap();
    assert!(location.ends_with(&format!("/image/v2/images/{id}")));
    cloud.settle().await;
    assert_eq!(image(&cloud, id).unwrap()["status"], "active");
}

#[tokio::test]
async fn what_cannot_be_made_an_image_of_says_so() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let images = cloud.image.state().len();
    let wrong = [
        json!({}),
        json!({"name": ""}),
        json!({"name": "x".repeat(256)}),
        json!({"name": "x", "metadata": {"": "x"}}),
        json!({"name": "x", "metadata": {"k": "v".repeat(256)}}),
        json!({"name": "x", "metadata": {"k": 1}}),
        json!({"name": "x", "more": "x"}),
    ];
    for body in wrong {
        let said = cloud.act(&server, json!({ "createImage": body })).await;
        assert_eq!(said.status, 400, "{body}");
    }
    let many: serde_json::Map<String, Value> =
        (0..129).map(|n| (n.to_string(), json!("x"))).collect();
    let body = json!({"createImage": {"name": "x", "metadata": many}});
    cloud.act(&server, body).await.expect(403);
    // What the image service refuses is refused.
    let body = json!({"createImage": {"name": "too many"}});
    cloud.act(&server, body).await.expect(403);
    assert_eq!(cloud.image.state().len(), images);
    // One at a time.
    let first = begin(&cloud, &server, "first").await;
    let body = json!({"createImage": {"name": "second"}});
    let said = cloud.act(&server, body.clone()).await.expect(409);
    let words = said.json["conflictingRequest"]["message"].to_string();
    assert!(words.contains("Cannot 'createImage' instance"), "{words}");
    let stop = cloud.act(&server, json!({"os-stop": null})).await;
    assert_eq!(stop.status, 409);
    cloud.settle().await;
    assert_eq!(image(&cloud, &first).unwrap()["status"], "active");
    assert_eq!(cloud.image.state().len(), images + 1);
    // A lock is not in its way: nothing of the server changes.
    cloud.act(&server, json!({"lock": null})).await.expect(202);
    cloud.act(&server, body).await.expect(202);
    cloud.settle().await;
    cloud
        .act(&server, json!({"unlock": null}))
        .await
        .expect(202);
    for (action, status) in [
        ("os-stop", "SHUTOFF"),
        ("os-start", "ACTIVE"),
        ("pause", "PAUSED"),
    ] {
        cloud
            .act(&server, json!({ action: null }))
            .await
            .expect(202);
        cloud.settle().await;
        let id = begin(&cloud, &server, action).await;
        cloud.settle().await;
        assert_eq!(image(&cloud, &id).unwrap()["status"], "active", "{action}");
        assert_eq!(cloud.show(&server).await["status"], status);
    }
}

#[tokio::test]
async fn a_server_that_boots_from_a_volume_is_told_what_to_do_instead() {
    let mut cloud = Cloud::new().await;
    let devices = json!([{"source_type": "image", "destination_type": "volume", "boot_index": 0, "uuid": cloud.image_id,
        "volume_size": 2, "delete_on_termination": true}]);
    let body = json!({"imageRef": "", "block_device_mapping_v2": devices});
    let server = cloud.create(&body).await;
    cloud.settle().await;
    let body = json!({"createImage": {"name": "x"}});
    let said = cloud.act(&server, body).await.expect(400);
    let words = said.json["badRequest"]["message"].to_string();
    assert!(words.contains("snapshot of the volume"), "{words}");
    assert_eq!(task(&cloud, &server).await, Value::Null);
}

#[tokio::test]
async fn a_host_that_cannot_leaves_no_image_and_the_server_as_it_was() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let full = DriverError::Refused("the host's disk is full".to_owned());
    cloud.simulated.fail_next("one", Verb::Snapshot, full);
    let id = begin(&cloud, &server, "copy").await;
    cloud.settle().await;
    assert_eq!(image(&cloud, &id), None);
    let shown = cloud.show(&server).await;
    assert_eq!(
        (&shown["status"], &shown["OS-EXT-STS:task_state"]),
        (&json!("ACTIVE"), &Value::Null)
    );
    let (result, why) = outcome(&cloud, &server, "createImage").await;
    assert_eq!(
        (result.as_str(), why.as_str()),
        ("Error", "the host's disk is full")
    );
    // And the next one is made.
    let id = begin(&cloud, &server, "copy").await;
    cloud.settle().await;
    assert_eq!(image(&cloud, &id).unwrap()["status"], "active");
}

#[tokio::test]
async fn an_image_that_is_deleted_meanwhile_ends_the_work() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    busy(&cloud);
    let id = begin(&cloud, &server, "copy").await;
    cloud.work_for(3).await;
    assert_eq!(task(&cloud, &server).await, "image_pending_upload");
    cloud.image.state().remove(&id);
    cloud.settle().await;
    assert_eq!(task(&cloud, &server).await, Value::Null);
    let (result, why) = outcome(&cloud, &server, "createImage").await;
    assert_eq!(result, "Error");
    assert!(why.contains("deleted before"), "{why}");
}

#[tokio::test]
async fn a_server_that_is_deleted_meanwhile_takes_the_image_along() {
    for told in [false, true] {
        let mut cloud = Cloud::new().await;
        let server = cloud.running().await;
        busy(&cloud);
        let id = begin(&cloud, &server, "copy").await;
        if told {
            cloud.work_for(3).await;
        }
        let target = format!("/v2.1/servers/{server}");
        cloud.member().delete(&target).await.expect(204);
        cloud.settle().await;
        assert_eq!(image(&cloud, &id), None);
        cloud.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_host_that_is_off_ends_the_work() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    busy(&cloud);
    let id = begin(&cloud, &server, "copy").await;
    cloud.work_for(3).await;
    declare_off(&cloud).await;
    cloud.work_for(12).await;
    assert_eq!(image(&cloud, &id), None);
    assert_eq!(task(&cloud, &server).await, Value::Null);
}

#[tokio::test]
async fn an_image_that_has_its_data_stays_whatever_becomes_of_the_host_and_the_server() {
    for deleted in [false, true] {
        let mut cloud = Cloud::new().await;
        let server = cloud.running().await;
        busy(&cloud);
        let id = begin(&cloud, &server, "copy").await;
        cloud.work_for(3).await;
        assert_eq!(task(&cloud, &server).await, "image_pending_upload");
        cloud.image.state().get_mut(&id).unwrap()["status"] = json!("active");
        if deleted {
            let target = format!("/v2.1/servers/{server}");
            cloud.member().delete(&target).await.expect(204);
            cloud.settle().await;
        } else {
            declare_off(&cloud).await;
            cloud.work_for(12).await;
            let (result, _) = outcome(&cloud, &server, "createImage").await;
            assert_eq!(result, "Success");
            assert_eq!(task(&cloud, &server).await, Value::Null);
        }
        assert_eq!(image(&cloud, &id).unwrap()["status"], "active");
    }
}

/// Host `one` is off, its operator says.
async fn declare_off(cloud: &Cloud) {
    let admin = cloud.admin().at("compute 2.96");
    let services = admin.get("/v2.1/os-services").await;
    let services = services.json["services"].as_array().cloned().unwrap();
    let ours = services.iter().find(|one| one["host"] == "one");
    let id = ours.unwrap()["id"].as_str().unwrap();
    let target = format!("/v2.1/os-services/{id}");
    let off = json!({"forced_down": true});
    admin.put(&target, off).await.expect(200);
}

#[tokio::test]
async fn what_a_host_says_late_is_not_kept() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    begin(&cloud, &server, "copy").await;
    cloud.settle().await;
    let late = json!([{"kind": KIND_SNAPSHOT, "id": server, "generation_seen": 1, "state": "",
        "detail": SnapshotSeen::Uploaded, "at": cloud.world.clock.now()}]);
    let host = cloud.ask.as_host("one");
    host.put("/host/v1/observed?host=one", late)
        .await
        .expect(204);
    let kept = feed::observed(&cloud.db, KIND_SNAPSHOT, &server).await;
    assert!(kept.unwrap().is_empty());
}

#[tokio::test]
async fn an_image_that_an_administrator_makes_is_shared_with_the_servers_project() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let make = |name: &str| json!({"createImage": {"name": name}});
    let target = format!("/v2.1/servers/{server}/action");
    let admin = cloud.admin().at("compute 2.45");
    // Nobody could see it: it is not made.
    let images = cloud.image.state().len();
    let said = admin.post(&target, make("alone")).await;
    assert_eq!(said.status, 403);
    assert_eq!(cloud.image.state().len(), images);
    let made = admin.post(&target, make("copy")).await.expect(202);
    cloud.settle().await;
    let id = made.json["image_id"].as_str().unwrap();
    let made = image(&cloud, id).unwrap();
    let (shown, with) = (&made["visibility"], &made["members"]);
    let project = Persona::Member.project();
    assert_eq!((shown, with), (&json!("shared"), &json!([project])));
    assert_eq!(made["status"], "active");
}

#[tokio::test]
async fn an_image_of_a_server_that_was_made_of_such_an_image_says_where_the_first_came_from() {
    let mut cloud = Cloud::new().await;
    let more = json!({"base_image_ref": "first", "boot_roles": "somebody else's"});
    let image_id = cloud.image.add_image(&more);
    let server = cloud.create(&json!({ "imageRef": image_id })).await;
    cloud.settle().await;
    let id = begin(&cloud, &server, "copy").await;
    let made = image(&cloud, &id).unwrap();
    assert_eq!(made["base_image_ref"], "first");
    assert_eq!(made.get("boot_roles"), None);
}

#[tokio::test]
async fn a_host_is_let_in_only_for_the_image_that_it_is_told_of_and_only_while_it_is() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let service = cloud.ask.as_persona(Persona::Service);
    let may = |host: &str, image: &str| format!("/host/v1/hosts/{host}/snapshots/{image}");
    busy(&cloud);
    let id = begin(&cloud, &server, "copy").await;
    service.get(&may("one", &id)).await.expect(404);
    cloud.work_for(3).await;
    service.get(&may("one", &id)).await.expect(204);
    service.get(&may("two", &id)).await.expect(404);
    service.get(&may("one", &cloud.image_id)).await.expect(404);
    cloud.image.state().get_mut(&id).unwrap()["status"] = json!("active");
    cloud.settle().await;
    service.get(&may("one", &id)).await.expect(404);
}

/// Made of a running server; refused by the host; broken off because the server is deleted.
async fn life() -> (Vec<Value>, u32) {
    let mut cloud = Cloud::new().await;
    let mut story = Vec::new();
    let server = cloud.running().await;
    let first = begin(&cloud, &server, "first").await;
    cloud.settle().await;
    let status = |cloud: &Cloud, id: &str| image(cloud, id).map(|image| image["status"].clone());
    story.push(json!([
        seen(&cloud.show(&server).await),
        status(&cloud, &first),
        outcome(&cloud, &server, "createImage").await,
    ]));
    let no = DriverError::Refused("no".to_owned());
    cloud.simulated.fail_next("one", Verb::Snapshot, no);
    let second = begin(&cloud, &server, "second").await;
    cloud.settle().await;
    story.push(json!([
        seen(&cloud.show(&server).await),
        status(&cloud, &second)
    ]));
    busy(&cloud);
    let third = begin(&cloud, &server, "third").await;
    // The lease of a worker that is killed here runs out first.
    cloud.work_for(12).await;
    story.push(seen(&cloud.show(&server).await));
    let target = format!("/v2.1/servers/{server}");
    cloud.member().delete(&target).await.expect(204);
    cloud.settle().await;
    story.push(json!([status(&cloud, &third), status(&cloud, &first)]));
    cloud.assert_nothing_left().await;
    (story, cloud.killed)
}

#[tokio::test]
async fn images_of_a_server_killed_anywhere_come_to_the_same_end() {
    killed_everywhere(life, 25).await;
}
