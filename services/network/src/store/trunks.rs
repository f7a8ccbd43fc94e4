//! Trunks and their subports.

use std::collections::HashMap;

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;

use crate::model::port::{Port, PortStatus, tap_of};
use crate::model::spec::TrunkSpec;
use crate::model::trunk::{SUBPORT, SubPort, SubPortDetails, Trunk, TrunkDetails, Use, VLAN};
use crate::store::{Reader, Result, ports, publish, tags};

/// The status follows from what hosts say of the ports (neutron_lib/services/trunk/constants.py says what each means).
pub(crate) const SELECT: &str = "SELECT id, project_id, name, description, port_id, admin_state_up, status, revision, created_at, \
     updated_at FROM (SELECT t.id, t.project_id, t.name, t.description, t.port_id, t.admin_state_up, t.revision, \
     t.created_at, t.updated_at, CASE \
     WHEN p.host = '' OR NOT p.admin_state_up THEN 'DOWN' \
     WHEN EXISTS (SELECT 1 FROM feed_observed o WHERE o.host = p.host AND o.kind = 'port' AND o.id = p.id \
     AND o.state = 'failed') THEN 'ERROR' \
     WHEN EXISTS (SELECT 1 FROM trunk_subports s JOIN feed_observed o ON o.id = s.port_id WHERE s.trunk_id = t.id \
     AND o.host = p.host AND o.kind = 'port' AND o.state = 'failed') THEN 'DEGRADED' \
     WHEN p.status = 'ACTIVE' AND NOT EXISTS (SELECT 1 FROM trunk_subports s JOIN ports c ON c.id = s.port_id \
     WHERE s.trunk_id = t.id AND c.admin_state_up AND c.status <> 'ACTIVE') THEN 'ACTIVE' \
     ELSE 'BUILD' END AS status FROM trunks t JOIN ports p ON p.id = t.port_id) AS found";

impl FromRow for Trunk {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            port_id: row.get("port_id")?,
            admin_state_up: row.get("admin_state_up")?,
            status: row.get("status")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            sub_ports: Vec::new(),
            tags: Vec::new(),
        })
    }
}

/// A subport and its trunk.
struct Part {
    trunk: String,
    part: SubPort,
}

impl FromRow for Part {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            trunk: row.get("trunk_id")?,
            part: SubPort {
                port_id: row.get("port_id")?,
                segmentation_type: VLAN.to_owned(),
                segmentation_id: row.get("segmentation_id")?,
            },
        })
    }
}

/// All trunks, to be narrowed.
pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

/// With subports and tags.
pub(crate) async fn find(reader: &mut Reader<'_>, query: &Where) -> Result<Vec<Trunk>, Error> {
    let mut found: Vec<Trunk> = reader.find(query).await?;
    let ids: Vec<String> = found.iter().map(|trunk| trunk.id.clone()).collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let parts = |ids: &[String]| {
        Where::new("SELECT port_id, trunk_id, segmentation_id FROM trunk_subports")
            .in_("trunk_id", ids)
            .tail("ORDER BY segmentation_id")
    };
    let mut by_trunk: HashMap<String, Vec<SubPort>> = HashMap::new();
    for Part { trunk, part } in reader.find_for(&ids, parts).await? {
        by_trunk.entry(trunk).or_default().push(part);
    }
    let mut tags = tags::of(reader, &ids).await?;
    for trunk in &mut found {
        trunk.sub_ports = by_trunk.remove(&trunk.id).unwrap_or_default();
        trunk.tags = tags.remove(&trunk.id).unwrap_or_default();
    }
    Ok(found)
}

pub(crate) async fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Trunk>, Error> {
    Ok(find(reader, &query().eq("id", id)).await?.pop())
}

struct Detail {
    port: String,
    trunk: String,
    part: Option<SubPortDetails>,
}

