//! Large objects: static and dynamic manifests.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderValue, Method};
use nephos_api::{Dispatch as _, Payload, Request};
use nephos_testkit::{Answer, Persona};
use serde_json::{Value, json};

use crate::kit::{Cloud, MINE, cloud_with_container, copy, head, lines, put};

async fn segments() -> Cloud {
    let cloud = cloud_with_container().await;
    cloud.container("s").await;
    for (name, bytes) in [("p1", "hello "), ("p2", "wide "), ("p3", "world")] {
        put(&cloud.member(), &format!("{MINE}/s/{name}"), bytes)
            .await
            .expect(201);
    }
    cloud
}

async fn manifest(cloud: &Cloud, name: &str, body: Value) -> Answer {
    let target = format!("{MINE}/c/{name}?multipart-manifest=put");
    let ask = cloud.member().with_header("content-type", "text/plain");
    put(&ask, &target, body.to_string()).await
}

fn three() -> Value {
    json!([
        {"path": "/s/p1", "etag": "f814893777bcc2295fff05f00e508da6", "size_bytes": 6},
        {"path": "s/p2"},
        {"path": "/s/p3", "range": "0-2"},
    ])
}

#[tokio::test]
async fn a_static_manifest_is_read_as_its_segments() {
    let cloud = segments().await;
    let member = cloud.member();
    let made = manifest(&cloud, "big", three()).await.expect(201);
    let target = format!("{MINE}/c/big");
    let answer = member.get(&target).await.expect(200);
    assert_eq!(&answer.bytes[..], b"hello wide wor");
    assert_eq!(answer.header("x-static-large-object"), Some("True"));
    assert_eq!(answer.header("etag"), made.header("etag"));
    assert!(answer.header("etag").unwrap().starts_with('"'));
    let part = member
        .with_header("range", "bytes=4-11")
        .get(&target)
        .await
        .expect(206);
    assert_eq!(&part.bytes[..], b"o wide w");
    head(&member, &target).await.expect(200);
    let shown = member
        .get(&format!("{target}?multipart-manifest=get"))
        .await
        .expect(200);
    assert_eq!(shown.json[0]["name"], "/s/p1");
    assert_eq!(
        (&shown.json[0]["bytes"], &shown.json[2]["range"]),
        (&json!(6), &json!("0-2"))
    );
    let raw = member
        .get(&format!("{target}?multipart-manifest=get&format=raw"))
        .await
        .expect(200);
    assert_eq!(
        raw.json[0],
        json!({"path": "/s/p1", "etag": "f814893777bcc2295fff05f00e508da6", "size_bytes": 6})
    );
    let listed = member.get(&format!("{MINE}/c?format=json")).await.json;
    assert_eq!(listed[0]["bytes"], 14);
    manifest(
        &cloud,
        "nested",
        json!([{"path": "/c/big"}, {"path": "/s/p3"}]),
    )
    .await
    .expect(201);
    assert_eq!(
        &member
            .get(&format!("{MINE}/c/nested"))
            .await
            .expect(200)
            .bytes[..],
        b"hello wide worworld"
    );
    // A copy has its own bytes; a copy of the manifest has the same segments.
    copy(&member, &target, "c/plain").await.expect(201);
    copy(
        &member,
        &format!("{target}?multipart-manifest=get"),
        "c/again",
    )
    .await
    .expect(201);
    let delete = member.with_header("accept", "application/json");
    let gone = delete
        .delete(&format!("{target}?multipart-manifest=delete"))
        .await
        .expect(200);
    assert_eq!(
        (&gone.json["Number Deleted"], &gone.json["Errors"]),
        (&json!(4), &json!([]))
    );
    assert_eq!(
        &member
            .get(&format!("{MINE}/c/plain"))
            .await
            .expect(200)
            .bytes[..],
        b"hello wide wor"
    );
    member.get(&format!("{MINE}/c/again")).await.expect(409);
    cloud.settle().await;
}

