//! Quotas of projects and the defaults of all.

use std::collections::BTreeMap;

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use serde_json::{Map, Value, json};

use super::{ItemPath, at_project};
use crate::model::body::truth;
use crate::model::quota::{BY_TYPE, DEFAULTS};
use crate::store::{quota, types};
use crate::{Cx, rules};

/// Every resource with its name for clients: those of types are known by the type's id here, and by its name there.
async fn resources(cx: &Cx) -> Result<Vec<(String, String)>, Fault> {
    let mut all: Vec<(String, String)> = DEFAULTS
        .iter()
        .map(|(name, _)| ((*name).to_owned(), (*name).to_owned()))
        .collect();
    for (id, name) in types::names(cx.db()).await? {
        all.extend(BY_TYPE.map(|kind| (format!("{kind}{id}"), format!("{kind}{name}"))));
    }
    Ok(all)
}

async fn view(
    cx: &Cx,
    scope: &str,
    used: Option<BTreeMap<String, i64>>,
) -> Result<Map<String, Value>, Fault> {
    let limits = quota::limits(cx.db(), scope).await?;
    let mut view = Map::new();
    for (resource, name) in resources(cx).await? {
        let limit = limits.get(&resource).copied().unwrap_or(-1);
        let value = match &used {
            Some(used) => {
                let used = used.get(&resource).copied().unwrap_or(0);
                json!({"limit": limit, "in_use": used, "reserved": 0})
            }
            None => json!(limit),
        };
        view.insert(name, value);
    }
    Ok(view)
}

fn with_id(mut view: Map<String, Value>, id: &str) -> Json<Value> {
    view.insert("id".to_owned(), json!(id));
    Json(json!({ "quota_set": view }))
}

endpoint! {
    /// Show a project's quotas.
    ShowQuotas: GET "/v3/{project_id}/os-quota-sets/{id}" => 200,
    policy: Loaded<rules::ShowQuotas>,
    path: ItemPath,
    query: Params,
    reply: Json<Value>,
    handler: show,
}
async fn show(cx: Cx, req: Req<ShowQuotas>) -> Reply<ShowQuotas> {
    at_project(&cx, &req.path.project_id)?;
    cx.require(rules::ShowQuotas, &Target::of_project(&req.path.id))?;
    let wanted = match req.query.get("usage") {
        Some(word) => truth(word)
            .ok_or_else(|| Fault::bad_request(format!("Invalid value '{word}' for usage.")))?,
        None => false,
    };
    let used = match wanted {
        true => Some(quota::usage(cx.db(), &req.path.id).await?),
        false => None,
    };
    Ok(with_id(view(&cx, &req.path.id, used).await?, &req.path.id))
}

endpoint! {
    /// Show the quotas that projects begin with.
    ShowDefaultQuotas: GET "/v3/{project_id}/os-quota-sets/{id}/defaults" => 200,
    policy: Loaded<rules::ShowQuotas>,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_defaults,
}
async fn show_defaults(cx: Cx, req: Req<ShowDefaultQuotas>) -> Reply<ShowDefaultQuotas> {
    at_project(&cx, &req.path.project_id)?;
    cx.require(rules::ShowQuotas, &Target::of_project(&req.path.id))?;
    Ok(with_id(
        view(&cx, quota::DEFAULT_CLASS, None).await?,
        &req.path.id,
    ))
}

/// The limits that a body sets, by the names that are known here.
async fn wanted(cx: &Cx, body: &Value, key: &str) -> Result<Vec<(String, i64)>, Fault> {
    let set = body.get(key).and_then(Value::as_object);
    let set = set.ok_or_else(|| {
        Fault::bad_request(format!(
            "Invalid input for field/attribute {key}. It is a required object"
        ))
    })?;
    let known = resources(cx).await?;
    let mut limits = Vec::new();
    for (name, value) in set
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "tenant_id" | "id" | "class_name"))
    {
        let resource = known
            .iter()
            .find(|(_, shown)| shown == name)
            .map(|(resource, _)| resource.clone());
        let resource = resource
            .ok_or_else(|| Fault::bad_request(format!("Bad key(s) in quota set: {name}")))?;
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _other => None,
        };
        let number = number.filter(|number| (-1..=i64::from(i32::MAX)).contains(number));
        let number = number.ok_or_else(|| {
            Fault::bad_request(format!(
                "Quota limit for {name} must be an integer of at least -1."
            ))
        })?;
        limits.push((resource, number));
    }
    Ok(limits)
}

async fn set(cx: &Cx, scope: &str, limits: &[(String, i64)]) -> Result<(), Fault> {
    let mut tx = cx.write().await?;
    for (resource, limit) in limits {
        quota::set_limit(&mut tx, scope, resource, *limit).await?;
    }
    tx.commit().await?;
    Ok(())
}

endpoint! {
    /// Set a project's quotas.
    UpdateQuotas: PUT "/v3/{project_id}/os-quota-sets/{id}" => 200,
    policy: rules::UpdateQuotas,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update,
}
async fn update(cx: Cx, req: Req<UpdateQuotas>) -> Reply<UpdateQuotas> {
    at_project(&cx, &req.path.project_id)?;
    let limits = wanted(&cx, &req.body.0, "quota_set").await?;
    set(&cx, &req.path.id, &limits).await?;
    Ok(Json(
        json!({ "quota_set": view(&cx, &req.path.id, None).await? }),
    ))
}

endpoint! {
    /// Set a project's quotas back to the defaults.
    DeleteQuotas: DELETE "/v3/{project_id}/os-quota-sets/{id}" => 200,
    policy: rules::DeleteQuotas,
    path: ItemPath,
    reply: Empty,
    handler: delete,
}
async fn delete(cx: Cx, req: Req<DeleteQuotas>) -> Reply<DeleteQuotas> {
    at_project(&cx, &req.path.project_id)?;
    let mut tx = cx.write().await?;
    quota::reset(&mut tx, &req.path.id).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// There is one class of quotas.
fn class(name: &str) -> Result<(), Fault> {
    if name == "default" {
        Ok(())
    } else {
        Err(Fault::not_found(format!(
            "Quota class {name} could not be found; there is 'default'."
        )))
    }
}

endpoint! {
    /// Show the default quotas.
    ShowQuotaClass: GET "/v3/{project_id}/os-quota-class-sets/{id}" => 200,
    policy: rules::ShowQuotaClass,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_class,
}
async fn show_class(cx: Cx, req: Req<ShowQuotaClass>) -> Reply<ShowQuotaClass> {
    at_project(&cx, &req.path.project_id)?;
    class(&req.path.id)?;
    let mut view = view(&cx, quota::DEFAULT_CLASS, None).await?;
    view.insert("id".to_owned(), json!(req.path.id));
    Ok(Json(json!({ "quota_class_set": view })))
}

endpoint! {
    /// Set the default quotas.
    UpdateQuotaClass: PUT "/v3/{project_id}/os-quota-class-sets/{id}" => 200,
    policy: rules::UpdateQuotaClass,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_class,
}
async fn update_class(cx: Cx, req: Req<UpdateQuotaClass>) -> Reply<UpdateQuotaClass> {
    at_project(&cx, &req.path.project_id)?;
    class(&req.path.id)?;
    let limits = wanted(&cx, &req.body.0, "quota_class_set").await?;
    set(&cx, quota::DEFAULT_CLASS, &limits).await?;
    Ok(Json(
        json!({ "quota_class_set": view(&cx, quota::DEFAULT_CLASS, None).await? }),
    ))
}
