//! Servers whose addresses changed: compute is told once the transaction is committed, however often it takes.

use nephos_db::{Db, Error, Tx, args};
use nephos_types::{Timestamp, Wake};

/// Who tells compute listens here.
pub(crate) const TOPIC: &str = "network.news";

/// How many servers one call tells of.
const AT_ONCE: i64 = 100;

/// There is news for the server that this port is plugged into, if it is one.
pub(crate) async fn of_port(tx: &mut Tx, now: Timestamp, port: Option<&str>) -> Result<(), Error> {
    let noted = tx
        .exec(
            "INSERT INTO news (server_id, since, change) SELECT device_id, $1, 1 FROM ports WHERE id = $2 \
             AND device_id <> '' AND substr(device_owner, 1, 8) = 'compute:' \
             ON CONFLICT (server_id) DO UPDATE SET change = news.change + 1",
            args![now, port],
        )
        .await?;
    if noted > 0 {
        tx.wake(Wake::new(TOPIC, ""));
    }
    Ok(())
}

/// There is news for the servers whose ports have this security group: it is called something else now.
pub(crate) async fn of_group(tx: &mut Tx, now: Timestamp, group: &str) -> Result<(), Error> {
    let noted = tx
        .exec(
            "INSERT INTO news (server_id, since, change) SELECT DISTINCT device_id, $1, 1 FROM ports \
             JOIN port_groups ON port_groups.port_id = ports.id WHERE port_groups.security_group_id = $2 \
             AND device_id <> '' AND substr(device_owner, 1, 8) = 'compute:' \
             ON CONFLICT (server_id) DO UPDATE SET change = news.change + 1",
            args![now, group],
        )
        .await?;
    if noted > 0 {
        tx.wake(Wake::new(TOPIC, ""));
    }
    Ok(())
}

/// A server that compute was not told of yet, and which of its changes is the newest.
pub(crate) struct News {
    pub(crate) server: String,
    since: Timestamp,
    change: i64,
}

/// What waits to be told, oldest first.
pub(crate) async fn waiting(db: &Db) -> Result<Vec<News>, Error> {
    db.fetch_all(
        "SELECT server_id, since, change FROM news ORDER BY since, server_id LIMIT $1",
        args![AT_ONCE],
    )
    .await
}

/// Compute knows; a change after the one that it was told of stays. Changes are counted anew once a row is gone, so that
/// `since` belongs to which change it was.
pub(crate) async fn told(tx: &mut Tx, news: &News) -> Result<(), Error> {
    tx.exec(
        "DELETE FROM news WHERE server_id = $1 AND since = $2 AND change = $3",
        args![news.server, news.since, news.change],
    )
    .await?;
    Ok(())
}

impl nephos_db::FromRow for News {
    fn from_row(row: &nephos_db::Row) -> Result<Self, Error> {
        Ok(Self {
            server: row.get("server_id")?,
            since: row.get("since")?,
            change: row.get("change")?,
        })
    }
}
