//! Kinds of groups of volumes.

use std::collections::BTreeMap;

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};

use crate::model::group::GroupType;
use crate::model::volume::Metadata;

const SELECT: &str =
    "SELECT id, name, description, is_public, created_at, updated_at FROM group_types";

/// The keys that lists of group types can be sorted by.
pub(crate) const SORT_KEYS: &[&str] = &["id", "name", "created_at"];

impl FromRow for GroupType {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            is_public: row.get("is_public")?,
            specs: BTreeMap::new(),
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

struct Spec(String, String, String);

impl FromRow for Spec {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(
            row.get("type_id")?,
            row.get("name")?,
            row.get("value")?,
        ))
    }
}

/// All of them, or the public ones or the others, in the order of a key.
pub(crate) async fn list(
    db: &Db,
    public: Option<bool>,
    (key, down): (&str, bool),
) -> Result<Vec<GroupType>, Error> {
    let column = match key {
        "id" => "id",
        "name" => "name",
        _created => "created_at",
    };
    let direction = match down {
        true => Direction::Desc,
        false => Direction::Asc,
    };
    let select = Where::new(SELECT).eq_opt("is_public", public).page(Page {
        sort: vec![(column, direction), ("id", direction)],
        ..Page::default()
    });
    filled(db, db.fetch_where(&select).await?).await
}

/// By its id or its name.
pub(crate) async fn find(db: &Db, word: &str) -> Result<Option<GroupType>, Error> {
    let either = Where::new(SELECT).raw("(id = {} OR name = {})", args![word, word]);
    let found = filled(db, db.fetch_where(&either).await?).await?;
    Ok(found.into_iter().next())
}

async fn filled(db: &Db, mut found: Vec<GroupType>) -> Result<Vec<GroupType>, Error> {
    let ids: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
    let select = Where::new("SELECT type_id, name, value FROM group_specs").in_("type_id", ids);
    for Spec(id, name, value) in db.fetch_where::<Spec>(&select).await? {
        if let Some(one) = found.iter_mut().find(|one| one.id == id) {
            one.specs.insert(name, value);
        }
    }
    Ok(found)
}

/// A new one; refused as not unique when the name is in use.
pub(crate) async fn insert(tx: &mut Tx, kind: &GroupType) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO group_types (id, name, description, is_public, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $5)",
        args![
            kind.id,
            kind.name,
            kind.description,
            kind.is_public,
            kind.created_at
        ],
    )
    .await?;
    set_specs(tx, &kind.id, &kind.specs).await
}

/// Writes everything of it but its specs.
pub(crate) async fn update(tx: &mut Tx, kind: &GroupType) -> Result<(), Error> {
    tx.exec_some(
        "UPDATE group_types SET name = $1, description = $2, is_public = $3, updated_at = $4 WHERE id = $5",
        args![
            kind.name,
            kind.description,
            kind.is_public,
            kind.updated_at,
            kind.id
        ],
    )
    .await?;
    Ok(())
}

/// Adds to its specs.
pub(crate) async fn set_specs(tx: &mut Tx, id: &str, specs: &Metadata) -> Result<(), Error> {
    tx.still_there("SELECT id FROM group_types WHERE id = $1", args![id])
        .await?;
    for (name, value) in specs {
        tx.exec(
            "INSERT INTO group_specs (type_id, name, value) VALUES ($1, $2, $3) \
             ON CONFLICT (type_id, name) DO UPDATE SET value = excluded.value",
            args![id, name, value],
        )
        .await?;
    }
    Ok(())
}

/// Removes a spec; false when it is not there.
pub(crate) async fn remove_spec(tx: &mut Tx, id: &str, name: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM group_specs WHERE type_id = $1 AND name = $2";
    Ok(tx.exec(sql, args![id, name]).await? == 1)
}

/// Removes it; false when a group is of it.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    let groups: i64 = tx
        .fetch_scalar(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM volume_groups WHERE type_id = $1",
            args![id],
        )
        .await?;
    if groups > 0 {
        return Ok(false);
    }
    tx.exec("DELETE FROM group_types WHERE id = $1", args![id])
        .await?;
    Ok(true)
}
