//! `nephos up`: everything, until it is told to stop.

use std::process::ExitCode;

use nephos::cloud::Cloud;
use nephos::credentials;
use nephos::hosts::Machine;
use nephos::running::{self, Claim, Running};
use nephos::secrets::Secrets;
use nephos::services::Parts;
use nephos::settings::Config;
use nephos::state::make_dirs;
use nephos_runtime::{Clock, logging};

use super::serving::{self, Listeners};
use crate::terminal::say;

pub fn run(config: &Config, simulate: Option<usize>) -> anyhow::Result<ExitCode> {
    let settings = &config.settings;
    make_dirs(&settings.state_dir)?;
    let secrets = Secrets::ensure(&settings.state_dir)?;
    if let Some(pid) = running::answering(settings)? {
        say(&format!(
            "Nephos is running already, as process {pid}: {}/identity/v3",
            settings.origin()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let running = match Running::claim(&settings.state_dir)? {
        Claim::Ours(running) => running,
        Claim::Theirs(pid) => anyhow::bail!("process {pid} has just begun to run this cloud"),
    };
    logging::init(&config.log);
    let listeners = Listeners::bind(settings)?;
    let machine = simulate.map_or(Machine::This, Machine::Simulated);
    super::block_on(serve(config, &secrets, listeners, machine))?;
    drop(running);
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    config: &Config,
    secrets: &Secrets,
    listeners: Listeners,
    machine: Machine,
) -> anyhow::Result<()> {
    let shutdown = serving::shutdown()?;
    let cloud = Cloud::open(config, secrets, Clock::system(), Parts::all()).await?;
    cloud.migrate().await?;
    cloud.bootstrap().await?;
    cloud.load().await?;
    credentials::write(&config.settings, secrets)?;
    serving::serve(&cloud, listeners, machine, &shutdown).await
}
