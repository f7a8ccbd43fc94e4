//! Binds an agent to its service: pulls what is wanted here, tells what is seen here, answers what is asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use nephos_peer::feed::{Desired, FeedClient};
use nephos_peer::{PeerError, Peers};
use nephos_runtime::{Clock, Shutdown, Task, spawn, supervise};
use nephos_types::feed::{FeedItem, Observed};
use serde::Serialize;
use serde_json::Value;
use tracing::warn;

use super::{Agent, DesiredServers};
use crate::driver::{Answer, DriverError, ImageBytes, ImageSource};
use crate::model::spec::{
    ConsoleTail, ConsoleWish, ImageSpec, KIND_CONSOLE, KIND_HOST, KIND_SERVER, ObservedServer, ServerId, ServerSpec,
};

/// The service whose feed it is.
const SERVICE: &str = "compute";
/// How long the service may hold a question back until there is news.
const WAIT_SECS: u64 = 25;
/// After an error the service is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A host says this often that it is there, and what it has.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Observations in one report.
const REPORT: usize = 200;
/// Whoever asked longer ago than this does not wait any more.
const STALE_SECS: i64 = 60;

/// One host's binding.
#[derive(Clone)]
pub struct Binding {
    /// The agent.
    pub agent: Agent,
    /// The way to the services.
    pub peers: Peers,
    /// The host's name.
    pub host: String,
    /// The time.
    pub clock: Clock,
}

impl Binding {
    /// Starts the agent and its two ways to the service. `folder` keeps what was wanted last, so that guests come back
    /// while the service is away.
    #[must_use]
    pub fn start(&self, folder: &Path, shutdown: &Shutdown) -> Vec<Task> {
        let file = folder.join(format!("compute-feed-{}.json", self.host));
        let client = || FeedClient::new(self.peers.clone(), SERVICE, self.host.clone(), file.clone());
        let (agent, until) = (self.agent.clone(), shutdown.clone());
        let work = supervise("compute.agent", self.clock.clone(), shutdown.clone(), move || {
            let (agent, until) = (agent.clone(), until.clone());
            async move { agent.run(until).await }
        });
        let pull = self.clone().pull(client());
        let tell = self.clone().tell(client());
        let (pull_until, tell_until) = (shutdown.clone(), shutdown.clone());
        vec![
            work,
            spawn("compute.pull", async move {
                tokio::select! { () = pull_until.wait() => {} () = pull => {} }
            }),
            spawn("compute.tell", async move {
                tokio::select! { () = tell_until.wait() => {} () = tell => {} }
            }),
        ]
    }

    async fn pull(self, mut client: FeedClient) {
        let mut specs = Specs::default();
        if let Some(kept) = client.cached() {
            self.agent.apply(specs.read(&kept));
        }
        let mut asked = BTreeMap::new();
        loop {
            match client.next(WAIT_SECS).await {
                Ok(desired) => {
                    self.agent.apply(specs.read(&desired));
                    self.answer(&desired, &mut asked);
                }
                Err(why) => {
                    warn!(host = self.host, %why, "cannot read what is wanted here; asking again");
                    self.clock.sleep(ASK_AGAIN).await;
                }
            }
        }
    }

    /// Answers each question about a console once, beside the rest of the work.
    fn answer(&self, desired: &Desired, asked: &mut BTreeMap<String, i64>) {
        let recent = self.clock.now().plus_secs(-STALE_SECS).0;
        asked.retain(|_, generation| *generation > recent);
        let wishes = desired.items.values().filter(|item| item.kind == KIND_CONSOLE);
        for item in wishes.filter(|item| item.generation > recent) {
            let wish = item.spec.clone().and_then(|spec| serde_json::from_value::<ConsoleWish>(spec).ok());
            let Some(wish) = wish else { continue };
            if asked.insert(item.id.clone(), item.generation) == Some(item.generation) {
                continue;
            }
            let (binding, item) = (self.clone(), item.clone());
            spawn("compute.console", async move { binding.console(&item, wish).await });
        }
    }

    async fn console(&self, item: &FeedItem, wish: ConsoleWish) {
        let server = ServerId::from(item.id.as_str());
        let tail = match self.agent.console_output(&server, wish.max_bytes).await {
            Ok(bytes) => ConsoleTail { text: String::from_utf8_lossy(&bytes).into_owned(), error: None },
            Err(why) => ConsoleTail { text: String::new(), error: Some(why.to_string()) },
        };
        let observed = self.observed(KIND_CONSOLE, &item.id, item.generation, &tail);
        let client = FeedClient::new(self.peers.clone(), SERVICE, self.host.clone(), "");
        if let Err(why) = client.report(&[observed]).await {
            warn!(host = self.host, %why, "cannot answer a question about a console");
        }
    }

