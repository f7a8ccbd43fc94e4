//! The search for allocation candidates.
//!
//! A request is a row of slots: one per class of the unsuffixed group, one per granular group. Under an anchor (the root
//! of a tree) each slot has its options: providers of the tree, and sharing providers of other trees that are its
//! neighbours. A candidate is one option per slot such that the combination holds. Anchors take turns, so that a limit
//! keeps candidates of many trees instead of all those of the first.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use super::provider::Stocked;
use super::providers::Providers;
use super::request::{Group, Request};
use super::{ClassName, TraitName};

/// Options that one search looks at before it answers with what it has: the product of many groups over a wide tree
/// has no other end.
const STEPS: usize = 2_000_000;

/// One way to satisfy a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Candidate {
    /// What to take from whom, sorted; no provider and class twice.
    pub shares: Vec<Share>,
    /// Which providers satisfy which group, in the order of the groups.
    pub mappings: Vec<Vec<usize>>,
}

/// So much of a class from a provider; both by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Share {
    pub provider: usize,
    pub class: usize,
    pub amount: i64,
}

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub candidates: Vec<Candidate>,
    /// The providers to show: those of every tree that a candidate takes from.
    pub shown: Vec<usize>,
}

/// Finds at most `most` candidates. Where there are more trees than that, the turns begin at the tree of number `start`
/// (modulo their number): with a random one, those who ask at the same time are not all offered the same hosts.
pub(crate) fn find(providers: &Providers, request: &Request, most: usize, start: usize) -> Found {
    let search = Search::new(providers, request);
    let most = request.limit.map_or(most, |limit| limit.min(most));
    let candidates = search.run(most, start);
    let used: BTreeSet<usize> = candidates
        .iter()
        .flat_map(|candidate| candidate.shares.iter().map(|share| share.provider))
        .collect();
    let shown = if search.flat_only() {
        used
    } else {
        let roots: BTreeSet<usize> = used.iter().map(|at| providers.root(*at)).collect();
        let trees = roots.iter().flat_map(|root| providers.tree(*root));
        trees.copied().collect()
    };
    Found {
        candidates,
        shown: shown.into_iter().collect(),
    }
}

/// The roots under which there is at least one candidate.
pub(crate) fn anchors(providers: &Providers, request: &Request) -> BTreeSet<usize> {
    let search = Search::new(providers, request);
    let mut steps = STEPS;
    let options = search.options();
    let fruitful = options.into_iter().filter_map(|(anchor, options)| {
        let mut walk = Walk::new(options);
        search.next(&mut walk, &mut steps).map(|_first| anchor)
    });
    fruitful.collect()
}

/// One choice of a provider.
struct Slot {
    group: usize,
    /// Class by position, and how much.
    wants: Vec<(usize, i64)>,
    /// Whether it is the last of its group.
    closes: bool,
}

struct Search<'a> {
    providers: &'a Providers,
    request: &'a Request,
    classes: Vec<&'a ClassName>,
    slots: Vec<Slot>,
    /// For each same-subtree set: its slots, and the slot that is chosen last.
    subtrees: Vec<(Vec<usize>, usize)>,
}

/// The position of a walk through the product of options.
struct Walk {
    options: Vec<Vec<usize>>,
    cursors: Vec<usize>,
    chosen: Vec<usize>,
}

impl Walk {
    fn new(options: Vec<Vec<usize>>) -> Self {
        let cursors = vec![0; options.len()];
        Self {
            options,
            cursors,
            chosen: Vec::new(),
        }
    }

    /// The next option of the open slot; none when they are used up.
    fn advance(&mut self) -> Option<usize> {
        let depth = self.chosen.len();
        let cursor = self.cursors.get_mut(depth)?;
        let option = self.options.get(depth)?.get(*cursor).copied();
        *cursor = if option.is_some() { *cursor + 1 } else { 0 };
        option
    }
}

