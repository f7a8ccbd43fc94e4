//! What hosts are to be told soon, once for many changes.
//!
//! Each mark is a row of its own: a thousand ports that are made in one network at once leave a thousand marks, and none
//! waits for another. Whoever takes a mark reads what it is about in the same transaction, after it: what left the mark
//! was committed with it.

use nephos_db::{Arg, Db, Error, Tx, Where, args};
use nephos_types::{Timestamp, Wake};

use crate::model::spec::{KIND_NETWORK, KIND_PORT};
use crate::store::Pair;

/// Who rewrites them listens here.
pub(crate) const TOPIC: &str = "network.stale";
/// A network's document on a host, `NETWORK/HOST`, that may be wanted there no more.
pub(crate) const NETWORK_LEFT: &str = "network_left";
/// As above, of a security group.
pub(crate) const GROUP_LEFT: &str = "group_left";
/// How fast a port's packets pass may be something else.
pub(crate) const LIMITS: &str = "limits";
/// Marks looked at at a time.
const AT_ONCE: i64 = 5000;

/// Has a thing looked at once this transaction is committed.
pub(crate) async fn mark(tx: &mut Tx, now: Timestamp, kind: &str, id: &str) -> Result<(), Error> {
    mark_all(tx, now, &[(kind, id)]).await
}

/// Has things, by kind and id, looked at once this transaction is committed.
pub(crate) async fn mark_all(
    tx: &mut Tx,
    now: Timestamp,
    things: &[(&str, &str)],
) -> Result<(), Error> {
    if things.is_empty() {
        return Ok(());
    }
    let marks = things
        .iter()
        .map(|(kind, id)| args![fresh(), kind, id, now]);
    let marks: Vec<Vec<Arg>> = marks.collect();
    let insert = "INSERT INTO stale (mark, kind, id, since)";
    tx.exec_rows(insert, &marks, "").await?;
    tx.wake(Wake::new(TOPIC, ""));
    Ok(())
}

/// A host may want a document of this kind no more.
pub(crate) async fn left(
    tx: &mut Tx,
    now: Timestamp,
    (kind, id): (&str, &str),
    host: &str,
) -> Result<(), Error> {
    let kind = match kind {
        KIND_NETWORK => NETWORK_LEFT,
        _security_group => GROUP_LEFT,
    };
    mark(tx, now, kind, &format!("{id}/{host}")).await
}

/// All ports of a host are reached by another way.
pub(crate) async fn host_moved(tx: &mut Tx, now: Timestamp, host: &str) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO stale (mark, kind, id, since) SELECT $1 || id, $2, id, $3 FROM ports WHERE host = $4",
        args![fresh(), KIND_PORT, now, host],
    )
    .await?;
    tx.wake(Wake::new(TOPIC, ""));
    Ok(())
}

/// Marks ports whose packets may pass at another rate: those that `marks` chooses, by the id of what has changed.
pub(crate) async fn limits(
    tx: &mut Tx,
    now: Timestamp,
    marks: &'static str,
    of: &str,
) -> Result<(), Error> {
    if tx.exec(marks, args![fresh(), LIMITS, now, of]).await? > 0 {
        tx.wake(Wake::new(TOPIC, ""));
    }
    Ok(())
}

/// Marks the ports whose membership of a group is told to hosts and should not be, or the other way round.
pub(crate) async fn members(tx: &mut Tx, now: Timestamp, group: &str) -> Result<(), Error> {
    let unknown = "INSERT INTO stale (mark, kind, id, since) SELECT $1 || g.port_id, $2, g.port_id, $3 FROM port_groups g \
         WHERE g.security_group_id = $4 AND EXISTS (SELECT 1 FROM security_group_rules r WHERE r.remote_group_id = $4) \
         AND NOT EXISTS (SELECT 1 FROM feed_entries e WHERE e.kind = 'member' AND e.list = $4 \
         AND e.name = g.port_id AND e.spec IS NOT NULL)";
    let unnamed = "INSERT INTO stale (mark, kind, id, since) SELECT $1 || e.name, $2, e.name, $3 FROM feed_entries e \
         WHERE e.kind = 'member' AND e.list = $4 AND e.spec IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM security_group_rules r WHERE r.remote_group_id = $4)";
    let mut marked = 0;
    for sql in [unknown, unnamed] {
        marked += tx.exec(sql, args![fresh(), KIND_PORT, now, group]).await?;
    }
    if marked > 0 {
        tx.wake(Wake::new(TOPIC, ""));
    }
    Ok(())
}

/// No two marks are the same row.
fn fresh() -> String {
    format!("{}/", nephos_runtime::ids::hex())
}

/// What is to be looked at, oldest first; some thousands at the most.
pub(crate) async fn all(db: &Db) -> Result<Vec<Pair>, Error> {
    db.fetch_all(
        "SELECT kind AS a, id AS b FROM stale GROUP BY kind, id ORDER BY MIN(since), kind, id LIMIT $1",
        args![AT_ONCE],
    )
    .await
}

/// Takes the marks of things of a kind that there are, as [`take`].
pub(crate) async fn take_all(tx: &mut Tx, kind: &str, ids: &[String]) -> Result<(), Error> {
    let marks = Where::new("DELETE FROM stale").eq("kind", kind);
    tx.exec_where(&marks.in_("id", ids)).await?;
    Ok(())
}

/// Takes the marks of a thing that there are. What it is about is read after it.
pub(crate) async fn take(tx: &mut Tx, kind: &str, id: &str) -> Result<(), Error> {
    let sql = "DELETE FROM stale WHERE kind = $1 AND id = $2";
    tx.exec(sql, args![kind, id]).await?;
    Ok(())
}
