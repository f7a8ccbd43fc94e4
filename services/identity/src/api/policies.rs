//! Policy documents that are kept for others.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Rule, Target};
use nephos_runtime::ids;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::fault::{not_found, require};
use super::list;
use super::shape::{Keyed, Many, Named, One, Under};
use super::users::clean;
use crate::model::catalog::PolicyDocument;
use crate::model::extra::{Extra, Name};
use crate::{Cx, Svc, rules, store};

impl Named for PolicyDocument {
    const ONE: &'static str = "policy";
    const MANY: &'static str = "policies";
    const PATH: &'static str = "/v3/policies";
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct PolicyPath {
    policy_id: String,
}

/// A policy document to be: `type` and `blob` are needed to create one.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PolicyBody {
    #[serde(default, rename = "type")]
    kind: Option<Name<255>>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    blob: Option<Value>,
    #[serde(flatten)]
    extra: Extra,
}

impl Keyed for PolicyBody {
    const KEY: &'static str = "policy";
}

const RESERVED: [&str; 2] = ["id", "links"];

endpoint! {
    /// Create a policy document.
    CreatePolicy: POST "/v3/policies" => 201,
    policy: Loaded<rules::CreatePolicy>,
    body: Json<Under<PolicyBody>>,
    reply: Json<One<PolicyDocument>>,
    handler: create_policy,
}
async fn create_policy(cx: Cx, req: Req<CreatePolicy>) -> Reply<CreatePolicy> {
    require(&cx, rules::CreatePolicy, &Target::new())?;
    let Json(Under(mut body)) = req.body;
    let needed = |key: &str| Fault::bad_request(format!("'{key}' is a required property"));
    clean(&mut body.extra, &RESERVED, None)?;
    let policy = PolicyDocument {
        id: ids::hex(),
        kind: body.kind.ok_or_else(|| needed("type"))?.0,
        blob: body.blob.ok_or_else(|| needed("blob"))?,
        extra: body.extra,
    };
    let mut tx = cx.write().await?;
    store::policies::insert(&mut tx, &policy).await?;
    tx.commit().await?;
    Ok(Json(One::new(&cx, policy)))
}

endpoint! {
    /// List policy documents.
    ListPolicies: GET "/v3/policies" => 200,
    policy: Loaded<rules::ListPolicies>,
    query: Params,
    reply: Json<Many<PolicyDocument>>,
    handler: list_policies,
}
async fn list_policies(cx: Cx, req: Req<ListPolicies>) -> Reply<ListPolicies> {
    require(&cx, rules::ListPolicies, &Target::new())?;
    let policies = store::policies::list(cx.db()).await?;
    list::reply(&cx, ("/v3/policies", &req.query), &["type"], policies)
}

async fn load<R: Rule>(cx: &Cx, rule: R, id: &str) -> Result<PolicyDocument, Fault> {
    require(cx, rule, &Target::new())?;
    store::policies::get(cx.db(), id)
        .await?
        .ok_or_else(|| not_found("policy", id))
}

endpoint! {
    /// Show a policy document.
    ShowPolicy: GET "/v3/policies/{policy_id}" => 200,
    policy: Loaded<rules::GetPolicy>,
    path: PolicyPath,
    reply: Json<One<PolicyDocument>>,
    handler: show_policy,
}
async fn show_policy(cx: Cx, req: Req<ShowPolicy>) -> Reply<ShowPolicy> {
    Ok(Json(One::new(
        &cx,
        load(&cx, rules::GetPolicy, &req.path.policy_id).await?,
    )))
}

endpoint! {
    /// Change a policy document.
    UpdatePolicy: PATCH "/v3/policies/{policy_id}" => 200,
    policy: Loaded<rules::UpdatePolicy>,
    path: PolicyPath,
    body: Json<Under<PolicyBody>>,
    reply: Json<One<PolicyDocument>>,
    handler: update_policy,
}
async fn update_policy(cx: Cx, req: Req<UpdatePolicy>) -> Reply<UpdatePolicy> {
    let before = load(&cx, rules::UpdatePolicy, &req.path.policy_id).await?;
    let mut policy = before.clone();
    let Json(Under(mut body)) = req.body;
    clean(&mut body.extra, &RESERVED, Some(&policy.id))?;
    policy.kind = body.kind.map_or(policy.kind, |kind| kind.0);
    policy.blob = body.blob.unwrap_or(policy.blob);
    policy.extra.merge(body.extra);
    let mut tx = cx.write().await?;
    store::policies::update(&mut tx, &before, &policy).await?;
    tx.commit().await?;
    Ok(Json(One::new(&cx, policy)))
}

endpoint! {
    /// Remove a policy document.
    DeletePolicy: DELETE "/v3/policies/{policy_id}" => 204,
    policy: Loaded<rules::DeletePolicy>,
    path: PolicyPath,
    reply: Empty,
    handler: delete_policy,
}
async fn delete_policy(cx: Cx, req: Req<DeletePolicy>) -> Reply<DeletePolicy> {
    let policy = load(&cx, rules::DeletePolicy, &req.path.policy_id).await?;
    let mut tx = cx.write().await?;
    store::policies::remove(&mut tx, &policy.id).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreatePolicy,
        ListPolicies,
        ShowPolicy,
        UpdatePolicy,
        DeletePolicy
    ]
}
