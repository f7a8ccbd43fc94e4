//! The services of the cloud: one line in [`SERVICES`] and one file beside this one for each.
//!
//! Nothing outside this folder names a service: what a process runs, the catalog, the accounts, the databases, the
//! sections of `nephos.toml` and the consistency check all follow from the list.

mod block;
mod compute;
mod dashboard;
mod ground;
mod identity;
mod image;
mod load_balancer;
pub(crate) mod network;
mod object;
mod orchestration;
mod parts;
mod placement;

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nephos_api::{App, Check, Dispatch, Service};
use nephos_bus::Bus;
use nephos_db::{Db, Migration};
use nephos_runtime::config::ConfigFile;
use nephos_runtime::{Shutdown, Task};
use nephos_types::Finding;
use serde::de::DeserializeOwned;

pub use ground::Ground;
pub use parts::{Parts, Role};

use crate::hosts::Hosts;

/// Every service, in the order in which they are built and started.
pub static SERVICES: [Offer; 10] = [
    Offer::of::<nephos_identity::Identity>(),
    Offer::of::<nephos_placement::Placement>(),
    Offer::of::<nephos_image::Image>(),
    Offer::of::<nephos_network::Network>(),
    Offer::of::<nephos_compute::Compute>(),
    Offer::of::<nephos_object::Object>(),
    Offer::of::<nephos_block::Block>(),
    Offer::of::<nephos_load_balancer::LoadBalancing>(),
    Offer::of::<nephos_orchestration::Orchestration>(),
    Offer::of::<nephos_dashboard::Dashboard>(),
];

/// The service whose keys sign tokens.
pub const TRUSTED: &str = nephos_identity::Identity::NAME;
/// Its account, with which a process fetches them.
pub const TRUSTED_ACCOUNT: &str = <nephos_identity::Identity as Offered>::ACCOUNT;

/// What a service's file here says of it.
trait Offered: Service + Check {
    /// Its section of `nephos.toml`.
    type Section: DeserializeOwned + Default;
    /// `/compute`: the prefix of its calls.
    const PREFIX: &'static str;
    /// What can run by itself.
    const ROLES: &'static [Role];
    /// The account with which it calls its siblings, named as upstream names it.
    const ACCOUNT: &'static str;
    /// How the catalog calls it and where it is below the public URL; none: it is not in the catalog.
    const CATALOG: Option<(&'static str, &'static str)>;
    /// A path of it that clients look for at the root, beside the services and not below them.
    const AT_ROOT: Option<&'static str> = None;

    /// The service over its database. It reads and writes nothing yet.
    fn build(core: nephos_api::Core, ground: &Ground<'_>) -> anyhow::Result<Self>;

    /// What answers below its prefix: its calls, unless something stands in front of them.
    fn front(app: App<Self>) -> Arc<dyn Dispatch> {
        Arc::new(app)
    }

    /// Makes the first things of a cloud, or brings them up to date.
    fn bootstrap(&self, _ground: &Ground<'_>) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Reads what it must know before its first call.
    fn load(&self) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Takes over what a killed process left behind, where no other process runs this service.
    fn take_over(&self) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// How what it stands on beside its database is doing, if there is such a thing: that it is well, or why not. Changes
    /// nothing.
    fn outside(&self) -> impl Future<Output = Option<anyhow::Result<String>>> + Send {
        async { None }
    }

    /// What a process that answers its calls runs beside them.
    fn serve(self: &Arc<Self>, _shutdown: &Shutdown) -> Vec<Task> {
        Vec::new()
    }

    /// Its work behind the calls.
    fn work(self: &Arc<Self>, _shutdown: &Shutdown) -> Vec<Task> {
        Vec::new()
    }

    /// Its agents on these hosts.
    fn agents(_hosts: &Hosts<'_>) -> impl Future<Output = anyhow::Result<Vec<Task>>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Ends what its work left running beside the process.
    fn withdraw(
        _config: &crate::settings::Config,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Removes what its agent put on this machine.
    fn leave(_config: &crate::settings::Config) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }
}

type Building<'a> = BoxFuture<'a, anyhow::Result<Arc<dyn Run>>>;

/// A service before it is built.
pub struct Offer {
    /// `compute`.
    pub name: &'static str,
    /// `/compute`: the prefix of its calls.
    pub prefix: &'static str,
    /// Its type in the catalog.
    pub kind: &'static str,
    /// What of it can run by itself.
    pub roles: &'static [Role],
    /// The account with which it calls its siblings.
    pub account: &'static str,
    /// Its name and path in the catalog.
    pub catalog: Option<(&'static str, &'static str)>,
    /// A path of it that is served at the root too.
    pub at_root: Option<&'static str>,
    section: fn(&ConfigFile) -> anyhow::Result<()>,
    build: for<'a> fn(&'a Ground<'a>) -> Building<'a>,
    agents: for<'a> fn(&'a Hosts<'a>) -> BoxFuture<'a, anyhow::Result<Vec<Task>>>,
    leave: for<'a> fn(&'a crate::settings::Config) -> BoxFuture<'a, anyhow::Result<()>>,
    withdraw: for<'a> fn(&'a crate::settings::Config) -> BoxFuture<'a, anyhow::Result<()>>,
}

impl Offer {
    const fn of<S: Offered>() -> Self {
        Self {
            name: S::NAME,
            prefix: S::PREFIX,
            kind: S::TYPE,
            roles: S::ROLES,
            account: S::ACCOUNT,
            catalog: S::CATALOG,
            at_root: S::AT_ROOT,
            section: check_section::<S>,
            build: |ground| build::<S>(ground).boxed(),
            agents: |hosts| S::agents(hosts).boxed(),
            leave: |config| S::leave(config).boxed(),
            withdraw: |config| S::withdraw(config).boxed(),
        }
    }

