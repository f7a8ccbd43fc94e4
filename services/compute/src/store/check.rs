//! What the consistency check counts.

use std::collections::{BTreeMap, BTreeSet};

use nephos_db::{Db, Error, FromRow, Row, Tx, args};

use crate::model::server::Nic;
use crate::model::volume::Volume;

struct Pair(String, String);

impl FromRow for Pair {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("id")?, row.get("value")?))
    }
}

/// Servers that are on their way somewhere while no operation is live.
pub(crate) async fn stuck(db: &Db) -> Result<Vec<(String, String)>, Error> {
    let rows = db
        .fetch_all::<Pair>(
            "SELECT id, COALESCE(task_state, vm_state) AS value FROM servers \
             WHERE (task_state IS NOT NULL OR vm_state = 'building') AND NOT EXISTS \
             (SELECT 1 FROM operations WHERE resource_id = servers.id AND finished_at IS NULL) ORDER BY id",
            args![],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|Pair(id, state)| (id, state))
        .collect())
}

/// Volumes that servers use, as far as compute knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InUse {
    pub server: String,
    pub project: String,
    pub volume: String,
    pub attachment: String,
}

struct WithVolumes(String, String, String);

impl FromRow for WithVolumes {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(
            row.get("id")?,
            row.get("project_id")?,
            row.get("volumes")?,
        ))
    }
}

/// Every volume that the block service was told to be in use.
pub(crate) async fn volumes_in_use(db: &Db) -> Result<Vec<InUse>, Error> {
    let rows = db
        .fetch_all::<WithVolumes>(
            "SELECT id, project_id, volumes FROM servers WHERE volumes <> '[]' ORDER BY id",
            args![],
        )
        .await?;
    let mut all = Vec::new();
    for WithVolumes(server, project, text) in rows {
        let volumes: Vec<Volume> = serde_json::from_str(&text)
            .map_err(|why| Error::damaged(format!("volumes of server {server}: {why}")))?;
        for volume in volumes
            .into_iter()
            .filter(|one| one.complete && !one.leaving)
        {
            all.extend(volume.attachment_id.map(|attachment| InUse {
                server: server.clone(),
                project: project.clone(),
                volume: volume.volume_id,
                attachment,
            }));
        }
    }
    Ok(all)
}

/// Every port that is bound to a server, as far as compute knows: server and port.
pub(crate) async fn ports_bound(db: &Db) -> Result<BTreeSet<(String, String)>, Error> {
    let rows = db
        .fetch_all::<Pair>(
            "SELECT id, networks AS value FROM servers ORDER BY id",
            args![],
        )
        .await?;
    let mut all = BTreeSet::new();
    for Pair(server, text) in rows {
        let nics: Vec<Nic> = serde_json::from_str(&text)
            .map_err(|why| Error::damaged(format!("networks of server {server}: {why}")))?;
        let bound = nics
            .into_iter()
            .filter(|nic| nic.bound.is_some() && !nic.leaving);
        all.extend(bound.map(|nic| (server.clone(), nic.port_id)));
    }
    Ok(all)
}

/// What hosts are told to have while no server is there.
pub(crate) async fn feed_orphans(db: &Db) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "SELECT id FROM feed_items WHERE spec IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM servers WHERE servers.id = feed_items.id AND servers.host = feed_items.host) AND NOT EXISTS \
         (SELECT 1 FROM migrations WHERE migrations.server_id = feed_items.id AND migrations.ended_at IS NULL \
         AND (migrations.source_host = feed_items.host OR \
         (migrations.kind = 'live-migration' AND migrations.dest_host = feed_items.host))) ORDER BY id",
        args![],
    )
    .await
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

const COUNTED: &str = "SELECT project_id, 'instances' AS resource, CAST(COUNT(*) AS BIGINT) AS used FROM servers \
     GROUP BY project_id UNION ALL \
     SELECT project_id, 'cores' AS resource, CAST(SUM(amount) AS BIGINT) AS used FROM \
     (SELECT project_id, vcpus AS amount FROM servers UNION ALL \
     SELECT project_id, extra_cores AS amount FROM migrations WHERE ended_at IS NULL) AS cores GROUP BY project_id UNION ALL \
     SELECT project_id, 'ram' AS resource, CAST(SUM(amount) AS BIGINT) AS used FROM \
     (SELECT project_id, ram_mib AS amount FROM servers UNION ALL \
     SELECT project_id, extra_ram AS amount FROM migrations WHERE ended_at IS NULL) AS ram GROUP BY project_id UNION ALL \
     SELECT project_id, 'server_groups' AS resource, CAST(COUNT(*) AS BIGINT) AS used FROM server_groups GROUP BY project_id";

fn by_key(rows: Vec<Used>) -> Usage {
    rows.into_iter()
        .map(|Used(project, resource, used)| ((project, resource), used))
        .collect()
}

/// What servers and their groups really use of quotas.
pub(crate) async fn counted(db: &Db) -> Result<Usage, Error> {
    Ok(by_key(db.fetch_all(COUNTED, args![]).await?))
}

/// What is noted that they use.
pub(crate) async fn noted(db: &Db) -> Result<Usage, Error> {
    let sql = "SELECT project_id, resource, used FROM quota_usage";
    Ok(by_key(db.fetch_all(sql, args![]).await?))
}

/// Notes what servers really use; says how many numbers were wrong.
///
/// A number that somebody changes meanwhile is left alone: what is noted is read before what is counted, and written only
/// over what was read.
pub(crate) async fn recount(tx: &mut Tx) -> Result<usize, Error> {
    let noted = by_key(
        tx.fetch_all(
            "SELECT project_id, resource, used FROM quota_usage",
            args![],
        )
        .await?,
    );
    let counted = by_key(tx.fetch_all(COUNTED, args![]).await?);
    let keys: std::collections::BTreeSet<_> = counted.keys().chain(noted.keys()).cloned().collect();
    let mut wrong = 0;
    for (project, resource) in keys {
        let key = (project, resource);
        let (real, known) = (
            counted.get(&key).copied().unwrap_or(0),
            noted.get(&key).copied().unwrap_or(0),
        );
        if real != known {
            let written = tx
                .exec(
                    "INSERT INTO quota_usage (project_id, resource, used) VALUES ($1, $2, $3) \
                     ON CONFLICT (project_id, resource) DO UPDATE SET used = excluded.used \
                     WHERE quota_usage.used = $4",
                    args![key.0, key.1, real, known],
                )
                .await?;
            wrong += usize::from(written > 0);
        }
    }
    Ok(wrong)
}

struct Placed(String, Option<String>);

impl FromRow for Placed {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(row.get("id")?, row.get("host")?))
    }
}

/// Every server, and the host it is on.
pub(crate) async fn hosts_of_servers(db: &Db) -> Result<BTreeMap<String, Option<String>>, Error> {
    let rows = db
        .fetch_all::<Placed>("SELECT id, host FROM servers", args![])
        .await?;
    Ok(rows
        .into_iter()
        .map(|Placed(id, host)| (id, host))
        .collect())
}
