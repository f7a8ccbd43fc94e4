//! Giving a volume another type. Where the present back end has not what that wants, and whoever asks allows it, the volume
//! moves to one that has: all of it is read there and written here, another row of the same name, and then the old one goes.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue};
use nephos_runtime::crash_point;
use serde::{Deserialize, Serialize};

use super::{Asked, SOON, moving, refused, tell};
use crate::Svc;
use crate::model::backend::{Backend, Wish, choose};
use crate::model::encryption::is_same;
use crate::model::message::Event;
use crate::model::quota::Usage;
use crate::model::volume::{Status, Volume, VolumeId};
use crate::model::volume_type::VolumeType;
use crate::store::{attachments, backends, encryption, layers, quota, types, volumes};

pub(crate) struct Retype;

#[derive(Serialize, Deserialize)]
struct Args {
    type_id: String,
    may_move: bool,
}

/// Wants a volume of another type.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    volume: &VolumeId,
    (type_id, may_move): (&str, bool),
) -> Result<(), EnqueueError> {
    let args = serde_json::to_value(Args {
        type_id: type_id.to_owned(),
        may_move,
    })?;
    let new = asked.work(<Retype as Reconcile<Svc>>::KIND, volume.as_str(), args);
    enqueue(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Retype {
    const KIND: &'static str = "volume.retype";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = VolumeId::from(op.resource_id.as_str());
        let Some(volume) = volumes::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let args: Args = op.args()?;
        if volume.type_id == args.type_id {
            return finish(cx, &volume).await;
        }
        // A copy of it that was asked for before comes first.
        let copies = layers::made_of(cx.db(), id.as_str()).await?;
        if volume.held_by.is_some() || copies > 0 {
            return Ok(Next::After(SOON));
        }
        let Some(kind) = types::find(cx.db(), &args.type_id).await? else {
            return fail(format!(
                "Volume type {} is not there any more.",
                args.type_id
            ));
        };
        let all = backends::list(cx.db()).await?;
        let here = Wish {
            specs: Some(&kind.specs),
            only: volume.backend.as_deref(),
            ..Wish::default()
        };
        if choose(&all, &here, cx.now()).is_ok() {
            return turn(cx, &volume, (&kind, None)).await;
        }
        if !args.may_move {
            return fail("Retype requires migration but is not allowed.".to_owned());
        }
        move_over(cx, &volume, (&kind, &all)).await
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = VolumeId::from(op.resource_id.as_str());
        let Some(mut volume) = volumes::find_in(tx, &id).await? else {
            return Ok(());
        };
        if volume.status == Status::Retyping {
            volume.status = volume.status_before;
        }
        volume.migration = volume.migration.map(|_moving| "error".to_owned());
        volume.updated_at = cx.now();
        volumes::update(tx, &volume).await?;
        let what = (
            &volume.owner,
            "VOLUME",
            Event::RetypeFailed,
            failure.message.as_str(),
        );
        tell(tx, cx, op, what).await
    }
}

fn fail(words: String) -> Result<Next, StepError> {
    Ok(Next::Fail(Failure::new(words)))
}

async fn move_over(
    cx: &OpCx<Svc>,
    volume: &Volume,
    (kind, all): (&VolumeType, &[Backend]),
) -> Result<Next, StepError> {
    if let Some(why) = moving::refusal(cx, volume).await? {
        return fail(why.to_owned());
    }
    let wish = Wish {
        size_gib: volume.size_gib,
        zone: Some(&volume.zone),
        specs: Some(&kind.specs),
        ..Wish::default()
    };
    let target = match choose(all, &wish, cx.now()) {
        Ok(target) => target,
        Err(why) => {
            return fail(format!(
                "No valid backend was found. No weighed backends available: {why}."
            ));
        }
    };
    if let Err(why) = moving::copy(cx, volume, target).await? {
        return refused(&why, "The volume cannot be moved");
    }
    crash_point!("retype.copied");
    turn(cx, volume, (kind, Some(target))).await
}

/// Notes the new type, and where the volume is now.
async fn turn(
    cx: &OpCx<Svc>,
    volume: &Volume,
    (kind, target): (&VolumeType, Option<&Backend>),
) -> Result<Next, StepError> {
    let project = volume.owner.project_id.as_str();
    let limits = quota::limits(cx.db(), project).await?;
    let mut tx = cx.write("turn").await?;
    let Some(mut now) = volumes::find_in(&mut tx, &volume.id).await? else {
        return Ok(Next::Done);
    };
    if let Some(target) = target
        && now.status != Status::Retyping
    {
        drop(tx);
        moving::forget(cx, volume, &target.name).await?;
        return fail(moving::RESET.to_owned());
    }
    // What the types say may be another thing than when it was asked for.
    let before = encryption::of_type_in(&mut tx, &now.type_id).await?;
    let after = encryption::of_type_in(&mut tx, &kind.id).await?;
    if !is_same(before.as_ref(), after.as_ref()) {
        drop(tx);
        if let Some(target) = target {
            moving::forget(cx, volume, &target.name).await?;
        }
        return fail("Volumes of the other type are encrypted in another way.".to_owned());
    }
    let by_type = |id: &str| Usage::of_type(now.size_gib, id);
    if let Err(over) = quota::take(&mut tx, project, &limits, &by_type(&kind.id)).await? {
        drop(tx);
        if let Some(target) = target {
            moving::forget(cx, volume, &target.name).await?;
        }
        return fail(over.words());
    }
    quota::give_back(&mut tx, project, &by_type(&now.type_id)).await?;
    now.type_id.clone_from(&kind.id);
    now.multiattach = kind.is_multiattach();
    if let Some(target) = target {
        moving::arrive(&mut now, target);
    }
    now.updated_at = cx.now();
    volumes::update(&mut tx, &now).await?;
    tx.commit().await?;
    crash_point!("retype.turned");
    Ok(Next::Again)
}

/// Removes what is left of the volume where it is no longer.
async fn finish(cx: &OpCx<Svc>, volume: &Volume) -> Result<Next, StepError> {
    moving::tidy(cx, volume).await?;
    crash_point!("retype.tidied");
    let users = attachments::of_volumes(cx.db(), &[volume.id.as_str()]).await?;
    let mut tx = cx.finish("finish").await?;
    let Some(mut now) = volumes::find_in(&mut tx, &volume.id).await? else {
        return Ok(Next::Done);
    };
    if now.status == Status::Retyping {
        now.status = if users.is_empty() {
            Status::Available
        } else {
            Status::InUse
        };
    }
    now.updated_at = cx.now();
    volumes::update(&mut tx, &now).await?;
    tx.commit().await?;
    crash_point!("retype.finished");
    // The layer that it stood on may be nobody's now.
    cx.service().house_now();
    Ok(Next::Done)
}
