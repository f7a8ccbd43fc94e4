//! Guests on their way between this host and another one while they run.
//!
//! What is under way lives in this process alone: with it the connections to libvirtd end, and with those libvirtd gives
//! up what was not done yet. A guest that had left by then stays frozen, until the control plane has seen both hosts.

mod arrival;
mod departure;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nephos_runtime::{Clock, ids};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::sync::{OnceCell, watch};
use tracing::{info, warn};

use self::arrival::Arrival;
use self::departure::Departure;
use super::tunnel::{Door, Stream};
use super::{Shared, domain_xml, migrate};
use crate::driver::{Changes, DriverError, FoundLive, LiveStage};
use crate::model::live::LiveSeen;
use crate::model::spec::{ServerId, ServerSpec, Want};

/// libvirtd gives up within this, or is left to it.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// Copied at a time, each way.
const PIECE: usize = 256 * 1024;
/// The root disk's device; it is the only one that goes along.
const ROOT: &str = "vda";

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
