//! Maps.

use super::call::{Function, Given, On, either, method, plain};
use super::datum::{Datum, Dict, Seq};
use super::eval::Run;
use super::parser::Expr;
use super::sequence::iterable;
use super::{Fault, Out};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("dict", On::Items, "", |run, given| {
        let mut pairs = Vec::new();
        for item in given.items()?.all()? {
            let mut parts = iterable(&item)?.part(0, 2).all()?.into_iter();
            let (Some(key), Some(value)) = (parts.next(), parts.next()) else {
                return Err(Fault::new("dict() is made of pairs"));
            };
            run.put(&mut pairs, key, value)?;
        }
        Datum::dict(pairs)
    }),
    plain("dict", On::Nothing, "=>", |run, given| {
        run.pairs(given.pairs, given.scope).and_then(Datum::dict)
    }),
    method("toDict", On::Items, "keySelector valueSelector?", to_dict),
    either("len", On::Dict, "", |_, given| {
        Ok(Datum::count(own(given)?.pairs.len()))
    }),
    method("get", On::Dict, "key default?", |run, given| {
        let key = given.value(run, 0)?;
        let found = run.lookup(own(given)?, &key)?;
        Ok(match found {
            Some(value) => value,
            None => given.maybe(run, 1)?.unwrap_or(Datum::Null),
        })
    }),
    method("set", On::Dict, "key value", |run, given| {
        let pair = (given.value(run, 0)?, given.value(run, 1)?);
        changed(run, given, vec![pair])
    }),
    method("set", On::Dict, "replacements", |run, given| {
        match given.value(run, 0)? {
            Datum::Dict(other) => changed(run, given, other.pairs.clone()),
            other => Err(Fault::new(format!(
                "a map is expected where {} stands",
                other.kind()
            ))),
        }
    }),
    method("set", On::Dict, "=>", |run, given| {
        let pairs = run.pairs(given.pairs, given.scope)?;
        changed(run, given, pairs)
    }),
    method("keys", On::Dict, "", |run, given| {
        let dict = own(given)?;
        run.spend(dict.pairs.len())?;
        Datum::set(dict.pairs.iter().map(|(key, _)| key.clone()).collect())
    }),
    method("values", On::Dict, "", |run, given| {
        walked(run, own(given)?, |_, value| Ok(value.clone()))
    }),
    method("items", On::Dict, "", |run, given| {
        walked(run, own(given)?, |key, value| {
            Datum::list(vec![key.clone(), value.clone()])
        })
    }),
    method("containsKey", On::Dict, "key", |run, given| {
        let key = given.value(run, 0)?;
        Ok(Datum::Bool(run.lookup(own(given)?, &key)?.is_some()))
    }),
    method("containsValue", On::Dict, "value", |run, given| {
        let wanted = given.value(run, 0)?;
        for (_, value) in &own(given)?.pairs {
            if run.same(value, &wanted)? {
                return Ok(Datum::Bool(true));
            }
        }
        Ok(Datum::Bool(false))
    }),
    method("delete", On::Dict, "*", |run, given| {
        let keys = given.others(run)?;
        without(run, own(given)?, &keys)
    }),
    method("deleteAll", On::Dict, "keys", |run, given| {
        let keys = given.seq(run, 0)?.all()?;
        without(run, own(given)?, &keys)
    }),
    method(
        "mergeWith",
        On::Dict,
        "another listMerger? itemMerger? maxLevels?",
        |run, given| {
            let another = given.value(run, 0)?;
            let levels = given.int_or(run, 3, 0)?;
            let Datum::Dict(another) = &another else {
                return Err(Fault::new("a map is merged with another one"));
            };
            let mergers = (given.lambda(1), given.lambda(2));
            merge(run, given, (own(given)?, another), mergers, levels)
        },
    ),
];

fn own<'a>(given: &'a Given<'_>) -> Out<&'a Dict> {
    match &given.it {
        Datum::Dict(dict) => Ok(dict),
        other => Err(Fault::new(format!(
            "a map is expected where {} stands",
            other.kind()
        ))),
    }
}

fn to_dict(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let mut pairs = Vec::new();
    for item in given.items()?.all()? {
        let key = match given.lambda(0) {
            Some(selector) => given.apply(run, selector, [item.clone()])?,
            None => Datum::Null,
        };
        let value = match given.lambda(1) {
            Some(selector) => given.apply(run, selector, [item])?,
            None => item,
        };
        run.put(&mut pairs, key, value)?;
    }
    Datum::dict(pairs)
}

fn changed(run: &mut Run, given: &Given<'_>, more: Vec<(Datum, Datum)>) -> Out<Datum> {
    let mut pairs = own(given)?.pairs.clone();
    run.spend(pairs.len())?;
    for (key, value) in more {
        run.put(&mut pairs, key, value)?;
    }
    Datum::dict(pairs)
}

/// What is made of each pair, to go through.
fn walked(run: &mut Run, dict: &Dict, make: impl Fn(&Datum, &Datum) -> Out<Datum>) -> Out<Datum> {
    let mut seq = Seq::default();
    for (key, value) in &dict.pairs {
        run.spend(1)?;
        if !seq.push(make(key, value)?) {
            break;
        }
    }
    Datum::iter(seq)
}

fn without(run: &mut Run, dict: &Dict, keys: &[Datum]) -> Out<Datum> {
    let mut pairs = Vec::new();
    for (key, value) in &dict.pairs {
        if run.find(keys, key)?.is_none() {
            pairs.push((key.clone(), value.clone()));
        }
    }
    Datum::dict(pairs)
}

type Mergers<'a> = (Option<&'a Expr>, Option<&'a Expr>);

/// Merges maps in maps, `levels` deep or (0) all the way; lists become one with each item once, of other values the
/// later one stays, unless there are mergers.
fn merge(
    run: &mut Run,
    given: &Given<'_>,
    (one, other): (&Dict, &Dict),
    (lists, items): Mergers<'_>,
    levels: i128,
) -> Out<Datum> {
    let mut pairs = Vec::new();
    run.spend(one.pairs.len() + other.pairs.len())?;
    for (key, value) in &one.pairs {
        let merged = match (value, run.lookup(other, key)?) {
            (value, None) => value.clone(),
            (Datum::Dict(value), Some(Datum::Dict(more))) if levels != 1 => {
                let levels = if levels == 0 { 0 } else { levels - 1 };
                merge(run, given, (value, &more), (lists, items), levels)?
            }
            (Datum::List(value), Some(Datum::List(more))) if levels != 1 => match lists {
                Some(merger) => {
                    let both = [Datum::List(value.clone()), Datum::List(more)];
                    given.apply(run, merger, both)?
                }
                None => {
                    let all = value.items.iter().chain(&more.items).cloned();
                    let all: Vec<Datum> = all.collect();
                    run.unique(all).and_then(Datum::list)?
                }
            },
            (value, Some(more @ (Datum::Dict(_) | Datum::List(_)))) if levels != 1 => {
                let (value, more) = (value.kind(), more.kind());
                return Err(Fault::new(format!("{value} is not merged with {more}")));
            }
            (value, Some(more)) => match items {
                Some(merger) => given.apply(run, merger, [value.clone(), more])?,
                None => more,
            },
        };
        pairs.push((key.clone(), merged));
    }
    for (key, value) in &other.pairs {
        if run.lookup(one, key)?.is_none() {
            pairs.push((key.clone(), value.clone()));
        }
    }
    Datum::dict(pairs)
}
