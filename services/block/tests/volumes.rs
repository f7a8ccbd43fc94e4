//! Volumes: made, shown, changed, extended, deleted.

use serde_json::{Value, json};

use crate::kit::{IMAGE, cloud, created, image, message};

#[tokio::test]
async fn an_empty_volume_is_made_and_shown_and_leaves_nothing() {
    let cloud = cloud().await;
    let id = created(
        &cloud.member(),
        json!({"size": 2, "name": " v ", "metadata": {"a": "b"}}),
    )
    .await;
    assert_eq!(cloud.status(&id).await, "creating");
    cloud.settle().await;
    let volume = cloud.show(&id).await;
    assert_eq!(volume["status"], "available");
    assert_eq!((&volume["name"], &volume["size"]), (&json!("v"), &json!(2)));
    assert_eq!(volume["metadata"], json!({"a": "b"}));
    assert_eq!(
        (&volume["bootable"], &volume["multiattach"]),
        (&json!("false"), &json!(false))
    );
    assert_eq!(volume["volume_type"], "__DEFAULT__");
    assert!(
        volume.get("os-vol-host-attr:host").is_none(),
        "only administrators see hosts"
    );
    assert_eq!(
        std::fs::metadata(cloud.file(&format!("volume-{id}")))
            .unwrap()
            .len(),
        2 << 30
    );
    assert_eq!(cloud.usage().await, (1, 0, 2));
    cloud
        .member()
        .delete(&format!("/v3/volumes/{id}"))
        .await
        .expect(202);
    assert_eq!(cloud.status(&id).await, "deleting");
    cloud.settle().await;
    let gone = cloud
        .member()
        .get(&format!("/v3/volumes/{id}"))
        .await
        .expect(404);
    assert_eq!(
        message(&gone.json),
        format!("Volume {id} could not be found.")
    );
    assert_eq!(cloud.files(), [""; 0]);
    assert_eq!(cloud.usage().await, (0, 0, 0));
}

#[tokio::test]
async fn a_volume_of_an_image_holds_its_bytes_boots_and_knows_it() {
    let cloud = cloud().await;
    image(&cloud, b"the bytes of an image");
    let one = created(&cloud.member(), json!({"size": 1, "imageRef": IMAGE})).await;
    let two = created(&cloud.member(), json!({"size": 1, "imageRef": IMAGE})).await;
    cloud.settle().await;
    for id in [&one, &two] {
        let volume = cloud.show(id).await;
        assert_eq!(
            (&volume["status"], &volume["bootable"]),
            (&json!("available"), &json!("true"))
        );
        assert_eq!(volume["volume_image_metadata"]["image_id"], IMAGE);
        assert_eq!(volume["volume_image_metadata"]["os_distro"], "x");
    }
    let layers = cloud
        .files()
        .iter()
        .filter(|name| name.starts_with("layer-"))
        .count();
    assert!(
        layers <= 2,
        "an image is fetched once for each back end, not for each volume"
    );
    assert_eq!(read(&cloud, &one, 21), b"the bytes of an image");
}

/// What a guest would read.
fn read(cloud: &crate::kit::Cloud, id: &str, length: usize) -> Vec<u8> {
    let out = cloud.world.folder().join("read.raw");
    let path = cloud.file(&format!("volume-{id}"));
    let info = std::process::Command::new("qemu-img")
        .args(["info", "--output=json"])
        .arg(&path)
        .output()
        .unwrap();
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    let done = std::process::Command::new("qemu-img")
        .args([
            "convert",
            "-f",
            info["format"].as_str().unwrap(),
            "-O",
            "raw",
        ])
        .args([&path, &out])
        .status();
    assert!(done.unwrap().success());
    let mut bytes = std::fs::read(&out).unwrap();
    bytes.truncate(length);
    bytes
}

fn write(cloud: &crate::kit::Cloud, id: &str, bytes: &[u8]) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(cloud.file(&format!("volume-{id}")))
        .unwrap();
    file.write_at(bytes, 0).unwrap();
}

#[tokio::test]
async fn copies_of_a_volume_and_of_its_snapshot_hold_what_was_there_then() {
    let cloud = cloud().await;
    let first = cloud.volume().await;
    write(&cloud, &first, b"before");
    let snapshot = cloud.snapshot(&first).await;
    let clone = cloud
        .volume_of(json!({"source_volid": first, "size": 2}))
        .await;
    let restored = cloud.volume_of(json!({"snapshot_id": snapshot})).await;
    for id in [&first, &clone, &restored] {
        assert_eq!(cloud.status(id).await, "available");
        assert_eq!(read(&cloud, id, 6), b"before");
    }
    assert_eq!(cloud.show(&clone).await["size"], 2);
    assert_eq!(cloud.show(&restored).await["snapshot_id"], json!(snapshot));
    // In any order, and nothing is left.
    for id in [&first, &clone, &restored] {
        cloud
            .member()
            .delete(&format!("/v3/volumes/{id}?cascade=true"))
            .await
            .expect(202);
        cloud.settle().await;
    }
    assert_eq!(cloud.files(), [""; 0]);
    assert_eq!(cloud.usage().await, (0, 0, 0));
}

