//! Types of the network service.

use super::neutron_port::PORT;
use crate::model::kind::{How, Kind, Rest};
use crate::model::property::{Prop, Rule, any, boolean, integer, list, map, text};

pub(super) const NAME: Prop = text(
    "name",
    "A symbolic name, which is not required to be unique.",
)
.in_place();
pub(super) const UP: Prop = boolean("admin_state_up", "The administrative status.")
    .in_place()
    .default("true");
pub(super) const SPECS: Prop =
    map("value_specs", "Extra parameters to include in the request.").in_place();
pub(super) const TAGS: Prop = list("tags", "The tags to be added to the thing.").in_place();
pub(super) const DESCRIPTION: Prop = text("description", "A description for people.").in_place();

/// By name or id.
pub(super) const QOS: Prop = text(
    "qos_policy",
    "The name or ID of the QoS policy that says how fast packets pass.",
)
.in_place();
/// What it is in bodies.
const QOS_FIELD: (&str, &str, &str) = ("qos_policy", "qos_policy_id", "qos/policies");
const QOS_SHOWN: (&str, &str) = ("qos_policy_id", "The QoS policy ID.");

pub(super) const PROJECT: Prop = text(
    "tenant_id",
    "The ID of the project that is to own it, if not the stack's; for administrators.",
);

