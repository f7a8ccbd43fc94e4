//! Users and their passwords.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Public, Reply, Req, endpoint};
use nephos_auth::{Authorized, Target};
use nephos_runtime::ids;
use nephos_types::{DomainId, ProjectId, UserId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::{domains_of, own_domain, projects_of};
use super::fault::{not_found, reach, require, taken, unauthorized};
use super::list;
use super::login::check_password;
use super::shape::{Keyed, Many, Named, One, Under};
use super::trusts::ended;
use crate::model::directory::{Domain, Group, Project, User};
use crate::model::extra::{Extra, Name};
use crate::model::password::MAX_BYTES;
use crate::{Cx, Svc, rules, store};

impl Named for User {
    const ONE: &'static str = "user";
    const MANY: &'static str = "users";
    const PATH: &'static str = "/v3/users";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct UserPath {
    pub user_id: String,
}

/// A user to be: `name` is needed to create one.
#[derive(Deserialize, ToSchema)]
pub(crate) struct UserBody {
    #[serde(default)]
    name: Option<Name<255>>,
    #[serde(default)]
    domain_id: Option<String>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    default_project_id: Option<Option<String>>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    password: Option<Option<String>>,
    #[serde(default)]
    options: Option<Extra>,
    #[serde(flatten)]
    extra: Extra,
}

impl Keyed for UserBody {
    const KEY: &'static str = "user";
}

impl std::fmt::Debug for UserBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserBody")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The options of users; those that are about rules not in force are kept and shown.
const FLAGS: [&str; 6] = [
    "ignore_change_password_upon_first_use",
    "ignore_password_expiry",
    "ignore_lockout_failure_attempts",
    "lock_password",
    "ignore_user_inactivity",
    "multi_factor_auth_enabled",
];

/// What clients cannot store: it is ours to say, or would shadow it.
const RESERVED: [&str; 4] = ["id", "links", "password_expires_at", "federated"];

/// Merges options; `null` takes one away.
pub(crate) fn merge_options(
    old: &mut Extra,
    newer: Extra,
    known: (&[&str], &[&str]),
) -> Result<(), Fault> {
    let wrong = newer.wrong_options(known.0, known.1);
    if let Some(name) = wrong.first() {
        return Err(Fault::bad_request(format!(
            "Invalid input for field 'options': {name} is not an option, or has a value that it cannot have."
        )));
    }
    old.merge(newer);
    old.0.retain(|_, value| !value.is_null());
    Ok(())
}

fn merge_user_options(old: &mut Extra, newer: Extra) -> Result<(), Fault> {
    if let Some(rules) = newer
        .0
        .get("multi_factor_auth_rules")
        .filter(|rules| !rules.is_null())
    {
        let lists: Result<Vec<Vec<String>>, _> = serde_json::from_value(rules.clone());
        let good = |list: &Vec<String>| !list.is_empty();
        if !lists.is_ok_and(|lists| lists.iter().all(good)) {
            return Err(Fault::bad_request(
                "Invalid input for field 'multi_factor_auth_rules': a list of lists of method names is expected.",
            ));
        }
    }
    merge_options(old, newer, (&FLAGS, &["multi_factor_auth_rules"]))
}

/// Takes away what clients cannot store; an id that differs from the path's is an error.
pub(crate) fn clean(extra: &mut Extra, reserved: &[&str], id: Option<&str>) -> Result<(), Fault> {
    let given = extra.take_text("id");
    if let (Some(given), Some(id)) = (given, id)
        && given != id
    {
        return Err(Fault::bad_request(
            "The id in the body differs from the id in the path.",
        ));
    }
    for key in reserved {
        extra.0.shift_remove(*key);
    }
    Ok(())
}

/// Whether the password is one that may be set.
fn check_new_password(cx: &Cx, password: &str) -> Result<(), Fault> {
    if password.len() > MAX_BYTES {
        return Err(Fault::bad_request(format!(
            "Password validation error: it is longer than {MAX_BYTES} bytes."
        )));
    }
    match &cx.password_pattern {
        Some(pattern) if !pattern.is_match(password) => Err(Fault::bad_request(format!(
            "The password does not match the requirements: {}.",
            cx.config.password_hint
        ))),
        _no_pattern_or_match => Ok(()),
    }
}

fn same_name(user: &User) -> String {
    format!("name {} at domain ID {}", user.name, user.domain_id)
}

endpoint! {
    /// Create a user.
    CreateUser: POST "/v3/users" => 201,
    policy: Loaded<rules::CreateUser>,
    body: Json<Under<UserBody>>,
    reply: Json<One<User>>,
    handler: create_user,
}
async fn create_user(cx: Cx, req: Req<CreateUser>) -> Reply<CreateUser> {
    let Json(Under(body)) = req.body;
    let domain_id = body.domain_id.map_or_else(|| own_domain(&cx), DomainId);
    let target = Target::new().with("target.user.domain_id", &domain_id);
    require(&cx, rules::CreateUser, &target)?;
    let domain = store::projects::get(cx.db(), domain_id.as_str()).await?;
    if !domain.is_some_and(|domain| domain.is_domain) {
        return Err(not_found("domain", domain_id.as_str()));
    }
    let name = body
        .name
        .ok_or_else(|| Fault::bad_request("'name' is a required property"))?;
    let password = body.password.flatten();
    let hash = match &password {
        Some(password) => {
            check_new_password(&cx, password)?;
            Some(cx.passwords.hash(password).await?)
        }
        None => None,
    };
    let default_project_id = body.default_project_id.flatten().map(ProjectId);
    check_default_project(&cx, default_project_id.as_ref()).await?;
    let mut user = User {
        id: UserId(ids::hex()),
        name: name.0,
        domain_id,
        enabled: body.enabled.unwrap_or(true),
        default_project_id,
        password_expires_at: None,
        options: Extra::default(),
        extra: body.extra,
    };
    clean(&mut user.extra, &RESERVED, None)?;
    merge_user_options(&mut user.options, body.options.unwrap_or_default())?;
    let mut tx = cx.write().await?;
    let inserted = store::users::insert(&mut tx, &user).await;
    inserted.map_err(|error| taken(error, "user", same_name(&user)))?;
    if let Some(hash) = hash {
        store::users::set_password(&mut tx, &user.id, &hash, (cx.now(), 1)).await?;
    }
    tx.commit().await?;
    Ok(Json(One::new(&cx, user)))
}

/// A default project need not exist, but it must not be a domain.
async fn check_default_project(cx: &Cx, id: Option<&ProjectId>) -> Result<(), Fault> {
    let Some(id) = id else {
        return Ok(());
    };
    let found = store::projects::get(cx.db(), id.as_str()).await?;
    if found.is_some_and(|project| project.is_domain) {
        return Err(Fault::bad_request(
            "A user's default project ID cannot be a domain ID.",
        ));
    }
    Ok(())
}

endpoint! {
    /// List users.
    ListUsers: GET "/v3/users" => 200,
    policy: Loaded<rules::ListUsers>,
    query: Params,
    reply: Json<Many<User>>,
    handler: list_users,
}
async fn list_users(cx: Cx, req: Req<ListUsers>) -> Reply<ListUsers> {
    let own = cx.caller.domain_id().map(DomainId::as_str);
    let asked = req.query.get("domain_id");
    let target = Target::new().with("target.domain_id", asked.or(own));
    require(&cx, rules::ListUsers, &target)?;
    let query = store::users::query(asked.or(own), req.query.get("name"));
    let by = ["domain_id", "name"];
    let query = list::narrow(query, ("u.id", "u.id >= {}"), &req.query, &by);
    let mut users = store::users::fetch(cx.db(), &query).await?;
    users.retain(|user| own.is_none_or(|own| user.domain_id.as_str() == own));
    let attributes = [
        "name",
        "domain_id",
        "enabled",
        "default_project_id",
        "email",
    ];
    list::reply(&cx, ("/v3/users", &req.query), &attributes, users)
}

/// Loads the user and asks the rule.
async fn load<R: nephos_auth::Rule>(
    cx: &Cx,
    rule: R,
    id: &str,
) -> Result<Authorized<User, R>, Fault> {
    reach(cx, rule, (id, store::users::get(cx.db(), id).await?))
}

endpoint! {
    /// Show a user.
    ShowUser: GET "/v3/users/{user_id}" => 200,
    policy: Loaded<rules::GetUser>,
    path: UserPath,
    reply: Json<One<User>>,
    handler: show_user,
}
async fn show_user(cx: Cx, req: Req<ShowUser>) -> Reply<ShowUser> {
    let user = load(&cx, rules::GetUser, &req.path.user_id).await?;
    Ok(Json(One::new(&cx, user.into_inner())))
}

endpoint! {
    /// Change a user.
    UpdateUser: PATCH "/v3/users/{user_id}" => 200,
    policy: Loaded<rules::UpdateUser>,
    path: UserPath,
    body: Json<Under<UserBody>>,
    reply: Json<One<User>>,
    handler: update_user,
}
async fn update_user(cx: Cx, req: Req<UpdateUser>) -> Reply<UpdateUser> {
    let before = load(&cx, rules::UpdateUser, &req.path.user_id)
        .await?
        .into_inner();
    let mut user = before.clone();
    let Json(Under(mut body)) = req.body;
    if body
        .domain_id
        .as_ref()
        .is_some_and(|domain| domain != user.domain_id.as_str())
    {
        return Err(Fault::bad_request(
            "The domain of a user cannot be changed.",
        ));
    }
    clean(&mut body.extra, &RESERVED, Some(user.id.as_str()))?;
    let hash = match &body.password {
        Some(Some(password)) => {
            check_new_password(&cx, password)?;
            Some(cx.passwords.hash(password).await?)
        }
        Some(None) | None => None,
    };
    if let Some(default) = body.default_project_id {
        user.default_project_id = default.map(ProjectId);
        check_default_project(&cx, user.default_project_id.as_ref()).await?;
    }
    let was_enabled = user.enabled;
    user.name = body.name.map_or(user.name, |name| name.0);
    user.enabled = body.enabled.unwrap_or(user.enabled);
    user.extra.merge(body.extra);
    merge_user_options(&mut user.options, body.options.unwrap_or_default())?;
    let mut tx = cx.write().await?;
    let updated = store::users::update(&mut tx, &before, &user).await;
    updated.map_err(|error| taken(error, "user", same_name(&user)))?;
    match (&hash, &body.password) {
        (Some(hash), _) => {
            let keep = (cx.now(), remembered(&cx));
            store::users::set_password(&mut tx, &user.id, hash, keep).await?;
            store::users::clear_failures(&mut tx, user.id.as_str()).await?;
        }
        (None, Some(None)) => store::users::remove_passwords(&mut tx, &user.id).await?,
        (None, _) => {}
    }
    let mut ends = Vec::new();
    if body.password.is_some() || (was_enabled && !user.enabled) {
        let mut revocation = cx.revocation();
        revocation.user_id = Some(user.id.clone());
        ends.push(revocation);
    }
    cx.commit_revoking(tx, ends).await?;
    Ok(Json(One::new(&cx, user)))
}

/// How many passwords of a user are kept, the one in force included.
fn remembered(cx: &Cx) -> usize {
    usize::try_from(cx.config.remembered_passwords.max(1)).unwrap_or(1)
}

endpoint! {
    /// Remove a user.
    DeleteUser: DELETE "/v3/users/{user_id}" => 204,
    policy: Loaded<rules::DeleteUser>,
    path: UserPath,
    reply: Empty,
    handler: delete_user,
}
async fn delete_user(cx: Cx, req: Req<DeleteUser>) -> Reply<DeleteUser> {
    let user = load(&cx, rules::DeleteUser, &req.path.user_id).await?;
    let mut revocation = cx.revocation();
    revocation.user_id = Some(user.id.clone());
    let mut tx = cx.write().await?;
    let trusts = store::users::remove(&mut tx, user.id.as_str()).await?;
    let ends = ended(&cx, trusts).chain([revocation]).collect();
    cx.commit_revoking(tx, ends).await?;
    Ok(Empty)
}

/// The old and the new password.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PasswordChange {
    original_password: String,
    password: String,
}

