//! The query language of the function `yaql`: expressions such as `$.data.servers.where($.role = web).select($.name)`.
//!
//! No maintained library for Rust reads it, so this is an evaluator of our own. What it means follows YAQL 3 with the
//! options that the original's orchestration gives it: collections are gone through for 200 items at most, a text or
//! list takes 10,000 bytes at most. What YAQL has and a template cannot use well is left out (dates, random numbers,
//! functions that an expression defines itself) and refused by name.
//!
//! Everything here is bounded: the length and depth of an expression, the depth of values, and the steps that it takes
//! to work one out. Nothing is defined in terms of itself, so every expression comes to an end.

mod branches;
mod call;
mod datum;
mod dicts;
mod eval;
mod groups;
mod lexer;
mod lists;
mod numbers;
mod operators;
mod parser;
mod patterns;
mod queries;
mod sequence;
mod sets;
mod show;
mod sort;
mod texts;

#[cfg(test)]
mod tests;

use serde_json::Value;

use datum::{Datum, Scope};
use eval::Run;

/// A collection is gone through for so many items.
const MAX_ITEMS: usize = 200;

/// Bytes of the longest text that takes no more than 10,000 bytes with what belongs to it.
const MAX_TEXT: usize = 9951;

/// Items of the longest list that takes no more than 10,000 bytes.
const MAX_LIST: usize = 1245;

/// Steps that working out one expression may take, its data and its result included.
const MAX_STEPS: usize = 300_000;

/// Why an expression cannot be read or worked out, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fault(String);

type Out<T> = Result<T, Fault>;

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    fn too_much() -> Self {
        Self::new("a text or a list takes too much memory")
    }
}

/// Whether an expression can be read.
///
/// # Errors
/// Why it cannot.
pub(crate) fn check(expression: &str) -> Result<(), Fault> {
    parser::parse(expression).map(drop)
}

/// What an expression gives, where `$` is a map with `data` in it, and how many steps that took.
///
/// # Errors
/// The second part of the pair says how many steps were taken before the trouble, too.
pub(crate) fn evaluate(expression: &str, data: &Value) -> (Result<Value, Fault>, usize) {
    let mut run = Run::new(MAX_STEPS);
    let result = worked_out(&mut run, expression, data);
    (result, run.taken())
}

fn worked_out(run: &mut Run, expression: &str, data: &Value) -> Out<Value> {
    let expression = parser::parse(expression)?;
    let data = Datum::of(data, &mut |work| run.spend(work))?;
    let root = Datum::dict(vec![(Datum::text("data"), data)])?;
    let scope = Scope::inside(None, vec![("1".to_owned(), root)])?;
    let result = run.eval(&expression, &scope)?;
    result.shown(&mut |work| run.spend(work))
}
