//! How volumes of a type are encrypted. The resource is called as the type: a type has one encryption at most.

use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::{Did, Outcome, Seen, Why, Work, gone};
use crate::model::function::shown;
use crate::peers::{Ask, encoded};

/// Goes on at once, when what was seen is noted.
const AT_ONCE: Duration = Duration::ZERO;
/// What stands for the encryption of a type in a path; a type has no other.
const THE_ONE: &str = "provider";

fn path(work: &Work<'_>, rest: &str) -> String {
    format!("/v3/{}/types/{rest}", work.stack.project_id)
}

/// What the type says now; none when its volumes are not encrypted.
async fn now(work: &Work<'_>, id: &str) -> Result<Option<Value>, Why> {
    let target = path(work, &format!("{}/encryption", encoded(id)));
    let found = work.ask(&Ask::get("block", target)).await?;
    Ok(found.get("encryption_id").is_some().then_some(found))
}

fn wanted(work: &Work<'_>) -> Map<String, Value> {
    let all = ["provider", "control_location", "cipher", "key_size"];
    let given = |name: &'static str| {
        let value = work.prop(name).cloned().unwrap_or_default();
        (name.to_owned(), value)
    };
    all.into_iter().map(given).collect()
}

fn is_as(now: &Value, wanted: &Map<String, Value>) -> bool {
    let word = |value: Option<&Value>| value.filter(|value| !value.is_null()).map(shown);
    wanted
        .iter()
        .all(|(key, value)| word(now.get(key)) == word(Some(value)))
}

/// Has volumes of the type be encrypted as is wanted now.
pub(super) async fn ensure(work: &Work<'_>) -> Did {
    let Some(id) = work.physical() else {
        return begin(work).await;
    };
    let wanted = wanted(work);
    let body = json!({ "encryption": wanted });
    match now(work, id).await? {
        Some(now) if is_as(&now, &wanted) => return Ok(Outcome::Done(Seen::thing(id, now))),
        Some(_other) => {
            let target = path(work, &format!("{}/encryption/{THE_ONE}", encoded(id)));
            work.ask(&Ask::put("block", target, &body)).await?;
        }
        None => {
            let target = path(work, &format!("{}/encryption", encoded(id)));
            crash_point!("encryption.create");
            work.ask(&Ask::post("block", target, &body)).await?;
            crash_point!("encryption.created");
        }
    }
    Ok(Outcome::Wait(Seen::id(id), AT_ONCE))
}

/// Notes which type it is, if that has no encryption that is somebody else's.
async fn begin(work: &Work<'_>) -> Did {
    let word = work.text("volume_type").unwrap_or_default();
    let target = path(work, &encoded(word));
    let kind = work.ask(&Ask::get("block", target)).await?;
    let id = kind.pointer("/volume_type/id").and_then(Value::as_str);
    let id = id.unwrap_or(word);
    if now(work, id).await?.is_some() {
        let why = format!("Volume type encryption for type {id} already exists.");
        return Ok(Outcome::Failed(Seen::default(), why));
    }
    Ok(Outcome::Wait(Seen::id(id), AT_ONCE))
}

/// Whether it is still there.
pub(super) async fn look(work: &Work<'_>) -> Did {
    let id = work.physical().unwrap_or_default();
    Ok(match now(work, id).await? {
        Some(now) => Outcome::Done(Seen::thing(id, now)),
        None => {
            let why = format!("the encryption of volume type {id} is not there any more");
            Outcome::Failed(Seen::default(), why)
        }
    })
}

pub(super) async fn remove(work: &Work<'_>) -> Did {
    let Some(id) = work.physical() else {
        return Ok(Outcome::Done(Seen::default()));
    };
    let target = path(work, &format!("{}/encryption/{THE_ONE}", encoded(id)));
    crash_point!("encryption.remove");
    let sent = work.ask(&Ask::delete("block", target)).await;
    crash_point!("encryption.removed");
    gone(sent)
}
