//! Calls of functions and methods, and what they are given.

use std::rc::Rc;

use super::datum::{Datum, Scope, Seq};
use super::eval::{Run, weigh};
use super::parser::{Args, Expr};
use super::sequence::iterable;
use super::{
    Fault, Out, branches, dicts, groups, lists, numbers, patterns, queries, sets, sort, texts,
};

/// A function of the language. Of several with one name the first one is taken that fits what it is given.
pub(super) struct Function {
    name: &'static str,
    how: How,
    on: On,
    /// The names of what follows the first value: `name?` may be left out, `*` stands for any number of values more,
    /// `=>` for pairs.
    params: &'static str,
    run: Code,
}

type Code = fn(&mut Run, &Given<'_>) -> Out<Datum>;

/// How it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// `name(value)`.
    Plain,
    /// `value.name()`.
    Method,
    /// Both.
    Either,
}

/// What the first value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// There is no first value.
    Nothing,
    Any,
    Int,
    Number,
    Text,
    /// A text or nothing.
    MaybeText,
    /// What can be gone through.
    Items,
    List,
    Set,
    Dict,
    Sorted,
    Pattern,
}

impl On {
    fn fits(self, value: &Datum) -> bool {
        match self {
            Self::Nothing => false,
            Self::Any => true,
            Self::Int => matches!(value, Datum::Int(_)),
            Self::Number => matches!(value, Datum::Int(_) | Datum::Float(_)),
            Self::Text => matches!(value, Datum::Text(_)),
            Self::MaybeText => matches!(value, Datum::Text(_) | Datum::Null),
            Self::Items => matches!(
                value,
                Datum::List(_) | Datum::Iter(_) | Datum::Sorted(_) | Datum::Set(_)
            ),
            Self::List => matches!(value, Datum::List(_)),
            Self::Set => matches!(value, Datum::Set(_)),
            Self::Dict => matches!(value, Datum::Dict(_)),
            Self::Sorted => matches!(value, Datum::Sorted(_)),
            Self::Pattern => matches!(value, Datum::Pattern(_)),
        }
    }
}

pub(super) const fn plain(name: &'static str, on: On, params: &'static str, run: Code) -> Function {
    Function {
        name,
        how: How::Plain,
        on,
        params,
        run,
    }
}

pub(super) const fn method(
    name: &'static str,
    on: On,
    params: &'static str,
    run: Code,
) -> Function {
    Function {
        name,
        how: How::Method,
        on,
        params,
        run,
    }
}

pub(super) const fn either(
    name: &'static str,
    on: On,
    params: &'static str,
    run: Code,
) -> Function {
    Function {
        name,
        how: How::Either,
        on,
        params,
        run,
    }
}

const ALL: [&[Function]; 10] = [
    branches::FUNCTIONS,
    dicts::FUNCTIONS,
    groups::FUNCTIONS,
    lists::FUNCTIONS,
    numbers::FUNCTIONS,
    patterns::FUNCTIONS,
    queries::FUNCTIONS,
    sets::FUNCTIONS,
    sort::FUNCTIONS,
    texts::FUNCTIONS,
];

fn named<'a>(name: &'a str, other: How) -> impl Iterator<Item = &'static Function> + 'a {
    let all = ALL.into_iter().flatten();
    all.filter(move |function| function.name == name && function.how != other)
}

fn unknown(name: &str) -> Fault {
    Fault::new(format!("yaql function '{name}' is not available here"))
}

/// What a call is given.
pub(super) struct Given<'a> {
    /// The first value.
    pub it: Datum,
    /// What is given for each name that the function has after that.
    slots: Vec<Option<&'a Expr>>,
    /// The values beyond.
    pub rest: &'a [Expr],
    pub pairs: &'a [(Expr, Expr)],
    pub scope: &'a Rc<Scope>,
}

/// Calls a function.
pub(super) fn function(run: &mut Run, name: &str, args: &Args, scope: &Rc<Scope>) -> Out<Datum> {
    call(run, None, (name, args), scope)
}

/// Calls a method of a value.
pub(super) fn method_of(
    run: &mut Run,
    it: Datum,
    named: (&str, &Args),
    scope: &Rc<Scope>,
) -> Out<Datum> {
    call(run, Some(it), named, scope)
}

/// Calls what is called so: with the value that it is a method of, or else with the first value that it is given.
fn call(
    run: &mut Run,
    of: Option<Datum>,
    (name, args): (&str, &Args),
    scope: &Rc<Scope>,
) -> Out<Datum> {
    let other = if of.is_some() {
        How::Plain
    } else {
        How::Method
    };
    // Worked out once, whoever of that name takes it.
    let mut first = of.clone();
    let mut is_known = false;
    for function in named(name, other) {
        is_known = true;
        let alone = of.is_none() && function.on == On::Nothing;
        let (one, others) = if alone || of.is_some() {
            (None, args.plain.as_slice())
        } else {
            let Some((one, others)) = args.plain.split_first() else {
                continue;
            };
            (Some(one), others)
        };
        let Some((slots, rest)) = bind(function, others, args) else {
            continue;
        };
        if let (Some(one), None) = (one, &first) {
            first = Some(run.eval(one, scope)?);
        }
        let it = match &first {
            _ if alone => Datum::Null,
            Some(it) if function.on.fits(it) => it.clone(),
            _does_not_fit => continue,
        };
        let pairs = args.named.as_slice();
        let given = Given {
            it,
            slots,
            rest,
            pairs,
            scope,
        };
        return done(run, function, &given);
    }
    if !is_known {
        return Err(unknown(name));
    }
    let of = of.map(|it| format!(" of {}", it.kind()));
    Err(Fault::new(format!(
        "yaql function '{name}'{} does not take what it is given",
        of.unwrap_or_default()
    )))
}

