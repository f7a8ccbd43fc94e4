//! Back ends as they were last reported.

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};

use crate::model::backend::Backend;

impl FromRow for Backend {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.get("name")?,
            id: row.get("id")?,
            host: row.get("host")?,
            zone: row.get("zone")?,
            folder: row.get("folder")?,
            portal: row.get("portal")?,
            reflink: row.get("reflink")?,
            total_bytes: row.get("total_bytes")?,
            free_bytes: row.get("free_bytes")?,
            disabled: row.get("disabled")?,
            disabled_reason: row.get("disabled_reason")?,
            frozen: row.get("frozen")?,
            reported_at: row.get("reported_at")?,
            provisioned_gib: row.get("provisioned_gib")?,
        })
    }
}

const SELECT: &str = "SELECT name, id, host, zone, folder, portal, reflink, total_bytes, free_bytes, disabled, \
     disabled_reason, frozen, reported_at, (SELECT CAST(COALESCE(SUM(size_gib), 0) AS BIGINT) FROM volumes \
     WHERE volumes.backend = backends.name) AS provisioned_gib FROM backends";

pub(crate) async fn list(db: &Db) -> Result<Vec<Backend>, Error> {
    let page = Page {
        sort: vec![("name", Direction::Asc)],
        ..Page::default()
    };
    db.fetch_where(&Where::new(SELECT).page(page)).await
}

pub(crate) async fn find(db: &Db, name: &str) -> Result<Option<Backend>, Error> {
    let query = Where::new(SELECT).eq("name", name);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

/// As this transaction sees it.
pub(crate) async fn find_in(tx: &mut Tx, name: &str) -> Result<Option<Backend>, Error> {
    let query = Where::new(SELECT).eq("name", name);
    Ok(tx.fetch_where(&query).await?.into_iter().next())
}

/// Notes what a back end reports; whether it is disabled or frozen stays as it is.
pub(crate) async fn report(tx: &mut Tx, backend: &Backend) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO backends (name, id, host, zone, folder, portal, reflink, total_bytes, free_bytes, disabled, \
         disabled_reason, frozen, reported_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, $10, $11) \
         ON CONFLICT (name) DO UPDATE SET host = excluded.host, zone = excluded.zone, folder = excluded.folder, \
         portal = excluded.portal, reflink = excluded.reflink, total_bytes = excluded.total_bytes, \
         free_bytes = excluded.free_bytes, reported_at = excluded.reported_at",
        args![
            backend.name,
            backend.id,
            backend.host,
            backend.zone,
            backend.folder,
            backend.portal,
            backend.reflink,
            backend.total_bytes,
            backend.free_bytes,
            false,
            backend.reported_at,
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_disabled(
    tx: &mut Tx,
    name: &str,
    disabled: bool,
    reason: Option<&str>,
) -> Result<(), Error> {
    let sql = "UPDATE backends SET disabled = $1, disabled_reason = $2 WHERE name = $3";
    tx.exec(sql, args![disabled, reason, name]).await?;
    Ok(())
}

pub(crate) async fn set_frozen(tx: &mut Tx, name: &str, frozen: bool) -> Result<(), Error> {
    let sql = "UPDATE backends SET frozen = $1 WHERE name = $2";
    tx.exec(sql, args![frozen, name]).await?;
    Ok(())
}

struct Held {
    project: String,
    kind: String,
    number: i64,
    size: i64,
}

impl FromRow for Held {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            project: row.get("project_id")?,
            kind: row.get("kind")?,
            number: row.get("number")?,
            size: row.get("size")?,
        })
    }
}

/// What projects have in a back end: volumes, their GiB, snapshots, their GiB.
pub(crate) async fn by_project(
    db: &Db,
    name: &str,
) -> Result<std::collections::BTreeMap<String, [i64; 4]>, Error> {
    let rows = db
        .fetch_all::<Held>(
            "SELECT project_id, 'volume' AS kind, CAST(COUNT(*) AS BIGINT) AS number, \
             CAST(COALESCE(SUM(size_gib), 0) AS BIGINT) AS size FROM volumes WHERE backend = $1 GROUP BY project_id \
             UNION ALL SELECT project_id, 'snapshot' AS kind, CAST(COUNT(*) AS BIGINT) AS number, \
             CAST(COALESCE(SUM(size_gib), 0) AS BIGINT) AS size FROM snapshots WHERE backend = $1 GROUP BY project_id",
            args![name],
        )
        .await?;
    let mut all = std::collections::BTreeMap::<String, [i64; 4]>::new();
    for row in rows {
        let [volumes, volume_gib, snapshots, snapshot_gib] = all.entry(row.project).or_default();
        if row.kind == "volume" {
            (*volumes, *volume_gib) = (row.number, row.size);
        } else {
            (*snapshots, *snapshot_gib) = (row.number, row.size);
        }
    }
    Ok(all)
}
