//! Hosts, by what they tell of themselves.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;

use super::text;
use crate::model::spec::{HostReport, KIND_LOAD_BALANCER};

/// A poll says that a host is there; it is written down so often.
const NOTED_SECS: i64 = 30;

/// A host.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub host: String,
    pub seen_at: Timestamp,
    /// The version of its haproxy.
    pub haproxy: Option<String>,
    /// How many load balancers live on it.
    pub balancers: i64,
    /// Whether an operator wants none there.
    pub drained: bool,
}

impl Host {
    /// Whether it was heard of lately.
    pub(crate) fn lives(&self, now: Timestamp, down_after_secs: i64) -> bool {
        self.seen_at.plus_secs(down_after_secs) > now
    }
}

impl FromRow for Host {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            host: row.get("host")?,
            seen_at: row.get("seen_at")?,
            haproxy: row.get("haproxy")?,
            balancers: row.get("balancers")?,
            drained: row.get("drained")?,
        })
    }
}

/// All hosts that ever reported.
pub(crate) async fn all(db: &Db) -> Result<Vec<Host>, Error> {
    db.fetch_all(
        "SELECT h.host, h.seen_at, h.haproxy, h.drained, \
         (SELECT CAST(COUNT(*) AS BIGINT) FROM balancers b WHERE b.host = h.host) AS balancers FROM hosts h ORDER BY h.host",
        args![],
    )
    .await
}

/// How many load balancers a host has or is still told of: until another has one, it is not let go.
pub(crate) async fn count(db: &Db, host: &str) -> Result<i64, Error> {
    let found: Option<i64> = db
        .fetch_opt(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT id FROM balancers WHERE host = $1 UNION \
             SELECT id FROM feed_items WHERE host = $1 AND kind = $2 AND spec IS NOT NULL) AS here",
            args![host, KIND_LOAD_BALANCER],
        )
        .await?;
    Ok(found.unwrap_or_default())
}

/// Notes what a host says of itself.
pub(crate) async fn report(tx: &mut Tx, now: Timestamp, said: &HostReport) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO hosts (host, seen_at, haproxy, problems) VALUES ($1, $2, $3, $4) ON CONFLICT (host) DO UPDATE SET \
         seen_at = excluded.seen_at, haproxy = excluded.haproxy, problems = excluded.problems",
        args![said.host, now, said.haproxy, text(&said.problems)?],
    )
    .await?;
    Ok(())
}

/// Notes whether an operator wants no load balancers on a host; whether there is that host.
pub(crate) async fn drain(tx: &mut Tx, host: &str, drained: bool) -> Result<bool, Error> {
    let change = "UPDATE hosts SET drained = $1 WHERE host = $2";
    Ok(tx.exec(change, args![drained, host]).await? > 0)
}

/// Notes that a host was heard of, if that is news.
pub(crate) async fn seen(db: &Db, now: Timestamp, host: &str) -> Result<(), Error> {
    let before = now.plus_secs(-NOTED_SECS);
    let known: Option<i64> = db
        .fetch_opt(
            "SELECT seen_at FROM hosts WHERE host = $1 AND seen_at < $2",
            args![host, before],
        )
        .await?;
    if known.is_some() {
        let change = "UPDATE hosts SET seen_at = $1 WHERE host = $2 AND seen_at < $1";
        db.exec_alone(change, args![now, host]).await?;
    }
    Ok(())
}
