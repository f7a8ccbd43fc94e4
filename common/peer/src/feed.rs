//! The agent's half of a host feed: pull the whole wanted state, keep it on disk, report what is seen.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nephos_runtime::boot;
use nephos_types::RequestId;
use nephos_types::feed::{FeedItem, FeedPage, Observed};
use serde::{Deserialize, Serialize};

use crate::items::Items;
use crate::{PeerError, Peers, disk};

/// How long the service may hold a question back until there is news, less each host's phase.
const WAIT_SECS: u64 = 25;
/// After an error the service is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The document goes to disk at most this often: each time costs a write of all of it and the disk's own time. So the
/// file may lack what came last, which the first answer of the service brings, and hold what has gone since: nothing is
/// made anew by its word.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// Everything wanted on a host, as far as the agent knows. Cheap to clone: all of it is shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// The revision this is.
    pub revision: i64,
    /// The revision of the lists that many hosts read.
    pub lists: i64,
    /// Whether a complete document was received since the agent started. Until then nothing may be removed for being absent.
    pub complete: bool,
    /// The wanted things; what is gone is not in it.
    pub items: Items,
}

impl Desired {
    /// What one page says.
    #[must_use]
    pub fn of(page: FeedPage) -> Self {
        let mut desired = Self::default();
        desired.merge(page);
        desired
    }

    /// What of a page is new; of nothing is it known before the first whole document. After a long absence there is one
    /// again, and most in it was carried out long ago.
    fn news<'a>(&'a self, page: &'a FeedPage) -> impl Iterator<Item = &'a FeedItem> {
        let items = page.items.iter().filter(|_| self.complete);
        items.filter(|item| {
            let known = self.items.get(&item.kind, &item.id);
            !page.complete || known.is_none_or(|known| **known != **item)
        })
    }

    fn merge(&mut self, page: FeedPage) {
        if page.complete {
            self.items = Items::default();
            self.complete = true;
        }
        let mut gone = HashSet::new();
        for item in page.items {
            if item.spec.is_some() {
                self.items.insert(Arc::new(item));
            } else {
                self.items.remove(&item.kind, &item.id);
                gone.insert(item.id);
            }
        }
        if !gone.is_empty() {
            // With a thing goes the list that went with it.
            self.items.remove_lists(&gone);
        }
        (self.revision, self.lists) = (page.revision, page.lists);
    }
}

/// Things of which it is remembered at once on whose behalf they are wanted.
const WISHES: usize = 10_000;
/// When there are too many, those that are older go.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// On whose behalf things are wanted on a host, from when they come until the host has carried them out. Cheap to clone;
/// all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Behalf(Arc<Mutex<BTreeMap<(String, String), Wish>>>);

#[derive(Debug)]
struct Wish {
    generation: i64,
    request_id: RequestId,
    /// When it came, by the monotonic clock.
    at: Duration,
}

/// What a host made of a thing that is wanted on it.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// As in the feed.
    pub kind: &'a str,
    /// As in the feed.
    pub id: &'a str,
    /// Which generation; none: whichever it was, it is gone.
    pub generation: Option<i64>,
    /// What it is now.
    pub state: &'a str,
    /// Why it is not as it is wanted.
    pub failed: Option<&'a str>,
}

impl Behalf {
    /// The request on whose behalf a thing is wanted as it is.
    #[must_use]
    pub fn of(&self, kind: &str, id: &str) -> Option<RequestId> {
        let key = (kind.to_owned(), id.to_owned());
        let wishes = self.wishes();
        wishes.get(&key).map(|wish| wish.request_id.clone())
    }

    fn want<'a>(&self, items: impl IntoIterator<Item = &'a FeedItem>, now: Duration) {
        let mut wishes = self.wishes();
        let mut swept = false;
        for item in items {
            if wishes.len() >= WISHES && !swept {
                // Of some things hosts never tell what they made of them.
                wishes.retain(|_, wish| now.saturating_sub(wish.at) < FORGOTTEN);
                swept = true;
            }
            let key = (item.kind.clone(), item.id.clone());
            match &item.request_id {
                Some(request_id) if wishes.len() < WISHES => {
                    let wish = Wish {
                        generation: item.generation,
                        request_id: request_id.clone(),
                        at: now,
                    };
                    wishes.insert(key, wish);
                }
                _nobodys_or_too_many => {
                    wishes.remove(&key);
                }
            }
        }
    }

    fn take(&self, made: Made<'_>) -> Option<Wish> {
        let key = (made.kind.to_owned(), made.id.to_owned());
        let mut wishes = self.wishes();
        let wish = wishes.get(&key)?;
        let seen = made.generation;
        if seen.is_none_or(|seen| seen >= wish.generation) {
            wishes.remove(&key)
        } else {
            None
        }
    }

    fn wishes(&self) -> MutexGuard<'_, BTreeMap<(String, String), Wish>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The document that a host kept of the last run, if there is one in this file.
