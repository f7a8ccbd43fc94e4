//! Facts of one kind, the oldest of which go when there is no room.

use std::collections::VecDeque;
use std::sync::Arc;

use nephos_types::Micros;

use super::Entry;

#[derive(Debug)]
pub struct Ring {
    entries: VecDeque<Arc<Entry>>,
    /// What they take, and may take, in bytes.
    bytes: usize,
    limit: usize,
    /// The last one that went.
    gone: u64,
}

impl Ring {
    pub const fn of(limit: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            limit,
            gone: 0,
        }
    }

    pub fn push(&mut self, entry: Arc<Entry>, mut dropped: impl FnMut(&Entry)) {
        self.bytes += entry.weight();
        self.entries.push_back(entry);
        while self.bytes > self.limit {
            let Some(first) = self.entries.pop_front() else {
                break;
            };
            self.forget(&first);
            dropped(&first);
        }
    }

    /// Lets go what came first, as far as it is of before `at`.
    pub fn drop_before(&mut self, at: Micros, mut dropped: impl FnMut(&Entry)) {
        while self.entries.front().is_some_and(|first| first.at < at) {
            let Some(first) = self.entries.pop_front() else {
                break;
            };
            self.forget(&first);
            dropped(&first);
        }
    }

    /// Lets the oldest entry of a host go.
    pub fn drop_first_of(&mut self, host: &str) {
        let mut entries = self.entries.iter();
        let first = entries.position(|entry| entry.host.as_deref() == Some(host));
        if let Some(first) = first.and_then(|at| self.entries.remove(at)) {
            self.forget(&first);
        }
    }

    fn forget(&mut self, entry: &Entry) {
        self.bytes = self.bytes.saturating_sub(entry.weight());
        self.gone = self.gone.max(entry.seq);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    pub fn after(&self, seq: u64) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries
            .iter()
            .rev()
            .take_while(move |entry| entry.seq > seq)
    }

    /// Whether one that came after `seq` is gone.
    pub const fn lost_after(&self, seq: u64) -> bool {
        self.gone > seq
    }

    /// The number of the newest.
    pub fn last(&self) -> u64 {
        self.entries.back().map_or(0, |entry| entry.seq)
    }
}
