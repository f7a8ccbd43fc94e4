//! Older versions, kept in another container.

use std::time::Duration;

use nephos_testkit::Ask;

use crate::kit::{Cloud, MINE, cloud_with_container, head, lines, post, put};

async fn versioned(header: &str) -> Cloud {
    let cloud = cloud_with_container().await;
    cloud.container("old").await;
    post(
        &cloud.member().with_header(header, "old"),
        &format!("{MINE}/c"),
    )
    .await
    .expect(204);
    let shown = head(&cloud.member(), &format!("{MINE}/c")).await;
    assert_eq!(shown.header(header), Some("old"));
    cloud
}

async fn write(cloud: &Cloud, bytes: &'static str) {
    cloud.world.clock.advance(Duration::from_secs(1));
    put(&cloud.member(), &format!("{MINE}/c/o"), bytes)
        .await
        .expect(201);
}

async fn read(ask: &Ask) -> String {
    let answer = ask.get(&format!("{MINE}/c/o")).await;
    if answer.status == 200 {
        String::from_utf8_lossy(&answer.bytes).into_owned()
    } else {
        answer.status.to_string()
    }
}

#[tokio::test]
async fn in_a_stack_a_deletion_brings_the_older_one_back() {
    let cloud = versioned("x-versions-location").await;
    let member = cloud.member();
    for bytes in ["one", "two", "three"] {
        write(&cloud, bytes).await;
    }
    let old = lines(&member.get(&format!("{MINE}/old")).await);
    assert_eq!(old, ["001o/1767323046.00000", "001o/1767323047.00000"]);
    assert_eq!(
        &member.get(&format!("{MINE}/old/{}", old[0])).await.bytes[..],
        b"one"
    );
    for left in ["two", "one", "404"] {
        member.delete(&format!("{MINE}/c/o")).await.expect(204);
        assert_eq!(read(&member).await, left);
    }
    member.delete(&format!("{MINE}/c/o")).await.expect(404);
    member.get(&format!("{MINE}/old")).await.expect(204);
    cloud.settle().await;
    assert!(cloud.files().is_empty());
}

#[tokio::test]
async fn in_a_history_a_deletion_is_a_version() {
    let cloud = versioned("x-history-location").await;
    let member = cloud.member();
    write(&cloud, "one").await;
    write(&cloud, "two").await;
    cloud.world.clock.advance(Duration::from_secs(1));
    member.delete(&format!("{MINE}/c/o")).await.expect(204);
    assert_eq!(read(&member).await, "404");
    let json = member.get(&format!("{MINE}/old?format=json")).await.json;
    let kinds: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["content_type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds.len(), 3);
    assert_eq!(kinds[2], "application/x-deleted;swift_versions_deleted=1");
    member.delete(&format!("{MINE}/c/o")).await.expect(404);
    // Made a stack, the mark goes first and what was deleted comes back.
    post(
        &member.with_header("x-versions-location", "old"),
        &format!("{MINE}/c"),
    )
    .await
    .expect(204);
    member.delete(&format!("{MINE}/c/o")).await.expect(204);
    assert_eq!(read(&member).await, "two");
    cloud.settle().await;
}

#[tokio::test]
async fn without_the_container_of_versions_nothing_is_overwritten() {
    let cloud = versioned("x-versions-location").await;
    let member = cloud.member();
    write(&cloud, "one").await;
    member.delete(&format!("{MINE}/old")).await.expect(204);
    put(&member, &format!("{MINE}/c/o"), "two")
        .await
        .expect(412);
    assert_eq!(read(&member).await, "one");
    post(
        &member.with_header("x-remove-versions-location", "x"),
        &format!("{MINE}/c"),
    )
    .await
    .expect(204);
    put(&member, &format!("{MINE}/c/o"), "two")
        .await
        .expect(201);
    cloud.settle().await;
    assert_eq!(cloud.files().len(), 1);
    let both = member
        .with_header("x-versions-location", "a")
        .with_header("x-history-location", "b");
    post(&both, &format!("{MINE}/c")).await.expect(400);
    post(
        &member.with_header("x-versions-location", "c"),
        &format!("{MINE}/c"),
    )
    .await
    .expect(412);
}
