//! Images that are made of servers' root disks: what a host is told to bring, and what it says of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::server::{ImageCopy, Server};
use super::spec::ImageId;

/// The feed's word for an image that is to be made of a server's root disk; the id is the server's.
pub const KIND_SNAPSHOT: &str = "snapshot";

/// A host reads the server's root disk as it is at one moment, and brings it to the image service as the data of this image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotWish {
    /// The image, which is there and has no data yet.
    pub image: ImageId,
    /// Which root disk.
    pub epoch: i64,
    /// Whether the guest is on, unless it ends by itself. One that is not yet, on a host that has just started, is waited for.
    #[serde(default)]
    pub on: bool,
}

/// How far a host is with it. Whether the image has its data, the image service says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum SnapshotSeen {
    /// The disk is read.
    Reading,
    /// What was read is brought to the image service.
    Uploading,
    /// All of it was brought.
    Uploaded,
    /// It cannot be done.
    Failed {
        /// Why, in a sentence that may be shown to the server's owner.
        reason: String,
    },
}

impl SnapshotSeen {
    /// Nova's word for the server meanwhile.
    #[must_use]
    pub const fn task_state(&self) -> &'static str {
        match self {
            Self::Reading => "image_pending_upload",
            Self::Uploading | Self::Uploaded | Self::Failed { .. } => "image_uploading",
        }
    }
}

/// What an image of a server does not inherit (Nova's `non_inheritable_image_properties`).
const NOT_INHERITED: &[&str] = &[
    "cache_in_nova",
    "bittorrent",
    "img_signature_hash_method",
    "img_signature",
    "img_signature_key_type",
    "img_signature_certificate_uuid",
    // Of who booted another server; who booted this one is not kept.
    "boot_roles",
];
/// What is an image's own, among what is kept of the image that a server was made of.
const ATTRIBUTES: &[&str] = &[
    "name",
    "owner",
    "visibility",
    "checksum",
    "container_format",
    "created_at",
    "updated_at",
    "file",
    "schema",
    "self",
    "stores",
    "direct_url",
    "locations",
    "deleted_at",
    "message",
];

/// What the image that is made of a server inherits from the one that the server was made of.
#[must_use]
pub fn inherited(image: &ImageCopy) -> BTreeMap<String, String> {
    let kept = image.properties.iter().filter(|(key, _)| {
        let key = key.as_str();
        !ATTRIBUTES.contains(&key) && !NOT_INHERITED.contains(&key) && !key.starts_with("os_glance")
    });
    kept.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// GiB that a disk made of the server's needs at least: as many as the server's own has.
#[must_use]
pub fn min_disk_gib(server: &Server) -> u64 {
    server.image.min_disk_gib.max(server.flavor.disk_gib)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_inherits_properties_and_neither_attributes_nor_signatures() {
        let mut image = ImageCopy::none();
        for key in [
            "os_distro",
            "hw_disk_bus",
            "name",
            "checksum",
            "container_format",
            "owner",
            "img_signature",
            "os_glance_importing_to_stores",
            "base_image_ref",
            "boot_roles",
        ] {
            image.properties.insert(key.to_owned(), key.to_owned());
        }
        let kept: Vec<String> = inherited(&image).into_keys().collect();
        assert_eq!(kept, ["base_image_ref", "hw_disk_bus", "os_distro"]);
    }

    #[test]
    fn what_a_host_says_survives_the_wire() {
        for seen in [
            SnapshotSeen::Reading,
            SnapshotSeen::Uploading,
            SnapshotSeen::Uploaded,
            SnapshotSeen::Failed {
                reason: "full".to_owned(),
            },
        ] {
            let text = serde_json::to_string(&seen).unwrap();
            assert_eq!(serde_json::from_str::<SnapshotSeen>(&text).unwrap(), seen);
        }
    }
}
