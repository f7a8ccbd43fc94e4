//! The block service: volumes, and the relations of servers and volumes (Cinder's attachments, 3.44).

use std::collections::BTreeMap;

use nephos_peer::{Answer, PeerError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Siblings, absent_is_fine, encoded};
use crate::model::server::Server;
use crate::model::volume::{
    self, Connection, LIMITS, Origin, Password, Source, Volume, VolumeKey, Way,
};

const BLOCK: &str = "block";
const VERSION: &str = "volume 3.44";

/// A volume as the block service shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ShownVolume {
    pub id: String,
    pub status: String,
    /// GiB.
    pub size: u64,
    /// `true`, `false`.
    #[serde(default)]
    pub bootable: String,
    #[serde(default)]
    pub multiattach: bool,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub volume_image_metadata: BTreeMap<String, String>,
}

/// A snapshot as the block service shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ShownSnapshot {
    pub volume_id: String,
    pub status: String,
    /// GiB.
    pub size: u64,
}

/// Who opens a volume, as the block service wants to know it.
#[derive(Clone, Debug)]
pub(crate) struct Connector<'a> {
    pub host: &'a str,
    /// The host's address.
    pub ip: &'a str,
    /// Where the guest will see it.
    pub device: &'a str,
}

/// Answers of another form than ours are nobody's fault that we know.
fn unreadable(why: &serde_json::Error) -> PeerError {
    strange(format!("answered in another form: {why}"))
}

fn strange(message: String) -> PeerError {
    PeerError {
        service: BLOCK,
        status: None,
        kind: String::new(),
        message,
    }
}

fn inner<T: serde::de::DeserializeOwned>(answer: &Answer, key: &str) -> Result<T, PeerError> {
    let value: Value = answer.json()?;
    let inner = value.get(key).cloned().unwrap_or_default();
    serde_json::from_value(inner).map_err(|why| unreadable(&why))
}

impl Siblings {
    /// Whether this cloud has a block service.
    pub(crate) fn have_volumes(&self) -> bool {
        self.peers.knows(BLOCK)
    }

    /// A volume, as the caller sees it.
    pub(crate) async fn volume_of_caller(
        &self,
        token: &str,
        project: &str,
        id: &str,
    ) -> Result<ShownVolume, PeerError> {
        let target = format!("/v3/{project}/volumes/{}", encoded(id));
        let call = self.peers.get(BLOCK, target).version(VERSION);
        inner(&call.as_token(token).send().await?, "volume")
    }

    /// A snapshot, as the caller sees it.
    pub(crate) async fn snapshot_of_caller(
        &self,
        token: &str,
        project: &str,
        id: &str,
    ) -> Result<ShownSnapshot, PeerError> {
        let target = format!("/v3/{project}/snapshots/{}", encoded(id));
        let call = self.peers.get(BLOCK, target).version(VERSION);
        inner(&call.as_token(token).send().await?, "snapshot")
    }

    /// A volume.
    pub(crate) async fn volume(&self, project: &str, id: &str) -> Result<ShownVolume, PeerError> {
        let target = format!("/v3/{project}/volumes/{}", encoded(id));
        let call = self.peers.get(BLOCK, target).version(VERSION);
        inner(&call.as_service().send().await?, "volume")
    }

    /// The volume that was made for this place of a server, if it was.
    pub(crate) async fn volume_made_for(
        &self,
        server: &Server,
        volume: &Volume,
    ) -> Result<Option<ShownVolume>, PeerError> {
        let name = volume.name(server.id.as_str());
        let target = format!(
            "/v3/{}/volumes/detail?name={}",
            server.project_id,
            encoded(&name)
        );
        let call = self.peers.get(BLOCK, target).version(VERSION);
        let all: Vec<ShownVolume> = inner(&call.as_service().send().await?, "volumes")?;
        Ok(all
            .into_iter()
            .find(|shown| shown.name.as_deref() == Some(&name)))
    }

    /// Makes a volume for a place of a server: look with [`Siblings::volume_made_for`] first.
    pub(crate) async fn create_volume(
        &self,
        server: &Server,
        volume: &Volume,
        source: &Source,
    ) -> Result<ShownVolume, PeerError> {
        let mut body = json!({
            "size": volume.size_gib, "name": volume.name(server.id.as_str()),
            "description": format!("Made for server {}", server.id),
        });
        if let Some(body) = body.as_object_mut() {
            match &source.from {
                Origin::Image(id) => drop(body.insert("imageRef".into(), json!(id))),
                Origin::Snapshot(id) => drop(body.insert("snapshot_id".into(), json!(id))),
                Origin::Blank => {}
            }
            if let Some(kind) = &source.volume_type {
                body.insert("volume_type".into(), json!(kind));
            }
        }
        let target = format!("/v3/{}/volumes", server.project_id);
        let call = self
            .peers
            .post(BLOCK, target)
            .json(&json!({ "volume": body }));
        inner(&call.version(VERSION).as_service().send().await?, "volume")
    }

