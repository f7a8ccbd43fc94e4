//! Ports.

use std::collections::BTreeMap;

use nephos_db::{Arg, Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;

use crate::model::port::{Port, PortStatus};
use crate::store::{Reader, Result, ips, json, port_links, tags, text};

const SELECT: &str = "SELECT p.id, p.project_id, p.network_id, p.name, p.description, p.mac, p.admin_state_up, \
     p.status, p.device_id, p.device_owner, p.host, p.next_host, p.vnic_type, p.profile, p.port_security_enabled, \
     p.address_pairs, p.dhcp_options, p.qos_policy_id, n.qos_policy_id AS qos_network_policy_id, p.revision, \
     p.created_at, p.updated_at, n.project_id AS network_project \
     FROM ports p JOIN networks n ON n.id = p.network_id";

impl FromRow for Port {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let status: String = row.get("status")?;
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            network_id: row.get("network_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            mac: row.get("mac")?,
            admin_state_up: row.get("admin_state_up")?,
            status: if status == PortStatus::Active.as_str() {
                PortStatus::Active
            } else {
                PortStatus::Down
            },
            device_id: row.get("device_id")?,
            device_owner: row.get("device_owner")?,
            host: row.get("host")?,
            next_host: row.get("next_host")?,
            vnic_type: row.get("vnic_type")?,
            profile: json(row, "profile")?,
            port_security_enabled: row.get("port_security_enabled")?,
            address_pairs: json(row, "address_pairs")?,
            dhcp_options: json(row, "dhcp_options")?,
            qos_policy_id: row.get("qos_policy_id")?,
            qos_network_policy_id: row.get("qos_network_policy_id")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            network_project: row.get("network_project")?,
            fixed_ips: Vec::new(),
            security_groups: Vec::new(),
            tags: Vec::new(),
        })
    }
}

/// All ports, to be narrowed; columns are `p.…` and the network's `n.…`.
pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

/// With addresses, groups and tags.
pub(crate) async fn find(reader: &mut Reader<'_>, query: &Where) -> Result<Vec<Port>, Error> {
    let mut found: Vec<Port> = reader.find(query).await?;
    let ids: Vec<String> = found.iter().map(|port| port.id.clone()).collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let mut fixed_ips = ips::of(reader, &ids).await?;
    let mut groups = port_links::of(reader, &ids).await?;
    let mut tags = tags::of(reader, &ids).await?;
    for port in &mut found {
        port.fixed_ips = fixed_ips.remove(&port.id).unwrap_or_default();
        port.security_groups = groups.remove(&port.id).unwrap_or_default();
        port.tags = tags.remove(&port.id).unwrap_or_default();
    }
    Ok(found)
}

pub(crate) async fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Port>, Error> {
    Ok(find(reader, &query().eq("p.id", id)).await?.pop())
}

/// Says no when the MAC is in use in the network.
pub(crate) async fn insert(tx: &mut Tx, port: &Port) -> Result<bool, Error> {
    let made = tx
        .exec(
            "INSERT INTO ports (id, project_id, network_id, name, description, mac, admin_state_up, status, device_id, \
             device_owner, host, vnic_type, profile, port_security_enabled, address_pairs, dhcp_options, revision, \
             created_at, updated_at, next_host, qos_policy_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) \
             ON CONFLICT (network_id, mac) DO NOTHING",
            args![
                port.id,
                port.project_id,
                port.network_id,
                port.name,
                port.description,
                port.mac,
                port.admin_state_up,
                port.status.as_str(),
                port.device_id,
                port.device_owner,
                port.host,
                port.vnic_type,
                text(&port.profile)?,
                port.port_security_enabled,
                text(&port.address_pairs)?,
                text(&port.dhcp_options)?,
                port.revision,
                port.created_at,
                port.updated_at,
                port.next_host,
                port.qos_policy_id,
            ],
        )
        .await?;
    Ok(made > 0)
}

