//! Snapshots.

use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message};

/// A snapshot of a volume that is kept without being one; its former id.
pub async fn unmanaged(cloud: &Cloud, volume: &str) -> String {
    let id = cloud.snapshot(volume).await;
    let target = format!("/v3/snapshots/{id}/action");
    let body = json!({"os-unmanage": {}});
    cloud.admin().post(&target, body).await.expect(202);
    id
}

fn managed(volume: &str, former: &str) -> Value {
    let reference = json!({"source-name": format!("_snapshot-{former}")});
    json!({"snapshot": {"volume_id": volume, "ref": reference, "name": "again", "metadata": {"k": "v"}}})
}

#[tokio::test]
async fn a_snapshot_is_forgotten_and_found_again_with_what_was_in_it() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    std::fs::write(cloud.file(&format!("volume-{volume}")), "what was written").unwrap();
    let former = unmanaged(&cloud, &volume).await;
    let target = format!("/v3/snapshots/{former}");
    cloud.member().get(&target).await.expect(404);
    assert_eq!(cloud.usage().await, (1, 0, 1));
    let unmanage = json!({"os-unmanage": {}});
    let action = format!("{target}/action");
    cloud
        .admin()
        .post(&action, unmanage.clone())
        .await
        .expect(404);
    // Housekeeping does not take its bytes.
    cloud.settle().await;
    let all = "/v3/manageable_snapshots/detail?host=here@one";
    let listed = cloud.admin().get(all).await.expect(200).json;
    let wanted = json!([{
        "reference": {"source-name": format!("_snapshot-{former}")}, "size": 1, "safe_to_manage": true,
        "reason_not_safe": null, "cinder_id": null, "extra_info": null,
        "source_reference": {"source-name": format!("volume-{volume}")},
    }]);
    assert_eq!(listed["manageable-snapshots"], wanted);
    let another = cloud.volume().await;
    let wrong = managed(&another, &former);
    let refused = cloud
        .admin()
        .post("/v3/os-snapshot-manage", wrong)
        .await
        .expect(400);
    assert!(
        message(&refused.json).contains(&another),
        "{}",
        refused.json
    );
    let made = cloud
        .admin()
        .post("/v3/os-snapshot-manage", managed(&volume, &former))
        .await;
    let made = made.expect(202).json["snapshot"].clone();
    assert_eq!(
        (
            &made["status"],
            &made["name"],
            &made["size"],
            &made["metadata"]
        ),
        (
            &json!("available"),
            &json!("again"),
            &json!(1),
            &json!({"k": "v"})
        )
    );
    assert_eq!(cloud.usage().await, (2, 1, 3));
    let again = managed(&volume, &former);
    cloud
        .admin()
        .post("/v3/manageable_snapshots", again)
        .await
        .expect(400);
    let listed = cloud.admin().get(all).await.expect(200).json;
    let (one, id) = (
        &listed["manageable-snapshots"][0],
        made["id"].as_str().unwrap(),
    );
    assert_eq!(
        (
            &one["safe_to_manage"],
            &one["reason_not_safe"],
            &one["cinder_id"]
        ),
        (&json!(false), &json!("already managed"), &json!(id))
    );
    let copy = cloud.volume_of(json!({"size": 1, "snapshot_id": id})).await;
    assert_eq!(cloud.status(&copy).await, "available");
}

#[tokio::test]
async fn what_was_a_snapshot_goes_with_its_volume() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let former = unmanaged(&cloud, &volume).await;
    let target = format!("/v3/volumes/{volume}");
    cloud.member().delete(&target).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.files(), Vec::<String>::new());
    cloud
        .admin()
        .post("/v3/manageable_snapshots", managed(&volume, &former))
        .await
        .expect(404);
    cloud
        .admin()
        .get("/v3/manageable_snapshots")
        .await
        .expect(400);
    cloud
        .admin()
        .get("/v3/manageable_snapshots?host=mars@one")
        .await
        .expect(404);
}

#[tokio::test]
async fn manageable_snapshots_have_pages_and_an_order() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let mut ids = [
        cloud.snapshot(&volume).await,
        unmanaged(&cloud, &volume).await,
    ];
    ids.sort();
    let names = async |query: &str| {
        let target = format!("/v3/manageable_snapshots?host=here@one%23one{query}");
        let found = cloud.admin().get(&target).await.expect(200).json;
        let all = found["manageable-snapshots"].as_array().unwrap().clone();
        let name = |one: &Value| one["reference"]["source-name"].as_str().unwrap().to_owned();
        all.iter().map(name).collect::<Vec<_>>()
    };
    let wanted: Vec<String> = ids.iter().map(|id| format!("_snapshot-{id}")).collect();
    assert_eq!(names("&sort=reference:asc").await, wanted);
    assert_eq!(names("&sort=reference:asc&limit=1").await, wanted[..1]);
    assert_eq!(names("&sort=reference:asc&offset=1").await, wanted[1..]);
    let marker = format!(
        "&sort=reference:asc&marker=%7B'source-name':'{}'%7D",
        wanted[0]
    );
    assert_eq!(names(&marker).await, wanted[1..]);
}

