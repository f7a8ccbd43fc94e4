//! Local files: a back end is a folder of this machine.
//!
//! A volume is one file. Where the file system can share blocks between files (XFS, btrfs) copies are reflinks; elsewhere
//! they are qcow2 overlays over a layer that never changes again. Nothing is ever copied silently.
//!
//! Every verb can be repeated: what is there already stays as it is. A file with its final name is whole.

mod chains;
mod child;
mod chunks;
mod export;
pub(crate) mod images;
pub(crate) mod luks;
pub(crate) mod targets;

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nephos_runtime::{Clock, crash_point};

use crate::model::layer::{Format, Layer, LayerId};

/// Why a back end does not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DriverError {
    /// There is no room.
    #[error("{0}")]
    Full(String),
    /// It never will.
    #[error("{0}")]
    Refused(String),
    /// It may later.
    #[error("{0}")]
    Failed(String),
}

impl DriverError {
    /// What a file operation came to. Users read it: where the back end is on its machine is not for them.
    pub(crate) fn file(what: &str, path: &Path, cause: &std::io::Error) -> Self {
        let name = path.file_name().unwrap_or_default();
        let words = format!("cannot {what} {}: {cause}", name.display());
        match cause.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(words),
            _other => Self::Failed(words),
        }
    }

    /// Whether trying again is of no use.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Refused(_))
    }
}

/// How much room there is, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub total: u64,
    pub free: u64,
}

/// A folder with volumes.
pub(crate) struct Driver {
    folder: PathBuf,
    reflink: OnceLock<bool>,
    clock: Clock,
}

impl Driver {
    /// Opens the folder. What is in it stays as it is: others may be at work there.
    pub(crate) fn open(folder: &Path, clock: Clock) -> Result<Self, DriverError> {
        let broken = |cause: std::io::Error| {
            DriverError::Failed(format!("cannot prepare {}: {cause}", folder.display()))
        };
        std::fs::create_dir_all(folder).map_err(broken)?;
        let folder = folder.canonicalize().map_err(broken)?;
        // QEMU's user passes through to the files that libvirt gives it; nobody else learns their names.
        for passable in folder.parent().into_iter().chain([folder.as_path()]) {
            let mode = std::fs::Permissions::from_mode(0o711);
            std::fs::set_permissions(passable, mode).map_err(broken)?;
        }
        Ok(Self {
            folder,
            reflink: OnceLock::new(),
            clock,
        })
    }

