//! Networks.

use std::collections::HashMap;

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use rand::Rng;

use crate::model::network::{Network, NetworkType};
use crate::model::refusal::Refusal;
use crate::model::sharing::Grants;
use crate::store::{Reader, Result, json, rbac, tags, text};

const SELECT: &str = "SELECT id, project_id, name, description, admin_state_up, mtu, port_security_enabled, external, \
     is_default, network_type, physical_network, vni, zone_hints, qos_policy_id, revision, created_at, updated_at \
     FROM networks";

impl FromRow for Network {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let network_type: String = row.get("network_type")?;
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            admin_state_up: row.get("admin_state_up")?,
            mtu: row.get("mtu")?,
            port_security_enabled: row.get("port_security_enabled")?,
            external: row.get("external")?,
            is_default: row.get("is_default")?,
            network_type: NetworkType::parse(&network_type)
                .ok_or_else(|| Error::damaged(format!("no network type: {network_type}")))?,
            physical_network: row.get("physical_network")?,
            vni: row.get("vni")?,
            zone_hints: json(row, "zone_hints")?,
            qos_policy_id: row.get("qos_policy_id")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            grants: Grants::default(),
            subnets: Vec::new(),
            ipv4_scope: None,
            ipv6_scope: None,
            tags: Vec::new(),
        })
    }
}

/// All networks, to be narrowed.
pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

/// With grants, subnets and tags.
pub(crate) async fn find(reader: &mut Reader<'_>, query: &Where) -> Result<Vec<Network>, Error> {
    let mut found: Vec<Network> = reader.find(query).await?;
    let ids: Vec<String> = found.iter().map(|network| network.id.clone()).collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let mut grants = rbac::of(reader, &ids).await?;
    let mut tags = tags::of(reader, &ids).await?;
    let mut subnets = subnets_of(reader, &ids).await?;
    for network in &mut found {
        network.grants = grants.remove(&network.id).unwrap_or_default();
        network.tags = tags.remove(&network.id).unwrap_or_default();
        for subnet in subnets.remove(&network.id).unwrap_or_default() {
            let scope = if subnet.ip_version == 4 {
                &mut network.ipv4_scope
            } else {
                &mut network.ipv6_scope
            };
            *scope = scope.take().or(subnet.scope);
            network.subnets.push(subnet.id);
        }
    }
    Ok(found)
}

pub(crate) async fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Network>, Error> {
    Ok(find(reader, &query().eq("id", id)).await?.pop())
}

/// Without subnets and tags, for what only uses the network.
pub(crate) async fn bare(reader: &mut Reader<'_>, id: &str) -> Result<Option<Network>, Error> {
    let Some(mut network) = reader.find::<Network>(&query().eq("id", id)).await?.pop() else {
        return Ok(None);
    };
    let mut grants = rbac::of(reader, std::slice::from_ref(&network.id)).await?;
    network.grants = grants.remove(&network.id).unwrap_or_default();
    Ok(Some(network))
}

struct SubnetRow {
    id: String,
    network_id: String,
    ip_version: u8,
    scope: Option<String>,
}

impl FromRow for SubnetRow {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            network_id: row.get("network_id")?,
            ip_version: row.get("ip_version")?,
            scope: row.get("address_scope_id")?,
        })
    }
}

async fn subnets_of(
    reader: &mut Reader<'_>,
    ids: &[String],
) -> Result<HashMap<String, Vec<SubnetRow>>, Error> {
    let select = "SELECT s.id, s.network_id, s.ip_version, p.address_scope_id FROM subnets s \
         LEFT JOIN subnet_pools p ON p.id = s.subnet_pool_id";
    let query = |ids: &[String]| {
        Where::new(select)
            .in_("s.network_id", ids)
            .tail("ORDER BY s.created_at, s.id")
    };
    let mut found: HashMap<String, Vec<SubnetRow>> = HashMap::new();
    for row in reader.find_for::<SubnetRow>(ids, query).await? {
        found.entry(row.network_id.clone()).or_default().push(row);
    }
    Ok(found)
}

