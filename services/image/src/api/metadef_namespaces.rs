//! Namespaces of metadata definitions.

use std::collections::{BTreeMap, HashMap};

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, With, endpoint};
use nephos_auth::{Authorized, Resource, Rule, Target};
use nephos_db::Direction;
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::metadef_objects::{ObjectBody, ObjectView};
use super::metadef_resource_types::{AssociationBody, AssociationView};
use super::metadef_tags::TagBody;
use crate::model::list::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::model::metadef::{check_description, check_name, check_property};
use crate::store::metadefs::{self, Item, ItemKind, Namespace, NamespaceQuery};
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct NamespacePath {
    pub namespace: String,
}

/// A namespace, with what is to be in it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamespaceBody {
    namespace: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    /// `public` or `private`.
    #[serde(default)]
    visibility: Option<String>,
    #[serde(default)]
    protected: Option<bool>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    resource_type_associations: Vec<AssociationBody>,
    #[serde(default)]
    #[schema(value_type = Object)]
    properties: BTreeMap<String, Map<String, Value>>,
    #[serde(default)]
    objects: Vec<ObjectBody>,
    #[serde(default)]
    tags: Vec<TagBody>,
}

/// A namespace, with what is in it where that is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamespaceView {
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    visibility: &'static str,
    protected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(rename = "self")]
    link: String,
    schema: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_type_associations: Vec<AssociationView>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    properties: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objects: Vec<ObjectView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<TagName>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagName {
    pub name: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamespacesView {
    namespaces: Vec<NamespaceView>,
    first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    schema: &'static str,
}

impl From<Namespace> for NamespaceView {
    fn from(namespace: Namespace) -> Self {
        Self {
            link: format!("/v2/metadefs/namespaces/{}", namespace.name),
            visibility: namespace.visibility(),
            namespace: namespace.name,
            display_name: namespace.display_name,
            description: namespace.description,
            protected: namespace.protected,
            owner: namespace.owner,
            created_at: namespace.created_at,
            updated_at: namespace.updated_at,
            schema: "/v2/schemas/metadefs/namespace",
            resource_type_associations: Vec::new(),
            properties: BTreeMap::new(),
            objects: Vec::new(),
            tags: Vec::new(),
        }
    }
}

/// The namespace, when the caller may do `R` with it. One that the caller may not see is not found.
pub(crate) async fn load<R: Rule>(
    cx: &Cx,
    rule: R,
    name: &str,
) -> Result<Authorized<Namespace, R>, Fault> {
    let missing = || {
        Fault::not_found(format!(
            "Metadata definition namespace={name} was not found."
        ))
    };
    if name.contains('\0') {
        return Err(missing());
    }
    let found = metadefs::get(cx.db(), name).await?;
    let readable = found.as_ref().is_some_and(|found| {
        let mut target = Target::new();
        if let Some(owner) = found.project_id() {
            target.set_project(owner);
        }
        found.target(&mut target);
        cx.may(rules::GetMetadefNamespace, &target)
    });
    cx.allow(rule, found).map_err(|fault| {
        if readable && fault.status == http::StatusCode::FORBIDDEN {
            fault
        } else {
            missing()
        }
    })
}

/// Refuses to take something away from a protected namespace.
pub(crate) fn check_unprotected(namespace: &Namespace) -> Result<(), Fault> {
    if namespace.protected {
        return Err(Fault::forbidden(format!(
            "Metadata definition namespace {} is protected and cannot be deleted, nor can what is in it.",
            namespace.name
        )));
    }
    Ok(())
}

/// 409 of something that is there already.
pub(crate) fn duplicate(what: &str, name: &str, namespace: &str) -> Fault {
    Fault::conflict(format!(
        "A metadata definition {what} with name={name} already exists in namespace={namespace}."
    ))
}

/// 404 of something that is not in a namespace.
pub(crate) fn missing_item(what: &str, name: &str, namespace: &str) -> Fault {
    Fault::not_found(format!(
        "The metadata definition {what} with name={name} was not found in namespace={namespace}."
    ))
}

/// A refusal of the database that may be the name's.
pub(crate) fn renamed(error: nephos_db::Error, taken: impl FnOnce() -> Fault) -> Fault {
    if error.is_unique() {
        taken()
    } else {
        error.into()
    }
}

fn parse(cx: &Cx, body: &NamespaceBody, created_at: Timestamp) -> Result<Namespace, Fault> {
    check_name("namespace", &body.namespace).map_err(Fault::bad_request)?;
    if let Some(name) = &body.display_name {
        check_name("display name", name).map_err(Fault::bad_request)?;
    }
    let description = body.description.as_deref();
    check_description("description", description).map_err(Fault::bad_request)?;
    check_description("owner", body.owner.as_deref()).map_err(Fault::bad_request)?;
    let public = match body.visibility.as_deref() {
        None | Some("private") => false,
        Some("public") => true,
        Some(unknown) => {
            return Err(Fault::bad_request(format!(
                "Invalid visibility value: {unknown}"
            )));
        }
    };
    let own = || cx.caller.project_id().map(|project| project.0.clone());
    Ok(Namespace {
        name: body.namespace.clone(),
        display_name: body.display_name.clone(),
        description: body.description.clone(),
        public,
        protected: body.protected.unwrap_or(false),
        owner: body.owner.clone().or_else(own),
        created_at,
        updated_at: cx.now(),
    })
}

endpoint! {
    /// Create a namespace.
    CreateNamespace: POST "/v2/metadefs/namespaces" => 201,
    policy: rules::AddMetadefNamespace,
    body: Json<NamespaceBody>,
    reply: With<Json<NamespaceView>>,
    handler: create_namespace,
}
async fn create_namespace(cx: Cx, req: Req<CreateNamespace>) -> Reply<CreateNamespace> {
    let body = &req.body.0;
    let now = cx.now();
    let namespace = parse(&cx, body, now)?;
    let name = namespace.name.clone();
    let mut items = Vec::new();
    for object in &body.objects {
        items.push((ItemKind::Object, object.item(now)?));
    }
    for tag in &body.tags {
        items.push((ItemKind::Tag, tag.item(now)?));
    }
    for (property, said) in &body.properties {
        check_property(property, said).map_err(Fault::bad_request)?;
        let item = Item {
            name: property.clone(),
            body: Value::Object(said.clone()),
            created_at: now,
            updated_at: now,
        };
        items.push((ItemKind::Property, item));
    }
    let mut tx = cx.write().await?;
    if !metadefs::insert(&mut tx, &namespace).await? {
        return Err(Fault::conflict(format!(
            "The metadata definition namespace={name} already exists."
        )));
    }
    for association in &body.resource_type_associations {
        let row = association.row(&name, now)?;
        if !metadefs::insert_association(&mut tx, &row).await? {
            return Err(duplicate(
                "resource type association",
                &row.resource_type,
                &name,
            ));
        }
    }
    for (kind, item) in &items {
        if !metadefs::insert_item(&mut tx, &name, *kind, item).await? {
            return Err(duplicate(kind.as_str(), &item.name, &name));
        }
    }
    tx.commit().await?;
    let location = cx.url(&format!("/v2/metadefs/namespaces/{name}"));
    let view = detail(&cx, namespace, None).await?;
    Ok(With::new(Json(view)).header(http::header::LOCATION, &location))
}

/// A namespace with all that is in it; properties as a resource type names them, with its prefix.
async fn detail(
    cx: &Cx,
    namespace: Namespace,
    resource_type: Option<&str>,
) -> Result<NamespaceView, Fault> {
    let (db, name) = (cx.db(), namespace.name.clone());
    let associations = metadefs::associations(db, &[&name]).await?;
    let prefix = associations
        .iter()
        .find(|one| Some(one.resource_type.as_str()) == resource_type)
        .and_then(|one| one.prefix.clone())
        .unwrap_or_default();
    let properties = metadefs::items(db, &name, ItemKind::Property).await?;
    let objects = metadefs::items(db, &name, ItemKind::Object).await?;
    let tags = metadefs::items(db, &name, ItemKind::Tag).await?;
    let mut view = NamespaceView::from(namespace);
    view.resource_type_associations = associations
        .into_iter()
        .map(AssociationView::from)
        .collect();
    view.properties = properties
        .into_iter()
        .map(|item| (format!("{prefix}{}", item.name), item.body))
        .collect();
    view.objects = objects
        .into_iter()
        .map(|item| ObjectView::new(&name, item).with_prefix(&prefix))
        .collect();
    view.tags = tags
        .into_iter()
        .map(|item| TagName { name: item.name })
        .collect();
    Ok(view)
}

endpoint! {
    /// Show a namespace with all that is in it.
    ShowNamespace: GET "/v2/metadefs/namespaces/{namespace}" => 200,
    policy: Loaded<rules::GetMetadefNamespace>,
    path: NamespacePath,
    query: Params,
    reply: Json<NamespaceView>,
    handler: show_namespace,
}
async fn show_namespace(cx: Cx, req: Req<ShowNamespace>) -> Reply<ShowNamespace> {
    let namespace = load(&cx, rules::GetMetadefNamespace, &req.path.namespace).await?;
    let resource_type = req.query.get("resource_type");
    Ok(Json(
        detail(&cx, namespace.into_inner(), resource_type).await?,
    ))
}

endpoint! {
    /// List namespaces.
    ListNamespaces: GET "/v2/metadefs/namespaces" => 200,
    policy: rules::GetMetadefNamespaces,
    query: Params,
    reply: Json<NamespacesView>,
    handler: list_namespaces,
}
async fn list_namespaces(cx: Cx, req: Req<ListNamespaces>) -> Reply<ListNamespaces> {
    let query = namespace_query(&cx, &req.query).await?;
    let page = metadefs::page(cx.db(), &cx.caller, &query).await?;
    let names: Vec<&str> = page.iter().map(|one| one.name.as_str()).collect();
    let mut by_namespace: HashMap<String, Vec<AssociationView>> = HashMap::new();
    for one in metadefs::associations(cx.db(), &names).await? {
        let of = by_namespace.entry(one.namespace.clone()).or_default();
        of.push(one.into());
    }
    let full = u32::try_from(page.len()).is_ok_and(|count| count == query.limit);
    let path = "/v2/metadefs/namespaces";
    let next = page
        .last()
        .filter(|_| full)
        .map(|last| super::images::link(path, &req.query, Some(&last.name)))
        .transpose()?;
    let view = |namespace: Namespace| {
        let mut view = NamespaceView::from(namespace);
        let associations = by_namespace.remove(&view.namespace);
        view.resource_type_associations = associations.unwrap_or_default();
        view
    };
    Ok(Json(NamespacesView {
        first: super::images::link(path, &req.query, None)?,
        next,
        namespaces: page.into_iter().map(view).collect(),
        schema: "/v2/schemas/metadefs/namespaces",
    }))
}

async fn namespace_query(cx: &Cx, query: &Params) -> Result<NamespaceQuery, Fault> {
    let bad = |why: String| Fault::bad_request(why);
    if let Some((key, _)) = query.0.iter().find(|(_, value)| value.contains('\0')) {
        return Err(bad(format!(
            "The value of '{key}' contains a NUL character."
        )));
    }
    let visibility = query.get("visibility").filter(|word| !word.is_empty());
    if let Some(word) = visibility.filter(|word| !["public", "private"].contains(word)) {
        return Err(bad(format!("Invalid visibility value: {word}")));
    }
    let direction = match query.get("sort_dir").unwrap_or("desc") {
        "asc" => Direction::Asc,
        "desc" => Direction::Desc,
        unknown => return Err(bad(format!("Invalid sort direction: {unknown}"))),
    };
    let column = match query.get("sort_key").unwrap_or("created_at") {
        "created_at" => "created_at",
        "updated_at" => "updated_at",
        "namespace" | "id" => "name",
        unknown => return Err(bad(format!("Invalid sort key: {unknown}"))),
    };
    let limit = match query.get("limit") {
        Some(limit) => nephos_types::count(limit)
            .ok_or_else(|| bad("limit param must be a positive integer".to_owned()))?
            .min(MAX_LIMIT),
        None => DEFAULT_LIMIT,
    };
    let after = match query.get("marker") {
        Some(marker) => {
            let found = metadefs::get(cx.db(), marker).await?;
            let found = found.filter(|found| found.visible_to(&cx.caller));
            let missing = || {
                Fault::not_found(format!(
                    "Metadata definition namespace={marker} was not found."
                ))
            };
            Some(found.ok_or_else(missing)?)
        }
        None => None,
    };
    let types = query.get("resource_types").unwrap_or_default().split(',');
    Ok(NamespaceQuery {
        visibility: visibility.map(str::to_owned),
        resource_types: types
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        sort: (column, direction),
        after,
        limit,
    })
}

endpoint! {
    /// Change a namespace.
    UpdateNamespace: PUT "/v2/metadefs/namespaces/{namespace}" => 200,
    policy: Loaded<rules::ModifyMetadefNamespace>,
    path: NamespacePath,
    body: Json<NamespaceBody>,
    reply: Json<NamespaceView>,
    handler: update_namespace,
}
async fn update_namespace(cx: Cx, req: Req<UpdateNamespace>) -> Reply<UpdateNamespace> {
    let old = load(&cx, rules::ModifyMetadefNamespace, &req.path.namespace).await?;
    let namespace = parse(&cx, &req.body, old.created_at)?;
    let taken = || {
        Fault::conflict(format!(
            "The metadata definition namespace={} already exists.",
            namespace.name
        ))
    };
    let mut tx = cx.write().await?;
    metadefs::update(&mut tx, &old.name, &namespace)
        .await
        .map_err(|why| renamed(why, taken))?;
    tx.commit().await?;
    Ok(Json(namespace.into()))
}

endpoint! {
    /// Delete a namespace and all that is in it.
    DeleteNamespace: DELETE "/v2/metadefs/namespaces/{namespace}" => 204,
    policy: Loaded<rules::DeleteMetadefNamespace>,
    path: NamespacePath,
    reply: Empty,
    handler: delete_namespace,
}
async fn delete_namespace(cx: Cx, req: Req<DeleteNamespace>) -> Reply<DeleteNamespace> {
    let namespace = load(&cx, rules::DeleteMetadefNamespace, &req.path.namespace).await?;
    check_unprotected(&namespace)?;
    let mut tx = cx.write().await?;
    metadefs::remove(&mut tx, &namespace.name).await?;
    tx.commit().await?;
    Ok(Empty)
}
