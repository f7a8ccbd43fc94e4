//! Creating a volume: from nothing, an image, a snapshot or another volume.

use nephos_api::version::v;
use nephos_api::{Fault, Json, Reply, Req, Shape, endpoint};
use serde_json::{Value, json};

use super::fault::{
    busy, from_peer, invalid_backup, invalid_input, invalid_snapshot, invalid_volume, no_backup,
    no_type, over_quota,
};
use super::versions::VOLUME_VIEW;
use super::volume_view::Around;
use super::{ProjectPath, at_project, snapshot_by_id, volume_by_id};
use crate::model::backup::{Backup, BackupId, BackupStatus};
use crate::model::body::Fields;
use crate::model::group::GroupStatus;
use crate::model::layer::{Format, Layer};
use crate::model::quota::{Over, Usage};
use crate::model::snapshot::SnapshotStatus;
use crate::model::volume::{Metadata, Owner, Status, Volume, VolumeId, gib_for};
use crate::model::volume_type::{DEFAULT, VolumeType};
use crate::ops::create::{Args, request};
use crate::ops::{self, Asked};
use crate::peers::Image;
use crate::store::{backends, backups, groups, layers, metadata, quota, snapshots, types, volumes};
use crate::{Cx, rules};

mod encrypted;

const KEYS: &[&str] = &[
    "name",
    "description",
    "display_name",
    "display_description",
    "volume_type",
    "metadata",
    "snapshot_id",
    "source_volid",
    "consistencygroup_id",
    "size",
    "availability_zone",
    "multiattach",
    "image_id",
    "imageRef",
    "group_id",
    "backup_id",
];

endpoint! {
    /// Create a volume.
    CreateVolume: POST "/v3/{project_id}/volumes" => 202,
    policy: rules::CreateVolume,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value> as Shape::one("volume", VOLUME_VIEW),
    handler: create_volume,
}
async fn create_volume(cx: Cx, req: Req<CreateVolume>) -> Reply<CreateVolume> {
    at_project(&cx, &req.path.project_id)?;
    let path = &req.path.project_id;
    let backup = backup(&cx, &req.body.0).await?;
    let plan = plan(&cx, (&req.body.0, path), backup).await?;
    let volume = write(&cx, plan).await?;
    let around = Around::of(&cx, std::slice::from_ref(&volume)).await?;
    Ok(Json(json!({ "volume": around.brief(&cx, &volume) })))
}

/// A volume into which a backup is brought back.
pub(crate) async fn of_backup(
    cx: &Cx,
    path: &str,
    (backup, name): (&Backup, &str),
) -> Result<Volume, Fault> {
    let description = "auto-created_from_restore_from_backup";
    let body = json!({"volume": {"name": name, "description": description}});
    let plan = plan(cx, (&body, path), Some(backup.clone())).await?;
    write(cx, plan).await
}

/// The backup that a body names; Cinder knows that from 3.47 on.
async fn backup(cx: &Cx, body: &Value) -> Result<Option<Backup>, Fault> {
    if cx.version < v(3, 47) {
        return Ok(None);
    }
    let fields = Fields::inside(body, "volume").map_err(Fault::bad_request)?;
    match fields.uuid("backup_id").map_err(Fault::bad_request)? {
        Some(id) => {
            let backup = super::backup_by_id(cx, rules::GetBackup, &id).await?;
            usable_backup(&backup)?;
            Ok(Some(backup.into_inner()))
        }
        None => Ok(None),
    }
}

/// Refuses a backup that cannot be brought back now.
pub(crate) fn usable_backup(backup: &Backup) -> Result<(), Fault> {
    if backup.status == BackupStatus::Available {
        Ok(())
    } else {
        Err(invalid_backup("Backup status must be available"))
    }
}

/// What a volume is made from, once it is clear that it can be.
enum From {
    Nothing,
    Backup(Box<Backup>),
    Image(Box<Image>),
    Snapshot(Box<crate::model::snapshot::Snapshot>),
    Volume(Box<Volume>),
}

pub(crate) struct Plan {
    volume: Volume,
    items: Metadata,
    image_items: Metadata,
    from: From,
    zone: Option<String>,
}

impl Plan {
    /// The same, in a group.
    pub(crate) fn in_group(mut self, group: &str) -> Self {
        self.volume.group_id = Some(group.to_owned());
        self
    }
}

