//! Policy documents.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};

use super::{json, parse};
use crate::model::catalog::PolicyDocument;

const SELECT: &str = "SELECT id, type, blob, extra FROM policies";

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
    Ok(db
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .pop())
}

/// Every document.
pub(crate) async fn list(db: &Db) -> Result<Vec<PolicyDocument>, Error> {
    db.fetch_where(&Where::new(SELECT).tail("ORDER BY id"))
        .await
}

/// A new row.
pub(crate) async fn insert(tx: &mut Tx, policy: &PolicyDocument) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO policies (id, type, blob, extra) VALUES ($1, $2, $3, $4)",
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

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update(
    tx: &mut Tx,
    before: &PolicyDocument,
    policy: &PolicyDocument,
) -> Result<(), Error> {
    let row = Where::new(SELECT).eq("id", &policy.id);
    tx.still(&row, before).await?;
    tx.exec(
        "UPDATE policies SET type = $1, blob = $2, extra = $3 WHERE id = $4",
        args![
            policy.kind,
            json(&policy.blob),
            json(&policy.extra),
            policy.id
        ],
    )
    .await?;
    Ok(())
}

/// Removes it.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec_some("DELETE FROM policies WHERE id = $1", args![id])
        .await?;
    Ok(())
}
