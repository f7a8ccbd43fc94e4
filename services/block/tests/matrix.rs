//! Every endpoint, asked by every kind of caller.

use std::path::Path;
use std::sync::Arc;

use nephos_block::Block;
use nephos_testkit::{Persona, check_matrix, matrix};
use serde_json::{Value, json};

use crate::kit::{Cloud, SERVER, cloud, connector};

#[tokio::test]
async fn tenants_are_separate() {
    let cloud = Arc::new(cloud().await);
    let quotas = format!("/v3/os-quota-sets/{}", Persona::Member.project());
    let many = json!({"quota_set": {"volumes": -1, "snapshots": -1, "gigabytes": -1, "backups": -1, "backup_gigabytes": -1, "groups": -1}});
    cloud.admin().put(&quotas, many).await.expect(200);
    let kind = json!({"volume_type": {"name": "another"}});
    cloud.admin().post("/v3/types", kind).await.expect(200);
    let ask = cloud.ask.clone();
    let table = matrix::<Block, _, _>(&ask, |endpoint| {
        let cloud = Arc::clone(&cloud);
        async move { fixture(&cloud, endpoint).await }
    })
    .await;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/matrix.txt");
    check_matrix(&table, &golden);
}

/// A fresh thing for each call.
async fn fixture(cloud: &Cloud, endpoint: &'static str) -> Option<(String, Value)> {
    for found in [
        plain(endpoint),
        of_types(cloud, endpoint).await,
        of_attachments(cloud, endpoint).await,
    ] {
        if found.is_some() {
            return found;
        }
    }
    if let Some(found) = of_transfers(cloud, endpoint).await {
        return Some(found);
    }
    if let Some(found) = of_qos(cloud, endpoint).await {
        return Some(found);
    }
    if let Some(found) = of_groups(cloud, endpoint).await {
        return Some(found);
    }
    if let Some(found) = of_backups(cloud, endpoint).await {
        return Some(found);
    }
    if let Some(found) = of_snapshots(cloud, endpoint).await {
        return Some(found);
    }
    let (rest, body) = match endpoint {
        "CreateVolume" => return Some(("/v3/volumes".to_owned(), json!({"volume": {"size": 1}}))),
        "ListManageableSnapshots" => {
            let target = "/v3/manageable_snapshots?host=here@one";
            return Some((target.to_owned(), Value::Null));
        }
        "ListManageableSnapshotsDetail" => {
            let target = "/v3/manageable_snapshots/detail?host=here@one";
            return Some((target.to_owned(), Value::Null));
        }
        "ManageSnapshot" => {
            let volume = cloud.volume().await;
            let former = crate::snapshots::unmanaged(cloud, &volume).await;
            let reference = json!({"source-name": format!("_snapshot-{former}")});
            let body = json!({"snapshot": {"volume_id": volume, "ref": reference}});
            return Some(("/v3/manageable_snapshots".to_owned(), body));
        }
        "RevertVolume" => {
            let volume = cloud.volume().await;
            let snapshot = cloud.snapshot(&volume).await;
            let body = json!({"revert": {"snapshot_id": snapshot}});
            return Some((format!("/v3/volumes/{volume}/action"), body));
        }
        "CreateSnapshot" => {
            let body = json!({"snapshot": {"volume_id": cloud.volume().await}});
            return Some(("/v3/snapshots".to_owned(), body));
        }
        "ShowVolume" | "DeleteVolume" => ("", Value::Null),
        "UpdateVolume" => ("", json!({"volume": {"name": "n"}})),
        "ShowMetadata" => ("/metadata", Value::Null),
        "CreateMetadata" | "ReplaceMetadata" => ("/metadata", json!({"metadata": {"k": "v"}})),
        "ShowMetadataItem" | "DeleteMetadataItem" => ("/metadata/k", Value::Null),
        "UpdateMetadataItem" => ("/metadata/k", json!({"meta": {"k": "w"}})),
        "ShowEncryption" => ("/encryption", Value::Null),
        "ShowEncryptionItem" => ("/encryption/encryption_key_id", Value::Null),
        action => ("/action", volume_action(action)?),
    };
    let id = cloud
        .volume_of(json!({"size": 1, "metadata": {"k": "v"}}))
        .await;
    if endpoint == "RemoveImageMetadata" {
        let body = json!({"os-set_image_metadata": {"metadata": {"k": "v"}}});
        cloud
            .member()
            .post(&format!("/v3/volumes/{id}/action"), body)
            .await
            .expect(200);
    }
    if matches!(
        endpoint,
        "BeginDetaching" | "RollDetaching" | "DetachVolume" | "ForceDetach"
    ) {
        cloud.attached(&id).await;
    }
    Some((format!("/v3/volumes/{id}{rest}"), body))
}

