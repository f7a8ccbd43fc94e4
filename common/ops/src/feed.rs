//! The server's half of a host feed: what each host should have, by revision, and what it has seen.
//!
//! A change and the host's next revision are one transaction, so an agent that has revision n has everything up to it.

use std::time::Duration;

use nephos_bus::Bus;
use nephos_db::{Db, Error, FromRow, Migration, Row, Tx, args};
use nephos_runtime::{Clock, request};
use nephos_types::feed::{FeedItem, FeedPage, Observed};
use nephos_types::{Timestamp, Wake};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The tables; in a service's list of migrations after [`MIGRATION`](crate::MIGRATION).
pub const MIGRATION: Migration = Migration {
    name: "0000_feed",
    sql: include_str!("../migrations/feed.sql"),
};

/// What came to the tables later; after [`MIGRATION`].
pub const REQUESTS: Migration = Migration {
    name: "0001_feed_requests",
    sql: include_str!("../migrations/feed_requests.sql"),
};

/// Longest wait of a long poll.
const WAIT_SECS: u64 = 25;
/// A tombstone is kept this long; an agent that was away for longer reads everything anew.
const TOMBSTONE_SECS: i64 = 24 * 3600;

/// Where a thing is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The topic that agents' polls listen to: `compute.feed`.
    pub topic: &'static str,
    /// The host.
    pub host: &'a str,
    /// The kind of thing.
    pub kind: &'a str,
    /// Its id.
    pub id: &'a str,
}

/// Wants a thing on a host, like this. The same again changes nothing.
///
/// # Errors
/// When the database refuses.
pub async fn publish<T: Serialize + Sync>(
    tx: &mut Tx,
    now: Timestamp,
    place: Place<'_>,
    generation: i64,
    spec: &T,
) -> Result<(), Error> {
    let spec = serde_json::to_string(spec).map_err(|why| Error::damaged(why.to_string()))?;
    put(tx, now, place, generation, Some(spec)).await
}

/// Wants a thing no longer on a host.
///
/// # Errors
/// When the database refuses.
pub async fn withdraw(
    tx: &mut Tx,
    now: Timestamp,
    place: Place<'_>,
    generation: i64,
) -> Result<(), Error> {
    put(tx, now, place, generation, None).await
}

/// Wants a thing on a host, like this; its generation grows by itself whenever the spec differs from the one published last.
///
/// # Errors
/// When the database refuses.
pub async fn publish_changed<T: Serialize + Sync>(
    tx: &mut Tx,
    now: Timestamp,
    place: Place<'_>,
    spec: &T,
) -> Result<(), Error> {
    let spec = serde_json::to_string(spec).map_err(|why| Error::damaged(why.to_string()))?;
    let last = last(tx, place).await?;
    if last
        .as_ref()
        .is_some_and(|last| last.spec.as_ref() == Some(&spec))
    {
        return Ok(());
    }
    // A tombstone may be pruned, and the host may still remember its generation: begin at the time, which is larger.
    let generation = last.map_or(now.0, |last| last.generation + 1);
    write(
        tx,
        now,
        place,
        Item {
            generation,
            spec: Some(spec),
        },
    )
    .await
}

/// Wants a thing no longer on a host, if it is wanted there.
///
/// # Errors
/// When the database refuses.
pub async fn withdraw_present(tx: &mut Tx, now: Timestamp, place: Place<'_>) -> Result<(), Error> {
    match last(tx, place).await? {
        Some(Item {
            generation,
            spec: Some(_),
        }) => {
            let generation = generation + 1;
            write(
                tx,
                now,
                place,
                Item {
                    generation,
                    spec: None,
                },
            )
            .await
        }
        Some(_) | None => Ok(()),
    }
}

/// The hosts on which a thing is wanted.
///
/// # Errors
/// When the database refuses.
pub async fn hosts_of(tx: &mut Tx, kind: &str, id: &str) -> Result<Vec<String>, Error> {
    tx.fetch_all(
        "SELECT host FROM feed_items WHERE kind = $1 AND id = $2 AND spec IS NOT NULL ORDER BY host",
        args![kind, id],
    )
    .await
}

struct Item {
    generation: i64,
    spec: Option<String>,
}

impl FromRow for Item {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            generation: row.get("generation")?,
            spec: row.get("spec")?,
        })
    }
}

