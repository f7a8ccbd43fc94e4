//! What became of work that went on after the answer.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Authorized, Rule};
use serde_json::{Value, json};

use super::{ItemPath, ProjectPath, at_project, links, missing, next_link, project_of};
use crate::model::list::ListQuery;
use crate::model::message::action_words;
use crate::store::messages::{self, Message, SORT_KEYS};
use crate::{Cx, rules};

fn no_message(id: &str) -> Fault {
    Fault::not_found(format!("Message {id} could not be found."))
}

fn view(cx: &Cx, message: &Message) -> Value {
    let event = format!(
        "VOLUME_{}_{}_{}",
        message.resource_type, message.action, message.detail
    );
    json!({
        "id": message.id, "event_id": event, "request_id": message.request_id,
        "user_message": format!("{}: {}", action_words(&message.action), message.words),
        "message_level": "ERROR", "created_at": message.created_at.iso_naive(),
        "guaranteed_until": message.expires_at.iso_naive(),
        "resource_uuid": message.resource_id, "resource_type": message.resource_type,
        "links": links(cx, &message.project_id, &format!("messages/{}", message.id)),
    })
}

async fn load<R: Rule>(cx: &Cx, rule: R, path: &ItemPath) -> Result<Authorized<Message, R>, Fault> {
    at_project(cx, &path.project_id)?;
    let found = messages::find(cx.db(), &path.id).await?;
    cx.allow(rule, found)
        .map_err(|fault| missing(fault, || no_message(&path.id)))
}

endpoint! {
    /// List messages.
    ListMessages: GET "/v3/{project_id}/messages" => 200,
    versions: 3.3..,
    policy: rules::GetMessages,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list,
}
async fn list(cx: Cx, req: Req<ListMessages>) -> Reply<ListMessages> {
    at_project(&cx, &req.path.project_id)?;
    let asked = ListQuery::parse(&req.query.0, SORT_KEYS).map_err(Fault::bad_request)?;
    let after = match &asked.marker {
        Some(marker) => {
            let found = messages::find(cx.db(), marker).await?;
            let found = found.filter(|one| nephos_auth::Resource::visible_to(one, &cx.caller));
            Some(found.ok_or_else(|| no_message(marker))?)
        }
        None => None,
    };
    let project = project_of(&cx, &req.path.project_id);
    let found = messages::page(
        cx.db(),
        &project,
        &asked.filters,
        (after.as_ref(), asked.limit),
    )
    .await?;
    let mut body =
        json!({ "messages": found.iter().map(|one| view(&cx, one)).collect::<Vec<_>>() });
    let last = found.last().map(|one| one.id.as_str());
    let here = format!("/v3/{project}/messages");
    if let Some(next) = next_link(&cx, &here, &req.query, (found.len(), asked.limit, last))
        && let Some(body) = body.as_object_mut()
    {
        body.insert("messages_links".to_owned(), next);
    }
    Ok(Json(body))
}

endpoint! {
    /// Show a message.
    ShowMessage: GET "/v3/{project_id}/messages/{id}" => 200,
    versions: 3.3..,
    policy: Loaded<rules::GetMessage>,
    path: ItemPath,
    reply: Json<Value>,
    handler: show,
}
async fn show(cx: Cx, req: Req<ShowMessage>) -> Reply<ShowMessage> {
    let message = load(&cx, rules::GetMessage, &req.path).await?;
    Ok(Json(json!({ "message": view(&cx, &message) })))
}

endpoint! {
    /// Delete a message.
    DeleteMessage: DELETE "/v3/{project_id}/messages/{id}" => 204,
    versions: 3.3..,
    policy: Loaded<rules::DeleteMessage>,
    path: ItemPath,
    reply: Empty,
    handler: delete,
}
async fn delete(cx: Cx, req: Req<DeleteMessage>) -> Reply<DeleteMessage> {
    let message = load(&cx, rules::DeleteMessage, &req.path).await?;
    let mut tx = cx.write().await?;
    messages::remove(&mut tx, &message.id).await?;
    tx.commit().await?;
    Ok(Empty)
}
