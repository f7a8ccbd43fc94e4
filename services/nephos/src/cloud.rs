//! Builds the services and lets them know each other.

use std::sync::Arc;

use anyhow::Context as _;
use nephos_api::shell::Mount;
use nephos_api::{App, Core, Dispatch, Service};
use nephos_auth::{KeyRing, Overrides, Policy, Verifier};
use nephos_bus::Bus;
use nephos_compute::Compute;
use nephos_dashboard::Dashboard;
use nephos_db::{Db, DbUrl};
use nephos_identity::{Bootstrap, CatalogEntry, Identity, ServiceUser};
use nephos_image::Image;
use nephos_network::Network;
use nephos_peer::{Credentials, Directory, Peers, Transport};
use nephos_placement::Placement;
use nephos_runtime::config::ConfigFile;
use nephos_runtime::{Clock, Shutdown, Task};

use crate::fsck::{Database, OnHost, Sources};
use crate::secrets::Secrets;
use crate::settings::{Config, Settings};

/// Sections of `nephos.toml` that belong to services.
pub const SERVICES: [&str; 6] = [
    "identity",
    "placement",
    "image",
    "network",
    "compute",
    "dashboard",
];

/// All services of a cloud, built and not yet working.
pub struct Cloud {
    /// What the HTTP listener serves.
    pub mounts: Vec<Mount>,
    /// The way to the services, as the service account.
    pub peers: Peers,
    /// The time.
    pub clock: Clock,
    /// Compute, which knows whether its servers and what they have elsewhere fit together.
    pub compute: Arc<Compute>,
    /// Network, which knows whether it fits together.
    pub network: Arc<Network>,
    image: Arc<Image>,
    databases: Vec<(&'static str, Db)>,
    starts: Vec<Start>,
}

type Start = Box<dyn Fn(&Shutdown) -> Vec<Task> + Send + Sync>;

/// What every service is built from.
struct Ground<'a> {
    config: &'a Config,
    settings: &'a Settings,
    secrets: &'a Secrets,
    clock: Clock,
    bus: Bus,
    verifier: Verifier,
    peers: Peers,
}

/// What the services of a process are served by and found at.
#[derive(Default)]
struct Offer {
    mounts: Vec<Mount>,
    directory: Directory,
    starts: Vec<Start>,
}

impl Cloud {
    /// Opens the databases, brings their tables up to date and builds every service.
    ///
    /// # Errors
    /// Which service could not be built, and why.
    pub async fn open(config: &Config, secrets: &Secrets, clock: Clock) -> anyhow::Result<Self> {
        let settings = &config.settings;
        let mut offer = Offer::default();
        let account = Credentials {
            user: SERVICE_USER.to_owned(),
            password: secrets.service_password.clone(),
            project: "service".to_owned(),
        };
        let origin = settings.origin();
        let peers = Peers::new(offer.directory.clone(), account, clock.clone(), origin)?;
        let bus = match &settings.bus {
            Some(url) => Bus::amqp(url, clock.clone()).context("[nephos] bus")?,
            None => Bus::local(),
        };
        let ground = Ground {
            config,
            settings,
            secrets,
            verifier: Verifier::new(clock.clone()),
            bus,
            clock: clock.clone(),
            peers: peers.clone(),
        };
        let identity = ground.identity().await?;
        let placement = ground.placement().await?;
        let image = ground.image().await?;
        let network = ground.network().await?;
        let compute = ground.compute().await?;
        let dashboard = ground.dashboard().await?;
        offer.add("/identity", &identity, Identity::start)?;
        offer.add("/placement", &placement, Placement::start)?;
        offer.add("/image", &image, Image::start)?;
        offer.add("/network", &network, Network::start)?;
        offer.add("/compute", &compute, Compute::start)?;
        offer.add_site("/dashboard", &dashboard)?;
        let databases = vec![
            (Image::NAME, image.core().db.clone()),
            (Compute::NAME, compute.core().db.clone()),
        ];
        Ok(Self {
            mounts: offer.mounts,
            peers,
            clock,
            compute,
            network,
            image,
            databases,
            starts: offer.starts,
        })
    }