const NET: &[Prop] = &[
    NAME,
    PROJECT,
    UP,
    SPECS,
    TAGS,
    DESCRIPTION,
    boolean(
        "shared",
        "Whether this network should be shared across all tenants.",
    )
    .in_place(),
    boolean(
        "port_security_enabled",
        "Flag to enable/disable port security on the network.",
    )
    .in_place(),
    text("dns_domain", "DNS domain associated with this network.").in_place(),
    list(
        "availability_zone_hints",
        "Availability zone candidates for the network.",
    ),
    QOS,
];
const POOL: &[Prop] = &[
    text("start", "Start address for the allocation pool.").required(),
    text("end", "End address for the allocation pool.").required(),
];
const SUBNET: &[Prop] = &[
    NAME,
    PROJECT,
    SPECS,
    TAGS,
    DESCRIPTION,
    text("network", "The ID or name of the attached network."),
    text("network_id", "The ID or name of the attached network."),
    text("subnetpool", "The name or ID of the subnet pool."),
    integer(
        "prefixlen",
        "Prefix length for subnet allocation from subnet pool.",
    )
    .rule(Rule::Range(0, 128)),
    text("cidr", "The CIDR."),
    text(
        "gateway_ip",
        "The gateway IP address. Set to the empty text to create the subnet without a gateway.",
    )
    .in_place(),
    list(
        "dns_nameservers",
        "A specified set of DNS name servers to be used.",
    )
    .in_place()
    .default("[]"),
    integer("ip_version", "The IP version, which is 4 or 6.")
        .default("4")
        .rule(Rule::Range(4, 6)),
    boolean(
        "enable_dhcp",
        "Set to true if DHCP is enabled and false if DHCP is disabled.",
    )
    .in_place()
    .default("true"),
    list(
        "allocation_pools",
        "The start and end addresses for the allocation pools.",
    )
    .in_place()
    .of(POOL),
    list(
        "host_routes",
        "A list of host route dictionaries for the subnet.",
    )
    .in_place()
    .of(&[
        text("destination", "The destination for static route.").required(),
        text("nexthop", "The next hop for the destination.").required(),
    ]),
    text("ipv6_ra_mode", "IPv6 RA (Router Advertisement) mode.").rule(Rule::Allowed(&[
        "dhcpv6-stateful",
        "dhcpv6-stateless",
        "slaac",
    ])),
    text("ipv6_address_mode", "IPv6 address mode.").rule(Rule::Allowed(&[
        "dhcpv6-stateful",
        "dhcpv6-stateless",
        "slaac",
    ])),
];
const ROUTER: &[Prop] = &[
    NAME,
    PROJECT,
    list(
        "availability_zone_hints",
        "Availability zone candidates for the router.",
    ),
    UP,
    SPECS,
    TAGS,
    DESCRIPTION,
    map(
        "external_gateway_info",
        "External network gateway configuration for a router.",
    )
    .in_place()
    .of(&[
        text(
            "network",
            "ID or name of the external network for the gateway.",
        )
        .required(),
        boolean("enable_snat", "Enables Source NAT on the router gateway."),
        list(
            "external_fixed_ips",
            "External fixed IP addresses for the gateway.",
        )
        .of(&[
            text("ip_address", "External fixed IP address."),
            text("subnet", "Subnet of external fixed IP address."),
        ]),
    ]),
    boolean(
        "distributed",
        "Indicates whether or not to create a distributed router.",
    ),
    boolean(
        "ha",
        "Indicates whether or not to create a highly available router.",
    ),
];
const INTERFACE: &[Prop] = &[
    text("router", "The router."),
    text("router_id", "ID of the router."),
    text(
        "subnet",
        "The subnet, either subnet or port should be specified.",
    ),
    text(
        "subnet_id",
        "The subnet, either subnet or port should be specified.",
    ),
    text(
        "port",
        "The port, either subnet or port should be specified.",
    ),
    text(
        "port_id",
        "The port, either subnet or port should be specified.",
    ),
];
const GATEWAY: &[Prop] = &[
    text("router_id", "ID of the router.").required(),
    text("network", "External network for the gateway."),
    text("network_id", "External network for the gateway."),
];
const FLOATING: &[Prop] = &[
    SPECS,
    TAGS,
    DESCRIPTION,
    text("floating_network", "Network to allocate floating IP from."),
    text(
        "floating_network_id",
        "Network to allocate floating IP from.",
    ),
    text("floating_subnet", "Subnet to allocate floating IP from."),
    text("floating_ip_address", "IP address of the floating IP."),
    text(
        "port_id",
        "ID of an existing port with at least one IP address to associate with this floating IP.",
    )
    .in_place(),
    text(
        "fixed_ip_address",
        "IP address to use if the port has multiple addresses.",
    )
    .in_place(),
];
const ASSOCIATION: &[Prop] = &[
    text("floatingip_id", "ID of the floating IP to associate.")
        .required()
        .in_place(),
    text(
        "port_id",
        "ID of an existing port with at least one IP address to associate with this floating IP.",
    )
    .required()
    .in_place(),
    text(
        "fixed_ip_address",
        "IP address to use if the port has multiple addresses.",
    )
    .in_place(),
];
const DIRECTION: Prop = text(
    "direction",
    "The direction in which the security group rule is applied.",
)
.default("\"ingress\"")
.rule(Rule::Allowed(&["ingress", "egress"]));
const ETHERTYPE: Prop = text("ethertype", "Ethertype of the traffic.")
    .default("\"IPv4\"")
    .rule(Rule::Allowed(&["IPv4", "IPv6"]));