impl<'a> Search<'a> {
    fn new(providers: &'a Providers, request: &'a Request) -> Self {
        let classes = request.classes();
        let slots = slots(request, &classes);
        let subtrees = request.same_subtrees.iter().filter_map(|suffixes| {
            let members = slots.iter().enumerate().filter(|(_, slot)| {
                let group = request.groups.get(slot.group);
                group.is_some_and(|group| suffixes.contains(&group.suffix))
            });
            let members: Vec<usize> = members.map(|(at, _)| at).collect();
            let last = *members.last()?;
            Some((members, last))
        });
        let subtrees = subtrees.collect();
        Self {
            providers,
            request,
            classes,
            slots,
            subtrees,
        }
    }

    /// Whether this client knows no trees although there are some.
    fn flat_only(&self) -> bool {
        !self.request.nested && self.providers.any_nested()
    }

    fn run(&self, most: usize, start: usize) -> Vec<Candidate> {
        let mut steps = STEPS;
        let mut found = Vec::new();
        // Only under several anchors can the same candidate appear twice.
        let mut seen = self.providers.any_sharing().then(HashSet::new);
        let mut firsts = self.walks(most, start).fuse();
        let mut turns = VecDeque::new();
        while found.len() < most
            && let Some(mut walk) = firsts.next().or_else(|| turns.pop_front())
        {
            let Some(candidate) = self.next(&mut walk, &mut steps) else {
                continue;
            };
            turns.push_back(walk);
            let twice = self.flat_only() && self.takes_twice_from_a_tree(&candidate);
            let fresh = |seen: &mut HashSet<Candidate>| seen.insert(candidate.clone());
            if !twice && seen.as_mut().is_none_or(fresh) {
                found.push(candidate);
            }
        }
        found
    }

