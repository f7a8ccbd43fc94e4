//! A volume as clients see it.

use std::collections::BTreeMap;

use nephos_api::Fault;
use nephos_auth::Target;
use serde_json::{Value, json};

use super::links;
use crate::model::attachment::{AttachStatus, Attachment};
use crate::model::backend::Backend;
use crate::model::layer::Format;
use crate::model::volume::{Metadata, Volume};
use crate::store::{attachments, backends, encryption, metadata, types};
use crate::{Cx, rules};

/// What volumes are shown with.
#[derive(Default)]
pub(crate) struct Around {
    metadata: BTreeMap<String, Metadata>,
    image: BTreeMap<String, Metadata>,
    attachments: Vec<Attachment>,
    types: BTreeMap<String, String>,
    backends: Vec<Backend>,
    keys: BTreeMap<String, String>,
}

impl Around {
    pub(crate) async fn of(cx: &Cx, volumes: &[Volume]) -> Result<Self, Fault> {
        let ids: Vec<&str> = volumes.iter().map(|volume| volume.id.as_str()).collect();
        Ok(Self {
            metadata: metadata::of_many(cx.db(), metadata::VOLUME, &ids).await?,
            image: metadata::of_many(cx.db(), metadata::IMAGE, &ids).await?,
            attachments: attachments::of_volumes(cx.db(), &ids).await?,
            types: types::names(cx.db()).await?,
            backends: backends::list(cx.db()).await?,
            keys: encryption::key_ids(cx.db(), &ids).await?,
        })
    }

    /// The shape of replies that make or change a volume: without what only show and list tell.
    pub(crate) fn brief(&self, cx: &Cx, volume: &Volume) -> Value {
        let id = volume.id.as_str();
        let backend = self
            .backends
            .iter()
            .find(|one| Some(&one.name) == volume.backend.as_ref());
        let mut view = json!({
            "id": id,
            "status": volume.status.as_str(),
            "size": volume.size_gib,
            "availability_zone": volume.zone,
            "created_at": volume.created_at.iso_naive(),
            "updated_at": volume.updated_at.iso_naive(),
            "name": volume.name,
            "description": volume.description,
            "volume_type": self.types.get(&volume.type_id),
            "volume_type_id": volume.type_id,
            "snapshot_id": volume.snapshot_id,
            "source_volid": volume.source_volid,
            "metadata": self.metadata.get(id).cloned().unwrap_or_default(),
            "links": links(cx, volume.owner.project_id.as_str(), &format!("volumes/{id}")),
            "user_id": volume.owner.user_id,
            "bootable": volume.bootable.to_string(),
            "encrypted": volume.format == Format::Luks,
            "replication_status": null,
            "consistencygroup_id": null,
            "group_id": volume.group_id,
            "multiattach": volume.multiattach,
            "attachments": self.attached(cx, id),
            "shared_targets": false,
            "service_uuid": backend.map(|backend| &backend.id),
            "consumes_quota": true,
        });
        // Left out, not null, where there is none (cinder.api.v3.views.volumes).
        if let Some(view) = view.as_object_mut()
            && let Some(key) = self.keys.get(id)
        {
            view.insert("encryption_key_id".to_owned(), json!(key));
        }
        if let Some(view) = view.as_object_mut()
            && cx.caller.is_admin()
        {
            view.insert("migration_status".to_owned(), json!(volume.migration));
            view.insert("provider_id".to_owned(), Value::Null);
            view.insert("cluster_name".to_owned(), Value::Null);
        }
        view
    }

    /// Everything.
    pub(crate) fn whole(&self, cx: &Cx, volume: &Volume) -> Value {
        let mut view = self.brief(cx, volume);
        let Some(object) = view.as_object_mut() else {
            return view;
        };
        let target = Target::of_project(volume.owner.project_id.as_str());
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        if cx.may(rules::TenantAttribute, &target) {
            put(
                "os-vol-tenant-attr:tenant_id",
                json!(volume.owner.project_id),
            );
        }
        if cx.may(rules::HostAttribute, &target) {
            let backend = self
                .backends
                .iter()
                .find(|one| Some(&one.name) == volume.backend.as_ref());
            put("os-vol-host-attr:host", json!(backend.map(Backend::pool)));
        }
        if cx.may(rules::MigAttribute, &target) {
            put("os-vol-mig-status-attr:migstat", json!(volume.migration));
            put("os-vol-mig-status-attr:name_id", Value::Null);
        }
        if let Some(image) = self.image.get(volume.id.as_str())
            && (cx.may(rules::ShowImageMetadata, &target) || cx.caller.has_role("service"))
        {
            put("volume_image_metadata", json!(image));
        }
        view
    }

    fn attached(&self, cx: &Cx, id: &str) -> Vec<Value> {
        let sees_hosts = cx.caller.is_admin() || cx.caller.has_role("service");
        self.attachments
            .iter()
            .filter(|one| one.volume_id.as_str() == id && one.status == AttachStatus::Attached)
            .map(|one| {
                json!({
                    "id": id, "attachment_id": one.id, "volume_id": id, "server_id": one.instance_id,
                    "host_name": one.host.as_ref().filter(|_| sees_hosts), "device": one.mountpoint,
                    "attached_at": one.attached_at.map(nephos_types::Timestamp::iso_naive),
                })
            })
            .collect()
    }
}
