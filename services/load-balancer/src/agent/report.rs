//! What the host tells: news at once, counters now and then, everything again once in a while.

use std::collections::BTreeMap;
use std::time::Duration;

use nephos_peer::feed::{FeedClient, Made};
use nephos_runtime::Clock;
use nephos_types::feed::Observed;
use serde_json::Value;

use super::pass::Word;
use crate::driver::DriverError;
use crate::model::spec::{Counters, HostReport, KIND_HOST, KIND_LOAD_BALANCER, LoadBalancerSeen};

/// When nothing but counters changed, it is told so often.
const COUNTERS: Duration = Duration::from_secs(10);
/// Most things of one piece of a report,
const PIECE_THINGS: usize = 100;
/// and most bytes: half of what a request may have. What alone is larger goes alone.
const PIECE_BYTES: usize = 512 * 1024;

/// What is seen, and what was told.
#[derive(Debug, Default)]
pub struct Reports {
    now: BTreeMap<String, Word>,
    told: BTreeMap<String, (Word, Duration)>,
    host: Option<HostReport>,
    host_told: bool,
    /// Whether something was refused when all was told last.
    refused: bool,
}

impl Reports {
    /// Notes what a pass has seen. What it says nothing of is as it was; what is gone is not spoken of again.
    pub fn note(&mut self, seen: BTreeMap<String, Word>) {
        self.now.extend(seen);
    }

    /// What the host says of itself.
    pub fn host(&mut self, name: &str, version: Result<String, DriverError>) {
        let problems = version.as_ref().err().map(ToString::to_string);
        let report = HostReport {
            host: name.to_owned(),
            haproxy: version.ok(),
            problems: problems.into_iter().collect(),
        };
        self.host = Some(report);
        self.host_told = false;
    }

    /// What of `all` or of what changed is to be told now.
    pub fn due(&self, all: bool, clock: &Clock) -> Vec<Observed> {
        let (at, now) = (clock.now(), clock.monotonic());
        let host = self.host.iter().filter(|_| !self.host_told);
        let host = host.map(|report| Observed {
            kind: KIND_HOST.to_owned(),
            id: report.host.clone(),
            generation_seen: 0,
            state: "up".to_owned(),
            detail: serde_json::to_value(report).unwrap_or(Value::Null),
            at,
        });
        let due = self.now.iter().filter(|(id, word)| {
            let Some((told, when)) = self.told.get(*id) else {
                return true;
            };
            let counted = now.saturating_sub(*when) >= COUNTERS && told != *word;
            all || counted || still(told) != still(word)
        });
        let due = due.map(|(id, word)| Observed {
            kind: KIND_LOAD_BALANCER.to_owned(),
            id: id.clone(),
            generation_seen: word.generation,
            state: word.state.to_owned(),
            detail: serde_json::to_value(&word.seen).unwrap_or(Value::Null),
            at,
        });
        host.chain(due).collect()
    }

    /// These were told; what is gone is forgotten.
    pub fn told(&mut self, some: &[Observed], now: Duration) {
        for one in some {
            if one.kind == KIND_HOST {
                self.host_told = true;
            } else if one.state == "gone" {
                self.now.remove(&one.id);
                self.told.remove(&one.id);
            } else if let Some(word) = self.now.get(&one.id) {
                self.told.insert(one.id.clone(), (word.clone(), now));
            }
        }
    }

    /// Notes whether something was refused this time; whether that is news.
    pub const fn refused(&mut self, refused: bool) -> bool {
        let news = refused && !self.refused;
        self.refused = refused;
        news
    }
}

/// What is to be told in pieces that the API takes. What the host says of itself is one of its own, so that nothing else
/// keeps it from being heard.
pub fn pieces(due: Vec<Observed>) -> Vec<Vec<Observed>> {
    let mut all = Vec::new();
    let (mut piece, mut bytes) = (Vec::new(), 0);
    for one in due {
        if one.kind == KIND_HOST {
            all.push(vec![one]);
            continue;
        }
        let more = serde_json::to_vec(&one).map_or(0, |text| text.len() + 1);
        let is_full = piece.len() == PIECE_THINGS || bytes + more > PIECE_BYTES;
        if is_full && !piece.is_empty() {
            all.push(std::mem::take(&mut piece));
            bytes = 0;
        }
        piece.push(one);
        bytes += more;
    }
    if !piece.is_empty() {
        all.push(piece);
    }
    all
}

/// A word without what changes all the time.
fn still(word: &Word) -> Word {
    let mut word = word.clone();
    for listener in word.seen.listeners.values_mut() {
        listener.counters = Counters::default();
    }
    word
}

/// Says what came of a load balancer on behalf of the request that wanted it.
pub fn made(teller: &FeedClient, seen: &Observed) {
    if seen.kind != KIND_LOAD_BALANCER {
        return;
    }
    let detail: LoadBalancerSeen = serde_json::from_value(seen.detail.clone()).unwrap_or_default();
    let problem = detail.problem.unwrap_or_default();
    teller.made(Made {
        kind: &seen.kind,
        id: &seen.id,
        generation: (seen.state != "gone").then_some(seen.generation_seen),
        state: &seen.state,
        failed: (seen.state == "failed").then_some(problem.as_str()),
    });
}
