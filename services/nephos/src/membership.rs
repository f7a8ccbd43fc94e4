//! What a machine that joined the cloud as a host keeps: who it is, where the services are, and the secret with which it
//! asks for its tokens. Nothing in it is good for another host, and nothing else of the cloud's secrets is on the machine.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use nephos_peer::HostKey;
use nephos_runtime::config::ConfigFile;
use nephos_types::HostName;
use serde::{Deserialize, Serialize};

use crate::state::write_private;

/// Its file in the state directory.
const FILE: &str = "host.toml";

/// A host's place in the cloud.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// Its name there.
    pub name: String,
    /// Made on this machine when it joined.
    pub secret: String,
    /// The origin of all services, their calls for hosts included.
    pub url: String,
    /// Where tunnels to this host end: its address on the way to the services.
    pub tunnel_address: IpAddr,
    /// The authorities, as PEM, that `url` is believed by; none: those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Membership")
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// The file's only section, which may be missing.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct Section(Option<Membership>);

impl Membership {
    /// Reads it; none when this machine has not joined.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(state_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = file(state_dir);
        if !path.exists() {
            return Ok(None);
        }
        let Section(found) = ConfigFile::read(&path, false)?.section("host")?;
        Ok(found)
    }

    /// Writes it where only its owner reads it.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn write(&self, state_dir: &Path) -> anyhow::Result<()> {
        let quoted = |text: &str| serde_json::to_string(text);
        let mut text = format!(
            "# Made by `nephos join`. Whoever reads this file can act as this host, until `nephos host remove` of it.\n\
             [host]\nname = {}\nsecret = {}\nurl = {}\ntunnel_address = \"{}\"\n",
            quoted(&self.name)?,
            quoted(&self.secret)?,
            quoted(&self.url)?,
            self.tunnel_address,
        );
        if let Some(ca) = &self.ca {
            text += &format!("ca = {}\n", quoted(ca)?);
        }
        write_private(&file(state_dir), &text)
    }

    /// With what it proves that it is this host.
    #[must_use]
    pub fn key(&self) -> HostKey {
        HostKey {
            name: HostName::from(self.name.as_str()),
            secret: self.secret.clone(),
        }
    }
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_written_is_read_again_and_only_by_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Membership::read(folder.path()).unwrap().is_none());
        let joined = Membership {
            name: "one".to_owned(),
            secret: "s".repeat(43),
            url: "https://cloud.example".to_owned(),
            tunnel_address: "192.0.2.1".parse().unwrap(),
            ca: Some("-----BEGIN CERTIFICATE-----\nx\"y\n".to_owned()),
        };
        joined.write(folder.path()).unwrap();
        let read = Membership::read(folder.path()).unwrap().unwrap();
        assert_eq!(
            (&read.name, &read.secret, &read.ca),
            (&joined.name, &joined.secret, &joined.ca)
        );
        let mode = std::fs::metadata(file(folder.path()))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        assert!(!format!("{read:?}").contains("sss"));
    }
}
