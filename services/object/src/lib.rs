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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nephos_api::{Check, Core, Dialect, Dispatch, Endpoints, Service};
use nephos_auth::RuleInfo;
use nephos_blob::{MAX_BUCKET_BYTES, Store};
use nephos_db::{Migration, migrations};
use nephos_peer::Peers;
use nephos_runtime::{Shutdown, Task};
use nephos_types::{Finding, Timestamp};
use tokio::sync::Notify;
use tracing::error;

pub use config::{Bucket, Config};

use crate::peers::Keys;

pub(crate) type Svc = Object;
pub(crate) type Cx = nephos_api::Cx<Svc>;

/// How often the housekeeping looks without being told.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The object service.
pub struct Object {
    core: Core,
    config: Config,
    store: Store,
    /// This process and no other, earlier ones of the same host included.
    process: String,
    /// Told when there may be something to remove.
    house: Notify,
    /// When the store is looked through for what nobody knows.
    collection: Mutex<Timestamp>,
    /// Files that are being read.
    readers: Mutex<ops::hold::Readers>,
    /// Access keys, when S3 is served.
    keys: Option<Keys>,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its bytes have no place.
    #[error("cannot use the store of objects")]
    Store(#[from] nephos_blob::Error),
    /// One request would bring more than a bucket takes.
    #[error("`max_object_bytes` in [object] is more than the {0} that a bucket takes")]
    TooLarge(u64),
    /// The database refuses.
    #[error(transparent)]
    Db(#[from] nephos_db::Error),
}

impl Object {
    /// Opens the store. A bucket is asked nothing yet.
    ///
    /// # Errors
    /// When a folder cannot be made, or a setting cannot be right.
    pub fn new(core: Core, peers: Peers, config: Config) -> Result<Self, StartError> {
        let keys = config.s3_listen.map(|_| Keys::new(peers));
        let store = match &config.bucket {
            None => Store::folders(&config.folder)?,
            Some(_) if config.max_object_bytes > MAX_BUCKET_BYTES => {
                return Err(StartError::TooLarge(MAX_BUCKET_BYTES));
            }
            Some(bucket) => Store::bucket(&bucket.settings())?,
        };
        Ok(Self {
            core,
            config,
            store,
            process: nephos_runtime::ids::hex(),
            house: Notify::new(),
            collection: Mutex::new(Timestamp(0)),
            readers: Mutex::default(),
            keys,
        })
    }

    /// Never kept over a wait.
    pub(crate) fn readers(&self) -> MutexGuard<'_, ops::hold::Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// When the database refuses, or the store does and will not change its mind by itself. One that only does not answer
    /// is waited for while the service runs.
    pub async fn take_over(&self) -> Result<(), StartError> {
        let id = store::owner::id(&self.core.db).await?;
        let ready = async {
            self.store.prove().await?;
            self.store.claim(&id).await
        };
        match ready.await {
            Ok(()) => {}
            Err(why @ nephos_blob::Error::Refused { .. }) => return Err(why.into()),
            Err(why) => error!(%why, "objects cannot be stored or read until this has passed"),
        }
        Ok(ops::sweep::take_over(self).await?)
    }

    /// Where the objects' bytes are, and whether they can be reached there. Changes nothing.
    ///
    /// # Errors
    /// Why not, and what helps.
    pub async fn look_at_store(&self) -> Result<String, nephos_blob::Error> {
        self.store.look().await?;
        Ok(self.store.location())
    }

    /// Does all housekeeping that is due, as [`Object::start`] does every now and then.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn sweep(&self) -> Result<(), nephos_db::Error> {
        while ops::sweep::sweep(self).await? {}
        ops::collect::when_due(self).await
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
        migrations!(
            "0001_objects",
            "0002_readers",
            "0003_finished_uploads",
            "0004_owner"
        )
    }
}
