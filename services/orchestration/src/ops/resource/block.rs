//! Volumes, and servers that have them.

use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::{Did, Outcome, Seen, Why, Work, gone, inner, keep, server};
use crate::model::function::shown;
use crate::ops::LOOK_AGAIN;
use crate::peers::{Ask, encoded};

/// What is on its way comes to its end this soon.
const SOON: Duration = Duration::from_millis(500);

fn volumes(work: &Work<'_>) -> String {
    format!("/v3/{}/volumes", work.stack.project_id)
}

fn text<'a>(thing: &'a Value, key: &str) -> &'a str {
    thing.get(key).and_then(Value::as_str).unwrap_or_default()
}

async fn seen_volume(work: &Work<'_>, id: &str) -> Result<Option<Value>, Why> {
    let target = format!("{}/{}", volumes(work), encoded(id));
    match work.ask(&Ask::get("block", target)).await {
        Ok(body) => Ok(Some(inner(&body, "volume"))),
        Err(why) if why.is_not_found() => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// As attributes show it.
fn observed(volume: Value) -> Value {
    let mut volume = volume;
    if let Some(fields) = volume.as_object_mut() {
        for (from, to) in [
            ("name", "display_name"),
            ("description", "display_description"),
            ("metadata", "metadata_values"),
            ("attachments", "attachments_list"),
        ] {
            let value = fields.get(from).cloned().unwrap_or_default();
            fields.insert(to.to_owned(), value);
        }
    }
    volume
}

/// Makes the volume, or makes of it what is wanted now, one thing at a time.
pub(super) async fn volume(work: &Work<'_>) -> Did {
    let Some(id) = work.physical() else {
        return make(work).await;
    };
    let Some(volume) = seen_volume(work, id).await? else {
        return Ok(Outcome::Failed(Seen::default(), lost(id)));
    };
    let seen = || Seen::thing(id, observed(volume.clone()));
    match text(&volume, "status") {
        "creating" | "downloading" | "extending" | "retyping" | "restoring-backup"
        | "attaching" | "detaching" | "reserved" => {
            return Ok(Outcome::Wait(Seen::id(id), SOON));
        }
        status if status.starts_with("error") => {
            let why = format!("Volume {id} went to status {status}.");
            return Ok(Outcome::Failed(seen(), why));
        }
        _settled => {}
    }
    let target = format!("{}/{}", volumes(work), encoded(id));
    let description = work.text("description").unwrap_or_default();
    if text(&volume, "name") != work.thing_name() || text(&volume, "description") != description {
        let body = json!({"volume": {"name": work.thing_name(), "description": description}});
        work.ask(&Ask::put("block", target, &body)).await?;
        return Ok(Outcome::Wait(Seen::id(id), Duration::ZERO));
    }
    let metadata = metadata(work);
    let mut there = volume.get("metadata").cloned().unwrap_or_default();
    // The access mode stands among them, and has a way of its own.
    if let Some(there) = there.as_object_mut() {
        there.remove("readonly");
    }
    if there != metadata {
        let body = json!({ "metadata": metadata });
        work.ask(&Ask::put("block", format!("{target}/metadata"), &body))
            .await?;
        return Ok(Outcome::Wait(Seen::id(id), Duration::ZERO));
    }
    if let Some(under_way) = retype(work, (id, &volume, &target)).await? {
        return Ok(under_way);
    }
    if let Some(wanted) = work.prop("read_only").and_then(Value::as_bool) {
        let is = volume.pointer("/metadata/readonly").map(shown);
        if is.is_some_and(|is| is.eq_ignore_ascii_case("true")) != wanted {
            let body = json!({"os-update_readonly_flag": {"readonly": wanted}});
            work.ask(&Ask::post("block", format!("{target}/action"), &body))
                .await?;
            return Ok(Outcome::Wait(Seen::id(id), Duration::ZERO));
        }
    }
    let size = volume.get("size").and_then(Value::as_i64).unwrap_or(0);
    match work.prop("size").and_then(Value::as_i64) {
        Some(wanted) if wanted > size => {
            let body = json!({"os-extend": {"new_size": wanted}});
            crash_point!("volume.extend");
            work.ask(&Ask::post("block", format!("{target}/action"), &body))
                .await?;
            crash_point!("volume.extended");
            Ok(Outcome::Wait(Seen::id(id), SOON))
        }
        // A volume may be larger than asked for: the image wanted it.
        Some(wanted) if wanted < size && work.row.changing_to.is_some() => Err(Why::Refused(
            "Shrinking volume is not supported.".to_owned(),
        )),
        _as_wanted => Ok(Outcome::Done(seen())),
    }
}

/// Gives the volume another type, if the template says another than it did; its data stays.
async fn retype(
    work: &Work<'_>,
    (id, volume, target): (&str, &Value, &str),
) -> Result<Option<Outcome>, Why> {
    let before = work.row.properties.get("volume_type");
    let wanted = work.prop("volume_type");
    let Some(wanted) = wanted.filter(|wanted| Some(*wanted) != before) else {
        return Ok(None);
    };
    if work.row.changing_to.is_none() {
        return Ok(None);
    }
    let wanted = shown(wanted);
    let kinds = format!("/v3/{}/types/{}", work.stack.project_id, encoded(&wanted));
    let kind = work.ask(&Ask::get("block", kinds)).await?;
    let name = kind
        .pointer("/volume_type/name")
        .map(shown)
        .unwrap_or_default();
    if text(volume, "volume_type") == name {
        return Ok(None);
    }
    if work.row.data.get("retyping").and_then(Value::as_str) == Some(&name) {
        let why = format!(
            "Volume {id} could not be given the type {name}; the volume's messages say why."
        );
        let seen = Seen::id(id).with("retyping", Value::Null);
        return Ok(Some(Outcome::Failed(seen, why)));
    }
    let body = json!({"os-retype": {"new_type": wanted, "migration_policy": "on-demand"}});
    crash_point!("volume.retype");
    work.ask(&Ask::post("block", format!("{target}/action"), &body))
        .await?;
    crash_point!("volume.retyped");
    Ok(Some(Outcome::Wait(
        Seen::id(id).with("retyping", name),
        SOON,
    )))
}

fn lost(id: &str) -> String {
    format!("volume {id} is not there any more")
}

fn metadata(work: &Work<'_>) -> Value {
    let given = work.prop("metadata").and_then(Value::as_object);
    let texts = given
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), json!(shown(value))));
    Value::Object(texts.collect())
}

