//! Signals that came for resources.

use std::collections::BTreeSet;

use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;
use serde_json::Value;

use super::json as parsed;
use crate::model::stack::ResourceId;

/// A signal.
#[derive(Clone, Debug)]
pub(crate) struct Signal {
    pub name: String,
    pub status: String,
    pub reason: String,
    pub data: Value,
}

impl Signal {
    /// One that nobody had to send.
    pub fn silent(name: String) -> Self {
        Self {
            reason: format!("Signal {name} received"),
            name,
            status: "SUCCESS".to_owned(),
            data: Value::Null,
        }
    }
}

impl FromRow for Signal {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.get("name")?,
            status: row.get("status")?,
            reason: row.get("reason")?,
            data: parsed(row, "data")?,
        })
    }
}

/// All of a resource, oldest first.
pub(crate) async fn of_resource(db: &Db, id: &ResourceId) -> Result<Vec<Signal>, Error> {
    let sql = "SELECT name, status, reason, data FROM signals WHERE resource_id = $1 ORDER BY created_at, name";
    db.fetch_all(sql, args![id]).await
}

/// The names of all of a resource.
pub(crate) async fn names(tx: &mut Tx, id: &ResourceId) -> Result<BTreeSet<String>, Error> {
    let sql = "SELECT name FROM signals WHERE resource_id = $1";
    let names = tx.fetch_all::<String>(sql, args![id]).await?;
    Ok(names.into_iter().collect())
}

/// Takes a signal; one of the same name is replaced.
pub(crate) async fn put(
    tx: &mut Tx,
    id: &ResourceId,
    signal: &Signal,
    now: Timestamp,
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO signals (resource_id, name, status, reason, data, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (resource_id, name) DO UPDATE SET status = excluded.status, reason = excluded.reason, data = excluded.data",
        args![id, signal.name, signal.status, signal.reason, signal.data.to_string(), now],
    )
    .await?;
    Ok(())
}
