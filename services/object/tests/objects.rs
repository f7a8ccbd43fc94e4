//! Objects: written, read, changed, copied, deleted.

use std::time::Duration;

use crate::kit::{MINE, cloud_with_container, copy, head, lines, post, put};

#[tokio::test]
async fn an_object_is_read_as_it_was_written() {
    let cloud = cloud_with_container().await;
    let member = cloud.member();
    let target = format!("{MINE}/c/a%20b/%C3%BC");
    let write = member
        .with_header("content-type", "text/x-own; charset=latin1")
        .with_header("content-disposition", "attachment")
        .with_header("x-object-meta-color", "red")
        .with_header("x-object-meta-empty", "");
    let answer = put(&write, &target, "hello").await.expect(201);
    assert_eq!(
        answer.header("etag"),
        Some("5d41402abc4b2a76b9719d911017c592")
    );
    let answer = member.get(&target).await.expect(200);
    assert_eq!(&answer.bytes[..], b"hello");
    for (name, value) in [
        ("content-type", "text/x-own; charset=latin1"),
        ("content-disposition", "attachment"),
        ("x-object-meta-color", "red"),
        ("x-object-meta-empty", ""),
        ("etag", "5d41402abc4b2a76b9719d911017c592"),
        ("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT"),
        ("x-timestamp", "1767323045.00000"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert!(head(&member, &target).await.expect(200).bytes.is_empty());
    assert_eq!(lines(&member.get(&format!("{MINE}/c")).await), ["a b/ü"]);
    put(&member, &target, "again").await.expect(201);
    assert_eq!(&member.get(&target).await.bytes[..], b"again");
    cloud.settle().await;
    assert_eq!(cloud.files().len(), 1);
    member.delete(&target).await.expect(204);
    member.delete(&target).await.expect(404);
    member.get(&target).await.expect(404);
    cloud.settle().await;
    assert!(cloud.files().is_empty());
}

#[tokio::test]
async fn an_empty_object_and_names_that_end_in_slashes() {
    let cloud = cloud_with_container().await;
    let member = cloud.member();
    for name in ["dir/", "dir", "/x", "a//b"] {
        let target = format!("{MINE}/c/{name}");
        put(&member, &target, "").await.expect(201);
        let answer = member.get(&target).await.expect(200);
        assert_eq!(
            answer.header("etag"),
            Some("d41d8cd98f00b204e9800998ecf8427e")
        );
    }
    assert_eq!(
        lines(&member.get(&format!("{MINE}/c")).await),
        ["/x", "a//b", "dir", "dir/"]
    );
    assert!(cloud.files().is_empty());
}

#[tokio::test]
async fn metadata_is_replaced_as_a_whole() {
    let cloud = cloud_with_container().await;
    let member = cloud.member();
    let target = format!("{MINE}/c/o");
    put(
        &member
            .with_header("x-object-meta-a", "1")
            .with_header("content-encoding", "gzip"),
        &target,
        "x",
    )
    .await
    .expect(201);
    post(
        &member
            .with_header("x-object-meta-b", "2")
            .with_header("content-type", "a/b"),
        &target,
    )
    .await
    .expect(202);
    let answer = head(&member, &target).await.expect(200);
    assert_eq!(
        (
            answer.header("x-object-meta-a"),
            answer.header("x-object-meta-b")
        ),
        (None, Some("2"))
    );
    assert_eq!(
        (
            answer.header("content-type"),
            answer.header("content-encoding")
        ),
        (Some("a/b"), None)
    );
    post(&member, &format!("{MINE}/c/none")).await.expect(404);
    post(
        &member.with_header("x-object-meta-a", &"v".repeat(257)),
        &target,
    )
    .await
    .expect(400);
}

#[tokio::test]
async fn ranges_of_an_object() {
    let cloud = cloud_with_container().await;
    let member = cloud.member();
    let target = format!("{MINE}/c/o");
    put(&member, &target, "0123456789").await.expect(201);
    let range = |range: &str| {
        let ask = member.with_header("range", range);
        let target = target.clone();
        async move { ask.get(&target).await }
    };
    let answer = range("bytes=2-4").await.expect(206);
    assert_eq!(
        (&answer.bytes[..], answer.header("content-range")),
        (&b"234"[..], Some("bytes 2-4/10"))
    );
    assert_eq!(&range("bytes=-3").await.expect(206).bytes[..], b"789");
    let answer = range("bytes=20-").await.expect(416);
    assert_eq!(answer.header("content-range"), Some("bytes */10"));
    assert_eq!(
        &range("bytes=oops").await.expect(200).bytes[..],
        b"0123456789"
    );
    let answer = range("bytes=0-1,8-9").await.expect(206);
    let boundary = answer
        .header("content-type")
        .unwrap()
        .split_once("boundary=")
        .unwrap()
        .1
        .to_owned();
    let text = String::from_utf8_lossy(&answer.bytes).into_owned();
    assert!(
        text.starts_with(&format!("--{boundary}\r\n"))
            && text.ends_with(&format!("--{boundary}--")),
        "{text}"
    );
    assert!(
        text.contains("Content-Range: bytes 0-1/10\r\n\r\n01\r\n"),
        "{text}"
    );
    let other = member
        .with_header("range", "bytes=0-1")
        .with_header("if-range", "\"x\"");
    other.get(&target).await.expect(200);
}

#[tokio::test]
async fn reads_and_writes_on_conditions() {
    let cloud = cloud_with_container().await;
    let member = cloud.member();
    let target = format!("{MINE}/c/o");
    let once = member.with_header("if-none-match", "*");
    put(&once, &target, "hello").await.expect(201);
    put(&once, &target, "other").await.expect(412);
    put(
        &member.with_header("if-none-match", "abc"),
        &target,
        "other",
    )
    .await
    .expect(400);
    let etag = "5d41402abc4b2a76b9719d911017c592";
    for (name, value, status) in [
        ("if-match", etag, 200),
        ("if-match", "x", 412),
        ("if-none-match", etag, 304),
        ("if-none-match", "x", 200),
        ("if-modified-since", "Fri, 02 Jan 2026 03:04:05 GMT", 304),
        ("if-modified-since", "Fri, 02 Jan 2026 03:04:04 GMT", 200),
        ("if-unmodified-since", "Fri, 02 Jan 2026 03:04:04 GMT", 412),
        ("if-unmodified-since", "Fri, 02 Jan 2026 03:04:05 GMT", 200),
    ] {
        member
            .with_header(name, value)
            .get(&target)
            .await
            .expect(status);
    }
    assert_eq!(&member.get(&target).await.bytes[..], b"hello");
    let racers = (0..8).map(|n| {
        let (once, target) = (once.clone(), format!("{MINE}/c/race"));
        async move { put(&once, &target, format!("{n}")).await.status }
    });
    let statuses = futures_util::future::join_all(racers).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    cloud.settle().await;
}

#[tokio::test]
async fn copies_share_bytes_and_outlive_their_source() {
    let cloud = cloud_with_container().await;
    cloud.container("d").await;
    let member = cloud.member();
    let source = format!("{MINE}/c/o");
    put(
        &member
            .with_header("x-object-meta-a", "1")
            .with_header("content-type", "a/b"),
        &source,
        "hello",
    )
    .await
    .expect(201);
    let answer = copy(
        &member.with_header("x-object-meta-b", "2"),
        &source,
        "/d/a%20copy",
    )
    .await
    .expect(201);
    assert_eq!(answer.header("x-copied-from"), Some("c/o"));
    assert!(answer.header("x-copied-from-last-modified").is_some());
    assert_eq!(cloud.files().len(), 1);
    let target = format!("{MINE}/d/a%20copy");
    let fresh = member
        .with_header("x-copy-from", "c/o")
        .with_header("x-fresh-metadata", "true");
    put(
        &fresh.with_header("x-object-meta-c", "3"),
        &format!("{MINE}/d/fresh"),
        "",
    )
    .await
    .expect(201);
    member.delete(&source).await.expect(204);
    cloud.settle().await;
    let answer = member.get(&target).await.expect(200);
    assert_eq!(&answer.bytes[..], b"hello");
    assert_eq!(
        (
            answer.header("x-object-meta-a"),
            answer.header("x-object-meta-b"),
            answer.header("content-type")
        ),
        (Some("1"), Some("2"), Some("a/b"))
    );
    let fresh = member.get(&format!("{MINE}/d/fresh")).await.expect(200);
    assert_eq!(
        (
            fresh.header("x-object-meta-a"),
            fresh.header("x-object-meta-c")
        ),
        (None, Some("3"))
    );
    // Onto itself: new metadata, the same bytes.
    copy(
        &member.with_header("x-object-meta-a", "9"),
        &target,
        "d/a%20copy",
    )
    .await
    .expect(201);
    cloud.settle().await;
    let answer = member.get(&target).await.expect(200);
    assert_eq!(
        (&answer.bytes[..], answer.header("x-object-meta-a")),
        (&b"hello"[..], Some("9"))
    );
    copy(&member, &format!("{MINE}/c/none"), "d/x")
        .await
        .expect(404);
    copy(&member, &target, "none/x").await.expect(404);
    copy(&member, &target, "x").await.expect(412);
    put(
        &member.with_header("x-copy-from", "d/fresh"),
        &format!("{MINE}/d/x"),
        "bytes",
    )
    .await
    .expect(400);
    for name in ["a%20copy", "fresh"] {
        member.delete(&format!("{MINE}/d/{name}")).await.expect(204);
    }
    cloud.settle().await;
    assert!(cloud.files().is_empty());
}

#[tokio::test]
async fn an_object_whose_time_is_over_is_gone() {
    let cloud = cloud_with_container().await;
    let member = cloud.member();
    let target = format!("{MINE}/c/o");
    put(
        &member.with_header("x-delete-after", "60"),
        &target,
        "hello",
    )
    .await
    .expect(201);
    assert_eq!(
        head(&member, &target).await.header("x-delete-at"),
        Some("1767323105")
    );
    put(
        &member.with_header("x-delete-at", "1767323105"),
        &format!("{MINE}/c/p"),
        "x",
    )
    .await
    .expect(201);
    post(&member, &format!("{MINE}/c/p")).await.expect(202);
    cloud.world.clock.advance(Duration::from_secs(60));
    member.get(&target).await.expect(404);
    post(&member, &target).await.expect(404);
    put(&member.with_header("if-none-match", "*"), &target, "new")
        .await
        .expect(201);
    put(&member.with_header("x-delete-after", "1"), &target, "short")
        .await
        .expect(201);
    cloud.world.clock.advance(Duration::from_secs(2));
    cloud.settle().await;
    assert_eq!(lines(&member.get(&format!("{MINE}/c")).await), ["p"]);
    assert_eq!(cloud.files().len(), 1);
    for (name, value) in [
        ("x-delete-at", "1"),
        ("x-delete-after", "0"),
        ("x-delete-at", "soon"),
        ("x-delete-after", "-5"),
    ] {
        put(&member.with_header(name, value), &target, "x")
            .await
            .expect(400);
    }
}

#[tokio::test]
async fn many_are_deleted_by_one_request() {
    let cloud = cloud_with_container().await;
    cloud.container("d").await;
    let member = cloud.member();
    for name in ["a", "b%20c"] {
        put(&member, &format!("{MINE}/c/{name}"), "x")
            .await
            .expect(201);
    }
    put(&member, &format!("{MINE}/d/o"), "x").await.expect(201);
    let json = member
        .with_header("accept", "application/json")
        .with_header("content-type", "text/plain");
    let body = "/c/a\nc/b%20c\n/c/none\n/d\n/c\n";
    let answer = json
        .send(
            http::Method::POST,
            &format!("{MINE}?bulk-delete"),
            body.into(),
        )
        .await
        .expect(200);
    assert_eq!(answer.json["Number Deleted"], 3);
    assert_eq!(answer.json["Number Not Found"], 1);
    assert_eq!(answer.json["Response Status"], "400 Bad Request");
    assert_eq!(
        answer.json["Errors"],
        serde_json::json!([["/d", "409 Conflict"]])
    );
    let theirs = cloud.other().with_header("accept", "application/json");
    let answer = theirs
        .send(
            http::Method::POST,
            &format!("{MINE}?bulk-delete"),
            "/d/o".into(),
        )
        .await
        .expect(200);
    assert_eq!(
        answer.json["Errors"],
        serde_json::json!([["/d/o", "403 Forbidden"]])
    );
    cloud.settle().await;
}

#[tokio::test]
async fn an_object_whose_time_is_over_is_deleted_with_a_404_and_its_container_is_empty() {
    let cloud = cloud_with_container().await;
    let member = cloud.member();
    let target = format!("{MINE}/c/o");
    let soon = member.with_header("x-delete-after", "10");
    put(&soon, &target, "x").await.expect(201);
    cloud.world.clock.advance(Duration::from_secs(11));
    member.get(&target).await.expect(404);
    member.delete(&format!("{MINE}/c")).await.expect(409);
    member.delete(&target).await.expect(404);
    member.delete(&format!("{MINE}/c")).await.expect(204);
}

#[tokio::test]
async fn readers_and_copies_beside_writers_get_the_old_object_or_the_new_one_whole() {
    let cloud = cloud_with_container().await;
    let (member, target) = (cloud.member(), format!("{MINE}/c/o"));
    let (old, new) = (vec![b'o'; 3000], vec![b'n'; 5000]);
    put(&member, &target, old.clone()).await.expect(201);
    for turn in 0..20 {
        let next = if turn % 2 == 0 { &new } else { &old };
        let to = format!("c/copy{turn}");
        let (written, read, copied) = tokio::join!(
            put(&member, &target, next.clone()),
            member.get(&target),
            copy(&member, &target, &to),
        );
        written.expect(201);
        copied.expect(201);
        let copied = member.get(&format!("{MINE}/{to}")).await;
        for got in [read, copied] {
            let got = got.expect(200).bytes;
            assert!(
                got[..] == old[..] || got[..] == new[..],
                "{} bytes",
                got.len()
            );
        }
    }
}
