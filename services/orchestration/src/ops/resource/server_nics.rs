//! Nics of a server that are more than a network: ports that the stack makes in a subnet, and floating IPs.
//!
//! What is to be made is noted first, then made, then noted with its id, so that nothing of a try that was cut off is left.

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::rest::id_of;
use super::{Outcome, Seen, Why, Work, gone, inner};
use crate::peers::{Ask, encoded};

/// Where a server notes the ports that were made for it: `{"place", "mark", "id"}` each.
const PORTS: &str = "own_ports";
/// Where it notes the floating IPs that it has, or is to have: `{"ip", "port", "fixed"}` each.
const FLOATS: &str = "floats";

/// The ports that the stack has made for a server's nics, or what has to be done before they are there.
pub(super) enum Ready {
    /// One for each nic, in their order; nothing for a nic of another kind.
    Ports(Vec<Option<String>>),
    First(Outcome),
}

fn field<'a>(nic: &'a Value, name: &str) -> Option<&'a str> {
    nic.get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// The nics as they are to be.
fn wanted<'a>(work: &'a Work<'_>) -> impl Iterator<Item = &'a Value> {
    let nics = work.prop("networks").and_then(Value::as_array);
    nics.into_iter().flatten()
}

/// What a port is made for, if the nic is one that needs one.
fn place(nic: &Value) -> Option<Value> {
    let subnet = field(nic, "subnet").filter(|_| field(nic, "port").is_none())?;
    let network = field(nic, "network").or_else(|| field(nic, "uuid"));
    Some(json!({"network": network, "subnet": subnet, "fixed_ip": field(nic, "fixed_ip")}))
}

fn noted(work: &Work<'_>, name: &str) -> Vec<Value> {
    let list = work.row.data.get(name).and_then(Value::as_array);
    list.cloned().unwrap_or_default()
}

/// Goes on at once, with another note.
fn then(name: &str, list: Vec<Value>) -> Outcome {
    let seen = Seen::default().with(name, list);
    Outcome::Wait(seen, std::time::Duration::ZERO)
}

/// The ports of the nics that are wanted: what is missing is made first.
pub(super) async fn ready(work: &Work<'_>) -> Result<Ready, Why> {
    let mut list = noted(work, PORTS);
    let mut free: Vec<usize> = (0..list.len()).collect();
    let mut ports = Vec::new();
    for (number, nic) in wanted(work).enumerate() {
        let Some(place) = place(nic) else {
            ports.push(None);
            continue;
        };
        let is = |at: &usize| list.get(*at).and_then(|own| own.get("place")) == Some(&place);
        let Some(found) = free.iter().position(is) else {
            let mark = nephos_runtime::ids::hex();
            list.push(json!({"place": place, "mark": mark, "id": null}));
            return Ok(Ready::First(then(PORTS, list)));
        };
        let at = free.swap_remove(found);
        let Some(own) = list.get_mut(at) else {
            continue;
        };
        if let Some(id) = field(own, "id") {
            ports.push(Some(id.to_owned()));
            continue;
        }
        let id = make(work, own, number).await?;
        if let Some(map) = own.as_object_mut() {
            map.insert("id".to_owned(), json!(id));
        }
        return Ok(Ready::First(then(PORTS, list)));
    }
    Ok(Ready::Ports(ports))
}

/// By what a port is found whose id is not noted.
fn description(work: &Work<'_>, own: &Value) -> String {
    let mark = field(own, "mark").unwrap_or_default();
    format!("{} {mark}", work.mark())
}

async fn marked(work: &Work<'_>, own: &Value) -> Result<Option<String>, Why> {
    let description = encoded(&description(work, own));
    let target = format!("/v2.0/ports?fields=id&description={description}");
    let list = work.ask(&Ask::get("network", target)).await?;
    let id = list.pointer("/ports/0/id").and_then(Value::as_str);
    Ok(id.map(str::to_owned))
}

/// Makes a port, unless a try that was cut off has.
async fn make(work: &Work<'_>, own: &Value, number: usize) -> Result<String, Why> {
    if let Some(id) = marked(work, own).await? {
        return Ok(id);
    }
    let place = own.get("place").unwrap_or(&Value::Null);
    let given = field(place, "subnet").unwrap_or_default();
    let subnet = id_of(work, "subnets", given).await?;
    let shown = work
        .ask(&Ask::get("network", format!("/v2.0/subnets/{subnet}")))
        .await?;
    let network = shown.pointer("/subnet/network_id").and_then(Value::as_str);
    let network = network.unwrap_or_default();
    if let Some(named) = field(place, "network")
        && id_of(work, "networks", named).await? != network
    {
        return Err(Why::Refused(format!(
            "Specified subnet {given} does not belong to network {named}."
        )));
    }
    let mut ip = json!({ "subnet_id": subnet });
    if let (Some(map), Some(address)) = (ip.as_object_mut(), field(place, "fixed_ip")) {
        map.insert("ip_address".to_owned(), json!(address));
    }
    let mut port = json!({
        "network_id": network, "fixed_ips": [ip], "description": description(work, own),
        "name": format!("{}-port-{number}", work.row.name),
    });
    let mut groups = Vec::new();
    let given = work.prop("security_groups").and_then(Value::as_array);
    for name in given.into_iter().flatten().filter_map(Value::as_str) {
        groups.push(json!(id_of(work, "security-groups", name).await?));
    }
    if let Some(map) = port.as_object_mut().filter(|_| !groups.is_empty()) {
        map.insert("security_groups".to_owned(), json!(groups));
    }
    let body = json!({ "port": port });
    crash_point!("server.create_port");
    let made = work
        .ask(&Ask::post("network", "/v2.0/ports", &body))
        .await?;
    crash_point!("server.created_port");
    let port = inner(&made, "port");
    Ok(field(&port, "id").unwrap_or_default().to_owned())
}

