//! Ports whose packets may not pass as fast as they can.

use std::time::Duration;

use nephos_runtime::Clock;
use serde_json::json;

use super::bench::*;
use crate::driver::plane::{HOST, LinkKind, Plane, Space};
use crate::model::spec::*;

pub fn both_ways(kbps: u32) -> Limits {
    let limit = Limit {
        kbps,
        burst_kbits: kbps / 5 * 4,
    };
    Limits {
        ingress: Some(limit),
        egress: Some(limit),
    }
}

fn ifb(n: u8) -> String {
    tap(n).replace("tap", "ifb")
}

/// What there is of the host, whatever is wanted.
async fn there(bench: &Bench) -> Space {
    let mut wanted = Plane::default();
    wanted.space(HOST);
    let mut found = bench.driver.look(&wanted, true).await.unwrap();
    let mut host = found.spaces.remove(HOST).unwrap();
    // By chance, where none is wanted.
    host.links.values_mut().for_each(|link| link.mac = None);
    host
}

#[test]
fn the_limits_of_a_port_are_what_the_kernel_says_come_back_when_meddled_with_and_go() {
    alone(|| async {
        let (mut bench, _one, _two) = two(vec![rule(json!({}))]).await;
        assert_eq!(there(&bench).await.limits.len(), 0);
        bench.port(12, &[1, 2]).limits = both_ways(2000);
        bench.apply_news().await;
        bench.all_is_up();
        let whole = there(&bench).await;
        assert_eq!(whole.limits[&tap(12)].bytes, 250_000);
        assert_eq!(whole.limits[&ifb(12)].bytes, 250_000);
        assert!(whole.limits[&tap(12)].burst.abs_diff(200_000) < 100);
        assert_eq!(whole.detours[&tap(12)], ifb(12));
        for meddling in [
            format!("tc qdisc del dev {} root", tap(12)),
            format!(
                "tc qdisc replace dev {} root tbf rate 1mbit burst 2k limit 9k",
                ifb(12)
            ),
            format!("tc qdisc del dev {} ingress", tap(12)),
            format!("tc filter del dev {} ingress", tap(12)),
            format!("tc qdisc replace dev {} root pfifo", tap(12)),
            format!("ip link del {}", ifb(12)),
            format!("ip link set {} down", ifb(12)),
        ] {
            shell(&meddling);
            bench.apply().await;
            assert_eq!(there(&bench).await, whole, "{meddling}");
        }
        // In place: a change of the rate does not let anything through meanwhile.
        let handle = || shell(&format!("tc qdisc show dev {} | cut -d' ' -f3", tap(12)));
        let before = handle();
        bench.port(12, &[1, 2]).limits = both_ways(1000);
        bench.apply_news().await;
        assert_eq!(there(&bench).await.limits[&tap(12)].bytes, 125_000);
        assert_eq!(handle(), before);
        bench.port(12, &[1, 2]).limits = Limits::default();
        bench.apply_news().await;
        bench.all_is_up();
        let after = there(&bench).await;
        assert_eq!((after.limits.len(), after.detours.len()), (0, 0));
        assert!(after.links.values().all(|link| link.kind != LinkKind::Ifb));
    });
}

#[test]
fn limits_go_with_their_port() {
    alone(|| async {
        let (mut bench, one, two) = two(vec![rule(json!({}))]).await;
        bench.port(12, &[1, 2]).limits = both_ways(1);
        bench.apply_news().await;
        drop((one, two));
        bench.documents.ports.remove(&id(12));
        bench.apply_news().await;
        let left = there(&bench).await;
        assert!(left.links.contains_key(&tap(11)));
        assert!(!left.links.contains_key(&ifb(12)));
    });
}

/// How many of these packets arrive, in which time after the first was sent.
async fn arrived(from: &Card, to: &Card, packets: usize) -> (usize, Duration) {
    let text = "x".repeat(1000);
    let clock = Clock::system();
    let began = clock.monotonic();
    for _packet in 0..packets {
        from.udp((to.mac, &to.ip.to_string()), (1000, WEB), &text);
    }
    let (mut count, mut last) = (0, began);
    while count < packets && to.hears(&text).await.is_some() {
        count += 1;
        last = clock.monotonic();
    }
    (count, last - began)
}

#[test]
fn a_limited_guest_gets_what_its_burst_holds_at_once_and_the_rest_as_time_passes() {
    alone(|| async {
        let (mut bench, one, two) = two(vec![rule(json!({}))]).await;
        // 10 000 bytes per second, of which 8 000 at once: 30 packets of a kilobyte need two seconds and more, whether it
        // is the one who gets them or the one who sends them that is limited.
        for (limited, groups) in [(12, &[1, 2][..]), (11, &[1])] {
            bench.port(limited, groups).limits = both_ways(80);
            bench.apply_news().await;
            let (count, took) = arrived(&one, &two, 30).await;
            assert!(count > 20, "{count} packets passed");
            assert!(
                took > Duration::from_secs(1),
                "{count} packets took {took:?}"
            );
            bench.port(limited, groups);
            bench.apply_news().await;
        }
        assert_eq!(arrived(&one, &two, 30).await.0, 30);
    });
}
