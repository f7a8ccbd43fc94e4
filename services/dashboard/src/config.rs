//! The section `[dashboard]` of `nephos.toml`.

use serde::Deserialize;

/// Its keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A session in which nobody does anything for so long ends. It ends with its token in any case.
    pub idle_secs: u32,
    /// Sessions of one user at a time; the oldest ends when one more begins.
    pub sessions_per_user: u32,
    /// Event streams that this process keeps open at a time.
    pub event_streams: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            idle_secs: 1800,
            sessions_per_user: 20,
            event_streams: 512,
        }
    }
}
