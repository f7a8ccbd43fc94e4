//! What must hold for guests.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use serde_json::json;

use super::bench::*;
use super::routers::{add_router, outside, received};
use crate::driver::plane::Mac;
use crate::model::spec::*;

#[test]
fn security_groups_let_in_what_their_rules_say_and_answers_to_what_was_let_through() {
    alone(|| async {
        let (_bench, one, two) = two(vec![web()]).await;
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "allowed");
        assert!(two.hears("allowed").await.is_some());
        two.udp((one.mac, "10.0.0.11"), (WEB, 1000), "answer");
        assert!(
            one.hears("answer").await.is_some(),
            "the answer to what was let in"
        );
        one.udp((two.mac, "10.0.0.12"), (1000, 8080), "other port");
        two.hears_not("other port").await;
        two.udp((one.mac, "10.0.0.11"), (3000, WEB), "uninvited");
        one.hears_not("uninvited").await;
        one.udp(
            (two.mac, "10.0.0.12"),
            (WEB, 3000),
            "answer without a question",
        );
        two.hears_not("answer without a question").await;
    });
}

#[test]
fn a_connection_dies_with_the_rule_that_let_it_in_and_others_live() {
    alone(|| async {
        let other = rule(json!({"protocol": 17, "port_min": 90, "port_max": 91}));
        let (mut bench, one, two) = two(vec![web(), other.clone()]).await;
        for port in [WEB, 90] {
            one.udp((two.mac, "10.0.0.12"), (1000, port), "hello");
            assert!(two.hears("hello").await.is_some());
            two.udp((one.mac, "10.0.0.11"), (port, 1000), "hi");
            assert!(one.hears("hi").await.is_some());
        }
        bench.documents.groups.insert(id(2), group(2, vec![other]));
        bench.apply_news().await;
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "more");
        two.hears_not("more").await;
        two.udp((one.mac, "10.0.0.11"), (WEB, 1000), "more of it");
        one.hears_not("more of it").await;
        two.udp((one.mac, "10.0.0.11"), (90, 1000), "still");
        assert!(one.hears("still").await.is_some());
    });
}

#[test]
fn members_of_a_remote_group_come_and_go() {
    alone(|| async {
        let friends = rule(json!({"remote_group": id(3)}));
        let (mut bench, one, two) = two(vec![friends]).await;
        bench.documents.groups.insert(id(3), group(3, Vec::new()));
        bench.apply_news().await;
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "stranger");
        two.hears_not("stranger").await;
        members(&mut bench.documents, 3, &["10.0.0.11"]);
        bench.apply_news().await;
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "friend");
        assert!(two.hears("friend").await.is_some());
        bench.documents.members.clear();
        bench.apply_news().await;
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "no more");
        two.hears_not("no more").await;
    });
}

#[test]
fn a_port_without_groups_lets_nothing_through_and_one_without_security_everything() {
    alone(|| async {
        let (mut bench, one, two) = two(vec![rule(json!({}))]).await;
        bench.port(11, &[]);
        bench.apply_news().await;
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "mute");
        two.hears_not("mute").await;
        bench.port(11, &[]).port_security = false;
        bench.apply_news().await;
        let spoofed = udp(
            (mac(99), two.mac),
            ("10.9.9.9", "10.0.0.12"),
            (1000, WEB),
            "anybody",
        );
        one.send(&spoofed);
        assert!(two.hears("anybody").await.is_some());
        two.udp((one.mac, "10.0.0.11"), (1, 2), "anything");
        assert!(one.hears("anything").await.is_some());
    });
}