    /// Reads its section of `nephos.toml`.
    ///
    /// # Errors
    /// Names the key and what was expected.
    pub fn check_section(&self, file: &ConfigFile) -> anyhow::Result<()> {
        (self.section)(file)
    }

    /// Builds it over its database, which must be there.
    ///
    /// # Errors
    /// What of its settings cannot be used, or that its database does not answer.
    pub async fn build<'a>(&self, ground: &'a Ground<'a>) -> anyhow::Result<Arc<dyn Run>> {
        (self.build)(ground).await
    }

    /// Starts its agents.
    ///
    /// # Errors
    /// What a host lacks.
    pub async fn agents<'a>(&self, hosts: &'a Hosts<'a>) -> anyhow::Result<Vec<Task>> {
        (self.agents)(hosts).await
    }

    /// Ends what its work left running beside the process.
    ///
    /// # Errors
    /// What does not end.
    pub async fn withdraw(&self, config: &crate::settings::Config) -> anyhow::Result<()> {
        (self.withdraw)(config).await
    }

    /// Removes what its agent put on this machine.
    ///
    /// # Errors
    /// The first thing that could not be removed.
    pub async fn leave(&self, config: &crate::settings::Config) -> anyhow::Result<()> {
        (self.leave)(config).await
    }
}

/// A service that is built.
pub trait Run: Send + Sync {
    /// `compute`.
    fn name(&self) -> &'static str;
    /// Its database.
    fn db(&self) -> &Db;
    /// Its tables, oldest first.
    fn migrations(&self) -> Vec<Migration>;
    /// Its calls.
    fn app(&self) -> Arc<dyn Dispatch>;
    /// See [`Check`].
    fn check(&self) -> BoxFuture<'_, Result<Vec<Finding>, nephos_db::Error>>;
    /// Makes the first things of a cloud.
    fn bootstrap<'a>(&'a self, ground: &'a Ground<'a>) -> BoxFuture<'a, anyhow::Result<()>>;
    /// Reads what it must know before its first call.
    fn load(&self) -> BoxFuture<'_, anyhow::Result<()>>;
    /// Takes over what a killed process left behind.
    fn take_over(&self) -> BoxFuture<'_, anyhow::Result<()>>;
    /// How what it stands on beside its database is doing, if there is such a thing.
    fn outside(&self) -> BoxFuture<'_, Option<anyhow::Result<String>>>;
    /// What a process that answers its calls runs beside them.
    fn serve(&self, shutdown: &Shutdown) -> Vec<Task>;
    /// Its work behind the calls.
    fn work(&self, shutdown: &Shutdown) -> Vec<Task>;
}

struct Built<S: Offered> {
    service: Arc<S>,
    app: Arc<dyn Dispatch>,
}

impl<S: Offered> Run for Built<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }
    fn db(&self) -> &Db {
        &self.service.core().db
    }
    fn migrations(&self) -> Vec<Migration> {
        S::migrations()
    }
    fn app(&self) -> Arc<dyn Dispatch> {
        Arc::clone(&self.app)
    }
    fn check(&self) -> BoxFuture<'_, Result<Vec<Finding>, nephos_db::Error>> {
        self.service.check().boxed()
    }
    fn bootstrap<'a>(&'a self, ground: &'a Ground<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        self.service.bootstrap(ground).boxed()
    }
    fn load(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        self.service.load().boxed()
    }
    fn take_over(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        self.service.take_over().boxed()
    }
    fn outside(&self) -> BoxFuture<'_, Option<anyhow::Result<String>>> {
        self.service.outside().boxed()
    }
    fn serve(&self, shutdown: &Shutdown) -> Vec<Task> {
        S::serve(&self.service, shutdown)
    }
    fn work(&self, shutdown: &Shutdown) -> Vec<Task> {
        S::work(&self.service, shutdown)
    }
}

async fn build<S: Offered>(ground: &Ground<'_>) -> anyhow::Result<Arc<dyn Run>> {
    let service = Arc::new(S::build(ground.core::<S>().await?, ground)?);
    let app = App::new(Arc::clone(&service))
        .map_err(|why| anyhow::anyhow!("the calls of {}: {why}", S::NAME))?;
    let app = S::front(app);
    Ok(Arc::new(Built { service, app }))
}

fn check_section<S: Offered>(file: &ConfigFile) -> anyhow::Result<()> {
    file.section::<S::Section>(S::NAME)?;
    Ok(())
}

/// The names of all services.
#[must_use]
pub fn names() -> [&'static str; SERVICES.len()] {
    SERVICES.each_ref().map(|offer| offer.name)
}

/// Whether a service keeps operations, which must end.
#[must_use]
pub fn has_operations(service: &dyn Run) -> bool {
    let mut migrations = service.migrations().into_iter();
    migrations.any(|migration| migration.name == nephos_ops::MIGRATION.name)
}

/// The bus of this process.
///
/// # Errors
/// When the address is none.
pub fn bus(
    settings: &crate::settings::Settings,
    clock: nephos_runtime::Clock,
) -> anyhow::Result<Bus> {
    use anyhow::Context as _;
    match &settings.bus {
        Some(url) => Bus::amqp(url, clock).context("[nephos] bus"),
        None => Ok(Bus::local()),
    }
}
