//! A router's legs in the cloud's networks.

use nephos_api::{Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::fixed_ips::Choice;
use crate::api::port_body::FixedIpBody;
use crate::api::port_build::{self, Insert};
use crate::api::{ById, allow, ports as api_ports};
use crate::model::address;
use crate::model::network::Network;
use crate::model::port::{Port, PortStatus, ROUTER_INTERFACE};
use crate::model::refusal::Refusal;
use crate::model::router::Router;
use crate::model::subnet::Subnet;
use crate::rules;
use crate::store::{
    Reader, floating_ips, networks, ports, publish, publish_router, routers, subnets, trunks,
};

/// By subnet or by port.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InterfaceBody {
    subnet_id: Option<String>,
    port_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InterfaceView {
    id: String,
    tenant_id: String,
    project_id: String,
    port_id: String,
    network_id: String,
    subnet_id: String,
    subnet_ids: Vec<String>,
    tags: Vec<String>,
}

fn view(router: &Router, port: &Port) -> InterfaceView {
    let subnet_ids: Vec<String> = port
        .fixed_ips
        .iter()
        .map(|fixed| fixed.subnet_id.clone())
        .collect();
    InterfaceView {
        id: router.id.clone(),
        tenant_id: router.project_id.clone(),
        project_id: router.project_id.clone(),
        port_id: port.id.clone(),
        network_id: port.network_id.clone(),
        subnet_id: subnet_ids.first().cloned().unwrap_or_default(),
        subnet_ids,
        tags: router.tags.clone(),
    }
}

fn bad(message: impl std::fmt::Display) -> Fault {
    Refusal::bad("router", message).into()
}

endpoint! {
    /// Give a router a leg in a subnet, or make a port its leg.
    AddRouterInterface: PUT "/v2.0/routers/{id}/add_router_interface" => 200,
    policy: Loaded<rules::AddRouterInterface>,
    path: ById,
    body: Json<InterfaceBody>,
    reply: Json<InterfaceView>,
    handler: add_router_interface,
}
async fn add_router_interface(cx: Cx, req: Req<AddRouterInterface>) -> Reply<AddRouterInterface> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = routers::get(&mut Reader::Tx(&mut tx), id).await?;
    let router = allow(&cx, rules::AddRouterInterface, (id, found))?.into_inner();
    let body = &req.body;
    let port = match (&body.subnet_id, &body.port_id) {
        (Some(subnet), None) => add_subnet(&cx, &mut tx, &router, subnet).await?,
        (None, Some(port)) => add_port(&cx, &mut tx, &router, port).await?,
        (Some(_), Some(_)) => return Err(bad("Cannot specify both subnet-id and port-id")),
        (None, None) => return Err(bad("Either subnet_id or port_id must be specified")),
    };
    routers::bump(&mut tx, id, cx.now()).await?;
    publish_router::router(&mut tx, cx.now(), id).await?;
    tx.commit().await?;
    Ok(Json(view(&router, &port)))
}

/// A subnet that the caller may use, and its network.
async fn usable_subnet(cx: &Cx, tx: &mut Tx, id: &str) -> Result<(Subnet, Network), Fault> {
    let found = subnets::get(&mut Reader::Tx(tx), id).await?;
    let subnet = allow(cx, rules::GetSubnet, (id, found))?.into_inner();
    let network = networks::bare(&mut Reader::Tx(tx), &subnet.network_id).await?;
    let network = network.ok_or_else(|| Refusal::no_network(&subnet.network_id))?;
    Ok((subnet, network))
}

