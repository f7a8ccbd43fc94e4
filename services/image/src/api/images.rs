//! Images: create, show, list, delete.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderName;
use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, With, endpoint};
use nephos_auth::{Authorized, Resource, Rule, Target};
use nephos_ops::live;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::fault::{enqueue, no_image};
use super::view::{ImageView, href};
use crate::model::attribute::{NewImage, check_counts};
use crate::model::image::{Data, Image, ImageId, Status, Visibility};
use crate::model::list::ListQuery;
use crate::ops::import::SHOW_SECS;
use crate::ops::remove;
use crate::store::images::{self, Seen};
use crate::store::{list, tasks};
use crate::{Cx, rules};

/// The methods that `/v2/images/{id}/import` takes.
pub(crate) const IMPORT_METHODS: [&str; 3] = ["glance-direct", "web-download", "copy-image"];

/// The path of one image.
#[derive(Debug, Deserialize)]
pub(crate) struct ImagePath {
    pub id: String,
}

/// An image to create: base attributes and any further properties, which are strings.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct ImageBody(Map<String, Value>);

/// A page of images.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImagesView {
    images: Vec<ImageView>,
    first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    schema: &'static str,
}

/// The image at `id`, when the caller may do `R` with it. One that the caller may not see is not found.
pub(crate) async fn load<R: Rule>(
    cx: &Cx,
    rule: R,
    id: &str,
) -> Result<Authorized<Seen, R>, Fault> {
    let parsed = ImageId::parse(id).ok_or_else(|| no_image(id))?;
    let seen = images::get(cx.db(), &parsed, &cx.caller).await?;
    let readable = seen
        .as_ref()
        .is_some_and(|seen| cx.may(rules::GetImage, &target_of(seen)));
    cx.allow(rule, seen).map_err(|fault| {
        if readable && fault.status == http::StatusCode::FORBIDDEN {
            fault
        } else {
            no_image(id)
        }
    })
}

/// An image as rules see it.
pub(crate) fn target_of(seen: &Seen) -> Target {
    let mut target = Target::new();
    if let Some(owner) = seen.project_id() {
        target.set_project(owner);
    }
    seen.target(&mut target);
    target
}

endpoint! {
    /// Create an image; its data is uploaded afterwards.
    CreateImage: POST "/v2/images" => 201,
    policy: Loaded<rules::AddImage>,
    body: Json<ImageBody>,
    reply: With<Json<ImageView>>,
    handler: create_image,
}
async fn create_image(cx: Cx, req: Req<CreateImage>) -> Reply<CreateImage> {
    let new = NewImage::parse(&req.body.0.0)?;
    let image = plan(&cx, new)?;
    if live(cx.db(), image.id.as_str()).await?.is_some() {
        return Err(taken(&image.id));
    }
    let mut tx = cx.write().await?;
    if !images::insert(&mut tx, &image).await? {
        return Err(taken(&image.id));
    }
    tx.commit().await?;
    let location = cx.url(&href(&image.id));
    let stores = cx.config.stores.join(",");
    Ok(With::new(Json(image.into()))
        .header(http::header::LOCATION, &location)
        .header(
            HeaderName::from_static("openstack-image-import-methods"),
            &IMPORT_METHODS.join(","),
        )
        .header(
            HeaderName::from_static("openstack-image-store-ids"),
            &stores,
        ))
}

pub(crate) fn taken(id: &ImageId) -> Fault {
    Fault::conflict(format!("Image ID {id} already exists!"))
}

/// The image that a create asks for, if the caller may make it.
pub(crate) fn plan(cx: &Cx, new: NewImage) -> Result<Image, Fault> {
    let own = cx.caller.project_id().map(|project| project.0.clone());
    let owner = new.owner.clone().unwrap_or_else(|| own.clone());
    let mut target = Target::new().with("owner", owner.as_deref());
    if let Some(owner) = &owner {
        target.set_project(owner);
    }
    let now = cx.now();
    let mut image = Image {
        id: new
            .id
            .unwrap_or_else(|| ImageId::from(nephos_runtime::ids::uuid())),
        name: None,
        status: Status::Queued,
        visibility: Visibility::Shared,
        owner: owner.clone(),
        protected: false,
        hidden: false,
        container_format: None,
        disk_format: None,
        min_ram: 0,
        min_disk: 0,
        data: Data::default(),
        generation: 1,
        created_at: now,
        updated_at: now,
        properties: BTreeMap::new(),
        tags: BTreeSet::new(),
        stores: Vec::new(),
    };
    for attribute in new.attributes {
        attribute.apply(&mut image)?;
    }
    target.set("visibility", image.visibility.as_str());
    if owner != own && !cx.may(rules::AddImage, &target) {
        return Err(Fault::forbidden(format!(
            "You are not permitted to create images owned by '{}'",
            owner.unwrap_or_default()
        )));
    }
    cx.require(rules::AddImage, &target)?;
    check_visibility(cx, image.visibility, &target)?;
    check_counts(&image)?;
    Ok(image)
}

