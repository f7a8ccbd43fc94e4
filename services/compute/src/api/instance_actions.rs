//! `/servers/{id}/os-instance-actions`: what was asked for, and what came of it. It outlives the server.

use nephos_api::version::v;
use nephos_api::{Fault, Json, Loaded, Params, Reply, Req, Shape, endpoint};
use nephos_auth::{Resource, Target};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha224};
use utoipa::ToSchema;

use super::flavors::Link;
use super::versions::ACTION_VIEW;
use super::{Cx, ServerPath, name_it, page_limit, server};
use crate::model::spec::ServerId;
use crate::store::actions::{Action, Event};
use crate::{rules, store};

#[derive(Debug, Deserialize)]
pub(crate) struct ActionPath {
    id: ServerId,
    request: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ActionView {
    action: String,
    instance_uuid: String,
    request_id: String,
    user_id: String,
    project_id: String,
    start_time: String,
    updated_at: String,
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<Value>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ActionList {
    #[serde(rename = "instanceActions")]
    actions: Vec<ActionView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ActionReply {
    #[serde(rename = "instanceAction")]
    action: ActionView,
}

/// Whose history it is: the server's owner, or the owner of one that is gone.
struct Owned(String);

impl Resource for Owned {
    const KIND: &'static str = "Instance";
    fn project_id(&self) -> Option<&str> {
        Some(&self.0)
    }
}

async fn owner(cx: &Cx, id: &ServerId) -> Result<Option<Owned>, Fault> {
    if let Some(server) = server(cx, id).await? {
        return Ok(Some(Owned(server.project_id.to_string())));
    }
    // 2.21: the history of a deleted server can be read.
    if cx.version < v(2, 21) {
        return Ok(None);
    }
    Ok(store::actions::owner(cx.db(), id.as_str())
        .await?
        .map(Owned))
}

fn view(action: Action, events: Option<Vec<Value>>) -> ActionView {
    ActionView {
        action: action.action,
        instance_uuid: action.server_id.into(),
        request_id: action.request_id,
        user_id: action.user_id,
        project_id: action.project_id,
        start_time: action.started_at.iso_naive(),
        updated_at: action.updated_at.iso_naive(),
        message: action.message,
        events,
    }
}

endpoint! {
    /// List what was done to a server.
    ListActions: GET "/v2.1/servers/{id}/os-instance-actions" => 200,
    policy: Loaded<rules::ListActions>,
    path: ServerPath,
    query: Params,
    reply: Json<ActionList> as Shape::each("instanceActions", ACTION_VIEW),
    handler: list_actions,
}

async fn list_actions(cx: Cx, req: Req<ListActions>) -> Reply<ListActions> {
    let id = &req.path.id;
    cx.allow(rules::ListActions, owner(&cx, id).await?)
        .map_err(name_it(id))?;
    let mut actions = store::actions::list(cx.db(), id.as_str()).await?;
    let mut links = Vec::new();
    // 2.58: pages and times.
    if cx.version >= v(2, 58) {
        let query = &req.query;
        let time = |key: &str| -> Result<Option<Timestamp>, Fault> {
            let wrong = |text: &str| {
                Fault::bad_request(format!(
                    "Invalid input for query parameters {key}. Value: {text}."
                ))
            };
            query
                .get(key)
                .map(|text| Timestamp::parse(text).ok_or_else(|| wrong(text)))
                .transpose()
        };
        if let Some(since) = time("changes-since")? {
            actions.retain(|action| action.updated_at >= since);
        }
        if let (true, Some(before)) = (cx.version >= v(2, 66), time("changes-before")?) {
            actions.retain(|action| action.updated_at <= before);
        }
        if let Some(marker) = query.get("marker") {
            let at = actions
                .iter()
                .position(|action| action.request_id == marker);
            let at =
                at.ok_or_else(|| Fault::bad_request(format!("marker [{marker}] not found")))?;
            actions = actions.split_off(at + 1);
        }
        let limit = usize::try_from(page_limit(query.get("limit"))?).unwrap_or(usize::MAX);
        if actions.len() > limit {
            actions.truncate(limit);
            let path = format!("/v2.1/servers/{id}/os-instance-actions");
            let marker = actions
                .last()
                .map(|last| last.request_id.clone())
                .unwrap_or_default();
            links.push(Link {
                rel: "next",
                href: super::server_list::next_url(&cx, &path, query, &marker),
            });
        }
    }
    let actions = actions
        .into_iter()
        .map(|action| view(action, None))
        .collect();
    Ok(Json(ActionList { actions, links }))
}

endpoint! {
    /// Show one thing that was done to a server.
    ShowAction: GET "/v2.1/servers/{id}/os-instance-actions/{request}" => 200,
    policy: Loaded<rules::ShowAction>,
    path: ActionPath,
    reply: Json<ActionReply> as Shape::one("instanceAction", ACTION_VIEW),
    handler: show_action,
}

async fn show_action(cx: Cx, req: Req<ShowAction>) -> Reply<ShowAction> {
    let ActionPath { id, request } = &req.path;
    let owner = cx
        .allow(rules::ShowAction, owner(&cx, id).await?)
        .map_err(name_it(id))?;
    let found = store::actions::get(cx.db(), id.as_str(), request).await?;
    let mut action = found.ok_or_else(|| {
        Fault::not_found(format!(
            "Action for request_id {request} on instance {id} not found"
        ))
    })?;
    let admin = cx.may(rules::ShowActionEvents, &Target::new());
    let events = std::mem::take(&mut action.events);
    // 2.51: everybody who sees the action sees its events.
    let shown = (admin || cx.version >= v(2, 51)).then(|| {
        events
            .iter()
            .map(|event| event_view(&cx, event, &owner.0, admin))
            .collect()
    });
    Ok(Json(ActionReply {
        action: view(action, shown),
    }))
}

fn event_view(cx: &Cx, event: &Event, project: &str, admin: bool) -> Value {
    let mut shown = json!({
        "event": event.event, "start_time": Timestamp(event.start_time).iso_naive(),
        "finish_time": event.finish_time.map(|at| Timestamp(at).iso_naive()), "result": event.result,
    });
    let Some(keys) = shown.as_object_mut() else {
        return shown;
    };
    if admin {
        keys.insert("traceback".into(), Value::Null);
    }
    // 2.62: which host, hashed for its owner, by name for an admin.
    if cx.version >= v(2, 62) {
        let host = event.host.clone().unwrap_or_default();
        let hashed = if host.is_empty() {
            String::new()
        } else {
            hex::encode(Sha224::digest(format!("{project}{host}")))
        };
        keys.insert("hostId".into(), json!(hashed));
        if admin {
            keys.insert("host".into(), json!(host));
        }
    }
    // 2.84: what went wrong, for its owner too.
    if cx.version >= v(2, 84) {
        keys.insert("details".into(), json!(event.details));
    }
    shown
}
