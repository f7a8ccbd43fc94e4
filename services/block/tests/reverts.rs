//! Volumes that are brought back to their latest snapshot.

use nephos_testkit::Answer;
use serde_json::json;

use crate::kit::{Cloud, cloud, message};

async fn revert(cloud: &Cloud, volume: &str, snapshot: &str) -> Answer {
    let body = json!({"revert": {"snapshot_id": snapshot}});
    let target = format!("/v3/volumes/{volume}/action");
    cloud.member().post(&target, body).await
}

async fn snapshot_status(cloud: &Cloud, id: &str) -> String {
    let answer = cloud.member().get(&format!("/v3/snapshots/{id}")).await;
    let shown = answer.expect(200).json;
    shown["snapshot"]["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_volume_is_what_it_was_as_often_as_one_likes() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.write(&volume, 4096, b"before");
    let snapshot = cloud.snapshot(&volume).await;
    let files = cloud.files().len();
    for _time in 0..2 {
        cloud.write(&volume, 4096, b"after!");
        revert(&cloud, &volume, &snapshot).await.expect(202);
        assert_eq!(cloud.status(&volume).await, "reverting");
        assert_eq!(snapshot_status(&cloud, &snapshot).await, "restoring");
        let target = format!("/v3/snapshots/{snapshot}/action");
        let gone = json!({"os-force_delete": {}});
        let refused = cloud.admin().post(&target, gone).await.expect(400).json;
        assert!(message(&refused).contains("brought back"), "{refused}");
        cloud.settle().await;
        assert_eq!(cloud.status(&volume).await, "available");
        assert_eq!(snapshot_status(&cloud, &snapshot).await, "available");
        assert_eq!(cloud.read(&volume, 4096, 6), b"before");
        assert_eq!(cloud.files().len(), files);
    }
    // Later snapshots and copies are of what it is now.
    cloud.write(&volume, 4096, b"later!");
    let later = cloud.snapshot(&volume).await;
    cloud.write(&volume, 4096, b"again!");
    revert(&cloud, &volume, &later).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.read(&volume, 4096, 6), b"later!");
    for one in [&later, &snapshot] {
        let gone = cloud.member().delete(&format!("/v3/snapshots/{one}")).await;
        gone.expect(202);
        cloud.settle().await;
    }
    assert_eq!(cloud.read(&volume, 4096, 6), b"later!");
    let gone = cloud
        .member()
        .delete(&format!("/v3/volumes/{volume}"))
        .await;
    gone.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.files(), Vec::<String>::new());
}

#[tokio::test]
async fn only_a_free_volume_of_the_same_size_goes_back_and_only_to_its_latest_snapshot() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let none = revert(&cloud, &volume, &volume).await.expect(400).json;
    assert!(
        message(&none).contains("doesn't have any snapshots"),
        "{none}"
    );
    let first = cloud.snapshot(&volume).await;
    let second = cloud.snapshot(&volume).await;
    let refused = revert(&cloud, &volume, &first).await.expect(400).json;
    assert!(message(&refused).contains(&second), "{refused}");
    let target = format!("/v3/volumes/{volume}/action");
    for body in [
        json!({"revert": {}}),
        json!({"revert": {"snapshot_id": 5}}),
        json!({"revert": {"snapshot_id": second, "more": 1}}),
    ] {
        cloud.member().post(&target, body).await.expect(400);
    }
    let old = cloud.member().at("volume 3.39");
    let body = json!({"revert": {"snapshot_id": second}});
    old.post(&target, body).await.expect(404);
    let before = json!({"os-reset_status": {"status": "creating"}});
    let at = format!("/v3/snapshots/{second}/action");
    cloud.admin().post(&at, before).await.expect(202);
    let refused = revert(&cloud, &volume, &second).await.expect(409).json;
    assert!(message(&refused).contains("'creating'"), "{refused}");
    let after = json!({"os-reset_status": {"status": "available"}});
    cloud.admin().post(&at, after).await.expect(202);
    let attachment = cloud.attached(&volume).await;
    let refused = revert(&cloud, &volume, &second).await.expect(409).json;
    assert!(message(&refused).contains("'in-use'"), "{refused}");
    let target_of_it = format!("/v3/attachments/{attachment}");
    cloud.service().delete(&target_of_it).await.expect(200);
    let larger = json!({"os-extend": {"new_size": 2}});
    cloud.member().post(&target, larger).await.expect(202);
    cloud.settle().await;
    let refused = revert(&cloud, &volume, &second).await.expect(400).json;
    assert!(message(&refused).contains("must be equal"), "{refused}");
}

#[tokio::test]
async fn a_volume_deleted_on_its_way_back_leaves_nothing() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let snapshot = cloud.snapshot(&volume).await;
    revert(&cloud, &volume, &snapshot).await.expect(202);
    let target = format!("/v3/volumes/{volume}?cascade=true&force=true");
    cloud.admin().delete(&target).await.expect(202);
    cloud.settle().await;
    let left = cloud.member().get("/v3/volumes").await.expect(200).json;
    assert_eq!(left["volumes"], json!([]));
    assert_eq!(cloud.files(), Vec::<String>::new());
    assert_eq!(cloud.usage().await, (0, 0, 0));
}

#[tokio::test]
async fn a_volume_that_was_given_away_does_not_go_back_to_what_the_giver_kept() {
    let cloud = cloud().await;
    let (giver, owner) = (cloud.member(), cloud.other());
    let volume = cloud.volume().await;
    cloud.write(&volume, 4096, b"secret");
    let kept = cloud.snapshot(&volume).await;
    cloud.write(&volume, 4096, b"public");
    let offer = json!({"transfer": {"volume_id": volume, "no_snapshots": true}});
    let offer = giver.post("/v3/volume-transfers", offer).await.expect(202);
    let offer = &offer.json["transfer"];
    let accept = json!({"accept": {"auth_key": offer["auth_key"]}});
    let target = format!(
        "/v3/volume-transfers/{}/accept",
        offer["id"].as_str().unwrap()
    );
    owner.post(&target, accept).await.expect(202);
    let target = format!("/v3/volumes/{volume}/action");
    let body = |id: &str| json!({"revert": {"snapshot_id": id}});
    let refused = owner.post(&target, body(&kept)).await.expect(400).json;
    assert!(message(&refused).contains("doesn't have any"), "{refused}");
    // Of their own there may be one, and it is the latest for them.
    let made = json!({"snapshot": {"volume_id": volume}});
    let own = owner.post("/v3/snapshots", made).await.expect(202).json;
    let own = own["snapshot"]["id"].as_str().unwrap();
    cloud.settle().await;
    let refused = owner.post(&target, body(&kept)).await.expect(400).json;
    assert!(message(&refused).contains(own), "{refused}");
    cloud.write(&volume, 4096, b"newest");
    owner.post(&target, body(own)).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.read(&volume, 4096, 6), b"public");
}
