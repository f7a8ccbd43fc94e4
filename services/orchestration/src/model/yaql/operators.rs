//! What operators give.

use super::datum::{Datum, Seq};
use super::eval::Run;
use super::sequence::{iterable, seq};
use super::{Fault, MAX_LIST, MAX_TEXT, Out, numbers, patterns, sets};

/// An operator before a value.
pub(super) fn unary(sign: &str, value: &Datum) -> Out<Datum> {
    match (sign, value) {
        ("not", value) => Ok(Datum::Bool(!value.holds())),
        ("-", Datum::Int(number)) => Ok(Datum::Int(
            number.checked_neg().ok_or_else(numbers::too_large)?,
        )),
        ("-", Datum::Float(number)) => Ok(Datum::Float(-number)),
        (_plus, Datum::Int(_) | Datum::Float(_)) if sign == "+" => Ok(value.clone()),
        _other => Err(Fault::new(format!(
            "'{sign}' does not stand before {}",
            value.kind()
        ))),
    }
}

/// An operator between two values.
pub(super) fn binary(run: &mut Run, sign: &str, left: &Datum, right: &Datum) -> Out<Datum> {
    let unfit = || {
        Fault::new(format!(
            "'{sign}' does not stand between {} and {}",
            left.kind(),
            right.kind()
        ))
    };
    let known = match sign {
        "=" => Some(Datum::Bool(run.same(left, right)?)),
        "!=" => Some(Datum::Bool(!run.same(left, right)?)),
        "<" => Some(Datum::Bool(less(run, left, right)?)),
        ">" => Some(Datum::Bool(less(run, right, left)?)),
        "<=" => Some(Datum::Bool(at_most(run, left, right)?)),
        ">=" => Some(Datum::Bool(at_most(run, right, left)?)),
        "in" => is_in(run, left, right)?.map(Datum::Bool),
        "=~" => Some(Datum::Bool(patterns::finds(run, left, right)?)),
        "!~" => Some(Datum::Bool(!patterns::finds(run, left, right)?)),
        "+" => plus(run, left, right)?,
        "*" => times(left, right)?,
        "-" => match (left, right) {
            (Datum::Set(left), Datum::Set(right)) => {
                Some(sets::without(run, &left.items, &right.items)?)
            }
            _other => numbers::arithmetic(sign, left, right)?,
        },
        _other => numbers::arithmetic(sign, left, right)?,
    };
    known.ok_or_else(unfit)
}

fn is_number(value: &Datum) -> bool {
    matches!(value, Datum::Int(_) | Datum::Float(_))
}

/// Whether two values are the same number; true is 1.
pub(super) fn same_number(left: &Datum, right: &Datum) -> bool {
    let whole = |value: &Datum| match value {
        Datum::Bool(value) => Some(i128::from(*value)),
        Datum::Int(number) => Some(*number),
        _other => None,
    };
    if let (Some(left), Some(right)) = (whole(left), whole(right)) {
        return left == right;
    }
    let real = |value: &Datum| match value {
        Datum::Bool(value) => Some(f64::from(u8::from(*value))),
        other => numbers::real(other),
    };
    matches!((real(left), real(right)), (Some(left), Some(right)) if left.total_cmp(&right).is_eq() || (left == 0.0 && right == 0.0))
}

/// Whether one value comes before another. Nothing comes before everything else.
pub(super) fn less(run: &mut Run, left: &Datum, right: &Datum) -> Out<bool> {
    run.spend(1)?;
    Ok(match (left, right) {
        (_, Datum::Null) => false,
        (Datum::Null, _) => true,
        (Datum::Text(left), Datum::Text(right)) => left < right,
        (Datum::Int(left), Datum::Int(right)) => left < right,
        (Datum::Set(one), Datum::Set(other)) => {
            one.items.len() < other.items.len() && run.within(&one.items, &other.items)?
        }
        _other => reals(left, right)?.is_some_and(|(left, right)| left < right),
    })
}