#[test]
fn a_guest_cannot_be_somebody_else() {
    alone(|| async {
        let (mut bench, one, two) =
            two(vec![rule(json!({})), rule(json!({"ip_version": 6}))]).await;
        let to = (two.mac, "10.0.0.12");
        for (text, from_mac, from_ip) in [
            ("other address", one.mac, "10.0.0.99"),
            ("other card", mac(99), "10.0.0.11"),
            ("no address", one.mac, "0.0.0.0"),
        ] {
            one.send(&udp((from_mac, to.0), (from_ip, to.1), (1000, WEB), text));
            two.hears_not(text).await;
        }
        let everybody = Mac([0xff; 6]);
        one.send(&arp(
            1,
            one.mac,
            "10.0.0.99".parse().unwrap(),
            everybody,
            Ipv4Addr::new(10, 0, 0, 12),
        ));
        let asked = two
            .next(Duration::from_millis(150), |frame| {
                (frame[12..14] == [8, 6]).then_some(())
            })
            .await;
        assert_eq!(asked, None, "a false ARP came through");
        let stranger: Ipv6Addr = "fe80::1".parse().unwrap();
        let ips = (stranger, two.mac.link_local());
        one.send(&icmp6((one.mac, two.mac), ips, 136, &[0x60; 4]));
        // Its own address, but a false statement about another one.
        let mut lie = vec![0x60, 0, 0, 0];
        lie.extend_from_slice(&stranger.octets());
        one.send(&icmp6(
            (one.mac, two.mac),
            (one.mac.link_local(), two.mac.link_local()),
            136,
            &lie,
        ));
        let told = two
            .next(Duration::from_millis(150), |frame| {
                // Kernels say other things over IPv6 by themselves.
                let statement = frame[12..14] == [0x86, 0xdd] && frame.get(54) == Some(&136);
                statement.then_some(())
            })
            .await;
        assert_eq!(told, None, "a false neighbour came through");
        let counted = shell(&format!(
            "nft list chain bridge nephos_sg spoof_{}",
            tap(11)
        ));
        assert!(
            counted.contains("packets 1 bytes") || counted.contains("packets 2 bytes"),
            "{counted}"
        );
        // What it may say as well.
        bench
            .port(11, &[1])
            .allowed_address_pairs
            .push(AddressPair {
                cidr: "10.0.0.96/28".parse().unwrap(),
                mac: None,
            });
        bench.apply_news().await;
        bench.all_is_up();
        one.send(&udp(
            (one.mac, to.0),
            ("10.0.0.99", to.1),
            (1000, WEB),
            "pair",
        ));
        assert!(two.hears("pair").await.is_some());
        let mut true_ = vec![0x60, 0, 0, 0];
        true_.extend_from_slice(&one.mac.link_local().octets());
        one.send(&icmp6(
            (one.mac, two.mac),
            (one.mac.link_local(), two.mac.link_local()),
            136,
            &true_,
        ));
        let told = two
            .next(Duration::from_secs(2), |frame| {
                (frame[12..14] == [0x86, 0xdd]).then_some(())
            })
            .await;
        assert!(told.is_some(), "its own address");
    });
}

#[test]
fn addresses_may_be_anything_when_a_pair_says_so() {
    alone(|| async {
        let (mut bench, one, two) =
            two(vec![rule(json!({})), rule(json!({"ip_version": 6}))]).await;
        for cidr in ["0.0.0.0/0", "::/0"] {
            let cidr = cidr.parse().unwrap();
            let port = bench.documents.ports.get_mut(&id(11)).unwrap();
            port.allowed_address_pairs
                .push(AddressPair { cidr, mac: None });
        }
        bench.documents.groups.insert(
            id(1),
            group(
                1,
                vec![
                    rule(json!({"direction": "egress"})),
                    rule(json!({"direction": "egress", "ip_version": 6})),
                ],
            ),
        );
        bench.apply_news().await;
        bench.all_is_up();
        one.send(&udp(
            (one.mac, two.mac),
            ("1.2.3.4", "10.0.0.12"),
            (1000, WEB),
            "from four",
        ));
        assert!(two.hears("from four").await.is_some());
        one.send(&udp(
            (one.mac, two.mac),
            ("2001:db8::1", "2001:db8::2"),
            (1000, WEB),
            "from six",
        ));
        assert!(two.hears("from six").await.is_some());
    });
}

