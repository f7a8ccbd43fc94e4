//! The volumes of a server: what was asked for, what came of it, and what its host is told of them.
//!
//! ```text
//!   asked for ──► made (unless it was given) ──► attachment ──► connection ──► plugged ──► complete
//!                                                    leaving ──► unplugged ──► attachment removed
//! ```

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The device of a server's first disk.
pub const ROOT_DEVICE: &str = "/dev/vda";
/// Letters of disks; the last one is the config drive's.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxy";
/// Disks that a server can have.
pub const MAX_DISKS: usize = LETTERS.len();

/// A volume of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Its place in the server; Nova calls it a block device mapping.
    pub id: String,
    /// The volume; empty until it is made.
    pub volume_id: String,
    /// What it is made of; none: it was there before.
    pub source: Option<Source>,
    /// GiB.
    pub size_gib: u64,
    /// `/dev/vdb`.
    pub device: String,
    /// Whether the server boots from it.
    pub is_root: bool,
    /// Whether it is deleted with the server.
    pub delete_on_termination: bool,
    /// A name for the guest.
    pub tag: Option<String>,
    /// Whether other servers may have it too.
    pub shared: bool,
    /// What the block service calls the relation of server and volume.
    pub attachment_id: Option<String>,
    /// The relation that the present one takes the place of.
    pub former_attachment_id: Option<String>,
    /// How its host opens it.
    pub connection: Option<Connection>,
    /// Whether the block service knows that the server uses it.
    pub complete: bool,
    /// It is being taken out.
    pub leaving: bool,
}

/// What a volume is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// From what.
    #[serde(flatten)]
    pub from: Origin,
    /// The type of the new volume.
    #[serde(default)]
    pub volume_type: Option<String>,
}

/// What a volume begins as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", content = "of", rename_all = "snake_case")]
pub enum Origin {
    /// An image of this id.
    Image(String),
    /// A snapshot of this id.
    Snapshot(String),
    /// Nothing.
    Blank,
}

/// How a host opens a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Connection {
    /// For which host.
    pub host: String,
    /// By what way.
    pub path: Way,
    /// Whether it may only be read.
    pub read_only: bool,
    /// How fast it may be read and written: libvirt's names with bytes or operations a second.
    pub limits: BTreeMap<String, u64>,
    /// Whether it is encrypted (LUKS). What opens it, a host asks for when it opens it.
    pub encrypted: bool,
}

/// A connection as documents have it. The way to an encrypted volume has a name of its own: an agent that knows no
/// encryption misses the `path` that it needs, and leaves the server alone, where it would give a guest the encrypted bytes
/// as a disk to write over.
#[derive(Serialize, Deserialize)]
struct Written {
    host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Way>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encrypted_path: Option<Way>,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    limits: BTreeMap<String, u64>,
    /// Earlier documents have `path` also where it is encrypted, and this beside it.
    #[serde(default, skip_serializing)]
    encrypted: bool,
}

impl From<Connection> for Written {
    fn from(from: Connection) -> Self {
        let (path, encrypted_path) = match from.encrypted {
            true => (None, Some(from.path)),
            false => (Some(from.path), None),
        };
        Self {
            host: from.host,
            path,
            encrypted_path,
            read_only: from.read_only,
            limits: from.limits,
            encrypted: from.encrypted,
        }
    }
}

impl TryFrom<Written> for Connection {
    type Error = &'static str;

    fn try_from(from: Written) -> Result<Self, Self::Error> {
        let (path, encrypted) = match (from.path, from.encrypted_path) {
            (None, Some(path)) => (path, true),
            (Some(path), None) => (path, from.encrypted),
            (Some(_), Some(_)) => return Err("a connection has one way, not two"),
            (None, None) => return Err("a connection lacks its `path`"),
        };
        Ok(Self {
            host: from.host,
            path,
            read_only: from.read_only,
            limits: from.limits,
            encrypted,
        })
    }
}

