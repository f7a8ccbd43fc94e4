//! Groups that are made or changed in batches: what their nested stack is to be meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use nephos_types::Timestamp;
use serde_json::{Map, Value};

use super::Work;
use crate::model::group::{self, Rolling};
use crate::model::kind::How;
use crate::model::stack::{Action, Stack, Status, Wanted};

pub(super) enum Pace {
    Now(Wanted),
    Later(Duration),
    /// A batch has just come to its end.
    Ended(Duration),
}

/// Where a group notes when its last batch came to its end; nothing while one is under way.
pub(super) const BATCH_END: &str = "batch_end";

/// The way in which a group wants its members made, or changed when it has so many.
pub(super) fn pace(work: &Work<'_>, making: bool, members: usize) -> Option<Rolling> {
    let how = work.kind?.how;
    if !matches!(how, How::ResourceGroup) {
        let props = work.row.changing_to.as_ref();
        let props = props.unwrap_or(&work.row.properties);
        return group::rolling(props.get("rolling_updates"), members).filter(|_| !making);
    }
    let given = &work.definition?.update_policy;
    let (given, _) = work.view?.scene.work_out(given).ok()?;
    let policy = group::policy(&given).ok()?;
    if making {
        return group::rolling(policy.get("batch_create"), usize::MAX);
    }
    group::rolling(policy.get("rolling_update"), members)
}

/// The next state on the way to `wanted`: of a group that is made or changed in batches, one batch further. Members in
/// `unwell` stand for nothing that could stay as it is: whatever the batch before wanted of them does not go on, or the
/// group could go neither back nor on.
pub(super) fn paced(
    work: &Work<'_>,
    child: &Stack,
    wanted: &Wanted,
    unwell: &BTreeSet<String>,
) -> Pace {
    let whole = || Pace::Now(wanted.clone());
    let (Some(now), Some(then)) = (members(&child.wanted), members(wanted)) else {
        return whole();
    };
    let making = work.row.action == Action::Create;
    let Some(rolling) = pace(work, making, now.len()) else {
        return whole();
    };
    let behind: Vec<&String> = then
        .iter()
        .filter(|(name, definition)| match now.get(*name) {
            Some(old) => !making && old != *definition,
            None => making,
        })
        .map(|(name, _)| name)
        .collect();
    if behind.is_empty() {
        return whole();
    }
    let mine = work.row.data.get("tried").and_then(Value::as_i64) == Some(work.stack.generation);
    // A batch that failed is the last one.
    if child.status == Status::InProgress || (child.status == Status::Failed && mine) {
        return Pace::Now(child.wanted.clone());
    }
    // The pause is one between the end of a batch and the beginning of the next one.
    let pause = Duration::from_secs_f64(rolling.pause_secs.clamp(0.0, 3600.0));
    if mine && !pause.is_zero() {
        let Some(ended) = work.row.data.get(BATCH_END).and_then(Value::as_i64) else {
            return Pace::Ended(pause);
        };
        let next = Timestamp(ended).plus(pause);
        if work.cx.now() < next {
            let left = u64::try_from(next.0 - work.cx.now().0).unwrap_or(0);
            return Pace::Later(Duration::from_micros(left.max(1)));
        }
    }
    Pace::Now(held_back(
        wanted,
        later(behind, rolling.batch, unwell).into_iter(),
        now,
    ))
}

/// Those that wait for another batch. Whoever is not well does not wait, and is one of the batch; more than fit into it
/// all come at once.
fn later<'a>(behind: Vec<&'a String>, batch: usize, unwell: &BTreeSet<String>) -> Vec<&'a String> {
    let (first, well): (Vec<_>, Vec<_>) = behind
        .into_iter()
        .partition(|name| unwell.contains(name.as_str()));
    let room = batch.saturating_sub(first.len());
    well.into_iter().skip(room).collect()
}

/// What is wanted, but some members are not there yet, or still what they were.
fn held_back<'a>(
    wanted: &Wanted,
    later: impl Iterator<Item = &'a String>,
    now: &Map<String, Value>,
) -> Wanted {
    let mut template = wanted.template.clone();
    if let Some(resources) = template.get_mut("resources").and_then(Value::as_object_mut) {
        for name in later {
            match now.get(name) {
                Some(old) => {
                    resources.insert(name.clone(), old.clone());
                }
                None => {
                    resources.shift_remove(name);
                }
            }
        }
    }
    Wanted {
        template,
        ..wanted.clone()
    }
}

/// What a group that is made in batches begins with.
pub(super) fn first_batch(work: &Work<'_>, wanted: Wanted) -> Wanted {
    let (Some(then), Some(rolling)) = (members(&wanted), pace(work, true, 0)) else {
        return wanted;
    };
    let nothing = Map::new();
    held_back(&wanted, then.keys().skip(rolling.batch), &nothing)
}

pub(super) fn members(wanted: &Wanted) -> Option<&serde_json::Map<String, Value>> {
    wanted.template.get("resources").and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(batch: usize, unwell: &[&str], waiting: &[&str]) {
        let names = ["0", "1", "2", "3"].map(str::to_owned);
        let unwell = unwell.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(later(names.iter().collect(), batch, &unwell), waiting);
    }

    #[test]
    fn who_is_not_well_waits_for_no_other_batch() {
        check(2, &[], &["2", "3"]);
        check(2, &["3"], &["1", "2"]);
        check(1, &["3", "2"], &["0", "1"]);
        check(9, &["9"], &[]);
    }
}
