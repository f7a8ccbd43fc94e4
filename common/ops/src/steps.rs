//! An operation in hand: its steps one after the other, and what their outcomes mean.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use nephos_db::{Watched, watched};
use nephos_runtime::crash::Crashed;
use nephos_runtime::metrics::Durations;
use nephos_types::Timestamp;
use tracing::{debug, error, info, warn};

use crate::cx::Noted;
use crate::lease::Standing;
use crate::reconcile::Erased;
use crate::worker::Ends;
use crate::{Failure, Next, OpCx, Operation, StepError, Worker};

/// Longest pause after a failed try where a sibling does not answer: it is usually back soon.
const AWAY: Duration = Duration::from_secs(5);
/// A kind that this worker does not know is left for this long to those that do, as during an upgrade.
const UNKNOWN: Duration = Duration::from_secs(60);
/// A step that others stand in the way of is tried again at once so often; then it counts as failed.
const AT_ONCE: u32 = 12;

/// What the end of an operation is to an operator.
const OPERATION: &str = "operation";

static STEP_TOOK: LazyLock<Durations> =
    LazyLock::new(|| Durations::new("operation_step", "Time of a step of an operation", "kind"));

/// What follows from a step.
enum After {
    /// The next one, now, as the step has said.
    Next,
    /// The next one, now, because there is news.
    Again,
    /// Nothing here: the lease is given back, whether the operation waits or has ended.
    LetGo,
}

/// The end of a step.
struct Stepped {
    outcome: Result<Next, StepError>,
    /// Another transaction stood in its way: nothing is wrong.
    in_the_way: bool,
    /// What it has written into the operation. None: nothing that is committed for sure.
    noted: Option<Noted>,
}