/// The row as it is; refused when its wire or tunnel is another network's.
pub(crate) async fn insert(tx: &mut Tx, network: &Network) -> Result<()> {
    let made = tx
        .exec(
            "INSERT INTO networks (id, project_id, name, description, admin_state_up, mtu, port_security_enabled, \
             external, is_default, network_type, physical_network, vni, zone_hints, revision, created_at, updated_at, \
             qos_policy_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT DO NOTHING",
            args![
                network.id,
                network.project_id,
                network.name,
                network.description,
                network.admin_state_up,
                network.mtu,
                network.port_security_enabled,
                network.external,
                network.is_default,
                network.network_type.as_str(),
                network.physical_network,
                network.vni,
                text(&network.zone_hints)?,
                network.revision,
                network.created_at,
                network.updated_at,
                network.qos_policy_id,
            ],
        )
        .await?;
    if made > 0 {
        return Ok(());
    }
    Err(match network.network_type {
        NetworkType::Vxlan => Refusal::conflict(
            "TunnelIdInUse",
            format!(
                "Unable to create the network. The tunnel ID {} is in use.",
                network.vni
            ),
        ),
        NetworkType::Flat => Refusal::conflict(
            "FlatNetworkInUse",
            format!(
                "Unable to create the flat network. Physical network {} is in use.",
                network.physical_network
            ),
        ),
    }
    .into())
}

/// The row, with a free tunnel of the range.
pub(crate) async fn insert_vxlan(
    tx: &mut Tx,
    network: &mut Network,
    range: (u32, u32),
) -> Result<()> {
    const TRIES: u32 = 16;
    for _ in 0..TRIES {
        network.vni = rand::rng().random_range(range.0..=range.1);
        match insert(tx, network).await {
            Err(super::Error::Refused(_)) => {}
            other => return other,
        }
    }
    // The range is nearly full: look for a hole, which costs a read of all of it.
    let used: Vec<i64> = tx
        .fetch_all(
            "SELECT vni FROM networks WHERE vni > 0 ORDER BY vni",
            args![],
        )
        .await?;
    let used: std::collections::BTreeSet<i64> = used.into_iter().collect();
    let free = (range.0..=range.1).find(|vni| !used.contains(&i64::from(*vni)));
    let Some(free) = free else {
        return Err(Refusal::conflict(
            "NoNetworkAvailable",
            "Unable to create the network. No tenant network is available for allocation: all tunnel ids of the range [network] vni_min to vni_max are in use.",
        )
        .into());
    };
    network.vni = free;
    insert(tx, network).await
}

/// The row as it is now, if nobody changed it since it was read.
pub(crate) async fn update(tx: &mut Tx, network: &Network) -> Result<(), Error> {
    tx.exec_some(
            "UPDATE networks SET name = $1, description = $2, admin_state_up = $3, mtu = $4, \
             port_security_enabled = $5, external = $6, is_default = $7, revision = revision + 1, updated_at = $8, \
             qos_policy_id = $11 WHERE id = $9 AND revision = $10",
            args![
                network.name,
                network.description,
                network.admin_state_up,
                network.mtu,
                network.port_security_enabled,
                network.external,
                network.is_default,
                network.updated_at,
                network.id,
                network.revision,
                network.qos_policy_id,
            ],
        )
        .await?;
    Ok(())
}

/// Counts a change of something in it.
pub(crate) async fn bump(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec(
        "UPDATE networks SET revision = revision + 1 WHERE id = $1",
        args![id],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tags::clear(tx, id).await?;
    rbac::clear(tx, id).await?;
    tx.exec_some("DELETE FROM networks WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// The default external network, other than this one.
pub(crate) async fn other_default(tx: &mut Tx, id: &str) -> Result<Option<String>, Error> {
    tx.fetch_opt(
        "SELECT id FROM networks WHERE is_default AND id <> $1",
        args![id],
    )
    .await
}

/// Projects other than the owner that have something in the network, so that it cannot be taken from them.
pub(crate) async fn used_by_others(tx: &mut Tx, network: &Network) -> Result<Vec<String>, Error> {
    tx.fetch_all(
        "SELECT project_id FROM ports WHERE network_id = $1 AND project_id <> $2 AND project_id <> '' \
         UNION SELECT project_id FROM subnets WHERE network_id = $1 AND project_id <> $2",
        args![network.id, network.project_id],
    )
    .await
}

/// How many addresses each subnet has in use.
pub(crate) async fn used_ips(db: &Db) -> Result<HashMap<String, i64>, Error> {
    struct Used(String, i64);
    impl FromRow for Used {
        fn from_row(row: &Row) -> Result<Self, Error> {
            Ok(Self(row.get("subnet_id")?, row.get("used")?))
        }
    }
    let sql = "SELECT subnet_id, COUNT(*) AS used FROM port_ips GROUP BY subnet_id";
    let rows: Vec<Used> = db.fetch_all(sql, args![]).await?;
    Ok(rows.into_iter().map(|Used(id, used)| (id, used)).collect())
}