/// What opens an encrypted volume, as a host is told when it asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeKey {
    /// The key.
    pub key: Password,
}

/// What the block service may limit (nova.virt.libvirt.volume `get_config`).
pub const LIMITS: [&str; 13] = [
    "total_bytes_sec",
    "read_bytes_sec",
    "write_bytes_sec",
    "total_iops_sec",
    "read_iops_sec",
    "write_iops_sec",
    "total_bytes_sec_max",
    "read_bytes_sec_max",
    "write_bytes_sec_max",
    "total_iops_sec_max",
    "read_iops_sec_max",
    "write_iops_sec_max",
    "size_iops_sec",
];

/// The way to a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Way {
    /// A file of the host.
    Local {
        /// Where.
        path: String,
        /// `raw` or `qcow2`.
        format: String,
    },
    /// iSCSI, spoken by the hypervisor itself.
    Iscsi {
        /// `address:port`.
        portal: String,
        /// The target's name.
        iqn: String,
        /// The number of the disk there.
        lun: u32,
        /// Who logs in.
        user: String,
        /// With what.
        password: Password,
    },
}

/// What opens a volume; it does not show in logs.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A volume as its server's host is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// The volume; also the serial number that the guest sees.
    pub volume_id: String,
    /// `vdb`.
    pub device: String,
    /// GiB; 0: not known.
    #[serde(default)]
    pub size_gib: u64,
    /// Whether other servers may have it too.
    #[serde(default)]
    pub shared: bool,
    /// How to open it.
    pub connection: Connection,
}

impl Volume {
    /// What a host is told; nothing of a volume that it cannot open yet, or not any more.
    #[must_use]
    pub fn spec(&self, host: Option<&str>) -> Option<VolumeSpec> {
        let connection = self.connection.clone()?;
        // What opens it on one host is nobody else's.
        if self.leaving || host != Some(connection.host.as_str()) {
            return None;
        }
        Some(VolumeSpec {
            volume_id: self.volume_id.clone(),
            device: short(&self.device).to_owned(),
            size_gib: self.size_gib,
            shared: self.shared,
            connection,
        })
    }

    /// Under which a volume that is made for a server is found again.
    #[must_use]
    pub fn name(&self, server: &str) -> String {
        format!("server-{server}-{}", short(&self.device))
    }
}

/// What a host calls itself towards an iSCSI target.
#[must_use]
pub fn initiator(host: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') => c,
        _other => '-',
    };
    format!(
        "iqn.2026-01.org.nephos:{}",
        host.chars().map(plain).collect::<String>()
    )
}

/// The device without its folder.
#[must_use]
pub fn short(device: &str) -> &str {
    device.strip_prefix("/dev/").unwrap_or(device)
}

/// The first free device; none when the server has all it can have.
#[must_use]
pub fn free_device<'a>(taken: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let mut all = LETTERS.chars().map(|letter| format!("/dev/vd{letter}"));
    all.find(|device| !taken.clone().any(|used| used == device))
}

/// Whether a device may be asked for at all (nova.block_device `match_device`).
#[must_use]
pub fn is_device(text: &str) -> bool {
    let Some(name) = text.strip_prefix("/dev/") else {
        return false;
    };
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (1..=4).contains(&letters.len()) && letters.chars().all(|c| c.is_ascii_lowercase())
}

