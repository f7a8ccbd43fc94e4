//! The last facts of this process, in memory: what the log says, kept for `nephos trace` and `nephos events`.
//!
//! Nothing is in it that the log may not hold. It is bounded by age and by bytes, each kind of fact by itself: a burst of
//! answered requests pushes out no warning, and what hosts tell pushes out nothing of the process's own.

mod layer;
mod ring;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use nephos_types::{Micros, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

pub(crate) use self::layer::Layer;
use self::ring::Ring;
use crate::{Clock, ids};

/// Longest message, in bytes.
const MESSAGE: usize = 400;
/// Longest value of a field, in bytes.
const VALUE: usize = 240;
/// Longest name of a field, a service, an event; in bytes.
const NAME: usize = 64;
/// Most fields of an entry.
const FIELDS: usize = 12;
/// Most entries that are given at once.
const PAGE: usize = 500;
/// Of one host so many entries are kept.
const OF_HOST: usize = 256;
/// A host may tell so many entries at once,
const AT_ONCE: i64 = 512;
/// and in the long run so many in a second.
const PER_SECOND: i64 = 20;
/// Hosts whose allowance is remembered, beyond those of which something is kept.
const HOSTS: usize = 4096;
/// Another machine's clock may be so many seconds ahead; what it says of later is of now.
const AHEAD: i64 = 60;
/// A fact is shown for so many seconds, as long as operations are kept.
const AGE: i64 = 24 * 3600;

static JOURNAL: LazyLock<Journal> = LazyLock::new(Journal::default);

/// The journal of this process.
#[must_use]
pub fn journal() -> &'static Journal {
    &JOURNAL
}

/// How grave a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For whoever looks closely.
    Debug,
    /// As it should be.
    Info,
    /// Somebody should know.
    Warning,
    /// Somebody should do something.
    Error,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in this process; only grows. 0: not in a journal yet.
    #[serde(default)]
    pub seq: u64,
    /// When, in microseconds since 1970.
    pub at: Micros,
    /// How grave.
    pub level: Level,
    /// The request on whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Box<str>>,
    /// `compute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Box<str>>,
    /// The host it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Box<str>>,
    /// Why an operator wants to know although nothing is wrong: `operation`, `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Box<str>>,
    /// What.
    pub message: Box<str>,
    /// More, by name.
    #[serde(default)]
    pub fields: Vec<(Cow<'static, str>, Box<str>)>,
}

impl Entry {
    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| &**value)
    }

    /// Whether an operator wants to hear of it without asking.
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.level >= Level::Warning || self.event.is_some()
    }

    /// As another machine may tell it: of a time that can be.
    #[must_use]
    pub fn told_at(self, now: Timestamp) -> Self {
        let possible = oldest(now)..=now.plus_secs(AHEAD).0;
        let at = if possible.contains(&self.at) {
            self.at
        } else {
            now.0
        };
        Self { at, ..self }
    }

    /// As it may stand in a journal, whoever made it.
    fn bounded(mut self) -> Self {
        let cut = |text: &mut Option<Box<str>>| {
            if let Some(text) = text {
                shorten(text, NAME);
            }
        };
        for text in [
            &mut self.request_id,
            &mut self.service,
            &mut self.host,
            &mut self.event,
        ] {
            cut(text);
        }
        shorten(&mut self.message, MESSAGE);
        self.fields.truncate(FIELDS);
        for (name, value) in &mut self.fields {
            shorten(value, VALUE);
            if name.len() > NAME {
                *name = Cow::Owned(beginning(name, NAME).to_owned());
            }
        }
        self.fields.shrink_to_fit();
        self
    }

    /// What it takes in memory, in bytes.
    fn weight(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let owned = |name: &Cow<'static, str>| match name {
            Cow::Borrowed(_) => 0,
            Cow::Owned(name) => name.capacity(),
        };
        let field = |(name, value): &(Cow<'static, str>, Box<str>)| owned(name) + value.len();
        let fields: usize = self.fields.iter().map(field).sum();
        let pairs = self.fields.capacity() * size_of::<(Cow<'static, str>, Box<str>)>();
        let names = [&self.request_id, &self.service, &self.host, &self.event];
        let names: usize = names.into_iter().map(text).sum();
        // The counters of an Arc, and the way to it.
        let itself = size_of::<Self>() + 4 * size_of::<usize>();
        itself + names + self.message.len() + pairs + fields
    }
}

