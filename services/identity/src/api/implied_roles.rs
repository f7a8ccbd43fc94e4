//! Which roles imply which.

use nephos_api::{Empty, Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_auth::{Rule, Target};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::{not_found, require};
use super::roles::RolePath;
use super::shape::SelfLink;
use crate::model::directory::Role;
use crate::{Cx, Svc, rules, store};

#[derive(Debug, Deserialize)]
pub(crate) struct ImpliedPath {
    role_id: String,
    implied_id: String,
}

/// A role as inference rules show it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleRef {
    id: String,
    name: String,
    links: SelfLink,
}

/// One prior role, one that it implies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Inference {
    prior_role: RoleRef,
    implies: RoleRef,
}

/// One prior role, all that it implies directly.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Inferences {
    prior_role: RoleRef,
    implies: Vec<RoleRef>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InferenceView {
    role_inference: Inference,
    links: SelfLink,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InferencesView {
    role_inference: Inferences,
    links: SelfLink,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AllInferencesView {
    role_inferences: Vec<Inferences>,
    links: SelfLink,
}

fn reference(cx: &Cx, role: &Role) -> RoleRef {
    let own = cx.url(&format!("/v3/roles/{}", role.id));
    RoleRef {
        id: role.id.clone(),
        name: role.name.clone(),
        links: SelfLink { own },
    }
}

async fn pair<R: Rule>(cx: &Cx, rule: R, path: &ImpliedPath) -> Result<(Role, Role), Fault> {
    require(cx, rule, &Target::new())?;
    Ok((
        role(cx, &path.role_id).await?,
        role(cx, &path.implied_id).await?,
    ))
}

async fn role(cx: &Cx, id: &str) -> Result<Role, Fault> {
    store::roles::get(cx.db(), id)
        .await?
        .ok_or_else(|| not_found("role", id))
}

fn view(cx: &Cx, prior: &Role, implied: &Role) -> InferenceView {
    let own = cx.url(&format!("/v3/roles/{}/implies/{}", prior.id, implied.id));
    let role_inference = Inference {
        prior_role: reference(cx, prior),
        implies: reference(cx, implied),
    };
    InferenceView {
        role_inference,
        links: SelfLink { own },
    }
}

fn no_rule(prior: &Role, implied: &Role) -> Fault {
    Fault::not_found(format!("{} does not imply {}.", prior.id, implied.id))
}

endpoint! {
    /// Make one role imply another.
    CreateImpliedRole: PUT "/v3/roles/{role_id}/implies/{implied_id}" => 201,
    policy: Loaded<rules::CreateImpliedRole>,
    path: ImpliedPath,
    reply: Json<InferenceView>,
    handler: create_implied_role,
}
async fn create_implied_role(cx: Cx, req: Req<CreateImpliedRole>) -> Reply<CreateImpliedRole> {
    let (prior, implied) = pair(&cx, rules::CreateImpliedRole, &req.path).await?;
    // Else whoever may give some role could give themselves everything.
    if implied.name == "admin" && implied.domain_id.is_none() {
        return Err(Fault::forbidden(format!(
            "{} cannot be an implied roles.",
            implied.id
        )));
    }
    if implied.domain_id.is_some() && prior.domain_id.is_none() {
        return Err(Fault::forbidden(
            "A global role cannot imply the role of a domain.",
        ));
    }
    let mut tx = cx.write().await?;
    store::roles::still(&mut tx, &prior).await?;
    store::roles::still(&mut tx, &implied).await?;
    store::roles::imply(&mut tx, &prior.id, &implied.id).await?;
    cx.commit_snapshot(tx).await?;
    Ok(Json(view(&cx, &prior, &implied)))
}

endpoint! {
    /// Show that one role implies another.
    ShowImpliedRole: GET "/v3/roles/{role_id}/implies/{implied_id}" => 200,
    policy: Loaded<rules::GetImpliedRole>,
    path: ImpliedPath,
    reply: Json<InferenceView>,
    handler: show_implied_role,
}
async fn show_implied_role(cx: Cx, req: Req<ShowImpliedRole>) -> Reply<ShowImpliedRole> {
    let (prior, implied) = pair(&cx, rules::GetImpliedRole, &req.path).await?;
    check(&cx, &prior, &implied)?;
    Ok(Json(view(&cx, &prior, &implied)))
}

fn check(cx: &Cx, prior: &Role, implied: &Role) -> Result<(), Fault> {
    let snapshot = cx.snapshot();
    let found = snapshot
        .implies
        .0
        .get(&prior.id)
        .is_some_and(|all| all.contains(&implied.id));
    if found {
        Ok(())
    } else {
        Err(no_rule(prior, implied))
    }
}

endpoint! {
    /// Say whether one role implies another.
    CheckImpliedRole: HEAD "/v3/roles/{role_id}/implies/{implied_id}" => 204,
    policy: Loaded<rules::CheckImpliedRole>,
    path: ImpliedPath,
    reply: Empty,
    handler: check_implied_role,
}
async fn check_implied_role(cx: Cx, req: Req<CheckImpliedRole>) -> Reply<CheckImpliedRole> {
    let (prior, implied) = pair(&cx, rules::CheckImpliedRole, &req.path).await?;
    check(&cx, &prior, &implied)?;
    Ok(Empty)
}

endpoint! {
    /// End that one role implies another. Tokens that may carry the implied one because of it end.
    DeleteImpliedRole: DELETE "/v3/roles/{role_id}/implies/{implied_id}" => 204,
    policy: Loaded<rules::DeleteImpliedRole>,
    path: ImpliedPath,
    reply: Empty,
    handler: delete_implied_role,
}
async fn delete_implied_role(cx: Cx, req: Req<DeleteImpliedRole>) -> Reply<DeleteImpliedRole> {
    let (prior, implied) = pair(&cx, rules::DeleteImpliedRole, &req.path).await?;
    let mut revocation = cx.revocation();
    // A domain role stands in no token itself: then the implied one is what has to end.
    let carried = if prior.domain_id.is_none() {
        &prior
    } else {
        &implied
    };
    revocation.role = Some(carried.name.clone());
    let mut tx = cx.write().await?;
    if !store::roles::unimply(&mut tx, &prior.id, &implied.id).await? {
        return Err(no_rule(&prior, &implied));
    }
    store::revocations::bump(&mut tx, "snapshot").await?;
    cx.commit_revoking(tx, vec![revocation]).await?;
    cx.load().await?;
    Ok(Empty)
}

fn inferences(cx: &Cx, prior: &Role) -> Inferences {
    let snapshot = cx.snapshot();
    let implied = snapshot.implies.0.get(&prior.id).into_iter().flatten();
    let implies = implied
        .filter_map(|id| snapshot.roles.get(id))
        .map(|role| reference(cx, role));
    Inferences {
        prior_role: reference(cx, prior),
        implies: implies.collect(),
    }
}

endpoint! {
    /// List what a role implies directly.
    ListImpliedRoles: GET "/v3/roles/{role_id}/implies" => 200,
    policy: Loaded<rules::ListImpliedRoles>,
    path: RolePath,
    reply: Json<InferencesView>,
    handler: list_implied_roles,
}
async fn list_implied_roles(cx: Cx, req: Req<ListImpliedRoles>) -> Reply<ListImpliedRoles> {
    require(&cx, rules::ListImpliedRoles, &Target::new())?;
    let prior = role(&cx, &req.path.role_id).await?;
    let links = SelfLink {
        own: cx.url(&format!("/v3/roles/{}/implies", prior.id)),
    };
    Ok(Json(InferencesView {
        role_inference: inferences(&cx, &prior),
        links,
    }))
}

endpoint! {
    /// List what every role implies directly.
    ListRoleInferences: GET "/v3/role_inferences" => 200,
    policy: Loaded<rules::ListRoleInferenceRules>,
    reply: Json<AllInferencesView>,
    handler: list_role_inferences,
}
async fn list_role_inferences(cx: Cx, _req: Req<ListRoleInferences>) -> Reply<ListRoleInferences> {
    require(&cx, rules::ListRoleInferenceRules, &Target::new())?;
    let snapshot = cx.snapshot();
    let priors = snapshot
        .implies
        .0
        .keys()
        .filter_map(|id| snapshot.roles.get(id));
    let role_inferences = priors.map(|prior| inferences(&cx, prior)).collect();
    let links = SelfLink {
        own: cx.url("/v3/role_inferences"),
    };
    Ok(Json(AllInferencesView {
        role_inferences,
        links,
    }))
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateImpliedRole,
        ShowImpliedRole,
        CheckImpliedRole,
        DeleteImpliedRole,
        ListImpliedRoles,
        ListRoleInferences,
    ]
}
