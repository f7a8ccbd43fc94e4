//! Structured logs on standard error, one line per fact. Never a secret, never a user's data.

use std::io::{self, Write};
use std::sync::LazyLock;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::journal;
use crate::metrics::Labelled;

/// Writes of the log that failed, by error.
static LOST: LazyLock<Labelled> =
    LazyLock::new(|| Labelled::new("log_writes_lost", "Writes of the log that failed", "why"));

/// The `[log]` section of `nephos.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A filter such as `info` or `info,nephos_compute=debug`.
    pub filter: String,
    /// `text` for people, `json` for collectors.
    pub format: LogFormat,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            // Clients' mistakes are no errors of the program, which says its own itself.
            filter: "info,sqlx=warn,lapin=warn,actix_server=warn,s3s=off".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// Starts logging for this process, and the journal beside it. A second call does nothing.
pub fn init(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Lossy(io::stderr()))
        // It would be said on standard error, which is what fails.
        .log_internal_errors(false)
        .with_ansi(false);
    // The filter is before both: the journal keeps what the log says, and nothing else.
    let both = tracing_subscriber::registry()
        .with(filter)
        .with(journal::Layer::new());
    let _second_call = match config.format {
        LogFormat::Text => both.with(lines).try_init(),
        LogFormat::Json => both.with(lines.json().flatten_event(true)).try_init(),
    };
}

/// A full disk costs lines of the log, never the request that wanted to say something.
struct Lossy<W>(W);

impl<W: Write> Write for Lossy<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(why) = self.0.write_all(bytes) {
            LOST.add(match why.kind() {
                io::ErrorKind::StorageFull => "full",
                _other => "other",
            });
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _nothing_to_keep = self.0.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_costs_the_line_and_is_counted() {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        writeln!(Lossy(full), "a line").unwrap();
        let text = crate::metrics::render();
        assert!(
            text.contains("nephos_log_writes_lost_total{why=\"full\"} 1"),
            "{text}"
        );
    }
}
