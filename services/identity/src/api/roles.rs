//! Roles, global ones and those of a domain.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_runtime::ids;
use nephos_types::DomainId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::app_credentials::remove_without_roles;
use super::fault::{not_found, reach, require, taken};
use super::list;
use super::projects::immutable;
use super::shape::{Keyed, Many, Named, One, Under};
use super::users::{clean, merge_options};
use crate::model::directory::Role;
use crate::model::extra::{Extra, Name};
use crate::{Cx, Svc, rules, store};

impl Named for Role {
    const ONE: &'static str = "role";
    const MANY: &'static str = "roles";
    const PATH: &'static str = "/v3/roles";
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RolePath {
    pub role_id: String,
}

/// A role to be: `name` is needed to create one.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RoleBody {
    #[serde(default)]
    name: Option<Name<255>>,
    #[serde(default)]
    domain_id: Option<String>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    description: Option<Option<String>>,
    #[serde(default)]
    options: Option<Extra>,
    #[serde(flatten)]
    extra: Extra,
}

impl Keyed for RoleBody {
    const KEY: &'static str = "role";
}

const RESERVED: [&str; 2] = ["id", "links"];

fn same_name(role: &Role) -> String {
    match &role.domain_id {
        Some(domain) => format!("name {} at domain ID {domain}", role.name),
        None => format!("name {}", role.name),
    }
}

endpoint! {
    /// Create a role.
    CreateRole: POST "/v3/roles" => 201,
    policy: Loaded<rules::CreateRole>,
    body: Json<Under<RoleBody>>,
    reply: Json<One<Role>>,
    handler: create_role,
}
async fn create_role(cx: Cx, req: Req<CreateRole>) -> Reply<CreateRole> {
    let Json(Under(body)) = req.body;
    match &body.domain_id {
        Some(domain) => {
            let target = Target::new().with("target.role.domain_id", domain);
            require(&cx, rules::CreateDomainRole, &target)?;
            let found = store::projects::get(cx.db(), domain).await?;
            if !found.is_some_and(|found| found.is_domain) {
                return Err(not_found("domain", domain));
            }
        }
        None => require(&cx, rules::CreateRole, &Target::new())?,
    }
    let name = body
        .name
        .ok_or_else(|| Fault::bad_request("'name' is a required property"))?;
    let mut role = Role {
        id: ids::hex(),
        name: name.0,
        domain_id: body.domain_id.map(DomainId),
        description: body.description.flatten(),
        options: Extra::default(),
        extra: body.extra,
    };
    clean(&mut role.extra, &RESERVED, None)?;
    merge_options(
        &mut role.options,
        body.options.unwrap_or_default(),
        (&["immutable"], &[]),
    )?;
    let mut tx = cx.write().await?;
    let inserted = store::roles::insert(&mut tx, &role).await;
    inserted.map_err(|error| taken(error, "role", same_name(&role)))?;
    cx.commit_snapshot(tx).await?;
    Ok(Json(One::new(&cx, role)))
}

endpoint! {
    /// List roles: global ones, or those of the domain that is asked for.
    ListRoles: GET "/v3/roles" => 200,
    policy: Loaded<rules::ListRoles>,
    query: Params,
    reply: Json<Many<Role>>,
    handler: list_roles,
}
async fn list_roles(cx: Cx, req: Req<ListRoles>) -> Reply<ListRoles> {
    let asked = req.query.get("domain_id");
    match asked {
        Some(domain) => {
            let target = Target::new().with("target.role.domain_id", domain);
            require(&cx, rules::ListDomainRoles, &target)?;
        }
        None => require(&cx, rules::ListRoles, &Target::new())?,
    }
    let mut roles = store::roles::list(cx.db()).await?;
    roles.retain(|role| role.domain_id.as_ref().map(DomainId::as_str) == asked);
    // A domain's manager sees the roles that it may give.
    if !cx.caller.is_admin() && cx.caller.has_role("manager") && cx.caller.domain_id().is_some() {
        roles.retain(|role| ["manager", "member", "reader"].contains(&role.name.as_str()));
    }
    list::reply(
        &cx,
        ("/v3/roles", &req.query),
        &["name", "domain_id"],
        roles,
    )
}

