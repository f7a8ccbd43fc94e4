//! How everything of a load balancer works, by what its host sees.

use std::collections::BTreeMap;

use super::spec::{LoadBalancerSeen, MemberHealth, member_key};
use super::status::Operating;
use super::tree::{Kind, Part, Tree};

/// The operating status of the load balancer, and those of its parts by id.
pub(crate) type Statuses = (Operating, BTreeMap<String, Operating>);

impl Tree {
    /// What follows from a report; without one, nobody has seen it work.
    pub(crate) fn statuses(&self, seen: Option<&LoadBalancerSeen>) -> Statuses {
        let balancer = &self.balancer;
        let mut all = BTreeMap::new();
        let running = seen.filter(|seen| seen.running && balancer.enabled);
        for part in self.staying(Kind::Pool) {
            let id = part.id.as_str();
            let monitored = self.below(Kind::Monitor, id).any(|part| part.enabled);
            let mut members = Vec::new();
            for member in self.below(Kind::Member, id) {
                let said = running.and_then(|seen| {
                    let key = member_key(id, member.id.as_str());
                    seen.members.get(&key).copied()
                });
                let status = of_member(member, monitored, said);
                members.push(status);
                all.insert(member.id.to_string(), status);
            }
            let status = match running {
                Some(_) if part.enabled => of_pool(&members),
                _off => Operating::Offline,
            };
            all.insert(part.id.to_string(), status);
        }
        for part in self.staying(Kind::Listener) {
            let up = running.is_some_and(|seen| {
                let listener = seen.listeners.get(part.id.as_str());
                part.enabled && listener.is_some_and(|listener| listener.up)
            });
            let status = if up {
                self.of_listener(part, &all)
            } else {
                Operating::Offline
            };
            all.insert(part.id.to_string(), status);
        }
        let online = |part: &&Part| part.enabled && running.is_some();
        for kind in [Kind::Monitor, Kind::Policy, Kind::Rule] {
            for part in self.staying(kind) {
                let status = if online(&part) {
                    Operating::Online
                } else {
                    Operating::Offline
                };
                all.insert(part.id.to_string(), status);
            }
        }
        let status = match (running, seen) {
            (Some(_), _) => self.of_balancer(&all),
            // It should run, and its host says that it does not.
            (None, Some(seen)) if balancer.enabled && seen.problem.is_some() => Operating::Error,
            _off => Operating::Offline,
        };
        (status, all)
    }

    /// A listener is as well as the pools that it uses.
    fn of_listener(&self, part: &Part, all: &BTreeMap<String, Operating>) -> Operating {
        let own = part.listener().and_then(|one| one.default_pool_id.as_ref());
        let policies = self.policies_of(part.id.as_str()).into_iter();
        let others = policies.filter_map(|part| part.policy()?.redirect_pool_id.as_ref());
        let pools = own.into_iter().chain(others);
        worst(pools.filter_map(|id| all.get(id).copied()))
    }

    fn of_balancer(&self, all: &BTreeMap<String, Operating>) -> Operating {
        let parts = self.staying(Kind::Listener).chain(self.staying(Kind::Pool));
        match worst(parts.filter_map(|part| all.get(part.id.as_str()).copied())) {
            Operating::Online => Operating::Online,
            // It answers, though not with everything.
            _in_part => Operating::Degraded,
        }
    }
}

fn of_member(part: &Part, monitored: bool, said: Option<MemberHealth>) -> Operating {
    if !part.enabled {
        return Operating::Offline;
    }
    match said {
        Some(MemberHealth::Down) => Operating::Error,
        Some(MemberHealth::Drain) => Operating::Draining,
        Some(MemberHealth::Maint) => Operating::Offline,
        Some(MemberHealth::Up) if monitored => Operating::Online,
        Some(MemberHealth::Up | MemberHealth::NoCheck) => Operating::NoMonitor,
        None if monitored => Operating::Offline,
        None => Operating::NoMonitor,
    }
}

/// A pool whose members are all down is down, one with some down works in part.
fn of_pool(members: &[Operating]) -> Operating {
    let down = members
        .iter()
        .filter(|one| **one == Operating::Error)
        .count();
    match down {
        0 => Operating::Online,
        all if all == members.len() => Operating::Error,
        _some => Operating::Degraded,
    }
}

/// The worst of them: what is off counts for nothing.
fn worst(all: impl Iterator<Item = Operating>) -> Operating {
    let mut found = Operating::Online;
    for one in all {
        match one {
            Operating::Error => return Operating::Error,
            Operating::Degraded => found = Operating::Degraded,
            _fine => {}
        }
    }
    found
}
