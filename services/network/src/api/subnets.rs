//! Subnets.

use std::net::IpAddr;

use ipnet::IpNet;
use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_db::{Tx, Where, args};

use crate::Cx;
use crate::api::envelope::{self, Keys, Made, Many, One};
use crate::api::input;
use crate::api::listing::{Filter, Listing, asked_fields, flag, visible};
use crate::api::networks::tell_neighbours;
use crate::api::subnet_body::{NewSubnet, RouteBody, SubnetChange, SubnetKind, view};
use crate::api::subnet_range::range;
use crate::api::{ById, allow, fixed_ips};
use crate::model::address;
use crate::model::network::Network;
use crate::model::refusal::Refusal;
use crate::model::spec::Route;
use crate::model::subnet::{Subnet, check_pools};
use crate::rules;
use crate::store::{Reader, ips, networks, ports, quotas, subnets, tags};

const LISTING: Listing = Listing {
    id: "s.id",
    updated_at: "s.updated_at",
    marker: "SELECT s.id, s.name, s.project_id, s.network_id, s.cidr, s.ip_version, s.enable_dhcp, s.gateway_ip, \
        s.created_at, s.updated_at, s.revision, s.description FROM subnets s",
    filters: &[
        ("id", Filter::Text("s.id")),
        ("name", Filter::Text("s.name")),
        ("description", Filter::Text("s.description")),
        ("project_id", Filter::Text("s.project_id")),
        ("tenant_id", Filter::Text("s.project_id")),
        ("network_id", Filter::Text("s.network_id")),
        ("ip_version", Filter::Int("s.ip_version")),
        ("cidr", Filter::Text("s.cidr")),
        ("gateway_ip", Filter::Text("s.gateway_ip")),
        ("enable_dhcp", Filter::Flag("s.enable_dhcp")),
        ("ipv6_ra_mode", Filter::Text("s.ipv6_ra_mode")),
        ("ipv6_address_mode", Filter::Text("s.ipv6_address_mode")),
        ("subnetpool_id", Filter::Text("s.subnet_pool_id")),
        ("revision_number", Filter::Int("s.revision")),
        ("router:external", Filter::Flag("n.external")),
        ("shared", Filter::Custom(shared_is)),
    ],
    sorts: &[
        ("name", "s.name"),
        ("description", "s.description"),
        ("project_id", "s.project_id"),
        ("tenant_id", "s.project_id"),
        ("network_id", "s.network_id"),
        ("cidr", "s.cidr"),
        ("ip_version", "s.ip_version"),
        ("gateway_ip", "s.gateway_ip"),
        ("enable_dhcp", "s.enable_dhcp"),
        ("revision_number", "s.revision"),
        ("created_at", "s.created_at"),
        ("updated_at", "s.updated_at"),
    ],
};

fn shared_is(query: Where, values: &[&str], own: &str) -> Option<Where> {
    let shared = "s.network_id IN (SELECT object_id FROM rbac_policies WHERE action = 'access_as_shared' \
        AND target_project IN ('*', {}))";
    let not = "s.network_id NOT IN (SELECT object_id FROM rbac_policies WHERE action = 'access_as_shared' \
        AND target_project IN ('*', {}))";
    match flag(values.first()?)? {
        true => Some(query.raw(shared, args![own])),
        false => Some(query.raw(not, args![own])),
    }
}

endpoint! {
    /// List subnets.
    ListSubnets: GET "/v2.0/subnets" => 200,
    policy: rules::GetSubnet,
    query: Params,
    reply: Json<Many<SubnetKind>>,
    handler: list_subnets,
}
async fn list_subnets(cx: Cx, req: Req<ListSubnets>) -> Reply<ListSubnets> {
    let query = visible(
        &cx,
        subnets::query(),
        "{} IN (s.project_id, n.project_id)",
        "s.network_id IN (SELECT object_id FROM rbac_policies WHERE object_type = 'network' AND target_project IN ('*', {}))",
    );
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = subnets::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let mut rows = Vec::new();
    for subnet in &found {
        rows.push((
            subnet.id.clone(),
            envelope::show(&view(&cx, subnet), &asked.keys)?,
        ));
    }
    Ok(Json(asked.page(&cx, "/v2.0/subnets", rows)))
}

