use std::collections::BTreeSet;

use super::*;
use crate::agent::tests_bench::{elsewhere, id, members, network, port, rule, settings, tap};
use crate::driver::plane::Chain;
use crate::model::spec::{KIND_NETWORK, Limit, Limits, RouterLeg, RouterSpec, Segment};

fn documents() -> Documents {
    let mut documents = Documents::default();
    documents
        .networks
        .insert(id(1), network(1, Segment::Vxlan { vni: 7 }, "10.0.0.0/24"));
    documents
        .ports
        .insert(id(11), port(11, 1, &["10.0.0.11"], &[1]));
    documents
}

fn drawn(documents: &Documents) -> Picture {
    draw(documents, &settings("192.0.2.1"), &mut Kept::default())
}

fn chain<'a>(picture: &'a Picture, name: &str) -> &'a Chain {
    let tables = &picture.plane.spaces[HOST].tables;
    &tables
        .iter()
        .find(|(table, _)| table.name == "nephos_sg")
        .unwrap()
        .1
        .chains[name]
}

#[test]
fn a_remote_port_is_known_to_tunnel_and_bridge_and_one_of_this_host_is_not_remote() {
    let mut documents = documents();
    elsewhere(&mut documents, 50, "192.0.2.2");
    elsewhere(&mut documents, 51, "192.0.2.1");
    let picture = drawn(&documents);
    let host = &picture.plane.spaces[HOST];
    assert_eq!(host.forwards["vx7"].len(), 3, "{:?}", host.forwards);
    assert_eq!(host.neighbours["br7"].len(), 1);
}

#[test]
fn what_is_drawn_of_a_list_is_kept_while_the_list_is_the_same() {
    let mut documents = documents();
    let mut kept = Kept::default();
    let mut ways = |documents: &Documents| {
        let picture = draw(documents, &settings("192.0.2.1"), &mut kept);
        let host = &picture.plane.spaces[HOST];
        (Arc::clone(&host.forwards["vx7"]), picture.plane)
    };
    elsewhere(&mut documents, 50, "192.0.2.2");
    let (one, first) = ways(&documents);
    let (two, second) = ways(&documents);
    assert!(Arc::ptr_eq(&one, &two));
    assert_eq!(first, second);
    elsewhere(&mut documents, 51, "192.0.2.2");
    let (three, third) = ways(&documents);
    assert_eq!(three.len(), 5);
    let anew = draw(&documents, &settings("192.0.2.1"), &mut Kept::default());
    assert_eq!(third, anew.plane);
}

#[test]
fn a_network_or_port_that_cannot_be_is_a_problem_of_its_own() {
    let mut documents = documents();
    let flat = Segment::Flat {
        physical_network: "other".into(),
    };
    documents
        .networks
        .insert(id(2), network(2, flat, "10.1.0.0/24"));
    documents.ports.insert(id(12), port(12, 2, &[], &[]));
    let mut odd = port(13, 1, &[], &[]);
    odd.tap = "eth0".into();
    documents.ports.insert(id(13), odd);
    let picture = drawn(&documents);
    let with_problem: BTreeSet<_> = picture
        .problems
        .keys()
        .map(|owner| owner.id.clone())
        .collect();
    assert_eq!(with_problem, BTreeSet::from([id(2), id(12), id(13)]));
    let why = &picture.problems[&Owner::new(KIND_NETWORK, id(2))];
    assert_eq!(why, "this host has no physical network other");
    let links = &picture.plane.spaces[HOST].links;
    assert!(links.contains_key(&tap(11)) && !links.contains_key("eth0"));
}

#[test]
fn rules_are_the_groups_own_and_ports_jump_to_them() {
    let mut documents = documents();
    let rules = vec![
        rule(
            serde_json::json!({"protocol": 6, "port_min": 80, "port_max": 81, "remote_cidr": "10.9.0.0/16"}),
        ),
        rule(serde_json::json!({"protocol": 1, "port_min": 8, "port_max": 0})),
        rule(
            serde_json::json!({"ip_version": 6, "protocol": 17, "port_min": 53, "port_max": 53, "remote_group": id(1)}),
        ),
    ];
    let group = crate::agent::tests_bench::group(1, rules);
    documents.groups.insert(id(1), group);
    members(&mut documents, 1, &["10.0.0.9", "2001:db8::9"]);
    let picture = drawn(&documents);
    let expected = [
        "ether type ip ip saddr 10.9.0.0/16 meta l4proto 6 th dport 80-81 accept".to_owned(),
        "ether type ip meta l4proto 1 icmp type 8 icmp code 0 accept".to_owned(),
        format!(
            "ether type ip6 ip6 saddr @m6_{} meta l4proto 17 th dport 53 accept",
            id(1)
        ),
    ];
    assert_eq!(chain(&picture, &format!("gi_{}", id(1))).rules, expected);
    assert_eq!(chain(&picture, &format!("go_{}", id(1))).rules, [""; 0]);
    let jump = format!("jump gi_{}", id(1));
    assert!(
        chain(&picture, &format!("in_{}", tap(11)))
            .rules
            .contains(&jump)
    );
    let table = &picture.plane.spaces[HOST].tables;
    let (_, table) = table
        .iter()
        .find(|(table, _)| table.name == "nephos_sg")
        .unwrap();
    let members: Vec<_> = table.sets[&format!("m6_{}", id(1))]
        .elements
        .keys()
        .collect();
    assert_eq!(members, ["2001:db8::9"]);
}

