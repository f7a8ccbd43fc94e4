//! How types are encrypted, and the sealed keys of volumes.

use std::collections::BTreeMap;

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};

use crate::model::encryption::Encryption;
use crate::model::volume::VolumeId;

const SELECT: &str = "SELECT id, type_id, provider, control_location, cipher, key_size, created_at, updated_at \
     FROM type_encryption";

impl FromRow for Encryption {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            type_id: row.get("type_id")?,
            provider: row.get("provider")?,
            control_location: row.get("control_location")?,
            cipher: row.get("cipher")?,
            key_size: row.get("key_size")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

pub(crate) async fn of_type(db: &Db, kind: &str) -> Result<Option<Encryption>, Error> {
    let query = Where::new(SELECT).eq("type_id", kind);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

/// As this transaction sees it.
pub(crate) async fn of_type_in(tx: &mut Tx, kind: &str) -> Result<Option<Encryption>, Error> {
    let query = Where::new(SELECT).eq("type_id", kind);
    Ok(tx.fetch_where(&query).await?.into_iter().next())
}

/// False when the type has one.
pub(crate) async fn insert(tx: &mut Tx, new: &Encryption) -> Result<bool, Error> {
    let inserted = tx
        .exec(
            "INSERT INTO type_encryption (type_id, id, provider, control_location, cipher, key_size, created_at, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
            args![
                new.type_id,
                new.id,
                new.provider,
                new.control_location,
                new.cipher,
                new.key_size,
                new.created_at,
                new.updated_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

pub(crate) async fn update(tx: &mut Tx, changed: &Encryption) -> Result<(), Error> {
    tx.exec(
        "UPDATE type_encryption SET provider = $1, control_location = $2, cipher = $3, key_size = $4, updated_at = $5 \
         WHERE type_id = $6",
        args![
            changed.provider,
            changed.control_location,
            changed.cipher,
            changed.key_size,
            changed.updated_at,
            changed.type_id,
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, kind: &str) -> Result<(), Error> {
    let sql = "DELETE FROM type_encryption WHERE type_id = $1";
    tx.exec(sql, args![kind]).await?;
    Ok(())
}

/// What opens a volume, sealed.
pub(crate) struct Key {
    pub id: String,
    pub sealed: String,
}

impl FromRow for Key {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            sealed: row.get("sealed")?,
        })
    }
}

/// A volume and what opens it, sealed.
pub(crate) struct Closed {
    pub volume: VolumeId,
    pub sealed: String,
}

impl FromRow for Closed {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            volume: row.get("volume_id")?,
            sealed: row.get("sealed")?,
        })
    }
}

/// All that there are.
pub(crate) async fn keys(db: &Db) -> Result<Vec<Closed>, Error> {
    let sql = "SELECT volume_id, sealed FROM volume_keys ORDER BY volume_id";
    db.fetch_all(sql, args![]).await
}

/// One that is there already, if any is, as this transaction sees it.
pub(crate) async fn any_key_in(tx: &mut Tx) -> Result<Option<Closed>, Error> {
    let sql = "SELECT volume_id, sealed FROM volume_keys ORDER BY volume_id LIMIT 1";
    tx.fetch_opt(sql, args![]).await
}

const KEY: &str = "SELECT id, sealed FROM volume_keys WHERE volume_id = $1";

pub(crate) async fn key(db: &Db, volume: &VolumeId) -> Result<Option<Key>, Error> {
    db.fetch_opt(KEY, args![volume]).await
}

/// As this transaction sees it.
pub(crate) async fn key_in(tx: &mut Tx, volume: &VolumeId) -> Result<Option<Key>, Error> {
    tx.fetch_opt(KEY, args![volume]).await
}

/// The volume and the id of its key.
struct Named(String, String);

impl FromRow for Named {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("volume_id")?, row.get("id")?))
    }
}

/// The ids of the keys of these volumes, by volume.
pub(crate) async fn key_ids(db: &Db, volumes: &[&str]) -> Result<BTreeMap<String, String>, Error> {
    let select = Where::new("SELECT volume_id, id FROM volume_keys")
        .in_("volume_id", volumes.iter().copied());
    let found = db.fetch_where::<Named>(&select).await?;
    Ok(found.into_iter().map(|Named(of, id)| (of, id)).collect())
}

pub(crate) async fn keep_key(tx: &mut Tx, volume: &VolumeId, key: &Key) -> Result<(), Error> {
    let sql = "INSERT INTO volume_keys (volume_id, id, sealed) VALUES ($1, $2, $3)";
    tx.exec(sql, args![volume, key.id, key.sealed]).await?;
    Ok(())
}

pub(crate) async fn forget_key(tx: &mut Tx, volume: &VolumeId) -> Result<(), Error> {
    let sql = "DELETE FROM volume_keys WHERE volume_id = $1";
    tx.exec(sql, args![volume]).await?;
    Ok(())
}