#[tokio::test]
async fn a_manifest_with_a_missing_or_other_segment_is_refused_and_leaves_nothing() {
    let cloud = segments().await;
    let before = cloud.files();
    for (body, why) in [
        (json!([{"path": "/s/none"}]), "/s/none, 404 Not Found"),
        (json!([{"path": "/none/1"}]), "/none/1, 404 Not Found"),
        (
            json!([{"path": "/s/p1", "etag": "0123"}]),
            "/s/p1, Etag Mismatch",
        ),
        (
            json!([{"path": "/s/p1", "size_bytes": 7}]),
            "/s/p1, Size Mismatch",
        ),
        (
            json!([{"path": "/s/p1", "range": "9-"}]),
            "/s/p1, Unsatisfiable Range",
        ),
        (json!({}), "must be a list"),
        (json!([]), "at least one segment"),
    ] {
        let answer = manifest(&cloud, "big", body).await.expect(400);
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(text.contains(why), "{text}");
    }
    cloud
        .member()
        .get(&format!("{MINE}/c/big"))
        .await
        .expect(404);
    manifest(&cloud, "big", three()).await.expect(201);
    cloud
        .member()
        .delete(&format!("{MINE}/s/p2"))
        .await
        .expect(204);
    let answer = cloud
        .member()
        .get(&format!("{MINE}/c/big"))
        .await
        .expect(409);
    assert!(String::from_utf8_lossy(&answer.bytes).contains("/s/p2"));
    put(&cloud.member(), &format!("{MINE}/s/p2"), "other")
        .await
        .expect(201);
    cloud
        .member()
        .get(&format!("{MINE}/c/big"))
        .await
        .expect(409);
    cloud.settle().await;
    assert_eq!(cloud.files().len(), before.len());
}

#[tokio::test]
async fn a_dynamic_manifest_is_read_as_what_begins_like_it() {
    let cloud = segments().await;
    let member = cloud.member();
    let target = format!("{MINE}/c/dyn");
    put(&member.with_header("x-object-manifest", "s/p"), &target, "")
        .await
        .expect(201);
    let answer = member.get(&target).await.expect(200);
    assert_eq!(&answer.bytes[..], b"hello wide world");
    assert_eq!(answer.header("x-object-manifest"), Some("s/p"));
    assert!(answer.header("etag").unwrap().starts_with('"'));
    put(&member, &format!("{MINE}/s/p4"), Bytes::from_static(b"!"))
        .await
        .expect(201);
    assert_eq!(&member.get(&target).await.bytes[..], b"hello wide world!");
    let part = member
        .with_header("range", "bytes=-7")
        .get(&target)
        .await
        .expect(206);
    assert_eq!(&part.bytes[..], b" world!");
    assert!(
        member
            .get(&format!("{target}?multipart-manifest=get"))
            .await
            .expect(200)
            .bytes
            .is_empty()
    );
    put(&member.with_header("x-object-manifest", "s"), &target, "")
        .await
        .expect(400);
    put(
        &member.with_header("x-object-manifest", "none/x"),
        &format!("{MINE}/c/empty"),
        "",
    )
    .await
    .expect(201);
    assert!(
        member
            .get(&format!("{MINE}/c/empty"))
            .await
            .expect(200)
            .bytes
            .is_empty()
    );
    copy(&member, &target, "c/whole").await.expect(201);
    member.delete(&target).await.expect(204);
    assert_eq!(lines(&member.get(&format!("{MINE}/s")).await).len(), 4);
    assert_eq!(
        &member.get(&format!("{MINE}/c/whole")).await.bytes[..],
        b"hello wide world!"
    );
    cloud.settle().await;
}

