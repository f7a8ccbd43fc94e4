//! Swift v1: accounts, containers and objects; and S3 over the same objects.
//!
//! - `api/`: accounts, containers, objects, manifests, copies, temporary URLs, and `s3/`; `model/`: names, lists, access lists,
//!   manifests, versions; `store/`: SQL; `ops/`: writing, publishing, reading, and the housekeeping.
//!
//! Invariants: a file's row exists before its first byte and until its last one is gone, so no file is ever lost sight
//! of; an object's rows and all counts change in one transaction, after its bytes are on disk, so it is visible whole
//! or not at all; nobody writes more into a container or account than its quota, however many do so at once.

mod api;
mod config;
mod model;
mod ops;
mod peers;
mod rules;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nephos_api::{Check, Core, Dialect, Dispatch, Endpoints, Service};
use nephos_auth::RuleInfo;
use nephos_blob::Store;
use nephos_db::{Migration, migrations};
use nephos_peer::Peers;
use nephos_runtime::{Shutdown, Task};
use nephos_types::Finding;
use tokio::sync::Notify;

pub use config::Config;

use crate::model::object::BlobId;
use crate::peers::Keys;

pub(crate) type Svc = Object;
pub(crate) type Cx = nephos_api::Cx<Svc>;

/// How often the housekeeping looks without being told.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Files are spread over as many folders, by the first two digits of their names.
const FOLDERS: usize = 256;

/// The object service.
pub struct Object {
    core: Core,
    config: Config,
    folders: [Store; FOLDERS],
    /// This process and no other, earlier ones of the same host included.
    process: String,
    /// Told when there may be something to remove.
    house: Notify,
    /// Access keys, when S3 is served.
    keys: Option<Keys>,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the store of objects")]
pub struct StartError(#[from] nephos_blob::Error);

impl Object {
    /// Opens the store.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn new(core: Core, peers: Peers, config: Config) -> Result<Self, StartError> {
        let keys = config.s3_listen.map(|_| Keys::new(peers));
        let first = Store::folder(config.folder.join("00"))?;
        let mut folders: [Store; FOLDERS] = std::array::from_fn(|_| first.clone());
        for (number, folder) in folders.iter_mut().enumerate() {
            *folder = Store::folder(config.folder.join(format!("{number:02x}")))?;
        }
        Ok(Self {
            core,
            config,
            folders,
            process: nephos_runtime::ids::hex(),
            house: Notify::new(),
            keys,
        })
    }

    /// Its housekeeping.
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        let service = Arc::clone(self);
        let stop = shutdown.clone();
        let keep_house = move || {
            let (service, stop) = (Arc::clone(&service), stop.clone());
            async move { service.keep_house(&stop).await }
        };
        let clock = self.core.clock.clone();
        vec![nephos_runtime::supervise(
            "object.house",
            clock,
            shutdown.clone(),
            keep_house,
        )]
    }

    /// What a listener for S3 serves, and where, if it is asked for.
    #[must_use]
    pub fn s3(self: &Arc<Self>) -> Option<(SocketAddr, Arc<dyn Dispatch>)> {
        let listen = self.config.s3_listen?;
        Some((listen, Arc::new(api::s3::Door::new(self))))
    }

    /// Takes over what a process that was killed left behind. Before requests are taken, and on SQLite never while
    /// another process runs.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn take_over(&self) -> Result<(), nephos_db::Error> {
        ops::sweep::take_over(self).await
    }

    /// Does all housekeeping that is due, as [`Object::start`] does every now and then.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn sweep(&self) -> Result<(), nephos_db::Error> {
        while ops::sweep::sweep(self).await? {}
        Ok(())
    }

    async fn keep_house(&self, shutdown: &Shutdown) -> Result<(), nephos_db::Error> {
        loop {
            self.sweep().await?;
            tokio::select! {
                () = shutdown.wait() => return Ok(()),
                () = self.house.notified() => {}
                () = self.core.clock.sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Says that there may be something to remove.
    pub(crate) fn nudge(&self) {
        self.house.notify_one();
    }

    /// Where a file is.
    pub(crate) fn store(&self, blob: &BlobId) -> &Store {
        let digits = blob.as_str().get(..2).unwrap_or_default();
        let number = usize::from_str_radix(digits, 16).unwrap_or(0);
        let [first, ..] = &self.folders;
        self.folders.get(number).unwrap_or(first)
    }

    /// Every folder with the names that are in it: from, and before.
    pub(crate) fn folders(&self) -> impl Iterator<Item = (String, String, &Store)> {
        self.folders.iter().enumerate().map(|(number, store)| {
            let low = format!("{number:02x}");
            let high = model::names::behind(&low).unwrap_or_default();
            (low, high, store)
        })
    }
}

impl Check for Object {
    /// Counts, owners of files, files without rows and rows without files.
    async fn check(&self) -> Result<Vec<Finding>, nephos_db::Error> {
        ops::check::check(self).await
    }
}

impl Service for Object {
    const NAME: &'static str = "object";
    const TYPE: &'static str = "object-store";
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
        migrations!("0001_objects", "0002_readers")
    }
}
