//! Address scopes.

use nephos_db::{Error, FromRow, Row, Tx, Where, args};

use crate::model::sharing::Grants;
use crate::model::subnet_pool::AddressScope;
use crate::store::{Reader, Result, rbac};

const SELECT: &str = "SELECT id, project_id, name, ip_version FROM address_scopes";

impl FromRow for AddressScope {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            ip_version: row.get("ip_version")?,
            grants: Grants::default(),
        })
    }
}

/// All scopes, to be narrowed.
pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

/// With grants.
pub(crate) async fn find(
    reader: &mut Reader<'_>,
    query: &Where,
) -> Result<Vec<AddressScope>, Error> {
    let mut found: Vec<AddressScope> = reader.find(query).await?;
    let ids: Vec<String> = found.iter().map(|scope| scope.id.clone()).collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let mut grants = rbac::of(reader, &ids).await?;
    for scope in &mut found {
        scope.grants = grants.remove(&scope.id).unwrap_or_default();
    }
    Ok(found)
}

pub(crate) async fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<AddressScope>, Error> {
    Ok(find(reader, &query().eq("id", id)).await?.pop())
}

pub(crate) async fn insert(tx: &mut Tx, scope: &AddressScope) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO address_scopes (id, project_id, name, ip_version) VALUES ($1, $2, $3, $4)",
        args![scope.id, scope.project_id, scope.name, scope.ip_version],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut Tx, scope: &AddressScope) -> Result<(), Error> {
    tx.exec(
        "UPDATE address_scopes SET name = $1 WHERE id = $2",
        args![scope.name, scope.id],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    rbac::clear(tx, id).await?;
    tx.exec_some("DELETE FROM address_scopes WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// The pools in a scope.
pub(crate) async fn pools(tx: &mut Tx, id: &str) -> Result<Vec<String>, Error> {
    tx.fetch_all(
        "SELECT id FROM subnet_pools WHERE address_scope_id = $1 ORDER BY id",
        args![id],
    )
    .await
}
