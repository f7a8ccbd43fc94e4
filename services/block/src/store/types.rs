//! Volume types.

use std::collections::BTreeMap;

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};

use crate::model::volume::Metadata;
use crate::model::volume_type::VolumeType;

const SELECT: &str =
    "SELECT id, name, description, is_public, qos_id, created_at, updated_at FROM types";

impl FromRow for VolumeType {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            is_public: row.get("is_public")?,
            specs: BTreeMap::new(),
            qos_id: row.get("qos_id")?,
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

async fn filled(db: &Db, mut found: Vec<VolumeType>) -> Result<Vec<VolumeType>, Error> {
    let ids: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
    let select = Where::new("SELECT type_id, name, value FROM type_specs").in_("type_id", ids);
    let specs = db.fetch_where::<Spec>(&select).await?;
    for Spec(id, name, value) in specs {
        if let Some(one) = found.iter_mut().find(|one| one.id == id) {
            one.specs.insert(name, value);
        }
    }
    Ok(found)
}

/// Those that a project may use; all of them for nobody in particular.
pub(crate) async fn list(
    db: &Db,
    project: Option<&str>,
    public: Option<bool>,
) -> Result<Vec<VolumeType>, Error> {
    let mut select = Where::new(SELECT);
    if let Some(public) = public {
        select = select.eq("is_public", public);
    }
    if let Some(project) = project {
        select = select.any(vec![
            Where::group().eq("is_public", true),
            Where::group().raw(
                "EXISTS (SELECT 1 FROM type_access AS a WHERE a.type_id = types.id AND a.project_id = {})",
                args![project],
            ),
        ]);
    }
    let sort = vec![("created_at", Direction::Desc), ("id", Direction::Desc)];
    let found = db
        .fetch_where(&select.page(Page {
            sort,
            ..Page::default()
        }))
        .await?;
    filled(db, found).await
}

/// By id or, failing that, by name.
pub(crate) async fn find(db: &Db, word: &str) -> Result<Option<VolumeType>, Error> {
    for column in ["id", "name"] {
        let found = db.fetch_where(&Where::new(SELECT).eq(column, word)).await?;
        if let Some(one) = filled(db, found).await?.into_iter().next() {
            return Ok(Some(one));
        }
    }
    Ok(None)
}

/// Names by id.
pub(crate) async fn names(db: &Db) -> Result<BTreeMap<String, String>, Error> {
    let all = db.fetch_where::<VolumeType>(&Where::new(SELECT)).await?;
    Ok(all.into_iter().map(|one| (one.id, one.name)).collect())
}

/// False when the name is taken.
pub(crate) async fn insert(tx: &mut Tx, new: &VolumeType) -> Result<bool, Error> {
    let inserted = tx
        .exec(
            "INSERT INTO types (id, name, description, is_public, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING",
            args![
                new.id,
                new.name,
                new.description,
                new.is_public,
                new.created_at
            ],
        )
        .await?;
    if inserted == 1 {
        set_specs(tx, &new.id, &new.specs).await?;
    }
    Ok(inserted == 1)
}

/// False when the name is taken.
pub(crate) async fn update(tx: &mut Tx, changed: &VolumeType) -> Result<bool, Error> {
    let taken = "SELECT id FROM types WHERE name = $1 AND id <> $2";
    if tx
        .fetch_opt::<String>(taken, args![changed.name, changed.id])
        .await?
        .is_some()
    {
        return Ok(false);
    }
    let sql = "UPDATE types SET name = $1, description = $2, is_public = $3, updated_at = $4 WHERE id = $5";
    let args = args![
        changed.name,
        changed.description,
        changed.is_public,
        changed.updated_at,
        changed.id
    ];
    tx.exec(sql, args).await?;
    Ok(true)
}

/// Whether there is a volume of a type.
pub(crate) async fn is_used(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM volumes WHERE type_id = $1";
    let used: i64 = tx.fetch_scalar(sql, args![id]).await?;
    Ok(used > 0)
}

/// False when volumes are of it.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM types WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM volumes WHERE volumes.type_id = types.id)";
    Ok(tx.exec(sql, args![id]).await? == 1)
}

pub(crate) async fn set_specs(tx: &mut Tx, id: &str, specs: &Metadata) -> Result<(), Error> {
    for (name, value) in specs {
        tx.exec(
            "INSERT INTO type_specs (type_id, name, value) VALUES ($1, $2, $3) \
             ON CONFLICT (type_id, name) DO UPDATE SET value = excluded.value",
            args![id, name, value],
        )
        .await?;
    }
    Ok(())
}

pub(crate) async fn remove_spec(tx: &mut Tx, id: &str, name: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM type_specs WHERE type_id = $1 AND name = $2";
    Ok(tx.exec(sql, args![id, name]).await? == 1)
}

/// The projects that may use a type that is not public.
pub(crate) async fn access(db: &Db, id: &str) -> Result<Vec<String>, Error> {
    let sql = "SELECT project_id FROM type_access WHERE type_id = $1 ORDER BY project_id";
    db.fetch_all(sql, args![id]).await
}

/// False when it has it already.
pub(crate) async fn add_access(tx: &mut Tx, id: &str, project: &str) -> Result<bool, Error> {
    let sql =
        "INSERT INTO type_access (type_id, project_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(tx.exec(sql, args![id, project]).await? == 1)
}

pub(crate) async fn remove_access(tx: &mut Tx, id: &str, project: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM type_access WHERE type_id = $1 AND project_id = $2";
    Ok(tx.exec(sql, args![id, project]).await? == 1)
}

/// A project's own default type.
pub(crate) struct Default {
    pub project_id: String,
    pub type_id: String,
}

impl FromRow for Default {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            project_id: row.get("project_id")?,
            type_id: row.get("type_id")?,
        })
    }
}

/// Of one project, or of all.
pub(crate) async fn defaults(db: &Db, project: Option<&str>) -> Result<Vec<Default>, Error> {
    let select =
        Where::new("SELECT project_id, type_id FROM default_types").eq_opt("project_id", project);
    let sort = vec![("project_id", Direction::Asc)];
    db.fetch_where(&select.page(Page {
        sort,
        ..Page::default()
    }))
    .await
}

pub(crate) async fn set_default(tx: &mut Tx, project: &str, id: &str) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO default_types (project_id, type_id) VALUES ($1, $2) \
         ON CONFLICT (project_id) DO UPDATE SET type_id = excluded.type_id",
        args![project, id],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove_default(tx: &mut Tx, project: &str) -> Result<(), Error> {
    tx.exec(
        "DELETE FROM default_types WHERE project_id = $1",
        args![project],
    )
    .await?;
    Ok(())
}