/// What is older is not shown any more.
fn oldest(now: Timestamp) -> Micros {
    now.plus_secs(-AGE).0
}

fn shorten(text: &mut Box<str>, limit: usize) {
    if text.len() > limit {
        *text = format!("{}…", beginning(text, limit)).into();
    }
}

fn beginning(text: &str, limit: usize) -> &str {
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// What is new in a journal.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// The oldest first.
    pub entries: Vec<Arc<Entry>>,
    /// Whoever has read this asks from here on.
    pub last: u64,
    /// Whether something between what was read before and this is not kept any more.
    pub missed: bool,
}

/// The last facts of a process.
#[derive(Debug)]
pub struct Journal {
    /// Another one after each start.
    pub process: String,
    /// When it was made, in microseconds since 1970.
    pub since: Micros,
    inner: Mutex<Inner>,
    /// Told of every fact; costs nothing while nobody waits.
    come: Notify,
}

#[derive(Debug)]
struct Inner {
    seq: u64,
    answers: Ring,
    events: Ring,
    warnings: Ring,
    of_hosts: Ring,
    shares: HashMap<Box<str>, Share>,
}

/// What of the journal is a host's.
#[derive(Debug)]
struct Share {
    kept: usize,
    /// What it may tell at once.
    allowed: i64,
    /// When that was reckoned.
    at: Micros,
}

impl Default for Journal {
    fn default() -> Self {
        const KIB: usize = 1024;
        Self {
            process: ids::hex(),
            since: Clock::system().now().0,
            inner: Mutex::new(Inner {
                seq: 0,
                answers: Ring::of(768 * KIB),
                events: Ring::of(384 * KIB),
                warnings: Ring::of(384 * KIB),
                of_hosts: Ring::of(512 * KIB),
                shares: HashMap::new(),
            }),
            come: Notify::new(),
        }
    }
}

impl Journal {
    /// Keeps a fact of this process, or of one whose word is as good.
    pub fn note(&self, entry: Entry) {
        let entry = entry.bounded();
        self.inner().put(entry);
        self.come.notify_waiters();
    }

    /// Keeps what a host tells, in its own name whatever it says, as far as its allowance goes; says how many that were.
    pub fn take_in(&self, now: Timestamp, host: &str, entries: Vec<Entry>) -> usize {
        let mut taken = 0;
        {
            let mut inner = self.inner();
            for entry in entries {
                if !inner.allow(now.0, host) {
                    break;
                }
                let host = Some(host.into());
                inner.put(Entry { host, ..entry }.told_at(now).bounded());
                taken += 1;
            }
        }
        self.come.notify_waiters();
        taken
    }

    /// What is known of a request, the oldest first; so many entries at most.
    #[must_use]
    pub fn of_request(&self, now: Timestamp, id: &str) -> Vec<Arc<Entry>> {
        let mut found: Vec<_> = {
            let mut inner = self.inner();
            inner.age(now);
            let all = inner.rings(true).into_iter().flat_map(Ring::iter);
            let of_it = all.filter(|entry| entry.request_id.as_deref() == Some(id));
            of_it.cloned().collect()
        };
        found.sort_by_key(|entry| entry.seq);
        found.truncate(PAGE);
        found
    }

