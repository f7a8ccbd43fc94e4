//! DHCP for IPv6: addresses (stateful) and the rest (stateless).

use std::net::{IpAddr, Ipv6Addr};

use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAAddr, IANA, Message, MessageType, OptionCode, Status, StatusCode,
};
use dhcproto::{Decodable, Decoder, Encodable};

use super::{Guest, LEASE_SECS, udp};
use crate::driver::METADATA_MAC;

/// The answer to a guest's DHCPv6 message.
pub fn answer(guest: &Guest, from: Ipv6Addr, payload: &[u8]) -> Option<Vec<u8>> {
    let asked = Message::decode(&mut Decoder::new(payload)).ok()?;
    if !guest.v6.iter().any(|lease| lease.managed || lease.other) {
        return None;
    }
    if let Some(DhcpOption::ServerId(server)) = asked.opts().get(OptionCode::ServerId)
        && *server != server_id()
    {
        return None;
    }
    let rapid = asked.opts().get(OptionCode::RapidCommit).is_some();
    let kind = match asked.msg_type() {
        MessageType::Solicit if !rapid => MessageType::Advertise,
        MessageType::Solicit
        | MessageType::Request
        | MessageType::Confirm
        | MessageType::Renew
        | MessageType::Rebind
        | MessageType::Release
        | MessageType::Decline
        | MessageType::InformationRequest => MessageType::Reply,
        _other => return None,
    };
    let mut reply = Message::new_with_id(kind, asked.xid());
    let options = reply.opts_mut();
    options.insert(DhcpOption::ServerId(server_id()));
    if let Some(client @ DhcpOption::ClientId(_)) = asked.opts().get(OptionCode::ClientId) {
        options.insert(client.clone());
    }
    match asked.msg_type() {
        MessageType::InformationRequest => {}
        MessageType::Confirm | MessageType::Release | MessageType::Decline => {
            options.insert(status(Status::Success));
        }
        _with_addresses => {
            if rapid && asked.msg_type() == MessageType::Solicit {
                options.insert(DhcpOption::RapidCommit);
            }
            let asked = asked.opts().get_all(OptionCode::IANA).unwrap_or_default();
            for option in asked.iter().take(4) {
                if let DhcpOption::IANA(ia) = option {
                    options.insert(DhcpOption::IANA(addresses(guest, ia.id)));
                }
            }
        }
    }
    let dns: Vec<_> = guest
        .v6
        .iter()
        .flat_map(|lease| lease.dns.clone())
        .collect();
    if !dns.is_empty() {
        options.insert(DhcpOption::DomainNameServers(dns));
    }
    let payload = reply.to_vec().ok()?;
    let ips = (IpAddr::V6(METADATA_MAC.link_local()), IpAddr::V6(from));
    udp((METADATA_MAC, guest.mac), ips, (547, 546), &payload)
}

fn server_id() -> Vec<u8> {
    let mut id = vec![0, 3, 0, 1]; // DUID-LL, Ethernet
    id.extend_from_slice(&METADATA_MAC.0);
    id
}

fn status(status: Status) -> DhcpOption {
    DhcpOption::StatusCode(StatusCode {
        status,
        msg: String::new(),
    })
}

fn addresses(guest: &Guest, id: u32) -> IANA {
    let mut opts = DhcpOptions::new();
    let managed = guest.v6.iter().filter(|lease| lease.managed);
    for lease in managed {
        opts.insert(DhcpOption::IAAddr(IAAddr {
            addr: lease.net.addr(),
            preferred_life: LEASE_SECS,
            valid_life: LEASE_SECS,
            opts: DhcpOptions::new(),
        }));
    }
    if opts.iter().next().is_none() {
        opts.insert(status(Status::NoAddrsAvail));
    }
    IANA {
        id,
        t1: LEASE_SECS / 2,
        t2: LEASE_SECS / 8 * 7,
        opts,
    }
}
