//! Types of the network service with which administrators give out and share: provider networks, quotas, grants, pools of
//! prefixes, scopes of addresses.

use super::limit;
use super::neutron::{DESCRIPTION, NAME, PROJECT, TAGS, UP, rest};
use crate::model::kind::{How, Kind, Limits, Rest};
use crate::model::property::{Prop, Rule, boolean, integer, list, text};

const PROVIDER: &[Prop] = &[
    NAME,
    PROJECT,
    UP,
    TAGS,
    text(
        "network_type",
        "A string specifying the provider network type for the network.",
    )
    .required()
    .in_place()
    .rule(Rule::Allowed(&[
        "local", "vlan", "vxlan", "gre", "geneve", "flat",
    ])),
    text(
        "physical_network",
        "A string specifying physical network mapping for the network.",
    )
    .in_place(),
    text(
        "segmentation_id",
        "A string specifying the segmentation id for the network.",
    )
    .in_place(),
    boolean(
        "router_external",
        "Whether the network contains an external router.",
    )
    .in_place()
    .default("false"),
    boolean(
        "shared",
        "Whether this network should be shared across all tenants.",
    )
    .in_place()
    .default("true"),
    boolean(
        "port_security_enabled",
        "Flag to enable/disable port security on the network.",
    )
    .in_place(),
    text("dns_domain", "DNS domain associated with this network.").in_place(),
    list(
        "availability_zone_hints",
        "Availability zone candidates for the network.",
    )
    .in_place(),
];
const fn length(name: &'static str, doc: &'static str) -> Prop {
    integer(name, doc)
        .in_place()
        .rule(Rule::Range(0, i32::MAX as i64))
}
const SUBNET_POOL: &[Prop] = &[
    NAME,
    PROJECT,
    TAGS,
    list("prefixes", "List of subnet prefixes to assign.")
        .required()
        .in_place(),
    text(
        "address_scope",
        "An address scope ID or name to assign to the subnet pool.",
    )
    .in_place(),
    length(
        "default_quota",
        "A per-tenant quota on the prefix space that can be allocated from the subnet pool for tenant subnets.",
    ),
    length(
        "default_prefixlen",
        "The size of the prefix to allocate when the cidr or prefixlen attributes are not specified while creating a subnet.",
    ),
    length(
        "min_prefixlen",
        "Smallest prefix size that can be allocated from the subnet pool.",
    ),
    length(
        "max_prefixlen",
        "Maximum prefix size that can be allocated from the subnet pool.",
    ),
    boolean(
        "is_default",
        "Whether this is default IPv4/IPv6 subnet pool; for administrators.",
    )
    .in_place()
    .default("false"),
    boolean(
        "shared",
        "Whether the subnet pool will be shared across all projects; for administrators.",
    )
    .default("false"),
];
const ADDRESS_SCOPE: &[Prop] = &[
    NAME,
    PROJECT,
    boolean(
        "shared",
        "Whether the address scope should be shared to other tenants; for administrators.",
    )
    .in_place()
    .default("false"),
    integer(
        "ip_version",
        "Address family of the address scope, which is 4 or 6.",
    )
    .default("4")
    .rule(Rule::Range(4, 6)),
];

const QUOTA: &[Prop] = &[
    text("project", "Name or id of the project to set the quota for.").required(),
    limit(
        "subnet",
        "Quota for the number of subnets. Setting -1 means unlimited.",
    ),
    limit(
        "network",
        "Quota for the number of networks. Setting -1 means unlimited.",
    ),
    limit(
        "floatingip",
        "Quota for the number of floating IPs. Setting -1 means unlimited.",
    ),
    limit(
        "security_group_rule",
        "Quota for the number of security group rules. Setting -1 means unlimited.",
    ),
    limit(
        "security_group",
        "Quota for the number of security groups. Setting -1 means unlimited.",
    ),
    limit(
        "router",
        "Quota for the number of routers. Setting -1 means unlimited.",
    ),
    limit(
        "port",
        "Quota for the number of ports. Setting -1 means unlimited.",
    ),
    limit(
        "subnetpool",
        "Quota for the number of subnet pools. Setting -1 means unlimited.",
    ),
    limit(
        "rbac_policy",
        "Quota for the number of RBAC policies. Setting -1 means unlimited.",
    ),
];

const RBAC: &[Prop] = &[
    text(
        "object_type",
        "Type of the object that RBAC policy affects.",
    )
    .required()
    .rule(Rule::Allowed(&[
        "network",
        "security_group",
        "address_scope",
        "subnetpool",
        "qos_policy",
    ])),
    text(
        "target_tenant",
        "ID of the tenant to which the RBAC policy will be enforced; * is every one.",
    )
    .required()
    .in_place(),
    text(
        "action",
        "Action for the RBAC policy. Only network objects can have an access_as_external action.",
    )
    .required()
    .rule(Rule::Allowed(&["access_as_shared", "access_as_external"])),
    text("object_id", "ID or name of the RBAC object.").required(),
    PROJECT,
];

