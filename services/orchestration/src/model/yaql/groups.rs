//! Items brought together: groups, joins, what is worked out over all of them.

use super::call::{Function, Given, On, either, method, plain};
use super::datum::{Datum, Seq};
use super::eval::Run;
use super::operators::plus;
use super::parser::Expr;
use super::sequence::iterable;
use super::{Fault, MAX_ITEMS, Out, numbers};

pub(super) const FUNCTIONS: &[Function] = &[
    method(
        "groupBy",
        On::Items,
        "keySelector valueSelector? aggregator?",
        group_by,
    ),
    method("aggregate", On::Items, "selector seed?", reduce),
    method("reduce", On::Items, "selector seed?", reduce),
    method("accumulate", On::Items, "selector seed?", accumulate),
    method("sum", On::Items, "initial?", |run, given| {
        over(run, given, |run, all, item| {
            plus(run, all, item)?.ok_or_else(|| {
                let (all, item) = (all.kind(), item.kind());
                Fault::new(format!("{all} and {item} have no sum"))
            })
        })
    }),
    method("max", On::Items, "initial?", |run, given| {
        // Of those that are equal the first one stays.
        over(run, given, numbers::greater)
    }),
    method("min", On::Items, "initial?", |run, given| {
        over(run, given, numbers::lesser)
    }),
    method("zip", On::Items, "*", |run, given| zip(run, given, None)),
    method("zipLongest", On::Items, "* =>", |run, given| {
        let mut fill = Datum::Null;
        for (name, value) in run.pairs(given.pairs, given.scope)? {
            match &name {
                Datum::Text(name) if &**name == "default" => fill = value,
                _other => return Err(Fault::new("zipLongest() has a default only")),
            }
        }
        zip(run, given, Some(fill))
    }),
    method("join", On::Items, "collection2 predicate selector", join),
    either("concat", On::Items, "*", |run, given| {
        let mut out = given.items()?;
        for other in given.others(run)? {
            out.extend(iterable(&other)?);
        }
        Datum::iter(out)
    }),
    plain(
        "generate",
        On::Any,
        "predicate producer selector? decycle?",
        generate,
    ),
    plain(
        "generateMany",
        On::Any,
        "producer selector? decycle? depthFirst?",
        generate_many,
    ),
];

fn needed<'a>(given: &Given<'a>, at: usize) -> Out<&'a Expr> {
    given
        .lambda(at)
        .ok_or_else(|| Fault::new("an expression is missing"))
}

