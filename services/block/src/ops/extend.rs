//! Extending a volume, also while a server has it: then compute tells the guest.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue};
use nephos_runtime::crash_point;
use serde::{Deserialize, Serialize};

use super::{Asked, SOON, driver, refused, tell};
use crate::Svc;
use crate::model::attachment::{AttachStatus, Attachment};
use crate::model::layer::Format;
use crate::model::message::Event;
use crate::model::quota::Usage;
use crate::model::volume::{Status, Volume, VolumeId, gib_bytes};
use crate::store::{attachments, quota, volumes};

pub(crate) struct Extend;

#[derive(Serialize, Deserialize)]
struct Args {
    to_gib: i64,
    /// Whether compute has still to be told.
    in_use: bool,
}

/// The size that such an operation's arguments ask for, in GiB.
pub(crate) fn size_of(args: &str) -> Option<i64> {
    let args: Args = serde_json::from_str(args).ok()?;
    Some(args.to_gib)
}

/// Wants a volume larger; its growth is taken from the quota, and its state says so, in the same transaction.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    volume: &Volume,
    to_gib: i64,
) -> Result<(), EnqueueError> {
    let in_use = volume.status == Status::InUse;
    let args = serde_json::to_value(Args { to_gib, in_use })?;
    let new = asked.work(<Extend as Reconcile<Svc>>::KIND, volume.id.as_str(), args);
    enqueue(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Extend {
    const KIND: &'static str = "volume.extend";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = VolumeId::from(op.resource_id.as_str());
        let Some(volume) = volumes::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let args: Args = op.args()?;
        if volume.held_by.is_some() {
            return Ok(Next::After(SOON));
        }
        if volume.size_gib < args.to_gib {
            return grow(cx, &volume, &args).await;
        }
        let attached = |user: &&Attachment| user.status == AttachStatus::Attached;
        if args.in_use {
            let users = attachments::of_volumes(cx.db(), &[id.as_str()]).await?;
            let users = users.iter().filter(attached);
            for server in users.filter_map(|user| user.instance_id.as_deref()) {
                let told = cx
                    .service()
                    .siblings
                    .volume_extended(server, id.as_str())
                    .await;
                told.map_err(|why| StepError::Away(why.to_string()))?;
                crash_point!("extend.told");
            }
        }
        let mut tx = cx.finish("finish").await?;
        let users = attachments::of_volume_in(&mut tx, &id).await?;
        let used = users.iter().filter(attached).count() > 0;
        volumes::change(&mut tx, &id, |volume| {
            volume.status = if used {
                Status::InUse
            } else {
                Status::Available
            };
            volume.updated_at = cx.now();
        })
        .await?;
        tx.commit().await?;
        crash_point!("extend.finished");
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = VolumeId::from(op.resource_id.as_str());
        let (Some(mut volume), Ok(args)) = (volumes::find_in(tx, &id).await?, op.args::<Args>())
        else {
            return Ok(());
        };
        if volume.size_gib < args.to_gib {
            let growth = Usage::growth(args.to_gib - volume.size_gib, &volume.type_id);
            quota::give_back(tx, volume.owner.project_id.as_str(), &growth).await?;
            volume.status = Status::ErrorExtending;
        } else {
            // It is larger; only compute was not told.
            volume.status = volume.status_before;
        }
        volume.updated_at = cx.now();
        volumes::update(tx, &volume).await?;
        tell(
            tx,
            cx,
            op,
            (
                &volume.owner,
                "VOLUME",
                Event::ExtendFailed,
                &failure.message,
            ),
        )
        .await
    }
}

async fn grow(cx: &OpCx<Svc>, volume: &Volume, args: &Args) -> Result<Next, StepError> {
    let driver = driver(cx, volume.backend.as_deref().unwrap_or_default())?;
    // QEMU has a qcow2 file to itself while a guest runs, and makes it larger when compute tells it to.
    if !(args.in_use && volume.format == Format::Qcow2) {
        let grown = driver
            .grow(&volume.file(), volume.format, gib_bytes(args.to_gib))
            .await;
        if let Err(why) = grown {
            return refused(&why, "The volume cannot be extended");
        }
    }
    crash_point!("extend.grown");
    let mut tx = cx.write("grow").await?;
    volumes::change(&mut tx, &volume.id, |volume| {
        volume.size_gib = args.to_gib;
        volume.updated_at = cx.now();
    })
    .await?;
    tx.commit().await?;
    crash_point!("extend.noted");
    Ok(Next::Again)
}
