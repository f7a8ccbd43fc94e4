//! The border to the hypervisor, in our own words: what an agent may ask of a host.
//!
//! Every verb is `ensure_…` or `remove_…` and safe to repeat; [`Driver::look`] and [`Driver::list`] tell what is
//! really there. No verb but [`Driver::set_password`] waits for a guest: [`Driver::ask_to_shut_down`] asks, and the agent
//! looks again.
//! `fake.rs` keeps the same promises as `libvirt/`: it is the simulation mode of the product, not a mock.

pub mod fake;
pub mod libvirt;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use crate::model::console::ConsoleKind;
use crate::model::disk::Export;
use crate::model::guest_password::{GuestPassword, PasswordSeen};
use crate::model::live::LiveSeen;
use crate::model::snapshot::SnapshotWish;
use crate::model::spec::{
    ConfigDrive, GuestState, HostInventory, ImageHash, ImageSpec, PortId, PortSpec, ServerId,
    ServerSpec, VncAddress,
};
use crate::model::volume::{VolumeKey, VolumeSpec};

/// What a verb answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, DriverError>>;

/// Of a guest that is not on and is to be.
const NOT_ON: &str = "the guest is not on yet";

/// A host's hypervisor. Dyn, because one binary holds both libvirt and the simulation.
pub trait Driver: Send + Sync {
    /// Everything on this host that is ours: servers, and what is left of servers.
    fn list(&self) -> Answer<'_, BTreeSet<ServerId>>;

    /// What there is of one server; all of it absent is an answer, not an error.
    fn look<'a>(&'a self, server: &'a ServerId) -> Answer<'a, Found>;

    /// Those of `ports` whose tap device is not on the host.
    fn missing_taps<'a>(&'a self, ports: &'a [PortSpec]) -> Answer<'a, Vec<String>>;

    /// Brings an image into the host's cache: fetched once however many ask, proved by its hash, inspected.
    fn ensure_image<'a>(&'a self, image: &'a ImageSpec) -> Answer<'a, ()>;

    /// Makes the root disk of the spec's epoch from the cached image, as large as the flavor says. Keeps one that is there.
    fn ensure_disk<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()>;

