//! Revocations and the revisions that tell other processes to look again.

use nephos_auth::Revocation;
use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;

use super::{json, parse};

/// A revocation with the time when it was made.
pub(crate) struct Revoked {
    pub revocation: Revocation,
    pub revoked_at: Timestamp,
}

impl FromRow for Revoked {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            revocation: parse(row, "revocation")?,
            revoked_at: row.get("revoked_at")?,
        })
    }
}

/// Those whose tokens have not all expired.
pub(crate) async fn list(db: &Db, now: Timestamp) -> Result<Vec<Revoked>, Error> {
    db.fetch_all(
        "SELECT revocation, revoked_at FROM revocations WHERE expires_at > $1 ORDER BY revoked_at",
        args![now],
    )
    .await
}

/// A new one.
pub(crate) async fn insert(
    tx: &mut Tx,
    revocation: &Revocation,
    times: (Timestamp, Timestamp),
) -> Result<(), Error> {
    let (now, until) = times;
    tx.exec(
        "INSERT INTO revocations (id, revocation, revoked_at, expires_at) VALUES ($1, $2, $3, $4)",
        args![nephos_runtime::ids::hex(), json(revocation), now, until],
    )
    .await?;
    Ok(())
}

/// Removes those whose tokens have all expired.
pub(crate) async fn remove_expired(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    tx.exec("DELETE FROM revocations WHERE expires_at <= $1", args![now])
        .await?;
    Ok(())
}

/// One more change of `name`; gives its revision.
pub(crate) async fn bump(tx: &mut Tx, name: &str) -> Result<i64, Error> {
    tx.fetch_scalar(
        "UPDATE revisions SET value = value + 1 WHERE name = $1 RETURNING value",
        args![name],
    )
    .await
}

/// The revision of `name`.
pub(crate) async fn revision(db: &Db, name: &str) -> Result<i64, Error> {
    db.fetch_scalar("SELECT value FROM revisions WHERE name = $1", args![name])
        .await
}