fn volume_action(endpoint: &str) -> Option<Value> {
    Some(match endpoint {
        "ExtendVolume" => json!({"os-extend": {"new_size": 2}}),
        "SetBootable" => json!({"os-set_bootable": {"bootable": true}}),
        "SetReadonly" => json!({"os-update_readonly_flag": {"readonly": true}}),
        "ResetStatus" => json!({"os-reset_status": {"status": "error"}}),
        "ForceDeleteVolume" => json!({"os-force_delete": {}}),
        "SetImageMetadata" => json!({"os-set_image_metadata": {"metadata": {"k": "v"}}}),
        "ShowImageMetadata" => json!({"os-show_image_metadata": {}}),
        "RemoveImageMetadata" => json!({"os-unset_image_metadata": {"key": "k"}}),
        "ReserveVolume" => json!({"os-reserve": {}}),
        "UnreserveVolume" => json!({"os-unreserve": {}}),
        "BeginDetaching" => json!({"os-begin_detaching": {}}),
        "RollDetaching" => json!({"os-roll_detaching": {}}),
        "AttachVolume" => json!({"os-attach": {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"}}),
        "DetachVolume" => json!({"os-detach": {}}),
        "ForceDetach" => json!({"os-force_detach": {}}),
        "InitializeConnection" => {
            json!({"os-initialize_connection": {"connector": connector("here")}})
        }
        "MigrateVolume" => json!({"os-migrate_volume": {"host": "here@two#two"}}),
        "RetypeVolume" => json!({"os-retype": {"new_type": "another"}}),
        "UploadVolume" => {
            json!({"os-volume_upload_image": {"image_name": "i", "disk_format": "qcow2"}})
        }
        "TerminateConnection" => {
            json!({"os-terminate_connection": {"connector": connector("here")}})
        }
        _unknown => return None,
    })
}

fn plain(endpoint: &str) -> Option<(String, Value)> {
    let project = Persona::Member.project();
    let quota = format!("/v3/os-quota-sets/{project}");
    let service = json!({"host": "here@one", "binary": "cinder-volume", "disabled_reason": "x"});
    let (target, body) = match endpoint {
        "ListVersions" => ("/".to_owned(), Value::Null),
        "ShowVersion" => ("/v3".to_owned(), Value::Null),
        "ListExtensions" => ("/v3/extensions".to_owned(), Value::Null),
        "ListResourceFilters" => ("/v3/resource_filters".to_owned(), Value::Null),
        "ListVolumes" => ("/v3/volumes".to_owned(), Value::Null),
        "ListVolumesDetail" => ("/v3/volumes/detail".to_owned(), Value::Null),
        "ShowVolumeSummary" => ("/v3/volumes/summary".to_owned(), Value::Null),
        "ListSnapshots" => ("/v3/snapshots".to_owned(), Value::Null),
        "ListSnapshotsDetail" => ("/v3/snapshots/detail".to_owned(), Value::Null),
        "ListAttachments" => ("/v3/attachments".to_owned(), Value::Null),
        "ListAttachmentsDetail" => ("/v3/attachments/detail".to_owned(), Value::Null),
        "ListTransfers" => ("/v3/volume-transfers".to_owned(), Value::Null),
        "ListTransfersDetail" => ("/v3/volume-transfers/detail".to_owned(), Value::Null),
        "ListBackups" => ("/v3/backups".to_owned(), Value::Null),
        "ListBackupsDetail" => ("/v3/backups/detail".to_owned(), Value::Null),
        "ListGroupTypes" => ("/v3/group_types".to_owned(), Value::Null),
        "ListGroups" => ("/v3/groups".to_owned(), Value::Null),
        "ListGroupsDetail" => ("/v3/groups/detail".to_owned(), Value::Null),
        "ListGroupSnapshots" => ("/v3/group_snapshots".to_owned(), Value::Null),
        "ListGroupSnapshotsDetail" => ("/v3/group_snapshots/detail".to_owned(), Value::Null),
        "CreateGroupType" => {
            let name = nephos_runtime::ids::hex();
            let body = json!({"group_type": {"name": name}});
            ("/v3/group_types".to_owned(), body)
        }
        "ListTypes" => ("/v3/types".to_owned(), Value::Null),
        "ListZones" => ("/v3/os-availability-zone".to_owned(), Value::Null),
        "ShowLimits" => ("/v3/limits".to_owned(), Value::Null),
        "ListMessages" => ("/v3/messages".to_owned(), Value::Null),
        "ShowMessage" | "DeleteMessage" => (format!("/v3/messages/{SERVER}"), Value::Null),
        "ShowQuotas" => (quota, Value::Null),
        "ShowDefaultQuotas" => (format!("{quota}/defaults"), Value::Null),
        "UpdateQuotas" => (quota, json!({"quota_set": {"backups": 10}})),
        "DeleteQuotas" => (format!("/v3/os-quota-sets/{SERVER}"), Value::Null),
        "ShowQuotaClass" => ("/v3/os-quota-class-sets/default".to_owned(), Value::Null),
        "UpdateQuotaClass" => (
            "/v3/os-quota-class-sets/default".to_owned(),
            json!({"quota_class_set": {"backups": 10}}),
        ),
        "ListServices" => ("/v3/os-services".to_owned(), Value::Null),
        "EnableService" => ("/v3/os-services/enable".to_owned(), service),
        "DisableService" => (
            "/v3/os-services/disable".to_owned(),
            json!({"host": "here@two", "binary": "cinder-volume"}),
        ),
        "DisableServiceWithReason" => {
            let body =
                json!({"host": "here@two", "binary": "cinder-volume", "disabled_reason": "x"});
            ("/v3/os-services/disable-log-reason".to_owned(), body)
        }
        "FreezeHost" => (
            "/v3/os-services/freeze".to_owned(),
            json!({"host": "here@two"}),
        ),
        "ThawHost" => (
            "/v3/os-services/thaw".to_owned(),
            json!({"host": "here@two"}),
        ),
        "GetPools" => ("/v3/scheduler-stats/get_pools".to_owned(), Value::Null),
        "ShowCapabilities" => ("/v3/capabilities/here@one".to_owned(), Value::Null),
        "ListHosts" => ("/v3/os-hosts".to_owned(), Value::Null),
        "ShowHost" => ("/v3/os-hosts/here@one".to_owned(), Value::Null),
        "ListDefaultTypes" => ("/v3/default-types".to_owned(), Value::Null),
        "ShowDefaultType" | "UnsetDefaultType" => {
            (format!("/v3/default-types/{SERVER}"), Value::Null)
        }
        "SetDefaultType" => {
            let body = json!({"default_type": {"volume_type": "__DEFAULT__"}});
            (format!("/v3/default-types/{SERVER}"), body)
        }
        _other => return None,
    };
    Some((target, body))
}

async fn of_types(cloud: &Cloud, endpoint: &str) -> Option<(String, Value)> {
    let (rest, body) = match endpoint {
        "CreateType" => {
            let name = nephos_runtime::ids::hex();
            return Some((
                "/v3/types".to_owned(),
                json!({"volume_type": {"name": name}}),
            ));
        }
        "ShowType" | "DeleteType" => ("", Value::Null),
        "UpdateType" => ("", json!({"volume_type": {"description": "d"}})),
        "ListExtraSpecs" => ("/extra_specs", Value::Null),
        "ShowTypeEncryption" => ("/encryption", Value::Null),
        "ShowTypeEncryptionItem" | "DeleteTypeEncryption" => ("/encryption/provider", Value::Null),
        "CreateTypeEncryption" => ("/encryption", encryption()),
        "UpdateTypeEncryption" => ("/encryption/provider", encryption()),
        "CreateExtraSpecs" => ("/extra_specs", json!({"extra_specs": {"a": "b"}})),
        "ShowExtraSpec" | "DeleteExtraSpec" => ("/extra_specs/multiattach", Value::Null),
        "UpdateExtraSpec" => (
            "/extra_specs/multiattach",
            json!({"multiattach": "<is> False"}),
        ),
        "ListTypeAccess" => ("/os-volume-type-access", Value::Null),
        "AddTypeAccess" => ("/action", json!({"addProjectAccess": {"project": "x"}})),
        "RemoveTypeAccess" => ("/action", json!({"removeProjectAccess": {"project": "y"}})),
        _other => return None,
    };
    let name = nephos_runtime::ids::hex();
    let public = !endpoint.contains("TypeAccess");
    let body_of = json!({"volume_type": {
        "name": name, "extra_specs": {"multiattach": "<is> True"}, "os-volume-type-access:is_public": public,
    }});
    let made = cloud
        .admin()
        .post("/v3/types", body_of)
        .await
        .expect(200)
        .json;
    let id = made["volume_type"]["id"].as_str().unwrap();
    if endpoint == "RemoveTypeAccess" {
        let access = json!({"addProjectAccess": {"project": "y"}});
        cloud
            .admin()
            .post(&format!("/v3/types/{id}/action"), access)
            .await
            .expect(202);
    }
    if rest.ends_with("/provider") {
        let target = format!("/v3/types/{id}/encryption");
        cloud.admin().post(&target, encryption()).await.expect(200);
    }
    Some((format!("/v3/types/{id}{rest}"), body))
}

fn encryption() -> Value {
    json!({"encryption": {"provider": "luks", "control_location": "front-end"}})
}

async fn of_attachments(cloud: &Cloud, endpoint: &str) -> Option<(String, Value)> {
    let (rest, body) = match endpoint {
        "CreateAttachment" => {
            let body = json!({"attachment": {"volume_uuid": cloud.volume().await, "instance_uuid": SERVER}});
            return Some(("/v3/attachments".to_owned(), body));
        }
        "ShowAttachment" | "DeleteAttachment" => ("", Value::Null),
        "ShowVolumeKey" => ("/key", Value::Null),
        "UpdateAttachment" => ("", json!({"attachment": {"connector": connector("here")}})),
        "CompleteAttachment" => ("/action", json!({"os-complete": {}})),
        _other => return None,
    };
    let id = cloud.attached(&cloud.volume().await).await;
    Some((format!("/v3/attachments/{id}{rest}"), body))
}

async fn of_snapshots(cloud: &Cloud, endpoint: &str) -> Option<(String, Value)> {
    let (rest, body) = match endpoint {
        "ShowSnapshot" | "DeleteSnapshot" => ("", Value::Null),
        "UpdateSnapshot" => ("", json!({"snapshot": {"name": "n"}})),
        "ShowSnapshotMetadata" => ("/metadata", Value::Null),
        "CreateSnapshotMetadata" | "ReplaceSnapshotMetadata" => {
            ("/metadata", json!({"metadata": {"k": "v"}}))
        }
        "ShowSnapshotMetadataItem" | "DeleteSnapshotMetadataItem" => ("/metadata/k", Value::Null),
        "UpdateSnapshotMetadataItem" => ("/metadata/k", json!({"meta": {"k": "w"}})),
        "ResetSnapshotStatus" => ("/action", json!({"os-reset_status": {"status": "error"}})),
        "ForceDeleteSnapshot" => ("/action", json!({"os-force_delete": {}})),
        "UnmanageSnapshot" => ("/action", json!({"os-unmanage": {}})),
        "UpdateSnapshotStatus" => (
            "/action",
            json!({"os-update_snapshot_status": {"status": "creating"}}),
        ),
        _other => return None,
    };
    let id = cloud.snapshot(&cloud.volume().await).await;
    let items = json!({"metadata": {"k": "v"}});
    cloud
        .member()
        .post(&format!("/v3/snapshots/{id}/metadata"), items)
        .await
        .expect(200);
    if endpoint == "UpdateSnapshotStatus" {
        let body = json!({"os-reset_status": {"status": "creating"}});
        cloud
            .admin()
            .post(&format!("/v3/snapshots/{id}/action"), body)
            .await
            .expect(202);
    }
    Some((format!("/v3/snapshots/{id}{rest}"), body))
}

async fn of_qos(cloud: &Cloud, endpoint: &str) -> Option<(String, Value)> {
    let (rest, body) = match endpoint {
        "ListQos" => return Some(("/v3/qos-specs".to_owned(), Value::Null)),
        "CreateQos" => {
            let body = json!({"qos_specs": {"name": nephos_runtime::ids::hex()}});
            return Some(("/v3/qos-specs".to_owned(), body));
        }
        "ShowQos" | "DeleteQos" => ("", Value::Null),
        "UpdateQos" => ("", json!({"qos_specs": {"k": "v"}})),
        "DeleteQosKeys" => ("/delete_keys", json!({"keys": ["total_iops_sec"]})),
        "ListQosAssociations" => ("/associations", Value::Null),
        "AssociateQos" | "DisassociateQos" | "DisassociateAllQos" => {
            let verb = match endpoint {
                "AssociateQos" => "associate",
                "DisassociateQos" => "disassociate",
                _all => "disassociate_all",
            };
            let kind = json!({"volume_type": {"name": nephos_runtime::ids::hex()}});
            let made = cloud.admin().post("/v3/types", kind).await.expect(200).json;
            let kind = made["volume_type"]["id"].as_str().unwrap();
            let id = crate::qos::specs(cloud, json!({})).await;
            let target = format!("/v3/qos-specs/{id}/{verb}?vol_type_id={kind}");
            return Some((target, Value::Null));
        }
        _other => return None,
    };
    let id = crate::qos::specs(cloud, json!({"total_iops_sec": "5"})).await;
    Some((format!("/v3/qos-specs/{id}{rest}"), body))
}

async fn of_groups(cloud: &Cloud, endpoint: &str) -> Option<(String, Value)> {
    use crate::groups::{group, group_snapshot, group_type, grouped};
    let of_type = match endpoint {
        "ShowGroupType" | "DeleteGroupType" => Some(("", Value::Null)),
        "UpdateGroupType" => Some(("", json!({"group_type": {"description": "d"}}))),
        "ListGroupSpecs" => Some(("/group_specs", Value::Null)),
        "CreateGroupSpecs" => Some(("/group_specs", json!({"group_specs": {"k": "v"}}))),
        "ShowGroupSpec" | "DeleteGroupSpec" => Some(("/group_specs/a", Value::Null)),
        "UpdateGroupSpec" => Some(("/group_specs/a", json!({"a": "c"}))),
        _other => None,
    };
    if let Some((rest, body)) = of_type {
        let id = group_type(cloud, json!({"a": "b"})).await;
        return Some((format!("/v3/group_types/{id}{rest}"), body));
    }
    let of_group = match endpoint {
        "ShowGroup" => Some(("", Value::Null)),
        "UpdateGroup" => Some(("", json!({"group": {"name": "n"}}))),
        "DeleteGroup" => Some(("/action", json!({"delete": {"delete-volumes": true}}))),
        "ResetGroupStatus" => Some(("/action", json!({"reset_status": {"status": "error"}}))),
        _other => None,
    };
    if let Some((rest, body)) = of_group {
        let id = group(cloud).await;
        return Some((format!("/v3/groups/{id}{rest}"), body));
    }
    let of_snapshot = match endpoint {
        "ShowGroupSnapshot" | "DeleteGroupSnapshot" => Some(("", Value::Null)),
        "ResetGroupSnapshotStatus" => {
            Some(("/action", json!({"reset_status": {"status": "error"}})))
        }
        _other => None,
    };
    if let Some((rest, body)) = of_snapshot {
        let id = group_snapshot(cloud, &grouped(cloud).await.0).await;
        return Some((format!("/v3/group_snapshots/{id}{rest}"), body));
    }
    Some(match endpoint {
        "CreateGroup" => {
            let kind = group_type(cloud, json!({})).await;
            let body = json!({"group_type": kind, "volume_types": ["__DEFAULT__"]});
            ("/v3/groups".to_owned(), json!({ "group": body }))
        }
        "CreateGroupSnapshot" => {
            let body = json!({"group_snapshot": {"group_id": grouped(cloud).await.0}});
            ("/v3/group_snapshots".to_owned(), body)
        }
        "CreateGroupFromSource" => {
            let body = json!({"create-from-src": {"source_group_id": grouped(cloud).await.0}});
            ("/v3/groups/action".to_owned(), body)
        }
        _other => return None,
    })
}

async fn of_backups(cloud: &Cloud, endpoint: &str) -> Option<(String, Value)> {
    let (rest, body) = match endpoint {
        "CreateBackup" => {
            let body = json!({"backup": {"volume_id": cloud.volume().await}});
            return Some(("/v3/backups".to_owned(), body));
        }
        "ImportBackup" => ("", Value::Null),
        "ShowBackup" | "DeleteBackup" => ("", Value::Null),
        "UpdateBackup" => ("", json!({"backup": {"name": "n"}})),
        "RestoreBackup" => ("/restore", json!({"restore": {}})),
        "ExportBackup" => ("/export_record", Value::Null),
        "ResetBackupStatus" => ("/action", json!({"os-reset_status": {"status": "error"}})),
        "ForceDeleteBackup" => ("/action", json!({"os-force_delete": {}})),
        _other => return None,
    };
    let backup = json!({"volume_id": cloud.volume().await});
    let id = cloud.backup(backup).await;
    if endpoint == "ImportBackup" {
        let target = format!("/v3/backups/{id}/export_record");
        let record = cloud.admin().get(&target).await.expect(200).json;
        let body = crate::backups::with_another_id(&record);
        return Some(("/v3/backups/import_record".to_owned(), body));
    }
    Some((format!("/v3/backups/{id}{rest}"), body))
}

async fn of_transfers(cloud: &Cloud, endpoint: &str) -> Option<(String, Value)> {
    if !endpoint.ends_with("Transfer") {
        return None;
    }
    let body = json!({"transfer": {"volume_id": cloud.volume().await}});
    if endpoint == "CreateTransfer" {
        return Some(("/v3/volume-transfers".to_owned(), body));
    }
    let made = cloud
        .member()
        .post("/v3/volume-transfers", body)
        .await
        .expect(202)
        .json;
    let id = made["transfer"]["id"].as_str().unwrap();
    Some(match endpoint {
        "AcceptTransfer" => {
            let body = json!({"accept": {"auth_key": made["transfer"]["auth_key"]}});
            (format!("/v3/volume-transfers/{id}/accept"), body)
        }
        _show_or_delete => (format!("/v3/volume-transfers/{id}"), Value::Null),
    })
}
