//! Floating IPs.

use std::net::IpAddr;

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_db::Tx;
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::{self, Keys, Kind, Made, Many, One};
use crate::api::fixed_ips::Choice;
use crate::api::input::{self, Name};
use crate::api::listing::{Filter, Listing, asked_fields, visible};
use crate::api::port_body::FixedIpBody;
use crate::api::port_build::{self, Insert};
use crate::api::router_gateway::external;
use crate::api::subnets::parse_ip;
use crate::api::{ById, allow};
use crate::model::port::{FLOATING_IP, Port};
use crate::model::refusal::Refusal;
use crate::model::router::{FloatingIp, FloatingStatus};
use crate::rules;
use crate::store::{Reader, floating_ips, ports, publish_router, quotas, routers, subnets, tags};

pub(crate) struct FloatingKind;

impl Kind for FloatingKind {
    const ONE: &'static str = "floatingip";
    const MANY: &'static str = "floatingips";
    type View = FloatingView;
    type New = NewFloating;
    type Change = FloatingChange;
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFloating {
    #[serde(deserialize_with = "crate::api::input::uuid")]
    floating_network_id: String,
    floating_ip_address: Option<String>,
    #[serde(default, deserialize_with = "crate::api::input::uuid_or_none")]
    subnet_id: Option<String>,
    #[serde(default, deserialize_with = "crate::api::input::uuid_or_none")]
    port_id: Option<String>,
    fixed_ip_address: Option<String>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    description: Option<Name>,
    tags: Option<Vec<String>>,
    project_id: Option<String>,
    tenant_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FloatingChange {
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    port_id: Option<Option<String>>,
    fixed_ip_address: Option<String>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    description: Option<Name>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FloatingView {
    id: String,
    tenant_id: String,
    project_id: String,
    description: String,
    floating_network_id: String,
    #[schema(value_type = String)]
    floating_ip_address: IpAddr,
    port_id: Option<String>,
    #[schema(value_type = Option<String>)]
    fixed_ip_address: Option<IpAddr>,
    router_id: Option<String>,
    status: &'static str,
    port_details: Option<DetailsView>,
    tags: Vec<String>,
    revision_number: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DetailsView {
    name: String,
    network_id: String,
    mac_address: String,
    admin_state_up: bool,
    status: String,
    device_id: String,
    device_owner: String,
}

fn view(one: &FloatingIp) -> FloatingView {
    FloatingView {
        id: one.id.clone(),
        tenant_id: one.project_id.clone(),
        project_id: one.project_id.clone(),
        description: one.description.clone(),
        floating_network_id: one.network_id.clone(),
        floating_ip_address: one.floating_ip,
        port_id: one.port_id.clone(),
        fixed_ip_address: one.fixed_ip,
        router_id: one.router_id.clone(),
        status: one.status.as_str(),
        port_details: one.port_details.as_ref().map(|details| DetailsView {
            name: details.name.clone(),
            network_id: details.network_id.clone(),
            mac_address: details.mac.clone(),
            admin_state_up: details.admin_state_up,
            status: details.status.clone(),
            device_id: details.device_id.clone(),
            device_owner: details.device_owner.clone(),
        }),
        tags: one.tags.clone(),
        revision_number: one.revision,
        created_at: one.created_at,
        updated_at: one.updated_at,
    }
}

const LISTING: Listing = Listing {
    id: "f.id",
    updated_at: "f.updated_at",
    marker: "SELECT f.id, f.project_id, f.description, f.network_id, f.floating_ip, f.fixed_ip, f.status, f.created_at, \
        f.updated_at, f.revision FROM floating_ips f",
    filters: &[
        ("id", Filter::Text("f.id")),
        ("project_id", Filter::Text("f.project_id")),
        ("tenant_id", Filter::Text("f.project_id")),
        ("description", Filter::Text("f.description")),
        ("floating_network_id", Filter::Text("f.network_id")),
        ("floating_ip_address", Filter::Text("f.floating_ip")),
        ("fixed_ip_address", Filter::Text("f.fixed_ip")),
        ("port_id", Filter::Text("f.port_id")),
        ("router_id", Filter::Text("f.router_id")),
        ("status", Filter::Text("f.status")),
        ("revision_number", Filter::Int("f.revision")),
    ],
    sorts: &[
        ("project_id", "f.project_id"),
        ("tenant_id", "f.project_id"),
        ("description", "f.description"),
        ("floating_network_id", "f.network_id"),
        ("floating_ip_address", "f.floating_ip"),
        ("fixed_ip_address", "f.fixed_ip"),
        ("status", "f.status"),
        ("revision_number", "f.revision"),
        ("created_at", "f.created_at"),
        ("updated_at", "f.updated_at"),
    ],
};

endpoint! {
    /// List floating IPs.
    ListFloatingIps: GET "/v2.0/floatingips" => 200,
    policy: rules::GetFloatingip,
    query: Params,
    reply: Json<Many<FloatingKind>>,
    handler: list_floating_ips,
}
async fn list_floating_ips(cx: Cx, req: Req<ListFloatingIps>) -> Reply<ListFloatingIps> {
    let query = visible(&cx, floating_ips::query(), "f.project_id = {}", "");
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = floating_ips::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let mut rows = Vec::new();
    for one in &found {
        rows.push((one.id.clone(), envelope::show(&view(one), &asked.keys)?));
    }
    Ok(Json(asked.page(&cx, "/v2.0/floatingips", rows)))
}

endpoint! {
    /// Show a floating IP.
    ShowFloatingIp: GET "/v2.0/floatingips/{id}" => 200,
    policy: Loaded<rules::GetFloatingip>,
    path: ById,
    query: Params,
    reply: Json<One<FloatingKind>>,
    handler: show_floating_ip,
}
async fn show_floating_ip(cx: Cx, req: Req<ShowFloatingIp>) -> Reply<ShowFloatingIp> {
    let id = req.path.id.as_str();
    let found = floating_ips::get(&mut Reader::Db(cx.db()), id).await?;
    let one = allow(&cx, rules::GetFloatingip, (id, found))?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&view(&one), &keys)?))
}

endpoint! {
    /// Create one or more floating IPs.
    CreateFloatingIps: POST "/v2.0/floatingips" => 201,
    policy: Loaded<rules::CreateFloatingip>,
    body: envelope::New<FloatingKind>,
    reply: Json<Made<FloatingKind>>,
    handler: create_floating_ips,
}
async fn create_floating_ips(cx: Cx, req: Req<CreateFloatingIps>) -> Reply<CreateFloatingIps> {
    let mut tx = cx.write().await?;
    let mut views = Vec::new();
    for new in &req.body.items {
        let one = create(&cx, &mut tx, new).await?;
        views.push(view(&one));
    }
    tx.commit().await?;
    Ok(Json(Made::of(&views, req.body.bulk, &Keys::default())?))
}

async fn create(cx: &Cx, tx: &mut Tx, new: &NewFloating) -> Result<FloatingIp, Fault> {
    let project_id = input::project(cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
    let target = Target::of_project(&project_id);
    cx.require(rules::CreateFloatingip, &target)?;
    if new.floating_ip_address.is_some() {
        cx.require(rules::CreateFloatingipFloatingIpAddress, &target)?;
    }
    let network = external(cx, tx, &new.floating_network_id)
        .await?
        .ok_or_else(|| {
            let id = &new.floating_network_id;
            bad(format!("Network {id} is not a valid external network"))
        })?;
    quotas::take(tx, &project_id, "floatingip", 1).await?;
    let id = nephos_runtime::ids::uuid().to_string();
    let mut port = port_build::bare(cx, &network, "");
    port.device_id.clone_from(&id);
    port.device_owner = FLOATING_IP.to_owned();
    let subnets = port_build::subnets_of(tx, &network.id).await?;
    let wish = FixedIpBody {
        subnet_id: new.subnet_id.clone(),
        ip_address: new.floating_ip_address.clone(),
    };
    let v4: Vec<_> = subnets
        .into_iter()
        .filter(|subnet| subnet.ip_version() == 4)
        .collect();
    if v4.is_empty() {
        return Err(bad(format!(
            "Network {} does not contain any IPv4 subnet",
            network.id
        ))
        .into());
    }
    let asked = (wish.subnet_id.is_some() || wish.ip_address.is_some()).then_some(wish);
    let how = Insert {
        choice: Choice {
            subnets: &v4,
            runs: &cx.runs,
        },
        fixed_ips: asked.as_ref().map(std::slice::from_ref),
        any_mac: true,
    };
    port_build::insert(tx, &mut port, how).await?;
    let Some(address) = port.fixed_ips.first().map(|fixed| fixed.ip_address) else {
        return Err(Fault::internal("A floating IP got no address."));
    };
    let now = cx.now();
    let mut one = FloatingIp {
        id,
        project_id,
        description: new.description.clone().unwrap_or_default().0,
        network_id: network.id,
        floating_ip: address,
        floating_port_id: port.id,
        port_id: None,
        fixed_ip: None,
        router_id: None,
        status: FloatingStatus::Down,
        revision: 1,
        created_at: now,
        updated_at: now,
        port_details: None,
        tags: input::check_tags(new.tags.as_deref().unwrap_or_default())?,
    };
    if let Some(port_id) = &new.port_id {
        associate(cx, tx, &mut one, (port_id, new.fixed_ip_address.as_deref())).await?;
    } else if new.fixed_ip_address.is_some() {
        return Err(bad("fixed_ip_address cannot be specified without a port_id").into());
    }
    floating_ips::insert(tx, &one).await?;
    for tag in &one.tags {
        tags::insert(tx, &one.id, tag).await?;
    }
    tell(cx, tx, one.router_id.as_deref()).await?;
    reload(tx, &one.id).await
}

async fn reload(tx: &mut Tx, id: &str) -> Result<FloatingIp, Fault> {
    let found = floating_ips::get(&mut Reader::Tx(tx), id).await?;
    found.ok_or_else(|| Fault::internal("A floating IP vanished."))
}

async fn tell(cx: &Cx, tx: &mut Tx, router: Option<&str>) -> Result<(), Fault> {
    if let Some(router) = router {
        publish_router::router(tx, cx.now(), router).await?;
    }
    Ok(())
}

/// Makes the floating IP stand for a port's address, behind the router that reaches both.
async fn associate(
    cx: &Cx,
    tx: &mut Tx,
    one: &mut FloatingIp,
    (port_id, fixed): (&str, Option<&str>),
) -> Result<(), Fault> {
    let found = ports::get(&mut Reader::Tx(tx), port_id).await?;
    let port = allow(cx, rules::GetPort, (port_id, found))?.into_inner();
    if port.project_id != one.project_id && !cx.caller.is_admin() {
        return Err(bad(format!(
            "Cannot process floating IP association with Port {port_id}, since that port is owned by a different project",
            ))
        .into());
    }
    let fixed = match fixed {
        Some(text) => parse_ip("fixed_ip_address", text)?,
        None => only_v4(&port)?,
    };
    let has = port
        .fixed_ips
        .iter()
        .find(|known| known.ip_address == fixed);
    let Some(has) = has else {
        return Err(bad(format!("Port {port_id} does not have fixed ip {fixed}",)).into());
    };
    one.router_id = Some(router_between(tx, one, &has.subnet_id).await?);
    one.port_id = Some(port.id.clone());
    one.fixed_ip = Some(fixed);
    one.status = FloatingStatus::Down;
    if let Some(other) = floating_ips::other_of(tx, one).await? {
        return Err(Refusal::conflict(
            "FloatingIPPortAlreadyAssociated",
            format!(
                "Cannot associate floating IP {} ({}) with port {port_id} using fixed IP {fixed}, as that fixed IP already has a floating IP on external network {}: {other}.",
                one.floating_ip, one.id, one.network_id
            ),
        )
        .into());
    }
    Ok(())
}

fn bad(message: impl std::fmt::Display) -> Refusal {
    Refusal::bad("floatingip", message)
}

fn only_v4(port: &Port) -> Result<IpAddr, Refusal> {
    let mut v4 = port
        .fixed_ips
        .iter()
        .filter(|fixed| fixed.ip_address.is_ipv4());
    match (v4.next(), v4.next()) {
        (Some(one), None) => Ok(one.ip_address),
        (None, _) => Err(bad(format!(
            "Cannot add floating IP to port {} that has no fixed IPv4 addresses",
            port.id
        ))),
        (Some(_), Some(_)) => Err(bad(format!(
            "Port {} has multiple fixed IPv4 addresses. Must provide a specific IPv4 address when assigning a floating IP",
            port.id
        ))),
    }
}

/// The router with a leg in the subnet and its gateway in the floating IP's network.
async fn router_between(tx: &mut Tx, one: &FloatingIp, subnet: &str) -> Result<String, Fault> {
    let legs = routers::with_leg_in(&mut Reader::Tx(tx), subnet).await?;
    let ids: Vec<&str> = legs.iter().map(|port| port.device_id.as_str()).collect();
    let query = routers::query()
        .in_("id", ids)
        .eq("gateway_network_id", &one.network_id);
    let found = routers::find(&mut Reader::Tx(tx), &query).await?;
    // Of several, the one whose leg is the subnet's gateway is the one that guests use.
    let gateway = subnets::get(&mut Reader::Tx(tx), subnet)
        .await?
        .and_then(|s| s.gateway);
    let is_gateway = |id: &str| {
        legs.iter().any(|port| {
            port.device_id == id
                && port
                    .fixed_ips
                    .iter()
                    .any(|fixed| Some(fixed.ip_address) == gateway)
        })
    };
    let best = found
        .iter()
        .find(|router| is_gateway(&router.id))
        .or_else(|| found.first());
    match best {
        Some(router) => Ok(router.id.clone()),
        None => Err(Refusal::missing(
            "ExternalGatewayForFloatingIPNotFound",
            format!(
                "External network {} is not reachable from subnet {subnet}. Therefore, cannot associate the port with a Floating IP. A router with a gateway in the one and a leg in the other would help.",
                one.network_id
            ),
        )
        .into()),
    }
}

endpoint! {
    /// Associate a floating IP with a port, or with none.
    UpdateFloatingIp: PUT "/v2.0/floatingips/{id}" => 200,
    policy: Loaded<rules::UpdateFloatingip>,
    path: ById,
    body: envelope::Change<FloatingKind>,
    reply: Json<One<FloatingKind>>,
    handler: update_floating_ip,
}
async fn update_floating_ip(cx: Cx, req: Req<UpdateFloatingIp>) -> Reply<UpdateFloatingIp> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = floating_ips::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut one = allow(&cx, rules::UpdateFloatingip, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), one.revision)?;
    let change = &req.body.0;
    if let Some(description) = &change.description {
        one.description.clone_from(&description.0);
    }
    one.updated_at = cx.now();
    let old_router = one.router_id.clone();
    // Neutron takes a body without anything for "stands for nothing any more".
    let blank = change.description.is_none() && change.fixed_ip_address.is_none();
    let port_after = change.port_id.as_ref().unwrap_or(&one.port_id);
    if change.fixed_ip_address.is_some() && port_after.is_none() {
        return Err(bad("fixed_ip_address cannot be specified without a port_id").into());
    }
    let port = match (&change.port_id, &change.fixed_ip_address) {
        (Some(port), _) => Some(port.clone()),
        (None, Some(_)) => Some(one.port_id.clone()),
        (None, None) => blank.then_some(None),
    };
    match port {
        None => {}
        Some(None) => {
            one.port_id = None;
            one.fixed_ip = None;
            one.router_id = None;
            one.status = FloatingStatus::Down;
        }
        Some(Some(port)) => {
            let fixed = change.fixed_ip_address.as_deref();
            associate(&cx, &mut tx, &mut one, (&port, fixed)).await?;
        }
    }
    floating_ips::update(&mut tx, &one).await?;
    tell(&cx, &mut tx, old_router.as_deref()).await?;
    if one.router_id != old_router {
        tell(&cx, &mut tx, one.router_id.as_deref()).await?;
    }
    let one = reload(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Json(One::of(&view(&one), &Keys::default())?))
}