    /// Removes root disks of other epochs than these.
    fn remove_old_disks<'a>(&'a self, server: &'a ServerId, keep: &'a [i64]) -> Answer<'a, ()>;

    /// Makes the root disk of the spec's epoch ready to be carried to another host. The guest must be off.
    fn ensure_export<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()>;

    /// Removes what was made ready.
    fn remove_export<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()>;

    /// What was made ready of this epoch, from a byte on.
    fn open_export<'a>(&'a self, server: &'a ServerId, epoch: i64, from: u64) -> Answer<'a, Pipe>;

    /// Reads the root disk as it is at one moment, whether or not the guest is on, into one file that stands on no other;
    /// gives its length. Unavailable while the guest is to be on and is not. Takes as long as that takes; dropping the future leaves it to [`Driver::remove_snapshot`].
    fn take_snapshot<'a>(&'a self, server: &'a ServerId, wish: &'a SnapshotWish)
    -> Answer<'a, u64>;

    /// What was read, from the first byte.
    fn open_snapshot<'a>(
        &'a self,
        server: &'a ServerId,
        wish: &'a SnapshotWish,
    ) -> Answer<'a, Pipe>;

    /// Ends the reading, and removes what was read.
    fn remove_snapshot<'a>(
        &'a self,
        server: &'a ServerId,
        wish: &'a SnapshotWish,
    ) -> Answer<'a, ()>;

    /// Ends all reading of root disks that goes on here, which a process before this one began.
    fn give_up_snapshots(&self) -> Answer<'_, ()>;

    /// Lets a guest come here, as the spec says: whoever knows its session may bring it. Answers before it comes.
    fn await_guest<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()>;

    /// Begins to bring the running guest to another host, as the spec says. Answers before it is there.
    fn send_guest<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()>;

    /// Freezes a guest that is on its way to another host, so that the rest of its memory can be brought there.
    fn force_guest<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()>;

    /// Ends a guest's way, here or from here, and forgets it. One that has left or come is where it is.
    fn end_way<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()>;

    /// Makes the config drive, or replaces one of other content.
    fn ensure_config_drive<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()>;

    /// Defines the server as the spec says; of a running one, what holds from its next start on.
    fn ensure_defined<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()>;

    /// Writes down what the agent has to remember of a server across a crash.
    fn set_mark<'a>(&'a self, server: &'a ServerId, mark: &'a Mark) -> Answer<'a, ()>;

    /// Starts a defined server that is off or suspended; lets a paused one go on.
    fn ensure_running<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()>;

    /// Asks the guest to shut down (ACPI) and does not wait.
    fn ask_to_shut_down<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()>;

    /// Switches the guest off.
    fn ensure_off<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()>;

    /// Freezes a running guest in memory.
    fn ensure_paused<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()>;

    /// Saves a running guest to disk and frees its memory.
    fn ensure_suspended<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()>;

    /// Plugs an interface into a running guest.
    fn ensure_plugged<'a>(&'a self, server: &'a ServerId, port: &'a PortSpec) -> Answer<'a, ()>;

    /// Takes an interface out of a running guest. The guest must agree, so it may still be there at the next look.
    fn ask_to_unplug<'a>(&'a self, server: &'a ServerId, port: &'a FoundPort) -> Answer<'a, ()>;

    /// Plugs a volume into a guest that is on.
    fn ensure_volume<'a>(&'a self, server: &'a ServerId, volume: &'a VolumeSpec) -> Answer<'a, ()>;

    /// Takes a volume out of a guest that is on. The guest must agree, so it may still be there at the next look.
    fn ask_to_unplug_volume<'a>(&'a self, server: &'a ServerId, volume: &'a str) -> Answer<'a, ()>;

    /// Lets a guest that is on see a volume at its present size.
    fn ensure_volume_size<'a>(
        &'a self,
        server: &'a ServerId,
        volume: &'a VolumeSpec,
    ) -> Answer<'a, ()>;

    /// Removes the definition (not the disks). The guest must be off.
    fn remove_definition<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()>;

    /// Removes every file of a server that is no longer defined.
    fn remove_files<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()>;

    /// The last `max_bytes` of the console log; empty when there is none.
    fn console_output<'a>(&'a self, server: &'a ServerId, max_bytes: u64) -> Answer<'a, Vec<u8>>;

    /// Opens a console of a running guest. It is closed when it is dropped.
    fn open_console<'a>(&'a self, server: &'a ServerId, kind: ConsoleKind) -> Answer<'a, Pipe>;

    /// Has QEMU's agent in a running guest give an account another password. Done again, it does no harm.
    fn set_password<'a>(
        &'a self,
        server: &'a ServerId,
        password: &'a GuestPassword,
    ) -> Answer<'a, PasswordSeen>;

    /// What the host has and is.
    fn inventory(&self) -> Answer<'_, HostInventory>;

    /// Removes cached images that no server uses, that are not in `keep`, and that were last used before `unused_since`.
    fn remove_unused_images<'a>(
        &'a self,
        keep: &'a BTreeSet<ImageHash>,
        unused_since: Timestamp,
    ) -> Answer<'a, u64>;

    /// Waits until something changed behind the agent's back: the server, or `None` for "look at everything".
    /// Dropping the future loses nothing.
    fn changed(&self) -> BoxFuture<'_, Option<ServerId>>;

    /// Names everything of a spec that a definition is made from: another fingerprint, define again.
    fn fingerprint(&self, spec: &ServerSpec) -> String {
        fingerprint(spec)
    }

    /// Whether what it runs outlives this process; what is wanted need not be kept for hosts that begin empty.
    fn outlives_us(&self) -> bool {
        true
    }

    /// Whether the driver cannot recover without a new process (three of its lanes hang in the hypervisor).
    fn is_worn_out(&self) -> bool {
        false
    }
}

/// Bytes both ways.
pub trait Talk: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Talk for T {}
/// One end of an open console.
pub type Pipe = Box<dyn Talk>;

/// Where images come from: the image service, or files; and disks of other hosts.
pub trait ImageSource: Send + Sync {
    /// The image's bytes, from the first.
    fn open<'a>(&'a self, image: &'a ImageSpec) -> Answer<'a, ImageBytes>;

    /// The disk of a server that comes from another host, from a byte on.
    fn open_disk<'a>(&'a self, server: &'a ServerId, from: u64) -> Answer<'a, ImageBytes> {
        let why = format!("no disk of server {server} comes from here, from byte {from} on");
        Box::pin(std::future::ready(Err(DriverError::Refused(why))))
    }

    /// What opens an encrypted volume of a server that is to be here.
    fn volume_key<'a>(&'a self, server: &'a ServerId, volume: &'a str) -> Answer<'a, VolumeKey> {
        let why = format!("nobody here knows what opens volume {volume} of server {server}");
        Box::pin(std::future::ready(Err(DriverError::Refused(why))))
    }
}

/// A stream of bytes; its error says why it broke off.
pub type ImageBytes = BoxStream<'static, Result<Bytes, String>>;

