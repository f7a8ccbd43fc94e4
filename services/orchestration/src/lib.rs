//! Heat v1: stacks of resources, made of templates.
//!
//! - `model/`: the template language, resource types as data (`kinds/`), what an update means (`plan`): all pure;
//! - `api/`: one file per resource; `store/`: SQL;
//! - `ops/`: reconcilers of stacks, and `resource/`: how each kind of thing is made, changed and removed;
//! - `peers.rs`: the way to siblings, in the name of whoever asked for the stack.
//!
//! Invariants: a resource's row exists before anything of it exists elsewhere and until all of it is gone; a stack is
//! driven by one operation at a time; what has no operation is not in progress.

mod api;
mod config;
mod model;
mod ops;
mod peers;
mod rules;
mod store;

use std::sync::Arc;

use nephos_api::{Check, Core, Dialect, Endpoints, Service};
use nephos_auth::RuleInfo;
use nephos_bus::Bus;
use nephos_db::{Migration, migrations};
use nephos_ops::{Worker, WorkerParts};
use nephos_peer::Peers;
use nephos_runtime::{Shutdown, Task};
use nephos_types::Finding;

pub use config::Config;

use crate::peers::Siblings;

pub(crate) type Svc = Orchestration;
pub(crate) type Cx = nephos_api::Cx<Svc>;

/// The orchestration service.
pub struct Orchestration {
    core: Core,
    bus: Bus,
    config: Config,
    siblings: Siblings,
}

impl Orchestration {
    /// A service that reaches its siblings by `peers`.
    #[must_use]
    pub fn new(core: Core, peers: Peers, bus: Bus, config: Config) -> Self {
        let siblings = Siblings::new(peers, core.clock.clone());
        Self {
            core,
            bus,
            config,
            siblings,
        }
    }

    /// Its workers.
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        let worker = self.worker();
        let work = {
            let shutdown = shutdown.clone();
            move || {
                let (worker, shutdown) = (worker.clone(), shutdown.clone());
                async move { worker.run(shutdown).await }
            }
        };
        let clock = self.core.clock.clone();
        vec![nephos_runtime::supervise(
            "orchestration.ops",
            clock,
            shutdown.clone(),
            work,
        )]
    }

    /// Drives the operations; tests drain it themselves.
    #[must_use]
    pub fn worker(self: &Arc<Self>) -> Worker<Self> {
        Worker::new(WorkerParts {
            service: Arc::clone(self),
            db: self.core.db.clone(),
            clock: self.core.clock.clone(),
            bus: self.bus.clone(),
            topic: ops::TOPIC,
            reconcilers: ops::reconcilers(),
        })
    }
}

impl Check for Orchestration {
    /// Stacks that are in progress without anybody at work on them.
    async fn check(&self) -> Result<Vec<Finding>, nephos_db::Error> {
        store::stacks::adrift(&self.core.db).await
    }
}

impl Service for Orchestration {
    const NAME: &'static str = "orchestration";
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
        let mut all = vec![nephos_ops::MIGRATION];
        all.extend(migrations!("0001_stacks"));
        all
    }
}
