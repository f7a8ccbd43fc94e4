//! A server: what it is, what it may do next, how the API shows its state.
//!
//! ```text
//!            create                        delete (from anywhere)
//!   ─────► BUILDING ──────► ACTIVE ◄──────► STOPPED ─────► (gone)
//!              │               │
//!              └──► ERROR ◄────┤
//!                              resize ──► RESIZED ──► confirm, revert ──► as it was
//! ```

use std::collections::BTreeMap;

use nephos_types::{ProjectId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::disk::{DiskFrom, DiskWish};
use super::flavor::Flavor;
use super::spec::{self, ImageId, ServerId};
use super::volume::{ROOT_DEVICE, Volume, free_device};

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmState {
    /// On its way to its first start.
    Building,
    /// Running.
    Active,
    /// Off, by its owner's will or the guest's own.
    Stopped,
    /// Frozen in memory.
    Paused,
    /// Saved to disk.
    Suspended,
    /// Of another size or on another host, and its owner has not decided yet.
    Resized,
    /// Something failed; `fault` says what.
    Error,
}

impl VmState {
    /// The word in the database and in `OS-EXT-STS:vm_state`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Active => "active",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::Resized => "resized",
            Self::Error => "error",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Building,
            Self::Active,
            Self::Stopped,
            Self::Paused,
            Self::Suspended,
            Self::Resized,
            Self::Error,
        ]
        .into_iter()
        .find(|state| state.word() == word)
    }
}

/// `OS-EXT-STS:power_state` (nova.compute.power_state).
pub mod power {
    /// Not known.
    pub const NOSTATE: i64 = 0;
    /// Running.
    pub const RUNNING: i64 = 1;
    /// Frozen in memory.
    pub const PAUSED: i64 = 3;
    /// Off.
    pub const SHUTDOWN: i64 = 4;
    /// Ended by itself in a way that is no shutdown.
    pub const CRASHED: i64 = 6;
}

/// Who locked a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockedBy {
    /// Its owner.
    Owner,
    /// An admin: only an admin unlocks it.
    Admin,
}

/// Why a server is in ERROR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFault {
    /// HTTP-like.
    pub code: u16,
    /// For the owner.
    pub message: String,
    /// For admins only.
    #[serde(default)]
    pub details: String,
    /// When.
    pub created: Timestamp,
}

/// The image a server was made of, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageCopy {
    /// Its id.
    pub id: ImageId,
    /// `sha512` or `sha256`.
    pub hash_algo: String,
    /// Of its bytes.
    pub hash_value: String,
    /// Of its file.
    pub size_bytes: u64,
    /// `qcow2`, `raw`, …
    pub disk_format: String,
    /// GiB that its disk needs at least.
    pub min_disk_gib: u64,
    /// MiB that it needs at least.
    pub min_ram_mib: u64,
    /// `kernel_id`, `hw_…`, `os_…`.
    pub properties: BTreeMap<String, String>,
    /// What the disk is made of instead, while a resize or a migration of the server has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_from: Option<DiskFrom>,
}

/// A network interface that was asked for, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// The network; known from the start but for an existing port.
    pub network_id: String,
    /// The address asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_ip: Option<String>,
    /// The port; given by the user, or empty until the network service has made one.
    pub port_id: String,
    /// Whether it goes with the server.
    pub ours: bool,
    /// A name for the guest (`tag`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What the network service said of the port; empty until it is there.
    #[serde(default)]
    pub bound: Option<BoundNic>,
    /// It is being taken out.
    #[serde(default)]
    pub leaving: bool,
    /// Its own id, by which whoever plugged it into a server that was there finds it again; none: it was wanted from the
    /// start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A port as the network service has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundNic {
    /// Of the interface.
    pub mac: String,
    /// Name of its network.
    pub network: String,
    /// Of its network.
    pub mtu: u32,
    /// Its addresses.
    pub addresses: Vec<BoundAddress>,
    /// Names of its security groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// An address of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundAddress {
    /// The address.
    pub ip: String,
    /// Of its subnet.
    #[serde(default)]
    pub subnet_id: String,
    /// Of its subnet.
    #[serde(default)]
    pub cidr: String,
    /// Of its subnet.
    #[serde(default)]
    pub gateway: Option<String>,
    /// Of its subnet.
    #[serde(default)]
    pub dns: Vec<String>,
    /// Whether its subnet answers DHCP.
    #[serde(default)]
    pub dhcp: bool,
    /// Floating addresses that lead to it.
    #[serde(default)]
    pub floating: Vec<String>,
}