/// Whether a device is one that a guest here has.
#[must_use]
pub fn is_ours(device: &str) -> bool {
    let letter = device.strip_prefix("/dev/vd").unwrap_or_default();
    letter.len() == 1 && LETTERS.contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_follow_each_other_and_end() {
        let taken = |names: &[&'static str]| free_device(names.iter().copied());
        assert_eq!(taken(&[]).as_deref(), Some("/dev/vda"));
        assert_eq!(
            taken(&["/dev/vda", "/dev/vdc"]).as_deref(),
            Some("/dev/vdb")
        );
        let all: Vec<String> = LETTERS.chars().map(|c| format!("/dev/vd{c}")).collect();
        assert_eq!(free_device(all.iter().map(String::as_str)), None);
    }

    #[test]
    fn a_device_is_recognised() {
        for good in ["/dev/vdb", "/dev/sdz", "/dev/xvdb", "/dev/vdb1"] {
            assert!(is_device(good), "{good}");
        }
        for bad in [
            "vdb",
            "/dev/",
            "/dev/v db",
            "/dev/../etc",
            "/dev/VDB",
            "/dev/1",
        ] {
            assert!(!is_device(bad), "{bad}");
        }
        assert!(is_ours("/dev/vdc") && !is_ours("/dev/vdz") && !is_ours("/dev/sdb"));
    }

    fn volume() -> Volume {
        Volume {
            volume_id: "v".to_owned(),
            device: "/dev/vdb".to_owned(),
            connection: Some(Connection {
                host: "one".to_owned(),
                path: Way::Iscsi {
                    portal: "10.0.0.1:3260".to_owned(),
                    iqn: "iqn".to_owned(),
                    lun: 1,
                    user: "u".to_owned(),
                    password: Password("secret".to_owned()),
                },
                read_only: false,
                limits: BTreeMap::new(),
                encrypted: false,
            }),
            ..Volume::default()
        }
    }

    #[test]
    fn what_opens_a_volume_goes_to_its_host_only_and_into_no_log() {
        let mut volume = volume();
        assert!(volume.spec(Some("one")).is_some());
        assert_eq!(volume.spec(Some("two")), None);
        assert_eq!(volume.spec(None), None);
        assert!(!format!("{volume:?}").contains("secret"));
        volume.leaving = true;
        assert_eq!(volume.spec(Some("one")), None);
    }

    #[test]
    fn who_knows_no_encryption_cannot_read_the_way_to_an_encrypted_volume() {
        /// A connection as agents and computes read it before there was encryption.
        #[derive(Debug, Deserialize)]
        struct Old {
            path: Way,
        }
        let mut connection = volume().connection.unwrap();
        for encrypted in [false, true] {
            connection.encrypted = encrypted;
            let text = serde_json::to_string(&connection).unwrap();
            let read = serde_json::from_str::<Connection>(&text).unwrap();
            assert_eq!(read, connection);
            let old = serde_json::from_str::<Old>(&text);
            assert_eq!(
                old.ok().map(|old| old.path),
                (!encrypted).then_some(read.path)
            );
        }
        // A document from before the way had a name of its own.
        let mut former = serde_json::to_value(&connection).unwrap();
        let fields = former.as_object_mut().unwrap();
        let path = fields.remove("encrypted_path").unwrap();
        fields.insert("path".to_owned(), path.clone());
        fields.insert("encrypted".to_owned(), true.into());
        assert_eq!(
            serde_json::from_value::<Connection>(former.clone()).unwrap(),
            connection
        );
        let fields = former.as_object_mut().unwrap();
        fields.insert("encrypted_path".to_owned(), path);
        assert!(serde_json::from_value::<Connection>(former).is_err());
        let none = serde_json::json!({"host": "one"});
        assert!(serde_json::from_value::<Connection>(none).is_err());
    }

    #[test]
    fn a_volume_is_read_as_it_was_written() {
        let mut volume = volume();
        for from in [
            Origin::Blank,
            Origin::Image("i".to_owned()),
            Origin::Snapshot("s".to_owned()),
        ] {
            volume.source = Some(Source {
                from,
                volume_type: Some("fast".to_owned()),
            });
            let text = serde_json::to_string(&volume).unwrap();
            assert_eq!(serde_json::from_str::<Volume>(&text).unwrap(), volume);
        }
        assert_eq!(
            serde_json::from_str::<Volume>("{}").unwrap(),
            Volume::default()
        );
    }
}
