//! Snapshots and what users write on them.

use std::collections::BTreeMap;

use nephos_api::version::v;
use nephos_api::{Accepted, Fault, Json, Loaded, Params, Reply, Req, Shape, endpoint};
use nephos_auth::Target;
use serde_json::{Value, json};

use super::fault::{
    busy, invalid_input, invalid_snapshot, invalid_volume, no_snapshot, no_volume, over_quota,
};
use super::versions::SNAPSHOT_VIEW;
use super::{ItemPath, ProjectPath, at_project, next_link, snapshot, volume_by_id, whose};
use crate::model::body::Fields;
use crate::model::list::ListQuery;
use crate::model::quota::Usage;
use crate::model::snapshot::{Snapshot, SnapshotId, SnapshotStatus};
use crate::model::volume::{Metadata, Owner, Status, Volume};
use crate::ops::{self, Asked};
use crate::store::snapshots::{Listing, SORT_KEYS};
use crate::store::{metadata, quota, snapshots, volumes};
use crate::{Cx, rules};

fn view(cx: &Cx, snapshot: &Snapshot, items: Metadata) -> Value {
    let mut view = json!({
        "id": snapshot.id, "created_at": snapshot.created_at.iso_naive(), "updated_at": snapshot.updated_at.iso_naive(),
        "name": snapshot.name, "description": snapshot.description, "volume_id": snapshot.volume_id,
        "status": snapshot.status.as_str(), "size": snapshot.size_gib, "metadata": items,
        "group_snapshot_id": snapshot.group_snapshot_id, "user_id": snapshot.owner.user_id, "consumes_quota": true,
    });
    let target = Target::of_project(snapshot.owner.project_id.as_str());
    if cx.may(rules::ExtendedSnapshot, &target)
        && let Some(view) = view.as_object_mut()
    {
        let at = "os-extended-snapshot-attributes";
        view.insert(format!("{at}:project_id"), json!(snapshot.owner.project_id));
        view.insert(format!("{at}:progress"), json!(snapshot.progress));
    }
    view
}

pub(crate) async fn shown(cx: &Cx, snapshot: &Snapshot) -> Result<Value, Fault> {
    let items = metadata::of(cx.db(), metadata::SNAPSHOT, snapshot.id.as_str()).await?;
    Ok(view(cx, snapshot, items))
}

/// Replies that make or change a snapshot show no attributes of extensions.
pub(crate) fn plain(mut view: Value) -> Value {
    if let Some(view) = view.as_object_mut() {
        view.retain(|key, _| !key.starts_with("os-extended"));
    }
    view
}

endpoint! {
    /// Create a snapshot.
    CreateSnapshot: POST "/v3/{project_id}/snapshots" => 202,
    policy: rules::CreateSnapshot,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value> as Shape::one("snapshot", SNAPSHOT_VIEW),
    handler: create_snapshot,
}
async fn create_snapshot(cx: Cx, req: Req<CreateSnapshot>) -> Reply<CreateSnapshot> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "snapshot").map_err(Fault::bad_request)?;
    let id = fields.uuid("volume_id").map_err(Fault::bad_request)?;
    // A snapshot of nothing is one of a volume that is not there (Cinder answers 404).
    let id = id.ok_or_else(|| no_volume("None"))?;
    let name = fields
        .either("name", "display_name")
        .map_err(Fault::bad_request)?
        .flatten();
    let description = fields
        .either("description", "display_description")
        .map_err(Fault::bad_request)?
        .flatten();
    let items = fields
        .metadata("metadata")
        .map_err(Fault::bad_request)?
        .unwrap_or_default();
    let force = fields.flag("force").map_err(Fault::bad_request)?;
    if cx.version >= v(3, 66) && force == Some(false) {
        return Err(Fault::bad_request(
            "The 'force' flag is invalid since 3.66, where snapshots of volumes in use need none.",
        ));
    }
    let force = force.unwrap_or(false) || cx.version >= v(3, 66);
    let volume = volume_by_id(&cx, rules::CreateSnapshot, &id).await?;
    allowed(&cx, &volume, force).await?;
    let project = volume.owner.project_id.clone();
    let limits = quota::limits(cx.db(), project.as_str()).await?;
    let mut tx = cx.write().await?;
    let now = volumes::find_in(&mut tx, &volume.id)
        .await?
        .ok_or_else(|| no_volume(&id))?;
    let wanted = Wanted {
        name,
        description,
        items,
        group_snapshot_id: None,
    };
    let snapshot = insert(&cx, &mut tx, (&now, force), (wanted, &limits)).await?;
    tx.commit().await?;
    Ok(Json(
        json!({ "snapshot": plain(shown(&cx, &snapshot).await?) }),
    ))
}

