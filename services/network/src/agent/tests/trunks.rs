//! Guests with several networks by one card, told apart by tags.

use std::sync::Arc;
use std::time::Duration;

use dhcproto::v4::{Message, MessageType};
use serde_json::json;

use super::bench::*;
use super::guest_services::{dhcp, dhcp_of};
use super::limits::both_ways;
use crate::agent::picture;
use crate::driver::Driver;
use crate::driver::fake::Fake;
use crate::driver::plane::{HOST, LinkKind, Mac, Plane, Space, Tags};
use crate::model::spec::*;

const SOON: Duration = Duration::from_secs(3);
const NOT: Duration = Duration::from_millis(150);

fn sub(n: u8) -> String {
    tap(n).replace("tap", "sub")
}

fn tagged(tag: u16, frame: &[u8]) -> Vec<u8> {
    let mut with = frame[..12].to_vec();
    with.extend([0x81, 0]);
    with.extend(tag.to_be_bytes());
    with.extend(&frame[12..]);
    with
}

/// The frame without this tag; none: it has another one, or none.
fn untagged(tag: u16, frame: &[u8]) -> Option<Vec<u8>> {
    let own = frame.get(12..16)? == [&[0x81, 0][..], &tag.to_be_bytes()].concat();
    own.then(|| [&frame[..12], &frame[16..]].concat())
}

/// A guest's card of one VLAN, behind the tap of a trunk.
struct Vlan<'a> {
    card: &'a Card,
    tag: u16,
    mac: Mac,
    ip: String,
}

impl<'a> Vlan<'a> {
    /// As subport `n` of network 2, which has address 10.0.0.n.
    fn of(card: &'a Card, tag: u16, n: u8) -> Self {
        settle(n);
        Self {
            card,
            tag,
            mac: mac(n),
            ip: format!("10.0.0.{n}"),
        }
    }

    fn says(&self, to: u8, text: &str) {
        self.says_as((self.mac, &self.ip), to, text);
    }

    fn says_as(&self, (from, ip): (Mac, &str), to: u8, text: &str) {
        let ips = (ip, &*format!("10.0.0.{to}"));
        let frame = udp((from, mac(to)), ips, (1000, WEB), text);
        self.card.send(&tagged(self.tag, &frame));
    }

    async fn hears(&self, text: &str, within: Duration) -> bool {
        let wanted = |frame: &[u8]| heard(&untagged(self.tag, frame)?, text);
        self.card.next(within, wanted).await.is_some()
    }
}

/// Makes port `n` of network 2 a subport of port `parent`.
fn subport(bench: &mut Bench, n: u8, parent: u8, tag: u16) {
    let mut spec = port(n, 2, &[&format!("10.0.0.{n}")], &[1, 2]);
    spec.trunk = Some(TrunkSpec {
        parent_tap: tap(parent),
        segmentation_id: tag,
    });
    bench.documents.ports.insert(id(n), spec);
}

/// Trunks 11 and 12, with subports 21 (tag 100) and 22 (tag 200) of network 2, which has guest 23 too.
fn add_trunks(bench: &mut Bench) {
    let all = group(2, vec![rule(json!({}))]);
    bench.documents.groups.insert(id(2), all);
    let second = network(2, Segment::Vxlan { vni: 1002 }, "10.0.0.0/24");
    bench.documents.networks.insert(id(2), second);
    bench.port(11, &[1, 2]);
    bench.port(12, &[1, 2]);
    subport(bench, 21, 11, 100);
    subport(bench, 22, 12, 200);
    let guest = port(23, 2, &["10.0.0.23"], &[1, 2]);
    bench.documents.ports.insert(id(23), guest);
}

async fn trunks() -> (Bench, Card, Card, Card) {
    let mut bench = Bench::new("127.0.0.1");
    add_trunks(&mut bench);
    bench.apply().await;
    bench.all_is_up();
    let one = Card::plug(11, "10.0.0.11");
    let two = Card::plug(12, "10.0.0.12");
    let plain = Card::plug(23, "10.0.0.23");
    (bench, one, two, plain)
}

fn wanted(bench: &Bench) -> Plane {
    picture::draw(&bench.documents, &bench.settings, &mut Default::default()).plane
}

/// What there is of the host, compared with what is wanted.
async fn there(bench: &Bench) -> Space {
    let mut found = bench.driver.look(&wanted(bench), true).await.unwrap();
    found.spaces.remove(HOST).unwrap()
}

