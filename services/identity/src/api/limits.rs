//! Limits that identity keeps for other services, in the flat model: a project's limit stands in for the default, and
//! says nothing about other projects.

use nephos_api::{Authenticated, Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Rule, Target};
use nephos_runtime::ids;
use nephos_types::{DomainId, ProjectId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::fault::{reach, require, taken};
use super::list;
use super::shape::{Keyed, Many, Named, One, Under};
use crate::model::extra::Name;
use crate::model::limit::{Limit, RegisteredLimit};
use crate::{Cx, Svc, rules, store};

impl Named for Limit {
    const ONE: &'static str = "limit";
    const MANY: &'static str = "limits";
    const PATH: &'static str = "/v3/limits";
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct LimitPath {
    limit_id: String,
}

/// Limits to be.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct LimitsBody {
    limits: Vec<NewLimit>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewLimit {
    #[serde(default)]
    project_id: Option<String>,
    #[serde(default)]
    domain_id: Option<String>,
    service_id: String,
    #[serde(default)]
    region_id: Option<String>,
    resource_name: Name<255>,
    #[serde(deserialize_with = "amount")]
    resource_limit: i64,
    #[serde(default)]
    description: Option<String>,
}

/// What changes of a limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitChange {
    #[serde(default, deserialize_with = "amount_if_given")]
    resource_limit: Option<i64>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    description: Option<Option<String>>,
}

impl Keyed for LimitChange {
    const KEY: &'static str = "limit";
}

/// -1, for no limit, to the largest signed number of 32 bits, as in Keystone.
pub(super) fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let amount = i64::deserialize(deserializer)?;
    if (-1..=i64::from(i32::MAX)).contains(&amount) {
        return Ok(amount);
    }
    Err(serde::de::Error::custom(format!(
        "{amount} is not between -1 and {}",
        i32::MAX
    )))
}

pub(super) fn amount_if_given<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    amount(deserializer).map(Some)
}

/// Limits, as a creation answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitsView {
    limits: Vec<Limit>,
}

endpoint! {
    /// Create limits, all or none.
    CreateLimits: POST "/v3/limits" => 201,
    policy: Loaded<rules::CreateLimits>,
    body: Json<LimitsBody>,
    reply: Json<LimitsView>,
    handler: create_limits,
}
async fn create_limits(cx: Cx, req: Req<CreateLimits>) -> Reply<CreateLimits> {
    require(&cx, rules::CreateLimits, &Target::new())?;
    let Json(body) = req.body;
    if body.limits.is_empty() {
        return Err(Fault::bad_request("limits must hold at least one limit."));
    }
    let registered = store::limits::registered(cx.db()).await?;
    let mut limits = Vec::new();
    for new in body.limits {
        limits.push(plan(&cx, &registered, new).await?);
    }
    let mut tx = cx.write().await?;
    for limit in &limits {
        let inserted = store::limits::insert(&mut tx, limit).await;
        inserted.map_err(|error| taken(error, "limit", limit.resource_name.clone()))?;
    }
    tx.commit().await?;
    Ok(Json(LimitsView { limits }))
}

/// A new limit of a project or a domain that exists, for a limit that is registered.
async fn plan(cx: &Cx, registered: &[RegisteredLimit], new: NewLimit) -> Result<Limit, Fault> {
    let owner = match (&new.project_id, &new.domain_id) {
        (Some(id), None) | (None, Some(id)) => id,
        (Some(_), Some(_)) | (None, None) => {
            return Err(Fault::bad_request(
                "A limit is of either a project or a domain.",
            ));
        }
    };
    let found = store::projects::get(cx.db(), owner).await?;
    if found.is_none_or(|found| found.is_domain != new.domain_id.is_some()) {
        let kind = if new.domain_id.is_some() {
            "domain"
        } else {
            "project"
        };
        return Err(Fault::bad_request(format!(
            "Could not find {kind}: {owner}."
        )));
    }
    let same = |limit: &&RegisteredLimit| {
        (&limit.service_id, &limit.region_id, &limit.resource_name)
            == (&new.service_id, &new.region_id, &new.resource_name.0)
    };
    let registered = registered.iter().find(same).ok_or_else(|| {
        Fault::forbidden(format!(
            "Unable to create a limit that has no corresponding registered limit: {}.",
            new.resource_name.0
        ))
    })?;
    Ok(Limit {
        id: ids::hex(),
        project_id: new.project_id.map(ProjectId),
        domain_id: new.domain_id.map(DomainId),
        service_id: new.service_id,
        region_id: new.region_id,
        resource_name: new.resource_name.0,
        resource_limit: new.resource_limit,
        description: new.description,
        registered_limit_id: registered.id.clone(),
        project_domain_id: None,
    })
}

