//! What the host tells a guest that asks on its own tap: its addresses (DHCP) and its routers (router advertisements).
//! Everything comes from the documents, so there is no lease to remember and none to lose.

mod advert;
mod dhcp4;
mod dhcp6;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use ipnet::{Ipv4Net, Ipv6Net};

use crate::driver::plane::Mac;
use crate::model::spec::{DhcpOption, NetworkSpec, PortSpec, SubnetSpec};

/// The domain that guests are told, Neutron's default for `dns_domain`.
const DOMAIN: &str = "openstacklocal";
/// How long an address is given for; Neutron's default for `dhcp_lease_duration`.
const LEASE_SECS: u32 = 86_400;

/// What a guest is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its address; requests from another one are not answered.
    pub mac: Mac,
    /// Largest packet of its network.
    pub mtu: u32,
    /// Its name.
    pub hostname: String,
    /// Its first IPv4 address of a subnet with DHCP.
    pub v4: Option<Lease4>,
    /// Its IPv6 addresses.
    pub v6: Vec<Lease6>,
    /// More options.
    pub options: Vec<DhcpOption>,
}

/// An IPv4 address to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease4 {
    /// The address and its subnet.
    pub net: Ipv4Net,
    /// Where packets for elsewhere go.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// More routes; 0.0.0.0: directly.
    pub routes: Vec<(Ipv4Net, Ipv4Addr)>,
}

/// An IPv6 address to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease6 {
    /// The address and its subnet.
    pub net: Ipv6Net,
    /// Who routes for it and wants to be known.
    pub router: Option<Mac>,
    /// Whether the guest makes the address itself.
    pub autonomous: bool,
    /// Whether DHCPv6 tells the address.
    pub managed: bool,
    /// Whether DHCPv6 tells the rest.
    pub other: bool,
    /// Name servers.
    pub dns: Vec<Ipv6Addr>,
}

impl Guest {
    /// What a port's guest is told; `routers` are the Ethernet addresses of its network's gateways.
    pub fn of(
        port: &PortSpec,
        mac: Mac,
        network: &NetworkSpec,
        routers: &BTreeMap<IpAddr, Mac>,
    ) -> Self {
        let subnet = |id: &str| network.subnets.iter().find(|subnet| subnet.id == id);
        let fixed = port.fixed_ips.iter();
        let fixed: Vec<_> = fixed
            .filter_map(|fixed| Some((fixed.ip, subnet(&fixed.subnet_id)?)))
            .collect();
        let mut v4 = fixed.iter().filter_map(|(ip, subnet)| lease4(*ip, subnet));
        let v4 = v4.next();
        let v6 = fixed
            .iter()
            .filter_map(|(ip, subnet)| lease6(*ip, subnet, routers));
        let mut hostname = port.dns_name.clone();
        if hostname.is_empty() {
            let first = port.fixed_ips.first().map(|fixed| fixed.ip.to_string());
            hostname = format!(
                "host-{}",
                first.unwrap_or_default().replace(['.', ':'], "-")
            );
        }
        Self {
            mac,
            mtu: network.mtu,
            hostname,
            v4,
            v6: v6.collect(),
            options: port.dhcp_options.clone(),
        }
    }

    /// The answer to a frame from the guest, if it is a question for us.
    pub fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let packet = SlicedPacket::from_ethernet(frame).ok()?;
        if frame.get(6..12)? != self.mac.0 {
            return None;
        }
        match (&packet.net?, &packet.transport?) {
            (NetSlice::Ipv4(_), TransportSlice::Udp(udp)) if udp.destination_port() == 67 => {
                dhcp4::answer(self, udp.payload())
            }
            (NetSlice::Ipv6(ip), TransportSlice::Udp(udp)) if udp.destination_port() == 547 => {
                let from = ip.header().source_addr();
                dhcp6::answer(self, from, udp.payload())
            }
            (NetSlice::Ipv6(_), TransportSlice::Icmpv6(icmp)) if icmp.type_u8() == 133 => {
                self.advert()
            }
            _other => None,
        }
    }

    /// A router advertisement for the guest, when a router wants to be known.
    pub fn advert(&self) -> Option<Vec<u8>> {
        advert::advert(self)
    }
}

fn lease4(ip: IpAddr, subnet: &SubnetSpec) -> Option<Lease4> {
    let IpAddr::V4(ip) = ip else { return None };
    if !subnet.dhcp {
        return None;
    }
    let v4 = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    };
    let routes = subnet.routes.iter().filter_map(|route| {
        let ipnet::IpNet::V4(net) = route.destination else {
            return None;
        };
        Some((net, v4(&route.nexthop)?))
    });
    Some(Lease4 {
        net: Ipv4Net::new(ip, subnet.cidr.prefix_len()).ok()?,
        gateway: subnet.gateway.as_ref().and_then(v4),
        dns: subnet.dns.iter().filter_map(v4).collect(),
        routes: routes.collect(),
    })
}

fn lease6(ip: IpAddr, subnet: &SubnetSpec, routers: &BTreeMap<IpAddr, Mac>) -> Option<Lease6> {
    let IpAddr::V6(ip) = ip else { return None };
    let gateway = subnet.gateway.filter(|_| subnet.ipv6_ra_mode.is_some());
    let mode = subnet.ipv6_address_mode.as_deref();
    let dns = subnet.dns.iter().filter_map(|ip| match ip {
        IpAddr::V6(ip) => Some(*ip),
        IpAddr::V4(_) => None,
    });
    Some(Lease6 {
        net: Ipv6Net::new(ip, subnet.cidr.prefix_len()).ok()?,
        router: gateway.and_then(|ip| routers.get(&ip).copied()),
        autonomous: matches!(mode, Some("slaac" | "dhcpv6-stateless")),
        managed: subnet.dhcp && mode == Some("dhcpv6-stateful"),
        other: subnet.dhcp && matches!(mode, Some("dhcpv6-stateful" | "dhcpv6-stateless")),
        dns: dns.collect(),
    })
}

/// A UDP packet in an Ethernet frame.
fn udp(
    macs: (Mac, Mac),
    ips: (IpAddr, IpAddr),
    ports: (u16, u16),
    payload: &[u8],
) -> Option<Vec<u8>> {
    let link = PacketBuilder::ethernet2(macs.0.0, macs.1.0);
    let net = match ips {
        (IpAddr::V4(from), IpAddr::V4(to)) => link.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => link.ipv6(from.octets(), to.octets(), 255),
        _mixed => return None,
    };
    let whole = net.udp(ports.0, ports.1);
    let mut frame = Vec::with_capacity(whole.size(payload.len()));
    whole.write(&mut frame, payload).ok()?;
    Some(frame)
}

#[cfg(test)]
mod tests;
