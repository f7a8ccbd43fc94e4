//! What users write on volumes, and what volumes know of their images.

use nephos_api::{Empty, Fault, Json, Loaded, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::{ItemPath, KeyPath, volume};
use crate::model::body::{Fields, texts};
use crate::model::volume::Metadata;
use crate::store::metadata;
use crate::{Cx, rules};

fn items_of(body: &Value) -> Result<Metadata, Fault> {
    let items = body.get("metadata").and_then(Value::as_object);
    let items = items.ok_or_else(|| {
        Fault::bad_request("Invalid input for field/attribute metadata. It is a required object")
    })?;
    texts(items).map_err(Fault::bad_request)
}

/// `{"meta": {"key": "value"}}` of the key that the path names.
pub(crate) fn one_item(body: &Value, key: &str) -> Result<Metadata, Fault> {
    let items = body.get("meta").and_then(Value::as_object);
    let items = items.ok_or_else(|| {
        Fault::bad_request("Invalid input for field/attribute meta. It is a required object")
    })?;
    let items = texts(items).map_err(Fault::bad_request)?;
    if items.len() != 1 {
        return Err(Fault::bad_request("Request body contains too many items."));
    }
    if !items.contains_key(key) {
        return Err(Fault::bad_request("Request body and URI mismatch."));
    }
    Ok(items)
}

fn no_item(id: &str, key: &str) -> Fault {
    Fault::not_found(format!("Volume {id} has no metadata with key {key}."))
}

endpoint! {
    /// Show what is written on a volume.
    ShowMetadata: GET "/v3/{project_id}/volumes/{id}/metadata" => 200,
    policy: Loaded<rules::GetMetadata>,
    path: ItemPath,
    reply: Json<Value>,
    handler: show,
}
async fn show(cx: Cx, req: Req<ShowMetadata>) -> Reply<ShowMetadata> {
    let volume = volume(&cx, rules::GetMetadata, &req.path).await?;
    let items = metadata::of(cx.db(), metadata::VOLUME, volume.id.as_str()).await?;
    Ok(Json(json!({ "metadata": items })))
}

endpoint! {
    /// Write on a volume.
    CreateMetadata: POST "/v3/{project_id}/volumes/{id}/metadata" => 200,
    policy: Loaded<rules::CreateMetadata>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create,
}
async fn create(cx: Cx, req: Req<CreateMetadata>) -> Reply<CreateMetadata> {
    let volume = volume(&cx, rules::CreateMetadata, &req.path).await?;
    let items = items_of(&req.body.0)?;
    let mut tx = cx.write().await?;
    metadata::set(&mut tx, metadata::VOLUME, volume.id.as_str(), &items).await?;
    tx.commit().await?;
    let items = metadata::of(cx.db(), metadata::VOLUME, volume.id.as_str()).await?;
    Ok(Json(json!({ "metadata": items })))
}

endpoint! {
    /// Write on a volume in the place of what was there.
    ReplaceMetadata: PUT "/v3/{project_id}/volumes/{id}/metadata" => 200,
    policy: Loaded<rules::UpdateMetadata>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: replace,
}
async fn replace(cx: Cx, req: Req<ReplaceMetadata>) -> Reply<ReplaceMetadata> {
    let volume = volume(&cx, rules::UpdateMetadata, &req.path).await?;
    let items = items_of(&req.body.0)?;
    let mut tx = cx.write().await?;
    metadata::replace(&mut tx, metadata::VOLUME, volume.id.as_str(), &items).await?;
    tx.commit().await?;
    Ok(Json(json!({ "metadata": items })))
}

endpoint! {
    /// Show one item that is written on a volume.
    ShowMetadataItem: GET "/v3/{project_id}/volumes/{id}/metadata/{key}" => 200,
    policy: Loaded<rules::GetMetadata>,
    path: KeyPath,
    reply: Json<Value>,
    handler: show_item,
}
async fn show_item(cx: Cx, req: Req<ShowMetadataItem>) -> Reply<ShowMetadataItem> {
    let KeyPath {
        project_id,
        id,
        key,
    } = req.path;
    let volume = volume(&cx, rules::GetMetadata, &ItemPath { project_id, id }).await?;
    let items = metadata::of(cx.db(), metadata::VOLUME, volume.id.as_str()).await?;
    let value = items
        .get(&key)
        .ok_or_else(|| no_item(volume.id.as_str(), &key))?;
    Ok(Json(json!({ "meta": { key.as_str(): value } })))
}

endpoint! {
    /// Change one item that is written on a volume.
    UpdateMetadataItem: PUT "/v3/{project_id}/volumes/{id}/metadata/{key}" => 200,
    policy: Loaded<rules::UpdateMetadata>,
    path: KeyPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_item,
}
async fn update_item(cx: Cx, req: Req<UpdateMetadataItem>) -> Reply<UpdateMetadataItem> {
    let KeyPath {
        project_id,
        id,
        key,
    } = req.path;
    let volume = volume(&cx, rules::UpdateMetadata, &ItemPath { project_id, id }).await?;
    let items = one_item(&req.body.0, &key)?;
    let mut tx = cx.write().await?;
    metadata::set(&mut tx, metadata::VOLUME, volume.id.as_str(), &items).await?;
    tx.commit().await?;
    Ok(Json(json!({ "meta": items })))
}

endpoint! {
    /// Remove one item that is written on a volume.
    DeleteMetadataItem: DELETE "/v3/{project_id}/volumes/{id}/metadata/{key}" => 200,
    policy: Loaded<rules::DeleteMetadata>,
    path: KeyPath,
    reply: Empty,
    handler: delete_item,
}
async fn delete_item(cx: Cx, req: Req<DeleteMetadataItem>) -> Reply<DeleteMetadataItem> {
    let KeyPath {
        project_id,
        id,
        key,
    } = req.path;
    let volume = volume(&cx, rules::DeleteMetadata, &ItemPath { project_id, id }).await?;
    let mut tx = cx.write().await?;
    if !metadata::remove(&mut tx, metadata::VOLUME, volume.id.as_str(), &key).await? {
        return Err(no_item(volume.id.as_str(), &key));
    }
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Set what a volume knows of its image.
    SetImageMetadata: POST "/v3/{project_id}/volumes/{id}/action" ["os-set_image_metadata"] => 200,
    policy: Loaded<rules::SetImageMetadata>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: set_image,
}
async fn set_image(cx: Cx, req: Req<SetImageMetadata>) -> Reply<SetImageMetadata> {
    let volume = volume(&cx, rules::SetImageMetadata, &req.path).await?;
    let fields =
        Fields::inside(&req.body.0, "os-set_image_metadata").map_err(Fault::bad_request)?;
    let items = fields.metadata("metadata").map_err(Fault::bad_request)?;
    let items = items.ok_or_else(|| {
        Fault::bad_request("Invalid input for field/attribute metadata. It is a required object")
    })?;
    let mut tx = cx.write().await?;
    metadata::set(&mut tx, metadata::IMAGE, volume.id.as_str(), &items).await?;
    tx.commit().await?;
    let items = metadata::of(cx.db(), metadata::IMAGE, volume.id.as_str()).await?;
    Ok(Json(json!({ "metadata": items })))
}

endpoint! {
    /// Show what a volume knows of its image.
    ShowImageMetadata: POST "/v3/{project_id}/volumes/{id}/action" ["os-show_image_metadata"] => 200,
    policy: Loaded<rules::ShowImageMetadata>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: show_image,
}
async fn show_image(cx: Cx, req: Req<ShowImageMetadata>) -> Reply<ShowImageMetadata> {
    let volume = volume(&cx, rules::ShowImageMetadata, &req.path).await?;
    let items = metadata::of(cx.db(), metadata::IMAGE, volume.id.as_str()).await?;
    Ok(Json(json!({ "metadata": items })))
}

endpoint! {
    /// Remove one thing that a volume knows of its image.
    RemoveImageMetadata: POST "/v3/{project_id}/volumes/{id}/action" ["os-unset_image_metadata"] => 200,
    policy: Loaded<rules::RemoveImageMetadata>,
    path: ItemPath,
    body: Json<Value>,
    reply: Empty,
    handler: remove_image,
}
async fn remove_image(cx: Cx, req: Req<RemoveImageMetadata>) -> Reply<RemoveImageMetadata> {
    let volume = volume(&cx, rules::RemoveImageMetadata, &req.path).await?;
    let fields =
        Fields::inside(&req.body.0, "os-unset_image_metadata").map_err(Fault::bad_request)?;
    let key = fields.text("key").map_err(Fault::bad_request)?;
    let key = key.ok_or_else(|| {
        Fault::bad_request("Invalid input for field/attribute key. 'key' is a required property")
    })?;
    let mut tx = cx.write().await?;
    if !metadata::remove(&mut tx, metadata::IMAGE, volume.id.as_str(), &key).await? {
        return Err(Fault::not_found(format!(
            "Volume {} has no image metadata with key {key}.",
            volume.id
        )));
    }
    tx.commit().await?;
    Ok(Empty)
}
