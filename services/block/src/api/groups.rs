//! Groups of volumes.

use std::collections::BTreeMap;

use nephos_api::version::v;
use nephos_api::{Accepted, Fault, Json, Loaded, Params, Reply, Req, Shape, endpoint};
use nephos_auth::{Authorized, Rule, Target};
use serde_json::{Value, json};

use super::fault::{busy, invalid_group, invalid_input, invalid_volume, no_group, over_quota};
use super::group_types::known;
use super::versions::GROUP_VIEW;
use super::volume_create::usable_type;
use super::{
    ItemPath, ProjectPath, at_project, missing, next_link, project_of, volume_by_id, volumes, whose,
};
use crate::model::body::{Fields, truth};
use crate::model::group::{Group, GroupId, GroupStatus};
use crate::model::list::ListQuery;
use crate::model::quota::Usage;
use crate::model::volume::{Owner, Status, Volume};
use crate::ops::{self, Asked};
use crate::store::groups::{self as rows, Listing, SORT_KEYS};
use crate::store::{backends, group_snapshots, quota, volumes as volume_rows};
use crate::{Cx, rules};

/// The group at a path, when the caller may do `R` with it.
pub(crate) async fn group<R: Rule>(
    cx: &Cx,
    rule: R,
    path: &ItemPath,
) -> Result<Authorized<Group, R>, Fault> {
    at_project(cx, &path.project_id)?;
    group_by_id(cx, rule, &path.id).await
}

pub(crate) async fn group_by_id<R: Rule>(
    cx: &Cx,
    rule: R,
    id: &str,
) -> Result<Authorized<Group, R>, Fault> {
    let found = rows::find(cx.db(), &GroupId::from(id)).await?;
    cx.allow(rule, found)
        .map_err(|fault| missing(fault, || no_group(id)))
}

/// What replies say that make a group.
pub(crate) fn brief(group: &Group) -> Value {
    json!({"id": group.id, "name": group.name})
}

/// What groups are shown with.
struct Around {
    types: BTreeMap<String, Vec<String>>,
    volumes: Option<BTreeMap<String, Vec<String>>>,
}

impl Around {
    async fn of(cx: &Cx, groups: &[Group], query: &Params) -> Result<Self, Fault> {
        let ids: Vec<&str> = groups.iter().map(|group| group.id.as_str()).collect();
        let wanted = query.get("list_volume").and_then(truth) == Some(true);
        let volumes = match wanted {
            true => Some(rows::volumes_of(cx.db(), &ids).await?),
            false => None,
        };
        let types = rows::types_of(cx.db(), &ids).await?;
        Ok(Self { types, volumes })
    }

    fn view(&self, cx: &Cx, group: &Group) -> Value {
        let id = group.id.as_str();
        let mut view = json!({
            "id": id, "status": group.status.as_str(), "availability_zone": group.zone,
            "created_at": group.created_at.iso_naive(), "name": group.name, "description": group.description,
            "group_type": group.type_id, "volume_types": self.types.get(id).cloned().unwrap_or_default(),
            "group_snapshot_id": group.group_snapshot_id, "source_group_id": group.source_group_id,
            "replication_status": "not-capable",
        });
        let target = Target::of_project(group.owner.project_id.as_str());
        if let Some(view) = view.as_object_mut() {
            if let Some(volumes) = &self.volumes {
                let own = volumes.get(id).cloned().unwrap_or_default();
                view.insert("volumes".to_owned(), json!(own));
            }
            if cx.may(rules::GroupAttribute, &target) {
                view.insert("project_id".to_owned(), json!(group.owner.project_id));
            }
        }
        view
    }
}