impl FromRow for Detail {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let (part, tag): (Option<String>, Option<u16>) =
            (row.get("part_id")?, row.get("segmentation_id")?);
        let mac: Option<String> = row.get("mac")?;
        let part = part.zip(tag).zip(mac);
        Ok(Self {
            port: row.get("port_id")?,
            trunk: row.get("trunk_id")?,
            part: part.map(|((port_id, segmentation_id), mac_address)| SubPortDetails {
                port_id,
                segmentation_type: VLAN,
                segmentation_id,
                mac_address,
            }),
        })
    }
}

/// The trunks that these ports are the ports of, by port.
pub(crate) async fn of_ports(
    reader: &mut Reader<'_>,
    ports: &[String],
) -> Result<HashMap<String, TrunkDetails>, Error> {
    let details = |ports: &[String]| {
        Where::new(
            "SELECT t.port_id, t.id AS trunk_id, s.port_id AS part_id, s.segmentation_id, p.mac FROM trunks t \
             LEFT JOIN trunk_subports s ON s.trunk_id = t.id LEFT JOIN ports p ON p.id = s.port_id",
        )
        .in_("t.port_id", ports)
        .tail("ORDER BY s.segmentation_id")
    };
    let mut found: HashMap<String, TrunkDetails> = HashMap::new();
    for Detail { port, trunk, part } in reader.find_for(ports, details).await? {
        let of_port = found.entry(port).or_insert_with(|| TrunkDetails {
            trunk_id: trunk,
            sub_ports: Vec::new(),
        });
        of_port.sub_ports.extend(part);
    }
    Ok(found)
}

struct UseRow(Use);

impl FromRow for UseRow {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let (how, trunk): (String, String) = (row.get("a")?, row.get("b")?);
        Ok(Self(match how.as_str() {
            "parent" => Use::Parent(trunk),
            _subport => Use::Subport(trunk),
        }))
    }
}

/// What trunk has a port, and for what.
pub(crate) async fn user_of(tx: &mut Tx, port: &str) -> Result<Option<Use>, Error> {
    let found: Option<UseRow> = tx
        .fetch_opt(
            "SELECT 'subport' AS a, trunk_id AS b FROM trunk_subports WHERE port_id = $1 \
             UNION ALL SELECT 'parent' AS a, id AS b FROM trunks WHERE port_id = $1",
            args![port],
        )
        .await?;
    Ok(found.map(|UseRow(found)| found))
}

/// Where a host finds a subport's trunk.
#[derive(Debug)]
pub(crate) struct Placed {
    pub trunk: TrunkSpec,
    /// What has the trunk's port.
    pub device_id: String,
}

impl FromRow for Placed {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let parent: String = row.get("parent_id")?;
        Ok(Self {
            trunk: TrunkSpec {
                parent_tap: tap_of(&parent),
                segmentation_id: row.get("segmentation_id")?,
            },
            device_id: row.get("device_id")?,
        })
    }
}

/// The place of a port in a trunk, if it is a subport.
pub(crate) async fn place_of(tx: &mut Tx, port: &Port) -> Result<Option<Placed>, Error> {
    if port.device_owner != SUBPORT {
        return Ok(None);
    }
    tx.fetch_opt(
        "SELECT p.id AS parent_id, p.device_id, s.segmentation_id FROM trunk_subports s \
         JOIN trunks t ON t.id = s.trunk_id JOIN ports p ON p.id = t.port_id WHERE s.port_id = $1",
        args![port.id],
    )
    .await
}

pub(crate) async fn insert(tx: &mut Tx, trunk: &Trunk) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO trunks (id, project_id, name, description, port_id, admin_state_up, revision, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            trunk.id,
            trunk.project_id,
            trunk.name,
            trunk.description,
            trunk.port_id,
            trunk.admin_state_up,
            trunk.revision,
            trunk.created_at,
            trunk.updated_at,
        ],
    )
    .await?;
    Ok(())
}

