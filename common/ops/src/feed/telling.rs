//! Telling one host of several things in one transaction, by few statements.

use std::collections::BTreeMap;

use nephos_db::{Arg, Error, FromRow, Row, Tx, Where, args};
use nephos_runtime::request;
use nephos_types::{Timestamp, Wake};
use serde::Serialize;

use super::Item;
use super::lists::List;

/// What one host is told at one revision of its feed. From its beginning to the end of the transaction nobody else tells
/// the host of anything, or takes anything from it.
pub struct Telling<'a> {
    topic: &'static str,
    host: &'a str,
    now: Timestamp,
    revision: i64,
    /// What it was told before, and is told now, of what was looked at; by kind and id.
    known: BTreeMap<(String, String), Item>,
    items: Vec<Vec<Arg>>,
    readers: Vec<Vec<Arg>>,
}

impl<'a> Telling<'a> {
    /// Waits for its turn with `host`, and looks at what it was told of the things with these ids. A guarded transaction
    /// ([`nephos_db::Db::guarded`]) sees what others told it before; a serializable one begins again when somebody was
    /// quicker. `topic` as in [`Place::topic`](super::Place::topic).
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn begin(
        tx: &mut Tx,
        now: Timestamp,
        (topic, host): (&'static str, &'a str),
        ids: &[&str],
    ) -> Result<Self, Error> {
        let mut telling = Self {
            topic,
            host,
            now,
            revision: super::next_revision(tx, host).await?,
            known: BTreeMap::new(),
            items: Vec::new(),
            readers: Vec::new(),
        };
        telling.look(tx, ids).await?;
        Ok(telling)
    }

    /// Looks at what the host was told of these too.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn look(&mut self, tx: &mut Tx, ids: &[&str]) -> Result<(), Error> {
        let query = Where::new("SELECT kind, id, generation, spec FROM feed_items");
        let query = query.eq("host", self.host).in_("id", ids);
        let told: Vec<Told> = tx.fetch_where(&query).await?;
        let told = told.into_iter().map(|told| (told.key, told.item));
        self.known.extend(told);
        Ok(())
    }

    /// Whether a thing that was looked at is wanted on the host.
    #[must_use]
    pub fn knows(&self, kind: &str, id: &str) -> bool {
        let item = self.known.get(&(kind.to_owned(), id.to_owned()));
        item.is_some_and(|item| item.spec.is_some())
    }

    /// Wants a thing that was looked at on the host, like this; the same again changes nothing.
    ///
    /// # Errors
    /// When the spec cannot be written.
    pub fn want<T: Serialize>(&mut self, kind: &str, id: &str, spec: &T) -> Result<(), Error> {
        let spec = serde_json::to_string(spec).map_err(|why| Error::damaged(why.to_string()))?;
        let key = (kind.to_owned(), id.to_owned());
        let last = self.known.get(&key);
        if last.is_some_and(|last| last.spec.as_ref() == Some(&spec)) {
            return Ok(());
        }
        let item = Item::after(last, self.now, spec);
        self.items.push(args![
            self.host,
            kind,
            id,
            item.generation,
            self.revision,
            item.spec,
            self.now,
            request::current(),
        ]);
        self.known.insert(key, item);
        Ok(())
    }

    /// Has the host read a list, as [`lists::join`](super::lists::join).
    pub fn read(&mut self, list: List<'_>) {
        let reader = args![self.host, list.kind, list.id, self.revision];
        self.readers.push(reader);
    }

    /// Writes what the host is told, and wakes it once that is committed.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn end(self, tx: &mut Tx) -> Result<(), Error> {
        if self.items.is_empty() {
            return Ok(());
        }
        tx.exec_rows(
            "INSERT INTO feed_items (host, kind, id, generation, revision, spec, changed_at, request_id)",
            &self.items,
            "ON CONFLICT (host, kind, id) DO UPDATE SET generation = excluded.generation, \
             revision = excluded.revision, spec = excluded.spec, changed_at = excluded.changed_at, \
             request_id = excluded.request_id",
        )
        .await?;
        tx.exec_rows(
            "INSERT INTO feed_readers (host, kind, list, revision)",
            &self.readers,
            "ON CONFLICT (host, kind, list) DO NOTHING",
        )
        .await?;
        tx.wake(Wake::new(self.topic, self.host));
        Ok(())
    }
}

/// What a host was told of a thing.
struct Told {
    key: (String, String),
    item: Item,
}

impl FromRow for Told {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            key: (row.get("kind")?, row.get("id")?),
            item: Item::from_row(row)?,
        })
    }
}
