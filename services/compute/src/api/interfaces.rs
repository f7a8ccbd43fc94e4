//! `/servers/{id}/os-interface`: plugging interfaces in and out.

use std::net::IpAddr;
use std::time::Duration;

use nephos_api::version::v;
use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_auth::Authorized;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Cx, ServerPath, asked, fault, name_it, news, server};
use crate::model::server::{Nic, Server, VmState};
use crate::model::spec::ServerId;
use crate::peers::Port;
use crate::{ops, rules, store};

/// The port is there by then, or the caller is told to look later.
const PORT_WITHIN: Duration = Duration::from_secs(30);
/// The guest has it by then, or the caller is answered without that.
const GUEST_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize)]
pub(crate) struct InterfacePath {
    id: ServerId,
    port: String,
}

fn view(cx: &Cx, server: &Server, port: &Port) -> Value {
    let fixed = port.fixed_ips.iter();
    let mut shown = json!({
        "port_id": port.id, "net_id": port.network_id, "mac_addr": port.mac_address, "port_state": port.status,
        "fixed_ips": fixed.map(|ip| json!({"subnet_id": ip.subnet_id, "ip_address": ip.ip_address})).collect::<Vec<_>>(),
    });
    // 2.70: the tag is shown.
    if let (true, Some(shown)) = (cx.version >= v(2, 70), shown.as_object_mut()) {
        let nic = server.nics.iter().find(|nic| nic.port_id == port.id);
        shown.insert("tag".into(), json!(nic.and_then(|nic| nic.tag.clone())));
    }
    shown
}

endpoint! {
    /// List a server's interfaces.
    ListInterfaces: GET "/v2.1/servers/{id}/os-interface" => 200,
    policy: Loaded<rules::ListInterfaces>,
    path: ServerPath,
    reply: Json<Value>,
    handler: list_interfaces,
}

async fn list_interfaces(cx: Cx, req: Req<ListInterfaces>) -> Reply<ListInterfaces> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::ListInterfaces, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let ports = cx
        .siblings
        .ports_of(id)
        .await
        .map_err(|why| fault::from_peer(&why))?;
    let all: Vec<Value> = ports.iter().map(|port| view(&cx, &server, port)).collect();
    Ok(Json(json!({ "interfaceAttachments": all })))
}

async fn port_of(cx: &Cx, id: &ServerId, port: &str) -> Result<Port, Fault> {
    let ports = cx
        .siblings
        .ports_of(id)
        .await
        .map_err(|why| fault::from_peer(&why))?;
    let found = ports.into_iter().find(|known| known.id == port);
    found.ok_or_else(|| {
        Fault::not_found(format!("Instance {id} does not have a port with id {port}"))
    })
}

endpoint! {
    /// Show an interface.
    ShowInterface: GET "/v2.1/servers/{id}/os-interface/{port}" => 200,
    policy: Loaded<rules::ShowInterface>,
    path: InterfacePath,
    reply: Json<Value>,
    handler: show_interface,
}

