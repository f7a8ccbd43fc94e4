//! Simulated hosts: an in-memory hypervisor with latency, failures by script, and a clock that a test may move.
//!
//! `nephos up --simulate HOSTS` runs a cloud on it, so it keeps a real hypervisor's rules: a disk needs its image, a
//! definition its disk, a start its taps, and what is running cannot be undefined. A [`World`] outlives the agents
//! that work on it, as real hosts do. It lives in memory: a new process begins with empty hosts, and the feed fills
//! them again.

mod console;
mod live;
mod snapshot;
mod verbs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use nephos_runtime::Clock;
use nephos_types::Timestamp;

pub use self::live::Fate;
use super::{Answer, Changes, DriverError, Found, FoundLive, FoundPort, FoundVolume, Mark};
use crate::model::disk::Export;
use crate::model::spec::{GuestState, ImageHash, ImageId, PortSpec, ServerId, VncAddress};
use crate::model::volume::VolumeSpec;

/// A timer wakes up to this late: what one call overslept, the next one of the host sleeps less.
const TIMER: Duration = Duration::from_millis(2);

/// A console log never grows beyond this.
const CONSOLE_BYTES: usize = 64 * 1024;

/// How long a simulated host takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// To answer what is there.
    pub look: Duration,
    /// To fetch an image that is not cached yet.
    pub image: Duration,
    /// To make a disk, define, plug.
    pub change: Duration,
    /// To start or switch off.
    pub power: Duration,
    /// The guest, to shut down when asked.
    pub shut_down: Duration,
}

impl Latency {
    /// About what libvirt and QEMU take on an idle machine, without the guest's own boot.
    #[must_use]
    pub const fn lifelike() -> Self {
        Self {
            look: Duration::from_millis(1),
            image: Duration::from_millis(20),
            change: Duration::from_millis(2),
            power: Duration::from_millis(5),
            shut_down: Duration::from_secs(2),
        }
    }
}

/// What a simulated host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostSize {
    /// Processors.
    pub vcpus: u32,
    /// Memory.
    pub ram_mib: u64,
    /// Disk.
    pub disk_gib: u64,
}

impl Default for HostSize {
    fn default() -> Self {
        Self {
            vcpus: 64,
            ram_mib: 262_144,
            disk_gib: 4_096,
        }
    }
}

/// A kind of call, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// `list`, `look`, `missing_taps`, `console_output`, `inventory`.
    Look,
    /// `ensure_image`.
    Image,
    /// `ensure_disk`, `remove_old_disks`, `ensure_export`, `remove_export`.
    Disk,
    /// `ensure_config_drive`.
    ConfigDrive,
    /// `ensure_defined`.
    Define,
    /// `set_mark`.
    Mark,
    /// `ensure_running`.
    Run,
    /// `ask_to_shut_down`, `ensure_off`, `ensure_paused`, `ensure_suspended`.
    Stop,
    /// `ensure_plugged`, `ask_to_unplug`.
    Plug,
    /// `ensure_volume`, `ask_to_unplug_volume`, `ensure_volume_size`.
    Volume,
    /// `set_password`.
    Password,
    /// `take_snapshot`, `open_snapshot`, `remove_snapshot`.
    Snapshot,
    /// `give_up_snapshots`.
    GiveUp,
    /// `await_guest`, `send_guest`, `force_guest`, `end_way`.
    Live,
    /// `remove_definition`, `remove_files`, `remove_unused_images`.
    Remove,
}

/// All simulated hosts of a process. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    clock: Clock,
    latency: Latency,
    hosts: Mutex<BTreeMap<String, Host>>,
}

#[derive(Default)]
struct Host {
    size: HostSize,
    servers: BTreeMap<ServerId, Guest>,
    images: BTreeMap<ImageHash, Timestamp>,
    withheld_taps: BTreeSet<String>,
    withholds_all_taps: bool,
    script: VecDeque<(Verb, DriverError)>,
    down: Option<String>,
    changes: Arc<Changes>,
    calls: BTreeMap<Verb, u64>,
    fate: Fate,
    overslept: Duration,
}

