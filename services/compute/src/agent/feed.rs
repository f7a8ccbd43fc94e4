//! Binds an agent to its service: pulls what is wanted here, tells what is seen here, answers what is asked.
//!
//! News goes out at once, and what comes up meanwhile goes with the next report: one is under way at a time. Everything
//! is told again now and then, which is also how a host says that it is alive. A thousand simulated hosts are a thousand
//! bindings in one process, so none of this may beat in step: each has its own phase.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use nephos_peer::feed::{self, Desired, FeedClient, Made};
use nephos_peer::{PeerError, Peers};
use nephos_runtime::{Clock, Shutdown, Task, spawn, supervise};
use nephos_types::feed::{FeedItem, Observed};
use serde::Serialize;
use serde_json::Value;
use tracing::{info, warn};

use super::asked::Asked;
use super::snapshots::Snapshots;
use super::{Agent, DesiredServers, Word, console};
use crate::driver::{Answer, DriverError, ImageBytes, ImageSource};
use crate::model::console::{ConsoleCall, KIND_CALL};
use crate::model::disk::{DiskCall, KIND_DISK};
use crate::model::guest_password::KIND_PASSWORD;
use crate::model::spec::{
    ConsoleTail, ConsoleWish, GuestState, HOST_AWAY, HostInventory, ImageSpec, KIND_CONSOLE,
    KIND_HOST, KIND_SERVER, ObservedServer, Progress, ServerId, ServerSpec,
};
use crate::model::volume::VolumeKey;

