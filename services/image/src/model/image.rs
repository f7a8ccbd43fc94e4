//! An image, its states and its limits.

use std::collections::{BTreeMap, BTreeSet};

use nephos_types::Timestamp;

nephos_types::id! {
    /// An image, a UUID.
    ImageId
    /// A file of a store, made for one upload or copy.
    BlobId
    /// What an import shows of itself.
    TaskId
}

impl ImageId {
    /// The id, when the text has the form of one; there is no image with another.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uuid = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _digit => byte.is_ascii_hexdigit(),
            });
        uuid.then(|| Self(text.to_owned()))
    }
}

/// Where an image is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// No data yet.
    Queued,
    /// Data is being uploaded.
    Saving,
    /// Data is being staged, or is.
    Uploading,
    /// Data is being brought into the stores.
    Importing,
    /// Data can be downloaded.
    Active,
    /// Data can be downloaded by an admin only.
    Deactivated,
}

impl Status {
    const ALL: [Self; 6] = [
        Self::Queued,
        Self::Saving,
        Self::Uploading,
        Self::Importing,
        Self::Active,
        Self::Deactivated,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Saving => "saving",
            Self::Uploading => "uploading",
            Self::Importing => "importing",
            Self::Active => "active",
            Self::Deactivated => "deactivated",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// Who may see an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Visibility {
    /// Everybody.
    Public,
    /// The owner.
    Private,
    /// The owner and the members.
    Shared,
    /// Everybody who knows it; it is in nobody else's list.
    Community,
}

impl Visibility {
    const ALL: [Self; 4] = [Self::Public, Self::Private, Self::Shared, Self::Community];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::Community => "community",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// What a member said to an image shared with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MemberStatus {
    /// Nothing yet.
    Pending,
    /// It is in the member's list.
    Accepted,
    /// It is not.
    Rejected,
}

impl MemberStatus {
    const ALL: [Self; 3] = [Self::Pending, Self::Accepted, Self::Rejected];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// Where a blob is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BlobState {
    /// Bytes are being written.
    Writing,
    /// All of it is there.
    Kept,
    /// It is to be removed.
    Doomed,
}

impl BlobState {
    const ALL: [Self; 3] = [Self::Writing, Self::Kept, Self::Doomed];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Writing => "writing",
            Self::Kept => "kept",
            Self::Doomed => "doomed",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// The store of what is staged, under Glance's name.
pub(crate) const STAGING: &str = "os_glance_staging_store";
/// The algorithm of `os_hash_value`.
pub(crate) const HASH_ALGO: &str = "sha512";

pub(crate) const MAX_PROPERTIES: usize = 128;
pub(crate) const MAX_TAGS: usize = 128;
pub(crate) const MAX_MEMBERS: usize = 128;

/// An image as stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Image {
    pub id: ImageId,
    pub name: Option<String>,
    pub status: Status,
    pub visibility: Visibility,
    pub owner: Option<String>,
    pub protected: bool,
    pub hidden: bool,
    pub container_format: Option<String>,
    pub disk_format: Option<String>,
    pub min_ram: i64,
    pub min_disk: i64,
    pub data: Data,
    pub generation: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub properties: BTreeMap<String, String>,
    pub tags: BTreeSet<String>,
    /// Where its data is, in the order of the names.
    pub stores: Vec<String>,
}

/// What is known of an image's data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Data {
    pub size: Option<i64>,
    pub virtual_size: Option<i64>,
    pub checksum: Option<String>,
    pub hash_algo: Option<String>,
    pub hash_value: Option<String>,
}

impl Image {
    /// What must be set before data can come.
    pub(crate) fn missing_formats(&self) -> Option<String> {
        let missing: Vec<&str> = [
            ("disk_format", &self.disk_format),
            ("container_format", &self.container_format),
        ]
        .into_iter()
        .filter(|(_, format)| format.is_none())
        .map(|(name, _)| name)
        .collect();
        match missing.as_slice() {
            [] => None,
            [one] => Some(format!("Property {one} must be set prior to saving data.")),
            many => Some(format!(
                "Properties {} must be set prior to saving data.",
                many.join(", ")
            )),
        }
    }
}

/// Glance's words for who may see an image.
pub(crate) const VISIBILITIES: &[&str] = &["community", "public", "private", "shared"];
/// Glance's container formats.
pub(crate) const CONTAINER_FORMATS: &[&str] = &[
    "ami",
    "ari",
    "aki",
    "bare",
    "ovf",
    "ova",
    "docker",
    "compressed",
];
/// Glance's disk formats, `gpt` included.
pub(crate) const DISK_FORMATS: &[&str] = &[
    "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop", "gpt",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_is_the_id_of_an_image() {
        assert!(ImageId::parse("71c675ab-d94f-49cd-a114-e12490b328d9").is_some());
        for odd in [
            "",
            "x",
            "71c675ab-d94f-49cd-a114-e12490b328d",
            "71c675abd94f49cda114e12490b328d9",
            "71c675ab-d94f-49cd-a114-e12490b328dz",
            "71c675ab-d94f-49cd-a114-e12490b328d\0",
        ] {
            assert_eq!(ImageId::parse(odd), None, "{odd:?}");
        }
    }
}
