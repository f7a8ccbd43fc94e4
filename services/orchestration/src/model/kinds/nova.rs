//! Types of the compute service.

use super::limit;
use super::neutron_port::EXTRA;
use super::software::TRANSPORT;
use crate::model::kind::{How, Kind, Limits};
use crate::model::property::{Prop, Rule, boolean, float, integer, list, map, text};

const NETWORK: &[Prop] = &[
    text("network", "Name or ID of network to create a port on."),
    text("uuid", "ID of network to create a port on."),
    text(
        "port",
        "ID of an existing port to associate with this server.",
    ),
    text(
        "allocate_network",
        "The special string values of network, auto: means either a network that is already available to the project will be used, or if one does not exist, will be automatically created for the project; none: means no networking will be allocated for the created server. It can't be mixed with other networks.",
    )
    .rule(Rule::Allowed(&["none", "auto"])),
    text("tag", "Port tag."),
    text(
        "subnet",
        "Name or ID of the subnet in which to allocate the IP address of a port that is made for the server and goes with it.",
    ),
    map(
        "port_extra_properties",
        "Dict that has expected port properties: a port that is made for the server has them, and goes with it.",
    )
    .in_place()
    .of(EXTRA),
    text(
        "floating_ip",
        "ID or address of the floating IP to associate; with a port, a subnet or port_extra_properties only.",
    ),
    text(
        "fixed_ip",
        "Fixed IP address to specify for the port created on the requested network.",
    ),
];
const fn device_size() -> Prop {
    integer(
        "volume_size",
        "The size of the volume, in GB. It is safe to leave this blank and have the Compute service infer the size.",
    )
}
const fn device_goes() -> Prop {
    boolean(
        "delete_on_termination",
        "Indicate whether the volume should be deleted when the server is terminated.",
    )
}
const OLDER_DEVICE: &[Prop] = &[
    text("device_name", "A device name where the volume will be attached in the system at /dev/device_name. This value is typically vda.").required(),
    text("volume_id", "The ID of the volume to boot from. Only one of volume_id or snapshot_id should be provided."),
    text("snapshot_id", "The ID of the snapshot to create a volume from."),
    device_size(),
    device_goes(),
];
const DEVICE: &[Prop] = &[
    text(
        "device_name",
        "A device name where the volume will be attached in the system at /dev/device_name.",
    ),
    text(
        "volume_id",
        "The volume_id can be boot or non-boot device to the server.",
    ),
    text(
        "snapshot_id",
        "The ID of the snapshot to create a volume from.",
    ),
    text(
        "image",
        "The ID or name of the image to create a volume from.",
    ),
    text(
        "image_id",
        "The ID of the image to create a volume from; image is the newer property.",
    ),
    text(
        "volume_type",
        "The type of volume to use when creating a volume from an image or a snapshot.",
    ),
    text(
        "device_type",
        "Device type: at the moment we can make distinction only between disk and cdrom.",
    )
    .rule(Rule::Allowed(&["cdrom", "disk"])),
    text(
        "disk_bus",
        "Bus of the device: hypervisor driver chooses a suitable default if omitted.",
    )
    .rule(Rule::Allowed(&[
        "ide", "lame_bus", "sata", "scsi", "usb", "virtio",
    ])),
    integer(
        "boot_index",
        "Integer used for ordering the boot disks. If it is not specified, value \"0\" will be set for bootable sources.",
    ),
    device_size(),
    device_goes(),
];
const SERVER: &[Prop] = &[
    text("name", "Server name.").in_place(),
    text("image", "The ID or name of the image to boot with.").in_place(),
    text("image_update_policy", "Policy on how to apply an image-id update; either by requesting a server rebuild or by replacing the entire server. There are no ephemeral disks here, so REBUILD_PRESERVE_EPHEMERAL means REBUILD.")
        .in_place()
        .default("\"REBUILD\"")
        .rule(Rule::Allowed(&["REBUILD", "REPLACE", "REBUILD_PRESERVE_EPHEMERAL"])),
    list("block_device_mapping", "Block device mappings for this server.").of(OLDER_DEVICE),
    list("block_device_mapping_v2", "Block device mappings v2 for this server.").of(DEVICE),
    text("flavor", "The ID or name of the flavor to boot onto.").required().in_place(),
    text("flavor_update_policy", "Policy on how to apply a flavor update; either by requesting a server resize or by replacing the entire server.")
        .in_place()
        .default("\"RESIZE\"")
        .rule(Rule::Allowed(&["RESIZE", "REPLACE"])),
    text("key_name", "Name of keypair to inject into the server."),
    list("networks", "An ordered list of nics to be added to this server, with information about connected networks, fixed ips, port etc.").in_place().of(NETWORK),
    list("security_groups", "List of security group names or IDs. Cannot be used if neutron ports are associated with this server; assign security groups to the ports instead."),
    text("availability_zone", "Name of the availability zone for server placement."),
    map("scheduler_hints", "Arbitrary key-value pairs specified by the client to help boot a server."),
    map("metadata", "Arbitrary key/value metadata to store for this server. Values are stored as text.").in_place(),
    list("tags", "Server tags.").in_place(),
    text("user_data", "User data script to be executed by cloud-init: text, or the ID of a software config resource.").in_place().default("\"\""),
    text("user_data_update_policy", "Policy on how to apply a user_data update; by ignoring it, by replacing the entire server, or by rebuilding it.")
        .in_place()
        .default("\"REPLACE\"")
        .rule(Rule::Allowed(&["REPLACE", "IGNORE", "REBUILD"])),
    text("user_data_format", "How the user_data should be formatted for the server. RAW and HEAT_CFNTOOLS pass it on unchanged; with SOFTWARE_CONFIG the server's metadata lists what is to be deployed.").default("\"HEAT_CFNTOOLS\"").rule(Rule::Allowed(&["HEAT_CFNTOOLS", "RAW", "SOFTWARE_CONFIG"])),
    TRANSPORT,
    boolean("config_drive", "If True, enable config drive on the server."),
    text("admin_pass", "The administrator password for the server. A change reaches the guest by the QEMU guest agent.").in_place(),
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
    text(
        "user",
        "ID or name of the user to create or add a key pair for, if not whoever made the stack; for administrators.",
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
    )
    .in_place(),
    list(
        "tenants",
        "List of tenants, by ID, that may use the flavor when it is not public.",
    )
    .in_place(),
    boolean(
        "is_public",
        "Scope of flavor accessibility. Public or private.",
    )
    .default("true"),
];

