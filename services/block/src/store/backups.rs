//! Backups and their segments.

use nephos_db::{Arg, Db, Direction, Error, FromRow, Page, Row, ToArg, Tx, Where, args};
use nephos_types::Timestamp;

use super::volumes::times;
use crate::model::backup::{Backup, BackupId, BackupStatus};
use crate::model::volume::Owner;

const SELECT: &str = "SELECT id, project_id, user_id, volume_id, snapshot_id, parent_id, name, description, size_gib, status, \
     fail_reason, zone, container, place, checksum, object_count, progress, layer, restore_volume_id, data_at, \
     created_at, updated_at, (SELECT CAST(COUNT(*) AS BIGINT) FROM backups AS above WHERE above.parent_id = backups.id) \
     AS dependents FROM backups";

/// The keys that lists of backups can be sorted by.
pub(crate) const SORT_KEYS: &[&str] = &[
    "id",
    "status",
    "created_at",
    "updated_at",
    "name",
    "display_name",
    "size",
];

impl FromRow for Backup {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let status: String = row.get("status")?;
        Ok(Self {
            id: row.get("id")?,
            owner: Owner {
                project_id: row.get("project_id")?,
                user_id: row.get("user_id")?,
            },
            volume_id: row.get("volume_id")?,
            snapshot_id: row.get("snapshot_id")?,
            parent_id: row.get("parent_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            size_gib: row.get("size_gib")?,
            status: BackupStatus::parse(&status)
                .ok_or_else(|| Error::damaged(format!("backup status {status}")))?,
            fail_reason: row.get("fail_reason")?,
            zone: row.get("zone")?,
            container: row.get("container")?,
            place: row.get("place")?,
            checksum: row.get("checksum")?,
            object_count: row.get("object_count")?,
            progress: row.get("progress")?,
            layer: row.get("layer")?,
            restore_volume_id: row.get("restore_volume_id")?,
            data_at: row.get("data_at")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            dependents: row.get("dependents")?,
        })
    }
}

pub(crate) async fn find(db: &Db, id: &BackupId) -> Result<Option<Backup>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

pub(crate) async fn find_in(tx: &mut Tx, id: &BackupId) -> Result<Option<Backup>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(tx.fetch_where(&query).await?.into_iter().next())
}

/// The backup of a volume, within a project, whose data is the newest, and older than `before` if that is said.
pub(crate) async fn newest_of(
    tx: &mut Tx,
    (volume, project): (&str, &str),
    before: Option<Timestamp>,
) -> Result<Option<Backup>, Error> {
    let mut select = Where::new(SELECT)
        .eq("volume_id", volume)
        .eq("project_id", project)
        .eq("status", "available");
    if let Some(before) = before {
        select = select.lt("data_at", before);
    }
    let page = Page {
        sort: vec![("data_at", Direction::Desc), ("id", Direction::Desc)],
        limit: Some(1),
        ..Page::default()
    };
    Ok(tx.fetch_where(&select.page(page)).await?.into_iter().next())
}

/// Whether other backups say that their objects are in the same place.
pub(crate) async fn shares_place(tx: &mut Tx, backup: &Backup) -> Result<bool, Error> {
    let others: i64 = tx
        .fetch_scalar(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM backups WHERE container = $1 AND place = $2 AND place <> '' AND id <> $3",
            args![backup.container, backup.place, backup.id],
        )
        .await?;
    Ok(others > 0)
}

/// Whether a backup is being brought back into a volume.
pub(crate) async fn restores_into(db: &Db, volume: &str) -> Result<bool, Error> {
    let at_work: i64 = db
        .fetch_scalar(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM backups WHERE restore_volume_id = $1 AND status = 'restoring'",
            args![volume],
        )
        .await?;
    Ok(at_work > 0)
}

/// Some of those that failed and left something.
pub(crate) async fn leftovers(db: &Db, limit: u32) -> Result<Vec<Backup>, Error> {
    let query = Where::new(SELECT)
        .eq("leftover", true)
        .eq("status", "error");
    let page = Page {
        sort: vec![("id", Direction::Asc)],
        limit: Some(limit),
        ..Page::default()
    };
    db.fetch_where(&query.page(page)).await
}

/// Notes whether a backup left something that is to be removed.
pub(crate) async fn set_leftover(tx: &mut Tx, id: &BackupId, leftover: bool) -> Result<(), Error> {
    let sql = "UPDATE backups SET leftover = $1 WHERE id = $2";
    tx.exec(sql, args![leftover, id]).await?;
    Ok(())
}

/// What is asked for of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing<'a> {
    pub project: Option<&'a str>,
    pub filters: &'a [(String, String)],
    pub sort: &'a [(String, bool)],
    pub after: Option<&'a Backup>,
    pub limit: Option<u32>,
}

fn filtered(mut select: Where, listing: &Listing<'_>) -> Where {
    select = select.eq_opt("project_id", listing.project);
    for (key, value) in listing.filters {
        select = match key.as_str() {
            "id" => select.eq("id", value),
            "name" | "display_name" => select.eq("name", value),
            "name~" | "display_name~" => select.contains("COALESCE(name, '')", value),
            "status" => select.eq("status", value),
            "volume_id" => select.eq("volume_id", value),
            "volume_id~" => select.contains("volume_id", value),
            "snapshot_id" => select.eq("snapshot_id", value),
            "parent_id" => select.eq("parent_id", value),
            "container" => select.eq("container", value),
            "project_id" => select.eq("project_id", value),
            "user_id" => select.eq("user_id", value),
            "size" => select.eq("size_gib", value.parse::<i64>().unwrap_or(-1)),
            "created_at" => times(select, "created_at", value),
            "updated_at" => times(select, "updated_at", value),
            _no_filter => select,
        };
    }
    select
}

