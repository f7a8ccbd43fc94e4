//! Sharing.

use nephos_testkit::Persona;
use serde_json::json;

use crate::kit::{cloud, created};

#[tokio::test]
async fn a_shared_image_is_in_the_members_list_once_accepted() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    let other = Persona::OtherProject.project();
    let (members, one) = (
        format!("/v2/images/{id}/members"),
        format!("/v2/images/{id}/members/{other}"),
    );
    cloud
        .other()
        .get(&format!("/v2/images/{id}"))
        .await
        .expect(404);
    let made = cloud
        .member()
        .post(&members, json!({"member": other}))
        .await
        .expect(200);
    assert_eq!(made.json["status"], "pending");
    assert_eq!(made.json["schema"], "/v2/schemas/member");
    cloud
        .member()
        .post(&members, json!({"member": other}))
        .await
        .expect(409);
    cloud
        .other()
        .get(&format!("/v2/images/{id}"))
        .await
        .expect(200);
    let count = |query: &'static str| {
        let ask = cloud.other();
        async move {
            let listed = ask.get(&format!("/v2/images{query}")).await.expect(200);
            listed.json["images"].as_array().unwrap().len()
        }
    };
    assert_eq!(count("").await, 0);
    assert_eq!(count("?member_status=pending&visibility=shared").await, 1);
    cloud
        .member()
        .put(&one, json!({"status": "accepted"}))
        .await
        .expect(403);
    cloud
        .other()
        .put(&one, json!({"status": "perhaps"}))
        .await
        .expect(400);
    cloud.other().put(&one, json!({})).await.expect(400);
    let accepted = cloud
        .other()
        .put(&one, json!({"status": "accepted"}))
        .await
        .expect(200);
    assert_eq!(accepted.json["status"], "accepted");
    assert_eq!(count("").await, 1);
    cloud
        .other()
        .put(&one, json!({"status": "rejected"}))
        .await
        .expect(200);
    assert_eq!(count("").await, 0);
    assert_eq!(count("?member_status=all").await, 1);
    cloud.other().delete(&one).await.expect(403);
    cloud
        .other()
        .post(&members, json!({"member": "x"}))
        .await
        .expect(403);
    cloud.member().delete(&one).await.expect(204);
    cloud.member().delete(&one).await.expect(404);
    cloud.other().get(&one).await.expect(404);
}

#[tokio::test]
async fn a_member_sees_itself_only() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    let members = format!("/v2/images/{id}/members");
    let other = Persona::OtherProject.project();
    for member in [other, "somebody"] {
        cloud
            .member()
            .post(&members, json!({"member": member}))
            .await
            .expect(200);
    }
    let listed = cloud.other().get(&members).await.expect(200).json;
    assert_eq!(listed["members"].as_array().unwrap().len(), 1);
    assert_eq!(listed["members"][0]["member_id"], other);
    cloud
        .other()
        .get(&format!("{members}/somebody"))
        .await
        .expect(404);
    cloud
        .other()
        .put(
            &format!("{members}/somebody"),
            json!({"status": "accepted"}),
        )
        .await
        .expect(404);
    let all = cloud.member().get(&members).await.expect(200).json;
    assert_eq!(all["members"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn only_shared_images_have_members() {
    let cloud = cloud().await;
    let id = created(&cloud.member(), json!({"visibility": "private"})).await;
    let members = format!("/v2/images/{id}/members");
    cloud
        .member()
        .post(&members, json!({"member": "x"}))
        .await
        .expect(403);
    cloud.member().get(&members).await.expect(403);
    let id = cloud.queued().await;
    let members = format!("/v2/images/{id}/members");
    for body in [
        json!({}),
        json!({"member": ""}),
        json!({"member": 5}),
        json!([]),
    ] {
        cloud.member().post(&members, body).await.expect(400);
    }
}