/// The row as it is now, if nobody changed it since it was read.
pub(crate) async fn update(tx: &mut Tx, trunk: &Trunk) -> Result<(), Error> {
    tx.exec_some(
        "UPDATE trunks SET name = $1, description = $2, admin_state_up = $3, revision = revision + 1, updated_at = $4 \
         WHERE id = $5 AND revision = $6",
        args![
            trunk.name,
            trunk.description,
            trunk.admin_state_up,
            trunk.updated_at,
            trunk.id,
            trunk.revision,
        ],
    )
    .await?;
    Ok(())
}

/// Takes a trunk away that has no subports any more.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tags::clear(tx, id).await?;
    tx.exec_some("DELETE FROM trunks WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// Makes a port a subport; where its trunk's port is, it is too.
pub(crate) async fn add(
    tx: &mut Tx,
    now: Timestamp,
    trunk: &str,
    part: &SubPort,
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO trunk_subports (port_id, trunk_id, segmentation_id) VALUES ($1, $2, $3)",
        args![part.port_id, trunk, part.segmentation_id],
    )
    .await?;
    let parent: String = tx
        .fetch_scalar("SELECT port_id FROM trunks WHERE id = $1", args![trunk])
        .await?;
    let parent = ports::get(&mut Reader::Tx(tx), &parent).await?;
    match parent {
        Some(parent) => lead(tx, now, &part.port_id, Some(&parent)).await,
        None => Ok(()),
    }
}

/// Makes a subport a port like any other, which is nowhere.
pub(crate) async fn take(tx: &mut Tx, now: Timestamp, port: &str) -> Result<(), Error> {
    tx.exec_some("DELETE FROM trunk_subports WHERE port_id = $1", args![port])
        .await?;
    lead(tx, now, port, None).await
}

/// A port has moved, or something else has it: the subports of the trunk that it is the port of go with it.
pub(crate) async fn follow(
    tx: &mut Tx,
    now: Timestamp,
    (before, parent): (&Port, &Port),
) -> Result<(), Error> {
    let place = |port: &Port| {
        let Port {
            host,
            next_host,
            device_id,
            ..
        } = port.clone();
        (host, next_host, device_id)
    };
    if place(before) == place(parent) {
        return Ok(());
    }
    let parts: Vec<String> = tx
        .fetch_all(
            "SELECT s.port_id FROM trunk_subports s JOIN trunks t ON t.id = s.trunk_id WHERE t.port_id = $1 \
             ORDER BY s.port_id",
            args![parent.id],
        )
        .await?;
    for part in parts {
        lead(tx, now, &part, Some(parent)).await?;
    }
    Ok(())
}

/// Leads a port to where its trunk's port is; none: it has no trunk any more.
async fn lead(tx: &mut Tx, now: Timestamp, id: &str, parent: Option<&Port>) -> Result<(), Error> {
    let Some(before) = ports::get(&mut Reader::Tx(tx), id).await? else {
        return Ok(());
    };
    let mut port = before.clone();
    let owner = parent.map_or("", |_| SUBPORT);
    owner.clone_into(&mut port.device_owner);
    port.host = parent.map_or(String::new(), |parent| parent.host.clone());
    port.next_host = parent.map_or(String::new(), |parent| parent.next_host.clone());
    port.updated_at = now;
    // As with any port that moves: it is not up until its new host says so.
    if before.host != port.host {
        port.status = PortStatus::Down;
        if before.next_host == port.host && publish::is_up(tx, &port).await? {
            port.status = PortStatus::Active;
        }
    }
    ports::update(tx, &port).await?;
    port.revision += 1;
    publish::port(tx, now, Some(&before), Some(&port)).await
}

/// Subports that are not where their trunk's port is, for the consistency check.
pub(crate) async fn elsewhere(db: &Db) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "SELECT s.port_id FROM trunk_subports s JOIN trunks t ON t.id = s.trunk_id JOIN ports p ON p.id = t.port_id \
         JOIN ports c ON c.id = s.port_id WHERE c.host <> p.host OR c.next_host <> p.next_host \
         OR c.device_owner <> 'trunk:subport' ORDER BY s.port_id",
        args![],
    )
    .await
}
