//! What each microversion changed, as data (Nova's REST API version history).

use nephos_api::version::{Object, v};
use nephos_api::{Change, Version, added, before, changed, removed};
use serde_json::{Value, json};

/// The oldest, and what is spoken when nothing is asked for.
pub(crate) const MIN: Version = v(2, 1);
/// The newest that is complete.
pub(crate) const MAX: Version = v(2, 96);

/// A server in show and in detail lists.
pub(crate) const SERVER_VIEW: &[Change] = &[
    added(v(2, 3), "OS-EXT-SRV-ATTR:reservation_id"),
    added(v(2, 3), "OS-EXT-SRV-ATTR:launch_index"),
    added(v(2, 3), "OS-EXT-SRV-ATTR:kernel_id"),
    added(v(2, 3), "OS-EXT-SRV-ATTR:ramdisk_id"),
    added(v(2, 3), "OS-EXT-SRV-ATTR:root_device_name"),
    added(v(2, 3), "OS-EXT-SRV-ATTR:user_data"),
    added(v(2, 3), "OS-EXT-SRV-ATTR:hostname"),
    changed(v(2, 3), volumes_by_id),
    added(v(2, 9), "locked"),
    added(v(2, 16), "host_status"),
    added(v(2, 19), "description"),
    added(v(2, 26), "tags"),
    before(v(2, 47), "flavor", flavor_as_link),
    added(v(2, 63), "trusted_image_certificates"),
    added(v(2, 71), "server_groups"),
    added(v(2, 73), "locked_reason"),
    changed(v(2, 90), hostname_for_admins),
    added(v(2, 96), "pinned_availability_zone"),
];

/// The body of `POST /servers`.
pub(crate) const SERVER_CREATE: &[Change] = &[
    added(v(2, 19), "description"),
    added(v(2, 52), "tags"),
    removed(v(2, 57), "personality"),
    added(v(2, 63), "trusted_image_certificates"),
    added(v(2, 74), "host"),
    added(v(2, 74), "hypervisor_hostname"),
    added(v(2, 90), "hostname"),
];

/// The keys of `POST /servers` at the newest version.
pub(crate) const SERVER_CREATE_KEYS: &[&str] = &[
    "name",
    "imageRef",
    "flavorRef",
    "adminPass",
    "metadata",
    "networks",
    "OS-DCF:diskConfig",
    "accessIPv4",
    "accessIPv6",
    "availability_zone",
    "block_device_mapping",
    "block_device_mapping_v2",
    "config_drive",
    "key_name",
    "min_count",
    "max_count",
    "return_reservation_id",
    "security_groups",
    "user_data",
    "description",
    "tags",
    "personality",
    "trusted_image_certificates",
    "host",
    "hypervisor_hostname",
    "hostname",
    "os:scheduler_hints",
];

/// The body of `PUT /servers/{id}`.
pub(crate) const SERVER_UPDATE: &[Change] =
    &[added(v(2, 19), "description"), added(v(2, 90), "hostname")];

/// A flavor.
pub(crate) const FLAVOR_VIEW: &[Change] = &[
    added(v(2, 55), "description"),
    added(v(2, 61), "extra_specs"),
    changed(v(2, 75), swap_as_text),
];

/// A flavor in a list without details.
pub(crate) const FLAVOR_BRIEF: &[Change] = &[added(v(2, 55), "description")];

/// The body of `POST /flavors`.
pub(crate) const FLAVOR_CREATE: &[Change] = &[added(v(2, 55), "description")];

/// A key pair.
pub(crate) const KEYPAIR_VIEW: &[Change] = &[added(v(2, 2), "type")];

/// The body of `POST /os-keypairs`.
pub(crate) const KEYPAIR_CREATE: &[Change] = &[added(v(2, 2), "type"), added(v(2, 10), "user_id")];

/// A server in the reply to an update: below 2.75 only what can be updated, and what a server always shows.
pub(crate) const SERVER_UPDATED: &[Change] = &[
    added(v(2, 9), "locked"),
    added(v(2, 19), "description"),
    added(v(2, 26), "tags"),
    before(v(2, 47), "flavor", flavor_as_link),
    added(v(2, 63), "trusted_image_certificates"),
    added(v(2, 71), "server_groups"),
    added(v(2, 73), "locked_reason"),
    changed(v(2, 75), only_basics),
    changed(v(2, 90), hostname_for_admins),
    added(v(2, 96), "pinned_availability_zone"),
];

