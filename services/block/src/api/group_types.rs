//! Kinds of groups of volumes, and their specs.

use nephos_api::{Accepted, Fault, Json, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use serde_json::{Value, json};

use super::fault::no_group_type;
use super::{ItemPath, KeyPath, ProjectPath, at_project, project_of};
use crate::model::body::{Fields, texts, truth};
use crate::model::group::GroupType;
use crate::model::list::ListQuery;
use crate::model::volume::is_uuid;
use crate::store::group_types::{self, SORT_KEYS};
use crate::{Cx, rules};

fn view(cx: &Cx, kind: &GroupType) -> Value {
    let own = Target::of_project(project_of(cx, "-"));
    let mut view = json!({
        "id": kind.id, "name": kind.name, "description": kind.description, "is_public": kind.is_public,
    });
    if cx.may(rules::GroupTypeAccess, &own)
        && let Some(view) = view.as_object_mut()
    {
        view.insert("group_specs".to_owned(), json!(kind.specs));
    }
    view
}

/// The type of this id, or of this name, when the caller may know it.
pub(crate) async fn known(cx: &Cx, word: &str) -> Result<GroupType, Fault> {
    let found = group_types::find(cx.db(), word).await?;
    let found = found.filter(|kind| kind.is_public || cx.caller.is_admin());
    found.ok_or_else(|| no_group_type(word))
}

async fn by_id(cx: &Cx, path: &ItemPath) -> Result<GroupType, Fault> {
    at_project(cx, &path.project_id)?;
    if !is_uuid(&path.id) {
        return Err(no_group_type(&path.id));
    }
    known(cx, &path.id).await
}

endpoint! {
    /// List group types.
    ListGroupTypes: GET "/v3/{project_id}/group_types" => 200,
    versions: 3.11..,
    policy: nephos_api::Authenticated,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list_group_types,
}
async fn list_group_types(cx: Cx, req: Req<ListGroupTypes>) -> Reply<ListGroupTypes> {
    at_project(&cx, &req.path.project_id)?;
    let asked = ListQuery::parse(&req.query.0, SORT_KEYS).map_err(Fault::bad_request)?;
    let public = match req.query.get("is_public") {
        _any if !cx.caller.is_admin() => Some(true),
        None => Some(true),
        Some(word) if word.eq_ignore_ascii_case("none") => None,
        Some(word) => {
            let public = truth(word);
            let wrong = || Fault::bad_request(format!("Invalid is_public filter [{word}]"));
            Some(public.ok_or_else(wrong)?)
        }
    };
    let (key, down) = asked
        .sort
        .first()
        .map_or(("created_at", true), |(key, down)| (key.as_str(), *down));
    let mut found = group_types::list(cx.db(), public, (key, down)).await?;
    if let Some(marker) = &asked.marker {
        let at = found.iter().position(|kind| kind.id == *marker);
        let at = at.ok_or_else(|| no_group_type(marker))?;
        found.drain(..=at);
    }
    found.drain(..asked.offset.min(found.len()));
    found.truncate(usize::try_from(asked.limit).unwrap_or(usize::MAX));
    let views: Vec<Value> = found.iter().map(|kind| view(&cx, kind)).collect();
    Ok(Json(json!({ "group_types": views })))
}

endpoint! {
    /// Show a group type.
    ShowGroupType: GET "/v3/{project_id}/group_types/{id}" => 200,
    versions: 3.11..,
    policy: nephos_api::Authenticated,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_group_type,
}
async fn show_group_type(cx: Cx, req: Req<ShowGroupType>) -> Reply<ShowGroupType> {
    let kind = by_id(&cx, &req.path).await?;
    Ok(Json(json!({ "group_type": view(&cx, &kind) })))
}

/// A name that is not empty.
fn name_of(fields: &Fields<'_>) -> Result<Option<String>, Fault> {
    match fields.text("name").map_err(Fault::bad_request)? {
        Some(name) if name.is_empty() => {
            Err(Fault::bad_request("Group type name can not be empty."))
        }
        given => Ok(given),
    }
}

fn unique(name: &str) -> impl Fn(nephos_db::Error) -> Fault {
    let words = format!("Group Type {name} already exists.");
    move |why| match why.is_unique() {
        true => Fault::conflict(words.clone()),
        false => why.into(),
    }
}

endpoint! {
    /// Create a group type.
    CreateGroupType: POST "/v3/{project_id}/group_types" => 202,
    versions: 3.11..,
    policy: rules::CreateGroupType,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_group_type,
}
async fn create_group_type(cx: Cx, req: Req<CreateGroupType>) -> Reply<CreateGroupType> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "group_type").map_err(Fault::bad_request)?;
    let known = ["name", "description", "is_public", "group_specs"];
    fields.only(&known).map_err(Fault::bad_request)?;
    let name = name_of(&fields)?.ok_or_else(|| {
        Fault::bad_request("Invalid input for field/attribute name. 'name' is a required property")
    })?;
    let specs = fields.metadata("group_specs").map_err(Fault::bad_request)?;
    let kind = GroupType {
        id: nephos_runtime::ids::uuid().to_string(),
        name,
        description: fields.text("description").map_err(Fault::bad_request)?,
        is_public: fields
            .flag("is_public")
            .map_err(Fault::bad_request)?
            .unwrap_or(true),
        specs: specs.unwrap_or_default(),
        created_at: cx.now(),
        updated_at: cx.now(),
    };
    let mut tx = cx.write().await?;
    let made = group_types::insert(&mut tx, &kind).await;
    made.map_err(unique(&kind.name))?;
    tx.commit().await?;
    Ok(Json(json!({ "group_type": view(&cx, &kind) })))
}