fn done(run: &mut Run, function: &Function, given: &Given<'_>) -> Out<Datum> {
    run.spend(1 + given.it.size())?;
    weigh(&given.it)?;
    let result = (function.run)(run, given)?;
    weigh(&result)?;
    run.spend(result.size())?;
    Ok(result)
}

type Bound<'a> = (Vec<Option<&'a Expr>>, &'a [Expr]);

/// Gives each name its expression; nothing where they do not fit.
fn bind<'a>(function: &Function, plain: &'a [Expr], args: &'a Args) -> Option<Bound<'a>> {
    let mut names = Vec::new();
    let (mut more, mut pairs) = (false, false);
    for name in function.params.split(' ').filter(|name| !name.is_empty()) {
        match name {
            "*" => more = true,
            "=>" => pairs = true,
            name => names.push(name),
        }
    }
    let (fixed, rest) = plain.split_at(plain.len().min(names.len()));
    if !rest.is_empty() && !more {
        return None;
    }
    let mut slots: Vec<Option<&Expr>> = fixed.iter().map(Some).collect();
    slots.resize(names.len(), None);
    if !pairs {
        for (key, value) in &args.named {
            let super::parser::What::Name(key) = &key.what else {
                return None;
            };
            let at = names
                .iter()
                .position(|name| name.trim_end_matches('?') == key)?;
            let slot = slots.get_mut(at).filter(|slot| slot.is_none())?;
            *slot = Some(value);
        }
    }
    let missing = names
        .iter()
        .zip(&slots)
        .any(|(name, slot)| slot.is_none() && !name.ends_with('?'));
    (!missing).then_some((slots, rest))
}

impl<'a> Given<'a> {
    /// The expression for a name, to be worked out for each item.
    pub fn lambda(&self, at: usize) -> Option<&'a Expr> {
        self.slots.get(at).copied().flatten()
    }

    /// The value for a name that may be left out.
    pub fn maybe(&self, run: &mut Run, at: usize) -> Out<Option<Datum>> {
        let value = self.lambda(at).map(|expr| run.eval(expr, self.scope));
        value.transpose()
    }

    pub fn value(&self, run: &mut Run, at: usize) -> Out<Datum> {
        self.maybe(run, at)?
            .ok_or_else(|| Fault::new("a value is missing"))
    }

    pub fn int(&self, run: &mut Run, at: usize) -> Out<i128> {
        as_int(&self.value(run, at)?)
    }

    pub fn int_or(&self, run: &mut Run, at: usize, other: i128) -> Out<i128> {
        self.maybe(run, at)?
            .map_or(Ok(other), |value| as_int(&value))
    }

    pub fn flag(&self, run: &mut Run, at: usize, other: bool) -> Out<bool> {
        Ok(self.maybe(run, at)?.map_or(other, |value| value.holds()))
    }

    pub fn text(&self, run: &mut Run, at: usize) -> Out<Rc<str>> {
        as_text(&self.value(run, at)?)
    }

    pub fn maybe_text(&self, run: &mut Run, at: usize) -> Out<Option<Rc<str>>> {
        match self.maybe(run, at)? {
            None | Some(Datum::Null) => Ok(None),
            Some(value) => as_text(&value).map(Some),
        }
    }

    pub fn seq(&self, run: &mut Run, at: usize) -> Out<Seq> {
        iterable(&self.value(run, at)?)
    }

    /// The first value as a text.
    pub fn own_text(&self) -> Out<Rc<str>> {
        as_text(&self.it)
    }

    /// The first value as a whole number.
    pub fn whole(&self) -> Out<i128> {
        as_int(&self.it)
    }

    /// The items of the first value.
    pub fn items(&self) -> Out<Seq> {
        iterable(&self.it)
    }

    /// The values beyond those with names.
    pub fn others(&self, run: &mut Run) -> Out<Vec<Datum>> {
        let rest = self.rest.iter();
        rest.map(|expr| run.eval(expr, self.scope)).collect()
    }

    /// An expression worked out for values, which are `$1`, `$2` and so on in it; `$` is `$1`.
    pub fn apply<const N: usize>(
        &self,
        run: &mut Run,
        expr: &Expr,
        values: [Datum; N],
    ) -> Out<Datum> {
        let numbered = values.into_iter().enumerate();
        let variables = numbered.map(|(at, value)| ((at + 1).to_string(), value));
        let scope = Scope::inside(Some(self.scope), variables.collect())?;
        run.eval(expr, &scope)
    }
}

fn as_int(value: &Datum) -> Out<i128> {
    match value {
        Datum::Int(number) => Ok(*number),
        Datum::Bool(value) => Ok(i128::from(*value)),
        other => Err(Fault::new(format!(
            "a whole number is expected where {} stands",
            other.kind()
        ))),
    }
}

pub(super) fn as_text(value: &Datum) -> Out<Rc<str>> {
    match value {
        Datum::Text(text) => Ok(Rc::clone(text)),
        other => Err(Fault::new(format!(
            "a text is expected where {} stands",
            other.kind()
        ))),
    }
}
