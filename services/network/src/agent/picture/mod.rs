//! What the documents come to: the whole data plane of this host, as it should be. Pure.
//!
//! Names: bridge `br<vni>`, tunnel `vx<vni>`, tap as the port says; `hr-`/`hg-` and 11 characters of the port's id are
//! the host's ends of a router's legs (`qr-`/`qg-` inside), `nm-` and 11 characters of the network's id leads to the
//! network's metadata space; `ifb` and 11 characters of a port's id is the way round for packets of a port that may not send
//! as fast as it can; `sub` and 11 characters of a port's id is what the trunk leads to that the port is a part of. Spaces are
//! `<prefix>r-<router>`, `<prefix>m-<network>`, and `<prefix>l-` and 11 characters of the port's id where a port is not a guest's.

mod firewall;
mod kept;
mod router;
mod shape;
mod space;
mod trunk;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use super::Settings;
use super::documents::{Documents, Owner};
use super::guest::Guest;
use crate::driver::METADATA_MAC;
use crate::driver::plane::{Address, Forward, HOST, Link, LinkKind, Mac, Plane, RouteEntry};
use crate::model::spec::{
    KIND_HOST, KIND_NETWORK, KIND_PORT, NetworkSpec, PortSpec, Segment, SubnetSpec,
};

pub use self::firewall::zone;
pub use self::kept::Kept;
use self::kept::Ways;

/// Where guests find the metadata service.
pub const METADATA_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The same for guests that have only IPv6.
pub const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
/// The UDP port of VXLAN.
const VXLAN_PORT: u16 = 4789;
/// A metric that every other route is better than.
const LAST_RESORT: u32 = 4_000_000;

/// The data plane as it should be, and who asked for what.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Links, addresses, filters.
    pub plane: Plane,
    /// Whose each link is, by space and name.
    pub links: BTreeMap<(String, String), Owner>,
    /// Whose each space is.
    pub spaces: BTreeMap<String, Owner>,
    /// What agents tell guests that ask, by tap.
    pub guests: BTreeMap<String, Guest>,
    /// Who may ask the metadata service, by space.
    pub metadata: BTreeMap<String, Askers>,
    /// What cannot be.
    pub problems: BTreeMap<Owner, String>,
}

/// The servers of a network, by the address from which they ask.
pub type Askers = BTreeMap<IpAddr, Asker>;

/// Who asks the metadata service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The server.
    pub server: String,
    /// Its project.
    pub project: String,
    /// The port it asks by.
    pub port: String,
}

/// A network's place on this host.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub spec: &'a NetworkSpec,
    pub bridge: String,
    /// The tunnel; none for a flat network.
    pub tunnel: Option<String>,
    /// Whether the host itself is a member of the network.
    pub with_host: bool,
    /// Where its metadata service listens; none: no guest here asks.
    metadata: Option<String>,
    /// The Ethernet addresses of its gateways.
    routers: BTreeMap<IpAddr, Mac>,
    /// The Ethernet addresses of its ports on other hosts.
    elsewhere: Arc<BTreeSet<Mac>>,
}

/// Draws the picture; what is `kept` of the last one saves work.
pub fn draw(documents: &Documents, settings: &Settings, kept: &mut Kept) -> Picture {
    let mut picture = Picture::default();
    kept.sweep(documents);
    for (owner, why) in &documents.unreadable {
        picture.problems.insert(owner.clone(), why.clone());
    }
    physical(&mut picture, settings);
    let with_guests = documents.ports.values().filter(|port| !port.space);
    let with_guests: BTreeSet<&str> = with_guests.map(|port| port.network_id.as_str()).collect();
    let mut places = BTreeMap::new();
    for spec in documents.networks.values() {
        let ways = kept.ways(documents, &spec.id, settings.vtep);
        let placed = network(&mut picture, settings, spec, ways).map(|mut place| {
            place.routers = gateways(documents, spec);
            if with_guests.contains(spec.id.as_str()) {
                place.metadata = Some(metadata(&mut picture, settings, &place));
            }
            place
        });
        match placed {
            Ok(place) => _ = places.insert(spec.id.as_str(), place),
            Err(why) => {
                _ = picture
                    .problems
                    .insert(Owner::new(KIND_NETWORK, &spec.id), why)
            }
        }
    }
    // What is a part of a trunk is led to the trunk's port.
    let (parts, others): (Vec<_>, Vec<_>) = documents
        .ports
        .values()
        .partition(|port| port.trunk.is_some());
    for spec in others.into_iter().chain(parts) {
        let Some(place) = places.get(spec.network_id.as_str()) else {
            let why = format!("network {} is not on this host", spec.network_id);
            picture
                .problems
                .insert(Owner::new(KIND_PORT, &spec.id), why);
            continue;
        };
        if let Err(why) = port(&mut picture, settings, spec, place) {
            picture
                .problems
                .insert(Owner::new(KIND_PORT, &spec.id), why);
        }
    }
    for spec in documents.routers.values() {
        router::draw(&mut picture, settings, spec, &places);
    }
    firewall::draw(&mut picture, documents, &places, kept);
    for path in ["iptables", "ip6tables"] {
        set(
            &mut picture,
            HOST,
            &format!("bridge/bridge-nf-call-{path}"),
            "1",
        );
    }
    set(&mut picture, HOST, "bridge/bridge-nf-call-arptables", "0");
    picture
}

