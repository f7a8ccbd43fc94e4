//! Changes of images by JSON patch.

use nephos_api::{Fault, Json, Loaded, Reply, Req, endpoint};
use serde_json::Value;

use super::images::{ImagePath, check_visibility, load, target_of};
use super::view::ImageView;
use crate::model::attribute::Attribute;
use crate::model::patch::{self, Change, Form};
use crate::store::images;
use crate::{Cx, rules};

endpoint! {
    /// Change attributes and properties of an image.
    UpdateImage: PATCH "/v2/images/{id}" => 200,
    policy: Loaded<rules::ModifyImage>,
    path: ImagePath,
    body: Json<Value>,
    reply: Json<ImageView>,
    handler: update_image,
}
async fn update_image(cx: Cx, req: Req<UpdateImage>) -> Reply<UpdateImage> {
    let seen = load(&cx, rules::ModifyImage, &req.path.id).await?;
    let content_type = req.content_type().unwrap_or_default();
    let form = Form::of(&content_type).ok_or_else(unknown_form)?;
    let changes = patch::parse(form, &req.body)?;
    check_rights(&cx, &changes, &seen)?;
    let before = seen.into_inner().image;
    if changes.is_empty() {
        return Ok(Json(before.into()));
    }
    let mut after = before.clone();
    patch::apply(changes, &mut after)?;
    let now = cx.now();
    let mut tx = cx.write().await?;
    images::update(&mut tx, &before, &after, now).await?;
    tx.commit().await?;
    after.updated_at = now;
    Ok(Json(after.into()))
}

/// What only some may set.
fn check_rights(cx: &Cx, changes: &[Change], seen: &images::Seen) -> Result<(), Fault> {
    for attribute in changes.iter().filter_map(Change::sets) {
        match attribute {
            Attribute::Visibility(visibility) => {
                check_visibility(cx, *visibility, &target_of(seen))?;
            }
            Attribute::Owner(owner) if *owner != seen.owner && !cx.caller.is_admin() => {
                return Err(Fault::forbidden("Owner can't be updated by non admin."));
            }
            _free => {}
        }
    }
    Ok(())
}

fn unknown_form() -> Fault {
    let types = Form::TYPES.join(", ");
    Fault::unsupported_media_type(format!("Image PATCH expects Content-Type one of: {types}"))
        .header(http::HeaderName::from_static("accept-patch"), &types)
}
