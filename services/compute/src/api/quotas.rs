//! `/os-quota-sets` and `/os-quota-class-sets`.

use std::collections::BTreeMap;

use nephos_api::version::{Version, v};
use nephos_api::{Accepted, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Rule, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::Cx;
use crate::store::quota::DEFAULT_CLASS;
use crate::{rules, store};

/// Largest limit (Nova's schema).
const MAX_LIMIT: i64 = 0x7FFF_FFFF;

/// Every quota, and the first version that has it no more.
const QUOTAS: &[(&str, Version)] = &[
    ("instances", Version::LAST),
    ("cores", Version::LAST),
    ("ram", Version::LAST),
    ("metadata_items", Version::LAST),
    ("key_pairs", Version::LAST),
    ("server_groups", Version::LAST),
    ("server_group_members", Version::LAST),
    ("fixed_ips", v(2, 36)),
    ("floating_ips", v(2, 36)),
    ("security_groups", v(2, 36)),
    ("security_group_rules", v(2, 36)),
    ("injected_files", v(2, 57)),
    ("injected_file_content_bytes", v(2, 57)),
    ("injected_file_path_bytes", v(2, 57)),
];

/// Quotas of a project; those of a class lost the network's at 2.50 only, and got the groups' then.
fn shown(version: Version) -> impl Iterator<Item = &'static str> {
    QUOTAS
        .iter()
        .filter(move |(_, gone)| version < *gone)
        .map(|(name, _)| *name)
}

fn shown_of_class(version: Version) -> Vec<&'static str> {
    let network = |name: &str| {
        [
            "fixed_ips",
            "floating_ips",
            "security_groups",
            "security_group_rules",
        ]
        .contains(&name)
    };
    let named = QUOTAS.iter().filter(|(name, gone)| match *name {
        name if network(name) => version < v(2, 50),
        "server_groups" | "server_group_members" => version >= v(2, 50),
        _other => version < *gone,
    });
    named.map(|(name, _)| *name).collect()
}

#[derive(Debug, Deserialize)]
pub(crate) struct QuotaPath {
    id: String,
}

fn allow<R: Rule>(cx: &Cx, rule: R, project: &str) -> Result<(), Fault> {
    let mut target = Target::new();
    target.set_project(project);
    cx.require(rule, &target)
}

fn values<'n>(
    names: impl IntoIterator<Item = &'n str>,
    limits: &BTreeMap<String, i64>,
    id: Option<&str>,
) -> Map<String, Value> {
    let mut set = Map::new();
    if let Some(id) = id {
        set.insert("id".into(), json!(id));
    }
    for name in names {
        set.insert(
            name.to_owned(),
            json!(limits.get(name).copied().unwrap_or(-1)),
        );
    }
    set
}

fn check_query(cx: &Cx, query: &Params) -> Result<(), Fault> {
    super::refuse_unknown(cx, query, v(2, 75), &["user_id"])
}

endpoint! {
    /// Show a project's quotas.
    ShowQuotas: GET "/v2.1/os-quota-sets/{id}" => 200,
    policy: Loaded<rules::ShowQuotas>,
    path: QuotaPath,
    query: Params,
    reply: Json<Value>,
    handler: show_quotas,
}

async fn show_quotas(cx: Cx, req: Req<ShowQuotas>) -> Reply<ShowQuotas> {
    let id = &req.path.id;
    allow(&cx, rules::ShowQuotas, id)?;
    check_query(&cx, &req.query)?;
    let limits = store::quota::limits(cx.db(), id).await?;
    Ok(Json(
        json!({"quota_set": values(shown(cx.version), &limits, Some(id))}),
    ))
}

endpoint! {
    /// Show a project's quotas and how much of them is used.
    ShowQuotaDetail: GET "/v2.1/os-quota-sets/{id}/detail" => 200,
    policy: Loaded<rules::ShowQuotaDetail>,
    path: QuotaPath,
    query: Params,
    reply: Json<Value>,
    handler: show_quota_detail,
}

async fn show_quota_detail(cx: Cx, req: Req<ShowQuotaDetail>) -> Reply<ShowQuotaDetail> {
    let id = &req.path.id;
    allow(&cx, rules::ShowQuotaDetail, id)?;
    check_query(&cx, &req.query)?;
    let limits = store::quota::limits(cx.db(), id).await?;
    let used = store::quota::usage(cx.db(), id).await?;
    let mut set = Map::new();
    set.insert("id".into(), json!(id));
    for name in shown(cx.version) {
        let limit = limits.get(name).copied().unwrap_or(-1);
        let in_use = used.get(name).copied().unwrap_or(0);
        set.insert(
            name.to_owned(),
            json!({"limit": limit, "in_use": in_use, "reserved": 0}),
        );
    }
    Ok(Json(json!({ "quota_set": set })))
}

endpoint! {
    /// Show what a project's quotas would be by default.
    ShowDefaultQuotas: GET "/v2.1/os-quota-sets/{id}/defaults" => 200,
    policy: rules::ShowDefaultQuotas,
    path: QuotaPath,
    reply: Json<Value>,
    handler: show_default_quotas,
}

