//! The host's image cache: content addressed, so that equal bytes are kept once and nothing in it ever changes.
//!
//! An image is written beside its place while it is hashed, inspected, synced, and then renamed: a file with a final
//! name is whole and proved. The time of its last use is its modification time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use nephos_runtime::{Clock, crash_point, ids};
use nephos_types::Timestamp;
use sha2::{Digest as _, Sha256, Sha512};
use tokio::io::AsyncWriteExt as _;
use tracing::info;

use super::child;
use crate::driver::{DriverError, ImageSource};
use crate::model::spec::{HashAlgo, ImageHash, ImageSpec};

/// A stream that stands still so long is given up.
const STALL: Duration = Duration::from_secs(60);

/// A directory of proved images.
pub struct Images {
    dir: PathBuf,
    source: Arc<dyn ImageSource>,
    clock: Clock,
    flights: Mutex<BTreeMap<ImageHash, Arc<tokio::sync::Mutex<()>>>>,
}

/// How a disk format is handed to QEMU.
///
/// # Errors
/// `Refused` for formats that this host does not run from.
pub fn qemu_format(image: &ImageSpec) -> Result<&'static str, DriverError> {
    match image.disk_format.as_str() {
        "qcow2" => Ok("qcow2"),
        "raw" | "ami" | "aki" | "ari" => Ok("raw"),
        other => Err(DriverError::Refused(format!(
            "image {} has disk format {other}; servers boot from qcow2 and raw images",
            image.id
        ))),
    }
}

