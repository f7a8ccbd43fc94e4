//! Volumes.

use nephos_db::{Arg, Db, Direction, Error, FromRow, Page, Row, ToArg, Tx, Where, args};
use nephos_types::Timestamp;

use crate::model::layer::{Format, LayerId};
use crate::model::volume::{Owner, Status, Volume, VolumeId};

const SELECT: &str = "SELECT id, project_id, user_id, name, description, size_gib, status, status_before, bootable, \
     readonly, multiattach, zone, type_id, snapshot_id, source_volid, image_id, backend, format, layer, held_by, \
     created_at, updated_at, launched_at, migration, group_id FROM volumes";

impl FromRow for Volume {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let status = |column: &str| {
            let word: String = row.get(column)?;
            Status::parse(&word).ok_or_else(|| Error::damaged(format!("volume status {word}")))
        };
        let format: String = row.get("format")?;
        Ok(Self {
            id: row.get("id")?,
            owner: Owner {
                project_id: row.get("project_id")?,
                user_id: row.get("user_id")?,
            },
            name: row.get("name")?,
            description: row.get("description")?,
            size_gib: row.get("size_gib")?,
            status: status("status")?,
            status_before: status("status_before")?,
            bootable: row.get("bootable")?,
            readonly: row.get("readonly")?,
            multiattach: row.get("multiattach")?,
            zone: row.get("zone")?,
            type_id: row.get("type_id")?,
            snapshot_id: row.get("snapshot_id")?,
            source_volid: row.get("source_volid")?,
            image_id: row.get("image_id")?,
            backend: row.get("backend")?,
            format: Format::parse(&format)
                .ok_or_else(|| Error::damaged(format!("volume format {format}")))?,
            layer: row.get("layer")?,
            held_by: row.get("held_by")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            launched_at: row.get("launched_at")?,
            migration: row.get("migration")?,
            group_id: row.get("group_id")?,
        })
    }
}

pub(crate) async fn find(db: &Db, id: &VolumeId) -> Result<Option<Volume>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

/// The volume as this transaction sees it.
pub(crate) async fn find_in(tx: &mut Tx, id: &VolumeId) -> Result<Option<Volume>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(tx.fetch_where(&query).await?.into_iter().next())
}

/// The volumes of a group.
pub(crate) async fn of_group(db: &Db, group: &str) -> Result<Vec<Volume>, Error> {
    db.fetch_where(&in_group(group)).await
}

/// Likewise, as this transaction sees them.
pub(crate) async fn of_group_in(tx: &mut Tx, group: &str) -> Result<Vec<Volume>, Error> {
    tx.fetch_where(&in_group(group)).await
}

fn in_group(group: &str) -> Where {
    Where::new(SELECT).eq("group_id", group).page(Page {
        sort: vec![("created_at", Direction::Asc), ("id", Direction::Asc)],
        ..Page::default()
    })
}

/// Puts a volume into a group, or takes it out.
pub(crate) async fn set_group(
    tx: &mut Tx,
    id: &VolumeId,
    group: Option<&str>,
) -> Result<(), Error> {
    let sql = "UPDATE volumes SET group_id = $1 WHERE id = $2";
    tx.exec(sql, args![group, id]).await?;
    Ok(())
}

/// What is asked for of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing<'a> {
    /// Whose; none: everybody's.
    pub project: Option<&'a str>,
    pub filters: &'a [(String, String)],
    pub sort: &'a [(String, bool)],
    pub after: Option<&'a Volume>,
    pub limit: Option<u32>,
}

fn filtered(mut select: Where, listing: &Listing<'_>) -> Where {
    select = select.eq_opt("project_id", listing.project);
    for (key, value) in listing.filters {
        select = filter(select, key, value);
    }
    select
}

