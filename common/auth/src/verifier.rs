//! Checking tokens without asking anybody: signature once, then a hash and a look-up.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::sync::Cache;
use nephos_runtime::Clock;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::caller::Caller;
use crate::keys::{KeyError, PublicKey};
use crate::revocation::{Index, Revocation};
use crate::token::{MAX_LENGTH, TokenError};

/// About 2 KiB each, so at most 40 MiB under the load of that many different callers.
const CACHED_TOKENS: u64 = 20_000;

/// What a service must know to check tokens by itself. Identity makes it, everybody else fetches it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustBundle {
    /// Grows with each change; an older bundle never replaces a newer one.
    pub epoch: u64,
    /// Keys that sign, signed or will sign.
    pub keys: Vec<PublicKey>,
    /// Revocations whose tokens have not all expired.
    pub revocations: Vec<Revocation>,
}

/// Checks tokens. Cheap to clone; clones share keys, revocations and cache.
#[derive(Clone)]
pub struct Verifier(Arc<Shared>);

struct Shared {
    clock: Clock,
    trust: ArcSwap<Trust>,
    checked: Cache<[u8; 32], Arc<Checked>>,
    ask: OnceLock<Ask>,
}

/// Asks identity for newer keys; ends when they are there or nothing newer is to be had.
type Ask = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

struct Trust {
    epoch: u64,
    keys: HashMap<String, DecodingKey>,
    revocations: Index,
}

/// A token whose signature was right.
struct Checked {
    caller: Arc<Caller>,
    kid: String,
    /// The newest epoch whose keys and revocations let it live.
    good_at: AtomicU64,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// Believes nothing until the first [`Verifier::update`].
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let trust = Trust {
            epoch: 0,
            keys: HashMap::new(),
            revocations: Index::default(),
        };
        Self(Arc::new(Shared {
            clock,
            trust: ArcSwap::from_pointee(trust),
            checked: Cache::new(CACHED_TOKENS),
            ask: OnceLock::new(),
        }))
    }

    /// The epoch of the trust in force; 0 before the first update.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.trust.load().epoch
    }

    /// Takes over newer keys and revocations; each cached token is judged again when it is next seen.
    ///
    /// # Errors
    /// When a key is no P-256 point; nothing is changed then.
    pub fn update(&self, bundle: &TrustBundle) -> Result<(), KeyError> {
        let keys = bundle
            .keys
            .iter()
            .map(|key| Ok((key.kid.clone(), DecodingKey::from_ec_der(&key.point()?))))
            .collect::<Result<HashMap<_, _>, KeyError>>()?;
        let revocations = Index::new(&bundle.revocations);
        let newer = Arc::new(Trust {
            epoch: bundle.epoch,
            keys,
            revocations,
        });
        self.0.trust.rcu(|current| {
            Arc::clone(if current.epoch <= newer.epoch {
                &newer
            } else {
                current
            })
        });
        Ok(())
    }

    /// Who the token speaks for.
    ///
    /// # Errors
    /// When it is not to be believed.
    pub fn verify(&self, token: &str) -> Result<Arc<Caller>, TokenError> {
        self.verify_late(token, Duration::ZERO)
    }

    /// How newer keys are asked for when a token names one that is not known. The first way that is given stays.
    pub fn ask_by(
        &self,
        ask: impl Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static,
    ) {
        let _first_stays = self.0.ask.set(Box::new(ask));
    }

    /// Who the token speaks for; an unknown key is asked for once.
    ///
    /// # Errors
    /// When it is not to be believed.
    pub async fn verify_or_ask(&self, token: &str) -> Result<Arc<Caller>, TokenError> {
        match (self.verify(token), self.0.ask.get()) {
            (Err(TokenError::UnknownKey), Some(ask)) => {
                ask().await;
                self.verify(token)
            }
            (judged, _) => judged,
        }
    }

    /// The same for a token that expired at most `grace` ago: long operations finish with the token they began with.
    ///
    /// # Errors
    /// When it is not to be believed.
    pub fn verify_late(&self, token: &str, grace: Duration) -> Result<Arc<Caller>, TokenError> {
        if token.len() > MAX_LENGTH {
            return Err(TokenError::Invalid);
        }
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let trust = self.0.trust.load();
        let checked = match self.0.checked.get(&hash) {
            Some(checked) => checked,
            None => {
                let checked = Arc::new(trust.check_signature(token)?);
                self.0.checked.insert(hash, Arc::clone(&checked));
                checked
            }
        };
        if checked.caller.expires_at.plus(grace) <= self.0.clock.now() {
            return Err(TokenError::Expired);
        }
        // An epoch says all: the keys and revocations of one never change.
        if checked.good_at.load(Ordering::Acquire) != trust.epoch {
            if !trust.keys.contains_key(&checked.kid) {
                return Err(TokenError::UnknownKey);
            }
            if trust.revocations.ends(&checked.caller) {
                return Err(TokenError::Revoked);
            }
            checked.good_at.store(trust.epoch, Ordering::Release);
        }
        Ok(Arc::clone(&checked.caller))
    }
}

impl Trust {
    /// The algorithm is ours to say, not the token's: `none`, HMAC with a public key and the like end here.
    fn check_signature(&self, token: &str) -> Result<Checked, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        if header.alg != Algorithm::ES256 {
            return Err(TokenError::Invalid);
        }
        let kid = header.kid.ok_or(TokenError::Invalid)?;
        let key = self.keys.get(&kid).ok_or(TokenError::UnknownKey)?;
        let mut validation = Validation::new(Algorithm::ES256);
        // Expiry is judged by our clock, on each use.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let decoded = jsonwebtoken::decode::<Caller>(token, key, &validation)
            .map_err(|_| TokenError::Invalid)?;
        Ok(Checked {
            caller: Arc::new(decoded.claims),
            kid,
            good_at: AtomicU64::new(NEVER),
        })
    }
}

/// No bundle has this epoch, so a fresh entry is judged before its first use.
const NEVER: u64 = u64::MAX;

#[cfg(test)]
mod tests;