endpoint! {
    /// Delete a floating IP.
    DeleteFloatingIp: DELETE "/v2.0/floatingips/{id}" => 204,
    policy: Loaded<rules::DeleteFloatingip>,
    path: ById,
    reply: Empty,
    handler: delete_floating_ip,
}
async fn delete_floating_ip(cx: Cx, req: Req<DeleteFloatingIp>) -> Reply<DeleteFloatingIp> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = floating_ips::get(&mut Reader::Tx(&mut tx), id).await?;
    let one = allow(&cx, rules::DeleteFloatingip, (id, found))?;
    input::check_if_match(req.header("if-match"), one.revision)?;
    floating_ips::discard(&mut tx, &one).await?;
    tell(&cx, &mut tx, one.router_id.as_deref()).await?;
    tx.commit().await?;
    Ok(Empty)
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pools {
    floatingip_pools: Vec<Pool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pool {
    subnet_id: String,
    subnet_name: String,
    network_id: String,
    cidr: String,
    tenant_id: String,
    project_id: String,
}

endpoint! {
    /// List the subnets that floating IPs come from.
    ListFloatingIpPools: GET "/v2.0/floatingip_pools" => 200,
    policy: rules::GetFloatingipPool,
    query: Params,
    reply: Json<Pools>,
    handler: list_pools,
}
async fn list_pools(cx: Cx, _req: Req<ListFloatingIpPools>) -> Reply<ListFloatingIpPools> {
    let query = visible(
        &cx,
        subnets::query()
            .eq("n.external", true)
            .eq("s.ip_version", 4_i64),
        "{} IN (s.project_id, n.project_id)",
        "s.network_id IN (SELECT object_id FROM rbac_policies WHERE object_type = 'network' AND target_project IN ('*', {}))",
    );
    let found = subnets::find(&mut Reader::Db(cx.db()), &query).await?;
    let floatingip_pools = found
        .into_iter()
        .map(|subnet| Pool {
            subnet_id: subnet.id,
            subnet_name: subnet.name,
            network_id: subnet.network_id,
            cidr: subnet.cidr.to_string(),
            tenant_id: subnet.project_id.clone(),
            project_id: subnet.project_id,
        })
        .collect();
    Ok(Json(Pools { floatingip_pools }))
}
