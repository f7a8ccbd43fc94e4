//! What runs on a host: compares the whole of what is wanted here with the whole of what is here, and applies the
//! difference.
//!
//! Invariants: what is not ours is not touched; nothing is removed for being absent from a document that did not come
//! from the control plane in this process; packets pass, or do not, by what the kernel knows, so the agent may end at
//! any instant; what it does not remember, it looks up.

mod answers;
mod apply;
mod connections;
mod differences;
mod documents;
mod guest;
mod metadata;
mod pass;
mod picture;
mod plan;
mod report;
mod tables;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use nephos_peer::Peers;
use nephos_peer::feed::{Behalf, Desired, FeedClient};
use nephos_runtime::{Clock, Shutdown};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::debug;

pub use self::differences::{Difference, differences};
use self::documents::Documents;
use self::metadata::Relay;
use self::pass::Pass;
use self::report::Reports;
pub use crate::driver::fake::Fake;
pub use crate::driver::kernel::Kernel;
pub use crate::driver::{Driver, DriverError};

/// The service whose feed it is.
const SERVICE: &str = "network";
/// Most things of one report.
const REPORT_SIZE: usize = 2000;
/// After a change the agent waits for more of them: as long as the last pass took, within these bounds. So a quiet host
/// is quick, and a busy one passes half of its time at most.
const GATHER: [Duration; 2] = [Duration::from_millis(2), Duration::from_secs(2)];
/// Without a document, there is nothing to do for this long.
const LOOK_FOR_NEWS: Duration = Duration::from_secs(2);
/// After a pass that did not go well, or a report that nobody took, the next one comes after this long.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How an agent works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host's name.
    pub host: String,
    /// Keeps the feed's copy, so that the network is looked after while the service is away; empty: nothing is kept.
    pub feed_file: PathBuf,
    /// This host's end of tunnels.
    pub vtep: IpAddr,
    /// Networks outside the cloud that this host reaches, by name.
    pub physical_networks: BTreeMap<String, PhysicalNetwork>,
    /// Network namespaces whose names begin so are ours. Clouds that share a machine need different ones.
    pub namespace_prefix: String,
    /// How often everything is looked at again, whatever changed.
    pub look_again: Duration,
}

/// A network outside the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhysicalNetwork {
    /// The bridge by which this host reaches it, once something is plugged into it; made when it is missing.
    pub bridge: String,
    /// The host's own address there, with the length of the prefix: on a cloud of one machine, the way to its floating IPs.
    #[serde(default)]
    pub host_address: Option<IpNet>,
}

impl Settings {
    /// A host of this name with everything else as it is by default.
    #[must_use]
    pub fn new(host: impl Into<String>, feed_file: impl Into<PathBuf>, vtep: IpAddr) -> Self {
        let public = PhysicalNetwork {
            bridge: "nx-public".to_owned(),
            host_address: None,
        };
        Self {
            host: host.into(),
            feed_file: feed_file.into(),
            vtep,
            physical_networks: BTreeMap::from([("public".to_owned(), public)]),
            namespace_prefix: "nephos-".to_owned(),
            look_again: Duration::from_secs(30),
        }
    }

    fn router_space(&self, id: &str) -> String {
        format!("{}r-{id}", self.namespace_prefix)
    }

    fn metadata_space(&self, id: &str) -> String {
        format!("{}m-{id}", self.namespace_prefix)
    }

    /// The load-balancing service says the same.
    fn port_space(&self, id: &str) -> String {
        format!("{}l-{}", self.namespace_prefix, picture::short(id))
    }
}

/// A host's agent.
pub struct Agent {
    peers: Peers,
    clock: Clock,
    settings: Settings,
    driver: Arc<dyn Driver>,
}

impl Agent {
    /// An agent that does nothing until [`Agent::run`].
    #[must_use]
    pub fn new(peers: Peers, clock: Clock, settings: Settings, driver: Arc<dyn Driver>) -> Self {
        Self {
            peers,
            clock,
            settings,
            driver,
        }
    }

    /// Works until shutdown. Started again after a failure it goes on where it was.
    ///
    /// # Errors
    /// Never by itself; for [`nephos_runtime::supervise`].
    pub async fn run(&self, shutdown: Shutdown) -> Result<(), DriverError> {
        let feed = FeedClient::new(
            self.peers.clone(),
            SERVICE,
            self.settings.host.clone(),
            self.settings.feed_file.clone(),
        );
        let behalf = Behalf::default();
        let feed = feed.on_behalf(behalf.clone());
        // After a start of the machine there is nothing here to look after, and what it had may be elsewhere: a router there
        // has its addresses, and would have them here too.
        let kept = feed.cached().filter(|kept| kept.of_this_boot);
        let (tell, told) = watch::channel(kept.map(|kept| kept.desired));
        let pulled = feed.follow(|desired| {
            tell.send_if_modified(|known| {
                let new = known.as_ref() != Some(&desired);
                *known = Some(desired);
                new
            });
        });
        let worked = self.work(told, behalf);
        tokio::select! {
            () = shutdown.wait() => {}
            () = pulled => {}
            () = worked => {}
        }
        Ok(())
    }

    async fn work(&self, mut told: watch::Receiver<Option<Desired>>, behalf: Behalf) {
        let relay = Relay {
            peers: self.peers.clone(),
            clock: self.clock.clone(),
        };
        let mut pass = Pass::new(Arc::clone(&self.driver), self.settings.clone(), relay);
        let mut reports = Reports::default();
        // Reports go by a client of their own: the other one is busy waiting for news.
        let teller = FeedClient::new(self.peers.clone(), SERVICE, self.settings.host.clone(), "");
        let teller = teller.on_behalf(behalf);
        let mut look_again_at = Duration::ZERO;
        let mut documents = Documents::default();
        loop {
            let desired = told.borrow_and_update().clone();
            let now = self.clock.monotonic();
            let mut pause = LOOK_FOR_NEWS;
            if let Some(desired) = desired {
                let everything = now >= look_again_at;
                if everything {
                    look_again_at = now + self.settings.look_again;
                }
                documents = documents.follow(&desired);
                let well = pass.run(&documents, everything, &mut reports).await;
                let told = self.tell(&teller, &mut reports, everything).await;
                pause = look_again_at.saturating_sub(self.clock.monotonic());
                if !well || !told {
                    pause = pause.min(TRY_AGAIN);
                }
            }
            let [least, most] = GATHER;
            let took = self.clock.monotonic().saturating_sub(now);
            tokio::select! {
                news = told.changed() => {
                    if news.is_err() {
                        return; // nobody pulls any more
                    }
                    self.clock.sleep(took.clamp(least, most)).await;
                }
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    /// Whether what was to be told is told.
    async fn tell(&self, teller: &FeedClient, reports: &mut Reports, everything: bool) -> bool {
        let due = reports.due(everything, &self.clock);
        if due.is_empty() {
            return true;
        }
        due.iter().for_each(|seen| report::made(teller, seen));
        for some in due.chunks(REPORT_SIZE) {
            if let Err(why) = teller.report(some).await {
                debug!(%why, "cannot report; it is told again");
                return false;
            }
        }
        reports.told();
        true
    }
}

/// Removes everything of ours from this host: links, namespaces, filters, routes. For a cloud that is taken down.
///
/// # Errors
/// The first thing that could not be removed; the rest is removed all the same.
pub async fn remove_everything(
    settings: &Settings,
    driver: &Arc<dyn Driver>,
) -> Result<(), DriverError> {
    pass::remove_everything(settings, driver.as_ref()).await
}

#[cfg(test)]
mod tests;
#[cfg(test)]
use tests::bench as tests_bench;
