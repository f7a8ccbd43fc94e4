//! Bringing a volume back to its latest snapshot: its file is made anew of the snapshot's layer, beside the one that is
//! there, and put in its place.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue};
use nephos_runtime::crash_point;
use serde::{Deserialize, Serialize};

use super::{Asked, SOON, driver, refused, tell};
use crate::Svc;
use crate::model::layer::{LayerId, LayerState};
use crate::model::message::Event;
use crate::model::snapshot::{SnapshotId, SnapshotStatus};
use crate::model::volume::{Status, Volume, VolumeId};
use crate::store::{layers, snapshots, volumes};

pub(crate) struct Revert;

#[derive(Serialize, Deserialize)]
struct Args {
    snapshot: String,
}

/// Wants a volume as it was; it and the snapshot say so in the same transaction.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    volume: &VolumeId,
    snapshot: &SnapshotId,
) -> Result<(), EnqueueError> {
    let args = serde_json::to_value(Args {
        snapshot: snapshot.to_string(),
    })?;
    let new = asked.work(<Revert as Reconcile<Svc>>::KIND, volume.as_str(), args);
    enqueue(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Revert {
    const KIND: &'static str = "volume.revert";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = VolumeId::from(op.resource_id.as_str());
        let Some(volume) = volumes::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let args: Args = op.args()?;
        let snapshot = SnapshotId::from(args.snapshot.as_str());
        let found = snapshots::find(cx.db(), &snapshot).await?;
        let Some(below) = found.and_then(|found| found.layer) else {
            return fail(format!(
                "Snapshot {snapshot} has nothing in its back end any more."
            ));
        };
        // The volume is held by the snapshot's layer once its new file is whole.
        if volume.held_by.as_ref() == Some(&below) {
            return place(cx, &volume, (&snapshot, &below)).await;
        }
        // Copies of it that were asked for before come first.
        if volume.held_by.is_some() || layers::made_of(cx.db(), id.as_str()).await? > 0 {
            return Ok(Next::After(SOON));
        }
        make(cx, &volume, (&snapshot, &below)).await
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = VolumeId::from(op.resource_id.as_str());
        if let Ok(args) = op.args::<Args>() {
            settle(tx, cx, &SnapshotId::from(args.snapshot.as_str())).await?;
        }
        let Some(mut volume) = volumes::find_in(tx, &id).await? else {
            return Ok(());
        };
        volume.status = Status::Error;
        volume.updated_at = cx.now();
        volumes::update(tx, &volume).await?;
        let what = (
            &volume.owner,
            "VOLUME",
            Event::RevertFailed,
            failure.message.as_str(),
        );
        tell(tx, cx, op, what).await
    }
}

fn fail(words: String) -> Result<Next, StepError> {
    Ok(Next::Fail(Failure::new(words)))
}

/// Makes the new file, and has the row speak of it before it is in its place: from then on nobody goes back.
async fn make(
    cx: &OpCx<Svc>,
    volume: &Volume,
    (snapshot, below): (&SnapshotId, &LayerId),
) -> Result<Next, StepError> {
    let layer = layers::find(cx.db(), below).await?;
    let Some(layer) = layer.filter(|layer| layer.state == LayerState::Kept) else {
        return fail(format!("Snapshot {snapshot} is not whole."));
    };
    // What is made of it would lie where the volume is not, and nothing would take the place of the volume's file.
    if Some(&layer.backend) != volume.backend.as_ref() {
        return fail(format!(
            "Snapshot {snapshot} is not in the volume's back end."
        ));
    }
    let driver = driver(cx, &layer.backend)?;
    let (file, size) = (volume.file(), volume.size_bytes());
    let (format, stands_on) = match driver.restore_of(&file, &layer, size).await {
        Ok(made) => made,
        Err(why) => {
            let dropped = driver.drop_restore(&file).await;
            dropped.map_err(|why| StepError::Transient(why.to_string()))?;
            return refused(&why, "The volume cannot be brought back");
        }
    };
    crash_point!("revert.made");
    let mut tx = cx.write("made").await?;
    if !volumes::hold(&mut tx, &volume.id, &layer.id).await? {
        return Ok(Next::After(SOON));
    }
    volumes::change(&mut tx, &volume.id, |volume| {
        volume.format = format;
        volume.layer = stands_on;
    })
    .await?;
    tx.commit().await?;
    crash_point!("revert.noted");
    Ok(Next::Again)
}

/// Puts the new file in the place of the old one, of which the row knows nothing any more.
async fn place(
    cx: &OpCx<Svc>,
    volume: &Volume,
    (snapshot, below): (&SnapshotId, &LayerId),
) -> Result<Next, StepError> {
    let driver = driver(cx, volume.backend.as_deref().unwrap_or_default())?;
    let placed = driver.end_restore(&volume.file()).await;
    placed.map_err(|why| StepError::Transient(why.to_string()))?;
    if !driver.fits(&volume.file(), volume.format) {
        return fail("What was made of the snapshot is not in its place.".to_owned());
    }
    crash_point!("revert.placed");
    let mut tx = cx.finish("finish").await?;
    volumes::let_go(&mut tx, &volume.id, below).await?;
    volumes::change(&mut tx, &volume.id, |volume| {
        volume.status = Status::Available;
        volume.updated_at = cx.now();
    })
    .await?;
    settle(&mut tx, cx, snapshot).await?;
    tx.commit().await?;
    crash_point!("revert.finished");
    // The layer that the old file stood on may be nobody's now.
    cx.service().house_now();
    Ok(Next::Done)
}

/// Lets others at the snapshot again.
async fn settle(tx: &mut Tx, cx: &OpCx<Svc>, id: &SnapshotId) -> Result<(), nephos_db::Error> {
    let Some(mut snapshot) = snapshots::find_in(tx, id).await? else {
        return Ok(());
    };
    if snapshot.status == SnapshotStatus::Restoring {
        snapshot.status = SnapshotStatus::Available;
        snapshot.updated_at = cx.now();
        snapshots::update(tx, &snapshot).await?;
    }
    Ok(())
}
