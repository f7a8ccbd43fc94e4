//! Which connections must not go on. Pure.
//!
//! Filters let the packets of a connection pass that was let in once, so when a rule, a member of a group or a floating
//! IP goes, the connections that lived by it are forgotten. Each is judged by what is wanted now, not by what changed:
//! so nothing has to be remembered across a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::documents::Documents;
use super::picture::zone;
use crate::driver::Connection;
use crate::model::spec::{Direction, PortSpec, RouterSpec, RuleSpec};

/// Connections of guests that no security group lets through any more.
pub fn forbidden(documents: &Documents, connections: &[Connection]) -> Vec<Connection> {
    if connections.is_empty() {
        return Vec::new();
    }
    let members = members(documents);
    let mut ports: BTreeMap<(u16, IpAddr), &PortSpec> = BTreeMap::new();
    for port in documents.ports.values().filter(|port| port.port_security) {
        if let Some(network) = documents.networks.get(&port.network_id) {
            let zone = zone(&network.segment);
            ports.extend(port.fixed_ips.iter().map(|fixed| ((zone, fixed.ip), port)));
        }
    }
    let judged = connections.iter().filter(|connection| {
        let from = ports.get(&(connection.zone, connection.source));
        let to = ports.get(&(connection.zone, connection.destination));
        from.is_some_and(|port| !passes(documents, &members, port, (Direction::Egress, connection)))
            || to.is_some_and(|port| {
                !passes(documents, &members, port, (Direction::Ingress, connection))
            })
    });
    judged.cloned().collect()
}

/// The addresses of groups' members.
type Members<'a> = BTreeMap<&'a str, BTreeSet<IpAddr>>;

fn members(documents: &Documents) -> Members<'_> {
    let lists = documents.members.iter();
    let members = lists.map(|(group, list)| {
        let ips = list.values().flat_map(|member| &member.ips);
        (group.as_str(), ips.copied().collect())
    });
    members.collect()
}

fn passes(
    documents: &Documents,
    members: &Members<'_>,
    port: &PortSpec,
    (direction, connection): (Direction, &Connection),
) -> bool {
    let groups = port.security_groups.iter();
    let groups = groups.filter_map(|id| documents.groups.get(id));
    let mut rules = groups.flat_map(|group| &group.rules);
    rules.any(|rule| rule.direction == direction && matches(members, rule, connection))
}

fn matches(members: &Members<'_>, rule: &RuleSpec, connection: &Connection) -> bool {
    let remote = match rule.direction {
        Direction::Ingress => connection.source,
        Direction::Egress => connection.destination,
    };
    if remote.is_ipv4() != (rule.ip_version == 4) {
        return false;
    }
    if rule.remote_cidr.is_some_and(|net| !net.contains(&remote)) {
        return false;
    }
    if let Some(id) = &rule.remote_group {
        let group = members.get(id.as_str());
        if !group.is_some_and(|members| members.contains(&remote)) {
            return false;
        }
    }
    let Some(protocol) = rule.protocol else {
        return true;
    };
    // Rules for IPv6 may say ICMP by either number.
    let icmp = matches!(protocol, 1 | 58) && matches!(connection.protocol, 1 | 58);
    if icmp {
        return rule.port_min.is_none_or(|kind| kind == connection.port)
            && rule.port_max.is_none_or(|code| code == connection.code);
    }
    if protocol != connection.protocol {
        return false;
    }
    let first = rule.port_min.unwrap_or(0);
    let last = rule.port_max.or(rule.port_min).unwrap_or(u16::MAX);
    (first..=last).contains(&connection.port)
}

