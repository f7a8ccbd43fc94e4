//! Lanes: plain OS threads for calls that block. Calls for one server always take the same lane, so they happen in
//! order; a lane whose call overruns its deadline is abandoned and replaced, because a blocked thread cannot be ended.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nephos_runtime::Clock;
use tokio::sync::oneshot;
use tracing::{error, warn};

use crate::driver::DriverError;

/// A lane holds so many waiting calls; more are refused.
const QUEUE: usize = 256;
/// With so many threads hanging only a new process helps.
const WORN_OUT: u32 = 3;

type Job = Box<dyn FnOnce() + Send>;

/// The lanes of a driver.
pub struct Lanes {
    lanes: Mutex<Vec<Lane>>,
    hanging: Arc<AtomicU32>,
    clock: Clock,
}

struct Lane {
    jobs: SyncSender<Job>,
    born: u64,
}

impl Lanes {
    /// `count` threads, started as they are first needed again after a failure to start one.
    #[must_use]
    pub fn new(count: usize, clock: Clock) -> Self {
        let hanging = Arc::new(AtomicU32::new(0));
        let lanes = (0..count.max(1))
            .map(|_| Lane::start(0, &hanging))
            .collect();
        Self {
            lanes: Mutex::new(lanes),
            hanging,
            clock,
        }
    }

    /// Runs `job` on the lane of `key`, for at most `deadline`, the time in the queue included.
    ///
    /// # Errors
    /// What the job answers; `Unavailable` when the lane is full or overran.
    pub async fn call<T: Send + 'static>(
        &self,
        key: &str,
        what: &'static str,
        deadline: Duration,
        job: impl FnOnce() -> Result<T, DriverError> + Send + 'static,
    ) -> Result<T, DriverError> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move || {
            let _caller_gone = tell.send(job());
        });
        let (index, born) = self.enqueue(key, job)?;
        match self.clock.timeout(deadline, told).await {
            Some(Ok(answer)) => answer,
            Some(Err(_lane_ended)) => Err(DriverError::Unavailable(format!(
                "cannot {what}: the call was lost"
            ))),
            None => {
                self.abandon(index, born);
                let secs = deadline.as_secs();
                Err(DriverError::Unavailable(format!(
                    "cannot {what}: the hypervisor did not answer in {secs} s"
                )))
            }
        }
    }

    /// Whether too many threads hang.
    #[must_use]
    pub fn is_worn_out(&self) -> bool {
        self.hanging.load(Ordering::Relaxed) >= WORN_OUT
    }

    fn enqueue(&self, key: &str, job: Job) -> Result<(usize, u64), DriverError> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let count = u64::try_from(lanes.len()).unwrap_or(1).max(1);
        let index = usize::try_from(hasher.finish() % count).unwrap_or(0);
        let busy = || DriverError::Unavailable("the hypervisor is busy".to_owned());
        let lane = lanes.get_mut(index).ok_or_else(busy)?;
        match lane.jobs.try_send(job) {
            Ok(()) => Ok((index, lane.born)),
            Err(TrySendError::Full(_)) => Err(busy()),
            Err(TrySendError::Disconnected(job)) => {
                *lane = Lane::start(lane.born.wrapping_add(1), &self.hanging);
                lane.jobs.try_send(job).map_err(|_still_no_thread| busy())?;
                Ok((index, lane.born))
            }
        }
    }

    /// Puts a fresh thread in the place of one that hangs, unless another caller already has.
    fn abandon(&self, index: usize, born: u64) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get_mut(index).filter(|lane| lane.born == born) {
            self.hanging.fetch_add(1, Ordering::Relaxed);
            warn!(
                lane = index,
                "a call to the hypervisor hangs; its lane is replaced"
            );
            *lane = Lane::start(born.wrapping_add(1), &self.hanging);
        }
    }
}

impl Lane {
    fn start(born: u64, hanging: &Arc<AtomicU32>) -> Self {
        let (jobs, queue) = sync_channel::<Job>(QUEUE);
        let hanging = Arc::clone(hanging);
        let thread = std::thread::Builder::new().name("libvirt-lane".to_owned());
        if let Err(cause) = thread.spawn(move || work(&queue, &hanging)) {
            error!(%cause, "cannot start a thread for the hypervisor");
        }
        Self { jobs, born }
    }
}

/// Ends when its sender is gone: at shutdown, or, for an abandoned lane, when the call that hung has come back.
fn work(queue: &Receiver<Job>, hanging: &AtomicU32) {
    while let Ok(job) = queue.recv() {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
            error!("a call to the hypervisor panicked");
        }
    }
    let _floor = hanging.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_of_one_server_keep_their_order() {
        let lanes = Lanes::new(4, Clock::system());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let calls = (0..50).map(|n| {
            let seen = Arc::clone(&seen);
            lanes.call("one", "count", Duration::from_secs(60), move || {
                seen.lock().unwrap().push(n);
                Ok(())
            })
        });
        for done in futures_util::future::join_all(calls).await {
            done.unwrap();
        }
        assert_eq!(*seen.lock().unwrap(), (0..50).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_hanging_call_is_abandoned_and_the_lane_works_on() {
        let lanes = Lanes::new(1, Clock::system());
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let hangs = lanes.call("one", "hang", Duration::from_millis(20), move || {
            let _released = wait.recv();
            Ok(())
        });
        assert!(matches!(hangs.await, Err(DriverError::Unavailable(_))));
        let after = lanes
            .call("one", "go on", Duration::from_secs(60), || Ok(5))
            .await;
        assert_eq!(after, Ok(5));
        assert!(!lanes.is_worn_out());
        assert_eq!(lanes.hanging.load(Ordering::Relaxed), 1);
        drop(release);
        while lanes.hanging.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_panic_costs_one_call() {
        let lanes = Lanes::new(1, Clock::system());
        let lost = lanes.call(
            "one",
            "panic",
            Duration::from_secs(60),
            || -> Result<(), _> { std::panic::resume_unwind(Box::new("on purpose")) },
        );
        assert!(lost.await.is_err());
        assert_eq!(
            lanes
                .call("one", "go on", Duration::from_secs(60), || Ok(1))
                .await,
            Ok(1)
        );
    }
}