/// A server.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Its id; also the UUID of its libvirt domain and of its allocations' consumer.
    pub id: ServerId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who made it.
    pub user_id: UserId,
    /// Its name; not unique.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// The guest's own name.
    pub hostname: String,
    /// What its disk began as.
    pub image: ImageCopy,
    /// Its size, as it was when it was made.
    pub flavor: Flavor,
    /// Name and text of the key that is let in.
    pub key: Option<(String, String)>,
    /// For the guest, base64 as it came.
    pub user_data: Option<String>,
    /// Whether it gets a config drive.
    pub config_drive: bool,
    /// The password of the guest's first user; kept for the config drive, the only place that shows it again.
    pub admin_pass: Option<String>,
    /// What the guest left through the metadata service, encrypted with its owner's key; empty: nothing.
    pub guest_password: String,
    /// Files for the guest (`personality`): path and base64 content.
    pub files: Vec<(String, String)>,
    /// The zone asked for.
    pub wanted_zone: Option<String>,
    /// The host asked for by an admin.
    pub wanted_host: Option<String>,
    /// The zone it is in.
    pub zone: Option<String>,
    /// The host it is on.
    pub host: Option<String>,
    /// What it is.
    pub vm_state: VmState,
    /// What is being done to it, in Nova's words; a view of its live operation.
    pub task_state: Option<String>,
    /// What the host should make of it: `running`, `stopped`, …
    pub want: String,
    /// As last seen; see [`power`].
    pub power_state: i64,
    /// Version of what the host is told.
    pub generation: i64,
    /// Reboots asked for so far.
    pub reboot_sequence: i64,
    /// How the last one was asked for: `soft`, `hard`.
    pub reboot_kind: String,
    /// Raised by a rebuild: another disk.
    pub disk_epoch: i64,
    /// Its interfaces.
    pub nics: Vec<Nic>,
    /// Security groups of ports that we make, by name or id as they were asked for.
    pub security_groups: Vec<String>,
    /// For people and programs.
    pub metadata: BTreeMap<String, String>,
    /// Likewise.
    pub tags: Vec<String>,
    /// Who locked it.
    pub locked_by: Option<LockedBy>,
    /// Why.
    pub locked_reason: Option<String>,
    /// Why it is in ERROR.
    pub fault: Option<ServerFault>,
    /// Hosts where its start failed.
    pub excluded_hosts: Vec<String>,
    /// Of the request that made it (and others, in a multi-create).
    pub reservation_id: String,
    /// Its place among those.
    pub launch_index: i64,
    /// An address its owner noted.
    pub access_ipv4: String,
    /// Likewise.
    pub access_ipv6: String,
    /// `MANUAL` or `AUTO`.
    pub disk_config: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it first ran.
    pub launched_at: Option<Timestamp>,
    /// The group of servers that it is in.
    pub group_id: Option<String>,
    /// Its volumes, the one it boots from among them.
    pub volumes: Vec<Volume>,
}

/// Why a server takes no further volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// It has this volume.
    There(String),
    /// Something else has the device that was asked for.
    DeviceTaken(String),
    /// It has as many disks as it can have.
    Full,
}

/// Why an action is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// 409: its state does not allow it; names the state.
    State(String),
    /// 409: it is locked.
    Locked,
}