/// The service whose feed it is.
const SERVICE: &str = "compute";
/// What could not be told is told again after this long.
const TELL_AGAIN: Duration = Duration::from_secs(1);
/// Everything is told again so often.
const EVERYTHING: Duration = Duration::from_secs(20);
/// What the host has is told when it changed, and so often anyway.
const INVENTORY: Duration = Duration::from_secs(120);
/// Observations in one report.
const REPORT: usize = 200;
/// Whoever asked longer than this before the agent started does not wait any more.
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
        // Whatever these tasks say is of this host.
        let _span = tracing::info_span!("agent", service = SERVICE, host = self.host).entered();
        let file = if self.agent.guests_outlive_us() {
            file_of(folder, &self.host)
        } else {
            PathBuf::new()
        };
        let (agent, until) = (self.agent.clone(), shutdown.clone());
        let work = supervise(
            "compute.agent",
            self.clock.clone(),
            shutdown.clone(),
            move || {
                let (agent, until) = (agent.clone(), until.clone());
                async move { agent.run(until).await }
            },
        );
        let pull = self.clone().pull(self.client(file));
        let tell = self.clone().tell(self.client(PathBuf::new()));
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

    pub(super) fn client(&self, file: PathBuf) -> FeedClient {
        FeedClient::new(self.peers.clone(), SERVICE, self.host.clone(), file)
            .on_behalf(self.agent.behalf().clone())
    }

    async fn pull(self, client: FeedClient) {
        let mut specs = Specs::default();
        let mut unheard = false;
        if let Some(kept) = client.cached() {
            unheard = !kept.of_this_boot;
            let word = if unheard {
                Word::BeforeBoot
            } else {
                Word::Kept
            };
            self.agent.apply(specs.read(&kept.desired, word));
        }
        if unheard {
            warn!(
                host = self.host,
                "this machine has started since it last heard what is wanted here, so no guest starts before the control plane says which are still its own. `nephos doctor` here says whether it answers"
            );
        }
        let young_after = self.clock.now().plus_secs(-STALE_SECS).0;
        let mut asked = Asked::since(KIND_CONSOLE, young_after);
        let mut called = Asked::since(KIND_CALL, young_after);
        let mut carried = Asked::since(KIND_DISK, young_after);
        let mut passwords = Asked::since(KIND_PASSWORD, young_after);
        let mut snapshots = Snapshots::default();
        let taken = client.follow(|desired| {
            snapshots.want(&self, &desired);
            if desired.complete && std::mem::take(&mut unheard) {
                info!(
                    host = self.host,
                    "the control plane says what is wanted here: its guests start"
                );
            }
            let word = if desired.complete {
                Word::ControlPlane
            } else {
                Word::BeforeBoot
            };
            self.agent.apply(specs.read(&desired, word));
            self.answer(asked.new_in(&desired));
            self.come(called.new_in(&desired));
            self.carry(carried.new_in(&desired));
            self.set_passwords(passwords.new_in(&desired));
        });
        taken.await;
    }

    /// Answers questions about consoles beside the rest of the work.
    fn answer(&self, questions: Vec<FeedItem>) {
        for item in questions {
            let wish = item
                .spec
                .clone()
                .and_then(|spec| serde_json::from_value::<ConsoleWish>(spec).ok());
            let Some(wish) = wish else { continue };
            let binding = self.clone();
            spawn("compute.console", async move {
                binding.console(&item, wish).await;
            });
        }
    }

    /// Brings consoles to whoever called for them, each for as long as it is used.
    fn come(&self, calls: Vec<FeedItem>) {
        for item in calls {
            let call = item
                .spec
                .and_then(|spec| serde_json::from_value::<ConsoleCall>(spec).ok());
            let Some(call) = call else { continue };
            let binding = self.clone();
            spawn("compute.console", async move {
                let server = ServerId::from(item.id.as_str());
                let opened = binding.agent.open_console(&server, call.console).await;
                if let Err(why) = console::bring(&binding.peers, &call.session, opened).await {
                    warn!(host = binding.host, %why, "cannot bring a console to who called for it; they may ask again");
                }
            });
        }
    }

    /// Brings disks that were made ready to whoever called for them.
    fn carry(&self, calls: Vec<FeedItem>) {
        for item in calls {
            let call = item
                .spec
                .and_then(|spec| serde_json::from_value::<DiskCall>(spec).ok());
            let Some(DiskCall {
                session,
                epoch,
                from,
            }) = call
            else {
                continue;
            };
            let binding = self.clone();
            spawn("compute.disk", async move {
                let server = ServerId::from(item.id.as_str());
                let opened = binding.agent.open_export(&server, epoch, from).await;
                if let Err(why) = console::bring(&binding.peers, &session, opened).await {
                    warn!(host = binding.host, %why, "cannot bring a disk to who called for it; it is called for again");
                }
            });
        }
    }

    async fn console(&self, item: &FeedItem, wish: ConsoleWish) {
        let server = ServerId::from(item.id.as_str());
        let tail = match self.agent.console_output(&server, wish.max_bytes).await {
            Ok(bytes) => ConsoleTail {
                text: String::from_utf8_lossy(&bytes).into_owned(),
                error: None,
            },
            Err(why) => ConsoleTail {
                text: String::new(),
                error: Some(why.to_string()),
            },
        };
        let observed = self.observed(KIND_CONSOLE, &item.id, item.generation, &tail);
        if let Err(why) = self.client(PathBuf::new()).report(&[observed]).await {
            warn!(host = self.host, %why, "cannot answer a question about a console; whoever asked may ask again");
        }
    }

    async fn tell(self, client: FeedClient) {
        let mut told = Told::default();
        // The first report goes out at once, the second at the host's own phase.
        let mut everything_at = self.clock.monotonic();
        let mut pause = EVERYTHING * (1 + client.phase()) / 10;
        loop {
            let now = self.clock.monotonic();
            let everything = now >= everything_at;
            if let Err(why) = self.report(&client, everything, &mut told).await {
                warn!(host = self.host, %why, "cannot tell what is seen here, so that the host soon counts as down; telling again. `nephos doctor` here says what of the way to the services is broken");
                self.clock.sleep(TELL_AGAIN).await;
                continue;
            }
            if everything {
                everything_at = now + pause;
                pause = EVERYTHING;
            }
            let next = everything_at.saturating_sub(self.clock.monotonic());
            let _news_or_time = self.clock.timeout(next, self.agent.reports().news()).await;
        }
    }

    /// Tells the news, or everything; everything may be nothing, and says that the host is alive.
    async fn report(
        &self,
        client: &FeedClient,
        everything: bool,
        told: &mut Told,
    ) -> Result<(), PeerError> {
        if everything {
            self.agent.reports().retell_all();
        }
        let inventory = if everything {
            self.new_inventory(told).await
        } else {
            Ok(None)
        };
        let mut of_host: Vec<Observed> = match &inventory {
            Ok(seen) => seen
                .iter()
                .map(|seen| self.observed(KIND_HOST, &self.host, 0, seen))
                .collect(),
            // Nothing should be placed on a host that cannot start it.
            Err(why) => vec![Observed {
                state: HOST_AWAY.to_owned(),
                ..self.observed(KIND_HOST, &self.host, 0, &why.to_string())
            }],
        };
        let mut first = everything;
        loop {
            let news = self.agent.reports().take(REPORT);
            if news.is_empty() && !first {
                return Ok(());
            }
            news.iter().for_each(|seen| made(client, seen));
            let mut observed: Vec<Observed> = news.iter().map(|seen| self.server(seen)).collect();
            observed.append(&mut of_host);
            if let Err(why) = client.report(&observed).await {
                self.agent.reports().give_back(&news);
                return Err(why);
            }
            if std::mem::take(&mut first)
                && let Ok(Some(inventory)) = &inventory
            {
                *told = Told {
                    inventory: Some(inventory.clone()),
                    at: self.clock.monotonic(),
                };
            }
        }
    }

    /// What the host has, if the service should hear of it.
    async fn new_inventory(&self, told: &Told) -> Result<Option<HostInventory>, DriverError> {
        let inventory = self.agent.inventory().await.inspect_err(|why| {
            warn!(host = self.host, %why, "cannot say what the host has, so that nothing is placed on it; asking again. `nephos doctor` here says whether libvirtd runs");
        })?;
        let age = self.clock.monotonic().saturating_sub(told.at);
        let known = told.inventory.as_ref().map(lasting) == Some(lasting(&inventory));
        Ok((!known || age >= INVENTORY).then_some(inventory))
    }

    fn server(&self, seen: &ObservedServer) -> Observed {
        Observed {
            state: word(seen.state).to_owned(),
            ..self.observed(
                KIND_SERVER,
                seen.server_id.as_str(),
                seen.generation_seen,
                seen,
            )
        }
    }

    pub(super) fn observed<T: Serialize>(
        &self,
        kind: &str,
        id: &str,
        generation_seen: i64,
        detail: &T,
    ) -> Observed {
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

fn file_of(folder: &Path, host: &str) -> PathBuf {
    folder.join(format!("compute-feed-{host}.json"))
}

/// Whether the machine has started since its host, which keeps its things in `folder`, last heard what is wanted on it.
#[must_use]
pub fn is_unheard(folder: &Path, host: &str) -> bool {
    feed::cached(&file_of(folder, host), host).is_some_and(|kept| !kept.of_this_boot)
}

/// Says of a server what came of it, once that is decided.
fn made(client: &FeedClient, seen: &ObservedServer) {
    let failed = match &seen.progress {
        Progress::Settled => None,
        Progress::Failed { reason } => Some(reason.as_str()),
        Progress::Working { .. } | Progress::Waiting { .. } => return,
    };
    client.made(Made {
        kind: KIND_SERVER,
        id: seen.server_id.as_str(),
        generation: Some(seen.generation_seen),
        state: word(seen.state),
        failed,
    });
}

/// What the service was told of the host.
#[derive(Default)]
struct Told {
    inventory: Option<HostInventory>,
    at: Duration,
}

/// An inventory without what changes all the time.
fn lasting(inventory: &HostInventory) -> HostInventory {
    HostInventory {
        uptime_secs: 0,
        ram_free_mib: 0,
        ..inventory.clone()
    }
}

/// As it stands in the detail too.
const fn word(state: GuestState) -> &'static str {
    match state {
        GuestState::Absent => "absent",
        GuestState::Stopped => "stopped",
        GuestState::Running => "running",
        GuestState::Paused => "paused",
        GuestState::Suspended => "suspended",
        GuestState::Crashed => "crashed",
        GuestState::Migrating => "migrating",
    }
}

