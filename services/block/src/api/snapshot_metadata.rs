//! What users write on snapshots.

use nephos_api::{Empty, Fault, Json, Loaded, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::{ItemPath, KeyPath, snapshot};
use crate::model::body::texts;
use crate::store::metadata;
use crate::{Cx, rules};

endpoint! {
    /// Show what is written on a snapshot.
    ShowSnapshotMetadata: GET "/v3/{project_id}/snapshots/{id}/metadata" => 200,
    policy: Loaded<rules::GetSnapshotMetadata>,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_metadata,
}
async fn show_metadata(cx: Cx, req: Req<ShowSnapshotMetadata>) -> Reply<ShowSnapshotMetadata> {
    let snapshot = snapshot(&cx, rules::GetSnapshotMetadata, &req.path).await?;
    let items = metadata::of(cx.db(), metadata::SNAPSHOT, snapshot.id.as_str()).await?;
    Ok(Json(json!({ "metadata": items })))
}

endpoint! {
    /// Write on a snapshot.
    CreateSnapshotMetadata: POST "/v3/{project_id}/snapshots/{id}/metadata" => 200,
    policy: Loaded<rules::UpdateSnapshotMetadata>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_metadata,
}
async fn create_metadata(
    cx: Cx,
    req: Req<CreateSnapshotMetadata>,
) -> Reply<CreateSnapshotMetadata> {
    write(&cx, &req.path, &req.body.0, false).await
}

endpoint! {
    /// Write on a snapshot in the place of what was there.
    ReplaceSnapshotMetadata: PUT "/v3/{project_id}/snapshots/{id}/metadata" => 200,
    policy: Loaded<rules::UpdateSnapshotMetadata>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: replace_metadata,
}
async fn replace_metadata(
    cx: Cx,
    req: Req<ReplaceSnapshotMetadata>,
) -> Reply<ReplaceSnapshotMetadata> {
    write(&cx, &req.path, &req.body.0, true).await
}

async fn write(
    cx: &Cx,
    path: &ItemPath,
    body: &Value,
    replace: bool,
) -> Result<Json<Value>, Fault> {
    let snapshot = snapshot(cx, rules::UpdateSnapshotMetadata, path).await?;
    let items = body.get("metadata").and_then(Value::as_object);
    let items = items.ok_or_else(|| {
        Fault::bad_request("Invalid input for field/attribute metadata. It is a required object")
    })?;
    let items = texts(items).map_err(Fault::bad_request)?;
    let mut tx = cx.write().await?;
    if replace {
        metadata::replace(&mut tx, metadata::SNAPSHOT, snapshot.id.as_str(), &items).await?;
    } else {
        metadata::set(&mut tx, metadata::SNAPSHOT, snapshot.id.as_str(), &items).await?;
    }
    tx.commit().await?;
    let items = metadata::of(cx.db(), metadata::SNAPSHOT, snapshot.id.as_str()).await?;
    Ok(Json(json!({ "metadata": items })))
}

fn no_item(id: &str, key: &str) -> Fault {
    Fault::not_found(format!("Snapshot {id} has no metadata with key {key}."))
}

endpoint! {
    /// Show one item that is written on a snapshot.
    ShowSnapshotMetadataItem: GET "/v3/{project_id}/snapshots/{id}/metadata/{key}" => 200,
    policy: Loaded<rules::GetSnapshotMetadata>,
    path: KeyPath,
    reply: Json<Value>,
    handler: show_item,
}
async fn show_item(cx: Cx, req: Req<ShowSnapshotMetadataItem>) -> Reply<ShowSnapshotMetadataItem> {
    let KeyPath {
        project_id,
        id,
        key,
    } = req.path;
    let snapshot = snapshot(
        &cx,
        rules::GetSnapshotMetadata,
        &ItemPath { project_id, id },
    )
    .await?;
    let items = metadata::of(cx.db(), metadata::SNAPSHOT, snapshot.id.as_str()).await?;
    let value = items
        .get(&key)
        .ok_or_else(|| no_item(snapshot.id.as_str(), &key))?;
    Ok(Json(json!({ "meta": { key.as_str(): value } })))
}

endpoint! {
    /// Change one item that is written on a snapshot.
    UpdateSnapshotMetadataItem: PUT "/v3/{project_id}/snapshots/{id}/metadata/{key}" => 200,
    policy: Loaded<rules::UpdateSnapshotMetadata>,
    path: KeyPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_item,
}
async fn update_item(
    cx: Cx,
    req: Req<UpdateSnapshotMetadataItem>,
) -> Reply<UpdateSnapshotMetadataItem> {
    let KeyPath {
        project_id,
        id,
        key,
    } = req.path;
    let snapshot = snapshot(
        &cx,
        rules::UpdateSnapshotMetadata,
        &ItemPath { project_id, id },
    )
    .await?;
    let items = super::metadata::one_item(&req.body.0, &key)?;
    let mut tx = cx.write().await?;
    metadata::set(&mut tx, metadata::SNAPSHOT, snapshot.id.as_str(), &items).await?;
    tx.commit().await?;
    Ok(Json(json!({ "meta": items })))
}

endpoint! {
    /// Remove one item that is written on a snapshot.
    DeleteSnapshotMetadataItem: DELETE "/v3/{project_id}/snapshots/{id}/metadata/{key}" => 200,
    policy: Loaded<rules::DeleteSnapshotMetadata>,
    path: KeyPath,
    reply: Empty,
    handler: delete_item,
}
async fn delete_item(
    cx: Cx,
    req: Req<DeleteSnapshotMetadataItem>,
) -> Reply<DeleteSnapshotMetadataItem> {
    let KeyPath {
        project_id,
        id,
        key,
    } = req.path;
    let snapshot = snapshot(
        &cx,
        rules::DeleteSnapshotMetadata,
        &ItemPath { project_id, id },
    )
    .await?;
    let mut tx = cx.write().await?;
    if !metadata::remove(&mut tx, metadata::SNAPSHOT, snapshot.id.as_str(), &key).await? {
        return Err(no_item(snapshot.id.as_str(), &key));
    }
    tx.commit().await?;
    Ok(Empty)
}
