//! Giving and taking roles: users and groups, on projects, domains and the system, inherited or not.
//!
//! The path says everything, so four functions serve all the rows of `grant_rows.rs`.

use nephos_api::{Empty, Endpoint, Fault, Json, Params, Req};
use nephos_auth::{Resource, Revocation, Rule, Target};
use nephos_types::{DomainId, ProjectId, UserId};
use serde::{Deserialize, Deserializer};

use super::app_credentials::remove_without_roles;
use super::fault::{not_found, require};
use super::list;
use super::shape::Many;
use crate::model::assignment::{ActorKind, Assignment, SYSTEM, TargetKind};
use crate::model::directory::{Project, Role};
use crate::{Cx, Svc, rules, store};

/// Whatever of these the path names.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct GrantPath {
    #[serde(default, deserialize_with = "named")]
    project_id: Option<String>,
    #[serde(default, deserialize_with = "named")]
    domain_id: Option<String>,
    #[serde(default, deserialize_with = "named")]
    user_id: Option<String>,
    #[serde(default, deserialize_with = "named")]
    group_id: Option<String>,
    #[serde(default, deserialize_with = "named")]
    role_id: Option<String>,
}

/// A name that the path has: its value is a text, never nothing.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// The grant that a path speaks of, loaded.
struct Grant {
    actor: (ActorKind, String),
    target: (TargetKind, String),
    role: Option<Role>,
    inherited: bool,
}

/// What is done with it.
#[derive(Clone, Copy, PartialEq)]
enum Verb {
    List,
    Check,
    Create,
    Revoke,
}

impl Grant {
    fn assignment(&self) -> Result<Assignment, Fault> {
        let role = self.role.as_ref().ok_or_else(|| not_found("role", ""))?;
        Ok(Assignment {
            actor_kind: self.actor.0,
            actor_id: self.actor.1.clone(),
            target_kind: self.target.0,
            target_id: self.target.1.clone(),
            role_id: role.id.clone(),
            inherited: self.inherited,
        })
    }
}

/// Loads what the path names, asks the rule with all of it, and only then says what is missing.
async fn load<E>(cx: &Cx, req: &Req<E>, verb: Verb) -> Result<Grant, Fault>
where
    E: Endpoint<Service = Svc, Path = GrantPath>,
{
    let path = &req.path;
    let mut target = Target::new();
    let mut missing = None;
    let mut seen = |found: bool, kind: &str, id: &str| {
        if !found && missing.is_none() {
            missing = Some(not_found(kind, id));
        }
    };
    let actor = if let Some(id) = &path.user_id {
        let user = store::users::get(cx.db(), id).await?;
        seen(user.is_some(), "user", id);
        user.iter().for_each(|user| user.target(&mut target));
        (ActorKind::User, id.clone())
    } else {
        let id = path.group_id.clone().unwrap_or_default();
        let group = store::groups::get(cx.db(), &id).await?;
        seen(group.is_some(), "group", &id);
        group.iter().for_each(|group| group.target(&mut target));
        (ActorKind::Group, id)
    };
    let place = if let Some(id) = &path.project_id {
        let project = store::projects::get(cx.db(), id).await?;
        seen(project.is_some(), "project", id);
        project
            .iter()
            .for_each(|project| project.target(&mut target));
        (TargetKind::Project, id.clone())
    } else if let Some(id) = &path.domain_id {
        let domain = store::projects::get(cx.db(), id)
            .await?
            .and_then(Project::into_domain);
        seen(domain.is_some(), "domain", id);
        domain.iter().for_each(|domain| domain.target(&mut target));
        (TargetKind::Domain, id.clone())
    } else {
        (TargetKind::System, SYSTEM.to_owned())
    };
    let mut role = None;
    if let Some(id) = &path.role_id {
        role = store::roles::get(cx.db(), id).await?;
        seen(role.is_some(), "role", id);
        role.iter().for_each(|role: &Role| role.target(&mut target));
    }
    ask(cx, verb, (actor.0, place.0), &target)?;
    if let Some(fault) = missing {
        return Err(fault);
    }
    let inherited = E::INFO.path.contains("inherited_to_projects");
    let grant = Grant {
        actor,
        target: place,
        role,
        inherited,
    };
    if verb == Verb::Create {
        check_domains(cx, &grant).await?;
    }
    Ok(grant)
}

