//! `/servers/{id}/ips`.

use nephos_api::{Fault, Json, Loaded, Reply, Req, endpoint};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Cx, ServerPath, name_it, server};
use crate::model::server::Server;
use crate::model::spec::ServerId;
use crate::rules;

/// `/servers/{id}/ips/{network}`
#[derive(Debug, Deserialize)]
pub(crate) struct NetworkPath {
    id: ServerId,
    network: String,
}

endpoint! {
    /// List a server's addresses by network.
    ListAddresses: GET "/v2.1/servers/{id}/ips" => 200,
    policy: Loaded<rules::ShowAddresses>,
    path: ServerPath,
    reply: Json<Value>,
    handler: list_addresses,
}

async fn list_addresses(cx: Cx, req: Req<ListAddresses>) -> Reply<ListAddresses> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::ShowAddresses, server(&cx, id).await?)
        .map_err(name_it(id))?;
    Ok(Json(json!({ "addresses": brief(&server) })))
}

endpoint! {
    /// List a server's addresses in one network.
    ShowNetworkAddresses: GET "/v2.1/servers/{id}/ips/{network}" => 200,
    policy: Loaded<rules::ShowNetworkAddresses>,
    path: NetworkPath,
    reply: Json<Value>,
    handler: show_network_addresses,
}

async fn show_network_addresses(
    cx: Cx,
    req: Req<ShowNetworkAddresses>,
) -> Reply<ShowNetworkAddresses> {
    let NetworkPath { id, network } = &req.path;
    let server = cx
        .allow(rules::ShowNetworkAddresses, server(&cx, id).await?)
        .map_err(name_it(id))?;
    match brief(&server).remove(network) {
        Some(list) => Ok(Json(json!({ (network.as_str()): list }))),
        None => Err(Fault::not_found(
            "Instance is not a member of specified network",
        )),
    }
}

/// Address and version only: kind and MAC are in the server's own view.
fn brief(server: &Server) -> Map<String, Value> {
    let Value::Object(mut networks) = server.addresses() else {
        return Map::new();
    };
    for entry in networks
        .values_mut()
        .filter_map(Value::as_array_mut)
        .flatten()
    {
        super::server_view::without_kind(entry);
    }
    networks
}