/// Whether a volume of that type may be in the group that a body names (Cinder 3.13).
async fn group_of(
    cx: &Cx,
    fields: &Fields<'_>,
    kind: &VolumeType,
) -> Result<Option<String>, Fault> {
    if cx.version < v(3, 13) {
        return Ok(None);
    }
    let Some(id) = fields.uuid("group_id").map_err(Fault::bad_request)? else {
        return Ok(None);
    };
    let group = super::groups::group_by_id(cx, rules::GetGroup, &id).await?;
    if !fields.has("volume_type") {
        return Err(invalid_input(
            "volume_type must be provided when creating a volume in a group.",
        ));
    }
    let types = groups::types_of(cx.db(), &[&id]).await?;
    if !types.get(&id).is_some_and(|types| types.contains(&kind.id)) {
        return Err(invalid_input(format!(
            "Invalid volume_type provided: {} (requested type must be supported by this group {id}).",
            kind.id
        )));
    }
    if group.status != GroupStatus::Available {
        return Err(invalid_input(format!(
            "Group {id} must be available, and is {}.",
            group.status.as_str()
        )));
    }
    Ok(Some(id))
}

pub(crate) async fn plan(
    cx: &Cx,
    (body, path): (&Value, &str),
    backup: Option<Backup>,
) -> Result<Plan, Fault> {
    let fields = Fields::inside(body, "volume").map_err(Fault::bad_request)?;
    if cx.version >= v(3, 53) {
        fields.only(KEYS).map_err(Fault::bad_request)?;
    }
    if fields.flag("multiattach").map_err(Fault::bad_request)? == Some(true) {
        return Err(Fault::bad_request(
            "multiattach parameter has been removed. The default behavior is to use multiattach enabled volume types. \
             Contact your administrator to create a multiattach enabled volume type and use it to create multiattach \
             volumes.",
        ));
    }
    let absent = fields.text("consistencygroup_id");
    if let Some(id) = absent
        .map_err(Fault::bad_request)?
        .filter(|id| !id.is_empty())
    {
        return Err(Fault::not_found(format!(
            "consistencygroup_id {id} could not be found."
        )));
    }
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
    let from = source(cx, &fields, backup).await?;
    let size_gib = size(&fields, &from)?;
    let project = super::project_of(cx, path);
    let kind = volume_type(cx, &fields, (&from, &project)).await?;
    if let Some(why) = kind.refuses(size_gib) {
        return Err(invalid_input(why));
    }
    let zone = zone(cx, &fields, (&from, &kind)).await?;
    if kind.is_multiattach() {
        cx.require(
            rules::Multiattach,
            &nephos_auth::Target::of_project(&project),
        )?;
    }
    let group_id = group_of(cx, &fields, &kind).await?;
    let (bootable, image_items) = boot(cx, &from).await?;
    let now = cx.now();
    let mut volume = Volume {
        id: VolumeId::from(nephos_runtime::ids::uuid()),
        owner: Owner {
            project_id: project.into(),
            user_id: cx.caller.user_id.clone(),
        },
        name,
        description,
        size_gib,
        status: Status::Creating,
        status_before: Status::Creating,
        bootable,
        readonly: false,
        multiattach: kind.is_multiattach(),
        zone: zone.clone().unwrap_or_else(|| cx.config.zone.clone()),
        type_id: kind.id,
        snapshot_id: None,
        source_volid: None,
        image_id: None,
        backend: None,
        format: Format::Raw,
        layer: None,
        held_by: None,
        created_at: now,
        updated_at: now,
        launched_at: None,
        group_id,
        migration: None,
    };
    match &from {
        From::Nothing | From::Backup(_) => {}
        From::Image(image) => volume.image_id = Some(image.id.clone()),
        From::Snapshot(snapshot) => {
            volume.snapshot_id = Some(snapshot.id.to_string());
            volume.backend = Some(snapshot.backend.clone());
        }
        From::Volume(source) => {
            volume.source_volid = Some(source.id.to_string());
            volume.backend.clone_from(&source.backend);
        }
    }
    Ok(Plan {
        volume,
        items,
        image_items,
        from,
        zone,
    })
}