async fn add_subnet(cx: &Cx, tx: &mut Tx, router: &Router, id: &str) -> Result<Port, Fault> {
    let (subnet, network) = usable_subnet(cx, tx, id).await?;
    let Some(gateway) = subnet.gateway else {
        return Err(bad("Subnet for router interface must have a gateway IP"));
    };
    if !subnet.ipv6_address_mode.is_empty() && subnet.ipv6_ra_mode.is_empty() {
        return Err(bad(format!(
            "IPv6 subnet {id} configured to receive RAs from an external router cannot be added to Neutron Router"
        )));
    }
    let legs = routers::interfaces(&mut Reader::Tx(tx), &router.id).await?;
    check_apart(tx, router, &legs, &subnet).await?;
    let mut port = port_build::bare(cx, &network, &router.project_id);
    port.device_id.clone_from(&router.id);
    port.device_owner = ROUTER_INTERFACE.to_owned();
    port.host.clone_from(&router.host);
    let wish = FixedIpBody {
        subnet_id: Some(subnet.id.clone()),
        ip_address: Some(gateway.to_string()),
    };
    let how = Insert {
        choice: Choice {
            subnets: std::slice::from_ref(&subnet),
            runs: &cx.runs,
        },
        fixed_ips: Some(std::slice::from_ref(&wish)),
        any_mac: true,
    };
    port_build::insert(tx, &mut port, how).await?;
    Ok(port)
}

async fn add_port(cx: &Cx, tx: &mut Tx, router: &Router, id: &str) -> Result<Port, Fault> {
    let found = ports::get(&mut Reader::Tx(tx), id).await?;
    let before = allow(cx, rules::UpdatePort, (id, found))?.into_inner();
    if let Some(used) = trunks::user_of(tx, id).await? {
        return Err(used.keeps(id).into());
    }
    if !before.device_id.is_empty() && before.device_id != router.id {
        return Err(Refusal::conflict(
            "PortInUse",
            format!(
                "Unable to complete operation on port {id} for network {}. Port already has an attached device {}.",
                before.network_id, before.device_id
            ),
        )
        .into());
    }
    if before.device_id == router.id && before.is_router() {
        return Err(bad(format!("Router already has a port {id}")));
    }
    if before.fixed_ips.is_empty() {
        return Err(bad("Router port must have at least one fixed IP"));
    }
    let legs = routers::interfaces(&mut Reader::Tx(tx), &router.id).await?;
    for fixed in &before.fixed_ips {
        let subnet = subnets::get(&mut Reader::Tx(tx), &fixed.subnet_id).await?;
        if let Some(subnet) = subnet {
            check_apart(tx, router, &legs, &subnet).await?;
        }
    }
    let mut port = before.clone();
    port.device_id.clone_from(&router.id);
    port.device_owner = ROUTER_INTERFACE.to_owned();
    port.host.clone_from(&router.host);
    port.status = PortStatus::Down;
    port.port_security_enabled = false;
    port.security_groups = Vec::new();
    port.updated_at = cx.now();
    ports::update(tx, &port).await?;
    port.revision += 1;
    crate::store::port_links::clear(tx, id).await?;
    publish::port(tx, cx.now(), Some(&before), Some(&port)).await?;
    Ok(port)
}

/// Refuses a second leg in a subnet, and one in a subnet that overlaps another's.
async fn check_apart(
    tx: &mut Tx,
    router: &Router,
    legs: &[Port],
    subnet: &Subnet,
) -> Result<(), Fault> {
    let fixed = legs
        .iter()
        .flat_map(|port| &port.fixed_ips)
        .chain(&router.external_fixed_ips);
    let ids: Vec<&str> = fixed.map(|fixed| fixed.subnet_id.as_str()).collect();
    if ids.contains(&subnet.id.as_str()) {
        return Err(bad(format!(
            "Router already has a port on subnet {}",
            subnet.id
        )));
    }
    let query = subnets::query().in_("s.id", ids);
    let others = subnets::find(&mut Reader::Tx(tx), &query).await?;
    let clash = others
        .iter()
        .find(|other| address::overlap(other.cidr, subnet.cidr));
    match clash {
        None => Ok(()),
        Some(other) => Err(bad(format!(
            "Cidr {} of subnet {} overlaps with cidr {} of subnet {}",
            subnet.cidr, subnet.id, other.cidr, other.id
        ))),
    }
}

