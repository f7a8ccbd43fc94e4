//! A request that deletes many objects says a digest of its list: another list than was sent deletes nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method};
use md5::{Digest as _, Md5};
use nephos_api::{Incoming, Request, Response};
use s3s::checksum::ChecksumHasher;

use super::errors::malformed;

/// Longest list, in bytes: a thousand keys as long as they may be, and what stands around them.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

/// The request, with its body read if that had to be looked at; else why it is refused.
pub(super) async fn check(mut request: Request) -> Result<Request, Response> {
    let asks = |pair: &str| pair.split('=').next() == Some("delete");
    let is_one = request.method == Method::POST && request.query.split('&').any(asks);
    // What comes in signed chunks is checked by their signatures.
    if !is_one || request.headers.contains_key("x-amz-decoded-content-length") {
        return Ok(request);
    }
    let body = match std::mem::replace(&mut request.body, Incoming::Bytes(Bytes::new())) {
        Incoming::Bytes(body) => body,
        Incoming::Stream(mut channel) => {
            let mut body = BytesMut::new();
            loop {
                match channel.recv().await {
                    Some(Ok(Some(bytes))) if body.len() + bytes.len() <= MAX_LIST_BYTES => {
                        body.extend_from_slice(&bytes);
                    }
                    Some(Ok(None)) => break body.freeze(),
                    Some(Ok(Some(_))) => {
                        return Err(refusal(
                            "MaxMessageLengthExceeded",
                            "Your request was too big.",
                        ));
                    }
                    Some(Err(_)) | None => {
                        return Err(refusal("IncompleteBody", "The body broke off."));
                    }
                }
            }
        }
    };
    if !is_right(&request.headers, &body) {
        let words = "The Content-MD5 or checksum value that you specified did not match what the server received.";
        return Err(refusal("BadDigest", words));
    }
    request.body = Incoming::Bytes(body);
    Ok(request)
}

fn is_right(headers: &HeaderMap, body: &[u8]) -> bool {
    let mut hasher = ChecksumHasher {
        crc32: Some(Default::default()),
        crc32c: Some(Default::default()),
        sha1: Some(Default::default()),
        sha256: Some(Default::default()),
        crc64nvme: Some(Default::default()),
    };
    hasher.update(body);
    let seen = hasher.finalize();
    [
        ("content-md5", Some(STANDARD.encode(Md5::digest(body)))),
        ("x-amz-checksum-crc32", seen.checksum_crc32),
        ("x-amz-checksum-crc32c", seen.checksum_crc32c),
        ("x-amz-checksum-sha1", seen.checksum_sha1),
        ("x-amz-checksum-sha256", seen.checksum_sha256),
        ("x-amz-checksum-crc64nvme", seen.checksum_crc64nvme),
    ]
    .into_iter()
    .all(|(name, seen)| {
        let said = headers.get(name).map(HeaderValue::as_bytes);
        said.is_none() || said == seen.as_deref().map(str::as_bytes)
    })
}

fn refusal(code: &str, words: &str) -> Response {
    malformed(code, &format!("<Message>{words}</Message>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_that_is_not_the_one_that_was_sent_is_refused() {
        let list = b"<Delete/>";
        let right = STANDARD.encode(Md5::digest(list));
        for (method, query, md5, passes) in [
            (Method::POST, "delete=", right.as_str(), true),
            (Method::POST, "delete", "AAAAAAAAAAAAAAAAAAAAAA==", false),
            (Method::POST, "uploads=", "AAAAAAAAAAAAAAAAAAAAAA==", true),
            (Method::PUT, "delete", "AAAAAAAAAAAAAAAAAAAAAA==", true),
        ] {
            let mut request = Request::new(method, &format!("/b?{query}"));
            let value = HeaderValue::from_str(md5).unwrap();
            request.headers.insert("content-md5", value);
            request.body = Incoming::Bytes(Bytes::from_static(list));
            assert_eq!(check(request).await.is_ok(), passes, "{query}");
        }
    }
}
