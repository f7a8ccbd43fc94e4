//! Steps, as messages to the kernel.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind,
    InfoVeth, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};

use super::look::PROTOCOL;
use super::netlink::Route;
use super::{child, namespaces, nft, packets, shape, tags, tap};
use crate::driver::plane::{Address, Forward, HOST, Link, LinkKind, Mac, Neighbour, RouteEntry};
use crate::driver::{Change, DriverError, Step};

/// In which space a step is done.
pub fn space(step: &Step) -> &str {
    match step {
        Step::AddSpace(_) | Step::RemoveSpace(_) | Step::AddLink { .. } => HOST,
        Step::RemoveLink { space, .. }
        | Step::ShapeLink { space, .. }
        | Step::SwitchLink { space, .. }
        | Step::Limit { space, .. }
        | Step::Detour { space, .. }
        | Step::Tags { space, .. }
        | Step::Set { space, .. }
        | Step::Announce { space, .. }
        | Step::Tables { space, .. }
        | Step::Addresses(space, _)
        | Step::Routes(space, _)
        | Step::Forwards { space, .. }
        | Step::Neighbours { space, .. } => space,
    }
}

/// Does a step in this thread's namespace.
pub fn change(step: &Step) -> Result<(), DriverError> {
    match step {
        Step::AddSpace(name) => namespaces::ensure(name),
        Step::RemoveSpace(name) => namespaces::remove(name),
        Step::AddLink { name, link, peer } => {
            named("make link", name, add_link(name, link, peer.as_ref()))
        }
        Step::RemoveLink { name, .. } => named("remove link", name, remove_link(name)),
        Step::ShapeLink { name, link, .. } => named("change link", name, shape_link(name, link)),
        Step::SwitchLink { name, up, .. } => named("switch link", name, switch_link(name, *up)),
        Step::Limit { name, rate, .. } => named("limit", name, shape::limit(name, rate.as_ref())),
        Step::Detour { name, by, .. } => {
            named("lead round", name, shape::detour(name, by.as_deref()))
        }
        Step::Tags { name, tags, .. } => named("lead by tag", name, tags::set(name, tags.as_ref())),
        Step::Set { path, value, .. } => named("set net/", path, set(path, value)),
        Step::Addresses(_, wanted) => each(wanted, address, |one| {
            format!("address {} of {}", one.net, one.link)
        }),
        Step::Routes(_, wanted) => {
            each(wanted, route, |one| format!("route to {}", one.destination))
        }
        Step::Forwards { link, change, .. } => each(
            change,
            |route, verb, one| forward(route, verb, link, one),
            |one| format!("forwarding entry {} of {link}", one.mac),
        ),
        Step::Neighbours { link, change, .. } => each(
            change,
            |route, verb, one| neighbour(route, verb, link, one),
            |one| format!("neighbour {} of {link}", one.ip),
        ),
        Step::Announce { link, ips, .. } => named("announce on", link, announce(link, ips)),
        Step::Tables { script, .. } => nft::load(script),
    }
}

fn named(attempt: &str, name: &str, done: io::Result<()>) -> Result<(), DriverError> {
    let attempt = || match attempt.ends_with('/') {
        true => format!("{attempt}{name}"),
        false => format!("{attempt} {name}"),
    };
    done.map_err(|why| DriverError::new(attempt(), why))
}

/// What a change of an entry is sent as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Remove,
}

/// Removes, then adds; goes on after an error, of which the first is told.
fn each<T>(
    wanted: &Change<T>,
    send: impl Fn(&mut Route, Verb, &T) -> io::Result<()>,
    show: impl Fn(&T) -> String,
) -> Result<(), DriverError> {
    let mut socket = Route::open().map_err(|why| DriverError::new("talk to the kernel", why))?;
    let mut first = None;
    let verbs = [(Verb::Remove, &wanted.remove), (Verb::Add, &wanted.add)];
    for (verb, entries) in verbs {
        for entry in entries {
            let done = match send(&mut socket, verb, entry) {
                Err(why) if verb == Verb::Remove && is_gone(&why) => Ok(()),
                Err(why) if verb == Verb::Add && why.kind() == io::ErrorKind::AlreadyExists => {
                    Ok(())
                }
                other => other,
            };
            if let Err(why) = done {
                let word = if verb == Verb::Add { "add" } else { "remove" };
                first.get_or_insert_with(|| {
                    DriverError::new(format!("{word} {}", show(entry)), why)
                });
            }
        }
    }
    first.map_or(Ok(()), Err)
}

pub(super) fn is_gone(why: &io::Error) -> bool {
    let gone = [libc::ENOENT, libc::ENODEV, libc::EADDRNOTAVAIL, libc::ESRCH];
    why.raw_os_error().is_some_and(|code| gone.contains(&code))
        || why.kind() == io::ErrorKind::NotFound
}