/// What there is of one server on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The guest.
    pub state: GuestState,
    /// The fingerprint of the spec it is defined from; `None`: not defined.
    pub defined: Option<String>,
    /// Epochs of the root disks that are there.
    pub disks: BTreeSet<i64>,
    /// The fingerprint of the config drive that is there.
    pub config_drive: Option<String>,
    /// Whether there are files of it at all.
    pub files: bool,
    /// Interfaces the running guest has; of one that is off, those it is defined with.
    pub ports: BTreeMap<String, FoundPort>,
    /// Likewise its volumes, by id.
    pub volumes: BTreeMap<String, FoundVolume>,
    /// What the agent wrote down.
    pub mark: Mark,
    /// Where the graphical console listens.
    pub vnc: Option<VncAddress>,
    /// The root disk that is ready to be carried.
    pub export: Option<Export>,
    /// Its way to another host or from one, as far as this process has to do with it.
    pub live: Option<FoundLive>,
}

/// A guest on its way while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLive {
    /// Which way.
    pub session: String,
    /// How it stands.
    pub stage: LiveStage,
    /// What there is to tell of it.
    pub seen: LiveSeen,
}

/// How a way stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveStage {
    /// It goes on.
    UnderWay,
    /// It came to its end: the guest is where it was to go.
    Over,
    /// It broke off; for people.
    Broken(String),
}

impl Found {
    /// Nothing of it is there.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            state: GuestState::Absent,
            defined: None,
            disks: BTreeSet::new(),
            config_drive: None,
            files: false,
            ports: BTreeMap::new(),
            volumes: BTreeMap::new(),
            mark: Mark::default(),
            vnc: None,
            export: None,
            live: None,
        }
    }

    /// Whether nothing of it is there.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.defined.is_none() && !self.files && self.state == GuestState::Absent
    }
}

/// An interface of a guest, keyed by its tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPort {
    /// The port it was made for, when the definition says so.
    pub port_id: Option<PortId>,
    /// The tap.
    pub tap: String,
    /// The address.
    pub mac: String,
}

/// A volume of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundVolume {
    /// `vdb`.
    pub device: String,
    /// How large the guest sees it, if that can be told.
    pub size_bytes: Option<u64>,
}

/// What an agent must remember of a server across a crash. It lives with the server, so that it dies with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mark {
    /// The generation that was last brought to run *since the host started*: if that server is off now,
    /// somebody switched it off.
    pub started: Option<i64>,
    /// The last reboot that was done.
    pub rebooted: Option<i64>,
}

/// Why a verb did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The world is not ready; the same call will work later. Tried again without end.
    #[error("{0}")]
    Unavailable(String),
    /// It went wrong and may go right: tried again a few times.
    #[error("{0}")]
    Failed(String),
    /// It cannot be done for this spec on this host, however often it is tried.
    #[error("{0}")]
    Refused(String),
}

impl DriverError {
    /// A file operation that failed; a full disk is named as such.
    #[must_use]
    pub fn file(attempt: &str, path: &std::path::Path, cause: &std::io::Error) -> Self {
        let text = format!("cannot {attempt} {}: {cause}", path.display());
        match cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::Refused(format!("the host's disk is full: {text}"))
            }
            _other => Self::Failed(text),
        }
    }
}

/// What changed behind the agent's back: a set, because telling twice is telling once.
#[derive(Debug, Default)]
pub struct Changes {
    waiting: Mutex<BTreeSet<Option<ServerId>>>,
    told: Notify,
}

impl Changes {
    /// Adds one; `None` is "look at everything".
    pub fn tell(&self, server: Option<ServerId>) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(server);
        self.told.notify_one();
    }

    /// Takes one, waiting for it.
    pub async fn next(&self) -> Option<ServerId> {
        loop {
            let first = self
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_first();
            match first {
                Some(change) => return change,
                None => self.told.notified().await,
            }
        }
    }
}

/// The fingerprint of those fields of a spec that every driver defines a server from.
#[must_use]
pub fn fingerprint(spec: &ServerSpec) -> String {
    let parts = (
        &spec.size,
        &spec.boot.kernel,
        spec.disk_epoch,
        (&spec.ports, &spec.volumes),
        spec.config_drive.is_some(),
        &spec.console,
        &spec.labels,
    );
    digest(&serde_json::to_vec(&parts).unwrap_or_default())
}

/// The fingerprint of a config drive's files.
#[must_use]
pub fn config_drive_fingerprint(drive: &ConfigDrive) -> String {
    digest(&serde_json::to_vec(&drive.files).unwrap_or_default())
}

/// Half a SHA-256 in hexadecimal: names content, protects nothing.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(
        sha2::Sha256::digest(bytes)
            .iter()
            .take(16)
            .copied()
            .collect::<Vec<u8>>(),
    )
}

/// Deadlines of driver calls, in one place.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Asking.
    pub look: Duration,
    /// Defining, plugging, marking.
    pub change: Duration,
    /// Starting, switching off, saving.
    pub power: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(20),
            change: Duration::from_secs(30),
            power: Duration::from_secs(120),
        }
    }
}
