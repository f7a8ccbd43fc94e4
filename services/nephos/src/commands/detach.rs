//! `nephos up --detach`: the same `nephos up` in the background, until it answers.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nephos::running::{self, PATIENCE};
use nephos::settings::{Config, Settings};
use nephos::state::make_dirs;
use nephos_runtime::Clock;

use crate::terminal::say;

/// Lines of the log that are shown when the start failed.
const SHOWN_LINES: usize = 15;

pub fn run(config: &Config, path: Option<&Path>, simulate: Option<usize>) -> anyhow::Result<()> {
    let settings = &config.settings;
    make_dirs(&settings.state_dir)?;
    if let Some(pid) = running::answering(settings)? {
        say(&format!(
            "Nephos is running already, as process {pid}: {}/identity/v3",
            settings.origin()
        ));
        return Ok(());
    }
    let log = settings.state("nephos.log");
    let mut child = spawn(&log, path, simulate)?;
    wait_until_it_answers(settings, &mut child, &log)?;
    say(&format!(
        "Nephos is running as process {}: {}/identity/v3",
        child.id(),
        settings.origin()
    ));
    say(&format!(
        "Credentials: {}",
        settings.state("clouds.yaml").display()
    ));
    say(&format!("Log:         {}", log.display()));
    Ok(())
}

fn spawn(log: &Path, path: Option<&Path>, simulate: Option<usize>) -> anyhow::Result<Child> {
    let out = File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(path) = path {
        command.arg("--config").arg(path);
    }
    command.arg("up");
    if let Some(hosts) = simulate {
        command.arg("--simulate").arg(hosts.to_string());
    }
    command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        // A group of its own: what ends the terminal's group does not end the cloud.
        .process_group(0);
    command
        .spawn()
        .context("cannot start the background process")
}

fn wait_until_it_answers(settings: &Settings, child: &mut Child, log: &Path) -> anyhow::Result<()> {
    let clock = Clock::system();
    while clock.monotonic() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            anyhow::bail!(
                "the cloud did not start ({status}). The end of {}:\n{}",
                log.display(),
                tail(log)
            );
        }
        if running::answers(settings.listen).unwrap_or(false) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _already_gone = child.kill();
    anyhow::bail!(
        "the cloud did not answer within {} s. The end of {}:\n{}",
        PATIENCE.as_secs(),
        log.display(),
        tail(log)
    )
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(SHOWN_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}
