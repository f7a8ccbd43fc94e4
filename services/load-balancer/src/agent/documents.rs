//! The feed's documents, read.

use std::collections::BTreeMap;
use std::sync::Arc;

use nephos_peer::feed::Desired;
use nephos_types::feed::FeedItem;
use serde::Deserialize as _;

use crate::model::spec::{KIND_LOAD_BALANCER, LoadBalancerSpec};

/// Everything that is wanted on this host.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// Whether the control plane said so to this process: then what is not wanted may go.
    pub complete: bool,
    /// By id.
    pub all: BTreeMap<String, Document>,
}

/// One load balancer.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its generation.
    pub generation: i64,
    /// What it should be, or why that cannot be read.
    pub spec: Result<Arc<LoadBalancerSpec>, String>,
}

impl Documents {
    /// Reads the documents that these are not.
    pub fn follow(mut self, desired: &Desired) -> Self {
        let mut all = BTreeMap::new();
        let items = desired.items.values();
        for item in items.filter(|item| item.kind == KIND_LOAD_BALANCER) {
            let known = self.all.remove(&item.id);
            let known = known.filter(|known| known.generation == item.generation);
            let document = known.unwrap_or_else(|| Document {
                generation: item.generation,
                spec: read(item),
            });
            all.insert(item.id.clone(), document);
        }
        let complete = desired.complete;
        Self { complete, all }
    }

    /// Whether a load balancer that is here may go.
    pub fn may_remove(&self, id: &str) -> bool {
        self.complete && !self.all.contains_key(id)
    }
}

/// The load balancers that are wanted.
pub fn ids(desired: &Desired) -> impl Iterator<Item = String> + '_ {
    let items = desired.items.values();
    let items = items.filter(|item| item.kind == KIND_LOAD_BALANCER);
    items.map(|item| item.id.clone())
}

fn read(item: &FeedItem) -> Result<Arc<LoadBalancerSpec>, String> {
    let spec = item.spec.as_ref().ok_or("it has no document")?;
    let spec = LoadBalancerSpec::deserialize(spec);
    let spec = spec.map_err(|why| {
        format!("its document cannot be read; is this agent older than the load-balancing service? ({why})")
    })?;
    // What stands on the host is named by the document, and is removed by the feed's word.
    if spec.id != item.id {
        return Err(format!("its document is of load balancer {}", spec.id));
    }
    Ok(Arc::new(spec))
}
