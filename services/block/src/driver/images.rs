//! Bytes of images: in, looked at as what a stranger made, and out.

use std::io::SeekFrom;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use nephos_runtime::crash_point;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::{Driver, DriverError, blocking, child, publish};
use crate::model::layer::Format;

/// A stream that stands still so long is given up.
const STALL: std::time::Duration = std::time::Duration::from_secs(60);

/// The bytes of an image as they come.
pub(crate) type Chunks = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// What an image is said to be.
pub(crate) struct Incoming<'a> {
    /// As the image service calls it.
    pub disk_format: &'a str,
    /// How many bytes there are.
    pub size_bytes: u64,
    /// The disk inside must not be larger.
    pub at_most: u64,
}

impl Driver {
    /// Makes a raw layer of an image and says how large the disk in it is.
    pub(crate) async fn import(
        &self,
        name: &str,
        image: &Incoming<'_>,
        chunks: Chunks,
    ) -> Result<u64, DriverError> {
        let (part, path) = (self.part(name), self.path(name));
        let incoming = self.part(&format!("{name}.in"));
        let format = qemu_format(image.disk_format)?;
        self.write(&incoming, image, chunks).await?;
        crash_point!("driver.image_written");
        let size = match format {
            // Any bytes are a raw disk.
            "raw" => image.size_bytes,
            other => child::inspect(&incoming, other, &self.clock).await?,
        };
        if size > image.at_most {
            return Err(DriverError::Refused(format!(
                "the disk in it has {} GiB, more than the volume's {} GiB",
                size.div_ceil(1 << 30),
                image.at_most >> 30
            )));
        }
        if format == "raw" {
            blocking(move || publish(&incoming, &path)).await?;
            return Ok(size);
        }
        child::convert(
            (&incoming, format),
            (&part, Format::Raw.as_str()),
            &self.clock,
        )
        .await?;
        crash_point!("driver.image_converted");
        blocking(move || {
            let synced = std::fs::File::open(&part).and_then(|file| file.sync_all());
            synced.map_err(|cause| DriverError::file("write", &part, &cause))?;
            publish(&part, &path)?;
            std::fs::remove_file(&incoming)
                .map_err(|cause| DriverError::file("remove", &incoming, &cause))
        })
        .await?;
        Ok(size)
    }

    /// Writes what comes; runs of zeroes take no room.
    async fn write(
        &self,
        path: &PathBuf,
        image: &Incoming<'_>,
        mut chunks: Chunks,
    ) -> Result<(), DriverError> {
        let broken = |cause: std::io::Error| DriverError::file("write", path, &cause);
        let mut file = tokio::fs::File::create(path).await.map_err(broken)?;
        let mut length = 0u64;
        loop {
            let chunk = self.clock.timeout(STALL, chunks.next()).await;
            let chunk = chunk
                .ok_or_else(|| DriverError::Failed("the image's data stands still".to_owned()))?;
            let Some(chunk) = chunk else {
                break;
            };
            let bytes = chunk
                .map_err(|why| DriverError::Failed(format!("the image's data broke off: {why}")))?;
            length += bytes.len() as u64;
            if length > image.size_bytes {
                break;
            }
            if bytes.iter().all(|byte| *byte == 0) {
                file.seek(SeekFrom::Start(length)).await.map_err(broken)?;
            } else {
                file.write_all(&bytes).await.map_err(broken)?;
            }
        }
        if length != image.size_bytes {
            return Err(DriverError::Failed(format!(
                "the image should have {} bytes and came with {length}",
                image.size_bytes
            )));
        }
        file.flush().await.map_err(broken)?;
        file.set_len(length).await.map_err(broken)?;
        file.sync_all().await.map_err(broken)
    }
}

/// How a disk format is handed to QEMU.
pub(super) fn qemu_format(disk_format: &str) -> Result<&'static str, DriverError> {
    match disk_format {
        "raw" | "ami" | "aki" | "ari" | "iso" => Ok("raw"),
        "qcow2" => Ok("qcow2"),
        "vmdk" => Ok("vmdk"),
        "vdi" => Ok("vdi"),
        "vhd" => Ok("vpc"),
        "vhdx" => Ok("vhdx"),
        other => Err(DriverError::Refused(format!(
            "volumes are made of raw, qcow2, vmdk, vdi, vhd and vhdx images, not of {other}"
        ))),
    }
}
