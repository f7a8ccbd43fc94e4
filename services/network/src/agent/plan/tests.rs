use std::sync::Arc;

use super::*;
use crate::driver::plane::{Chain, Forward, Mac, Rate, Table, TableName, Tags};

const TABLE: TableName = TableName {
    family: "bridge",
    name: "nephos_sg",
};

fn link(kind: LinkKind, bridge: Option<&str>) -> Link {
    Link {
        kind,
        mac: None,
        mtu: Some(1450),
        up: true,
        bridge: bridge.map(str::to_owned),
        suppress: false,
        learning: false,
    }
}

fn forward(host: &mut Space, link: &str, mac: u8) {
    let mac = Mac([mac; 6]);
    let one = BTreeSet::from([Forward { mac, host: None }]);
    host.forwards.insert(link.into(), Arc::new(one));
}

/// A bridge with a guest.
fn wanted() -> Plane {
    let mut plane = Plane::default();
    let host = plane.space(HOST);
    host.links
        .insert("br1".into(), link(LinkKind::Bridge, None));
    host.links
        .insert("tapx".into(), link(LinkKind::Tap, Some("br1")));
    forward(host, "tapx", 2);
    host.settings
        .insert("ipv6/conf/br1/disable_ipv6".into(), "1".into());
    host.settings.insert("bridge/x".into(), "1".into());
    let mut table = Table::default();
    table.chains.insert(
        "c".into(),
        Chain {
            hook: "",
            rules: vec!["drop".into()],
        },
    );
    host.tables.insert(TABLE, Arc::new(table));
    plane
}

fn tables(plane: &Plane) -> BTreeMap<String, Tables> {
    let tables = plane
        .spaces
        .iter()
        .map(|(name, space)| (name.clone(), space.tables.clone()));
    tables.collect()
}

#[track_caller]
fn check(wanted: &Plane, found: &Plane, may_remove: bool, expected: &[&str]) {
    let known = tables(found);
    let known = Known {
        found,
        tables: &known,
        may_remove,
    };
    let steps: Vec<_> = plan(wanted, known).iter().map(show).collect();
    assert_eq!(steps, expected);
}

fn show(step: &Step) -> String {
    match step {
        Step::AddSpace(name) => format!("add space {name}"),
        Step::RemoveSpace(name) => format!("remove space {name}"),
        Step::AddLink { name, peer, .. } => match peer {
            Some(_) => format!("add pair {name}"),
            None => format!("add {name}"),
        },
        Step::RemoveLink { name, .. } => format!("remove {name}"),
        Step::ShapeLink { name, .. } => format!("shape {name}"),
        Step::SwitchLink { name, up, .. } => format!("{name} {}", if *up { "on" } else { "off" }),
        Step::Limit { name, rate, .. } => match rate {
            Some(_) => format!("limit {name}"),
            None => format!("unlimit {name}"),
        },
        Step::Detour { name, by, .. } => match by {
            Some(by) => format!("lead {name} by {by}"),
            None => format!("lead {name} straight"),
        },
        Step::Tags { name, tags, .. } => match tags {
            Some(_) => format!("tags of {name}"),
            None => format!("no tags of {name}"),
        },
        Step::Set { path, .. } => format!("set {path}"),
        Step::Addresses(_, change) => {
            format!("addresses -{} +{}", change.remove.len(), change.add.len())
        }
        Step::Routes(_, change) => format!("routes -{} +{}", change.remove.len(), change.add.len()),
        Step::Forwards { change, .. } => {
            format!("forwards -{} +{}", change.remove.len(), change.add.len())
        }
        Step::Neighbours { change, .. } => {
            format!("neighbours -{} +{}", change.remove.len(), change.add.len())
        }
        Step::Announce { link, .. } => format!("announce {link}"),
        Step::Tables { .. } => "tables".to_owned(),
    }
}

#[test]
fn a_guest_is_let_in_after_its_filters_stand() {
    let expected = [
        "set bridge/x",
        "add br1",
        "add tapx",
        "set ipv6/conf/br1/disable_ipv6",
        "tables",
        "shape br1",
        "shape tapx",
        "forwards -0 +1",
        "br1 on",
        "tapx on",
    ];
    check(&wanted(), &Plane::default(), true, &expected);
}

/// The guest is limited both ways.
fn limited() -> Plane {
    let mut plane = wanted();
    let host = plane.space(HOST);
    host.links.insert("ifbx".into(), link(LinkKind::Ifb, None));
    let rate = Rate {
        bytes: 1000,
        burst: 1468,
    };
    host.limits.insert("tapx".into(), rate);
    host.limits.insert("ifbx".into(), rate);
    host.detours.insert("tapx".into(), "ifbx".into());
    plane
}

#[test]
fn a_guest_is_let_in_after_its_limits_stand() {
    let expected = [
        "set bridge/x",
        "add br1",
        "add ifbx",
        "add tapx",
        "set ipv6/conf/br1/disable_ipv6",
        "tables",
        "shape br1",
        "shape ifbx",
        "shape tapx",
        "forwards -0 +1",
        "limit ifbx",
        "limit tapx",
        "ifbx on",
        "lead tapx by ifbx",
        "br1 on",
        "tapx on",
    ];
    check(&limited(), &Plane::default(), true, &expected);
    check(&limited(), &limited(), true, &[]);
}

