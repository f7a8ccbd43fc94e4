//! How passwords are stored: as hashes that are slow on purpose, so it happens on threads of its own, a few at a time.
//!
//! Invariants: a password that was wrong is never cached; what was right is known for at most a minute and only by a
//! keyed digest that includes the stored hash, so that a changed password is wrong at once.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use hmac::{Hmac, Mac};
use moka::sync::Cache;
use rand::Rng;
use sha2::Sha256;
use tokio::sync::Semaphore;

/// So many log-ins may wait for a thread; more are told to come again.
const WAITING: usize = 1000;
/// About 100 bytes each.
const CACHED: u64 = 10_000;

/// What is checked when there is no such user or no password, so that it takes as long as a wrong one.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| hash(b"nobody has this password").unwrap_or_default());

/// Why a password was not hashed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum HashError {
    #[error("too many log-ins wait for their password check")]
    Busy,
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    threads: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    key: [u8; 32],
    right: Option<Cache<[u8; 32], ()>>,
}

impl Passwords {
    pub(crate) fn new(cache_secs: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let mut key = [0; 32];
        rand::rng().fill(&mut key);
        let cache = || {
            Cache::builder()
                .max_capacity(CACHED)
                .time_to_live(Duration::from_secs(u64::from(cache_secs.min(60))))
                .build()
        };
        Self {
            threads: Arc::new(Semaphore::new(cores)),
            queue: Arc::new(Semaphore::new(WAITING)),
            key,
            right: (cache_secs > 0).then(cache),
        }
    }

    /// The hash of a new password.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, HashError> {
        let password = password.to_owned();
        self.run(move || hash(password.as_bytes()))
            .await?
            .ok_or(HashError::Failed)
    }

    /// Whether the password has this hash; without a hash it takes as long and is wrong.
    pub(crate) async fn check(
        &self,
        password: &str,
        stored: Option<&str>,
    ) -> Result<bool, HashError> {
        let digest = self.digest(password, stored.unwrap_or_default());
        if stored.is_some()
            && self
                .right
                .as_ref()
                .is_some_and(|right| right.contains_key(&digest))
        {
            return Ok(true);
        }
        let known = stored.is_some();
        let stored = stored.map(str::to_owned);
        let password = password.to_owned();
        let right = self
            .run(move || verify(password.as_bytes(), stored.as_deref().unwrap_or(&NOBODY)))
            .await?
            && known;
        if right && let Some(cache) = &self.right {
            cache.insert(digest, ());
        }
        Ok(right)
    }

    /// A salt makes two hashes of one password differ, so the stored hash stands for the user.
    fn digest(&self, password: &str, stored: &str) -> [u8; 32] {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.key) {
            Ok(mac) => mac,
            // HMAC takes keys of any length.
            Err(_) => return [0; 32],
        };
        for part in [stored, password] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let place = Arc::clone(&self.queue)
            .try_acquire_owned()
            .map_err(|_| HashError::Busy)?;
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        let thread = thread.map_err(|_| HashError::Failed)?;
        // The permits travel with the work: a client that goes away does not free a thread that is still hashing.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((place, thread));
            result
        });
        done.await.map_err(|_| HashError::Failed)
    }
}

fn hash(password: &[u8]) -> Option<String> {
    let hashed = Argon2::default().hash_password(password).ok()?;
    Some(hashed.to_string())
}

fn verify(password: &[u8], stored: &str) -> bool {
    if stored.starts_with("$2") {
        // Keystone writes bcrypt: it hashes at most 72 bytes, the rest was cut before.
        let cut = password.get(..72).unwrap_or(password);
        return bcrypt::verify(cut, stored).unwrap_or(false);
    }
    PasswordHash::new(stored)
        .is_ok_and(|stored| Argon2::default().verify_password(password, &stored).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_only_for_its_own_hash() {
        let passwords = Passwords::new(60);
        let hash = passwords.hash("secret").await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        for _cold_then_cached in 0..2 {
            assert!(passwords.check("secret", Some(&hash)).await.unwrap());
            assert!(!passwords.check("Secret", Some(&hash)).await.unwrap());
        }
        let other = passwords.hash("secret").await.unwrap();
        assert_ne!(hash, other);
        assert!(!passwords.check("secret", None).await.unwrap());
        assert!(
            !passwords
                .check("nobody has this password", None)
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn bcrypt_hashes_of_a_keystone_are_taken() {
        let passwords = Passwords::new(0);
        let hash = bcrypt::hash("secret", 4).unwrap();
        assert!(passwords.check("secret", Some(&hash)).await.unwrap());
        assert!(!passwords.check("wrong", Some(&hash)).await.unwrap());
        assert!(!passwords.check("secret", Some("not a hash")).await.unwrap());
    }
}
