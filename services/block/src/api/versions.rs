//! What each microversion changed, as data (Cinder's REST API version history).

use nephos_api::version::v;
use nephos_api::{Change, Version, added};

/// The oldest, and what is spoken when nothing is asked for.
pub(crate) const MIN: Version = v(3, 0);
/// The newest that is complete. Of those before it, clusters, replication and the management of foreign volumes
/// are not offered.
pub(crate) const MAX: Version = v(3, 67);

/// A volume with details.
pub(crate) const VOLUME_VIEW: &[Change] = &[
    added(v(3, 13), "group_id"),
    added(v(3, 21), "provider_id"),
    added(v(3, 48), "shared_targets"),
    added(v(3, 48), "service_uuid"),
    added(v(3, 61), "cluster_name"),
    added(v(3, 63), "volume_type_id"),
    added(v(3, 64), "encryption_key_id"),
    added(v(3, 65), "consumes_quota"),
];

/// A snapshot.
pub(crate) const SNAPSHOT_VIEW: &[Change] = &[
    added(v(3, 14), "group_snapshot_id"),
    added(v(3, 41), "user_id"),
    added(v(3, 65), "consumes_quota"),
];

/// A backup.
pub(crate) const BACKUP_VIEW: &[Change] = &[
    added(v(3, 18), "os-backup-project-attr:project_id"),
    added(v(3, 43), "metadata"),
    added(v(3, 56), "user_id"),
];

/// A group.
pub(crate) const GROUP_VIEW: &[Change] = &[
    added(v(3, 14), "group_snapshot_id"),
    added(v(3, 14), "source_group_id"),
    added(v(3, 25), "volumes"),
    added(v(3, 38), "replication_status"),
    added(v(3, 58), "project_id"),
];

/// A group snapshot.
pub(crate) const GROUP_SNAPSHOT_VIEW: &[Change] = &[added(v(3, 58), "project_id")];

/// A service.
pub(crate) const SERVICE_VIEW: &[Change] =
    &[added(v(3, 7), "cluster"), added(v(3, 49), "backend_state")];

/// A summary of volumes.
pub(crate) const SUMMARY_VIEW: &[Change] = &[added(v(3, 36), "metadata")];

/// A transfer.
pub(crate) const TRANSFER_VIEW: &[Change] = &[
    added(v(3, 55), "no_snapshots"),
    added(v(3, 57), "source_project_id"),
    added(v(3, 57), "destination_project_id"),
    added(v(3, 57), "accepted"),
];
