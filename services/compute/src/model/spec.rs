//! The documents of the host feed: what a host is told (`ServerSpec`) and what it tells back
//! (`ObservedServer`, `HostInventory`).
//!
//! A spec is *whole*: the agent needs nothing else to make the server, and compares all of it with all of what
//! it finds. Nothing in it is a command; what happens once (a reboot) is a number that only grows.
//! Unknown fields are ignored and new ones have defaults, so that control plane and hosts may be of two releases.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nephos_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::disk::{DiskWish, Export};
use super::live::{LiveSeen, LiveWish};
use super::volume::VolumeSpec;

nephos_types::id! {
    /// A server; also the UUID of its libvirt domain.
    ServerId
    /// A Glance image.
    ImageId
    /// A Neutron port.
    PortId
}

/// What the hypervisor of its host calls a server; an operator gives it to `virsh`.
#[must_use]
pub fn guest_name(server: &ServerId) -> String {
    format!("nephos-{server}")
}

/// The feed's word for a server.
pub const KIND_SERVER: &str = "server";
/// The feed's word for the host itself: its observation carries a [`HostInventory`].
pub const KIND_HOST: &str = "host";
/// What a host says of itself while its hypervisor does not answer; otherwise it sends its inventory.
pub const HOST_AWAY: &str = "no-hypervisor";

/// The feed's word for a question about a server's console log; the id is the server's, the answer a [`ConsoleTail`].
pub const KIND_CONSOLE: &str = "console";

/// A question about a console log. Its generation grows with each question; an observation of the same kind, id and
/// generation answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleWish {
    /// At most so much of its end.
    pub max_bytes: u64,
}

/// The end of a console log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleTail {
    /// The text; bytes that are none are replaced.
    #[serde(default)]
    pub text: String,
    /// Why it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Everything a host must know about one server that is wanted on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSpec {
    /// The server, and the UUID of its domain.
    pub server_id: ServerId,
    /// Grows with each change of the spec; what is observed says which one it has seen.
    pub generation: i64,
    /// The state it should be in.
    pub want: Want,
    /// Seconds the guest has to shut down by itself before it is switched off; 0 switches it off at once.
    #[serde(default = "default_stop_timeout_secs")]
    pub stop_timeout_secs: u32,
    /// The last reboot that was asked for. A host that has not done this one yet does it, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot: Option<Reboot>,
    /// vCPUs, memory and root disk.
    pub size: Size,
    /// Where the root disk's content comes from.
    pub boot: Boot,
    /// Raised by a rebuild: a root disk of another epoch is thrown away and made anew from the image.
    #[serde(default)]
    pub disk_epoch: i64,
    /// What there is to say of the root disk beside its epoch.
    #[serde(default, skip_serializing_if = "DiskWish::is_plain")]
    pub disk: DiskWish,
    /// Volumes, the one it boots from among them.
    #[serde(default)]
    pub volumes: Vec<VolumeSpec>,
    /// Network interfaces, in the guest's order.
    #[serde(default)]
    pub ports: Vec<PortSpec>,
    /// The config drive; `None`: the server has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_drive: Option<ConfigDrive>,
    /// Consoles.
    #[serde(default)]
    pub console: ConsoleSpec,
    /// Whether QEMU's agent in the guest has a channel to the host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guest_agent: bool,
    /// The guest comes here, or goes from here, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveWish>,
    /// Whose it is, for people who look at the host (`virsh dumpxml`); decides nothing.
    #[serde(default)]
    pub labels: Labels,
}

impl ServerSpec {
    /// Whether a host must fetch this image to make the server.
    pub(crate) fn needs(&self, image: &ImageId) -> bool {
        let kernel = self.boot.kernel.as_ref();
        let beside = kernel.and_then(|kernel| kernel.ramdisk.as_ref());
        let all = [
            self.boot.image.as_ref(),
            kernel.map(|kernel| &kernel.image),
            beside,
        ];
        all.into_iter().flatten().any(|one| one.id == *image)
    }
}