endpoint! {
    /// Create a group without volumes.
    CreateGroup: POST "/v3/{project_id}/groups" => 202,
    versions: 3.13..,
    policy: rules::CreateGroup,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_group,
}
async fn create_group(cx: Cx, req: Req<CreateGroup>) -> Reply<CreateGroup> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "group").map_err(Fault::bad_request)?;
    let keys = [
        "name",
        "description",
        "group_type",
        "volume_types",
        "availability_zone",
    ];
    fields.only(&keys).map_err(Fault::bad_request)?;
    let text = |key: &str| fields.text(key).map_err(Fault::bad_request);
    let required = |key: &str| {
        Fault::bad_request(format!(
            "Invalid input for field/attribute group. '{key}' is a required property"
        ))
    };
    let kind = text("group_type")?.filter(|word| !word.is_empty());
    let kind = known(&cx, &kind.ok_or_else(|| required("group_type"))?).await?;
    if kind.is_consistent() {
        return Err(invalid_input(format!(
            "group type {} needs snapshots of all volumes in one moment, and no back end makes them.",
            kind.name
        )));
    }
    let project = project_of(&cx, &req.path.project_id);
    let words = fields.get("volume_types").and_then(Value::as_array);
    let words = words.filter(|words| !words.is_empty() && words.len() <= 100);
    let mut types = Vec::new();
    for word in words.ok_or_else(|| required("volume_types"))? {
        let word = word.as_str().ok_or_else(|| required("volume_types"))?;
        types.push(usable_type(&cx, &project, word).await?.id);
    }
    let zone = text("availability_zone")?.filter(|zone| !zone.is_empty());
    if let Some(zone) = &zone {
        let all = backends::list(cx.db()).await?;
        if !all.iter().any(|backend| backend.zone == *zone) {
            return Err(invalid_input(format!(
                "Availability zone '{zone}' is invalid."
            )));
        }
    }
    let group = Group {
        id: GroupId::from(nephos_runtime::ids::uuid()),
        owner: Owner {
            project_id: project.into(),
            user_id: cx.caller.user_id.clone(),
        },
        name: text("name")?,
        description: text("description")?,
        type_id: kind.id,
        zone: zone.unwrap_or_else(|| cx.config.zone.clone()),
        // Nothing is left to do for a group without volumes.
        status: GroupStatus::Available,
        group_snapshot_id: None,
        source_group_id: None,
        created_at: cx.now(),
        updated_at: cx.now(),
    };
    let limits = quota::limits(cx.db(), group.owner.project_id.as_str()).await?;
    let mut tx = cx.write().await?;
    insert(&mut tx, (&group, &types), &limits).await?;
    tx.commit().await?;
    Ok(Json(json!({ "group": brief(&group) })))
}

/// Writes a group that is within the quota.
pub(crate) async fn insert(
    tx: &mut nephos_db::Tx,
    (group, types): (&Group, &[String]),
    limits: &BTreeMap<String, i64>,
) -> Result<(), Fault> {
    let project = group.owner.project_id.as_str();
    if let Err(over) = quota::take(tx, project, limits, &Usage::group()).await? {
        return Err(over_quota(&over));
    }
    // Its type may have gone since it was looked at.
    let sql = "SELECT id FROM group_types WHERE id = $1";
    tx.still_there(sql, nephos_db::args![group.type_id]).await?;
    rows::insert(tx, group, types).await?;
    Ok(())
}

endpoint! {
    /// Show a group.
    ShowGroup: GET "/v3/{project_id}/groups/{id}" => 200,
    versions: 3.13..,
    policy: Loaded<rules::GetGroup>,
    path: ItemPath,
    query: Params,
    reply: Json<Value> as Shape::one("group", GROUP_VIEW),
    handler: show_group,
}
async fn show_group(cx: Cx, req: Req<ShowGroup>) -> Reply<ShowGroup> {
    let group = group(&cx, rules::GetGroup, &req.path).await?.into_inner();
    let around = Around::of(&cx, std::slice::from_ref(&group), &req.query).await?;
    Ok(Json(json!({ "group": around.view(&cx, &group) })))
}

