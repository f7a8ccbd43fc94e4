//! What a guest gets from its own host: addresses and its own data.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{DhcpOption, DhcpOptions, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use etherparse::{SlicedPacket, TransportSlice};
use serde_json::json;

use super::bench::*;
use crate::driver::METADATA_MAC;
use crate::driver::plane::Mac;
use crate::model::spec::*;

pub fn dhcp(card: Mac, kind: MessageType, more: &[DhcpOption]) -> Vec<u8> {
    let mut message = Message::default();
    message.set_chaddr(&card.0).set_xid(7);
    let mut options = DhcpOptions::new();
    options.insert(DhcpOption::MessageType(kind));
    more.iter()
        .for_each(|option| _ = options.insert(option.clone()));
    message.set_opts(options);
    let body = message.to_vec().unwrap();
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2(card.0, [0xff; 6])
        .ipv4([0; 4], [255; 4], 64)
        .udp(68, 67)
        .write(&mut frame, &body)
        .unwrap();
    frame
}

async fn dhcp_answer(card: &Card) -> Option<Message> {
    card.next(Duration::from_secs(3), dhcp_of).await
}

/// The answer that is in a frame.
pub fn dhcp_of(frame: &[u8]) -> Option<Message> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    match packet.transport? {
        TransportSlice::Udp(udp) if udp.destination_port() == 68 => {
            Message::decode(&mut Decoder::new(udp.payload())).ok()
        }
        _other => None,
    }
}

#[test]
fn a_guest_gets_its_address_from_its_own_host_and_nobody_else_hears_of_it() {
    alone(|| async {
        let (mut bench, one, two) = two(vec![rule(json!({}))]).await;
        bench
            .port(11, &[1])
            .dhcp_options
            .push(DhcpOption_("ntp-server", "10.0.0.5"));
        bench.port(12, &[1, 2]).port_security = false; // hears everything that is on the network
        bench.apply().await;
        one.send(&dhcp(one.mac, MessageType::Discover, &[]));
        let offer = dhcp_answer(&one).await.expect("an offer");
        assert_eq!(offer.opts().msg_type(), Some(MessageType::Offer));
        let wanted = DhcpOption::RequestedIpAddress(Ipv4Addr::new(10, 0, 0, 11));
        one.send(&dhcp(one.mac, MessageType::Request, &[wanted]));
        let ack = dhcp_answer(&one).await.expect("an acknowledgement");
        assert_eq!(ack.opts().msg_type(), Some(MessageType::Ack));
        assert_eq!(ack.yiaddr(), Ipv4Addr::new(10, 0, 0, 11));
        let option = |code: OptionCode| ack.opts().get(code).cloned();
        assert_eq!(
            option(OptionCode::InterfaceMtu),
            Some(DhcpOption::InterfaceMtu(1450))
        );
        assert_eq!(
            option(OptionCode::SubnetMask),
            Some(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)))
        );
        assert_eq!(
            option(OptionCode::Hostname),
            Some(DhcpOption::Hostname("guest-11".into()))
        );
        assert_eq!(
            option(OptionCode::NtpServers),
            Some(DhcpOption::NtpServers(vec![Ipv4Addr::new(10, 0, 0, 5)]))
        );
        let Some(DhcpOption::ClasslessStaticRoute(routes)) =
            option(OptionCode::ClasslessStaticRoute)
        else {
            panic!("no routes")
        };
        let routes: Vec<_> = routes
            .iter()
            .map(|(net, hop)| format!("{net} {hop}"))
            .collect();
        assert_eq!(routes, ["169.254.169.254/32 0.0.0.0", "0.0.0.0/0 10.0.0.1"]);
        let heard = two.next(Duration::from_millis(150), |frame| {
            let packet = SlicedPacket::from_ethernet(frame).ok()?;
            matches!(packet.transport?, TransportSlice::Udp(udp) if udp.destination_port() == 67)
                .then_some(())
        });
        assert_eq!(heard.await, None, "the question went round");
    });
}

