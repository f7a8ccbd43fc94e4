//! Says of hosts that they come and go. Every worker notices by itself; nothing follows from it but words.

use std::collections::BTreeMap;
use std::time::Duration;

use nephos_types::Timestamp;
use tracing::{info, warn};

use crate::Compute;
use crate::store::hosts::{self, HostState};

/// Hosts are looked at so often.
const LOOK: Duration = Duration::from_secs(5);

/// What is said of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    New,
    Gone,
    Back,
}

/// Watches for ever.
pub(crate) async fn hosts(compute: &Compute) {
    let mut known = None;
    loop {
        // When the database does not answer, others say so.
        if let Ok(states) = hosts::states(&compute.core.db, None).await {
            let secs = compute.config.host_down_after_secs;
            let now = up(&states, compute.core.clock.now(), secs);
            for (host, change) in changes(known.as_ref(), &now) {
                tell(host, change, secs);
            }
            known = Some(now);
        }
        compute.core.clock.sleep(LOOK).await;
    }
}

/// Which hosts there are, and whether they report.
fn up(states: &[HostState], now: Timestamp, down_after_secs: i64) -> BTreeMap<String, bool> {
    let states = states.iter();
    states
        .map(|state| {
            let up = !state.forced_down && state.seen_at.plus_secs(down_after_secs) > now;
            (state.host.clone(), up)
        })
        .collect()
}

/// At the first look everything is as it was, but what is down should be known.
fn changes<'a>(
    before: Option<&BTreeMap<String, bool>>,
    now: &'a BTreeMap<String, bool>,
) -> Vec<(&'a str, Change)> {
    let change = |host: &str, up: bool| match (before.map(|before| before.get(host)), up) {
        (None | Some(Some(true)), false) => Some(Change::Gone),
        (Some(Some(false)), true) => Some(Change::Back),
        (Some(None), true) => Some(Change::New),
        _as_before => None,
    };
    let all = now.iter();
    all.filter_map(|(host, up)| Some((host.as_str(), change(host, *up)?)))
        .collect()
}

fn tell(host: &str, change: Change, secs: i64) {
    match change {
        Change::New => info!(
            event = "host",
            host, "the host reports for the first time, and takes servers"
        ),
        Change::Back => info!(
            event = "host",
            host, "the host reports again, and takes servers"
        ),
        Change::Gone => warn!(
            event = "host",
            host,
            secs,
            "the host does not report any more; its guests may run on. Look whether the machine, and `nephos run agents` on \
             it, run, and at `nephos doctor` there; when it is off, `openstack compute service set --down` lets its servers \
             be evacuated"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(hosts: &[(&str, bool)]) -> BTreeMap<String, bool> {
        let hosts = hosts.iter();
        hosts.map(|(host, up)| ((*host).to_owned(), *up)).collect()
    }

    #[test]
    fn what_changed_is_told_and_at_the_start_what_is_down() {
        let before = all(&[("a", true), ("b", false), ("c", true)]);
        let now = all(&[("a", false), ("b", true), ("c", true), ("d", true)]);
        assert_eq!(
            changes(Some(&before), &now),
            [("a", Change::Gone), ("b", Change::Back), ("d", Change::New)]
        );
        assert_eq!(changes(None, &now), [("a", Change::Gone)]);
        assert_eq!(changes(Some(&now), &now), []);
    }
}
