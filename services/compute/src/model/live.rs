//! A guest on its way to another host while it runs.
//!
//! The host that it goes to listens; the host that it leaves brings memory and disk there. Which of the two has the guest
//! is told by what each sees of it: it runs here, or there, and in between it is frozen ([`GuestState::Migrating`]) on
//! both. A host that is told to give up does nothing any more that could change that.
//!
//! [`GuestState::Migrating`]: super::spec::GuestState::Migrating

use serde::{Deserialize, Serialize};

/// What a host is told of a guest that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum LiveWish {
    /// It comes here.
    Arrive {
        /// Who knows it may bring the guest; nobody else can guess it.
        session: String,
        /// Where it comes from, for people.
        from: String,
        /// It does not come any more, unless it has.
        give_up: bool,
    },
    /// It goes from here.
    Depart {
        /// Opens the door of the other host.
        session: String,
        /// The host that it goes to.
        to: String,
        /// Where that one listens: address and port.
        address: String,
        /// That one's public key, in hexadecimal.
        key: String,
        /// Freeze the guest, so that the rest of its memory can be brought there.
        force: bool,
        /// It stays, unless it has left.
        give_up: bool,
    },
}

impl LiveWish {
    /// Which way it is.
    #[must_use]
    pub fn session(&self) -> &str {
        match self {
            Self::Arrive { session, .. } | Self::Depart { session, .. } => session,
        }
    }
}

/// What a host says of a guest that moves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveSeen {
    /// Where it may be brought: address and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The public key that proves who listens there, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
}

/// How much of a guest is where it goes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Carried {
    /// Of its memory, all.
    pub memory_total: u64,
    /// Of its memory, brought; what the guest changed meanwhile is brought again.
    pub memory_processed: u64,
    /// Of its memory, to be brought yet.
    pub memory_remaining: u64,
    /// Of its disks, all.
    pub disk_total: u64,
    /// Of its disks, brought.
    pub disk_processed: u64,
    /// Of its disks, to be brought yet.
    pub disk_remaining: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_as_it_was_written() {
        let wishes = [
            LiveWish::Arrive {
                session: "s".to_owned(),
                from: "one".to_owned(),
                give_up: false,
            },
            LiveWish::Depart {
                session: "s".to_owned(),
                to: "two".to_owned(),
                address: "192.0.2.2:49152".to_owned(),
                key: "00".to_owned(),
                force: true,
                give_up: false,
            },
        ];
        for wish in wishes {
            let text = serde_json::to_string(&wish).unwrap();
            assert_eq!(serde_json::from_str::<LiveWish>(&text).unwrap(), wish);
            assert_eq!(wish.session(), "s");
        }
    }
}
