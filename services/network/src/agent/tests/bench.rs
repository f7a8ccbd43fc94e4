//! A host of its own for each test, and cards of guests.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nephos_api::{Dispatch, Payload, Request, Response};
use nephos_peer::{Account, Directory, Peers, Transport};
use nephos_runtime::Clock;
use nephos_types::Timestamp;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use serde_json::json;

use crate::agent::documents::{Documents, Owner, Specs};
use crate::agent::metadata::Relay;
use crate::agent::pass::Pass;
use crate::agent::report::Reports;
use crate::agent::{PhysicalNetwork, Settings};
use crate::driver::Driver;
use crate::driver::kernel::Kernel;
use crate::driver::plane::Mac;
use crate::model::spec::*;

/// How long a frame may take.
const SOON: Duration = Duration::from_secs(3);
/// How long one is waited for that must not come: forwarding happens inside the call that sends.
const NOT: Duration = Duration::from_millis(150);

/// Runs a test in a network and a mount namespace of its own. Both die with the test's threads, whatever happens.
pub fn alone<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "this test changes the kernel's network in a namespace of its own: run it as root"
    );
    let thread = std::thread::spawn(move || {
        enter_new_namespaces();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

pub fn enter_new_namespaces() {
    nix::sched::unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    nix::mount::mount(
        Some("run"),
        "/run",
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .unwrap();
}

/// A command in this namespace.
pub fn shell(words: &str) -> String {
    let output = std::process::Command::new("sh")
        .args(["-c", words])
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{words}: {out} {err}");
    out.into_owned()
}

/// A host and what it is told.
pub struct Bench {
    pub documents: Documents,
    pub settings: Settings,
    pub driver: Arc<dyn Driver>,
    pub reports: Reports,
    pub pass: Pass,
    pub asked: Arc<Mutex<Vec<Request>>>,
}

pub fn id(n: u8) -> String {
    format!("{n:02x}{n:02x}{n:02x}{n:02x}-0000-4000-8000-0000000000{n:02x}")
}

pub fn tap(n: u8) -> String {
    format!("tap{}", id(n).chars().take(11).collect::<String>())
}

pub fn mac(n: u8) -> Mac {
    Mac([0xfa, 0x16, 0x3e, 0, 0, n])
}

impl Bench {
    /// A host that is `vtep`, with network 1 (VXLAN 1001, 10.0.0.0/24) and group 1 that lets all out.
    pub fn new(vtep: &str) -> Self {
        let settings = settings(vtep);
        let driver: Arc<dyn Driver> = Arc::new(Kernel::new(&settings.namespace_prefix));
        Self::with(settings, driver)
    }

    pub fn with(settings: Settings, driver: Arc<dyn Driver>) -> Self {
        let mut documents = Documents {
            complete: true,
            ..Documents::default()
        };
        documents.networks.insert(
            id(1),
            network(1, Segment::Vxlan { vni: 1001 }, "10.0.0.0/24"),
        );
        documents.groups.insert(
            id(1),
            group(1, vec![rule(serde_json::json!({"direction": "egress"}))]),
        );
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let pass = new_pass(&settings, &driver, &asked);
        Self {
            documents,
            settings,
            driver,
            reports: Reports::default(),
            pass,
            asked,
        }
    }

    /// Port `n` of network 1 with address 10.0.0.n and these groups.
    pub fn port(&mut self, n: u8, groups: &[u8]) -> &mut PortSpec {
        let spec = port(n, 1, &[&format!("10.0.0.{n}")], groups);
        self.documents.ports.insert(id(n), spec);
        self.documents.ports.get_mut(&id(n)).unwrap()
    }

    /// Network 1 has port `n` with address 10.0.0.n on the host that is `vtep`.
    pub fn elsewhere(&mut self, n: u8, vtep: &str) {
        elsewhere(&mut self.documents, n, vtep);
    }

    /// One pass that looks at everything.
    pub async fn apply(&mut self) {
        self.number_documents();
        let _said_in_reports = self
            .pass
            .run(&self.documents, true, &mut self.reports)
            .await;
    }

    /// As the control plane's news would: without looking into tables.
    pub async fn apply_news(&mut self) {
        self.number_documents();
        let _said_in_reports = self
            .pass
            .run(&self.documents, false, &mut self.reports)
            .await;
    }

    fn number_documents(&mut self) {
        let documents = &mut self.documents;
        let kinds = [
            (
                KIND_NETWORK,
                documents.networks.keys().cloned().collect::<Vec<_>>(),
            ),
            (KIND_PORT, documents.ports.keys().cloned().collect()),
            (KIND_ROUTER, documents.routers.keys().cloned().collect()),
            (
                KIND_SECURITY_GROUP,
                documents.groups.keys().cloned().collect(),
            ),
        ];
        documents.generations = kinds
            .into_iter()
            .flat_map(|(kind, ids)| ids.into_iter().map(move |id| (Owner::new(kind, id), 1)))
            .collect();
    }

    /// The agent's process ends and another one starts.
    pub fn restart(&mut self) {
        self.pass = new_pass(&self.settings, &self.driver, &self.asked);
        self.reports = Reports::default();
    }

    /// The states that are reported, but those that are up.
    pub fn not_up(&self) -> Vec<(String, String, String)> {
        let due = self.reports.due(true, &Clock::system());
        let other = due.into_iter().filter(|seen| seen.state != "up");
        other
            .map(|seen| (seen.kind, seen.state, seen.detail.to_string()))
            .collect()
    }

    #[track_caller]
    pub fn all_is_up(&self) {
        assert_eq!(self.not_up(), []);
        let due = self.reports.due(true, &Clock::system());
        let host = due.iter().find(|seen| seen.kind == KIND_HOST).unwrap();
        assert_eq!(host.detail["problems"], serde_json::json!([]));
    }
}

pub fn settings(vtep: &str) -> Settings {
    let mut settings = Settings::new("one", "", vtep.parse().unwrap());
    settings.physical_networks.insert(
        "public".to_owned(),
        PhysicalNetwork {
            bridge: "nx-public".to_owned(),
            host_address: Some("172.24.4.1/24".parse().unwrap()),
        },
    );
    settings
}

pub fn new_pass(
    settings: &Settings,
    driver: &Arc<dyn Driver>,
    asked: &Arc<Mutex<Vec<Request>>>,
) -> Pass {
    let directory = Directory::default();
    directory.set(
        "compute",
        Transport::Local(Arc::new(Compute(Arc::clone(asked)))),
    );
    let clock = Clock::system();
    let peers = Peers::new(directory, Account::Nobody, clock.clone(), String::new()).unwrap();
    let kept = peers.keep_token("of host a".to_owned(), Timestamp(i64::MAX));
    kept.now_or_never().unwrap();
    let relay = Relay { peers, clock };
    Pass::new(Arc::clone(driver), settings.clone(), relay)
}

/// A compute service that answers guests with their own id.
struct Compute(Arc<Mutex<Vec<Request>>>);

impl Dispatch for Compute {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let id = request
            .headers
            .get("x-instance-id")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        self.0.lock().unwrap().push(request);
        let body = Payload::Bytes(Bytes::from(format!("you are {id}")));
        async move {
            Response {
                status: http::StatusCode::OK,
                headers: http::HeaderMap::new(),
                body,
            }
        }
        .boxed()
    }
}

pub fn network(n: u8, segment: Segment, cidr: &str) -> NetworkSpec {
    let cidr: ipnet::IpNet = cidr.parse().unwrap();
    let subnet = SubnetSpec {
        id: format!("s-{cidr}"),
        cidr,
        gateway: cidr.hosts().next(),
        dhcp: true,
        dns: vec!["9.9.9.9".parse().unwrap()],
        routes: Vec::new(),
        ipv6_ra_mode: None,
        ipv6_address_mode: None,
    };
    NetworkSpec {
        id: id(n),
        project_id: String::new(),
        segment,
        mtu: 1450,
        subnets: vec![subnet],
    }
}

pub fn port(n: u8, network: u8, ips: &[&str], groups: &[u8]) -> PortSpec {
    let fixed = ips.iter().map(|ip| FixedIp {
        subnet_id: if ip.contains(':') {
            "s-2001:db8::/64".into()
        } else {
            "s-10.0.0.0/24".into()
        },
        ip: ip.parse().unwrap(),
    });
    PortSpec {
        id: id(n),
        network_id: id(network),
        project_id: "p".to_owned(),
        device_id: format!("server-{n}"),
        mac: mac(n).to_string(),
        tap: tap(n),
        fixed_ips: fixed.collect(),
        allowed_address_pairs: Vec::new(),
        port_security: true,
        security_groups: groups.iter().map(|n| id(*n)).collect(),
        admin_state_up: true,
        dns_name: format!("guest-{n}"),
        dhcp_options: Vec::new(),
        limits: Limits::default(),
        space: false,
        trunk: None,
    }
}

pub fn group(n: u8, rules: Vec<RuleSpec>) -> SecurityGroupSpec {
    SecurityGroupSpec {
        id: id(n),
        stateful: true,
        rules,
    }
}

/// Network 1 has port `n` with address 10.0.0.n on the host that is `vtep`.
pub fn elsewhere(documents: &mut Documents, n: u8, vtep: &str) {
    let port = RemotePort {
        mac: mac(n).to_string(),
        ips: vec![format!("10.0.0.{n}").parse().unwrap()],
        vtep: vtep.parse().unwrap(),
    };
    let list = documents.remote.entry(id(1)).or_default();
    Arc::make_mut(list).insert(id(n), port);
}

/// These are in group `n`.
pub fn members(documents: &mut Documents, n: u8, ips: &[&str]) {
    let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
    let list = Specs::from([("p".to_owned(), MemberSpec { ips })]);
    documents.members.insert(id(n), Arc::new(list));
}

pub fn rule(fields: serde_json::Value) -> RuleSpec {
    let mut rule = serde_json::json!({"id": "r", "direction": "ingress", "ip_version": 4});
    for (key, value) in fields.as_object().unwrap() {
        rule[key] = value.clone();
    }
    serde_json::from_value(rule).unwrap()
}

/// Waits until the kernel has noticed that port `n` has a cable, and the ports of routers and the like: until then their
/// bridge does not use them.
pub fn settle(n: u8) {
    let tap = tap(n);
    for _try in 0..500 {
        let ports = shell("bridge link show");
        let ready = |line: &str| line.contains("state forwarding");
        let own = ports.lines().any(|line| line.contains(&tap) && ready(line));
        if own
            && ports
                .lines()
                .filter(|line| !line.contains(": tap"))
                .all(ready)
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{}", shell("bridge link show"));
}

/// The guest's end of a tap.
pub struct Card {
    file: File,
    pub mac: Mac,
    pub ip: Ipv4Addr,
}

impl Card {
    /// Plugs a guest into port `n`'s tap, which must be there.
    pub fn plug(n: u8, ip: &str) -> Self {
        let there = shell(&format!("ip -br link show {}", tap(n)));
        assert!(there.contains(&tap(n)));
        let file = crate::driver::kernel::tap_for_test(&tap(n));
        let card = Self {
            file,
            mac: mac(n),
            ip: ip.parse().unwrap(),
        };
        settle(n);
        card
    }

    pub fn send(&self, frame: &[u8]) {
        (&self.file).write_all(frame).unwrap();
    }

    /// The next frame that is `wanted`; answers questions for its address meanwhile.
    pub async fn next<T>(
        &self,
        within: Duration,
        wanted: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let clock = Clock::system();
        let until = clock.monotonic() + within;
        let mut frame = vec![0; 4096];
        loop {
            match (&self.file).read(&mut frame) {
                Ok(length) => {
                    let frame = &frame[..length];
                    self.answer_arp(frame);
                    if let Some(found) = wanted(frame) {
                        return Some(found);
                    }
                }
                Err(why) if why.kind() == ErrorKind::WouldBlock => {
                    if clock.monotonic() > until {
                        return None;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(why) => panic!("{why}"),
            }
        }
    }

    fn answer_arp(&self, frame: &[u8]) {
        let request = frame.len() >= 42 && frame[12..14] == [8, 6] && frame[20..22] == [0, 1];
        if request && frame[38..42] == self.ip.octets() && frame[6..12] != self.mac.0 {
            self.send(&arp(
                2,
                self.mac,
                self.ip,
                Mac(frame[6..12].try_into().unwrap()),
                <[u8; 4]>::try_from(&frame[28..32]).unwrap(),
            ));
        }
    }

    pub fn udp(&self, to: (Mac, &str), ports: (u16, u16), text: &str) {
        self.send(&udp(
            (self.mac, to.0),
            (&self.ip.to_string(), to.1),
            ports,
            text,
        ));
    }

    /// The source address and port of the UDP packet with this text, if it comes.
    pub async fn hears(&self, text: &str) -> Option<(IpAddr, u16)> {
        self.next(SOON, |frame| heard(frame, text)).await
    }

    #[track_caller]
    pub fn hears_not(&self, text: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let heard = self.next(NOT, |frame| heard(frame, text)).await;
            assert_eq!(heard, None, "{text:?} came through, {place}");
        }
    }

    /// Who answers for an address.
    pub async fn arp(&self, ip: &str) -> Option<Mac> {
        let ip: Ipv4Addr = ip.parse().unwrap();
        self.send(&arp(1, self.mac, self.ip, Mac([0xff; 6]), ip));
        self.next(Duration::from_millis(500), |frame| {
            let reply = frame.len() >= 42 && frame[12..14] == [8, 6] && frame[20..22] == [0, 2];
            (reply && frame[28..32] == ip.octets()).then(|| Mac(frame[22..28].try_into().unwrap()))
        })
        .await
    }

    /// Asks the metadata service at `via`, as a guest's TCP would.
    pub async fn http(&self, via: Mac, to: Ipv4Addr, request: &str) -> Option<String> {
        let packet = |seq: u32| {
            PacketBuilder::ethernet2(self.mac.0, via.0)
                .ipv4(self.ip.octets(), to.octets(), 64)
                .tcp(40_000, 80, seq, 64_000)
        };
        let send = |step: etherparse::PacketBuilderStep<etherparse::TcpHeader>, body: &[u8]| {
            let mut frame = Vec::new();
            step.write(&mut frame, body).unwrap();
            self.send(&frame);
        };
        send(packet(1000).syn(), b"");
        let from_server = |frame: &[u8]| {
            let packet = SlicedPacket::from_ethernet(frame).ok()?;
            let Some(TransportSlice::Tcp(tcp)) = packet.transport else {
                return None;
            };
            (tcp.source_port() == 80).then(|| {
                (
                    tcp.sequence_number(),
                    tcp.fin(),
                    tcp.rst(),
                    tcp.payload().to_vec(),
                )
            })
        };
        let (start, _, reset, _) = self.next(SOON, from_server).await?;
        if reset {
            return None;
        }
        let mut next = start.wrapping_add(1);
        send(packet(1001).ack(next).psh(), request.as_bytes());
        let seq = 1001 + u32::try_from(request.len()).unwrap();
        let mut answer = Vec::new();
        loop {
            let (at, fin, reset, body) = self.next(SOON, from_server).await?;
            if at == next {
                next = next.wrapping_add(u32::try_from(body.len()).unwrap());
                answer.extend_from_slice(&body);
            }
            send(packet(seq).ack(next), b"");
            if fin || reset {
                return Some(String::from_utf8(answer).unwrap());
            }
        }
    }
}

pub fn udp(macs: (Mac, Mac), ips: (&str, &str), ports: (u16, u16), text: &str) -> Vec<u8> {
    let link = PacketBuilder::ethernet2(macs.0.0, macs.1.0);
    let net = match (ips.0.parse().unwrap(), ips.1.parse().unwrap()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => link.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => link.ipv6(from.octets(), to.octets(), 64),
        _mixed => panic!("{ips:?}"),
    };
    let mut frame = Vec::new();
    net.udp(ports.0, ports.1)
        .write(&mut frame, text.as_bytes())
        .unwrap();
    frame
}

pub fn arp(kind: u8, mac: Mac, ip: Ipv4Addr, to: Mac, target: impl Into<Ipv4Addr>) -> Vec<u8> {
    let mut frame = to.0.to_vec();
    frame.extend_from_slice(&mac.0);
    frame.extend_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, kind]);
    frame.extend_from_slice(&mac.0);
    frame.extend_from_slice(&ip.octets());
    frame.extend_from_slice(if kind == 1 { &[0; 6] } else { &to.0 });
    frame.extend_from_slice(&target.into().octets());
    frame
}

/// An ICMPv6 packet.
pub fn icmp6(macs: (Mac, Mac), ips: (Ipv6Addr, Ipv6Addr), kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let first = body
        .get(..4)
        .map_or([0; 4], |four| four.try_into().unwrap());
    PacketBuilder::ethernet2(macs.0.0, macs.1.0)
        .ipv6(ips.0.octets(), ips.1.octets(), 255)
        .icmpv6_raw(kind, 0, first)
        .write(&mut frame, body.get(4..).unwrap_or_default())
        .unwrap();
    frame
}

pub fn heard(frame: &[u8], text: &str) -> Option<(IpAddr, u16)> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let from = match packet.net? {
        NetSlice::Ipv4(ip) => IpAddr::V4(ip.header().source_addr()),
        NetSlice::Ipv6(ip) => IpAddr::V6(ip.header().source_addr()),
        NetSlice::Arp(_) => return None,
    };
    match packet.transport? {
        TransportSlice::Udp(udp) if udp.payload() == text.as_bytes() => {
            Some((from, udp.source_port()))
        }
        _other => None,
    }
}

pub const WEB: u16 = 80;

/// Two guests of network 1; the second one lets in what `rules` say.
pub async fn two(rules: Vec<RuleSpec>) -> (Bench, Card, Card) {
    let mut bench = Bench::new("127.0.0.1");
    bench.documents.groups.insert(id(2), group(2, rules));
    bench.port(11, &[1]);
    bench.port(12, &[1, 2]);
    bench.apply().await;
    bench.all_is_up();
    let cards = (Card::plug(11, "10.0.0.11"), Card::plug(12, "10.0.0.12"));
    (bench, cards.0, cards.1)
}

pub fn web() -> RuleSpec {
    rule(json!({"protocol": 17, "port_min": WEB, "port_max": WEB}))
}
