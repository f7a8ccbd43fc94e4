//! Live consoles: the pseudo terminal of the serial port, and QEMU's VNC server, which only this host reaches.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use roxmltree::Document;
use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use virt_sys as sys;

use super::domain_xml;
use super::link::find;
use super::{Shared, VncAddress};
use crate::driver::{DriverError, Pipe};
use crate::model::console::ConsoleKind;
use crate::model::spec::ServerId;

/// Where a console is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Terminal(PathBuf),
    Screen(VncAddress),
}

impl Shared {
    pub(super) fn console(
        &self,
        server: &ServerId,
        kind: ConsoleKind,
    ) -> Result<Place, DriverError> {
        let live = self.link.with("find a console", |connect| {
            let Some(domain) = find(connect, server.as_str())? else {
                return Ok(None);
            };
            if !domain.is_active()? {
                return Ok(None);
            }
            let definition = domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?;
            Ok(Some((definition, domain.get_xml_desc(0)?)))
        })?;
        let off = || DriverError::Failed(format!("server {server} does not run"));
        let (definition, live) = live.ok_or_else(off)?;
        let ours = domain_xml::read(&definition, &self.boot_id)
            .is_some_and(|said| said.host.as_ref() == Some(&self.host.name));
        if !ours {
            return Err(DriverError::Refused(format!(
                "libvirt has a domain {server} that is not ours"
            )));
        }
        place(&live, kind)
            .ok_or_else(|| DriverError::Refused(format!("server {server} has no such console")))
    }
}

/// What the definition of a running domain says of its console.
fn place(live: &str, kind: ConsoleKind) -> Option<Place> {
    match kind {
        ConsoleKind::Vnc => domain_xml::read(live, "")?.vnc.map(Place::Screen),
        ConsoleKind::Serial => {
            let document = Document::parse(live).ok()?;
            let serial = document.descendants().find(|node| {
                node.has_tag_name("serial") && node.attribute("type") == Some("pty")
            })?;
            let source = serial.children().find(|node| node.has_tag_name("source"))?;
            let path = Path::new(source.attribute("path")?);
            // libvirt's word is believed only as far as it names a terminal.
            let terminal = path.strip_prefix("/dev/pts").is_ok();
            terminal.then(|| Place::Terminal(path.to_owned()))
        }
    }
}

/// Opens it.
pub(super) async fn open(place: Place) -> Result<Pipe, DriverError> {
    match place {
        Place::Screen(address) => {
            let opened = TcpStream::connect((address.host.as_str(), address.port)).await;
            let failed = |why: std::io::Error| {
                DriverError::Failed(format!("the graphical console does not answer: {why}"))
            };
            Ok(Box::new(opened.map_err(failed)?))
        }
        Place::Terminal(path) => {
            let file = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
                .open(&path)
                .map_err(|cause| DriverError::file("open", &path, &cause))?;
            let failed = |cause: std::io::Error| DriverError::file("listen to", &path, &cause);
            // A terminal can be waited for like a pipe; QEMU has made it raw.
            let reader = file.try_clone().map_err(failed)?;
            let reader = pipe::Receiver::from_file_unchecked(reader).map_err(failed)?;
            let writer = pipe::Sender::from_file_unchecked(file).map_err(failed)?;
            Ok(Box::new(tokio::io::join(reader, writer)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: &str = "<domain><devices>\
        <serial type='pty'><source path='/dev/pts/7'/><target port='0'/></serial>\
        <console type='pty' tty='/dev/pts/7'><source path='/dev/pts/7'/></console>\
        <graphics type='vnc' port='5901' listen='127.0.0.1'/></devices></domain>";

    #[test]
    fn a_running_domain_says_where_its_consoles_are() {
        let serial = place(LIVE, ConsoleKind::Serial);
        assert_eq!(serial, Some(Place::Terminal("/dev/pts/7".into())));
        let screen = VncAddress {
            host: "127.0.0.1".to_owned(),
            port: 5901,
        };
        assert_eq!(place(LIVE, ConsoleKind::Vnc), Some(Place::Screen(screen)));
        let odd = LIVE.replace("/dev/pts/7", "/etc/passwd");
        assert_eq!(place(&odd, ConsoleKind::Serial), None);
        assert_eq!(place("<domain/>", ConsoleKind::Vnc), None);
    }

    #[tokio::test]
    #[expect(unsafe_code, reason = "a terminal of our own is made by ioctls")]
    async fn a_terminal_carries_bytes_both_ways() {
        use std::io::{Read as _, Write as _};
        use std::os::fd::AsRawFd as _;
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut master = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/ptmx")
            .unwrap();
        let mut number = 0_u32;
        // SAFETY: the descriptor is a terminal's, and the pointers are to what the calls want.
        unsafe {
            let mut unlocked = 0_i32;
            assert_eq!(
                libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw mut unlocked),
                0
            );
            assert_eq!(
                libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &raw mut number),
                0
            );
            let mut modes: libc::termios = std::mem::zeroed();
            libc::tcgetattr(master.as_raw_fd(), &raw mut modes);
            libc::cfmakeraw(&raw mut modes);
            libc::tcsetattr(master.as_raw_fd(), libc::TCSANOW, &raw const modes);
        }
        let place = Place::Terminal(format!("/dev/pts/{number}").into());
        let mut pipe = open(place).await.unwrap();
        pipe.write_all(b"typed").await.unwrap();
        let mut heard = [0_u8; 5];
        master.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"typed");
        master.write_all(b"said").unwrap();
        let mut said = [0_u8; 4];
        pipe.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"said");
        drop(master);
        // The guest is gone: an end or an error, but no waiting for ever.
        let _end = pipe.read(&mut said).await;
    }
}
