//! The documents of the host feed: what a host is told of networks, ports, security groups and routers.
//!
//! Each document is *whole*: the agent compares all of them with all of what the kernel has and applies the difference.
//! A host is told only what it needs: networks with a port or a router here, the security groups of its ports.
//! Unknown fields are ignored and new ones have defaults, so that control plane and hosts may be of two releases.
//! Observed states: `up`, `down`, `failed` (with `detail.reason`), `gone`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The feed's word for a [`NetworkSpec`].
pub const KIND_NETWORK: &str = "network";
/// The feed's word for a [`PortSpec`].
pub const KIND_PORT: &str = "port";
/// The feed's word for a [`SecurityGroupSpec`].
pub const KIND_SECURITY_GROUP: &str = "security_group";
/// The feed's word for a [`RouterSpec`].
pub const KIND_ROUTER: &str = "router";
/// The feed's word for an entry of a network's list: a [`RemotePort`], named by the port.
pub const KIND_REMOTE_PORT: &str = "remote_port";
/// The feed's word for an entry of a security group's list: a [`MemberSpec`], named by the port.
pub const KIND_MEMBER: &str = "member";
/// The feed's word for the host itself: its observation carries a [`HostReport`].
pub const KIND_HOST: &str = "host";

/// A network that has ports or routers on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// The network.
    pub id: String,
    /// Whose it is.
    #[serde(default)]
    pub project_id: String,
    /// How it reaches other hosts.
    pub segment: Segment,
    /// Largest packet of its guests.
    pub mtu: u32,
    /// Its subnets.
    #[serde(default)]
    pub subnets: Vec<SubnetSpec>,
}

/// How a network reaches other hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Segment {
    /// A VXLAN of this network identifier; also the conntrack zone of its packets (modulo 65 535, plus 1).
    Vxlan {
        /// VXLAN network identifier, 1 to 16 777 215.
        vni: u32,
    },
    /// A network outside the cloud: the host's bridge for this physical network.
    Flat {
        /// The name that the host's configuration maps to a bridge.
        physical_network: String,
    },
}

/// A range of addresses of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetSpec {
    /// The subnet.
    pub id: String,
    /// Its range.
    pub cidr: IpNet,
    /// Where packets for elsewhere go.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Whether addresses are told by DHCP.
    #[serde(default)]
    pub dhcp: bool,
    /// Name servers; the agent tells these, or none.
    #[serde(default)]
    pub dns: Vec<IpAddr>,
    /// More routes for guests.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// `slaac`, `dhcpv6-stateful`, `dhcpv6-stateless`: who advertises an IPv6 prefix and how; none: nobody.
    #[serde(default)]
    pub ipv6_ra_mode: Option<String>,
    /// As above, for addresses.
    #[serde(default)]
    pub ipv6_address_mode: Option<String>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// For these addresses
    pub destination: IpNet,
    /// by this neighbour.
    pub nexthop: IpAddr,
}

/// Where a port of a network is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemotePort {
    /// Its address.
    pub mac: String,
    /// Its IP addresses.
    pub ips: Vec<IpAddr>,
    /// Its host's tunnel end.
    pub vtep: IpAddr,
}

/// A port that is plugged in on this host: a guest's tap, made before the guest starts, or a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// The port.
    pub id: String,
    /// Its network.
    pub network_id: String,
    /// Whose it is; told to the metadata service.
    #[serde(default)]
    pub project_id: String,
    /// The server it is plugged into; told to the metadata service.
    #[serde(default)]
    pub device_id: String,
    /// `fa:16:3e:…`, lower case.
    pub mac: String,
    /// The tap's name: `tap` and the first 11 characters of the port's id.
    pub tap: String,
    /// Its addresses.
    #[serde(default)]
    pub fixed_ips: Vec<FixedIp>,
    /// More addresses it may send from; a MAC of its own where given.
    #[serde(default)]
    pub allowed_address_pairs: Vec<AddressPair>,
    /// Whether anti-spoofing and security groups apply.
    #[serde(default = "yes")]
    pub port_security: bool,
    /// Its security groups; none: everything in is dropped, everything out as well.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// Whether packets pass at all.
    #[serde(default = "yes")]
    pub admin_state_up: bool,
    /// The guest's name for DHCP.
    #[serde(default)]
    pub dns_name: String,
    /// More DHCP options: name or number, value.
    #[serde(default)]
    pub dhcp_options: Vec<DhcpOption>,
    /// How fast its packets pass.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// Whether no guest is plugged in but a namespace, which has the port's addresses: a load balancer lives there. The
    /// link that leads to it has the tap's name.
    #[serde(default, skip_serializing_if = "is_not")]
    pub space: bool,
    /// The trunk that it is a part of: then no guest is plugged in, and the link that has the tap's name leads to the trunk's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<TrunkSpec>,
}

