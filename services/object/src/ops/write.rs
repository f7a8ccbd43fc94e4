//! Writes an object, or a part of one: its bytes into a file of their own, then its rows. Visible whole or not at all.
//!
//! The file's row is there before the file, and says who writes it and until when that writer counts as alive. What a
//! dead one left is removed by the housekeeping.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use nephos_api::Stream;
use nephos_blob::{Chunks, Digests, Writer};
use nephos_runtime::{Clock, crash_point};
use nephos_types::Timestamp;
use tracing::warn;

use super::publish::{EMPTY, Files, Next, Place, publish};
use crate::Svc;
use crate::model::object::{BlobId, Extent, Facts, Object, Part, UploadId};
use crate::store::blobs;

/// How often a writer says that it lives.
const RENEW: Duration = Duration::from_secs(30);
/// How long nothing may come from a client.
const STALL: Duration = Duration::from_secs(60);

/// How much is read, and for how long, of what is refused.
const DRAIN_BYTES: usize = 64 * 1024 * 1024;
const DRAIN: Duration = Duration::from_secs(10);

/// Why an object cannot be written or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("the client went away after {0} bytes")]
    Aborted(u64),
    #[error("nothing came from the client for a minute")]
    Stalled,
    #[error("more than {0} bytes")]
    TooLarge(u64),
    #[error("{seen} bytes came where {expected} were announced")]
    Length { seen: u64, expected: u64 },
    #[error("the bytes have another checksum than was said")]
    Etag,
    #[error("there is no such container")]
    NoContainer,
    #[error("there is no such object")]
    NoObject,
    #[error("there is no such upload")]
    NoUpload,
    #[error("part {0} is not there, or another than was said")]
    Part(i64),
    #[error("the parts are not in order")]
    PartOrder,
    #[error("part {0} is too small and not the last")]
    PartSize(i64),
    #[error("the parts have {0} bytes together, another number than was said")]
    WholeSize(i64),
    #[error("the container of older versions is not there")]
    NoArchive,
    #[error("the quota is exceeded")]
    Quota,
    #[error("the condition does not hold")]
    Condition,
    #[error("the source was changed or removed meanwhile")]
    SourceGone,
    #[error("the writer was taken for dead")]
    GivenUp,
    #[error(transparent)]
    Blob(#[from] nephos_blob::Error),
    #[error(transparent)]
    Db(#[from] nephos_db::Error),
}

/// Where bytes come from.
pub(crate) enum Source {
    /// The request's body.
    Body(Stream),
    /// Other objects.
    Chunks(Chunks),
}

impl Source {
    async fn next(&mut self) -> Result<Option<Bytes>, std::io::Error> {
        match self {
            Self::Body(stream) => stream.next().await,
            Self::Chunks(chunks) => chunks.next().await.transpose(),
        }
    }

    /// Reads on for a while without keeping anything: a client that is cut off in the middle of sending does not see why.
    pub(crate) async fn drain(&mut self, clock: &Clock) {
        let rest = async {
            let mut seen = 0;
            while let Ok(Some(bytes)) = self.next().await {
                seen += bytes.len();
                if seen > DRAIN_BYTES {
                    break;
                }
            }
        };
        let _or_not_at_all = clock.timeout(DRAIN, rest).await;
    }
}

/// What the bytes are to be.
pub(crate) enum Goal {
    /// An object: `facts` without size and checksum, which the bytes tell.
    Object(Place, Facts),
    /// A part of an object that is uploaded in parts.
    Part(UploadId, i64),
}

/// What became of them.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    Object(Object),
    Part(Part),
}

/// Bytes on their way to be something.
pub(crate) struct Upload {
    pub service: Arc<Svc>,
    pub goal: Goal,
    /// The checksum that the bytes must have.
    pub etag: Option<String>,
    /// How many bytes were announced.
    pub length: Option<u64>,
}

impl Upload {
    /// Runs as a task of its own, so that a client that goes away cannot leave anything half done.
    pub(crate) async fn run(self, source: Source) -> Result<Written, WriteError> {
        let (tell, told) = tokio::sync::oneshot::channel();
        nephos_runtime::spawn("object.write", async move {
            let mut source = source;
            let done = self.carry_out(&mut source).await;
            if let Err(why) = &done
                && !matches!(why, WriteError::Aborted(_) | WriteError::Stalled)
            {
                source.drain(&self.service.core.clock).await;
            }
            let _caller_gone = tell.send(done);
        });
        told.await.unwrap_or(Err(WriteError::GivenUp))
    }

    async fn carry_out(&self, source: &mut Source) -> Result<Written, WriteError> {
        let first = self.chunk(source, 0).await?;
        let Some(first) = first else {
            self.check(0, EMPTY)?;
            return self.publish(None).await;
        };
        let blob = BlobId::from(nephos_runtime::ids::uuid());
        self.announce(&blob).await?;
        crash_point!("write.announced");
        let written = self.write(&blob, first, source).await;
        if written.is_err() {
            self.undo(&blob).await;
        }
        written
    }

    async fn announce(&self, blob: &BlobId) -> Result<(), WriteError> {
        let core = &self.service.core;
        let mut tx = core.db.guarded().await?;
        let until = alive_until(core.clock.now());
        blobs::insert(&mut tx, blob, (&self.service.process, until)).await?;
        Ok(tx.commit().await?)
    }

