//! Snapshots.

use nephos_db::{Arg, Db, Direction, Error, FromRow, Page, Row, ToArg, Tx, Where, args};

use super::volumes::times;
use crate::model::snapshot::{Snapshot, SnapshotId, SnapshotStatus};
use crate::model::volume::{Owner, Volume, VolumeId};

const SELECT: &str = "SELECT id, project_id, user_id, volume_id, type_id, name, description, size_gib, status, progress, \
     backend, layer, group_snapshot_id, created_at, updated_at FROM snapshots";

/// The keys that lists of snapshots can be sorted by.
pub(crate) const SORT_KEYS: &[&str] = &[
    "id",
    "status",
    "created_at",
    "updated_at",
    "name",
    "display_name",
    "volume_size",
    "size",
];

impl FromRow for Snapshot {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let status: String = row.get("status")?;
        Ok(Self {
            id: row.get("id")?,
            owner: Owner {
                project_id: row.get("project_id")?,
                user_id: row.get("user_id")?,
            },
            volume_id: row.get("volume_id")?,
            type_id: row.get("type_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            size_gib: row.get("size_gib")?,
            status: SnapshotStatus::parse(&status)
                .ok_or_else(|| Error::damaged(format!("snapshot status {status}")))?,
            progress: row.get("progress")?,
            backend: row.get("backend")?,
            layer: row.get("layer")?,
            group_snapshot_id: row.get("group_snapshot_id")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

pub(crate) async fn find(db: &Db, id: &SnapshotId) -> Result<Option<Snapshot>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

pub(crate) async fn find_in(tx: &mut Tx, id: &SnapshotId) -> Result<Option<Snapshot>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(tx.fetch_where(&query).await?.into_iter().next())
}

pub(crate) async fn of_volume(tx: &mut Tx, id: &VolumeId) -> Result<Vec<Snapshot>, Error> {
    tx.fetch_where(&Where::new(SELECT).eq("volume_id", id))
        .await
}

/// Those of a volume that are its own project's: others stayed with whoever had it before.
pub(crate) async fn own_of(tx: &mut Tx, volume: &Volume) -> Result<Vec<Snapshot>, Error> {
    let query = Where::new(SELECT)
        .eq("volume_id", &volume.id)
        .eq("project_id", &volume.owner.project_id);
    tx.fetch_where(&query).await
}

/// Those in a back end.
pub(crate) async fn of_backend(db: &Db, backend: &str) -> Result<Vec<Snapshot>, Error> {
    db.fetch_where(&Where::new(SELECT).eq("backend", backend))
        .await
}

/// Those that are part of a group's snapshot.
pub(crate) async fn of_group(db: &Db, id: &str) -> Result<Vec<Snapshot>, Error> {
    db.fetch_where(&in_group(id)).await
}

/// Likewise, as this transaction sees them.
pub(crate) async fn of_group_in(tx: &mut Tx, id: &str) -> Result<Vec<Snapshot>, Error> {
    tx.fetch_where(&in_group(id)).await
}

fn in_group(id: &str) -> Where {
    Where::new(SELECT).eq("group_snapshot_id", id).page(Page {
        sort: vec![("created_at", Direction::Asc), ("id", Direction::Asc)],
        ..Page::default()
    })
}

/// What is asked for of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing<'a> {
    pub project: Option<&'a str>,
    pub filters: &'a [(String, String)],
    pub sort: &'a [(String, bool)],
    pub after: Option<&'a Snapshot>,
    pub limit: Option<u32>,
}

fn filtered(mut select: Where, listing: &Listing<'_>) -> Where {
    select = select.eq_opt("project_id", listing.project);
    for (key, value) in listing.filters {
        select = match key.as_str() {
            "id" => select.eq("id", value),
            "name" | "display_name" => select.eq("name", value),
            "name~" | "display_name~" => select.contains("COALESCE(name, '')", value),
            "description" => select.eq("description", value),
            "status" => select.eq("status", value),
            "volume_id" => select.eq("volume_id", value),
            "group_snapshot_id" => select.eq("group_snapshot_id", value),
            "project_id" => select.eq("project_id", value),
            "user_id" => select.eq("user_id", value),
            "volume_size" => select.eq("size_gib", value.parse::<i64>().unwrap_or(-1)),
            "created_at" => times(select, "created_at", value),
            "updated_at" => times(select, "updated_at", value),
            "consumes_quota" if crate::model::body::truth(value) == Some(false) => select.raw("1=0", Vec::new()),
            "metadata" => metadata(select, value),
            "availability_zone" => select.raw(
                "EXISTS (SELECT 1 FROM volumes AS v WHERE v.id = snapshots.volume_id AND v.zone = {})",
                args![value],
            ),
            _no_filter => select,
        };
    }
    select
}

fn metadata(mut select: Where, text: &str) -> Where {
    let json = serde_json::from_str::<serde_json::Value>(text)
        .or_else(|_| serde_json::from_str(&text.replace("u'", "'").replace('\'', "\"")));
    let Ok(serde_json::Value::Object(wanted)) = json else {
        return select.raw("1=0", Vec::new());
    };
    for (name, value) in wanted {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        select = select.raw(
            "EXISTS (SELECT 1 FROM metadata AS m WHERE m.owner_id = snapshots.id AND m.kind = 'snapshot' \
             AND m.name = {} AND m.value = {})",
            args![name, value],
        );
    }
    select
}

fn column(key: &str) -> &'static str {
    match key {
        "id" => "id",
        "status" => "status",
        "updated_at" => "updated_at",
        "name" | "display_name" => "COALESCE(name, '')",
        "volume_size" | "size" => "size_gib",
        _created => "created_at",
    }
}

fn value(snapshot: &Snapshot, key: &str) -> Arg {
    match key {
        "id" => snapshot.id.to_arg(),
        "status" => snapshot.status.as_str().to_arg(),
        "updated_at" => snapshot.updated_at.to_arg(),
        "name" | "display_name" => snapshot.name.clone().unwrap_or_default().to_arg(),
        "volume_size" | "size" => snapshot.size_gib.to_arg(),
        _created => snapshot.created_at.to_arg(),
    }
}

/// A page of snapshots.
pub(crate) async fn page(db: &Db, listing: &Listing<'_>) -> Result<Vec<Snapshot>, Error> {
    let mut sort: Vec<(&'static str, Direction)> = listing
        .sort
        .iter()
        .map(|(key, down)| {
            (
                column(key),
                if *down {
                    Direction::Desc
                } else {
                    Direction::Asc
                },
            )
        })
        .collect();
    let last = sort
        .last()
        .map_or(Direction::Desc, |(_, direction)| *direction);
    sort.push(("id", last));
    let after = listing.after.map(|snapshot| {
        let mut values: Vec<Arg> = listing
            .sort
            .iter()
            .map(|(key, _)| value(snapshot, key))
            .collect();
        values.push(snapshot.id.to_arg());
        values
    });
    let select = filtered(Where::new(SELECT), listing).page(Page {
        sort,
        after,
        limit: listing.limit,
    });
    db.fetch_where(&select).await
}

/// How many there are.
pub(crate) async fn count(db: &Db, listing: &Listing<'_>) -> Result<i64, Error> {
    let select = Where::new("SELECT CAST(COUNT(*) AS BIGINT) AS number FROM snapshots");
    let found = db.fetch_where::<i64>(&filtered(select, listing)).await?;
    Ok(found.first().copied().unwrap_or(0))
}

pub(crate) async fn insert(tx: &mut Tx, snapshot: &Snapshot) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO snapshots (id, project_id, user_id, volume_id, type_id, name, description, size_gib, status, \
         progress, backend, layer, created_at, updated_at, group_snapshot_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, $12, $12, $13)",
        args![
            snapshot.id,
            snapshot.owner.project_id,
            snapshot.owner.user_id,
            snapshot.volume_id,
            snapshot.type_id,
            snapshot.name,
            snapshot.description,
            snapshot.size_gib,
            snapshot.status.as_str(),
            snapshot.progress,
            snapshot.backend,
            snapshot.created_at,
            snapshot.group_snapshot_id,
        ],
    )
    .await?;
    Ok(())
}

/// Writes everything of a snapshot that can change.
pub(crate) async fn update(tx: &mut Tx, snapshot: &Snapshot) -> Result<(), Error> {
    tx.exec(
        "UPDATE snapshots SET name = $1, description = $2, status = $3, progress = $4, layer = $5, updated_at = $6, \
         project_id = $7, user_id = $8 WHERE id = $9",
        args![
            snapshot.name,
            snapshot.description,
            snapshot.status.as_str(),
            snapshot.progress,
            snapshot.layer,
            snapshot.updated_at,
            snapshot.owner.project_id,
            snapshot.owner.user_id,
            snapshot.id,
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &SnapshotId) -> Result<(), Error> {
    tx.exec("DELETE FROM metadata WHERE owner_id = $1", args![id])
        .await?;
    tx.exec("DELETE FROM snapshots WHERE id = $1", args![id])
        .await?;
    Ok(())
}