/// The guest has a second network by its tap.
fn trunk() -> Plane {
    let mut plane = wanted();
    let host = plane.space(HOST);
    let pair = LinkKind::Veth {
        space: HOST.into(),
        peer: "suby".into(),
    };
    let inner = LinkKind::Inner {
        peer: "tapy".into(),
    };
    host.links.insert("tapy".into(), link(pair, Some("br1")));
    host.links.insert("suby".into(), link(inner, None));
    let ways = BTreeMap::from([(7, "suby".to_owned())]);
    host.tags.insert("tapx".into(), Tags::Off(ways));
    let back = Tags::On {
        tag: 7,
        link: "tapx".into(),
    };
    host.tags.insert("suby".into(), back);
    plane
}

#[test]
fn a_guest_is_let_in_after_its_tags_are_led() {
    let expected = [
        "set bridge/x",
        "add br1",
        "add tapx",
        "add pair tapy",
        "set ipv6/conf/br1/disable_ipv6",
        "tables",
        "shape br1",
        "shape suby",
        "shape tapx",
        "shape tapy",
        "forwards -0 +1",
        "suby on",
        "tags of suby",
        "tags of tapx",
        "br1 on",
        "tapx on",
        "tapy on",
    ];
    check(&trunk(), &Plane::default(), true, &expected);
    check(&trunk(), &trunk(), true, &[]);
    let mut half = trunk();
    half.space(HOST).links.remove("suby");
    let expected = [
        "remove tapy",
        "add pair tapy",
        "shape suby",
        "shape tapy",
        "suby on",
        "tags of suby",
        "tags of tapx",
        "tapy on",
    ];
    check(&trunk(), &half, true, &expected);
    let expected = ["no tags of tapx", "remove suby", "remove tapy"];
    check(&wanted(), &trunk(), true, &expected);
    check(&wanted(), &trunk(), false, &[]);
}

#[test]
fn a_limit_that_differs_is_set_and_one_that_is_not_wanted_goes_unless_nothing_may() {
    let mut other = limited();
    let host = other.space(HOST);
    host.limits.get_mut("tapx").unwrap().burst += 1;
    host.detours.insert("tapx".into(), String::new());
    let expected = ["limit tapx", "lead tapx by ifbx"];
    check(&limited(), &other, false, &expected);
    let expected = ["lead tapx straight", "remove ifbx", "unlimit tapx"];
    check(&wanted(), &limited(), true, &expected);
    check(&wanted(), &limited(), false, &[]);
}

#[test]
fn a_way_round_that_is_made_anew_is_limited_and_led_by_anew() {
    let mut without = limited();
    let host = without.space(HOST);
    host.links.remove("ifbx");
    host.limits.remove("ifbx");
    let expected = [
        "add ifbx",
        "shape ifbx",
        "limit ifbx",
        "ifbx on",
        "lead tapx by ifbx",
    ];
    check(&limited(), &without, true, &expected);
}

#[test]
fn a_guest_is_cut_off_before_its_filters_go() {
    let mut less = wanted();
    let host = less.space(HOST);
    host.links.remove("tapx");
    host.forwards.clear();
    host.tables.insert(TABLE, Arc::default());
    check(
        &less,
        &wanted(),
        true,
        &["remove tapx", "tables", "forwards -1 +0"],
    );
}

#[test]
fn nothing_to_do_is_nothing_done() {
    check(&wanted(), &wanted(), true, &[]);
}

#[test]
fn nothing_goes_while_it_may_not() {
    let mut nothing = Plane::default();
    nothing.space(HOST);
    check(&nothing, &wanted(), false, &[]);
    check(
        &nothing,
        &wanted(),
        true,
        &["remove tapx", "remove br1", "tables", "forwards -1 +0"],
    );
}

#[test]
fn what_cannot_be_changed_is_made_anew_with_all_that_hangs_on_it() {
    let vxlan = |local: &str| LinkKind::Vxlan {
        vni: 1,
        local: local.parse().unwrap(),
        port: 4789,
    };
    let with = |local: &str| {
        let mut plane = wanted();
        let host = plane.space(HOST);
        host.links
            .insert("vx1".into(), link(vxlan(local), Some("br1")));
        forward(host, "vx1", 3);
        plane
    };
    let expected = [
        "remove vx1",
        "add vx1",
        "shape vx1",
        "forwards -0 +1",
        "vx1 on",
    ];
    check(&with("192.0.2.1"), &with("192.0.2.2"), true, &expected);
}

#[test]
fn a_pair_that_lost_an_end_is_made_anew() {
    let mut whole = wanted();
    let kind = |space: &str, peer: &str| LinkKind::Veth {
        space: space.into(),
        peer: peer.into(),
    };
    whole
        .space(HOST)
        .links
        .insert("hr-1".into(), link(kind("r", "qr-1"), None));
    whole
        .space("r")
        .links
        .insert("qr-1".into(), link(kind(HOST, "hr-1"), None));
    let mut half = whole.clone();
    half.spaces.remove("r");
    let expected = [
        "add space r",
        "remove hr-1",
        "add pair hr-1",
        "shape hr-1",
        "hr-1 on",
        "shape qr-1",
        "qr-1 on",
    ];
    check(&whole, &half, true, &expected);
}

#[test]
fn somebody_elses_link_is_not_changed() {
    let mut other = wanted();
    let foreign = Link {
        mtu: Some(9000),
        up: false,
        ..link(LinkKind::Foreign("dummy".into()), None)
    };
    other.space(HOST).links.insert("br1".into(), foreign);
    check(&wanted(), &other, true, &["add br1"]);
}
