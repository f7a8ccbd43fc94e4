//! What requests left behind that were cut off: half-written blobs, and images that wait for them.

use nephos_db::{EngineKind, Error};
use nephos_ops::EnqueueError;
use tracing::{info, warn};

use super::remove;
use crate::Svc;
use crate::model::image::{STAGING, Status};
use crate::store::{blobs, images, tasks};

/// At start: on SQLite one process owns the database, so every other writer is dead.
pub(crate) async fn take_over(service: &Svc) -> Result<(), Error> {
    if service.core.db.kind() == EngineKind::Sqlite {
        let mut tx = service.core.db.write().await?;
        blobs::abandon_others(&mut tx, &service.process).await?;
        tx.commit().await?;
    }
    look(service).await
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