endpoint! {
    /// List limits: everybody's for an operator, else those of one's own project or domain.
    ListLimits: GET "/v3/limits" => 200,
    policy: Loaded<rules::ListLimits>,
    query: Params,
    reply: Json<Many<Limit>>,
    handler: list_limits,
}
async fn list_limits(cx: Cx, req: Req<ListLimits>) -> Reply<ListLimits> {
    use nephos_auth::Resource as _;
    require(&cx, rules::ListLimits, &Target::new())?;
    let mut found = store::limits::limits(cx.db()).await?;
    found.retain(|limit| {
        let mut target = Target::new();
        limit.target(&mut target);
        cx.may(rules::GetLimit, &target)
    });
    let attributes = [
        "service_id",
        "region_id",
        "resource_name",
        "project_id",
        "domain_id",
    ];
    list::reply(&cx, ("/v3/limits", &req.query), &attributes, found)
}

async fn load<R: Rule>(cx: &Cx, rule: R, id: &str) -> Result<Limit, Fault> {
    let mut all = store::limits::limits(cx.db()).await?.into_iter();
    let found = all.find(|limit| limit.id == id);
    Ok(reach(cx, rule, (id, found))?.into_inner())
}

endpoint! {
    /// Show a limit.
    ShowLimit: GET "/v3/limits/{limit_id}" => 200,
    policy: Loaded<rules::GetLimit>,
    path: LimitPath,
    reply: Json<One<Limit>>,
    handler: show_limit,
}
async fn show_limit(cx: Cx, req: Req<ShowLimit>) -> Reply<ShowLimit> {
    Ok(Json(One::new(
        &cx,
        load(&cx, rules::GetLimit, &req.path.limit_id).await?,
    )))
}

endpoint! {
    /// Change a limit.
    UpdateLimit: PATCH "/v3/limits/{limit_id}" => 200,
    policy: Loaded<rules::UpdateLimit>,
    path: LimitPath,
    body: Json<Under<LimitChange>>,
    reply: Json<One<Limit>>,
    handler: update_limit,
}
async fn update_limit(cx: Cx, req: Req<UpdateLimit>) -> Reply<UpdateLimit> {
    let before = load(&cx, rules::UpdateLimit, &req.path.limit_id).await?;
    let mut limit = before.clone();
    let Json(Under(body)) = req.body;
    limit.resource_limit = body.resource_limit.unwrap_or(limit.resource_limit);
    limit.description = body.description.unwrap_or(limit.description);
    let mut tx = cx.write().await?;
    store::limits::update(&mut tx, &before, &limit).await?;
    tx.commit().await?;
    Ok(Json(One::new(&cx, limit)))
}

endpoint! {
    /// Remove a limit: the default holds again.
    DeleteLimit: DELETE "/v3/limits/{limit_id}" => 204,
    policy: Loaded<rules::DeleteLimit>,
    path: LimitPath,
    reply: Empty,
    handler: delete_limit,
}
async fn delete_limit(cx: Cx, req: Req<DeleteLimit>) -> Reply<DeleteLimit> {
    let limit = load(&cx, rules::DeleteLimit, &req.path.limit_id).await?;
    let mut tx = cx.write().await?;
    store::limits::remove(&mut tx, &limit.id).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// How limits of projects relate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelView {
    model: Model,
}

#[derive(Debug, Serialize, ToSchema)]
struct Model {
    name: &'static str,
    description: &'static str,
}

endpoint! {
    /// Say how limits of projects relate.
    ShowLimitModel: GET "/v3/limits/model" => 200,
    policy: Authenticated,
    reply: Json<ModelView>,
    handler: show_limit_model,
}
async fn show_limit_model(_cx: Cx, _req: Req<ShowLimitModel>) -> Reply<ShowLimitModel> {
    let description =
        "Limit enforcement and validation does not take project hierarchy into consideration.";
    Ok(Json(ModelView {
        model: Model {
            name: "flat",
            description,
        },
    }))
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateLimits,
        ListLimits,
        ShowLimit,
        UpdateLimit,
        DeleteLimit,
        ShowLimitModel,
    ]
}
