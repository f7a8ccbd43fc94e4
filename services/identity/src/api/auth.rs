//! Tokens: making, checking and ending them, and what a token may ask about itself.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, StatusCode};
use nephos_api::{
    Authenticated, Empty, Fault, Json, Loaded, Params, Public, Reply, Req, Service, With, endpoint,
};
use nephos_auth::{AccessRule, Caller, Target};
use nephos_types::DomainId;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::auth_body::AuthBody;
use super::fault::{not_found, require};
use super::list::flag;
use super::login::Proof;
use super::scope::Granted;
use super::shape::{Many, SelfLink};
use super::token_view::{self, TokenBody};
use super::{list, login, scope};
use crate::model::assignment::Place;
use crate::model::directory::{Domain, Project};
use crate::{Cx, rules, store};

/// How long after its end a token is still shown to services that finish what was begun with it.
const EXPIRED_WINDOW: Duration = Duration::from_secs(2 * 24 * 3600);

static SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

endpoint! {
    /// Make a token.
    CreateToken: POST "/v3/auth/tokens" => 201,
    policy: Public,
    query: Params,
    body: Json<AuthBody>,
    reply: With<Json<TokenBody>>,
    handler: create_token,
}
async fn create_token(cx: Cx, req: Req<CreateToken>) -> Reply<CreateToken> {
    let auth = &req.body.auth;
    // Before anything else is looked at: what is revoked from here on ends this token.
    let trust_revision = cx.trust_revision().await?;
    let proof = login::prove(&cx, &auth.identity).await?;
    let granted = scope::grant(&cx, &proof, auth.scope.as_ref()).await?;
    let caller = caller(&cx, proof, granted, trust_revision);
    let issuer = cx.issuer().ok_or_else(|| {
        Fault::unavailable("There is no key to sign with yet. `nephos bootstrap` makes one.")
    })?;
    let token = issuer.sign(&caller);
    let token = token.map_err(|_| Fault::internal("The token could not be signed."))?;
    let body = token_view::body(&cx, &caller, !flag(&req.query, "nocatalog")).await?;
    Ok(With::new(Json(body))
        .status(StatusCode::CREATED)
        .header(SUBJECT.clone(), &token))
}

/// Everything that the token will say.
pub(super) fn caller(cx: &Cx, proof: Proof, granted: Granted, trust_revision: u64) -> Caller {
    let now = cx.now();
    let lifetime = now.plus_secs(i64::from(cx.config.token_lifetime_secs));
    let expires_at = proof
        .ends_before()
        .map_or(lifetime, |end| end.min(lifetime));
    let mut audit_ids = vec![URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())];
    let chain = proof
        .parent
        .as_ref()
        .and_then(|parent| parent.audit_ids.last());
    audit_ids.extend(chain.cloned());
    let (user, domain, trust) = match granted.trust {
        Some((trust, trustor, domain)) if trust.impersonation => (trustor, domain, Some(trust)),
        Some((trust, ..)) => (proof.user, proof.domain, Some(trust)),
        None => (proof.user, proof.domain, None),
    };
    let (app_credential_id, access_rules) = match proof.app {
        Some((app, rules)) => {
            let rules = rules.into_iter().map(|rule| AccessRule {
                service: rule.service,
                method: rule.method,
                path: rule.path,
            });
            (Some(app.id), app.has_rules.then(|| rules.collect()))
        }
        None => (None, None),
    };
    Caller {
        user_id: user.id,
        user_name: user.name,
        user_domain_id: user.domain_id,
        user_domain_name: domain.name,
        scope: granted.scope,
        roles: granted.roles,
        methods: proof.methods,
        audit_ids,
        issued_at: now,
        expires_at,
        trust_revision,
        app_credential_id,
        access_rules,
        trust,
        host: None,
        host_zone: None,
    }
}

