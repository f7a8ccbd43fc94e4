//! Servers.

use base64::Engine as _;
use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::rest::id_of;
use super::server_nics::{self, Ready};
use super::server_view::with_ports;
use super::{Did, Outcome, Seen, Why, Work, gone, inner, keep, software};
use crate::ops::LOOK_AGAIN;
use crate::peers::{Ask, encoded};

/// How the tag begins by which a server is found whose making was cut off.
pub(super) const TAG: &str = "stack-resource-";

/// Where a server notes that it has this tag no longer.
const UNTAGGED: &str = "untagged";

fn tag(work: &Work<'_>) -> String {
    format!("{TAG}{}", work.row.id)
}

/// Makes the server, and waits until it runs.
pub(super) async fn ensure(work: &Work<'_>) -> Did {
    if let Some(id) = work.physical() {
        let did = wait(work, &["ACTIVE"]).await?;
        if !matches!(did, Outcome::Done(_)) {
            return Ok(did);
        }
        let ports = match server_nics::ready(work).await? {
            Ready::Ports(ports) => ports,
            Ready::First(outcome) => return Ok(outcome),
        };
        if let Some(under_way) = server_nics::float(work, &ports).await? {
            return Ok(under_way);
        }
        if work.row.data.contains_key(UNTAGGED) {
            return Ok(did);
        }
        // It is known by its id now: users see the tags only that they gave.
        let body = json!({ "tags": own_tags(work) });
        let target = format!("/v2.1/servers/{id}/tags");
        crash_point!("server.untag");
        work.ask(&Ask::put("compute", target, &body)).await?;
        let seen = Seen::id(id).with(UNTAGGED, true);
        return Ok(Outcome::Wait(seen, std::time::Duration::ZERO));
    }
    if !work.fresh
        && let Some(id) = marked(work).await?
    {
        return Ok(Outcome::Wait(Seen::id(id), LOOK_AGAIN));
    }
    let ports = match server_nics::ready(work).await? {
        Ready::Ports(ports) => ports,
        Ready::First(outcome) => return Ok(outcome),
    };
    let body = json!({ "server": body(work, &ports).await?, "OS-SCH-HNT:scheduler_hints": work.prop("scheduler_hints").cloned().unwrap_or_else(|| json!({})) });
    crash_point!("server.create");
    let made = work
        .ask(&Ask::post("compute", "/v2.1/servers", &body))
        .await?;
    crash_point!("server.created");
    let id = made
        .pointer("/server/id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Ok(Outcome::Wait(Seen::id(id), LOOK_AGAIN / 4))
}

async fn marked(work: &Work<'_>) -> Result<Option<String>, Why> {
    let list = work
        .ask(&Ask::get(
            "compute",
            format!("/v2.1/servers?tags={}", encoded(&tag(work))),
        ))
        .await?;
    Ok(list
        .pointer("/servers/0/id")
        .and_then(Value::as_str)
        .map(str::to_owned))
}

async fn body(work: &Work<'_>, ports: &[Option<String>]) -> Result<Value, Why> {
    let mut server = Map::new();
    let mut put = |name: &str, value: Value| {
        server.insert(name.to_owned(), value);
    };
    put("name", json!(work.thing_name()));
    let root = match work.text("image") {
        Some(given) => Some(image(work, given).await?),
        None => None,
    };
    if let Some(root) = &root {
        put("imageRef", json!(root));
    }
    let (form, devices) = devices(work, root.as_deref()).await?;
    if !devices.is_empty() {
        put(form, Value::Array(devices));
    }
    put(
        "flavorRef",
        json!(flavor(work, work.text("flavor").unwrap_or_default()).await?),
    );
    let mut tags = own_tags(work);
    tags.push(json!(tag(work)));
    put("tags", json!(tags));
    for (prop, field) in [
        ("key_name", "key_name"),
        ("availability_zone", "availability_zone"),
        ("config_drive", "config_drive"),
        ("admin_pass", "adminPass"),
        ("diskConfig", "OS-DCF:diskConfig"),
    ] {
        if let Some(value) = work.prop(prop) {
            put(field, value.clone());
        }
    }
    if let Some(metadata) = work.prop("metadata").and_then(Value::as_object) {
        put(
            "metadata",
            metadata
                .iter()
                .map(|(key, value)| (key.clone(), json!(noted(value))))
                .collect::<Map<_, _>>()
                .into(),
        );
    }
    let data = user_data(work).await?;
    if !data.is_null() {
        put("user_data", data);
    }
    if let Some(groups) = work.prop("security_groups").and_then(Value::as_array) {
        put(
            "security_groups",
            groups.iter().map(|name| json!({"name": name})).collect(),
        );
    }
    let networks = match work.prop("networks").and_then(Value::as_array) {
        Some(nics) if let Some(word) = allocation(nics) => json!(word),
        Some(nics) => Value::Array(networks(work, nics, ports).await?),
        None => json!("auto"),
    };
    put("networks", networks);
    Ok(Value::Object(server))
}

/// User data as the compute service takes it; null is none.
pub(super) async fn user_data(work: &Work<'_>) -> Result<Value, Why> {
    let data = software::user_data(work, work.text("user_data").unwrap_or_default()).await?;
    if data.is_empty() {
        return Ok(Value::Null);
    }
    Ok(json!(
        base64::engine::general_purpose::STANDARD.encode(data)
    ))
}

/// A value of metadata as a text: what is no text is JSON.
pub(super) fn noted(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a server is tagged with.
pub(super) fn own_tags(work: &Work<'_>) -> Vec<Value> {
    let given = work.prop("tags").and_then(Value::as_array);
    given.cloned().unwrap_or_default()
}

/// `auto` or `none`, when the only nic says so.
fn allocation(nics: &[Value]) -> Option<&str> {
    nics.first()?.get("allocate_network")?.as_str()
}

/// The volumes that the server boots from and has, and the form in which they are given.
async fn devices(work: &Work<'_>, root: Option<&str>) -> Result<(&'static str, Vec<Value>), Why> {
    let list = |name: &str| work.prop(name).and_then(Value::as_array);
    let mut devices = Vec::new();
    if let Some(older) = list("block_device_mapping") {
        let kept = |device: &Value| {
            let fields = device.as_object().into_iter().flatten();
            let given = fields.filter(|(_, value)| !value.is_null());
            given
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<Map<_, _>>()
        };
        devices.extend(older.iter().map(|device| Value::Object(kept(device))));
        return Ok(("block_device_mapping", devices));
    }
    for device in list("block_device_mapping_v2").into_iter().flatten() {
        devices.push(self::device(work, device).await?);
    }
    // The disk of the image stands among them.
    if let Some(image) = root.filter(|_| !devices.is_empty()) {
        let disk = json!({"source_type": "image", "destination_type": "local", "uuid": image, "boot_index": 0, "delete_on_termination": true});
        devices.insert(0, disk);
    }
    Ok(("block_device_mapping_v2", devices))
}

async fn device(work: &Work<'_>, given: &Value) -> Result<Value, Why> {
    let field = |name: &str| given.get(name).and_then(Value::as_str);
    let of_image = field("image").or_else(|| field("image_id"));
    let (source, id) = match (field("volume_id"), field("snapshot_id"), of_image) {
        (Some(volume), ..) => ("volume", volume.to_owned()),
        (None, Some(snapshot), _) => ("snapshot", snapshot.to_owned()),
        (None, None, given) => ("image", image(work, given.unwrap_or_default()).await?),
    };
    let mut out = json!({
        "source_type": source, "destination_type": "volume", "uuid": id, "boot_index": 0, "delete_on_termination": false,
    });
    if let Some(map) = out.as_object_mut() {
        for name in [
            "device_name",
            "device_type",
            "disk_bus",
            "boot_index",
            "volume_size",
            "volume_type",
            "delete_on_termination",
        ] {
            if let Some(value) = given.get(name).filter(|value| !value.is_null()) {
                map.insert(name.to_owned(), value.clone());
            }
        }
    }
    Ok(out)
}

async fn networks(
    work: &Work<'_>,
    nics: &[Value],
    ports: &[Option<String>],
) -> Result<Vec<Value>, Why> {
    let mut out = Vec::new();
    for (at, nic) in nics.iter().enumerate() {
        let field = |name: &str| nic.get(name).and_then(Value::as_str);
        let own = ports.get(at).and_then(Option::as_deref);
        if let Some(port) = own.or_else(|| field("port")) {
            let mut entry = json!({"port": id_of(work, "ports", port).await?});
            if let (Some(map), Some(tag)) = (entry.as_object_mut(), field("tag")) {
                map.insert("tag".to_owned(), json!(tag));
            }
            out.push(entry);
            continue;
        }
        let network = field("network")
            .or_else(|| field("uuid"))
            .unwrap_or_default();
        let mut entry = json!({"uuid": id_of(work, "networks", network).await?});
        for name in ["fixed_ip", "tag"] {
            if let (Some(map), Some(value)) = (entry.as_object_mut(), field(name)) {
                map.insert(name.to_owned(), json!(value));
            }
        }
        out.push(entry);
    }
    Ok(out)
}

pub(super) async fn image(work: &Work<'_>, given: &str) -> Result<String, Why> {
    if uuid::Uuid::try_parse(given).is_ok() {
        return Ok(given.to_owned());
    }
    let list = work
        .ask(&Ask::get(
            "image",
            format!("/v2/images?name={}", encoded(given)),
        ))
        .await?;
    one("image", given, list.get("images"))
}

pub(super) async fn flavor(work: &Work<'_>, given: &str) -> Result<String, Why> {
    match work
        .ask(&Ask::get(
            "compute",
            format!("/v2.1/flavors/{}", encoded(given)),
        ))
        .await
    {
        Ok(_) => return Ok(given.to_owned()),
        Err(why) if why.is_not_found() => {}
        Err(why) => return Err(why.into()),
    }
    let list = work.ask(&Ask::get("compute", "/v2.1/flavors")).await?;
    let named: Vec<Value> = list
        .get("flavors")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|flavor| flavor.get("name").and_then(Value::as_str) == Some(given))
        .cloned()
        .collect();
    one("flavor", given, Some(&Value::Array(named)))
}

fn one(what: &str, given: &str, list: Option<&Value>) -> Result<String, Why> {
    let found: Vec<&str> = list
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| item.get("id")?.as_str())
        .collect();
    match found.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Why::Refused(format!(
            "Error validating value '{given}': The {what} ({given}) could not be found."
        ))),
        _several => Err(Why::Refused(format!(
            "Multiple physical resources were found with name ({given}): use an ID to be more specific."
        ))),
    }
}

