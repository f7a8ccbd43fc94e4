//! Byte stores: a stream in, a range out, visible whole or not at all.
//!
//! [`Folder`] keeps blobs as files of one folder. [`Store`] keeps many of them, in files spread over folders or in a bucket
//! that somebody else serves by S3. Digests are computed while writing. Invariant: a key is written once; what is wanted
//! anew gets a new key. What a process that was killed left behind has a key too, by which it is found and removed.

mod bucket;
mod error;
mod file;
mod folders;
mod hashes;
mod writer;

use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

pub use bucket::{BucketSettings, BucketWriter, MAX_BYTES as MAX_BUCKET_BYTES};
pub use error::Error;
pub use file::Folder;
pub use hashes::Digests;
pub use writer::FileWriter;

/// A stream of bytes on their way out.
pub type Chunks = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// A place for blobs by the million. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Driver);

/// One variant per technology.
#[derive(Clone, Debug)]
enum Driver {
    Folders(folders::Folders),
    Bucket(bucket::Bucket),
}

/// Some keys of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// All finished blobs with keys behind this one …
    pub after: String,
    /// … and up to this one are among `keys`; none, where the two are the same.
    pub up_to: String,
    /// Keys of blobs, finished or not.
    pub keys: Vec<String>,
}

impl Store {
    /// Files, spread over folders below this one by the first two hexadecimal digits of their keys. Folders are made where
    /// they are missing.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn folders(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let folders = folders::Folders::open(&path.into())?;
        Ok(Self(Driver::Folders(folders)))
    }

    /// A bucket of any S3. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn bucket(settings: &BucketSettings) -> Result<Self, Error> {
        Ok(Self(Driver::Bucket(bucket::Bucket::open(settings)?)))
    }

    /// Where it is, for operators.
    #[must_use]
    pub fn location(&self) -> String {
        match &self.0 {
            Driver::Folders(folders) => folders.location(),
            Driver::Bucket(bucket) => bucket.location(),
        }
    }

    /// Whether it answers and may be listed. Changes nothing.
    ///
    /// # Errors
    /// Why not.
    pub async fn look(&self) -> Result<(), Error> {
        match &self.0 {
            Driver::Folders(folders) => folders.look().await,
            Driver::Bucket(bucket) => bucket.look().await,
        }
    }

    /// That, and whether blobs may be written and removed. Leaves nothing behind.
    ///
    /// # Errors
    /// Why not.
    pub async fn prove(&self) -> Result<(), Error> {
        match &self.0 {
            // Its folders have just been made, or were there: what is wrong with a file is said when it is written.
            Driver::Folders(folders) => folders.look().await,
            Driver::Bucket(bucket) => bucket.prove().await,
        }
    }

    /// Notes that a bucket belongs to whoever has this id, unless it belongs to somebody; a folder is not asked.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is another's.
    pub async fn claim(&self, id: &str) -> Result<(), Error> {
        match &self.0 {
            Driver::Folders(_) => Ok(()),
            Driver::Bucket(bucket) => bucket.claim(id).await,
        }
    }

    /// Begins a blob.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub async fn write(&self, key: &str) -> Result<Writer, Error> {
        match &self.0 {
            Driver::Folders(folders) => folders.of(key).write(key).await.map(Writer::File),
            Driver::Bucket(bucket) => bucket.write(key).map(Writer::Bucket),
        }
    }

    /// The size of a finished blob.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        match &self.0 {
            Driver::Folders(folders) => folders.of(key).size(key).await,
            Driver::Bucket(bucket) => bucket.size(key).await,
        }
    }

    /// The bytes of a finished blob in `range`, read as they are asked for.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks, Error> {
        match &self.0 {
            Driver::Folders(folders) => folders.of(key).read(key, range).await,
            Driver::Bucket(bucket) => bucket.read(key, range).await,
        }
    }

    /// Whether a reader of so many bytes of one blob, once begun, is served to the end if the blob is removed meanwhile.
    #[must_use]
    pub fn serves_to_the_end(&self, bytes: u64) -> bool {
        match &self.0 {
            // A file that is open stays.
            Driver::Folders(_) => true,
            Driver::Bucket(_) => bucket::serves_to_the_end(bytes),
        }
    }

    /// Removes a blob, finished or not; what is not there is removed already.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        match &self.0 {
            Driver::Folders(folders) => folders.of(key).remove(key).await,
            Driver::Bucket(bucket) => bucket.remove(key).await,
        }
    }

    /// The keys of all blobs. What comes or goes meanwhile may be among them or not.
    ///
    /// # Errors
    /// Each item: what could not be listed; others may follow.
    #[must_use]
    pub fn pages(&self) -> BoxStream<'static, Result<Page, Error>> {
        match &self.0 {
            Driver::Folders(folders) => folders.clone().pages().boxed(),
            Driver::Bucket(bucket) => bucket.clone().pages().boxed(),
        }
    }
}

/// A blob of a [`Store`] that is being written. Dropped before [`Writer::finish`], it leaves what [`Store::remove`] takes
/// away, as after a crash.
#[derive(Debug)]
pub enum Writer {
    /// Into a file.
    File(FileWriter),
    /// Into a bucket.
    Bucket(BucketWriter),
}

impl Writer {
    /// Leaves out SHA-512, which nobody asks for. Before the first byte.
    #[must_use]
    pub fn md5_only(self) -> Self {
        match self {
            Self::File(writer) => Self::File(writer.md5_only()),
            Self::Bucket(writer) => Self::Bucket(writer.md5_only()),
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`Error::Full`], or what else the store says; nothing more can be written then.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        match self {
            Self::File(writer) => writer.write(bytes).await,
            Self::Bucket(writer) => writer.write(bytes).await,
        }
    }

    /// Says what it was, after the last byte. The blob is not visible yet.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn flush(&mut self) -> Result<Digests, Error> {
        match self {
            Self::File(writer) => writer.flush().await,
            Self::Bucket(writer) => writer.flush().await,
        }
    }

    /// Makes the blob visible under its key, for good. After [`Writer::flush`].
    ///
    /// # Errors
    /// When the store does not take it. It may have done so none the less: the key is to be removed.
    pub async fn finish(self) -> Result<(), Error> {
        match self {
            Self::File(writer) => writer.finish().await,
            Self::Bucket(writer) => writer.finish().await,
        }
    }
}

/// Only keys that this crate's users make: none leaves its folder, or means something to S3.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    let plain = key
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if key.is_empty() || key.len() > 128 || !plain {
        return Err(Error::Key {
            key: key.to_owned(),
        });
    }
    Ok(())
}
