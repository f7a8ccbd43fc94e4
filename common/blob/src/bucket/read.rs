//! A blob on its way out: one request whose body is handed on as it comes. A body that breaks off is asked for anew from there.

use std::io;
use std::ops::Range;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::{Bucket, fault, named};
use crate::{Chunks, Error};

/// How often a body may break off without having brought a byte.
const TRIES: u32 = 3;
/// So much is sent by now, or lies in buffers, when S3 answers; what is larger may have to be asked for again.
const AT_ONCE: u64 = 1024 * 1024;

/// Whether so many bytes come whatever becomes of their object.
pub(crate) const fn serves_to_the_end(bytes: u64) -> bool {
    bytes <= AT_ONCE
}

/// Where a reader is.
struct Reading {
    bucket: Bucket,
    name: String,
    left: Range<u64>,
    body: ByteStream,
    broken: u32,
}

impl Bucket {
    pub(crate) async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks, Error> {
        let name = named(key)?;
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let body = match self.open_range(&name, range.clone()).await {
            Err(Error::Missing { .. }) => {
                return Err(Error::Missing {
                    key: key.to_owned(),
                });
            }
            body => body?,
        };
        let reading = Reading {
            bucket: self.clone(),
            name,
            left: range,
            body,
            broken: 0,
        };
        Ok(stream::try_unfold(reading, Reading::next).boxed())
    }

    /// The bytes of an object in a range that is not empty.
    pub(super) async fn open_range(
        &self,
        name: &str,
        range: Range<u64>,
    ) -> Result<ByteStream, Error> {
        let wanted = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let get = self.client.get_object().bucket(&*self.name).key(name);
        let got = match get.range(wanted).send().await {
            Ok(got) => got,
            Err(why) if fault::is_missing(&why) => {
                return Err(Error::Missing {
                    key: name.to_owned(),
                });
            }
            Err(why) => return Err(fault::of(self.doing("read from"), &why)),
        };
        let length = got
            .content_length
            .and_then(|length| u64::try_from(length).ok());
        if length != Some(range.end - range.start) {
            return Err(Error::Unavailable {
                what: self.doing("read from"),
                why: "it gives other bytes than were asked for".to_owned(),
            });
        }
        Ok(got.body)
    }
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, io::Error> {
        while !self.left.is_empty() {
            let more = self.left.end - self.left.start;
            match self.body.next().await {
                Some(Ok(bytes)) if bytes.len() as u64 <= more => {
                    if bytes.is_empty() {
                        continue;
                    }
                    self.left.start += bytes.len() as u64;
                    self.broken = 0;
                    return Ok(Some((bytes, self)));
                }
                Some(Ok(_more_than_asked)) => {
                    return Err(io::Error::other("the store gave more than was asked for"));
                }
                Some(Err(_)) | None if self.broken < TRIES => {
                    self.broken += 1;
                    let again = self.bucket.open_range(&self.name, self.left.clone()).await;
                    self.body = again.map_err(io::Error::other)?;
                }
                Some(Err(_)) | None => {
                    return Err(io::Error::other("the store breaks off again and again"));
                }
            }
        }
        Ok(None)
    }
}