/// What a snapshot is to be called, and part of.
#[derive(Default)]
pub(crate) struct Wanted {
    pub name: Option<String>,
    pub description: Option<String>,
    pub items: Metadata,
    pub group_snapshot_id: Option<String>,
}

/// Wants a snapshot of a volume as this transaction sees it, within the quota.
pub(crate) async fn insert(
    cx: &Cx,
    tx: &mut nephos_db::Tx,
    (now, force): (&Volume, bool),
    (wanted, limits): (Wanted, &BTreeMap<String, i64>),
) -> Result<Snapshot, Fault> {
    if !now.status.is_settled() {
        return Err(wrong_status(now, force));
    }
    let project = now.owner.project_id.clone();
    let snapshot = Snapshot {
        id: SnapshotId::from(nephos_runtime::ids::uuid()),
        owner: Owner {
            project_id: project.clone(),
            user_id: cx.caller.user_id.clone(),
        },
        volume_id: now.id.clone(),
        type_id: now.type_id.clone(),
        name: wanted.name,
        description: wanted.description,
        size_gib: now.size_gib,
        status: SnapshotStatus::Creating,
        progress: "0%".to_owned(),
        backend: now.backend.clone().unwrap_or_default(),
        layer: None,
        group_snapshot_id: wanted.group_snapshot_id,
        created_at: cx.now(),
        updated_at: cx.now(),
    };
    let usage = Usage::snapshot(snapshot.size_gib, &snapshot.type_id);
    if let Err(over) = quota::take(tx, project.as_str(), limits, &usage).await? {
        return Err(over_quota(&over));
    }
    snapshots::insert(tx, &snapshot).await?;
    let id = snapshot.id.as_str();
    metadata::set(tx, metadata::SNAPSHOT, id, &wanted.items).await?;
    let requested = ops::snapshot::request_create(tx, Asked::of(cx), &snapshot, now).await;
    requested.map_err(|why| busy("snapshot", id, why))?;
    Ok(snapshot)
}

fn wrong_status(volume: &Volume, force: bool) -> Fault {
    let wanted = if force {
        "available or in-use"
    } else {
        "available"
    };
    invalid_volume(format!(
        "Volume {} status must be {wanted}, but current status is: {}.",
        volume.id,
        volume.status.as_str()
    ))
}

pub(crate) async fn allowed(cx: &Cx, volume: &Volume, force: bool) -> Result<(), Fault> {
    match volume.status {
        Status::Available => super::volume_create::copyable(cx, volume).await,
        Status::InUse if force => super::volume_create::copyable(cx, volume).await,
        _other => Err(wrong_status(volume, force)),
    }
}

endpoint! {
    /// Show a snapshot.
    ShowSnapshot: GET "/v3/{project_id}/snapshots/{id}" => 200,
    policy: Loaded<rules::GetSnapshot>,
    path: ItemPath,
    reply: Json<Value> as Shape::one("snapshot", SNAPSHOT_VIEW),
    handler: show_snapshot,
}
async fn show_snapshot(cx: Cx, req: Req<ShowSnapshot>) -> Reply<ShowSnapshot> {
    let snapshot = snapshot(&cx, rules::GetSnapshot, &req.path).await?;
    Ok(Json(json!({ "snapshot": shown(&cx, &snapshot).await? })))
}

