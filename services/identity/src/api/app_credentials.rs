//! Application credentials: some of a user's roles on one project, for a program.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Revocation, Rule, Target};
use nephos_db::Tx;
use nephos_runtime::ids;
use nephos_types::{Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::{not_found, require, taken};
use super::list;
use super::scope::roles_within;
use super::shape::{Keyed, Many, Named, One, Under};
use crate::model::access::{AccessRule, AppCredential};
use crate::model::directory::Role;
use crate::model::extra::Name;
use crate::model::password::MAX_BYTES;
use crate::{Cx, Svc, rules, store};

/// An application credential as it is shown; the secret only once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppCredentialView {
    id: String,
    name: String,
    user_id: UserId,
    project_id: String,
    description: Option<String>,
    expires_at: Option<String>,
    unrestricted: bool,
    roles: Vec<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_rules: Option<Vec<AccessRule>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Named for AppCredentialView {
    const ONE: &'static str = "application_credential";
    const MANY: &'static str = "application_credentials";
    const PATH: &'static str = "/v3/users";
    fn id(&self) -> &str {
        &self.id
    }
    fn path(&self) -> String {
        format!(
            "/v3/users/{}/application_credentials/{}",
            self.user_id, self.id
        )
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct OwnerPath {
    pub user_id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AppPath {
    user_id: String,
    application_credential_id: String,
}

/// An application credential to be.
#[derive(Deserialize, ToSchema)]
pub(crate) struct AppCredentialBody {
    name: Name<255>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    roles: Option<Vec<RoleRef>>,
    #[serde(default)]
    unrestricted: Option<bool>,
    #[serde(default)]
    access_rules: Option<Vec<AccessRuleBody>>,
}

impl Keyed for AppCredentialBody {
    const KEY: &'static str = "application_credential";
}

impl std::fmt::Debug for AppCredentialBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppCredentialBody")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A role by id or by name.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RoleRef {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
}

impl RoleRef {
    /// The id of the role.
    pub(crate) fn find(&self, cx: &Cx) -> Result<String, Fault> {
        let snapshot = cx.snapshot();
        let found = match (&self.id, &self.name) {
            (Some(id), _) => snapshot.roles.get(id),
            (None, Some(name)) => snapshot.role_named(name),
            (None, None) => return Err(Fault::bad_request("A role needs an id or a name.")),
        };
        let asked = self.id.as_ref().or(self.name.as_ref());
        let missing = || not_found("role", asked.map_or("", String::as_str));
        found.map(|role| role.id.clone()).ok_or_else(missing)
    }
}

/// An access rule that exists, by id, or a new one.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AccessRuleBody {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    path: Option<String>,
}

/// As long as in Keystone.
const MAX_SERVICE: usize = 64;
const METHODS: [&str; 6] = ["POST", "GET", "HEAD", "PATCH", "PUT", "DELETE"];

/// Reads a time that must lie in the future.
pub(crate) fn future(cx: &Cx, text: &str) -> Result<Timestamp, Fault> {
    let at = Timestamp::parse(text).ok_or_else(|| {
        Fault::bad_request(format!(
            "Timestamp not in expected format. The server could not comply with the request since \
             it is either malformed or otherwise incorrect: {text}."
        ))
    })?;
    if at <= cx.now() {
        return Err(Fault::bad_request(
            "The 'expires_at' must not be before now.",
        ));
    }
    Ok(at)
}

/// Refuses a caller whose own application credential is restricted: it must not make more of its kind.
async fn check_unrestricted(cx: &Cx) -> Result<(), Fault> {
    let Some(id) = &cx.caller.app_credential_id else {
        return Ok(());
    };
    let app = store::access::app(cx.db(), id).await?;
    if app.is_some_and(|app| app.unrestricted) {
        return Ok(());
    }
    Err(Fault::forbidden(
        "Using method 'application_credential' is not allowed for managing additional application credentials.",
    ))
}

pub(super) fn owner(user_id: &str) -> Target {
    Target::new()
        .with("user_id", user_id)
        .with("target.user.id", user_id)
}

async fn view(cx: &Cx, app: AppCredential) -> Result<AppCredentialView, Fault> {
    let snapshot = cx.snapshot();
    let rules = store::access::rules_of_app(cx.db(), &app.id).await?;
    Ok(AppCredentialView {
        id: app.id,
        name: app.name,
        user_id: app.user_id,
        project_id: app.project_id.0,
        description: app.description,
        expires_at: app.expires_at.map(Timestamp::iso_naive),
        unrestricted: app.unrestricted,
        roles: app
            .role_ids
            .iter()
            .filter_map(|id| snapshot.roles.get(id).cloned())
            .collect(),
        access_rules: app.has_rules.then_some(rules),
        secret: None,
    })
}

endpoint! {
    /// Create an application credential for oneself, on the project of one's token.
    CreateApplicationCredential: POST "/v3/users/{user_id}/application_credentials" => 201,
    policy: Loaded<rules::CreateApplicationCredential>,
    path: OwnerPath,
    body: Json<Under<AppCredentialBody>>,
    reply: Json<One<AppCredentialView>>,
    handler: create_application_credential,
}
async fn create_application_credential(
    cx: Cx,
    req: Req<CreateApplicationCredential>,
) -> Reply<CreateApplicationCredential> {
    require(
        &cx,
        rules::CreateApplicationCredential,
        &owner(&req.path.user_id),
    )?;
    check_unrestricted(&cx).await?;
    let Json(Under(body)) = req.body;
    let project_id = cx.caller.project_id().cloned().ok_or_else(|| {
        Fault::forbidden("An application credential is made with a project-scoped token.")
    })?;
    let role_ids = roles(&cx, body.roles)?;
    let secret = body
        .secret
        .unwrap_or_else(|| URL_SAFE_NO_PAD.encode(rand::random::<[u8; 64]>()));
    if secret.len() > MAX_BYTES {
        return Err(Fault::bad_request(format!(
            "A secret has at most {MAX_BYTES} bytes."
        )));
    }
    let app = AppCredential {
        id: ids::hex(),
        name: body.name.0,
        user_id: cx.caller.user_id.clone(),
        project_id,
        hash: cx.passwords.hash(&secret).await?,
        description: body.description,
        expires_at: body.expires_at.map(|text| future(&cx, &text)).transpose()?,
        unrestricted: body.unrestricted.unwrap_or_default(),
        role_ids,
        has_rules: body.access_rules.is_some(),
    };
    let mut tx = cx.write().await?;
    check_has(&cx, &mut tx, &app).await?;
    let asked = body.access_rules.unwrap_or_default();
    let access_rules = rules_of(&mut tx, &app.user_id, asked).await?;
    let inserted = store::access::insert_app(&mut tx, &app, &access_rules).await;
    inserted.map_err(|error| {
        taken(
            error,
            "application_credential",
            format!("name {}", app.name),
        )
    })?;
    tx.commit().await?;
    let mut view = view(&cx, app).await?;
    view.secret = Some(secret);
    Ok(Json(One::new(&cx, view)))
}

/// The roles that are asked for, or all of the token.
fn roles(cx: &Cx, asked: Option<Vec<RoleRef>>) -> Result<Vec<String>, Fault> {
    let snapshot = cx.snapshot();
    let own: Vec<String> = cx
        .caller
        .roles
        .iter()
        .filter_map(|name| snapshot.role_named(name))
        .map(|role| role.id.clone())
        .collect();
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
        return Ok(own);
    };
    let mut ids = Vec::new();
    for role in asked {
        let id = role.find(cx)?;
        // An application credential made by another one must not have more roles than that.
        if cx.caller.app_credential_id.is_some() && !own.contains(&id) {
            return Err(not_had(&id, &cx.caller.user_id));
        }
        ids.push(id);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn not_had(role: &str, user: &UserId) -> Fault {
    Fault::bad_request(format!(
        "Invalid application credential: Could not find role assignment with role: {role}, user or group: {user}."
    ))
}

/// Each of its roles must be the user's on the project when it is made.
async fn check_has(cx: &Cx, tx: &mut Tx, app: &AppCredential) -> Result<(), Fault> {
    let has = roles_within(cx, tx, &app.user_id, &app.project_id).await?;
    match app.role_ids.iter().find(|id| !has.contains(*id)) {
        Some(id) => Err(not_had(id, &app.user_id)),
        None => Ok(()),
    }
}

/// Removes those that lend what their users do not have any more, or the role that is gone: given again, it would
/// revive them. Gives what ends their tokens.
pub(super) async fn remove_without_roles(
    cx: &Cx,
    tx: &mut Tx,
    apps: Vec<AppCredential>,
    gone: Option<&String>,
) -> Result<Vec<Revocation>, Fault> {
    let mut ends = Vec::new();
    for app in apps {
        let has = roles_within(cx, tx, &app.user_id, &app.project_id).await?;
        let lends = |id: &String| has.contains(id) && Some(id) != gone;
        if app.role_ids.iter().all(lends) {
            continue;
        }
        store::access::remove_app(tx, &app.id).await?;
        let mut revocation = cx.revocation();
        revocation.app_credential_id = Some(app.id);
        ends.push(revocation);
    }
    Ok(ends)
}

/// The rules that are asked for: the user's own where there is such a one, else new.
async fn rules_of(
    tx: &mut Tx,
    user: &UserId,
    asked: Vec<AccessRuleBody>,
) -> Result<Vec<AccessRule>, Fault> {
    let own = store::access::rules_of_user_in(tx, user.as_str()).await?;
    let mut rules: Vec<AccessRule> = Vec::new();
    for body in asked {
        let rule = match (body.id, body.service, body.method, body.path) {
            (Some(id), None, None, None) => {
                let found = own.iter().find(|rule| rule.id == id);
                found
                    .cloned()
                    .ok_or_else(|| not_found("Access Rule", &id))?
            }
            (None, Some(service), Some(method), Some(path)) => {
                let new = AccessRule {
                    id: ids::hex(),
                    service,
                    method,
                    path,
                    user_id: user.0.clone(),
                };
                check_rule(&new)?;
                let same = |rule: &&AccessRule| {
                    (&rule.service, &rule.method, &rule.path)
                        == (&new.service, &new.method, &new.path)
                };
                match own.iter().chain(&rules).find(same) {
                    Some(found) => found.clone(),
                    None => {
                        store::access::insert_rule(tx, &new).await?;
                        new
                    }
                }
            }
            _neither => {
                return Err(Fault::bad_request(
                    "An access rule is either the id of one, or service, method and path.",
                ));
            }
        };
        rules.push(rule);
    }
    Ok(rules)
}

fn check_rule(rule: &AccessRule) -> Result<(), Fault> {
    let known = METHODS.contains(&rule.method.as_str());
    let service = (1..=MAX_SERVICE).contains(&rule.service.chars().count());
    if known && service && rule.path.starts_with('/') && rule.path.len() <= 1024 {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "An access rule has a service type of at most {MAX_SERVICE} characters, one of the methods POST, GET, HEAD, PATCH, \
         PUT and DELETE, and a path that begins with / and has at most 1024 bytes.",
    )))
}

endpoint! {
    /// List a user's application credentials.
    ListApplicationCredentials: GET "/v3/users/{user_id}/application_credentials" => 200,
    policy: Loaded<rules::ListApplicationCredentials>,
    path: OwnerPath,
    query: Params,
    reply: Json<Many<AppCredentialView>>,
    handler: list_application_credentials,
}
async fn list_application_credentials(
    cx: Cx,
    req: Req<ListApplicationCredentials>,
) -> Reply<ListApplicationCredentials> {
    let user_id = &req.path.user_id;
    require(&cx, rules::ListApplicationCredentials, &owner(user_id))?;
    let mut views = Vec::new();
    for app in store::access::apps_of(cx.db(), user_id, req.query.get("name")).await? {
        views.push(view(&cx, app).await?);
    }
    let path = format!("/v3/users/{user_id}/application_credentials");
    list::reply(&cx, (&path, &req.query), &["name"], views)
}

/// The application credential of the path, which must be that user's.
async fn load<R: Rule>(cx: &Cx, rule: R, path: &AppPath) -> Result<AppCredential, Fault> {
    require(cx, rule, &owner(&path.user_id))?;
    let id = &path.application_credential_id;
    let app = store::access::app(cx.db(), id).await?;
    app.filter(|app| app.user_id.as_str() == path.user_id)
        .ok_or_else(|| not_found("Application Credential", id))
}

endpoint! {
    /// Show an application credential.
    ShowApplicationCredential:
        GET "/v3/users/{user_id}/application_credentials/{application_credential_id}" => 200,
    policy: Loaded<rules::GetApplicationCredential>,
    path: AppPath,
    reply: Json<One<AppCredentialView>>,
    handler: show_application_credential,
}
async fn show_application_credential(
    cx: Cx,
    req: Req<ShowApplicationCredential>,
) -> Reply<ShowApplicationCredential> {
    let app = load(&cx, rules::GetApplicationCredential, &req.path).await?;
    Ok(Json(One::new(&cx, view(&cx, app).await?)))
}

endpoint! {
    /// Remove an application credential; its tokens end.
    DeleteApplicationCredential:
        DELETE "/v3/users/{user_id}/application_credentials/{application_credential_id}" => 204,
    policy: Loaded<rules::DeleteApplicationCredential>,
    path: AppPath,
    reply: Empty,
    handler: delete_application_credential,
}
async fn delete_application_credential(
    cx: Cx,
    req: Req<DeleteApplicationCredential>,
) -> Reply<DeleteApplicationCredential> {
    let app = load(&cx, rules::DeleteApplicationCredential, &req.path).await?;
    check_unrestricted(&cx).await?;
    let mut revocation = cx.revocation();
    revocation.app_credential_id = Some(app.id.clone());
    let mut tx = cx.write().await?;
    store::access::remove_app(&mut tx, &app.id).await?;
    cx.commit_revoking(tx, vec![revocation]).await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateApplicationCredential,
        ListApplicationCredentials,
        ShowApplicationCredential,
        DeleteApplicationCredential,
    ]
}