/// The token in `X-Subject-Token`: whose it is.
fn subject<E: nephos_api::Endpoint>(
    cx: &Cx,
    req: &Req<E>,
    late: bool,
) -> Result<(String, Arc<Caller>), Fault> {
    let token = req.header("x-subject-token").unwrap_or_default();
    let privileged = cx.caller.has_role("service") || cx.caller.is_admin();
    let grace = if late && privileged {
        EXPIRED_WINDOW
    } else {
        Duration::ZERO
    };
    let verifier = &cx.service().core().verifier;
    let caller = verifier.verify_late(token, grace);
    let caller = caller.map_err(|_| not_found("token", "it is not valid"))?;
    Ok((token.to_owned(), caller))
}

fn about(subject: &Caller) -> Target {
    Target::new().with("target.token.user_id", &subject.user_id)
}

endpoint! {
    /// Show what a token says, if it is valid.
    ValidateToken: GET "/v3/auth/tokens" => 200,
    policy: Loaded<rules::ValidateToken>,
    query: Params,
    reply: With<Json<TokenBody>>,
    handler: validate_token,
}
async fn validate_token(cx: Cx, req: Req<ValidateToken>) -> Reply<ValidateToken> {
    let (token, subject) = subject(&cx, &req, flag(&req.query, "allow_expired"))?;
    require(&cx, rules::ValidateToken, &about(&subject))?;
    let body = token_view::body(&cx, &subject, !flag(&req.query, "nocatalog")).await?;
    Ok(With::new(Json(body)).header(SUBJECT.clone(), &token))
}

endpoint! {
    /// Say whether a token is valid.
    CheckToken: HEAD "/v3/auth/tokens" => 200,
    policy: Loaded<rules::CheckToken>,
    query: Params,
    reply: Empty,
    handler: check_token,
}
async fn check_token(cx: Cx, req: Req<CheckToken>) -> Reply<CheckToken> {
    let (_token, subject) = subject(&cx, &req, flag(&req.query, "allow_expired"))?;
    require(&cx, rules::CheckToken, &about(&subject))?;
    Ok(Empty)
}

endpoint! {
    /// End a token.
    RevokeToken: DELETE "/v3/auth/tokens" => 204,
    policy: Loaded<rules::RevokeToken>,
    reply: Empty,
    handler: revoke_token,
}
async fn revoke_token(cx: Cx, req: Req<RevokeToken>) -> Reply<RevokeToken> {
    let (_token, subject) = subject(&cx, &req, false)?;
    require(&cx, rules::RevokeToken, &about(&subject))?;
    let mut revocation = cx.revocation();
    revocation.audit_id = subject.audit_ids.first().cloned();
    let tx = cx.write().await?;
    cx.commit_revoking(tx, vec![revocation]).await?;
    Ok(Empty)
}

/// The catalog of the caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CatalogView {
    #[schema(value_type = Vec<Object>)]
    catalog: Option<Arc<RawValue>>,
    links: SelfLink,
}

endpoint! {
    /// Show the catalog of the caller.
    ShowCatalog: GET "/v3/auth/catalog" => 200,
    policy: Authenticated,
    reply: Json<CatalogView>,
    handler: show_catalog,
}
async fn show_catalog(cx: Cx, _req: Req<ShowCatalog>) -> Reply<ShowCatalog> {
    let project = cx.caller.project_id().ok_or_else(|| {
        Fault::forbidden("A project-scoped token is required to produce a service catalog.")
    })?;
    let catalog = cx
        .snapshot()
        .catalog_of(Some(project.as_str()), cx.caller.user_id.as_str());
    let links = SelfLink {
        own: cx.url("/v3/auth/catalog"),
    };
    Ok(Json(CatalogView { catalog, links }))
}