endpoint! {
    /// List snapshots.
    ListSnapshots: GET "/v3/{project_id}/snapshots" => 200,
    policy: rules::GetAllSnapshots,
    path: ProjectPath,
    query: Params,
    reply: Json<Value> as Shape::each("snapshots", SNAPSHOT_VIEW),
    handler: list_snapshots,
}
async fn list_snapshots(cx: Cx, req: Req<ListSnapshots>) -> Reply<ListSnapshots> {
    let mut body = page(&cx, (&req.path.project_id, "snapshots"), &req.query).await?;
    for one in body
        .get_mut("snapshots")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        *one = plain(one.take());
    }
    Ok(Json(body))
}

endpoint! {
    /// List snapshots with details.
    ListSnapshotsDetail: GET "/v3/{project_id}/snapshots/detail" => 200,
    policy: rules::GetAllSnapshots,
    path: ProjectPath,
    query: Params,
    reply: Json<Value> as Shape::each("snapshots", SNAPSHOT_VIEW),
    handler: list_snapshots_detail,
}
async fn list_snapshots_detail(
    cx: Cx,
    req: Req<ListSnapshotsDetail>,
) -> Reply<ListSnapshotsDetail> {
    Ok(Json(
        page(&cx, (&req.path.project_id, "snapshots/detail"), &req.query).await?,
    ))
}

async fn page(cx: &Cx, (path, place): (&str, &str), params: &Params) -> Result<Value, Fault> {
    at_project(cx, path)?;
    let asked = ListQuery::parse(&params.0, SORT_KEYS).map_err(Fault::bad_request)?;
    let own = [
        "name",
        "name~",
        "status",
        "volume_id",
        "metadata",
        "availability_zone",
        "consumes_quota",
        "display_name",
        "id",
        "created_at",
        "updated_at",
    ];
    if let Some((key, _)) = asked
        .filters
        .iter()
        .find(|(key, _)| !own.contains(&key.as_str()))
        && !cx.caller.is_admin()
        && cx.version >= v(3, 31)
    {
        return Err(invalid_input(format!(
            "Invalid filters {key} are found in query options."
        )));
    }
    let after = match &asked.marker {
        Some(marker) => {
            let found = snapshots::find(cx.db(), &SnapshotId::from(marker.as_str())).await?;
            let found = found.filter(|one| nephos_auth::Resource::visible_to(one, &cx.caller));
            Some(found.ok_or_else(|| no_snapshot(marker))?)
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
    let mut found = snapshots::page(cx.db(), &listing).await?;
    let found = found.split_off(asked.offset.min(found.len()));
    let ids: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
    let mut items = metadata::of_many(cx.db(), metadata::SNAPSHOT, &ids).await?;
    let views: Vec<Value> = found
        .iter()
        .map(|one| view(cx, one, items.remove(one.id.as_str()).unwrap_or_default()))
        .collect();
    let mut body = json!({ "snapshots": views });
    let last = found.last().map(|one| one.id.to_string());
    let here = format!("/v3/{}/{place}", super::project_of(cx, path));
    if let Some(body) = body.as_object_mut() {
        if let Some(next) = next_link(
            cx,
            &here,
            params,
            (found.len(), asked.limit, last.as_deref()),
        ) {
            body.insert("snapshots_links".to_owned(), next);
        }
        if asked.with_count && cx.version >= v(3, 45) {
            body.insert(
                "count".to_owned(),
                json!(snapshots::count(cx.db(), &listing).await?),
            );
        }
    }
    Ok(body)
}

endpoint! {
    /// Change a snapshot's name or description.
    UpdateSnapshot: PUT "/v3/{project_id}/snapshots/{id}" => 200,
    policy: Loaded<rules::UpdateSnapshot>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value> as Shape::one("snapshot", SNAPSHOT_VIEW),
    handler: update_snapshot,
}
async fn update_snapshot(cx: Cx, req: Req<UpdateSnapshot>) -> Reply<UpdateSnapshot> {
    let snapshot = snapshot(&cx, rules::UpdateSnapshot, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "snapshot").map_err(Fault::bad_request)?;
    let name = fields
        .either("name", "display_name")
        .map_err(Fault::bad_request)?;
    let description = fields
        .either("description", "display_description")
        .map_err(Fault::bad_request)?;
    if name.is_none() && description.is_none() {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute snapshot: at least one property is needed.",
        ));
    }
    let mut tx = cx.write().await?;
    let now = snapshots::find_in(&mut tx, &snapshot.id).await?;
    let mut now = now.ok_or_else(|| no_snapshot(&req.path.id))?;
    now.name = name.unwrap_or(now.name);
    now.description = description.unwrap_or(now.description);
    now.updated_at = cx.now();
    snapshots::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Json(json!({ "snapshot": plain(shown(&cx, &now).await?) })))
}