const RULE: &[Prop] = &[
    DIRECTION,
    ETHERTYPE,
    integer(
        "port_range_min",
        "The minimum port number in the range that is matched by the security group rule.",
    )
    .rule(Rule::Range(0, 65_535)),
    integer(
        "port_range_max",
        "The maximum port number in the range that is matched by the security group rule.",
    )
    .rule(Rule::Range(0, 65_535)),
    text(
        "protocol",
        "The protocol that is matched by the security group rule.",
    ),
    text("description", "Description of the security group rule."),
    text(
        "remote_mode",
        "Whether to specify a remote group or a remote IP prefix.",
    )
    .default("\"remote_ip_prefix\"")
    .rule(Rule::Allowed(&["remote_ip_prefix", "remote_group_id"])),
    text(
        "remote_group_id",
        "The remote group ID to be associated with this security group rule; nothing means this group itself.",
    ),
    text(
        "remote_ip_prefix",
        "The remote IP prefix (CIDR) to be associated with this security group rule.",
    ),
];
const GROUP: &[Prop] = &[
    text("name", "A string specifying a symbolic name for the security group, which is not required to be unique.").in_place(),
    text("description", "Description of the security group.").in_place(),
    list("rules", "List of security group rules.").in_place().default("[]").of(RULE),
    boolean("stateful", "Stateful or stateless security group.").in_place(),
];
const ONE_RULE: &[Prop] = &[
    text("security_group", "Security group name or ID to add rule.").required(),
    text("description", "Description of the security group rule."),
    DIRECTION,
    ETHERTYPE,
    text(
        "protocol",
        "The protocol that is matched by the security group rule; any, or an empty text, means all.",
    )
    .default("\"tcp\""),
    any(
        "port_range_min",
        "The minimum port number in the range that is matched by the security group rule.",
    ),
    any(
        "port_range_max",
        "The maximum port number in the range that is matched by the security group rule.",
    ),
    text(
        "remote_group",
        "The remote group name or ID to be associated with this security group rule.",
    ),
    text(
        "remote_ip_prefix",
        "The remote IP prefix (CIDR) to be associated with this security group rule.",
    ),
];

macro_rules! rest {
    ($path:literal, $one:literal, $many:literal, $names:expr) => {
        rest!($path, $one, $many, $names, true)
    };
    ($path:literal, $one:literal, $many:literal, $names:expr, $updates:literal) => {
        rest!($path, $one, $many, $names, $updates, false)
    };
    ($path:literal, $one:literal, $many:literal, $names:expr, $updates:literal, $by_name:literal) => {
        How::Rest(&Rest {
            service: "network",
            path: $path,
            one: $one,
            many: $many,
            names: $names,
            updates: $updates,
            by_name: $by_name,
        })
    };
}
pub(super) use rest;

