//! Objects, the segments of manifests, and which files an object is made of.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;

use super::listing::within;
use super::{json, meta, word};
use crate::model::listing::Bounds;
use crate::model::manifest::Segment;
use crate::model::object::{BlobId, ContainerId, Extent, Facts, Kind, Object, ObjectId};

impl FromRow for Object {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let kind: String = row.get("kind")?;
        Ok(Self {
            id: row.get("id")?,
            container_id: row.get("container_id")?,
            name: row.get("name")?,
            facts: Facts {
                kind: word(Kind::parse(&kind), "kind of object", &kind)?,
                size: row.get("size")?,
                stored: row.get("stored")?,
                etag: row.get("etag")?,
                content_type: row.get("content_type")?,
                meta: meta(row)?,
                delete_at: row.get("delete_at")?,
            },
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

impl FromRow for Extent {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            blob: row.get("blob_id")?,
            size: row.get("size")?,
        })
    }
}

/// The object of this name.
pub(crate) async fn get(
    db: &Db,
    container: &ContainerId,
    name: &str,
) -> Result<Option<Object>, Error> {
    db.fetch_opt(
        "SELECT id, container_id, name, kind, size, stored, etag, content_type, meta, delete_at, created_at, \
         updated_at FROM objects WHERE container_id = $1 AND name = $2",
        args![container, name],
    )
    .await
}

/// The object of this name, within a transaction that holds its container.
pub(crate) async fn find(
    tx: &mut Tx,
    container: &ContainerId,
    name: &str,
) -> Result<Option<Object>, Error> {
    tx.fetch_opt(
        "SELECT id, container_id, name, kind, size, stored, etag, content_type, meta, delete_at, created_at, \
         updated_at FROM objects WHERE container_id = $1 AND name = $2",
        args![container, name],
    )
    .await
}

/// Of the names from `low` to before `high`, the last two objects, the last first.
pub(crate) async fn last_two(
    tx: &mut Tx,
    container: &ContainerId,
    (low, high): (&str, &str),
) -> Result<Vec<Object>, Error> {
    tx.fetch_all(
        "SELECT id, container_id, name, kind, size, stored, etag, content_type, meta, delete_at, created_at, \
         updated_at FROM objects WHERE container_id = $1 AND name >= $2 AND name < $3 \
         ORDER BY name DESC LIMIT 2",
        args![container, low, high],
    )
    .await
}

/// The next objects of a container by name.
pub(crate) async fn page(
    db: &Db,
    container: &ContainerId,
    bounds: &Bounds,
    limit: usize,
) -> Result<Vec<Object>, Error> {
    let select = Where::new(
        "SELECT id, container_id, name, kind, size, stored, etag, content_type, meta, delete_at, created_at, \
         updated_at FROM objects",
    )
    .eq("container_id", container);
    db.fetch_where(&within(select, bounds, (limit, false)))
        .await
}

/// A new object.
pub(crate) async fn insert(tx: &mut Tx, object: &Object) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO objects (id, container_id, name, kind, size, stored, etag, content_type, meta, delete_at, \
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        args![
            object.id,
            object.container_id,
            object.name,
            object.kind.as_str(),
            object.size,
            object.stored,
            object.etag,
            object.content_type,
            json(&object.meta),
            object.delete_at,
            object.created_at,
            object.updated_at
        ],
    )
    .await?;
    Ok(())
}

/// What may change without new bytes; false when it is not this object any more.
pub(crate) async fn update(tx: &mut Tx, object: &Object) -> Result<bool, Error> {
    let updated = tx
        .exec(
            "UPDATE objects SET kind = $1, content_type = $2, meta = $3, delete_at = $4, updated_at = $5 \
             WHERE id = $6",
            args![
                object.kind.as_str(),
                object.content_type,
                json(&object.meta),
                object.delete_at,
                object.updated_at,
                object.id
            ],
        )
        .await?;
    Ok(updated == 1)
}

/// Gives an object another place, with all that belongs to it.
pub(crate) async fn move_to(
    tx: &mut Tx,
    id: &ObjectId,
    (container, name): (&ContainerId, &str),
) -> Result<(), Error> {
    let sql = "UPDATE objects SET container_id = $1, name = $2 WHERE id = $3";
    tx.exec(sql, args![container, name, id]).await?;
    Ok(())
}

/// Removes the object; its extents must be gone.
pub(crate) async fn remove(tx: &mut Tx, id: &ObjectId) -> Result<bool, Error> {
    let sql = "DELETE FROM objects WHERE id = $1";
    Ok(tx.exec(sql, args![id]).await? == 1)
}

