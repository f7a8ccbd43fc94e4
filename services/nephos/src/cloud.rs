//! The services that a process runs, built and knowing each other.
//!
//! What changes something is a verb of its own: [`Cloud::open`] changes nothing, [`Cloud::migrate`] makes tables,
//! [`Cloud::bootstrap`] makes the first things of a cloud.

use std::sync::Arc;

use anyhow::Context as _;
use nephos_api::shell::Mount;
use nephos_auth::Verifier;
use nephos_peer::{Directory, Peers, Transport};
use nephos_runtime::{Clock, Shutdown, Task};

use crate::fsck::{OnHost, Sources};
use crate::secrets::Secrets;
use crate::services::{self, Ground, Parts, Role, Run, SERVICES};
use crate::settings::Config;
use crate::{accounts, databases};

/// The services of a process, built and not yet working.
pub struct Cloud<'a> {
    ground: Ground<'a>,
    services: Vec<Arc<dyn Run>>,
    mounts: Vec<Mount>,
    parts: Parts,
}

impl<'a> Cloud<'a> {
    /// Builds `parts` over databases that are there, and changes nothing by it.
    ///
    /// # Errors
    /// Which service could not be built, and why.
    pub async fn open(
        config: &'a Config,
        secrets: &'a Secrets,
        clock: Clock,
        parts: Parts,
    ) -> anyhow::Result<Self> {
        let ground = Ground {
            config,
            secrets,
            bus: services::bus(&config.settings, clock.clone())?,
            directory: Directory::default(),
            verifier: Verifier::new(clock.clone()),
            clock,
        };
        let (mut built, mut mounts) = (Vec::new(), Vec::new());
        for offer in SERVICES.iter().filter(|offer| parts.builds(offer.name)) {
            let service = offer.build(&ground).await?;
            if parts.has(offer.name, Role::Api) {
                ground
                    .directory
                    .set(offer.name, Transport::Local(service.app()));
                mounts.push(Mount {
                    prefix: offer.prefix,
                    service: service.app(),
                });
            }
            built.push(service);
        }
        Ok(Self {
            ground,
            services: built,
            mounts,
            parts,
        })
    }

    /// Makes the databases of all services where they are missing; before [`Cloud::open`].
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub async fn ensure_databases(config: &Config) -> anyhow::Result<()> {
        for offer in &SERVICES {
            databases::ensure(&config.settings, offer.name).await?;
        }
        Ok(())
    }

    /// Brings the tables of every service up to date.
    ///
    /// # Errors
    /// Which service's, and why not.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        for service in &self.services {
            let migrated = service.db().migrate(&service.migrations()).await;
            migrated.with_context(|| format!("the tables of {}", service.name()))?;
        }
        Ok(())
    }

    /// Makes the first things of a cloud, or brings them up to date: roles, accounts, catalog, signing keys, the user
    /// `demo`.
    ///
    /// # Errors
    /// What could not be made.
    pub async fn bootstrap(&self) -> anyhow::Result<()> {
        for service in &self.services {
            service.bootstrap(&self.ground).await?;
        }
        let secrets = self.ground.secrets;
        accounts::ensure(&self.admin()?, &secrets.user_password).await?;
        Ok(())
    }

    /// Reads what the services must know before their first call.
    ///
    /// # Errors
    /// When tables are missing or a database does not answer.
    pub async fn load(&self) -> anyhow::Result<()> {
        for service in &self.services {
            databases::must_be_up_to_date(&**service).await?;
            let loaded = service.load().await;
            loaded.with_context(|| format!("the start of {}", service.name()))?;
        }
        Ok(())
    }

    /// Takes over what a process that was killed left behind. Before requests are taken, and never while another
    /// process runs this cloud.
    ///
    /// # Errors
    /// When a database refuses.
    pub async fn take_over(&self) -> anyhow::Result<()> {
        for service in &self.services {
            service.take_over().await?;
        }
        Ok(())
    }

    /// Starts the work of every part.
    #[must_use]
    pub fn start(&self, shutdown: &Shutdown) -> Vec<Task> {
        let mut tasks = Vec::new();
        for service in &self.services {
            if self.parts.has(service.name(), Role::Api) {
                tasks.extend(service.serve(shutdown));
            }
            if self.parts.has(service.name(), Role::Worker) {
                tasks.extend(service.work(shutdown));
            }
        }
        tasks
    }

    /// What the HTTP listener serves.
    #[must_use]
    pub fn mounts(&self) -> Vec<Mount> {
        self.mounts.clone()
    }

    /// What the services were built from.
    #[must_use]
    pub const fn ground(&self) -> &Ground<'a> {
        &self.ground
    }

    /// The way to the services as the administrator.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn admin(&self) -> anyhow::Result<Peers> {
        self.ground.peers_as(accounts::admin(self.ground.secrets))
    }

    /// What the consistency check asks. It changes nothing, so another process may run this cloud meanwhile.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn sources(&self, host: Option<OnHost>) -> anyhow::Result<Sources> {
        Ok(Sources {
            services: self.services.clone(),
            peers: self.admin()?,
            host,
            clock: self.ground.clock.clone(),
        })
    }
}