#[derive(Clone, Default)]
struct Guest {
    power: Power,
    defined: Option<Definition>,
    disks: BTreeSet<i64>,
    config_drive: Option<String>,
    plugged: BTreeMap<String, FoundPort>,
    volumes: BTreeMap<String, FoundVolume>,
    mark: Mark,
    console: Vec<u8>,
    is_deaf: bool,
    /// By account.
    passwords: BTreeMap<String, String>,
    export: Option<i64>,
    /// Images whose data lies ready.
    snapshots: BTreeSet<ImageId>,
    live: Option<FoundLive>,
    /// How it is to be here, once it has come from another host.
    awaited: Option<Definition>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Power {
    #[default]
    Off,
    On,
    Paused,
    Saved,
    /// Frozen between two hosts.
    Away,
}

#[derive(Clone)]
struct Definition {
    fingerprint: String,
    name: String,
    ports: BTreeMap<String, FoundPort>,
    volumes: BTreeMap<String, FoundVolume>,
}

impl World {
    /// A world without hosts.
    #[must_use]
    pub fn new(clock: Clock, latency: Latency) -> Self {
        Self(Arc::new(Inner {
            clock,
            latency,
            hosts: Mutex::default(),
        }))
    }

    /// The driver of a host, which is made if it is new.
    #[must_use]
    pub fn host(&self, name: &str, size: HostSize) -> FakeDriver {
        let mut hosts = self.hosts();
        let host = hosts.entry(name.to_owned()).or_default();
        host.size = size;
        FakeDriver {
            world: self.clone(),
            host: name.to_owned(),
            changes: Arc::clone(&host.changes),
        }
    }

    /// The next call of this kind on the host fails like this.
    pub fn fail_next(&self, host: &str, verb: Verb, error: DriverError) {
        self.with(host, |host| host.script.push_back((verb, error)));
    }

    /// The hypervisor of the host does not answer (its guests run on), until [`World::bring_up`].
    pub fn take_down(&self, host: &str, reason: &str) {
        self.with(host, |host| host.down = Some(reason.to_owned()));
    }

    /// It answers again.
    pub fn bring_up(&self, host: &str) {
        self.with(host, |host| {
            host.down = None;
            host.changes.tell(None);
        });
    }

    /// The host loses power and comes back: guests are off, disks are there.
    pub fn restart_host(&self, host: &str) {
        self.with(host, |host| {
            for guest in host.servers.values_mut() {
                if guest.power != Power::Saved {
                    guest.power = Power::Off;
                }
                guest.plugged.clear();
                guest.volumes.clear();
                guest.mark.started = None;
            }
            host.changes.tell(None);
        });
    }

    /// The host is as new: nothing of any guest is there.
    pub fn lose_guests(&self, host: &str) {
        self.with(host, |host| {
            host.servers.clear();
            host.changes.tell(None);
        });
    }

    /// The guest switches itself off.
    pub fn guest_shuts_down(&self, host: &str, server: &ServerId) {
        self.with(host, |host| host.guest_shuts_down(server));
    }

    /// The guest does not hear what it is asked (its kernel is still booting), or hears again.
    pub fn set_deaf(&self, host: &str, server: &ServerId, is_deaf: bool) {
        self.with(host, |host| {
            if let Some(guest) = host.servers.get_mut(server) {
                guest.is_deaf = is_deaf;
            }
        });
    }

    /// No tap is there (the network agent is late), or all are.
    pub fn withhold_taps(&self, host: &str, withhold: bool) {
        self.with(host, |host| {
            host.withholds_all_taps = withhold;
            host.changes.tell(None);
        });
    }

