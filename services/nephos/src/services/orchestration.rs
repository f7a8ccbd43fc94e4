//! Orchestration, whose signals come by URLs with the cloud's public address.

use std::sync::Arc;

use nephos_api::{Core, Service as _};
use nephos_orchestration::{Config, Orchestration};
use nephos_runtime::{Shutdown, Task};

use super::{Ground, Offered, Role};

impl Offered for Orchestration {
    type Section = Config;
    const PREFIX: &'static str = "/orchestration";
    const ROLES: &'static [Role] = &[Role::Api, Role::Worker];
    const ACCOUNT: &'static str = "heat";
    const CATALOG: Option<(&'static str, &'static str)> =
        Some(("heat", "/orchestration/v1/$(project_id)s"));

    fn build(core: Core, ground: &Ground<'_>) -> anyhow::Result<Self> {
        let mut own: Config = ground.section(Self::NAME)?;
        if own.public_url.is_empty() {
            own.public_url = format!("{}{}", ground.settings().origin(), Self::PREFIX);
        }
        own.region.clone_from(&ground.settings().region);
        let (peers, bus) = (ground.peers::<Self>()?, ground.bus.clone());
        Ok(Self::new(core, peers, bus, own))
    }

    fn work(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        Self::start(self, shutdown)
    }
}
