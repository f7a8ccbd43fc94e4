//! QoS policies.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_db::Tx;
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::{self, Keys, Kind, Made, Many, One};
use crate::api::input::{self, Flag, Name};
use crate::api::listing::{self, Filter, Listing, asked_fields, visible};
use crate::api::qos_rules::RuleOfPolicyView;
use crate::api::{ById, allow, rbac as grants, resource};
use crate::model::qos::Policy;
use crate::model::refusal::Refusal;
use crate::model::sharing::{EVERYBODY, Grant, Grants, SHARED};
use crate::rules;
use crate::store::rbac::{self, RbacPolicy};
use crate::store::{Pair, Reader, qos, quotas};

pub(crate) struct QosPolicyKind;

impl Kind for QosPolicyKind {
    const ONE: &'static str = "policy";
    const MANY: &'static str = "policies";
    type View = QosPolicyView;
    type New = NewQosPolicy;
    type Change = QosPolicyChange;
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewQosPolicy {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    shared: Option<Flag>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    is_default: Option<Flag>,
    project_id: Option<String>,
    tenant_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QosPolicyChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    shared: Option<Flag>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    is_default: Option<Flag>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QosPolicyView {
    id: String,
    name: String,
    description: String,
    tenant_id: String,
    project_id: String,
    shared: bool,
    is_default: bool,
    rules: Vec<RuleOfPolicyView>,
    tags: Vec<String>,
    revision_number: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

fn view(cx: &Cx, policy: &Policy) -> QosPolicyView {
    QosPolicyView {
        id: policy.id.clone(),
        name: policy.name.clone(),
        description: policy.description.clone(),
        tenant_id: policy.project_id.clone(),
        project_id: policy.project_id.clone(),
        shared: policy.grants.shared_with(resource::own(&cx.caller)),
        is_default: policy.is_default,
        rules: policy.rules.iter().map(RuleOfPolicyView::of).collect(),
        tags: policy.tags.clone(),
        revision_number: policy.revision,
        created_at: policy.created_at,
        updated_at: policy.updated_at,
    }
}

const LISTING: Listing = Listing {
    id: "id",
    updated_at: "updated_at",
    marker: "SELECT id, name, project_id, is_default, description, revision, created_at, updated_at FROM qos_policies",
    filters: &[
        ("id", Filter::Text("id")),
        ("name", Filter::Text("name")),
        ("description", Filter::Text("description")),
        ("project_id", Filter::Text("project_id")),
        ("tenant_id", Filter::Text("project_id")),
        ("is_default", Filter::Flag("is_default")),
        ("revision_number", Filter::Int("revision")),
        ("shared", Filter::Custom(listing::shared_is)),
    ],
    sorts: &[
        ("name", "name"),
        ("description", "description"),
        ("project_id", "project_id"),
        ("tenant_id", "project_id"),
        ("is_default", "is_default"),
        ("revision_number", "revision"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
};

endpoint! {
    /// List QoS policies.
    ListQosPolicies: GET "/v2.0/qos/policies" => 200,
    policy: rules::GetPolicy,
    query: Params,
    reply: Json<Many<QosPolicyKind>>,
    handler: list_policies,
}
async fn list_policies(cx: Cx, req: Req<ListQosPolicies>) -> Reply<ListQosPolicies> {
    let query = visible(
        &cx,
        qos::query(),
        "project_id = {}",
        "id IN (SELECT object_id FROM rbac_policies WHERE object_type = 'qos_policy' AND target_project IN ('*', {}))",
    );
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = qos::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let mut rows = Vec::new();
    for policy in &found {
        let shown = envelope::show(&view(&cx, policy), &asked.keys)?;
        rows.push((policy.id.clone(), shown));
    }
    Ok(Json(asked.page(&cx, "/v2.0/qos/policies", rows)))
}

endpoint! {
    /// Show a QoS policy with its rules.
    ShowQosPolicy: GET "/v2.0/qos/policies/{id}" => 200,
    policy: Loaded<rules::GetPolicy>,
    path: ById,
    query: Params,
    reply: Json<One<QosPolicyKind>>,
    handler: show_policy,
}
async fn show_policy(cx: Cx, req: Req<ShowQosPolicy>) -> Reply<ShowQosPolicy> {
    let id = req.path.id.as_str();
    let found = qos::get(&mut Reader::Db(cx.db()), id).await?;
    let policy = allow(&cx, rules::GetPolicy, (id, found))?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&view(&cx, &policy), &keys)?))
}

endpoint! {
    /// Create one or more QoS policies.
    CreateQosPolicies: POST "/v2.0/qos/policies" => 201,
    policy: Loaded<rules::CreatePolicy>,
    body: envelope::New<QosPolicyKind>,
    reply: Json<Made<QosPolicyKind>>,
    handler: create_policies,
}
async fn create_policies(cx: Cx, req: Req<CreateQosPolicies>) -> Reply<CreateQosPolicies> {
    let mut tx = cx.write().await?;
    let mut views = Vec::new();
    for new in &req.body.items {
        let project_id = input::project(&cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
        cx.require(rules::CreatePolicy, &Target::of_project(&project_id))?;
        if project_id.is_empty() {
            return Err(Refusal::bad("QoS policy", "a policy must have a project").into());
        }
        let is = |flag: Option<Flag>| flag.is_some_and(|flag| flag.0);
        let now = cx.now();
        let mut policy = Policy {
            id: nephos_runtime::ids::uuid().to_string(),
            project_id,
            name: new.name.clone().unwrap_or_default().0,
            description: new.description.clone().unwrap_or_default().0,
            is_default: is(new.is_default),
            revision: 1,
            created_at: now,
            updated_at: now,
            grants: Grants::default(),
            rules: Vec::new(),
            tags: Vec::new(),
        };
        check_only_default(&mut tx, &policy).await?;
        qos::insert(&mut tx, &policy).await?;
        if is(new.shared) {
            share(&mut tx, &mut policy).await?;
        }
        views.push(view(&cx, &policy));
    }
    tx.commit().await?;
    Ok(Json(Made::of(&views, req.body.bulk, &Keys::default())?))
}

async fn check_only_default(tx: &mut Tx, policy: &Policy) -> Result<(), Fault> {
    if !policy.is_default {
        return Ok(());
    }
    let known = qos::default_of(tx, &policy.project_id).await?;
    match known.filter(|known| *known != policy.id) {
        None => Ok(()),
        Some(_) => Err(Refusal::conflict(
            "QoSPolicyDefaultAlreadyExists",
            format!(
                "A default QoS policy exists for project {}.",
                policy.project_id
            ),
        )
        .into()),
    }
}

/// The grant that `shared` stands for.
fn to_everybody(policy: &Policy) -> RbacPolicy {
    RbacPolicy {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id: policy.project_id.clone(),
        object_type: "qos_policy".to_owned(),
        object_id: policy.id.clone(),
        action: SHARED.to_owned(),
        target_project: EVERYBODY.to_owned(),
    }
}

async fn share(tx: &mut Tx, policy: &mut Policy) -> Result<(), Fault> {
    if rbac::insert(tx, &to_everybody(policy)).await? {
        quotas::add(tx, &policy.project_id, "rbac_policy", 1).await?;
        policy.grants.0.push(Grant {
            action: SHARED.to_owned(),
            target: EVERYBODY.to_owned(),
        });
    }
    Ok(())
}

/// Refused while others use the policy who have no grant of their own.
async fn unshare(tx: &mut Tx, policy: &mut Policy) -> Result<(), Fault> {
    let query = rbac::query()
        .eq("object_id", &policy.id)
        .eq("target_project", EVERYBODY);
    let found = rbac::find(&mut Reader::Tx(tx), &query).await?;
    for grant in &found {
        grants::check_not_needed(tx, grant, None).await?;
    }
    rbac::revoke(tx, &policy.id, SHARED, EVERYBODY).await?;
    policy.grants.0.retain(|grant| grant.target != EVERYBODY);
    Ok(())
}

endpoint! {
    /// Change a QoS policy.
    UpdateQosPolicy: PUT "/v2.0/qos/policies/{id}" => 200,
    policy: Loaded<rules::UpdatePolicy>,
    path: ById,
    body: envelope::Change<QosPolicyKind>,
    reply: Json<One<QosPolicyKind>>,
    handler: update_policy,
}
async fn update_policy(cx: Cx, req: Req<UpdateQosPolicy>) -> Reply<UpdateQosPolicy> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = qos::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut policy = allow(&cx, rules::UpdatePolicy, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), policy.revision)?;
    let change = &req.body.0;
    if let Some(name) = &change.name {
        policy.name.clone_from(&name.0);
    }
    if let Some(description) = &change.description {
        policy.description.clone_from(&description.0);
    }
    if let Some(Flag(is_default)) = change.is_default {
        policy.is_default = is_default;
        check_only_default(&mut tx, &policy).await?;
    }
    match change.shared {
        Some(Flag(true)) => share(&mut tx, &mut policy).await?,
        Some(Flag(false)) => unshare(&mut tx, &mut policy).await?,
        None => {}
    }
    policy.updated_at = cx.now();
    qos::update(&mut tx, &policy).await?;
    policy.revision += 1;
    tx.commit().await?;
    Ok(Json(One::of(&view(&cx, &policy), &Keys::default())?))
}

endpoint! {
    /// Delete a QoS policy that nothing has, and its rules.
    DeleteQosPolicy: DELETE "/v2.0/qos/policies/{id}" => 204,
    policy: Loaded<rules::DeletePolicy>,
    path: ById,
    reply: Empty,
    handler: delete_policy,
}
async fn delete_policy(cx: Cx, req: Req<DeleteQosPolicy>) -> Reply<DeleteQosPolicy> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = qos::get(&mut Reader::Tx(&mut tx), id).await?;
    let policy = allow(&cx, rules::DeletePolicy, (id, found))?;
    input::check_if_match(req.header("if-match"), policy.revision)?;
    if let Some(Pair(kind, user)) = qos::user_of(&mut tx, id).await? {
        return Err(Refusal::conflict(
            "QosPolicyInUse",
            format!("QoS Policy {id} is used by {kind} {user}."),
        )
        .into());
    }
    qos::remove(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Empty)
}
