//! Projects.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Authorized, Rule, Target};
use nephos_runtime::ids;
use nephos_types::{DomainId, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::auth::{own_domain, projects_of};
use super::fault::{not_found, reach, require, taken};
use super::list::{self, flag, is_true};
use super::shape::{Keyed, Linked, Many, Named, One, SelfLink, Under};
use super::users::{clean, merge_options};
use crate::model::directory::Project;
use crate::model::extra::{Extra, Name};
use crate::{Cx, Svc, rules, store};

/// So many levels of projects below a domain, as in Keystone.
const MAX_DEPTH: usize = 5;
const MAX_TAGS: usize = 80;

impl Named for Project {
    const ONE: &'static str = "project";
    const MANY: &'static str = "projects";
    const PATH: &'static str = "/v3/projects";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct ProjectPath {
    pub project_id: String,
}

/// A project to be: `name` is needed to create one.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ProjectBody {
    #[serde(default)]
    name: Option<Name<64>>,
    #[serde(default)]
    domain_id: Option<String>,
    #[serde(default)]
    parent_id: Option<String>,
    #[serde(default)]
    is_domain: Option<bool>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    options: Option<Extra>,
    #[serde(flatten)]
    extra: Extra,
}

impl Keyed for ProjectBody {
    const KEY: &'static str = "project";
}

pub(crate) const RESERVED: [&str; 4] = ["id", "links", "parents", "subtree"];

/// Tags as they are kept: each once, in order.
pub(crate) fn check_tags(tags: Vec<String>) -> Result<Vec<String>, Fault> {
    let mut sorted = tags;
    sorted.sort_unstable();
    let count = sorted.len();
    sorted.dedup();
    let bad = |tag: &String| {
        let length = tag.chars().count();
        !(1..=255).contains(&length) || tag.contains(['/', ','])
    };
    if count > MAX_TAGS || sorted.len() != count || sorted.iter().any(bad) {
        return Err(Fault::bad_request(format!(
            "Invalid tags: at most {MAX_TAGS}, each once, of 1 to 255 characters without / and ,."
        )));
    }
    Ok(sorted)
}

endpoint! {
    /// Create a project.
    CreateProject: POST "/v3/projects" => 201,
    policy: Loaded<rules::CreateProject>,
    body: Json<Under<ProjectBody>>,
    reply: Json<One<Project>>,
    handler: create_project,
}
async fn create_project(cx: Cx, req: Req<CreateProject>) -> Reply<CreateProject> {
    let Json(Under(mut body)) = req.body;
    let is_domain = body.is_domain.unwrap_or_default();
    let asked = body.domain_id.clone();
    let domain = match (&asked, is_domain) {
        (Some(domain), _) => Some(domain.clone()),
        (None, true) => None,
        (None, false) => Some(own_domain(&cx).0),
    };
    let target = Target::new().with("target.project.domain_id", domain.as_deref());
    require(&cx, rules::CreateProject, &target)?;
    let name = body
        .name
        .take()
        .ok_or_else(|| Fault::bad_request("'name' is a required property"))?;
    let (domain_id, parent_id) = place(&cx, &body, asked.as_deref()).await?;
    let mut project = Project {
        id: ProjectId(ids::hex()),
        name: name.0,
        domain_id: domain_id.map(DomainId),
        parent_id,
        is_domain,
        enabled: body.enabled.unwrap_or(true),
        description: body.description.unwrap_or_default(),
        options: Extra::default(),
        tags: check_tags(body.tags.unwrap_or_default())?,
        extra: body.extra,
    };
    clean(&mut project.extra, &RESERVED, None)?;
    merge_options(
        &mut project.options,
        body.options.unwrap_or_default(),
        (&["immutable"], &[]),
    )?;
    let mut tx = cx.write().await?;
    if let Some(parent) = &project.parent_id
        && let Some(disabled) = store::projects::disabled_from(&mut tx, parent).await?
    {
        return Err(Fault::bad_request(format!(
            "cannot create a project in a branch containing a disabled project: {disabled}"
        )));
    }
    let inserted = store::projects::insert(&mut tx, &project).await;
    inserted.map_err(|error| taken(error, "project", same_name(&project)))?;
    tx.commit().await?;
    Ok(Json(One::new(&cx, project)))
}

