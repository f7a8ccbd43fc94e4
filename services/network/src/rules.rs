//! The policy rules, with Neutron's names and defaults (neutron/conf/policies).

use std::sync::LazyLock;

use nephos_auth::RuleInfo;

/// Reads in the thing's project, or the operator.
const READER: &str = "(rule:admin_only) or (role:reader and project_id:%(project_id)s)";
/// Works in the thing's project, or the operator.
const MEMBER: &str = "(rule:admin_only) or (role:member and project_id:%(project_id)s)";
/// Manages the thing's project, or the operator.
const MANAGER: &str = "(rule:admin_only) or (role:manager and project_id:%(project_id)s)";
/// Reads in the project of what the thing belongs to, or the operator.
const PARENT_READER: &str = "(rule:admin_only) or (role:reader and rule:ext_parent_owner)";
/// Manages the project of what the thing belongs to, or the operator.
const PARENT_MANAGER: &str = "(rule:admin_only) or (role:manager and rule:ext_parent_owner)";
/// The operator.
const ADMIN: &str = "rule:admin_only";

nephos_auth::rules! {
    /// Create a network.
    pub CreateNetwork = "create_network", MEMBER;
    /// Choose `shared` when creating a network.
    pub CreateNetworkShared = "create_network:shared", ADMIN;
    /// Choose `router:external` when creating a network.
    pub CreateNetworkRouterExternal = "create_network:router:external", ADMIN;
    /// Choose `is_default` when creating a network.
    pub CreateNetworkIsDefault = "create_network:is_default", ADMIN;
    /// Choose `provider:network_type` when creating a network.
    pub CreateNetworkProviderNetworkType = "create_network:provider:network_type", ADMIN;
    /// Choose `provider:physical_network` when creating a network.
    pub CreateNetworkProviderPhysicalNetwork = "create_network:provider:physical_network", ADMIN;
    /// Choose `provider:segmentation_id` when creating a network.
    pub CreateNetworkProviderSegmentationId = "create_network:provider:segmentation_id", ADMIN;
    /// Show a network.
    pub GetNetwork = "get_network",
        "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:service_api or rule:shared or rule:external or rule:context_is_advsvc";
    /// See `provider:network_type` of a network.
    pub GetNetworkProviderNetworkType = "get_network:provider:network_type", ADMIN;
    /// Change a network.
    pub UpdateNetwork = "update_network", MEMBER;
    /// Change `shared` of a network.
    pub UpdateNetworkShared = "update_network:shared", ADMIN;
    /// Change `router:external` of a network.
    pub UpdateNetworkRouterExternal = "update_network:router:external", ADMIN;
    /// Change `is_default` of a network.
    pub UpdateNetworkIsDefault = "update_network:is_default", ADMIN;
    /// Delete a network.
    pub DeleteNetwork = "delete_network", MEMBER;
    /// Create a subnet.
    pub CreateSubnet = "create_subnet", "(rule:admin_only) or (role:member and rule:network_owner)";
    /// Choose `service_types` when creating a subnet.
    pub CreateSubnetServiceTypes = "create_subnet:service_types", ADMIN;
    /// Show a subnet.
    pub GetSubnet = "get_subnet",
        "role:reader and project_id:%(project_id)s or rule:shared or rule:external_network or (rule:admin_only) or (role:reader and rule:network_owner) or rule:service_api";
    /// Change a subnet.
    pub UpdateSubnet = "update_subnet",
        "role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)";
    /// Change `service_types` of a subnet.
    pub UpdateSubnetServiceTypes = "update_subnet:service_types", ADMIN;
    /// Delete a subnet.
    pub DeleteSubnet = "delete_subnet",
        "role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)";
    /// Create a port.
    pub CreatePort = "create_port",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner or rule:shared";
    /// Choose `device_owner` when creating a port.
    pub CreatePortDeviceOwner = "create_port:device_owner",
        "not rule:network_device or (rule:admin_only) or (rule:service_api) or role:member and rule:network_owner";
    /// Choose `mac_address` when creating a port.
    pub CreatePortMacAddress = "create_port:mac_address",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner";
    /// Choose `fixed_ips` when creating a port.
    pub CreatePortFixedIps = "create_port:fixed_ips",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner or rule:shared";
    /// Choose `fixed_ips:ip_address` when creating a port.
    pub CreatePortFixedIpsIpAddress = "create_port:fixed_ips:ip_address",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner";
    /// Choose `fixed_ips:subnet_id` when creating a port.
    pub CreatePortFixedIpsSubnetId = "create_port:fixed_ips:subnet_id",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner or rule:shared";
    /// Choose `port_security_enabled` when creating a port.
    pub CreatePortPortSecurityEnabled = "create_port:port_security_enabled",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner";
    /// Choose `binding:host_id` when creating a port.
    pub CreatePortBindingHostId = "create_port:binding:host_id",
        "(rule:admin_only) or (rule:service_api)";
    /// Choose `binding:profile` when creating a port.
    pub CreatePortBindingProfile = "create_port:binding:profile", "rule:service_api";
    /// Choose `binding:vnic_type` when creating a port.
    pub CreatePortBindingVnicType = "create_port:binding:vnic_type",
        "(rule:admin_only) or (role:member and project_id:%(project_id)s) or rule:service_api";
    /// Choose `allowed_address_pairs` when creating a port.
    pub CreatePortAllowedAddressPairs = "create_port:allowed_address_pairs",
        "(rule:admin_only) or (role:member and rule:network_owner) or rule:service_api";
    /// Show a port.
    pub GetPort = "get_port",
        "(rule:admin_only) or (rule:service_api) or role:reader and rule:network_owner or role:reader and project_id:%(project_id)s";
    /// See `binding:host_id` of a port.
    pub GetPortBindingHostId = "get_port:binding:host_id",
        "(rule:admin_only) or (rule:service_api)";
    /// Change a port.
    pub UpdatePort = "update_port",
        "(rule:admin_only) or (rule:service_api) or role:member and project_id:%(project_id)s";
    /// Change `device_owner` of a port.
    pub UpdatePortDeviceOwner = "update_port:device_owner",
        "not rule:network_device or (rule:admin_only) or (rule:service_api) or role:member and rule:network_owner";
    /// Change `mac_address` of a port.
    pub UpdatePortMacAddress = "update_port:mac_address",
        "(rule:admin_only) or (rule:service_api) or role:manager and rule:network_owner";
    /// Change `fixed_ips` of a port.
    pub UpdatePortFixedIps = "update_port:fixed_ips",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner";
    /// Change `fixed_ips:ip_address` of a port.
    pub UpdatePortFixedIpsIpAddress = "update_port:fixed_ips:ip_address",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner";
    /// Change `fixed_ips:subnet_id` of a port.
    pub UpdatePortFixedIpsSubnetId = "update_port:fixed_ips:subnet_id",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner or rule:shared";
    /// Change `port_security_enabled` of a port.
    pub UpdatePortPortSecurityEnabled = "update_port:port_security_enabled",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner";
    /// Change `binding:host_id` of a port.
    pub UpdatePortBindingHostId = "update_port:binding:host_id",
        "(rule:admin_only) or (rule:service_api)";
    /// Change `binding:profile` of a port.
    pub UpdatePortBindingProfile = "update_port:binding:profile", "rule:service_api";
    /// Change `binding:vnic_type` of a port.
    pub UpdatePortBindingVnicType = "update_port:binding:vnic_type",
        "(rule:admin_only) or (rule:service_api) or role:member and project_id:%(project_id)s";
    /// Change `allowed_address_pairs` of a port.
    pub UpdatePortAllowedAddressPairs = "update_port:allowed_address_pairs",
        "(rule:admin_only) or (role:member and rule:network_owner) or rule:service_api";
    /// Delete a port.
    pub DeletePort = "delete_port",
        "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner or role:member and project_id:%(project_id)s";
    /// Make a port a load balancer's (`device_owner` is `Octavia`), change who and where such a port is, or delete it.
    pub LoadBalancerPort = "load_balancer_port",
        "(rule:admin_only) or (rule:service_api)";
    /// Create a router.
    pub CreateRouter = "create_router", MEMBER;
    /// Choose `external_gateway_info:enable_snat` when creating a router.
    pub CreateRouterExternalGatewayInfoEnableSnat = "create_router:external_gateway_info:enable_snat",
        ADMIN;
    /// Choose `external_gateway_info:external_fixed_ips` when creating a router.
    pub CreateRouterExternalGatewayInfoExternalFixedIps = "create_router:external_gateway_info:external_fixed_ips",
        ADMIN;
    /// Show a router.
    pub GetRouter = "get_router", READER;
    /// Change a router.
    pub UpdateRouter = "update_router", MEMBER;
    /// Change `external_gateway_info:enable_snat` of a router.
    pub UpdateRouterExternalGatewayInfoEnableSnat = "update_router:external_gateway_info:enable_snat",
        ADMIN;
    /// Change `external_gateway_info:external_fixed_ips` of a router.
    pub UpdateRouterExternalGatewayInfoExternalFixedIps = "update_router:external_gateway_info:external_fixed_ips",
        ADMIN;
    /// Delete a router.
    pub DeleteRouter = "delete_router", MEMBER;
    /// Add a router interface.
    pub AddRouterInterface = "add_router_interface", MEMBER;
    /// Remove a router interface.
    pub RemoveRouterInterface = "remove_router_interface", MEMBER;
    /// Add extraroutes.
    pub AddExtraroutes = "add_extraroutes", MEMBER;
    /// Remove extraroutes.
    pub RemoveExtraroutes = "remove_extraroutes", MEMBER;
    /// Create a security group.
    pub CreateSecurityGroup = "create_security_group", MEMBER;
    /// Show a security group.
    pub GetSecurityGroup = "get_security_group",
        "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_security_group or rule:service_api";
    /// Change a security group.
    pub UpdateSecurityGroup = "update_security_group", MEMBER;
    /// Delete a security group.
    pub DeleteSecurityGroup = "delete_security_group", MEMBER;
    /// Create a security group rule.
    pub CreateSecurityGroupRule = "create_security_group_rule",
        "(rule:admin_only) or (role:member and rule:sg_owner)";
    /// Show a security group rule.
    pub GetSecurityGroupRule = "get_security_group_rule",
        "(rule:admin_only) or (role:reader and rule:sg_owner)";
    /// Delete a security group rule.
    pub DeleteSecurityGroupRule = "delete_security_group_rule",
        "(rule:admin_only) or (role:member and rule:sg_owner)";
    /// Create a floating IP.
    pub CreateFloatingip = "create_floatingip", MEMBER;
    /// Choose `floating_ip_address` when creating a floating IP.
    pub CreateFloatingipFloatingIpAddress = "create_floatingip:floating_ip_address",
        "(rule:admin_only) or (role:manager and project_id:%(project_id)s)";
    /// Show a floating IP.
    pub GetFloatingip = "get_floatingip",
        "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:service_api";
    /// Change a floating IP.
    pub UpdateFloatingip = "update_floatingip", MEMBER;
    /// Delete a floating IP.
    pub DeleteFloatingip = "delete_floatingip", MEMBER;
    /// Show a floating IP pool.
    pub GetFloatingipPool = "get_floatingip_pool", READER;
    /// Create a subnet pool.
    pub CreateSubnetpool = "create_subnetpool", MEMBER;
    /// Choose `shared` when creating a subnet pool.
    pub CreateSubnetpoolShared = "create_subnetpool:shared", ADMIN;
    /// Choose `is_default` when creating a subnet pool.
    pub CreateSubnetpoolIsDefault = "create_subnetpool:is_default", ADMIN;
    /// Show a subnet pool.
    pub GetSubnetpool = "get_subnetpool",
        "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_subnetpools";
    /// Change a subnet pool.
    pub UpdateSubnetpool = "update_subnetpool", MEMBER;
    /// Change `is_default` of a subnet pool.
    pub UpdateSubnetpoolIsDefault = "update_subnetpool:is_default", ADMIN;
    /// Delete a subnet pool.
    pub DeleteSubnetpool = "delete_subnetpool", MEMBER;
    /// Add prefixes.
    pub AddPrefixes = "add_prefixes", MEMBER;
    /// Remove prefixes.
    pub RemovePrefixes = "remove_prefixes", MEMBER;
    /// Create an address scope.
    pub CreateAddressScope = "create_address_scope", MEMBER;
    /// Choose `shared` when creating an address scope.
    pub CreateAddressScopeShared = "create_address_scope:shared", ADMIN;
    /// Show an address scope.
    pub GetAddressScope = "get_address_scope",
        "rule:admin_only or role:reader and project_id:%(project_id)s or rule:shared_address_scopes";
    /// Change an address scope.
    pub UpdateAddressScope = "update_address_scope", MEMBER;
    /// Change `shared` of an address scope.
    pub UpdateAddressScopeShared = "update_address_scope:shared", ADMIN;
    /// Delete an address scope.
    pub DeleteAddressScope = "delete_address_scope", MEMBER;
    /// Create a RBAC policy.
    pub CreateRbacPolicy = "create_rbac_policy", MEMBER;
    /// Choose `target_project` when creating a RBAC policy.
    pub CreateRbacPolicyTargetProject = "create_rbac_policy:target_project",
        "rule:admin_only or not field:rbac_policy:target_project=*";
    /// Change a RBAC policy.
    pub UpdateRbacPolicy = "update_rbac_policy", MEMBER;
    /// Change `target_project` of a RBAC policy.
    pub UpdateRbacPolicyTargetProject = "update_rbac_policy:target_project",
        "rule:admin_only or not field:rbac_policy:target_project=*";
    /// Show a RBAC policy.
    pub GetRbacPolicy = "get_rbac_policy", READER;
    /// Delete a RBAC policy.
    pub DeleteRbacPolicy = "delete_rbac_policy", MEMBER;
    /// Create a QoS policy.
    pub CreatePolicy = "create_policy", MANAGER;
    /// Show a QoS policy.
    pub GetPolicy = "get_policy",
        "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_qos_policy";
    /// Change a QoS policy.
    pub UpdatePolicy = "update_policy", MANAGER;
    /// Delete a QoS policy.
    pub DeletePolicy = "delete_policy", MANAGER;
    /// Show a type of QoS rules.
    pub GetRuleType = "get_rule_type", "role:reader";
    /// Create a bandwidth limit rule of a QoS policy.
    pub CreatePolicyBandwidthLimitRule = "create_policy_bandwidth_limit_rule", PARENT_MANAGER;
    /// Show a bandwidth limit rule of a QoS policy.
    pub GetPolicyBandwidthLimitRule = "get_policy_bandwidth_limit_rule", PARENT_READER;
    /// Change a bandwidth limit rule of a QoS policy.
    pub UpdatePolicyBandwidthLimitRule = "update_policy_bandwidth_limit_rule", PARENT_MANAGER;
    /// Delete a bandwidth limit rule of a QoS policy.
    pub DeletePolicyBandwidthLimitRule = "delete_policy_bandwidth_limit_rule", PARENT_MANAGER;
    /// Show a bandwidth limit rule by its id alone.
    pub GetAliasBandwidthLimitRule = "get_alias_bandwidth_limit_rule", PARENT_READER;
    /// Change a bandwidth limit rule by its id alone.
    pub UpdateAliasBandwidthLimitRule = "update_alias_bandwidth_limit_rule", PARENT_MANAGER;
    /// Delete a bandwidth limit rule by its id alone.
    pub DeleteAliasBandwidthLimitRule = "delete_alias_bandwidth_limit_rule", PARENT_MANAGER;
    /// Show a quota.
    pub GetQuota = "get_quota", "(rule:admin_only) or (role:manager and project_id:%(project_id)s)";
    /// Change a quota.
    pub UpdateQuota = "update_quota", ADMIN;
    /// Delete a quota.
    pub DeleteQuota = "delete_quota", ADMIN;
    /// Show an agent.
    pub GetAgent = "get_agent", ADMIN;
    /// Change an agent.
    pub UpdateAgent = "update_agent", ADMIN;
    /// Delete an agent.
    pub DeleteAgent = "delete_agent", ADMIN;
    /// Show an availability zone.
    pub GetAvailabilityZone = "get_availability_zone", "role:reader";
    /// Show how many addresses networks have left.
    pub GetNetworkIpAvailability = "get_network_ip_availability",
        "(rule:admin_only) or (rule:service_api)";
    /// Show a service provider.
    pub GetServiceProvider = "get_service_provider", "role:reader";
    /// Show the networks of a DHCP agent.
    pub GetDhcpNetworks = "get_dhcp-networks", ADMIN;
    /// Create a network on a DHCP agent.
    pub CreateDhcpNetwork = "create_dhcp-network", ADMIN;
    /// Delete a network on a DHCP agent.
    pub DeleteDhcpNetwork = "delete_dhcp-network", ADMIN;
    /// Show the routers of an L3 agent.
    pub GetL3Routers = "get_l3-routers", ADMIN;
    /// Create a router on an L3 agent.
    pub CreateL3Router = "create_l3-router", ADMIN;
    /// Delete a router on an L3 agent.
    pub DeleteL3Router = "delete_l3-router", ADMIN;
    /// Show the DHCP agents of a network.
    pub GetDhcpAgents = "get_dhcp-agents", ADMIN;
    /// Show the L3 agents of a router.
    pub GetL3Agents = "get_l3-agents", ADMIN;
    /// Create a trunk.
    pub CreateTrunk = "create_trunk", MEMBER;
    /// Show a trunk.
    pub GetTrunk = "get_trunk", READER;
    /// Change a trunk.
    pub UpdateTrunk = "update_trunk", MEMBER;
    /// Delete a trunk.
    pub DeleteTrunk = "delete_trunk", MEMBER;
    /// Show the subports of a trunk.
    pub GetSubports = "get_subports", READER;
    /// Give a trunk subports.
    pub AddSubports = "add_subports", MEMBER;
    /// Take subports from a trunk.
    pub RemoveSubports = "remove_subports", MEMBER;
    /// Ask what a host is to have, and tell what it has.
    pub HostFeed = "host_feed", "rule:host_api";
}