async fn last(tx: &mut Tx, place: Place<'_>) -> Result<Option<Item>, Error> {
    let Place { host, kind, id, .. } = place;
    tx.fetch_opt(
        "SELECT generation, spec FROM feed_items WHERE host = $1 AND kind = $2 AND id = $3",
        args![host, kind, id],
    )
    .await
}

async fn put(
    tx: &mut Tx,
    now: Timestamp,
    place: Place<'_>,
    generation: i64,
    spec: Option<String>,
) -> Result<(), Error> {
    let Place { host, kind, id, .. } = place;
    let same = tx
        .fetch_opt::<i64>(
            "SELECT generation FROM feed_items WHERE host = $1 AND kind = $2 AND id = $3 AND generation = $4 \
             AND (spec = $5 OR (spec IS NULL AND CAST($5 AS TEXT) IS NULL))",
            args![host, kind, id, generation, spec],
        )
        .await?;
    if same.is_some() {
        return Ok(());
    }
    write(tx, now, place, Item { generation, spec }).await
}

async fn write(tx: &mut Tx, now: Timestamp, place: Place<'_>, item: Item) -> Result<(), Error> {
    let Place {
        topic,
        host,
        kind,
        id,
    } = place;
    let Item { generation, spec } = item;
    let revision: i64 = tx
        .fetch_scalar(
            "INSERT INTO feed_hosts (host, revision, seen_at) VALUES ($1, 1, 0) \
             ON CONFLICT (host) DO UPDATE SET revision = feed_hosts.revision + 1 RETURNING revision",
            args![host],
        )
        .await?;
    tx.exec(
        "INSERT INTO feed_items (host, kind, id, generation, revision, spec, changed_at, request_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (host, kind, id) DO UPDATE SET \
         generation = excluded.generation, revision = excluded.revision, spec = excluded.spec, \
         changed_at = excluded.changed_at, request_id = excluded.request_id",
        args![
            host,
            kind,
            id,
            generation,
            revision,
            spec,
            now,
            request::current(),
        ],
    )
    .await?;
    tx.wake(Wake::new(topic, host));
    Ok(())
}

/// The generation in which a thing is wanted on a host; none when it is not.
///
/// # Errors
/// When the database refuses.
pub async fn published(db: &Db, place: Place<'_>) -> Result<Option<i64>, Error> {
    let Place { host, kind, id, .. } = place;
    db.fetch_opt(PUBLISHED, args![host, kind, id]).await
}

/// As [`published`], within a transaction.
///
/// # Errors
/// When the database refuses.
pub async fn published_in(tx: &mut Tx, place: Place<'_>) -> Result<Option<i64>, Error> {
    let Place { host, kind, id, .. } = place;
    tx.fetch_opt(PUBLISHED, args![host, kind, id]).await
}

/// What a host is told of a thing, within a transaction; none when it is not wanted there.
///
/// # Errors
/// When the database refuses, or has what cannot be read.
pub async fn spec_in<T: DeserializeOwned>(
    tx: &mut Tx,
    place: Place<'_>,
) -> Result<Option<T>, Error> {
    let Place { host, kind, id, .. } = place;
    let spec: Option<String> = tx
        .fetch_opt(
            "SELECT spec FROM feed_items WHERE host = $1 AND kind = $2 AND id = $3 AND spec IS NOT NULL",
            args![host, kind, id],
        )
        .await?;
    let read = |text: String| serde_json::from_str(&text);
    let read = spec.map(read).transpose();
    read.map_err(|why| Error::damaged(format!("feed_items: {why}")))
}

