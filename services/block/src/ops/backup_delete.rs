//! Deleting a backup: its objects, unless another record is of the same ones, then its row.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, supersede};
use nephos_runtime::crash_point;
use serde_json::json;

use super::objects::{away, remove_some};
use super::{Asked, backup, tell};
use crate::Svc;
use crate::model::backup::{Backup, BackupId, BackupStatus};
use crate::model::message::Event;
use crate::model::quota::Usage;
use crate::model::volume::{Status, VolumeId};
use crate::store::{backups, quota, volumes};

pub(crate) struct Delete;

/// Wants a backup gone, whatever is being done with it.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    backup: &Backup,
) -> Result<(), EnqueueError> {
    let new = asked.work(
        <Delete as Reconcile<Svc>>::KIND,
        backup.id.as_str(),
        json!({}),
    );
    supersede(tx, asked.now, new).await?;
    if backup.status == BackupStatus::Creating {
        backup::release(tx, backup, asked.now).await?;
    }
    let mut backup = backup.clone();
    backup.status = BackupStatus::Deleting;
    backup.updated_at = asked.now;
    backups::update(tx, &backup).await?;
    Ok(())
}

impl Reconcile<Svc> for Delete {
    const KIND: &'static str = "backup.delete";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = BackupId::from(op.resource_id.as_str());
        let Some(backup) = backups::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        if !abandon(cx, &backup).await? {
            return Ok(Next::Again);
        }
        let mut tx = cx.write("look").await?;
        let shared = backups::shares_place(&mut tx, &backup).await?;
        tx.commit().await?;
        if !shared && !backup.place.is_empty() {
            let removed = remove_some(&cx.service().siblings, &backup).await;
            let removed = removed.map_err(|why| away("The backup's objects stay", &why))?;
            if !removed {
                return Ok(Next::Again);
            }
        }
        crash_point!("backup.objects_gone");
        let mut tx = cx.finish("delete").await?;
        // Who shared them may have gone in the same moment: then they are this one's to remove.
        if shared && !backups::shares_place(&mut tx, &backup).await? {
            drop(tx);
            return Ok(Next::Again);
        }
        let usage = Usage::backup(backup.size_gib);
        quota::give_back(&mut tx, backup.owner.project_id.as_str(), &usage).await?;
        backups::remove(&mut tx, &id).await?;
        tx.commit().await?;
        crash_point!("backup.removed");
        // A layer that was being made for it goes.
        cx.service().house_now();
        Ok(Next::Done)
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
        backup.status = BackupStatus::ErrorDeleting;
        backup.fail_reason = Some(failure.message.chars().take(255).collect());
        backup.updated_at = cx.now();
        backups::update(tx, &backup).await?;
        let what = (
            &backup.owner,
            "VOLUME_BACKUP",
            Event::BackupDeleteFailed,
            failure.message.as_str(),
        );
        tell(tx, cx, op, what).await
    }
}

/// Ends what was superseded: a volume that it was being brought back into, and a layer that was being made. False: there
/// is more of that.
async fn abandon(cx: &OpCx<Svc>, backup: &Backup) -> Result<bool, StepError> {
    if let Some(layer) = &backup.layer
        && !super::layer::let_go(cx, layer).await?
    {
        return Ok(false);
    }
    let Some(volume) = &backup.restore_volume_id else {
        return Ok(true);
    };
    let volume = volumes::find(cx.db(), &VolumeId::from(volume.as_str())).await?;
    let Some(volume) = volume.filter(|volume| volume.status == Status::RestoringBackup) else {
        return Ok(true);
    };
    if backups::restores_into(cx.db(), volume.id.as_str()).await? {
        // Another backup is being brought back into it by now.
        return Ok(true);
    }
    if let Some(backend) = &volume.backend {
        let dropped = super::driver(cx, backend)?
            .drop_restore(&volume.file())
            .await;
        dropped.map_err(|why| StepError::Transient(why.to_string()))?;
    }
    crash_point!("backup.restore_dropped");
    let mut tx = cx.write("abandon").await?;
    let moves = (Status::RestoringBackup, Status::ErrorRestoring);
    volumes::move_status(&mut tx, &volume.id, moves, cx.now()).await?;
    tx.commit().await?;
    Ok(true)
}
