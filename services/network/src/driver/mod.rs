//! The data plane behind a border: what is there, and small steps that change it. Every step can be repeated.

pub mod fake;
pub mod kernel;
pub mod plane;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use self::plane::{
    Address, Forward, Link, Mac, Neighbour, Plane, Rate, RouteEntry, Table, TableName, Tags,
};

/// The answer of a driver.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, DriverError>>;

/// A host's data plane.
pub trait Driver: Send + Sync {
    /// Everything of ours that is there, but the content of tables; settings only as far as `wanted` names them; forwarding
    /// entries and neighbours, of which there may be very many, where `entries` are asked for.
    fn look<'a>(&'a self, wanted: &'a Plane, entries: bool) -> Answer<'a, Plane>;

    /// What the tables of a space have in them now.
    fn tables<'a>(&'a self, space: &'a str) -> Answer<'a, BTreeMap<TableName, Listing>>;

    /// Does one step.
    fn step<'a>(&'a self, step: &'a Step) -> Answer<'a, ()>;

    /// The connections that a space keeps track of.
    fn connections<'a>(&'a self, space: &'a str) -> Answer<'a, Vec<Connection>>;

    /// Forgets connections: their next packet is judged as a new one.
    fn remove_connections<'a>(&'a self, space: &'a str, which: &'a [Connection]) -> Answer<'a, ()>;

    /// Whether a bridge leads out of this host: something that is not ours is plugged into it.
    fn leads_out<'a>(&'a self, bridge: &'a str) -> Answer<'a, bool>;

    /// What is wrong with the host as a whole.
    fn problems(&self) -> Answer<'_, Vec<String>>;

    /// A way to talk with the guest behind a tap: requests for addresses and routers only.
    fn guest<'a>(&'a self, tap: &'a str) -> Answer<'a, Box<dyn Frames>>;

    /// A listening socket in a space; none: this data plane has no sockets.
    fn listen<'a>(
        &'a self,
        space: &'a str,
        at: SocketAddr,
    ) -> Answer<'a, Option<tokio::net::TcpListener>>;
}

/// Ethernet frames from and to one guest.
pub trait Frames: Send + Sync {
    /// Waits for one.
    fn receive(&self) -> BoxFuture<'_, std::io::Result<Vec<u8>>>;

    /// Sends one.
    fn send<'a>(&'a self, frame: &'a [u8]) -> BoxFuture<'a, std::io::Result<()>>;
}

/// Why a step was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {attempt}: {cause}")]
pub struct DriverError {
    /// What was tried, on what.
    pub attempt: String,
    /// What came of it.
    pub cause: String,
}

impl DriverError {
    /// A failed attempt.
    pub fn new(attempt: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self {
            attempt: attempt.into(),
            cause: cause.to_string(),
        }
    }
}

/// What goes and what comes, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// First these go,
    pub remove: Vec<T>,
    /// then these come.
    pub add: Vec<T>,
}

/// One change of the data plane. The space is [`plane::HOST`] where none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a space.
    AddSpace(String),
    /// Remove a space with all that is in it.
    RemoveSpace(String),
    /// Make a link, switched off and in no bridge; the pair when it is a [`plane::LinkKind::Veth`].
    AddLink {
        /// Its name.
        name: String,
        /// What it shall be.
        link: Link,
        /// The other end of a pair.
        peer: Option<Link>,
    },
    /// Remove a link.
    RemoveLink {
        /// Where.
        space: String,
        /// Its name.
        name: String,
    },
    /// Make a link that is there like this one, but for whether it is switched on.
    ShapeLink {
        /// Where.
        space: String,
        /// Its name.
        name: String,
        /// What it shall be.
        link: Link,
    },
    /// Switch a link on or off.
    SwitchLink {
        /// Where.
        space: String,
        /// Its name.
        name: String,
        /// On.
        up: bool,
    },
    /// Limit how fast packets leave by a link.
    Limit {
        /// Where.
        space: String,
        /// The link.
        name: String,
        /// How fast; none: as fast as they can.
        rate: Option<Rate>,
    },
    /// Lead what comes in at a link round by another one.
    Detour {
        /// Where.
        space: String,
        /// The link.
        name: String,
        /// The other one; none: straight on.
        by: Option<String>,
    },
    /// Take tags from frames that come in at a link, or give them one.
    Tags {
        /// Where.
        space: String,
        /// The link.
        name: String,
        /// What happens; none: nothing.
        tags: Option<Tags>,
    },
    /// A setting of the kernel.
    Set {
        /// Where.
        space: String,
        /// Path below `/proc/sys/net`.
        path: String,
        /// Its value.
        value: String,
    },
    /// Addresses of links.
    Addresses(String, Change<Address>),
    /// Routes.
    Routes(String, Change<RouteEntry>),
    /// Forwarding entries.
    Forwards {
        /// Where.
        space: String,
        /// The bridge's port.
        link: String,
        /// Which.
        change: Change<Forward>,
    },
    /// Neighbours.
    Neighbours {
        /// Where.
        space: String,
        /// The bridge.
        link: String,
        /// Which.
        change: Change<Neighbour>,
    },
    /// Tell the neighbours of a link which addresses are here now.
    Announce {
        /// Where.
        space: String,
        /// The link.
        link: String,
        /// The addresses.
        ips: Vec<IpAddr>,
    },
    /// One transaction of nft, after which the space's tables are these.
    Tables {
        /// Where.
        space: String,
        /// In nft's language.
        script: String,
        /// All of them.
        tables: BTreeMap<TableName, Arc<Table>>,
    },
}

/// How much a table has in it, and a digest of all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Number of rules by chain.
    pub chains: BTreeMap<String, usize>,
    /// Number of elements by set.
    pub sets: BTreeMap<String, usize>,
    /// Differs when anything differs.
    pub digest: u64,
}

/// A connection that the kernel keeps track of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its zone.
    pub zone: u16,
    /// IP protocol.
    pub protocol: u8,
    /// Who began it.
    pub source: IpAddr,
    /// With whom.
    pub destination: IpAddr,
    /// The destination's port, or the ICMP type.
    pub port: u16,
    /// The ICMP code.
    pub code: u16,
    /// To whom answers go: the source, unless it was translated.
    pub answers_to: IpAddr,
    /// From whom answers come: the destination, unless it was translated.
    pub answers_from: IpAddr,
    /// The kernel's own words for it.
    pub key: Vec<u8>,
}

/// The address that names the metadata service in every network.
pub const METADATA_MAC: Mac = Mac([0xfa, 0x16, 0x3f, 0xa9, 0xfe, 0xa9]);
