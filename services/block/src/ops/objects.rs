//! What backups have in the object service: read and checked, and removed.

use nephos_ops::{OpCx, StepError};
use nephos_peer::PeerError;
use nephos_runtime::crash_point;

use crate::model::backup::{Backup, Chunk, Head, Segment, checksum};
use crate::peers::Siblings;
use crate::store::backups;
use crate::{Block, Svc};

/// Objects removed at a time.
const BATCH: u32 = 200;
/// Backups whose leftovers are removed at a time.
const BACKUPS: u32 = 20;

/// What a refusal of the object service means for a step.
pub(crate) fn away(what: &str, why: &PeerError) -> StepError {
    // A store that is full does not become less so by asking again; a container may go between two calls.
    let full = why.status == Some(507);
    let later = why.is_transient() || matches!(why.status, Some(401 | 404 | 409 | 429));
    if later && !full {
        StepError::Away(why.to_string())
    } else {
        StepError::Permanent(format!("{what}: {}", why.message))
    }
}

/// What a refusal means where nothing is missing for a moment only.
fn lost(what: &str, why: &PeerError) -> StepError {
    if why.is_not_found() {
        return StepError::Permanent(format!("{what} is not in the object service any more."));
    }
    away(&format!("{what} cannot be read"), why)
}

fn damaged(what: &str) -> StepError {
    StepError::Permanent(format!(
        "{what} is damaged: its checksum is not that of the backup."
    ))
}

/// What a backup says of itself; `sum` is what its bytes must give.
pub(crate) async fn read_head(
    cx: &OpCx<Svc>,
    backup: &Backup,
    sum: &str,
) -> Result<Head, StepError> {
    let what = "The object that describes the backup";
    let name = backup.head_name();
    let read = cx.service().siblings.object((&backup.container, &name));
    let bytes = read.await.map_err(|why| lost(what, &why))?;
    if checksum(&bytes) != sum {
        return Err(damaged(what));
    }
    Head::parse(&bytes)
        .map_err(|why| StepError::Permanent(format!("The backup cannot be read: {why}.")))
}

/// A segment of a backup.
pub(crate) async fn read_segment(
    cx: &OpCx<Svc>,
    backup: &Backup,
    (number, sum): (i64, &str),
) -> Result<Segment, StepError> {
    let what = format!("Part {number} of backup {}", backup.id);
    let name = backup.segment_name(number);
    let read = cx.service().siblings.object((&backup.container, &name));
    let bytes = read.await.map_err(|why| lost(&what, &why))?;
    if checksum(&bytes) != sum {
        return Err(damaged(&what));
    }
    serde_json::from_slice(&bytes).map_err(|_other_form| damaged(&what))
}

/// The bytes of a chunk, checked off the threads that wait for nothing.
pub(crate) async fn read_chunk(cx: &OpCx<Svc>, chunk: &Chunk) -> Result<bytes::Bytes, StepError> {
    let what = format!("Object {}/{}", chunk.container, chunk.object);
    let read = cx
        .service()
        .siblings
        .object((&chunk.container, &chunk.object));
    let bytes = read.await.map_err(|why| lost(&what, &why))?;
    let (checked, sum) = (bytes.clone(), chunk.sha256.clone());
    let sound = tokio::task::spawn_blocking(move || checksum(&checked) == sum).await;
    match sound {
        Ok(true) => Ok(bytes),
        Ok(false) => Err(damaged(&what)),
        Err(_cancelled) => Err(StepError::Transient("the process ends".to_owned())),
    }
}

/// Removes some of a backup's objects; true: there is none left, and the container goes with the last one.
pub(crate) async fn remove_some(siblings: &Siblings, backup: &Backup) -> Result<bool, PeerError> {
    let begin = format!("{}/", backup.place);
    let names = siblings.objects(&backup.container, &begin, BATCH).await?;
    for name in &names {
        siblings.drop_object((&backup.container, name)).await?;
        crash_point!("objects.removed");
    }
    if !names.is_empty() {
        return Ok(false);
    }
    siblings.drop_container(&backup.container).await?;
    crash_point!("objects.container");
    Ok(true)
}

/// Removes what backups left that failed.
pub(crate) async fn sweep(service: &Block) -> Result<(), nephos_db::Error> {
    for backup in backups::leftovers(&service.core.db, BACKUPS).await? {
        match remove_some(&service.siblings, &backup).await {
            Ok(true) => {}
            Ok(false) => {
                service.house_now();
                continue;
            }
            Err(why) => {
                tracing::warn!(%why, backup = %backup.id, "what a backup left stays for now");
                continue;
            }
        }
        let noted = || async {
            let mut tx = service.core.db.write().await?;
            backups::set_leftover(&mut tx, &backup.id, false).await?;
            tx.commit().await
        };
        service.core.db.again(noted).await?;
    }
    Ok(())
}
