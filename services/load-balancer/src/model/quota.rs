//! What projects may have at most.

use super::tree::Kind;

/// What there are limits for, by the names that the API gives them, with the default; −1: none.
pub(crate) const LIMITS: [(&str, i64); 7] = [
    (BALANCERS, 100),
    ("listener", 1000),
    ("pool", 1000),
    ("member", 5000),
    ("healthmonitor", 1000),
    ("l7policy", 1000),
    ("l7rule", 5000),
];

/// Load balancers.
pub(crate) const BALANCERS: &str = "loadbalancer";

/// Names that they had once, and are taken and shown for.
pub(crate) const FORMER: [(&str, &str); 2] = [
    ("load_balancer", BALANCERS),
    ("health_monitor", "healthmonitor"),
];

/// The largest limit that can be set.
pub(crate) const MAX: i64 = 2_000_000_000;

/// Parts of one load balancer at most, whatever the quota: a host is told of all of them in one document.
pub(crate) const PARTS: usize = 2_000;

/// Rules of one L7 policy at most, as in Octavia; all of them stand in one line of haproxy's configuration, which has room
/// for 64 words.
pub(crate) const RULES: usize = 50;

impl Kind {
    /// The limit that counts it.
    pub(crate) const fn limit(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Pool => "pool",
            Self::Member => "member",
            Self::Monitor => "healthmonitor",
            Self::Policy => "l7policy",
            Self::Rule => "l7rule",
        }
    }
}
