//! Image, whose data is in a folder of the state directory unless it is told otherwise.

use std::sync::Arc;

use nephos_api::{Core, Service as _};
use nephos_image::{Config, Image};
use nephos_runtime::{Shutdown, Task};

use super::{Ground, Offered, Role};

impl Offered for Image {
    type Section = Config;
    const PREFIX: &'static str = "/image";
    const ROLES: &'static [Role] = &[Role::Api, Role::Worker];
    const ACCOUNT: &'static str = "glance";
    const CATALOG: Option<(&'static str, &'static str)> = Some(("glance", "/image"));

    fn build(core: Core, ground: &Ground<'_>) -> anyhow::Result<Self> {
        let mut own: Config = ground.section(Self::NAME)?;
        // A relative folder stands in the state directory.
        own.folder = ground.settings().state_dir.join(&own.folder);
        let (bus, peers) = (ground.bus.clone(), ground.peers::<Self>()?);
        Ok(Self::new(core, bus, own, peers)?)
    }

    async fn take_over(&self) -> anyhow::Result<()> {
        Ok(Self::take_over(self).await?)
    }

    fn work(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        Self::start(self, shutdown)
    }
}
