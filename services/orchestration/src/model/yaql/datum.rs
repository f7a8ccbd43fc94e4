//! The values that expressions work on: those of JSON, and what the language has besides.

use std::rc::Rc;

use fancy_regex::Regex;
use serde_json::{Map, Number, Value};

use super::{Fault, Out};

/// Values hold values at most so deep: they are compared, shown and dropped by recursion.
const MAX_DEPTH: usize = 300;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Datum {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Rc<str>),
    List(Rc<List>),
    /// What can be gone through, and nothing else.
    Iter(Rc<Seq>),
    /// What is sorted; more keys can be added.
    Sorted(Rc<Sorted>),
    /// Each item once.
    Set(Rc<List>),
    Dict(Rc<Dict>),
    Pattern(Rc<Regex>),
    /// Variables that `->` hands on.
    Scope(Rc<Scope>),
}

/// Items, and how deep they are.
#[derive(Debug)]
pub(super) struct List {
    pub items: Vec<Datum>,
    depth: usize,
}

/// Keys with their values, in the order in which they were put.
#[derive(Debug)]
pub(super) struct Dict {
    pub pairs: Vec<(Datum, Datum)>,
    depth: usize,
}

/// Items, and the trouble that comes when one asks for more of them: the language works items out only when they are
/// asked for, so that a `first` does not see what is wrong with a later one.
#[derive(Clone, Debug, Default)]
pub(super) struct Seq {
    pub items: Vec<Datum>,
    pub then: Option<Fault>,
}

/// Items as they came, with their keys, and as they are sorted.
#[derive(Debug)]
pub(super) struct Sorted {
    pub given: Vec<(Datum, Vec<Datum>)>,
    /// For each key whether it ascends.
    pub rising: Vec<bool>,
    pub items: Vec<Datum>,
}

/// Variables, and those around them.
#[derive(Debug)]
pub(super) struct Scope {
    variables: Vec<(String, Datum)>,
    outer: Option<Rc<Scope>>,
    depth: usize,
}

impl Scope {
    /// Inside of another one.
    pub fn inside(outer: Option<&Rc<Self>>, variables: Vec<(String, Datum)>) -> Out<Rc<Self>> {
        let depth = variables.iter().map(|(_, value)| value.depth()).max();
        let depth = depth.max(outer.map(|outer| outer.depth)).unwrap_or(0);
        Ok(Rc::new(Self {
            variables,
            outer: outer.cloned(),
            depth: deeper(depth)?,
        }))
    }

    /// The value of a variable, nothing where there is none.
    pub fn get(&self, name: &str) -> Datum {
        let mut here = Some(self);
        while let Some(scope) = here {
            let found = scope
                .variables
                .iter()
                .rev()
                .find(|(known, _)| known == name);
            if let Some((_, value)) = found {
                return value.clone();
            }
            here = scope.outer.as_deref();
        }
        Datum::Null
    }
}

fn deeper(depth: usize) -> Out<usize> {
    if depth < MAX_DEPTH {
        return Ok(depth + 1);
    }
    Err(Fault::new(format!(
        "values stand in one another deeper than {MAX_DEPTH} levels"
    )))
}

fn deepest<'a>(items: impl Iterator<Item = &'a Datum>) -> Out<usize> {
    deeper(items.map(Datum::depth).max().unwrap_or(0))
}

impl Datum {
    pub fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub fn count(count: usize) -> Self {
        Self::Int(i128::try_from(count).unwrap_or(i128::MAX))
    }

    pub fn list(items: Vec<Self>) -> Out<Self> {
        let depth = deepest(items.iter())?;
        Ok(Self::List(Rc::new(List { items, depth })))
    }

    /// Items that are different already.
    pub fn set(items: Vec<Self>) -> Out<Self> {
        let depth = deepest(items.iter())?;
        Ok(Self::Set(Rc::new(List { items, depth })))
    }

    /// Pairs with different keys.
    pub fn dict(pairs: Vec<(Self, Self)>) -> Out<Self> {
        let depth = deepest(pairs.iter().flat_map(|(key, value)| [key, value]))?;
        Ok(Self::Dict(Rc::new(Dict { pairs, depth })))
    }