pub(in crate::model) const KINDS: &[Kind] = &[
    Kind {
        name: "OS::Neutron::Net",
        doc: "A resource for managing a network: an isolated layer 2 segment.",
        props: NET,
        attrs: &[
            ("status", "The status of the network."),
            ("name", "The name of the network."),
            ("subnets", "Subnets of this network."),
            (
                "admin_state_up",
                "The administrative status of the network.",
            ),
            ("tenant_id", "The tenant owning this network."),
            (
                "port_security_enabled",
                "Port security enabled of the network.",
            ),
            (
                "mtu",
                "The maximum transmission unit size (in bytes) for the network.",
            ),
            QOS_SHOWN,
        ],
        how: rest!("/v2.0/networks", "network", "networks", &[QOS_FIELD]),
    },
    Kind {
        name: "OS::Neutron::Subnet",
        doc: "A resource for managing a subnet: a block of addresses of a network.",
        props: SUBNET,
        attrs: &[
            ("name", "Friendly name of the subnet."),
            ("network_id", "Parent network of the subnet."),
            ("tenant_id", "Tenant owning the subnet."),
            ("allocation_pools", "Ip allocation pools and their ranges."),
            ("gateway_ip", "Ip of the subnet's gateway."),
            ("host_routes", "Additional routes for this subnet."),
            ("ip_version", "Ip version for the subnet."),
            ("cidr", "CIDR block notation for this subnet."),
            ("dns_nameservers", "List of dns nameservers."),
            (
                "enable_dhcp",
                "'true' if DHCP is enabled for this subnet; 'false' otherwise.",
            ),
        ],
        how: rest!(
            "/v2.0/subnets",
            "subnet",
            "subnets",
            &[
                ("network", "network_id", "networks"),
                ("network_id", "network_id", "networks"),
                ("subnetpool", "subnetpool_id", "subnetpools")
            ]
        ),
    },
    Kind {
        name: "OS::Neutron::Port",
        doc: "A resource for managing a port: an attachment point of a network.",
        props: PORT,
        attrs: &[
            ("status", "The status of the port."),
            ("name", "Friendly name of the port."),
            (
                "network_id",
                "Unique identifier for the network owning the port.",
            ),
            ("network", "The attributes of the network owning the port."),
            ("subnets", "Subnets of this port."),
            ("tenant_id", "Tenant owning the port."),
            ("fixed_ips", "Fixed IP addresses."),
            ("mac_address", "MAC address of the port."),
            ("device_id", "Unique identifier for the device."),
            ("device_owner", "Name of the network owning the port."),
            ("security_groups", "A list of security groups for the port."),
            ("admin_state_up", "The administrative state of this port."),
            (
                "allowed_address_pairs",
                "Additional MAC/IP address pairs allowed to pass through a port.",
            ),
            (
                "port_security_enabled",
                "Port security enabled of the port.",
            ),
            QOS_SHOWN,
        ],
        how: rest!(
            "/v2.0/ports",
            "port",
            "ports",
            &[
                ("network", "network_id", "networks"),
                ("network_id", "network_id", "networks"),
                ("security_groups", "security_groups", "security-groups"),
                QOS_FIELD
            ]
        ),
    },
    Kind {
        name: "OS::Neutron::Router",
        doc: "A resource that implements a router: it connects networks.",
        props: ROUTER,
        attrs: &[
            ("status", "The status of the router."),
            ("external_gateway_info", "Gateway network for the router."),
            ("name", "Friendly name of the router."),
            ("admin_state_up", "Administrative state of the router."),
            ("tenant_id", "Tenant owning the router."),
        ],
        how: rest!("/v2.0/routers", "router", "routers", &[]),
    },
    Kind {
        name: "OS::Neutron::RouterInterface",
        doc: "A resource for managing a leg of a router in a subnet.",
        props: INTERFACE,
        attrs: &[],
        how: How::RouterInterface,
    },
    Kind {
        name: "OS::Neutron::RouterGateway",
        doc: "A resource that gives a router its external network.",
        props: GATEWAY,
        attrs: &[],
        how: How::RouterGateway,
    },
    Kind {
        name: "OS::Neutron::FloatingIP",
        doc: "A resource for managing a floating IP: an external address for a port.",
        props: FLOATING,
        attrs: &[
            (
                "router_id",
                "ID of the router used as gateway, set when associated with a port.",
            ),
            ("tenant_id", "The tenant owning this floating IP."),
            (
                "floating_network_id",
                "ID of the network in which this IP is allocated.",
            ),
            (
                "fixed_ip_address",
                "IP address of the associated port, if specified.",
            ),
            ("floating_ip_address", "The allocated address of this IP."),
            ("port_id", "ID of the port associated with this IP."),
        ],
        how: rest!(
            "/v2.0/floatingips",
            "floatingip",
            "floatingips",
            &[
                ("floating_network", "floating_network_id", "networks"),
                ("floating_network_id", "floating_network_id", "networks"),
                ("floating_subnet", "subnet_id", "subnets")
            ]
        ),
    },
    Kind {
        name: "OS::Neutron::FloatingIPAssociation",
        doc: "A resource for associating floating ips and ports.",
        props: ASSOCIATION,
        attrs: &[],
        how: How::FloatingIpAssociation,
    },
    Kind {
        name: "OS::Neutron::SecurityGroup",
        doc: "A resource for managing a security group and its rules.",
        props: GROUP,
        attrs: &[
            ("name", "Name of the security group."),
            ("description", "Description of the security group."),
        ],
        how: How::SecurityGroup,
    },
    Kind {
        name: "OS::Neutron::SecurityGroupRule",
        doc: "A resource for managing one rule of a security group.",
        props: ONE_RULE,
        attrs: &[],
        how: rest!(
            "/v2.0/security-group-rules",
            "security_group_rule",
            "security_group_rules",
            &[
                ("security_group", "security_group_id", "security-groups"),
                ("remote_group", "remote_group_id", "security-groups")
            ],
            false
        ),
    },
];
