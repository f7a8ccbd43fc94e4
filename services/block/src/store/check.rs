//! What the consistency check counts.

use std::collections::BTreeMap;

use nephos_db::{Db, Error, FromRow, Row, args};

struct Pair(String, String);

impl FromRow for Pair {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("id")?, row.get("value")?))
    }
}

/// Volumes and snapshots that are on their way somewhere while no operation is live.
pub(crate) async fn stuck(db: &Db) -> Result<Vec<(String, String)>, Error> {
    let rows = db
        .fetch_all::<Pair>(
            "SELECT id, status AS value FROM volumes WHERE status IN \
             ('creating', 'downloading', 'extending', 'uploading', 'deleting', 'retyping', \
             'reverting') AND NOT EXISTS \
             (SELECT 1 FROM operations WHERE resource_id = volumes.id AND finished_at IS NULL) \
             UNION ALL SELECT id, status AS value FROM volumes WHERE status = 'maintenance' AND migration = 'migrating' \
             AND NOT EXISTS (SELECT 1 FROM operations WHERE resource_id = volumes.id AND finished_at IS NULL) \
             UNION ALL SELECT id, status AS value FROM snapshots WHERE status IN ('creating', 'deleting') \
             AND NOT EXISTS (SELECT 1 FROM operations WHERE resource_id = snapshots.id AND finished_at IS NULL) \
             UNION ALL SELECT id, status AS value FROM snapshots WHERE status = 'restoring' \
             AND NOT EXISTS (SELECT 1 FROM operations WHERE resource_id = snapshots.volume_id AND finished_at IS NULL) \
             UNION ALL SELECT id, status AS value FROM volume_groups WHERE status IN ('creating', 'deleting') \
             AND NOT EXISTS (SELECT 1 FROM operations WHERE resource_id = volume_groups.id AND finished_at IS NULL) \
             UNION ALL SELECT id, status AS value FROM group_snapshots WHERE status IN ('creating', 'deleting') \
             AND NOT EXISTS (SELECT 1 FROM operations WHERE resource_id = group_snapshots.id AND finished_at IS NULL) \
             UNION ALL SELECT id, status AS value FROM backups WHERE status IN ('creating', 'deleting', 'restoring') \
             AND NOT EXISTS (SELECT 1 FROM operations WHERE resource_id = backups.id AND finished_at IS NULL) \
             UNION ALL SELECT id, status AS value FROM volumes WHERE status = 'restoring-backup' AND NOT EXISTS \
             (SELECT 1 FROM backups WHERE restore_volume_id = volumes.id AND status IN ('restoring', 'deleting')) \
             UNION ALL SELECT id, status AS value FROM volumes WHERE status = 'backing-up' AND NOT EXISTS \
             (SELECT 1 FROM backups WHERE volume_id = volumes.id AND status IN ('creating', 'deleting'))",
            args![],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|Pair(id, status)| (id, status))
        .collect())
}

/// Things whose other half is gone: attachments and snapshots without volumes.
pub(crate) async fn orphans(db: &Db) -> Result<Vec<(String, String)>, Error> {
    let rows = db
        .fetch_all::<Pair>(
            "SELECT id, 'attachment' AS value FROM attachments WHERE NOT EXISTS \
             (SELECT 1 FROM volumes WHERE volumes.id = attachments.volume_id) \
             UNION ALL SELECT id, 'snapshot' AS value FROM snapshots WHERE NOT EXISTS \
             (SELECT 1 FROM volumes WHERE volumes.id = snapshots.volume_id)",
            args![],
        )
        .await?;
    Ok(rows.into_iter().map(|Pair(id, kind)| (id, kind)).collect())
}

struct Used(String, String, i64);

impl FromRow for Used {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(
            row.get("project_id")?,
            row.get("resource")?,
            row.get("used")?,
        ))
    }
}

type Usage = BTreeMap<(String, String), i64>;

/// A volume that is about to grow.
pub(crate) struct Growing {
    pub project: String,
    pub size_gib: i64,
    /// Of the operation.
    pub args: String,
}

