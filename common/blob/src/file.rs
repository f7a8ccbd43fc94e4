//! Blobs as files of one folder: `<key>` when finished, `<key>.part` until then.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::writer::FileWriter;
use crate::{Chunks, Error, check_key};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;
const PART: &str = ".part";

/// A folder of blobs.
/// A folder of blobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Folder(Arc<Path>);

impl Folder {
    /// A folder of the local file system, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        std::fs::create_dir_all(&path)
            .map_err(|why| Error::io(format!("make {}", path.display()), why))?;
        Ok(Self(path.into()))
    }

    /// Where it is, for operators.
    #[must_use]
    pub fn location(&self) -> String {
        self.0.display().to_string()
    }

    /// Begins a blob. What an earlier try under this key left behind is thrown away.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub async fn write(&self, key: &str) -> Result<FileWriter, Error> {
        let (whole, part) = self.paths(key)?;
        let opened = {
            let part = part.clone();
            move || std::fs::File::create(part)
        };
        let file = blocking(opened)
            .await
            .map_err(|why| Error::io(format!("write {}", part.display()), why))?;
        Ok(FileWriter::new(file, part, whole))
    }

    /// The size of a finished blob.
    ///
    /// # Errors
    /// When the file system does not answer.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        let (whole, _) = self.paths(key)?;
        match tokio::fs::metadata(&whole).await {
            Ok(about) => Ok(Some(about.len())),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(Error::io(format!("look at {}", whole.display()), why)),
        }
    }

    /// The bytes of a finished blob in `range`, read as they are asked for. A blob that is removed meanwhile is read to its end.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks, Error> {
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

    /// Lets `look` read a finished blob, off the async threads.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn examine<T: Send + 'static>(
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

    /// Removes a blob, finished or not; what is not there is removed already.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn remove(&self, key: &str) -> Result<(), Error> {
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

    /// The keys of all blobs, finished or not.
    ///
    /// # Errors
    /// When the file system does not answer.
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        let folder = Arc::clone(&self.0);
        let names = blocking(move || {
            std::fs::read_dir(&folder)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<std::io::Result<Vec<String>>>()
        });
        let what = || format!("list {}", self.location());
        let names = names.await.map_err(|why| Error::io(what(), why))?;
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
        check_key(key)?;
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    async fn whole(store: &Folder, key: &str, range: Range<u64>) -> Vec<u8> {
        let mut chunks = store.read(key, range).await.unwrap();
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().await {
            all.extend_from_slice(&chunk.unwrap());
        }
        all
    }

    fn store() -> (tempfile::TempDir, Folder) {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder::open(folder.path().join("a/b")).unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn a_blob_is_seen_only_when_it_is_finished() {
        let (_folder, store) = store();
        let mut writer = store.write("k1").await.unwrap();
        writer.write(Bytes::from_static(b"hello ")).await.unwrap();
        writer.write(Bytes::from_static(b"world")).await.unwrap();
        assert_eq!(store.size("k1").await.unwrap(), None);
        let digests = writer.flush().await.unwrap();
        assert_eq!(digests.size, 11);
        assert_eq!(digests.md5, "5eb63bbbe01eeed093cb22bb8f5acdc3");
        assert!(
            digests
                .sha512
                .starts_with("309ecc489c12d6eb4cc40f50c902f2b4")
        );
        writer.finish().await.unwrap();
        assert_eq!(store.size("k1").await.unwrap(), Some(11));
        assert_eq!(whole(&store, "k1", 0..11).await, b"hello world");
        assert_eq!(whole(&store, "k1", 6..8).await, b"wo");
        assert_eq!(store.list().await.unwrap(), ["k1"]);
    }

    #[tokio::test]
    async fn an_abandoned_blob_is_removed_with_its_key_and_a_new_try_starts_anew() {
        let (_folder, store) = store();
        let mut writer = store.write("k1").await.unwrap();
        writer.write(Bytes::from(vec![1; 3_000_000])).await.unwrap();
        drop(writer);
        assert_eq!(store.list().await.unwrap(), ["k1"]);
        let mut writer = store.write("k1").await.unwrap();
        writer.write(Bytes::from_static(b"x")).await.unwrap();
        writer.flush().await.unwrap();
        writer.finish().await.unwrap();
        assert_eq!(whole(&store, "k1", 0..1).await, b"x");
        store.remove("k1").await.unwrap();
        store.remove("k1").await.unwrap();
        assert!(store.list().await.unwrap().is_empty());
        assert!(matches!(
            store.read("k1", 0..1).await.err(),
            Some(Error::Missing { .. })
        ));
    }

    #[tokio::test]
    async fn a_reader_keeps_what_it_opened() {
        let (_folder, store) = store();
        let mut writer = store.write("k1").await.unwrap();
        writer.write(Bytes::from(vec![7; 2_000_000])).await.unwrap();
        writer.flush().await.unwrap();
        writer.finish().await.unwrap();
        let mut chunks = store.read("k1", 0..2_000_000).await.unwrap();
        store.remove("k1").await.unwrap();
        let mut seen = 0;
        while let Some(chunk) = chunks.next().await {
            seen += chunk.unwrap().len();
        }
        assert_eq!(seen, 2_000_000);
    }

    #[tokio::test]
    async fn a_full_disk_is_told_apart_and_leaves_no_whole_blob() {
        let (folder, store) = store();
        let part = folder.path().join("a/b/k1.part");
        std::os::unix::fs::symlink("/dev/full", part).unwrap();
        let mut writer = store.write("k1").await.unwrap();
        let full = writer.write(Bytes::from(vec![0; 2_000_000])).await;
        assert!(matches!(full, Err(Error::Full)), "{full:?}");
        assert!(writer.flush().await.is_err());
        assert_eq!(store.size("k1").await.unwrap(), None);
        store.remove("k1").await.unwrap();
        assert!(store.list().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn no_key_leaves_the_folder() {
        let (_folder, store) = store();
        for key in ["", "..", "a/b", ".hidden", "a.part", "a\0b"] {
            assert!(
                matches!(store.write(key).await.err(), Some(Error::Key { .. })),
                "{key}"
            );
            assert!(store.remove(key).await.is_err(), "{key}");
        }
    }
}