async fn source(cx: &Cx, fields: &Fields<'_>, backup: Option<Backup>) -> Result<From, Fault> {
    let snapshot = fields.uuid("snapshot_id").map_err(Fault::bad_request)?;
    let volume = fields.uuid("source_volid").map_err(Fault::bad_request)?;
    let image = fields.text("imageRef").map_err(Fault::bad_request)?;
    let image = match image {
        Some(image) => Some(image),
        None => fields.text("image_id").map_err(Fault::bad_request)?,
    };
    let image = image.filter(|image| !image.is_empty());
    if [
        snapshot.is_some(),
        volume.is_some(),
        image.is_some(),
        backup.is_some(),
    ]
    .into_iter()
    .filter(|given| *given)
    .count()
        > 1
    {
        return Err(invalid_input(
            "only one of snapshot_id, source_volid, imageRef and backup_id may be given.",
        ));
    }
    if let Some(backup) = backup {
        return Ok(From::Backup(Box::new(backup)));
    }
    if let Some(id) = snapshot {
        let snapshot = snapshot_by_id(cx, rules::GetSnapshot, &id)
            .await?
            .into_inner();
        if snapshot.status != SnapshotStatus::Available {
            return Err(invalid_snapshot(format!(
                "Originating snapshot status must be one of available values. It is {}.",
                snapshot.status.as_str()
            )));
        }
        return Ok(From::Snapshot(Box::new(snapshot)));
    }
    if let Some(id) = volume {
        let volume = volume_by_id(cx, rules::GetVolume, &id).await?.into_inner();
        usable_source(cx, &volume).await?;
        return Ok(From::Volume(Box::new(volume)));
    }
    match image {
        Some(id) => Ok(From::Image(Box::new(usable_image(cx, &id).await?))),
        None => Ok(From::Nothing),
    }
}

/// Only a volume whose data is there, and at rest unless the file system can copy what is being written.
async fn usable_source(cx: &Cx, volume: &Volume) -> Result<(), Fault> {
    if !volume.status.is_settled() {
        return Err(invalid_volume(format!(
            "Originating volume status must be one of available, in-use values. It is {}.",
            volume.status.as_str()
        )));
    }
    copyable(cx, volume).await
}

/// Refuses a copy of a volume that is being written where the file system cannot make one.
pub(crate) async fn copyable(cx: &Cx, volume: &Volume) -> Result<(), Fault> {
    let encrypted = volume.format == Format::Luks;
    if volume.status == Status::Available && !encrypted {
        return Ok(());
    }
    let backend = match &volume.backend {
        Some(name) => backends::find(cx.db(), name).await?,
        None => None,
    };
    if backend.is_some_and(|backend| backend.reflink) {
        return Ok(());
    }
    if encrypted {
        return Err(invalid_volume(format!(
            "Volume {} is encrypted, and the file system of its back end cannot copy it as it is (XFS and btrfs can). Let an \
             administrator have the back end's folder on one of these, or copy what is in the volume within a server.",
            volume.id
        )));
    }
    Err(invalid_volume(format!(
        "Volume {} is in use, and the file system of its back end cannot copy a file that is being written (XFS and btrfs \
         can). Detach it first.",
        volume.id
    )))
}

async fn usable_image(cx: &Cx, reference: &str) -> Result<Image, Fault> {
    let id = reference.rsplit('/').next().unwrap_or(reference);
    let unknown =
        || Fault::bad_request("Invalid image identifier or unable to access requested image.");
    let image = match cx.siblings.image(cx.token(), id).await {
        Ok(image) => image,
        Err(why) if why.status.is_some_and(|status| status < 500) => return Err(unknown()),
        Err(why) => return Err(from_peer(&why)),
    };
    if image.status != "active" {
        return Err(invalid_input(format!("Image {} is not active.", image.id)));
    }
    Ok(image)
}

fn size(fields: &Fields<'_>, from: &From) -> Result<i64, Fault> {
    let given = fields.size("size").map_err(Fault::bad_request)?;
    let least = match from {
        From::Snapshot(snapshot) => Some((snapshot.size_gib, "snapshot size")),
        From::Volume(volume) => Some((volume.size_gib, "original volume size")),
        From::Backup(backup) => Some((backup.size_gib, "backup size")),
        From::Nothing | From::Image(_) => None,
    };
    let size = given
        .or_else(|| least.map(|(size, _)| size))
        .ok_or_else(|| {
            invalid_input("Volume size must be specified as an integer greater than zero.")
        })?;
    if let Some((least, what)) = least
        && size < least
    {
        return Err(invalid_input(format!(
            "Volume size '{size}'GB cannot be smaller than {what} {least}GB. They must be >= {what}."
        )));
    }
    if let From::Image(image) = from {
        let needs = gib_for(image.size.unwrap_or(0));
        if needs > size {
            return Err(invalid_input(format!(
                "Size of specified image {needs}GB is larger than volume size {size}GB."
            )));
        }
        if image.min_disk > size {
            return Err(invalid_input(format!(
                "Volume size {size}GB cannot be smaller than the image minDisk size {}GB.",
                image.min_disk
            )));
        }
    }
    Ok(size)
}

