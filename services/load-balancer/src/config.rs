//! The section `[load-balancer]` of `nephos.toml`.

use serde::Deserialize;

/// What an operator may say; every key has a working default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A host that was silent for so many seconds gets no new load balancers, and those that it has move to another.
    pub host_down_after_secs: i64,
    /// A change that a host has not carried out after so many seconds has failed; it is taken in all the same when it comes.
    pub apply_secs: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host_down_after_secs: 120,
            apply_secs: 300,
        }
    }
}
