//! What runs on a host: compares the whole of what is wanted here with the whole of what is here, and applies
//! the difference.
//!
//! Invariants: a server is worked on by one task at a time; work on different servers is bounded; what is not ours
//! is not touched; what is ours and wanted nowhere goes only after a snapshot newer than the agent's own start; after a
//! start of the machine nothing begins before the control plane has been heard.

pub mod apply;
mod asked;
mod console;
pub mod feed;
mod passwords;
pub mod plan;
pub mod report;
mod schedule;
mod snapshots;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use nephos_peer::feed::Behalf;
use nephos_runtime::{Clock, Shutdown, request};
use tokio::sync::Notify;
use tracing::{Instrument as _, warn};

use self::apply::Worker;
pub use self::report::Reports;
use self::schedule::{Done, Schedule};
use crate::driver::{Driver, DriverError, Pipe};
use crate::model::console::ConsoleKind;
use crate::model::guest_password::{GuestPassword, PasswordSeen};
use crate::model::snapshot::SnapshotWish;
use crate::model::spec::{HostInventory, ImageHash, KIND_SERVER, ServerId, ServerSpec};

/// Everything that is wanted on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DesiredServers {
    /// The feed's revision; it only grows.
    pub revision: i64,
    /// Whose word it is.
    pub word: Word,
    /// Whole specs of all servers.
    pub servers: BTreeMap<ServerId, Arc<ServerSpec>>,
}

/// Whose word it is what is wanted here, and so what may be done by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Word {
    /// A file's, from before the machine started: nothing. While it was off, its servers may have been made anew elsewhere,
    /// and a guest that starts here runs twice.
    #[default]
    BeforeBoot,
    /// A file's, from before this process started: what is defined here is brought back, nothing is made or removed.
    Kept,
    /// The control plane's, to this process: everything.
    ControlPlane,
}

/// How an agent works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many servers are worked on at a time.
    pub parallel: usize,
    /// How long a server waits for its taps before it is reported as failed.
    pub tap_wait: Duration,
    /// How long something of ours must have been wanted nowhere before it is removed.
    pub orphan_grace: Duration,
    /// How often everything is looked at again, whatever the hypervisor says.
    pub look_again: Duration,
    /// How long a cached image outlives its last use.
    pub image_age: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallel: 4,
            tap_wait: Duration::from_secs(60),
            orphan_grace: Duration::from_secs(60),
            look_again: Duration::from_secs(60),
            image_age: Duration::from_secs(86_400), // Nova's remove_unused_original_minimum_age_seconds
        }
    }
}

/// Why an agent ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Guests keep running; a new process starts clean.
    #[error("the hypervisor hangs in too many calls; only a new process can go on")]
    WornOut,
}

/// A host's agent. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Agent {
    worker: Worker,
    settings: Settings,
    inbox: Arc<Inbox>,
    behalf: Behalf,
}

#[derive(Default)]
struct Inbox {
    desired: Mutex<Option<Arc<DesiredServers>>>,
    boot_revision: Mutex<Option<i64>>,
    pokes: crate::driver::Changes,
    told: Notify,
}

