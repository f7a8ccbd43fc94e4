//! What is on this host.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nephos_compute::driver::libvirt;
use nephos_network::agent::Difference;
use nephos_runtime::Clock;
use nephos_types::feed::FeedPage;

use crate::services::network;
use crate::settings::Config;

/// How to look at this host.
#[derive(Clone)]
pub struct OnHost {
    /// Its name in the services.
    pub name: String,
    /// libvirt's URI.
    pub uri: String,
    /// Where guests' files are.
    pub folder: PathBuf,
    /// `nephos.toml`.
    pub config: Config,
    /// The time.
    pub clock: Clock,
}

/// What of ours is here.
#[derive(Clone, Debug, Default)]
pub(super) struct HostPicture {
    pub(super) name: String,
    /// Servers that are defined in the hypervisor.
    pub(super) domains: BTreeSet<String>,
    /// Those of them that are off.
    pub(super) off: BTreeSet<String>,
    /// Servers that have files.
    pub(super) files: BTreeSet<String>,
    /// Those of them that have a disk.
    pub(super) disks: BTreeSet<String>,
    /// Tap devices.
    pub(super) taps: BTreeSet<String>,
    /// What of its network is not as it is wanted.
    pub(super) network: BTreeSet<Difference>,
}

impl OnHost {
    /// `wanted`: everything that the network service wants on it.
    pub(super) async fn look(&self, wanted: FeedPage) -> anyhow::Result<HostPicture> {
        let domains = libvirt::defined(&self.uri, &self.name, self.clock.clone()).await?;
        let off = domains.iter().filter(|(_, is_on)| !**is_on);
        let folder = self.folder.join("servers");
        let files = names(&folder)?;
        let mut disks = BTreeSet::new();
        for server in &files {
            let is_disk = |name: &String| name.starts_with("disk-") && name.ends_with(".qcow2");
            if names(&folder.join(server))?.iter().any(is_disk) {
                disks.insert(server.clone());
            }
        }
        Ok(HostPicture {
            name: self.name.clone(),
            off: off.map(|(server, _)| server.0.clone()).collect(),
            domains: domains.into_keys().map(|server| server.0).collect(),
            files,
            disks,
            taps: taps()?,
            network: network::differences(&self.config, wanted).await?,
        })
    }
}

/// Not there, or no folder.
fn is_gone(why: &std::io::Error) -> bool {
    matches!(
        why.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

fn names(folder: &Path) -> std::io::Result<BTreeSet<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(why) if is_gone(&why) => return Ok(BTreeSet::new()),
        Err(why) => return Err(why),
    };
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// Tap devices named as ours are: `tap` and the start of a port's id.
fn taps() -> std::io::Result<BTreeSet<String>> {
    let devices = std::fs::read_to_string("/proc/net/dev")?;
    let names = devices
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim());
    let ours = |name: &&str| {
        name.strip_prefix("tap")
            .is_some_and(|id| id.len() == 11 && id.contains('-'))
    };
    Ok(names.filter(ours).map(str::to_owned).collect())
}
