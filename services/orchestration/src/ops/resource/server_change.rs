//! Servers that are changed as they are: one thing at a time, until all is as wanted.

use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::rest::id_of;
use super::server::{ensure, flavor, image, noted, own_tags, shown_server, user_data, wait};
use super::server_nics::{self, Ready};
use super::{Did, Outcome, Seen, Why, Work, gone};
use crate::model::earlier::{RELEASED, has_let_go};
use crate::model::function::shown;
use crate::ops::LOOK_AGAIN;
use crate::peers::{Ask, encoded};

/// States in which a server rests.
const RESTS: [&str; 4] = ["ACTIVE", "SHUTOFF", "SUSPENDED", "PAUSED"];

fn text<'a>(thing: &'a Value, key: &str) -> &'a str {
    thing.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the template says something else of this property than it did.
fn differs(work: &Work<'_>, name: &str) -> bool {
    let given = |value: Option<&Value>| value.filter(|value| !value.is_null()).cloned();
    let before = given(work.row.properties.get(name));
    work.row.changing_to.is_some() && before != given(work.prop(name))
}

/// Makes of the server what is wanted now.
pub(super) async fn change(work: &Work<'_>) -> Did {
    let Some(id) = work.physical() else {
        return ensure(work).await;
    };
    let Some(server) = shown_server(work, id).await? else {
        return wait(work, &RESTS).await;
    };
    let idle = server
        .get("OS-EXT-STS:task_state")
        .is_none_or(Value::is_null);
    match text(&server, "status") {
        "VERIFY_RESIZE" if idle => return confirm(work, id).await,
        "ERROR" => return wait(work, &RESTS).await,
        status if !idle || !RESTS.contains(&status) => {
            return Ok(Outcome::Wait(Seen::id(id), LOOK_AGAIN / 2));
        }
        _rests => {}
    }
    describe(work, id).await?;
    if let Some(under_way) = rebuild(work, (id, &server)).await? {
        return Ok(under_way);
    }
    if let Some(under_way) = resize(work, (id, &server)).await? {
        return Ok(under_way);
    }
    if let Some(under_way) = plug(work, id).await? {
        return Ok(under_way);
    }
    if let Some(under_way) = password(work, id).await? {
        return Ok(under_way);
    }
    let did = wait(work, &RESTS).await?;
    Ok(match did {
        // All ports are in it again that another server was to have.
        Outcome::Done(seen) if has_let_go(work.row) => {
            Outcome::Done(seen.with(RELEASED, Value::Null))
        }
        other => other,
    })
}

/// The name, the metadata and the tags.
async fn describe(work: &Work<'_>, id: &str) -> Result<(), Why> {
    let body = json!({"server": {"name": work.thing_name()}});
    let target = format!("/v2.1/servers/{id}");
    crash_point!("server.change");
    work.ask(&Ask::put("compute", target.as_str(), &body))
        .await?;
    let metadata = work.prop("metadata").and_then(Value::as_object);
    let metadata: Map<String, Value> = metadata
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), json!(noted(value))))
        .collect();
    let body = json!({ "metadata": metadata });
    work.ask(&Ask::put("compute", format!("{target}/metadata"), &body))
        .await?;
    if differs(work, "tags") {
        let body = json!({ "tags": own_tags(work) });
        work.ask(&Ask::put("compute", format!("{target}/tags"), &body))
            .await?;
    }
    crash_point!("server.changed");
    Ok(())
}

async fn act(work: &Work<'_>, id: &str, body: &Value) -> Did {
    let target = format!("/v2.1/servers/{id}/action");
    crash_point!("server.act");
    let sent = work.ask(&Ask::post("compute", target, body)).await;
    crash_point!("server.acted");
    match sent {
        // A try that was cut off has asked for it, or the server is at something else.
        Err(why) if !why.is_conflict() => Err(why.into()),
        _sent_or_under_way => Ok(Outcome::Wait(Seen::id(id), LOOK_AGAIN / 4)),
    }
}

