//! Going back to what was replaced and is still there.

use nephos_ops::StepError;
use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::LOOK_AGAIN;
use super::ground::{Ground, MAX_TRIES, When, note};
use super::make::said;
use super::refuse;
use super::resource::{self, Outcome, Seen, Why};
use crate::model::earlier::{RELEASED, Wish, closer, stands};
use crate::model::kind::{self, How};
use crate::model::stack::{Action, Resource, Status};
use crate::model::template::Definition;
use crate::store::resources;

/// What was replaced and is closer to what the template says now than `row`.
pub(super) async fn found(
    ground: &Ground<'_>,
    row: &Resource,
    definition: &Definition,
) -> Result<Option<Resource>, StepError> {
    let under_way = row.generation == ground.stack.generation && row.status == Status::InProgress;
    let same = |old: &&Resource| old.superseded && old.name == row.name;
    let replaced: Vec<&Resource> = ground.view.resources.iter().filter(same).collect();
    if under_way || replaced.is_empty() {
        return Ok(None);
    }
    let Ok(said) = said(ground, definition) else {
        return Ok(None);
    };
    if said.external.is_some() || row.external {
        return Ok(None);
    }
    let mut there = Vec::new();
    for old in replaced {
        if stands(old) {
            there.push(old.clone());
        } else if let Some(old) = revived(ground, old).await? {
            there.push(old);
        }
    }
    let wish = Wish {
        kind: kind::find(&said.target),
        target: &said.target,
        properties: &said.properties,
        later: &[],
    };
    Ok(closer(row, there.iter(), &wish).cloned())
}

/// A resource whose removal failed may be there as before: then it counts as that.
pub(super) async fn revived(
    ground: &Ground<'_>,
    row: &Resource,
) -> Result<Option<Resource>, StepError> {
    let looks = matches!(
        kind::find(&row.target).map(|kind| kind.how),
        Some(
            How::Rest(_)
                | How::Balancing(_)
                | How::SecurityGroup
                | How::Server
                | How::Volume
                | How::Directory(_)
        )
    );
    let removal_failed = row.action == Action::Delete && row.status == Status::Failed;
    if !removal_failed || !looks || row.external || row.physical_id.is_none() {
        return Ok(None);
    }
    match resource::check(&ground.work(row, None, false)).await {
        Ok(Outcome::Done(seen)) if is_at_rest(&seen) => {
            let mut row = row.clone();
            (row.action, row.status) = (Action::Create, Status::Complete);
            "state changed".clone_into(&mut row.reason);
            Ok(Some(row))
        }
        Err(Why::Step(why)) => Err(why),
        _gone_or_on_its_way => Ok(None),
    }
}

/// Whether nothing is being done to it: not its removal, above all.
fn is_at_rest(seen: &Seen) -> bool {
    let field = |name: &str| seen.observed.as_ref().and_then(|thing| thing.get(name));
    let idle = field("OS-EXT-STS:task_state").is_none_or(Value::is_null);
    let status = field("status").or_else(|| field("provisioning_status"));
    let status = status.and_then(Value::as_str).unwrap_or_default();
    idle && !status.to_ascii_lowercase().contains("delet")
}

/// What was replaced takes its place again; what has replaced it goes when all is done.
pub(super) async fn restore(
    ground: &Ground<'_>,
    row: &Resource,
    mut old: Resource,
) -> Result<When, StepError> {
    let mut new = row.clone();
    new.superseded = true;
    old.superseded = false;
    old.held = None;
    old.cleared.clone_from(&row.cleared);
    crash_point!("stack.restore");
    let mut tx = ground.cx.write("restore").await?;
    if new.begun() {
        resources::update(&mut tx, &new, ground.cx.now()).await?;
    } else {
        resources::remove(&mut tx, &new.id).await?;
    }
    resources::update(&mut tx, &old, ground.cx.now()).await?;
    tx.commit().await?;
    crash_point!("stack.restored");
    Ok(When::Now)
}

/// Has a server that was replaced let go of its ports, so that another one can have them. It keeps everything else, and
/// has them again if it takes its place again.
pub(super) async fn release(ground: &Ground<'_>, row: &Resource) -> Result<When, StepError> {
    let mut row = row.clone();
    if !row.data.contains_key(RELEASED) {
        row.data.insert(RELEASED.to_owned(), json!("begun"));
        crash_point!("stack.release");
        ground.save("release", &row, false).await?;
        crash_point!("stack.releasing");
    }
    let did = resource::server_ports::release(&ground.work(&row, None, false)).await;
    let (seen, when) = match did {
        Ok(Outcome::Done(seen)) => (seen.with(RELEASED, "done"), When::Now),
        Ok(Outcome::Wait(seen, wait)) => (seen, When::After(wait)),
        Err(Why::Later(_)) if again(&mut row) => {
            ground.save("again", &row, false).await?;
            return Ok(When::After(LOOK_AGAIN));
        }
        Ok(Outcome::Failed(_, why)) | Err(Why::Refused(why) | Why::Later(why)) => {
            let why = format!("its ports cannot be taken out of the server before: {why}");
            return refuse::refuse(ground, row, why).await;
        }
        Err(Why::Step(why)) => return Err(why),
    };
    if note(&mut row, seen) {
        ground.save("released", &row, false).await?;
        crash_point!("stack.released");
    }
    Ok(when)
}

/// Counts one more try; false when there were enough.
fn again(row: &mut Resource) -> bool {
    let tries = row.data.get("tries").and_then(Value::as_i64).unwrap_or(0) + 1;
    row.data.insert("tries".to_owned(), json!(tries));
    tries <= MAX_TRIES
}