    async fn write(
        &self,
        blob: &BlobId,
        first: Bytes,
        source: &mut Source,
    ) -> Result<Written, WriteError> {
        let mut writer = self.service.store.write(blob.as_str()).await?.md5_only();
        crash_point!("write.opened");
        let renewed = self.pump((blob, &mut writer), first, source).await?;
        let digests = writer.flush().await?;
        crash_point!("write.flushed");
        self.check(digests.size, &digests.md5)?;
        // A bucket takes its time to flush, and then to finish.
        self.renew_since(blob, renewed).await?;
        writer.finish().await?;
        crash_point!("write.renamed");
        let object = self.publish(Some((blob, &digests))).await?;
        crash_point!("write.published");
        Ok(object)
    }

    /// Copies chunk by chunk, saying now and then that it lives; when it said so last.
    async fn pump(
        &self,
        (blob, writer): (&BlobId, &mut Writer),
        first: Bytes,
        source: &mut Source,
    ) -> Result<Duration, WriteError> {
        let clock = &self.service.core.clock;
        let limit = self.service.config.max_object_bytes;
        let mut renewed = clock.monotonic();
        let (mut seen, mut next) = (0, Some(first));
        while let Some(bytes) = next {
            seen += bytes.len() as u64;
            if seen > limit {
                return Err(WriteError::TooLarge(limit));
            }
            writer.write(bytes).await?;
            renewed = self.renew_since(blob, renewed).await?;
            next = self.chunk(source, seen).await?;
        }
        Ok(renewed)
    }

    async fn chunk(&self, source: &mut Source, seen: u64) -> Result<Option<Bytes>, WriteError> {
        let clock = &self.service.core.clock;
        loop {
            let next = clock.timeout(STALL, source.next()).await;
            let next = next.ok_or(WriteError::Stalled)?;
            let cut_off = |why: std::io::Error| match why.kind() {
                // What reads the source has looked at its checksum.
                std::io::ErrorKind::InvalidData => WriteError::Etag,
                _other => WriteError::Aborted(seen),
            };
            match next.map_err(cut_off)? {
                Some(empty) if empty.is_empty() => {}
                other => return Ok(other),
            }
        }
    }

    /// Says that it lives, unless it did so not long ago; when it did so last.
    async fn renew_since(&self, blob: &BlobId, last: Duration) -> Result<Duration, WriteError> {
        let now = self.service.core.clock.monotonic();
        if now.saturating_sub(last) < RENEW {
            return Ok(last);
        }
        match self.renew(blob).await {
            Ok(()) => Ok(now),
            // Its time as a writer is not over yet, so there is another try at the next chunk.
            Err(WriteError::Db(why)) if why.is_transient() && now - last < RENEW * 3 => {
                warn!(blob = %blob, %why, "cannot say that an object is still being written; trying again");
                Ok(last)
            }
            Err(why) => Err(why),
        }
    }

    async fn renew(&self, blob: &BlobId) -> Result<(), WriteError> {
        let core = &self.service.core;
        let mut tx = core.db.guarded().await?;
        let alive = blobs::renew(&mut tx, blob, alive_until(core.clock.now())).await?;
        tx.commit().await?;
        if alive {
            Ok(())
        } else {
            Err(WriteError::GivenUp)
        }
    }

    fn check(&self, seen: u64, md5: &str) -> Result<(), WriteError> {
        if let Some(expected) = self.length.filter(|expected| *expected != seen) {
            return Err(WriteError::Length { seen, expected });
        }
        match &self.etag {
            Some(etag) if !etag.eq_ignore_ascii_case(md5) => Err(WriteError::Etag),
            _same => Ok(()),
        }
    }

    async fn publish(&self, written: Option<(&BlobId, &Digests)>) -> Result<Written, WriteError> {
        let (size, etag) = match written {
            Some((_, digests)) => (digests.size, digests.md5.clone()),
            None => (0, EMPTY.to_owned()),
        };
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let blob = written.map(|(blob, _)| blob.clone());
        match &self.goal {
            Goal::Object(place, facts) => {
                let mut facts = facts.clone();
                (facts.size, facts.stored, facts.etag) = (size, size, etag);
                let extent = |blob| Extent { blob, size };
                let next = Next {
                    facts,
                    files: Files::Written(blob.map(extent).into_iter().collect()),
                    segments: None,
                };
                self.service.put(place, next).await.map(Written::Object)
            }
            Goal::Part(upload, number) => {
                let part = Part {
                    number: *number,
                    blob,
                    size,
                    etag,
                    created_at: self.service.core.clock.now(),
                };
                self.service.put_part(upload, &part).await?;
                Ok(Written::Part(part))
            }
        }
    }

    /// Gives the file up; the housekeeping removes it.
    async fn undo(&self, blob: &BlobId) {
        let doomed = async {
            let mut tx = self.service.core.db.guarded().await?;
            blobs::doom(&mut tx, blob).await?;
            tx.commit().await
        };
        match doomed.await {
            Ok(()) => self.service.nudge(),
            // Its time as a writer runs out, which has the same end.
            Err(why) => warn!(blob = %blob, %why, "cannot give up a file"),
        }
        crash_point!("write.undone");
    }
}

impl Svc {
    /// Puts an object in its place, for good.
    pub(crate) async fn put(&self, place: &Place, next: Next<'_>) -> Result<Object, WriteError> {
        let attempt = || async {
            let now = self.core.clock.now();
            let mut tx = self.core.db.write().await?;
            let object = publish(&mut tx, now, place, next.clone()).await?;
            tx.commit().await?;
            Ok::<_, WriteError>(object)
        };
        let object = self.core.db.again(attempt).await?;
        self.nudge();
        Ok(object)
    }
}

fn alive_until(now: Timestamp) -> Timestamp {
    now.plus(RENEW * 4)
}

impl Written {
    /// The object; none when it was a part.
    pub(crate) fn object(self) -> Result<Object, WriteError> {
        match self {
            Self::Object(object) => Ok(object),
            Self::Part(_) => Err(WriteError::GivenUp),
        }
    }
}
