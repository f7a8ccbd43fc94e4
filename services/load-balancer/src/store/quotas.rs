//! Limits of projects. What is used is counted where it is made, in the same transaction.

use std::collections::BTreeMap;

use nephos_db::{Db, Error, FromRow, Row, Tx, args};

use super::{balancers, parts};
use crate::model::quota::{BALANCERS, LIMITS};
use crate::model::refusal::Refusal;
use crate::model::tree::Kind;

struct Limit(String, String, i64);

impl FromRow for Limit {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(
            row.get("project_id")?,
            row.get("resource")?,
            row.get("hard_limit")?,
        ))
    }
}

/// Limits by resource.
pub(crate) type Limits = BTreeMap<String, i64>;

/// Where nothing else is set.
pub(crate) fn defaults() -> Limits {
    let all = LIMITS.iter();
    all.map(|(name, limit)| ((*name).to_owned(), *limit))
        .collect()
}

/// The limits of a project.
pub(crate) async fn of(db: &Db, project: &str) -> Result<Limits, Error> {
    let set: Vec<Limit> = db
        .fetch_all(
            "SELECT project_id, resource, hard_limit FROM quota_limits WHERE project_id = $1",
            args![project],
        )
        .await?;
    let mut limits = defaults();
    limits.extend(
        set.into_iter()
            .map(|Limit(_, resource, limit)| (resource, limit)),
    );
    Ok(limits)
}

/// The limits of every project that has some of its own, a thousand at most.
pub(crate) async fn all(db: &Db, project: Option<&str>) -> Result<BTreeMap<String, Limits>, Error> {
    let set: Vec<Limit> = db
        .fetch_all(
            "SELECT project_id, resource, hard_limit FROM quota_limits WHERE project_id IN \
             (SELECT DISTINCT project_id FROM quota_limits WHERE CAST($1 AS TEXT) IS NULL OR project_id = $1 \
             ORDER BY project_id LIMIT 1000) ORDER BY project_id",
            args![project],
        )
        .await?;
    let mut all: BTreeMap<String, Limits> = BTreeMap::new();
    for Limit(project, resource, limit) in set {
        all.entry(project)
            .or_insert_with(defaults)
            .insert(resource, limit);
    }
    Ok(all)
}

pub(crate) async fn set(tx: &mut Tx, project: &str, limits: &Limits) -> Result<(), Error> {
    for (resource, limit) in limits {
        tx.exec(
            "INSERT INTO quota_limits (project_id, resource, hard_limit) VALUES ($1, $2, $3) \
             ON CONFLICT (project_id, resource) DO UPDATE SET hard_limit = excluded.hard_limit",
            args![project, resource, limit],
        )
        .await?;
    }
    Ok(())
}

pub(crate) async fn reset(tx: &mut Tx, project: &str) -> Result<(), Error> {
    tx.exec(
        "DELETE FROM quota_limits WHERE project_id = $1",
        args![project],
    )
    .await?;
    Ok(())
}

/// Refuses more parts of a kind than a project may have, counting those that this transaction made already.
pub(crate) async fn check_parts(
    tx: &mut Tx,
    project: &str,
    limits: &Limits,
    kinds: &[Kind],
) -> Result<Result<(), Refusal>, Error> {
    for kind in kinds {
        let limit = limits.get(kind.limit()).copied().unwrap_or(-1);
        if limit >= 0 && parts::count(tx, project, *kind).await? > limit {
            return Ok(Err(Refusal::quota(kind.title())));
        }
    }
    Ok(Ok(()))
}

/// Likewise, for load balancers.
pub(crate) async fn check_balancers(
    tx: &mut Tx,
    project: &str,
    limits: &Limits,
) -> Result<Result<(), Refusal>, Error> {
    let limit = limits.get(BALANCERS).copied().unwrap_or(-1);
    if limit >= 0 && balancers::count(tx, project).await? > limit {
        return Ok(Err(Refusal::quota("Load Balancer")));
    }
    Ok(Ok(()))
}
