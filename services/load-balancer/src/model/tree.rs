//! A load balancer and what it is made of.

use std::net::IpAddr;

use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::l7::{Policy, Rule};
use super::listener::Listener;
use super::member::Member;
use super::monitor::Monitor;
use super::pool::Pool;
use super::quota::{PARTS, RULES};
use super::refusal::Refusal;
use super::status::{Operating, Provisioning};

nephos_types::id! {
    /// A load balancer.
    BalancerId
    /// A listener, pool, member, health monitor, L7 policy or L7 rule.
    PartId
}

/// A load balancer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Balancer {
    pub id: BalancerId,
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub enabled: bool,
    pub provisioning: Provisioning,
    pub operating: Operating,
    pub provider: String,
    pub vip: Vip,
    pub tags: Vec<String>,
    /// Where it lives; none: a host is to be chosen.
    pub host: Option<String>,
    /// Where it is to leave.
    pub left_host: Option<String>,
    /// Whether it is to go: also while its deletion failed and it is in error.
    pub going: bool,
    /// Why it is in error.
    pub problem: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
}

/// Where a load balancer answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vip {
    pub address: String,
    pub port_id: String,
    pub subnet_id: String,
    pub network_id: String,
    /// Whether the port was made for it.
    pub own_port: bool,
    /// Further addresses of the same port.
    pub additional: Vec<Address>,
}

/// One more address of a VIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub subnet_id: String,
    pub ip_address: String,
}

impl Vip {
    /// All its addresses.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let further = self.additional.iter().map(|one| one.ip_address.as_str());
        let all = std::iter::once(self.address.as_str()).chain(further);
        all.filter_map(|text| text.parse().ok()).collect()
    }
}

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Listener,
    Pool,
    Member,
    Monitor,
    Policy,
    Rule,
}

impl Kind {
    /// As the database writes it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Pool => "pool",
            Self::Member => "member",
            Self::Monitor => "monitor",
            Self::Policy => "policy",
            Self::Rule => "rule",
        }
    }

    /// As refusals call it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Listener => "Listener",
            Self::Pool => "Pool",
            Self::Member => "Member",
            Self::Monitor => "HealthMonitor",
            Self::Policy => "L7Policy",
            Self::Rule => "L7Rule",
        }
    }
}

/// A part of a load balancer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub id: PartId,
    pub balancer_id: BalancerId,
    /// The pool, listener or policy that it hangs on; empty: the load balancer.
    pub parent_id: String,
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub enabled: bool,
    pub provisioning: Provisioning,
    pub operating: Operating,
    pub tags: Vec<String>,
    pub detail: Detail,
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
}

/// What only parts of one kind have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Detail {
    Listener(Listener),
    Pool(Pool),
    Member(Member),
    Monitor(Monitor),
    Policy(Policy),
    Rule(Rule),
}

impl Part {
    pub(crate) const fn kind(&self) -> Kind {
        match self.detail {
            Detail::Listener(_) => Kind::Listener,
            Detail::Pool(_) => Kind::Pool,
            Detail::Member(_) => Kind::Member,
            Detail::Monitor(_) => Kind::Monitor,
            Detail::Policy(_) => Kind::Policy,
            Detail::Rule(_) => Kind::Rule,
        }
    }

    /// Whether it is to stay.
    pub(crate) fn stays(&self) -> bool {
        self.provisioning != Provisioning::PendingDelete
    }
}

macro_rules! detail {
    ($($name:ident, $name_mut:ident: $variant:ident($of:ty);)+) => {
        impl Part {$(
            pub(crate) const fn $name(&self) -> Option<&$of> {
                match &self.detail { Detail::$variant(one) => Some(one), _other => None }
            }

            pub(crate) const fn $name_mut(&mut self) -> Option<&mut $of> {
                match &mut self.detail { Detail::$variant(one) => Some(one), _other => None }
            }
        )+}
    };
}