#[tokio::test]
async fn a_snapshot_is_made_shown_changed_and_deleted() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let id = cloud.snapshot(&volume).await;
    let target = format!("/v3/snapshots/{id}");
    let shown = cloud.member().get(&target).await.expect(200).json["snapshot"].clone();
    assert_eq!(
        (&shown["status"], &shown["size"]),
        (&json!("available"), &json!(1))
    );
    assert_eq!(shown["os-extended-snapshot-attributes:progress"], "100%");
    assert_eq!(cloud.usage().await, (1, 1, 2));
    let changed = cloud
        .member()
        .put(&target, json!({"snapshot": {"name": "t"}}))
        .await
        .expect(200);
    assert_eq!(changed.json["snapshot"]["name"], "t");
    cloud
        .member()
        .post(
            &format!("{target}/metadata"),
            json!({"metadata": {"a": "b"}}),
        )
        .await
        .expect(200);
    let refused = cloud
        .member()
        .delete(&format!("/v3/volumes/{volume}"))
        .await
        .expect(400);
    assert!(
        message(&refused.json).contains("1 dependent snapshots"),
        "{}",
        refused.json
    );
    cloud.member().delete(&target).await.expect(202);
    cloud.settle().await;
    cloud.member().get(&target).await.expect(404);
    assert_eq!(cloud.usage().await, (1, 0, 1));
    cloud
        .member()
        .delete(&format!("/v3/volumes/{volume}"))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.files(), [""; 0]);
}

#[tokio::test]
async fn a_volume_in_use_is_snapshotted_only_where_its_file_can_be_copied_meanwhile() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.attached(&volume).await;
    let body = json!({"snapshot": {"volume_id": volume, "force": false}});
    cloud
        .member()
        .at("volume 3.65")
        .post("/v3/snapshots", body)
        .await
        .expect(400);
    let body = json!({"snapshot": {"volume_id": volume, "force": true}});
    let answer = cloud.member().post("/v3/snapshots", body).await;
    if answer.status == 400 {
        assert!(
            message(&answer.json).contains("XFS and btrfs can"),
            "{}",
            answer.json
        );
    } else {
        assert_eq!(answer.status, 202);
        cloud.settle().await;
    }
    assert_eq!(cloud.status(&volume).await, "in-use");
}

#[tokio::test]
async fn states_by_hand_and_reports_of_progress() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let id = cloud.snapshot(&volume).await;
    let action = format!("/v3/snapshots/{id}/action");
    cloud
        .member()
        .post(&action, json!({"os-reset_status": {"status": "error"}}))
        .await
        .expect(403);
    cloud
        .admin()
        .post(&action, json!({"os-reset_status": {"status": "creating"}}))
        .await
        .expect(202);
    let report = json!({"os-update_snapshot_status": {"status": "error", "progress": "80%"}});
    cloud
        .admin()
        .post(&action, report.clone())
        .await
        .expect(202);
    cloud.admin().post(&action, report).await.expect(400);
    cloud
        .admin()
        .post(&action, json!({"os-reset_status": {"status": "deleting"}}))
        .await
        .expect(202);
    cloud
        .member()
        .delete(&format!("/v3/snapshots/{id}"))
        .await
        .expect(400);
    cloud
        .admin()
        .post(&action, json!({"os-force_delete": {}}))
        .await
        .expect(202);
    cloud.settle().await;
    cloud
        .member()
        .get(&format!("/v3/snapshots/{id}"))
        .await
        .expect(404);
}

#[tokio::test]
async fn snapshots_that_come_and_go_leave_no_chain_behind() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    for night in 0..4u8 {
        cloud.write(&volume, u64::from(night) << 16, &[b'a' + night; 4096]);
        let snapshot = cloud.snapshot(&volume).await;
        let target = format!("/v3/snapshots/{snapshot}");
        cloud.member().delete(&target).await.expect(202);
        cloud.settle().await;
    }
    // Nothing becomes shorter while somebody has it open.
    let attachment = cloud.attached(&volume).await;
    cloud.shorten().await;
    assert_eq!(cloud.files().len(), 5);
    let target = format!("/v3/attachments/{attachment}");
    cloud.service().delete(&target).await.expect(200);
    cloud.shorten().await;
    assert_eq!(cloud.files().len(), 2, "the first layer and the volume");
    for night in 0..4u8 {
        let read = cloud.read(&volume, u64::from(night) << 16, 4096);
        assert_eq!(read, [b'a' + night; 4096]);
    }
}

