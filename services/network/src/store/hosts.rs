//! Hosts, by what they tell of themselves.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;

use crate::model::spec::HostReport;
use crate::store::{Reader, Result, json, text};

/// A host that was silent for longer is taken for dead.
pub(crate) const ALIVE_SECS: i64 = 75;

/// A host.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub report: HostReport,
    pub admin_state_up: bool,
    pub description: String,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
}

impl Host {
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.seen_at.plus_secs(ALIVE_SECS) >= now
    }
}

impl FromRow for Host {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            report: json(row, "report")?,
            admin_state_up: row.get("admin_state_up")?,
            description: row.get("description")?,
            started_at: row.get("started_at")?,
            seen_at: row.get("seen_at")?,
        })
    }
}

pub(crate) async fn all(reader: &mut Reader<'_>) -> Result<Vec<Host>, Error> {
    let select = "SELECT report, admin_state_up, description, started_at, seen_at FROM hosts";
    reader.find(&Where::new(select).tail("ORDER BY host")).await
}

/// Notes what a host tells. Says whether others have to know: it is new, or its tunnel end moved.
pub(crate) async fn report(
    tx: &mut Tx,
    now: Timestamp,
    report: &HostReport,
) -> Result<bool, Error> {
    let vtep = report.vtep.to_string();
    let before: Option<String> = tx
        .fetch_opt("SELECT vtep FROM hosts WHERE host = $1", args![report.host])
        .await?;
    tx.exec(
        "INSERT INTO hosts (host, vtep, gateway, report, admin_state_up, description, started_at, seen_at) \
         VALUES ($1, $2, $3, $4, $5, '', $6, $6) ON CONFLICT (host) DO UPDATE SET vtep = excluded.vtep, \
         gateway = excluded.gateway, report = excluded.report, seen_at = excluded.seen_at",
        args![report.host, vtep, report.gateway, text(report)?, true, now],
    )
    .await?;
    Ok(before.as_deref() != Some(&vtep))
}

/// Notes that these hosts are alive; how many of them are known.
pub(crate) async fn seen(tx: &mut Tx, now: Timestamp, hosts: &[&str]) -> Result<u64, Error> {
    let change = Where::given("UPDATE hosts SET seen_at = $1", args![now]);
    tx.exec_where(&change.in_("host", hosts.iter().copied()))
        .await
}

/// What an operator says of a host.
pub(crate) async fn update(tx: &mut Tx, host: &Host) -> Result<(), Error> {
    tx.exec_some(
        "UPDATE hosts SET admin_state_up = $1, description = $2 WHERE host = $3",
        args![host.admin_state_up, host.description, host.report.host],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, host: &str) -> Result<(), Error> {
    tx.exec_some("DELETE FROM hosts WHERE host = $1", args![host])
        .await?;
    Ok(())
}

/// The live gateway host with the fewest routers.
pub(crate) async fn gateway(tx: &mut Tx, now: Timestamp) -> Result<Option<String>, Error> {
    tx.fetch_opt(
        "SELECT h.host FROM hosts h LEFT JOIN routers r ON r.host = h.host \
         WHERE h.gateway AND h.admin_state_up AND h.seen_at >= $1 \
         GROUP BY h.host ORDER BY COUNT(r.id), h.host LIMIT 1",
        args![now.plus_secs(-ALIVE_SECS)],
    )
    .await
}

/// Another live gateway host than this one, with the fewest routers.
pub(crate) async fn other_gateway(
    tx: &mut Tx,
    now: Timestamp,
    but: &str,
) -> Result<Option<String>, Error> {
    tx.fetch_opt(
        "SELECT h.host FROM hosts h LEFT JOIN routers r ON r.host = h.host \
         WHERE h.gateway AND h.admin_state_up AND h.seen_at >= $1 AND h.host <> $2 \
         GROUP BY h.host ORDER BY COUNT(r.id), h.host LIMIT 1",
        args![now.plus_secs(-ALIVE_SECS), but],
    )
    .await
}

/// The hosts that have something of a network.
pub(crate) async fn of_network(db: &Db, network: &str) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "SELECT DISTINCT host FROM ports WHERE network_id = $1 AND host <> '' ORDER BY host",
        args![network],
    )
    .await
}