impl Server {
    /// What the API calls its status (nova.api.openstack.common `_STATE_MAP`).
    #[must_use]
    pub fn status(&self) -> &'static str {
        match (self.vm_state, self.task_state.as_deref()) {
            (VmState::Active, Some("rebooting" | "reboot_pending" | "reboot_started")) => "REBOOT",
            (
                VmState::Active,
                Some("rebooting_hard" | "reboot_pending_hard" | "reboot_started_hard"),
            )
            | (VmState::Stopped | VmState::Error, Some("rebooting_hard")) => "HARD_REBOOT",
            (VmState::Active | VmState::Stopped | VmState::Error, Some("rebuilding")) => "REBUILD",
            (
                VmState::Active | VmState::Stopped,
                Some("resize_prep" | "resize_migrating" | "resize_migrated" | "resize_finish"),
            ) => "RESIZE",
            (VmState::Resized, Some("resize_reverting")) => "REVERT_RESIZE",
            (VmState::Resized, _) => "VERIFY_RESIZE",
            (VmState::Building, _) => "BUILD",
            (VmState::Active, _) => "ACTIVE",
            (VmState::Stopped, _) => "SHUTOFF",
            (VmState::Paused, _) => "PAUSED",
            (VmState::Suspended, _) => "SUSPENDED",
            (VmState::Error, _) => "ERROR",
        }
    }

    /// Percent, only while it is worked on.
    #[must_use]
    pub fn progress(&self) -> Option<u8> {
        match self.status() {
            "ACTIVE" | "REBOOT" | "HARD_REBOOT" => {
                Some(if self.status() == "ACTIVE" { 100 } else { 0 })
            }
            "BUILD" | "REBUILD" | "RESIZE" | "REVERT_RESIZE" => Some(0),
            "VERIFY_RESIZE" => Some(100),
            _other => None,
        }
    }

    /// Whether somebody may do `verb` now, which needs one of `states` and nothing under way.
    ///
    /// # Errors
    /// The state that forbids it.
    pub fn check_can(&self, states: &[VmState]) -> Result<(), Refused> {
        if let Some(task) = &self.task_state {
            return Err(Refused::State(format!("task_state {task}")));
        }
        if !states.contains(&self.vm_state) {
            return Err(Refused::State(format!("vm_state {}", self.vm_state.word())));
        }
        Ok(())
    }

    /// Whether the lock lets the caller through: an owner's lock stops everybody but admins.
    ///
    /// # Errors
    /// [`Refused::Locked`].
    pub fn check_unlocked(&self, by_admin: bool) -> Result<(), Refused> {
        if self.locked_by.is_some() && !by_admin {
            return Err(Refused::Locked);
        }
        Ok(())
    }

    /// Whether its root disk is a volume.
    #[must_use]
    pub fn boots_from_volume(&self) -> bool {
        self.volumes.iter().any(|volume| volume.is_root)
    }

    /// What it takes of a host: a root disk that is a volume takes no room there.
    #[must_use]
    pub fn room(&self) -> Flavor {
        let mut room = self.flavor.clone();
        if self.boots_from_volume() {
            room.disk_gib = 0;
        }
        room
    }

    /// Takes a volume in, at the device it asks for or the first that is free.
    ///
    /// # Errors
    /// Why not.
    pub fn place(&mut self, mut volume: Volume) -> Result<Volume, NoPlace> {
        let same = |one: &Volume| !one.volume_id.is_empty() && one.volume_id == volume.volume_id;
        if self.volumes.iter().any(same) {
            return Err(NoPlace::There(volume.volume_id));
        }
        let of_image = (!self.boots_from_volume() && !volume.is_root).then_some(ROOT_DEVICE);
        let taken = self.volumes.iter().map(|one| one.device.as_str());
        let taken = taken.chain(of_image);
        if volume.device.is_empty() {
            volume.device = free_device(taken).ok_or(NoPlace::Full)?;
        } else if taken.clone().any(|device| device == volume.device) {
            return Err(NoPlace::DeviceTaken(volume.device));
        }
        self.volumes.push(volume.clone());
        Ok(volume)
    }

    /// What it uses of its project's quota.
    #[must_use]
    pub fn usage(&self) -> super::quota::Usage {
        super::quota::Usage {
            instances: 1,
            cores: i64::from(self.flavor.vcpus),
            ram: i64::try_from(self.flavor.ram_mib).unwrap_or(i64::MAX),
        }
    }

    /// What its host is told.
    #[must_use]
    pub fn spec(&self) -> spec::ServerSpec {
        let ports = self
            .nics
            .iter()
            .filter(|nic| !nic.leaving)
            .filter_map(|nic| {
                let bound = nic.bound.as_ref()?;
                let port_id = spec::PortId::from(nic.port_id.as_str());
                let tap = spec::PortSpec::tap_name(&port_id);
                Some(spec::PortSpec {
                    tap,
                    port_id,
                    mac: bound.mac.clone(),
                    mtu: bound.mtu,
                })
            });
        let host = self.host.as_deref();
        let volumes = self.volumes.iter().filter_map(|volume| volume.spec(host));
        let reboot = (self.reboot_sequence > 0).then(|| spec::Reboot {
            sequence: self.reboot_sequence,
            how: if self.reboot_kind == "hard" {
                spec::RebootKind::Hard
            } else {
                spec::RebootKind::Soft
            },
        });
        let config_drive = self.config_drive.then(|| spec::ConfigDrive {
            files: super::guest_data::config_drive(self)
                .into_iter()
                .map(|(path, content)| (path, spec::FileContent(content)))
                .collect(),
        });
        spec::ServerSpec {
            server_id: self.id.clone(),
            generation: self.generation,
            want: want(&self.want),
            stop_timeout_secs: 60,
            reboot,
            size: spec::Size {
                vcpus: self.flavor.vcpus,
                ram_mib: self.flavor.ram_mib,
                disk_gib: self.flavor.disk_gib,
            },
            boot: spec::Boot {
                image: (!self.boots_from_volume()).then(|| self.image.spec()),
                kernel: None,
            },
            disk_epoch: self.disk_epoch,
            disk: DiskWish {
                from: self.image.disk_from.clone(),
                export: false,
            },
            volumes: volumes.collect(),
            ports: ports.collect(),
            config_drive,
            live: None,
            console: spec::ConsoleSpec::default(),
            guest_agent: super::guest_password::has_agent(&self.image),
            labels: spec::Labels {
                name: self.name.clone(),
                project_id: self.project_id.to_string(),
                user_id: self.user_id.to_string(),
                flavor: self.flavor.name.clone(),
            },
        }
    }

    /// `addresses` of the API: by network, every address with its kind and MAC.
    #[must_use]
    pub fn addresses(&self) -> Value {
        let mut networks = serde_json::Map::new();
        for bound in self.nics.iter().filter_map(|nic| nic.bound.as_ref()) {
            let list = networks
                .entry(bound.network.clone())
                .or_insert_with(|| Value::Array(Vec::new()));
            let Some(list) = list.as_array_mut() else {
                continue;
            };
            for address in &bound.addresses {
                list.push(shown(&address.ip, "fixed", &bound.mac));
                list.extend(
                    address
                        .floating
                        .iter()
                        .map(|ip| shown(ip, "floating", &bound.mac)),
                );
            }
        }
        Value::Object(networks)
    }
}