    /// Deletes a volume.
    pub(crate) async fn remove_volume(&self, project: &str, id: &str) -> Result<(), PeerError> {
        let target = format!("/v3/{project}/volumes/{}", encoded(id));
        let call = self.peers.delete(BLOCK, target).version(VERSION);
        absent_is_fine(call.as_service().send().await)
    }

    /// The relation of a server and a volume; an unfinished one that is there is found again. Gives its id.
    pub(crate) async fn ensure_attachment(
        &self,
        server: &Server,
        volume: &str,
    ) -> Result<String, PeerError> {
        #[derive(Deserialize)]
        struct Attachment {
            id: String,
        }
        let body = json!({"attachment": {"volume_uuid": volume, "instance_uuid": server.id}});
        let target = format!("/v3/{}/attachments", server.project_id);
        let call = self.peers.post(BLOCK, target).json(&body).version(VERSION);
        let made: Attachment = inner(&call.as_service().send().await?, "attachment")?;
        Ok(made.id)
    }

    /// Whether the block service still knows a relation of a server and a volume.
    pub(crate) async fn has_attachment(&self, project: &str, id: &str) -> Result<bool, PeerError> {
        let target = format!("/v3/{project}/attachments/{}", encoded(id));
        let call = self.peers.get(BLOCK, target).version(VERSION);
        match call.as_service().send().await {
            Ok(_known) => Ok(true),
            Err(why) if why.is_not_found() => Ok(false),
            Err(why) => Err(why),
        }
    }

    /// Says which host opens the volume, and learns how.
    pub(crate) async fn connect(
        &self,
        project: &str,
        attachment: &str,
        connector: Connector<'_>,
    ) -> Result<Connection, PeerError> {
        let body = json!({"attachment": {"connector": {
            "host": connector.host, "ip": connector.ip, "initiator": volume::initiator(connector.host),
            "platform": "x86_64", "os_type": "linux", "multipath": false, "mountpoint": connector.device,
        }}});
        let target = format!("/v3/{project}/attachments/{}", encoded(attachment));
        let call = self.peers.put(BLOCK, target).json(&body).version(VERSION);
        let shown: Value = inner(&call.as_service().send().await?, "attachment")?;
        let info = shown.get("connection_info").cloned().unwrap_or_default();
        connection(connector.host, &info).map_err(strange)
    }

    /// What opens the volume of a relation that has a host.
    pub(crate) async fn volume_key(
        &self,
        project: &str,
        attachment: &str,
    ) -> Result<VolumeKey, PeerError> {
        let target = format!("/v3/{project}/attachments/{}/key", encoded(attachment));
        let call = self.peers.get(BLOCK, target).version(VERSION);
        let answer: Value = call.as_service().send().await?.json()?;
        serde_json::from_value(answer).map_err(|why| unreadable(&why))
    }

    /// Says that the server uses the volume.
    pub(crate) async fn complete_attachment(
        &self,
        project: &str,
        attachment: &str,
    ) -> Result<(), PeerError> {
        let target = format!("/v3/{project}/attachments/{}/action", encoded(attachment));
        let body = json!({"os-complete": {}});
        let call = self.peers.post(BLOCK, target).json(&body).version(VERSION);
        absent_is_fine(call.as_service().send().await)
    }

    /// Ends the relation of a server and a volume.
    pub(crate) async fn remove_attachment(
        &self,
        project: &str,
        attachment: &str,
    ) -> Result<(), PeerError> {
        let target = format!("/v3/{project}/attachments/{}", encoded(attachment));
        let call = self.peers.delete(BLOCK, target).version(VERSION);
        absent_is_fine(call.as_service().send().await)
    }

    /// Shows people that a volume is being taken out of a server, or is not any more. Only shown: that it cannot be
    /// said now changes nothing.
    pub(crate) async fn show_detaching(
        &self,
        project: &str,
        volume: &str,
        leaving: bool,
    ) -> Result<(), PeerError> {
        let verb = match leaving {
            true => "os-begin_detaching",
            false => "os-roll_detaching",
        };
        let target = format!("/v3/{project}/volumes/{}/action", encoded(volume));
        let call = self.peers.post(BLOCK, target).json(&json!({ verb: {} }));
        match call.version(VERSION).as_service().send().await {
            Err(why) if !why.is_transient() && why.status != Some(401) => {
                tracing::info!(volume, verb, %why, "the block service does not note it");
                Ok(())
            }
            sent => sent.map(|_| ()),
        }
    }
}

