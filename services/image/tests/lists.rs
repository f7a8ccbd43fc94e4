//! Lists: who sees what, filters, order, pages.

use std::time::Duration;

use nephos_testkit::{Ask, Persona};
use serde_json::json;

use crate::kit::{Cloud, cloud, created, patch};

async fn names(ask: &Ask, query: &str) -> Vec<String> {
    let listed = ask.get(&format!("/v2/images{query}")).await.expect(200);
    let images = listed.json["images"].as_array().unwrap();
    images
        .iter()
        .map(|image| image["name"].as_str().unwrap_or("-").to_owned())
        .collect()
}

async fn five() -> Cloud {
    let cloud = cloud().await;
    for (name, more) in [
        ("a", json!({"tags": ["x", "y"], "os_distro": "debian"})),
        ("b", json!({"tags": ["x"], "disk_format": "qcow2"})),
        ("c", json!({"protected": true})),
        ("d", json!({"os_hidden": true})),
        ("e,f", json!({"min_ram": 512})),
    ] {
        let mut body = more;
        body["name"] = json!(name);
        created(&cloud.member(), body).await;
        cloud.world.clock.advance(Duration::from_secs(10));
    }
    cloud
}

#[tokio::test]
async fn filters() {
    let cloud = five().await;
    let member = cloud.member();
    for (query, expected) in [
        ("", vec!["e,f", "c", "b", "a"]),
        ("?name=a", vec!["a"]),
        ("?name=in:a,%22e,f%22", vec!["e,f", "a"]),
        ("?tag=x", vec!["b", "a"]),
        ("?tag=x&tag=y", vec!["a"]),
        ("?os_distro=debian", vec!["a"]),
        ("?os_distro=other", vec![]),
        ("?disk_format=in:qcow2,vhd", vec!["b"]),
        ("?protected=true", vec!["c"]),
        ("?os_hidden=true", vec!["d"]),
        ("?min_ram_min=1", vec!["e,f"]),
        ("?min_ram=512", vec!["e,f"]),
        ("?size_min=0", vec![]),
        ("?status=active", vec![]),
        ("?created_at=2026-01-02T03:04:15Z", vec!["b"]),
        ("?created_at=gt:2026-01-02T03:04:15Z", vec!["e,f", "c"]),
        ("?created_at=lte:2026-01-02T03:04:15Z", vec!["b", "a"]),
        (
            "?created_at=neq:2026-01-02T03:04:15Z",
            vec!["e,f", "c", "a"],
        ),
        ("?updated_at=lt:2026-01-02T03:04:15Z", vec!["a"]),
        ("?visibility=private", vec![]),
        ("?sort=name:asc", vec!["a", "b", "c", "e,f"]),
        (
            "?sort=disk_format:asc,name:desc",
            vec!["b", "e,f", "c", "a"],
        ),
        ("?sort_key=name&sort_dir=desc", vec!["e,f", "c", "b", "a"]),
        ("?sort_key=size&sort_dir=asc&limit=2", vec!["a", "b"]),
        ("?limit=0", vec![]),
    ] {
        assert_eq!(names(&member, query).await, expected, "{query}");
    }
    let owner = format!("?owner={}", Persona::Member.project());
    assert_eq!(names(&member, &owner).await.len(), 4);
    for bad in [
        "?limit=x",
        "?limit=-1",
        "?sort=color",
        "?name=like:x",
        "?created_at=x",
        "?marker=x",
        "?visibility=x",
        "?member_status=x",
        "?size_min=x",
        "?name=a%00b",
        "?os_hidden=perhaps",
    ] {
        member.get(&format!("/v2/images{bad}")).await.expect(400);
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let cloud = cloud().await;
    // Same name, same time: only the id tells them apart.
    for _ in 0..7 {
        created(&cloud.member(), json!({})).await;
    }
    let mut seen = Vec::new();
    let mut target = "/v2/images?limit=3&sort=name:asc".to_owned();
    loop {
        let page = cloud.member().get(&target).await.expect(200).json;
        assert_eq!(page["first"], "/v2/images?limit=3&sort=name%3Aasc");
        for image in page["images"].as_array().unwrap() {
            seen.push(image["id"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => target = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    seen.dedup();
    assert_eq!(seen.len(), 7);
}

#[tokio::test]
async fn who_sees_which_image() {
    let cloud = cloud().await;
    let (member, other, admin) = (cloud.member(), cloud.other(), cloud.admin());
    for visibility in ["private", "shared", "community"] {
        created(
            &member,
            json!({"name": visibility, "visibility": visibility}),
        )
        .await;
    }
    let public = created(&admin, json!({"name": "public", "visibility": "public"})).await;
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(
        sorted(names(&member, "").await),
        ["community", "private", "public", "shared"]
    );
    assert_eq!(sorted(names(&other, "").await), ["public"]);
    assert_eq!(names(&other, "?visibility=community").await, ["community"]);
    assert_eq!(
        sorted(names(&other, "?visibility=all").await),
        ["community", "public"]
    );
    assert_eq!(
        sorted(names(&admin, "").await),
        ["private", "public", "shared"]
    );
    assert_eq!(names(&other, "?visibility=private").await, [""; 0]);
    cloud.ask.get("/v2/images").await.expect(401);
    let rename = json!([{"op": "replace", "path": "/name", "value": "mine"}]);
    patch(&other, &public, rename).await.expect(403);
}
