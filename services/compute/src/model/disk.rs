//! Root disks that are no longer what their image was: kept, grown, carried to another host.

use serde::{Deserialize, Serialize};

/// The feed's word for a call for a server's disk; the id is the server's, the generation grows with each call.
pub const KIND_DISK: &str = "disk-call";

/// What a host is told of a root disk beside its epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskWish {
    /// What it is made of, if not of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DiskFrom>,
    /// Make it ready to be carried to another host, while the guest is off.
    pub export: bool,
}

impl DiskWish {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The epochs of the disks that stay on the host, when the present one is `epoch`.
    #[must_use]
    pub fn kept(&self, epoch: i64) -> Vec<i64> {
        let former = self.from.as_ref().filter(|from| from.carried.is_none());
        std::iter::once(epoch)
            .chain(former.map(|from| from.epoch))
            .collect()
    }
}

/// The disk that another one is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFrom {
    /// Its epoch.
    pub epoch: i64,
    /// How it comes from another host; `None`: it is on this one, and stays there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
}

/// A disk of another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// That host.
    pub host: String,
    /// How long it is on the way.
    pub size_bytes: u64,
    /// What it must hash to.
    pub sha256: String,
}

/// A disk that is ready to be carried: one file that stands on no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its epoch.
    pub epoch: i64,
    /// Its length.
    pub size_bytes: u64,
    /// What it hashes to.
    pub sha256: String,
}

/// A call: the host brings the disk that it made ready to the session, from this byte on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskCall {
    /// Who waits for it; nobody can guess it.
    pub session: String,
    /// Which disk.
    pub epoch: i64,
    /// The first byte that is wanted.
    pub from: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_stays_where_another_is_made_of_it_and_not_where_it_is_carried_to() {
        let mut wish = DiskWish::default();
        assert!(wish.is_plain());
        assert_eq!(wish.kept(3), [3]);
        let mut from = DiskFrom {
            epoch: 2,
            carried: None,
        };
        wish.from = Some(from.clone());
        assert_eq!(wish.kept(3), [3, 2]);
        from.carried = Some(Carried {
            host: "one".to_owned(),
            size_bytes: 1,
            sha256: "00".to_owned(),
        });
        wish.from = Some(from);
        assert_eq!(wish.kept(3), [3]);
        let text = serde_json::to_string(&wish).unwrap();
        assert_eq!(serde_json::from_str::<DiskWish>(&text).unwrap(), wish);
    }
}
