//! Images that the image service fetches from the web.

use std::collections::BTreeMap;
use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::{Did, Outcome, Seen, Why, Work, gone};
use crate::model::function::shown;
use crate::ops::LOOK_AGAIN;
use crate::peers::{Ask, encoded};

/// Properties that an image has under the same name and that can be changed.
const FIELDS: [&str; 8] = [
    "protected",
    "architecture",
    "kernel_id",
    "os_distro",
    "os_version",
    "owner",
    "visibility",
    "ramdisk_id",
];

/// The template's, or the resource's own: so that it is made once.
fn id_of(work: &Work<'_>) -> String {
    let given = work.physical().or_else(|| work.text("id"));
    given.map_or_else(|| work.row.id.0.clone(), str::to_owned)
}

fn place(id: &str) -> String {
    format!("/v2/images/{}", encoded(id))
}

async fn seen(work: &Work<'_>, id: &str) -> Result<Option<Value>, Why> {
    match work.ask(&Ask::get("image", place(id))).await {
        Ok(image) => Ok(Some(image)),
        Err(why) if why.is_not_found() => Ok(None),
        Err(why) => Err(why.into()),
    }
}

fn status(image: &Value) -> &str {
    image
        .get("status")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Makes the image and has it fetched, or makes of it what is wanted now, one thing at a time.
pub(super) async fn ensure(work: &Work<'_>) -> Did {
    let id = id_of(work);
    let Some(image) = seen(work, &id).await? else {
        if work.physical().is_some() {
            let why = format!("image {id} is not there any more");
            return Ok(Outcome::Failed(Seen::default(), why));
        }
        return make(work, &id).await;
    };
    let noted = work.row.data.contains_key("free");
    if work.physical().is_none() {
        if !noted {
            return Err(Why::Refused(format!("Image ID {id} already exists!")));
        }
        return Ok(Outcome::Wait(Seen::id(id), Duration::ZERO));
    }
    match status(&image) {
        "queued" if work.row.data.contains_key("fetching") => {
            // The image service gave it up.
            let why = image.get("os_glance_failed_import").map(shown);
            let why = why.filter(|why| !why.is_empty()).unwrap_or_default();
            let location = work.text("location").unwrap_or_default();
            let why = format!("Image {id} could not be fetched from {location}. {why}");
            Ok(Outcome::Failed(
                Seen::thing(id, image),
                why.trim().to_owned(),
            ))
        }
        "queued" => fetch(work, &id).await,
        "active" | "deactivated" => tend(work, &id, image).await,
        "killed" | "deleted" | "pending_delete" => {
            let why = format!("Image {id} went to status {}.", status(&image));
            Ok(Outcome::Failed(Seen::thing(id, image), why))
        }
        _under_way => Ok(Outcome::Wait(
            Seen::id(id).with("fetching", true),
            LOOK_AGAIN / 2,
        )),
    }
}

async fn make(work: &Work<'_>, id: &str) -> Did {
    if !work.row.data.contains_key("free") {
        // Noted before the image is made: whatever is of this id from now on is ours.
        let seen = Seen::default().with("free", true);
        return Ok(Outcome::Wait(seen, Duration::ZERO));
    }
    let mut body = Map::new();
    body.insert("id".to_owned(), json!(id));
    body.insert("name".to_owned(), json!(work.thing_name()));
    for name in [
        "min_disk",
        "min_ram",
        "disk_format",
        "container_format",
        "visibility",
    ] {
        if let Some(value) = work.prop(name) {
            body.insert(name.to_owned(), value.clone());
        }
    }
    let body = Value::Object(body);
    crash_point!("image.create");
    work.ask(&Ask::post("image", "/v2/images", &body)).await?;
    crash_point!("image.created");
    Ok(Outcome::Wait(Seen::id(id), Duration::ZERO))
}

async fn fetch(work: &Work<'_>, id: &str) -> Did {
    let location = work.text("location").unwrap_or_default();
    let body = json!({"method": {"name": "web-download", "uri": location}});
    crash_point!("image.fetch");
    let target = format!("{}/import", place(id));
    let sent = work.ask(&Ask::post("image", target, &body)).await;
    crash_point!("image.fetching");
    match sent {
        Err(why) if !why.is_conflict() => Err(why.into()),
        _sent_or_under_way => Ok(Outcome::Wait(
            Seen::id(id).with("fetching", true),
            LOOK_AGAIN / 2,
        )),
    }
}

/// What a field of the image is to be.
fn wanted(work: &Work<'_>) -> BTreeMap<String, Value> {
    let extra = work.prop("extra_properties").and_then(Value::as_object);
    let extra = extra.into_iter().flatten();
    let mut wanted: BTreeMap<String, Value> = extra
        .map(|(name, value)| (name.clone(), json!(shown(value))))
        .collect();
    for name in FIELDS {
        if let Some(value) = work.prop(name) {
            wanted.insert(name.to_owned(), value.clone());
        }
    }
    wanted
}

/// The image is there: its fields, tags, members, and whether it can be used.
async fn tend(work: &Work<'_>, id: &str, image: Value) -> Did {
    let again = || Ok(Outcome::Wait(Seen::id(id), Duration::ZERO));
    let wanted = wanted(work);
    let mut changes: Vec<Value> = Vec::new();
    for (name, value) in &wanted {
        let change = match image.get(name) {
            Some(now) if now == value => continue,
            Some(_) => "replace",
            None => "add",
        };
        changes.push(json!({"op": change, "path": pointer(name), "value": value}));
    }
    // What this resource once set and does not want any more; what has no value is never taken away.
    let set = work.row.data.get("set").and_then(Value::as_array);
    for name in set.into_iter().flatten().filter_map(Value::as_str) {
        let fixed = ["protected", "owner", "visibility"].contains(&name);
        if !fixed && !wanted.contains_key(name) && image.get(name).is_some() {
            changes.push(json!({"op": "remove", "path": pointer(name)}));
        }
    }
    if !changes.is_empty() {
        let names: Vec<&String> = wanted.keys().collect();
        let changes = Value::Array(changes);
        work.ask(&Ask::json_patch("image", place(id), &changes))
            .await?;
        return Ok(Outcome::Wait(
            Seen::id(id).with("set", json!(names)),
            Duration::ZERO,
        ));
    }
    tags(work, id, &image).await?;
    members(work, id, &image).await?;
    let active = work.prop("active").and_then(Value::as_bool) != Some(false);
    if active != (status(&image) == "active") {
        let verb = if active { "reactivate" } else { "deactivate" };
        let target = format!("{}/actions/{verb}", place(id));
        work.ask(&Ask::post("image", target, &json!({}))).await?;
        return again();
    }
    Ok(Outcome::Done(Seen::thing(id, image)))
}

/// A name as JSON pointers have it.
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let all = value.and_then(Value::as_array).into_iter().flatten();
    all.map(shown).collect()
}

