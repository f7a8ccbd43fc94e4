//! Frames to and from guests: packet sockets on taps, and announcements.
#![expect(
    unsafe_code,
    reason = "packet sockets are bound and filtered by structures of C"
)]

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::driver::plane::Mac;
use crate::driver::{DriverError, Frames};

/// Questions are small.
const FRAME_BYTES: usize = 2048;

/// A socket that hears what the guest behind a tap asks: DHCP, DHCPv6 and router solicitations.
pub fn questions(tap: &str) -> Result<OwnedFd, DriverError> {
    let attempt = || format!("listen on {tap}");
    let index = nix::net::if_::if_nametoindex(tap);
    let index = index.map_err(|why| DriverError::new(attempt(), why))?;
    // Bound to all protocols: to one, the bridge would take the frame first. Until then it hears nothing.
    let open = || -> io::Result<OwnedFd> {
        let socket = socket()?;
        filter(&socket)?;
        ignore_own(&socket)?;
        bind(&socket, index, libc::ETH_P_ALL)?;
        Ok(socket)
    };
    open().map_err(|why| DriverError::new(attempt(), why))
}

fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes numbers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bind(socket: &OwnedFd, index: u32, protocol: i32) -> io::Result<()> {
    let address = link_address(index, protocol);
    let size = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or_default();
    // SAFETY: the address lives until the call ends, and its size is told.
    let done = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) };
    outcome(done)
}

fn link_address(index: u32, protocol: i32) -> libc::sockaddr_ll {
    // SAFETY: all zeros is a valid `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_protocol = u16::try_from(protocol).unwrap_or_default().to_be();
    address.sll_ifindex = i32::try_from(index).unwrap_or_default();
    address
}

fn outcome(code: i32) -> io::Result<()> {
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets only questions through, so that the rest of a guest's traffic costs one look. What has a tag is not asked here: the
/// kernel has taken it off already, and shows it beside the frame.
fn filter(socket: &OwnedFd) -> io::Result<()> {
    const LOAD_WORD: u16 = 0x20;
    /// `SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT` of linux/filter.h.
    const HAS_TAG: u32 = 0xffff_f030;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF_BEHIND: u16 = 0x48;
    const HEADER_LENGTH: u16 = 0xb1;
    const IS: u16 = 0x15;
    const HAS_BITS: u16 = 0x45;
    const RETURN: u16 = 0x06;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        step(LOAD_WORD, 0, 0, HAS_TAG),
        step(IS, 0, 18, 0),
        step(LOAD_HALF, 0, 0, 12),
        step(IS, 0, 7, 0x0800), // IPv4?
        step(LOAD_BYTE, 0, 0, 23),
        step(IS, 0, 14, 17), // UDP?
        step(LOAD_HALF, 0, 0, 20),
        step(HAS_BITS, 12, 0, 0x1fff), // a later fragment?
        step(HEADER_LENGTH, 0, 0, 14),
        step(LOAD_HALF_BEHIND, 0, 0, 16),
        step(IS, 8, 9, 67),     // to a DHCP server?
        step(IS, 0, 8, 0x86dd), // IPv6?
        step(LOAD_BYTE, 0, 0, 20),
        step(IS, 0, 2, 17),
        step(LOAD_HALF, 0, 0, 56),
        step(IS, 3, 4, 547), // to a DHCPv6 server?
        step(IS, 0, 3, 58),
        step(LOAD_BYTE, 0, 0, 54),
        step(IS, 0, 1, 133), // a router solicitation?
        step(RETURN, 0, 0, 0xffff),
        step(RETURN, 0, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap_or_default(),
        filter: program.as_mut_ptr(),
    };
    option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// What we send ourselves is no question.
fn ignore_own(socket: &OwnedFd) -> io::Result<()> {
    option(
        socket,
        libc::SOL_PACKET,
        libc::PACKET_IGNORE_OUTGOING,
        &1_i32,
    )
}

fn option<T>(socket: &OwnedFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default();
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: the value lives until the call ends, and its size is told.
    outcome(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, size) })
}

/// Sends one frame out of a link.
pub fn send_once(index: u32, frame: &[u8]) -> io::Result<()> {
    let socket = socket()?;
    let address = link_address(index, 0);
    let size = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or_default();
    // SAFETY: frame and address live until the call ends, and their sizes are told.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            0,
            (&raw const address).cast(),
            size,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Tells everybody that `ip` is at `mac` now.
pub fn gratuitous_arp(mac: Mac, ip: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&mac.0);
    frame.extend_from_slice(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend_from_slice(&mac.0);
    frame.extend_from_slice(&ip.octets());
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&ip.octets());
    frame
}

/// A tap's questions and answers.
pub struct Socket(AsyncFd<OwnedFd>);

impl Socket {
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        // SAFETY: the descriptor is owned: it stays open as long as it is registered.
        let registered = unsafe { AsyncFd::register(socket) };
        registered
            .map(Self)
            .map_err(|why| io::Error::other(why.to_string()))
    }
}

impl Frames for Socket {
    fn receive(&self) -> BoxFuture<'_, io::Result<Vec<u8>>> {
        self.0
            .async_io(Interest::READABLE, |socket| {
                let mut frame = vec![0; FRAME_BYTES];
                let length = nix::unistd::read(socket, &mut frame)?;
                frame.truncate(length);
                Ok(frame)
            })
            .boxed()
    }

    fn send<'a>(&'a self, frame: &'a [u8]) -> BoxFuture<'a, io::Result<()>> {
        self.0
            .async_io(Interest::WRITABLE, |socket| {
                nix::unistd::write(socket, frame)?;
                Ok(())
            })
            .boxed()
    }
}