impl Keyed for PasswordChange {
    const KEY: &'static str = "user";
}

impl std::fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordChange")
    }
}

endpoint! {
    /// Change one's own password. The old one is the proof; a token is not needed.
    ChangePassword: POST "/v3/users/{user_id}/password" => 204,
    policy: Public,
    path: UserPath,
    body: Json<Under<PasswordChange>>,
    reply: Empty,
    handler: change_password,
}
async fn change_password(cx: Cx, req: Req<ChangePassword>) -> Reply<ChangePassword> {
    let Json(Under(body)) = req.body;
    let user = store::users::get(cx.db(), &req.path.user_id).await?;
    let right = check_password(&cx, user.as_ref(), &body.original_password).await?;
    let user = user.filter(|user| user.enabled);
    let (user, right) = user.zip(right).ok_or_else(|| unauthorized(&cx))?;
    if user.options.is_true("lock_password") {
        return Err(Fault::bad_request(
            "Password validation error: the password of this account is changed by its administrator only.",
        ));
    }
    check_new_password(&cx, &body.password)?;
    let limit = cx.config.remembered_passwords;
    if limit > 1 {
        for old in store::users::passwords(cx.db(), &user.id)
            .await?
            .iter()
            .take(remembered(&cx))
        {
            if cx.passwords.check(&body.password, Some(old)).await? {
                return Err(Fault::bad_request(format!(
                    "The new password cannot be identical to a previous password. The total number \
                     which includes the new password must be unique is {limit}."
                )));
            }
        }
    }
    let hash = cx.passwords.hash(&body.password).await?;
    let mut revocation = cx.revocation();
    revocation.user_id = Some(user.id.clone());
    let mut tx = cx.write().await?;
    store::users::still(&mut tx, &user).await?;
    // Of several changes with the same old password one finds it.
    store::users::still_in_force(&mut tx, &user.id, &right.hash).await?;
    store::users::set_password(&mut tx, &user.id, &hash, (cx.now(), remembered(&cx))).await?;
    store::users::clear_failures(&mut tx, user.id.as_str()).await?;
    cx.commit_revoking(tx, vec![revocation]).await?;
    Ok(Empty)
}

