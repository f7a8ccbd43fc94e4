//! The search against a brute-force reading of its rules, on small random clouds.

use std::collections::{BTreeMap, BTreeSet};

use nephos_types::Timestamp;
use proptest::prelude::*;

use super::super::inventory::Inventory;
use super::super::names::SHARES;
use super::super::provider::{Dated, Provider, Stocked};
use super::super::providers::{Providers, Revision};
use super::super::request::{Group, Request};
use super::super::{AggregateId, ClassName, TraitName};
use super::{anchors, find};

const CLASSES: [&str; 2] = ["VCPU", "DISK_GB"];
const TRAITS: [&str; 3] = ["CUSTOM_A", "CUSTOM_B", SHARES];
const AGGREGATES: [&str; 2] = ["agg1", "agg2"];

/// A provider before it has a place: its parent is one of those before it, or none.
#[derive(Clone, Debug)]
struct Seed {
    parent: Option<prop::sample::Index>,
    stock: Vec<Option<(i64, i64)>>,
    traits: Vec<bool>,
    aggregates: Vec<bool>,
}

fn seed() -> impl Strategy<Value = Seed> {
    let stock = prop::collection::vec(prop::option::of((1_i64..5, 0_i64..4)), CLASSES.len());
    let traits = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.25));
    let aggregates = prop::collection::vec(prop::bool::weighted(0.4), AGGREGATES.len());
    let parent = prop::option::weighted(0.6, any::<prop::sample::Index>());
    (parent, stock, traits, aggregates).prop_map(|(parent, stock, (a, b, shares), aggregates)| {
        Seed {
            parent,
            stock,
            traits: vec![a, b, shares],
            aggregates,
        }
    })
}

fn picked<T: From<&'static str>>(names: &[&'static str], bits: &[bool]) -> Vec<T> {
    let pairs = names.iter().zip(bits).filter(|(_, bit)| **bit);
    pairs.map(|(name, _)| (*name).into()).collect()
}

fn cloud(seeds: &[Seed]) -> Providers {
    let mut list: Vec<Stocked> = Vec::new();
    for (at, seed) in seeds.iter().enumerate() {
        let parent = seed.parent.filter(|_| at > 0).map(|index| index.index(at));
        let id = format!("p{at}");
        let root = parent.map_or_else(|| id.as_str().into(), |up| list[up].provider.root.clone());
        let mut stocked = Stocked::new(Provider {
            id: id.as_str().into(),
            name: id,
            generation: 0,
            parent: parent.map(|up| list[up].provider.id.clone()),
            root,
            created_in: i64::try_from(at).unwrap(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        });
        for (class, stock) in CLASSES.iter().zip(&seed.stock) {
            if let Some((total, used)) = *stock {
                let inventory = Inventory {
                    total,
                    reserved: 0,
                    min_unit: 1,
                    max_unit: 3,
                    step_size: 1,
                    allocation_ratio: 1.0,
                    used,
                };
                let updated_at = Timestamp(0);
                let dated = Dated {
                    inventory,
                    updated_at,
                };
                stocked.inventories.insert((*class).into(), dated);
            }
        }
        stocked.traits = picked::<TraitName>(&TRAITS, &seed.traits)
            .into_iter()
            .collect();
        stocked.aggregates = picked(&AGGREGATES, &seed.aggregates);
        list.push(stocked);
    }
    Providers::default().with(Revision::default(), list, true)
}

fn group(suffix: &'static str) -> impl Strategy<Value = Group> {
    let amounts = prop::collection::vec(prop::option::of(1_i64..4), CLASSES.len());
    let marks = prop::collection::vec(0_u8..8, 2);
    let aggregate = 0_u8..12;
    (amounts, marks, aggregate).prop_map(move |(amounts, marks, aggregate)| {
        let mut group = Group {
            suffix: suffix.to_owned(),
            ..Group::default()
        };
        for (class, amount) in CLASSES.iter().zip(amounts) {
            group
                .resources
                .extend(amount.map(|amount| ((*class).into(), amount)));
        }
        if group.resources.is_empty() {
            group.resources.push(("VCPU".into(), 1));
        }
        for (name, mark) in TRAITS.iter().zip(marks) {
            match mark {
                0 => group.required.push(BTreeSet::from([(*name).into()])),
                1 => {
                    group.forbidden.insert((*name).into());
                }
                _neither => {}
            }
        }
        match aggregate {
            0 => group.member_of.push(BTreeSet::from(["agg1".into()])),
            1 => group.not_member_of = BTreeSet::from(["agg2".into()]),
            2 => group.in_tree = Some("p0".into()),
            _none => {}
        }
        group
    })
}

fn request() -> impl Strategy<Value = Request> {
    let groups = (
        prop::option::of(group("")),
        prop::option::of(group("1")),
        prop::option::of(group("2")),
    );
    (groups, any::<bool>(), prop::bool::weighted(0.3), 0_u8..6).prop_map(
        |((plain, one, two), isolate, together, root)| {
            let mut groups: Vec<Group> = [plain, one, two].into_iter().flatten().collect();
            if groups.is_empty() {
                groups.push(Group {
                    resources: vec![("VCPU".into(), 1)],
                    ..Group::default()
                });
            }
            let suffixes = groups.iter().map(|group| group.suffix.clone());
            let suffixes: BTreeSet<String> = suffixes.filter(|suffix| !suffix.is_empty()).collect();
            Request {
                groups,
                isolate,
                same_subtrees: if together && !suffixes.is_empty() {
                    vec![suffixes]
                } else {
                    Vec::new()
                },
                root_required: (root == 0).then(|| "CUSTOM_A".into()).into_iter().collect(),
                root_forbidden: (root == 1).then(|| "CUSTOM_B".into()).into_iter().collect(),
                limit: None,
                nested: true,
            }
        },
    )
}

/// What is taken: provider, class, amount.
type Taken = BTreeMap<(usize, ClassName), i64>;
/// A candidate without positions of classes: what is taken, and who satisfies which group.
type Answer = (Taken, Vec<BTreeSet<usize>>);

/// Every assignment of a provider to every class of every group under every root, judged by the rules as they are written
/// in the API reference.
struct Brute<'a> {
    cloud: &'a Providers,
    request: &'a Request,
}

