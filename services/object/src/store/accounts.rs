//! Accounts and what is in them altogether.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;

use super::{Delta, json, meta};
use crate::model::object::{Account, Quota};

impl FromRow for Account {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.get("name")?,
            meta: meta(row)?,
            containers: row.get("containers")?,
            objects: row.get("objects")?,
            bytes: row.get("bytes")?,
            quota: Quota {
                objects: row.get("quota_objects")?,
                bytes: row.get("quota_bytes")?,
            },
            created_at: row.get("created_at")?,
        })
    }
}

/// The account; it comes to be with its first container or metadata.
pub(crate) async fn get(db: &Db, name: &str) -> Result<Option<Account>, Error> {
    db.fetch_opt(
        "SELECT name, meta, containers, objects, bytes, quota_objects, quota_bytes, created_at \
         FROM accounts WHERE name = $1",
        args![name],
    )
    .await
}

/// The account, made if it is not there and held until the transaction ends.
pub(crate) async fn hold(tx: &mut Tx, name: &str, now: Timestamp) -> Result<Account, Error> {
    tx.fetch_one(
        "INSERT INTO accounts (name, meta, containers, objects, bytes, quota_objects, quota_bytes, created_at, \
         updated_at) VALUES ($1, '{}', 0, 0, 0, NULL, NULL, $2, $2) \
         ON CONFLICT (name) DO UPDATE SET updated_at = $2 \
         RETURNING name, meta, containers, objects, bytes, quota_objects, quota_bytes, created_at",
        args![name, now],
    )
    .await
}

/// Its metadata and quota as they are now.
pub(crate) async fn update(tx: &mut Tx, account: &Account) -> Result<(), Error> {
    tx.exec(
        "UPDATE accounts SET meta = $1, quota_objects = $2, quota_bytes = $3 WHERE name = $4",
        args![
            json(&account.meta),
            account.quota.objects,
            account.quota.bytes,
            account.name
        ],
    )
    .await?;
    Ok(())
}

/// One container more or less.
pub(crate) async fn count_container(tx: &mut Tx, name: &str, by: i64) -> Result<(), Error> {
    let sql = "UPDATE accounts SET containers = containers + $1 WHERE name = $2";
    tx.exec(sql, args![by, name]).await?;
    Ok(())
}

/// Counts; false when the quota does not allow it, where parts that wait take room too. What only takes away is always
/// allowed.
pub(crate) async fn count(tx: &mut Tx, name: &str, by: Delta) -> Result<bool, Error> {
    let counted = tx
        .exec(
            "UPDATE accounts SET objects = objects + $1, bytes = bytes + $2 WHERE name = $3 \
             AND ($1 <= 0 OR quota_objects IS NULL OR objects + $1 <= quota_objects) \
             AND ($2 <= 0 OR quota_bytes IS NULL OR bytes + $2 + (SELECT COALESCE(SUM(parts.size), 0) FROM parts \
             JOIN uploads ON uploads.id = parts.upload_id JOIN containers ON containers.id = uploads.container_id \
             WHERE containers.account = $3) <= quota_bytes)",
            args![by.objects, by.bytes, name],
        )
        .await?;
    Ok(counted == 1)
}
