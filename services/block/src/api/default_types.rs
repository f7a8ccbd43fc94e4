//! The types that projects' volumes have when nobody names one. These paths name no project of the caller.

use nephos_api::{Empty, Fault, Json, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::fault::no_type;
use super::{ItemPath, ProjectPath};
use crate::model::body::Fields;
use crate::store::types;
use crate::{Cx, rules};

fn view(project: &str, kind: &str) -> Value {
    json!({"project_id": project, "volume_type_id": kind})
}

endpoint! {
    /// List the projects' default types.
    ListDefaultTypes: GET "/v3/{project_id}/default-types" => 200,
    versions: 3.62..,
    policy: rules::ListDefaultTypes,
    path: ProjectPath,
    reply: Json<Value>,
    handler: list,
}
async fn list(cx: Cx, req: Req<ListDefaultTypes>) -> Reply<ListDefaultTypes> {
    super::at_project(&cx, &req.path.project_id)?;
    let all = types::defaults(cx.db(), None).await?;
    let all: Vec<Value> = all
        .iter()
        .map(|one| view(&one.project_id, &one.type_id))
        .collect();
    Ok(Json(json!({ "default_types": all })))
}

endpoint! {
    /// Show a project's default type.
    ShowDefaultType: GET "/v3/{project_id}/default-types/{id}" => 200,
    versions: 3.62..,
    policy: rules::GetDefaultType,
    path: ItemPath,
    reply: Json<Value>,
    handler: show,
}
async fn show(cx: Cx, req: Req<ShowDefaultType>) -> Reply<ShowDefaultType> {
    super::at_project(&cx, &req.path.project_id)?;
    let found = types::defaults(cx.db(), Some(&req.path.id)).await?;
    let found = found.first().ok_or_else(|| {
        Fault::not_found(format!(
            "Default type for project {} not found.",
            req.path.id
        ))
    })?;
    Ok(Json(
        json!({ "default_type": view(&found.project_id, &found.type_id) }),
    ))
}

endpoint! {
    /// Set a project's default type.
    SetDefaultType: PUT "/v3/{project_id}/default-types/{id}" => 200,
    versions: 3.62..,
    policy: rules::SetDefaultType,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: set,
}
async fn set(cx: Cx, req: Req<SetDefaultType>) -> Reply<SetDefaultType> {
    super::at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "default_type").map_err(Fault::bad_request)?;
    let word = fields
        .text("volume_type")
        .map_err(Fault::bad_request)?
        .unwrap_or_default();
    let kind = types::find(cx.db(), &word)
        .await?
        .ok_or_else(|| no_type(&word))?;
    let mut tx = cx.write().await?;
    types::set_default(&mut tx, &req.path.id, &kind.id).await?;
    tx.commit().await?;
    Ok(Json(
        json!({ "default_type": view(&req.path.id, &kind.id) }),
    ))
}

endpoint! {
    /// Unset a project's default type.
    UnsetDefaultType: DELETE "/v3/{project_id}/default-types/{id}" => 204,
    versions: 3.62..,
    policy: rules::UnsetDefaultType,
    path: ItemPath,
    reply: Empty,
    handler: unset,
}
async fn unset(cx: Cx, req: Req<UnsetDefaultType>) -> Reply<UnsetDefaultType> {
    super::at_project(&cx, &req.path.project_id)?;
    let mut tx = cx.write().await?;
    types::remove_default(&mut tx, &req.path.id).await?;
    tx.commit().await?;
    Ok(Empty)
}
