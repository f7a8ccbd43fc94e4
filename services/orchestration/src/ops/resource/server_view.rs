//! What is seen of a server: its addresses with the ports, networks and subnets that they are of.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::server::TAG;
use super::{Why, Work};
use crate::peers::{Ask, encoded};

/// The server with what its ports say of its addresses, and what they are in.
pub(super) async fn with_ports(work: &Work<'_>, id: &str, mut server: Value) -> Result<Value, Why> {
    let target = format!(
        "/v2.0/ports?device_id={id}&fields=id&fields=network_id&fields=fixed_ips&fields=mac_address"
    );
    let list = work.ask(&Ask::get("network", target)).await?;
    let ports = list.get("ports").cloned().unwrap_or_default();
    let networks: BTreeSet<&str> = ports
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|port| port.get("network_id")?.as_str())
        .collect();
    let query = |key: &str| {
        let pairs = networks.iter().map(|id| format!("{key}={}", encoded(id)));
        pairs.collect::<Vec<_>>().join("&")
    };
    for (name, target) in [
        ("networks", format!("/v2.0/networks?{}", query("id"))),
        ("subnets", format!("/v2.0/subnets?{}", query("network_id"))),
    ] {
        if networks.is_empty() {
            break;
        }
        let list = work.ask(&Ask::get("network", target)).await?;
        if let Some(map) = server.as_object_mut() {
            let found = list.get(name).cloned().unwrap_or_default();
            map.insert(format!("nephos:{name}"), found);
        }
    }
    if let Some(map) = server.as_object_mut() {
        map.insert("nephos:ports".to_owned(), ports);
    }
    Ok(server)
}

/// The network and the subnets that a port's address is in.
fn place(
    entry: &mut Map<String, Value>,
    port: &Value,
    (networks, subnets): &(Vec<Value>, Vec<Value>),
) {
    let id = |thing: &Value| thing.get("id").cloned().unwrap_or_default();
    let network = port.get("network_id").cloned().unwrap_or_default();
    let network = networks.iter().find(|known| id(known) == network);
    entry.insert("network".to_owned(), network.cloned().unwrap_or_default());
    let ips = port.get("fixed_ips").and_then(Value::as_array);
    let of_port = |subnet: &&Value| {
        let mut ips = ips.into_iter().flatten();
        ips.any(|ip| ip.get("subnet_id") == Some(&id(subnet)))
    };
    let own: Value = subnets.iter().filter(of_port).cloned().collect();
    entry.insert("subnets".to_owned(), own);
}

/// The attributes that a server of this view shows.
pub(crate) fn attributes(server: &Value) -> Map<String, Value> {
    let mut out = Map::new();
    let Some(view) = server.as_object().map(without_tag) else {
        return out;
    };
    let list = |name: &str| {
        let list = view.get(name).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let ports = list("nephos:ports");
    let around = (list("nephos:networks"), list("nephos:subnets"));
    let mut addresses = Map::new();
    let mut networks = Map::new();
    let mut first = String::new();
    for (name, entries) in view
        .get("addresses")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let mut entries = entries.as_array().cloned().unwrap_or_default();
        let mut network = None;
        for entry in &mut entries {
            let address = entry
                .get("addr")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            let has = |port: &&Value| {
                port.get("fixed_ips")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .any(|ip| ip.get("ip_address").and_then(Value::as_str) == Some(&address))
            };
            if let Some(port) = ports.iter().find(has) {
                network = port
                    .get("network_id")
                    .and_then(Value::as_str)
                    .map(str::to_owned)
                    .or(network);
                if let Some(map) = entry.as_object_mut() {
                    map.insert(
                        "port".to_owned(),
                        port.get("id").cloned().unwrap_or_default(),
                    );
                    place(map, port, &around);
                }
            }
            if first.is_empty() {
                first = address;
            }
        }
        let plain: Value = entries
            .iter()
            .map(|entry| entry.get("addr").cloned().unwrap_or_default())
            .collect();
        for key in [Some(name.clone()), network].into_iter().flatten() {
            addresses.insert(key.clone(), Value::Array(entries.clone()));
            networks.insert(key, plain.clone());
        }
    }
    for (name, field) in [
        ("name", "name"),
        ("accessIPv4", "accessIPv4"),
        ("accessIPv6", "accessIPv6"),
        ("tags", "tags"),
        ("instance_name", "OS-EXT-SRV-ATTR:instance_name"),
        ("host", "OS-EXT-SRV-ATTR:host"),
    ] {
        out.insert(
            name.to_owned(),
            view.get(field).cloned().unwrap_or_default(),
        );
    }
    out.insert("addresses".to_owned(), Value::Object(addresses));
    out.insert("networks".to_owned(), Value::Object(networks));
    out.insert("first_address".to_owned(), json!(first));
    let mut show = view.clone();
    show.retain(|name, _| !name.starts_with("nephos:"));
    out.insert("show".to_owned(), Value::Object(show));
    out
}

/// The view without the tag by which a server is found.
fn without_tag(view: &Map<String, Value>) -> Map<String, Value> {
    let mut view = view.clone();
    if let Some(tags) = view.get_mut("tags").and_then(Value::as_array_mut) {
        tags.retain(|tag| !tag.as_str().is_some_and(|tag| tag.starts_with(TAG)));
    }
    view
}
