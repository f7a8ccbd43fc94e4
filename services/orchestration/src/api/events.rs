//! What happened to stacks and their resources.

use nephos_api::{Fault, Json, Params, Reply, Req, endpoint};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::missing;
use super::resources::{self, ResourcePath};
use super::stacks::{StackPath, load};
use super::view::{self, Document};
use crate::model::stack::Stack;
use crate::store::events::{self, EventQuery};
use crate::store::stacks;
use crate::{Cx, rules};

const MAX_LIMIT: u32 = 10_000;

#[derive(Debug, Deserialize)]
pub(crate) struct EventPath {
    tenant_id: String,
    stack_name: String,
    stack_id: String,
    resource_name: String,
    event_id: String,
}

endpoint! {
    /// List the events of a stack.
    ListStackEvents: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/events" => 200,
    policy: rules::EventsIndex,
    path: StackPath,
    query: Params,
    reply: Json<Document>,
    handler: list_stack_events,
}
async fn list_stack_events(cx: Cx, req: Req<ListStackEvents>) -> Reply<ListStackEvents> {
    let stack = load(&cx, rules::EventsIndex, &req.path).await?.into_inner();
    listed(&cx, &stack, None, &req.query).await
}

endpoint! {
    /// List the events of a resource.
    ListResourceEvents: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/resources/{resource_name}/events" => 200,
    policy: rules::EventsIndex,
    path: ResourcePath,
    query: Params,
    reply: Json<Document>,
    handler: list_resource_events,
}
async fn list_resource_events(cx: Cx, req: Req<ListResourceEvents>) -> Reply<ListResourceEvents> {
    let (path, name) = req.path.split();
    let stack = load(&cx, rules::EventsIndex, &path).await?.into_inner();
    // The stack itself has events, too, under its name.
    if name != stack.name {
        resources::find(&cx, &stack, &name).await?;
    }
    listed(&cx, &stack, Some(name), &req.query).await
}

async fn listed(
    cx: &Cx,
    stack: &Stack,
    resource: Option<String>,
    params: &Params,
) -> Result<Json<Document>, Fault> {
    let depth = match params.get("nested_depth") {
        None => 0,
        Some(given) => given.parse::<u32>().map_err(|_| {
            Fault::bad_request(format!("Only integer is allowed: nested_depth={given}"))
        })?,
    };
    let mut family = vec![stack.clone()];
    let mut level = vec![stack.clone()];
    for _ in 0..depth.min(10) {
        let mut next = Vec::new();
        for parent in &level {
            next.extend(stacks::children(cx.db(), &parent.id).await?);
        }
        family.extend(next.clone());
        level = next;
    }
    let descending = match params.get("sort_dir").unwrap_or("asc") {
        "asc" => false,
        "desc" => true,
        other => {
            return Err(Fault::bad_request(format!(
                "Unknown sort direction, must be 'desc' or 'asc': {other}"
            )));
        }
    };
    let limit = match params.get("limit") {
        None => MAX_LIMIT,
        Some(given) => given
            .parse::<u32>()
            .map_err(|_| Fault::bad_request(format!("Only integer is allowed: limit={given}")))?
            .min(MAX_LIMIT),
    };
    let after = match params.get("marker") {
        None => None,
        Some(marker) => Some(
            events::find(cx.db(), marker)
                .await?
                .ok_or_else(|| Fault::bad_request(format!("The marker {marker} is no event.")))?,
        ),
    };
    let query = EventQuery {
        stacks: family.iter().map(|stack| stack.id.0.clone()).collect(),
        resource,
        descending,
        after,
        limit: Some(limit),
    };
    let found = events::page(cx.db(), &query).await?;
    let wanted = |names: &[&str], value: &str| {
        let list: Vec<&str> = names.iter().flat_map(|name| params.all(name)).collect();
        list.is_empty() || list.contains(&value)
    };
    let views: Vec<Value> = found
        .iter()
        .filter(|event| {
            wanted(&["resource_action"], &event.action)
                && wanted(&["resource_status"], &event.status)
                && wanted(&["resource_name"], &event.resource_name)
                && wanted(&["resource_type"], &event.kind)
        })
        .filter_map(|event| {
            let own = family.iter().find(|stack| stack.id == event.stack_id)?;
            Some(view::event(cx, own, event, (depth > 0).then_some(stack)))
        })
        .collect();
    Ok(Json(Document(json!({ "events": views }))))
}

endpoint! {
    /// Show an event.
    ShowEvent: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/resources/{resource_name}/events/{event_id}" => 200,
    policy: rules::EventsShow,
    path: EventPath,
    reply: Json<Document>,
    handler: show_event,
}
async fn show_event(cx: Cx, req: Req<ShowEvent>) -> Reply<ShowEvent> {
    let EventPath {
        tenant_id,
        stack_name,
        stack_id,
        resource_name,
        event_id,
    } = req.path;
    let stack = load(
        &cx,
        rules::EventsShow,
        &StackPath {
            tenant_id,
            stack_name,
            stack_id,
        },
    )
    .await?
    .into_inner();
    let found = events::find(cx.db(), &event_id).await?;
    let found =
        found.filter(|event| event.stack_id == stack.id && event.resource_name == resource_name);
    let found = found.ok_or_else(|| missing("Event", &event_id))?;
    let mut view = view::event(&cx, &stack, &found, None);
    if let Some(map) = view.as_object_mut() {
        map.insert("resource_type".to_owned(), json!(found.kind));
        map.insert("resource_properties".to_owned(), found.properties.clone());
    }
    Ok(Json(Document(json!({ "event": view }))))
}
