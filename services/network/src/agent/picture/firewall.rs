//! The host's packet filters: who may send as whom, and security groups.
//!
//! The bridge family of this kernel cannot see connections. So `inet nephos_ct`, which bridged packets pass because of
//! br_netfilter, writes their state into three bits of the packet's mark, and `bridge nephos_sg` reads them. A packet
//! without any of the bits has not passed there (br_netfilter is off): it is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{Kept, METADATA_V4, METADATA_V6, Picture, Place};
use crate::agent::documents::Documents;
use crate::driver::METADATA_MAC;
use crate::driver::plane::{Chain, HOST, LinkKind, Mac, Set, Table, TableName};
use crate::model::spec::{Direction, PortSpec, RuleSpec, SecurityGroupSpec, Segment};

/// Connection states of bridged packets.
pub const STATES: TableName = TableName {
    family: "inet",
    name: "nephos_ct",
};
/// Anti-spoofing and security groups.
pub const GROUPS: TableName = TableName {
    family: "bridge",
    name: "nephos_sg",
};

const IFNAMES: &str = "type ifname;";
const VERDICTS: &str = "type ifname : verdict;";

/// The conntrack zone of a network: its own for tunnels, the host's for networks that the host may be a member of.
pub fn zone(segment: &Segment) -> u16 {
    match segment {
        Segment::Flat { .. } => 0,
        Segment::Vxlan { vni } => u16::try_from(vni % 65_535 + 1).unwrap_or(1),
    }
}

/// Draws both tables.
pub fn draw(
    picture: &mut Picture,
    documents: &Documents,
    places: &BTreeMap<&str, Place<'_>>,
    kept: &mut Kept,
) {
    let states = states(places);
    let mut groups = frame();
    fill_ports(&mut groups, picture, places);
    for group in documents.groups.values() {
        add_group(&mut groups, group);
    }
    for spec in documents.ports.values() {
        let here = picture
            .links
            .contains_key(&(HOST.to_owned(), spec.tap.clone()));
        let place = places.get(spec.network_id.as_str());
        if let (true, Some(place), Some(mac)) = (here, place, Mac::parse(&spec.mac)) {
            if !spec.space {
                element(&mut groups, "taps", &spec.tap);
            }
            // Whatever lives in a namespace has its own addresses and no others.
            if spec.port_security || spec.space {
                add_port(&mut groups, documents, place, spec, mac);
            }
        }
    }
    declare_members(&mut groups, documents, kept);
    let tables = &mut picture.plane.space(HOST).tables;
    tables.insert(STATES, Arc::new(states));
    tables.insert(GROUPS, Arc::new(groups));
}

fn states(places: &BTreeMap<&str, Place<'_>>) -> Table {
    let mut zones = BTreeMap::new();
    let mut bridges = BTreeMap::new();
    for place in places.values() {
        bridges.insert(quoted(&place.bridge), String::new());
        let zone = zone(&place.spec.segment);
        if zone != 0 {
            zones.insert(quoted(&place.bridge), zone.to_string());
        }
    }
    let mark = |link: &str| {
        vec![
            format!("{link} != @bridges accept"),
            "meta mark set meta mark and 0xfffffff8".to_owned(),
            "ct state established,related meta mark set meta mark or 0x1 accept".to_owned(),
            "ct state invalid meta mark set meta mark or 0x4 accept".to_owned(),
            // In the middle of a connection that is not known: it was ended here, and its next packet, from whichever
            // side, must not begin it anew.
            "tcp flags & (fin | syn | rst | ack) != syn meta mark set meta mark or 0x4 accept"
                .to_owned(),
            "meta mark set meta mark or 0x2".to_owned(),
        ]
    };
    let mut table = Table::default();
    set(&mut table, "bridges", IFNAMES, bridges);
    map(&mut table, "zones", "typeof iifname : ct zone;", zones);
    chain(
        &mut table,
        "raw",
        "type filter hook prerouting priority raw; policy accept;",
        vec![
            // Else every packet of a tunnel would be a connection of the host.
            "iifname != @bridges udp dport 4789 notrack".to_owned(),
            "ct zone set iifname map @zones".to_owned(),
        ],
    );
    chain(
        &mut table,
        "raw_out",
        "type filter hook output priority raw; policy accept;",
        vec!["udp dport 4789 notrack".to_owned()],
    );
    chain(
        &mut table,
        "state",
        "type filter hook prerouting priority mangle; policy accept;",
        mark("iifname"),
    );
    chain(
        &mut table,
        "state_out",
        "type filter hook output priority mangle; policy accept;",
        mark("oifname"),
    );
    table
}

