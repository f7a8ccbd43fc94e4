//! Networks.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Authorized, Target};
use nephos_db::{Tx, Where, args};
use nephos_types::Timestamp;

use crate::Cx;
use crate::api::envelope::{self, Keys, Made, Many, One};
use crate::api::input::{self, Flag, Int};
use crate::api::listing::{self, Filter, Listing, asked_fields, visible};
use crate::api::network_body::{NetworkChange, NetworkKind, NewNetwork, keys, view};
use crate::api::{ById, allow, qos};
use crate::model::network::{MTU_MIN_V4, Network, NetworkType};
use crate::model::refusal::Refusal;
use crate::model::sharing::{EVERYBODY, EXTERNAL, Grant, Grants, SHARED};
use crate::rules;
use crate::store::{
    Reader, floating_ips, networks, ports, publish, publish_qos, publish_router, quotas, rbac,
    routers, security_groups, subnets, tags,
};

const LISTING: Listing = Listing {
    id: "id",
    updated_at: "updated_at",
    marker: "SELECT id, name, project_id, mtu, admin_state_up, external, created_at, updated_at, revision, \
        description FROM networks",
    filters: &[
        ("id", Filter::Text("id")),
        ("name", Filter::Text("name")),
        ("description", Filter::Text("description")),
        ("project_id", Filter::Text("project_id")),
        ("tenant_id", Filter::Text("project_id")),
        ("admin_state_up", Filter::Flag("admin_state_up")),
        ("router:external", Filter::Flag("external")),
        ("is_default", Filter::Flag("is_default")),
        (
            "port_security_enabled",
            Filter::Flag("port_security_enabled"),
        ),
        ("mtu", Filter::Int("mtu")),
        ("revision_number", Filter::Int("revision")),
        ("provider:network_type", Filter::Text("network_type")),
        (
            "provider:physical_network",
            Filter::Text("physical_network"),
        ),
        ("provider:segmentation_id", Filter::Int("vni")),
        ("shared", Filter::Custom(listing::shared_is)),
        ("status", Filter::Custom(status_is)),
        ("subnets", Filter::Custom(has_subnet)),
    ],
    sorts: &[
        ("name", "name"),
        ("description", "description"),
        ("project_id", "project_id"),
        ("tenant_id", "project_id"),
        ("mtu", "mtu"),
        ("admin_state_up", "admin_state_up"),
        ("router:external", "external"),
        ("revision_number", "revision"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
};

fn status_is(query: Where, values: &[&str], _own: &str) -> Option<Where> {
    if values.contains(&"ACTIVE") {
        return Some(query);
    }
    Some(query.in_::<&str>("id", []))
}

fn has_subnet(query: Where, values: &[&str], _own: &str) -> Option<Where> {
    let condition = "id IN (SELECT network_id FROM subnets WHERE id = {})";
    let groups = values
        .iter()
        .map(|id| Where::group().raw(condition, args![id]));
    Some(query.any(groups.collect()))
}

endpoint! {
    /// List networks.
    ListNetworks: GET "/v2.0/networks" => 200,
    policy: rules::GetNetwork,
    query: Params,
    reply: Json<Many<NetworkKind>>,
    handler: list_networks,
}
async fn list_networks(cx: Cx, req: Req<ListNetworks>) -> Reply<ListNetworks> {
    let query = visible(
        &cx,
        networks::query(),
        "project_id = {}",
        "id IN (SELECT object_id FROM rbac_policies WHERE object_type = 'network' AND target_project IN ('*', {}))",
    );
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = networks::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let mut rows = Vec::new();
    for network in &found {
        let keys = keys(&cx, network, asked.keys.asked.clone());
        rows.push((
            network.id.clone(),
            envelope::show(&view(&cx, network), &keys)?,
        ));
    }
    Ok(Json(asked.page(&cx, "/v2.0/networks", rows)))
}

endpoint! {
    /// Show a network.
    ShowNetwork: GET "/v2.0/networks/{id}" => 200,
    policy: Loaded<rules::GetNetwork>,
    path: ById,
    query: Params,
    reply: Json<One<NetworkKind>>,
    handler: show_network,
}
async fn show_network(cx: Cx, req: Req<ShowNetwork>) -> Reply<ShowNetwork> {
    let id = req.path.id.as_str();
    let found = networks::get(&mut Reader::Db(cx.db()), id).await?;
    let network = allow(&cx, rules::GetNetwork, (id, found))?;
    let keys = keys(&cx, &network, asked_fields(&req.query));
    Ok(Json(One::of(&view(&cx, &network), &keys)?))
}

endpoint! {
    /// Create one or more networks.
    CreateNetworks: POST "/v2.0/networks" => 201,
    policy: Loaded<rules::CreateNetwork>,
    body: envelope::New<NetworkKind>,
    reply: Json<Made<NetworkKind>>,
    handler: create_networks,
}
async fn create_networks(cx: Cx, req: Req<CreateNetworks>) -> Reply<CreateNetworks> {
    let mut planned = Vec::new();
    for new in &req.body.items {
        planned.push(plan(&cx, new)?);
    }
    let mut tx = cx.write().await?;
    let mut views = Vec::new();
    let mut hidden = Keys::default();
    for (mut network, shared) in planned {
        insert(&cx, &mut tx, &mut network, shared).await?;
        hidden = keys(&cx, &network, Vec::new());
        views.push(view(&cx, &network));
    }
    tx.commit().await?;
    Ok(Json(Made::of(&views, req.body.bulk, &hidden)?))
}

/// The network that a body describes, and whether everybody may use it.
fn plan(cx: &Cx, new: &NewNetwork) -> Result<(Network, bool), Fault> {
    let project_id = input::project(cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
    let target = Target::of_project(&project_id);
    cx.require(rules::CreateNetwork, &target)?;
    let is = |value: Option<Flag>| value.is_some_and(|flag| flag.0);
    if is(new.shared) {
        cx.require(rules::CreateNetworkShared, &target)?;
    }
    if is(new.external) {
        cx.require(rules::CreateNetworkRouterExternal, &target)?;
    }
    if is(new.is_default) {
        cx.require(rules::CreateNetworkIsDefault, &target)?;
    }
    let (network_type, physical_network, vni) = segment(cx, new, &target)?;
    let now = cx.now();
    let network = Network {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id,
        name: new.name.clone().unwrap_or_default().0,
        description: new.description.clone().unwrap_or_default().0,
        admin_state_up: new.admin_state_up.is_none_or(|flag| flag.0),
        mtu: mtu(cx, new.mtu, network_type)?,
        port_security_enabled: new.port_security_enabled.is_none_or(|flag| flag.0),
        external: is(new.external),
        is_default: is(new.is_default),
        network_type,
        physical_network,
        vni,
        zone_hints: zone_hints(
            cx,
            new.availability_zone_hints.as_deref().unwrap_or_default(),
        )?,
        qos_policy_id: new.qos_policy_id.clone(),
        revision: 1,
        created_at: now,
        updated_at: now,
        grants: Grants::default(),
        subnets: Vec::new(),
        ipv4_scope: None,
        ipv6_scope: None,
        tags: input::check_tags(new.tags.as_deref().unwrap_or_default())?,
    };
    if network.is_default && !network.external {
        return Err(Refusal::input("is_default needs a network with router:external").into());
    }
    Ok((network, is(new.shared)))
}

/// Refuses zones that there are not.
pub(super) fn zone_hints(cx: &Cx, hints: &[String]) -> Result<Vec<String>, Refusal> {
    match hints
        .iter()
        .find(|hint| **hint != cx.config.availability_zone)
    {
        None => Ok(hints.to_vec()),
        Some(unknown) => Err(Refusal::missing(
            "AvailabilityZoneNotFound",
            format!("AvailabilityZone {unknown} could not be found."),
        )),
    }
}

/// The wire or tunnel that is asked for; 0: any tunnel.
fn segment(
    cx: &Cx,
    new: &NewNetwork,
    target: &Target,
) -> Result<(NetworkType, String, u32), Fault> {
    if new.network_type.is_some() {
        cx.require(rules::CreateNetworkProviderNetworkType, target)?;
    }
    if new.physical_network.is_some() {
        cx.require(rules::CreateNetworkProviderPhysicalNetwork, target)?;
    }
    if new.segmentation_id.is_some() {
        cx.require(rules::CreateNetworkProviderSegmentationId, target)?;
    }
    let kind = match new.network_type.as_deref() {
        None if new.physical_network.is_some() || new.segmentation_id.is_some() => {
            return Err(Refusal::input("network_type required").into());
        }
        None => NetworkType::Vxlan,
        Some(text) => NetworkType::parse(text).ok_or_else(|| {
            Refusal::input(format!(
                "Network type value {text} not supported; there are: flat, vxlan"
            ))
        })?,
    };
    let vni = new.segmentation_id.map_or(0, |int| int.0);
    let vni = u32::try_from(vni).ok().filter(|vni| *vni < 1 << 24);
    match kind {
        NetworkType::Flat => {
            let physical = new.physical_network.clone().ok_or_else(|| {
                Refusal::input("physical_network required for flat provider network")
            })?;
            if new.segmentation_id.is_some() {
                return Err(
                    Refusal::input("segmentation_id prohibited for flat provider network").into(),
                );
            }
            Ok((kind, physical, 0))
        }
        NetworkType::Vxlan => {
            if new.physical_network.is_some() {
                return Err(Refusal::input(
                    "provider:physical_network specified for vxlan network",
                )
                .into());
            }
            let vni = vni.ok_or_else(|| {
                Refusal::input("segmentation_id out of range (1 through 16777215)")
            })?;
            Ok((kind, String::new(), vni))
        }
    }
}

fn mtu(cx: &Cx, asked: Option<Int>, kind: NetworkType) -> Result<u32, Refusal> {
    let most = match kind {
        NetworkType::Vxlan => cx.config.physical_mtu.saturating_sub(50),
        NetworkType::Flat => cx.config.physical_mtu,
    };
    match asked.map(|int| int.0).filter(|mtu| *mtu != 0) {
        None => Ok(most),
        Some(mtu) => match u32::try_from(mtu) {
            Ok(mtu) if (MTU_MIN_V4..=most).contains(&mtu) => Ok(mtu),
            _other => Err(Refusal::input(format!(
                "Requested MTU is too big or too small: {mtu}. It must be {MTU_MIN_V4} to {most}"
            ))),
        },
    }
}

async fn insert(cx: &Cx, tx: &mut Tx, network: &mut Network, shared: bool) -> Result<(), Fault> {
    quotas::take(tx, &network.project_id, "network", 1).await?;
    qos::choose(cx, tx, network).await?;
    if network.vni == 0 && network.network_type == NetworkType::Vxlan {
        let range = (cx.config.vni_min, cx.config.vni_max);
        networks::insert_vxlan(tx, network, range).await?;
    } else {
        networks::insert(tx, network).await?;
    }
    check_only_default(tx, network).await?;
    for (wanted, action) in [(shared, SHARED), (network.external, EXTERNAL)] {
        if wanted {
            grant_all(tx, network, action).await?;
        }
    }
    for tag in &network.tags {
        tags::insert(tx, &network.id, tag).await?;
    }
    if !network.project_id.is_empty() {
        security_groups::ensure_default(tx, &network.project_id, network.created_at).await?;
    }
    Ok(())
}

async fn grant_all(tx: &mut Tx, network: &mut Network, action: &str) -> Result<(), Fault> {
    let policy = rbac::RbacPolicy {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id: network.project_id.clone(),
        object_type: "network".to_owned(),
        object_id: network.id.clone(),
        action: action.to_owned(),
        target_project: EVERYBODY.to_owned(),
    };
    if rbac::insert(tx, &policy).await? {
        quotas::add(tx, &network.project_id, "rbac_policy", 1).await?;
        network.grants.0.push(Grant {
            action: action.to_owned(),
            target: EVERYBODY.to_owned(),
        });
    }
    Ok(())
}

async fn revoke_all(tx: &mut Tx, network: &mut Network, action: &str) -> Result<(), Fault> {
    let had = network.grants.0.len();
    network
        .grants
        .0
        .retain(|grant| grant.action != action || grant.target != EVERYBODY);
    if network.grants.0.len() < had {
        rbac::revoke(tx, &network.id, action, EVERYBODY).await?;
    }
    Ok(())
}

async fn check_only_default(tx: &mut Tx, network: &Network) -> Result<(), Fault> {
    if !network.is_default {
        return Ok(());
    }
    match networks::other_default(tx, &network.id).await? {
        None => Ok(()),
        Some(other) => Err(Refusal::conflict(
            "DefaultExternalNetworkExists",
            format!("A default external network already exists: {other}."),
        )
        .into()),
    }
}

endpoint! {
    /// Change a network.
    UpdateNetwork: PUT "/v2.0/networks/{id}" => 200,
    policy: Loaded<rules::UpdateNetwork>,
    path: ById,
    body: envelope::Change<NetworkKind>,
    reply: Json<One<NetworkKind>>,
    handler: update_network,
}
async fn update_network(cx: Cx, req: Req<UpdateNetwork>) -> Reply<UpdateNetwork> {
    let id = req.path.id.as_str();
    let found = networks::get(&mut Reader::Db(cx.db()), id).await?;
    let network = allow(&cx, rules::UpdateNetwork, (id, found))?;
    input::check_if_match(req.header("if-match"), network.revision)?;
    let network = change(&cx, network, &req.body.0).await?;
    let keys = keys(&cx, &network, Vec::new());
    Ok(Json(One::of(&view(&cx, &network), &keys)?))
}

async fn change(
    cx: &Cx,
    network: Authorized<Network, rules::UpdateNetwork>,
    change: &NetworkChange,
) -> Result<Network, Fault> {
    let mut network = network.into_inner();
    let target = Target::of_project(&network.project_id);
    if change.shared.is_some() {
        cx.require(rules::UpdateNetworkShared, &target)?;
    }
    if change.external.is_some() {
        cx.require(rules::UpdateNetworkRouterExternal, &target)?;
    }
    if change.is_default.is_some() {
        cx.require(rules::UpdateNetworkIsDefault, &target)?;
    }
    let was_external = network.external;
    apply(cx, &mut network, change)?;
    let mut tx = cx.write().await?;
    if was_external && !network.external {
        check_not_used_outside(&mut tx, &network.id).await?;
    }
    for subnet in subnets::of_network(&mut Reader::Tx(&mut tx), &network.id).await? {
        Network::check_mtu(network.mtu, subnet.ip_version(), &subnet.id)?;
    }
    check_only_default(&mut tx, &network).await?;
    let limited = qos::change(
        cx,
        &mut tx,
        &mut network.qos_policy_id,
        &change.qos_policy_id,
    )
    .await?;
    networks::update(&mut tx, &network).await?;
    network.revision += 1;
    regrant(&mut tx, &mut network, change).await?;
    if limited {
        publish_qos::network(&mut tx, network.updated_at, &network.id).await?;
    }
    publish::network(&mut tx, network.updated_at, &network.id).await?;
    tx.commit().await?;
    Ok(network)
}

fn apply(cx: &Cx, network: &mut Network, change: &NetworkChange) -> Result<(), Refusal> {
    if let Some(name) = &change.name {
        network.name = name.0.clone();
    }
    if let Some(description) = &change.description {
        network.description = description.0.clone();
    }
    let set = |place: &mut bool, value: Option<Flag>| *place = value.map_or(*place, |flag| flag.0);
    set(&mut network.admin_state_up, change.admin_state_up);
    set(
        &mut network.port_security_enabled,
        change.port_security_enabled,
    );
    set(&mut network.external, change.external);
    set(&mut network.is_default, change.is_default);
    if change.mtu.is_some() {
        network.mtu = mtu(cx, change.mtu, network.network_type)?;
    }
    network.updated_at = cx.now();
    Ok(())
}

/// Makes the grants to everybody what `shared` and `router:external` say.
async fn regrant(tx: &mut Tx, network: &mut Network, change: &NetworkChange) -> Result<(), Fault> {
    match change.external {
        Some(Flag(true)) => grant_all(tx, network, EXTERNAL).await?,
        Some(Flag(false)) => revoke_all(tx, network, EXTERNAL).await?,
        None => {}
    }
    match change.shared {
        Some(Flag(true)) => grant_all(tx, network, SHARED).await?,
        Some(Flag(false)) => {
            let others = networks::used_by_others(tx, network).await?;
            if network.grants.any(SHARED) && !others.is_empty() {
                return Err(Refusal::conflict(
                    "InvalidSharedSetting",
                    format!(
                        "Unable to reconfigure sharing settings for network {}. Multiple projects are using it: {}.",
                        network.id,
                        others.join(", ")
                    ),
                )
                .into());
            }
            revoke_all(tx, network, SHARED).await?;
        }
        None => {}
    }
    Ok(())
}

async fn check_not_used_outside(tx: &mut Tx, id: &str) -> Result<(), Fault> {
    let behind = routers::behind(tx, id).await?;
    if behind.is_empty() {
        return Ok(());
    }
    Err(Refusal::conflict(
        "ExternalNetworkInUse",
        format!(
            "External network {id} cannot be updated to be made non-external, since it has existing gateway ports of routers {}.",
            behind.join(", ")
        ),
    )
    .into())
}

endpoint! {
    /// Delete a network and its subnets.
    DeleteNetwork: DELETE "/v2.0/networks/{id}" => 204,
    policy: Loaded<rules::DeleteNetwork>,
    path: ById,
    reply: Empty,
    handler: delete_network,
}
async fn delete_network(cx: Cx, req: Req<DeleteNetwork>) -> Reply<DeleteNetwork> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = networks::get(&mut Reader::Tx(&mut tx), id).await?;
    let network = allow(&cx, rules::DeleteNetwork, (id, found))?;
    input::check_if_match(req.header("if-match"), network.revision)?;
    let now = cx.now();
    floating_ips::drop_idle(&mut tx, id).await?;
    let in_it = ports::query().eq("p.network_id", id);
    let blockers = ports::find(&mut Reader::Tx(&mut tx), &in_it).await?;
    if !blockers.is_empty() {
        let names: Vec<String> = blockers
            .iter()
            .take(5)
            .map(|port| format!("{} ({})", port.id, port.device_owner))
            .collect();
        return Err(Refusal::conflict(
            "NetworkInUse",
            format!(
                "Unable to complete operation on network {id}. There are one or more ports still in use on the network: {}.",
                names.join(", ")
            ),
        )
        .into());
    }
    for subnet in subnets::of_network(&mut Reader::Tx(&mut tx), id).await? {
        subnets::remove(&mut tx, &subnet.id).await?;
        quotas::give(&mut tx, &subnet.project_id, "subnet", 1).await?;
    }
    networks::remove(&mut tx, id).await?;
    quotas::give(&mut tx, &network.project_id, "network", 1).await?;
    publish::network(&mut tx, now, id).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// The routers and hosts that have to know of a change of a network's subnets.
pub(super) async fn tell_neighbours(tx: &mut Tx, now: Timestamp, id: &str) -> Result<(), Fault> {
    publish::network(tx, now, id).await?;
    for router in routers::behind(tx, id).await? {
        publish_router::router(tx, now, &router).await?;
    }
    Ok(())
}
