//! `nephos doctor`: exit code 0 when nothing is wrong, 1 when something does not work.

use std::process::ExitCode;

use nephos::doctor::{self, State};
use nephos::settings::Config;
use nephos_runtime::Clock;
use serde_json::json;

use crate::terminal::say;

pub fn run(config: &Config, as_json: bool) -> anyhow::Result<ExitCode> {
    let found = super::block_on(async { Ok(doctor::look(config, &Clock::system()).await) })?;
    if as_json {
        say(&json!({ "findings": found }).to_string());
    } else {
        for one in &found {
            let mark = match one.state {
                State::Good => "good",
                State::Warning => "WARN",
                State::Bad => "BAD ",
            };
            say(&format!("{mark}  {}", one.what));
            if !one.hint.is_empty() {
                say(&format!("      → {}", one.hint));
            }
        }
    }
    let well = found.iter().all(|one| one.state != State::Bad);
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
