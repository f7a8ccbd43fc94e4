//! What runs on a host: compares the load balancers that are wanted here with those that are, and applies the difference.
//!
//! Invariants: nothing is removed for being absent from a document that did not come from the control plane in this
//! process, and nothing goes back to an older document by the word of a copy that was kept; after a start of the machine
//! nothing begins before the control plane has been heard; load balancers go on without their agent, and an agent that
//! starts again finds them.

mod documents;
mod pass;
mod report;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nephos_peer::feed::{Behalf, Desired, FeedClient};
use nephos_peer::{PeerError, Peers};
use nephos_runtime::{Clock, Shutdown};
use tokio::sync::watch;
use tracing::{debug, warn};

use self::documents::Documents;
use self::pass::Pass;
use self::report::Reports;
pub use crate::driver::fake::Fake;
pub use crate::driver::haproxy::Haproxy;
pub use crate::driver::{Driver, DriverError, Seen};
use crate::model::spec::SERVICE;

/// While the port of one is awaited, it is looked for so often.
const SOON: Duration = Duration::from_millis(200);
/// Without a document, there is nothing to do for this long.
const LOOK_FOR_NEWS: Duration = Duration::from_secs(2);

/// How an agent works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host's name.
    pub host: String,
    /// Keeps the feed's copy, so that load balancers are looked after while the service is away; empty: nothing is kept.
    pub feed_file: PathBuf,
    /// How often it is looked how they are.
    pub pace: Duration,
    /// How often everything is told again, and the host itself is.
    pub tell_again: Duration,
}

impl Settings {
    /// A host of this name with everything else as it is by default.
    #[must_use]
    pub fn new(host: impl Into<String>, feed_file: impl Into<PathBuf>) -> Self {
        Self {
            host: host.into(),
            feed_file: feed_file.into(),
            pace: Duration::from_secs(2),
            tell_again: Duration::from_secs(30),
        }
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
        let behalf = Behalf::default();
        let feed = self.client(self.settings.feed_file.clone(), &behalf);
        // After a start of the machine there is nothing here to look after, and what it had may be elsewhere by now.
        let kept = feed.cached();
        // Of these it is said that they are gone, when they are, whatever is left of them here.
        let known = kept
            .iter()
            .flat_map(|kept| documents::ids(&kept.desired))
            .collect();
        let kept = kept.filter(|kept| kept.of_this_boot);
        let (tell, told) = watch::channel(kept.map(|kept| kept.desired));
        let pulled = feed.follow(|desired| {
            tell.send_if_modified(|known| {
                let new = known.as_ref() != Some(&desired);
                *known = Some(desired);
                new
            });
        });
        let worked = self.work(told, &behalf, known);
        tokio::select! {
            () = shutdown.wait() => {}
            () = pulled => {}
            () = worked => {}
        }
        Ok(())
    }

    fn client(&self, file: PathBuf, behalf: &Behalf) -> FeedClient {
        let host = self.settings.host.clone();
        FeedClient::new(self.peers.clone(), SERVICE, host, file).on_behalf(behalf.clone())
    }

    async fn work(
        &self,
        mut told: watch::Receiver<Option<Desired>>,
        behalf: &Behalf,
        known: BTreeSet<String>,
    ) {
        // Reports go by a client of their own: the other one is busy waiting for news.
        let teller = self.client(PathBuf::new(), behalf);
        let mut pass = Pass::new(Arc::clone(&self.driver), self.clock.clone(), known);
        let mut reports = Reports::default();
        let mut documents = Documents::default();
        let mut everything_at = Duration::ZERO;
        loop {
            let desired = told.borrow_and_update().clone();
            let mut pause = LOOK_FOR_NEWS;
            if let Some(desired) = desired {
                let now = self.clock.monotonic();
                let everything = now >= everything_at;
                if everything {
                    everything_at = now + self.settings.tell_again;
                    reports.host(&self.settings.host, self.driver.version().await);
                }
                documents = documents.follow(&desired);
                let outcome = pass.run(&documents).await;
                pause = if outcome.awaits {
                    SOON
                } else {
                    self.settings.pace
                };
                reports.note(outcome.seen);
                self.tell(&teller, &mut reports, everything).await;
            }
            tokio::select! {
                news = told.changed() => {
                    if news.is_err() {
                        return; // nobody pulls any more
                    }
                }
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    async fn tell(&self, teller: &FeedClient, reports: &mut Reports, everything: bool) {
        let due = reports.due(everything, &self.clock);
        let mut refused = None;
        for some in report::pieces(due) {
            some.iter().for_each(|seen| report::made(teller, seen));
            match teller.report(&some).await {
                Ok(()) => reports.told(&some, self.clock.monotonic()),
                // What is wrong with these is not wrong with others.
                Err(why) if is_refusal(&why) => refused = Some(why),
                Err(why) => {
                    debug!(%why, "cannot tell how load balancers are; it is told again");
                    return;
                }
            }
        }
        let is_news = reports.refused(refused.is_some());
        if let Some(why) = refused.filter(|_| is_news) {
            warn!(
                %why,
                "what this host says of some load balancers is refused, and it is told again; until it is heard, changes of these are not seen to be carried out"
            );
        }
    }
}

/// Whether it was heard and is refused as it is, as opposed to being told too early or by nobody who may.
const fn is_refusal(why: &PeerError) -> bool {
    matches!(why.status, Some(400 | 402..=428 | 430..=499))
}

/// Removes every load balancer from this host. For a cloud that is taken down.
///
/// # Errors
/// The first one that could not be removed; the rest is removed all the same.
pub async fn remove_everything(driver: &dyn Driver) -> Result<(), DriverError> {
    let mut first = Ok(());
    for id in driver.list().await? {
        let removed = driver.remove(&id).await;
        if first.is_ok() {
            first = removed;
        }
    }
    first
}

#[cfg(test)]
mod tests;