/// A server in the reply to a rebuild.
pub(crate) const SERVER_REBUILT: &[Change] = &[
    added(v(2, 9), "locked"),
    added(v(2, 19), "description"),
    added(v(2, 26), "tags"),
    before(v(2, 47), "flavor", flavor_as_link),
    added(v(2, 54), "key_name"),
    added(v(2, 57), "user_data"),
    added(v(2, 63), "trusted_image_certificates"),
    added(v(2, 71), "server_groups"),
    added(v(2, 73), "locked_reason"),
    changed(v(2, 75), only_rebuilt),
    changed(v(2, 90), hostname_for_admins),
    added(v(2, 96), "pinned_availability_zone"),
];

/// The body of a rebuild.
pub(crate) const REBUILD: &[Change] = &[
    added(v(2, 19), "description"),
    added(v(2, 54), "key_name"),
    removed(v(2, 57), "personality"),
    added(v(2, 57), "user_data"),
    added(v(2, 63), "trusted_image_certificates"),
    added(v(2, 90), "hostname"),
];

/// The keys of a rebuild at the newest version.
pub(crate) const REBUILD_KEYS: &[&str] = &[
    "imageRef",
    "name",
    "adminPass",
    "metadata",
    "OS-DCF:diskConfig",
    "accessIPv4",
    "accessIPv6",
    "personality",
    "preserve_ephemeral",
    "description",
    "key_name",
    "user_data",
    "trusted_image_certificates",
    "hostname",
];

/// The body of an evacuation.
pub(crate) const EVACUATE: &[Change] = &[
    removed(v(2, 14), "onSharedStorage"),
    added(v(2, 29), "force"),
    removed(v(2, 68), "force"),
];

/// The keys of an evacuation.
pub(crate) const EVACUATE_KEYS: &[&str] = &["host", "adminPass", "onSharedStorage", "force"];

/// The body of a move while it runs.
pub(crate) const MIGRATE_LIVE: &[Change] = &[
    removed(v(2, 25), "disk_over_commit"),
    added(v(2, 30), "force"),
    removed(v(2, 68), "force"),
];

/// Its keys.
pub(crate) const MIGRATE_LIVE_KEYS: &[&str] =
    &["host", "block_migration", "disk_over_commit", "force"];

/// A server on its way while it runs.
pub(crate) const SERVER_MIGRATION_VIEW: &[Change] = &[
    added(v(2, 59), "uuid"),
    added(v(2, 80), "user_id"),
    added(v(2, 80), "project_id"),
];

/// A volume of a server.
pub(crate) const ATTACHMENT_VIEW: &[Change] = &[
    added(v(2, 70), "tag"),
    added(v(2, 79), "delete_on_termination"),
    removed(v(2, 89), "id"),
    added(v(2, 89), "attachment_id"),
    added(v(2, 89), "bdm_uuid"),
];

/// A volume that was just given to a server.
pub(crate) const ATTACHED_VIEW: &[Change] = &[
    added(v(2, 70), "tag"),
    added(v(2, 79), "delete_on_termination"),
];

/// The body of `POST /servers/{id}/os-volume_attachments`.
pub(crate) const ATTACH: &[Change] = &[
    added(v(2, 49), "tag"),
    added(v(2, 79), "delete_on_termination"),
];

/// The body of `PUT /servers/{id}/os-volume_attachments/{volume}`.
pub(crate) const ATTACHMENT_UPDATE: &[Change] = &[
    added(v(2, 85), "id"),
    added(v(2, 85), "serverId"),
    added(v(2, 85), "device"),
    added(v(2, 85), "tag"),
    added(v(2, 85), "delete_on_termination"),
];

/// A server group.
pub(crate) const GROUP_VIEW: &[Change] = &[
    added(v(2, 13), "project_id"),
    added(v(2, 13), "user_id"),
    added(v(2, 64), "policy"),
    added(v(2, 64), "rules"),
    removed(v(2, 64), "policies"),
    removed(v(2, 64), "metadata"),
];

/// The body of `POST /os-server-groups`.
pub(crate) const GROUP_CREATE: &[Change] = &[
    removed(v(2, 64), "policies"),
    added(v(2, 64), "policy"),
    added(v(2, 64), "rules"),
];

/// An aggregate.
pub(crate) const AGGREGATE_VIEW: &[Change] = &[added(v(2, 41), "uuid")];

