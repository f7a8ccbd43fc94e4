//! Making an image of a volume.

use nephos_api::version::v;
use nephos_api::{Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_types::Timestamp;
use serde_json::{Map, Value, json};

use super::fault::{busy, from_peer, invalid_input, invalid_volume, no_volume};
use super::{ItemPath, volume};
use crate::model::body::Fields;
use crate::model::layer::Format;
use crate::model::volume::{Status, Volume};
use crate::ops::{self, Asked};
use crate::peers::is_property;
use crate::store::{metadata, types, volumes as rows};
use crate::{Cx, rules};

/// What QEMU writes.
const DISK_FORMATS: &[&str] = &["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx"];
const VISIBILITIES: &[&str] = &["private", "community", "shared", "public"];

endpoint! {
    /// Make an image of a volume.
    UploadVolume: POST "/v3/{project_id}/volumes/{id}/action" ["os-volume_upload_image"] => 202,
    policy: Loaded<rules::UploadImage>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: upload_volume,
}
async fn upload_volume(cx: Cx, req: Req<UploadVolume>) -> Reply<UploadVolume> {
    let volume = volume(&cx, rules::UploadImage, &req.path).await?;
    let wish = wish(&cx, &req.body.0)?;
    if wish.visibility.as_deref() == Some("public") {
        let target = Target::of_project(volume.owner.project_id.as_str());
        cx.require(rules::UploadPublic, &target)?;
    }
    check(&volume)?;
    let token = cx
        .token()
        .ok_or_else(|| Fault::unauthorized("The request you have made requires authentication."))?;
    let wanted = image_body(&cx, &volume, &wish).await?;
    let made = cx.siblings.create_image(token, &wanted).await;
    let image = made.map_err(|why| from_peer(&why))?.id;
    if let Err(fault) = begin(&cx, &volume, (&image, &wish.disk_format)).await {
        if let Err(why) = cx.siblings.drop_image(token, &image).await {
            tracing::warn!(%why, image, "an image without bytes stays");
        }
        return Err(fault);
    }
    let mut view = json!({
        "id": volume.id, "updated_at": volume.updated_at.iso_naive(), "status": "uploading",
        "display_description": volume.description, "size": volume.size_gib,
        "volume_type": type_view(&cx, &volume).await?, "image_id": image, "image_name": wish.name,
        "container_format": wish.container_format, "disk_format": wish.disk_format,
    });
    if let Some(object) = view.as_object_mut()
        && cx.version >= v(3, 1)
    {
        let visibility = wish.visibility.as_deref().unwrap_or("private");
        object.insert("visibility".to_owned(), json!(visibility));
        object.insert("protected".to_owned(), json!(wish.protected));
    }
    Ok(Json(json!({ "os-volume_upload_image": view })))
}

/// What the image is to be.
struct Wish {
    name: String,
    disk_format: String,
    container_format: String,
    visibility: Option<String>,
    protected: bool,
}

fn wish(cx: &Cx, body: &Value) -> Result<Wish, Fault> {
    let fields = Fields::inside(body, "os-volume_upload_image").map_err(Fault::bad_request)?;
    let mut known = vec!["image_name", "force", "disk_format", "container_format"];
    // Cinder 3.1.
    let says_more = cx.version >= v(3, 1);
    if says_more {
        known.extend(["visibility", "protected"]);
    }
    fields.only(&known).map_err(Fault::bad_request)?;
    let text = |key: &str| fields.text(key).map_err(Fault::bad_request);
    let name = text("image_name")?.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute image_name. 'image_name' is a required property",
        )
    })?;
    fields.flag("force").map_err(Fault::bad_request)?;
    let disk_format = text("disk_format")?.unwrap_or_else(|| "raw".to_owned());
    if !DISK_FORMATS.contains(&disk_format.as_str()) {
        return Err(invalid_input(format!(
            "disk_format must be one of {}, not '{disk_format}'.",
            DISK_FORMATS.join(", ")
        )));
    }
    let container_format = text("container_format")?.unwrap_or_else(|| "bare".to_owned());
    if container_format != "bare" {
        return Err(invalid_input(format!(
            "container_format must be bare for {disk_format}, not '{container_format}'."
        )));
    }
    let visibility = if says_more { text("visibility")? } else { None };
    if let Some(word) = visibility
        .as_deref()
        .filter(|word| !VISIBILITIES.contains(word))
    {
        return Err(invalid_input(format!(
            "visibility must be one of {}, not '{word}'.",
            VISIBILITIES.join(", ")
        )));
    }
    let protected = fields.flag("protected").map_err(Fault::bad_request)?;
    Ok(Wish {
        name,
        disk_format,
        container_format,
        visibility,
        protected: protected.unwrap_or(false),
    })
}

/// What is encrypted stays so: an image would be readable by whoever may read the image.
fn check_plain(volume: &Volume) -> Result<(), Fault> {
    if volume.format == Format::Luks {
        return Err(invalid_volume(format!(
            "Volume {} is encrypted, and an image of it would not be. Copy what is to be in the image to a volume of a type \
             without encryption, within a server, and make the image of that.",
            volume.id
        )));
    }
    Ok(())
}

/// A volume in use is being written: no image of it would be whole (Cinder's `enable_force_upload` is off, too).
fn check(volume: &Volume) -> Result<(), Fault> {
    check_plain(volume)?;
    if volume.status != Status::Available {
        return Err(invalid_volume(format!(
            "Volume {} status must be available, but current status is: {}.",
            volume.id,
            volume.status.as_str()
        )));
    }
    Ok(())
}

/// The image as it is asked for; a bootable volume gives what it knows of its own image.
async fn image_body(cx: &Cx, volume: &Volume, wish: &Wish) -> Result<Value, Fault> {
    let mut image = Map::new();
    if volume.bootable {
        let known = metadata::of(cx.db(), metadata::IMAGE, volume.id.as_str()).await?;
        let properties = known.into_iter().filter(|(key, _)| is_property(key));
        image.extend(properties.map(|(key, value)| (key, json!(value))));
        image.insert("min_disk".to_owned(), json!(volume.size_gib));
    }
    let visibility = wish.visibility.as_deref().unwrap_or("private");
    let own = json!({
        "name": wish.name, "disk_format": wish.disk_format, "container_format": wish.container_format,
        "visibility": visibility, "protected": wish.protected,
    });
    image.extend(own.as_object().cloned().unwrap_or_default());
    Ok(Value::Object(image))
}

async fn begin(cx: &Cx, volume: &Volume, image: (&str, &str)) -> Result<(), Fault> {
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &volume.id)
        .await?
        .ok_or_else(|| no_volume(volume.id.as_str()))?;
    check(&now)?;
    let requested = ops::upload::request(&mut tx, Asked::of(cx), &now.id, image).await;
    requested.map_err(|why| busy("volume", now.id.as_str(), why))?;
    let moves = (now.status, Status::Uploading);
    rows::move_status(&mut tx, &now.id, moves, cx.now()).await?;
    tx.commit().await?;
    Ok(())
}

async fn type_view(cx: &Cx, volume: &Volume) -> Result<Value, Fault> {
    let Some(kind) = types::find(cx.db(), &volume.type_id).await? else {
        return Ok(Value::Null);
    };
    let at = |time: Timestamp| time.iso_naive();
    Ok(json!({
        "id": kind.id, "name": kind.name, "description": kind.description, "is_public": kind.is_public,
        "extra_specs": kind.shown_specs(cx.caller.is_admin()), "qos_specs_id": kind.qos_id, "deleted": false, "deleted_at": null,
        "created_at": at(kind.created_at), "updated_at": at(kind.updated_at),
    }))
}
