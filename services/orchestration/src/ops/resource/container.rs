//! Containers of the object service.
//!
//! No property of one can be changed, as in the original: another one takes its place. One that is given the name of the
//! one whose place it takes is the same container, which then stays, with everything in it.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::{Did, Outcome, Seen, Why, Work, gone};
use crate::model::function::shown;
use crate::model::stack::{Resource, physical_name};
use crate::peers::{Ask, encoded};

/// Objects that one step deletes.
const AT_ONCE: usize = 32;

type Headers = Vec<(HeaderName, String)>;

fn name(work: &Work<'_>) -> String {
    let given = work.physical().or_else(|| work.text("name"));
    let given = given.filter(|name| !name.is_empty()).map(str::to_owned);
    let (stack, row) = (&work.stack.name, work.row);
    given.unwrap_or_else(|| physical_name(stack, &row.name, &row.id))
}

fn account(work: &Work<'_>) -> String {
    format!("/v1/AUTH_{}", encoded(&work.stack.project_id))
}

fn place(work: &Work<'_>, name: &str) -> String {
    format!("{}/{}", account(work), encoded(name))
}

fn ask(method: Method, target: String, headers: Headers) -> Ask<'static> {
    Ask::bare("object", method, target, headers)
}

/// Makes the container; one that is there already is taken over, as the object service itself does.
pub(super) async fn ensure(work: &Work<'_>) -> Did {
    let name = name(work);
    if work.physical().is_some() {
        return look(work, &name).await;
    }
    if !work.row.data.contains_key("free") {
        // Noted before it is made: whether it is this resource that makes it.
        let free = head(work, &name).await?.is_none();
        let seen = Seen::default()
            .with("free", free)
            .with("url", url(work).await?);
        return Ok(Outcome::Wait(seen, Duration::ZERO));
    }
    let before = twin(work, &name, true).map(|old| &old.properties);
    let headers = headers(&work.row.properties, before)?;
    let of_account = metadata("X-Account-Meta", &work.row.properties, None)?;
    crash_point!("container.create");
    work.ask(&ask(Method::PUT, place(work, &name), headers))
        .await?;
    crash_point!("container.created");
    if !of_account.is_empty() {
        work.ask(&ask(Method::POST, account(work), of_account))
            .await?;
    }
    look(work, &name).await
}

/// What the container is like.
pub(super) async fn look(work: &Work<'_>, name: &str) -> Did {
    Ok(match head(work, name).await? {
        Some(headers) => Outcome::Done(Seen::thing(name, Value::Object(headers))),
        None => Outcome::Failed(
            Seen::missing(),
            format!("container {name} is not there any more"),
        ),
    })
}

/// The same of a container that the stack only uses.
pub(super) async fn look_external(work: &Work<'_>, name: &str) -> Did {
    let url = url(work).await?;
    Ok(match look(work, name).await? {
        Outcome::Done(seen) => Outcome::Done(seen.with("url", url)),
        other => other,
    })
}

async fn head(work: &Work<'_>, name: &str) -> Result<Option<Map<String, Value>>, Why> {
    let ask = ask(Method::HEAD, place(work, name), Vec::new());
    match work.ask_headers(&ask).await {
        Ok(headers) => Ok(Some(headers)),
        Err(why) if why.is_not_found() => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// Where the outside finds the containers of the project.
async fn url(work: &Work<'_>) -> Result<Value, Why> {
    let catalog = work.ask(&Ask::get("identity", "/v3/auth/catalog")).await?;
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned();
    let services = list(&catalog, "catalog").unwrap_or_default();
    let is =
        |value: &Value, key: &str, word: &str| value.get(key).and_then(Value::as_str) == Some(word);
    let mut endpoints = services
        .iter()
        .filter(|service| is(service, "type", "object-store"))
        .flat_map(|service| list(service, "endpoints").unwrap_or_default());
    let public = endpoints.find(|endpoint| is(endpoint, "interface", "public"));
    Ok(public
        .and_then(|endpoint| endpoint.get("url").cloned())
        .unwrap_or_default())
}

/// Another making of the resource that has the same container: one whose place this one takes, or the one that counts.
fn twin<'a>(work: &'a Work<'_>, name: &str, superseded: bool) -> Option<&'a Resource> {
    let rows = &work.view?.resources;
    rows.iter().find(|other| {
        other.id != work.row.id
            && other.name == work.row.name
            && other.superseded == superseded
            && other.target == work.row.target
            && other.physical_id.as_deref() == Some(name)
    })
}

/// Access lists and metadata; what was there before and is not any more is taken away.
fn headers(
    props: &Map<String, Value>,
    before: Option<&Map<String, Value>>,
) -> Result<Headers, Why> {
    let mut out = metadata("X-Container-Meta", props, before)?;
    for access in ["X-Container-Read", "X-Container-Write"] {
        let of = |props: &Map<String, Value>| {
            props.get(access).filter(|list| !list.is_null()).map(shown)
        };
        match (of(props), before.and_then(of)) {
            (Some(list), _) => out.push(header(access, list)?),
            (None, Some(_)) => out.push(header(access, String::new())?),
            (None, None) => {}
        }
    }
    Ok(out)
}

/// `X-Container-Meta-…` or `X-Account-Meta-…`.
fn metadata(
    title: &str,
    props: &Map<String, Value>,
    before: Option<&Map<String, Value>>,
) -> Result<Headers, Why> {
    let of = |props: &Map<String, Value>| -> Vec<(String, String)> {
        let meta = props.get(title).and_then(Value::as_object);
        meta.into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), shown(value)))
            .collect()
    };
    let mut pairs = of(props);
    for (key, _) in before.map(of).unwrap_or_default() {
        if !pairs
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(&key))
        {
            pairs.push((key, String::new()));
        }
    }
    pairs
        .into_iter()
        .map(|(key, value)| header(&format!("{title}-{key}"), value))
        .collect()
}

