//! Quotas.

use std::collections::BTreeMap;

use nephos_api::{Authenticated, Empty, Fault, Json, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_db::Tx;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Cx;
use crate::api::input::{Flag, Int};
use crate::api::resource;
use crate::model::refusal::Refusal;
use crate::rules;
use crate::store::Reader;
use crate::store::quotas::{self, Amount, RESOURCES};

#[derive(Debug, Deserialize)]
pub(crate) struct OfProject {
    project: String,
}

/// Limits by resource.
type Limits = BTreeMap<&'static str, i64>;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuotaView {
    #[schema(value_type = BTreeMap<String, i64>)]
    quota: Limits,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuotasView {
    quotas: Vec<BTreeMap<String, Value>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DetailsView {
    #[schema(value_type = BTreeMap<String, Detail>)]
    quota: BTreeMap<&'static str, Detail>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Detail {
    limit: i64,
    used: i64,
    reserved: i64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaBody {
    quota: QuotaChange,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct QuotaChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    force: Option<Flag>,
    #[expect(dead_code, reason = "checking is what happens anyway")]
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    check_limit: Option<Flag>,
    #[serde(flatten)]
    limits: BTreeMap<String, Int>,
}

/// A project sees its own quota; others' are for those whom the rule names.
fn check_sees(cx: &Cx, project: &str) -> Result<(), Fault> {
    if project == resource::own(&cx.caller) {
        return Ok(());
    }
    cx.require(rules::GetQuota, &Target::of_project(project))
}

fn defaults() -> Limits {
    RESOURCES.into_iter().collect()
}

async fn limits_of(cx: &Cx, project: &str) -> Result<Limits, Fault> {
    let mut limits = defaults();
    for own in quotas::limits(cx.db(), Some(project)).await? {
        if let Some(limit) = limits.get_mut(own.resource.as_str()) {
            *limit = own.amount;
        }
    }
    Ok(limits)
}

endpoint! {
    /// List the projects that have limits of their own.
    ListQuotas: GET "/v2.0/quotas" => 200,
    policy: Authenticated,
    reply: Json<QuotasView>,
    handler: list_quotas,
}
async fn list_quotas(cx: Cx, _req: Req<ListQuotas>) -> Reply<ListQuotas> {
    cx.require(rules::GetQuota, &Target::new())?;
    let mut by_project: BTreeMap<String, Limits> = BTreeMap::new();
    for own in quotas::limits(cx.db(), None).await? {
        let limits = by_project.entry(own.project_id).or_insert_with(defaults);
        if let Some(limit) = limits.get_mut(own.resource.as_str()) {
            *limit = own.amount;
        }
    }
    let quotas = by_project.into_iter().map(|(project, limits)| {
        let mut view: BTreeMap<String, Value> = limits
            .into_iter()
            .map(|(name, limit)| (name.to_owned(), limit.into()))
            .collect();
        view.insert("project_id".to_owned(), project.clone().into());
        view.insert("tenant_id".to_owned(), project.into());
        view
    });
    Ok(Json(QuotasView {
        quotas: quotas.collect(),
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnProject {
    project: ProjectId,
}

#[derive(Debug, Serialize, ToSchema)]
struct ProjectId {
    project_id: String,
}

endpoint! {
    /// Say which project the caller's quota is that of.
    ShowOwnProject: GET "/v2.0/quotas/project" => 200,
    policy: Authenticated,
    reply: Json<OwnProject>,
    handler: show_own_project,
}
async fn show_own_project(cx: Cx, _req: Req<ShowOwnProject>) -> Reply<ShowOwnProject> {
    let own = resource::own(&cx.caller);
    if own.is_empty() {
        return Err(Refusal::invalid(
            "QuotaMissingTenant",
            "Tenant-id was missing from quota request.",
        )
        .into());
    }
    Ok(Json(OwnProject {
        project: ProjectId {
            project_id: own.to_owned(),
        },
    }))
}

endpoint! {
    /// Show a project's limits.
    ShowQuota: GET "/v2.0/quotas/{project}" => 200,
    policy: Authenticated,
    path: OfProject,
    reply: Json<QuotaView>,
    handler: show_quota,
}
async fn show_quota(cx: Cx, req: Req<ShowQuota>) -> Reply<ShowQuota> {
    let project = req.path.project.trim_end_matches(".json");
    check_sees(&cx, project)?;
    let quota = limits_of(&cx, project).await?;
    Ok(Json(QuotaView { quota }))
}

endpoint! {
    /// Show the limits of projects that have none of their own.
    ShowDefaultQuota: GET "/v2.0/quotas/{project}/default" => 200,
    policy: Authenticated,
    path: OfProject,
    reply: Json<QuotaView>,
    handler: show_default_quota,
}
async fn show_default_quota(cx: Cx, req: Req<ShowDefaultQuota>) -> Reply<ShowDefaultQuota> {
    check_sees(&cx, &req.path.project)?;
    Ok(Json(QuotaView { quota: defaults() }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Details {
    project: String,
    form: String,
}

endpoint! {
    /// Show a project's limits and what it has.
    ShowQuotaDetails: GET "/v2.0/quotas/{project}/{form}" => 200,
    policy: Authenticated,
    path: Details,
    reply: Json<DetailsView>,
    handler: show_quota_details,
}
async fn show_quota_details(cx: Cx, req: Req<ShowQuotaDetails>) -> Reply<ShowQuotaDetails> {
    let Details { project, form } = &req.path;
    if form != "details" && form != "details.json" {
        return Err(Refusal::missing("HTTPNotFound", format!("Quotas have no {form}.")).into());
    }
    check_sees(&cx, project)?;
    let mut quota: BTreeMap<&'static str, Detail> = limits_of(&cx, project)
        .await?
        .into_iter()
        .map(|(name, limit)| {
            let detail = Detail {
                limit,
                used: 0,
                reserved: 0,
            };
            (name, detail)
        })
        .collect();
    for used in quotas::usage(&mut Reader::Db(cx.db()), Some(project)).await? {
        if let Some(detail) = quota.get_mut(used.resource.as_str()) {
            detail.used = used.amount;
        }
    }
    Ok(Json(DetailsView { quota }))
}

endpoint! {
    /// Give a project limits of its own.
    UpdateQuota: PUT "/v2.0/quotas/{project}" => 200,
    policy: rules::UpdateQuota,
    path: OfProject,
    body: Json<QuotaBody>,
    reply: Json<QuotaView>,
    handler: update_quota,
}
async fn update_quota(cx: Cx, req: Req<UpdateQuota>) -> Reply<UpdateQuota> {
    let project = req.path.project.as_str();
    let change = &req.body.quota;
    let force = change.force.is_some_and(|flag| flag.0);
    let mut tx = cx.write().await?;
    let usage = quotas::usage(&mut Reader::Tx(&mut tx), Some(project)).await?;
    for (resource, limit) in &change.limits {
        let used = usage.iter().find(|used| used.resource == *resource);
        let used = used.map_or(0, |used| used.amount);
        set(
            &mut tx,
            (project, resource),
            limit.0,
            if force { 0 } else { used },
        )
        .await?;
    }
    tx.commit().await?;
    let quota = limits_of(&cx, project).await?;
    Ok(Json(QuotaView { quota }))
}

async fn set(
    tx: &mut Tx,
    (project, resource): (&str, &str),
    limit: i64,
    used: i64,
) -> Result<(), Fault> {
    if !RESOURCES.iter().any(|(name, _)| *name == resource) {
        return Err(Refusal::request(format!("Unrecognized attribute(s) '{resource}'")).into());
    }
    if !(-1..=i64::from(i32::MAX)).contains(&limit) {
        return Err(Refusal::request(format!(
            "Invalid input for {resource}. Reason: '{limit}' is not in the range -1 to {}.",
            i32::MAX
        ))
        .into());
    }
    if limit >= 0 && used > limit {
        return Err(Refusal::request(format!(
            "Quota limit {limit} for {resource} must be greater than or equal to already used {used}"
        ))
        .into());
    }
    let limit = Amount {
        project_id: project.to_owned(),
        resource: resource.to_owned(),
        amount: limit,
    };
    Ok(quotas::set(tx, &limit).await?)
}

endpoint! {
    /// Take a project's own limits away.
    DeleteQuota: DELETE "/v2.0/quotas/{project}" => 204,
    policy: rules::DeleteQuota,
    path: OfProject,
    reply: Empty,
    handler: delete_quota,
}
async fn delete_quota(cx: Cx, req: Req<DeleteQuota>) -> Reply<DeleteQuota> {
    let mut tx = cx.write().await?;
    quotas::reset(&mut tx, &req.path.project).await?;
    tx.commit().await?;
    Ok(Empty)
}
