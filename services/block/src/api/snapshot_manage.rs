//! Snapshots that are kept in their back end without being anybody's, and become somebody's again.

use nephos_api::{Accepted, Fault, Json, Loaded, Params, Reply, Req, Shape, endpoint};
use serde_json::{Value, json};

use super::fault::{invalid_input, invalid_snapshot, no_snapshot, no_volume, over_quota};
use super::snapshots::{plain, shown};
use super::versions::SNAPSHOT_VIEW;
use super::{ItemPath, ProjectPath, at_project, snapshot, volume_by_id};
use crate::model::backend::Backend;
use crate::model::body::Fields;
use crate::model::layer::LayerState;
use crate::model::list::ListQuery;
use crate::model::quota::Usage;
use crate::model::snapshot::{Snapshot, SnapshotId, SnapshotStatus};
use crate::model::volume::{Metadata, Owner, Volume};
use crate::store::{backends, layers, metadata, quota, snapshots, unmanaged, volumes};
use crate::{Cx, rules};

/// What a layer is called that was a snapshot, as by Cinder's own driver.
const NAME: &str = "_snapshot-";

endpoint! {
    /// Forget a snapshot, and keep its bytes in the back end; they go with its volume.
    UnmanageSnapshot: POST "/v3/{project_id}/snapshots/{id}/action" ["os-unmanage"] => 202,
    policy: Loaded<rules::UnmanageSnapshot>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: unmanage,
}
async fn unmanage(cx: Cx, req: Req<UnmanageSnapshot>) -> Reply<UnmanageSnapshot> {
    let snapshot = snapshot(&cx, rules::UnmanageSnapshot, &req.path).await?;
    let mut tx = cx.write().await?;
    let now = snapshots::find_in(&mut tx, &snapshot.id).await?;
    let now = now.ok_or_else(|| no_snapshot(&req.path.id))?;
    if now.status != SnapshotStatus::Available {
        return Err(invalid_snapshot(format!(
            "Snapshot {} must be available to be unmanaged, but it is {}.",
            now.id,
            now.status.as_str()
        )));
    }
    if let Some(group) = &now.group_snapshot_id {
        return Err(invalid_snapshot(format!(
            "Snapshot {} is part of group snapshot {group}, and stays with it.",
            now.id
        )));
    }
    let layer = match &now.layer {
        Some(layer) => layers::find_in(&mut tx, layer).await?,
        None => None,
    };
    let kept = layer.filter(|layer| layer.state == LayerState::Kept);
    let kept = kept.ok_or_else(|| {
        invalid_snapshot(format!("Snapshot {} has nothing in its back end.", now.id))
    })?;
    unmanaged::keep(&mut tx, &now, &kept.id).await?;
    let usage = Usage::snapshot(now.size_gib, &now.type_id);
    quota::give_back(&mut tx, now.owner.project_id.as_str(), &usage).await?;
    snapshots::remove(&mut tx, &now.id).await?;
    tx.commit().await?;
    Ok(Accepted)
}

/// What is asked for.
struct Wish {
    volume_id: String,
    /// The id of the snapshot that it was.
    former: String,
    name: Option<String>,
    description: Option<String>,
    items: Metadata,
}

fn wish(body: &Value) -> Result<Wish, Fault> {
    let fields = Fields::inside(body, "snapshot").map_err(Fault::bad_request)?;
    let known = ["volume_id", "ref", "name", "description", "metadata"];
    fields.only(&known).map_err(Fault::bad_request)?;
    let volume_id = fields.uuid("volume_id").map_err(Fault::bad_request)?;
    let volume_id = volume_id.ok_or_else(|| {
        Fault::bad_request("Invalid input for field/attribute volume_id. It is a required 'uuid'")
    })?;
    let reference = fields.get("ref").cloned().unwrap_or_default();
    let name = reference.get("source-name").and_then(Value::as_str);
    let former = name.and_then(|name| name.strip_prefix(NAME));
    let former = former.ok_or_else(|| {
        invalid_input(format!(
            "ref must be {{\"source-name\": \"{NAME}<id of the snapshot that it was>\"}}, as the list of manageable \
             snapshots has it."
        ))
    })?;
    Ok(Wish {
        volume_id,
        former: former.to_owned(),
        name: fields.text("name").map_err(Fault::bad_request)?,
        description: fields.text("description").map_err(Fault::bad_request)?,
        items: fields
            .metadata("metadata")
            .map_err(Fault::bad_request)?
            .unwrap_or_default(),
    })
}

