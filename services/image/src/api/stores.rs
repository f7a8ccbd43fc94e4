//! Removes an image's data from one of its stores.

use nephos_api::{Empty, Fault, Loaded, Reply, Req, endpoint};
use serde::Deserialize;

use super::fault::{changed_meanwhile, enqueue};
use super::images::load;
use crate::model::image::{BlobState, Status};
use crate::ops::remove;
use crate::store::{blobs, images};
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct StorePath {
    store: String,
    id: String,
}

endpoint! {
    /// Remove an image's data from one store.
    DeleteImageFromStore: DELETE "/v2/stores/{store}/{id}" => 204,
    policy: Loaded<rules::DeleteImageLocation>,
    path: StorePath,
    reply: Empty,
    handler: delete_image_from_store,
}
async fn delete_image_from_store(
    cx: Cx,
    req: Req<DeleteImageFromStore>,
) -> Reply<DeleteImageFromStore> {
    let StorePath { store, id } = &req.path;
    if !cx.config.stores.contains(store) {
        return Err(Fault::conflict(format!(
            "The selected store {store} is not available on this node."
        )));
    }
    load(&cx, rules::GetImageLocation, id).await?;
    let image = load(&cx, rules::DeleteImageLocation, id).await?;
    if image.status != Status::Active {
        return Err(Fault::conflict(
            "It's not allowed to remove image data from store if image status is not 'active'",
        ));
    }
    let mut kept = blobs::of_image(cx.db(), &image.id).await?;
    kept.retain(|blob| blob.state == BlobState::Kept && image.stores.contains(&blob.store));
    let Some(blob) = kept.iter().find(|blob| blob.store == *store) else {
        return Err(Fault::not_found(format!(
            "Image {id} is not stored in store {store}."
        )));
    };
    if kept.len() == 1 {
        return Err(Fault::forbidden(
            "Cannot delete image data from the only store containing it. Consider deleting the image instead.",
        ));
    }
    let now = cx.now();
    let mut tx = cx.write().await?;
    // Two requests must not remove one copy each of two.
    if !images::touch_unchanged(&mut tx, &image, now).await? {
        return Err(changed_meanwhile(id));
    }
    remove::request_blob(&mut tx, now, &blob.id)
        .await
        .map_err(|why| enqueue(id, why))?;
    tx.commit().await?;
    Ok(Empty)
}
