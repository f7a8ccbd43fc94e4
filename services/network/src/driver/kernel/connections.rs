//! The kernel's list of connections, by netlink (`nfnetlink_conntrack.h`).

use std::io;
use std::net::IpAddr;

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{Socket, SocketAddr};

use crate::driver::{Connection, DriverError};

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
/// Subsystem 1 (connections), message 1 (get) and 2 (delete).
const GET: u16 = 0x0101;
const DELETE: u16 = 0x0102;
const ERROR: u16 = 2;
const DONE: u16 = 3;

const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;

const HEADER: usize = 16;
const FAMILY: usize = 4;

/// All connections of this thread's namespace.
pub fn list() -> Result<Vec<Connection>, DriverError> {
    let listed = || -> io::Result<Vec<Connection>> {
        let socket = open()?;
        socket.send(&message(GET, REQUEST | DUMP, 0, &[]), 0)?;
        let mut found = Vec::new();
        loop {
            let (bytes, _) = socket.recv_from_full()?;
            for (kind, body) in messages(&bytes) {
                match kind {
                    DONE => return Ok(found),
                    ERROR => {
                        return Err(failure(body).unwrap_or_else(|| io::ErrorKind::Other.into()));
                    }
                    _entry => found.extend(connection(body)),
                }
            }
        }
    };
    listed().map_err(|why| DriverError::new("list connections", why))
}

/// Forgets connections; one that is gone already is no error.
pub fn remove(which: &[Connection]) -> Result<(), DriverError> {
    let removed = || -> io::Result<()> {
        let socket = open()?;
        for connection in which {
            let family = if connection.source.is_ipv4() {
                libc::AF_INET
            } else {
                libc::AF_INET6
            };
            let family = u8::try_from(family).unwrap_or_default();
            socket.send(&message(DELETE, REQUEST | ACK, family, &connection.key), 0)?;
            let (bytes, _) = socket.recv_from_full()?;
            for (kind, body) in messages(&bytes) {
                match failure(body).filter(|_| kind == ERROR) {
                    Some(why) if why.raw_os_error() != Some(libc::ENOENT) => return Err(why),
                    _done => {}
                }
            }
        }
        Ok(())
    };
    removed().map_err(|why| DriverError::new("forget connections", why))
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let _smaller_will_do = socket.set_rx_buf_sz(4 * 1024 * 1024_usize);
    Ok(socket)
}

fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + FAMILY + attributes.len()).unwrap_or_default();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]); // sequence and sender
    bytes.extend_from_slice(&[family, 0, 0, 0]);
    bytes.extend_from_slice(attributes);
    bytes
}

/// The messages of a datagram: type, and what follows the header.
fn messages(bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (number32(rest, 0), number16(rest, 4)) {
        let length = length as usize;
        let Some(body) = rest.get(HEADER..length) else {
            break;
        };
        found.push((kind, body));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The error of an error message; none: it says that all went well.
fn failure(body: &[u8]) -> Option<io::Error> {
    let code = i32::from_ne_bytes(body.get(..4)?.try_into().ok()?);
    (code != 0).then(|| io::Error::from_raw_os_error(-code))
}

fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// An attribute: its type, its value, and all of it.
type Attribute<'a> = (u16, &'a [u8], &'a [u8]);

fn attributes(bytes: &[u8]) -> Vec<Attribute<'_>> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (number16(rest, 0), number16(rest, 2)) {
        let length = usize::from(length);
        let Some(value) = rest.get(4..length) else {
            break;
        };
        let padded = length.next_multiple_of(4);
        let all = rest.get(..padded).unwrap_or(rest);
        found.push((kind & 0x3fff, value, all));
        rest = rest.get(padded..).unwrap_or_default();
    }
    found
}

fn find<'a>(all: &[Attribute<'a>], kind: u16) -> Option<&'a [u8]> {
    let mut all = all.iter();
    all.find(|(found, ..)| *found == kind)
        .map(|(_, value, _)| *value)
}

fn big16(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn connection(body: &[u8]) -> Option<Connection> {
    let all = attributes(body.get(FAMILY..)?);
    let orig = tuple(find(&all, TUPLE_ORIG)?)?;
    let reply = tuple(find(&all, TUPLE_REPLY)?)?;
    let keys = all
        .iter()
        .filter(|(kind, ..)| [TUPLE_ORIG, ZONE, ID].contains(kind));
    Some(Connection {
        zone: find(&all, ZONE).and_then(big16).unwrap_or(0),
        protocol: orig.protocol,
        source: orig.source,
        destination: orig.destination,
        port: orig.port,
        code: orig.code,
        answers_to: reply.destination,
        answers_from: reply.source,
        key: keys.flat_map(|(_, _, all)| all.iter().copied()).collect(),
    })
}

struct Tuple {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    port: u16,
    code: u16,
}

fn tuple(bytes: &[u8]) -> Option<Tuple> {
    let parts = attributes(bytes);
    let ips = attributes(find(&parts, 1)?);
    let ip = |v4: u16, v6: u16| match (find(&ips, v4), find(&ips, v6)) {
        (Some(bytes), _) => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        (None, Some(bytes)) => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        (None, None) => None,
    };
    let inner = attributes(find(&parts, 2)?);
    let byte = |kinds: [u16; 2]| {
        let mut found = kinds
            .iter()
            .filter_map(|kind| find(&inner, *kind)?.first().copied());
        found.next().map(u16::from)
    };
    let port = find(&inner, 3).and_then(big16);
    Some(Tuple {
        source: ip(1, 3)?,
        destination: ip(2, 4)?,
        protocol: *find(&inner, 1)?.first()?,
        port: port.or_else(|| byte([5, 8])).unwrap_or(0),
        code: byte([6, 9]).unwrap_or(0),
    })
}
