//! What routers and floating IPs must do for guests.

use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use serde_json::json;

use super::bench::*;
use crate::driver::plane::Mac;
use crate::model::spec::*;

/// Network 9 outside (172.24.4.0/24, the host is .1), router 1 with legs in it (.5) and in network 1 (10.0.0.1).
pub(super) fn add_router(bench: &mut Bench, fips: &[(&str, &str)]) {
    let segment = Segment::Flat {
        physical_network: "public".into(),
    };
    bench
        .documents
        .networks
        .insert(id(9), network(9, segment, "172.24.4.0/24"));
    let leg = |n: u8, network: u8, net: &str| RouterLeg {
        port_id: id(n),
        network_id: id(network),
        mac: mac(n).to_string(),
        addresses: vec![net.parse().unwrap()],
        limits: Limits::default(),
    };
    let fips = fips.iter().map(|(floating, fixed)| FloatingIpSpec {
        id: String::new(),
        floating: floating.parse().unwrap(),
        fixed: fixed.parse().unwrap(),
    });
    let spec = RouterSpec {
        id: id(100),
        project_id: String::new(),
        admin_state_up: true,
        interfaces: vec![leg(101, 1, "10.0.0.1/24")],
        gateway: Some(RouterGateway {
            leg: leg(102, 9, "172.24.4.5/24"),
            nexthops: vec!["172.24.4.1".parse().unwrap()],
            snat: true,
        }),
        routes: Vec::new(),
        floating_ips: fips.collect(),
    };
    bench.documents.routers.insert(spec.id.clone(), spec);
}

/// A socket of somebody outside: the host.
pub(super) fn outside(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(("172.24.4.1", port)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(1500)))
        .unwrap();
    socket
}

pub(super) fn received(socket: &UdpSocket) -> Option<(String, IpAddr)> {
    let mut bytes = [0; 100];
    let (length, from) = socket.recv_from(&mut bytes).ok()?;
    Some((
        String::from_utf8_lossy(&bytes[..length]).into_owned(),
        from.ip(),
    ))
}

#[test]
fn guests_go_out_under_the_routers_address_and_nobody_comes_in_by_it() {
    alone(|| async {
        let (mut bench, one, _two) = two(vec![rule(json!({}))]).await;
        add_router(&mut bench, &[]);
        bench.apply_news().await;
        settle(11);
        bench.apply().await;
        bench.all_is_up();
        assert_eq!(one.arp("10.0.0.1").await, Some(mac(101)));
        let server = outside(7000);
        one.udp((mac(101), "172.24.4.1"), (1000, 7000), "hello");
        assert_eq!(
            received(&server),
            Some(("hello".into(), "172.24.4.5".parse().unwrap()))
        );
        server.send_to(b"back", "172.24.4.5:1000").unwrap();
        assert!(one.hears("back").await.is_some());
        let other = outside(7001);
        other.send_to(b"uninvited", "172.24.4.5:1000").unwrap();
        one.hears_not("uninvited").await;
    });
}

#[test]
fn a_host_with_nothing_plugged_into_the_bridge_outside_says_that_it_is_no_way_out() {
    alone(|| async {
        let mut settings = settings("127.0.0.1");
        for outside in settings.physical_networks.values_mut() {
            outside.host_address = None;
        }
        let driver: std::sync::Arc<dyn crate::driver::Driver> = std::sync::Arc::new(
            crate::driver::kernel::Kernel::new(&settings.namespace_prefix),
        );
        let mut bench = Bench::with(settings, driver);
        bench.port(11, &[1]);
        add_router(&mut bench, &[]);
        let of_host = |bench: &Bench| -> HostReport {
            let due = bench.reports.due(true, &nephos_runtime::Clock::system());
            let host = due.iter().find(|seen| seen.kind == KIND_HOST).unwrap();
            serde_json::from_value(host.detail.clone()).unwrap()
        };
        bench.apply().await; // the router's own leg is in the bridge, and is no way out
        let report = of_host(&bench);
        assert_eq!((report.gateway, report.physical_networks), (false, vec![]));
        let [(kind, state, why)] = bench.not_up().try_into().unwrap();
        assert_eq!((kind.as_str(), state.as_str()), (KIND_ROUTER, "failed"));
        assert!(
            why.contains("nothing is plugged into nx-public on host one"),
            "{why}"
        );
        shell("ip link add card type veth peer name switch; ip link set card master nx-public up");
        bench.apply().await;
        bench.all_is_up();
        let report = of_host(&bench);
        assert_eq!(
            (report.gateway, report.physical_networks),
            (true, vec!["public".to_owned()])
        );
    });
}

