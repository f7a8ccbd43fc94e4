//! Load balancers and their parts. While one of them changes, the service may refuse another change of the same load
//! balancer: it is asked again. A thing is made, changed or removed when the service says that it is done.
//!
//! A new thing is tagged with the mark of its resource, by which it is found if its id was not noted.

use std::time::Duration;

use nephos_peer::PeerError;
use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::{Did, Outcome, Seen, Why, Work, gone, inner, rest};
use crate::model::kind::Balancing;
use crate::model::stack::Resource;
use crate::peers::{Ask, encoded};

const SERVICE: &str = "load-balancer";
const ROOT: &str = "/v2/lbaas";

/// Where the id of the thing is noted to whose collection this one belongs.
const WITHIN: &str = "within";
/// Where it is noted for which generation of the stack the service was told of a change.
const CHANGED: &str = "changed_for";
/// Where the operation is noted that has told the service to remove it: another one tells it again.
const ASKED: &str = "removal_asked";

/// What is under way is soon done.
const SOON: Duration = Duration::from_secs(1);

fn text<'a>(thing: &'a Value, name: &str) -> &'a str {
    thing.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn noted<'a>(work: &'a Work<'_>) -> &'a str {
    let id = work.row.data.get(WITHIN).and_then(Value::as_str);
    id.unwrap_or_default()
}

fn collection(work: &Work<'_>, kind: &Balancing) -> String {
    match kind.within {
        Some((_, above)) => format!("{ROOT}/{above}/{}/{}", encoded(noted(work)), kind.many),
        None => format!("{ROOT}/{}", kind.many),
    }
}

/// Where a thing is that the stack only uses, if an id alone says that.
pub(super) fn place(kind: &Balancing, id: &str) -> Option<(&'static str, String, &'static str)> {
    let target = format!("{ROOT}/{}/{}", kind.many, encoded(id));
    kind.within.is_none().then_some((SERVICE, target, kind.one))
}

/// What others may know of it: what the service shows, and that to which it belongs.
pub(crate) fn attributes(row: &Resource, kind: &Balancing) -> Map<String, Value> {
    let mut seen = row.observed.as_object().cloned().unwrap_or_default();
    if let Some((above, _)) = kind.within {
        let id = row.data.get(WITHIN).cloned();
        seen.insert(format!("{above}_id"), id.unwrap_or_default());
    }
    seen
}

/// The id of a thing that is named by its id or name.
async fn id_of(work: &Work<'_>, many: &str, given: &str) -> Result<String, Why> {
    match many {
        "subnets" => rest::id_of(work, many, given).await,
        _own => rest::id_in(work, (SERVICE, ROOT, many), given).await,
    }
}

/// Whether it may be done later: another change of the load balancer is not done yet.
fn immutable(why: &PeerError) -> bool {
    why.is_conflict() && why.message.contains("immutable")
}

/// How far the service is with a thing, and how the outcome is if it is done.
fn came(id: &str, thing: Value) -> Outcome {
    let status = text(&thing, "provisioning_status").to_owned();
    let why = Some(text(&thing, "fault")).filter(|why| !why.is_empty());
    let why = format!(
        "Went to status {status} due to \"{}\"",
        why.unwrap_or("Unknown")
    );
    let seen = Seen::thing(id, thing);
    match status.as_str() {
        "ACTIVE" => Outcome::Done(seen),
        "ERROR" => Outcome::Failed(seen, why),
        _under_way => Outcome::Wait(seen, SOON),
    }
}

/// Makes the thing, unless a try that was cut off has, and waits until it is active.
pub(super) async fn ensure(work: &Work<'_>, kind: &Balancing) -> Did {
    if let Some(id) = work.physical() {
        return settled(work, kind, id).await;
    }
    if let Some((prop, above)) = kind.within
        && noted(work).is_empty()
    {
        // Noted before anything is made: there it is found again.
        let id = id_of(work, above, work.text(prop).unwrap_or_default()).await?;
        let seen = Seen::default().with(WITHIN, id);
        return Ok(Outcome::Wait(seen, Duration::ZERO));
    }
    if !work.fresh
        && let Some(thing) = marked(work, kind).await?
    {
        return Ok(made(thing));
    }
    let mut body = fields(work, kind, None).await?;
    body.insert("tags".to_owned(), tags(work));
    if kind.named {
        let name = body.entry("name");
        name.or_insert_with(|| json!(work.thing_name()));
    }
    let body = json!({ kind.one: body });
    crash_point!("balancing.create");
    let ask = Ask::post(SERVICE, collection(work, kind), &body);
    let sent = work.ask(&ask).await;
    crash_point!("balancing.created");
    match sent {
        Ok(body) => Ok(made(inner(&body, kind.one))),
        Err(why) if immutable(&why) => Ok(Outcome::Wait(Seen::default(), SOON)),
        Err(why) => Err(why.into()),
    }
}

/// Its id is noted before anything else.
fn made(thing: Value) -> Outcome {
    let id = text(&thing, "id").to_owned();
    Outcome::Wait(Seen::thing(id, thing), Duration::ZERO)
}

/// The template's tags, and the mark.
fn tags(work: &Work<'_>) -> Value {
    let given = work.prop("tags").and_then(Value::as_array);
    let mut tags = given.cloned().unwrap_or_default();
    tags.push(json!(work.mark()));
    Value::Array(tags)
}

