//! Snapshots.

use serde_json::json;

use crate::kit::{cloud, message};

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
