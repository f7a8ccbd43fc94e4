//! Why a request has no (or few) candidates: how many trees each constraint removed, in order, and what would fit.

use std::collections::BTreeSet;

use super::ClassName;
use super::candidates;
use super::providers::Providers;
use super::request::{Group, Request};

/// One constraint of a request, and what it did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub constraint: Constraint,
    /// Roots that could satisfy everything before it and not it.
    pub removed: Vec<usize>,
    /// How many are left.
    pub left: usize,
}

/// A constraint in the words of the query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constraint {
    /// So much of a class.
    Resources {
        suffix: String,
        class: ClassName,
        amount: i64,
    },
    /// Traits that must be there.
    Required { suffix: String, text: String },
    /// Traits that must not be there.
    Forbidden { suffix: String, text: String },
    /// Aggregates.
    MemberOf { suffix: String, text: String },
    /// The tree.
    InTree { suffix: String, text: String },
    /// Traits of the root.
    RootRequired { text: String },
    /// `group_policy` and `same_subtree`: how the groups stand to each other.
    Groups,
}

/// The steps of a request: each one adds one constraint to those before it.
pub(crate) fn explain(providers: &Providers, request: &Request) -> Vec<Step> {
    let mut so_far = Request {
        nested: request.nested,
        ..Request::default()
    };
    let mut left: BTreeSet<usize> = providers.roots().collect();
    let mut steps = Vec::new();
    for (constraint, grown) in stages(request) {
        grown(&mut so_far);
        let now = if so_far.groups.is_empty() {
            left.clone()
        } else {
            candidates::anchors(providers, &so_far)
        };
        let removed = left.difference(&now).copied().collect();
        left = left.intersection(&now).copied().collect();
        steps.push(Step {
            constraint,
            removed,
            left: left.len(),
        });
    }
    steps
}

/// The largest portion of the class that any provider could give now.
pub(crate) fn largest_free(providers: &Providers, class: &ClassName) -> i64 {
    let stocks = providers.all().iter();
    let stocks = stocks.filter_map(|stocked| stocked.inventory(class));
    stocks.map(|stock| stock.largest_free()).max().unwrap_or(0)
}

type Stage<'a> = (Constraint, Box<dyn Fn(&mut Request) + 'a>);

fn stages(request: &Request) -> Vec<Stage<'_>> {
    let mut stages: Vec<Stage<'_>> = Vec::new();
    for group in &request.groups {
        for (class, amount) in &group.resources {
            let constraint = Constraint::Resources {
                suffix: group.suffix.clone(),
                class: class.clone(),
                amount: *amount,
            };
            let add = move |so_far: &mut Request| {
                member(so_far, group)
                    .resources
                    .push((class.clone(), *amount));
            };
            stages.push((constraint, Box::new(add)));
        }
    }
    stages.extend(request.groups.iter().filter_map(required));
    stages.extend(request.groups.iter().filter_map(forbidden));
    stages.extend(request.groups.iter().filter_map(member_of));
    stages.extend(request.groups.iter().filter_map(in_tree));
    if !(request.root_required.is_empty() && request.root_forbidden.is_empty()) {
        let text = joined(&request.root_required, &request.root_forbidden);
        let add = move |so_far: &mut Request| {
            so_far.root_required.clone_from(&request.root_required);
            so_far.root_forbidden.clone_from(&request.root_forbidden);
        };
        stages.push((Constraint::RootRequired { text }, Box::new(add)));
    }
    if request.isolate || !request.same_subtrees.is_empty() {
        let add = move |so_far: &mut Request| {
            so_far.isolate = request.isolate;
            so_far.same_subtrees.clone_from(&request.same_subtrees);
        };
        stages.push((Constraint::Groups, Box::new(add)));
    }
    stages
}

fn required(group: &Group) -> Option<Stage<'_>> {
    if group.required.is_empty() {
        return None;
    }
    let sets = group.required.iter();
    let text: Vec<String> = sets.map(|any| listed(any, " or ")).collect();
    let constraint = Constraint::Required {
        suffix: group.suffix.clone(),
        text: text.join(", "),
    };
    let add = move |so_far: &mut Request| {
        member(so_far, group).required.clone_from(&group.required);
    };
    Some((constraint, Box::new(add)))
}

fn forbidden(group: &Group) -> Option<Stage<'_>> {
    if group.forbidden.is_empty() {
        return None;
    }
    let constraint = Constraint::Forbidden {
        suffix: group.suffix.clone(),
        text: listed(&group.forbidden, ", "),
    };
    let add = move |so_far: &mut Request| {
        member(so_far, group).forbidden.clone_from(&group.forbidden);
    };
    Some((constraint, Box::new(add)))
}

fn member_of(group: &Group) -> Option<Stage<'_>> {
    if group.member_of.is_empty() && group.not_member_of.is_empty() {
        return None;
    }
    let sets = group.member_of.iter();
    let mut text: Vec<String> = sets.map(|any| listed(any, " or ")).collect();
    text.extend(group.not_member_of.iter().map(|id| format!("!{id}")));
    let constraint = Constraint::MemberOf {
        suffix: group.suffix.clone(),
        text: text.join(", "),
    };
    let add = move |so_far: &mut Request| {
        let member = member(so_far, group);
        member.member_of.clone_from(&group.member_of);
        member.not_member_of.clone_from(&group.not_member_of);
    };
    Some((constraint, Box::new(add)))
}

fn in_tree(group: &Group) -> Option<Stage<'_>> {
    let tree = group.in_tree.as_ref()?;
    let constraint = Constraint::InTree {
        suffix: group.suffix.clone(),
        text: tree.to_string(),
    };
    let add = move |so_far: &mut Request| member(so_far, group).in_tree = Some(tree.clone());
    Some((constraint, Box::new(add)))
}

/// The group of the same suffix in the request that grows.
fn member<'r>(so_far: &'r mut Request, group: &Group) -> &'r mut Group {
    let at = so_far
        .groups
        .iter()
        .position(|other| other.suffix == group.suffix);
    let at = at.unwrap_or_else(|| {
        so_far.groups.push(Group {
            suffix: group.suffix.clone(),
            ..Group::default()
        });
        so_far.groups.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "found or pushed just now")]
    &mut so_far.groups[at]
}

fn listed<T: std::fmt::Display>(items: &BTreeSet<T>, between: &str) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    texts.join(between)
}

fn joined<T: std::fmt::Display>(wanted: &BTreeSet<T>, unwanted: &BTreeSet<T>) -> String {
    let wanted = wanted.iter().map(ToString::to_string);
    let unwanted = unwanted.iter().map(|item| format!("!{item}"));
    let texts: Vec<String> = wanted.chain(unwanted).collect();
    texts.join(", ")
}
