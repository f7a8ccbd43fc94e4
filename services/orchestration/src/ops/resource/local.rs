//! Resources that need nobody else.

use std::time::Duration;

use nephos_types::Timestamp;
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use serde_json::{Map, Value, json};

use super::{Did, Outcome, Seen, Why, Work};
use crate::model::function::shown;
use crate::model::parameter::{number, truth};
use crate::model::stack::ResourceId;
use crate::ops::LOOK_AGAIN;
use crate::store::resources;
use crate::store::signals::{self, Signal};

/// The value in the type that is asked for.
pub(super) fn value(work: &Work<'_>) -> Did {
    let given = work.prop("value").cloned().unwrap_or_default();
    let wrong = |kind: &str| Why::Refused(format!("The value \"{}\" is no {kind}.", shown(&given)));
    let value = match work.text("type") {
        Some("string") => json!(shown(&given)),
        Some("number") => number(&given).ok_or_else(|| wrong("number"))?,
        Some("json") => match &given {
            Value::String(text) => {
                let read = serde_json::from_str(text).ok();
                let read = read.filter(|read: &Value| read.is_object() || read.is_array());
                read.ok_or_else(|| wrong("JSON document"))?
            }
            other => other.clone(),
        },
        Some("boolean") => json!(truth(&given).ok_or_else(|| wrong("boolean"))?),
        Some("comma_delimited_list") => match &given {
            Value::Array(_) => given.clone(),
            other => shown(other)
                .split(',')
                .map(|item| Value::from(item.trim()))
                .collect(),
        },
        _as_it_is => given,
    };
    Ok(Outcome::Done(
        Seen::id(work.row.id.0.clone()).with("value", value),
    ))
}

/// A server that somebody else has made: it is this resource, under its id.
pub(super) fn deployed_server(work: &Work<'_>) -> Outcome {
    let observed = json!({"name": work.thing_name()});
    Outcome::Done(Seen::thing(work.row.id.0.clone(), observed))
}

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";

fn class(name: &str) -> String {
    match name {
        "letters" => format!("{LOWER}{UPPER}"),
        "lowercase" => LOWER.to_owned(),
        "uppercase" => UPPER.to_owned(),
        "digits" => DIGITS.to_owned(),
        "hexdigits" => format!("{DIGITS}abcdef"),
        "octdigits" => "01234567".to_owned(),
        _lettersdigits => format!("{LOWER}{UPPER}{DIGITS}"),
    }
}

