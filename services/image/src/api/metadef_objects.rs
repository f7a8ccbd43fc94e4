//! Objects of namespaces: properties that belong together.

use std::collections::BTreeMap;

use nephos_api::{Empty, Fault, Json, Loaded, Reply, Req, With, endpoint};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::metadef_namespaces::{
    NamespacePath, check_unprotected, duplicate, load, missing_item, renamed,
};
use crate::model::metadef::{check_description, check_name, check_property};
use crate::store::metadefs::{self, Item, ItemKind};
use crate::{Cx, rules};

const OBJECT: ItemKind = ItemKind::Object;

#[derive(Debug, Deserialize)]
pub(crate) struct ObjectPath {
    namespace: String,
    object: String,
}

/// An object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObjectBody {
    name: String,
    #[serde(default)]
    description: Option<String>,
    /// Names of the properties that must be given.
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    properties: BTreeMap<String, Map<String, Value>>,
}

impl ObjectBody {
    /// The row.
    pub(crate) fn item(&self, now: Timestamp) -> Result<Item, Fault> {
        check_name("object", &self.name).map_err(Fault::bad_request)?;
        let description = self.description.as_deref();
        check_description("description", description).map_err(Fault::bad_request)?;
        for (name, body) in &self.properties {
            check_property(name, body).map_err(Fault::bad_request)?;
        }
        for name in &self.required {
            check_name("required property", name).map_err(Fault::bad_request)?;
        }
        Ok(Item {
            name: self.name.clone(),
            body: json!({
                "description": self.description,
                "required": self.required,
                "properties": self.properties,
            }),
            created_at: now,
            updated_at: now,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ObjectView {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    required: Vec<String>,
    #[schema(value_type = Object)]
    properties: BTreeMap<String, Value>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(rename = "self")]
    link: String,
    schema: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ObjectsView {
    objects: Vec<ObjectView>,
    first: String,
    schema: &'static str,
}

/// What a row of an object says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stored {
    description: Option<String>,
    required: Vec<String>,
    properties: BTreeMap<String, Value>,
}

impl ObjectView {
    pub(crate) fn new(namespace: &str, item: Item) -> Self {
        let stored = Stored::deserialize(&item.body).unwrap_or_default();
        Self {
            link: format!("/v2/metadefs/namespaces/{namespace}/objects/{}", item.name),
            name: item.name,
            description: stored.description,
            required: stored.required,
            properties: stored.properties,
            created_at: item.created_at,
            updated_at: item.updated_at,
            schema: "/v2/schemas/metadefs/object",
        }
    }

    /// As a resource type sees it.
    pub(crate) fn with_prefix(mut self, prefix: &str) -> Self {
        if !prefix.is_empty() {
            let properties = std::mem::take(&mut self.properties).into_iter();
            self.properties = properties
                .map(|(name, body)| (format!("{prefix}{name}"), body))
                .collect();
            for name in &mut self.required {
                name.insert_str(0, prefix);
            }
        }
        self
    }
}

endpoint! {
    /// Create an object of a namespace.
    CreateObject: POST "/v2/metadefs/namespaces/{namespace}/objects" => 201,
    policy: Loaded<rules::AddMetadefObject>,
    path: NamespacePath,
    body: Json<ObjectBody>,
    reply: With<Json<ObjectView>>,
    handler: create_object,
}
async fn create_object(cx: Cx, req: Req<CreateObject>) -> Reply<CreateObject> {
    let namespace = load(&cx, rules::AddMetadefObject, &req.path.namespace).await?;
    let item = req.body.item(cx.now())?;
    let mut tx = cx.write().await?;
    if !metadefs::insert_item(&mut tx, &namespace.name, OBJECT, &item).await? {
        return Err(duplicate("object", &item.name, &namespace.name));
    }
    tx.commit().await?;
    let view = ObjectView::new(&namespace.name, item);
    let location = cx.url(&view.link);
    Ok(With::new(Json(view)).header(http::header::LOCATION, &location))
}

endpoint! {
    /// List the objects of a namespace.
    ListObjects: GET "/v2/metadefs/namespaces/{namespace}/objects" => 200,
    policy: Loaded<rules::GetMetadefObjects>,
    path: NamespacePath,
    reply: Json<ObjectsView>,
    handler: list_objects,
}
async fn list_objects(cx: Cx, req: Req<ListObjects>) -> Reply<ListObjects> {
    let namespace = load(&cx, rules::GetMetadefObjects, &req.path.namespace).await?;
    let items = metadefs::items(cx.db(), &namespace.name, OBJECT).await?;
    let view = |item| ObjectView::new(&namespace.name, item);
    Ok(Json(ObjectsView {
        objects: items.into_iter().map(view).collect(),
        first: format!("/v2/metadefs/namespaces/{}/objects", namespace.name),
        schema: "/v2/schemas/metadefs/objects",
    }))
}

endpoint! {
    /// Show an object of a namespace.
    ShowObject: GET "/v2/metadefs/namespaces/{namespace}/objects/{object}" => 200,
    policy: Loaded<rules::GetMetadefObject>,
    path: ObjectPath,
    reply: Json<ObjectView>,
    handler: show_object,
}
async fn show_object(cx: Cx, req: Req<ShowObject>) -> Reply<ShowObject> {
    let namespace = load(&cx, rules::GetMetadefObject, &req.path.namespace).await?;
    let item = find(&cx, &namespace.name, &req.path.object).await?;
    Ok(Json(ObjectView::new(&namespace.name, item)))
}

async fn find(cx: &Cx, namespace: &str, name: &str) -> Result<Item, Fault> {
    let missing = || missing_item("object", name, namespace);
    if name.contains('\0') {
        return Err(missing());
    }
    metadefs::item(cx.db(), namespace, (OBJECT, name))
        .await?
        .ok_or_else(missing)
}

endpoint! {
    /// Change an object of a namespace.
    UpdateObject: PUT "/v2/metadefs/namespaces/{namespace}/objects/{object}" => 200,
    policy: Loaded<rules::ModifyMetadefObject>,
    path: ObjectPath,
    body: Json<ObjectBody>,
    reply: Json<ObjectView>,
    handler: update_object,
}
async fn update_object(cx: Cx, req: Req<UpdateObject>) -> Reply<UpdateObject> {
    let namespace = load(&cx, rules::ModifyMetadefObject, &req.path.namespace).await?;
    let mut item = req.body.item(cx.now())?;
    let old = find(&cx, &namespace.name, &req.path.object).await?;
    item.created_at = old.created_at;
    let taken = || duplicate("object", &item.name, &namespace.name);
    let mut tx = cx.write().await?;
    metadefs::update_item(&mut tx, &namespace.name, (OBJECT, &old.name), &item)
        .await
        .map_err(|why| renamed(why, taken))?;
    tx.commit().await?;
    Ok(Json(ObjectView::new(&namespace.name, item)))
}

endpoint! {
    /// Delete an object of a namespace.
    DeleteObject: DELETE "/v2/metadefs/namespaces/{namespace}/objects/{object}" => 204,
    policy: Loaded<rules::DeleteMetadefObject>,
    path: ObjectPath,
    reply: Empty,
    handler: delete_object,
}
async fn delete_object(cx: Cx, req: Req<DeleteObject>) -> Reply<DeleteObject> {
    let namespace = load(&cx, rules::DeleteMetadefObject, &req.path.namespace).await?;
    let item = find(&cx, &namespace.name, &req.path.object).await?;
    check_unprotected(&namespace)?;
    let mut tx = cx.write().await?;
    metadefs::remove_item(&mut tx, &namespace.name, (OBJECT, &item.name)).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Delete all objects of a namespace.
    DeleteObjects: DELETE "/v2/metadefs/namespaces/{namespace}/objects" => 204,
    policy: Loaded<rules::DeleteMetadefNamespace>,
    path: NamespacePath,
    reply: Empty,
    handler: delete_objects,
}
async fn delete_objects(cx: Cx, req: Req<DeleteObjects>) -> Reply<DeleteObjects> {
    let namespace = load(&cx, rules::DeleteMetadefNamespace, &req.path.namespace).await?;
    check_unprotected(&namespace)?;
    let mut tx = cx.write().await?;
    metadefs::remove_items(&mut tx, &namespace.name, OBJECT).await?;
    tx.commit().await?;
    Ok(Empty)
}
