//! Readers of several files keep those that are not opened yet: an object that is replaced or deleted meanwhile is read
//! to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use nephos_blob::Chunks;
use nephos_db::Error;
use nephos_runtime::Task;
use nephos_types::Timestamp;
use tracing::warn;

use super::read::Piece;
use crate::Svc;
use crate::model::object::{BlobId, ObjectId};
use crate::store::blobs;

/// How long files stay for a reader of whom nothing more is heard.
const HOLD: Duration = Duration::from_secs(15);
/// How often it is said that they are being read.
const RENEW: Duration = Duration::from_secs(5);
/// A client that takes nothing for so long is not waited for any more (Swift's `client_timeout`): what it has not read may go.
const STALLED: Duration = Duration::from_secs(60);

/// Files of one transaction: writers come in between.
const BATCH: usize = 256;

/// The files that all readers of this process hold: they are spoken for together, so that it makes no difference how many
/// read the same ones.
#[derive(Default)]
pub(crate) struct Readers {
    /// How many hold a file.
    counts: BTreeMap<BlobId, usize>,
    /// When it was said last.
    said: Timestamp,
}

impl Readers {
    fn add(&mut self, ids: &BTreeSet<BlobId>) {
        for id in ids {
            *self.counts.entry(id.clone()).or_default() += 1;
        }
    }

    fn remove(&mut self, ids: &BTreeSet<BlobId>) {
        for id in ids {
            if let Some(count) = self.counts.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(id);
                }
            }
        }
    }

    /// All files, if it is time to speak of them: whoever came since the last time is heard long before their files go.
    fn due(&mut self, now: Timestamp) -> Vec<BlobId> {
        if now < self.said.plus(RENEW / 2) {
            return Vec::new();
        }
        self.said = now;
        self.counts.keys().cloned().collect()
    }
}

/// Files that are being read.
pub(crate) struct Hold {
    held: Arc<Held>,
    /// When to say so again.
    again: Timestamp,
    /// Says so for a client that takes nothing for a while.
    renewing: Task,
}

/// The files of one reader, until they are let go.
struct Held {
    service: Arc<Svc>,
    ids: Mutex<BTreeSet<BlobId>>,
    /// When bytes were taken last, as a [`Timestamp`].
    taken: AtomicI64,
}

impl Held {
    fn now(&self) -> Timestamp {
        self.service.core.clock.now()
    }

    fn let_go(&self) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        self.service.readers().remove(&mem::take(&mut *ids));
    }

    /// Speaks for the files until the client has taken nothing for too long.
    async fn keep(&self) {
        loop {
            self.service.core.clock.sleep(RENEW).await;
            if self.now() >= Timestamp(self.taken.load(Ordering::Relaxed)).plus(STALLED) {
                return self.let_go();
            }
            renew(&self.service).await;
        }
    }
}

impl Hold {
    /// Holds the files of objects; none when one of the objects is not there any more.
    pub(crate) async fn of(service: &Arc<Svc>, pieces: &[Piece]) -> Result<Option<Self>, Error> {
        let now = service.core.clock.now();
        let objects: BTreeSet<&ObjectId> = pieces.iter().map(|piece| &piece.object).collect();
        let objects: Vec<&ObjectId> = objects.into_iter().collect();
        let attempt = || async {
            let mut tx = service.core.db.write().await?;
            let there = blobs::read_of(&mut tx, &objects, now.plus(HOLD)).await?;
            if there {
                tx.commit().await?;
            }
            Ok::<_, Error>(there)
        };
        if !service.core.db.again(attempt).await? {
            return Ok(None);
        }
        let ids = pieces.iter().map(|piece| piece.blob.clone()).collect();
        service.readers().add(&ids);
        let held = Arc::new(Held {
            service: Arc::clone(service),
            ids: Mutex::new(ids),
            taken: AtomicI64::new(now.0),
        });
        let keeper = Arc::clone(&held);
        let renewing = nephos_runtime::spawn("object.hold", async move { keeper.keep().await });
        Ok(Some(Self {
            held,
            again: now.plus(RENEW),
            renewing,
        }))
    }

    /// The same bytes, with the files held while somebody takes them.
    pub(crate) fn over(self, bytes: Chunks) -> Chunks {
        stream::unfold((bytes, self), |(mut bytes, mut hold)| async move {
            let chunk = bytes.next().await?;
            let now = hold.held.now();
            hold.held.taken.store(now.0, Ordering::Relaxed);
            if now >= hold.again {
                hold.again = now.plus(RENEW);
                renew(&hold.held.service).await;
            }
            Some((chunk, (bytes, hold)))
        })
        .boxed()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.renewing.abort();
        self.held.let_go();
    }
}

/// Says of all files that are read here that they are, unless that was said a moment ago.
async fn renew(service: &Svc) {
    let now = service.core.clock.now();
    let ids = service.readers().due(now);
    for some in ids.chunks(BATCH) {
        let attempt = || async {
            let mut tx = service.core.db.write().await?;
            blobs::read(&mut tx, some, now.plus(HOLD)).await?;
            tx.commit().await
        };
        if let Err(why) = service.core.db.again(attempt).await {
            // They stay a while yet, and the next word may arrive.
            warn!(%why, "cannot say that files are being read");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_spoken_for_once_however_many_read_them() {
        let ids = |names: &[&str]| -> BTreeSet<BlobId> {
            names.iter().map(|name| BlobId::from(*name)).collect()
        };
        let mut readers = Readers::default();
        let start = Timestamp(0).plus_secs(100);
        for _reader in 0..200 {
            readers.add(&ids(&["a", "b"]));
        }
        readers.add(&ids(&["b", "c"]));
        assert_eq!(readers.due(start), ["a", "b", "c"].map(BlobId::from));
        assert_eq!(readers.due(start.plus_secs(2)), []);
        for _reader in 0..200 {
            readers.remove(&ids(&["a", "b"]));
        }
        assert_eq!(
            readers.due(start.plus_secs(3)),
            ["b", "c"].map(BlobId::from)
        );
        readers.remove(&ids(&["b", "c"]));
        assert_eq!(readers.due(start.plus_secs(9)), []);
        assert!(readers.counts.is_empty());
    }
}
