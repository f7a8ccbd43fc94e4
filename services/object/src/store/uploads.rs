//! Objects that are being uploaded in parts.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;

use super::{json, meta};
use crate::model::object::{ContainerId, Part, PartsUpload, UploadId};

impl FromRow for PartsUpload {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            container_id: row.get("container_id")?,
            name: row.get("name")?,
            content_type: row.get("content_type")?,
            meta: meta(row)?,
            created_at: row.get("created_at")?,
        })
    }
}

impl FromRow for Part {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            number: row.get("number")?,
            blob: row.get("blob_id")?,
            size: row.get("size")?,
            etag: row.get("etag")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// A new upload.
pub(crate) async fn insert(tx: &mut Tx, upload: &PartsUpload) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO uploads (id, container_id, name, content_type, meta, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            upload.id,
            upload.container_id,
            upload.name,
            upload.content_type,
            json(&upload.meta),
            upload.created_at
        ],
    )
    .await?;
    Ok(())
}

/// The upload.
pub(crate) async fn get(db: &Db, id: &UploadId) -> Result<Option<PartsUpload>, Error> {
    let sql =
        "SELECT id, container_id, name, content_type, meta, created_at FROM uploads WHERE id = $1";
    db.fetch_opt(sql, args![id]).await
}

/// The upload, held until the transaction ends.
pub(crate) async fn hold(tx: &mut Tx, id: &UploadId) -> Result<Option<PartsUpload>, Error> {
    tx.fetch_opt(
        "UPDATE uploads SET name = name WHERE id = $1 \
         RETURNING id, container_id, name, content_type, meta, created_at",
        args![id],
    )
    .await
}

/// Uploads into a container whose names begin so, behind a name and id, by both.
pub(crate) async fn page(
    db: &Db,
    (container, prefix): (&ContainerId, &str),
    (name, id): (&str, &str),
    limit: i64,
) -> Result<Vec<PartsUpload>, Error> {
    let length = i32::try_from(prefix.chars().count()).unwrap_or(i32::MAX);
    db.fetch_all(
        "SELECT id, container_id, name, content_type, meta, created_at FROM uploads \
         WHERE container_id = $1 AND (name > $2 OR (name = $2 AND id > $3)) AND SUBSTR(name, 1, CAST($5 AS INTEGER)) = $6 \
         ORDER BY name, id LIMIT $4",
        args![container, name, id, limit, i64::from(length), prefix],
    )
    .await
}

/// The parts behind a number, in their order.
pub(crate) async fn parts(
    db: &Db,
    id: &UploadId,
    (behind, limit): (i64, i64),
) -> Result<Vec<Part>, Error> {
    db.fetch_all(
        "SELECT number, blob_id, size, etag, created_at FROM parts WHERE upload_id = $1 AND number > $2 \
         ORDER BY number LIMIT $3",
        args![id, behind, limit],
    )
    .await
}

/// All parts, within a transaction that holds the upload.
pub(crate) async fn all_parts(tx: &mut Tx, id: &UploadId) -> Result<Vec<Part>, Error> {
    let sql = "SELECT number, blob_id, size, etag, created_at FROM parts WHERE upload_id = $1 ORDER BY number";
    tx.fetch_all(sql, args![id]).await
}

/// Bytes of the parts that wait in a container.
pub(crate) async fn waiting_in_container(tx: &mut Tx, id: &ContainerId) -> Result<i64, Error> {
    tx.fetch_scalar(
        "SELECT CAST(COALESCE(SUM(parts.size), 0) AS BIGINT) FROM parts JOIN uploads ON uploads.id = parts.upload_id \
         WHERE uploads.container_id = $1",
        args![id],
    )
    .await
}

/// Bytes of the parts that wait in an account.
pub(crate) async fn waiting_in_account(tx: &mut Tx, account: &str) -> Result<i64, Error> {
    tx.fetch_scalar(
        "SELECT CAST(COALESCE(SUM(parts.size), 0) AS BIGINT) FROM parts JOIN uploads ON uploads.id = parts.upload_id \
         JOIN containers ON containers.id = uploads.container_id WHERE containers.account = $1",
        args![account],
    )
    .await
}

/// A part is there.
pub(crate) async fn insert_part(tx: &mut Tx, id: &UploadId, part: &Part) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO parts (upload_id, number, blob_id, size, etag, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        args![id, part.number, part.blob, part.size, part.etag, part.created_at],
    )
    .await?;
    Ok(())
}

/// A part goes, and lets go of its file.
pub(crate) async fn release_part(tx: &mut Tx, id: &UploadId, number: i64) -> Result<(), Error> {
    tx.exec(
        "UPDATE blobs SET refs = refs - 1, state = CASE WHEN refs <= 1 THEN 'doomed' ELSE state END \
         WHERE id IN (SELECT blob_id FROM parts WHERE upload_id = $1 AND number = $2)",
        args![id, number],
    )
    .await?;
    tx.exec(
        "DELETE FROM parts WHERE upload_id = $1 AND number = $2",
        args![id, number],
    )
    .await?;
    Ok(())
}

/// Forgets a part whose file is an object's now.
pub(crate) async fn forget_part(tx: &mut Tx, id: &UploadId, number: i64) -> Result<(), Error> {
    let sql = "DELETE FROM parts WHERE upload_id = $1 AND number = $2";
    tx.exec(sql, args![id, number]).await?;
    Ok(())
}

/// Removes the upload; its parts must be gone.
pub(crate) async fn remove(tx: &mut Tx, id: &UploadId) -> Result<(), Error> {
    tx.exec("DELETE FROM uploads WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// The uploads into a container, within a transaction that holds it.
pub(crate) async fn of_container(tx: &mut Tx, id: &ContainerId) -> Result<Vec<String>, Error> {
    let sql = "SELECT id FROM uploads WHERE container_id = $1 ORDER BY id";
    tx.fetch_all(sql, args![id]).await
}

/// Remembers what an upload became, of which the row is still there.
pub(crate) async fn finish(
    tx: &mut Tx,
    id: &UploadId,
    (etag, now): (&str, Timestamp),
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO finished_uploads (id, container_id, name, etag, finished_at) \
         SELECT id, container_id, name, $1, $2 FROM uploads WHERE id = $3",
        args![etag, now, id],
    )
    .await?;
    Ok(())
}

/// The tag of the object that an upload of this place became not long ago.
pub(crate) async fn finished(
    db: &Db,
    id: &UploadId,
    (container, name): (&ContainerId, &str),
) -> Result<Option<String>, Error> {
    let sql = "SELECT etag FROM finished_uploads WHERE id = $1 AND container_id = $2 AND name = $3";
    db.fetch_opt(sql, args![id, container, name]).await
}

/// Whether some were finished before this moment.
pub(crate) async fn are_finished(db: &Db, before: Timestamp) -> Result<bool, Error> {
    let sql = "SELECT id FROM finished_uploads WHERE finished_at < $1 LIMIT 1";
    let found = db.fetch_opt::<String>(sql, args![before]).await?;
    Ok(found.is_some())
}

/// Forgets those that were finished before this moment.
pub(crate) async fn forget_finished(tx: &mut Tx, before: Timestamp) -> Result<(), Error> {
    let sql = "DELETE FROM finished_uploads WHERE finished_at < $1";
    tx.exec(sql, args![before]).await?;
    Ok(())
}
