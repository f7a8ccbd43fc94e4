//! What projects may have of servers, networks and load balancers, for administrators.

use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::directory::named;
use super::{Did, Outcome, Seen, Why, Work, gone};
use crate::model::kind::Limits;
use crate::peers::{Ask, encoded};

/// Sets a project's quotas; those that are set no longer are the defaults again.
pub(super) async fn ensure(work: &Work<'_>, limits: &Limits) -> Did {
    let Some(project) = work.row.data.get("project_id").and_then(Value::as_str) else {
        // Noted before anything is set: it is set back when this goes.
        let project = named(work, "projects", work.text("project").unwrap_or_default()).await?;
        let seen = Seen::default().with("project_id", project);
        return Ok(Outcome::Wait(seen, Duration::ZERO));
    };
    let target = format!("{}/{}", limits.path, encoded(project));
    let names = work.kind.into_iter().flat_map(|kind| kind.props);
    let names: Vec<&str> = names
        .map(|prop| prop.name)
        .filter(|name| *name != "project")
        .collect();
    let mut set = Map::new();
    let mut again = Vec::new();
    for name in &names {
        let before = work
            .row
            .properties
            .get(*name)
            .filter(|value| !value.is_null());
        match work.prop(name) {
            Some(limit) => drop(set.insert((*name).to_owned(), limit.clone())),
            None if before.is_some() => again.push(*name),
            None => {}
        }
    }
    if set.is_empty() {
        return Err(Why::Refused(format!(
            "At least one of the following properties must be specified: {}.",
            names.join(", ")
        )));
    }
    match limits.defaults {
        Some(defaults) if !again.is_empty() => {
            let ask = Ask::get(limits.service, format!("{target}/{defaults}"));
            let defaults = work.ask(&ask).await?;
            for name in again {
                if let Some(limit) = defaults.pointer(&format!("/{}/{name}", limits.one)) {
                    set.insert(name.to_owned(), limit.clone());
                }
            }
        }
        Some(_) => {}
        None => set.extend(again.into_iter().map(|name| (name.to_owned(), Value::Null))),
    }
    let body = json!({ limits.one: set });
    crash_point!("quota.set");
    work.ask(&Ask::put(limits.service, target, &body)).await?;
    crash_point!("quota.was_set");
    Ok(Outcome::done(work.thing_name()))
}

/// The project has the default quotas again.
pub(super) async fn remove(work: &Work<'_>, limits: &Limits) -> Did {
    let Some(project) = work.row.data.get("project_id").and_then(Value::as_str) else {
        return Ok(Outcome::Done(Seen::default()));
    };
    let target = format!("{}/{}", limits.path, encoded(project));
    gone(work.ask(&Ask::delete(limits.service, target)).await)
}
