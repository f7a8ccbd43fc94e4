//! Cinder v3: volumes, snapshots, and how servers reach them.
//!
//! - `api/`: one file per resource; `model/`: what volumes are, which back end takes them; `store/`: SQL; `ops/`: the work,
//!   where the back ends are; `driver/`: files, reflinks, overlays, images, targets over the network; `peers.rs`: siblings.
//!
//! Invariants: a volume's row exists before its first byte and until its last one is gone; a layer is never written again
//! and goes only when nobody stands on it; while a layer is made of a volume's file nobody else touches that file; nobody
//! gets past a quota, however many ask at once.

mod api;
mod config;
mod driver;
mod model;
mod ops;
mod peers;
mod rules;
mod store;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nephos_api::{Core, Dialect, Endpoints, Service};
use nephos_auth::{RuleInfo, Seal, SealError};
use nephos_bus::Bus;
use nephos_db::{Migration, migrations};
use nephos_ops::{Worker, WorkerParts};
use nephos_peer::Peers;
use nephos_runtime::{Shutdown, Task};
use tokio::sync::{Notify, OwnedMutexGuard};

use model::encryption::Passphrase;
use model::volume::VolumeId;

pub use config::Config;
// The worker runs where the files are (docs/adr/0010): these are all that `ops` knows of the driver.
pub(crate) use driver::images::Incoming;
pub(crate) use driver::luks::NO_COPY;
pub(crate) use driver::targets::Target;
pub(crate) use driver::{Driver, DriverError, Room};

pub(crate) type Svc = Block;
pub(crate) type Cx = nephos_api::Cx<Svc>;

type Flights = Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>;

/// The block storage service.
pub struct Block {
    core: Core,
    config: Config,
    bus: Bus,
    siblings: peers::Siblings,
    drivers: BTreeMap<String, Driver>,
    targets: Option<driver::targets::Targets>,
    /// Whether a target was ever asked for since the start: before that there is no daemon to look at.
    with_targets: AtomicBool,
    /// Whether it was looked for a daemon of the process before this one.
    looked_for_targets: AtomicBool,
    /// Images that are being fetched.
    flights: Flights,
    /// What is known of chains of layers that are to become shorter.
    chains: Mutex<ops::shorten::Memory>,
    /// Told when there is something to keep in order.
    house: Notify,
    /// Closes the keys of volumes; none: this machine has no secret for it.
    seal: Option<Seal>,
}

/// Why no key opens, most likely, and what helps.
pub(crate) const WRONG_SECRET: &str = "`sealing_secret` in secrets.toml of this machine is missing, or not the one with which they were \
     made. Bring that one back (or delete those volumes, if it is lost): until then none of them can be used and none made";

/// Why a volume's key cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoKey {
    /// This machine cannot close or open any.
    #[error(
        "secrets.toml of the block service's machine has no `sealing_secret`. Copy it from a machine of the cloud that has it"
    )]
    NoSecret,
    /// Not with what this machine has.
    #[error(
        "{0} (volume {1}). If `sealing_secret` in secrets.toml of the block service's machine is not the one with which encrypted \
         volumes were made, bring that one back"
    )]
    Sealed(SealError, VolumeId),
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration names no back end, one twice, or one by a name that is none.
    #[error(
        "[block] backends: {0:?} is not usable; names are letters, digits, '-' and '_', each once, at least one"
    )]
    Backends(Vec<String>),
    /// A back end's folder cannot be used.
    #[error("cannot open back end {name}: {why}")]
    Open {
        /// The back end.
        name: String,
        /// What the file system said.
        why: String,
    },
}