async fn volume_type(
    cx: &Cx,
    fields: &Fields<'_>,
    (from, project): (&From, &str),
) -> Result<VolumeType, Fault> {
    let named = fields
        .text("volume_type")
        .map_err(Fault::bad_request)?
        .filter(|name| !name.is_empty());
    let of_image = match from {
        From::Image(image) => image
            .rest
            .get("cinder_img_volume_type")
            .and_then(Value::as_str)
            .map(str::to_owned),
        _other => None,
    };
    let of_source = match from {
        From::Snapshot(snapshot) => Some(snapshot.type_id.clone()),
        From::Volume(volume) => Some(volume.type_id.clone()),
        From::Nothing | From::Backup(_) | From::Image(_) => None,
    };
    let word = match (named.or(of_image), &of_source) {
        (Some(named), _) => named,
        (None, Some(source)) => source.clone(),
        (None, None) => default_type(cx, project).await?,
    };
    let kind = usable_type(cx, project, &word).await?;
    if of_source.as_ref().is_some_and(|source| *source != kind.id) {
        return Err(invalid_input(format!(
            "Invalid volume_type provided: {} (requested type is not compatible; recommend omitting the type argument).",
            kind.id
        )));
    }
    Ok(kind)
}

/// The project's own default type, or the cloud's.
async fn default_type(cx: &Cx, project: &str) -> Result<String, Fault> {
    let own = types::defaults(cx.db(), Some(project)).await?;
    Ok(own
        .into_iter()
        .next()
        .map_or_else(|| DEFAULT.to_owned(), |own| own.type_id))
}

/// The type of this id or name, when the caller may use it.
pub(crate) async fn usable_type(cx: &Cx, project: &str, word: &str) -> Result<VolumeType, Fault> {
    let kind = types::find(cx.db(), word)
        .await?
        .ok_or_else(|| no_type(word))?;
    if kind.is_public || cx.caller.is_admin() {
        return Ok(kind);
    }
    let may = types::access(cx.db(), &kind.id).await?;
    if may.iter().any(|one| one == project) {
        Ok(kind)
    } else {
        Err(no_type(word))
    }
}

async fn zone(
    cx: &Cx,
    fields: &Fields<'_>,
    (from, kind): (&From, &VolumeType),
) -> Result<Option<String>, Fault> {
    let given = fields
        .text("availability_zone")
        .map_err(Fault::bad_request)?
        .filter(|zone| !zone.is_empty());
    let all = backends::list(cx.db()).await?;
    let of_source = match from {
        From::Volume(volume) => Some(volume.zone.clone()),
        From::Snapshot(snapshot) => all
            .iter()
            .find(|one| one.name == snapshot.backend)
            .map(|one| one.zone.clone()),
        From::Nothing | From::Backup(_) | From::Image(_) => None,
    };
    let invalid = |zone: &str| invalid_input(format!("Availability zone '{zone}' is invalid."));
    if let Some(zone) = &given {
        let known = all.iter().any(|backend| backend.zone == *zone);
        let elsewhere = of_source.as_ref().is_some_and(|source| source != zone);
        let unwanted = kind
            .zones()
            .is_some_and(|zones| !zones.contains(&zone.as_str()));
        if !known || elsewhere || unwanted {
            return Err(invalid(zone));
        }
    }
    Ok(given.or(of_source))
}

/// Whether the volume will boot, and what it will know of its image.
async fn boot(cx: &Cx, from: &From) -> Result<(bool, Metadata), Fault> {
    let source = match from {
        From::Nothing | From::Backup(_) => return Ok((false, Metadata::new())),
        From::Image(image) => return Ok((true, image.metadata())),
        From::Volume(volume) => Some(volume.as_ref().clone()),
        From::Snapshot(snapshot) => volumes::find(cx.db(), &snapshot.volume_id).await?,
    };
    let Some(source) = source else {
        return Ok((false, Metadata::new()));
    };
    let items = metadata::of(cx.db(), metadata::IMAGE, source.id.as_str()).await?;
    Ok((source.bootable, items))
}

/// Everything in one transaction: the quota, the volume, what it stands on, the work.
async fn write(cx: &Cx, plan: Plan) -> Result<Volume, Fault> {
    let project = plan.volume.owner.project_id.clone();
    let limits = quota::limits(cx.db(), project.as_str()).await?;
    let mut tx = cx.write().await?;
    let volume = write_in(cx, &mut tx, (plan, &limits)).await?;
    tx.commit().await?;
    Ok(volume)
}

