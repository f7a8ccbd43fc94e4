//! The server's half of a host feed: what each host should have, by revision, and what it has seen.
//!
//! A change and the host's next revision are one transaction, so an agent that has revision n has everything up to it.

pub mod lists;
mod overview;
mod pages;
mod telling;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use nephos_db::{Arg, Db, Error, FromRow, Migration, Row, Tx, Where, args};
use nephos_runtime::request;
use nephos_types::feed::Observed;
use nephos_types::{Timestamp, Wake};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::pages::{Feed, prune};
pub use self::telling::Telling;

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

/// The tables of [`lists`]; after [`REQUESTS`].
pub const LISTS: Migration = Migration {
    name: "0002_feed_lists",
    sql: include_str!("../migrations/feed_lists.sql"),
};

/// Things that are asked for at once.
const MANY: usize = 500;

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
    let item = Item::after(last.as_ref(), now, spec);
    write(tx, now, place, item).await
}

/// Wants a thing on a host anew, even if nothing else of it changed: a call that is to be answered once more. Its generation is
/// the time, or the next one: times only grow, and a host may remember the generation of a thing that was forgotten here.
/// Gives it.
///
/// # Errors
/// When the database refuses.
pub async fn publish_anew<T: Serialize + Sync>(
    tx: &mut Tx,
    now: Timestamp,
    place: Place<'_>,
    spec: &T,
) -> Result<i64, Error> {
    let last = published_in(tx, place).await?.unwrap_or(0);
    let generation = now.0.max(last + 1);
    publish(tx, now, place, generation, spec).await?;
    Ok(generation)
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

/// The hosts that are told something else of a thing than `spec`.
///
/// # Errors
/// When the database refuses.
pub async fn hosts_told_else<T: Serialize + Sync>(
    tx: &mut Tx,
    kind: &str,
    id: &str,
    spec: &T,
) -> Result<Vec<String>, Error> {
    let spec = serde_json::to_string(spec).map_err(|why| Error::damaged(why.to_string()))?;
    tx.fetch_all(
        "SELECT host FROM feed_items WHERE kind = $1 AND id = $2 AND spec IS NOT NULL AND spec <> $3 ORDER BY host",
        args![kind, id, spec],
    )
    .await
}

/// The hosts on which one thing is wanted and another of the same kind is not.
///
/// # Errors
/// When the database refuses.
pub async fn hosts_without(
    tx: &mut Tx,
    kind: &str,
    (id, other): (&str, &str),
) -> Result<Vec<String>, Error> {
    tx.fetch_all(
        "SELECT host FROM feed_items i WHERE kind = $1 AND id = $2 AND spec IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM feed_items o WHERE o.host = i.host AND o.kind = $1 AND o.id = $3 AND o.spec IS NOT NULL) \
         ORDER BY host",
        args![kind, id, other],
    )
    .await
}

struct Item {
    generation: i64,
    spec: Option<String>,
}

impl Item {
    /// What follows on `last` when it is to be another. A tombstone may be pruned, and the host may still remember its
    /// generation: without one it begins at the time, which is larger.
    fn after(last: Option<&Self>, now: Timestamp, spec: String) -> Self {
        Self {
            generation: last.map_or(now.0, |last| last.generation + 1),
            spec: Some(spec),
        }
    }
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
    let revision = next_revision(tx, host).await?;
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

/// The revision of what this transaction tells a host; nobody else tells it of anything until it ends.
async fn next_revision(tx: &mut Tx, host: &str) -> Result<i64, Error> {
    tx.fetch_scalar(
        "INSERT INTO feed_hosts (host, revision, seen_at) VALUES ($1, 1, 0) \
         ON CONFLICT (host) DO UPDATE SET revision = feed_hosts.revision + 1 RETURNING revision",
        args![host],
    )
    .await
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

/// Of these things (host, kind, id), those of which the host is told, or was told until lately.
///
/// # Errors
/// When the database refuses.
pub async fn told<'a>(
    tx: &mut Tx,
    things: &[(&'a str, &'a str, &'a str)],
) -> Result<HashSet<(&'a str, &'a str, &'a str)>, Error> {
    let mut told = HashSet::new();
    for some in things.chunks(MANY) {
        let ids: BTreeSet<&str> = some.iter().map(|(_, _, id)| *id).collect();
        let hosts: BTreeSet<&str> = some.iter().map(|(host, _, _)| *host).collect();
        let query = Where::new("SELECT host, kind, id FROM feed_items");
        let query = query.in_("host", hosts).in_("id", ids);
        let rows: Vec<Key> = tx.fetch_where(&query).await?;
        let rows: HashSet<_> = rows.iter().map(Key::parts).collect();
        told.extend(some.iter().filter(|thing| rows.contains(*thing)));
    }
    Ok(told)
}

/// Notes what hosts have seen, and gives what of it is not as it was noted before: hosts say everything again now and then,
/// and nearly all of it is known. When something was seen is no news by itself.
///
/// # Errors
/// When the database refuses.
pub async fn record_observed<'a>(
    tx: &mut Tx,
    reports: impl IntoIterator<Item = (&'a str, &'a [Observed])>,
) -> Result<Vec<(&'a str, &'a Observed)>, Error> {
    let reports = reports.into_iter();
    let seen = reports.flat_map(|(host, observed)| observed.iter().map(move |seen| (host, seen)));
    // In one order, so that two reports of a host do not wait for each other; of a thing that is named twice, the last word.
    let by_key: BTreeMap<(&str, &str, &str), (&'a str, &'a Observed)> = seen
        .map(|(host, seen)| ((host, seen.kind.as_str(), seen.id.as_str()), (host, seen)))
        .collect();
    let rows: Vec<Vec<Arg>> = by_key
        .values()
        .map(|(host, seen)| {
            args![
                host,
                seen.kind,
                seen.id,
                seen.generation_seen,
                seen.state,
                seen.detail.to_string(),
                seen.at,
            ]
        })
        .collect();
    let changed: Vec<Key> = tx
        .fetch_rows(
            "INSERT INTO feed_observed (host, kind, id, generation_seen, state, detail, at)",
            &rows,
            "ON CONFLICT (host, kind, id) DO UPDATE SET \
             generation_seen = excluded.generation_seen, state = excluded.state, \
             detail = excluded.detail, at = excluded.at \
             WHERE feed_observed.generation_seen <> excluded.generation_seen \
             OR feed_observed.state <> excluded.state OR feed_observed.detail <> excluded.detail \
             RETURNING host, kind, id",
        )
        .await?;
    let of_key = |key: &Key| by_key.get(&key.parts()).copied();
    Ok(changed.iter().filter_map(of_key).collect())
}

/// Which thing of which host.
struct Key {
    host: String,
    kind: String,
    id: String,
}

impl Key {
    fn parts(&self) -> (&str, &str, &str) {
        (&self.host, &self.kind, &self.id)
    }
}

impl FromRow for Key {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            host: row.get("host")?,
            kind: row.get("kind")?,
            id: row.get("id")?,
        })
    }
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
