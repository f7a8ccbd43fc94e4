//! Tags of namespaces.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, With, endpoint};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::metadef_namespaces::{
    NamespacePath, TagName, check_unprotected, duplicate, load, missing_item, renamed,
};
use crate::model::list::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::model::metadef::check_name;
use crate::store::metadefs::{self, Item, ItemKind};
use crate::{Cx, rules};

const TAG: ItemKind = ItemKind::Tag;

#[derive(Debug, Deserialize)]
pub(crate) struct TagPath {
    namespace: String,
    tag: String,
}

/// A tag.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagBody {
    name: String,
}

/// Tags.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TagsBody {
    tags: Vec<TagBody>,
}

impl TagBody {
    /// The row.
    pub(crate) fn item(&self, now: Timestamp) -> Result<Item, Fault> {
        named(&self.name, now)
    }
}

fn named(name: &str, now: Timestamp) -> Result<Item, Fault> {
    check_name("tag", name).map_err(Fault::bad_request)?;
    Ok(Item {
        name: name.to_owned(),
        body: json!({}),
        created_at: now,
        updated_at: now,
    })
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagView {
    name: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagsView {
    tags: Vec<TagName>,
    first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    schema: &'static str,
}

impl From<Item> for TagView {
    fn from(item: Item) -> Self {
        Self {
            name: item.name,
            created_at: item.created_at,
            updated_at: item.updated_at,
        }
    }
}

async fn find(cx: &Cx, namespace: &str, name: &str) -> Result<Item, Fault> {
    let missing = || missing_item("tag", name, namespace);
    if name.contains('\0') {
        return Err(missing());
    }
    metadefs::item(cx.db(), namespace, (TAG, name))
        .await?
        .ok_or_else(missing)
}

endpoint! {
    /// Create the tags of a namespace, in place of those it has; besides them with `X-Openstack-Append: True`.
    CreateTags: POST "/v2/metadefs/namespaces/{namespace}/tags" => 201,
    policy: Loaded<rules::AddMetadefTags>,
    path: NamespacePath,
    body: Json<TagsBody>,
    reply: With<Json<TagsView>>,
    handler: create_tags,
}
async fn create_tags(cx: Cx, req: Req<CreateTags>) -> Reply<CreateTags> {
    let namespace = load(&cx, rules::AddMetadefTags, &req.path.namespace).await?;
    let now = cx.now();
    let items: Vec<Item> = req
        .body
        .tags
        .iter()
        .map(|tag| tag.item(now))
        .collect::<Result<_, Fault>>()?;
    let append = req
        .header("x-openstack-append")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut tx = cx.write().await?;
    if !append {
        metadefs::remove_items(&mut tx, &namespace.name, TAG).await?;
    }
    for item in &items {
        if !metadefs::insert_item(&mut tx, &namespace.name, TAG, item).await? {
            return Err(duplicate("tag", &item.name, &namespace.name));
        }
    }
    tx.commit().await?;
    let path = format!("/v2/metadefs/namespaces/{}/tags", namespace.name);
    let tags = items.into_iter().map(|item| TagName { name: item.name });
    let view = TagsView {
        tags: tags.collect(),
        first: path.clone(),
        next: None,
        schema: "/v2/schemas/metadefs/tags",
    };
    Ok(With::new(Json(view)).header(http::header::LOCATION, &cx.url(&path)))
}

endpoint! {
    /// Create a tag of a namespace.
    CreateTag: POST "/v2/metadefs/namespaces/{namespace}/tags/{tag}" => 201,
    policy: Loaded<rules::AddMetadefTag>,
    path: TagPath,
    reply: With<Json<TagView>>,
    handler: create_tag,
}
async fn create_tag(cx: Cx, req: Req<CreateTag>) -> Reply<CreateTag> {
    let namespace = load(&cx, rules::AddMetadefTag, &req.path.namespace).await?;
    let item = named(&req.path.tag, cx.now())?;
    let mut tx = cx.write().await?;
    if !metadefs::insert_item(&mut tx, &namespace.name, TAG, &item).await? {
        return Err(duplicate("tag", &item.name, &namespace.name));
    }
    tx.commit().await?;
    let path = format!(
        "/v2/metadefs/namespaces/{}/tags/{}",
        namespace.name, item.name
    );
    Ok(With::new(Json(item.into())).header(http::header::LOCATION, &cx.url(&path)))
}

endpoint! {
    /// List the tags of a namespace.
    ListTags: GET "/v2/metadefs/namespaces/{namespace}/tags" => 200,
    policy: Loaded<rules::GetMetadefTags>,
    path: NamespacePath,
    query: Params,
    reply: Json<TagsView>,
    handler: list_tags,
}
async fn list_tags(cx: Cx, req: Req<ListTags>) -> Reply<ListTags> {
    let namespace = load(&cx, rules::GetMetadefTags, &req.path.namespace).await?;
    let mut items = metadefs::items(cx.db(), &namespace.name, TAG).await?;
    // A namespace has few tags; a page is cut out of all of them.
    match req.query.get("sort_key").unwrap_or("created_at") {
        "created_at" => {}
        "name" => items.sort_by(|a, b| b.name.cmp(&a.name)),
        "updated_at" => items.sort_by_key(|item| std::cmp::Reverse(item.updated_at)),
        unknown => return Err(Fault::bad_request(format!("Invalid sort key: {unknown}"))),
    }
    match req.query.get("sort_dir").unwrap_or("desc") {
        "desc" => {}
        "asc" => items.reverse(),
        unknown => {
            return Err(Fault::bad_request(format!(
                "Invalid sort direction: {unknown}"
            )));
        }
    }
    let limit = match req.query.get("limit") {
        Some(limit) => nephos_types::count(limit)
            .ok_or_else(|| Fault::bad_request("limit param must be a positive integer"))?
            .min(MAX_LIMIT) as usize,
        None => DEFAULT_LIMIT as usize,
    };
    if let Some(marker) = req.query.get("marker") {
        let at = items.iter().position(|item| item.name == marker);
        let at = at.ok_or_else(|| missing_item("tag", marker, &namespace.name))?;
        items.drain(..=at);
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let path = format!("/v2/metadefs/namespaces/{}/tags", namespace.name);
    let next = items
        .last()
        .filter(|_| more)
        .map(|last| super::images::link(&path, &req.query, Some(&last.name)))
        .transpose()?;
    Ok(Json(TagsView {
        first: super::images::link(&path, &req.query, None)?,
        next,
        tags: items
            .into_iter()
            .map(|item| TagName { name: item.name })
            .collect(),
        schema: "/v2/schemas/metadefs/tags",
    }))
}

endpoint! {
    /// Show a tag of a namespace.
    ShowTag: GET "/v2/metadefs/namespaces/{namespace}/tags/{tag}" => 200,
    policy: Loaded<rules::GetMetadefTag>,
    path: TagPath,
    reply: Json<TagView>,
    handler: show_tag,
}
async fn show_tag(cx: Cx, req: Req<ShowTag>) -> Reply<ShowTag> {
    let namespace = load(&cx, rules::GetMetadefTag, &req.path.namespace).await?;
    let item = find(&cx, &namespace.name, &req.path.tag).await?;
    Ok(Json(item.into()))
}

endpoint! {
    /// Rename a tag of a namespace.
    UpdateTag: PUT "/v2/metadefs/namespaces/{namespace}/tags/{tag}" => 200,
    policy: Loaded<rules::ModifyMetadefTag>,
    path: TagPath,
    body: Json<TagBody>,
    reply: Json<TagView>,
    handler: update_tag,
}
async fn update_tag(cx: Cx, req: Req<UpdateTag>) -> Reply<UpdateTag> {
    let namespace = load(&cx, rules::ModifyMetadefTag, &req.path.namespace).await?;
    let mut item = req.body.item(cx.now())?;
    let old = find(&cx, &namespace.name, &req.path.tag).await?;
    item.created_at = old.created_at;
    let taken = || duplicate("tag", &item.name, &namespace.name);
    let mut tx = cx.write().await?;
    metadefs::update_item(&mut tx, &namespace.name, (TAG, &old.name), &item)
        .await
        .map_err(|why| renamed(why, taken))?;
    tx.commit().await?;
    Ok(Json(item.into()))
}

endpoint! {
    /// Delete a tag of a namespace.
    DeleteMetadefTag: DELETE "/v2/metadefs/namespaces/{namespace}/tags/{tag}" => 204,
    policy: Loaded<rules::DeleteMetadefTag>,
    path: TagPath,
    reply: Empty,
    handler: delete_tag,
}
async fn delete_tag(cx: Cx, req: Req<DeleteMetadefTag>) -> Reply<DeleteMetadefTag> {
    let namespace = load(&cx, rules::DeleteMetadefTag, &req.path.namespace).await?;
    let item = find(&cx, &namespace.name, &req.path.tag).await?;
    check_unprotected(&namespace)?;
    let mut tx = cx.write().await?;
    metadefs::remove_item(&mut tx, &namespace.name, (TAG, &item.name)).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Delete all tags of a namespace.
    DeleteTags: DELETE "/v2/metadefs/namespaces/{namespace}/tags" => 204,
    policy: Loaded<rules::DeleteMetadefTags>,
    path: NamespacePath,
    reply: Empty,
    handler: delete_tags,
}
async fn delete_tags(cx: Cx, req: Req<DeleteTags>) -> Reply<DeleteTags> {
    let namespace = load(&cx, rules::DeleteMetadefTags, &req.path.namespace).await?;
    check_unprotected(&namespace)?;
    let mut tx = cx.write().await?;
    metadefs::remove_items(&mut tx, &namespace.name, TAG).await?;
    tx.commit().await?;
    Ok(Empty)
}
