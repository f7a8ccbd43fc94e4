//! The policy rules: Cinder's names and defaults (cinder/policies).
//!
//! One widening: the `service` role does with attachments, reads of volumes and snapshots, and creates and deletes of volumes,
//! what a project's member may, because the compute service does so on behalf of servers' owners, after their tokens.

const ADMIN: &str = "rule:admin_api";
const READER: &str = "rule:xena_system_admin_or_project_reader";
const MEMBER: &str = "rule:xena_system_admin_or_project_member";
const READER_OR_SERVICE: &str = "rule:xena_system_admin_or_project_reader or rule:service_api";
const MEMBER_OR_SERVICE: &str = "rule:xena_system_admin_or_project_member or rule:service_api";

nephos_auth::rules! {
    /// The operator.
    pub(crate) AdminApi = "admin_api", "role:admin";
    /// Who reads in a project.
    pub(crate) ProjectReader = "xena_system_admin_or_project_reader", "(role:admin) or (role:reader and project_id:%(project_id)s)";
    /// Who works in a project.
    pub(crate) ProjectMember = "xena_system_admin_or_project_member", "(role:admin) or (role:member and project_id:%(project_id)s)";
    /// Create a volume.
    pub(crate) CreateVolume = "volume:create", MEMBER_OR_SERVICE;
    /// Create a volume from an image.
    pub(crate) CreateFromImage = "volume:create_from_image", MEMBER_OR_SERVICE;
    /// Create a volume that several servers may have.
    pub(crate) Multiattach = "volume:multiattach", MEMBER_OR_SERVICE;
    /// Show a volume.
    pub(crate) GetVolume = "volume:get", READER_OR_SERVICE;
    /// List volumes.
    pub(crate) GetAllVolumes = "volume:get_all", READER_OR_SERVICE;
    /// Change a volume.
    pub(crate) UpdateVolume = "volume:update", MEMBER;
    /// Delete a volume.
    pub(crate) DeleteVolume = "volume:delete", MEMBER_OR_SERVICE;
    /// Delete a volume whatever its state.
    pub(crate) ForceDelete = "volume:force_delete", ADMIN;
    /// See where a volume is.
    pub(crate) HostAttribute = "volume_extension:volume_host_attribute", ADMIN;
    /// See whose a volume is.
    pub(crate) TenantAttribute = "volume_extension:volume_tenant_attribute", READER;
    /// See whether a volume is on its way elsewhere.
    pub(crate) MigAttribute = "volume_extension:volume_mig_status_attribute", ADMIN;
    /// Show how a volume is encrypted.
    pub(crate) EncryptionMetadata = "volume_extension:volume_encryption_metadata", READER_OR_SERVICE;
    /// Extend a volume.
    pub(crate) Extend = "volume:extend", MEMBER;
    /// Extend a volume that is in use.
    pub(crate) ExtendAttached = "volume:extend_attached_volume", MEMBER;
    /// Give a volume another type.
    pub(crate) Retype = "volume:retype", MEMBER;
    /// Bring a volume back to its latest snapshot.
    pub(crate) Revert = "volume:revert_to_snapshot", MEMBER;
    /// Move a volume to another back end.
    pub(crate) Migrate = "volume_extension:volume_admin_actions:migrate_volume", ADMIN;
    /// Set a volume's state by hand.
    pub(crate) ResetStatus = "volume_extension:volume_admin_actions:reset_status", ADMIN;
    /// Make a volume read-only.
    pub(crate) UpdateReadonly = "volume:update_readonly_flag", MEMBER;
    /// Delete a volume whatever its state, by an action.
    pub(crate) ForceDeleteAction = "volume_extension:volume_admin_actions:force_delete", ADMIN;
    /// End an attachment whatever its user says.
    pub(crate) ForceDetach = "volume_extension:volume_admin_actions:force_detach", ADMIN;
    /// Make an image of a volume.
    pub(crate) UploadImage = "volume_extension:volume_actions:upload_image", MEMBER;
    /// Make a public image of a volume.
    pub(crate) UploadPublic = "volume_extension:volume_actions:upload_public", ADMIN;
    /// Mark a volume as about to be attached.
    pub(crate) Reserve = "volume_extension:volume_actions:reserve", MEMBER_OR_SERVICE;
    /// Take that back.
    pub(crate) Unreserve = "volume_extension:volume_actions:unreserve", MEMBER_OR_SERVICE;
    /// Mark a volume as about to be detached.
    pub(crate) BeginDetaching = "volume_extension:volume_actions:begin_detaching", MEMBER_OR_SERVICE;
    /// Take that back.
    pub(crate) RollDetaching = "volume_extension:volume_actions:roll_detaching", MEMBER_OR_SERVICE;
    /// Note that a volume is attached.
    pub(crate) Attach = "volume_extension:volume_actions:attach", MEMBER_OR_SERVICE;
    /// Note that a volume is detached.
    pub(crate) Detach = "volume_extension:volume_actions:detach", MEMBER_OR_SERVICE;
    /// Ask how to reach a volume.
    pub(crate) InitializeConnection = "volume_extension:volume_actions:initialize_connection", MEMBER_OR_SERVICE;
    /// Say that it is reached no longer.
    pub(crate) TerminateConnection = "volume_extension:volume_actions:terminate_connection", MEMBER_OR_SERVICE;
    /// Read what users wrote on a volume.
    pub(crate) GetMetadata = "volume:get_volume_metadata", READER;
    /// Write on a volume.
    pub(crate) CreateMetadata = "volume:create_volume_metadata", MEMBER;
    /// Change what is written on a volume.
    pub(crate) UpdateMetadata = "volume:update_volume_metadata", MEMBER;
    /// Remove what is written on a volume.
    pub(crate) DeleteMetadata = "volume:delete_volume_metadata", MEMBER;
    /// See what a volume knows of its image.
    pub(crate) ShowImageMetadata = "volume_extension:volume_image_metadata:show", READER;
    /// Change what a volume knows of its image.
    pub(crate) SetImageMetadata = "volume_extension:volume_image_metadata:set", MEMBER;
    /// Remove what a volume knows of its image.
    pub(crate) RemoveImageMetadata = "volume_extension:volume_image_metadata:remove", MEMBER;
    /// Create a snapshot.
    pub(crate) CreateSnapshot = "volume:create_snapshot", MEMBER;
    /// Show a snapshot.
    pub(crate) GetSnapshot = "volume:get_snapshot", READER_OR_SERVICE;
    /// List snapshots.
    pub(crate) GetAllSnapshots = "volume:get_all_snapshots", READER_OR_SERVICE;
    /// Change a snapshot.
    pub(crate) UpdateSnapshot = "volume:update_snapshot", MEMBER;
    /// Delete a snapshot.
    pub(crate) DeleteSnapshot = "volume:delete_snapshot", MEMBER;
    /// See a snapshot's progress and project.
    pub(crate) ExtendedSnapshot = "volume_extension:extended_snapshot_attributes", READER;
    /// Set a snapshot's state by hand.
    pub(crate) ResetSnapshotStatus = "volume_extension:snapshot_admin_actions:reset_status", ADMIN;
    /// Delete a snapshot whatever its state.
    pub(crate) ForceDeleteSnapshot = "volume_extension:snapshot_admin_actions:force_delete", ADMIN;
    /// Forget a snapshot, and keep its bytes.
    pub(crate) UnmanageSnapshot = "snapshot_extension:snapshot_unmanage", ADMIN;
    /// Make a snapshot of what is kept in a back end.
    pub(crate) ManageSnapshot = "snapshot_extension:snapshot_manage", ADMIN;
    /// List what in a back end is a snapshot or could become one.
    pub(crate) ListManageableSnapshots = "snapshot_extension:list_manageable", ADMIN;
    /// Report a snapshot's progress.
    pub(crate) UpdateSnapshotStatus = "snapshot_extension:snapshot_actions:update_snapshot_status", MEMBER_OR_SERVICE;
    /// Read what users wrote on a snapshot.
    pub(crate) GetSnapshotMetadata = "volume:get_snapshot_metadata", READER;
    /// Write on a snapshot.
    pub(crate) UpdateSnapshotMetadata = "volume:update_snapshot_metadata", MEMBER;
    /// Remove what is written on a snapshot.
    pub(crate) DeleteSnapshotMetadata = "volume:delete_snapshot_metadata", MEMBER;
    /// Create an attachment.
    pub(crate) CreateAttachment = "volume:attachment_create", MEMBER_OR_SERVICE;
    /// Say from where an attachment is used.
    pub(crate) UpdateAttachment = "volume:attachment_update", MEMBER_OR_SERVICE;
    /// End an attachment.
    pub(crate) DeleteAttachment = "volume:attachment_delete", MEMBER_OR_SERVICE;
    /// Say that an attachment is in use.
    pub(crate) CompleteAttachment = "volume:attachment_complete", MEMBER_OR_SERVICE;
    /// Attach a bootable volume to several servers.
    pub(crate) MultiattachBootable = "volume:multiattach_bootable_volume", MEMBER_OR_SERVICE;
    /// Create a volume type.
    pub(crate) CreateType = "volume_extension:type_create", ADMIN;
    /// Change a volume type.
    pub(crate) UpdateType = "volume_extension:type_update", ADMIN;
    /// Delete a volume type.
    pub(crate) DeleteType = "volume_extension:type_delete", ADMIN;
    /// Show a volume type.
    pub(crate) GetType = "volume_extension:type_get", READER_OR_SERVICE;
    /// List volume types.
    pub(crate) GetAllTypes = "volume_extension:type_get_all", READER_OR_SERVICE;
    /// See the extra specs of volume types.
    pub(crate) TypeExtraSpecs = "volume_extension:access_types_extra_specs", READER;
    /// See whether a volume type is public.
    pub(crate) TypeAccess = "volume_extension:volume_type_access", MEMBER;
    /// Let a project use a volume type.
    pub(crate) AddTypeAccess = "volume_extension:volume_type_access:addProjectAccess", ADMIN;
    /// No longer let a project use a volume type.
    pub(crate) RemoveTypeAccess = "volume_extension:volume_type_access:removeProjectAccess", ADMIN;
    /// See how volumes of a type are encrypted.
    pub(crate) TypeEncryption = "volume_extension:volume_type_encryption:get", ADMIN;
    /// Have volumes of a type be encrypted.
    pub(crate) CreateTypeEncryption = "volume_extension:volume_type_encryption:create", ADMIN;
    /// Change how volumes of a type are encrypted.
    pub(crate) UpdateTypeEncryption = "volume_extension:volume_type_encryption:update", ADMIN;
    /// Have volumes of a type not be encrypted.
    pub(crate) DeleteTypeEncryption = "volume_extension:volume_type_encryption:delete", ADMIN;
    /// Learn what opens an encrypted volume: the service that starts the servers that use it.
    pub(crate) VolumeKey = "nephos:volume_key", "rule:service_api";
    /// List who may use a volume type.
    pub(crate) ListTypeAccess = "volume_extension:volume_type_access:get_all_for_type", ADMIN;
    /// List the extra specs of a volume type.
    pub(crate) ListExtraSpecs = "volume_extension:types_extra_specs:index", READER;
    /// Add extra specs to a volume type.
    pub(crate) CreateExtraSpecs = "volume_extension:types_extra_specs:create", ADMIN;
    /// Show an extra spec of a volume type.
    pub(crate) ShowExtraSpec = "volume_extension:types_extra_specs:show", READER;
    /// See extra specs that say how a volume type is made.
    pub(crate) ReadSensitiveSpecs = "volume_extension:types_extra_specs:read_sensitive", ADMIN;
    /// Change an extra spec of a volume type.
    pub(crate) UpdateExtraSpec = "volume_extension:types_extra_specs:update", ADMIN;
    /// Remove an extra spec of a volume type.
    pub(crate) DeleteExtraSpec = "volume_extension:types_extra_specs:delete", ADMIN;
    /// Create QoS specs.
    pub(crate) CreateQos = "volume_extension:qos_specs_manage:create", ADMIN;
    /// Show QoS specs.
    pub(crate) ShowQos = "volume_extension:qos_specs_manage:get", ADMIN;
    /// List QoS specs, and the types that they are of.
    pub(crate) ListQos = "volume_extension:qos_specs_manage:get_all", ADMIN;
    /// Change QoS specs, and of which types they are.
    pub(crate) UpdateQos = "volume_extension:qos_specs_manage:update", ADMIN;
    /// Delete QoS specs, or names from them.
    pub(crate) DeleteQos = "volume_extension:qos_specs_manage:delete", ADMIN;
    /// Set a project's default type.
    pub(crate) SetDefaultType = "volume_extension:default_set_or_update", ADMIN;
    /// Show a project's default type.
    pub(crate) GetDefaultType = "volume_extension:default_get", ADMIN;
    /// List the projects' default types.
    pub(crate) ListDefaultTypes = "volume_extension:default_get_all", ADMIN;
    /// Unset a project's default type.
    pub(crate) UnsetDefaultType = "volume_extension:default_unset", ADMIN;
    /// Show quotas.
    pub(crate) ShowQuotas = "volume_extension:quotas:show", READER;
    /// Set quotas.
    pub(crate) UpdateQuotas = "volume_extension:quotas:update", ADMIN;
    /// Set quotas back to the defaults.
    pub(crate) DeleteQuotas = "volume_extension:quotas:delete", ADMIN;
    /// Show the default quotas.
    pub(crate) ShowQuotaClass = "volume_extension:quota_classes:get", ADMIN;
    /// Set the default quotas.
    pub(crate) UpdateQuotaClass = "volume_extension:quota_classes:update", ADMIN;
    /// See what of the limits is used.
    pub(crate) UsedLimits = "limits_extension:used_limits", READER;
    /// List services.
    pub(crate) ListServices = "volume_extension:services:index", ADMIN;
    /// Enable, disable services.
    pub(crate) UpdateServices = "volume_extension:services:update", ADMIN;
    /// Freeze a back end.
    pub(crate) FreezeHost = "volume:freeze_host", ADMIN;
    /// Thaw a back end.
    pub(crate) ThawHost = "volume:thaw_host", ADMIN;
    /// List pools.
    pub(crate) GetPools = "scheduler_extension:scheduler_stats:get_pools", ADMIN;
    /// Show what a back end can do.
    pub(crate) Capabilities = "volume_extension:capabilities", ADMIN;
    /// List and show hosts.
    pub(crate) Hosts = "volume_extension:hosts", ADMIN;
    /// Offer a volume.
    pub(crate) CreateTransfer = "volume:create_transfer", MEMBER;
    /// Take a volume that is offered.
    pub(crate) AcceptTransfer = "volume:accept_transfer", MEMBER;
    /// Take an offer back.
    pub(crate) DeleteTransfer = "volume:delete_transfer", MEMBER;
    /// Show an offer.
    pub(crate) GetTransfer = "volume:get_transfer", READER;
    /// List offers.
    pub(crate) GetAllTransfers = "volume:get_all_transfers", READER;
    /// Create a backup.
    pub(crate) CreateBackup = "backup:create", MEMBER;
    /// Show a backup.
    pub(crate) GetBackup = "backup:get", READER;
    /// List backups.
    pub(crate) GetAllBackups = "backup:get_all", READER;
    /// Change a backup.
    pub(crate) UpdateBackup = "backup:update", MEMBER;
    /// Delete a backup.
    pub(crate) DeleteBackup = "backup:delete", MEMBER;
    /// Bring a backup back.
    pub(crate) RestoreBackup = "backup:restore", MEMBER;
    /// Make a backup of a record.
    pub(crate) ImportBackup = "backup:backup-import", ADMIN;
    /// Have the record of a backup.
    pub(crate) ExportBackup = "backup:export-import", ADMIN;
    /// See whose a backup is.
    pub(crate) BackupAttribute = "backup:backup_project_attribute", ADMIN;
    /// Set a backup's state by hand.
    pub(crate) ResetBackupStatus = "volume_extension:backup_admin_actions:reset_status", ADMIN;
    /// Delete a backup whatever its state.
    pub(crate) ForceDeleteBackup = "volume_extension:backup_admin_actions:force_delete", ADMIN;
    /// See the specs of group types.
    pub(crate) GroupTypeAccess = "group:access_group_types_specs", ADMIN;
    /// Create a group type.
    pub(crate) CreateGroupType = "group:group_types:create", ADMIN;
    /// Change a group type.
    pub(crate) UpdateGroupType = "group:group_types:update", ADMIN;
    /// Delete a group type.
    pub(crate) DeleteGroupType = "group:group_types:delete", ADMIN;
    /// List the specs of a group type.
    pub(crate) ListGroupSpecs = "group:group_types_specs:get_all", ADMIN;
    /// Show a spec of a group type.
    pub(crate) ShowGroupSpec = "group:group_types_specs:get", ADMIN;
    /// Add specs to a group type.
    pub(crate) CreateGroupSpecs = "group:group_types_specs:create", ADMIN;
    /// Change a spec of a group type.
    pub(crate) UpdateGroupSpec = "group:group_types_specs:update", ADMIN;
    /// Remove a spec of a group type.
    pub(crate) DeleteGroupSpec = "group:group_types_specs:delete", ADMIN;
    /// Create a group.
    pub(crate) CreateGroup = "group:create", MEMBER;
    /// Show a group.
    pub(crate) GetGroup = "group:get", READER;
    /// List groups.
    pub(crate) GetAllGroups = "group:get_all", READER;
    /// Change a group.
    pub(crate) UpdateGroup = "group:update", MEMBER;
    /// Delete a group.
    pub(crate) DeleteGroup = "group:delete", MEMBER;
    /// Set a group's state by hand.
    pub(crate) ResetGroupStatus = "group:reset_status", ADMIN;
    /// See whose a group is.
    pub(crate) GroupAttribute = "group:group_project_attribute", ADMIN;
    /// Create a group snapshot.
    pub(crate) CreateGroupSnapshot = "group:create_group_snapshot", MEMBER;
    /// Show a group snapshot.
    pub(crate) GetGroupSnapshot = "group:get_group_snapshot", READER;
    /// List group snapshots.
    pub(crate) GetAllGroupSnapshots = "group:get_all_group_snapshots", READER;
    /// Delete a group snapshot.
    pub(crate) DeleteGroupSnapshot = "group:delete_group_snapshot", MEMBER;
    /// Set a group snapshot's state by hand.
    pub(crate) ResetGroupSnapshotStatus = "group:reset_group_snapshot_status", ADMIN;
    /// See whose a group snapshot is.
    pub(crate) GroupSnapshotAttribute = "group:group_snapshot_project_attribute", ADMIN;
    /// List messages.
    pub(crate) GetMessages = "message:get_all", READER;
    /// Show a message.
    pub(crate) GetMessage = "message:get", READER;
    /// Delete a message.
    pub(crate) DeleteMessage = "message:delete", MEMBER;
}
