//! DHCP for IPv4.

use std::net::{IpAddr, Ipv4Addr};

use dhcproto::v4::{
    DhcpOption, DhcpOptions, Message, MessageType, Opcode, OptionCode, UnknownOption,
};
use dhcproto::{Decodable, Decoder, Encodable};
use ipnet::Ipv4Net;

use super::{DOMAIN, Guest, LEASE_SECS, Lease4, udp};
use crate::agent::picture::METADATA_V4;
use crate::driver::METADATA_MAC;
use crate::driver::plane::Mac;

/// The name under which every host answers: an address that is the guest's own host's in every network.
const SERVER: Ipv4Addr = METADATA_V4;

/// The answer to a guest's DHCP message.
pub fn answer(guest: &Guest, payload: &[u8]) -> Option<Vec<u8>> {
    let asked = Message::decode(&mut Decoder::new(payload)).ok()?;
    let lease = guest.v4.as_ref()?;
    let for_us = match asked.opts().get(OptionCode::ServerIdentifier) {
        Some(DhcpOption::ServerIdentifier(server)) => *server == SERVER,
        _none => true,
    };
    if asked.opcode() != Opcode::BootRequest || asked.chaddr().get(..6)? != guest.mac.0 || !for_us {
        return None;
    }
    let kind = match asked.opts().msg_type()? {
        MessageType::Discover => MessageType::Offer,
        MessageType::Request if wants_other(&asked, lease) => MessageType::Nak,
        MessageType::Request | MessageType::Inform => MessageType::Ack,
        _release_decline_and_others => return None,
    };
    let mut reply = Message::default();
    reply
        .set_opcode(Opcode::BootReply)
        .set_xid(asked.xid())
        .set_flags(asked.flags())
        .set_giaddr(asked.giaddr())
        .set_chaddr(&guest.mac.0);
    if kind != MessageType::Nak {
        reply.set_siaddr(SERVER);
        if asked.opts().msg_type() != Some(MessageType::Inform) {
            reply.set_yiaddr(lease.net.addr());
        }
        reply.set_ciaddr(asked.ciaddr());
        reply.set_opts(options(guest, lease, kind));
        boot_file(guest, &mut reply);
    } else {
        reply
            .opts_mut()
            .insert(DhcpOption::ServerIdentifier(SERVER));
    }
    reply.opts_mut().insert(DhcpOption::MessageType(kind));
    let payload = reply.to_vec().ok()?;
    let (mac, ip) = destination(guest, lease, &asked, kind);
    let ips = (IpAddr::V4(SERVER), IpAddr::V4(ip));
    udp((METADATA_MAC, mac), ips, (67, 68), &payload)
}

/// Whether the guest asks to keep an address that is not its own (any more).
fn wants_other(asked: &Message, lease: &Lease4) -> bool {
    let wanted = match asked.opts().get(OptionCode::RequestedIpAddress) {
        Some(DhcpOption::RequestedIpAddress(ip)) => *ip,
        _none => asked.ciaddr(),
    };
    wanted != lease.net.addr()
}

/// RFC 2131, 4.1: to the address it has; else to everybody if it cannot hear otherwise.
fn destination(
    guest: &Guest,
    lease: &Lease4,
    asked: &Message,
    kind: MessageType,
) -> (Mac, Ipv4Addr) {
    let everybody = (Mac([0xff; 6]), Ipv4Addr::BROADCAST);
    if kind == MessageType::Nak {
        return everybody;
    }
    if !asked.ciaddr().is_unspecified() {
        return (guest.mac, asked.ciaddr());
    }
    if asked.flags().broadcast() {
        return everybody;
    }
    (guest.mac, lease.net.addr())
}

