//! Snapshots of all volumes of a group.

use nephos_api::{Accepted, Fault, Json, Loaded, Params, Reply, Req, Shape, endpoint};
use nephos_auth::{Authorized, Rule, Target};
use serde_json::{Value, json};

use super::fault::{busy, invalid_group, invalid_group_snapshot, no_group, no_group_snapshot};
use super::groups::{check_filters, group_by_id, listed, wanted_status};
use super::snapshots::{self, Wanted};
use super::versions::GROUP_SNAPSHOT_VIEW;
use super::{
    ItemPath, ProjectPath, at_project, missing, next_link, project_of, volume_create, whose,
};
use crate::model::body::Fields;
use crate::model::group::{GroupSnapshot, GroupSnapshotId, GroupStatus};
use crate::model::list::ListQuery;
use crate::model::volume::Owner;
use crate::ops::{self, Asked};
use crate::store::group_snapshots::{self as rows, Listing, SORT_KEYS};
use crate::store::{groups, quota, snapshots as snapshot_rows, volumes};
use crate::{Cx, rules};

/// The group snapshot at a path, when the caller may do `R` with it.
async fn group_snapshot<R: Rule>(
    cx: &Cx,
    rule: R,
    path: &ItemPath,
) -> Result<Authorized<GroupSnapshot, R>, Fault> {
    at_project(cx, &path.project_id)?;
    group_snapshot_by_id(cx, rule, &path.id).await
}

pub(crate) async fn group_snapshot_by_id<R: Rule>(
    cx: &Cx,
    rule: R,
    id: &str,
) -> Result<Authorized<GroupSnapshot, R>, Fault> {
    let found = rows::find(cx.db(), &GroupSnapshotId::from(id)).await?;
    cx.allow(rule, found)
        .map_err(|fault| missing(fault, || no_group_snapshot(id)))
}

fn brief(snapshot: &GroupSnapshot) -> Value {
    json!({"id": snapshot.id, "name": snapshot.name, "group_type_id": snapshot.type_id})
}

fn view(cx: &Cx, snapshot: &GroupSnapshot) -> Value {
    let mut view = json!({
        "id": snapshot.id, "group_id": snapshot.group_id, "group_type_id": snapshot.type_id,
        "status": snapshot.status.as_str(), "created_at": snapshot.created_at.iso_naive(),
        "name": snapshot.name, "description": snapshot.description,
    });
    let target = Target::of_project(snapshot.owner.project_id.as_str());
    if cx.may(rules::GroupSnapshotAttribute, &target)
        && let Some(view) = view.as_object_mut()
    {
        view.insert("project_id".to_owned(), json!(snapshot.owner.project_id));
    }
    view
}

