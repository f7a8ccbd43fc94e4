//! Guests on their way between this host and another one while they run.
//!
//! What is under way lives in this process alone: with it the connections to libvirtd end, and with those libvirtd gives
//! up what was not done yet. A guest that had left by then stays frozen, until the control plane has seen both hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nephos_runtime::{Clock, ids};
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OnceCell, watch};
use tracing::{info, warn};

use super::tunnel::{self, Coming, Door, Stream, What};
use super::{Shared, child, domain_xml, layout, migrate};
use crate::driver::{Changes, DriverError, FoundLive, LiveStage};
use crate::model::live::{Carried, LiveSeen};
use crate::model::spec::{ServerId, ServerSpec, Want};

/// libvirtd gives up within this, or is left to it.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// How often it is asked how far a guest is.
const PROGRESS: Duration = Duration::from_millis(500);
/// Copied at a time, each way.
const PIECE: usize = 256 * 1024;
/// The root disk's device; it is the only one that goes along.
const ROOT: &str = "vda";
/// A disk whose flavor says nothing of its size is no larger.
const LARGEST_DISK: u64 = 16 << 40;

/// All guests on their way.
pub struct Ways {
    dir: PathBuf,
    ip: IpAddr,
    door: OnceCell<Door>,
    changes: Arc<Changes>,
    clock: Clock,
    all: Mutex<BTreeMap<ServerId, Arc<Way>>>,
}

/// One guest's way.
struct Way {
    session: String,
    board: Mutex<(LiveStage, LiveSeen)>,
    give_up: watch::Sender<bool>,
    over: watch::Sender<bool>,
}

impl Way {
    fn board(&self) -> std::sync::MutexGuard<'_, (LiveStage, LiveSeen)> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Comes to its end when the way is to be given up.
    async fn given_up(&self) -> String {
        let mut told = self.give_up.subscribe();
        let _sender_is_ours = told.wait_for(|given_up| *given_up).await;
        "it was given up".to_owned()
    }

    /// `work`, unless the way is given up before.
    async fn unless_given_up<T>(
        &self,
        work: impl Future<Output = Result<T, String>> + Send,
    ) -> Result<T, String> {
        tokio::select! {
            done = work => done,
            why = self.given_up() => Err(why),
        }
    }
}

/// Ends a way however its task ends.
struct Ending {
    way: Arc<Way>,
    server: ServerId,
    changes: Arc<Changes>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut board = self.way.board();
        if board.0 == LiveStage::UnderWay {
            board.0 = LiveStage::Broken("it broke off".to_owned());
        }
        drop(board);
        self.way.over.send_replace(true);
        self.changes.tell(Some(self.server.clone()));
    }
}

/// What the agents of two hosts say to each other.
#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum Word {
    /// The source: this is the guest.
    Begin { definition: String, note: String },
    /// The destination: it may come.
    Prepared { note: String },
    /// The source: everything is there; or it did not get there.
    Performed { note: String, came: bool },
    /// The destination: it runs here; or it does not.
    Finished { note: String, runs: bool },
    /// Either: that is all.
    Failed { why: String },
}

/// What comes of the other host's word.
fn odd(word: Word) -> String {
    match word {
        Word::Failed { why } => format!("the other host says: {why}"),
        _out_of_turn => "the other host speaks out of turn".to_owned(),
    }
}

fn noted(note: &[u8]) -> String {
    STANDARD.encode(note)
}

fn read_note(note: &str) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(note)
        .map_err(|_| "the other host's note is none".to_owned())
}

/// A folder for one way's sockets, which QEMU's user must reach and nobody can guess; it goes with the way.
struct Sockets(PathBuf);

impl Sockets {
    fn memory(&self) -> PathBuf {
        self.0.join("memory")
    }

    fn disks(&self) -> PathBuf {
        self.0.join("disks")
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_dir_all(&self.0);
    }
}

impl Ways {
    /// Guests come in at this address.
    pub fn new(dir: PathBuf, ip: IpAddr, changes: Arc<Changes>, clock: Clock) -> Self {
        // Of a process before this one.
        let _not_there = std::fs::remove_dir_all(&dir);
        Self {
            dir,
            ip,
            door: OnceCell::new(),
            changes,
            clock,
            all: Mutex::default(),
        }
    }

