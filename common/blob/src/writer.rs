//! A blob on its way in: buffered, hashed and written off the async threads.

use std::io::Write as _;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use md5::{Digest as _, Md5};
use sha2::Sha512;

use crate::Error;
use crate::file::{blocking, sync_folder};

/// Bytes gathered before they are written at once.
const BUFFER_BYTES: usize = 1024 * 1024;

/// What is known of bytes once all of them have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// How many.
    pub size: u64,
    /// MD5 in hex: what OpenStack calls the checksum.
    pub md5: String,
    /// SHA-512 in hex; empty when it was not asked for.
    pub sha512: String,
}

/// A blob that is being written. Dropped before [`Writer::finish`], it leaves a part file, which
/// [`Store::remove`](crate::Store::remove) takes away: as after a crash.
#[derive(Debug)]
pub struct Writer {
    state: Option<State>,
    buffer: BytesMut,
    part: PathBuf,
    whole: PathBuf,
}

#[derive(Debug)]
struct State {
    file: std::fs::File,
    md5: Md5,
    sha512: Option<Sha512>,
    size: u64,
}

impl Writer {
    pub(crate) fn new(file: std::fs::File, part: PathBuf, whole: PathBuf) -> Self {
        let state = State {
            file,
            md5: Md5::new(),
            sha512: Some(Sha512::new()),
            size: 0,
        };
        Self {
            state: Some(state),
            buffer: BytesMut::new(),
            part,
            whole,
        }
    }

    /// Leaves out SHA-512, which nobody asks for. Before the first byte.
    #[must_use]
    pub fn md5_only(mut self) -> Self {
        if let Some(state) = &mut self.state {
            state.sha512 = None;
        }
        self
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`Error::Full`], or what else the disk says; nothing more can be written then.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.buffer.extend_from_slice(&bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_buffer().await?;
        }
        Ok(())
    }

    /// Brings everything to disk and says what it was. The blob is not visible yet.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn flush(&mut self) -> Result<Digests, Error> {
        self.write_buffer().await?;
        let synced = self.with_state(|state| {
            state.file.sync_all()?;
            Ok(Digests {
                size: state.size,
                md5: hex::encode(state.md5.clone().finalize()),
                sha512: state
                    .sha512
                    .clone()
                    .map(|hash| hex::encode(hash.finalize()))
                    .unwrap_or_default(),
            })
        });
        synced.await
    }

    /// Lets `look` read what was written so far, off the async threads. To be called after [`Writer::flush`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn examine<T: Send + 'static>(
        &mut self,
        look: impl FnOnce(&std::fs::File) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let part = self.part.clone();
        // Opened anew: the writing handle cannot read.
        blocking(move || Ok(look(&std::fs::File::open(part)?)))
            .await
            .map_err(|why| Error::io("read back a blob", why))
    }

    /// Makes the blob visible under its key, for good.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub async fn finish(self) -> Result<(), Error> {
        let Self { part, whole, .. } = self;
        let renamed = move || {
            std::fs::rename(&part, &whole)?;
            whole.parent().map_or(Ok(()), sync_folder)
        };
        blocking(renamed)
            .await
            .map_err(|why| Error::io("rename a blob", why))
    }

    async fn write_buffer(&mut self) -> Result<(), Error> {
        let bytes = self.buffer.split().freeze();
        self.with_state(move |state| {
            state.md5.update(&bytes);
            if let Some(sha512) = &mut state.sha512 {
                sha512.update(&bytes);
            }
            state.size += bytes.len() as u64;
            state.file.write_all(&bytes)
        })
        .await
    }

    async fn with_state<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&mut State) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let failed = |why| Error::io("write a blob", why);
        let gone = || std::io::Error::other("an earlier write failed");
        let mut state = self.state.take().ok_or_else(gone).map_err(failed)?;
        let (state, outcome) = blocking(move || {
            let outcome = call(&mut state);
            Ok((state, outcome))
        })
        .await
        .map_err(failed)?;
        let value = outcome.map_err(failed)?;
        self.state = Some(state);
        Ok(value)
    }
}
