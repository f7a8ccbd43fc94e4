//! Where each sibling is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use nephos_api::Dispatch;
use reqwest::Certificate;

/// How to reach one service.
#[derive(Clone)]
pub enum Transport {
    /// In this process.
    Local(Arc<dyn Dispatch>),
    /// Over HTTP.
    Http(Arc<Replicas>),
}

/// The copies of a service, each by the URL of its prefix: `http://127.0.0.1:8774/compute`. One is used until it does
/// not take connections any more; then the next.
#[derive(Debug)]
pub struct Replicas {
    urls: Vec<String>,
    current: AtomicUsize,
}

impl Replicas {
    /// Copies at these URLs.
    #[must_use]
    pub fn new(urls: Vec<String>) -> Self {
        Self {
            urls,
            current: AtomicUsize::new(0),
        }
    }

    /// All of them, the one in use first.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = (usize, &String)> {
        let first = self.current.load(Ordering::Relaxed) % self.urls.len().max(1);
        let numbered = || self.urls.iter().enumerate();
        numbered().skip(first).chain(numbered().take(first))
    }

    /// Uses this one from now on.
    pub(crate) fn prefer(&self, number: usize) {
        self.current.store(number, Ordering::Relaxed);
    }
}

/// The services this process knows. Cheap to clone; filled once the services are built, because they know each other.
#[derive(Clone, Default)]
pub struct Directory {
    known: Arc<ArcSwap<HashMap<&'static str, Transport>>>,
    /// The authorities whose certificates are believed instead of the machine's.
    roots: Option<Arc<[Certificate]>>,
}

impl Directory {
    /// Over TLS believes the authorities of this PEM text, and no others.
    ///
    /// # Errors
    /// When it holds no certificate.
    pub fn trusting(mut self, pem: &[u8]) -> Result<Self, String> {
        let roots = Certificate::from_pem_bundle(pem).map_err(|why| why.to_string())?;
        if roots.is_empty() {
            return Err("there is no certificate in it".to_owned());
        }
        self.roots = Some(roots.into());
        Ok(self)
    }

    pub(crate) fn roots(&self) -> Option<&[Certificate]> {
        self.roots.as_deref()
    }

    /// Says where `service` is.
    pub fn set(&self, service: &'static str, transport: Transport) {
        self.known.rcu(|known| {
            let mut next = HashMap::clone(known);
            next.insert(service, transport.clone());
            next
        });
    }

    /// Where `service` is.
    #[must_use]
    pub fn find(&self, service: &str) -> Option<Transport> {
        self.known.load().get(service).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_comes_once_and_the_preferred_one_first() {
        let replicas = Replicas::new(["a", "b", "c"].map(str::to_owned).into());
        let order = || -> Vec<String> { replicas.in_turn().map(|(_, url)| url.clone()).collect() };
        assert_eq!(order(), ["a", "b", "c"]);
        replicas.prefer(2);
        assert_eq!(order(), ["c", "a", "b"]);
        assert_eq!(Replicas::new(Vec::new()).in_turn().count(), 0);
    }
}
