//! Killed at any instant, meddled with, taken down: it converges and nothing is left behind.

use std::collections::BTreeSet;

use nephos_runtime::crash;
use serde_json::json;

use super::bench::*;
use crate::model::spec::*;

fn fill(bench: &mut Bench) {
    bench
        .documents
        .groups
        .insert(id(2), group(2, vec![rule(json!({}))]));
    bench.port(11, &[1]);
    bench.port(12, &[1, 2]).limits = super::limits::both_ways(2000);
    bench.elsewhere(50, "127.0.0.9");
}

/// Everything that is there, in words; numbers that differ from run to run are left out.
fn everything() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let words = "ip -o link show up | awk '{print \"up\", $2}'; \
                 ip -o link | sed 's/@if[0-9]*//' | sed -n 's/^[0-9]*: \\([^:]*\\):.* \\(mtu [0-9]*\\).*\\(master [^ ]*\\).*/\\1 \\2 \\3/p'; \
                 ip -o link | awk '{print $2}'; bridge fdb | grep -v permanent; ip neigh show nud permanent; \
                 tc qdisc | grep -E 'tbf|ingress' | sed 's/ [0-9a-f]*: / /'; \
                 bridge fdb | grep 'dst'; ls /run/netns 2>/dev/null; nft -s list ruleset";
    for line in shell(words).lines() {
        let line = line.split("@if").next().unwrap_or(line);
        all.insert(line.trim().to_owned());
    }
    all
}

#[test]
fn a_pass_that_is_killed_anywhere_is_finished_by_the_next_one() {
    alone(|| async {
        let mut bench = Bench::new("127.0.0.1");
        fill(&mut bench);
        bench.apply().await;
        // Settings of the kernel stay when everything is removed.
        crate::agent::remove_everything(&bench.settings, &bench.driver)
            .await
            .unwrap();
        bench.restart();
        crash::set(crash::Mode::Record);
        bench.apply().await;
        let points = crash::recorded();
        let whole = everything();
        crash::set(crash::Mode::Off);
        assert!(points.len() > 20, "{points:?}");
        let hits = |name: &str| {
            u32::try_from(points.iter().filter(|point| **point == name).count()).unwrap()
        };
        let names: BTreeSet<_> = points.iter().copied().collect();
        for name in names {
            for nth in 1..=hits(name) {
                if nth % 4 != 1 && nth != hits(name) {
                    continue; // every fourth: the others differ in nothing
                }
                crate::agent::remove_everything(&bench.settings, &bench.driver)
                    .await
                    .unwrap();
                bench.restart();
                crash::set(crash::Mode::Unwind {
                    name: name.to_owned(),
                    nth,
                });
                let dies = std::panic::AssertUnwindSafe(bench.apply());
                let died = futures_util::FutureExt::catch_unwind(dies).await;
                crash::set(crash::Mode::Off);
                assert!(died.is_err(), "{name} {nth}");
                bench.restart();
                bench.apply().await;
                bench.all_is_up();
                let now = everything();
                let differs: Vec<_> = now.symmetric_difference(&whole).collect();
                assert!(differs.is_empty(), "after {name} {nth}: {differs:#?}");
            }
        }
    });
}

#[test]
fn a_restart_changes_nothing_and_traffic_goes_on() {
    alone(|| async {
        let mut bench = Bench::new("127.0.0.1");
        fill(&mut bench);
        bench.apply().await;
        let (one, two) = (Card::plug(11, "10.0.0.11"), Card::plug(12, "10.0.0.12"));
        one.udp((two.mac, "10.0.0.12"), (1000, 80), "before");
        assert!(two.hears("before").await.is_some());
        let before = everything();
        bench.restart();
        one.udp((two.mac, "10.0.0.12"), (1000, 80), "while it is away");
        assert!(two.hears("while it is away").await.is_some());
        bench.apply().await;
        assert_eq!(everything(), before);
        two.udp((one.mac, "10.0.0.11"), (80, 1000), "the same connection");
        assert!(one.hears("the same connection").await.is_some());
    });
}

