//! Network, and what it runs on hosts.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use nephos_api::{Core, Service as _};
use nephos_network::{Config, Network, agent};
use nephos_runtime::{Shutdown, Task};
use nephos_types::feed::FeedPage;

use super::{Ground, Offered, Role};
use crate::hosts::{Hosts, Machine};
use crate::settings::Settings;

/// Network namespaces of ours begin so.
pub(super) const NAMESPACES: &str = "nephos-";

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
            let own = match hosts.machine {
                Machine::This => {
                    let folder = hosts.config.settings.state("host");
                    Own {
                        driver: Arc::new(agent::Kernel::new(NAMESPACES)),
                        feed_file: folder.join(format!("network-{name}/network-feed.json")),
                    }
                }
                // Its network is gone with this process, so that there is nothing to come back to.
                Machine::Simulated(_) => Own {
                    driver: Arc::new(agent::Fake::default()),
                    feed_file: PathBuf::new(),
                },
            };
            tasks.push(start(hosts, &name, own)?);
        }
        Ok(tasks)
    }

    async fn leave(config: &crate::settings::Config) -> anyhow::Result<()> {
        let host = config.settings.host();
        let settings = settings(&config.settings, &host, PathBuf::new());
        let kernel: Arc<dyn agent::Driver> = Arc::new(agent::Kernel::new(NAMESPACES));
        agent::remove_everything(&settings, &kernel).await?;
        Ok(())
    }
}

/// What of this host's network is not as it is wanted.
///
/// # Errors
/// When the host cannot be looked at.
pub async fn differences(
    config: &crate::settings::Config,
    wanted: FeedPage,
) -> anyhow::Result<BTreeSet<agent::Difference>> {
    let settings = settings(&config.settings, &config.settings.host(), PathBuf::new());
    let kernel = agent::Kernel::new(NAMESPACES);
    Ok(agent::differences(&settings, &kernel, wanted).await?)
}

/// What a host has of its own.
struct Own {
    driver: Arc<dyn agent::Driver>,
    /// Where what is wanted on it is kept.
    feed_file: PathBuf,
}

fn start(hosts: &Hosts<'_>, name: &str, own: Own) -> anyhow::Result<Task> {
    let Own { driver, feed_file } = own;
    let settings = settings(&hosts.config.settings, name, feed_file);
    let (peers, clock) = (hosts.peers(name)?, hosts.clock.clone());
    let agent = Arc::new(agent::Agent::new(peers, clock.clone(), settings, driver));
    let (shutdown, until) = (hosts.shutdown.clone(), hosts.shutdown.clone());
    // Whatever the agent says is of this host.
    let _span = tracing::info_span!("agent", service = "network", host = name).entered();
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

fn settings(settings: &Settings, host: &str, feed_file: PathBuf) -> agent::Settings {
    let mut own = agent::Settings::new(host, feed_file, settings.tunnel_address());
    own.namespace_prefix = NAMESPACES.to_owned();
    for reached in own.physical_networks.values_mut() {
        reached.host_address = settings.public_address();
    }
    own
}
