//! `/flavors/{id}/os-extra_specs`, `/flavors/{id}/os-flavor-access` and its two actions.

use std::collections::BTreeMap;

use nephos_api::version::v;
use nephos_api::{Empty, Fault, Json, Reply, Req, endpoint};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Cx;
use super::flavors::{FlavorPath, visible};
use crate::model::extra_specs;
use crate::model::flavor::{Flavor, FlavorId};
use crate::{rules, store};

#[derive(Debug, Deserialize)]
pub(crate) struct SpecPath {
    pub id: FlavorId,
    pub key: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct ExtraSpecs {
    extra_specs: BTreeMap<String, String>,
}

endpoint! {
    /// List a flavor's extra specs.
    ListExtraSpecs: GET "/v2.1/flavors/{id}/os-extra_specs" => 200,
    policy: rules::ShowExtraSpecs,
    path: FlavorPath,
    reply: Json<ExtraSpecs>,
    handler: list_extra_specs,
}

async fn list_extra_specs(cx: Cx, req: Req<ListExtraSpecs>) -> Reply<ListExtraSpecs> {
    let flavor = visible(&cx, req.path.id.as_str()).await?;
    Ok(Json(ExtraSpecs {
        extra_specs: flavor.extra_specs,
    }))
}

endpoint! {
    /// Show one extra spec.
    ShowExtraSpec: GET "/v2.1/flavors/{id}/os-extra_specs/{key}" => 200,
    policy: rules::ShowExtraSpecs,
    path: SpecPath,
    reply: Json<BTreeMap<String, String>>,
    handler: show_extra_spec,
}

async fn show_extra_spec(cx: Cx, req: Req<ShowExtraSpec>) -> Reply<ShowExtraSpec> {
    let flavor = visible(&cx, req.path.id.as_str()).await?;
    let SpecPath { id, key } = req.path;
    let value = flavor
        .extra_specs
        .get(&key)
        .cloned()
        .ok_or_else(|| no_spec(&id, &key))?;
    Ok(Json(BTreeMap::from([(key, value)])))
}

fn no_spec(id: &FlavorId, key: &str) -> Fault {
    Fault::not_found(format!("Flavor {id} has no extra specs with key {key}."))
}

endpoint! {
    /// Set extra specs.
    CreateExtraSpecs: POST "/v2.1/flavors/{id}/os-extra_specs" => 200,
    policy: rules::CreateExtraSpecs,
    path: FlavorPath,
    body: Json<ExtraSpecs>,
    reply: Json<ExtraSpecs>,
    handler: create_extra_specs,
}

async fn create_extra_specs(cx: Cx, req: Req<CreateExtraSpecs>) -> Reply<CreateExtraSpecs> {
    let before = visible(&cx, req.path.id.as_str()).await?;
    let mut flavor = before.clone();
    let asked = req.body.0.extra_specs;
    check(&cx, &asked)?;
    flavor.extra_specs.extend(asked.clone());
    save(&cx, &before, &flavor).await?;
    Ok(Json(ExtraSpecs { extra_specs: asked }))
}

/// Nova's schema: letters, digits, `-_. :` in keys, 255 characters; from 2.86 on what Nova understands of them.
fn check(cx: &Cx, specs: &BTreeMap<String, String>) -> Result<(), Fault> {
    if cx.version >= v(2, 86) {
        for (key, value) in specs {
            extra_specs::check(key, value).map_err(Fault::bad_request)?;
        }
    }
    let good = |key: &str| {
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ' | ':');
        !key.is_empty() && key.len() <= 255 && key.chars().all(allowed)
    };
    match specs
        .iter()
        .find(|(key, value)| !good(key) || value.len() > 255)
    {
        None => Ok(()),
        Some((key, _)) => Err(Fault::bad_request(format!(
            "Invalid input for field/attribute extra_specs. '{key}' or its value has a wrong form or is too long."
        ))),
    }
}

async fn save(cx: &Cx, before: &Flavor, flavor: &Flavor) -> Result<(), Fault> {
    let mut tx = cx.write().await?;
    store::flavors::update(&mut tx, before, flavor).await?;
    Ok(tx.commit().await?)
}

endpoint! {
    /// Change one extra spec.
    UpdateExtraSpec: PUT "/v2.1/flavors/{id}/os-extra_specs/{key}" => 200,
    policy: rules::UpdateExtraSpec,
    path: SpecPath,
    body: Json<BTreeMap<String, String>>,
    reply: Json<BTreeMap<String, String>>,
    handler: update_extra_spec,
}

async fn update_extra_spec(cx: Cx, req: Req<UpdateExtraSpec>) -> Reply<UpdateExtraSpec> {
    let before = visible(&cx, req.path.id.as_str()).await?;
    let mut flavor = before.clone();
    let asked = req.body.0;
    if asked.len() != 1 || !asked.contains_key(&req.path.key) {
        return Err(Fault::bad_request("Request body and URI mismatch"));
    }
    check(&cx, &asked)?;
    flavor.extra_specs.extend(asked.clone());
    save(&cx, &before, &flavor).await?;
    Ok(Json(asked))
}

endpoint! {
    /// Remove one extra spec.
    DeleteExtraSpec: DELETE "/v2.1/flavors/{id}/os-extra_specs/{key}" => 200,
    policy: rules::DeleteExtraSpec,
    path: SpecPath,
    reply: Empty,
    handler: delete_extra_spec,
}

async fn delete_extra_spec(cx: Cx, req: Req<DeleteExtraSpec>) -> Reply<DeleteExtraSpec> {
    let before = visible(&cx, req.path.id.as_str()).await?;
    let mut flavor = before.clone();
    if flavor.extra_specs.remove(&req.path.key).is_none() {
        return Err(no_spec(&req.path.id, &req.path.key));
    }
    save(&cx, &before, &flavor).await?;
    Ok(Empty)
}

endpoint! {
    /// List the projects that may use a private flavor.
    ListAccess: GET "/v2.1/flavors/{id}/os-flavor-access" => 200,
    policy: rules::ShowFlavorAccess,
    path: FlavorPath,
    reply: Json<Value>,
    handler: list_access,
}

async fn list_access(cx: Cx, req: Req<ListAccess>) -> Reply<ListAccess> {
    let flavor = visible(&cx, req.path.id.as_str()).await?;
    if flavor.is_public {
        return Err(Fault::not_found(
            "Access list not available for public flavors.",
        ));
    }
    access(&cx, &flavor).await
}

async fn access(cx: &Cx, flavor: &Flavor) -> Result<Json<Value>, Fault> {
    let projects = store::flavors::access(cx.db(), &flavor.id).await?;
    let entry = |project: &String| json!({"flavor_id": flavor.id, "tenant_id": project});
    Ok(Json(
        json!({"flavor_access": projects.iter().map(entry).collect::<Vec<_>>()}),
    ))
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct Tenant {
    tenant: String,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct AddAccessBody {
    #[serde(rename = "addTenantAccess")]
    add: Tenant,
}

endpoint! {
    /// Let a project use a private flavor.
    AddAccess: POST "/v2.1/flavors/{id}/action" ["addTenantAccess"] => 200,
    policy: rules::AddFlavorAccess,
    path: FlavorPath,
    body: Json<AddAccessBody>,
    reply: Json<Value>,
    handler: add_access,
}

async fn add_access(cx: Cx, req: Req<AddAccess>) -> Reply<AddAccess> {
    let flavor = visible(&cx, req.path.id.as_str()).await?;
    let project = &req.body.0.add.tenant;
    if flavor.is_public {
        return Err(Fault::conflict("Can not add access to a public flavor."));
    }
    let mut tx = cx.write().await?;
    if !store::flavors::add_access(&mut tx, &flavor.id, project).await? {
        return Err(Fault::conflict(format!(
            "Flavor access already exists for flavor {} and project {project} combination.",
            flavor.id
        )));
    }
    tx.commit().await?;
    access(&cx, &flavor).await
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct RemoveAccessBody {
    #[serde(rename = "removeTenantAccess")]
    remove: Tenant,
}

endpoint! {
    /// Take a private flavor from a project.
    RemoveAccess: POST "/v2.1/flavors/{id}/action" ["removeTenantAccess"] => 200,
    policy: rules::RemoveFlavorAccess,
    path: FlavorPath,
    body: Json<RemoveAccessBody>,
    reply: Json<Value>,
    handler: remove_access,
}

async fn remove_access(cx: Cx, req: Req<RemoveAccess>) -> Reply<RemoveAccess> {
    let flavor = visible(&cx, req.path.id.as_str()).await?;
    let project = &req.body.0.remove.tenant;
    let mut tx = cx.write().await?;
    if !store::flavors::remove_access(&mut tx, &flavor.id, project).await? {
        return Err(Fault::not_found(format!(
            "Flavor access not found for {} / {project} combination.",
            flavor.id
        )));
    }
    tx.commit().await?;
    access(&cx, &flavor).await
}
