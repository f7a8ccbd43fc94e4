//! Volumes piece by piece: where they hold something, what it is, and a volume's file that is written anew.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use bytes::Bytes;
use nephos_runtime::crash_point;

use super::{Driver, DriverError, blocking, child, publish};
use crate::model::backup::checksum;
use crate::model::layer::{Format, Layer, LayerId};

/// A piece of a file that can be read byte by byte.
pub(crate) struct Window {
    path: PathBuf,
    /// What of the volume the file begins with.
    begins: u64,
    /// Whether the file is only for this.
    own: bool,
}

impl Window {
    /// So many bytes of the volume with their checksum; none when they are zeroes. Beyond the file's end there are zeroes.
    pub(crate) async fn read(
        &self,
        at: u64,
        length: u64,
    ) -> Result<Option<(Bytes, String)>, DriverError> {
        let (path, at) = (self.path.clone(), at.saturating_sub(self.begins));
        blocking(move || {
            let broken = |cause: std::io::Error| DriverError::file("read", &path, &cause);
            let mut file = File::open(&path).map_err(broken)?;
            if next_in(&file, at)
                .map_err(broken)?
                .is_none_or(|data| data >= at + length)
            {
                return Ok(None);
            }
            file.seek(SeekFrom::Start(at)).map_err(broken)?;
            let room = usize::try_from(length).unwrap_or_default();
            let mut bytes = Vec::with_capacity(room);
            file.take(length).read_to_end(&mut bytes).map_err(broken)?;
            if is_zero(&bytes) {
                return Ok(None);
            }
            bytes.resize(room, 0);
            let sum = checksum(&bytes);
            Ok(Some((Bytes::from(bytes), sum)))
        })
        .await
    }
}

impl Driver {
    /// The first place from `from` on, and before `end`, where a file may hold something else than zeroes.
    pub(crate) async fn next_data(
        &self,
        (name, format): (&str, Format),
        (from, end): (u64, u64),
    ) -> Result<Option<u64>, DriverError> {
        let path = self.path(name);
        let found = match format {
            Format::Raw => blocking(move || next_in_file(&path, from)).await?,
            Format::Qcow2 => child::next_data(&path, (from, end), &self.clock).await?,
            Format::Luks => return Err(DriverError::Refused("it is encrypted".to_owned())),
        };
        Ok(found.filter(|at| *at < end))
    }

    /// A piece of a file, to be read. What is made for that has `owner`'s name, and goes by [`Driver::drop_window`].
    pub(crate) async fn window(
        &self,
        (name, format): (&str, Format),
        (at, length): (u64, u64),
        owner: &str,
    ) -> Result<Window, DriverError> {
        let path = self.path(name);
        if format == Format::Luks {
            return Err(DriverError::Refused("it is encrypted".to_owned()));
        }
        if format == Format::Raw {
            return Ok(Window {
                path,
                begins: 0,
                own: false,
            });
        }
        let part = self.part(&format!("backup-{owner}"));
        child::extract(&path, &part, (at, length), &self.clock).await?;
        Ok(Window {
            path: part,
            begins: at,
            own: true,
        })
    }

    /// Removes what was made for a piece.
    pub(crate) async fn drop_window(&self, window: Window) -> Result<(), DriverError> {
        match window.own {
            true => self.remove_all(vec![window.path]).await,
            false => Ok(()),
        }
    }

    fn restoring(&self, volume: &str) -> PathBuf {
        self.path(&restoring(volume))
    }

    /// Makes a volume's file anew of a layer, beside the one that is there, and says how it is written and what it stands
    /// on; what was begun before is lost.
    pub(crate) async fn restore_of(
        &self,
        volume: &str,
        layer: &Layer,
        size_bytes: u64,
    ) -> Result<(Format, Option<LayerId>), DriverError> {
        self.drop_restore(volume).await?;
        self.copy(layer, (&restoring(volume), size_bytes)).await
    }

    /// Begins to write a volume's file anew, as zeroes, beside the one that is there; what was begun before is lost.
    pub(crate) async fn begin_restore(
        &self,
        volume: &str,
        size_bytes: u64,
    ) -> Result<(), DriverError> {
        let path = self.restoring(volume);
        blocking(move || {
            let broken = |cause: std::io::Error| DriverError::file("create", &path, &cause);
            let mut options = OpenOptions::new();
            options.create(true).truncate(true).write(true).mode(0o600);
            let file = options.open(&path).map_err(broken)?;
            file.set_len(size_bytes).map_err(broken)?;
            file.sync_all().map_err(broken)
        })
        .await
    }

