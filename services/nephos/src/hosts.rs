//! What runs on hosts: this machine as a host, or simulated ones. Each has an identity of its own, under which its agents
//! ask for what is wanted on it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nephos_peer::{HostKey, PeerError, Peers};
use nephos_runtime::{Clock, Shutdown, Task};
use nephos_types::HostName;
use serde_json::{Value, json};

use crate::accounts;
use crate::membership::Membership;
use crate::secrets::Secrets;
use crate::services::{Ground, Parts, Role, SERVICES, TRUSTED};
use crate::settings::{Config, Settings};

/// Identity is asked again after this long to know the hosts of this process.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Hosts that identity is told of in one call.
const AT_ONCE: usize = 1000;

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
    /// The time.
    pub clock: Clock,
    /// When to end.
    pub shutdown: &'a Shutdown,
    identity: Identity<'a>,
    /// The way to the services, in nobody's name yet.
    way: Peers,
    /// The same in the names of hosts: agents of one host share its token.
    ways: Mutex<BTreeMap<String, Peers>>,
}

/// By what a process can speak for hosts.
enum Identity<'a> {
    /// The machine joined as one host.
    Joined(&'a Membership),
    /// The process knows the cloud's secrets, from which those of its hosts follow.
    Own(&'a Secrets),
}

impl<'a> Hosts<'a> {
    /// The hosts of a process.
    ///
    /// # Errors
    /// What the process lacks to speak for them.
    pub fn new(
        ground: &'a Ground<'a>,
        machine: Machine,
        shutdown: &'a Shutdown,
    ) -> anyhow::Result<Self> {
        let identity = match (&ground.settings().membership, machine) {
            (Some(joined), Machine::This) => Identity::Joined(joined),
            (Some(joined), Machine::Simulated(_)) => anyhow::bail!(
                "this machine joined as host {} and can speak for no others; simulated hosts need the cloud's secrets.toml",
                joined.name
            ),
            (None, _) => Identity::Own(ground.secrets),
        };
        Ok(Self {
            machine,
            config: ground.config,
            clock: ground.clock.clone(),
            shutdown,
            identity,
            way: ground.peers_as(nephos_peer::Account::Nobody)?,
            ways: Mutex::default(),
        })
    }

    /// Starts the agents that are among `parts`.
    ///
    /// # Errors
    /// What a host lacks.
    pub async fn start(&self, parts: &Parts) -> anyhow::Result<Vec<Task>> {
        let mut tasks = Vec::new();
        tasks.extend(self.be_known().await?);
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
    /// When this process cannot speak for it.
    pub fn peers(&self, host: &str) -> anyhow::Result<Peers> {
        let key = self.key(host)?;
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let way = ways
            .entry(host.to_owned())
            .or_insert_with(|| self.way.named(key));
        Ok(way.clone())
    }

    fn key(&self, host: &str) -> anyhow::Result<HostKey> {
        match &self.identity {
            Identity::Joined(joined) => {
                anyhow::ensure!(
                    joined.name == host,
                    "this machine joined as host {}, and `host` in [nephos] of nephos.toml says {host}; take it out there",
                    joined.name
                );
                Ok(joined.key())
            }
            Identity::Own(secrets) => Ok(HostKey {
                name: HostName::from(host),
                secret: secrets.of_host(host)?,
            }),
        }
    }

    /// Says to identity which hosts this process runs. Agents do not wait for it: guests come back while it is away.
    async fn be_known(&self) -> anyhow::Result<Option<Task>> {
        let Identity::Own(secrets) = &self.identity else {
            return Ok(None);
        };
        anyhow::ensure!(
            !secrets.admin_password.is_empty(),
            "secrets.toml has no `admin_password`, and this machine has not joined. `nephos host add NAME`, where the cloud \
             is, says how it joins"
        );
        let mut hosts = Vec::new();
        for name in self.names() {
            hosts.push(json!({"secret": secrets.of_host(&name)?, "name": name}));
        }
        let admin = self.way.named(accounts::admin(secrets));
        match put(&admin, &hosts).await {
            Ok(()) => return Ok(None),
            Err(why) if passes(&why) => {
                tracing::warn!(%why, "identity does not know the hosts of this process yet; telling again");
            }
            Err(why) => return Err(why.into()),
        }
        let (clock, until) = (self.clock.clone(), self.shutdown.clone());
        let told = async move {
            while put(&admin, &hosts).await.is_err() {
                clock.sleep(ASK_AGAIN).await;
            }
        };
        Ok(Some(nephos_runtime::spawn("hosts.known", async move {
            tokio::select! { () = until.wait() => {} () = told => {} }
        })))
    }
}

/// Whether it may go well later: identity is away, or starts with a password that this process knows and it does not yet.
fn passes(why: &PeerError) -> bool {
    why.is_transient() || why.status == Some(401)
}

async fn put(admin: &Peers, hosts: &[Value]) -> Result<(), PeerError> {
    for some in hosts.chunks(AT_ONCE) {
        let call = admin.put(TRUSTED, "/host/v1/hosts");
        let call = call.json(&json!({ "hosts": some }));
        call.as_service().send().await?;
    }
    Ok(())
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
