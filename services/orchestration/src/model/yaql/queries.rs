//! What is asked of items: which of them, what of each.

use super::call::{Function, Given, On, either, method, plain};
use super::datum::{Datum, Seq};
use super::eval::Run;
use super::parser::Expr;
use super::sequence::{iterable, seq};
use super::{Fault, MAX_ITEMS, Out};

pub(super) const FUNCTIONS: &[Function] = &[
    method("where", On::Items, "predicate", filter),
    method("filter", On::Items, "predicate", filter),
    method("select", On::Items, "selector", select),
    method("map", On::Items, "selector", select),
    method("selectMany", On::Items, "selector", select_many),
    method("skip", On::Items, "count", |run, given| {
        let count = size(given.int(run, 0)?)?;
        Datum::iter(given.items()?.part(count, usize::MAX))
    }),
    method("take", On::Items, "count", take),
    method("limit", On::Items, "count", take),
    method("takeWhile", On::Items, "predicate", |run, given| {
        let mut out = Seq::default();
        let items = given.items()?;
        for item in items.items {
            match test(run, given, &item) {
                Ok(true) => out.push(item),
                Ok(false) => return Datum::iter(out),
                Err(fault) => {
                    out.then = Some(fault);
                    return Datum::iter(out);
                }
            };
        }
        out.then = items.then;
        Datum::iter(out)
    }),
    method("skipWhile", On::Items, "predicate", |run, given| {
        let mut skips = true;
        Datum::iter(given.items()?.each(|item| {
            skips = skips && test(run, given, &item)?;
            Ok((!skips).then_some(item))
        }))
    }),
    either("append", On::Items, "*", |run, given| {
        let mut out = given.items()?;
        out.extend(given.others(run)?.into());
        Datum::iter(out)
    }),
    either("distinct", On::Items, "keySelector?", |run, given| {
        let mut known = Vec::new();
        Datum::iter(given.items()?.each(|item| {
            let key = match given.lambda(0) {
                Some(selector) => given.apply(run, selector, [item.clone()])?,
                None => item.clone(),
            };
            if run.find(&known, &key)?.is_some() {
                return Ok(None);
            }
            known.push(key);
            Ok(Some(item))
        }))
    }),
    either("enumerate", On::Items, "start?", |run, given| {
        let mut at = given.int_or(run, 0, 0)?;
        Datum::iter(given.items()?.each(|item| {
            let pair = Datum::list(vec![Datum::Int(at), item])?;
            at = at.saturating_add(1);
            Ok(Some(pair))
        }))
    }),
    either("any", On::Items, "predicate?", |run, given| {
        let items = given.items()?;
        for item in &items.items {
            if given.lambda(0).is_none() || test(run, given, item)? {
                return Ok(Datum::Bool(true));
            }
        }
        items.then.map_or(Ok(Datum::Bool(false)), Err)
    }),
    either("all", On::Items, "predicate?", |run, given| {
        let items = given.items()?;
        for item in &items.items {
            let holds = if given.lambda(0).is_none() {
                item.holds()
            } else {
                test(run, given, item)?
            };
            if !holds {
                return Ok(Datum::Bool(false));
            }
        }
        items.then.map_or(Ok(Datum::Bool(true)), Err)
    }),
    method("first", On::Items, "default?", |run, given| {
        match given.items()?.first()? {
            Some(item) => Ok(item),
            None => given.maybe(run, 0)?.ok_or_else(nothing),
        }
    }),
    method("last", On::Items, "default?", |run, given| {
        let last = match &given.it {
            // Of a list the last item is there without going through it.
            Datum::List(list) => list.items.last().cloned(),
            other => iterable(other)?.all()?.pop(),
        };
        match last {
            Some(item) => Ok(item),
            None => given.maybe(run, 0)?.ok_or_else(nothing),
        }
    }),
    method("single", On::Items, "", |_, given| {
        let mut items = given.items()?.part(0, 2).all()?;
        match (items.pop(), items.pop()) {
            (Some(item), None) => Ok(item),
            (None, _) => Err(nothing()),
            (Some(_), Some(_)) => Err(Fault::new("the collection has more than one item")),
        }
    }),
    method("indexWhere", On::Items, "predicate", |run, given| {
        let items = given.items()?;
        for (at, item) in items.items.iter().enumerate() {
            if test(run, given, item)? {
                return Ok(Datum::count(at));
            }
        }
        items.then.map_or(Ok(Datum::Int(-1)), Err)
    }),
    method("lastIndexWhere", On::Items, "predicate", |run, given| {
        let mut place = Datum::Int(-1);
        for (at, item) in given.items()?.all()?.iter().enumerate() {
            if test(run, given, item)? {
                place = Datum::count(at);
            }
        }
        Ok(place)
    }),
    plain("range", On::Int, "stop step?", |run, given| {
        let (stop, step) = (given.int(run, 0)?, given.int_or(run, 1, 1)?);
        range(given.whole()?, Some(stop), step)
    }),
    plain("range", On::Int, "", |_, given| {
        range(0, Some(given.whole()?), 1)
    }),
    plain("sequence", On::Nothing, "start? step?", |run, given| {
        range(given.int_or(run, 0, 0)?, None, given.int_or(run, 1, 1)?)
    }),
];

/// How many items: not less than none.
pub(super) fn size(count: i128) -> Out<usize> {
    usize::try_from(count).map_err(|_| Fault::new("a count is not below zero"))
}

fn nothing() -> Fault {
    Fault::new("the collection has no items")
}

fn selector<'a>(given: &Given<'a>) -> Out<&'a Expr> {
    given
        .lambda(0)
        .ok_or_else(|| Fault::new("an expression is missing"))
}

/// Whether what is asked holds for an item.
pub(super) fn test(run: &mut Run, given: &Given<'_>, item: &Datum) -> Out<bool> {
    Ok(asked(run, given, item)?.holds())
}

/// What the expression gives for an item.
pub(super) fn asked(run: &mut Run, given: &Given<'_>, item: &Datum) -> Out<Datum> {
    given.apply(run, selector(given)?, [item.clone()])
}

fn filter(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    Datum::iter(
        given
            .items()?
            .each(|item| Ok(test(run, given, &item)?.then_some(item))),
    )
}

fn select(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let selector = selector(given)?;
    Datum::iter(
        given
            .items()?
            .each(|item| given.apply(run, selector, [item]).map(Some)),
    )
}

fn select_many(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let selector = selector(given)?;
    let items = given.items()?;
    let mut out = Seq::default();
    for item in items.items {
        let several = |run: &mut Run| {
            let made = given.apply(run, selector, [item])?;
            Ok(seq(&made)?.unwrap_or_else(|| vec![made].into()))
        };
        let more = several(run).unwrap_or_else(|fault| Seq {
            items: Vec::new(),
            then: Some(fault),
        });
        if !out.extend(more) {
            return Datum::iter(out);
        }
    }
    out.then = items.then;
    Datum::iter(out)
}

fn take(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let count = size(given.int(run, 0)?)?;
    Datum::iter(given.items()?.part(0, count))
}

/// Numbers up to one that is not among them, or without end.
fn range(start: i128, stop: Option<i128>, step: i128) -> Out<Datum> {
    if step == 0 && stop.is_some() {
        return Err(Fault::new("a range has steps"));
    }
    let mut out = Seq::default();
    let mut here = start;
    for _ in 0..=MAX_ITEMS {
        let ended = stop.is_some_and(|stop| if step > 0 { here >= stop } else { here <= stop });
        if ended || !out.push(Datum::Int(here)) {
            break;
        }
        here = here.saturating_add(step);
    }
    Datum::iter(out)
}
