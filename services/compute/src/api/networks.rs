//! `/os-networks` and `/os-tenant-networks`: handed on to the network service, in the old form.

use http::Method;
use nephos_api::{Fault, Json, Reply, Req, endpoint};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Cx, fault};
use crate::peers::encoded;
use crate::rules;

#[derive(Debug, Deserialize)]
pub(crate) struct NetworkPath {
    id: String,
}

/// What the old API showed of a network; all but id and label was nova-network's and is empty (networks.py `network_dict`).
const KEYS: &[&str] = &[
    "id",
    "cidr",
    "netmask",
    "gateway",
    "broadcast",
    "dns1",
    "dns2",
    "cidr_v6",
    "gateway_v6",
    "label",
    "netmask_v6",
];
/// And to admins.
const ADMIN_KEYS: &[&str] = &[
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
    "injected",
    "bridge",
    "vlan",
    "vpn_public_address",
    "vpn_public_port",
    "vpn_private_address",
    "dhcp_start",
    "project_id",
    "host",
    "bridge_interface",
    "multi_host",
    "priority",
    "rxtx_base",
    "mtu",
    "dhcp_server",
    "enable_dhcp",
    "share_address",
];

async fn ask(cx: &Cx, target: &str) -> Result<Value, Fault> {
    let token = cx.token().unwrap_or_default();
    let answer = cx
        .siblings
        .hand_on(token, "network", (Method::GET, target), None)
        .await;
    answer.map_err(|why| fault::handed_on(&why))
}

async fn all(cx: &Cx) -> Result<Vec<Value>, Fault> {
    let answer = ask(cx, "/v2.0/networks").await?;
    Ok(answer
        .get("networks")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default())
}

async fn one(cx: &Cx, id: &str) -> Result<Value, Fault> {
    let answer = ask(cx, &format!("/v2.0/networks/{}", encoded(id))).await;
    let answer = answer.map_err(|fault| match fault.status.as_u16() {
        404 => Fault::not_found("Network not found"),
        _other => fault,
    })?;
    Ok(answer.get("network").cloned().unwrap_or_default())
}

fn view(cx: &Cx, network: &Value) -> Value {
    let for_admins = if cx.caller.is_admin() {
        ADMIN_KEYS
    } else {
        &[]
    };
    let mut shown: Map<String, Value> = KEYS
        .iter()
        .chain(for_admins)
        .map(|key| ((*key).to_owned(), Value::Null))
        .collect();
    shown.insert("id".into(), network.get("id").cloned().unwrap_or_default());
    shown.insert(
        "label".into(),
        network.get("name").cloned().unwrap_or_default(),
    );
    Value::Object(shown)
}

fn brief(network: &Value) -> Value {
    json!({"id": network.get("id"), "cidr": "None", "label": network.get("name")})
}

endpoint! {
    /// List networks, as it was.
    ListNetworks: GET "/v2.1/os-networks" => 200,
    versions: 2.1..=2.35,
    policy: rules::ListNetworks,
    reply: Json<Value>,
    handler: list_networks,
}

async fn list_networks(cx: Cx, _req: Req<ListNetworks>) -> Reply<ListNetworks> {
    let shown: Vec<Value> = all(&cx)
        .await?
        .iter()
        .map(|network| view(&cx, network))
        .collect();
    Ok(Json(json!({ "networks": shown })))
}

endpoint! {
    /// Show a network, as it was.
    ShowNetwork: GET "/v2.1/os-networks/{id}" => 200,
    versions: 2.1..=2.35,
    policy: rules::ShowNetwork,
    path: NetworkPath,
    reply: Json<Value>,
    handler: show_network,
}

async fn show_network(cx: Cx, req: Req<ShowNetwork>) -> Reply<ShowNetwork> {
    let network = one(&cx, &req.path.id).await?;
    Ok(Json(json!({"network": view(&cx, &network)})))
}

endpoint! {
    /// List one's own networks, as it was.
    ListTenantNetworks: GET "/v2.1/os-tenant-networks" => 200,
    versions: 2.1..=2.35,
    policy: rules::ListTenantNetworks,
    reply: Json<Value>,
    handler: list_tenant_networks,
}

async fn list_tenant_networks(cx: Cx, _req: Req<ListTenantNetworks>) -> Reply<ListTenantNetworks> {
    let shown: Vec<Value> = all(&cx).await?.iter().map(brief).collect();
    Ok(Json(json!({ "networks": shown })))
}

endpoint! {
    /// Show one's own network, as it was.
    ShowTenantNetwork: GET "/v2.1/os-tenant-networks/{id}" => 200,
    versions: 2.1..=2.35,
    policy: rules::ShowTenantNetwork,
    path: NetworkPath,
    reply: Json<Value>,
    handler: show_tenant_network,
}

async fn show_tenant_network(cx: Cx, req: Req<ShowTenantNetwork>) -> Reply<ShowTenantNetwork> {
    let network = one(&cx, &req.path.id).await?;
    Ok(Json(json!({"network": brief(&network)})))
}
