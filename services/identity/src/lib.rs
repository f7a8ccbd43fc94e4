//! Keystone v3: who somebody is, what they may do where, and where the services are.
//!
//! The way through the rooms: `api/` one file per resource, `api/auth.rs` with `login.rs` (who?) and `scope.rs`
//! (with which roles where?); `store/snapshot.rs` keeps roles and catalog in memory,
//! `store/passwords.rs` hashes aside; `ops/bootstrap.rs` makes what a cloud begins with.
//!
//! Invariants: a token says everything a service needs, so nobody asks identity on the way of a request; whatever ends a
//! token before its time is a revocation, written in the transaction of the change and in force in this process when
//! that change is answered; a wrong user and a wrong password take the same way.

mod api;
mod config;
mod model;
mod ops;
mod rules;
mod store;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nephos_api::{Core, Dialect, Endpoints, Service};
use nephos_auth::{Issuer, KeyError, KeyRing, Revocation, RuleInfo, TrustBundle};
use nephos_db::{Migration, Tx, migrations};
use nephos_runtime::{Shutdown, Task, supervise};
use nephos_types::Timestamp;
use tokio::sync::watch;

pub use config::Config;
pub use ops::bootstrap::{Bootstrap, CatalogEntry, ServiceUser};

use store::passwords::Passwords;
use store::snapshot::Snapshot;

/// Keystone v3.
pub struct Identity {
    core: Core,
    config: Config,
    keys: Vec<nephos_auth::PublicKey>,
    issuer: Issuer,
    passwords: Passwords,
    password_pattern: Option<regex::Regex>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    trust: Mutex<TrustBundle>,
    tokens: api::TokenBodies,
}

type Svc = Identity;
type Cx = nephos_api::Cx<Svc>;