    /// Takes over what a process that was killed left behind. Before requests are taken, and never while another
    /// process runs this cloud.
    ///
    /// # Errors
    /// When a database refuses.
    pub async fn take_over(&self) -> anyhow::Result<()> {
        Ok(self.image.take_over().await?)
    }

    /// Starts the work of every service.
    #[must_use]
    pub fn start(&self, shutdown: &Shutdown) -> Vec<Task> {
        self.starts
            .iter()
            .flat_map(|start| start(shutdown))
            .collect()
    }

    /// What the consistency check asks. It changes nothing, so another process may run this cloud meanwhile.
    #[must_use]
    pub fn sources(&self, host: Option<OnHost>) -> Sources {
        let database = |(service, db): &(&'static str, Db)| Database {
            service,
            db: db.clone(),
        };
        Sources {
            compute: Arc::clone(&self.compute),
            network: Arc::clone(&self.network),
            peers: self.peers.clone(),
            databases: self.databases.iter().map(database).collect(),
            host,
            clock: self.clock.clone(),
        }
    }
}

impl Offer {
    /// Serves the dashboard, which no sibling asks anything.
    fn add_site(&mut self, prefix: &'static str, service: &Arc<Dashboard>) -> anyhow::Result<()> {
        let app = App::new(Arc::clone(service))
            .map_err(|why| anyhow::anyhow!("the calls of {}: {why}", Dashboard::NAME))?;
        let service = Arc::clone(service);
        self.mounts.push(Mount {
            prefix,
            service: service.site(app),
        });
        self.starts
            .push(Box::new(move |shutdown| service.start(shutdown)));
        Ok(())
    }

    /// Serves a service under its prefix and lets its siblings find it.
    fn add<S: Service>(
        &mut self,
        prefix: &'static str,
        service: &Arc<S>,
        start: fn(&Arc<S>, &Shutdown) -> Vec<Task>,
    ) -> anyhow::Result<()> {
        let app: Arc<dyn Dispatch> = Arc::new(
            App::new(Arc::clone(service))
                .map_err(|why| anyhow::anyhow!("the calls of {}: {why}", S::NAME))?,
        );
        let local = Transport::Local(Arc::clone(&app));
        self.directory.set(S::NAME, local);
        self.mounts.push(Mount {
            prefix,
            service: app,
        });
        let service = Arc::clone(service);
        self.starts
            .push(Box::new(move |shutdown| start(&service, shutdown)));
        Ok(())
    }
}

