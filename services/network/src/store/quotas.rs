//! How much each project may have, and has.

use nephos_db::{Db, FromRow, Row, Tx, args};

use crate::model::refusal::Refusal;
use crate::store::{Reader, Result};

/// What is counted, with the limit of projects that have none of their own; -1: none.
pub(crate) const RESOURCES: [(&str, i64); 11] = [
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
    ("trunk", -1),
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
///
/// Each row has its share of the limit. Either none is above its share, and so the sum is within the limit; or none is
/// below it, and there is no room in any. A change that would leave it otherwise looks at all rows and evens them out, which
/// is right whatever the limit is or becomes.
const SHARDS: i64 = 16;

/// Counts `more` things, unless the project's limit is reached.
pub(crate) async fn take(tx: &mut Tx, project: &str, resource: &str, more: i64) -> Result<()> {
    let Some(limit) = count_more(tx, (project, resource), more).await? else {
        return Ok(());
    };
    Err(Refusal::conflict(
        "OverQuota",
        format!("Quota exceeded for resources: ['{resource}']. The limit is {limit}."),
    )
    .into())
}

/// Counts, whatever the limit, what the cloud itself makes.
pub(crate) async fn add(
    tx: &mut Tx,
    project: &str,
    resource: &str,
    more: i64,
) -> Result<(), nephos_db::Error> {
    if count_more(tx, (project, resource), more).await?.is_some() {
        let total = total(tx, project, resource).await?;
        even_out(tx, project, resource, total + more).await?;
    }
    Ok(())
}

/// Gives back.
pub(crate) async fn give(
    tx: &mut Tx,
    project: &str,
    resource: &str,
    less: i64,
) -> Result<(), nephos_db::Error> {
    let limit = limit_of(tx, project, resource).await?;
    if limit < 0 {
        return add_to(tx, (project, resource), any_shard(), -less).await;
    }
    let shard = any_shard();
    let given = tx
        .exec(
            "UPDATE quota_usage SET used = used - $1 WHERE project_id = $2 AND resource = $3 AND shard = $4 AND used < $5",
            args![less, project, resource, shard, share(limit, shard)],
        )
        .await?;
    if given > 0 {
        return Ok(());
    }
    hold(tx, project, resource).await?;
    let left = total(tx, project, resource).await? - less;
    even_out(tx, project, resource, left).await
}

/// The project's own limit, or the one of those that have none; -1: none.
async fn limit_of(tx: &mut Tx, project: &str, resource: &str) -> Result<i64, nephos_db::Error> {
    let sql = "SELECT quota_limit FROM quota_limits WHERE project_id = $1 AND resource = $2";
    let own = tx.fetch_opt(sql, args![project, resource]).await?;
    Ok(own.unwrap_or_else(|| default_limit(resource)))
}

/// Counts `more` things if that is within the limit. If it is not, gives the limit, and the rows are held.
async fn count_more(
    tx: &mut Tx,
    (project, resource): (&str, &str),
    more: i64,
) -> Result<Option<i64>, nephos_db::Error> {
    let shard = any_shard();
    let Standing { limit, used } = standing(tx, (project, resource), shard).await?;
    if limit < 0 {
        add_to(tx, (project, resource), shard, more).await?;
        return Ok(None);
    }
    let share = share(limit, shard);
    if used.saturating_add(more) <= share {
        // When the row is used up meanwhile, all begins anew: who waits for the others holds none.
        tx.exec_some(
            "INSERT INTO quota_usage (project_id, resource, shard, used) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (project_id, resource, shard) DO UPDATE SET used = quota_usage.used + excluded.used \
             WHERE quota_usage.used + excluded.used <= $5",
            args![project, resource, shard, more, share],
        )
        .await?;
        return Ok(None);
    }
    hold(tx, project, resource).await?;
    let total = total(tx, project, resource).await?.saturating_add(more);
    if total > limit {
        return Ok(Some(limit));
    }
    even_out(tx, project, resource, total).await?;
    Ok(None)
}

/// A project's limit of a thing (-1: none), and what one row says that it has.
struct Standing {
    limit: i64,
    used: i64,
}

async fn standing(
    tx: &mut Tx,
    (project, resource): (&str, &str),
    shard: i64,
) -> Result<Standing, nephos_db::Error> {
    let sql = "SELECT COALESCE((SELECT quota_limit FROM quota_limits WHERE project_id = $1 AND resource = $2), $4) \
         AS quota_limit, COALESCE((SELECT used FROM quota_usage WHERE project_id = $1 AND resource = $2 \
         AND shard = $3), 0) AS used";
    let values = args![project, resource, shard, default_limit(resource)];
    tx.fetch_one(sql, values).await
}

impl FromRow for Standing {
    fn from_row(row: &Row) -> Result<Self, nephos_db::Error> {
        Ok(Self {
            limit: row.get("quota_limit")?,
            used: row.get("used")?,
        })
    }
}

async fn add_to(
    tx: &mut Tx,
    (project, resource): (&str, &str),
    shard: i64,
    more: i64,
) -> Result<(), nephos_db::Error> {
    tx.exec(
        "INSERT INTO quota_usage (project_id, resource, shard, used) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (project_id, resource, shard) DO UPDATE SET used = quota_usage.used + excluded.used",
        args![project, resource, shard, more],
    )
    .await?;
    Ok(())
}

/// The sum of the rows is to be this; they are held.
async fn even_out(
    tx: &mut Tx,
    project: &str,
    resource: &str,
    total: i64,
) -> Result<(), nephos_db::Error> {
    tx.exec(
        "UPDATE quota_usage SET used = $1 + CASE WHEN shard < $2 THEN 1 ELSE 0 END \
         WHERE project_id = $3 AND resource = $4",
        args![
            total.div_euclid(SHARDS),
            total.rem_euclid(SHARDS),
            project,
            resource
        ],
    )
    .await?;
    Ok(())
}

async fn total(tx: &mut Tx, project: &str, resource: &str) -> Result<i64, nephos_db::Error> {
    let sql = "SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM quota_usage WHERE project_id = $1 AND resource = $2";
    tx.fetch_scalar(sql, args![project, resource]).await
}

/// A row's share of an amount; the shares of all rows are the amount.
const fn share(amount: i64, shard: i64) -> i64 {
    amount / SHARDS + (shard < amount % SHARDS) as i64
}

fn any_shard() -> i64 {
    rand::random_range(0..SHARDS)
}

/// Keeps all rows as they are for others until the transaction ends, also those that were not there yet.
async fn hold(tx: &mut Tx, project: &str, resource: &str) -> Result<(), nephos_db::Error> {
    let make = "INSERT INTO quota_usage (project_id, resource, shard, used) VALUES ($1, $2, $3, 0) \
         ON CONFLICT (project_id, resource, shard) DO NOTHING";
    tx.exec(make, args![project, resource, 0]).await?;
    // One at a time, whatever order the database would take the others in.
    let first =
        "UPDATE quota_usage SET used = used WHERE project_id = $1 AND resource = $2 AND shard = 0";
    tx.exec(first, args![project, resource]).await?;
    let there = "SELECT shard FROM quota_usage WHERE project_id = $1 AND resource = $2";
    let there: Vec<i64> = tx.fetch_all(there, args![project, resource]).await?;
    for shard in (0..SHARDS).filter(|shard| !there.contains(shard)) {
        tx.exec(make, args![project, resource, shard]).await?;
    }
    let held = "UPDATE quota_usage SET used = used WHERE project_id = $1 AND resource = $2";
    tx.exec(held, args![project, resource]).await?;
    Ok(())
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
    even_again(tx, &limit.project_id, &limit.resource).await?;
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
    for (resource, _) in RESOURCES {
        even_again(tx, project, resource).await?;
    }
    tx.exec(
        "DELETE FROM quota_limits WHERE project_id = $1",
        args![project],
    )
    .await?;
    Ok(())
}

/// What is counted stays; it is even, as another limit wants it.
async fn even_again(tx: &mut Tx, project: &str, resource: &str) -> Result<(), nephos_db::Error> {
    hold(tx, project, resource).await?;
    let total = total(tx, project, resource).await?;
    even_out(tx, project, resource, total).await
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
         SELECT project_id, 'address_scope' AS resource, COUNT(*) AS amount FROM address_scopes GROUP BY project_id UNION ALL \
         SELECT project_id, 'trunk' AS resource, COUNT(*) AS amount FROM trunks GROUP BY project_id",
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
