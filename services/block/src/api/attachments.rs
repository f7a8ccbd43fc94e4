//! The attachments API: who uses a volume, from where, and how it is reached.

use nephos_api::version::v;
use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Authorized, Rule};
use nephos_types::Timestamp;
use serde_json::{Value, json};

use super::attaching::{
    check_unused, connect, connection_of, end, no_attachment, parse_mode, reserve,
};
use super::fault::no_volume;
use super::{ItemPath, ProjectPath, at_project, missing, next_link, volume_by_id, whose};
use crate::model::attachment::{AttachStatus, Attachment, AttachmentId};
use crate::model::body::Fields;
use crate::model::list::ListQuery;
use crate::model::volume::{Status, is_uuid};
use crate::store::{attachments, volumes};
use crate::{Cx, rules};

async fn load<R: Rule>(
    cx: &Cx,
    rule: R,
    path: &ItemPath,
) -> Result<Authorized<Attachment, R>, Fault> {
    at_project(cx, &path.project_id)?;
    let found = attachments::find(cx.db(), &AttachmentId::from(path.id.as_str())).await?;
    cx.allow(rule, found)
        .map_err(|fault| missing(fault, || no_attachment(&path.id)))
}

fn brief(attachment: &Attachment) -> Value {
    json!({
        "id": attachment.id, "status": attachment.status.as_str(), "instance": attachment.instance_id,
        "volume_id": attachment.volume_id,
    })
}

fn whole(attachment: &Attachment, connection: Value) -> Value {
    let mut view = brief(attachment);
    if let Some(view) = view.as_object_mut() {
        let at = attachment
            .attached_at
            .map(Timestamp::iso_naive)
            .unwrap_or_default();
        view.insert("attached_at".to_owned(), json!(at));
        view.insert("detached_at".to_owned(), json!(""));
        view.insert("attach_mode".to_owned(), json!(attachment.mode.as_str()));
        view.insert("connection_info".to_owned(), connection);
    }
    view
}

endpoint! {
    /// Show an attachment and how its volume is reached.
    ShowAttachment: GET "/v3/{project_id}/attachments/{id}" => 200,
    versions: 3.27..,
    policy: Loaded<rules::GetVolume>,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_attachment,
}
async fn show_attachment(cx: Cx, req: Req<ShowAttachment>) -> Reply<ShowAttachment> {
    let attachment = load(&cx, rules::GetVolume, &req.path).await?;
    let connection = connection_of(&cx, &attachment).await?;
    Ok(Json(
        json!({ "attachment": whole(&attachment, connection) }),
    ))
}

endpoint! {
    /// List attachments.
    ListAttachments: GET "/v3/{project_id}/attachments" => 200,
    versions: 3.27..,
    policy: rules::GetAllVolumes,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list_attachments,
}
async fn list_attachments(cx: Cx, req: Req<ListAttachments>) -> Reply<ListAttachments> {
    page(&cx, (&req.path, "attachments"), &req.query, brief).await
}

endpoint! {
    /// List attachments with details, but without the secrets of their connections.
    ListAttachmentsDetail: GET "/v3/{project_id}/attachments/detail" => 200,
    versions: 3.27..,
    policy: rules::GetAllVolumes,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list_attachments_detail,
}
async fn list_attachments_detail(
    cx: Cx,
    req: Req<ListAttachmentsDetail>,
) -> Reply<ListAttachmentsDetail> {
    page(&cx, (&req.path, "attachments/detail"), &req.query, |one| {
        whole(one, json!({}))
    })
    .await
}

async fn page(
    cx: &Cx,
    (path, place): (&ProjectPath, &str),
    params: &Params,
    view: impl Fn(&Attachment) -> Value,
) -> Result<Json<Value>, Fault> {
    at_project(cx, &path.project_id)?;
    let asked = ListQuery::parse(&params.0, &["created_at", "id"]).map_err(Fault::bad_request)?;
    let after = match &asked.marker {
        Some(marker) => {
            let found = attachments::find(cx.db(), &AttachmentId::from(marker.as_str())).await?;
            Some(found.ok_or_else(|| no_attachment(marker))?)
        }
        None => None,
    };
    let project = whose(cx, &path.project_id, asked.all_projects);
    let listing = attachments::Listing {
        project: project.as_deref(),
        filters: &asked.filters,
        after: after.as_ref(),
        limit: Some(asked.limit),
    };
    let found = attachments::page(cx.db(), &listing).await?;
    let last = found.last().map(|one| one.id.to_string());
    let here = format!("/v3/{}/{place}", super::project_of(cx, &path.project_id));
    let mut body = json!({ "attachments": found.iter().map(view).collect::<Vec<_>>() });
    if let Some(next) = next_link(
        cx,
        &here,
        params,
        (found.len(), asked.limit, last.as_deref()),
    ) && let Some(body) = body.as_object_mut()
    {
        body.insert("attachments_links".to_owned(), next);
    }
    Ok(Json(body))
}

