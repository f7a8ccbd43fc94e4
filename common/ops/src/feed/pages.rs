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
use super::overview::Overview;

/// Longest wait of a long poll.
const WAIT_SECS: u64 = 25;
/// A tombstone is kept this long; an agent that was away for longer reads everything anew.
const TOMBSTONE_SECS: i64 = 24 * 3600;

/// Pages read at a time: when a thousand polls are woken at once, they leave connections to others.
const AT_ONCE: usize = 4;
/// Hosts that are listened for between their polls; when there are more, all are forgotten.
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
    ears: Arc<Mutex<HashMap<String, Ear>>>,
    overview: Arc<Overview>,
}

/// Listens for a host, also from one poll to the next: a poll that follows at once on another, and for which there was no
/// wake since, has nothing to read.
#[derive(Debug)]
struct Ear {
    wakes: Wakes,
    /// The lists that the host is taken to read.
    lists: Vec<String>,
    /// It has heard of everything that came after this page.
    since: Option<Known>,
}

/// What is read of a host's feed at one moment.
struct Read {
    page: FeedPage,
    /// The lists that the host reads.
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
            ears: Arc::default(),
            overview: Arc::default(),
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
        let kept = self.kept(host);
        let mut ear = kept.unwrap_or_else(|| self.listen(host, Vec::new()));
        let heard = ear.heard();
        let quiet = ear.since == Some(known)
            && match heard {
                Heard::Nothing if self.bus.is_connected() => true,
                Heard::Nothing | Heard::LookAtEverything => {
                    self.no_news((host, &ear), known).await?.is_some()
                }
                Heard::News => false,
            };
        if !quiet || wait_secs == 0 {
            loop {
                let read = self.read(host, known, &mut ear).await?;
                if is_news(&read.page) || wait_secs == 0 {
                    return Ok(self.answer(host, ear, read));
                }
                if read.lists == ear.lists {
                    break;
                }
                // What came to these lists before it listened is read once more.
                ear = self.listen(host, read.lists);
            }
        }
        let limit = Duration::from_secs(wait_secs.min(WAIT_SECS));
        if let Some(known) = self.wait(limit, (host, &mut ear), known).await? {
            let read = Read {
                page: FeedPage {
                    revision: known.since,
                    lists: known.lists,
                    complete: false,
                    items: Vec::new(),
                },
                lists: ear.lists.clone(),
            };
            return Ok(self.answer(host, ear, read));
        }
        let read = self.read(host, known, &mut ear).await?;
        Ok(self.answer(host, ear, read))
    }

    /// Waits for news; if there is none all the time, what is known of the host at the end.
    async fn wait(
        &self,
        limit: Duration,
        (host, ear): (&str, &mut Ear),
        known: Known,
    ) -> Result<Option<Known>, Error> {
        let until = self.clock.monotonic() + limit;
        let mut left = limit;
        loop {
            let some = self.bus.may_wait(left);
            let heard = self.clock.timeout(some, ear.wakes.next()).await;
            if heard.is_some_and(|wake| !wake.id.is_empty()) {
                return Ok(None);
            }
            let nothing = self.no_news((host, ear), known).await?;
            left = until.saturating_sub(self.clock.monotonic());
            if nothing.is_none() || left.is_zero() {
                return Ok(nothing);
            }
        }
    }

    /// What is known of a host of which something is, if there is no more to know.
    async fn no_news(
        &self,
        (host, ear): (&str, &Ear),
        known: Known,
    ) -> Result<Option<Known>, Error> {
        if known.since <= 0 {
            return Ok(None);
        }
        let from = (&self.db, self.clock.monotonic());
        self.overview.no_news(from, (host, &ear.lists), known).await
    }

    fn listen(&self, host: &str, lists: Vec<String>) -> Ear {
        let ids = lists.iter().cloned().chain([host.to_owned()]);
        Ear {
            wakes: self.bus.subscribe_to(self.topic, ids),
            lists,
            since: None,
        }
    }

    fn kept(&self, host: &str) -> Option<Ear> {
        let mut ears = self.ears.lock().unwrap_or_else(PoisonError::into_inner);
        ears.remove(host)
    }

    /// The page, and its host is listened for until it asks for the next.
    fn answer(&self, host: &str, ear: Ear, Read { page, lists }: Read) -> FeedPage {
        let ear = if lists == ear.lists {
            Ear {
                since: Some(Known {
                    since: page.revision,
                    lists: page.lists,
                }),
                ..ear
            }
        } else {
            self.listen(host, lists)
        };
        let mut ears = self.ears.lock().unwrap_or_else(PoisonError::into_inner);
        if ears.len() >= HOSTS {
            ears.clear();
        }
        ears.insert(host.to_owned(), ear);
        drop(ears);
        page
    }

    /// What came before it is no news any more to the `ear`.
    async fn read(&self, host: &str, known: Known, ear: &mut Ear) -> Result<Read, Error> {
        let _told_by_what_is_read = ear.heard();
        self.page(host, known).await
    }

    /// One statement reads all of it, so that an item is never newer than the revision, nor pruned in between.
    async fn page(&self, host: &str, known: Known) -> Result<Read, Error> {
        let (since, lists) = match known.since {
            ..=0 => (0, 0),
            since => (since, known.lists.max(0)),
        };
        let turn = self.reading.acquire().await;
        let rows: Vec<PageRow> = self.db.fetch_all(PAGE, args![host, since, lists]).await?;
        drop(turn);
        let revisions = rows.first().map(|row| row.revisions).unwrap_or_default();
        let (reads, items): (Vec<FeedItem>, Vec<FeedItem>) = rows
            .into_iter()
            .filter_map(|row| row.item)
            .partition(|item| item.kind == READS);
        // What was removed up to the revision that this item remembers is missing among them.
        let pruned = items.iter().any(|item| item.kind == PRUNED);
        let too_old = pruned || lists < revisions.pruned;
        let never = since > revisions.host || lists > revisions.lists;
        if since > 0 && (never || too_old) {
            return Box::pin(self.page(host, Known::default())).await;
        }
        let complete = since <= 0;
        let page = FeedPage {
            revision: revisions.host,
            lists: revisions.lists,
            complete,
            items: items
                .into_iter()
                .filter(|item| !complete || item.spec.is_some())
                .collect(),
        };
        let lists = reads.into_iter().map(|list| list.id).collect();
        Ok(Read { page, lists })
    }
}

