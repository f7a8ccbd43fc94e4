//! The feed's documents, read.

use std::collections::BTreeMap;
use std::sync::Arc;

use nephos_peer::feed::Desired;
use nephos_peer::items::{Items, Shelf};
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
    /// Where networks' ports are, by network.
    pub remote: Lists<RemotePort>,
    /// Who is in groups, by group.
    pub members: Lists<MemberSpec>,
    /// The generation of each.
    pub generations: BTreeMap<Owner, i64>,
    /// Documents that cannot be read, with the reason. While there are any, nothing goes.
    pub unreadable: BTreeMap<Owner, String>,
    /// What they were read from.
    pub source: Desired,
}

/// Documents of one kind by id.
pub type Specs<T> = BTreeMap<String, T>;

/// The entries of lists, by the id that the list goes with. One that did not change stays where it is in memory.
pub type Lists<T> = BTreeMap<String, Arc<Specs<T>>>;

impl Documents {
    /// Reads all documents.
    pub fn read(desired: &Desired) -> Self {
        Self::default().follow(desired)
    }

    /// Reads the documents that are not those that these were read from.
    pub fn follow(self, desired: &Desired) -> Self {
        let mut before = self;
        let mut reading = Reading {
            old: before.source.items,
            new: &desired.items,
            unreadable: before.unreadable,
        };
        let mut read = Self {
            complete: desired.complete,
            networks: reading.specs(KIND_NETWORK, before.networks),
            ports: reading.specs(KIND_PORT, before.ports),
            groups: reading.specs(KIND_SECURITY_GROUP, before.groups),
            routers: reading.specs(KIND_ROUTER, before.routers),
            remote: reading.lists(KIND_REMOTE_PORT, &mut before.remote),
            members: reading.lists(KIND_MEMBER, &mut before.members),
            unreadable: reading.unreadable,
            source: desired.clone(),
            generations: BTreeMap::new(),
        };
        // Of entries hosts tell nothing: they are part of the document that their list goes with.
        for kind in [KIND_NETWORK, KIND_PORT, KIND_SECURITY_GROUP, KIND_ROUTER] {
            let items = desired.items.of(kind).flat_map(|(_, shelf)| shelf.iter());
            let generations = items.map(|(id, item)| (Owner::new(kind, id), item.generation));
            read.generations.extend(generations);
        }
        read
    }

    /// Whether what is not wanted may go.
    pub fn may_remove(&self) -> bool {
        self.complete && self.unreadable.is_empty()
    }
}

/// What was read from, and what is read.
struct Reading<'a> {
    old: Items,
    new: &'a Items,
    unreadable: BTreeMap<Owner, String>,
}

impl Reading<'_> {
    fn specs<T: DeserializeOwned>(&mut self, kind: &'static str, mut specs: Specs<T>) -> Specs<T> {
        let (old, new) = (self.old.clone(), self.new);
        self.follow(
            kind,
            (in_list(&old, kind, ""), in_list(new, kind, "")),
            &mut specs,
        );
        specs
    }

    fn lists<T>(&mut self, kind: &'static str, before: &mut Lists<T>) -> Lists<T>
    where
        T: DeserializeOwned + Clone,
    {
        let (old, new) = (self.old.clone(), self.new);
        let mut lists = Lists::new();
        for (list, shelf) in new.of(kind) {
            let mut entries = before.remove(list).unwrap_or_default();
            let was = in_list(&old, kind, list);
            if was.is_none_or(|was| !Arc::ptr_eq(was, shelf)) {
                self.follow(kind, (was, Some(shelf)), Arc::make_mut(&mut entries));
            }
            lists.insert(list.to_owned(), entries);
        }
        // Of lists that are gone nothing is unreadable any more.
        let gone = |owner: &Owner| owner.kind == kind && new.get(kind, &owner.id).is_none();
        self.unreadable.retain(|owner, _| !gone(owner));
        lists
    }

    /// Reads what of one shelf is not as it was.
    fn follow<T: DeserializeOwned>(
        &mut self,
        kind: &'static str,
        (old, new): (Option<&Shelf>, Option<&Shelf>),
        specs: &mut Specs<T>,
    ) {
        let nothing = Shelf::default();
        let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
        for id in old.keys().filter(|id| !new.contains_key(*id)) {
            specs.remove(name(id));
            self.unreadable.remove(&Owner::new(kind, id));
        }
        for (id, item) in new.iter() {
            if old.get(id).is_some_and(|was| Arc::ptr_eq(was, item)) {
                continue;
            }
            let owner = Owner::new(kind, id);
            specs.remove(name(id));
            match item.spec.as_ref().map(T::deserialize) {
                Some(Ok(spec)) => {
                    specs.insert(name(id).to_owned(), spec);
                    self.unreadable.remove(&owner);
                }
                Some(Err(why)) => {
                    let why = format!("its document cannot be read: {why}");
                    self.unreadable.insert(owner, why);
                }
                None => _ = self.unreadable.remove(&owner),
            }
        }
    }
}

