//! Choices, variables and what a value is.

use super::call::{Function, Given, On, as_text, either, method, plain};
use super::datum::{Datum, Scope, Seq};
use super::eval::Run;
use super::{Fault, MAX_ITEMS, Out};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("switch", On::Nothing, "=>", |run, given| {
        for (test, value) in given.pairs {
            if run.eval(test, given.scope)?.holds() {
                return run.eval(value, given.scope);
            }
        }
        Ok(Datum::Null)
    }),
    plain("selectCase", On::Nothing, "*", |run, given| {
        for (at, test) in given.rest.iter().enumerate() {
            if run.eval(test, given.scope)?.holds() {
                return Ok(Datum::count(at));
            }
        }
        Ok(Datum::count(given.rest.len()))
    }),
    plain("selectAllCases", On::Nothing, "*", |run, given| {
        let places = (0..given.rest.len()).map(Datum::count).collect::<Vec<_>>();
        let mut tests = given.rest.iter();
        Datum::iter(Seq::from(places).each(|at| {
            let holds = next(run, given, &mut tests)?;
            Ok(holds.then_some(at))
        }))
    }),
    plain("examine", On::Nothing, "*", |run, given| {
        let places = vec![Datum::Null; given.rest.len()];
        let mut tests = given.rest.iter();
        Datum::iter(
            Seq::from(places)
                .each(|_| next(run, given, &mut tests).map(|holds| Some(Datum::Bool(holds)))),
        )
    }),
    method("switchCase", On::Int, "*", |run, given| {
        let at = usize::try_from(given.whole()?).unwrap_or(usize::MAX);
        let chosen = given.rest.get(at).or(given.rest.last());
        chosen.map_or(Ok(Datum::Null), |chosen| run.eval(chosen, given.scope))
    }),
    plain("coalesce", On::Nothing, "*", |run, given| {
        for value in given.rest {
            let value = run.eval(value, given.scope)?;
            if !matches!(value, Datum::Null) {
                return Ok(value);
            }
        }
        Ok(Datum::Null)
    }),
    method("assert", On::Any, "condition message?", |run, given| {
        let holds = match given.lambda(0) {
            Some(condition) => given.apply(run, condition, [given.it.clone()])?.holds(),
            None => false,
        };
        if holds {
            return Ok(given.it.clone());
        }
        let message = given.maybe_text(run, 1)?;
        Err(Fault::new(message.as_deref().unwrap_or("Assertion failed")))
    }),
    plain("let", On::Nothing, "* =>", |run, given| {
        let mut variables = numbered(given.others(run)?);
        for (name, value) in given.pairs {
            let name = as_text(&run.eval(name, given.scope)?)?;
            variables.push((name.to_string(), run.eval(value, given.scope)?));
        }
        Scope::inside(Some(given.scope), variables).map(Datum::Scope)
    }),
    plain("with", On::Nothing, "*", |run, given| {
        let variables = numbered(given.others(run)?);
        Scope::inside(Some(given.scope), variables).map(Datum::Scope)
    }),
    method("unpack", On::Items, "*", unpack),
    plain("bool", On::Any, "", |_, given| {
        Ok(Datum::Bool(given.it.holds()))
    }),
    plain("isBoolean", On::Any, "", |_, given| {
        Ok(Datum::Bool(matches!(given.it, Datum::Bool(_))))
    }),
    plain("isDict", On::Any, "", |_, given| {
        Ok(Datum::Bool(matches!(given.it, Datum::Dict(_))))
    }),
    plain("isList", On::Any, "", |_, given| {
        Ok(Datum::Bool(matches!(given.it, Datum::List(_))))
    }),
    plain("isIterable", On::Any, "", |_, given| {
        Ok(Datum::Bool(matches!(
            given.it,
            Datum::List(_) | Datum::Set(_) | Datum::Iter(_) | Datum::Sorted(_)
        )))
    }),
    either("norm", On::MaybeText, "chars?", |run, given| {
        let trimmed = super::texts::trimmed(run, given, 0)?;
        Ok(trimmed
            .filter(|text| !text.is_empty())
            .map_or(Datum::Null, Datum::text))
    }),
];

fn next<'a>(
    run: &mut Run,
    given: &Given<'_>,
    tests: &mut impl Iterator<Item = &'a super::parser::Expr>,
) -> Out<bool> {
    let test = tests.next();
    test.map_or(Ok(false), |test| Ok(run.eval(test, given.scope)?.holds()))
}

fn numbered(values: Vec<Datum>) -> Vec<(String, Datum)> {
    let values = values.into_iter().enumerate();
    values
        .map(|(at, value)| ((at + 1).to_string(), value))
        .collect()
}

/// Items as variables: by number, or by the names that are given.
fn unpack(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let names = given.others(run)?;
    if names.is_empty() {
        let variables = numbered(given.items()?.all()?);
        return Scope::inside(Some(given.scope), variables).map(Datum::Scope);
    }
    let most = (names.len() + 1).min(MAX_ITEMS);
    let items = given.items()?.part(0, most).all()?;
    if items.len() != names.len() {
        let (items, names) = (items.len(), names.len());
        return Err(Fault::new(format!(
            "{items} items are not unpacked into {names} names"
        )));
    }
    let variables = names
        .iter()
        .zip(items)
        .map(|(name, item)| Ok((as_text(name)?.to_string(), item)));
    Scope::inside(Some(given.scope), variables.collect::<Out<_>>()?).map(Datum::Scope)
}
