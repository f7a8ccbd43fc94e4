//! Ports.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_db::{Tx, Where, args};
use rand::Rng;
use serde_json::json;

use crate::Cx;
use crate::api::envelope::{self, Made, Many, One};
use crate::api::fixed_ips::{self, Choice};
use crate::api::input::{self, Flag};
use crate::api::listing::{Filter, Listing, asked_fields, visible};
use crate::api::port_body::{PortChange, PortKind};
use crate::api::port_view::{keys, view};
use crate::api::{ById, allow, port_rules, qos};
use crate::api::{port_build, port_make};
use crate::model::port::{
    FLOATING_IP, Port, PortStatus, ROUTER_GATEWAY, ROUTER_INTERFACE, make_mac,
};
use crate::model::refusal::Refusal;
use crate::model::trunk::{SUBPORT, TrunkDetails};
use crate::rules;
use crate::store::{
    Reader, floating_ips, networks, news, port_links, ports, publish, publish_router, quotas,
    routers, trunks,
};

const LISTING: Listing = Listing {
    id: "p.id",
    updated_at: "p.updated_at",
    marker: "SELECT p.id, p.name, p.project_id, p.network_id, p.mac, p.status, p.device_id, p.device_owner, \
        p.admin_state_up, p.created_at, p.updated_at, p.revision, p.description FROM ports p",
    filters: &[
        ("id", Filter::Text("p.id")),
        ("name", Filter::Text("p.name")),
        ("description", Filter::Text("p.description")),
        ("project_id", Filter::Text("p.project_id")),
        ("tenant_id", Filter::Text("p.project_id")),
        ("network_id", Filter::Text("p.network_id")),
        (
            "mac_address",
            Filter::Mapped("p.mac", str::to_ascii_lowercase),
        ),
        ("admin_state_up", Filter::Flag("p.admin_state_up")),
        ("status", Filter::Text("p.status")),
        ("device_id", Filter::Text("p.device_id")),
        ("device_owner", Filter::Text("p.device_owner")),
        ("binding:host_id", Filter::Text("p.host")),
        ("binding:vnic_type", Filter::Text("p.vnic_type")),
        (
            "port_security_enabled",
            Filter::Flag("p.port_security_enabled"),
        ),
        ("revision_number", Filter::Int("p.revision")),
        ("fixed_ips", Filter::Custom(has_ips)),
        ("ip_address", Filter::Custom(has_address)),
        ("security_groups", Filter::Custom(has_group)),
    ],
    sorts: &[
        ("name", "p.name"),
        ("description", "p.description"),
        ("project_id", "p.project_id"),
        ("tenant_id", "p.project_id"),
        ("network_id", "p.network_id"),
        ("mac_address", "p.mac"),
        ("admin_state_up", "p.admin_state_up"),
        ("status", "p.status"),
        ("device_id", "p.device_id"),
        ("device_owner", "p.device_owner"),
        ("revision_number", "p.revision"),
        ("created_at", "p.created_at"),
        ("updated_at", "p.updated_at"),
    ],
};

/// `fixed_ips=ip_address=A&fixed_ips=subnet_id=S`: any of the addresses, in any of the subnets.
fn has_ips(mut query: Where, values: &[&str], _own: &str) -> Option<Where> {
    let (mut ips, mut substrings, mut subnets) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        match value.split_once('=')? {
            ("ip_address", ip) => ips.push(ip),
            ("ip_address_substr", part) => substrings.push(part),
            ("subnet_id", id) => subnets.push(id),
            _unknown => return None,
        }
    }
    let by_ip = "p.id IN (SELECT port_id FROM port_ips WHERE ip = {})";
    let by_subnet = "p.id IN (SELECT port_id FROM port_ips WHERE subnet_id = {})";
    for (wanted, condition) in [(ips, by_ip), (subnets, by_subnet)] {
        if !wanted.is_empty() {
            let groups = wanted
                .iter()
                .map(|value| Where::group().raw(condition, args![value]));
            query = query.any(groups.collect());
        }
    }
    for part in substrings {
        // A part of an address holds digits, letters, dots and colons: nothing that LIKE would read otherwise.
        let plain = part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == ':');
        if !plain {
            return None;
        }
        let condition = "p.id IN (SELECT port_id FROM port_ips WHERE ip LIKE {})";
        query = query.raw(condition, args![format!("%{part}%")]);
    }
    Some(query)
}

