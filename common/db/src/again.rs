//! Trying again what another transaction stood in the way of.
//!
//! PostgreSQL lets only such transactions through together as could have run one after the other; the others fail with
//! [`Kind::Conflict`](crate::Kind::Conflict) and nothing of them stands. Whoever did nothing else before runs again.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::engine::Engine;
use crate::{Db, Error, Kind};

/// Tries before the conflict is reported.
const TRIES: u32 = 12;
/// Longest wait for the lane; work that waits for other work must not lock itself up.
const LANE_WITHIN: Duration = Duration::from_millis(250);
/// Longest pause before another try.
const PAUSE_AT_MOST_MS: u64 = 100;

tokio::task_local! {
    static SEEN: Cell<Seen>;
}

/// What happened to the transactions of a piece of work.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    conflict: bool,
    committed: bool,
}

/// Work that was watched.
#[derive(Debug)]
pub struct Watched<T> {
    /// What it gave.
    pub output: T,
    /// One of its transactions lost to another.
    pub conflict: bool,
    /// One of its transactions was committed: done again, that would be done twice.
    pub committed: bool,
}

/// Runs `work` and says what became of its transactions.
pub async fn watched<F: Future>(work: F) -> Watched<F::Output> {
    SEEN.scope(Cell::default(), async {
        let output = work.await;
        let seen = SEEN.with(Cell::get);
        Watched {
            output,
            conflict: seen.conflict,
            committed: seen.committed,
        }
    })
    .await
}

pub(crate) fn note(outcome: Result<(), &Error>) {
    let note = |seen: &Cell<Seen>| {
        let mut now = seen.get();
        match outcome {
            Ok(()) => now.committed = true,
            // A row that was seen and is gone now: what refers to it was in its way.
            Err(why) => now.conflict |= matches!(why.kind(), Kind::Conflict | Kind::ForeignKey),
        }
        seen.set(now);
    };
    // Nobody watches: nobody would try again.
    let _unwatched = SEEN.try_with(note);
}

impl Db {
    /// Runs `work`, and again when it failed because another transaction stood in its way and nothing of it was
    /// committed: up to 12 times, with short pauses of random length, one piece of such work of this process at a time.
    /// `work` must have no effect but its transactions.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn again<T, E, F, Fut>(&self, mut work: F) -> Result<T, E>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut lane = None;
        let mut tries = 0;
        loop {
            let done = watched(work()).await;
            tries += 1;
            let in_the_way = done.output.is_err() && done.conflict && !done.committed;
            if !in_the_way || tries >= TRIES {
                return done.output;
            }
            if lane.is_none() {
                lane = self.lane().await;
            }
            pause(tries).await;
            self.settle().await;
        }
    }

    /// Waits until readers see what stood in the way of a transaction that has just failed: on SQLite a whole group of
    /// transactions becomes visible at once, and each of them sees those before it sooner than readers do.
    pub async fn settle(&self) {
        match &self.engine {
            Engine::Lite { write, .. } => write.settle().await,
            // There nothing is in the way of anybody before readers see it.
            Engine::Pg(_) => {}
        }
    }

    async fn lane(&self) -> Option<OwnedMutexGuard<()>> {
        let lane = std::sync::Arc::clone(&self.lane).lock_owned();
        tokio::time::timeout(LANE_WITHIN, lane).await.ok()
    }
}

/// Real time also under a test's clock: what is in the way is another transaction, and that works in real time.
async fn pause(tries: u32) {
    let most = (2_u64 << tries.min(16)).min(PAUSE_AT_MOST_MS);
    let pause = Duration::from_millis(rand::random_range(0..=most));
    tokio::time::sleep(pause).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use nephos_runtime::{Clock, NoWakes};
    use nephos_types::Timestamp;

    use super::*;
    use crate::DbUrl;

    async fn tries(commit_first: bool, conflicts: u32) -> (u32, bool) {
        let folder = tempfile::tempdir().unwrap();
        let url = DbUrl::sqlite(folder.path().join("x.sqlite"));
        let clock = Clock::virtual_at(Timestamp(0));
        let db = Db::open(&url, clock, Arc::new(NoWakes)).await.unwrap();
        let tries = AtomicU32::new(0);
        let work = || async {
            if tries.fetch_add(1, Ordering::Relaxed) >= conflicts {
                return Ok(());
            }
            if commit_first {
                db.write().await?.commit().await?;
            }
            let lost = Error::new(Kind::Conflict, "another was quicker");
            note(Err(&lost));
            // In other words, as a service reports it.
            Err(Error::new(Kind::Other, "it did not work"))
        };
        let done = db.again(work).await.is_ok();
        (tries.load(Ordering::Relaxed), done)
    }

    #[tokio::test]
    async fn what_another_stood_in_the_way_of_is_done_again_but_not_for_ever() {
        assert_eq!(tries(false, 0).await, (1, true));
        assert_eq!(tries(false, 3).await, (4, true));
        assert_eq!(tries(false, 1000).await, (TRIES, false));
    }

    #[tokio::test]
    async fn what_has_committed_is_not_done_again() {
        assert_eq!(tries(true, 3).await, (1, false));
    }
}
