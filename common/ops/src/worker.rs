//! Drives operations: leases what is due, steps it, says when to look again.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use nephos_bus::Bus;
use nephos_db::{Db, EngineKind, Error, args};
use nephos_runtime::crash::Crashed;
use nephos_runtime::metrics::Durations;
use nephos_runtime::{Clock, Shutdown};
use nephos_types::{Timestamp, Wake};
use tokio::sync::Semaphore;
use tracing::{Instrument, error, info, warn};

use crate::reconcile::Erased;
use crate::{Failure, Next, OpCx, Operation, Reconcilers, StepError};

/// A worker that does not renew its lease for this long has lost it.
const LEASE: Duration = Duration::from_secs(30);
/// A running step renews its lease this often.
const RENEW: Duration = Duration::from_secs(10);
/// Without any wake, work is found this soon.
const POLL: Duration = Duration::from_secs(5);
/// Operations at work at once in one process.
const CONCURRENT: usize = 64;
/// Operations looked up at once.
const BATCH: i64 = 256;
/// Ended operations are kept this long, for people who ask what happened.
const KEEP_SECS: i64 = 24 * 3600;

static STEP_TOOK: LazyLock<Durations> =
    LazyLock::new(|| Durations::new("operation_step", "Time of a step of an operation", "kind"));

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
pub struct Worker<S>(Arc<Inner<S>>);

