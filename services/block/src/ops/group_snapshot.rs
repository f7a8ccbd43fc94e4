//! Snapshots of whole groups: there when that of each volume is, gone after them.

use nephos_db::Tx;
use nephos_ops::{
    EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue, supersede,
};
use nephos_runtime::crash_point;
use serde_json::json;

use super::{Asked, SOON};
use crate::Svc;
use crate::model::group::{GroupSnapshotId, GroupStatus};
use crate::model::snapshot::SnapshotStatus;
use crate::store::{group_snapshots, snapshots};

pub(crate) struct Create;

/// Wants it available once the snapshots are; all of them are inserted in the same transaction.
pub(crate) async fn request_create(
    tx: &mut Tx,
    asked: Asked<'_>,
    id: &GroupSnapshotId,
) -> Result<(), EnqueueError> {
    let new = asked.work(<Create as Reconcile<Svc>>::KIND, id.as_str(), json!({}));
    enqueue(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Create {
    const KIND: &'static str = "group_snapshot.create";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = GroupSnapshotId::from(op.resource_id.as_str());
        for snapshot in snapshots::of_group(cx.db(), id.as_str()).await? {
            match snapshot.status {
                SnapshotStatus::Creating => return Ok(Next::After(SOON)),
                SnapshotStatus::Error => {
                    let words = format!(
                        "The snapshot of volume {} cannot be made.",
                        snapshot.volume_id
                    );
                    return Ok(Next::Fail(Failure::new(words)));
                }
                _made => {}
            }
        }
        let mut tx = cx.finish("finish").await?;
        move_to(&mut tx, (&id, GroupStatus::Available), cx.now()).await?;
        tx.commit().await?;
        crash_point!("group_snapshot.made");
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        _failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = GroupSnapshotId::from(op.resource_id.as_str());
        move_to(tx, (&id, GroupStatus::Error), cx.now()).await
    }
}

/// Ends what is on its way; a state that somebody set by hand stays.
async fn move_to(
    tx: &mut Tx,
    (id, to): (&GroupSnapshotId, GroupStatus),
    now: nephos_types::Timestamp,
) -> Result<(), nephos_db::Error> {
    let Some(mut snapshot) = group_snapshots::find_in(tx, id).await? else {
        return Ok(());
    };
    if matches!(
        snapshot.status,
        GroupStatus::Creating | GroupStatus::Deleting
    ) {
        snapshot.status = to;
        snapshot.updated_at = now;
        group_snapshots::update(tx, &snapshot).await?;
    }
    Ok(())
}

pub(crate) struct Delete;

/// Wants it gone once the snapshots are, which are wanted gone in the same transaction.
pub(crate) async fn request_delete(
    tx: &mut Tx,
    asked: Asked<'_>,
    id: &GroupSnapshotId,
) -> Result<(), EnqueueError> {
    let new = asked.work(<Delete as Reconcile<Svc>>::KIND, id.as_str(), json!({}));
    supersede(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Delete {
    const KIND: &'static str = "group_snapshot.delete";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = GroupSnapshotId::from(op.resource_id.as_str());
        let left = snapshots::of_group(cx.db(), id.as_str()).await?;
        let stays = left
            .iter()
            .find(|one| one.status != SnapshotStatus::Deleting);
        if let Some(stays) = stays {
            let words = format!(
                "Snapshot {} is {}, and was not deleted.",
                stays.id,
                stays.status.as_str()
            );
            return Ok(Next::Fail(Failure::new(words)));
        }
        if !left.is_empty() {
            return Ok(Next::After(SOON));
        }
        let mut tx = cx.finish("delete").await?;
        group_snapshots::remove(&mut tx, &id).await?;
        tx.commit().await?;
        crash_point!("group_snapshot.removed");
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        _failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = GroupSnapshotId::from(op.resource_id.as_str());
        move_to(tx, (&id, GroupStatus::ErrorDeleting), cx.now()).await
    }
}
