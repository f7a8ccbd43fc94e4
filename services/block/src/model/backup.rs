//! A backup, and how its bytes lie in the object service.
//!
//! A volume is cut into chunks, 64 of which are a segment. A chunk of zeroes is kept nowhere; every other one is an object.
//! A segment has an object that lists its chunks with checksum and place; one more describes the whole backup and lists its
//! segments. The place of a chunk that has not changed since the backup below is that of the object there.

use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::layer::LayerId;
use super::volume::{Metadata, Owner, gib_bytes};

nephos_types::id! {
    /// A backup, a UUID.
    BackupId
}

/// Bytes of a chunk, so many are in memory at once.
pub(crate) const CHUNK: u64 = 4 << 20;
/// Chunks of a segment.
pub(crate) const CHUNKS: u64 = 64;
/// Bytes of a segment.
pub(crate) const SEGMENT: u64 = CHUNK * CHUNKS;
/// Where backups lie unless somebody names another container (Cinder's).
pub(crate) const CONTAINER: &str = "volumebackups";
/// The name under which Cinder's clients know the form of what is kept.
pub(crate) const SERVICE: &str = "cinder.backup.drivers.swift.SwiftBackupDriver";
/// The form that is written and read here.
const VERSION: u32 = 1;

/// Where a backup is in its life, under Cinder's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackupStatus {
    Creating,
    Available,
    Deleting,
    Error,
    ErrorDeleting,
    Restoring,
}

impl BackupStatus {
    const ALL: [Self; 6] = [
        Self::Creating,
        Self::Available,
        Self::Deleting,
        Self::Error,
        Self::ErrorDeleting,
        Self::Restoring,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Available => "available",
            Self::Deleting => "deleting",
            Self::Error => "error",
            Self::ErrorDeleting => "error_deleting",
            Self::Restoring => "restoring",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Whether a plain delete takes it.
    pub(crate) const fn is_deletable(self) -> bool {
        matches!(self, Self::Available | Self::Error | Self::ErrorDeleting)
    }
}

/// A backup as stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backup {
    pub id: BackupId,
    pub owner: Owner,
    pub volume_id: String,
    pub snapshot_id: Option<String>,
    /// The backup that this one stands on.
    pub parent_id: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub size_gib: i64,
    pub status: BackupStatus,
    pub fail_reason: Option<String>,
    pub zone: String,
    pub container: String,
    /// What the names of its objects begin with.
    pub place: String,
    /// Of the object that describes it; none: it is not whole.
    pub checksum: Option<String>,
    pub object_count: i64,
    /// The segment that comes next.
    pub progress: i64,
    /// The layer that it is made of; none: the volume's own file.
    pub layer: Option<LayerId>,
    pub restore_volume_id: Option<String>,
    /// When the data was as it is in the backup.
    pub data_at: Timestamp,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// How many stand on it.
    pub dependents: i64,
}

impl Backup {
    /// How many segments it has at most.
    pub(crate) fn segments(&self) -> i64 {
        i64::try_from(gib_bytes(self.size_gib).div_ceil(SEGMENT)).unwrap_or(i64::MAX)
    }

    pub(crate) fn chunk_name(&self, index: u64) -> String {
        format!("{}/{index:010}", self.place)
    }

    pub(crate) fn segment_name(&self, number: i64) -> String {
        format!("{}/segment-{number:08}", self.place)
    }

    pub(crate) fn head_name(&self) -> String {
        format!("{}/backup", self.place)
    }
}

/// Where the objects of a new backup are to be.
pub(crate) fn place_of(volume: &str, id: &BackupId) -> String {
    format!("volume_{volume}/backup_{id}")
}

/// Why a container cannot be called so.
pub(crate) fn check_container(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > 255 || name.contains('/') || name.contains('\0') {
        return Err(format!(
            "Invalid input for field/attribute container. Value: {name}. A container has 1 to 255 bytes and no '/'"
        ));
    }
    Ok(())
}

/// A chunk that is not all zeroes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chunk {
    /// Its number in the volume.
    pub at: u64,
    pub sha256: String,
    pub container: String,
    pub object: String,
}

/// What a segment's object says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub chunks: Vec<Chunk>,
}

/// What the object says that describes a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    version: u32,
    chunk_bytes: u64,
    segment_chunks: u64,
    pub size_gib: i64,
    pub volume: About,
    /// Number and checksum of each segment in which there is something.
    pub segments: Vec<(i64, String)>,
}

/// What a volume that is restored gets beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub name: Option<String>,
    pub description: Option<String>,
    pub bootable: bool,
    pub metadata: Metadata,
    pub image: Metadata,
}

impl Head {
    pub(crate) const fn new(size_gib: i64, volume: About, segments: Vec<(i64, String)>) -> Self {
        Self {
            version: VERSION,
            chunk_bytes: CHUNK,
            segment_chunks: CHUNKS,
            size_gib,
            volume,
            segments,
        }
    }

    /// Reads one; an error in words when it is of another form.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let head: Self = serde_json::from_slice(bytes)
            .map_err(|why| format!("the object that describes it is damaged: {why}"))?;
        let known = (head.version, head.chunk_bytes, head.segment_chunks);
        if known == (VERSION, CHUNK, CHUNKS) {
            Ok(head)
        } else {
            Err(format!(
                "it is of form {}, which is not read here",
                head.version
            ))
        }
    }
}

/// What an exported record says, enough to have the backup again where its objects are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub id: String,
    pub size: i64,
    pub display_name: Option<String>,
    pub display_description: Option<String>,
    pub container: String,
    pub service_metadata: String,
    pub service: String,
    pub volume_id: String,
    pub parent_id: Option<String>,
    pub object_count: i64,
    pub checksum: String,
    /// Microseconds since 1970.
    pub data_timestamp: i64,
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_reads_back() {
        for status in BackupStatus::ALL {
            assert_eq!(BackupStatus::parse(status.as_str()), Some(status));
        }
    }

    #[test]
    fn a_description_of_another_form_is_not_read() {
        let head = Head::new(1, About::default(), vec![(3, "x".to_owned())]);
        let bytes = serde_json::to_vec(&head).unwrap();
        assert_eq!(Head::parse(&bytes), Ok(head.clone()));
        let newer = Head { version: 2, ..head };
        assert!(Head::parse(&serde_json::to_vec(&newer).unwrap()).is_err());
        assert!(Head::parse(b"{}").is_err());
    }

    #[test]
    fn containers_have_names_that_the_object_service_takes() {
        assert!(check_container("mine").is_ok());
        for odd in ["", "a/b", &"x".repeat(256)] {
            assert!(check_container(odd).is_err(), "{odd}");
        }
    }
}