    /// Removes what an earlier process left half made; only before anything is at work here.
    pub(crate) fn tidy(&self) -> Result<(), DriverError> {
        let broken = |cause: std::io::Error| DriverError::file("tidy", &self.folder, &cause);
        for entry in std::fs::read_dir(&self.folder).map_err(broken)? {
            let path = entry.map_err(broken)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "part")
            {
                std::fs::remove_file(path).map_err(broken)?;
            }
        }
        Ok(())
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether copies share blocks.
    pub(crate) fn reflink(&self) -> bool {
        *self.reflink.get_or_init(|| can_reflink(&self.folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn part(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.part"))
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Whether a file that is there may be written so. Any bytes may be a raw disk's: only a qcow2 file can be told.
    pub(crate) fn fits(&self, name: &str, format: Format) -> bool {
        let mut begin = [0; 6];
        let read = File::open(self.path(name)).and_then(|mut file| file.read_exact(&mut begin));
        match format {
            Format::Raw => true,
            Format::Qcow2 => read.is_ok() && begin.starts_with(b"QFI\xfb"),
            Format::Luks => read.is_ok() && begin == *luks::MAGIC,
        }
    }

    /// The names of its files.
    pub(crate) fn list(&self) -> Result<Vec<String>, DriverError> {
        let broken = |cause: std::io::Error| DriverError::file("list", &self.folder, &cause);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(broken)? {
            names.push(
                entry
                    .map_err(broken)?
                    .file_name()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
        Ok(names)
    }

    /// Which file system it is on, if that can be said.
    pub(crate) fn device(&self) -> Option<u64> {
        let found = std::fs::metadata(&self.folder).ok();
        found.map(|found| found.dev())
    }

    pub(crate) fn room(&self) -> Result<Room, DriverError> {
        let stat = nix::sys::statvfs::statvfs(&self.folder).map_err(|why| {
            DriverError::Failed(format!("cannot measure {}: {why}", self.folder.display()))
        })?;
        let unit = stat.fragment_size();
        Ok(Room {
            total: stat.blocks().saturating_mul(unit),
            free: stat.blocks_available().saturating_mul(unit),
        })
    }

    /// A file of zeroes that takes no room yet.
    pub(crate) async fn create_empty(
        &self,
        name: &str,
        size_bytes: u64,
    ) -> Result<(), DriverError> {
        let (part, path) = (self.part(name), self.path(name));
        blocking(move || {
            if path.exists() {
                return Ok(());
            }
            let broken = |cause: std::io::Error| DriverError::file("create", &path, &cause);
            let file = File::create(&part).map_err(broken)?;
            file.set_len(size_bytes).map_err(broken)?;
            file.sync_all().map_err(broken)?;
            publish(&part, &path)
        })
        .await
    }

    /// A copy that shares its blocks with what it is copied from, and may be larger when it is raw.
    pub(crate) async fn reflink_to(
        &self,
        from: &str,
        to: &str,
        at_least: u64,
    ) -> Result<(), DriverError> {
        let (from, part, path) = (self.path(from), self.part(to), self.path(to));
        blocking(move || {
            if path.exists() {
                return Ok(());
            }
            let broken = |cause: std::io::Error| DriverError::file("copy", &from, &cause);
            let source = File::open(&from).map_err(broken)?;
            let copy = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .open(&part)
                .map_err(broken)?;
            rustix::fs::ioctl_ficlone(&copy, &source)
                .map_err(|why| DriverError::file("copy", &from, &std::io::Error::from(why)))?;
            if copy.metadata().map_err(broken)?.len() < at_least {
                copy.set_len(at_least).map_err(broken)?;
            }
            copy.sync_all().map_err(broken)?;
            crash_point!("driver.copied");
            publish(&part, &path)
        })
        .await
    }

    /// A qcow2 file over a layer.
    pub(crate) async fn overlay(
        &self,
        (base, format): (&str, Format),
        to: &str,
        size_bytes: u64,
    ) -> Result<(), DriverError> {
        if self.exists(to) {
            return Ok(());
        }
        let part = self.part(to);
        child::create_overlay((base, format), &part, size_bytes, &self.clock).await?;
        crash_point!("driver.overlaid");
        let path = self.path(to);
        blocking(move || publish(&part, &path)).await
    }

    /// Makes a file of a layer, at least so large, and says how it is written and what it stands on.
    pub(crate) async fn copy(
        &self,
        layer: &Layer,
        (to, size_bytes): (&str, u64),
    ) -> Result<(Format, Option<LayerId>), DriverError> {
        let base = layer.file();
        if !self.reflink() {
            if layer.format == Format::Luks {
                return Err(DriverError::Refused(luks::NO_COPY.to_owned()));
            }
            self.overlay((&base, layer.format), to, size_bytes).await?;
            return Ok((Format::Qcow2, Some(layer.id.clone())));
        }
        // A raw copy is its own; one of an overlay stands where that stands.
        let at_least = match layer.format {
            Format::Raw => size_bytes,
            Format::Qcow2 | Format::Luks => 0,
        };
        self.reflink_to(&base, to, at_least).await?;
        self.grow(to, layer.format, size_bytes).await?;
        Ok((layer.format, layer.parent.clone()))
    }

    /// Makes a layer of a volume's file, and an overlay over it the volume's file. Nobody may have the file open.
    pub(crate) async fn freeze(
        &self,
        volume: &str,
        (layer, format): (&str, Format),
        size_bytes: u64,
    ) -> Result<(), DriverError> {
        if !self.exists(layer) {
            let (from, to) = (self.path(volume), self.path(layer));
            blocking(move || publish(&from, &to)).await?;
        }
        crash_point!("driver.frozen");
        self.overlay((layer, format), volume, size_bytes).await
    }

    /// Makes a layer the volume's file again, of which no overlay was made.
    pub(crate) async fn thaw(&self, volume: &str, layer: &str) -> Result<(), DriverError> {
        self.drop_parts(volume).await?;
        let (from, to) = (self.path(layer), self.path(volume));
        blocking(move || {
            if to.exists() || !from.exists() {
                return Ok(());
            }
            publish(&from, &to)
        })
        .await
    }

    /// Makes a file at least so large.
    pub(crate) async fn grow(
        &self,
        name: &str,
        format: Format,
        size_bytes: u64,
    ) -> Result<(), DriverError> {
        let path = self.path(name);
        match format {
            Format::Raw => {
                blocking(move || {
                    let broken = |cause: std::io::Error| DriverError::file("extend", &path, &cause);
                    let file = OpenOptions::new().write(true).open(&path).map_err(broken)?;
                    if file.metadata().map_err(broken)?.len() < size_bytes {
                        file.set_len(size_bytes).map_err(broken)?;
                        file.sync_all().map_err(broken)?;
                    }
                    Ok(())
                })
                .await
            }
            Format::Qcow2 => child::grow(&path, size_bytes, &self.clock).await,
            Format::Luks => blocking(move || luks::grow(&path, size_bytes)).await,
        }
    }

    /// Removes a file, and what is half made of it.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), DriverError> {
        self.drop_parts(name).await?;
        self.drop_restore(name).await?;
        self.remove_all(vec![self.path(name)]).await
    }

    /// Removes what is half made of a file.
    pub(crate) async fn drop_parts(&self, name: &str) -> Result<(), DriverError> {
        let of = |what| self.part(&format!("{name}.{what}"));
        self.remove_all(vec![self.part(name), of("in"), of("out")])
            .await
    }

    async fn remove_all(&self, paths: Vec<PathBuf>) -> Result<(), DriverError> {
        let folder = self.folder.clone();
        blocking(move || {
            for path in paths {
                match std::fs::remove_file(&path) {
                    Ok(()) => {}
                    Err(why) if why.kind() == ErrorKind::NotFound => {}
                    Err(why) => return Err(DriverError::file("remove", &path, &why)),
                }
            }
            sync_folder(&folder)
        })
        .await
    }
}

/// Tries it, with two small files.
fn can_reflink(folder: &Path) -> bool {
    let probe = nephos_runtime::ids::hex();
    let one = folder.join(format!("probe-{probe}-1.part"));
    let two = folder.join(format!("probe-{probe}-2.part"));
    let tried = || -> std::io::Result<()> {
        std::fs::write(&one, [1u8; 4096])?;
        let (source, copy) = (File::open(&one)?, File::create(&two)?);
        rustix::fs::ioctl_ficlone(&copy, &source)?;
        Ok(())
    };
    let can = tried().is_ok();
    for path in [one, two] {
        let _never_made = std::fs::remove_file(path);
    }
    can
}

/// Gives a whole file its final name, durably. What is in it is its owner's and nobody else's; libvirt makes QEMU's user the
/// owner while a guest has it.
fn publish(part: &Path, path: &Path) -> Result<(), DriverError> {
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(part, private)
        .map_err(|cause| DriverError::file("close", part, &cause))?;
    std::fs::rename(part, path).map_err(|cause| DriverError::file("rename", part, &cause))?;
    sync_folder(path.parent().unwrap_or(path))
}

fn sync_folder(folder: &Path) -> Result<(), DriverError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|cause| DriverError::file("write", folder, &cause))
}

/// Work that waits for the disk, off the threads that wait for nothing.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DriverError> + Send + 'static,
) -> Result<T, DriverError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(broken) if broken.is_panic() => std::panic::resume_unwind(broken.into_panic()),
        Err(_cancelled) => Err(DriverError::Failed("the process ends".to_owned())),
    }
}
