//! Who may use volume types that are not public.

use nephos_api::{Accepted, Fault, Json, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::fault::no_type;
use super::{ItemPath, at_project};
use crate::model::body::Fields;
use crate::model::volume_type::VolumeType;
use crate::store::types;
use crate::{Cx, rules};

async fn private(
    cx: &Cx,
    path: &ItemPath,
    missing: fn(&str) -> Fault,
) -> Result<VolumeType, Fault> {
    at_project(cx, &path.project_id)?;
    let kind = types::find(cx.db(), &path.id)
        .await?
        .ok_or_else(|| no_type(&path.id))?;
    if kind.is_public {
        return Err(missing(&path.id));
    }
    Ok(kind)
}

endpoint! {
    /// List who may use a volume type.
    ListTypeAccess: GET "/v3/{project_id}/types/{id}/os-volume-type-access" => 200,
    policy: rules::ListTypeAccess,
    path: ItemPath,
    reply: Json<Value>,
    handler: list,
}
async fn list(cx: Cx, req: Req<ListTypeAccess>) -> Reply<ListTypeAccess> {
    let none = |_: &str| Fault::not_found("Access list not available for public volume types.");
    let kind = private(&cx, &req.path, none).await?;
    let projects = types::access(cx.db(), &kind.id).await?;
    let all: Vec<Value> = projects
        .iter()
        .map(|project| json!({"volume_type_id": kind.id, "project_id": project}))
        .collect();
    Ok(Json(json!({ "volume_type_access": all })))
}

fn project(body: &Value, action: &str) -> Result<String, Fault> {
    let fields = Fields::inside(body, action).map_err(Fault::bad_request)?;
    let project = fields
        .text("project")
        .map_err(Fault::bad_request)?
        .filter(|project| !project.is_empty());
    project.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute project. 'project' is a required property",
        )
    })
}

fn public(id: &str) -> Fault {
    Fault::bad_request(format!(
        "Invalid volume type: Type access modification is not applicable to public volume type {id}."
    ))
}

endpoint! {
    /// Let a project use a volume type.
    AddTypeAccess: POST "/v3/{project_id}/types/{id}/action" ["addProjectAccess"] => 202,
    policy: rules::AddTypeAccess,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: add,
}
async fn add(cx: Cx, req: Req<AddTypeAccess>) -> Reply<AddTypeAccess> {
    let project = project(&req.body.0, "addProjectAccess")?;
    let kind = private(&cx, &req.path, public).await?;
    let mut tx = cx.write().await?;
    if !types::add_access(&mut tx, &kind.id, &project).await? {
        return Err(Fault::conflict(format!(
            "Volume type access for {} / {project} combination already exists.",
            kind.id
        )));
    }
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// No longer let a project use a volume type.
    RemoveTypeAccess: POST "/v3/{project_id}/types/{id}/action" ["removeProjectAccess"] => 202,
    policy: rules::RemoveTypeAccess,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: remove,
}
async fn remove(cx: Cx, req: Req<RemoveTypeAccess>) -> Reply<RemoveTypeAccess> {
    let project = project(&req.body.0, "removeProjectAccess")?;
    let kind = private(&cx, &req.path, public).await?;
    let mut tx = cx.write().await?;
    if !types::remove_access(&mut tx, &kind.id, &project).await? {
        return Err(Fault::not_found(format!(
            "Volume type access not found for {} / {project} combination.",
            kind.id
        )));
    }
    tx.commit().await?;
    Ok(Accepted)
}
