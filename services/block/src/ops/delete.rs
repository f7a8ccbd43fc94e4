//! Deleting a volume: its snapshots first where that is asked for, then its file, its row last.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, supersede};
use nephos_runtime::crash_point;
use serde_json::json;

use super::{Asked, SOON, layer};
use crate::Svc;
use crate::model::quota::Usage;
use crate::model::volume::{Status, Volume, VolumeId};
use crate::store::{backups, encryption, layers, quota, snapshots, volumes};

pub(crate) struct Delete;

/// Wants a volume gone, whatever is being done to it.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    volume: &Volume,
) -> Result<(), EnqueueError> {
    let new = asked.work(
        <Delete as Reconcile<Svc>>::KIND,
        volume.id.as_str(),
        json!({}),
    );
    let growing = volumes::extension(tx, &volume.id).await?;
    supersede(tx, asked.now, new).await?;
    if let Some(mut fresh) = volumes::find_in(tx, &volume.id).await? {
        // What it was about to grow by is taken already; the deletion gives back what it has.
        let to_gib = growing.and_then(|args| super::extend::size_of(&args));
        if let Some(more) = to_gib
            .map(|to| to - fresh.size_gib)
            .filter(|more| *more > 0)
        {
            let growth = Usage::growth(more, &fresh.type_id);
            quota::give_back(tx, fresh.owner.project_id.as_str(), &growth).await?;
        }
        fresh.status_before = fresh.status;
        fresh.status = Status::Deleting;
        fresh.updated_at = asked.now;
        volumes::update(tx, &fresh).await?;
    }
    Ok(())
}

impl Reconcile<Svc> for Delete {
    const KIND: &'static str = "volume.delete";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = VolumeId::from(op.resource_id.as_str());
        let Some(volume) = volumes::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        // What it began to do to another volume's file, before it was deleted, is brought to its end.
        if let Some(below) = &volume.layer
            && !layer::let_go(cx, below).await?
        {
            return Ok(Next::Again);
        }
        // A backup that is being brought back into it is told first.
        if backups::restores_into(cx.db(), id.as_str()).await? {
            return Ok(Next::After(SOON));
        }
        // Copies of it, and its snapshots, that are being made or removed come first.
        if layers::made_of(cx.db(), id.as_str()).await? > 0 || has_snapshots(cx, &id).await? {
            return Ok(Next::After(SOON));
        }
        if let Some(driver) = volume.backend.as_deref() {
            super::driver(cx, driver)?;
        }
        // On its way to another back end it may have a file in both.
        for driver in cx.service().drivers.values() {
            let removed = driver.remove(&volume.file()).await;
            removed.map_err(|why| StepError::Transient(why.to_string()))?;
        }
        crash_point!("delete.file");
        let mut tx = cx.finish("delete").await?;
        let usage = Usage::volume(volume.size_gib, &volume.type_id);
        quota::give_back(&mut tx, volume.owner.project_id.as_str(), &usage).await?;
        volumes::remove(&mut tx, &id).await?;
        encryption::forget_key(&mut tx, &id).await?;
        tx.commit().await?;
        crash_point!("delete.row");
        cx.service().house_now();
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        _failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = VolumeId::from(op.resource_id.as_str());
        let Some(mut volume) = volumes::find_in(tx, &id).await? else {
            return Ok(());
        };
        volume.status = Status::ErrorDeleting;
        volume.updated_at = cx.now();
        volumes::update(tx, &volume).await
    }
}

async fn has_snapshots(cx: &OpCx<Svc>, id: &VolumeId) -> Result<bool, StepError> {
    let filters = [("volume_id".to_owned(), id.to_string())];
    let listing = snapshots::Listing {
        filters: &filters,
        ..snapshots::Listing::default()
    };
    Ok(snapshots::count(cx.db(), &listing).await? > 0)
}
