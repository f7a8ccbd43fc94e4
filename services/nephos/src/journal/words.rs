//! What an operator reads of an entry.

use nephos_runtime::journal::{Entry, Level};
use nephos_types::Timestamp;
use serde_json::{Map, Value, json};

/// Where something happened: the host, or else the service.
#[must_use]
pub fn place(entry: &Entry) -> String {
    match (&entry.service, &entry.host) {
        (Some(service), Some(host)) => format!("{service} on {host}"),
        (None, Some(host)) => format!("host {host}"),
        (Some(service), None) => service.to_string(),
        (None, None) => "process".to_owned(),
    }
}

/// What happened, in one line that does nothing to a terminal.
#[must_use]
pub fn what(entry: &Entry) -> String {
    let of = |name: &str| entry.field(name).unwrap_or("?");
    let took = took(entry).map_or(String::new(), |micros| {
        format!(" ({})", length(micros.into()))
    });
    let said = match &*entry.message {
        "answered" => format!(
            "{} {} answered {}{took}",
            of("method"),
            of("path"),
            of("status")
        ),
        "refused" => format!("refused with {}: {}", of("status"), of("why")),
        "operation done" => format!("{} of {} done", of("kind"), of("resource")),
        message => {
            let rest = entry.fields.iter().filter(|(name, _)| name != "micros");
            let rest = rest.map(|(name, value)| format!(" {name}={value}"));
            let rest: String = rest.collect();
            let ended = message.ends_with(['.', '?']);
            let colon = if rest.is_empty() || ended { "" } else { ":" };
            format!("{message}{colon}{rest}{took}")
        }
    };
    let mark = match entry.level {
        Level::Debug | Level::Info => "",
        Level::Warning => "WARNING ",
        Level::Error => "ERROR ",
    };
    harmless(&format!("{mark}{said}"))
}

/// How long it took, in microseconds; what took more than an hour says so itself.
#[must_use]
pub fn took(entry: &Entry) -> Option<u32> {
    entry.field("micros")?.parse().ok()
}

/// Text of whoever, without what a terminal takes for a command.
#[must_use]
pub fn harmless(text: &str) -> String {
    let one = |character: char| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    };
    text.chars().map(one).collect()
}

/// `1.2 ms`, `3.41 s`.
#[must_use]
pub fn length(micros: u64) -> String {
    let (whole, rest) = (micros / 1000, micros % 1000 / 100);
    if micros < 1_000_000 {
        return format!("{whole}.{rest} ms");
    }
    format!(
        "{}.{:02} s",
        micros / 1_000_000,
        micros % 1_000_000 / 10_000
    )
}

/// An entry for programs.
#[must_use]
pub fn value(entry: &Entry) -> Value {
    let fields = entry.fields.iter();
    let fields: Map<String, Value> = fields
        .map(|(name, value)| (name.to_string(), json!(value)))
        .collect();
    json!({
        "at": Timestamp(entry.at).iso_micros(),
        "level": entry.level,
        "service": entry.service,
        "host": entry.host,
        "request_id": entry.request_id,
        "event": entry.event,
        "message": entry.message,
        "fields": fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short_to_read() {
        assert_eq!(length(1_234), "1.2 ms");
        assert_eq!(length(3_419_000), "3.41 s");
    }

    #[test]
    fn what_a_host_tells_commands_no_terminal() {
        let entry = Entry {
            seq: 1,
            at: 0,
            level: Level::Warning,
            request_id: None,
            service: None,
            host: Some("node1".into()),
            event: None,
            message: "\u{1b}[2Jgone\n".into(),
            fields: vec![("why".into(), "a\rb".into())],
        };
        assert_eq!(what(&entry), "WARNING  [2Jgone : why=a b");
        assert_eq!(place(&entry), "host node1");
    }
}
