//! Answers guests on their taps: one task per tap, which hears questions only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nephos_runtime::{Clock, Task};
use tracing::{debug, warn};

use super::guest::Guest;
use crate::driver::{Driver, Frames};

/// Guests hear of their router this often, asked or not.
const ADVERTISE_EVERY: Duration = Duration::from_secs(120);
/// A guest gets at most this many answers,
const BURST: u32 = 100;
/// within this time.
const BURST_WITHIN: Duration = Duration::from_secs(10);

/// The taps that are answered.
pub struct Answers {
    driver: Arc<dyn Driver>,
    clock: Clock,
    taps: BTreeMap<String, Tap>,
}

struct Tap {
    guest: Arc<Mutex<Guest>>,
    task: Task,
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Answers {
    pub fn new(driver: Arc<dyn Driver>, clock: Clock) -> Self {
        let taps = BTreeMap::new();
        Self {
            driver,
            clock,
            taps,
        }
    }

    /// Answers these guests and no others; a task that ended (its tap was made anew) is begun again.
    pub async fn serve(&mut self, guests: &BTreeMap<String, Guest>) {
        self.taps
            .retain(|tap, served| guests.contains_key(tap) && !served.task.is_finished());
        for (tap, guest) in guests {
            if let Some(served) = self.taps.get(tap) {
                let mut told = served.guest.lock().unwrap_or_else(PoisonError::into_inner);
                if *told != *guest {
                    told.clone_from(guest);
                }
                continue;
            }
            let frames = match self.driver.guest(tap).await {
                Ok(frames) => frames,
                Err(why) => {
                    debug!(tap = %tap, %why, "a guest is not heard yet");
                    continue;
                }
            };
            let guest = Arc::new(Mutex::new(guest.clone()));
            let talk = talk(tap.clone(), frames, Arc::clone(&guest), self.clock.clone());
            let task = nephos_runtime::spawn("network-answers", talk);
            self.taps.insert(tap.clone(), Tap { guest, task });
        }
    }
}

async fn talk(tap: String, frames: Box<dyn Frames>, guest: Arc<Mutex<Guest>>, clock: Clock) {
    let (mut answered, mut since) = (0, clock.monotonic());
    loop {
        let answer = tokio::select! {
            frame = frames.receive() => match frame {
                Ok(frame) => {
                    let guest = guest.lock().unwrap_or_else(PoisonError::into_inner);
                    guest.answer(&frame)
                }
                Err(why) => {
                    debug!(tap = %tap, %why, "a guest is not heard any more");
                    return;
                }
            },
            () = clock.sleep(ADVERTISE_EVERY) => {
                let guest = guest.lock().unwrap_or_else(PoisonError::into_inner);
                guest.advert()
            }
        };
        let now = clock.monotonic();
        if now.saturating_sub(since) > BURST_WITHIN {
            (answered, since) = (0, now);
        }
        let Some(answer) = answer else { continue };
        answered += 1;
        if answered == BURST {
            warn!(tap = %tap, "a guest asks too much");
        }
        if answered < BURST
            && let Err(why) = frames.send(&answer).await
        {
            debug!(tap = %tap, %why, "a guest does not hear");
        }
    }
}