#[test]
fn nothing_goes_on_the_word_of_a_copy_or_of_a_damaged_document() {
    alone(|| async {
        let mut bench = Bench::new("127.0.0.1");
        fill(&mut bench);
        bench.apply().await;
        let before = everything();
        bench.restart();
        let ports = std::mem::take(&mut bench.documents.ports);
        bench.documents.complete = false;
        bench.apply().await;
        let links =
            |all: &BTreeSet<String>| all.iter().filter(|line| line.starts_with("up tap")).count();
        assert_eq!(links(&everything()), links(&before));
        bench.documents.complete = true;
        let owner = crate::agent::documents::Owner::new(KIND_PORT, id(11));
        bench
            .documents
            .unreadable
            .insert(owner.clone(), "damaged".into());
        bench.apply().await;
        assert_eq!(links(&everything()), links(&before));
        bench.documents.unreadable.clear();
        bench.documents.ports = ports;
        bench.apply().await;
        assert_eq!(everything(), before);
    });
}

#[test]
fn what_somebody_changed_by_hand_is_put_back() {
    alone(|| async {
        let mut bench = Bench::new("127.0.0.1");
        fill(&mut bench);
        bench.apply().await;
        bench.apply().await;
        let whole = everything();
        for meddling in [
            "nft delete rule bridge nephos_sg inward handle $(nft -a list chain bridge nephos_sg inward | grep -o 'handle [0-9]*$' | tail -1 | cut -d' ' -f2)".to_owned(),
            format!("nft flush chain bridge nephos_sg in_{}", tap(11)),
            "nft delete table bridge nephos_sg".to_owned(),
            "nft delete table inet nephos_ct".to_owned(),
            format!("nft add rule bridge nephos_sg in_{} accept", tap(11)),
            format!(
                "nft delete element bridge nephos_sg by_tap_spoof '{{ \"{}\" }}'",
                tap(11)
            ),
            format!("bridge fdb del {} dev {} master", mac(11), tap(11)),
            format!("bridge fdb del {} dev vx1001 self dst 127.0.0.9", mac(50)),
            "bridge fdb append 00:00:00:00:00:00 dev vx1001 dst 127.0.0.77".to_owned(),
            "ip neigh del 10.0.0.50 dev br1001".to_owned(),
            format!("ip link set {} nomaster", tap(12)),
            format!("ip link set {} down", tap(12)),
            format!("bridge link set dev {} learning on", tap(12)),
            format!("ip link del {}", tap(12)),
            "ip link del vx1001".to_owned(),
            "ip link del br1001".to_owned(),
            format!("ip netns del nephos-m-{}", id(1)),
            format!("ip -n nephos-m-{} addr flush dev meta0", id(1)),
            "ip tuntap add dev tapdddddddd-dd mode tap".to_owned(),
        ] {
            shell(&meddling);
            bench.apply().await;
            let now = everything();
            let differs: Vec<_> = now.symmetric_difference(&whole).collect();
            assert!(differs.is_empty(), "after {meddling}: {differs:#?}");
        }
    });
}

#[test]
fn what_is_not_ours_is_left_alone() {
    alone(|| async {
        shell(
            "ip link add br1001 type bridge; ip link add br7 type bridge; ip tuntap add dev tap0 mode tap; \
             ip netns add other; nft add table inet filter; nft add chain inet filter c",
        );
        let mut bench = Bench::new("127.0.0.1");
        fill(&mut bench);
        bench.apply().await;
        let failed = bench.not_up();
        assert!(
            failed
                .iter()
                .any(|(kind, state, _)| kind == "network" && state == "failed"),
            "{failed:?}"
        );
        let mac = shell("cat /sys/class/net/br1001/address 2>/dev/null || ip -br link show br1001");
        assert!(!mac.contains("02:4e:50"), "{mac}");
        crate::agent::remove_everything(&bench.settings, &bench.driver)
            .await
            .unwrap();
        let left = shell("ip -br link | awk '{print $1}'; ls /run/netns; nft list tables");
        let left: Vec<_> = left.lines().collect();
        assert_eq!(
            left,
            ["lo", "br1001", "br7", "tap0", "other", "table inet filter"]
        );
    });
}

#[test]
fn taken_down_nothing_is_left() {
    alone(|| async {
        let before = everything();
        let mut bench = Bench::new("127.0.0.1");
        fill(&mut bench);
        bench.apply().await;
        assert!(everything().len() > before.len());
        crate::agent::remove_everything(&bench.settings, &bench.driver)
            .await
            .unwrap();
        assert_eq!(everything(), before);
        assert_eq!(
            shell("ip route show table all | grep -c blackhole || true").trim(),
            "0"
        );
    });
}
