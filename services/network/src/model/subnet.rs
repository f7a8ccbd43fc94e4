//! A subnet: a range of addresses of a network, and the rules that it obeys.

use std::net::IpAddr;

use ipnet::IpNet;
use nephos_types::Timestamp;

use crate::model::address::{self, Pool};
use crate::model::refusal::Refusal;
use crate::model::sharing::Grants;
use crate::model::spec::Route;

/// The modes of IPv6 advertisement and addressing.
pub const IPV6_MODES: [&str; 3] = ["slaac", "dhcpv6-stateful", "dhcpv6-stateless"];
const MAX_NAME_SERVERS: usize = 5;
const MAX_ROUTES: usize = 20;

/// A subnet.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// The network it belongs to.
    pub network_id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its range.
    pub cidr: IpNet,
    /// Where packets for elsewhere go.
    pub gateway: Option<IpAddr>,
    /// What is given to ports.
    pub pools: Vec<Pool>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// More routes for guests.
    pub routes: Vec<Route>,
    /// Whether addresses are told by DHCP.
    pub enable_dhcp: bool,
    /// Who advertises the prefix and how; empty: nobody.
    pub ipv6_ra_mode: String,
    /// How addresses are made; empty: by hand.
    pub ipv6_address_mode: String,
    /// The pool it was cut from.
    pub subnet_pool_id: Option<String>,
    /// The kinds of ports it is for; none: all.
    pub service_types: Vec<String>,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Whose the network is.
    pub network_project: String,
    /// Whether the network is external.
    pub external: bool,
    /// Who else may use the network.
    pub grants: Grants,
    /// Its tags.
    pub tags: Vec<String>,
}

impl Subnet {
    /// 4 or 6.
    #[must_use]
    pub const fn ip_version(&self) -> u8 {
        match self.cidr {
            IpNet::V4(_) => 4,
            IpNet::V6(_) => 6,
        }
    }