#[tokio::test]
async fn segments_of_others_are_not_read_by_a_manifest() {
    let cloud = segments().await;
    let open = cloud.member().with_header("x-container-read", ".r:*");
    crate::kit::post(&open, &format!("{MINE}/c"))
        .await
        .expect(204);
    manifest(&cloud, "big", three()).await.expect(201);
    // The manifest is open to everybody, its segments are not.
    cloud
        .other()
        .get(&format!("{MINE}/c/big"))
        .await
        .expect(409);
    crate::kit::post(&open, &format!("{MINE}/s"))
        .await
        .expect(204);
    cloud
        .other()
        .get(&format!("{MINE}/c/big"))
        .await
        .expect(200);
}

/// A reader of the object `big` who has its first file open, with nothing of it there any more for others.
async fn reader_of_what_is_gone(cloud: &Cloud) -> Payload {
    manifest(cloud, "big", three()).await.expect(201);
    let mut request = Request::new(Method::GET, &format!("{MINE}/c/big"));
    let token = cloud.world.token(Persona::Member).unwrap();
    let token = HeaderValue::from_str(&token).unwrap();
    request.headers.insert("x-auth-token", token);
    let body = cloud.app.dispatch(request).await.body;
    for gone in ["c/big", "s/p1", "s/p2", "s/p3"] {
        let target = format!("{MINE}/{gone}");
        cloud.member().delete(&target).await.expect(204);
    }
    cloud.settle().await;
    body
}

