//! What a search for allocation candidates asks for, and its limits on itself.

use std::collections::BTreeSet;

use super::{AggregateId, ClassName, ProviderId, TraitName};

/// Resources that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Group {
    /// What follows the name of its parameters; empty: the group whose resources may come from anywhere in a tree.
    /// A group with a suffix is satisfied by one provider.
    pub suffix: String,
    pub resources: Vec<(ClassName, i64)>,
    /// Of each set, one.
    pub required: Vec<BTreeSet<TraitName>>,
    pub forbidden: BTreeSet<TraitName>,
    /// Of each set, one.
    pub member_of: Vec<BTreeSet<AggregateId>>,
    pub not_member_of: BTreeSet<AggregateId>,
    /// Only from the tree that this provider stands in.
    pub in_tree: Option<ProviderId>,
}

impl Group {
    /// Whether one provider must give all of it.
    pub(crate) fn is_granular(&self) -> bool {
        !self.suffix.is_empty()
    }
}

/// A whole request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Request {
    pub groups: Vec<Group>,
    /// Traits that the root must have.
    pub root_required: BTreeSet<TraitName>,
    /// Traits that the root must not have.
    pub root_forbidden: BTreeSet<TraitName>,
    /// Suffixes of groups whose providers stand in one subtree whose top is one of them.
    pub same_subtrees: Vec<BTreeSet<String>>,
    /// Granular groups take different providers.
    pub isolate: bool,
    pub limit: Option<usize>,
    /// Whether a candidate may take from several providers of one tree.
    pub nested: bool,
}

impl Request {
    /// The classes it asks for, each once.
    pub(crate) fn classes(&self) -> Vec<&ClassName> {
        let mut seen = Vec::new();
        for (class, _) in self.groups.iter().flat_map(|group| &group.resources) {
            if !seen.contains(&class) {
                seen.push(class);
            }
        }
        seen
    }

    /// The traits it names.
    pub(crate) fn traits(&self) -> impl Iterator<Item = &TraitName> {
        let groups = self.groups.iter();
        let in_groups =
            groups.flat_map(|group| group.required.iter().flatten().chain(&group.forbidden));
        let on_root = self.root_required.iter().chain(&self.root_forbidden);
        on_root.chain(in_groups)
    }
}