#[test]
fn the_order_of_rules_and_of_documents_changes_nothing() {
    let a = rule(serde_json::json!({"protocol": 6}));
    let b = rule(serde_json::json!({"protocol": 17}));
    let with = |rules| {
        let mut documents = documents();
        documents
            .groups
            .insert(id(1), crate::agent::tests_bench::group(1, rules));
        drawn(&documents).plane
    };
    assert_eq!(with(vec![a.clone(), b.clone()]), with(vec![b, a]));
}

/// Limits of 2 and 1 Mbit/s.
const LIMITS: Limits = Limits {
    ingress: Some(Limit {
        kbps: 2000,
        burst_kbits: 1600,
    }),
    egress: Some(Limit {
        kbps: 1000,
        burst_kbits: 800,
    }),
};

#[test]
fn what_goes_to_a_guest_is_limited_at_its_tap_and_what_comes_from_it_on_a_way_round() {
    let mut documents = documents();
    documents.ports.get_mut(&id(11)).unwrap().limits = LIMITS;
    let picture = drawn(&documents);
    let host = &picture.plane.spaces[HOST];
    let ifb = tap(11).replace("tap", "ifb");
    assert_eq!(host.links[&ifb].kind, LinkKind::Ifb);
    assert_eq!(host.detours[&tap(11)], ifb);
    let rates = [&host.limits[&tap(11)], &host.limits[&ifb]];
    assert_eq!(rates.map(|rate| rate.bytes), [250_000, 125_000]);
    let owner = &picture.links[&(HOST.to_owned(), ifb)];
    assert_eq!(*owner, Owner::new(KIND_PORT, id(11)));
    documents.ports.get_mut(&id(11)).unwrap().limits.egress = None;
    let one_way = drawn(&documents).plane.spaces[HOST].clone();
    assert_eq!((one_way.limits.len(), one_way.detours.len()), (1, 0));
}

#[test]
fn a_leg_of_a_router_is_limited_at_its_end_on_the_host() {
    let mut documents = documents();
    let router = RouterSpec {
        id: id(100),
        project_id: String::new(),
        admin_state_up: true,
        interfaces: vec![RouterLeg {
            port_id: id(101),
            network_id: id(1),
            mac: "fa:16:3e:00:00:65".into(),
            addresses: Vec::new(),
            limits: LIMITS,
        }],
        gateway: None,
        routes: Vec::new(),
        floating_ips: Vec::new(),
    };
    documents.routers.insert(id(100), router);
    let picture = drawn(&documents);
    let host = &picture.plane.spaces[HOST];
    let limited: Vec<&str> = host.limits.keys().map(String::as_str).collect();
    let leg = tap(101).replace("tap", "hr-");
    let ifb = tap(101).replace("tap", "ifb");
    assert_eq!(limited, [leg.as_str(), ifb.as_str()]);
    assert_eq!(host.detours[&leg], ifb);
}

#[test]
fn a_route_that_no_leg_carries_is_a_problem_and_a_router_that_is_off_is_not_there() {
    let mut documents = documents();
    let leg = RouterLeg {
        port_id: id(101),
        network_id: id(1),
        mac: "fa:16:3e:00:00:65".into(),
        addresses: vec!["10.0.0.1/24".parse().unwrap()],
        limits: Limits::default(),
    };
    let route = |net: &str, hop: &str| crate::model::spec::Route {
        destination: net.parse().unwrap(),
        nexthop: hop.parse().unwrap(),
    };
    let mut router = RouterSpec {
        id: id(100),
        project_id: String::new(),
        admin_state_up: true,
        interfaces: vec![leg],
        gateway: None,
        routes: vec![
            route("10.8.0.0/16", "10.0.0.8"),
            route("10.9.0.0/16", "10.1.0.9"),
        ],
        floating_ips: Vec::new(),
    };
    documents.routers.insert(id(100), router.clone());
    let picture = drawn(&documents);
    let space = format!("nephos-r-{}", id(100));
    assert_eq!(picture.plane.spaces[&space].routes.len(), 1);
    let problems: Vec<_> = picture.problems.values().collect();
    assert_eq!(
        problems,
        ["no leg reaches 10.1.0.9, the next hop to 10.9.0.0/16"]
    );
    router.admin_state_up = false;
    documents.routers.insert(id(100), router);
    let picture = drawn(&documents);
    assert!(!picture.plane.spaces.contains_key(&space));
    assert!(picture.problems.is_empty());
}

