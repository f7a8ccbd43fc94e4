//! Transfers.

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};

use crate::model::transfer::Transfer;

const SELECT: &str = "SELECT id, volume_id, project_id, name, salt, key_hash, no_snapshots, created_at FROM transfers";

impl FromRow for Transfer {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            volume_id: row.get("volume_id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            salt: row.get("salt")?,
            key_hash: row.get("key_hash")?,
            no_snapshots: row.get("no_snapshots")?,
            created_at: row.get("created_at")?,
        })
    }
}

pub(crate) async fn find(db: &Db, id: &str) -> Result<Option<Transfer>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

pub(crate) async fn find_in(tx: &mut Tx, id: &str) -> Result<Option<Transfer>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(tx.fetch_where(&query).await?.into_iter().next())
}

/// A page of a project's, or of everybody's, newest first.
pub(crate) async fn page(
    db: &Db,
    project: Option<&str>,
    (after, limit): (Option<&Transfer>, u32),
) -> Result<Vec<Transfer>, Error> {
    let page = Page {
        sort: vec![("created_at", Direction::Desc), ("id", Direction::Desc)],
        after: after.map(|one| args![one.created_at, one.id]),
        limit: Some(limit),
    };
    db.fetch_where(&Where::new(SELECT).eq_opt("project_id", project).page(page))
        .await
}

pub(crate) async fn insert(tx: &mut Tx, transfer: &Transfer) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO transfers (id, volume_id, project_id, name, salt, key_hash, no_snapshots, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            transfer.id,
            transfer.volume_id,
            transfer.project_id,
            transfer.name,
            transfer.salt,
            transfer.key_hash,
            transfer.no_snapshots,
            transfer.created_at,
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM transfers WHERE id = $1";
    Ok(tx.exec(sql, args![id]).await? == 1)
}

/// Those of a volume that goes.
pub(crate) async fn remove_of(tx: &mut Tx, volume: &str) -> Result<(), Error> {
    tx.exec("DELETE FROM transfers WHERE volume_id = $1", args![volume])
        .await?;
    Ok(())
}
