//! Quotas in SQL: what is used is counted in the transaction that uses it, so it cannot drift.

use std::collections::BTreeMap;

use nephos_db::{Db, Error, FromRow, Row, Tx, args};

use crate::model::quota::{DEFAULTS, Usage, default_limit};

/// The scope of limits for every project without its own (`os-quota-class-sets/default`).
pub(crate) const DEFAULT_CLASS: &str = "class:default";

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    pub resource: &'static str,
    pub wanted: i64,
    pub used: i64,
    pub limit: i64,
}

struct Named(String, i64);

impl FromRow for Named {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("resource")?, row.get("value")?))
    }
}

/// The limits of a project, or of the default class.
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
    let sql = "SELECT resource, used AS value FROM quota_usage WHERE project_id = $1";
    let used = db.fetch_all::<Named>(sql, args![project]).await?;
    Ok(used
        .into_iter()
        .map(|Named(resource, used)| (resource, used))
        .collect())
}

/// Takes what servers will use, or says what there is not enough of; then the transaction must be dropped.
pub(crate) async fn take(
    tx: &mut Tx,
    project: &str,
    limits: &BTreeMap<String, i64>,
    wanted: Usage,
) -> Result<Result<(), Over>, Error> {
    for (resource, amount) in wanted.each() {
        let taken = take_one(tx, project, limits, (resource, amount)).await?;
        if taken.is_err() {
            return Ok(taken);
        }
    }
    Ok(Ok(()))
}

/// Takes so much of one resource, likewise.
pub(crate) async fn take_one(
    tx: &mut Tx,
    project: &str,
    limits: &BTreeMap<String, i64>,
    (resource, amount): (&'static str, i64),
) -> Result<Result<(), Over>, Error> {
    let limit = limits
        .get(resource)
        .copied()
        .or_else(|| default_limit(resource))
        .unwrap_or(-1);
    let used: i64 = tx
        .fetch_scalar(
            "INSERT INTO quota_usage (project_id, resource, used) VALUES ($1, $2, $3) \
             ON CONFLICT (project_id, resource) DO UPDATE SET used = quota_usage.used + excluded.used \
             RETURNING used",
            args![project, resource, amount],
        )
        .await?;
    if limit >= 0 && used > limit {
        return Ok(Err(Over {
            resource,
            wanted: amount,
            used: used - amount,
            limit,
        }));
    }
    Ok(Ok(()))
}

/// Gives back what a server used.
pub(crate) async fn give_back(tx: &mut Tx, project: &str, used: Usage) -> Result<(), Error> {
    for (resource, amount) in used.each() {
        give_back_one(tx, project, (resource, amount)).await?;
    }
    Ok(())
}

/// Gives back so much of one resource.
pub(crate) async fn give_back_one(
    tx: &mut Tx,
    project: &str,
    (resource, amount): (&'static str, i64),
) -> Result<(), Error> {
    tx.exec(
        "UPDATE quota_usage SET used = used - $1 WHERE project_id = $2 AND resource = $3",
        args![amount, project, resource],
    )
    .await?;
    Ok(())
}
