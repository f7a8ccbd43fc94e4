//! Nics of a server that are more than a network: ports that the stack makes, in a subnet or with properties of their
//! own, and floating IPs.
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

/// What a port is made for, if the nic is one that needs one: where it is, and what else is said of it (`extra`).
fn place(nic: &Value) -> Option<Value> {
    if field(nic, "port").is_some() {
        return None;
    }
    let (subnet, extra) = (field(nic, "subnet"), extra_of(nic, EXTRA));
    if subnet.is_none() && extra.is_none() {
        return None;
    }
    let network = field(nic, "network").or_else(|| field(nic, "uuid"));
    let mut place =
        json!({"network": network, "subnet": subnet, "fixed_ip": field(nic, "fixed_ip")});
    if let (Some(map), Some(extra)) = (place.as_object_mut(), extra) {
        map.insert("extra".to_owned(), json!(extra));
    }
    Some(place)
}

/// Where a nic says what else its port is to be.
const EXTRA: &str = "port_extra_properties";

/// How fast the packets of a port may pass, in templates and in bodies.
const QOS: &str = "qos_policy";
const QOS_FIELD: &str = "qos_policy_id";

fn extra_of<'a>(thing: &'a Value, name: &str) -> Option<&'a Map<String, Value>> {
    thing.get(name).and_then(Value::as_object)
}

/// Whether a port that was made for one place can become one for the other as it is: only what is said of it differs,
/// and none of what it has from the beginning.
fn can_become(own: &Value, place: &Value) -> bool {
    let same = |name: &str| own.get(name) == place.get(name);
    let before = extra_of(own, "extra");
    let Some(after) = extra_of(place, "extra") else {
        return false;
    };
    let kept = |name: &str| before.and_then(|before| before.get(name)) == after.get(name);
    let ips = |extra: Option<&Map<String, Value>>| {
        extra.and_then(|extra| extra.get("no_fixed_ips")?.as_bool()) == Some(true)
    };
    ["network", "subnet", "fixed_ip"].into_iter().all(same)
        && kept("mac_address")
        && ips(before) == ips(Some(after))
}

