//! Keys that sign tokens: P-256, private as PKCS#8 PEM, public as a point.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The public half of a signing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// The key's id in token headers: the start of its hash.
    pub kid: String,
    /// The uncompressed P-256 point, base64url without padding.
    pub point: String,
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a P-256 key in the form that is expected.
    #[error("not a P-256 key: {0}")]
    Form(&'static str),
    /// The disk said no.
    #[error("cannot {attempt} {path}")]
    Disk {
        /// What was tried.
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// The disk's words.
        #[source]
        cause: std::io::Error,
    },
    /// The crypto library could not make a key.
    #[error("cannot make a key")]
    Random,
}

impl PublicKey {
    /// The point as bytes.
    ///
    /// # Errors
    /// When the text is no uncompressed P-256 point.
    pub fn point(&self) -> Result<Vec<u8>, KeyError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(&self.point)
            .map_err(|_| KeyError::Form("the point is not base64url"))?;
        match bytes.as_slice() {
            [4, rest @ ..] if rest.len() == 64 => Ok(bytes),
            _ => Err(KeyError::Form(
                "the point is not 65 bytes that begin with 4",
            )),
        }
    }
}

/// A new private key as PEM.
///
/// # Errors
/// When the crypto library cannot make one.
pub fn generate() -> Result<String, KeyError> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
        .and_then(|key| key.to_pkcs8v1())
        .map_err(|_| KeyError::Random)?;
    Ok(pem(key.as_ref()))
}

/// The private keys of a folder in which earlier versions kept them, `000001.pem` and so on, oldest first. None when
/// there is no such folder.
///
/// # Errors
/// When a file cannot be read.
pub fn read_folder(folder: &Path) -> Result<Vec<String>, KeyError> {
    let failed = |cause| disk("list", folder, cause);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(failed(why)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let number = path.file_stem().and_then(|name| name.to_str());
        let number: Option<u32> = number.and_then(|name| name.parse().ok());
        if path.extension().is_some_and(|end| end == "pem") {
            paths.extend(number.map(|number| (number, path)));
        }
    }
    paths.sort_unstable();
    paths
        .into_iter()
        .map(|(_, path)| fs::read_to_string(&path).map_err(|cause| disk("read", &path, cause)))
        .collect()
}

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("{BEGIN}\n");
    for (at, character) in body.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text + "\n" + END + "\n"
}

/// The bytes of a PKCS#8 PEM.
pub(crate) fn private_der(pem: &str) -> Result<Vec<u8>, KeyError> {
    let body = pem
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once(END))
        .map(|(body, _)| body)
        .ok_or(KeyError::Form("expected a PKCS#8 PEM private key"))?;
    let body: String = body.split_whitespace().collect();
    STANDARD
        .decode(body)
        .map_err(|_| KeyError::Form("the PEM's body is not base64"))
}

/// The public half of a PKCS#8 private key.
pub(crate) fn public_of(der: &[u8]) -> Result<PublicKey, KeyError> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
        .map_err(|_| KeyError::Form("not a P-256 private key"))?;
    let point = pair.public_key().as_ref();
    let kid = URL_SAFE_NO_PAD
        .encode(Sha256::digest(point))
        .chars()
        .take(16)
        .collect();
    Ok(PublicKey {
        kid,
        point: URL_SAFE_NO_PAD.encode(point),
    })
}

fn disk(attempt: &'static str, path: &Path, cause: std::io::Error) -> KeyError {
    KeyError::Disk {
        attempt,
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Issuer;

    #[test]
    fn a_key_is_read_as_it_was_made() {
        let first = generate().unwrap();
        assert_ne!(first, generate().unwrap());
        let issuer = Issuer::new(&first).unwrap();
        assert_eq!(issuer.public().kid.len(), 16);
        issuer.public().point().unwrap();
    }

    #[test]
    fn a_folder_of_keys_is_read_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("keys");
        assert!(read_folder(&missing).unwrap().is_empty());
        for (name, text) in [("000002.pem", "b"), ("000001.pem", "a"), ("draft", "x")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(read_folder(folder.path()).unwrap(), ["a", "b"]);
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        assert!(Issuer::new("hello").is_err());
        assert!(Issuer::new(&pem(b"not a key")).is_err());
    }
}
