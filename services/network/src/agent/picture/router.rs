//! A router: a space with a leg in each of its networks, translation of addresses, and a filter between the legs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::IpNet;

use super::shape::{self, Limited};
use super::{Leg, Picture, Place, own, pair, quiet, set, short, whole};
use crate::agent::Settings;
use crate::agent::documents::Owner;
use crate::driver::plane::{Address, Chain, Mac, RouteEntry, Set, Table, TableName};
use crate::model::spec::{KIND_ROUTER, Route, RouterLeg, RouterSpec};

const NAT: TableName = TableName {
    family: "ip",
    name: "nephos_nat",
};
const FILTER: TableName = TableName {
    family: "inet",
    name: "nephos_filter",
};

/// Draws a router; one that is switched off is not there.
pub fn draw(
    picture: &mut Picture,
    settings: &Settings,
    spec: &RouterSpec,
    places: &BTreeMap<&str, Place<'_>>,
) {
    if !spec.admin_state_up {
        return;
    }
    let owner = Owner::new(KIND_ROUTER, &spec.id);
    let space = settings.router_space(&spec.id);
    picture.spaces.insert(space.clone(), owner.clone());
    own(
        picture,
        &space,
        "lo",
        super::plain(crate::driver::plane::LinkKind::Loopback),
        owner.clone(),
    );
    quiet(picture, &space);
    set(picture, &space, "ipv4/ip_forward", "1");
    set(picture, &space, "ipv6/conf/all/forwarding", "1");
    let inside = spec.interfaces.iter().map(|leg| ("r", leg));
    let outside = spec.gateway.iter().map(|gateway| ("g", &gateway.leg));
    for (side, leg) in inside.chain(outside) {
        if let Err(why) = draw_leg(picture, &space, places, side, leg) {
            picture.problems.insert(owner.clone(), why);
        }
    }
    addresses_outside(picture, &space, spec);
    let off = routes(picture, &space, spec);
    if let Some(route) = off.first() {
        let why = format!(
            "no leg reaches {}, the next hop to {}",
            route.nexthop, route.destination
        );
        picture.problems.insert(owner, why);
    }
    let tables = &mut picture.plane.space(&space).tables;
    tables.insert(NAT, Arc::new(nat(spec)));
    tables.insert(FILTER, Arc::new(filter(spec)));
}

fn draw_leg(
    picture: &mut Picture,
    space: &str,
    places: &BTreeMap<&str, Place<'_>>,
    side: &str,
    leg: &RouterLeg,
) -> Result<(), String> {
    let place = places
        .get(leg.network_id.as_str())
        .ok_or_else(|| format!("network {} is not on this host", leg.network_id))?;
    let mac = Mac::parse(&leg.mac).ok_or_else(|| format!("{} is no MAC address", leg.mac))?;
    let id = short(&leg.port_id);
    let ends = Leg {
        outside: format!("h{side}-{id}"),
        inside: format!("q{side}-{id}"),
        mac,
        mtu: place.spec.mtu,
    };
    let owner = picture.spaces.get(space).cloned();
    let owner = owner.ok_or_else(|| format!("{space} is nobody's"))?;
    pair(picture, space, place, &ends, &owner);
    let limited = Limited {
        link: &ends.outside,
        port: &leg.port_id,
        mtu: place.spec.mtu,
    };
    shape::draw(picture, &limited, &leg.limits);
    let own = picture.plane.space(space);
    own.addresses
        .extend(leg.addresses.iter().map(|net| Address {
            link: ends.inside.clone(),
            net: *net,
        }));
    Ok(())
}

/// Floating IPs are addresses of the leg outside, so that the neighbours there find them.
fn addresses_outside(picture: &mut Picture, space: &str, spec: &RouterSpec) {
    let Some(gateway) = &spec.gateway else { return };
    let link = format!("qg-{}", short(&gateway.leg.port_id));
    let floating = spec.floating_ips.iter().map(|fip| Address {
        link: link.clone(),
        net: whole(fip.floating),
    });
    picture.plane.space(space).addresses.extend(floating);
}

