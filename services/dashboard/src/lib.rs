//! The dashboard: the web interface and its server half.
//!
//! - `api/`: signing in and out, the event stream, whether a server fits; `site.rs` stands in front of them: it adds the
//!   headers of every page, serves the built interface and hands calls on to the services of the cloud (`proxy.rs`).
//! - `model/`: cookies, tokens under seal, what can be watched; `store/`: who is signed in; `peers.rs`: every call to a
//!   sibling in somebody's name.
//!
//! Invariants: no token ever reaches the browser; a token in the database opens only with the session id, which stands
//! in the browser's cookie alone; a request that changes something comes from a page of this origin; nothing is reached
//! but the services of this cloud.

mod api;
mod config;
mod model;
mod peers;
mod store;

use std::sync::Arc;
use std::time::Duration;

use nephos_api::{App, Check, Core, Dialect, Dispatch, Endpoints, Service};
use nephos_auth::RuleInfo;
use nephos_bus::Bus;
use nephos_db::{Migration, migrations};
use nephos_peer::Peers;
use nephos_runtime::{Shutdown, Task};
use nephos_types::Finding;
use tokio::sync::Semaphore;

pub use config::Config;

pub(crate) type Svc = Dashboard;
pub(crate) type Cx = nephos_api::Cx<Svc>;

/// How often ended sessions are removed.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// The service.
pub struct Dashboard {
    core: Core,
    peers: Peers,
    bus: Bus,
    config: Config,
    /// One permit per open event stream.
    streams: Arc<Semaphore>,
    /// Ends the event streams, which would otherwise outlive the process's patience.
    closing: Shutdown,
}

impl std::fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dashboard").finish_non_exhaustive()
    }
}

impl Dashboard {
    /// Over its database and its siblings.
    #[must_use]
    pub fn new(core: Core, peers: Peers, bus: Bus, config: Config) -> Self {
        let streams = Arc::new(Semaphore::new(config.event_streams));
        Self {
            core,
            peers,
            bus,
            config,
            streams,
            closing: Shutdown::new(),
        }
    }

    /// Removes ended sessions now and then; ends the event streams at shutdown.
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        let (service, until) = (Arc::clone(self), shutdown.clone());
        let sweep = move || {
            let (service, until) = (Arc::clone(&service), until.clone());
            async move { service.sweep(&until).await }
        };
        let clock = self.core.clock.clone();
        let sweep = nephos_runtime::supervise("dashboard.sweep", clock, shutdown.clone(), sweep);
        let (begun, closing) = (shutdown.clone(), self.closing.clone());
        let close = nephos_runtime::spawn("dashboard.close", async move {
            begun.wait().await;
            closing.begin();
        });
        vec![sweep, close]
    }

    /// Everything below `/dashboard`: the interface, its own calls, and the way to the services.
    #[must_use]
    pub fn site(app: App<Self>) -> Arc<dyn Dispatch> {
        Arc::new(api::site::Site::new(app))
    }

    async fn sweep(&self, shutdown: &Shutdown) -> Result<(), nephos_db::Error> {
        loop {
            store::sessions::remove_ended(&self.core.db, self.core.clock.now()).await?;
            tokio::select! {
                () = shutdown.wait() => return Ok(()),
                () = self.core.clock.sleep(SWEEP_EVERY) => {}
            }
        }
    }
}

impl Service for Dashboard {
    const NAME: &'static str = "dashboard";
    const DIALECT: &'static Dialect = &api::fault::DIALECT;

    fn core(&self) -> &Core {
        &self.core
    }

    fn endpoints() -> Endpoints<Self> {
        api::endpoints()
    }

    fn rules() -> &'static [RuleInfo] {
        &[]
    }

    fn migrations() -> Vec<Migration> {
        migrations!("0001_sessions")
    }
}

impl Check for Dashboard {
    /// Tokens of sessions that are not there: nobody could open them, and nobody would remove them before their end.
    async fn check(&self) -> Result<Vec<Finding>, nephos_db::Error> {
        let orphans = store::sessions::orphans(&self.core.db).await?;
        let found = orphans.into_iter().map(|session| {
            let what = format!("a token of the session {session}, which is not there");
            Finding::new(
                what,
                "project_tokens",
                "It goes with its time; nothing has to be done.",
            )
        });
        Ok(found.collect())
    }
}