fn ask(cx: &Cx, verb: Verb, kinds: (ActorKind, TargetKind), target: &Target) -> Result<(), Fault> {
    fn with<R: Rule>(cx: &Cx, rule: R, target: &Target) -> Result<(), Fault> {
        require(cx, rule, target)
    }
    match (kinds.1, kinds.0, verb) {
        (TargetKind::Project | TargetKind::Domain, _, Verb::List) => {
            with(cx, rules::ListGrants, target)
        }
        (TargetKind::Project | TargetKind::Domain, _, Verb::Check) => {
            with(cx, rules::CheckGrant, target)
        }
        (TargetKind::Project | TargetKind::Domain, _, Verb::Create) => {
            with(cx, rules::CreateGrant, target)
        }
        (TargetKind::Project | TargetKind::Domain, _, Verb::Revoke) => {
            with(cx, rules::RevokeGrant, target)
        }
        (TargetKind::System, ActorKind::User, Verb::List) => {
            with(cx, rules::ListSystemGrantsForUser, target)
        }
        (TargetKind::System, ActorKind::User, Verb::Check) => {
            with(cx, rules::CheckSystemGrantForUser, target)
        }
        (TargetKind::System, ActorKind::User, Verb::Create) => {
            with(cx, rules::CreateSystemGrantForUser, target)
        }
        (TargetKind::System, ActorKind::User, Verb::Revoke) => {
            with(cx, rules::RevokeSystemGrantForUser, target)
        }
        (TargetKind::System, ActorKind::Group, Verb::List) => {
            with(cx, rules::ListSystemGrantsForGroup, target)
        }
        (TargetKind::System, ActorKind::Group, Verb::Check) => {
            with(cx, rules::CheckSystemGrantForGroup, target)
        }
        (TargetKind::System, ActorKind::Group, Verb::Create) => {
            with(cx, rules::CreateSystemGrantForGroup, target)
        }
        (TargetKind::System, ActorKind::Group, Verb::Revoke) => {
            with(cx, rules::RevokeSystemGrantForGroup, target)
        }
    }
}

/// A role of a domain is given in its own domain only.
async fn check_domains(cx: &Cx, grant: &Grant) -> Result<(), Fault> {
    let Some(domain) = grant.role.as_ref().and_then(|role| role.domain_id.as_ref()) else {
        return Ok(());
    };
    let place = match grant.target.0 {
        TargetKind::Domain => Some(grant.target.1.clone()),
        TargetKind::Project => {
            let project = store::projects::get(cx.db(), &grant.target.1).await?;
            project
                .and_then(|project| project.domain_id)
                .map(|domain| domain.0)
        }
        TargetKind::System => None,
    };
    if place.as_deref() == Some(domain.as_str()) {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "Project or domain is not in the domain {domain} of the role."
    )))
}

/// Gives the role.
pub(crate) async fn create<E>(cx: Cx, req: Req<E>) -> Result<Empty, Fault>
where
    E: Endpoint<Service = Svc, Path = GrantPath>,
{
    let grant = load(&cx, &req, Verb::Create).await?;
    let mut tx = cx.write().await?;
    store::assignments::insert(&mut tx, &grant.assignment()?).await?;
    tx.commit().await?;
    Ok(Empty)
}

/// Says whether the role is given.
pub(crate) async fn check<E>(cx: Cx, req: Req<E>) -> Result<Empty, Fault>
where
    E: Endpoint<Service = Svc, Path = GrantPath>,
{
    let grant = load(&cx, &req, Verb::Check).await?;
    let wanted = grant.assignment()?;
    let given = store::assignments::list(cx.db(), Some(&wanted.actor_id)).await?;
    if given.contains(&wanted) {
        Ok(Empty)
    } else {
        Err(not_given(&wanted))
    }
}

