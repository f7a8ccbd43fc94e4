//! Block storage, whose volumes are in a folder of the state directory unless it is told otherwise.

use std::sync::Arc;

use nephos_api::{Core, Service as _};
use nephos_block::{Block, Config};
use nephos_runtime::{Clock, Shutdown, Task};

use super::{Ground, Offered, Role};
use crate::settings;

impl Offered for Block {
    type Section = Config;
    const PREFIX: &'static str = "/volume";
    const ROLES: &'static [Role] = &[Role::Api, Role::Worker];
    const ACCOUNT: &'static str = "cinder";
    const CATALOG: Option<(&'static str, &'static str)> =
        Some(("cinder", "/volume/v3/%(tenant_id)s"));

    fn build(core: Core, ground: &Ground<'_>) -> anyhow::Result<Self> {
        let mut own: Config = ground.section(Self::NAME)?;
        // A relative folder stands in the state directory.
        own.folder = ground.settings().state_dir.join(&own.folder);
        own.host = ground.settings().host();
        own.sealing_secret
            .clone_from(&ground.secrets.sealing_secret);
        let (peers, bus) = (ground.peers::<Self>()?, ground.bus.clone());
        Ok(Self::new(core, peers, bus, own)?)
    }

    async fn bootstrap(&self, _ground: &Ground<'_>) -> anyhow::Result<()> {
        Ok(Self::bootstrap(self).await?)
    }

    async fn load(&self) -> anyhow::Result<()> {
        if let Some(why) = self.why_closed().await? {
            tracing::error!("{why}");
        }
        Ok(())
    }

    async fn outside(&self) -> Option<anyhow::Result<String>> {
        match self.why_closed().await {
            Ok(why) => why.map(|why| Err(anyhow::anyhow!(why))),
            Err(why) => Some(Err(why.into())),
        }
    }

    async fn withdraw(config: &settings::Config) -> anyhow::Result<()> {
        let mut own: Config = config.file.section(Self::NAME)?;
        own.folder = config.settings.state_dir.join(&own.folder);
        nephos_block::leave(&own, Clock::system())
            .await
            .map_err(anyhow::Error::msg)
    }

    fn work(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        Self::start(self, shutdown)
    }
}
