//! Pages of a host's feed, as agents poll them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nephos_bus::{Bus, Wakes};
use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_runtime::Clock;
use nephos_types::Timestamp;
use nephos_types::feed::{FeedItem, FeedPage, Known};
use tokio::sync::Semaphore;

use super::lists;

/// Longest wait of a long poll.
const WAIT_SECS: u64 = 25;
/// A tombstone is kept this long; an agent that was away for longer reads everything anew.
const TOMBSTONE_SECS: i64 = 24 * 3600;

/// Pages read at a time: when a thousand polls are woken at once, they leave connections to others.
const AT_ONCE: usize = 4;
/// Hosts whose lists are remembered; when there are more, all are forgotten.
const HOSTS: usize = 10_000;

/// Answers agents' polls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Feed {
    db: Db,
    bus: Bus,
    clock: Clock,
    topic: &'static str,
    reading: Arc<Semaphore>,
    /// By host.
    read: Arc<Mutex<HashMap<String, Read>>>,
}

/// Which lists a host reads at a revision of its own: it never begins or ends to without a further one.
#[derive(Debug)]
struct Read {
    since: i64,
    lists: Vec<String>,
}

impl Feed {
    /// The feeds of a service's hosts: `topic` as in [`Place::topic`](super::Place::topic).
    #[must_use]
    pub fn new(db: Db, bus: Bus, clock: Clock, topic: &'static str) -> Self {
        Self {
            db,
            bus,
            clock,
            topic,
            reading: Arc::new(Semaphore::new(AT_ONCE)),
            read: Arc::default(),
        }
    }

    /// What changed on `host` since what is `known` of it, waiting up to `wait_secs` when nothing has. Nothing, or a
    /// revision that this service never gave, asks for everything.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn since(&self, host: &str, known: Known, wait_secs: u64) -> Result<FeedPage, Error> {
        // A host that nothing was ever wanted on is complete at revision 0, and that is no news to who knows it.
        let is_news = |page: &FeedPage| {
            !page.items.is_empty() || (page.complete && page.revision != known.since)
        };
        let hears = self.remembered(host, known.since);
        let mut wakes = hears.map(|lists| self.listen(host, lists));
        let mut page = self.page(host, known).await?;
        let mut wakes = match wakes.take() {
            _ if is_news(&page) || wait_secs == 0 => return Ok(page),
            Some(wakes) => wakes,
            None => {
                let lists = lists::read_by(&self.db, host).await?;
                let wakes = self.listen(host, lists.clone());
                // What came before it listened.
                page = self.page(host, known).await?;
                if is_news(&page) {
                    return Ok(page);
                }
                self.remember(host, known.since, lists);
                wakes
            }
        };
        let limit = Duration::from_secs(wait_secs.min(WAIT_SECS));
        let _woken_or_not = self.clock.timeout(limit, wakes.next()).await;
        self.page(host, known).await
    }

    fn listen(&self, host: &str, mut ids: Vec<String>) -> Wakes {
        ids.push(host.to_owned());
        self.bus.subscribe_to(self.topic, ids)
    }

    fn remembered(&self, host: &str, since: i64) -> Option<Vec<String>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let known = read.get(host).filter(|known| known.since == since)?;
        Some(known.lists.clone())
    }

    fn remember(&self, host: &str, since: i64, lists: Vec<String>) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() >= HOSTS {
            read.clear();
        }
        read.insert(host.to_owned(), Read { since, lists });
    }

    /// One statement reads all of it, so that an item is never newer than the revision, nor pruned in between.
    async fn page(&self, host: &str, known: Known) -> Result<FeedPage, Error> {
        let (since, lists) = match known.since {
            ..=0 => (0, 0),
            since => (since, known.lists.max(0)),
        };
        let turn = self.reading.acquire().await;
        let rows: Vec<PageRow> = self.db.fetch_all(PAGE, args![host, since, lists]).await?;
        drop(turn);
        let revisions = rows.first().map(|row| row.revisions).unwrap_or_default();
        // What was removed up to the revision that this item remembers is missing among them.
        let too_old = |row: &PageRow| row.item.as_ref().is_some_and(|item| item.kind == PRUNED);
        let too_old = rows.iter().any(too_old) || lists < revisions.pruned;
        let never = since > revisions.host || lists > revisions.lists;
        if since > 0 && (never || too_old) {
            return Box::pin(self.page(host, Known::default())).await;
        }
        let complete = since <= 0;
        let items = rows.into_iter().filter_map(|row| row.item);
        Ok(FeedPage {
            revision: revisions.host,
            lists: revisions.lists,
            complete,
            items: items
                .filter(|item| !complete || item.spec.is_some())
                .collect(),
        })
    }
}

