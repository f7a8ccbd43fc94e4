//! Placement 1.0–1.39: who has how much of what, who holds it, and who could give what a request asks for.
//!
//! `api/` speaks HTTP, `model/` holds the providers in memory and searches them, `store/` is the truth in SQL.
//!
//! Invariants: a write begins by taking the revision row, so checks and writes see one state, and the last unit of
//! anything is given once; `inventories.used` is the sum of the allocations; a consumer exists as long as it holds
//! something; what a client was told is written is in the next answer of every process.

mod api;
mod config;
mod model;
mod rules;
mod store;
mod together;

use std::sync::Arc;

pub use config::Config;
use nephos_api::{Check, Core, Dialect, Endpoints, Service};
use nephos_auth::RuleInfo;
use nephos_db::{Error, Migration, migrations};
use nephos_runtime::{Shutdown, Task};
use nephos_types::Finding;
use store::reading::Reading;
use together::Together;

/// The service.
pub struct Placement {
    core: Core,
    config: Config,
    reading: Reading,
    together: Together,
}

type Svc = Placement;
type Cx = nephos_api::Cx<Svc>;

impl std::fmt::Debug for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Placement").finish_non_exhaustive()
    }
}

impl Placement {
    /// Over its database.
    #[must_use]
    pub fn new(core: Core, config: Config) -> Self {
        Self {
            core,
            config,
            reading: Reading::default(),
            together: Together::default(),
        }
    }

    /// Reads the providers once, so that the first request need not; there is no other background work.
    pub fn start(self: &Arc<Self>, _shutdown: &Shutdown) -> Vec<Task> {
        let service = Arc::clone(self);
        vec![nephos_runtime::spawn("placement.warm", async move {
            if let Err(error) = service.reading.now(&service.core.db).await {
                tracing::warn!(%error, "the providers could not be read ahead; they are read when they are asked for");
            }
        })]
    }
}

impl Check for Placement {
    /// What its tables say against each other.
    async fn check(&self) -> Result<Vec<Finding>, Error> {
        store::fsck::findings(&self.core.db).await
    }
}

impl Service for Placement {
    const NAME: &'static str = "placement";
    const DIALECT: &'static Dialect = &api::fault::DIALECT;

    fn core(&self) -> &Core {
        &self.core
    }

    fn endpoints() -> Endpoints<Self> {
        api::endpoints()
    }

    fn rules() -> &'static [RuleInfo] {
        rules::ALL
    }

    fn migrations() -> Vec<Migration> {
        migrations!("0001_placement")
    }
}
