//! The properties of ports, also of those that are made for a server.

use super::neutron::{DESCRIPTION, NAME, QOS, SPECS, TAGS, UP};
use crate::model::property::{Prop, Rule, boolean, list, text};

const FIXED_IP: &[Prop] = &[
    text(
        "subnet",
        "Subnet in which to allocate the IP address for this port.",
    ),
    text(
        "subnet_id",
        "Subnet in which to allocate the IP address for this port.",
    ),
    text(
        "ip_address",
        "IP address desired in the subnet for this port.",
    ),
];

const NO_IPS: Prop = boolean("no_fixed_ips", "Flag to disable all fixed ips on the port.")
    .in_place()
    .default("false");

const MAC: Prop = text("mac_address", "MAC address to give to this port.")
    .rule(Rule::Pattern("[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}"));

const PAIRS: Prop = list(
    "allowed_address_pairs",
    "Additional MAC/IP address pairs allowed to pass through the port.",
)
.in_place()
.of(&[
    text("mac_address", "MAC address to allow through this port."),
    text("ip_address", "IP address to allow through this port.").required(),
]);

const SECURED: Prop = boolean(
    "port_security_enabled",
    "Flag to enable/disable port security on the port.",
)
.in_place();

const VNIC: Prop = text(
    "binding:vnic_type",
    "The vnic type to be bound on the neutron port.",
)
.in_place();

pub(super) const PORT: &[Prop] = &[
    NAME,
    UP,
    SPECS,
    TAGS,
    DESCRIPTION,
    text("network", "Network this port belongs to."),
    text("network_id", "Network this port belongs to."),
    list("fixed_ips", "Desired IPs for this port.")
        .in_place()
        .of(FIXED_IP),
    NO_IPS,
    text("replacement_policy", "Policy on how to respond to an update. REPLACE_ALWAYS will replace the port regardless of any property changes. AUTO will update the existing port for any changed update-allowed property.")
        .in_place()
        .default("\"AUTO\"")
        .rule(Rule::Allowed(&["REPLACE_ALWAYS", "AUTO"])),
    MAC,
    text("device_id", "Device ID of this port.").in_place(),
    text("device_owner", "Name of the network owning the port.").in_place(),
    list(
        "security_groups",
        "Security group IDs or names to associate with this port.",
    )
    .in_place(),
    PAIRS,
    SECURED,
    VNIC,
    QOS,
];

/// What may be said of a port besides where it is.
pub(super) const EXTRA: &[Prop] = &[SPECS, UP, MAC, PAIRS, VNIC, QOS, SECURED, NO_IPS];
