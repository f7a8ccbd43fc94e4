//! What the work on one resource stands on, and how its outcome is written.

use std::collections::BTreeSet;
use std::time::Duration;

use nephos_ops::{Next, OpCx, Operation, StepError};
use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::facts::View;
use super::request;
use super::resource::{self, Outcome, Seen, Why, Work};
use crate::Svc;
use crate::model::environment::Hook;
use crate::model::kind;
use crate::model::stack::{Action, Resource, Stack, Status};
use crate::model::template::Definition;
use crate::store::{events, resources};

/// A resource that cannot be worked on for a reason that may pass is given up after so many tries.
pub(super) const MAX_TRIES: i64 = 12;

/// When to look at a resource again.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Now,
    After(Duration),
}

/// The soonest of several; the first error counts.
pub(super) fn soonest(came: Vec<Result<When, StepError>>) -> Result<Next, StepError> {
    let mut next = None;
    for when in came {
        let wait = match when? {
            When::Now => Duration::ZERO,
            When::After(wait) => wait,
        };
        next = Some(next.map_or(wait, |known: Duration| known.min(wait)));
    }
    Ok(match next {
        Some(wait) if wait.is_zero() => Next::Again,
        Some(wait) => Next::After(wait),
        None => Next::Again,
    })
}

/// What the work on one resource stands on.
pub(super) struct Ground<'a> {
    pub cx: &'a OpCx<Svc>,
    pub op: &'a Operation,
    pub stack: &'a Stack,
    pub view: &'a View,
    pub trust: Option<&'a str>,
}

impl<'a> Ground<'a> {
    pub fn work<'b>(
        &'b self,
        row: &'b Resource,
        definition: Option<&'b Definition>,
        fresh: bool,
    ) -> Work<'b> {
        Work {
            cx: self.cx,
            op: self.op,
            stack: self.stack,
            trust: self.trust,
            row,
            kind: kind::find(&row.target),
            definition,
            view: Some(self.view),
            fresh,
        }
    }

    /// The resources that this one needs.
    pub fn requires(&self, definition: &Definition) -> BTreeSet<String> {
        self.view
            .needs
            .get(&definition.name)
            .cloned()
            .unwrap_or_default()
    }

    /// A new making of a resource.
    pub fn planned(&self, definition: &Definition) -> Resource {
        let whole = (definition, self.requires(definition));
        request::planned(&self.stack.id, &self.view.scene, whole, self.cx.now())
    }

    /// Writes a resource, with an event if its state is another one.
    pub async fn save(
        &self,
        step: &'static str,
        row: &Resource,
        event: bool,
    ) -> Result<(), StepError> {
        let mut tx = self.cx.write(step).await?;
        resources::update(&mut tx, row, self.cx.now()).await?;
        if event {
            events::of_resource(&mut tx, row, self.cx.now()).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Holds a resource at a hook until somebody lets go of it; false when there is nothing to hold it.
    pub async fn held(&self, row: &Resource, hook: Hook) -> Result<bool, StepError> {
        let cleared = row.cleared.as_deref() == Some(hook.word());
        if cleared || !self.view.scene.environment.holds(&row.name, hook) {
            return Ok(false);
        }
        if row.held.as_deref() != Some(hook.word()) {
            let mut held = row.clone();
            held.held = Some(hook.word().to_owned());
            let mut tx = self.cx.write("hook").await?;
            resources::update(&mut tx, &held, self.cx.now()).await?;
            held.reason = format!(
                "{} paused until Hook {} is cleared",
                self.stack.action.word(),
                hook.word()
            );
            events::of_resource(&mut tx, &held, self.cx.now()).await?;
            tx.commit().await?;
        }
        Ok(true)
    }
}

/// Writes what a verb has come to.
pub(super) async fn apply(
    ground: &Ground<'_>,
    row: &Resource,
    did: resource::Did,
) -> Result<When, StepError> {
    crash_point!("stack.did");
    let mut row = row.clone();
    let outcome = match did {
        Ok(outcome) => outcome,
        Err(Why::Step(why)) => return Err(why),
        Err(Why::Refused(why)) => Outcome::Failed(Seen::default(), why),
        Err(Why::Later(why)) => {
            let tries = row.data.get("tries").and_then(Value::as_i64).unwrap_or(0) + 1;
            row.data.insert("tries".to_owned(), json!(tries));
            if tries > MAX_TRIES {
                Outcome::Failed(Seen::default(), format!("{why} (tried {tries} times)"))
            } else {
                row.reason = format!("tried {tries} times, is tried again: {why}");
                ground.save("again", &row, false).await?;
                let wait = Duration::from_secs(1_u64 << u32::try_from(tries).unwrap_or(5).min(5));
                return Ok(When::After(wait));
            }
        }
    };
    let (seen, end) = match outcome {
        Outcome::Done(seen) => (seen, Some(Ok(()))),
        Outcome::Failed(seen, why) => (seen, Some(Err(why))),
        Outcome::Wait(seen, wait) => {
            let why = held_up(&row, &seen);
            let news = why.is_some();
            row.reason = why.unwrap_or(row.reason);
            if note(&mut row, seen) || news {
                ground.save("note", &row, false).await?;
                crash_point!("stack.noted");
            }
            return Ok(if wait.is_zero() {
                When::Now
            } else {
                When::After(wait)
            });
        }
    };
    note(&mut row, seen);
    match end {
        Some(Err(why)) => (row.status, row.reason) = (Status::Failed, why),
        _done => {
            // Whoever only looked has changed nothing.
            if matches!(row.action, Action::Create | Action::Update) {
                row.finished();
                if let Some(properties) = row.changing_to.take() {
                    row.properties = properties;
                }
            }
            row.well();
            row.cleared = None;
            row.data.remove("tries");
        }
    }
    ground.save("end", &row, true).await?;
    crash_point!("stack.ended");
    Ok(When::Now)
}

/// What holds up a removal, if that is news: it shows for as long as it does.
pub(super) fn held_up(row: &Resource, seen: &Seen) -> Option<String> {
    let blocked = seen.data.get("blocked")?.as_str()?;
    let why = format!("cannot be removed yet: {blocked}");
    (row.action == Action::Delete && row.reason != why).then_some(why)
}

/// Takes over what was seen; whether that is anything new.
pub(super) fn note(row: &mut Resource, seen: Seen) -> bool {
    let mut news = false;
    if seen.physical_id.is_some() && seen.physical_id != row.physical_id {
        row.physical_id = seen.physical_id;
        news = true;
    }
    if let Some(observed) = seen.observed
        && observed != row.observed
    {
        row.observed = observed;
        news = true;
    }
    for (name, value) in seen.data {
        if row.data.get(&name) != Some(&value) {
            row.data.insert(name, value);
            news = true;
        }
    }
    news
}
