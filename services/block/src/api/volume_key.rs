//! How a volume is encrypted, and what opens it.
//!
//! The key leaves this service only by one call, which is compute's: its own account asks by an attachment that has a host.
//! Compute hands it to that host when it opens the volume, and keeps it nowhere.

use nephos_api::{Fault, Json, Loaded, Reply, Req, endpoint};
use serde_json::{Map, Value, json};

use super::attaching::no_attachment;
use super::fault::no_volume;
use super::{ItemPath, KeyPath, at_project, missing, volume};
use crate::model::attachment::AttachmentId;
use crate::model::layer::Format;
use crate::model::volume::Volume;
use crate::store::{attachments, encryption};
use crate::{Cx, rules};

/// The account of the compute service.
const COMPUTE: &str = "nova";

/// What Cinder tells of it (cinder.api.contrib.volume_encryption_metadata).
async fn view(cx: &Cx, volume: &Volume) -> Result<Map<String, Value>, Fault> {
    let key = encryption::key(cx.db(), &volume.id).await?;
    let mut view = Map::new();
    view.insert("encryption_key_id".to_owned(), json!(key.map(|key| key.id)));
    if volume.format == Format::Luks
        && let Some(of_type) = encryption::of_type(cx.db(), &volume.type_id).await?
    {
        let said = of_type.view();
        let shown = ["control_location", "cipher", "key_size", "provider"];
        let shown = said
            .into_iter()
            .filter(|(key, _)| shown.contains(&key.as_str()));
        view.extend(shown);
    }
    Ok(view)
}

endpoint! {
    /// Show how a volume is encrypted.
    ShowEncryption: GET "/v3/{project_id}/volumes/{id}/encryption" => 200,
    policy: Loaded<rules::EncryptionMetadata>,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_encryption,
}
async fn show_encryption(cx: Cx, req: Req<ShowEncryption>) -> Reply<ShowEncryption> {
    let volume = volume(&cx, rules::EncryptionMetadata, &req.path).await?;
    Ok(Json(Value::Object(view(&cx, &volume).await?)))
}

endpoint! {
    /// Show one thing of how a volume is encrypted.
    ShowEncryptionItem: GET "/v3/{project_id}/volumes/{id}/encryption/{key}" => 200,
    policy: Loaded<rules::EncryptionMetadata>,
    path: KeyPath,
    reply: Json<Value>,
    handler: show_item,
}
async fn show_item(cx: Cx, req: Req<ShowEncryptionItem>) -> Reply<ShowEncryptionItem> {
    let KeyPath {
        project_id,
        id,
        key,
    } = req.path;
    let path = ItemPath { project_id, id };
    let volume = volume(&cx, rules::EncryptionMetadata, &path).await?;
    let value = view(&cx, &volume).await?.remove(&key);
    let value = value.ok_or_else(|| {
        Fault::not_found(format!("Volume {} has no encryption {key}.", volume.id))
    })?;
    Ok(Json(json!({ key: value })))
}

endpoint! {
    /// Tell the compute service what opens the volume of an attachment.
    ShowVolumeKey: GET "/v3/{project_id}/attachments/{id}/key" => 200,
    policy: Loaded<rules::VolumeKey>,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_key,
}
async fn show_key(cx: Cx, req: Req<ShowVolumeKey>) -> Reply<ShowVolumeKey> {
    at_project(&cx, &req.path.project_id)?;
    let id = &req.path.id;
    let found = attachments::find(cx.db(), &AttachmentId::from(id.as_str())).await?;
    let attachment = cx
        .allow(rules::VolumeKey, found)
        .map_err(|fault| missing(fault, || no_attachment(id)))?;
    if cx.caller.user_name != COMPUTE {
        return Err(Fault::forbidden(
            "Only the compute service learns what opens a volume.",
        ));
    }
    if attachment.host.is_none() {
        return Err(Fault::conflict(format!(
            "Attachment {id} does not say which host opens the volume."
        )));
    }
    let volume = &attachment.volume_id;
    let key = encryption::key(cx.db(), volume).await?;
    let key = key.ok_or_else(|| no_volume(volume.as_str()))?;
    // Nothing that passes: whoever waited for it would wait for ever.
    let key = cx.open_key(volume, &key.sealed).map_err(|why| {
        tracing::error!(%volume, %why, "the key of a volume does not open");
        Fault::conflict(format!("The key of volume {volume} does not open: {why}."))
    })?;
    Ok(Json(json!({ "key": key.0 })))
}