const fn destination() -> Prop {
    text("destination", "Network in CIDR notation.").required()
}
const fn nexthop() -> Prop {
    text("nexthop", "Nexthop IP address.").required()
}
const ROUTE: &[Prop] = &[
    text("router_id", "The router id.").required(),
    destination(),
    nexthop(),
];
const ROUTES: &[Prop] = &[
    text("router", "The router id.").required(),
    list("routes", "A set of route dictionaries for the router.")
        .in_place()
        .default("[]")
        .of(&[destination(), nexthop()]),
];

const POLICY: &[Prop] = &[
    NAME,
    DESCRIPTION,
    PROJECT,
    boolean(
        "shared",
        "Whether this QoS policy should be shared to other tenants.",
    )
    .in_place()
    .default("false"),
];
const fn kbits(name: &'static str, doc: &'static str) -> Prop {
    integer(name, doc)
        .in_place()
        .rule(Rule::Range(0, i32::MAX as i64))
}
const BANDWIDTH: &[Prop] = &[
    text("policy", "ID or name of the QoS policy.").required(),
    text(
        "tenant_id",
        "A rule is its policy's project's, whatever is said here.",
    ),
    kbits("max_kbps", "Max bandwidth in kbps.").required(),
    kbits("max_burst_kbps", "Max burst bandwidth in kbps.").default("0"),
    text(
        "direction",
        "Traffic direction from the point of view of the port.",
    )
    .in_place()
    .default("\"egress\"")
    .rule(Rule::Allowed(&["egress", "ingress"])),
];

pub(in crate::model) const KINDS: &[Kind] = &[
    Kind {
        name: "OS::Neutron::QoSPolicy",
        doc: "A resource for a QoS policy: how fast the packets of those ports and networks may pass that have it. Who may make one is a manager of the project.",
        props: POLICY,
        attrs: &[("rules", "A list of all rules for the QoS policy.")],
        how: rest!("/v2.0/qos/policies", "policy", "policies", &[]),
    },
    Kind {
        name: "OS::Neutron::QoSBandwidthLimitRule",
        doc: "A resource for a rule of a QoS policy. There is one for each direction at most.",
        props: BANDWIDTH,
        attrs: &[],
        how: How::BandwidthRule,
    },
    Kind {
        name: "OS::Neutron::ExtraRoute",
        doc: "A resource for a route that a router has beside those of its interfaces.",
        props: ROUTE,
        attrs: &[],
        how: How::ExtraRoutes,
    },
    Kind {
        name: "OS::Neutron::ExtraRouteSet",
        doc: "A resource for routes that a router has beside those of its interfaces. Others may give it other ones.",
        props: ROUTES,
        attrs: &[],
        how: How::ExtraRoutes,
    },
    Kind {
        name: "OS::Neutron::ProviderNet",
        doc: "A resource for managing a network of a physical one, for administrators.",
        props: PROVIDER,
        attrs: &[
            ("status", "The status of the network."),
            ("subnets", "Subnets of this network."),
        ],
        how: rest!(
            "/v2.0/networks",
            "network",
            "networks",
            &[
                ("network_type", "provider:network_type", ""),
                ("physical_network", "provider:physical_network", ""),
                ("segmentation_id", "provider:segmentation_id", ""),
                ("router_external", "router:external", "")
            ]
        ),
    },
    Kind {
        name: "OS::Neutron::Quota",
        doc: "A resource for managing quotas of networks, for administrators. When it goes, the project has the default quotas.",
        props: QUOTA,
        attrs: &[],
        how: How::Quota(&Limits {
            service: "network",
            path: "/v2.0/quotas",
            one: "quota",
            defaults: Some("default"),
        }),
    },
    Kind {
        name: "OS::Neutron::RBACPolicy",
        doc: "A resource for letting other projects use a thing of the network service.",
        props: RBAC,
        attrs: &[],
        how: How::RbacPolicy,
    },
    Kind {
        name: "OS::Neutron::SubnetPool",
        doc: "A resource that implements a pool of prefixes from which subnets are made.",
        props: SUBNET_POOL,
        attrs: &[],
        how: rest!(
            "/v2.0/subnetpools",
            "subnetpool",
            "subnetpools",
            &[("address_scope", "address_scope_id", "address-scopes")]
        ),
    },
    Kind {
        name: "OS::Neutron::AddressScope",
        doc: "A resource for managing an address scope: subnet pools whose addresses do not overlap.",
        props: ADDRESS_SCOPE,
        attrs: &[],
        how: rest!(
            "/v2.0/address-scopes",
            "address_scope",
            "address_scopes",
            &[],
            true,
            true
        ),
    },
];
