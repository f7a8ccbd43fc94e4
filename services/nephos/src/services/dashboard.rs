//! The dashboard: pages in front of its calls, and a place in no catalog.

use std::sync::Arc;

use nephos_api::{App, Core, Dispatch, Service as _};
use nephos_dashboard::{Config, Dashboard};
use nephos_runtime::{Shutdown, Task};

use super::{Ground, Offered, Role};

impl Offered for Dashboard {
    type Section = Config;
    const PREFIX: &'static str = "/dashboard";
    const ROLES: &'static [Role] = &[Role::Api];
    const ACCOUNT: &'static str = "nephos-dashboard";
    const CATALOG: Option<(&'static str, &'static str)> = None;

    fn build(core: Core, ground: &Ground<'_>) -> anyhow::Result<Self> {
        let (peers, bus) = (ground.peers::<Self>()?, ground.bus.clone());
        Ok(Self::new(core, peers, bus, ground.section(Self::NAME)?))
    }

    fn front(app: App<Self>) -> Arc<dyn Dispatch> {
        Self::site(app)
    }

    fn serve(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        Self::start(self, shutdown)
    }
}
