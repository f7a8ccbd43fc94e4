//! A network.

use nephos_types::Timestamp;

use crate::model::refusal::Refusal;
use crate::model::sharing::Grants;
use crate::model::spec::Segment;

/// The smallest MTU of IPv4, by RFC 791.
pub const MTU_MIN_V4: u32 = 68;
/// The smallest MTU of IPv6, by RFC 8200.
pub const MTU_MIN_V6: u32 = 1280;

/// How a network reaches other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkType {
    /// A tunnel.
    Vxlan,
    /// A bridge of the host.
    Flat,
}

impl NetworkType {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::Flat => "flat",
        }
    }

    /// Reads it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Vxlan, Self::Flat]
            .into_iter()
            .find(|known| known.as_str() == text)
    }
}

/// A network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether it passes packets.
    pub admin_state_up: bool,
    /// Largest packet.
    pub mtu: u32,
    /// What its ports get unless they say otherwise.
    pub port_security_enabled: bool,
    /// Whether routers may have their gateway in it.
    pub external: bool,
    /// Whether it is the external network of those who name none.
    pub is_default: bool,
    /// How it reaches other hosts.
    pub network_type: NetworkType,
    /// The host's name for the wire; empty for tunnels.
    pub physical_network: String,
    /// The tunnel's identifier; 0 for wires.
    pub vni: u32,
    /// Where its owner wants it.
    pub zone_hints: Vec<String>,
    /// What says how fast the packets of its ports pass.
    pub qos_policy_id: Option<String>,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Who else may use it.
    pub grants: Grants,
    /// Its subnets: id and address scope by IP version.
    pub subnets: Vec<String>,
    /// Address scope of its IPv4 subnets.
    pub ipv4_scope: Option<String>,
    /// Address scope of its IPv6 subnets.
    pub ipv6_scope: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

impl Network {
    /// How hosts are told to reach each other.
    #[must_use]
    pub fn segment(&self) -> Segment {
        match self.network_type {
            NetworkType::Vxlan => Segment::Vxlan { vni: self.vni },
            NetworkType::Flat => Segment::Flat {
                physical_network: self.physical_network.clone(),
            },
        }
    }

    /// Refuses an MTU that a subnet of this version cannot live with.
    ///
    /// # Errors
    /// 409 naming both.
    pub fn check_mtu(mtu: u32, ip_version: u8, subnet: &str) -> Result<(), Refusal> {
        let least = if ip_version == 6 {
            MTU_MIN_V6
        } else {
            MTU_MIN_V4
        };
        if mtu >= least {
            return Ok(());
        }
        Err(Refusal::conflict(
            "NetworkMTUSubnetConflict",
            format!(
                "Network MTU {mtu} is below the minimum of {least} that IPv{ip_version} needs in subnet {subnet}. Raise the network's mtu."
            ),
        ))
    }
}