pub(crate) fn same_name(project: &Project) -> String {
    match &project.domain_id {
        Some(domain) => format!("name {} at domain ID {domain}", project.name),
        None => format!("name {}", project.name),
    }
}

/// The domain and the parent of a new project.
async fn place(
    cx: &Cx,
    body: &ProjectBody,
    asked: Option<&str>,
) -> Result<(Option<String>, Option<String>), Fault> {
    if body.is_domain.unwrap_or_default() {
        if asked.is_some() || body.parent_id.is_some() {
            return Err(Fault::bad_request(
                "A project that acts as a domain has neither a domain_id nor a parent_id.",
            ));
        }
        return Ok((None, None));
    }
    let own = own_domain(cx).0;
    let parent_id = body.parent_id.as_deref().or(asked).unwrap_or(&own);
    let parent = store::projects::get(cx.db(), parent_id).await?;
    let parent = parent.ok_or_else(|| {
        let kind = if body.parent_id.is_some() {
            "project"
        } else {
            "domain"
        };
        not_found(kind, parent_id)
    })?;
    let domain = match &parent.domain_id {
        Some(domain) => domain.0.clone(),
        None => parent.id.0.clone(),
    };
    if asked.is_some_and(|asked| asked != domain) {
        return Err(Fault::bad_request(
            "The domain_id differs from the domain of the parent project.",
        ));
    }
    if body.parent_id.is_none() && !parent.is_domain {
        return Err(not_found("domain", parent_id));
    }
    if store::projects::above(cx.db(), parent_id).await?.len() >= MAX_DEPTH {
        return Err(Fault::forbidden(format!(
            "Max hierarchy depth reached for {parent_id} branch: {MAX_DEPTH} levels."
        )));
    }
    Ok((Some(domain), Some(parent.id.0)))
}

endpoint! {
    /// List projects.
    ListProjects: GET "/v3/projects" => 200,
    policy: Loaded<rules::ListProjects>,
    query: Params,
    reply: Json<Many<Project>>,
    handler: list_projects,
}
async fn list_projects(cx: Cx, req: Req<ListProjects>) -> Reply<ListProjects> {
    let own = cx.caller.domain_id().map(DomainId::as_str);
    let query = &req.query;
    let asked = query.get("domain_id");
    let target = Target::new().with("target.domain_id", asked.or(own));
    require(&cx, rules::ListProjects, &target)?;
    let is_domain = query.get("is_domain").is_some_and(is_true);
    let filter = store::projects::Filter {
        domain_id: if is_domain { asked } else { asked.or(own) },
        parent_id: query.get("parent_id"),
        name: query.get("name"),
        is_domain: Some(is_domain),
        ids: None,
    };
    let by = ["domain_id", "parent_id", "name", "is_domain"];
    let narrowed = list::narrow(
        store::projects::query(&filter),
        ("id", "id >= {}"),
        query,
        &by,
    );
    let mut projects = store::projects::fetch(cx.db(), &narrowed).await?;
    projects.retain(|project| {
        let domain = project
            .domain_id
            .as_ref()
            .map_or(project.id.as_str(), DomainId::as_str);
        own.is_none_or(|own| own == domain) && tags_fit(query, &project.tags)
    });
    let attributes = ["name", "domain_id", "enabled", "parent_id"];
    list::reply(&cx, ("/v3/projects", query), &attributes, projects)
}

fn tags_fit(query: &Params, tags: &[String]) -> bool {
    let has = |tag: &str| tags.iter().any(|own| own == tag);
    let all = |list: &str| list.split(',').all(has);
    let any = |list: &str| list.split(',').any(has);
    query.get("tags").is_none_or(all)
        && query.get("tags-any").is_none_or(any)
        && query.get("not-tags").is_none_or(|list| !all(list))
        && query.get("not-tags-any").is_none_or(|list| !any(list))
}

pub(super) async fn load<R: Rule>(
    cx: &Cx,
    rule: R,
    id: &str,
) -> Result<Authorized<Project, R>, Fault> {
    reach(cx, rule, (id, store::projects::get(cx.db(), id).await?))
}

