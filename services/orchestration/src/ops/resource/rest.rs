//! Things of a sibling's collection: made by POST, changed by PUT, removed by DELETE.

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::{Did, Outcome, Seen, Why, Work, gone, inner};
use crate::model::kind::Rest;
use crate::model::property::Type;
use crate::peers::{Ask, encoded};

/// Properties that are no fields of the thing.
const NO_FIELDS: [&str; 9] = [
    "no_fixed_ips",
    "replacement_policy",
    "value_specs",
    "tags",
    "network",
    "external_gateway_info",
    "fixed_ips",
    "sub_ports",
    "description",
];

/// Makes the thing, unless a try that was cut off has made it.
pub(super) async fn ensure(work: &Work<'_>, rest: &Rest) -> Did {
    if let Some(id) = work.physical() {
        return finish(work, rest, id).await;
    }
    if !work.fresh
        && let Some(found) = marked(work, rest).await?
    {
        return Ok(noted(work, rest, found));
    }
    let mut body = fields(work, rest, None).await?;
    if let Some(parts) = work.prop("sub_ports") {
        let parts = super::trunk::subports(work, parts).await?;
        body.insert("sub_ports".to_owned(), Value::Array(parts));
    }
    let given = work
        .text("description")
        .filter(|_| !rest.updates)
        .map(str::to_owned);
    body.insert(
        mark_of(rest).to_owned(),
        json!(given.unwrap_or_else(|| work.mark())),
    );
    if rest.one != "floatingip" && rest.one != "security_group_rule" && !body.contains_key("name") {
        body.insert("name".to_owned(), json!(work.thing_name()));
    }
    let body = json!({ rest.one: body });
    crash_point!("rest.create");
    let made = work.ask(&Ask::post(rest.service, rest.path, &body)).await?;
    crash_point!("rest.created");
    Ok(noted(work, rest, inner(&made, rest.one)))
}

/// The field by which a thing is recognised whose id is not noted.
const fn mark_of(rest: &Rest) -> &'static str {
    if rest.by_name { "name" } else { "description" }
}

/// The thing is there; what is set afterwards comes in the next step, when its id is noted.
fn noted(work: &Work<'_>, rest: &Rest, thing: Value) -> Outcome {
    let id = thing
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let seen = Seen::thing(id, thing);
    let more = rest.by_name || work.prop("description").is_some() || work.prop("tags").is_some();
    if rest.updates && more {
        Outcome::Wait(seen, std::time::Duration::ZERO)
    } else {
        Outcome::Done(seen)
    }
}

/// What cannot be given with the making: tags, and the name or description whose place the mark had.
async fn finish(work: &Work<'_>, rest: &Rest, id: &str) -> Did {
    if rest.by_name {
        let body = json!({ rest.one: {"name": work.thing_name()} });
        let target = format!("{}/{id}", rest.path);
        work.ask(&Ask::put(rest.service, target, &body)).await?;
    }
    if let Some(description) = work.text("description").filter(|_| rest.updates) {
        let body = json!({ rest.one: {"description": description} });
        work.ask(&Ask::put(
            rest.service,
            format!("{}/{id}", rest.path),
            &body,
        ))
        .await?;
    }
    put_tags(work, rest, id).await?;
    look(work, rest).await
}

async fn put_tags(work: &Work<'_>, rest: &Rest, id: &str) -> Result<(), Why> {
    if let Some(tags) = work.prop("tags") {
        let body = json!({ "tags": tags });
        work.ask(&Ask::put(
            rest.service,
            format!("{}/{id}/tags", rest.path),
            &body,
        ))
        .await?;
    }
    Ok(())
}

/// The thing of a try that was cut off.
async fn marked(work: &Work<'_>, rest: &Rest) -> Result<Option<Value>, Why> {
    let mark = work
        .text("description")
        .filter(|_| !rest.updates)
        .map_or_else(|| work.mark(), str::to_owned);
    let mut query = format!("{}={}", mark_of(rest), encoded(&mark));
    if let Some(group) = work.text("security_group").filter(|_| !rest.updates) {
        let group = id_of(work, "security-groups", group).await?;
        query.push_str(&format!("&security_group_id={}", encoded(&group)));
    }
    let list = work
        .ask(&Ask::get(rest.service, format!("{}?{query}", rest.path)))
        .await?;
    Ok(list
        .get(rest.many)
        .and_then(Value::as_array)
        .and_then(|found| found.first())
        .cloned())
}

