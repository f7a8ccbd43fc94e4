//! Arithmetic of addresses: keys that sort, pools, generated addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A range of addresses that are given to ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// First address.
    #[schema(value_type = String)]
    pub start: IpAddr,
    /// Last address.
    #[schema(value_type = String)]
    pub end: IpAddr,
}

impl Pool {
    /// How many addresses it has.
    #[must_use]
    pub fn size(&self) -> u128 {
        number(self.end)
            .saturating_sub(number(self.start))
            .saturating_add(1)
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        (number(self.start)..=number(self.end)).contains(&number(ip))
    }
}

impl std::fmt::Display for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// The address as a number.
#[must_use]
pub fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// The address of this number, of the same family as `like`.
#[must_use]
pub fn nth(like: IpAddr, number: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

/// The address in a form whose text order is address order.
#[must_use]
pub fn key(ip: IpAddr) -> String {
    format!("{:032x}", number(ip))
}

/// 4 or 6.
#[must_use]
pub const fn version(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 4,
        IpAddr::V6(_) => 6,
    }
}

/// The first address that a gateway usually has.
#[must_use]
pub fn first(cidr: IpNet) -> IpAddr {
    let network = cidr.network();
    nth(network, number(network).saturating_add(1))
}

/// Whether nobody can have the address in this subnet: the network's own, and the broadcast one.
#[must_use]
pub fn is_reserved(cidr: IpNet, ip: IpAddr) -> bool {
    match cidr {
        IpNet::V4(net) if net.prefix_len() < 31 => {
            ip == IpAddr::V4(net.network()) || ip == IpAddr::V4(net.broadcast())
        }
        IpNet::V4(_) => false,
        IpNet::V6(net) => net.prefix_len() < 127 && ip == IpAddr::V6(net.network()),
    }
}

/// The pools of a subnet for which none were asked: all of it but the gateway.
#[must_use]
pub fn default_pools(cidr: IpNet, gateway: Option<IpAddr>) -> Vec<Pool> {
    let (mut start, mut end) = (number(cidr.network()), number(cidr.broadcast()));
    let wide = cidr.max_prefix_len() - cidr.prefix_len() > 1;
    if wide {
        start = start.saturating_add(1);
        if matches!(cidr, IpNet::V4(_)) {
            end = end.saturating_sub(1);
        }
    }
    let network = cidr.network();
    let pool = |start, end| Pool {
        start: nth(network, start),
        end: nth(network, end),
    };
    let Some(hole) = gateway
        .map(number)
        .filter(|hole| (start..=end).contains(hole))
    else {
        return vec![pool(start, end)];
    };
    let mut pools = Vec::new();
    if hole > start {
        pools.push(pool(start, hole - 1));
    }
    if hole < end {
        pools.push(pool(hole + 1, end));
    }
    pools
}

/// How many addresses the pools have.
#[must_use]
pub fn total(pools: &[Pool]) -> u128 {
    pools
        .iter()
        .fold(0, |sum: u128, pool| sum.saturating_add(pool.size()))
}

/// The address at a place in the pools, counted around.
#[must_use]
pub fn at(pools: &[Pool], place: u128) -> Option<IpAddr> {
    let mut rest = place.checked_rem(total(pools))?;
    for pool in pools {
        if rest < pool.size() {
            return Some(nth(pool.start, number(pool.start).saturating_add(rest)));
        }
        rest -= pool.size();
    }
    None
}

/// The address that a guest makes for itself from the subnet's prefix and its MAC.
#[must_use]
pub fn eui64(cidr: IpNet, mac: &str) -> Option<IpAddr> {
    let mut bytes = mac.split(':').map(|part| u8::from_str_radix(part, 16).ok());
    let mut next = || bytes.next().flatten();
    let (a, b, c) = (next()?, next()?, next()?);
    let (d, e, f) = (next()?, next()?, next()?);
    let host = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    let prefix = number(cidr.network());
    Some(nth(cidr.network(), prefix | u128::from(host)))
}

/// Whether two ranges have an address in common.
#[must_use]
pub fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(cidr: &str, gateway: Option<&str>, expected: &str) {
        let gateway = gateway.map(|ip| ip.parse().unwrap());
        let pools: Vec<String> = default_pools(net(cidr), gateway)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(pools.join(" "), expected);
    }

    #[test]
    fn default_pools_leave_out_network_broadcast_and_gateway() {
        check("10.0.0.0/24", Some("10.0.0.1"), "10.0.0.2-10.0.0.254");
        check("10.0.0.0/24", Some("10.0.0.254"), "10.0.0.1-10.0.0.253");
        check(
            "10.0.0.0/29",
            Some("10.0.0.4"),
            "10.0.0.1-10.0.0.3 10.0.0.5-10.0.0.6",
        );
        check("10.0.0.0/24", None, "10.0.0.1-10.0.0.254");
        check("10.0.0.0/31", None, "10.0.0.0-10.0.0.1");
        check(
            "2001:db8::/64",
            Some("2001:db8::1"),
            "2001:db8::2-2001:db8::ffff:ffff:ffff:ffff",
        );
    }

    #[test]
    fn places_go_around_all_pools() {
        let pools = default_pools(net("10.0.0.0/29"), Some("10.0.0.4".parse().unwrap()));
        let seen: Vec<String> = (0..6)
            .map(|place| at(&pools, place).unwrap().to_string())
            .collect();
        assert_eq!(
            seen,
            [
                "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.5", "10.0.0.6", "10.0.0.1"
            ]
        );
        assert_eq!(at(&[], 3), None);
    }

    #[test]
    fn keys_sort_as_addresses_do() {
        let key = |text: &str| key(text.parse().unwrap());
        assert!(key("10.0.0.9") < key("10.0.0.10"));
        assert!(key("fe80::9") < key("fe80::10"));
    }

    #[test]
    fn a_guest_makes_its_address_from_its_mac() {
        let ip = eui64(net("2001:db8::/64"), "fa:16:3e:01:02:03").unwrap();
        assert_eq!(ip.to_string(), "2001:db8::f816:3eff:fe01:203");
        assert_eq!(eui64(net("2001:db8::/64"), "nonsense"), None);
    }
}
