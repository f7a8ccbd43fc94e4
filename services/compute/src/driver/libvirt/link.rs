//! The connections to libvirtd: opened when needed, replaced when they died, with a pause after each failure.
//!
//! A connection is used by one thread at a time. libvirt allows more, but up to 10.2 a thread that waits for an answer
//! can be woken by another one in such a way that its stack is used after it was left (CVE-2024-4418), and the process
//! is gone. For the same reason only the connection that listens for events, which no lane uses, is probed: a probe wakes
//! whoever waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nephos_runtime::Clock;
use tracing::{info, warn};
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};

use super::events;
use crate::driver::{Changes, DriverError};

/// libvirtd answers a probe every so many seconds, or is taken for dead after the third that it does not.
const KEEP_ALIVE_SECS: i32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Connections that heal themselves. All calls block: use it on a lane.
pub struct Link {
    uri: String,
    clock: Clock,
    changes: Arc<Changes>,
    listener: Mutex<Option<Listener>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Connections that nobody uses now; never more than there were lanes at work at a time.
    idle: Vec<Open>,
    failures: u32,
    not_before: Duration,
    why: String,
}

/// An open connection.
pub struct Open(Connect);

impl Open {
    /// The connection itself; one thread at a time.
    pub fn connect(&self) -> &Connect {
        &self.0
    }

    fn is_alive(&self) -> bool {
        self.0.is_alive().unwrap_or(false)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _dead_already = self.0.close();
    }
}

/// The connection by which libvirt tells what happens.
struct Listener {
    connect: Open,
    subscription: Option<events::Subscription>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.end(&self.connect.0);
        }
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
            listener: Mutex::default(),
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
        job: impl FnOnce(&Connect) -> Result<T, Error>,
    ) -> Result<T, DriverError> {
        let open = self.open()?;
        let done = job(&open.0);
        match done {
            Ok(done) => {
                self.state().idle.push(open);
                Ok(done)
            }
            Err(error) if open.is_alive() => {
                self.state().idle.push(open);
                Err(DriverError::Failed(format!(
                    "cannot {what}: {}",
                    error.message()
                )))
            }
            Err(error) => {
                let (uri, error) = (&self.uri, error.message());
                warn!(
                    uri,
                    error,
                    "lost a connection to libvirt; another is made. `nephos doctor` on this host says whether libvirtd runs"
                );
                Err(DriverError::Unavailable(format!(
                    "lost libvirt at {uri}: {error}"
                )))
            }
        }
    }

    /// A connection for one purpose, which nobody else uses. What depends on it ends with it.
    ///
    /// # Errors
    /// `Unavailable` when libvirtd does not answer.
    pub fn apart(&self) -> Result<Open, DriverError> {
        let opened = Connect::open(Some(&self.uri));
        opened.map(Open).map_err(|error| {
            let (uri, error) = (&self.uri, error.message());
            DriverError::Unavailable(format!("libvirt at {uri} does not answer: {error}"))
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<Open, DriverError> {
        self.listen();
        let known = {
            let mut state = self.state();
            let known = state.idle.pop();
            // Those of a libvirtd that is gone are gone together.
            if known.as_ref().is_some_and(|open| !open.is_alive()) {
                state.idle.clear();
            }
            known
        };
        if let Some(open) = known.filter(Open::is_alive) {
            return Ok(open);
        }
        {
            let state = self.state();
            if self.clock.monotonic() < state.not_before {
                return Err(DriverError::Unavailable(state.why.clone()));
            }
        }
        let opened = Connect::open(Some(&self.uri)).map(Open);
        let mut state = self.state();
        match opened {
            Ok(open) => {
                (state.failures, state.not_before) = (0, Duration::ZERO);
                Ok(open)
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                let pause = Duration::from_millis(250 << state.failures.min(8)).min(LONGEST_PAUSE);
                state.not_before = self.clock.monotonic() + pause;
                let (uri, error) = (&self.uri, error.message());
                state.why = format!("libvirt at {uri} does not answer: {error}");
                warn!(
                    uri,
                    error,
                    "cannot connect to libvirt; trying again. `nephos doctor` on this host says whether libvirtd runs"
                );
                Err(DriverError::Unavailable(state.why.clone()))
            }
        }
    }

    /// Sees to it that somebody listens. While one thread does, nobody waits for it.
    fn listen(&self) {
        let Ok(mut listener) = self.listener.try_lock() else {
            return;
        };
        if listener
            .as_ref()
            .is_some_and(|there| there.connect.is_alive())
        {
            return;
        }
        if self.clock.monotonic() < self.state().not_before {
            return;
        }
        *listener = None;
        // Where libvirtd does not answer, who wants something of it finds out and says so.
        let Ok(connect) = Connect::open(Some(&self.uri)) else {
            return;
        };
        // Not every driver can (`test:///default`): then nothing but a failing call tells that it is dead.
        if let Err(error) = connect.set_keep_alive(KEEP_ALIVE_SECS, 3) {
            info!(
                error = error.message(),
                "libvirt connection without keep-alive"
            );
        }
        info!(uri = self.uri, "connected to libvirt");
        *listener = Some(Listener {
            subscription: events::subscribe(&connect, &self.changes),
            connect: Open(connect),
        });
        drop(listener);
        self.changes.tell(None); // what happened meanwhile nobody told us
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
