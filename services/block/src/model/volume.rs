//! A volume and its states.

use std::collections::BTreeMap;

use nephos_types::{ProjectId, Timestamp, UserId};

use super::layer::{Format, LayerId};

nephos_types::id! {
    /// A volume, a UUID.
    VolumeId
}

/// Bytes of the unit in which volumes are sized.
pub(crate) const GIB: u64 = 1 << 30;
/// The largest size, in GiB, that any request may name (Cinder's, 2^31 - 1).
pub(crate) const MAX_GIB: i64 = 2_147_483_647;

/// Where a volume is in its life, under Cinder's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Creating,
    Downloading,
    Available,
    Reserved,
    Attaching,
    InUse,
    Detaching,
    Maintenance,
    Extending,
    Uploading,
    Deleting,
    Error,
    ErrorDeleting,
    ErrorExtending,
    ErrorRestoring,
    BackingUp,
    RestoringBackup,
    ErrorBackingUp,
    AwaitingTransfer,
    Retyping,
    Reverting,
}

impl Status {
    const ALL: [Self; 21] = [
        Self::Creating,
        Self::Downloading,
        Self::Available,
        Self::Reserved,
        Self::Attaching,
        Self::InUse,
        Self::Detaching,
        Self::Maintenance,
        Self::Extending,
        Self::Uploading,
        Self::Deleting,
        Self::Error,
        Self::ErrorDeleting,
        Self::ErrorExtending,
        Self::ErrorRestoring,
        Self::BackingUp,
        Self::RestoringBackup,
        Self::ErrorBackingUp,
        Self::AwaitingTransfer,
        Self::Retyping,
        Self::Reverting,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Downloading => "downloading",
            Self::Available => "available",
            Self::Reserved => "reserved",
            Self::Attaching => "attaching",
            Self::InUse => "in-use",
            Self::Detaching => "detaching",
            Self::Maintenance => "maintenance",
            Self::Extending => "extending",
            Self::Uploading => "uploading",
            Self::Deleting => "deleting",
            Self::Error => "error",
            Self::ErrorDeleting => "error_deleting",
            Self::ErrorExtending => "error_extending",
            Self::ErrorRestoring => "error_restoring",
            Self::BackingUp => "backing-up",
            Self::RestoringBackup => "restoring-backup",
            Self::ErrorBackingUp => "error_backing-up",
            Self::AwaitingTransfer => "awaiting-transfer",
            Self::Retyping => "retyping",
            Self::Reverting => "reverting",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Whether its files are there and nobody changes their shape.
    pub(crate) const fn is_settled(self) -> bool {
        matches!(self, Self::Available | Self::InUse)
    }

    /// Whether a plain delete takes it (cinder/volume/api.py).
    pub(crate) const fn is_deletable(self) -> bool {
        matches!(
            self,
            Self::Available
                | Self::Error
                | Self::ErrorRestoring
                | Self::ErrorExtending
                | Self::ErrorDeleting
                | Self::ErrorBackingUp
        )
    }
}

/// Who a thing belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub project_id: ProjectId,
    pub user_id: UserId,
}

/// A volume as stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Volume {
    pub id: VolumeId,
    pub owner: Owner,
    pub name: Option<String>,
    pub description: Option<String>,
    pub size_gib: i64,
    pub status: Status,
    /// What it goes back to when a piece of work is over.
    pub status_before: Status,
    pub bootable: bool,
    pub readonly: bool,
    pub multiattach: bool,
    pub zone: String,
    pub type_id: String,
    pub snapshot_id: Option<String>,
    pub source_volid: Option<String>,
    pub image_id: Option<String>,
    pub backend: Option<String>,
    pub format: Format,
    pub layer: Option<LayerId>,
    /// The layer that is being made of its file.
    pub held_by: Option<LayerId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub launched_at: Option<Timestamp>,
    /// The group that it is in.
    pub group_id: Option<String>,
    /// How moving it to another back end came out, in Cinder's words; none: it never was.
    pub migration: Option<String>,
}

impl Volume {
    /// Its size in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        gib_bytes(self.size_gib)
    }

    /// Where its data is, as a file's name in its back end.
    pub(crate) fn file(&self) -> String {
        volume_file(&self.id)
    }
}

/// The name of a volume's file.
pub(crate) fn volume_file(id: &VolumeId) -> String {
    format!("volume-{id}")
}

/// So many GiB in bytes.
pub(crate) fn gib_bytes(gib: i64) -> u64 {
    u64::try_from(gib).unwrap_or(0).saturating_mul(GIB)
}

/// The smallest size in GiB that holds so many bytes.
pub(crate) fn gib_for(bytes: u64) -> i64 {
    i64::try_from(bytes.div_ceil(GIB)).unwrap_or(i64::MAX)
}

/// What users wrote on a thing.
pub(crate) type Metadata = BTreeMap<String, String>;

/// Whether the text has the form of a UUID; nothing else is the id of anything here.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _digit => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_reads_back() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("lost"), None);
    }

    #[test]
    fn sizes_round_up() {
        assert_eq!(
            (gib_for(0), gib_for(1), gib_for(GIB), gib_for(GIB + 1)),
            (0, 1, 1, 2)
        );
    }
}