/// A random text that has so many of each class.
pub(super) fn random_string(work: &Work<'_>) -> Did {
    if let Some(made) = work.row.data.get("value") {
        return Ok(Outcome::Done(
            Seen::id(work.thing_name()).with("value", made.clone()),
        ));
    }
    let number = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(1)
    };
    let length = work
        .prop("length")
        .and_then(Value::as_u64)
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(32);
    let list = |name: &str| {
        work.prop(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut sets: Vec<(Vec<String>, usize)> = Vec::new();
    for entry in list("character_classes") {
        let letters = class(
            entry
                .get("class")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        );
        sets.push((
            letters.chars().map(String::from).collect(),
            number(&entry, "min"),
        ));
    }
    for entry in list("character_sequences") {
        let sequence = entry.get("sequence").map(shown).unwrap_or_default();
        sets.push((vec![sequence], number(&entry, "min")));
    }
    // The older property is a class of which one character must be there.
    if let Some(older) = work.text("sequence").filter(|_| sets.is_empty()) {
        sets.push((class(older).chars().map(String::from).collect(), 1));
    }
    // Who says nothing of classes has letters and digits, beside any sequences, too.
    let said = work.prop("character_classes").is_some() || work.text("sequence").is_some();
    if !said || sets.is_empty() {
        let any = class("lettersdigits").chars().map(String::from).collect();
        sets.insert(0, (any, 1));
    }
    let mut rng = rand::rng();
    let mut pick = |set: &[String]| {
        let at = rng.random_range(0..set.len().max(1));
        set.get(at).cloned().unwrap_or_default()
    };
    let mut parts: Vec<String> = Vec::new();
    for (set, least) in &sets {
        parts.extend((0..*least).map(|_| pick(set)));
    }
    let mut long: usize = parts.iter().map(|part| part.chars().count()).sum();
    if long > length {
        return Err(Why::Refused(format!(
            "Length property cannot be smaller than combined character class and character sequence minimums ({long} characters)."
        )));
    }
    let letters: Vec<String> = sets
        .iter()
        .flat_map(|(set, _)| set.iter().filter(|part| part.chars().count() == 1).cloned())
        .collect();
    while long < length && !letters.is_empty() {
        parts.push(pick(&letters));
        long += 1;
    }
    parts.shuffle(&mut rand::rng());
    Ok(Outcome::Done(
        Seen::id(work.thing_name()).with("value", parts.concat()),
    ))
}

/// What waits without an end looks again after this long.
const LONG: Duration = Duration::from_secs(3600);

/// Waits as long as it is told, then succeeds or fails as it is told.
pub(super) fn test(work: &Work<'_>, action: &str) -> Did {
    let seen = || {
        Seen::id(
            work.physical()
                .map_or_else(|| work.thing_name(), str::to_owned),
        )
    };
    let own = work
        .prop("action_wait_secs")
        .and_then(|waits| waits.get(action))
        .and_then(Value::as_f64);
    let secs = own
        .or_else(|| work.prop("wait_secs").and_then(Value::as_f64))
        .unwrap_or(0.0);
    if let Some(waits) = waiting(work, action, secs, seen()) {
        return Ok(waits);
    }
    if action != "delete" && work.prop("fail").and_then(Value::as_bool) == Some(true) {
        return Ok(Outcome::Failed(
            seen(),
            "Test Resource failed".to_owned() + " " + &work.row.name,
        ));
    }
    Ok(Outcome::Done(seen()))
}

/// Takes its time upon the actions that it is told.
pub(super) fn delay(work: &Work<'_>, action: &str) -> Outcome {
    let seen = Seen::id(
        work.physical()
            .map_or_else(|| work.thing_name(), str::to_owned),
    );
    let actions = work.prop("actions").and_then(Value::as_array);
    if !actions.into_iter().flatten().any(|wanted| wanted == action) {
        return Outcome::Done(seen);
    }
    let number = |name: &str| work.prop(name).and_then(Value::as_f64).unwrap_or(0.0);
    let jitter = number("max_jitter") * number("jitter_multiplier");
    let secs = number("min_wait") + jitter * rand::rng().random::<f64>();
    waiting(work, action, secs, seen.clone()).unwrap_or(Outcome::Done(seen))
}

/// The wait of so many seconds (without an end, if they are less than none) that began with the first look; nothing when
/// it is over.
fn waiting(work: &Work<'_>, action: &str, secs: f64, seen: Seen) -> Option<Outcome> {
    if secs == 0.0 {
        return None;
    }
    // Each attempt waits anew: what was noted for another action or generation does not count.
    let mark = format!("{action} {}", work.stack.generation);
    let noted = work.row.data.get("waits_for").and_then(Value::as_str) == Some(mark.as_str());
    let until = work.row.data.get("until").and_then(Value::as_i64);
    let until = until.filter(|_| noted).map(Timestamp);
    let now = work.cx.now();
    let Some(until) = until else {
        let for_ever = secs < 0.0;
        let wait = if for_ever {
            LONG
        } else {
            Duration::try_from_secs_f64(secs).unwrap_or(LONG)
        };
        let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        let until = if for_ever {
            i64::MAX
        } else {
            now.0.saturating_add(micros)
        };
        let seen = seen.with("until", until).with("waits_for", mark);
        return Some(Outcome::Wait(seen, wait.min(LONG)));
    };
    if now >= until {
        return None;
    }
    let left = u64::try_from(until.0.saturating_sub(now.0)).unwrap_or(0);
    Some(Outcome::Wait(
        Seen::default(),
        Duration::from_micros(left).min(LONG),
    ))
}

/// The secret of a URL by which a resource is signalled.
pub(crate) fn new_key() -> String {
    format!(
        "{}{}",
        nephos_runtime::ids::hex(),
        nephos_runtime::ids::hex()
    )
}

/// A URL at which anybody who has it may signal the resource, and the secret in it.
pub(super) fn endpoint(work: &Work<'_>) -> (String, String) {
    let known = work
        .row
        .data
        .get("signal_key")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let key = known.unwrap_or_else(new_key);
    let url = format!(
        "{}{}/resources/{}/signal?signal_id={}&signal_key={key}",
        work.cx.config.public_url,
        work.stack.path(),
        crate::peers::encoded(&work.row.name),
        work.row.id,
    );
    (url, key)
}

pub(super) fn handle(work: &Work<'_>) -> Outcome {
    let (url, key) = endpoint(work);
    let method = verb(work.text("signal_transport"));
    let curl = format!(
        "curl -i -X {method} -H 'Content-Type: application/json' -H 'Accept: application/json' '{url}'"
    );
    let signal = json!({"alarm_url": url, "method": method}).to_string();
    let seen = Seen::id(work.row.id.0.clone())
        .with("signal_key", key)
        .with("endpoint", url)
        .with("curl_cli", curl)
        .with("signal", signal);
    // A URL that something is put to never needs one.
    let token = work.row.target == "OS::Heat::SwiftSignalHandle";
    Outcome::Done(if token { seen.with("token", "") } else { seen })
}

/// How a URL is signalled; both are taken, whatever is said. What says nothing of its way is signalled as CloudFormation's
/// clients do.
pub(super) fn verb(transport: Option<&str>) -> &'static str {
    match transport {
        Some("TOKEN_SIGNAL" | "HEAT_SIGNAL" | "NO_SIGNAL") => "POST",
        _put_to => "PUT",
    }
}

