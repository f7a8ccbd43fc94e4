//! Policy documents.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};

use super::{json, parse};
use crate::model::catalog::PolicyDocument;

impl FromRow for PolicyDocument {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("type")?,
            blob: parse(row, "blob")?,
            extra: parse(row, "extra")?,
        })
    }
}

/// The document.
pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<PolicyDocument>, Error> {
    db.fetch_opt(
        "SELECT id, type, blob, extra FROM policies WHERE id = $1",
        args![id],
    )
    .await
}

/// Every document.
pub(crate) async fn list(db: &Db) -> Result<Vec<PolicyDocument>, Error> {
    db.fetch_all(
        "SELECT id, type, blob, extra FROM policies ORDER BY id",
        args![],
    )
    .await
}

/// A document as it is now, new or not.
pub(crate) async fn put(tx: &mut Tx, policy: &PolicyDocument) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO policies (id, type, blob, extra) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET type = excluded.type, blob = excluded.blob, \
         extra = excluded.extra",
        args![
            policy.id,
            policy.kind,
            json(&policy.blob),
            json(&policy.extra)
        ],
    )
    .await?;
    Ok(())
}

/// Removes it.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec("DELETE FROM policies WHERE id = $1", args![id])
        .await?;
    Ok(())
}