endpoint! {
    /// Reserve a volume for a server, and say from where it will be used if that is known.
    CreateAttachment: POST "/v3/{project_id}/attachments" => 200,
    versions: 3.27..,
    policy: Loaded<rules::CreateAttachment>,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_attachment,
}
async fn create_attachment(cx: Cx, req: Req<CreateAttachment>) -> Reply<CreateAttachment> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "attachment").map_err(Fault::bad_request)?;
    let id = fields.uuid("volume_uuid").map_err(Fault::bad_request)?;
    let id = id.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute volume_uuid. It is a required property",
        )
    })?;
    let server = fields.text("instance_uuid").map_err(Fault::bad_request)?;
    if server.as_deref().is_some_and(|server| !is_uuid(server)) {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute instance_uuid. It is not a 'uuid'",
        ));
    }
    let connector = connector(&fields)?;
    let mode = fields
        .text("mode")
        .map_err(Fault::bad_request)?
        .filter(|_| cx.version >= v(3, 54));
    let mode = mode
        .filter(|mode| mode != "null")
        .map(|mode| parse_mode(&mode))
        .transpose()?;
    let volume = volume_by_id(&cx, rules::CreateAttachment, &id).await?;
    let mut attachment = reserve(&cx, &volume, (server.as_deref(), mode)).await?;
    if let Some(connector) = connector
        && attachment.status == AttachStatus::Reserved
    {
        attachment = match connect(&cx, &attachment.id, connector).await {
            Ok(connected) => connected,
            Err(why) => {
                // What is refused leaves no reservation behind.
                end(&cx, &attachment).await?;
                return Err(why);
            }
        };
    }
    let connection = connection_of(&cx, &attachment).await?;
    Ok(Json(
        json!({ "attachment": whole(&attachment, connection) }),
    ))
}

fn connector(fields: &Fields<'_>) -> Result<Option<Value>, Fault> {
    match fields.get("connector") {
        Some(connector) if connector.is_object() => {
            if connector.to_string().len() > 8 * 1024 {
                return Err(Fault::bad_request("The connector is larger than 8 KiB."));
            }
            Ok(Some(connector.clone()))
        }
        Some(_other) => Err(Fault::bad_request(
            "Invalid input for field/attribute connector. It is not of type 'object'",
        )),
        None => Ok(None),
    }
}

endpoint! {
    /// Say from where an attachment is used, and learn how its volume is reached.
    UpdateAttachment: PUT "/v3/{project_id}/attachments/{id}" => 200,
    versions: 3.27..,
    policy: Loaded<rules::UpdateAttachment>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_attachment,
}
async fn update_attachment(cx: Cx, req: Req<UpdateAttachment>) -> Reply<UpdateAttachment> {
    let attachment = load(&cx, rules::UpdateAttachment, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "attachment").map_err(Fault::bad_request)?;
    let connector = connector(&fields)?;
    let connector = connector.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute connector. 'connector' is a required property",
        )
    })?;
    let attachment = connect(&cx, &attachment.id, connector).await?;
    let connection = connection_of(&cx, &attachment).await?;
    Ok(Json(
        json!({ "attachment": whole(&attachment, connection) }),
    ))
}

endpoint! {
    /// Say that an attachment is in use.
    CompleteAttachment: POST "/v3/{project_id}/attachments/{id}/action" ["os-complete"] => 204,
    versions: 3.44..,
    policy: Loaded<rules::CompleteAttachment>,
    path: ItemPath,
    body: Json<Value>,
    reply: Empty,
    handler: complete_attachment,
}
async fn complete_attachment(cx: Cx, req: Req<CompleteAttachment>) -> Reply<CompleteAttachment> {
    let attachment = load(&cx, rules::CompleteAttachment, &req.path).await?;
    let mut tx = cx.write().await?;
    let now = attachments::find_in(&mut tx, &attachment.id).await?;
    let mut now = now.ok_or_else(|| no_attachment(&req.path.id))?;
    now.status = AttachStatus::Attached;
    now.attached_at = now.attached_at.or_else(|| Some(cx.now()));
    now.updated_at = cx.now();
    attachments::update(&mut tx, &now).await?;
    let volume = volumes::find_in(&mut tx, &now.volume_id).await?;
    let mut volume = volume.ok_or_else(|| no_volume(now.volume_id.as_str()))?;
    volume.status = Status::InUse;
    volume.updated_at = cx.now();
    volumes::update(&mut tx, &volume).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// End an attachment.
    DeleteAttachment: DELETE "/v3/{project_id}/attachments/{id}" => 200,
    versions: 3.27..,
    policy: Loaded<rules::DeleteAttachment>,
    path: ItemPath,
    reply: Json<Value>,
    handler: delete_attachment,
}
async fn delete_attachment(cx: Cx, req: Req<DeleteAttachment>) -> Reply<DeleteAttachment> {
    let attachment = load(&cx, rules::DeleteAttachment, &req.path).await?;
    check_unused(&cx, &attachment).await?;
    let left = end(&cx, &attachment).await?;
    Ok(Json(
        json!({ "attachments": left.iter().map(brief).collect::<Vec<_>>() }),
    ))
}
