//! A port: where something is plugged into a network.

use std::net::IpAddr;

use ipnet::IpNet;
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::model::refusal::Refusal;

/// A router's port in a network of its project.
pub const ROUTER_INTERFACE: &str = "network:router_interface";
/// A router's port in an external network.
pub const ROUTER_GATEWAY: &str = "network:router_gateway";
/// The port that holds a floating IP's address.
pub const FLOATING_IP: &str = "network:floatingip";
/// The port of a load balancer.
pub const LOAD_BALANCER: &str = "Octavia";

/// Whether it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortStatus {
    /// Plugged in, and the host has it up.
    Active,
    /// Not plugged in, or not yet, or not any more.
    Down,
}

impl PortStatus {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Down => "DOWN",
        }
    }
}

/// An address of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FixedIp {
    /// Of this subnet.
    pub subnet_id: String,
    /// The address.
    #[schema(value_type = String)]
    pub ip_address: IpAddr,
}

/// One more address that a port may send from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddressPair {
    /// With this MAC.
    pub mac_address: String,
    /// An address or a range, as it was asked for.
    pub ip_address: String,
}

impl AddressPair {
    /// The addresses.
    #[must_use]
    pub fn range(&self) -> Option<IpNet> {
        parse_range(&self.ip_address)
    }
}

/// An address or a range.
#[must_use]
pub fn parse_range(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// One more DHCP option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DhcpOption {
    /// `mtu`, `bootfile-name`, …, or a number.
    pub opt_name: String,
    /// Its value.
    pub opt_value: String,
    /// 4 or 6.
    pub ip_version: u8,
}

/// A port.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// Its network.
    pub network_id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its MAC, lower case.
    pub mac: String,
    /// Whether packets pass.
    pub admin_state_up: bool,
    /// Whether it works.
    pub status: PortStatus,
    /// What is plugged in.
    pub device_id: String,
    /// Which kind of thing that is.
    pub device_owner: String,
    /// Where it is plugged in; empty: nowhere.
    pub host: String,
    /// Where it is made ready too, while what is plugged in moves there alive; empty: nowhere.
    pub next_host: String,
    /// How a guest sees it.
    pub vnic_type: String,
    /// What the compute service keeps with it.
    pub profile: Value,
    /// Whether anti-spoofing and security groups apply.
    pub port_security_enabled: bool,
    /// More addresses it may send from.
    pub address_pairs: Vec<AddressPair>,
    /// More DHCP options.
    pub dhcp_options: Vec<DhcpOption>,
    /// What it was given that says how fast its packets pass.
    pub qos_policy_id: Option<String>,
    /// The same of its network.
    pub qos_network_policy_id: Option<String>,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Whose the network is.
    pub network_project: String,
    /// Its addresses.
    pub fixed_ips: Vec<FixedIp>,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

impl Port {
    /// Whether the cloud itself owns it, not a project's server.
    #[must_use]
    pub fn is_network_owned(&self) -> bool {
        self.device_owner.starts_with("network:")
    }

    /// Whether it is a router's.
    #[must_use]
    pub fn is_router(&self) -> bool {
        matches!(
            self.device_owner.as_str(),
            ROUTER_INTERFACE | ROUTER_GATEWAY
        )
    }

    /// The policy that says how fast its packets pass: its own, or else that of its network. The latter is not for the
    /// cloud's own ports but those by which routers leave it (neutron/objects/qos/rule.py).
    #[must_use]
    pub fn qos(&self) -> Option<&str> {
        let inside = self.is_network_owned() && self.device_owner != ROUTER_GATEWAY;
        let of_network = self.qos_network_policy_id.as_deref();
        let of_network = of_network.filter(|_| !inside);
        self.qos_policy_id.as_deref().or(of_network)
    }

    /// Whether a namespace of the host has it, not a guest.
    #[must_use]
    pub fn has_space(&self) -> bool {
        self.device_owner == LOAD_BALANCER
    }

    /// The tap's name on the host.
    #[must_use]
    pub fn tap(&self) -> String {
        tap_of(&self.id)
    }

    /// How it is plugged in.
    #[must_use]
    pub fn vif_type(&self) -> &'static str {
        if self.host.is_empty() {
            "unbound"
        } else if self.is_network_owned() {
            "distributed"
        } else {
            "tap"
        }
    }

    /// Refuses to delete what belongs to a router or a floating IP.
    ///
    /// # Errors
    /// 409 naming the owner.
    pub fn check_may_delete(&self) -> Result<(), Refusal> {
        if self.is_router() || self.device_owner == FLOATING_IP {
            return Err(Refusal::conflict(
                "ServicePortInUse",
                format!(
                    "Port {} cannot be deleted directly via the port API: has device owner {} of {}. Remove it there.",
                    self.id, self.device_owner, self.device_id
                ),
            ));
        }
        Ok(())
    }

    /// Refuses security groups and address pairs without port security, and the like.
    ///
    /// # Errors
    /// 409 in Neutron's words.
    pub fn check_security(&self) -> Result<(), Refusal> {
        if self.port_security_enabled {
            return Ok(());
        }
        if !self.security_groups.is_empty() {
            return Err(Refusal::conflict(
                "PortSecurityPortHasSecurityGroup",
                "Port has security group associated. Cannot disable port security or IP address until security group is removed.",
            ));
        }
        if !self.address_pairs.is_empty() {
            return Err(Refusal::conflict(
                "AddressPairAndPortSecurityRequired",
                "Port Security must be enabled in order to have allowed address pairs on a port.",
            ));
        }
        Ok(())
    }
}

/// The name of a port's tap on the host.
#[must_use]
pub fn tap_of(id: &str) -> String {
    format!("tap{}", id.get(..11).unwrap_or(id))
}

/// A MAC in lower case with colons; none when it is none, or one of a group.
#[must_use]
pub fn parse_mac(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase().replace('-', ":");
    let parts: Vec<&str> = lower.split(':').collect();
    let fine = parts.len() == 6
        && parts
            .iter()
            .all(|part| part.len() == 2 && u8::from_str_radix(part, 16).is_ok());
    (fine && lower != "00:00:00:00:00:00").then_some(lower)
}

/// A MAC of OpenStack's own range, from random bytes.
#[must_use]
pub fn make_mac(random: [u8; 3]) -> String {
    let [a, b, c] = random;
    format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_are_read_in_both_spellings_and_nonsense_is_not() {
        assert_eq!(
            parse_mac("FA-16-3E-00-00-01").as_deref(),
            Some("fa:16:3e:00:00:01")
        );
        assert_eq!(parse_mac("fa:16:3e:00:00"), None);
        assert_eq!(parse_mac("fa:16:3e:00:00:0g"), None);
        assert_eq!(parse_mac("00:00:00:00:00:00"), None);
        assert_eq!(make_mac([0, 255, 16]), "fa:16:3e:00:ff:10");
    }
}
