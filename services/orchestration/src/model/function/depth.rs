//! How deep functions may stand in functions, conditions in conditions, values in values: all of them are worked out by
//! recursion, and a stack of calls has an end.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::Trouble;

/// Work stands in work at most so deep; a template itself is read to a depth of about 100.
const MAX_WORK: usize = 150;

/// A value is at most so deep: what is kept must be read again.
const MAX_VALUE: usize = 100;

/// How deep the work on a template stands, and how deep it has come.
#[derive(Debug, Default)]
pub(crate) struct Depth {
    now: AtomicUsize,
    deepest: AtomicUsize,
}

/// One level; it ends where this is dropped.
#[must_use]
pub(crate) struct Level<'a>(&'a Depth);

impl Drop for Level<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Depth {
    /// One level deeper; an error when that is too deep.
    pub fn enter(&self) -> Result<Level<'_>, Trouble> {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        let level = Level(self);
        self.reach(now)?;
        Ok(level)
    }

    fn reach(&self, depth: usize) -> Result<(), Trouble> {
        self.deepest.fetch_max(depth, Ordering::Relaxed);
        if depth <= MAX_WORK {
            return Ok(());
        }
        Err(Trouble::wrong(format!(
            "Functions and conditions stand in one another deeper than {MAX_WORK} levels, counting those that a condition refers to."
        )))
    }

    /// Does a work, and says how many levels it took from here.
    pub fn measured<T>(&self, work: impl FnOnce() -> T) -> (T, usize) {
        let start = self.now.load(Ordering::Relaxed);
        let outer = self.deepest.swap(start, Ordering::Relaxed);
        let done = work();
        let deepest = self.deepest.fetch_max(outer, Ordering::Relaxed);
        (done, deepest.saturating_sub(start))
    }

    /// Counts a work that is known to take so many levels as if it were done here, so that what is too deep does not
    /// depend on what was worked out before.
    pub fn again(&self, levels: usize) -> Result<(), Trouble> {
        self.reach(self.now.load(Ordering::Relaxed).saturating_add(levels))
    }
}

/// Refuses a value that is too deep.
pub(crate) fn check(value: &Value) -> Result<(), Trouble> {
    if fits(value, MAX_VALUE) {
        return Ok(());
    }
    Err(Trouble::wrong(format!(
        "The value has lists and maps in one another deeper than {MAX_VALUE} levels."
    )))
}

fn fits(value: &Value, left: usize) -> bool {
    match (value, left.checked_sub(1)) {
        (Value::Array(items), Some(left)) => items.iter().all(|item| fits(item, left)),
        (Value::Object(map), Some(left)) => map.values().all(|value| fits(value, left)),
        (Value::Array(_) | Value::Object(_), None) => false,
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_as_deep_as_its_deepest_part() {
        let deep =
            |levels: usize| (0..levels).fold(json!(1), |value, _| json!({"a": [], "b": value}));
        assert_eq!(check(&deep(100)), Ok(()));
        assert!(check(&deep(101)).is_err());
    }

    #[test]
    fn a_work_that_is_known_counts_as_often_as_it_is_asked_for() {
        let depth = Depth::default();
        let (_, levels) = depth.measured(|| {
            let _one = depth.enter().unwrap();
            depth.enter().map(drop)
        });
        assert_eq!(levels, 2);
        let outer: Vec<Level<'_>> = (0..149).map(|_| depth.enter().unwrap()).collect();
        assert!(depth.again(1).is_ok());
        assert!(depth.again(levels).is_err());
        drop(outer);
        assert!(depth.again(levels).is_ok());
    }
}