#[tokio::test]
async fn several_copies_at_once_wait_for_each_other() {
    let cloud = cloud().await;
    let first = cloud.volume().await;
    write(&cloud, &first, b"same");
    let mut copies = Vec::new();
    for _copy in 0..3 {
        copies.push(created(&cloud.member(), json!({"source_volid": first, "size": 1})).await);
    }
    cloud.settle().await;
    for id in &copies {
        assert_eq!(cloud.status(id).await, "available");
        assert_eq!(read(&cloud, id, 4), b"same");
    }
}

#[tokio::test]
async fn a_volume_is_extended_and_compute_is_told_when_a_server_has_it() {
    let cloud = cloud().await;
    let id = cloud.volume().await;
    let action = format!("/v3/volumes/{id}/action");
    cloud
        .member()
        .post(&action, json!({"os-extend": {"new_size": 2}}))
        .await
        .expect(202);
    assert_eq!(cloud.status(&id).await, "extending");
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["size"], 2);
    assert_eq!(
        std::fs::metadata(cloud.file(&format!("volume-{id}")))
            .unwrap()
            .len(),
        2 << 30
    );
    assert_eq!(cloud.usage().await, (1, 0, 2));
    assert!(cloud.compute.told.lock().unwrap().is_empty());
    cloud.attached(&id).await;
    cloud
        .member()
        .at("volume 3.41")
        .post(&action, json!({"os-extend": {"new_size": 3}}))
        .await
        .expect(400);
    cloud
        .member()
        .post(&action, json!({"os-extend": {"new_size": 3}}))
        .await
        .expect(202);
    cloud.settle().await;
    let volume = cloud.show(&id).await;
    assert_eq!(
        (&volume["size"], &volume["status"]),
        (&json!(3), &json!("in-use"))
    );
    let told = cloud.compute.told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("volume-extended") && told[0].contains(&id),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_is_written_of_a_volume_while_it_grows_stays() {
    let cloud = cloud().await;
    let id = cloud.volume().await;
    cloud.attached(&id).await;
    let (member, target) = (cloud.member(), format!("/v3/volumes/{id}"));
    let extend = json!({"os-extend": {"new_size": 2}});
    let action = format!("{target}/action");
    member.post(&action, extend).await.expect(202);
    let rename = async move {
        let body = json!({"volume": {"name": "meanwhile", "description": "as well"}});
        member.put(&target, body).await.expect(200);
    };
    *cloud.compute.meanwhile.lock().unwrap() = Some(Box::pin(rename));
    cloud.settle().await;
    let shown = cloud.show(&id).await;
    let seen = ["name", "description", "size", "status"].map(|key| shown[key].clone());
    assert_eq!(json!(seen), json!(["meanwhile", "as well", 2, "in-use"]));
}

#[tokio::test]
async fn names_metadata_and_flags_are_changed() {
    let cloud = cloud().await;
    let id = cloud.volume().await;
    let target = format!("/v3/volumes/{id}");
    let body = json!({"volume": {"name": "new", "description": null}});
    let answer = cloud.member().put(&target, body).await.expect(200).json;
    assert_eq!(answer["volume"]["name"], "new");
    cloud
        .member()
        .put(&target, json!({"volume": {}}))
        .await
        .expect(400);
    let items = format!("{target}/metadata");
    cloud
        .member()
        .post(&items, json!({"metadata": {"a": "1", "b": "2"}}))
        .await
        .expect(200);
    cloud
        .member()
        .put(&format!("{items}/a"), json!({"meta": {"a": "3"}}))
        .await
        .expect(200);
    cloud
        .member()
        .delete(&format!("{items}/b"))
        .await
        .expect(200);
    cloud
        .member()
        .delete(&format!("{items}/b"))
        .await
        .expect(404);
    let answer = cloud.member().get(&items).await.expect(200).json;
    assert_eq!(answer, json!({"metadata": {"a": "3"}}));
    let action = format!("{target}/action");
    cloud
        .member()
        .post(&action, json!({"os-set_bootable": {"bootable": true}}))
        .await
        .expect(200);
    cloud
        .member()
        .post(
            &action,
            json!({"os-update_readonly_flag": {"readonly": true}}),
        )
        .await
        .expect(202);
    cloud
        .member()
        .post(
            &action,
            json!({"os-set_image_metadata": {"metadata": {"k": "v"}}}),
        )
        .await
        .expect(200);
    let volume = cloud.show(&id).await;
    assert_eq!(volume["bootable"], "true");
    assert_eq!(volume["metadata"]["readonly"], "True");
    assert_eq!(volume["volume_image_metadata"], json!({"k": "v"}));
    cloud
        .member()
        .post(&action, json!({"os-unset_image_metadata": {"key": "k"}}))
        .await
        .expect(200);
}

