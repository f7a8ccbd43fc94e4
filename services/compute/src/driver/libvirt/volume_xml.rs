//! Volumes in libvirt's XML: how a guest gets one, and which it has. Pure.
//!
//! A disk is a volume's if its serial number is the volume's id: the guest sees the same number.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

use super::domain_xml::escape;
use crate::driver::FoundVolume;
use crate::model::spec::ServerId;
use crate::model::volume::{LIMITS, VolumeSpec, Way, initiator};

/// The UUID of the secret that opens a volume for a server.
#[must_use]
pub fn secret_id(server: &ServerId, volume_id: &str) -> String {
    let name = secret_name(server, volume_id);
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

/// The UUID of a secret by its definition, if it opens a volume for one of our servers.
#[must_use]
pub fn our_secret(definition: &str) -> Option<String> {
    let xml = Document::parse(definition).ok()?;
    let text = |name| {
        xml.descendants()
            .find(|node| node.has_tag_name(name))?
            .text()
    };
    text("target")
        .filter(|target| target.starts_with(OURS))
        .and_then(|_ours| text("uuid").map(str::to_owned))
}

/// What the names of all such secrets begin with.
const OURS: &str = "nephos/";

fn secret_name(server: &ServerId, volume_id: &str) -> String {
    format!("{OURS}{server}/{volume_id}")
}

/// The definition of that secret; its value is given apart from it, and libvirt shows it to nobody.
#[must_use]
pub fn secret(server: &ServerId, volume_id: &str) -> String {
    format!(
        "<secret ephemeral='no' private='yes'><uuid>{}</uuid><usage type='iscsi'><target>{}</target></usage></secret>",
        secret_id(server, volume_id),
        escape(&secret_name(server, volume_id)),
    )
}

/// The UUID of the secret that decrypts a volume for a server. It is there only while libvirt opens the volume.
#[must_use]
pub fn key_id(server: &ServerId, volume_id: &str) -> String {
    let name = key_name(server, volume_id);
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

/// What the names of all such secrets begin with.
const KEYS: &str = "nephos-key/";

fn key_name(server: &ServerId, volume_id: &str) -> String {
    format!("{KEYS}{server}/{volume_id}")
}

/// The definition of that secret, of which libvirt writes nothing to disk.
#[must_use]
pub fn key(server: &ServerId, volume_id: &str) -> String {
    format!(
        "<secret ephemeral='yes' private='yes'><uuid>{}</uuid><usage type='volume'><volume>{}</volume></usage></secret>",
        key_id(server, volume_id),
        escape(&key_name(server, volume_id)),
    )
}

/// The UUID of a secret by its definition, if it decrypts a volume of one of our servers.
#[must_use]
pub fn our_key(definition: &str) -> Option<String> {
    let xml = Document::parse(definition).ok()?;
    let text = |name| {
        xml.descendants()
            .find(|node| node.has_tag_name(name))?
            .text()
    };
    text("volume")
        .filter(|name| name.starts_with(KEYS))
        .and_then(|_ours| text("uuid").map(str::to_owned))
}

/// The volumes of a definition that need a key to be opened.
#[must_use]
pub fn encrypted(definition: &str) -> Vec<String> {
    let Ok(xml) = Document::parse(definition) else {
        return Vec::new();
    };
    let disks = xml.descendants().filter(|node| node.has_tag_name("disk"));
    let locked = disks.filter(|disk| {
        let mut parts = disk.descendants();
        parts.any(|part| part.has_tag_name("encryption"))
    });
    let serial = |disk: Node<'_, '_>| {
        let serial = disk.children().find(|node| node.has_tag_name("serial"))?;
        serial.text().map(str::to_owned)
    };
    locked.filter_map(serial).collect()
}

/// The disk of a volume.
#[must_use]
pub fn disk(server: &ServerId, volume: &VolumeSpec) -> String {
    let connection = &volume.connection;
    // Guests that share a disk must see each other's writes at once.
    let cache = if volume.shared { "none" } else { "writeback" };
    let lock = match connection.encrypted {
        true => format!(
            "<encryption format='luks'><secret type='passphrase' uuid='{}'/></encryption>",
            key_id(server, &volume.volume_id)
        ),
        false => String::new(),
    };
    let (kind, format, source) = match &connection.path {
        Way::Local { path, format } => {
            let source = match lock.as_str() {
                "" => format!("<source file='{}'/>", escape(path)),
                lock => format!("<source file='{}'>{lock}</source>", escape(path)),
            };
            ("file", format.as_str(), source)
        }
        Way::Iscsi {
            portal,
            iqn,
            lun,
            user,
            ..
        } => {
            let (host, port) = portal.rsplit_once(':').unwrap_or((portal, "3260"));
            let source = format!(
                "<source protocol='iscsi' name='{}/{lun}'><host name='{}' port='{}'/>\
                 <auth username='{}'><secret type='iscsi' uuid='{}'/></auth>\
                 <initiator><iqn name='{}'/></initiator>{lock}</source>",
                escape(iqn),
                escape(host.trim_matches(['[', ']'])),
                escape(port),
                escape(user),
                secret_id(server, &volume.volume_id),
                escape(&initiator(&connection.host)),
            );
            ("network", "raw", source)
        }
    };
    let mut disk = format!(
        "<disk type='{kind}' device='disk'><driver name='qemu' type='{}' cache='{cache}' discard='unmap'/>{source}\
         <target dev='{}' bus='virtio'/>",
        escape(format),
        escape(&volume.device),
    );
    if connection.read_only {
        disk.push_str("<readonly/>");
    }
    if volume.shared {
        disk.push_str("<shareable/>");
    }
    if !connection.limits.is_empty() {
        let each = connection
            .limits
            .iter()
            .filter(|(name, _)| LIMITS.contains(&name.as_str()));
        let each: String = each
            .map(|(name, number)| format!("<{name}>{number}</{name}>"))
            .collect();
        disk.push_str(&format!("<iotune>{each}</iotune>"));
    }
    disk.push_str(&format!(
        "<serial>{}</serial></disk>",
        escape(&volume.volume_id)
    ));
    disk
}

/// The volumes of a definition, and the secrets that open them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volumes {
    /// By id.
    pub all: BTreeMap<String, FoundVolume>,
    /// Their UUIDs.
    pub secrets: Vec<String>,
}

/// Reads a device; one that is no volume's disk is passed over.
pub fn read(device: Node<'_, '_>, volumes: &mut Volumes) {
    let child = |name| device.children().find(|child| child.has_tag_name(name));
    let serial = child("serial").and_then(|serial| serial.text());
    let target = child("target").and_then(|target| target.attribute("dev"));
    let (Some(volume_id), Some(dev)) = (serial, target) else {
        return;
    };
    // A key is there only while a volume is opened.
    let auth = device.descendants().find(|node| node.has_tag_name("auth"));
    let secret = auth.and_then(|auth| auth.children().find(|node| node.has_tag_name("secret")));
    let secret = secret.and_then(|secret| secret.attribute("uuid"));
    volumes.secrets.extend(secret.map(str::to_owned));
    let found = FoundVolume {
        device: dev.to_owned(),
        size_bytes: None,
    };
    volumes.all.insert(volume_id.to_owned(), found);
}

/// The disk of a volume as a running guest has it: what libvirt wants to see again when it is to go.
#[must_use]
pub fn of_guest(xml: &str, volume_id: &str) -> Option<String> {
    let document = Document::parse(xml).ok()?;
    let disk = document.descendants().find(|node| {
        let serial = node.children().find(|child| child.has_tag_name("serial"));
        node.has_tag_name("disk") && serial.and_then(|serial| serial.text()) == Some(volume_id)
    })?;
    xml.get(disk.range()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::volume::{Connection, Password};

    const SERVER: &str = "9f0f1d9c-0d1c-4d3c-8f6e-1a2b3c4d5e6f";

    fn volume(path: Way) -> VolumeSpec {
        VolumeSpec {
            volume_id: "aaaa-<>".to_owned(),
            device: "vdb".to_owned(),
            size_gib: 1,
            shared: false,
            connection: Connection {
                host: "Host_1".to_owned(),
                path,
                read_only: true,
                limits: BTreeMap::from([("total_iops_sec".to_owned(), 500)]),
                encrypted: false,
            },
        }
    }

    fn iscsi() -> VolumeSpec {
        volume(Way::Iscsi {
            portal: "[::1]:3261".to_owned(),
            iqn: "iqn.x:v".to_owned(),
            lun: 1,
            user: "u".to_owned(),
            password: Password("secret-of-mine".to_owned()),
        })
    }

    #[test]
    fn a_disk_is_found_again_by_its_serial_and_shows_no_password() {
        let server = ServerId::from(SERVER);
        let local = volume(Way::Local {
            path: "/var/it's".to_owned(),
            format: "qcow2".to_owned(),
        });
        for volume in [local, iscsi()] {
            let xml = format!(
                "<domain><devices>{}</devices></domain>",
                disk(&server, &volume)
            );
            assert!(!xml.contains("secret-of-mine"));
            assert!(xml.contains("<readonly/>"));
            assert!(xml.contains("<iotune><total_iops_sec>500</total_iops_sec></iotune>"));
            let document = Document::parse(&xml).unwrap();
            let mut found = Volumes::default();
            for node in document.descendants() {
                read(node, &mut found);
            }
            assert_eq!(found.all["aaaa-<>"].device, "vdb");
            assert_eq!(of_guest(&xml, "aaaa-<>"), Some(disk(&server, &volume)));
            assert_eq!(of_guest(&xml, "other"), None);
        }
    }

    #[test]
    fn an_encrypted_disk_names_its_key_and_is_found_by_it() {
        let server = ServerId::from(SERVER);
        for encrypted in [true, false] {
            let mut volume = iscsi();
            volume.connection.encrypted = encrypted;
            let xml = format!(
                "<domain><devices>{}</devices></domain>",
                disk(&server, &volume)
            );
            let id = key_id(&server, "aaaa-<>");
            assert_eq!(xml.contains(&id), encrypted);
            let locked = super::encrypted(&xml);
            assert_eq!(locked, vec!["aaaa-<>".to_owned(); usize::from(encrypted)]);
            let mut found = Volumes::default();
            for node in Document::parse(&xml).unwrap().descendants() {
                read(node, &mut found);
            }
            assert_eq!(found.secrets, [secret_id(&server, "aaaa-<>")]);
            let key = key(&server, "aaaa-<>");
            assert!(key.contains("ephemeral='yes' private='yes'"));
            assert_eq!((our_key(&key), our_secret(&key)), (Some(id), None));
        }
    }

    #[test]
    fn an_iscsi_disk_names_portal_target_initiator_and_secret() {
        let server = ServerId::from(SERVER);
        let xml = disk(&server, &iscsi());
        let id = secret_id(&server, "aaaa-<>");
        for part in [
            "name='iqn.x:v/1'",
            "host name='::1' port='3261'",
            "iqn.2026-01.org.nephos:host-1",
            id.as_str(),
        ] {
            assert!(xml.contains(part), "{part}: {xml}");
        }
        let secret = secret(&server, "aaaa-<>");
        assert!(secret.contains(&id) && secret.contains("private='yes'"));
        assert_eq!(our_secret(&secret), Some(id));
        assert_eq!(our_secret(&secret.replace("nephos/", "other/")), None);
    }
}
