//! Quotas: what is used is counted in the transaction that uses it, so it cannot drift, and nobody gets past a limit.

use std::collections::BTreeMap;

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};

use crate::model::quota::{DEFAULTS, Over, Usage};

/// The scope of limits for every project without its own.
pub(crate) const DEFAULT_CLASS: &str = "class:default";

struct Named(String, i64);

impl FromRow for Named {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("resource")?, row.get("value")?))
    }
}

/// The limits of a project, or of the default class. What is not named has none.
pub(crate) async fn limits(db: &Db, scope: &str) -> Result<BTreeMap<String, i64>, Error> {
    let mut limits: BTreeMap<String, i64> = DEFAULTS
        .iter()
        .map(|(name, limit)| ((*name).to_owned(), *limit))
        .collect();
    for scope in [DEFAULT_CLASS, scope] {
        let sql = "SELECT resource, hard_limit AS value FROM quota_limits WHERE scope = $1";
        let set = db.fetch_all::<Named>(sql, args![scope]).await?;
        limits.extend(
            set.into_iter()
                .map(|Named(resource, limit)| (resource, limit)),
        );
    }
    Ok(limits)
}

pub(crate) async fn set_limit(
    tx: &mut Tx,
    scope: &str,
    resource: &str,
    limit: i64,
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO quota_limits (scope, resource, hard_limit) VALUES ($1, $2, $3) \
         ON CONFLICT (scope, resource) DO UPDATE SET hard_limit = excluded.hard_limit",
        args![scope, resource, limit],
    )
    .await?;
    Ok(())
}

pub(crate) async fn reset(tx: &mut Tx, scope: &str) -> Result<(), Error> {
    tx.exec("DELETE FROM quota_limits WHERE scope = $1", args![scope])
        .await?;
    Ok(())
}

/// What a project uses.
pub(crate) async fn usage(db: &Db, project: &str) -> Result<BTreeMap<String, i64>, Error> {
    let select =
        Where::new("SELECT resource, used AS value FROM quota_usage").eq("project_id", project);
    let used = db.fetch_where::<Named>(&select).await?;
    Ok(used
        .into_iter()
        .map(|Named(resource, used)| (resource, used))
        .collect())
}

/// Takes what a thing will use, or says what there is not enough of; then the transaction must be dropped.
pub(crate) async fn take(
    tx: &mut Tx,
    project: &str,
    limits: &BTreeMap<String, i64>,
    wanted: &Usage,
) -> Result<Result<(), Over>, Error> {
    for (resource, amount) in &wanted.0 {
        let used: i64 = tx
            .fetch_scalar(
                "INSERT INTO quota_usage (project_id, resource, used) VALUES ($1, $2, $3) \
                 ON CONFLICT (project_id, resource) DO UPDATE SET used = quota_usage.used + excluded.used \
                 RETURNING used",
                args![project, resource, amount],
            )
            .await?;
        let limit = limits.get(resource).copied().unwrap_or(-1);
        if limit >= 0 && *amount > 0 && used > limit {
            return Ok(Err(Over {
                resource: resource.clone(),
                wanted: *amount,
                used: used - amount,
                limit,
            }));
        }
    }
    Ok(Ok(()))
}

/// Gives back what a thing used.
pub(crate) async fn give_back(tx: &mut Tx, project: &str, used: &Usage) -> Result<(), Error> {
    for (resource, amount) in &used.0 {
        let sql = "UPDATE quota_usage SET used = used - $1 WHERE project_id = $2 AND resource = $3";
        tx.exec(sql, args![amount, project, resource]).await?;
    }
    Ok(())
}