endpoint! {
    /// List the groups of a user.
    ListUserGroups: GET "/v3/users/{user_id}/groups" => 200,
    policy: Loaded<rules::ListGroupsForUser>,
    path: UserPath,
    query: Params,
    reply: Json<Many<Group>>,
    handler: list_user_groups,
}
async fn list_user_groups(cx: Cx, req: Req<ListUserGroups>) -> Reply<ListUserGroups> {
    let user = load(&cx, rules::ListGroupsForUser, &req.path.user_id).await?;
    let mut groups = store::groups::of_user(cx.db(), user.id.as_str()).await?;
    let own = cx.caller.domain_id();
    groups.retain(|group| own.is_none_or(|own| group.domain_id == *own));
    let path = format!("/v3/users/{}/groups", user.id);
    list::reply(&cx, (&path, &req.query), &["name", "domain_id"], groups)
}

endpoint! {
    /// List the projects on which a user has a role.
    ListUserProjects: GET "/v3/users/{user_id}/projects" => 200,
    policy: Loaded<rules::ListUserProjects>,
    path: UserPath,
    query: Params,
    reply: Json<Many<Project>>,
    handler: list_user_projects,
}
async fn list_user_projects(cx: Cx, req: Req<ListUserProjects>) -> Reply<ListUserProjects> {
    let user = load(&cx, rules::ListUserProjects, &req.path.user_id).await?;
    let projects = projects_of(&cx, user.id.as_str()).await?;
    let path = format!("/v3/users/{}/projects", user.id);
    list::reply(
        &cx,
        (&path, &req.query),
        &["name", "domain_id", "enabled"],
        projects,
    )
}

endpoint! {
    /// List the domains on which a user has a role.
    ListUserDomains: GET "/v3/users/{user_id}/domains" => 200,
    policy: Loaded<rules::ListDomainsForUser>,
    path: UserPath,
    query: Params,
    reply: Json<Many<Domain>>,
    handler: list_user_domains,
}
async fn list_user_domains(cx: Cx, req: Req<ListUserDomains>) -> Reply<ListUserDomains> {
    // Upstream's rule lets everybody ask; here only those who may ask for the user's projects get an answer.
    let user = load(&cx, rules::ListUserProjects, &req.path.user_id).await?;
    let domains = domains_of(&cx, user.id.as_str()).await?;
    let path = format!("/v3/users/{}/domains", user.id);
    list::reply(&cx, (&path, &req.query), &["name", "enabled"], domains)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateUser,
        ListUsers,
        ShowUser,
        UpdateUser,
        DeleteUser,
        ChangePassword,
        ListUserGroups,
        ListUserProjects,
        ListUserDomains,
    ]
}
