//! What is done with a backup: brought back, taken elsewhere as a record, its state set by hand.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_types::Timestamp;
use serde_json::{Value, json};

use super::fault::{
    busy, invalid_backup, invalid_input, invalid_volume, no_backup, no_volume, over_quota,
};
use super::volume_create::{begin_restore, of_backup, usable_backup};
use super::{ItemPath, ProjectPath, at_project, backup, backups, project_of, volume_by_id};
use crate::model::backup::{
    Backup, BackupId, BackupStatus, Record, SERVICE, check_container, place_of,
};
use crate::model::body::Fields;
use crate::model::quota::Usage;
use crate::model::volume::{MAX_GIB, Owner, Status, Volume, is_uuid};
use crate::ops::restore::RESTORED;
use crate::ops::{self, Asked};
use crate::store::{backups as rows, quota, volumes};
use crate::{Cx, rules};

endpoint! {
    /// Bring a backup back, into a volume that is there or a new one.
    RestoreBackup: POST "/v3/{project_id}/backups/{id}/restore" => 202,
    policy: Loaded<rules::RestoreBackup>,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: restore_backup,
}
async fn restore_backup(cx: Cx, req: Req<RestoreBackup>) -> Reply<RestoreBackup> {
    let backup = backup(&cx, rules::RestoreBackup, &req.path).await?;
    let nothing = json!({"restore": {}});
    let body = match req.body.0.get("restore") {
        Some(Value::Null) => &nothing,
        _given => &req.body.0,
    };
    let fields = Fields::inside(body, "restore").map_err(Fault::bad_request)?;
    fields
        .only(&["name", "volume_id"])
        .map_err(Fault::bad_request)?;
    let name = fields.text("name").map_err(Fault::bad_request)?;
    let into = fields.uuid("volume_id").map_err(Fault::bad_request)?;
    usable_backup(&backup)?;
    let volume = match into {
        Some(id) => {
            let volume = volume_by_id(&cx, rules::UpdateVolume, &id).await?;
            restore_into(&cx, &backup, &volume).await?
        }
        None => {
            let name = name.unwrap_or_else(|| format!("{RESTORED}{}", backup.id));
            of_backup(&cx, &req.path.project_id, (&backup, &name)).await?
        }
    };
    let shown = json!({"backup_id": backup.id, "volume_id": volume.id, "volume_name": volume.name});
    Ok(Json(json!({ "restore": shown })))
}

async fn restore_into(cx: &Cx, backup: &Backup, volume: &Volume) -> Result<Volume, Fault> {
    let mut tx = cx.write().await?;
    begin_restore(cx, &mut tx, (&backup.id, &volume.id)).await?;
    let now = volumes::find_in(&mut tx, &volume.id).await?;
    let now = now.ok_or_else(|| no_volume(volume.id.as_str()))?;
    backups::check_plain(&now)?;
    if now.status != Status::Available {
        return Err(invalid_volume("Volume to be restored to must be available"));
    }
    if backup.size_gib > now.size_gib {
        return Err(invalid_volume(format!(
            "volume size {} is too small to restore backup of size {}.",
            now.size_gib, backup.size_gib
        )));
    }
    let moves = (Status::Available, Status::RestoringBackup);
    volumes::move_status(&mut tx, &now.id, moves, cx.now()).await?;
    tx.commit().await?;
    Ok(now)
}

endpoint! {
    /// Show what makes a backup known again where its objects are.
    ExportBackup: GET "/v3/{project_id}/backups/{id}/export_record" => 200,
    policy: Loaded<rules::ExportBackup>,
    path: ItemPath,
    reply: Json<Value>,
    handler: export_backup,
}
async fn export_backup(cx: Cx, req: Req<ExportBackup>) -> Reply<ExportBackup> {
    let backup = backup(&cx, rules::ExportBackup, &req.path)
        .await?
        .into_inner();
    let checksum = match (backup.status, backup.checksum) {
        (BackupStatus::Available, Some(checksum)) => checksum,
        (status, _not_whole) => {
            return Err(invalid_backup(format!(
                "Backup status must be available and not {}.",
                status.as_str()
            )));
        }
    };
    let record = Record {
        id: backup.id.to_string(),
        size: backup.size_gib,
        display_name: backup.name,
        display_description: backup.description,
        container: backup.container,
        service_metadata: backup.place,
        service: SERVICE.to_owned(),
        volume_id: backup.volume_id,
        parent_id: backup.parent_id,
        object_count: backup.object_count,
        checksum,
        data_timestamp: backup.data_at.0,
    };
    let record = serde_json::to_string(&record).unwrap_or_default();
    let shown = json!({"backup_service": SERVICE, "backup_url": BASE64_STANDARD.encode(record)});
    Ok(Json(json!({ "backup-record": shown })))
}

endpoint! {
    /// Make a backup known of which there is a record.
    ImportBackup: POST "/v3/{project_id}/backups/import_record" => 201,
    policy: rules::ImportBackup,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: import_backup,
}
async fn import_backup(cx: Cx, req: Req<ImportBackup>) -> Reply<ImportBackup> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "backup-record").map_err(Fault::bad_request)?;
    let known = ["backup_service", "backup_url"];
    fields.only(&known).map_err(Fault::bad_request)?;
    let text = |key: &str| {
        let text = fields.get(key).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).ok_or_else(|| {
            Fault::bad_request(format!(
                "Invalid input for field/attribute {key}. '{key}' is a required property"
            ))
        })
    };
    let service = text("backup_service")?;
    if service != SERVICE {
        return Err(Fault::unavailable(format!(
            "Service {service} could not be found."
        )));
    }
    let record = record(text("backup_url")?)?;
    let owner = Owner {
        project_id: project_of(&cx, &req.path.project_id).into(),
        user_id: cx.caller.user_id.clone(),
    };
    let backup = write(&cx, record, owner).await?;
    Ok(Json(json!({ "backup": backups::brief(&cx, &backup) })))
}

