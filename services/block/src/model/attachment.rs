//! Who uses a volume, and how it is reached.

use nephos_types::Timestamp;
use serde_json::{Value, json};

use super::layer::Format;
use super::volume::{Owner, Volume, VolumeId};

nephos_types::id! {
    /// An attachment, a UUID.
    AttachmentId
}

/// Where an attachment is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttachStatus {
    /// Nobody has said yet from where it will be used.
    Reserved,
    /// It is known from where; the user has not said that it is in use.
    Attaching,
    /// In use.
    Attached,
    /// On its way out.
    Detaching,
}

impl AttachStatus {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Attaching => "attaching",
            Self::Attached => "attached",
            Self::Detaching => "detaching",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [
            Self::Reserved,
            Self::Attaching,
            Self::Attached,
            Self::Detaching,
        ]
        .into_iter()
        .find(|one| one.as_str() == word)
    }
}

/// Whether a volume may be written by whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    ReadWrite,
    ReadOnly,
}

impl Mode {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWrite => "rw",
            Self::ReadOnly => "ro",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "rw" => Some(Self::ReadWrite),
            "ro" => Some(Self::ReadOnly),
            _other => None,
        }
    }
}

/// Whether a target over the network is to exist for an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    /// None.
    No,
    /// One is to be made.
    Wanted,
    /// One is there.
    Made,
}

impl Export {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Wanted => "wanted",
            Self::Made => "made",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::No, Self::Wanted, Self::Made]
            .into_iter()
            .find(|one| one.as_str() == word)
    }
}

/// An attachment as stored.
#[derive(Clone, PartialEq)]
pub(crate) struct Attachment {
    pub id: AttachmentId,
    pub volume_id: VolumeId,
    pub owner: Owner,
    pub instance_id: Option<String>,
    pub host: Option<String>,
    pub mountpoint: Option<String>,
    pub mode: Mode,
    pub status: AttachStatus,
    pub connector: Option<Value>,
    pub export: Export,
    /// With which the target is opened; never shown but in the connection itself.
    pub chap: Option<(String, String)>,
    pub attached_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Attachment {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attachment")
            .field("id", &self.id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Where a volume's file is, as its back end says.
pub(crate) struct Place<'a> {
    /// Whether that is on the machine of whoever uses it.
    pub local: bool,
    pub folder: &'a str,
    pub portal: Option<&'a str>,
}

/// The name of the target of an attachment.
pub(crate) fn target_name(id: &AttachmentId) -> String {
    format!("iqn.2026-01.org.nephos:{id}")
}

/// How the volume is reached from where the connector says; none when nothing is known of where that is, or when it is
/// elsewhere and the back end exports nothing.
pub(crate) fn connection(
    attachment: &Attachment,
    volume: &Volume,
    place: &Place<'_>,
) -> Option<Value> {
    attachment.host.as_ref()?;
    let mode = attachment.mode.as_str();
    let encrypted = volume.format == Format::Luks;
    // What is encrypted has words of its own: who does not know them refuses it, instead of giving a guest the encrypted
    // bytes as a disk.
    let (format, iscsi) = match volume.format {
        Format::Qcow2 => ("qcow2", "iscsi"),
        Format::Raw => ("raw", "iscsi"),
        Format::Luks => ("luks", "encrypted_iscsi"),
    };
    if place.local {
        let path = format!("{}/{}", place.folder, volume.file());
        return Some(json!({
            "driver_volume_type": "local",
            "data": {
                "device_path": path, "format": format, "volume_id": volume.id,
                "access_mode": mode, "encrypted": encrypted,
            },
        }));
    }
    let portal = place.portal?;
    let (user, secret) = attachment.chap.as_ref()?;
    if volume.format == Format::Qcow2 {
        return None;
    }
    Some(json!({
        "driver_volume_type": iscsi,
        "data": {
            "target_discovered": false, "target_portal": portal, "target_iqn": target_name(&attachment.id),
            "target_lun": 1, "auth_method": "CHAP", "auth_username": user, "auth_password": secret,
            "volume_id": volume.id, "access_mode": mode, "encrypted": encrypted,
        },
    }))
}
