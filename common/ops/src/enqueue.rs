//! How work begins: in the transaction of the request that wants it.

use nephos_auth::Caller;
use nephos_db::{Db, Tx, args};
use nephos_types::{RequestId, Timestamp, Wake};
use serde_json::Value;

use crate::{Operation, OperationId};

/// Work to be done.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// The topic its service's workers listen to: `compute.ops`.
    pub topic: &'static str,
    /// Which reconciler drives it.
    pub kind: &'static str,
    /// The resource it works on.
    pub resource_id: &'a str,
    /// What was asked for.
    pub args: Value,
    /// Who asked.
    pub caller: &'a Caller,
    /// The request that asked.
    pub request_id: &'a RequestId,
    /// It is given up after so many seconds.
    pub deadline_secs: i64,
}

/// Why work does not begin.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// Other work on the resource is under way.
    #[error("{kind} is under way")]
    Busy {
        /// Its kind.
        kind: String,
    },
    /// The arguments or the caller cannot be stored.
    #[error("cannot store the operation")]
    Store(#[from] serde_json::Error),
    /// The database refused.
    #[error(transparent)]
    Db(#[from] nephos_db::Error),
}

/// Begins work, unless other work on the resource is live.
///
/// # Errors
/// [`EnqueueError::Busy`] names what is live; the transaction stays usable.
pub async fn enqueue(
    tx: &mut Tx,
    now: Timestamp,
    new: New<'_>,
) -> Result<OperationId, EnqueueError> {
    insert(tx, now, new, None).await
}

/// Begins work in place of whatever is live on the resource: that ends here, and this one takes its first step only
/// after the other's lease was released or ran out, so that no half-done step comes back behind its back.
///
/// # Errors
/// When the database refuses.
pub async fn supersede(
    tx: &mut Tx,
    now: Timestamp,
    new: New<'_>,
) -> Result<OperationId, EnqueueError> {
    let ended = tx
        .fetch_opt::<String>(
            "UPDATE operations SET finished_at = $1, error = $2 \
             WHERE resource_id = $3 AND finished_at IS NULL RETURNING id",
            args![now, format!("superseded by {}", new.kind), new.resource_id],
        )
        .await?;
    insert(tx, now, new, ended).await
}

async fn insert(
    tx: &mut Tx,
    now: Timestamp,
    new: New<'_>,
    waits_for: Option<String>,
) -> Result<OperationId, EnqueueError> {
    let id = OperationId::from(nephos_runtime::ids::uuid());
    let inserted = tx
        .exec(
            "INSERT INTO operations (id, kind, resource_id, step, args, caller, request_id, run_at, nudges, \
             waits_for, lease_owner, lease_until, attempt, deadline, created_at, finished_at, error) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, NULL, 0, 0, $10, $8, NULL, NULL) \
             ON CONFLICT DO NOTHING",
            args![
                id,
                new.kind,
                new.resource_id,
                "start",
                serde_json::to_string(&new.args)?,
                serde_json::to_string(new.caller)?,
                new.request_id,
                now,
                waits_for,
                now.plus_secs(new.deadline_secs),
            ],
        )
        .await?;
    if inserted == 0 {
        let live = "SELECT kind FROM operations WHERE resource_id = $1 AND finished_at IS NULL";
        let kind = tx.fetch_opt::<String>(live, args![new.resource_id]).await?;
        return Err(EnqueueError::Busy {
            kind: kind.unwrap_or_default(),
        });
    }
    tx.wake(Wake::new(new.topic, id.as_str()));
    Ok(id)
}

/// Tells the live operation of a resource that there is news: it looks again at once.
///
/// # Errors
/// When the database refuses.
pub async fn nudge(
    tx: &mut Tx,
    now: Timestamp,
    topic: &'static str,
    resource_id: &str,
) -> Result<(), nephos_db::Error> {
    let id = tx
        .fetch_opt::<String>(
            "UPDATE operations SET nudges = nudges + 1, run_at = $1 \
             WHERE resource_id = $2 AND finished_at IS NULL RETURNING id",
            args![now, resource_id],
        )
        .await?;
    if let Some(id) = id {
        tx.wake(Wake::new(topic, id));
    }
    Ok(())
}

/// The live operation of a resource.
///
/// # Errors
/// When the database refuses.
pub async fn live(db: &Db, resource_id: &str) -> Result<Option<Operation>, nephos_db::Error> {
    db.fetch_opt(
        "SELECT id, kind, resource_id, step, args, caller, request_id, attempt, deadline, created_at, \
         finished_at, nudges FROM operations WHERE resource_id = $1 AND finished_at IS NULL",
        args![resource_id],
    )
    .await
}
