//! Servers that went while a port was being asked for, in SQL.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;

use crate::model::spec::ServerId;

/// A server that is gone, and how often its ports were looked for since.
#[derive(Debug)]
pub(crate) struct Gone {
    pub server_id: ServerId,
    /// Ports that are its owner's.
    pub given: Vec<String>,
    pub looks: i64,
}

impl FromRow for Gone {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            server_id: row.get("server_id")?,
            given: serde_json::from_str(&row.get::<String>("given")?)
                .map_err(|why| Error::damaged(format!("late_ports.given: {why}")))?,
            looks: row.get("looks")?,
        })
    }
}

/// Notes that a server is going and its ports are to be looked for then.
pub(crate) async fn expect(
    tx: &mut Tx,
    (server, given): (&ServerId, &[&str]),
    look_at: Timestamp,
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO late_ports (server_id, given, look_at, looks) VALUES ($1, $2, $3, 0) \
         ON CONFLICT (server_id) DO NOTHING",
        args![server, serde_json::json!(given).to_string(), look_at],
    )
    .await?;
    Ok(())
}

/// Those whose time has come, at most a hundred.
pub(crate) async fn due(db: &Db, now: Timestamp) -> Result<Vec<Gone>, Error> {
    let sql = "SELECT server_id, given, looks FROM late_ports WHERE look_at <= $1 ORDER BY look_at LIMIT 100";
    db.fetch_all(sql, args![now]).await
}

/// Notes a look, and when the next one is to be; none: that was the last.
pub(crate) async fn looked(tx: &mut Tx, gone: &Gone, next: Option<Timestamp>) -> Result<(), Error> {
    match next {
        Some(next) => {
            let sql = "UPDATE late_ports SET look_at = $1, looks = $2 WHERE server_id = $3";
            tx.exec(sql, args![next, gone.looks + 1, gone.server_id])
                .await?;
        }
        None => {
            let sql = "DELETE FROM late_ports WHERE server_id = $1";
            tx.exec(sql, args![gone.server_id]).await?;
        }
    }
    Ok(())
}
