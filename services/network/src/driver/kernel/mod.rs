//! The Linux kernel: rtnetlink for links and entries, `nft` for filters, netlink for connections, `/proc/sys`.
//!
//! Everything blocks, so everything runs on a thread of its own, which first enters the namespace it is about. The
//! thread ends with the job; no thread that has changed its namespace is ever used again.

mod change;
mod child;
mod connections;
mod door;
mod look;
mod namespaces;
mod netlink;
mod nft;
mod packets;
mod shape;
mod tags;
mod tap;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::plane::{HOST, Plane, TableName};
use super::{Answer, Connection, Driver, DriverError, Frames, Listing, Step};

/// This machine's kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    prefix: String,
}

impl Kernel {
    /// The kernel; `namespace_prefix` as in the agent's settings.
    #[must_use]
    pub fn new(namespace_prefix: &str) -> Self {
        Self {
            prefix: namespace_prefix.to_owned(),
        }
    }
}

/// Does `job` in a space.
async fn within<T, F>(space: &str, job: F) -> Result<T, DriverError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, DriverError> + Send + 'static,
{
    let space = space.to_owned();
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name("network".to_owned());
    thread
        .spawn(move || {
            let entered = if space == HOST {
                Ok(())
            } else {
                namespaces::enter(&space)
            };
            let _nobody_waits = tell.send(entered.and_then(|()| job()));
        })
        .map_err(|why| DriverError::new("start a thread", why))?;
    told.await
        .map_err(|_| DriverError::new("change the network", "the thread panicked"))?
}

impl Driver for Kernel {
    fn look<'a>(&'a self, wanted: &'a Plane, entries: bool) -> Answer<'a, Plane> {
        async move {
            let mut found = Plane::default();
            let prefix = self.prefix.clone();
            let names: Vec<String> = wanted.spaces.keys().cloned().collect();
            let spaces = within(HOST, move || namespaces::list(&prefix, &names)).await?;
            for space in [HOST.to_owned()].into_iter().chain(spaces) {
                let like = wanted.spaces.get(&space).cloned().unwrap_or_default();
                let name = space.clone();
                let entries = entries && space == HOST;
                let seen = within(&space, move || look::look(&name, &like, entries)).await;
                // One that cannot be entered is there and has nothing in it.
                let seen = match seen {
                    Err(why) if space == HOST => return Err(why),
                    other => other.unwrap_or_default(),
                };
                found.spaces.insert(space, seen);
            }
            Ok(found)
        }
        .boxed()
    }

    fn tables<'a>(&'a self, space: &'a str) -> Answer<'a, BTreeMap<TableName, Listing>> {
        within(space, nft::list).boxed()
    }

    fn step<'a>(&'a self, step: &'a Step) -> Answer<'a, ()> {
        let space = change::space(step).to_owned();
        let step = step.clone();
        async move { within(&space, move || change::change(&step)).await }.boxed()
    }

    fn connections<'a>(&'a self, space: &'a str) -> Answer<'a, Vec<Connection>> {
        within(space, connections::list).boxed()
    }

    fn remove_connections<'a>(&'a self, space: &'a str, which: &'a [Connection]) -> Answer<'a, ()> {
        let which = which.to_vec();
        within(space, move || connections::remove(&which)).boxed()
    }

    fn leads_out<'a>(&'a self, bridge: &'a str) -> Answer<'a, bool> {
        let bridge = bridge.to_owned();
        within(HOST, move || look::leads_out(&bridge)).boxed()
    }

    fn problems(&self) -> Answer<'_, Vec<String>> {
        within(HOST, nft::problems).boxed()
    }

    fn guest<'a>(&'a self, tap: &'a str) -> Answer<'a, Box<dyn Frames>> {
        async move {
            let name = tap.to_owned();
            let socket = within(HOST, move || packets::questions(&name)).await?;
            let frames = packets::Socket::new(socket)
                .map_err(|why| DriverError::new(format!("listen on {tap}"), why))?;
            Ok(Box::new(frames) as Box<dyn Frames>)
        }
        .boxed()
    }

    fn listen<'a>(
        &'a self,
        space: &'a str,
        at: SocketAddr,
    ) -> Answer<'a, Option<tokio::net::TcpListener>> {
        async move {
            let attempt = move || format!("listen at {at}");
            let listener = within(space, move || namespaces::listen(at)).await?;
            let listener = tokio::net::TcpListener::from_std(listener)
                .map_err(|why| DriverError::new(attempt(), why))?;
            Ok(Some(listener))
        }
        .boxed()
    }
}

/// A guest's end of a tap, for tests: they are the guests.
#[cfg(test)]
pub fn tap_for_test(name: &str) -> std::fs::File {
    use std::os::fd::AsFd as _;
    let file = tap::open(name).unwrap();
    let flags = nix::fcntl::OFlag::O_RDWR | nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(file.as_fd(), nix::fcntl::FcntlArg::F_SETFL(flags)).unwrap();
    file
}
