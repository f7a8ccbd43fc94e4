//! Subnets.

use ipnet::IpNet;
use nephos_db::{Error, FromRow, Row, Tx, Where, args};

use crate::model::sharing::Grants;
use crate::model::subnet::Subnet;
use crate::store::{Reader, Result, json, parsed, parsed_opt, rbac, tags, text};

const SELECT: &str = "SELECT s.id, s.project_id, s.network_id, s.name, s.description, s.cidr, s.gateway_ip, s.pools, \
     s.dns, s.routes, s.enable_dhcp, s.ipv6_ra_mode, s.ipv6_address_mode, s.subnet_pool_id, s.service_types, \
     s.revision, s.created_at, s.updated_at, n.project_id AS network_project, n.external FROM subnets s \
     JOIN networks n ON n.id = s.network_id";

impl FromRow for Subnet {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            network_id: row.get("network_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            cidr: parsed(row, "cidr")?,
            gateway: parsed_opt(row, "gateway_ip")?,
            pools: json(row, "pools")?,
            dns: json(row, "dns")?,
            routes: json(row, "routes")?,
            enable_dhcp: row.get("enable_dhcp")?,
            ipv6_ra_mode: row.get("ipv6_ra_mode")?,
            ipv6_address_mode: row.get("ipv6_address_mode")?,
            subnet_pool_id: row.get("subnet_pool_id")?,
            service_types: json(row, "service_types")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            network_project: row.get("network_project")?,
            external: row.get("external")?,
            grants: Grants::default(),
            tags: Vec::new(),
        })
    }
}

/// All subnets, to be narrowed; columns are `s.…` and the network's `n.…`.
pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

/// With grants and tags.
pub(crate) async fn find(reader: &mut Reader<'_>, query: &Where) -> Result<Vec<Subnet>, Error> {
    let mut found: Vec<Subnet> = reader.find(query).await?;
    let ids: Vec<String> = found.iter().map(|subnet| subnet.id.clone()).collect();
    let mut networks: Vec<String> = found.iter().map(|s| s.network_id.clone()).collect();
    networks.sort_unstable();
    networks.dedup();
    if ids.is_empty() {
        return Ok(found);
    }
    let grants = rbac::of(reader, &networks).await?;
    let mut tags = tags::of(reader, &ids).await?;
    for subnet in &mut found {
        subnet.grants = grants.get(&subnet.network_id).cloned().unwrap_or_default();
        subnet.tags = tags.remove(&subnet.id).unwrap_or_default();
    }
    Ok(found)
}

pub(crate) async fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Subnet>, Error> {
    Ok(find(reader, &query().eq("s.id", id)).await?.pop())
}

/// A network's subnets, oldest first, without grants and tags.
pub(crate) async fn of_network(
    reader: &mut Reader<'_>,
    network: &str,
) -> Result<Vec<Subnet>, Error> {
    let query = query()
        .eq("s.network_id", network)
        .tail("ORDER BY s.created_at, s.id");
    reader.find(&query).await
}

/// The ranges cut from these pools, with whose they are.
pub(crate) async fn cut_from(tx: &mut Tx, pools: &[String]) -> Result<Vec<(IpNet, String)>, Error> {
    let found: Vec<Subnet> = tx
        .fetch_where(&query().in_("s.subnet_pool_id", pools))
        .await?;
    Ok(found
        .into_iter()
        .map(|subnet| (subnet.cidr, subnet.project_id))
        .collect())
}

pub(crate) async fn insert(tx: &mut Tx, subnet: &Subnet) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO subnets (id, project_id, network_id, name, description, ip_version, cidr, gateway_ip, pools, dns, \
         routes, enable_dhcp, ipv6_ra_mode, ipv6_address_mode, subnet_pool_id, service_types, cursor, revision, \
         created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, $17, $18, $19)",
        args![
            subnet.id,
            subnet.project_id,
            subnet.network_id,
            subnet.name,
            subnet.description,
            subnet.ip_version(),
            subnet.cidr.to_string(),
            subnet.gateway.map(|ip| ip.to_string()).unwrap_or_default(),
            text(&subnet.pools)?,
            text(&subnet.dns)?,
            text(&subnet.routes)?,
            subnet.enable_dhcp,
            subnet.ipv6_ra_mode,
            subnet.ipv6_address_mode,
            subnet.subnet_pool_id,
            text(&subnet.service_types)?,
            subnet.revision,
            subnet.created_at,
            subnet.updated_at,
        ],
    )
    .await?;
    Ok(())
}

/// The row as it is now, if nobody changed it since it was read.
pub(crate) async fn update(tx: &mut Tx, subnet: &Subnet) -> Result<(), Error> {
    tx.exec_some(
            "UPDATE subnets SET name = $1, description = $2, gateway_ip = $3, pools = $4, dns = $5, routes = $6, \
             enable_dhcp = $7, service_types = $8, revision = revision + 1, updated_at = $9 \
             WHERE id = $10 AND revision = $11",
            args![
                subnet.name,
                subnet.description,
                subnet.gateway.map(|ip| ip.to_string()).unwrap_or_default(),
                text(&subnet.pools)?,
                text(&subnet.dns)?,
                text(&subnet.routes)?,
                subnet.enable_dhcp,
                text(&subnet.service_types)?,
                subnet.updated_at,
                subnet.id,
                subnet.revision,
            ],
        )
        .await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tags::clear(tx, id).await?;
    tx.exec_some("DELETE FROM subnets WHERE id = $1", args![id])
        .await?;
    Ok(())
}