endpoint! {
    /// Make a snapshot of what is kept in a back end without being one.
    ManageSnapshot: POST "/v3/{project_id}/manageable_snapshots" => 202,
    policy: rules::ManageSnapshot,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value> as Shape::one("snapshot", SNAPSHOT_VIEW),
    handler: manage,
}
async fn manage(cx: Cx, req: Req<ManageSnapshot>) -> Reply<ManageSnapshot> {
    at_project(&cx, &req.path.project_id)?;
    let wish = wish(&req.body.0)?;
    let volume = volume_by_id(&cx, rules::ManageSnapshot, &wish.volume_id).await?;
    let limits = quota::limits(cx.db(), volume.owner.project_id.as_str()).await?;
    let mut tx = cx.write().await?;
    let now = volumes::find_in(&mut tx, &volume.id).await?;
    let now = now.ok_or_else(|| no_volume(&wish.volume_id))?;
    let found = unmanaged::find_in(&mut tx, &wish.former).await?;
    let found = found.filter(|found| found.volume_id == wish.volume_id);
    let found = found.ok_or_else(|| {
        invalid_input(format!(
            "There is no {NAME}{} of volume {} that could be managed.",
            wish.former, wish.volume_id
        ))
    })?;
    // A snapshot is where its volume is: what is in another back end is of what the volume was before it moved.
    let layer = layers::find_in(&mut tx, &found.layer_id).await?;
    if let Some(layer) = layer.filter(|layer| Some(&layer.backend) != now.backend.as_ref()) {
        return Err(invalid_input(format!(
            "{NAME}{} is in back end {}, where volume {} is no longer.",
            wish.former, layer.backend, now.id
        )));
    }
    let snapshot = Snapshot {
        layer: Some(found.layer_id.clone()),
        ..new(&cx, &now, &wish, found.size_gib)
    };
    let usage = Usage::snapshot(snapshot.size_gib, &snapshot.type_id);
    let taken = quota::take(&mut tx, now.owner.project_id.as_str(), &limits, &usage).await?;
    taken.map_err(|over| over_quota(&over))?;
    snapshots::insert(&mut tx, &snapshot).await?;
    snapshots::update(&mut tx, &snapshot).await?;
    metadata::set(
        &mut tx,
        metadata::SNAPSHOT,
        snapshot.id.as_str(),
        &wish.items,
    )
    .await?;
    unmanaged::let_go(&mut tx, &found.layer_id).await?;
    tx.commit().await?;
    let shown = plain(shown(&cx, &snapshot).await?);
    Ok(Json(json!({ "snapshot": shown })))
}

fn new(cx: &Cx, volume: &Volume, wish: &Wish, size_gib: i64) -> Snapshot {
    Snapshot {
        id: SnapshotId::from(nephos_runtime::ids::uuid()),
        owner: Owner {
            project_id: volume.owner.project_id.clone(),
            user_id: cx.caller.user_id.clone(),
        },
        volume_id: volume.id.clone(),
        type_id: volume.type_id.clone(),
        name: wish.name.clone(),
        description: wish.description.clone(),
        size_gib,
        status: SnapshotStatus::Available,
        progress: "100%".to_owned(),
        backend: volume.backend.clone().unwrap_or_default(),
        layer: None,
        group_snapshot_id: None,
        created_at: cx.now(),
        updated_at: cx.now(),
    }
}