#[tokio::test]
async fn a_reader_gets_all_of_what_is_deleted_meanwhile() {
    let cloud = segments().await;
    let body = reader_of_what_is_gone(&cloud).await;
    let Payload::Stream { length, mut chunks } = body else {
        panic!("no bytes");
    };
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
        // Longer than files are kept for a reader of whom nothing is heard, in all.
        cloud.world.clock.advance(Duration::from_secs(10));
        cloud.settle().await;
    }
    assert_eq!((length, &bytes[..]), (14, &b"hello wide wor"[..]));
    assert_eq!(cloud.files().len(), 3, "still held");
    cloud.world.clock.advance(Duration::from_secs(16));
    cloud.settle().await;
    assert_eq!(cloud.files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_reader_that_takes_nothing_for_a_minute_is_not_waited_for() {
    let cloud = segments().await;
    let body = reader_of_what_is_gone(&cloud).await;
    let Payload::Stream { mut chunks, .. } = body else {
        panic!("no bytes");
    };
    chunks.next().await.unwrap().unwrap();
    let pass = async |seconds: u32| {
        // In steps much shorter than what a renewal is good for.
        for _ in 0..seconds {
            cloud.world.clock.advance(Duration::from_secs(1));
            cloud.settle().await;
        }
    };
    pass(50).await;
    assert_eq!(cloud.files().len(), 3, "held for almost a minute");
    pass(40).await;
    assert_eq!(cloud.files(), Vec::<String>::new());
    let mut ends = Vec::new();
    while let Some(chunk) = chunks.next().await {
        ends.push(chunk.is_err());
    }
    assert_eq!(ends.last(), Some(&true), "it ends in an error");
}

#[tokio::test]
async fn a_manifest_is_no_segment_of_its_own() {
    let cloud = segments().await;
    let target = format!("{MINE}/c/self");
    put(&cloud.member(), &target, "bytes").await.expect(201);
    let wanted = json!([{"path": "s/p1"}, {"path": "/c/self"}]);
    let refused = manifest(&cloud, "self", wanted).await.expect(400);
    let text = String::from_utf8_lossy(&refused.bytes).into_owned();
    assert!(
        text.contains("Index 1: manifest must not include itself"),
        "{text}"
    );
    assert_eq!(
        &cloud.member().get(&target).await.expect(200).bytes[..],
        b"bytes"
    );
}

#[tokio::test]
async fn manifests_that_name_each_other_in_a_circle_are_deleted_with_what_they_name() {
    let cloud = segments().await;
    let member = cloud.member().with_header("accept", "application/json");
    let named = |name: &str| json!([{ "path": name }]);
    manifest(&cloud, "in", named("/s/p1")).await.expect(201);
    let twice = json!([{"path": "/c/in"}, {"path": "/c/in", "range": "0-1"}]);
    manifest(&cloud, "out", twice).await.expect(201);
    manifest(&cloud, "in", named("/c/out")).await.expect(201);
    let target = format!("{MINE}/c/out?multipart-manifest=delete");
    let gone = member.delete(&target).await.expect(200).json;
    assert_eq!(
        (&gone["Number Deleted"], &gone["Number Not Found"]),
        (&json!(2), &json!(0))
    );
    member.get(&format!("{MINE}/c/in")).await.expect(404);
    cloud.settle().await;
}

#[tokio::test]
async fn manifests_that_are_too_long_to_be_looked_through_are_not_deleted_with_their_segments() {
    let cloud = segments().await;
    let many = |path: &str| Value::Array(vec![json!({ "path": path }); 1000]);
    // 101 manifests of a thousand times the same.
    let mut all = Vec::new();
    for number in 0..101 {
        let name = format!("m{number}");
        manifest(&cloud, &name, many("/s/p1")).await.expect(201);
        all.push(json!({"path": format!("/c/{name}")}));
    }
    manifest(&cloud, "all", Value::Array(all)).await.expect(201);
    let target = format!("{MINE}/c/all?multipart-manifest=delete");
    cloud.member().delete(&target).await.expect(413);
    cloud
        .member()
        .get(&format!("{MINE}/s/p1"))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_range_needs_the_segments_that_it_is_in() {
    let cloud = segments().await;
    let member = cloud.member();
    manifest(&cloud, "inner", three()).await.expect(201);
    let outer = json!([{"path": "/s/p1"}, {"path": "/c/inner", "range": "2-12"}]);
    manifest(&cloud, "outer", outer).await.expect(201);
    // hello llo wide wo
    member.delete(&format!("{MINE}/s/p2")).await.expect(204);
    let target = format!("{MINE}/c/outer");
    let range = |range: &str| member.with_header("range", range);
    for (asked, bytes) in [
        ("bytes=1-3", "ell"),
        ("bytes=6-9", "llo "),
        ("bytes=4-7", "o ll"),
        ("bytes=-2", "wo"),
    ] {
        let answer = range(asked).get(&target).await.expect(206);
        assert_eq!(&answer.bytes[..], bytes.as_bytes(), "{asked}");
    }
    range("bytes=-3").get(&target).await.expect(409);
    range("bytes=1-3,6-9").get(&target).await.expect(206);
    range("bytes=1-3,9-10").get(&target).await.expect(409);
    member.get(&target).await.expect(409);
    // One of what it was before means all of it.
    let before = range("bytes=1-3").with_header("if-range", "\"other\"");
    before.get(&target).await.expect(409);
    copy(&range("bytes=1-3"), &target, "c/part")
        .await
        .expect(201);
    let part = member.get(&format!("{MINE}/c/part")).await.expect(200);
    assert_eq!(&part.bytes[..], b"ell");
}

#[tokio::test]
async fn a_copy_of_a_dynamic_large_object_depends_on_the_tag_that_readers_see() {
    let cloud = segments().await;
    let member = cloud.member();
    let target = format!("{MINE}/c/dyn");
    put(&member.with_header("x-object-manifest", "s/p"), &target, "")
        .await
        .expect(201);
    let tag = head(&member, &target).await.expect(200);
    let tag = tag.header("etag").unwrap().to_owned();
    let when = |name: &'static str, tag: &str| member.with_header(name, tag);
    copy(&when("if-match", &tag), &target, "c/whole")
        .await
        .expect(201);
    put(&member, &format!("{MINE}/s/p4"), "!").await.expect(201);
    copy(&when("if-match", &tag), &target, "c/not")
        .await
        .expect(412);
    member.get(&format!("{MINE}/c/not")).await.expect(404);
}
