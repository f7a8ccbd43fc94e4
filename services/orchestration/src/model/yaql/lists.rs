//! Lists: what they are made of, and lists with other items in some places.

use super::call::{Function, Given, On, either, method, plain};
use super::datum::{Datum, Seq};
use super::eval::Run;
use super::operators::has;
use super::queries::{asked, size, test};
use super::sequence::{iterable, seq};
use super::{Fault, MAX_ITEMS, Out};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("list", On::Nothing, "*", |run, given| {
        opened(given.others(run)?)?.all().and_then(Datum::list)
    }),
    method("toList", On::Items, "", |_, given| to_list(given.items()?)),
    method("flatten", On::Items, "", |run, given| {
        let mut out = Seq::default();
        flatten(run, given.items()?, &mut out)?;
        Datum::iter(out)
    }),
    either("len", On::List, "", |_, given| match &given.it {
        // Its length is known without going through it.
        Datum::List(list) => Ok(Datum::count(list.items.len())),
        other => Ok(Datum::count(iterable(other)?.all()?.len())),
    }),
    either("len", On::Items, "", count),
    method("count", On::Items, "", count),
    method("memorize", On::Items, "", |_, given| {
        Datum::iter(given.items()?)
    }),
    method("contains", On::Items, "value", |run, given| {
        let wanted = given.value(run, 0)?;
        has(run, given.items()?, &wanted).map(Datum::Bool)
    }),
    method("indexOf", On::Items, "item", |run, given| {
        let wanted = given.value(run, 0)?;
        let items = given.items()?;
        match (run.find(&items.items, &wanted)?, items.then) {
            (Some(at), _) => Ok(Datum::count(at)),
            (None, Some(fault)) => Err(fault),
            (None, None) => Ok(Datum::Int(-1)),
        }
    }),
    method("lastIndexOf", On::Items, "item", |run, given| {
        let wanted = given.value(run, 0)?;
        let mut items = given.items()?.all()?;
        let length = items.len();
        items.reverse();
        let found = run.find(&items, &wanted)?;
        Ok(found.map_or(Datum::Int(-1), |at| Datum::count(length - 1 - at)))
    }),
    method("reverse", On::Items, "", |_, given| {
        let mut items = given.items()?.all()?;
        items.reverse();
        Datum::iter(items.into())
    }),
    method("defaultIfEmpty", On::Items, "default", |run, given| {
        let other = given.value(run, 0)?;
        iterable(&other)?;
        let own = given.items()?;
        let is_empty = own.items.is_empty() && own.then.is_none();
        Ok(if is_empty { other } else { given.it.clone() })
    }),
    method("repeat", On::Any, "times?", |run, given| {
        let times = given.int_or(run, 0, -1)?;
        let times = usize::try_from(times).unwrap_or(usize::MAX);
        let mut out = Seq::default();
        for _ in 0..times {
            if !out.push(given.it.clone()) {
                break;
            }
        }
        Datum::iter(out)
    }),
    method("cycle", On::Items, "", |_, given| {
        let once = given.items()?;
        let mut out = once.clone();
        while !once.items.is_empty() && out.extend(once.clone()) {}
        Datum::iter(out)
    }),
    method("slice", On::Items, "length", |run, given| {
        let length = size(given.int(run, 0)?)?;
        let items = given.items()?;
        let mut out = Seq::default();
        if length > 0 {
            for part in items.items.chunks(length) {
                out.push(Datum::list(part.to_vec())?);
            }
            out.then = items.then;
        }
        Datum::iter(out)
    }),
    method("splitAt", On::Items, "index", |run, given| {
        let mut items = given.items()?.all()?;
        let at = given.int(run, 0)?;
        let end = items.split_off(place(at, items.len()));
        Datum::list(vec![Datum::list(items)?, Datum::list(end)?])
    }),
    method("splitWhere", On::Items, "predicate", |run, given| {
        let mut parts = vec![Vec::new()];
        for item in given.items()?.all()? {
            if test(run, given, &item)? {
                parts.push(Vec::new());
            } else if let Some(part) = parts.last_mut() {
                part.push(item);
            }
        }
        if parts.last().is_some_and(Vec::is_empty) {
            parts.pop();
        }
        lists(parts)
    }),
    method("sliceWhere", On::Items, "predicate", |run, given| {
        let mut parts: Vec<Vec<Datum>> = Vec::new();
        let mut before: Option<Datum> = None;
        for item in given.items()?.all()? {
            // Whatever the predicate gives, a part ends where that changes.
            let here = asked(run, given, &item)?;
            let goes_on = match &before {
                Some(before) => run.same(before, &here)?,
                None => false,
            };
            match parts.last_mut() {
                Some(part) if goes_on => part.push(item),
                _other => parts.push(vec![item]),
            }
            before = Some(here);
        }
        lists(parts)
    }),
    method("delete", On::Items, "position count?", |run, given| {
        let (from, to) = span(run, given, 1)?;
        let mut at = 0;
        Datum::iter(given.items()?.each(|item| {
            at += 1;
            Ok((!(from < at && at <= to)).then_some(item))
        }))
    }),
    method(
        "replace",
        On::Items,
        "position value count?",
        |run, given| {
            let value = given.value(run, 1)?;
            replace(run, given, vec![value].into())
        },
    ),
    method(
        "replaceMany",
        On::Items,
        "position values count?",
        |run, given| {
            let values = given.seq(run, 1)?;
            replace(run, given, values)
        },
    ),
    method("insert", On::List, "position value", |run, given| {
        let (at, value) = (given.int(run, 0)?, given.value(run, 1)?);
        let mut items = given.items()?.all()?;
        items.insert(place(at, items.len()), value);
        Datum::list(items)
    }),
    method("insert", On::Items, "position value", |run, given| {
        let (at, value) = (given.int(run, 0)?, given.value(run, 1)?);
        insert(given, at, vec![value].into(), false)
    }),
    method("insertMany", On::Items, "position values", |run, given| {
        let (at, values) = (given.int(run, 0)?, given.seq(run, 1)?);
        insert(given, at, values, true)
    }),
];