/// The bridges of physical networks.
fn physical(picture: &mut Picture, settings: &Settings) {
    for physical in settings.physical_networks.values() {
        let owner = Owner::new(KIND_HOST, "");
        let bridge = &physical.bridge;
        let link = Link {
            mac: Some(bridge_mac(bridge)),
            ..plain(LinkKind::Bridge)
        };
        own(picture, HOST, bridge, link, owner);
        let host = picture.plane.space(HOST);
        let Some(net) = physical.host_address else {
            continue;
        };
        host.addresses.insert(Address {
            link: bridge.clone(),
            net,
        });
        // So that no packet for the range leaves the machine by its default route while the bridge is away.
        host.routes.insert(RouteEntry {
            destination: net.trunc(),
            nexthop: None,
            link: None,
            metric: LAST_RESORT,
        });
    }
}

/// The address by which a physical network's bridge is recognised as ours.
fn bridge_mac(name: &str) -> Mac {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let [_, a, b, c] = hash.to_be_bytes();
    Mac([0x02, 0x4e, 0x58, a, b, c])
}

fn network<'a>(
    picture: &mut Picture,
    settings: &Settings,
    spec: &'a NetworkSpec,
    ways: Ways,
) -> Result<Place<'a>, String> {
    let Segment::Flat { physical_network } = &spec.segment else {
        return tunnel(picture, settings, spec, ways);
    };
    let physical = settings
        .physical_networks
        .get(physical_network)
        .ok_or_else(|| format!("this host has no physical network {physical_network}"))?;
    Ok(Place {
        spec,
        bridge: physical.bridge.clone(),
        tunnel: None,
        with_host: physical.host_address.is_some(),
        metadata: None,
        routers: BTreeMap::new(),
        elsewhere: ways.elsewhere,
    })
}

fn tunnel<'a>(
    picture: &mut Picture,
    settings: &Settings,
    spec: &'a NetworkSpec,
    ways: Ways,
) -> Result<Place<'a>, String> {
    let vni = match spec.segment {
        Segment::Vxlan { vni } => vni,
        Segment::Flat { .. } => 0,
    };
    if vni == 0 || vni > 0x00ff_ffff {
        return Err(format!("{vni} is no VXLAN network identifier"));
    }
    let (bridge, tunnel) = (format!("br{vni}"), format!("vx{vni}"));
    let owner = Owner::new(KIND_NETWORK, &spec.id);
    let [_, a, b, c] = vni.to_be_bytes();
    let link = Link {
        mac: Some(Mac([0x02, 0x4e, 0x50, a, b, c])),
        mtu: Some(spec.mtu),
        ..plain(LinkKind::Bridge)
    };
    own(picture, HOST, &bridge, link, owner.clone());
    set(
        picture,
        HOST,
        &format!("ipv6/conf/{bridge}/disable_ipv6"),
        "1",
    );
    let kind = LinkKind::Vxlan {
        vni,
        local: settings.vtep,
        port: VXLAN_PORT,
    };
    let link = Link {
        mtu: Some(spec.mtu),
        bridge: Some(bridge.clone()),
        suppress: true,
        ..plain(kind)
    };
    own(picture, HOST, &tunnel, link, owner);
    let host = picture.plane.space(HOST);
    if !ways.forwards.is_empty() {
        host.forwards.insert(tunnel.clone(), ways.forwards);
    }
    if !ways.neighbours.is_empty() {
        host.neighbours.insert(bridge.clone(), ways.neighbours);
    }
    Ok(Place {
        spec,
        bridge,
        tunnel: Some(tunnel),
        with_host: false,
        metadata: None,
        routers: BTreeMap::new(),
        elsewhere: ways.elsewhere,
    })
}