const GROUP: &[Prop] = &[
    text("name", "Server Group name."),
    list(
        "policies",
        "A list of exactly one policy to apply: anti-affinity, affinity, soft-anti-affinity or soft-affinity.",
    )
    .default("[\"anti-affinity\"]"),
    map("rules", "Rules for a policy.").of(&[integer(
        "max_server_per_host",
        "Maximum servers in a group on a given host. Rule for anti-affinity policy.",
    )
    .rule(Rule::Range(1, i32::MAX as i64))]),
];

const AGGREGATE: &[Prop] = &[
    text("name", "Name for the aggregate.")
        .required()
        .in_place(),
    text("availability_zone", "Name for the availability zone.").in_place(),
    list("hosts", "List of hosts to join aggregate.").in_place(),
    map(
        "metadata",
        "Arbitrary key/value metadata to store information for aggregate.",
    )
    .in_place()
    .default("{}"),
];

const QUOTA: &[Prop] = &[
    text("project", "Name or id of the project to set the quota for.").required(),
    limit(
        "cores",
        "Quota for the number of cores. Setting the value to -1 removes the limit.",
    ),
    limit(
        "instances",
        "Quota for the number of instances. Setting the value to -1 removes the limit.",
    ),
    limit(
        "key_pairs",
        "Quota for the number of key pairs. Setting the value to -1 removes the limit.",
    ),
    limit(
        "metadata_items",
        "Quota for the number of metadata items. Setting the value to -1 removes the limit.",
    ),
    limit(
        "ram",
        "Quota for the amount of ram (in megabytes). Setting the value to -1 removes the limit.",
    ),
    limit(
        "server_groups",
        "Quota for the number of server groups. Setting the value to -1 removes the limit.",
    ),
    limit(
        "server_group_members",
        "Quota for the number of server group members. Setting the value to -1 removes the limit.",
    ),
];

pub(in crate::model) const KINDS: &[Kind] = &[
    Kind {
        name: "OS::Nova::Server",
        doc: "A resource for managing servers. Its name, metadata, tags, networks, flavor (by a resize) and image (by a rebuild) are changed in place, the last two unless their policies say REPLACE; any other change replaces it.",
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
    Kind {
        name: "OS::Nova::Quota",
        doc: "A resource for managing quotas of servers, for administrators. When it goes, the project has the default quotas.",
        props: QUOTA,
        attrs: &[],
        how: How::Quota(&Limits {
            service: "compute",
            path: "/v2.1/os-quota-sets",
            one: "quota_set",
            defaults: Some("defaults"),
        }),
    },
    Kind {
        name: "OS::Nova::HostAggregate",
        doc: "A resource for further partitioning an availability zone with hosts, for administrators.",
        props: AGGREGATE,
        attrs: &[],
        how: How::HostAggregate,
    },
    Kind {
        name: "OS::Nova::ServerGroup",
        doc: "A resource for managing a Nova server group: its servers name it in their scheduler_hints.",
        props: GROUP,
        attrs: &[],
        how: How::ServerGroup,
    },
];
