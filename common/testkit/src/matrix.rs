//! The tenant matrix: every endpoint, asked by every persona.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use http::Method;
use nephos_api::Service;
use serde_json::Value;

use crate::{Ask, Persona};

/// Asks each endpoint of `S` as each persona and gives a table: one line per endpoint, one status per persona.
///
/// `fixture` makes the target and body of one call: it is asked before every call, so it can make a fresh thing
/// that the call may change or delete. It gives `None` for an endpoint that it does not know: that fails the test,
/// so that no endpoint is without its row.
pub async fn matrix<S, F, Fut>(ask: &Ask, mut fixture: F) -> String
where
    S: Service,
    F: FnMut(&'static str) -> Fut,
    Fut: Future<Output = Option<(String, Value)>>,
{
    let mut lines: BTreeMap<String, String> = BTreeMap::new();
    for row in S::endpoints() {
        let info = row.info;
        let mut line = format!("{:<40}", info.name);
        for persona in Persona::ALL {
            let cell = match fixture(info.name).await {
                None => "NO ROW".to_owned(),
                Some((target, body)) => {
                    let ask =
                        at_version(&ask.as_persona(persona), S::DIALECT.versioning, info.since);
                    let bodyless =
                        matches!(info.method, Method::GET | Method::HEAD | Method::DELETE)
                            && body.is_null();
                    let bytes = if bodyless {
                        bytes::Bytes::new()
                    } else {
                        body.to_string().into()
                    };
                    ask.send(info.method.clone(), &target, bytes)
                        .await
                        .status
                        .to_string()
                }
            };
            let _writing_to_a_string = write!(line, " {cell:>6}");
        }
        lines.insert(format!("{} {}", info.name, info.since), line);
    }
    let mut table = format!("{:<40}", "endpoint");
    for persona in Persona::ALL {
        let _writing_to_a_string = write!(table, " {:>6}", short(persona));
    }
    for line in lines.values() {
        table.push('\n');
        table.push_str(line.trim_end());
    }
    table.push('\n');
    table
}

const fn short(persona: Persona) -> &'static str {
    match persona {
        Persona::Nobody => "nobody",
        Persona::Reader => "reader",
        Persona::Member => "member",
        Persona::Manager => "manag.",
        Persona::Admin => "admin",
        Persona::OtherProject => "other",
        Persona::Service => "serv.",
        Persona::Host => "host",
        Persona::OtherHost => "o.host",
    }
}

fn at_version(ask: &Ask, versioning: nephos_api::Versioning, since: nephos_api::Version) -> Ask {
    match versioning {
        nephos_api::Versioning::None => ask.clone(),
        nephos_api::Versioning::Microversion { service, min, .. } => {
            ask.at(&format!("{service} {}", since.max(min)))
        }
    }
}

/// Compares `table` with the golden file; `UPDATE_GOLDEN=1` writes it instead.
///
/// # Panics
/// When they differ, when a row is missing, or when anything answered 5xx.
#[track_caller]
pub fn check_matrix(table: &str, golden: &Path) {
    assert!(
        !table.contains("NO ROW"),
        "an endpoint has no row:\n{table}"
    );
    let server_error = table.split_whitespace().any(|cell| {
        cell.len() == 3 && cell.starts_with('5') && cell.bytes().all(|byte| byte.is_ascii_digit())
    });
    assert!(!server_error, "something answered 5xx:\n{table}");
    check_golden("the tenant matrix", table, golden);
}

/// Compares a text with its golden file, or writes it when `UPDATE_GOLDEN` is set. `what` names it in the failure.
///
/// # Panics
/// When they differ, or the file cannot be written.
#[track_caller]
#[expect(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test's assertion"
)]
pub fn check_golden(what: &str, table: &str, golden: &Path) {
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        let written = std::fs::write(golden, table);
        assert!(written.is_ok(), "cannot write {}", golden.display());
        return;
    }
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    if expected != table {
        panic!(
            "{what} differs from {}; now it is:\n{table}",
            golden.display()
        );
    }
}
