//! Trunks: several networks for a server by one port.

use super::neutron::DESCRIPTION;
use crate::model::kind::{How, Kind};
use crate::model::property::{Prop, Rule, boolean, integer, list, text};

const SUB_PORT: &[Prop] = &[
    text("port", "ID or name of a port to be used as a subport.").required(),
    text(
        "segmentation_type",
        "Segmentation type to be used on the subport.",
    )
    .required()
    .rule(Rule::Allowed(&["vlan"])),
    integer(
        "segmentation_id",
        "The segmentation ID on which the subport network is presented to the instance.",
    )
    .required()
    .rule(Rule::Range(1, 4094)),
];
const TRUNK: &[Prop] = &[
    text(
        "name",
        "A symbolic name for the trunk, which is not required to be unique.",
    )
    .in_place(),
    text("port", "ID or name of a port to be used as a parent port.").required(),
    list(
        "sub_ports",
        "List with 0 or more map elements containing subport details.",
    )
    .in_place()
    .of(SUB_PORT),
    DESCRIPTION,
    boolean(
        "admin_state_up",
        "Enable/disable subport addition, removal and trunk delete.",
    )
    .in_place(),
];

pub(in crate::model) const KINDS: &[Kind] = &[Kind {
    name: "OS::Neutron::Trunk",
    doc: "A resource for managing a trunk: a server has several networks by one port, told apart by VLAN tags. Let the server name the port by the trunk's attribute port_id, so that the trunk is made first.",
    props: TRUNK,
    attrs: &[("port_id", "ID or name of a port used as a parent port.")],
    how: How::Trunk,
}];
