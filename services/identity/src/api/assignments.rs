//! The list of role assignments, as given or with everything that follows from them.

use std::collections::{BTreeMap, BTreeSet};

use nephos_api::{Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_types::DomainId;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::fault::require;
use super::list::{flag, is_true, with_query};
use super::shape::Links;
use crate::model::assignment::{ActorKind, Assignment, SYSTEM, TargetKind};
use crate::model::directory::{Group, Project, User};
use crate::store::snapshot::Snapshot;
use crate::{Cx, Svc, rules, store};

/// Role assignments.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssignmentsView {
    #[schema(value_type = Vec<Object>)]
    role_assignments: Vec<Value>,
    links: Links,
}

/// An assignment that is shown, and from what it follows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    assignment: Assignment,
    /// The project to which an inherited one goes.
    project_id: Option<String>,
    /// The group through which a user has it.
    group_id: Option<String>,
    /// The role that implies this one.
    prior_role_id: Option<String>,
}

impl From<Assignment> for Shown {
    fn from(assignment: Assignment) -> Self {
        Self {
            assignment,
            project_id: None,
            group_id: None,
            prior_role_id: None,
        }
    }
}

/// What the query narrows the list to.
struct Filter<'a> {
    user: Option<&'a str>,
    group: Option<&'a str>,
    role: Option<&'a str>,
    project: Option<&'a str>,
    domain: Option<&'a str>,
    system: bool,
    inherited: Option<bool>,
    effective: bool,
    subtree: bool,
}

impl<'a> Filter<'a> {
    fn read(query: &'a Params) -> Result<Self, Fault> {
        let filter = Self {
            user: query.get("user.id"),
            group: query.get("group.id"),
            role: query.get("role.id"),
            project: query.get("scope.project.id"),
            domain: query.get("scope.domain.id"),
            system: query.get("scope.system").is_some_and(is_true),
            inherited: query
                .get("scope.OS-INHERIT:inherited_to")
                .map(|to| to == "projects"),
            effective: flag(query, "effective"),
            subtree: flag(query, "include_subtree"),
        };
        let scopes = usize::from(filter.project.is_some())
            + usize::from(filter.domain.is_some())
            + usize::from(filter.system);
        let wrong = if scopes > 1 {
            Some("Specify at most one of scope.project.id, scope.domain.id and scope.system.")
        } else if filter.user.is_some() && filter.group.is_some() {
            Some("Specify a user or group, not both")
        } else if filter.effective && filter.group.is_some() {
            Some("Combining effective and group filter will always result in an empty list.")
        } else if filter.effective && filter.domain.is_some() && filter.inherited == Some(true) {
            Some(
                "Combining effective, domain and inherited filters will always result in an empty list.",
            )
        } else if filter.subtree && filter.project.is_none() {
            Some("scope.project.id must be specified if include_subtree is also specified")
        } else {
            None
        };
        wrong.map_or(Ok(filter), |why| Err(Fault::bad_request(why)))
    }
}

/// Everything that names and effects need, read once.
struct World {
    snapshot: std::sync::Arc<Snapshot>,
    users: BTreeMap<String, User>,
    groups: BTreeMap<String, Group>,
    projects: BTreeMap<String, Project>,
    members: BTreeMap<String, Vec<String>>,
}

impl World {
    async fn read(cx: &Cx) -> Result<Self, Fault> {
        let users = store::users::list(cx.db(), None, None).await?;
        let groups = store::groups::list(cx.db(), None, None).await?;
        let projects = store::projects::list(cx.db(), &store::projects::Filter::default()).await?;
        let mut members = BTreeMap::<_, Vec<_>>::new();
        for (group, user) in store::groups::memberships(cx.db()).await? {
            members.entry(group).or_default().push(user);
        }
        Ok(Self {
            snapshot: cx.snapshot(),
            users: users
                .into_iter()
                .map(|user| (user.id.0.clone(), user))
                .collect(),
            groups: groups
                .into_iter()
                .map(|group| (group.id.clone(), group))
                .collect(),
            projects: projects
                .into_iter()
                .map(|project| (project.id.0.clone(), project))
                .collect(),
            members,
        })
    }

    fn is_below(&self, id: &str, above: &str) -> bool {
        let mut at = self
            .projects
            .get(id)
            .and_then(|project| project.parent_id.as_deref());
        // As deep as the tree may be, with room; a cycle cannot be made.
        for _level in 0..64 {
            match at {
                Some(parent) if parent == above => return true,
                Some(parent) => {
                    at = self
                        .projects
                        .get(parent)
                        .and_then(|next| next.parent_id.as_deref());
                }
                None => return false,
            }
        }
        false
    }

