//! Containers: made, changed, listed, deleted.

use nephos_testkit::Answer;
use serde_json::json;

use crate::kit::{Cloud, MINE, cloud, cloud_with_container, head, lines, post, put};

#[tokio::test]
async fn a_container_is_made_changed_and_deleted() {
    let cloud = cloud().await;
    let member = cloud.member();
    let target = format!("{MINE}/c");
    head(&member, &target).await.expect(404);
    put(&member.with_header("x-container-meta-a", "1"), &target, "")
        .await
        .expect(201);
    put(&member.with_header("x-container-meta-b", "2"), &target, "")
        .await
        .expect(202);
    post(
        &member.with_header("x-remove-container-meta-a", "x"),
        &target,
    )
    .await
    .expect(204);
    let answer = head(&member, &target).await.expect(204);
    assert_eq!(
        (
            answer.header("x-container-meta-a"),
            answer.header("x-container-meta-b")
        ),
        (None, Some("2"))
    );
    assert_eq!(answer.header("x-storage-policy"), Some("Policy-0"));
    put(&member, &format!("{target}/o"), "x").await.expect(201);
    member.delete(&target).await.expect(409);
    member.delete(&format!("{target}/o")).await.expect(204);
    member.delete(&target).await.expect(204);
    member.delete(&target).await.expect(404);
    post(&member, &target).await.expect(404);
    member.get(&target).await.expect(404);
    cloud.settle().await;
}

#[tokio::test]
async fn names_of_one_character_and_of_the_most_bytes_and_no_longer() {
    let cloud = cloud().await;
    let member = cloud.member();
    let long = "ü".repeat(128);
    for name in ["x", &long] {
        let target = format!("{MINE}/{name}");
        put(&member, &target, "").await.expect(201);
        head(&member, &target).await.expect(204);
    }
    put(&member, &format!("{MINE}/{}", "a".repeat(257)), "")
        .await
        .expect(400);
    let (one, most) = ("o", "é".repeat(512));
    for name in [one, most.as_str()] {
        let target = format!("{MINE}/x/{name}");
        put(&member, &target, name.to_owned()).await.expect(201);
        assert_eq!(member.get(&target).await.expect(200).bytes, name.as_bytes());
    }
    put(&member, &format!("{MINE}/x/{}", "a".repeat(1025)), "")
        .await
        .expect(400);
    assert_eq!(lines(&member.get(&format!("{MINE}/x")).await), [one, &most]);
}

async fn filled() -> Cloud {
    let cloud = cloud_with_container().await;
    for name in ["a", "b/1", "b/2", "b0", "c/d/e", "dir/", "z"] {
        put(&cloud.member(), &format!("{MINE}/c/{name}"), name)
            .await
            .expect(201);
    }
    cloud
}

async fn list(cloud: &Cloud, query: &str) -> Answer {
    cloud.member().get(&format!("{MINE}/c?{query}")).await
}

#[tokio::test]
async fn lists_by_prefix_delimiter_marker_and_order() {
    let cloud = filled().await;
    for (query, expected) in [
        ("", &["a", "b/1", "b/2", "b0", "c/d/e", "dir/", "z"][..]),
        ("prefix=b", &["b/1", "b/2", "b0"]),
        ("delimiter=/", &["a", "b/", "b0", "c/", "dir/", "z"]),
        ("delimiter=/&prefix=b/", &["b/1", "b/2"]),
        ("delimiter=/&limit=2", &["a", "b/"]),
        ("delimiter=/&marker=b/", &["b0", "c/", "dir/", "z"]),
        ("marker=b/2&end_marker=z", &["b0", "c/d/e", "dir/"]),
        ("reverse=on&marker=c", &["b0", "b/2", "b/1", "a"]),
        (
            "reverse=1&delimiter=/",
            &["z", "dir/", "c/", "b0", "b/", "a"],
        ),
        ("path=b", &["b/1", "b/2"]),
        ("path=", &["a", "b0", "dir/", "z"]),
    ] {
        assert_eq!(
            lines(&list(&cloud, query).await.expect(200)),
            expected,
            "{query}"
        );
    }
    list(&cloud, "prefix=nothing").await.expect(204);
    list(&cloud, "limit=10001").await.expect(412);
}

#[tokio::test]
async fn lists_as_json_and_xml_tell_more() {
    let cloud = filled().await;
    let answer = list(&cloud, "format=json&delimiter=/&limit=2")
        .await
        .expect(200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(
        answer.json,
        json!([
            {
                "name": "a", "hash": "0cc175b9c0f1b6a831c399e269772661", "bytes": 1,
                "content_type": "application/json", "last_modified": "2026-01-02T03:04:05.000000",
            },
            {"subdir": "b/"},
        ])
    );
    let xml = list(&cloud, "format=xml&delimiter=/&limit=2")
        .await
        .expect(200);
    let text = String::from_utf8_lossy(&xml.bytes).into_owned();
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<container name=\"c\"><object><name>a</name>"), "{text}");
    assert!(
        text.ends_with("<subdir name=\"b/\"><name>b/</name></subdir></container>"),
        "{text}"
    );
}

#[tokio::test]
async fn metadata_that_is_too_long_or_too_much_is_refused() {
    let cloud = cloud_with_container().await;
    let member = cloud.member();
    let target = format!("{MINE}/c");
    let long = format!("x-container-meta-{}", "a".repeat(129));
    let answer = post(&member.with_header(&long, "v"), &target)
        .await
        .expect(400);
    assert!(String::from_utf8_lossy(&answer.bytes).contains("Metadata name too long"));
    post(
        &member.with_header("x-container-meta-a", &"v".repeat(257)),
        &target,
    )
    .await
    .expect(400);
    let many = (0..91).fold(member.clone(), |ask, n| {
        ask.with_header(&format!("x-container-meta-{n}"), "v")
    });
    post(&many, &target).await.expect(400);
    post(
        &member.with_header("x-container-meta-quota-bytes", "x"),
        &target,
    )
    .await
    .expect(400);
    post(&member.with_header("x-versions-enabled", "true"), &target)
        .await
        .expect(400);
    post(&member.with_header("x-storage-policy", "gold"), &target)
        .await
        .expect(400);
    assert_eq!(
        head(&member, &target).await.header("x-container-meta-a"),
        None
    );
}

#[tokio::test]
async fn a_quota_raced_in_parallel_is_not_exceeded() {
    let cloud = cloud_with_container().await;
    let member = cloud.member();
    let target = format!("{MINE}/c");
    let quota = member
        .with_header("x-container-meta-quota-bytes", "50")
        .with_header("x-container-meta-quota-count", "7");
    post(&quota, &target).await.expect(204);
    let uploads = (0..20).map(|n| {
        let (member, target) = (member.clone(), format!("{target}/{n}"));
        async move { put(&member, &target, "0123456789").await.status }
    });
    let statuses = futures_util::future::join_all(uploads).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        5,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 413).count(),
        15,
        "{statuses:?}"
    );
    assert_eq!(
        head(&member, &target)
            .await
            .header("x-container-bytes-used"),
        Some("50")
    );
    cloud.settle().await;
    assert_eq!(cloud.files().len(), 5);
    // Small ones fit, until there are too many.
    for (n, status) in [("a", 201), ("b", 201), ("d", 413)] {
        put(&member, &format!("{target}/{n}"), "")
            .await
            .expect(status);
    }
}
