//! What a data plane is made of: namespaces ("spaces") with links, addresses, routes, forwarding entries and packet
//! filters. The same words say what is wanted and what is there, so that the agent can compare them.
//!
//! Only what is ours is in a [`Plane`]: nobody else's link, route or table ever shows up in one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// The space in which the agent itself runs.
pub const HOST: &str = "";

/// Everything of ours, by space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plane {
    /// By name; [`HOST`] is the host's own.
    pub spaces: BTreeMap<String, Space>,
}

impl Plane {
    /// The space of this name, made when it is new.
    pub fn space(&mut self, name: &str) -> &mut Space {
        self.spaces.entry(name.to_owned()).or_default()
    }
}

/// Entries by link; shared, because there are many, most do not change, and who compares them sees that by their place.
pub type Entries<T> = BTreeMap<String, Arc<BTreeSet<T>>>;

/// One network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// By name.
    pub links: BTreeMap<String, Link>,
    /// Addresses of links.
    pub addresses: BTreeSet<Address>,
    /// Routes that we made.
    pub routes: BTreeSet<RouteEntry>,
    /// Where bridges and tunnels send frames, by the bridge's port.
    pub forwards: Entries<Forward>,
    /// Addresses that bridges answer for, by the bridge.
    pub neighbours: Entries<Neighbour>,
    /// Kernel settings: path below `/proc/sys/net`, value.
    pub settings: BTreeMap<String, String>,
    /// How fast packets leave by a link, by its name.
    pub limits: BTreeMap<String, Rate>,
    /// Links by which what comes in at a link goes first, by the name of the latter: there it can be limited.
    pub detours: BTreeMap<String, String>,
    /// What happens with the tags of frames that come in at a link, by its name.
    pub tags: BTreeMap<String, Tags>,
    /// Packet filters; shared, because who looks at what is wanted keeps it beside what was put there.
    pub tables: BTreeMap<TableName, Arc<Table>>,
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// All zeros: in a tunnel's forwarding table, frames for everybody.
    pub const EVERYBODY: Self = Self([0; 6]);

    /// Reads `fa:16:3e:00:00:01`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2)?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(bytes))
    }

    /// The first six bytes, as netlink has them.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// The link-local address that a guest with this address makes itself (EUI-64).
    #[must_use]
    pub const fn link_local(self) -> std::net::Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        std::net::Ipv6Addr::from_octets([
            0xfe,
            0x80,
            0,
            0,
            0,
            0,
            0,
            0,
            a ^ 2,
            b,
            c,
            0xff,
            0xfe,
            d,
            e,
            f,
        ])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it is.
    pub kind: LinkKind,
    /// Its address; none: whatever it got.
    pub mac: Option<Mac>,
    /// Largest packet; none: whatever it has.
    pub mtu: Option<u32>,
    /// Whether it is switched on.
    pub up: bool,
    /// The bridge it is a port of.
    pub bridge: Option<String>,
    /// As a bridge's port: whether the bridge answers for known neighbours instead of asking out of this port.
    pub suppress: bool,
    /// As a bridge's port: whether the bridge learns addresses from its frames. Never wanted: who is where is told.
    pub learning: bool,
}

/// How fast packets leave by a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes per second.
    pub bytes: u64,
    /// Bytes that may leave at once after a pause; never less than a whole packet.
    pub burst: u32,
}

/// What happens with the VLAN tags of frames that come in at a link, before anything else does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// A frame with one of these tags (1 to 4094) leaves without it by this link; one with any other tag is dropped, and one
    /// that has none is let be.
    Off(BTreeMap<u16, String>),
    /// Every frame leaves by this link with this tag.
    On {
        /// The tag, 1 to 4094.
        tag: u16,
        /// The link.
        link: String,
    },
}

impl Tags {
    /// The links by which frames leave.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        let (many, one) = match self {
            Self::Off(links) => (Some(links.values()), None),
            Self::On { link, .. } => (None, Some(link)),
        };
        let links = many.into_iter().flatten().chain(one);
        links.map(String::as_str)
    }
}

/// Kinds of network devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A switch.
    Bridge,
    /// A tunnel.
    Vxlan {
        /// Network identifier.
        vni: u32,
        /// Our end.
        local: IpAddr,
        /// UDP port.
        port: u16,
    },
    /// A guest's plug.
    Tap,
    /// One end of a pair. The end in [`HOST`] is made, and the other one comes and goes with it.
    Veth {
        /// The other end's space.
        space: String,
        /// The other end's name.
        peer: String,
    },
    /// The other end of a pair whose ends are both in [`HOST`]: it comes and goes with the first one.
    Inner {
        /// The first one.
        peer: String,
    },
    /// A way round for what comes in elsewhere: whatever leaves by it comes in there all the same.
    Ifb,
    /// `lo`.
    Loopback,
    /// Something else that has a name of ours.
    Foreign(String),
}

/// An address of a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The link.
    pub link: String,
    /// Address and length of the prefix that is directly reachable.
    pub net: IpNet,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteEntry {
    /// For these addresses
    pub destination: IpNet,
    /// by this neighbour; none: directly.
    pub nexthop: Option<IpAddr>,
    /// Out of this link; none: into nothing.
    pub link: Option<String>,
    /// The lower the better.
    pub metric: u32,
}

/// Where frames for an address go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forward {
    /// Frames for this address
    pub mac: Mac,
    /// leave by the tunnel to this host; none: leave by this port of the bridge.
    pub host: Option<IpAddr>,
}

/// An address that a bridge knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    /// The address
    pub ip: IpAddr,
    /// is at this one.
    pub mac: Mac,
}

/// Family and name of a table: `("bridge", "nephos_sg")`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    /// `inet`, `bridge`, `ip`.
    pub family: &'static str,
    /// Begins with `nephos_`.
    pub name: &'static str,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

/// A table of packet filters, in nft's language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Sets and maps by name.
    pub sets: BTreeMap<String, Set>,
    /// Chains by name.
    pub chains: BTreeMap<String, Chain>,
}

/// A named set or map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// `type ifname : verdict;`
    pub form: &'static str,
    /// Whether its elements have values.
    pub map: bool,
    /// Keys, and in a map their values.
    pub elements: Arc<BTreeMap<String, String>>,
}

/// A chain of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// `type filter hook forward priority -200; policy accept;`; empty: only jumped to.
    pub hook: &'static str,
    /// In order.
    pub rules: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ethernet_address_reads_and_shows_itself() {
        let mac = Mac::parse("fa:16:3e:00:0a:ff").unwrap();
        assert_eq!(mac.to_string(), "fa:16:3e:00:0a:ff");
        assert_eq!(mac.link_local().to_string(), "fe80::f816:3eff:fe00:aff");
        for wrong in [
            "",
            "fa:16:3e:00:0a",
            "fa:16:3e:00:0a:ff:00",
            "fa:16:3e:00:0a:gg",
        ] {
            assert_eq!(Mac::parse(wrong), None, "{wrong}");
        }
    }
}