#[test]
fn frames_with_a_tag_belong_to_the_subports_network_and_those_without_to_the_trunks() {
    alone(|| async {
        let (_bench, one, two, plain) = trunks().await;
        let (first, second) = (Vlan::of(&one, 100, 21), Vlan::of(&two, 200, 22));
        first.says(23, "to a guest");
        assert!(plain.hears("to a guest").await.is_some());
        plain.udp((first.mac, "10.0.0.21"), (WEB, 1000), "answer");
        assert!(first.hears("answer", SOON).await);
        first.says(22, "from trunk to trunk");
        assert!(second.hears("from trunk to trunk", SOON).await);
        second.says(21, "and back");
        assert!(first.hears("and back", SOON).await);
        one.udp((two.mac, "10.0.0.12"), (1000, WEB), "without");
        assert!(two.hears("without").await.is_some());
        // The other network's guests hear nothing, whichever way it is tried.
        for tag in [7, 200] {
            let stranger = Vlan::of(&one, tag, 21);
            stranger.says(23, "unknown");
            stranger.says(22, "unknown");
        }
        plain.hears_not("unknown").await;
        assert!(!second.hears("unknown", NOT).await);
        one.udp((mac(23), "10.0.0.23"), (1000, WEB), "other network");
        plain.hears_not("other network").await;
    });
}

#[test]
fn a_tag_makes_nobody_somebody_else_and_groups_hold() {
    alone(|| async {
        let (mut bench, one, _two, plain) = trunks().await;
        let vlan = Vlan::of(&one, 100, 21);
        for (text, from) in [
            ("the trunk's card", (mac(11), "10.0.0.21")),
            ("the trunk's address", (mac(21), "10.0.0.11")),
            ("another guest's", (mac(22), "10.0.0.22")),
        ] {
            vlan.says_as(from, 23, text);
            plain.hears_not(text).await;
        }
        // A tag within a tag is no way past the filters.
        let inner = udp(
            (vlan.mac, mac(23)),
            (&vlan.ip, "10.0.0.23"),
            (1, WEB),
            "twice",
        );
        one.send(&tagged(100, &tagged(100, &inner)));
        plain.hears_not("twice").await;
        plain.udp((vlan.mac, "10.0.0.21"), (1000, WEB), "let in");
        assert!(vlan.hears("let in", SOON).await);
        let mute = bench.documents.ports.get_mut(&id(21)).unwrap();
        mute.security_groups = vec![id(1)];
        bench.apply_news().await;
        plain.udp((vlan.mac, "10.0.0.21"), (2000, WEB), "not any more");
        assert!(!vlan.hears("not any more", NOT).await);
    });
}

#[test]
fn a_guest_gets_the_address_of_a_subport_with_its_tag() {
    alone(|| async {
        let (bench, one, ..) = trunks().await;
        let vlan = Vlan::of(&one, 100, 21);
        one.send(&tagged(100, &dhcp(vlan.mac, MessageType::Discover, &[])));
        let offer = |frame: &[u8]| dhcp_of(&untagged(100, frame)?);
        let offer: Message = one.next(SOON, offer).await.expect("an offer");
        assert_eq!(offer.yiaddr().to_string(), "10.0.0.21");
        assert_eq!(bench.not_up(), []);
    });
}

#[test]
fn what_somebody_did_to_a_trunk_is_put_back_and_a_new_agent_changes_nothing() {
    alone(|| async {
        let (mut bench, one, _two, plain) = trunks().await;
        bench.port(11, &[1, 2]).limits = both_ways(2000);
        bench.apply_news().await;
        bench.all_is_up();
        let wanted = wanted(&bench).spaces.remove(HOST).unwrap();
        let whole = |found: &Space| {
            let links = |space: &Space| space.links.keys().cloned().collect::<Vec<_>>();
            let on = |space: &Space| space.links.values().all(|link| link.up);
            assert_eq!(links(found), links(&wanted));
            assert_eq!(found.tags, wanted.tags);
            assert_eq!(found.detours, wanted.detours);
            assert!(on(found));
        };
        whole(&there(&bench).await);
        let (trunk, part, end) = (tap(11), tap(21), sub(21));
        let foreign = "protocol all u32 match u32 0 0 flowid 1:1";
        for meddling in [
            format!("tc filter del dev {trunk} ingress pref 1"),
            format!("tc filter del dev {trunk} ingress pref 2"),
            format!("tc filter del dev {trunk} ingress"),
            format!("tc qdisc del dev {trunk} ingress"),
            format!("tc filter del dev {end} ingress"),
            format!("tc qdisc del dev {end} ingress"),
            format!(
                "tc filter del dev {trunk} ingress pref 1; tc filter add dev {trunk} ingress pref 1 {foreign}"
            ),
            format!("tc filter add dev {end} ingress pref 9 {foreign}"),
            format!("ip link del {part}"),
            format!("ip link set {end} down"),
            format!("sysctl -q -w net.ipv6.conf.{end}.disable_ipv6=0"),
        ] {
            let done = std::process::Command::new("sh")
                .args(["-c", &meddling])
                .status();
            assert!(done.unwrap().success(), "{meddling}");
            bench.apply().await;
            bench.all_is_up();
            whole(&there(&bench).await);
        }
        let shown = || {
            shell(&format!(
                "tc filter show dev {trunk} ingress; tc filter show dev {end} ingress"
            ))
        };
        let before = shown();
        assert!(before.contains("nephos-"), "{before}");
        bench.restart();
        bench.apply().await;
        bench.all_is_up();
        assert_eq!(shown(), before);
        let vlan = Vlan::of(&one, 100, 21);
        vlan.says(23, "as ever");
        assert!(plain.hears("as ever").await.is_some());
    });
}