impl Agent {
    /// An agent that does nothing until [`Agent::run`].
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>, clock: Clock, settings: Settings) -> Self {
        let worker = Worker {
            driver,
            clock,
            reports: Reports::default(),
        };
        Self {
            worker,
            settings,
            inbox: Arc::default(),
            behalf: Behalf::default(),
        }
    }

    /// On whose behalf servers are wanted here, as far as whoever pulls the feed notes it.
    #[must_use]
    pub const fn behalf(&self) -> &Behalf {
        &self.behalf
    }

    /// Hands over everything that is wanted here. The newest revision wins; the same one again does no harm.
    pub fn apply(&self, desired: DesiredServers) {
        let mut current = self
            .inbox
            .desired
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if desired.word != Word::ControlPlane {
            let mut boot = self
                .inbox
                .boot_revision
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *boot = Some(boot.map_or(desired.revision, |known| known.max(desired.revision)));
        }
        let stale = current.as_ref().is_some_and(|now| {
            now.word == Word::ControlPlane && desired.word != Word::ControlPlane
        });
        if !stale {
            *current = Some(Arc::new(desired));
        }
        drop(current);
        self.inbox.told.notify_one();
    }

    /// Looks at a server (or at all) now: its tap may have come.
    pub fn poke(&self, server: Option<ServerId>) {
        self.inbox.pokes.tell(server);
    }

    /// What is observed.
    #[must_use]
    pub const fn reports(&self) -> &Reports {
        &self.worker.reports
    }

    /// Whether guests outlive this process.
    #[must_use]
    pub fn guests_outlive_us(&self) -> bool {
        self.worker.driver.outlives_us()
    }

    /// What the host has.
    ///
    /// # Errors
    /// When the hypervisor does not answer.
    pub async fn inventory(&self) -> Result<HostInventory, DriverError> {
        self.worker.driver.inventory().await
    }

    /// The last `max_bytes` of a server's console log.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn console_output(
        &self,
        server: &ServerId,
        max_bytes: u64,
    ) -> Result<Vec<u8>, DriverError> {
        self.worker.driver.console_output(server, max_bytes).await
    }

    /// Gives an account in a running guest another password.
    ///
    /// # Errors
    /// When the hypervisor does not answer.
    pub async fn set_password(
        &self,
        server: &ServerId,
        password: &GuestPassword,
    ) -> Result<PasswordSeen, DriverError> {
        self.worker.driver.set_password(server, password).await
    }

    /// Opens a console of a running server.
    ///
    /// # Errors
    /// When it does not run, or has no such console.
    pub async fn open_console(
        &self,
        server: &ServerId,
        kind: ConsoleKind,
    ) -> Result<Pipe, DriverError> {
        self.worker.driver.open_console(server, kind).await
    }

    /// Opens a disk that was made ready to be carried, from a byte on.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn open_export(
        &self,
        server: &ServerId,
        epoch: i64,
        from: u64,
    ) -> Result<Pipe, DriverError> {
        self.worker.driver.open_export(server, epoch, from).await
    }

    /// Reads a server's root disk as it is now into a file; gives its length.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn take_snapshot(
        &self,
        server: &ServerId,
        wish: &SnapshotWish,
    ) -> Result<u64, DriverError> {
        self.worker.driver.take_snapshot(server, wish).await
    }

    /// Opens what was read.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn open_snapshot(
        &self,
        server: &ServerId,
        wish: &SnapshotWish,
    ) -> Result<Pipe, DriverError> {
        self.worker.driver.open_snapshot(server, wish).await
    }

    /// Ends the reading, and removes what was read.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn remove_snapshot(
        &self,
        server: &ServerId,
        wish: &SnapshotWish,
    ) -> Result<(), DriverError> {
        self.worker.driver.remove_snapshot(server, wish).await
    }

    /// Ends the reading of root disks that an agent before this one began.
    ///
    /// # Errors
    /// When some of it may go on.
    pub async fn give_up_snapshots(&self) -> Result<(), DriverError> {
        self.worker.driver.give_up_snapshots().await
    }

    /// Works until shutdown. Started again after a failure it goes on with what was handed over.
    ///
    /// # Errors
    /// When only a new process can go on.
    pub async fn run(&self, shutdown: Shutdown) -> Result<(), AgentError> {
        let clock = &self.worker.clock;
        let mut schedule = Schedule::new(self.settings.clone());
        let mut working: FuturesUnordered<BoxFuture<'_, Finished>> = FuturesUnordered::new();
        let mut look_again_at = Duration::ZERO;
        loop {
            let now = clock.monotonic();
            let desired = self
                .inbox
                .desired
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            schedule.want(desired, self.boot_revision(), now);
            if now >= look_again_at {
                look_again_at = now + self.settings.look_again;
                working.push(self.look_at_everything(schedule.wanted_images()).boxed());
            }
            while let Some((server, work)) = schedule.start_next(now) {
                working.push(self.work(server, work).boxed());
            }
            let pause = schedule
                .next_due()
                .unwrap_or(look_again_at)
                .min(look_again_at);
            tokio::select! {
                () = shutdown.wait() => return Ok(()),
                Some(finished) = working.next(), if !working.is_empty() => match finished {
                    Finished::Server(done) => {
                        schedule.finish(*done, &self.worker.reports, clock);
                    }
                    Finished::Look(here) => schedule.found_here(here, clock.monotonic()),
                },
                () = self.inbox.told.notified() => {}
                server = self.inbox.pokes.next() => {
                    schedule.poke(server.as_ref(), clock.monotonic());
                }
                server = self.worker.driver.changed() => {
                    schedule.poke(server.as_ref(), clock.monotonic());
                }
                () = clock.sleep(pause.saturating_sub(now)) => {}
            }
            if self.worker.driver.is_worn_out() {
                return Err(AgentError::WornOut);
            }
        }
    }

    async fn work(&self, server: ServerId, work: schedule::Work) -> Finished {
        let schedule::Work {
            goal,
            mut asked,
            word,
        } = work;
        let converged = self.worker.converge(&server, &goal, &mut asked, word);
        let (outcome, found) = match self.behalf.of(KIND_SERVER, server.as_str()) {
            Some(id) => {
                let span = tracing::info_span!("server", %server, request_id = %id);
                request::under(id, converged.instrument(span)).await
            }
            None => converged.await,
        };
        Finished::Server(Box::new(Done {
            server,
            goal,
            asked,
            outcome,
            found,
        }))
    }

    fn boot_revision(&self) -> i64 {
        self.inbox
            .boot_revision
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .unwrap_or(0)
    }

    /// What is here, wanted or not; and images that nobody uses go.
    async fn look_at_everything(&self, keep: Option<BTreeSet<ImageHash>>) -> Finished {
        let driver = &self.worker.driver;
        if let Some(keep) = keep {
            let age = i64::try_from(self.settings.image_age.as_secs()).unwrap_or(i64::MAX);
            let since = self.worker.clock.now().plus_secs(-age);
            if let Err(error) = driver.remove_unused_images(&keep, since).await {
                warn!(%error, "cannot remove unused images; trying again. They take room in the state directory until then");
            }
        }
        let here = driver.list().await.unwrap_or_else(|error| {
            warn!(%error, "cannot list the servers of this host; trying again. `nephos doctor` here says whether libvirtd runs");
            BTreeSet::new()
        });
        Finished::Look(here)
    }
}

enum Finished {
    Server(Box<Done>),
    Look(BTreeSet<ServerId>),
}

#[cfg(test)]
mod tests;