/// The chains that every host has.
fn frame() -> Table {
    let mut table = Table::default();
    for name in ["taps", "closed", "answered"] {
        set(&mut table, name, IFNAMES, BTreeMap::new());
    }
    for name in ["spoof", "out", "in"] {
        map(&mut table, &verdicts(name), VERDICTS, BTreeMap::new());
    }
    chain(
        &mut table,
        "pre",
        "type filter hook prerouting priority -350; policy accept;",
        vec![
            "iifname vmap @by_tap_spoof".to_owned(),
            // Whatever a guest thinks is the way there.
            format!("iifname @taps ip daddr {METADATA_V4} ether daddr set {METADATA_MAC}"),
        ],
    );
    let ask6 = format!(
        "icmpv6 type nd-neighbor-solicit @th,64,128 {}",
        hex(METADATA_V6.into())
    );
    chain(
        &mut table,
        "fence",
        "type filter hook forward priority -220; policy accept;",
        vec![
            // Every host has a metadata service of its own in each network; they must not see each other.
            format!("ether saddr {METADATA_MAC} oifname != @taps drop"),
            format!("ether daddr {METADATA_MAC} oifname != \"nm-*\" drop"),
            format!("arp daddr ip {METADATA_V4} oifname != \"nm-*\" drop"),
            format!("{ask6} oifname != \"nm-*\" drop"),
            // Every host answers its own guests.
            "oifname @answered ether type ip udp sport { 67, 68 } udp dport { 67, 68 } drop"
                .to_owned(),
            "oifname @answered ether type ip6 udp sport { 546, 547 } udp dport { 546, 547 } drop"
                .to_owned(),
            "oifname @answered icmpv6 type { nd-router-solicit, nd-router-advert } drop".to_owned(),
        ],
    );
    chain(
        &mut table,
        "outward",
        "type filter hook forward priority -200; policy accept;",
        vec![
            "ether type arp accept".to_owned(),
            "iifname vmap @by_tap_out".to_owned(),
        ],
    );
    chain(
        &mut table,
        "inward",
        "type filter hook forward priority -190; policy accept;",
        vec![
            "ether type arp accept".to_owned(),
            "oifname vmap @by_tap_in".to_owned(),
        ],
    );
    chain(
        &mut table,
        "to_host",
        "type filter hook input priority -200; policy accept;",
        vec![
            // A guest could reach the host's other addresses through the bridge's own.
            "iifname @closed drop".to_owned(),
            "ether type arp accept".to_owned(),
            "iifname vmap @by_tap_out".to_owned(),
        ],
    );
    chain(
        &mut table,
        "from_host",
        "type filter hook output priority -200; policy accept;",
        vec![
            "ether type arp accept".to_owned(),
            "oifname vmap @by_tap_in".to_owned(),
        ],
    );
    table
}

fn verdicts(name: &str) -> String {
    format!("by_tap_{name}")
}

/// Which bridge ports may not reach the host, and out of which no question for an address goes.
fn fill_ports(table: &mut Table, picture: &Picture, places: &BTreeMap<&str, Place<'_>>) {
    let open: BTreeSet<&str> = places
        .values()
        .filter(|place| place.with_host)
        .map(|place| place.bridge.as_str())
        .collect();
    let links = picture.plane.spaces.get(HOST).map(|host| &host.links);
    for (name, link) in links.into_iter().flatten() {
        let Some(bridge) = &link.bridge else { continue };
        if !open.contains(bridge.as_str())
            || matches!(link.kind, LinkKind::Veth { .. }) && name.starts_with("nm-")
        {
            element(table, "closed", name);
        }
    }
    for place in places.values() {
        let answers = place
            .spec
            .subnets
            .iter()
            .any(|subnet| subnet.dhcp || subnet.ipv6_ra_mode.is_some());
        if let (Some(tunnel), true) = (&place.tunnel, answers) {
            element(table, "answered", tunnel);
        }
    }
}

fn add_port(
    table: &mut Table,
    documents: &Documents,
    place: &Place<'_>,
    spec: &PortSpec,
    mac: Mac,
) {
    let answered4 = place
        .spec
        .subnets
        .iter()
        .any(|subnet| subnet.dhcp && subnet.cidr.addr().is_ipv4());
    let mut rules = vec![("spoof", spoof(spec, mac, answered4))];
    if spec.port_security {
        rules.push(("out", direction(documents, spec, Direction::Egress)));
        rules.push(("in", direction(documents, spec, Direction::Ingress)));
    }
    for (name, rules) in rules {
        let chain_name = format!("{name}_{}", spec.tap);
        let verdict = format!("jump {chain_name}");
        chain(table, &chain_name, "", rules);
        if let Some(set) = table.sets.get_mut(&verdicts(name)) {
            Arc::make_mut(&mut set.elements).insert(quoted(&spec.tap), verdict);
        }
    }
}

