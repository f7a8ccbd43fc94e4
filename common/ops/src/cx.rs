//! Everything a step may use.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nephos_db::{Db, Tx, args};
use nephos_runtime::Clock;
use nephos_types::Timestamp;

use crate::{OperationId, StepError};

/// Everything a step may use: the service (by `Deref`), its database, the time, and fenced transactions.
pub struct OpCx<S> {
    pub(crate) service: Arc<S>,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) operation: OperationId,
    pub(crate) owner: Arc<str>,
    /// How many news the step knows of.
    pub(crate) nudges: i64,
    /// Its time is over: it waits for nothing more.
    pub(crate) late: bool,
    pub(crate) noted: Mutex<Noted>,
}

/// What the transactions of a step are to write into its operation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noted {
    /// The step.
    pub step: Option<&'static str>,
    /// That it has ended.
    pub ended: bool,
    /// That it rests until then.
    pub rests: Option<Timestamp>,
}

impl<S> std::ops::Deref for OpCx<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.service
    }
}

impl<S> OpCx<S> {
    /// The service.
    #[must_use]
    pub fn service(&self) -> &Arc<S> {
        &self.service
    }

    /// For reading.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Opens the only kind of transaction a step gets: it begins with an update that only the lease's holder can make,
    /// and notes the step.
    ///
    /// # Errors
    /// [`StepError::LeaseLost`] when the lease is another's or the operation was superseded.
    pub async fn write(&self, step: &'static str) -> Result<Tx, StepError> {
        self.begun(self.db.write().await?, step).await
    }

    /// As [`OpCx::write`], for a transaction that guards itself ([`Db::guarded`]) beyond the operation's own row: it holds
    /// what it changes before it reads it.
    ///
    /// # Errors
    /// As [`OpCx::write`].
    pub async fn guarded(&self, step: &'static str) -> Result<Tx, StepError> {
        self.begun(self.db.guarded().await?, step).await
    }

    async fn begun(&self, mut tx: Tx, step: &'static str) -> Result<Tx, StepError> {
        let held = tx
            .exec(
                "UPDATE operations SET step = $1, attempt = 0 \
                 WHERE id = $2 AND lease_owner = $3 AND finished_at IS NULL",
                args![step, self.operation, &*self.owner],
            )
            .await?;
        if held == 1 {
            self.note(Noted {
                step: Some(step),
                ..Noted::default()
            });
            Ok(tx)
        } else {
            Err(StepError::LeaseLost)
        }
    }

    fn note(&self, new: Noted) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        *noted = new;
    }

    /// As [`OpCx::guarded`], and gives the lease back for `pause` in the same transaction. The step then does nothing more
    /// and returns [`Next::After`](crate::Next::After) the same pause.
    ///
    /// # Errors
    /// As [`OpCx::finish`].
    pub async fn rest_guarded(&self, step: &'static str, pause: Duration) -> Result<Tx, StepError> {
        if self.late {
            return self.guarded(step).await;
        }
        let until = self.now().plus(pause);
        let mut tx = self.db.guarded().await?;
        let held = tx
            .exec(
                "UPDATE operations SET step = $1, attempt = 0, run_at = $2, lease_owner = NULL, lease_until = 0 \
                 WHERE id = $3 AND lease_owner = $4 AND nudges = $5 AND finished_at IS NULL",
                args![step, until, self.operation, &*self.owner, self.nudges],
            )
            .await?;
        if held == 1 {
            self.note(Noted {
                step: Some(step),
                rests: Some(until),
                ..Noted::default()
            });
            return Ok(tx);
        }
        Err(self.not_as_it_was(&mut tx).await?)
    }

    /// As [`OpCx::write`], and ends the operation in the same transaction: whoever sees the resource's new state can
    /// start the next operation at once. The step then returns [`Next::Done`](crate::Next::Done).
    ///
    /// # Errors
    /// [`StepError::LeaseLost`] as in [`OpCx::write`]; [`StepError::News`] when somebody had news since the step began,
    /// which it may have looked too early to see.
    pub async fn finish(&self, step: &'static str) -> Result<Tx, StepError> {
        self.ending(self.db.write().await?, step).await
    }

    /// As [`OpCx::finish`], for a transaction that guards itself, as [`OpCx::guarded`].
    ///
    /// # Errors
    /// As [`OpCx::finish`].
    pub async fn finish_guarded(&self, step: &'static str) -> Result<Tx, StepError> {
        self.ending(self.db.guarded().await?, step).await
    }

    async fn ending(&self, mut tx: Tx, step: &'static str) -> Result<Tx, StepError> {
        let held = tx
            .exec(
                "UPDATE operations SET step = $1, finished_at = $2, lease_owner = NULL, lease_until = 0 \
                 WHERE id = $3 AND lease_owner = $4 AND nudges = $5 AND finished_at IS NULL",
                args![step, self.now(), self.operation, &*self.owner, self.nudges],
            )
            .await?;
        if held == 1 {
            self.note(Noted {
                step: Some(step),
                ended: true,
                ..Noted::default()
            });
            return Ok(tx);
        }
        Err(self.not_as_it_was(&mut tx).await?)
    }

    /// Why an operation is not as its step knows it.
    async fn not_as_it_was(&self, tx: &mut Tx) -> Result<StepError, StepError> {
        let ours = tx
            .fetch_opt::<i64>(
                "SELECT nudges FROM operations WHERE id = $1 AND lease_owner = $2 AND finished_at IS NULL",
                args![self.operation, &*self.owner],
            )
            .await?;
        Ok(ours.map_or(StepError::LeaseLost, |_nudges| StepError::News))
    }

    /// Whether somebody had news since the step began, which it may have looked too early to see. For
    /// [`Reconcile::failed`](crate::Reconcile::failed), in the transaction that it is given: news do not keep an operation
    /// from failing, and what comes after this transaction finds the operation ended.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn has_news(&self, tx: &mut Tx) -> Result<bool, nephos_db::Error> {
        let nudges = tx
            .fetch_opt::<i64>(
                "SELECT nudges FROM operations WHERE id = $1",
                args![self.operation],
            )
            .await?;
        Ok(nudges.is_some_and(|nudges| nudges != self.nudges))
    }

    /// Ends the operation for good; news do not change that.
    pub(crate) async fn end(&self, step: &'static str, error: &str) -> Result<Tx, StepError> {
        let mut tx = self.db.write().await?;
        let held = tx
            .exec(
                "UPDATE operations SET step = $1, finished_at = $2, error = $3, lease_owner = NULL, lease_until = 0 \
                 WHERE id = $4 AND lease_owner = $5 AND finished_at IS NULL",
                args![step, self.now(), error, self.operation, &*self.owner],
            )
            .await?;
        if held == 1 {
            Ok(tx)
        } else {
            Err(StepError::LeaseLost)
        }
    }
}