fn not_given(wanted: &Assignment) -> Fault {
    Fault::not_found(format!(
        "Could not find role assignment with role: {}, user or group: {}, project, domain, or system: {}.",
        wanted.role_id, wanted.actor_id, wanted.target_id
    ))
}

/// Lists the roles that are given.
pub(crate) async fn list<E>(cx: Cx, req: Req<E>) -> Result<Json<Many<Role>>, Fault>
where
    E: Endpoint<Service = Svc, Path = GrantPath, Query = Params>,
{
    let grant = load(&cx, &req, Verb::List).await?;
    let given = store::assignments::list(cx.db(), Some(&grant.actor.1)).await?;
    let snapshot = cx.snapshot();
    let roles = given
        .into_iter()
        .filter(|given| {
            (given.target_kind, &given.target_id) == (grant.target.0, &grant.target.1)
                && given.actor_kind == grant.actor.0
                && given.inherited == grant.inherited
        })
        .filter_map(|given| snapshot.roles.get(&given.role_id).cloned())
        .collect();
    let path = own_path(E::INFO.path, &req.path);
    list::reply(&cx, (&path, &req.query), &["name", "domain_id"], roles)
}

fn own_path(pattern: &str, path: &GrantPath) -> String {
    let mut own = pattern.to_owned();
    for (name, value) in [
        ("{project_id}", &path.project_id),
        ("{domain_id}", &path.domain_id),
        ("{user_id}", &path.user_id),
        ("{group_id}", &path.group_id),
    ] {
        own = own.replace(name, value.as_deref().unwrap_or_default());
    }
    own
}

/// Takes the role; tokens that may carry it end, and so do the user's application credentials there.
pub(crate) async fn revoke<E>(cx: Cx, req: Req<E>) -> Result<Empty, Fault>
where
    E: Endpoint<Service = Svc, Path = GrantPath>,
{
    let grant = load(&cx, &req, Verb::Revoke).await?;
    let assignment = grant.assignment()?;
    let mut tx = cx.write().await?;
    if !store::assignments::remove(&mut tx, &assignment).await? {
        return Err(not_given(&assignment));
    }
    let (kind, actor) = (assignment.actor_kind, &assignment.actor_id);
    let users = match kind {
        ActorKind::User => vec![actor.clone()],
        ActorKind::Group => store::groups::members(&mut tx, actor).await?,
    };
    let mut ends: Vec<Revocation> = users
        .into_iter()
        .map(|user| tokens_with(&cx, &assignment, UserId(user)))
        .collect();
    let here = assignment.target_kind == TargetKind::Project && !assignment.inherited;
    let apps = store::access::apps_of_actor(&mut tx, kind, actor).await?;
    let (here, elsewhere): (Vec<_>, Vec<_>) = apps
        .into_iter()
        .partition(|app| here && app.project_id.as_str() == assignment.target_id);
    for app in here {
        store::access::remove_app(&mut tx, &app.id).await?;
    }
    ends.extend(remove_without_roles(&cx, &mut tx, elsewhere, None).await?);
    cx.commit_revoking(tx, ends).await?;
    Ok(Empty)
}

/// The tokens of a user that may carry the role: those scoped to the target; all of them where it is inherited.
fn tokens_with(cx: &Cx, assignment: &Assignment, user: UserId) -> Revocation {
    let mut revocation = cx.revocation();
    revocation.user_id = Some(user);
    if assignment.inherited {
        return revocation;
    }
    match assignment.target_kind {
        TargetKind::Project => {
            revocation.project_id = Some(ProjectId(assignment.target_id.clone()))
        }
        TargetKind::Domain => {
            revocation.domain_scope_id = Some(DomainId(assignment.target_id.clone()));
        }
        TargetKind::System => revocation.system = true,
    }
    revocation
}
