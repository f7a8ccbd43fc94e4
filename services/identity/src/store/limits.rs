//! Registered limits and the limits of projects and domains.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::{DomainId, ProjectId};

use super::none_if_empty;
use crate::model::limit::{Limit, RegisteredLimit};

const SELECT_REGISTERED: &str = "SELECT id, service_id, region_id, resource_name, default_limit, \
     description FROM registered_limits";
const SELECT: &str = "SELECT l.id, l.owner_kind, l.owner_id, l.registered_limit_id, \
     l.resource_limit, l.description, r.service_id, r.region_id, r.resource_name, \
     p.domain_id AS project_domain_id FROM limits l \
     JOIN registered_limits r ON r.id = l.registered_limit_id \
     LEFT JOIN projects p ON p.id = l.owner_id";

impl FromRow for RegisteredLimit {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            service_id: row.get("service_id")?,
            region_id: none_if_empty(row.get("region_id")?),
            resource_name: row.get("resource_name")?,
            default_limit: row.get("default_limit")?,
            description: row.get("description")?,
        })
    }
}

impl FromRow for Limit {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let kind: String = row.get("owner_kind")?;
        let owner: String = row.get("owner_id")?;
        let project = kind == "project";
        Ok(Self {
            id: row.get("id")?,
            project_id: project.then(|| ProjectId(owner.clone())),
            domain_id: (!project).then_some(DomainId(owner)),
            service_id: row.get("service_id")?,
            region_id: none_if_empty(row.get("region_id")?),
            resource_name: row.get("resource_name")?,
            resource_limit: row.get("resource_limit")?,
            description: row.get("description")?,
            registered_limit_id: row.get("registered_limit_id")?,
            project_domain_id: row.get("project_domain_id")?,
        })
    }
}

/// Every registered limit.
pub(crate) async fn registered(db: &Db) -> Result<Vec<RegisteredLimit>, Error> {
    db.fetch_all(SELECT_REGISTERED, args![]).await
}

/// Every limit.
pub(crate) async fn limits(db: &Db) -> Result<Vec<Limit>, Error> {
    db.fetch_all(SELECT, args![]).await
}

async fn place_there(tx: &mut Tx, limit: &RegisteredLimit) -> Result<(), Error> {
    super::catalog::service_there(tx, &limit.service_id).await?;
    match &limit.region_id {
        Some(region) => super::catalog::region_there(tx, region).await,
        None => Ok(()),
    }
}

/// A new row, of a service and in a region that are there.
pub(crate) async fn insert_registered(tx: &mut Tx, limit: &RegisteredLimit) -> Result<(), Error> {
    place_there(tx, limit).await?;
    tx.exec(
        "INSERT INTO registered_limits (id, service_id, region_id, resource_name, \
         default_limit, description) VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            limit.id,
            limit.service_id,
            limit.region_id.as_deref().unwrap_or_default(),
            limit.resource_name,
            limit.default_limit,
            limit.description
        ],
    )
    .await?;
    Ok(())
}

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update_registered(
    tx: &mut Tx,
    before: &RegisteredLimit,
    limit: &RegisteredLimit,
) -> Result<(), Error> {
    let row = Where::new(SELECT_REGISTERED).eq("id", &limit.id);
    tx.still(&row, before).await?;
    place_there(tx, limit).await?;
    tx.exec(
        "UPDATE registered_limits SET service_id = $1, region_id = $2, resource_name = $3, \
         default_limit = $4, description = $5 WHERE id = $6",
        args![
            limit.service_id,
            limit.region_id.as_deref().unwrap_or_default(),
            limit.resource_name,
            limit.default_limit,
            limit.description,
            limit.id
        ],
    )
    .await?;
    Ok(())
}

/// How many limits refer to a registered one.
pub(crate) async fn count_of(tx: &mut Tx, registered_id: &str) -> Result<i64, Error> {
    tx.fetch_scalar(
        "SELECT COUNT(*) FROM limits WHERE registered_limit_id = $1",
        args![registered_id],
    )
    .await
}

/// A new row, of an owner that is there and for what is still registered as it was.
pub(crate) async fn insert(tx: &mut Tx, limit: &Limit) -> Result<(), Error> {
    let (kind, owner) = match (&limit.project_id, &limit.domain_id) {
        (Some(project), _) => ("project", project.as_str()),
        (None, domain) => ("domain", domain.as_ref().map_or("", DomainId::as_str)),
    };
    super::projects::there(tx, owner).await?;
    tx.still_there(
        "SELECT id FROM registered_limits WHERE id = $1 AND service_id = $2 AND region_id = $3 \
         AND resource_name = $4",
        args![
            limit.registered_limit_id,
            limit.service_id,
            limit.region_id.as_deref().unwrap_or_default(),
            limit.resource_name
        ],
    )
    .await?;
    tx.exec(
        "INSERT INTO limits (id, owner_kind, owner_id, registered_limit_id, resource_limit, \
         description) VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            limit.id,
            kind,
            owner,
            limit.registered_limit_id,
            limit.resource_limit,
            limit.description
        ],
    )
    .await?;
    Ok(())
}

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update(tx: &mut Tx, before: &Limit, limit: &Limit) -> Result<(), Error> {
    let row = Where::new(SELECT).eq("l.id", &limit.id);
    tx.still(&row, before).await?;
    tx.exec(
        "UPDATE limits SET resource_limit = $1, description = $2 WHERE id = $3",
        args![limit.resource_limit, limit.description, limit.id],
    )
    .await?;
    Ok(())
}

/// Removes a registered limit.
pub(crate) async fn remove_registered(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec_some("DELETE FROM registered_limits WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// Removes a limit.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec_some("DELETE FROM limits WHERE id = $1", args![id])
        .await?;
    Ok(())
}