impl Brute<'_> {
    fn answers(&self) -> BTreeSet<Answer> {
        let wants: Vec<(usize, ClassName, i64)> = self
            .request
            .groups
            .iter()
            .enumerate()
            .flat_map(|(at, group)| {
                group
                    .resources
                    .iter()
                    .map(move |(class, amount)| (at, class.clone(), *amount))
            })
            .collect();
        let mut answers = BTreeSet::new();
        let many = self.cloud.all().len();
        for anchor in self.cloud.roots() {
            let mut choice = vec![0; wants.len()];
            loop {
                if let Some(answer) = self.judge(anchor, &wants, &choice) {
                    answers.insert(answer);
                }
                let Some(next) = choice.iter().position(|at| at + 1 < many) else {
                    break;
                };
                choice[next] += 1;
                choice[..next].fill(0);
            }
        }
        answers
    }

    fn judge(
        &self,
        anchor: usize,
        wants: &[(usize, ClassName, i64)],
        choice: &[usize],
    ) -> Option<Answer> {
        let at = |position: usize| self.cloud.at(position).unwrap();
        let root = at(anchor);
        let mut taken = Taken::new();
        let mut members = vec![BTreeSet::new(); self.request.groups.len()];
        for ((group, class, amount), provider) in wants.iter().zip(choice) {
            *taken.entry((*provider, class.clone())).or_default() += amount;
            members[*group].insert(*provider);
            if !at(*provider).fits(class, *amount) {
                return None;
            }
        }
        for ((provider, class), amount) in &taken {
            let stock = at(*provider).inventory(class)?;
            if stock.used + amount > stock.total || *amount > stock.max_unit {
                return None;
            }
        }
        for (group, members) in self.request.groups.iter().zip(&members) {
            if !self.group_holds(group, members, anchor) {
                return None;
            }
        }
        let root_holds = self.request.root_required.is_subset(&root.traits)
            && self.request.root_forbidden.is_disjoint(&root.traits);
        (root_holds && self.groups_hold(&members)).then_some((taken, members))
    }

    fn group_holds(&self, group: &Group, members: &BTreeSet<usize>, anchor: usize) -> bool {
        let at = |position: usize| self.cloud.at(position).unwrap();
        let in_any = |position: usize, any: &BTreeSet<AggregateId>| {
            at(position).aggregates.iter().any(|id| any.contains(id))
        };
        let tree = group
            .in_tree
            .as_ref()
            .map(|id| self.cloud.root(self.cloud.position(id).unwrap()));
        let mut together = BTreeSet::new();
        for member in members {
            let own = self.cloud.root(*member) == anchor;
            let neighbour = self.cloud.all().iter().enumerate().any(|(other, stocked)| {
                self.cloud.root(other) == anchor
                    && stocked
                        .aggregates
                        .iter()
                        .any(|id| at(*member).aggregates.contains(id))
            });
            let mut gives = neighbour && at(*member).shares();
            if !group.is_granular() {
                gives = gives
                    && tree.is_none()
                    && group.member_of.iter().all(|any| in_any(*member, any));
            }
            let inside = tree.is_none_or(|tree| tree == self.cloud.root(*member));
            let granular = group.is_granular();
            let allowed = group.member_of.iter().all(|any| in_any(*member, any))
                || (!granular && group.member_of.iter().all(|any| in_any(anchor, any)));
            let refused = in_any(*member, &group.not_member_of)
                || (!granular && in_any(anchor, &group.not_member_of));
            if !(own || gives)
                || !inside
                || !allowed
                || refused
                || !group.forbidden.is_disjoint(&at(*member).traits)
            {
                return false;
            }
            together.extend(at(*member).traits.iter().cloned());
        }
        let one = !group.is_granular() || members.len() == 1;
        one && group.required.iter().all(|any| !any.is_disjoint(&together))
    }

    fn groups_hold(&self, members: &[BTreeSet<usize>]) -> bool {
        let pairs = || self.request.groups.iter().zip(members);
        let granular: Vec<usize> = pairs()
            .filter(|(group, _)| group.is_granular())
            .flat_map(|(_, members)| members.iter().copied())
            .collect();
        let different: BTreeSet<usize> = granular.iter().copied().collect();
        if self.request.isolate && different.len() < granular.len() {
            return false;
        }
        self.request.same_subtrees.iter().all(|suffixes| {
            let set: BTreeSet<usize> = pairs()
                .filter(|(group, _)| suffixes.contains(&group.suffix))
                .flat_map(|(_, members)| members.iter().copied())
                .collect();
            set.iter().any(|top| {
                set.iter()
                    .all(|member| self.cloud.ancestry(*member).contains(top))
            })
        })
    }
}

