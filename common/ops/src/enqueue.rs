//! How work begins: in the transaction of the request that wants it.

use nephos_auth::Caller;
use nephos_db::{Arg, Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::{RequestId, Timestamp, Wake};
use serde_json::Value;

use crate::{Operation, OperationId};

/// Work that ends whenever it is about to be told is waited for so often.
const NUDGES: u32 = 8;

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
        .fetch_opt::<Ended>(
            "UPDATE operations SET finished_at = $1, error = $2 \
             WHERE resource_id = $3 AND finished_at IS NULL RETURNING id, waits_for, lease_owner",
            args![now, format!("superseded by {}", new.kind), new.resource_id],
        )
        .await?;
    let waits_for = ended.and_then(Ended::left_behind);
    insert(tx, now, new, waits_for).await
}

/// What was superseded.
struct Ended {
    id: String,
    waits_for: Option<String>,
    leased: bool,
}

impl Ended {
    /// The operation whose step may still be under way: this one's, or, if it never came to its turn, that of what it
    /// waited for itself.
    fn left_behind(self) -> Option<String> {
        if self.leased {
            Some(self.id)
        } else {
            self.waits_for
        }
    }
}

impl FromRow for Ended {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            waits_for: row.get("waits_for")?,
            leased: row.get::<Option<String>>("lease_owner")?.is_some(),
        })
    }
}

async fn insert(
    tx: &mut Tx,
    now: Timestamp,
    new: New<'_>,
    waits_for: Option<String>,
) -> Result<OperationId, EnqueueError> {
    let id = OperationId::from(nephos_runtime::ids::uuid());
    let row = row(&id, now, &new, waits_for)?;
    let inserted = tx
        .exec_rows(INSERT, &[row], "ON CONFLICT DO NOTHING")
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

/// Begins work on resources that the same transaction makes, so that nothing else can be under way on them.
///
/// # Errors
/// As [`enqueue`].
pub async fn enqueue_new(tx: &mut Tx, now: Timestamp, all: &[New<'_>]) -> Result<(), EnqueueError> {
    let mut rows = Vec::new();
    for new in all {
        let id = OperationId::from(nephos_runtime::ids::uuid());
        rows.push(row(&id, now, new, None)?);
        tx.wake(Wake::new(new.topic, id.as_str()));
    }
    tx.exec_rows(INSERT, &rows, "").await?;
    Ok(())
}

const INSERT: &str = "INSERT INTO operations (id, kind, resource_id, step, args, caller, request_id, run_at, nudges, \
     waits_for, lease_until, attempt, deadline, created_at)";

/// A row of [`INSERT`].
fn row(
    id: &OperationId,
    now: Timestamp,
    new: &New<'_>,
    waits_for: Option<String>,
) -> Result<Vec<Arg>, EnqueueError> {
    Ok(args![
        id,
        new.kind,
        new.resource_id,
        "start",
        serde_json::to_string(&new.args)?,
        serde_json::to_string(new.caller)?,
        new.request_id,
        now,
        0,
        waits_for,
        0,
        0,
        now.plus_secs(new.deadline_secs),
        now,
    ])
}

/// Tells the live operation of a resource that there is news: it looks again at once. False: there is none, and nobody
/// was told.
///
/// # Errors
/// When the database refuses.
pub async fn nudge(
    tx: &mut Tx,
    now: Timestamp,
    topic: &'static str,
    resource_id: &str,
) -> Result<bool, Error> {
    Ok(nudge_all(tx, now, topic, &[resource_id]).await? > 0)
}

/// As [`nudge`], for several resources; how many were told.
///
/// # Errors
/// When the database refuses.
pub async fn nudge_all(
    tx: &mut Tx,
    now: Timestamp,
    topic: &'static str,
    resource_ids: &[&str],
) -> Result<usize, Error> {
    if resource_ids.is_empty() {
        return Ok(0);
    }
    let change = Where::given(
        "UPDATE operations SET nudges = nudges + 1, run_at = $1",
        args![now],
    );
    let change = change.in_("resource_id", resource_ids.iter().copied());
    let change = change.is_null("finished_at").tail("RETURNING id");
    let told: Vec<String> = tx.fetch_where(&change).await?;
    let count = told.len();
    for id in told {
        tx.wake(Wake::new(topic, id));
    }
    Ok(count)
}

/// Begins work, or tells the same kind of work that is under way that there is news: either way somebody looks at the
/// resource after this transaction.
///
/// # Errors
/// [`EnqueueError::Busy`] when work of another kind is live; the transaction stays usable.
pub async fn enqueue_or_nudge(
    tx: &mut Tx,
    now: Timestamp,
    new: New<'_>,
) -> Result<(), EnqueueError> {
    let mut tries = 0;
    loop {
        let busy = match enqueue(tx, now, new.clone()).await {
            Ok(_begun) => return Ok(()),
            Err(EnqueueError::Busy { kind }) => kind,
            Err(why) => return Err(why),
        };
        tries += 1;
        // No kind: what was in the way has ended since.
        let same = busy == new.kind || busy.is_empty();
        if !same || tries > NUDGES {
            return Err(EnqueueError::Busy { kind: busy });
        }
        if nudge(tx, now, new.topic, new.resource_id).await? {
            return Ok(());
        }
    }
}

/// The live operation of a resource.
///
/// # Errors
/// When the database refuses.
pub async fn live(db: &Db, resource_id: &str) -> Result<Option<Operation>, Error> {
    db.fetch_opt(LIVE, args![resource_id]).await
}

/// Likewise, inside a transaction that decides by it.
///
/// # Errors
/// When the database refuses.
pub async fn live_in(tx: &mut Tx, resource_id: &str) -> Result<Option<Operation>, Error> {
    tx.fetch_opt(LIVE, args![resource_id]).await
}

const LIVE: &str = "SELECT id, kind, resource_id, step, args, caller, request_id, attempt, deadline, created_at, \
     finished_at, nudges FROM operations WHERE resource_id = $1 AND finished_at IS NULL";