endpoint! {
    /// List what in a back end is a snapshot or could become one.
    ListManageableSnapshots: GET "/v3/{project_id}/manageable_snapshots" => 200,
    policy: rules::ListManageableSnapshots,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list_manageable,
}
async fn list_manageable(
    cx: Cx,
    req: Req<ListManageableSnapshots>,
) -> Reply<ListManageableSnapshots> {
    let mut found = manageable(&cx, &req.path, &req.query).await?;
    for one in found.iter_mut().filter_map(Value::as_object_mut) {
        for detail in ["reason_not_safe", "extra_info", "cinder_id"] {
            one.shift_remove(detail);
        }
    }
    Ok(Json(json!({ "manageable-snapshots": found })))
}

endpoint! {
    /// List what in a back end is a snapshot or could become one, with details.
    ListManageableSnapshotsDetail: GET "/v3/{project_id}/manageable_snapshots/detail" => 200,
    policy: rules::ListManageableSnapshots,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list_manageable_detail,
}
async fn list_manageable_detail(
    cx: Cx,
    req: Req<ListManageableSnapshotsDetail>,
) -> Reply<ListManageableSnapshotsDetail> {
    let found = manageable(&cx, &req.path, &req.query).await?;
    Ok(Json(json!({ "manageable-snapshots": found })))
}

async fn manageable(cx: &Cx, path: &ProjectPath, query: &Params) -> Result<Vec<Value>, Fault> {
    at_project(cx, &path.project_id)?;
    let mut pairs = query.0.clone();
    if !pairs.iter().any(|(key, _)| key.starts_with("sort")) {
        pairs.push(("sort".to_owned(), "reference:desc".to_owned()));
    }
    let asked = ListQuery::parse(&pairs, &["reference", "size"]).map_err(Fault::bad_request)?;
    let backend = named(cx, query.get("host")).await?;
    let managed = snapshots::of_backend(cx.db(), &backend.name).await?;
    let managed = managed.into_iter().map(|one| Entry {
        name: format!("{NAME}{}", one.id),
        size_gib: one.size_gib,
        volume_id: one.volume_id.to_string(),
        managed_as: Some(one.id.to_string()),
    });
    let free = unmanaged::of_backend(cx.db(), &backend.name).await?;
    let free = free.into_iter().map(|one| Entry {
        name: format!("{NAME}{}", one.snapshot_id),
        size_gib: one.size_gib,
        volume_id: one.volume_id,
        managed_as: None,
    });
    let mut found: Vec<Entry> = managed.chain(free).collect();
    for (key, down) in asked.sort.iter().rev() {
        match key.as_str() {
            "size" => found.sort_by_key(|one| one.size_gib),
            _reference => found.sort_by(|one, other| one.name.cmp(&other.name)),
        }
        if *down {
            found.reverse();
        }
    }
    let mut first = asked.offset;
    if let Some(marker) = &asked.marker {
        // A reference, in whatever form the client writes an object.
        let at = found.iter().position(|one| marker.contains(&one.name));
        first += at.ok_or_else(|| invalid_input(format!("marker not found: {marker}")))? + 1;
    }
    let page = found.iter().skip(first).take(asked.limit as usize);
    Ok(page.map(Entry::view).collect())
}

/// Something in a back end that is a snapshot, or could become one.
struct Entry {
    name: String,
    size_gib: i64,
    volume_id: String,
    managed_as: Option<String>,
}

impl Entry {
    fn view(&self) -> Value {
        let managed = self.managed_as.is_some();
        json!({
            "reference": {"source-name": self.name}, "size": self.size_gib, "safe_to_manage": !managed,
            "reason_not_safe": managed.then_some("already managed"), "cinder_id": self.managed_as, "extra_info": null,
            "source_reference": {"source-name": format!("volume-{}", self.volume_id)},
        })
    }
}

async fn named(cx: &Cx, host: Option<&str>) -> Result<Backend, Fault> {
    let host = host.filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| {
        invalid_input(
            "host must be given, host@backend or host@backend#pool, as the list of pools has it.",
        )
    })?;
    let all = backends::list(cx.db()).await?;
    let found = all
        .into_iter()
        .find(|one| one.pool() == host || one.service_host() == host);
    found.ok_or_else(|| {
        Fault::not_found(format!(
            "Service cinder-volume could not be found on host {host}."
        ))
    })
}
