//! A simulated data plane: it has what it was told to have, and no packets. `nephos up --simulate` runs on it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::plane::{Entries, HOST, Link, LinkKind, Plane, Space, TableName};
use super::{Answer, Change, Connection, Driver, DriverError, Frames, Listing, Step};

/// A host in memory.
#[derive(Debug, Default)]
pub struct Fake {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plane: Plane,
    connections: BTreeMap<String, Vec<Connection>>,
    fails: Option<String>,
    /// Since somebody asks for them.
    done: Option<Vec<Step>>,
}

impl Fake {
    /// What is there.
    #[must_use]
    pub fn plane(&self) -> Plane {
        self.with(|state| state.plane.clone())
    }

    /// Changes what is there behind the agent's back.
    pub fn meddle(&self, change: impl FnOnce(&mut Plane)) {
        self.with(|state| change(&mut state.plane));
    }

    /// The steps that were done since the last call; the first one begins to keep them.
    #[must_use]
    pub fn take_steps(&self) -> Vec<Step> {
        self.with(|state| state.done.replace(Vec::new()).unwrap_or_default())
    }

    /// Lets every step fail that changes this link; `None`: no more.
    pub fn fail(&self, name: Option<&str>) {
        self.with(|state| state.fails = name.map(str::to_owned));
    }

    /// Connections that are there from now on.
    pub fn connect(&self, space: &str, connections: Vec<Connection>) {
        self.with(|state| _ = state.connections.insert(space.to_owned(), connections));
    }

    fn with<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn ready<'a, T: Send + 'a>(answer: Result<T, DriverError>) -> Answer<'a, T> {
    futures_util::future::ready(answer).boxed()
}

impl Driver for Fake {
    fn look<'a>(&'a self, _wanted: &'a Plane, entries: bool) -> Answer<'a, Plane> {
        let mut plane = self.plane();
        for space in plane.spaces.values_mut() {
            space.tables.clear();
            if !entries {
                space.forwards.clear();
                space.neighbours.clear();
            }
        }
        ready(Ok(plane))
    }

    fn tables<'a>(&'a self, space: &'a str) -> Answer<'a, BTreeMap<TableName, Listing>> {
        let tables = self.with(|state| {
            let space = state.plane.spaces.get(space);
            space.map(|space| space.tables.clone()).unwrap_or_default()
        });
        let listing = tables.into_iter().map(|(name, table)| {
            let chains = table
                .chains
                .iter()
                .map(|(name, chain)| (name.clone(), chain.rules.len()));
            let sets = table
                .sets
                .iter()
                .map(|(name, set)| (name.clone(), set.elements.len()));
            let listing = Listing {
                chains: chains.collect(),
                sets: sets.collect(),
                digest: 0,
            };
            (name, listing)
        });
        ready(Ok(listing.collect()))
    }

    fn step<'a>(&'a self, step: &'a Step) -> Answer<'a, ()> {
        ready(self.with(|state| {
            if let Some(name) = &state.fails
                && link_of(step) == Some(name)
            {
                return Err(DriverError::new(
                    format!("change {name}"),
                    "the simulation says no",
                ));
            }
            if let Some(done) = &mut state.done {
                done.push(step.clone());
            }
            state.plane.take_in(step)
        }))
    }

    fn connections<'a>(&'a self, space: &'a str) -> Answer<'a, Vec<Connection>> {
        ready(Ok(self.with(|state| {
            state.connections.get(space).cloned().unwrap_or_default()
        })))
    }

    fn remove_connections<'a>(&'a self, space: &'a str, which: &'a [Connection]) -> Answer<'a, ()> {
        self.with(|state| {
            if let Some(all) = state.connections.get_mut(space) {
                all.retain(|connection| !which.contains(connection));
            }
        });
        ready(Ok(()))
    }

    fn leads_out<'a>(&'a self, _bridge: &'a str) -> Answer<'a, bool> {
        ready(Ok(true))
    }

    fn problems(&self) -> Answer<'_, Vec<String>> {
        ready(Ok(Vec::new()))
    }

    fn guest<'a>(&'a self, _tap: &'a str) -> Answer<'a, Box<dyn Frames>> {
        ready(Ok(Box::new(Silence)))
    }

    fn listen<'a>(
        &'a self,
        _space: &'a str,
        _at: SocketAddr,
    ) -> Answer<'a, Option<tokio::net::TcpListener>> {
        ready(Ok(None))
    }
}

/// A guest that never asks.
struct Silence;

impl Frames for Silence {
    fn receive(&self) -> BoxFuture<'_, std::io::Result<Vec<u8>>> {
        futures_util::future::pending().boxed()
    }

    fn send<'a>(&'a self, _frame: &'a [u8]) -> BoxFuture<'a, std::io::Result<()>> {
        futures_util::future::ready(Ok(())).boxed()
    }
}

/// The link that a step changes.
const fn link_of(step: &Step) -> Option<&String> {
    match step {
        Step::AddLink { name, .. }
        | Step::RemoveLink { name, .. }
        | Step::ShapeLink { name, .. }
        | Step::SwitchLink { name, .. }
        | Step::Limit { name, .. }
        | Step::Detour { name, .. }
        | Step::Tags { name, .. } => Some(name),
        Step::AddSpace(_)
        | Step::RemoveSpace(_)
        | Step::Set { .. }
        | Step::Addresses(..)
        | Step::Routes(..)
        | Step::Forwards { .. }
        | Step::Neighbours { .. }
        | Step::Announce { .. }
        | Step::Tables { .. } => None,
    }
}