fn at_most(run: &mut Run, left: &Datum, right: &Datum) -> Out<bool> {
    Ok(match (left, right) {
        (Datum::Null, _) => true,
        (_, Datum::Null) => false,
        (Datum::Text(left), Datum::Text(right)) => left <= right,
        (Datum::Int(left), Datum::Int(right)) => left <= right,
        (Datum::Set(one), Datum::Set(other)) => run.within(&one.items, &other.items)?,
        _other => reals(left, right)?.is_some_and(|(left, right)| left <= right),
    })
}

/// Two numbers; an error where they are none.
fn reals(left: &Datum, right: &Datum) -> Out<Option<(f64, f64)>> {
    if is_number(left) && is_number(right) {
        return Ok(numbers::real(left).zip(numbers::real(right)));
    }
    Err(Fault::new(format!(
        "{} and {} are not compared",
        left.kind(),
        right.kind()
    )))
}

fn is_in(run: &mut Run, left: &Datum, right: &Datum) -> Out<Option<bool>> {
    if let (Datum::Text(left), Datum::Text(right)) = (left, right) {
        return Ok(Some(right.contains(&**left)));
    }
    let Some(items) = seq(right)? else {
        return Ok(None);
    };
    has(run, items, left).map(Some)
}

/// Whether an item is among others.
pub(super) fn has(run: &mut Run, items: Seq, wanted: &Datum) -> Out<bool> {
    if run.find(&items.items, wanted)?.is_some() {
        return Ok(true);
    }
    items.then.map_or(Ok(false), Err)
}

/// Numbers added, texts, lists and maps put together.
pub(super) fn plus(run: &mut Run, left: &Datum, right: &Datum) -> Out<Option<Datum>> {
    run.spend(left.size() + right.size())?;
    match (left, right) {
        (Datum::Text(left), Datum::Text(right)) => Ok(Some(Datum::text(format!("{left}{right}")))),
        (Datum::List(left), Datum::List(right)) => {
            let longest = left.items.len().max(right.items.len());
            super::sequence::bounded(longest)?;
            let all = left.items.iter().chain(&right.items).cloned().collect();
            Datum::list(all).map(Some)
        }
        (Datum::Set(left), Datum::Set(right)) => {
            let all = left.items.iter().chain(&right.items).cloned();
            run.unique(all).and_then(Datum::set).map(Some)
        }
        (Datum::Dict(left), Datum::Dict(right)) => {
            let mut pairs = left.pairs.clone();
            for (key, value) in &right.pairs {
                run.put(&mut pairs, key.clone(), value.clone())?;
            }
            Datum::dict(pairs).map(Some)
        }
        _other if is_number(left) || is_number(right) => numbers::arithmetic("+", left, right),
        _other => {
            if seq(left)?.is_none() || seq(right)?.is_none() {
                return Ok(None);
            }
            let mut all = iterable(left)?;
            all.extend(iterable(right)?);
            Datum::iter(all).map(Some)
        }
    }
}

/// Numbers multiplied, a text or a list so many times.
fn times(left: &Datum, right: &Datum) -> Out<Option<Datum>> {
    let (many, count) = match (left, right) {
        (Datum::Text(_) | Datum::List(_), Datum::Int(count)) => (left, *count),
        (Datum::Int(count), Datum::Text(_) | Datum::List(_)) => (right, *count),
        _other => return numbers::arithmetic("*", left, right),
    };
    let count = usize::try_from(count.max(0)).map_err(|_| Fault::too_much())?;
    let fits = |length: usize, most: usize| {
        let all = length.checked_mul(count).filter(|all| *all <= most);
        all.map(drop).ok_or_else(Fault::too_much)
    };
    match many {
        Datum::Text(text) => {
            fits(text.len(), MAX_TEXT * 4)?;
            Ok(Some(Datum::text(text.repeat(count))))
        }
        Datum::List(list) => {
            fits(list.items.len(), MAX_LIST)?;
            let all = std::iter::repeat_n(&list.items, count).flatten().cloned();
            Datum::list(all.collect()).map(Some)
        }
        _other => Ok(None),
    }
}
