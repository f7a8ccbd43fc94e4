//! Drives operations: leases what is due, steps it, says when to look again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nephos_bus::Bus;
use nephos_db::{Db, EngineKind, Error};
use nephos_runtime::{Clock, Shutdown};
use nephos_types::Timestamp;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::{Instrument, warn};

use crate::lease::{BATCH, BEAT, Leases, Standing};
use crate::{Operation, Reconcilers};

/// Without any wake, work is found this soon.
const POLL: Duration = Duration::from_secs(5);
/// Operations at work at once in one process.
const CONCURRENT: usize = 64;
/// Ended operations are kept this long, for people who ask what happened.
const KEEP_SECS: i64 = 24 * 3600;

/// What a worker is made of.
pub struct WorkerParts<S> {
    /// The service whose operations it drives.
    pub service: Arc<S>,
    /// Its database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Wakes it.
    pub bus: Bus,
    /// The topic it listens to: `compute.ops`.
    pub topic: &'static str,
    /// What it can drive.
    pub reconcilers: Reconcilers<S>,
}

/// Drives the operations of one service. Cheap to clone.
pub struct Worker<S>(pub(crate) Arc<Inner<S>>);

pub(crate) struct Inner<S> {
    pub(crate) parts: WorkerParts<S>,
    pub(crate) leases: Leases,
    running: Mutex<HashMap<String, InHand>>,
    places: Arc<Semaphore>,
    /// When the loop looks again by itself, in microseconds; as long as it does not know yet, never.
    looks_at: AtomicI64,
    /// Told when something rests that is due before that.
    sooner: Notify,
}

/// An operation at work in this process.
struct InHand {
    /// Since when its lease is good, by [`Clock::monotonic`].
    renewed: Duration,
    ends: Arc<Ends>,
}

/// Tells a step that it is not wanted any more.
#[derive(Default)]
pub(crate) struct Ends {
    /// Somebody else has its operation.
    pub(crate) lost: Notify,
    /// Its operation was superseded.
    pub(crate) superseded: Notify,
}

