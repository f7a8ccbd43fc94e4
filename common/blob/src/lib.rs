//! Byte stores: a stream in, a range out, visible whole or not at all.
//!
//! A blob is written into a part file, flushed to disk and renamed: whoever opens its key sees all of it or nothing.
//! Digests are computed while writing. Invariant: a key is written once; what is wanted anew gets a new key.

mod file;
mod writer;

use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::stream::BoxStream;

pub use writer::{Digests, Writer};

/// Why bytes cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No space is left.
    #[error("the disk is full")]
    Full,
    /// There is no such blob.
    #[error("no blob {key}")]
    Missing {
        /// Its key.
        key: String,
    },
    /// The key is none that this crate gave out: it could leave the folder.
    #[error("{key} is no key of a blob")]
    Key {
        /// The key.
        key: String,
    },
    /// Anything else that the operating system said.
    #[error("cannot {what}")]
    Io {
        /// What was attempted.
        what: String,
        /// What it said.
        #[source]
        cause: std::io::Error,
    },
}

impl Error {
    /// An error of the operating system while doing `what`.
    pub(crate) fn io(what: impl Into<String>, cause: std::io::Error) -> Self {
        match cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            _other => Self::Io {
                what: what.into(),
                cause,
            },
        }
    }
}

/// A place for blobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Driver);

/// One variant per technology.
#[derive(Clone, Debug)]
enum Driver {
    File(file::Folder),
}

/// A stream of bytes on their way out.
pub type Chunks = BoxStream<'static, Result<Bytes, std::io::Error>>;

impl Store {
    /// A folder of the local file system, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Ok(Self(Driver::File(file::Folder::open(path.into())?)))
    }

    /// Where it is, for operators.
    #[must_use]
    pub fn location(&self) -> String {
        let Driver::File(folder) = &self.0;
        folder.path().display().to_string()
    }

    /// Begins a blob. What an earlier try under this key left behind is thrown away.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub async fn write(&self, key: &str) -> Result<Writer, Error> {
        let Driver::File(folder) = &self.0;
        folder.write(key).await
    }

    /// The size of a finished blob.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        let Driver::File(folder) = &self.0;
        folder.size(key).await
    }

    /// The bytes of a finished blob in `range`, read as they are asked for. A blob that is removed meanwhile is read to its end.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks, Error> {
        let Driver::File(folder) = &self.0;
        folder.read(key, range).await
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
        let Driver::File(folder) = &self.0;
        folder.examine(key, look).await
    }

    /// Removes a blob, finished or not; what is not there is removed already.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        let Driver::File(folder) = &self.0;
        folder.remove(key).await
    }

    /// The keys of all blobs, finished or not.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        let Driver::File(folder) = &self.0;
        folder.list().await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    async fn whole(store: &Store, key: &str, range: Range<u64>) -> Vec<u8> {
        let mut chunks = store.read(key, range).await.unwrap();
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().await {
            all.extend_from_slice(&chunk.unwrap());
        }
        all
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::folder(folder.path().join("a/b")).unwrap();
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
