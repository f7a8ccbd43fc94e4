//! `/images` and their metadata: handed on to the image service, in the old form.

use std::collections::BTreeMap;

use http::Method;
use nephos_api::{Authenticated, Empty, Fault, Json, Params, Reply, Req, endpoint};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Cx, fault, page_limit};
use crate::peers::encoded;

#[derive(Debug, Deserialize)]
pub(crate) struct ImagePath {
    id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ItemPath {
    id: String,
    key: String,
}

/// Keys that the image service has of its own; the rest are properties, which the old API called metadata.
const OWN: &[&str] = &[
    "id",
    "name",
    "status",
    "visibility",
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "os_hidden",
    "protected",
    "owner",
    "min_disk",
    "min_ram",
    "created_at",
    "updated_at",
    "disk_format",
    "container_format",
    "tags",
    "self",
    "file",
    "schema",
    "stores",
    "locations",
    "direct_url",
];

async fn ask(cx: &Cx, method: Method, target: &str, body: Option<&Value>) -> Result<Value, Fault> {
    let token = cx.token().unwrap_or_default();
    let answer = cx
        .siblings
        .hand_on(token, "image", (method, target), body)
        .await;
    answer.map_err(|why| match why.status {
        Some(404) => Fault::not_found("Image not found."),
        _other => fault::handed_on(&why),
    })
}

async fn one(cx: &Cx, id: &str) -> Result<Value, Fault> {
    ask(
        cx,
        Method::GET,
        &format!("/v2/images/{}", encoded(id)),
        None,
    )
    .await
}

fn properties(image: &Value) -> BTreeMap<String, String> {
    let keys = image
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| !OWN.contains(&key.as_str()));
    keys.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn text<'v>(image: &'v Value, key: &str) -> &'v str {
    image.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn links(cx: &Cx, id: &str) -> Value {
    json!([
        {"rel": "self", "href": cx.url(&format!("/v2.1/images/{id}"))},
        {"rel": "bookmark", "href": cx.url(&format!("/images/{id}"))},
        {"rel": "alternate", "type": "application/vnd.openstack.image", "href": cx.url(&format!("/images/{id}"))},
    ])
}

fn brief(cx: &Cx, image: &Value) -> Value {
    json!({"id": text(image, "id"), "name": image.get("name"), "links": links(cx, text(image, "id"))})
}

fn view(cx: &Cx, image: &Value) -> Value {
    let (status, progress) = match text(image, "status") {
        "active" => ("ACTIVE", 100),
        "queued" => ("SAVING", 25),
        "saving" => ("SAVING", 50),
        "deleted" | "pending_delete" => ("DELETED", 0),
        "killed" => ("ERROR", 0),
        _other => ("UNKNOWN", 0),
    };
    let metadata = properties(image);
    let number = |key: &str| image.get(key).and_then(Value::as_i64).unwrap_or(0);
    let mut shown = json!({
        "id": text(image, "id"), "name": image.get("name"), "minRam": number("min_ram"), "minDisk": number("min_disk"),
        "metadata": metadata, "created": text(image, "created_at"), "updated": text(image, "updated_at"),
        "status": status, "progress": progress, "OS-EXT-IMG-SIZE:size": image.get("size"),
        "links": links(cx, text(image, "id")),
    });
    if let (Some(server), Some(shown)) = (metadata.get("instance_uuid"), shown.as_object_mut()) {
        let reference =
            json!({"id": server, "links": super::flavors::links(cx, "servers", server)});
        shown.insert("server".into(), reference);
    }
    shown
}

/// Everything that the caller sees and the old API's filters let through.
async fn listed(cx: &Cx, path: &str, query: &Params) -> Result<(Vec<Value>, Option<Value>), Fault> {
    let limit = usize::try_from(page_limit(query.get("limit"))?).unwrap_or(usize::MAX);
    let since = query.get("changes-since").map(|text| {
        Timestamp::parse(text)
            .ok_or_else(|| Fault::bad_request(format!("Invalid changes-since: {text}.")))
    });
    let since = since.transpose()?;
    let mut target = "/v2/images?limit=1000&sort=created_at:desc,id:desc".to_owned();
    for (ours, theirs) in [("name", "name"), ("type", "image_type")] {
        if let Some(value) = query.get(ours) {
            target.push_str(&format!("&{theirs}={}", encoded(value)));
        }
    }
    if let Some(status) = query.get("status") {
        target.push_str(&format!(
            "&status={}",
            encoded(&status.to_ascii_lowercase())
        ));
    }
    if let Some(server) = query.get("server") {
        let id = server.rsplit('/').next().unwrap_or(server);
        target.push_str(&format!("&instance_uuid={}", encoded(id)));
    }
    let answer = ask(cx, Method::GET, &target, None).await?;
    let mut images = answer
        .get("images")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<i64>().ok());
    for (ours, theirs) in [("minRam", "min_ram"), ("minDisk", "min_disk")] {
        if let Some(wanted) = number(ours) {
            images.retain(|image| image.get(theirs).and_then(Value::as_i64) == Some(wanted));
        }
    }
    if let Some(since) = since {
        images.retain(|image| {
            Timestamp::parse(text(image, "updated_at")).is_some_and(|at| at >= since)
        });
    }
    if let Some(marker) = query.get("marker") {
        let at = images.iter().position(|image| text(image, "id") == marker);
        let at = at.ok_or_else(|| Fault::bad_request(format!("marker [{marker}] not found")))?;
        images = images.split_off(at + 1);
    }
    let more = images.len() > limit;
    images.truncate(limit);
    let last = images
        .last()
        .filter(|_| more)
        .map(|image| text(image, "id").to_owned());
    let links = last.map(
        |last| json!([{"rel": "next", "href": super::server_list::next_url(cx, path, query, &last)}]),
    );
    Ok((images, links))
}

