//! Blobs as files of one folder: `<key>` when finished, `<key>.part` until then.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::{Chunks, Error, Writer};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;
const PART: &str = ".part";

/// A folder of blobs.
#[derive(Clone, Debug)]
pub(crate) struct Folder(Arc<Path>);

impl Folder {
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        std::fs::create_dir_all(&path)
            .map_err(|why| Error::io(format!("make {}", path.display()), why))?;
        Ok(Self(path.into()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) async fn write(&self, key: &str) -> Result<Writer, Error> {
        let (whole, part) = self.paths(key)?;
        let opened = {
            let part = part.clone();
            move || std::fs::File::create(part)
        };
        let file = blocking(opened)
            .await
            .map_err(|why| Error::io(format!("write {}", part.display()), why))?;
        Ok(Writer::new(file, part, whole))
    }

    pub(crate) async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        let (whole, _) = self.paths(key)?;
        match tokio::fs::metadata(&whole).await {
            Ok(about) => Ok(Some(about.len())),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(Error::io(format!("look at {}", whole.display()), why)),
        }
    }

    pub(crate) async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks, Error> {
        let (whole, _) = self.paths(key)?;
        let mut file = match tokio::fs::File::open(&whole).await {
            Ok(file) => file,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing {
                    key: key.to_owned(),
                });
            }
            Err(why) => return Err(Error::io(format!("read {}", whole.display()), why)),
        };
        if range.start > 0 {
            file.seek(std::io::SeekFrom::Start(range.start))
                .await
                .map_err(|why| Error::io(format!("read {}", whole.display()), why))?;
        }
        let limited = file.take(range.end.saturating_sub(range.start));
        Ok(ReaderStream::with_capacity(limited, CHUNK_BYTES).boxed())
    }

    pub(crate) async fn examine<T: Send + 'static>(
        &self,
        key: &str,
        look: impl FnOnce(&std::fs::File) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (whole, _) = self.paths(key)?;
        let what = format!("read {}", whole.display());
        blocking(move || Ok(look(&std::fs::File::open(whole)?)))
            .await
            .map_err(|why| Error::io(what, why))
    }

    pub(crate) async fn remove(&self, key: &str) -> Result<(), Error> {
        let (whole, part) = self.paths(key)?;
        let mut removed = false;
        for path in [part, whole] {
            match tokio::fs::remove_file(&path).await {
                Ok(()) => removed = true,
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
                Err(why) => return Err(Error::io(format!("remove {}", path.display()), why)),
            }
        }
        if removed {
            // Who forgets the key after this must not find the file again after a power cut.
            let folder = Arc::clone(&self.0);
            blocking(move || sync_folder(&folder))
                .await
                .map_err(|why| Error::io("flush a folder", why))?;
        }
        Ok(())
    }

    pub(crate) async fn list(&self) -> Result<Vec<String>, Error> {
        let folder = Arc::clone(&self.0);
        let names = blocking(move || {
            std::fs::read_dir(&folder)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<std::io::Result<Vec<String>>>()
        });
        let names = names.await.map_err(|why| Error::io("list a folder", why))?;
        let mut keys: Vec<String> = names
            .into_iter()
            .map(|name| name.strip_suffix(PART).map(str::to_owned).unwrap_or(name))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// The finished file and the part file of a key.
    fn paths(&self, key: &str) -> Result<(PathBuf, PathBuf), Error> {
        let plain = key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if key.is_empty() || key.len() > 128 || !plain {
            return Err(Error::Key {
                key: key.to_owned(),
            });
        }
        Ok((self.0.join(key), self.0.join(format!("{key}{PART}"))))
    }
}

/// Makes names in a folder survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Runs a blocking call off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(call)
        .await
        .map_err(std::io::Error::other)?
}
