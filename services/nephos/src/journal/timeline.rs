//! What became of one request, in order, from what each process knows.

use std::collections::BTreeSet;

use nephos_runtime::journal::Entry;
use nephos_types::Timestamp;
use serde::Serialize;

use super::words::{self, harmless, length, took};
use super::{Known, Work};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Line {
    /// When it began, in microseconds since 1970.
    #[serde(rename = "at", serialize_with = "iso")]
    pub began: i64,
    /// That after the request began, in microseconds; less than 0 where a host's clock is behind.
    #[serde(rename = "after_micros")]
    pub after: i64,
    /// Which service, or host.
    #[serde(rename = "where")]
    pub place: String,
    /// What.
    pub what: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn iso<S: serde::Serializer>(at: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Timestamp(*at).iso_micros())
}

/// The lines of a request, by time. What several processes know is one line.
#[must_use]
pub fn of(known: &[Known]) -> Vec<Line> {
    let mut lines = BTreeSet::new();
    // Hosts have clocks of their own, and may say what they like: the cloud's own lines say when the request began.
    let mut own = Vec::new();
    let mut told = BTreeSet::new();
    for work in known.iter().flat_map(|known| &known.operations) {
        told.insert((work.brief.kind.as_str(), work.brief.resource_id.as_str()));
        own.push(work.brief.created_at);
        lines.extend(of_work(work));
    }
    for entry in known.iter().flat_map(|known| &known.entries) {
        let of = |name: &str| entry.field(name).unwrap_or_default();
        let ended = entry.event.as_deref() == Some("operation");
        if ended && told.contains(&(of("kind"), of("resource"))) {
            continue;
        }
        let began = began(entry);
        own.extend(entry.host.is_none().then_some(began));
        let place = harmless(&words::place(entry));
        lines.insert(line(began, place, words::what(entry)));
    }
    let first = own.into_iter().min();
    let first = first.or_else(|| Some(lines.first()?.began)).unwrap_or(0);
    let mut lines: Vec<_> = lines.into_iter().collect();
    for line in &mut lines {
        line.after = line.began.saturating_sub(first);
    }
    lines
}

/// An answered request is told of when it is answered, and stands where it began.
fn began(entry: &Entry) -> i64 {
    match &*entry.message {
        "answered" => entry.at.saturating_sub(took(entry).map_or(0, i64::from)),
        _other => entry.at,
    }
}

const fn line(began: i64, place: String, what: String) -> Line {
    Line {
        began,
        after: 0,
        place,
        what,
    }
}

fn of_work(work: &Work) -> Vec<Line> {
    let Work { service, brief } = work;
    let name = format!("operation {} of {}", brief.kind, brief.resource_id);
    let at = |at: i64, what: String| line(at, service.clone(), harmless(&what));
    let mut lines = vec![at(brief.created_at, format!("{name} begins"))];
    match (brief.finished_at, &brief.error) {
        (Some(end), Some(why)) if why.starts_with("superseded") => {
            lines.push(at(end, format!("{name} {why}")));
        }
        (Some(end), Some(why)) => lines.push(at(end, format!("ERROR {name} failed: {why}"))),
        (Some(end), None) => {
            let took = u64::try_from(end - brief.created_at).unwrap_or(0);
            lines.push(at(end, format!("{name} done ({})", length(took))));
        }
        (None, _) => {
            let what = match brief.attempt {
                0 => format!("{name} goes on; its last step was '{}'", brief.step),
                tries => format!(
                    "WARNING {name} goes on; its step after '{}' failed {tries} times and is tried again",
                    brief.step
                ),
            };
            if let Some(first) = lines.first_mut() {
                first.what = harmless(&what);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nephos_ops::Brief;
    use nephos_runtime::journal::Level;

    use super::*;
    use crate::journal::Process;

    fn entry(at: i64, service: &str, message: &str, fields: &[(&'static str, &str)]) -> Arc<Entry> {
        let fields = fields.iter();
        Arc::new(Entry {
            seq: 1,
            at,
            level: Level::Info,
            request_id: Some("req-1".into()),
            service: Some(service.into()),
            host: None,
            event: message.starts_with("operation").then(|| "operation".into()),
            message: message.into(),
            fields: fields
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
        })
    }

    fn boot(finished_at: Option<i64>, error: Option<&str>) -> Work {
        Work {
            service: "compute".to_owned(),
            brief: Brief {
                id: "op".to_owned(),
                kind: "server.boot".to_owned(),
                resource_id: "s".to_owned(),
                step: "placed".to_owned(),
                attempt: 0,
                created_at: 1_500,
                finished_at,
                error: error.map(str::to_owned),
            },
        }
    }

    fn said(known: &[Known]) -> Vec<(i64, String)> {
        let lines = of(known).into_iter();
        lines
            .map(|line| (line.after, format!("{}: {}", line.place, line.what)))
            .collect()
    }

    #[test]
    fn processes_tell_one_story_and_each_thing_once() {
        let took = ("micros", "1000");
        let answered = [("method", "POST"), ("path", "/x"), ("status", "202"), took];
        let end = [("kind", "server.boot"), ("resource", "s")];
        let one = Known {
            process: Process::default(),
            entries: vec![
                entry(2_000, "compute", "answered", &answered),
                entry(9_000, "compute", "operation done", &end),
            ],
            operations: vec![boot(Some(9_000), None)],
        };
        let other = Known {
            entries: vec![entry(1_200, "placement", "looked", &[])],
            ..one.clone()
        };
        assert_eq!(
            said(&[one, other]),
            [
                (0, "compute: POST /x answered 202 (1.0 ms)".to_owned()),
                (200, "placement: looked".to_owned()),
                (500, "compute: operation server.boot of s begins".to_owned()),
                (
                    8_000,
                    "compute: operation server.boot of s done (7.5 ms)".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn a_host_moves_the_beginning_for_nobody_and_writes_no_commands() {
        let lie = [("micros", "9223372036854775807")];
        let mut of_host = Entry::clone(&entry(-5_000, "\u{1b}c", "answered", &lie));
        of_host.host = Some("node1".into());
        let known = Known {
            process: Process::default(),
            entries: vec![Arc::new(of_host), entry(2_000, "compute", "looked", &[])],
            operations: Vec::new(),
        };
        assert_eq!(
            said(&[known]),
            [
                (-7_000, " c on node1: ? ? answered ?".to_owned()),
                (0, "compute: looked".to_owned()),
            ]
        );
    }

    #[test]
    fn what_failed_and_what_goes_on_say_so() {
        let of = |work| Known {
            process: Process::default(),
            entries: Vec::new(),
            operations: vec![work],
        };
        let failed = said(&[of(boot(Some(3_000), Some("no room")))]);
        assert!(failed[1].1.contains("failed: no room"), "{failed:?}");
        let open = said(&[of(boot(None, None))]);
        assert_eq!(open.len(), 1);
        assert!(open[0].1.contains("goes on"), "{open:?}");
    }
}
