//! The section `[placement]` of `nephos.toml`.

use serde::Deserialize;

/// Its keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The most allocation candidates in one answer, whatever the client asks for.
    pub max_allocation_candidates: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_allocation_candidates: 10_000,
        }
    }
}