    /// The walk of each anchor. Where no tree gives to another, a tree is looked at only when its turn comes: with a small
    /// `most`, a search costs the same in a cloud of ten hosts and of ten thousand.
    fn walks(&self, most: usize, start: usize) -> Box<dyn Iterator<Item = Walk> + '_> {
        if self.providers.any_sharing() {
            let walks = self.options().into_values().map(Walk::new);
            return Box::new(rotated(walks.collect(), most, start).into_iter());
        }
        let roots = rotated(self.providers.roots().collect(), most, start);
        let walks = roots.into_iter().filter_map(|root| self.options_of(root));
        Box::new(walks.map(Walk::new))
    }

    /// The options of a tree for every slot, out of itself.
    fn options_of(&self, root: usize) -> Option<Vec<Vec<usize>>> {
        if !self.anchor_is_allowed(root) {
            return None;
        }
        let members = self.providers.tree(root);
        let slots = self.slots.iter();
        let options = slots.map(|slot| {
            let members = members.iter().copied();
            self.slot_options(slot, members).remove(&root)
        });
        options.collect()
    }

    fn takes_twice_from_a_tree(&self, candidate: &Candidate) -> bool {
        let used = candidate.shares.iter().map(|share| share.provider);
        let used: BTreeSet<usize> = used.collect();
        let roots: BTreeSet<usize> = used.iter().map(|at| self.providers.root(*at)).collect();
        roots.len() < used.len()
    }

    /// For each anchor that has options for every slot: those options.
    fn options(&self) -> BTreeMap<usize, Vec<Vec<usize>>> {
        let mut all: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
        for (depth, slot) in self.slots.iter().enumerate() {
            let mut here = self.slot_options(slot, 0..self.providers.all().len());
            if depth == 0 {
                all = here
                    .into_iter()
                    .map(|(at, list)| (at, vec![list]))
                    .collect();
            } else {
                all.retain(|anchor, lists| match here.remove(anchor) {
                    Some(list) => {
                        lists.push(list);
                        true
                    }
                    None => false,
                });
            }
            if all.is_empty() {
                break;
            }
        }
        all.retain(|anchor, _| self.anchor_is_allowed(*anchor));
        all
    }

    fn anchor_is_allowed(&self, anchor: usize) -> bool {
        let (required, forbidden) = (&self.request.root_required, &self.request.root_forbidden);
        let Some(root) = self.providers.at(anchor) else {
            return false;
        };
        required.is_subset(&root.traits) && forbidden.is_disjoint(&root.traits)
    }

    /// For each anchor: those of `members` that could fill the slot.
    fn slot_options(
        &self,
        slot: &Slot,
        members: impl Iterator<Item = usize>,
    ) -> BTreeMap<usize, Vec<usize>> {
        let mut options: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let Some(group) = self.request.groups.get(slot.group) else {
            return options;
        };
        let tree = match &group.in_tree {
            None => None,
            Some(id) => match self.providers.position(id) {
                Some(at) => Some(self.providers.root(at)),
                None => return options,
            },
        };
        for at in members {
            let Some(stocked) = self.providers.at(at) else {
                continue;
            };
            let own = self.providers.root(at);
            if tree.is_some_and(|tree| tree != own) || !self.could_give(slot, group, stocked) {
                continue;
            }
            let mut anchors = BTreeSet::from([own]);
            if self.giving_elsewhere(group, at, stocked) {
                anchors.extend(self.providers.neighbours(at));
            }
            for anchor in anchors {
                if group.is_granular() || self.aggregates_allow(group, stocked, anchor) {
                    options.entry(anchor).or_default().push(at);
                }
            }
        }
        options
    }

    /// Whether the provider alone could fill the slot.
    fn could_give(&self, slot: &Slot, group: &Group, stocked: &Stocked) -> bool {
        let has_stock = slot.wants.iter().all(|(class, amount)| {
            let class = self.classes.get(*class);
            class.is_some_and(|class| stocked.fits(class, *amount))
        });
        if !has_stock || !group.forbidden.is_disjoint(&stocked.traits) {
            return false;
        }
        !group.is_granular()
            || (stocked.has_traits(&group.required)
                && stocked.is_member(&group.member_of)
                && !stocked.is_in_any(&group.not_member_of))
    }

    /// Whether the provider gives to other trees too.
    fn giving_elsewhere(&self, group: &Group, at: usize, stocked: &Stocked) -> bool {
        // Upstream: `in_tree` of the unsuffixed group keeps everything within the tree.
        let kept_in = group.in_tree.is_some() && !group.is_granular();
        self.providers.is_sharing(at) && !kept_in && stocked.is_member(&group.member_of)
    }

    /// An aggregate of a root spans its whole tree.
    fn aggregates_allow(&self, group: &Group, stocked: &Stocked, anchor: usize) -> bool {
        let Some(root) = self.providers.at(anchor) else {
            return false;
        };
        let wanted = stocked.is_member(&group.member_of) || root.is_member(&group.member_of);
        let unwanted = &group.not_member_of;
        wanted && !stocked.is_in_any(unwanted) && !root.is_in_any(unwanted)
    }

    /// The walk's next candidate.
    fn next(&self, walk: &mut Walk, steps: &mut usize) -> Option<Candidate> {
        if walk.chosen.len() == self.slots.len() {
            walk.chosen.pop()?;
        }
        loop {
            *steps = steps.checked_sub(1)?;
            let Some(provider) = walk.advance() else {
                walk.chosen.pop()?;
                continue;
            };
            if !self.combines(&walk.chosen, provider) {
                continue;
            }
            walk.chosen.push(provider);
            if walk.chosen.len() == self.slots.len() {
                return Some(self.candidate(&walk.chosen));
            }
        }
    }

    /// Whether the next slot may take `provider` after these.
    fn combines(&self, chosen: &[usize], provider: usize) -> bool {
        let depth = chosen.len();
        let Some(slot) = self.slots.get(depth) else {
            return false;
        };
        let Some(group) = self.request.groups.get(slot.group) else {
            return false;
        };
        if self.request.isolate && group.is_granular() && self.is_taken(chosen, provider) {
            return false;
        }
        self.has_room(chosen, provider, slot)
            && (group.is_granular() || !slot.closes || self.has_traits(chosen, provider, slot))
            && self.stands_in_subtrees(chosen, provider)
    }

    /// Whether another granular group took the provider already.
    fn is_taken(&self, chosen: &[usize], provider: usize) -> bool {
        chosen.iter().zip(&self.slots).any(|(other, slot)| {
            let group = self.request.groups.get(slot.group);
            *other == provider && group.is_some_and(Group::is_granular)
        })
    }

    /// Whether what several groups take of the same stock fits together.
    fn has_room(&self, chosen: &[usize], provider: usize, slot: &Slot) -> bool {
        slot.wants.iter().all(|(class, amount)| {
            let earlier: i64 = chosen
                .iter()
                .zip(&self.slots)
                .filter(|(other, _)| **other == provider)
                .flat_map(|(_, slot)| &slot.wants)
                .filter(|(other, _)| other == class)
                .fold(0, |sum, (_, amount)| sum.saturating_add(*amount));
            if earlier == 0 {
                return true;
            }
            let stock = self.providers.at(provider).and_then(|stocked| {
                let class = self.classes.get(*class)?;
                stocked.inventory(class)
            });
            let sum = earlier.saturating_add(*amount);
            stock.is_some_and(|stock| sum <= stock.max_unit && stock.has_room(stock.used, sum))
        })
    }

    /// Whether the providers of the unsuffixed group have the required traits between them.
    fn has_traits(&self, chosen: &[usize], provider: usize, slot: &Slot) -> bool {
        let Some(group) = self.request.groups.get(slot.group) else {
            return false;
        };
        if group.required.is_empty() {
            return true;
        }
        let earlier = chosen.iter().zip(&self.slots);
        let members = earlier
            .filter(|(_, other)| other.group == slot.group)
            .map(|(at, _)| *at);
        let stocked = members
            .chain([provider])
            .filter_map(|at| self.providers.at(at));
        let traits: BTreeSet<&TraitName> = stocked.flat_map(|stocked| &stocked.traits).collect();
        let has_one = |any: &BTreeSet<TraitName>| any.iter().any(|name| traits.contains(name));
        group.required.iter().all(has_one)
    }

    /// Whether each same-subtree set that is complete with this choice has its top within itself.
    fn stands_in_subtrees(&self, chosen: &[usize], provider: usize) -> bool {
        let complete = self
            .subtrees
            .iter()
            .filter(|(_, last)| *last == chosen.len());
        let mut members = complete.map(|(slots, _)| {
            let chosen = slots.iter().filter_map(|slot| chosen.get(*slot).copied());
            chosen.chain([provider]).collect::<BTreeSet<usize>>()
        });
        members.all(|members| {
            let lines = members.iter().map(|at| self.providers.ancestry(*at));
            let lines: Vec<Vec<usize>> = lines.collect();
            let is_top = |at: &usize| lines.iter().all(|line| line.contains(at));
            members.iter().any(is_top)
        })
    }

    fn candidate(&self, chosen: &[usize]) -> Candidate {
        let mut amounts: BTreeMap<(usize, usize), i64> = BTreeMap::new();
        let mut mappings = vec![Vec::new(); self.request.groups.len()];
        for (provider, slot) in chosen.iter().zip(&self.slots) {
            for (class, amount) in &slot.wants {
                let sum = amounts.entry((*provider, *class)).or_default();
                *sum = sum.saturating_add(*amount);
            }
            if let Some(members) = mappings.get_mut(slot.group)
                && !members.contains(provider)
            {
                members.push(*provider);
            }
        }
        let shares = amounts
            .into_iter()
            .map(|((provider, class), amount)| Share {
                provider,
                class,
                amount,
            });
        Candidate {
            shares: shares.collect(),
            mappings,
        }
    }
}

/// Those of whom there are more than `most`, beginning elsewhere.
fn rotated<T>(mut all: Vec<T>, most: usize, start: usize) -> Vec<T> {
    if most < all.len() {
        let by = start.checked_rem(all.len()).unwrap_or(0);
        all.rotate_left(by);
    }
    all
}

fn slots(request: &Request, classes: &[&ClassName]) -> Vec<Slot> {
    let mut slots = Vec::new();
    for (at, group) in request.groups.iter().enumerate() {
        let wants: Vec<(usize, i64)> = group
            .resources
            .iter()
            .filter_map(|(name, amount)| {
                let class = classes.iter().position(|class| *class == name)?;
                Some((class, *amount))
            })
            .collect();
        if group.is_granular() {
            slots.push(Slot {
                group: at,
                wants,
                closes: true,
            });
            continue;
        }
        let last = wants.len();
        slots.extend(wants.into_iter().enumerate().map(|(n, want)| Slot {
            group: at,
            wants: vec![want],
            closes: n + 1 == last,
        }));
    }
    slots
}

#[cfg(test)]
mod tests;
