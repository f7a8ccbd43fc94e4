//! Registered limits and the limits of projects and domains.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::{DomainId, ProjectId};

use super::none_if_empty;
use crate::model::limit::{Limit, RegisteredLimit};

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
    db.fetch_all(
        "SELECT id, service_id, region_id, resource_name, default_limit, description \
         FROM registered_limits",
        args![],
    )
    .await
}

/// Every limit.
pub(crate) async fn limits(db: &Db) -> Result<Vec<Limit>, Error> {
    db.fetch_all(
        "SELECT l.id, l.owner_kind, l.owner_id, l.registered_limit_id, l.resource_limit, \
         l.description, r.service_id, r.region_id, r.resource_name, \
         p.domain_id AS project_domain_id FROM limits l \
         JOIN registered_limits r ON r.id = l.registered_limit_id \
         LEFT JOIN projects p ON p.id = l.owner_id",
        args![],
    )
    .await
}

/// A registered limit as it is now, new or not.
pub(crate) async fn put_registered(tx: &mut Tx, limit: &RegisteredLimit) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO registered_limits (id, service_id, region_id, resource_name, \
         default_limit, description) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (id) DO UPDATE SET service_id = excluded.service_id, \
         region_id = excluded.region_id, resource_name = excluded.resource_name, \
         default_limit = excluded.default_limit, description = excluded.description",
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

/// A limit as it is now, new or not.
pub(crate) async fn put(tx: &mut Tx, limit: &Limit) -> Result<(), Error> {
    let (kind, owner) = match (&limit.project_id, &limit.domain_id) {
        (Some(project), _) => ("project", project.as_str()),
        (None, domain) => ("domain", domain.as_ref().map_or("", DomainId::as_str)),
    };
    tx.exec(
        "INSERT INTO limits (id, owner_kind, owner_id, registered_limit_id, resource_limit, \
         description) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (id) DO UPDATE SET resource_limit = excluded.resource_limit, \
         description = excluded.description",
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

/// Removes a registered limit that no limit refers to; says whether that was so.
pub(crate) async fn remove_registered(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    let changed = tx
        .exec(
            "DELETE FROM registered_limits WHERE id = $1 AND NOT EXISTS \
             (SELECT 1 FROM limits WHERE registered_limit_id = registered_limits.id)",
            args![id],
        )
        .await?;
    Ok(changed > 0)
}

/// Removes a limit.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec("DELETE FROM limits WHERE id = $1", args![id])
        .await?;
    Ok(())
}