endpoint! {
    /// Delete a snapshot.
    DeleteSnapshot: DELETE "/v3/{project_id}/snapshots/{id}" => 202,
    policy: Loaded<rules::DeleteSnapshot>,
    path: ItemPath,
    reply: Accepted,
    handler: delete_snapshot,
}
async fn delete_snapshot(cx: Cx, req: Req<DeleteSnapshot>) -> Reply<DeleteSnapshot> {
    let snapshot = snapshot(&cx, rules::DeleteSnapshot, &req.path).await?;
    delete(&cx, &snapshot.id, How::PLAIN).await?;
    Ok(Accepted)
}

/// Which snapshots a request may delete.
#[derive(Clone, Copy)]
pub(crate) struct How {
    /// Whatever their state.
    force: bool,
    /// Also part of a group's snapshot.
    with_group: bool,
}

impl How {
    pub(crate) const PLAIN: Self = Self {
        force: false,
        with_group: false,
    };
    pub(crate) const FORCE: Self = Self {
        force: true,
        with_group: true,
    };
    pub(crate) const WITH_GROUP: Self = Self {
        force: false,
        with_group: true,
    };
}

pub(crate) async fn delete(cx: &Cx, id: &SnapshotId, how: How) -> Result<(), Fault> {
    let mut tx = cx.write().await?;
    delete_in(cx, &mut tx, id, how).await?;
    tx.commit().await?;
    Ok(())
}

pub(crate) async fn delete_in(
    cx: &Cx,
    tx: &mut nephos_db::Tx,
    id: &SnapshotId,
    how: How,
) -> Result<(), Fault> {
    let now = snapshots::find_in(tx, id)
        .await?
        .ok_or_else(|| no_snapshot(id.as_str()))?;
    let deletable = matches!(
        now.status,
        SnapshotStatus::Available | SnapshotStatus::Error | SnapshotStatus::ErrorDeleting
    );
    if !how.with_group
        && let Some(group) = &now.group_snapshot_id
    {
        return Err(invalid_snapshot(format!(
            "Snapshot {id} is part of group snapshot {group}, and goes with it."
        )));
    }
    if now.status == SnapshotStatus::Restoring {
        return Err(invalid_snapshot(format!(
            "Volume {} is being brought back to snapshot {id}. Delete it when that is done.",
            now.volume_id
        )));
    }
    if !deletable && !how.force {
        return Err(invalid_snapshot(format!(
            "Snapshot status must be available or error or error_deleting to delete, but it is {}.",
            now.status.as_str()
        )));
    }
    let requested = ops::snapshot::request_delete(tx, Asked::of(cx), &now).await;
    requested.map_err(|why| busy("snapshot", id.as_str(), why))?;
    Ok(())
}
