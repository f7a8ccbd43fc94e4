//! Aggregates in SQL, and the zones that hosts are in because of them.

use std::collections::BTreeMap;

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;

use super::{json, parsed};

/// The key of an aggregate's metadata that makes it a zone.
pub(crate) const ZONE: &str = "availability_zone";

/// A set of hosts.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub id: i64,
    pub uuid: String,
    pub name: String,
    pub metadata: BTreeMap<String, String>,
    pub hosts: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
}

impl Aggregate {
    /// The zone that its hosts are in.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.metadata.get(ZONE).map(String::as_str)
    }
}

impl FromRow for Aggregate {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            uuid: row.get("uuid")?,
            name: row.get("name")?,
            metadata: parsed(&row.get::<String>("metadata")?)?,
            hosts: Vec::new(),
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

const SELECT: &str = "SELECT id, uuid, name, metadata, created_at, updated_at FROM aggregates";

struct Has(i64, String);

impl FromRow for Has {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("aggregate_id")?, row.get("host")?))
    }
}

const HOSTS: &str = "SELECT aggregate_id, host FROM aggregate_hosts ORDER BY aggregate_id, host";

fn joined(mut all: Vec<Aggregate>, hosts: Vec<Has>) -> Vec<Aggregate> {
    let mut by: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for Has(id, host) in hosts {
        by.entry(id).or_default().push(host);
    }
    for one in &mut all {
        one.hosts = by.remove(&one.id).unwrap_or_default();
    }
    all.sort_by_key(|one| one.id);
    all
}

/// All of them with their hosts.
pub(crate) async fn list(db: &Db) -> Result<Vec<Aggregate>, Error> {
    let all = db.fetch_where(&Where::new(SELECT)).await?;
    Ok(joined(all, db.fetch_all(HOSTS, args![]).await?))
}

/// The same within a transaction. Whoever changes aggregates begins with [`begin`].
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Aggregate>, Error> {
    let all = tx.fetch_where(&Where::new(SELECT)).await?;
    Ok(joined(all, tx.fetch_all(HOSTS, args![]).await?))
}

/// Whoever changes aggregates stands in line here: what one says about zones holds for all of them together.
pub(crate) async fn begin(tx: &mut Tx) -> Result<(), Error> {
    let sql = "UPDATE counters SET value = value WHERE name = $1";
    tx.exec(sql, args!["aggregates"]).await?;
    Ok(())
}

/// Inserts one under the next number, which it gives.
pub(crate) async fn insert(tx: &mut Tx, new: &Aggregate) -> Result<i64, Error> {
    let id: i64 = tx
        .fetch_scalar(
            "UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value",
            args!["aggregates"],
        )
        .await?;
    tx.exec(
        "INSERT INTO aggregates (id, uuid, name, metadata, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, NULL)",
        args![id, new.uuid, new.name, json(&new.metadata)?, new.created_at],
    )
    .await?;
    Ok(id)
}

/// Writes name and metadata.
pub(crate) async fn update(tx: &mut Tx, one: &Aggregate) -> Result<(), Error> {
    tx.exec(
        "UPDATE aggregates SET name = $1, metadata = $2, updated_at = $3 WHERE id = $4",
        args![one.name, json(&one.metadata)?, one.updated_at, one.id],
    )
    .await?;
    Ok(())
}

/// Removes an empty one.
pub(crate) async fn remove(tx: &mut Tx, id: i64) -> Result<(), Error> {
    tx.exec("DELETE FROM aggregates WHERE id = $1", args![id])
        .await?;
    Ok(())
}

pub(crate) async fn add_host(tx: &mut Tx, id: i64, host: &str) -> Result<(), Error> {
    let sql = "INSERT INTO aggregate_hosts (aggregate_id, host) VALUES ($1, $2)";
    tx.exec(sql, args![id, host]).await?;
    Ok(())
}

pub(crate) async fn remove_host(tx: &mut Tx, id: i64, host: &str) -> Result<(), Error> {
    let sql = "DELETE FROM aggregate_hosts WHERE aggregate_id = $1 AND host = $2";
    tx.exec(sql, args![id, host]).await?;
    Ok(())
}

/// Puts a host, and what is on it, into a zone.
pub(crate) async fn set_zone(tx: &mut Tx, host: &str, zone: &str) -> Result<(), Error> {
    for sql in [
        "UPDATE hosts SET zone = $1 WHERE host = $2",
        "UPDATE servers SET zone = $1 WHERE host = $2",
    ] {
        tx.exec(sql, args![zone, host]).await?;
    }
    Ok(())
}

/// The zone a host is in; none when there is no such host.
pub(crate) async fn zone_of(tx: &mut Tx, host: &str) -> Result<Option<String>, Error> {
    tx.fetch_opt("SELECT zone FROM hosts WHERE host = $1", args![host])
        .await
}

/// Whether servers are on a host.
pub(crate) async fn is_used(tx: &mut Tx, host: &str) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM servers WHERE host = $1";
    Ok(tx.fetch_scalar::<i64>(sql, args![host]).await? > 0)
}

/// Whether servers are on a host that asked for another zone than this.
pub(crate) async fn holds_others(tx: &mut Tx, host: &str, zone: &str) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM servers WHERE host = $1 AND wanted_zone IS NOT NULL AND wanted_zone <> $2";
    Ok(tx.fetch_scalar::<i64>(sql, args![host, zone]).await? > 0)
}
