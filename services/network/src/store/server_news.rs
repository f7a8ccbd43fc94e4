//! Servers whose addresses changed, until the compute service has been told.

use nephos_db::{Db, Error, Tx, args};
use nephos_types::{Timestamp, Wake};

use crate::store::Pair;

/// Who tells it listens here.
pub(crate) const TOPIC: &str = "network.server_news";

/// The addresses of the server behind a port have changed, if there is one.
pub(crate) async fn mark_port(tx: &mut Tx, now: Timestamp, port: &str) -> Result<(), Error> {
    let sql = "SELECT device_owner AS a, device_id AS b FROM ports WHERE id = $1";
    match tx.fetch_opt(sql, args![port]).await? {
        Some(Pair(owner, server)) if owner.starts_with("compute:") => mark(tx, now, &server).await,
        _no_server => Ok(()),
    }
}

/// The addresses of a server have changed.
pub(crate) async fn mark(tx: &mut Tx, now: Timestamp, server: &str) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO server_news (server_id, since) VALUES ($1, $2) \
         ON CONFLICT (server_id) DO UPDATE SET since = excluded.since",
        args![server, now],
    )
    .await?;
    tx.wake(Wake::new(TOPIC, ""));
    Ok(())
}

/// Some of what is to be told: servers, and since when.
pub(crate) async fn some(db: &Db) -> Result<Vec<(String, Timestamp)>, Error> {
    let sql = "SELECT server_id AS a, CAST(since AS TEXT) AS b FROM server_news ORDER BY since, server_id LIMIT 100";
    let rows: Vec<Pair> = db.fetch_all(sql, args![]).await?;
    let since = |text: String| Timestamp(text.parse().unwrap_or_default());
    Ok(rows
        .into_iter()
        .map(|Pair(server, at)| (server, since(at)))
        .collect())
}

/// It was told; what changed since then is still to be told.
pub(crate) async fn told(tx: &mut Tx, server: &str, since: Timestamp) -> Result<(), Error> {
    let sql = "DELETE FROM server_news WHERE server_id = $1 AND since = $2";
    tx.exec(sql, args![server, since]).await?;
    Ok(())
}