    fn domain_name(&self, id: Option<&DomainId>) -> Value {
        let name = id
            .and_then(|id| self.projects.get(id.as_str()))
            .map(|domain| &domain.name);
        json!({"id": id, "name": name})
    }

    /// The assignment for each user of a group, each project that inherits, each role that is implied.
    fn effects(&self, given: &Assignment) -> Vec<Shown> {
        let users: Vec<(String, Option<String>)> = match given.actor_kind {
            ActorKind::User => vec![(given.actor_id.clone(), None)],
            ActorKind::Group => {
                let members = self.members.get(&given.actor_id).into_iter().flatten();
                members
                    .map(|user| (user.clone(), Some(given.actor_id.clone())))
                    .collect()
            }
        };
        let projects: Vec<Option<String>> = if given.inherited {
            let ids = self.projects.values().filter(|project| !project.is_domain);
            let below = ids.filter(|project| self.is_below(project.id.as_str(), &given.target_id));
            below.map(|project| Some(project.id.0.clone())).collect()
        } else {
            vec![None]
        };
        let mut all = Vec::new();
        for role_id in self.snapshot.implies.closure(&given.role_id) {
            let prior = (role_id != given.role_id).then(|| given.role_id.clone());
            for (user, group_id) in &users {
                for project_id in &projects {
                    let mut assignment = given.clone();
                    assignment.actor_kind = ActorKind::User;
                    assignment.actor_id.clone_from(user);
                    assignment.role_id.clone_from(&role_id);
                    all.push(Shown {
                        assignment,
                        project_id: project_id.clone(),
                        group_id: group_id.clone(),
                        prior_role_id: prior.clone(),
                    });
                }
            }
        }
        // Roles of domains are means to an end: what counts is what they imply.
        all.retain(|shown| {
            let role = self.snapshot.roles.get(&shown.assignment.role_id);
            role.is_some_and(|role| role.domain_id.is_none())
        });
        all
    }

    fn takes(&self, filter: &Filter<'_>, shown: &Shown) -> bool {
        let given = &shown.assignment;
        let is = |wanted: Option<&str>, kind: bool, id: &str| {
            wanted.is_none_or(|wanted| kind && wanted == id)
        };
        let project = shown.project_id.as_deref().unwrap_or(&given.target_id);
        let on_project = shown.project_id.is_some() || given.target_kind == TargetKind::Project;
        let on_domain = shown.project_id.is_none() && given.target_kind == TargetKind::Domain;
        is(
            filter.user,
            given.actor_kind == ActorKind::User,
            &given.actor_id,
        ) && is(
            filter.group,
            given.actor_kind == ActorKind::Group,
            &given.actor_id,
        ) && is(filter.role, true, &given.role_id)
            && is(filter.domain, on_domain, &given.target_id)
            && (!filter.system || given.target_kind == TargetKind::System)
            && filter
                .inherited
                .is_none_or(|inherited| given.inherited == inherited)
            && filter.project.is_none_or(|wanted| {
                on_project
                    && (project == wanted || filter.subtree && self.is_below(project, wanted))
            })
    }

    /// Whether the target of an assignment lies in a domain.
    fn in_domain(&self, shown: &Shown, domain: &str) -> bool {
        let id = shown
            .project_id
            .as_deref()
            .unwrap_or(&shown.assignment.target_id);
        id == domain || self.is_below(id, domain)
    }

    fn view(&self, cx: &Cx, shown: &Shown, names: bool) -> Value {
        let given = &shown.assignment;
        let mut view = Map::new();
        let mut role = json!({"id": given.role_id});
        let mut actor = json!({"id": given.actor_id});
        if names {
            if let Some(found) = self.snapshot.roles.get(&given.role_id) {
                put(&mut role, "name", json!(found.name));
                if let Some(domain) = &found.domain_id {
                    put(&mut role, "domain", self.domain_name(Some(domain)));
                }
            }
            let (name, domain) = match given.actor_kind {
                ActorKind::User => {
                    let user = self.users.get(&given.actor_id);
                    (
                        user.map(|user| &user.name),
                        user.map(|user| &user.domain_id),
                    )
                }
                ActorKind::Group => {
                    let group = self.groups.get(&given.actor_id);
                    (
                        group.map(|group| &group.name),
                        group.map(|group| &group.domain_id),
                    )
                }
            };
            put(&mut actor, "name", json!(name));
            put(&mut actor, "domain", self.domain_name(domain));
        }
        view.insert("role".to_owned(), role);
        view.insert(given.actor_kind.text().to_owned(), actor);
        view.insert("scope".to_owned(), self.scope(shown, names));
        view.insert("links".to_owned(), links(cx, shown));
        Value::Object(view)
    }