impl Ground<'_> {
    async fn identity(&self) -> anyhow::Result<Arc<Identity>> {
        let core = self.core::<Identity>().await?;
        let ring = KeyRing::open(&self.settings.state("keys"), self.clock.clone())?;
        let identity = Identity::new(core, &ring, self.config.file.section("identity")?)?;
        identity
            .bootstrap(&bootstrap(self.settings, self.secrets))
            .await?;
        Ok(Arc::new(identity))
    }

    async fn placement(&self) -> anyhow::Result<Arc<Placement>> {
        let own = self.config.file.section("placement")?;
        Ok(Arc::new(Placement::new(
            self.core::<Placement>().await?,
            own,
        )))
    }

    async fn image(&self) -> anyhow::Result<Arc<Image>> {
        let mut own: nephos_image::Config = self.config.file.section("image")?;
        // A relative folder stands in the state directory.
        own.folder = self.settings.state_dir.join(&own.folder);
        let core = self.core::<Image>().await?;
        Ok(Arc::new(Image::new(core, self.bus.clone(), own)?))
    }

    async fn network(&self) -> anyhow::Result<Arc<Network>> {
        let own = self.config.file.section("network")?;
        let (bus, peers) = (self.bus.clone(), self.peers.clone());
        let core = self.core::<Network>().await?;
        Ok(Arc::new(Network::new(core, own, bus, peers)))
    }

    async fn compute(&self) -> anyhow::Result<Arc<Compute>> {
        let mut own: nephos_compute::Config = self.config.file.section("compute")?;
        own.metadata_secret
            .clone_from(&self.secrets.metadata_secret);
        let (bus, peers) = (self.bus.clone(), self.peers.clone());
        let core = self.core::<Compute>().await?;
        Ok(Arc::new(Compute::new(core, peers, bus, own)))
    }

    async fn dashboard(&self) -> anyhow::Result<Arc<Dashboard>> {
        let own = self.config.file.section("dashboard")?;
        let (bus, peers) = (self.bus.clone(), self.peers.clone());
        let core = self.core::<Dashboard>().await?;
        Ok(Arc::new(Dashboard::new(core, peers, bus, own)))
    }

    /// What service `S` is built from: its database with its tables, its rules.
    async fn core<S: Service>(&self) -> anyhow::Result<Core> {
        let db = self
            .open::<S>()
            .await
            .with_context(|| format!("the database of {}", S::NAME))?;
        let overrides = self.overrides(S::NAME)?;
        let policy = Policy::new(S::rules(), &overrides)
            .with_context(|| format!("the rules of {}", S::NAME))?
            .projects_only(S::PROJECTS_ONLY);
        Ok(Core {
            db,
            policy,
            clock: self.clock.clone(),
            verifier: self.verifier.clone(),
        })
    }

    async fn open<S: Service>(&self) -> Result<Db, nephos_db::Error> {
        let url = match &self.settings.database {
            Some(server) => DbUrl::create_database(server, &format!("nephos_{}", S::NAME)).await?,
            None => DbUrl::sqlite(
                self.settings
                    .state("db")
                    .join(format!("{}.sqlite", S::NAME)),
            ),
        };
        let db = Db::open(&url, self.clock.clone(), Arc::new(self.bus.clone())).await?;
        db.migrate(&S::migrations()).await?;
        Ok(db)
    }

    /// `policy/<service>.yaml` of the state directory, in the form of oslo.policy; absent, nothing is overridden.
    fn overrides(&self, name: &str) -> anyhow::Result<Overrides> {
        let path = self.settings.state("policy").join(format!("{name}.yaml"));
        match std::fs::read_to_string(&path) {
            Ok(text) => Overrides::parse(&text).with_context(|| path.display().to_string()),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(Overrides::default()),
            Err(why) => Err(why).with_context(|| path.display().to_string()),
        }
    }
}

/// The account by which services and agents call each other.
const SERVICE_USER: &str = "nephos";

/// The catalog: names, types and paths as DevStack has them.
const CATALOG: [(&str, &str, &str); 5] = [
    ("keystone", "identity", "/identity"),
    ("placement", "placement", "/placement"),
    ("glance", "image", "/image"),
    ("neutron", "network", "/network"),
    ("nova", "compute", "/compute/v2.1"),
];

fn bootstrap(settings: &Settings, secrets: &Secrets) -> Bootstrap {
    let entry = |(name, kind, path): (&str, &str, &str)| CatalogEntry {
        name: name.to_owned(),
        kind: kind.to_owned(),
        path: path.to_owned(),
    };
    Bootstrap {
        admin_password: secrets.admin_password.clone(),
        region: settings.region.clone(),
        public_url: settings.origin(),
        catalog: CATALOG.map(entry).into(),
        service_users: vec![ServiceUser {
            name: SERVICE_USER.to_owned(),
            password: secrets.service_password.clone(),
            admin: true,
        }],
    }
}

/// Reads the section of every service.
///
/// # Errors
/// Names the key and what was expected.
pub fn check_sections(file: &ConfigFile) -> anyhow::Result<()> {
    file.section::<nephos_identity::Config>("identity")?;
    file.section::<nephos_placement::Config>("placement")?;
    file.section::<nephos_image::Config>("image")?;
    file.section::<nephos_network::Config>("network")?;
    file.section::<nephos_compute::Config>("compute")?;
    file.section::<nephos_dashboard::Config>("dashboard")?;
    Ok(())
}