async fn show_default_quotas(cx: Cx, req: Req<ShowDefaultQuotas>) -> Reply<ShowDefaultQuotas> {
    let limits = store::quota::limits(cx.db(), DEFAULT_CLASS).await?;
    Ok(Json(
        json!({"quota_set": values(shown(cx.version), &limits, Some(&req.path.id))}),
    ))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaBody {
    #[schema(value_type = Object)]
    quota_set: Map<String, Value>,
}

type Limits = Vec<(&'static str, i64)>;

/// New limits by name, and whether they are forced.
fn asked(set: &Map<String, Value>, known: &[&'static str]) -> Result<(Limits, bool), Fault> {
    let (mut limits, mut force) = (Vec::new(), false);
    for (key, value) in set {
        let wrong = || {
            Fault::bad_request(format!(
                "Invalid input for field/attribute {key}. Value: {value}. It must be a whole number from -1 (unlimited) \
                 to {MAX_LIMIT}."
            ))
        };
        match key.as_str() {
            "force" => force = super::is_true(value),
            "tenant_id" | "id" => {}
            key => {
                let name = known.iter().find(|name| **name == key).ok_or_else(|| {
                    Fault::bad_request(format!(
                        "Additional properties are not allowed ('{key}' was unexpected)"
                    ))
                })?;
                let limit = match value {
                    Value::Number(number) => number.as_i64(),
                    Value::String(text) => text.parse().ok(),
                    _other => None,
                };
                let limit = limit
                    .filter(|limit| (-1..=MAX_LIMIT).contains(limit))
                    .ok_or_else(wrong)?;
                limits.push((*name, limit));
            }
        }
    }
    Ok((limits, force))
}

endpoint! {
    /// Change a project's quotas.
    UpdateQuotas: PUT "/v2.1/os-quota-sets/{id}" => 200,
    policy: rules::UpdateQuotas,
    path: QuotaPath,
    query: Params,
    body: Json<QuotaBody>,
    reply: Json<Value>,
    handler: update_quotas,
}

async fn update_quotas(cx: Cx, req: Req<UpdateQuotas>) -> Reply<UpdateQuotas> {
    let id = &req.path.id;
    check_query(&cx, &req.query)?;
    let known: Vec<&'static str> = shown(cx.version).collect();
    let (limits, force) = asked(&req.body.quota_set, &known)?;
    let used = store::quota::usage(cx.db(), id).await?;
    for (name, limit) in &limits {
        let in_use = used.get(*name).copied().unwrap_or(0);
        if !force && *limit >= 0 && *limit < in_use {
            return Err(Fault::bad_request(format!(
                "Quota limit {limit} for {name} must be greater than or equal to already used and reserved {in_use}."
            )));
        }
    }
    let mut tx = cx.write().await?;
    for (name, limit) in limits {
        store::quota::set_limit(&mut tx, id, name, limit).await?;
    }
    tx.commit().await?;
    let limits = store::quota::limits(cx.db(), id).await?;
    Ok(Json(json!({"quota_set": values(known, &limits, None)})))
}

endpoint! {
    /// Give a project the default quotas again.
    DeleteQuotas: DELETE "/v2.1/os-quota-sets/{id}" => 202,
    policy: rules::DeleteQuotas,
    path: QuotaPath,
    query: Params,
    reply: Accepted,
    handler: delete_quotas,
}

async fn delete_quotas(cx: Cx, req: Req<DeleteQuotas>) -> Reply<DeleteQuotas> {
    let mut tx = cx.write().await?;
    store::quota::reset(&mut tx, &req.path.id).await?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Show the quotas of a class; `default` is every project's.
    ShowQuotaClass: GET "/v2.1/os-quota-class-sets/{id}" => 200,
    policy: rules::ShowQuotaClass,
    path: QuotaPath,
    reply: Json<Value>,
    handler: show_quota_class,
}

fn class(id: &str) -> String {
    format!("class:{id}")
}

async fn show_quota_class(cx: Cx, req: Req<ShowQuotaClass>) -> Reply<ShowQuotaClass> {
    let id = &req.path.id;
    let limits = store::quota::limits(cx.db(), &class(id)).await?;
    Ok(Json(
        json!({"quota_class_set": values(shown_of_class(cx.version), &limits, Some(id))}),
    ))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassBody {
    #[schema(value_type = Object)]
    quota_class_set: Map<String, Value>,
}

endpoint! {
    /// Change the quotas of a class.
    UpdateQuotaClass: PUT "/v2.1/os-quota-class-sets/{id}" => 200,
    policy: rules::UpdateQuotaClass,
    path: QuotaPath,
    body: Json<ClassBody>,
    reply: Json<Value>,
    handler: update_quota_class,
}

async fn update_quota_class(cx: Cx, req: Req<UpdateQuotaClass>) -> Reply<UpdateQuotaClass> {
    let id = &req.path.id;
    if id.chars().count() > 255 {
        return Err(Fault::bad_request(
            "The name of a quota class has at most 255 characters.",
        ));
    }
    let known = shown_of_class(cx.version);
    let (limits, _no_usage_to_force) = asked(&req.body.quota_class_set, &known)?;
    let mut tx = cx.write().await?;
    for (name, limit) in limits {
        store::quota::set_limit(&mut tx, &class(id), name, limit).await?;
    }
    tx.commit().await?;
    let limits = store::quota::limits(cx.db(), &class(id)).await?;
    Ok(Json(
        json!({"quota_class_set": values(known, &limits, None)}),
    ))
}
