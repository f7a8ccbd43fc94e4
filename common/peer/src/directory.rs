//! Where each sibling is.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use nephos_api::Dispatch;

/// How to reach one service.
#[derive(Clone)]
pub enum Transport {
    /// In this process.
    Local(Arc<dyn Dispatch>),
    /// Over HTTP; the URL of its prefix: `http://127.0.0.1:8774/compute`.
    Http(String),
}

/// The services this process knows. Cheap to clone; filled once the services are built, because they know each other.
#[derive(Clone, Default)]
pub struct Directory(Arc<ArcSwap<HashMap<&'static str, Transport>>>);

impl Directory {
    /// Says where `service` is.
    pub fn set(&self, service: &'static str, transport: Transport) {
        self.0.rcu(|known| {
            let mut next = HashMap::clone(known);
            next.insert(service, transport.clone());
            next
        });
    }

    /// Where `service` is.
    #[must_use]
    pub fn find(&self, service: &str) -> Option<Transport> {
        self.0.load().get(service).cloned()
    }
}
