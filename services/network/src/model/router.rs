//! A router and the floating IPs behind it.

use std::net::IpAddr;

use nephos_types::Timestamp;

use crate::model::spec::Route;

/// A router.
#[derive(Clone, Debug)]
pub struct Router {
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
    /// Its port in an external network.
    pub gateway_port_id: Option<String>,
    /// That network; empty: none.
    pub gateway_network_id: String,
    /// Whether guests without a floating IP go out under its address.
    pub enable_snat: bool,
    /// More routes.
    pub routes: Vec<Route>,
    /// Where its owner wants it.
    pub zone_hints: Vec<String>,
    /// Where it lives; empty: nowhere yet.
    pub host: String,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The addresses of its port outside.
    pub external_fixed_ips: Vec<crate::model::port::FixedIp>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// Whether a floating IP works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatingStatus {
    /// The host has it.
    Active,
    /// Not associated, or not yet on the host.
    Down,
}

impl FloatingStatus {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Down => "DOWN",
        }
    }
}

/// An address outside that stands for one inside.
#[derive(Clone, Debug)]
pub struct FloatingIp {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// What it is for.
    pub description: String,
    /// The external network.
    pub network_id: String,
    /// The address outside.
    pub floating_ip: IpAddr,
    /// The port that holds it.
    pub floating_port_id: String,
    /// The port it stands for.
    pub port_id: Option<String>,
    /// That port's address.
    pub fixed_ip: Option<IpAddr>,
    /// The router between them.
    pub router_id: Option<String>,
    /// Whether it works.
    pub status: FloatingStatus,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What the port is, for those who list.
    pub port_details: Option<PortDetails>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// What a floating IP's list tells of the port.
#[derive(Clone, Debug)]
pub struct PortDetails {
    /// Its name.
    pub name: String,
    /// Its network.
    pub network_id: String,
    /// Its MAC.
    pub mac: String,
    /// Whether packets pass.
    pub admin_state_up: bool,
    /// Whether it works.
    pub status: String,
    /// What is plugged in.
    pub device_id: String,
    /// Which kind of thing that is.
    pub device_owner: String,
}
