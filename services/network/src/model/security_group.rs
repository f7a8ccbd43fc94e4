//! A security group and its rules: what is let through to and from ports.

use std::net::IpAddr;

use ipnet::IpNet;
use nephos_types::Timestamp;

use crate::model::port::parse_range;
use crate::model::refusal::Refusal;
use crate::model::sharing::Grants;
use crate::model::spec::{Direction, RuleSpec};

/// The group that every project has.
pub const DEFAULT: &str = "default";

const PROTOCOLS: [(&str, u8); 24] = [
    ("ah", 51),
    ("dccp", 33),
    ("egp", 8),
    ("esp", 50),
    ("gre", 47),
    ("hopopt", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ip", 0),
    ("ipip", 4),
    ("ipv6-encap", 41),
    ("ipv6-frag", 44),
    ("ipv6-icmp", 58),
    ("icmpv6", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("ipv6-route", 43),
    ("ospf", 89),
    ("pgm", 113),
    ("rsvp", 46),
    ("sctp", 132),
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
];
const VRRP: (&str, u8) = ("vrrp", 112);
/// Protocols that have ports.
const WITH_PORTS: [u8; 5] = [33, 132, 6, 17, 136];
/// Protocols that only IPv6 has.
const ONLY_V6: [u8; 6] = [41, 44, 58, 59, 60, 43];
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;

/// A security group.
#[derive(Clone, Debug)]
pub struct SecurityGroup {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether it is the project's own first one.
    pub is_default: bool,
    /// Whether answers come back by themselves.
    pub stateful: bool,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// Who else may use it.
    pub grants: Grants,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// The group it belongs to.
    pub security_group_id: String,
    /// What it is for.
    pub description: String,
    /// Which way.
    pub direction: Direction,
    /// 4 or 6.
    pub ip_version: u8,
    /// Name or number, as it was asked for; none: any.
    pub protocol: Option<String>,
    /// First port, or ICMP type.
    pub port_min: Option<u16>,
    /// Last port, or ICMP code.
    pub port_max: Option<u16>,
    /// Only from or to members of this group.
    pub remote_group_id: Option<String>,
    /// Only from or to these addresses, as they were asked for.
    pub remote_ip_prefix: Option<String>,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Whose the group is.
    pub group_project: String,
}

/// What a rule is asked to be, before it is checked.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which way.
    pub direction: Direction,
    /// 4 or 6.
    pub ip_version: u8,
    /// Name or number.
    pub protocol: Option<String>,
    /// First port, or ICMP type.
    pub port_min: Option<i64>,
    /// Last port, or ICMP code.
    pub port_max: Option<i64>,
    /// Members of this group.
    pub remote_group_id: Option<String>,
    /// These addresses.
    pub remote_ip_prefix: Option<String>,
}

/// The protocol's number.
#[must_use]
pub fn protocol_number(text: &str) -> Option<u8> {
    PROTOCOLS
        .iter()
        .chain([&VRRP])
        .find(|(name, _)| *name == text)
        .map(|(_, number)| *number)
        .or_else(|| text.parse().ok())
}

impl Wanted {
    /// Refuses what cannot be a rule, and brings the rest into its canonical form.
    ///
    /// # Errors
    /// 400 in Neutron's words.
    pub fn check(mut self) -> Result<Checked, Refusal> {
        self.canonical_protocol()?;
        self.check_ports()?;
        if self.port_min == Some(1) && self.port_max == Some(65535) && self.has_ports() {
            (self.port_min, self.port_max) = (None, None);
        }
        if self.remote_group_id.is_some() && self.remote_ip_prefix.is_some() {
            return Err(Refusal::invalid(
                "SecurityGroupMultipleRemoteEntites",
                "Only one of remote_ip_prefix or remote_group_id may be provided.",
            ));
        }
        let cidr = self.remote_cidr()?;
        let port = |value: Option<i64>| value.and_then(|value| u16::try_from(value).ok());
        Ok(Checked {
            port_min: port(self.port_min),
            port_max: port(self.port_max),
            cidr,
            wanted: self,
        })
    }

    fn number(&self) -> Option<u8> {
        self.protocol.as_deref().and_then(protocol_number)
    }

    fn has_ports(&self) -> bool {
        self.number()
            .is_some_and(|number| WITH_PORTS.contains(&number))
    }

    fn canonical_protocol(&mut self) -> Result<(), Refusal> {
        let Some(text) = self.protocol.take() else {
            return Ok(());
        };
        let mut text = text.to_ascii_lowercase();
        if text == "any" {
            return Ok(());
        }
        if protocol_number(&text).is_none() {
            let known: Vec<&str> = PROTOCOLS
                .iter()
                .chain([&VRRP])
                .map(|(name, _)| *name)
                .collect();
            return Err(Refusal::invalid(
                "SecurityGroupRuleInvalidProtocol",
                format!(
                    "Security group rule protocol {text} not supported. Only protocol values {known:?} and integer representations [0 to 255] are supported."
                ),
            ));
        }
        if self.ip_version == 6 {
            text = match text.as_str() {
                "icmp" | "icmpv6" => "ipv6-icmp".to_owned(),
                "1" => ICMP_V6.to_string(),
                _other => text,
            };
        }
        let only_v6 = protocol_number(&text).is_some_and(|number| ONLY_V6.contains(&number));
        if only_v6 && self.ip_version == 4 {
            return Err(Refusal::invalid(
                "SecurityGroupEthertypeConflictWithProtocol",
                format!("Invalid ethertype IPv4 for protocol {text}."),
            ));
        }
        self.protocol = Some(text);
        Ok(())
    }

    fn check_ports(&self) -> Result<(), Refusal> {
        let (min, max) = (self.port_min, self.port_max);
        for port in [min, max].into_iter().flatten() {
            if !(0..=65535).contains(&port) {
                return Err(Refusal::invalid(
                    "SecurityGroupInvalidPortValue",
                    format!("Invalid value for port {port}"),
                ));
            }
        }
        if min.is_none() && max.is_none() {
            return Ok(());
        }
        let Some(number) = self.number() else {
            return Err(Refusal::invalid(
                "SecurityGroupProtocolRequiredWithPorts",
                "Must also specify protocol if port range is given.",
            ));
        };
        match number {
            ICMP | ICMP_V6 => self.check_icmp(),
            _ported if WITH_PORTS.contains(&number) => self.check_range(),
            _other => Err(Refusal::invalid(
                "SecurityGroupInvalidProtocolForPort",
                format!(
                    "Ports cannot be specified for protocol {number}. Ports are only supported for DCCP, SCTP, TCP, UDP, UDPLITE."
                ),
            )),
        }
    }

    fn check_range(&self) -> Result<(), Refusal> {
        if self.port_min == Some(0) || self.port_max == Some(0) {
            return Err(Refusal::invalid(
                "SecurityGroupInvalidPortValue",
                "Invalid value for port 0",
            ));
        }
        match (self.port_min, self.port_max) {
            (Some(min), Some(max)) if min <= max => Ok(()),
            _other => Err(Refusal::invalid(
                "SecurityGroupInvalidPortRange",
                "For TCP/UDP protocols, port_range_min must be <= port_range_max",
            )),
        }
    }

    fn check_icmp(&self) -> Result<(), Refusal> {
        let fields = [
            (self.port_min, "type", "port-range-min"),
            (self.port_max, "code", "port-range-max"),
        ];
        for (value, field, name) in fields {
            if let Some(value) = value.filter(|value| !(0..=255).contains(value)) {
                return Err(Refusal::invalid(
                    "SecurityGroupInvalidIcmpValue",
                    format!(
                        "Invalid value for ICMP {field} ({name}) {value}. It must be 0 to 255."
                    ),
                ));
            }
        }
        match (self.port_min, self.port_max) {
            (None, Some(code)) => Err(Refusal::invalid(
                "SecurityGroupMissingIcmpType",
                format!(
                    "ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing."
                ),
            )),
            _fine => Ok(()),
        }
    }

    fn remote_cidr(&self) -> Result<Option<IpNet>, Refusal> {
        let Some(text) = &self.remote_ip_prefix else {
            return Ok(None);
        };
        let Some(range) = parse_range(text) else {
            return Err(Refusal::request(format!(
                "Invalid input for remote_ip_prefix. Reason: '{text}' is not a valid IP subnet."
            )));
        };
        if u8::from(matches!(range.addr(), IpAddr::V6(_))) * 2 + 4 != self.ip_version {
            return Err(Refusal::invalid(
                "SecurityGroupRuleParameterConflict",
                format!(
                    "Conflicting value ethertype IPv{} for CIDR {text}",
                    self.ip_version
                ),
            ));
        }
        Ok(Some(range.trunc()))
    }
}

/// A rule that may be.
#[derive(Clone, Debug)]
pub struct Checked {
    /// As asked, in canonical form.
    pub wanted: Wanted,
    /// First port, or ICMP type.
    pub port_min: Option<u16>,
    /// Last port, or ICMP code.
    pub port_max: Option<u16>,
    /// The addresses, normalised.
    pub cidr: Option<IpNet>,
}

impl Checked {
    /// A text that two rules share if and only if they let the same through.
    #[must_use]
    pub fn same(&self) -> String {
        let wanted = &self.wanted;
        let any = |cidr: &IpNet| cidr.prefix_len() == 0;
        format!(
            "{:?} {} {:?} {:?} {:?} {:?} {:?}",
            wanted.direction,
            wanted.ip_version,
            wanted.number(),
            self.port_min,
            self.port_max,
            wanted.remote_group_id,
            self.cidr.filter(|cidr| !any(cidr)),
        )
    }
}

impl Rule {
    /// The addresses, normalised.
    #[must_use]
    pub fn cidr(&self) -> Option<IpNet> {
        self.remote_ip_prefix
            .as_deref()
            .and_then(parse_range)
            .map(|range| range.trunc())
    }

    /// As hosts are told.
    #[must_use]
    pub fn spec(&self) -> RuleSpec {
        RuleSpec {
            id: self.id.clone(),
            direction: self.direction,
            ip_version: self.ip_version,
            protocol: self.protocol.as_deref().and_then(protocol_number),
            port_min: self.port_min,
            port_max: self.port_max,
            remote_cidr: self.cidr(),
            remote_group: self.remote_group_id.clone(),
        }
    }

    /// `IPv4` or `IPv6`.
    #[must_use]
    pub const fn ethertype(&self) -> &'static str {
        if self.ip_version == 6 { "IPv6" } else { "IPv4" }
    }
}