/// Why identity does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The signing keys cannot be used.
    #[error("the signing keys cannot be used")]
    Keys(#[from] KeyError),
    /// `password_pattern` is no regular expression.
    #[error("password_pattern is no regular expression")]
    Pattern(#[from] Box<regex::Error>),
    /// The database said no.
    #[error("the identity database cannot be read or written")]
    Database(#[from] nephos_db::Error),
    /// A password of the bootstrap cannot be hashed.
    #[error("a password cannot be hashed")]
    Hash,
}

/// How often other processes' changes are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often revocations of expired tokens are removed.
const TIDY_EVERY: Duration = Duration::from_secs(600);

impl Identity {
    /// Identity with the signing keys of `ring`. Answers as soon as [`Identity::bootstrap`] or [`Identity::load`] was called.
    ///
    /// # Errors
    /// When the keys or the password pattern cannot be used.
    pub fn new(core: Core, ring: &KeyRing, config: Config) -> Result<Self, StartError> {
        let pattern = config.password_pattern.as_deref().map(regex::Regex::new);
        let password_pattern = pattern.transpose().map_err(Box::new)?;
        Ok(Self {
            keys: ring.public_keys()?,
            issuer: ring.issuer()?,
            passwords: Passwords::new(config.password_cache_secs),
            password_pattern,
            snapshot: watch::Sender::new(Arc::new(Snapshot::empty())),
            trust: Mutex::default(),
            tokens: api::TokenBodies::new(),
            core,
            config,
        })
    }

    /// Reads roles, catalog and revocations into memory and tells the verifier.
    ///
    /// # Errors
    /// When the database or a key cannot be read.
    pub async fn load(&self) -> Result<(), StartError> {
        self.snapshot_is(Snapshot::load(&self.core.db).await?);
        self.load_trust().await
    }

    /// Its tasks: looking for what other processes changed, and removing what expired.
    #[must_use]
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        let look = Arc::clone(self);
        let tidy = Arc::clone(self);
        let clock = || self.core.clock.clone();
        vec![
            supervise("identity.look", clock(), shutdown.clone(), move || {
                let identity = Arc::clone(&look);
                async move { identity.look_for_changes().await }
            }),
            supervise("identity.tidy", clock(), shutdown.clone(), move || {
                let identity = Arc::clone(&tidy);
                async move { identity.tidy().await }
            }),
        ]
    }

    /// Keys and revocations, with which other processes check tokens by themselves.
    #[must_use]
    pub fn trust_bundle(&self) -> TrustBundle {
        self.trust
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    async fn load_trust(&self) -> Result<(), StartError> {
        let epoch = store::revocations::revision(&self.core.db, "trust").await?;
        let revoked = store::revocations::list(&self.core.db, self.core.clock.now()).await?;
        let bundle = TrustBundle {
            epoch: u64::try_from(epoch).unwrap_or_default(),
            keys: self.keys.clone(),
            revocations: revoked
                .into_iter()
                .map(|revoked| revoked.revocation)
                .collect(),
        };
        self.trust_is(bundle)?;
        Ok(())
    }

    /// An older bundle never replaces a newer one, here as in the verifier.
    fn trust_is(&self, bundle: TrustBundle) -> Result<(), KeyError> {
        let mut trust = self
            .trust
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if trust.epoch <= bundle.epoch {
            self.core.verifier.update(&bundle)?;
            *trust = bundle;
        }
        Ok(())
    }

    /// Whether the bundle that is known is the one before `epoch`, so that only `added` is new in it.
    fn extend_trust(&self, epoch: u64, added: &[Revocation]) -> Result<bool, KeyError> {
        let mut trust = self
            .trust
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if trust.epoch + 1 != epoch {
            return Ok(trust.epoch >= epoch);
        }
        trust.epoch = epoch;
        trust.revocations.extend_from_slice(added);
        self.core.verifier.update(&trust)?;
        Ok(true)
    }

    async fn look_for_changes(&self) -> Result<(), StartError> {
        loop {
            let db = &self.core.db;
            let revision = store::revocations::revision(db, "snapshot").await?;
            if revision != self.snapshot.borrow().revision {
                self.snapshot_is(Snapshot::load(db).await?);
            }
            let epoch = store::revocations::revision(db, "trust").await?;
            if u64::try_from(epoch).unwrap_or_default() != self.epoch() {
                self.load_trust().await?;
            }
            self.core.clock.sleep(LOOK_EVERY).await;
        }
    }

    async fn tidy(&self) -> Result<(), StartError> {
        loop {
            let mut tx = self.core.db.write().await?;
            store::revocations::remove_expired(&mut tx, self.core.clock.now()).await?;
            store::revocations::bump(&mut tx, "trust").await?;
            tx.commit().await?;
            self.load_trust().await?;
            self.core.clock.sleep(TIDY_EVERY).await;
        }
    }

    fn epoch(&self) -> u64 {
        self.trust
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .epoch
    }

    /// Two changes at once may be read in any order: the newer one stays.
    fn snapshot_is(&self, newer: Snapshot) {
        self.snapshot.send_if_modified(|current| {
            let newest = current.revision <= newer.revision;
            if newest {
                *current = Arc::new(newer);
            }
            newest
        });
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// Commits a change of roles or catalog and sees it in this process at once.
    async fn commit_snapshot(&self, mut tx: Tx) -> Result<(), nephos_db::Error> {
        store::revocations::bump(&mut tx, "snapshot").await?;
        tx.commit().await?;
        self.snapshot_is(Snapshot::load(&self.core.db).await?);
        Ok(())
    }

    /// Commits a change that ends tokens, and ends them in this process at once.
    async fn commit_revoking(
        &self,
        mut tx: Tx,
        revocations: Vec<Revocation>,
    ) -> Result<(), StartError> {
        if revocations.is_empty() {
            return Ok(tx.commit().await?);
        }
        let now = self.core.clock.now();
        let until = now.plus_secs(i64::from(self.config.token_lifetime_secs));
        for revocation in &revocations {
            store::revocations::insert(&mut tx, revocation, (now, until)).await?;
        }
        let epoch = store::revocations::bump(&mut tx, "trust").await?;
        tx.commit().await?;
        let epoch = u64::try_from(epoch).unwrap_or_default();
        if !self.extend_trust(epoch, &revocations)? {
            self.load_trust().await?;
        }
        Ok(())
    }

    /// A revocation of everything issued until now; the caller narrows it.
    fn revocation(&self) -> Revocation {
        let Timestamp(issued_before) = self.core.clock.now();
        Revocation {
            issued_before,
            ..Revocation::default()
        }
    }
}

impl Service for Identity {
    const NAME: &'static str = "identity";
    const DIALECT: &'static Dialect = &api::DIALECT;
    const PROJECTS_ONLY: bool = false;

    fn core(&self) -> &Core {
        &self.core
    }
    fn endpoints() -> Endpoints<Self> {
        api::endpoints()
    }
    fn rules() -> &'static [RuleInfo] {
        rules::ALL
    }
    fn migrations() -> Vec<Migration> {
        migrations!("0001_identity")
    }
}
