use dhcproto::v4;
use dhcproto::v6;
use dhcproto::{Decodable as _, Decoder, Encodable as _};
use etherparse::{SlicedPacket, TransportSlice};

use super::*;
use crate::driver::METADATA_MAC;

const MAC: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);

fn guest(mode: &str) -> Guest {
    let network = serde_json::json!({
        "id": "n", "segment": {"type": "vxlan", "vni": 1}, "mtu": 1450,
        "subnets": [
            {"id": "four", "cidr": "10.0.0.0/24", "gateway": "10.0.0.1", "dhcp": true, "dns": ["9.9.9.9"],
             "routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}]},
            {"id": "six", "cidr": "2001:db8::/64", "gateway": "2001:db8::1", "dhcp": true, "dns": ["2001:db8::53"],
             "ipv6_ra_mode": mode, "ipv6_address_mode": mode},
        ],
    });
    let port = serde_json::json!({
        "id": "p", "network_id": "n", "mac": MAC.to_string(), "tap": "tapp",
        "fixed_ips": [{"subnet_id": "four", "ip": "10.0.0.5"}, {"subnet_id": "six", "ip": "2001:db8::5"}],
        "dhcp_options": [
            {"name": "bootfile-name", "value": "pxe", "ip_version": 4},
            {"name": "tftp-server-address", "value": "10.0.0.7", "ip_version": 4},
            {"name": "119", "value": "a.b,c", "ip_version": 4},
            {"name": "nonsense", "value": "x", "ip_version": 4},
            {"name": "26", "value": "1300", "ip_version": 4},
        ],
    });
    let routers = BTreeMap::from([(
        "2001:db8::1".parse().unwrap(),
        Mac([0xfa, 0x16, 0x3e, 0, 0, 9]),
    )]);
    let (port, network) = (
        serde_json::from_value(port).unwrap(),
        serde_json::from_value(network).unwrap(),
    );
    Guest::of(&port, MAC, &network, &routers)
}

fn ask4(kind: v4::MessageType, change: impl FnOnce(&mut v4::Message)) -> Option<v4::Message> {
    let mut message = v4::Message::default();
    message.set_chaddr(&MAC.0).set_xid(42);
    message.opts_mut().insert(v4::DhcpOption::MessageType(kind));
    change(&mut message);
    let frame = udp(
        (MAC, Mac([0xff; 6])),
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()),
        (68, 67),
        &message.to_vec().unwrap(),
    );
    let answer = guest("slaac").answer(&frame.unwrap())?;
    let packet = SlicedPacket::from_ethernet(&answer).unwrap();
    let Some(TransportSlice::Udp(udp)) = packet.transport else {
        panic!("no UDP")
    };
    assert_eq!((udp.source_port(), udp.destination_port()), (67, 68));
    Some(v4::Message::decode(&mut Decoder::new(udp.payload())).unwrap())
}

#[test]
fn a_request_for_its_own_address_is_granted_and_for_another_one_refused() {
    let requested = |ip: [u8; 4]| {
        ask4(v4::MessageType::Request, |message| {
            message
                .opts_mut()
                .insert(v4::DhcpOption::RequestedIpAddress(ip.into()));
        })
    };
    let ack = requested([10, 0, 0, 5]).unwrap();
    assert_eq!(ack.opts().msg_type(), Some(v4::MessageType::Ack));
    assert_eq!((ack.yiaddr(), ack.xid()), (Ipv4Addr::new(10, 0, 0, 5), 42));
    let nak = requested([10, 0, 0, 6]).unwrap();
    assert_eq!(nak.opts().msg_type(), Some(v4::MessageType::Nak));
    assert!(nak.yiaddr().is_unspecified());
}

#[test]
fn questions_that_are_not_for_us_are_not_answered() {
    let other_server = |message: &mut v4::Message| {
        let server = v4::DhcpOption::ServerIdentifier([10, 0, 0, 2].into());
        message.opts_mut().insert(server);
    };
    assert_eq!(ask4(v4::MessageType::Request, other_server), None);
    assert_eq!(ask4(v4::MessageType::Release, |_| ()), None);
    assert_eq!(
        ask4(v4::MessageType::Discover, |message| _ =
            message.set_chaddr(&[1; 6])),
        None
    );
    assert_eq!(guest("slaac").answer(&[0; 9]), None);
    assert_eq!(guest("slaac").answer(&[0xff; 400]), None);
}

