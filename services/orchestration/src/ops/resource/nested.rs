//! Resources that are stacks of their own: each is a stack with an operation of its own, which tells this one when it
//! is done.

use std::time::Duration;

use nephos_db::Db;
use nephos_runtime::crash_point;
use serde_json::{Map, Value};

use super::batches::{BATCH_END, Pace, first_batch, members, pace, paced};
use super::health::{ails, unwell};
use super::{Did, Outcome, Seen, Why, Work};
use crate::model::environment::is_file;
use crate::model::group::{self, Present};
use crate::model::kind::{How, Kind};
use crate::model::reach::reachable;
use crate::model::region;
use crate::model::stack::{self, Action, Stack, StackId, Status, Wanted};
use crate::ops::judge::{self, Target};
use crate::ops::{facts, request};
use crate::store::{resources, stacks};

/// A nested stack says when it is done; this is for a word that was lost.
const LOOK: Duration = Duration::from_secs(30);

/// The id that the nested stack of a resource has.
pub(crate) fn child_id(resource: &stack::ResourceId) -> StackId {
    let namespace = uuid::Uuid::try_parse(resource.as_str()).unwrap_or_default();
    StackId::from(nephos_runtime::ids::derived(&namespace, "stack"))
}

fn target(work: &Work<'_>) -> Result<Target, Why> {
    if is_file(&work.row.target) {
        return Ok(Target::File(work.row.target.clone()));
    }
    let gone = || {
        Why::Refused(format!(
            "The Resource Type ({}) could not be found.",
            work.row.target
        ))
    };
    work.kind.map(Target::Kind).ok_or_else(gone)
}

/// The region that the stack is to be in, if one is named.
fn region_of<'a>(work: &Work<'a>) -> Option<&'a str> {
    let props = work.row.changing_to.as_ref();
    work.kind.filter(|kind| matches!(kind.how, How::Stack))?;
    region::named(props.unwrap_or(&work.row.properties))
}

/// The members that were removed from a group by name.
pub(crate) fn removed(row: &stack::Resource) -> Vec<String> {
    let names = row.data.get("removed").and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

/// The members that the nested stack of a group has: their names, and what refers to them.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub names: Vec<String>,
    pub references: Vec<(String, String)>,
}

impl Members {
    /// What refers to them is found out only where the group's properties name somebody to be removed.
    pub async fn of(
        db: &Db,
        child: Option<&Stack>,
        properties: &Map<String, Value>,
    ) -> Result<Self, nephos_db::Error> {
        let Some(child) = child else {
            return Ok(Self::default());
        };
        let policies = properties.get("removal_policies").and_then(Value::as_array);
        let named = policies.is_some_and(|policies| !policies.is_empty());
        let rows = resources::of_stack(db, &child.id).await?;
        let rows: Vec<_> = rows.into_iter().filter(|row| !row.superseded).collect();
        let mut out = Self::default();
        for row in rows.iter().filter(|_| named) {
            if let Some(id) = &row.physical_id {
                out.references.push((id.clone(), row.name.clone()));
            }
            // What refers to a member may be something else than its id.
            if let Ok(fact) = facts::fact(db, row).await {
                let reference = crate::model::function::shown(fact.reference());
                out.references.push((reference, row.name.clone()));
            }
        }
        out.names = rows.into_iter().map(|row| row.name).collect();
        out.names.sort();
        out.names.dedup();
        Ok(out)
    }
}

/// The members of a group; what is no group has none.
async fn members_of(work: &Work<'_>, child: Option<&Stack>) -> Result<Members, Why> {
    let grouped = work.kind.is_some_and(Kind::nested);
    let properties = work.row.changing_to.as_ref();
    let properties = properties.unwrap_or(&work.row.properties);
    Ok(Members::of(work.cx.db(), child.filter(|_| grouped), properties).await?)
}

/// The members that are removed for good. What was noted for this generation of the stack stays so: a member that is
/// gone cannot be referred to any more.
fn removed_of(
    work: &Work<'_>,
    properties: &Map<String, Value>,
    present: Present<'_>,
) -> Vec<String> {
    let noted = work.row.data.get("removed_at").and_then(Value::as_i64);
    if noted == Some(work.stack.generation) {
        return present.removed.to_vec();
    }
    group::removed(properties, present)
}

