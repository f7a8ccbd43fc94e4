//! Hosts in SQL.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::{HostName, Timestamp};

use crate::model::host::Host;

impl FromRow for Host {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: HostName(row.get("name")?),
            zone: row.get("zone")?,
            join_until: row.get("join_until")?,
            secret_hash: row.get("secret_hash")?,
            added_at: row.get("added_at")?,
            joined_at: row.get("joined_at")?,
        })
    }
}

/// All of them by name.
pub(crate) async fn list(db: &Db) -> Result<Vec<Host>, Error> {
    let sql =
        "SELECT name, zone, join_until, secret_hash, added_at, joined_at FROM hosts ORDER BY name";
    db.fetch_all(sql, args![]).await
}

/// All of them inside a transaction that changes some.
pub(crate) async fn list_in(tx: &mut Tx) -> Result<Vec<Host>, Error> {
    let sql =
        "SELECT name, zone, join_until, secret_hash, added_at, joined_at FROM hosts ORDER BY name";
    tx.fetch_all(sql, args![]).await
}

pub(crate) async fn get(db: &Db, name: &str) -> Result<Option<Host>, Error> {
    let sql = "SELECT name, zone, join_until, secret_hash, added_at, joined_at FROM hosts WHERE name = $1";
    db.fetch_opt(sql, args![name]).await
}

/// The host that a one-time token is of, whatever has become of the token.
pub(crate) async fn of_join(tx: &mut Tx, join_hash: &str) -> Result<Option<Host>, Error> {
    let sql = "SELECT name, zone, join_until, secret_hash, added_at, joined_at FROM hosts WHERE join_hash = $1";
    tx.fetch_opt(sql, args![join_hash]).await
}

/// Adds a host that may join until its time is over; one that is there already may join again.
pub(crate) async fn add(tx: &mut Tx, host: &Host, join_hash: &str) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO hosts (name, zone, join_hash, join_until, joined_by, secret_hash, added_at, joined_at) \
         VALUES ($1, $2, $3, $4, '', '', $5, 0) ON CONFLICT (name) DO UPDATE SET zone = excluded.zone, \
         join_hash = excluded.join_hash, join_until = excluded.join_until, joined_by = ''",
        args![host.name.as_str(), host.zone, join_hash, host.join_until, host.added_at],
    )
    .await?;
    Ok(())
}

/// Takes over the secret of a host that joins. Says whether its one-time token is good for it: in time, and not used for
/// another secret.
pub(crate) async fn join(
    tx: &mut Tx,
    now: Timestamp,
    join_hash: &str,
    secret_hash: &str,
) -> Result<bool, Error> {
    let joined = tx
        .exec(
            "UPDATE hosts SET secret_hash = $1, joined_by = $1, joined_at = $2 \
             WHERE join_hash = $3 AND join_until > $2 AND (joined_by = '' OR joined_by = $1)",
            args![secret_hash, now, join_hash],
        )
        .await?;
    Ok(joined == 1)
}

/// A host that a process of the cloud itself runs, which needs no one-time token.
pub(crate) async fn put_own(
    tx: &mut Tx,
    now: Timestamp,
    name: &HostName,
    secret_hash: &str,
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO hosts (name, zone, join_hash, join_until, joined_by, secret_hash, added_at, joined_at) \
         VALUES ($1, NULL, '', 0, '', $2, $3, $3) ON CONFLICT (name) DO UPDATE SET join_hash = '', join_until = 0, \
         joined_by = '', secret_hash = excluded.secret_hash, joined_at = excluded.joined_at",
        args![name.as_str(), secret_hash, now],
    )
    .await?;
    Ok(())
}

/// Says whether it was there.
pub(crate) async fn remove(tx: &mut Tx, name: &str) -> Result<bool, Error> {
    let removed = tx
        .exec("DELETE FROM hosts WHERE name = $1", args![name])
        .await?;
    Ok(removed == 1)
}