impl Block {
    /// Opens the back ends.
    ///
    /// # Errors
    /// When the configuration is wrong or a folder cannot be made.
    pub fn new(core: Core, peers: Peers, bus: Bus, config: Config) -> Result<Self, StartError> {
        let plain = |name: &String| {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !name.is_empty() && name.bytes().all(letters)
        };
        let mut drivers = BTreeMap::new();
        for name in &config.backends {
            let folder = config.folder.join(name);
            let open =
                Driver::open(&folder, core.clock.clone()).map_err(|why| StartError::Open {
                    name: name.clone(),
                    why: why.to_string(),
                })?;
            drivers.insert(name.clone(), open);
        }
        let distinct = drivers.len() == config.backends.len();
        if drivers.is_empty() || !distinct || !config.backends.iter().all(plain) {
            return Err(StartError::Backends(config.backends));
        }
        let targets = config.iscsi_listen.map(|listen| {
            driver::targets::Targets::new(&config.folder, listen, core.clock.clone())
        });
        let secret = Some(&config.sealing_secret).filter(|secret| !secret.is_empty());
        let seal = secret.and_then(|secret| Seal::new(secret).ok());
        Ok(Self {
            siblings: peers::Siblings::new(peers),
            core,
            config,
            bus,
            drivers,
            targets,
            with_targets: AtomicBool::new(false),
            looked_for_targets: AtomicBool::new(false),
            flights: Mutex::default(),
            chains: Mutex::default(),
            house: Notify::new(),
            seal,
        })
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

    /// Removes what a process that was killed left half made. Only before anything is at work.
    pub fn take_over(&self) {
        for (name, driver) in &self.drivers {
            if let Err(why) = driver.tidy() {
                tracing::warn!(%why, backend = name, "what was left half made stays");
            }
        }
    }

    /// Its workers and housekeeping.
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        self.take_over();
        let overlaid = self.drivers.iter().filter(|(_, driver)| !driver.reflink());
        for (name, driver) in overlaid.filter(|_| self.targets.is_some()) {
            tracing::warn!(
                backend = name,
                "volumes that are made of an image, a snapshot or another volume, and those that have snapshots, can be used on \
                 this machine only: files cannot share blocks in {}. Let that be on XFS or btrfs",
                driver.folder().display()
            );
        }
        let clock = self.core.clock.clone();
        let (worker, stop) = (self.worker(), shutdown.clone());
        let work =
            nephos_runtime::supervise("block.ops", clock.clone(), shutdown.clone(), move || {
                let (worker, stop) = (worker.clone(), stop.clone());
                async move { worker.run(stop).await }
            });
        let (service, stop) = (Arc::clone(self), shutdown.clone());
        let house = nephos_runtime::supervise("block.house", clock, shutdown.clone(), move || {
            let (service, stop) = (Arc::clone(&service), stop.clone());
            async move { service.keep_house(&stop).await }
        });
        let (service, stop) = (Arc::clone(self), shutdown.clone());
        let clock = self.core.clock.clone();
        let shorten =
            nephos_runtime::supervise("block.shorten", clock, shutdown.clone(), move || {
                let (service, stop) = (Arc::clone(&service), stop.clone());
                async move { service.keep_short(&stop).await }
            });
        vec![work, house, shorten]
    }

    async fn keep_short(&self, shutdown: &Shutdown) -> Result<(), nephos_db::Error> {
        loop {
            self.shorten().await?;
            tokio::select! {
                () = shutdown.wait() => return Ok(()),
                () = self.core.clock.sleep(ops::shorten::EVERY) => {}
            }
        }
    }

