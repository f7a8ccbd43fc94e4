//! `nephos fsck`.

use std::process::ExitCode;

use nephos::settings::Config;

pub fn run(_config: &Config, _json: bool) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
