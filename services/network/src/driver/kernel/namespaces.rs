//! Network namespaces: files in `/run/netns`, as `ip netns` has them.

use std::fs::File;
use std::net::{SocketAddr, SocketAddrV6, TcpListener};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::statfs::statfs;

use super::child;
use crate::driver::DriverError;

const FOLDER: &str = "/run/netns";
/// `NSFS_MAGIC` of linux/magic.h.
const NSFS: i64 = 0x6e73_6673;

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// Whether the file is a namespace, and not what is left of one.
fn is_whole(path: &Path) -> bool {
    #[expect(
        clippy::useless_conversion,
        reason = "the type differs between machines"
    )]
    statfs(path).is_ok_and(|fs| i64::from(fs.filesystem_type().0) == NSFS)
}

/// Names of namespaces that begin with `prefix`. What is left of one counts only if it is not wanted: so it goes if it
/// is not, and is made if it is.
pub fn list(prefix: &str, wanted: &[String]) -> Result<Vec<String>, DriverError> {
    let entries = match std::fs::read_dir(FOLDER) {
        Ok(entries) => entries,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(DriverError::new(format!("list {FOLDER}"), why)),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names
        .filter(|name| name.starts_with(prefix))
        .filter(|name| !wanted.contains(name) || is_whole(&path(name)))
        .collect();
    names.sort();
    Ok(names)
}

/// Makes a namespace.
pub fn ensure(name: &str) -> Result<(), DriverError> {
    let file = path(name);
    if is_whole(&file) {
        return Ok(());
    }
    if file.exists() {
        std::fs::remove_file(&file).map_err(|why| {
            DriverError::new(format!("remove what is left of namespace {name}"), why)
        })?;
    }
    let made = child::run("ip", &["netns", "add", name], "");
    made.map(|_nothing| ())
        .map_err(|why| DriverError::new(format!("make namespace {name}"), why))
}

/// Removes a namespace.
pub fn remove(name: &str) -> Result<(), DriverError> {
    let file = path(name);
    while is_whole(&file) {
        umount2(&file, MntFlags::MNT_DETACH)
            .map_err(|why| DriverError::new(format!("let go of namespace {name}"), why))?;
    }
    match std::fs::remove_file(&file) {
        Ok(()) => Ok(()),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(why) => Err(DriverError::new(format!("remove namespace {name}"), why)),
    }
}

/// Lets this thread live in a namespace from now on.
pub fn enter(name: &str) -> Result<(), DriverError> {
    let attempt = || format!("enter namespace {name}");
    let file = File::open(path(name)).map_err(|why| DriverError::new(attempt(), why))?;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(|why| DriverError::new(attempt(), why))
}

/// A listening socket in this thread's namespace.
pub fn listen(at: SocketAddr) -> Result<TcpListener, DriverError> {
    let attempt = || format!("listen at {at}");
    let at = match at {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
            let index = nix::net::if_::if_nametoindex("meta0");
            let index = index.map_err(|why| DriverError::new(attempt(), why))?;
            SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, index))
        }
        other => other,
    };
    let listener = TcpListener::bind(at).map_err(|why| DriverError::new(attempt(), why))?;
    let ready = listener.set_nonblocking(true);
    ready.map_err(|why| DriverError::new(attempt(), why))?;
    Ok(listener)
}