const fn default_stop_timeout_secs() -> u32 {
    60 // Nova's `shutdown_timeout`
}

/// What a server should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Guest running. One that switched itself off is *not* started again behind its owner's back: it is reported
    /// as stopped and settled, and started when a newer generation wants it to run. After a restart of the host
    /// it is started.
    Running,
    /// Guest off; disks and definition kept.
    Stopped,
    /// Guest frozen in memory.
    Paused,
    /// Guest saved to disk, memory free.
    Suspended,
    /// Nothing of it left on this host: no domain, no disk, no file.
    Absent,
}

/// One reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboot {
    /// Grows with each request.
    pub sequence: i64,
    /// Asks the guest first (and falls back to `Hard` at the stop timeout), or does not.
    pub how: RebootKind,
}

/// How to reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebootKind {
    /// Shut down through ACPI, then start.
    Soft,
    /// Switch off, define anew from the spec, start.
    Hard,
}

/// What the flavor gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory.
    pub ram_mib: u64,
    /// Root disk; 0 means "as large as the image", as Nova's flavors do.
    pub disk_gib: u64,
}

/// What the root disk starts as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// The image of the root disk; `None`: the root disk is a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSpec>,
    /// Boots this kernel directly (Glance's `kernel_id`) instead of the disk's boot loader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelSpec>,
}

/// A kernel beside the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelSpec {
    /// `kernel_id`.
    pub image: ImageSpec,
    /// `ramdisk_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramdisk: Option<ImageSpec>,
    /// `os_command_line`; empty takes the driver's own.
    #[serde(default)]
    pub command_line: String,
}

/// An image as the image service describes it: enough to fetch it once and to prove that it is the right one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSpec {
    /// Where to fetch it.
    pub id: ImageId,
    /// What its bytes must hash to; the cache is keyed by it.
    pub hash: ImageHash,
    /// Its length; a stream of another length is refused.
    pub size_bytes: u64,
    /// `qcow2`, `raw`, `ami`, `aki`, `ari`. What the file claims to be is checked against it.
    pub disk_format: String,
}

/// Glance's `os_hash_algo` and `os_hash_value`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageHash {
    /// `sha512` (Glance's default) or `sha256`.
    pub algo: HashAlgo,
    /// Lower-case hexadecimal.
    pub value: String,
}

/// The hashes an image may be proved with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashAlgo {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// The Neutron port.
    pub port_id: PortId,
    /// `fa:16:3e:…`, lower case.
    pub mac: String,
    /// The tap device, made by the network agent. By convention `tap` + the first 11 characters of the port id.
    pub tap: String,
    /// The network's MTU.
    pub mtu: u32,
}

impl PortSpec {
    /// The name of a port's tap, the same in Nova, Neutron and here: 14 characters, one less than Linux allows.
    #[must_use]
    pub fn tap_name(port: &PortId) -> String {
        format!("tap{}", port.as_str().chars().take(11).collect::<String>())
    }
}

/// The files of a config drive. The driver makes the medium (volume label `config-2`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigDrive {
    /// Path below the root (`openstack/latest/meta_data.json`) → content.
    pub files: BTreeMap<String, FileContent>,
}

/// The content of a file; base64 in JSON, because user data need not be text.
#[derive(Clone, PartialEq, Eq)]
pub struct FileContent(pub Vec<u8>);

impl std::fmt::Debug for FileContent {
    /// Only the length: user data and passwords do not belong in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileContent({} bytes)", self.0.len())
    }
}

impl Serialize for FileContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&base64::display::Base64Display::new(&self.0, &STANDARD))
    }
}

impl<'de> Deserialize<'de> for FileContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Consoles of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsoleSpec {
    /// A graphical console.
    pub vnc: bool,
    /// A serial port whose output is kept (the console log).
    pub serial: bool,
}

impl Default for ConsoleSpec {
    fn default() -> Self {
        Self {
            vnc: true,
            serial: true,
        }
    }
}

