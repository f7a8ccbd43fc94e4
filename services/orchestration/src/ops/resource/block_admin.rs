//! What administrators set in block storage: types of volumes, how fast they are, and quotas.

use std::collections::BTreeMap;
use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::{Did, Outcome, Seen, Why, Work, directory, gone, inner};
use crate::model::function::shown;
use crate::model::kind::BLOCK_LIMITS;
use crate::peers::{Ask, encoded};

/// Goes on at once, when what was seen is noted.
const AT_ONCE: Duration = Duration::ZERO;

fn path(work: &Work<'_>, rest: &str) -> String {
    format!("/v3/{}/{rest}", work.stack.project_id)
}

fn text<'a>(thing: &'a Value, key: &str) -> &'a str {
    thing.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A thing of block storage; none when it is not there.
async fn seen(work: &Work<'_>, target: String, key: &str) -> Result<Option<Value>, Why> {
    match work.ask(&Ask::get("block", target)).await {
        Ok(body) => Ok(Some(inner(&body, key))),
        Err(why) if why.is_not_found() => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// The first of a list that is called so.
async fn named(
    work: &Work<'_>,
    target: String,
    key: &str,
    name: &str,
) -> Result<Option<String>, Why> {
    let list = work.ask(&Ask::get("block", target)).await?;
    let mut found = list
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let found = found.find(|thing| text(thing, "name") == name);
    Ok(found.map(|thing| text(thing, "id").to_owned()))
}

fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let all = value.and_then(Value::as_object).into_iter().flatten();
    all.map(|(key, value)| (key.clone(), shown(value)))
        .collect()
}

/// Whether the thing is still there.
pub(super) async fn look(work: &Work<'_>, collection: &str, key: &str) -> Did {
    let id = work.physical().unwrap_or_default();
    let target = path(work, &format!("{collection}/{}", encoded(id)));
    match seen(work, target, key).await? {
        Some(thing) => Ok(Outcome::Done(Seen::thing(id, thing))),
        None => lost(key, id),
    }
}

fn lost(what: &str, id: &str) -> Did {
    let why = format!("{what} {id} is not there any more");
    Ok(Outcome::Failed(Seen::default(), why))
}

/// Makes the volume type, or makes of it what is wanted now, one thing at a time.
pub(super) async fn volume_type(work: &Work<'_>) -> Did {
    let Some(id) = work.physical() else {
        return make_type(work).await;
    };
    let target = path(work, &format!("types/{}", encoded(id)));
    let Some(now) = seen(work, target.clone(), "volume_type").await? else {
        return lost("volume type", id);
    };
    let again = || Ok(Outcome::Wait(Seen::id(id), AT_ONCE));
    let public = work.prop("is_public").and_then(Value::as_bool) != Some(false);
    let description = work.text("description").unwrap_or_default();
    let name = work.thing_name();
    if text(&now, "name") != name
        || text(&now, "description") != description
        || now.get("is_public").and_then(Value::as_bool) != Some(public)
    {
        let body =
            json!({"volume_type": {"name": name, "description": description, "is_public": public}});
        work.ask(&Ask::put("block", target, &body)).await?;
        return again();
    }
    let wanted = texts(work.prop("metadata"));
    let there = texts(now.get("extra_specs"));
    let strange: Vec<&String> = there
        .keys()
        .filter(|key| !wanted.contains_key(*key))
        .collect();
    for key in &strange {
        let target = format!("{target}/extra_specs/{}", encoded(key));
        gone(work.ask(&Ask::delete("block", target)).await)?;
    }
    if !strange.is_empty() || wanted != there {
        if !wanted.is_empty() {
            let body = json!({ "extra_specs": wanted });
            let target = format!("{target}/extra_specs");
            work.ask(&Ask::post("block", target, &body)).await?;
        }
        return again();
    }
    if !public {
        share(work, &target).await?;
    }
    Ok(Outcome::Done(Seen::thing(id, now)))
}

async fn make_type(work: &Work<'_>) -> Did {
    // Until its id is noted it has a name of this resource's own: what is called as wanted may be somebody else's.
    let (name, types) = (work.mark(), path(work, "types"));
    if !work.fresh
        && let Some(id) = named(work, all_types(&types), "volume_types", &name).await?
    {
        return Ok(Outcome::Wait(Seen::id(id), AT_ONCE));
    }
    let body = json!({"volume_type": {"name": name, "os-volume-type-access:is_public": false}});
    crash_point!("volume_type.create");
    let made = work.ask(&Ask::post("block", types, &body)).await?;
    crash_point!("volume_type.created");
    let id = text(&inner(&made, "volume_type"), "id").to_owned();
    Ok(Outcome::Wait(Seen::id(id), AT_ONCE))
}

fn all_types(types: &str) -> String {
    format!("{types}?is_public=none")
}

/// Lets the projects that are wanted use a private type, and no others.
async fn share(work: &Work<'_>, target: &str) -> Result<(), Why> {
    let mut wanted = Vec::new();
    let given = work.prop("projects").and_then(Value::as_array);
    for project in given.into_iter().flatten().filter_map(Value::as_str) {
        wanted.push(directory::named(work, "projects", project).await?);
    }
    let list = Ask::get("block", format!("{target}/os-volume-type-access"));
    let list = work.ask(&list).await?;
    let there = list.get("volume_type_access").and_then(Value::as_array);
    let there: Vec<&str> = there
        .into_iter()
        .flatten()
        .map(|access| text(access, "project_id"))
        .collect();
    let strange = there
        .iter()
        .filter(|id| !wanted.iter().any(|one| one == *id));
    let strange = strange.map(|id| ("removeProjectAccess", *id));
    let missing = wanted.iter().filter(|id| !there.contains(&id.as_str()));
    let missing = missing.map(|id| ("addProjectAccess", id.as_str()));
    for (action, project) in strange.chain(missing) {
        let body = json!({ action: {"project": project} });
        work.ask(&Ask::post("block", format!("{target}/action"), &body))
            .await?;
    }
    Ok(())
}

pub(super) async fn remove_type(work: &Work<'_>) -> Did {
    let id = match work.physical() {
        Some(id) => Some(id.to_owned()),
        None if !work.row.begun() => None,
        None => {
            named(
                work,
                all_types(&path(work, "types")),
                "volume_types",
                &work.mark(),
            )
            .await?
        }
    };
    let Some(id) = id else {
        return Ok(Outcome::Done(Seen::default()));
    };
    let target = path(work, &format!("types/{}", encoded(&id)));
    crash_point!("volume_type.remove");
    let sent = work.ask(&Ask::delete("block", target)).await;
    crash_point!("volume_type.removed");
    gone(sent)
}

/// The consumer, which stands beside the specs.
fn specs(work: &Work<'_>) -> (String, BTreeMap<String, String>) {
    let mut specs = texts(work.prop("specs"));
    let consumer = specs.remove("consumer");
    (consumer.unwrap_or_else(|| "back-end".to_owned()), specs)
}

/// Makes QoS specs, or has them say what is wanted now.
pub(super) async fn qos_specs(work: &Work<'_>) -> Did {
    let Some(id) = work.physical() else {
        return make_qos(work).await;
    };
    let target = path(work, &format!("qos-specs/{}", encoded(id)));
    let Some(now) = seen(work, target.clone(), "qos_specs").await? else {
        return lost("QoS specs", id);
    };
    let (consumer, wanted) = specs(work);
    let there = texts(now.get("specs"));
    let strange: Vec<&String> = there
        .keys()
        .filter(|key| !wanted.contains_key(*key))
        .collect();
    if !strange.is_empty() {
        let body = json!({ "keys": strange });
        work.ask(&Ask::put("block", format!("{target}/delete_keys"), &body))
            .await?;
        return Ok(Outcome::Wait(Seen::id(id), AT_ONCE));
    }
    if there != wanted || text(&now, "consumer") != consumer {
        let body = json!({ "qos_specs": with_consumer(&consumer, &wanted) });
        work.ask(&Ask::put("block", target, &body)).await?;
        return Ok(Outcome::Wait(Seen::id(id), AT_ONCE));
    }
    Ok(Outcome::Done(Seen::thing(id, now)))
}

fn with_consumer(consumer: &str, specs: &BTreeMap<String, String>) -> Map<String, Value> {
    let pairs = specs.iter().map(|(key, value)| (key.clone(), json!(value)));
    let consumer = ("consumer".to_owned(), json!(consumer));
    pairs.chain([consumer]).collect()
}

async fn make_qos(work: &Work<'_>) -> Did {
    let name = work.thing_name();
    let all = path(work, "qos-specs");
    let there = format!("{all}?name={}", encoded(&name));
    let there = named(work, there, "qos_specs", &name).await?;
    let free = work.row.data.contains_key("free");
    match there {
        // Its name cannot be changed, and was free before: a try that was cut off has made it.
        Some(id) if free => return Ok(Outcome::Wait(Seen::id(id), AT_ONCE)),
        Some(_) => return Err(Why::Refused(format!("QoS Specs {name} already exists."))),
        None if !free => {
            let seen = Seen::default().with("free", true);
            return Ok(Outcome::Wait(seen, AT_ONCE));
        }
        None => {}
    }
    let (consumer, specs) = specs(work);
    let mut fields = with_consumer(&consumer, &specs);
    fields.insert("name".to_owned(), json!(name));
    let body = json!({ "qos_specs": fields });
    crash_point!("qos.create");
    let made = work.ask(&Ask::post("block", all, &body)).await?;
    crash_point!("qos.created");
    let made = inner(&made, "qos_specs");
    Ok(Outcome::Done(Seen::thing(text(&made, "id"), made.clone())))
}

pub(super) async fn remove_qos(work: &Work<'_>) -> Did {
    let id = match work.physical() {
        Some(id) => Some(id.to_owned()),
        None if !work.row.data.contains_key("free") => None,
        None => {
            let name = work.thing_name();
            let target = path(work, &format!("qos-specs?name={}", encoded(&name)));
            named(work, target, "qos_specs", &name).await?
        }
    };
    let Some(id) = id else {
        return Ok(Outcome::Done(Seen::default()));
    };
    let target = path(work, &format!("qos-specs/{}?force=true", encoded(&id)));
    crash_point!("qos.remove");
    let sent = work.ask(&Ask::delete("block", target)).await;
    crash_point!("qos.removed");
    gone(sent)
}

/// QoS specs, and the types that they are of.
type Association = (String, Vec<String>);

async fn wanted(work: &Work<'_>) -> Result<Association, Why> {
    let specs = work.text("qos_specs").unwrap_or_default();
    let target = path(work, &format!("qos-specs?name={}", encoded(specs)));
    let by_name = named(work, target, "qos_specs", specs).await?;
    let specs = by_name.unwrap_or_else(|| specs.to_owned());
    let mut types = Vec::new();
    let given = work.prop("volume_types").and_then(Value::as_array);
    for kind in given.into_iter().flatten().filter_map(Value::as_str) {
        let all = all_types(&path(work, "types"));
        let by_name = named(work, all, "volume_types", kind).await?;
        types.push(by_name.unwrap_or_else(|| kind.to_owned()));
    }
    Ok((specs, types))
}

/// What was noted before anything was associated.
fn noted(work: &Work<'_>) -> Option<Association> {
    let specs = work.row.data.get("qos_specs")?.as_str()?;
    let types = work.row.data.get("volume_types")?.as_array()?;
    let types = types.iter().filter_map(Value::as_str).map(str::to_owned);
    Some((specs.to_owned(), types.collect()))
}

async fn dissociate(work: &Work<'_>, specs: &str, types: &[String]) -> Result<(), Why> {
    for kind in types {
        let verb = format!(
            "qos-specs/{}/disassociate?vol_type_id={}",
            encoded(specs),
            encoded(kind)
        );
        gone(work.ask(&Ask::get("block", path(work, &verb))).await)?;
    }
    Ok(())
}

/// Makes the specs those of the types; types that are not wanted any more lose them.
pub(super) async fn association(work: &Work<'_>) -> Did {
    let (specs, types) = wanted(work).await?;
    let before = noted(work);
    if before.as_ref() != Some(&(specs.clone(), types.clone())) {
        if let Some((old, mut of)) = before {
            of.retain(|kind| old != specs || !types.contains(kind));
            dissociate(work, &old, &of).await?;
        }
        let seen = Seen::default()
            .with("qos_specs", specs)
            .with("volume_types", types);
        return Ok(Outcome::Wait(seen, AT_ONCE));
    }
    for kind in &types {
        let verb = format!(
            "qos-specs/{}/associate?vol_type_id={}",
            encoded(&specs),
            encoded(kind)
        );
        crash_point!("qos.associate");
        work.ask(&Ask::get("block", path(work, &verb))).await?;
        crash_point!("qos.associated");
    }
    Ok(Outcome::done(work.row.id.0.clone()))
}

pub(super) async fn remove_association(work: &Work<'_>) -> Did {
    if let Some((specs, types)) = noted(work) {
        dissociate(work, &specs, &types).await?;
    }
    Ok(Outcome::Done(Seen::default()))
}

/// Sets a project's quotas; those that are set no longer are the defaults again.
pub(super) async fn quota(work: &Work<'_>) -> Did {
    let Some(project) = work.row.data.get("project_id").and_then(Value::as_str) else {
        // Noted before anything is set: it is set back when this goes.
        let project =
            directory::named(work, "projects", work.text("project").unwrap_or_default()).await?;
        let seen = Seen::default().with("project_id", project);
        return Ok(Outcome::Wait(seen, AT_ONCE));
    };
    let target = path(work, &format!("os-quota-sets/{}", encoded(project)));
    let used = seen(work, format!("{target}?usage=true"), "quota_set").await?;
    let used = used.unwrap_or_default();
    let defaults = seen(work, format!("{target}/defaults"), "quota_set").await?;
    let defaults = defaults.unwrap_or_default();
    let mut set = Map::new();
    for name in BLOCK_LIMITS {
        let before = work
            .row
            .properties
            .get(name)
            .filter(|value| !value.is_null());
        let Some(limit) = work.prop(name).or_else(|| before.and(defaults.get(name))) else {
            continue;
        };
        let in_use = used.pointer(&format!("/{name}/in_use"));
        let in_use = in_use.and_then(Value::as_i64).unwrap_or(0);
        if limit
            .as_i64()
            .is_some_and(|limit| (0..in_use).contains(&limit))
        {
            return Err(Why::Refused(format!(
                "Invalid quota {name} value(s): {limit}. Can not be less than the current usage value(s): {in_use}."
            )));
        }
        set.insert(name.to_owned(), limit.clone());
    }
    let body = json!({ "quota_set": set });
    work.ask(&Ask::put("block", target, &body)).await?;
    Ok(Outcome::done(work.thing_name()))
}

pub(super) async fn remove_quota(work: &Work<'_>) -> Did {
    let Some(project) = work.row.data.get("project_id").and_then(Value::as_str) else {
        return Ok(Outcome::Done(Seen::default()));
    };
    let target = path(work, &format!("os-quota-sets/{}", encoded(project)));
    gone(work.ask(&Ask::delete("block", target)).await)
}
