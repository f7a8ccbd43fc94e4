//! RBAC policies: who may use what of others.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Resource, Target};
use nephos_db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::{self, Keys, Kind, Made, Many, One};
use crate::api::input;
use crate::api::listing::{Filter, Listing, asked_fields, visible};
use crate::api::resource;
use crate::api::{ById, allow};
use crate::model::refusal::Refusal;
use crate::model::sharing::{EVERYBODY, EXTERNAL, SHARED};
use crate::rules;
use crate::store::rbac::{self, RbacPolicy};
use crate::store::{
    Reader, address_scopes, networks, qos, quotas, security_groups, subnet_pools, tags,
};

pub(crate) struct RbacKind;

impl Kind for RbacKind {
    const ONE: &'static str = "rbac_policy";
    const MANY: &'static str = "rbac_policies";
    type View = RbacView;
    type New = NewRbac;
    type Change = RbacChange;
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRbac {
    object_type: String,
    #[serde(deserialize_with = "crate::api::input::uuid")]
    object_id: String,
    action: String,
    target_tenant: Option<String>,
    target_project: Option<String>,
    project_id: Option<String>,
    tenant_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RbacChange {
    target_tenant: Option<String>,
    target_project: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RbacView {
    id: String,
    tenant_id: String,
    project_id: String,
    object_type: String,
    object_id: String,
    action: String,
    target_tenant: String,
    target_project: String,
}

fn view(policy: &RbacPolicy) -> RbacView {
    RbacView {
        id: policy.id.clone(),
        tenant_id: policy.project_id.clone(),
        project_id: policy.project_id.clone(),
        object_type: policy.object_type.clone(),
        object_id: policy.object_id.clone(),
        action: policy.action.clone(),
        target_tenant: policy.target_project.clone(),
        target_project: policy.target_project.clone(),
    }
}

impl Resource for RbacPolicy {
    const KIND: &'static str = "RbacPolicy";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }

    fn target(&self, target: &mut Target) {
        target.set("target_project", self.target_project.as_str());
        target.set("target_tenant", self.target_project.as_str());
    }
}

const LISTING: Listing = Listing {
    id: "id",
    updated_at: "",
    marker: "SELECT id, project_id, object_type, object_id FROM rbac_policies",
    filters: &[
        ("id", Filter::Text("id")),
        ("project_id", Filter::Text("project_id")),
        ("tenant_id", Filter::Text("project_id")),
        ("object_type", Filter::Text("object_type")),
        ("object_id", Filter::Text("object_id")),
        ("action", Filter::Text("action")),
        ("target_tenant", Filter::Text("target_project")),
        ("target_project", Filter::Text("target_project")),
    ],
    sorts: &[
        ("project_id", "project_id"),
        ("tenant_id", "project_id"),
        ("object_type", "object_type"),
        ("object_id", "object_id"),
    ],
};

endpoint! {
    /// List RBAC policies.
    ListRbacPolicies: GET "/v2.0/rbac-policies" => 200,
    policy: rules::GetRbacPolicy,
    query: Params,
    reply: Json<Many<RbacKind>>,
    handler: list_policies,
}
async fn list_policies(cx: Cx, req: Req<ListRbacPolicies>) -> Reply<ListRbacPolicies> {
    let query = visible(&cx, rbac::query(), "project_id = {}", "");
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = rbac::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let mut rows = Vec::new();
    for policy in &found {
        rows.push((
            policy.id.clone(),
            envelope::show(&view(policy), &asked.keys)?,
        ));
    }
    Ok(Json(asked.page(&cx, "/v2.0/rbac-policies", rows)))
}

async fn load(reader: &mut Reader<'_>, id: &str) -> Result<Option<RbacPolicy>, Fault> {
    let query = rbac::query().eq("id", id);
    Ok(rbac::find(reader, &query).await?.pop())
}

endpoint! {
    /// Show an RBAC policy.
    ShowRbacPolicy: GET "/v2.0/rbac-policies/{id}" => 200,
    policy: Loaded<rules::GetRbacPolicy>,
    path: ById,
    query: Params,
    reply: Json<One<RbacKind>>,
    handler: show_policy,
}
async fn show_policy(cx: Cx, req: Req<ShowRbacPolicy>) -> Reply<ShowRbacPolicy> {
    let id = req.path.id.as_str();
    let found = load(&mut Reader::Db(cx.db()), id).await?;
    let policy = allow(&cx, rules::GetRbacPolicy, (id, found))?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&view(&policy), &keys)?))
}