/// Who a guest may say that it is.
fn spoof(spec: &PortSpec, own: Mac, answered4: bool) -> Vec<String> {
    let mut ranges: BTreeMap<Mac, BTreeSet<IpNet>> = BTreeMap::new();
    let fixed = spec.fixed_ips.iter().map(|fixed| IpNet::from(fixed.ip));
    ranges.entry(own).or_default().extend(fixed);
    for pair in &spec.allowed_address_pairs {
        let mac = match &pair.mac {
            Some(text) => Mac::parse(text),
            None => Some(own),
        };
        if let Some(mac) = mac {
            ranges.entry(mac).or_default().insert(pair.cidr.trunc());
        }
    }
    let mut rules = vec![
        format!(
            "ether saddr != {} counter drop comment \"foreign MAC\"",
            one_of(ranges.keys())
        ),
        "ether type != { arp, ip, ip6 } counter drop comment \"foreign protocol\"".to_owned(),
    ];
    if answered4 {
        rules.push("ether type ip udp sport 68 udp dport 67 drop".to_owned()); // the agent has seen it
    } else {
        rules.push("ether type ip ip saddr 0.0.0.0 udp sport 68 udp dport 67 return".to_owned());
    }
    rules.push(
        "ether type ip udp sport 67 udp dport 68 counter drop comment \"rogue DHCP\"".to_owned(),
    );
    rules.push(
        "ether type ip6 udp sport 547 udp dport 546 counter drop comment \"rogue DHCP\"".to_owned(),
    );
    rules.push(
        "icmpv6 type { nd-router-advert, nd-redirect } counter drop comment \"rogue router\""
            .to_owned(),
    );
    for (mac, nets) in &ranges {
        let local = IpNet::from(IpAddr::from(mac.link_local()));
        let v4 = merged(nets.iter().filter(|net| net.addr().is_ipv4()));
        let v6 = merged(
            nets.iter()
                .chain([&local])
                .filter(|net| net.addr().is_ipv6()),
        );
        let hex6: Vec<_> = v6.iter().map(|net| hex_range(*net)).collect();
        rules.push(format!(
            "ether type arp ether saddr {mac} arp saddr ether {mac} arp saddr ip {} return",
            one_of(
                ["0.0.0.0".to_owned()]
                    .into_iter()
                    .chain(v4.iter().map(ToString::to_string))
            )
        ));
        if !v4.is_empty() {
            rules.push(format!(
                "ether type ip ether saddr {mac} ip saddr {} return",
                one_of(&v4)
            ));
        }
        rules.push(format!(
            "ether saddr {mac} icmpv6 type nd-neighbor-advert @th,64,128 != {} counter drop comment \"foreign neighbour\"",
            one_of(hex6)
        ));
        rules.push(format!(
            "ether type ip6 ether saddr {mac} ip6 saddr {} return",
            one_of(&v6)
        ));
    }
    // Asking whether an address is free, and joining groups to do so.
    rules.push(
        "ether type ip6 ip6 saddr :: icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld2-listener-report } return"
            .to_owned(),
    );
    rules.push("counter drop comment \"foreign address\"".to_owned());
    rules
}

/// What a port's groups let through one way.
fn direction(documents: &Documents, spec: &PortSpec, direction: Direction) -> Vec<String> {
    let groups: Vec<_> = spec
        .security_groups
        .iter()
        .filter_map(|id| documents.groups.get(id))
        .collect();
    let stateless = !groups.is_empty() && groups.iter().all(|group| !group.stateful);
    let mut rules = match direction {
        Direction::Egress => vec![
            "ether type ip udp sport 68 udp dport 67 accept".to_owned(),
            "ether type ip6 udp sport 546 udp dport 547 accept".to_owned(),
            "icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query, \
             mld-listener-report, mld2-listener-report } accept"
                .to_owned(),
        ],
        Direction::Ingress => vec![
            "ether type ip udp sport 67 udp dport 68 accept".to_owned(),
            "ether type ip6 udp sport 547 udp dport 546 accept".to_owned(),
            "icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query } accept"
                .to_owned(),
        ],
    };
    rules.push("meta mark and 0x7 == 0x0 counter drop comment \"not tracked\"".to_owned());
    if !stateless {
        rules.push("meta mark and 0x1 == 0x1 accept".to_owned());
        rules.push("meta mark and 0x4 == 0x4 drop".to_owned());
    }
    rules.extend(
        groups
            .iter()
            .map(|group| format!("jump {}", group_chain(&group.id, direction))),
    );
    rules.push("counter drop comment \"security group\"".to_owned());
    rules
}

fn group_chain(id: &str, direction: Direction) -> String {
    match direction {
        Direction::Ingress => format!("gi_{id}"),
        Direction::Egress => format!("go_{id}"),
    }
}

fn members(id: &str, version: u8) -> String {
    format!("m{version}_{id}")
}

