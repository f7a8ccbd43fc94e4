//! `/os-floating-ips`, `/os-floating-ip-pools` and two actions: handed on to the network service, in the old form.

use http::Method;
use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, endpoint};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Cx, ServerPath, asked, fault, name_it, server};
use crate::model::server::{BoundAddress, Server};
use crate::peers::encoded;
use crate::{ops, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct FloatingPath {
    id: String,
}

async fn ask(cx: &Cx, method: Method, target: &str, body: Option<&Value>) -> Result<Value, Fault> {
    let token = cx.token().unwrap_or_default();
    let answer = cx
        .siblings
        .hand_on(token, "network", (method, target), body)
        .await;
    answer.map_err(|why| fault::handed_on(&why))
}

fn list(answer: &Value, key: &str) -> Vec<Value> {
    answer
        .get(key)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Networks that floating addresses come from.
async fn pools(cx: &Cx) -> Result<Vec<Value>, Fault> {
    Ok(list(
        &ask(cx, Method::GET, "/v2.0/networks?router:external=true", None).await?,
        "networks",
    ))
}

/// An address, with the server that it leads to.
async fn view(cx: &Cx, pools: &[Value], address: &Value) -> Result<Value, Fault> {
    let network = text(address, "floating_network_id");
    let pool = pools.iter().find(|pool| text(pool, "id") == network);
    let name = pool.map_or(network, |pool| {
        if text(pool, "name").is_empty() {
            network
        } else {
            text(pool, "name")
        }
    });
    let server = match text(address, "port_id") {
        "" => Value::Null,
        port => {
            let token = cx.token().unwrap_or_default();
            let found = cx.siblings.port_of_caller(token, port).await;
            found.map_or(Value::Null, |port| json!(port.device_id))
        }
    };
    Ok(json!({
        "id": text(address, "id"), "ip": text(address, "floating_ip_address"), "pool": name, "instance_id": server,
        "fixed_ip": address.get("fixed_ip_address").cloned().unwrap_or_default(),
    }))
}

endpoint! {
    /// List floating addresses, as it was.
    ListFloatingIps: GET "/v2.1/os-floating-ips" => 200,
    versions: 2.1..=2.35,
    policy: rules::ListFloatingIps,
    reply: Json<Value>,
    handler: list_floating_ips,
}

async fn list_floating_ips(cx: Cx, _req: Req<ListFloatingIps>) -> Reply<ListFloatingIps> {
    let project = cx
        .caller
        .project_id()
        .map(ToString::to_string)
        .unwrap_or_default();
    let pools = pools(&cx).await?;
    let answer = ask(
        &cx,
        Method::GET,
        &format!("/v2.0/floatingips?project_id={project}"),
        None,
    )
    .await?;
    let mut shown = Vec::new();
    for address in list(&answer, "floatingips") {
        shown.push(view(&cx, &pools, &address).await?);
    }
    Ok(Json(json!({ "floating_ips": shown })))
}

endpoint! {
    /// Show a floating address, as it was.
    ShowFloatingIp: GET "/v2.1/os-floating-ips/{id}" => 200,
    versions: 2.1..=2.35,
    policy: rules::ShowFloatingIp,
    path: FloatingPath,
    reply: Json<Value>,
    handler: show_floating_ip,
}

async fn show_floating_ip(cx: Cx, req: Req<ShowFloatingIp>) -> Reply<ShowFloatingIp> {
    let id = &req.path.id;
    let answer = ask(
        &cx,
        Method::GET,
        &format!("/v2.0/floatingips/{}", encoded(id)),
        None,
    )
    .await;
    let answer = answer.map_err(|fault| not_found(fault, id))?;
    let pools = pools(&cx).await?;
    let address = answer.get("floatingip").cloned().unwrap_or_default();
    Ok(Json(
        json!({"floating_ip": view(&cx, &pools, &address).await?}),
    ))
}

fn not_found(fault: Fault, id: &str) -> Fault {
    if fault.status.as_u16() == 404 {
        Fault::not_found(format!("Floating IP not found for ID {id}"))
    } else {
        fault
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFloatingIp {
    #[serde(default)]
    pool: Option<String>,
}

endpoint! {
    /// Take a floating address, as it was.
    CreateFloatingIp: POST "/v2.1/os-floating-ips" => 200,
    versions: 2.1..=2.35,
    policy: rules::CreateFloatingIp,
    body: Json<Option<NewFloatingIp>>,
    reply: Json<Value>,
    handler: create_floating_ip,
}

async fn create_floating_ip(cx: Cx, req: Req<CreateFloatingIp>) -> Reply<CreateFloatingIp> {
    let wanted = req.body.0.and_then(|new| new.pool);
    let pools = pools(&cx).await?;
    let pool = match &wanted {
        Some(name) => pools
            .iter()
            .find(|pool| text(pool, "name") == name || text(pool, "id") == name),
        None => pools.first(),
    };
    let pool = pool.ok_or_else(|| match &wanted {
        Some(name) => Fault::not_found(format!("Floating IP pool {name} not found.")),
        None => Fault::not_found("Floating IP pool not found."),
    })?;
    let body = json!({"floatingip": {"floating_network_id": text(pool, "id")}});
    let token = cx.token().unwrap_or_default();
    let made = cx
        .siblings
        .hand_on(
            token,
            "network",
            (Method::POST, "/v2.0/floatingips"),
            Some(&body),
        )
        .await;
    let made = made.map_err(|why| match why.status {
        // Nova answers 403 for a quota that is used up and 404 for a pool that is.
        Some(409) if why.kind == "OverQuota" => Fault::forbidden("IP allocation over quota."),
        Some(409) => Fault::not_found("No more floating IPs available."),
        _other => fault::handed_on(&why),
    })?;
    let address = made.get("floatingip").cloned().unwrap_or_default();
    Ok(Json(
        json!({"floating_ip": view(&cx, &pools, &address).await?}),
    ))
}

endpoint! {
    /// Give a floating address back, as it was.
    DeleteFloatingIp: DELETE "/v2.1/os-floating-ips/{id}" => 202,
    versions: 2.1..=2.35,
    policy: rules::DeleteFloatingIp,
    path: FloatingPath,
    reply: Accepted,
    handler: delete_floating_ip,
}

async fn delete_floating_ip(cx: Cx, req: Req<DeleteFloatingIp>) -> Reply<DeleteFloatingIp> {
    let id = &req.path.id;
    let gone = ask(
        &cx,
        Method::DELETE,
        &format!("/v2.0/floatingips/{}", encoded(id)),
        None,
    )
    .await;
    gone.map_err(|fault| not_found(fault, id))?;
    Ok(Accepted)
}

endpoint! {
    /// List where floating addresses come from, as it was.
    ListPools: GET "/v2.1/os-floating-ip-pools" => 200,
    versions: 2.1..=2.35,
    policy: rules::ListFloatingIpPools,
    reply: Json<Value>,
    handler: list_pools,
}

async fn list_pools(cx: Cx, _req: Req<ListPools>) -> Reply<ListPools> {
    let named = |pool: &Value| match text(pool, "name") {
        "" => json!({"name": text(pool, "id")}),
        name => json!({ "name": name }),
    };
    let shown: Vec<Value> = pools(&cx).await?.iter().map(named).collect();
    Ok(Json(json!({ "floating_ip_pools": shown })))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Address {
    address: String,
    #[serde(default)]
    fixed_address: Option<String>,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct AddBody {
    #[serde(rename = "addFloatingIp")]
    add: Address,
}

async fn by_address(cx: &Cx, address: &str) -> Result<Value, Fault> {
    if address.parse::<std::net::IpAddr>().is_err() {
        return Err(Fault::bad_request(format!(
            "Invalid input for field/attribute address. Value: {address}. It is no address."
        )));
    }
    let answer = ask(
        cx,
        Method::GET,
        &format!("/v2.0/floatingips?floating_ip_address={}", encoded(address)),
        None,
    )
    .await?;
    let found = list(&answer, "floatingips").into_iter().next();
    found.ok_or_else(|| Fault::not_found(format!("floating IP not found for address {address}")))
}

async fn lead(cx: &Cx, id: &str, to: &Value) -> Result<(), Fault> {
    ask(
        cx,
        Method::PUT,
        &format!("/v2.0/floatingips/{id}"),
        Some(&json!({ "floatingip": to })),
    )
    .await?;
    Ok(())
}

/// The server's own copy of its addresses is made anew.
async fn look_again(cx: &Cx, server: &Server) -> Result<Accepted, Fault> {
    let mut tx = cx.write().await?;
    let begun = ops::refresh::request(&mut tx, asked(cx), &server.id).await;
    begun.map_err(|why| fault::busy(server, "refresh addresses", why))?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Lead a floating address to a server, as it was.
    AddFloatingIp: POST "/v2.1/servers/{id}/action" ["addFloatingIp"] => 202,
    versions: 2.1..=2.43,
    policy: Loaded<rules::AddFloatingIp>,
    path: ServerPath,
    body: Json<AddBody>,
    reply: Accepted,
    handler: add_floating_ip,
}

async fn add_floating_ip(cx: Cx, req: Req<AddFloatingIp>) -> Reply<AddFloatingIp> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::AddFloatingIp, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let wish = &req.body.add;
    let floating = by_address(&cx, &wish.address).await?;
    let (port, address) = target(&server, wish.fixed_address.as_deref())?;
    lead(
        &cx,
        text(&floating, "id"),
        &json!({"port_id": port, "fixed_ip_address": address}),
    )
    .await?;
    look_again(&cx, &server).await
}

/// The port and the address that a floating one should lead to: the one asked for, else one that has none yet.
fn target(server: &Server, asked: Option<&str>) -> Result<(String, String), Fault> {
    let mut chosen: Option<(&str, &BoundAddress)> = None;
    for nic in &server.nics {
        for address in nic.bound.iter().flat_map(|bound| &bound.addresses) {
            let better = match (asked, chosen) {
                (Some(asked), _) => address.ip == asked,
                // Addresses of the sixth version have no floating ones.
                (None, _) if address.ip.contains(':') => false,
                (None, Some((_, before))) => {
                    !before.floating.is_empty() && address.floating.is_empty()
                }
                (None, None) => true,
            };
            if better {
                chosen = Some((&nic.port_id, address));
            }
        }
    }
    match (chosen, asked) {
        (Some((port, address)), _) => Ok((port.to_owned(), address.ip.clone())),
        (None, Some(_)) => Err(Fault::bad_request(
            "Specified fixed address not assigned to instance",
        )),
        (None, None) => Err(Fault::bad_request("No fixed IPs associated to instance")),
    }
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct RemoveBody {
    #[serde(rename = "removeFloatingIp")]
    remove: Address,
}

endpoint! {
    /// Lead a floating address nowhere, as it was.
    RemoveFloatingIp: POST "/v2.1/servers/{id}/action" ["removeFloatingIp"] => 202,
    versions: 2.1..=2.43,
    policy: Loaded<rules::RemoveFloatingIp>,
    path: ServerPath,
    body: Json<RemoveBody>,
    reply: Accepted,
    handler: remove_floating_ip,
}

async fn remove_floating_ip(cx: Cx, req: Req<RemoveFloatingIp>) -> Reply<RemoveFloatingIp> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::RemoveFloatingIp, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let address = &req.body.remove.address;
    let floating = by_address(&cx, address).await?;
    let port = text(&floating, "port_id");
    if port.is_empty() || !server.nics.iter().any(|nic| nic.port_id == port) {
        return Err(Fault::conflict(format!(
            "Floating IP {address} is not associated with instance {id}."
        )));
    }
    lead(&cx, text(&floating, "id"), &json!({"port_id": null})).await?;
    look_again(&cx, &server).await
}