endpoint! {
    /// Show a subnet.
    ShowSubnet: GET "/v2.0/subnets/{id}" => 200,
    policy: Loaded<rules::GetSubnet>,
    path: ById,
    query: Params,
    reply: Json<One<SubnetKind>>,
    handler: show_subnet,
}
async fn show_subnet(cx: Cx, req: Req<ShowSubnet>) -> Reply<ShowSubnet> {
    let id = req.path.id.as_str();
    let found = subnets::get(&mut Reader::Db(cx.db()), id).await?;
    let subnet = allow(&cx, rules::GetSubnet, (id, found))?;
    let asked = asked_fields(&req.query);
    let keys = Keys {
        asked,
        hidden: Vec::new(),
    };
    Ok(Json(One::of(&view(&cx, &subnet), &keys)?))
}

endpoint! {
    /// Create one or more subnets.
    CreateSubnets: POST "/v2.0/subnets" => 201,
    policy: Loaded<rules::CreateSubnet>,
    body: envelope::New<SubnetKind>,
    reply: Json<Made<SubnetKind>>,
    handler: create_subnets,
}
async fn create_subnets(cx: Cx, req: Req<CreateSubnets>) -> Reply<CreateSubnets> {
    let mut tx = cx.write().await?;
    let mut views = Vec::new();
    for new in &req.body.items {
        let network = network_for(&cx, &mut tx, new).await?;
        let subnet = create(&cx, &mut tx, new, &network).await?;
        views.push(view(&cx, &subnet));
    }
    tx.commit().await?;
    Ok(Json(Made::of(&views, req.body.bulk, &Keys::default())?))
}

