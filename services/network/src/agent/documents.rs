//! The feed's documents, read.

use std::collections::BTreeMap;
use std::sync::Arc;

use nephos_peer::feed::Desired;
use nephos_types::feed::FeedItem;
use serde::de::DeserializeOwned;

use crate::model::spec::{
    KIND_MEMBER, KIND_NETWORK, KIND_PORT, KIND_REMOTE_PORT, KIND_ROUTER, KIND_SECURITY_GROUP,
    MemberSpec, NetworkSpec, PortSpec, RemotePort, RouterSpec, SecurityGroupSpec,
};

/// A thing of the feed: its kind and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The feed's word.
    pub kind: &'static str,
    /// The id.
    pub id: String,
}

impl Owner {
    pub fn new(kind: &'static str, id: impl Into<String>) -> Self {
        let id = id.into();
        Self { kind, id }
    }
}

/// Everything that is wanted on this host.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// Whether the control plane said so to this process: then what is not wanted may go.
    pub complete: bool,
    pub networks: Specs<NetworkSpec>,
    pub ports: Specs<PortSpec>,
    pub groups: Specs<SecurityGroupSpec>,
    pub routers: Specs<RouterSpec>,
    /// Entries of networks' lists, by network and port; what they say is in `networks` too.
    pub remote: Specs<RemotePort>,
    /// Entries of groups' lists, by group and port; what they say is in `groups` too.
    pub members: Specs<MemberSpec>,
    /// The generation of each.
    pub generations: BTreeMap<Owner, i64>,
    /// Documents that cannot be read, with the reason. While there are any, nothing goes.
    pub unreadable: BTreeMap<Owner, String>,
    /// What they were read from.
    pub source: Desired,
}

const KINDS: [&str; 6] = [
    KIND_NETWORK,
    KIND_PORT,
    KIND_SECURITY_GROUP,
    KIND_ROUTER,
    KIND_REMOTE_PORT,
    KIND_MEMBER,
];

/// Documents of one kind by id.
type Specs<T> = BTreeMap<String, T>;

impl Documents {
    /// Reads all documents.
    pub fn read(desired: &Desired) -> Self {
        Self::default().follow(desired)
    }

    /// Reads the documents that are not those that these were read from.
    pub fn follow(self, desired: &Desired) -> Self {
        let mut before = self;
        let mut read = Self {
            complete: desired.complete,
            source: desired.clone(),
            ..Self::default()
        };
        for (key, item) in desired.items.iter() {
            let Some(kind) = KINDS.into_iter().find(|known| *known == item.kind) else {
                continue; // of a newer release
            };
            let same = |there: &Arc<FeedItem>| Arc::ptr_eq(there, item);
            let same = before.source.items.get(key).is_some_and(same);
            let kept = match kind {
                KIND_NETWORK => keep(&mut read.networks, &mut before.networks, item, same),
                KIND_PORT => keep(&mut read.ports, &mut before.ports, item, same),
                KIND_ROUTER => keep(&mut read.routers, &mut before.routers, item, same),
                KIND_REMOTE_PORT => keep(&mut read.remote, &mut before.remote, item, same),
                KIND_MEMBER => keep(&mut read.members, &mut before.members, item, same),
                _security_group => keep(&mut read.groups, &mut before.groups, item, same),
            };
            let owner = Owner::new(kind, &item.id);
            if let Err(why) = kept {
                read.unreadable.insert(owner.clone(), why);
            }
            // Of entries hosts tell nothing: they are part of the document that their list goes with.
            if ![KIND_REMOTE_PORT, KIND_MEMBER].contains(&kind) {
                read.generations.insert(owner, item.generation);
            }
        }
        read.fill();
        read
    }

    /// Gives networks and groups what the entries of their lists say.
    fn fill(&mut self) {
        let (networks, groups) = (&mut self.networks, &mut self.groups);
        networks
            .values_mut()
            .for_each(|network| network.remote.clear());
        groups.values_mut().for_each(|group| group.members.clear());
        let list = |id: &'_ str| id.split_once('/').map(|(list, _)| list.to_owned());
        for (id, port) in &self.remote {
            if let Some(network) = list(id).and_then(|list| networks.get_mut(&list)) {
                network.remote.push(port.clone());
            }
        }
        for (id, member) in &self.members {
            if let Some(group) = list(id).and_then(|list| groups.get_mut(&list)) {
                group.members.extend(&member.ips);
            }
        }
    }

    /// Whether what is not wanted may go.
    pub fn may_remove(&self) -> bool {
        self.complete && self.unreadable.is_empty()
    }
}

fn keep<T: DeserializeOwned>(
    into: &mut Specs<T>,
    before: &mut Specs<T>,
    item: &FeedItem,
    same: bool,
) -> Result<(), String> {
    let read = before.remove(&item.id).filter(|_| same);
    let spec = match (read, &item.spec) {
        (Some(read), _) => read,
        (None, Some(spec)) => {
            T::deserialize(spec).map_err(|why| format!("its document cannot be read: {why}"))?
        }
        (None, None) => return Ok(()),
    };
    into.insert(item.id.clone(), spec);
    Ok(())
}

#[cfg(test)]
mod tests {
    use nephos_types::feed::FeedPage;
    use serde_json::{Value, json};

    use super::*;

    fn item(kind: &str, id: &str, spec: Value) -> FeedItem {
        FeedItem {
            kind: kind.to_owned(),
            id: id.to_owned(),
            generation: 1,
            spec: Some(spec),
            request_id: None,
        }
    }

    #[test]
    fn entries_are_part_of_the_document_that_their_list_goes_with_and_nothing_is_told_of_them() {
        let network = json!({"id": "n", "segment": {"type": "vxlan", "vni": 1}, "mtu": 1450});
        let group = json!({"id": "g", "stateful": true});
        let port = json!({"mac": "fa:16:3e:00:00:01", "ips": ["10.0.0.5"], "vtep": "192.0.2.2"});
        let desired = Desired::of(FeedPage {
            complete: true,
            items: vec![
                item(KIND_NETWORK, "n", network),
                item(KIND_SECURITY_GROUP, "g", group),
                item(KIND_REMOTE_PORT, "n/p", port.clone()),
                item(KIND_REMOTE_PORT, "unknown/p", port),
                item(KIND_MEMBER, "g/p", json!({"ips": ["10.0.0.5"]})),
            ],
            ..FeedPage::default()
        });
        let once = Documents::read(&desired);
        let again = once.clone().follow(&desired);
        for read in [once, again] {
            assert_eq!(read.networks["n"].remote.len(), 1);
            assert_eq!(read.groups["g"].members.len(), 1);
            let told: Vec<&str> = read.generations.keys().map(|owner| owner.kind).collect();
            assert_eq!(told, [KIND_NETWORK, KIND_SECURITY_GROUP]);
        }
    }
}