detail! {
    listener, listener_mut: Listener(Listener);
    pool, pool_mut: Pool(Pool);
    member, member_mut: Member(Member);
    monitor, monitor_mut: Monitor(Monitor);
    policy, policy_mut: Policy(Policy);
    rule, rule_mut: Rule(Rule);
}

/// A load balancer with all its parts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tree {
    pub balancer: Balancer,
    /// Those that are being removed are here until they are.
    pub parts: Vec<Part>,
}

impl Tree {
    /// Its parts of a kind that are to stay, oldest first.
    pub(crate) fn staying(&self, kind: Kind) -> impl Iterator<Item = &Part> {
        let parts = self.parts.iter();
        parts.filter(move |part| part.kind() == kind && part.stays())
    }

    /// Likewise, below a parent.
    pub(crate) fn below<'a, 'b: 'a>(
        &'a self,
        kind: Kind,
        parent: &'b str,
    ) -> impl Iterator<Item = &'a Part> + use<'a, 'b> {
        self.staying(kind)
            .filter(move |part| part.parent_id == parent)
    }

    /// A part that is to stay.
    pub(crate) fn part(&self, kind: Kind, id: &str) -> Option<&Part> {
        self.staying(kind).find(|part| part.id.as_str() == id)
    }

    /// The listeners whose default pool this is.
    pub(crate) fn listeners_of(&self, pool: &str) -> Vec<&Part> {
        let uses = |part: &&Part| {
            let listener = part.listener();
            listener.is_some_and(|one| one.default_pool_id.as_deref() == Some(pool))
        };
        self.staying(Kind::Listener).filter(uses).collect()
    }

    /// The policies of a listener in their order.
    pub(crate) fn policies_of(&self, listener: &str) -> Vec<&Part> {
        let all = self.staying(Kind::Policy);
        let mut all: Vec<&Part> = all.filter(|part| part.parent_id == listener).collect();
        all.sort_by_key(|part| part.policy().map_or(0, |policy| policy.position));
        all
    }

    /// A policy that sends requests to this pool.
    pub(crate) fn policy_to(&self, pool: &str) -> Option<&Part> {
        let to = |part: &&Part| {
            let policy = part.policy();
            policy.is_some_and(|one| one.redirect_pool_id.as_deref() == Some(pool))
        };
        self.staying(Kind::Policy).find(to)
    }

    /// Puts a policy at a place among those of its listener, or closes the gap that one left; gives those that moved.
    pub(crate) fn reorder(&mut self, listener: &str, moved: Option<(&PartId, i64)>) -> Vec<PartId> {
        let is_moved = |part: &Part| moved.is_some_and(|(id, _)| part.id == *id);
        let policies = self.policies_of(listener).into_iter();
        let mut order: Vec<PartId> = policies
            .filter(|part| !is_moved(part))
            .map(|part| part.id.clone())
            .collect();
        if let Some((id, position)) = moved {
            let place = usize::try_from(position - 1).unwrap_or(usize::MAX);
            order.insert(place.min(order.len()), id.clone());
        }
        let mut changed = Vec::new();
        for (position, id) in (1..).zip(order) {
            let part = self.parts.iter_mut().find(|part| part.id == id);
            if let Some(policy) = part.and_then(Part::policy_mut)
                && policy.position != position
            {
                policy.position = position;
                changed.push(id);
            }
        }
        changed
    }

    /// Whether it has anything that only goes with it.
    pub(crate) fn has_children(&self) -> bool {
        self.parts.iter().any(Part::stays)
    }

    /// Refuses a part that cannot be beside the others; the same part, changed, is not beside itself.
    pub(crate) fn admits(&self, part: &Part) -> Result<(), Refusal> {
        let others = || {
            self.staying(part.kind())
                .filter(|other| other.id != part.id)
        };
        if self.parts.len() >= PARTS && !self.parts.iter().any(|one| one.id == part.id) {
            self.has_room(1)?;
        }
        match &part.detail {
            Detail::Listener(listener) => {
                let twice = others().any(|other| {
                    other
                        .listener()
                        .is_some_and(|one| one.protocol_port == listener.protocol_port)
                });
                if twice {
                    return Err(Refusal::conflict(format!(
                        "Another Listener on this Load Balancer is already using protocol {} and protocol_port {}",
                        listener.protocol, listener.protocol_port
                    )));
                }
                if let Some(pool) = &listener.default_pool_id {
                    self.fits(pool, &listener.protocol)?;
                }
                let members = self.staying(Kind::Member).filter_map(Part::member);
                for member in members.filter(|one| one.protocol_port == listener.protocol_port) {
                    self.not_itself(member)?;
                }
                Ok(())
            }
            Detail::Member(member) => {
                let twice = others().any(|other| {
                    other.parent_id == part.parent_id
                        && other.member().is_some_and(|one| one.same_place(member))
                });
                if twice {
                    return Err(member.is_twice());
                }
                self.not_a_listener(member)
            }
            Detail::Monitor(_) => {
                if others().any(|other| other.parent_id == part.parent_id) {
                    return Err(Refusal::conflict("This pool already has a health monitor"));
                }
                Ok(())
            }
            Detail::Policy(policy) => self.admits_policy(&part.parent_id, policy),
            Detail::Rule(_) => {
                let beside = others().filter(|other| other.parent_id == part.parent_id);
                if beside.count() >= RULES {
                    let policy = &part.parent_id;
                    return Err(Refusal::conflict(format!(
                        "Too many rules on L7 policy {policy}"
                    )));
                }
                Ok(())
            }
            Detail::Pool(_) => Ok(()),
        }
    }

    /// Refuses more parts than it can have.
    pub(crate) fn has_room(&self, more: usize) -> Result<(), Refusal> {
        if self.parts.len().saturating_add(more) <= PARTS {
            return Ok(());
        }
        Err(Refusal::conflict(format!(
            "Load Balancer {} has {} parts, and {PARTS} are as many as it can have.",
            self.balancer.id,
            self.parts.len()
        )))
    }

    /// Refuses a member where a listener of this load balancer answers.
    pub(crate) fn not_a_listener(&self, member: &Member) -> Result<(), Refusal> {
        let listeners = self.staying(Kind::Listener).filter_map(Part::listener);
        let mut ports = listeners.map(|listener| listener.protocol_port);
        if ports.any(|port| port == member.protocol_port) {
            self.not_itself(member)?;
        }
        Ok(())
    }

    fn not_itself(&self, member: &Member) -> Result<(), Refusal> {
        let address = member.address.parse::<IpAddr>();
        if address.is_ok_and(|address| self.balancer.vip.addresses().contains(&address)) {
            return Err(Refusal::invalid(format!(
                "member address {} with protocol_port {} is a listener of this load balancer itself: each request would go round without an end.",
                member.address, member.protocol_port
            )));
        }
        Ok(())
    }

    /// Refuses a pool that is not there, or whose protocol a listener of this one cannot use.
    fn fits(&self, pool: &str, protocol: &str) -> Result<(), Refusal> {
        let found = self.part(Kind::Pool, pool);
        let found = found.ok_or_else(|| Refusal::missing("Pool", pool))?;
        let speaks = found.pool().map_or("", |one| one.protocol.as_str());
        if super::listener::takes_pool(protocol, speaks) {
            return Ok(());
        }
        Err(Refusal::invalid(format!(
            "The pool protocol '{speaks}' is invalid while the listener protocol is '{protocol}'."
        )))
    }

    fn admits_policy(&self, listener: &str, policy: &Policy) -> Result<(), Refusal> {
        let protocol = self
            .part(Kind::Listener, listener)
            .and_then(Part::listener)
            .map_or("", |listener| listener.protocol.as_str());
        if protocol != "HTTP" {
            return Err(Refusal::invalid(format!(
                "L7 policies need a listener that understands requests: its protocol is {protocol}, not HTTP."
            )));
        }
        match &policy.redirect_pool_id {
            Some(pool) => self.fits(pool, protocol),
            None => Ok(()),
        }
    }
}