/// Likewise, as part of something larger.
pub(crate) async fn write_in(
    cx: &Cx,
    tx: &mut nephos_db::Tx,
    (plan, limits): (Plan, &std::collections::BTreeMap<String, i64>),
) -> Result<Volume, Fault> {
    let Plan {
        mut volume,
        items,
        image_items,
        from,
        zone,
    } = plan;
    let project = volume.owner.project_id.clone();
    check_one(limits, volume.size_gib)?;
    let id = volume.id.clone();
    let args = match &from {
        From::Nothing => Args::Nothing { zone },
        From::Backup(_) => Args::Backup { zone },
        From::Image(image) => {
            // The bytes of an image never change, but another image may come by the same id.
            volume.image_id = Some(
                image
                    .os_hash_value
                    .clone()
                    .unwrap_or_else(|| image.id.clone()),
            );
            Args::Image {
                id: image.id.clone(),
                zone,
            }
        }
        From::Snapshot(_) | From::Volume(_) => Args::Layer,
    };
    let requested = request(tx, Asked::of(cx), &id, &args).await;
    requested.map_err(|why| busy("volume", id.as_str(), why))?;
    let usage = Usage::volume(volume.size_gib, &volume.type_id);
    if let Err(over) = quota::take(tx, project.as_str(), limits, &usage).await? {
        return Err(over_quota(&over));
    }
    match &from {
        From::Nothing | From::Image(_) => {}
        From::Backup(backup) => begin_restore(cx, tx, (&backup.id, &id)).await?,
        From::Snapshot(snapshot) => {
            // Gone or going since it was looked at.
            let now = snapshots::find_in(tx, &snapshot.id).await?;
            let now = now.filter(|now| now.status == SnapshotStatus::Available);
            let now = now.ok_or_else(|| {
                invalid_snapshot(format!("Snapshot {} is being deleted.", snapshot.id))
            })?;
            volume.layer = now.layer;
        }
        From::Volume(source) => {
            let now = volumes::find_in(tx, &source.id).await?;
            let now = now.filter(|now| now.status.is_settled());
            let now = now
                .ok_or_else(|| invalid_volume(format!("Volume {} is being deleted.", source.id)))?;
            let backend = now.backend.clone().unwrap_or_default();
            let layer: Layer = ops::layer::of_volume(id.as_str(), &backend, &now);
            layers::insert(tx, &layer, cx.now()).await?;
            volume.layer = Some(layer.id);
        }
    }
    encrypted::settle(cx, tx, (&mut volume, &from)).await?;
    if let Some(group) = &volume.group_id {
        // Gone or going since it was looked at.
        let sql =
            "SELECT id FROM volume_groups WHERE id = $1 AND status IN ('available', 'creating')";
        tx.still_there(sql, nephos_db::args![group]).await?;
    }
    volumes::insert(tx, &volume).await?;
    metadata::set(tx, metadata::VOLUME, id.as_str(), &items).await?;
    metadata::set(tx, metadata::IMAGE, id.as_str(), &image_items).await?;
    Ok(volume)
}

/// Wants a backup in a volume, unless somebody else was quicker.
pub(crate) async fn begin_restore(
    cx: &Cx,
    tx: &mut nephos_db::Tx,
    (backup, volume): (&BackupId, &VolumeId),
) -> Result<(), Fault> {
    let now = backups::find_in(tx, backup).await?;
    let mut now = now.ok_or_else(|| no_backup(backup.as_str()))?;
    usable_backup(&now)?;
    let requested = ops::restore::request(tx, Asked::of(cx), backup, volume).await;
    requested.map_err(|why| busy("backup", backup.as_str(), why))?;
    now.status = BackupStatus::Restoring;
    now.restore_volume_id = Some(volume.to_string());
    now.progress = 0;
    now.updated_at = cx.now();
    backups::update(tx, &now).await?;
    Ok(())
}

/// Refuses a volume that is larger than any may be.
pub(crate) fn check_one(
    limits: &std::collections::BTreeMap<String, i64>,
    size_gib: i64,
) -> Result<(), Fault> {
    let resource = "per_volume_gigabytes";
    match limits.get(resource) {
        Some(limit) if *limit >= 0 && size_gib > *limit => Err(over_quota(&Over {
            resource: resource.to_owned(),
            wanted: size_gib,
            used: 0,
            limit: *limit,
        })),
        _unlimited => Ok(()),
    }
}
