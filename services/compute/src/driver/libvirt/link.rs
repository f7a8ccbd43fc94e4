//! The one connection to libvirtd: opened when needed, replaced when it died, with a pause after each failure.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nephos_runtime::Clock;
use tracing::{info, warn};
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::ErrorNumber;

use super::events;
use crate::driver::{Changes, DriverError};

/// libvirtd answers a probe every so many seconds, or is taken for dead after the third that it does not.
const KEEP_ALIVE_SECS: i32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A connection that heals itself. All calls block: use it on a lane.
pub struct Link {
    uri: String,
    clock: Clock,
    changes: Arc<Changes>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Arc<Open>>,
    failures: u32,
    not_before: Duration,
    why: String,
}

/// An open connection and its subscription.
pub struct Open {
    /// libvirt's connection; it may be used by many threads at a time.
    pub connect: Connect,
    subscription: Option<events::Subscription>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.end(&self.connect);
        }
        let _dead_already = self.connect.close();
    }
}

impl Link {
    /// Not connected yet.
    #[must_use]
    pub fn new(uri: &str, clock: Clock, changes: Arc<Changes>) -> Self {
        events::start_loop();
        Self {
            uri: uri.to_owned(),
            clock,
            changes,
            state: Mutex::default(),
        }
    }

    /// Runs `job` with a live connection. If the connection died under it, the error says so.
    ///
    /// # Errors
    /// `Unavailable` when libvirtd does not answer; else what the job answers.
    pub fn with<T>(
        &self,
        what: &str,
        job: impl FnOnce(&Connect) -> Result<T, virt::error::Error>,
    ) -> Result<T, DriverError> {
        let open = self.open()?;
        job(&open.connect).map_err(|error| {
            if open.connect.is_alive().unwrap_or(false) {
                return DriverError::Failed(format!("cannot {what}: {}", error.message()));
            }
            self.lose(&open, &error);
            let uri = &self.uri;
            DriverError::Unavailable(format!("lost libvirt at {uri}: {}", error.message()))
        })
    }

    fn open(&self) -> Result<Arc<Open>, DriverError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &state.open {
            if open.connect.is_alive().unwrap_or(false) {
                return Ok(Arc::clone(open));
            }
            state.open = None;
        }
        if self.clock.monotonic() < state.not_before {
            return Err(DriverError::Unavailable(state.why.clone()));
        }
        match self.connect() {
            Ok(open) => {
                info!(uri = self.uri, "connected to libvirt");
                let open = Arc::new(open);
                *state = State {
                    open: Some(Arc::clone(&open)),
                    ..State::default()
                };
                drop(state);
                self.changes.tell(None); // what happened meanwhile nobody told us
                Ok(open)
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                let pause = Duration::from_millis(250 << state.failures.min(8)).min(LONGEST_PAUSE);
                state.not_before = self.clock.monotonic() + pause;
                state.why = format!(
                    "libvirt at {} does not answer: {}",
                    self.uri,
                    error.message()
                );
                warn!(
                    uri = self.uri,
                    error = error.message(),
                    "cannot connect to libvirt"
                );
                Err(DriverError::Unavailable(state.why.clone()))
            }
        }
    }

    fn connect(&self) -> Result<Open, virt::error::Error> {
        let connect = Connect::open(Some(&self.uri))?;
        // Not every driver can (`test:///default`): then nothing but a failing call tells that it is dead.
        if let Err(error) = connect.set_keep_alive(KEEP_ALIVE_SECS, 3) {
            info!(
                error = error.message(),
                "libvirt connection without keep-alive"
            );
        }
        let subscription = events::subscribe(&connect, &self.changes);
        Ok(Open {
            connect,
            subscription,
        })
    }

    fn lose(&self, open: &Arc<Open>, error: &virt::error::Error) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state
            .open
            .as_ref()
            .is_some_and(|now| Arc::ptr_eq(now, open))
        {
            warn!(
                uri = self.uri,
                error = error.message(),
                "lost the connection to libvirt"
            );
            state.open = None;
        }
    }
}

/// The domain of this UUID, if there is one.
///
/// # Errors
/// When libvirt cannot tell.
pub fn find(connect: &Connect, uuid: &str) -> Result<Option<Domain>, virt::error::Error> {
    match Domain::lookup_by_uuid_string(connect, uuid) {
        Ok(domain) => Ok(Some(domain)),
        Err(error) if error.code() == ErrorNumber::NoDomain => Ok(None),
        Err(error) => Err(error),
    }
}

/// `Ok` also when the domain is not in a state for it (already off, already gone): the next look tells.
///
/// # Errors
/// Every other failure.
pub fn unless_late<T>(done: Result<T, virt::error::Error>) -> Result<(), virt::error::Error> {
    match done {
        Ok(_) => Ok(()),
        Err(error)
            if matches!(
                error.code(),
                ErrorNumber::OperationInvalid | ErrorNumber::NoDomain
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}