/// Reads a record; it names only what a backup of this service can be.
fn record(url: &str) -> Result<Record, Fault> {
    let wrong = |why: &str| invalid_input(format!("Can't parse backup record: {why}."));
    let bytes = BASE64_STANDARD.decode(url.trim());
    let bytes = bytes.map_err(|_| wrong("it is not base64"))?;
    let record: Record = serde_json::from_slice(&bytes).map_err(|why| wrong(&why.to_string()))?;
    let ids = [
        Some(&record.id),
        Some(&record.volume_id),
        record.parent_id.as_ref(),
    ];
    if !ids.into_iter().flatten().all(|id| is_uuid(id)) {
        return Err(wrong("an id in it is not a UUID"));
    }
    if !(1..=MAX_GIB).contains(&record.size) || record.object_count < 0 {
        return Err(wrong("its size cannot be"));
    }
    check_container(&record.container).map_err(|_| wrong("its container cannot be"))?;
    let (begin, id) = record.service_metadata.rsplit_once('_').unwrap_or_default();
    let own = place_of(&record.volume_id, &BackupId::from(id));
    if begin.is_empty() || !is_uuid(id) || own != record.service_metadata {
        return Err(wrong("its objects are in no place of a backup"));
    }
    let texts = [&record.display_name, &record.display_description];
    let long = |text: &String| text.chars().count() > 255;
    if texts.into_iter().flatten().any(long) || record.checksum.len() != 64 {
        return Err(wrong("a text in it is too long"));
    }
    Ok(record)
}

async fn write(cx: &Cx, record: Record, owner: Owner) -> Result<Backup, Fault> {
    let project = owner.project_id.clone();
    let limits = quota::limits(cx.db(), project.as_str()).await?;
    let mut backup = Backup {
        id: BackupId::from(record.id.as_str()),
        owner,
        volume_id: record.volume_id,
        snapshot_id: None,
        parent_id: record.parent_id,
        name: record.display_name,
        description: record.display_description,
        size_gib: record.size,
        status: BackupStatus::Creating,
        fail_reason: None,
        zone: cx.config.zone.clone(),
        container: record.container,
        place: record.service_metadata,
        checksum: Some(record.checksum),
        object_count: record.object_count,
        progress: 0,
        layer: None,
        restore_volume_id: None,
        data_at: Timestamp(record.data_timestamp),
        created_at: cx.now(),
        updated_at: cx.now(),
        dependents: 0,
    };
    backup.progress = backup.segments();
    let mut tx = cx.write().await?;
    if rows::find_in(&mut tx, &backup.id).await?.is_some() {
        return Err(invalid_backup("Backup already exists in database."));
    }
    let requested = ops::backup_import::request(&mut tx, Asked::of(cx), &backup.id).await;
    requested.map_err(|why| busy("backup", backup.id.as_str(), why))?;
    let usage = Usage::backup(backup.size_gib);
    if let Err(over) = quota::take(&mut tx, project.as_str(), &limits, &usage).await? {
        return Err(over_quota(&over));
    }
    rows::insert(&mut tx, &backup).await?;
    tx.commit().await?;
    Ok(backup)
}

endpoint! {
    /// Set a backup's state by hand.
    ResetBackupStatus: POST "/v3/{project_id}/backups/{id}/action" ["os-reset_status"] => 202,
    policy: Loaded<rules::ResetBackupStatus>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: reset_status,
}
async fn reset_status(cx: Cx, req: Req<ResetBackupStatus>) -> Reply<ResetBackupStatus> {
    let backup = backup(&cx, rules::ResetBackupStatus, &req.path).await?;
    let fields = Fields::inside(&req.body.0, "os-reset_status").map_err(Fault::bad_request)?;
    let word = fields.text("status").map_err(Fault::bad_request)?;
    let word = word.unwrap_or_default();
    let status = match word.to_ascii_lowercase().as_str() {
        "available" => BackupStatus::Available,
        "error" => BackupStatus::Error,
        _other => {
            return Err(Fault::bad_request(format!(
                "Must specify a valid status: available or error, not '{word}'."
            )));
        }
    };
    let mut tx = cx.write().await?;
    let now = rows::find_in(&mut tx, &backup.id).await?;
    let mut now = now.ok_or_else(|| no_backup(&req.path.id))?;
    if status == BackupStatus::Available && (now.checksum.is_none() || now.place.is_empty()) {
        return Err(invalid_backup(
            "It is not whole, so it can never be available. Delete it",
        ));
    }
    now.status = status;
    now.updated_at = cx.now();
    rows::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Delete a backup whatever its state.
    ForceDeleteBackup: POST "/v3/{project_id}/backups/{id}/action" ["os-force_delete"] => 202,
    policy: Loaded<rules::ForceDeleteBackup>,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: force_delete,
}
async fn force_delete(cx: Cx, req: Req<ForceDeleteBackup>) -> Reply<ForceDeleteBackup> {
    let backup = backup(&cx, rules::ForceDeleteBackup, &req.path).await?;
    backups::delete(&cx, &backup.id, true).await?;
    Ok(Accepted)
}