/// The fields of the body; with `only`, those of changed properties.
async fn fields(
    work: &Work<'_>,
    rest: &Rest,
    only: Option<&[String]>,
) -> Result<Map<String, Value>, Why> {
    let props = work
        .row
        .changing_to
        .as_ref()
        .unwrap_or(&work.row.properties);
    let mut body = Map::new();
    let counts = |name: &String| only.is_none_or(|only| only.contains(name));
    for (name, value) in props
        .iter()
        .filter(|(name, value)| counts(name) && !value.is_null())
    {
        let named = rest.names.iter().find(|(prop, ..)| prop == name);
        if let Some((_, field, collection)) = named {
            let found = match value {
                plain if collection.is_empty() => plain.clone(),
                Value::Array(items) => {
                    let mut ids = Vec::new();
                    for item in items.iter().filter_map(Value::as_str) {
                        ids.push(json!(id_of(work, collection, item).await?));
                    }
                    Value::Array(ids)
                }
                other => json!(id_of(work, collection, other.as_str().unwrap_or_default()).await?),
            };
            body.insert((*field).to_owned(), found);
        } else if !NO_FIELDS.contains(&name.as_str()) {
            body.insert(name.clone(), value.clone());
        }
    }
    if let Some(specs) = props
        .get("value_specs")
        .and_then(Value::as_object)
        .filter(|_| counts(&"value_specs".to_owned()))
    {
        body.extend(specs.clone());
    }
    if let Some(ips) = props
        .get("fixed_ips")
        .and_then(Value::as_array)
        .filter(|_| counts(&"fixed_ips".to_owned()))
    {
        body.insert("fixed_ips".to_owned(), fixed_ips(work, ips).await?);
    }
    let no_ips = props.get("no_fixed_ips") == Some(&json!(true));
    if no_ips && counts(&"no_fixed_ips".to_owned()) {
        if body.contains_key("fixed_ips") {
            let why =
                "Cannot define the following properties at the same time: fixed_ips, no_fixed_ips.";
            return Err(Why::Refused(why.to_owned()));
        }
        body.insert("fixed_ips".to_owned(), json!([]));
    }
    if let Some(info) = props
        .get("external_gateway_info")
        .filter(|info| info.is_object() && counts(&"external_gateway_info".to_owned()))
    {
        body.insert(
            "external_gateway_info".to_owned(),
            gateway_info(work, info).await?,
        );
    }
    tidy(rest, &mut body);
    for name in only.into_iter().flatten() {
        if props.get(name).is_none_or(Value::is_null)
            && let Some((field, value)) = taken_away(work, name).await?
        {
            let named = rest.names.iter().find(|(prop, ..)| *prop == field);
            let field = named.map_or(field, |(_, field, _)| (*field).to_owned());
            body.insert(field, value);
        }
    }
    Ok(body)
}

/// What a property is set to that a change takes away: what it would be if it had never been given.
async fn taken_away(work: &Work<'_>, name: &str) -> Result<Option<(String, Value)>, Why> {
    let shape = work
        .kind
        .and_then(|kind| kind.props.iter().find(|prop| prop.name == name));
    let value = match name {
        "name" => json!(work.thing_name()),
        "external_gateway_info" => json!({}),
        "shared" => json!(false),
        "security_groups" => json!([id_of(work, "security-groups", "default").await?]),
        name if NO_FIELDS.contains(&name) => return Ok(None),
        _list if shape.is_some_and(|prop| prop.kind == Type::List) => json!([]),
        // The service knows best what it is without being told.
        _flag if shape.is_some_and(|prop| prop.kind == Type::Boolean) => return Ok(None),
        _other => Value::Null,
    };
    Ok(Some((name.to_owned(), value)))
}

fn tidy(rest: &Rest, body: &mut Map<String, Value>) {
    if body.get("gateway_ip").and_then(Value::as_str) == Some("") {
        body.insert("gateway_ip".to_owned(), Value::Null);
    }
    if rest.one == "security_group_rule" {
        for port in ["port_range_min", "port_range_max"] {
            let number = body
                .get(port)
                .and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()));
            if let Some(number) = number {
                body.insert(port.to_owned(), json!(number));
            }
        }
        if body
            .get("protocol")
            .and_then(Value::as_str)
            .is_some_and(|protocol| protocol.is_empty() || protocol == "any")
        {
            body.remove("protocol");
        }
    }
}

