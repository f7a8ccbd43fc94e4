//! Bytes of volumes on their way out, as images have them.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use nephos_runtime::crash_point;
use tokio::io::AsyncReadExt as _;

use super::{Driver, DriverError, blocking, child, images, publish};
use crate::model::layer::Format;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// A file whose bytes go out.
pub(crate) struct Outgoing(PathBuf);

/// How many bytes there are, and they.
pub(crate) type Flow = (u64, BoxStream<'static, Result<Bytes, std::io::Error>>);

impl Outgoing {
    /// Begins to read it.
    pub(crate) async fn open(&self) -> Result<Flow, DriverError> {
        let broken = |cause: std::io::Error| DriverError::file("read", &self.0, &cause);
        let file = tokio::fs::File::open(&self.0).await.map_err(broken)?;
        let length = file.metadata().await.map_err(broken)?.len();
        let chunks = stream::try_unfold(file, |mut file| async move {
            let mut chunk = bytes::BytesMut::with_capacity(CHUNK);
            let read = file.read_buf(&mut chunk).await?;
            Ok((read > 0).then(|| (chunk.freeze(), file)))
        });
        Ok((length, chunks.boxed()))
    }
}

impl Driver {
    /// A volume's bytes in an image's format: its own file if that is so already, else another, which is made anew.
    pub(crate) async fn export(
        &self,
        volume: &str,
        format: Format,
        disk_format: &str,
    ) -> Result<Outgoing, DriverError> {
        let wanted = images::qemu_format(disk_format)?;
        let own = self.path(volume);
        if format == Format::Luks {
            return Err(DriverError::Refused("it is encrypted".to_owned()));
        }
        if format == Format::Raw && wanted == "raw" {
            return Ok(Outgoing(own));
        }
        let part = self.part(&format!("{volume}.out"));
        child::convert((&own, format.as_str()), (&part, wanted), &self.clock).await?;
        Ok(Outgoing(part))
    }

    /// A raw copy of a volume's file of another back end; all of it is read and written. It is always made anew: what is
    /// there of this name is of a try that was cut off, and may be old.
    pub(crate) async fn adopt(
        &self,
        (from, format): (&Path, Format),
        name: &str,
    ) -> Result<(), DriverError> {
        let (part, path) = (self.part(name), self.path(name));
        // Ciphertext is copied byte for byte, and needs no key.
        let read_as = match format {
            Format::Luks => Format::Raw,
            other => other,
        };
        child::convert((from, read_as.as_str()), (&part, "raw"), &self.clock).await?;
        crash_point!("driver.adopted");
        blocking(move || {
            let synced = std::fs::File::open(&part).and_then(|file| file.sync_all());
            synced.map_err(|cause| DriverError::file("write", &part, &cause))?;
            publish(&part, &path)
        })
        .await
    }

    /// Removes what was made for an image.
    pub(crate) async fn drop_export(&self, volume: &str) -> Result<(), DriverError> {
        self.remove_all(vec![self.part(&format!("{volume}.out"))])
            .await
    }
}
