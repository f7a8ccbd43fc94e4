//! What of ours is in a space.
//!
//! A link is ours by its name and by what it is: a bridge has an address that says so, a tunnel has the identifier of
//! its name, a tap and a pair have eleven characters of an id in their names. Routes are ours by their protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoVxlan, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::netlink::{Route, name_of};
use super::shape;
use crate::driver::DriverError;
use crate::driver::plane::{
    Address, Entries, Forward, HOST, Link, LinkKind, Mac, Neighbour, RouteEntry, Space,
};

/// The protocol number of our routes (`/etc/iproute2/rt_protos` leaves it free).
pub const PROTOCOL: u8 = 78;

/// Everything of ours in this thread's namespace; settings as far as `like` names them; forwarding entries and neighbours
/// where `entries` are asked for.
pub fn look(name: &str, like: &Space, entries: bool) -> Result<Space, DriverError> {
    let attempt = || match name {
        HOST => "look at the host's network".to_owned(),
        name => format!("look into namespace {name}"),
    };
    let mut route = Route::open().map_err(|why| DriverError::new(attempt(), why))?;
    let mut space = Space::default();
    let gathered = gather(&mut route, (name, like), entries, &mut space);
    gathered.map_err(|why| DriverError::new(attempt(), why))?;
    for path in like.settings.keys() {
        let file = Path::new("/proc/sys/net").join(path);
        if let Ok(value) = std::fs::read_to_string(file) {
            space.settings.insert(path.clone(), value.trim().to_owned());
        }
    }
    Ok(space)
}

/// Whether something that is not ours is plugged into a bridge of this thread's namespace.
pub fn leads_out(bridge: &str) -> Result<bool, DriverError> {
    let look = || {
        let all = links(&mut Route::open()?)?;
        let names = names(&all);
        Ok(all.iter().any(|message| {
            let name = name_of(message).unwrap_or_default();
            let link = link(message, &names);
            link.bridge.as_deref() == Some(bridge) && !is_ours(name, &link)
        }))
    };
    look().map_err(|why: io::Error| {
        DriverError::new(format!("look who is plugged into {bridge}"), why)
    })
}

/// Names by number.
fn names(links: &[LinkMessage]) -> BTreeMap<u32, String> {
    let named = links.iter();
    named
        .filter_map(|link| Some((link.header.index, name_of(link)?.to_owned())))
        .collect()
}

fn gather(
    route: &mut Route,
    (name, like): (&str, &Space),
    entries: bool,
    space: &mut Space,
) -> io::Result<()> {
    let all = links(route)?;
    let names = names(&all);
    for message in &all {
        let Some(link_name) = name_of(message) else {
            continue;
        };
        let link = link(message, &names);
        let wanted = like.links.get(link_name);
        let link = match (name, wanted) {
            (HOST, None) if !is_ours(link_name, &link) => continue,
            (HOST, Some(wanted)) if !is_ours(link_name, &link) => adopted(link, wanted),
            _ours => link,
        };
        space.links.insert(link_name.to_owned(), link);
    }
    let ours = |index: u32| {
        let name = names.get(&index)?;
        space.links.contains_key(name).then(|| name.clone())
    };
    let addresses = addresses(route, &ours)?;
    space.addresses = addresses
        .into_iter()
        .filter(|address| like.addresses.contains(address) || takes(name, space, address))
        .collect();
    space.routes = routes(route, &names)?;
    shape::look(route, &names, like, space)?;
    if entries {
        let ours = |index: u32| {
            let name = names.get(&index)?;
            space.links.contains_key(name).then(|| name.clone())
        };
        let (forwards, neighbours) = (forwards(route, &ours)?, neighbours(route, &ours)?);
        (space.forwards, space.neighbours) = (forwards, neighbours);
    }
    Ok(())
}

/// Whether an address that is not wanted is ours all the same.
fn takes(name: &str, space: &Space, address: &Address) -> bool {
    let automatic = match address.net.addr() {
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
        IpAddr::V4(_) => false,
    };
    let link = space.links.get(&address.link);
    let ours = name != HOST || link.is_some_and(|link| is_ours(&address.link, link));
    ours && !automatic && address.link != "lo"
}

fn links(route: &mut Route) -> io::Result<Vec<LinkMessage>> {
    let answers = route.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let links = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _other => None,
    });
    Ok(links.collect())
}

/// Whether a link of the host is ours.
fn is_ours(name: &str, link: &Link) -> bool {
    match &link.kind {
        LinkKind::Bridge => link.mac.is_some_and(|mac| match mac.0 {
            [0x02, 0x4e, 0x50, a, b, c] => {
                name == format!("br{}", u32::from_be_bytes([0, a, b, c]))
            }
            [0x02, 0x4e, 0x58, ..] => true,
            _other => false,
        }),
        LinkKind::Vxlan { vni, .. } => name == format!("vx{vni}"),
        LinkKind::Tap => name.strip_prefix("tap").is_some_and(is_short_id),
        LinkKind::Veth { .. } => {
            let prefixes = ["hr-", "hg-", "nm-", "tap", "sub"];
            prefixes
                .iter()
                .any(|prefix| name.strip_prefix(prefix).is_some_and(is_short_id))
        }
        LinkKind::Ifb => name.strip_prefix("ifb").is_some_and(is_short_id),
        LinkKind::Loopback | LinkKind::Inner { .. } | LinkKind::Foreign(_) => false,
    }
}

