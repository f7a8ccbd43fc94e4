//! Backups of volumes.

use nephos_api::version::v;
use nephos_api::{Accepted, Fault, Json, Loaded, Params, Reply, Req, Shape, endpoint};
use nephos_auth::Target;
use serde_json::{Value, json};

use super::fault::{
    busy, invalid_backup, invalid_input, invalid_snapshot, invalid_volume, no_backup, no_volume,
    over_quota,
};
use super::versions::BACKUP_VIEW;
use super::{
    ItemPath, ProjectPath, at_project, backup, links, next_link, project_of, snapshot_by_id,
    volume_by_id, whose,
};
use crate::model::backup::{Backup, BackupId, BackupStatus, CONTAINER, check_container, place_of};
use crate::model::body::Fields;
use crate::model::layer::Format;
use crate::model::list::ListQuery;
use crate::model::quota::Usage;
use crate::model::snapshot::{Snapshot, SnapshotStatus};
use crate::model::volume::{Metadata, Owner, Status, Volume};
use crate::ops::{self, Asked};
use crate::store::backups::{Listing, SORT_KEYS};
use crate::store::{backends, backups, layers, metadata, quota, snapshots, volumes};
use crate::{Cx, rules};

fn view(cx: &Cx, backup: &Backup, items: Metadata) -> Value {
    let project = backup.owner.project_id.as_str();
    let mut view = json!({
        "id": backup.id, "status": backup.status.as_str(), "size": backup.size_gib,
        "object_count": backup.object_count, "availability_zone": backup.zone, "container": backup.container,
        "created_at": backup.created_at.iso_naive(), "updated_at": backup.updated_at.iso_naive(),
        "name": backup.name, "description": backup.description, "fail_reason": backup.fail_reason,
        "volume_id": backup.volume_id, "links": links(cx, project, &format!("backups/{}", backup.id)),
        "is_incremental": backup.parent_id.is_some(), "has_dependent_backups": backup.dependents > 0,
        "snapshot_id": backup.snapshot_id, "data_timestamp": backup.data_at.iso_naive(), "metadata": items,
    });
    if cx.may(rules::BackupAttribute, &Target::of_project(project))
        && let Some(view) = view.as_object_mut()
    {
        let owner = &backup.owner;
        view.insert(
            "os-backup-project-attr:project_id".to_owned(),
            json!(owner.project_id),
        );
        view.insert("user_id".to_owned(), json!(owner.user_id));
    }
    view
}

/// What replies say that make or change a backup.
pub(crate) fn brief(cx: &Cx, backup: &Backup) -> Value {
    let rest = format!("backups/{}", backup.id);
    let links = links(cx, backup.owner.project_id.as_str(), &rest);
    json!({"id": backup.id, "name": backup.name, "links": links})
}

/// What is asked for.
struct Wish {
    name: Option<String>,
    description: Option<String>,
    items: Metadata,
    container: String,
    zone: String,
    incremental: bool,
    force: bool,
}

async fn wish(cx: &Cx, fields: &Fields<'_>) -> Result<Wish, Fault> {
    let mut known = vec![
        "volume_id",
        "container",
        "description",
        "incremental",
        "force",
        "name",
        "snapshot_id",
    ];
    if cx.version >= v(3, 43) {
        known.push("metadata");
    }
    if cx.version >= v(3, 51) {
        known.push("availability_zone");
    }
    fields.only(&known).map_err(Fault::bad_request)?;
    let text = |key: &str| fields.text(key).map_err(Fault::bad_request);
    let flag = |key: &str| fields.flag(key).map_err(Fault::bad_request);
    let container = text("container")?.filter(|name| !name.is_empty());
    let container = container.unwrap_or_else(|| CONTAINER.to_owned());
    check_container(&container).map_err(Fault::bad_request)?;
    let items = fields.metadata("metadata").map_err(Fault::bad_request)?;
    let zone = match text("availability_zone")?.filter(|zone| !zone.is_empty()) {
        Some(zone) => {
            let all = backends::list(cx.db()).await?;
            if !all.iter().any(|backend| backend.zone == zone) {
                return Err(Fault::unavailable(
                    "Service cinder-backup could not be found in that availability zone.",
                ));
            }
            zone
        }
        None => cx.config.zone.clone(),
    };
    Ok(Wish {
        name: text("name")?,
        description: text("description")?,
        items: items.unwrap_or_default(),
        container,
        zone,
        incremental: flag("incremental")?.unwrap_or(false),
        force: flag("force")?.unwrap_or(false),
    })
}

