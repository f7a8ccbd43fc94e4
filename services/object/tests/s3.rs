//! S3, by signed requests; and what a kill leaves of an upload in parts.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hmac::{Hmac, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use nephos_peer::Transport;
use nephos_runtime::Clock;
use nephos_runtime::crash::{self, Mode};
use nephos_testkit::Persona;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::kit::{Cloud, MINE, cloud_with, put};

const HOST: &str = "s3.test";

/// An identity service that knows one key, `access`, of the member's.
struct Identity;

impl Dispatch for Identity {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let domain = json!({"id": "default", "name": "Default"});
        let named = |id: &str| json!({"id": id, "name": id, "domain": domain});
        let (status, body) = match request.path.as_str() {
            "/v3/users/any/credentials/OS-EC2/access" => (
                200,
                json!({"credential": {"access": "access", "secret": "secret"}}),
            ),
            "/v3/s3tokens" => (
                200,
                json!({"token": {
                    "user": named(Persona::Member.user()), "project": named(Persona::Member.project()),
                    "roles": [{"name": "member"}],
                }}),
            ),
            _unknown => (404, json!({})),
        };
        async move {
            Response {
                status: StatusCode::from_u16(status).unwrap(),
                headers: HeaderMap::new(),
                body: Payload::Bytes(body.to_string().into()),
            }
        }
        .boxed()
    }
}

async fn s3_cloud() -> Cloud {
    let cloud = cloud_with(|config| config.s3_listen = Some(([127, 0, 0, 1], 1).into())).await;
    cloud
        .world
        .directory
        .set("identity", Transport::Local(Arc::new(Identity)));
    cloud.container("c").await;
    cloud
}

struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap()
        .chain_update(text);
    mac.finalize().into_bytes().to_vec()
}

/// A request signed with `secret`; `query` in its canonical form.
async fn ask(
    cloud: &Cloud,
    (method, path, query): (Method, &str, &str),
    body: &[u8],
    secret: &str,
) -> Got {
    let date = Clock::system().now().format("%Y%m%dT%H%M%SZ");
    let day = &date[..8];
    let digest = hex::encode(Sha256::digest(body));
    let headers = "host;x-amz-content-sha256;x-amz-date";
    let canonical = format!(
        "{method}\n{path}\n{query}\nhost:{HOST}\nx-amz-content-sha256:{digest}\nx-amz-date:{date}\n\n{headers}\n{digest}"
    );
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex::encode(Sha256::digest(canonical))
    );
    let first = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(first, |key, part| sign(&key, part));
    let signature = hex::encode(sign(&key, &text));
    let auth = format!(
        "AWS4-HMAC-SHA256 Credential=access/{scope}, SignedHeaders={headers}, Signature={signature}"
    );
    let mut request = Request::new(method, &format!("{path}?{query}"));
    let length = body.len().to_string();
    for (name, value) in [
        ("host", HOST),
        ("x-amz-date", date.as_str()),
        ("x-amz-content-sha256", digest.as_str()),
        ("authorization", auth.as_str()),
        ("content-length", length.as_str()),
    ] {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request
            .headers
            .insert(name, HeaderValue::from_str(value).unwrap());
    }
    request.body = Incoming::Bytes(Bytes::copy_from_slice(body));
    let (_listen, door) = cloud.object.s3().expect("S3 is asked for");
    let response = door.dispatch(request).await;
    let bytes = match response.body {
        Payload::Empty | Payload::Socket(_) => Bytes::new(),
        Payload::Bytes(bytes) => bytes,
        Payload::Open(mut chunks) | Payload::Stream { mut chunks, .. } => {
            let mut all = Vec::new();
            while let Some(Ok(chunk)) = futures_util::StreamExt::next(&mut chunks).await {
                all.extend_from_slice(&chunk);
            }
            all.into()
        }
    };
    Got {
        status: response.status.as_u16(),
        headers: response.headers,
        text: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

async fn call(cloud: &Cloud, method: Method, path: &str, query: &str, body: &[u8]) -> Got {
    ask(cloud, (method, path, query), body, "secret").await
}

fn tag<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("<{name}>")).expect(text);
    rest.split_once('<').expect("its end").0
}

