//! A blob on its way into a bucket: gathered to parts, hashed off the async threads, one part under way while the next one
//! is gathered.

use std::mem;

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use nephos_runtime::Task;
use tokio::sync::oneshot;

use super::{Bucket, connect, fault, named};
use crate::Error;
use crate::file::blocking;
use crate::hashes::{Digests, Hashes};

/// Bytes of a part, and the most that goes by one request. S3 wants 5 MiB at least.
pub(super) const PART_BYTES: usize = 8 * 1024 * 1024;
/// S3 knows no more parts.
const MAX_PARTS: u64 = 10_000;
/// The largest blob that a bucket takes.
pub const MAX_BYTES: u64 = PART_BYTES as u64 * MAX_PARTS;

/// A blob that is being written. It holds two parts at most: one that is gathered, one that is sent.
#[derive(Debug)]
pub struct BucketWriter {
    bucket: Bucket,
    name: String,
    /// Gone while something is done with it: what fails, or is given up in the middle, cannot go on.
    state: Option<State>,
}

#[derive(Debug)]
struct State {
    hashes: Hashes,
    gathered: BytesMut,
    /// What goes by one request, once all of it is there.
    small: Option<Bytes>,
    upload: Option<Upload>,
}

/// An upload in parts.
#[derive(Debug)]
struct Upload {
    id: String,
    done: Vec<CompletedPart>,
    sending: Option<Sending>,
}

/// A part under way.
#[derive(Debug)]
struct Sending {
    task: Task,
    told: oneshot::Receiver<Result<CompletedPart, Error>>,
}

impl Drop for Sending {
    /// Nobody waits any more: a part that arrived later would be one that nobody removes.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bucket {
    pub(crate) fn write(&self, key: &str) -> Result<BucketWriter, Error> {
        Ok(BucketWriter {
            bucket: self.clone(),
            name: named(key)?,
            state: Some(State {
                hashes: Hashes::new(),
                gathered: BytesMut::new(),
                small: None,
                upload: None,
            }),
        })
    }
}

impl BucketWriter {
    pub(crate) fn md5_only(mut self) -> Self {
        if let Some(state) = &mut self.state {
            state.hashes.md5_only();
        }
        self
    }

    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        let mut state = self.take()?;
        state.gathered.extend_from_slice(&bytes);
        // The last part is never empty, so that what fits into one is known to be all.
        while state.gathered.len() > PART_BYTES {
            let part = state.gathered.split_to(PART_BYTES).freeze();
            state.gathered.reserve(PART_BYTES);
            state.hash(&part).await?;
            self.send(&mut state, part).await?;
        }
        self.state = Some(state);
        Ok(())
    }

    pub(crate) async fn flush(&mut self) -> Result<Digests, Error> {
        let mut state = self.take()?;
        let last = mem::take(&mut state.gathered).freeze();
        state.hash(&last).await?;
        if state.upload.is_some() {
            self.send(&mut state, last).await?;
            if let Some(upload) = &mut state.upload {
                upload.arrived().await?;
            }
        } else {
            state.small = Some(last);
        }
        let digests = state.hashes.digests();
        self.state = Some(state);
        Ok(digests)
    }

    pub(crate) async fn finish(mut self) -> Result<(), Error> {
        let state = self.take()?;
        let size = state.hashes.digests().size;
        match (state.upload, state.small) {
            (Some(upload), _) => self.complete(upload, size).await,
            (None, Some(small)) => self.bucket.put(&self.name, small).await,
            (None, None) => Err(gone()),
        }
    }

    fn take(&mut self) -> Result<State, Error> {
        self.state.take().ok_or_else(gone)
    }

    /// Sends a part as soon as the one before it has arrived.
    async fn send(&self, state: &mut State, part: Bytes) -> Result<(), Error> {
        let upload = match &mut state.upload {
            Some(upload) => upload,
            none => none.insert(self.begin().await?),
        };
        upload.arrived().await?;
        let number = i32::try_from(upload.done.len())
            .unwrap_or(i32::MAX)
            .saturating_add(1);
        let (tell, told) = oneshot::channel();
        let sending = send_part(
            (self.bucket.clone(), self.name.clone()),
            upload.id.clone(),
            number,
            part,
        );
        let task = nephos_runtime::spawn("blob.part", async move {
            let _writer_gone = tell.send(sending.await);
        });
        upload.sending = Some(Sending { task, told });
        Ok(())
    }

    async fn begin(&self) -> Result<Upload, Error> {
        let bucket = &self.bucket;
        let begun = bucket.client.create_multipart_upload();
        let begun = begun.bucket(&*bucket.name).key(&self.name).send().await;
        let begun = begun.map_err(|why| fault::of(bucket.doing("write to"), &why))?;
        let id = begun.upload_id.ok_or_else(|| Error::Unavailable {
            what: bucket.doing("write to"),
            why: "it begins an upload without a name".to_owned(),
        })?;
        Ok(Upload {
            id,
            done: Vec::new(),
            sending: None,
        })
    }

    /// Makes one object of the parts.
    async fn complete(&self, upload: Upload, size: u64) -> Result<(), Error> {
        let bucket = &self.bucket;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(upload.done));
        let complete = bucket.client.complete_multipart_upload();
        let complete = complete
            .bucket(&*bucket.name)
            .key(&self.name)
            .upload_id(&upload.id)
            .multipart_upload(parts.build());
        // Many parts take longer than one.
        let patience = TimeoutConfig::builder()
            .operation_attempt_timeout(connect::COMPLETION)
            .operation_timeout(connect::COMPLETION);
        let patient = aws_sdk_s3::config::Builder::new().timeout_config(patience.build());
        match complete.customize().config_override(patient).send().await {
            Ok(_) => Ok(()),
            // It was completed before, and only the word of it was lost.
            Err(why)
                if fault::is_missing(&why) && bucket.size_of(&self.name).await? == Some(size) =>
            {
                Ok(())
            }
            Err(why) => Err(fault::of(bucket.doing("write to"), &why)),
        }
    }
}

impl State {
    async fn hash(&mut self, bytes: &Bytes) -> Result<(), Error> {
        let (mut hashes, bytes) = (self.hashes.clone(), bytes.clone());
        let hashed = blocking(move || {
            hashes.update(&bytes);
            Ok(hashes)
        });
        self.hashes = hashed.await.map_err(|why| Error::io("hash a blob", why))?;
        Ok(())
    }
}

impl Upload {
    /// Waits for the part that is under way.
    async fn arrived(&mut self) -> Result<(), Error> {
        let Some(mut sending) = self.sending.take() else {
            return Ok(());
        };
        let part = (&mut sending.told).await.unwrap_or_else(|_| Err(gone()))?;
        self.done.push(part);
        Ok(())
    }
}

async fn send_part(
    (bucket, name): (Bucket, String),
    upload: String,
    number: i32,
    bytes: Bytes,
) -> Result<CompletedPart, Error> {
    let sent = bucket.client.upload_part().bucket(&*bucket.name).key(name);
    let sent = sent
        .upload_id(upload)
        .part_number(number)
        .body(ByteStream::from(bytes));
    let sent = sent.send().await;
    let sent = sent.map_err(|why| fault::of(bucket.doing("write to"), &why))?;
    let part = CompletedPart::builder().part_number(number);
    Ok(part.set_e_tag(sent.e_tag).build())
}

fn gone() -> Error {
    Error::io(
        "write a blob",
        std::io::Error::other("an earlier write failed"),
    )
}