fn found(cloud: &Providers, request: &Request) -> BTreeSet<Answer> {
    let classes: Vec<ClassName> = request.classes().into_iter().cloned().collect();
    let found = find(cloud, request, usize::MAX, 0);
    let answers: Vec<Answer> = found
        .candidates
        .iter()
        .map(|candidate| {
            let shares = candidate.shares.iter();
            let taken =
                shares.map(|share| ((share.provider, classes[share.class].clone()), share.amount));
            let members = candidate
                .mappings
                .iter()
                .map(|list| list.iter().copied().collect());
            (taken.collect(), members.collect())
        })
        .collect();
    let unique: BTreeSet<Answer> = answers.iter().cloned().collect();
    assert_eq!(unique.len(), answers.len(), "a candidate was found twice");
    unique
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn the_search_finds_what_brute_force_finds(seeds in prop::collection::vec(seed(), 1..5), request in request()) {
        let cloud = cloud(&seeds);
        let expected = Brute { cloud: &cloud, request: &request }.answers();
        prop_assert_eq!(found(&cloud, &request), expected.clone());
        prop_assert_eq!(anchors(&cloud, &request).is_empty(), expected.is_empty());
    }

    #[test]
    fn a_limit_keeps_so_many_of_what_there_is(seeds in prop::collection::vec(seed(), 1..5), request in request(), limit in 1_usize..4) {
        let cloud = cloud(&seeds);
        let all = found(&cloud, &request);
        let some = found(&cloud, &Request { limit: Some(limit), ..request });
        prop_assert_eq!(some.len(), all.len().min(limit));
        prop_assert!(some.is_subset(&all));
    }

    #[test]
    fn one_change_is_as_good_as_reading_everything(seeds in prop::collection::vec(seed(), 2..6), other in seed(), request in request()) {
        let before = cloud(&seeds);
        let mut seeds = seeds;
        let last = seeds.len() - 1;
        let parent = seeds[last].parent;
        seeds[last] = Seed { parent, ..other };
        let whole = cloud(&seeds);
        let changed = whole.at(last).unwrap().as_ref().clone();
        let patched = before.with(Revision::default(), vec![changed], false);
        prop_assert_eq!(found(&patched, &request), found(&whole, &request));
    }
}

fn flat(count: i64) -> Providers {
    let seed = Seed {
        parent: None,
        stock: vec![Some((3, 0)), Some((3, 0))],
        traits: vec![false, false, false],
        aggregates: vec![false, false],
    };
    let seeds: Vec<Seed> = (0..count).map(|_| seed.clone()).collect();
    cloud(&seeds)
}

#[test]
fn a_limit_takes_from_many_trees_before_it_takes_twice_from_one() {
    let one = |suffix: &str| Group {
        suffix: suffix.to_owned(),
        resources: vec![("VCPU".into(), 1)],
        ..Group::default()
    };
    let request = Request {
        groups: vec![one("1"), one("2")],
        limit: Some(5),
        nested: true,
        ..Request::default()
    };
    let cloud = flat(5);
    let used = find(&cloud, &request, 100, 0).candidates.into_iter();
    let used: BTreeSet<usize> = used.map(|candidate| candidate.shares[0].provider).collect();
    assert_eq!(used.len(), 5);
}

#[test]
fn a_request_with_an_endless_product_comes_to_an_end() {
    let one = |n: usize| Group {
        suffix: n.to_string(),
        resources: vec![("VCPU".into(), 1)],
        ..Group::default()
    };
    let cloud = flat(12);
    // All under the first.
    let top = cloud.at(0).unwrap().provider.id.clone();
    let members = cloud.all().iter().skip(1).map(|stocked| {
        let mut member = stocked.as_ref().clone();
        member.provider.parent = Some(top.clone());
        member.provider.root = top.clone();
        member
    });
    let cloud = cloud.with(Revision::default(), members.collect(), false);
    let request = Request {
        groups: (1..13).map(one).collect(),
        isolate: true,
        nested: true,
        ..Request::default()
    };
    assert_eq!(find(&cloud, &request, 50, 7).candidates.len(), 50);
    let impossible = Request {
        groups: (1..14).map(one).collect(),
        ..request
    };
    assert!(find(&cloud, &impossible, 50, 0).candidates.is_empty());
}