    /// Whether guests make their own addresses here.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        matches!(
            self.ipv6_address_mode.as_str(),
            "slaac" | "dhcpv6-stateless"
        )
    }

    /// Whether it is for ports of this kind.
    #[must_use]
    pub fn serves(&self, device_owner: &str) -> bool {
        self.service_types.is_empty() || self.service_types.iter().any(|kind| kind == device_owner)
    }

    /// Refuses what cannot be a subnet.
    ///
    /// # Errors
    /// 400 or 409 in Neutron's words.
    pub fn check(&self) -> Result<(), Refusal> {
        self.check_range()?;
        self.check_modes()?;
        self.check_gateway()?;
        check_pools(&self.pools, self.cidr)?;
        self.check_gateway_outside_pools()?;
        self.check_told()
    }

    fn check_range(&self) -> Result<(), Refusal> {
        let cidr = self.cidr;
        if cidr.prefix_len() == 0 {
            return Err(Refusal::input("0 is not allowed as CIDR prefix length"));
        }
        if cidr.network().is_multicast() {
            return Err(Refusal::input(format!(
                "multicast IP subnet is not supported: {cidr}"
            )));
        }
        if cidr.network().is_loopback() {
            return Err(Refusal::input(format!(
                "loopback IP subnet is not supported: {cidr}"
            )));
        }
        if self.enable_dhcp && cidr.max_prefix_len() - cidr.prefix_len() < 2 {
            return Err(Refusal::input(
                "Subnet has a prefix length that is incompatible with DHCP service enabled",
            ));
        }
        Ok(())
    }

    fn check_modes(&self) -> Result<(), Refusal> {
        let (ra, address) = (self.ipv6_ra_mode.as_str(), self.ipv6_address_mode.as_str());
        if ra.is_empty() && address.is_empty() {
            return Ok(());
        }
        if self.ip_version() == 4 {
            return Err(Refusal::input(
                "ipv6_ra_mode or ipv6_address_mode is not valid when ip_version is 4",
            ));
        }
        if !self.enable_dhcp {
            return Err(Refusal::input(
                "ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False",
            ));
        }
        if !ra.is_empty() && !address.is_empty() && ra != address {
            return Err(Refusal::input(format!(
                "ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid. \
                 If both attributes are set, they must be the same value"
            )));
        }
        let auto = |mode| mode == "slaac" || mode == "dhcpv6-stateless";
        if (auto(ra) || auto(address)) && self.cidr.prefix_len() != 64 {
            return Err(Refusal::input(format!(
                "Invalid CIDR {} for IPv6 address mode. OpenStack uses the EUI-64 address format, \
                 which requires the prefix to be /64",
                self.cidr
            )));
        }
        Ok(())
    }

    fn check_gateway(&self) -> Result<(), Refusal> {
        let Some(gateway) = self.gateway else {
            return Ok(());
        };
        if address::version(gateway) != self.ip_version() {
            return Err(Refusal::input(format!(
                "gateway_ip '{gateway}' does not match the ip_version '{}'",
                self.ip_version()
            )));
        }
        if self.cidr.contains(&gateway) && address::is_reserved(self.cidr, gateway) {
            return Err(Refusal::input("Gateway is not valid on subnet"));
        }
        Ok(())
    }

    fn check_gateway_outside_pools(&self) -> Result<(), Refusal> {
        let Some(gateway) = self.gateway else {
            return Ok(());
        };
        match self.pools.iter().find(|pool| pool.contains(gateway)) {
            None => Ok(()),
            Some(pool) => Err(Refusal::conflict(
                "GatewayConflictWithAllocationPools",
                format!("Gateway ip {gateway} conflicts with allocation pool {pool}."),
            )),
        }
    }

    /// Name servers and routes.
    fn check_told(&self) -> Result<(), Refusal> {
        if self.dns.len() > MAX_NAME_SERVERS {
            return Err(Refusal::invalid(
                "DNSNameServersExhausted",
                format!(
                    "Unable to complete operation for {}. The number of DNS nameservers exceeds the limit {MAX_NAME_SERVERS}.",
                    self.id
                ),
            ));
        }
        if self.routes.len() > MAX_ROUTES {
            return Err(Refusal::invalid(
                "HostRoutesExhausted",
                format!(
                    "Unable to complete operation for {}. The number of host routes exceeds the limit {MAX_ROUTES}.",
                    self.id
                ),
            ));
        }
        let version = self.ip_version();
        let foreign = self.dns.iter().find(|ip| address::version(**ip) != version);
        if let Some(ip) = foreign {
            return Err(Refusal::input(format!(
                "dns_nameserver '{ip}' does not match the ip_version '{version}'"
            )));
        }
        let foreign = self.routes.iter().find(|route| {
            address::version(route.nexthop) != version
                || address::version(route.destination.addr()) != version
        });
        match foreign {
            None => Ok(()),
            Some(route) => Err(Refusal::input(format!(
                "host_route '{} via {}' does not match the ip_version '{version}'",
                route.destination, route.nexthop
            ))),
        }
    }
}

