//! Root disks that are made of another disk: copied beside it, or carried from another host.
//!
//! What is carried is one file that stands on no other, of a length and a hash that the control plane was told by the
//! host it comes from. What has arrived stays when the way breaks off, and the next try goes on behind it.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use nephos_runtime::{Clock, crash_point, ids};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncSeekExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tracing::info;

use super::child;
use super::disks::{link, publish, remove_file, virtual_size, write_file};
use crate::driver::{DriverError, ImageSource, Pipe};
use crate::model::disk::{Carried, DiskFrom, Export};
use crate::model::spec::ServerSpec;

/// A stream that stands still so long is given up.
const STALL: Duration = Duration::from_secs(60);
/// Read and hashed at a time.
const PIECE: usize = 1 << 20;

/// A root disk that is to be made.
pub struct Disk<'a> {
    /// Of which server.
    pub spec: &'a ServerSpec,
    /// The server's directory.
    pub dir: &'a Path,
    /// The disk's own place there.
    pub place: &'a Path,
}

/// Makes a root disk of another one, as large as the flavor says.
///
/// # Errors
/// `Unavailable` while it does not come, `Refused` when it is not what it should be.
pub async fn make(
    disk: &Disk<'_>,
    from: &DiskFrom,
    source: &dyn ImageSource,
    clock: &Clock,
) -> Result<(), DriverError> {
    let part = match &from.carried {
        None => copy(disk, from.epoch).await?,
        Some(carried) => receive(disk, carried, source, clock).await?,
    };
    crash_point!("disk.copied");
    let wanted = disk.spec.size.disk_gib << 30;
    let path = part.clone();
    let now = blocking(move || virtual_size(&path, "qcow2")).await?;
    if wanted > now {
        child::grow(&part, wanted, clock).await?;
        crash_point!("disk.grown");
    }
    publish(&part, disk.place)
}

async fn copy(disk: &Disk<'_>, epoch: i64) -> Result<PathBuf, DriverError> {
    let dir = disk.dir;
    // It stands on the image that the other one stands on.
    if let Ok(base) = std::fs::read_link(dir.join(format!("base-{epoch}"))) {
        link(dir, &format!("base-{}", disk.spec.disk_epoch), &base)?;
    }
    let part = dir.join(format!("{}.part", ids::hex()));
    let (from, to) = (dir.join(format!("disk-{epoch}.qcow2")), part.clone());
    blocking(move || {
        let copied = std::fs::copy(&from, &to);
        copied.map_err(|cause| DriverError::file("copy", &from, &cause))
    })
    .await?;
    Ok(part)
}

async fn receive(
    disk: &Disk<'_>,
    carried: &Carried,
    source: &dyn ImageSource,
    clock: &Clock,
) -> Result<PathBuf, DriverError> {
    let server = &disk.spec.server_id;
    let path = disk
        .dir
        .join(format!("disk-{}.carried", disk.spec.disk_epoch));
    let broken = |cause: std::io::Error| DriverError::file("write", &path, &cause);
    let mut have = std::fs::metadata(&path).map_or(0, |there| there.len());
    if have > carried.size_bytes {
        remove_file(&path)?;
        have = 0;
    }
    if have < carried.size_bytes {
        info!(server = %server, from = carried.host, have, of = carried.size_bytes, "a disk comes from another host");
        let opened = tokio::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .await;
        let mut file = opened.map_err(broken)?;
        let late = |why: String| {
            DriverError::Unavailable(format!(
                "the disk does not come from {}: {why}",
                carried.host
            ))
        };
        let mut stream = source.open_disk(server, have).await?;
        while have < carried.size_bytes {
            let chunk = clock.timeout(STALL, stream.next()).await;
            let chunk = chunk.ok_or_else(|| late(format!("nothing for {} s", STALL.as_secs())))?;
            let Some(chunk) = chunk else {
                file.flush().await.map_err(broken)?;
                return Err(late("it broke off".to_owned()));
            };
            let chunk = chunk.map_err(late)?;
            have = have.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            file.write_all(&chunk).await.map_err(broken)?;
            crash_point!("disk.piece_came");
        }
        file.sync_all().await.map_err(broken)?;
    }
    crash_point!("disk.came");
    let whole = path.clone();
    let (size, hash) = blocking(move || measure(&whole)).await?;
    if size != carried.size_bytes || hash != carried.sha256 {
        remove_file(&path)?;
        return Err(DriverError::Refused(format!(
            "the disk that came from {} is not the one that was sent",
            carried.host
        )));
    }
    // Another host made it: it may name no other file, just as an image that a user brought.
    let image = disk.spec.boot.image.as_ref();
    let image = image.map_or_else(|| "".into(), |image| image.id.clone());
    child::inspect(&path, "qcow2", &image, clock).await?;
    Ok(path)
}

