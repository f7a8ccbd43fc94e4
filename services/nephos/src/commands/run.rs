//! `nephos run`: some parts of some services, beside other processes that run the rest.

use std::net::SocketAddr;

use nephos::cloud::Cloud;
use nephos::hosts::Machine;
use nephos::secrets::Secrets;
use nephos::services::{Parts, Role};
use nephos::settings::Config;
use nephos::state::make_dirs;
use nephos_runtime::{Clock, logging};

use super::serving::{self, Listeners};

/// What the command line says.
pub struct Wanted<'a> {
    /// `compute`, `compute/api`, `agents`.
    pub parts: &'a [String],
    /// Instead of `listen` of nephos.toml.
    pub listen: Option<SocketAddr>,
    /// Instead of `internal_listen` of nephos.toml.
    pub internal_listen: Option<SocketAddr>,
    /// Simulated hosts instead of this machine.
    pub simulate: Option<usize>,
}

pub fn run(config: &Config, wanted: &Wanted<'_>) -> anyhow::Result<()> {
    let parts = Parts::parse(wanted.parts)?;
    let mut config = config.clone();
    config.settings.listen = wanted.listen.unwrap_or(config.settings.listen);
    let internal = wanted.internal_listen.or(config.settings.internal_listen);
    config.settings.internal_listen = internal;
    make_dirs(&config.settings.state_dir)?;
    // A host that joined has none of the cloud's secrets, and needs none.
    let only_agents = !parts.any(Role::Api) && !parts.any(Role::Worker);
    let secrets = match &config.settings.membership {
        Some(_) if only_agents => Secrets::default(),
        _ => Secrets::read(&config.settings.state_dir)?,
    };
    logging::init(&config.log);
    let listeners = if parts.any(Role::Api) {
        Listeners::bind(&config.settings)?
    } else {
        Listeners::none()
    };
    let machine = wanted.simulate.map_or(Machine::This, Machine::Simulated);
    super::block_on(async {
        let shutdown = serving::shutdown()?;
        let cloud = Cloud::open(&config, &secrets, Clock::system(), parts).await?;
        cloud.load().await?;
        serving::serve(&cloud, listeners, machine, &shutdown).await
    })
}
