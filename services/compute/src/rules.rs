//! The policy rules of compute: Nova's names and secure defaults (nova/policies).

use nephos_auth::personas::*;

nephos_auth::rules! {
    /// List flavors.
    pub ListFlavors = "os_compute_api:flavors", ANY;
    /// Make a flavor.
    pub CreateFlavor = "os_compute_api:os-flavor-manage:create", ADMIN;
    /// Change a flavor's description.
    pub UpdateFlavor = "os_compute_api:os-flavor-manage:update", ADMIN;
    /// Delete a flavor.
    pub DeleteFlavor = "os_compute_api:os-flavor-manage:delete", ADMIN;
    /// See which projects may use a private flavor.
    pub ShowFlavorAccess = "os_compute_api:os-flavor-access", ADMIN;
    /// Let a project use a private flavor.
    pub AddFlavorAccess = "os_compute_api:os-flavor-access:add_tenant_access", ADMIN;
    /// Take a private flavor from a project.
    pub RemoveFlavorAccess = "os_compute_api:os-flavor-access:remove_tenant_access", ADMIN;
    /// See extra specs.
    pub ShowExtraSpecs = "os_compute_api:os-flavor-extra-specs:index", PROJECT_READER_OR_ADMIN;
    /// Set extra specs.
    pub CreateExtraSpecs = "os_compute_api:os-flavor-extra-specs:create", ADMIN;
    /// Change an extra spec.
    pub UpdateExtraSpec = "os_compute_api:os-flavor-extra-specs:update", ADMIN;
    /// Remove an extra spec.
    pub DeleteExtraSpec = "os_compute_api:os-flavor-extra-specs:delete", ADMIN;
    /// List one's own key pairs.
    pub ListKeyPairs = "os_compute_api:os-keypairs:index", ANY;
    /// Make a key pair.
    pub CreateKeyPair = "os_compute_api:os-keypairs:create", ANY;
    /// Show a key pair.
    pub ShowKeyPair = "os_compute_api:os-keypairs:show", ANY;
    /// Delete a key pair.
    pub DeleteKeyPair = "os_compute_api:os-keypairs:delete", ANY;
    /// Make servers.
    pub CreateServer = "os_compute_api:servers:create", PROJECT_MEMBER_OR_ADMIN;
    /// Make servers with volumes.
    pub CreateServerWithVolume = "os_compute_api:servers:create:attach_volume", PROJECT_MEMBER_OR_ADMIN;
    /// See a server's volumes.
    pub ListAttachments = "os_compute_api:os-volumes-attachments:index", PROJECT_READER_OR_ADMIN;
    /// See a volume of a server.
    pub ShowAttachment = "os_compute_api:os-volumes-attachments:show", PROJECT_READER_OR_ADMIN;
    /// Give a server a volume.
    pub AttachVolume = "os_compute_api:os-volumes-attachments:create", PROJECT_MEMBER_OR_ADMIN;
    /// Change whether a volume goes with its server.
    pub UpdateAttachment = "os_compute_api:os-volumes-attachments:update", PROJECT_MEMBER_OR_ADMIN;
    /// Put one volume in the place of another.
    pub SwapVolume = "os_compute_api:os-volumes-attachments:swap", SERVICE;
    /// Take a volume from a server.
    pub DetachVolume = "os_compute_api:os-volumes-attachments:delete", PROJECT_MEMBER_OR_ADMIN;
    /// Make servers on a certain host.
    pub CreateServerOnHost = "os_compute_api:servers:create:forced_host", ADMIN;
    /// List servers.
    pub ListServers = "os_compute_api:servers:index", PROJECT_READER_OR_ADMIN;
    /// List everybody's servers.
    pub ListAllServers = "os_compute_api:servers:index:get_all_tenants", ADMIN;
    /// List servers with details.
    pub ListServersDetail = "os_compute_api:servers:detail", PROJECT_READER_OR_ADMIN;
    /// Show a server.
    pub ShowServer = "os_compute_api:servers:show", PROJECT_READER_OR_ADMIN;
    /// See where a server runs.
    pub ShowServerHost = "os_compute_api:os-extended-server-attributes", ADMIN;
    /// See the state of a server's host.
    pub ShowHostStatus = "os_compute_api:servers:show:host_status", ADMIN;
    /// Change a server's name and description.
    pub UpdateServer = "os_compute_api:servers:update", PROJECT_MEMBER_OR_ADMIN;
    /// Delete a server.
    pub DeleteServer = "os_compute_api:servers:delete", PROJECT_MEMBER_OR_ADMIN;
    /// Delete a server whatever its state.
    pub ForceDeleteServer = "os_compute_api:os-deferred-delete:force", PROJECT_MEMBER_OR_ADMIN;
    /// Bring a deleted server back.
    pub RestoreServer = "os_compute_api:os-deferred-delete:restore", PROJECT_MEMBER_OR_ADMIN;
    /// Start a server.
    pub StartServer = "os_compute_api:servers:start", PROJECT_MEMBER_OR_ADMIN;
    /// Stop a server.
    pub StopServer = "os_compute_api:servers:stop", PROJECT_MEMBER_OR_ADMIN;
    /// Reboot a server.
    pub RebootServer = "os_compute_api:servers:reboot", PROJECT_MEMBER_OR_ADMIN;
    /// Make a server's disk anew from an image.
    pub RebuildServer = "os_compute_api:servers:rebuild", PROJECT_MEMBER_OR_ADMIN;
    /// Make an image of a server's disk.
    pub CreateImage = "os_compute_api:servers:create_image", PROJECT_MEMBER_OR_ADMIN;
    /// Give a server another size.
    pub ResizeServer = "os_compute_api:servers:resize", PROJECT_MEMBER_OR_ADMIN;
    /// Keep a server as it was resized.
    pub ConfirmResize = "os_compute_api:servers:confirm_resize", PROJECT_MEMBER_OR_ADMIN;
    /// Make a resized server again what it was.
    pub RevertResize = "os_compute_api:servers:revert_resize", PROJECT_MEMBER_OR_ADMIN;
    /// Move a server to another host.
    pub MigrateServer = "os_compute_api:os-migrate-server:migrate", PROJECT_MANAGER_OR_ADMIN;
    /// Say to which host.
    pub MigrateServerToHost = "os_compute_api:os-migrate-server:migrate:host", ADMIN;
    /// Move a server to another host while it runs.
    pub MigrateServerLive = "os_compute_api:os-migrate-server:migrate_live", PROJECT_MANAGER_OR_ADMIN;
    /// Say to which host.
    pub MigrateServerLiveToHost = "os_compute_api:os-migrate-server:migrate_live:host", ADMIN;
    /// See which servers are on their way while they run.
    pub ListServerMigrations = "os_compute_api:servers:migrations:index", PROJECT_MANAGER_OR_ADMIN;
    /// See from which host to which.
    pub ShowServerMigrationHosts = "os_compute_api:servers:migrations:index:host", ADMIN;
    /// See how far one of them is.
    pub ShowServerMigration = "os_compute_api:servers:migrations:show", ADMIN;
    /// Freeze it, so that it gets there.
    pub ForceServerMigration = "os_compute_api:servers:migrations:force_complete", PROJECT_MANAGER_OR_ADMIN;
    /// Have it stay.
    pub AbortServerMigration = "os_compute_api:servers:migrations:delete", PROJECT_MANAGER_OR_ADMIN;
    /// See how servers of one's own came to other hosts and sizes.
    pub ListMigrations = "os_compute_api:os-migrations:index", PROJECT_MANAGER_OR_ADMIN;
    /// See everybody's.
    pub ListAllMigrations = "os_compute_api:os-migrations:index:all_projects", ADMIN;
    /// See which hosts those were.
    pub ShowMigrationHosts = "os_compute_api:os-migrations:index:host", ADMIN;
    /// Make a server anew on another host, because its own is lost.
    pub EvacuateServer = "os_compute_api:os-evacuate", ADMIN;
    /// Freeze a server.
    pub PauseServer = "os_compute_api:os-pause-server:pause", PROJECT_MEMBER_OR_ADMIN;
    /// Let a frozen server go on.
    pub UnpauseServer = "os_compute_api:os-pause-server:unpause", PROJECT_MEMBER_OR_ADMIN;
    /// Save a server to disk.
    pub SuspendServer = "os_compute_api:os-suspend-server:suspend", PROJECT_MEMBER_OR_ADMIN;
    /// Bring a saved server back.
    pub ResumeServer = "os_compute_api:os-suspend-server:resume", PROJECT_MEMBER_OR_ADMIN;
    /// Lock a server.
    pub LockServer = "os_compute_api:os-lock-server:lock", PROJECT_MEMBER_OR_ADMIN;
    /// Unlock a server.
    pub UnlockServer = "os_compute_api:os-lock-server:unlock", PROJECT_MEMBER_OR_ADMIN;
    /// Unlock a server that an admin locked.
    pub UnlockOverride = "os_compute_api:os-lock-server:unlock:unlock_override", ADMIN;
    /// Set a server's state by hand.
    pub ResetState = "os_compute_api:os-admin-actions:reset_state", ADMIN;
    /// See the password that a guest left.
    pub ShowPassword = "os_compute_api:os-server-password:show", PROJECT_READER_OR_ADMIN;
    /// Forget the password that a guest left.
    pub ClearPassword = "os_compute_api:os-server-password:clear", PROJECT_MEMBER_OR_ADMIN;
    /// Give a guest's administrator another password.
    pub ChangePassword = "os_compute_api:os-admin-password", PROJECT_MEMBER_OR_ADMIN;
    /// Read a server's console log.
    pub ConsoleOutput = "os_compute_api:os-console-output", PROJECT_MEMBER_OR_ADMIN;
    /// Get a link to a server's console.
    pub RemoteConsoles = "os_compute_api:os-remote-consoles", PROJECT_MEMBER_OR_ADMIN;
    /// Put a server into a security group.
    pub AddSecurityGroup = "os_compute_api:os-security-groups:add", PROJECT_MEMBER_OR_ADMIN;
    /// Take a server out of a security group.
    pub RemoveSecurityGroup = "os_compute_api:os-security-groups:remove", PROJECT_MEMBER_OR_ADMIN;
    /// See the security groups of a server.
    pub ListServerGroups = "os_compute_api:os-security-groups:list", PROJECT_READER_OR_ADMIN;
    /// List security groups, as it was.
    pub ListSecurityGroups = "os_compute_api:os-security-groups:get", PROJECT_READER_OR_ADMIN;
    /// Show a security group, as it was.
    pub ShowSecurityGroup = "os_compute_api:os-security-groups:show", PROJECT_READER_OR_ADMIN;
    /// Make a security group, as it was.
    pub CreateSecurityGroup = "os_compute_api:os-security-groups:create", PROJECT_MEMBER_OR_ADMIN;
    /// Change a security group, as it was.
    pub UpdateSecurityGroup = "os_compute_api:os-security-groups:update", PROJECT_MEMBER_OR_ADMIN;
    /// Delete a security group, as it was.
    pub DeleteSecurityGroup = "os_compute_api:os-security-groups:delete", PROJECT_MEMBER_OR_ADMIN;
    /// Make a rule of a security group, as it was.
    pub CreateGroupRule = "os_compute_api:os-security-groups:rule:create", PROJECT_MEMBER_OR_ADMIN;
    /// Delete a rule of a security group, as it was.
    pub DeleteGroupRule = "os_compute_api:os-security-groups:rule:delete", PROJECT_MEMBER_OR_ADMIN;
    /// List floating addresses, as it was.
    pub ListFloatingIps = "os_compute_api:os-floating-ips:list", PROJECT_READER_OR_ADMIN;
    /// Show a floating address, as it was.
    pub ShowFloatingIp = "os_compute_api:os-floating-ips:show", PROJECT_READER_OR_ADMIN;
    /// Take a floating address, as it was.
    pub CreateFloatingIp = "os_compute_api:os-floating-ips:create", PROJECT_MEMBER_OR_ADMIN;
    /// Give a floating address back, as it was.
    pub DeleteFloatingIp = "os_compute_api:os-floating-ips:delete", PROJECT_MEMBER_OR_ADMIN;
    /// Lead a floating address to a server, as it was.
    pub AddFloatingIp = "os_compute_api:os-floating-ips:add", PROJECT_MEMBER_OR_ADMIN;
    /// Lead a floating address nowhere, as it was.
    pub RemoveFloatingIp = "os_compute_api:os-floating-ips:remove", PROJECT_MEMBER_OR_ADMIN;
    /// List where floating addresses come from, as it was.
    pub ListFloatingIpPools = "os_compute_api:os-floating-ip-pools", PROJECT_READER_OR_ADMIN;
    /// List networks, as it was.
    pub ListNetworks = "os_compute_api:os-networks:list", PROJECT_READER_OR_ADMIN;
    /// Show a network, as it was.
    pub ShowNetwork = "os_compute_api:os-networks:show", PROJECT_READER_OR_ADMIN;
    /// List one's own networks, as it was.
    pub ListTenantNetworks = "os_compute_api:os-tenant-networks:list", PROJECT_READER_OR_ADMIN;
    /// Show one's own network, as it was.
    pub ShowTenantNetwork = "os_compute_api:os-tenant-networks:show", PROJECT_READER_OR_ADMIN;
    /// See a server's metadata.
    pub ShowMetadata = "os_compute_api:server-metadata:index", PROJECT_READER_OR_ADMIN;
    /// See one item of a server's metadata.
    pub ShowMetadataItem = "os_compute_api:server-metadata:show", PROJECT_READER_OR_ADMIN;
    /// Add to a server's metadata.
    pub CreateMetadata = "os_compute_api:server-metadata:create", PROJECT_MEMBER_OR_ADMIN;
    /// Replace a server's metadata.
    pub ReplaceMetadata = "os_compute_api:server-metadata:update_all", PROJECT_MEMBER_OR_ADMIN;
    /// Set one item of a server's metadata.
    pub UpdateMetadata = "os_compute_api:server-metadata:update", PROJECT_MEMBER_OR_ADMIN;
    /// Remove one item of a server's metadata.
    pub DeleteMetadata = "os_compute_api:server-metadata:delete", PROJECT_MEMBER_OR_ADMIN;
    /// See a server's tags.
    pub ShowTags = "os_compute_api:os-server-tags:index", PROJECT_READER_OR_ADMIN;
    /// Ask whether a server has a tag.
    pub ShowTag = "os_compute_api:os-server-tags:show", PROJECT_READER_OR_ADMIN;
    /// Give a server a tag.
    pub AddTag = "os_compute_api:os-server-tags:update", PROJECT_MEMBER_OR_ADMIN;
    /// Replace a server's tags.
    pub ReplaceTags = "os_compute_api:os-server-tags:update_all", PROJECT_MEMBER_OR_ADMIN;
    /// Take a tag from a server.
    pub DeleteTag = "os_compute_api:os-server-tags:delete", PROJECT_MEMBER_OR_ADMIN;
    /// Take all tags from a server.
    pub DeleteTags = "os_compute_api:os-server-tags:delete_all", PROJECT_MEMBER_OR_ADMIN;
    /// See a server's addresses.
    pub ShowAddresses = "os_compute_api:ips:index", PROJECT_READER_OR_ADMIN;
    /// See a server's addresses in one network.
    pub ShowNetworkAddresses = "os_compute_api:ips:show", PROJECT_READER_OR_ADMIN;
    /// List a server's interfaces.
    pub ListInterfaces = "os_compute_api:os-attach-interfaces:list", PROJECT_READER_OR_ADMIN;
    /// Show an interface.
    pub ShowInterface = "os_compute_api:os-attach-interfaces:show", PROJECT_READER_OR_ADMIN;
    /// Plug an interface in.
    pub AttachInterface = "os_compute_api:os-attach-interfaces:create", PROJECT_MEMBER_OR_ADMIN;
    /// Take an interface out.
    pub DetachInterface = "os_compute_api:os-attach-interfaces:delete", PROJECT_MEMBER_OR_ADMIN;
    /// See what was done to a server.
    pub ListActions = "os_compute_api:os-instance-actions:list", PROJECT_READER_OR_ADMIN;
    /// See one thing that was done to a server.
    pub ShowAction = "os_compute_api:os-instance-actions:show", PROJECT_READER_OR_ADMIN;
    /// See the parts of it.
    pub ShowActionEvents = "os_compute_api:os-instance-actions:events", ADMIN;
    /// See hypervisors.
    pub ListHypervisors = "os_compute_api:os-hypervisors:list", ADMIN;
    /// See hypervisors with details.
    pub ListHypervisorsDetail = "os_compute_api:os-hypervisors:list-detail", ADMIN;
    /// See the sum over all hypervisors.
    pub HypervisorStatistics = "os_compute_api:os-hypervisors:statistics", ADMIN;
    /// See a hypervisor.
    pub ShowHypervisor = "os_compute_api:os-hypervisors:show", ADMIN;
    /// Find hypervisors by name.
    pub SearchHypervisors = "os_compute_api:os-hypervisors:search", ADMIN;
    /// See the servers on hypervisors.
    pub HypervisorServers = "os_compute_api:os-hypervisors:servers", ADMIN;
    /// See how long a hypervisor has been up.
    pub HypervisorUptime = "os_compute_api:os-hypervisors:uptime", ADMIN;
    /// See the services.
    pub ListServices = "os_compute_api:os-services:list", ADMIN;
    /// Take a host out of service, or back.
    pub UpdateService = "os_compute_api:os-services:update", ADMIN;
    /// List aggregates.
    pub ListAggregates = "os_compute_api:os-aggregates:index", ADMIN;
    /// Show an aggregate.
    pub ShowAggregate = "os_compute_api:os-aggregates:show", ADMIN;
    /// Make an aggregate.
    pub CreateAggregate = "os_compute_api:os-aggregates:create", ADMIN;
    /// Change an aggregate.
    pub UpdateAggregate = "os_compute_api:os-aggregates:update", ADMIN;
    /// Delete an aggregate.
    pub DeleteAggregate = "os_compute_api:os-aggregates:delete", ADMIN;
    /// Add a host to an aggregate.
    pub AddHost = "os_compute_api:os-aggregates:add_host", ADMIN;
    /// Take a host out of an aggregate.
    pub RemoveHost = "os_compute_api:os-aggregates:remove_host", ADMIN;
    /// Change an aggregate's metadata.
    pub SetAggregateMetadata = "os_compute_api:os-aggregates:set_metadata", ADMIN;
    /// List one's own server groups.
    pub ListGroups = "os_compute_api:os-server-groups:index", PROJECT_READER_OR_ADMIN;
    /// List everybody's server groups.
    pub ListAllGroups = "os_compute_api:os-server-groups:index:all_projects", ADMIN;
    /// Show a server group.
    pub ShowServerGroup = "os_compute_api:os-server-groups:show", PROJECT_READER_OR_ADMIN;
    /// Make a server group.
    pub CreateServerGroup = "os_compute_api:os-server-groups:create", PROJECT_MEMBER_OR_ADMIN;
    /// Delete a server group.
    pub DeleteServerGroup = "os_compute_api:os-server-groups:delete", PROJECT_MEMBER_OR_ADMIN;
    /// See zones.
    pub ListZones = "os_compute_api:os-availability-zone:list", ANY;
    /// See zones with their hosts.
    pub ListZonesDetail = "os_compute_api:os-availability-zone:detail", ADMIN;
    /// See one's own limits.
    pub ShowLimits = "os_compute_api:limits", ANY;
    /// See another project's limits.
    pub ShowOtherLimits = "os_compute_api:limits:other_project", ADMIN;
    /// See a project's quotas.
    pub ShowQuotas = "os_compute_api:os-quota-sets:show", PROJECT_READER_OR_ADMIN;
    /// See the default quotas.
    pub ShowDefaultQuotas = "os_compute_api:os-quota-sets:defaults", ANY;
    /// See a project's quotas and usage.
    pub ShowQuotaDetail = "os_compute_api:os-quota-sets:detail", PROJECT_READER_OR_ADMIN;
    /// Change a project's quotas.
    pub UpdateQuotas = "os_compute_api:os-quota-sets:update", ADMIN;
    /// Take a project's own quotas away.
    pub DeleteQuotas = "os_compute_api:os-quota-sets:delete", ADMIN;
    /// See the default quota class.
    pub ShowQuotaClass = "os_compute_api:os-quota-class-sets:show", ADMIN;
    /// Change the default quota class.
    pub UpdateQuotaClass = "os_compute_api:os-quota-class-sets:update", ADMIN;
    /// See which extensions there are.
    pub ListExtensions = "os_compute_api:extensions", ANY;
    /// Tell a server's host and owner that something outside changed.
    pub ExternalEvents = "os_compute_api:os-server-external-events:create", ADMIN_OR_SERVICE;
    /// Read and report as a host's agent.
    pub HostFeed = "os_compute_api:host-feed", HOST;
    /// Ask whether a host brings an image's data.
    pub ImageIsBrought = "os_compute_api:host-snapshots", SERVICE;
    /// Ask whether a host needs an image.
    pub ImageIsWanted = "os_compute_api:host-images", SERVICE;
}
