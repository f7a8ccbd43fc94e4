//! A trunk: several networks for one guest by one card. Frames of its own port's network have no tag there, those of every
//! subport's network have the subport's.

use nephos_types::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::port::Port;
use crate::model::refusal::Refusal;

/// What a port is called that is a subport.
pub const SUBPORT: &str = "trunk:subport";
/// The one way in which networks are told apart.
pub const VLAN: &str = "vlan";
/// As the subport's network is told apart elsewhere.
pub const INHERIT: &str = "inherit";
/// The status of a trunk that its host could not make; the others are said by the database alone.
pub const ERROR: &str = "ERROR";

/// A trunk.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The port that the guest has.
    pub port_id: String,
    /// Whether subports may come and go, and it itself may go; packets pass all the same.
    pub admin_state_up: bool,
    /// `DOWN`: no host has its port; `BUILD`: the host has not all of it yet; `ACTIVE`: it has; `DEGRADED`: it could not make
    /// all subports; `ERROR`: it could not make the port.
    pub status: String,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The other networks, by tag.
    pub sub_ports: Vec<SubPort>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A subport, as the API writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SubPort {
    /// The port.
    pub port_id: String,
    /// `vlan`.
    pub segmentation_type: String,
    /// The tag, 1 to 4094.
    pub segmentation_id: u16,
}

/// What a port says of the trunk that is its.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TrunkDetails {
    /// The trunk.
    pub trunk_id: String,
    /// Its subports, by tag.
    pub sub_ports: Vec<SubPortDetails>,
}

/// A subport, with the address of its card.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SubPortDetails {
    /// The port.
    pub port_id: String,
    /// `vlan`.
    pub segmentation_type: &'static str,
    /// The tag.
    pub segmentation_id: u16,
    /// The address.
    pub mac_address: String,
}

/// What somebody uses a port for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is the port of this trunk.
    Parent(String),
    /// It is a subport of this trunk.
    Subport(String),
}

impl Use {
    /// Why a port that is used so cannot go.
    #[must_use]
    pub fn keeps(&self, port: &str) -> Refusal {
        match self {
            Self::Parent(trunk) => Refusal::conflict(
                "PortInUseAsTrunkParent",
                format!("Port {port} is currently a parent port for trunk {trunk}."),
            ),
            Self::Subport(trunk) => Refusal::conflict(
                "PortInUseAsSubPort",
                format!("Port {port} is currently a subport for trunk {trunk}."),
            ),
        }
    }

    /// Why a port that is used so cannot be part of a trunk as well.
    #[must_use]
    pub fn forbids(&self, port: &str) -> Refusal {
        match self {
            Self::Parent(_) => parent_in_use(port),
            Self::Subport(_) => Refusal::conflict(
                "TrunkPortInUse",
                format!("Port {port} is in use by another trunk."),
            ),
        }
    }
}

/// A port that cannot be a trunk's.
#[must_use]
pub fn parent_in_use(port: &str) -> Refusal {
    Refusal::conflict(
        "ParentPortInUse",
        format!("Port {port} is currently in use and is not eligible for use as a parent port."),
    )
}

/// Refuses a trunk's port that a guest does not have, nor will have. One that a guest has is none the worse.
///
/// # Errors
/// 409 in Neutron's words.
pub fn check_parent(port: &Port) -> Result<(), Refusal> {
    if port.is_network_owned() || port.has_space() {
        return Err(parent_in_use(&port.id));
    }
    Ok(())
}

/// Refuses a subport that something else has (neutron/services/trunk/rules.py).
///
/// # Errors
/// 409 in Neutron's words.
pub fn check_subport(port: &Port) -> Result<(), Refusal> {
    if port.device_id.is_empty() {
        return Ok(());
    }
    Err(Refusal::conflict(
        "PortInUse",
        format!(
            "Unable to complete operation on port {} for network {}. Port already has an attached device {}.",
            port.id, port.network_id, port.device_id
        ),
    ))
}

impl Trunk {
    /// Refuses to change a trunk that is switched off.
    ///
    /// # Errors
    /// 409 in Neutron's words.
    pub fn check_may_be_managed(&self) -> Result<(), Refusal> {
        if self.admin_state_up {
            return Ok(());
        }
        Err(Refusal::conflict(
            "TrunkDisabled",
            format!("Trunk {} is currently disabled.", self.id),
        ))
    }
}

/// Refuses a subport whose guests may send larger packets than those of the trunk's port.
///
/// # Errors
/// 409 in Neutron's words.
pub fn check_mtu(trunk_port: (&str, u32), subport: (&str, u32)) -> Result<(), Refusal> {
    let ((trunk_port, most), (subport, mtu)) = (trunk_port, subport);
    if mtu <= most {
        return Ok(());
    }
    Err(Refusal::conflict(
        "SubPortMtuGreaterThanTrunkPortMtu",
        format!(
            "MTU {mtu} of subport {subport} cannot be greater than MTU {most} of trunk {trunk_port}."
        ),
    ))
}
