//! Two hosts, each in a namespace of its own, with a cable between them.

use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use super::bench::*;
use crate::driver::METADATA_MAC;

const ONE: &str = "10.200.0.1";
const TWO: &str = "10.200.0.2";

fn documents(bench: &mut Bench, here: &[u8], there: &[u8], vtep: &str) {
    let web = rule(json!({"protocol": 17, "port_min": 80, "port_max": 80}));
    bench.documents.groups.insert(id(2), group(2, vec![web]));
    for n in here {
        bench.port(*n, &[1, 2]);
    }
    there.iter().for_each(|n| bench.elsewhere(*n, vtep));
}

/// The second host with guests 21 and 22, of which 22 has no port security: it hears everything that comes by. Their
/// cards work from everywhere. The host lives until the sender is dropped.
fn second() -> (Card, Card, mpsc::Sender<()>) {
    let (tell, told) = mpsc::channel::<()>();
    let (give_id, given_id) = mpsc::channel();
    let (give_cards, given_cards) = mpsc::channel();
    std::thread::spawn(move || {
        enter_new_namespaces();
        give_id.send(nix::unistd::gettid()).unwrap();
        told.recv().unwrap(); // the cable is there
        shell(&format!(
            "ip addr add {TWO}/24 dev cable2; ip link set cable2 up"
        ));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut bench = Bench::new(TWO);
            documents(&mut bench, &[21, 22], &[11], ONE);
            bench.port(22, &[]).port_security = false;
            bench.apply().await;
            bench.all_is_up();
            let cards = (Card::plug(21, "10.0.0.21"), Card::plug(22, "10.0.0.22"));
            give_cards.send(cards).unwrap();
            let _until_the_end = tokio::task::block_in_place(|| told.recv());
        });
    });
    let thread = given_id.recv().unwrap();
    shell(&format!(
        "ip link add cable1 type veth peer name cable2; ip link set cable2 netns {thread}; \
         ip addr add {ONE}/24 dev cable1; ip link set cable1 up"
    ));
    tell.send(()).unwrap();
    let (guarded, open) = given_cards.recv().unwrap();
    (guarded, open, tell)
}

#[test]
fn guests_on_two_hosts_meet_and_their_groups_hold() {
    alone(|| async {
        let (far, open, _host) = second();
        let mut bench = Bench::new(ONE);
        documents(&mut bench, &[11], &[21, 22], TWO);
        bench.apply().await;
        bench.all_is_up();
        let near = Card::plug(11, "10.0.0.11");
        near.udp((far.mac, "10.0.0.21"), (1000, 80), "across");
        assert!(far.hears("across").await.is_some());
        far.udp((near.mac, "10.0.0.11"), (80, 1000), "back");
        assert!(near.hears("back").await.is_some());
        near.udp((far.mac, "10.0.0.21"), (1000, 8080), "other port");
        far.hears_not("other port").await;
        open.hears_not("other port").await;
        // Who is where is known: the question does not travel.
        assert_eq!(near.arp("10.0.0.21").await, Some(far.mac));
        let travelled = open.next(Duration::from_millis(150), |frame| {
            (frame[12..14] == [8, 6] && frame[20..22] == [0, 1]).then(|| frame.to_vec())
        });
        assert_eq!(travelled.await, None);
        // A question for an address that nobody has does.
        near.arp("10.0.0.99").await;
        let travelled = open.next(Duration::from_secs(2), |frame| {
            (frame[12..14] == [8, 6] && frame[38..42] == [10, 0, 0, 99]).then_some(())
        });
        assert!(travelled.await.is_some());
        // The tunnel itself is no connection of the host.
        let tracked = bench
            .driver
            .connections(crate::driver::plane::HOST)
            .await
            .unwrap();
        assert!(
            tracked.iter().any(|one| one.zone == 1002 && one.port == 80),
            "{tracked:?}"
        );
        assert!(!tracked.iter().any(|one| one.port == 4789), "{tracked:?}");
    });
}

#[test]
fn each_host_answers_its_own_guests_only() {
    alone(|| async {
        let (_far, open, _host) = second();
        let mut bench = Bench::new(ONE);
        documents(&mut bench, &[11], &[21, 22], TWO);
        bench.port(11, &[]).port_security = false; // nothing but the fence is in the way
        bench.apply().await;
        bench.all_is_up();
        let near = Card::plug(11, "10.0.0.11");
        let discover = udp(
            (near.mac, crate::driver::plane::Mac([0xff; 6])),
            ("0.0.0.0", "255.255.255.255"),
            (68, 67),
            "x",
        );
        near.send(&discover);
        open.hears_not("x").await;
        assert_eq!(near.arp("169.254.169.254").await, Some(METADATA_MAC));
        let there = std::net::Ipv4Addr::new(169, 254, 169, 254);
        let answer = near
            .http(METADATA_MAC, there, "GET / HTTP/1.0\r\n\r\n")
            .await
            .unwrap();
        assert!(answer.ends_with("you are server-11"), "{answer}");
        let leaked = open.next(Duration::from_millis(150), |frame| {
            let (arp, ip) = (frame[12..14] == [8, 6], frame[12..14] == [8, 0]);
            (arp || ip && frame[6..12] == METADATA_MAC.0).then(|| frame.to_vec())
        });
        assert_eq!(leaked.await, None);
    });
}
