//! Registered limits: what everybody may have of a resource of a service.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Rule, Target};
use nephos_db::Tx;
use nephos_runtime::ids;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::{not_found, require, taken};
use super::limits::{amount, amount_if_given};
use super::list;
use super::shape::{Keyed, Many, Named, One, Under};
use crate::model::extra::Name;
use crate::model::limit::RegisteredLimit;
use crate::{Cx, Svc, rules, store};

impl Named for RegisteredLimit {
    const ONE: &'static str = "registered_limit";
    const MANY: &'static str = "registered_limits";
    const PATH: &'static str = "/v3/registered_limits";
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RegisteredPath {
    registered_limit_id: String,
}

/// Registered limits to be.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RegisteredBody {
    registered_limits: Vec<NewRegistered>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRegistered {
    service_id: String,
    #[serde(default)]
    region_id: Option<String>,
    resource_name: Name<255>,
    #[serde(deserialize_with = "amount")]
    default_limit: i64,
    #[serde(default)]
    description: Option<String>,
}

/// What changes of a registered limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisteredChange {
    #[serde(default)]
    service_id: Option<String>,
    #[serde(default)]
    region_id: Option<String>,
    #[serde(default)]
    resource_name: Option<Name<255>>,
    #[serde(default, deserialize_with = "amount_if_given")]
    default_limit: Option<i64>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    description: Option<Option<String>>,
}

impl Keyed for RegisteredChange {
    const KEY: &'static str = "registered_limit";
}

/// Several of them, as a creation answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegisteredView {
    registered_limits: Vec<RegisteredLimit>,
}

async fn check_place(cx: &Cx, limit: &RegisteredLimit) -> Result<(), Fault> {
    let services = store::catalog::services(cx.db()).await?;
    if !services
        .iter()
        .any(|service| service.id == limit.service_id)
    {
        return Err(Fault::bad_request(format!(
            "Could not find service: {}.",
            limit.service_id
        )));
    }
    if let Some(id) = &limit.region_id {
        let regions = store::catalog::regions(cx.db()).await?;
        if !regions.iter().any(|region| region.id == *id) {
            return Err(Fault::bad_request(format!("Could not find region: {id}.")));
        }
    }
    Ok(())
}

endpoint! {
    /// Create registered limits, all or none.
    CreateRegisteredLimits: POST "/v3/registered_limits" => 201,
    policy: Loaded<rules::CreateRegisteredLimits>,
    body: Json<RegisteredBody>,
    reply: Json<RegisteredView>,
    handler: create_registered_limits,
}
async fn create_registered_limits(
    cx: Cx,
    req: Req<CreateRegisteredLimits>,
) -> Reply<CreateRegisteredLimits> {
    require(&cx, rules::CreateRegisteredLimits, &Target::new())?;
    let Json(body) = req.body;
    if body.registered_limits.is_empty() {
        return Err(Fault::bad_request(
            "registered_limits must hold at least one limit.",
        ));
    }
    let mut registered_limits = Vec::new();
    for new in body.registered_limits {
        let limit = RegisteredLimit {
            id: ids::hex(),
            service_id: new.service_id,
            region_id: new.region_id,
            resource_name: new.resource_name.0,
            default_limit: new.default_limit,
            description: new.description,
        };
        check_place(&cx, &limit).await?;
        registered_limits.push(limit);
    }
    let mut tx = cx.write().await?;
    for limit in &registered_limits {
        let inserted = store::limits::insert_registered(&mut tx, limit).await;
        inserted.map_err(|error| taken(error, "registered_limit", limit.resource_name.clone()))?;
    }
    tx.commit().await?;
    Ok(Json(RegisteredView { registered_limits }))
}

endpoint! {
    /// List registered limits.
    ListRegisteredLimits: GET "/v3/registered_limits" => 200,
    policy: Loaded<rules::ListRegisteredLimits>,
    query: Params,
    reply: Json<Many<RegisteredLimit>>,
    handler: list_registered_limits,
}
async fn list_registered_limits(
    cx: Cx,
    req: Req<ListRegisteredLimits>,
) -> Reply<ListRegisteredLimits> {
    require(&cx, rules::ListRegisteredLimits, &Target::new())?;
    let found = store::limits::registered(cx.db()).await?;
    let attributes = ["service_id", "region_id", "resource_name"];
    list::reply(
        &cx,
        ("/v3/registered_limits", &req.query),
        &attributes,
        found,
    )
}