#[expect(non_snake_case, reason = "two types of one name")]
fn DhcpOption_(name: &str, value: &str) -> crate::model::spec::DhcpOption {
    crate::model::spec::DhcpOption {
        name: name.into(),
        value: value.into(),
        ip_version: 4,
    }
}

#[test]
fn a_guest_that_plays_dhcp_server_or_router_is_not_heard() {
    alone(|| async {
        let all = vec![rule(json!({})), rule(json!({"ip_version": 6}))];
        let (mut bench, one, two) = two(all).await;
        let six = rule(json!({"direction": "egress", "ip_version": 6}));
        bench
            .documents
            .groups
            .get_mut(&id(1))
            .unwrap()
            .rules
            .push(six);
        bench.apply().await;
        one.udp((two.mac, "10.0.0.12"), (67, 68), "take this address");
        two.hears_not("take this address").await;
        let ips = (one.mac.link_local(), "ff02::1".parse().unwrap());
        one.send(&icmp6(
            (one.mac, Mac([0x33, 0x33, 0, 0, 0, 1])),
            ips,
            134,
            &[0; 12],
        ));
        let told = two.next(Duration::from_millis(150), |frame| {
            (frame[12..14] == [0x86, 0xdd] && frame.get(54) == Some(&134)).then_some(())
        });
        assert_eq!(told.await, None);
        let chain = shell(&format!(
            "nft list chain bridge nephos_sg spoof_{}",
            tap(11)
        ));
        for what in ["rogue DHCP", "rogue router"] {
            let counted = chain
                .lines()
                .any(|line| line.contains(what) && line.contains("packets 1 "));
            assert!(counted, "{what}: {chain}");
        }
    });
}

#[test]
fn the_metadata_service_knows_who_asks_and_believes_nothing_else() {
    alone(|| async {
        let (bench, one, _two) = two(Vec::new()).await;
        let there = Ipv4Addr::new(169, 254, 169, 254);
        let via = one
            .arp("169.254.169.254")
            .await
            .expect("it answers for its address");
        assert_eq!(via, METADATA_MAC);
        let ask = "GET /openstack/latest/meta_data.json HTTP/1.1\r\nHost: x\r\nX-Instance-ID: server-12\r\nX-Forwarded-For: 10.0.0.12\r\n\r\n";
        let answer = one.http(via, there, ask).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("you are server-11"), "{answer}");
        let asked = bench.asked.lock().unwrap();
        let asked = asked.last().unwrap();
        assert_eq!(asked.path, "/metadata/openstack/latest/meta_data.json");
        let header = |name: &str| asked.headers.get(name).unwrap().to_str().unwrap();
        assert_eq!(header("x-tenant-id"), "p");
        assert_eq!(header("x-forwarded-for"), "10.0.0.11");
        // With the token of the host.
        assert_eq!(header("x-auth-token"), "of host a");
        let listening = shell(&format!("ip netns exec nephos-m-{} ss -Hltn", id(1)));
        assert!(listening.contains("169.254.169.254:80"), "{listening}");
        assert!(
            listening.contains("[fe80::a9fe:a9fe]%meta0:80"),
            "{listening}"
        );
    });
}

#[test]
fn the_metadata_service_is_also_found_by_way_of_a_gateway_and_knows_no_strangers() {
    alone(|| async {
        let (mut bench, one, _two) = two(Vec::new()).await;
        let there = Ipv4Addr::new(169, 254, 169, 254);
        let gateway = mac(200); // whatever is behind it
        let answer = one
            .http(gateway, there, "GET / HTTP/1.0\r\n\r\n")
            .await
            .expect("an answer");
        assert!(answer.ends_with("you are server-11"), "{answer}");
        bench
            .port(11, &[1])
            .allowed_address_pairs
            .push(AddressPair {
                cidr: "10.0.0.50/32".parse().unwrap(),
                mac: None,
            });
        bench.apply_news().await;
        let mut stranger = one;
        stranger.ip = Ipv4Addr::new(10, 0, 0, 50);
        let answer = stranger
            .http(gateway, there, "GET / HTTP/1.0\r\n\r\n")
            .await
            .expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    });
}
