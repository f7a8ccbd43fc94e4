//! A blob on its way into a file: buffered, hashed and written off the async threads.

use std::io::Write as _;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};

use crate::Error;
use crate::file::{blocking, sync_folder};
use crate::hashes::{Digests, Hashes};

/// Bytes gathered before they are written at once.
const BUFFER_BYTES: usize = 1024 * 1024;

/// A blob that is being written. Dropped before [`FileWriter::finish`], it leaves a part file, which
/// [`Folder::remove`](crate::Folder::remove) takes away: as after a crash.
#[derive(Debug)]
pub struct FileWriter {
    state: Option<State>,
    buffer: BytesMut,
    part: PathBuf,
    whole: PathBuf,
}

#[derive(Debug)]
struct State {
    file: std::fs::File,
    hashes: Hashes,
}

impl FileWriter {
    pub(crate) fn new(file: std::fs::File, part: PathBuf, whole: PathBuf) -> Self {
        let state = State {
            file,
            hashes: Hashes::new(),
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
            state.hashes.md5_only();
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
    /// As [`FileWriter::write`].
    pub async fn flush(&mut self) -> Result<Digests, Error> {
        self.write_buffer().await?;
        let synced = self.with_state(|state| {
            state.file.sync_all()?;
            Ok(state.hashes.digests())
        });
        synced.await
    }

    /// Lets `look` read what was written so far, off the async threads. To be called after [`FileWriter::flush`].
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
            state.hashes.update(&bytes);
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
