//! Extra specs of volume types.

use nephos_api::{Accepted, Fault, Json, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_db::Tx;
use serde_json::{Value, json};

use super::fault::no_type;
use super::volume_create::usable_type;
use super::{ItemPath, KeyPath, at_project, project_of};
use crate::model::body::texts;
use crate::model::volume::Metadata;
use crate::model::volume_type::{MAX_SIZE, MIN_SIZE, MULTIATTACH};
use crate::store::types;
use crate::{Cx, rules};

/// Keys are letters, digits and `-_.:`; what says whether volumes are shared says yes or no.
pub(crate) fn check(specs: &Metadata) -> Result<(), Fault> {
    for (key, value) in specs {
        let plain = key
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.: ".contains(letter));
        if !plain || key.is_empty() {
            return Err(Fault::bad_request(format!(
                "Key '{key}' can only contain alphanumeric characters, underscores, periods, colons and hyphens."
            )));
        }
        if key == MULTIATTACH && !matches!(value.as_str(), "<is> True" | "<is> False") {
            return Err(Fault::bad_request(
                "multiattach must be '<is> True' or '<is> False'.",
            ));
        }
        if [MIN_SIZE, MAX_SIZE].contains(&key.as_str()) && value.parse::<i64>().is_err() {
            return Err(Fault::bad_request(format!(
                "{key} must be a number of GiB."
            )));
        }
    }
    Ok(())
}

/// What volumes of a type were promised does not change under them (cinder/api/contrib/types_extra_specs.py).
async fn unused(tx: &mut Tx, id: &str) -> Result<(), Fault> {
    if types::is_used(tx, id).await? {
        return Err(Fault::bad_request(
            "Volume Type is currently in use. Make another type, and retype the volumes to it.",
        ));
    }
    Ok(())
}

fn no_spec(id: &str, key: &str) -> Fault {
    Fault::not_found(format!(
        "Volume Type {id} has no extra specs with key {key}."
    ))
}

endpoint! {
    /// List the extra specs of a volume type.
    ListExtraSpecs: GET "/v3/{project_id}/types/{id}/extra_specs" => 200,
    policy: rules::ListExtraSpecs,
    path: ItemPath,
    reply: Json<Value>,
    handler: list,
}
async fn list(cx: Cx, req: Req<ListExtraSpecs>) -> Reply<ListExtraSpecs> {
    at_project(&cx, &req.path.project_id)?;
    let project = project_of(&cx, &req.path.project_id);
    let kind = usable_type(&cx, &project, &req.path.id).await?;
    let all = cx.may(
        rules::ReadSensitiveSpecs,
        &Target::of_project(project_of(&cx, "-")),
    );
    Ok(Json(json!({ "extra_specs": kind.shown_specs(all) })))
}

endpoint! {
    /// Add extra specs to a volume type.
    CreateExtraSpecs: POST "/v3/{project_id}/types/{id}/extra_specs" => 200,
    policy: rules::CreateExtraSpecs,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create,
}
async fn create(cx: Cx, req: Req<CreateExtraSpecs>) -> Reply<CreateExtraSpecs> {
    at_project(&cx, &req.path.project_id)?;
    let kind = types::find(cx.db(), &req.path.id)
        .await?
        .ok_or_else(|| no_type(&req.path.id))?;
    let specs = req.body.0.get("extra_specs").and_then(Value::as_object);
    let specs = specs.ok_or_else(|| {
        Fault::bad_request("Invalid input for field/attribute extra_specs. It is a required object")
    })?;
    let specs = texts(specs).map_err(Fault::bad_request)?;
    check(&specs)?;
    let mut tx = cx.write().await?;
    unused(&mut tx, &kind.id).await?;
    types::set_specs(&mut tx, &kind.id, &specs).await?;
    tx.commit().await?;
    Ok(Json(json!({ "extra_specs": specs })))
}

endpoint! {
    /// Show an extra spec of a volume type.
    ShowExtraSpec: GET "/v3/{project_id}/types/{id}/extra_specs/{key}" => 200,
    policy: rules::ShowExtraSpec,
    path: KeyPath,
    reply: Json<Value>,
    handler: show,
}
async fn show(cx: Cx, req: Req<ShowExtraSpec>) -> Reply<ShowExtraSpec> {
    at_project(&cx, &req.path.project_id)?;
    let project = project_of(&cx, &req.path.project_id);
    let kind = usable_type(&cx, &project, &req.path.id).await?;
    let all = cx.may(
        rules::ReadSensitiveSpecs,
        &Target::of_project(project_of(&cx, "-")),
    );
    let key = req.path.key.as_str();
    let specs = kind.shown_specs(all);
    let value = specs.get(key).ok_or_else(|| no_spec(&kind.id, key))?;
    Ok(Json(json!({ key: value })))
}

endpoint! {
    /// Change an extra spec of a volume type.
    UpdateExtraSpec: PUT "/v3/{project_id}/types/{id}/extra_specs/{key}" => 200,
    policy: rules::UpdateExtraSpec,
    path: KeyPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update,
}
async fn update(cx: Cx, req: Req<UpdateExtraSpec>) -> Reply<UpdateExtraSpec> {
    at_project(&cx, &req.path.project_id)?;
    let kind = types::find(cx.db(), &req.path.id)
        .await?
        .ok_or_else(|| no_type(&req.path.id))?;
    let specs = req
        .body
        .0
        .as_object()
        .ok_or_else(|| Fault::bad_request("The body must be an object."))?;
    let specs = texts(specs).map_err(Fault::bad_request)?;
    if specs.len() != 1 {
        return Err(Fault::bad_request("Request body contains too many items."));
    }
    if !specs.contains_key(&req.path.key) {
        return Err(Fault::bad_request("Request body and URI mismatch."));
    }
    check(&specs)?;
    let mut tx = cx.write().await?;
    unused(&mut tx, &kind.id).await?;
    types::set_specs(&mut tx, &kind.id, &specs).await?;
    tx.commit().await?;
    Ok(Json(json!(specs)))
}

endpoint! {
    /// Remove an extra spec of a volume type.
    DeleteExtraSpec: DELETE "/v3/{project_id}/types/{id}/extra_specs/{key}" => 202,
    policy: rules::DeleteExtraSpec,
    path: KeyPath,
    reply: Accepted,
    handler: delete,
}
async fn delete(cx: Cx, req: Req<DeleteExtraSpec>) -> Reply<DeleteExtraSpec> {
    at_project(&cx, &req.path.project_id)?;
    let kind = types::find(cx.db(), &req.path.id)
        .await?
        .ok_or_else(|| no_type(&req.path.id))?;
    let mut tx = cx.write().await?;
    unused(&mut tx, &kind.id).await?;
    if !types::remove_spec(&mut tx, &kind.id, &req.path.key).await? {
        return Err(no_spec(&kind.id, &req.path.key));
    }
    tx.commit().await?;
    Ok(Accepted)
}
