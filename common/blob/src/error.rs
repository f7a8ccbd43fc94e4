//! Why bytes cannot be stored or read.

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
    /// Where the bytes should be does not answer, or not now.
    #[error("cannot {what}: {why}")]
    Unavailable {
        /// What was attempted, and where.
        what: String,
        /// What was seen.
        why: String,
    },
    /// Where the bytes should be refuses, and will until somebody changes something.
    #[error("cannot {what}: {why}; {hint}")]
    Refused {
        /// What was attempted, and where.
        what: String,
        /// What it said.
        why: String,
        /// What helps.
        hint: &'static str,
    },
    /// Its settings cannot be right.
    #[error("`{key}` {why}")]
    Settings {
        /// Which.
        key: &'static str,
        /// What is expected.
        why: &'static str,
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
