//! What requests left behind that were cut off: half-written blobs, and images that wait for them.

use nephos_db::{EngineKind, Error};
use nephos_ops::EnqueueError;
use tracing::{info, warn};

use super::remove;
use crate::Svc;
use crate::model::image::{BlobId, ImageId, STAGING, Status};
use crate::store::{blobs, images, tasks};

/// At start: on SQLite one process owns the database, so every other writer is dead.
pub(crate) async fn take_over(service: &Svc) -> Result<(), Error> {
    if service.core.db.kind() == EngineKind::Sqlite {
        let mut tx = service.core.db.write().await?;
        blobs::abandon_others(&mut tx, &service.process).await?;
        tx.commit().await?;
    }
    look(service).await?;
    collect(service).await
}

/// Removes files without a row. A row is there before its file and goes after it, so nobody wants them: they are what
/// a machine kept that lost its database's last second, or a writer that was stopped in the very act of opening.
async fn collect(service: &Svc) -> Result<(), Error> {
    // A database that knows no file at all beside a store full of them is the wrong one.
    if !blobs::any(&service.core.db).await? {
        return Ok(());
    }
    let stores = service
        .stores
        .iter()
        .map(|(name, store)| (name.as_str(), store));
    for (name, store) in stores.chain([(STAGING, &service.staging)]) {
        let keys = match store.list().await {
            Ok(keys) => keys,
            Err(why) => {
                warn!(store = name, %why, "a store cannot be listed");
                continue;
            }
        };
        for key in keys {
            // Only what looks like ours: somebody may keep other files there.
            let Some(id) = ImageId::parse(&key).map(|uuid| BlobId::from(uuid.0)) else {
                continue;
            };
            if blobs::get(&service.core.db, &id).await?.is_some() {
                continue;
            }
            match store.remove(id.as_str()).await {
                Ok(()) => warn!(store = name, blob = %id, "removed a file that nobody knows"),
                Err(why) => {
                    warn!(store = name, blob = %id, %why, "cannot remove a file that nobody knows")
                }
            }
        }
    }
    Ok(())
}

/// Now and then: writers that were not heard of are dead, wherever they ran.
pub(crate) async fn look(service: &Svc) -> Result<(), Error> {
    let now = service.core.clock.now();
    for blob in blobs::abandoned(&service.core.db, now).await? {
        let mut tx = service.core.db.write().await?;
        let from = if blob.store == STAGING {
            Status::Uploading
        } else {
            Status::Saving
        };
        let data = crate::model::image::Data::default();
        let moved = images::move_status_with_data(
            &mut tx,
            &blob.image_id,
            (from, Status::Queued),
            &data,
            now,
        )
        .await?;
        match remove::request_blob(&mut tx, now, &blob.id).await {
            Ok(()) => tx.commit().await?,
            Err(EnqueueError::Db(why)) => return Err(why),
            Err(why) => {
                warn!(blob = %blob.id, %why, "cannot begin the removal of an abandoned blob");
                continue;
            }
        }
        info!(image = %blob.image_id, blob = %blob.id, moved, "an upload was cut off; the image is queued again");
    }
    let mut tx = service.core.db.write().await?;
    tasks::remove_expired(&mut tx, now).await?;
    tx.commit().await
}