#[tokio::test]
async fn the_same_bytes_by_both_doors() {
    let cloud = s3_cloud().await;
    put(&cloud.member(), &format!("{MINE}/c/by%20swift"), "hello")
        .await
        .expect(201);
    let got = call(&cloud, Method::GET, "/c/by%20swift", "", b"").await;
    assert_eq!((got.status, got.text.as_str()), (200, "hello"));
    assert_eq!(got.headers["etag"], "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_eq!(
        call(&cloud, Method::PUT, "/c/by-s3", "", b"other")
            .await
            .status,
        200
    );
    assert_eq!(
        &cloud
            .member()
            .get(&format!("{MINE}/c/by-s3"))
            .await
            .expect(200)
            .bytes[..],
        b"other"
    );
    let listed = call(&cloud, Method::GET, "/c", "list-type=2&prefix=by", b"").await;
    assert!(
        listed.text.contains("<Key>by swift</Key>")
            && listed.text.contains("<KeyCount>2</KeyCount>"),
        "{}",
        listed.text
    );
    assert_eq!(
        call(&cloud, Method::DELETE, "/c/by-s3", "", b"")
            .await
            .status,
        204
    );
    cloud
        .member()
        .get(&format!("{MINE}/c/by-s3"))
        .await
        .expect(404);
    assert_eq!(
        tag(
            &call(&cloud, Method::GET, "/c/by-s3", "", b"").await.text,
            "Code"
        ),
        "NoSuchKey"
    );
    assert_eq!(
        tag(
            &call(&cloud, Method::GET, "/none/x", "", b"").await.text,
            "Code"
        ),
        "NoSuchBucket"
    );
    let bad = ask(&cloud, (Method::GET, "/c/by%20swift", ""), b"", "wrong").await;
    assert_eq!(
        (bad.status, tag(&bad.text, "Code")),
        (403, "SignatureDoesNotMatch")
    );
    cloud.settle().await;
}

async fn begin(cloud: &Cloud) -> String {
    let got = call(cloud, Method::POST, "/c/o", "uploads=", b"").await;
    assert_eq!(got.status, 200, "{}", got.text);
    tag(&got.text, "UploadId").to_owned()
}

#[tokio::test]
async fn many_write_into_one_bucket_at_once_and_nobody_is_refused() {
    let cloud = s3_cloud().await;
    let whole = async |name: String| {
        let path = format!("/c/{name}");
        let begun = call(&cloud, Method::POST, &path, "uploads=", b"").await;
        assert_eq!(begun.status, 200, "{}", begun.text);
        let id = tag(&begun.text, "UploadId");
        let query = format!("partNumber=1&uploadId={id}");
        let part = call(&cloud, Method::PUT, &path, &query, name.as_bytes()).await;
        assert_eq!(part.status, 200, "{}", part.text);
        let gone = call(
            &cloud,
            Method::DELETE,
            &path,
            &format!("uploadId={id}"),
            b"",
        )
        .await;
        assert_eq!(gone.status, 204, "{}", gone.text);
        let put = call(&cloud, Method::PUT, &path, "", name.as_bytes()).await;
        assert_eq!(put.status, 200, "{}", put.text);
    };
    let writers = (0..24).map(|number| whole(format!("o{number}")));
    futures_util::future::join_all(writers).await;
    let listed = call(&cloud, Method::GET, "/c", "list-type=2", b"").await;
    assert_eq!(tag(&listed.text, "KeyCount"), "24");
}

#[tokio::test]
async fn uploads_are_listed_by_prefix_and_page_by_page() {
    let cloud = s3_cloud().await;
    for name in ["a/1", "a/2", "b", "\u{e4}/1"] {
        let path = format!("/c/{}", name.replace('\u{e4}', "%C3%A4"));
        let got = call(&cloud, Method::POST, &path, "uploads=", b"").await;
        assert_eq!(got.status, 200, "{}", got.text);
    }
    let list = async |query: &str| {
        let got = call(&cloud, Method::GET, "/c", query, b"").await;
        assert_eq!(got.status, 200, "{}", got.text);
        got.text
    };
    let keys = |text: &str| -> Vec<String> {
        let uploads = text.split("<Upload>").skip(1);
        uploads.map(|one| tag(one, "Key").to_owned()).collect()
    };
    assert_eq!(
        keys(&list("uploads=").await),
        ["a/1", "a/2", "b", "\u{e4}/1"]
    );
    assert_eq!(keys(&list("prefix=a%2F&uploads=").await), ["a/1", "a/2"]);
    assert_eq!(keys(&list("prefix=%C3%A4&uploads=").await), ["\u{e4}/1"]);
    let first = list("max-uploads=1&prefix=a%2F&uploads=").await;
    assert_eq!(
        (keys(&first), tag(&first, "IsTruncated")),
        (vec!["a/1".to_owned()], "true")
    );
    let behind = tag(&first, "NextUploadIdMarker");
    let query = format!("key-marker=a%2F1&prefix=a%2F&upload-id-marker={behind}&uploads=");
    assert_eq!(keys(&list(&query).await), ["a/2"]);
}

