//! `nephos fsck`: exit code 0 when everything fits, 1 when something does not, 2 when it cannot be said.

use std::process::ExitCode;

use nephos::cloud::{Cloud, elsewhere};
use nephos::fsck::{Finding, Joined, OnHost};
use nephos::secrets::Secrets;
use nephos::settings::Config;
use nephos::{hosts, hypervisor};
use nephos_peer::Peers;
use nephos_runtime::Clock;
use serde_json::json;

use crate::terminal::{complain, say};

pub fn run(config: &Config, as_json: bool) -> anyhow::Result<ExitCode> {
    let findings = match super::block_on(check(config)) {
        Ok(findings) => findings,
        Err(why) => {
            complain(&format!("nephos: the check could not be made: {why:#}"));
            return Ok(ExitCode::from(2));
        }
    };
    if as_json {
        say(&json!({ "findings": findings }).to_string());
    } else {
        for Finding { by, id, what, hint } in &findings {
            say(&format!("{by}: {id}: {what}. {hint}"));
        }
        say(&format!("{} findings", findings.len()));
    }
    let fits = findings.is_empty();
    Ok(if fits {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn check(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let clock = Clock::system();
    if let Some(joined) = &config.settings.membership {
        let directory = elsewhere(config)?;
        let peers = Peers::new(directory, joined.key(), clock.clone(), joined.url.clone())?;
        let host = on_host(config, clock)?;
        return Joined { peers, host }.check().await;
    }
    let secrets = Secrets::read(&config.settings.state_dir)?;
    let cloud = Cloud::look(config, &secrets, clock.clone()).await?;
    cloud.load().await?;
    // Simulated hosts leave no servers' folder; then there is nothing to look at.
    let host = if hosts::is_real(&config.settings) {
        Some(on_host(config, clock)?)
    } else {
        None
    };
    cloud.sources(host)?.check().await
}

fn on_host(config: &Config, clock: Clock) -> anyhow::Result<OnHost> {
    let settings = &config.settings;
    let compute: nephos_compute::Config = config.file.section("compute")?;
    Ok(OnHost {
        name: settings.host(),
        uri: hypervisor::ensure(&compute.libvirt_uri, &settings.state_dir)?,
        folder: settings.state("host"),
        config: config.clone(),
        clock,
    })
}
