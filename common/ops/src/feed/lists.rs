//! What many hosts are told alike: where a network's ports are, who is in a security group.
//!
//! A document of each host's own that names all of the others would be written once per host at every change: a
//! thousand hosts with twenty thousand ports would be twenty million lines. Such things are entries of a list, written
//! once; a host reads the lists that go with its documents. All lists count their revisions together, on one row behind
//! which all who write entries stand in line, so that no reader misses one that was committed late.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};
use nephos_types::{Timestamp, Wake};
use serde::Serialize;

/// A list: the kind of its entries, and the id of the document that it goes with.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// The kind of its entries in the feed.
    pub kind: &'a str,
    /// The document.
    pub id: &'a str,
}

impl List<'_> {
    /// What its readers' polls listen to.
    fn wake_id(&self) -> String {
        format!("{}/{}", self.kind, self.id)
    }
}

/// A transaction that writes entries. A guarded one ([`nephos_db::Db::guarded`]) that begins with this waits for its place
/// in line; a serializable one may have to begin again.
#[derive(Debug)]
pub struct Edit {
    topic: &'static str,
    now: Timestamp,
    revision: i64,
}

impl Edit {
    /// Takes its place in line.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn begin(tx: &mut Tx, topic: &'static str, now: Timestamp) -> Result<Self, Error> {
        let sql = "UPDATE feed_lists SET revision = revision + 1 RETURNING revision";
        let revision = tx.fetch_scalar(sql, args![]).await?;
        Ok(Self {
            topic,
            now,
            revision,
        })
    }

    /// An entry is to be like this; whether it was not. The same again changes nothing.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set<T: Serialize + Sync>(
        &self,
        tx: &mut Tx,
        (list, name): (List<'_>, &str),
        spec: &T,
    ) -> Result<bool, Error> {
        let spec = serde_json::to_string(spec).map_err(|why| Error::damaged(why.to_string()))?;
        let sql = "INSERT INTO feed_entries (kind, list, name, revision, spec, changed_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, list, name) DO UPDATE SET \
             revision = excluded.revision, spec = excluded.spec, changed_at = excluded.changed_at \
             WHERE feed_entries.spec IS NULL OR feed_entries.spec <> excluded.spec";
        let values = args![list.kind, list.id, name, self.revision, spec, self.now];
        let changed = tx.exec(sql, values).await? > 0;
        if changed {
            tx.wake(Wake::new(self.topic, list.wake_id()));
        }
        Ok(changed)
    }

    /// An entry is to be no more.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn remove(&self, tx: &mut Tx, list: List<'_>, name: &str) -> Result<(), Error> {
        let sql = "UPDATE feed_entries SET revision = $4, spec = NULL, changed_at = $5 \
             WHERE kind = $1 AND list = $2 AND name = $3 AND spec IS NOT NULL";
        let values = args![list.kind, list.id, name, self.revision, self.now];
        if tx.exec(sql, values).await? > 0 {
            tx.wake(Wake::new(self.topic, list.wake_id()));
        }
        Ok(())
    }
}

/// Has a host read a list, in the transaction that gives it the document that the list goes with.
///
/// # Errors
/// When the database refuses.
pub async fn join(tx: &mut Tx, host: &str, list: List<'_>) -> Result<(), Error> {
    let sql = "INSERT INTO feed_readers (host, kind, list, revision) \
         SELECT host, $2, $3, revision FROM feed_hosts WHERE host = $1 \
         ON CONFLICT (host, kind, list) DO NOTHING";
    tx.exec(sql, args![host, list.kind, list.id]).await?;
    Ok(())
}

/// Has a host read a list no more. What it knows of it, it forgets with the document.
///
/// # Errors
/// When the database refuses.
pub async fn leave(tx: &mut Tx, host: &str, list: List<'_>) -> Result<(), Error> {
    let sql = "DELETE FROM feed_readers WHERE host = $1 AND kind = $2 AND list = $3";
    tx.exec(sql, args![host, list.kind, list.id]).await?;
    Ok(())
}

/// Holds up everybody else who tells this host of something, until the transaction ends. In a guarded one, what is read
/// after it is what they have written; a serializable one begins again when somebody was quicker.
///
/// # Errors
/// When the database refuses.
pub async fn hold_host(tx: &mut Tx, host: &str) -> Result<(), Error> {
    let sql = "UPDATE feed_hosts SET seen_at = seen_at WHERE host = $1";
    tx.exec(sql, args![host]).await?;
    Ok(())
}

/// How many hosts read some of these lists' documents, which is how many a change of all of them wakes.
///
/// # Errors
/// When the database refuses.
pub async fn readers(db: &Db, lists: &[String]) -> Result<i64, Error> {
    let query = Where::new("SELECT COUNT(DISTINCT host) FROM feed_readers").in_("list", lists);
    let count: Vec<i64> = db.fetch_where(&query).await?;
    Ok(count.first().copied().unwrap_or(0))
}

/// Forgets entries that are gone since before.
pub(super) async fn prune(tx: &mut Tx, before: Timestamp) -> Result<(), Error> {
    let gone: Option<i64> = tx
        .fetch_scalar(
            "SELECT MAX(revision) FROM feed_entries WHERE spec IS NULL AND changed_at < $1",
            args![before],
        )
        .await?;
    let Some(gone) = gone else {
        return Ok(());
    };
    let pruned = "UPDATE feed_lists SET pruned = $1 WHERE pruned < $1";
    tx.exec(pruned, args![gone]).await?;
    let sql = "DELETE FROM feed_entries WHERE spec IS NULL AND changed_at < $1";
    tx.exec(sql, args![before]).await?;
    Ok(())
}

/// The entries of these names that there are, as kind, list and name.
///
/// # Errors
/// When the database refuses.
pub async fn named(tx: &mut Tx, names: &[String]) -> Result<Vec<Named>, Error> {
    let sql = "SELECT kind, list, name FROM feed_entries";
    let query = Where::new(sql).in_("name", names);
    tx.fetch_where(&query.raw("spec IS NOT NULL", args![]))
        .await
}

/// An entry that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The kind of the list's entries.
    pub kind: String,
    /// The list.
    pub list: String,
    /// The entry's name in it.
    pub name: String,
}

impl FromRow for Named {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            kind: row.get("kind")?,
            list: row.get("list")?,
            name: row.get("name")?,
        })
    }
}