    /// How a guest's way stands.
    pub fn found(&self, server: &ServerId) -> Option<FoundLive> {
        let way = self.of(server)?;
        let (stage, seen) = way.board().clone();
        Some(FoundLive {
            session: way.session.clone(),
            stage,
            seen,
        })
    }

    fn of(&self, server: &ServerId) -> Option<Arc<Way>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(server).cloned()
    }

    fn begin(&self, server: &ServerId, session: &str, seen: LiveSeen) -> (Arc<Way>, Ending) {
        let way = Arc::new(Way {
            session: session.to_owned(),
            board: Mutex::new((LiveStage::UnderWay, seen)),
            give_up: watch::Sender::new(false),
            over: watch::Sender::new(false),
        });
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(server.clone(), Arc::clone(&way));
        let ending = Ending {
            way: Arc::clone(&way),
            server: server.clone(),
            changes: Arc::clone(&self.changes),
        };
        (way, ending)
    }

    fn sockets(&self) -> Result<Sockets, DriverError> {
        let broken = |cause: std::io::Error| DriverError::file("make", &self.dir, &cause);
        let open = |path: &Path, mode| {
            std::fs::create_dir_all(path)?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        };
        open(&self.dir, 0o711).map_err(broken)?;
        let name: String = ids::hex().chars().take(20).collect();
        let sockets = Sockets(self.dir.join(name));
        open(&sockets.0, 0o777).map_err(broken)?;
        Ok(sockets)
    }

    /// Lets a guest come in.
    ///
    /// # Errors
    /// When it cannot be listened for.
    pub async fn receive(
        &self,
        shared: &Arc<Shared>,
        spec: &ServerSpec,
        session: &str,
    ) -> Result<(), DriverError> {
        let opened = Door::open(self.ip, self.clock.clone());
        let door = self.door.get_or_try_init(|| opened).await;
        let door = door.map_err(DriverError::Failed)?;
        let sockets = self.sockets()?;
        let coming = door.wait_for(session);
        let seen = LiveSeen {
            address: Some(door.address.to_string()),
            key: Some(door.key.clone()),
            carried: None,
        };
        let (way, ending) = self.begin(&spec.server_id, session, seen);
        let arrival = Arrival {
            shared: Arc::clone(shared),
            spec: spec.clone(),
            clock: self.clock.clone(),
            sockets,
            way,
        };
        nephos_runtime::spawn("compute.arrival", async move {
            let done = Box::pin(arrival.come(coming)).await;
            close(ending, done);
        });
        Ok(())
    }

    /// Brings a guest to another host.
    ///
    /// # Errors
    /// When it cannot be begun.
    pub fn send(
        &self,
        shared: &Arc<Shared>,
        spec: &ServerSpec,
        (session, address, key): (&str, &str, &str),
    ) -> Result<(), DriverError> {
        let sockets = self.sockets()?;
        let (way, ending) = self.begin(&spec.server_id, session, LiveSeen::default());
        let departure = Departure {
            shared: Arc::clone(shared),
            spec: spec.clone(),
            clock: self.clock.clone(),
            sockets,
            way,
            address: address.to_owned(),
            key: key.to_owned(),
        };
        nephos_runtime::spawn("compute.departure", async move {
            let done = Box::pin(departure.go()).await;
            close(ending, done);
        });
        Ok(())
    }

    /// Ends a way and forgets it.
    ///
    /// # Errors
    /// `Unavailable` while libvirtd has not let go of it.
    pub async fn end(&self, server: &ServerId) -> Result<(), DriverError> {
        let Some(way) = self.of(server) else {
            return Ok(());
        };
        way.give_up.send_replace(true);
        let mut over = way.over.subscribe();
        let over = over.wait_for(|over| *over);
        if self.clock.timeout(ENDS_WITHIN, over).await.is_none() {
            return Err(DriverError::Unavailable(
                "libvirt has not given up the guest's way to the other host yet".to_owned(),
            ));
        }
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all
            .get(server)
            .is_some_and(|there| Arc::ptr_eq(there, &way))
        {
            all.remove(server);
        }
        Ok(())
    }
}