    /// Makes chains of layers shorter, as [`Block::start`] does every now and then.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn shorten(&self) -> Result<(), nephos_db::Error> {
        ops::shorten::shorten(self).await
    }

    async fn keep_house(&self, shutdown: &Shutdown) -> Result<(), nephos_db::Error> {
        loop {
            self.look().await?;
            tokio::select! {
                () = shutdown.wait() => return Ok(()),
                () = self.house.notified() => {}
                () = self.core.clock.sleep(ops::house::LOOK_EVERY) => {}
            }
        }
    }

    /// Does the housekeeping that is due, as [`Block::start`] does every now and then: reports the back ends, removes what
    /// nobody needs, keeps targets as they should be.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn look(&self) -> Result<(), nephos_db::Error> {
        ops::house::report(self).await?;
        ops::attach::sync(self).await?;
        ops::house::sweep(self).await
    }

    /// Makes what a cloud begins with: the default volume type.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn bootstrap(&self) -> Result<(), nephos_db::Error> {
        let now = self.core.clock.now();
        let new = model::volume_type::VolumeType {
            id: nephos_runtime::ids::uuid().to_string(),
            name: model::volume_type::DEFAULT.to_owned(),
            description: Some("Default Volume Type".to_owned()),
            is_public: true,
            specs: BTreeMap::new(),
            qos_id: None,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.core.db.write().await?;
        store::types::insert(&mut tx, &new).await?;
        tx.commit().await?;
        ops::house::report(self).await
    }

    /// Never kept over a wait.
    pub(crate) fn chains(&self) -> MutexGuard<'_, ops::shorten::Memory> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sealed form of a volume's key.
    pub(crate) fn close_key(&self, volume: &VolumeId, key: &Passphrase) -> Result<String, NoKey> {
        let seal = self.seal.as_ref().ok_or(NoKey::NoSecret)?;
        let sealed = seal.close(volume.as_str(), &key.0);
        sealed.map_err(|why| NoKey::Sealed(why, volume.clone()))
    }

    /// A volume's key.
    pub(crate) fn open_key(&self, volume: &VolumeId, sealed: &str) -> Result<Passphrase, NoKey> {
        let seal = self.seal.as_ref().ok_or(NoKey::NoSecret)?;
        let opened = seal.open(volume.as_str(), sealed);
        opened
            .map(Passphrase)
            .map_err(|why| NoKey::Sealed(why, volume.clone()))
    }

    /// Volumes whose keys the secret of this machine does not open.
    pub(crate) async fn closed(&self) -> Result<Vec<VolumeId>, nephos_db::Error> {
        let mut all = store::encryption::keys(&self.core.db).await?;
        all.retain(|one| self.open_key(&one.volume, &one.sealed).is_err());
        Ok(all.into_iter().map(|one| one.volume).collect())
    }

    /// In words, that encrypted volumes cannot be opened with the secret of this machine, and what helps; none: all can.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn why_closed(&self) -> Result<Option<String>, nephos_db::Error> {
        let closed = self.closed().await?;
        Ok(closed.first().map(|first| {
            format!(
                "the keys of {} encrypted volumes do not open, {first} first: {WRONG_SECRET}",
                closed.len()
            )
        }))
    }

    /// Says that there is something to keep in order.
    pub(crate) fn house_now(&self) {
        self.house.notify_one();
    }

    pub(crate) fn targets_used(&self) -> bool {
        self.with_targets.load(Ordering::Relaxed)
    }

    /// Whether this is the first time that this is asked.
    pub(crate) fn first_look_at_targets(&self) -> bool {
        !self.looked_for_targets.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn use_targets(&self) {
        self.with_targets.store(true, Ordering::Relaxed);
    }

    /// Held by the one who fetches an image.
    pub(crate) async fn flight(&self, name: &str) -> OwnedMutexGuard<()> {
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.retain(|_, flight| Arc::strong_count(flight) > 1);
            Arc::clone(flights.entry(name.to_owned()).or_default())
        };
        flight.lock_owned().await
    }
}

/// Ends the daemon that offers volumes over the network, if there is one.
///
/// # Errors
/// In words, when it does not end.
pub async fn leave(config: &Config, clock: nephos_runtime::Clock) -> Result<(), String> {
    let Some(listen) = config.iscsi_listen else {
        return Ok(());
    };
    let targets = driver::targets::Targets::new(&config.folder, listen, clock);
    targets.end().await.map_err(|why| why.to_string())
}

impl Service for Block {
    const NAME: &'static str = "block";
    const TYPE: &'static str = "block-storage";
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
        all.extend(migrations!(
            "0001_volumes",
            "0002_transfers",
            "0003_retype",
            "0004_backups",
            "0005_groups",
            "0006_qos",
            "0007_unmanaged",
            "0008_encryption"
        ));
        all
    }
}
