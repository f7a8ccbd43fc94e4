//! libvirt and QEMU.
//!
//! libvirt blocks, so every call runs on a lane; it may die, so the connection heals itself; its events only wake.
//! A domain is ours if its metadata names this host: all others are not seen at all. Files are made so that a final
//! name means a whole file, so a kill at any point costs repeated work and nothing else.

mod backup;
mod carry;
mod child;
mod config_drive;
mod console;
mod disks;
pub mod domain_xml;
mod events;
mod guest_agent;
mod guest_lanes;
mod host;
mod images;
pub mod kvm_probe;
mod lane;
mod layout;
mod link;
mod migrate;
mod snapshot;
mod tunnel;
mod verbs;
pub mod volume_xml;
mod volumes;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use nephos_runtime::Clock;
use nix::fcntl::{Flock, FlockArg};
use virt::connect::Connect;
use virt::domain::Domain;
use virt_sys as sys;

use self::disks::Disks;
use self::domain_xml::{Host, Said, VirtType};
use self::guest_lanes::GuestLanes;
use self::images::Images;
use self::lane::Lanes;
use self::link::{Link, find, unless_late};
use super::{Answer, Changes, Deadlines, DriverError, Found, FoundPort, ImageSource};
use crate::model::spec::{CpuInfo, GuestState, HostInventory, ServerId, ServerSpec, VncAddress};

/// What is configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// libvirt's URI.
    pub uri: String,
    /// The host's name in feed, placement and API; the mark of ownership on domains.
    pub host: String,
    /// Where images and disks are. QEMU's user must be able to pass through every directory above it.
    pub state_dir: PathBuf,
    /// How guests run; `None`: found out by the probe.
    pub virt_type: Option<VirtType>,
    /// How to run the probe: a program and arguments that end in [`kvm_probe::probe_main`].
    pub probe: (PathBuf, Vec<String>),
    /// Where graphical consoles listen, and the address they are reached at.
    pub console_address: String,
    /// Where guests come in that move here while they run; other hosts reach it.
    pub guests_address: std::net::IpAddr,
    /// `user:group` that QEMU runs as; `None`: as libvirt is configured.
    pub run_as: Option<String>,
    /// Threads for libvirt; libvirtd works on five calls of a connection at a time.
    pub lanes: usize,
}

/// Where libvirt keeps QEMU's own log of each domain, which it never removes.
const QEMU_LOGS: &str = "/var/log/libvirt/qemu";

/// A host that runs its servers with libvirt.
pub struct LibvirtDriver {
    shared: Arc<Shared>,
    lanes: Lanes,
    guests: GuestLanes,
    changes: Arc<Changes>,
    clock: Clock,
    deadlines: Deadlines,
    ways: Arc<ways::Ways>,
    _only_agent_here: Flock<std::fs::File>,
}

/// What calls on lanes need.
struct Shared {
    link: Link,
    changes: Arc<Changes>,
    host: Host,
    boot_id: String,
    disks: Disks,
    images: Images,
    snapshots: snapshot::Snapshots,
    /// Asked for once: libvirt takes a second to answer, and a processor stays what it is.
    cpu: OnceLock<CpuInfo>,
    unnamed: volumes::Unnamed,
}

impl LibvirtDriver {
    /// Prepares directories and finds out how guests run. libvirtd may be down: calls say so until it is up.
    ///
    /// # Errors
    /// When the state directory cannot be used, or another agent uses it.
    pub async fn open(
        settings: Settings,
        source: Arc<dyn ImageSource>,
        clock: Clock,
    ) -> Result<Self, DriverError> {
        let only = lock(&settings.state_dir)?;
        let virt_type = match settings.virt_type {
            Some(virt_type) => virt_type,
            None => {
                let file = settings.state_dir.join("kvm.json");
                let args: Vec<&str> = settings.probe.1.iter().map(String::as_str).collect();
                let program = &settings.probe.0;
                match kvm_probe::verdict(&file, program, &args, &clock).await {
                    kvm_probe::Verdict::Works => VirtType::Kvm,
                    kvm_probe::Verdict::Emulated | kvm_probe::Verdict::Absent => VirtType::Qemu,
                }
            }
        };
        let changes = Arc::new(Changes::default());
        let images = settings.state_dir.join("images");
        let shared = Shared {
            link: Link::new(&settings.uri, clock.clone(), Arc::clone(&changes)),
            changes: Arc::clone(&changes),
            host: Host {
                name: settings.host,
                virt_type,
                vnc_listen: settings.console_address,
                run_as: settings.run_as,
            },
            boot_id: nephos_runtime::boot::id(),
            disks: Disks::open(settings.state_dir.join("servers"))?,
            images: Images::open(images, source, clock.clone())?,
            snapshots: snapshot::Snapshots::open(settings.state_dir.join("snapshots"))?,
            cpu: OnceLock::new(),
            unnamed: volumes::Unnamed::default(),
        };
        let dir = settings.state_dir.join("ways");
        let ip = settings.guests_address;
        let ways = ways::Ways::new(dir, ip, Arc::clone(&changes), clock.clone());
        Ok(Self {
            ways: Arc::new(ways),
            shared: Arc::new(shared),
            lanes: Lanes::new(settings.lanes, clock.clone()),
            guests: GuestLanes::new(clock.clone()),
            changes,
            clock,
            deadlines: Deadlines::default(),
            _only_agent_here: only,
        })
    }