/// The row as it is now, if nobody changed it since it was read. A MAC that is in use fails as unique. The status of a
/// port that stays where it is belongs to its host, which may have told of it meanwhile.
pub(crate) async fn update(tx: &mut Tx, port: &Port) -> Result<(), Error> {
    tx.exec_some(
            "UPDATE ports SET name = $1, description = $2, mac = $3, admin_state_up = $4, \
             status = CASE WHEN host = $8 AND device_id = $6 THEN status ELSE $5 END, device_id = $6, \
             device_owner = $7, host = $8, vnic_type = $9, profile = $10, port_security_enabled = $11, \
             address_pairs = $12, dhcp_options = $13, revision = revision + 1, updated_at = $14, next_host = $17, \
             qos_policy_id = $18 WHERE id = $15 AND revision = $16",
            args![
                port.name,
                port.description,
                port.mac,
                port.admin_state_up,
                port.status.as_str(),
                port.device_id,
                port.device_owner,
                port.host,
                port.vnic_type,
                text(&port.profile)?,
                port.port_security_enabled,
                text(&port.address_pairs)?,
                text(&port.dhcp_options)?,
                port.updated_at,
                port.id,
                port.revision,
                port.next_host,
                port.qos_policy_id,
            ],
        )
        .await?;
    Ok(())
}

/// Whether another port of the network has the MAC.
pub(crate) async fn mac_in_use(tx: &mut Tx, port: &Port) -> Result<bool, Error> {
    let other: Option<String> = tx
        .fetch_opt(
            "SELECT id FROM ports WHERE network_id = $1 AND mac = $2 AND id <> $3",
            args![port.network_id, port.mac, port.id],
        )
        .await?;
    Ok(other.is_some())
}

/// Takes the port and all that hangs on it away.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    ips::give_all(tx, id).await?;
    port_links::clear(tx, id).await?;
    tags::clear(tx, id).await?;
    tx.exec_some("DELETE FROM ports WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// What a host has of these ports of its own; whoever's status that is already stays as it is.
pub(crate) async fn set_statuses(
    tx: &mut Tx,
    statuses: &BTreeMap<(&str, &str), PortStatus>,
) -> Result<(), Error> {
    let rows = statuses.iter();
    let rows: Vec<Vec<Arg>> = rows
        .map(|((id, host), status)| args![id, host, status.as_str()])
        .collect();
    tx.exec_rows(
        "UPDATE ports SET status = v.column3, revision = revision + 1 FROM (",
        &rows,
        ") AS v WHERE id = v.column1 AND host = v.column2 AND status <> v.column3",
    )
    .await?;
    Ok(())
}

/// Moves the ports of a router to where the router lives.
pub(crate) async fn place_router(
    tx: &mut Tx,
    router: &str,
    host: &str,
    now: Timestamp,
) -> Result<(), Error> {
    tx.exec(
        "UPDATE ports SET host = $1, status = 'DOWN', updated_at = $2 WHERE device_id = $3 AND host <> $1 \
         AND device_owner IN ('network:router_interface', 'network:router_gateway')",
        args![host, now, router],
    )
    .await?;
    Ok(())
}

/// What a host saw of a router, for its ports.
pub(crate) async fn set_router_status(
    tx: &mut Tx,
    router: &str,
    host: &str,
    status: PortStatus,
) -> Result<(), Error> {
    tx.exec(
        "UPDATE ports SET status = $1 WHERE device_id = $2 AND host = $3 AND status <> $1 \
         AND device_owner IN ('network:router_interface', 'network:router_gateway')",
        args![status.as_str(), router, host],
    )
    .await?;
    Ok(())
}

/// Ports that a host has, for the consistency check.
pub(crate) async fn on_hosts(db: &Db) -> Result<Vec<Port>, Error> {
    db.fetch_where(&query().not_eq("p.host", "")).await
}
