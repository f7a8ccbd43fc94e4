//! Nova v2.1: servers, flavors, key pairs, and the hosts they run on.
//!
//! Invariant: a server's row exists before anything of it exists elsewhere, and outlives all of it.
//!
//! Map: `api/` the calls, `model/` what a server is, `store/` SQL, `ops/` the work, `peers.rs` the siblings;
//! `agent/` and `driver/` run on hosts and know nothing of the rest but `model/spec.rs`.

pub mod agent;
mod api;
mod config;
pub mod driver;
pub mod model;
mod ops;
mod peers;
mod rules;
mod store;

use std::sync::Arc;
use std::time::Duration;

pub use config::Config;
use nephos_api::{Core, Dialect, Endpoints, Service};
use nephos_auth::{RuleInfo, Seal};
use nephos_bus::Bus;
use nephos_db::{Migration, migrations};
use nephos_ops::feed::Feed;
use nephos_ops::{Worker, WorkerParts};
use nephos_peer::Peers;
use nephos_runtime::{Shutdown, Task};

/// The service type that [`nephos_api::endpoint!`] looks for.
pub(crate) type Svc = Compute;

/// A server's history is kept this long.
const HISTORY_SECS: i64 = 90 * 24 * 3600;

/// The compute service.
pub struct Compute {
    core: Core,
    config: Config,
    siblings: peers::Siblings,
    feed: Feed,
    bus: Bus,
    consoles: ops::consoles::Consoles,
    reports: ops::observe::Reports,
    /// Closes what is on its way to guests; none: this machine has no secret for it.
    seal: Option<Seal>,
}

impl Service for Compute {
    const NAME: &'static str = "compute";
    const DIALECT: &'static Dialect = &api::DIALECT;

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
        ];
        all.extend(migrations!(
            "0001_compute",
            "0002_hosts",
            "0003_groups",
            "0004_status",
            "0005_volumes",
            "0007_consoles",
            "0009_migrations",
            "0011_late_ports",
            "0012_live",
            "0013_guest_passwords"
        ));
        all
    }
}

impl Compute {
    /// The service over its database, whose tables are there.
    #[must_use]
    pub fn new(core: Core, peers: Peers, bus: Bus, config: Config) -> Self {
        let feed = Feed::new(core.db.clone(), bus.clone(), core.clock.clone(), ops::FEED);
        let siblings = peers::Siblings::new(peers, core.clock.clone());
        let secret = Some(&config.sealing_secret).filter(|secret| !secret.is_empty());
        let seal = secret.and_then(|secret| Seal::new(secret).ok());
        Self {
            core,
            config,
            siblings,
            feed,
            bus,
            consoles: ops::consoles::Consoles::new(),
            reports: ops::observe::Reports::default(),
            seal,
        }
    }

    /// A worker for its operations.
    #[must_use]
    pub fn worker(self: &Arc<Self>) -> Worker<Self> {
        Worker::new(WorkerParts {
            service: Arc::clone(self),
            db: self.core.db.clone(),
            clock: self.core.clock.clone(),
            bus: self.bus.clone(),
            topic: ops::OPS,
            reconcilers: ops::reconcilers(),
        })
    }

    /// Starts the work of this service: its operations and its housekeeping.
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        let clock = self.core.clock.clone();
        let (worker, until) = (self.worker(), shutdown.clone());
        let work = nephos_runtime::supervise("compute.worker", clock.clone(), until, {
            let shutdown = shutdown.clone();
            move || {
                let (worker, shutdown) = (worker.clone(), shutdown.clone());
                async move { worker.run(shutdown).await }
            }
        });
        let service = Arc::clone(self);
        let house =
            nephos_runtime::supervise("compute.house", clock, shutdown.clone(), move || {
                let service = Arc::clone(&service);
                async move { service.keep_house().await }
            });
        let service = Arc::clone(self);
        let watch = async move { ops::watch::hosts(&service).await };
        let until = shutdown.clone();
        let watch = nephos_runtime::spawn("compute.watch", async move {
            tokio::select! { () = until.wait() => {} () = watch => {} }
        });
        let (clock, service) = (self.core.clock.clone(), Arc::clone(self));
        let ports =
            nephos_runtime::supervise("compute.ports", clock, shutdown.clone(), move || {
                let service = Arc::clone(&service);
                async move {
                    loop {
                        service.end_late_ports().await?;
                        service.core.clock.sleep(Duration::from_secs(60)).await;
                    }
                    #[expect(unreachable_code, reason = "it says what the loop may fail with")]
                    Ok::<(), nephos_db::Error>(())
                }
            });
        vec![work, house, ports, watch]
    }

    async fn keep_house(&self) -> Result<(), nephos_db::Error> {
        loop {
            let now = self.core.clock.now();
            let prune = || async {
                let mut tx = self.core.db.write().await?;
                store::actions::prune(&mut tx, now.plus_secs(-HISTORY_SECS)).await?;
                store::migrations::prune(&mut tx, now.plus_secs(-HISTORY_SECS)).await?;
                store::consoles::prune(&mut tx, now).await?;
                nephos_ops::feed::prune(&mut tx, now).await?;
                tx.commit().await
            };
            self.core.db.again(prune).await?;
            let wrong = self.repair().await?;
            if wrong > 0 {
                tracing::warn!(wrong, "quota usage was noted wrongly, and is counted anew");
            }
            self.core.clock.sleep(Duration::from_secs(3600)).await;
        }
    }
}