async fn show_interface(cx: Cx, req: Req<ShowInterface>) -> Reply<ShowInterface> {
    let InterfacePath { id, port } = &req.path;
    let server = cx
        .allow(rules::ShowInterface, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let port = port_of(&cx, id, port).await?;
    Ok(Json(
        json!({"interfaceAttachment": view(&cx, &server, &port)}),
    ))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttachBody {
    #[serde(default, rename = "interfaceAttachment")]
    wish: Attachment,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Attachment {
    #[serde(default)]
    net_id: Option<String>,
    #[serde(default)]
    port_id: Option<String>,
    #[serde(default)]
    fixed_ips: Option<Vec<FixedIp>>,
    #[serde(default)]
    tag: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FixedIp {
    ip_address: String,
}

const STATES: &[VmState] = &[VmState::Active, VmState::Paused, VmState::Stopped];

endpoint! {
    /// Plug an interface in.
    AttachInterface: POST "/v2.1/servers/{id}/os-interface" => 200,
    policy: Loaded<rules::AttachInterface>,
    path: ServerPath,
    body: Json<AttachBody>,
    reply: Json<Value>,
    handler: attach_interface,
}

async fn attach_interface(cx: Cx, req: Req<AttachInterface>) -> Reply<AttachInterface> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::AttachInterface, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let refused = |why| fault::refused(&server, "attach_interface", why);
    server
        .check_unlocked(cx.caller.is_admin())
        .map_err(refused)?;
    let wish = req.body.0.wish;
    check(&cx, &wish)?;
    server.check_can(STATES).map_err(refused)?;
    if server.host.is_none() {
        return Err(Fault::conflict(format!(
            "Instance {id} is not ready: no host has it."
        )));
    }
    let nic = nic(&cx, &server, wish).await?;
    let mut wakes = cx.bus.subscribe_to(ops::PORTS, [id.to_string()]);
    let mut tx = cx.write().await?;
    let begun = ops::interfaces::attach(&mut tx, asked(&cx), &server, nic).await;
    let wanted = begun.map_err(|why| fault::busy(&server, "attach_interface", why))?;
    tx.commit().await?;
    let clock = &cx.core.clock;
    let plugged = || plugged(&cx, &server, &wanted);
    let plugged = news::found(clock, &mut wakes, PORT_WITHIN, plugged).await?;
    let (server, port) = plugged.ok_or_else(|| {
        Fault::unavailable(
            "The network service takes its time: the interface will be plugged in when its port is there.",
        )
    })?;
    // The next action is taken once the guest has it too. One that takes its time is not waited for.
    let in_guest = || async {
        let live = nephos_ops::live(cx.db(), id.as_str()).await?;
        Ok(live.is_none().then_some(()))
    };
    // The interface is there whatever comes of it.
    let _late_or_unknown = news::found(clock, &mut wakes, GUEST_WITHIN, in_guest).await;
    let port = port_of(&cx, id, &port).await?;
    Ok(Json(
        json!({"interfaceAttachment": view(&cx, &server, &port)}),
    ))
}

/// The server and its new port, once the network service has it; what went wrong, when the work has ended without it.
async fn plugged(
    cx: &Cx,
    server: &Authorized<Server, rules::AttachInterface>,
    wanted: &str,
) -> Result<Option<(Server, String)>, Fault> {
    let fresh = store::servers::get(cx.db(), server.id.as_str()).await?;
    let fresh = fresh.ok_or_else(|| fault::no_server(server.id.as_str()))?;
    let new = |nic: &&Nic| nic.id.as_deref() == Some(wanted);
    if let Some(nic) = fresh.nics.iter().find(new) {
        let port = nic.bound.as_ref().map(|_| nic.port_id.clone());
        return Ok(port.map(|port| (fresh, port)));
    }
    let action = store::actions::get(cx.db(), server.id.as_str(), cx.request_id.as_str()).await?;
    let why = action.and_then(|action| action.events.into_iter().find_map(|event| event.details));
    let why = why.unwrap_or_else(|| "it was removed again".to_owned());
    Err(Fault::bad_request(format!(
        "Failed to attach network adapter device to {}: {why}",
        server.id
    )))
}

fn check(cx: &Cx, wish: &Attachment) -> Result<(), Fault> {
    if wish.net_id.is_some() && wish.port_id.is_some() {
        return Err(Fault::bad_request(
            "Must not input both network_id and port_id",
        ));
    }
    if wish.fixed_ips.is_some() && wish.net_id.is_none() {
        return Err(Fault::bad_request(
            "Must input network_id when request IP address",
        ));
    }
    for (field, id) in [("net_id", &wish.net_id), ("port_id", &wish.port_id)] {
        if let Some(id) = id
            && uuid::Uuid::try_parse(id).is_err()
        {
            return Err(fault::invalid_text(field, id, "is not a 'uuid'"));
        }
    }
    for ip in wish.fixed_ips.iter().flatten() {
        if ip.ip_address.parse::<IpAddr>().is_err() {
            return Err(fault::invalid_text(
                "ip_address",
                &ip.ip_address,
                "is not a 'ipv4'",
            ));
        }
    }
    if wish.fixed_ips.as_ref().is_some_and(|ips| ips.len() > 1) {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute fixed_ips. One address can be asked for.",
        ));
    }
    // 2.49 added tags.
    if wish.tag.is_some() && cx.version < v(2, 49) {
        return Err(Fault::bad_request(
            "Additional properties are not allowed ('tag' was unexpected)",
        ));
    }
    if let Some(tag) = &wish.tag {
        super::server_tags::check(std::slice::from_ref(tag))?;
    }
    Ok(())
}

async fn nic(cx: &Cx, server: &Server, wish: Attachment) -> Result<Nic, Fault> {
    let token = cx.token().unwrap_or_default();
    let tag = wish.tag;
    if let Some(port) = wish.port_id {
        let found = cx
            .siblings
            .port_of_caller(token, &port)
            .await
            .map_err(|why| match why.is_not_found() {
                true => Fault::not_found(format!("Port id {port} could not be found.")),
                false => fault::from_peer(&why),
            })?;
        if !found.device_id.is_empty() || found.is_of_the_cloud() {
            return Err(Fault::bad_request(format!("Port {port} is still in use.")));
        }
        return Ok(Nic {
            network_id: found.network_id,
            port_id: found.id,
            tag,
            ..Nic::default()
        });
    }
    let fixed_ip = wish
        .fixed_ips
        .and_then(|ips| ips.into_iter().next())
        .map(|ip| ip.ip_address);
    let network_id = match wish.net_id {
        Some(id) => {
            let known = cx.siblings.networks(token, std::slice::from_ref(&id)).await;
            let known = known.map_err(|why| fault::from_peer(&why))?;
            let network = known.iter().find(|network| network.id == id);
            let network = network
                .ok_or_else(|| Fault::not_found(format!("Network {id} could not be found.")))?;
            super::server_references::check_network(cx, network)?;
            id
        }
        None => {
            let mut found =
                super::server_references::automatic(cx, token, &server.project_id).await?;
            let none = || Fault::bad_request("No network is available: name one by net_id.");
            found.pop().ok_or_else(none)?.network_id
        }
    };
    Ok(Nic {
        network_id,
        fixed_ip,
        ours: true,
        tag,
        ..Nic::default()
    })
}

endpoint! {
    /// Take an interface out.
    DetachInterface: DELETE "/v2.1/servers/{id}/os-interface/{port}" => 202,
    policy: Loaded<rules::DetachInterface>,
    path: InterfacePath,
    reply: Accepted,
    handler: detach_interface,
}

async fn detach_interface(cx: Cx, req: Req<DetachInterface>) -> Reply<DetachInterface> {
    let InterfacePath { id, port } = &req.path;
    let server = cx
        .allow(rules::DetachInterface, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let refused = |why| fault::refused(&server, "detach_interface", why);
    server
        .check_unlocked(cx.caller.is_admin())
        .map_err(refused)?;
    server.check_can(STATES).map_err(refused)?;
    if !server.nics.iter().any(|nic| nic.port_id == *port) {
        return Err(Fault::not_found(format!(
            "Port id {port} could not be found."
        )));
    }
    let mut tx = cx.write().await?;
    let begun = ops::interfaces::detach(&mut tx, asked(&cx), &server, port).await;
    begun.map_err(|why| fault::busy(&server, "detach_interface", why))?;
    tx.commit().await?;
    Ok(Accepted)
}
