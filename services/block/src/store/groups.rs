//! Groups of volumes.

use std::collections::BTreeMap;

use nephos_db::{Arg, Db, Direction, Error, FromRow, Page, Row, ToArg, Tx, Where, args};

use super::volumes::times;
use crate::model::group::{Group, GroupId, GroupStatus};
use crate::model::volume::Owner;

const SELECT: &str = "SELECT id, project_id, user_id, name, description, type_id, zone, status, group_snapshot_id, \
     source_group_id, created_at, updated_at FROM volume_groups";

/// The keys that lists of groups can be sorted by.
pub(crate) const SORT_KEYS: &[&str] = &["id", "name", "status", "created_at", "updated_at"];

impl FromRow for Group {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let status: String = row.get("status")?;
        Ok(Self {
            id: row.get("id")?,
            owner: Owner {
                project_id: row.get("project_id")?,
                user_id: row.get("user_id")?,
            },
            name: row.get("name")?,
            description: row.get("description")?,
            type_id: row.get("type_id")?,
            zone: row.get("zone")?,
            status: GroupStatus::parse(&status)
                .ok_or_else(|| Error::damaged(format!("group status {status}")))?,
            group_snapshot_id: row.get("group_snapshot_id")?,
            source_group_id: row.get("source_group_id")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

pub(crate) async fn find(db: &Db, id: &GroupId) -> Result<Option<Group>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

pub(crate) async fn find_in(tx: &mut Tx, id: &GroupId) -> Result<Option<Group>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(tx.fetch_where(&query).await?.into_iter().next())
}

/// What is asked for of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing<'a> {
    pub project: Option<&'a str>,
    pub filters: &'a [(String, String)],
    pub sort: &'a [(String, bool)],
    pub after: Option<&'a Group>,
    pub limit: Option<u32>,
}

fn column(key: &str) -> &'static str {
    match key {
        "id" => "id",
        "name" => "COALESCE(name, '')",
        "status" => "status",
        "updated_at" => "updated_at",
        _created => "created_at",
    }
}

fn value(group: &Group, key: &str) -> Arg {
    match key {
        "id" => group.id.to_arg(),
        "name" => group.name.clone().unwrap_or_default().to_arg(),
        "status" => group.status.as_str().to_arg(),
        "updated_at" => group.updated_at.to_arg(),
        _created => group.created_at.to_arg(),
    }
}

/// A page of groups.
pub(crate) async fn page(db: &Db, listing: &Listing<'_>) -> Result<Vec<Group>, Error> {
    let mut select = Where::new(SELECT).eq_opt("project_id", listing.project);
    for (key, value) in listing.filters {
        select = match key.as_str() {
            "id" => select.eq("id", value),
            "name" => select.eq("name", value),
            "name~" => select.contains("COALESCE(name, '')", value),
            "status" => select.eq("status", value),
            "status~" => select.contains("status", value),
            "group_type" => select.eq("type_id", value),
            "availability_zone" => select.eq("zone", value),
            "project_id" => select.eq("project_id", value),
            "group_snapshot_id" => select.eq("group_snapshot_id", value),
            "source_group_id" => select.eq("source_group_id", value),
            "created_at" => times(select, "created_at", value),
            "updated_at" => times(select, "updated_at", value),
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
    let after = listing.after.map(|group| {
        let keys = listing.sort.iter();
        let mut values: Vec<Arg> = keys.map(|(key, _)| value(group, key)).collect();
        values.push(group.id.to_arg());
        values
    });
    let limit = listing.limit;
    db.fetch_where(&select.page(Page { sort, after, limit }))
        .await
}

struct Pair(String, String);

impl FromRow for Pair {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("group_id")?, row.get("value")?))
    }
}

async fn by_group(
    db: &Db,
    select: &'static str,
    ids: &[&str],
) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let select = Where::new(select).in_("group_id", ids.iter().copied());
    let page = Page {
        sort: vec![("value", Direction::Asc)],
        ..Page::default()
    };
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Pair(group, value) in db.fetch_where::<Pair>(&select.page(page)).await? {
        all.entry(group).or_default().push(value);
    }
    Ok(all)
}

/// The types that volumes of several groups may have.
pub(crate) async fn types_of(
    db: &Db,
    ids: &[&str],
) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let select = "SELECT group_id, value FROM \
         (SELECT group_id, type_id AS value FROM group_volume_types) AS pairs";
    by_group(db, select, ids).await
}

/// The ids of the volumes of several groups.
pub(crate) async fn volumes_of(
    db: &Db,
    ids: &[&str],
) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let select = "SELECT group_id, value FROM \
         (SELECT group_id, id AS value FROM volumes WHERE group_id IS NOT NULL) AS pairs";
    by_group(db, select, ids).await
}

pub(crate) async fn insert(tx: &mut Tx, group: &Group, types: &[String]) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO volume_groups (id, project_id, user_id, name, description, type_id, zone, status, group_snapshot_id, \
         source_group_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
        args![
            group.id,
            group.owner.project_id,
            group.owner.user_id,
            group.name,
            group.description,
            group.type_id,
            group.zone,
            group.status.as_str(),
            group.group_snapshot_id,
            group.source_group_id,
            group.created_at,
        ],
    )
    .await?;
    for id in types {
        tx.exec(
            "INSERT INTO group_volume_types (group_id, type_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            args![group.id, id],
        )
        .await?;
    }
    Ok(())
}

/// Writes everything of a group that can change.
pub(crate) async fn update(tx: &mut Tx, group: &Group) -> Result<(), Error> {
    tx.exec(
        "UPDATE volume_groups SET name = $1, description = $2, status = $3, updated_at = $4 WHERE id = $5",
        args![
            group.name,
            group.description,
            group.status.as_str(),
            group.updated_at,
            group.id
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &GroupId) -> Result<(), Error> {
    tx.exec("DELETE FROM volume_groups WHERE id = $1", args![id])
        .await?;
    Ok(())
}
