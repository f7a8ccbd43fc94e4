//! Temporary URLs.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::kit::{Cloud, MINE, cloud_with_container, head, post, put};

fn sign(key: &str, text: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .unwrap()
        .chain_update(text);
    hex::encode(mac.finalize().into_bytes())
}

fn url(method: &str, path: &str, key: &str) -> String {
    let expires = 1_767_323_045 + 60;
    format!(
        "{path}?temp_url_sig={}&temp_url_expires={expires}",
        sign(key, &format!("{method}\n{expires}\n{path}"))
    )
}

async fn keyed() -> Cloud {
    let cloud = cloud_with_container().await;
    let member = cloud.member();
    post(
        &member
            .with_header("x-account-meta-temp-url-key", "k1")
            .with_header("x-account-meta-temp-url-key-2", "k2"),
        MINE,
    )
    .await
    .expect(204);
    post(
        &member.with_header("x-container-meta-temp-url-key", "kc"),
        &format!("{MINE}/c"),
    )
    .await
    .expect(204);
    put(
        &member
            .with_header("x-object-meta-secret", "s")
            .with_header("x-object-meta-public-name", "p"),
        &format!("{MINE}/c/a/o"),
        "hello",
    )
    .await
    .expect(201);
    cloud
}

#[tokio::test]
async fn a_signed_url_reads_without_a_token_until_its_time_is_over() {
    let cloud = keyed().await;
    let path = format!("{MINE}/c/a/o");
    for key in ["k1", "k2", "kc"] {
        let answer = cloud.ask.get(&url("GET", &path, key)).await.expect(200);
        assert_eq!(&answer.bytes[..], b"hello");
        assert_eq!(
            answer.header("content-disposition"),
            Some("attachment; filename=\"o\"; filename*=UTF-8''o")
        );
        assert_eq!(
            (
                answer.header("x-object-meta-secret"),
                answer.header("x-object-meta-public-name")
            ),
            (None, Some("p"))
        );
        assert!(answer.header("expires").is_some());
    }
    // As the client sees the path, below the service's prefix.
    let signed = url("GET", &format!("/object{path}"), "k1");
    cloud
        .ask
        .get(signed.strip_prefix("/object").unwrap())
        .await
        .expect(200);
    head(&cloud.ask, &url("GET", &path, "k1")).await.expect(200);
    let inline = cloud
        .ask
        .get(&format!("{}&inline", url("GET", &path, "k1")))
        .await
        .expect(200);
    assert_eq!(inline.header("content-disposition"), Some("inline"));
    cloud.ask.get(&url("GET", &path, "wrong")).await.expect(401);
    cloud.ask.get(&url("PUT", &path, "k1")).await.expect(401);
    put(&cloud.ask, &url("GET", &path, "k1"), "x")
        .await
        .expect(401);
    let other = url("GET", &path, "k1").replace("/a/o?", "/a/p?");
    cloud.ask.get(&other).await.expect(401);
    cloud.world.clock.advance(Duration::from_secs(61));
    cloud.ask.get(&url("GET", &path, "k1")).await.expect(401);
}

#[tokio::test]
async fn a_signed_url_writes_and_reaches_no_further() {
    let cloud = keyed().await;
    cloud.container("d").await;
    let path = format!("{MINE}/c/new");
    put(&cloud.ask, &url("PUT", &path, "k1"), "bytes")
        .await
        .expect(201);
    assert_eq!(&cloud.member().get(&path).await.bytes[..], b"bytes");
    let pointer = cloud.ask.with_header("x-object-manifest", "d/x");
    put(&pointer, &url("PUT", &path, "k1"), "")
        .await
        .expect(400);
    // The key of a container opens that container only.
    put(&cloud.member(), &format!("{MINE}/d/o"), "x")
        .await
        .expect(201);
    cloud
        .ask
        .get(&url("GET", &format!("{MINE}/d/o"), "kc"))
        .await
        .expect(401);
    let from = cloud.ask.with_header("x-copy-from", "d/o");
    put(&from, &url("PUT", &path, "kc"), "").await.expect(401);
    cloud
        .ask
        .delete(&url("DELETE", &path, "k1"))
        .await
        .expect(204);
    let expires = 1_767_323_045 + 60;
    let signature = sign("k1", &format!("GET\n{expires}\nprefix:{MINE}/c/a/"));
    let prefixed =
        format!("temp_url_sig={signature}&temp_url_expires={expires}&temp_url_prefix=a/");
    cloud
        .ask
        .get(&format!("{MINE}/c/a/o?{prefixed}"))
        .await
        .expect(200);
    cloud
        .ask
        .get(&format!("{MINE}/c/b/o?{prefixed}"))
        .await
        .expect(401);
    cloud.settle().await;
}
