//! Removes a stack: its resources, each after those that needed it, then what it was lent, then itself.

use std::collections::HashSet;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use nephos_db::Tx;
use nephos_ops::{Failure, Next, OpCx, Operation, Reconcile, StepError};
use nephos_runtime::crash_point;
use tracing::{info, warn};

use super::AT_ONCE;
use super::converge::{give_up, gives_up_at, in_time, trust_of};
use super::ending::tell_parent;
use super::facts::View;
use super::ground::{When, held_up, soonest};
use super::resource::{self, Outcome, Why, Work};
use crate::Svc;
use crate::model::environment::Environment;
use crate::model::environment::Hook;
use crate::model::kind;
use crate::model::stack::{Action, Resource, Stack, StackId, Status};
use crate::store::{events, resources, stacks};

/// Removes a stack.
pub(crate) struct Remove;

impl Reconcile<Svc> for Remove {
    const KIND: &'static str = "stack.remove";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = StackId::from(op.resource_id.as_str());
        let Some(stack) = stacks::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let rows = resources::of_stack(cx.db(), &id).await?;
        if rows.is_empty() {
            return finish(cx, &stack).await;
        }
        let late = cx.now() > gives_up_at(&stack, cx);
        let failed: Vec<&Resource> = rows.iter().filter(|row| is_failed(row, op)).collect();
        let needed: HashSet<&String> = rows.iter().flat_map(|row| &row.requires).collect();
        let free = |row: &&Resource| !is_failed(row, op) && !needed.contains(&row.name);
        let ready: Vec<&Resource> = rows.iter().filter(free).collect();
        if late || ready.is_empty() {
            let reason = match failed.first() {
                _ if late => timed_out(&rows),
                Some(row) => format!(
                    "Resource DELETE failed: resources.{}: {}",
                    row.name, row.reason
                ),
                None => "Its resources need each other in a circle.".to_owned(),
            };
            return Ok(Next::Fail(Failure::new(reason)));
        }
        let environment = Environment::recall(&stack.wanted.environment).unwrap_or_default();
        let trust = trust_of(cx, &stack).await?;
        let mut work: Vec<BoxFuture<'_, Result<When, StepError>>> = Vec::with_capacity(ready.len());
        for row in ready {
            let around = (&stack, &environment, trust.as_deref());
            work.push(discard(cx, op, around, row).boxed());
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

/// What a removal that took too long says: what held it up, too.
fn timed_out(rows: &[Resource]) -> String {
    let under_way = |row: &&Resource| row.action == Action::Delete && row.reason != "state changed";
    match rows.iter().find(under_way) {
        Some(row) => format!("Delete timed out: resources.{}: {}", row.name, row.reason),
        None => "Delete timed out".to_owned(),
    }
}

/// Whether this operation has failed to remove it; an earlier one's failure does not count.
fn is_failed(row: &Resource, op: &Operation) -> bool {
    row.action == Action::Delete
        && row.status == Status::Failed
        && row.data.get("removing").and_then(|by| by.as_str()) == Some(op.id.as_str())
}

async fn discard(
    cx: &OpCx<Svc>,
    op: &Operation,
    (stack, environment, trust): (&Stack, &Environment, Option<&str>),
    row: &Resource,
) -> Result<When, StepError> {
    let mut row = row.clone();
    let begun = row.action == Action::Delete
        && row.status == Status::InProgress
        && row.data.get("removing").and_then(|by| by.as_str()) == Some(op.id.as_str());
    if !begun {
        let hook = Hook::PreDelete;
        if environment.holds(&row.name, hook) && row.cleared.as_deref() != Some(hook.word()) {
            if row.held.as_deref() != Some(hook.word()) {
                row.held = Some(hook.word().to_owned());
                let mut tx = cx.write("hook").await?;
                resources::update(&mut tx, &row, cx.now()).await?;
                row.reason = format!("DELETE paused until Hook {} is cleared", hook.word());
                events::of_resource(&mut tx, &row, cx.now()).await?;
                tx.commit().await?;
            }
            return Ok(When::After(std::time::Duration::from_secs(60)));
        }
        (row.action, row.status, row.reason) = (
            Action::Delete,
            Status::InProgress,
            "state changed".to_owned(),
        );
        row.held = None;
        row.data
            .insert("removing".to_owned(), op.id.as_str().into());
        row.data.remove("tries");
        crash_point!("remove.discard");
        save(cx, "discard", &row, true).await?;
        crash_point!("remove.discarding");
    }
    let work = Work {
        cx,
        op,
        stack,
        trust,
        row: &row,
        kind: kind::find(&row.target),
        definition: None,
        view: None::<&View>,
        fresh: false,
    };
    let did = resource::remove(&work).await;
    crash_point!("remove.did");
    match did {
        Ok(Outcome::Done(_)) => {
            (row.status, row.reason) = (Status::Complete, "state changed".to_owned());
            let mut tx = cx.write("removed").await?;
            events::of_resource(&mut tx, &row, cx.now()).await?;
            resources::remove(&mut tx, &row.id).await?;
            tx.commit().await?;
            crash_point!("remove.removed");
            Ok(When::Now)
        }
        Ok(Outcome::Wait(seen, wait)) => {
            let why = held_up(&row, &seen);
            let mut news = why.is_some();
            row.reason = why.unwrap_or(row.reason);
            for (name, value) in seen.data {
                news |= row.data.insert(name, value.clone()) != Some(value);
            }
            if news {
                save(cx, "note", &row, false).await?;
            }
            Ok(if wait.is_zero() {
                When::Now
            } else {
                When::After(wait)
            })
        }
        Ok(Outcome::Failed(_, why)) | Err(Why::Refused(why)) => {
            (row.status, row.reason) = (Status::Failed, why);
            save(cx, "failed", &row, true).await?;
            Ok(When::Now)
        }
        Err(Why::Later(why)) => {
            let tries = row
                .data
                .get("tries")
                .and_then(serde_json::Value::as_i64)
                .unwrap_or(0)
                + 1;
            row.data.insert("tries".to_owned(), tries.into());
            row.reason = format!("tried {tries} times, is tried again: {why}");
            if tries > 12 {
                (row.status, row.reason) = (Status::Failed, format!("{why} (tried {tries} times)"));
            }
            save(cx, "again", &row, false).await?;
            Ok(When::After(std::time::Duration::from_secs(
                1 << tries.clamp(0, 5),
            )))
        }
        Err(Why::Step(why)) => Err(why),
    }
}

async fn save(
    cx: &OpCx<Svc>,
    step: &'static str,
    row: &Resource,
    event: bool,
) -> Result<(), StepError> {
    let mut tx = cx.write(step).await?;
    resources::update(&mut tx, row, cx.now()).await?;
    if event {
        events::of_resource(&mut tx, row, cx.now()).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn finish(cx: &OpCx<Svc>, stack: &Stack) -> Result<Next, StepError> {
    if let Some(trust) = &stack.trust_id {
        crash_point!("remove.give_back");
        if let Err(why) = cx.siblings.give_back(trust).await {
            if why.is_transient() {
                return Err(StepError::Transient(why.to_string()));
            }
            warn!(stack = %stack.id, %why, "a trust cannot be given back; its user can delete it");
        }
    }
    crash_point!("remove.finish");
    let mut tx = cx.finish("gone").await?;
    stacks::remove(&mut tx, &stack.id).await?;
    tell_parent(cx, &mut tx, stack).await?;
    tx.commit().await?;
    crash_point!("remove.finished");
    info!(stack = %stack.id, "stack deleted");
    Ok(Next::Done)
}
