//! Groups and who is in them.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Authorized, Rule, Target};
use nephos_runtime::ids;
use nephos_types::DomainId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::app_credentials::remove_without_roles;
use super::auth::own_domain;
use super::fault::{not_found, reach, require, taken};
use super::list;
use super::shape::{Keyed, Many, Named, One, Under};
use super::users::clean;
use crate::model::assignment::ActorKind;
use crate::model::directory::{Group, User};
use crate::model::extra::{Extra, Name};
use crate::{Cx, Svc, rules, store};

impl Named for Group {
    const ONE: &'static str = "group";
    const MANY: &'static str = "groups";
    const PATH: &'static str = "/v3/groups";
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct GroupPath {
    group_id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct MemberPath {
    group_id: String,
    user_id: String,
}

/// A group to be: `name` is needed to create one.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct GroupBody {
    #[serde(default)]
    name: Option<Name<255>>,
    #[serde(default)]
    domain_id: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(flatten)]
    extra: Extra,
}

impl Keyed for GroupBody {
    const KEY: &'static str = "group";
}

const RESERVED: [&str; 2] = ["id", "links"];

fn same_name(group: &Group) -> String {
    format!("name {} at domain ID {}", group.name, group.domain_id)
}

endpoint! {
    /// Create a group.
    CreateGroup: POST "/v3/groups" => 201,
    policy: Loaded<rules::CreateGroup>,
    body: Json<Under<GroupBody>>,
    reply: Json<One<Group>>,
    handler: create_group,
}
async fn create_group(cx: Cx, req: Req<CreateGroup>) -> Reply<CreateGroup> {
    let Json(Under(body)) = req.body;
    let domain_id = body.domain_id.map_or_else(|| own_domain(&cx), DomainId);
    let target = Target::new().with("target.group.domain_id", &domain_id);
    require(&cx, rules::CreateGroup, &target)?;
    let domain = store::projects::get(cx.db(), domain_id.as_str()).await?;
    if !domain.is_some_and(|domain| domain.is_domain) {
        return Err(not_found("domain", domain_id.as_str()));
    }
    let name = body
        .name
        .ok_or_else(|| Fault::bad_request("'name' is a required property"))?;
    let mut group = Group {
        id: ids::hex(),
        name: name.0,
        domain_id,
        description: body.description.unwrap_or_default(),
        extra: body.extra,
    };
    clean(&mut group.extra, &RESERVED, None)?;
    let mut tx = cx.write().await?;
    let inserted = store::groups::insert(&mut tx, &group).await;
    inserted.map_err(|error| taken(error, "group", same_name(&group)))?;
    tx.commit().await?;
    Ok(Json(One::new(&cx, group)))
}

endpoint! {
    /// List groups.
    ListGroups: GET "/v3/groups" => 200,
    policy: Loaded<rules::ListGroups>,
    query: Params,
    reply: Json<Many<Group>>,
    handler: list_groups,
}
async fn list_groups(cx: Cx, req: Req<ListGroups>) -> Reply<ListGroups> {
    let own = cx.caller.domain_id().map(DomainId::as_str);
    let asked = req.query.get("domain_id");
    let target = Target::new().with("target.group.domain_id", asked.or(own));
    require(&cx, rules::ListGroups, &target)?;
    let mut groups = store::groups::list(cx.db(), asked.or(own), req.query.get("name")).await?;
    groups.retain(|group| own.is_none_or(|own| group.domain_id.as_str() == own));
    list::reply(
        &cx,
        ("/v3/groups", &req.query),
        &["name", "domain_id"],
        groups,
    )
}

async fn load<R: Rule>(cx: &Cx, rule: R, id: &str) -> Result<Authorized<Group, R>, Fault> {
    reach(cx, rule, (id, store::groups::get(cx.db(), id).await?))
}

endpoint! {
    /// Show a group.
    ShowGroup: GET "/v3/groups/{group_id}" => 200,
    policy: Loaded<rules::GetGroup>,
    path: GroupPath,
    reply: Json<One<Group>>,
    handler: show_group,
}
async fn show_group(cx: Cx, req: Req<ShowGroup>) -> Reply<ShowGroup> {
    let group = load(&cx, rules::GetGroup, &req.path.group_id).await?;
    Ok(Json(One::new(&cx, group.into_inner())))
}

endpoint! {
    /// Change a group.
    UpdateGroup: PATCH "/v3/groups/{group_id}" => 200,
    policy: Loaded<rules::UpdateGroup>,
    path: GroupPath,
    body: Json<Under<GroupBody>>,
    reply: Json<One<Group>>,
    handler: update_group,
}
async fn update_group(cx: Cx, req: Req<UpdateGroup>) -> Reply<UpdateGroup> {
    let before = load(&cx, rules::UpdateGroup, &req.path.group_id)
        .await?
        .into_inner();
    let mut group = before.clone();
    let Json(Under(mut body)) = req.body;
    if body
        .domain_id
        .as_ref()
        .is_some_and(|domain| domain != group.domain_id.as_str())
    {
        return Err(Fault::bad_request(
            "The domain of a group cannot be changed.",
        ));
    }
    clean(&mut body.extra, &RESERVED, Some(&group.id))?;
    group.name = body.name.map_or(group.name, |name| name.0);
    group.description = body.description.unwrap_or(group.description);
    group.extra.merge(body.extra);
    let mut tx = cx.write().await?;
    let updated = store::groups::update(&mut tx, &before, &group).await;
    updated.map_err(|error| taken(error, "group", same_name(&group)))?;
    tx.commit().await?;
    Ok(Json(One::new(&cx, group)))
}