async fn fixed_ips(work: &Work<'_>, ips: &[Value]) -> Result<Value, Why> {
    let mut out = Vec::new();
    for ip in ips {
        let mut entry = Map::new();
        let subnet = ip
            .get("subnet")
            .or_else(|| ip.get("subnet_id"))
            .and_then(Value::as_str);
        if let Some(subnet) = subnet {
            entry.insert(
                "subnet_id".to_owned(),
                json!(id_of(work, "subnets", subnet).await?),
            );
        }
        if let Some(address) = ip.get("ip_address").filter(|address| !address.is_null()) {
            entry.insert("ip_address".to_owned(), address.clone());
        }
        out.push(Value::Object(entry));
    }
    Ok(Value::Array(out))
}

async fn gateway_info(work: &Work<'_>, info: &Value) -> Result<Value, Why> {
    let network = info
        .get("network")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut out = json!({"network_id": id_of(work, "networks", network).await?});
    if let Some(map) = out.as_object_mut() {
        if let Some(snat) = info.get("enable_snat").filter(|snat| !snat.is_null()) {
            map.insert("enable_snat".to_owned(), snat.clone());
        }
        if let Some(ips) = info.get("external_fixed_ips").and_then(Value::as_array) {
            map.insert("external_fixed_ips".to_owned(), fixed_ips(work, ips).await?);
        }
    }
    Ok(out)
}

/// The id of a thing of the network service that is named by id or name.
pub(super) async fn id_of(work: &Work<'_>, collection: &str, given: &str) -> Result<String, Why> {
    id_in(work, ("network", "/v2.0", collection), given).await
}

/// The id of a thing that is named by id or name: of this service, below this path, in this collection.
pub(super) async fn id_in(
    work: &Work<'_>,
    (service, root, collection): (&'static str, &str, &str),
    given: &str,
) -> Result<String, Why> {
    if uuid::Uuid::try_parse(given).is_ok() {
        return Ok(given.to_owned());
    }
    let target = format!("{root}/{collection}?fields=id&name={}", encoded(given));
    let list = work.ask(&Ask::get(service, target)).await?;
    let many = collection.rsplit('/').next().unwrap_or(collection);
    let found: Vec<&str> = list
        .get(many.replace('-', "_"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| item.get("id")?.as_str())
        .collect();
    match found.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Why::Refused(format!(
            "Unable to find {} with name or id '{given}'",
            match many {
                "policies" => "QoS policy",
                "l7policies" => "L7 policy",
                many => many.trim_end_matches('s'),
            }
        ))),
        _several => Err(Why::Refused(format!(
            "Multiple {collection} are called '{given}'. Use an ID to be more specific."
        ))),
    }
}

/// Changes what differs.
pub(super) async fn change(work: &Work<'_>, rest: &Rest) -> Did {
    let Some(id) = work.physical() else {
        return ensure(work, rest).await;
    };
    let wanted = work.row.changing_to.clone().unwrap_or_default();
    let names = to_change(work);
    let mut body = fields(work, rest, Some(&names)).await?;
    if names.iter().any(|name| name == "description") {
        body.insert(
            "description".to_owned(),
            wanted
                .get("description")
                .cloned()
                .unwrap_or_else(|| json!("")),
        );
    }
    if !body.is_empty() {
        let target = format!("{}/{id}", rest.path);
        let body = json!({ rest.one: body });
        crash_point!("rest.change");
        work.ask(&Ask::put(rest.service, target, &body)).await?;
        crash_point!("rest.changed");
    }
    if names.iter().any(|name| name == "tags") {
        let tags = wanted.get("tags").cloned().unwrap_or_else(|| json!([]));
        let body = json!({ "tags": tags });
        work.ask(&Ask::put(
            rest.service,
            format!("{}/{id}/tags", rest.path),
            &body,
        ))
        .await?;
    }
    look(work, rest).await
}