/// A page of volumes.
pub(crate) async fn page(db: &Db, listing: &Listing<'_>) -> Result<Vec<Volume>, Error> {
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
    let after = listing.after.map(|volume| {
        let mut values: Vec<Arg> = listing
            .sort
            .iter()
            .map(|(key, _)| value(volume, key))
            .collect();
        values.push(volume.id.to_arg());
        values
    });
    let select = filtered(Where::new(SELECT), listing).page(Page {
        sort,
        after,
        limit: listing.limit,
    });
    db.fetch_where(&select).await
}

struct Sums(i64, i64);

impl FromRow for Sums {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("number")?, row.get("size")?))
    }
}

/// How many there are, and how large they are together.
pub(crate) async fn sums(db: &Db, listing: &Listing<'_>) -> Result<(i64, i64), Error> {
    let select = Where::new(
        "SELECT CAST(COUNT(*) AS BIGINT) AS number, CAST(COALESCE(SUM(size_gib), 0) AS BIGINT) AS size FROM volumes",
    );
    let found = db.fetch_where::<Sums>(&filtered(select, listing)).await?;
    Ok(found
        .first()
        .map_or((0, 0), |Sums(number, size)| (*number, *size)))
}

/// One filter of a list; a key with `~` behind it is contained, not equal.
fn filter(select: Where, key: &str, value: &str) -> Where {
    let flag = || crate::model::body::truth(value).unwrap_or(false);
    match key {
        "id" => select.eq("id", value),
        "name" | "display_name" => select.eq("name", value),
        "name~" | "display_name~" => select.contains("COALESCE(name, '')", value),
        "description" => select.eq("description", value),
        "description~" => select.contains("COALESCE(description, '')", value),
        "status" => select.eq("status", value),
        "status~" => select.contains("status", value),
        "size" => match value.parse::<i64>() {
            Ok(size) => select.eq("size_gib", size),
            Err(_) => select.raw("1=0", Vec::new()),
        },
        "bootable" => select.eq("bootable", flag()),
        "multiattach" => select.eq("multiattach", flag()),
        "availability_zone" => select.eq("zone", value),
        "project_id" => select.eq("project_id", value),
        "user_id" => select.eq("user_id", value),
        "snapshot_id" => select.eq("snapshot_id", value),
        "source_volid" => select.eq("source_volid", value),
        "host" => select.raw(
            "EXISTS (SELECT 1 FROM backends AS b WHERE b.name = volumes.backend AND \
             {} IN (b.host || '@' || b.name, b.host || '@' || b.name || '#' || b.name))",
            args![value],
        ),
        "volume_type" | "volume_type_id" => select.raw(
            "(type_id = {} OR EXISTS (SELECT 1 FROM types AS t WHERE t.id = volumes.type_id AND t.name = {}))",
            args![value, value],
        ),
        "migration_status" => select.eq("migration", value),
        "group_id" => select.eq("group_id", value),
        // Nothing here is ever in one of these, or outside the quota.
        "consistencygroup_id" => select.raw("1=0", Vec::new()),
        "consumes_quota" if !flag() => select.raw("1=0", Vec::new()),
        "metadata" => pairs(select, "volume", value),
        "glance_metadata" | "volume_image_metadata" => pairs(select, "image", value),
        "created_at" | "updated_at" => times(select, if key == "created_at" { "created_at" } else { "updated_at" }, value),
        _no_filter => select,
    }
}

/// `{'key': 'value'}` as clients write it, in JSON or in Python.
fn pairs(mut select: Where, kind: &'static str, text: &str) -> Where {
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
            "EXISTS (SELECT 1 FROM metadata AS m WHERE m.owner_id = volumes.id AND m.kind = {} AND m.name = {} \
             AND m.value = {})",
            args![kind, name, value],
        );
    }
    select
}

/// `gt:2026-01-01T00:00:00,lte:…`.
pub(crate) fn times(mut select: Where, column: &'static str, text: &str) -> Where {
    // A list's query was read before; what is no time is nobody's.
    let Ok(times) = crate::model::list::times(column, text) else {
        return select.raw("1=0", Vec::new());
    };
    for (operator, at) in times {
        select = match operator {
            "gt" => select.gt(column, at),
            "gte" => select.ge(column, at),
            "lt" => select.lt(column, at),
            "lte" => select.le(column, at),
            "neq" => select.not_eq(column, at),
            _eq => select.eq(column, at),
        };
    }
    select
}

