//! For what? The scope of a log-in and the roles on it.

use std::collections::BTreeSet;

use nephos_api::Fault;
use nephos_auth::{Scope, TrustRef};
use nephos_db::Tx;
use nephos_types::{DomainId, ProjectId, UserId};

use super::auth_body::ScopeBody;
use super::fault::unauthorized;
use super::login::Proof;
use crate::model::assignment::Place;
use crate::model::directory::{Project, User};
use crate::{Cx, store};

/// What a token will be good for.
#[derive(Debug)]
pub(crate) struct Granted {
    pub scope: Scope,
    pub roles: Vec<String>,
    /// The trust, and the user as whom its token speaks.
    pub trust: Option<(TrustRef, User, Project)>,
}

impl Granted {
    fn unscoped() -> Self {
        Self {
            scope: Scope::Unscoped,
            roles: Vec::new(),
            trust: None,
        }
    }
}

/// The scope that was asked for, or the default one.
pub(crate) async fn grant(
    cx: &Cx,
    proof: &Proof,
    asked: Option<&ScopeBody>,
) -> Result<Granted, Fault> {
    if proof.app.is_some() {
        return of_app(cx, proof, asked).await;
    }
    let Some(asked) = asked else {
        return default_scope(cx, proof).await;
    };
    let refused = || unauthorized(cx);
    let wanted = usize::from(asked.project.is_some())
        + usize::from(asked.domain.is_some())
        + usize::from(asked.system.is_some())
        + usize::from(asked.trust.is_some())
        + usize::from(asked.unscoped.is_some());
    if wanted > 1 {
        return Err(Fault::bad_request(
            "Scoping to more than one of project, domain, system and trust is not possible.",
        ));
    }
    if let Some(project) = &asked.project {
        let project = project.find(cx).await?.ok_or_else(refused)?;
        return on_project(cx, &proof.user.id, &project)
            .await?
            .ok_or_else(refused);
    }
    if let Some(domain) = &asked.domain {
        let domain = domain
            .find(cx)
            .await?
            .filter(|domain| domain.enabled)
            .ok_or_else(refused)?;
        let roles = roles_at(cx, &proof.user.id, &Place::domain(domain.id.as_str())).await?;
        let scope = Scope::Domain {
            id: DomainId(domain.id.0),
            name: domain.name,
        };
        return with_roles(cx, scope, &roles).ok_or_else(refused);
    }
    if asked.system.as_ref().is_some_and(|system| system.all) {
        let roles = roles_at(cx, &proof.user.id, &Place::system()).await?;
        return with_roles(cx, Scope::System, &roles).ok_or_else(refused);
    }
    if let Some(trust) = &asked.trust {
        return by_trust(cx, proof, &trust.id).await;
    }
    Ok(Granted::unscoped())
}

/// The user's default project where it gives roles, else nothing.
async fn default_scope(cx: &Cx, proof: &Proof) -> Result<Granted, Fault> {
    let Some(id) = &proof.user.default_project_id else {
        return Ok(Granted::unscoped());
    };
    let Some(project) = store::projects::get(cx.db(), id.as_str()).await? else {
        return Ok(Granted::unscoped());
    };
    let granted = on_project(cx, &proof.user.id, &project).await?;
    Ok(granted.unwrap_or_else(Granted::unscoped))
}

/// The ids of the roles that a user has at a place, directly, by groups, by inheritance and by implication.
pub(crate) async fn roles_at(
    cx: &Cx,
    user_id: &UserId,
    place: &Place,
) -> Result<BTreeSet<String>, Fault> {
    let assignments = store::assignments::of_user(cx.db(), user_id.as_str()).await?;
    Ok(cx.snapshot().implies.effective(place, &assignments))
}

/// The ids of the roles that a user has on a project, inside a transaction that relies on them.
pub(crate) async fn roles_within(
    cx: &Cx,
    tx: &mut Tx,
    user_id: &UserId,
    project_id: &ProjectId,
) -> Result<BTreeSet<String>, Fault> {
    let place = store::projects::place_in(tx, project_id.as_str()).await?;
    let assignments = store::assignments::of_user_in(tx, user_id.as_str()).await?;
    Ok(cx.snapshot().implies.effective(&place, &assignments))
}

/// The scope of a project that is enabled and whose domain is; none otherwise.
async fn project_scope(cx: &Cx, project: &Project) -> Result<Option<Scope>, Fault> {
    if !project.enabled {
        return Ok(None);
    }
    // A domain scoped to as a project is its own domain.
    let domain = match &project.domain_id {
        Some(domain_id) => store::projects::get(cx.db(), domain_id.as_str()).await?,
        None => Some(project.clone()),
    };
    Ok(domain
        .filter(|domain| domain.enabled)
        .map(|domain| Scope::Project {
            id: project.id.clone(),
            name: project.name.clone(),
            domain_id: DomainId(domain.id.0),
            domain_name: domain.name,
            is_domain: project.is_domain,
        }))
}

