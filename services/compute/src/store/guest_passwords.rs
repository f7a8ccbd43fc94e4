//! Passwords on their way to guests in SQL, sealed.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};

use crate::model::spec::ServerId;

/// A password that only whoever has the seal can read.
pub(crate) struct Sealed {
    pub account: String,
    pub sealed: String,
}

impl FromRow for Sealed {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            account: row.get("account")?,
            sealed: row.get("sealed")?,
        })
    }
}

pub(crate) async fn put(tx: &mut Tx, server: &ServerId, password: &Sealed) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO guest_passwords (server_id, account, sealed) VALUES ($1, $2, $3) \
         ON CONFLICT (server_id) DO UPDATE SET account = excluded.account, sealed = excluded.sealed",
        args![server, password.account, password.sealed],
    )
    .await?;
    Ok(())
}

pub(crate) async fn find(db: &Db, server: &ServerId) -> Result<Option<Sealed>, Error> {
    let sql = "SELECT account, sealed FROM guest_passwords WHERE server_id = $1";
    db.fetch_opt(sql, args![server]).await
}

pub(crate) async fn forget(tx: &mut Tx, server: &ServerId) -> Result<(), Error> {
    let sql = "DELETE FROM guest_passwords WHERE server_id = $1";
    tx.exec(sql, args![server]).await?;
    Ok(())
}
