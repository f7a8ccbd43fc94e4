//! Types of the compute service.

use crate::model::kind::{How, Kind};
use crate::model::property::{Prop, Rule, boolean, float, integer, list, map, text};

const NETWORK: &[Prop] = &[
    text("network", "Name or ID of network to create a port on."),
    text("uuid", "ID of network to create a port on."),
    text(
        "port",
        "ID of an existing port to associate with this server.",
    ),
    text(
        "fixed_ip",
        "Fixed IP address to specify for the port created on the requested network.",
    ),
];
const SERVER: &[Prop] = &[
    text("name", "Server name.").in_place(),
    text("image", "The ID or name of the image to boot with.").required(),
    text("flavor", "The ID or name of the flavor to boot onto.").required(),
    text("key_name", "Name of keypair to inject into the server."),
    list("networks", "An ordered list of nics to be added to this server, with information about connected networks, fixed ips, port etc.").of(NETWORK),
    list("security_groups", "List of security group names or IDs. Cannot be used if neutron ports are associated with this server; assign security groups to the ports instead."),
    text("availability_zone", "Name of the availability zone for server placement."),
    map("scheduler_hints", "Arbitrary key-value pairs specified by the client to help boot a server."),
    map("metadata", "Arbitrary key/value metadata to store for this server. Values are stored as text.").in_place(),
    list("tags", "Server tags."),
    text("user_data", "User data script to be executed by cloud-init: text, or the ID of a software config resource.").default("\"\""),
    text("user_data_format", "How the user_data should be formatted for the server. RAW and HEAT_CFNTOOLS pass it on unchanged; with SOFTWARE_CONFIG the server's metadata lists what is to be deployed.").default("\"HEAT_CFNTOOLS\"").rule(Rule::Allowed(&["HEAT_CFNTOOLS", "RAW", "SOFTWARE_CONFIG"])),
    boolean("config_drive", "If True, enable config drive on the server."),
    text("admin_pass", "The administrator password for the server."),
    text("diskConfig", "Control how the disk is partitioned when the server is created.").rule(Rule::Allowed(&["AUTO", "MANUAL"])),
];
const KEY: &[Prop] = &[
    text("name", "The name of the key pair.")
        .required()
        .rule(Rule::Length(1, 255)),
    boolean(
        "save_private_key",
        "True if the system should remember a generated private key; False otherwise.",
    )
    .default("false"),
    text(
        "public_key",
        "The public key. This allows users to supply the public key from a pre-existing key pair. In Nova this is required; a key pair is generated when it is not given.",
    ),
    text("type", "Keypair type.").rule(Rule::Allowed(&["ssh", "x509"])),
];
const FLAVOR: &[Prop] = &[
    integer("ram", "Memory in MB for the flavor.").required(),
    integer("vcpus", "Number of VCPUs for the flavor.").required(),
    integer("disk", "Size of local disk in GB.").default("0"),
    text("name", "Name of the flavor."),
    text(
        "flavorid",
        "Unique ID of the flavor. If not specified, an UUID will be generated.",
    ),
    integer("swap", "Swap space in MB.").default("0"),
    integer(
        "ephemeral",
        "Size of a secondary ephemeral data disk in GB.",
    )
    .default("0"),
    float("rxtx_factor", "RX/TX factor.").default("1.0"),
    map(
        "extra_specs",
        "Key/Value pairs to extend the capabilities of the flavor.",
    ),
    boolean(
        "is_public",
        "Scope of flavor accessibility. Public or private.",
    )
    .default("true"),
];

pub(in crate::model) const KINDS: &[Kind] = &[
    Kind {
        name: "OS::Nova::Server",
        doc: "A resource for managing servers. A change of its name or metadata is made in place; any other replaces it.",
        props: SERVER,
        attrs: &[
            ("name", "Name of the server."),
            (
                "addresses",
                "A dict of all network addresses with corresponding port_id and subnets. Each network will have two keys in dict, they are network name and network id.",
            ),
            (
                "networks",
                "A dict of assigned network addresses of the form: {\"public\": [ip1, ip2...], \"private\": [ip3, ip4]}. Each network will have two keys in dict, they are network name and network id.",
            ),
            (
                "first_address",
                "Convenience attribute to fetch the first assigned network address, or an empty string if nothing has been assigned at this time.",
            ),
            ("instance_name", "AWS compatible instance name."),
            (
                "accessIPv4",
                "The manually assigned alternative public IPv4 address of the server.",
            ),
            (
                "accessIPv6",
                "The manually assigned alternative public IPv6 address of the server.",
            ),
            ("tags", "Tags from the server."),
            (
                "host",
                "The hypervisor's host of the server, for administrators.",
            ),
        ],
        how: How::Server,
    },
    Kind {
        name: "OS::Nova::KeyPair",
        doc: "A resource for creating Nova key pairs.",
        props: KEY,
        attrs: &[
            ("public_key", "The public key."),
            ("private_key", "The private key if it has been saved."),
        ],
        how: How::KeyPair,
    },
    Kind {
        name: "OS::Nova::Flavor",
        doc: "A resource for creating flavors, for administrators.",
        props: FLAVOR,
        attrs: &[
            (
                "is_public",
                "Whether the flavor is shared across all projects.",
            ),
            (
                "extra_specs",
                "Extra specs of the flavor in key-value pairs.",
            ),
        ],
        how: How::Flavor,
    },
];