fn count(_run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    Ok(Datum::count(given.items()?.all()?.len()))
}

fn to_list(items: Seq) -> Out<Datum> {
    Datum::list(items.all()?)
}

fn lists(parts: Vec<Vec<Datum>>) -> Out<Datum> {
    let parts = parts.into_iter().map(Datum::list);
    Datum::iter(parts.collect::<Out<Vec<_>>>()?.into())
}

/// Values, and in place of iterators what they go through.
pub(super) fn opened(values: Vec<Datum>) -> Out<Seq> {
    let mut out = Seq::default();
    for value in values {
        let more = if matches!(value, Datum::Iter(_)) {
            opened(iterable(&value)?.all()?)?
        } else {
            vec![value].into()
        };
        if !out.extend(more) {
            break;
        }
    }
    Ok(out)
}

fn flatten(run: &mut Run, items: Seq, out: &mut Seq) -> Out<()> {
    for item in items.items {
        run.spend(1)?;
        match seq(&item)? {
            Some(inner) => flatten(run, inner, out)?,
            None => {
                out.push(item);
            }
        }
        if out.then.is_some() {
            return Ok(());
        }
    }
    out.then = items.then;
    Ok(())
}

/// A place to cut a list at, as Python counts: from the end where it is below zero, and never outside.
fn place(at: i128, length: usize) -> usize {
    let all = i128::try_from(length).unwrap_or(i128::MAX);
    let at = if at < 0 { at.saturating_add(all) } else { at };
    usize::try_from(at.clamp(0, all)).unwrap_or(length)
}

/// The places that `position` and a count mean; all that follow where the count is below zero.
fn span(run: &mut Run, given: &Given<'_>, count: usize) -> Out<(usize, usize)> {
    let from = given.int(run, 0)?;
    let count = given.int_or(run, count, 1)?;
    let to = if count < 0 {
        i128::MAX
    } else {
        from.saturating_add(count)
    };
    let near = |at: i128| usize::try_from(at.max(0)).unwrap_or(usize::MAX);
    Ok((near(from), near(to)))
}

fn replace(run: &mut Run, given: &Given<'_>, values: Seq) -> Out<Datum> {
    let (from, to) = span(run, given, 2)?;
    let items = given.items()?;
    let mut out = Seq::default();
    let mut values = Some(values);
    for (at, item) in items.items.into_iter().enumerate() {
        let more = if (from..to).contains(&at) {
            values.take().unwrap_or_default()
        } else {
            vec![item].into()
        };
        if !out.extend(more) {
            return Datum::iter(out);
        }
    }
    out.then = items.then;
    Datum::iter(out)
}

/// Puts values in before the item at a place, or at the end where there are fewer; `early` tells whether values for a
/// place below zero come first or nowhere.
fn insert(given: &Given<'_>, at: i128, values: Seq, early: bool) -> Out<Datum> {
    let items = given.items()?;
    let mut out = Seq::default();
    if at < 0 && early {
        out.extend(values.clone());
    }
    let length = items.items.len();
    for (here, item) in items.items.into_iter().enumerate() {
        if i128::try_from(here) == Ok(at) {
            out.extend(values.clone());
        }
        out.push(item);
    }
    if out.then.is_none() && items.then.is_some() {
        out.then = items.then;
    } else if at >= i128::try_from(length).unwrap_or(i128::MAX) {
        out.extend(values);
    }
    if out.items.len() > MAX_ITEMS {
        return Err(Fault::too_much());
    }
    Datum::iter(out)
}
