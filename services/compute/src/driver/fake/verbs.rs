//! The verbs of a simulated host.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nephos_types::Timestamp;

use super::{Definition, FakeDriver, Guest, Power, Verb, found_port, found_volume};
use crate::driver::{
    Answer, Driver, DriverError, Found, FoundPort, Mark, Pipe, config_drive_fingerprint,
    fingerprint,
};
use crate::model::console::ConsoleKind;
use crate::model::guest_password::{GuestPassword, PasswordSeen};
use crate::model::snapshot::SnapshotWish;
use crate::model::spec::{
    CpuInfo, HostInventory, ImageHash, ImageSpec, PortSpec, ServerId, ServerSpec,
};
use crate::model::volume::VolumeSpec;

/// What a guest is defined as.
pub(super) fn definition(spec: &ServerSpec) -> Definition {
    let ports = spec
        .ports
        .iter()
        .map(|port| (port.tap.clone(), found_port(port)));
    Definition {
        fingerprint: fingerprint(spec),
        name: spec.labels.name.clone(),
        ports: ports.collect(),
        volumes: spec.volumes.iter().map(found_volume).collect(),
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
        let from = spec.disk.from.as_ref();
        let carried = from.and_then(|from| Some((from.carried.as_ref()?, from.epoch)));
        // Looked at before: all simulated hosts are behind one lock.
        let has_come = carried.is_none_or(|(carried, epoch)| {
            self.world.has_disk(&carried.host, &spec.server_id, epoch)
        });
        self.call(Verb::Disk, self.latency().change, move |host| {
            if let Some(from) = &spec.disk.from {
                let guest = host.servers.get(&spec.server_id);
                let is_here = guest.is_some_and(|guest| guest.disks.contains(&from.epoch));
                if !(has_come && (from.carried.is_some() || is_here)) {
                    let why = format!("disk {} is not there to be copied", from.epoch);
                    return Err(DriverError::Unavailable(why));
                }
                let guest = host.servers.entry(spec.server_id.clone()).or_default();
                guest.disks.insert(spec.disk_epoch);
                return Ok(());
            }
            let Some(image) = &spec.boot.image else {
                return Ok(());
            };
            if !host.images.contains_key(&image.hash) {
                let image = &image.id;
                return Err(DriverError::Failed(format!("image {image} is not cached")));
            }
            let guest = host.servers.entry(spec.server_id.clone()).or_default();
            guest.disks.insert(spec.disk_epoch);
            Ok(())
        })
    }

    fn remove_old_disks<'a>(&'a self, server: &'a ServerId, keep: &'a [i64]) -> Answer<'a, ()> {
        self.call(Verb::Disk, self.latency().change, move |host| {
            if let Some(guest) = host.servers.get_mut(server) {
                guest.disks.retain(|epoch| keep.contains(epoch));
            }
            Ok(())
        })
    }

    fn ensure_export<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        self.call(Verb::Disk, self.latency().change, move |host| {
            let guest = host.guest(&spec.server_id)?;
            if matches!(guest.power, Power::On | Power::Paused) {
                return Err(DriverError::Failed(
                    "the guest writes to its disk".to_owned(),
                ));
            }
            guest.export = Some(spec.disk_epoch);
            Ok(())
        })
    }

    fn remove_export<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.call(Verb::Disk, self.latency().change, move |host| {
            if let Some(guest) = host.servers.get_mut(server) {
                guest.export = None;
            }
            Ok(())
        })
    }

    fn open_export<'a>(
        &'a self,
        server: &'a ServerId,
        _epoch: i64,
        _from: u64,
    ) -> Answer<'a, Pipe> {
        let why = format!("the disk of server {server} is simulated: there is nothing in it");
        futures_util::future::ready(Err(DriverError::Refused(why))).boxed()
    }

    fn take_snapshot<'a>(
        &'a self,
        server: &'a ServerId,
        wish: &'a SnapshotWish,
    ) -> Answer<'a, u64> {
        self.take(server, wish)
    }

    fn open_snapshot<'a>(
        &'a self,
        server: &'a ServerId,
        wish: &'a SnapshotWish,
    ) -> Answer<'a, Pipe> {
        self.open_taken(server, wish)
    }

    fn remove_snapshot<'a>(
        &'a self,
        server: &'a ServerId,
        wish: &'a SnapshotWish,
    ) -> Answer<'a, ()> {
        self.drop_taken(server, wish)
    }

    fn give_up_snapshots(&self) -> Answer<'_, ()> {
        self.call(Verb::GiveUp, self.latency().look, |host| {
            for guest in host.servers.values_mut() {
                guest.snapshots.clear();
            }
            Ok(())
        })
    }

    fn await_guest<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        self.listen(spec)
    }

    fn send_guest<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        self.send(spec)
    }

    fn force_guest<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.force(server)
    }

    fn end_way<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.end(server)
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
            let guest = host.servers.entry(spec.server_id.clone()).or_default();
            if spec.boot.image.is_some() && !guest.disks.contains(&spec.disk_epoch) {
                return Err(DriverError::Failed("the root disk is not there".to_owned()));
            }
            guest.defined = Some(definition(spec));
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
            if !guest.is_deaf && guest.power == Power::On {
                guest.plugged.remove(&port.tap);
            }
            Ok(())
        })
    }

    fn ensure_volume<'a>(&'a self, server: &'a ServerId, volume: &'a VolumeSpec) -> Answer<'a, ()> {
        self.call(Verb::Volume, self.latency().change, move |host| {
            let guest = host.guest(server)?;
            guest.volumes.extend([found_volume(volume)]);
            let text = format!("{}: there\r\n", volume.device);
            guest.console.extend_from_slice(text.as_bytes());
            Ok(())
        })
    }

    fn ask_to_unplug_volume<'a>(&'a self, server: &'a ServerId, volume: &'a str) -> Answer<'a, ()> {
        self.call(Verb::Volume, self.latency().change, move |host| {
            let guest = host.guest(server)?;
            if !guest.is_deaf && guest.power == Power::On {
                guest.volumes.remove(volume);
            }
            Ok(())
        })
    }

    fn ensure_volume_size<'a>(
        &'a self,
        server: &'a ServerId,
        volume: &'a VolumeSpec,
    ) -> Answer<'a, ()> {
        self.call(Verb::Volume, self.latency().change, move |host| {
            host.guest(server)?.volumes.extend([found_volume(volume)]);
            Ok(())
        })
    }

    fn remove_definition<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.call(Verb::Remove, self.latency().change, move |host| {
            let Some(guest) = host.servers.get_mut(server) else {
                return Ok(());
            };
            if matches!(guest.power, Power::On | Power::Paused | Power::Away) {
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

    fn open_console<'a>(&'a self, server: &'a ServerId, kind: ConsoleKind) -> Answer<'a, Pipe> {
        let opened = self.console(server, kind);
        futures_util::future::ready(opened).boxed()
    }

    fn set_password<'a>(
        &'a self,
        server: &'a ServerId,
        password: &'a GuestPassword,
    ) -> Answer<'a, PasswordSeen> {
        self.call(Verb::Password, self.latency().change, move |host| {
            let guest = host.guest(server)?;
            if guest.is_deaf || guest.power != Power::On {
                return Ok(PasswordSeen::NoAnswer);
            }
            guest
                .passwords
                .insert(password.account.clone(), password.password.clone());
            Ok(PasswordSeen::Set)
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
                moves_running: true,
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
