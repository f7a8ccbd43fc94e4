//! The services that a process runs, built and knowing each other.
//!
//! What changes something is a verb of its own: [`Cloud::look`] and [`Cloud::open`] change nothing, [`Cloud::migrate`]
//! makes tables, [`Cloud::bootstrap`] makes the first things of a cloud.

use std::sync::Arc;

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use nephos_api::shell::Mount;
use nephos_api::{Dispatch, Request, Response};
use nephos_auth::Verifier;
use nephos_peer::trust::{Trust, TrustParts};
use nephos_peer::{Directory, Peers, Replicas, Transport};
use nephos_runtime::{Clock, Shutdown, Task};

use crate::fsck::{OnHost, Sources};
use crate::journal::desk::{self, Desk, Fronted};
use crate::running::Running;
use crate::secrets::Secrets;
use crate::services::{
    self, Ground, Parts, Role, Run, SERVICES, TRUSTED, TRUSTED_ACCOUNT, has_operations,
};
use crate::settings::Config;
use crate::{accounts, databases};

/// The services of a process, built and not yet working.
pub struct Cloud<'a> {
    ground: Ground<'a>,
    services: Vec<Arc<dyn Run>>,
    mounts: Vec<Mount>,
    parts: Parts,
    /// Held while this process works.
    locks: Vec<Running>,
}

impl<'a> Cloud<'a> {
    /// Builds `parts` to look at what is there, and changes nothing by it. Another process may run this cloud meanwhile.
    ///
    /// # Errors
    /// Which service could not be built, and why.
    pub async fn look(
        config: &'a Config,
        secrets: &'a Secrets,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        for offer in &SERVICES {
            databases::must_be_there(&config.settings, offer.name)?;
        }
        Self::build(config, secrets, clock, Parts::apis()).await
    }

    /// Builds `parts` to work with. On SQLite no other process may work with the same databases; on PostgreSQL the
    /// databases are made where they are missing.
    ///
    /// # Errors
    /// Which service could not be built, and why.
    pub async fn open(
        config: &'a Config,
        secrets: &'a Secrets,
        clock: Clock,
        parts: Parts,
    ) -> anyhow::Result<Self> {
        let mut locks = Vec::new();
        for offer in SERVICES.iter().filter(|offer| parts.builds(offer.name)) {
            locks.extend(databases::claim(&config.settings, offer.name)?);
            databases::ensure(&config.settings, offer.name).await?;
        }
        let mut cloud = Self::build(config, secrets, clock, parts).await?;
        cloud.locks = locks;
        Ok(cloud)
    }

    async fn build(
        config: &'a Config,
        secrets: &'a Secrets,
        clock: Clock,
        parts: Parts,
    ) -> anyhow::Result<Self> {
        let ground = Ground {
            config,
            secrets,
            bus: services::bus(&config.settings, clock.clone())?,
            directory: elsewhere(config)?,
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
                mounts.extend(offer.at_root.map(|path| Mount {
                    prefix: path,
                    service: Arc::new(At(path, service.app())),
                }));
            }
            built.push(service);
        }
        Ok(Self {
            ground,
            services: built,
            mounts,
            parts,
            locks: Vec::new(),
        })
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

    /// Follows the keys and revocations of another process; none when this one answers for identity itself, or checks no
    /// tokens.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn trust(&self) -> anyhow::Result<Option<Trust>> {
        if self.parts.has(TRUSTED, Role::Api) || !self.parts.any(Role::Api) {
            return Ok(None);
        }
        let ground = &self.ground;
        Ok(Some(Trust::new(TrustParts {
            peers: ground.peers_as(accounts::of_service(TRUSTED_ACCOUNT, ground.secrets)?)?,
            verifier: ground.verifier.clone(),
            clock: ground.clock.clone(),
            file: ground.settings().state("trust.json"),
        })))
    }

    /// The services that were built.
    #[must_use]
    pub fn services(&self) -> &[Arc<dyn Run>] {
        &self.services
    }

    /// What this process runs.
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// What the HTTP listener serves until `shutdown`: every service, with the desk of this process's journal in front.
    #[must_use]
    pub fn mounts(&self, shutdown: &Shutdown) -> Vec<Mount> {
        let with_operations = self.services.iter().filter(|one| has_operations(&***one));
        let desk = Arc::new(Desk {
            verifier: self.ground.verifier.clone(),
            operations: with_operations
                .map(|one| (one.name(), one.db().clone()))
                .collect(),
            clock: self.ground.clock.clone(),
            shutdown: shutdown.clone(),
            waiting: desk::places(),
        });
        let fronted = |mount: &Mount| Mount {
            prefix: mount.prefix,
            service: Arc::new(Fronted {
                desk: Arc::clone(&desk),
                service: Arc::clone(&mount.service),
            }),
        };
        self.mounts.iter().map(fronted).collect()
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

/// The way to a cloud that runs in other processes, as its administrator.
///
/// # Errors
/// When no HTTP client can be made.
pub fn from_outside(config: &Config, secrets: &Secrets, clock: Clock) -> anyhow::Result<Peers> {
    let origin = config.settings.origin();
    let account = accounts::admin(secrets);
    Ok(Peers::new(elsewhere(config)?, account, clock, origin)?)
}

/// Every service where other processes run it.
///
/// # Errors
/// When the authorities by which they are to be believed are none.
pub fn elsewhere(config: &Config) -> anyhow::Result<Directory> {
    let mut directory = Directory::default();
    let joined = config.settings.membership.as_ref();
    if let Some(ca) = joined.and_then(|joined| joined.ca.as_ref()) {
        let trusting = directory.trusting(ca.as_bytes());
        directory = trusting.map_err(|why| anyhow::anyhow!("`ca` of host.toml: {why}"))?;
    }
    for offer in &SERVICES {
        let at = |origin: String| format!("{origin}{}", offer.prefix);
        let copies = config.origins(offer.name).into_iter().map(at).collect();
        let there = Transport::Http(Arc::new(Replicas::new(copies)));
        directory.set(offer.name, there);
    }
    Ok(directory)
}

/// One path of a service, served at the root.
struct At(&'static str, Arc<dyn Dispatch>);

impl Dispatch for At {
    fn dispatch(&self, mut request: Request) -> BoxFuture<'static, Response> {
        request.path = match request.path.as_str() {
            "/" => self.0.to_owned(),
            below => format!("{}{below}", self.0),
        };
        self.1.dispatch(request)
    }
}