fn add_link(name: &str, link: &Link, peer: Option<&Link>) -> io::Result<()> {
    let (kind, data) = match &link.kind {
        LinkKind::Tap => return tap::ensure(name),
        LinkKind::Loopback | LinkKind::Inner { .. } | LinkKind::Foreign(_) => return Ok(()),
        LinkKind::Bridge => (InfoKind::Bridge, bridge()),
        LinkKind::Ifb => return create_of(name, link, vec![LinkInfo::Kind(InfoKind::Ifb)]),
        LinkKind::Vxlan { vni, local, port } => {
            let end = match local {
                IpAddr::V4(ip) => InfoVxlan::Local(*ip),
                IpAddr::V6(ip) => InfoVxlan::Local6(*ip),
            };
            let learning = InfoVxlan::Learning(false);
            let infos = vec![InfoVxlan::Id(*vni), end, InfoVxlan::Port(*port), learning];
            (InfoKind::Vxlan, InfoData::Vxlan(infos))
        }
        LinkKind::Veth {
            space,
            peer: inside,
        } => {
            let home = match space.as_str() {
                HOST => None,
                space => Some(File::open(Path::new("/run/netns").join(space))?),
            };
            let mut end = message(inside);
            if let Some(home) = &home {
                end.attributes
                    .push(LinkAttribute::NetNsFd(home.as_raw_fd()));
            }
            if let Some(peer) = peer {
                body(&mut end, peer);
            }
            let data = InfoData::Veth(InfoVeth::Peer(end));
            let made = create(name, link, (InfoKind::Veth, data));
            drop(home); // not before the kernel has seen it
            return made;
        }
    };
    create(name, link, (kind, data))
}

fn bridge() -> InfoData {
    InfoData::Bridge(vec![
        InfoBridge::StpState(BridgeStpState::Disabled),
        InfoBridge::ForwardDelay(0),
        InfoBridge::MulticastSnooping(false),
    ])
}

fn create(name: &str, link: &Link, (kind, data): (InfoKind, InfoData)) -> io::Result<()> {
    create_of(name, link, vec![LinkInfo::Kind(kind), LinkInfo::Data(data)])
}

fn create_of(name: &str, link: &Link, info: Vec<LinkInfo>) -> io::Result<()> {
    let mut wanted = message(name);
    body(&mut wanted, link);
    wanted.attributes.push(LinkAttribute::LinkInfo(info));
    Route::open()?.change(
        RouteNetlinkMessage::NewLink(wanted),
        NLM_F_CREATE | NLM_F_EXCL,
    )
}

fn message(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message
        .attributes
        .push(LinkAttribute::IfName(name.to_owned()));
    message
}

fn body(message: &mut LinkMessage, link: &Link) {
    if let Some(mac) = link.mac {
        message
            .attributes
            .push(LinkAttribute::Address(mac.0.to_vec()));
    }
    if let Some(mtu) = link.mtu {
        message.attributes.push(LinkAttribute::Mtu(mtu));
    }
}

fn remove_link(name: &str) -> io::Result<()> {
    match Route::open()?.change(RouteNetlinkMessage::DelLink(message(name)), 0) {
        Err(why) if is_gone(&why) => Ok(()),
        other => other,
    }
}

fn shape_link(name: &str, link: &Link) -> io::Result<()> {
    let mut route = Route::open()?;
    let mut wanted = message(name);
    body(&mut wanted, link);
    let controller = match &link.bridge {
        Some(bridge) => route.index(bridge)?,
        None => 0,
    };
    let there = route.link(name)?;
    let already = there
        .attributes
        .contains(&LinkAttribute::Controller(controller));
    if !already && (controller != 0 || has_controller(&there)) {
        wanted
            .attributes
            .push(LinkAttribute::Controller(controller));
    }
    route.change(RouteNetlinkMessage::SetLink(wanted), 0)?;
    if link.bridge.is_none() {
        return Ok(());
    }
    let mut port = message(name);
    let flags = vec![
        InfoBridgePort::Learning(link.learning),
        InfoBridgePort::NeighSupress(link.suppress),
    ];
    port.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(flags)),
    ]));
    route.change(RouteNetlinkMessage::NewLink(port), 0)
}

fn has_controller(link: &LinkMessage) -> bool {
    let mut attributes = link.attributes.iter();
    attributes.any(|attribute| matches!(attribute, LinkAttribute::Controller(_)))
}

fn switch_link(name: &str, up: bool) -> io::Result<()> {
    let mut wanted = message(name);
    wanted.header.change_mask = LinkFlags::Up;
    if up {
        wanted.header.flags = LinkFlags::Up;
    }
    Route::open()?.change(RouteNetlinkMessage::SetLink(wanted), 0)
}

fn set(path: &str, value: &str) -> io::Result<()> {
    let file = Path::new("/proc/sys/net").join(path);
    if path.starts_with("bridge/") && !file.exists() {
        let _it_shows = child::run("modprobe", &["br_netfilter"], "");
    }
    std::fs::write(file, value)
}