/// Frames for an address leave by this port of its bridge.
pub(super) fn leads_to(picture: &mut Picture, link: &str, mac: Mac) {
    let one = BTreeSet::from([Forward { mac, host: None }]);
    let host = picture.plane.space(HOST);
    host.forwards.insert(link.to_owned(), Arc::new(one));
}

/// The space in which the metadata service of a network listens, as 169.254.169.254.
fn metadata(picture: &mut Picture, settings: &Settings, place: &Place<'_>) -> String {
    let spec = place.spec;
    let owner = Owner::new(KIND_NETWORK, &spec.id);
    let space = settings.metadata_space(&spec.id);
    let inside = "meta0";
    let leg = Leg {
        outside: format!("nm-{}", short(&spec.id)),
        inside: inside.to_owned(),
        mac: METADATA_MAC,
        mtu: spec.mtu,
    };
    picture.spaces.insert(space.clone(), owner.clone());
    pair(picture, &space, place, &leg, &owner);
    let own = picture.plane.space(&space);
    let address = |net: IpNet| Address {
        link: inside.to_owned(),
        net,
    };
    own.addresses.insert(address(whole(METADATA_V4.into())));
    if let Ok(net) = IpNet::new(METADATA_V6.into(), 64) {
        own.addresses.insert(address(net));
    }
    for subnet in &spec.subnets {
        if subnet.cidr.addr().is_ipv4() {
            own.routes.insert(RouteEntry {
                destination: subnet.cidr.trunc(),
                nexthop: None,
                link: Some(inside.to_owned()),
                metric: 0,
            });
        }
    }
    quiet(picture, &space);
    picture.metadata.entry(space.clone()).or_default();
    space
}

/// A pair of links that leads from a network's bridge into a space.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub outside: String,
    pub inside: String,
    pub mac: Mac,
    pub mtu: u32,
}

pub(super) fn pair(
    picture: &mut Picture,
    space: &str,
    place: &Place<'_>,
    leg: &Leg,
    owner: &Owner,
) {
    let end = |space: &str, peer: &str| {
        plain(LinkKind::Veth {
            space: space.to_owned(),
            peer: peer.to_owned(),
        })
    };
    let outside = Link {
        mtu: Some(leg.mtu),
        bridge: Some(place.bridge.clone()),
        ..end(space, &leg.inside)
    };
    let inside = Link {
        mtu: Some(leg.mtu),
        mac: Some(leg.mac),
        ..end(HOST, &leg.outside)
    };
    own(picture, HOST, &leg.outside, outside, owner.clone());
    own(picture, space, &leg.inside, inside, owner.clone());
    own(
        picture,
        space,
        "lo",
        plain(LinkKind::Loopback),
        owner.clone(),
    );
    leads_to(picture, &leg.outside, leg.mac);
}