const EXTENTS: &str = "SELECT blob_id, size FROM extents WHERE object_id = $1 ORDER BY number";

/// The files of an object in their order.
pub(crate) async fn extents(db: &Db, id: &ObjectId) -> Result<Vec<Extent>, Error> {
    db.fetch_all(EXTENTS, args![id]).await
}

/// Likewise, as this transaction sees them.
pub(crate) async fn extents_in(tx: &mut Tx, id: &ObjectId) -> Result<Vec<Extent>, Error> {
    tx.fetch_all(EXTENTS, args![id]).await
}

/// Whether there is the object still.
pub(crate) async fn is_there(tx: &mut Tx, id: &ObjectId) -> Result<bool, Error> {
    let sql = "SELECT id FROM objects WHERE id = $1";
    Ok(tx.fetch_opt::<String>(sql, args![id]).await?.is_some())
}

/// One file of an object.
pub(crate) async fn insert_extent(
    tx: &mut Tx,
    id: &ObjectId,
    (number, extent): (usize, &Extent),
) -> Result<(), Error> {
    let sql = "INSERT INTO extents (object_id, number, blob_id, size) VALUES ($1, $2, $3, $4)";
    tx.exec(sql, args![id, number, extent.blob, extent.size])
        .await?;
    Ok(())
}

/// The object lets go of its files; those that nobody else has are doomed.
pub(crate) async fn release_blobs(tx: &mut Tx, id: &ObjectId) -> Result<(), Error> {
    tx.exec(
        "UPDATE blobs SET refs = refs - 1, state = CASE WHEN refs <= 1 THEN 'doomed' ELSE state END \
         WHERE id IN (SELECT blob_id FROM extents WHERE object_id = $1)",
        args![id],
    )
    .await?;
    Ok(())
}

/// Forgets which files the object had.
pub(crate) async fn remove_extents(tx: &mut Tx, id: &ObjectId) -> Result<(), Error> {
    tx.exec("DELETE FROM extents WHERE object_id = $1", args![id])
        .await?;
    Ok(())
}

/// The segments that a static manifest lists.
pub(crate) async fn segments(db: &Db, id: &ObjectId) -> Result<Vec<Segment>, Error> {
    let sql = "SELECT segments FROM manifests WHERE object_id = $1";
    let text = db.fetch_opt::<String>(sql, args![id]).await?;
    let text = text.unwrap_or_else(|| "[]".to_owned());
    serde_json::from_str(&text).map_err(|why| Error::damaged(why.to_string()))
}

/// The segments of a static manifest as they are kept: JSON.
pub(crate) async fn segments_in(tx: &mut Tx, id: &ObjectId) -> Result<Option<String>, Error> {
    let sql = "SELECT segments FROM manifests WHERE object_id = $1";
    tx.fetch_opt::<String>(sql, args![id]).await
}

/// Keeps the segments of a manifest.
pub(crate) async fn insert_segments(
    tx: &mut Tx,
    id: &ObjectId,
    segments: &str,
) -> Result<(), Error> {
    let sql = "INSERT INTO manifests (object_id, segments) VALUES ($1, $2)";
    tx.exec(sql, args![id, segments]).await?;
    Ok(())
}

/// Where objects are whose time is over: container and name.
pub(crate) async fn expired(db: &Db, now: Timestamp, limit: i64) -> Result<Vec<Object>, Error> {
    db.fetch_all(
        "SELECT id, container_id, name, kind, size, stored, etag, content_type, meta, delete_at, created_at, \
         updated_at FROM objects WHERE delete_at IS NOT NULL AND delete_at <= $1 ORDER BY id LIMIT $2",
        args![now, limit],
    )
    .await
}

/// Says that a writer has finished a file, and whose it is; false when it was given up.
pub(crate) async fn keep_blob(tx: &mut Tx, id: &BlobId, size: i64) -> Result<bool, Error> {
    let sql =
        "UPDATE blobs SET state = 'kept', refs = 1, size = $1 WHERE id = $2 AND state = 'writing'";
    Ok(tx.exec(sql, args![size, id]).await? == 1)
}

/// Another object has the file too; false when it is gone.
pub(crate) async fn share_blob(tx: &mut Tx, id: &BlobId) -> Result<bool, Error> {
    let sql = "UPDATE blobs SET refs = refs + 1 WHERE id = $1 AND state = 'kept'";
    Ok(tx.exec(sql, args![id]).await? == 1)
}
