//! Placement: no work behind its calls.

use std::sync::Arc;

use nephos_api::{Core, Service as _};
use nephos_placement::{Config, Placement};
use nephos_runtime::{Shutdown, Task};

use super::{Ground, Offered, Role};

impl Offered for Placement {
    type Section = Config;
    const PREFIX: &'static str = "/placement";
    const ROLES: &'static [Role] = &[Role::Api];
    const ACCOUNT: &'static str = "placement";
    const CATALOG: Option<(&'static str, &'static str)> = Some(("placement", "/placement"));

    fn build(core: Core, ground: &Ground<'_>) -> anyhow::Result<Self> {
        Ok(Self::new(core, ground.section(Self::NAME)?))
    }

    fn serve(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        Self::start(self, shutdown)
    }
}
