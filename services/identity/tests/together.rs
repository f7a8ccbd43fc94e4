//! Changes that come together: none is lost, and nothing is made below what goes.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::cloud::{Cloud, id_of};

async fn made(cloud: &Cloud, path: &str, body: Value) -> String {
    let kind = body.as_object().unwrap().keys().next().unwrap().clone();
    let made = cloud.admin().await.post(path, body).await.expect(201);
    id_of(&made, &kind)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_one_thing_that_come_together_all_happen() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let things = [
        ("user", "/v3/users"),
        ("project", "/v3/projects"),
        ("role", "/v3/roles"),
        ("group", "/v3/groups"),
        ("domain", "/v3/domains"),
    ];
    for (kind, path) in things {
        let id = made(&cloud, path, json!({kind: {"name": format!("a-{kind}")}})).await;
        let target = format!("{path}/{id}");
        let changes = (0..8).map(|number| {
            let change = json!({kind: {format!("key{number}"): number}});
            admin.patch(&target, change)
        });
        for answer in join_all(changes).await {
            answer.expect(200);
        }
        let shown = admin.get(&target).await.expect(200).json[kind].clone();
        for number in 0..8 {
            assert_eq!(shown[format!("key{number}")], number, "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tags_that_come_together_are_all_there() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let id = made(&cloud, "/v3/projects", json!({"project": {"name": "p"}})).await;
    let target = format!("/v3/projects/{id}/tags");
    let paths: Vec<String> = (0..8).map(|number| format!("{target}/t{number}")).collect();
    for answer in join_all(paths.iter().map(|path| admin.put(path, Value::Null))).await {
        answer.expect(201);
    }
    let tags = admin.get(&target).await.expect(200).json["tags"].clone();
    assert_eq!(tags.as_array().unwrap().len(), 8, "{tags}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_made_below_what_goes_at_the_same_time() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    for round in 0..6 {
        let parent = json!({"project": {"name": format!("parent-{round}")}});
        let parent = made(&cloud, "/v3/projects", parent).await;
        let child = json!({"project": {"name": format!("child-{round}"), "parent_id": parent}});
        let path = format!("/v3/projects/{parent}");
        let (made, gone) = tokio::join!(admin.post("/v3/projects", child), admin.delete(&path));
        assert!(
            [(201, 403), (404, 204)].contains(&(made.status, gone.status)),
            "{} {}",
            made.status,
            gone.status
        );
        let kind = json!({"service": {"type": format!("t-{round}"), "name": "s"}});
        let service = self::made(&cloud, "/v3/services", kind).await;
        let endpoint = json!({"endpoint": {"service_id": service, "interface": "public", "url": "http://a.test"}});
        let path = format!("/v3/services/{service}");
        let (_made, gone) =
            tokio::join!(admin.post("/v3/endpoints", endpoint), admin.delete(&path));
        gone.expect(204);
        let left = admin
            .get(&format!("/v3/endpoints?service_id={service}"))
            .await
            .expect(200);
        assert_eq!(left.json["endpoints"], json!([]));
    }
}
