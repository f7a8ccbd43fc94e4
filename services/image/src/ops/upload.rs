//! Bytes of a request on their way into a store.
//!
//! Runs in a task of its own, so that it comes to its end also when the client goes away. While it runs it says so
//! in its blob's row; a process that dies is found out by that (`recover`).

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nephos_api::Stream;
use nephos_blob::{Digests, FileWriter, Folder};
use nephos_runtime::crash_point;
use nephos_types::Timestamp;
use tracing::{info, warn};

use crate::Svc;
use crate::model::image::{BlobId, Data, HASH_ALGO, ImageId, STAGING, Status};
use crate::model::inspect::{Objection, Source, judge};
use crate::store::{blobs, images};

/// A writer that says nothing for so long counts as dead.
const ALIVE_SECS: i64 = 90;
/// It says that it lives this often.
const RENEW: Duration = Duration::from_secs(20);
/// A client that sends nothing for so long has given up.
const STALL: Duration = Duration::from_secs(600);

/// An upload whose image was moved to `saving` or `uploading`, and whose blob's row is there.
pub(crate) struct Upload {
    pub service: Arc<Svc>,
    pub image_id: ImageId,
    pub blob: BlobId,
    /// The store's name; [`STAGING`] for what is staged.
    pub store: String,
    /// Bytes that the client said there are.
    pub expected: Option<u64>,
    pub disk_format: String,
    pub container_format: String,
}