/// The name of an entry in its list; anything else is named by its id.
fn name(id: &str) -> &str {
    id.split_once('/').map_or(id, |(_, entry)| entry)
}

fn in_list<'a>(items: &'a Items, kind: &'a str, list: &str) -> Option<&'a Shelf> {
    let mut shelves = items.of(kind);
    shelves
        .find(|(name, _)| *name == list)
        .map(|(_, shelf)| shelf)
}

#[cfg(test)]
mod tests {
    use nephos_types::feed::{FeedItem, FeedPage};
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

    fn desired(items: Vec<FeedItem>) -> Desired {
        Desired::of(FeedPage {
            complete: true,
            items,
            ..FeedPage::default()
        })
    }

    fn remote(ip: &str) -> Value {
        json!({"mac": "fa:16:3e:00:00:01", "ips": [ip], "vtep": "192.0.2.2"})
    }

    #[test]
    fn of_entries_nothing_is_told() {
        let network = json!({"id": "n", "segment": {"type": "vxlan", "vni": 1}, "mtu": 1450});
        let group = json!({"id": "g", "stateful": true});
        let desired = desired(vec![
            item(KIND_NETWORK, "n", network),
            item(KIND_SECURITY_GROUP, "g", group),
            item(KIND_REMOTE_PORT, "n/p", remote("10.0.0.5")),
            item(KIND_REMOTE_PORT, "unknown/p", remote("10.0.0.5")),
            item(KIND_MEMBER, "g/p", json!({"ips": ["10.0.0.5"]})),
        ]);
        let once = Documents::read(&desired);
        let again = once.clone().follow(&desired);
        for read in [once, again] {
            assert_eq!(read.remote["n"].len(), 1);
            assert_eq!(read.members["g"].len(), 1);
            let told: Vec<&str> = read.generations.keys().map(|owner| owner.kind).collect();
            assert_eq!(told, [KIND_NETWORK, KIND_SECURITY_GROUP]);
        }
    }

    #[test]
    fn only_lists_that_changed_are_read_again() {
        let mut told = desired(vec![
            item(KIND_REMOTE_PORT, "n/p", remote("10.0.0.5")),
            item(KIND_REMOTE_PORT, "o/p", remote("10.0.0.5")),
        ]);
        let before = Documents::read(&told);
        let new = item(KIND_REMOTE_PORT, "n/q", remote("10.0.0.6"));
        told.items.insert(Arc::new(new));
        told.items
            .insert(Arc::new(item(KIND_REMOTE_PORT, "n/p", remote("10.0.0.7"))));
        let after = before.clone().follow(&told);
        assert!(Arc::ptr_eq(&before.remote["o"], &after.remote["o"]));
        let ips: Vec<_> = after.remote["n"]
            .values()
            .flat_map(|port| &port.ips)
            .collect();
        assert_eq!(format!("{ips:?}"), "[10.0.0.7, 10.0.0.6]");
        told.items.remove(KIND_REMOTE_PORT, "n/p");
        told.items.remove(KIND_REMOTE_PORT, "o/p");
        let after = after.follow(&told);
        assert_eq!(after.remote["n"].keys().collect::<Vec<_>>(), ["q"]);
        assert_eq!(after.remote.len(), 1);
    }

    #[test]
    fn nothing_goes_while_something_cannot_be_read_whatever_else_changes() {
        let mut told = desired(vec![
            item(KIND_PORT, "p", json!("nonsense")),
            item(KIND_REMOTE_PORT, "n/p", json!("nonsense")),
        ]);
        let mut read = Documents::read(&told);
        told.items
            .insert(Arc::new(item(KIND_REMOTE_PORT, "n/q", remote("10.0.0.6"))));
        read = read.follow(&told);
        assert_eq!(read.unreadable.len(), 2);
        assert!(!read.may_remove());
        told.items
            .insert(Arc::new(item(KIND_REMOTE_PORT, "n/p", remote("10.0.0.6"))));
        told.items.remove(KIND_PORT, "p");
        assert!(read.clone().follow(&told).may_remove());
        told.items.remove(KIND_REMOTE_PORT, "n/q");
        told.items.remove(KIND_REMOTE_PORT, "n/p");
        assert!(read.follow(&told).may_remove(), "its list is gone");
    }
}