#[tokio::test]
async fn an_administrator_sets_states_and_deletes_by_force() {
    let cloud = cloud().await;
    let id = cloud.volume().await;
    let action = format!("/v3/volumes/{id}/action");
    cloud
        .member()
        .post(&action, json!({"os-reset_status": {"status": "error"}}))
        .await
        .expect(403);
    cloud
        .admin()
        .post(&action, json!({"os-reset_status": {"status": "reserved"}}))
        .await
        .expect(202);
    cloud
        .admin()
        .post(&action, json!({"os-reset_status": {"status": "odd"}}))
        .await
        .expect(400);
    cloud
        .member()
        .delete(&format!("/v3/volumes/{id}"))
        .await
        .expect(400);
    cloud
        .admin()
        .post(&action, json!({"os-force_delete": {}}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.files(), [""; 0]);
}

#[tokio::test]
async fn older_versions_show_what_they_showed() {
    let cloud = cloud().await;
    let id = cloud.volume().await;
    let at = |version: &'static str| {
        let ask = cloud.member().at(version);
        let target = format!("/v3/volumes/{id}");
        async move { ask.get(&target).await.expect(200).json["volume"].clone() }
    };
    for (key, since, before) in [
        ("group_id", "volume 3.13", "volume 3.12"),
        ("shared_targets", "volume 3.48", "volume 3.47"),
        ("service_uuid", "volume 3.48", "volume 3.47"),
        ("volume_type_id", "volume 3.63", "volume 3.62"),
        ("consumes_quota", "volume 3.65", "volume 3.64"),
    ] {
        assert!(at(since).await.get(key).is_some(), "{key} at {since}");
        assert!(at(before).await.get(key).is_none(), "{key} at {before}");
    }
    cloud
        .member()
        .at("volume 3.68")
        .get("/v3/volumes")
        .await
        .expect(406);
}

#[tokio::test]
async fn a_sibling_makes_and_deletes_volumes_for_their_owner() {
    let cloud = cloud().await;
    let project = nephos_testkit::Persona::Member.project();
    let root = format!("/v3/{project}/volumes");
    let body = json!({"volume": {"size": 1, "name": "root"}});
    let made = cloud.service().post(&root, body).await.expect(202).json;
    let id = made["volume"]["id"].as_str().unwrap();
    cloud.settle().await;
    assert_eq!(cloud.status(id).await, "available");
    assert_eq!(cloud.usage().await, (1, 0, 1));
    cloud
        .other()
        .get(&format!("/v3/volumes/{id}"))
        .await
        .expect(404);
    let found = cloud
        .service()
        .get(&format!("{root}/detail?name=root"))
        .await
        .expect(200)
        .json;
    assert_eq!(found["volumes"][0]["id"], id);
    cloud
        .service()
        .delete(&format!("{root}/{id}"))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.usage().await, (0, 0, 0));
}

#[tokio::test]
async fn force_takes_nothing_from_a_server_that_has_it() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let attachment = cloud.attached(&volume).await;
    let action = format!("/v3/volumes/{volume}/action");
    let force = json!({"os-force_delete": {}});
    let refused = cloud.admin().post(&action, force.clone()).await.expect(400);
    assert!(
        message(&refused.json).contains("attached"),
        "{}",
        refused.json
    );
    let forced = format!("/v3/volumes/{volume}?force=true");
    cloud.admin().delete(&forced).await.expect(400);
    cloud.settle().await;
    assert_eq!(cloud.files().len(), 1);
    let target = format!("/v3/attachments/{attachment}");
    cloud.service().delete(&target).await.expect(200);
    let wrong = json!({"os-reset_status": {"status": "extending"}});
    cloud.admin().post(&action, wrong).await.expect(202);
    cloud.admin().post(&action, force).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.files(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_in_volumes_is_for_nobody_else_on_the_machine() {
    use std::os::unix::fs::PermissionsExt as _;
    let cloud = cloud().await;
    let first = cloud.volume().await;
    cloud.snapshot(&first).await;
    let copy = cloud
        .volume_of(json!({"size": 1, "source_volid": first}))
        .await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in cloud.files() {
        assert_eq!(mode(&cloud.file(&name)), 0o600, "{name}");
    }
    let folder = cloud.file(&format!("volume-{copy}"));
    let folder = folder.parent().unwrap();
    assert_eq!(mode(folder), 0o711);
    assert_eq!(mode(folder.parent().unwrap()), 0o711);
}