    pub fn iter(seq: Seq) -> Out<Self> {
        deepest(seq.items.iter())?;
        Ok(Self::Iter(Rc::new(seq)))
    }

    fn depth(&self) -> usize {
        let of = |items: &[Self]| items.iter().map(Self::depth).max().unwrap_or(0) + 1;
        match self {
            Self::List(list) | Self::Set(list) => list.depth,
            Self::Dict(dict) => dict.depth,
            Self::Iter(seq) => of(&seq.items),
            Self::Sorted(sorted) => of(&sorted.items),
            Self::Scope(scope) => scope.depth,
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Pattern(_) => 0,
        }
    }

    /// Steps that it takes to copy it, besides one.
    pub fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len() / 64,
            Self::List(list) | Self::Set(list) => list.items.len() / 8,
            Self::Iter(seq) => seq.items.len() / 8,
            Self::Sorted(sorted) => sorted.items.len() / 8,
            Self::Dict(dict) => dict.pairs.len() / 8,
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Pattern(_)
            | Self::Scope(_) => 0,
        }
    }

    /// Whether it counts as true.
    pub fn holds(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) | Self::Set(list) => !list.items.is_empty(),
            Self::Dict(dict) => !dict.pairs.is_empty(),
            Self::Iter(_) | Self::Sorted(_) | Self::Pattern(_) | Self::Scope(_) => true,
        }
    }

    /// What it is, in a word, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Iter(_) | Self::Sorted(_) => "an iterator",
            Self::Set(_) => "a set",
            Self::Dict(_) => "a map",
            Self::Pattern(_) => "a pattern",
            Self::Scope(_) => "a context",
        }
    }

    /// A value of JSON. `work` is told of each value.
    pub fn of(value: &Value, work: &mut dyn FnMut(usize) -> Out<()>) -> Out<Self> {
        work(1)?;
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Self::Int(number.into()),
                (None, Some(number)) => Self::Int(number.into()),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::text(text.as_str()),
            Value::Array(items) => {
                let items = items.iter().map(|item| Self::of(item, work));
                Self::list(items.collect::<Out<_>>()?)?
            }
            Value::Object(map) => {
                let pairs = map
                    .iter()
                    .map(|(key, value)| Ok((Self::text(key.as_str()), Self::of(value, work)?)));
                Self::dict(pairs.collect::<Out<_>>()?)?
            }
        })
    }

    /// The value as JSON has it. `work` is told of each value, and longer texts count as several: values that share
    /// their parts are written out.
    pub fn shown(&self, work: &mut dyn FnMut(usize) -> Out<()>) -> Out<Value> {
        work(1)?;
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(number) => Value::Number(whole(*number)?),
            Self::Float(number) => {
                let number = Number::from_f64(*number);
                Value::Number(number.ok_or_else(|| Fault::new("the result is no number"))?)
            }
            Self::Text(text) => {
                work(text.len() / 64)?;
                Value::String(text.to_string())
            }
            Self::List(_) | Self::Set(_) | Self::Iter(_) | Self::Sorted(_) => {
                let items = super::sequence::items(self)?;
                let items = items.iter().map(|item| item.shown(work));
                Value::Array(items.collect::<Out<_>>()?)
            }
            Self::Dict(dict) => {
                super::sequence::bounded(dict.pairs.len())?;
                let mut map = Map::new();
                for (key, value) in &dict.pairs {
                    let key = match key {
                        Self::Null => "null".to_owned(),
                        Self::Bool(value) => value.to_string(),
                        Self::Int(number) => number.to_string(),
                        Self::Float(number) => super::show::float(*number),
                        Self::Text(text) => text.to_string(),
                        other => {
                            return Err(Fault::new(format!("{} is no key", other.kind())));
                        }
                    };
                    work(key.len() / 64)?;
                    map.insert(key, value.shown(work)?);
                }
                Value::Object(map)
            }
            Self::Pattern(_) | Self::Scope(_) => {
                return Err(Fault::new(format!("the result is {}", self.kind())));
            }
        })
    }
}

fn whole(number: i128) -> Out<Number> {
    let small = i64::try_from(number).map(Number::from);
    small
        .or_else(|_| u64::try_from(number).map(Number::from))
        .map_err(|_| Fault::new("the result is too large a number"))
}
