//! Which versions there are, which extensions, which filters.

use nephos_api::{Json, Public, Reply, Req, With, endpoint};
use serde_json::{Value, json};

use super::ProjectPath;
use super::versions::{MAX, MIN};
use crate::{Cx, rules};

fn versions(cx: &Cx) -> Value {
    json!({"versions": [{
        "id": "v3.0", "status": "CURRENT", "version": MAX.to_string(), "min_version": MIN.to_string(),
        "updated": "2023-08-31T00:00:00Z",
        "links": [
            {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
            {"rel": "self", "href": cx.url("/v3/")},
        ],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}],
    }]})
}

endpoint! {
    /// Say which versions there are to choose from.
    ListVersions: GET "/" => 300,
    policy: Public,
    reply: With<Json<Value>>,
    handler: list_versions,
}
async fn list_versions(cx: Cx, _req: Req<ListVersions>) -> Reply<ListVersions> {
    Ok(With::new(Json(versions(&cx))))
}

endpoint! {
    /// Show version 3 and its microversions.
    ShowVersion: GET "/v3" => 200,
    policy: Public,
    reply: Json<Value>,
    handler: show_version,
}
async fn show_version(cx: Cx, _req: Req<ShowVersion>) -> Reply<ShowVersion> {
    Ok(Json(versions(&cx)))
}

/// Cinder's names of what is offered here.
const EXTENSIONS: &[(&str, &str)] = &[
    ("OS-SCH-HNT", "SchedulerHints"),
    ("backups", "Backups"),
    ("capabilities", "Capabilities"),
    ("os-admin-actions", "AdminActions"),
    ("os-availability-zone", "AvailabilityZones"),
    ("os-extended-services", "ExtendedServices"),
    (
        "os-extended-snapshot-attributes",
        "ExtendedSnapshotAttributes",
    ),
    ("os-hosts", "Hosts"),
    ("os-image-create", "CreateVolumeExtension"),
    ("os-quota-class-sets", "QuotaClasses"),
    ("os-quota-sets", "Quotas"),
    ("os-services", "Services"),
    ("os-snapshot-actions", "SnapshotActions"),
    ("os-snapshot-manage", "SnapshotManage"),
    ("os-snapshot-unmanage", "SnapshotUnmanage"),
    ("os-types-extra-specs", "TypesExtraSpecs"),
    ("os-types-manage", "TypesManage"),
    ("os-used-limits", "UsedLimits"),
    ("os-vol-host-attr", "VolumeHostAttribute"),
    ("os-vol-image-meta", "VolumeImageMetadata"),
    ("os-vol-mig-status-attr", "VolumeMigStatusAttribute"),
    ("os-vol-tenant-attr", "VolumeTenantAttribute"),
    ("os-volume-actions", "VolumeActions"),
    ("os-volume-transfer", "VolumeTransfer"),
    ("os-volume-type-access", "VolumeTypeAccess"),
    ("scheduler-stats", "Scheduler_stats"),
];

endpoint! {
    /// List the extensions that are offered.
    ListExtensions: GET "/v3/{project_id}/extensions" => 200,
    policy: nephos_api::Authenticated,
    path: ProjectPath,
    reply: Json<Value>,
    handler: list_extensions,
}
async fn list_extensions(cx: Cx, req: Req<ListExtensions>) -> Reply<ListExtensions> {
    super::at_project(&cx, &req.path.project_id)?;
    let all: Vec<Value> = EXTENSIONS
        .iter()
        .map(|(alias, name)| {
            json!({"alias": alias, "name": name, "description": name, "links": [], "updated": "2013-04-18T00:00:00+00:00"})
        })
        .collect();
    Ok(Json(json!({ "extensions": all })))
}

/// The filters that lists take from everybody.
pub(crate) const FILTERS: &[(&str, &[&str])] = &[
    (
        "volume",
        &[
            "name",
            "status",
            "metadata",
            "bootable",
            "migration_status",
            "availability_zone",
            "group_id",
            "size",
            "created_at",
            "updated_at",
        ],
    ),
    (
        "snapshot",
        &[
            "name",
            "status",
            "volume_id",
            "metadata",
            "availability_zone",
            "consumes_quota",
        ],
    ),
    ("backup", &["name", "status", "volume_id"]),
    ("group", &["name", "status", "id", "group_type"]),
    ("group_snapshot", &["name", "status", "group_id", "id"]),
    (
        "attachment",
        &["volume_id", "status", "instance_id", "attach_status"],
    ),
    (
        "message",
        &[
            "resource_uuid",
            "resource_type",
            "event_id",
            "request_id",
            "message_level",
        ],
    ),
    ("pool", &["name", "volume_type"]),
    ("volume_type", &["is_public", "extra_specs"]),
];

endpoint! {
    /// List the filters that lists take.
    ListResourceFilters: GET "/v3/{project_id}/resource_filters" => 200,
    versions: 3.33..,
    policy: rules::GetAllVolumes,
    path: ProjectPath,
    reply: Json<Value>,
    handler: list_resource_filters,
}
async fn list_resource_filters(
    cx: Cx,
    req: Req<ListResourceFilters>,
) -> Reply<ListResourceFilters> {
    super::at_project(&cx, &req.path.project_id)?;
    let wanted = req.query.get("resource");
    let all: Vec<Value> = FILTERS
        .iter()
        .filter(|(resource, _)| wanted.is_none_or(|wanted| wanted == *resource))
        .map(|(resource, filters)| json!({"resource": resource, "filters": filters}))
        .collect();
    Ok(Json(json!({ "resource_filters": all })))
}
