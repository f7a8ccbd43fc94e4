//! Limits of projects.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Rule, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::{fields_of, only};
use super::{require, views};
use crate::model::body::Fields;
use crate::model::quota::{FORMER, LIMITS, MAX};
use crate::store::quotas::{self, Limits};
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct ProjectPath {
    project: String,
}

/// Limits of other projects are only for whoever may see all.
fn allowed<R: Rule>(cx: &Cx, rule: R, project: &str) -> Result<(), Fault> {
    let everywhere = Target::of_project(project);
    let own = cx
        .caller
        .project_id()
        .is_some_and(|own| own.as_str() == project);
    if own || cx.may(rules::ListAllQuotas, &everywhere) {
        require(cx, rule, project)
    } else {
        require(cx, rules::ListAllQuotas, project)
    }
}

endpoint! {
    /// List the limits of projects that have some of their own.
    ListQuotas: GET "/v2/lbaas/quotas" => 200,
    policy: rules::ListQuotas,
    query: Params,
    reply: Json<Value>,
    handler: list_quotas,
}
async fn list_quotas(cx: Cx, req: Req<ListQuotas>) -> Reply<ListQuotas> {
    let named = req
        .query
        .get("project_id")
        .filter(|project| !project.is_empty());
    let own = cx.caller.project_id().map(|project| project.as_str());
    let everywhere = cx.may(
        rules::ListAllQuotas,
        &Target::of_project(named.unwrap_or_default()),
    );
    let project = if everywhere { named } else { named.or(own) };
    if let Some(project) = project {
        allowed(&cx, rules::ListQuotas, project)?;
    }
    let fields = fields_of(&req.query);
    let all = quotas::all(cx.db(), project).await?;
    let views: Vec<Value> = all
        .iter()
        .map(|(project, limits)| only(views::quota(limits, Some(project)), &fields))
        .collect();
    Ok(Json(json!({"quotas": views, "quotas_links": []})))
}

endpoint! {
    /// Show the default limits.
    ShowDefaultQuota: GET "/v2/lbaas/quotas/defaults" => 200,
    policy: rules::GetDefaultQuota,
    reply: Json<Value>,
    handler: show_default_quota,
}
async fn show_default_quota(_cx: Cx, _req: Req<ShowDefaultQuota>) -> Reply<ShowDefaultQuota> {
    Ok(Json(
        json!({"quota": views::quota(&quotas::defaults(), None)}),
    ))
}

endpoint! {
    /// Show the limits of a project.
    ShowQuota: GET "/v2/lbaas/quotas/{project}" => 200,
    policy: Loaded<rules::GetQuota>,
    path: ProjectPath,
    reply: Json<Value>,
    handler: show_quota,
}
async fn show_quota(cx: Cx, req: Req<ShowQuota>) -> Reply<ShowQuota> {
    let project = req.path.project.as_str();
    allowed(&cx, rules::GetQuota, project)?;
    let limits = quotas::of(cx.db(), project).await?;
    Ok(Json(json!({"quota": views::quota(&limits, Some(project))})))
}

endpoint! {
    /// Set limits of a project; null brings the default back.
    UpdateQuota: PUT "/v2/lbaas/quotas/{project}" => 202,
    policy: Loaded<rules::UpdateQuota>,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_quota,
}
async fn update_quota(cx: Cx, req: Req<UpdateQuota>) -> Reply<UpdateQuota> {
    let project = req.path.project.as_str();
    require(&cx, rules::UpdateQuota, project)?;
    let names: Vec<&str> = LIMITS.iter().map(|(name, _)| *name).collect();
    let former: Vec<&str> = FORMER.iter().map(|(name, _)| *name).collect();
    let fields = Fields::inside(&req.body.0, "quota")?.only(&[
        &names,
        &former,
        &["project_id", "tenant_id"],
    ])?;
    let defaults = quotas::defaults();
    let mut set = Limits::new();
    let given = names.iter().map(|name| (*name, *name)).chain(FORMER);
    for (key, name) in given.filter(|(key, _)| fields.has(key)) {
        let limit = fields.number(key, (-1, MAX))?;
        let limit = limit.or_else(|| defaults.get(name).copied());
        set.insert(name.to_owned(), limit.unwrap_or(-1));
    }
    let mut tx = cx.write().await?;
    quotas::set(&mut tx, project, &set).await?;
    tx.commit().await?;
    let limits = quotas::of(cx.db(), project).await?;
    Ok(Json(json!({"quota": views::quota(&limits, Some(project))})))
}

endpoint! {
    /// Bring the limits of a project back to the defaults.
    DeleteQuota: DELETE "/v2/lbaas/quotas/{project}" => 204,
    policy: Loaded<rules::DeleteQuota>,
    path: ProjectPath,
    reply: Empty,
    handler: delete_quota,
}
async fn delete_quota(cx: Cx, req: Req<DeleteQuota>) -> Reply<DeleteQuota> {
    require(&cx, rules::DeleteQuota, &req.path.project)?;
    let mut tx = cx.write().await?;
    quotas::reset(&mut tx, &req.path.project).await?;
    tx.commit().await?;
    Ok(Empty)
}
