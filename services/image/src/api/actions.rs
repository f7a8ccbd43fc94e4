//! Deactivate and reactivate images.

use nephos_api::{Empty, Fault, Loaded, Reply, Req, endpoint};

use super::images::{ImagePath, load};
use crate::model::image::{Image, Status};
use crate::store::images;
use crate::{Cx, rules};

endpoint! {
    /// Make an image's data unavailable to all but admins.
    DeactivateImage: POST "/v2/images/{id}/actions/deactivate" => 204,
    policy: Loaded<rules::Deactivate>,
    path: ImagePath,
    reply: Empty,
    handler: deactivate_image,
}
async fn deactivate_image(cx: Cx, req: Req<DeactivateImage>) -> Reply<DeactivateImage> {
    let image = load(&cx, rules::Deactivate, &req.path.id).await?;
    turn(
        &cx,
        &image,
        ("deactivate", Status::Active, Status::Deactivated),
    )
    .await
}

endpoint! {
    /// Make an image's data available again.
    ReactivateImage: POST "/v2/images/{id}/actions/reactivate" => 204,
    policy: Loaded<rules::Reactivate>,
    path: ImagePath,
    reply: Empty,
    handler: reactivate_image,
}
async fn reactivate_image(cx: Cx, req: Req<ReactivateImage>) -> Reply<ReactivateImage> {
    let image = load(&cx, rules::Reactivate, &req.path.id).await?;
    turn(
        &cx,
        &image,
        ("reactivate", Status::Deactivated, Status::Active),
    )
    .await
}

/// What is in the wanted state already stays there.
async fn turn(
    cx: &Cx,
    image: &Image,
    (verb, from, to): (&str, Status, Status),
) -> Result<Empty, Fault> {
    let refused = |status: Status| {
        Fault::forbidden(format!(
            "Not allowed to {verb} image in status '{}'",
            status.as_str()
        ))
    };
    if image.status == to {
        return Ok(Empty);
    }
    if image.status != from {
        return Err(refused(image.status));
    }
    let mut tx = cx.write().await?;
    if !images::move_status(&mut tx, &image.id, (from, to), cx.now()).await? {
        return Err(super::fault::changed_meanwhile(image.id.as_str()));
    }
    tx.commit().await?;
    Ok(Empty)
}
