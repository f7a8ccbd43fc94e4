//! A volume that is offered to whoever has its key.

use nephos_types::{ProjectId, Timestamp};
use sha2::{Digest as _, Sha256};

use super::volume::VolumeId;

/// A transfer as stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transfer {
    pub id: String,
    pub volume_id: VolumeId,
    pub project_id: ProjectId,
    pub name: Option<String>,
    pub salt: String,
    pub key_hash: String,
    pub no_snapshots: bool,
    pub created_at: Timestamp,
}

impl Transfer {
    /// Whether this is its key; the comparison takes as long whatever is wrong.
    pub(crate) fn opens_with(&self, key: &str) -> bool {
        let given = hash(&self.salt, key);
        let pairs = given.bytes().zip(self.key_hash.bytes());
        let differ = pairs.fold(0, |differ, (one, other)| differ | (one ^ other));
        given.len() == self.key_hash.len() && differ == 0
    }
}

/// What is kept of a key.
pub(crate) fn hash(salt: &str, key: &str) -> String {
    hex::encode(Sha256::digest(format!("{salt}:{key}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_key_opens_it() {
        let transfer = Transfer {
            id: String::new(),
            volume_id: "v".into(),
            project_id: "p".into(),
            name: None,
            salt: "s".to_owned(),
            key_hash: hash("s", "key"),
            no_snapshots: false,
            created_at: Timestamp(0),
        };
        assert!(transfer.opens_with("key"));
        for odd in ["", "KEY", "key "] {
            assert!(!transfer.opens_with(odd), "{odd:?}");
        }
    }
}
