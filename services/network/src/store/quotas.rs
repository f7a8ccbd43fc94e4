//! How much each project may have, and has.

use nephos_db::{Db, FromRow, Row, Tx, args};

use crate::model::refusal::Refusal;
use crate::store::{Reader, Result};

/// What is counted, with the limit of projects that have none of their own; -1: none.
pub(crate) const RESOURCES: [(&str, i64); 10] = [
    ("network", 100),
    ("subnet", 100),
    ("subnetpool", -1),
    ("port", 500),
    ("router", 10),
    ("floatingip", 50),
    ("security_group", 10),
    ("security_group_rule", 100),
    ("rbac_policy", 10),
    ("address_scope", -1),
];

/// A limit or a use.
#[derive(Clone, Debug)]
pub(crate) struct Amount {
    pub project_id: String,
    pub resource: String,
    pub amount: i64,
}

impl FromRow for Amount {
    fn from_row(row: &Row) -> Result<Self, nephos_db::Error> {
        Ok(Self {
            project_id: row.get("project_id")?,
            resource: row.get("resource")?,
            amount: row.get("amount")?,
        })
    }
}

/// The limit of projects that have none of their own.
pub(crate) fn default_limit(resource: &str) -> i64 {
    RESOURCES
        .iter()
        .find(|(name, _)| *name == resource)
        .map_or(-1, |(_, limit)| *limit)
}

/// Counts `more` things, unless the project's limit is reached.
pub(crate) async fn take(tx: &mut Tx, project: &str, resource: &str, more: i64) -> Result<()> {
    let own = tx
        .fetch_opt::<i64>(
            "SELECT quota_limit FROM quota_limits WHERE project_id = $1 AND resource = $2",
            args![project, resource],
        )
        .await?;
    let limit = own.unwrap_or_else(|| default_limit(resource));
    let over = || {
        Refusal::conflict(
            "OverQuota",
            format!("Quota exceeded for resources: ['{resource}']. The limit is {limit}."),
        )
    };
    if limit >= 0 && more > limit {
        return Err(over().into());
    }
    let limit = if limit < 0 { i64::MAX } else { limit };
    let counted = tx
        .exec(
            "INSERT INTO quota_usage (project_id, resource, used) VALUES ($1, $2, $3) \
             ON CONFLICT (project_id, resource) DO UPDATE SET used = quota_usage.used + excluded.used \
             WHERE quota_usage.used + excluded.used <= $4",
            args![project, resource, more, limit],
        )
        .await?;
    if counted == 0 {
        return Err(over().into());
    }
    Ok(())
}

/// Counts without a limit, for what the cloud itself makes.
pub(crate) async fn add(
    tx: &mut Tx,
    project: &str,
    resource: &str,
    more: i64,
) -> Result<(), nephos_db::Error> {
    tx.exec(
        "INSERT INTO quota_usage (project_id, resource, used) VALUES ($1, $2, $3) \
         ON CONFLICT (project_id, resource) DO UPDATE SET used = quota_usage.used + excluded.used",
        args![project, resource, more],
    )
    .await?;
    Ok(())
}

/// Gives back.
pub(crate) async fn give(
    tx: &mut Tx,
    project: &str,
    resource: &str,
    less: i64,
) -> Result<(), nephos_db::Error> {
    add(tx, project, resource, -less).await
}

/// The limits that projects have of their own; of one project, or of all.
pub(crate) async fn limits(
    db: &Db,
    project: Option<&str>,
) -> Result<Vec<Amount>, nephos_db::Error> {
    let select = "SELECT project_id, resource, quota_limit AS amount FROM quota_limits";
    db.fetch_where(&nephos_db::Where::new(select).eq_opt("project_id", project))
        .await
}

/// What projects have; of one project, or of all.
pub(crate) async fn usage(
    reader: &mut Reader<'_>,
    project: Option<&str>,
) -> Result<Vec<Amount>, nephos_db::Error> {
    let select = "SELECT project_id, resource, used AS amount FROM quota_usage";
    let query = nephos_db::Where::new(select).eq_opt("project_id", project);
    reader.find(&query).await
}

/// Gives a project a limit of its own.
pub(crate) async fn set(tx: &mut Tx, limit: &Amount) -> Result<(), nephos_db::Error> {
    tx.exec(
        "INSERT INTO quota_limits (project_id, resource, quota_limit) VALUES ($1, $2, $3) \
         ON CONFLICT (project_id, resource) DO UPDATE SET quota_limit = excluded.quota_limit",
        args![limit.project_id, limit.resource, limit.amount],
    )
    .await?;
    Ok(())
}

/// Takes a project's own limits away.
pub(crate) async fn reset(tx: &mut Tx, project: &str) -> Result<(), nephos_db::Error> {
    tx.exec(
        "DELETE FROM quota_limits WHERE project_id = $1",
        args![project],
    )
    .await?;
    Ok(())
}

/// What there really is, counted row by row; for the consistency check.
pub(crate) async fn count(db: &Db) -> Result<Vec<Amount>, nephos_db::Error> {
    db.fetch_all(
        "SELECT project_id, 'network' AS resource, COUNT(*) AS amount FROM networks GROUP BY project_id UNION ALL \
         SELECT project_id, 'subnet' AS resource, COUNT(*) AS amount FROM subnets GROUP BY project_id UNION ALL \
         SELECT project_id, 'subnetpool' AS resource, COUNT(*) AS amount FROM subnet_pools GROUP BY project_id UNION ALL \
         SELECT project_id, 'port' AS resource, COUNT(*) AS amount FROM ports GROUP BY project_id UNION ALL \
         SELECT project_id, 'router' AS resource, COUNT(*) AS amount FROM routers GROUP BY project_id UNION ALL \
         SELECT project_id, 'floatingip' AS resource, COUNT(*) AS amount FROM floating_ips GROUP BY project_id UNION ALL \
         SELECT project_id, 'security_group' AS resource, COUNT(*) AS amount FROM security_groups GROUP BY project_id UNION ALL \
         SELECT project_id, 'security_group_rule' AS resource, COUNT(*) AS amount FROM security_group_rules GROUP BY project_id UNION ALL \
         SELECT project_id, 'rbac_policy' AS resource, COUNT(*) AS amount FROM rbac_policies GROUP BY project_id UNION ALL \
         SELECT project_id, 'address_scope' AS resource, COUNT(*) AS amount FROM address_scopes GROUP BY project_id",
        args![],
    )
    .await
}
