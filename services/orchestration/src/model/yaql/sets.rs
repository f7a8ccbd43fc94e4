//! Sets: each item once. Where YAQL gives them in any order, they are here in the order in which they were put.

use std::rc::Rc;

use super::call::{Function, Given, On, either, method, plain};
use super::datum::{Datum, List};
use super::eval::Run;
use super::sequence::iterable;
use super::{Fault, Out, lists};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("set", On::Nothing, "*", |run, given| {
        let items = lists::opened(given.others(run)?)?.all()?;
        run.unique(items).and_then(Datum::set)
    }),
    method("toSet", On::Items, "", |run, given| {
        let items = given.items()?.all()?;
        run.unique(items).and_then(Datum::set)
    }),
    either("len", On::Set, "", |_, given| {
        Ok(Datum::count(own(given)?.items.len()))
    }),
    method("union", On::Set, "right", |run, given| {
        let more = other(run, given)?;
        joined(run, given, &more.items)
    }),
    method("add", On::Set, "*", |run, given| {
        let more = given.others(run)?;
        joined(run, given, &more)
    }),
    method("remove", On::Set, "*", |run, given| {
        let less = given.others(run)?;
        without(run, &own(given)?.items, &less)
    }),
    method("difference", On::Set, "right", |run, given| {
        let less = other(run, given)?;
        without(run, &own(given)?.items, &less.items)
    }),
    method("intersect", On::Set, "right", |run, given| {
        let both = other(run, given)?;
        let mut out = Vec::new();
        for item in &own(given)?.items {
            if run.find(&both.items, item)?.is_some() {
                out.push(item.clone());
            }
        }
        Datum::set(out)
    }),
    method("symmetricDifference", On::Set, "right", |run, given| {
        let one = own(given)?;
        let another = other(run, given)?;
        let left = without(run, &one.items, &another.items)?;
        let right = without(run, &another.items, &one.items)?;
        let mut out = iterable(&left)?.all()?;
        out.extend(iterable(&right)?.all()?);
        Datum::set(out)
    }),
    plain("isSet", On::Any, "", |_, given| {
        Ok(Datum::Bool(matches!(given.it, Datum::Set(_))))
    }),
];

fn as_set(value: &Datum) -> Out<Rc<List>> {
    match value {
        Datum::Set(set) => Ok(Rc::clone(set)),
        other => Err(Fault::new(format!(
            "a set is expected where {} stands",
            other.kind()
        ))),
    }
}

fn own(given: &Given<'_>) -> Out<Rc<List>> {
    as_set(&given.it)
}

fn other(run: &mut Run, given: &Given<'_>) -> Out<Rc<List>> {
    as_set(&given.value(run, 0)?)
}

fn joined(run: &mut Run, given: &Given<'_>, more: &[Datum]) -> Out<Datum> {
    let all = own(given)?;
    let all = all.items.iter().chain(more).cloned();
    run.unique(all).and_then(Datum::set)
}

/// The items that are not among others.
pub(super) fn without(run: &mut Run, items: &[Datum], others: &[Datum]) -> Out<Datum> {
    let mut out = Vec::new();
    for item in items {
        if run.find(others, item)?.is_none() {
            out.push(item.clone());
        }
    }
    Datum::set(out)
}