impl<S: Send + Sync + 'static> Worker<S> {
    pub(crate) async fn steps(&self, mut op: Operation, ends: &Ends) {
        let Some((kind, reconciler)) = self.0.parts.reconcilers.find(&op.kind) else {
            return self.leave(&op).await;
        };
        let mut in_the_way = 0;
        loop {
            let cx = self.cx(&op);
            let stepped = self
                .one_step(&cx, (kind, reconciler.as_ref()), &op, ends)
                .await;
            in_the_way = if stepped.in_the_way {
                in_the_way + 1
            } else {
                0
            };
            let noted = stepped.noted;
            let again = if stepped.in_the_way && in_the_way < AT_ONCE {
                debug!(step = op.step, "another was quicker; the step runs again");
                Ok(After::Again)
            } else {
                self.settle_step(&cx, reconciler.as_ref(), &op, stepped)
                    .await
            };
            match again {
                Ok(After::Again) => {}
                Ok(After::Next) => {
                    // Its lease was ours when it committed a moment ago. Of news the end of a later step hears.
                    if let Some(step) = noted.and_then(|noted| noted.step) {
                        step.clone_into(&mut op.step);
                        op.attempt = 0;
                        continue;
                    }
                }
                Ok(After::LetGo) => return,
                Err(StepError::LeaseLost) => break,
                Err(why) => {
                    warn!(%why, "cannot note the outcome of a step; the lease will run out");
                    break;
                }
            }
            match self.0.leases.reload(&op).await {
                Ok(Some(fresh)) => op = fresh,
                Ok(None) => break,
                Err(why) => {
                    warn!(%why, "cannot read the operation; the lease will run out");
                    break;
                }
            }
        }
        if let Err(why) = self.0.leases.let_go(&op).await {
            warn!(%why, "cannot release a lease; it will run out");
        }
    }

    fn cx(&self, op: &Operation) -> OpCx<S> {
        OpCx {
            service: Arc::clone(&self.0.parts.service),
            db: self.0.parts.db.clone(),
            clock: self.0.parts.clock.clone(),
            operation: op.id.clone(),
            owner: Arc::clone(&self.0.leases.owner),
            nudges: op.nudges,
            late: self.now() > op.deadline,
            noted: Mutex::default(),
        }
    }

    async fn one_step(
        &self,
        cx: &OpCx<S>,
        (kind, reconciler): (&'static str, &dyn Erased<S>),
        op: &Operation,
        ends: &Ends,
    ) -> Stepped {
        let clock = &self.0.parts.clock;
        let began = clock.monotonic();
        let step = AssertUnwindSafe(reconciler.step(cx, op)).catch_unwind();
        let cut = Watched {
            output: Ok(Err(StepError::LeaseLost)),
            conflict: false,
            committed: false,
        };
        let done = tokio::select! {
            biased;
            done = watched(step) => done,
            () = ends.lost.notified() => cut,
            () = ends.superseded.notified(), if reconciler.cut_off() => cut,
        };
        STEP_TOOK.record(kind, clock.monotonic().saturating_sub(began));
        let outcome = match done.output {
            Ok(outcome) => outcome,
            Err(panic) if panic.is::<Crashed>() => std::panic::resume_unwind(panic),
            Err(_) => {
                error!(step = op.step, "a step panicked");
                Err(StepError::Transient("the step panicked".to_owned()))
            }
        };
        let passes = matches!(
            outcome,
            Err(StepError::Db(_) | StepError::Transient(_) | StepError::Away(_))
        );
        let noted = *cx.noted.lock().unwrap_or_else(PoisonError::into_inner);
        Stepped {
            in_the_way: done.conflict && passes,
            noted: Some(noted).filter(|_| done.committed),
            outcome: if cx.late {
                out_of_time(op, outcome)
            } else {
                outcome
            },
        }
    }

    /// Notes the outcome.
    async fn settle_step(
        &self,
        cx: &OpCx<S>,
        reconciler: &dyn Erased<S>,
        op: &Operation,
        stepped: Stepped,
    ) -> Result<After, StepError> {
        let until = match stepped.outcome {
            Ok(Next::After(_) | Next::Wait { .. })
                if let Some(until) = stepped.noted.and_then(|noted| noted.rests) =>
            {
                self.rests(until);
                return Ok(After::LetGo);
            }
            Ok(Next::Again) => return Ok(After::Next),
            Err(StepError::News) => return Ok(After::Again),
            Ok(Next::After(pause)) => self.now().plus(pause),
            Ok(Next::Wait { until }) => until,
            Ok(Next::Done) if stepped.noted.is_some_and(|noted| noted.ended) => {
                info!(event = OPERATION, "operation done");
                return Ok(After::LetGo);
            }
            Ok(Next::Done) => return self.end(cx, op).await,
            Ok(Next::Fail(failure)) => return self.fail(cx, reconciler, op, &failure).await,
            Err(StepError::Permanent(why)) => {
                return self.fail(cx, reconciler, op, &Failure::new(why)).await;
            }
            Err(StepError::LeaseLost) => return Err(StepError::LeaseLost),
            Err(StepError::Transient(why)) => return self.retry(op, &why, Duration::MAX).await,
            Err(StepError::Away(why)) => return self.retry(op, &why, AWAY).await,
            Err(StepError::Db(why)) => return self.retry(op, &why.to_string(), AWAY).await,
        };
        // It waits and has not failed: its next failure is the first.
        self.rest(op, until, 0).await
    }

    async fn rest(
        &self,
        op: &Operation,
        until: Timestamp,
        attempt: i64,
    ) -> Result<After, StepError> {
        Ok(if self.0.leases.rest(op, until, attempt).await? {
            self.rests(until);
            After::LetGo
        } else {
            After::Again
        })
    }

    async fn retry(
        &self,
        op: &Operation,
        why: &str,
        at_most: Duration,
    ) -> Result<After, StepError> {
        let attempt = op.attempt + 1;
        let exponent = u32::try_from(attempt.clamp(0, 6)).unwrap_or(6);
        let base = Duration::from_millis(500) * 2u32.pow(exponent);
        // Jitter of up to a quarter, from the id: two operations that failed together do not come back together.
        let spread = op.id.as_str().bytes().map(u32::from).sum::<u32>() % 256;
        let pause = (base + base / 1024 * spread).min(at_most);
        info!(why, attempt, step = op.step, "a step is tried again");
        let until = self.now().plus(pause);
        self.rest(op, until, attempt).await
    }

    /// Ends an operation whose step said that it is done, unless the step ended it itself.
    async fn end(&self, cx: &OpCx<S>, op: &Operation) -> Result<After, StepError> {
        match self.0.leases.standing(op).await? {
            Standing::Ours => {}
            Standing::Superseded => return Err(StepError::LeaseLost),
            Standing::LetGo => {
                info!(event = OPERATION, "operation done");
                return Ok(After::LetGo);
            }
        }
        let ended = self.0.parts.db.again(|| async {
            let tx = cx.finish("done").await?;
            Ok::<_, StepError>(tx.commit().await?)
        });
        match ended.await {
            Ok(()) => {
                info!(event = OPERATION, "operation done");
                Ok(After::LetGo)
            }
            Err(StepError::News) => Ok(After::Again),
            Err(why) => Err(why),
        }
    }

    async fn fail(
        &self,
        cx: &OpCx<S>,
        reconciler: &dyn Erased<S>,
        op: &Operation,
        failure: &Failure,
    ) -> Result<After, StepError> {
        warn!(
            event = OPERATION,
            step = op.step,
            why = failure.message,
            details = failure.details,
            "operation failed; `nephos trace` of its request says what led to it"
        );
        let failed = self.0.parts.db.again(|| async {
            let mut tx = cx.end("failed", &failure.message).await?;
            reconciler.failed(cx, op, failure, &mut tx).await?;
            Ok::<_, StepError>(tx.commit().await?)
        });
        failed.await?;
        Ok(After::LetGo)
    }

    /// Leaves an operation of a kind that nobody here knows to others, until its deadline.
    async fn leave(&self, op: &Operation) {
        error!(kind = op.kind, "no reconciler of this process drives it");
        let cx = self.cx(op);
        let left = async {
            if self.now() > op.deadline {
                let why = format!("No worker knows what to do for '{}'.", op.kind);
                let tx = cx.end("failed", &why).await?;
                tx.commit().await?;
                return Ok(());
            }
            let until = self.now().plus(UNKNOWN).min(op.deadline.plus_secs(1));
            let mut op = op.clone();
            // News for it change nothing here: it is left with them too.
            while !self.0.leases.rest(&op, until, op.attempt).await? {
                match self.0.leases.reload(&op).await? {
                    Some(fresh) => op = fresh,
                    None => break,
                }
            }
            Ok::<_, StepError>(())
        };
        if let Err(why) = left.await {
            warn!(%why, "cannot leave an operation to others; the lease will run out");
        }
        if let Err(why) = self.0.leases.let_go(op).await {
            warn!(%why, "cannot release a lease; it will run out");
        }
    }
}

/// After its deadline an operation waits for nothing more. What comes further goes on: a process that was away that long may
/// have left something in the middle, which is brought to its end rather than left there.
fn out_of_time(op: &Operation, outcome: Result<Next, StepError>) -> Result<Next, StepError> {
    let why = match outcome {
        Ok(Next::After(_) | Next::Wait { .. }) => String::new(),
        Err(StepError::Db(why)) => format!(": {why}"),
        Err(StepError::Transient(why) | StepError::Away(why)) => format!(": {why}"),
        comes_to_an_end => return comes_to_an_end,
    };
    let late = format!(
        "It did not come to its end in time; it was at step '{}'{}.",
        op.step,
        why.trim_end_matches('.')
    );
    Ok(Next::Fail(Failure::new(late)))
}