/// Notes how a way ended.
fn close(ending: Ending, done: Result<(), String>) {
    let server = &ending.server;
    ending.way.board().0 = match done {
        Ok(()) => {
            info!(server = %server, "a guest is where it was to go");
            LiveStage::Over
        }
        Err(why) => {
            warn!(server = %server, why, "a guest did not get where it was to go");
            LiveStage::Broken(why)
        }
    };
}

fn migration(spec: &ServerSpec, sockets: &Sockets) -> migrate::Way {
    // The root disk, where it is a file of its host.
    let disk = spec.boot.image.as_ref().map(|_| ROOT.to_owned());
    migrate::Way {
        paused: spec.want == Want::Paused,
        name: domain_xml::domain_name(&spec.server_id),
        memory: sockets.memory(),
        disks: sockets.disks(),
        local: disk.into_iter().collect(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|why| why.to_string())?
}

/// Both ways, to the end of both.
async fn copy(mut one: Stream, mut other: UnixStream) {
    // A stream that breaks off is noticed by the QEMU at its end, which says it better.
    let _how_it_ended =
        tokio::io::copy_bidirectional_with_sizes(&mut one, &mut other, PIECE, PIECE).await;
}

/// A guest that comes here.
struct Arrival {
    shared: Arc<Shared>,
    spec: ServerSpec,
    clock: Clock,
    sockets: Sockets,
    way: Arc<Way>,
}

impl Arrival {
    async fn come(self, mut coming: Coming) -> Result<(), String> {
        let first = async { coming.recv().await.ok_or_else(|| "nobody came".to_owned()) };
        let (what, mut words) = self.way.unless_given_up(first).await?;
        if what != What::Words {
            return Err("the other host does not say which guest comes".to_owned());
        }
        let talk = self.talk(&mut words);
        let done = tokio::select! {
            done = talk => done,
            () = self.relay(&mut coming) => Err("the door was closed".to_owned()),
        };
        if let Err(why) = &done {
            let why = why.clone();
            let _it_may_be_gone = tunnel::say(&mut words, &Word::Failed { why }).await;
        }
        done
    }

    /// Hands what comes on to QEMU, once it listens.
    async fn relay(&self, coming: &mut Coming) {
        let mut streams = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = streams.next(), if !streams.is_empty() => {}
                came = coming.recv() => {
                    let Some((what, stream)) = came else { return };
                    let path = match what {
                        What::Memory => self.sockets.memory(),
                        What::Disks => self.sockets.disks(),
                        What::Words => continue,
                    };
                    streams.push(async move {
                        if let Ok(qemu) = UnixStream::connect(&path).await {
                            copy(stream, qemu).await;
                        }
                    });
                }
            }
        }
    }

    async fn talk(&self, words: &mut Stream) -> Result<(), String> {
        let (definition, note) = match self.way.unless_given_up(tunnel::hear(words)).await? {
            Word::Begin { definition, note } => (definition, read_note(&note)?),
            other => return Err(odd(other)),
        };
        let adopted = self.make_ready(&definition, &note).await?;
        let way = migration(&self.spec, &self.sockets);
        let shared = Arc::clone(&self.shared);
        let link = blocking(move || shared.link.apart().map_err(|why| why.to_string())).await?;
        let link = Arc::new(link);
        let (connect, plan) = (Arc::clone(&link), way.clone());
        let prepared =
            blocking(move || migrate::prepare(connect.connect(), &plan, &adopted, &note)).await?;
        let note = noted(&prepared);
        tunnel::say(words, &Word::Prepared { note }).await?;
        let (note, came) = match self.way.unless_given_up(tunnel::hear(words)).await? {
            Word::Performed { note, came } => (read_note(&note)?, came),
            other => return Err(odd(other)),
        };
        // From here on nothing is given up any more: the guest has left where it was.
        let connect = Arc::clone(&link);
        let finished =
            blocking(move || migrate::finish(connect.connect(), &way, &note, came)).await;
        let (runs, note) = finished.map(|(runs, note)| (runs && came, noted(&note)))?;
        self.shared.changed(&self.spec.server_id);
        let told = tunnel::say(words, &Word::Finished { note, runs }).await;
        match (runs, told) {
            (true, Ok(())) => Ok(()),
            (true, Err(why)) => {
                warn!(server = %self.spec.server_id, why, "a guest has come, and where it was does not know");
                Ok(())
            }
            (false, _) => Err("the guest could not be brought here".to_owned()),
        }
    }

    /// Makes everything that the guest needs here beside what it brings; gives what it is to be made of.
    async fn make_ready(&self, definition: &str, note: &[u8]) -> Result<String, String> {
        let words = |why: DriverError| why.to_string();
        let spec = &self.spec;
        let paths = || {
            self.shared
                .disks
                .paths(spec, &self.shared.images)
                .map_err(words)
        };
        let dir = self.shared.disks.make_dir(&spec.server_id).map_err(words)?;
        if spec.boot.image.is_some() {
            let sizes = layout::capacities(&String::from_utf8_lossy(note));
            let bytes = sizes.get(ROOT).copied().unwrap_or(0);
            let most = match spec.size.disk_gib {
                0 => LARGEST_DISK,
                gib => gib << 30,
            };
            if bytes == 0 || bytes > most {
                return Err(format!(
                    "the guest's disk has {bytes} bytes, and may have {most}"
                ));
            }
            let part = dir.join(format!("{}.part", ids::hex()));
            let made = child::create_empty(&part, bytes, &self.clock).await;
            made.map_err(words)?;
            super::disks::publish(&part, &paths()?.disk).map_err(words)?;
        }
        let (shared, own) = (Arc::clone(&self.shared), self.spec.clone());
        let text = blocking(move || {
            shared.disks.ensure_config_drive(&own).map_err(words)?;
            shared.define(&own).map_err(words)?;
            let paths = shared.disks.paths(&own, &shared.images).map_err(words)?;
            Ok(domain_xml::definition(&own, &shared.host, &paths, ""))
        });
        layout::adopt(&text.await?, definition)
    }
}