    /// Writes a piece of it.
    pub(crate) async fn write_restore(
        &self,
        volume: &str,
        (at, bytes): (u64, Bytes),
    ) -> Result<(), DriverError> {
        let path = self.restoring(volume);
        blocking(move || {
            let broken = |cause: std::io::Error| DriverError::file("write", &path, &cause);
            let file = OpenOptions::new().write(true).open(&path).map_err(broken)?;
            file.write_all_at(&bytes, at).map_err(broken)
        })
        .await
    }

    /// Makes durable what was written of it; false when it is not there.
    pub(crate) async fn sync_restore(&self, volume: &str) -> Result<bool, DriverError> {
        let path = self.restoring(volume);
        blocking(
            move || match File::open(&path).and_then(|file| file.sync_all()) {
                Ok(()) => Ok(true),
                Err(why) if why.kind() == ErrorKind::NotFound => Ok(false),
                Err(why) => Err(DriverError::file("write", &path, &why)),
            },
        )
        .await
    }

    /// Puts it in the place of the volume's file; nothing when that is done already.
    pub(crate) async fn end_restore(&self, volume: &str) -> Result<(), DriverError> {
        let (from, to) = (self.restoring(volume), self.path(volume));
        blocking(move || {
            if from.exists() {
                crash_point!("driver.restored");
                publish(&from, &to)?;
            }
            Ok(())
        })
        .await
    }

    /// Gives up writing it.
    pub(crate) async fn drop_restore(&self, volume: &str) -> Result<(), DriverError> {
        self.remove_all(vec![self.restoring(volume)]).await
    }
}

/// What a volume's file is called until it takes the place of the one that is there.
fn restoring(volume: &str) -> String {
    format!("{volume}.restoring")
}

fn next_in_file(path: &std::path::Path, from: u64) -> Result<Option<u64>, DriverError> {
    let found = File::open(path).and_then(|file| next_in(&file, from));
    found.map_err(|cause| DriverError::file("read", path, &cause))
}

fn next_in(file: &File, from: u64) -> std::io::Result<Option<u64>> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(from)) {
        Ok(at) => Ok(Some(at)),
        // Nothing but a hole is left.
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(why) => Err(std::io::Error::from(why)),
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    const ZEROES: [u8; 4096] = [0; 4096];
    let mut pieces = bytes.chunks(ZEROES.len());
    pieces.all(|piece| ZEROES.starts_with(piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn holes_are_skipped_and_zeroes_are_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let clock = nephos_runtime::Clock::system();
        let driver = Driver::open(folder.path(), clock).unwrap();
        driver.create_empty("volume-a", 1 << 30).await.unwrap();
        let (file, end) = (("volume-a", Format::Raw), 1 << 30);
        assert_eq!(driver.next_data(file, (0, end)).await, Ok(None));
        let path = folder.path().join("volume-a");
        let raw = OpenOptions::new().write(true).open(path).unwrap();
        raw.write_all_at(b"x", (512 << 20) + 5).unwrap();
        let found = driver.next_data(file, (0, end)).await.unwrap().unwrap();
        assert!(found > 500 << 20 && found <= (512 << 20) + 5, "{found}");
        let window = driver.window(file, (0, end), "b").await.unwrap();
        let read = window.read(512 << 20, 4 << 20).await.unwrap().unwrap();
        assert_eq!((read.0.len(), read.0[5]), (4 << 20, b'x'));
        assert_eq!(read.1, checksum(&read.0));
        assert!(window.read(0, 4 << 20).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_overlay_is_read_through_to_what_it_stands_on() {
        let folder = tempfile::tempdir().unwrap();
        let clock = nephos_runtime::Clock::system();
        let driver = Driver::open(folder.path(), clock).unwrap();
        driver.create_empty("volume-a", 1 << 30).await.unwrap();
        let path = folder.path().join("volume-a");
        let raw = OpenOptions::new().write(true).open(path).unwrap();
        raw.write_all_at(b"below", 300 << 20).unwrap();
        let layer = ("layer-l", Format::Raw);
        driver.freeze("volume-a", layer, 1 << 30).await.unwrap();
        let (file, end) = (("volume-a", Format::Qcow2), 1 << 30);
        let found = driver.next_data(file, (0, end)).await.unwrap().unwrap();
        assert!(found > 290 << 20 && found <= 300 << 20, "{found}");
        let piece = (256 << 20, 256 << 20);
        let window = driver.window(file, piece, "b").await.unwrap();
        let read = window.read(300 << 20, 4 << 20).await.unwrap().unwrap();
        assert_eq!(&read.0[..5], b"below");
        driver.drop_window(window).await.unwrap();
        assert_eq!(driver.next_data(file, (512 << 20, end)).await, Ok(None));
        assert!(
            driver
                .list()
                .unwrap()
                .iter()
                .all(|name| !name.ends_with(".part"))
        );
    }
}