    /// This tap is not there, or is.
    pub fn withhold_tap(&self, host: &str, tap: &str, withhold: bool) {
        self.with(host, |host| {
            if withhold {
                host.withheld_taps.insert(tap.to_owned());
            } else {
                host.withheld_taps.remove(tap);
            }
        });
    }

    /// The password that an account of a guest was given last.
    #[must_use]
    pub fn password(&self, host: &str, server: &ServerId, account: &str) -> Option<String> {
        self.with(host, |host| {
            let guest = host.servers.get(server)?;
            guest.passwords.get(account).cloned()
        })?
    }

    /// What there is on a host, for tests and `fsck`.
    #[must_use]
    pub fn snapshot(&self, host: &str) -> BTreeMap<ServerId, Found> {
        self.with(host, |host| {
            host.servers
                .iter()
                .map(|(id, guest)| (id.clone(), guest.found()))
                .collect()
        })
        .unwrap_or_default()
    }

    /// Whether another host still has the disk that one is to be made of.
    fn has_disk(&self, host: &str, server: &ServerId, epoch: i64) -> bool {
        let has = |host: &mut Host| {
            let guest = host.servers.get(server);
            guest.is_some_and(|guest| guest.disks.contains(&epoch))
        };
        self.with(host, has).unwrap_or(false)
    }

    /// How often a kind of call was made on a host.
    #[must_use]
    pub fn calls(&self, host: &str, verb: Verb) -> u64 {
        self.with(host, |host| host.calls.get(&verb).copied().unwrap_or(0))
            .unwrap_or(0)
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, host: &str, f: impl FnOnce(&mut Host) -> T) -> Option<T> {
        self.hosts().get_mut(host).map(f)
    }
}

impl Host {
    fn begin(&mut self, verb: Verb) -> Result<(), DriverError> {
        let calls = self.calls.entry(verb).or_default();
        *calls = calls.saturating_add(1);
        if let Some(reason) = &self.down {
            return Err(DriverError::Unavailable(reason.clone()));
        }
        let scripted = self.script.iter().position(|(of, _)| *of == verb);
        match scripted.and_then(|at| self.script.remove(at)) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    fn guest(&mut self, server: &ServerId) -> Result<&mut Guest, DriverError> {
        self.servers
            .get_mut(server)
            .ok_or_else(|| DriverError::Failed(format!("server {server} is not on this host")))
    }

    fn has_tap(&self, tap: &str) -> bool {
        !self.withholds_all_taps && !self.withheld_taps.contains(tap)
    }

    fn guest_shuts_down(&mut self, server: &ServerId) {
        if let Some(guest) = self.servers.get_mut(server)
            && guest.power == Power::On
            && !guest.is_deaf
        {
            guest.switch_off();
            self.changes.tell(Some(server.clone()));
        }
    }

    fn run(&mut self, server: &ServerId) -> Result<(), DriverError> {
        let guest = self.guest(server)?;
        let definition = guest
            .defined
            .clone()
            .ok_or_else(|| DriverError::Failed(format!("server {server} is not defined")))?;
        if guest.power == Power::On {
            return Ok(());
        }
        if !matches!(guest.power, Power::Paused | Power::Away) {
            let missing = definition.ports.keys().find(|tap| !self.has_tap(tap));
            if let Some(tap) = missing {
                return Err(DriverError::Failed(format!("there is no device {tap}")));
            }
        }
        let guest = self.guest(server)?;
        if guest.power == Power::Off {
            let taps = definition.ports.keys();
            let volumes = definition.volumes.values();
            let devices: String = taps
                .map(|tap| format!("  {tap}: up\r\n"))
                .chain(volumes.map(|volume| format!("  {}: there\r\n", volume.device)))
                .collect();
            let text = format!(
                "Nephos simulated guest: nothing runs here.\r\nDevices:\r\n{devices}\r\n{} login: ",
                definition.name
            );
            guest.console.extend_from_slice(text.as_bytes());
            let excess = guest.console.len().saturating_sub(CONSOLE_BYTES);
            guest.console.drain(..excess);
            guest.plugged = definition.ports;
            guest.volumes = definition.volumes;
        }
        guest.power = Power::On;
        Ok(())
    }
}

impl Guest {
    fn switch_off(&mut self) {
        self.power = Power::Off;
        self.plugged.clear();
        self.volumes.clear();
    }