#[tokio::test]
async fn a_name_that_xml_cannot_carry_spoils_no_answer() {
    let cloud = s3_cloud().await;
    let path = "/c/a%01b";
    let begun = call(&cloud, Method::POST, path, "uploads=", b"").await;
    assert_eq!(tag(&begun.text, "Key"), "a\u{fffd}b");
    let listed = call(&cloud, Method::GET, "/c", "uploads=", b"").await;
    assert_eq!(tag(&listed.text, "UploadId"), tag(&begun.text, "UploadId"));
    assert!(!listed.text.contains('\u{1}'));
    let query = "encoding-type=url&uploads=";
    let listed = call(&cloud, Method::GET, "/c", query, b"").await;
    assert_eq!(tag(&listed.text, "Key"), "a%01b");
    assert_eq!(tag(&listed.text, "EncodingType"), "url");
    let put = call(&cloud, Method::PUT, path, "", b"abc").await;
    assert_eq!(put.status, 200, "{}", put.text);
    let list = "<Delete><Object><Key>a\u{1}b</Key></Object></Delete>";
    let gone = call(&cloud, Method::POST, "/c", "delete=", list.as_bytes()).await;
    assert_eq!((gone.status, tag(&gone.text, "Key")), (200, "a\u{fffd}b"));
    let read = call(&cloud, Method::GET, path, "", b"").await;
    assert_eq!((read.status, tag(&read.text, "Code")), (404, "NoSuchKey"));
    let long = format!("/c/{}", "x".repeat(1025));
    let refused = call(&cloud, Method::PUT, &long, "", b"").await;
    assert!(tag(&refused.text, "Message").contains("1024 bytes"));
}

async fn part(cloud: &Cloud, id: &str, bytes: &[u8]) -> Got {
    call(
        cloud,
        Method::PUT,
        "/c/o",
        &format!("partNumber=1&uploadId={id}"),
        bytes,
    )
    .await
}

async fn complete(cloud: &Cloud, id: &str, etag: &str) -> Got {
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    call(
        cloud,
        Method::POST,
        "/c/o",
        &format!("uploadId={id}"),
        body.as_bytes(),
    )
    .await
}