/// The network, if the caller may make subnets in it.
async fn network_for(cx: &Cx, tx: &mut Tx, new: &NewSubnet) -> Result<Network, Fault> {
    let id = new.network_id.as_str();
    let found = networks::bare(&mut Reader::Tx(tx), id).await?;
    let network = allow(cx, rules::GetNetwork, (id, found))?.into_inner();
    let project = input::project(cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
    let target =
        Target::of_project(project).with("network:project_id", network.project_id.as_str());
    cx.require(rules::CreateSubnet, &target)?;
    if new
        .service_types
        .as_ref()
        .is_some_and(|types| !types.is_empty())
    {
        cx.require(rules::CreateSubnetServiceTypes, &target)?;
    }
    if new.segment_id.is_some() {
        return Err(Refusal::input("networks have one segment here; leave segment_id out").into());
    }
    Ok(network)
}

async fn create(cx: &Cx, tx: &mut Tx, new: &NewSubnet, network: &Network) -> Result<Subnet, Fault> {
    let project_id = input::project(cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
    let siblings = subnets::of_network(&mut Reader::Tx(tx), &network.id).await?;
    let (cidr, pool) = range(cx, tx, new, &project_id).await?;
    let subnet = plan(
        cx,
        new,
        (cidr, pool.as_ref().map(|pool| pool.id.clone())),
        network,
        project_id,
    )?;
    Network::check_mtu(network.mtu, subnet.ip_version(), &subnet.id)?;
    if let Some(other) = siblings
        .iter()
        .find(|other| address::overlap(other.cidr, cidr))
    {
        return Err(Refusal::input(format!(
            "Requested subnet with cidr: {cidr} for network: {} overlaps with another subnet: {} ({})",
            network.id, other.id, other.cidr
        ))
        .into());
    }
    let same_pool = |other: &&Subnet| {
        other.ip_version() == subnet.ip_version() && other.subnet_pool_id != subnet.subnet_pool_id
    };
    if pool.is_some() && siblings.iter().any(|other| same_pool(&other)) {
        return Err(Refusal::invalid(
            "NetworkSubnetPoolAffinityError",
            "Subnets hosted on the same network must be allocated from the same subnet pool.",
        )
        .into());
    }
    quotas::take(tx, &subnet.project_id, "subnet", 1).await?;
    subnets::insert(tx, &subnet).await?;
    for tag in &subnet.tags {
        tags::insert(tx, &subnet.id, tag).await?;
    }
    if subnet.is_auto() {
        fixed_ips::add_auto_addresses(tx, cx.now(), &subnet).await?;
    }
    networks::bump(tx, &network.id).await?;
    tell_neighbours(tx, cx.now(), &network.id).await?;
    Ok(subnet)
}

/// The subnet that a body describes.
fn plan(
    cx: &Cx,
    new: &NewSubnet,
    (cidr, subnet_pool_id): (IpNet, Option<String>),
    network: &Network,
    project_id: String,
) -> Result<Subnet, Fault> {
    let gateway = match &new.gateway_ip {
        // A range of one address has no room for a gateway.
        None if cidr.prefix_len() == cidr.max_prefix_len() => None,
        None => Some(address::first(cidr)),
        Some(None) => None,
        Some(Some(text)) => Some(parse_ip("gateway_ip", text)?),
    };
    let now = cx.now();
    let mode = |mode: &Option<crate::api::subnet_body::Mode>| {
        mode.as_ref().map_or(String::new(), |mode| mode.0.clone())
    };
    let subnet = Subnet {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id,
        network_id: network.id.clone(),
        name: new.name.clone().unwrap_or_default().0,
        description: new.description.clone().unwrap_or_default().0,
        cidr,
        gateway,
        pools: new
            .allocation_pools
            .clone()
            .unwrap_or_else(|| address::default_pools(cidr, gateway)),
        dns: name_servers(new.dns_nameservers.as_deref())?,
        routes: routes(new.host_routes.as_deref()),
        enable_dhcp: new.enable_dhcp.is_none_or(|flag| flag.0),
        ipv6_ra_mode: mode(&new.ipv6_ra_mode),
        ipv6_address_mode: mode(&new.ipv6_address_mode),
        subnet_pool_id,
        service_types: service_types(new.service_types.as_deref())?,
        revision: 0,
        created_at: now,
        updated_at: now,
        network_project: network.project_id.clone(),
        external: network.external,
        grants: network.grants.clone(),
        tags: input::check_tags(new.tags.as_deref().unwrap_or_default())?,
    };
    subnet.check()?;
    Ok(subnet)
}

pub(super) fn parse_ip(field: &str, text: &str) -> Result<IpAddr, Refusal> {
    text.parse().map_err(|_| {
        Refusal::request(format!(
            "Invalid input for {field}. Reason: '{text}' is not a valid IP address."
        ))
    })
}

fn name_servers(texts: Option<&[String]>) -> Result<Vec<IpAddr>, Refusal> {
    let mut found = Vec::new();
    for text in texts.unwrap_or_default() {
        let ip = parse_ip("dns_nameservers", text)?;
        if found.contains(&ip) {
            return Err(Refusal::request(format!(
                "Invalid input for dns_nameservers. Reason: Duplicate nameserver '{ip}'."
            )));
        }
        found.push(ip);
    }
    Ok(found)
}

fn routes(bodies: Option<&[RouteBody]>) -> Vec<Route> {
    bodies.unwrap_or_default().iter().map(Route::from).collect()
}

fn service_types(types: Option<&[String]>) -> Result<Vec<String>, Refusal> {
    let types = types.unwrap_or_default();
    for kind in types {
        let known = ["network:", "compute:", "trunk:", "baremetal:"];
        if !known.iter().any(|prefix| kind.starts_with(prefix)) || kind.len() > 255 {
            return Err(Refusal::invalid(
                "InvalidSubnetServiceType",
                format!("Subnet service type {kind} does not correspond to a valid device owner."),
            ));
        }
    }
    Ok(types.to_vec())
}

endpoint! {
    /// Change a subnet.
    UpdateSubnet: PUT "/v2.0/subnets/{id}" => 200,
    policy: Loaded<rules::UpdateSubnet>,
    path: ById,
    body: envelope::Change<SubnetKind>,
    reply: Json<One<SubnetKind>>,
    handler: update_subnet,
}
async fn update_subnet(cx: Cx, req: Req<UpdateSubnet>) -> Reply<UpdateSubnet> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = subnets::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut subnet = allow(&cx, rules::UpdateSubnet, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), subnet.revision)?;
    let change = &req.body.0;
    if change.service_types.is_some() {
        let target = Target::of_project(&subnet.project_id);
        cx.require(rules::UpdateSubnetServiceTypes, &target)?;
    }
    let old_gateway = subnet.gateway;
    apply(&mut subnet, change)?;
    subnet.updated_at = cx.now();
    if old_gateway != subnet.gateway {
        check_gateway_free(&mut tx, &subnet, old_gateway).await?;
    }
    subnets::update(&mut tx, &subnet).await?;
    subnet.revision += 1;
    networks::bump(&mut tx, &subnet.network_id).await?;
    tell_neighbours(&mut tx, cx.now(), &subnet.network_id).await?;
    tx.commit().await?;
    Ok(Json(One::of(&view(&cx, &subnet), &Keys::default())?))
}

