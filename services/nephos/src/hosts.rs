//! What runs on hosts: this machine as a host, or simulated ones.

use std::sync::Arc;

use anyhow::Context as _;
use nephos_compute::agent::feed::{Binding, ImageService};
use nephos_compute::agent::{Agent, Settings as AgentSettings};
use nephos_compute::driver::Driver;
use nephos_compute::driver::fake::{HostSize, Latency, World};
use nephos_compute::driver::libvirt::domain_xml::VirtType;
use nephos_compute::driver::libvirt::{LibvirtDriver, Settings as LibvirtSettings};
use nephos_runtime::{Shutdown, Task};

use crate::cloud::Cloud;
use crate::hypervisor;
use crate::settings::{Config, Settings};
use crate::state;

/// Threads that wait for libvirt; libvirtd works on five calls of a connection at a time.
const LANES: usize = 5;
/// What QEMU runs as where its own user cannot pass through to the disks.
const ROOT: &str = "+0:+0";

/// Starts `count` simulated hosts, `sim-1` and so on.
#[must_use]
pub fn simulate(
    cloud: &Cloud,
    settings: &Settings,
    count: usize,
    shutdown: &Shutdown,
) -> Vec<Task> {
    let world = World::new(cloud.clock.clone(), Latency::lifelike());
    let mut tasks = Vec::new();
    for number in 1..=count {
        let name = format!("sim-{number}");
        let driver = Arc::new(world.host(&name, HostSize::default()));
        tasks.extend(bind(cloud, settings, &name, driver, shutdown));
    }
    tasks
}

/// Starts this machine as a host.
///
/// # Errors
/// When there is no hypervisor to talk to.
pub async fn this(
    cloud: &Cloud,
    config: &Config,
    shutdown: &Shutdown,
) -> anyhow::Result<Vec<Task>> {
    let settings = &config.settings;
    let name = settings.host();
    let driver = libvirt(cloud, config).await?;
    tracing::info!(host = name, guests = ?driver.virt_type(), "this machine is a host");
    Ok(bind(cloud, settings, &name, Arc::new(driver), shutdown))
}

async fn libvirt(cloud: &Cloud, config: &Config) -> anyhow::Result<LibvirtDriver> {
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
    let source = Arc::new(ImageService(cloud.peers.clone()));
    Ok(LibvirtDriver::open(settings, source, cloud.clock.clone()).await?)
}

fn bind(
    cloud: &Cloud,
    settings: &Settings,
    name: &str,
    driver: Arc<dyn Driver>,
    shutdown: &Shutdown,
) -> Vec<Task> {
    let binding = Binding {
        agent: Agent::new(driver, cloud.clock.clone(), AgentSettings::default()),
        peers: cloud.peers.clone(),
        host: name.to_owned(),
        clock: cloud.clock.clone(),
    };
    binding.start(&settings.state("host"), shutdown)
}
