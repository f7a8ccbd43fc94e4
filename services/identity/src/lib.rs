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

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use nephos_api::{Check, Core, Dialect, Endpoints, Service};
use nephos_auth::{
    Issuer, KeyError, PublicKey, Revocation, RuleInfo, Seal, SealError, TrustBundle,
};
use nephos_bus::{Bus, Wakes};
use nephos_db::{Migration, Tx, migrations};
use nephos_runtime::{Shutdown, Task, supervise};
use nephos_types::{Finding, Timestamp, Wake};
use tokio::sync::watch;

pub use config::Config;
pub use ops::bootstrap::{Bootstrap, CatalogEntry, ServiceUser};

use store::passwords::Passwords;
use store::snapshot::Snapshot;

/// Keystone v3.
pub struct Identity {
    core: Core,
    config: Config,
    bus: Bus,
    /// Opens the private halves of the signing keys.
    seal: Seal,
    issuer: RwLock<Option<Arc<Issuer>>>,
    passwords: Passwords,
    password_pattern: Option<regex::Regex>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    trust: watch::Sender<Arc<TrustBundle>>,
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
    /// They were sealed with another secret.
    #[error(
        "the signing keys cannot be opened: {0}. `signing_secret` in secrets.toml must be the one of the process that made \
         them; copy secrets.toml from there"
    )]
    Sealed(#[from] SealError),
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
    /// Identity over its database. Answers as soon as [`Identity::bootstrap`] or [`Identity::load`] was called.
    ///
    /// # Errors
    /// When the password pattern cannot be used.
    pub fn new(core: Core, bus: Bus, config: Config) -> Result<Self, StartError> {
        let pattern = config.password_pattern.as_deref().map(regex::Regex::new);
        let password_pattern = pattern.transpose().map_err(Box::new)?;
        Ok(Self {
            bus,
            seal: Seal::new(&config.signing_secret)?,
            issuer: RwLock::default(),
            passwords: Passwords::new(config.password_cache_secs),
            password_pattern,
            snapshot: watch::Sender::new(Arc::new(Snapshot::empty())),
            trust: watch::Sender::default(),
            tokens: api::TokenBodies::new(),
            core,
            config,
        })
    }

    /// Reads roles, catalog, keys and revocations into memory and tells the verifier.
    ///
    /// # Errors
    /// When the database or a key cannot be read.
    pub async fn load(&self) -> Result<(), StartError> {
        self.snapshot_is(Snapshot::load(&self.core.db).await?);
        self.load_trust().await
    }

    /// What a process that answers calls needs: it looks for what other processes changed.
    #[must_use]
    pub fn serve(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        let look = Arc::clone(self);
        let clock = self.core.clock.clone();
        vec![supervise(
            "identity.look",
            clock,
            shutdown.clone(),
            move || {
                let identity = Arc::clone(&look);
                async move { identity.look_for_changes().await }
            },
        )]
    }

    /// Its housekeeping: removing what expired, rotating keys.
    #[must_use]
    pub fn start(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        let tidy = Arc::clone(self);
        let clock = self.core.clock.clone();
        vec![supervise(
            "identity.tidy",
            clock,
            shutdown.clone(),
            move || {
                let identity = Arc::clone(&tidy);
                async move { identity.tidy().await }
            },
        )]
    }

    /// Keys and revocations, with which other processes check tokens by themselves.
    #[must_use]
    pub fn trust_bundle(&self) -> Arc<TrustBundle> {
        Arc::clone(&self.trust.borrow())
    }

    /// The bundle after `epoch`, waited for until `wait` is over; then the one that is known.
    async fn trust_after(&self, epoch: u64, wait: Duration) -> Arc<TrustBundle> {
        let mut news = self.trust.subscribe();
        let newer = async {
            // An error would say that this service is gone, which holds the sender.
            let _found = news.wait_for(|bundle| bundle.epoch > epoch).await;
        };
        let _in_time = self.core.clock.timeout(wait, newer).await;
        self.trust_bundle()
    }

    /// Signs with the key in force.
    fn issuer(&self) -> Option<Arc<Issuer>> {
        self.issuer
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn load_trust(&self) -> Result<(), StartError> {
        // The revision first: what comes after it is seen by the next look.
        let epoch = store::revocations::revision(&self.core.db, "trust").await?;
        let keys = store::signing_keys::list(&self.core.db).await?;
        let revoked = store::revocations::list(&self.core.db, self.core.clock.now()).await?;
        let issuer = self.issuer_of(&keys)?;
        let bundle = TrustBundle {
            epoch: u64::try_from(epoch).unwrap_or_default(),
            keys: keys.iter().map(PublicKey::from).collect(),
            revocations: revoked
                .into_iter()
                .map(|revoked| revoked.revocation)
                .collect(),
        };
        if self.trust_is(bundle)? {
            let mut current = self.issuer.write().unwrap_or_else(PoisonError::into_inner);
            *current = issuer.map(Arc::new);
        }
        Ok(())
    }

    /// An older bundle never replaces a newer one, here as in the verifier. Says whether it is in force.
    fn trust_is(&self, bundle: TrustBundle) -> Result<bool, KeyError> {
        let mut outcome = Ok(false);
        self.trust.send_if_modified(|trust| {
            if trust.epoch <= bundle.epoch {
                outcome = self.core.verifier.update(&bundle).map(|()| true);
            }
            let newer = matches!(outcome, Ok(true));
            if newer {
                *trust = Arc::new(bundle);
            }
            newer
        });
        outcome
    }

    /// Whether the bundle that is known is the one before `epoch`, so that only `added` is new in it.
    fn extend_trust(&self, epoch: u64, added: &[Revocation]) -> Result<bool, KeyError> {
        let mut outcome = Ok(false);
        self.trust.send_if_modified(|trust| {
            if trust.epoch + 1 != epoch {
                outcome = Ok(trust.epoch >= epoch);
                return false;
            }
            let mut next = TrustBundle::clone(trust);
            next.epoch = epoch;
            next.revocations.extend_from_slice(added);
            outcome = self.core.verifier.update(&next).map(|()| true);
            *trust = Arc::new(next);
            true
        });
        outcome
    }

    async fn look_for_changes(&self) -> Result<(), StartError> {
        let mut wakes = self.bus.subscribe(ops::keys::TRUST);
        loop {
            let db = &self.core.db;
            let revision = store::revocations::revision(db, "snapshot").await?;
            if revision != self.snapshot.borrow().revision {
                self.snapshot_is(Snapshot::load(db).await?);
            }
            if self.trust_revision().await? != self.epoch() {
                self.load_trust().await?;
            }
            self.pause(&mut wakes).await;
        }
    }

    async fn pause(&self, wakes: &mut Wakes) {
        tokio::select! {
            _word = wakes.next() => {}
            () = self.core.clock.sleep(LOOK_EVERY) => {}
        }
    }

    async fn tidy(&self) -> Result<(), StartError> {
        loop {
            let mut tx = self.core.db.write().await?;
            store::revocations::remove_expired(&mut tx, self.core.clock.now()).await?;
            store::revocations::bump(&mut tx, "trust").await?;
            tx.commit().await?;
            self.rotate_when_due().await?;
            self.load_trust().await?;
            self.core.clock.sleep(TIDY_EVERY).await;
        }
    }

    fn epoch(&self) -> u64 {
        self.trust.borrow().epoch
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
        mut revocations: Vec<Revocation>,
    ) -> Result<(), StartError> {
        if revocations.is_empty() {
            return Ok(tx.commit().await?);
        }
        let now = self.core.clock.now();
        let until = now.plus_secs(i64::from(self.config.token_lifetime_secs));
        let epoch = store::revocations::bump(&mut tx, "trust").await?;
        for revocation in &mut revocations {
            revocation.revision = u64::try_from(epoch).unwrap_or_default();
            store::revocations::insert(&mut tx, revocation, (now, until)).await?;
        }
        tx.wake(Wake::new(ops::keys::TRUST, ""));
        tx.commit().await?;
        let epoch = u64::try_from(epoch).unwrap_or_default();
        if !self.extend_trust(epoch, &revocations)? {
            self.load_trust().await?;
        }
        Ok(())
    }

    /// The revision of trust, which grows with each revocation.
    async fn trust_revision(&self) -> Result<u64, nephos_db::Error> {
        let revision = store::revocations::revision(&self.core.db, "trust").await?;
        Ok(u64::try_from(revision).unwrap_or_default())
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

impl Check for Identity {
    /// What its tables say against each other, and whether its signing keys can be opened.
    async fn check(&self) -> Result<Vec<Finding>, nephos_db::Error> {
        let mut found = store::check::findings(&self.core.db).await?;
        let keys = store::signing_keys::list(&self.core.db).await?;
        match self.issuer_of(&keys) {
            Ok(Some(_)) => {}
            Ok(None) => found.push(Finding::new(
                "there is no key that signs tokens",
                "signing_keys",
                "Run `nephos bootstrap`.",
            )),
            Err(why) => found.push(Finding::new(
                why.to_string(),
                "signing_keys",
                "Restore secrets.toml.",
            )),
        }
        Ok(found)
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
        migrations!(
            "0001_identity",
            "0002_signing_keys",
            "0003_hosts",
            "0004_hanging"
        )
    }
}
