//! What is computed of bytes while they pass.

use md5::{Digest as _, Md5};
use sha2::Sha512;

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

#[derive(Clone, Debug)]
pub(crate) struct Hashes {
    md5: Md5,
    sha512: Option<Sha512>,
    size: u64,
}

impl Hashes {
    pub(crate) fn new() -> Self {
        Self {
            md5: Md5::new(),
            sha512: Some(Sha512::new()),
            size: 0,
        }
    }

    pub(crate) fn md5_only(&mut self) {
        self.sha512 = None;
    }

    /// Takes a while: not for an async thread.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(bytes);
        }
        self.size += bytes.len() as u64;
    }

    pub(crate) fn digests(&self) -> Digests {
        let sha512 = self.sha512.clone();
        Digests {
            size: self.size,
            md5: hex::encode(self.md5.clone().finalize()),
            sha512: sha512.map_or_else(String::new, |hash| hex::encode(hash.finalize())),
        }
    }
}
