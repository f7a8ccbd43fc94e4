//! Pages of a host's feed, as agents poll them.

use std::time::Duration;

use nephos_bus::Bus;
use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_runtime::Clock;
use nephos_types::Timestamp;
use nephos_types::feed::{FeedItem, FeedPage, Known};

use super::lists;

/// Longest wait of a long poll.
const WAIT_SECS: u64 = 25;
/// A tombstone is kept this long; an agent that was away for longer reads everything anew.
const TOMBSTONE_SECS: i64 = 24 * 3600;

/// Answers agents' polls.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The service's database.
    pub db: Db,
    /// Wakes polls.
    pub bus: Bus,
    /// The time.
    pub clock: Clock,
    /// As in [`Place::topic`].
    pub topic: &'static str,
}

impl Feed {
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
        let first = self.page(host, known).await?;
        if is_news(&first) || wait_secs == 0 {
            return Ok(first);
        }
        // A list that the host begins to read from now on comes with a change of its own.
        let mut hears = lists::read_by(&self.db, host).await?;
        hears.push(host.to_owned());
        let mut wakes = self.bus.subscribe_to(self.topic, hears);
        // What came before it listened.
        let second = self.page(host, known).await?;
        if is_news(&second) {
            return Ok(second);
        }
        let limit = Duration::from_secs(wait_secs.min(WAIT_SECS));
        let _woken_or_not = self.clock.timeout(limit, wakes.next()).await;
        self.page(host, known).await
    }

    /// One statement reads all of it, so that an item is never newer than the revision, nor pruned in between.
    async fn page(&self, host: &str, known: Known) -> Result<FeedPage, Error> {
        let (since, lists) = match known.since {
            ..=0 => (0, 0),
            since => (since, known.lists.max(0)),
        };
        let rows: Vec<PageRow> = self.db.fetch_all(PAGE, args![host, since, lists]).await?;
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
