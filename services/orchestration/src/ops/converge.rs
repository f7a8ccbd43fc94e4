//! Brings a stack to what is wanted of it: look at every resource, work on those that can be worked on, come back.
//!
//! First what the template has, each resource after those that it needs; then what nobody wants any more, each after
//! those that needed it. Making a stack, updating it and going back are the same.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use nephos_db::Tx;
use nephos_ops::{Failure, Next, OpCx, Operation, Reconcile, StepError};
use nephos_types::Timestamp;

use super::discard::{clear, discard};
use super::ending::{abort, complete, fail, tell_parent};
use super::facts::{self, View, ViewError};
use super::ground::{Ground, When, soonest};
use super::make::make;
use super::renew::renew;
use super::resource::nested;
use super::{AT_ONCE, back, refuse, request};
use crate::Svc;
use crate::model::earlier::{holds_ports, stands};
use crate::model::function::Trouble;
use crate::model::stack::{Action, Resource, Stack, StackId, Status};
use crate::model::template::Definition;
use crate::store::{events, resources, stacks};

/// Brings a stack to what is wanted of it.
pub(crate) struct Converge;

impl Reconcile<Svc> for Converge {
    const KIND: &'static str = "stack.converge";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = StackId::from(op.resource_id.as_str());
        let Some(stack) = stacks::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let rows = resources::of_stack(cx.db(), &id).await?;
        if let Some(how) = &stack.cancel {
            let reason = format!("Stack {} cancelled", stack.action.word());
            return fail(cx, &stack, &rows, (&reason, Some(how.as_str()))).await;
        }
        if cx.now() > gives_up_at(&stack, cx) {
            let reason = format!("{} timed out", title(stack.action));
            return fail(cx, &stack, &rows, (&reason, None)).await;
        }
        let failed = rows
            .iter()
            .find(|row| row.status == Status::Failed && row.generation == stack.generation);
        if let Some(failed) = failed {
            let verb = if failed.action == Action::Delete {
                "DELETE"
            } else {
                failed.action.word()
            };
            let reason = format!(
                "Resource {verb} failed: resources.{}: {}",
                failed.name, failed.reason
            );
            return fail(cx, &stack, &rows, (&reason, None)).await;
        }
        if let Some((name, why)) = refuse::found(&rows, stack.generation) {
            let reason = format!("Resource UPDATE failed: resources.{name}: {why}");
            return fail(cx, &stack, &rows, (&reason, None)).await;
        }
        let view = match facts::view_of(cx.db(), &stack, rows.clone()).await {
            Ok(view) => view,
            Err(ViewError::Refused(why)) => {
                return fail(cx, &stack, &rows, (&why.message, None)).await;
            }
            Err(ViewError::Db(why)) => return Err(why.into()),
        };
        advance(cx, op, &stack, &view).await
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = StackId::from(op.resource_id.as_str());
        give_up(cx, tx, &id, &failure.message).await
    }
}

fn title(action: Action) -> &'static str {
    match action {
        Action::Create => "Create",
        Action::Update => "Update",
        Action::Rollback => "Rollback",
        Action::Init | Action::Delete | Action::Suspend | Action::Resume | Action::Check => {
            "Action"
        }
    }
}

/// The end of an operation that nothing else could end: whatever is in progress has failed.
pub(super) async fn give_up(
    cx: &OpCx<Svc>,
    tx: &mut Tx,
    id: &StackId,
    reason: &str,
) -> Result<(), nephos_db::Error> {
    let Some(mut stack) = stacks::find_in(tx, id).await? else {
        return Ok(());
    };
    let rows = resources::of_stack_in(tx, id).await?;
    abort(cx, tx, &stack, &rows).await?;
    (stack.status, stack.reason) = (Status::Failed, reason.to_owned());
    stacks::set_state(tx, id, (stack.action, Status::Failed), reason).await?;
    events::of_stack(tx, &stack, cx.now()).await?;
    tell_parent(cx, tx, &stack).await
}

