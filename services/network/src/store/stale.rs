//! Documents that are to be rewritten soon.

use nephos_db::{Db, Tx, args};
use nephos_types::{Timestamp, Wake};

use crate::store::{Pair, Result};

/// Who rewrites them listens here.
pub(crate) const TOPIC: &str = "network.stale";

/// Has a shared document rewritten once this transaction is committed.
pub(crate) async fn mark(
    tx: &mut Tx,
    now: Timestamp,
    kind: &str,
    id: &str,
) -> Result<(), nephos_db::Error> {
    tx.exec(
        "INSERT INTO stale (kind, id, since) VALUES ($1, $2, $3) ON CONFLICT (kind, id) DO NOTHING",
        args![kind, id, now],
    )
    .await?;
    tx.wake(Wake::new(TOPIC, ""));
    Ok(())
}

/// What is to be rewritten, oldest first; a thousand at the most.
pub(crate) async fn all(db: &Db) -> Result<Vec<Pair>, nephos_db::Error> {
    db.fetch_all(
        "SELECT kind AS a, id AS b FROM stale ORDER BY since, id LIMIT 1000",
        args![],
    )
    .await
}

/// Takes one; the transaction that rewrites it begins with this, so that a later mark is not lost.
pub(crate) async fn take(tx: &mut Tx, kind: &str, id: &str) -> Result<bool, nephos_db::Error> {
    let sql = "DELETE FROM stale WHERE kind = $1 AND id = $2";
    Ok(tx.exec(sql, args![kind, id]).await? > 0)
}