/// For people who look at the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Labels {
    /// The server's display name.
    pub name: String,
    /// Its project.
    pub project_id: String,
    /// Who made it.
    pub user_id: String,
    /// The flavor's name.
    pub flavor: String,
}

/// What a host sees of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedServer {
    /// The server.
    pub server_id: ServerId,
    /// The newest generation of its spec that the agent has worked on; 0: none (an owned leftover).
    pub generation_seen: i64,
    /// What it is now.
    pub state: GuestState,
    /// How far the agent is with that generation.
    pub progress: Progress,
    /// The reboot it has done, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebooted: Option<i64>,
    /// The ports that are plugged in, by id.
    #[serde(default)]
    pub ports: Vec<PortId>,
    /// The volumes that are plugged in, by id.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Where the graphical console listens, while the guest runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnc: Option<VncAddress>,
    /// The root disk that is ready to be carried to another host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Export>,
    /// How far the guest is on its way to another host, or how it may be brought here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveSeen>,
    /// When this was first seen so, by the host's clock.
    pub at: Timestamp,
}

/// What a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestState {
    /// Nothing of it is here.
    Absent,
    /// Defined, or parts of it are, and off.
    Stopped,
    /// Running.
    Running,
    /// Frozen in memory.
    Paused,
    /// Saved to disk.
    Suspended,
    /// It ended by itself in a way that is no shutdown.
    Crashed,
    /// Frozen between two hosts: it has left here, or has not arrived here.
    Migrating,
}

/// How far an agent is with a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Progress {
    /// Spec and reality agree.
    Settled,
    /// In the middle of it.
    Working {
        /// The step, for people: `image`, `disk`, `start`.
        step: String,
    },
    /// Cannot go on yet and will try again by itself: a tap is not there, libvirtd is down.
    Waiting {
        /// Why.
        reason: String,
    },
    /// Will not come out of this without a newer generation.
    Failed {
        /// Why, in a sentence that may be shown to the server's owner.
        reason: String,
    },
}

impl Progress {
    /// Whether the agent goes on by itself: nothing is decided yet.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        matches!(self, Self::Working { .. } | Self::Waiting { .. })
    }
}

/// Where a graphical console listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VncAddress {
    /// An address of the host.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// What a host has and is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInventory {
    /// The host's name: its identity in feed, placement and API.
    pub host: String,
    /// The hypervisor's own name of the machine (`hypervisor_hostname`).
    pub hypervisor_hostname: String,
    /// `QEMU` (as Nova's libvirt driver says, for KVM too) or `fake`.
    pub hypervisor_type: String,
    /// As Nova encodes it: 7.2.22 → 7002022.
    pub hypervisor_version: u32,
    /// How guests run: `kvm`, `qemu` (TCG) or `fake`.
    pub virt_type: String,
    /// The address guests' consoles and other hosts reach it at.
    pub host_ip: String,
    /// Logical processors.
    pub vcpus: u32,
    /// Memory.
    pub ram_mib: u64,
    /// Size of the file system that holds the disks.
    pub disk_gib: u64,
    /// Of it, free now.
    pub disk_free_gib: u64,
    /// Memory that is free now.
    pub ram_free_mib: u64,
    /// The processor.
    pub cpu: CpuInfo,
    /// Whether running guests can come here and go from here.
    #[serde(default)]
    pub moves_running: bool,
    /// Guests that run.
    pub running_servers: u32,
    /// Seconds since the host started.
    pub uptime_secs: u64,
}

/// A host's processor; the API shows it as `cpu_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuInfo {
    /// `x86_64`.
    pub arch: String,
    /// libvirt's model name.
    pub model: String,
    /// `Intel`, `AMD`.
    pub vendor: String,
    /// Feature names.
    pub features: Vec<String>,
    /// Sockets.
    pub sockets: u32,
    /// Cores of a socket.
    pub cores: u32,
    /// Threads of a core.
    pub threads: u32,
}

#[cfg(test)]
mod tests;
