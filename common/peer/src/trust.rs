//! Follows identity's keys and revocations, so that this process checks tokens without asking anybody.
//!
//! One question is always open at identity, which answers it when something is new. The last bundle is kept in a file:
//! a process that starts while identity is away believes what it believed before. A token that names an unknown key asks
//! at once, but not more often than every [`ASK_EVERY`].

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use nephos_auth::{TrustBundle, Verifier};
use nephos_runtime::{Clock, Shutdown, Task, spawn};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{PeerError, Peers, disk};

/// How long identity may hold a question back until there is news, in seconds.
const WAIT_SECS: u64 = 20;
/// After an error identity is asked again after this long, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Unknown keys make nobody ask more often.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// Whoever brings an unknown key waits at most this long for identity.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// Not having heard from identity for this long is worth a word.
const STALE_AFTER: Duration = Duration::from_secs(45);

/// What the trust of a process is made of.
pub struct TrustParts {
    /// The way to identity.
    pub peers: Peers,
    /// What is told.
    pub verifier: Verifier,
    /// The time.
    pub clock: Clock,
    /// Where the last bundle is kept.
    pub file: PathBuf,
}

/// The trust of this process in identity's tokens. Cheap to clone.
#[derive(Clone)]
pub struct Trust(Arc<Shared>);

struct Shared {
    parts: TrustParts,
    /// When identity was heard last, on the monotonic clock.
    heard: watch::Sender<Option<Duration>>,
    /// When an unknown key last made somebody ask.
    asked: Mutex<Option<Duration>>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive()
    }
}

impl Trust {
    /// Begins with the bundle of the last run, if there is one.
    #[must_use]
    pub fn new(parts: TrustParts) -> Self {
        let shared = Arc::new(Shared {
            parts,
            heard: watch::Sender::new(None),
            asked: Mutex::new(None),
        });
        shared.remember();
        let weak: Weak<Shared> = Arc::downgrade(&shared);
        shared.parts.verifier.ask_by(move || {
            let shared = weak.upgrade();
            Box::pin(async move {
                if let Some(shared) = shared {
                    shared.ask_for_key().await;
                }
            })
        });
        Self(shared)
    }

    /// Follows until shutdown.
    #[must_use]
    pub fn follow(&self, shutdown: &Shutdown) -> Task {
        let (shared, shutdown) = (Arc::clone(&self.0), shutdown.clone());
        spawn("peer.trust", async move {
            tokio::select! { () = shutdown.wait() => {} () = shared.follow() => {} }
        })
    }

    /// Until there is a bundle, from identity or from the last run.
    pub async fn ready(&self) {
        let mut heard = self.0.heard.subscribe();
        while self.0.parts.verifier.epoch() == 0 {
            // An error would say that the sender is gone, which is ours.
            let _changed = heard.changed().await;
        }
    }

    /// How long identity has not been heard, when that is longer than it should be; `u64::MAX` when never.
    #[must_use]
    pub fn stale_secs(&self) -> Option<u64> {
        let heard = *self.0.heard.borrow();
        match heard {
            None => Some(u64::MAX),
            Some(at) => {
                let silent = self.0.parts.clock.monotonic().saturating_sub(at);
                (silent > STALE_AFTER).then_some(silent.as_secs())
            }
        }
    }
}

impl Shared {
    async fn follow(&self) {
        let mut pause = PAUSES.0;
        loop {
            // The first question is answered at once, so that a start does not wait.
            let known = self.heard.borrow().is_some();
            match self.fetch(if known { WAIT_SECS } else { 0 }).await {
                Ok(()) => pause = PAUSES.0,
                Err(why) => {
                    warn!(%why, "keys and revocations cannot be fetched; those that are known stay in force. `nephos status` says whether identity answers");
                    self.parts.clock.sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// Asks once; identity may hold the answer back for `wait` seconds.
    async fn fetch(&self, wait: u64) -> Result<(), PeerError> {
        let TrustParts {
            peers, verifier, ..
        } = &self.parts;
        let epoch = verifier.epoch();
        let target = format!("/trust/v1/bundle?epoch={epoch}&wait={wait}");
        let answer = peers.get("identity", target).as_service().send().await?;
        let bundle: TrustBundle = answer.json()?;
        if bundle.epoch > epoch {
            verifier
                .update(&bundle)
                .map_err(|why| PeerError::silent("identity", why))?;
            self.keep(&answer.body);
            info!(
                epoch = bundle.epoch,
                keys = bundle.keys.len(),
                revocations = bundle.revocations.len(),
                "newer keys and revocations"
            );
        }
        self.heard.send_replace(Some(self.parts.clock.monotonic()));
        Ok(())
    }

    async fn ask_for_key(&self) {
        let now = self.parts.clock.monotonic();
        let asks = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let due = asked.is_none_or(|last| now.saturating_sub(last) >= ASK_EVERY);
            if due {
                *asked = Some(now);
            }
            due
        };
        if asks {
            let answered = self.parts.clock.timeout(ASK_WITHIN, self.fetch(0)).await;
            if let Some(Err(why)) = answered {
                warn!(%why, "a token names an unknown key, and identity cannot be asked");
            }
        }
    }

    /// The bundle of the last run. It may lack revocations; identity is asked for them at once.
    fn remember(&self) {
        let Ok(text) = std::fs::read(&self.parts.file) else {
            return;
        };
        let kept = serde_json::from_slice::<TrustBundle>(&text).map_err(|why| why.to_string());
        let taken = kept.and_then(|bundle| {
            self.parts
                .verifier
                .update(&bundle)
                .map_err(|why| why.to_string())
        });
        if let Err(why) = taken {
            warn!(why, file = %self.parts.file.display(), "the kept trust bundle cannot be used");
        }
    }

    fn keep(&self, text: &[u8]) {
        if let Err(why) = disk::replace(&self.parts.file, text) {
            warn!(%why, file = %self.parts.file.display(), "the trust bundle cannot be kept");
        }
    }
}