impl<S> Clone for Worker<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Send + Sync + 'static> Worker<S> {
    /// A worker; it does nothing until [`Worker::run`] or [`Worker::drain`].
    #[must_use]
    pub fn new(parts: WorkerParts<S>) -> Self {
        let leases = Leases {
            db: parts.db.clone(),
            clock: parts.clock.clone(),
            owner: nephos_runtime::ids::hex().into(),
            topic: parts.topic,
        };
        Self(Arc::new(Inner {
            parts,
            leases,
            running: Mutex::default(),
            places: Arc::new(Semaphore::new(CONCURRENT)),
            looks_at: AtomicI64::new(i64::MAX),
            sooner: Notify::new(),
        }))
    }

    /// Works until shutdown.
    ///
    /// # Errors
    /// When the database does not answer at the start.
    pub async fn run(&self, shutdown: Shutdown) -> Result<(), Error> {
        self.take_over().await?;
        // Beside each other, never one within the other: a beat that waits for the database keeps no work waiting that
        // has the database.
        tokio::select! {
            () = self.beat() => {}
            () = self.work(shutdown) => {}
        }
        Ok(())
    }

    async fn work(&self, shutdown: Shutdown) {
        let mut wakes = self.0.parts.bus.subscribe(self.0.parts.topic);
        let mut pruned = Timestamp(0);
        while !shutdown.begun() {
            match self.due().await {
                Ok(due) => {
                    let full = due.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX);
                    tokio::select! {
                        biased;
                        () = shutdown.wait() => return,
                        () = self.start(due) => {}
                    }
                    if full {
                        continue;
                    }
                }
                Err(why) => {
                    warn!(%why, "cannot look for work; trying again. `nephos doctor` asks the databases")
                }
            }
            if pruned.plus_secs(3600) < self.now() {
                pruned = self.now();
                if let Err(why) = self.0.leases.prune(pruned.plus_secs(-KEEP_SECS)).await {
                    warn!(%why, "cannot remove old operations");
                }
            }
            let pause = self.pause().await;
            let until = self.now().plus(pause);
            self.0.looks_at.store(until.0, Ordering::SeqCst);
            tokio::select! {
                () = shutdown.wait() => {}
                () = self.0.sooner.notified() => {}
                _look = wakes.next() => {
                    // Several wakes are one look.
                    while wakes.try_next().is_some() {}
                }
                () = self.0.parts.clock.sleep(pause) => {}
            }
            // Whatever rests from here on may be missed by the next look at what is due.
            self.0.looks_at.store(i64::MAX, Ordering::SeqCst);
        }
    }

    /// An operation rests until then: the loop, which knew it as leased, looks no later.
    pub(crate) fn rests(&self, until: Timestamp) {
        if until.0 < self.0.looks_at.load(Ordering::SeqCst) {
            self.0.sooner.notify_one();
        }
    }

    /// Renews for ever what this process has in hand, and ends the steps whose lease is lost.
    async fn beat(&self) {
        loop {
            self.0.parts.clock.sleep(BEAT).await;
            let now = self.0.parts.clock.monotonic();
            let old: Vec<String> = {
                let running = self.running();
                let old = running.iter().filter(|(_, one)| one.renewed + BEAT <= now);
                old.map(|(id, _)| id.clone()).collect()
            };
            if old.is_empty() {
                continue;
            }
            match self.0.leases.renew(&old).await {
                Ok(changed) => {
                    let mut running = self.running();
                    for id in &old {
                        if let Some(one) = running.get_mut(id) {
                            one.renewed = now;
                        }
                    }
                    for (id, standing) in changed {
                        match (running.get(&id), standing) {
                            (Some(one), Standing::Superseded) => one.ends.superseded.notify_one(),
                            (Some(one), Standing::LetGo) => one.ends.lost.notify_one(),
                            _gone_or_ours => {}
                        }
                    }
                }
                Err(why) => {
                    warn!(%why, "cannot renew leases; trying again. `nephos doctor` asks the databases")
                }
            }
        }
    }

    /// Does, here and now, everything that is due; says how many operations that were. For tests on the virtual clock. A
    /// crash point unwinds through it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn drain(&self) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            let due = self.due().await?;
            if due.is_empty() {
                return Ok(done);
            }
            done += due.len();
            for id in due {
                for op in self.0.leases.claim(&[&id]).await? {
                    self.drive(op, &Ends::default()).await;
                }
            }
        }
    }

    /// Drains, moving the virtual clock to whatever is due next, until nothing is due within `horizon`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn settle(&self, horizon: Duration) -> Result<(), Error> {
        let end = self.now().plus(horizon);
        loop {
            self.drain().await?;
            match self.0.leases.next_due().await? {
                Some(next) if next <= end => {
                    let ahead = u64::try_from(next.0 - self.now().0).unwrap_or(0);
                    let ahead = Duration::from_micros(ahead.max(1));
                    self.0.parts.clock.advance(ahead);
                }
                _nothing_soon => return Ok(()),
            }
        }
    }

    /// On SQLite one process owns the file: whatever lease is there is a dead one's.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn take_over(&self) -> Result<(), Error> {
        match self.0.parts.db.kind() {
            EngineKind::Sqlite => self.0.leases.take_all().await,
            EngineKind::Postgres => Ok(()),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, InHand>> {
        self.0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Ids of what could be leased now.
    async fn due(&self) -> Result<Vec<String>, Error> {
        let mut due = self.0.leases.due().await?;
        let running = self.running();
        // Our own steps are known without a look at their leases.
        due.retain(|due| {
            let before = due.waits_for.as_ref();
            !running.contains_key(&due.id) && before.is_none_or(|id| !running.contains_key(id))
        });
        Ok(due.into_iter().map(|due| due.id).collect())
    }

    /// Until the next thing is due, at most a poll.
    async fn pause(&self) -> Duration {
        let Ok(Some(next)) = self.0.leases.next_due().await else {
            return self.0.parts.bus.may_wait(POLL);
        };
        let ahead = u64::try_from(next.0.saturating_sub(self.now().0)).unwrap_or(0);
        // Not busy: what is due but not ours to take is looked at again a little later.
        Duration::from_micros(ahead)
            .clamp(Duration::from_millis(20), self.0.parts.bus.may_wait(POLL))
    }

    /// Leases and drives all of these, as many at a time as there are places.
    async fn start(&self, mut due: Vec<String>) {
        while !due.is_empty() {
            let Ok(place) = Arc::clone(&self.0.places).acquire_owned().await else {
                return;
            };
            let mut places = vec![place];
            while places.len() < due.len() {
                let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() else {
                    break;
                };
                places.push(place);
            }
            let ids = due.drain(..places.len());
            let taken: Vec<_> = ids
                .zip(places)
                .filter_map(|(id, place)| self.take(id, place))
                .collect();
            self.start_taken(taken).await;
        }
    }

    /// None: it is in hand already.
    fn take(&self, id: String, place: OwnedSemaphorePermit) -> Option<Taken<S>> {
        let ends = Arc::new(Ends::default());
        let in_hand = InHand {
            renewed: self.0.parts.clock.monotonic(),
            ends: Arc::clone(&ends),
        };
        match self.running().entry(id.clone()) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(free) => free.insert(in_hand),
        };
        let worker = self.clone();
        Some(Taken {
            worker,
            id,
            ends,
            _place: place,
        })
    }

    async fn start_taken(&self, mut taken: Vec<Taken<S>>) {
        let ids: Vec<&str> = taken.iter().map(|one| one.id.as_str()).collect();
        let ops = match self.0.leases.claim(&ids).await {
            Ok(ops) => ops,
            Err(why) => {
                return warn!(%why, "cannot lease; trying again. `nephos doctor` asks the databases");
            }
        };
        for op in ops {
            let Some(at) = taken.iter().position(|one| one.id == op.id.as_str()) else {
                continue;
            };
            let one = taken.swap_remove(at);
            nephos_runtime::spawn("operation", async move {
                one.worker.drive(op, &one.ends).await;
            });
        }
    }

    /// Steps an operation that is leased until it waits or ends.
    async fn drive(&self, op: Operation, ends: &Ends) {
        let topic = self.0.parts.topic;
        let service = topic.split_once('.').map_or(topic, |(service, _)| service);
        let span = tracing::info_span!(
            "operation", service, kind = op.kind, resource = op.resource_id, request_id = %op.request_id
        );
        // Calls of siblings carry the id of the request that began the work.
        let request = op.request_id.clone();
        let steps = Box::pin(self.steps(op, ends).instrument(span));
        nephos_runtime::request::under(request, steps).await;
    }
}

/// An operation in hand, and its place; dropped, it is out of hand.
struct Taken<S: Send + Sync + 'static> {
    worker: Worker<S>,
    id: String,
    ends: Arc<Ends>,
    _place: OwnedSemaphorePermit,
}

impl<S: Send + Sync + 'static> Drop for Taken<S> {
    fn drop(&mut self) {
        self.worker.running().remove(&self.id);
    }
}
