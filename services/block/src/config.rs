//! The `[block]` section of `nephos.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// The `[block]` section of `nephos.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where volumes live: one folder per back end below it. Relative to the state directory.
    pub folder: PathBuf,
    /// Names of the back ends of this machine, each with a folder of its own below `folder`.
    pub backends: Vec<String>,
    /// The availability zone that they are in.
    pub zone: String,
    /// Where volumes are offered to other hosts by iSCSI, an address of this machine and a port; none: nowhere.
    pub iscsi_listen: Option<SocketAddr>,
    /// Bytes of a back end that are never promised to volumes.
    pub reserved_bytes: u64,
    /// Hosts that open files of this machine as files; others get targets. `.` is the machine's own host, and `*` at the end
    /// of a name, as of simulated ones, stands for any rest.
    pub local_hosts: Vec<String>,
    /// The name of this machine; the process sets it.
    #[serde(skip)]
    pub host: String,
    /// Seals the keys of encrypted volumes; empty: none can be made. The process sets it.
    #[serde(skip)]
    pub sealing_secret: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("volumes"),
            backends: vec!["local".to_owned()],
            zone: "nova".to_owned(),
            iscsi_listen: None,
            reserved_bytes: 1 << 30,
            local_hosts: vec![".".to_owned(), "sim-*".to_owned()],
            host: "localhost".to_owned(),
            sealing_secret: String::new(),
        }
    }
}

impl Config {
    /// Whether a host opens the files of a back end, whose machine is called `here`, as files.
    pub(crate) fn is_local(&self, host: &str, here: &str) -> bool {
        let named = |name: &String| match name.strip_suffix('*') {
            Some(begin) => host.starts_with(begin),
            None if name == "." => host == here,
            None => host == name,
        };
        self.local_hosts.iter().any(named)
    }
}