fn options(guest: &Guest, lease: &Lease4, kind: MessageType) -> DhcpOptions {
    let mut options = DhcpOptions::new();
    options.insert(DhcpOption::ServerIdentifier(SERVER));
    if kind == MessageType::Offer || kind == MessageType::Ack {
        options.insert(DhcpOption::AddressLeaseTime(LEASE_SECS));
        options.insert(DhcpOption::Renewal(LEASE_SECS / 2));
        options.insert(DhcpOption::Rebinding(LEASE_SECS / 8 * 7));
    }
    options.insert(DhcpOption::SubnetMask(lease.net.netmask()));
    options.insert(DhcpOption::BroadcastAddr(lease.net.broadcast()));
    if let Some(gateway) = lease.gateway {
        options.insert(DhcpOption::Router(vec![gateway]));
    }
    if !lease.dns.is_empty() {
        options.insert(DhcpOption::DomainNameServer(lease.dns.clone()));
    }
    if let Ok(mtu) = u16::try_from(guest.mtu) {
        options.insert(DhcpOption::InterfaceMtu(mtu));
    }
    options.insert(DhcpOption::Hostname(guest.hostname.clone()));
    options.insert(DhcpOption::DomainName(DOMAIN.to_owned()));
    options.insert(DhcpOption::ClasslessStaticRoute(routes(lease)));
    for more in guest.options.iter().filter(|more| more.ip_version == 4) {
        if let Some(option) = extra(&more.name, &more.value) {
            options.insert(option);
        }
    }
    options
}

/// RFC 3442: a guest that understands these ignores the router option, so the default route is among them.
fn routes(lease: &Lease4) -> Vec<(Ipv4Net, Ipv4Addr)> {
    let mut routes = vec![(Ipv4Net::from(METADATA_V4), Ipv4Addr::UNSPECIFIED)];
    routes.extend(lease.routes.iter().copied());
    if let Some(gateway) = lease.gateway {
        routes.extend(Ipv4Net::new(Ipv4Addr::UNSPECIFIED, 0).map(|all| (all, gateway)));
    }
    routes
}

/// The header's fields for guests that boot from the network.
fn boot_file(guest: &Guest, reply: &mut Message) {
    for more in guest.options.iter().filter(|more| more.ip_version == 4) {
        match more.name.as_str() {
            "server-ip-address" | "tftp-server-address" => {
                if let Ok(ip) = more.value.parse::<Ipv4Addr>() {
                    reply.set_siaddr(ip);
                }
            }
            "bootfile-name" | "67" if more.value.len() < 128 => {
                reply.set_fname_str(&more.value);
            }
            _other => {}
        }
    }
}

/// An option by dnsmasq's name or by number. Its value is read as numbers and addresses where it looks like such.
fn extra(name: &str, value: &str) -> Option<DhcpOption> {
    let code = match name {
        "netmask" => 1,
        "router" => 3,
        "dns-server" => 6,
        "domain-name" => 15,
        "mtu" => 26,
        "broadcast" => 28,
        "ntp-server" => 42,
        "tftp-server" => 66,
        "bootfile-name" => 67,
        "domain-search" => 119,
        "classless-static-route" => 121,
        "tftp-server-address" => 150,
        "path-prefix" => 210,
        number => number
            .parse()
            .ok()
            .filter(|code| (1..=254).contains(code))?,
    };
    let data = match code {
        26 => value.parse::<u16>().ok()?.to_be_bytes().to_vec(),
        119 => search_list(value)?,
        121 => return Some(DhcpOption::ClasslessStaticRoute(route_list(value)?)),
        _other => addresses(value).unwrap_or_else(|| value.as_bytes().to_vec()),
    };
    Some(DhcpOption::Unknown(UnknownOption::new(
        OptionCode::from(code),
        data,
    )))
}

fn addresses(value: &str) -> Option<Vec<u8>> {
    let parts = value
        .split(',')
        .map(|part| part.trim().parse::<Ipv4Addr>().ok());
    let all: Option<Vec<_>> = parts.collect();
    Some(all?.iter().flat_map(|ip| ip.octets()).collect())
}

/// RFC 3397, without compression.
fn search_list(value: &str) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    for domain in value.split(',') {
        for label in domain.trim().trim_end_matches('.').split('.') {
            data.push(
                u8::try_from(label.len())
                    .ok()
                    .filter(|len| (1..64).contains(len))?,
            );
            data.extend_from_slice(label.as_bytes());
        }
        data.push(0);
    }
    Some(data)
}

/// `10.1.0.0/16,10.0.0.1[,…]`
fn route_list(value: &str) -> Option<Vec<(Ipv4Net, Ipv4Addr)>> {
    let parts: Vec<_> = value.split(',').map(str::trim).collect();
    let pair = |pair: &[&str]| Some((pair.first()?.parse().ok()?, pair.get(1)?.parse().ok()?));
    parts.chunks(2).map(pair).collect()
}