impl FromRow for Growing {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            project: row.get("project_id")?,
            size_gib: row.get("size_gib")?,
            args: row.get("args")?,
        })
    }
}

/// Volumes whose growth is noted as used already, and is not in their sizes yet.
pub(crate) async fn growing(db: &Db) -> Result<Vec<Growing>, Error> {
    db.fetch_all(
        "SELECT project_id, size_gib, args FROM volumes JOIN operations ON operations.resource_id = volumes.id \
         WHERE operations.kind = 'volume.extend' AND operations.finished_at IS NULL",
        args![],
    )
    .await
}

/// What is noted as used, and what is: without the counts by type, which follow from the same rows.
pub(crate) async fn usage(db: &Db) -> Result<(Usage, Usage), Error> {
    let noted = db
        .fetch_all::<Used>(
            "SELECT project_id, resource, used FROM quota_usage \
             WHERE resource IN ('volumes', 'snapshots', 'gigabytes', 'backups', 'backup_gigabytes', 'groups')",
            args![],
        )
        .await?;
    let counted = db
        .fetch_all::<Used>(
            "SELECT project_id, 'volumes' AS resource, CAST(COUNT(*) AS BIGINT) AS used FROM volumes GROUP BY project_id \
             UNION ALL SELECT project_id, 'snapshots' AS resource, CAST(COUNT(*) AS BIGINT) AS used FROM snapshots \
             GROUP BY project_id \
             UNION ALL SELECT project_id, 'groups' AS resource, CAST(COUNT(*) AS BIGINT) AS used FROM volume_groups \
             GROUP BY project_id \
             UNION ALL SELECT project_id, 'backups' AS resource, CAST(COUNT(*) AS BIGINT) AS used FROM backups \
             GROUP BY project_id \
             UNION ALL SELECT project_id, 'backup_gigabytes' AS resource, CAST(SUM(size_gib) AS BIGINT) AS used \
             FROM backups GROUP BY project_id \
             UNION ALL SELECT project_id, 'gigabytes' AS resource, CAST(SUM(size_gib) AS BIGINT) AS used FROM \
             (SELECT project_id, size_gib FROM volumes UNION ALL SELECT project_id, size_gib FROM snapshots) AS sizes \
             GROUP BY project_id",
            args![],
        )
        .await?;
    let keyed = |rows: Vec<Used>| {
        let rows = rows.into_iter().filter(|Used(_, _, used)| *used != 0);
        rows.map(|Used(project, resource, used)| ((project, resource), used))
            .collect()
    };
    Ok((keyed(noted), keyed(counted)))
}

/// A file that should be in a back end, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    pub file: String,
    pub id: String,
    /// How the row says that it is written.
    pub format: String,
}

impl FromRow for Wanted {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            file: row.get("file")?,
            id: row.get("id")?,
            format: row.get("format")?,
        })
    }
}

/// Every file that should be in a back end.
pub(crate) async fn files(db: &Db, backend: &str) -> Result<Vec<Wanted>, Error> {
    db.fetch_all(
        "SELECT 'volume-' || id AS file, id, format FROM volumes WHERE backend = $1 AND status NOT IN \
         ('creating', 'downloading', 'deleting', 'error', 'reverting', 'restoring-backup') \
         UNION ALL SELECT 'layer-' || id AS file, id, format FROM layers WHERE backend = $1 AND state = 'kept' \
         ORDER BY file",
        args![backend],
    )
    .await
}

/// Every file that may be in a back end because something is being done to it.
pub(crate) async fn known(db: &Db, backend: &str) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "SELECT 'volume-' || id FROM volumes WHERE backend = $1 UNION ALL SELECT 'layer-' || id FROM layers \
         WHERE backend = $1 UNION ALL SELECT 'volume-' || id || '.restoring' FROM volumes WHERE backend = $1 \
         AND (status IN ('reverting', 'restoring-backup', 'deleting') OR EXISTS \
         (SELECT 1 FROM operations WHERE resource_id = volumes.id AND finished_at IS NULL))",
        args![backend],
    )
    .await
}
