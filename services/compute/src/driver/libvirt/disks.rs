//! The files of servers: one directory each, named by the server's id.
//!
//! ```text
//! <state>/images/sha512-…            cached images, never written again
//! <state>/servers/<id>/disk-0.qcow2  root disk of epoch 0, an overlay of
//! <state>/servers/<id>/base-0        → the image it stands on (made first, so that the image is never aged out); a disk
//!                                    that came from another host stands on none
//! <state>/servers/<id>/export-0      disk of epoch 0 as one file, on its way to another host; and export-0.is
//! <state>/servers/<id>/config.img    config drive, and its fingerprint in config.img.is
//! <state>/servers/<id>/console.log   written by virtlogd
//! ```

use std::collections::BTreeSet;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nephos_runtime::{Clock, crash_point, ids};

use super::child;
use super::domain_xml::Paths;
use super::images::{Images, qemu_format};
use crate::driver::{DriverError, Pipe, config_drive_fingerprint};
use crate::model::disk::Export;
use crate::model::spec::{ServerId, ServerSpec};

/// The directories of all servers.
pub struct Disks {
    dir: PathBuf,
}

/// What files there are of a server.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Whether its directory is there.
    pub any: bool,
    /// Epochs of its root disks.
    pub disks: BTreeSet<i64>,
    /// The fingerprint of its config drive.
    pub config_drive: Option<String>,
    /// The root disk that is ready to be carried.
    pub export: Option<Export>,
}

