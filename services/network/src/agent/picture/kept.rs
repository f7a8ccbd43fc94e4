//! What is drawn of lists, which are long and of which few change at a time: it is kept, and drawn anew for a list that
//! changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::agent::documents::{Documents, Specs};
use crate::driver::plane::{Forward, Mac, Neighbour};
use crate::model::spec::{MemberSpec, RemotePort};

/// What was drawn the last time. It may be lost at any time.
#[derive(Debug, Default)]
pub struct Kept {
    ways: BTreeMap<String, Of<RemotePort, Ways>>,
    members: BTreeMap<String, Of<MemberSpec, Members>>,
}

/// What was drawn of a list.
#[derive(Debug)]
struct Of<T, D> {
    list: Arc<Specs<T>>,
    drawn: D,
}

/// The ways to a network's ports on other hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways {
    /// Of the network's tunnel.
    pub forwards: Arc<BTreeSet<Forward>>,
    /// Of its bridge.
    pub neighbours: Arc<BTreeSet<Neighbour>>,
    /// The Ethernet addresses of the ports.
    pub elsewhere: Arc<BTreeSet<Mac>>,
}

/// The members of a group, as elements of sets for IPv4 and IPv6.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    pub v4: Elements,
    pub v6: Elements,
}

type Elements = Arc<BTreeMap<String, String>>;

impl Kept {
    /// Forgets what is of lists that are no more.
    pub(super) fn sweep(&mut self, documents: &Documents) {
        self.ways.retain(|id, _| documents.remote.contains_key(id));
        self.members
            .retain(|id, _| documents.members.contains_key(id));
    }

    /// `here`: this host's end of tunnels.
    pub(super) fn ways(&mut self, documents: &Documents, network: &str, here: IpAddr) -> Ways {
        let draw = |list: &_| ways(list, here);
        drawn(&mut self.ways, documents.remote.get(network), network, draw)
    }

    pub(super) fn members(&mut self, documents: &Documents, group: &str) -> Members {
        drawn(
            &mut self.members,
            documents.members.get(group),
            group,
            members,
        )
    }
}

fn drawn<T, D: Clone + Default>(
    kept: &mut BTreeMap<String, Of<T, D>>,
    list: Option<&Arc<Specs<T>>>,
    id: &str,
    draw: impl FnOnce(&Specs<T>) -> D,
) -> D {
    let Some(list) = list else {
        return D::default();
    };
    if let Some(known) = kept.get(id).filter(|known| Arc::ptr_eq(&known.list, list)) {
        return known.drawn.clone();
    }
    let (list, drawn) = (Arc::clone(list), draw(list));
    let own = drawn.clone();
    kept.insert(id.to_owned(), Of { list, drawn });
    own
}

fn ways(list: &Specs<RemotePort>, here: IpAddr) -> Ways {
    let (mut forwards, mut neighbours) = (BTreeSet::new(), BTreeSet::new());
    let mut elsewhere = BTreeSet::new();
    // A port that is here, or on its way here, is no way to elsewhere.
    for remote in list.values().filter(|remote| remote.vtep != here) {
        let Some(mac) = Mac::parse(&remote.mac) else {
            continue;
        };
        let to = Some(remote.vtep);
        let ways = [(Mac::EVERYBODY, to), (mac, to), (mac, None)];
        forwards.extend(ways.map(|(mac, host)| Forward { mac, host }));
        neighbours.extend(remote.ips.iter().map(|ip| Neighbour { ip: *ip, mac }));
        elsewhere.insert(mac);
    }
    Ways {
        forwards: Arc::new(forwards),
        neighbours: Arc::new(neighbours),
        elsewhere: Arc::new(elsewhere),
    }
}

fn members(list: &Specs<MemberSpec>) -> Members {
    let ips = list.values().flat_map(|member| &member.ips);
    let (v4, v6): (BTreeSet<IpAddr>, BTreeSet<IpAddr>) = ips.partition(|ip| ip.is_ipv4());
    let elements = |ips: BTreeSet<IpAddr>| {
        let elements = ips.iter().map(|ip| (ip.to_string(), String::new()));
        Arc::new(elements.collect())
    };
    Members {
        v4: elements(v4),
        v6: elements(v6),
    }
}
