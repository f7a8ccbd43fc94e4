//! Housekeeping: files that nobody wants any more, writers that died, objects whose time is over.
//!
//! Every step can be repeated, and several processes may do it at once.

use futures_util::{StreamExt as _, stream};
use nephos_db::{EngineKind, Error};
use nephos_runtime::crash_point;
use tracing::{info, warn};

use super::publish::drop_counted;
use super::write::WriteError;
use crate::Svc;
use crate::model::object::{BlobId, Object};
use crate::store::{blobs, containers, objects};

/// Things looked at at a time.
const BATCH: i64 = 200;
/// Files that are removed at a time: a bucket is far away.
const AT_ONCE: usize = 8;

/// At start: on SQLite one process owns the database, so every other writer is dead.
pub(crate) async fn take_over(service: &Svc) -> Result<(), Error> {
    if service.core.db.kind() == EngineKind::Sqlite {
        let mut tx = service.core.db.write().await?;
        let dead = blobs::abandon_others(&mut tx, &service.process).await?;
        tx.commit().await?;
        if dead > 0 {
            info!(
                dead,
                "objects were being written when the process ended; they do not exist"
            );
        }
    }
    Ok(())
}

/// Does what there is to do; true when there may be more.
pub(crate) async fn sweep(service: &Svc) -> Result<bool, Error> {
    let now = service.core.clock.now();
    let over = objects::expired(&service.core.db, now, BATCH).await?;
    let mut more = over.len() >= usize::try_from(BATCH).unwrap_or(0);
    for object in over {
        expire(service, &object).await?;
    }
    let mut tx = service.core.db.guarded().await?;
    blobs::abandon(&mut tx, now).await?;
    tx.commit().await?;
    super::parts::forget(service).await?;
    let doomed = blobs::doomed(&service.core.db, now, BATCH).await?;
    more |= doomed.len() >= usize::try_from(BATCH).unwrap_or(0);
    let mut gone = Vec::new();
    let mut removals = stream::iter(doomed)
        .map(|id| remove(service, BlobId(id)))
        .buffer_unordered(AT_ONCE);
    while let Some((blob, removed)) = removals.next().await {
        match removed {
            Ok(()) => gone.push(blob),
            Err(why) => {
                more = false;
                warn!(blob = %blob, %why, "cannot remove a file");
                if let nephos_blob::Error::Unavailable { .. } = why {
                    break;
                }
            }
        }
    }
    drop(removals);
    if !gone.is_empty() {
        let mut tx = service.core.db.guarded().await?;
        for blob in &gone {
            blobs::remove(&mut tx, blob.as_str()).await?;
        }
        tx.commit().await?;
        crash_point!("sweep.forgotten");
    }
    Ok(more)
}

async fn remove(service: &Svc, blob: BlobId) -> (BlobId, Result<(), nephos_blob::Error>) {
    crash_point!("sweep.before_bytes");
    let removed = service.store.remove(blob.as_str()).await;
    crash_point!("sweep.bytes_gone");
    (blob, removed)
}

async fn expire(service: &Svc, object: &Object) -> Result<(), Error> {
    let now = service.core.clock.now();
    let mut tx = service.core.db.write().await?;
    let Some(container) = containers::hold_id(&mut tx, &object.container_id).await? else {
        return Ok(());
    };
    let found = objects::find(&mut tx, &container.id, &object.name).await?;
    // Replaced or given more time meanwhile, it stays.
    let Some(found) = found.filter(|found| found.id == object.id && found.expired(now)) else {
        return Ok(());
    };
    match drop_counted(&mut tx, now, &container, &found).await {
        Ok(()) => tx.commit().await,
        Err(WriteError::Db(why)) => Err(why),
        Err(why) => {
            warn!(object = %object.id, %why, "cannot remove an object whose time is over");
            Ok(())
        }
    }
}