/// A project with its relatives, where they are asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectReply {
    project: Relatives,
}

#[derive(Debug, Serialize, ToSchema)]
struct Relatives {
    #[serde(flatten)]
    project: Project,
    links: SelfLink,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    parents: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    subtree: Option<Value>,
}

endpoint! {
    /// Show a project.
    ShowProject: GET "/v3/projects/{project_id}" => 200,
    policy: Loaded<rules::GetProject>,
    path: ProjectPath,
    query: Params,
    reply: Json<ProjectReply>,
    handler: show_project,
}
async fn show_project(cx: Cx, req: Req<ShowProject>) -> Reply<ShowProject> {
    let project = load(&cx, rules::GetProject, &req.path.project_id)
        .await?
        .into_inner();
    let asked = |key: &str| flag(&req.query, key);
    for kind in ["parents", "subtree"] {
        if asked(&format!("{kind}_as_list")) && asked(&format!("{kind}_as_ids")) {
            return Err(Fault::bad_request(format!(
                "Cannot use {kind}_as_list and {kind}_as_ids query params at the same time."
            )));
        }
    }
    let mut parents = None;
    if asked("parents_as_list") {
        let above = store::projects::above(cx.db(), project.id.as_str()).await?;
        parents = Some(as_list(&cx, above).await?);
    } else if asked("parents_as_ids") {
        let above = store::projects::above(cx.db(), project.id.as_str()).await?;
        parents = Some(
            above
                .into_iter()
                .rev()
                .fold(Value::Null, |inner, id| json!({id: inner})),
        );
    }
    let mut subtree = None;
    if asked("subtree_as_list") {
        let below = store::projects::below(cx.db(), project.id.as_str()).await?;
        subtree = Some(as_list(&cx, below).await?);
    } else if asked("subtree_as_ids") {
        let below = store::projects::below(cx.db(), project.id.as_str()).await?;
        let filter = store::projects::Filter {
            ids: Some(below),
            ..Default::default()
        };
        let all = store::projects::list(cx.db(), &filter).await?;
        subtree = Some(nest(&all, project.id.as_str()));
    }
    let Linked {
        item: project,
        links,
    } = Linked::new(&cx, project);
    Ok(Json(ProjectReply {
        project: Relatives {
            project,
            links,
            parents,
            subtree,
        },
    }))
}

/// Only those on which the caller has a role, as Keystone shows them; domains are no parents.
async fn as_list(cx: &Cx, ids: Vec<String>) -> Result<Value, Fault> {
    let own = projects_of(cx, cx.caller.user_id.as_str()).await?;
    let mine = own
        .into_iter()
        .filter(|project| ids.contains(&project.id.0));
    let list: Vec<Value> = mine
        .map(|project| json!({"project": Linked::new(cx, project)}))
        .collect();
    Ok(Value::Array(list))
}

fn nest(all: &[Project], id: &str) -> Value {
    let children = all
        .iter()
        .filter(|project| project.parent_id.as_deref() == Some(id));
    let map: serde_json::Map<String, Value> = children
        .map(|child| (child.id.0.clone(), nest(all, child.id.as_str())))
        .collect();
    if map.is_empty() {
        Value::Null
    } else {
        Value::Object(map)
    }
}

