//! What users wrote on things, and what volumes know of their images.

use std::collections::BTreeMap;

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};

use crate::model::volume::Metadata;

/// Of a volume, by its users.
pub(crate) const VOLUME: &str = "volume";
/// Of a volume, about the image it was made from.
pub(crate) const IMAGE: &str = "image";
/// Of a backup.
pub(crate) const BACKUP: &str = "backup";
/// Of a snapshot.
pub(crate) const SNAPSHOT: &str = "snapshot";

struct Item(String, String, String);

impl FromRow for Item {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(
            row.get("owner_id")?,
            row.get("name")?,
            row.get("value")?,
        ))
    }
}

/// Of many things of one kind.
pub(crate) async fn of_many(
    db: &Db,
    kind: &str,
    ids: &[&str],
) -> Result<BTreeMap<String, Metadata>, Error> {
    let select = Where::new("SELECT owner_id, name, value FROM metadata")
        .eq("kind", kind)
        .in_("owner_id", ids.iter().copied());
    let mut all: BTreeMap<String, Metadata> = BTreeMap::new();
    for Item(owner, name, value) in db.fetch_where::<Item>(&select).await? {
        all.entry(owner).or_default().insert(name, value);
    }
    Ok(all)
}

/// Of one thing.
pub(crate) async fn of(db: &Db, kind: &str, id: &str) -> Result<Metadata, Error> {
    Ok(of_many(db, kind, &[id])
        .await?
        .remove(id)
        .unwrap_or_default())
}

/// Adds to what is there.
pub(crate) async fn set(tx: &mut Tx, kind: &str, id: &str, items: &Metadata) -> Result<(), Error> {
    for (name, value) in items {
        tx.exec(
            "INSERT INTO metadata (owner_id, kind, name, value) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (owner_id, kind, name) DO UPDATE SET value = excluded.value",
            args![id, kind, name, value],
        )
        .await?;
    }
    Ok(())
}

/// Puts these in the place of what is there.
pub(crate) async fn replace(
    tx: &mut Tx,
    kind: &str,
    id: &str,
    items: &Metadata,
) -> Result<(), Error> {
    let sql = "DELETE FROM metadata WHERE owner_id = $1 AND kind = $2";
    tx.exec(sql, args![id, kind]).await?;
    set(tx, kind, id, items).await
}

/// Removes one; false when it is not there.
pub(crate) async fn remove(tx: &mut Tx, kind: &str, id: &str, name: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM metadata WHERE owner_id = $1 AND kind = $2 AND name = $3";
    Ok(tx.exec(sql, args![id, kind, name]).await? == 1)
}
