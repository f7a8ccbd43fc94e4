//! Octavia v2: load balancers, listeners, pools, members, health monitors, L7 policies.
//!
//! Rooms: `api` (HTTP), `model` (what things are, the document that a host is told, how everything is by what it sees),
//! `store` (SQL), `ops` (the work behind requests), `agent` and `driver` (what runs on a host: one haproxy per load balancer,
//! in the network namespace of its port).
//!
//! Invariants: a load balancer's row exists before its host is told and until its host has let go; whatever changes is
//! written together with the work that carries it out, and a change that comes meanwhile is taken in by the same work; a
//! thing is active only when the host says that it carries out the very document that has it.

pub mod agent;
mod api;
mod config;
mod driver;
pub mod model;
mod ops;
mod peers;
mod rules;
mod store;

use std::sync::Arc;

use nephos_api::{Check, Core, Dialect, Endpoints, Service};
use nephos_auth::RuleInfo;
use nephos_bus::Bus;
use nephos_db::{Error, Migration, migrations};
use nephos_ops::feed::Feed;
use nephos_ops::{Worker, WorkerParts};
use nephos_peer::Peers;
use nephos_runtime::{Shutdown, Task};
use nephos_types::Finding;

pub use config::Config;

pub(crate) type Svc = LoadBalancing;
pub(crate) type Cx = nephos_api::Cx<Svc>;

/// The load balancing service.
pub struct LoadBalancing {
    core: Core,
    config: Config,
    bus: Bus,
    feed: Feed,
    siblings: peers::Siblings,
    watch: ops::Watch,
}

impl LoadBalancing {
    /// The service over its database.
    #[must_use]
    pub fn new(core: Core, peers: Peers, bus: Bus, config: Config) -> Self {
        let (db, clock) = (core.db.clone(), core.clock.clone());
        Self {
            feed: Feed::new(db, bus.clone(), clock, ops::FEED),
            siblings: peers::Siblings::new(peers),
            core,
            config,
            bus,
            watch: ops::Watch::default(),
        }
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

    /// Its workers and housekeeping.
    #[must_use]
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        let clock = self.core.clock.clone();
        let (worker, stop) = (self.worker(), shutdown.clone());
        let work = nephos_runtime::supervise(
            "load-balancer.ops",
            clock.clone(),
            shutdown.clone(),
            move || {
                let (worker, stop) = (worker.clone(), stop.clone());
                async move { worker.run(stop).await }
            },
        );
        let (service, stop) = (Arc::clone(self), shutdown.clone());
        let house =
            nephos_runtime::supervise("load-balancer.house", clock, shutdown.clone(), move || {
                let (service, stop) = (Arc::clone(&service), stop.clone());
                async move { service.keep_house(&stop).await }
            });
        vec![work, house]
    }
}

impl Check for LoadBalancing {
    async fn check(&self) -> Result<Vec<Finding>, Error> {
        store::check::run(&self.core.db).await
    }
}

impl Service for LoadBalancing {
    const NAME: &'static str = model::spec::SERVICE;
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
        let mut all = vec![
            nephos_ops::MIGRATION,
            nephos_ops::feed::MIGRATION,
            nephos_ops::feed::REQUESTS,
            nephos_ops::feed::LISTS,
            nephos_ops::feed::LAST,
        ];
        all.extend(migrations!(
            "0001_load_balancers",
            "0002_drained_hosts",
            "0003_going"
        ));
        all
    }
}