async fn tags(work: &Work<'_>, id: &str, image: &Value) -> Result<(), Why> {
    let (there, wanted) = (texts(image.get("tags")), texts(work.prop("tags")));
    for tag in there.iter().filter(|tag| !wanted.contains(tag)) {
        let target = format!("{}/tags/{}", place(id), encoded(tag));
        gone(work.ask(&Ask::delete("image", target)).await)?;
    }
    for tag in wanted.iter().filter(|tag| !there.contains(tag)) {
        let target = format!("{}/tags/{}", place(id), encoded(tag));
        work.ask(&Ask::put("image", target, &json!({}))).await?;
    }
    Ok(())
}

async fn members(work: &Work<'_>, id: &str, image: &Value) -> Result<(), Why> {
    let wanted = texts(work.prop("members"));
    let target = format!("{}/members", place(id));
    if image.get("visibility").and_then(Value::as_str) != Some("shared") {
        if wanted.is_empty() {
            return Ok(());
        }
        return Err(Why::Refused(
            "members: only an image whose visibility is shared has members.".to_owned(),
        ));
    }
    let list = work.ask(&Ask::get("image", target.as_str())).await?;
    let list = list.get("members").and_then(Value::as_array);
    let there: Vec<String> = list
        .into_iter()
        .flatten()
        .filter_map(|member| member.get("member_id").map(shown))
        .collect();
    for member in there.iter().filter(|member| !wanted.contains(member)) {
        let target = format!("{target}/{}", encoded(member));
        gone(work.ask(&Ask::delete("image", target)).await)?;
    }
    for member in wanted.iter().filter(|member| !there.contains(member)) {
        let body = json!({ "member": member });
        work.ask(&Ask::post("image", target.as_str(), &body))
            .await?;
    }
    Ok(())
}

/// Whether the image is there and can be used.
pub(super) async fn look(work: &Work<'_>) -> Did {
    let id = id_of(work);
    let Some(image) = seen(work, &id).await? else {
        let why = format!("image {id} is not there any more");
        return Ok(Outcome::Failed(Seen::default(), why));
    };
    let status = status(&image).to_owned();
    let seen = Seen::thing(id.as_str(), image);
    Ok(match status.as_str() {
        "active" | "deactivated" => Outcome::Done(seen),
        status => Outcome::Failed(seen, format!("Image {id} is in status {status}.")),
    })
}

pub(super) async fn remove(work: &Work<'_>) -> Did {
    if work.physical().is_none() && !work.row.data.contains_key("free") {
        return Ok(Outcome::Done(Seen::default()));
    }
    let id = id_of(work);
    crash_point!("image.remove");
    let sent = work.ask(&Ask::delete("image", place(&id))).await;
    crash_point!("image.removed");
    gone(sent)
}