fn page(images: Vec<Value>, links: Option<Value>) -> Json<Value> {
    let mut page = json!({ "images": images });
    if let (Some(links), Some(page)) = (links, page.as_object_mut()) {
        page.insert("images_links".into(), links);
    }
    Json(page)
}

endpoint! {
    /// List images, as it was.
    ListImages: GET "/v2.1/images" => 200,
    versions: 2.1..=2.35,
    policy: Authenticated,
    query: Params,
    reply: Json<Value>,
    handler: list_images,
}

async fn list_images(cx: Cx, req: Req<ListImages>) -> Reply<ListImages> {
    let (images, links) = listed(&cx, "/v2.1/images", &req.query).await?;
    Ok(page(
        images.iter().map(|image| brief(&cx, image)).collect(),
        links,
    ))
}

endpoint! {
    /// List images with details, as it was.
    ListImagesDetail: GET "/v2.1/images/detail" => 200,
    versions: 2.1..=2.35,
    policy: Authenticated,
    query: Params,
    reply: Json<Value>,
    handler: list_images_detail,
}

async fn list_images_detail(cx: Cx, req: Req<ListImagesDetail>) -> Reply<ListImagesDetail> {
    let (images, links) = listed(&cx, "/v2.1/images/detail", &req.query).await?;
    Ok(page(
        images.iter().map(|image| view(&cx, image)).collect(),
        links,
    ))
}

endpoint! {
    /// Show an image, as it was.
    ShowImage: GET "/v2.1/images/{id}" => 200,
    versions: 2.1..=2.35,
    policy: Authenticated,
    path: ImagePath,
    reply: Json<Value>,
    handler: show_image,
}

async fn show_image(cx: Cx, req: Req<ShowImage>) -> Reply<ShowImage> {
    let image = one(&cx, &req.path.id).await?;
    Ok(Json(json!({"image": view(&cx, &image)})))
}

endpoint! {
    /// Delete an image, as it was.
    DeleteImage: DELETE "/v2.1/images/{id}" => 204,
    versions: 2.1..=2.35,
    policy: Authenticated,
    path: ImagePath,
    reply: Empty,
    handler: delete_image,
}

