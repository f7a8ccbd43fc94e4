//! Bringing a backup back: its bytes into a new file beside the volume's own, which takes its place when it is whole. A
//! volume keeps what it has until then.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue};
use nephos_runtime::crash_point;
use serde::{Deserialize, Serialize};

use super::objects::{read_chunk, read_head, read_segment};
use super::{Asked, SOON, driver, tell};
use crate::model::backup::{Backup, BackupId, BackupStatus, CHUNK, Head};
use crate::model::layer::Format;
use crate::model::message::Event;
use crate::model::volume::{Status, Volume, VolumeId};
use crate::store::{backups, layers, metadata, volumes};
use crate::{Driver, DriverError, Svc};

pub(crate) struct Restore;

/// What the names of volumes begin with that are made for a backup.
pub(crate) const RESTORED: &str = "restore_backup_";

#[derive(Serialize, Deserialize)]
struct Args {
    volume: String,
}

/// Wants a backup in a volume; both rows say so in the same transaction.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    backup: &BackupId,
    volume: &VolumeId,
) -> Result<(), EnqueueError> {
    let args = serde_json::to_value(Args {
        volume: volume.to_string(),
    })?;
    let new = asked.work(<Restore as Reconcile<Svc>>::KIND, backup.as_str(), args);
    enqueue(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Restore {
    const KIND: &'static str = "backup.restore";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = BackupId::from(op.resource_id.as_str());
        let Some(backup) = backups::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let args: Args = op.args()?;
        let volume = volumes::find(cx.db(), &VolumeId::from(args.volume.as_str())).await?;
        let Some(volume) = volume else {
            return Err(StepError::Permanent("The volume is gone.".to_owned()));
        };
        match volume.status {
            Status::RestoringBackup => {}
            // It is made first.
            Status::Creating => return Ok(Next::After(SOON)),
            other => {
                drop_file(cx, &volume).await?;
                return Err(StepError::Permanent(format!(
                    "Volume {} is {}.",
                    volume.id,
                    other.as_str()
                )));
            }
        }
        if backup.status != BackupStatus::Restoring {
            drop_file(cx, &volume).await?;
            return Err(StepError::Permanent(format!(
                "Backup {id} is {}.",
                backup.status.as_str()
            )));
        }
        // Copies of the volume that were asked for before come first.
        if volume.held_by.is_some() || layers::made_of(cx.db(), volume.id.as_str()).await? > 0 {
            return Ok(Next::After(SOON));
        }
        match work(cx, &backup, &volume).await {
            Err(StepError::Permanent(why)) => {
                drop_file(cx, &volume).await?;
                crash_point!("restore.given_up");
                Err(StepError::Permanent(why))
            }
            other => other,
        }
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = BackupId::from(op.resource_id.as_str());
        let Some(mut backup) = backups::find_in(tx, &id).await? else {
            return Ok(());
        };
        if backup.status == BackupStatus::Restoring {
            backup.status = BackupStatus::Available;
        }
        backup.progress = backup.segments();
        backup.updated_at = cx.now();
        backups::update(tx, &backup).await?;
        if let Ok(args) = op.args::<Args>() {
            let volume = VolumeId::from(args.volume.as_str());
            let moves = (Status::RestoringBackup, Status::ErrorRestoring);
            volumes::move_status(tx, &volume, moves, cx.now()).await?;
        }
        let what = (
            &backup.owner,
            "VOLUME_BACKUP",
            Event::RestoreFailed,
            failure.message.as_str(),
        );
        tell(tx, cx, op, what).await
    }
}

/// Leaves nothing of a restore that comes to nothing.
async fn drop_file(cx: &OpCx<Svc>, volume: &Volume) -> Result<(), StepError> {
    let Some(backend) = &volume.backend else {
        return Ok(());
    };
    let dropped = driver(cx, backend)?.drop_restore(&volume.file()).await;
    dropped.map_err(|why| StepError::Transient(why.to_string()))
}

fn failed(why: DriverError) -> StepError {
    if why.is_final() {
        StepError::Permanent(format!("The volume cannot be written: {why}."))
    } else {
        StepError::Transient(why.to_string())
    }
}

/// The next segment, or the end.
async fn work(cx: &OpCx<Svc>, backup: &Backup, volume: &Volume) -> Result<Next, StepError> {
    let driver = driver(cx, volume.backend.as_deref().unwrap_or_default())?;
    let (file, end) = (volume.file(), backup.segments());
    if backup.progress >= end {
        return finish(cx, backup, volume, driver).await;
    }
    if backup.progress == 0 {
        let begun = driver.begin_restore(&file, volume.size_bytes()).await;
        begun.map_err(failed)?;
        crash_point!("restore.begun");
    }
    let next = backups::segments(cx.db(), &backup.id, (backup.progress, Some(1))).await?;
    let progress = match next.into_iter().next() {
        Some((number, sum)) => {
            for chunk in read_segment(cx, backup, (number, &sum)).await?.chunks {
                let bytes = read_chunk(cx, &chunk).await?;
                let at = chunk.at.saturating_mul(CHUNK);
                // What a record from elsewhere says is not believed.
                if at.saturating_add(bytes.len() as u64) > volume.size_bytes() {
                    return Err(StepError::Permanent(
                        "The backup is larger than it says.".to_owned(),
                    ));
                }
                let written = driver.write_restore(&file, (at, bytes)).await;
                written.map_err(failed)?;
                crash_point!("restore.chunk");
            }
            number + 1
        }
        None => end,
    };
    let there = driver.sync_restore(&file).await.map_err(failed)?;
    // The file of a try before is lost: all over again.
    let progress = if there { progress } else { 0 };
    let mut tx = cx.write("copy").await?;
    backups::advance(&mut tx, &backup.id, (progress, 0)).await?;
    tx.commit().await?;
    crash_point!("restore.advanced");
    Ok(Next::Again)
}

async fn finish(
    cx: &OpCx<Svc>,
    backup: &Backup,
    volume: &Volume,
    driver: &Driver,
) -> Result<Next, StepError> {
    let sum = backup.checksum.as_deref().unwrap_or_default();
    let Head { volume: about, .. } = read_head(cx, backup, sum).await?;
    driver.end_restore(&volume.file()).await.map_err(failed)?;
    crash_point!("restore.placed");
    let mut tx = cx.finish("finish").await?;
    let now = volumes::find_in(&mut tx, &volume.id).await?;
    if let Some(mut now) = now {
        now.format = Format::Raw;
        now.layer = None;
        if now.status == Status::RestoringBackup {
            now.status = Status::Available;
        }
        let named = now.name.as_deref().unwrap_or_default();
        // A name that somebody gave it stays (cinder/backup/driver.py).
        let unnamed = named.is_empty() || named.starts_with(RESTORED);
        if unnamed && about.name.as_ref().is_some_and(|name| !name.is_empty()) {
            now.name.clone_from(&about.name);
            now.description.clone_from(&about.description);
        }
        now.bootable = about.bootable;
        now.updated_at = cx.now();
        volumes::update(&mut tx, &now).await?;
        let id = now.id.as_str();
        let mut items = about.metadata;
        // Whether it may be written is the volume's own affair.
        items.remove("readonly");
        if now.readonly {
            items.insert("readonly".to_owned(), "True".to_owned());
        }
        metadata::replace(&mut tx, metadata::VOLUME, id, &items).await?;
        metadata::replace(&mut tx, metadata::IMAGE, id, &about.image).await?;
    }
    let now = backups::find_in(&mut tx, &backup.id).await?;
    if let Some(mut now) = now {
        if now.status == BackupStatus::Restoring {
            now.status = BackupStatus::Available;
        }
        now.updated_at = cx.now();
        backups::update(&mut tx, &now).await?;
    }
    tx.commit().await?;
    crash_point!("restore.finished");
    // What the volume stood on before may go.
    cx.service().house_now();
    Ok(Next::Done)
}