endpoint! {
    /// List groups.
    ListGroups: GET "/v3/{project_id}/groups" => 200,
    versions: 3.13..,
    policy: rules::GetAllGroups,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list_groups,
}
async fn list_groups(cx: Cx, req: Req<ListGroups>) -> Reply<ListGroups> {
    let place = (req.path.project_id.as_str(), "groups");
    let (found, links) = page(&cx, place, &req.query).await?;
    let views: Vec<Value> = found.iter().map(brief).collect();
    Ok(Json(listed("groups", views, ("group_links", links))))
}

endpoint! {
    /// List groups with details.
    ListGroupsDetail: GET "/v3/{project_id}/groups/detail" => 200,
    versions: 3.13..,
    policy: rules::GetAllGroups,
    path: ProjectPath,
    query: Params,
    reply: Json<Value> as Shape::each("groups", GROUP_VIEW),
    handler: list_groups_detail,
}
async fn list_groups_detail(cx: Cx, req: Req<ListGroupsDetail>) -> Reply<ListGroupsDetail> {
    let place = (req.path.project_id.as_str(), "groups/detail");
    let (found, links) = page(&cx, place, &req.query).await?;
    let around = Around::of(&cx, &found, &req.query).await?;
    let views: Vec<Value> = found.iter().map(|one| around.view(&cx, one)).collect();
    Ok(Json(listed("groups", views, ("group_links", links))))
}

/// The body of a list, with the link to its next page.
pub(crate) fn listed(
    key: &str,
    views: Vec<Value>,
    (links_key, links): (&str, Option<Value>),
) -> Value {
    let mut body = json!({ key: views });
    if let (Some(body), Some(links)) = (body.as_object_mut(), links) {
        body.insert(links_key.to_owned(), links);
    }
    body
}

/// Cinder says from 3.31 on which filters it does not know.
pub(crate) fn check_filters(
    cx: &Cx,
    filters: &[(String, String)],
    own: &[&str],
) -> Result<(), Fault> {
    let strange = |key: &str| !own.contains(&key.trim_end_matches('~'));
    match filters.iter().find(|(key, _)| strange(key)) {
        Some((key, _)) if !cx.caller.is_admin() && cx.version >= v(3, 31) => Err(invalid_input(
            format!("Invalid filters {key} are found in query options."),
        )),
        _known => Ok(()),
    }
}

async fn page(
    cx: &Cx,
    (path, place): (&str, &str),
    params: &Params,
) -> Result<(Vec<Group>, Option<Value>), Fault> {
    at_project(cx, path)?;
    let asked = ListQuery::parse(&params.0, SORT_KEYS).map_err(Fault::bad_request)?;
    let mut filters = asked.filters;
    filters.retain(|(key, _)| key != "list_volume");
    check_filters(cx, &filters, &["name", "status", "id", "group_type"])?;
    let after = match &asked.marker {
        Some(marker) => {
            let found = rows::find(cx.db(), &GroupId::from(marker.as_str())).await?;
            let found = found.filter(|one| nephos_auth::Resource::visible_to(one, &cx.caller));
            Some(found.ok_or_else(|| no_group(marker))?)
        }
        None => None,
    };
    let project = whose(cx, path, asked.all_projects);
    let offset = u32::try_from(asked.offset)
        .unwrap_or(u32::MAX)
        .min(1_000_000);
    let listing = Listing {
        project: project.as_deref(),
        filters: &filters,
        sort: &asked.sort,
        after: after.as_ref(),
        limit: Some(asked.limit.saturating_add(offset)),
    };
    let mut found = rows::page(cx.db(), &listing).await?;
    let found = found.split_off(asked.offset.min(found.len()));
    let last = found.last().map(|one| one.id.to_string());
    let here = format!("/v3/{}/{place}", project_of(cx, path));
    let links = next_link(
        cx,
        &here,
        params,
        (found.len(), asked.limit, last.as_deref()),
    );
    Ok((found, links))
}