/// Those that are removed from the group now and were not before: noted before they go, because then they are no
/// members any more, and would come back.
async fn removed_now(work: &Work<'_>, child: Option<&Stack>) -> Result<Option<Vec<String>>, Why> {
    if !work
        .kind
        .is_some_and(|kind| matches!(kind.how, How::ResourceGroup))
    {
        return Ok(None);
    }
    let (members, before) = (members_of(work, child).await?, removed(work.row));
    let present = Present {
        members: &members.names,
        references: &members.references,
        removed: &before,
        size: None,
    };
    let props = work.row.changing_to.as_ref();
    let after = removed_of(work, props.unwrap_or(&work.row.properties), present);
    Ok((after != before).then_some(after))
}

/// What the nested stack is to be made of.
async fn wanted(work: &Work<'_>, child: Option<&Stack>) -> Result<Wanted, Why> {
    let (Some(view), Some(definition)) = (work.view, work.definition) else {
        return Err(Why::Refused(
            "the template does not have the resource any more".to_owned(),
        ));
    };
    let target = target(work)?;
    let properties = work
        .row
        .changing_to
        .as_ref()
        .unwrap_or(&work.row.properties);
    let members = members_of(work, child).await?;
    let before = removed(work.row);
    let size = work.row.data.get("size").and_then(Value::as_i64);
    let refused = |why: crate::model::refusal::Refusal| Why::Refused(why.message);
    let mut present = Present {
        members: &members.names,
        references: &members.references,
        removed: &before,
        size,
    };
    let removed = removed_of(work, properties, present);
    present.removed = &removed;
    let nested = judge::nested(
        &view.scene,
        (&definition.name, &target),
        properties,
        present,
    )
    .map_err(refused)?;
    let nested = nested.ok_or_else(|| Why::Refused("this type has no nested stack".to_owned()))?;
    let files = &work.stack.wanted.files;
    Ok(Wanted {
        files: reachable(&nested.template, &nested.environment, files),
        environment: nested.environment.kept(),
        template: nested.template,
    })
}

/// Whether the nested stack of a resource would be another one than it is.
pub(crate) async fn differs(work: &Work<'_>) -> Result<bool, Why> {
    let child = stacks::find(work.cx.db(), &child_id(&work.row.id)).await?;
    let Some(child) = child else {
        return Ok(true);
    };
    let wanted = wanted(work, Some(&child)).await?;
    let ails = child.status == Status::Failed || ails(work.cx.db(), &child.id).await?;
    Ok(ails || wanted != child.wanted)
}

/// Makes the nested stack what it is to be.
pub(super) async fn ensure(work: &Work<'_>) -> Did {
    if let Some(region) = region_of(work) {
        region::check(region, &work.cx.config.region).map_err(|why| Why::Refused(why.message))?;
    }
    let id = child_id(&work.row.id);
    let seen = || Seen::id(id.0.clone());
    let child = stacks::find(work.cx.db(), &id).await?;
    if let Some(removed) = removed_now(work, child.as_ref()).await? {
        let seen = Seen::default()
            .with("removed", removed)
            .with("removed_at", work.stack.generation);
        return Ok(Outcome::Wait(seen, Duration::ZERO));
    }
    let wanted = wanted(work, child.as_ref()).await?;
    let Some(child) = child else {
        create(work, &id, first_batch(work, wanted)).await?;
        return Ok(Outcome::Wait(
            seen()
                .with("tried", work.stack.generation)
                .with(BATCH_END, Value::Null),
            LOOK,
        ));
    };
    if child.action == Action::Delete {
        return Ok(Outcome::Failed(
            seen(),
            "its nested stack is being deleted".to_owned(),
        ));
    }
    let tried = work.row.data.get("tried").and_then(Value::as_i64) == Some(work.stack.generation);
    let now = members(&child.wanted).map_or(0, Map::len);
    // Whoever changes in batches wants no more room than for one of them: the way back from one that is done makes what
    // was before anew, batch by batch; what the batch that failed has replaced is still there.
    let keeps = pace(work, work.row.action == Action::Create, now).is_none();
    let unwell = unwell(work.cx.db(), &id).await?;
    let next = match paced(work, &child, &wanted, &unwell) {
        Pace::Now(next) => next,
        Pace::Later(wait) => return Ok(Outcome::Wait(Seen::default(), wait)),
        Pace::Ended(wait) => {
            let now = work.cx.now().0;
            return Ok(Outcome::Wait(Seen::default().with(BATCH_END, now), wait));
        }
    };
    let mends = !tried && child.status != Status::InProgress;
    let asked = request::converges(work.op) || child.status == Status::Failed;
    let mends = mends && (asked || ails(work.cx.db(), &id).await?);
    if next != child.wanted || mends {
        update(work, &child, (next, keeps)).await?;
        return Ok(Outcome::Wait(
            seen()
                .with("tried", work.stack.generation)
                .with(BATCH_END, Value::Null),
            LOOK,
        ));
    }
    match child.status {
        Status::InProgress => Ok(Outcome::Wait(Seen::default(), LOOK)),
        Status::Complete if child.wanted == wanted => {
            let kept = keeps_something(work.cx.db(), &child).await?;
            Ok(Outcome::Done(seen().with(KEPT, kept)))
        }
        // The next batch.
        Status::Complete => Ok(Outcome::Wait(Seen::default(), Duration::from_millis(10))),
        Status::Failed => Ok(Outcome::Failed(seen(), child.reason)),
    }
}