/// The first eleven characters of a UUID.
fn is_short_id(text: &str) -> bool {
    let mut bytes = text.bytes().enumerate();
    text.len() == 11
        && bytes.all(|(at, byte)| match at {
            8 => byte == b'-',
            _other => byte.is_ascii_hexdigit(),
        })
}

/// Somebody else's link that has the name of one we want. A bridge to a physical network is taken as it is; anything
/// else stands in the way.
fn adopted(found: Link, wanted: &Link) -> Link {
    let physical = wanted
        .mac
        .is_some_and(|mac| matches!(mac.0, [0x02, 0x4e, 0x58, ..]));
    if physical && found.kind == LinkKind::Bridge {
        return Link {
            up: found.up,
            ..wanted.clone()
        };
    }
    Link {
        kind: LinkKind::Foreign(format!("{:?}", found.kind)),
        ..found
    }
}

fn link(message: &LinkMessage, names: &BTreeMap<u32, String>) -> Link {
    let mut link = Link {
        kind: LinkKind::Foreign(String::new()),
        mac: None,
        mtu: None,
        up: message.header.flags.contains(LinkFlags::Up),
        bridge: None,
        suppress: false,
        learning: false,
    };
    if message.header.flags.contains(LinkFlags::Loopback) {
        link.kind = LinkKind::Loopback;
    }
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Address(bytes) => link.mac = Mac::from_slice(bytes),
            LinkAttribute::Mtu(mtu) => link.mtu = Some(*mtu),
            LinkAttribute::Controller(index) => link.bridge = names.get(index).cloned(),
            LinkAttribute::LinkInfo(infos) => infos.iter().for_each(|info| detail(&mut link, info)),
            _other => {}
        }
    }
    link
}

fn detail(link: &mut Link, info: &LinkInfo) {
    match info {
        LinkInfo::Kind(InfoKind::Bridge) => link.kind = LinkKind::Bridge,
        LinkInfo::Kind(InfoKind::Tun) => link.kind = LinkKind::Tap,
        LinkInfo::Kind(InfoKind::Ifb) => link.kind = LinkKind::Ifb,
        LinkInfo::Kind(InfoKind::Veth) => {
            link.kind = LinkKind::Veth {
                space: String::new(),
                peer: String::new(),
            }
        }
        LinkInfo::Kind(other) => link.kind = LinkKind::Foreign(other.to_string()),
        LinkInfo::Data(InfoData::Vxlan(infos)) => link.kind = vxlan(infos),
        LinkInfo::PortData(InfoPortData::BridgePort(infos)) => {
            for info in infos {
                match info {
                    InfoBridgePort::Learning(on) => link.learning = *on,
                    InfoBridgePort::NeighSupress(on) => link.suppress = *on,
                    _other => {}
                }
            }
        }
        _other => {}
    }
}

fn vxlan(infos: &[InfoVxlan]) -> LinkKind {
    let (mut id, mut end, mut udp) = (0, None, 0);
    for info in infos {
        match info {
            InfoVxlan::Id(vni) => id = *vni,
            InfoVxlan::Local(ip) => end = Some(IpAddr::V4(*ip)),
            InfoVxlan::Local6(ip) => end = Some(IpAddr::V6(*ip)),
            InfoVxlan::Port(port) => udp = *port,
            _other => {}
        }
    }
    match end {
        Some(local) => LinkKind::Vxlan {
            vni: id,
            local,
            port: udp,
        },
        None => LinkKind::Foreign("vxlan".to_owned()),
    }
}

type Names<'a> = &'a dyn Fn(u32) -> Option<String>;

fn addresses(route: &mut Route, ours: Names<'_>) -> io::Result<BTreeSet<Address>> {
    let answers = route.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    let found = answers.into_iter().filter_map(|answer| {
        let RouteNetlinkMessage::NewAddress(message) = answer else {
            return None;
        };
        let local = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                AddressAttribute::Local(ip) => Some(*ip),
                _other => None,
            });
        let plain = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                AddressAttribute::Address(ip) => Some(*ip),
                _other => None,
            });
        Some(Address {
            link: ours(message.header.index)?,
            net: IpNet::new(local.or(plain)?, message.header.prefix_len).ok()?,
        })
    });
    Ok(found.collect())
}

fn routes(route: &mut Route, names: &BTreeMap<u32, String>) -> io::Result<BTreeSet<RouteEntry>> {
    let mut found = BTreeSet::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut question = RouteMessage::default();
        question.header.address_family = family;
        for answer in route.dump(RouteNetlinkMessage::GetRoute(question))? {
            if let RouteNetlinkMessage::NewRoute(message) = answer {
                found.extend(route_entry(&message, names));
            }
        }
    }
    Ok(found)
}

