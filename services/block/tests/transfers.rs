//! Transfers of volumes between projects.

use nephos_api::Check as _;
use nephos_testkit::Ask;
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud, message};

async fn offered(cloud: &Cloud, volume: &str, more: Value) -> (String, String) {
    let mut body = json!({"volume_id": volume, "name": "t"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let answer = cloud
        .member()
        .post("/v3/volume-transfers", json!({ "transfer": body }))
        .await
        .expect(202)
        .json;
    let text = |key: &str| answer["transfer"][key].as_str().unwrap().to_owned();
    (text("id"), text("auth_key"))
}

#[tokio::test]
async fn a_volume_goes_to_whoever_has_the_key_with_its_snapshots_and_its_quota() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    cloud.snapshot(&volume).await;
    let (id, key) = offered(&cloud, &volume, json!({})).await;
    assert_eq!(cloud.status(&volume).await, "awaiting-transfer");
    cloud
        .member()
        .delete(&format!("/v3/volumes/{volume}"))
        .await
        .expect(400);
    let target = format!("/v3/volume-transfers/{id}");
    cloud.other().get(&target).await.expect(404);
    let shown = cloud.member().get(&target).await.expect(200).json;
    assert!(
        shown["transfer"].get("auth_key").is_none(),
        "the key is told once"
    );
    let wrong = json!({"accept": {"auth_key": "0000000000000000"}});
    let refused = cloud
        .other()
        .post(&format!("{target}/accept"), wrong)
        .await
        .expect(400);
    assert!(
        message(&refused.json).contains("invalid auth key"),
        "{}",
        refused.json
    );
    let number = json!({"accept": {"auth_key": 12_345_678}});
    let accept = format!("{target}/accept");
    let refused = cloud.other().post(&accept, number).await.expect(400);
    assert!(!message(&refused.json).contains("12345678"));
    let right = json!({"accept": {"auth_key": key}});
    cloud
        .other()
        .post(&format!("{target}/accept"), right.clone())
        .await
        .expect(202);
    cloud
        .other()
        .post(&format!("{target}/accept"), right)
        .await
        .expect(404);
    cloud
        .member()
        .get(&format!("/v3/volumes/{volume}"))
        .await
        .expect(404);
    let shown = cloud
        .other()
        .get(&format!("/v3/volumes/{volume}"))
        .await
        .expect(200)
        .json;
    assert_eq!(shown["volume"]["status"], "available");
    let snapshots = cloud.other().get("/v3/snapshots").await.expect(200).json;
    assert_eq!(snapshots["snapshots"].as_array().unwrap().len(), 1);
    assert_eq!(cloud.usage().await, (0, 0, 0));
    let used = cloud.other().get("/v3/limits").await.expect(200).json;
    assert_eq!(used["limits"]["absolute"]["totalGigabytesUsed"], 2);
}

#[tokio::test]
async fn an_offer_is_taken_back_and_one_beyond_the_quota_is_not_taken() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    // The older path is the same.
    let body = json!({"transfer": {"volume_id": volume}});
    let made = cloud
        .member()
        .at("volume 3.0")
        .post("/v3/os-volume-transfer", body)
        .await
        .expect(202)
        .json;
    assert!(made["transfer"].get("accepted").is_none(), "{made}");
    let id = made["transfer"]["id"].as_str().unwrap();
    cloud
        .member()
        .delete(&format!("/v3/volume-transfers/{id}"))
        .await
        .expect(202);
    assert_eq!(cloud.status(&volume).await, "available");
    let (id, key) = offered(&cloud, &volume, json!({"no_snapshots": true})).await;
    let other = nephos_testkit::Persona::OtherProject.project();
    let none = json!({"quota_set": {"volumes": 0}});
    cloud
        .admin()
        .put(&format!("/v3/os-quota-sets/{other}"), none)
        .await
        .expect(200);
    let accept = json!({"accept": {"auth_key": key}});
    cloud
        .other()
        .post(&format!("/v3/volume-transfers/{id}/accept"), accept)
        .await
        .expect(413);
    assert_eq!(cloud.status(&volume).await, "awaiting-transfer");
    assert_eq!(cloud.usage().await, (1, 0, 1));
}

#[tokio::test]
async fn an_offer_is_taken_back_once() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let (id, _key) = offered(&cloud, &volume, json!({})).await;
    let (target, member) = (format!("/v3/volume-transfers/{id}"), cloud.member());
    let (one, two) = tokio::join!(member.delete(&target), member.delete(&target));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 404]);
    assert_eq!(cloud.status(&volume).await, "available");
}

#[tokio::test]
async fn the_new_owner_of_a_volume_does_not_delete_what_stayed_with_the_former_one() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let snapshot = cloud.snapshot(&volume).await;
    let (id, key) = offered(&cloud, &volume, json!({"no_snapshots": true})).await;
    let accept = json!({"accept": {"auth_key": key}});
    let target = format!("/v3/volume-transfers/{id}/accept");
    cloud.other().post(&target, accept).await.expect(202);
    let gone = format!("/v3/volumes/{volume}?cascade=true");
    let refused = cloud.other().delete(&gone).await.expect(400).json;
    assert!(message(&refused).contains(&snapshot), "{refused}");
    cloud.settle().await;
    let kept = format!("/v3/snapshots/{snapshot}");
    cloud.member().get(&kept).await.expect(200);
    cloud.member().delete(&kept).await.expect(202);
    cloud.settle().await;
    cloud.other().delete(&gone).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.files(), Vec::<String>::new());
}