endpoint! {
    /// Take a leg from a router.
    RemoveRouterInterface: PUT "/v2.0/routers/{id}/remove_router_interface" => 200,
    policy: Loaded<rules::RemoveRouterInterface>,
    path: ById,
    body: Json<InterfaceBody>,
    reply: Json<InterfaceView>,
    handler: remove_router_interface,
}
async fn remove_router_interface(
    cx: Cx,
    req: Req<RemoveRouterInterface>,
) -> Reply<RemoveRouterInterface> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = routers::get(&mut Reader::Tx(&mut tx), id).await?;
    let router = allow(&cx, rules::RemoveRouterInterface, (id, found))?.into_inner();
    let legs = routers::interfaces(&mut Reader::Tx(&mut tx), id).await?;
    let port = leg_named(&router, &legs, &req.body)?;
    check_not_needed(&mut tx, &router, port).await?;
    api_ports::remove(&mut tx, cx.now(), port).await?;
    routers::bump(&mut tx, id, cx.now()).await?;
    publish_router::router(&mut tx, cx.now(), id).await?;
    tx.commit().await?;
    Ok(Json(view(&router, port)))
}

fn leg_named<'a>(
    router: &Router,
    legs: &'a [Port],
    body: &InterfaceBody,
) -> Result<&'a Port, Fault> {
    let in_subnet =
        |port: &Port, subnet: &str| port.fixed_ips.iter().any(|fixed| fixed.subnet_id == subnet);
    let found = match (&body.port_id, &body.subnet_id) {
        (None, None) => return Err(bad("Either subnet_id or port_id must be specified")),
        (Some(id), subnet) => {
            let port = legs.iter().find(|port| port.id == *id);
            if let (Some(port), Some(subnet)) = (port, subnet)
                && !in_subnet(port, subnet)
            {
                return Err(Refusal::conflict(
                    "SubnetMismatchForPort",
                    format!("Subnet on port {id} does not match the requested subnet {subnet}."),
                )
                .into());
            }
            port.ok_or_else(|| format!("port {id}"))
        }
        (None, Some(subnet)) => legs
            .iter()
            .find(|port| in_subnet(port, subnet))
            .ok_or_else(|| format!("subnet {subnet}")),
    };
    found.map_err(|what| {
        Refusal::missing(
            "RouterInterfaceNotFound",
            format!(
                "Router {} does not have an interface with {what}",
                router.id
            ),
        )
        .into()
    })
}

/// A leg stays while floating IPs or routes go through it.
async fn check_not_needed(tx: &mut Tx, router: &Router, port: &Port) -> Result<(), Fault> {
    let ids: Vec<&str> = port
        .fixed_ips
        .iter()
        .map(|fixed| fixed.subnet_id.as_str())
        .collect();
    let query = subnets::query().in_("s.id", ids);
    let subnets = subnets::find(&mut Reader::Tx(tx), &query).await?;
    let inside = |ip| subnets.iter().any(|subnet| subnet.cidr.contains(&ip));
    let floating = floating_ips::of_router(&mut Reader::Tx(tx), &router.id).await?;
    let needing = floating.iter().find(|one| one.fixed_ip.is_some_and(inside));
    let subnet = subnets.first().map_or("", |subnet| subnet.id.as_str());
    if let Some(one) = needing {
        return Err(Refusal::conflict(
            "RouterInterfaceInUseByFloatingIP",
            format!(
                "Router interface for subnet {subnet} on router {} cannot be deleted, as it is required by one or more floating IPs: {}.",
                router.id, one.floating_ip
            ),
        )
        .into());
    }
    if let Some(route) = router.routes.iter().find(|route| inside(route.nexthop)) {
        return Err(Refusal::conflict(
            "RouterInterfaceInUseByRoute",
            format!(
                "Router interface for subnet {subnet} on router {} cannot be deleted, as it is required by one or more routes: {} via {}.",
                router.id, route.destination, route.nexthop
            ),
        )
        .into());
    }
    Ok(())
}