/// The place of a port in a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkSpec {
    /// The tap of the trunk's parent port, on the same host.
    pub parent_tap: String,
    /// The VLAN tag that the port's frames have there, 1 to 4094.
    pub segmentation_id: u16,
}

/// How fast the packets of a port pass; none: as fast as they can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Those to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Limit>,
    /// Those from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Limit>,
}

impl Limits {
    /// Whether they pass as fast as they can both ways.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.ingress.is_none() && self.egress.is_none()
    }
}

/// How fast packets pass one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Thousands of bits per second; more than none.
    pub kbps: u32,
    /// Thousands of bits that may pass at once after a pause.
    pub burst_kbits: u32,
}

const fn is_not(what: &bool) -> bool {
    !*what
}

const fn yes() -> bool {
    true
}

/// An address of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedIp {
    /// Of this subnet.
    pub subnet_id: String,
    /// The address.
    pub ip: IpAddr,
}

/// One more address that a port may send from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPair {
    /// The addresses.
    pub cidr: IpNet,
    /// With this MAC; none: the port's own.
    #[serde(default)]
    pub mac: Option<String>,
}

/// One more DHCP option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpOption {
    /// `mtu`, `bootfile-name`, `tftp-server`, …, or a number.
    pub name: String,
    /// Its value.
    pub value: String,
    /// 4 or 6.
    pub ip_version: u8,
}

/// A security group that a port here has, or that a rule of such a one names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupSpec {
    /// The group.
    pub id: String,
    /// Whether answers to what was let through come back by themselves.
    #[serde(default = "yes")]
    pub stateful: bool,
    /// What is let through.
    #[serde(default)]
    pub rules: Vec<RuleSpec>,
}

/// A port that is in a security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSpec {
    /// Its IP addresses.
    pub ips: Vec<IpAddr>,
}

/// One rule of a security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSpec {
    /// The rule.
    pub id: String,
    /// Which way.
    pub direction: Direction,
    /// 4 or 6.
    pub ip_version: u8,
    /// IP protocol number; none: any.
    #[serde(default)]
    pub protocol: Option<u8>,
    /// First port, or ICMP type.
    #[serde(default)]
    pub port_min: Option<u16>,
    /// Last port, or ICMP code.
    #[serde(default)]
    pub port_max: Option<u16>,
    /// Only from or to these addresses.
    #[serde(default)]
    pub remote_cidr: Option<IpNet>,
    /// Only from or to members of this group.
    #[serde(default)]
    pub remote_group: Option<String>,
}

/// Which way a rule looks, as the guest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the guest.
    Ingress,
    /// From the guest.
    Egress,
}

/// A router that lives on this host: a network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterSpec {
    /// The router.
    pub id: String,
    /// Whose it is.
    #[serde(default)]
    pub project_id: String,
    /// Whether it passes packets at all.
    #[serde(default = "yes")]
    pub admin_state_up: bool,
    /// Its legs in the cloud's networks.
    #[serde(default)]
    pub interfaces: Vec<RouterLeg>,
    /// Its leg outside.
    #[serde(default)]
    pub gateway: Option<RouterGateway>,
    /// More routes.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Floating IPs.
    #[serde(default)]
    pub floating_ips: Vec<FloatingIpSpec>,
}

/// A leg of a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterLeg {
    /// The router's port.
    pub port_id: String,
    /// The port's network.
    pub network_id: String,
    /// The port's address.
    pub mac: String,
    /// Addresses with the length of their subnet's prefix.
    pub addresses: Vec<IpNet>,
    /// How fast its packets pass.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
}

/// A router's leg outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterGateway {
    /// The leg.
    pub leg: RouterLeg,
    /// The neighbours by which everything else is reached.
    #[serde(default)]
    pub nexthops: Vec<IpAddr>,
    /// Whether guests without a floating IP go out under the gateway's address.
    #[serde(default = "yes")]
    pub snat: bool,
}

/// An address outside that stands for one inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloatingIpSpec {
    /// The floating IP.
    pub id: String,
    /// Outside.
    pub floating: IpAddr,
    /// Inside.
    pub fixed: IpAddr,
}

/// What a host tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// Its name.
    pub host: String,
    /// Its tunnel end.
    pub vtep: IpAddr,
    /// Physical networks it reaches.
    #[serde(default)]
    pub physical_networks: Vec<String>,
    /// What is wrong with it (a firewall that drops bridged packets, a kernel without conntrack for bridges).
    #[serde(default)]
    pub problems: Vec<String>,
    /// Routers may be placed here.
    #[serde(default = "yes")]
    pub gateway: bool,
}
