//! Groups: one that is made of another is there when its volumes are; one that is deleted goes after them.

use nephos_db::Tx;
use nephos_ops::{
    EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue, supersede,
};
use nephos_runtime::crash_point;
use serde_json::json;

use super::{Asked, SOON};
use crate::Svc;
use crate::model::group::{GroupId, GroupStatus};
use crate::model::quota::Usage;
use crate::model::volume::Status;
use crate::store::{groups, quota, volumes};

pub(crate) struct Create;

/// Wants a group available once its volumes are; all of them are inserted in the same transaction.
pub(crate) async fn request_create(
    tx: &mut Tx,
    asked: Asked<'_>,
    id: &GroupId,
) -> Result<(), EnqueueError> {
    let new = asked.work(<Create as Reconcile<Svc>>::KIND, id.as_str(), json!({}));
    enqueue(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Create {
    const KIND: &'static str = "group.create";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = GroupId::from(op.resource_id.as_str());
        for volume in volumes::of_group(cx.db(), id.as_str()).await? {
            match volume.status {
                Status::Creating | Status::Downloading => return Ok(Next::After(SOON)),
                Status::Error => {
                    let words = format!("Volume {} of the group cannot be made.", volume.id);
                    return Ok(Next::Fail(Failure::new(words)));
                }
                _made => {}
            }
        }
        let mut tx = cx.finish("finish").await?;
        move_to(&mut tx, (&id, GroupStatus::Available), cx.now()).await?;
        tx.commit().await?;
        crash_point!("group.made");
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        _failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = GroupId::from(op.resource_id.as_str());
        move_to(tx, (&id, GroupStatus::Error), cx.now()).await
    }
}

/// Ends what is on its way; a state that somebody set by hand stays.
async fn move_to(
    tx: &mut Tx,
    (id, to): (&GroupId, GroupStatus),
    now: nephos_types::Timestamp,
) -> Result<(), nephos_db::Error> {
    let Some(mut group) = groups::find_in(tx, id).await? else {
        return Ok(());
    };
    if matches!(group.status, GroupStatus::Creating | GroupStatus::Deleting) {
        group.status = to;
        group.updated_at = now;
        groups::update(tx, &group).await?;
    }
    Ok(())
}

pub(crate) struct Delete;

/// Wants a group gone once its volumes are, which are wanted gone in the same transaction.
pub(crate) async fn request_delete(
    tx: &mut Tx,
    asked: Asked<'_>,
    id: &GroupId,
) -> Result<(), EnqueueError> {
    let new = asked.work(<Delete as Reconcile<Svc>>::KIND, id.as_str(), json!({}));
    supersede(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Delete {
    const KIND: &'static str = "group.delete";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = GroupId::from(op.resource_id.as_str());
        let Some(group) = groups::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let left = volumes::of_group(cx.db(), id.as_str()).await?;
        if let Some(stays) = left.iter().find(|one| one.status != Status::Deleting) {
            let words = format!(
                "Volume {} of the group is {}, and was not deleted.",
                stays.id,
                stays.status.as_str()
            );
            return Ok(Next::Fail(Failure::new(words)));
        }
        if !left.is_empty() {
            return Ok(Next::After(SOON));
        }
        let mut tx = cx.finish("delete").await?;
        let project = group.owner.project_id.as_str();
        quota::give_back(&mut tx, project, &Usage::group()).await?;
        groups::remove(&mut tx, &id).await?;
        tx.commit().await?;
        crash_point!("group.removed");
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        _failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = GroupId::from(op.resource_id.as_str());
        move_to(tx, (&id, GroupStatus::ErrorDeleting), cx.now()).await
    }
}
