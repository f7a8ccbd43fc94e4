//! Who has news, looked at for all hosts at once. While the broker is away, what other processes write is not heard of: a
//! thousand polls that each looked for themselves would be a thousand questions a second.

use std::collections::HashMap;
use std::time::Duration;

use nephos_db::{Db, Error, FromRow, Row, args};
use nephos_types::feed::Known;
use tokio::sync::Mutex;

/// A look is good for this long.
const FRESH: Duration = Duration::from_secs(1);

/// The last look; who asks too early waits for nobody.
#[derive(Debug, Default)]
pub(super) struct Overview(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// When, by the monotonic clock.
    at: Option<Duration>,
    /// The revision of each host.
    hosts: HashMap<String, i64>,
    /// The last revision of each list, under the name by which its readers are woken.
    lists: HashMap<String, i64>,
    /// The last revision of any list.
    revision: i64,
}

impl Overview {
    /// Whether there is more for a host that reads these lists than what is `known` of it: none, or what is known now.
    pub async fn no_news(
        &self,
        (db, now): (&Db, Duration),
        (host, lists): (&str, &[String]),
        known: Known,
    ) -> Result<Option<Known>, Error> {
        let mut seen = self.0.lock().await;
        if seen.at.is_none_or(|at| now.saturating_sub(at) >= FRESH) {
            seen.look(db).await?;
            seen.at = Some(now);
        }
        let news = |list: &String| seen.lists.get(list).is_some_and(|last| *last > known.lists);
        if seen.hosts.get(host) != Some(&known.since) || lists.iter().any(news) {
            return Ok(None);
        }
        let lists = seen.revision.max(known.lists);
        Ok(Some(Known { lists, ..known }))
    }
}

impl Seen {
    async fn look(&mut self, db: &Db) -> Result<(), Error> {
        let hosts: Vec<Revision> = db
            .fetch_all("SELECT host AS name, revision FROM feed_hosts", args![])
            .await?;
        self.hosts = hosts.into_iter().map(|one| (one.name, one.last)).collect();
        // Who writes entries stands in line, so there is never one that comes after a later one.
        let lists: Vec<Revision> = db
            .fetch_all(
                "SELECT kind || '/' || list AS name, MAX(revision) AS revision FROM feed_entries \
                 WHERE revision > $1 GROUP BY kind, list",
                args![self.revision],
            )
            .await?;
        for one in lists {
            self.revision = self.revision.max(one.last);
            self.lists.insert(one.name, one.last);
        }
        Ok(())
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