impl Images {
    /// The cache in `dir`; what an earlier process left half written goes.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(
        dir: PathBuf,
        source: Arc<dyn ImageSource>,
        clock: Clock,
    ) -> Result<Self, DriverError> {
        let list = || -> std::io::Result<()> {
            std::fs::create_dir_all(&dir)?;
            for entry in std::fs::read_dir(&dir)? {
                let path = entry?.path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "part")
                {
                    std::fs::remove_file(path)?;
                }
            }
            Ok(())
        };
        list().map_err(|cause| DriverError::file("prepare", &dir, &cause))?;
        Ok(Self {
            dir,
            source,
            clock,
            flights: Mutex::default(),
        })
    }

    /// Where bytes come from.
    #[must_use]
    pub fn source(&self) -> &dyn ImageSource {
        self.source.as_ref()
    }

    /// Where an image of this hash is, once it is cached.
    #[must_use]
    pub fn path(&self, hash: &ImageHash) -> PathBuf {
        let algo = match hash.algo {
            HashAlgo::Sha256 => "sha256",
            HashAlgo::Sha512 => "sha512",
        };
        // The value names a file: nothing but the digits of a hash may get there.
        let digits: String = hash.value.chars().filter(char::is_ascii_hexdigit).collect();
        self.dir.join(format!("{algo}-{digits}"))
    }

    /// Fetches an image unless it is here; of many who ask at a time, one fetches.
    ///
    /// # Errors
    /// `Refused` when the bytes are not what the image says they are.
    pub async fn ensure(&self, image: &ImageSpec) -> Result<(), DriverError> {
        let format = qemu_format(image)?;
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.retain(|_, flight| Arc::strong_count(flight) > 1);
            Arc::clone(flights.entry(image.hash.clone()).or_default())
        };
        let _only_one = flight.lock().await;
        let path = self.path(&image.hash);
        if path.exists() {
            touch(&path, self.clock.now());
            return Ok(());
        }
        let part = self.dir.join(format!("{}.part", ids::hex()));
        let done = self.fetch(image, format, &part, &path).await;
        if done.is_err() {
            let _never_made = std::fs::remove_file(&part);
        }
        done
    }

    async fn fetch(
        &self,
        image: &ImageSpec,
        format: &'static str,
        part: &Path,
        path: &Path,
    ) -> Result<(), DriverError> {
        info!(image = %image.id, size_bytes = image.size_bytes, "fetching an image");
        self.download(image, part).await?;
        crash_point!("image.written");
        child::inspect(part, format, &image.id, &self.clock).await?;
        crash_point!("image.inspected");
        let (part, path) = (part.to_owned(), path.to_owned());
        let renamed = tokio::task::spawn_blocking(move || super::disks::publish(&part, &path));
        renamed
            .await
            .map_err(|_| DriverError::Failed("the image was not kept".to_owned()))??;
        crash_point!("image.cached");
        Ok(())
    }

    async fn download(&self, image: &ImageSpec, part: &Path) -> Result<(), DriverError> {
        let broken = |cause: std::io::Error| DriverError::file("write image", part, &cause);
        let mut stream = self.source.open(image).await?;
        let file = tokio::fs::File::create(part).await.map_err(broken)?;
        let mut file = tokio::io::BufWriter::with_capacity(1 << 20, file);
        let mut hasher = Hasher::new(image.hash.algo);
        let mut length = 0u64;
        loop {
            let chunk = self
                .clock
                .timeout(STALL, stream.next())
                .await
                .ok_or_else(|| {
                    let secs = STALL.as_secs();
                    DriverError::Failed(format!("image {} did not come for {secs} s", image.id))
                })?;
            let Some(chunk) = chunk else { break };
            let chunk = chunk.map_err(|why| {
                DriverError::Failed(format!("image {} broke off: {why}", image.id))
            })?;
            length = length.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if length > image.size_bytes {
                return Err(wrong_length(image, length));
            }
            hasher.update(&chunk);
            file.write_all(&chunk).await.map_err(broken)?;
        }
        file.flush().await.map_err(broken)?;
        if length != image.size_bytes {
            return Err(wrong_length(image, length));
        }
        if hasher.finish() != image.hash.value.to_ascii_lowercase() {
            return Err(DriverError::Refused(format!(
                "image {} does not have the hash that it should have",
                image.id
            )));
        }
        Ok(())
    }

    /// Removes images that are neither in `keep` nor in `used` and were last used before `since`.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn remove_unused(
        &self,
        keep: &BTreeSet<ImageHash>,
        used: &BTreeSet<PathBuf>,
        since: Timestamp,
    ) -> Result<u64, DriverError> {
        let keep: BTreeSet<PathBuf> = keep.iter().map(|hash| self.path(hash)).collect();
        let since = UNIX_EPOCH + Duration::from_secs(u64::try_from(since.secs()).unwrap_or(0));
        let broken = |cause: std::io::Error| DriverError::file("list", &self.dir, &cause);
        let mut removed = 0;
        for entry in std::fs::read_dir(&self.dir).map_err(broken)? {
            let path = entry.map_err(broken)?.path();
            let is_old = last_use(&path).is_some_and(|at| at < since);
            let is_part = path
                .extension()
                .is_some_and(|extension| extension == "part");
            if is_old && !is_part && !keep.contains(&path) && !used.contains(&path) {
                info!(image = %path.display(), "removing an unused image");
                std::fs::remove_file(&path)
                    .map_err(|cause| DriverError::file("remove", &path, &cause))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn wrong_length(image: &ImageSpec, length: u64) -> DriverError {
    DriverError::Failed(format!(
        "image {} should have {} bytes and came with {length}",
        image.id, image.size_bytes
    ))
}

/// libvirt may have given the file away; then its age is counted from its arrival.
fn touch(path: &Path, now: Timestamp) {
    let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(now.secs()).unwrap_or(0));
    let file = std::fs::OpenOptions::new().append(true).open(path);
    let _not_ours = file.and_then(|file| file.set_modified(at));
}

fn last_use(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn new(algo: HashAlgo) -> Self {
        match algo {
            HashAlgo::Sha256 => Self::Sha256(Sha256::new()),
            HashAlgo::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Sha256(hasher) => hex::encode(hasher.finalize()),
            Self::Sha512(hasher) => hex::encode(hasher.finalize()),
        }
    }
}

#[cfg(test)]
mod tests;
