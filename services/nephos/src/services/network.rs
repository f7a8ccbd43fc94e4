//! Network, and what it runs on hosts.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use nephos_api::{Core, Service as _};
use nephos_network::{Config, Network, agent};
use nephos_runtime::{Shutdown, Task};

use super::{Ground, Offered, Role};
use crate::hosts::{Hosts, Machine};
use crate::settings::Settings;

/// Network namespaces of ours begin so.
const NAMESPACES: &str = "nephos-";

impl Offered for Network {
    type Section = Config;
    const PREFIX: &'static str = "/network";
    const ROLES: &'static [Role] = &[Role::Api, Role::Worker, Role::Agent];
    const ACCOUNT: &'static str = "neutron";
    const CATALOG: Option<(&'static str, &'static str)> = Some(("neutron", "/network"));

    fn build(core: Core, ground: &Ground<'_>) -> anyhow::Result<Self> {
        let (own, bus) = (ground.section(Self::NAME)?, ground.bus.clone());
        Ok(Self::new(core, own, bus, ground.peers::<Self>()?))
    }

    fn work(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        Self::start(self, shutdown)
    }

    async fn agents(hosts: &Hosts<'_>) -> anyhow::Result<Vec<Task>> {
        let mut tasks = Vec::new();
        for name in hosts.names() {
            let driver: Arc<dyn agent::Driver> = match hosts.machine {
                Machine::This => Arc::new(agent::Kernel::new(NAMESPACES)),
                Machine::Simulated(_) => Arc::new(agent::Fake::default()),
            };
            tasks.push(start(hosts, &name, driver)?);
        }
        Ok(tasks)
    }

    async fn leave(config: &crate::settings::Config) -> anyhow::Result<()> {
        let settings = settings(&config.settings, &config.settings.host());
        let kernel: Arc<dyn agent::Driver> = Arc::new(agent::Kernel::new(NAMESPACES));
        agent::remove_everything(&settings, &kernel).await?;
        Ok(())
    }
}

fn start(
    hosts: &Hosts<'_>,
    name: &str,
    driver: Arc<dyn agent::Driver>,
) -> anyhow::Result<Task> {
    let mut settings = settings(&hosts.config.settings, name);
    settings
        .metadata_secret
        .clone_from(&hosts.secrets.metadata_secret);
    let (peers, clock) = (hosts.peers(name)?, hosts.clock.clone());
    let agent = Arc::new(agent::Agent::new(peers, clock.clone(), settings, driver));
    let (shutdown, until) = (hosts.shutdown.clone(), hosts.shutdown.clone());
    Ok(nephos_runtime::supervise(
        "network.agent",
        clock,
        shutdown,
        move || {
            let (agent, until) = (Arc::clone(&agent), until.clone());
            async move { agent.run(until).await }
        },
    ))
}

fn settings(settings: &Settings, host: &str) -> agent::Settings {
    // Each host keeps a feed of its own; tunnels end at its address, of which one machine has no use.
    let folder = settings.state("host").join(format!("network-{host}"));
    let mut own = agent::Settings::new(host, folder, IpAddr::V4(Ipv4Addr::LOCALHOST));
    own.namespace_prefix = NAMESPACES.to_owned();
    for reached in own.physical_networks.values_mut() {
        reached.host_address = Some(settings.public_address);
    }
    own
}