/// Specs that were read already, by server: of a large feed only what changed is read again.
#[derive(Default)]
struct Specs(BTreeMap<ServerId, (i64, Arc<ServerSpec>)>);

impl Specs {
    fn read(&mut self, desired: &Desired, word: Word) -> DesiredServers {
        let mut next = BTreeMap::new();
        for item in desired
            .items
            .values()
            .filter(|item| item.kind == KIND_SERVER)
        {
            let id = ServerId::from(item.id.as_str());
            let known = self
                .0
                .remove(&id)
                .filter(|(generation, _)| *generation == item.generation);
            let spec = known.map(|(_, spec)| spec).or_else(|| parsed(item));
            if let Some(spec) = spec {
                next.insert(id, (item.generation, spec));
            }
        }
        self.0 = next;
        DesiredServers {
            revision: desired.revision,
            word,
            servers: self
                .0
                .iter()
                .map(|(id, (_, spec))| (id.clone(), Arc::clone(spec)))
                .collect(),
        }
    }
}

fn parsed(item: &FeedItem) -> Option<Arc<ServerSpec>> {
    match serde_json::from_value(item.spec.clone()?) {
        Ok(spec) => Some(Arc::new(spec)),
        Err(why) => {
            warn!(server = item.id, %why, "cannot read what a server should be, and leaves it as it is; is this agent older than the compute service?");
            None
        }
    }
}

