//! A port that a namespace of the host has, not a guest: a load balancer lives in it. The link that leads there stands in
//! the bridge where a guest's tap would, under its name, so filters and ways to it are those of any port.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{Leg, Picture, Place, pair, quiet, set};
use crate::agent::documents::Owner;
use crate::driver::plane::{Address, HOST, Mac, RouteEntry};
use crate::model::spec::{KIND_PORT, PortSpec, SubnetSpec};

/// The port inside.
const INSIDE: &str = "eth0";

/// Draws the namespace of a port with its addresses and its ways out.
pub fn draw(
    picture: &mut Picture,
    space: &str,
    spec: &PortSpec,
    mac: Mac,
    place: &Place<'_>,
) -> Result<(), String> {
    let mut nets = Vec::new();
    for fixed in &spec.fixed_ips {
        let mut subnets = place.spec.subnets.iter();
        let subnet = subnets
            .find(|subnet| subnet.id == fixed.subnet_id)
            .ok_or_else(|| format!("subnet {} of its address is not told", fixed.subnet_id))?;
        let net = IpNet::new(fixed.ip, subnet.cidr.prefix_len());
        nets.push((subnet, net.map_err(|why| why.to_string())?));
    }
    let owner = Owner::new(KIND_PORT, &spec.id);
    let leg = Leg {
        outside: spec.tap.clone(),
        inside: INSIDE.to_owned(),
        mac,
        mtu: place.spec.mtu,
    };
    picture.spaces.insert(space.to_owned(), owner.clone());
    pair(picture, space, place, &leg, &owner);
    let host = picture.plane.space(HOST);
    if let Some(outside) = host.links.get_mut(&spec.tap) {
        outside.up = spec.admin_state_up;
    }
    // While it is said to be elsewhere (it is about to move here), its frames go there.
    if place.elsewhere.contains(&mac) {
        host.forwards.remove(&spec.tap);
    }
    let own = picture.plane.space(space);
    own.addresses.extend(nets.iter().map(|(_, net)| Address {
        link: INSIDE.to_owned(),
        net: *net,
    }));
    own.routes = ways(&nets).into_values().collect();
    quiet(picture, space);
    // Who answers there need not wait for the addresses, nor begin anew when they change.
    for family in ["ipv4", "ipv6"] {
        set(picture, space, &format!("{family}/ip_nonlocal_bind"), "1");
    }
    Ok(())
}

/// The routes of the port's subnets; of two to one place the first one counts.
fn ways(nets: &[(&SubnetSpec, IpNet)]) -> BTreeMap<IpNet, RouteEntry> {
    let own = |ip: IpAddr| nets.iter().any(|(_, net)| net.addr() == ip);
    let near = |ip: IpAddr| nets.iter().any(|(_, net)| net.contains(&ip));
    let local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let mut ways = BTreeMap::new();
    for (subnet, _) in nets {
        let default = subnet.gateway.map(|gateway| (everywhere(gateway), gateway));
        let routes = subnet.routes.iter();
        let routes = routes.map(|route| (route.destination.trunc(), route.nexthop));
        for (destination, nexthop) in default.into_iter().chain(routes) {
            if own(nexthop) || !near(nexthop) && !local(nexthop) {
                continue; // it would not be taken, and the rest is none the worse
            }
            ways.entry(destination).or_insert(RouteEntry {
                destination,
                nexthop: Some(nexthop),
                link: Some(INSIDE.to_owned()),
                metric: 0,
            });
        }
    }
    ways
}

fn everywhere(like: IpAddr) -> IpNet {
    match like {
        IpAddr::V4(_) => IpNet::new_assert(Ipv4Addr::UNSPECIFIED.into(), 0),
        IpAddr::V6(_) => IpNet::new_assert(Ipv6Addr::UNSPECIFIED.into(), 0),
    }
}
