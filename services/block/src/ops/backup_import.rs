//! Having a backup again of which only a record and its objects are left.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue};
use nephos_runtime::crash_point;
use serde_json::json;

use super::objects::read_head;
use super::{Asked, tell};
use crate::Svc;
use crate::model::backup::{BackupId, BackupStatus};
use crate::model::message::Event;
use crate::store::backups;

pub(crate) struct Import;

/// Wants a backup whose row, made of a record, is inserted in the same transaction.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    id: &BackupId,
) -> Result<(), EnqueueError> {
    let new = asked.work(<Import as Reconcile<Svc>>::KIND, id.as_str(), json!({}));
    enqueue(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Import {
    const KIND: &'static str = "backup.import";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = BackupId::from(op.resource_id.as_str());
        let Some(backup) = backups::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let sum = backup.checksum.clone().unwrap_or_default();
        let head = read_head(cx, &backup, &sum).await?;
        if head.size_gib != backup.size_gib {
            return Err(StepError::Permanent(format!(
                "The record says {} GiB, and the backup has {}.",
                backup.size_gib, head.size_gib
            )));
        }
        crash_point!("import.read");
        let mut tx = cx.finish("finish").await?;
        for (number, sum) in &head.segments {
            backups::keep_segment(&mut tx, &id, (*number, sum)).await?;
        }
        if let Some(mut now) = backups::find_in(&mut tx, &id).await? {
            if now.status == BackupStatus::Creating {
                now.status = BackupStatus::Available;
            }
            now.progress = now.segments();
            now.updated_at = cx.now();
            backups::update(&mut tx, &now).await?;
        }
        tx.commit().await?;
        crash_point!("import.finished");
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
        backup.status = BackupStatus::Error;
        backup.fail_reason = Some(failure.message.chars().take(255).collect());
        // What it names may be another's, and does not go with it.
        backup.checksum = None;
        backup.updated_at = cx.now();
        backups::update(tx, &backup).await?;
        backups::disown(tx, &id).await?;
        let what = (
            &backup.owner,
            "VOLUME_BACKUP",
            Event::BackupFailed,
            failure.message.as_str(),
        );
        tell(tx, cx, op, what).await
    }
}