/// The roles of a user on a project; none without any, or where it is disabled.
pub(crate) async fn on_project(
    cx: &Cx,
    user_id: &UserId,
    project: &Project,
) -> Result<Option<Granted>, Fault> {
    let Some(scope) = project_scope(cx, project).await? else {
        return Ok(None);
    };
    let place = store::projects::place(cx.db(), project).await?;
    let roles = roles_at(cx, user_id, &place).await?;
    Ok(with_roles(cx, scope, &roles))
}

/// None without a role that may stand in a token.
fn with_roles(cx: &Cx, scope: Scope, roles: &BTreeSet<String>) -> Option<Granted> {
    let roles = cx.snapshot().names(roles);
    (!roles.is_empty()).then_some(Granted {
        scope,
        roles,
        trust: None,
    })
}

/// An application credential has its project and at most its roles, of which only those count that the user still has.
async fn of_app(cx: &Cx, proof: &Proof, asked: Option<&ScopeBody>) -> Result<Granted, Fault> {
    let refused = || unauthorized(cx);
    let (app, _) = proof.app.as_ref().ok_or_else(refused)?;
    if let Some(asked) = asked {
        let project = match &asked.project {
            Some(project) => project.find(cx).await?,
            None => None,
        };
        if project.is_none_or(|project| project.id != app.project_id) {
            return Err(refused());
        }
    }
    let project = store::projects::get(cx.db(), app.project_id.as_str()).await?;
    let project = project.ok_or_else(refused)?;
    let scope = project_scope(cx, &project).await?.ok_or_else(refused)?;
    let place = store::projects::place(cx.db(), &project).await?;
    let has = roles_at(cx, &proof.user.id, &place).await?;
    let snapshot = cx.snapshot();
    let lent = app
        .role_ids
        .iter()
        .flat_map(|id| snapshot.implies.closure(id));
    let roles: BTreeSet<String> = lent.filter(|id| has.contains(id)).collect();
    with_roles(cx, scope, &roles).ok_or_else(refused)
}

/// A trust gives its trustee roles that the trustor must still have.
async fn by_trust(cx: &Cx, proof: &Proof, id: &str) -> Result<Granted, Fault> {
    let refused = || unauthorized(cx);
    let forbidden = || Fault::forbidden("The trust cannot be used by this user, or not any more.");
    let trust = store::trusts::get(cx.db(), id).await?;
    let trust = trust
        .filter(|trust| !trust.expired(cx.now()))
        .ok_or_else(refused)?;
    if trust.trustee_user_id != proof.user.id {
        return Err(forbidden());
    }
    let trustor = store::users::get(cx.db(), trust.trustor_user_id.as_str()).await?;
    let trustor = trustor.filter(|user| user.enabled).ok_or_else(forbidden)?;
    let trustor_domain = store::projects::get(cx.db(), trustor.domain_id.as_str()).await?;
    let trustor_domain = trustor_domain
        .filter(|domain| domain.enabled)
        .ok_or_else(forbidden)?;
    let project_id = trust.project_id.as_ref().ok_or_else(forbidden)?;
    let project = store::projects::get(cx.db(), project_id.as_str()).await?;
    let project = project.ok_or_else(refused)?;
    let scope = project_scope(cx, &project).await?.ok_or_else(refused)?;
    let place = store::projects::place(cx.db(), &project).await?;
    let has = roles_at(cx, &trustor.id, &place).await?;
    if !trust.role_ids.iter().all(|id| has.contains(id)) {
        return Err(forbidden());
    }
    let snapshot = cx.snapshot();
    let lent = trust
        .role_ids
        .iter()
        .flat_map(|id| snapshot.implies.closure(id))
        .collect();
    let mut granted = with_roles(cx, scope, &lent).ok_or_else(forbidden)?;
    if trust.remaining_uses.is_some() {
        let mut tx = cx.db().guarded().await?;
        if !store::trusts::consume(&mut tx, &trust.id).await? {
            return Err(Fault::forbidden(format!(
                "No remaining uses for trust: {id}."
            )));
        }
        tx.commit().await?;
    }
    let reference = TrustRef {
        id: trust.id,
        trustor_id: trust.trustor_user_id,
        trustee_id: trust.trustee_user_id,
        impersonation: trust.impersonation,
    };
    granted.trust = Some((reference, trustor, trustor_domain));
    Ok(granted)
}