/// The keys that lists of volumes can be sorted by.
pub(crate) const SORT_KEYS: &[&str] = &[
    "id",
    "status",
    "size",
    "availability_zone",
    "name",
    "display_name",
    "bootable",
    "created_at",
    "updated_at",
];

/// Never NULL: engines disagree where NULL sorts.
fn column(key: &str) -> &'static str {
    match key {
        "status" => "status",
        "size" => "size_gib",
        "availability_zone" => "zone",
        "name" | "display_name" => "COALESCE(name, '')",
        "bootable" => "bootable",
        "id" => "id",
        "updated_at" => "updated_at",
        _created => "created_at",
    }
}

fn value(volume: &Volume, key: &str) -> Arg {
    match key {
        "status" => volume.status.as_str().to_arg(),
        "size" => volume.size_gib.to_arg(),
        "availability_zone" => volume.zone.to_arg(),
        "name" | "display_name" => volume.name.clone().unwrap_or_default().to_arg(),
        "bootable" => volume.bootable.to_arg(),
        "id" => volume.id.to_arg(),
        "updated_at" => volume.updated_at.to_arg(),
        _created => volume.created_at.to_arg(),
    }
}

pub(crate) async fn insert(tx: &mut Tx, volume: &Volume) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO volumes (id, project_id, user_id, name, description, size_gib, status, status_before, bootable, \
         readonly, multiattach, zone, type_id, snapshot_id, source_volid, image_id, backend, format, layer, \
         created_at, updated_at, launched_at, group_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
         $14, $15, $16, $17, $18, $19, $20, $20, NULL, $21)",
        args![
            volume.id,
            volume.owner.project_id,
            volume.owner.user_id,
            volume.name,
            volume.description,
            volume.size_gib,
            volume.status.as_str(),
            volume.status_before.as_str(),
            volume.bootable,
            volume.readonly,
            volume.multiattach,
            volume.zone,
            volume.type_id,
            volume.snapshot_id,
            volume.source_volid,
            volume.image_id,
            volume.backend,
            volume.format.as_str(),
            volume.layer,
            volume.created_at,
            volume.group_id,
        ],
    )
    .await?;
    Ok(())
}

/// Changes a volume as this transaction sees it, so that what others wrote of it in the meantime stays; nothing happens
/// when it is gone.
pub(crate) async fn change(
    tx: &mut Tx,
    id: &VolumeId,
    with: impl FnOnce(&mut Volume),
) -> Result<(), Error> {
    let Some(mut volume) = find_in(tx, id).await? else {
        return Ok(());
    };
    with(&mut volume);
    update(tx, &volume).await
}

/// Writes everything of a volume that can change; the volume is one that this transaction has read.
pub(crate) async fn update(tx: &mut Tx, volume: &Volume) -> Result<(), Error> {
    tx.exec(
        "UPDATE volumes SET name = $1, description = $2, size_gib = $3, status = $4, status_before = $5, \
         bootable = $6, readonly = $7, multiattach = $8, zone = $9, type_id = $10, backend = $11, format = $12, \
         layer = $13, updated_at = $14, launched_at = $15, project_id = $16, user_id = $17, \
         migration = $18 WHERE id = $19",
        args![
            volume.name,
            volume.description,
            volume.size_gib,
            volume.status.as_str(),
            volume.status_before.as_str(),
            volume.bootable,
            volume.readonly,
            volume.multiattach,
            volume.zone,
            volume.type_id,
            volume.backend,
            volume.format.as_str(),
            volume.layer,
            volume.updated_at,
            volume.launched_at,
            volume.owner.project_id,
            volume.owner.user_id,
            volume.migration,
            volume.id,
        ],
    )
    .await?;
    Ok(())
}