/// The way to a volume out of what the block service says of it.
fn connection(host: &str, info: &Value) -> Result<Connection, String> {
    let data = info.get("data").cloned().unwrap_or_default();
    let text = |key: &str| {
        let found = data.get(key).and_then(Value::as_str).map(str::to_owned);
        found.ok_or_else(|| format!("says nothing of {key}"))
    };
    // Some answers have the kind inside, some outside.
    let kind = info
        .get("driver_volume_type")
        .or_else(|| data.get("driver_volume_type"));
    let kind = kind.and_then(Value::as_str);
    // What is encrypted has words of its own, and only a mark beside other words from a block service of before them.
    let mut encrypted = data.get("encrypted").and_then(Value::as_bool) == Some(true);
    let path = match kind {
        Some("local") => {
            let (path, mut format) = (text("device_path")?, text("format")?);
            let strange = !path.starts_with('/') || path.split('/').any(|part| part == "..");
            if strange || !["raw", "qcow2", "luks"].contains(&format.as_str()) {
                return Err(format!(
                    "names '{path}' of format '{format}', which no host opens"
                ));
            }
            if format == "luks" {
                encrypted = true;
                "raw".clone_into(&mut format);
            }
            Way::Local { path, format }
        }
        Some("iscsi" | "encrypted_iscsi") => Way::Iscsi {
            portal: text("target_portal")?,
            iqn: text("target_iqn")?,
            lun: data
                .get("target_lun")
                .and_then(Value::as_u64)
                .and_then(|lun| u32::try_from(lun).ok())
                .unwrap_or(1),
            user: text("auth_username")?,
            password: Password(text("auth_password")?),
        },
        other => {
            return Err(format!(
                "offers a way that hosts do not know: {}",
                other.unwrap_or("none")
            ));
        }
    };
    encrypted |= kind == Some("encrypted_iscsi");
    let mode = data.get("access_mode").and_then(Value::as_str);
    Ok(Connection {
        host: host.to_owned(),
        path,
        read_only: mode == Some("ro"),
        limits: limits(&data),
        encrypted,
    })
}

/// How fast the volume may be read and written; what names no limit of a hypervisor's is somebody else's.
fn limits(data: &Value) -> BTreeMap<String, u64> {
    let specs = data.get("qos_specs").and_then(Value::as_object);
    let known = specs.into_iter().flatten().filter_map(|(name, value)| {
        let number = match value {
            Value::String(text) => text.parse().ok()?,
            other => other.as_u64()?,
        };
        LIMITS
            .contains(&name.as_str())
            .then(|| (name.clone(), number))
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_a_volume_are_read() {
        let local = json!({"driver_volume_type": "local", "data": {"device_path": "/var/v.img", "format": "raw",
            "volume_id": "v", "access_mode": "ro", "qos_specs": {"total_iops_sec": "500", "size_iops_sec": 4096,
            "colour": "1", "read_iops_sec": "many", "write_iops_sec": null}}});
        let read = connection("one", &local).unwrap();
        assert!(read.read_only);
        assert_eq!(read.host, "one");
        let limits = [("size_iops_sec", 4096), ("total_iops_sec", 500)];
        let limits = limits.map(|(name, number)| (name.to_owned(), number));
        assert_eq!(read.limits, BTreeMap::from(limits));
        let iscsi = json!({"driver_volume_type": "iscsi", "data": {"target_portal": "10.0.0.1:3260",
            "target_iqn": "iqn.x:v", "target_lun": 1, "auth_method": "CHAP", "auth_username": "u",
            "auth_password": "secret", "access_mode": "rw"}});
        let read = connection("one", &iscsi).unwrap();
        assert!(matches!(read.path, Way::Iscsi { lun: 1, .. }));
        assert!(!format!("{read:?}").contains("secret"));
    }

    #[test]
    fn ways_to_an_encrypted_volume_are_read_in_words_of_now_and_before() {
        for (format, encrypted) in [("luks", true), ("luks", false), ("raw", true)] {
            let info = json!({"driver_volume_type": "local", "data": {"device_path": "/var/v.img",
                "format": format, "encrypted": encrypted}});
            let read = connection("one", &info).unwrap();
            assert!(read.encrypted, "{info}");
            assert!(matches!(read.path, Way::Local { format, .. } if format == "raw"));
        }
        for (kind, mark, encrypted) in [
            ("encrypted_iscsi", true, true),
            ("encrypted_iscsi", false, true),
            ("iscsi", true, true),
            ("iscsi", false, false),
        ] {
            let info = json!({"driver_volume_type": kind, "data": {"target_portal": "10.0.0.1:3260",
                "target_iqn": "iqn.x:v", "target_lun": 1, "auth_username": "u", "auth_password": "secret",
                "encrypted": mark}});
            let read = connection("one", &info).unwrap();
            assert_eq!(read.encrypted, encrypted, "{info}");
        }
    }

    #[test]
    fn strange_ways_are_refused() {
        for data in [
            json!({"device_path": "relative", "format": "raw"}),
            json!({"device_path": "/var/../etc/shadow", "format": "raw"}),
            json!({"device_path": "/var/v", "format": "vmdk"}),
            json!({"format": "raw"}),
        ] {
            let info = json!({"driver_volume_type": "local", "data": data});
            assert!(connection("one", &info).is_err(), "{info}");
        }
        assert!(connection("one", &json!({"driver_volume_type": "rbd"})).is_err());
        assert!(connection("one", &Value::Null).is_err());
    }
}