impl ImageCopy {
    /// No image: the server boots from a volume.
    #[must_use]
    pub fn none() -> Self {
        Self {
            id: ImageId::from(""),
            hash_algo: String::new(),
            hash_value: String::new(),
            size_bytes: 0,
            disk_format: String::new(),
            min_disk_gib: 0,
            min_ram_mib: 0,
            properties: BTreeMap::new(),
            disk_from: None,
        }
    }

    fn spec(&self) -> spec::ImageSpec {
        let algo = if self.hash_algo == "sha256" {
            spec::HashAlgo::Sha256
        } else {
            spec::HashAlgo::Sha512
        };
        spec::ImageSpec {
            id: self.id.clone(),
            hash: spec::ImageHash {
                algo,
                value: self.hash_value.clone(),
            },
            size_bytes: self.size_bytes,
            disk_format: self.disk_format.clone(),
        }
    }
}

fn want(word: &str) -> spec::Want {
    match word {
        "running" => spec::Want::Running,
        "paused" => spec::Want::Paused,
        "suspended" => spec::Want::Suspended,
        "absent" => spec::Want::Absent,
        _stopped => spec::Want::Stopped,
    }
}

fn shown(ip: &str, kind: &str, mac: &str) -> Value {
    let version = if ip.contains(':') { 6 } else { 4 };
    serde_json::json!({
        "version": version, "addr": ip, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac,
    })
}
