//! What was a snapshot, and is kept in its back end although nobody has it.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};

use crate::model::layer::LayerId;
use crate::model::snapshot::Snapshot;
use crate::model::volume::VolumeId;

/// A layer that was a snapshot.
pub(crate) struct Unmanaged {
    pub layer_id: LayerId,
    pub snapshot_id: String,
    pub volume_id: String,
    pub size_gib: i64,
}

impl FromRow for Unmanaged {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            layer_id: row.get("layer_id")?,
            snapshot_id: row.get("snapshot_id")?,
            volume_id: row.get("volume_id")?,
            size_gib: row.get("size_gib")?,
        })
    }
}

/// Keeps a snapshot's layer, whoever goes.
pub(crate) async fn keep(tx: &mut Tx, snapshot: &Snapshot, layer: &LayerId) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO unmanaged_snapshots (layer_id, snapshot_id, volume_id, size_gib) VALUES ($1, $2, $3, $4)",
        args![layer, snapshot.id, snapshot.volume_id, snapshot.size_gib],
    )
    .await?;
    Ok(())
}

/// By the id of the snapshot that it was.
pub(crate) async fn find_in(tx: &mut Tx, snapshot: &str) -> Result<Option<Unmanaged>, Error> {
    let sql = "SELECT layer_id, snapshot_id, volume_id, size_gib FROM unmanaged_snapshots WHERE snapshot_id = $1";
    tx.fetch_opt(sql, args![snapshot]).await
}

/// Whether something is kept that was a snapshot of a volume.
pub(crate) async fn is_kept_of(db: &Db, volume: &VolumeId) -> Result<bool, Error> {
    Ok(db.fetch_scalar::<i64>(OF_VOLUME, args![volume]).await? > 0)
}

/// Likewise, as this transaction sees it.
pub(crate) async fn is_kept_of_in(tx: &mut Tx, volume: &VolumeId) -> Result<bool, Error> {
    Ok(tx.fetch_scalar::<i64>(OF_VOLUME, args![volume]).await? > 0)
}

const OF_VOLUME: &str =
    "SELECT CAST(COUNT(*) AS BIGINT) FROM unmanaged_snapshots WHERE volume_id = $1";

/// All of a back end.
pub(crate) async fn of_backend(db: &Db, backend: &str) -> Result<Vec<Unmanaged>, Error> {
    db.fetch_all(
        "SELECT layer_id, snapshot_id, volume_id, size_gib FROM unmanaged_snapshots \
         WHERE layer_id IN (SELECT id FROM layers WHERE backend = $1)",
        args![backend],
    )
    .await
}

/// No longer keeps it for its own sake.
pub(crate) async fn let_go(tx: &mut Tx, layer: &LayerId) -> Result<(), Error> {
    tx.exec(
        "DELETE FROM unmanaged_snapshots WHERE layer_id = $1",
        args![layer],
    )
    .await?;
    Ok(())
}

/// What was snapshots of a volume goes with it.
pub(crate) async fn let_go_of(tx: &mut Tx, volume: &VolumeId) -> Result<(), Error> {
    tx.exec(
        "DELETE FROM unmanaged_snapshots WHERE volume_id = $1",
        args![volume],
    )
    .await?;
    Ok(())
}