async fn create(work: &Work<'_>, id: &StackId, wanted: Wanted) -> Result<(), Why> {
    let parent = work.stack;
    let now = work.cx.now();
    let child = Stack {
        id: id.clone(),
        name: stack::physical_name(&parent.name, &work.row.name, &work.row.id),
        project_id: parent.project_id.clone(),
        user_id: parent.user_id.clone(),
        user_name: parent.user_name.clone(),
        parent_id: Some(parent.id.clone()),
        parent_resource: Some(work.row.name.clone()),
        root_id: parent.root_id.clone(),
        depth: parent.depth + 1,
        action: Action::Create,
        status: Status::InProgress,
        reason: "Stack CREATE started".to_owned(),
        wanted,
        before: None,
        generation: 1,
        disable_rollback: true,
        timeout_mins: work
            .prop("timeout")
            .and_then(Value::as_i64)
            .or(parent.timeout_mins),
        tags: Vec::new(),
        trust_id: None,
        cancel: None,
        facade: facade(work),
        started_at: now,
        created_at: now,
        updated_at: None,
    };
    let scene = facts::scene_of(&child, &child.wanted).map_err(|why| Why::Refused(why.message))?;
    let limit = work.cx.config.max_resources_per_stack;
    let more = i64::try_from(scene.template.resources.len()).unwrap_or(i64::MAX);
    let planned = request::rows_of(&child.id, scene, now).await;
    crash_point!("nested.create");
    let mut tx = work.cx.write("nested").await?;
    let there = stacks::resources_of_root(&mut tx, &parent.root_id).await?;
    if there.saturating_add(more) > limit {
        return Err(Why::Refused(format!(
            "Request limit exceeded: Maximum resources per stack exceeded ({limit})."
        )));
    }
    let asked = request::Asked {
        caller: &work.op.caller,
        request_id: &work.op.request_id,
        now,
        keeps: true,
        converge: false,
    };
    let made = request::create(&mut tx, &asked, &child, &planned).await;
    made.map_err(enqueue_error)?;
    tx.commit().await?;
    crash_point!("nested.created");
    Ok(())
}

async fn update(
    work: &Work<'_>,
    child: &Stack,
    (wanted, keeps): (Wanted, bool),
) -> Result<(), Why> {
    let now = work.cx.now();
    let mut next = child.clone();
    next.wanted = wanted;
    next.facade = facade(work);
    let scene = facts::scene_of(&next, &next.wanted).map_err(|why| Why::Refused(why.message))?;
    let planned = request::rows_of(&child.id, scene, now).await;
    crash_point!("nested.update");
    let mut tx = work.cx.write("nested").await?;
    let rows = resources::of_stack_in(&mut tx, &child.id).await?;
    let asked = request::Asked {
        caller: &work.op.caller,
        request_id: &work.op.request_id,
        now,
        keeps,
        converge: request::converges(work.op),
    };
    request::update(&mut tx, &asked, (child, next), (&planned, &rows))
        .await
        .map_err(enqueue_error)?;
    tx.commit().await?;
    crash_point!("nested.updated");
    Ok(())
}

/// Has the nested stack deleted, and waits until it is gone.
pub(super) async fn remove(work: &Work<'_>) -> Did {
    let Some(child) = stacks::find(work.cx.db(), &child_id(&work.row.id)).await? else {
        return Ok(Outcome::Done(Seen::default()));
    };
    let deleting = child.action == Action::Delete;
    if deleting && child.status == Status::InProgress {
        return Ok(Outcome::Wait(Seen::default(), LOOK));
    }
    let mark = format!("{}", work.op.id);
    let tried = work.row.data.get("deleted_by").and_then(Value::as_str) == Some(mark.as_str());
    if deleting && tried {
        return Ok(Outcome::Failed(Seen::default(), child.reason));
    }
    crash_point!("nested.delete");
    let now = work.cx.now();
    let mut tx = work.cx.write("nested").await?;
    let asked = request::Asked {
        caller: &work.op.caller,
        request_id: &work.op.request_id,
        now,
        keeps: false,
        converge: false,
    };
    request::delete(&mut tx, &asked, &child)
        .await
        .map_err(enqueue_error)?;
    tx.commit().await?;
    crash_point!("nested.deleting");
    Ok(Outcome::Wait(
        Seen::default().with("deleted_by", mark),
        LOOK,
    ))
}