/// What an ear has heard.
enum Heard {
    Nothing,
    /// Wakes may have been lost.
    LookAtEverything,
    News,
}

impl Ear {
    /// What it has heard since it was asked last.
    fn heard(&mut self) -> Heard {
        let mut heard = Heard::Nothing;
        while let Some(wake) = self.wakes.try_next() {
            heard = match heard {
                Heard::News => Heard::News,
                _less if wake.id.is_empty() => Heard::LookAtEverything,
                _less => Heard::News,
            };
        }
        heard
    }
}

/// Of the lists' one row.
macro_rules! lists {
    () => {
        "(SELECT revision FROM feed_lists) AS lists_revision, (SELECT pruned FROM feed_lists) AS pruned"
    };
}

/// The host itself, its items after its revision $2, the entries after the lists' revision $3 of lists that it read then,
/// and all entries of those that it reads since, with what is gone from them: it may have read them before. Then the
/// lists themselves.
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
     WHERE h.host = $1 \
     UNION ALL SELECT h.revision, ",
    lists!(),
    ", '_reads', r.kind || '/' || r.list, 0, CAST(NULL AS TEXT), CAST(NULL AS TEXT) FROM feed_hosts h \
     JOIN feed_readers r ON r.host = h.host WHERE h.host = $1"
);

/// The kind of the rows that name the lists which the host reads.
const READS: &str = "_reads";

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
