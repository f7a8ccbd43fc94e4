//! HTTP: one file per resource.

mod attaching;
mod attachments;
mod backup_actions;
mod backups;
mod connect;
mod default_types;
mod discovery;
pub(crate) mod fault;
mod group_snapshots;
mod group_types;
mod groups;
mod limits;
mod messages;
mod metadata;
mod migrate;
mod qos_specs;
mod quotas;
mod retype;
mod revert;
mod services;
mod snapshot_actions;
mod snapshot_manage;
mod snapshot_metadata;
mod snapshots;
mod transfers;
mod type_access;
mod type_encryption;
mod type_specs;
mod types;
mod versions;
mod volume_actions;
mod volume_create;
mod volume_key;
mod volume_upload;
mod volume_view;
mod volumes;
mod zones;

use nephos_api::{Endpoints, Fault, Params, Request, routes};
use nephos_auth::{Authorized, Resource, Rule, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::attachment::Attachment;
use crate::model::backup::{Backup, BackupId};
use crate::model::group::{Group, GroupSnapshot};
use crate::model::snapshot::{Snapshot, SnapshotId};
use crate::model::volume::{Volume, VolumeId};
use crate::store::messages::Message;
use crate::{Cx, Svc, store};

pub(crate) fn endpoints() -> Endpoints<Svc> {
    let mut all = routes![
        attachments::CompleteAttachment,
        attachments::CreateAttachment,
        attachments::DeleteAttachment,
        attachments::ListAttachments,
        attachments::ListAttachmentsDetail,
        attachments::ShowAttachment,
        volume_key::ShowVolumeKey,
        attachments::UpdateAttachment,
        backup_actions::ExportBackup,
        backup_actions::ForceDeleteBackup,
        backup_actions::ImportBackup,
        backup_actions::ResetBackupStatus,
        backup_actions::RestoreBackup,
        backups::CreateBackup,
        backups::DeleteBackup,
        backups::ListBackups,
        backups::ListBackupsDetail,
        backups::ShowBackup,
        backups::UpdateBackup,
        connect::AttachVolume,
        connect::BeginDetaching,
        connect::DetachVolume,
        connect::ForceDetach,
        connect::InitializeConnection,
        connect::ReserveVolume,
        connect::RollDetaching,
        connect::TerminateConnection,
        connect::UnreserveVolume,
        default_types::ListDefaultTypes,
        default_types::SetDefaultType,
        default_types::ShowDefaultType,
        default_types::UnsetDefaultType,
        discovery::ListExtensions,
        discovery::ListResourceFilters,
        discovery::ListVersions,
        discovery::ShowVersion,
        group_snapshots::CreateGroupFromSource,
        group_snapshots::CreateGroupSnapshot,
        group_snapshots::DeleteGroupSnapshot,
        group_snapshots::ListGroupSnapshots,
        group_snapshots::ListGroupSnapshotsDetail,
        group_snapshots::ResetGroupSnapshotStatus,
        group_snapshots::ShowGroupSnapshot,
        group_types::CreateGroupSpecs,
        group_types::CreateGroupType,
        group_types::DeleteGroupSpec,
        group_types::DeleteGroupType,
        group_types::ListGroupSpecs,
        group_types::ListGroupTypes,
        group_types::ShowGroupSpec,
        group_types::ShowGroupType,
        group_types::UpdateGroupSpec,
        group_types::UpdateGroupType,
        groups::CreateGroup,
        groups::DeleteGroup,
        groups::ListGroups,
        groups::ListGroupsDetail,
        groups::ResetGroupStatus,
        groups::ShowGroup,
        groups::UpdateGroup,
        limits::ShowLimits,
        messages::DeleteMessage,
        messages::ListMessages,
        messages::ShowMessage,
        metadata::CreateMetadata,
        metadata::DeleteMetadataItem,
        metadata::RemoveImageMetadata,
        metadata::ReplaceMetadata,
        metadata::SetImageMetadata,
        volume_key::ShowEncryption,
        volume_key::ShowEncryptionItem,
        metadata::ShowImageMetadata,
        metadata::ShowMetadata,
        metadata::ShowMetadataItem,
        metadata::UpdateMetadataItem,
        quotas::DeleteQuotas,
        quotas::ShowDefaultQuotas,
        quotas::ShowQuotaClass,
        quotas::ShowQuotas,
        quotas::UpdateQuotaClass,
        quotas::UpdateQuotas,
    ];
    all.extend(routes![
        qos_specs::AssociateQos,
        qos_specs::CreateQos,
        qos_specs::DeleteQos,
        qos_specs::DeleteQosKeys,
        qos_specs::DisassociateAllQos,
        qos_specs::DisassociateQos,
        qos_specs::ListQos,
        qos_specs::ListQosAssociations,
        qos_specs::ShowQos,
        qos_specs::UpdateQos,
        migrate::MigrateVolume,
        retype::RetypeVolume,
        revert::RevertVolume,
        services::DisableService,
        services::DisableServiceWithReason,
        services::EnableService,
        services::FreezeHost,
        services::GetPools,
        services::ListHosts,
        services::ListServices,
        services::ShowCapabilities,
        services::ShowHost,
        services::ThawHost,
        snapshot_actions::ForceDeleteSnapshot,
        snapshot_actions::ResetSnapshotStatus,
        snapshot_actions::UpdateSnapshotStatus,
        snapshot_manage::ListManageableSnapshots,
        snapshot_manage::ListManageableSnapshotsDetail,
        snapshot_manage::ManageSnapshot,
        snapshot_manage::UnmanageSnapshot,
        snapshots::CreateSnapshot,
        snapshot_metadata::CreateSnapshotMetadata,
        snapshots::DeleteSnapshot,
        snapshot_metadata::DeleteSnapshotMetadataItem,
        snapshots::ListSnapshots,
        snapshots::ListSnapshotsDetail,
        snapshot_metadata::ReplaceSnapshotMetadata,
        snapshots::ShowSnapshot,
        snapshot_metadata::ShowSnapshotMetadata,
        snapshot_metadata::ShowSnapshotMetadataItem,
        snapshots::UpdateSnapshot,
        snapshot_metadata::UpdateSnapshotMetadataItem,
        transfers::AcceptTransfer,
        transfers::CreateTransfer,
        transfers::DeleteTransfer,
        transfers::ListTransfers,
        transfers::ListTransfersDetail,
        transfers::ShowTransfer,
        type_access::AddTypeAccess,
        type_access::ListTypeAccess,
        type_access::RemoveTypeAccess,
        type_specs::CreateExtraSpecs,
        type_specs::DeleteExtraSpec,
        type_specs::ListExtraSpecs,
        type_specs::ShowExtraSpec,
        type_specs::UpdateExtraSpec,
        type_encryption::CreateTypeEncryption,
        type_encryption::DeleteTypeEncryption,
        type_encryption::ShowTypeEncryption,
        type_encryption::ShowTypeEncryptionItem,
        type_encryption::UpdateTypeEncryption,
        types::CreateType,
        types::DeleteType,
        types::ListTypes,
        types::ShowType,
        types::UpdateType,
        volume_actions::ExtendVolume,
        volume_actions::ForceDeleteVolume,
        volume_actions::ResetStatus,
        volume_actions::SetBootable,
        volume_actions::SetReadonly,
        volume_create::CreateVolume,
        volumes::DeleteVolume,
        volumes::ListVolumes,
        volumes::ListVolumesDetail,
        volumes::ShowVolume,
        volumes::ShowVolumeSummary,
        volumes::UpdateVolume,
        volume_upload::UploadVolume,
        zones::ListZones,
    ]);
    all
}

/// The path of a collection.
#[derive(Debug, Deserialize)]
pub(crate) struct ProjectPath {
    pub project_id: String,
}

/// The path of one thing.
#[derive(Debug, Deserialize)]
pub(crate) struct ItemPath {
    pub project_id: String,
    pub id: String,
}

/// The path of one named item of a thing.
#[derive(Debug, Deserialize)]
pub(crate) struct KeyPath {
    pub project_id: String,
    pub id: String,
    pub key: String,
}

/// What may stand where a path names its project, when the path names none.
const OWN: &str = "-";
/// What a path names next after its project.
const RESOURCES: &[&str] = &[
    "attachments",
    "backups",
    "capabilities",
    "default-types",
    "extensions",
    "group_snapshots",
    "group_types",
    "groups",
    "limits",
    "manageable_snapshots",
    "messages",
    "os-availability-zone",
    "os-hosts",
    "os-quota-class-sets",
    "os-quota-sets",
    "os-services",
    "os-snapshot-manage",
    "os-volume-transfer",
    "qos-specs",
    "resource_filters",
    "scheduler-stats",
    "snapshots",
    "types",
    "volume-transfers",
    "volumes",
];

/// Names that resources had in paths before those of today, and still have.
const OLDER_NAMES: &[(&str, &str)] = &[
    ("os-snapshot-manage", "manageable_snapshots"),
    ("os-volume-transfer", "volume-transfers"),
];

/// A path may leave out the project (Cinder does so from 3.67 on, and takes it at any version).
#[expect(clippy::unnecessary_wraps, reason = "the dialect's form of a rewrite")]
pub(crate) fn name_project(request: &mut Request) -> Result<(), Fault> {
    if let Some(rest) = request.path.strip_prefix("/v3/")
        && rest
            .split('/')
            .next()
            .is_some_and(|first| RESOURCES.contains(&first))
    {
        request.path = format!("/v3/{OWN}/{rest}");
    }
    let parts: Vec<&str> = request.path.splitn(5, '/').collect();
    if let ["", "v3", project, older, rest @ ..] = parts.as_slice()
        && let Some((_, name)) = OLDER_NAMES.iter().find(|(name, _)| name == older)
    {
        let rest: String = rest.iter().map(|rest| format!("/{rest}")).collect();
        request.path = format!("/v3/{project}/{name}{rest}");
    }
    Ok(())
}

/// Refuses a path of another project than the token's; siblings act on behalf of others.
pub(crate) fn at_project(cx: &Cx, project: &str) -> Result<(), Fault> {
    let own = cx
        .caller
        .project_id()
        .is_some_and(|own| own.as_str() == project);
    if own || project == OWN || cx.caller.has_role("service") {
        Ok(())
    } else {
        Err(Fault::bad_request("Malformed request url"))
    }
}

/// The project in which the caller acts.
pub(crate) fn project_of(cx: &Cx, path: &str) -> String {
    let own = cx.caller.project_id().map(|id| id.0.clone());
    match own {
        Some(own) if !cx.caller.has_role("service") || path == OWN => own,
        _on_behalf => path.to_owned(),
    }
}

/// Whose things a list shows: an administrator may ask for everybody's.
pub(crate) fn whose(cx: &Cx, path: &str, all: bool) -> Option<String> {
    (!(all && cx.caller.is_admin())).then(|| project_of(cx, path))
}

/// The volume at a path, when the caller may do `R` with it.
pub(crate) async fn volume<R: Rule>(
    cx: &Cx,
    rule: R,
    path: &ItemPath,
) -> Result<Authorized<Volume, R>, Fault> {
    at_project(cx, &path.project_id)?;
    volume_by_id(cx, rule, &path.id).await
}

pub(crate) async fn volume_by_id<R: Rule>(
    cx: &Cx,
    rule: R,
    id: &str,
) -> Result<Authorized<Volume, R>, Fault> {
    let found = store::volumes::find(cx.db(), &VolumeId::from(id)).await?;
    cx.allow(rule, found)
        .map_err(|fault| missing(fault, || fault::no_volume(id)))
}

/// The snapshot at a path, likewise.
pub(crate) async fn snapshot<R: Rule>(
    cx: &Cx,
    rule: R,
    path: &ItemPath,
) -> Result<Authorized<Snapshot, R>, Fault> {
    at_project(cx, &path.project_id)?;
    snapshot_by_id(cx, rule, &path.id).await
}

pub(crate) async fn snapshot_by_id<R: Rule>(
    cx: &Cx,
    rule: R,
    id: &str,
) -> Result<Authorized<Snapshot, R>, Fault> {
    let found = store::snapshots::find(cx.db(), &SnapshotId::from(id)).await?;
    cx.allow(rule, found)
        .map_err(|fault| missing(fault, || fault::no_snapshot(id)))
}

/// The backup at a path, likewise.
pub(crate) async fn backup<R: Rule>(
    cx: &Cx,
    rule: R,
    path: &ItemPath,
) -> Result<Authorized<Backup, R>, Fault> {
    at_project(cx, &path.project_id)?;
    backup_by_id(cx, rule, &path.id).await
}

pub(crate) async fn backup_by_id<R: Rule>(
    cx: &Cx,
    rule: R,
    id: &str,
) -> Result<Authorized<Backup, R>, Fault> {
    let found = store::backups::find(cx.db(), &BackupId::from(id)).await?;
    cx.allow(rule, found)
        .map_err(|fault| missing(fault, || fault::no_backup(id)))
}

/// A 404 in the words of the thing that is not there.
pub(crate) fn missing(fault: Fault, words: impl FnOnce() -> Fault) -> Fault {
    if fault.status == http::StatusCode::NOT_FOUND {
        words()
    } else {
        fault
    }
}

/// The link to the next page, when the page is full.
pub(crate) fn next_link(
    cx: &Cx,
    path: &str,
    query: &Params,
    (count, limit, last): (usize, u32, Option<&str>),
) -> Option<Value> {
    let asked = query.get("limit").is_some() || count >= crate::model::list::MAX_LIMIT as usize;
    let full = count > 0 && u32::try_from(count).is_ok_and(|count| count == limit);
    let last = last.filter(|_| asked && full)?;
    let kept = query
        .0
        .iter()
        .filter(|(key, _)| key != "marker" && key != "offset")
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let pairs: Vec<(&str, &str)> = kept.chain([("marker", last)]).collect();
    let encoded = serde_urlencoded::to_string(&pairs).ok()?;
    Some(json!([{"rel": "next", "href": cx.url(&format!("{path}?{encoded}"))}]))
}

/// Cinder's `links` of a thing.
pub(crate) fn links(cx: &Cx, project: &str, rest: &str) -> Value {
    json!([
        {"rel": "self", "href": cx.url(&format!("/v3/{project}/{rest}"))},
        {"rel": "bookmark", "href": cx.url(&format!("/{project}/{rest}"))},
    ])
}

macro_rules! owned {
    ($($thing:ty => $kind:literal;)+) => {$(
        impl Resource for $thing {
            const KIND: &'static str = $kind;

            fn project_id(&self) -> Option<&str> {
                Some(self.owner.project_id.as_str())
            }

            fn target(&self, target: &mut Target) {
                target.set("user_id", &self.owner.user_id);
            }
        }
    )+};
}

owned! {
    Volume => "Volume";
    Snapshot => "Snapshot";
    Attachment => "VolumeAttachment";
    Backup => "Backup";
    Group => "Group";
    GroupSnapshot => "GroupSnapshot";
}

impl Resource for Message {
    const KIND: &'static str = "Message";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }
}
