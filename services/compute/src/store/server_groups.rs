//! Server groups in SQL. Their members are the servers that name them.

use std::collections::BTreeMap;

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};

use crate::model::server_group::{Members, Policy, ServerGroup};
use crate::model::spec::ServerId;

const SELECT: &str =
    "SELECT id, project_id, user_id, name, policy, max_per_host, created_at FROM server_groups";

impl FromRow for ServerGroup {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let policy: String = row.get("policy")?;
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            user_id: row.get("user_id")?,
            name: row.get("name")?,
            policy: Policy::parse(&policy)
                .ok_or_else(|| Error::damaged(format!("policy {policy}")))?,
            max_per_host: row.get("max_per_host")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// Groups of a project, or of all, oldest first.
pub(crate) async fn list(
    db: &Db,
    project: Option<&str>,
    limit: u32,
) -> Result<Vec<ServerGroup>, Error> {
    let page = Page {
        sort: vec![("created_at", Direction::Asc), ("id", Direction::Asc)],
        after: None,
        limit: Some(limit),
    };
    let query = Where::new(SELECT).eq_opt("project_id", project).page(page);
    db.fetch_where(&query).await
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<ServerGroup>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

pub(crate) async fn insert(tx: &mut Tx, group: &ServerGroup) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO server_groups (id, project_id, user_id, name, policy, max_per_host, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            group.id,
            group.project_id,
            group.user_id,
            group.name,
            group.policy.word(),
            group.max_per_host,
            group.created_at
        ],
    )
    .await?;
    Ok(())
}

/// Removes a group; says whether it was there.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM server_groups WHERE id = $1";
    Ok(tx.exec(sql, args![id]).await? == 1)
}

/// Its servers are in no group any more.
pub(crate) async fn let_go(tx: &mut Tx, id: &str) -> Result<(), Error> {
    let sql = "UPDATE servers SET group_id = NULL WHERE group_id = $1";
    tx.exec(sql, args![id]).await?;
    Ok(())
}

struct Member(String, String);

impl FromRow for Member {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("group_id")?, row.get("id")?))
    }
}

/// The servers of these groups, by group.
pub(crate) async fn members(
    db: &Db,
    groups: &[String],
) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let query = Where::new("SELECT group_id, id FROM servers")
        .in_("group_id", groups)
        .tail("ORDER BY created_at, id");
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Member(group, server) in db.fetch_where::<Member>(&query).await? {
        found.entry(group).or_default().push(server);
    }
    Ok(found)
}

/// How many servers a project's group has; none when there is no such group. Whoever asks is alone with the group until
/// the end of the transaction.
pub(crate) async fn count(tx: &mut Tx, id: &str, project: &str) -> Result<Option<i64>, Error> {
    let sql = "UPDATE server_groups SET name = name WHERE id = $1 AND project_id = $2";
    if tx.exec(sql, args![id, project]).await? != 1 {
        return Ok(None);
    }
    let sql = "SELECT COUNT(*) FROM servers WHERE group_id = $1";
    tx.fetch_scalar(sql, args![id]).await.map(Some)
}

async fn lock(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    let sql = "UPDATE server_groups SET name = name WHERE id = $1";
    Ok(tx.exec(sql, args![id]).await? == 1)
}

struct OnHost(String, i64);

impl FromRow for OnHost {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("host")?, row.get("members")?))
    }
}

/// One that moves counts where it is and where it goes.
const ON_HOSTS: &str = "SELECT host, COUNT(*) AS members FROM \
     (SELECT host, id FROM servers WHERE group_id = $1 AND id <> $2 AND host IS NOT NULL UNION \
     SELECT dest_host AS host, servers.id AS id FROM migrations JOIN servers ON servers.id = migrations.server_id \
     WHERE group_id = $1 AND servers.id <> $2 AND ended_at IS NULL AND dest_host IS NOT NULL UNION \
     SELECT source_host AS host, servers.id AS id FROM migrations JOIN servers ON servers.id = migrations.server_id \
     WHERE group_id = $1 AND servers.id <> $2 AND ended_at IS NULL) AS placed GROUP BY host";

fn placed(group: &ServerGroup, rows: Vec<OnHost>) -> Members {
    let number = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
    Members {
        policy: group.policy,
        max_per_host: number(group.max_per_host.unwrap_or(1)),
        on: rows
            .into_iter()
            .map(|OnHost(host, count)| (host, number(count)))
            .collect(),
    }
}

/// Where the other members of a server's group are.
pub(crate) async fn others(
    db: &Db,
    group: &ServerGroup,
    server: &ServerId,
) -> Result<Members, Error> {
    let rows = db.fetch_all(ON_HOSTS, args![group.id, server]).await?;
    Ok(placed(group, rows))
}

/// The same within a transaction, which is alone with the group until its end: no other member is placed meanwhile.
pub(crate) async fn others_for_sure(
    tx: &mut Tx,
    id: &str,
    server: &ServerId,
) -> Result<Option<Members>, Error> {
    if !lock(tx, id).await? {
        return Ok(None);
    }
    let query = Where::new(SELECT).eq("id", id);
    let group = tx.fetch_where::<ServerGroup>(&query).await?;
    let Some(group) = group.into_iter().next() else {
        return Ok(None);
    };
    let rows = tx.fetch_all(ON_HOSTS, args![id, server]).await?;
    Ok(Some(placed(&group, rows)))
}
