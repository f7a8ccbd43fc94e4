//! Containers and their counts.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;

use super::{Delta, json, meta};
use crate::model::object::{Container, ContainerId, Quota};

impl FromRow for Container {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            account: row.get("account")?,
            name: row.get("name")?,
            meta: meta(row)?,
            objects: row.get("objects")?,
            bytes: row.get("bytes")?,
            quota: Quota {
                objects: row.get("quota_objects")?,
                bytes: row.get("quota_bytes")?,
            },
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// The container.
pub(crate) async fn get(db: &Db, account: &str, name: &str) -> Result<Option<Container>, Error> {
    db.fetch_opt(
        "SELECT id, account, name, meta, objects, bytes, quota_objects, quota_bytes, created_at, updated_at \
         FROM containers WHERE account = $1 AND name = $2",
        args![account, name],
    )
    .await
}

/// The container, held until the transaction ends: whoever changes what is in it does so one after the other.
pub(crate) async fn hold(
    tx: &mut Tx,
    (account, name): (&str, &str),
) -> Result<Option<Container>, Error> {
    tx.fetch_opt(
        "UPDATE containers SET objects = objects WHERE account = $1 AND name = $2 \
         RETURNING id, account, name, meta, objects, bytes, quota_objects, quota_bytes, created_at, updated_at",
        args![account, name],
    )
    .await
}

/// The container of this id, held likewise.
pub(crate) async fn hold_id(tx: &mut Tx, id: &ContainerId) -> Result<Option<Container>, Error> {
    tx.fetch_opt(
        "UPDATE containers SET objects = objects WHERE id = $1 \
         RETURNING id, account, name, meta, objects, bytes, quota_objects, quota_bytes, created_at, updated_at",
        args![id],
    )
    .await
}

/// A new container; false when there is one of this name.
pub(crate) async fn insert(tx: &mut Tx, container: &Container) -> Result<bool, Error> {
    let inserted = tx
        .exec(
            "INSERT INTO containers (id, account, name, meta, objects, bytes, quota_objects, quota_bytes, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, 0, 0, $5, $6, $7, $7) ON CONFLICT DO NOTHING",
            args![
                container.id,
                container.account,
                container.name,
                json(&container.meta),
                container.quota.objects,
                container.quota.bytes,
                container.created_at
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Its metadata and quota as they are now.
pub(crate) async fn update(
    tx: &mut Tx,
    container: &Container,
    now: Timestamp,
) -> Result<(), Error> {
    tx.exec(
        "UPDATE containers SET meta = $1, quota_objects = $2, quota_bytes = $3, updated_at = $4 WHERE id = $5",
        args![
            json(&container.meta),
            container.quota.objects,
            container.quota.bytes,
            now,
            container.id
        ],
    )
    .await?;
    Ok(())
}

/// Removes an empty container; false when something is in it.
pub(crate) async fn remove(tx: &mut Tx, id: &ContainerId) -> Result<bool, Error> {
    let sql = "DELETE FROM containers WHERE id = $1 AND NOT EXISTS \
               (SELECT 1 FROM objects WHERE container_id = $1)";
    Ok(tx.exec(sql, args![id]).await? == 1)
}

/// Counts; false when the quota does not allow it, where parts that wait take room too. What only takes away is always
/// allowed.
pub(crate) async fn count(
    tx: &mut Tx,
    id: &ContainerId,
    by: Delta,
    now: Timestamp,
) -> Result<bool, Error> {
    let counted = tx
        .exec(
            "UPDATE containers SET objects = objects + $1, bytes = bytes + $2, updated_at = $3 WHERE id = $4 \
             AND ($1 <= 0 OR quota_objects IS NULL OR objects + $1 <= quota_objects) \
             AND ($2 <= 0 OR quota_bytes IS NULL OR bytes + $2 + (SELECT COALESCE(SUM(parts.size), 0) FROM parts \
             JOIN uploads ON uploads.id = parts.upload_id WHERE uploads.container_id = $4) <= quota_bytes)",
            args![by.objects, by.bytes, now, id],
        )
        .await?;
    Ok(counted == 1)
}
