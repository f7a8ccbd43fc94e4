//! Neutron v2.0: networks, subnets, ports, routers, floating IPs, security groups.
//!
//! Rooms: `api` (HTTP), `model` (what things are), `store` (SQL, and what follows from it for hosts), `ops` (work that
//! goes on behind requests), `agent` and `driver` (what runs on a host).
//!
//! Invariants: an address belongs to one port, because the primary key says so; what a host is told follows from the
//! tables and is written in the transaction that changes them, or marked in it; quotas are counted in it too.

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
use nephos_db::{Migration, migrations};
use nephos_ops::feed::Feed;
use nephos_peer::Peers;
use nephos_runtime::{Shutdown, Task};
use nephos_types::Finding;

pub use api::extensions::EXTENSIONS;
pub use config::Config;

use self::api::host_reports::Reports;
use self::api::port_make::Makers;
use self::store::runs::Runs;

/// The network service.
pub struct Network {
    core: Core,
    config: Config,
    bus: Bus,
    feed: Feed,
    peers: Peers,
    runs: Runs,
    reports: Reports,
    makers: Makers,
}

pub(crate) type Svc = Network;
pub(crate) type Cx = nephos_api::Cx<Svc>;

impl Network {
    /// The service over its database.
    #[must_use]
    pub fn new(core: Core, config: Config, bus: Bus, peers: Peers) -> Self {
        let feed = Feed::new(
            core.db.clone(),
            bus.clone(),
            core.clock.clone(),
            store::publish::FEED,
        );
        Self {
            core,
            config,
            bus,
            feed,
            peers,
            runs: Runs::default(),
            reports: Reports::default(),
            makers: api::port_make::makers(),
        }
    }

    /// What goes on without requests: rewriting shared documents, placing routers, telling compute of changed
    /// addresses, forgetting tombstones.
    #[must_use]
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        ops::start(self, shutdown)
    }

    /// Does at once what [`Network::start`] would do in the background; for tests and for a clean stop.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn settle(&self) -> Result<(), nephos_db::Error> {
        ops::settle(self).await?;
        ops::tell(self).await
    }
}

impl Check for Network {
    /// Inside this service.
    async fn check(&self) -> Result<Vec<Finding>, nephos_db::Error> {
        store::check::run(&self.core.db).await
    }
}

impl Service for Network {
    const NAME: &'static str = "network";
    const DIALECT: &'static Dialect = &api::fault::DIALECT;

    fn core(&self) -> &Core {
        &self.core
    }

    fn endpoints() -> Endpoints<Self> {
        api::endpoints()
    }

    fn rules() -> &'static [RuleInfo] {
        rules::all()
    }

    fn migrations() -> Vec<Migration> {
        let mut all = vec![
            nephos_ops::feed::MIGRATION,
            nephos_ops::feed::REQUESTS,
            nephos_ops::feed::LISTS,
        ];
        all.extend(migrations!(
            "0001_network",
            "0002_next_host",
            "0003_many_hosts",
            "0004_qos",
            "0005_trunks"
        ));
        all
    }
}
