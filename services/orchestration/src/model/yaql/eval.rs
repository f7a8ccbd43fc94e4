//! Works expressions out.

use std::collections::HashMap;
use std::rc::Rc;

use fancy_regex::Regex;

use super::datum::{Datum, Dict, Scope};
use super::parser::{Expr, What};
use super::sequence::{seq, too_many};
use super::{Fault, MAX_LIST, MAX_TEXT, Out, call, operators};

/// The working out of one expression.
pub(super) struct Run {
    most: usize,
    taken: usize,
    /// Those that are compiled already, by their text.
    pub patterns: HashMap<String, Rc<Regex>>,
}

impl Run {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            taken: 0,
            patterns: HashMap::new(),
        }
    }

    /// Takes note of so many steps.
    pub fn spend(&mut self, steps: usize) -> Out<()> {
        self.taken = self.taken.saturating_add(steps);
        if self.taken <= self.most {
            return Ok(());
        }
        Err(Fault::new(format!(
            "it takes more than {} steps",
            self.most
        )))
    }

    /// The steps that were taken.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// What an expression gives in a context.
    pub fn eval(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Out<Datum> {
        self.spend(1)?;
        match &expr.what {
            What::Null => Ok(Datum::Null),
            What::Bool(value) => Ok(Datum::Bool(*value)),
            What::Int(number) => Ok(Datum::Int(*number)),
            What::Float(number) => Ok(Datum::Float(*number)),
            What::Text(text) | What::Name(text) => Ok(Datum::text(text.as_str())),
            What::Variable(name) => Ok(scope.get(if name.is_empty() { "1" } else { name })),
            What::List(parts) => Datum::list(self.all(parts, scope)?),
            What::Map(pairs) => self.pairs(pairs, scope).and_then(Datum::dict),
            What::Group(inside) => self.eval(inside, scope),
            What::Index(value, parts) => self.index(value, parts, scope),
            What::Unary(sign, value) => operators::unary(sign, &self.eval(value, scope)?),
            What::Binary(sign, left, right) => self.binary(sign, (left, right), scope),
            What::Call(name, args) => call::function(self, name, args, scope),
        }
    }

    fn all(&mut self, parts: &[Expr], scope: &Rc<Scope>) -> Out<Vec<Datum>> {
        parts.iter().map(|part| self.eval(part, scope)).collect()
    }

    /// Pairs that an expression names.
    pub fn pairs(&mut self, pairs: &[(Expr, Expr)], scope: &Rc<Scope>) -> Out<Vec<(Datum, Datum)>> {
        let mut out = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key = self.eval(key, scope)?;
            let value = self.eval(value, scope)?;
            self.put(&mut out, key, value)?;
        }
        Ok(out)
    }

    fn binary(
        &mut self,
        sign: &'static str,
        (left, right): (&Expr, &Expr),
        scope: &Rc<Scope>,
    ) -> Out<Datum> {
        let left = self.eval(left, scope)?;
        match sign {
            "." => self.dot(left, right, scope),
            "?." if matches!(left, Datum::Null) => Ok(Datum::Null),
            "?." => self.dot(left, right, scope),
            "and" if !left.holds() => Ok(left),
            "or" if left.holds() => Ok(left),
            "and" | "or" => self.eval(right, scope),
            "->" => match left {
                Datum::Scope(inner) => self.eval(right, &inner),
                other => Err(Fault::new(format!("'->' does not follow {}", other.kind()))),
            },
            _other => {
                let right = self.eval(right, scope)?;
                let result = operators::binary(self, sign, &left, &right)?;
                weigh(&result)?;
                Ok(result)
            }
        }
    }

    fn dot(&mut self, left: Datum, right: &Expr, scope: &Rc<Scope>) -> Out<Datum> {
        match &right.what {
            What::Call(name, args) => call::method_of(self, left, (name, args), scope),
            What::Name(name) => self.member(&left, name),
            _other => Err(Fault::new(
                "after a point the name of a member or of a method is expected",
            )),
        }
    }

    /// A member of a map; of the items of a list, each one's.
    fn member(&mut self, of: &Datum, name: &str) -> Out<Datum> {
        self.spend(1)?;
        if let Datum::Dict(dict) = of {
            let key = Datum::text(name);
            let found = self.lookup(dict, &key)?;
            return found.ok_or_else(|| Fault::new(format!("the map has no key '{name}'")));
        }
        let items =
            seq(of)?.ok_or_else(|| Fault::new(format!("{} has no member '{name}'", of.kind())))?;
        Datum::iter(items.each(|item| self.member(&item, name).map(Some)))
    }

    fn index(&mut self, value: &Expr, parts: &[Expr], scope: &Rc<Scope>) -> Out<Datum> {
        let value = self.eval(value, scope)?;
        let parts = self.all(parts, scope)?;
        match (&value, parts.as_slice()) {
            (Datum::Dict(dict), [key]) => {
                let found = self.lookup(dict, key)?;
                found.ok_or_else(|| Fault::new("the map has no such key"))
            }
            (Datum::Dict(dict), [key, other]) => {
                Ok(self.lookup(dict, key)?.unwrap_or_else(|| other.clone()))
            }
            (Datum::List(list), [Datum::Int(at)]) => position(*at, list.items.len())
                .and_then(|at| list.items.get(at))
                .cloned()
                .ok_or_else(|| Fault::new(format!("the list has no item {at}"))),
            (Datum::Iter(_) | Datum::Sorted(_), [_]) => Err(Fault::new(
                "an iterator has no places; toList() makes a list of it",
            )),
            _other => Err(Fault::new(format!(
                "{} has nothing at such an index",
                value.kind()
            ))),
        }
    }

    /// The value of a key.
    pub fn lookup(&mut self, dict: &Dict, key: &Datum) -> Out<Option<Datum>> {
        let at = self.place(&dict.pairs, key)?;
        Ok(at
            .and_then(|at| dict.pairs.get(at))
            .map(|(_, value)| value.clone()))
    }

    fn place(&mut self, pairs: &[(Datum, Datum)], key: &Datum) -> Out<Option<usize>> {
        self.spend(1 + pairs.len() / 16)?;
        if let Datum::Text(text) = key {
            return Ok(pairs
                .iter()
                .position(|(known, _)| matches!(known, Datum::Text(known) if known == text)));
        }
        for (at, (known, _)) in pairs.iter().enumerate() {
            if self.same(known, key)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Gives a key a value, in the place where it has one already.
    pub fn put(&mut self, pairs: &mut Vec<(Datum, Datum)>, key: Datum, value: Datum) -> Out<()> {
        let at = self.place(pairs, &key)?;
        match at.and_then(|at| pairs.get_mut(at)) {
            Some((_, known)) => *known = value,
            None => pairs.push((key, value)),
        }
        Ok(())
    }

    /// Where an item stands first.
    pub fn find(&mut self, items: &[Datum], wanted: &Datum) -> Out<Option<usize>> {
        for (at, item) in items.iter().enumerate() {
            if self.same(item, wanted)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Each item once.
    pub fn unique(&mut self, items: impl IntoIterator<Item = Datum>) -> Out<Vec<Datum>> {
        let mut out: Vec<Datum> = Vec::new();
        for item in items {
            if self.find(&out, &item)?.is_none() {
                out.push(item);
            }
        }
        Ok(out)
    }

    /// Whether two values are the same: 1, 1.0 and true are.
    pub fn same(&mut self, left: &Datum, right: &Datum) -> Out<bool> {
        self.spend(1)?;
        Ok(match (left, right) {
            (Datum::Null, Datum::Null) => true,
            (Datum::Text(left), Datum::Text(right)) => {
                self.spend(left.len().min(right.len()) / 64)?;
                left == right
            }
            (Datum::List(left), Datum::List(right)) => {
                if left.items.len() != right.items.len() {
                    return Ok(false);
                }
                for (left, right) in left.items.iter().zip(&right.items) {
                    if !self.same(left, right)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Datum::Set(one), Datum::Set(other)) => {
                one.items.len() == other.items.len() && self.within(&one.items, &other.items)?
            }
            (Datum::Dict(left), Datum::Dict(right)) => {
                if left.pairs.len() != right.pairs.len() {
                    return Ok(false);
                }
                for (key, value) in &left.pairs {
                    match self.lookup(right, key)? {
                        Some(other) if self.same(value, &other)? => {}
                        _other => return Ok(false),
                    }
                }
                true
            }
            (Datum::Iter(left), Datum::Iter(right)) => Rc::ptr_eq(left, right),
            _other => operators::same_number(left, right),
        })
    }

    /// Whether each of these items is among those.
    pub fn within(&mut self, these: &[Datum], those: &[Datum]) -> Out<bool> {
        for item in these {
            if self.find(those, item)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A place in a list; -1 is the last one.
pub(super) fn position(at: i128, length: usize) -> Option<usize> {
    let length = i128::try_from(length).ok()?;
    let at = if at < 0 { at.checked_add(length)? } else { at };
    usize::try_from(at).ok()
}

/// Refuses a value that takes too much memory.
pub(super) fn weigh(value: &Datum) -> Out<()> {
    match value {
        Datum::Text(text) if text.len() > MAX_TEXT => {
            // Letters take one, two or four bytes each, all of them as many as the largest one.
            let each = match text.chars().max() {
                Some(letter) if letter > '\u{ffff}' => 4,
                Some(letter) if letter > '\u{ff}' => 2,
                _other => 1,
            };
            if text.chars().count().saturating_mul(each) > MAX_TEXT {
                return Err(Fault::too_much());
            }
            Ok(())
        }
        Datum::List(list) if list.items.len() > MAX_LIST => Err(Fault::too_much()),
        Datum::Set(list) if list.items.len() > MAX_LIST => Err(too_many()),
        _other => Ok(()),
    }
}