endpoint! {
    /// Create a snapshot of each volume of a group.
    CreateGroupSnapshot: POST "/v3/{project_id}/group_snapshots" => 202,
    versions: 3.14..,
    policy: rules::CreateGroupSnapshot,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_group_snapshot,
}
async fn create_group_snapshot(
    cx: Cx,
    req: Req<CreateGroupSnapshot>,
) -> Reply<CreateGroupSnapshot> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "group_snapshot").map_err(Fault::bad_request)?;
    let keys = ["name", "description", "group_id"];
    fields.only(&keys).map_err(Fault::bad_request)?;
    let text = |key: &str| fields.text(key).map_err(Fault::bad_request);
    let (name, description) = (text("name")?, text("description")?);
    let id = fields.uuid("group_id").map_err(Fault::bad_request)?;
    let id = id.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute group_snapshot. 'group_id' is a required property",
        )
    })?;
    let group = group_by_id(&cx, rules::CreateGroupSnapshot, &id).await?;
    for volume in volumes::of_group(cx.db(), &id).await? {
        snapshots::allowed(&cx, &volume, true).await?;
    }
    let project = group.owner.project_id.clone();
    let limits = quota::limits(cx.db(), project.as_str()).await?;
    let mut tx = cx.write().await?;
    let now = groups::find_in(&mut tx, &group.id).await?;
    let now = now.ok_or_else(|| no_group(&id))?;
    if now.status != GroupStatus::Available {
        return Err(invalid_group(format!(
            "Group status must be available, but current status is: {}",
            now.status.as_str()
        )));
    }
    let all = volumes::of_group_in(&mut tx, now.id.as_str()).await?;
    if all.is_empty() {
        return Err(invalid_group(
            "Source Group is empty. No group snapshot will be created.",
        ));
    }
    let made = GroupSnapshot {
        id: GroupSnapshotId::from(nephos_runtime::ids::uuid()),
        owner: Owner {
            project_id: project,
            user_id: cx.caller.user_id.clone(),
        },
        group_id: now.id,
        type_id: now.type_id,
        name,
        description,
        status: GroupStatus::Creating,
        created_at: cx.now(),
        updated_at: cx.now(),
    };
    let requested = ops::group_snapshot::request_create(&mut tx, Asked::of(&cx), &made.id).await;
    requested.map_err(|why| busy("group snapshot", made.id.as_str(), why))?;
    rows::insert(&mut tx, &made).await?;
    for volume in &all {
        let wanted = Wanted {
            name: made.name.clone(),
            description: made.description.clone(),
            group_snapshot_id: Some(made.id.to_string()),
            ..Wanted::default()
        };
        snapshots::insert(&cx, &mut tx, (volume, true), (wanted, &limits)).await?;
    }
    tx.commit().await?;
    Ok(Json(json!({ "group_snapshot": brief(&made) })))
}

endpoint! {
    /// Show a group snapshot.
    ShowGroupSnapshot: GET "/v3/{project_id}/group_snapshots/{id}" => 200,
    versions: 3.14..,
    policy: Loaded<rules::GetGroupSnapshot>,
    path: ItemPath,
    reply: Json<Value> as Shape::one("group_snapshot", GROUP_SNAPSHOT_VIEW),
    handler: show_group_snapshot,
}
async fn show_group_snapshot(cx: Cx, req: Req<ShowGroupSnapshot>) -> Reply<ShowGroupSnapshot> {
    let snapshot = group_snapshot(&cx, rules::GetGroupSnapshot, &req.path).await?;
    Ok(Json(json!({ "group_snapshot": view(&cx, &snapshot) })))
}

endpoint! {
    /// List group snapshots.
    ListGroupSnapshots: GET "/v3/{project_id}/group_snapshots" => 200,
    versions: 3.14..,
    policy: rules::GetAllGroupSnapshots,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list_group_snapshots,
}
async fn list_group_snapshots(cx: Cx, req: Req<ListGroupSnapshots>) -> Reply<ListGroupSnapshots> {
    let place = (req.path.project_id.as_str(), "group_snapshots");
    let (found, links) = page(&cx, place, &req.query).await?;
    let views: Vec<Value> = found.iter().map(brief).collect();
    let links = ("group_snapshot_links", links);
    Ok(Json(listed("group_snapshots", views, links)))
}

endpoint! {
    /// List group snapshots with details.
    ListGroupSnapshotsDetail: GET "/v3/{project_id}/group_snapshots/detail" => 200,
    versions: 3.14..,
    policy: rules::GetAllGroupSnapshots,
    path: ProjectPath,
    query: Params,
    reply: Json<Value> as Shape::each("group_snapshots", GROUP_SNAPSHOT_VIEW),
    handler: list_group_snapshots_detail,
}
async fn list_group_snapshots_detail(
    cx: Cx,
    req: Req<ListGroupSnapshotsDetail>,
) -> Reply<ListGroupSnapshotsDetail> {
    let place = (req.path.project_id.as_str(), "group_snapshots/detail");
    let (found, links) = page(&cx, place, &req.query).await?;
    let views: Vec<Value> = found.iter().map(|one| view(&cx, one)).collect();
    let links = ("group_snapshot_links", links);
    Ok(Json(listed("group_snapshots", views, links)))
}