#[test]
fn subports_come_and_go_and_the_others_stay_as_they_are() {
    alone(|| async {
        let (mut bench, one, _two, plain) = trunks().await;
        let vlan = Vlan::of(&one, 100, 21);
        subport(&mut bench, 24, 11, 101);
        bench.apply_news().await;
        bench.all_is_up();
        let more = Vlan::of(&one, 101, 24);
        more.says(23, "one more");
        assert!(plain.hears("one more").await.is_some());
        bench.documents.ports.remove(&id(24));
        bench.apply_news().await;
        let host = there(&bench).await;
        assert!(!host.links.contains_key(&sub(24)));
        more.says(23, "gone");
        plain.hears_not("gone").await;
        vlan.says(23, "still there");
        assert!(plain.hears("still there").await.is_some());
        // The last one takes all that was done to the trunk's tap along.
        bench.documents.ports.remove(&id(21));
        bench.apply_news().await;
        bench.reports.told();
        bench.all_is_up();
        assert_eq!(shell(&format!("tc qdisc show dev {} ingress", tap(11))), "");
        vlan.says(23, "gone too");
        plain.hears_not("gone too").await;
        // A port that is a subport no more is a guest's again.
        let guest = port(21, 2, &["10.0.0.21"], &[1, 2]);
        bench.documents.ports.insert(id(21), guest);
        bench.apply_news().await;
        bench.all_is_up();
        let own = Card::plug(21, "10.0.0.21");
        own.udp((mac(23), "10.0.0.23"), (1000, WEB), "by a card of its own");
        assert!(plain.hears("by a card of its own").await.is_some());
    });
}

fn simulated() -> (Bench, Arc<Fake>) {
    let fake = Arc::new(Fake::default());
    let driver: Arc<dyn Driver> = Arc::clone(&fake) as Arc<dyn Driver>;
    let mut bench = Bench::with(settings("127.0.0.1"), driver);
    add_trunks(&mut bench);
    (bench, fake)
}

#[tokio::test]
async fn a_second_pass_over_a_trunk_finds_nothing_to_do() {
    let (mut bench, fake) = simulated();
    assert_eq!(fake.take_steps(), []);
    bench.apply().await;
    bench.all_is_up();
    assert!(!fake.take_steps().is_empty());
    bench.apply().await;
    assert_eq!(fake.take_steps(), []);
    let mut host = fake.plane().spaces.remove(HOST).unwrap();
    let back = Tags::On {
        tag: 100,
        link: tap(11),
    };
    assert_eq!(host.tags.remove(&sub(21)), Some(back));
    assert!(matches!(host.links[&tap(21)].kind, LinkKind::Veth { .. }));
    bench.documents.ports.remove(&id(21));
    bench.apply().await;
    bench.reports.told();
    bench.all_is_up();
    let host = fake.plane().spaces.remove(HOST).unwrap();
    assert!(!host.links.contains_key(&sub(21)));
    assert_eq!(host.tags.len(), 2);
}

#[tokio::test]
async fn a_subport_that_cannot_be_says_why_and_its_trunk_works() {
    let (mut bench, _fake) = simulated();
    subport(&mut bench, 24, 99, 7);
    subport(&mut bench, 25, 11, 4095);
    subport(&mut bench, 26, 11, 100);
    bench.apply().await;
    let failed = bench.not_up();
    assert_eq!(failed.len(), 3, "{failed:?}");
    for why in [
        "is not on this host",
        "4095 is no VLAN tag",
        "tag 100 leads to",
    ] {
        assert!(failed.iter().any(|one| one.2.contains(why)), "{failed:?}");
    }
}
