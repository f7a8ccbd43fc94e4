//! `nephos status`.

use std::process::ExitCode;
use std::sync::Arc;

use nephos::running;
use nephos::services::SERVICES;
use nephos::settings::Config;
use nephos_peer::{Account, Directory, Peers, Replicas, Transport};
use nephos_runtime::Clock;
use serde::Serialize;
use serde_json::json;

use crate::terminal::say;

/// One copy of a service, as its listener says.
#[derive(Serialize)]
struct Listener {
    service: &'static str,
    at: String,
    answers: bool,
    /// What it says of itself, or why it does not answer.
    words: String,
}

/// Exit code 0 when all of it runs, 3 when nothing does, as `systemctl status` has it, and 1 when some of it does.
pub fn run(config: &Config, as_json: bool) -> anyhow::Result<ExitCode> {
    let settings = &config.settings;
    let pid = running::pid(&settings.state_dir)?;
    let mut copies = match pid {
        None => super::block_on(ask_all(config))?,
        Some(_) => Vec::new(),
    };
    let up = copies.iter().filter(|copy| copy.answers).count();
    if up == 0 && !config.has_peers() {
        copies.clear();
    }
    if as_json {
        say(&json!({ "pid": pid, "copies": copies }).to_string());
    } else if copies.is_empty() {
        one_process(config, pid);
    } else {
        for copy in &copies {
            say(&format!(
                "{:<14} {:<32} {}",
                copy.service, copy.at, copy.words
            ));
        }
        if up < copies.len() {
            say(
                "What does not answer: does it run there (`systemctl status 'nephos*'`, its log)? `nephos doctor` says what of the way \
                 to it is broken.",
            );
        }
    }
    Ok(match (pid.is_some(), up) {
        (true, _) => ExitCode::SUCCESS,
        (false, up) if up > 0 && up == copies.len() => ExitCode::SUCCESS,
        (false, 0) => ExitCode::from(3),
        (false, _some) => ExitCode::FAILURE,
    })
}

fn one_process(config: &Config, pid: Option<i32>) {
    let settings = &config.settings;
    let Some(pid) = pid else {
        say(&format!(
            "Nephos is not running (state: {}).",
            settings.state_dir.display()
        ));
        return;
    };
    say(&format!("Nephos is running as process {pid}."));
    say(&format!("Catalog:     {}/identity/v3", settings.origin()));
    say(&format!("Dashboard:   {}/dashboard/", settings.origin()));
    say(&format!(
        "Credentials: {}",
        settings.state("clouds.yaml").display()
    ));
}

async fn ask_all(config: &Config) -> anyhow::Result<Vec<Listener>> {
    let mut questions = Vec::new();
    for offer in &SERVICES {
        for at in config.origins(offer.name) {
            questions.push(ask(offer.name, at));
        }
    }
    futures_util::future::join_all(questions)
        .await
        .into_iter()
        .collect()
}

async fn ask(service: &'static str, at: String) -> anyhow::Result<Listener> {
    let directory = Directory::default();
    let there = Replicas::new(vec![at.clone()]);
    directory.set(service, Transport::Http(Arc::new(there)));
    let peers = Peers::new(directory, Account::Nobody, Clock::system(), at.clone())?;
    let answer = peers.get(service, "/healthz").send().await;
    let (answers, words) = match answer {
        Ok(answer) => (true, String::from_utf8_lossy(&answer.body).into_owned()),
        Err(why) => (false, format!("does not answer: {}", why.message)),
    };
    Ok(Listener {
        service,
        at,
        answers,
        words: words.trim().replace('\n', "; "),
    })
}
