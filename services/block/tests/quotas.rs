//! Quotas: nobody gets past them.

use futures_util::future::join_all;
use nephos_api::Check as _;
use nephos_testkit::Persona;
use serde_json::json;

use crate::kit::{cloud, created, message};

#[tokio::test]
async fn many_at_once_never_get_more_than_the_quota() {
    let cloud = cloud().await;
    let target = format!("/v3/os-quota-sets/{}", Persona::Member.project());
    cloud
        .admin()
        .put(&target, json!({"quota_set": {"volumes": 3}}))
        .await
        .expect(200);
    let asked = (0..8).map(|_| async {
        cloud
            .member()
            .post("/v3/volumes", json!({"volume": {"size": 1}}))
            .await
            .status
    });
    let mut answers = join_all(asked).await;
    answers.sort_unstable();
    assert_eq!(answers, [202, 202, 202, 413, 413, 413, 413, 413]);
    assert_eq!(cloud.usage().await, (3, 0, 3));
    cloud.settle().await;
    let shown = cloud
        .member()
        .get(&format!("{target}?usage=True"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        shown["quota_set"]["volumes"],
        json!({"limit": 3, "in_use": 3, "reserved": 0})
    );
}

#[tokio::test]
async fn gigabytes_snapshots_and_types_are_counted() {
    let cloud = cloud().await;
    let target = format!("/v3/os-quota-sets/{}", Persona::Member.project());
    let limits = json!({"gigabytes": 3, "per_volume_gigabytes": 2, "snapshots": 1, "volumes___DEFAULT__": 2});
    cloud
        .admin()
        .put(&target, json!({ "quota_set": limits }))
        .await
        .expect(200);
    let refused = cloud
        .member()
        .post("/v3/volumes", json!({"volume": {"size": 3}}))
        .await
        .expect(413);
    assert!(
        message(&refused.json).contains("maximum allowed limit 2G"),
        "{}",
        refused.json
    );
    let one = cloud.volume().await;
    created(&cloud.member(), json!({"size": 1})).await;
    cloud
        .member()
        .post("/v3/volumes", json!({"volume": {"size": 1}}))
        .await
        .expect(413);
    cloud.settle().await;
    cloud.snapshot(&one).await;
    let body = json!({"snapshot": {"volume_id": one}});
    cloud.member().post("/v3/snapshots", body).await.expect(413);
    let action = format!("/v3/volumes/{one}/action");
    cloud
        .member()
        .post(&action, json!({"os-extend": {"new_size": 2}}))
        .await
        .expect(413);
    assert_eq!(cloud.status(&one).await, "available");
    cloud.admin().delete(&target).await.expect(200);
    cloud
        .member()
        .post(&action, json!({"os-extend": {"new_size": 2}}))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.usage().await, (2, 1, 4));
}

#[tokio::test]
async fn defaults_are_those_of_the_class() {
    let cloud = cloud().await;
    let class = "/v3/os-quota-class-sets/default";
    cloud.member().get(class).await.expect(403);
    cloud
        .admin()
        .put(class, json!({"quota_class_set": {"snapshots": 7}}))
        .await
        .expect(200);
    let own = format!("/v3/os-quota-sets/{}", Persona::Member.project());
    assert_eq!(
        cloud.member().get(&own).await.expect(200).json["quota_set"]["snapshots"],
        7
    );
    let defaults = cloud
        .member()
        .get(&format!("{own}/defaults"))
        .await
        .expect(200)
        .json;
    assert_eq!(defaults["quota_set"]["snapshots"], 7);
    cloud
        .admin()
        .put(&own, json!({"quota_set": {"volumes": "x"}}))
        .await
        .expect(400);
    cloud
        .admin()
        .put(&own, json!({"quota_set": {"odd": 1}}))
        .await
        .expect(400);
    cloud.other().get(&own).await.expect(403);
}

#[tokio::test]
async fn a_volume_deleted_while_it_grows_gives_all_of_it_back() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let action = format!("/v3/volumes/{volume}/action");
    let grow = json!({"os-extend": {"new_size": 3}});
    cloud.member().post(&action, grow).await.expect(202);
    assert_eq!(cloud.usage().await, (1, 0, 3));
    let gone = json!({"os-force_delete": {}});
    cloud.admin().post(&action, gone).await.expect(202);
    assert_eq!(cloud.block.check().await.unwrap(), []);
    cloud.settle().await;
    assert_eq!(cloud.usage().await, (0, 0, 0));
    assert_eq!(cloud.block.check().await.unwrap(), []);
}