/// Moves a volume from one state to another, remembering the one before; false when it is not in the first one.
pub(crate) async fn move_status(
    tx: &mut Tx,
    id: &VolumeId,
    (from, to): (Status, Status),
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE volumes SET status = $1, status_before = $2, updated_at = $3 WHERE id = $4 AND status = $2";
    let moved = tx
        .exec(sql, args![to.as_str(), from.as_str(), now, id])
        .await?;
    Ok(moved == 1)
}

/// Keeps everybody else from a volume's file while a layer is made of it; false when somebody else has it, or uses it;
/// one that is only reserved is not used yet.
pub(crate) async fn hold(tx: &mut Tx, id: &VolumeId, layer: &LayerId) -> Result<bool, Error> {
    let sql = "UPDATE volumes SET held_by = $1 WHERE id = $2 AND (held_by = $1 OR held_by IS NULL) \
         AND status <> 'extending' \
         AND NOT EXISTS (SELECT 1 FROM attachments WHERE attachments.volume_id = volumes.id AND \
         (attachments.host IS NOT NULL OR attachments.status = 'attached'))";
    Ok(tx.exec(sql, args![layer, id]).await? == 1)
}

/// Notes that a volume's file stands on a layer now, and lets others at it again.
pub(crate) async fn release(
    tx: &mut Tx,
    id: &VolumeId,
    layer: &LayerId,
    format: Format,
) -> Result<(), Error> {
    let sql =
        "UPDATE volumes SET held_by = NULL, layer = $1, format = $2 WHERE id = $3 AND held_by = $1";
    tx.exec(sql, args![layer, format.as_str(), id]).await?;
    Ok(())
}

/// Lets others at a volume's file again that was held for this layer.
pub(crate) async fn let_go(tx: &mut Tx, id: &VolumeId, layer: &LayerId) -> Result<(), Error> {
    let sql = "UPDATE volumes SET held_by = NULL WHERE id = $1 AND held_by = $2";
    tx.exec(sql, args![id, layer]).await.map(|_rows| ())
}

/// The arguments of the extension of a volume that is under way.
pub(crate) async fn extension(tx: &mut Tx, id: &VolumeId) -> Result<Option<String>, Error> {
    let sql = "SELECT args FROM operations WHERE resource_id = $1 AND kind = 'volume.extend' AND finished_at IS NULL";
    tx.fetch_opt(sql, args![id]).await
}

/// Volumes that are held for a layer which is not made, and which nobody waits for any more.
pub(crate) async fn held_in_vain(db: &Db) -> Result<Vec<(Volume, LayerId)>, Error> {
    let select = Where::new(SELECT).raw(
        "EXISTS (SELECT 1 FROM layers WHERE layers.id = volumes.held_by AND layers.state <> 'kept' \
         AND NOT EXISTS (SELECT 1 FROM snapshots WHERE snapshots.layer = layers.id) \
         AND NOT EXISTS (SELECT 1 FROM volumes AS above WHERE above.layer = layers.id) \
         AND NOT EXISTS (SELECT 1 FROM backups WHERE backups.layer = layers.id))",
        Vec::new(),
    );
    let found: Vec<Volume> = db.fetch_where(&select).await?;
    let held = |volume: Volume| Some((volume.clone(), volume.held_by?));
    Ok(found.into_iter().filter_map(held).collect())
}

pub(crate) async fn remove(tx: &mut Tx, id: &VolumeId) -> Result<(), Error> {
    super::transfers::remove_of(tx, id.as_str()).await?;
    super::unmanaged::let_go_of(tx, id).await?;
    tx.exec("DELETE FROM metadata WHERE owner_id = $1", args![id])
        .await?;
    tx.exec("DELETE FROM attachments WHERE volume_id = $1", args![id])
        .await?;
    tx.exec("DELETE FROM volumes WHERE id = $1", args![id])
        .await?;
    Ok(())
}
