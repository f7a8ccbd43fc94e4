//! Projects, users and the rest of what the identity service has.
//!
//! A thing is made under a name of the resource's own, by which it is found if its id was not noted, and then made what is
//! wanted: names are unique, and one that is called as wanted may be somebody else's. Regions have no names; their id is
//! chosen, and noted as free before.

use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::{Did, Outcome, Seen, Why, Work, gone, grants, inner};
use crate::model::kind::Directory;
use crate::peers::{Ask, encoded};

/// Goes on at once, when what was seen is noted.
const AT_ONCE: Duration = Duration::ZERO;

/// Where it is noted for which generation of the stack the thing was changed: what the service has taken in is not told
/// to it again, even if it shows it otherwise.
const CHANGED: &str = "changed_for";

/// Where a user notes that a new password was set in a change that is not done: what it is, nobody can see afterwards.
const LOOSE: &str = "password_loose";

/// Where a user notes the groups into which this resource has put it, or is to.
const GROUPS: &str = "groups";

fn text<'a>(thing: &'a Value, key: &str) -> &'a str {
    thing.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn collection(directory: &Directory) -> String {
    format!("/v3/{}", directory.many)
}

fn place(directory: &Directory, id: &str) -> String {
    format!("/v3/{}/{}", directory.many, encoded(id))
}

