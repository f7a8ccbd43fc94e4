//! The agent's half of a host feed: pull the whole wanted state, keep it on disk, report what is seen.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nephos_types::feed::{FeedItem, FeedPage, Observed};
use serde::{Deserialize, Serialize};

use crate::{PeerError, Peers, disk};

/// How long the service may hold a question back until there is news, less each host's phase.
const WAIT_SECS: u64 = 25;
/// After an error the service is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The document goes to disk at most this often: each time costs a write of all of it and the disk's own time. So the
/// file may lack what came last, which the first answer of the service brings, and hold what has gone since: nothing is
/// made anew by its word.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// Everything wanted on a host, as far as the agent knows. Cheap to clone: items are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// The revision this is.
    pub revision: i64,
    /// Whether a complete document was received since the agent started. Until then nothing may be removed for being absent.
    pub complete: bool,
    /// The wanted things by kind and id; what is gone is not in it.
    pub items: BTreeMap<(String, String), Arc<FeedItem>>,
}

impl Desired {
    /// What one page says.
    #[must_use]
    pub fn of(page: FeedPage) -> Self {
        let mut desired = Self::default();
        desired.merge(page);
        desired
    }

    fn merge(&mut self, page: FeedPage) {
        if page.complete {
            self.items.clear();
            self.complete = true;
        }
        for item in page.items {
            let (key, item) = keyed(Arc::new(item));
            match item.spec {
                Some(_) => self.items.insert(key, item),
                None => self.items.remove(&key),
            };
        }
        self.revision = page.revision;
    }
}

/// Pulls one service's feed for one host.
#[derive(Debug)]
pub struct FeedClient {
    peers: Peers,
    service: &'static str,
    host: String,
    file: PathBuf,
    desired: Desired,
    /// Whether the file lacks something.
    unkept: bool,
    /// When the file was written, by the monotonic clock.
    kept_at: Option<Duration>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    host: String,
    revision: i64,
    items: Vec<Arc<FeedItem>>,
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
            unkept: false,
            kept_at: None,
        }
    }

    /// The document of the last run. It is never complete: what it lacks may have come since.
    #[must_use]
    pub fn cached(&self) -> Option<Desired> {
        disk::sweep(&self.file);
        let kept: Kept = serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()?;
        (kept.host == self.host).then(|| Desired {
            revision: kept.revision,
            complete: false,
            items: kept.items.into_iter().map(keyed).collect(),
        })
    }

    /// Gives every change of the document to `take`, for ever. After an error the service is asked again.
    pub async fn follow(mut self, mut take: impl FnMut(Desired)) {
        let wait_secs = WAIT_SECS.saturating_sub(u64::from(self.phase()));
        loop {
            match self.next(wait_secs).await {
                Ok(desired) => take(desired),
                Err(why) => {
                    let (host, service) = (&self.host, self.service);
                    tracing::warn!(host, service, %why, "cannot read what is wanted here; asking again");
                    self.peers.clock().sleep(ASK_AGAIN).await;
                }
            }
        }
    }

    /// 0 to 9, by the host's name: a thousand hosts in one process must not beat in step.
    #[must_use]
    pub fn phase(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        self.host.hash(&mut hasher);
        u32::try_from(hasher.finish() % 10).unwrap_or(0)
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
        let wait = match (self.desired.complete, self.unkept) {
            (false, _) => 0,
            (true, true) => wait_secs.min(KEEP_EVERY.as_secs()),
            (true, false) => wait_secs,
        };
        let target = format!("/host/v1/feed?host={}&since={since}&wait={wait}", self.host);
        let page: FeedPage = self
            .peers
            .get(self.service, target)
            .as_service()
            .send()
            .await?
            .json()?;
        self.unkept |= page.complete || !page.items.is_empty();
        self.desired.merge(page);
        self.keep().await;
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

    /// Writes the document to disk, if it is time, on a thread that may wait for the disk.
    async fn keep(&mut self) {
        let now = self.peers.clock().monotonic();
        let early = |at: Duration| now.saturating_sub(at) < KEEP_EVERY;
        if !self.unkept || self.file.as_os_str().is_empty() || self.kept_at.is_some_and(early) {
            return;
        }
        let kept = Kept {
            host: self.host.clone(),
            revision: self.desired.revision,
            items: self.desired.items.values().cloned().collect(),
        };
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || {
            // The document holds user data and keys: nobody else may read it.
            disk::replace(&file, &serde_json::to_vec(&kept)?)
        })
        .await;
        if let Err(why) = written.unwrap_or_else(|why| Err(std::io::Error::other(why))) {
            tracing::warn!(%why, file = %self.file.display(), "cannot keep the feed on disk");
        }
        self.unkept = false;
        self.kept_at = Some(now);
    }
}

fn keyed(item: Arc<FeedItem>) -> ((String, String), Arc<FeedItem>) {
    ((item.kind.clone(), item.id.clone()), item)
}