/// Another image, or other user data where that is to be so: the server's disk is made anew.
async fn rebuild(work: &Work<'_>, (id, server): (&str, &Value)) -> Result<Option<Outcome>, Why> {
    let policy = work.text("user_data_update_policy");
    let other_data = policy == Some("REBUILD") && differs(work, "user_data");
    // Nobody but an administrator sees what user data a server has: what was asked for is noted.
    let asked = json!(work.stack.generation);
    let other_data = other_data && work.row.data.get("rebuilt_for") != Some(&asked);
    let now = server.pointer("/image/id").and_then(Value::as_str);
    let image = match work.text("image").filter(|_| differs(work, "image")) {
        Some(wanted) => image(work, wanted).await?,
        None => now.unwrap_or_default().to_owned(),
    };
    if now == Some(&image) && !other_data {
        return Ok(None);
    }
    let mut body = json!({"rebuild": {"imageRef": image}});
    if let Some(map) = body.pointer_mut("/rebuild").and_then(Value::as_object_mut) {
        if let Some(password) = work.prop("admin_pass") {
            map.insert("adminPass".to_owned(), password.clone());
        }
        if work.text("image_update_policy") == Some("REBUILD_PRESERVE_EPHEMERAL") {
            map.insert("preserve_ephemeral".to_owned(), json!(true));
        }
        if other_data {
            map.insert("user_data".to_owned(), user_data(work).await?);
        }
    }
    Ok(Some(match act(work, id, &body).await? {
        Outcome::Wait(seen, pause) => Outcome::Wait(seen.with("rebuilt_for", asked), pause),
        other => other,
    }))
}

/// The name of the flavor that is wanted; servers show theirs by name.
async fn flavor_name(work: &Work<'_>, id: &str) -> Result<String, Why> {
    let target = format!("/v2.1/flavors/{}", encoded(id));
    let found = work.ask(&Ask::get("compute", target)).await?;
    let name = found.pointer("/flavor/name").map(shown);
    Ok(name.unwrap_or_default())
}

/// Another flavor: the server is made larger or smaller, and keeps what it has.
async fn resize(work: &Work<'_>, (id, server): (&str, &Value)) -> Result<Option<Outcome>, Why> {
    let Some(wanted) = work.text("flavor").filter(|_| differs(work, "flavor")) else {
        return Ok(None);
    };
    let wanted = flavor(work, wanted).await?;
    let name = flavor_name(work, &wanted).await?;
    if server
        .pointer("/flavor/original_name")
        .and_then(Value::as_str)
        == Some(&name)
    {
        return Ok(None);
    }
    if work.row.data.get("resizing").and_then(Value::as_str) == Some(&wanted) {
        let why = format!(
            "Resizing to '{name}' failed, status '{}'",
            text(server, "status")
        );
        let seen = Seen::id(id).with("resizing", Value::Null);
        return Ok(Some(Outcome::Failed(seen, why)));
    }
    let body = json!({"resize": {"flavorRef": wanted}});
    Ok(Some(match act(work, id, &body).await? {
        Outcome::Wait(seen, pause) => Outcome::Wait(seen.with("resizing", wanted), pause),
        other => other,
    }))
}

/// Another password, once. A rebuild brings it along.
async fn password(work: &Work<'_>, id: &str) -> Result<Option<Outcome>, Why> {
    let wanted = work.prop("admin_pass").filter(|wanted| !wanted.is_null());
    let Some(wanted) = wanted.filter(|_| differs(work, "admin_pass")) else {
        return Ok(None);
    };
    let asked = json!(work.stack.generation);
    let done = |key: &str| work.row.data.get(key) == Some(&asked);
    if done("password_for") || done("rebuilt_for") {
        return Ok(None);
    }
    let target = format!("/v2.1/servers/{id}/action");
    let body = json!({"changePassword": {"adminPass": wanted}});
    crash_point!("server.password");
    work.ask(&Ask::post("compute", target, &body)).await?;
    crash_point!("server.password_set");
    let seen = Seen::id(id).with("password_for", asked);
    Ok(Some(Outcome::Wait(seen, LOOK_AGAIN / 4)))
}

/// It runs as it is wanted: the way back is not kept.
async fn confirm(work: &Work<'_>, id: &str) -> Did {
    let body = json!({"confirmResize": null});
    match act(work, id, &body).await? {
        Outcome::Wait(seen, pause) => Ok(Outcome::Wait(seen.with("resizing", Value::Null), pause)),
        other => Ok(other),
    }
}

