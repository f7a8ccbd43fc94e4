//! Simulated load balancers: they are what they are told to be, and serve nobody. `nephos up --simulate` runs on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;

use super::{Answer, Driver, DriverError, Seen};
use crate::model::spec::{
    Counters, ListenerSeen, LoadBalancerSpec, MemberHealth, MemberSpec, PoolSpec, member_key,
};

/// A host in memory.
#[derive(Debug, Default)]
pub struct Fake(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    here: BTreeMap<String, LoadBalancerSpec>,
    generations: BTreeMap<String, i64>,
    counters: Counters,
    ill: BTreeSet<String>,
    fails: Option<DriverError>,
    hangs: BTreeSet<String>,
    /// Load balancers that were made or changed since somebody asked.
    changes: usize,
}

impl Fake {
    /// What is here.
    #[must_use]
    pub fn here(&self) -> BTreeMap<String, LoadBalancerSpec> {
        self.with(|state| state.here.clone())
    }

    /// How many changes there were since the last call.
    #[must_use]
    pub fn take_changes(&self) -> usize {
        self.with(|state| std::mem::take(&mut state.changes))
    }

    /// Lets whatever is wanted fail so; `None`: no more.
    pub fn fail(&self, why: Option<DriverError>) {
        self.with(|state| state.fails = why);
    }

    /// Lets what is wanted of these load balancers never come to an end.
    pub fn hang(&self, ids: &[&str]) {
        let hangs = ids.iter().map(|id| (*id).to_owned()).collect();
        self.with(|state| state.hangs = hangs);
    }

    /// Lets the members of these ids not answer, and all others answer.
    pub fn make_ill(&self, members: &[&str]) {
        let ill = members.iter().map(|id| (*id).to_owned()).collect();
        self.with(|state| state.ill = ill);
    }

    /// What every listener has counted from now on.
    pub fn count(&self, counters: Counters) {
        self.with(|state| state.counters = counters);
    }

    /// Removes one behind the agent's back.
    pub fn lose(&self, id: &str) {
        self.with(|state| _ = state.here.remove(id));
    }

    fn with<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn ready<'a, T: Send + 'a>(answer: Result<T, DriverError>) -> Answer<'a, T> {
    futures_util::future::ready(answer).boxed()
}

impl Driver for Fake {
    fn version(&self) -> Answer<'_, String> {
        ready(Ok("simulated".to_owned()))
    }

    fn list(&self) -> Answer<'_, BTreeSet<String>> {
        ready(Ok(self.with(|state| state.here.keys().cloned().collect())))
    }

    fn ensure<'a>(&'a self, spec: &'a LoadBalancerSpec, generation: i64) -> Answer<'a, ()> {
        if self.with(|state| state.hangs.contains(&spec.id)) {
            return futures_util::future::pending().boxed();
        }
        ready(self.with(|state| {
            if let Some(why) = &state.fails {
                return Err(why.clone());
            }
            state.generations.insert(spec.id.clone(), generation);
            let before = state.here.insert(spec.id.clone(), spec.clone());
            state.changes += usize::from(before.as_ref() != Some(spec));
            Ok(())
        }))
    }

    fn generation<'a>(&'a self, id: &'a str) -> Answer<'a, Option<i64>> {
        ready(Ok(self.with(|state| state.generations.get(id).copied())))
    }

    fn look<'a>(&'a self, id: &'a str) -> Answer<'a, Seen> {
        ready(Ok(self.with(|state| {
            let running = |spec: &&LoadBalancerSpec| spec.enabled && !spec.listeners.is_empty();
            let Some(spec) = state.here.get(id).filter(running) else {
                return Seen::default();
            };
            let listener = ListenerSeen {
                up: true,
                counters: state.counters,
            };
            let listeners = spec.listeners.iter();
            let mut seen = Seen {
                running: true,
                listeners: listeners.map(|one| (one.id.clone(), listener)).collect(),
                members: BTreeMap::new(),
            };
            for pool in used(spec) {
                for member in &pool.members {
                    let health = health(pool, member, &state.ill);
                    seen.members
                        .insert(member_key(&pool.id, &member.id), health);
                }
            }
            seen
        })))
    }

    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.with(|state| {
            state.here.remove(id);
            state.generations.remove(id);
        });
        ready(Ok(()))
    }
}

/// The pools that some listener asks.
fn used(spec: &LoadBalancerSpec) -> impl Iterator<Item = &PoolSpec> {
    use crate::model::spec::L7Action;
    let mut ids = BTreeSet::new();
    for listener in &spec.listeners {
        ids.extend(listener.default_pool.as_deref());
        ids.extend(
            listener
                .l7
                .iter()
                .filter_map(|policy| match &policy.action {
                    L7Action::Pool { pool } => Some(pool.as_str()),
                    _other => None,
                }),
        );
    }
    spec.pools
        .iter()
        .filter(move |pool| ids.contains(pool.id.as_str()))
}

fn health(pool: &PoolSpec, member: &MemberSpec, ill: &BTreeSet<String>) -> MemberHealth {
    match () {
        () if !member.enabled => MemberHealth::Maint,
        () if pool.monitor.is_none() => MemberHealth::NoCheck,
        () if ill.contains(&member.id) => MemberHealth::Down,
        () if member.weight == 0 => MemberHealth::Drain,
        () => MemberHealth::Up,
    }
}
