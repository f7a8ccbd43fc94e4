//! All providers as they stand in the database, in memory: what searches and lists read.
//!
//! Invariant: the index describes exactly the providers of the list. Positions in the list are the handles of a search;
//! they mean nothing beyond the [`Providers`] that gave them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use nephos_types::Timestamp;

use super::provider::Stocked;
use super::{AggregateId, ClassName, ProviderId, TraitName, names};

/// A custom class or trait.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Custom {
    pub name: String,
    pub created_at: Timestamp,
}

/// Custom names, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Names {
    pub classes: Vec<Custom>,
    pub traits: Vec<Custom>,
}

/// Where the database stood when it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Revision {
    pub number: i64,
    pub names_at: i64,
    pub removed_at: i64,
}

/// All providers, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Providers {
    pub revision: Revision,
    pub names: Arc<Names>,
    list: Vec<Arc<Stocked>>,
    index: Arc<Index>,
}

#[derive(Debug, Default)]
struct Index {
    position: HashMap<ProviderId, usize>,
    /// The root of each.
    root: Vec<usize>,
    /// The parent of each.
    parent: Vec<Option<usize>>,
    /// The providers of each root's tree.
    tree: HashMap<usize, Vec<usize>>,
    in_aggregate: HashMap<AggregateId, Vec<usize>>,
    sharing: BTreeSet<usize>,
    nested: bool,
}

impl Providers {
    /// These with `changed` put in or replaced. `whole`: `changed` is all there is.
    pub(crate) fn with(&self, revision: Revision, changed: Vec<Stocked>, whole: bool) -> Self {
        let mut list = if whole { Vec::new() } else { self.list.clone() };
        let mut same_shape = !whole;
        for new in changed {
            let at = self.index.position.get(&new.provider.id).copied();
            match at.and_then(|at| list.get_mut(at)).filter(|_| !whole) {
                Some(old) => {
                    same_shape = same_shape && has_same_place(old, &new);
                    *old = Arc::new(new);
                }
                None => {
                    same_shape = false;
                    list.push(Arc::new(new));
                }
            }
        }
        let index = if same_shape {
            Arc::clone(&self.index)
        } else {
            list.sort_by_key(|stocked| stocked.provider.created_in);
            Arc::new(Index::of(&list))
        };
        let names = Arc::clone(&self.names);
        Self {
            revision,
            names,
            list,
            index,
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Arc<Stocked>] {
        &self.list
    }

    /// One by its id.
    pub(crate) fn get(&self, id: &ProviderId) -> Option<&Arc<Stocked>> {
        self.list.get(self.position(id)?)
    }

    /// Where it stands.
    pub(crate) fn position(&self, id: &ProviderId) -> Option<usize> {
        self.index.position.get(id).copied()
    }

    /// The one at a position.
    pub(crate) fn at(&self, position: usize) -> Option<&Arc<Stocked>> {
        self.list.get(position)
    }

    /// The root of the tree it stands in.
    pub(crate) fn root(&self, position: usize) -> usize {
        self.index.root.get(position).copied().unwrap_or(position)
    }

    /// Everything in the tree of a root.
    pub(crate) fn tree(&self, root: usize) -> &[usize] {
        self.index.tree.get(&root).map_or(&[], Vec::as_slice)
    }

    /// The roots.
    pub(crate) fn roots(&self) -> impl Iterator<Item = usize> {
        let roots = self.index.parent.iter().enumerate();
        roots
            .filter(|(_, parent)| parent.is_none())
            .map(|(at, _)| at)
    }

    /// It and everything above it.
    pub(crate) fn ancestry(&self, position: usize) -> Vec<usize> {
        let mut line = vec![position];
        let mut at = position;
        while let Some(Some(parent)) = self.index.parent.get(at) {
            // A loop cannot be written; a damaged database must not hang a search.
            if line.contains(parent) {
                break;
            }
            line.push(*parent);
            at = *parent;
        }
        line
    }

    /// Whether it offers its stock to other trees.
    pub(crate) fn is_sharing(&self, position: usize) -> bool {
        self.index.sharing.contains(&position)
    }

    /// Whether any does.
    pub(crate) fn any_sharing(&self) -> bool {
        !self.index.sharing.is_empty()
    }

    /// Whether any has a parent.
    pub(crate) fn any_nested(&self) -> bool {
        self.index.nested
    }

    /// The roots of all trees that have a provider in one of this one's aggregates.
    pub(crate) fn neighbours(&self, position: usize) -> BTreeSet<usize> {
        let aggregates = self.at(position).map(|stocked| &stocked.aggregates);
        let members = aggregates
            .into_iter()
            .flatten()
            .filter_map(|aggregate| self.index.in_aggregate.get(aggregate))
            .flatten();
        members.map(|member| self.root(*member)).collect()
    }

    /// Whether there is such a class.
    pub(crate) fn has_class(&self, name: &ClassName) -> bool {
        let name = name.as_str();
        let custom = || self.names.classes.iter().any(|custom| custom.name == name);
        names::is_standard_class(name) || custom()
    }

    /// Whether there is such a trait.
    pub(crate) fn has_trait(&self, name: &TraitName) -> bool {
        let name = name.as_str();
        let custom = || self.names.traits.iter().any(|custom| custom.name == name);
        names::is_standard_trait(name) || custom()
    }
}

/// Whether the index needs no change when one takes the other's place.
fn has_same_place(old: &Stocked, new: &Stocked) -> bool {
    old.provider.root == new.provider.root
        && old.provider.parent == new.provider.parent
        && old.aggregates == new.aggregates
        && old.shares() == new.shares()
}

impl Index {
    fn of(list: &[Arc<Stocked>]) -> Self {
        let ids = list.iter().enumerate();
        let position: HashMap<ProviderId, usize> = ids
            .map(|(at, stocked)| (stocked.provider.id.clone(), at))
            .collect();
        let mut index = Self::default();
        let mut tree: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, stocked) in list.iter().enumerate() {
            let provider = &stocked.provider;
            let root = position.get(&provider.root).copied().unwrap_or(at);
            let parent = provider.parent.as_ref();
            let parent = parent.and_then(|parent| position.get(parent).copied());
            index.root.push(root);
            index.parent.push(parent);
            index.nested |= parent.is_some();
            tree.entry(root).or_default().push(at);
            if stocked.shares() {
                index.sharing.insert(at);
            }
            for aggregate in &stocked.aggregates {
                let members = index.in_aggregate.entry(aggregate.clone()).or_default();
                members.push(at);
            }
        }
        index.tree = tree.into_iter().collect();
        index.position = position;
        index
    }
}
