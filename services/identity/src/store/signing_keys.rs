//! The keys that sign tokens, oldest first.

use nephos_auth::PublicKey;
use nephos_db::{Db, Error, FromRow, Row, Tx, args};

use crate::model::key::Key;

impl FromRow for Key {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            number: row.get("number")?,
            kid: row.get("kid")?,
            point: row.get("point")?,
            sealed: row.get("sealed")?,
            created_at: row.get("created_at")?,
        })
    }
}

impl From<&Key> for PublicKey {
    fn from(key: &Key) -> Self {
        Self {
            kid: key.kid.clone(),
            point: key.point.clone(),
        }
    }
}

/// All of them, oldest first.
pub(crate) async fn list(db: &Db) -> Result<Vec<Key>, Error> {
    db.fetch_all(
        "SELECT number, kid, point, sealed, created_at FROM signing_keys ORDER BY number",
        args![],
    )
    .await
}

/// All of them inside a transaction that changes them.
pub(crate) async fn list_in(tx: &mut Tx) -> Result<Vec<Key>, Error> {
    tx.fetch_all(
        "SELECT number, kid, point, sealed, created_at FROM signing_keys ORDER BY number",
        args![],
    )
    .await
}

/// A new one; of two processes that add the same number, one is refused.
pub(crate) async fn insert(tx: &mut Tx, key: &Key) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO signing_keys (number, kid, point, sealed, created_at) VALUES ($1, $2, $3, $4, $5)",
        args![
            key.number,
            key.kid,
            key.point,
            key.sealed,
            key.created_at
        ],
    )
    .await?;
    Ok(())
}

/// It checks nothing any more.
pub(crate) async fn remove(tx: &mut Tx, number: i64) -> Result<(), Error> {
    tx.exec("DELETE FROM signing_keys WHERE number = $1", args![number])
        .await?;
    Ok(())
}