/// A guest that goes from here.
struct Departure {
    shared: Arc<Shared>,
    spec: ServerSpec,
    clock: Clock,
    sockets: Sockets,
    way: Arc<Way>,
    address: String,
    key: String,
}

impl Departure {
    async fn go(self) -> Result<(), String> {
        let mut words = self.way.unless_given_up(self.call(What::Words)).await?;
        let memory = listen(&self.sockets.memory())?;
        let disks = listen(&self.sockets.disks())?;
        let done = tokio::select! {
            done = self.talk(&mut words) => done,
            () = self.relay(&memory, What::Memory) => Err("the way was closed".to_owned()),
            () = self.relay(&disks, What::Disks) => Err("the way was closed".to_owned()),
        };
        if let Err(why) = &done {
            let why = why.clone();
            let _it_may_be_gone = tunnel::say(&mut words, &Word::Failed { why }).await;
        }
        done
    }

    async fn call(&self, what: What) -> Result<Stream, String> {
        let called = tunnel::call(&self.address, &self.key, &self.way.session, what);
        let within = self.clock.timeout(ENDS_WITHIN, called).await;
        within.unwrap_or_else(|| Err("the other host does not answer".to_owned()))
    }

    /// Hands what QEMU says on to the other host.
    async fn relay(&self, listener: &UnixListener, what: What) {
        let mut streams = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = streams.next(), if !streams.is_empty() => {}
                came = listener.accept() => {
                    let Ok((qemu, _)) = came else { return };
                    streams.push(async move {
                        if let Ok(stream) = self.call(what).await {
                            copy(stream, qemu).await;
                        }
                    });
                }
            }
        }
    }

    async fn talk(&self, words: &mut Stream) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        let link = blocking(move || shared.link.apart().map_err(|why| why.to_string())).await?;
        let link = Arc::new(link);
        let way = migration(&self.spec, &self.sockets);
        let (definition, note) = self.on_guest(&link, &way, migrate::begin).await?;
        let note = noted(&note);
        tunnel::say(words, &Word::Begin { definition, note }).await?;
        let note = match self.way.unless_given_up(tunnel::hear(words)).await? {
            Word::Prepared { note } => read_note(&note)?,
            other => return Err(odd(other)),
        };
        let performed = self.perform(&link, &way, note).await;
        let (came, note) = match &performed {
            Ok(note) => (true, noted(note)),
            Err(_) => (false, String::new()),
        };
        let heard = async {
            tunnel::say(words, &Word::Performed { note, came }).await?;
            self.way.unless_given_up(tunnel::hear(words)).await
        };
        let (runs, note) = match heard.await {
            Ok(Word::Finished { note, runs }) => (runs, read_note(&note).unwrap_or_default()),
            // Frozen: whether it runs there is for the control plane to find out.
            Ok(other) if came => return Err(odd(other)),
            Err(why) if came => return Err(why),
            _it_never_left => (false, Vec::new()),
        };
        let confirm = move |domain: &virt::domain::Domain, way: &migrate::Way| {
            migrate::confirm(domain, way, &note, runs)
        };
        let confirmed = self.on_guest(&link, &way, confirm).await;
        performed?;
        if !runs {
            return Err("the guest could not be let run on the other host".to_owned());
        }
        confirmed
    }

    /// Brings the guest there; meanwhile it is said how far it is, and it may be given up.
    async fn perform(
        &self,
        link: &Arc<super::link::Open>,
        way: &migrate::Way,
        note: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        let perform = move |domain: &virt::domain::Domain, way: &migrate::Way| {
            migrate::perform(domain, way, &note)
        };
        let performing = self.on_guest(link, way, perform);
        tokio::pin!(performing);
        let mut given_up = false;
        loop {
            tokio::select! {
                done = &mut performing => return done,
                _why = self.way.given_up(), if !given_up => {
                    given_up = true;
                    self.ask("give a guest's way up", |domain| {
                        super::link::unless_late(migrate::give_up(domain))
                    }).await;
                }
                () = self.clock.sleep(PROGRESS) => {
                    let stats = self.ask("see how far a guest is", |domain| domain.get_job_stats(0)).await;
                    if let Some(stats) = stats {
                        self.way.board().1.carried = Some(carried(&stats));
                    }
                }
            }
        }
    }

    /// Something that another thread may ask of the guest meanwhile.
    async fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        job: impl FnOnce(&virt::domain::Domain) -> Result<T, virt::error::Error> + Send + 'static,
    ) -> Option<T> {
        let (shared, server) = (Arc::clone(&self.shared), self.spec.server_id.clone());
        let asked = blocking(move || {
            let found = shared.link.with(what, |connect| {
                let domain = super::link::find(connect, server.as_str())?;
                domain.map(|domain| job(&domain)).transpose()
            });
            found.map_err(|why| why.to_string())
        });
        asked.await.ok().flatten()
    }

    /// A step of the migration, on its own connection.
    async fn on_guest<T: Send + 'static>(
        &self,
        link: &Arc<super::link::Open>,
        way: &migrate::Way,
        job: impl FnOnce(&virt::domain::Domain, &migrate::Way) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let (link, way, server) = (Arc::clone(link), way.clone(), self.spec.server_id.clone());
        blocking(move || {
            let found = super::link::find(link.connect(), server.as_str());
            let found = found.map_err(|why| why.message().to_owned())?;
            job(&found.ok_or("the guest is not here")?, &way)
        })
        .await
    }
}

fn listen(path: &Path) -> Result<UnixListener, String> {
    let opened = UnixListener::bind(path).and_then(|listener| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))?;
        Ok(listener)
    });
    opened.map_err(|why| format!("cannot listen at {}: {why}", path.display()))
}

fn carried(stats: &virt::domain::JobStats) -> Carried {
    let bytes = |said: Option<u64>| said.unwrap_or(0);
    Carried {
        memory_total: bytes(stats.mem_total),
        memory_processed: bytes(stats.mem_processed),
        memory_remaining: bytes(stats.mem_remaining),
        disk_total: bytes(stats.disk_total),
        disk_processed: bytes(stats.disk_processed),
        disk_remaining: bytes(stats.disk_remaining),
    }
}
