//! Security groups.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_db::Tx;
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::{self, Keys, Kind, Made, Many, One};
use crate::api::input::{self, Flag, Name};
use crate::api::listing::{self, Filter, Listing, asked_fields, visible};
use crate::api::resource;
use crate::api::security_group_rules::{RuleView, rule_view};
use crate::api::{ById, allow};
use crate::model::refusal::{Class, Refusal};
use crate::model::security_group::{DEFAULT, SecurityGroup};
use crate::model::sharing::Grants;
use crate::rules;
use crate::store::{
    Reader, news, port_links, publish, quotas, rules as store_rules, security_groups, tags,
};

pub(crate) struct GroupKind;

impl Kind for GroupKind {
    const ONE: &'static str = "security_group";
    const MANY: &'static str = "security_groups";
    type View = GroupView;
    type New = NewGroup;
    type Change = GroupChange;
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGroup {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    stateful: Option<Flag>,
    tags: Option<Vec<String>>,
    project_id: Option<String>,
    tenant_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    stateful: Option<Flag>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupView {
    id: String,
    name: String,
    description: String,
    tenant_id: String,
    project_id: String,
    stateful: bool,
    shared: bool,
    security_group_rules: Vec<RuleView>,
    tags: Vec<String>,
    revision_number: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

fn view(cx: &Cx, group: &SecurityGroup) -> GroupView {
    GroupView {
        id: group.id.clone(),
        name: group.name.clone(),
        description: group.description.clone(),
        tenant_id: group.project_id.clone(),
        project_id: group.project_id.clone(),
        stateful: group.stateful,
        shared: group.grants.shared_with(resource::own(&cx.caller)),
        security_group_rules: group.rules.iter().map(rule_view).collect(),
        tags: group.tags.clone(),
        revision_number: group.revision,
        created_at: group.created_at,
        updated_at: group.updated_at,
    }
}

const LISTING: Listing = Listing {
    id: "id",
    updated_at: "updated_at",
    marker: "SELECT id, name, description, project_id, stateful, created_at, updated_at, revision FROM security_groups",
    filters: &[
        ("id", Filter::Text("id")),
        ("name", Filter::Text("name")),
        ("description", Filter::Text("description")),
        ("project_id", Filter::Text("project_id")),
        ("tenant_id", Filter::Text("project_id")),
        ("stateful", Filter::Flag("stateful")),
        ("is_default", Filter::Flag("is_default")),
        ("revision_number", Filter::Int("revision")),
        ("shared", Filter::Custom(listing::shared_is)),
    ],
    sorts: &[
        ("name", "name"),
        ("description", "description"),
        ("project_id", "project_id"),
        ("tenant_id", "project_id"),
        ("stateful", "stateful"),
        ("revision_number", "revision"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
};

/// Every project has a default group from the moment somebody looks.
pub(super) async fn ensure_own_default(cx: &Cx) -> Result<(), Fault> {
    let own = resource::own(&cx.caller);
    if own.is_empty() {
        return Ok(());
    }
    let found = security_groups::default_of(&mut Reader::Db(cx.db()), own).await?;
    if found.is_none() {
        let mut tx = cx.write().await?;
        security_groups::ensure_default(&mut tx, own, cx.now()).await?;
        tx.commit().await?;
    }
    Ok(())
}

endpoint! {
    /// List security groups.
    ListSecurityGroups: GET "/v2.0/security-groups" => 200,
    policy: rules::GetSecurityGroup,
    query: Params,
    reply: Json<Many<GroupKind>>,
    handler: list_security_groups,
}
async fn list_security_groups(cx: Cx, req: Req<ListSecurityGroups>) -> Reply<ListSecurityGroups> {
    ensure_own_default(&cx).await?;
    let query = visible(
        &cx,
        security_groups::query(),
        "project_id = {}",
        "id IN (SELECT object_id FROM rbac_policies WHERE object_type = 'security_group' AND target_project IN ('*', {}))",
    );
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = security_groups::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let mut rows = Vec::new();
    for group in &found {
        rows.push((
            group.id.clone(),
            envelope::show(&view(&cx, group), &asked.keys)?,
        ));
    }
    Ok(Json(asked.page(&cx, "/v2.0/security-groups", rows)))
}

endpoint! {
    /// Show a security group.
    ShowSecurityGroup: GET "/v2.0/security-groups/{id}" => 200,
    policy: Loaded<rules::GetSecurityGroup>,
    path: ById,
    query: Params,
    reply: Json<One<GroupKind>>,
    handler: show_security_group,
}
async fn show_security_group(cx: Cx, req: Req<ShowSecurityGroup>) -> Reply<ShowSecurityGroup> {
    ensure_own_default(&cx).await?;
    let id = req.path.id.as_str();
    let found = security_groups::get(&mut Reader::Db(cx.db()), id).await?;
    let group = allow(&cx, rules::GetSecurityGroup, (id, found))?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&view(&cx, &group), &keys)?))
}

endpoint! {
    /// Create one or more security groups.
    CreateSecurityGroups: POST "/v2.0/security-groups" => 201,
    policy: Loaded<rules::CreateSecurityGroup>,
    body: envelope::New<GroupKind>,
    reply: Json<Made<GroupKind>>,
    handler: create_security_groups,
}
async fn create_security_groups(
    cx: Cx,
    req: Req<CreateSecurityGroups>,
) -> Reply<CreateSecurityGroups> {
    let mut planned = Vec::new();
    for new in &req.body.items {
        planned.push(plan(&cx, new)?);
    }
    let mut tx = cx.write().await?;
    let mut views = Vec::new();
    for mut group in planned {
        insert(&mut tx, &mut group).await?;
        views.push(view(&cx, &group));
    }
    tx.commit().await?;
    Ok(Json(Made::of(&views, req.body.bulk, &Keys::default())?))
}

fn plan(cx: &Cx, new: &NewGroup) -> Result<SecurityGroup, Fault> {
    let project_id = input::project(cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
    cx.require(rules::CreateSecurityGroup, &Target::of_project(&project_id))?;
    let name = new.name.clone().unwrap_or_default().0;
    check_name(&name)?;
    let now = cx.now();
    Ok(SecurityGroup {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id,
        name,
        description: new.description.clone().unwrap_or_default().0,
        is_default: false,
        stateful: new.stateful.is_none_or(|flag| flag.0),
        revision: 1,
        created_at: now,
        updated_at: now,
        rules: Vec::new(),
        grants: Grants::default(),
        tags: input::check_tags(new.tags.as_deref().unwrap_or_default())?,
    })
}

/// The name of the default group is nobody else's.
fn check_name(name: &str) -> Result<(), Refusal> {
    if !name.eq_ignore_ascii_case(DEFAULT) {
        return Ok(());
    }
    Err(Refusal::conflict(
        "SecurityGroupDefaultAlreadyExists",
        "Default security group already exists.",
    ))
}

async fn insert(tx: &mut Tx, group: &mut SecurityGroup) -> Result<(), Fault> {
    if !group.project_id.is_empty() {
        security_groups::ensure_default(tx, &group.project_id, group.created_at).await?;
    }
    quotas::take(tx, &group.project_id, "security_group", 1).await?;
    security_groups::insert(tx, group).await?;
    group.rules = security_groups::insert_first_rules(tx, group).await?;
    let count = i64::try_from(group.rules.len()).unwrap_or_default();
    quotas::take(tx, &group.project_id, "security_group_rule", count).await?;
    for tag in &group.tags {
        tags::insert(tx, &group.id, tag).await?;
    }
    Ok(())
}

endpoint! {
    /// Change a security group.
    UpdateSecurityGroup: PUT "/v2.0/security-groups/{id}" => 200,
    policy: Loaded<rules::UpdateSecurityGroup>,
    path: ById,
    body: envelope::Change<GroupKind>,
    reply: Json<One<GroupKind>>,
    handler: update_security_group,
}
async fn update_security_group(
    cx: Cx,
    req: Req<UpdateSecurityGroup>,
) -> Reply<UpdateSecurityGroup> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = security_groups::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut group = allow(&cx, rules::UpdateSecurityGroup, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), group.revision)?;
    let change = &req.body.0;
    if let Some(name) = &change.name {
        if group.is_default && name.0 != DEFAULT {
            return Err(Refusal::conflict(
                "SecurityGroupCannotUpdateDefault",
                "Updating default security group not allowed.",
            )
            .into());
        }
        if !group.is_default {
            check_name(&name.0)?;
        }
        group.name.clone_from(&name.0);
    }
    if let Some(description) = &change.description {
        group.description.clone_from(&description.0);
    }
    if let Some(Flag(stateful)) = change.stateful {
        check_stateful(&mut tx, &group, stateful).await?;
        group.stateful = stateful;
    }
    group.updated_at = cx.now();
    security_groups::update(&mut tx, &group).await?;
    group.revision += 1;
    publish::group(&mut tx, cx.now(), id).await?;
    if change.name.is_some() {
        news::of_group(&mut tx, cx.now(), id).await?;
    }
    tx.commit().await?;
    Ok(Json(One::of(&view(&cx, &group), &Keys::default())?))
}

async fn check_stateful(tx: &mut Tx, group: &SecurityGroup, stateful: bool) -> Result<(), Fault> {
    if group.stateful == stateful {
        return Ok(());
    }
    let ports = port_links::having(tx, &group.id).await?;
    in_use(group, &ports)
}

fn in_use(group: &SecurityGroup, ports: &[String]) -> Result<(), Fault> {
    if ports.is_empty() {
        return Ok(());
    }
    let some: Vec<&str> = ports.iter().take(5).map(String::as_str).collect();
    Err(Refusal::conflict(
        "SecurityGroupInUse",
        format!(
            "Security Group {} in use by ports {}.",
            group.id,
            some.join(", ")
        ),
    )
    .into())
}

endpoint! {
    /// Delete a security group.
    DeleteSecurityGroup: DELETE "/v2.0/security-groups/{id}" => 204,
    policy: Loaded<rules::DeleteSecurityGroup>,
    path: ById,
    reply: Empty,
    handler: delete_security_group,
}
async fn delete_security_group(
    cx: Cx,
    req: Req<DeleteSecurityGroup>,
) -> Reply<DeleteSecurityGroup> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = security_groups::get(&mut Reader::Tx(&mut tx), id).await?;
    let group = allow(&cx, rules::DeleteSecurityGroup, (id, found))?;
    input::check_if_match(req.header("if-match"), group.revision)?;
    if group.is_default && !cx.caller.is_admin() {
        return Err(Refusal::new(
            Class::Conflict,
            "SecurityGroupCannotRemoveDefault",
            "Insufficient rights for removing default security group.",
        )
        .into());
    }
    let now = cx.now();
    let ports = port_links::having(&mut tx, id).await?;
    in_use(&group, &ports)?;
    // Rules elsewhere that name the group go with it, as Neutron has it.
    let naming = store_rules::naming(&mut tx, id).await?;
    for rule in naming.iter().filter(|rule| rule.security_group_id != id) {
        store_rules::remove(&mut tx, &rule.id).await?;
        quotas::give(&mut tx, &rule.project_id, "security_group_rule", 1).await?;
        security_groups::bump(&mut tx, &rule.security_group_id, now).await?;
        publish::group(&mut tx, now, &rule.security_group_id).await?;
    }
    let count = security_groups::remove(&mut tx, id).await?;
    quotas::give(&mut tx, &group.project_id, "security_group_rule", count).await?;
    quotas::give(&mut tx, &group.project_id, "security_group", 1).await?;
    publish::group(&mut tx, now, id).await?;
    tx.commit().await?;
    Ok(Empty)
}
