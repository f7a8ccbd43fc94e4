//! Volume types.

use nephos_api::{Accepted, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use serde_json::{Value, json};

use super::fault::no_type;
use super::volume_create::usable_type;
use super::{ItemPath, ProjectPath, at_project, project_of};
use crate::model::body::{Fields, truth};
use crate::model::volume_type::{DEFAULT, VolumeType};
use crate::store::types;
use crate::{Cx, rules};

/// The shape of replies that make or change a type.
fn brief(cx: &Cx, kind: &VolumeType) -> Value {
    let mut view = view(cx, kind);
    if let Some(view) = view.as_object_mut() {
        view.shift_remove("qos_specs_id");
    }
    view
}

fn view(cx: &Cx, kind: &VolumeType) -> Value {
    let own = Target::of_project(project_of(cx, "-"));
    let mut view = json!({
        "id": kind.id, "name": kind.name, "description": kind.description, "is_public": kind.is_public,
    });
    if let Some(object) = view.as_object_mut() {
        if cx.may(rules::TypeExtraSpecs, &own) {
            let all = cx.may(rules::ReadSensitiveSpecs, &own);
            object.insert("extra_specs".to_owned(), json!(kind.shown_specs(all)));
        }
        if cx.may(rules::TypeAccess, &own) {
            object.insert(
                "os-volume-type-access:is_public".to_owned(),
                json!(kind.is_public),
            );
        }
        if cx.caller.is_admin() {
            object.insert("qos_specs_id".to_owned(), json!(kind.qos_id));
        }
    }
    view
}

endpoint! {
    /// List volume types.
    ListTypes: GET "/v3/{project_id}/types" => 200,
    policy: rules::GetAllTypes,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list_types,
}
async fn list_types(cx: Cx, req: Req<ListTypes>) -> Reply<ListTypes> {
    at_project(&cx, &req.path.project_id)?;
    let project = project_of(&cx, &req.path.project_id);
    let public = match req.query.get("is_public") {
        _any if !cx.caller.is_admin() => None,
        None => Some(true),
        Some(word) if word.eq_ignore_ascii_case("none") => None,
        Some(word) => Some(
            truth(word)
                .ok_or_else(|| Fault::bad_request(format!("Invalid is_public filter [{word}]")))?,
        ),
    };
    let seen = (!cx.caller.is_admin()).then_some(project.as_str());
    let mut found = types::list(cx.db(), seen, public).await?;
    if let Some(wanted) = req.query.get("extra_specs") {
        let wanted: Value = serde_json::from_str(&wanted.replace('\'', "\""))
            .map_err(|_| Fault::bad_request("extra_specs is not an object"))?;
        found.retain(|kind| {
            let pairs = wanted.as_object().into_iter().flatten();
            let mut pairs = pairs.filter_map(|(key, value)| Some((key, value.as_str()?)));
            pairs.all(|(key, value)| kind.specs.get(key).map(String::as_str) == Some(value))
        });
    }
    if let Some(name) = req.query.get("name") {
        found.retain(|kind| kind.name == name);
    }
    if let Some(marker) = req.query.get("marker") {
        let at = found
            .iter()
            .position(|kind| kind.id == marker)
            .ok_or_else(|| no_type(marker))?;
        found.drain(..=at);
    }
    if let Some(limit) = req.query.get("limit") {
        let limit = limit
            .parse::<usize>()
            .map_err(|_| Fault::bad_request("limit param must be an integer"))?;
        found.truncate(limit);
    }
    Ok(Json(
        json!({ "volume_types": found.iter().map(|kind| view(&cx, kind)).collect::<Vec<_>>() }),
    ))
}

endpoint! {
    /// Show a volume type; `default` is the one that volumes have when nobody names one.
    ShowType: GET "/v3/{project_id}/types/{id}" => 200,
    policy: rules::GetType,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_type,
}
async fn show_type(cx: Cx, req: Req<ShowType>) -> Reply<ShowType> {
    at_project(&cx, &req.path.project_id)?;
    let project = project_of(&cx, &req.path.project_id);
    let kind = if req.path.id == "default" {
        let own = types::defaults(cx.db(), Some(&project)).await?;
        let word = own
            .into_iter()
            .next()
            .map_or_else(|| DEFAULT.to_owned(), |own| own.type_id);
        usable_type(&cx, &project, &word).await?
    } else {
        usable_type(&cx, &project, &req.path.id).await?
    };
    Ok(Json(json!({ "volume_type": view(&cx, &kind) })))
}

/// A name: 1 to 255 characters that are not all spaces.
fn name_of(fields: &Fields<'_>) -> Result<Option<String>, Fault> {
    let name = fields.text("name").map_err(Fault::bad_request)?;
    match name {
        Some(name) if name.is_empty() => {
            Err(Fault::bad_request("Volume type name can not be empty."))
        }
        fine => Ok(fine),
    }
}

fn taken(name: &str) -> Fault {
    Fault::conflict(format!("Volume Type {name} already exists."))
}

endpoint! {
    /// Create a volume type.
    CreateType: POST "/v3/{project_id}/types" => 200,
    policy: rules::CreateType,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_type,
}
async fn create_type(cx: Cx, req: Req<CreateType>) -> Reply<CreateType> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "volume_type").map_err(Fault::bad_request)?;
    let name = name_of(&fields)?
        .ok_or_else(|| Fault::bad_request("Volume type name can not be empty."))?;
    let public = fields
        .flag("os-volume-type-access:is_public")
        .map_err(Fault::bad_request)?;
    let kind = VolumeType {
        id: nephos_runtime::ids::uuid().to_string(),
        name,
        description: fields.text("description").map_err(Fault::bad_request)?,
        is_public: public.unwrap_or(true),
        specs: fields
            .metadata("extra_specs")
            .map_err(Fault::bad_request)?
            .unwrap_or_default(),
        qos_id: None,
        created_at: cx.now(),
        updated_at: cx.now(),
    };
    super::type_specs::check(&kind.specs)?;
    let mut tx = cx.write().await?;
    if !types::insert(&mut tx, &kind).await? {
        return Err(taken(&kind.name));
    }
    tx.commit().await?;
    Ok(Json(json!({ "volume_type": brief(&cx, &kind) })))
}

