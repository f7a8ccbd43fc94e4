//! `nephos fsck`: exit code 0 when everything fits, 1 when something does not, 2 when it cannot be said.

use std::process::ExitCode;

use nephos::cloud;
use nephos::fsck::Finding;
use nephos::running;
use nephos::secrets::Secrets;
use nephos::settings::Config;
use nephos::state::make_dirs;
use serde_json::json;

use crate::terminal::{complain, say};

pub fn run(config: &Config, as_json: bool) -> anyhow::Result<ExitCode> {
    let findings = super::block_on(check(config));
    let findings = match findings {
        Ok(findings) => findings,
        Err(why) => {
            complain(&format!("nephos: the check could not be made: {why:#}"));
            return Ok(ExitCode::from(2));
        }
    };
    if as_json {
        say(&json!({ "findings": findings }).to_string());
    } else {
        for Finding { kind, id, what } in &findings {
            say(&format!("{kind}: {id}: {what}"));
        }
        say(&format!("{} findings", findings.len()));
    }
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A cloud that runs is asked over HTTP; one that does not is opened here.
async fn check(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let settings = &config.settings;
    let running = running::pid(&settings.state_dir)?.is_some();
    make_dirs(&settings.state_dir)?;
    let secrets = Secrets::ensure(&settings.state_dir)?;
    cloud::sources(config, &secrets, running)
        .await?
        .check()
        .await
}
