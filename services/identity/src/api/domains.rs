//! Domains.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Authorized, Rule, Target};
use nephos_runtime::ids;
use nephos_types::{DomainId, ProjectId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::fault::{not_found, reach, require, taken};
use super::federation::remove_providers_of;
use super::list;
use super::projects::{RESERVED, check_tags, ends_tokens_of, immutable, same_name, save};
use super::shape::{Keyed, Many, Named, One, Under};
use super::trusts::ended;
use super::users::{clean, merge_options};
use crate::model::directory::{Domain, Project};
use crate::model::extra::{Extra, Name, is_id};
use crate::{Cx, Svc, rules, store};

impl Named for Domain {
    const ONE: &'static str = "domain";
    const MANY: &'static str = "domains";
    const PATH: &'static str = "/v3/domains";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct DomainPath {
    domain_id: String,
}

/// A domain to be: `name` is needed to create one.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct DomainBody {
    #[serde(default)]
    name: Option<Name<64>>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    explicit_domain_id: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    options: Option<Extra>,
    #[serde(flatten)]
    extra: Extra,
}

impl Keyed for DomainBody {
    const KEY: &'static str = "domain";
}

endpoint! {
    /// Create a domain.
    CreateDomain: POST "/v3/domains" => 201,
    policy: Loaded<rules::CreateDomain>,
    body: Json<Under<DomainBody>>,
    reply: Json<One<Domain>>,
    handler: create_domain,
}
async fn create_domain(cx: Cx, req: Req<CreateDomain>) -> Reply<CreateDomain> {
    require(&cx, rules::CreateDomain, &Target::new())?;
    let Json(Under(body)) = req.body;
    let name = body
        .name
        .ok_or_else(|| Fault::bad_request("'name' is a required property"))?;
    let id = body.explicit_domain_id.unwrap_or_else(ids::hex);
    if !is_id(&id) {
        return Err(Fault::bad_request(
            "Domain ID does not conform to required UUID format.",
        ));
    }
    let mut project = Project {
        id: ProjectId(id),
        name: name.0,
        domain_id: None,
        parent_id: None,
        is_domain: true,
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
    let inserted = store::projects::insert(&mut tx, &project).await;
    inserted.map_err(|error| taken(error, "domain", same_name(&project)))?;
    tx.commit().await?;
    view(&cx, project)
}

fn view(cx: &Cx, project: Project) -> Result<Json<One<Domain>>, Fault> {
    let domain = project.into_domain();
    let domain = domain.ok_or_else(|| Fault::internal("The domain could not be shown."))?;
    Ok(Json(One::new(cx, domain)))
}

endpoint! {
    /// List domains.
    ListDomains: GET "/v3/domains" => 200,
    policy: Loaded<rules::ListDomains>,
    query: Params,
    reply: Json<Many<Domain>>,
    handler: list_domains,
}
async fn list_domains(cx: Cx, req: Req<ListDomains>) -> Reply<ListDomains> {
    let own = cx.caller.domain_id().map(DomainId::as_str);
    let target = Target::new().with("target.domain.id", own);
    require(&cx, rules::ListDomains, &target)?;
    let filter = store::projects::Filter {
        name: req.query.get("name"),
        is_domain: Some(true),
        ..store::projects::Filter::default()
    };
    let domains = store::projects::list(cx.db(), &filter).await?;
    let domains = domains
        .into_iter()
        .filter(|domain| own.is_none_or(|own| domain.id.as_str() == own))
        .filter_map(Project::into_domain)
        .collect();
    list::reply(
        &cx,
        ("/v3/domains", &req.query),
        &["name", "enabled"],
        domains,
    )
}

/// Loads the domain and asks the rule.
async fn load<R: Rule>(cx: &Cx, rule: R, id: &str) -> Result<Authorized<Domain, R>, Fault> {
    let found = store::projects::get(cx.db(), id).await?;
    let domain = found.and_then(Project::into_domain);
    // Keystone says to everybody that there is none.
    let domain = domain.ok_or_else(|| not_found("domain", id))?;
    reach(cx, rule, (id, Some(domain)))
}

endpoint! {
    /// Show a domain.
    ShowDomain: GET "/v3/domains/{domain_id}" => 200,
    policy: Loaded<rules::GetDomain>,
    path: DomainPath,
    reply: Json<One<Domain>>,
    handler: show_domain,
}
async fn show_domain(cx: Cx, req: Req<ShowDomain>) -> Reply<ShowDomain> {
    let domain = load(&cx, rules::GetDomain, &req.path.domain_id).await?;
    Ok(Json(One::new(&cx, domain.into_inner())))
}

/// The row behind a domain that was allowed.
fn project_of(domain: Domain) -> Project {
    Project {
        id: ProjectId(domain.id.0),
        name: domain.name,
        domain_id: None,
        parent_id: None,
        is_domain: true,
        enabled: domain.enabled,
        description: domain.description,
        options: domain.options,
        tags: domain.tags,
        extra: domain.extra,
    }
}

endpoint! {
    /// Change a domain.
    UpdateDomain: PATCH "/v3/domains/{domain_id}" => 200,
    policy: Loaded<rules::UpdateDomain>,
    path: DomainPath,
    body: Json<Under<DomainBody>>,
    reply: Json<One<Domain>>,
    handler: update_domain,
}
async fn update_domain(cx: Cx, req: Req<UpdateDomain>) -> Reply<UpdateDomain> {
    let domain = load(&cx, rules::UpdateDomain, &req.path.domain_id).await?;
    let before = project_of(domain.into_inner());
    let mut project = before.clone();
    let Json(Under(mut body)) = req.body;
    clean(&mut body.extra, &RESERVED, Some(project.id.as_str()))?;
    let was_immutable = project.immutable();
    merge_options(
        &mut project.options,
        body.options.unwrap_or_default(),
        (&["immutable"], &[]),
    )?;
    if was_immutable && project.immutable() {
        return Err(immutable("domain", project.id.as_str()));
    }
    project.name = body.name.map_or(project.name, |name| name.0);
    project.enabled = body.enabled.unwrap_or(project.enabled);
    project.description = body.description.unwrap_or(project.description);
    if let Some(tags) = body.tags {
        project.tags = check_tags(tags)?;
    }
    project.extra.merge(body.extra);
    save(&cx, &before, &project).await?;
    view(&cx, project)
}

endpoint! {
    /// Remove a domain that is disabled, and everything that it owns.
    DeleteDomain: DELETE "/v3/domains/{domain_id}" => 204,
    policy: Loaded<rules::DeleteDomain>,
    path: DomainPath,
    reply: Empty,
    handler: delete_domain,
}
async fn delete_domain(cx: Cx, req: Req<DeleteDomain>) -> Reply<DeleteDomain> {
    let domain = load(&cx, rules::DeleteDomain, &req.path.domain_id).await?;
    let project = project_of(domain.into_inner());
    let id = project.id.as_str();
    if id == "default" {
        return Err(Fault::forbidden("The default domain cannot be deleted."));
    }
    if project.immutable() {
        return Err(immutable("domain", id));
    }
    if project.enabled {
        return Err(Fault::forbidden(
            "Cannot delete a domain that is enabled, please disable it first.",
        ));
    }
    let mut tx = cx.write().await?;
    store::projects::still(&mut tx, &project).await?;
    let mut ends = vec![ends_tokens_of(&cx, &project)];
    for owned in store::projects::projects_of_domain(&mut tx, id).await? {
        store::projects::remove(&mut tx, &owned).await?;
    }
    for group in store::groups::of_domain(&mut tx, id).await? {
        store::groups::remove(&mut tx, &group).await?;
    }
    for user in store::users::of_domain(&mut tx, id).await? {
        let trusts = store::users::remove(&mut tx, &user).await?;
        ends.extend(ended(&cx, trusts));
    }
    remove_providers_of(&mut tx, id).await?;
    for role in store::roles::of_domain(&mut tx, id).await? {
        store::roles::remove(&mut tx, &role).await?;
    }
    store::projects::remove(&mut tx, id).await?;
    store::revocations::bump(&mut tx, "snapshot").await?;
    cx.commit_revoking(tx, ends).await?;
    cx.load().await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateDomain,
        ListDomains,
        ShowDomain,
        UpdateDomain,
        DeleteDomain
    ]
}