fn column(key: &str) -> &'static str {
    match key {
        "id" => "id",
        "status" => "status",
        "updated_at" => "updated_at",
        "name" | "display_name" => "COALESCE(name, '')",
        "size" => "size_gib",
        _created => "created_at",
    }
}

fn value(backup: &Backup, key: &str) -> Arg {
    match key {
        "id" => backup.id.to_arg(),
        "status" => backup.status.as_str().to_arg(),
        "updated_at" => backup.updated_at.to_arg(),
        "name" | "display_name" => backup.name.clone().unwrap_or_default().to_arg(),
        "size" => backup.size_gib.to_arg(),
        _created => backup.created_at.to_arg(),
    }
}

/// A page of backups.
pub(crate) async fn page(db: &Db, listing: &Listing<'_>) -> Result<Vec<Backup>, Error> {
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
    let after = listing.after.map(|backup| {
        let keys = listing.sort.iter();
        let mut values: Vec<Arg> = keys.map(|(key, _)| value(backup, key)).collect();
        values.push(backup.id.to_arg());
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
    let select = Where::new("SELECT CAST(COUNT(*) AS BIGINT) AS number FROM backups");
    let found = db.fetch_where::<i64>(&filtered(select, listing)).await?;
    Ok(found.first().copied().unwrap_or(0))
}

pub(crate) async fn insert(tx: &mut Tx, backup: &Backup) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO backups (id, project_id, user_id, volume_id, snapshot_id, parent_id, name, description, size_gib, \
         status, fail_reason, zone, container, place, checksum, object_count, progress, layer, restore_volume_id, \
         leftover, data_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, $11, $12, \
         $13, $14, $15, $16, $17, NULL, $18, $19, $20, $20)",
        args![
            backup.id,
            backup.owner.project_id,
            backup.owner.user_id,
            backup.volume_id,
            backup.snapshot_id,
            backup.parent_id,
            backup.name,
            backup.description,
            backup.size_gib,
            backup.status.as_str(),
            backup.zone,
            backup.container,
            backup.place,
            backup.checksum,
            backup.object_count,
            backup.progress,
            backup.layer,
            false,
            backup.data_at,
            backup.created_at,
        ],
    )
    .await?;
    Ok(())
}

/// Writes everything of a backup that can change.
pub(crate) async fn update(tx: &mut Tx, backup: &Backup) -> Result<(), Error> {
    tx.exec(
        "UPDATE backups SET name = $1, description = $2, status = $3, fail_reason = $4, checksum = $5, \
         object_count = $6, progress = $7, layer = $8, restore_volume_id = $9, updated_at = $10 WHERE id = $11",
        args![
            backup.name,
            backup.description,
            backup.status.as_str(),
            backup.fail_reason,
            backup.checksum,
            backup.object_count,
            backup.progress,
            backup.layer,
            backup.restore_volume_id,
            backup.updated_at,
            backup.id,
        ],
    )
    .await?;
    Ok(())
}

/// Notes how far the work on a backup is, unless somebody wants it otherwise by now.
pub(crate) async fn advance(
    tx: &mut Tx,
    id: &BackupId,
    (progress, more_objects): (i64, i64),
) -> Result<(), Error> {
    let sql = "UPDATE backups SET progress = $1, object_count = object_count + $2 WHERE id = $3";
    tx.exec(sql, args![progress, more_objects, id]).await?;
    Ok(())
}

/// Notes that a backup has no objects.
pub(crate) async fn disown(tx: &mut Tx, id: &BackupId) -> Result<(), Error> {
    tx.exec("UPDATE backups SET place = '' WHERE id = $1", args![id])
        .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &BackupId) -> Result<(), Error> {
    for sql in [
        "DELETE FROM metadata WHERE owner_id = $1",
        "DELETE FROM backup_segments WHERE backup_id = $1",
        "DELETE FROM backups WHERE id = $1",
    ] {
        tx.exec(sql, args![id]).await?;
    }
    Ok(())
}

struct Numbered(i64, String);

impl FromRow for Numbered {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("number")?, row.get("checksum")?))
    }
}

/// The segments of a backup from one on, in their order: number and checksum.
pub(crate) async fn segments(
    db: &Db,
    id: &BackupId,
    (from, limit): (i64, Option<u32>),
) -> Result<Vec<(i64, String)>, Error> {
    let select = Where::new("SELECT number, checksum FROM backup_segments")
        .eq("backup_id", id)
        .ge("number", from);
    let page = Page {
        sort: vec![("number", Direction::Asc)],
        limit,
        ..Page::default()
    };
    let found = db.fetch_where::<Numbered>(&select.page(page)).await?;
    Ok(found
        .into_iter()
        .map(|Numbered(number, sum)| (number, sum))
        .collect())
}

/// Notes a segment that is whole in the object service.
pub(crate) async fn keep_segment(
    tx: &mut Tx,
    id: &BackupId,
    (number, checksum): (i64, &str),
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO backup_segments (backup_id, number, checksum) VALUES ($1, $2, $3) \
         ON CONFLICT (backup_id, number) DO UPDATE SET checksum = excluded.checksum",
        args![id, number, checksum],
    )
    .await?;
    Ok(())
}
