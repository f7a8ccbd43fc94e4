//! Builds the services and lets them know each other.

use std::sync::Arc;

use anyhow::Context as _;
use nephos_api::shell::Mount;
use nephos_api::{App, Core, Dispatch, Service};
use nephos_auth::{KeyRing, Overrides, Policy, Verifier};
use nephos_bus::Bus;
use nephos_compute::Compute;
use nephos_db::{Db, DbUrl};
use nephos_identity::{Bootstrap, CatalogEntry, Identity, ServiceUser};
use nephos_image::Image;
use nephos_network::Network;
use nephos_peer::{Credentials, Directory, Peers, Transport};
use nephos_placement::Placement;
use nephos_runtime::config::ConfigFile;
use nephos_runtime::{Clock, Shutdown, Task};

use crate::fsck::{Database, Sources};
use crate::secrets::Secrets;
use crate::settings::{Config, Settings};

/// Sections of `nephos.toml` that belong to services.
pub const SERVICES: [&str; 5] = ["identity", "placement", "image", "network", "compute"];

/// All services of a cloud, built and not yet working.
pub struct Cloud {
    /// What the HTTP listener serves.
    pub mounts: Vec<Mount>,
    /// Where each service is found.
    pub directory: Directory,
    /// The way to the services, as the service account.
    pub peers: Peers,
    /// The time.
    pub clock: Clock,
    starts: Vec<Start>,
}

type Start = Box<dyn Fn(&Shutdown) -> Vec<Task> + Send + Sync>;

/// What the consistency check asks: the running cloud over HTTP, or, while none runs, one that is opened here.
///
/// # Errors
/// When something cannot be opened.
pub async fn sources(config: &Config, secrets: &Secrets, running: bool) -> anyhow::Result<Sources> {
    let settings = &config.settings;
    let clock = Clock::system();
    let directory = if running {
        let directory = Directory::default();
        for name in SERVICES {
            directory.set(
                name,
                Transport::Http(format!("http://{}/{name}", settings.listen)),
            );
        }
        directory
    } else {
        Cloud::open(config, secrets, clock.clone()).await?.directory
    };
    let account = Credentials {
        user: "admin".to_owned(),
        password: secrets.admin_password.clone(),
        project: "admin".to_owned(),
    };
    let admin = Peers::new(directory, account, clock.clone(), settings.origin())?;
    let mut databases = Vec::new();
    for service in WITH_OPERATIONS {
        let url = url(settings, service).await?;
        let db = Db::open(&url, clock.clone(), Arc::new(nephos_runtime::NoWakes)).await?;
        databases.push(Database { service, db });
    }
    Ok(Sources {
        admin,
        databases,
        host: None,
        clock,
    })
}

/// Services whose databases hold operations.
const WITH_OPERATIONS: [&str; 2] = ["image", "compute"];

async fn url(settings: &Settings, service: &str) -> Result<DbUrl, nephos_db::Error> {
    match &settings.database {
        Some(server) => DbUrl::create_database(server, &format!("nephos_{service}")).await,
        None => Ok(DbUrl::sqlite(
            settings.state("db").join(format!("{service}.sqlite")),
        )),
    }
}

/// What every service is built from.
struct Ground<'a> {
    settings: &'a Settings,
    clock: Clock,
    bus: Bus,
    verifier: Verifier,
}

impl Cloud {
    /// Opens the databases, brings their tables up to date and builds every service.
    ///
    /// # Errors
    /// Which service could not be built, and why.
    pub async fn open(config: &Config, secrets: &Secrets, clock: Clock) -> anyhow::Result<Self> {
        let settings = &config.settings;
        let directory = Directory::default();
        let account = Credentials {
            user: SERVICE_USER.to_owned(),
            password: secrets.service_password.clone(),
            project: "service".to_owned(),
        };
        let peers = Peers::new(directory.clone(), account, clock.clone(), settings.origin())?;
        let ground = Ground {
            settings,
            verifier: Verifier::new(clock.clone()),
            bus: Bus::local(),
            clock: clock.clone(),
        };
        let mut cloud = Self {
            mounts: Vec::new(),
            directory,
            peers,
            clock,
            starts: Vec::new(),
        };
        cloud.add_identity(&ground, config, secrets).await?;
        cloud.add_placement(&ground, config).await?;
        cloud.add_image(&ground, config).await?;
        cloud.add_network(&ground, config).await?;
        cloud.add_compute(&ground, config, secrets).await?;
        Ok(cloud)
    }

    async fn add_identity(
        &mut self,
        ground: &Ground<'_>,
        config: &Config,
        secrets: &Secrets,
    ) -> anyhow::Result<()> {
        let core = ground.core::<Identity>().await?;
        let ring = KeyRing::open(&ground.settings.state("keys"), self.clock.clone())?;
        let identity = Identity::new(core, &ring, config.file.section("identity")?)?;
        identity
            .bootstrap(&bootstrap(ground.settings, secrets))
            .await?;
        self.add("/identity", &Arc::new(identity), Identity::start)
    }

    async fn add_placement(&mut self, ground: &Ground<'_>, config: &Config) -> anyhow::Result<()> {
        let core = ground.core::<Placement>().await?;
        let placement = Placement::new(core, config.file.section("placement")?);
        self.add("/placement", &Arc::new(placement), Placement::start)
    }

    async fn add_image(&mut self, ground: &Ground<'_>, config: &Config) -> anyhow::Result<()> {
        let mut own: nephos_image::Config = config.file.section("image")?;
        // A relative folder stands in the state directory.
        own.folder = ground.settings.state_dir.join(&own.folder);
        let core = ground.core::<Image>().await?;
        let image = Image::new(core, ground.bus.clone(), own)?;
        self.add("/image", &Arc::new(image), Image::start)
    }

    async fn add_network(&mut self, ground: &Ground<'_>, config: &Config) -> anyhow::Result<()> {
        let core = ground.core::<Network>().await?;
        let own = config.file.section("network")?;
        let network = Network::new(core, own, ground.bus.clone(), self.peers.clone());
        self.add("/network", &Arc::new(network), Network::start)
    }

    async fn add_compute(
        &mut self,
        ground: &Ground<'_>,
        config: &Config,
        secrets: &Secrets,
    ) -> anyhow::Result<()> {
        let mut own: nephos_compute::Config = config.file.section("compute")?;
        own.metadata_secret.clone_from(&secrets.metadata_secret);
        let core = ground.core::<Compute>().await?;
        let compute = Compute::new(core, self.peers.clone(), ground.bus.clone(), own);
        self.add("/compute", &Arc::new(compute), Compute::start)
    }

    /// Starts the work of every service.
    #[must_use]
    pub fn start(&self, shutdown: &Shutdown) -> Vec<Task> {
        self.starts
            .iter()
            .flat_map(|start| start(shutdown))
            .collect()
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
        self.directory
            .set(S::NAME, Transport::Local(Arc::clone(&app)));
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
        let url = url(self.settings, S::NAME).await?;
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
    Ok(())
}