endpoint! {
    /// Create a backup of a volume or of one of its snapshots.
    CreateBackup: POST "/v3/{project_id}/backups" => 202,
    policy: rules::CreateBackup,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_backup,
}
async fn create_backup(cx: Cx, req: Req<CreateBackup>) -> Reply<CreateBackup> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "backup").map_err(Fault::bad_request)?;
    let wish = wish(&cx, &fields).await?;
    let id = fields.uuid("volume_id").map_err(Fault::bad_request)?;
    let id = id.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute backup. 'volume_id' is a required property",
        )
    })?;
    let of_snapshot = fields.uuid("snapshot_id").map_err(Fault::bad_request)?;
    let volume = volume_by_id(&cx, rules::CreateBackup, &id).await?;
    check_plain(&volume)?;
    let snapshot = match of_snapshot {
        Some(of_snapshot) => {
            let found = snapshot_by_id(&cx, rules::GetSnapshot, &of_snapshot).await?;
            Some(found.into_inner())
        }
        None => {
            allowed(&volume, wish.force)?;
            super::volume_create::copyable(&cx, &volume).await?;
            None
        }
    };
    let owner = Owner {
        project_id: project_of(&cx, &req.path.project_id).into(),
        user_id: cx.caller.user_id.clone(),
    };
    let backup = write(&cx, (&volume, snapshot), (owner, wish)).await?;
    Ok(Json(json!({ "backup": brief(&cx, &backup) })))
}

/// What is encrypted stays so: a backup lies elsewhere.
pub(crate) fn check_plain(volume: &Volume) -> Result<(), Fault> {
    if volume.format == Format::Luks {
        return Err(invalid_volume(format!(
            "Volume {} is encrypted, and backups are not. Make a snapshot of it, or have a server that uses it back up what is \
             in it.",
            volume.id
        )));
    }
    Ok(())
}

fn allowed(volume: &Volume, force: bool) -> Result<(), Fault> {
    match volume.status {
        Status::Available => Ok(()),
        Status::InUse if force => Ok(()),
        Status::InUse => Err(invalid_volume(
            "Backing up an in-use volume must use the force flag.",
        )),
        other => Err(invalid_volume(format!(
            "Volume to be backed up must be available or in-use, but the current status is \"{}\".",
            other.as_str()
        ))),
    }
}

fn of_volume(snapshot: &Snapshot, volume: &Volume) -> Result<(), Fault> {
    if snapshot.volume_id != volume.id {
        return Err(invalid_volume(format!(
            "Volume {} does not match with snapshot.volume_id {}.",
            volume.id, snapshot.volume_id
        )));
    }
    if snapshot.status != SnapshotStatus::Available {
        return Err(invalid_snapshot(format!(
            "Snapshot to be backed up must be available, but the current status is \"{}\".",
            snapshot.status.as_str()
        )));
    }
    Ok(())
}