/// The fields of a port for which this is said; what was said before and is not any more is as if it never had been.
async fn extra_fields(
    work: &Work<'_>,
    after: &Map<String, Value>,
    before: Option<&Map<String, Value>>,
) -> Result<Map<String, Value>, Why> {
    let mut fields = Map::new();
    for (name, value) in after.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "value_specs" => fields.extend(value.as_object().cloned().unwrap_or_default()),
            "no_fixed_ips" if value == &json!(true) => {
                fields.insert("fixed_ips".to_owned(), json!([]));
            }
            "no_fixed_ips" => {}
            QOS => {
                let id = id_of(work, "qos/policies", value.as_str().unwrap_or_default()).await?;
                fields.insert(QOS_FIELD.to_owned(), json!(id));
            }
            _field => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    let had = |name: &str| before.is_some_and(|before| before.contains_key(name));
    let pairs = "allowed_address_pairs";
    if had(pairs) {
        fields.entry(pairs).or_insert_with(|| json!([]));
    }
    if had(QOS) {
        fields.entry(QOS_FIELD).or_insert(Value::Null);
    }
    Ok(fields)
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

/// For each nic the port that was made for it: of those that were made for just that place each has one, then those have
/// one that it can be made of. The other value says whether it has still to become that.
fn assigned(list: &[Value], places: &[Option<Value>]) -> Vec<Option<(usize, bool)>> {
    let mut free: Vec<usize> = (0..list.len()).collect();
    let mut found = vec![None; places.len()];
    for exact in [true, false] {
        for (slot, place) in found.iter_mut().zip(places) {
            let Some(place) = place.as_ref().filter(|_| slot.is_none()) else {
                continue;
            };
            let fits = |at: &usize| {
                let own = list.get(*at).and_then(|own| own.get("place"));
                own.is_some_and(|own| {
                    if exact {
                        own == place
                    } else {
                        can_become(own, place)
                    }
                })
            };
            if let Some(at) = free.iter().position(fits) {
                *slot = Some((free.swap_remove(at), !exact));
            }
        }
    }
    found
}

/// The ports of the nics that are wanted: what is missing is made first, and what is to be otherwise is changed.
pub(super) async fn ready(work: &Work<'_>) -> Result<Ready, Why> {
    let mut list = noted(work, PORTS);
    let places: Vec<Option<Value>> = wanted(work).map(place).collect();
    let mut ports = Vec::new();
    let assigned = assigned(&list, &places);
    for (number, (place, found)) in places.into_iter().zip(assigned).enumerate() {
        let Some(place) = place else {
            ports.push(None);
            continue;
        };
        let own = found.and_then(|(at, other)| Some((list.get_mut(at)?, other)));
        let Some((own, other)) = own else {
            let mark = nephos_runtime::ids::hex();
            list.push(json!({"place": place, "mark": mark, "id": null}));
            return Ok(Ready::First(then(PORTS, list)));
        };
        let id = field(own, "id").map(str::to_owned);
        let news = match id {
            Some(id) if !other => {
                ports.push(Some(id));
                continue;
            }
            Some(id) => {
                become_other(work, own, &id, &place).await?;
                ("place", place)
            }
            None => ("id", json!(make(work, own, number).await?)),
        };
        if let Some(map) = own.as_object_mut() {
            map.insert(news.0.to_owned(), news.1);
        }
        return Ok(Ready::First(then(PORTS, list)));
    }
    Ok(Ready::Ports(ports))
}

/// Makes of a port what is said of it now.
async fn become_other(work: &Work<'_>, own: &Value, id: &str, place: &Value) -> Result<(), Why> {
    let before = own.get("place").and_then(|own| extra_of(own, "extra"));
    let Some(after) = extra_of(place, "extra") else {
        return Ok(());
    };
    let body = json!({"port": extra_fields(work, after, before).await?});
    crash_point!("server.change_port");
    let target = format!("/v2.0/ports/{}", encoded(id));
    work.ask(&Ask::put("network", target, &body)).await?;
    crash_point!("server.changed_port");
    Ok(())
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
    let (network, ip) = whereabouts(work, place).await?;
    let mut port =
        json!({"network_id": network, "name": format!("{}-port-{number}", work.row.name)});
    let mut groups = Vec::new();
    let given = work.prop("security_groups").and_then(Value::as_array);
    for name in given.into_iter().flatten().filter_map(Value::as_str) {
        groups.push(json!(id_of(work, "security-groups", name).await?));
    }
    if let Some(map) = port.as_object_mut() {
        if !ip.is_empty() {
            map.insert("fixed_ips".to_owned(), json!([ip]));
        }
        if !groups.is_empty() {
            map.insert("security_groups".to_owned(), json!(groups));
        }
        if let Some(extra) = extra_of(place, "extra") {
            map.extend(extra_fields(work, extra, None).await?);
        }
        // Whatever else it is said to be, by this it is found.
        map.insert("description".to_owned(), json!(description(work, own)));
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

/// The id of the network that a port is to be in, and what is said of its address.
async fn whereabouts(work: &Work<'_>, place: &Value) -> Result<(String, Map<String, Value>), Why> {
    let mut ip = Map::new();
    if let Some(address) = field(place, "fixed_ip") {
        ip.insert("ip_address".to_owned(), json!(address));
    }
    let named = match field(place, "network") {
        Some(named) => Some(id_of(work, "networks", named).await?),
        None => None,
    };
    let Some(given) = field(place, "subnet") else {
        return Ok((named.unwrap_or_default(), ip));
    };
    let subnet = id_of(work, "subnets", given).await?;
    let shown = work
        .ask(&Ask::get("network", format!("/v2.0/subnets/{subnet}")))
        .await?;
    let network = shown.pointer("/subnet/network_id").and_then(Value::as_str);
    let network = network.unwrap_or_default().to_owned();
    if named.is_some_and(|named| named != network) {
        let named = field(place, "network").unwrap_or_default();
        return Err(Why::Refused(format!(
            "Specified subnet {given} does not belong to network {named}."
        )));
    }
    ip.insert("subnet_id".to_owned(), json!(subnet));
    Ok((network, ip))
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
