//! Members: who answers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::body::{Fields, missing};
use super::listener::PORTS;
use super::refusal::Refusal;

/// What only members have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub address: String,
    pub protocol_port: u16,
    pub weight: u16,
    pub backup: bool,
    pub subnet_id: Option<String>,
    pub monitor_address: Option<String>,
    pub monitor_port: Option<u16>,
}

/// Fields that only new members have.
pub(crate) const NEW: &[&str] = &[
    "address",
    "protocol_port",
    "subnet_id",
    "project_id",
    "tenant_id",
    "request_sriov",
];
/// Fields that can change.
pub(crate) const CHANGE: &[&str] = &["weight", "backup", "monitor_address", "monitor_port"];

impl Member {
    pub(crate) fn new(fields: Fields<'_>) -> Result<Self, Refusal> {
        let address = fields.address("address")?;
        let address = address.ok_or_else(|| missing("address"))?;
        let port = fields.needed_number("protocol_port", PORTS)?;
        if fields.flag("request_sriov")? == Some(true) {
            return Err(Refusal::plain(
                "The load balancer flavor does not allow SR-IOV member ports.",
            ));
        }
        let mut new = Self {
            address: reachable(address, "address")?,
            protocol_port: u16::try_from(port).unwrap_or(u16::MAX),
            weight: 1,
            backup: false,
            subnet_id: fields.uuid("subnet_id")?,
            monitor_address: None,
            monitor_port: None,
        };
        new.change(fields)?;
        Ok(new)
    }

    /// Takes in what a body changes; null stands for the default.
    pub(crate) fn change(&mut self, fields: Fields<'_>) -> Result<(), Refusal> {
        if fields.has("weight") {
            let weight = fields.number("weight", (0, 256))?.unwrap_or(1);
            self.weight = u16::try_from(weight).unwrap_or(u16::MAX);
        }
        if fields.has("backup") {
            self.backup = fields.flag("backup")?.unwrap_or(false);
        }
        if fields.has("monitor_address") {
            let given = fields.address("monitor_address")?;
            let given = given.map(|given| reachable(given, "monitor_address"));
            self.monitor_address = given.transpose()?;
        }
        if fields.has("monitor_port") {
            let given = fields.number("monitor_port", PORTS)?;
            self.monitor_port = given.map(|port| u16::try_from(port).unwrap_or(u16::MAX));
        }
        Ok(())
    }

    /// Where it is; no other of its pool is there.
    pub(crate) fn place(&self) -> (String, u16) {
        (self.address.clone(), self.protocol_port)
    }

    /// Whether it is where another is.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        self.address == other.address && self.protocol_port == other.protocol_port
    }

    /// The refusal of one that is where another is.
    pub(crate) fn is_twice(&self) -> Refusal {
        Refusal::conflict(format!(
            "Another member on this pool is already using ip {} on protocol_port {}",
            self.address, self.protocol_port
        ))
    }
}

/// Refuses addresses that would be the host's own or everybody's: nothing of a tenant is there.
fn reachable(address: String, key: &str) -> Result<String, Refusal> {
    let odd = address.parse::<IpAddr>().is_ok_and(|address| {
        let link_local = match address {
            IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
            IpAddr::V6(address) => {
                address.is_unicast_link_local() || address.to_ipv4_mapped().is_some()
            }
        };
        link_local || address.is_loopback() || address.is_unspecified() || address.is_multicast()
    });
    if odd {
        return Err(Refusal::option(format!("IP address {address}"), key));
    }
    Ok(address)
}