/// Everything in one transaction: the quota, the backup, what it stands on and is made of, the work.
async fn write(
    cx: &Cx,
    (volume, snapshot): (&Volume, Option<Snapshot>),
    (owner, wish): (Owner, Wish),
) -> Result<Backup, Fault> {
    let project = owner.project_id.clone();
    let limits = quota::limits(cx.db(), project.as_str()).await?;
    let id = BackupId::from(nephos_runtime::ids::uuid());
    let mut tx = cx.write().await?;
    let requested = ops::backup::request(&mut tx, Asked::of(cx), &id).await;
    requested.map_err(|why| busy("backup", id.as_str(), why))?;
    let now = volumes::find_in(&mut tx, &volume.id).await?;
    let now = now.ok_or_else(|| no_volume(volume.id.as_str()))?;
    check_plain(&now)?;
    let mut snapshot = match snapshot {
        Some(seen) => {
            let found = snapshots::find_in(&mut tx, &seen.id).await?;
            let found = found.ok_or_else(|| super::fault::no_snapshot(seen.id.as_str()))?;
            of_volume(&found, &now)?;
            Some(found)
        }
        None => {
            allowed(&now, wish.force)?;
            None
        }
    };
    let size_gib = snapshot.as_ref().map_or(now.size_gib, |of| of.size_gib);
    let usage = Usage::backup(size_gib);
    if let Err(over) = quota::take(&mut tx, project.as_str(), &limits, &usage).await? {
        return Err(over_quota(&over));
    }
    let parent = match wish.incremental {
        true => {
            let before = snapshot.as_ref().map(|of| of.created_at);
            let whose = (now.id.as_str(), project.as_str());
            let below = backups::newest_of(&mut tx, whose, before).await?;
            let none = "No backups available to do an incremental backup.";
            Some(below.ok_or_else(|| invalid_backup(none))?)
        }
        false => None,
    };
    let mut layer = snapshot.as_ref().and_then(|of| of.layer.clone());
    if let Some(snapshot) = &mut snapshot {
        snapshot.status = SnapshotStatus::BackingUp;
        snapshot.updated_at = cx.now();
        snapshots::update(&mut tx, snapshot).await?;
    } else {
        if now.status == Status::InUse {
            let backend = now.backend.clone().unwrap_or_default();
            let made = ops::layer::of_volume(id.as_str(), &backend, &now);
            layers::insert(&mut tx, &made, cx.now()).await?;
            layer = Some(made.id);
        }
        volumes::move_status(&mut tx, &now.id, (now.status, Status::BackingUp), cx.now()).await?;
    }
    let backup = Backup {
        place: place_of(now.id.as_str(), &id),
        id,
        owner,
        volume_id: now.id.to_string(),
        parent_id: parent.map(|below| below.id.to_string()),
        name: wish.name,
        description: wish.description,
        size_gib,
        status: BackupStatus::Creating,
        fail_reason: None,
        zone: wish.zone,
        container: wish.container,
        checksum: None,
        object_count: 0,
        progress: 0,
        layer,
        restore_volume_id: None,
        data_at: snapshot.as_ref().map_or(cx.now(), |of| of.created_at),
        snapshot_id: snapshot.map(|of| of.id.to_string()),
        created_at: cx.now(),
        updated_at: cx.now(),
        dependents: 0,
    };
    backups::insert(&mut tx, &backup).await?;
    metadata::set(&mut tx, metadata::BACKUP, backup.id.as_str(), &wish.items).await?;
    tx.commit().await?;
    Ok(backup)
}

endpoint! {
    /// Show a backup.
    ShowBackup: GET "/v3/{project_id}/backups/{id}" => 200,
    policy: Loaded<rules::GetBackup>,
    path: ItemPath,
    reply: Json<Value> as Shape::one("backup", BACKUP_VIEW),
    handler: show_backup,
}
async fn show_backup(cx: Cx, req: Req<ShowBackup>) -> Reply<ShowBackup> {
    let backup = backup(&cx, rules::GetBackup, &req.path).await?;
    let items = metadata::of(cx.db(), metadata::BACKUP, backup.id.as_str()).await?;
    Ok(Json(json!({ "backup": view(&cx, &backup, items) })))
}

endpoint! {
    /// List backups.
    ListBackups: GET "/v3/{project_id}/backups" => 200,
    policy: rules::GetAllBackups,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list_backups,
}
async fn list_backups(cx: Cx, req: Req<ListBackups>) -> Reply<ListBackups> {
    let (found, mut body) = page(&cx, (&req.path.project_id, "backups"), &req.query).await?;
    let views: Vec<Value> = found.iter().map(|one| brief(&cx, one)).collect();
    if let Some(body) = body.as_object_mut() {
        body.insert("backups".to_owned(), json!(views));
    }
    Ok(Json(body))
}

endpoint! {
    /// List backups with details.
    ListBackupsDetail: GET "/v3/{project_id}/backups/detail" => 200,
    policy: rules::GetAllBackups,
    path: ProjectPath,
    query: Params,
    reply: Json<Value> as Shape::each("backups", BACKUP_VIEW),
    handler: list_backups_detail,
}
async fn list_backups_detail(cx: Cx, req: Req<ListBackupsDetail>) -> Reply<ListBackupsDetail> {
    let place = (req.path.project_id.as_str(), "backups/detail");
    let (found, mut body) = page(&cx, place, &req.query).await?;
    let ids: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
    let mut items = metadata::of_many(cx.db(), metadata::BACKUP, &ids).await?;
    let views: Vec<Value> = found
        .iter()
        .map(|one| view(&cx, one, items.remove(one.id.as_str()).unwrap_or_default()))
        .collect();
    if let Some(body) = body.as_object_mut() {
        body.insert("backups".to_owned(), json!(views));
    }
    Ok(Json(body))
}

