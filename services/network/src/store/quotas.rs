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

/// What a project has of a thing is the sum of so many rows, of which a change touches one by chance: with a single row, all
/// who make ports in a project would wait for each other.
const SHARDS: i64 = 16;

/// Counts `more` things, unless the project's limit is reached.
///
/// Each row has its share of the limit, so that the sum is within it. Only when a row's share is used up the others are
/// looked at, and when none has room left by itself, they are evened out.
pub(crate) async fn take(tx: &mut Tx, project: &str, resource: &str, more: i64) -> Result<()> {
    let own = tx
        .fetch_opt::<i64>(
            "SELECT quota_limit FROM quota_limits WHERE project_id = $1 AND resource = $2",
            args![project, resource],
        )
        .await?;
    let limit = own.unwrap_or_else(|| default_limit(resource));
    if limit < 0 {
        return Ok(add(tx, project, resource, more).await?);
    }
    let over = || {
        Refusal::conflict(
            "OverQuota",
            format!("Quota exceeded for resources: ['{resource}']. The limit is {limit}."),
        )
    };
    let shard = any_shard();
    let share = share(limit, shard);
    if more <= share {
        let counted = tx
            .exec(
                "INSERT INTO quota_usage (project_id, resource, shard, used) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (project_id, resource, shard) DO UPDATE SET used = quota_usage.used + excluded.used \
                 WHERE quota_usage.used + excluded.used <= $5",
                args![project, resource, shard, more, share],
            )
            .await?;
        if counted > 0 {
            return Ok(());
        }
    }
    hold(tx, project, resource).await?;
    let used = shards(tx, project, resource).await?;
    let used: Vec<i64> = used.into_iter().map(Option::unwrap_or_default).collect();
    let total = used.iter().sum::<i64>().saturating_add(more);
    if total > limit {
        return Err(over().into());
    }
    let room = (0..SHARDS).zip(&used);
    let mut room = room.filter(|(at, used)| used.saturating_add(more) <= self::share(limit, *at));
    if let Some((at, used)) = room.next() {
        return Ok(set_used(tx, (project, resource), at, used + more).await?);
    }
    for (at, before) in (0..SHARDS).zip(used) {
        let even = self::share(total, at);
        if before != even {
            set_used(tx, (project, resource), at, even).await?;
        }
    }
    Ok(())
}

/// A row's share of an amount; the shares of all rows are the amount.
const fn share(amount: i64, shard: i64) -> i64 {
    amount / SHARDS + (shard < amount % SHARDS) as i64
}

fn any_shard() -> i64 {
    rand::random_range(0..SHARDS)
}

/// Keeps all rows as they are for others until the transaction ends, also those that are not there yet.
async fn hold(tx: &mut Tx, project: &str, resource: &str) -> Result<(), nephos_db::Error> {
    let there = shards(tx, project, resource).await?;
    for (at, used) in (0..SHARDS).zip(there) {
        if used.is_none() {
            tx.exec(
                "INSERT INTO quota_usage (project_id, resource, shard, used) VALUES ($1, $2, $3, 0) \
                 ON CONFLICT (project_id, resource, shard) DO NOTHING",
                args![project, resource, at],
            )
            .await?;
        }
    }
    let held = "UPDATE quota_usage SET used = used WHERE project_id = $1 AND resource = $2";
    tx.exec(held, args![project, resource]).await?;
    Ok(())
}

/// What each row says, if it is there.
async fn shards(
    tx: &mut Tx,
    project: &str,
    resource: &str,
) -> Result<Vec<Option<i64>>, nephos_db::Error> {
    let rows: Vec<Shard> = tx
        .fetch_all(
            "SELECT shard, used FROM quota_usage WHERE project_id = $1 AND resource = $2",
            args![project, resource],
        )
        .await?;
    let of = |at: i64| rows.iter().find(|row| row.shard == at);
    Ok((0..SHARDS).map(|at| of(at).map(|row| row.used)).collect())
}

struct Shard {
    shard: i64,
    used: i64,
}

impl FromRow for Shard {
    fn from_row(row: &Row) -> Result<Self, nephos_db::Error> {
        Ok(Self {
            shard: row.get("shard")?,
            used: row.get("used")?,
        })
    }
}

async fn set_used(
    tx: &mut Tx,
    (project, resource): (&str, &str),
    shard: i64,
    used: i64,
) -> Result<(), nephos_db::Error> {
    tx.exec(
        "INSERT INTO quota_usage (project_id, resource, shard, used) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (project_id, resource, shard) DO UPDATE SET used = excluded.used",
        args![project, resource, shard, used],
    )
    .await?;
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
        "INSERT INTO quota_usage (project_id, resource, shard, used) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (project_id, resource, shard) DO UPDATE SET used = quota_usage.used + excluded.used",
        args![project, resource, any_shard(), more],
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
    let select =
        "SELECT project_id, resource, CAST(SUM(used) AS BIGINT) AS amount FROM quota_usage";
    let query = nephos_db::Where::new(select).eq_opt("project_id", project);
    reader
        .find(&query.tail("GROUP BY project_id, resource"))
        .await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_an_amount_are_the_amount() {
        for amount in [0, 1, 15, 16, 17, 500, 20_001] {
            let all = (0..SHARDS).map(|shard| share(amount, shard));
            assert_eq!(all.sum::<i64>(), amount);
        }
    }
}
