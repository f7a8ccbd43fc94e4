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

/// Servers that compute was not told of yet, oldest first, each with the number of its newest change.
pub(crate) async fn waiting(db: &Db) -> Result<Vec<(String, i64)>, Error> {
    let rows: Vec<Waiting> = db
        .fetch_all(
            "SELECT server_id, change FROM news ORDER BY since, server_id LIMIT $1",
            args![AT_ONCE],
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.0, row.1)).collect())
}

/// Compute knows; a change after the one that it was told of stays.
pub(crate) async fn told(tx: &mut Tx, server: &str, change: i64) -> Result<(), Error> {
    tx.exec(
        "DELETE FROM news WHERE server_id = $1 AND change = $2",
        args![server, change],
    )
    .await?;
    Ok(())
}

struct Waiting(String, i64);

impl nephos_db::FromRow for Waiting {
    fn from_row(row: &nephos_db::Row) -> Result<Self, Error> {
        Ok(Self(row.get("server_id")?, row.get("change")?))
    }
}