#[tokio::test]
async fn an_offer_holds_as_long_as_its_volume_waits() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let (id, key) = offered(&cloud, &volume, json!({})).await;
    let action = format!("/v3/volumes/{volume}/action");
    let reset = json!({"os-reset_status": {"status": "available"}});
    cloud.admin().post(&action, reset).await.expect(202);
    let accept = json!({"accept": {"auth_key": key}});
    let target = format!("/v3/volume-transfers/{id}/accept");
    let refused = cloud.other().post(&target, accept).await.expect(400).json;
    let words = "unexpected state available, expected awaiting-transfer";
    assert!(message(&refused).contains(words), "{refused}");
    // A new offer takes its place.
    let (id, key) = offered(&cloud, &volume, json!({})).await;
    let all = cloud.member().get("/v3/volume-transfers").await;
    assert_eq!(
        all.expect(200).json["transfers"].as_array().unwrap().len(),
        1
    );
    let accept = json!({"accept": {"auth_key": key}});
    let target = format!("/v3/volume-transfers/{id}/accept");
    cloud.other().post(&target, accept).await.expect(202);
}

#[tokio::test]
async fn what_a_taker_may_not_have_is_not_taken_and_what_is_broken_is_not_offered() {
    let cloud = cloud().await;
    let volume = cloud.volume_of(json!({"size": 2})).await;
    let (id, key) = offered(&cloud, &volume, json!({})).await;
    let quota = json!({"quota_set": {"per_volume_gigabytes": 1}});
    let of_other = format!(
        "/v3/os-quota-sets/{}",
        nephos_testkit::Persona::OtherProject.project()
    );
    cloud.admin().put(&of_other, quota).await.expect(200);
    let accept = json!({"accept": {"auth_key": key}});
    let target = format!("/v3/volume-transfers/{id}/accept");
    cloud.other().post(&target, accept).await.expect(413);
    let volume = cloud.volume().await;
    let snapshot = cloud.snapshot(&volume).await;
    let action = format!("/v3/snapshots/{snapshot}/action");
    let broken = json!({"os-reset_status": {"status": "error"}});
    cloud.admin().post(&action, broken).await.expect(202);
    let body = |more: bool| json!({"transfer": {"volume_id": volume, "no_snapshots": more}});
    let offer = "/v3/volume-transfers";
    let refused = cloud
        .member()
        .post(offer, body(false))
        .await
        .expect(400)
        .json;
    assert!(message(&refused).contains(&snapshot), "{refused}");
    cloud.member().post(offer, body(true)).await.expect(202);
}

/// Offered by one and taken by another.
async fn given(volume: &str, (from, to): (&Ask, &Ask), more: Value) {
    let mut body = json!({"volume_id": volume});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let body = json!({ "transfer": body });
    let made = from.post("/v3/volume-transfers", body).await.expect(202);
    let made = &made.json["transfer"];
    let target = format!(
        "/v3/volume-transfers/{}/accept",
        made["id"].as_str().unwrap()
    );
    let body = json!({"accept": {"auth_key": made["auth_key"]}});
    to.post(&target, body).await.expect(202);
}

#[tokio::test]
async fn what_stayed_with_a_former_owner_stays_there_when_the_volume_goes_on() {
    let cloud = cloud().await;
    let (first, second, third) = (cloud.member(), cloud.other(), cloud.admin());
    let volume = cloud.volume().await;
    let kept = cloud.snapshot(&volume).await;
    given(&volume, (&first, &second), json!({"no_snapshots": true})).await;
    let body = json!({"snapshot": {"volume_id": volume}});
    let own = second.post("/v3/snapshots", body).await.expect(202).json;
    let own = own["snapshot"]["id"].as_str().unwrap().to_owned();
    cloud.settle().await;
    // What is the matter with somebody else's keeps nobody from an offer.
    let action = format!("/v3/snapshots/{kept}/action");
    let state = |word: &str| json!({"os-reset_status": {"status": word}});
    third.post(&action, state("error")).await.expect(202);
    given(&volume, (&second, &third), json!({})).await;
    third.post(&action, state("available")).await.expect(202);
    let listed = third.get("/v3/snapshots").await.expect(200).json;
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 1);
    assert_eq!(listed["snapshots"][0]["id"], own);
    let shown = format!("/v3/snapshots/{kept}");
    first.get(&shown).await.expect(200);
    second.get(&shown).await.expect(404);
    assert_eq!(cloud.usage().await, (0, 1, 1));
    assert_eq!(cloud.block.check().await.unwrap(), []);
    first.delete(&shown).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.usage().await, (0, 0, 0));
    assert_eq!(cloud.block.check().await.unwrap(), []);
}

#[tokio::test]
async fn a_snapshot_that_is_deleted_while_its_volume_is_taken_is_given_back_by_whoever_has_it() {
    let cloud = cloud().await;
    let volume = cloud.volume().await;
    let snapshot = cloud.snapshot(&volume).await;
    let (id, key) = offered(&cloud, &volume, json!({})).await;
    let gone = format!("/v3/snapshots/{snapshot}");
    cloud.member().delete(&gone).await.expect(202);
    let accept = json!({"accept": {"auth_key": key}});
    let target = format!("/v3/volume-transfers/{id}/accept");
    cloud.other().post(&target, accept).await.expect(202);
    cloud.settle().await;
    cloud.other().get(&gone).await.expect(404);
    assert_eq!(cloud.usage().await, (0, 0, 0));
    assert_eq!(cloud.block.check().await.unwrap(), []);
}
