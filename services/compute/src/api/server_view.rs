//! A server as the API shows it.

use std::collections::BTreeMap;

use nephos_api::version::hide;
use nephos_auth::Target;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha224};
use utoipa::ToSchema;

use super::Cx;
use super::flavors::{Link, links};
use crate::model::server::{Server, VmState};
use crate::{rules, store};

/// A server as the newest version shows it. Absent keys are for admins only, or for servers in ERROR only.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServerView {
    id: String,
    name: String,
    status: &'static str,
    tenant_id: String,
    user_id: String,
    metadata: BTreeMap<String, String>,
    #[serde(rename = "hostId")]
    host_id: String,
    image: Value,
    flavor: Value,
    #[serde(rename = "_flavor_id", skip_serializing_if = "hide")]
    flavor_id: String,
    #[serde(rename = "_flavor_link", skip_serializing_if = "hide")]
    flavor_link: String,
    #[serde(rename = "_for_admin", skip_serializing_if = "hide")]
    for_admin: bool,
    created: String,
    updated: String,
    addresses: Value,
    #[serde(rename = "accessIPv4")]
    access_ipv4: String,
    #[serde(rename = "accessIPv6")]
    access_ipv6: String,
    links: Vec<Link>,
    #[serde(rename = "OS-DCF:diskConfig")]
    disk_config: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Value>,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    zone: String,
    config_drive: &'static str,
    key_name: Option<String>,
    #[serde(rename = "OS-SRV-USG:launched_at")]
    launched_at: Option<String>,
    #[serde(rename = "OS-SRV-USG:terminated_at")]
    terminated_at: Option<String>,
    #[serde(flatten)]
    for_admins: Option<AdminView>,
    #[serde(rename = "OS-EXT-SRV-ATTR:hostname")]
    hostname: String,
    #[serde(rename = "OS-EXT-STS:task_state")]
    task_state: Option<String>,
    #[serde(rename = "OS-EXT-STS:vm_state")]
    vm_state: &'static str,
    #[serde(rename = "OS-EXT-STS:power_state")]
    power_state: i64,
    #[serde(rename = "os-extended-volumes:volumes_attached")]
    volumes: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_groups: Option<Vec<Value>>,
    locked: bool,
    description: Option<String>,
    tags: Vec<String>,
    trusted_image_certificates: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_groups: Option<Vec<String>>,
    locked_reason: Option<String>,
    pinned_availability_zone: Option<String>,
}

/// What only admins see.
#[derive(Serialize, ToSchema)]
pub(crate) struct AdminView {
    #[serde(rename = "OS-EXT-SRV-ATTR:host")]
    host: Option<String>,
    #[serde(rename = "OS-EXT-SRV-ATTR:hypervisor_hostname")]
    hypervisor: Option<String>,
    #[serde(rename = "OS-EXT-SRV-ATTR:instance_name")]
    instance_name: String,
    #[serde(rename = "OS-EXT-SRV-ATTR:reservation_id")]
    reservation_id: String,
    #[serde(rename = "OS-EXT-SRV-ATTR:launch_index")]
    launch_index: i64,
    #[serde(rename = "OS-EXT-SRV-ATTR:kernel_id")]
    kernel_id: String,
    #[serde(rename = "OS-EXT-SRV-ATTR:ramdisk_id")]
    ramdisk_id: String,
    #[serde(rename = "OS-EXT-SRV-ATTR:root_device_name")]
    root_device_name: &'static str,
    #[serde(rename = "OS-EXT-SRV-ATTR:user_data")]
    user_data: Option<String>,
    host_status: &'static str,
}

/// Makes views for one request: what is the same for all servers is looked up once.
pub(crate) struct Viewer<'a> {
    cx: &'a Cx,
    hosts: BTreeMap<String, (String, bool)>,
    admin: bool,
    /// A single server: Nova shows some keys only there.
    single: bool,
}

impl<'a> Viewer<'a> {
    /// Whether the caller sees what only admins see.
    pub(crate) fn sees_hosts(cx: &Cx) -> bool {
        cx.may(rules::ShowServerHost, &Target::new())
    }

    pub(crate) async fn new(cx: &'a Cx, single: bool) -> Result<Self, nephos_db::Error> {
        let admin = Self::sees_hosts(cx);
        let mut hosts = BTreeMap::new();
        if admin {
            for row in store::hosts::list(cx.db()).await? {
                let up = row.is_up(cx.now(), cx.config.host_down_after_secs);
                hosts.insert(row.host, (row.inventory.hypervisor_hostname, up));
            }
        }
        Ok(Self {
            cx,
            hosts,
            admin,
            single,
        })
    }