/// Refuses pools that are no ranges, leave the subnet or overlap.
///
/// # Errors
/// 400 or 409 naming the pool.
pub fn check_pools(pools: &[Pool], cidr: IpNet) -> Result<(), Refusal> {
    for pool in pools {
        let same = address::version(pool.start) == address::version(pool.end);
        if !same
            || pool.start > pool.end
            || address::version(pool.start) != address::version(cidr.addr())
        {
            return Err(Refusal::invalid(
                "InvalidAllocationPool",
                format!("The allocation pool {pool} is not valid."),
            ));
        }
        let outside = !cidr.contains(&pool.start)
            || !cidr.contains(&pool.end)
            || address::is_reserved(cidr, pool.start)
            || (address::is_reserved(cidr, pool.end) && matches!(cidr, IpNet::V4(_)));
        if outside {
            return Err(Refusal::invalid(
                "OutOfBoundsAllocationPool",
                format!("The allocation pool {pool} spans beyond the subnet cidr {cidr}."),
            ));
        }
    }
    let mut sorted: Vec<&Pool> = pools.iter().collect();
    sorted.sort_by_key(|pool| address::number(pool.start));
    let clash = sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .find(|(a, b)| a.end >= b.start);
    match clash {
        None => Ok(()),
        Some((a, b)) => Err(Refusal::conflict(
            "OverlappingAllocationPools",
            format!("Found overlapping allocation pools: {a} {b} for subnet {cidr}."),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(cidr: &str) -> Subnet {
        let cidr: IpNet = cidr.parse().unwrap();
        let gateway = Some(address::first(cidr));
        Subnet {
            id: "s".into(),
            project_id: "p".into(),
            network_id: "n".into(),
            name: String::new(),
            description: String::new(),
            cidr,
            gateway,
            pools: address::default_pools(cidr, gateway),
            dns: Vec::new(),
            routes: Vec::new(),
            enable_dhcp: true,
            ipv6_ra_mode: String::new(),
            ipv6_address_mode: String::new(),
            subnet_pool_id: None,
            service_types: Vec::new(),
            revision: 0,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            network_project: "p".into(),
            external: false,
            grants: Grants::default(),
            tags: Vec::new(),
        }
    }

    #[track_caller]
    fn check(subnet: &Subnet, kind: &str) {
        let found = subnet.check().err().map_or("", |why| why.kind);
        assert_eq!(found, kind);
    }

    fn pool(start: &str, end: &str) -> Pool {
        Pool {
            start: start.parse().unwrap(),
            end: end.parse().unwrap(),
        }
    }

    #[test]
    fn ranges_and_gateways() {
        check(&subnet("10.0.0.0/24"), "");
        check(&subnet("224.0.0.0/24"), "InvalidInput");
        check(&subnet("127.0.0.0/24"), "InvalidInput");
        check(&subnet("10.0.0.0/31"), "InvalidInput");
        let mut one = subnet("10.0.0.0/24");
        one.gateway = Some("10.0.0.255".parse().unwrap());
        check(&one, "InvalidInput");
        one.gateway = Some("10.0.0.9".parse().unwrap());
        check(&one, "GatewayConflictWithAllocationPools");
        one.gateway = Some("fe80::1".parse().unwrap());
        check(&one, "InvalidInput");
    }

    #[test]
    fn pools_are_inside_and_apart() {
        let mut one = subnet("10.0.0.0/24");
        one.pools = vec![pool("10.0.0.9", "10.0.0.5")];
        check(&one, "InvalidAllocationPool");
        one.pools = vec![pool("10.0.0.9", "10.0.1.5")];
        check(&one, "OutOfBoundsAllocationPool");
        one.pools = vec![
            pool("10.0.0.20", "10.0.0.30"),
            pool("10.0.0.9", "10.0.0.20"),
        ];
        check(&one, "OverlappingAllocationPools");
        one.pools = Vec::new();
        check(&one, "");
    }

    #[test]
    fn ipv6_modes_agree_with_each_other_and_with_the_rest() {
        let modes = |cidr: &str, ra: &str, address: &str| {
            let mut one = subnet(cidr);
            one.ipv6_ra_mode = ra.into();
            one.ipv6_address_mode = address.into();
            one
        };
        check(&modes("2001:db8::/64", "slaac", "slaac"), "");
        check(&modes("2001:db8::/64", "", "dhcpv6-stateless"), "");
        check(&modes("2001:db8::/80", "dhcpv6-stateful", ""), "");
        check(&modes("2001:db8::/80", "slaac", ""), "InvalidInput");
        check(
            &modes("2001:db8::/64", "slaac", "dhcpv6-stateful"),
            "InvalidInput",
        );
        check(&modes("10.0.0.0/24", "slaac", "slaac"), "InvalidInput");
        let mut off = modes("2001:db8::/64", "slaac", "slaac");
        off.enable_dhcp = false;
        check(&off, "InvalidInput");
    }
}
