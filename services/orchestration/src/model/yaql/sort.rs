//! Sorted lists.

use std::rc::Rc;

use super::call::{Function, Given, On, method};
use super::datum::{Datum, Sorted};
use super::eval::Run;
use super::operators::less;
use super::{Fault, Out};

pub(super) const FUNCTIONS: &[Function] = &[
    method("orderBy", On::Items, "selector", |run, given| {
        first(run, given, true)
    }),
    method("orderByDescending", On::Items, "selector", |run, given| {
        first(run, given, false)
    }),
    method("thenBy", On::Sorted, "selector", |run, given| {
        further(run, given, true)
    }),
    method("thenByDescending", On::Sorted, "selector", |run, given| {
        further(run, given, false)
    }),
];

fn first(run: &mut Run, given: &Given<'_>, rises: bool) -> Out<Datum> {
    let items = given.items()?.all()?.into_iter();
    let items = items.map(|item| (item, Vec::new())).collect();
    by_another(run, given, (items, Vec::new()), rises)
}

fn further(run: &mut Run, given: &Given<'_>, rises: bool) -> Out<Datum> {
    match &given.it {
        Datum::Sorted(sorted) => {
            let known = (sorted.given.clone(), sorted.rising.clone());
            by_another(run, given, known, rises)
        }
        other => Err(Fault::new(format!("{} is not sorted", other.kind()))),
    }
}

type Keyed = Vec<(Datum, Vec<Datum>)>;

/// Sorted by the keys that there are, and by one more.
fn by_another(
    run: &mut Run,
    given: &Given<'_>,
    (mut items, mut rising): (Keyed, Vec<bool>),
    rises: bool,
) -> Out<Datum> {
    let selector = given
        .lambda(0)
        .ok_or_else(|| Fault::new("a selector is missing"))?;
    for (item, keys) in &mut items {
        keys.push(given.apply(run, selector, [item.clone()])?);
    }
    rising.push(rises);
    let mut sorted: Vec<&(Datum, Vec<Datum>)> = Vec::with_capacity(items.len());
    // Items are few, and what cannot be compared ends it: the sorting of the standard library does not allow for that.
    for one in &items {
        let (mut low, mut high) = (0, sorted.len());
        while low < high {
            let middle = low.midpoint(high);
            let Some(other) = sorted.get(middle) else {
                break;
            };
            if before(run, &one.1, &other.1, &rising)? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        sorted.insert(low, one);
    }
    let sorted = sorted.into_iter().map(|(item, _)| item.clone()).collect();
    // Keys may be deeper than the items.
    Datum::list(items.iter().flat_map(|(_, keys)| keys).cloned().collect())?;
    Ok(Datum::Sorted(Rc::new(Sorted {
        given: items,
        rising,
        items: sorted,
    })))
}

fn before(run: &mut Run, one: &[Datum], other: &[Datum], rising: &[bool]) -> Out<bool> {
    for ((one, other), rises) in one.iter().zip(other).zip(rising) {
        if less(run, one, other)? {
            return Ok(*rises);
        }
        if less(run, other, one)? {
            return Ok(!*rises);
        }
    }
    Ok(false)
}