    async fn tell(self, client: FeedClient) {
        let mut said = None;
        loop {
            let now = self.clock.monotonic();
            let due = said.is_none_or(|said: Duration| now.saturating_sub(said) >= HEARTBEAT);
            match self.report(&client, due).await {
                Ok(()) if due => said = Some(now),
                Ok(()) => {}
                Err(why) => {
                    warn!(host = self.host, %why, "cannot tell what is seen here; telling again");
                    self.clock.sleep(ASK_AGAIN).await;
                    continue;
                }
            }
            let next = said.map_or(Duration::ZERO, |said| HEARTBEAT.saturating_sub(now.saturating_sub(said)));
            let _news_or_heartbeat = self.clock.timeout(next, self.agent.reports().news()).await;
        }
    }

    /// Tells the news; with the heartbeat, also what the host has.
    async fn report(&self, client: &FeedClient, heartbeat: bool) -> Result<(), PeerError> {
        let news = self.agent.reports().take(REPORT);
        let mut observed: Vec<Observed> = news.iter().map(|seen| self.server(seen)).collect();
        if heartbeat {
            match self.agent.inventory().await {
                Ok(inventory) => observed.push(self.observed(KIND_HOST, &self.host, 0, &inventory)),
                Err(why) => warn!(host = self.host, %why, "cannot say what the host has"),
            }
        }
        if observed.is_empty() {
            return Ok(());
        }
        let told = client.report(&observed).await;
        if told.is_err() {
            self.agent.reports().give_back(&news);
        }
        told
    }

    fn server(&self, seen: &ObservedServer) -> Observed {
        self.observed(KIND_SERVER, seen.server_id.as_str(), seen.generation_seen, seen)
    }

    fn observed<T: Serialize>(&self, kind: &str, id: &str, generation_seen: i64, detail: &T) -> Observed {
        Observed {
            kind: kind.to_owned(),
            id: id.to_owned(),
            generation_seen,
            state: String::new(),
            detail: serde_json::to_value(detail).unwrap_or(Value::Null),
            at: self.clock.now(),
        }
    }
}

/// Specs that were read already, by server: of a large feed only what changed is read again.
#[derive(Default)]
struct Specs(BTreeMap<ServerId, (i64, Arc<ServerSpec>)>);

impl Specs {
    fn read(&mut self, desired: &Desired) -> DesiredServers {
        let mut next = BTreeMap::new();
        for item in desired.items.values().filter(|item| item.kind == KIND_SERVER) {
            let id = ServerId::from(item.id.as_str());
            let known = self.0.remove(&id).filter(|(generation, _)| *generation == item.generation);
            let spec = known.map(|(_, spec)| spec).or_else(|| parsed(item));
            if let Some(spec) = spec {
                next.insert(id, (item.generation, spec));
            }
        }
        self.0 = next;
        DesiredServers {
            revision: desired.revision,
            from_control_plane: desired.complete,
            servers: self.0.iter().map(|(id, (_, spec))| (id.clone(), Arc::clone(spec))).collect(),
        }
    }
}

fn parsed(item: &FeedItem) -> Option<Arc<ServerSpec>> {
    match serde_json::from_value(item.spec.clone()?) {
        Ok(spec) => Some(Arc::new(spec)),
        Err(why) => {
            warn!(server = item.id, %why, "cannot read what a server should be");
            None
        }
    }
}

/// Images from the image service.
pub struct ImageService(pub Peers);

impl ImageSource for ImageService {
    fn open<'a>(&'a self, image: &'a ImageSpec) -> Answer<'a, ImageBytes> {
        async move {
            let target = format!("/v2/images/{}/file", image.id);
            let call = self.0.get("image", target).as_service();
            let (_, chunks) = call.stream().await.map_err(|why| refused(image, &why))?;
            let chunks = futures_util::StreamExt::map(chunks, |chunk| chunk.map_err(|why| why.to_string()));
            Ok(futures_util::StreamExt::boxed(chunks))
        }
        .boxed()
    }
}

fn refused(image: &ImageSpec, why: &PeerError) -> DriverError {
    if why.is_transient() {
        DriverError::Unavailable(format!("cannot read image {}: {why}", image.id))
    } else {
        DriverError::Refused(format!("cannot read image {}: {why}", image.id))
    }
}