/// The ids of a list with commas.
fn ids(fields: &Fields<'_>, key: &str) -> Result<Vec<String>, Fault> {
    let Some(value) = fields.get(key) else {
        return Ok(Vec::new());
    };
    let text = value.as_str().ok_or_else(|| {
        Fault::bad_request(format!(
            "Invalid input for field/attribute {key}. It is not of type 'string'"
        ))
    })?;
    let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    if ids.len() > 100 {
        return Err(invalid_input(format!("{key} names more than 100 volumes.")));
    }
    Ok(ids)
}

endpoint! {
    /// Change a group's name, description or volumes.
    UpdateGroup: PUT "/v3/{project_id}/groups/{id}" => 202,
    versions: 3.13..,
    policy: Loaded<rules::UpdateGroup>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: update_group,
}
async fn update_group(cx: Cx, req: Req<UpdateGroup>) -> Reply<UpdateGroup> {
    let group = group(&cx, rules::UpdateGroup, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "group").map_err(Fault::bad_request)?;
    let keys = ["name", "description", "add_volumes", "remove_volumes"];
    fields.only(&keys).map_err(Fault::bad_request)?;
    let text = |key: &str| fields.text(key).map_err(Fault::bad_request);
    let (name, description) = (text("name")?, text("description")?);
    let (add, remove) = (
        ids(&fields, "add_volumes")?,
        ids(&fields, "remove_volumes")?,
    );
    if name.is_none() && description.is_none() && add.is_empty() && remove.is_empty() {
        return Err(invalid_group(format!(
            "Cannot update group {} because no valid name, description, add_volumes, or remove_volumes were provided.",
            group.id
        )));
    }
    if let Some(both) = add.iter().find(|id| remove.contains(id)) {
        return Err(invalid_volume(format!(
            "Volume {both} is in both add and remove volumes list."
        )));
    }
    for id in &add {
        volume_by_id(&cx, rules::UpdateVolume, id).await?;
    }
    let types = rows::types_of(cx.db(), &[group.id.as_str()]).await?;
    let types = types.get(group.id.as_str()).cloned().unwrap_or_default();
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &group.id).await?;
    let mut now = now.ok_or_else(|| no_group(&req.path.id))?;
    if now.status != GroupStatus::Available {
        return Err(invalid_group(format!(
            "Group status must be available, but it is {}.",
            now.status.as_str()
        )));
    }
    now.name = name.or(now.name);
    now.description = description.or(now.description);
    now.updated_at = cx.now();
    for id in &remove {
        let volume = volume_rows::find_in(&mut tx, &id.as_str().into()).await?;
        leaves(&now, id, volume.as_ref())?;
        volume_rows::set_group(&mut tx, &id.as_str().into(), None).await?;
    }
    for id in &add {
        let volume = volume_rows::find_in(&mut tx, &id.as_str().into()).await?;
        let volume = volume.ok_or_else(|| super::fault::no_volume(id))?;
        joins(&now, &types, &volume)?;
        volume_rows::set_group(&mut tx, &volume.id, Some(now.id.as_str())).await?;
    }
    rows::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Accepted)
}

fn leaves(group: &Group, id: &str, volume: Option<&Volume>) -> Result<(), Fault> {
    let cannot = |why: String| {
        invalid_volume(format!(
            "Cannot remove volume {id} from group {} because {why}.",
            group.id
        ))
    };
    let own = volume.filter(|volume| volume.group_id.as_deref() == Some(group.id.as_str()));
    let own = own.ok_or_else(|| cannot("it is not in the group".to_owned()))?;
    let free = [
        Status::Available,
        Status::InUse,
        Status::Error,
        Status::ErrorDeleting,
    ];
    if free.contains(&own.status) {
        return Ok(());
    }
    Err(cannot(format!(
        "volume is in an invalid state: {}",
        own.status.as_str()
    )))
}