const PUBLISHED: &str = "SELECT generation FROM feed_items WHERE host = $1 AND kind = $2 AND id = $3 AND spec IS NOT NULL";

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
    /// What changed on `host` after `since`, waiting up to `wait_secs` when nothing has. 0, or a revision this service
    /// never gave, asks for everything.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn since(&self, host: &str, since: i64, wait_secs: u64) -> Result<FeedPage, Error> {
        let mut wakes = self.bus.subscribe_to(self.topic, host);
        let first = self.page(host, since).await?;
        // A host that nothing was ever wanted on is complete at revision 0, and that is no news to who knows it.
        let anew = first.complete && first.revision != since;
        if anew || !first.items.is_empty() || wait_secs == 0 {
            return Ok(first);
        }
        let limit = Duration::from_secs(wait_secs.min(WAIT_SECS));
        let _woken_or_not = self.clock.timeout(limit, wakes.next()).await;
        self.page(host, since).await
    }

    /// One statement reads all of it, so that an item is never newer than the revision, nor pruned in between.
    async fn page(&self, host: &str, since: i64) -> Result<FeedPage, Error> {
        let sql = "SELECT h.revision AS host_revision, i.kind, i.id, i.generation, i.spec, i.request_id FROM feed_hosts h \
             LEFT JOIN feed_items i ON i.host = h.host AND i.revision > $2 WHERE h.host = $1 ORDER BY i.revision";
        let rows: Vec<PageRow> = self.db.fetch_all(sql, args![host, since.max(0)]).await?;
        let revision = rows.first().map_or(0, |row| row.revision);
        // What was removed up to the revision that this item remembers is missing among them.
        let too_old = |row: &PageRow| row.item.as_ref().is_some_and(|item| item.kind == PRUNED);
        if since > 0 && (since > revision || rows.iter().any(too_old)) {
            return Box::pin(self.page(host, 0)).await;
        }
        let complete = since <= 0;
        let items = rows.into_iter().filter_map(|row| row.item);
        Ok(FeedPage {
            revision,
            complete,
            items: items
                .filter(|item| !complete || item.spec.is_some())
                .collect(),
        })
    }
}

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
    Ok(())
}

/// Notes what a host has seen, and that it is alive.
///
/// # Errors
/// When the database refuses.
pub async fn record_observed(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    observed: &[Observed],
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO feed_hosts (host, revision, seen_at) VALUES ($1, 0, $2) \
         ON CONFLICT (host) DO UPDATE SET seen_at = excluded.seen_at",
        args![host, now],
    )
    .await?;
    for seen in observed {
        tx.exec(
            "INSERT INTO feed_observed (host, kind, id, generation_seen, state, detail, at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (host, kind, id) DO UPDATE SET \
             generation_seen = excluded.generation_seen, state = excluded.state, \
             detail = excluded.detail, at = excluded.at",
            args![
                host,
                seen.kind,
                seen.id,
                seen.generation_seen,
                seen.state,
                seen.detail.to_string(),
                seen.at,
            ],
        )
        .await?;
    }
    Ok(())
}

/// What hosts have seen of one thing.
///
/// # Errors
/// When the database refuses.
pub async fn observed(db: &Db, kind: &str, id: &str) -> Result<Vec<Seen>, Error> {
    db.fetch_all(
        "SELECT host, kind, id, generation_seen, state, detail, at FROM feed_observed \
         WHERE kind = $1 AND id = $2 ORDER BY host",
        args![kind, id],
    )
    .await
}

/// Forgets what was seen of a thing that is gone for good.
///
/// # Errors
/// When the database refuses.
pub async fn forget(tx: &mut Tx, kind: &str, id: &str) -> Result<(), Error> {
    tx.exec(
        "DELETE FROM feed_observed WHERE kind = $1 AND id = $2",
        args![kind, id],
    )
    .await?;
    Ok(())
}

/// Forgets what one host saw of a thing.
///
/// # Errors
/// When the database refuses.
pub async fn forget_on(tx: &mut Tx, host: &str, kind: &str, id: &str) -> Result<(), Error> {
    tx.exec(
        "DELETE FROM feed_observed WHERE host = $1 AND kind = $2 AND id = $3",
        args![host, kind, id],
    )
    .await?;
    Ok(())
}

/// What a host has seen of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The host.
    pub host: String,
    /// What it saw.
    pub observed: Observed,
}

/// An item of a host's feed, or the host alone when there is none.
struct PageRow {
    revision: i64,
    item: Option<FeedItem>,
}

impl FromRow for PageRow {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let revision = row.get("host_revision")?;
        let Some(kind) = row.get("kind")? else {
            return Ok(Self {
                revision,
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
            revision,
            item: Some(item),
        })
    }
}

impl FromRow for Seen {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let detail: String = row.get("detail")?;
        Ok(Self {
            host: row.get("host")?,
            observed: Observed {
                kind: row.get("kind")?,
                id: row.get("id")?,
                generation_seen: row.get("generation_seen")?,
                state: row.get("state")?,
                detail: serde_json::from_str(&detail)
                    .map_err(|why| Error::damaged(why.to_string()))?,
                at: row.get("at")?,
            },
        })
    }
}