#[test]
fn more_options_come_by_name_and_by_number() {
    let offer = ask4(v4::MessageType::Discover, |_| ()).unwrap();
    assert_eq!(offer.fname_str(), Some(Ok("pxe\0")));
    assert_eq!(offer.siaddr(), Ipv4Addr::new(10, 0, 0, 7));
    let option = |code| offer.opts().get(code).cloned();
    assert_eq!(
        option(v4::OptionCode::InterfaceMtu),
        Some(v4::DhcpOption::InterfaceMtu(1300))
    );
    assert!(option(v4::OptionCode::DomainSearch).is_some());
    let Some(v4::DhcpOption::ClasslessStaticRoute(routes)) =
        option(v4::OptionCode::ClasslessStaticRoute)
    else {
        panic!("no routes")
    };
    assert_eq!(routes.len(), 3, "{routes:?}");
}

fn ask6(mode: &str, kind: v6::MessageType, ask_address: bool) -> Option<v6::Message> {
    let mut message = v6::Message::new_with_id(kind, [1, 2, 3]);
    message
        .opts_mut()
        .insert(v6::DhcpOption::ClientId(vec![9, 9]));
    if ask_address {
        message.opts_mut().insert(v6::DhcpOption::IANA(v6::IANA {
            id: 7,
            t1: 0,
            t2: 0,
            opts: v6::DhcpOptions::new(),
        }));
    }
    let frame = udp(
        (MAC, Mac([0x33, 0x33, 0, 1, 0, 2])),
        (MAC.link_local().into(), "ff02::1:2".parse().unwrap()),
        (546, 547),
        &message.to_vec().unwrap(),
    );
    let answer = guest(mode).answer(&frame.unwrap())?;
    let packet = SlicedPacket::from_ethernet(&answer).unwrap();
    let Some(TransportSlice::Udp(udp)) = packet.transport else {
        panic!("no UDP")
    };
    Some(v6::Message::decode(&mut Decoder::new(udp.payload())).unwrap())
}

fn address(message: &v6::Message) -> Option<std::net::Ipv6Addr> {
    let Some(v6::DhcpOption::IANA(ia)) = message.opts().get(v6::OptionCode::IANA) else {
        return None;
    };
    match ia.opts.get(v6::OptionCode::IAAddr) {
        Some(v6::DhcpOption::IAAddr(address)) => Some(address.addr),
        _none => None,
    }
}

#[test]
fn dhcpv6_tells_addresses_only_where_the_subnet_is_stateful() {
    let own = "2001:db8::5".parse().ok();
    let advertise = ask6("dhcpv6-stateful", v6::MessageType::Solicit, true).unwrap();
    assert_eq!(advertise.msg_type(), v6::MessageType::Advertise);
    assert_eq!(address(&advertise), own);
    let reply = ask6("dhcpv6-stateful", v6::MessageType::Request, true).unwrap();
    assert_eq!(
        (reply.msg_type(), address(&reply)),
        (v6::MessageType::Reply, own)
    );
    let reply = ask6(
        "dhcpv6-stateless",
        v6::MessageType::InformationRequest,
        false,
    )
    .unwrap();
    assert_eq!(address(&reply), None);
    assert!(
        reply
            .opts()
            .get(v6::OptionCode::DomainNameServers)
            .is_some()
    );
    assert_eq!(ask6("slaac", v6::MessageType::Solicit, true), None);
}

#[track_caller]
fn check_advert(mode: &str, flags: u8, autonomous: bool) {
    let advert = guest(mode).advert().unwrap();
    let icmp = &advert[14 + 40..];
    assert_eq!((icmp[0], icmp[5]), (134, flags), "{mode}");
    let prefix = icmp
        .windows(3)
        .position(|window| window == [3, 4, 64])
        .unwrap();
    assert_eq!(icmp[prefix + 3] & 0x40 != 0, autonomous, "{mode}");
}

#[test]
fn the_advertisement_says_how_addresses_are_made() {
    check_advert("slaac", 0, true);
    check_advert("dhcpv6-stateless", 0x40, true);
    check_advert("dhcpv6-stateful", 0xc0, false);
    let mut nobody = guest("slaac");
    nobody.v6.iter_mut().for_each(|lease| lease.router = None);
    assert_eq!(nobody.advert(), None);
    assert_ne!(METADATA_MAC, MAC);
}
