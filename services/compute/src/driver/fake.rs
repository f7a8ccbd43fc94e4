//! Simulated hosts: an in-memory hypervisor with latency, failures by script, and a clock that a test may move.
//!
//! `nephos up --simulate HOSTS` runs a cloud on it, so it keeps a real hypervisor's rules: a disk needs its image, a
//! definition its disk, a start its taps, and what is running cannot be undefined. A [`World`] outlives the agents
//! that work on it, as real hosts do. It lives in memory: a new process begins with empty hosts, and the feed fills
//! them again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nephos_runtime::Clock;
use nephos_types::Timestamp;

use super::{
    Answer, Changes, Driver, DriverError, Found, FoundPort, Mark, config_drive_fingerprint,
    fingerprint,
};
use crate::model::spec::{
    CpuInfo, GuestState, HostInventory, ImageHash, ImageSpec, PortSpec, ServerId, ServerSpec,
    VncAddress,
};

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
    /// `ensure_disk`, `remove_old_disks`.
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
}

#[derive(Clone, Default)]
struct Guest {
    power: Power,
    defined: Option<Definition>,
    disks: BTreeSet<i64>,
    config_drive: Option<String>,
    plugged: BTreeMap<String, FoundPort>,
    mark: Mark,
    console: Vec<u8>,
    is_deaf: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Power {
    #[default]
    Off,
    On,
    Paused,
    Saved,
}

#[derive(Clone)]
struct Definition {
    fingerprint: String,
    name: String,
    ports: BTreeMap<String, FoundPort>,
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
                guest.mark.started = None;
            }
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
        if guest.power != Power::Paused {
            let missing = definition.ports.keys().find(|tap| !self.has_tap(tap));
            if let Some(tap) = missing {
                return Err(DriverError::Failed(format!("there is no device {tap}")));
            }
        }
        let guest = self.guest(server)?;
        if guest.power == Power::Off {
            let text = format!(
                "Nephos simulated guest: nothing runs here.\r\n\r\n{} login: ",
                definition.name
            );
            guest.console.extend_from_slice(text.as_bytes());
            let excess = guest.console.len().saturating_sub(CONSOLE_BYTES);
            guest.console.drain(..excess);
            guest.plugged = definition.ports;
        }
        guest.power = Power::On;
        Ok(())
    }
}

impl Guest {
    fn switch_off(&mut self) {
        self.power = Power::Off;
        self.plugged.clear();
    }

    fn found(&self) -> Found {
        let state = match (self.power, &self.defined) {
            (_, None) => GuestState::Absent,
            (Power::Off, Some(_)) => GuestState::Stopped,
            (Power::On, Some(_)) => GuestState::Running,
            (Power::Paused, Some(_)) => GuestState::Paused,
            (Power::Saved, Some(_)) => GuestState::Suspended,
        };
        let is_on = matches!(self.power, Power::On | Power::Paused);
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
            mark: self.mark.clone(),
            vnc: is_on.then(|| VncAddress {
                host: "127.0.0.1".to_owned(),
                port: 5900,
            }),
        }
    }

    fn is_empty(&self) -> bool {
        self.defined.is_none() && self.disks.is_empty() && self.config_drive.is_none()
    }
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
                self.world.0.clock.sleep(takes).await;
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

    fn latency(&self) -> Latency {
        self.world.0.latency
    }
}