endpoint! {
    /// Change a group type.
    UpdateGroupType: PUT "/v3/{project_id}/group_types/{id}" => 200,
    versions: 3.11..,
    policy: rules::UpdateGroupType,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_group_type,
}
async fn update_group_type(cx: Cx, req: Req<UpdateGroupType>) -> Reply<UpdateGroupType> {
    let mut kind = by_id(&cx, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "group_type").map_err(Fault::bad_request)?;
    let known = ["name", "description", "is_public"];
    fields.only(&known).map_err(Fault::bad_request)?;
    let name = name_of(&fields)?;
    let description = fields.text("description").map_err(Fault::bad_request)?;
    let public = fields.flag("is_public").map_err(Fault::bad_request)?;
    if name.is_none() && description.is_none() && public.is_none() {
        return Err(Fault::bad_request(
            "Specify group type name, description or a combination thereof.",
        ));
    }
    kind.name = name.unwrap_or(kind.name);
    kind.description = description.or(kind.description);
    kind.is_public = public.unwrap_or(kind.is_public);
    kind.updated_at = cx.now();
    let mut tx = cx.write().await?;
    let made = group_types::update(&mut tx, &kind).await;
    made.map_err(unique(&kind.name))?;
    tx.commit().await?;
    Ok(Json(json!({ "group_type": view(&cx, &kind) })))
}

endpoint! {
    /// Delete a group type of which there is no group.
    DeleteGroupType: DELETE "/v3/{project_id}/group_types/{id}" => 202,
    versions: 3.11..,
    policy: rules::DeleteGroupType,
    path: ItemPath,
    reply: Accepted,
    handler: delete_group_type,
}
async fn delete_group_type(cx: Cx, req: Req<DeleteGroupType>) -> Reply<DeleteGroupType> {
    let kind = by_id(&cx, &req.path).await?;
    let mut tx = cx.write().await?;
    if !group_types::remove(&mut tx, &kind.id).await? {
        return Err(Fault::bad_request("Target group type is still in use."));
    }
    tx.commit().await?;
    Ok(Accepted)
}

fn at(path: &KeyPath) -> ItemPath {
    ItemPath {
        project_id: path.project_id.clone(),
        id: path.id.clone(),
    }
}

