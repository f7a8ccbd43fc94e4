//! Checks, suspends or resumes every resource of a stack as it is.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use nephos_db::Tx;
use nephos_ops::{Failure, Next, OpCx, Operation, Reconcile, StepError};
use nephos_runtime::crash_point;

use super::AT_ONCE;
use super::converge::{give_up, gives_up_at, in_time, trust_of};
use super::ending::tell_parent;
use super::facts::{self, ViewError};
use super::ground::{Ground, When, apply, soonest};
use super::resource;
use crate::Svc;
use crate::model::stack::{Action, Resource, Stack, StackId, Status};
use crate::store::{events, stacks};

/// Checks, suspends or resumes a stack.
pub(crate) struct Sweep;

impl Reconcile<Svc> for Sweep {
    const KIND: &'static str = "stack.sweep";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = StackId::from(op.resource_id.as_str());
        let Some(stack) = stacks::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let view = match facts::view(cx.db(), &stack).await {
            Ok(view) => view,
            Err(ViewError::Refused(why)) => return Ok(Next::Fail(Failure::new(why.message))),
            Err(ViewError::Db(why)) => return Err(why.into()),
        };
        let rows: Vec<&Resource> = view
            .resources
            .iter()
            .filter(|row| !row.superseded && row.action != Action::Init)
            .collect();
        let late = cx.now() > gives_up_at(&stack, cx);
        if late {
            return Ok(Next::Fail(Failure::new(format!(
                "{} timed out",
                stack.action.word()
            ))));
        }
        // What could not be made or changed can be looked at, but neither suspended nor resumed.
        let unfit = |row: &Resource| stack.action != Action::Check && row.unfinished().is_some();
        let ended =
            |row: &Resource| unfit(row) || (swept(row, op) && row.status != Status::InProgress);
        let open: Vec<&&Resource> = rows.iter().filter(|row| !ended(row)).collect();
        let failed: Vec<String> = rows
            .iter()
            .filter(|row| ended(row) && (unfit(row) || row.status == Status::Failed))
            .map(|row| why(&stack, row))
            .collect();
        // A check looks at everything; the others end where one fails.
        let stop = !failed.is_empty() && stack.action != Action::Check;
        if open.is_empty() || stop {
            return end(cx, &stack, &failed).await;
        }
        // Suspended in the order of deletion, resumed in the order of creation, checked all at once.
        let free = |row: &&&Resource| match stack.action {
            Action::Suspend => !open.iter().any(|other| other.requires.contains(&row.name)),
            Action::Resume => !open.iter().any(|other| row.requires.contains(&other.name)),
            _check => true,
        };
        let ready: Vec<&Resource> = open
            .iter()
            .filter(|row| free(row))
            .map(|row| **row)
            .collect();
        let trust = trust_of(cx, &stack).await?;
        let ground = Ground {
            cx,
            op,
            stack: &stack,
            view: &view,
            trust: trust.as_deref(),
        };
        let mut work: Vec<BoxFuture<'_, Result<When, StepError>>> = Vec::with_capacity(ready.len());
        for row in ready {
            work.push(one(&ground, row).boxed());
        }
        let came = futures_util::stream::iter(work)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        Ok(in_time(soonest(came)?, &stack, cx))
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        give_up(
            cx,
            tx,
            &StackId::from(op.resource_id.as_str()),
            &failure.message,
        )
        .await
    }
}

/// Whether this operation has begun with the resource.
fn swept(row: &Resource, op: &Operation) -> bool {
    row.data.get("sweep").and_then(|by| by.as_str()) == Some(op.id.as_str())
}

async fn one(ground: &Ground<'_>, row: &Resource) -> Result<When, StepError> {
    let mut row = row.clone();
    if !swept(&row, ground.op) {
        row.note_unfinished();
        (row.action, row.status, row.reason) = (
            ground.stack.action,
            Status::InProgress,
            "state changed".to_owned(),
        );
        row.data
            .insert("sweep".to_owned(), ground.op.id.as_str().into());
        row.data.remove("tries");
        crash_point!("sweep.begin");
        ground.save("sweep", &row, true).await?;
        crash_point!("sweep.begun");
    }
    let work = ground.work(&row, None, false);
    let did = match ground.stack.action {
        Action::Suspend => resource::pause(&work, true).await,
        Action::Resume => resource::pause(&work, false).await,
        _check => resource::check(&work).await,
    };
    apply(ground, &row, did).await
}

/// What is wrong with a resource.
fn why(stack: &Stack, row: &Resource) -> String {
    let (name, reason) = (&row.name, &row.reason);
    if stack.action == Action::Check {
        return format!("resources.{name}: {reason}");
    }
    match row.unfinished() {
        Some((action, reason)) => format!(
            "resources.{name}: State {}_FAILED invalid for {}: {reason}",
            action.word(),
            stack.action.word().to_ascii_lowercase()
        ),
        None => format!("resources.{name}: {reason}"),
    }
}

async fn end(cx: &OpCx<Svc>, stack: &Stack, failed: &[String]) -> Result<Next, StepError> {
    let mut stack = stack.clone();
    if failed.is_empty() {
        stack.status = Status::Complete;
        stack.reason = format!("Stack {} completed successfully", stack.action.word());
    } else {
        if stack.action != Action::Check {
            return Ok(Next::Fail(Failure::new(format!(
                "Resource {} failed: {}",
                stack.action.word(),
                failed.join("; ")
            ))));
        }
        stack.status = Status::Failed;
        stack.reason = format!("Resource CHECK failed: {}", failed.join("; "));
    }
    let mut tx = cx.finish("swept").await?;
    stacks::set_state(
        &mut tx,
        &stack.id,
        (stack.action, stack.status),
        &stack.reason,
    )
    .await?;
    events::of_stack(&mut tx, &stack, cx.now()).await?;
    tell_parent(cx, &mut tx, &stack).await?;
    tx.commit().await?;
    crash_point!("sweep.ended");
    Ok(Next::Done)
}
