//! Servers that went while a port was being asked for, in SQL.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;

use crate::model::spec::ServerId;

/// A server that is gone or gave up ports, and how often its ports were looked for since.
#[derive(Debug)]
pub(crate) struct Gone {
    pub server_id: ServerId,
    /// Ports that are its owner's.
    pub given: Vec<String>,
    pub looks: i64,
    pub look_at: Timestamp,
}

impl FromRow for Gone {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            server_id: row.get("server_id")?,
            given: serde_json::from_str(&row.get::<String>("given")?)
                .map_err(|why| Error::damaged(format!("late_ports.given: {why}")))?,
            looks: row.get("looks")?,
            look_at: row.get("look_at")?,
        })
    }
}

/// Notes that ports of a server are to be looked for then, and which of them are its owner's.
pub(crate) async fn expect(
    tx: &mut Tx,
    (server, given): (&ServerId, &[&str]),
    look_at: Timestamp,
) -> Result<(), Error> {
    let sql = "SELECT server_id, given, looks, look_at FROM late_ports WHERE server_id = $1";
    let known: Option<Gone> = tx.fetch_opt(sql, args![server]).await?;
    let mut all = known.map(|known| known.given).unwrap_or_default();
    all.extend(given.iter().map(|port| (*port).to_owned()));
    all.sort_unstable();
    all.dedup();
    tx.exec(
        "INSERT INTO late_ports (server_id, given, look_at, looks) VALUES ($1, $2, $3, 0) \
         ON CONFLICT (server_id) DO UPDATE SET given = excluded.given, look_at = excluded.look_at, looks = 0",
        args![server, serde_json::json!(all).to_string(), look_at],
    )
    .await?;
    Ok(())
}

/// Ports that may come to a server although it does not want them any more, and are its owner's.
pub(crate) async fn given(db: &Db, server: &ServerId) -> Result<Vec<String>, Error> {
    let sql = "SELECT server_id, given, looks, look_at FROM late_ports WHERE server_id = $1";
    let known: Option<Gone> = db.fetch_opt(sql, args![server]).await?;
    Ok(known.map(|known| known.given).unwrap_or_default())
}

/// Those whose time has come, at most a hundred.
pub(crate) async fn due(db: &Db, now: Timestamp) -> Result<Vec<Gone>, Error> {
    let sql = "SELECT server_id, given, looks, look_at FROM late_ports WHERE look_at <= $1 ORDER BY look_at LIMIT 100";
    db.fetch_all(sql, args![now]).await
}

/// Notes a look, and when the next one is to be; none: that was the last. What came to be expected while somebody looked
/// stays expected.
pub(crate) async fn looked(tx: &mut Tx, gone: &Gone, next: Option<Timestamp>) -> Result<(), Error> {
    match next {
        Some(next) => {
            let sql = "UPDATE late_ports SET look_at = $1, looks = $2 WHERE server_id = $3 AND look_at = $4";
            tx.exec(
                sql,
                args![next, gone.looks + 1, gone.server_id, gone.look_at],
            )
            .await?;
        }
        None => {
            let sql = "DELETE FROM late_ports WHERE server_id = $1 AND look_at = $2";
            tx.exec(sql, args![gone.server_id, gone.look_at]).await?;
        }
    }
    Ok(())
}
