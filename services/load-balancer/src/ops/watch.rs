//! What a worker remembers while it looks after hosts. All of it can be lost: then it begins to watch anew.
//!
//! When the API, the database or this worker was away, all hosts look silent, and none of them is lost. So a host is left
//! only by a worker that has looked without a break for as long as a host may be silent, and heard of others at each look.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::tree::BalancerId;

/// From one look to the next there is no more when it is without a break.
const BREAK: Duration = Duration::from_secs(45);
/// A load balancer that was to leave its host, and is there still, is asked again after this.
const AGAIN: Duration = Duration::from_secs(600);
/// What failed is tried again after this, then after twice as long,
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// and so on up to this. When it has not failed for so long, it begins anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Since when somebody was heard of at each look.
    hearing_since: Option<Duration>,
    last_look: Duration,
    /// When load balancers were asked to leave their hosts.
    asked: BTreeMap<BalancerId, Duration>,
    /// When those that failed are tried next, and how long that is after the last time.
    failed: BTreeMap<BalancerId, (Duration, Duration)>,
}

impl Watch {
    /// Notes a look at this time of the monotonic clock, and whether any host was heard of lately; for how long that has
    /// been so.
    pub(crate) fn look(&self, at: Duration, heard: bool) -> Duration {
        let mut state = self.state();
        let broken = at.saturating_sub(state.last_look) > BREAK;
        state.last_look = at;
        state
            .asked
            .retain(|_, when| at.saturating_sub(*when) < AGAIN);
        state
            .failed
            .retain(|_, (next, _)| at.saturating_sub(*next) < LONGEST_PAUSE);
        if !heard {
            state.hearing_since = None;
            return Duration::ZERO;
        }
        let since = match state.hearing_since {
            Some(since) if !broken => since,
            _anew => at,
        };
        state.hearing_since = Some(since);
        at.saturating_sub(since)
    }

    /// Whether a load balancer is to be asked to leave its host: not again and again.
    pub(crate) fn asks(&self, id: &BalancerId, at: Duration) -> bool {
        let mut state = self.state();
        let new = !state.asked.contains_key(id);
        if new {
            state.asked.insert(id.clone(), at);
        }
        new
    }

    /// Whether a load balancer that is seen to have failed is to be tried again now: with growing pauses.
    pub(crate) fn tries(&self, id: &BalancerId, at: Duration) -> bool {
        let mut state = self.state();
        let first = (at + FIRST_PAUSE, FIRST_PAUSE);
        let (next, pause) = state.failed.entry(id.clone()).or_insert(first);
        if at < *next {
            return false;
        }
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        *next = at + *pause;
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_heard_others_all_the_while_says_that_somebody_is_silent() {
        let watch = Watch::default();
        let look = |at: u64, heard| watch.look(Duration::from_secs(at), heard).as_secs();
        assert_eq!(look(1000, true), 0);
        assert_eq!(look(1010, true), 10);
        assert_eq!(look(1020, false), 0);
        assert_eq!(look(1030, true), 0);
        assert_eq!(look(1070, true), 40);
        // It slept itself.
        assert_eq!(look(1200, true), 0);
        assert_eq!(look(1210, true), 10);
        let id = BalancerId::from("a");
        let asks = |at| watch.asks(&id, Duration::from_secs(at));
        assert!(asks(1210) && !asks(1220));
        assert_eq!(look(1811, true), 0);
        assert!(asks(1811));
    }

    #[test]
    fn what_failed_is_tried_with_growing_pauses_and_begins_anew_when_it_was_well() {
        let watch = Watch::default();
        let id = BalancerId::from("a");
        let mut tried = Vec::new();
        for at in (0..2400).step_by(10) {
            let at = Duration::from_secs(at);
            watch.look(at, true);
            if watch.tries(&id, at) {
                tried.push(at.as_secs());
            }
        }
        assert_eq!(tried, [30, 90, 210, 450, 930, 1530, 2130]);
        let later = Duration::from_secs(5000);
        watch.look(later, true);
        assert!(!watch.tries(&id, later));
        assert!(watch.tries(&id, later + FIRST_PAUSE));
    }
}