async fn page(
    cx: &Cx,
    (path, place): (&str, &str),
    params: &Params,
) -> Result<(Vec<GroupSnapshot>, Option<Value>), Fault> {
    at_project(cx, path)?;
    let asked = ListQuery::parse(&params.0, SORT_KEYS).map_err(Fault::bad_request)?;
    check_filters(cx, &asked.filters, &["name", "status", "group_id", "id"])?;
    let after = match &asked.marker {
        Some(marker) => {
            let found = rows::find(cx.db(), &GroupSnapshotId::from(marker.as_str())).await?;
            let found = found.filter(|one| nephos_auth::Resource::visible_to(one, &cx.caller));
            Some(found.ok_or_else(|| no_group_snapshot(marker))?)
        }
        None => None,
    };
    let project = whose(cx, path, asked.all_projects);
    let offset = u32::try_from(asked.offset)
        .unwrap_or(u32::MAX)
        .min(1_000_000);
    let listing = Listing {
        project: project.as_deref(),
        filters: &asked.filters,
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

endpoint! {
    /// Delete a group snapshot with the snapshots in it.
    DeleteGroupSnapshot: DELETE "/v3/{project_id}/group_snapshots/{id}" => 202,
    versions: 3.14..,
    policy: Loaded<rules::DeleteGroupSnapshot>,
    path: ItemPath,
    reply: Accepted,
    handler: delete_group_snapshot,
}
async fn delete_group_snapshot(
    cx: Cx,
    req: Req<DeleteGroupSnapshot>,
) -> Reply<DeleteGroupSnapshot> {
    let seen = group_snapshot(&cx, rules::DeleteGroupSnapshot, &req.path).await?;
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &seen.id).await?;
    let mut now = now.ok_or_else(|| no_group_snapshot(&req.path.id))?;
    if !now.status.is_deletable() {
        return Err(invalid_group_snapshot(format!(
            "GroupSnapshot status must be available or error, and no Group can be currently using it as source for its \
             creation. It is {}.",
            now.status.as_str()
        )));
    }
    let requested = ops::group_snapshot::request_delete(&mut tx, Asked::of(&cx), &now.id).await;
    requested.map_err(|why| busy("group snapshot", now.id.as_str(), why))?;
    for one in snapshot_rows::of_group_in(&mut tx, now.id.as_str()).await? {
        snapshots::delete_in(&cx, &mut tx, &one.id, snapshots::How::WITH_GROUP).await?;
    }
    now.status = GroupStatus::Deleting;
    now.updated_at = cx.now();
    rows::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Set a group snapshot's state by hand.
    ResetGroupSnapshotStatus: POST "/v3/{project_id}/group_snapshots/{id}/action" ["reset_status"] => 202,
    versions: 3.19..,
    policy: Loaded<rules::ResetGroupSnapshotStatus>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: reset_status,
}
async fn reset_status(
    cx: Cx,
    req: Req<ResetGroupSnapshotStatus>,
) -> Reply<ResetGroupSnapshotStatus> {
    let seen = group_snapshot(&cx, rules::ResetGroupSnapshotStatus, &req.path).await?;
    let status = wanted_status(&req.body.0)?;
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &seen.id).await?;
    let mut now = now.ok_or_else(|| no_group_snapshot(&req.path.id))?;
    now.status = status;
    now.updated_at = cx.now();
    rows::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Create a group of a group snapshot or of another group, with a volume for each one there.
    CreateGroupFromSource: POST "/v3/{project_id}/groups/action" ["create-from-src"] => 202,
    versions: 3.14..,
    policy: rules::CreateGroup,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_from_source,
}
async fn create_from_source(
    cx: Cx,
    req: Req<CreateGroupFromSource>,
) -> Reply<CreateGroupFromSource> {
    let path = &req.path.project_id;
    at_project(&cx, path)?;
    let fields = Fields::inside(&req.body.0, "create-from-src").map_err(Fault::bad_request)?;
    let keys = [
        "name",
        "description",
        "group_snapshot_id",
        "source_group_id",
    ];
    fields.only(&keys).map_err(Fault::bad_request)?;
    let text = |key: &str| fields.text(key).map_err(Fault::bad_request);
    let (name, description) = (text("name")?, text("description")?);
    let uuid = |key: &str| fields.uuid(key).map_err(Fault::bad_request);
    let (of_snapshot, of_group) = (uuid("group_snapshot_id")?, uuid("source_group_id")?);
    let (source, bodies) = match (&of_snapshot, &of_group) {
        (Some(id), None) => sources_of_snapshot(&cx, id).await?,
        (None, Some(id)) => sources_of_group(&cx, id).await?,
        _both_or_none => {
            return Err(Fault::bad_request(
                "Invalid input for field/attribute create-from-src: one of group_snapshot_id and source_group_id is needed.",
            ));
        }
    };
    let types = groups::types_of(cx.db(), &[source.id.as_str()]).await?;
    let types = types.get(source.id.as_str()).cloned().unwrap_or_default();
    let group = crate::model::group::Group {
        id: nephos_runtime::ids::uuid().to_string().as_str().into(),
        owner: Owner {
            project_id: project_of(&cx, path).into(),
            user_id: cx.caller.user_id.clone(),
        },
        name,
        description,
        status: GroupStatus::Creating,
        group_snapshot_id: of_snapshot,
        source_group_id: of_group,
        created_at: cx.now(),
        updated_at: cx.now(),
        ..source
    };
    let mut plans = Vec::new();
    for body in &bodies {
        let plan = volume_create::plan(&cx, (body, path), None).await?;
        plans.push(plan.in_group(group.id.as_str()));
    }
    let limits = quota::limits(cx.db(), group.owner.project_id.as_str()).await?;
    let mut tx = cx.write().await?;
    let requested = ops::group::request_create(&mut tx, Asked::of(&cx), &group.id).await;
    requested.map_err(|why| busy("group", group.id.as_str(), why))?;
    super::groups::insert(&mut tx, (&group, &types), &limits).await?;
    for plan in plans {
        volume_create::write_in(&cx, &mut tx, (plan, &limits)).await?;
    }
    tx.commit().await?;
    Ok(Json(json!({ "group": super::groups::brief(&group) })))
}