/// The projects on which a user has a role, enabled ones.
pub(crate) async fn projects_of(cx: &Cx, user_id: &str) -> Result<Vec<Project>, Fault> {
    let assignments = store::assignments::of_user(cx.db(), user_id).await?;
    let mut ids: Vec<String> = Vec::new();
    for assignment in &assignments {
        if assignment.inherited {
            ids.extend(store::projects::below(cx.db(), &assignment.target_id).await?);
        } else {
            ids.push(assignment.target_id.clone());
        }
    }
    ids.sort_unstable();
    ids.dedup();
    let filter = store::projects::Filter {
        ids: Some(ids),
        is_domain: Some(false),
        ..store::projects::Filter::default()
    };
    let mut projects = store::projects::list(cx.db(), &filter).await?;
    projects.retain(|project| project.enabled);
    Ok(projects)
}

/// The domains on which a user has a role, enabled ones.
pub(crate) async fn domains_of(cx: &Cx, user_id: &str) -> Result<Vec<Domain>, Fault> {
    let assignments = store::assignments::of_user(cx.db(), user_id).await?;
    let ids = assignments
        .into_iter()
        .filter(|assignment| Place::domain(&assignment.target_id).has(assignment))
        .map(|assignment| assignment.target_id)
        .collect();
    let filter = store::projects::Filter {
        ids: Some(ids),
        is_domain: Some(true),
        ..store::projects::Filter::default()
    };
    let domains = store::projects::list(cx.db(), &filter).await?;
    Ok(domains
        .into_iter()
        .filter(|domain| domain.enabled)
        .filter_map(Project::into_domain)
        .collect())
}

endpoint! {
    /// List the projects that the caller can have a token for.
    ListOwnProjects: GET "/v3/auth/projects" => 200,
    policy: Authenticated,
    query: Params,
    reply: Json<Many<Project>>,
    handler: list_own_projects,
}
async fn list_own_projects(cx: Cx, req: Req<ListOwnProjects>) -> Reply<ListOwnProjects> {
    let projects = projects_of(&cx, cx.caller.user_id.as_str()).await?;
    list::reply(
        &cx,
        ("/v3/auth/projects", &req.query),
        &["name", "domain_id"],
        projects,
    )
}

endpoint! {
    /// List the domains that the caller can have a token for.
    ListOwnDomains: GET "/v3/auth/domains" => 200,
    policy: Authenticated,
    query: Params,
    reply: Json<Many<Domain>>,
    handler: list_own_domains,
}
async fn list_own_domains(cx: Cx, req: Req<ListOwnDomains>) -> Reply<ListOwnDomains> {
    let domains = domains_of(&cx, cx.caller.user_id.as_str()).await?;
    list::reply(&cx, ("/v3/auth/domains", &req.query), &["name"], domains)
}

/// Whether the caller can have a token for the system.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SystemView {
    #[schema(value_type = Vec<Object>)]
    system: Vec<Value>,
    links: SelfLink,
}

endpoint! {
    /// Say whether the caller can have a token for the system.
    ListOwnSystem: GET "/v3/auth/system" => 200,
    policy: Authenticated,
    reply: Json<SystemView>,
    handler: list_own_system,
}
async fn list_own_system(cx: Cx, _req: Req<ListOwnSystem>) -> Reply<ListOwnSystem> {
    let roles = scope::roles_at(&cx, &cx.caller.user_id, &Place::system()).await?;
    let system = if roles.is_empty() {
        Vec::new()
    } else {
        vec![json!({"all": true})]
    };
    let links = SelfLink {
        own: cx.url("/v3/auth/system"),
    };
    Ok(Json(SystemView { system, links }))
}

/// The domain that a caller without a word about it means: that of its token.
pub(crate) fn own_domain(cx: &Cx) -> DomainId {
    use nephos_auth::Scope;
    match &cx.caller.scope {
        Scope::Domain { id, .. } => id.clone(),
        Scope::Project { domain_id, .. } => domain_id.clone(),
        Scope::Unscoped | Scope::System => DomainId::from("default"),
    }
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<crate::Svc> {
    nephos_api::routes![
        CreateToken,
        ValidateToken,
        CheckToken,
        RevokeToken,
        ShowCatalog,
        ListOwnProjects,
        ListOwnDomains,
        ListOwnSystem,
    ]
}
