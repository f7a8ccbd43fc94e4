//! Roles that users and groups have on projects and domains.
//!
//! A role is noted before it is given. What is noted as this resource's own is taken away with it; what was given before
//! is somebody else's, and stays.

use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Value, json};

use super::directory::named;
use super::{Did, Outcome, Seen, Why, Work, gone};
use crate::peers::{Ask, encoded};

/// Where the roles are noted that the resource gives, or is to give: `{"grant", "own"}` each.
const GRANTS: &str = "grants";

fn noted(work: &Work<'_>) -> Vec<Value> {
    let list = work.row.data.get(GRANTS).and_then(Value::as_array);
    list.cloned().unwrap_or_default()
}

fn grant(noted: &Value) -> &str {
    noted
        .get("grant")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn is_own(noted: &Value) -> bool {
    noted.get("own") == Some(&json!(true))
}

/// The roles that are wanted, as paths: `/v3/projects/ID/users/ID/roles/ID`.
async fn wanted(work: &Work<'_>, actor: &str) -> Result<Vec<String>, Why> {
    let mut wanted = Vec::new();
    let given = work.prop("roles").and_then(Value::as_array);
    for one in given.into_iter().flatten() {
        let field = |name: &str| one.get(name).and_then(Value::as_str);
        let (place, name) = match field("project") {
            Some(project) => ("projects", project),
            None => ("domains", field("domain").unwrap_or_default()),
        };
        let id = named(work, place, name).await?;
        let role = named(work, "roles", field("role").unwrap_or_default()).await?;
        let path = format!(
            "/v3/{place}/{}/{actor}/roles/{}",
            encoded(&id),
            encoded(&role)
        );
        if !wanted.contains(&path) {
            wanted.push(path);
        }
    }
    Ok(wanted)
}

/// Whether a role is given.
async fn is_given(work: &Work<'_>, path: &str) -> Result<bool, Why> {
    match work.ask(&Ask::get("identity", path)).await {
        Ok(_) => Ok(true),
        Err(why) if why.is_not_found() => Ok(false),
        Err(why) => Err(why.into()),
    }
}

/// Has a user or group (`users/ID`) have the roles that are wanted, and none any more of those that were its own. It is
/// something to be done again and again: nothing when all is as wanted.
pub(super) async fn settle(work: &Work<'_>, actor: &str) -> Result<Option<Outcome>, Why> {
    let wanted = wanted(work, actor).await?;
    let mut list = noted(work);
    let before = list.len();
    for path in &wanted {
        if !list.iter().any(|noted| grant(noted) == path) {
            let own = !is_given(work, path).await?;
            list.push(json!({"grant": path, "own": own}));
        }
    }
    let then = |list: Vec<Value>| {
        let seen = Seen::default().with(GRANTS, list);
        Ok(Some(Outcome::Wait(seen, Duration::ZERO)))
    };
    if list.len() > before {
        return then(list);
    }
    let is_wanted = |noted: &Value| wanted.iter().any(|path| path == grant(noted));
    for old in list.iter().filter(|noted| !is_wanted(noted)) {
        take(work, old).await?;
    }
    for path in &wanted {
        crash_point!("grants.give");
        let body = json!({});
        work.ask(&Ask::put("identity", path.as_str(), &body))
            .await?;
        crash_point!("grants.gave");
    }
    list.retain(is_wanted);
    if list.len() < before {
        return then(list);
    }
    Ok(None)
}

/// Takes a role away, unless somebody else has given it.
async fn take(work: &Work<'_>, noted: &Value) -> Result<(), Why> {
    if is_own(noted) {
        crash_point!("grants.take");
        let sent = work.ask(&Ask::delete("identity", grant(noted))).await;
        crash_point!("grants.took");
        gone(sent)?;
    }
    Ok(())
}

/// Gives a user or group that is there the roles that are wanted.
pub(super) async fn ensure(work: &Work<'_>, (prop, many): (&str, &str)) -> Did {
    let actor = named(work, many, work.text(prop).unwrap_or_default()).await?;
    let actor = format!("{many}/{}", encoded(&actor));
    match settle(work, &actor).await? {
        Some(under_way) => Ok(under_way),
        None => Ok(Outcome::done(work.row.id.0.clone())),
    }
}

/// Whether all of the roles are still given; each that is not is named.
pub(super) async fn look(work: &Work<'_>) -> Did {
    let mut lost = Vec::new();
    for noted in &noted(work) {
        if !is_given(work, grant(noted)).await? {
            lost.push(grant(noted).trim_start_matches("/v3/").to_owned());
        }
    }
    if lost.is_empty() {
        return Ok(Outcome::Done(Seen::default()));
    }
    let why = format!("what it gave is not given any more: {}", lost.join(", "));
    Ok(Outcome::Failed(Seen::missing(), why))
}

pub(super) async fn remove(work: &Work<'_>) -> Did {
    for noted in &noted(work) {
        take(work, noted).await?;
    }
    Ok(Outcome::Done(Seen::default()))
}