impl Driver for FakeDriver {
    fn list(&self) -> Answer<'_, BTreeSet<ServerId>> {
        self.call(Verb::Look, self.latency().look, |host| {
            Ok(host.servers.keys().cloned().collect())
        })
    }

    fn look<'a>(&'a self, server: &'a ServerId) -> Answer<'a, Found> {
        self.call(Verb::Look, self.latency().look, move |host| {
            Ok(host
                .servers
                .get(server)
                .map_or_else(Found::nothing, Guest::found))
        })
    }

    fn missing_taps<'a>(&'a self, ports: &'a [PortSpec]) -> Answer<'a, Vec<String>> {
        self.call(Verb::Look, Duration::ZERO, move |host| {
            let missing = ports.iter().filter(|port| !host.has_tap(&port.tap));
            Ok(missing.map(|port| port.tap.clone()).collect())
        })
    }

    fn ensure_image<'a>(&'a self, image: &'a ImageSpec) -> Answer<'a, ()> {
        let is_cached = self
            .world
            .with(&self.host, |host| host.images.contains_key(&image.hash))
            .unwrap_or(false);
        let takes = if is_cached {
            Duration::ZERO
        } else {
            self.latency().image
        };
        let now = self.world.0.clock.now();
        self.call(Verb::Image, takes, move |host| {
            host.images.insert(image.hash.clone(), now);
            Ok(())
        })
    }

    fn ensure_disk<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        self.call(Verb::Disk, self.latency().change, move |host| {
            if !host.images.contains_key(&spec.boot.image.hash) {
                let image = &spec.boot.image.id;
                return Err(DriverError::Failed(format!("image {image} is not cached")));
            }
            let guest = host.servers.entry(spec.server_id.clone()).or_default();
            guest.disks.insert(spec.disk_epoch);
            Ok(())
        })
    }

    fn remove_old_disks<'a>(&'a self, server: &'a ServerId, keep: i64) -> Answer<'a, ()> {
        self.call(Verb::Disk, self.latency().change, move |host| {
            if let Some(guest) = host.servers.get_mut(server) {
                guest.disks.retain(|epoch| *epoch == keep);
            }
            Ok(())
        })
    }

    fn ensure_config_drive<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        self.call(Verb::ConfigDrive, self.latency().change, move |host| {
            let guest = host.servers.entry(spec.server_id.clone()).or_default();
            guest.config_drive = spec.config_drive.as_ref().map(config_drive_fingerprint);
            Ok(())
        })
    }

    fn ensure_defined<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        self.call(Verb::Define, self.latency().change, move |host| {
            let guest = host.guest(&spec.server_id)?;
            if !guest.disks.contains(&spec.disk_epoch) {
                return Err(DriverError::Failed("the root disk is not there".to_owned()));
            }
            let ports = spec
                .ports
                .iter()
                .map(|port| (port.tap.clone(), found_port(port)));
            guest.defined = Some(Definition {
                fingerprint: fingerprint(spec),
                name: spec.labels.name.clone(),
                ports: ports.collect(),
            });
            Ok(())
        })
    }

    fn set_mark<'a>(&'a self, server: &'a ServerId, mark: &'a Mark) -> Answer<'a, ()> {
        self.call(Verb::Mark, self.latency().look, move |host| {
            host.guest(server)?.mark = mark.clone();
            Ok(())
        })
    }

    fn ensure_running<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.call(Verb::Run, self.latency().power, move |host| {
            host.run(server)
        })
    }

    fn ask_to_shut_down<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        let takes = self.latency().shut_down;
        let (world, name, id) = (self.world.clone(), self.host.clone(), server.clone());
        self.call(Verb::Stop, self.latency().look, move |host| {
            if takes.is_zero() {
                host.guest_shuts_down(server);
            } else {
                nephos_runtime::spawn("simulated-shutdown", async move {
                    world.0.clock.sleep(takes).await;
                    world.guest_shuts_down(&name, &id);
                });
            }
            Ok(())
        })
    }

    fn ensure_off<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.call(Verb::Stop, self.latency().power, move |host| {
            if let Some(guest) = host.servers.get_mut(server) {
                guest.switch_off();
            }
            Ok(())
        })
    }

    fn ensure_paused<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.call(Verb::Stop, self.latency().change, move |host| {
            let guest = host.guest(server)?;
            if guest.power == Power::On {
                guest.power = Power::Paused;
            }
            Ok(())
        })
    }

    fn ensure_suspended<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.call(Verb::Stop, self.latency().power, move |host| {
            let guest = host.guest(server)?;
            if matches!(guest.power, Power::On | Power::Paused) {
                guest.power = Power::Saved;
            }
            Ok(())
        })
    }

    fn ensure_plugged<'a>(&'a self, server: &'a ServerId, port: &'a PortSpec) -> Answer<'a, ()> {
        self.call(Verb::Plug, self.latency().change, move |host| {
            if !host.has_tap(&port.tap) {
                return Err(DriverError::Failed(format!(
                    "there is no device {}",
                    port.tap
                )));
            }
            host.guest(server)?
                .plugged
                .insert(port.tap.clone(), found_port(port));
            Ok(())
        })
    }

    fn ask_to_unplug<'a>(&'a self, server: &'a ServerId, port: &'a FoundPort) -> Answer<'a, ()> {
        self.call(Verb::Plug, self.latency().change, move |host| {
            let guest = host.guest(server)?;
            if !guest.is_deaf {
                guest.plugged.remove(&port.tap);
            }
            Ok(())
        })
    }

    fn remove_definition<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.call(Verb::Remove, self.latency().change, move |host| {
            let Some(guest) = host.servers.get_mut(server) else {
                return Ok(());
            };
            if matches!(guest.power, Power::On | Power::Paused) {
                return Err(DriverError::Failed(format!("server {server} is running")));
            }
            guest.defined = None;
            guest.power = Power::Off;
            guest.mark = Mark::default();
            if guest.is_empty() {
                host.servers.remove(server);
            }
            Ok(())
        })
    }

    fn remove_files<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.call(Verb::Remove, self.latency().change, move |host| {
            if host
                .servers
                .get(server)
                .is_some_and(|guest| guest.defined.is_some())
            {
                return Err(DriverError::Failed(format!(
                    "server {server} is still defined"
                )));
            }
            host.servers.remove(server);
            Ok(())
        })
    }

    fn console_output<'a>(&'a self, server: &'a ServerId, max_bytes: u64) -> Answer<'a, Vec<u8>> {
        self.call(Verb::Look, self.latency().look, move |host| {
            let Some(guest) = host.servers.get(server) else {
                return Ok(Vec::new());
            };
            let max = usize::try_from(max_bytes).unwrap_or(usize::MAX);
            let from = guest.console.len().saturating_sub(max);
            Ok(guest.console.get(from..).unwrap_or_default().to_vec())
        })
    }

    fn inventory(&self) -> Answer<'_, HostInventory> {
        let name = self.host.clone();
        let uptime_secs = self.world.0.clock.monotonic().as_secs();
        self.call(Verb::Look, self.latency().look, move |host| {
            let running = host
                .servers
                .values()
                .filter(|guest| guest.power == Power::On)
                .count();
            Ok(HostInventory {
                hypervisor_hostname: name.clone(),
                host: name,
                hypervisor_type: "fake".to_owned(),
                hypervisor_version: 1000,
                virt_type: "fake".to_owned(),
                host_ip: "127.0.0.1".to_owned(),
                vcpus: host.size.vcpus,
                ram_mib: host.size.ram_mib,
                disk_gib: host.size.disk_gib,
                disk_free_gib: host.size.disk_gib,
                ram_free_mib: host.size.ram_mib,
                cpu: CpuInfo {
                    arch: "x86_64".to_owned(),
                    model: "simulated".to_owned(),
                    vendor: "Nephos".to_owned(),
                    sockets: 1,
                    cores: host.size.vcpus,
                    threads: 1,
                    ..CpuInfo::default()
                },
                running_servers: u32::try_from(running).unwrap_or(u32::MAX),
                uptime_secs,
            })
        })
    }

    fn remove_unused_images<'a>(
        &'a self,
        keep: &'a BTreeSet<ImageHash>,
        unused_since: Timestamp,
    ) -> Answer<'a, u64> {
        self.call(Verb::Remove, self.latency().look, move |host| {
            let before = host.images.len();
            host.images
                .retain(|hash, used| keep.contains(hash) || *used >= unused_since);
            Ok(u64::try_from(before.saturating_sub(host.images.len())).unwrap_or(0))
        })
    }

    fn changed(&self) -> BoxFuture<'_, Option<ServerId>> {
        self.changes.next().boxed()
    }

    fn outlives_us(&self) -> bool {
        false
    }
}