    /// How guests run here.
    #[must_use]
    pub fn virt_type(&self) -> VirtType {
        self.shared.host.virt_type
    }

    fn call<'a, T: Send + 'static>(
        &'a self,
        key: &'a str,
        what: &'static str,
        deadline: Duration,
        job: impl FnOnce(&Shared) -> Result<T, DriverError> + Send + 'static,
    ) -> Answer<'a, T> {
        let shared = Arc::clone(&self.shared);
        self.lanes
            .call(key, what, deadline, move || job(&shared))
            .boxed()
    }

    /// The keys of the volumes that a guest which is off is defined with.
    async fn keys_to_start(&self, server: &ServerId) -> Result<volumes::Keys, DriverError> {
        let id = server.clone();
        let locked = self.call(
            server.as_str(),
            "look at a server",
            self.deadlines.look,
            move |shared| shared.locked_volumes(&id),
        );
        self.shared.keys(server, locked.await?).await
    }

    /// A call on a server's domain; a domain that is not there is an error.
    fn on_domain<'a>(
        &'a self,
        server: &'a ServerId,
        what: &'static str,
        deadline: Duration,
        job: impl FnOnce(&Domain) -> Result<(), virt::error::Error> + Send + 'static,
    ) -> Answer<'a, ()> {
        let id = server.clone();
        self.call(server.as_str(), what, deadline, move |shared| {
            let found = shared.link.with(what, |connect| {
                find(connect, id.as_str())?
                    .map(|domain| job(&domain))
                    .transpose()
            })?;
            found.ok_or_else(|| DriverError::Failed(format!("cannot {what}: it is not defined")))
        })
    }
}

/// Only one agent may work on a directory; the lock ends with the process, however that ends.
/// Domains that say they are of `host`, and whether they run.
fn owned(link: &Link, host: &str) -> Result<Vec<(ServerId, bool)>, DriverError> {
    link.with("list servers", |connect| {
        let mut servers = Vec::new();
        for domain in connect.list_all_domains(0)? {
            // One that goes while we list is not there.
            let Ok(xml) = domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE) else {
                continue;
            };
            let said = domain_xml::read(&xml, "").unwrap_or_default();
            if said.host.as_deref() == Some(host) {
                let server = ServerId(domain.get_uuid_string()?);
                servers.push((server, domain.is_active().unwrap_or(false)));
            }
        }
        Ok(servers)
    })
}

/// The servers that are defined for this host, and whether each is on; whether or not its agent runs.
///
/// # Errors
/// When libvirt does not answer.
pub async fn defined(
    uri: &str,
    host: &str,
    clock: Clock,
) -> Result<BTreeMap<ServerId, bool>, DriverError> {
    let link = Link::new(uri, clock, Arc::default());
    let host = host.to_owned();
    let asked = tokio::task::spawn_blocking(move || owned(&link, &host)).await;
    let found = asked.map_err(|why| DriverError::Failed(why.to_string()))??;
    Ok(found.into_iter().collect())
}

fn lock(dir: &Path) -> Result<Flock<std::fs::File>, DriverError> {
    let path = dir.join("agent.lock");
    let file = std::fs::create_dir_all(dir).and_then(|()| std::fs::File::create(&path));
    let file = file.map_err(|cause| DriverError::file("prepare", &path, &cause))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, cause)| {
        DriverError::Refused(format!("another agent works in {}: {cause}", dir.display()))
    })
}