#[tokio::test]
async fn an_upload_in_parts_killed_anywhere_is_whole_or_goes_on() {
    let etag = hex::encode(<md5::Md5 as md5::Digest>::digest(b"bytes"));
    let reference = s3_cloud().await;
    let id = begin(&reference).await;
    crash::set(Mode::Record);
    part(&reference, &id, b"bytes").await;
    complete(&reference, &id, &etag).await;
    let points = crash::recorded();
    crash::set(Mode::Off);
    assert_eq!(points.len(), 7, "{points:?}");
    for name in points {
        let cloud = s3_cloud().await;
        let id = begin(&cloud).await;
        crash::set(Mode::Unwind {
            name: name.to_owned(),
            nth: 1,
        });
        let killed = std::panic::AssertUnwindSafe(async {
            part(&cloud, &id, b"bytes").await;
            complete(&cloud, &id, &etag).await;
        });
        let _killed = killed.catch_unwind().await;
        crash::set(Mode::Off);
        let cloud = cloud.restarted().await;
        cloud.settle().await;
        let target = format!("{MINE}/c/o");
        let found = cloud.member().get(&target).await;
        if found.status == 404 {
            assert!(name != "parts.complete", "what was done is lost");
            assert_eq!(part(&cloud, &id, b"bytes").await.status, 200, "{name}");
            let done = complete(&cloud, &id, &etag).await;
            assert_eq!(done.status, 200, "{name}: {}", done.text);
        }
        assert_eq!(
            &cloud.member().get(&target).await.expect(200).bytes[..],
            b"bytes",
            "{name}"
        );
        cloud.settle().await;
        assert_eq!(cloud.files().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_bucket_with_an_upload_in_parts_is_deleted_with_it() {
    let cloud = s3_cloud().await;
    let id = begin(&cloud).await;
    assert_eq!(part(&cloud, &id, b"bytes").await.status, 200);
    assert_eq!(part(&cloud, &id, b"other").await.status, 200);
    cloud.settle().await;
    assert_eq!(cloud.files().len(), 1);
    assert_eq!(
        call(&cloud, Method::DELETE, "/c", "", b"").await.status,
        204
    );
    cloud.settle().await;
    assert!(cloud.files().is_empty());
    assert_eq!(
        tag(&part(&cloud, &id, b"late").await.text, "Code"),
        "NoSuchBucket"
    );
    assert_eq!(call(&cloud, Method::PUT, "/c", "", b"").await.status, 200);
    assert_eq!(
        tag(&part(&cloud, &id, b"late").await.text, "Code"),
        "NoSuchUpload"
    );
    cloud.settle().await;
    assert!(cloud.files().is_empty());
}

#[tokio::test]
async fn an_upload_that_was_completed_says_so_again_and_no_other_does() {
    let etag = hex::encode(<md5::Md5 as md5::Digest>::digest(b"bytes"));
    let cloud = s3_cloud().await;
    let id = begin(&cloud).await;
    assert_eq!(part(&cloud, &id, b"bytes").await.status, 200);
    let first = complete(&cloud, &id, &etag).await;
    assert_eq!(first.status, 200, "{}", first.text);
    for name in ["bogus", "0b6a2a8e-0000-4000-8000-000000000000"] {
        let bogus = complete(&cloud, name, &etag).await;
        assert_eq!(
            (bogus.status, tag(&bogus.text, "Code")),
            (404, "NoSuchUpload")
        );
    }
    let others = hex::encode(<md5::Md5 as md5::Digest>::digest(b"other"));
    assert_eq!(complete(&cloud, &id, &others).await.status, 404);
    // It stays true when there is something else by now, for a day.
    let put = call(&cloud, Method::PUT, "/c/o", "", b"other").await;
    assert_eq!(put.status, 200);
    cloud.settle().await;
    let again = complete(&cloud, &id, &etag).await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(tag(&again.text, "ETag"), tag(&first.text, "ETag"));
    let now = call(&cloud, Method::GET, "/c/o", "", b"").await;
    assert_eq!(now.text, "other");
    cloud
        .world
        .clock
        .advance(std::time::Duration::from_secs(25 * 3600));
    cloud.settle().await;
    assert_eq!(complete(&cloud, &id, &etag).await.status, 404);
}

#[tokio::test]
async fn a_part_without_bytes_has_no_range() {
    let cloud = s3_cloud().await;
    assert_eq!(
        call(&cloud, Method::PUT, "/c/empty", "", b"").await.status,
        200
    );
    for method in [Method::GET, Method::HEAD] {
        let got = call(&cloud, method, "/c/empty", "partNumber=1", b"").await;
        assert_eq!(got.status, 200);
        assert!(!got.headers.contains_key("content-range"));
        assert_eq!(got.text, "");
    }
    assert_eq!(
        call(&cloud, Method::PUT, "/c/some", "", b"bytes")
            .await
            .status,
        200
    );
    let got = call(&cloud, Method::GET, "/c/some", "partNumber=1", b"").await;
    assert_eq!((got.status, got.text.as_str()), (206, "bytes"));
    assert_eq!(got.headers["content-range"], "bytes 0-4/5");
}

#[tokio::test]
async fn parts_that_wait_take_room_from_everybody() {
    let etag = hex::encode(<md5::Md5 as md5::Digest>::digest(b"8 bytes."));
    let cloud = s3_cloud().await;
    let container = format!("{MINE}/c");
    let of_container = cloud
        .member()
        .with_header("x-container-meta-quota-bytes", "12");
    let of_account = cloud
        .reseller()
        .with_header("x-account-meta-quota-bytes", "12");
    for limited in ["container", "account"] {
        if limited == "container" {
            crate::kit::post(&of_container, &container)
                .await
                .expect(204);
        } else {
            let none = cloud
                .member()
                .with_header("x-remove-container-meta-quota-bytes", "x");
            crate::kit::post(&none, &container).await.expect(204);
            crate::kit::post(&of_account, MINE).await.expect(204);
        }
        let id = begin(&cloud).await;
        assert_eq!(part(&cloud, &id, b"8 bytes.").await.status, 200);
        let member = cloud.member();
        let (small, large) = (format!("{container}/s"), format!("{container}/l"));
        put(&member, &large, "5 byt").await.expect(413);
        put(&member, &small, "4 by").await.expect(201);
        let done = complete(&cloud, &id, &etag).await;
        assert_eq!(done.status, 200, "{limited}: {}", done.text);
        cloud.settle().await;
        for name in ["s", "o"] {
            let target = format!("{container}/{name}");
            member.delete(&target).await.expect(204);
        }
    }
}
