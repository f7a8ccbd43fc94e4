//! Hosts in SQL.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;

use super::{json, parsed};
use crate::model::spec::HostInventory;

/// A host as this service knows it.
#[derive(Clone, Debug)]
pub(crate) struct HostRow {
    pub host: String,
    /// By which it was known below 2.53.
    pub number: i64,
    /// Id of its nova-compute service in the API.
    pub service_id: String,
    /// Its resource provider; also its hypervisor id.
    pub provider_id: String,
    pub inventory: HostInventory,
    /// The inventory that placement was told last; empty: never.
    pub registered: String,
    pub zone: String,
    pub disabled: bool,
    pub disabled_reason: Option<String>,
    pub forced_down: bool,
    pub seen_at: Timestamp,
    pub updated_at: Timestamp,
}

impl FromRow for HostRow {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            host: row.get("host")?,
            number: row.get("number")?,
            service_id: row.get("service_id")?,
            provider_id: row.get("provider_id")?,
            inventory: parsed(&row.get::<String>("inventory")?)?,
            registered: row.get("registered")?,
            zone: row.get("zone")?,
            disabled: row.get("disabled")?,
            disabled_reason: row.get("disabled_reason")?,
            forced_down: row.get("forced_down")?,
            seen_at: row.get("seen_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

impl HostRow {
    /// Whether it has reported lately and nobody declared it dead.
    pub(crate) fn is_up(&self, now: Timestamp, down_after_secs: i64) -> bool {
        !self.forced_down && self.seen_at.plus_secs(down_after_secs) > now
    }
}

pub(crate) async fn list(db: &Db) -> Result<Vec<HostRow>, Error> {
    db.fetch_all(
        "SELECT host, number, service_id, provider_id, inventory, registered, zone, disabled, disabled_reason, \
         forced_down, seen_at, updated_at FROM hosts ORDER BY host",
        args![],
    )
    .await
}

pub(crate) async fn get(db: &Db, host: &str) -> Result<Option<HostRow>, Error> {
    db.fetch_opt(
        "SELECT host, number, service_id, provider_id, inventory, registered, zone, disabled, disabled_reason, \
         forced_down, seen_at, updated_at FROM hosts WHERE host = $1",
        args![host],
    )
    .await
}

/// What scheduling asks of hosts: no inventory.
#[derive(Clone, Debug)]
pub(crate) struct HostState {
    pub host: String,
    pub provider_id: String,
    pub zone: String,
    pub disabled: bool,
    pub forced_down: bool,
    pub seen_at: Timestamp,
}

impl FromRow for HostState {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            host: row.get("host")?,
            provider_id: row.get("provider_id")?,
            zone: row.get("zone")?,
            disabled: row.get("disabled")?,
            forced_down: row.get("forced_down")?,
            seen_at: row.get("seen_at")?,
        })
    }
}

/// The hosts of these providers, or all.
pub(crate) async fn states(db: &Db, providers: Option<&[String]>) -> Result<Vec<HostState>, Error> {
    let query =
        Where::new("SELECT host, provider_id, zone, disabled, forced_down, seen_at FROM hosts");
    let query = match providers {
        Some(providers) => query.in_("provider_id", providers),
        None => query,
    };
    db.fetch_where(&query).await
}

/// The host of a provider, with its zone.
pub(crate) async fn of_provider(db: &Db, provider: &str) -> Result<Option<HostState>, Error> {
    let sql = "SELECT host, provider_id, zone, disabled, forced_down, seen_at FROM hosts WHERE provider_id = $1";
    db.fetch_opt(sql, args![provider]).await
}

/// Whether an operator declared that nothing runs on this host any more; of one that is not there, nothing does.
pub(crate) async fn is_fenced(db: &Db, host: &str) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM hosts WHERE host = $1 AND forced_down = $2";
    Ok(db.fetch_scalar::<i64>(sql, args![host, false]).await? == 0)
}

/// The zone of a host; none when it is not there.
pub(crate) async fn zone_of(tx: &mut Tx, host: &str) -> Result<Option<String>, Error> {
    tx.fetch_opt("SELECT zone FROM hosts WHERE host = $1", args![host])
        .await
}

/// The inventory that placement was told last.
pub(crate) async fn registered(tx: &mut Tx, host: &str) -> Result<Option<String>, Error> {
    tx.fetch_opt("SELECT registered FROM hosts WHERE host = $1", args![host])
        .await
}

/// Notes that those of these hosts that are known have reported.
pub(crate) async fn seen(tx: &mut Tx, now: Timestamp, hosts: &[&str]) -> Result<(), Error> {
    let change = Where::given("UPDATE hosts SET seen_at = $1", args![now]);
    tx.exec_where(&change.in_("host", hosts.iter().copied()))
        .await?;
    Ok(())
}

/// What a host says of itself. Its number is taken only when it joins, and two that join at once get two.
pub(crate) async fn put(
    tx: &mut Tx,
    now: Timestamp,
    inventory: &HostInventory,
    zone: &str,
    ids: (String, String),
) -> Result<(), Error> {
    let text = json(inventory)?;
    let known = tx
        .exec(
            "UPDATE hosts SET inventory = $1, seen_at = $2 WHERE host = $3",
            args![text, now, inventory.host],
        )
        .await?;
    if known > 0 {
        return Ok(());
    }
    // The counter's row is locked until the end of the transaction: whoever joins meanwhile waits for the next number.
    let number: i64 = tx
        .fetch_scalar(
            "UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value",
            args!["hosts"],
        )
        .await?;
    tx.exec(
        "INSERT INTO hosts (host, number, service_id, provider_id, inventory, registered, zone, disabled, \
         disabled_reason, forced_down, seen_at, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, '', $6, $7, NULL, $7, $8, $8, $8) ON CONFLICT (host) DO UPDATE SET \
         inventory = excluded.inventory, seen_at = excluded.seen_at",
        args![inventory.host, number, ids.0, ids.1, text, zone, false, now],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_registered(tx: &mut Tx, host: &str, registered: &str) -> Result<(), Error> {
    tx.exec(
        "UPDATE hosts SET registered = $1 WHERE host = $2",
        args![registered, host],
    )
    .await?;
    Ok(())
}

/// Takes a host out of service and says why, or takes it back.
pub(crate) async fn set_disabled(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    (disabled, reason): (bool, Option<&str>),
) -> Result<(), Error> {
    tx.exec_some(
        "UPDATE hosts SET disabled = $1, disabled_reason = $2, updated_at = $3 WHERE host = $4",
        args![disabled, reason, now, host],
    )
    .await?;
    Ok(())
}

/// Declares a host dead, or takes that back.
pub(crate) async fn set_forced_down(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    down: bool,
) -> Result<(), Error> {
    tx.exec_some(
        "UPDATE hosts SET forced_down = $1, updated_at = $2 WHERE host = $3",
        args![down, now, host],
    )
    .await?;
    Ok(())
}