endpoint! {
    /// Create one or more RBAC policies.
    CreateRbacPolicies: POST "/v2.0/rbac-policies" => 201,
    policy: rules::CreateRbacPolicy,
    body: envelope::New<RbacKind>,
    reply: Json<Made<RbacKind>>,
    handler: create_policies,
}
async fn create_policies(cx: Cx, req: Req<CreateRbacPolicies>) -> Reply<CreateRbacPolicies> {
    let mut tx = cx.write().await?;
    let mut views = Vec::new();
    for new in &req.body.items {
        let policy = create(&cx, &mut tx, new).await?;
        views.push(view(&policy));
    }
    tx.commit().await?;
    Ok(Json(Made::of(&views, req.body.bulk, &Keys::default())?))
}

fn target_of(project: Option<&String>, tenant: Option<&String>) -> Result<String, Refusal> {
    let target = project.or(tenant).ok_or_else(|| {
        Refusal::request(
            "Failed to parse request. Required attribute 'target_tenant' not specified",
        )
    })?;
    if target.chars().count() > 255 {
        return Err(Refusal::request(
            "Invalid input for target_tenant. Reason: it exceeds maximum length of 255.",
        ));
    }
    Ok(target.clone())
}

async fn create(cx: &Cx, tx: &mut Tx, new: &NewRbac) -> Result<RbacPolicy, Fault> {
    let target_project = target_of(new.target_project.as_ref(), new.target_tenant.as_ref())?;
    let project_id = input::project(cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
    let target = Target::of_project(&project_id)
        .with("target_project", target_project.as_str())
        .with("target_tenant", target_project.as_str());
    cx.require(rules::CreateRbacPolicyTargetProject, &target)?;
    let actions: &[&str] = match new.object_type.as_str() {
        "network" => &[SHARED, EXTERNAL],
        "subnetpool" | "address_scope" | "security_group" | "qos_policy" => &[SHARED],
        other => {
            return Err(
                Refusal::input(format!("'{other}' is not a valid RBAC object type")).into(),
            );
        }
    };
    if !actions.contains(&new.action.as_str()) {
        return Err(Refusal::request(format!(
            "Invalid action '{}' for object type '{}'. Valid actions: {}",
            new.action,
            new.object_type,
            actions.join(", ")
        ))
        .into());
    }
    check_owner(cx, tx, new).await?;
    let policy = RbacPolicy {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id,
        object_type: new.object_type.clone(),
        object_id: new.object_id.clone(),
        action: new.action.clone(),
        target_project,
    };
    quotas::take(tx, &policy.project_id, "rbac_policy", 1).await?;
    if !rbac::insert(tx, &policy).await? {
        return Err(duplicate().into());
    }
    if policy.action == EXTERNAL {
        set_external(tx, &policy.object_id).await?;
    }
    bump(tx, &policy).await?;
    Ok(policy)
}

fn duplicate() -> Refusal {
    Refusal::conflict(
        "DuplicatePolicyError",
        "An RBAC policy already exists with those values.",
    )
}

/// Only who owns a thing, or the operator, shares it. Outside networks are the operator's to give.
async fn check_owner(cx: &Cx, tx: &mut Tx, new: &NewRbac) -> Result<(), Fault> {
    let id = new.object_id.as_str();
    let mut reader = Reader::Tx(tx);
    let owner = match new.object_type.as_str() {
        "network" => networks::bare(&mut reader, id).await?.map(|x| x.project_id),
        "subnetpool" => subnet_pools::get(&mut reader, id)
            .await?
            .map(|x| x.project_id),
        "address_scope" => address_scopes::get(&mut reader, id)
            .await?
            .map(|x| x.project_id),
        "qos_policy" => qos::get(&mut reader, id).await?.map(|x| x.project_id),
        _group => security_groups::get(&mut reader, id)
            .await?
            .map(|x| x.project_id),
    };
    let own = resource::own(&cx.caller);
    let may = cx.caller.is_admin() || owner.as_deref() == Some(own);
    match owner.filter(|_| may) {
        None => Err(Refusal::missing(
            "RbacPolicyInvalidObject",
            format!(
                "{} {id} could not be found among the things of this project.",
                new.object_type
            ),
        )
        .into()),
        Some(_) if new.action == EXTERNAL && !cx.caller.is_admin() => {
            cx.require(rules::UpdateNetworkRouterExternal, &Target::of_project(own))
        }
        Some(_) => Ok(()),
    }
}

async fn set_external(tx: &mut Tx, network: &str) -> Result<(), Fault> {
    let found = networks::bare(&mut Reader::Tx(tx), network).await?;
    if let Some(mut network) = found.filter(|network| !network.external) {
        network.external = true;
        networks::update(tx, &network).await?;
    }
    Ok(())
}

/// Counts the change as one of the shared thing.
async fn bump(tx: &mut Tx, policy: &RbacPolicy) -> Result<(), Fault> {
    let collection = match policy.object_type.as_str() {
        "network" => "networks",
        "security_group" => "security-groups",
        "subnetpool" => "subnetpools",
        "qos_policy" => "policies",
        _scopes_count_nothing => return Ok(()),
    };
    Ok(tags::count_change(tx, collection, &policy.object_id).await?)
}

endpoint! {
    /// Give an RBAC policy another target.
    UpdateRbacPolicy: PUT "/v2.0/rbac-policies/{id}" => 200,
    policy: Loaded<rules::UpdateRbacPolicy>,
    path: ById,
    body: envelope::Change<RbacKind>,
    reply: Json<One<RbacKind>>,
    handler: update_policy,
}
async fn update_policy(cx: Cx, req: Req<UpdateRbacPolicy>) -> Reply<UpdateRbacPolicy> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = load(&mut Reader::Tx(&mut tx), id).await?;
    let policy = allow(&cx, rules::UpdateRbacPolicy, (id, found))?;
    let mut policy = policy.into_inner();
    let change = &req.body.0;
    let wanted = target_of(
        change.target_project.as_ref(),
        change.target_tenant.as_ref(),
    )?;
    let target = Target::of_project(&policy.project_id)
        .with("target_project", wanted.as_str())
        .with("target_tenant", wanted.as_str());
    cx.require(rules::UpdateRbacPolicyTargetProject, &target)?;
    check_not_needed(&mut tx, &policy, Some(&wanted)).await?;
    let same = rbac::query()
        .eq("object_id", &policy.object_id)
        .eq("action", &policy.action)
        .eq("target_project", &wanted)
        .not_eq("id", id);
    if !rbac::find(&mut Reader::Tx(&mut tx), &same)
        .await?
        .is_empty()
    {
        return Err(duplicate().into());
    }
    policy.target_project = wanted;
    rbac::update(&mut tx, &policy).await?;
    bump(&mut tx, &policy).await?;
    tx.commit().await?;
    Ok(Json(One::of(&view(&policy), &Keys::default())?))
}