/// Of the lists' one row.
macro_rules! lists {
    () => {
        "(SELECT revision FROM feed_lists) AS lists_revision, (SELECT pruned FROM feed_lists) AS pruned"
    };
}

/// The host itself, its items after its revision $2, the entries after the lists' revision $3 of lists that it read then,
/// and all entries of those that it reads since, with what is gone from them: it may have read them before.
const PAGE: &str = concat!(
    "SELECT h.revision AS host_revision, ",
    lists!(),
    ", i.kind, i.id, i.generation, i.spec, i.request_id FROM feed_hosts h \
     LEFT JOIN feed_items i ON i.host = h.host AND i.revision > $2 WHERE h.host = $1 \
     UNION ALL SELECT h.revision, ",
    lists!(),
    ", e.kind, e.list || '/' || e.name, e.revision, e.spec, CAST(NULL AS TEXT) FROM feed_hosts h \
     JOIN feed_readers r ON r.host = h.host AND r.revision <= $2 \
     JOIN feed_entries e ON e.kind = r.kind AND e.list = r.list AND e.revision > $3 WHERE h.host = $1 \
     UNION ALL SELECT h.revision, ",
    lists!(),
    ", e.kind, e.list || '/' || e.name, e.revision, e.spec, CAST(NULL AS TEXT) FROM feed_hosts h \
     JOIN feed_readers r ON r.host = h.host AND r.revision > $2 \
     JOIN feed_entries e ON e.kind = r.kind AND e.list = r.list AND (e.spec IS NOT NULL OR e.revision > $3) \
     WHERE h.host = $1"
);

/// The kind of the one item per host that remembers up to which revision tombstones were removed.
const PRUNED: &str = "_pruned";

/// Removes old tombstones; called now and then by the service's housekeeping.
///
/// # Errors
/// When the database refuses.
pub async fn prune(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    let before = now.plus_secs(-TOMBSTONE_SECS);
    tx.exec(
        "INSERT INTO feed_items (host, kind, id, generation, revision, spec, changed_at) \
         SELECT host, $1, $2, 0, MAX(revision), NULL, $3 FROM feed_items \
         WHERE spec IS NULL AND kind <> $1 AND changed_at < $4 GROUP BY host \
         ON CONFLICT (host, kind, id) DO UPDATE SET revision = excluded.revision",
        args![PRUNED, "", now, before],
    )
    .await?;
    tx.exec(
        "DELETE FROM feed_items WHERE spec IS NULL AND kind <> $1 AND changed_at < $2",
        args![PRUNED, before],
    )
    .await?;
    lists::prune(tx, before).await
}

/// An item of a host's feed, or the host alone when there is none.
struct PageRow {
    revisions: Revisions,
    item: Option<FeedItem>,
}

#[derive(Clone, Copy, Default)]
struct Revisions {
    host: i64,
    lists: i64,
    /// Up to which revision of the lists entries that are gone were forgotten.
    pruned: i64,
}

impl FromRow for PageRow {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let revisions = Revisions {
            host: row.get("host_revision")?,
            lists: row.get("lists_revision")?,
            pruned: row.get("pruned")?,
        };
        let Some(kind) = row.get("kind")? else {
            return Ok(Self {
                revisions,
                item: None,
            });
        };
        let spec: Option<String> = row.get("spec")?;
        let spec = spec.map(|text| serde_json::from_str(&text)).transpose();
        let item = FeedItem {
            kind,
            id: row.get("id")?,
            generation: row.get("generation")?,
            spec: spec.map_err(|why| Error::damaged(why.to_string()))?,
            request_id: row.get("request_id")?,
        };
        Ok(Self {
            revisions,
            item: Some(item),
        })
    }
}