#[test]
fn every_form_of_rule_is_understood_by_the_kernel() {
    alone(|| async {
        let mut rules = Vec::new();
        for direction in ["ingress", "egress"] {
            for version in [4, 6] {
                let icmp = if version == 4 { 1 } else { 58 };
                let net = if version == 4 {
                    "10.1.0.0/16"
                } else {
                    "2001:db8::/32"
                };
                for fields in [
                    json!({}),
                    json!({"remote_cidr": net}),
                    json!({"remote_group": id(2)}),
                    json!({"protocol": icmp}),
                    json!({"protocol": icmp, "port_min": 8}),
                    json!({"protocol": icmp, "port_min": 8, "port_max": 0}),
                    json!({"protocol": 6, "port_min": 1, "port_max": 65535}),
                    json!({"protocol": 17, "port_min": 53, "port_max": 53, "remote_cidr": net}),
                    json!({"protocol": 132, "port_min": 53, "port_max": 54, "remote_group": id(2)}),
                    json!({"protocol": 47}),
                    json!({"protocol": 112}),
                ] {
                    let mut fields = fields;
                    fields["direction"] = direction.into();
                    fields["ip_version"] = version.into();
                    rules.push(rule(fields));
                }
            }
        }
        let (mut bench, ..) = two(rules).await;
        bench.documents.groups.get_mut(&id(2)).unwrap().stateful = false;
        bench.apply().await;
        bench.all_is_up();
    });
}

#[test]
fn networks_with_the_same_addresses_do_not_meet() {
    alone(|| async {
        let (mut bench, one, two) = two(vec![rule(json!({}))]).await;
        bench.documents.networks.insert(
            id(2),
            network(2, Segment::Vxlan { vni: 1002 }, "10.0.0.0/24"),
        );
        for (n, ip) in [(21, "10.0.0.11"), (22, "10.0.0.12")] {
            let mut spec = port(n, 2, &[ip], &[1, 2]);
            spec.mac = mac(n - 10).to_string(); // even the cards are alike
            bench.documents.ports.insert(id(n), spec);
        }
        bench.apply_news().await;
        let mut three = Card::plug(21, "10.0.0.11");
        let mut four = Card::plug(22, "10.0.0.12");
        (three.mac, four.mac) = (one.mac, two.mac);
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "first");
        assert!(two.hears("first").await.is_some());
        four.hears_not("first").await;
        three.udp((four.mac, "10.0.0.12"), (1000, WEB), "second");
        assert!(four.hears("second").await.is_some());
        two.hears_not("second").await;
    });
}

#[test]
fn without_the_kernels_help_nothing_passes_and_the_next_look_repairs_it() {
    alone(|| async {
        let (mut bench, one, two) = two(vec![rule(json!({}))]).await;
        shell("sysctl -q -w net.bridge.bridge-nf-call-iptables=0");
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "unguarded");
        two.hears_not("unguarded").await;
        bench.apply().await;
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "guarded");
        assert!(two.hears("guarded").await.is_some());
    });
}

#[test]
fn a_port_that_is_switched_off_is_cut_off() {
    alone(|| async {
        let (mut bench, one, two) = two(vec![rule(json!({}))]).await;
        bench.port(12, &[1, 2]).admin_state_up = false;
        bench.apply_news().await;
        assert_eq!(bench.not_up().len(), 1);
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "off");
        two.hears_not("off").await;
        bench.port(12, &[1, 2]);
        bench.apply_news().await;
        bench.all_is_up();
        settle(12);
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "on");
        assert!(two.hears("on").await.is_some());
    });
}

#[test]
fn a_guest_cannot_reach_the_host_through_its_bridge() {
    alone(|| async {
        let (_bench, one, _two) = two(Vec::new()).await;
        shell(
            "ip addr add 192.0.2.9/32 dev lo; ip link set lo up; ip route add 10.0.0.0/24 dev br1001",
        );
        let server = UdpSocket::bind("192.0.2.9:7000").unwrap();
        server
            .set_read_timeout(Some(Duration::from_millis(150)))
            .unwrap();
        let bridge = Mac([0x02, 0x4e, 0x50, 0, 0x03, 0xe9]);
        let shown = shell("ip link show br1001");
        assert!(shown.contains(&bridge.to_string()), "{shown}");
        one.udp((bridge, "192.0.2.9"), (1000, 7000), "in by the back door");
        assert_eq!(received(&server), None);
    });
}