impl Shared {
    /// Something happened to a server that libvirt may take its time to tell.
    fn changed(&self, server: &ServerId) {
        self.changes.tell(Some(server.clone()));
    }

    fn look(&self, server: &ServerId) -> Result<Found, DriverError> {
        let files = self.disks.look(server)?;
        let domain = self.link.with("look at a server", |connect| {
            find(connect, server.as_str())?
                .map(|domain| read(&domain))
                .transpose()
        })?;
        let mut found = Found {
            disks: files.disks,
            config_drive: files.config_drive,
            files: files.any,
            export: files.export,
            ..Found::nothing()
        };
        let Some(domain) = domain else {
            return Ok(found);
        };
        let said = domain_xml::read(&domain.definition, &self.boot_id)
            .filter(|said| said.host.as_ref() == Some(&self.host.name))
            .ok_or_else(|| {
                DriverError::Refused(format!("libvirt has a domain {server} that is not ours"))
            })?;
        found.state = domain.state;
        found.ports.clone_from(&said.interfaces);
        found.volumes.clone_from(&said.volumes.all);
        if let Some(live) = domain
            .live
            .as_deref()
            .and_then(|xml| domain_xml::read(xml, &self.boot_id))
        {
            // Only the definition says which port a tap is for: an interface may be plugged before it is written there.
            found.ports = live
                .interfaces
                .into_iter()
                .map(|(tap, port)| {
                    let port_id = said.port_of_tap.get(&tap).cloned();
                    (tap, FoundPort { port_id, ..port })
                })
                .collect();
            found.volumes = live.volumes.all;
            for volume in found.volumes.values_mut() {
                volume.size_bytes = domain.sizes.get(&volume.device).copied();
            }
            found.vnc = live.vnc;
        }
        found.defined = Some(said.fingerprint);
        found.mark = said.mark;
        Ok(found)
    }

    fn define(&self, spec: &ServerSpec) -> Result<(), DriverError> {
        let paths = self.disks.paths(spec, &self.images)?;
        self.disks.make_dir(&spec.server_id)?;
        self.link.with("define a server", |connect| {
            let before = match find(connect, spec.server_id.as_str())? {
                Some(domain) => self.said(&domain)?,
                None => Said::default(),
            };
            let mark = domain_xml::mark_in_definition(&before.mark, &self.boot_id);
            let xml = domain_xml::definition(spec, &self.host, &paths, &mark);
            for volume in &spec.volumes {
                volumes::ensure_secret(connect, &spec.server_id, volume)?;
            }
            Domain::define_xml(connect, &xml)?;
            volumes::remove_secrets(connect, &before.volumes.secrets, spec)
        })
    }

    fn said(&self, domain: &Domain) -> Result<Said, virt::error::Error> {
        let xml = domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?;
        Ok(domain_xml::read(&xml, &self.boot_id).unwrap_or_default())
    }

    /// What decrypts volumes of a server, asked for now.
    async fn keys(
        &self,
        server: &ServerId,
        volumes: impl IntoIterator<Item = String>,
    ) -> Result<volumes::Keys, DriverError> {
        let mut keys = Vec::new();
        for volume in volumes {
            let key = self.images.source().volume_key(server, &volume).await?;
            keys.push((volume, key));
        }
        Ok(keys)
    }

    fn list(&self) -> Result<BTreeSet<ServerId>, DriverError> {
        let sweep = |connect: &Connect| self.unnamed.sweep(connect);
        self.link.with("look at secrets", sweep)?;
        let mut servers = self.disks.list()?;
        servers.extend(self.owned()?.into_iter().map(|(server, _)| server));
        Ok(servers)
    }

    /// Our domains, and whether they run.
    fn owned(&self) -> Result<Vec<(ServerId, bool)>, DriverError> {
        owned(&self.link, &self.host.name)
    }

    fn cpu(&self) -> Result<CpuInfo, DriverError> {
        if let Some(cpu) = self.cpu.get() {
            return Ok(cpu.clone());
        }
        let said = self
            .link
            .with("look at the processor", Connect::get_capabilities)?;
        Ok(self.cpu.get_or_init(|| host::cpu(&said)).clone())
    }

