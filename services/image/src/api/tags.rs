//! Tags of images.

use nephos_api::{Empty, Loaded, Reply, Req, endpoint};
use serde::Deserialize;

use super::fault::no_image;
use super::images::load;
use crate::model::attribute::{check_counts, tag};
use crate::store::images;
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct TagPath {
    id: String,
    tag: String,
}

endpoint! {
    /// Add a tag to an image.
    AddTag: PUT "/v2/images/{id}/tags/{tag}" => 204,
    policy: Loaded<rules::ModifyImage>,
    path: TagPath,
    reply: Empty,
    handler: add_tag,
}
async fn add_tag(cx: Cx, req: Req<AddTag>) -> Reply<AddTag> {
    let tag = tag(&req.path.tag)?;
    let image = load(&cx, rules::ModifyImage, &req.path.id).await?;
    let mut after = image.image.clone();
    after.tags.insert(tag.clone());
    check_counts(&after)?;
    let mut tx = cx.write().await?;
    if !images::touch(&mut tx, &image.id, cx.now()).await? {
        return Err(no_image(&req.path.id));
    }
    images::insert_tag(&mut tx, &image.id, &tag).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Remove a tag from an image.
    DeleteTag: DELETE "/v2/images/{id}/tags/{tag}" => 204,
    policy: Loaded<rules::ModifyImage>,
    path: TagPath,
    reply: Empty,
    handler: delete_tag,
}
async fn delete_tag(cx: Cx, req: Req<DeleteTag>) -> Reply<DeleteTag> {
    let image = load(&cx, rules::ModifyImage, &req.path.id).await?;
    let missing = || nephos_api::Fault::not_found("The resource could not be found.");
    let tag = tag(&req.path.tag).map_err(|_| missing())?;
    let mut tx = cx.write().await?;
    if !images::remove_tag(&mut tx, &image.id, &tag).await? {
        return Err(missing());
    }
    images::touch(&mut tx, &image.id, cx.now()).await?;
    tx.commit().await?;
    Ok(Empty)
}