endpoint! {
    /// List the specs of a group type.
    ListGroupSpecs: GET "/v3/{project_id}/group_types/{id}/group_specs" => 200,
    versions: 3.11..,
    policy: rules::ListGroupSpecs,
    path: ItemPath,
    reply: Json<Value>,
    handler: list_specs,
}
async fn list_specs(cx: Cx, req: Req<ListGroupSpecs>) -> Reply<ListGroupSpecs> {
    let kind = by_id(&cx, &req.path).await?;
    Ok(Json(json!({ "group_specs": kind.specs })))
}

endpoint! {
    /// Add specs to a group type.
    CreateGroupSpecs: POST "/v3/{project_id}/group_types/{id}/group_specs" => 202,
    versions: 3.11..,
    policy: rules::CreateGroupSpecs,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_specs,
}
async fn create_specs(cx: Cx, req: Req<CreateGroupSpecs>) -> Reply<CreateGroupSpecs> {
    let kind = by_id(&cx, &req.path).await?;
    let inner = req.body.0.get("group_specs").and_then(Value::as_object);
    let inner = inner.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute group_specs. 'group_specs' is a required property and an object.",
        )
    })?;
    let specs = texts(inner).map_err(Fault::bad_request)?;
    let mut tx = cx.write().await?;
    group_types::set_specs(&mut tx, &kind.id, &specs).await?;
    tx.commit().await?;
    Ok(Json(json!({ "group_specs": specs })))
}

fn no_spec(kind: &GroupType, key: &str) -> Fault {
    Fault::not_found(format!(
        "Group Type {} has no extra spec with key {key}.",
        kind.id
    ))
}

endpoint! {
    /// Show a spec of a group type.
    ShowGroupSpec: GET "/v3/{project_id}/group_types/{id}/group_specs/{key}" => 200,
    versions: 3.11..,
    policy: rules::ShowGroupSpec,
    path: KeyPath,
    reply: Json<Value>,
    handler: show_spec,
}
async fn show_spec(cx: Cx, req: Req<ShowGroupSpec>) -> Reply<ShowGroupSpec> {
    let kind = by_id(&cx, &at(&req.path)).await?;
    let key = &req.path.key;
    let value = kind.specs.get(key).ok_or_else(|| no_spec(&kind, key))?;
    Ok(Json(json!({ key: value })))
}

endpoint! {
    /// Change a spec of a group type.
    UpdateGroupSpec: PUT "/v3/{project_id}/group_types/{id}/group_specs/{key}" => 200,
    versions: 3.11..,
    policy: rules::UpdateGroupSpec,
    path: KeyPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_spec,
}
async fn update_spec(cx: Cx, req: Req<UpdateGroupSpec>) -> Reply<UpdateGroupSpec> {
    let kind = by_id(&cx, &at(&req.path)).await?;
    let inner = req.body.0.as_object().filter(|inner| inner.len() == 1);
    let inner = inner.filter(|inner| inner.contains_key(&req.path.key));
    let inner = inner.ok_or_else(|| Fault::bad_request("Request body and URI mismatch"))?;
    let specs = texts(inner).map_err(Fault::bad_request)?;
    let mut tx = cx.write().await?;
    group_types::set_specs(&mut tx, &kind.id, &specs).await?;
    tx.commit().await?;
    Ok(Json(json!(specs)))
}

endpoint! {
    /// Remove a spec of a group type.
    DeleteGroupSpec: DELETE "/v3/{project_id}/group_types/{id}/group_specs/{key}" => 202,
    versions: 3.11..,
    policy: rules::DeleteGroupSpec,
    path: KeyPath,
    reply: Accepted,
    handler: delete_spec,
}
async fn delete_spec(cx: Cx, req: Req<DeleteGroupSpec>) -> Reply<DeleteGroupSpec> {
    let kind = by_id(&cx, &at(&req.path)).await?;
    let mut tx = cx.write().await?;
    if !group_types::remove_spec(&mut tx, &kind.id, &req.path.key).await? {
        return Err(no_spec(&kind, &req.path.key));
    }
    tx.commit().await?;
    Ok(Accepted)
}