    fn inventory(&self) -> Result<HostInventory, DriverError> {
        let seen = self.link.with("look at the host", host::see)?;
        let (disk_gib, disk_free_gib) = host::disk_gib(self.disks.root())?;
        let running = self.owned()?.iter().filter(|(_, is_on)| *is_on).count();
        Ok(HostInventory {
            host: self.host.name.clone(),
            hypervisor_hostname: seen.hostname,
            hypervisor_type: "QEMU".to_owned(),
            hypervisor_version: seen.version,
            virt_type: self.host.virt_type.word().to_owned(),
            host_ip: self.host.vnc_listen.clone(),
            vcpus: seen.vcpus,
            ram_mib: seen.ram_mib,
            disk_gib,
            disk_free_gib,
            ram_free_mib: seen.ram_free_mib,
            cpu: self.cpu()?,
            moves_running: migrate::is_possible(),
            running_servers: u32::try_from(running).unwrap_or(u32::MAX),
            uptime_secs: host::uptime_secs(),
        })
    }

    fn remove_definition(&self, server: &ServerId) -> Result<(), DriverError> {
        self.link.with("undefine a server", |connect| {
            let Some(domain) = find(connect, server.as_str())? else {
                return Ok(());
            };
            // Before the definition, which alone names them.
            for id in self.said(&domain)?.volumes.secrets {
                volumes::remove_secret(connect, &id)?;
            }
            unless_late(domain.undefine_flags(
                sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                    | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                    | sys::VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
                    | sys::VIR_DOMAIN_UNDEFINE_NVRAM,
            ))
        })
    }

    fn remove_files(&self, server: &ServerId) -> Result<(), DriverError> {
        let domain = self
            .link
            .with("look at a server", |connect| find(connect, server.as_str()))?;
        if domain.is_some() {
            return Err(DriverError::Failed(format!(
                "server {server} is still defined"
            )));
        }
        let log = Path::new(QEMU_LOGS).join(format!("{}.log", domain_xml::domain_name(server)));
        let _not_ours_or_not_there = std::fs::remove_file(log);
        self.disks.remove(server)
    }
}

/// What libvirt says of a domain.
struct Read {
    state: GuestState,
    definition: String,
    live: Option<String>,
    /// How large the guest sees its volumes, by device.
    sizes: BTreeMap<String, u64>,
}

fn read(domain: &Domain) -> Result<Read, virt::error::Error> {
    let (state, reason) = domain.get_state()?;
    let reason = u32::try_from(reason).unwrap_or(0);
    let state = match state {
        // A QEMU that waits for a guest to come counts as one that starts, at first.
        sys::VIR_DOMAIN_PAUSED
            if matches!(
                reason,
                sys::VIR_DOMAIN_PAUSED_MIGRATION | sys::VIR_DOMAIN_PAUSED_STARTING_UP
            ) =>
        {
            GuestState::Migrating
        }
        sys::VIR_DOMAIN_PAUSED => GuestState::Paused,
        sys::VIR_DOMAIN_SHUTOFF if domain.has_managed_save(0)? => GuestState::Suspended,
        sys::VIR_DOMAIN_SHUTOFF if reason == sys::VIR_DOMAIN_SHUTOFF_CRASHED => GuestState::Crashed,
        sys::VIR_DOMAIN_SHUTOFF => GuestState::Stopped,
        sys::VIR_DOMAIN_CRASHED => GuestState::Crashed,
        _running_blocked_or_shutting_down => GuestState::Running,
    };
    let is_on = matches!(
        state,
        GuestState::Running | GuestState::Paused | GuestState::Migrating
    );
    let live = match is_on {
        true => Some(domain.get_xml_desc(0)?),
        false => None,
    };
    Ok(Read {
        state,
        definition: domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?,
        sizes: live
            .as_deref()
            .map(|xml| volumes::sizes(domain, xml))
            .unwrap_or_default(),
        live,
    })
}

/// Opens libvirt at `uri` once: `nephos config check` and tests ask before they rely on it.
///
/// # Errors
/// What libvirt says.
pub fn check(uri: &str) -> Result<(), String> {
    events::start_loop();
    let connect = Connect::open(Some(uri)).map_err(|error| error.message().to_owned())?;
    let mut connect = connect;
    connect
        .close()
        .map(|_| ())
        .map_err(|error| error.message().to_owned())
}

#[cfg(test)]
mod tests;