#[test]
fn a_floating_ip_leads_in_and_out_and_its_connections_die_with_it() {
    alone(|| async {
        let (mut bench, _one, two) = two(vec![web()]).await;
        add_router(&mut bench, &[("172.24.4.50", "10.0.0.12")]);
        bench.apply_news().await;
        settle(11);
        bench.all_is_up();
        let client = outside(7000);
        client.send_to(b"in", ("172.24.4.50", WEB)).unwrap();
        assert_eq!(
            two.hears("in").await,
            Some(("172.24.4.1".parse().unwrap(), 7000))
        );
        two.udp((mac(101), "172.24.4.1"), (WEB, 7000), "answer");
        assert_eq!(
            received(&client),
            Some(("answer".into(), "172.24.4.50".parse().unwrap()))
        );
        client.send_to(b"other", "172.24.4.50:8080").unwrap();
        two.hears_not("other").await;
        let server = outside(7002);
        two.udp((mac(101), "172.24.4.1"), (2000, 7002), "out");
        assert_eq!(
            received(&server),
            Some(("out".into(), "172.24.4.50".parse().unwrap()))
        );
        add_router(&mut bench, &[]);
        bench.apply_news().await;
        client.send_to(b"dead", ("172.24.4.50", WEB)).unwrap();
        two.hears_not("dead").await;
        two.udp((mac(101), "172.24.4.1"), (WEB, 7000), "dead answer");
        let heard = received(&client);
        assert_ne!(
            heard.map(|(_, from)| from),
            Some("172.24.4.50".parse().unwrap())
        );
        bench.all_is_up();
    });
}

#[test]
fn guests_behind_one_router_reach_each_other_by_floating_ip() {
    alone(|| async {
        let (mut bench, one, two) = two(vec![web()]).await;
        add_router(
            &mut bench,
            &[("172.24.4.50", "10.0.0.12"), ("172.24.4.51", "10.0.0.11")],
        );
        bench.apply_news().await;
        settle(11);
        one.udp((mac(101), "172.24.4.50"), (1000, WEB), "round");
        assert_eq!(
            two.hears("round").await,
            Some(("172.24.4.51".parse().unwrap(), 1000))
        );
        two.udp((mac(101), "172.24.4.51"), (WEB, 1000), "back");
        assert_eq!(
            one.hears("back").await,
            Some(("172.24.4.50".parse().unwrap(), WEB))
        );
    });
}

#[test]
fn a_guest_hears_of_its_ipv6_router_and_of_nobody_elses() {
    alone(|| async {
        let (mut bench, ..) = two(Vec::new()).await;
        let subnet = SubnetSpec {
            id: "s-2001:db8::/64".into(),
            cidr: "2001:db8::/64".parse().unwrap(),
            gateway: Some("2001:db8::1".parse().unwrap()),
            dhcp: true,
            dns: Vec::new(),
            routes: Vec::new(),
            ipv6_ra_mode: Some("slaac".into()),
            ipv6_address_mode: Some("slaac".into()),
        };
        bench
            .documents
            .networks
            .get_mut(&id(1))
            .unwrap()
            .subnets
            .push(subnet);
        let spec = port(13, 1, &["10.0.0.13", "2001:db8::f816:3eff:fe00:d"], &[1]);
        bench.documents.ports.insert(id(13), spec);
        add_router(&mut bench, &[]);
        let router = bench.documents.routers.get_mut(&id(100)).unwrap();
        router.interfaces[0]
            .addresses
            .push("2001:db8::1/64".parse().unwrap());
        bench.apply_news().await;
        bench.all_is_up();
        let card = Card::plug(13, "10.0.0.13");
        let all_routers = Mac([0x33, 0x33, 0, 0, 0, 2]);
        card.send(&icmp6(
            (card.mac, all_routers),
            (card.mac.link_local(), "ff02::2".parse().unwrap()),
            133,
            &[0; 4],
        ));
        let advert = card
            .next(Duration::from_secs(3), |frame| {
                (frame[12..14] == [0x86, 0xdd] && frame.get(54) == Some(&134))
                    .then(|| frame.to_vec())
            })
            .await
            .expect("an advertisement");
        let from = <[u8; 16]>::try_from(&advert[22..38]).unwrap();
        assert_eq!(Ipv6Addr::from(from), mac(101).link_local());
        let prefix: Ipv6Addr = "2001:db8::".parse().unwrap();
        assert!(advert.windows(16).any(|window| window == prefix.octets()));
        // And the router is where it says.
        let mut ask = vec![0; 4];
        ask.extend_from_slice(&mac(101).link_local().octets());
        ask.extend_from_slice(&[1, 1]);
        ask.extend_from_slice(&card.mac.0);
        let own: Ipv6Addr = "2001:db8::f816:3eff:fe00:d".parse().unwrap();
        let group: Ipv6Addr = "ff02::1:ff00:65".parse().unwrap();
        card.send(&icmp6(
            (card.mac, Mac([0x33, 0x33, 0xff, 0, 0, 0x65])),
            (own, group),
            135,
            &ask,
        ));
        let answered = card.next(Duration::from_secs(3), |frame| {
            (frame[12..14] == [0x86, 0xdd] && frame.get(54) == Some(&136)).then_some(())
        });
        assert!(
            answered.await.is_some(),
            "the router answers for its link-local address"
        );
    });
}