#[test]
fn a_guest_on_the_network_outside_has_its_groups_towards_the_host_too() {
    alone(|| async {
        let mut bench = Bench::new("127.0.0.1");
        bench.documents.groups.insert(id(2), group(2, vec![web()]));
        add_router(&mut bench, &[]);
        let mut spec = port(31, 9, &["172.24.4.60"], &[1, 2]);
        spec.fixed_ips[0].subnet_id = "s-172.24.4.0/24".into();
        bench.documents.ports.insert(id(31), spec);
        bench.apply().await;
        bench.all_is_up();
        let card = Card::plug(31, "172.24.4.60");
        let host = outside(7000);
        host.send_to(b"web", ("172.24.4.60", WEB)).unwrap();
        assert!(card.hears("web").await.is_some());
        host.send_to(b"other", "172.24.4.60:8080").unwrap();
        card.hears_not("other").await;
        let bridge = card.arp("172.24.4.1").await.expect("the host answers");
        card.udp((bridge, "172.24.4.1"), (3000, 7000), "out");
        assert_eq!(
            received(&host),
            Some(("out".into(), "172.24.4.60".parse().unwrap()))
        );
        host.send_to(b"answer", "172.24.4.60:3000").unwrap();
        assert!(card.hears("answer").await.is_some());
        bench
            .documents
            .ports
            .get_mut(&id(31))
            .unwrap()
            .security_groups = vec![id(2)];
        bench.apply_news().await;
        card.udp((bridge, "172.24.4.1"), (3000, 7000), "muted");
        assert_eq!(received(&host), None);
    });
}

#[test]
fn a_stateless_group_lets_no_answer_through_by_itself() {
    alone(|| async {
        let (mut bench, one, two) = two(vec![web()]).await;
        for n in [1, 2] {
            bench.documents.groups.get_mut(&id(n)).unwrap().stateful = false;
        }
        bench.apply_news().await;
        two.udp((one.mac, "10.0.0.11"), (3000, WEB), "question");
        one.hears_not("question").await;
        one.udp((two.mac, "10.0.0.12"), (3000, WEB), "question");
        assert!(two.hears("question").await.is_some());
        two.udp((one.mac, "10.0.0.11"), (WEB, 3000), "answer");
        one.hears_not("answer").await;
    });
}

#[test]
fn a_guest_that_is_about_to_move_here_is_still_reached_where_it_is() {
    alone(|| async {
        let (mut bench, ..) = two(Vec::new()).await;
        bench.elsewhere(12, "127.0.0.9");
        bench.apply_news().await;
        bench.all_is_up();
        let way = shell("bridge fdb show br br1001 | grep fa:16:3e:00:00:0c | grep master");
        assert!(
            way.contains("dev vx1001") && !way.contains("dev tap"),
            "{way}"
        );
        bench.documents.remote.clear();
        bench.apply_news().await;
        bench.all_is_up();
        let way = shell("bridge fdb show br br1001 | grep fa:16:3e:00:00:0c | grep master");
        assert!(
            way.contains(&tap(12)) && !way.contains("dev vx1001"),
            "{way}"
        );
    });
}

#[test]
fn a_firewall_of_the_host_that_drops_bridged_packets_is_reported() {
    alone(|| async {
        let (mut bench, ..) = two(Vec::new()).await;
        shell(
            "nft 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'",
        );
        bench.apply().await;
        let due = bench.reports.due(true, &nephos_runtime::Clock::system());
        let host = due.iter().find(|seen| seen.kind == KIND_HOST).unwrap();
        let problems = host.detail["problems"].to_string();
        assert!(
            problems.contains("table ip filter, chain FORWARD"),
            "{problems}"
        );
    });
}