fn group_by(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let mut groups: Vec<(Datum, Vec<Datum>)> = Vec::new();
    let (key_of, value_of, aggregator) = (needed(given, 0)?, given.lambda(1), given.lambda(2));
    for item in given.items()?.all()? {
        let key = given.apply(run, key_of, [item.clone()])?;
        let value = match value_of {
            Some(value_of) => given.apply(run, value_of, [item])?,
            None => item,
        };
        let mut place = None;
        for (at, (known, _)) in groups.iter().enumerate() {
            if run.same(known, &key)? {
                place = Some(at);
                break;
            }
        }
        match place.and_then(|at| groups.get_mut(at)) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    let mut style = Style {
        earlier: false,
        may_change: true,
    };
    let groups = groups
        .into_iter()
        .map(|(key, values)| Ok((key, Datum::list(values)?)));
    let mut out = Seq::default();
    for group in groups.collect::<Out<Vec<_>>>()? {
        let made = match aggregator {
            Some(aggregator) => style.aggregate(run, given, aggregator, group),
            None => Datum::list(vec![group.0, group.1]),
        };
        match made {
            Ok(made) => {
                out.push(made);
            }
            Err(fault) => {
                out.then = Some(fault);
                break;
            }
        }
    }
    Datum::iter(out)
}

/// How aggregators are written: of the values of a group, or, as in YAQL 1.1.1, of the key and the values, giving both.
struct Style {
    earlier: bool,
    may_change: bool,
}

impl Style {
    fn aggregate(
        &mut self,
        run: &mut Run,
        given: &Given<'_>,
        aggregator: &Expr,
        (key, values): (Datum, Datum),
    ) -> Out<Datum> {
        let pair = Datum::list(vec![key.clone(), values.clone()])?;
        let mut why = None;
        if !self.earlier {
            match given.apply(run, aggregator, [values.clone()]) {
                Ok(result) => {
                    self.may_change &= could_be_earlier(run, &values, &result)?;
                    return Datum::list(vec![key, result]);
                }
                Err(fault) if !self.may_change => return Err(fault),
                Err(fault) => why = Some(fault),
            }
        }
        self.earlier = true;
        let result = given.apply(run, aggregator, [pair]);
        match (result, why) {
            (Ok(Datum::List(list)), _) if list.items.len() == 2 => Ok(Datum::List(list)),
            (_, Some(why)) | (Err(why), None) => Err(why),
            (Ok(_), None) => Err(Fault::new("an aggregator gives no pair")),
        }
    }
}

/// Whether a result could be that of an aggregator of the earlier style on a group that looks like a pair.
fn could_be_earlier(run: &mut Run, values: &Datum, result: &Datum) -> Out<bool> {
    let (Datum::List(values), Datum::List(result)) = (values, result) else {
        return Ok(false);
    };
    match (values.items.as_slice(), result.items.as_slice()) {
        ([first, _], [same, _]) => run.same(first, same),
        _other => Ok(false),
    }
}

/// The items put together one after the other.
fn fold(
    run: &mut Run,
    items: Vec<Datum>,
    seed: Option<Datum>,
    mut step: impl FnMut(&mut Run, Datum, Datum) -> Out<Datum>,
) -> Out<Datum> {
    let mut items = items.into_iter();
    let mut all = seed
        .or_else(|| items.next())
        .ok_or_else(|| Fault::new("there is nothing to put together, and no initial value"))?;
    for item in items {
        all = step(run, all, item)?;
        super::eval::weigh(&all)?;
    }
    Ok(all)
}

fn over(
    run: &mut Run,
    given: &Given<'_>,
    step: impl Fn(&mut Run, &Datum, &Datum) -> Out<Datum>,
) -> Out<Datum> {
    let seed = given.maybe(run, 0)?;
    fold(run, given.items()?.all()?, seed, |run, all, item| {
        step(run, &all, &item)
    })
}

fn reduce(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let selector = needed(given, 0)?;
    let seed = given.maybe(run, 1)?;
    fold(run, given.items()?.all()?, seed, |run, all, item| {
        given.apply(run, selector, [all, item])
    })
}

fn accumulate(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let selector = needed(given, 0)?;
    let mut items = given.items()?;
    let mut all = match given.maybe(run, 1)? {
        Some(seed) => seed,
        None if items.items.is_empty() => {
            return Err(Fault::new(
                "there is nothing to put together, and no initial value",
            ));
        }
        None => items.items.remove(0),
    };
    let mut out = Seq::from(vec![all.clone()]);
    out.extend(items.each(|item| {
        all = given.apply(run, selector, [all.clone(), item])?;
        Ok(Some(all.clone()))
    }));
    Datum::iter(out)
}

/// Lists of the first items, of the second ones and so on; up to the shortest one, or with something to fill up.
fn zip(run: &mut Run, given: &Given<'_>, fill: Option<Datum>) -> Out<Datum> {
    let mut all = vec![given.items()?];
    for other in given.others(run)? {
        all.push(iterable(&other)?);
    }
    let mut out = Seq::default();
    for at in 0..=MAX_ITEMS {
        run.spend(all.len())?;
        let mut row = Vec::with_capacity(all.len());
        let mut ended = 0;
        for one in &all {
            match (one.items.get(at), &one.then) {
                (Some(item), _) => row.push(item.clone()),
                (None, Some(fault)) => {
                    out.then = Some(fault.clone());
                    return Datum::iter(out);
                }
                (None, None) => {
                    ended += 1;
                    row.push(fill.clone().unwrap_or(Datum::Null));
                }
            }
            if ended > 0 && fill.is_none() {
                return Datum::iter(out);
            }
        }
        if ended == all.len() || !out.push(Datum::list(row)?) {
            break;
        }
    }
    Datum::iter(out)
}

fn join(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let others = given.seq(run, 0)?;
    let (predicate, selector) = (needed(given, 1)?, needed(given, 2)?);
    let mut out = Seq::default();
    let own = given.items()?;
    for one in own.items {
        let joined = others.clone().each(|other| {
            let both = [one.clone(), other];
            if !given.apply(run, predicate, both.clone())?.holds() {
                return Ok(None);
            }
            given.apply(run, selector, both).map(Some)
        });
        if !out.extend(joined) {
            return Datum::iter(out);
        }
    }
    out.then = own.then;
    Datum::iter(out)
}

fn generate(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let mut past = Vec::new();
    let mut out = Seq::default();
    let decycle = given.flag(run, 3, false)?;
    let mut here = given.it.clone();
    let mut one_more = |run: &mut Run| -> Out<Option<Datum>> {
        if !given.apply(run, needed(given, 0)?, [here.clone()])?.holds() {
            return Ok(None);
        }
        if decycle {
            if run.find(&past, &here)?.is_some() {
                return Ok(None);
            }
            past.push(here.clone());
        }
        let made = match given.lambda(2) {
            Some(selector) => given.apply(run, selector, [here.clone()])?,
            None => here.clone(),
        };
        here = given.apply(run, needed(given, 1)?, [here.clone()])?;
        Ok(Some(made))
    };
    loop {
        match one_more(run) {
            Ok(Some(item)) => {
                if !out.push(item) {
                    return Datum::iter(out);
                }
            }
            Ok(None) => return Datum::iter(out),
            Err(fault) => {
                out.then = Some(fault);
                return Datum::iter(out);
            }
        }
    }
}

fn generate_many(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let (decycle, depth_first) = (given.flag(run, 2, false)?, given.flag(run, 3, false)?);
    let mut past = Vec::new();
    let mut out = Seq::default();
    let mut open = std::collections::VecDeque::from([given.it.clone()]);
    while let Some(here) = open.pop_front() {
        run.spend(1)?;
        if decycle {
            if run.find(&past, &here)?.is_some() {
                continue;
            }
            past.push(here.clone());
        }
        let made = match given.lambda(1) {
            Some(selector) => given.apply(run, selector, [here.clone()])?,
            None => here.clone(),
        };
        if !out.push(made) {
            break;
        }
        let next = iterable(&given.apply(run, needed(given, 0)?, [here])?)?.all()?;
        if depth_first {
            next.into_iter()
                .rev()
                .for_each(|item| open.push_front(item));
        } else {
            open.extend(next);
        }
    }
    Datum::iter(out)
}
