//! Layers: files that never change.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;

use crate::model::layer::{Format, Layer, LayerId, LayerState};

const SELECT: &str =
    "SELECT id, backend, format, parent, source, image, size_bytes, state FROM layers";

impl FromRow for Layer {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let (format, state): (String, String) = (row.get("format")?, row.get("state")?);
        Ok(Self {
            id: row.get("id")?,
            backend: row.get("backend")?,
            format: Format::parse(&format)
                .ok_or_else(|| Error::damaged(format!("layer format {format}")))?,
            parent: row.get("parent")?,
            source: row.get("source")?,
            image: row.get("image")?,
            size_bytes: row.get("size_bytes")?,
            state: LayerState::parse(&state)
                .ok_or_else(|| Error::damaged(format!("layer state {state}")))?,
        })
    }
}

pub(crate) async fn find(db: &Db, id: &LayerId) -> Result<Option<Layer>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

pub(crate) async fn find_in(tx: &mut Tx, id: &LayerId) -> Result<Option<Layer>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(tx.fetch_where(&query).await?.into_iter().next())
}

/// The layer of an image's bytes.
pub(crate) async fn of_image(db: &Db, backend: &str, image: &str) -> Result<Option<Layer>, Error> {
    let query = Where::new(SELECT).eq("backend", backend).eq("image", image);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

/// A new one; nothing when it is there already.
pub(crate) async fn insert(tx: &mut Tx, layer: &Layer, now: Timestamp) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO layers (id, backend, format, parent, source, image, size_bytes, state, used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        args![
            layer.id,
            layer.backend,
            layer.format.as_str(),
            layer.parent,
            layer.source,
            layer.image,
            layer.size_bytes,
            layer.state.as_str(),
            now,
        ],
    )
    .await?;
    Ok(())
}

/// Notes that all of it is there.
pub(crate) async fn keep(
    tx: &mut Tx,
    id: &LayerId,
    size_bytes: u64,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "UPDATE layers SET state = 'kept', source = NULL, size_bytes = $1, used_at = $2 WHERE id = $3 AND state = 'making'";
    tx.exec(sql, args![size_bytes, now, id]).await?;
    Ok(())
}

/// Notes that it was used, so that it stays a while.
pub(crate) async fn touch(tx: &mut Tx, id: &LayerId, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE layers SET used_at = $1 WHERE id = $2 AND state = 'kept'";
    tx.exec(sql, args![now, id]).await?;
    Ok(())
}

/// Marks the layers that nobody stands on, images' ones only when nobody used them since `idle_since`. Work on a volume
/// or snapshot that is under way has its own mark on what it will stand on.
pub(crate) async fn doom_unused(tx: &mut Tx, idle_since: Timestamp) -> Result<(), Error> {
    tx.exec(
        "UPDATE layers SET state = 'doomed' WHERE state <> 'doomed' \
         AND (image IS NULL OR used_at < $1) \
         AND NOT EXISTS (SELECT 1 FROM volumes WHERE volumes.layer = layers.id OR volumes.held_by = layers.id) \
         AND NOT EXISTS (SELECT 1 FROM snapshots WHERE snapshots.layer = layers.id) \
         AND NOT EXISTS (SELECT 1 FROM backups WHERE backups.layer = layers.id) \
         AND NOT EXISTS (SELECT 1 FROM unmanaged_snapshots WHERE unmanaged_snapshots.layer_id = layers.id) \
         AND NOT EXISTS (SELECT 1 FROM layers AS above WHERE above.parent = layers.id)",
        args![idle_since],
    )
    .await?;
    Ok(())
}

/// Some of those that are to go.
pub(crate) async fn doomed(db: &Db, limit: u32) -> Result<Vec<Layer>, Error> {
    let query = Where::new(SELECT)
        .eq("state", "doomed")
        .page(nephos_db::Page {
            sort: vec![("id", nephos_db::Direction::Asc)],
            limit: Some(limit),
            ..nephos_db::Page::default()
        });
    db.fetch_where(&query).await
}

pub(crate) async fn remove(tx: &mut Tx, id: &LayerId) -> Result<(), Error> {
    tx.exec("DELETE FROM layers WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// Notes what a layer that is about to be made will be like.
pub(crate) async fn describe(
    tx: &mut Tx,
    id: &LayerId,
    (format, parent): (Format, Option<&LayerId>),
    size_bytes: u64,
) -> Result<(), Error> {
    let sql = "UPDATE layers SET format = $1, parent = $2, size_bytes = $3 WHERE id = $4";
    tx.exec(sql, args![format.as_str(), parent, size_bytes, id])
        .await?;
    Ok(())
}

/// How many layers are being made of a volume's file.
pub(crate) async fn made_of(db: &Db, volume: &str) -> Result<i64, Error> {
    db.fetch_scalar(MADE_OF, args![volume]).await
}

/// Likewise, as this transaction sees it.
pub(crate) async fn made_of_in(tx: &mut Tx, volume: &str) -> Result<i64, Error> {
    tx.fetch_scalar(MADE_OF, args![volume]).await
}

const MADE_OF: &str =
    "SELECT CAST(COUNT(*) AS BIGINT) FROM layers WHERE source = $1 AND state = 'making'";
