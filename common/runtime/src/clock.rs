//! Time that a test can move. Ours, not tokio's paused one: the database drivers work on threads that tokio does not see,
//! so an auto-advancing clock would run ahead while a statement is still executing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nephos_types::Timestamp;
use tokio::sync::watch;

/// The one source of time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System { started: Instant },
    Virtual(Arc<Virtual>),
}

#[derive(Debug)]
struct Virtual {
    start: Timestamp,
    elapsed: Mutex<Duration>,
    moved: watch::Sender<()>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    pub fn system() -> Self {
        Self(Kind::System {
            started: Instant::now(),
        })
    }

    /// A clock that stands still until [`Clock::advance`].
    #[must_use]
    pub fn virtual_at(start: Timestamp) -> Self {
        let moved = watch::Sender::new(());
        Self(Kind::Virtual(Arc::new(Virtual {
            start,
            elapsed: Mutex::default(),
            moved,
        })))
    }

    /// Wall-clock time, UTC.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System { .. } => {
                let since = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Kind::Virtual(clock) => clock.start.plus(clock.elapsed()),
        }
    }

    /// Time since this clock was made; never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Kind::System { started } => started.elapsed(),
            Kind::Virtual(clock) => clock.elapsed(),
        }
    }

    /// Moves a virtual clock forward and wakes every sleeper whose time has come. Does nothing to the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Kind::Virtual(clock) = &self.0 {
            *clock.elapsed.lock().unwrap_or_else(PoisonError::into_inner) += by;
            clock.moved.send_replace(());
        }
    }

    /// Whether this is a test's clock.
    #[must_use]
    pub const fn is_virtual(&self) -> bool {
        matches!(self.0, Kind::Virtual(_))
    }

    /// Waits until `by` has passed on this clock.
    pub async fn sleep(&self, by: Duration) {
        match &self.0 {
            Kind::System { .. } => tokio::time::sleep(by).await,
            Kind::Virtual(clock) => {
                let until = clock.elapsed() + by;
                let mut moved = clock.moved.subscribe();
                while clock.elapsed() < until {
                    if moved.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// `future`, or `None` when `limit` passes first on this clock.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            done = future => Some(done),
            () = self.sleep(limit) => None,
        }
    }
}

impl Virtual {
    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_only_when_the_virtual_clock_reaches_its_time() {
        let clock = Clock::virtual_at(Timestamp(5));
        let (tell, told) = tokio::sync::oneshot::channel();
        let _sleeper = crate::spawn("sleeper", {
            let clock = clock.clone();
            async move {
                clock.sleep(Duration::from_secs(10)).await;
                let _receiver_lives = tell.send(clock.now());
            }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        let mut told = told;
        assert!(told.try_recv().is_err());
        clock.advance(Duration::from_secs(1));
        assert_eq!(told.await.unwrap(), Timestamp(10_000_005));
    }
}