/// Connections of a router whose translation is not wanted any more.
pub fn untranslated(router: &RouterSpec, connections: &[Connection]) -> Vec<Connection> {
    let fips = &router.floating_ips;
    let own: Vec<IpAddr> = router
        .gateway
        .iter()
        .filter(|gateway| gateway.snat)
        .flat_map(|gateway| gateway.leg.addresses.iter().map(ipnet::IpNet::addr))
        .collect();
    let judged = connections.iter().filter(|connection| {
        let (to, really_to) = (connection.destination, connection.answers_from);
        let (from, shown_as) = (connection.source, connection.answers_to);
        let pair = |floating, fixed| {
            let mut fips = fips.iter();
            fips.any(|fip| fip.floating == floating && fip.fixed == fixed)
        };
        let wrong_way_in = to != really_to && !pair(to, really_to);
        let wrong_way_out = from != shown_as && !own.contains(&shown_as) && !pair(shown_as, from);
        wrong_way_in || wrong_way_out
    });
    judged.cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::spec::{
        FixedIp, FloatingIpSpec, MemberSpec, NetworkSpec, RouterGateway, RouterLeg,
        SecurityGroupSpec, Segment,
    };

    fn connection(protocol: u8, from: &str, to: &str, port: u16) -> Connection {
        let (source, destination) = (from.parse().unwrap(), to.parse().unwrap());
        Connection {
            zone: 8,
            protocol,
            source,
            destination,
            port,
            code: 0,
            answers_to: source,
            answers_from: destination,
            key: Vec::new(),
        }
    }

    fn documents(rules: Vec<RuleSpec>) -> Documents {
        let mut documents = Documents::default();
        let network = NetworkSpec {
            id: "n".into(),
            project_id: String::new(),
            segment: Segment::Vxlan { vni: 7 },
            mtu: 1450,
            subnets: Vec::new(),
        };
        documents.networks.insert("n".into(), network);
        let port = serde_json::json!({
            "id": "p", "network_id": "n", "mac": "fa:16:3e:00:00:01", "tap": "tapp", "security_groups": ["g"],
        });
        let mut port: PortSpec = serde_json::from_value(port).unwrap();
        port.fixed_ips.push(FixedIp {
            subnet_id: "s".into(),
            ip: "10.0.0.5".parse().unwrap(),
        });
        documents.ports.insert("p".into(), port);
        let group = SecurityGroupSpec {
            id: "g".into(),
            stateful: true,
            rules,
        };
        documents.groups.insert("g".into(), group);
        let ips = vec!["10.0.0.9".parse().unwrap()];
        let members = BTreeMap::from([("q".to_owned(), MemberSpec { ips })]);
        documents.members.insert("g".into(), Arc::new(members));
        documents
    }

    fn rule(text: serde_json::Value) -> RuleSpec {
        let mut rule = serde_json::json!({"id": "r", "direction": "ingress", "ip_version": 4});
        for (key, value) in text.as_object().unwrap() {
            rule[key] = value.clone();
        }
        serde_json::from_value(rule).unwrap()
    }

    #[track_caller]
    fn check(rules: &[serde_json::Value], connection: &Connection, stays: bool) {
        let documents = documents(rules.iter().cloned().map(rule).collect());
        let judged = forbidden(&documents, std::slice::from_ref(connection));
        assert_eq!(judged.is_empty(), stays, "{rules:?} {connection:?}");
    }

    #[test]
    fn a_connection_stays_exactly_while_a_rule_lets_it_in() {
        let web = connection(6, "10.0.0.9", "10.0.0.5", 80);
        check(&[], &web, false);
        check(&[serde_json::json!({})], &web, true);
        check(
            &[serde_json::json!({"protocol": 6, "port_min": 80, "port_max": 81})],
            &web,
            true,
        );
        check(
            &[serde_json::json!({"protocol": 6, "port_min": 81, "port_max": 82})],
            &web,
            false,
        );
        check(&[serde_json::json!({"protocol": 17})], &web, false);
        check(&[serde_json::json!({"remote_group": "g"})], &web, true);
        check(&[serde_json::json!({"remote_group": "other"})], &web, false);
        check(
            &[serde_json::json!({"remote_cidr": "10.0.0.8/31"})],
            &web,
            true,
        );
        check(
            &[serde_json::json!({"remote_cidr": "10.0.0.0/31"})],
            &web,
            false,
        );
        check(&[serde_json::json!({"direction": "egress"})], &web, false);
        check(&[serde_json::json!({"ip_version": 6})], &web, false);
        let ping = connection(1, "10.0.0.9", "10.0.0.5", 8);
        check(
            &[serde_json::json!({"protocol": 1, "port_min": 8, "port_max": 0})],
            &ping,
            true,
        );
        check(
            &[serde_json::json!({"protocol": 1, "port_min": 13})],
            &ping,
            false,
        );
    }

    #[test]
    fn a_connection_of_another_network_with_the_same_addresses_is_left_alone() {
        let mut web = connection(6, "10.0.0.9", "10.0.0.5", 80);
        web.zone = 9;
        check(&[], &web, true);
    }

    #[test]
    fn a_floating_ip_takes_its_connections_along() {
        let leg = RouterLeg {
            port_id: "g".into(),
            network_id: "e".into(),
            mac: "fa:16:3e:00:00:02".into(),
            addresses: vec!["172.24.4.5/24".parse().unwrap()],
            limits: Default::default(),
        };
        let gateway = RouterGateway {
            leg,
            nexthops: Vec::new(),
            snat: true,
        };
        let router = |fips: &[(&str, &str)]| RouterSpec {
            id: "r".into(),
            project_id: String::new(),
            admin_state_up: true,
            interfaces: Vec::new(),
            gateway: Some(gateway.clone()),
            routes: Vec::new(),
            floating_ips: fips
                .iter()
                .map(|(floating, fixed)| FloatingIpSpec {
                    id: String::new(),
                    floating: floating.parse().unwrap(),
                    fixed: fixed.parse().unwrap(),
                })
                .collect(),
        };
        let mut inward = connection(6, "172.24.4.1", "172.24.4.9", 80);
        inward.answers_from = "10.0.0.5".parse().unwrap();
        let mut outward = connection(6, "10.0.0.5", "172.24.4.1", 80);
        outward.answers_to = "172.24.4.9".parse().unwrap();
        let mut shared = connection(6, "10.0.0.6", "172.24.4.1", 80);
        shared.answers_to = "172.24.4.5".parse().unwrap();
        let all = [inward.clone(), outward.clone(), shared];
        assert_eq!(
            untranslated(&router(&[("172.24.4.9", "10.0.0.5")]), &all),
            []
        );
        let moved = router(&[("172.24.4.9", "10.0.0.7")]);
        assert_eq!(
            untranslated(&moved, &all),
            [inward.clone(), outward.clone()]
        );
        assert_eq!(untranslated(&router(&[]), &all), [inward, outward]);
    }
}