/// A page of backups, and what the body says beside them.
async fn page(
    cx: &Cx,
    (path, place): (&str, &str),
    params: &Params,
) -> Result<(Vec<Backup>, Value), Fault> {
    at_project(cx, path)?;
    let asked = ListQuery::parse(&params.0, SORT_KEYS).map_err(Fault::bad_request)?;
    let own = ["name", "status", "volume_id"];
    let mut filters = asked.filters;
    let strange = |key: &str| !own.contains(&key.trim_end_matches('~'));
    if !cx.caller.is_admin()
        && let Some((key, _)) = filters.iter().find(|(key, _)| strange(key))
    {
        // Cinder leaves out what it does not know, and says so from 3.31 on.
        if cx.version >= v(3, 31) {
            return Err(invalid_input(format!(
                "Invalid filters {key} are found in query options."
            )));
        }
        filters.retain(|(key, _)| !strange(key));
    }
    if cx.version < v(3, 34) {
        filters.retain(|(key, _)| !key.ends_with('~'));
    }
    let after = match &asked.marker {
        Some(marker) => {
            let found = backups::find(cx.db(), &BackupId::from(marker.as_str())).await?;
            let found = found.filter(|one| nephos_auth::Resource::visible_to(one, &cx.caller));
            Some(found.ok_or_else(|| no_backup(marker))?)
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
    let mut found = backups::page(cx.db(), &listing).await?;
    let found = found.split_off(asked.offset.min(found.len()));
    let mut body = json!({});
    let last = found.last().map(|one| one.id.to_string());
    let here = format!("/v3/{}/{place}", project_of(cx, path));
    if let Some(body) = body.as_object_mut() {
        let full = (found.len(), asked.limit, last.as_deref());
        if let Some(next) = next_link(cx, &here, params, full) {
            body.insert("backups_links".to_owned(), next);
        }
        if asked.with_count && cx.version >= v(3, 45) {
            let count = backups::count(cx.db(), &listing).await?;
            body.insert("count".to_owned(), json!(count));
        }
    }
    Ok((found, body))
}

endpoint! {
    /// Change a backup's name, description or metadata.
    UpdateBackup: PUT "/v3/{project_id}/backups/{id}" => 200,
    versions: 3.9..,
    policy: Loaded<rules::UpdateBackup>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_backup,
}
async fn update_backup(cx: Cx, req: Req<UpdateBackup>) -> Reply<UpdateBackup> {
    let backup = backup(&cx, rules::UpdateBackup, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "backup").map_err(Fault::bad_request)?;
    let mut known = vec!["name", "description"];
    if cx.version >= v(3, 43) {
        known.push("metadata");
    }
    fields.only(&known).map_err(Fault::bad_request)?;
    let text = |key: &str| fields.text(key).map_err(Fault::bad_request);
    let (name, description) = (text("name")?, text("description")?);
    let items = fields.metadata("metadata").map_err(Fault::bad_request)?;
    let mut tx = cx.write().await?;
    let now = backups::find_in(&mut tx, &backup.id).await?;
    let mut now = now.ok_or_else(|| no_backup(&req.path.id))?;
    if fields.has("name") {
        now.name = name;
    }
    if fields.has("description") {
        now.description = description;
    }
    now.updated_at = cx.now();
    backups::update(&mut tx, &now).await?;
    if let Some(items) = items {
        metadata::replace(&mut tx, metadata::BACKUP, now.id.as_str(), &items).await?;
    }
    tx.commit().await?;
    Ok(Json(json!({ "backup": brief(&cx, &now) })))
}

endpoint! {
    /// Delete a backup.
    DeleteBackup: DELETE "/v3/{project_id}/backups/{id}" => 202,
    policy: Loaded<rules::DeleteBackup>,
    path: ItemPath,
    reply: Accepted,
    handler: delete_backup,
}
async fn delete_backup(cx: Cx, req: Req<DeleteBackup>) -> Reply<DeleteBackup> {
    let backup = backup(&cx, rules::DeleteBackup, &req.path).await?;
    delete(&cx, &backup.id, false).await?;
    Ok(Accepted)
}

pub(crate) async fn delete(cx: &Cx, id: &BackupId, force: bool) -> Result<(), Fault> {
    let mut tx = cx.write().await?;
    let now = backups::find_in(&mut tx, id).await?;
    let now = now.ok_or_else(|| no_backup(id.as_str()))?;
    if !force && !now.status.is_deletable() {
        return Err(invalid_backup("Backup status must be available or error"));
    }
    if now.dependents > 0 {
        return Err(invalid_backup("Incremental backups exist for this backup."));
    }
    let requested = ops::backup_delete::request(&mut tx, Asked::of(cx), &now).await;
    requested.map_err(|why| busy("backup", id.as_str(), why))?;
    tx.commit().await?;
    Ok(())
}
