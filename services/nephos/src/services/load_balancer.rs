//! Load balancing, and what it runs on hosts: a haproxy per load balancer, in namespaces that network makes.

use std::path::PathBuf;
use std::sync::Arc;

use nephos_api::{Core, Service as _};
use nephos_load_balancer::{Config, LoadBalancing, agent};
use nephos_runtime::{Shutdown, Task};

use super::network::NAMESPACES;
use super::{Ground, Offered, Role};
use crate::hosts::{Hosts, Machine};
use crate::settings::Settings;

impl Offered for LoadBalancing {
    type Section = Config;
    const PREFIX: &'static str = "/load-balancer";
    const ROLES: &'static [Role] = &[Role::Api, Role::Worker, Role::Agent];
    const ACCOUNT: &'static str = "octavia";
    const CATALOG: Option<(&'static str, &'static str)> = Some(("octavia", "/load-balancer"));

    fn build(core: Core, ground: &Ground<'_>) -> anyhow::Result<Self> {
        let (own, bus) = (ground.section(Self::NAME)?, ground.bus.clone());
        Ok(Self::new(core, ground.peers::<Self>()?, bus, own))
    }

    fn work(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        Self::start(self, shutdown)
    }

    async fn agents(hosts: &Hosts<'_>) -> anyhow::Result<Vec<Task>> {
        let mut tasks = Vec::new();
        for name in hosts.names() {
            let own = match hosts.machine {
                Machine::This => Own {
                    driver: Arc::new(haproxy(&hosts.config.settings)),
                    feed_file: hosts
                        .config
                        .settings
                        .state("host")
                        .join(format!("load-balancer-{name}/load-balancer-feed.json")),
                },
                // What it has is gone with this process, so that there is nothing to come back to.
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
        agent::remove_everything(&haproxy(&config.settings)).await?;
        Ok(())
    }
}

/// The haproxys of this machine.
fn haproxy(settings: &Settings) -> agent::Haproxy {
    // Short, because the path of a socket has 107 bytes at most.
    agent::Haproxy::new(settings.state("host").join("lb"), NAMESPACES)
}

/// What a host has of its own.
struct Own {
    driver: Arc<dyn agent::Driver>,
    /// Where what is wanted on it is kept.
    feed_file: PathBuf,
}

fn start(hosts: &Hosts<'_>, name: &str, own: Own) -> anyhow::Result<Task> {
    let settings = agent::Settings::new(name, own.feed_file);
    let (peers, clock) = (hosts.peers(name)?, hosts.clock.clone());
    let agent = Arc::new(agent::Agent::new(
        peers,
        clock.clone(),
        settings,
        own.driver,
    ));
    let (shutdown, until) = (hosts.shutdown.clone(), hosts.shutdown.clone());
    // Whatever the agent says is of this host.
    let _span = tracing::info_span!("agent", service = "load-balancer", host = name).entered();
    Ok(nephos_runtime::supervise(
        "load-balancer.agent",
        clock,
        shutdown,
        move || {
            let (agent, until) = (Arc::clone(&agent), until.clone());
            async move { agent.run(until).await }
        },
    ))
}
