//! Glance v2: images, their data, who shares them, and metadata definitions.
//!
//! - `api/`: one file per resource; `model/`: what an image is, what its data is (`inspect/`); `store/`: SQL;
//!   `ops/`: imports and removals as durable operations, uploads, and the recovery of what was cut off.
//!
//! Invariants: a blob's row exists before its first byte and until its last one is gone, so no file is ever lost
//! sight of; an image is `active` only with all of its bytes on disk, hashed and inspected; two uploads of one image
//! cannot run at once.

mod api;
mod config;
mod model;
mod ops;
mod peers;
mod rules;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nephos_api::{Core, Dialect, Endpoints, Service};
use nephos_auth::RuleInfo;
use nephos_blob::Folder;
use nephos_bus::Bus;
use nephos_db::{Migration, migrations};
use nephos_ops::{Worker, WorkerParts};
use nephos_peer::Peers;
use nephos_runtime::{Shutdown, Task};

pub use config::Config;

use crate::model::image::STAGING;

pub(crate) type Svc = Image;
pub(crate) type Cx = nephos_api::Cx<Svc>;

/// How often the service looks for uploads that were cut off.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The image service.
pub struct Image {
    core: Core,
    bus: Bus,
    siblings: peers::Siblings,
    config: Config,
    stores: BTreeMap<String, Folder>,
    staging: Folder,
    /// This process and no other, earlier ones of the same host included.
    process: String,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration names no store, one twice, or one by a name that is none.
    #[error(
        "[image] stores: {0:?} is not usable; store names are letters, digits, '-' and '_', each once, at least one"
    )]
    Stores(Vec<String>),
    /// A store's folder cannot be used.
    #[error("cannot open the store {name}")]
    Open {
        /// The store.
        name: String,
        /// What the file system said.
        #[source]
        cause: nephos_blob::Error,
    },
}

impl Image {
    /// Opens the stores.
    ///
    /// # Errors
    /// When the configuration is wrong or a folder cannot be made.
    pub fn new(core: Core, bus: Bus, config: Config, peers: Peers) -> Result<Self, StartError> {
        let open = |name: &str| {
            Folder::open(config.folder.join(name)).map_err(|cause| StartError::Open {
                name: name.to_owned(),
                cause,
            })
        };
        let plain = |name: &String| {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !name.is_empty() && name.bytes().all(letters) && !name.starts_with("os_glance")
        };
        let mut stores = BTreeMap::new();
        for name in &config.stores {
            stores.insert(name.clone(), open(name)?);
        }
        let distinct = stores.len() == config.stores.len();
        if stores.is_empty() || !distinct || !config.stores.iter().all(plain) {
            return Err(StartError::Stores(config.stores));
        }
        let staging = open(STAGING)?;
        Ok(Self {
            core,
            bus,
            siblings: peers::Siblings(peers),
            config,
            stores,
            staging,
            process: nephos_runtime::ids::hex(),
        })
    }

    /// Its workers and housekeeping.
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        let clock = self.core.clock.clone();
        let worker = self.worker();
        let work = {
            let shutdown = shutdown.clone();
            move || {
                let (worker, shutdown) = (worker.clone(), shutdown.clone());
                async move { worker.run(shutdown).await }
            }
        };
        let service = Arc::clone(self);
        let keep_house = {
            let shutdown = shutdown.clone();
            move || {
                let (service, shutdown) = (Arc::clone(&service), shutdown.clone());
                async move { service.keep_house(&shutdown).await }
            }
        };
        vec![
            nephos_runtime::supervise("image.ops", clock.clone(), shutdown.clone(), work),
            nephos_runtime::supervise("image.house", clock, shutdown.clone(), keep_house),
        ]
    }

    /// Drives the operations; tests drain it themselves.
    #[must_use]
    pub fn worker(self: &Arc<Self>) -> Worker<Self> {
        Worker::new(WorkerParts {
            service: Arc::clone(self),
            db: self.core.db.clone(),
            clock: self.core.clock.clone(),
            bus: self.bus.clone(),
            topic: ops::TOPIC,
            reconcilers: ops::reconcilers(),
        })
    }

    /// Recovers what dead processes left behind, as [`Image::start`] does.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn take_over(&self) -> Result<(), nephos_db::Error> {
        ops::recover::take_over(self).await
    }

    /// Looks for uploads that were cut off, as the housekeeping does every now and then.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn look(&self) -> Result<(), nephos_db::Error> {
        ops::recover::look(self).await
    }

    async fn keep_house(&self, shutdown: &Shutdown) -> Result<(), nephos_db::Error> {
        self.take_over().await?;
        loop {
            tokio::select! {
                () = shutdown.wait() => return Ok(()),
                () = self.core.clock.sleep(LOOK_EVERY) => {}
            }
            self.look().await?;
        }
    }

    /// The store of this name, the staging area included.
    pub(crate) fn store(&self, name: &str) -> Option<&Folder> {
        if name == STAGING {
            return Some(&self.staging);
        }
        self.stores.get(name)
    }

    /// Whether data must be of its image's disk format. Inside a container it is something else by nature, and only
    /// what is unsafe is refused.
    pub(crate) fn must_match(&self, container_format: &str) -> bool {
        self.config.require_format_match && container_format == "bare"
    }

    /// Where data goes that names no store.
    pub(crate) fn default_store(&self) -> &str {
        self.config.stores.first().map_or("", String::as_str)
    }
}

impl Service for Image {
    const NAME: &'static str = "image";
    const DIALECT: &'static Dialect = &api::fault::DIALECT;

    fn core(&self) -> &Core {
        &self.core
    }

    fn endpoints() -> Endpoints<Self> {
        api::endpoints()
    }

    fn rules() -> &'static [RuleInfo] {
        rules::ALL
    }

    fn migrations() -> Vec<Migration> {
        let mut all = vec![nephos_ops::MIGRATION];
        all.extend(migrations!("0001_images", "0002_metadefs"));
        all
    }
}
