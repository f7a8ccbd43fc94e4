//! The key ring on disk: one file per key, and their order says what each is for.
//!
//! Files are named `000001.pem`, `000002.pem`, … The newest key is *staged* (published, so that every service knows it
//! before it signs), the one before it is *primary* (signs), all older ones only check. Rotation is the creation of one
//! file, so a crash leaves either the old order or the new one.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nephos_runtime::Clock;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::token::Issuer;

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

/// The signing keys of a cloud, in one directory that only its owner can read.
#[derive(Debug)]
pub struct KeyRing {
    dir: PathBuf,
    clock: Clock,
}

impl KeyRing {
    /// Opens the directory; makes it and the first two keys where they are missing.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(dir: &Path, clock: Clock) -> Result<Self, KeyError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|cause| disk("create", dir, cause))?;
        let ring = Self {
            dir: dir.to_owned(),
            clock,
        };
        while ring.numbers()?.len() < 2 {
            ring.add()?;
        }
        Ok(ring)
    }

    /// The issuer of new tokens, with the primary key.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn issuer(&self) -> Result<Issuer, KeyError> {
        let primary = self.numbers()?.into_iter().rev().nth(1);
        self.read(primary.ok_or(KeyError::Form("there is no primary key"))?)
    }

    /// Every key's public half, staged and old ones included.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn public_keys(&self) -> Result<Vec<PublicKey>, KeyError> {
        let numbers = self.numbers()?;
        numbers
            .into_iter()
            .map(|number| Ok(self.read(number)?.public().clone()))
            .collect()
    }

    /// Makes the staged key primary and stages a new one; removes keys whose last token expired, tokens living `lifetime`.
    ///
    /// # Errors
    /// When the disk says no; the ring is usable in any case.
    pub fn rotate(&mut self, lifetime: Duration) -> Result<(), KeyError> {
        self.add()?;
        let numbers = self.numbers()?;
        // A key signed its last token when the key two places after it was created.
        for (&old, &successor) in numbers.iter().zip(numbers.iter().skip(2)) {
            let path = self.path(successor);
            let modified = fs::metadata(&path)
                .and_then(|data| data.modified())
                .map_err(|cause| disk("read the age of", &path, cause))?;
            let retired = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
            if retired + lifetime < self.now() && self.is_old(old, &numbers) {
                let path = self.path(old);
                fs::remove_file(&path).map_err(|cause| disk("remove", &path, cause))?;
            }
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.clock.now().0).unwrap_or_default())
    }

    fn is_old(&self, number: u32, numbers: &[u32]) -> bool {
        numbers.iter().rev().take(2).all(|&live| live != number)
    }

    fn numbers(&self) -> Result<Vec<u32>, KeyError> {
        let failed = |cause| disk("list", &self.dir, cause);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let number: Option<u32> = name
                .to_str()
                .and_then(|name| name.strip_suffix(".pem")?.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{number:06}.pem"))
    }

    fn read(&self, number: u32) -> Result<Issuer, KeyError> {
        let path = self.path(number);
        let pem = fs::read_to_string(&path).map_err(|cause| disk("read", &path, cause))?;
        Issuer::new(&pem)
    }

    /// Writes a new key under the next number: whole or not at all.
    fn add(&self) -> Result<(), KeyError> {
        let next = self.numbers()?.last().map_or(1, |last| last + 1);
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .and_then(|key| key.to_pkcs8v1())
            .map_err(|_| KeyError::Random)?;
        let draft = self.dir.join("draft");
        let path = self.path(next);
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)
            .and_then(|mut file| {
                file.write_all(pem(key.as_ref()).as_bytes())?;
                // Ages are compared with our clock, so they are written by it.
                file.set_modified(UNIX_EPOCH + self.now())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&draft, &path))
            .and_then(|()| fs::File::open(&self.dir)?.sync_all());
        written.map_err(|cause| disk("write", &path, cause))
    }
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
    use std::os::unix::fs::PermissionsExt as _;

    use nephos_types::Timestamp;

    use super::*;

    #[test]
    fn a_ring_is_made_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let open = || {
            KeyRing::open(&path, Clock::system())
                .unwrap()
                .public_keys()
                .unwrap()
        };
        let first = open();
        assert_eq!(first.len(), 2);
        assert_eq!(open(), first);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("000001.pem")), 0o600);
        assert_eq!(mode(&path.join("000002.pem")), 0o600);
    }

    #[test]
    fn a_half_made_ring_is_completed() {
        let dir = tempfile::tempdir().unwrap();
        KeyRing::open(dir.path(), Clock::system()).unwrap();
        fs::remove_file(dir.path().join("000002.pem")).unwrap();
        fs::write(dir.path().join("draft"), "half").unwrap();
        let ring = KeyRing::open(dir.path(), Clock::system()).unwrap();
        assert_eq!(ring.public_keys().unwrap().len(), 2);
        ring.issuer().unwrap();
    }

    #[test]
    fn rotation_drops_a_key_only_after_its_last_token_expired() {
        let dir = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(86_400);
        let clock = Clock::virtual_at(Timestamp(1_800_000_000_000_000));
        let mut ring = KeyRing::open(dir.path(), clock.clone()).unwrap();
        let first = ring.issuer().unwrap().public().clone();
        ring.rotate(day).unwrap();
        ring.rotate(day).unwrap();
        assert!(ring.public_keys().unwrap().contains(&first));
        clock.advance(day * 2);
        ring.rotate(day).unwrap();
        assert!(!ring.public_keys().unwrap().contains(&first));
        assert!(ring.public_keys().unwrap().len() >= 2);
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        assert!(Issuer::new("hello").is_err());
        assert!(Issuer::new(&pem(b"not a key")).is_err());
    }
}
