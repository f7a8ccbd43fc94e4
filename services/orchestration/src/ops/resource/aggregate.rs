//! Host aggregates.

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::{Did, Outcome, Seen, Why, Work, gone, inner};
use crate::peers::{Ask, encoded};

const AGGREGATES: &str = "/v2.1/os-aggregates";

/// Makes an aggregate. Until its id is noted it has a name by which it is found, then the one that is wanted.
pub(super) async fn ensure(work: &Work<'_>) -> Did {
    if let Some(id) = work.physical() {
        return settle(work, id).await;
    }
    if !work.fresh
        && let Some(id) = marked(work).await?
    {
        return Ok(Outcome::Wait(Seen::id(id), std::time::Duration::ZERO));
    }
    let body = json!({"aggregate": {"name": work.mark()}});
    crash_point!("aggregate.create");
    let made = work.ask(&Ask::post("compute", AGGREGATES, &body)).await?;
    crash_point!("aggregate.created");
    let id = id_of(&inner(&made, "aggregate"));
    Ok(Outcome::Wait(Seen::id(id), std::time::Duration::ZERO))
}

/// An aggregate has a number.
fn id_of(aggregate: &Value) -> String {
    let id = aggregate.get("id").cloned().unwrap_or_default();
    crate::model::function::shown(&id)
}

/// The aggregate of a try that was cut off.
async fn marked(work: &Work<'_>) -> Result<Option<String>, Why> {
    let mark = work.mark();
    let list = work.ask(&Ask::get("compute", AGGREGATES)).await?;
    let list = list.get("aggregates").and_then(Value::as_array);
    let mut list = list.into_iter().flatten();
    let ours = list.find(|one| one.get("name").and_then(Value::as_str) == Some(&mark));
    Ok(ours.map(id_of))
}

async fn shown(work: &Work<'_>, id: &str) -> Result<Option<Value>, Why> {
    let target = format!("{AGGREGATES}/{}", encoded(id));
    match work.ask(&Ask::get("compute", target)).await {
        Ok(body) => Ok(Some(inner(&body, "aggregate"))),
        Err(why) if why.is_not_found() => Ok(None),
        Err(why) => Err(why.into()),
    }
}

fn lost(id: &str) -> Outcome {
    let why = format!("aggregate {id} is not there any more");
    Outcome::Failed(Seen::missing(), why)
}

pub(super) async fn look(work: &Work<'_>) -> Did {
    let id = work.physical().unwrap_or_default();
    let found = shown(work, id).await?;
    Ok(found.map_or_else(|| lost(id), |found| Outcome::Done(Seen::thing(id, found))))
}

async fn act(work: &Work<'_>, id: &str, action: &str, given: Value) -> Result<(), Why> {
    let target = format!("{AGGREGATES}/{}/action", encoded(id));
    let body = json!({ action: given });
    crash_point!("aggregate.act");
    work.ask(&Ask::post("compute", target, &body)).await?;
    crash_point!("aggregate.acted");
    Ok(())
}

fn texts(list: Option<&Value>) -> Vec<&str> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// What differs from the metadata that is wanted; what nobody wants any more is set to nothing. The zone is among them.
fn metadata(work: &Work<'_>, now: &Value) -> Map<String, Value> {
    const ZONE: &str = "availability_zone";
    let wanted = work.prop("metadata").and_then(Value::as_object);
    let now = now.get("metadata").and_then(Value::as_object);
    let mut out = Map::new();
    for (key, value) in wanted.into_iter().flatten() {
        let value = json!(crate::model::function::shown(value));
        if now.and_then(|now| now.get(key)) != Some(&value) {
            out.insert(key.clone(), value);
        }
    }
    for (key, _) in now.into_iter().flatten() {
        let kept = wanted.is_some_and(|wanted| wanted.contains_key(key));
        if !kept && key != ZONE {
            out.insert(key.clone(), Value::Null);
        }
    }
    let zone = work
        .prop(ZONE)
        .or_else(|| wanted.and_then(|wanted| wanted.get(ZONE)));
    let zone = zone.cloned().unwrap_or_default();
    let same = now.and_then(|now| now.get(ZONE)).unwrap_or(&Value::Null) == &zone;
    if !same {
        out.insert(ZONE.to_owned(), zone);
    }
    out
}

/// Makes of the aggregate what is wanted: its name, its metadata with the zone, its hosts.
async fn settle(work: &Work<'_>, id: &str) -> Did {
    let Some(now) = shown(work, id).await? else {
        return Ok(lost(id));
    };
    let name = work.text("name").unwrap_or_default();
    if now.get("name").and_then(Value::as_str) != Some(name) {
        let body = json!({"aggregate": {"name": name}});
        let target = format!("{AGGREGATES}/{}", encoded(id));
        crash_point!("aggregate.name");
        work.ask(&Ask::put("compute", target, &body)).await?;
        crash_point!("aggregate.named");
    }
    let metadata = metadata(work, &now);
    if !metadata.is_empty() {
        act(work, id, "set_metadata", json!({ "metadata": metadata })).await?;
    }
    let (there, wanted) = (texts(now.get("hosts")), texts(work.prop("hosts")));
    for host in there.iter().filter(|host| !wanted.contains(host)) {
        act(work, id, "remove_host", json!({ "host": host })).await?;
    }
    for host in wanted.iter().filter(|host| !there.contains(host)) {
        act(work, id, "add_host", json!({ "host": host })).await?;
    }
    look(work).await
}

pub(super) async fn remove(work: &Work<'_>) -> Did {
    let id = match work.physical() {
        Some(id) => id.to_owned(),
        None if !work.row.begun() => return Ok(Outcome::Done(Seen::default())),
        None => match marked(work).await? {
            Some(id) => id,
            None => return Ok(Outcome::Done(Seen::default())),
        },
    };
    let Some(now) = shown(work, &id).await? else {
        return Ok(Outcome::Done(Seen::default()));
    };
    for host in texts(now.get("hosts")) {
        act(work, &id, "remove_host", json!({ "host": host })).await?;
    }
    let target = format!("{AGGREGATES}/{}", encoded(&id));
    crash_point!("aggregate.remove");
    let sent = work.ask(&Ask::delete("compute", target)).await;
    crash_point!("aggregate.removed");
    gone(sent)
}
