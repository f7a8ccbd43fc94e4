//! Counters that go on where the process before ended.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::spec::{Counters, ListenerSeen};

/// What was counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The process that counts.
    process: String,
    /// What those before it counted, by listener.
    before: BTreeMap<String, Counters>,
    /// What it counted when it was last asked.
    last: BTreeMap<String, Counters>,
}

impl Tally {
    /// What was written there; nothing, if it cannot be read.
    pub fn read(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Takes in what a process counted, and makes it what all of them did.
    pub fn take(&mut self, process: &str, listeners: &mut BTreeMap<String, ListenerSeen>) {
        if self.process != process {
            for (id, last) in std::mem::take(&mut self.last) {
                let before = self.before.entry(id).or_default();
                *before = sum(*before, last);
            }
            self.before.retain(|id, _| listeners.contains_key(id));
            process.clone_into(&mut self.process);
        }
        let counted = listeners
            .iter()
            .map(|(id, seen)| (id.clone(), seen.counters));
        self.last = counted.collect();
        for (id, seen) in listeners {
            let before = self.before.get(id).copied().unwrap_or_default();
            let active_connections = seen.counters.active_connections;
            seen.counters = Counters {
                active_connections,
                ..sum(before, seen.counters)
            };
        }
    }
}

const fn sum(a: Counters, b: Counters) -> Counters {
    Counters {
        active_connections: 0,
        bytes_in: a.bytes_in.saturating_add(b.bytes_in),
        bytes_out: a.bytes_out.saturating_add(b.bytes_out),
        request_errors: a.request_errors.saturating_add(b.request_errors),
        total_connections: a.total_connections.saturating_add(b.total_connections),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(n: u64) -> BTreeMap<String, ListenerSeen> {
        let counters = Counters {
            active_connections: 1,
            bytes_in: n,
            bytes_out: n,
            request_errors: n,
            total_connections: n,
        };
        BTreeMap::from([("l".to_owned(), ListenerSeen { up: true, counters })])
    }

    #[test]
    fn a_process_goes_on_counting_where_the_one_before_it_was() {
        let mut tally = Tally::default();
        let mut bytes = |process: &str, n: u64| {
            let mut listeners = counted(n);
            tally.take(process, &mut listeners);
            (
                listeners["l"].counters.bytes_in,
                listeners["l"].counters.active_connections,
            )
        };
        assert_eq!(bytes("1", 5), (5, 1));
        assert_eq!(bytes("1", 7), (7, 1));
        assert_eq!(bytes("2", 1), (8, 1));
        assert_eq!(bytes("2", 3), (10, 1));
        assert_eq!(bytes("3", 0), (10, 1));
    }

    #[test]
    fn a_listener_that_went_is_forgotten() {
        let mut tally = Tally::default();
        tally.take("1", &mut counted(5));
        tally.take("2", &mut BTreeMap::new());
        let mut again = counted(1);
        tally.take("3", &mut again);
        assert_eq!(again["l"].counters.bytes_in, 1);
    }
}
