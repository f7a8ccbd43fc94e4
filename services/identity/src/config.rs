//! The section `[identity]` of `nephos.toml`.

use serde::Deserialize;

/// What can be set. Everything has a default that works.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a token is good.
    pub token_lifetime_secs: u32,
    /// After so many wrong passwords in a row an account is locked; 0: never.
    pub lockout_tries: u32,
    /// For so long after the last wrong one.
    pub lockout_secs: u32,
    /// So many of a user's last passwords cannot be used again; 0 and 1: no such rule.
    pub remembered_passwords: u32,
    /// A regular expression that new passwords must match.
    pub password_pattern: Option<String>,
    /// What it asks for, in words for the user.
    pub password_hint: String,
    /// For so long a password that was right is not hashed again; 0: always hashed. At most 60.
    pub password_cache_secs: u32,
    /// Seals the signing keys in the database; the process takes it from its secrets.
    pub signing_secret: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            token_lifetime_secs: 3600,
            lockout_tries: 0,
            lockout_secs: 1800,
            remembered_passwords: 0,
            password_pattern: None,
            password_hint: String::new(),
            password_cache_secs: 60,
            signing_secret: String::new(),
        }
    }
}