/// Images from the image service; disks of other hosts by way of compute's own.
pub struct ImageService(pub Peers);

impl ImageSource for ImageService {
    fn open<'a>(&'a self, image: &'a ImageSpec) -> Answer<'a, ImageBytes> {
        async move {
            let target = format!("/v2/images/{}/file", image.id);
            let call = self.0.get("image", target).as_service();
            let (_, chunks) = call.stream().await.map_err(|why| refused(image, &why))?;
            let chunks = chunks.map(|chunk| chunk.map_err(|why| why.to_string()));
            Ok(chunks.boxed())
        }
        .boxed()
    }

    fn open_disk<'a>(&'a self, server: &'a ServerId, from: u64) -> Answer<'a, ImageBytes> {
        async move {
            let target = format!("/host/v1/disks/{server}?from={from}");
            let call = self.0.get(SERVICE, target).as_service();
            // Its host may be away for a while; whether the server still comes here is for the control plane to say.
            let (_, chunks) = call.stream().await.map_err(|why| {
                DriverError::Unavailable(format!(
                    "the disk of server {server} does not come: {why}"
                ))
            })?;
            let chunks = chunks.map(|chunk| chunk.map_err(|why| why.to_string()));
            Ok(chunks.boxed())
        }
        .boxed()
    }

    fn volume_key<'a>(&'a self, server: &'a ServerId, volume: &'a str) -> Answer<'a, VolumeKey> {
        async move {
            let target = format!("/host/v1/servers/{server}/volumes/{volume}/key");
            let asked = self.0.get(SERVICE, target).as_service().send().await;
            let key = asked.and_then(|answer| answer.json());
            key.map_err(|why| {
                let words = format!("what opens volume {volume} is not told: {why}");
                match why.is_transient() {
                    true => DriverError::Unavailable(words),
                    false => DriverError::Failed(words),
                }
            })
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

#[cfg(test)]
pub(super) mod tests;