fn header(name: &str, value: String) -> Result<(HeaderName, String), Why> {
    let wrong =
        |what: &str| Why::Refused(format!("The {what} of \"{name}\" cannot be a header's."));
    let name_of = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("name"))?;
    HeaderValue::from_str(&value).map_err(|_| wrong("value"))?;
    Ok((name_of, value))
}

/// Removes the container, and what is in it if that was said; done when nothing of it is left.
pub(super) async fn remove(work: &Work<'_>) -> Did {
    let ours = work.row.data.get("free").and_then(Value::as_bool) == Some(true);
    if work.physical().is_none() && !ours {
        return Ok(Outcome::Done(Seen::default()));
    }
    let name = name(work);
    if let Some(now) = twin(work, &name, false) {
        // It is the same container: it becomes what is said of it now, on the way back, too.
        let headers = headers(&now.properties, Some(&work.row.properties))?;
        work.ask(&ask(Method::POST, place(work, &name), headers))
            .await?;
        return Ok(Outcome::Done(Seen::default()));
    }
    let target = format!("{}?format=json&limit={AT_ONCE}", place(work, &name));
    let listed = match work.ask(&Ask::get("object", target)).await {
        Ok(listed) => listed,
        Err(why) if why.is_not_found() => return Ok(Outcome::Done(Seen::default())),
        Err(why) => return Err(why.into()),
    };
    let objects = listed.as_array().cloned().unwrap_or_default();
    if objects.is_empty() {
        crash_point!("container.remove");
        let target = place(work, &name);
        let sent = work.ask(&Ask::delete("object", target)).await;
        crash_point!("container.removed");
        return gone(sent);
    }
    if work.prop("PurgeOnDelete") != Some(&json!(true)) {
        return Err(Why::Refused(format!(
            "Deleting non-empty container ({name}) when PurgeOnDelete is False is not supported for resource."
        )));
    }
    for object in &objects {
        let object = object.get("name").and_then(Value::as_str);
        let Some(object) = object else { continue };
        let object: Vec<String> = object.split('/').map(encoded).collect();
        let target = format!("{}/{}", place(work, &name), object.join("/"));
        gone(work.ask(&Ask::delete("object", target)).await)?;
    }
    Ok(Outcome::Wait(Seen::default(), Duration::ZERO))
}

/// Attributes of a container: its headers are what was seen of it.
pub(crate) fn attributes(row: &Resource) -> Map<String, Value> {
    let headers = row.observed.as_object().cloned().unwrap_or_default();
    let root = row
        .data
        .get("url")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let root = root.trim_end_matches('/');
    let host = root.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    let name = row.physical_id.as_deref().unwrap_or_default();
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let pairs = [
        ("DomainName", json!(host)),
        ("WebsiteURL", json!(format!("{root}/{name}"))),
        ("RootURL", json!(root)),
        ("ObjectCount", header("x-container-object-count")),
        ("BytesUsed", header("x-container-bytes-used")),
        ("HeadContainer", json!(headers)),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