endpoint! {
    /// Change a volume type.
    UpdateType: PUT "/v3/{project_id}/types/{id}" => 200,
    policy: rules::UpdateType,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_type,
}
async fn update_type(cx: Cx, req: Req<UpdateType>) -> Reply<UpdateType> {
    at_project(&cx, &req.path.project_id)?;
    let mut kind = types::find(cx.db(), &req.path.id)
        .await?
        .ok_or_else(|| no_type(&req.path.id))?;
    let fields = Fields::inside(&req.body.0, "volume_type").map_err(Fault::bad_request)?;
    let name = name_of(&fields)?;
    let public = fields.flag("is_public").map_err(Fault::bad_request)?;
    if name.is_none() && public.is_none() && !fields.has("description") {
        return Err(Fault::bad_request(
            "Specify volume type name, description, is_public or a combination thereof.",
        ));
    }
    kind.name = name.unwrap_or(kind.name);
    if fields.has("description") {
        kind.description = fields.text("description").map_err(Fault::bad_request)?;
    }
    kind.is_public = public.unwrap_or(kind.is_public);
    kind.updated_at = cx.now();
    let mut tx = cx.write().await?;
    if !types::update(&mut tx, &kind).await? {
        return Err(taken(&kind.name));
    }
    tx.commit().await?;
    Ok(Json(json!({ "volume_type": brief(&cx, &kind) })))
}

endpoint! {
    /// Delete a volume type.
    DeleteType: DELETE "/v3/{project_id}/types/{id}" => 202,
    policy: Loaded<rules::DeleteType>,
    path: ItemPath,
    reply: Accepted,
    handler: delete_type,
}
async fn delete_type(cx: Cx, req: Req<DeleteType>) -> Reply<DeleteType> {
    at_project(&cx, &req.path.project_id)?;
    cx.require(
        rules::DeleteType,
        &Target::of_project(project_of(&cx, &req.path.project_id)),
    )?;
    let kind = types::find(cx.db(), &req.path.id)
        .await?
        .ok_or_else(|| no_type(&req.path.id))?;
    if kind.name == DEFAULT {
        return Err(Fault::bad_request(format!(
            "The default volume type {DEFAULT} can not be deleted."
        )));
    }
    let mut tx = cx.write().await?;
    if !types::remove(&mut tx, &kind.id).await? {
        return Err(Fault::bad_request("Target volume type is still in use."));
    }
    tx.commit().await?;
    Ok(Accepted)
}