/// One interface that is wanted: a port, or one of a network, perhaps with an address.
#[derive(Clone, Debug, PartialEq)]
enum Nic {
    Port(String),
    Network(String, Option<String>),
}

impl Nic {
    fn is(&self, plugged: &Value) -> bool {
        let has = |ip: &String| {
            let ips = plugged.get("fixed_ips").and_then(Value::as_array);
            let mut ips = ips.into_iter().flatten();
            ips.any(|one| text(one, "ip_address") == ip)
        };
        match self {
            Self::Port(id) => text(plugged, "port_id") == id,
            Self::Network(id, ip) => text(plugged, "net_id") == id && ip.as_ref().is_none_or(has),
        }
    }

    fn asked(&self) -> Value {
        match self {
            Self::Port(id) => json!({"port_id": id}),
            Self::Network(id, None) => json!({"net_id": id}),
            Self::Network(id, Some(ip)) => {
                json!({"net_id": id, "fixed_ips": [{"ip_address": ip}]})
            }
        }
    }
}

/// The nics that are wanted, the most exact first; `ports` are those that the stack has made for them.
async fn nics(work: &Work<'_>, ports: &[Option<String>]) -> Result<Vec<Nic>, Why> {
    let given = work.prop("networks").and_then(Value::as_array);
    let mut nics = Vec::new();
    for (at, nic) in given.into_iter().flatten().enumerate() {
        let field = |name: &str| nic.get(name).and_then(Value::as_str);
        let own = ports.get(at).and_then(Option::as_deref);
        nics.push(match own.or_else(|| field("port")) {
            Some(port) => Nic::Port(id_of(work, "ports", port).await?),
            None => {
                let network = field("network").or_else(|| field("uuid"));
                let network = id_of(work, "networks", network.unwrap_or_default()).await?;
                Nic::Network(network, field("fixed_ip").map(str::to_owned))
            }
        });
    }
    nics.sort_by_key(|nic| match nic {
        Nic::Port(_) => 0,
        Nic::Network(_, Some(_)) => 1,
        Nic::Network(_, None) => 2,
    });
    Ok(nics)
}

/// Other interfaces: those that are not wanted any more go first, then the new ones come.
async fn plug(work: &Work<'_>, id: &str) -> Result<Option<Outcome>, Why> {
    if !differs(work, "networks") && !has_let_go(work.row) && !server_nics::unsettled(work) {
        return Ok(None);
    }
    let ports = match server_nics::ready(work).await? {
        Ready::Ports(ports) => ports,
        Ready::First(outcome) => return Ok(Some(outcome)),
    };
    let target = format!("/v2.1/servers/{id}/os-interface");
    let list = work.ask(&Ask::get("compute", target.as_str())).await?;
    let list = list.get("interfaceAttachments").and_then(Value::as_array);
    let mut plugged = list.cloned().unwrap_or_default();
    let mut missing = Vec::new();
    for nic in nics(work, &ports).await? {
        match plugged.iter().position(|one| nic.is(one)) {
            Some(at) => drop(plugged.swap_remove(at)),
            None => missing.push(nic),
        }
    }
    if let Some(strange) = plugged.first() {
        let target = format!("{target}/{}", text(strange, "port_id"));
        crash_point!("server.unplug");
        let sent = work.ask(&Ask::delete("compute", target)).await;
        crash_point!("server.unplugged");
        gone(sent)?;
        return Ok(Some(Outcome::Wait(Seen::id(id), LOOK_AGAIN / 4)));
    }
    let Some(nic) = missing.first() else {
        let cleared = server_nics::clear(work, false).await?;
        return match cleared {
            Some(under_way) => Ok(Some(under_way)),
            None => server_nics::float(work, &ports).await,
        };
    };
    let body = json!({"interfaceAttachment": nic.asked()});
    crash_point!("server.plug");
    let sent = work.ask(&Ask::post("compute", target, &body)).await;
    crash_point!("server.plugged");
    match sent {
        Err(why) if !why.is_conflict() => Err(why.into()),
        Err(_at_something_else) => Ok(Some(Outcome::Wait(Seen::id(id), LOOK_AGAIN / 4))),
        Ok(_) => Ok(Some(Outcome::Wait(Seen::id(id), Duration::ZERO))),
    }
}
