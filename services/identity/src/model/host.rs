//! Hosts: what they may be called, and what proves that somebody is the host of a name.

use nephos_types::{HostName, Timestamp};
use sha2::{Digest as _, Sha256};

/// Longest name, as DNS has it.
const MAX_NAME: usize = 253;
/// Longest name of a zone, as Nova has it.
const MAX_ZONE: usize = 255;
/// A secret is 256 random bits, in whatever spelling the host likes.
const SECRET: std::ops::RangeInclusive<usize> = 43..=128;

/// A machine with agents.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub name: HostName,
    /// The availability zone that it is to be in.
    pub zone: Option<String>,
    /// Until when it may join.
    pub join_until: Timestamp,
    /// Fingerprint of its secret; empty until it has joined.
    pub secret_hash: String,
    pub added_at: Timestamp,
    /// 0 until it has joined.
    pub joined_at: Timestamp,
}

impl Host {
    /// Whether this is its secret.
    pub(crate) fn is_known_by(&self, secret: &str) -> bool {
        !self.secret_hash.is_empty() && self.secret_hash == fingerprint(secret)
    }
}

/// What of a secret is stored: who reads it cannot use it, and 256 random bits cannot be guessed.
pub(crate) fn fingerprint(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// A name that can stand in paths, in queries and in the names of files.
pub(crate) fn parse_name(text: &str) -> Option<HostName> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let good = !text.is_empty()
        && text.len() <= MAX_NAME
        && text.bytes().all(plain)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric());
    good.then(|| HostName::from(text))
}

/// Whether a zone may be called so; Nova gives `:` a meaning of its own.
pub(crate) fn is_zone(text: &str) -> bool {
    let printable = text.chars().all(|one| !one.is_control() && one != ':');
    !text.trim().is_empty() && text.len() <= MAX_ZONE && printable
}

/// Whether a secret can be as long as it must be.
pub(crate) fn is_secret(text: &str) -> bool {
    SECRET.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["one", "rack1-node2.example.org", "sim-1", "a_b"] {
            assert_eq!(parse_name(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".", "a b", "a/b", "a&b", "é", &"a".repeat(254)] {
            assert!(parse_name(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn zones_and_secrets_have_their_form() {
        assert!(is_zone("az 1") && !is_zone("a:b") && !is_zone(" ") && !is_zone("a\n"));
        assert!(is_secret(&"x".repeat(43)) && !is_secret("short") && !is_secret(&" ".repeat(50)));
    }
}