/// The word of the API.
#[must_use]
pub const fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    }
}

/// The rules that a new group has: everything out; the default group also lets its members reach each other.
#[must_use]
pub fn first_rules(group: &str, is_default: bool) -> Vec<Wanted> {
    let rule = |direction, ip_version, remote: Option<&str>| Wanted {
        direction,
        ip_version,
        protocol: None,
        port_min: None,
        port_max: None,
        remote_group_id: remote.map(str::to_owned),
        remote_ip_prefix: None,
    };
    let mut rules = vec![
        rule(Direction::Egress, 4, None),
        rule(Direction::Egress, 6, None),
    ];
    if is_default {
        rules.push(rule(Direction::Ingress, 4, Some(group)));
        rules.push(rule(Direction::Ingress, 6, Some(group)));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(protocol: Option<&str>, min: Option<i64>, max: Option<i64>) -> Wanted {
        Wanted {
            direction: Direction::Ingress,
            ip_version: 4,
            protocol: protocol.map(str::to_owned),
            port_min: min,
            port_max: max,
            remote_group_id: None,
            remote_ip_prefix: None,
        }
    }

    #[track_caller]
    fn check(rule: Wanted, says: &str) {
        let said = rule.check().err().map_or(String::new(), |why| why.message);
        assert!(said.contains(says), "{said}");
        assert_eq!(said.is_empty(), says.is_empty(), "{said}");
    }

    #[test]
    fn ports_belong_to_protocols_that_have_them() {
        check(wanted(Some("tcp"), Some(80), Some(80)), "");
        check(
            wanted(Some("tcp"), Some(-16), Some(80)),
            "Invalid value for port -16",
        );
        check(
            wanted(Some("tcp"), Some(80), Some(79)),
            "port_range_min must be <=",
        );
        check(
            wanted(Some("tcp"), None, Some(6)),
            "port_range_min must be <=",
        );
        check(
            wanted(Some("tcp"), Some(80), Some(65536)),
            "Invalid value for port 65536",
        );
        check(
            wanted(Some("icmp"), Some(1), Some(256)),
            "Invalid value for ICMP code",
        );
        check(
            wanted(Some("icmp"), None, Some(6)),
            "ICMP type (port-range-min) is missing",
        );
        check(
            wanted(Some("icmp"), Some(300), Some(1)),
            "Invalid value for ICMP type",
        );
        check(wanted(None, Some(1), Some(2)), "Must also specify protocol");
        check(
            wanted(Some("esp"), Some(1), Some(2)),
            "Ports cannot be specified for protocol 50",
        );
        check(wanted(Some("nonsense"), None, None), "not supported");
        check(
            wanted(Some("ipv6-icmp"), None, None),
            "Invalid ethertype IPv4",
        );
    }

    #[test]
    fn remote_prefixes_are_normalised_and_of_the_rules_version() {
        let with = |prefix: &str| Wanted {
            remote_ip_prefix: Some(prefix.to_owned()),
            ..wanted(None, None, None)
        };
        let checked = with("10.1.2.3/8").check().unwrap();
        assert_eq!(checked.cidr.unwrap().to_string(), "10.0.0.0/8");
        check(
            with("fe80::/64"),
            "Conflicting value ethertype IPv4 for CIDR fe80::/64",
        );
        check(with("192.168.1./24"), "not a valid IP subnet");
    }

    #[test]
    fn equal_rules_are_recognised_by_what_they_do() {
        let by_name = wanted(Some("tcp"), Some(1), Some(65535)).check().unwrap();
        let by_number = wanted(Some("6"), None, None).check().unwrap();
        assert_eq!(by_name.same(), by_number.same());
        let other = wanted(Some("udp"), None, None).check().unwrap();
        assert_ne!(by_name.same(), other.same());
    }

    #[test]
    fn icmp_has_another_name_in_ipv6() {
        let mut rule = wanted(Some("icmp"), None, None);
        rule.ip_version = 6;
        assert_eq!(
            rule.check().unwrap().wanted.protocol.as_deref(),
            Some("ipv6-icmp")
        );
    }
}
