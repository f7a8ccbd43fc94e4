//! The agent's half of a host feed: pull the whole wanted state, keep it on disk, report what is seen.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nephos_types::feed::{FeedItem, FeedPage, Observed};
use serde::{Deserialize, Serialize};

use crate::{PeerError, Peers, disk};

/// Everything wanted on a host, as far as the agent knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// The revision this is.
    pub revision: i64,
    /// Whether a complete document was received since the agent started. Until then nothing may be removed for being absent.
    pub complete: bool,
    /// The wanted things by kind and id; what is gone is not in it.
    pub items: BTreeMap<(String, String), FeedItem>,
}

/// Pulls one service's feed for one host.
#[derive(Debug)]
pub struct FeedClient {
    peers: Peers,
    service: &'static str,
    host: String,
    file: PathBuf,
    desired: Desired,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    host: String,
    revision: i64,
    items: Vec<FeedItem>,
}

impl FeedClient {
    /// A client for `host`; `file` keeps the last document, so that guests come back while the service is away. An empty
    /// path keeps nothing.
    #[must_use]
    pub fn new(
        peers: Peers,
        service: &'static str,
        host: impl Into<String>,
        file: impl Into<PathBuf>,
    ) -> Self {
        let (host, file) = (host.into(), file.into());
        Self {
            peers,
            service,
            host,
            file,
            desired: Desired::default(),
        }
    }

    /// The document of the last run. It is never complete: what it lacks may have come since.
    #[must_use]
    pub fn cached(&self) -> Option<Desired> {
        let kept: Kept = serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()?;
        (kept.host == self.host).then(|| Desired {
            revision: kept.revision,
            complete: false,
            items: kept.items.into_iter().map(keyed).collect(),
        })
    }

    /// Waits up to `wait_secs` for a change and gives the whole document. The first call asks for everything.
    ///
    /// # Errors
    /// When the service does not answer; what was known stays known.
    pub async fn next(&mut self, wait_secs: u64) -> Result<Desired, PeerError> {
        let since = if self.desired.complete {
            self.desired.revision
        } else {
            0
        };
        let wait = if self.desired.complete { wait_secs } else { 0 };
        let target = format!("/host/v1/feed?host={}&since={since}&wait={wait}", self.host);
        let page: FeedPage = self
            .peers
            .get(self.service, target)
            .as_service()
            .send()
            .await?
            .json()?;
        self.merge(page);
        Ok(self.desired.clone())
    }

    /// Tells the service what the host has seen.
    ///
    /// # Errors
    /// When the service does not answer; the agent reports again at its next look.
    pub async fn report(&self, observed: &[Observed]) -> Result<(), PeerError> {
        let target = format!("/host/v1/observed?host={}", self.host);
        self.peers
            .put(self.service, target)
            .json(&observed)
            .as_service()
            .send()
            .await?;
        Ok(())
    }

    fn merge(&mut self, page: FeedPage) {
        let changed = page.complete || !page.items.is_empty();
        if page.complete {
            self.desired.items.clear();
            self.desired.complete = true;
        }
        for item in page.items {
            let (key, item) = keyed(item);
            match item.spec {
                Some(_) => self.desired.items.insert(key, item),
                None => self.desired.items.remove(&key),
            };
        }
        self.desired.revision = page.revision;
        if changed && let Err(why) = self.keep() {
            tracing::warn!(%why, file = %self.file.display(), "cannot keep the feed on disk");
        }
    }

    fn keep(&self) -> std::io::Result<()> {
        if self.file.as_os_str().is_empty() {
            return Ok(());
        }
        let items = self.desired.items.values().cloned().collect();
        let kept = Kept {
            host: self.host.clone(),
            revision: self.desired.revision,
            items,
        };
        // The document holds user data and keys: nobody else may read it.
        disk::replace(&self.file, &serde_json::to_vec(&kept)?)
    }
}

fn keyed(item: FeedItem) -> ((String, String), FeedItem) {
    ((item.kind.clone(), item.id.clone()), item)
}
