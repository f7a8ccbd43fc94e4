//! Making an image of a server's disk.

use std::collections::BTreeMap;

use http::{Method, header};
use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, With, endpoint};
use nephos_auth::Authorized;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{Cx, ServerPath, asked, fault, name_it, server, server_metadata};
use crate::model::name;
use crate::model::server::Server;
use crate::model::snapshot::{inherited, min_disk_gib};
use crate::model::spec::ImageId;
use crate::{ops, rules, store};

#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateImageBody {
    #[serde(rename = "createImage")]
    image: NewImage,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewImage {
    name: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ImageMade {
    image_id: String,
}

endpoint! {
    /// Make an image of a server's disk.
    CreateImageOld: POST "/v2.1/servers/{id}/action" ["createImage"] => 202,
    versions: 2.1..=2.44,
    policy: Loaded<rules::CreateImage>,
    path: ServerPath,
    body: Json<CreateImageBody>,
    reply: With<Accepted>,
    handler: create_image_old,
}

/// Before 2.45 only a header said which image it is.
async fn create_image_old(cx: Cx, req: Req<CreateImageOld>) -> Reply<CreateImageOld> {
    let image = make(&cx, &req.path, req.body.0.image).await?;
    let location = cx.siblings.image_url(&image);
    Ok(With::new(Accepted).header(header::LOCATION, &location))
}

endpoint! {
    /// Make an image of a server's disk.
    CreateImage: POST "/v2.1/servers/{id}/action" ["createImage"] => 202,
    versions: 2.45..,
    policy: Loaded<rules::CreateImage>,
    path: ServerPath,
    body: Json<CreateImageBody>,
    reply: Json<ImageMade>,
    handler: create_image,
}

async fn create_image(cx: Cx, req: Req<CreateImage>) -> Reply<CreateImage> {
    let image = make(&cx, &req.path, req.body.0.image).await?;
    Ok(Json(ImageMade {
        image_id: image.to_string(),
    }))
}

/// The image, as its owner sees it at once; its data comes later. A lock is not in its way: the server stays as it is.
async fn make(cx: &Cx, path: &ServerPath, wish: NewImage) -> Result<ImageId, Fault> {
    let id = &path.id;
    let name = name::check("name", &wish.name).map_err(Fault::bad_request)?;
    let metadata = server_metadata::check(&wish.metadata)?;
    let server = cx
        .allow(rules::CreateImage, server(cx, id).await?)
        .map_err(name_it(id))?;
    let limits = store::quota::limits(cx.db(), server.project_id.as_str()).await?;
    let most = limits.get("metadata_items").copied().unwrap_or(128);
    if most >= 0 && metadata.len() > usize::try_from(most).unwrap_or(usize::MAX) {
        return Err(Fault::forbidden(format!(
            "Image metadata limit exceeded: at most {most} items"
        )));
    }
    let refused = |why| fault::refused(&server, "createImage", why);
    server.check_can(ops::snapshot::FROM).map_err(refused)?;
    if server.boots_from_volume() {
        return Err(Fault::bad_request(format!(
            "Instance {id} boots from a volume, of which no image is made here. Make a snapshot of the volume, or an image \
             of it with os-volume_upload_image, instead."
        )));
    }
    let image = ImageId::from(nephos_runtime::ids::uuid());
    let token = cx.token().unwrap_or_default();
    let body = described(cx, &server, (&image, &name), metadata);
    let to = (Method::POST, "/v2/images");
    let made = cx.siblings.hand_on(token, "image", to, Some(&body)).await;
    made.map_err(|why| match why.status {
        // More images or more of an image than the image service allows.
        Some(413) => Fault::forbidden(why.message),
        _other => fault::from_peer(&why),
    })?;
    let begun = match share(cx, token, (&image, &server)).await {
        Ok(()) => cx.db().again(|| begin(cx, &server, &image)).await,
        Err(why) => Err(why),
    };
    if begun.is_err() {
        let target = format!("/v2/images/{image}");
        let to = (Method::DELETE, target.as_str());
        if let Err(why) = cx.siblings.hand_on(token, "image", to, None).await {
            tracing::warn!(%image, %why, "an image without data is left; its owner can delete it");
        }
    }
    begun.map(|()| image)
}

/// Whether the image will be another project's than the server.
fn is_shared(cx: &Cx, server: &Server) -> bool {
    cx.caller.project_id() != Some(&server.project_id)
}

/// Lets the server's project see an image that somebody else makes of it (nova.image.glance `sharing_member_id`).
async fn share(cx: &Cx, token: &str, (image, server): (&ImageId, &Server)) -> Result<(), Fault> {
    if !is_shared(cx, server) {
        return Ok(());
    }
    let target = format!("/v2/images/{image}/members");
    let to = (Method::POST, target.as_str());
    let member = json!({ "member": server.project_id });
    let shared = cx.siblings.hand_on(token, "image", to, Some(&member)).await;
    shared.map(drop).map_err(|why| fault::from_peer(&why))
}

async fn begin(
    cx: &Cx,
    server: &Authorized<Server, rules::CreateImage>,
    image: &ImageId,
) -> Result<(), Fault> {
    let mut tx = cx.write().await?;
    let begun = ops::snapshot::request(&mut tx, asked(cx), server, image).await;
    let begun = begun.map_err(|why| fault::busy(server, "createImage", why))?;
    begun.map_err(|why| fault::refused(server, "createImage", why))?;
    tx.commit().await?;
    Ok(())
}

/// What the image service is told (nova.compute.api `_create_image`). What the caller says of it comes before what it
/// inherits; what it is, before both.
fn described(
    cx: &Cx,
    server: &Server,
    (image, name): (&ImageId, &str),
    metadata: BTreeMap<String, String>,
) -> Value {
    // An image of a server that was itself made of such an image says where the first one came from.
    let base = ("base_image_ref".to_owned(), server.image.id.to_string());
    let mut all: Map<String, Value> = std::iter::once(base)
        .chain(inherited(&server.image))
        .chain([
            ("instance_uuid".to_owned(), server.id.to_string()),
            ("user_id".to_owned(), cx.caller.user_id.to_string()),
            ("image_type".to_owned(), "snapshot".to_owned()),
            ("image_location".to_owned(), "snapshot".to_owned()),
            ("image_state".to_owned(), "available".to_owned()),
            ("owner_id".to_owned(), server.project_id.to_string()),
        ])
        .chain(metadata)
        .map(|(key, value)| (key, Value::String(value)))
        .collect();
    let visibility = if is_shared(cx, server) {
        "shared"
    } else {
        "private"
    };
    let is = json!({
        "id": image, "name": name, "visibility": visibility, "container_format": "bare", "disk_format": "qcow2",
        "min_disk": min_disk_gib(server), "min_ram": server.image.min_ram_mib,
    });
    all.extend(is.as_object().cloned().unwrap_or_default());
    Value::Object(all)
}
