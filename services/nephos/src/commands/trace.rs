//! `nephos trace`: what became of one request, across services and hosts.

use std::process::ExitCode;

use nephos::journal::ask::Asking;
use nephos::journal::timeline;
use nephos::journal::words::harmless;
use nephos::secrets::Secrets;
use nephos::settings::Config;
use nephos_runtime::Clock;
use serde_json::json;

use crate::terminal::{complain, say};

/// Exit code 1 when nobody knows the request.
pub fn run(config: &Config, id: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let fits = |character: char| character.is_ascii_alphanumeric() || character == '-';
    anyhow::ensure!(
        !id.is_empty() && id.len() <= 64 && id.chars().all(fits),
        "{id:?} is no request id. They look like req-01234567-89ab-cdef-0123-456789abcdef and stand in the header \
         X-Openstack-Request-Id of every answer, in the events of a server, and in what `openstack --debug` shows"
    );
    let secrets = Secrets::read(&config.settings.state_dir)?;
    super::block_on(trace(config, &secrets, id, as_json))
}

async fn trace(
    config: &Config,
    secrets: &Secrets,
    id: &str,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let asking = Asking::new(config, secrets, Clock::system())?;
    let all = asking
        .listeners
        .iter()
        .map(|listener| asking.known(listener, id));
    let answers = futures_util::future::join_all(all).await;
    let (mut known, mut silent) = (Vec::new(), Vec::new());
    for (listener, answer) in asking.listeners.iter().zip(answers) {
        match answer {
            Ok(answer) => known.push(answer),
            Err(why) => silent.push((listener, harmless(&why.to_string()))),
        }
    }
    let lines = timeline::of(&known);
    if as_json {
        let silent: Vec<_> = silent
            .iter()
            .map(|(at, why)| json!({"at": at.at, "services": at.services, "why": why, "helps": at.helps()}))
            .collect();
        say(&json!({"request_id": id, "lines": lines, "silent": silent}).to_string());
    } else {
        for line in &lines {
            say(&format!(
                "{:>10}  {:<24} {}",
                offset(line.after),
                line.place,
                line.what
            ));
        }
        for (listener, why) in &silent {
            complain(&format!(
                "WARNING {}: {why}; {}",
                listener.at,
                listener.helps()
            ));
        }
    }
    if !lines.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    complain(&format!(
        "Nobody who answers knows {id}. Each process remembers its last requests in memory, some thousands of them, and \
         until it ends; the operations that a request began are kept for a day. It may be older than that, be of another \
         cloud (--config says which is asked), or have been refused before it came to a service."
    ));
    Ok(ExitCode::FAILURE)
}

/// `+0.012 s`.
fn offset(micros: i64) -> String {
    let sign = if micros < 0 { '-' } else { '+' };
    let micros = micros.unsigned_abs();
    format!(
        "{sign}{}.{:03} s",
        micros / 1_000_000,
        micros % 1_000_000 / 1000
    )
}
