//! Subnet pools.

use nephos_db::{Error, FromRow, Row, Tx, Where, args};

use crate::model::sharing::Grants;
use crate::model::subnet_pool::SubnetPool;
use crate::store::{Reader, Result, json, rbac, tags, text};

const SELECT: &str = "SELECT id, project_id, name, description, ip_version, prefixes, default_prefixlen, min_prefixlen, \
     max_prefixlen, default_quota, address_scope_id, is_default, revision, created_at, updated_at FROM subnet_pools";

impl FromRow for SubnetPool {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            ip_version: row.get("ip_version")?,
            prefixes: json(row, "prefixes")?,
            default_prefixlen: row.get("default_prefixlen")?,
            min_prefixlen: row.get("min_prefixlen")?,
            max_prefixlen: row.get("max_prefixlen")?,
            default_quota: row.get("default_quota")?,
            address_scope_id: row.get("address_scope_id")?,
            is_default: row.get("is_default")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            grants: Grants::default(),
            tags: Vec::new(),
        })
    }
}

/// All pools, to be narrowed.
pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

/// With grants and tags.
pub(crate) async fn find(reader: &mut Reader<'_>, query: &Where) -> Result<Vec<SubnetPool>, Error> {
    let mut found: Vec<SubnetPool> = reader.find(query).await?;
    let ids: Vec<String> = found.iter().map(|pool| pool.id.clone()).collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let mut grants = rbac::of(reader, &ids).await?;
    let mut tags = tags::of(reader, &ids).await?;
    for pool in &mut found {
        pool.grants = grants.remove(&pool.id).unwrap_or_default();
        pool.tags = tags.remove(&pool.id).unwrap_or_default();
    }
    Ok(found)
}

pub(crate) async fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<SubnetPool>, Error> {
    Ok(find(reader, &query().eq("id", id)).await?.pop())
}

/// The pool of those who name none.
pub(crate) async fn default_of(
    reader: &mut Reader<'_>,
    ip_version: u8,
) -> Result<Option<SubnetPool>, Error> {
    let query = query()
        .eq("ip_version", ip_version)
        .raw("is_default", args![]);
    Ok(find(reader, &query).await?.pop())
}

/// Says no when there is a default pool already and this would be another.
pub(crate) async fn insert(tx: &mut Tx, pool: &SubnetPool) -> Result<bool, Error> {
    let made = tx
        .exec(
            "INSERT INTO subnet_pools (id, project_id, name, description, ip_version, prefixes, default_prefixlen, \
             min_prefixlen, max_prefixlen, default_quota, address_scope_id, is_default, revision, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING",
            args![
                pool.id,
                pool.project_id,
                pool.name,
                pool.description,
                pool.ip_version,
                text(&pool.prefixes)?,
                pool.default_prefixlen,
                pool.min_prefixlen,
                pool.max_prefixlen,
                pool.default_quota,
                pool.address_scope_id,
                pool.is_default,
                pool.revision,
                pool.created_at,
                pool.updated_at,
            ],
        )
        .await?;
    Ok(made > 0)
}

/// The row as it is now, if nobody changed it since it was read.
pub(crate) async fn update(tx: &mut Tx, pool: &SubnetPool) -> Result<(), Error> {
    tx.exec_some(
            "UPDATE subnet_pools SET name = $1, description = $2, prefixes = $3, default_prefixlen = $4, \
             min_prefixlen = $5, max_prefixlen = $6, default_quota = $7, address_scope_id = $8, is_default = $9, \
             revision = revision + 1, updated_at = $10 WHERE id = $11 AND revision = $12",
            args![
                pool.name,
                pool.description,
                text(&pool.prefixes)?,
                pool.default_prefixlen,
                pool.min_prefixlen,
                pool.max_prefixlen,
                pool.default_quota,
                pool.address_scope_id,
                pool.is_default,
                pool.updated_at,
                pool.id,
                pool.revision,
            ],
        )
        .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tags::clear(tx, id).await?;
    rbac::clear(tx, id).await?;
    tx.exec_some("DELETE FROM subnet_pools WHERE id = $1", args![id])
        .await?;
    Ok(())
}