async fn seen(work: &Work<'_>, directory: &Directory, id: &str) -> Result<Option<Value>, Why> {
    match work.ask(&Ask::get("identity", place(directory, id))).await {
        Ok(body) => Ok(Some(inner(&body, directory.one))),
        Err(why) if why.is_not_found() => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// Those of a collection that are called so, in one domain or in any.
async fn called(
    work: &Work<'_>,
    many: &str,
    (name, domain): (&str, Option<&str>),
) -> Result<Vec<String>, Why> {
    let domain = domain.map(|id| format!("&domain_id={}", encoded(id)));
    let target = format!(
        "/v3/{many}?name={}{}",
        encoded(name),
        domain.unwrap_or_default()
    );
    let list = work.ask(&Ask::get("identity", target)).await?;
    let list = list.get(many).and_then(Value::as_array);
    let found = list.into_iter().flatten();
    let found = found.filter(|thing| text(thing, "name") == name);
    Ok(found.map(|thing| text(thing, "id").to_owned()).collect())
}

/// The id of a thing that is named by its id, its name, or its name and its domain: `NAME{DOMAIN}`.
pub(super) async fn named(work: &Work<'_>, many: &str, given: &str) -> Result<String, Why> {
    let one = match many.trim_end_matches('s').split_at_checked(1) {
        Some((first, rest)) => format!("{}{rest}", first.to_uppercase()),
        None => String::new(),
    };
    let missing = || Why::Refused(format!("The {one} ({given}) could not be found."));
    if given.is_empty() {
        return Err(missing());
    }
    let parts = given
        .strip_suffix('}')
        .and_then(|text| text.split_once('{'));
    let domain = match parts {
        Some((_, domain)) => Some(Box::pin(named(work, "domains", domain)).await?),
        None => None,
    };
    let name = parts.map_or(given, |(name, _)| name);
    if domain.is_none() {
        let target = format!("/v3/{many}/{}", encoded(name));
        match work.ask(&Ask::get("identity", target)).await {
            Ok(_) => return Ok(name.to_owned()),
            Err(why) if why.is_not_found() => {}
            Err(why) => return Err(why.into()),
        }
    }
    // A region is called by its id.
    if many == "regions" {
        return Err(missing());
    }
    let mut found = called(work, many, (name, domain.as_deref())).await?;
    match (found.pop(), found.is_empty()) {
        (Some(id), true) => Ok(id),
        (None, _) => Err(missing()),
        (Some(_), false) => Err(Why::Refused(format!(
            "Several {many} are called {name}; name one by its id, or with its domain: {name}{{DOMAIN}}."
        ))),
    }
}

/// What is wanted of the thing's fields, without its name.
async fn fields(work: &Work<'_>, directory: &Directory) -> Result<Map<String, Value>, Why> {
    let mut fields = Map::new();
    for field in directory.fields {
        let value = match (work.prop(field.prop), field.names) {
            (Some(value), Some(many)) => {
                let given = value.as_str().unwrap_or_default();
                json!(named(work, many, given).await?)
            }
            (Some(value), None) => value.clone(),
            (None, _) => match field.usual() {
                Some(value) => value,
                None => continue,
            },
        };
        fields.insert(field.field.to_owned(), value);
    }
    Ok(fields)
}

/// Whether a field is what it is to be: tags have no order, and no text is an empty one.
fn is(now: Option<&Value>, wanted: &Value) -> bool {
    let texts = |value: &Value| {
        let list = value.as_array()?.iter().filter_map(Value::as_str);
        Some(
            list.map(str::to_owned)
                .collect::<std::collections::BTreeSet<_>>(),
        )
    };
    let now = now.unwrap_or(&Value::Null);
    let empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    now == wanted
        || (empty(now) && empty(wanted))
        || texts(now).is_some_and(|now| Some(now) == texts(wanted))
}

fn of_regions(directory: &Directory) -> bool {
    directory.many == "regions"
}

/// Makes the thing, or makes of it what is wanted now, one step at a time.
pub(super) async fn ensure(work: &Work<'_>, directory: &Directory) -> Did {
    let Some(id) = work.physical() else {
        return make(work, directory).await;
    };
    let Some(now) = seen(work, directory, id).await? else {
        // What an update finds gone is made anew in its place: another resource could not have its name.
        return if work.row.changing_to.is_some() {
            make(work, directory).await
        } else {
            lost(directory, id)
        };
    };
    let generation = json!(work.stack.generation);
    if work.row.data.get(CHANGED) != Some(&generation) {
        let mut body = fields(work, directory).await?;
        if !of_regions(directory) {
            body.insert("name".to_owned(), json!(work.thing_name()));
        }
        body.retain(|name, wanted| !is(now.get(name), wanted));
        let before = work.row.properties.get("password");
        let loose = work.row.data.get(LOOSE) == Some(&json!(true));
        let password = work.prop("password");
        let password = password.filter(|password| loose || Some(*password) != before);
        if let Some(password) = password {
            if !loose {
                let seen = Seen::id(id).with(LOOSE, true);
                return Ok(Outcome::Wait(seen, AT_ONCE));
            }
            body.insert("password".to_owned(), password.clone());
        }
        if !body.is_empty() {
            let body = json!({ directory.one: body });
            crash_point!("directory.change");
            let target = place(directory, id);
            work.ask(&Ask::patch("identity", target, &body)).await?;
            crash_point!("directory.changed");
        }
        return Ok(Outcome::Wait(
            Seen::id(id).with(CHANGED, generation),
            AT_ONCE,
        ));
    }
    if directory.many == "users"
        && let Some(under_way) = groups(work, id).await?
    {
        return Ok(under_way);
    }
    let actor = format!("{}/{}", directory.many, encoded(id));
    if let Some(under_way) = grants::settle(work, &actor).await? {
        return Ok(under_way);
    }
    Ok(Outcome::Done(Seen::thing(id, now).with(LOOSE, Value::Null)))
}

async fn make(work: &Work<'_>, directory: &Directory) -> Did {
    let then = |id: String| {
        Ok(Outcome::Wait(
            Seen::id(id).with(CHANGED, Value::Null),
            AT_ONCE,
        ))
    };
    let mut body = fields(work, directory).await?;
    if of_regions(directory) {
        let id = region(work);
        let free = work.row.data.contains_key("free");
        match seen(work, directory, &id).await? {
            // It was not there before: a try that was cut off has made it.
            Some(_) if free => return then(id),
            Some(_) => return Err(Why::Refused(format!("Region {id} already exists."))),
            None if !free => {
                let seen = Seen::default().with("free", true);
                return Ok(Outcome::Wait(seen, AT_ONCE));
            }
            None => {}
        }
        body.insert("id".to_owned(), json!(id));
    } else {
        if !work.fresh
            && let Some(id) = marked(work, directory).await?
        {
            return then(id);
        }
        body.insert("name".to_owned(), json!(work.mark()));
        if let Some(password) = work.prop("password") {
            body.insert("password".to_owned(), password.clone());
        }
    }
    let body = json!({ directory.one: body });
    crash_point!("directory.create");
    let target = collection(directory);
    let made = work.ask(&Ask::post("identity", target, &body)).await?;
    crash_point!("directory.created");
    then(text(&inner(&made, directory.one), "id").to_owned())
}

/// The id of a region: the one that is given as a URL has it, or one of the resource's own.
fn region(work: &Work<'_>) -> String {
    let given = work.text("id").filter(|given| !given.is_empty());
    given.map_or_else(|| work.row.id.0.clone(), encoded)
}

/// The thing of a try that was cut off.
async fn marked(work: &Work<'_>, directory: &Directory) -> Result<Option<String>, Why> {
    // Roles of domains are listed for their domain only.
    let domain = match work.text("domain").filter(|_| directory.many == "roles") {
        Some(given) => Some(named(work, "domains", given).await?),
        None => None,
    };
    let found = called(work, directory.many, (&work.mark(), domain.as_deref())).await?;
    Ok(found.into_iter().next())
}

/// Puts a user into the groups that are wanted, and takes it out of those into which this resource had put it.
async fn groups(work: &Work<'_>, user: &str) -> Result<Option<Outcome>, Why> {
    let given = work.prop("groups").and_then(Value::as_array);
    let mut wanted = Vec::new();
    for group in given.into_iter().flatten().filter_map(Value::as_str) {
        wanted.push(json!(named(work, "groups", group).await?));
    }
    let noted = work.row.data.get(GROUPS).and_then(Value::as_array);
    let noted = noted.cloned().unwrap_or_default();
    let target = format!("/v3/users/{}/groups", encoded(user));
    let list = work.ask(&Ask::get("identity", target)).await?;
    let list = list.get("groups").and_then(Value::as_array);
    let there: Vec<&str> = list
        .into_iter()
        .flatten()
        .map(|group| text(group, "id"))
        .collect();
    let is_in = |group: &Value| group.as_str().is_some_and(|id| there.contains(&id));
    let news: Vec<Value> = wanted
        .iter()
        .filter(|group| !noted.contains(group) && !is_in(group))
        .cloned()
        .collect();
    if !news.is_empty() {
        let all: Vec<Value> = noted.into_iter().chain(news).collect();
        let seen = Seen::default().with(GROUPS, all);
        return Ok(Some(Outcome::Wait(seen, AT_ONCE)));
    }
    let member = |group: &Value| {
        let group = encoded(group.as_str().unwrap_or_default());
        format!("/v3/groups/{group}/users/{}", encoded(user))
    };
    for group in noted.iter().filter(|group| !wanted.contains(group)) {
        gone(work.ask(&Ask::delete("identity", member(group))).await)?;
    }
    for group in wanted.iter().filter(|group| !is_in(group)) {
        crash_point!("directory.join");
        let target = member(group);
        work.ask(&Ask::put("identity", target, &json!({}))).await?;
        crash_point!("directory.joined");
    }
    let left: Vec<Value> = noted
        .iter()
        .filter(|group| wanted.contains(group))
        .cloned()
        .collect();
    Ok((left != noted).then(|| Outcome::Wait(Seen::default().with(GROUPS, left), AT_ONCE)))
}

fn lost(directory: &Directory, id: &str) -> Did {
    let why = format!("{} {id} is not there any more", directory.one);
    Ok(Outcome::Failed(Seen::missing(), why))
}

/// Whether the thing is still there.
pub(super) async fn look(work: &Work<'_>, directory: &Directory) -> Did {
    let id = work.physical().unwrap_or_default();
    match seen(work, directory, id).await? {
        Some(thing) => Ok(Outcome::Done(Seen::thing(id, thing))),
        None => lost(directory, id),
    }
}

pub(super) async fn remove(work: &Work<'_>, directory: &Directory) -> Did {
    let id = match work.physical() {
        Some(id) => Some(id.to_owned()),
        None if of_regions(directory) => work.row.data.contains_key("free").then(|| region(work)),
        None if !work.row.begun() => None,
        None => marked(work, directory).await?,
    };
    let Some(id) = id else {
        return Ok(Outcome::Done(Seen::default()));
    };
    if directory.many == "domains" {
        let Some(domain) = seen(work, directory, &id).await? else {
            return Ok(Outcome::Done(Seen::default()));
        };
        if domain.get("enabled") != Some(&json!(false)) {
            let body = json!({"domain": {"enabled": false}});
            let target = place(directory, &id);
            work.ask(&Ask::patch("identity", target, &body)).await?;
        }
    }
    if directory.many == "projects"
        && let Some(held) = clear(work, &id).await?
    {
        return Ok(held);
    }
    crash_point!("directory.remove");
    let sent = work
        .ask(&Ask::delete("identity", place(directory, &id)))
        .await;
    crash_point!("directory.removed");
    gone(sent)
}

/// Removes the security group that a project had without asking; nobody could once it is gone.
async fn clear(work: &Work<'_>, project: &str) -> Result<Option<Outcome>, Why> {
    let target = format!(
        "/v2.0/security-groups?fields=id&name=default&project_id={}",
        encoded(project)
    );
    let list = work.ask(&Ask::get("network", target)).await?;
    let list = list.get("security_groups").and_then(Value::as_array);
    for group in list.into_iter().flatten() {
        let target = format!("/v2.0/security-groups/{}", encoded(text(group, "id")));
        let sent = work.ask(&Ask::delete("network", target)).await;
        if let held @ Outcome::Wait(..) = gone(sent)? {
            return Ok(Some(held));
        }
    }
    Ok(None)
}