/// Adds the routes; gives those back that no leg can carry.
fn routes(picture: &mut Picture, space: &str, spec: &RouterSpec) -> Vec<Route> {
    let everything = |ip: &IpAddr| match ip {
        IpAddr::V4(_) => IpNet::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        IpAddr::V6(_) => IpNet::new(std::net::Ipv6Addr::UNSPECIFIED.into(), 0),
    };
    let mut wanted = spec.routes.clone();
    for nexthop in spec.gateway.iter().flat_map(|gateway| &gateway.nexthops) {
        wanted.extend(everything(nexthop).ok().map(|destination| Route {
            destination,
            nexthop: *nexthop,
        }));
    }
    let inside = spec.interfaces.iter().map(|leg| ("qr-", leg));
    let outside = spec.gateway.iter().map(|gateway| ("qg-", &gateway.leg));
    let legs: Vec<_> = inside.chain(outside).collect();
    let own = picture.plane.space(space);
    wanted.retain(|route| {
        let leg = legs.iter().find(|(_, leg)| {
            let mut nets = leg.addresses.iter();
            nets.any(|net| net.contains(&route.nexthop))
        });
        let Some((prefix, leg)) = leg else {
            return true;
        };
        own.routes.insert(RouteEntry {
            destination: route.destination.trunc(),
            nexthop: Some(route.nexthop),
            link: Some(format!("{prefix}{}", short(&leg.port_id))),
            metric: 0,
        });
        false
    });
    wanted
}

fn nat(spec: &RouterSpec) -> Table {
    let mut table = Table::default();
    let pairs = spec.floating_ips.iter().filter_map(|fip| {
        let (IpAddr::V4(floating), IpAddr::V4(fixed)) = (fip.floating, fip.fixed) else {
            return None;
        };
        Some((floating.to_string(), fixed.to_string()))
    });
    let (mut in_, mut out) = (BTreeMap::new(), BTreeMap::new());
    for (floating, fixed) in pairs {
        out.insert(fixed.clone(), floating.clone());
        in_.insert(floating, fixed);
    }
    for (name, elements) in [("fip_in", in_), ("fip_out", out)] {
        let set = Set {
            form: "type ipv4_addr : ipv4_addr;",
            map: true,
            elements: Arc::new(elements),
        };
        table.sets.insert(name.to_owned(), set);
    }
    let mut post = vec!["oifname \"qg-*\" snat to ip saddr map @fip_out".to_owned()];
    // A guest that asks for a floating IP of this router gets its answer through the router.
    let hairpin = "iifname \"qr-*\" oifname \"qr-*\" ct status dnat snat to";
    post.push(format!("{hairpin} ip saddr map @fip_out"));
    let gateway = spec.gateway.as_ref().filter(|gateway| gateway.snat);
    let own = gateway.and_then(|gateway| {
        let mut nets = gateway.leg.addresses.iter().map(IpNet::addr);
        nets.find(IpAddr::is_ipv4)
    });
    if let Some(own) = own {
        post.push(format!("{hairpin} {own}"));
        post.push(format!("iifname \"qr-*\" oifname \"qg-*\" snat to {own}"));
    }
    let chains = [
        (
            "pre",
            "type nat hook prerouting priority dstnat; policy accept;",
            vec!["dnat to ip daddr map @fip_in".to_owned()],
        ),
        (
            "post",
            "type nat hook postrouting priority srcnat; policy accept;",
            post,
        ),
    ];
    for (name, hook, rules) in chains {
        table.chains.insert(name.to_owned(), Chain { hook, rules });
    }
    table
}

fn filter(spec: &RouterSpec) -> Table {
    let mut forward = vec![
        "ct state established,related accept".to_owned(),
        "ct state invalid drop".to_owned(),
        "iifname \"qr-*\" accept".to_owned(),
        "iifname \"qg-*\" ct status dnat accept".to_owned(),
        // Nothing is translated here: what reaches a guest is its security groups' matter.
        "iifname \"qg-*\" meta nfproto ipv6 accept".to_owned(),
    ];
    if spec.gateway.as_ref().is_some_and(|gateway| !gateway.snat) {
        forward.push("iifname \"qg-*\" accept".to_owned());
    }
    let input = [
        "iifname \"lo\" accept",
        "ct state established,related accept",
        "meta l4proto icmp accept",
        "meta l4proto ipv6-icmp accept",
    ];
    let mut table = Table::default();
    let chains = [
        (
            "forward",
            "type filter hook forward priority filter; policy drop;",
            forward,
        ),
        (
            "input",
            "type filter hook input priority filter; policy drop;",
            input.map(str::to_owned).to_vec(),
        ),
    ];
    for (name, hook, rules) in chains {
        table.chains.insert(name.to_owned(), Chain { hook, rules });
    }
    table
}
