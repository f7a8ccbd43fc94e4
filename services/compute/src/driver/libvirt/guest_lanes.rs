//! Calls that wait for a guest, on threads of their own: a guest is its owner's, and answers when it likes. What is slow
//! here holds up nothing but other guests that are asked, and says nothing of the hypervisor.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nephos_runtime::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::driver::DriverError;

/// So many guests are asked at a time. A call that does not come back keeps its thread, so there are never more of these.
const AT_ONCE: usize = 2;
/// So many calls more wait for their turn; others are refused, and may be tried again.
const WAITING: usize = 6;

type Asked = Arc<Mutex<BTreeSet<String>>>;

/// The threads that ask guests.
pub struct GuestLanes {
    lanes: Arc<Semaphore>,
    room: Arc<Semaphore>,
    asked: Asked,
    clock: Clock,
}

/// A guest's place among those that are asked or wait for it; it has one.
struct Turn {
    asked: Asked,
    guest: String,
    _room: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.remove(&self.guest);
    }
}

impl GuestLanes {
    /// No thread yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            lanes: Arc::new(Semaphore::new(AT_ONCE)),
            room: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            asked: Arc::default(),
            clock,
        }
    }

    /// Runs `job`, which asks `guest`. It waits for its turn for at most `deadline`, and has as long again from when it begins.
    ///
    /// # Errors
    /// What the job answers; `Unavailable` when there is no room, no turn comes, the guest is asked already, or it overran.
    pub async fn call<T: Send + 'static>(
        &self,
        guest: &str,
        what: &'static str,
        deadline: Duration,
        job: impl FnOnce() -> Result<T, DriverError> + Send + 'static,
    ) -> Result<T, DriverError> {
        let unavailable = |why: &str| DriverError::Unavailable(format!("cannot {what}: {why}"));
        let turn = self.turn(guest).map_err(unavailable)?;
        let lane = Arc::clone(&self.lanes).acquire_owned();
        let Some(Ok(lane)) = self.clock.timeout(deadline, lane).await else {
            return Err(unavailable("other guests do not answer"));
        };
        let (tell, told) = oneshot::channel();
        let work = move || {
            let done = job();
            drop((lane, turn));
            let _caller_gone = tell.send(done);
        };
        let thread = std::thread::Builder::new().name("libvirt-guest".to_owned());
        if let Err(cause) = thread.spawn(work) {
            return Err(unavailable(&format!("there is no thread for it: {cause}")));
        }
        match self.clock.timeout(deadline, told).await {
            Some(Ok(answer)) => answer,
            Some(Err(_panicked)) => Err(unavailable("the call was lost")),
            None => {
                let secs = deadline.as_secs();
                Err(unavailable(&format!("there was no answer in {secs} s")))
            }
        }
    }

    fn turn(&self, guest: &str) -> Result<Turn, &'static str> {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room = room.map_err(|_none| "too many guests are asked at the moment")?;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if !asked.insert(guest.to_owned()) {
            return Err("the guest is being asked already");
        }
        Ok(Turn {
            asked: Arc::clone(&self.asked),
            guest: guest.to_owned(),
            _room: room,
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A guest that answers when the other end is dropped. The call waits for its turn, or runs.
    fn deaf<'a>(
        lanes: &'a GuestLanes,
        guest: &'a str,
        deadline: Duration,
    ) -> (
        std::sync::mpsc::Sender<()>,
        BoxFuture<'a, Result<(), DriverError>>,
    ) {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let call = lanes.call(guest, "ask", deadline, move || {
            let _released = wait.recv();
            Ok(())
        });
        let mut call = call.boxed();
        assert_eq!((&mut call).now_or_never(), None);
        (release, call)
    }

    #[tokio::test]
    async fn deaf_guests_take_no_more_threads_than_there_are_and_few_wait_for_them() {
        let lanes = GuestLanes::new(Clock::system());
        let guests: Vec<String> = (0..AT_ONCE + WAITING).map(|n| n.to_string()).collect();
        let asked: Vec<_> = guests.iter().map(|id| deaf(&lanes, id, LONG)).collect();
        assert_eq!(lanes.lanes.available_permits(), 0);
        let more = lanes.call("more", "ask", LONG, || Ok(())).await;
        assert!(matches!(more, Err(DriverError::Unavailable(why)) if why.contains("too many")));
        // Once they answer, those that waited have their turn.
        for (release, call) in asked {
            drop(release);
            assert_eq!(call.await, Ok(()));
        }
        assert_eq!(lanes.call("more", "ask", LONG, || Ok(5)).await, Ok(5));
    }

    #[tokio::test]
    async fn a_guest_is_asked_one_thing_at_a_time() {
        let lanes = GuestLanes::new(Clock::system());
        let (release, first) = deaf(&lanes, "one", LONG);
        let second = lanes.call("one", "ask", LONG, || Ok(())).await;
        assert!(matches!(second, Err(DriverError::Unavailable(why)) if why.contains("already")));
        assert_eq!(lanes.call("other", "ask", LONG, || Ok(5)).await, Ok(5));
        drop(release);
        assert_eq!(first.await, Ok(()));
        assert_eq!(lanes.call("one", "ask", LONG, || Ok(6)).await, Ok(6));
    }

    #[tokio::test]
    async fn a_call_that_overran_keeps_its_thread_and_no_other() {
        let lanes = GuestLanes::new(Clock::system());
        let (release, call) = deaf(&lanes, "one", Duration::from_millis(20));
        assert!(matches!(call.await, Err(DriverError::Unavailable(why)) if why.contains("answer")));
        assert_eq!(lanes.lanes.available_permits(), AT_ONCE - 1);
        assert_eq!(lanes.call("other", "ask", LONG, || Ok(5)).await, Ok(5));
        drop(release);
        while lanes.lanes.available_permits() < AT_ONCE {
            tokio::task::yield_now().await;
        }
    }
}