/// Removes a port that was made and that no nic is for any more (none is, if `all` go); nothing when there is no such port.
pub(super) async fn clear(work: &Work<'_>, all: bool) -> Result<Option<Outcome>, Why> {
    let mut list = noted(work, PORTS);
    let Some(at) = unwanted(work, &list, all) else {
        return Ok(None);
    };
    let own = list.remove(at);
    let id = match field(&own, "id") {
        Some(id) => Some(id.to_owned()),
        None => marked(work, &own).await?,
    };
    if let Some(id) = id {
        crash_point!("server.remove_port");
        let target = format!("/v2.0/ports/{id}");
        let sent = work.ask(&Ask::delete("network", target)).await;
        crash_point!("server.removed_port");
        if let held @ Outcome::Wait(..) = gone(sent)? {
            return Ok(Some(held));
        }
    }
    Ok(Some(then(PORTS, list)))
}

fn unwanted(work: &Work<'_>, list: &[Value], all: bool) -> Option<usize> {
    let mut places: Vec<Value> = Vec::new();
    if !all {
        places.extend(wanted(work).filter_map(place));
    }
    for (at, own) in list.iter().enumerate() {
        let one = own.get("place").unwrap_or(&Value::Null);
        match places.iter().position(|place| place == one) {
            Some(found) => drop(places.swap_remove(found)),
            None => return Some(at),
        }
    }
    None
}

/// Whether what is noted is not what is wanted: an update before was not brought to its end.
pub(super) fn unsettled(work: &Work<'_>) -> bool {
    let list = noted(work, PORTS);
    let places = wanted(work).filter_map(place).count();
    let floating = wanted(work).filter(|nic| field(nic, "floating_ip").is_some());
    places != list.len()
        || unwanted(work, &list, false).is_some()
        || floating.count() != noted(work, FLOATS).len()
}

/// Has the floating IPs lead to the ports of their nics, and to none that they are not wanted at any more.
///
/// `ports` are those that were made. It is something to be done again and again: nothing when all is as wanted.
pub(super) async fn float(
    work: &Work<'_>,
    ports: &[Option<String>],
) -> Result<Option<Outcome>, Why> {
    let mut pairs = Vec::new();
    for (at, nic) in wanted(work).enumerate() {
        let Some(given) = field(nic, "floating_ip") else {
            continue;
        };
        let own = ports.get(at).and_then(Option::as_deref);
        let port = match (own, field(nic, "port")) {
            (Some(own), _) => own.to_owned(),
            (None, Some(port)) => id_of(work, "ports", port).await?,
            (None, None) => continue,
        };
        let ip = floating_id(work, given).await?;
        pairs.push(json!({"ip": ip, "port": port, "fixed": field(nic, "fixed_ip")}));
    }
    let before = noted(work, FLOATS);
    let news = pairs.iter().filter(|pair| !before.contains(pair));
    let all: Vec<Value> = before.iter().chain(news).cloned().collect();
    if all.len() > before.len() {
        return Ok(Some(then(FLOATS, all)));
    }
    for pair in before.iter().filter(|pair| !pairs.contains(pair)) {
        let again = pairs.iter().any(|other| other.get("ip") == pair.get("ip"));
        if !again && leads_to(work, pair).await? {
            lead(work, pair, json!({ "port_id": null })).await?;
        }
    }
    for pair in &pairs {
        if !leads_to(work, pair).await? {
            let mut fields = Map::new();
            fields.insert("port_id".to_owned(), json!(field(pair, "port")));
            if let Some(fixed) = field(pair, "fixed") {
                fields.insert("fixed_ip_address".to_owned(), json!(fixed));
            }
            lead(work, pair, Value::Object(fields)).await?;
        }
    }
    Ok((before != pairs).then(|| then(FLOATS, pairs)))
}

/// The id of a floating IP that is given by its id or its address.
async fn floating_id(work: &Work<'_>, given: &str) -> Result<String, Why> {
    if given.parse::<std::net::IpAddr>().is_err() {
        return Ok(given.to_owned());
    }
    let target = format!(
        "/v2.0/floatingips?fields=id&floating_ip_address={}",
        encoded(given)
    );
    let list = work.ask(&Ask::get("network", target)).await?;
    let id = list.pointer("/floatingips/0/id").and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| {
        Why::Refused(format!(
            "Unable to find floatingip with name or id '{given}'"
        ))
    })
}

fn target(pair: &Value) -> String {
    let ip = field(pair, "ip").unwrap_or_default();
    format!("/v2.0/floatingips/{}", encoded(ip))
}

/// Whether a floating IP leads to its port.
async fn leads_to(work: &Work<'_>, pair: &Value) -> Result<bool, Why> {
    match work.ask(&Ask::get("network", target(pair))).await {
        Ok(shown) => {
            let shown = inner(&shown, "floatingip");
            let fixed = field(pair, "fixed");
            let same = fixed.is_none_or(|fixed| field(&shown, "fixed_ip_address") == Some(fixed));
            Ok(same && field(&shown, "port_id") == field(pair, "port"))
        }
        // Whoever wants it to lead somewhere is told by the service that it is not there.
        Err(why) if why.is_not_found() => Ok(false),
        Err(why) => Err(why.into()),
    }
}

async fn lead(work: &Work<'_>, pair: &Value, fields: Value) -> Result<(), Why> {
    let body = json!({ "floatingip": fields });
    crash_point!("server.float");
    work.ask(&Ask::put("network", target(pair), &body)).await?;
    crash_point!("server.floated");
    Ok(())
}