/// The rule is another one for the role of a domain.
async fn load<G, D>(cx: &Cx, rules: (G, D), id: &str) -> Result<Role, Fault>
where
    G: nephos_auth::Rule,
    D: nephos_auth::Rule,
{
    let found = store::roles::get(cx.db(), id).await?;
    // Which rule to ask depends on the role, so Keystone says to everybody that there is none.
    let found = Some(found.ok_or_else(|| not_found("role", id))?);
    if found.as_ref().is_some_and(|role| role.domain_id.is_some()) {
        return Ok(reach(cx, rules.1, (id, found))?.into_inner());
    }
    Ok(reach(cx, rules.0, (id, found))?.into_inner())
}

endpoint! {
    /// Show a role.
    ShowRole: GET "/v3/roles/{role_id}" => 200,
    policy: Loaded<rules::GetRole>,
    path: RolePath,
    reply: Json<One<Role>>,
    handler: show_role,
}
async fn show_role(cx: Cx, req: Req<ShowRole>) -> Reply<ShowRole> {
    let rules = (rules::GetRole, rules::GetDomainRole);
    let role = load(&cx, rules, &req.path.role_id).await?;
    Ok(Json(One::new(&cx, role)))
}

endpoint! {
    /// Change a role.
    UpdateRole: PATCH "/v3/roles/{role_id}" => 200,
    policy: Loaded<rules::UpdateRole>,
    path: RolePath,
    body: Json<Under<RoleBody>>,
    reply: Json<One<Role>>,
    handler: update_role,
}
async fn update_role(cx: Cx, req: Req<UpdateRole>) -> Reply<UpdateRole> {
    let rules = (rules::UpdateRole, rules::UpdateDomainRole);
    let before = load(&cx, rules, &req.path.role_id).await?;
    let mut role = before.clone();
    let Json(Under(mut body)) = req.body;
    let domain = role.domain_id.as_ref().map(DomainId::as_str);
    if body.domain_id.is_some() && body.domain_id.as_deref() != domain {
        return Err(Fault::bad_request(
            "The domain of a role cannot be changed.",
        ));
    }
    clean(&mut body.extra, &RESERVED, Some(&role.id))?;
    let was_immutable = role.immutable();
    merge_options(
        &mut role.options,
        body.options.unwrap_or_default(),
        (&["immutable"], &[]),
    )?;
    if was_immutable && role.immutable() {
        return Err(immutable("role", &role.id));
    }
    role.name = body.name.map_or(role.name, |name| name.0);
    role.description = body.description.unwrap_or(role.description);
    role.extra.merge(body.extra);
    let mut tx = cx.write().await?;
    let updated = store::roles::update(&mut tx, &before, &role).await;
    updated.map_err(|error| taken(error, "role", same_name(&role)))?;
    store::revocations::bump(&mut tx, "snapshot").await?;
    let mut ends = Vec::new();
    if before.name != role.name {
        // Tokens carry names: one that was issued under the old name must not outlive it.
        let mut revocation = cx.revocation();
        revocation.role = Some(before.name);
        ends.push(revocation);
    }
    cx.commit_revoking(tx, ends).await?;
    cx.load().await?;
    Ok(Json(One::new(&cx, role)))
}

endpoint! {
    /// Remove a role. Tokens that carry it end.
    DeleteRole: DELETE "/v3/roles/{role_id}" => 204,
    policy: Loaded<rules::DeleteRole>,
    path: RolePath,
    reply: Empty,
    handler: delete_role,
}
async fn delete_role(cx: Cx, req: Req<DeleteRole>) -> Reply<DeleteRole> {
    let rules = (rules::DeleteRole, rules::DeleteDomainRole);
    let role = load(&cx, rules, &req.path.role_id).await?;
    if role.immutable() {
        return Err(immutable("role", &role.id));
    }
    // A domain role's own name is in no token, but what it implies is.
    let snapshot = cx.snapshot();
    let names = match role.domain_id {
        None => vec![role.name.clone()],
        Some(_) => snapshot.names(&snapshot.implies.closure(&role.id)),
    };
    let ends = names.into_iter().map(|name| {
        let mut revocation = cx.revocation();
        revocation.role = Some(name);
        revocation
    });
    let mut ends: Vec<_> = ends.collect();
    let mut tx = cx.write().await?;
    store::roles::still(&mut tx, &role).await?;
    let apps = store::access::apps_of_role(&mut tx, &role.id).await?;
    store::roles::remove(&mut tx, &role.id).await?;
    ends.extend(remove_without_roles(&cx, &mut tx, apps, Some(&role.id)).await?);
    store::revocations::bump(&mut tx, "snapshot").await?;
    cx.commit_revoking(tx, ends).await?;
    cx.load().await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![CreateRole, ListRoles, ShowRole, UpdateRole, DeleteRole]
}