/// Makes a disk ready to be carried.
///
/// # Errors
/// When there is no room for it.
pub async fn export(dir: &Path, epoch: i64, clock: &Clock) -> Result<(), DriverError> {
    let place = dir.join(format!("export-{epoch}"));
    if !place.exists() {
        let disk = dir.join(format!("disk-{epoch}.qcow2"));
        let part = dir.join(format!("{}.part", ids::hex()));
        child::flatten(&disk, &part, clock).await?;
        crash_point!("export.made");
        publish(&part, &place)?;
    }
    crash_point!("export.named");
    let (size_bytes, sha256) = blocking(move || measure(&place)).await?;
    let says = Export {
        epoch,
        size_bytes,
        sha256,
    };
    let text = serde_json::to_vec(&says).map_err(|why| DriverError::Failed(why.to_string()))?;
    write_file(dir, &dir.join("export.is"), &text)
}

/// What is ready to be carried.
pub fn read_export(dir: &Path) -> Option<Export> {
    let text = std::fs::read(dir.join("export.is")).ok()?;
    let says: Export = serde_json::from_slice(&text).ok()?;
    let is_there = dir.join(format!("export-{}", says.epoch)).exists();
    is_there.then_some(says)
}

/// Removes what was ready.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_export(dir: &Path) -> Result<(), DriverError> {
    let Some(says) = read_export(dir) else {
        return remove_file(&dir.join("export.is"));
    };
    remove_file(&dir.join(format!("export-{}", says.epoch)))?;
    remove_file(&dir.join("export.is"))
}

/// Opens what is ready, from a byte on.
///
/// # Errors
/// When it is not there.
pub async fn open_export(dir: &Path, epoch: i64, from: u64) -> Result<Pipe, DriverError> {
    open(&dir.join(format!("export-{epoch}")), from).await
}

/// Opens a file, from a byte on.
///
/// # Errors
/// When it is not there.
pub async fn open(path: &Path, from: u64) -> Result<Pipe, DriverError> {
    let open = async {
        let mut file = tokio::fs::File::open(path).await?;
        file.seek(std::io::SeekFrom::Start(from)).await?;
        Ok(file)
    };
    let file = open
        .await
        .map_err(|cause| DriverError::file("open", path, &cause))?;
    Ok(Box::new(OneWay(file)))
}

/// Length and hash of a file.
fn measure(path: &Path) -> Result<(u64, String), DriverError> {
    let read = || -> std::io::Result<(u64, String)> {
        let mut file = std::fs::File::open(path)?;
        let (mut hasher, mut length) = (Sha256::new(), 0u64);
        let mut piece = vec![0u8; PIECE];
        loop {
            let count = file.read(&mut piece)?;
            if count == 0 {
                return Ok((length, hex::encode(hasher.finalize())));
            }
            hasher.update(piece.get(..count).unwrap_or_default());
            length = length.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        }
    };
    read().map_err(|cause| DriverError::file("read", path, &cause))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DriverError> + Send + 'static,
) -> Result<T, DriverError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|why| DriverError::Failed(why.to_string()))?
}

/// A file that is read; what is said to it goes nowhere.
struct OneWay(tokio::fs::File);

impl AsyncRead for OneWay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for OneWay {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
