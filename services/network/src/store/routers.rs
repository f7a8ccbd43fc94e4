//! Routers.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::Timestamp;

use crate::model::port::Port;
use crate::model::router::Router;
use crate::store::{Reader, Result, ips, json, ports, tags, text};

const SELECT: &str = "SELECT id, project_id, name, description, admin_state_up, gateway_port_id, gateway_network_id, \
     enable_snat, routes, zone_hints, host, revision, created_at, updated_at FROM routers";

impl FromRow for Router {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            admin_state_up: row.get("admin_state_up")?,
            gateway_port_id: row.get("gateway_port_id")?,
            gateway_network_id: row.get("gateway_network_id")?,
            enable_snat: row.get("enable_snat")?,
            routes: json(row, "routes")?,
            zone_hints: json(row, "zone_hints")?,
            host: row.get("host")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            external_fixed_ips: Vec::new(),
            tags: Vec::new(),
        })
    }
}

/// All routers, to be narrowed.
pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

/// With gateway addresses and tags.
pub(crate) async fn find(reader: &mut Reader<'_>, query: &Where) -> Result<Vec<Router>, Error> {
    let mut found: Vec<Router> = reader.find(query).await?;
    let ids: Vec<String> = found.iter().map(|router| router.id.clone()).collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let gateways: Vec<String> = found
        .iter()
        .filter_map(|router| router.gateway_port_id.clone())
        .collect();
    let mut addresses = ips::of(reader, &gateways).await?;
    let mut tags = tags::of(reader, &ids).await?;
    for router in &mut found {
        router.tags = tags.remove(&router.id).unwrap_or_default();
        if let Some(port) = &router.gateway_port_id {
            router.external_fixed_ips = addresses.remove(port).unwrap_or_default();
        }
    }
    Ok(found)
}

pub(crate) async fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Router>, Error> {
    Ok(find(reader, &query().eq("id", id)).await?.pop())
}

pub(crate) async fn insert(tx: &mut Tx, router: &Router) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO routers (id, project_id, name, description, admin_state_up, gateway_port_id, gateway_network_id, \
         enable_snat, routes, zone_hints, host, revision, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        args![
            router.id,
            router.project_id,
            router.name,
            router.description,
            router.admin_state_up,
            router.gateway_port_id,
            router.gateway_network_id,
            router.enable_snat,
            text(&router.routes)?,
            text(&router.zone_hints)?,
            router.host,
            router.revision,
            router.created_at,
            router.updated_at,
        ],
    )
    .await?;
    Ok(())
}

/// The row as it is now, if nobody changed it since it was read.
pub(crate) async fn update(tx: &mut Tx, router: &Router) -> Result<(), Error> {
    tx.exec_some(
            "UPDATE routers SET name = $1, description = $2, admin_state_up = $3, gateway_port_id = $4, \
             gateway_network_id = $5, enable_snat = $6, routes = $7, revision = revision + 1, updated_at = $8 \
             WHERE id = $9 AND revision = $10",
            args![
                router.name,
                router.description,
                router.admin_state_up,
                router.gateway_port_id,
                router.gateway_network_id,
                router.enable_snat,
                text(&router.routes)?,
                router.updated_at,
                router.id,
                router.revision,
            ],
        )
        .await?;
    Ok(())
}

/// Counts a change of its interfaces.
pub(crate) async fn bump(tx: &mut Tx, id: &str, now: Timestamp) -> Result<(), Error> {
    tx.exec(
        "UPDATE routers SET revision = revision + 1, updated_at = $1 WHERE id = $2",
        args![now, id],
    )
    .await?;
    Ok(())
}

/// Lets go of the gateway's port, which is about to go.
pub(crate) async fn unset_gateway(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec(
        "UPDATE routers SET gateway_port_id = NULL, gateway_network_id = '' WHERE id = $1",
        args![id],
    )
    .await?;
    Ok(())
}

/// Gives it a home, unless it has another.
pub(crate) async fn place(tx: &mut Tx, id: &str, host: &str) -> Result<bool, Error> {
    let sql = "UPDATE routers SET host = $1 WHERE id = $2 AND host IN ('', $1)";
    Ok(tx.exec(sql, args![host, id]).await? > 0)
}

/// Takes its home.
pub(crate) async fn unplace(tx: &mut Tx, id: &str) -> Result<(), Error> {
    let sql = "UPDATE routers SET host = '' WHERE id = $1";
    tx.exec(sql, args![id]).await?;
    Ok(())
}

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tags::clear(tx, id).await?;
    tx.exec_some("DELETE FROM routers WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// Routers that live nowhere though they have something to do.
pub(crate) async fn homeless(db: &Db) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "SELECT DISTINCT r.id FROM routers r JOIN ports p ON p.device_id = r.id \
         WHERE r.host = '' AND p.device_owner IN ('network:router_interface', 'network:router_gateway') ORDER BY r.id",
        args![],
    )
    .await
}

/// The ports of a router's legs, the gateway not among them.
pub(crate) async fn interfaces(reader: &mut Reader<'_>, id: &str) -> Result<Vec<Port>, Error> {
    let query = ports::query()
        .eq("p.device_id", id)
        .eq("p.device_owner", crate::model::port::ROUTER_INTERFACE);
    ports::find(reader, &query).await
}

/// The routers whose gateway is in a network.
pub(crate) async fn behind(tx: &mut Tx, network: &str) -> Result<Vec<String>, Error> {
    tx.fetch_all(
        "SELECT id FROM routers WHERE gateway_network_id = $1 ORDER BY id",
        args![network],
    )
    .await
}

/// The routers that have a leg in a subnet, with the port.
pub(crate) async fn with_leg_in(reader: &mut Reader<'_>, subnet: &str) -> Result<Vec<Port>, Error> {
    let query = ports::query()
        .eq("p.device_owner", crate::model::port::ROUTER_INTERFACE)
        .raw(
            "p.id IN (SELECT port_id FROM port_ips WHERE subnet_id = {})",
            args![subnet],
        );
    ports::find(reader, &query).await
}