endpoint! {
    /// Delete an RBAC policy.
    DeleteRbacPolicy: DELETE "/v2.0/rbac-policies/{id}" => 204,
    policy: Loaded<rules::DeleteRbacPolicy>,
    path: ById,
    reply: Empty,
    handler: delete_policy,
}
async fn delete_policy(cx: Cx, req: Req<DeleteRbacPolicy>) -> Reply<DeleteRbacPolicy> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = load(&mut Reader::Tx(&mut tx), id).await?;
    let policy = allow(&cx, rules::DeleteRbacPolicy, (id, found))?;
    check_not_needed(&mut tx, &policy, None).await?;
    rbac::remove(&mut tx, id).await?;
    quotas::give(&mut tx, &policy.project_id, "rbac_policy", 1).await?;
    bump(&mut tx, &policy).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// A grant stays while those to whom it was given use the thing.
pub(super) async fn check_not_needed(
    tx: &mut Tx,
    policy: &RbacPolicy,
    next: Option<&str>,
) -> Result<(), Fault> {
    if next == Some(EVERYBODY) || next == Some(&policy.target_project) {
        return Ok(());
    }
    let users = rbac::users_of(tx, policy).await?;
    let others = rbac::query()
        .eq("object_id", &policy.object_id)
        .eq("action", &policy.action)
        .not_eq("id", &policy.id);
    let others = rbac::find(&mut Reader::Tx(tx), &others).await?;
    let still = |user: &String| {
        next == Some(user)
            || others
                .iter()
                .any(|other| other.target_project == EVERYBODY || other.target_project == *user)
    };
    let reached =
        |user: &String| policy.target_project == EVERYBODY || policy.target_project == *user;
    let blocking = users.into_iter().find(|user| reached(user) && !still(user));
    match blocking {
        None => Ok(()),
        Some(user) => Err(Refusal::conflict(
            "RbacPolicyInUse",
            format!(
                "RBAC policy on object {} cannot be removed because other objects depend on it. Details: project {user} uses it.",
                policy.object_id
            ),
        )
        .into()),
    }
}
