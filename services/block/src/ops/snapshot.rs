//! Making and deleting snapshots.

use nephos_db::Tx;
use nephos_ops::{
    EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue, supersede,
};
use nephos_runtime::crash_point;
use serde_json::json;

use super::layer::{self, Made};
use super::{Asked, SOON, refused, tell};
use crate::Svc;
use crate::model::message::Event;
use crate::model::quota::Usage;
use crate::model::snapshot::{Snapshot, SnapshotId, SnapshotStatus};
use crate::model::volume::Volume;
use crate::store::{layers, quota, snapshots};

pub(crate) struct Create;

/// Wants a snapshot whose row is inserted in the same transaction.
pub(crate) async fn request_create(
    tx: &mut Tx,
    asked: Asked<'_>,
    snapshot: &Snapshot,
    volume: &Volume,
) -> Result<(), EnqueueError> {
    let new = asked.work(
        <Create as Reconcile<Svc>>::KIND,
        snapshot.id.as_str(),
        json!({}),
    );
    enqueue(tx, asked.now, new).await?;
    let layer = layer::of_volume(snapshot.id.as_str(), &snapshot.backend, volume);
    layers::insert(tx, &layer, asked.now).await?;
    let mut snapshot = snapshot.clone();
    snapshot.layer = Some(layer.id);
    snapshots::update(tx, &snapshot).await?;
    Ok(())
}

impl Reconcile<Svc> for Create {
    const KIND: &'static str = "snapshot.create";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = SnapshotId::from(op.resource_id.as_str());
        let Some(snapshot) = snapshots::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let Some(below) = &snapshot.layer else {
            return Err(StepError::Permanent(
                "The snapshot's layer is gone.".to_owned(),
            ));
        };
        match layer::ensure_of_volume(cx, below).await? {
            Made::More => return Ok(Next::Again),
            Made::Later => return Ok(Next::After(SOON)),
            Made::No(why) => return refused(&why, "The snapshot cannot be made"),
            Made::Whole(_) => {}
        }
        let mut tx = cx.finish("finish").await?;
        // As it is by now: somebody may have given it another name.
        if let Some(mut snapshot) = snapshots::find_in(&mut tx, &id).await? {
            snapshot.status = SnapshotStatus::Available;
            snapshot.progress = "100%".to_owned();
            snapshot.updated_at = cx.now();
            snapshots::update(&mut tx, &snapshot).await?;
        }
        tx.commit().await?;
        crash_point!("snapshot.finished");
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = SnapshotId::from(op.resource_id.as_str());
        let Some(mut snapshot) = snapshots::find_in(tx, &id).await? else {
            return Ok(());
        };
        snapshot.status = SnapshotStatus::Error;
        snapshot.layer = None;
        snapshot.updated_at = cx.now();
        snapshots::update(tx, &snapshot).await?;
        let what = (
            &snapshot.owner,
            "VOLUME_SNAPSHOT",
            Event::SnapshotFailed,
            failure.message.as_str(),
        );
        tell(tx, cx, op, what).await
    }
}

pub(crate) struct Delete;

/// Wants a snapshot gone, whatever is being done to it.
pub(crate) async fn request_delete(
    tx: &mut Tx,
    asked: Asked<'_>,
    snapshot: &Snapshot,
) -> Result<(), EnqueueError> {
    let new = asked.work(
        <Delete as Reconcile<Svc>>::KIND,
        snapshot.id.as_str(),
        json!({}),
    );
    supersede(tx, asked.now, new).await?;
    let mut snapshot = snapshot.clone();
    snapshot.status = SnapshotStatus::Deleting;
    snapshot.updated_at = asked.now;
    snapshots::update(tx, &snapshot).await?;
    Ok(())
}

impl Reconcile<Svc> for Delete {
    const KIND: &'static str = "snapshot.delete";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = SnapshotId::from(op.resource_id.as_str());
        let Some(snapshot) = snapshots::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        if let Some(below) = &snapshot.layer
            && !layer::let_go(cx, below).await?
        {
            return Ok(Next::Again);
        }
        let mut tx = cx.finish("delete").await?;
        // Whose it is now: it may have gone to another project with its volume meanwhile.
        if let Some(now) = snapshots::find_in(&mut tx, &id).await? {
            let usage = Usage::snapshot(now.size_gib, &now.type_id);
            quota::give_back(&mut tx, now.owner.project_id.as_str(), &usage).await?;
            snapshots::remove(&mut tx, &id).await?;
        }
        tx.commit().await?;
        crash_point!("snapshot.removed");
        // Its file goes when nothing stands on it any more.
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
        let id = SnapshotId::from(op.resource_id.as_str());
        let Some(mut snapshot) = snapshots::find_in(tx, &id).await? else {
            return Ok(());
        };
        snapshot.status = SnapshotStatus::ErrorDeleting;
        snapshot.updated_at = cx.now();
        snapshots::update(tx, &snapshot).await?;
        let what = (
            &snapshot.owner,
            "VOLUME_SNAPSHOT",
            Event::SnapshotDeleteFailed,
            failure.message.as_str(),
        );
        tell(tx, cx, op, what).await
    }
}