    fn found(&self) -> Found {
        let state = match (self.power, &self.defined) {
            (_, None) => GuestState::Absent,
            (Power::Off, Some(_)) => GuestState::Stopped,
            (Power::On, Some(_)) => GuestState::Running,
            (Power::Paused, Some(_)) => GuestState::Paused,
            (Power::Saved, Some(_)) => GuestState::Suspended,
            (Power::Away, Some(_)) => GuestState::Migrating,
        };
        let is_on = matches!(self.power, Power::On | Power::Paused | Power::Away);
        let defined_ports = self.defined.as_ref().map(|defined| defined.ports.clone());
        Found {
            state,
            defined: self
                .defined
                .as_ref()
                .map(|defined| defined.fingerprint.clone()),
            disks: self.disks.clone(),
            config_drive: self.config_drive.clone(),
            files: !self.disks.is_empty() || self.config_drive.is_some(),
            ports: if is_on {
                self.plugged.clone()
            } else {
                defined_ports.unwrap_or_default()
            },
            volumes: match &self.defined {
                Some(defined) if !is_on => defined.volumes.clone(),
                _on => self.volumes.clone(),
            },
            mark: self.mark.clone(),
            vnc: is_on.then(|| VncAddress {
                host: "127.0.0.1".to_owned(),
                port: 5900,
            }),
            export: self.export.map(|epoch| Export {
                epoch,
                size_bytes: 0,
                sha256: "simulated".to_owned(),
            }),
            live: self.live.clone(),
        }
    }

    fn is_empty(&self) -> bool {
        self.defined.is_none() && self.disks.is_empty() && self.config_drive.is_none()
    }
}

fn found_volume(volume: &VolumeSpec) -> (String, FoundVolume) {
    let found = FoundVolume {
        device: volume.device.clone(),
        size_bytes: Some(volume.size_gib << 30),
    };
    (volume.volume_id.clone(), found)
}

fn found_port(port: &PortSpec) -> FoundPort {
    FoundPort {
        port_id: Some(port.port_id.clone()),
        tap: port.tap.clone(),
        mac: port.mac.clone(),
    }
}

/// The driver of one simulated host.
#[derive(Clone)]
pub struct FakeDriver {
    world: World,
    host: String,
    changes: Arc<Changes>,
}

impl FakeDriver {
    /// One call: takes its time, then happens at once, as the script says or really.
    fn call<'a, T: Send + 'a>(
        &'a self,
        verb: Verb,
        takes: Duration,
        act: impl FnOnce(&mut Host) -> Result<T, DriverError> + Send + 'a,
    ) -> Answer<'a, T> {
        async move {
            if !takes.is_zero() {
                self.pass(takes).await;
            }
            self.world
                .with(&self.host, |host| {
                    host.begin(verb)?;
                    act(host)
                })
                .unwrap_or_else(|| Err(DriverError::Unavailable("no such host".to_owned())))
        }
        .boxed()
    }

    /// Sleeps so that the calls of a host take, one after the other, as long as they say.
    async fn pass(&self, takes: Duration) {
        let overslept = |host: &mut Host| std::mem::take(&mut host.overslept);
        let credit = self.world.with(&self.host, overslept).unwrap_or_default();
        let clock = &self.world.0.clock;
        let due = clock.monotonic() + takes.saturating_sub(credit);
        clock.sleep(due.saturating_sub(clock.monotonic())).await;
        let late = clock.monotonic().saturating_sub(due) + credit.saturating_sub(takes);
        self.world
            .with(&self.host, |host| host.overslept = late.min(TIMER));
    }

    fn latency(&self) -> Latency {
        self.world.0.latency
    }
}