fn route_entry(message: &RouteMessage, names: &BTreeMap<u32, String>) -> Option<RouteEntry> {
    let header = &message.header;
    if header.protocol != RouteProtocol::from(PROTOCOL)
        || header.table != RouteHeader::RT_TABLE_MAIN
    {
        return None;
    }
    let mut destination = match header.address_family {
        AddressFamily::Inet => IpAddr::from([0_u8; 4]),
        _v6 => IpAddr::from([0_u8; 16]),
    };
    let (mut nexthop, mut link, mut metric) = (None, None, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => destination = plain(address)?,
            RouteAttribute::Gateway(address) => nexthop = plain(address),
            RouteAttribute::Oif(index) => link = names.get(index).cloned(),
            RouteAttribute::Priority(priority) => metric = *priority,
            _other => {}
        }
    }
    if header.kind == RouteType::BlackHole {
        link = None; // IPv6 shows them on lo
    }
    // IPv6 gives a route without a metric this one.
    if destination.is_ipv6() && metric == 1024 {
        metric = 0;
    }
    Some(RouteEntry {
        destination: IpNet::new(destination, header.destination_prefix_length).ok()?,
        nexthop,
        link,
        metric,
    })
}

fn plain(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        _other => None,
    }
}

fn known(route: &mut Route, family: AddressFamily) -> io::Result<Vec<NeighbourMessage>> {
    let mut question = NeighbourMessage::default();
    question.header.family = family;
    let answers = route.dump(RouteNetlinkMessage::GetNeighbour(question))?;
    let found = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewNeighbour(message) => Some(message),
        _other => None,
    });
    Ok(found.collect())
}

/// Forwarding entries that somebody made: of tunnels those with another end, of bridges the static ones.
fn forwards(route: &mut Route, ours: Names<'_>) -> io::Result<Entries<Forward>> {
    let mut found: BTreeMap<String, BTreeSet<Forward>> = BTreeMap::new();
    for message in known(route, AddressFamily::Bridge)? {
        let Some(link) = ours(message.header.ifindex) else {
            continue;
        };
        let (mut mac, mut host, mut of_bridge) = (None, None, false);
        for attribute in &message.attributes {
            match attribute {
                NeighbourAttribute::LinkLayerAddress(bytes) => mac = Mac::from_slice(bytes),
                NeighbourAttribute::Destination(address) => host = ip(address),
                NeighbourAttribute::Controller(_) => of_bridge = true,
                _other => {}
            }
        }
        let Some(mac) = mac else { continue };
        let own = message.header.flags.contains(NeighbourFlags::Own);
        let fixed = message.header.state == NeighbourState::Noarp;
        if own && host.is_some() || of_bridge && fixed {
            found.entry(link).or_default().insert(Forward { mac, host });
        }
    }
    Ok(shared(found))
}

fn neighbours(route: &mut Route, ours: Names<'_>) -> io::Result<Entries<Neighbour>> {
    let mut found: BTreeMap<String, BTreeSet<Neighbour>> = BTreeMap::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        for message in known(route, family)? {
            let permanent = message.header.state == NeighbourState::Permanent;
            let Some(link) = ours(message.header.ifindex).filter(|_| permanent) else {
                continue;
            };
            let (mut mac, mut address) = (None, None);
            for attribute in &message.attributes {
                match attribute {
                    NeighbourAttribute::LinkLayerAddress(bytes) => mac = Mac::from_slice(bytes),
                    NeighbourAttribute::Destination(found) => address = ip(found),
                    _other => {}
                }
            }
            if let (Some(mac), Some(ip)) = (mac, address) {
                found.entry(link).or_default().insert(Neighbour { ip, mac });
            }
        }
    }
    Ok(shared(found))
}

fn shared<T>(entries: BTreeMap<String, BTreeSet<T>>) -> Entries<T> {
    let entries = entries.into_iter();
    entries.map(|(link, of)| (link, Arc::new(of))).collect()
}

fn ip(address: &NeighbourAddress) -> Option<IpAddr> {
    match address {
        NeighbourAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        NeighbourAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        NeighbourAddress::Other(bytes) => match bytes.as_slice() {
            [a, b, c, d] => Some(IpAddr::from([*a, *b, *c, *d])),
            other => Some(IpAddr::from(<[u8; 16]>::try_from(other).ok()?)),
        },
        _other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_with_an_id_in_their_name_are_ours() {
        for (name, ours) in [
            ("tap0", false),
            ("tap12345678-ab", true),
            ("tap12345678-abc", false),
            ("tapzz345678-ab", false),
            ("tap12345678ab-", false),
        ] {
            let link = Link {
                kind: LinkKind::Tap,
                mac: None,
                mtu: None,
                up: true,
                bridge: None,
                suppress: false,
                learning: false,
            };
            assert_eq!(is_ours(name, &link), ours, "{name}");
        }
    }
}