/// Where a resource notes that its nested stack has kept what it does not want any more.
const KEPT: &str = "kept";

/// Whether the nested stack of a resource has kept what it does not want any more, for the way back.
pub(crate) fn has_kept(row: &stack::Resource) -> bool {
    row.data.get(KEPT).and_then(Value::as_bool) == Some(true)
}

async fn keeps_something(db: &Db, child: &Stack) -> Result<bool, nephos_db::Error> {
    let rows = resources::of_stack(db, &child.id).await?;
    let scene = facts::scene_of(child, &child.wanted).ok();
    let wanted = scene.as_ref().and_then(|scene| scene.enabled().ok());
    let wanted = wanted.unwrap_or_default();
    let unwanted = |row: &stack::Resource| {
        row.superseded || !wanted.iter().any(|definition| definition.name == row.name)
    };
    Ok(rows.iter().any(|row| unwanted(row) || has_kept(row)))
}

/// Has the nested stack let go of what it has kept.
pub(crate) async fn clear(work: &Work<'_>) -> Did {
    let done = || Ok(Outcome::Done(Seen::default().with(KEPT, false)));
    let Some(child) = stacks::find(work.cx.db(), &child_id(&work.row.id)).await? else {
        return done();
    };
    if child.status == Status::InProgress {
        return Ok(Outcome::Wait(Seen::default(), LOOK));
    }
    let mark = format!("{}:{}", work.op.id, work.stack.generation);
    if work.row.data.get("cleared_by").and_then(Value::as_str) == Some(mark.as_str()) {
        return match child.status {
            Status::Failed => Ok(Outcome::Failed(Seen::default(), child.reason)),
            Status::Complete | Status::InProgress => done(),
        };
    }
    crash_point!("nested.clear");
    let mut tx = work.cx.write("nested").await?;
    let asked = request::Asked {
        caller: &work.op.caller,
        request_id: &work.op.request_id,
        now: work.cx.now(),
        keeps: false,
        converge: false,
    };
    request::clear(&mut tx, &asked, &child)
        .await
        .map_err(enqueue_error)?;
    tx.commit().await?;
    crash_point!("nested.clearing");
    Ok(Outcome::Wait(
        Seen::default().with("cleared_by", mark),
        LOOK,
    ))
}

/// Has the nested stack checked, suspended or resumed as this one is.
pub(super) async fn sweep(work: &Work<'_>) -> Did {
    let Some(child) = stacks::find(work.cx.db(), &child_id(&work.row.id)).await? else {
        return Ok(Outcome::Failed(
            Seen::default(),
            "its nested stack is not there any more".to_owned(),
        ));
    };
    let mark = format!("{}", work.op.id);
    let asked_for = work.row.data.get("swept_by").and_then(Value::as_str) == Some(mark.as_str());
    if child.status == Status::InProgress {
        return Ok(Outcome::Wait(Seen::default(), LOOK));
    }
    if asked_for {
        return Ok(match child.status {
            Status::Failed => Outcome::Failed(Seen::default(), child.reason),
            Status::Complete | Status::InProgress => Outcome::Done(Seen::default()),
        });
    }
    let now = work.cx.now();
    let mut tx = work.cx.write("nested").await?;
    let asked = request::Asked {
        caller: &work.op.caller,
        request_id: &work.op.request_id,
        now,
        keeps: false,
        converge: false,
    };
    request::sweep(&mut tx, &asked, &child, work.stack.action)
        .await
        .map_err(enqueue_error)?;
    tx.commit().await?;
    Ok(Outcome::Wait(Seen::default().with("swept_by", mark), LOOK))
}

fn enqueue_error(error: nephos_ops::EnqueueError) -> Why {
    match error {
        nephos_ops::EnqueueError::Db(why) => why.into(),
        nephos_ops::EnqueueError::Busy { kind } => Why::Later(format!("{kind} is under way")),
        nephos_ops::EnqueueError::Store(why) => Why::Refused(why.to_string()),
    }
}

/// Whether a resource of this type is a stack of its own.
pub(crate) fn is_nested(target: &str, kind: Option<&Kind>) -> bool {
    is_file(target) || kind.is_some_and(Kind::nested)
}

/// What the nested template may ask of its resource.
fn facade(work: &Work<'_>) -> Value {
    let both = work.definition.zip(work.view);
    both.map(|(definition, view)| judge::facade(&view.scene, definition))
        .unwrap_or_default()
}
