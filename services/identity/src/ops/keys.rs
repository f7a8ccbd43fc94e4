//! The signing keys: made once, rotated now and then.

use std::path::Path;

use nephos_auth::{Issuer, KeyError};
use nephos_db::{Kind, Tx};
use nephos_types::Wake;
use tracing::info;

use crate::model::key::{self, Key};
use crate::{Identity, StartError, store};

/// What processes that check tokens listen to.
pub(crate) const TRUST: &str = "identity.trust";
/// A key signs for so long, unless an operator rotates sooner.
const ROTATE_EVERY_SECS: i64 = 30 * 24 * 3600;
/// A staged key is known everywhere after this long: polls find it within half of it.
const STAGED_SECS: i64 = 60;

/// Why keys are not rotated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotateError {
    /// The staged key is not known everywhere yet.
    #[error(
        "The staged key is {0} s old; it signs only when every service has had a minute to learn it."
    )]
    TooSoon(i64),
    #[error(transparent)]
    Other(#[from] StartError),
}

impl From<nephos_db::Error> for RotateError {
    fn from(why: nephos_db::Error) -> Self {
        Self::Other(why.into())
    }
}

impl Identity {
    /// Makes the first two keys unless there are keys; those of `folder`, where earlier versions kept them, are taken
    /// over, so that their tokens stay good.
    ///
    /// # Errors
    /// When the database or the folder cannot be used.
    pub(crate) async fn ensure_keys(&self, folder: Option<&Path>) -> Result<(), StartError> {
        if store::signing_keys::list(&self.core.db).await?.len() >= 2 {
            return Ok(());
        }
        let mut texts = match folder {
            Some(folder) => nephos_auth::keys::read_folder(folder)?,
            None => Vec::new(),
        };
        while texts.len() < 2 {
            texts.push(nephos_auth::keys::generate()?);
        }
        match self.add_keys(texts).await {
            // Another process made them at this moment.
            Err(StartError::Database(why)) if is_race(&why) => self.load_trust().await,
            other => other,
        }
    }

    async fn add_keys(&self, texts: Vec<String>) -> Result<(), StartError> {
        let mut tx = self.core.db.write().await?;
        let mut keys = store::signing_keys::list_in(&mut tx).await?;
        for text in texts {
            let key = self.sealed(&text, keys.last())?;
            store::signing_keys::insert(&mut tx, &key).await?;
            keys.push(key);
        }
        self.commit_keys(tx).await
    }

    /// The staged key signs from now on and a new one is staged; keys whose last token has ended go.
    pub(crate) async fn rotate(&self) -> Result<(), RotateError> {
        let now = self.core.clock.now();
        let mut tx = self.core.db.write().await?;
        let mut keys = store::signing_keys::list_in(&mut tx).await?;
        let newest = keys.last();
        let age = newest.map_or(i64::MAX, |key| (now.0 - key.created_at.0) / 1_000_000);
        if age < STAGED_SECS {
            return Err(RotateError::TooSoon(age));
        }
        let text = nephos_auth::keys::generate().map_err(StartError::from)?;
        let key = self.sealed(&text, keys.last())?;
        store::signing_keys::insert(&mut tx, &key).await?;
        keys.push(key);
        let lifetime = i64::from(self.config.token_lifetime_secs);
        for number in key::ended(&keys, now, lifetime) {
            store::signing_keys::remove(&mut tx, number).await?;
        }
        let kid = key::primary(&keys).map(|key| key.kid.clone());
        self.commit_keys(tx).await?;
        info!(kid, "another key signs tokens now");
        Ok(())
    }

    /// Rotates when it is time.
    pub(crate) async fn rotate_when_due(&self) -> Result<(), StartError> {
        let keys = store::signing_keys::list(&self.core.db).await?;
        let due = |key: &Key| key.created_at.plus_secs(ROTATE_EVERY_SECS) <= self.core.clock.now();
        if !keys.last().is_some_and(due) {
            return Ok(());
        }
        match self.rotate().await {
            Ok(()) | Err(RotateError::TooSoon(_)) => Ok(()),
            // Another process did.
            Err(RotateError::Other(StartError::Database(why))) if is_race(&why) => Ok(()),
            Err(RotateError::Other(why)) => Err(why),
        }
    }

    /// The issuer of the key that signs.
    pub(crate) fn issuer_of(&self, keys: &[Key]) -> Result<Option<Issuer>, StartError> {
        let Some(key) = key::primary(keys) else {
            return Ok(None);
        };
        let text = self.seal.open(&key.kid, &key.sealed)?;
        Ok(Some(Issuer::new(&text)?))
    }

    /// A private key as the row after `last`.
    fn sealed(&self, text: &str, last: Option<&Key>) -> Result<Key, StartError> {
        let issuer = Issuer::new(text).map_err(|why: KeyError| StartError::from(why))?;
        let public = issuer.public();
        Ok(Key {
            number: last.map_or(1, |last| last.number + 1),
            kid: public.kid.clone(),
            point: public.point.clone(),
            sealed: self.seal.close(&public.kid, text)?,
            created_at: self.core.clock.now(),
        })
    }

    async fn commit_keys(&self, mut tx: Tx) -> Result<(), StartError> {
        store::revocations::bump(&mut tx, "trust").await?;
        tx.wake(Wake::new(TRUST, ""));
        tx.commit().await?;
        self.load_trust().await
    }
}

/// Of two processes that add a key, the second is refused.
fn is_race(why: &nephos_db::Error) -> bool {
    why.is_unique() || why.kind() == Kind::Conflict
}
