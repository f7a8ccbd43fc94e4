//! Secrets at rest: what a database keeps and only whoever has the key may read.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Closes and opens texts with one key: AES-256-GCM, a random nonce each.
pub struct Seal(RandomizedNonceKey);

/// Why something cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Sealed with another key, or damaged.
    #[error("it was sealed with another key, or is damaged")]
    Closed,
    /// The crypto library refused.
    #[error("it cannot be sealed")]
    Failed,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// The key follows from `secret`, which is random and at least 16 bytes long: it is hashed, not stretched.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn new(secret: &str) -> Result<Self, SealError> {
        let mut hash = Sha256::new();
        hash.update(b"nephos seal 1\0");
        hash.update(secret.as_bytes());
        let key = RandomizedNonceKey::new(&AES_256_GCM, &hash.finalize());
        Ok(Self(key.map_err(|_| SealError::Failed)?))
    }

    /// The sealed form of `text`, which is for `name` only.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn close(&self, name: &str, text: &str) -> Result<String, SealError> {
        let mut bytes = text.as_bytes().to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut bytes)
            .map_err(|_| SealError::Failed)?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut bytes);
        Ok(STANDARD.encode(whole))
    }

    /// The text that was sealed for `name`.
    ///
    /// # Errors
    /// When it was sealed with another key or for another name.
    pub fn open(&self, name: &str, sealed: &str) -> Result<String, SealError> {
        let whole = STANDARD.decode(sealed).map_err(|_| SealError::Closed)?;
        let (nonce, bytes) = whole.split_at_checked(NONCE_LEN).ok_or(SealError::Closed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Closed)?;
        let mut bytes = bytes.to_vec();
        let plain = self
            .0
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut bytes)
            .map_err(|_| SealError::Closed)?;
        String::from_utf8(plain.to_vec()).map_err(|_| SealError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_and_name_open_it() {
        let seal = Seal::new("0123456789abcdef").unwrap();
        let sealed = seal.close("a", "hello").unwrap();
        assert!(!sealed.contains("hello"));
        assert_ne!(sealed, seal.close("a", "hello").unwrap());
        assert_eq!(seal.open("a", &sealed).unwrap(), "hello");
        assert_eq!(seal.open("b", &sealed), Err(SealError::Closed));
        let other = Seal::new("0123456789abcdeg").unwrap();
        assert_eq!(other.open("a", &sealed), Err(SealError::Closed));
        assert_eq!(seal.open("a", "AAAA"), Err(SealError::Closed));
    }
}