fn joins(group: &Group, types: &[String], volume: &Volume) -> Result<(), Fault> {
    let cannot = |why: String| {
        invalid_volume(format!(
            "Cannot add volume {} to group {} because {why}.",
            volume.id, group.id
        ))
    };
    if let Some(other) = &volume.group_id {
        return Err(cannot(format!("it is already in group {other}")));
    }
    if volume.owner.project_id != group.owner.project_id {
        return Err(cannot("it is in another project".to_owned()));
    }
    if !types.contains(&volume.type_id) {
        return Err(cannot(format!(
            "volume type {} is not supported by the group",
            volume.type_id
        )));
    }
    if !volume.status.is_settled() {
        return Err(cannot(format!(
            "volume is in an invalid state: {}",
            volume.status.as_str()
        )));
    }
    Ok(())
}

endpoint! {
    /// Delete a group, and its volumes when that is asked for.
    DeleteGroup: POST "/v3/{project_id}/groups/{id}/action" ["delete"] => 202,
    versions: 3.13..,
    policy: Loaded<rules::DeleteGroup>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: delete_group,
}
async fn delete_group(cx: Cx, req: Req<DeleteGroup>) -> Reply<DeleteGroup> {
    let group = group(&cx, rules::DeleteGroup, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "delete").map_err(Fault::bad_request)?;
    fields
        .only(&["delete-volumes"])
        .map_err(Fault::bad_request)?;
    let with_volumes = fields.flag("delete-volumes").map_err(Fault::bad_request)?;
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &group.id).await?;
    let mut now = now.ok_or_else(|| no_group(&req.path.id))?;
    if !now.status.is_deletable() {
        return Err(invalid_group(format!(
            "Group status must be available or error, but current status is: {}",
            now.status.as_str()
        )));
    }
    if group_snapshots::count_of(&mut tx, &now.id).await? > 0 {
        return Err(invalid_group(format!(
            "Group {} still has dependent group snapshots.",
            now.id
        )));
    }
    let all = volume_rows::of_group_in(&mut tx, now.id.as_str()).await?;
    if !all.is_empty() && with_volumes != Some(true) {
        return Err(invalid_group(format!(
            "Group {} is not empty. Setting 'delete-volumes' to True is required to delete it.",
            now.id
        )));
    }
    let requested = ops::group::request_delete(&mut tx, Asked::of(&cx), &now.id).await;
    requested.map_err(|why| busy("group", now.id.as_str(), why))?;
    for volume in &all {
        volumes::delete_in(&cx, &mut tx, &volume.id, volumes::How::WITH_GROUP).await?;
    }
    now.status = GroupStatus::Deleting;
    now.updated_at = cx.now();
    rows::update(&mut tx, &now).await?;
    tx.commit().await?;
    cx.service().house_now();
    Ok(Accepted)
}

/// The state that a body sets by hand.
pub(crate) fn wanted_status(body: &Value) -> Result<GroupStatus, Fault> {
    let fields = Fields::inside(body, "reset_status").map_err(Fault::bad_request)?;
    fields.only(&["status"]).map_err(Fault::bad_request)?;
    let word = fields.text("status").map_err(Fault::bad_request)?;
    let word = word.unwrap_or_default().to_ascii_lowercase();
    GroupStatus::parse(&word)
        .ok_or_else(|| Fault::bad_request(format!("Must specify a valid status, not '{word}'.")))
}

endpoint! {
    /// Set a group's state by hand.
    ResetGroupStatus: POST "/v3/{project_id}/groups/{id}/action" ["reset_status"] => 202,
    versions: 3.20..,
    policy: Loaded<rules::ResetGroupStatus>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: reset_status,
}
async fn reset_status(cx: Cx, req: Req<ResetGroupStatus>) -> Reply<ResetGroupStatus> {
    let group = group(&cx, rules::ResetGroupStatus, &req.path).await?;
    let status = wanted_status(&req.body.0)?;
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &group.id).await?;
    let mut now = now.ok_or_else(|| no_group(&req.path.id))?;
    now.status = status;
    now.updated_at = cx.now();
    rows::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Accepted)
}
