//! What clients do wrong: each a clear refusal, and nothing left over.

use crate::kit::{MINE, cloud_with, cloud_with_container, head, put};

#[tokio::test]
async fn an_upload_that_is_cut_off_leaves_nothing() {
    let cloud = cloud_with_container().await;
    let target = format!("{MINE}/c/o");
    put(&cloud.member(), &target, "before").await.expect(201);
    let files = cloud.files();
    let upload = cloud.stream(&target, &[]);
    upload.send(b"half").await;
    assert_eq!(upload.abort().await, 499);
    // Fewer bytes than were announced.
    let upload = cloud.stream(&target, &[("content-length", "10")]);
    upload.send(b"half").await;
    assert_eq!(upload.end().await, 499);
    cloud.settle().await;
    assert_eq!(cloud.files(), files);
    assert_eq!(&cloud.member().get(&target).await.bytes[..], b"before");
    let upload = cloud.stream(&target, &[]);
    upload.send(b"all ").await;
    upload.send(b"of it").await;
    assert_eq!(upload.end().await, 201);
    assert_eq!(&cloud.member().get(&target).await.bytes[..], b"all of it");
    cloud.settle().await;
}

#[tokio::test]
async fn a_wrong_checksum_is_refused() {
    let cloud = cloud_with_container().await;
    let target = format!("{MINE}/c/o");
    let member = cloud.member();
    put(
        &member.with_header("etag", "00000000000000000000000000000000"),
        &target,
        "x",
    )
    .await
    .expect(422);
    put(
        &member.with_header("etag", "00000000000000000000000000000000"),
        &target,
        "",
    )
    .await
    .expect(422);
    head(&member, &target).await.expect(404);
    cloud.settle().await;
    assert!(cloud.files().is_empty());
    put(
        &member.with_header("etag", "\"9dd4e461268c8034f5c8564e155c67a6\""),
        &target,
        "x",
    )
    .await
    .expect(201);
}

#[tokio::test]
async fn an_object_that_is_too_large_is_refused_before_and_while_it_comes() {
    let cloud = cloud_with(|config| config.max_object_bytes = 10).await;
    cloud.container("c").await;
    let target = format!("{MINE}/c/o");
    put(&cloud.member(), &target, "12345678901")
        .await
        .expect(413);
    let upload = cloud.stream(&target, &[]);
    upload.send(b"123456").await;
    upload.send(b"123456").await;
    // It would be listened to for a while yet, so that it hears why.
    drop(upload.sender);
    assert_eq!(upload.answer.await.unwrap().status.as_u16(), 413);
    put(&cloud.member(), &target, "1234567890")
        .await
        .expect(201);
    cloud.settle().await;
    assert_eq!(cloud.files().len(), 1);
}

#[tokio::test]
async fn names_and_containers_that_cannot_be() {
    let cloud = cloud_with_container().await;
    let member = cloud.member();
    put(&member, &format!("{MINE}/none/o"), "x")
        .await
        .expect(404);
    put(&member, &format!("{MINE}/c/%ff"), "x")
        .await
        .expect(412);
    put(&member, &format!("{MINE}/c/%00"), "x")
        .await
        .expect(412);
    put(&member, "/v1/NOBODY/c", "").await.expect(403);
    put(&cloud.ask, &format!("{MINE}/c/o"), "x")
        .await
        .expect(401);
    let invalid = cloud.ask.with_token("rubbish");
    invalid.get(MINE).await.expect(401);
    let answer = member.get(&format!("{MINE}/none")).await.expect(404);
    assert_eq!(
        &answer.bytes[..],
        b"<html><h1>Not Found</h1><p>The resource could not be found.</p></html>"
    );
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=UTF-8")
    );
}
