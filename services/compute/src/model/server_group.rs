//! Server groups: servers that should stand on one host, or on different ones.

use std::collections::BTreeMap;

use nephos_types::{ProjectId, Timestamp, UserId};

/// How the servers of a group stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// On one host.
    Affinity,
    /// On different hosts, so many of them on each at most.
    AntiAffinity,
    /// On one host if there is room.
    SoftAffinity,
    /// On different hosts as far as possible.
    SoftAntiAffinity,
}

impl Policy {
    /// All of them; the soft ones since 2.15.
    pub const ALL: [Self; 4] = [
        Self::AntiAffinity,
        Self::Affinity,
        Self::SoftAntiAffinity,
        Self::SoftAffinity,
    ];

    /// Nova's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Affinity => "affinity",
            Self::AntiAffinity => "anti-affinity",
            Self::SoftAffinity => "soft-affinity",
            Self::SoftAntiAffinity => "soft-anti-affinity",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.word() == word)
    }

    /// Whether it only prefers.
    #[must_use]
    pub const fn is_soft(self) -> bool {
        matches!(self, Self::SoftAffinity | Self::SoftAntiAffinity)
    }
}

/// A server group.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerGroup {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who made it.
    pub user_id: UserId,
    /// Its name; not unique.
    pub name: String,
    /// How its servers stand to each other.
    pub policy: Policy,
    /// The rule `max_server_per_host` of anti-affinity.
    pub max_per_host: Option<i64>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A group as the scheduler sees it: the policy, and where the other members are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// How they stand to each other.
    pub policy: Policy,
    /// So many on a host at most.
    pub max_per_host: usize,
    /// Members that are on a host, by host.
    pub on: BTreeMap<String, usize>,
}

impl Members {
    /// Members on this host.
    #[must_use]
    pub fn on(&self, host: &str) -> usize {
        self.on.get(host).copied().unwrap_or(0)
    }

    /// Whether another member may go to this host.
    #[must_use]
    pub fn allow(&self, host: &str) -> bool {
        match self.policy {
            Policy::Affinity => self.on.is_empty() || self.on(host) > 0,
            Policy::AntiAffinity => self.on(host) < self.max_per_host,
            Policy::SoftAffinity | Policy::SoftAntiAffinity => true,
        }
    }

    /// How bad a host is that may be taken; the least is best.
    #[must_use]
    pub fn penalty(&self, host: &str) -> usize {
        match self.policy {
            Policy::SoftAffinity => usize::MAX - self.on(host),
            Policy::SoftAntiAffinity => self.on(host),
            Policy::Affinity | Policy::AntiAffinity => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(policy: Policy, max_per_host: usize) -> Members {
        let on = BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]);
        Members {
            policy,
            max_per_host,
            on,
        }
    }

    #[track_caller]
    fn check(members: &Members, allowed: [bool; 3]) {
        assert_eq!(["a", "b", "c"].map(|host| members.allow(host)), allowed);
    }

    #[test]
    fn hard_policies_allow_and_soft_ones_prefer() {
        check(&members(Policy::Affinity, 1), [true, true, false]);
        check(&members(Policy::AntiAffinity, 1), [false, false, true]);
        check(&members(Policy::AntiAffinity, 2), [false, true, true]);
        let soft = members(Policy::SoftAffinity, 1);
        check(&soft, [true, true, true]);
        assert!(soft.penalty("a") < soft.penalty("b") && soft.penalty("b") < soft.penalty("c"));
        let soft = members(Policy::SoftAntiAffinity, 1);
        assert!(soft.penalty("c") < soft.penalty("b") && soft.penalty("b") < soft.penalty("a"));
        let first = Members {
            on: BTreeMap::new(),
            ..members(Policy::Affinity, 1)
        };
        check(&first, [true, true, true]);
    }
}