async fn make(work: &Work<'_>) -> Did {
    if !work.fresh
        && let Some(id) = marked(work).await?
    {
        return Ok(Outcome::Wait(Seen::id(id), Duration::ZERO));
    }
    let mut fields = Map::new();
    // Until its id is noted the volume is found by its name.
    fields.insert("name".to_owned(), json!(work.mark()));
    fields.insert("metadata".to_owned(), metadata(work));
    for prop in [
        "size",
        "availability_zone",
        "snapshot_id",
        "source_volid",
        "volume_type",
        "backup_id",
    ] {
        if let Some(value) = work.prop(prop) {
            fields.insert(prop.to_owned(), value.clone());
        }
    }
    if work.prop("multiattach") == Some(&json!(true)) {
        fields.insert("multiattach".to_owned(), json!(true));
    }
    if let Some(image) = work.text("image").or_else(|| work.text("imageRef")) {
        let image = server::image(work, image).await?;
        fields.insert("imageRef".to_owned(), json!(image));
    }
    let body = json!({ "volume": fields });
    crash_point!("volume.create");
    let made = work.ask(&Ask::post("block", volumes(work), &body)).await?;
    crash_point!("volume.created");
    let made = inner(&made, "volume");
    Ok(Outcome::Wait(Seen::id(text(&made, "id")), SOON))
}

/// The volume of a try that was cut off.
async fn marked(work: &Work<'_>) -> Result<Option<String>, Why> {
    let target = format!("{}?name={}", volumes(work), encoded(&work.mark()));
    let list = work.ask(&Ask::get("block", target)).await?;
    let id = list.pointer("/volumes/0/id").and_then(Value::as_str);
    Ok(id.map(str::to_owned))
}

/// Whether the volume is there and well.
pub(super) async fn look(work: &Work<'_>) -> Did {
    let id = work.physical().unwrap_or_default();
    let Some(volume) = seen_volume(work, id).await? else {
        return Ok(Outcome::Failed(Seen::missing(), lost(id)));
    };
    let status = text(&volume, "status").to_owned();
    let seen = Seen::thing(id, observed(volume));
    Ok(if status.starts_with("error") {
        Outcome::Failed(seen, format!("Volume {id} is in status {status}."))
    } else {
        Outcome::Done(seen)
    })
}

pub(super) async fn remove_volume(work: &Work<'_>) -> Did {
    let id = match work.physical() {
        Some(id) => id.to_owned(),
        None if !work.row.begun() => return Ok(Outcome::Done(Seen::default())),
        None => match marked(work).await? {
            Some(id) => id,
            None => return Ok(Outcome::Done(Seen::default())),
        },
    };
    let Some(volume) = seen_volume(work, &id).await? else {
        return Ok(Outcome::Done(Seen::default()));
    };
    match text(&volume, "status") {
        "available" => {
            if let Some(under_way) = keep::volume(work, &id).await? {
                return Ok(under_way);
            }
        }
        // Of what is broken nothing is kept.
        "error" | "error_extending" | "error_restoring" => {}
        "error_deleting" => {
            let why = format!("Volume {id} went to status error_deleting.");
            return Ok(Outcome::Failed(Seen::default(), why));
        }
        status @ ("in-use" | "attaching" | "detaching" | "reserved") => {
            // Whoever has it may be on the way out, too.
            let seen = Seen::id(id).with("blocked", format!("it is {status}"));
            return Ok(Outcome::Wait(seen, LOOK_AGAIN));
        }
        _under_way => return Ok(Outcome::Wait(Seen::id(id), SOON)),
    }
    let target = format!("{}/{}", volumes(work), encoded(&id));
    crash_point!("volume.remove");
    let sent = work.ask(&Ask::delete("block", target)).await;
    crash_point!("volume.removed");
    match gone(sent)? {
        Outcome::Done(_) => Ok(Outcome::Wait(Seen::id(id), SOON)),
        blocked => Ok(blocked),
    }
}