#[tokio::test]
async fn a_chain_keeps_what_snapshots_and_copies_stand_on() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let mut nights = Vec::new();
    for night in 0..5u8 {
        cloud.write(&volume, 0, &[b'a' + night; 4096]);
        cloud.write(&volume, u64::from(night + 1) << 16, &[b'a' + night; 4096]);
        nights.push(cloud.snapshot(&volume).await);
    }
    let copy = json!({"size": 1, "snapshot_id": nights[3]});
    let copy = cloud.volume_of(copy).await;
    for gone in [&nights[1], &nights[2]] {
        let target = format!("/v3/snapshots/{gone}");
        cloud.member().delete(&target).await.expect(202);
        cloud.settle().await;
    }
    // A copy that is in use stands on all of it.
    let attachment = cloud.attached(&copy).await;
    cloud.shorten().await;
    assert_eq!(cloud.files().len(), 7);
    let target = format!("/v3/attachments/{attachment}");
    cloud.service().delete(&target).await.expect(200);
    cloud.shorten().await;
    assert_eq!(cloud.files().len(), 5);
    assert_eq!(cloud.read(&copy, 0, 4096), [b'd'; 4096]);
    assert_eq!(cloud.read(&copy, 2 << 16, 4096), [b'b'; 4096]);
    assert_eq!(cloud.read(&volume, 0, 4096), [b'e'; 4096]);
    let first = json!({"size": 1, "snapshot_id": nights[0]});
    let first = cloud.volume_of(first).await;
    assert_eq!(cloud.read(&first, 0, 4096), [b'a'; 4096]);
    assert_eq!(cloud.read(&first, 2 << 16, 4096), [0; 4096]);
    assert!(
        nephos_api::Check::check(&*cloud.block)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_volume_keeps_its_bytes_when_a_snapshot_or_a_copy_of_it_cannot_be_made() {
    for copy in [false, true] {
        let cloud = cloud().await;
        let volume = cloud.volume().await;
        cloud.write(&volume, 4096, b"only here");
        // Where the overlay would be made, something else is.
        let file = cloud.file(&format!("volume-{volume}"));
        let in_the_way = file.with_file_name(format!("volume-{volume}.part"));
        std::fs::create_dir(&in_the_way).unwrap();
        let body = if copy {
            json!({"volume": {"size": 1, "source_volid": volume}})
        } else {
            json!({"snapshot": {"volume_id": volume}})
        };
        let target = if copy { "/v3/volumes" } else { "/v3/snapshots" };
        cloud.member().post(target, body).await.expect(202);
        // It is tried, and tried once more when its time is over.
        let (worker, moment) = (cloud.block.worker(), std::time::Duration::from_secs(5));
        worker.settle(moment).await.unwrap();
        let day = std::time::Duration::from_secs(26 * 3600);
        cloud.world.clock.advance(day);
        worker.settle(moment).await.unwrap();
        std::fs::remove_dir(&in_the_way).unwrap();
        cloud.settle().await;
        cloud.settle().await;
        let list = if copy {
            "/v3/volumes/detail"
        } else {
            "/v3/snapshots/detail"
        };
        let listed = cloud.member().get(list).await.expect(200).json;
        let (_, all) = listed.as_object().unwrap().iter().next().unwrap();
        let mut states: Vec<&str> = all
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["status"].as_str().unwrap())
            .collect();
        states.sort_unstable();
        let expected: &[&str] = if copy {
            &["available", "error"]
        } else {
            &["error"]
        };
        assert_eq!(states, expected);
        assert_eq!(cloud.read(&volume, 4096, 9), b"only here");
        assert_eq!(cloud.files(), [format!("volume-{volume}")]);
        cloud.attached(&volume).await;
    }
}

#[tokio::test]
async fn what_was_in_the_middle_when_the_machine_went_off_for_a_weekend_comes_to_its_end() {
    use futures_util::FutureExt as _;
    use nephos_runtime::crash::{self, Mode};
    for point in ["driver.frozen", "layer.frozen"] {
        let cloud = cloud().await;
        let volume = cloud.volume().await;
        cloud.write(&volume, 4096, b"only here");
        let body = json!({"snapshot": {"volume_id": volume}});
        let made = cloud.member().post("/v3/snapshots", body).await.expect(202);
        let snapshot = made.json["snapshot"]["id"].as_str().unwrap().to_owned();
        crash::set(Mode::Unwind {
            name: point.to_owned(),
            nth: 1,
        });
        let crashed = std::panic::AssertUnwindSafe(cloud.settle())
            .catch_unwind()
            .await;
        crash::set(Mode::Off);
        assert!(crashed.is_err());
        let cloud = cloud.restarted().await;
        let weekend = std::time::Duration::from_secs(60 * 3600);
        cloud.world.clock.advance(weekend);
        cloud.settle().await;
        let shown = cloud
            .member()
            .get(&format!("/v3/snapshots/{snapshot}"))
            .await;
        assert_eq!(shown.expect(200).json["snapshot"]["status"], "available");
        assert_eq!(cloud.read(&volume, 4096, 9), b"only here");
        cloud.attached(&volume).await;
    }
}
