//! Flavors in SQL.

use nephos_db::{Db, Error, FromRow, Page, Row, Tx, Where, args};

use super::{json, parsed};
use crate::model::flavor::{Flavor, FlavorId};

impl FromRow for Flavor {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            vcpus: row.get("vcpus")?,
            ram_mib: row.get("ram_mib")?,
            disk_gib: row.get("disk_gib")?,
            ephemeral_gib: row.get("ephemeral_gib")?,
            swap_mib: row.get("swap_mib")?,
            rxtx_factor: row.get("rxtx_factor")?,
            is_public: row.get("is_public")?,
            extra_specs: parsed(&row.get::<String>("extra_specs")?)?,
            created_at: row.get("created_at")?,
        })
    }
}

const SELECT: &str = "SELECT id, name, description, vcpus, ram_mib, disk_gib, ephemeral_gib, swap_mib, rxtx_factor, \
     is_public, extra_specs, created_at FROM flavors";

/// Which flavors a list shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Public ones, private ones, or both.
    pub is_public: Option<bool>,
    /// Only what this project may use.
    pub visible_to: Option<String>,
    /// At least so much.
    pub min_ram_mib: Option<u64>,
    /// At least so much.
    pub min_disk_gib: Option<u64>,
}

pub(crate) async fn list(db: &Db, filter: &Filter, page: Page) -> Result<Vec<Flavor>, Error> {
    let mut query = Where::new(SELECT).eq_opt("is_public", filter.is_public);
    query = match filter.min_ram_mib {
        Some(least) => query.ge("ram_mib", least),
        None => query,
    };
    query = match filter.min_disk_gib {
        Some(least) => query.ge("disk_gib", least),
        None => query,
    };
    if let Some(project) = &filter.visible_to {
        query = query.any(vec![
            Where::group().eq("is_public", true),
            Where::group().raw(
                "EXISTS (SELECT 1 FROM flavor_access WHERE flavor_id = flavors.id AND project_id = {})",
                args![project],
            ),
        ]);
    }
    db.fetch_where(&query.page(page)).await
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<Flavor>, Error> {
    Ok(db
        .fetch_where(&Where::new(SELECT).eq("id", id))
        .await?
        .into_iter()
        .next())
}

/// Inserts unless id or name is taken; says whether it did.
pub(crate) async fn insert(tx: &mut Tx, flavor: &Flavor) -> Result<bool, Error> {
    let inserted = tx
        .exec(
            "INSERT INTO flavors (id, name, description, vcpus, ram_mib, disk_gib, ephemeral_gib, swap_mib, \
             rxtx_factor, is_public, extra_specs, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
            args![
                flavor.id,
                flavor.name,
                flavor.description,
                flavor.vcpus,
                flavor.ram_mib,
                flavor.disk_gib,
                flavor.ephemeral_gib,
                flavor.swap_mib,
                flavor.rxtx_factor,
                flavor.is_public,
                json(&flavor.extra_specs)?,
                flavor.created_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update(tx: &mut Tx, before: &Flavor, flavor: &Flavor) -> Result<(), Error> {
    tx.still(&Where::new(SELECT).eq("id", &flavor.id), before)
        .await?;
    tx.exec(
        "UPDATE flavors SET description = $1, extra_specs = $2 WHERE id = $3",
        args![flavor.description, json(&flavor.extra_specs)?, flavor.id],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &FlavorId) -> Result<(), Error> {
    tx.exec("DELETE FROM flavor_access WHERE flavor_id = $1", args![id])
        .await?;
    tx.exec_some("DELETE FROM flavors WHERE id = $1", args![id])
        .await?;
    Ok(())
}

pub(crate) async fn access(db: &Db, id: &FlavorId) -> Result<Vec<String>, Error> {
    let sql = "SELECT project_id FROM flavor_access WHERE flavor_id = $1 ORDER BY project_id";
    db.fetch_all(sql, args![id]).await
}

/// Says whether it was not there before. A conflict when the flavor is gone by now.
pub(crate) async fn add_access(tx: &mut Tx, id: &FlavorId, project: &str) -> Result<bool, Error> {
    let flavor = "SELECT 1 FROM flavors WHERE id = $1";
    tx.still_there(flavor, args![id]).await?;
    let sql =
        "INSERT INTO flavor_access (flavor_id, project_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(tx.exec(sql, args![id, project]).await? == 1)
}

/// Says whether it was there.
pub(crate) async fn remove_access(
    tx: &mut Tx,
    id: &FlavorId,
    project: &str,
) -> Result<bool, Error> {
    let sql = "DELETE FROM flavor_access WHERE flavor_id = $1 AND project_id = $2";
    Ok(tx.exec(sql, args![id, project]).await? == 1)
}
