//! What can be gone through, and how far.

use super::datum::{Datum, Seq};
use super::{Fault, MAX_ITEMS, Out};

/// The trouble with more items than one may go through.
pub(super) fn too_many() -> Fault {
    Fault::new(format!("a collection has more than {MAX_ITEMS} items"))
}

pub(super) fn bounded(length: usize) -> Out<()> {
    if length > MAX_ITEMS {
        return Err(too_many());
    }
    Ok(())
}

/// The items of what can be gone through; none for what cannot.
pub(super) fn seq(value: &Datum) -> Out<Option<Seq>> {
    Ok(Some(match value {
        Datum::List(list) | Datum::Set(list) => {
            bounded(list.items.len())?;
            list.items.clone().into()
        }
        Datum::Sorted(sorted) => sorted.items.clone().into(),
        Datum::Iter(seq) => Seq::clone(seq),
        Datum::Null
        | Datum::Bool(_)
        | Datum::Int(_)
        | Datum::Float(_)
        | Datum::Text(_)
        | Datum::Dict(_)
        | Datum::Pattern(_)
        | Datum::Scope(_) => return Ok(None),
    }))
}

/// The items of what must be gone through.
pub(super) fn iterable(value: &Datum) -> Out<Seq> {
    seq(value)?
        .ok_or_else(|| Fault::new(format!("a list is expected where {} stands", value.kind())))
}

/// All items of what must be gone through.
pub(super) fn items(value: &Datum) -> Out<Vec<Datum>> {
    iterable(value)?.all()
}

impl From<Vec<Datum>> for Seq {
    fn from(items: Vec<Datum>) -> Self {
        Self { items, then: None }
    }
}

impl Seq {
    /// All of them, or the trouble with one.
    pub fn all(self) -> Out<Vec<Datum>> {
        match self.then {
            Some(fault) => Err(fault),
            None => Ok(self.items),
        }
    }

    /// The first one, if there is one.
    pub fn first(self) -> Out<Option<Datum>> {
        match (self.items.into_iter().next(), self.then) {
            (Some(item), _) => Ok(Some(item)),
            (None, Some(fault)) => Err(fault),
            (None, None) => Ok(None),
        }
    }

    /// One item more; whether another one may follow.
    pub fn push(&mut self, item: Datum) -> bool {
        if self.then.is_some() {
            return false;
        }
        if self.items.len() >= MAX_ITEMS {
            self.then = Some(too_many());
            return false;
        }
        self.items.push(item);
        true
    }

    /// Another sequence after this one; whether more may follow.
    pub fn extend(&mut self, more: Self) -> bool {
        for item in more.items {
            if !self.push(item) {
                return false;
            }
        }
        if self.then.is_none() {
            self.then = more.then;
        }
        self.then.is_none()
    }

    /// What is made of each item, up to the first trouble; nothing leaves an item out.
    pub fn each(self, mut make: impl FnMut(Datum) -> Out<Option<Datum>>) -> Self {
        let mut out = Self::default();
        for item in self.items {
            match make(item) {
                Ok(Some(made)) => {
                    out.push(made);
                }
                Ok(None) => {}
                Err(fault) => {
                    out.then = Some(fault);
                    return out;
                }
            }
        }
        out.then = self.then;
        out
    }

    /// Nothing of it but the items between two places.
    pub fn part(mut self, from: usize, to: usize) -> Self {
        if to <= self.items.len() {
            self.then = None;
        }
        self.items.truncate(to);
        self.items.drain(..from.min(self.items.len()));
        self
    }
}