/// The names of the properties that are to be changed in place.
pub(super) fn to_change(work: &Work<'_>) -> Vec<String> {
    let nothing = Map::new();
    let wanted = work.row.changing_to.as_ref().unwrap_or(&nothing);
    let mut names: Vec<String> = work
        .row
        .properties
        .keys()
        .chain(wanted.keys())
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    let same = |name: &String| {
        work.row.properties.get(name).unwrap_or(&Value::Null)
            == wanted.get(name).unwrap_or(&Value::Null)
    };
    // A change that failed before may have been made in part: then all of it is set again.
    let again = work.row.status == crate::model::stack::Status::Failed || !work.fresh;
    // What cannot be changed has just another name now.
    names.retain(|name| {
        updatable(work, name) && (!same(name) || (again && wanted.contains_key(name)))
    });
    names
}

fn updatable(work: &Work<'_>, name: &str) -> bool {
    work.kind.is_some_and(|kind| {
        kind.props
            .iter()
            .any(|prop| prop.name == name && prop.in_place)
    })
}

/// What the thing is like now.
pub(super) async fn look(work: &Work<'_>, rest: &Rest) -> Did {
    let Some(id) = work.physical() else {
        return Ok(Outcome::Failed(
            Seen::default(),
            "it was never made".to_owned(),
        ));
    };
    match work
        .ask(&Ask::get(rest.service, format!("{}/{id}", rest.path)))
        .await
    {
        Ok(body) => Ok(Outcome::Done(Seen::thing(id, inner(&body, rest.one)))),
        Err(why) if why.is_not_found() => Ok(Outcome::Failed(
            Seen::missing(),
            format!("{} {id} is not there any more: {}", rest.one, why.message),
        )),
        Err(why) => Err(why.into()),
    }
}

/// A thing that the stack only uses.
pub(super) async fn look_external(work: &Work<'_>) -> Did {
    let id = work
        .row
        .data
        .get("external_id")
        .and_then(Value::as_str)
        .or_else(|| work.physical())
        .unwrap_or_default()
        .to_owned();
    let target = match work.kind.map(|kind| kind.how) {
        Some(crate::model::kind::How::Rest(rest)) => Some((
            rest.service,
            format!("{}/{}", rest.path, encoded(&id)),
            rest.one,
        )),
        Some(crate::model::kind::How::Trunk) => {
            Some(("network", format!("/v2.0/trunks/{}", encoded(&id)), "trunk"))
        }
        Some(crate::model::kind::How::Balancing(kind)) => super::balancing::place(kind, &id),
        Some(crate::model::kind::How::SecurityGroup) => Some((
            "network",
            format!("/v2.0/security-groups/{}", encoded(&id)),
            "security_group",
        )),
        Some(crate::model::kind::How::Server) => Some((
            "compute",
            format!("/v2.1/servers/{}", encoded(&id)),
            "server",
        )),
        Some(crate::model::kind::How::Directory(collection)) => Some((
            "identity",
            format!("/v3/{}/{}", collection.many, encoded(&id)),
            collection.one,
        )),
        Some(crate::model::kind::How::Volume) => Some((
            "block",
            format!("/v3/{}/volumes/{}", work.stack.project_id, encoded(&id)),
            "volume",
        )),
        _other => None,
    };
    if matches!(
        work.kind.map(|kind| kind.how),
        Some(crate::model::kind::How::Container)
    ) {
        return super::container::look_external(work, &id).await;
    }
    let Some((service, target, one)) = target else {
        return Ok(Outcome::done(id));
    };
    let body = work.ask(&Ask::get(service, target)).await?;
    Ok(Outcome::Done(Seen::thing(id, inner(&body, one))))
}

/// Removes the thing, also one whose making was cut off.
pub(super) async fn remove(work: &Work<'_>, rest: &Rest) -> Did {
    let id = match work.physical() {
        Some(id) => id.to_owned(),
        None if !work.row.begun() => return Ok(Outcome::Done(Seen::default())),
        None => {
            let Some(found) = marked(work, rest).await? else {
                return Ok(Outcome::Done(Seen::default()));
            };
            found
                .get("id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        }
    };
    crash_point!("rest.remove");
    let sent = work
        .ask(&Ask::delete(rest.service, format!("{}/{id}", rest.path)))
        .await;
    crash_point!("rest.removed");
    gone(sent)
}