type Sources = (crate::model::group::Group, Vec<Value>);

/// The group of a group snapshot, and what asks for a volume of each snapshot in it.
async fn sources_of_snapshot(cx: &Cx, id: &str) -> Result<Sources, Fault> {
    let of = group_snapshot_by_id(cx, rules::GetGroupSnapshot, id).await?;
    if of.status != GroupStatus::Available {
        return Err(invalid_group_snapshot(format!(
            "it must be available, and is {}",
            of.status.as_str()
        )));
    }
    let group = groups::find(cx.db(), &of.group_id).await?;
    let group = group.ok_or_else(|| no_group(of.group_id.as_str()))?;
    let all = snapshot_rows::of_group(cx.db(), id).await?;
    let body = |one: &crate::model::snapshot::Snapshot| json!({"volume": {"snapshot_id": one.id, "size": one.size_gib}});
    Ok((group, all.iter().map(body).collect()))
}

/// A group, and what asks for a copy of each of its volumes.
async fn sources_of_group(cx: &Cx, id: &str) -> Result<Sources, Fault> {
    let group = group_by_id(cx, rules::GetGroup, id).await?.into_inner();
    if group.status != GroupStatus::Available {
        return Err(invalid_group(format!(
            "Source group must be available, and is {}.",
            group.status.as_str()
        )));
    }
    let all = volumes::of_group(cx.db(), id).await?;
    if all.is_empty() {
        return Err(invalid_group(format!(
            "Source group {id} is empty, no group will be created of it."
        )));
    }
    let body = |one: &crate::model::volume::Volume| json!({"volume": {"source_volid": one.id, "size": one.size_gib}});
    Ok((group, all.iter().map(body).collect()))
}
