//! Taps: the network's end of a guest's card. Persistent: they outlive the agent and the guest.
#![expect(unsafe_code, reason = "taps are made by ioctl")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd as _;

mod calls {
    // From linux/if_tun.h.
    nix::ioctl_write_ptr_bad!(set_interface, 0x4004_54ca, libc::ifreq);
    nix::ioctl_write_int_bad!(set_persistent, 0x4004_54cb);
}

/// Opens a tap, made when it is new.
pub fn open(name: &str) -> io::Result<std::fs::File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).unwrap_or_default();
    // SAFETY: the kernel reads and writes the request that lives until the call ends.
    unsafe { calls::set_interface(file.as_raw_fd(), &raw const request) }?;
    Ok(file)
}

/// Makes a tap that stays.
pub fn ensure(name: &str) -> io::Result<()> {
    let file = open(name)?;
    // SAFETY: takes a number.
    unsafe { calls::set_persistent(file.as_raw_fd(), 1) }?;
    Ok(())
}
