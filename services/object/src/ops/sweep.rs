//! Housekeeping: files that nobody wants any more, writers that died, objects whose time is over.
//!
//! Every step can be repeated, and several processes may do it at once.

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
    collect(service).await
}

/// Does what there is to do; true when there may be more.
pub(crate) async fn sweep(service: &Svc) -> Result<bool, Error> {
    let now = service.core.clock.now();
    let over = objects::expired(&service.core.db, now, BATCH).await?;
    let mut more = over.len() >= usize::try_from(BATCH).unwrap_or(0);
    for object in over {
        expire(service, &object).await?;
    }
    let mut tx = service.core.db.write().await?;
    blobs::abandon(&mut tx, now).await?;
    tx.commit().await?;
    let doomed = blobs::doomed(&service.core.db, now, BATCH).await?;
    more |= doomed.len() >= usize::try_from(BATCH).unwrap_or(0);
    let mut gone = Vec::new();
    for id in doomed {
        let blob = BlobId(id);
        crash_point!("sweep.before_bytes");
        match service.store(&blob).remove(blob.as_str()).await {
            Ok(()) => gone.push(blob),
            Err(why) => {
                more = false;
                warn!(blob = %blob, %why, "cannot remove a file");
            }
        }
        crash_point!("sweep.bytes_gone");
    }
    if !gone.is_empty() {
        let mut tx = service.core.db.write().await?;
        for blob in &gone {
            blobs::remove(&mut tx, blob.as_str()).await?;
        }
        tx.commit().await?;
        crash_point!("sweep.forgotten");
    }
    Ok(more)
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

/// Removes files without a row. A row is there before its file and goes after it, so nobody wants them: they are what
/// a machine kept that lost its database's last second, or a writer that was stopped in the very act of opening.
async fn collect(service: &Svc) -> Result<(), Error> {
    // A database that knows no file at all beside a store full of them is the wrong one.
    if !blobs::any(&service.core.db).await? {
        return Ok(());
    }
    for (low, high, store) in service.folders() {
        let keys = match store.list().await {
            Ok(keys) => keys,
            Err(why) => {
                warn!(folder = low, %why, "a folder cannot be listed");
                continue;
            }
        };
        if keys.is_empty() {
            continue;
        }
        let known = blobs::between(&service.core.db, &low, &high).await?;
        for key in keys {
            // Only what looks like ours: somebody may keep other files there.
            let ours = uuid::Uuid::try_parse(&key).is_ok() && key.len() == 36;
            if !ours || known.binary_search(&key).is_ok() {
                continue;
            }
            match store.remove(&key).await {
                Ok(()) => warn!(blob = key, "removed a file that nobody knows"),
                Err(why) => warn!(blob = key, %why, "cannot remove a file that nobody knows"),
            }
        }
    }
    Ok(())
}
