//! Moving a volume to another back end, because an administrator wants it there.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue};
use nephos_runtime::crash_point;
use serde::{Deserialize, Serialize};

use super::{Asked, SOON, moving, refused, tell};
use crate::Svc;
use crate::model::backend::{Backend, Wish, choose};
use crate::model::message::Event;
use crate::model::volume::{Status, Volume, VolumeId};
use crate::store::{backends, layers, types, volumes};

pub(crate) struct Migrate;

/// The state of a volume that moves, unless an administrator sets another one.
const MOVING: Status = Status::Maintenance;

#[derive(Serialize, Deserialize)]
struct Args {
    to: String,
}

/// Wants a volume in another back end.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    volume: &VolumeId,
    to: &str,
) -> Result<(), EnqueueError> {
    let args = serde_json::to_value(Args { to: to.to_owned() })?;
    let new = asked.work(<Migrate as Reconcile<Svc>>::KIND, volume.as_str(), args);
    enqueue(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Migrate {
    const KIND: &'static str = "volume.migrate";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = VolumeId::from(op.resource_id.as_str());
        let Some(volume) = volumes::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let args: Args = op.args()?;
        if volume.backend.as_deref() == Some(args.to.as_str()) {
            moving::tidy(cx, &volume).await?;
            crash_point!("migrate.tidied");
            let mut tx = cx.finish("finish").await?;
            volumes::change(&mut tx, &id, |volume| {
                if volume.status == MOVING {
                    volume.status = volume.status_before;
                }
                volume.updated_at = cx.now();
            })
            .await?;
            tx.commit().await?;
            crash_point!("migrate.finished");
            // The layer that it stood on may be nobody's now.
            cx.service().house_now();
            return Ok(Next::Done);
        }
        // A copy of it that was asked for before comes first.
        if volume.held_by.is_some() || layers::made_of(cx.db(), id.as_str()).await? > 0 {
            return Ok(Next::After(SOON));
        }
        if let Some(why) = moving::refusal(cx, &volume).await? {
            return Ok(Next::Fail(Failure::new(why.to_owned())));
        }
        let kind = types::find(cx.db(), &volume.type_id).await?;
        let wish = Wish {
            size_gib: volume.size_gib,
            zone: None,
            specs: kind.as_ref().map(|kind| &kind.specs),
            only: Some(&args.to),
        };
        let all = backends::list(cx.db()).await?;
        let there: Vec<_> = all.into_iter().filter(|one| one.name == args.to).collect();
        let target = match choose(&there, &wish, cx.now()) {
            Ok(target) => target,
            Err(why) => {
                let words = format!("The volume cannot be there: {why}.");
                return Ok(Next::Fail(Failure::new(words)));
            }
        };
        if let Err(why) = moving::copy(cx, &volume, target).await? {
            return refused(&why, "The volume cannot be moved");
        }
        crash_point!("migrate.copied");
        turn(cx, &volume, target).await
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
        if volume.status == MOVING {
            volume.status = volume.status_before;
        }
        volume.migration = Some("error".to_owned());
        volume.updated_at = cx.now();
        volumes::update(tx, &volume).await?;
        let what = (
            &volume.owner,
            "VOLUME",
            Event::MigrateFailed,
            failure.message.as_str(),
        );
        tell(tx, cx, op, what).await
    }
}

/// Notes where the volume is now, if its copy is what it holds.
async fn turn(cx: &OpCx<Svc>, volume: &Volume, target: &Backend) -> Result<Next, StepError> {
    let mut tx = cx.write("turn").await?;
    let Some(mut now) = volumes::find_in(&mut tx, &volume.id).await? else {
        return Ok(Next::Done);
    };
    if now.status != MOVING {
        drop(tx);
        moving::forget(cx, volume, &target.name).await?;
        return Ok(Next::Fail(Failure::new(moving::RESET)));
    }
    moving::arrive(&mut now, target);
    now.updated_at = cx.now();
    volumes::update(&mut tx, &now).await?;
    tx.commit().await?;
    crash_point!("migrate.turned");
    Ok(Next::Again)
}
