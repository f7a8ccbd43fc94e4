//! Bodies between the pipeline's form and s3s's, and their checksums.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use nephos_api::{Incoming, Payload, Request};
use nephos_blob::Chunks;
use s3s::TrailingHeaders;
use s3s::checksum::ChecksumHasher;
use s3s::dto::{Checksum, StreamingBlob};

/// A request as s3s takes it.
pub(super) fn incoming(request: Request) -> Option<http::Request<s3s::Body>> {
    let target = if request.query.is_empty() {
        request.path
    } else {
        format!("{}?{}", request.path, request.query)
    };
    let body = match request.body {
        Incoming::Bytes(bytes) => s3s::Body::from(bytes),
        Incoming::Stream(channel) => {
            let chunks = stream::unfold(Some(channel), |channel| async move {
                let mut channel = channel?;
                match channel.recv().await {
                    Some(Ok(Some(bytes))) => Some((Ok(bytes), Some(channel))),
                    Some(Ok(None)) => None,
                    Some(Err(why)) => Some((Err(why), None)),
                    // A channel that just closes is an aborted upload, never its end.
                    None => Some((Err(std::io::ErrorKind::ConnectionAborted.into()), None)),
                }
            });
            s3s::Body::from(StreamingBlob::wrap(Alone::new(chunks.boxed())))
        }
    };
    let mut built = http::Request::builder().method(request.method).uri(target);
    *built.headers_mut()? = request.headers;
    built.body(body).ok()
}

/// All of a body of which nobody knows the length.
pub(super) async fn collected(mut body: s3s::Body, limit: usize) -> Payload {
    let mut all = bytes::BytesMut::new();
    while let Some(Ok(chunk)) = body.next().await {
        if all.len() + chunk.len() > limit {
            tracing::error!("an answer of S3 is larger than any should be");
            break;
        }
        all.extend_from_slice(&chunk);
    }
    Payload::Bytes(all.freeze())
}

/// A stream that several threads may hold, of which only its owner reads.
pub(super) struct Alone(Mutex<Chunks>);

impl Alone {
    pub(super) fn new(chunks: Chunks) -> Self {
        Self(Mutex::new(chunks))
    }
}

impl Stream for Alone {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunks = self.get_mut().0.get_mut();
        chunks
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .poll_next_unpin(cx)
    }
}

/// A body whose checksums, as the client said them before or behind it, must be right.
pub(super) struct Checked {
    body: Option<StreamingBlob>,
    hasher: Option<ChecksumHasher>,
    expected: Checksum,
    trailers: Option<TrailingHeaders>,
}

impl Checked {
    pub(super) fn new(
        body: Option<StreamingBlob>,
        expected: Checksum,
        trailers: Option<TrailingHeaders>,
        headers: &http::HeaderMap,
    ) -> Self {
        let announced = headers
            .get("x-amz-trailer")
            .and_then(|value| value.to_str().ok());
        let announced = announced.unwrap_or_default().to_ascii_lowercase();
        let wants =
            |given: &Option<String>, name: &str| given.is_some() || announced.contains(name);
        let hasher = ChecksumHasher {
            crc32: wants(&expected.checksum_crc32, "x-amz-checksum-crc32").then(Default::default),
            crc32c: wants(&expected.checksum_crc32c, "x-amz-checksum-crc32c")
                .then(Default::default),
            sha1: wants(&expected.checksum_sha1, "x-amz-checksum-sha1").then(Default::default),
            sha256: wants(&expected.checksum_sha256, "x-amz-checksum-sha256")
                .then(Default::default),
            crc64nvme: wants(&expected.checksum_crc64nvme, "x-amz-checksum-crc64nvme")
                .then(Default::default),
        };
        Self {
            body,
            hasher: Some(hasher),
            expected,
            trailers,
        }
    }

    /// Whether what came has the checksums that were said.
    fn right(&mut self) -> bool {
        let Some(hasher) = self.hasher.take() else {
            return true;
        };
        let seen = hasher.finalize();
        let trailers = self
            .trailers
            .as_ref()
            .and_then(TrailingHeaders::take)
            .unwrap_or_default();
        let same = |said: &Option<String>, name: &str, seen: &Option<String>| {
            let behind = trailers.get(name).and_then(|value| value.to_str().ok());
            let said = said.as_deref().or(behind);
            said.is_none() || said == seen.as_deref()
        };
        let said = &self.expected;
        same(
            &said.checksum_crc32,
            "x-amz-checksum-crc32",
            &seen.checksum_crc32,
        ) && same(
            &said.checksum_crc32c,
            "x-amz-checksum-crc32c",
            &seen.checksum_crc32c,
        ) && same(
            &said.checksum_sha1,
            "x-amz-checksum-sha1",
            &seen.checksum_sha1,
        ) && same(
            &said.checksum_sha256,
            "x-amz-checksum-sha256",
            &seen.checksum_sha256,
        ) && same(
            &said.checksum_crc64nvme,
            "x-amz-checksum-crc64nvme",
            &seen.checksum_crc64nvme,
        )
    }
}

impl Stream for Checked {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = match &mut this.body {
            Some(body) => ready!(body.poll_next_unpin(cx)),
            None => None,
        };
        Poll::Ready(match next {
            Some(Ok(bytes)) => {
                if let Some(hasher) = &mut this.hasher {
                    hasher.update(&bytes);
                }
                Some(Ok(bytes))
            }
            Some(Err(why)) => Some(Err(std::io::Error::other(why))),
            None if this.right() => None,
            None => Some(Err(std::io::ErrorKind::InvalidData.into())),
        })
    }
}