impl Disks {
    /// Servers below `dir`.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(dir: PathBuf) -> Result<Self, DriverError> {
        std::fs::create_dir_all(&dir).map_err(|cause| DriverError::file("make", &dir, &cause))?;
        // QEMU's user passes through; which servers there are is for nobody else.
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711))
            .map_err(|cause| DriverError::file("open", &dir, &cause))?;
        Ok(Self { dir })
    }

    /// The file system they are on.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.dir
    }

    fn of(&self, server: &ServerId) -> Result<PathBuf, DriverError> {
        // The id names a directory and comes from the feed: nothing but a UUID may get there.
        let uuid = uuid::Uuid::parse_str(server.as_str())
            .map_err(|_| DriverError::Refused(format!("'{server}' is no server id")))?;
        Ok(self.dir.join(uuid.hyphenated().to_string()))
    }

    /// The paths that a definition names.
    ///
    /// # Errors
    /// `Refused` for what is no server id or no format to boot from.
    pub fn paths(&self, spec: &ServerSpec, images: &Images) -> Result<Paths, DriverError> {
        let dir = self.of(&spec.server_id)?;
        let kernel = spec.boot.kernel.as_ref().map(|kernel| {
            let ramdisk = kernel
                .ramdisk
                .as_ref()
                .map(|ramdisk| images.path(&ramdisk.hash));
            (images.path(&kernel.image.hash), ramdisk)
        });
        Ok(Paths {
            disk: dir.join(format!("disk-{}.qcow2", spec.disk_epoch)),
            base: match &spec.boot.image {
                Some(image) => Some((images.path(&image.hash), qemu_format(image)?)),
                None => None,
            },
            stands_alone: stands_alone(&dir, spec.disk_epoch),
            config_drive: dir.join("config.img"),
            console: dir.join("console.log"),
            kernel,
        })
    }

    /// What files there are.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn look(&self, server: &ServerId) -> Result<Files, DriverError> {
        let dir = self.of(server)?;
        let mut files = Files::default();
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(files),
            Err(cause) => return Err(DriverError::file("list", &dir, &cause)),
        };
        files.any = true;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let epoch = name
                .strip_prefix("disk-")
                .and_then(|rest| rest.strip_suffix(".qcow2"));
            files
                .disks
                .extend(epoch.and_then(|epoch| epoch.parse::<i64>().ok()));
        }
        files.export = super::carry::read_export(&dir);
        if dir.join("config.img").exists() {
            let said = std::fs::read_to_string(dir.join("config.img.is")).unwrap_or_default();
            files.config_drive = Some(said);
        }
        Ok(files)
    }

    /// All servers that have files here.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn list(&self) -> Result<BTreeSet<ServerId>, DriverError> {
        let broken = |cause: std::io::Error| DriverError::file("list", &self.dir, &cause);
        let mut servers = BTreeSet::new();
        for entry in std::fs::read_dir(&self.dir).map_err(broken)? {
            let name = entry.map_err(broken)?.file_name();
            let uuid = uuid::Uuid::parse_str(&name.to_string_lossy());
            servers.extend(uuid.ok().map(ServerId::from));
        }
        Ok(servers)
    }

    /// The images that disks stand on.
    #[must_use]
    pub fn used_images(&self) -> BTreeSet<PathBuf> {
        let mut used = BTreeSet::new();
        for server in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            for file in std::fs::read_dir(server.path())
                .into_iter()
                .flatten()
                .flatten()
            {
                used.extend(std::fs::read_link(file.path()).ok());
            }
        }
        used
    }

    /// Makes the root disk of the spec's epoch.
    ///
    /// # Errors
    /// `Refused` when the image is larger than the flavor's disk.
    pub async fn ensure_disk(
        &self,
        spec: &ServerSpec,
        images: &Images,
        clock: &Clock,
    ) -> Result<(), DriverError> {
        let paths = self.paths(spec, images)?;
        let Some((base, format)) = &paths.base else {
            return Ok(());
        };
        if paths.disk.exists() {
            return Ok(());
        }
        let dir = self.make_dir(&spec.server_id)?;
        remove_parts(&dir);
        if let Some(from) = &spec.disk.from {
            let disk = super::carry::Disk {
                spec,
                dir: &dir,
                place: &paths.disk,
            };
            return super::carry::make(&disk, from, images.source(), clock).await;
        }
        let image_bytes = virtual_size(base, format)?;
        let flavor_bytes = spec.size.disk_gib << 30;
        if flavor_bytes != 0 && image_bytes > flavor_bytes {
            return Err(DriverError::Refused(format!(
                "image {} needs a disk of {} GiB and the flavor has {}",
                spec.boot
                    .image
                    .as_ref()
                    .map_or("", |image| image.id.as_str()),
                image_bytes.div_ceil(1 << 30),
                spec.size.disk_gib
            )));
        }
        link(&dir, &format!("base-{}", spec.disk_epoch), base)?;
        if let Some((kernel, ramdisk)) = &paths.kernel {
            link(&dir, "kernel", kernel)?;
            if let Some(ramdisk) = ramdisk {
                link(&dir, "ramdisk", ramdisk)?;
            }
        }
        crash_point!("disk.base_linked");
        let part = dir.join(format!("{}.part", ids::hex()));
        let size_bytes = flavor_bytes.max(image_bytes);
        child::create_overlay(&part, base, format, size_bytes, clock).await?;
        crash_point!("disk.created");
        publish(&part, &paths.disk)
    }

    /// Makes the root disk of the spec's epoch ready to be carried.
    ///
    /// # Errors
    /// When there is no room for it.
    pub async fn ensure_export(&self, spec: &ServerSpec, clock: &Clock) -> Result<(), DriverError> {
        let dir = self.of(&spec.server_id)?;
        remove_parts(&dir);
        super::carry::export(&dir, spec.disk_epoch, clock).await
    }

    /// The root disk of an epoch.
    ///
    /// # Errors
    /// `Refused` for what is no server id.
    pub fn disk(&self, server: &ServerId, epoch: i64) -> Result<PathBuf, DriverError> {
        Ok(self.of(server)?.join(format!("disk-{epoch}.qcow2")))
    }

    /// Removes what was made ready.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_export(&self, server: &ServerId) -> Result<(), DriverError> {
        super::carry::remove_export(&self.of(server)?)
    }

    /// What was made ready of this epoch, from a byte on.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn open_export(
        &self,
        server: &ServerId,
        epoch: i64,
        from: u64,
    ) -> Result<Pipe, DriverError> {
        super::carry::open_export(&self.of(server)?, epoch, from).await
    }

    /// Removes disks of other epochs than these.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove_old_disks(&self, server: &ServerId, keep: &[i64]) -> Result<(), DriverError> {
        let dir = self.of(server)?;
        for epoch in self.look(server)?.disks {
            if !keep.contains(&epoch) {
                remove_file(&dir.join(format!("disk-{epoch}.qcow2")))?;
                remove_file(&dir.join(format!("base-{epoch}")))?;
            }
        }
        Ok(())
    }

    /// Makes, replaces or removes the config drive.
    ///
    /// # Errors
    /// `Refused` when the files fit no config drive.
    pub fn ensure_config_drive(&self, spec: &ServerSpec) -> Result<(), DriverError> {
        let dir = self.make_dir(&spec.server_id)?;
        let (place, says) = (dir.join("config.img"), dir.join("config.img.is"));
        let Some(drive) = &spec.config_drive else {
            remove_file(&says)?;
            return remove_file(&place);
        };
        let volume = super::config_drive::volume(&drive.files)?;
        // The fingerprint goes first and comes last: never does it vouch for another volume.
        remove_file(&says)?;
        crash_point!("config_drive.unsaid");
        write_file(&dir, &place, &volume)?;
        crash_point!("config_drive.written");
        write_file(&dir, &says, config_drive_fingerprint(drive).as_bytes())
    }

    /// Removes everything of a server.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove(&self, server: &ServerId) -> Result<(), DriverError> {
        let dir = self.of(server)?;
        match std::fs::remove_dir_all(&dir) {
            Ok(()) => sync(&self.dir),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(DriverError::file("remove", &dir, &cause)),
        }
    }

    /// The last `max_bytes` of the console log. virtlogd begins a new file at 2 MiB and keeps the one before as `.0`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn console(&self, server: &ServerId, max_bytes: u64) -> Result<Vec<u8>, DriverError> {
        let dir = self.of(server)?;
        let mut text = tail(&dir.join("console.log"), max_bytes)?;
        let lacks = max_bytes.saturating_sub(u64::try_from(text.len()).unwrap_or(u64::MAX));
        if lacks > 0 {
            let mut before = tail(&dir.join("console.log.0"), lacks)?;
            before.append(&mut text);
            text = before;
        }
        Ok(text)
    }

    /// The directory of a server, which its console log is written to as well.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_dir(&self, server: &ServerId) -> Result<PathBuf, DriverError> {
        let dir = self.of(server)?;
        if !dir.exists() {
            std::fs::create_dir_all(&dir)
                .map_err(|cause| DriverError::file("make", &dir, &cause))?;
            sync(&self.dir)?;
        }
        // QEMU's user must pass through; the files themselves are given to it by libvirt.
        let mode = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(&dir, mode)
            .map_err(|cause| DriverError::file("open", &dir, &cause))?;
        Ok(dir)
    }
}