async fn delete_image(cx: Cx, req: Req<DeleteImage>) -> Reply<DeleteImage> {
    ask(
        &cx,
        Method::DELETE,
        &format!("/v2/images/{}", encoded(&req.path.id)),
        None,
    )
    .await?;
    Ok(Empty)
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetadataBody {
    metadata: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemBody {
    meta: BTreeMap<String, String>,
}

/// Changes an image's properties from what they are to what they should be.
async fn change(
    cx: &Cx,
    id: &str,
    with: impl FnOnce(&mut BTreeMap<String, String>),
) -> Result<BTreeMap<String, String>, Fault> {
    let before = properties(&one(cx, id).await?);
    let mut wanted = before.clone();
    with(&mut wanted);
    super::server_metadata::check(&wanted)?;
    // JSON pointers write `/` and `~` in their own way.
    let pointer = |key: &str| format!("/{}", key.replace('~', "~0").replace('/', "~1"));
    let gone = before.keys().filter(|key| !wanted.contains_key(*key));
    let mut patch: Vec<Value> = gone
        .map(|key| json!({"op": "remove", "path": pointer(key)}))
        .collect();
    patch.extend(
        wanted
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(value))
            .map(|(key, value)| {
                let op = if before.contains_key(key) {
                    "replace"
                } else {
                    "add"
                };
                json!({"op": op, "path": pointer(key), "value": value})
            }),
    );
    if !patch.is_empty() {
        ask(
            cx,
            Method::PATCH,
            &format!("/v2/images/{}", encoded(id)),
            Some(&Value::Array(patch)),
        )
        .await?;
    }
    Ok(wanted)
}

endpoint! {
    /// Show an image's metadata, as it was.
    ListImageMetadata: GET "/v2.1/images/{id}/metadata" => 200,
    versions: 2.1..=2.38,
    policy: Authenticated,
    path: ImagePath,
    reply: Json<MetadataBody>,
    handler: list_image_metadata,
}

async fn list_image_metadata(cx: Cx, req: Req<ListImageMetadata>) -> Reply<ListImageMetadata> {
    let image = one(&cx, &req.path.id).await?;
    Ok(Json(MetadataBody {
        metadata: properties(&image),
    }))
}

endpoint! {
    /// Add to an image's metadata, as it was.
    CreateImageMetadata: POST "/v2.1/images/{id}/metadata" => 200,
    versions: 2.1..=2.38,
    policy: Authenticated,
    path: ImagePath,
    body: Json<MetadataBody>,
    reply: Json<MetadataBody>,
    handler: create_image_metadata,
}

async fn create_image_metadata(
    cx: Cx,
    req: Req<CreateImageMetadata>,
) -> Reply<CreateImageMetadata> {
    let asked = req.body.0.metadata;
    let metadata = change(&cx, &req.path.id, |items| items.extend(asked)).await?;
    Ok(Json(MetadataBody { metadata }))
}

endpoint! {
    /// Replace an image's metadata, as it was.
    ReplaceImageMetadata: PUT "/v2.1/images/{id}/metadata" => 200,
    versions: 2.1..=2.38,
    policy: Authenticated,
    path: ImagePath,
    body: Json<MetadataBody>,
    reply: Json<MetadataBody>,
    handler: replace_image_metadata,
}

async fn replace_image_metadata(
    cx: Cx,
    req: Req<ReplaceImageMetadata>,
) -> Reply<ReplaceImageMetadata> {
    let asked = req.body.0.metadata;
    let metadata = change(&cx, &req.path.id, |items| *items = asked).await?;
    Ok(Json(MetadataBody { metadata }))
}

endpoint! {
    /// Show one item of an image's metadata, as it was.
    ShowImageMetadataItem: GET "/v2.1/images/{id}/metadata/{key}" => 200,
    versions: 2.1..=2.38,
    policy: Authenticated,
    path: ItemPath,
    reply: Json<ItemBody>,
    handler: show_image_metadata_item,
}

async fn show_image_metadata_item(
    cx: Cx,
    req: Req<ShowImageMetadataItem>,
) -> Reply<ShowImageMetadataItem> {
    let ItemPath { id, key } = &req.path;
    let value = properties(&one(&cx, id).await?).remove(key);
    let value = value.ok_or_else(|| Fault::not_found("Metadata item was not found"))?;
    Ok(Json(ItemBody {
        meta: BTreeMap::from([(key.clone(), value)]),
    }))
}

endpoint! {
    /// Set one item of an image's metadata, as it was.
    UpdateImageMetadataItem: PUT "/v2.1/images/{id}/metadata/{key}" => 200,
    versions: 2.1..=2.38,
    policy: Authenticated,
    path: ItemPath,
    body: Json<ItemBody>,
    reply: Json<ItemBody>,
    handler: update_image_metadata_item,
}

async fn update_image_metadata_item(
    cx: Cx,
    req: Req<UpdateImageMetadataItem>,
) -> Reply<UpdateImageMetadataItem> {
    let ItemPath { id, key } = &req.path;
    let meta = req.body.0.meta;
    if meta.len() != 1 || !meta.contains_key(key) {
        return Err(Fault::bad_request("Request body and URI mismatch"));
    }
    let asked = meta.clone();
    change(&cx, id, |items| items.extend(asked)).await?;
    Ok(Json(ItemBody { meta }))
}

endpoint! {
    /// Remove one item of an image's metadata, as it was.
    DeleteImageMetadataItem: DELETE "/v2.1/images/{id}/metadata/{key}" => 204,
    versions: 2.1..=2.38,
    policy: Authenticated,
    path: ItemPath,
    reply: Empty,
    handler: delete_image_metadata_item,
}

async fn delete_image_metadata_item(
    cx: Cx,
    req: Req<DeleteImageMetadataItem>,
) -> Reply<DeleteImageMetadataItem> {
    let ItemPath { id, key } = &req.path;
    let mut found = false;
    change(&cx, id, |items| found = items.remove(key).is_some()).await?;
    if found {
        Ok(Empty)
    } else {
        Err(Fault::not_found("Metadata item was not found"))
    }
}