pub(super) fn policy(work: &Work<'_>) -> Outcome {
    let (url, key) = endpoint(work);
    Outcome::Done(
        Seen::id(work.row.id.0.clone())
            .with("signal_key", key)
            .with("endpoint", url),
    )
}

/// The handle's row that a reference means: its id, or a URL with it.
fn handle_id(reference: &str) -> ResourceId {
    let id = reference
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix("signal_id="));
    ResourceId::from(id.unwrap_or(reference))
}

/// Waits for as many signals as it is told.
pub(super) async fn wait(work: &Work<'_>) -> Did {
    let id = handle_id(work.text("handle").unwrap_or_default());
    let handle = resources::find(work.cx.db(), &id).await?;
    let Some(handle) = handle else {
        return Err(Why::Refused(format!("{id} is no wait condition handle.")));
    };
    let own = crate::store::stacks::find(work.cx.db(), &handle.stack_id).await?;
    if own.is_none_or(|own| own.project_id != work.stack.project_id) {
        return Err(Why::Refused(format!("{id} is no wait condition handle.")));
    }
    let mut came = signals::of_resource(work.cx.db(), &id).await?;
    let name = || work.thing_name();
    let wanted = work.prop("count").and_then(Value::as_u64).unwrap_or(1);
    let way = handle.properties.get("signal_transport");
    if way.and_then(Value::as_str) == Some("NO_SIGNAL") {
        let all = 1..=wanted;
        came.extend(all.map(|number| Signal::silent(number.to_string())));
    }
    let words = if work.row.target == "OS::Heat::SwiftSignal" {
        "SwiftSignal"
    } else {
        "WaitCondition"
    };
    if let Some(failed) = came.iter().find(|signal| signal.status != "SUCCESS") {
        return Ok(Outcome::Failed(
            Seen::id(name()),
            format!("{words}Failure: {}", failed.reason),
        ));
    }
    if came.len() as u64 >= wanted {
        let data: Map<String, Value> = came
            .into_iter()
            .map(|signal| (signal.name, signal.data))
            .collect();
        return Ok(Outcome::Done(
            Seen::id(name()).with("data", Value::Object(data).to_string()),
        ));
    }
    let now = work.cx.now();
    let until = work
        .row
        .data
        .get("until")
        .and_then(Value::as_i64)
        .map(Timestamp);
    let Some(until) = until else {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most 43200, as the property says"
        )]
        let secs = work
            .prop("timeout")
            .and_then(Value::as_f64)
            .unwrap_or(0.0)
            .ceil() as i64;
        return Ok(Outcome::Wait(
            Seen::default().with("until", now.plus_secs(secs).0),
            LOOK_AGAIN,
        ));
    };
    if now >= until {
        return Ok(Outcome::Failed(
            Seen::id(name()),
            format!("{words}Timeout: {} of {wanted} received", came.len()),
        ));
    }
    let left = u64::try_from(until.0.saturating_sub(now.0))
        .unwrap_or(0)
        .clamp(1, 3_600_000_000);
    Ok(Outcome::Wait(Seen::default(), Duration::from_micros(left)))
}
