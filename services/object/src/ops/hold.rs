//! Readers of several files keep those that are not opened yet: an object that is replaced or deleted meanwhile is read
//! to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
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

/// Files that are being read.
pub(crate) struct Hold {
    blobs: Arc<Blobs>,
    /// When to say so again.
    again: Timestamp,
    /// Says so for a client that takes nothing for a while.
    renewing: Task,
}

struct Blobs {
    service: Arc<Svc>,
    ids: BTreeSet<BlobId>,
}

impl Hold {
    /// Holds the files of objects; none when one of the objects is not there any more.
    pub(crate) async fn of(service: &Arc<Svc>, pieces: &[Piece]) -> Result<Option<Self>, Error> {
        let now = service.core.clock.now();
        let objects: BTreeSet<&ObjectId> = pieces.iter().map(|piece| &piece.object).collect();
        let attempt = || async {
            let mut tx = service.core.db.write().await?;
            for object in &objects {
                if !blobs::read_of(&mut tx, object, now.plus(HOLD)).await? {
                    return Ok(false);
                }
            }
            tx.commit().await?;
            Ok::<_, Error>(true)
        };
        if !service.core.db.again(attempt).await? {
            return Ok(None);
        }
        let blobs = Arc::new(Blobs {
            service: Arc::clone(service),
            ids: pieces.iter().map(|piece| piece.blob.clone()).collect(),
        });
        let held = Arc::clone(&blobs);
        let renewing = nephos_runtime::spawn("object.hold", async move {
            loop {
                held.service.core.clock.sleep(RENEW).await;
                held.renew().await;
            }
        });
        Ok(Some(Self {
            blobs,
            again: now.plus(RENEW),
            renewing,
        }))
    }

    /// The same bytes, with the files held while somebody takes them.
    pub(crate) fn over(self, bytes: Chunks) -> Chunks {
        stream::unfold((bytes, self), |(mut bytes, mut hold)| async move {
            let chunk = bytes.next().await?;
            let now = hold.blobs.service.core.clock.now();
            if now >= hold.again {
                hold.again = now.plus(RENEW);
                hold.blobs.renew().await;
            }
            Some((chunk, (bytes, hold)))
        })
        .boxed()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl Blobs {
    async fn renew(&self) {
        let until = self.service.core.clock.now().plus(HOLD);
        let attempt = || async {
            let mut tx = self.service.core.db.write().await?;
            for blob in &self.ids {
                blobs::read(&mut tx, blob, until).await?;
            }
            tx.commit().await
        };
        if let Err(why) = self.service.core.db.again(attempt).await {
            // They stay a while yet, and the next word may arrive.
            warn!(%why, "cannot say that files are being read");
        }
    }
}