    fn scope(&self, shown: &Shown, names: bool) -> Value {
        let given = &shown.assignment;
        let id = shown.project_id.as_deref().unwrap_or(&given.target_id);
        let project = shown.project_id.is_some() || given.target_kind == TargetKind::Project;
        let mut place = json!({"id": id});
        if names && let Some(found) = self.projects.get(id) {
            put(&mut place, "name", json!(found.name));
            if project {
                put(
                    &mut place,
                    "domain",
                    self.domain_name(found.domain_id.as_ref()),
                );
            }
        }
        let mut scope = match (project, given.target_kind) {
            (true, _) => json!({"project": place}),
            (false, TargetKind::System) => json!({"system": {"all": true}}),
            (false, TargetKind::Domain | TargetKind::Project) => json!({"domain": place}),
        };
        if given.inherited {
            put(&mut scope, "OS-INHERIT:inherited_to", json!("projects"));
        }
        scope
    }
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// Where the assignment was made, the membership and the prior role from which it follows.
fn links(cx: &Cx, shown: &Shown) -> Value {
    let given = &shown.assignment;
    let (actors, actor) = match (&shown.group_id, given.actor_kind) {
        (Some(group), _) => ("groups", group),
        (None, ActorKind::Group) => ("groups", &given.actor_id),
        (None, ActorKind::User) => ("users", &given.actor_id),
    };
    let role = shown.prior_role_id.as_ref().unwrap_or(&given.role_id);
    let target = match given.target_kind {
        TargetKind::Project => format!("projects/{}", given.target_id),
        TargetKind::Domain => format!("domains/{}", given.target_id),
        TargetKind::System => SYSTEM.to_owned(),
    };
    let (before, after) = if given.inherited {
        ("OS-INHERIT/", "/inherited_to_projects")
    } else {
        ("", "")
    };
    let path = format!("/v3/{before}{target}/{actors}/{actor}/roles/{role}{after}");
    let mut links = json!({"assignment": cx.url(&path)});
    if let Some(group) = &shown.group_id {
        let path = format!("/v3/groups/{group}/users/{}", given.actor_id);
        put(&mut links, "membership", json!(cx.url(&path)));
    }
    if let Some(prior) = &shown.prior_role_id {
        put(
            &mut links,
            "prior_role",
            json!(cx.url(&format!("/v3/roles/{prior}"))),
        );
    }
    links
}

endpoint! {
    /// List role assignments.
    ListRoleAssignments: GET "/v3/role_assignments" => 200,
    policy: Loaded<rules::ListRoleAssignments>,
    query: Params,
    reply: Json<AssignmentsView>,
    handler: list_role_assignments,
}
async fn list_role_assignments(
    cx: Cx,
    req: Req<ListRoleAssignments>,
) -> Reply<ListRoleAssignments> {
    let filter = Filter::read(&req.query)?;
    let own = cx.caller.domain_id().map(DomainId::as_str);
    let mut target = Target::new().with("target.domain_id", own);
    if filter.subtree {
        let project = match filter.project {
            Some(id) => store::projects::get(cx.db(), id).await?,
            None => None,
        };
        // A tree may be read by who may read the domain that it stands in.
        target.set(
            "target.domain_id",
            project.and_then(|project| project.domain_id).as_ref(),
        );
        require(&cx, rules::ListRoleAssignmentsForTree, &target)?;
    } else {
        require(&cx, rules::ListRoleAssignments, &target)?;
    }
    let given = store::assignments::list(cx.db(), None).await?;
    let world = World::read(&cx).await?;
    let shown: BTreeSet<Shown> = if filter.effective {
        given
            .iter()
            .flat_map(|given| world.effects(given))
            .collect()
    } else {
        given.into_iter().map(Shown::from).collect()
    };
    let names = flag(&req.query, "include_names");
    let role_assignments = shown
        .iter()
        .filter(|shown| world.takes(&filter, shown))
        .filter(|shown| own.is_none_or(|own| world.in_domain(shown, own)))
        .map(|shown| world.view(&cx, shown, names))
        .collect();
    let links = Links {
        own: cx.url(&with_query("/v3/role_assignments", &req.query, None)),
        previous: None,
        next: None,
    };
    Ok(Json(AssignmentsView {
        role_assignments,
        links,
    }))
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![ListRoleAssignments]
}
