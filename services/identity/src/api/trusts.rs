//! Trusts: a user lends roles on a project to another user.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Resource as _, Revocation, Rule, Target};
use nephos_db::Tx;
use nephos_runtime::ids;
use nephos_types::{ProjectId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::app_credentials::{RoleRef, future};
use super::fault::{not_found, require};
use super::list;
use super::scope::roles_within;
use super::shape::{Keyed, Linked, Links, Many, Named, One, Under};
use super::users::clean;
use crate::model::directory::Role;
use crate::model::extra::Extra;
use crate::model::trust::{MAX_REDELEGATIONS, Trust};
use crate::{Cx, Svc, rules, store};

/// A trust as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrustView {
    id: String,
    trustor_user_id: UserId,
    trustee_user_id: UserId,
    project_id: Option<ProjectId>,
    impersonation: bool,
    expires_at: Option<String>,
    remaining_uses: Option<i64>,
    redelegated_trust_id: Option<String>,
    redelegation_count: i64,
    deleted_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Role>>)]
    roles: Option<Vec<Linked<Role>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles_links: Option<Links>,
    #[serde(flatten)]
    extra: Extra,
}

impl Named for TrustView {
    const ONE: &'static str = "trust";
    const MANY: &'static str = "trusts";
    const PATH: &'static str = "/v3/OS-TRUST/trusts";
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<Trust> for TrustView {
    fn from(trust: Trust) -> Self {
        Self {
            id: trust.id,
            trustor_user_id: trust.trustor_user_id,
            trustee_user_id: trust.trustee_user_id,
            project_id: trust.project_id,
            impersonation: trust.impersonation,
            expires_at: trust.expires_at.map(Timestamp::iso_micros),
            remaining_uses: trust.remaining_uses,
            redelegated_trust_id: trust.redelegated_trust_id,
            redelegation_count: trust.redelegation_count,
            deleted_at: trust.deleted_at.map(Timestamp::iso_micros),
            roles: None,
            roles_links: None,
            extra: trust.extra,
        }
    }
}

fn with_roles(cx: &Cx, trust: Trust) -> TrustView {
    let snapshot = cx.snapshot();
    let roles = trust
        .role_ids
        .iter()
        .filter_map(|id| snapshot.roles.get(id).cloned());
    let roles = roles.map(|role| Linked::new(cx, role)).collect();
    let own = cx.url(&format!("/v3/OS-TRUST/trusts/{}/roles", trust.id));
    let mut view = TrustView::from(trust);
    view.roles = Some(roles);
    view.roles_links = Some(Links {
        own,
        previous: None,
        next: None,
    });
    view
}

#[derive(Debug, Deserialize)]
pub(crate) struct TrustPath {
    trust_id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TrustRolePath {
    trust_id: String,
    role_id: String,
}

/// A trust to be.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TrustCreateBody {
    trustor_user_id: String,
    trustee_user_id: String,
    impersonation: bool,
    #[serde(default)]
    project_id: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    remaining_uses: Option<i64>,
    #[serde(default)]
    roles: Option<Vec<RoleRef>>,
    #[serde(default)]
    allow_redelegation: Option<bool>,
    #[serde(default)]
    redelegation_count: Option<i64>,
    #[serde(flatten)]
    extra: Extra,
}

impl Keyed for TrustCreateBody {
    const KEY: &'static str = "trust";
}

/// Whoever acts by an application credential manages no trusts: they would outlive it.
fn check_not_by_app(cx: &Cx) -> Result<(), Fault> {
    if cx.caller.app_credential_id.is_none() {
        return Ok(());
    }
    Err(Fault::forbidden(
        "Using method 'application_credential' is not allowed for managing trusts.",
    ))
}

endpoint! {
    /// Lend roles on a project.
    CreateTrust: POST "/v3/OS-TRUST/trusts" => 201,
    policy: Loaded<rules::CreateTrust>,
    body: Json<Under<TrustCreateBody>>,
    reply: Json<One<TrustView>>,
    handler: create_trust,
}
async fn create_trust(cx: Cx, req: Req<CreateTrust>) -> Reply<CreateTrust> {
    let Json(Under(mut body)) = req.body;
    let target = Target::new()
        .with("target.trust.trustor_user_id", &body.trustor_user_id)
        .with("target.trust.trustee_user_id", &body.trustee_user_id);
    require(&cx, rules::CreateTrust, &target)?;
    check_not_by_app(&cx)?;
    if cx.caller.user_id.as_str() != body.trustor_user_id {
        return Err(Fault::forbidden(
            "The authenticated user should match the trustor.",
        ));
    }
    if body.remaining_uses.is_some_and(|uses| uses < 1) {
        return Err(Fault::bad_request(
            "remaining_uses must be a positive integer or null.",
        ));
    }
    let asked = body.roles.take().unwrap_or_default();
    if body.project_id.is_some() && asked.is_empty() {
        return Err(Fault::forbidden("At least one role should be specified."));
    }
    for user in [&body.trustor_user_id, &body.trustee_user_id] {
        if store::users::get(cx.db(), user).await?.is_none() {
            return Err(not_found("user", user));
        }
    }
    if let Some(id) = &body.project_id
        && store::projects::get(cx.db(), id).await?.is_none()
    {
        return Err(not_found("project", id));
    }
    let role_ids = asked
        .iter()
        .map(|role| role.find(&cx))
        .collect::<Result<Vec<_>, _>>()?;
    clean(
        &mut body.extra,
        &["id", "links", "roles_links", "deleted_at"],
        None,
    )?;
    let trust = Trust {
        id: ids::hex(),
        expires_at: body
            .expires_at
            .as_deref()
            .map(|text| future(&cx, text))
            .transpose()?,
        redelegation_count: redelegations(&body)?,
        trustor_user_id: UserId(body.trustor_user_id),
        trustee_user_id: UserId(body.trustee_user_id),
        project_id: body.project_id.map(ProjectId),
        impersonation: body.impersonation,
        remaining_uses: body.remaining_uses,
        redelegated_trust_id: None,
        role_ids,
        deleted_at: None,
        extra: body.extra,
    };
    let mut tx = cx.write().await?;
    check_has(&cx, &mut tx, &trust).await?;
    let trust = redelegate(&cx, &mut tx, trust).await?;
    store::trusts::insert(&mut tx, &trust).await?;
    tx.commit().await?;
    Ok(Json(One::new(&cx, with_roles(&cx, trust))))
}

fn redelegations(body: &TrustCreateBody) -> Result<i64, Fault> {
    let allowed = body.allow_redelegation.unwrap_or_default();
    let count = if allowed {
        body.redelegation_count.unwrap_or(MAX_REDELEGATIONS)
    } else {
        0
    };
    if !(0..=MAX_REDELEGATIONS).contains(&count) {
        return Err(Fault::forbidden(format!(
            "Requested redelegation depth of {count} is greater than allowed {MAX_REDELEGATIONS}."
        )));
    }
    if allowed && body.remaining_uses.is_some() {
        return Err(Fault::bad_request(
            "remaining_uses shall not be set if redelegation is allowed.",
        ));
    }
    Ok(count)
}

/// Nobody lends what they do not have.
async fn check_has(cx: &Cx, tx: &mut Tx, trust: &Trust) -> Result<(), Fault> {
    let Some(project_id) = &trust.project_id else {
        return Ok(());
    };
    let has = roles_within(cx, tx, &trust.trustor_user_id, project_id).await?;
    match trust.role_ids.iter().find(|id| !has.contains(*id)) {
        Some(id) => Err(not_found("role", id)),
        None => Ok(()),
    }
}

/// With the token of a trust, what was lent is lent on: no more, no longer, and not too often.
async fn redelegate(cx: &Cx, tx: &mut Tx, mut trust: Trust) -> Result<Trust, Fault> {
    let Some(by) = &cx.caller.trust else {
        return Ok(trust);
    };
    let parent = store::trusts::get_in(tx, &by.id).await?;
    let parent = parent.ok_or_else(|| not_found("trust", &by.id))?;
    if parent.redelegation_count < 1 {
        return Err(Fault::forbidden(
            "The trust may not be passed on any further.",
        ));
    }
    if !trust.role_ids.iter().all(|id| parent.role_ids.contains(id))
        || trust.project_id != parent.project_id
    {
        return Err(Fault::forbidden(
            "Some of requested roles are not in redelegated trust.",
        ));
    }
    if trust.impersonation && !parent.impersonation {
        return Err(Fault::forbidden(
            "Impersonation is not allowed because redelegated trust does not specify impersonation.",
        ));
    }
    match (trust.expires_at, parent.expires_at) {
        (Some(own), Some(limit)) if own > limit => {
            return Err(Fault::forbidden(
                "Requested expiration time is more than redelegated trust can provide.",
            ));
        }
        (None, limit) => trust.expires_at = limit,
        (Some(_), _) => {}
    }
    trust.redelegation_count = parent.redelegation_count - 1;
    trust.redelegated_trust_id = Some(parent.id);
    Ok(trust)
}

endpoint! {
    /// List trusts.
    ListTrusts: GET "/v3/OS-TRUST/trusts" => 200,
    policy: Loaded<rules::ListTrusts>,
    query: Params,
    reply: Json<Many<TrustView>>,
    handler: list_trusts,
}
async fn list_trusts(cx: Cx, req: Req<ListTrusts>) -> Reply<ListTrusts> {
    let (trustor, trustee) = (
        req.query.get("trustor_user_id"),
        req.query.get("trustee_user_id"),
    );
    let mut target = Target::new();
    if let Some(trustor) = trustor {
        target.set("target.trust.trustor_user_id", trustor);
        require(&cx, rules::ListTrustsForTrustor, &target)?;
    } else if let Some(trustee) = trustee {
        target.set("target.trust.trustee_user_id", trustee);
        require(&cx, rules::ListTrustsForTrustee, &target)?;
    } else {
        require(&cx, rules::ListTrusts, &target)?;
    }
    check_not_by_app(&cx)?;
    let trusts = store::trusts::list(cx.db(), trustor, trustee).await?;
    let trusts = trusts.into_iter().filter(|trust| !trust.expired(cx.now()));
    let views = trusts.map(TrustView::from).collect();
    list::reply(&cx, ("/v3/OS-TRUST/trusts", &req.query), &[], views)
}

/// A trust that is not there, over or used up is 404 for everybody: its ids cannot be guessed.
async fn load<R: Rule>(cx: &Cx, rule: R, id: &str) -> Result<Trust, Fault> {
    let trust = store::trusts::get(cx.db(), id).await?;
    let trust = trust.filter(|trust| trust.remaining_uses != Some(0) && !trust.expired(cx.now()));
    let trust = trust.ok_or_else(|| not_found("trust", id))?;
    let mut target = Target::new();
    trust.target(&mut target);
    require(cx, rule, &target)?;
    check_not_by_app(cx)?;
    Ok(trust)
}

endpoint! {
    /// Show a trust.
    ShowTrust: GET "/v3/OS-TRUST/trusts/{trust_id}" => 200,
    policy: Loaded<rules::GetTrust>,
    path: TrustPath,
    reply: Json<One<TrustView>>,
    handler: show_trust,
}
async fn show_trust(cx: Cx, req: Req<ShowTrust>) -> Reply<ShowTrust> {
    let trust = load(&cx, rules::GetTrust, &req.path.trust_id).await?;
    Ok(Json(One::new(&cx, with_roles(&cx, trust))))
}

endpoint! {
    /// Take back a trust and all that were made from it; their tokens end.
    DeleteTrust: DELETE "/v3/OS-TRUST/trusts/{trust_id}" => 204,
    policy: Loaded<rules::DeleteTrust>,
    path: TrustPath,
    reply: Empty,
    handler: delete_trust,
}
async fn delete_trust(cx: Cx, req: Req<DeleteTrust>) -> Reply<DeleteTrust> {
    let trust = load(&cx, rules::DeleteTrust, &req.path.trust_id).await?;
    let mut tx = cx.write().await?;
    let gone = store::trusts::with_offspring(&mut tx, &trust.id).await?;
    for id in &gone {
        store::trusts::remove(&mut tx, id, cx.now()).await?;
    }
    let ends = ended(&cx, gone).collect();
    cx.commit_revoking(tx, ends).await?;
    Ok(Empty)
}

/// What ends the tokens of trusts.
pub(super) fn ended(cx: &Cx, trusts: Vec<String>) -> impl Iterator<Item = Revocation> {
    trusts.into_iter().map(|id| {
        let mut revocation = cx.revocation();
        revocation.trust_id = Some(id);
        revocation
    })
}

endpoint! {
    /// List the roles of a trust.
    ListTrustRoles: GET "/v3/OS-TRUST/trusts/{trust_id}/roles" => 200,
    policy: Loaded<rules::ListRolesForTrust>,
    path: TrustPath,
    query: Params,
    reply: Json<Many<Role>>,
    handler: list_trust_roles,
}
async fn list_trust_roles(cx: Cx, req: Req<ListTrustRoles>) -> Reply<ListTrustRoles> {
    let trust = load(&cx, rules::ListRolesForTrust, &req.path.trust_id).await?;
    let snapshot = cx.snapshot();
    let roles = trust
        .role_ids
        .iter()
        .filter_map(|id| snapshot.roles.get(id).cloned())
        .collect();
    let path = format!("/v3/OS-TRUST/trusts/{}/roles", trust.id);
    list::reply(&cx, (&path, &req.query), &["name"], roles)
}

endpoint! {
    /// Show a role of a trust.
    ShowTrustRole: GET "/v3/OS-TRUST/trusts/{trust_id}/roles/{role_id}" => 200,
    policy: Loaded<rules::GetRoleForTrust>,
    path: TrustRolePath,
    reply: Json<One<Role>>,
    handler: show_trust_role,
}
async fn show_trust_role(cx: Cx, req: Req<ShowTrustRole>) -> Reply<ShowTrustRole> {
    let trust = load(&cx, rules::GetRoleForTrust, &req.path.trust_id).await?;
    let id = &req.path.role_id;
    let role = cx
        .snapshot()
        .roles
        .get(id)
        .filter(|_| trust.role_ids.contains(id))
        .cloned();
    let role = role.ok_or_else(|| not_found("role", id))?;
    Ok(Json(One::new(&cx, role)))
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateTrust,
        ListTrusts,
        ShowTrust,
        DeleteTrust,
        ListTrustRoles,
        ShowTrustRole,
    ]
}
