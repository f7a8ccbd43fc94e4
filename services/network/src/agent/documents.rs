//! The feed's documents, read.

use std::collections::BTreeMap;

use nephos_peer::feed::Desired;
use serde::de::DeserializeOwned;

use crate::model::spec::{
    KIND_NETWORK, KIND_PORT, KIND_ROUTER, KIND_SECURITY_GROUP, NetworkSpec, PortSpec, RouterSpec,
    SecurityGroupSpec,
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
    pub networks: BTreeMap<String, NetworkSpec>,
    pub ports: BTreeMap<String, PortSpec>,
    pub groups: BTreeMap<String, SecurityGroupSpec>,
    pub routers: BTreeMap<String, RouterSpec>,
    /// The generation of each.
    pub generations: BTreeMap<Owner, i64>,
    /// Documents that cannot be read, with the reason. While there are any, nothing goes.
    pub unreadable: BTreeMap<Owner, String>,
}

impl Documents {
    /// Reads all documents.
    pub fn read(desired: &Desired) -> Self {
        let mut read = Self {
            complete: desired.complete,
            ..Self::default()
        };
        for ((kind, id), item) in &desired.items {
            let Some(spec) = &item.spec else { continue };
            let known = [KIND_NETWORK, KIND_PORT, KIND_SECURITY_GROUP, KIND_ROUTER];
            let Some(kind) = known.into_iter().find(|known| known == kind) else {
                continue; // of a newer release
            };
            let owner = Owner::new(kind, id);
            read.generations.insert(owner.clone(), item.generation);
            let kept = match kind {
                KIND_NETWORK => keep(&mut read.networks, id, spec),
                KIND_PORT => keep(&mut read.ports, id, spec),
                KIND_ROUTER => keep(&mut read.routers, id, spec),
                _security_group => keep(&mut read.groups, id, spec),
            };
            if let Err(why) = kept {
                read.unreadable.insert(owner, why);
            }
        }
        read
    }

    /// Whether what is not wanted may go.
    pub fn may_remove(&self) -> bool {
        self.complete && self.unreadable.is_empty()
    }
}

fn keep<T: DeserializeOwned>(
    into: &mut BTreeMap<String, T>,
    id: &str,
    spec: &serde_json::Value,
) -> Result<(), String> {
    let spec = T::deserialize(spec).map_err(|why| format!("its document cannot be read: {why}"))?;
    into.insert(id.to_owned(), spec);
    Ok(())
}
