//! Removes what a stack does not want any more.

use nephos_ops::StepError;
use nephos_runtime::crash_point;

use super::LOOK_AGAIN;
use super::ground::{Ground, When, apply, note};
use super::make::HELD;
use super::resource::{self, Outcome, Why, nested};
use crate::model::environment::Hook;
use crate::model::stack::{Action, Resource, Status};
use crate::store::{events, resources};

/// Removes a resource that nobody wants.
pub(super) async fn discard(ground: &Ground<'_>, row: &Resource) -> Result<When, StepError> {
    if (row.held.is_some() || row.action != Action::Delete)
        && ground.held(row, Hook::PreDelete).await?
    {
        return Ok(When::After(HELD));
    }
    let mut row = row.clone();
    if !(row.action == Action::Delete && row.status == Status::InProgress) {
        (row.action, row.status, row.reason) = (
            Action::Delete,
            Status::InProgress,
            "state changed".to_owned(),
        );
        row.held = None;
        row.changing_to = None;
        row.generation = ground.stack.generation;
        row.data.remove("tries");
        crash_point!("stack.discard");
        ground.save("discard", &row, true).await?;
        crash_point!("stack.discarding");
    }
    let did = resource::remove(&ground.work(&row, None, false)).await;
    removed(ground, &row, did).await
}

/// Has a nested stack let go of what it has kept for the way back.
pub(super) async fn clear(ground: &Ground<'_>, row: &Resource) -> Result<When, StepError> {
    let did = nested::clear(&ground.work(row, None, false)).await;
    let mut row = row.clone();
    let (seen, when) = match did {
        Ok(Outcome::Done(seen)) => (seen, When::Now),
        Ok(Outcome::Wait(seen, wait)) => (seen, When::After(wait)),
        Ok(Outcome::Failed(_, why)) | Err(Why::Refused(why)) => {
            (row.action, row.status, row.reason) = (Action::Update, Status::Failed, why);
            row.generation = ground.stack.generation;
            ground.save("clear", &row, true).await?;
            return Ok(When::Now);
        }
        Err(Why::Later(_busy)) => return Ok(When::After(LOOK_AGAIN)),
        Err(Why::Step(why)) => return Err(why),
    };
    if note(&mut row, seen) {
        ground.save("clear", &row, false).await?;
        crash_point!("stack.cleared");
    }
    Ok(when)
}

/// Writes what became of a removal.
pub(super) async fn removed(
    ground: &Ground<'_>,
    row: &Resource,
    did: resource::Did,
) -> Result<When, StepError> {
    if let Ok(Outcome::Done(_)) = did {
        let mut row = row.clone();
        (row.status, row.reason) = (Status::Complete, "state changed".to_owned());
        let mut tx = ground.cx.write("removed").await?;
        events::of_resource(&mut tx, &row, ground.cx.now()).await?;
        resources::remove(&mut tx, &row.id).await?;
        tx.commit().await?;
        crash_point!("stack.removed");
        return Ok(When::Now);
    }
    apply(ground, row, did).await
}
