//! How the work on a stack ends: all as wanted, something went wrong for good, or back to what was before.

use nephos_db::Tx;
use nephos_ops::{Next, OpCx, StepError, nudge};
use nephos_runtime::crash_point;
use serde_json::json;
use tracing::info;

use super::TOPIC;
use crate::Svc;
use crate::model::stack::{Action, Resource, Stack, Status, Wanted};
use crate::model::template::Template;
use crate::store::{events, resources, software, stacks};

/// Everything is as it is wanted.
pub(super) async fn complete(cx: &OpCx<Svc>, stack: &Stack) -> Result<Next, StepError> {
    let mut stack = stack.clone();
    stack.status = Status::Complete;
    stack.reason = format!("Stack {} completed successfully", stack.action.word());
    crash_point!("stack.complete");
    let mut tx = cx.finish("complete").await?;
    stacks::set_state(
        &mut tx,
        &stack.id,
        (stack.action, Status::Complete),
        &stack.reason,
    )
    .await?;
    events::of_stack(&mut tx, &stack, cx.now()).await?;
    tell_parent(cx, &mut tx, &stack).await?;
    tx.commit().await?;
    crash_point!("stack.completed");
    info!(stack = %stack.id, action = stack.action.word(), "stack complete");
    Ok(Next::Done)
}

/// The stack that this one is a resource of looks at once.
pub(super) async fn tell_parent(
    cx: &OpCx<Svc>,
    tx: &mut Tx,
    stack: &Stack,
) -> Result<(), nephos_db::Error> {
    match &stack.parent_id {
        Some(parent) => nudge(tx, cx.now(), TOPIC, parent.as_str())
            .await
            .map(|_told| ()),
        None => Ok(()),
    }
}

/// What is in progress in a stack that has failed is in progress no more.
pub(super) async fn abort(
    cx: &OpCx<Svc>,
    tx: &mut Tx,
    stack: &Stack,
    rows: &[Resource],
) -> Result<(), nephos_db::Error> {
    for row in rows
        .iter()
        .filter(|row| row.status == Status::InProgress || row.held.is_some())
    {
        let mut row = row.clone();
        row.held = None;
        row.cleared = None;
        if row.status == Status::InProgress {
            (row.status, row.reason) = (Status::Failed, format!("{} aborted", row.action.word()));
            software::fail_waiting(tx, row.id.as_str(), "Deployment cancelled.").await?;
            if let Some(child) = row.nested_id()
                && stacks::set_cancel(tx, &child, "stop").await?
            {
                nudge(tx, cx.now(), TOPIC, child.as_str()).await?;
            }
            events::of_resource(tx, &row, cx.now()).await?;
        }
        resources::update(tx, &row, cx.now()).await?;
    }
    debug_assert!(rows.iter().all(|row| row.stack_id == stack.id));
    Ok(())
}

/// Something went wrong for good: back to what was before, if that is wanted, else the end.
pub(super) async fn fail(
    cx: &OpCx<Svc>,
    stack: &Stack,
    rows: &[Resource],
    (reason, cancel): (&str, Option<&str>),
) -> Result<Next, StepError> {
    let goes_back = match cancel {
        Some("rollback") => true,
        Some(_stop) => false,
        None => !stack.disable_rollback,
    };
    let can = matches!(stack.action, Action::Create | Action::Update) && stack.parent_id.is_none();
    let mut stack = stack.clone();
    (stack.status, stack.reason) = (Status::Failed, reason.to_owned());
    crash_point!("stack.fail");
    if goes_back && can {
        return roll_back(cx, stack, rows).await;
    }
    let mut tx = cx.finish("failed").await?;
    abort(cx, &mut tx, &stack, rows).await?;
    stacks::set_state(&mut tx, &stack.id, (stack.action, Status::Failed), reason).await?;
    events::of_stack(&mut tx, &stack, cx.now()).await?;
    tell_parent(cx, &mut tx, &stack).await?;
    tx.commit().await?;
    crash_point!("stack.failed");
    info!(stack = %stack.id, action = stack.action.word(), "stack failed");
    Ok(Next::Done)
}

/// The same operation goes on to what was before.
async fn roll_back(cx: &OpCx<Svc>, mut stack: Stack, rows: &[Resource]) -> Result<Next, StepError> {
    let before = if stack.action == Action::Create {
        None
    } else {
        stack.before.take()
    };
    let nothing = || Wanted {
        template: Template::empty(),
        environment: json!({}),
        files: std::collections::BTreeMap::new(),
    };
    let reason = std::mem::take(&mut stack.reason);
    let mut tx = cx.write("roll_back").await?;
    abort(cx, &mut tx, &stack, rows).await?;
    stack.reason.clone_from(&reason);
    events::of_stack(&mut tx, &stack, cx.now()).await?;
    stack.wanted = before.unwrap_or_else(nothing);
    stack.action = Action::Rollback;
    stack.status = Status::InProgress;
    stack.reason = format!("Stack ROLLBACK started: {reason}");
    stack.generation += 1;
    stacks::want(&mut tx, &stack, cx.now()).await?;
    events::of_stack(&mut tx, &stack, cx.now()).await?;
    tx.commit().await?;
    crash_point!("stack.rolling_back");
    Ok(Next::Again)
}
