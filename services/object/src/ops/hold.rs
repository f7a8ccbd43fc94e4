//! Readers of several files keep those that are not opened yet: an object that is replaced or deleted meanwhile is read
//! to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use nephos_blob::Chunks;
use nephos_db::Error;
use nephos_types::Timestamp;
use tracing::warn;

use super::read::Piece;
use crate::Svc;
use crate::model::object::{BlobId, ObjectId};
use crate::store::blobs;

/// How long files stay for a reader of whom nothing more is heard.
const HOLD: Duration = Duration::from_secs(600);

/// Files that are being read.
pub(crate) struct Hold {
    service: Arc<Svc>,
    blobs: BTreeSet<BlobId>,
    /// When to say so again.
    again: Timestamp,
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
        let held = service.core.db.again(attempt).await?;
        Ok(held.then(|| Self {
            service: Arc::clone(service),
            blobs: pieces.iter().map(|piece| piece.blob.clone()).collect(),
            again: now.plus(HOLD / 2),
        }))
    }

    /// The same bytes, with the files held while somebody takes them.
    pub(crate) fn over(self, bytes: Chunks) -> Chunks {
        stream::unfold((bytes, self), |(mut bytes, mut hold)| async move {
            let chunk = bytes.next().await?;
            hold.renew().await;
            Some((chunk, (bytes, hold)))
        })
        .boxed()
    }

    async fn renew(&mut self) {
        let now = self.service.core.clock.now();
        if now < self.again {
            return;
        }
        self.again = now.plus(HOLD / 2);
        let attempt = || async {
            let mut tx = self.service.core.db.write().await?;
            for blob in &self.blobs {
                blobs::read(&mut tx, blob, now.plus(HOLD)).await?;
            }
            tx.commit().await
        };
        if let Err(why) = self.service.core.db.again(attempt).await {
            // They stay a while yet, and the next word may arrive.
            warn!(%why, "cannot say that files are being read");
        }
    }
}
