//! Groups of volumes, their types, and snapshots of whole groups.

use std::collections::BTreeMap;

use nephos_types::Timestamp;

use super::volume::Owner;

nephos_types::id! {
    /// A group of volumes, a UUID.
    GroupId
}

nephos_types::id! {
    /// A snapshot of all volumes of a group, a UUID.
    GroupSnapshotId
}

/// The spec of a group type whose groups are only for back ends that make snapshots of all volumes in one moment.
pub(crate) const CONSISTENT: &str = "consistent_group_snapshot_enabled";

/// Where a group, or a snapshot of one, is in its life, under Cinder's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupStatus {
    Creating,
    Available,
    Updating,
    Deleting,
    Deleted,
    Error,
    ErrorDeleting,
}

impl GroupStatus {
    const ALL: [Self; 7] = [
        Self::Creating,
        Self::Available,
        Self::Updating,
        Self::Deleting,
        Self::Deleted,
        Self::Error,
        Self::ErrorDeleting,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Available => "available",
            Self::Updating => "updating",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Error => "error",
            Self::ErrorDeleting => "error_deleting",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Whether it may be deleted.
    pub(crate) const fn is_deletable(self) -> bool {
        matches!(self, Self::Available | Self::Error | Self::ErrorDeleting)
    }
}

/// A kind of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupType {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub is_public: bool,
    pub specs: BTreeMap<String, String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl GroupType {
    /// Whether its groups need snapshots of all volumes in one moment, which files give to nobody.
    pub(crate) fn is_consistent(&self) -> bool {
        self.specs.get(CONSISTENT).map(String::as_str) == Some("<is> True")
    }
}

/// A group as stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub id: GroupId,
    pub owner: Owner,
    pub name: Option<String>,
    pub description: Option<String>,
    pub type_id: String,
    pub zone: String,
    pub status: GroupStatus,
    pub group_snapshot_id: Option<String>,
    pub source_group_id: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A snapshot of a group as stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupSnapshot {
    pub id: GroupSnapshotId,
    pub owner: Owner,
    pub group_id: GroupId,
    pub type_id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub status: GroupStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_reads_back() {
        for status in GroupStatus::ALL {
            assert_eq!(GroupStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(GroupStatus::parse("in-use"), None);
    }
}
