//! Lists: pages, orders, filters.

use serde_json::{Value, json};

use crate::kit::{cloud, created};

fn names(answer: &Value) -> Vec<&str> {
    let all = answer["volumes"].as_array().unwrap();
    all.iter()
        .map(|volume| volume["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_follow_each_other_in_any_order() {
    let cloud = cloud().await;
    for name in ["b", "a", "c"] {
        created(
            &cloud.member(),
            json!({"size": 1, "name": name, "metadata": {"n": name}}),
        )
        .await;
    }
    cloud.settle().await;
    let get = |target: String| {
        let ask = cloud.member();
        async move { ask.get(&target).await.expect(200).json }
    };
    let first = get("/v3/volumes?limit=2&sort=name:asc".to_owned()).await;
    assert_eq!(names(&first), ["a", "b"]);
    let next = first["volumes_links"][0]["href"].as_str().unwrap();
    let path = next.split_once("/block").unwrap().1.to_owned();
    let second = get(path).await;
    assert_eq!(names(&second), ["c"]);
    assert!(second.get("volumes_links").is_none());
    assert_eq!(names(&get("/v3/volumes?name=a".to_owned()).await), ["a"]);
    assert_eq!(
        names(&get("/v3/volumes/detail?metadata=%7B%27n%27%3A%27c%27%7D".to_owned()).await),
        ["c"]
    );
    assert_eq!(
        names(&get("/v3/volumes?status=error".to_owned()).await),
        [""; 0]
    );
    assert_eq!(names(&get("/v3/volumes?limit=0".to_owned()).await), [""; 0]);
    assert_eq!(
        get("/v3/volumes?with_count=true&limit=1".to_owned()).await["count"],
        3
    );
    let summary = get("/v3/volumes/summary".to_owned()).await;
    assert_eq!(summary["volume-summary"]["total_count"], 3);
    assert_eq!(
        summary["volume-summary"]["metadata"]["n"],
        json!(["a", "b", "c"])
    );
    for odd in ["limit=-1", "limit=x", "sort=odd", "odd=1", "bootable=maybe"] {
        cloud
            .member()
            .get(&format!("/v3/volumes?{odd}"))
            .await
            .expect(400);
    }
    cloud
        .member()
        .get("/v3/volumes?marker=71c675ab-d94f-49cd-a114-e12490b328d9")
        .await
        .expect(404);
}

#[tokio::test]
async fn everybody_sees_their_own_and_administrators_all() {
    let cloud = cloud().await;
    created(&cloud.member(), json!({"size": 1, "name": "m"})).await;
    created(&cloud.other(), json!({"size": 1, "name": "o"})).await;
    assert_eq!(
        names(
            &cloud
                .member()
                .get("/v3/volumes?all_tenants=1")
                .await
                .expect(200)
                .json
        ),
        ["m"]
    );
    assert_eq!(
        names(&cloud.other().get("/v3/volumes").await.expect(200).json),
        ["o"]
    );
    assert_eq!(
        names(&cloud.admin().get("/v3/volumes").await.expect(200).json),
        [""; 0]
    );
    let all = cloud
        .admin()
        .get("/v3/volumes?all_tenants=1&sort=name:asc")
        .await
        .expect(200)
        .json;
    assert_eq!(names(&all), ["m", "o"]);
}