endpoint! {
    /// Change a project.
    UpdateProject: PATCH "/v3/projects/{project_id}" => 200,
    policy: Loaded<rules::UpdateProject>,
    path: ProjectPath,
    body: Json<Under<ProjectBody>>,
    reply: Json<One<Project>>,
    handler: update_project,
}
async fn update_project(cx: Cx, req: Req<UpdateProject>) -> Reply<UpdateProject> {
    let before = load(&cx, rules::UpdateProject, &req.path.project_id)
        .await?
        .into_inner();
    let mut project = before.clone();
    let Json(Under(mut body)) = req.body;
    if body.parent_id.is_some() && body.parent_id != project.parent_id {
        return Err(Fault::forbidden("Update of `parent_id` is not allowed."));
    }
    let domain = project.domain_id.as_ref().map(DomainId::as_str);
    if body.domain_id.is_some() && body.domain_id.as_deref() != domain {
        return Err(Fault::bad_request(
            "The domain of a project cannot be changed.",
        ));
    }
    if body
        .is_domain
        .is_some_and(|is_domain| is_domain != project.is_domain)
    {
        return Err(Fault::bad_request("Update of `is_domain` is not allowed."));
    }
    clean(&mut body.extra, &RESERVED, Some(project.id.as_str()))?;
    let was_immutable = project.immutable();
    merge_options(
        &mut project.options,
        body.options.unwrap_or_default(),
        (&["immutable"], &[]),
    )?;
    if was_immutable && project.immutable() {
        return Err(immutable("project", project.id.as_str()));
    }
    project.name = body.name.map_or(project.name, |name| name.0);
    project.enabled = body.enabled.unwrap_or(project.enabled);
    project.description = body.description.unwrap_or(project.description);
    if let Some(tags) = body.tags {
        project.tags = check_tags(tags)?;
    }
    project.extra.merge(body.extra);
    save(&cx, &before, &project).await?;
    Ok(Json(One::new(&cx, project)))
}

pub(crate) fn immutable(kind: &str, id: &str) -> Fault {
    Fault::forbidden(format!(
        "Unable to change or delete immutable {kind}: `{id}`. Set its option immutable to false before."
    ))
}

/// Writes a project or domain; one that is disabled ends its tokens. Nothing that is enabled stands below a project that
/// is not.
pub(crate) async fn save(cx: &Cx, before: &Project, project: &Project) -> Result<(), Fault> {
    let mut ends = Vec::new();
    let mut tx = cx.write().await?;
    if before.enabled && !project.enabled {
        ends.push(ends_tokens_of(cx, project));
        let id = project.id.as_str();
        if !project.is_domain && store::projects::count_enabled_below(&mut tx, id).await? > 0 {
            return Err(Fault::forbidden(format!(
                "Cannot disable project {id} since its subtree contains enabled projects."
            )));
        }
    }
    if let Some(parent) = &project.parent_id
        && !before.enabled
        && project.enabled
        && store::projects::disabled_from(&mut tx, parent)
            .await?
            .is_some()
    {
        return Err(Fault::forbidden(format!(
            "Cannot enable project {} since it has disabled parents",
            project.id
        )));
    }
    let kind = if project.is_domain {
        "domain"
    } else {
        "project"
    };
    let updated = store::projects::update(&mut tx, before, project).await;
    updated.map_err(|error| taken(error, kind, same_name(project)))?;
    Ok(cx.commit_revoking(tx, ends).await?)
}

pub(crate) fn ends_tokens_of(cx: &Cx, project: &Project) -> nephos_auth::Revocation {
    let mut revocation = cx.revocation();
    if project.is_domain {
        revocation.domain_id = Some(DomainId(project.id.0.clone()));
    } else {
        revocation.project_id = Some(project.id.clone());
    }
    revocation
}

endpoint! {
    /// Remove a project.
    DeleteProject: DELETE "/v3/projects/{project_id}" => 204,
    policy: Loaded<rules::DeleteProject>,
    path: ProjectPath,
    reply: Empty,
    handler: delete_project,
}
async fn delete_project(cx: Cx, req: Req<DeleteProject>) -> Reply<DeleteProject> {
    let project = load(&cx, rules::DeleteProject, &req.path.project_id).await?;
    if project.is_domain {
        return Err(Fault::forbidden(
            "A project that acts as a domain is removed as a domain.",
        ));
    }
    if project.immutable() {
        return Err(immutable("project", project.id.as_str()));
    }
    let mut tx = cx.write().await?;
    store::projects::still(&mut tx, &project).await?;
    if store::projects::count_children(&mut tx, project.id.as_str()).await? > 0 {
        return Err(Fault::forbidden(format!(
            "Cannot delete the project {} since it is not a leaf in the hierarchy.",
            project.id
        )));
    }
    store::projects::remove(&mut tx, project.id.as_str()).await?;
    cx.commit_revoking(tx, vec![ends_tokens_of(&cx, &project)])
        .await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateProject,
        ListProjects,
        ShowProject,
        UpdateProject,
        DeleteProject,
    ]
}