/// A hypervisor with details.
pub(crate) const HYPERVISOR_VIEW: &[Change] = &[
    before(v(2, 28), "cpu_info", cpu_info_as_text),
    changed(v(2, 53), numbers_for_ids),
    removed(v(2, 88), "vcpus"),
    removed(v(2, 88), "memory_mb"),
    removed(v(2, 88), "local_gb"),
    removed(v(2, 88), "vcpus_used"),
    removed(v(2, 88), "memory_mb_used"),
    removed(v(2, 88), "local_gb_used"),
    removed(v(2, 88), "free_ram_mb"),
    removed(v(2, 88), "free_disk_gb"),
    removed(v(2, 88), "current_workload"),
    removed(v(2, 88), "running_vms"),
    removed(v(2, 88), "disk_available_least"),
    removed(v(2, 88), "cpu_info"),
    added(v(2, 88), "uptime"),
];

/// A hypervisor in a list.
pub(crate) const HYPERVISOR_BRIEF: &[Change] = &[before(v(2, 53), "id", number_for_id)];

/// A service.
pub(crate) const SERVICE_VIEW: &[Change] = &[
    added(v(2, 11), "forced_down"),
    before(v(2, 53), "id", number_for_id),
];

/// Something that was done to a server.
/// A move in `GET /os-migrations`.
pub(crate) const MIGRATION_VIEW: &[Change] = &[
    added(v(2, 23), "migration_type"),
    added(v(2, 23), "links"),
    added(v(2, 59), "uuid"),
    added(v(2, 80), "user_id"),
    added(v(2, 80), "project_id"),
];

pub(crate) const ACTION_VIEW: &[Change] = &[added(v(2, 58), "updated_at")];

fn flavor_as_link(server: &mut Object) {
    let (id, link) = (
        server.shift_remove("_flavor_id"),
        server.shift_remove("_flavor_link"),
    );
    if let (Some(id), Some(link)) = (id, link) {
        let flavor = json!({"id": id, "links": [{"rel": "bookmark", "href": link}]});
        server.insert("flavor".to_owned(), flavor);
    }
}

fn volumes_by_id(server: &mut Object) {
    let volumes = server.get_mut("os-extended-volumes:volumes_attached");
    for volume in volumes
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        volume.shift_remove("delete_on_termination");
    }
}

fn hostname_for_admins(server: &mut Object) {
    if server.get("_for_admin") != Some(&Value::Bool(true)) {
        server.shift_remove("OS-EXT-SRV-ATTR:hostname");
    }
}

const BASICS: &[&str] = &[
    "id",
    "name",
    "status",
    "image",
    "flavor",
    "fault",
    "user_id",
    "tenant_id",
    "created",
    "updated",
    "progress",
    "metadata",
    "links",
    "addresses",
    "hostId",
    "OS-DCF:diskConfig",
    "accessIPv4",
    "accessIPv6",
    "locked",
    "description",
    "tags",
    "trusted_image_certificates",
    "server_groups",
    "locked_reason",
];

fn only_basics(server: &mut Object) {
    only(server, &[]);
}

fn only_rebuilt(server: &mut Object) {
    only(server, &["adminPass", "key_name", "user_data"]);
}

fn only(server: &mut Object, more: &[&str]) {
    let kept = |key: &str| key.starts_with('_') || BASICS.contains(&key) || more.contains(&key);
    server.retain(|key, _| kept(key.as_str()));
    let lists = server.get_mut("addresses").and_then(Value::as_object_mut);
    for entry in lists
        .into_iter()
        .flat_map(|lists| lists.values_mut())
        .filter_map(Value::as_array_mut)
        .flatten()
    {
        super::server_view::without_kind(entry);
    }
}

fn cpu_info_as_text(hypervisor: &mut Object) {
    if let Some(info) = hypervisor.get_mut("cpu_info") {
        *info = Value::String(info.to_string());
    }
}

fn numbers_for_ids(hypervisor: &mut Object) {
    let number = hypervisor.shift_remove("_number").unwrap_or_default();
    if let Some(service) = hypervisor.get_mut("service").and_then(Value::as_object_mut) {
        service.insert("id".to_owned(), number.clone());
    }
    hypervisor.insert("id".to_owned(), number);
}

fn swap_as_text(flavor: &mut Object) {
    if flavor.get("swap") == Some(&json!(0)) {
        flavor.insert("swap".to_owned(), json!(""));
    }
}

/// Below 2.53 services and hypervisors were known by numbers.
pub(crate) fn number_for_id(object: &mut Object) {
    if let Some(number) = object.shift_remove("_number") {
        object.insert("id".to_owned(), number);
    }
}
