//! Properties of namespaces.

use std::collections::BTreeMap;

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, With, endpoint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::metadef_namespaces::{
    NamespacePath, check_unprotected, duplicate, load, missing_item, renamed,
};
use crate::model::metadef::check_property;
use crate::store::metadefs::{self, Item, ItemKind};
use crate::{Cx, rules};

const PROPERTY: ItemKind = ItemKind::Property;

#[derive(Debug, Deserialize)]
pub(crate) struct PropertyPath {
    namespace: String,
    property: String,
}

/// A property: its name, and a JSON schema of its values.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PropertyBody {
    name: String,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    said: Map<String, Value>,
}

impl PropertyBody {
    fn item(&self, cx: &Cx) -> Result<Item, Fault> {
        check_property(&self.name, &self.said).map_err(Fault::bad_request)?;
        Ok(Item {
            name: self.name.clone(),
            body: Value::Object(self.said.clone()),
            created_at: cx.now(),
            updated_at: cx.now(),
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PropertyView {
    name: String,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    said: Map<String, Value>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PropertiesView {
    #[schema(value_type = Object)]
    properties: BTreeMap<String, Value>,
}

impl PropertyView {
    fn new(name: String, item: Item) -> Self {
        let said = match item.body {
            Value::Object(said) => said,
            _other => Map::new(),
        };
        Self { name, said }
    }
}

async fn find(cx: &Cx, namespace: &str, name: &str) -> Result<Item, Fault> {
    let missing = || missing_item("property", name, namespace);
    if name.contains('\0') {
        return Err(missing());
    }
    metadefs::item(cx.db(), namespace, (PROPERTY, name))
        .await?
        .ok_or_else(missing)
}

endpoint! {
    /// Create a property of a namespace.
    CreateProperty: POST "/v2/metadefs/namespaces/{namespace}/properties" => 201,
    policy: Loaded<rules::AddMetadefProperty>,
    path: NamespacePath,
    body: Json<PropertyBody>,
    reply: With<Json<PropertyView>>,
    handler: create_property,
}
async fn create_property(cx: Cx, req: Req<CreateProperty>) -> Reply<CreateProperty> {
    let namespace = load(&cx, rules::AddMetadefProperty, &req.path.namespace).await?;
    let item = req.body.item(&cx)?;
    let mut tx = cx.write().await?;
    if !metadefs::insert_item(&mut tx, &namespace.name, PROPERTY, &item).await? {
        return Err(duplicate("property", &item.name, &namespace.name));
    }
    tx.commit().await?;
    let path = format!(
        "/v2/metadefs/namespaces/{}/properties/{}",
        namespace.name, item.name
    );
    let view = PropertyView::new(item.name.clone(), item);
    Ok(With::new(Json(view)).header(http::header::LOCATION, &cx.url(&path)))
}

endpoint! {
    /// List the properties of a namespace.
    ListProperties: GET "/v2/metadefs/namespaces/{namespace}/properties" => 200,
    policy: Loaded<rules::GetMetadefProperties>,
    path: NamespacePath,
    reply: Json<PropertiesView>,
    handler: list_properties,
}
async fn list_properties(cx: Cx, req: Req<ListProperties>) -> Reply<ListProperties> {
    let namespace = load(&cx, rules::GetMetadefProperties, &req.path.namespace).await?;
    let items = metadefs::items(cx.db(), &namespace.name, PROPERTY).await?;
    let pairs = items.into_iter().map(|item| (item.name, item.body));
    Ok(Json(PropertiesView {
        properties: pairs.collect(),
    }))
}

endpoint! {
    /// Show a property of a namespace.
    ShowProperty: GET "/v2/metadefs/namespaces/{namespace}/properties/{property}" => 200,
    policy: Loaded<rules::GetMetadefProperty>,
    path: PropertyPath,
    query: Params,
    reply: Json<PropertyView>,
    handler: show_property,
}
async fn show_property(cx: Cx, req: Req<ShowProperty>) -> Reply<ShowProperty> {
    let namespace = load(&cx, rules::GetMetadefProperty, &req.path.namespace).await?;
    let asked = req.path.property.as_str();
    // A resource type knows the property under its own prefix.
    let name = match req.query.get("resource_type") {
        Some(resource_type) => {
            let all = metadefs::associations(cx.db(), &[&namespace.name]).await?;
            let prefix = all
                .into_iter()
                .find(|one| one.resource_type == resource_type)
                .and_then(|one| one.prefix)
                .unwrap_or_default();
            asked
                .strip_prefix(&prefix)
                .ok_or_else(|| missing_item("property", asked, &namespace.name))?
                .to_owned()
        }
        None => asked.to_owned(),
    };
    let item = find(&cx, &namespace.name, &name).await?;
    Ok(Json(PropertyView::new(asked.to_owned(), item)))
}

endpoint! {
    /// Change a property of a namespace.
    UpdateProperty: PUT "/v2/metadefs/namespaces/{namespace}/properties/{property}" => 200,
    policy: Loaded<rules::ModifyMetadefProperty>,
    path: PropertyPath,
    body: Json<PropertyBody>,
    reply: Json<PropertyView>,
    handler: update_property,
}
async fn update_property(cx: Cx, req: Req<UpdateProperty>) -> Reply<UpdateProperty> {
    let namespace = load(&cx, rules::ModifyMetadefProperty, &req.path.namespace).await?;
    let item = req.body.item(&cx)?;
    let old = find(&cx, &namespace.name, &req.path.property).await?;
    let taken = || duplicate("property", &item.name, &namespace.name);
    let mut tx = cx.write().await?;
    metadefs::update_item(&mut tx, &namespace.name, (PROPERTY, &old.name), &item)
        .await
        .map_err(|why| renamed(why, taken))?;
    tx.commit().await?;
    Ok(Json(PropertyView::new(item.name.clone(), item)))
}

endpoint! {
    /// Delete a property of a namespace.
    DeleteProperty: DELETE "/v2/metadefs/namespaces/{namespace}/properties/{property}" => 204,
    policy: Loaded<rules::RemoveMetadefProperty>,
    path: PropertyPath,
    reply: Empty,
    handler: delete_property,
}
async fn delete_property(cx: Cx, req: Req<DeleteProperty>) -> Reply<DeleteProperty> {
    let namespace = load(&cx, rules::RemoveMetadefProperty, &req.path.namespace).await?;
    let item = find(&cx, &namespace.name, &req.path.property).await?;
    check_unprotected(&namespace)?;
    let mut tx = cx.write().await?;
    metadefs::remove_item(&mut tx, &namespace.name, (PROPERTY, &item.name)).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Delete all properties of a namespace.
    DeleteProperties: DELETE "/v2/metadefs/namespaces/{namespace}/properties" => 204,
    policy: Loaded<rules::DeleteMetadefNamespace>,
    path: NamespacePath,
    reply: Empty,
    handler: delete_properties,
}
async fn delete_properties(cx: Cx, req: Req<DeleteProperties>) -> Reply<DeleteProperties> {
    let namespace = load(&cx, rules::DeleteMetadefNamespace, &req.path.namespace).await?;
    check_unprotected(&namespace)?;
    let mut tx = cx.write().await?;
    metadefs::remove_items(&mut tx, &namespace.name, PROPERTY).await?;
    tx.commit().await?;
    Ok(Empty)
}
