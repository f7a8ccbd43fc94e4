//! What runs on hosts: this machine as a host, or simulated ones.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use nephos_compute::agent::feed::{Binding, ImageService};
use nephos_compute::agent::{Agent, Settings as AgentSettings};
use nephos_compute::driver::fake::{HostSize, Latency, World};
use nephos_compute::driver::libvirt::domain_xml::VirtType;
use nephos_compute::driver::libvirt::{LibvirtDriver, Settings as LibvirtSettings};
use nephos_compute::driver::{Answer, Driver, DriverError, ImageBytes, ImageSource};
use nephos_compute::model::spec::ImageSpec;
use nephos_network::agent as network;
use nephos_runtime::{Clock, Shutdown, Task};

use crate::cloud::Cloud;
use crate::hypervisor;
use crate::secrets::Secrets;
use crate::settings::{Config, Settings};
use crate::state;

/// Threads that wait for libvirt; libvirtd works on five calls of a connection at a time.
const LANES: usize = 5;
/// Network namespaces of ours begin so.
const NAMESPACES: &str = "nephos-";
/// What QEMU runs as where its own user cannot pass through to the disks.
const ROOT: &str = "+0:+0";

/// Whether this machine has been a host of the cloud, and not only simulated ones.
#[must_use]
pub fn is_real(settings: &Settings) -> bool {
    settings.state("host").join("agent.lock").exists()
}

/// What hosts are started with.
pub struct Ground<'a> {
    /// The services.
    pub cloud: &'a Cloud,
    /// `nephos.toml`.
    pub config: &'a Config,
    /// What agents share with services.
    pub secrets: &'a Secrets,
    /// When to end.
    pub shutdown: &'a Shutdown,
}

impl Ground<'_> {
    /// Starts `count` simulated hosts, `sim-1` and so on.
    #[must_use]
    pub fn simulate(&self, count: usize) -> Vec<Task> {
        let clock = &self.cloud.clock;
        let world = World::new(clock.clone(), Latency::lifelike());
        let mut tasks = Vec::new();
        for number in 1..=count {
            let name = format!("sim-{number}");
            tasks.extend(self.compute(&name, Arc::new(world.host(&name, HostSize::default()))));
            // Its network is gone with this process, so that there is nothing to come back to.
            let nothing_kept = PathBuf::new();
            let driver = Arc::new(network::Fake::default());
            tasks.push(self.network(&name, driver, nothing_kept));
        }
        tasks
    }

    /// Starts this machine as a host.
    ///
    /// # Errors
    /// When there is no hypervisor to talk to.
    pub async fn this(&self) -> anyhow::Result<Vec<Task>> {
        let name = self.config.settings.host();
        let source = Arc::new(ImageService(self.cloud.peers.clone()));
        let driver = libvirt(source, self.config, self.cloud.clock.clone()).await?;
        tracing::info!(host = name, guests = ?driver.virt_type(), "this machine is a host");
        let mut tasks = self.compute(&name, Arc::new(driver));
        let kept = self
            .settings()
            .state("host")
            .join(format!("network-{name}/network-feed.json"));
        let driver = Arc::new(network::Kernel::new(NAMESPACES));
        tasks.push(self.network(&name, driver, kept));
        Ok(tasks)
    }

    fn compute(&self, name: &str, driver: Arc<dyn Driver>) -> Vec<Task> {
        let clock = self.cloud.clock.clone();
        let binding = Binding {
            agent: Agent::new(driver, clock.clone(), AgentSettings::default()),
            peers: self.cloud.peers.clone(),
            host: name.to_owned(),
            clock,
        };
        binding.start(&self.settings().state("host"), self.shutdown)
    }

    fn network(&self, name: &str, driver: Arc<dyn network::Driver>, feed_file: PathBuf) -> Task {
        let mut settings = network_settings(self.settings(), name, feed_file);
        settings
            .metadata_secret
            .clone_from(&self.secrets.metadata_secret);
        let (peers, clock) = (self.cloud.peers.clone(), self.cloud.clock.clone());
        let agent = Arc::new(network::Agent::new(peers, clock.clone(), settings, driver));
        let until = self.shutdown.clone();
        nephos_runtime::supervise("network.agent", clock, self.shutdown.clone(), move || {
            let (agent, until) = (Arc::clone(&agent), until.clone());
            async move { agent.run(until).await }
        })
    }

    fn settings(&self) -> &Settings {
        &self.config.settings
    }
}

fn network_settings(settings: &Settings, host: &str, feed_file: PathBuf) -> network::Settings {
    // Tunnels end at its address, of which one machine has no use.
    let mut own = network::Settings::new(host, feed_file, IpAddr::V4(Ipv4Addr::LOCALHOST));
    own.namespace_prefix = NAMESPACES.to_owned();
    for reached in own.physical_networks.values_mut() {
        reached.host_address = Some(settings.public_address);
    }
    own
}

/// Whoever only removes needs no images.
struct NoImages;

impl ImageSource for NoImages {
    fn open<'a>(&'a self, image: &'a ImageSpec) -> Answer<'a, ImageBytes> {
        let refused = DriverError::Refused(format!("image {} is not needed", image.id));
        Box::pin(std::future::ready(Err(refused)))
    }
}

/// Removes every guest and the data plane of the cloud from this machine. The cloud does not run.
///
/// # Errors
/// The first thing that could not be removed.
pub async fn remove_everything(config: &Config) -> anyhow::Result<()> {
    let driver = libvirt(Arc::new(NoImages), config, Clock::system()).await?;
    for server in driver.list().await? {
        driver.ensure_off(&server).await?;
        driver.remove_definition(&server).await?;
        driver.remove_files(&server).await?;
    }
    let settings = network_settings(&config.settings, &config.settings.host(), PathBuf::new());
    let kernel: Arc<dyn network::Driver> = Arc::new(network::Kernel::new(NAMESPACES));
    network::remove_everything(&settings, &kernel).await?;
    Ok(())
}

async fn libvirt(
    source: Arc<dyn ImageSource>,
    config: &Config,
    clock: Clock,
) -> anyhow::Result<LibvirtDriver> {
    let compute: nephos_compute::Config = config.file.section("compute")?;
    let folder = config.settings.state("host");
    let uri = hypervisor::ensure(&compute.libvirt_uri, &config.settings.state_dir)?;
    let run_as = if state::is_passable(&folder) {
        None
    } else {
        tracing::warn!(
            folder = %folder.display(),
            "QEMU's user cannot pass through to the disks, so guests run as root; a state_dir that all users may pass \
             through avoids it"
        );
        Some(ROOT.to_owned())
    };
    let virt_type = match compute.virt_type.as_str() {
        "auto" => None,
        "kvm" => Some(VirtType::Kvm),
        "qemu" => Some(VirtType::Qemu),
        other => anyhow::bail!("[compute] virt_type: {other:?} is none of auto, kvm, qemu"),
    };
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let settings = LibvirtSettings {
        uri,
        host: config.settings.host(),
        state_dir: folder,
        virt_type,
        probe: (program, vec!["probe-kvm".to_owned()]),
        console_address: "127.0.0.1".to_owned(),
        run_as,
        lanes: LANES,
    };
    Ok(LibvirtDriver::open(settings, source, clock).await?)
}