impl Plane {
    /// Does a step in memory, as the kernel would.
    fn take_in(&mut self, step: &Step) -> Result<(), DriverError> {
        match step {
            Step::AddSpace(space) => self.add_space(space),
            Step::RemoveSpace(space) => self.remove_space(space),
            Step::AddLink { name, link, peer } => self.add_link(name, link, peer.as_ref()),
            Step::RemoveLink { space, name } => self.remove_link(space, name),
            Step::ShapeLink { space, name, link } => {
                let found = self.link(space, name)?;
                let up = found.up;
                *found = Link { up, ..link.clone() };
            }
            Step::SwitchLink { space, name, up } => self.link(space, name)?.up = *up,
            Step::Limit { space, name, rate } => {
                self.link(space, name)?;
                put(&mut self.space(space).limits, name, *rate);
            }
            Step::Detour { space, name, by } => {
                self.link(space, name)?;
                put(&mut self.space(space).detours, name, by.clone());
            }
            Step::Tags { space, name, tags } => {
                self.link(space, name)?;
                put(&mut self.space(space).tags, name, tags.clone());
            }
            Step::Set { space, path, value } => {
                let settings = &mut self.space(space).settings;
                settings.insert(path.clone(), value.clone());
            }
            Step::Addresses(space, wanted) => change(&mut self.space(space).addresses, wanted),
            Step::Routes(space, wanted) => change(&mut self.space(space).routes, wanted),
            Step::Forwards {
                space,
                link,
                change,
            } => change_of(&mut self.space(space).forwards, link, change),
            Step::Neighbours {
                space,
                link,
                change,
            } => change_of(&mut self.space(space).neighbours, link, change),
            Step::Announce { .. } => {}
            Step::Tables { space, tables, .. } => self.space(space).tables.clone_from(tables),
        }
        Ok(())
    }

    /// Every space is made with a loopback link that is off.
    fn add_space(&mut self, name: &str) {
        let lo = Link {
            kind: LinkKind::Loopback,
            mac: None,
            mtu: None,
            up: false,
            bridge: None,
            suppress: false,
            learning: false,
        };
        self.space(name).links.insert("lo".to_owned(), lo);
    }

    fn link(&mut self, space: &str, name: &str) -> Result<&mut Link, DriverError> {
        let attempt = || format!("find link {name}");
        let found = self
            .spaces
            .get_mut(space)
            .and_then(|space| space.links.get_mut(name));
        found.ok_or_else(|| DriverError::new(attempt(), "there is none"))
    }

    fn add_link(&mut self, name: &str, link: &Link, peer: Option<&Link>) {
        let fresh = |link: &Link| Link {
            up: false,
            bridge: None,
            ..link.clone()
        };
        self.space(HOST).links.insert(name.to_owned(), fresh(link));
        if let (
            LinkKind::Veth {
                space,
                peer: inside,
            },
            Some(peer),
        ) = (&link.kind, peer)
        {
            self.space(space).links.insert(inside.clone(), fresh(peer));
        }
    }

    fn remove_link(&mut self, space: &str, name: &str) {
        let gone = self.space(space).links.remove(name);
        self.space(space).forget_link(name);
        if let Some(Link {
            kind: LinkKind::Veth { space, peer },
            ..
        }) = gone
        {
            self.space(&space).links.remove(&peer);
            self.space(&space).forget_link(&peer);
        }
    }

    fn remove_space(&mut self, name: &str) {
        let Some(space) = self.spaces.remove(name) else {
            return;
        };
        for link in space.links.values() {
            if let LinkKind::Veth { space, peer } = &link.kind {
                self.space(space).links.remove(peer);
                self.space(space).forget_link(peer);
            }
        }
    }
}

impl Space {
    /// What goes with a link.
    fn forget_link(&mut self, name: &str) {
        self.addresses.retain(|entry| entry.link != name);
        self.routes
            .retain(|entry| entry.link.as_deref() != Some(name));
        self.forwards.remove(name);
        self.neighbours.remove(name);
        self.limits.remove(name);
        self.detours.remove(name);
        self.tags.remove(name);
    }
}

fn put<T>(of_links: &mut BTreeMap<String, T>, name: &str, wanted: Option<T>) {
    match wanted {
        Some(wanted) => of_links.insert(name.to_owned(), wanted),
        None => of_links.remove(name),
    };
}

fn change_of<T: Ord + Clone>(entries: &mut Entries<T>, link: &str, wanted: &Change<T>) {
    let own = entries.entry(link.to_owned()).or_default();
    change(Arc::make_mut(own), wanted);
    if own.is_empty() {
        entries.remove(link);
    }
}

fn change<T: Ord + Clone>(entries: &mut BTreeSet<T>, wanted: &Change<T>) {
    entries.retain(|entry| !wanted.remove.contains(entry));
    entries.extend(wanted.add.iter().cloned());
}