/// What is next: things to make or change, or else things to remove.
enum Job<'a> {
    Make(&'a Definition),
    Release(&'a Resource),
    Remove(&'a Resource),
    /// A nested stack is to let go of what it has kept for the way back.
    Clear(&'a Resource),
}

/// `keeps` says that what nobody wants stays for now, until the stack around this one is done, too.
fn jobs<'a>(stack: &Stack, view: &'a View, keeps: bool) -> Result<Vec<Job<'a>>, Trouble> {
    let enabled = view.scene.enabled()?;
    let settled = |name: &str| {
        view.current(name)
            .is_some_and(|row| is_settled(row, stack.generation))
    };
    // Every look takes as long as there are resources: nothing here looks at each for each.
    let superseded: Vec<&Resource> = view.resources.iter().filter(|row| row.superseded).collect();
    let mut open = 0_usize;
    let mut jobs = Vec::new();
    for definition in &enabled {
        if settled(&definition.name) {
            continue;
        }
        open += 1;
        // What holds ports lets go of them before another one takes its place.
        let before = superseded.iter().filter(|row| row.name == definition.name);
        if let Some(row) = before.copied().find(|row| holds_ports(row)) {
            jobs.push(if stands(row) {
                Job::Release(row)
            } else {
                Job::Remove(row)
            });
            continue;
        }
        let needs = view.needs.get(&definition.name);
        if needs.into_iter().flatten().all(|name| settled(name)) {
            jobs.push(Job::Make(definition));
        }
    }
    if open > 0 {
        return Ok(jobs);
    }
    if keeps {
        return Ok(jobs);
    }
    let wanted: HashSet<&str> = enabled.iter().map(|found| found.name.as_str()).collect();
    let unwanted: Vec<&Resource> = view
        .resources
        .iter()
        .filter(|row| row.superseded || !wanted.contains(row.name.as_str()))
        .collect();
    let needed: HashSet<&String> = unwanted.iter().flat_map(|row| &row.requires).collect();
    let free = |row: &&&Resource| !needed.contains(&row.name);
    let mut leaving: Vec<&Resource> = unwanted.iter().filter(free).copied().collect();
    // Of two templates, the one may need in this order and the other in that.
    if leaving.is_empty() {
        leaving.clone_from(&unwanted);
    }
    let mut jobs: Vec<Job<'_>> = leaving.into_iter().map(Job::Remove).collect();
    let kept = |row: &&Resource| !row.superseded && nested::has_kept(row);
    jobs.extend(view.resources.iter().filter(kept).map(Job::Clear));
    Ok(jobs)
}

fn is_settled(row: &Resource, generation: i64) -> bool {
    row.generation == generation
        && row.status == Status::Complete
        && !matches!(row.action, Action::Init | Action::Delete)
}

async fn advance(
    cx: &OpCx<Svc>,
    op: &Operation,
    stack: &Stack,
    view: &View,
) -> Result<Next, StepError> {
    let jobs = match jobs(stack, view, request::keeps(op)) {
        Ok(jobs) => jobs,
        Err(why) => return fail(cx, stack, &view.resources, (&why.to_string(), None)).await,
    };
    let trust = trust_of(cx, stack).await?;
    let ground = Ground {
        cx,
        op,
        stack,
        view,
        trust: trust.as_deref(),
    };
    if jobs.is_empty() {
        renew(&ground).await?;
        return complete(cx, stack).await;
    }
    let mut work: Vec<BoxFuture<'_, Result<When, StepError>>> = Vec::with_capacity(jobs.len());
    for job in jobs {
        work.push(match job {
            Job::Make(definition) => make(&ground, definition).boxed(),
            Job::Release(row) => back::release(&ground, row).boxed(),
            Job::Remove(row) => discard(&ground, row).boxed(),
            Job::Clear(row) => clear(&ground, row).boxed(),
        });
    }
    let came = futures_util::stream::iter(work)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    Ok(in_time(soonest(came)?, stack, cx))
}

/// When an action on a stack is given up.
pub(super) fn gives_up_at(stack: &Stack, cx: &OpCx<Svc>) -> Timestamp {
    let limit = stack.timeout_mins.unwrap_or(cx.config.action_timeout_mins);
    stack.started_at.plus_secs(limit.saturating_mul(60))
}

/// Not later than when it is given up.
pub(super) fn in_time(next: Next, stack: &Stack, cx: &OpCx<Svc>) -> Next {
    let Next::After(wait) = next else {
        return next;
    };
    let left = gives_up_at(stack, cx)
        .plus_secs(1)
        .0
        .saturating_sub(cx.now().0);
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0).max(1));
    Next::After(wait.min(left))
}

/// The trust of the outermost stack.
pub(super) async fn trust_of(cx: &OpCx<Svc>, stack: &Stack) -> Result<Option<String>, StepError> {
    if stack.parent_id.is_none() {
        return Ok(stack.trust_id.clone());
    }
    let root = stacks::find(cx.db(), &stack.root_id).await?;
    Ok(root.and_then(|root| root.trust_id))
}
