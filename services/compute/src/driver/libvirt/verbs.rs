//! The driver's verbs, each a call on the server's lane; what waits for a guest has lanes of its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nephos_types::Timestamp;
use virt::domain::Domain;
use virt_sys as sys;

use super::link::{find, unless_late};
use super::{LibvirtDriver, Shared, console, domain_xml, host, volumes};
use crate::driver::{Answer, Driver, DriverError, Found, FoundPort, Mark, Pipe, fingerprint};
use crate::model::console::ConsoleKind;
use crate::model::guest_password::{GuestPassword, PasswordSeen};
use crate::model::live::LiveWish;
use crate::model::snapshot::SnapshotWish;
use crate::model::spec::{HostInventory, ImageHash, ImageSpec, PortSpec, ServerId, ServerSpec};
use crate::model::volume::VolumeSpec;

impl Driver for LibvirtDriver {
    fn list(&self) -> Answer<'_, BTreeSet<ServerId>> {
        self.call("", "list servers", self.deadlines.look, Shared::list)
    }

    fn look<'a>(&'a self, server: &'a ServerId) -> Answer<'a, Found> {
        let id = server.clone();
        let looked = self.call(
            server.as_str(),
            "look at a server",
            self.deadlines.look,
            move |shared| shared.look(&id),
        );
        async move {
            // Before the guest: what is over is seen as it left the guest.
            let live = self.ways.found(server);
            let found = looked.await?;
            Ok(Found { live, ..found })
        }
        .boxed()
    }

    fn missing_taps<'a>(&'a self, ports: &'a [PortSpec]) -> Answer<'a, Vec<String>> {
        let missing = ports.iter().filter(|port| !host::has_device(&port.tap));
        let missing = missing.map(|port| port.tap.clone()).collect();
        std::future::ready(Ok(missing)).boxed()
    }

    fn ensure_image<'a>(&'a self, image: &'a ImageSpec) -> Answer<'a, ()> {
        self.shared.images.ensure(image).boxed()
    }

    fn ensure_disk<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        self.shared
            .disks
            .ensure_disk(spec, &self.shared.images, &self.clock)
            .boxed()
    }

    fn remove_old_disks<'a>(&'a self, server: &'a ServerId, keep: &'a [i64]) -> Answer<'a, ()> {
        let (id, keep) = (server.clone(), keep.to_vec());
        self.call(
            server.as_str(),
            "remove old disks",
            self.deadlines.change,
            move |shared| shared.disks.remove_old_disks(&id, &keep),
        )
    }

    fn ensure_export<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        self.shared.disks.ensure_export(spec, &self.clock).boxed()
    }

    fn remove_export<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        let id = server.clone();
        self.call(
            server.as_str(),
            "remove what was to be carried",
            self.deadlines.change,
            move |shared| shared.disks.remove_export(&id),
        )
    }

    fn open_export<'a>(&'a self, server: &'a ServerId, epoch: i64, from: u64) -> Answer<'a, Pipe> {
        self.shared.disks.open_export(server, epoch, from).boxed()
    }

    fn take_snapshot<'a>(
        &'a self,
        server: &'a ServerId,
        wish: &'a SnapshotWish,
    ) -> Answer<'a, u64> {
        self.take(server, wish).boxed()
    }

    fn open_snapshot<'a>(
        &'a self,
        _server: &'a ServerId,
        wish: &'a SnapshotWish,
    ) -> Answer<'a, Pipe> {
        self.open_taken(&wish.image).boxed()
    }

    fn remove_snapshot<'a>(
        &'a self,
        server: &'a ServerId,
        wish: &'a SnapshotWish,
    ) -> Answer<'a, ()> {
        self.drop_taken(server, &wish.image).boxed()
    }

    fn give_up_snapshots(&self) -> Answer<'_, ()> {
        self.give_up_copies().boxed()
    }

    fn await_guest<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        async move {
            let Some(LiveWish::Arrive { session, .. }) = &spec.live else {
                return Err(DriverError::Refused("no guest comes here".to_owned()));
            };
            self.ways.receive(&self.shared, spec, session).await
        }
        .boxed()
    }

    fn send_guest<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        let sent = match &spec.live {
            Some(LiveWish::Depart {
                session,
                address,
                key,
                ..
            }) => self.ways.send(&self.shared, spec, (session, address, key)),
            _no => Err(DriverError::Refused("no guest goes from here".to_owned())),
        };
        std::future::ready(sent).boxed()
    }

    fn force_guest<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.on_domain(
            server,
            "freeze a guest on its way",
            self.deadlines.change,
            |domain| unless_late(domain.suspend()),
        )
    }

    fn end_way<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.ways.end(server).boxed()
    }

    fn ensure_config_drive<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        let (id, spec) = (spec.server_id.as_str(), spec.clone());
        self.call(
            id,
            "make the config drive",
            self.deadlines.change,
            move |shared| shared.disks.ensure_config_drive(&spec),
        )
    }

    fn ensure_defined<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        let (id, spec) = (spec.server_id.as_str(), spec.clone());
        self.call(
            id,
            "define a server",
            self.deadlines.change,
            move |shared| shared.define(&spec),
        )
    }

    fn set_mark<'a>(&'a self, server: &'a ServerId, mark: &'a Mark) -> Answer<'a, ()> {
        let xml = domain_xml::mark_alone(mark, &self.shared.boot_id);
        self.on_domain(
            server,
            "mark a server",
            self.deadlines.change,
            move |domain| {
                let kind = i32::try_from(sys::VIR_DOMAIN_METADATA_ELEMENT).unwrap_or(2);
                let (key, uri) = (Some(domain_xml::MARK_KEY), Some(domain_xml::MARK_NS));
                let flags = sys::VIR_DOMAIN_AFFECT_CONFIG;
                domain
                    .set_metadata(kind, Some(&xml), key, uri, flags)
                    .map(|_| ())
            },
        )
    }

    fn ensure_running<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        async move {
            let keys = self.keys_to_start(server).await?;
            let id = server.clone();
            let what = "start a server";
            let started = self.call(server.as_str(), what, self.deadlines.power, move |shared| {
                let found = shared.link.with(what, |connect| {
                    let Some(domain) = find(connect, id.as_str())? else {
                        return Ok(None);
                    };
                    volumes::with_keys(connect, &id, &keys, || run(&domain)).map(Some)
                })?;
                found
                    .ok_or_else(|| DriverError::Failed(format!("cannot {what}: it is not defined")))
            });
            started.await
        }
        .boxed()
    }

    fn ask_to_shut_down<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.on_domain(
            server,
            "shut a server down",
            self.deadlines.change,
            |domain| unless_late(domain.shutdown_flags(sys::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)),
        )
    }

    fn ensure_off<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.on_domain(
            server,
            "switch a server off",
            self.deadlines.power,
            switch_off,
        )
    }

    fn ensure_paused<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.on_domain(server, "pause a server", self.deadlines.change, |domain| {
            unless_late(domain.suspend())
        })
    }

    fn ensure_suspended<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.on_domain(server, "suspend a server", self.deadlines.power, |domain| {
            unless_late(domain.managed_save(0))
        })
    }

    fn ensure_plugged<'a>(&'a self, server: &'a ServerId, port: &'a PortSpec) -> Answer<'a, ()> {
        let xml = domain_xml::interface(port);
        self.on_domain(
            server,
            "plug an interface",
            self.deadlines.change,
            move |domain| {
                domain
                    .attach_device_flags(&xml, sys::VIR_DOMAIN_AFFECT_LIVE)
                    .map(|_| ())
            },
        )
    }

    fn ask_to_unplug<'a>(&'a self, server: &'a ServerId, port: &'a FoundPort) -> Answer<'a, ()> {
        let xml = domain_xml::found_interface(port);
        self.on_domain(
            server,
            "unplug an interface",
            self.deadlines.change,
            move |domain| match domain.detach_device_flags(&xml, sys::VIR_DOMAIN_AFFECT_LIVE) {
                Err(error) if error.message().contains("already in the process of unplug") => {
                    Ok(())
                }
                done => unless_late(done),
            },
        )
    }

    fn ensure_volume<'a>(&'a self, server: &'a ServerId, volume: &'a VolumeSpec) -> Answer<'a, ()> {
        async move {
            let locked = volume
                .connection
                .encrypted
                .then(|| volume.volume_id.clone());
            let keys = self.shared.keys(server, locked).await?;
            let (id, volume) = (server.clone(), volume.clone());
            let plugged = self.call(
                server.as_str(),
                "plug a volume",
                self.deadlines.change,
                move |shared| shared.plug_volume(&id, (&volume, &keys)),
            );
            plugged.await
        }
        .boxed()
    }

    fn ask_to_unplug_volume<'a>(&'a self, server: &'a ServerId, volume: &'a str) -> Answer<'a, ()> {
        let volume = volume.to_owned();
        self.on_domain(
            server,
            "unplug a volume",
            self.deadlines.change,
            move |domain| volumes::ask_to_unplug(domain, &volume),
        )
    }

    fn ensure_volume_size<'a>(
        &'a self,
        server: &'a ServerId,
        volume: &'a VolumeSpec,
    ) -> Answer<'a, ()> {
        let (device, bytes) = (volume.device.clone(), volume.size_gib << 30);
        self.on_domain(
            server,
            "resize a volume",
            self.deadlines.change,
            move |domain| {
                let flags = sys::VIR_DOMAIN_BLOCK_RESIZE_BYTES;
                domain.block_resize(&device, bytes, flags).map(|_| ())
            },
        )
    }

    fn remove_definition<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        let id = server.clone();
        self.call(
            server.as_str(),
            "undefine a server",
            self.deadlines.change,
            move |shared| shared.remove_definition(&id),
        )
    }

    fn remove_files<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        let id = server.clone();
        self.call(
            server.as_str(),
            "remove files",
            self.deadlines.change,
            move |shared| shared.remove_files(&id),
        )
    }

    fn console_output<'a>(&'a self, server: &'a ServerId, max_bytes: u64) -> Answer<'a, Vec<u8>> {
        let id = server.clone();
        self.call(
            server.as_str(),
            "read the console",
            self.deadlines.look,
            move |shared| shared.disks.console(&id, max_bytes),
        )
    }

    fn open_console<'a>(&'a self, server: &'a ServerId, kind: ConsoleKind) -> Answer<'a, Pipe> {
        let id = server.clone();
        let place = self.call(
            server.as_str(),
            "find a console",
            self.deadlines.look,
            move |shared| shared.console(&id, kind),
        );
        async move { console::open(place.await?).await }.boxed()
    }

    fn set_password<'a>(
        &'a self,
        server: &'a ServerId,
        password: &'a GuestPassword,
    ) -> Answer<'a, PasswordSeen> {
        let (id, password) = (server.clone(), password.clone());
        let shared = Arc::clone(&self.shared);
        self.guests
            .call(
                server.as_str(),
                "set a password",
                self.deadlines.change,
                move || shared.set_password(&id, &password),
            )
            .boxed()
    }

    fn inventory(&self) -> Answer<'_, HostInventory> {
        self.call(
            "host",
            "look at the host",
            self.deadlines.change,
            Shared::inventory,
        )
    }

    fn remove_unused_images<'a>(
        &'a self,
        keep: &'a BTreeSet<ImageHash>,
        unused_since: Timestamp,
    ) -> Answer<'a, u64> {
        let keep = keep.clone();
        self.call(
            "images",
            "remove unused images",
            self.deadlines.change,
            move |shared| {
                shared
                    .images
                    .remove_unused(&keep, &shared.disks.used_images(), unused_since)
            },
        )
    }

    fn changed(&self) -> BoxFuture<'_, Option<ServerId>> {
        self.changes.next().boxed()
    }

    fn is_worn_out(&self) -> bool {
        self.lanes.is_worn_out()
    }

    fn fingerprint(&self, spec: &ServerSpec) -> String {
        // A spec that has no paths is refused at its first step.
        let paths = self.shared.disks.paths(spec, &self.shared.images);
        paths.map_or_else(
            |_| fingerprint(spec),
            |paths| domain_xml::fingerprint(spec, &self.shared.host, &paths),
        )
    }
}

fn run(domain: &Domain) -> Result<(), virt::error::Error> {
    if !domain.is_active()? {
        domain.create()?;
        return Ok(());
    }
    let (state, reason) = domain.get_state()?;
    if state == sys::VIR_DOMAIN_PAUSED {
        if u32::try_from(reason) == Ok(sys::VIR_DOMAIN_PAUSED_IOERROR) {
            let guest = domain.get_name()?;
            tracing::warn!(
                guest,
                "QEMU paused a guest because one of its disks could not be read or written, and it is let go on. Make room where \
                 its disks and volumes are, or bring their storage back: until then it stands still"
            );
        }
        domain.resume()?;
    }
    Ok(())
}

fn switch_off(domain: &Domain) -> Result<(), virt::error::Error> {
    if domain.is_active()? {
        unless_late(domain.destroy())?;
    }
    if domain.has_managed_save(0)? {
        domain.managed_save_remove(0)?;
    }
    Ok(())
}