    pub(crate) fn view(&self, server: Server) -> ServerView {
        let flavor = &server.flavor;
        let flavor_view = json!({
            "vcpus": flavor.vcpus, "ram": flavor.ram_mib, "disk": flavor.disk_gib, "ephemeral": flavor.ephemeral_gib,
            "swap": flavor.swap_mib, "original_name": flavor.name, "extra_specs": flavor.extra_specs,
        });
        let fault = server
            .fault
            .as_ref()
            .filter(|_| server.vm_state == VmState::Error)
            .map(|fault| {
                let mut shown = json!({
                    "code": fault.code, "message": fault.message, "created": fault.created.iso(),
                });
                if let (true, Some(shown)) = (self.admin, shown.as_object_mut()) {
                    shown.insert("details".into(), json!(fault.details));
                }
                shown
            });
        let image = match server.image.id.as_str() {
            // It boots from a volume.
            "" => json!(""),
            id => json!({
                "id": id,
                "links": [{"rel": "bookmark", "href": self.cx.url(&format!("/images/{id}"))}],
            }),
        };
        ServerView {
            status: server.status(),
            host_id: host_id(&server),
            image,
            flavor: flavor_view,
            flavor_id: flavor.id.to_string(),
            flavor_link: self.cx.url(&format!("/flavors/{}", flavor.id)),
            for_admin: self.admin,
            created: server.created_at.iso(),
            updated: server.updated_at.iso(),
            addresses: server.addresses(),
            links: links(self.cx, "servers", server.id.as_str()),
            progress: server.progress(),
            fault,
            zone: server.zone.clone().unwrap_or_default(),
            config_drive: if server.config_drive { "True" } else { "" },
            key_name: server.key.as_ref().map(|(name, _)| name.clone()),
            launched_at: server.launched_at.map(nephos_types::Timestamp::iso_naive),
            terminated_at: None,
            for_admins: self.admin.then(|| self.for_admins(&server)),
            vm_state: server.vm_state.word(),
            power_state: server.power_state,
            volumes: volumes(&server),
            security_groups: groups(&server),
            locked: server.locked_by.is_some(),
            trusted_image_certificates: None,
            server_groups: self
                .single
                .then(|| server.group_id.iter().cloned().collect()),
            pinned_availability_zone: server.wanted_zone.clone(),
            id: server.id.into(),
            name: server.name,
            tenant_id: server.project_id.into(),
            user_id: server.user_id.into(),
            metadata: server.metadata,
            access_ipv4: server.access_ipv4,
            access_ipv6: server.access_ipv6,
            disk_config: server.disk_config,
            hostname: server.hostname,
            task_state: server.task_state,
            description: server.description,
            tags: server.tags,
            locked_reason: server.locked_reason,
        }
    }

    fn for_admins(&self, server: &Server) -> AdminView {
        let host = server.host.as_ref().and_then(|host| self.hosts.get(host));
        let property = |key: &str| {
            server
                .image
                .properties
                .get(key)
                .cloned()
                .unwrap_or_default()
        };
        AdminView {
            host: server.host.clone(),
            hypervisor: host.map(|(name, _)| name.clone()),
            instance_name: crate::model::spec::guest_name(&server.id),
            reservation_id: server.reservation_id.clone(),
            launch_index: server.launch_index,
            kernel_id: property("kernel_id"),
            ramdisk_id: property("ramdisk_id"),
            root_device_name: "/dev/vda",
            user_data: server.user_data.clone(),
            host_status: match host {
                Some((_, true)) => "UP",
                Some((_, false)) => "DOWN",
                None => "",
            },
        }
    }
}

/// Takes kind and MAC from an address, where only the address itself is shown.
pub(crate) fn without_kind(address: &mut Value) {
    if let Some(address) = address.as_object_mut() {
        address.shift_remove("OS-EXT-IPS:type");
        address.shift_remove("OS-EXT-IPS-MAC:mac_addr");
    }
}

/// The groups of its ports, port by port (Nova: the same name once for each port; no key while there are none).
fn groups(server: &Server) -> Option<Vec<Value>> {
    let bound = server.nics.iter().filter_map(|nic| nic.bound.as_ref());
    let names = bound
        .flat_map(|bound| &bound.groups)
        .map(|name| json!({ "name": name }));
    Some(names.collect::<Vec<_>>()).filter(|names| !names.is_empty())
}

/// Its volumes, those that are not made yet excepted.
fn volumes(server: &Server) -> Vec<Value> {
    let there = server
        .volumes
        .iter()
        .filter(|one| !one.volume_id.is_empty());
    there
        .map(|one| json!({"id": one.volume_id, "delete_on_termination": one.delete_on_termination}))
        .collect()
}

/// Tells a project whether two of its servers share a host, and nothing else (Nova: SHA-224 of project and host).
pub(crate) fn host_id(server: &Server) -> String {
    let Some(host) = &server.host else {
        return String::new();
    };
    let digest = Sha224::digest(format!("{}{host}", server.project_id));
    hex::encode(digest)
}