async fn registered<R: Rule>(cx: &Cx, rule: R, id: &str) -> Result<RegisteredLimit, Fault> {
    require(cx, rule, &Target::new())?;
    let mut all = store::limits::registered(cx.db()).await?.into_iter();
    all.find(|limit| limit.id == id)
        .ok_or_else(|| not_found("registered limit for", id))
}

endpoint! {
    /// Show a registered limit.
    ShowRegisteredLimit: GET "/v3/registered_limits/{registered_limit_id}" => 200,
    policy: Loaded<rules::GetRegisteredLimit>,
    path: RegisteredPath,
    reply: Json<One<RegisteredLimit>>,
    handler: show_registered_limit,
}
async fn show_registered_limit(
    cx: Cx,
    req: Req<ShowRegisteredLimit>,
) -> Reply<ShowRegisteredLimit> {
    let id = &req.path.registered_limit_id;
    Ok(Json(One::new(
        &cx,
        registered(&cx, rules::GetRegisteredLimit, id).await?,
    )))
}

/// What limits refer to stays as it is.
async fn check_unused(tx: &mut Tx, id: &str) -> Result<(), Fault> {
    if store::limits::count_of(tx, id).await? > 0 {
        return Err(Fault::forbidden(format!(
            "Unable to update or delete registered limit {id} because there are project limits associated with it."
        )));
    }
    Ok(())
}

endpoint! {
    /// Change a registered limit.
    UpdateRegisteredLimit: PATCH "/v3/registered_limits/{registered_limit_id}" => 200,
    policy: Loaded<rules::UpdateRegisteredLimit>,
    path: RegisteredPath,
    body: Json<Under<RegisteredChange>>,
    reply: Json<One<RegisteredLimit>>,
    handler: update_registered_limit,
}
async fn update_registered_limit(
    cx: Cx,
    req: Req<UpdateRegisteredLimit>,
) -> Reply<UpdateRegisteredLimit> {
    let id = &req.path.registered_limit_id;
    let before = registered(&cx, rules::UpdateRegisteredLimit, id).await?;
    let mut limit = before.clone();
    let Json(Under(body)) = req.body;
    let moves =
        body.service_id.is_some() || body.region_id.is_some() || body.resource_name.is_some();
    limit.service_id = body.service_id.unwrap_or(limit.service_id);
    limit.region_id = body.region_id.or(limit.region_id);
    limit.resource_name = body
        .resource_name
        .map_or(limit.resource_name, |name| name.0);
    limit.default_limit = body.default_limit.unwrap_or(limit.default_limit);
    limit.description = body.description.unwrap_or(limit.description);
    check_place(&cx, &limit).await?;
    let mut tx = cx.write().await?;
    if moves {
        check_unused(&mut tx, id).await?;
    }
    let updated = store::limits::update_registered(&mut tx, &before, &limit).await;
    updated.map_err(|error| taken(error, "registered_limit", limit.resource_name.clone()))?;
    tx.commit().await?;
    Ok(Json(One::new(&cx, limit)))
}

endpoint! {
    /// Remove a registered limit that no limit refers to.
    DeleteRegisteredLimit: DELETE "/v3/registered_limits/{registered_limit_id}" => 204,
    policy: Loaded<rules::DeleteRegisteredLimit>,
    path: RegisteredPath,
    reply: Empty,
    handler: delete_registered_limit,
}
async fn delete_registered_limit(
    cx: Cx,
    req: Req<DeleteRegisteredLimit>,
) -> Reply<DeleteRegisteredLimit> {
    let id = &req.path.registered_limit_id;
    registered(&cx, rules::DeleteRegisteredLimit, id).await?;
    let mut tx = cx.write().await?;
    check_unused(&mut tx, id).await?;
    store::limits::remove_registered(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateRegisteredLimits,
        ListRegisteredLimits,
        ShowRegisteredLimit,
        UpdateRegisteredLimit,
        DeleteRegisteredLimit,
    ]
}