fn add_group(table: &mut Table, group: &SecurityGroupSpec) {
    for direction in [Direction::Ingress, Direction::Egress] {
        let wanted = group
            .rules
            .iter()
            .filter(|rule| rule.direction == direction);
        let rules: BTreeSet<_> = wanted.map(rule).collect();
        let rules = rules.into_iter().collect();
        chain(table, &group_chain(&group.id, direction), "", rules);
    }
}

/// Declares the sets of members that rules name, also those of groups that were not told.
fn declare_members(table: &mut Table, documents: &Documents, kept: &mut Kept) {
    let rules = documents.groups.values().flat_map(|group| &group.rules);
    for rule in rules {
        let Some(id) = &rule.remote_group else {
            continue;
        };
        let known = kept.members(documents, id);
        let (form, elements) = match rule.ip_version {
            4 => ("type ipv4_addr;", known.v4),
            _ipv6 => ("type ipv6_addr;", known.v6),
        };
        let set = Set {
            form,
            map: false,
            elements,
        };
        table.sets.insert(members(id, rule.ip_version), set);
    }
}

/// One rule in nft's language.
fn rule(rule: &RuleSpec) -> String {
    let (family, side) = match (rule.ip_version, rule.direction) {
        (4, Direction::Ingress) => ("ip", "saddr"),
        (4, Direction::Egress) => ("ip", "daddr"),
        (_, Direction::Ingress) => ("ip6", "saddr"),
        (_, Direction::Egress) => ("ip6", "daddr"),
    };
    let mut text = format!("ether type {family}");
    if let Some(net) = rule.remote_cidr.filter(|net| net.prefix_len() > 0) {
        text += &format!(" {family} {side} {}", net.trunc());
    }
    if let Some(id) = &rule.remote_group {
        text += &format!(" {family} {side} @{}", members(id, rule.ip_version));
    }
    if let Some(protocol) = rule.protocol {
        text += &protocol_match(rule, protocol);
    }
    text + " accept"
}

fn protocol_match(rule: &RuleSpec, protocol: u8) -> String {
    let icmp = match (protocol, rule.ip_version) {
        (1, 4) => Some("icmp"),
        (1 | 58, 6) => Some("icmpv6"),
        _other => None,
    };
    if let Some(icmp) = icmp {
        let number = if icmp == "icmp" { 1 } else { 58 };
        let mut text = format!(" meta l4proto {number}");
        if let Some(kind) = rule.port_min {
            text += &format!(" {icmp} type {kind}");
        }
        if let Some(code) = rule.port_max {
            text += &format!(" {icmp} code {code}");
        }
        return text;
    }
    let ports = matches!(protocol, 6 | 17 | 33 | 132 | 136);
    match (rule.port_min, rule.port_max) {
        (Some(first), Some(last)) if ports && first == last => {
            format!(" meta l4proto {protocol} th dport {first}")
        }
        (Some(first), Some(last)) if ports => {
            format!(" meta l4proto {protocol} th dport {first}-{last}")
        }
        (Some(first), None) if ports => format!(" meta l4proto {protocol} th dport {first}"),
        _no_ports => format!(" meta l4proto {protocol}"),
    }
}

/// Ranges without those that lie in another: sets of nft refuse overlaps.
fn merged<'a>(nets: impl Iterator<Item = &'a IpNet>) -> Vec<IpNet> {
    let all: Vec<IpNet> = nets.copied().collect();
    IpNet::aggregate(&all)
}

fn one_of<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    format!("{{ {} }}", items.join(", "))
}

fn hex(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("0x{:x}", ip.to_bits()),
        IpAddr::V6(ip) => format!("0x{:032x}", ip.to_bits()),
    }
}

fn hex_range(net: IpNet) -> String {
    let (first, last) = (net.network(), net.broadcast());
    if first == last {
        return hex(first);
    }
    format!("{}-{}", hex(first), hex(last))
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn element(table: &mut Table, set: &str, name: &str) {
    if let Some(set) = table.sets.get_mut(set) {
        Arc::make_mut(&mut set.elements).insert(quoted(name), String::new());
    }
}

fn set(table: &mut Table, name: &str, form: &'static str, elements: BTreeMap<String, String>) {
    let map = false;
    let elements = Arc::new(elements);
    let set = Set {
        form,
        map,
        elements,
    };
    table.sets.insert(name.to_owned(), set);
}

fn map(table: &mut Table, name: &str, form: &'static str, elements: BTreeMap<String, String>) {
    let map = true;
    let elements = Arc::new(elements);
    let set = Set {
        form,
        map,
        elements,
    };
    table.sets.insert(name.to_owned(), set);
}

fn chain(table: &mut Table, name: &str, hook: &'static str, rules: Vec<String>) {
    table.chains.insert(name.to_owned(), Chain { hook, rules });
}