/// Gives a finished file its name, so that the name means "whole" even after a power cut.
///
/// # Errors
/// When it cannot be synced or renamed.
pub fn publish(part: &Path, place: &Path) -> Result<(), DriverError> {
    let file =
        std::fs::File::open(part).map_err(|cause| DriverError::file("open", part, &cause))?;
    // Its owner's alone; libvirt makes QEMU's user the owner while a guest has it.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
        .map_err(|cause| DriverError::file("close", part, &cause))?;
    file.sync_all()
        .map_err(|cause| DriverError::file("sync", part, &cause))?;
    std::fs::rename(part, place).map_err(|cause| DriverError::file("name", place, &cause))?;
    place.parent().map_or(Ok(()), sync)
}

/// How large a guest sees this image.
///
/// # Errors
/// When it cannot be read, or is no qcow2.
pub fn virtual_size(image: &Path, format: &str) -> Result<u64, DriverError> {
    let broken = |cause: std::io::Error| DriverError::file("read image", image, &cause);
    let mut file = std::fs::File::open(image).map_err(broken)?;
    if format == "raw" {
        let bytes = file.metadata().map_err(broken)?.len();
        return Ok(bytes.next_multiple_of(512));
    }
    // The qcow2 header: magic at 0, size at 24, big endian. It was inspected when it came.
    let mut header = [0u8; 32];
    file.read_exact(&mut header).map_err(broken)?;
    let (magic, size) = (header.first_chunk::<4>(), header.last_chunk::<8>());
    match (magic, size) {
        (Some(b"QFI\xfb"), Some(size)) => Ok(u64::from_be_bytes(*size)),
        _ => Err(DriverError::Failed(format!(
            "{} is no qcow2 image",
            image.display()
        ))),
    }
}

/// Whether a disk is there and stands on no image.
fn stands_alone(dir: &Path, epoch: i64) -> bool {
    let has = |name: String| dir.join(name).symlink_metadata().is_ok();
    has(format!("disk-{epoch}.qcow2")) && !has(format!("base-{epoch}"))
}

/// Writes a small file of a server whole, or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_file(dir: &Path, place: &Path, bytes: &[u8]) -> Result<(), DriverError> {
    let part = dir.join(format!("{}.part", ids::hex()));
    let written = std::fs::File::create(&part).and_then(|mut file| file.write_all(bytes));
    written.map_err(|cause| DriverError::file("write", &part, &cause))?;
    publish(&part, place)
}

/// Leads a name to a file elsewhere.
///
/// # Errors
/// When it cannot be made.
pub fn link(dir: &Path, name: &str, to: &Path) -> Result<(), DriverError> {
    let place = dir.join(name);
    if std::fs::read_link(&place).is_ok_and(|there| there == to) {
        return Ok(());
    }
    let part = dir.join(format!("{}.part", ids::hex()));
    symlink(to, &part).map_err(|cause| DriverError::file("link", &part, &cause))?;
    std::fs::rename(&part, &place).map_err(|cause| DriverError::file("name", &place, &cause))
}

/// What a killed process left half written. Only one agent works here, and it works on one server once at a time.
fn remove_parts(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "part")
        {
            let _gone = std::fs::remove_file(entry.path());
        }
    }
}

/// Removes a file if it is there.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_file(path: &Path) -> Result<(), DriverError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(DriverError::file("remove", path, &cause)),
    }
}

fn sync(dir: &Path) -> Result<(), DriverError> {
    let synced = std::fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|cause| DriverError::file("sync", dir, &cause))
}

fn tail(path: &Path, max_bytes: u64) -> Result<Vec<u8>, DriverError> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(max_bytes)))?;
        let mut text = Vec::new();
        file.take(max_bytes).read_to_end(&mut text)?;
        Ok(text)
    };
    match read() {
        Ok(text) => Ok(text),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(cause) => Err(DriverError::file("read", path, &cause)),
    }
}

#[cfg(test)]
mod tests;
