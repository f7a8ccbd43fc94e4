//! Compute, and what it runs on hosts.

use std::sync::Arc;

use anyhow::Context as _;
use nephos_api::{Core, Service as _};
use nephos_compute::agent::feed::{Binding, ImageService};
use nephos_compute::agent::{Agent, Settings as AgentSettings};
use nephos_compute::driver::fake::{HostSize, Latency, World};
use nephos_compute::driver::libvirt::domain_xml::VirtType;
use nephos_compute::driver::libvirt::{LibvirtDriver, Settings as LibvirtSettings};
use nephos_compute::driver::{Answer, Driver, DriverError, ImageBytes, ImageSource};
use nephos_compute::model::spec::ImageSpec;
use nephos_compute::{Compute, Config};
use nephos_runtime::{Clock, Shutdown, Task};

use super::{Ground, Offered, Role};
use crate::hosts::{Hosts, Machine};
use crate::{hypervisor, settings, state};

/// Threads that wait for libvirt; libvirtd works on five calls of a connection at a time.
const LANES: usize = 5;
/// What QEMU runs as where its own user cannot pass through to the disks.
const ROOT: &str = "+0:+0";

impl Offered for Compute {
    type Section = Config;
    const PREFIX: &'static str = "/compute";
    const ROLES: &'static [Role] = &[Role::Api, Role::Worker, Role::Agent];
    const ACCOUNT: &'static str = "nova";
    const CATALOG: Option<(&'static str, &'static str)> = Some(("nova", "/compute/v2.1"));

    fn build(core: Core, ground: &Ground<'_>) -> anyhow::Result<Self> {
        let mut own: Config = ground.section(Self::NAME)?;
        own.metadata_secret
            .clone_from(&ground.secrets.metadata_secret);
        own.sealing_secret
            .clone_from(&ground.secrets.sealing_secret);
        let (peers, bus) = (ground.peers::<Self>()?, ground.bus.clone());
        Ok(Self::new(core, peers, bus, own))
    }

    fn work(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        Self::start(self, shutdown)
    }

    async fn agents(hosts: &Hosts<'_>) -> anyhow::Result<Vec<Task>> {
        match hosts.machine {
            Machine::This => {
                let name = hosts.config.settings.host();
                let source = Arc::new(ImageService(hosts.peers(&name)?));
                let driver = libvirt(source, hosts.config, hosts.clock.clone()).await?;
                tracing::info!(host = name, guests = ?driver.virt_type(), "this machine is a host");
                let watch = hypervisor::keep_private(
                    hosts.config.settings.state_dir.clone(),
                    hosts.clock.clone(),
                    hosts.shutdown.clone(),
                );
                let mut tasks = vec![nephos_runtime::spawn("hypervisor.watch", watch)];
                tasks.extend(start(hosts, &name, Arc::new(driver))?);
                Ok(tasks)
            }
            Machine::Simulated(_) => {
                let world = World::new(hosts.clock.clone(), Latency::lifelike());
                let mut tasks = Vec::new();
                for name in hosts.names() {
                    let driver = Arc::new(world.host(&name, HostSize::default()));
                    tasks.extend(start(hosts, &name, driver)?);
                }
                Ok(tasks)
            }
        }
    }

    async fn leave(config: &settings::Config) -> anyhow::Result<()> {
        let driver = libvirt(Arc::new(NoImages), config, Clock::system()).await?;
        for server in driver.list().await? {
            driver.ensure_off(&server).await?;
            driver.remove_definition(&server).await?;
            driver.remove_files(&server).await?;
        }
        Ok(())
    }
}

fn start(hosts: &Hosts<'_>, name: &str, driver: Arc<dyn Driver>) -> anyhow::Result<Vec<Task>> {
    let clock = hosts.clock.clone();
    let binding = Binding {
        agent: Agent::new(driver, clock.clone(), AgentSettings::default()),
        peers: hosts.peers(name)?,
        host: name.to_owned(),
        clock,
    };
    let folder = hosts.config.settings.state("host");
    Ok(binding.start(&folder, hosts.shutdown))
}

/// Whoever only removes needs no images.
struct NoImages;

impl ImageSource for NoImages {
    fn open<'a>(&'a self, image: &'a ImageSpec) -> Answer<'a, ImageBytes> {
        let refused = DriverError::Refused(format!("image {} is not needed", image.id));
        Box::pin(std::future::ready(Err(refused)))
    }
}

async fn libvirt(
    source: Arc<dyn ImageSource>,
    config: &settings::Config,
    clock: Clock,
) -> anyhow::Result<LibvirtDriver> {
    let compute: Config = config.file.section("compute")?;
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
        guests_address: config.settings.tunnel_address(),
        run_as,
        lanes: LANES,
    };
    Ok(LibvirtDriver::open(settings, source, clock).await?)
}
