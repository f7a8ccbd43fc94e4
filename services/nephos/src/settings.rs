//! `nephos.toml` as the process reads it: where things are. What a service may be told stands in its own section.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ipnet::{IpNet, Ipv4Net};
use nephos_runtime::config::ConfigFile;
use nephos_runtime::logging::LogConfig;
use serde::Deserialize;

use crate::membership::Membership;

/// Sections that belong to no service.
const SECTIONS: [&str; 3] = ["nephos", "log", "peers"];

/// The section `[nephos]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Databases, keys, images, guests' disks, credentials. Relative to the folder of `nephos.toml`.
    pub state_dir: PathBuf,
    /// Where the one listener of all APIs is bound.
    pub listen: SocketAddr,
    /// Where the calls of the cloud's own processes and hosts and the metrics are served; default: with the rest at
    /// `listen`. With it, `listen` is for clients alone.
    pub internal_listen: Option<SocketAddr>,
    /// Networks of proxies in front of `listen`: what they say of the client's URL is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The origin under which clients reach the cloud; default: `listen` over plain HTTP.
    pub public_url: Option<String>,
    /// The origin under which hosts that join reach the services; default: `internal_listen`, or `public_url`.
    pub hosts_url: Option<String>,
    /// Threads that serve HTTP; 0: one per core.
    pub workers: usize,
    /// A PostgreSQL server, `postgres://user:password@host`; default: one SQLite file per service in `state_dir`.
    pub database: Option<String>,
    /// A RabbitMQ server, `amqp://user:password@host/vhost`; default: within the process.
    pub bus: Option<String>,
    /// The region of the catalog.
    pub region: String,
    /// The name of this host in the services; default: the machine's.
    pub host: Option<String>,
    /// This machine's own address in the external network `public`, with its prefix length: the way from it to floating
    /// IPs; default: 172.24.4.1/24, and none on a machine that joined.
    pub public_address: Option<IpNet>,
    /// Where tunnels to this host end; default: on a machine that joined, its address on the way to the services.
    pub tunnel_address: Option<IpAddr>,
    /// As which host this machine joined a cloud, if it did.
    #[serde(skip)]
    pub membership: Option<Membership>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from(".nephos"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8774)),
            internal_listen: None,
            trusted_proxies: Vec::new(),
            public_url: None,
            hosts_url: None,
            workers: 0,
            database: None,
            bus: None,
            region: "RegionOne".to_owned(),
            host: None,
            public_address: None,
            tunnel_address: None,
            membership: None,
        }
    }
}

impl Settings {
    /// The origin under which clients reach the cloud, without a slash at its end.
    #[must_use]
    pub fn origin(&self) -> String {
        match (&self.public_url, &self.membership) {
            (Some(url), _) => plain(url),
            (None, Some(joined)) => plain(&joined.url),
            (None, None) => format!("http://{}", self.listen),
        }
    }

    /// The origin that a host is told when it is to join.
    #[must_use]
    pub fn hosts_origin(&self) -> String {
        match (&self.hosts_url, self.internal_listen) {
            (Some(url), _) => plain(url),
            (None, Some(address)) => format!("http://{address}"),
            (None, None) => self.origin(),
        }
    }

    /// The name of this host in the services.
    #[must_use]
    pub fn host(&self) -> String {
        let machines = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let joined = || Some(self.membership.as_ref()?.name.clone());
        let named = self.host.clone().or_else(joined);
        named.unwrap_or_else(|| machines().trim().to_owned())
    }

    /// This machine's own address in the external network `public`.
    #[must_use]
    pub fn public_address(&self) -> Option<IpNet> {
        let alone = || Ipv4Net::new_assert(Ipv4Addr::new(172, 24, 4, 1), 24).into();
        let given = self.public_address;
        given.or_else(|| self.membership.is_none().then(alone))
    }

    /// Where tunnels to this host end. One machine alone has no use for it.
    #[must_use]
    pub fn tunnel_address(&self) -> IpAddr {
        let joined = || Some(self.membership.as_ref()?.tunnel_address);
        let given = self.tunnel_address.or_else(joined);
        given.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// A path below the state directory.
    #[must_use]
    pub fn state(&self, name: &str) -> PathBuf {
        self.state_dir.join(name)
    }

    /// Threads that serve HTTP.
    #[must_use]
    pub fn http_workers(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            workers => workers,
        }
    }
}

fn plain(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

/// Where the copies of a service listen: one origin or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Origins {
    One(String),
    Several(Vec<String>),
}