fn has_address(query: Where, values: &[&str], _own: &str) -> Option<Where> {
    let condition = "p.id IN (SELECT port_id FROM port_ips WHERE ip = {})";
    let groups = values
        .iter()
        .map(|ip| Where::group().raw(condition, args![ip]));
    Some(query.any(groups.collect()))
}

fn has_group(query: Where, values: &[&str], _own: &str) -> Option<Where> {
    let condition = "p.id IN (SELECT port_id FROM port_groups WHERE security_group_id = {})";
    let groups = values
        .iter()
        .map(|id| Where::group().raw(condition, args![id]));
    Some(query.any(groups.collect()))
}

endpoint! {
    /// List ports.
    ListPorts: GET "/v2.0/ports" => 200,
    policy: rules::GetPort,
    query: Params,
    reply: Json<Many<PortKind>>,
    handler: list_ports,
}
async fn list_ports(cx: Cx, req: Req<ListPorts>) -> Reply<ListPorts> {
    let query = visible(
        &cx,
        ports::query(),
        "{} IN (p.project_id, n.project_id)",
        "",
    );
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = ports::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let ids: Vec<String> = found.iter().map(|port| port.id.clone()).collect();
    let mut details = trunks::of_ports(&mut Reader::Db(cx.db()), &ids).await?;
    let keys = keys(&cx, asked.keys.asked.clone());
    let mut rows = Vec::new();
    for port in &found {
        let view = view(port, details.remove(&port.id));
        rows.push((port.id.clone(), envelope::show(&view, &keys)?));
    }
    Ok(Json(asked.page(&cx, "/v2.0/ports", rows)))
}

endpoint! {
    /// Show a port.
    ShowPort: GET "/v2.0/ports/{id}" => 200,
    policy: Loaded<rules::GetPort>,
    path: ById,
    query: Params,
    reply: Json<One<PortKind>>,
    handler: show_port,
}
async fn show_port(cx: Cx, req: Req<ShowPort>) -> Reply<ShowPort> {
    let id = req.path.id.as_str();
    let found = ports::get(&mut Reader::Db(cx.db()), id).await?;
    let port = allow(&cx, rules::GetPort, (id, found))?;
    let keys = keys(&cx, asked_fields(&req.query));
    let trunk = trunk_of(&mut Reader::Db(cx.db()), id).await?;
    Ok(Json(One::of(&view(&port, trunk), &keys)?))
}

/// The trunk that a port is the port of.
async fn trunk_of(reader: &mut Reader<'_>, id: &str) -> Result<Option<TrunkDetails>, Fault> {
    let mut found = trunks::of_ports(reader, &[id.to_owned()]).await?;
    Ok(found.remove(id))
}

endpoint! {
    /// Create one or more ports.
    CreatePorts: POST "/v2.0/ports" => 201,
    policy: Loaded<rules::CreatePort>,
    body: envelope::New<PortKind>,
    reply: Json<Made<PortKind>>,
    handler: create_ports,
}
async fn create_ports(cx: Cx, req: Req<CreatePorts>) -> Reply<CreatePorts> {
    let bulk = req.body.bulk;
    let made = port_make::make(&cx, req.body.items).await?;
    let views: Vec<_> = made.iter().map(|port| view(port, None)).collect();
    Ok(Json(Made::of(&views, bulk, &keys(&cx, Vec::new()))?))
}

endpoint! {
    /// Change a port.
    UpdatePort: PUT "/v2.0/ports/{id}" => 200,
    policy: Loaded<rules::UpdatePort>,
    path: ById,
    body: envelope::Change<PortKind>,
    reply: Json<One<PortKind>>,
    handler: update_port,
}
async fn update_port(cx: Cx, req: Req<UpdatePort>) -> Reply<UpdatePort> {
    let id = req.path.id.as_str();
    // Read where it is written, because hosts tell of their ports at any time.
    let mut tx = cx.write().await?;
    let found = ports::get(&mut Reader::Tx(&mut tx), id).await?;
    let before = allow(&cx, rules::UpdatePort, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), before.revision)?;
    let change = &req.body.0;
    let network = networks::bare(&mut Reader::Tx(&mut tx), &before.network_id).await?;
    let network = network.ok_or_else(|| Refusal::no_network(&before.network_id))?;
    port_rules::check_change(&cx, change, &before, &network)?;
    let mut port = before.clone();
    apply(&mut port, change)?;
    port.updated_at = cx.now();
    update(&cx, &mut tx, (&before, &mut port), change).await?;
    let trunk = trunk_of(&mut Reader::Tx(&mut tx), id).await?;
    tx.commit().await?;
    let view = view(&port, trunk);
    Ok(Json(One::of(&view, &keys(&cx, Vec::new()))?))
}