fn apply(subnet: &mut Subnet, change: &SubnetChange) -> Result<(), Refusal> {
    if let Some(name) = &change.name {
        subnet.name = name.0.clone();
    }
    if let Some(description) = &change.description {
        subnet.description = description.0.clone();
    }
    match &change.gateway_ip {
        None => {}
        Some(None) => subnet.gateway = None,
        Some(Some(text)) => subnet.gateway = Some(parse_ip("gateway_ip", text)?),
    }
    if let Some(pools) = &change.allocation_pools {
        check_pools(pools, subnet.cidr)?;
        subnet.pools.clone_from(pools);
    }
    if let Some(servers) = &change.dns_nameservers {
        subnet.dns = name_servers(Some(servers))?;
    }
    if let Some(bodies) = &change.host_routes {
        subnet.routes = routes(Some(bodies));
    }
    if let Some(flag) = change.enable_dhcp {
        subnet.enable_dhcp = flag.0;
    }
    if let Some(types) = &change.service_types {
        subnet.service_types = service_types(Some(types))?;
    }
    subnet.check()
}

/// Refuses to move a gateway away from under a router's port, or onto another port.
async fn check_gateway_free(
    tx: &mut Tx,
    subnet: &Subnet,
    old: Option<IpAddr>,
) -> Result<(), Fault> {
    if let Some(old) = old
        && let Some(port) = ips::owner(tx, &subnet.id, old).await?
        && let Some(port) = ports::get(&mut Reader::Tx(tx), &port).await?
        && port.is_router()
    {
        return Err(Refusal::conflict(
            "GatewayIpInUse",
            format!(
                "Current gateway ip {old} already in use by port {}. Unable to update.",
                port.id
            ),
        )
        .into());
    }
    Ok(())
}

endpoint! {
    /// Delete a subnet.
    DeleteSubnet: DELETE "/v2.0/subnets/{id}" => 204,
    policy: Loaded<rules::DeleteSubnet>,
    path: ById,
    reply: Empty,
    handler: delete_subnet,
}
async fn delete_subnet(cx: Cx, req: Req<DeleteSubnet>) -> Reply<DeleteSubnet> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = subnets::get(&mut Reader::Tx(&mut tx), id).await?;
    let subnet = allow(&cx, rules::DeleteSubnet, (id, found))?;
    input::check_if_match(req.header("if-match"), subnet.revision)?;
    let now = cx.now();
    if subnet.is_auto() {
        fixed_ips::drop_auto_addresses(&mut tx, now, &subnet).await?;
    }
    let using = ports::query().raw(
        "p.id IN (SELECT port_id FROM port_ips WHERE subnet_id = {})",
        args![id],
    );
    let blockers = ports::find(&mut Reader::Tx(&mut tx), &using).await?;
    if !blockers.is_empty() {
        let names: Vec<&str> = blockers
            .iter()
            .take(5)
            .map(|port| port.id.as_str())
            .collect();
        return Err(Refusal::conflict(
            "SubnetInUse",
            format!(
                "Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet: {}.",
                names.join(", ")
            ),
        )
        .into());
    }
    subnets::remove(&mut tx, id).await?;
    quotas::give(&mut tx, &subnet.project_id, "subnet", 1).await?;
    networks::bump(&mut tx, &subnet.network_id).await?;
    tell_neighbours(&mut tx, now, &subnet.network_id).await?;
    tx.commit().await?;
    Ok(Empty)
}