/// The rules that others refer to.
const ALIASES: &[RuleInfo] = &[
    alias("context_is_admin", "role:admin"),
    alias("context_with_global_access", "!"),
    alias("service_api", "role:service"),
    alias("owner", "project_id:%(project_id)s"),
    alias("admin_or_owner", "rule:context_is_admin or rule:owner"),
    alias("context_is_advsvc", "role:advsvc"),
    alias(
        "admin_or_network_owner",
        "rule:context_is_admin or project_id:%(network:project_id)s",
    ),
    alias(
        "admin_owner_or_network_owner",
        "rule:owner or rule:admin_or_network_owner",
    ),
    alias("network_owner", "project_id:%(network:project_id)s"),
    alias("admin_only", "rule:context_is_admin"),
    alias("regular_user", ""),
    alias("shared", "field:networks:shared=True"),
    alias("default", "rule:admin_or_owner"),
    alias(
        "admin_or_ext_parent_owner",
        "rule:context_is_admin or project_id:%(ext_parent:project_id)s",
    ),
    alias("ext_parent_owner", "project_id:%(ext_parent:project_id)s"),
    alias("sg_owner", "project_id:%(security_group:project_id)s"),
    alias("external", "field:networks:router:external=True"),
    alias("external_network", "field:subnets:router:external=True"),
    alias("network_device", "field:port:device_owner=~^network:"),
    alias(
        "admin_or_data_plane_int",
        "rule:context_is_admin or role:data_plane_integrator",
    ),
    alias(
        "admin_or_sg_owner",
        "rule:context_is_admin or project_id:%(security_group:project_id)s",
    ),
    alias(
        "admin_owner_or_sg_owner",
        "rule:owner or rule:admin_or_sg_owner",
    ),
    alias("shared_security_group", "field:security_groups:shared=True"),
    alias(
        "rule_default_sg",
        "field:security_group_rules:belongs_to_default_sg=True",
    ),
    alias("shared_qos_policy", "field:policies:shared=True"),
    alias("shared_subnetpools", "field:subnetpools:shared=True"),
    alias("shared_address_scopes", "field:address_scopes:shared=True"),
    alias(
        "restrict_wildcard",
        "(not field:rbac_policy:target_tenant=* and not field:rbac_policy:target_project=*) or rule:admin_only",
    ),
];