#[test]
fn a_port_with_a_space_has_its_addresses_and_ways_there_and_is_no_guest() {
    let mut documents = Documents::default();
    let mut with_routes = network(1, Segment::Vxlan { vni: 7 }, "10.0.0.0/24");
    let route = |net: &str, hop: &str| crate::model::spec::Route {
        destination: net.parse().unwrap(),
        nexthop: hop.parse().unwrap(),
    };
    with_routes.subnets[0].routes = vec![
        route("10.8.0.0/16", "10.0.0.8"),
        route("10.9.0.0/16", "10.1.0.9"),
        route("0.0.0.0/0", "10.0.0.9"),
    ];
    documents.networks.insert(id(1), with_routes);
    let mut spec = port(31, 1, &["10.0.0.31"], &[]);
    (spec.space, spec.port_security) = (true, false);
    documents.ports.insert(id(31), spec);
    let picture = drawn(&documents);
    assert!(picture.problems.is_empty(), "{:?}", picture.problems);
    let name = format!("nephos-l-{}", short(&id(31)));
    let spaces: Vec<_> = picture.plane.spaces.keys().map(String::as_str).collect();
    assert_eq!(spaces, [HOST, &name]);
    let (space, host) = (&picture.plane.spaces[&name], &picture.plane.spaces[HOST]);
    let nets: Vec<_> = space
        .addresses
        .iter()
        .map(|one| one.net.to_string())
        .collect();
    assert_eq!(nets, ["10.0.0.31/24"]);
    let ways = space.routes.iter();
    let ways: Vec<_> = ways
        .map(|one| (one.destination.to_string(), one.nexthop))
        .collect();
    let by = |ip: &str| Some(ip.parse::<IpAddr>().unwrap());
    assert_eq!(
        ways,
        [
            ("0.0.0.0/0".to_owned(), by("10.0.0.1")),
            ("10.8.0.0/16".to_owned(), by("10.0.0.8"))
        ]
    );
    assert_eq!(space.links["eth0"].mac, Mac::parse("fa:16:3e:00:00:1f"));
    let outside = &host.links[&tap(31)];
    assert!(matches!(outside.kind, LinkKind::Veth { .. }) && outside.up);
    assert_eq!(outside.bridge.as_deref(), Some("br7"));
    assert!(host.forwards.contains_key(&tap(31)));
    assert!(picture.guests.is_empty() && picture.metadata.is_empty());
    // Port security or not, it is nobody else; whom it talks to is not filtered without.
    let tables = host.tables.iter();
    let mut groups = tables.filter(|(table, _)| table.name == "nephos_sg");
    let (_, groups) = groups.next().unwrap();
    let filtered =
        ["spoof", "out", "in"].map(|name| groups.sets[&format!("by_tap_{name}")].elements.len());
    assert_eq!(filtered, [1, 0, 0]);
    let spoof = &chain(&picture, &format!("spoof_{}", tap(31))).rules;
    assert!(
        spoof
            .iter()
            .any(|rule| rule.contains("ip saddr { 10.0.0.31/32 }")),
        "{spoof:?}"
    );
    documents.ports.get_mut(&id(31)).unwrap().admin_state_up = false;
    let off = drawn(&documents);
    assert!(!off.plane.spaces[HOST].links[&tap(31)].up);
    documents.networks.get_mut(&id(1)).unwrap().subnets.clear();
    let why = drawn(&documents).problems.into_values().collect::<Vec<_>>();
    assert_eq!(why, ["subnet s-10.0.0.0/24 of its address is not told"]);
}

#[test]
fn frames_for_a_port_with_a_space_go_where_it_is_said_to_be() {
    let mut documents = documents();
    elsewhere(&mut documents, 31, "192.0.2.2");
    let mut spec = port(31, 1, &["10.0.0.31"], &[]);
    spec.space = true;
    documents.ports.insert(id(31), spec);
    let picture = drawn(&documents);
    let mac = Mac::parse("fa:16:3e:00:00:1f");
    let ways = picture.plane.spaces[HOST].forwards.iter();
    let ways = ways.filter(|(_, of)| of.iter().any(|one| Some(one.mac) == mac));
    let links: Vec<_> = ways.map(|(link, _)| link.as_str()).collect();
    assert_eq!(links, ["vx7"]);
}
