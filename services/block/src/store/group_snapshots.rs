//! Snapshots of whole groups.

use nephos_db::{Arg, Db, Direction, Error, FromRow, Page, Row, ToArg, Tx, Where, args};

use super::volumes::times;
use crate::model::group::{GroupId, GroupSnapshot, GroupSnapshotId, GroupStatus};
use crate::model::volume::Owner;

const SELECT: &str = "SELECT id, project_id, user_id, group_id, type_id, name, description, status, created_at, \
     updated_at FROM group_snapshots";

/// The keys that lists of them can be sorted by.
pub(crate) const SORT_KEYS: &[&str] = &["id", "name", "status", "created_at", "group_id"];

impl FromRow for GroupSnapshot {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let status: String = row.get("status")?;
        Ok(Self {
            id: row.get("id")?,
            owner: Owner {
                project_id: row.get("project_id")?,
                user_id: row.get("user_id")?,
            },
            group_id: row.get("group_id")?,
            type_id: row.get("type_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            status: GroupStatus::parse(&status)
                .ok_or_else(|| Error::damaged(format!("group snapshot status {status}")))?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

pub(crate) async fn find(db: &Db, id: &GroupSnapshotId) -> Result<Option<GroupSnapshot>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

pub(crate) async fn find_in(
    tx: &mut Tx,
    id: &GroupSnapshotId,
) -> Result<Option<GroupSnapshot>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(tx.fetch_where(&query).await?.into_iter().next())
}

/// How many a group has.
pub(crate) async fn count_of(tx: &mut Tx, group: &GroupId) -> Result<i64, Error> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM group_snapshots WHERE group_id = $1";
    tx.fetch_scalar(sql, args![group]).await
}

/// What is asked for of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing<'a> {
    pub project: Option<&'a str>,
    pub filters: &'a [(String, String)],
    pub sort: &'a [(String, bool)],
    pub after: Option<&'a GroupSnapshot>,
    pub limit: Option<u32>,
}

fn column(key: &str) -> &'static str {
    match key {
        "id" => "id",
        "name" => "COALESCE(name, '')",
        "status" => "status",
        "group_id" => "group_id",
        _created => "created_at",
    }
}

fn value(snapshot: &GroupSnapshot, key: &str) -> Arg {
    match key {
        "id" => snapshot.id.to_arg(),
        "name" => snapshot.name.clone().unwrap_or_default().to_arg(),
        "status" => snapshot.status.as_str().to_arg(),
        "group_id" => snapshot.group_id.to_arg(),
        _created => snapshot.created_at.to_arg(),
    }
}

/// A page of them.
pub(crate) async fn page(db: &Db, listing: &Listing<'_>) -> Result<Vec<GroupSnapshot>, Error> {
    let mut select = Where::new(SELECT).eq_opt("project_id", listing.project);
    for (key, value) in listing.filters {
        select = match key.as_str() {
            "id" => select.eq("id", value),
            "name" => select.eq("name", value),
            "name~" => select.contains("COALESCE(name, '')", value),
            "status" => select.eq("status", value),
            "status~" => select.contains("status", value),
            "group_id" => select.eq("group_id", value),
            "group_type_id" => select.eq("type_id", value),
            "project_id" => select.eq("project_id", value),
            "created_at" => times(select, "created_at", value),
            _no_filter => select,
        };
    }
    let direction = |down: bool| match down {
        true => Direction::Desc,
        false => Direction::Asc,
    };
    let keys = listing.sort.iter();
    let mut sort: Vec<(&'static str, Direction)> = keys
        .map(|(key, down)| (column(key), direction(*down)))
        .collect();
    let last = sort.last().map_or(Direction::Desc, |(_, last)| *last);
    sort.push(("id", last));
    let after = listing.after.map(|snapshot| {
        let keys = listing.sort.iter();
        let mut values: Vec<Arg> = keys.map(|(key, _)| value(snapshot, key)).collect();
        values.push(snapshot.id.to_arg());
        values
    });
    let limit = listing.limit;
    db.fetch_where(&select.page(Page { sort, after, limit }))
        .await
}

pub(crate) async fn insert(tx: &mut Tx, snapshot: &GroupSnapshot) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO group_snapshots (id, project_id, user_id, group_id, type_id, name, description, status, \
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        args![
            snapshot.id,
            snapshot.owner.project_id,
            snapshot.owner.user_id,
            snapshot.group_id,
            snapshot.type_id,
            snapshot.name,
            snapshot.description,
            snapshot.status.as_str(),
            snapshot.created_at,
        ],
    )
    .await?;
    Ok(())
}

/// Writes everything of it that can change.
pub(crate) async fn update(tx: &mut Tx, snapshot: &GroupSnapshot) -> Result<(), Error> {
    tx.exec(
        "UPDATE group_snapshots SET name = $1, description = $2, status = $3, updated_at = $4 WHERE id = $5",
        args![
            snapshot.name,
            snapshot.description,
            snapshot.status.as_str(),
            snapshot.updated_at,
            snapshot.id
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &GroupSnapshotId) -> Result<(), Error> {
    tx.exec("DELETE FROM group_snapshots WHERE id = $1", args![id])
        .await?;
    Ok(())
}
