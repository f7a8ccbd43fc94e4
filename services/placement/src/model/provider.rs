//! A resource provider with everything that a search looks at.

use std::collections::{BTreeMap, BTreeSet};

use nephos_types::Timestamp;

use super::inventory::Inventory;
use super::names::{self, SHARES};
use super::{AggregateId, ClassName, ProviderId, TraitName};

/// A provider without what hangs on it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Provider {
    pub id: ProviderId,
    pub name: String,
    /// Grows with each change that a writer must know of.
    pub generation: i64,
    pub parent: Option<ProviderId>,
    /// The top of its tree; itself when it has no parent.
    pub root: ProviderId,
    /// The order of lists.
    pub created_in: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A provider and what hangs on it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stocked {
    pub provider: Provider,
    pub inventories: BTreeMap<ClassName, Dated>,
    pub traits: BTreeSet<TraitName>,
    /// In the order in which they were given.
    pub aggregates: Vec<AggregateId>,
}

/// An inventory and when it was written last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dated {
    pub inventory: Inventory,
    pub updated_at: Timestamp,
}

impl Stocked {
    /// A provider with nothing yet.
    pub(crate) fn new(provider: Provider) -> Self {
        Self {
            provider,
            inventories: BTreeMap::new(),
            traits: BTreeSet::new(),
            aggregates: Vec::new(),
        }
    }

    /// Whether it offers its stock to others in its aggregates.
    pub(crate) fn shares(&self) -> bool {
        self.traits.iter().any(|name| name.as_str() == SHARES)
    }

    /// Its traits as lists show them: the standard ones, then the custom ones.
    pub(crate) fn listed_traits(&self) -> impl Iterator<Item = &TraitName> {
        let custom = |name: &&TraitName| name.as_str().starts_with(names::CUSTOM);
        let standard = self.traits.iter().filter(move |name| !custom(name));
        standard.chain(self.traits.iter().filter(custom))
    }

    /// Its inventory of a class.
    pub(crate) fn inventory(&self, class: &ClassName) -> Option<&Inventory> {
        self.inventories.get(class).map(|dated| &dated.inventory)
    }

    /// Whether it could give so much of the class now.
    pub(crate) fn fits(&self, class: &ClassName, amount: i64) -> bool {
        self.inventory(class)
            .is_some_and(|stock| stock.fits(amount))
    }

    /// Whether it has at least one trait of each set.
    pub(crate) fn has_traits(&self, required: &[BTreeSet<TraitName>]) -> bool {
        required.iter().all(|any| !any.is_disjoint(&self.traits))
    }

    /// Whether it is in at least one of these aggregates.
    pub(crate) fn is_in_any(&self, any: &BTreeSet<AggregateId>) -> bool {
        self.aggregates.iter().any(|id| any.contains(id))
    }

    /// Whether it is in at least one aggregate of each set.
    pub(crate) fn is_member(&self, member_of: &[BTreeSet<AggregateId>]) -> bool {
        member_of.iter().all(|any| self.is_in_any(any))
    }
}