/// Server and volume.
type Pair = (String, String);

fn wanted(work: &Work<'_>) -> Pair {
    let prop = |name| work.text(name).unwrap_or_default().to_owned();
    (prop("instance_uuid"), prop("volume_id"))
}

/// What was noted before anything was plugged.
fn noted(work: &Work<'_>) -> Option<Pair> {
    let data = |name| work.row.data.get(name).and_then(Value::as_str);
    let (server, volume) = data("server").zip(data("volume"))?;
    (!server.is_empty()).then(|| (server.to_owned(), volume.to_owned()))
}

fn note((server, volume): Pair) -> Seen {
    Seen::default()
        .with("server", server)
        .with("volume", volume)
        .with("asked", false)
}

fn attachments((server, _): &Pair) -> String {
    format!("/v2.1/servers/{}/os-volume_attachments", encoded(server))
}

async fn is_there(work: &Work<'_>, pair: &Pair) -> Result<bool, Why> {
    let target = format!("{}/{}", attachments(pair), encoded(&pair.1));
    match work.ask(&Ask::get("compute", target)).await {
        Ok(_) => Ok(true),
        Err(why) if why.is_not_found() => Ok(false),
        Err(why) => Err(why.into()),
    }
}

/// Plugs the volume into the server; one that is in another goes out of it first.
pub(super) async fn attachment(work: &Work<'_>) -> Did {
    let wanted = wanted(work);
    match noted(work) {
        Some(pair) if pair != wanted => match unplug(work, &pair).await? {
            Outcome::Done(_) => Ok(Outcome::Wait(note(wanted), Duration::ZERO)),
            other => Ok(other),
        },
        Some(pair) => plug(work, &pair).await,
        None => Ok(Outcome::Wait(note(wanted), Duration::ZERO)),
    }
}

async fn plug(work: &Work<'_>, pair: &Pair) -> Did {
    let volume = &pair.1;
    if is_there(work, pair).await? {
        let status = seen_volume(work, volume).await?;
        return Ok(match status.as_ref().map(|volume| text(volume, "status")) {
            Some("in-use") => Outcome::Done(Seen::id(volume)),
            Some(_on_its_way) => Outcome::Wait(Seen::id(volume), SOON),
            None => Outcome::Failed(Seen::default(), lost(volume)),
        });
    }
    if work.row.data.get("asked") == Some(&json!(true)) {
        let why = format!(
            "Volume {volume} was not attached to server {}. The server's actions say why.",
            pair.0
        );
        return Ok(Outcome::Failed(Seen::default().with("asked", false), why));
    }
    let mut fields = json!({ "volumeId": volume });
    if let (Some(map), Some(device)) = (fields.as_object_mut(), work.prop("mountpoint")) {
        map.insert("device".to_owned(), device.clone());
    }
    let body = json!({ "volumeAttachment": fields });
    crash_point!("attachment.create");
    let sent = work
        .ask(&Ask::post("compute", attachments(pair), &body))
        .await;
    crash_point!("attachment.created");
    match sent {
        Ok(_) => Ok(Outcome::Wait(Seen::id(volume).with("asked", true), SOON)),
        // The server is busy with something else.
        Err(why) if why.is_conflict() => Ok(Outcome::Wait(
            Seen::default().with("blocked", why.message),
            LOOK_AGAIN,
        )),
        Err(why) => Err(why.into()),
    }
}

async fn unplug(work: &Work<'_>, pair: &Pair) -> Did {
    let volume = &pair.1;
    let status = seen_volume(work, volume).await?;
    let status = status.as_ref().map(|volume| text(volume, "status"));
    if status == Some("detaching") {
        return Ok(Outcome::Wait(Seen::default(), SOON));
    }
    if !is_there(work, pair).await? {
        return Ok(Outcome::Done(Seen::default()));
    }
    let target = format!("{}/{}", attachments(pair), encoded(volume));
    crash_point!("attachment.remove");
    let sent = work.ask(&Ask::delete("compute", target)).await;
    crash_point!("attachment.removed");
    match gone(sent)? {
        Outcome::Done(_) => Ok(Outcome::Wait(Seen::default(), SOON)),
        blocked => Ok(blocked),
    }
}

pub(super) async fn remove_attachment(work: &Work<'_>) -> Did {
    match noted(work) {
        Some(pair) => unplug(work, &pair).await,
        None => Ok(Outcome::Done(Seen::default())),
    }
}