const fn alias(name: &'static str, default: &'static str) -> RuleInfo {
    RuleInfo {
        name,
        default,
        description: "Base rule.",
    }
}

/// Rules that are asked by name: tags of each kind of thing.
const BY_NAME: &[RuleInfo] = &[
    RuleInfo {
        name: "get_network:tags",
        default: "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared or rule:external or rule:context_is_advsvc",
        description: "Tags.",
    },
    RuleInfo {
        name: "update_network:tags",
        default: "(rule:admin_only) or (role:member and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "delete_network:tags",
        default: "(rule:admin_only) or (role:member and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "get_subnet:tags",
        default: "role:reader and project_id:%(project_id)s or rule:shared or rule:external_network or (rule:admin_only) or (role:reader and rule:network_owner)",
        description: "Tags.",
    },
    RuleInfo {
        name: "update_subnet:tags",
        default: "role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)",
        description: "Tags.",
    },
    RuleInfo {
        name: "delete_subnet:tags",
        default: "role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)",
        description: "Tags.",
    },
    RuleInfo {
        name: "get_port:tags",
        default: "rule:context_is_advsvc or (rule:admin_only) or (role:reader and rule:network_owner) or role:reader and project_id:%(project_id)s",
        description: "Tags.",
    },
    RuleInfo {
        name: "update_port:tags",
        default: "(rule:admin_only) or (role:member and project_id:%(project_id)s) or rule:context_is_advsvc",
        description: "Tags.",
    },
    RuleInfo {
        name: "delete_port:tags",
        default: "rule:context_is_advsvc or role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)",
        description: "Tags.",
    },
    RuleInfo {
        name: "get_router:tags",
        default: "(rule:admin_only) or (role:reader and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "update_router:tags",
        default: "(rule:admin_only) or (role:member and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "delete_router:tags",
        default: "(rule:admin_only) or (role:member and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "get_security_group:tags",
        default: "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_security_group",
        description: "Tags.",
    },
    RuleInfo {
        name: "update_security_group:tags",
        default: "(rule:admin_only) or (role:member and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "delete_security_group:tags",
        default: "(rule:admin_only) or (role:member and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "get_floatingip:tags",
        default: "(rule:admin_only) or (role:reader and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "update_floatingip:tags",
        default: "(rule:admin_only) or (role:member and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "delete_floatingip:tags",
        default: "(rule:admin_only) or (role:member and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "get_subnetpool:tags",
        default: "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_subnetpools",
        description: "Tags.",
    },
    RuleInfo {
        name: "update_subnetpool:tags",
        default: "(rule:admin_only) or (role:member and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "delete_subnetpool:tags",
        default: "(rule:admin_only) or (role:member and project_id:%(project_id)s)",
        description: "Tags.",
    },
    RuleInfo {
        name: "get_policy:tags",
        default: "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_qos_policy",
        description: "Tags.",
    },
    RuleInfo {
        name: "update_policy:tags",
        default: MANAGER,
        description: "Tags.",
    },
    RuleInfo {
        name: "delete_policy:tags",
        default: MANAGER,
        description: "Tags.",
    },
    RuleInfo {
        name: "get_trunk:tags",
        default: READER,
        description: "Tags.",
    },
    RuleInfo {
        name: "update_trunk:tags",
        default: MEMBER,
        description: "Tags.",
    },
    RuleInfo {
        name: "delete_trunk:tags",
        default: MEMBER,
        description: "Tags.",
    },
];

/// All of them, as the policy engine takes them.
pub(crate) fn all() -> &'static [RuleInfo] {
    static ALL_RULES: LazyLock<Vec<RuleInfo>> = LazyLock::new(|| [ALL, ALIASES, BY_NAME].concat());
    &ALL_RULES
}