/// Public and community images have rules of their own.
pub(crate) fn check_visibility(
    cx: &Cx,
    visibility: Visibility,
    target: &Target,
) -> Result<(), Fault> {
    match visibility {
        Visibility::Public => cx.require(rules::PublicizeImage, target),
        Visibility::Community => cx.require(rules::CommunitizeImage, target),
        Visibility::Private | Visibility::Shared => Ok(()),
    }
}

endpoint! {
    /// Show an image.
    ShowImage: GET "/v2/images/{id}" => 200,
    policy: Loaded<rules::GetImage>,
    path: ImagePath,
    reply: Json<ImageView>,
    handler: show_image,
}
async fn show_image(cx: Cx, req: Req<ShowImage>) -> Reply<ShowImage> {
    let seen = load(&cx, rules::GetImage, &req.path.id).await?;
    Ok(Json(seen.into_inner().image.into()))
}

endpoint! {
    /// List images.
    ListImages: GET "/v2/images" => 200,
    policy: rules::GetImages,
    query: Params,
    reply: Json<ImagesView>,
    handler: list_images,
}
async fn list_images(cx: Cx, req: Req<ListImages>) -> Reply<ListImages> {
    let query = ListQuery::parse(&req.query.0).map_err(Fault::bad_request)?;
    let marker = match &query.marker {
        Some(marker) => Some(marker_image(&cx, marker).await?),
        None => None,
    };
    let page = list::page(cx.db(), &cx.caller, &query, marker.as_ref()).await?;
    let full = u32::try_from(page.len()).is_ok_and(|count| count == query.limit);
    let next = match page.last() {
        Some(last) if full => Some(link("/v2/images", &req.query, Some(last.id.as_str()))?),
        _end => None,
    };
    Ok(Json(ImagesView {
        first: link("/v2/images", &req.query, None)?,
        next,
        images: page.into_iter().map(ImageView::from).collect(),
        schema: "/v2/schemas/images",
    }))
}

/// The image behind which a page begins; it must be one that the caller may see.
async fn marker_image(cx: &Cx, marker: &str) -> Result<Image, Fault> {
    let none = || Fault::bad_request(format!("Invalid marker: no image found with ID {marker}"));
    let id = ImageId::parse(marker).ok_or_else(none)?;
    let seen = images::get(cx.db(), &id, &cx.caller).await?;
    let seen = seen.filter(|seen| seen.visible_to(&cx.caller));
    seen.map(|seen| seen.image).ok_or_else(none)
}

/// The same list from its beginning, or behind a thing of it.
pub(crate) fn link(path: &str, query: &Params, marker: Option<&str>) -> Result<String, Fault> {
    let kept = query
        .0
        .iter()
        .filter(|(key, _)| key != "marker")
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let pairs: Vec<(&str, &str)> = kept
        .chain(marker.map(|marker| ("marker", marker)))
        .collect();
    let encoded = serde_urlencoded::to_string(&pairs)
        .map_err(|_| Fault::bad_request("The query string cannot be repeated in a link."))?;
    Ok(if encoded.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{encoded}")
    })
}

endpoint! {
    /// Delete an image and its data.
    DeleteImage: DELETE "/v2/images/{id}" => 204,
    policy: Loaded<rules::DeleteImage>,
    path: ImagePath,
    reply: Empty,
    handler: delete_image,
}
async fn delete_image(cx: Cx, req: Req<DeleteImage>) -> Reply<DeleteImage> {
    let image = load(&cx, rules::DeleteImage, &req.path.id).await?;
    // Whom the rule allows it anyway is not asked about the data.
    let as_service = !cx.may_without("service", rules::DeleteImage, &target_of(&image));
    let has_data = matches!(image.status, Status::Active | Status::Deactivated);
    if has_data && as_service {
        return Err(Fault::forbidden(format!(
            "Image {} has its data: a service removes only what came to nothing.",
            image.id
        )));
    }
    if image.protected {
        return Err(Fault::forbidden(format!(
            "Image {} is protected and cannot be deleted.",
            image.id
        )));
    }
    let mut tx = cx.write().await?;
    if as_service {
        images::remove_empty(&mut tx, &image.id).await?;
    } else {
        images::remove(&mut tx, &image.id).await?;
    }
    let expires_at = cx.now().plus_secs(SHOW_SECS);
    tasks::end_of_image(&mut tx, &image.id, expires_at).await?;
    remove::request_image(&mut tx, cx.now(), &image.id, (&cx.caller, &cx.request_id))
        .await
        .map_err(|why| enqueue(image.id.as_str(), why))?;
    tx.commit().await?;
    Ok(Empty)
}