/// Why an upload came to nothing. The image is queued again and no byte is left.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the client went away after {0} bytes")]
    Aborted(u64),
    #[error("{seen} bytes came, {expected} were declared")]
    Length { seen: u64, expected: u64 },
    #[error("nothing came for {} s", STALL.as_secs())]
    Stalled,
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
    #[error("{0}")]
    Format(String),
    #[error("the image is gone")]
    Gone,
    #[error(transparent)]
    Blob(#[from] nephos_blob::Error),
    #[error(transparent)]
    Db(#[from] nephos_db::Error),
}

/// Until when a writer counts as alive that spoke at `now`.
pub(crate) const fn alive_until(now: Timestamp) -> Timestamp {
    now.plus_secs(ALIVE_SECS)
}

impl Upload {
    /// Brings the bytes in, or cleans up.
    pub(crate) async fn run(self, stream: Stream) -> Result<(), UploadError> {
        let outcome = self.transfer(stream).await;
        if let Err(why) = &outcome {
            info!(image = %self.image_id, %why, "an upload came to nothing");
            crash_point!("upload.before_undo");
            if let Err(left) = self.undo().await {
                // Nobody renews the blob's row any more: recovery finds it.
                warn!(image = %self.image_id, %left, "cannot clean up after an upload now; it is done later");
            }
        }
        outcome
    }

    async fn transfer(&self, stream: Stream) -> Result<(), UploadError> {
        let store = self.store()?;
        crash_point!("upload.before_open");
        let mut writer = store.write(self.blob.as_str()).await?;
        crash_point!("upload.opened");
        self.pump(stream, &mut writer).await?;
        let digests = writer.flush().await?;
        crash_point!("upload.flushed");
        let virtual_size = self.inspect(&mut writer, digests.size).await?;
        writer.finish().await?;
        crash_point!("upload.renamed");
        self.publish(&digests, virtual_size).await?;
        crash_point!("upload.published");
        Ok(())
    }

    fn store(&self) -> Result<&Folder, UploadError> {
        self.service.store(&self.store).ok_or(UploadError::Gone)
    }

    /// Copies chunk by chunk, saying now and then that it lives.
    async fn pump(&self, mut stream: Stream, writer: &mut FileWriter) -> Result<(), UploadError> {
        let clock = &self.service.core.clock;
        let limit = self.service.config.max_image_bytes;
        let mut seen: u64 = 0;
        let (mut heard, mut renewed) = (clock.monotonic(), clock.monotonic());
        loop {
            let chunk: Option<Option<Bytes>> = tokio::select! {
                biased;
                chunk = stream.next() => Some(chunk.map_err(|_| UploadError::Aborted(seen))?),
                () = clock.sleep(RENEW) => None,
            };
            let now = clock.monotonic();
            if now.saturating_sub(renewed) >= RENEW {
                match self.renew().await {
                    // There are some more tries before the others take it for dead.
                    Err(UploadError::Db(why)) => {
                        warn!(image = %self.image_id, %why, "an upload cannot say that it lives")
                    }
                    other => other?,
                }
                renewed = now;
            }
            match chunk {
                Some(Some(bytes)) => {
                    heard = now;
                    seen += bytes.len() as u64;
                    if seen > limit {
                        return Err(UploadError::TooLarge(limit));
                    }
                    writer.write(bytes).await?;
                }
                Some(None) => break,
                None if now.saturating_sub(heard) >= STALL => return Err(UploadError::Stalled),
                None => {}
            }
        }
        match self.expected {
            Some(expected) if expected != seen => Err(UploadError::Length { seen, expected }),
            _as_declared => Ok(()),
        }
    }

    async fn renew(&self) -> Result<(), UploadError> {
        let core = &self.service.core;
        let mut tx = core.db.write().await?;
        let alive = blobs::renew(&mut tx, &self.blob, alive_until(core.clock.now())).await?;
        tx.commit().await?;
        if alive {
            Ok(())
        } else {
            Err(UploadError::Gone)
        }
    }

    /// What the data is; staged data is looked at when it is imported, as Glance does.
    async fn inspect(
        &self,
        writer: &mut FileWriter,
        size: u64,
    ) -> Result<Option<u64>, UploadError> {
        if self.store == STAGING {
            return Ok(None);
        }
        let format = self.disk_format.clone();
        let look = move |file: &std::fs::File| judge(&OnDisk { file, size }, &format);
        let judged = writer.examine(look).await?;
        let must_match = self.service.must_match(&self.container_format);
        verdict(judged, must_match).map_err(UploadError::Format)
    }

    async fn publish(
        &self,
        digests: &Digests,
        virtual_size: Option<u64>,
    ) -> Result<(), UploadError> {
        let core = &self.service.core;
        let data = data_of(digests, virtual_size);
        let (moves, data) = if self.store == STAGING {
            let only_size = Data {
                size: data.size,
                ..Data::default()
            };
            ((Status::Uploading, Status::Uploading), only_size)
        } else {
            ((Status::Saving, Status::Active), data)
        };
        let now = core.clock.now();
        // The bytes do not come again, whoever changes the image meanwhile.
        let publish = || async {
            let mut tx = core.db.write().await?;
            let kept = blobs::keep(&mut tx, &self.blob, digests).await?;
            let moved =
                images::move_status_with_data(&mut tx, &self.image_id, moves, &data, now).await?;
            if !(kept && moved) {
                return Err(UploadError::Gone);
            }
            Ok(tx.commit().await?)
        };
        core.db.again(publish).await
    }

    /// Removes the bytes, then their row; the image is queued again.
    async fn undo(&self) -> Result<(), UploadError> {
        self.store()?.remove(self.blob.as_str()).await?;
        crash_point!("upload.bytes_undone");
        let core = &self.service.core;
        let undo = || async {
            let mut tx = core.db.write().await?;
            // Given up by recovery, the blob is its affair, and the image may have a new upload already.
            if blobs::remove_unfinished(&mut tx, &self.blob).await? {
                let from = if self.store == STAGING {
                    Status::Uploading
                } else {
                    Status::Saving
                };
                let (moves, nothing) = ((from, Status::Queued), Data::default());
                let now = core.clock.now();
                images::move_status_with_data(&mut tx, &self.image_id, moves, &nothing, now)
                    .await?;
            }
            tx.commit().await
        };
        core.db.again(undo).await?;
        crash_point!("upload.undone");
        Ok(())
    }
}

/// What is to be done about data: refused with a reason, or accepted with its virtual size.
pub(crate) fn verdict(
    judged: Result<Option<u64>, Objection>,
    must_match: bool,
) -> Result<Option<u64>, String> {
    match judged {
        Ok(virtual_size) => Ok(virtual_size),
        Err(Objection::Mismatch(_)) if !must_match => Ok(None),
        Err(Objection::Mismatch(why) | Objection::Unsafe(why)) => Err(why),
    }
}

/// A file as the inspector reads it.
pub(crate) struct OnDisk<'a> {
    pub file: &'a std::fs::File,
    pub size: u64,
}

impl Source for OnDisk<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        let mut got = 0;
        while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
            // What cannot be read is judged as if it were not there: the data is refused, not trusted.
            match self.file.read_at(rest, at.saturating_add(got as u64)) {
                Ok(count) if count > 0 => got += count,
                _end_or_error => break,
            }
        }
        got
    }
}

/// What an image shows of data with these digests.
pub(crate) fn data_of(digests: &Digests, virtual_size: Option<u64>) -> Data {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Data {
        size: Some(number(digests.size)),
        virtual_size: virtual_size.map(number),
        checksum: Some(digests.md5.clone()),
        hash_algo: Some(HASH_ALGO.to_owned()),
        hash_value: Some(digests.sha512.clone()),
    }
}