fn apply(port: &mut Port, change: &PortChange) -> Result<(), Refusal> {
    let set = |place: &mut String, value: &Option<input::Name>| {
        if let Some(name) = value {
            place.clone_from(&name.0);
        }
    };
    set(&mut port.name, &change.name);
    set(&mut port.description, &change.description);
    set(&mut port.device_id, &change.device_id);
    set(&mut port.device_owner, &change.device_owner);
    set(&mut port.host, &change.host);
    if let Some(Flag(up)) = change.admin_state_up {
        port.admin_state_up = up;
    }
    if let Some(Flag(enabled)) = change.port_security_enabled {
        port.port_security_enabled = enabled;
    }
    match &change.mac_address {
        None => {}
        // Without a value it is made anew, as Neutron's port-mac-address-regenerate has it.
        Some(None) => port.mac = make_mac(rand::rng().random()),
        Some(Some(text)) => port.mac = port_build::read_mac(text)?,
    }
    if let Some(kind) = &change.vnic_type {
        port.vnic_type = port_build::vnic_type(kind)?;
    }
    match &change.profile {
        None => {}
        Some(None) => port.profile = json!({}),
        Some(Some(profile)) => port.profile = port_build::profile_of(profile)?,
    }
    port.next_host = next_host(port);
    if let Some(pairs) = &change.allowed_address_pairs {
        port.address_pairs = port_build::pairs(Some(pairs), &port.mac)?;
    }
    if let Some(options) = &change.extra_dhcp_opts {
        port.dhcp_options = port_build::options(&port.dhcp_options, options)?;
    }
    Ok(())
}

/// Where compute says that the port's server moves to while it runs; its own word for it, as Nova's.
fn next_host(port: &Port) -> String {
    let said = port.profile.get("migrating_to");
    let said = said.and_then(serde_json::Value::as_str).unwrap_or_default();
    let moves = !port.host.is_empty() && said != port.host;
    if moves { said } else { "" }.to_owned()
}

async fn update(
    cx: &Cx,
    tx: &mut Tx,
    (before, port): (&Port, &mut Port),
    change: &PortChange,
) -> Result<(), Fault> {
    if before.mac != port.mac {
        check_mac(tx, before, port).await?;
    }
    check_led(tx, before, port).await?;
    if let Some(asked) = &change.security_groups {
        port.security_groups = port_build::groups(tx, port, Some(asked)).await?;
    }
    port.check_security()?;
    qos::change(cx, tx, &mut port.qos_policy_id, &change.qos_policy_id).await?;
    if let Some(asked) = &change.fixed_ips {
        let subnets = port_build::subnets_of(tx, &port.network_id).await?;
        let choice = Choice {
            subnets: &subnets,
            runs: &cx.runs,
        };
        port.fixed_ips = fixed_ips::reallocate(tx, port, choice, asked).await?;
        check_floating(tx, port).await?;
    }
    // A port that moves, or that nobody has any more, is not up until its new host says so.
    if before.host != port.host {
        port.status = PortStatus::Down;
        if before.next_host == port.host && publish::is_up(tx, port).await? {
            port.status = PortStatus::Active;
        }
    }
    ports::update(tx, port).await?;
    port.revision += 1;
    let groups_differ = before.security_groups != port.security_groups;
    if groups_differ {
        port_links::clear(tx, &port.id).await?;
        port_links::insert(tx, &port.id, &port.security_groups).await?;
    }
    publish::port(tx, port.updated_at, Some(before), Some(port)).await?;
    trunks::follow(tx, port.updated_at, (before, port)).await?;
    if before.fixed_ips != port.fixed_ips || before.mac != port.mac || groups_differ {
        news::of_port(tx, port.updated_at, Some(&port.id)).await?;
    }
    if port.is_router() {
        publish_router::router(tx, port.updated_at, &port.device_id).await?;
    }
    Ok(())
}