endpoint! {
    /// Remove a group. Its members lose the roles that it gave them, and their tokens.
    DeleteGroup: DELETE "/v3/groups/{group_id}" => 204,
    policy: Loaded<rules::DeleteGroup>,
    path: GroupPath,
    reply: Empty,
    handler: delete_group,
}
async fn delete_group(cx: Cx, req: Req<DeleteGroup>) -> Reply<DeleteGroup> {
    let id = &req.path.group_id;
    // Keystone says to everybody that there is none.
    let found = store::groups::get(cx.db(), id).await?;
    let found = found.ok_or_else(|| not_found("group", id))?;
    let group = reach(&cx, rules::DeleteGroup, (id, Some(found)))?;
    let mut tx = cx.write().await?;
    let gives_roles = store::assignments::count_of(&mut tx, &group.id).await? > 0;
    let members = store::groups::members(&mut tx, &group.id).await?;
    let apps = store::access::apps_of_actor(&mut tx, ActorKind::Group, &group.id).await?;
    store::groups::remove(&mut tx, &group.id).await?;
    let ends = members.into_iter().filter(|_| gives_roles).map(|user| {
        let mut revocation = cx.revocation();
        revocation.user_id = Some(user.into());
        revocation
    });
    let mut ends: Vec<_> = ends.collect();
    ends.extend(remove_without_roles(&cx, &mut tx, apps, None).await?);
    cx.commit_revoking(tx, ends).await?;
    Ok(Empty)
}

endpoint! {
    /// List the users of a group.
    ListGroupUsers: GET "/v3/groups/{group_id}/users" => 200,
    policy: Loaded<rules::ListUsersInGroup>,
    path: GroupPath,
    query: Params,
    reply: Json<Many<User>>,
    handler: list_group_users,
}
async fn list_group_users(cx: Cx, req: Req<ListGroupUsers>) -> Reply<ListGroupUsers> {
    let group = load(&cx, rules::ListUsersInGroup, &req.path.group_id).await?;
    let mut users = store::users::of_group(cx.db(), &group.id).await?;
    let own = cx.caller.domain_id();
    users.retain(|user| own.is_none_or(|own| user.domain_id == *own));
    let path = format!("/v3/groups/{}/users", group.id);
    list::reply(
        &cx,
        (&path, &req.query),
        &["name", "domain_id", "enabled"],
        users,
    )
}

/// Group and user of a membership, after the rule said yes to both together.
async fn pair<R: Rule>(cx: &Cx, rule: R, path: &MemberPath) -> Result<(Group, User), Fault> {
    use nephos_auth::Resource;
    let group = store::groups::get(cx.db(), &path.group_id).await?;
    let user = store::users::get(cx.db(), &path.user_id).await?;
    let mut target = Target::new();
    if let Some(group) = &group {
        group.target(&mut target);
    }
    if let Some(user) = &user {
        user.target(&mut target);
    }
    require(cx, rule, &target)?;
    let group = group.ok_or_else(|| not_found("group", &path.group_id))?;
    let user = user.ok_or_else(|| not_found("user", &path.user_id))?;
    Ok((group, user))
}

endpoint! {
    /// Put a user into a group.
    AddUserToGroup: PUT "/v3/groups/{group_id}/users/{user_id}" => 204,
    policy: Loaded<rules::AddUserToGroup>,
    path: MemberPath,
    reply: Empty,
    handler: add_user_to_group,
}
async fn add_user_to_group(cx: Cx, req: Req<AddUserToGroup>) -> Reply<AddUserToGroup> {
    let (group, user) = pair(&cx, rules::AddUserToGroup, &req.path).await?;
    let mut tx = cx.write().await?;
    store::groups::add(&mut tx, &group.id, user.id.as_str()).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Say whether a user is in a group.
    CheckUserInGroup: GET "/v3/groups/{group_id}/users/{user_id}" => 204,
    policy: Loaded<rules::CheckUserInGroup>,
    path: MemberPath,
    reply: Empty,
    handler: check_user_in_group,
}
async fn check_user_in_group(cx: Cx, req: Req<CheckUserInGroup>) -> Reply<CheckUserInGroup> {
    let (group, user) = pair(&cx, rules::CheckUserInGroup, &req.path).await?;
    if !store::groups::is_member(cx.db(), &group.id, user.id.as_str()).await? {
        return Err(Fault::not_found(format!(
            "User '{}' not found in group '{}'",
            user.id, group.id
        )));
    }
    Ok(Empty)
}

endpoint! {
    /// Take a user out of a group; tokens that may carry the group's roles end.
    RemoveUserFromGroup: DELETE "/v3/groups/{group_id}/users/{user_id}" => 204,
    policy: Loaded<rules::RemoveUserFromGroup>,
    path: MemberPath,
    reply: Empty,
    handler: remove_user_from_group,
}
async fn remove_user_from_group(
    cx: Cx,
    req: Req<RemoveUserFromGroup>,
) -> Reply<RemoveUserFromGroup> {
    let (group, user) = pair(&cx, rules::RemoveUserFromGroup, &req.path).await?;
    let mut revocation = cx.revocation();
    revocation.user_id = Some(user.id.clone());
    let mut tx = cx.write().await?;
    if !store::groups::take_out(&mut tx, &group.id, user.id.as_str()).await? {
        return Err(Fault::not_found(format!(
            "User '{}' not found in group '{}'",
            user.id, group.id
        )));
    }
    let apps = store::access::apps_of_actor(&mut tx, ActorKind::User, user.id.as_str()).await?;
    let mut ends = remove_without_roles(&cx, &mut tx, apps, None).await?;
    ends.push(revocation);
    cx.commit_revoking(tx, ends).await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateGroup,
        ListGroups,
        ShowGroup,
        UpdateGroup,
        DeleteGroup,
        ListGroupUsers,
        AddUserToGroup,
        CheckUserInGroup,
        RemoveUserFromGroup,
    ]
}