/// Settings of a space of ours: no address of its own accord, answers for its own addresses only.
pub(super) fn quiet(picture: &mut Picture, space: &str) {
    for (path, value) in [
        ("ipv4/conf/all/arp_ignore", "1"),
        ("ipv4/conf/all/arp_announce", "2"),
        ("ipv4/conf/all/accept_redirects", "0"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/default/send_redirects", "0"),
        ("ipv6/conf/default/accept_ra", "0"),
        ("ipv6/conf/default/accept_dad", "0"),
    ] {
        set(picture, space, path, value);
    }
}

fn port(
    picture: &mut Picture,
    settings: &Settings,
    spec: &PortSpec,
    place: &Place<'_>,
) -> Result<(), String> {
    let mac = Mac::parse(&spec.mac).ok_or_else(|| format!("{} is no MAC address", spec.mac))?;
    if spec.tap != format!("tap{}", short(&spec.id)) {
        return Err(format!("{} is not the name of its tap", spec.tap));
    }
    let limited = shape::Limited {
        link: &spec.tap,
        port: &spec.id,
        mtu: place.spec.mtu,
    };
    if spec.space {
        space::draw(picture, &settings.port_space(&spec.id), spec, mac, place)?;
        shape::draw(picture, &limited, &spec.limits);
        return Ok(());
    }
    let kind = match &spec.trunk {
        None => LinkKind::Tap,
        Some(trunk) => trunk::draw(picture, spec, trunk, place.spec.mtu)?,
    };
    let link = Link {
        mtu: Some(place.spec.mtu),
        bridge: Some(place.bridge.clone()),
        up: spec.admin_state_up,
        ..plain(kind)
    };
    own(
        picture,
        HOST,
        &spec.tap,
        link,
        Owner::new(KIND_PORT, &spec.id),
    );
    // While it is said to be elsewhere (it is about to move here), its frames go there.
    if !place.elsewhere.contains(&mac) {
        leads_to(picture, &spec.tap, mac);
    }
    shape::draw(picture, &limited, &spec.limits);
    let guest = Guest::of(spec, mac, place.spec, &place.routers);
    picture.guests.insert(spec.tap.clone(), guest);
    let asker = Asker {
        server: spec.device_id.clone(),
        project: spec.project_id.clone(),
        port: spec.id.clone(),
    };
    let mut sources: BTreeSet<IpAddr> = spec.fixed_ips.iter().map(|fixed| fixed.ip).collect();
    sources.insert(mac.link_local().into());
    let space = place.metadata.as_ref();
    if let Some(askers) = space.and_then(|space| picture.metadata.get_mut(space)) {
        askers.extend(sources.into_iter().map(|ip| (ip, asker.clone())));
    }
    Ok(())
}

/// The Ethernet addresses of a network's gateways: routers here, or ports of routers elsewhere.
fn gateways(documents: &Documents, network: &NetworkSpec) -> BTreeMap<IpAddr, Mac> {
    let mut found = BTreeMap::new();
    let wanted = |ip: IpAddr| {
        let mut subnets = network.subnets.iter();
        subnets.any(|subnet: &SubnetSpec| subnet.gateway == Some(ip))
    };
    let remote = documents.remote.get(&network.id);
    for remote in remote.into_iter().flat_map(|list| list.values()) {
        if let Some(mac) = Mac::parse(&remote.mac) {
            found.extend(
                remote
                    .ips
                    .iter()
                    .filter(|ip| wanted(**ip))
                    .map(|ip| (*ip, mac)),
            );
        }
    }
    for router in documents
        .routers
        .values()
        .filter(|router| router.admin_state_up)
    {
        for leg in router
            .interfaces
            .iter()
            .filter(|leg| leg.network_id == network.id)
        {
            if let Some(mac) = Mac::parse(&leg.mac) {
                let ips = leg.addresses.iter().map(IpNet::addr);
                found.extend(ips.filter(|ip| wanted(*ip)).map(|ip| (ip, mac)));
            }
        }
    }
    found
}

/// A link of this kind that is up and in no bridge.
pub(super) const fn plain(kind: LinkKind) -> Link {
    Link {
        kind,
        mac: None,
        mtu: None,
        up: true,
        bridge: None,
        suppress: false,
        learning: false,
    }
}

pub(super) fn own(picture: &mut Picture, space: &str, name: &str, link: Link, owner: Owner) {
    picture
        .links
        .insert((space.to_owned(), name.to_owned()), owner);
    picture
        .plane
        .space(space)
        .links
        .insert(name.to_owned(), link);
}

pub(super) fn set(picture: &mut Picture, space: &str, path: &str, value: &str) {
    picture
        .plane
        .space(space)
        .settings
        .insert(path.to_owned(), value.to_owned());
}

/// The range of one address.
pub(super) fn whole(ip: IpAddr) -> IpNet {
    IpNet::from(ip)
}

/// The first eleven characters of an id: what fits into a link's name.
pub fn short(id: &str) -> String {
    id.chars().take(11).collect()
}

#[cfg(test)]
mod tests;