fn address(route: &mut Route, verb: Verb, entry: &Address) -> io::Result<()> {
    let mut message = AddressMessage::default();
    message.header.index = route.index(&entry.link)?;
    message.header.prefix_len = entry.net.prefix_len();
    let ip = entry.net.addr();
    message.header.family = family(ip);
    if let IpAddr::V6(v6) = ip
        && v6.is_unicast_link_local()
    {
        message.header.scope = AddressScope::Link;
    }
    message.attributes.push(AddressAttribute::Local(ip));
    message.attributes.push(AddressAttribute::Address(ip));
    if let IpNet::V4(net) = entry.net
        && net.prefix_len() < 31
    {
        message
            .attributes
            .push(AddressAttribute::Broadcast(net.broadcast()));
    }
    match verb {
        Verb::Add => route.change(
            RouteNetlinkMessage::NewAddress(message),
            NLM_F_CREATE | NLM_F_EXCL,
        ),
        Verb::Remove => route.change(RouteNetlinkMessage::DelAddress(message), 0),
    }
}

const fn family(ip: IpAddr) -> AddressFamily {
    match ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn route(socket: &mut Route, verb: Verb, entry: &RouteEntry) -> io::Result<()> {
    let mut message = RouteMessage::default();
    let ip = entry.destination.addr();
    message.header.address_family = family(ip);
    message.header.destination_prefix_length = entry.destination.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::from(PROTOCOL);
    message.header.kind = match entry.link {
        Some(_) => RouteType::Unicast,
        None => RouteType::BlackHole,
    };
    message.header.scope = match (&entry.link, entry.nexthop) {
        (Some(_), None) if ip.is_ipv4() => RouteScope::Link,
        _other => RouteScope::Universe,
    };
    if entry.destination.prefix_len() > 0 {
        message
            .attributes
            .push(RouteAttribute::Destination(RouteAddress::from(ip)));
    }
    if let Some(nexthop) = entry.nexthop {
        message
            .attributes
            .push(RouteAttribute::Gateway(RouteAddress::from(nexthop)));
    }
    if let Some(link) = &entry.link {
        message
            .attributes
            .push(RouteAttribute::Oif(socket.index(link)?));
    }
    if entry.metric > 0 {
        message
            .attributes
            .push(RouteAttribute::Priority(entry.metric));
    }
    match verb {
        Verb::Add => socket.change(
            RouteNetlinkMessage::NewRoute(message),
            NLM_F_CREATE | NLM_F_EXCL,
        ),
        Verb::Remove => socket.change(RouteNetlinkMessage::DelRoute(message), 0),
    }
}

fn forward(route: &mut Route, verb: Verb, link: &str, entry: &Forward) -> io::Result<()> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = route.index(link)?;
    // A tunnel takes permanent entries only, and a bridge takes those for addresses of its own.
    (message.header.state, message.header.flags) = match entry.host {
        Some(_) => (NeighbourState::Permanent, NeighbourFlags::Own),
        None => (NeighbourState::Noarp, NeighbourFlags::Controller),
    };
    let mac = entry.mac.0.to_vec();
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(mac));
    if let Some(host) = entry.host {
        message
            .attributes
            .push(NeighbourAttribute::Destination(neighbour_address(host)));
    }
    if verb == Verb::Remove {
        return route.change(RouteNetlinkMessage::DelNeighbour(message), 0);
    }
    // Frames for everybody go to every host; a guest's frames go to the one where it is now.
    let flags = if entry.mac == Mac::EVERYBODY {
        NLM_F_APPEND
    } else {
        NLM_F_REPLACE
    };
    route.change(
        RouteNetlinkMessage::NewNeighbour(message),
        NLM_F_CREATE | flags,
    )
}

const fn neighbour_address(ip: IpAddr) -> NeighbourAddress {
    match ip {
        IpAddr::V4(ip) => NeighbourAddress::Inet(ip),
        IpAddr::V6(ip) => NeighbourAddress::Inet6(ip),
    }
}

fn neighbour(route: &mut Route, verb: Verb, link: &str, entry: &Neighbour) -> io::Result<()> {
    let mut message = NeighbourMessage::default();
    message.header.family = family(entry.ip);
    message.header.ifindex = route.index(link)?;
    message.header.state = NeighbourState::Permanent;
    let address = neighbour_address(entry.ip);
    message
        .attributes
        .push(NeighbourAttribute::Destination(address));
    let mac = entry.mac.0.to_vec();
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(mac));
    match verb {
        Verb::Add => route.change(
            RouteNetlinkMessage::NewNeighbour(message),
            NLM_F_CREATE | NLM_F_REPLACE,
        ),
        Verb::Remove => route.change(RouteNetlinkMessage::DelNeighbour(message), 0),
    }
}

/// Gratuitous ARP: neighbours that knew the addresses elsewhere learn where they are now. IPv6 does it by itself.
fn announce(link: &str, ips: &[IpAddr]) -> io::Result<()> {
    let found = Route::open()?.link(link)?;
    let mac = found
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Address(bytes) => Mac::from_slice(bytes),
            _other => None,
        });
    let (Some(mac), true) = (mac, found.header.flags.contains(LinkFlags::Up)) else {
        return Ok(());
    };
    for ip in ips {
        if let IpAddr::V4(ip) = ip {
            packets::send_once(found.header.index, &packets::gratuitous_arp(mac, *ip))?;
        }
    }
    Ok(())
}
