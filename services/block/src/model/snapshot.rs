//! A snapshot and its states.

use nephos_types::Timestamp;

use super::layer::LayerId;
use super::volume::{Owner, VolumeId};

nephos_types::id! {
    /// A snapshot, a UUID.
    SnapshotId
}

/// Where a snapshot is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotStatus {
    Creating,
    Available,
    BackingUp,
    Deleting,
    Deleted,
    Error,
    ErrorDeleting,
    Unmanaging,
    Restoring,
}

impl SnapshotStatus {
    const ALL: [Self; 9] = [
        Self::Creating,
        Self::Available,
        Self::BackingUp,
        Self::Deleting,
        Self::Deleted,
        Self::Error,
        Self::ErrorDeleting,
        Self::Unmanaging,
        Self::Restoring,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Available => "available",
            Self::BackingUp => "backing-up",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Error => "error",
            Self::ErrorDeleting => "error_deleting",
            Self::Unmanaging => "unmanaging",
            Self::Restoring => "restoring",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// A snapshot as stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub id: SnapshotId,
    pub owner: Owner,
    pub volume_id: VolumeId,
    pub type_id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub size_gib: i64,
    pub status: SnapshotStatus,
    pub progress: String,
    pub backend: String,
    pub layer: Option<LayerId>,
    /// The snapshot of a whole group that it is part of.
    pub group_snapshot_id: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