pub(super) async fn shown_server(work: &Work<'_>, id: &str) -> Result<Option<Value>, Why> {
    match work
        .ask(&Ask::get("compute", format!("/v2.1/servers/{id}")))
        .await
    {
        Ok(body) => Ok(Some(inner(&body, "server"))),
        Err(why) if why.is_not_found() => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// Waits until the server is in one of these states.
pub(super) async fn wait(work: &Work<'_>, states: &[&str]) -> Did {
    let id = work.physical().unwrap_or_default();
    let Some(server) = shown_server(work, id).await? else {
        return Ok(Outcome::Failed(
            Seen::missing(),
            format!("Server {id} could not be found."),
        ));
    };
    let status = server
        .get("status")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let fault = server
        .pointer("/fault/message")
        .and_then(Value::as_str)
        .unwrap_or("Unknown")
        .to_owned();
    if states.contains(&status.as_str()) {
        let server = with_ports(work, id, server).await?;
        return Ok(Outcome::Done(Seen::thing(id, server)));
    }
    let seen = Seen::thing(id, server);
    if status == "ERROR" {
        return Ok(Outcome::Failed(
            seen,
            format!("Went to status ERROR due to \"Message: {fault}\""),
        ));
    }
    Ok(Outcome::Wait(seen, LOOK_AGAIN / 2))
}

/// Whether the server runs.
pub(super) async fn look(work: &Work<'_>) -> Did {
    match wait(work, &["ACTIVE", "SUSPENDED"]).await? {
        Outcome::Wait(seen, _) => {
            let status = seen
                .observed
                .as_ref()
                .and_then(|server| server.get("status")?.as_str())
                .unwrap_or("UNKNOWN")
                .to_owned();
            Ok(Outcome::Failed(
                seen,
                format!("'server': expected 'ACTIVE', got '{status}'"),
            ))
        }
        other => Ok(other),
    }
}

/// Saves the server to disk, or brings it back.
pub(super) async fn pause(work: &Work<'_>, suspend: bool) -> Did {
    let id = work.physical().unwrap_or_default();
    let (action, end) = if suspend {
        ("suspend", "SUSPENDED")
    } else {
        ("resume", "ACTIVE")
    };
    let Some(server) = shown_server(work, id).await? else {
        return Ok(Outcome::Failed(
            Seen::default(),
            format!("Server {id} could not be found."),
        ));
    };
    let idle = server
        .get("OS-EXT-STS:task_state")
        .is_none_or(Value::is_null);
    let status = server
        .get("status")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let begins = if suspend { "ACTIVE" } else { "SUSPENDED" };
    if status == begins && idle {
        let body = json!({ action: null });
        crash_point!("server.pause");
        let sent = work
            .ask(&Ask::post(
                "compute",
                format!("/v2.1/servers/{id}/action"),
                &body,
            ))
            .await;
        crash_point!("server.paused");
        match sent {
            Err(why) if !why.is_conflict() => return Err(why.into()),
            _sent_or_under_way => return Ok(Outcome::Wait(Seen::default(), LOOK_AGAIN / 4)),
        }
    }
    wait(work, &[end]).await
}

/// Removes the server, waits until it is gone, and removes the ports that were made for it.
pub(super) async fn remove(work: &Work<'_>) -> Did {
    let did = remove_server(work).await?;
    if matches!(did, Outcome::Done(_))
        && let Some(under_way) = server_nics::clear(work, true).await?
    {
        return Ok(under_way);
    }
    Ok(did)
}

async fn remove_server(work: &Work<'_>) -> Did {
    let id = match work.physical() {
        Some(id) => id.to_owned(),
        None if !work.row.begun() => return Ok(Outcome::Done(Seen::default())),
        None => match marked(work).await? {
            Some(id) => id,
            None => return Ok(Outcome::Done(Seen::default())),
        },
    };
    let Some(server) = shown_server(work, &id).await? else {
        return Ok(Outcome::Done(Seen::default()));
    };
    let deleting = server.get("OS-EXT-STS:task_state").and_then(Value::as_str) == Some("deleting");
    if !deleting {
        if let Some(under_way) = keep::server(work, &id, &server).await? {
            return Ok(under_way);
        }
        crash_point!("server.remove");
        let sent = work
            .ask(&Ask::delete("compute", format!("/v2.1/servers/{id}")))
            .await;
        crash_point!("server.removed");
        if matches!(gone(sent)?, Outcome::Done(_)) && shown_server(work, &id).await?.is_none() {
            return Ok(Outcome::Done(Seen::default()));
        }
    }
    Ok(Outcome::Wait(Seen::id(id), LOOK_AGAIN / 4))
}