struct Inner<S> {
    parts: WorkerParts<S>,
    owner: Arc<str>,
    running: Mutex<HashSet<String>>,
    places: Arc<Semaphore>,
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
        let owner = nephos_runtime::ids::hex().into();
        let places = Arc::new(Semaphore::new(CONCURRENT));
        Self(Arc::new(Inner {
            parts,
            owner,
            running: Mutex::default(),
            places,
        }))
    }

    /// Works until shutdown.
    ///
    /// # Errors
    /// When the database does not answer at the start.
    pub async fn run(&self, shutdown: Shutdown) -> Result<(), Error> {
        let mut wakes = self.0.parts.bus.subscribe(self.0.parts.topic);
        self.take_over().await?;
        let mut pruned = Timestamp(0);
        while !shutdown.begun() {
            match self.due().await {
                Ok(due) => {
                    let full = due.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX);
                    for id in due {
                        self.start(id).await;
                    }
                    if full {
                        continue;
                    }
                }
                Err(why) => warn!(%why, "cannot look for work; trying again"),
            }
            if pruned.plus_secs(3600) < self.now() {
                pruned = self.now();
                self.prune().await;
            }
            let pause = self.pause().await;
            tokio::select! {
                () = shutdown.wait() => {}
                _look = wakes.next() => {
                    // Several wakes are one look.
                    while wakes.try_next().is_some() {}
                }
                () = self.0.parts.clock.sleep(pause) => {}
            }
        }
        Ok(())
    }

    /// Does, here and now, everything that is due; for tests on the virtual clock. A crash point unwinds through it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn drain(&self) -> Result<(), Error> {
        loop {
            let due = self.due().await?;
            if due.is_empty() {
                return Ok(());
            }
            for id in due {
                self.drive(&id).await;
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
            match self.next_due().await? {
                Some(next) if next <= end => {
                    let ahead = u64::try_from(next.0 - self.now().0).unwrap_or(0);
                    self.0
                        .parts
                        .clock
                        .advance(Duration::from_micros(ahead.max(1)));
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
        if self.0.parts.db.kind() != EngineKind::Sqlite {
            return Ok(());
        }
        let mut tx = self.0.parts.db.write().await?;
        tx.exec(
            "UPDATE operations SET lease_owner = NULL, lease_until = 0 WHERE lease_owner IS NOT NULL",
            args![],
        )
        .await?;
        tx.commit().await
    }

    fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }

    /// Ids of what could be leased now.
    async fn due(&self) -> Result<Vec<String>, Error> {
        let sql = "SELECT id FROM operations WHERE finished_at IS NULL AND run_at <= $1 AND lease_until < $1 \
             AND NOT EXISTS (SELECT 1 FROM operations AS before WHERE before.id = operations.waits_for \
             AND before.lease_owner IS NOT NULL AND before.lease_until >= $1) ORDER BY run_at, id LIMIT $2";
        let mut due = self
            .0
            .parts
            .db
            .fetch_all::<String>(sql, args![self.now(), BATCH])
            .await?;
        let running = self
            .0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        due.retain(|id| !running.contains(id));
        Ok(due)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT CASE WHEN run_at < lease_until THEN lease_until + 1 ELSE run_at END AS due \
             FROM operations WHERE finished_at IS NULL ORDER BY due LIMIT 1";
        Ok(self
            .0
            .parts
            .db
            .fetch_opt::<i64>(sql, args![])
            .await?
            .map(Timestamp))
    }

    /// Until the next thing is due, at most a poll.
    async fn pause(&self) -> Duration {
        let Ok(Some(next)) = self.next_due().await else {
            return POLL;
        };
        let ahead = u64::try_from(next.0.saturating_sub(self.now().0)).unwrap_or(0);
        // Not busy: what is due but not ours to take is looked at again a little later.
        Duration::from_micros(ahead).clamp(Duration::from_millis(20), POLL)
    }

    async fn start(&self, id: String) {
        let Ok(place) = Arc::clone(&self.0.places).acquire_owned().await else {
            return;
        };
        let added = {
            let mut running = self
                .0
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            running.insert(id.clone())
        };
        if !added {
            return;
        }
        let worker = self.clone();
        nephos_runtime::spawn("operation", async move {
            let _gone_at_the_end = Running {
                worker: &worker,
                id: &id,
            };
            let _place = place;
            worker.drive(&id).await;
        });
    }

    /// Leases an operation and steps it until it waits or ends.
    async fn drive(&self, id: &str) {
        match self.claim(id).await {
            Ok(Some(op)) => {
                let span = tracing::info_span!(
                    "operation", kind = op.kind, resource = op.resource_id, request_id = %op.request_id
                );
                self.steps(op).instrument(span).await;
            }
            Ok(None) => {}
            Err(why) => warn!(%why, operation = id, "cannot lease; trying again"),
        }
    }

    async fn claim(&self, id: &str) -> Result<Option<Operation>, Error> {
        let mut tx = self.0.parts.db.write().await?;
        let op = tx
            .fetch_opt::<Operation>(
                "UPDATE operations SET lease_owner = $1, lease_until = $2, attempt = attempt + 1 \
                 WHERE id = $3 AND lease_until < $4 AND finished_at IS NULL RETURNING id, kind, resource_id, \
                 step, args, caller, request_id, attempt, deadline, created_at, finished_at, nudges",
                args![&*self.0.owner, self.now().plus(LEASE), id, self.now()],
            )
            .await?;
        tx.commit().await?;
        Ok(op)
    }

    async fn steps(&self, mut op: Operation) {
        let cx = OpCx {
            service: Arc::clone(&self.0.parts.service),
            db: self.0.parts.db.clone(),
            clock: self.0.parts.clock.clone(),
            operation: op.id.clone(),
            owner: Arc::clone(&self.0.owner),
        };
        let Some((kind, reconciler)) = self.0.parts.reconcilers.find(&op.kind) else {
            error!(kind = op.kind, "no reconciler drives this kind");
            return;
        };
        loop {
            let outcome = self.one_step(&cx, kind, reconciler.as_ref(), &op).await;
            let again = self
                .settle_step(&cx, reconciler.as_ref(), &op, outcome)
                .await;
            match again {
                Ok(true) => {}
                Ok(false) | Err(StepError::LeaseLost) => break,
                Err(why) => {
                    warn!(%why, "cannot note the outcome of a step; the lease will run out");
                    break;
                }
            }
            match self.reload(&op).await {
                Ok(Some(fresh)) => op = fresh,
                Ok(None) => break,
                Err(why) => {
                    warn!(%why, "cannot read the operation; the lease will run out");
                    break;
                }
            }
        }
        self.let_go(&op).await;
    }

    async fn one_step(
        &self,
        cx: &OpCx<S>,
        kind: &'static str,
        reconciler: &dyn Erased<S>,
        op: &Operation,
    ) -> Result<Next, StepError> {
        if self.now() > op.deadline {
            return Ok(Next::Fail(Failure::new(format!(
                "It did not come to its end in time; it was at step '{}'.",
                op.step
            ))));
        }
        let clock = &self.0.parts.clock;
        let began = clock.monotonic();
        let mut step = AssertUnwindSafe(reconciler.step(cx, op)).catch_unwind();
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut step => break outcome,
                () = clock.sleep(RENEW) => self.renew(op).await?,
            }
        };
        STEP_TOOK.record(kind, clock.monotonic().saturating_sub(began));
        match outcome {
            Ok(outcome) => outcome,
            Err(panic) if panic.is::<Crashed>() => std::panic::resume_unwind(panic),
            Err(_) => {
                error!(step = op.step, "a step panicked");
                Err(StepError::Transient("the step panicked".to_owned()))
            }
        }
    }

    /// Notes the outcome; true: call the step again now.
    async fn settle_step(
        &self,
        cx: &OpCx<S>,
        reconciler: &dyn Erased<S>,
        op: &Operation,
        outcome: Result<Next, StepError>,
    ) -> Result<bool, StepError> {
        let now = self.now();
        match outcome {
            Ok(Next::Again) => return Ok(true),
            Ok(Next::After(pause)) => return self.rest(op, now.plus(pause)).await,
            Ok(Next::Wait { until }) => return self.rest(op, until).await,
            Ok(Next::Done) => self.end(cx, op).await?,
            Ok(Next::Fail(failure)) => self.fail(cx, reconciler, op, &failure).await?,
            Err(StepError::Permanent(why)) => {
                self.fail(cx, reconciler, op, &Failure::new(why)).await?;
            }
            Err(StepError::LeaseLost) => return Err(StepError::LeaseLost),
            Err(StepError::Transient(why)) => return self.retry(op, &why).await,
            Err(StepError::Db(why)) => return self.retry(op, &why.to_string()).await,
        }
        Ok(false)
    }

    async fn retry(&self, op: &Operation, why: &str) -> Result<bool, StepError> {
        let exponent = u32::try_from(op.attempt.clamp(0, 6)).unwrap_or(6);
        let base = Duration::from_millis(500) * 2u32.pow(exponent);
        // Jitter of up to a quarter, from the id: two operations that failed together do not come back together.
        let spread = op.id.as_str().bytes().map(u32::from).sum::<u32>() % 256;
        let pause = base + base / 1024 * spread;
        info!(
            why,
            attempt = op.attempt,
            step = op.step,
            "a step is tried again"
        );
        self.rest(op, self.now().plus(pause)).await
    }

    /// Gives the lease back until `until`. True: there was news meanwhile, so the lease is kept and the step called again
    /// (or the lease is lost, which the next look at the row finds out).
    async fn rest(&self, op: &Operation, until: Timestamp) -> Result<bool, StepError> {
        let mut tx = self.0.parts.db.write().await?;
        let resting = tx
            .exec(
                "UPDATE operations SET run_at = $1, lease_owner = NULL, lease_until = 0 \
                 WHERE id = $2 AND lease_owner = $3 AND nudges = $4 AND finished_at IS NULL",
                args![until, op.id, &*self.0.owner, op.nudges],
            )
            .await?;
        tx.commit().await?;
        Ok(resting == 0)
    }

    /// Ends an operation whose step said so without ending it itself.
    async fn end(&self, cx: &OpCx<S>, op: &Operation) -> Result<(), StepError> {
        match cx.finish("done").await {
            Ok(tx) => tx.commit().await?,
            Err(StepError::LeaseLost) => {}
            Err(why) => return Err(why),
        }
        info!(kind = op.kind, "operation done");
        Ok(())
    }

    async fn fail(
        &self,
        cx: &OpCx<S>,
        reconciler: &dyn Erased<S>,
        op: &Operation,
        failure: &Failure,
    ) -> Result<(), StepError> {
        warn!(
            step = op.step,
            why = failure.message,
            details = failure.details,
            "operation failed"
        );
        let mut tx = cx.end("failed", Some(&failure.message)).await?;
        reconciler.failed(cx, op, failure, &mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn renew(&self, op: &Operation) -> Result<(), StepError> {
        let mut tx = self.0.parts.db.write().await?;
        let held = tx
            .exec(
                "UPDATE operations SET lease_until = $1 WHERE id = $2 AND lease_owner = $3 AND finished_at IS NULL",
                args![self.now().plus(LEASE), op.id, &*self.0.owner],
            )
            .await?;
        tx.commit().await?;
        if held == 1 {
            Ok(())
        } else {
            Err(StepError::LeaseLost)
        }
    }

    /// The operation as the step left it, with the lease renewed.
    async fn reload(&self, op: &Operation) -> Result<Option<Operation>, Error> {
        let mut tx = self.0.parts.db.write().await?;
        let fresh = tx
            .fetch_opt::<Operation>(
                "UPDATE operations SET lease_until = $1 WHERE id = $2 AND lease_owner = $3 AND finished_at IS NULL \
                 RETURNING id, kind, resource_id, step, args, caller, request_id, attempt, deadline, created_at, \
                 finished_at, nudges",
                args![self.now().plus(LEASE), op.id, &*self.0.owner],
            )
            .await?;
        tx.commit().await?;
        Ok(fresh)
    }

    /// Releases the lease of an operation that was superseded under us: what superseded it waits for that.
    async fn let_go(&self, op: &Operation) {
        let released = async {
            let mut tx = self.0.parts.db.write().await?;
            let released = tx
                .exec(
                    "UPDATE operations SET lease_owner = NULL, lease_until = 0 \
                     WHERE id = $1 AND lease_owner = $2 AND finished_at IS NOT NULL",
                    args![op.id, &*self.0.owner],
                )
                .await?;
            if released > 0 {
                tx.wake(Wake::new(self.0.parts.topic, ""));
            }
            tx.commit().await
        };
        if let Err(why) = released.await {
            let why: Error = why;
            warn!(%why, "cannot release a lease; it will run out");
        }
    }

    async fn prune(&self) {
        let pruned = async {
            let mut tx = self.0.parts.db.write().await?;
            let before = self.now().plus_secs(-KEEP_SECS);
            tx.exec(
                "DELETE FROM operations WHERE finished_at < $1",
                args![before],
            )
            .await?;
            tx.commit().await
        };
        if let Err(why) = pruned.await {
            let why: Error = why;
            warn!(%why, "cannot remove old operations");
        }
    }
}

struct Running<'a, S> {
    worker: &'a Worker<S>,
    id: &'a str,
}

impl<S> Drop for Running<'_, S> {
    fn drop(&mut self) {
        let mut running = self
            .worker
            .0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        running.remove(self.id);
    }
}