/// The thing of a try that was cut off.
async fn marked(work: &Work<'_>, kind: &Balancing) -> Result<Option<Value>, Why> {
    if kind.within.is_some() && noted(work).is_empty() {
        return Ok(None);
    }
    let mark = encoded(&work.mark());
    let target = format!("{}?tags={mark}", collection(work, kind));
    match work.ask(&Ask::get(SERVICE, target)).await {
        Ok(list) => Ok(list.pointer(&format!("/{}/0", kind.many)).cloned()),
        // That to which it belongs is gone, and it with that.
        Err(why) if why.is_not_found() => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// The fields of the body; with `only`, those of changed properties: one that is taken away is what it would be if it had
/// never been given.
async fn fields(
    work: &Work<'_>,
    kind: &Balancing,
    only: Option<&[String]>,
) -> Result<Map<String, Value>, Why> {
    let mut body = Map::new();
    for prop in work.kind.into_iter().flat_map(|kind| kind.props) {
        let name = prop.name;
        let counts = only.is_none_or(|only| only.iter().any(|one| one == name));
        if !counts || kind.within.is_some_and(|(within, _)| within == name) {
            continue;
        }
        let named = kind.names.iter().find(|(one, ..)| *one == name);
        let field = named.map_or(name, |(_, field, _)| *field);
        let value = match (work.prop(name), named) {
            (Some(Value::String(given)), Some((.., many))) if !many.is_empty() => {
                json!(id_of(work, many, given).await?)
            }
            (Some(given), _) => given.clone(),
            (None, _) if only.is_none() => continue,
            (None, _) if name == "name" => json!(work.thing_name()),
            (None, _) => Value::Null,
        };
        body.insert(field.to_owned(), value);
    }
    if body.contains_key("tags") {
        body.insert("tags".to_owned(), tags(work));
    }
    Ok(body)
}

/// Tells the service once what is to be otherwise, and waits until it is.
pub(super) async fn change(work: &Work<'_>, kind: &Balancing) -> Did {
    let Some(id) = work.physical() else {
        return ensure(work, kind).await;
    };
    let generation = json!(work.stack.generation);
    if work.row.data.get(CHANGED) == Some(&generation) {
        return settled(work, kind, id).await;
    }
    let names = rest::to_change(work);
    let body = fields(work, kind, Some(&names)).await?;
    if !body.is_empty() {
        let target = format!("{}/{}", collection(work, kind), encoded(id));
        let body = json!({ kind.one: body });
        crash_point!("balancing.change");
        let sent = work.ask(&Ask::put(SERVICE, target, &body)).await;
        crash_point!("balancing.changed");
        match sent {
            Err(why) if immutable(&why) => return Ok(Outcome::Wait(Seen::default(), SOON)),
            sent => drop(sent?),
        }
    }
    let seen = Seen::default().with(CHANGED, generation);
    Ok(Outcome::Wait(seen, Duration::ZERO))
}

/// The thing as it is now; nothing if it is gone.
async fn shown(work: &Work<'_>, kind: &Balancing, id: &str) -> Result<Option<Value>, Why> {
    let target = format!("{}/{}", collection(work, kind), encoded(id));
    match work.ask(&Ask::get(SERVICE, target)).await {
        Ok(body) => Ok(Some(inner(&body, kind.one))),
        Err(why) if why.is_not_found() => Ok(None),
        Err(why) => Err(why.into()),
    }
}

fn lost(kind: &Balancing, id: &str) -> Outcome {
    let why = format!("{} {id} is not there any more", kind.one);
    Outcome::Failed(Seen::missing(), why)
}

async fn settled(work: &Work<'_>, kind: &Balancing, id: &str) -> Did {
    let thing = shown(work, kind, id).await?;
    Ok(thing.map_or_else(|| lost(kind, id), |thing| came(id, thing)))
}

/// Whether the thing is there and not in error; what is under way is no failure.
pub(super) async fn look(work: &Work<'_>, kind: &Balancing) -> Did {
    let id = work.physical().unwrap_or_default();
    Ok(match settled(work, kind, id).await? {
        Outcome::Wait(seen, _) => Outcome::Done(seen),
        done => done,
    })
}

/// Removes the thing, also one whose making was cut off, and waits until it is gone.
pub(super) async fn remove(work: &Work<'_>, kind: &Balancing) -> Did {
    let done = || Ok(Outcome::Done(Seen::default()));
    let id = match work.physical() {
        Some(id) => id.to_owned(),
        None if !work.row.begun() => return done(),
        None => match marked(work, kind).await? {
            Some(thing) => text(&thing, "id").to_owned(),
            None => return done(),
        },
    };
    let Some(thing) = shown(work, kind, &id).await? else {
        return done();
    };
    let op = json!(work.op.id.as_str());
    match text(&thing, "provisioning_status") {
        "DELETED" => return done(),
        "PENDING_DELETE" => return Ok(Outcome::Wait(Seen::default(), SOON)),
        "ERROR" if work.row.data.get(ASKED) == Some(&op) => return Ok(came(&id, thing)),
        _there => {}
    }
    crash_point!("balancing.remove");
    let target = format!("{}/{}", collection(work, kind), encoded(&id));
    let sent = work.ask(&Ask::delete(SERVICE, target)).await;
    crash_point!("balancing.removed");
    match sent {
        Ok(_taken) => Ok(Outcome::Wait(Seen::default().with(ASKED, op), SOON)),
        refused => gone(refused),
    }
}