    /// What came after `seq`; only news, or `all`.
    #[must_use]
    pub fn after(&self, now: Timestamp, seq: u64, all: bool) -> Page {
        let (mut entries, last, missed) = {
            let mut inner = self.inner();
            inner.age(now);
            let rings = inner.rings(all);
            let missed = seq > 0 && rings.iter().any(|ring| ring.lost_after(seq));
            let found = rings.iter().flat_map(|ring| ring.after(seq));
            let found: Vec<_> = found
                .filter(|entry| all || entry.is_news())
                .cloned()
                .collect();
            (found, inner.seq, missed)
        };
        entries.sort_by_key(|entry| entry.seq);
        let more = entries.len() > PAGE;
        entries.truncate(PAGE);
        let read = entries.last().map_or(last, |entry| entry.seq);
        Page {
            last: if more { read } else { last },
            entries,
            missed,
        }
    }

    /// Waits until something comes after `seq` that may be news.
    pub async fn changed(&self, seq: u64, all: bool) {
        loop {
            // From here on it hears of what comes, so nothing comes between the look and the wait.
            let next = self.come.notified();
            let come = {
                let inner = self.inner();
                let rings = inner.rings(all);
                rings.iter().any(|ring| ring.last() > seq)
            };
            if come {
                return;
            }
            next.await;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn rings(&self, all: bool) -> Vec<&Ring> {
        let mut rings = vec![&self.events, &self.warnings, &self.of_hosts];
        if all {
            rings.push(&self.answers);
        }
        rings
    }

    fn put(&mut self, mut entry: Entry) {
        self.seq += 1;
        entry.seq = self.seq;
        let entry = Arc::new(entry);
        if let Some(host) = &entry.host {
            return self.put_of_host(host, Arc::clone(&entry));
        }
        let ring = match (entry.level, &entry.event) {
            (Level::Warning | Level::Error, _) => &mut self.warnings,
            (_, Some(_)) => &mut self.events,
            (_, None) => &mut self.answers,
        };
        ring.push(entry, |_dropped| {});
    }

    fn put_of_host(&mut self, host: &str, entry: Arc<Entry>) {
        let share = share(&mut self.shares, host);
        if share.kept >= OF_HOST {
            self.of_hosts.drop_first_of(host);
            share.kept = share.kept.saturating_sub(1);
        }
        share.kept += 1;
        let shares = &mut self.shares;
        self.of_hosts.push(entry, |dropped| less(shares, dropped));
    }

    /// Lets go what nobody is shown any more.
    fn age(&mut self, now: Timestamp) {
        let oldest = oldest(now);
        for own in [&mut self.answers, &mut self.events, &mut self.warnings] {
            own.drop_before(oldest, |_dropped| {});
        }
        let shares = &mut self.shares;
        let dropped = |dropped: &Entry| less(shares, dropped);
        self.of_hosts.drop_before(oldest, dropped);
    }

    fn allow(&mut self, now: Micros, host: &str) -> bool {
        if self.shares.len() > HOSTS {
            self.shares.retain(|_, share| share.kept > 0);
        }
        let share = share(&mut self.shares, host);
        let passed = now.saturating_sub(share.at).max(0);
        let earned = passed.saturating_mul(PER_SECOND) / 1_000_000;
        if earned > 0 {
            share.allowed = share.allowed.saturating_add(earned).min(AT_ONCE);
            share.at = now;
        }
        let allowed = share.allowed > 0;
        share.allowed -= i64::from(allowed);
        allowed
    }
}

fn share<'a>(shares: &'a mut HashMap<Box<str>, Share>, host: &str) -> &'a mut Share {
    // Hosts have few names, and most of the time theirs is known.
    shares.entry(host.into()).or_insert(Share {
        kept: 0,
        allowed: AT_ONCE,
        at: 0,
    })
}

/// A host has one fewer.
fn less(shares: &mut HashMap<Box<str>, Share>, dropped: &Entry) {
    let of = dropped.host.as_deref().unwrap_or_default();
    if let Some(share) = shares.get_mut(of) {
        share.kept = share.kept.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
