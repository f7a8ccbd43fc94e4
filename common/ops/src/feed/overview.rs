//! Who has news, looked at for all hosts at once. While the broker is away, what other processes write is not heard of: a
//! thousand polls that each looked for themselves would be a thousand questions a second.

use std::collections::HashMap;
use std::time::Duration;

use nephos_db::{Db, Error, FromRow, Row, args};
use nephos_runtime::Clock;
use nephos_types::feed::Known;
use tokio::sync::Mutex;

/// While nobody else is heard, a look is good for this long.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// The last look; who asks while somebody looks waits for that look.
#[derive(Debug, Default)]
pub(super) struct Overview(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// When it was begun, by the monotonic clock.
    at: Option<Duration>,
    /// It did not end well, or not at all: who asks meanwhile looks for itself.
    failed: bool,
    /// The revision of each host.
    hosts: HashMap<String, i64>,
    /// The last revision of each list, under the name by which its readers are woken.
    lists: HashMap<String, i64>,
    /// The last revision of any list.
    revision: i64,
}

impl Overview {
    /// Whether there may be more for a host that reads these lists than what is `known` of it, by a look that was begun later
    /// than `after`.
    pub async fn has_news(
        &self,
        (db, clock): (&Db, &Clock),
        after: Option<Duration>,
        (host, lists): (&str, &[String]),
        known: Known,
    ) -> bool {
        let mut seen = self.0.lock().await;
        if seen.at.is_none() || seen.at <= after {
            seen.at = Some(clock.monotonic());
            // Until it has ended: who asked may hang up in the middle of it.
            seen.failed = true;
            seen.failed = seen.look(db).await.is_err();
        }
        let newer = |list: &String| seen.lists.get(list).is_some_and(|last| *last > known.lists);
        seen.failed || seen.hosts.get(host) != Some(&known.since) || lists.iter().any(newer)
    }
}

impl Seen {
    async fn look(&mut self, db: &Db) -> Result<(), Error> {
        let hosts: Vec<Revision> = db
            .fetch_all("SELECT host AS name, revision FROM feed_hosts", args![])
            .await?;
        self.hosts = hosts.into_iter().map(|one| (one.name, one.last)).collect();
        // Before the entries: who writes them stands in line behind this row, so there is never one that comes after a later
        // one, and what comes in between is seen once more.
        let all: Vec<All> = db
            .fetch_all("SELECT revision, pruned FROM feed_lists", args![])
            .await?;
        let Some(all) = all.first() else {
            return Ok(());
        };
        if all.revision < self.revision {
            // The database is one of before.
            (self.lists, self.revision) = (HashMap::new(), 0);
        }
        let lists: Vec<Revision> = db
            .fetch_all(
                "SELECT kind || '/' || list AS name, MAX(revision) AS revision FROM feed_entries \
                 WHERE revision > $1 GROUP BY kind, list",
                args![self.revision],
            )
            .await?;
        self.revision = all.revision;
        self.lists.retain(|_, last| *last > all.pruned);
        let lists = lists.into_iter().map(|one| (one.name, one.last));
        self.lists.extend(lists);
        Ok(())
    }
}

struct All {
    revision: i64,
    pruned: i64,
}

impl FromRow for All {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            revision: row.get("revision")?,
            pruned: row.get("pruned")?,
        })
    }
}

struct Revision {
    name: String,
    last: i64,
}

impl FromRow for Revision {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.get("name")?,
            last: row.get("revision")?,
        })
    }
}
