//! How volumes of a type are encrypted. What volumes of a type were promised does not change under them.
//!
//! A type has one encryption at most, so that a path that names another changes and removes that one (as in Cinder, whose
//! client calls it `provider`).

use nephos_api::{Accepted, Fault, Json, Reply, Req, endpoint};
use nephos_db::Tx;
use serde_json::{Value, json};

use super::fault::no_type;
use super::{ItemPath, KeyPath, at_project};
use crate::model::body::Fields;
use crate::model::encryption::Encryption;
use crate::model::volume_type::VolumeType;
use crate::store::{encryption, types};
use crate::{Cx, rules};

async fn kind_of(cx: &Cx, (project, id): (&str, &str)) -> Result<VolumeType, Fault> {
    at_project(cx, project)?;
    let kind = types::find(cx.db(), id).await?;
    kind.ok_or_else(|| no_type(id))
}

fn none(kind: &str) -> Fault {
    Fault::not_found(format!(
        "Volume type encryption for type {kind} does not exist."
    ))
}

async fn unused(tx: &mut Tx, kind: &str, verb: &str) -> Result<(), Fault> {
    if types::is_used(tx, kind).await? {
        return Err(Fault::bad_request(format!(
            "Cannot {verb} encryption specs. Volume type in use."
        )));
    }
    Ok(())
}

endpoint! {
    /// Show how volumes of a type are encrypted; nothing when they are not.
    ShowTypeEncryption: GET "/v3/{project_id}/types/{id}/encryption" => 200,
    policy: rules::TypeEncryption,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_encryption,
}
async fn show_encryption(cx: Cx, req: Req<ShowTypeEncryption>) -> Reply<ShowTypeEncryption> {
    let kind = kind_of(&cx, (&req.path.project_id, &req.path.id)).await?;
    let found = encryption::of_type(cx.db(), &kind.id).await?;
    let view = found.map(|found| found.view()).unwrap_or_default();
    Ok(Json(Value::Object(view)))
}

endpoint! {
    /// Show one thing of how volumes of a type are encrypted.
    ShowTypeEncryptionItem: GET "/v3/{project_id}/types/{id}/encryption/{key}" => 200,
    policy: rules::TypeEncryption,
    path: KeyPath,
    reply: Json<Value>,
    handler: show_item,
}
async fn show_item(cx: Cx, req: Req<ShowTypeEncryptionItem>) -> Reply<ShowTypeEncryptionItem> {
    let kind = kind_of(&cx, (&req.path.project_id, &req.path.id)).await?;
    let found = encryption::of_type(cx.db(), &kind.id).await?;
    let key = req.path.key.as_str();
    let value = found.and_then(|found| found.view().remove(key));
    let value = value.ok_or_else(|| none(&kind.id))?;
    Ok(Json(json!({ key: value })))
}

endpoint! {
    /// Have volumes of a type be encrypted from now on.
    CreateTypeEncryption: POST "/v3/{project_id}/types/{id}/encryption" => 200,
    policy: rules::CreateTypeEncryption,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create,
}
async fn create(cx: Cx, req: Req<CreateTypeEncryption>) -> Reply<CreateTypeEncryption> {
    let kind = kind_of(&cx, (&req.path.project_id, &req.path.id)).await?;
    let fields = Fields::inside(&req.body.0, "encryption").map_err(Fault::bad_request)?;
    for key in ["provider", "control_location"] {
        if fields.text(key).map_err(Fault::bad_request)?.is_none() {
            return Err(Fault::bad_request(format!(
                "Invalid input for field/attribute encryption. '{key}' is a required property"
            )));
        }
    }
    let mut new = Encryption {
        id: nephos_runtime::ids::uuid().to_string(),
        type_id: kind.id,
        provider: String::new(),
        control_location: String::new(),
        cipher: None,
        key_size: None,
        created_at: cx.now(),
        updated_at: cx.now(),
    };
    new.take(&fields).map_err(Fault::bad_request)?;
    let mut tx = cx.write().await?;
    unused(&mut tx, &new.type_id, "create").await?;
    if !encryption::insert(&mut tx, &new).await? {
        return Err(Fault::bad_request(format!(
            "Volume type encryption for type {} already exists.",
            new.type_id
        )));
    }
    tx.commit().await?;
    Ok(Json(json!({ "encryption": new.brief() })))
}

endpoint! {
    /// Change how volumes of a type are encrypted.
    UpdateTypeEncryption: PUT "/v3/{project_id}/types/{id}/encryption/{key}" => 200,
    policy: rules::UpdateTypeEncryption,
    path: KeyPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update,
}
async fn update(cx: Cx, req: Req<UpdateTypeEncryption>) -> Reply<UpdateTypeEncryption> {
    let kind = kind_of(&cx, (&req.path.project_id, &req.path.id)).await?;
    let fields = Fields::inside(&req.body.0, "encryption").map_err(Fault::bad_request)?;
    let mut tx = cx.write().await?;
    let found = encryption::of_type_in(&mut tx, &kind.id).await?;
    let mut changed = found.ok_or_else(|| none(&kind.id))?;
    changed.take(&fields).map_err(Fault::bad_request)?;
    changed.updated_at = cx.now();
    unused(&mut tx, &kind.id, "update").await?;
    encryption::update(&mut tx, &changed).await?;
    tx.commit().await?;
    // Cinder shows what it was told.
    let mut shown = changed.brief();
    if let Some(shown) = shown.as_object_mut() {
        shown.retain(|key, _| fields.has(key));
    }
    Ok(Json(json!({ "encryption": shown })))
}

endpoint! {
    /// Have volumes of a type not be encrypted from now on.
    DeleteTypeEncryption: DELETE "/v3/{project_id}/types/{id}/encryption/{key}" => 202,
    policy: rules::DeleteTypeEncryption,
    path: KeyPath,
    reply: Accepted,
    handler: delete,
}
async fn delete(cx: Cx, req: Req<DeleteTypeEncryption>) -> Reply<DeleteTypeEncryption> {
    let kind = kind_of(&cx, (&req.path.project_id, &req.path.id)).await?;
    let mut tx = cx.write().await?;
    let found = encryption::of_type_in(&mut tx, &kind.id).await?;
    found.ok_or_else(|| none(&kind.id))?;
    unused(&mut tx, &kind.id, "delete").await?;
    encryption::remove(&mut tx, &kind.id).await?;
    tx.commit().await?;
    Ok(Accepted)
}