/// The file and what the process takes from it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The whole file; services take their sections from it.
    pub file: ConfigFile,
    /// `[nephos]`.
    pub settings: Settings,
    /// `[log]`.
    pub log: LogConfig,
    /// `[peers]`: where services of other processes listen.
    peers: BTreeMap<String, Origins>,
}

impl Config {
    /// Reads `path`; `services` are the names of the sections that services own. Without a path, `nephos.toml` of the
    /// working directory, which may be absent.
    ///
    /// # Errors
    /// Names the key and what was expected.
    pub fn read(path: Option<&Path>, services: &[&str]) -> anyhow::Result<Self> {
        let given = path.unwrap_or_else(|| Path::new("nephos.toml"));
        let file = ConfigFile::read(given, path.is_none())?;
        let known: Vec<&str> = SECTIONS.iter().chain(services).copied().collect();
        file.check_sections(&known)?;
        let mut settings: Settings = file.section("nephos")?;
        if settings.state_dir.is_relative() {
            let folder = given.parent().unwrap_or_else(|| Path::new(""));
            let base = std::env::current_dir().context("the working directory is gone")?;
            settings.state_dir = base.join(folder).join(&settings.state_dir);
        }
        settings.membership = Membership::read(&settings.state_dir)?;
        let log = file.section("log")?;
        let peers: BTreeMap<String, Origins> = file.section("peers")?;
        let stranger = peers.keys().find(|name| !services.contains(&name.as_str()));
        if let Some(stranger) = stranger {
            anyhow::bail!(
                "[peers] {stranger}: no such service; expected one of {}",
                services.join(", ")
            );
        }
        Ok(Self {
            file,
            settings,
            log,
            peers,
        })
    }

    /// Whether the file says where services of other processes are.
    #[must_use]
    pub fn has_peers(&self) -> bool {
        !self.peers.is_empty()
    }

    /// Whether [peers] says where a service listens.
    #[must_use]
    pub fn is_peer(&self, service: &str) -> bool {
        self.peers.contains_key(service)
    }

    /// Origins at which copies of a service listen, for a process that does not run it: from `[peers]`, else
    /// `internal_listen`, else where clients reach the cloud; on a machine that joined, where it did so.
    #[must_use]
    pub fn origins(&self, service: &str) -> Vec<String> {
        match self.peers.get(service) {
            Some(Origins::One(url)) => vec![plain(url)],
            Some(Origins::Several(urls)) => urls.iter().map(|url| plain(url)).collect(),
            None => vec![
                match (&self.settings.membership, self.settings.internal_listen) {
                    (Some(joined), _) => plain(&joined.url),
                    (None, Some(address)) => format!("http://{address}"),
                    (None, None) => self.settings.origin(),
                },
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_means_defaults_and_a_named_one_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("nephos.toml");
        let why = Config::read(Some(&named), &[]).unwrap_err().to_string();
        assert!(why.contains("nephos.toml"), "{why}");
    }

    #[test]
    fn the_state_directory_stands_beside_the_file_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nephos.toml");
        std::fs::write(
            &file,
            "[nephos]\nstate_dir = 'here'\nlisten = '127.0.0.1:1'\n",
        )
        .unwrap();
        let config = Config::read(Some(&file), &[]).unwrap();
        assert_eq!(config.settings.state_dir, folder.path().join("here"));
        assert_eq!(config.settings.origin(), "http://127.0.0.1:1");
    }

    #[test]
    fn other_processes_are_found_where_the_file_says_or_where_clients_go() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nephos.toml");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Config::read(Some(&file), &["compute", "image", "network"])
        };
        let config = read(
            "[nephos]\npublic_url = 'https://c.example/'\n[peers]\nimage = 'http://a:1/'\nnetwork = ['http://b:1', 'http://c:1']\n",
        )
        .unwrap();
        assert_eq!(config.origins("compute"), ["https://c.example"]);
        assert_eq!(config.origins("image"), ["http://a:1"]);
        assert_eq!(config.origins("network"), ["http://b:1", "http://c:1"]);
        let why = read("[peers]\nnova = 'http://a:1'\n")
            .unwrap_err()
            .to_string();
        assert!(why.contains("nova") && why.contains("compute"), "{why}");
    }

    #[test]
    fn a_misspelt_key_or_section_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nephos.toml");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Config::read(Some(&file), &["compute"])
                .unwrap_err()
                .to_string()
        };
        let why = read("[nephos]\nlisen = '127.0.0.1:1'\n");
        assert!(why.contains("lisen"), "{why}");
        let why = read("[computer]\n");
        assert!(why.contains("computer") && why.contains("compute"), "{why}");
    }
}
