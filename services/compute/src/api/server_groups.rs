//! `/os-server-groups`.

use nephos_api::version::{hide, v};
use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, Shape, endpoint};
use nephos_auth::Target;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::flavors::Number;
use super::versions::{GROUP_CREATE, GROUP_VIEW};
use super::{Cx, page_limit};
use crate::model::name;
use crate::model::server_group::{Policy, ServerGroup};
use crate::{rules, store};

/// A server group as the newest version shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupView {
    id: String,
    name: String,
    policy: &'static str,
    rules: Value,
    #[serde(rename = "_policies", skip_serializing_if = "hide")]
    policies: Vec<&'static str>,
    #[serde(rename = "_metadata", skip_serializing_if = "hide")]
    metadata: Map<String, Value>,
    members: Vec<String>,
    project_id: String,
    user_id: String,
}

fn view(group: ServerGroup, members: Vec<String>) -> GroupView {
    let rules = match group.max_per_host {
        Some(most) => json!({ "max_server_per_host": most }),
        None => json!({}),
    };
    GroupView {
        id: group.id,
        name: group.name,
        policy: group.policy.word(),
        rules,
        policies: vec![group.policy.word()],
        metadata: Map::new(),
        members,
        project_id: group.project_id.into(),
        user_id: group.user_id.into(),
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct GroupReply {
    server_group: GroupView,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct GroupList {
    server_groups: Vec<GroupView>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GroupPath {
    id: String,
}

endpoint! {
    /// List server groups.
    ListServerGroups: GET "/v2.1/os-server-groups" => 200,
    policy: rules::ListGroups,
    query: Params,
    reply: Json<GroupList> as Shape::each("server_groups", GROUP_VIEW),
    handler: list_server_groups,
}

async fn list_server_groups(cx: Cx, req: Req<ListServerGroups>) -> Reply<ListServerGroups> {
    let known = ["all_projects", "limit", "offset"];
    super::refuse_unknown(&cx, &req.query, v(2, 75), &known)?;
    let limit = page_limit(req.query.get("limit"))?;
    let offset = req.query.get("offset").unwrap_or("0");
    let offset: u32 = offset.parse().map_err(|_| {
        Fault::bad_request(format!(
            "Invalid input for query parameters offset. Value: {offset}."
        ))
    })?;
    // Nova: who is no admin gets his own, and no refusal.
    let everybody = req.query.get("all_projects").is_some() && cx.caller.is_admin();
    if everybody {
        cx.require(rules::ListAllGroups, &Target::new())?;
    }
    let own = cx.caller.project_id().map(ToString::to_string);
    let project = if everybody {
        None
    } else {
        Some(own.unwrap_or_default())
    };
    let until = offset.saturating_add(limit);
    let groups = store::server_groups::list(cx.db(), project.as_deref(), until).await?;
    let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
    let groups: Vec<ServerGroup> = groups.into_iter().skip(skipped).collect();
    let ids: Vec<String> = groups.iter().map(|group| group.id.clone()).collect();
    let mut members = store::server_groups::members(cx.db(), &ids).await?;
    let shown = groups.into_iter().map(|group| {
        let members = members.remove(&group.id).unwrap_or_default();
        view(group, members)
    });
    Ok(Json(GroupList {
        server_groups: shown.collect(),
    }))
}

/// 404 in Nova's words.
fn name_it(id: &str) -> impl Fn(Fault) -> Fault + '_ {
    move |fault| {
        if fault.status.as_u16() == 404 {
            Fault::not_found(format!("Instance group {id} could not be found."))
        } else {
            fault
        }
    }
}

endpoint! {
    /// Show a server group.
    ShowServerGroup: GET "/v2.1/os-server-groups/{id}" => 200,
    policy: Loaded<rules::ShowServerGroup>,
    path: GroupPath,
    reply: Json<GroupReply> as Shape::one("server_group", GROUP_VIEW),
    handler: show_server_group,
}

async fn show_server_group(cx: Cx, req: Req<ShowServerGroup>) -> Reply<ShowServerGroup> {
    let id = req.path.id.as_str();
    let found = store::server_groups::get(cx.db(), id).await?;
    let group = cx
        .allow(rules::ShowServerGroup, found)
        .map_err(name_it(id))?;
    let mut members = store::server_groups::members(cx.db(), &[id.to_owned()]).await?;
    let members = members.remove(id).unwrap_or_default();
    Ok(Json(GroupReply {
        server_group: view(group.into_inner(), members),
    }))
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct GroupBody {
    server_group: NewGroup,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct NewGroup {
    name: String,
    #[serde(default)]
    policies: Option<Vec<String>>,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    rules: Option<GroupRules>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupRules {
    #[serde(default)]
    max_server_per_host: Option<Number>,
}

endpoint! {
    /// Create a server group.
    CreateServerGroup: POST "/v2.1/os-server-groups" => 200,
    policy: rules::CreateServerGroup,
    body: Json<GroupBody> as Shape::one("server_group", GROUP_CREATE).keys(&["name", "policies", "policy", "rules"]),
    reply: Json<GroupReply> as Shape::one("server_group", GROUP_VIEW),
    handler: create_server_group,
}

async fn create_server_group(cx: Cx, req: Req<CreateServerGroup>) -> Reply<CreateServerGroup> {
    let asked = req.body.0.server_group;
    let project = cx.caller.project_id().cloned();
    let project_id = project.ok_or_else(|| {
        Fault::forbidden("A server group belongs to a project: use a token that is scoped to one.")
    })?;
    let name = name::check("name", &asked.name).map_err(Fault::bad_request)?;
    let policy = policy(&cx, asked.policies, asked.policy)?;
    let most = asked.rules.and_then(|rules| rules.max_server_per_host);
    let max_per_host = most
        .map(|most| most.whole("max_server_per_host", 1, i64::from(i32::MAX)))
        .transpose()?
        .and_then(|most| i64::try_from(most).ok());
    if max_per_host.is_some() && policy != Policy::AntiAffinity {
        return Err(Fault::bad_request(
            "Only anti-affinity policy supports rules.",
        ));
    }
    let group = ServerGroup {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id,
        user_id: cx.caller.user_id.clone(),
        name,
        policy,
        max_per_host,
        created_at: cx.now(),
    };
    let project = group.project_id.as_str();
    let limits = store::quota::limits(cx.db(), project).await?;
    let mut tx = cx.write().await?;
    let taken = store::quota::take_one(&mut tx, project, &limits, QUOTA).await?;
    if taken.is_err() {
        return Err(Fault::forbidden(
            "Quota exceeded, too many server groups. Delete one that is not needed, or ask an administrator for more.",
        ));
    }
    store::server_groups::insert(&mut tx, &group).await?;
    tx.commit().await?;
    Ok(Json(GroupReply {
        server_group: view(group, Vec::new()),
    }))
}

/// What a group takes of its project's quota.
const QUOTA: (&str, i64) = ("server_groups", 1);

/// 2.64: one policy by name, a list of one before; 2.15: the soft ones.
fn policy(cx: &Cx, list: Option<Vec<String>>, one: Option<String>) -> Result<Policy, Fault> {
    let named = cx.version >= v(2, 64);
    let key = if named { "policy" } else { "policies" };
    let words = if named {
        one.into_iter().collect()
    } else {
        list.unwrap_or_default()
    };
    let [word] = words.as_slice() else {
        return Err(Fault::bad_request(format!(
            "Invalid input for field/attribute server_group. '{key}' is a required property, and names one policy."
        )));
    };
    let known = Policy::parse(word).filter(|policy| !policy.is_soft() || cx.version >= v(2, 15));
    known.ok_or_else(|| {
        let words = Policy::ALL.iter().map(|policy| policy.word());
        Fault::bad_request(format!(
            "Invalid input for field/attribute {key}. Value: {word}. It is not one of {}.",
            words.collect::<Vec<_>>().join(", ")
        ))
    })
}

endpoint! {
    /// Delete a server group. Its servers stay.
    DeleteServerGroup: DELETE "/v2.1/os-server-groups/{id}" => 204,
    policy: Loaded<rules::DeleteServerGroup>,
    path: GroupPath,
    reply: Empty,
    handler: delete_server_group,
}

async fn delete_server_group(cx: Cx, req: Req<DeleteServerGroup>) -> Reply<DeleteServerGroup> {
    let id = req.path.id.as_str();
    let found = store::server_groups::get(cx.db(), id).await?;
    let group = cx
        .allow(rules::DeleteServerGroup, found)
        .map_err(name_it(id))?;
    let mut tx = cx.write().await?;
    if !store::server_groups::remove(&mut tx, id).await? {
        return Err(name_it(id)(Fault::not_found("")));
    }
    store::server_groups::let_go(&mut tx, id).await?;
    store::quota::give_back_one(&mut tx, group.project_id.as_str(), QUOTA).await?;
    tx.commit().await?;
    Ok(Empty)
}
