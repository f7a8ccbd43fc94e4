//! What runs on hosts: this machine as a host, or simulated ones.

use nephos_peer::{Credentials, Directory, Peers};
use nephos_runtime::{Clock, Shutdown, Task};

use crate::secrets::Secrets;
use crate::services::{Parts, Role, SERVICES};
use crate::settings::{Config, Settings};

/// Which hosts a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// The machine that it runs on.
    This,
    /// So many that are only simulated: `sim-1` and so on.
    Simulated(usize),
}

/// What hosts are started with.
pub struct Hosts<'a> {
    /// Which hosts.
    pub machine: Machine,
    /// `nephos.toml`.
    pub config: &'a Config,
    /// What agents share with services.
    pub secrets: &'a Secrets,
    /// Where the services are.
    pub directory: Directory,
    /// The account of agents.
    pub account: Credentials,
    /// The time.
    pub clock: Clock,
    /// When to end.
    pub shutdown: &'a Shutdown,
}

impl Hosts<'_> {
    /// Starts the agents that are among `parts`.
    ///
    /// # Errors
    /// What a host lacks.
    pub async fn start(&self, parts: &Parts) -> anyhow::Result<Vec<Task>> {
        let mut tasks = Vec::new();
        for offer in SERVICES
            .iter()
            .filter(|offer| parts.has(offer.name, Role::Agent))
        {
            tasks.extend(offer.agents(self).await?);
        }
        Ok(tasks)
    }

    /// The hosts' names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self.machine {
            Machine::This => vec![self.config.settings.host()],
            Machine::Simulated(count) => {
                (1..=count).map(|number| format!("sim-{number}")).collect()
            }
        }
    }

    /// A host's way to the services.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn peers(&self, _host: &str) -> anyhow::Result<Peers> {
        let (directory, account) = (self.directory.clone(), self.account.clone());
        let origin = self.config.settings.origin();
        Ok(Peers::new(directory, account, self.clock.clone(), origin)?)
    }
}

/// Whether this machine has been a host of the cloud, and not only simulated ones.
#[must_use]
pub fn is_real(settings: &Settings) -> bool {
    settings.state("host").join("agent.lock").exists()
}

/// Ends what the services left running on this machine beside their process. The cloud does not run.
///
/// # Errors
/// The first thing that does not end.
pub async fn withdraw(config: &Config) -> anyhow::Result<()> {
    for offer in &SERVICES {
        offer.withdraw(config).await?;
    }
    Ok(())
}

/// Removes every guest and the data plane of the cloud from this machine. The cloud does not run.
///
/// # Errors
/// The first thing that could not be removed.
pub async fn remove_everything(config: &Config) -> anyhow::Result<()> {
    // Guests before the networks that they hang on.
    for offer in SERVICES.iter().rev() {
        offer.leave(config).await?;
    }
    Ok(())
}