/// A subport is where its trunk is, and whose.
async fn check_led(tx: &mut Tx, before: &Port, port: &Port) -> Result<(), Fault> {
    let same = before.host == port.host
        && before.next_host == port.next_host
        && before.device_id == port.device_id
        && before.device_owner == port.device_owner;
    if same || before.device_owner != SUBPORT {
        return Ok(());
    }
    match trunks::user_of(tx, &port.id).await? {
        Some(used) => Err(used.keeps(&port.id).into()),
        None => Ok(()),
    }
}

/// Addresses that floating IPs lead to stay.
async fn check_floating(tx: &mut Tx, port: &Port) -> Result<(), Fault> {
    let query = floating_ips::query().eq("f.port_id", &port.id);
    let leading = floating_ips::find(&mut Reader::Tx(tx), &query).await?;
    let stays = |ip| port.fixed_ips.iter().any(|fixed| fixed.ip_address == ip);
    match leading.iter().filter_map(|one| one.fixed_ip).all(stays) {
        true => Ok(()),
        false => Err(Refusal::bad(
            "port",
            format!(
                "Cannot update the fixed_ips of the port {}, because its original fixed_ip has been associated to a floating ip",
                port.id
            ),
        )
        .into()),
    }
}

async fn check_mac(tx: &mut Tx, before: &Port, port: &Port) -> Result<(), Fault> {
    if !before.host.is_empty() && !before.device_owner.is_empty() {
        return Err(Refusal::conflict(
            "PortBound",
            format!(
                "Unable to complete operation on port {}, port is already bound, port type: {}, old_mac {}, new_mac {}.",
                before.id,
                before.vif_type(),
                before.mac,
                port.mac
            ),
        )
        .into());
    }
    if ports::mac_in_use(tx, port).await? {
        return Err(port_build::mac_in_use(port).into());
    }
    Ok(())
}

endpoint! {
    /// Delete a port.
    DeletePort: DELETE "/v2.0/ports/{id}" => 204,
    policy: Loaded<rules::DeletePort>,
    path: ById,
    reply: Empty,
    handler: delete_port,
}
async fn delete_port(cx: Cx, req: Req<DeletePort>) -> Reply<DeletePort> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = ports::get(&mut Reader::Tx(&mut tx), id).await?;
    let port = allow(&cx, rules::DeletePort, (id, found))?;
    port_rules::check_delete(&cx, &port)?;
    input::check_if_match(req.header("if-match"), port.revision)?;
    check_not_in_use(&mut tx, &port).await?;
    remove(&mut tx, cx.now(), &port).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// A router's port may go only when the router is gone already: what is left of a broken past.
async fn check_not_in_use(tx: &mut Tx, port: &Port) -> Result<(), Fault> {
    let owner = port.device_id.as_str();
    let owned = match port.device_owner.as_str() {
        ROUTER_INTERFACE | ROUTER_GATEWAY => {
            routers::get(&mut Reader::Tx(tx), owner).await?.is_some()
        }
        FLOATING_IP => floating_ips::get(&mut Reader::Tx(tx), owner)
            .await?
            .is_some(),
        _other => false,
    };
    if owned {
        port.check_may_delete()?;
    }
    Ok(())
}

/// Takes a port away: from its floating IPs, from its host, from the quota.
pub(super) async fn remove(
    tx: &mut Tx,
    now: nephos_types::Timestamp,
    port: &Port,
) -> Result<(), Fault> {
    if let Some(used) = trunks::user_of(tx, &port.id).await? {
        return Err(used.keeps(&port.id).into());
    }
    for router in floating_ips::release_port(tx, &port.id).await? {
        publish_router::router(tx, now, &router).await?;
    }
    ports::remove(tx, &port.id).await?;
    if !port.project_id.is_empty() {
        quotas::give(tx, &port.project_id, "port", 1).await?;
    }
    publish::port(tx, now, Some(port), None).await?;
    Ok(())
}
