//! What stands on what: layers between others, and the volumes above them.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};

use super::layers;
use crate::model::layer::{Layer, LayerId};
use crate::model::volume::VolumeId;

/// What stands on a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Above {
    Volume(VolumeId),
    Layer(LayerId),
}

impl FromRow for Above {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let (kind, id): (String, String) = (row.get("kind")?, row.get("id")?);
        Ok(match kind.as_str() {
            "volume" => Self::Volume(VolumeId::from(id.as_str())),
            _layer => Self::Layer(LayerId::from(id.as_str())),
        })
    }
}

/// Nobody reaches a layer of `layers` but through what stands on it.
macro_rules! unnamed {
    () => {
        "layers.state = 'kept' AND layers.parent IS NOT NULL AND layers.image IS NULL \
         AND NOT EXISTS (SELECT 1 FROM snapshots WHERE snapshots.layer = layers.id) \
         AND NOT EXISTS (SELECT 1 FROM backups WHERE backups.layer = layers.id) \
         AND NOT EXISTS (SELECT 1 FROM unmanaged_snapshots WHERE unmanaged_snapshots.layer_id = layers.id)"
    };
}
/// A layer and all above it.
macro_rules! up {
    () => {
        "WITH RECURSIVE up (id) AS (SELECT id FROM layers WHERE id = $1 \
         UNION SELECT layers.id FROM layers JOIN up ON layers.parent = up.id) "
    };
}
const STANDING: &str = "SELECT 'volume' AS kind, id FROM volumes WHERE layer = $1 \
     UNION ALL SELECT 'layer' AS kind, id FROM layers WHERE parent = $1 LIMIT 2";

/// Layers of a back end that stand on another and have one thing above them, from behind the id `after` on.
pub(crate) async fn between(
    db: &Db,
    backend: &str,
    (after, limit): (&str, u32),
) -> Result<Vec<Layer>, Error> {
    let sql = concat!(
        "SELECT id, backend, format, parent, source, image, size_bytes, state FROM layers WHERE backend = $1 AND ",
        unnamed!(),
        " AND (SELECT COUNT(*) FROM volumes WHERE volumes.layer = layers.id) \
         + (SELECT COUNT(*) FROM layers AS above WHERE above.parent = layers.id) = 1 AND layers.id > $2 ORDER BY id LIMIT $3"
    );
    db.fetch_all(sql, args![backend, after, i64::from(limit)])
        .await
}

/// Whether a volume above a layer, however far, is in use or worked on.
pub(crate) async fn is_busy(db: &Db, id: &LayerId) -> Result<bool, Error> {
    let sql = concat!(
        up!(),
        "SELECT CAST(COUNT(*) AS BIGINT) FROM volumes WHERE layer IN (SELECT id FROM up) AND status <> 'available'"
    );
    let busy: i64 = db.fetch_scalar(sql, args![id]).await?;
    Ok(busy > 0)
}

/// The one thing that stands on a layer; none when there are several, or the layer has another use.
pub(crate) async fn above(tx: &mut Tx, id: &LayerId) -> Result<Option<Above>, Error> {
    let sql = concat!(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM layers WHERE id = $1 AND ",
        unnamed!()
    );
    let unnamed: i64 = tx.fetch_scalar(sql, args![id]).await?;
    let mut found: Vec<Above> = tx.fetch_all(STANDING, args![id]).await?;
    let last = found.pop();
    Ok(last.filter(|_| found.is_empty() && unnamed == 1))
}

/// What stands on a held layer, and what it stands on itself.
pub(crate) async fn around(db: &Db, id: &LayerId) -> Result<Option<(Above, Layer)>, Error> {
    let above = db.fetch_opt::<Above>(STANDING, args![id]).await?;
    let layer = layers::find(db, id).await?;
    let below = match layer.and_then(|layer| layer.parent) {
        Some(below) => layers::find(db, &below).await?,
        None => None,
    };
    Ok(above.zip(below))
}

/// Whether something reads, or makes, a layer above this one right now.
pub(crate) async fn is_read(tx: &mut Tx, id: &LayerId) -> Result<bool, Error> {
    let sql = concat!(
        up!(),
        "SELECT CAST(COUNT(*) AS BIGINT) FROM up WHERE \
         EXISTS (SELECT 1 FROM layers WHERE layers.id = up.id AND layers.state <> 'kept') \
         OR EXISTS (SELECT 1 FROM backups WHERE backups.layer = up.id)"
    );
    let read: i64 = tx.fetch_scalar(sql, args![id]).await?;
    Ok(read > 0)
}

/// Whether somebody waits for a volume that is held for a layer: has asked for work on it, or for a copy of it, or is
/// about to attach it.
pub(crate) async fn is_wanted(db: &Db, id: &LayerId) -> Result<bool, Error> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM volumes WHERE held_by = $1 AND (status <> 'available' \
         OR EXISTS (SELECT 1 FROM operations WHERE resource_id = volumes.id AND finished_at IS NULL) \
         OR EXISTS (SELECT 1 FROM layers WHERE source = volumes.id AND state = 'making'))";
    let wanted: i64 = db.fetch_scalar(sql, args![id]).await?;
    Ok(wanted > 0)
}

/// The volumes above a layer, however far.
pub(crate) async fn volumes(tx: &mut Tx, id: &LayerId) -> Result<Vec<VolumeId>, Error> {
    let sql = concat!(
        up!(),
        "SELECT id FROM volumes WHERE layer IN (SELECT id FROM up) ORDER BY id"
    );
    let ids: Vec<String> = tx.fetch_all(sql, args![id]).await?;
    Ok(ids.iter().map(|id| VolumeId::from(id.as_str())).collect())
}

/// Notes what something stands on now.
pub(crate) async fn stand_on(tx: &mut Tx, above: &Above, parent: &LayerId) -> Result<(), Error> {
    match above {
        Above::Volume(id) => {
            let sql = "UPDATE volumes SET layer = $1 WHERE id = $2";
            tx.exec(sql, args![parent, id]).await?;
        }
        Above::Layer(id) => {
            let sql = "UPDATE layers SET parent = $1 WHERE id = $2";
            tx.exec(sql, args![parent, id]).await?;
        }
    }
    Ok(())
}

/// Lets others at the volumes that were held for a layer.
pub(crate) async fn let_go(tx: &mut Tx, id: &LayerId) -> Result<(), Error> {
    let sql = "UPDATE volumes SET held_by = NULL WHERE held_by = $1";
    tx.exec(sql, args![id]).await.map(|_rows| ())
}

/// Lets others at all volumes that are held for layers of a back end which nothing else names.
pub(crate) async fn let_all_go(tx: &mut Tx, backend: &str) -> Result<(), Error> {
    let sql = concat!(
        "UPDATE volumes SET held_by = NULL WHERE held_by IN (SELECT id FROM layers WHERE layers.backend = $1 AND ",
        unnamed!(),
        ")"
    );
    tx.exec(sql, args![backend]).await.map(|_rows| ())
}
