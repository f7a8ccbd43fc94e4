//! Whose turn an operation is. Each statement says in its own condition what must hold, so none is in another's way.
//!
//! A lease lasts a few seconds and is renewed by the beat of the process that has it: what a dead process had in hand
//! is taken over that soon.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nephos_db::{Db, Error, FromRow, Row, Where, args};
use nephos_runtime::Clock;
use nephos_types::{Timestamp, Wake};

use crate::Operation;

/// A worker that has not renewed a lease for this long has lost it. Clocks of machines must agree to well within it.
pub(crate) const LEASE: Duration = Duration::from_secs(4);
/// A worker renews what it has in hand this often.
pub(crate) const BEAT: Duration = Duration::from_secs(1);
/// Operations looked up at once.
pub(crate) const BATCH: i64 = 256;

/// The leases of one worker.
#[derive(Clone)]
pub(crate) struct Leases {
    pub db: Db,
    pub clock: Clock,
    pub owner: Arc<str>,
    pub topic: &'static str,
}

/// An operation that could be leased.
pub(crate) struct Due {
    pub id: String,
    pub waits_for: Option<String>,
}

impl FromRow for Due {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            waits_for: row.get("waits_for")?,
        })
    }
}

/// How an operation stands whose lease was ours.
pub(crate) enum Standing {
    /// It still is.
    Ours,
    /// It is, and somebody ended the operation.
    Superseded,
    /// It is not.
    LetGo,
}

struct Held {
    id: String,
    finished_at: Option<Timestamp>,
}

impl FromRow for Held {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            finished_at: row.get("finished_at")?,
        })
    }
}

impl Leases {
    fn until(&self) -> Timestamp {
        self.clock.now().plus(LEASE)
    }

    /// What could be leased now.
    pub(crate) async fn due(&self) -> Result<Vec<Due>, Error> {
        let sql = "SELECT id, waits_for FROM operations WHERE finished_at IS NULL AND run_at <= $1 AND lease_until < $1 \
             AND NOT EXISTS (SELECT 1 FROM operations AS before WHERE before.id = operations.waits_for \
             AND before.lease_owner IS NOT NULL AND before.lease_until >= $1) ORDER BY run_at, id LIMIT $2";
        self.db.fetch_all(sql, args![self.clock.now(), BATCH]).await
    }

    /// When the next operation could be leased.
    pub(crate) async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT CASE WHEN due < before_until THEN before_until + 1 ELSE due END AS at FROM \
             (SELECT CASE WHEN o.run_at <= o.lease_until THEN o.lease_until + 1 ELSE o.run_at END AS due, \
             CASE WHEN b.lease_owner IS NULL THEN 0 ELSE b.lease_until END AS before_until \
             FROM operations AS o LEFT JOIN operations AS b ON b.id = o.waits_for \
             WHERE o.finished_at IS NULL) AS live ORDER BY at LIMIT 1";
        let next = self.db.fetch_opt::<i64>(sql, args![]).await?;
        Ok(next.map(Timestamp))
    }

    /// Takes those of `ids` that are free, in one statement.
    pub(crate) async fn claim(&self, ids: &[&str]) -> Result<Vec<Operation>, Error> {
        let (until, now) = (self.until(), self.clock.now());
        let take = Where::given(
            "UPDATE operations SET lease_owner = $1, lease_until = $2",
            args![&*self.owner, until],
        );
        let take = take.in_("id", ids).lt("lease_until", now);
        let take = take.is_null("finished_at").tail(
            "RETURNING id, kind, resource_id, step, args, caller, request_id, attempt, deadline, created_at, \
             finished_at, nudges",
        );
        self.db.fetch_alone(&take).await
    }

    /// How an operation stands whose lease was ours.
    pub(crate) async fn standing(&self, op: &Operation) -> Result<Standing, Error> {
        let sql = "SELECT id, finished_at FROM operations WHERE id = $1 AND lease_owner = $2";
        let held = self
            .db
            .fetch_opt::<Held>(sql, args![op.id, &*self.owner])
            .await?;
        Ok(match held.map(|held| held.finished_at) {
            None => Standing::LetGo,
            Some(None) => Standing::Ours,
            Some(Some(_)) => Standing::Superseded,
        })
    }

    /// The operation as the step left it; none: it is not ours any more.
    pub(crate) async fn reload(&self, op: &Operation) -> Result<Option<Operation>, Error> {
        self.db
            .fetch_opt(
                "SELECT id, kind, resource_id, step, args, caller, request_id, attempt, deadline, created_at, \
                 finished_at, nudges FROM operations WHERE id = $1 AND lease_owner = $2 AND finished_at IS NULL",
                args![op.id, &*self.owner],
            )
            .await
    }

    /// Renews the leases of `ids`; gives those that are not as they were. The lease of an operation that was superseded
    /// is renewed too: what superseded it waits until its step has come to its end.
    pub(crate) async fn renew(&self, ids: &[String]) -> Result<Vec<(String, Standing)>, Error> {
        let renew = Where::given(
            "UPDATE operations SET lease_until = $1",
            args![self.until()],
        );
        let renew = renew.in_("id", ids).eq("lease_owner", &*self.owner);
        let renew = renew.tail("RETURNING id, finished_at");
        let held: Vec<Held> = self.db.fetch_alone(&renew).await?;
        let held: HashMap<String, Option<Timestamp>> = held
            .into_iter()
            .map(|held| (held.id, held.finished_at))
            .collect();
        let changed = ids.iter().filter_map(|id| match held.get(id) {
            None => Some((id.clone(), Standing::LetGo)),
            Some(Some(_)) => Some((id.clone(), Standing::Superseded)),
            Some(None) => None,
        });
        Ok(changed.collect())
    }

    /// Gives the lease back until `until`, with so many failed tries. False: there was news meanwhile, and the lease is
    /// kept (or lost, which the next look at the row finds out).
    pub(crate) async fn rest(
        &self,
        op: &Operation,
        until: Timestamp,
        attempt: i64,
    ) -> Result<bool, Error> {
        let resting = self
            .db
            .exec_alone(
                "UPDATE operations SET run_at = $1, attempt = $2, lease_owner = NULL, lease_until = 0 \
                 WHERE id = $3 AND lease_owner = $4 AND nudges = $5 AND finished_at IS NULL",
                args![until, attempt, op.id, &*self.owner, op.nudges],
            )
            .await?;
        Ok(resting > 0)
    }

    /// Releases the lease of an operation that was superseded under us: what superseded it waits for that.
    pub(crate) async fn let_go(&self, op: &Operation) -> Result<(), Error> {
        let mut tx = self.db.guarded().await?;
        let released = tx
            .exec(
                "UPDATE operations SET lease_owner = NULL, lease_until = 0 \
                 WHERE id = $1 AND lease_owner = $2 AND finished_at IS NOT NULL",
                args![op.id, &*self.owner],
            )
            .await?;
        if released > 0 {
            tx.wake(Wake::new(self.topic, ""));
        }
        tx.commit().await
    }

    /// Forgets operations that ended before `before`.
    pub(crate) async fn prune(&self, before: Timestamp) -> Result<(), Error> {
        let sql = "DELETE FROM operations WHERE finished_at < $1";
        self.db.exec_alone(sql, args![before]).await.map(|_| ())
    }

    /// Takes every lease from whoever has it.
    pub(crate) async fn take_all(&self) -> Result<(), Error> {
        let mut tx = self.db.guarded().await?;
        let sql = "UPDATE operations SET lease_owner = NULL, lease_until = 0 WHERE lease_owner IS NOT NULL";
        tx.exec(sql, args![]).await?;
        tx.commit().await
    }
}