#[must_use]
pub fn cached(file: &Path, host: &str) -> Option<Cached> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let boot = boot::id();
    (kept.host == host).then(|| Cached {
        of_this_boot: !boot.is_empty() && kept.boot == boot,
        desired: Desired {
            revision: kept.revision,
            lists: kept.lists,
            complete: false,
            items: kept.items.into_iter().collect(),
        },
    })
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
    behalf: Behalf,
}

/// The document of the last run.
#[derive(Clone, Debug)]
pub struct Cached {
    /// What it says. It is never complete: what it lacks may have come since.
    pub desired: Desired,
    /// Whether the machine has heard it since it started. While a machine is off, what it had may be given to others, so what
    /// it kept from before says nothing of what it may begin.
    pub of_this_boot: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    host: String,
    /// The start of the machine in which it was heard.
    #[serde(default)]
    boot: String,
    revision: i64,
    #[serde(default)]
    lists: i64,
    items: Vec<Arc<FeedItem>>,
}

impl FeedClient {
    /// A client for `host`; `file` keeps the last document, for an agent that starts again while the service is away. An
    /// empty path keeps nothing.
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
            behalf: Behalf::default(),
        }
    }

    /// Remembers there on whose behalf things come.
    #[must_use]
    pub fn on_behalf(self, behalf: Behalf) -> Self {
        Self { behalf, ..self }
    }

    /// Says, once for each request that wanted something, what the host made of it.
    pub fn made(&self, made: Made<'_>) {
        let Some(wish) = self.behalf.take(made) else {
            return;
        };
        let (host, service, request_id) = (&self.host, self.service, wish.request_id);
        let Made {
            kind, id, state, ..
        } = made;
        let now = self.peers.clock().monotonic();
        let micros = now.saturating_sub(wish.at).as_micros();
        match made.failed {
            None => {
                tracing::info!(%request_id, service, host, kind, id, state, micros, "done on the host");
            }
            Some(why) => tracing::warn!(
                %request_id, service, host, kind, id, why, micros,
                "the host cannot do what is wanted; `nephos doctor` on it says whether it lacks something"
            ),
        }
    }

    /// The document of the last run.
    #[must_use]
    pub fn cached(&self) -> Option<Cached> {
        disk::sweep(&self.file);
        cached(&self.file, &self.host)
    }

    /// Gives every change of the document to `take`, for ever. After an error the service is asked again.
    pub async fn follow(mut self, mut take: impl FnMut(Desired)) {
        let wait_secs = WAIT_SECS.saturating_sub(u64::from(self.phase()));
        loop {
            match self.next(wait_secs).await {
                Ok(desired) => take(desired),
                Err(why) => {
                    let (host, service) = (&self.host, self.service);
                    tracing::warn!(host, service, %why, "cannot read what is wanted here; asking again. `nephos doctor` on the host says what of the way is broken");
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
        let (since, lists) = match self.desired.complete {
            true => (self.desired.revision, self.desired.lists),
            false => (0, 0),
        };
        let wait = match (self.desired.complete, self.unkept) {
            (false, _) => 0,
            (true, true) => wait_secs.min(KEEP_EVERY.as_secs()),
            (true, false) => wait_secs,
        };
        let target = format!(
            "/host/v1/feed?host={}&since={since}&lists={lists}&wait={wait}",
            self.host
        );
        let page: FeedPage = self
            .peers
            .get(self.service, target)
            .as_service()
            .send()
            .await?
            .json()?;
        let is_kept = !self.file.as_os_str().is_empty();
        self.unkept |= is_kept && (page.complete || !page.items.is_empty());
        let now = self.peers.clock().monotonic();
        self.behalf.want(self.desired.news(&page), now);
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
        if !self.unkept || self.kept_at.is_some_and(early) {
            return;
        }
        let kept = Kept {
            host: self.host.clone(),
            boot: boot::id(),
            revision: self.desired.revision,
            lists: self.desired.lists,
            items: self.desired.items.values().cloned().collect(),
        };
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || {
            // The document holds user data and keys: nobody else may read it.
            disk::replace(&file, &serde_json::to_vec(&kept)?)
        })
        .await;
        if let Err(why) = written.unwrap_or_else(|why| Err(std::io::Error::other(why))) {
            tracing::warn!(%why, file = %self.file.display(), "cannot keep the feed on disk, without which guests are not looked after while the services are away; is the disk full?");
        }
        self.unkept = false;
        self.kept_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(generation: i64, request: Option<&str>) -> FeedItem {
        FeedItem {
            kind: "toy".to_owned(),
            id: "a".to_owned(),
            generation,
            spec: None,
            request_id: request.map(RequestId::from),
        }
    }

    fn made(generation: Option<i64>) -> Made<'static> {
        Made {
            kind: "toy",
            id: "a",
            generation,
            state: "up",
            failed: None,
        }
    }

    #[test]
    fn a_request_hears_once_of_what_it_wanted_and_not_of_what_was_before() {
        let behalf = Behalf::default();
        behalf.want([&item(2, Some("req-2"))], Duration::ZERO);
        assert_eq!(behalf.of("toy", "a"), Some(RequestId::from("req-2")));
        assert!(behalf.take(made(Some(1))).is_none(), "an older one");
        assert!(behalf.take(made(Some(2))).is_some());
        assert!(behalf.take(made(Some(2))).is_none(), "said already");
        behalf.want([&item(3, Some("req-3"))], Duration::ZERO);
        behalf.want([&item(4, None)], Duration::ZERO);
        assert!(
            behalf.of("toy", "a").is_none(),
            "changed by nobody's request"
        );
        behalf.want([&item(5, Some("req-5"))], Duration::ZERO);
        assert!(behalf.take(made(None)).is_some(), "it is gone");
    }

    #[test]
    fn what_is_new_is_known_after_the_first_whole_document_also_when_that_was_empty() {
        let page = |complete, items: Vec<FeedItem>| FeedPage {
            revision: 0,
            lists: 0,
            complete,
            items,
        };
        let wanted = |generation| FeedItem {
            spec: Some(true.into()),
            ..item(generation, Some("req-1"))
        };
        let mut desired = Desired::default();
        let first = page(true, vec![wanted(1)]);
        assert_eq!(desired.news(&first).count(), 0, "of before the start");
        desired.merge(page(true, Vec::new()));
        assert_eq!(desired.news(&first).count(), 1);
        desired.merge(first.clone());
        assert_eq!(desired.news(&first).count(), 0, "the same again");
        let next = page(true, vec![wanted(2)]);
        assert_eq!(desired.news(&next).count(), 1);
        let change = page(false, vec![item(3, None)]);
        assert_eq!(desired.news(&change).count(), 1, "it is gone");
    }

    #[test]
    fn with_a_thing_goes_the_list_that_went_with_it() {
        let entry = |id: &str| FeedItem {
            kind: "entry".to_owned(),
            id: id.to_owned(),
            spec: Some(true.into()),
            ..item(1, None)
        };
        let thing = |generation| FeedItem {
            spec: Some(true.into()),
            ..item(generation, None)
        };
        let mut desired = Desired::of(FeedPage {
            complete: true,
            items: vec![thing(1), entry("a/1"), entry("a/2"), entry("b/1")],
            ..FeedPage::default()
        });
        desired.merge(FeedPage {
            items: vec![item(2, None)],
            ..FeedPage::default()
        });
        let left: Vec<&str> = desired
            .items
            .values()
            .map(|item| item.id.as_str())
            .collect();
        assert_eq!(left, ["b/1"]);
    }

    #[test]
    fn what_is_never_told_of_takes_no_more_than_its_room() {
        let behalf = Behalf::default();
        let many = (0..2 * WISHES).map(|number| FeedItem {
            id: number.to_string(),
            ..item(1, Some("req-1"))
        });
        let many: Vec<_> = many.collect();
        behalf.want(&many, Duration::ZERO);
        assert_eq!(behalf.wishes().len(), WISHES);
        behalf.want([&item(1, Some("req-2"))], FORGOTTEN);
        assert_eq!(behalf.wishes().len(), 1);
    }
}
