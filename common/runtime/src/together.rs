//! What many ask for at the same time, done together.

use std::sync::{Arc, Mutex, PoisonError};

use nephos_types::Timestamp;
use tokio::sync::oneshot;

use crate::{Clock, request};

/// Pieces that are done together at most, where nothing else is said.
const AT_ONCE: usize = 64;

/// Pieces of work that wait for the one under way to end, and are then done as one: under load each costs less, and
/// alone it waits for nobody. Cheap to clone; all clones are one.
#[derive(Debug)]
pub struct Together<W, O> {
    waiting: Arc<Mutex<Vec<Waiting<W, O>>>>,
    /// Whoever has it works for those who wait.
    turn: Arc<tokio::sync::Mutex<()>>,
    at_once: usize,
}

/// One piece, and who wants to know what became of it.
#[derive(Debug)]
struct Waiting<W, O> {
    piece: W,
    /// Nothing is done for somebody who waits no longer.
    until: Option<Timestamp>,
    tell: oneshot::Sender<O>,
}

impl<W, O> Clone for Together<W, O> {
    fn clone(&self) -> Self {
        Self {
            waiting: Arc::clone(&self.waiting),
            turn: Arc::clone(&self.turn),
            at_once: self.at_once,
        }
    }
}

impl<W, O> Default for Together<W, O> {
    fn default() -> Self {
        Self::of(AT_ONCE)
    }
}

impl<W, O> Together<W, O> {
    /// Of so many pieces at most.
    #[must_use]
    pub fn of(at_once: usize) -> Self {
        Self {
            waiting: Arc::default(),
            turn: Arc::default(),
            at_once,
        }
    }
}

impl<W: Send + 'static, O: Send + 'static> Together<W, O> {
    /// Has `work` do the piece, with those of whoever else comes meanwhile; it gives an outcome for each, in their order.
    /// None: whoever had it in hand was cut off or gave none, and it may be done or not.
    ///
    /// All of `work` is under the earliest end of those who wait ([`request::until`]), and is carried on with when this
    /// request is given up.
    pub async fn join<F>(&self, clock: &Clock, piece: W, work: impl Fn(Vec<W>) -> F) -> Option<O>
    where
        F: Future<Output = Vec<O>> + Send + 'static,
    {
        let (tell, mut told) = oneshot::channel();
        self.waiting().push(Waiting {
            piece,
            until: request::until(),
            tell,
        });
        loop {
            // Waits for whoever works now; most find then that theirs is done.
            let turn = Arc::clone(&self.turn).lock_owned().await;
            match told.try_recv() {
                Ok(outcome) => return Some(outcome),
                Err(oneshot::error::TryRecvError::Closed) => return None,
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            let now = clock.now();
            let waited_for = self.take().into_iter();
            let waited_for = waited_for.filter(|one| one.until.is_none_or(|until| now <= until));
            let (pieces, tell): (Vec<W>, Vec<_>) = waited_for
                .map(|one| (one.piece, (one.until, one.tell)))
                .unzip();
            if pieces.is_empty() {
                continue;
            }
            // What is done is done for all of them: it ends in time for each, or not at all.
            let until = tell.iter().filter_map(|(until, _)| *until).min();
            let work = Box::pin(request::within(until, work(pieces)));
            // To its end, also when this request is given up: others wait for it.
            crate::finish(async move {
                let outcomes = work.await;
                for ((_, tell), outcome) in tell.into_iter().zip(outcomes) {
                    let _gone = tell.send(outcome);
                }
                drop(turn);
            })
            .await;
        }
    }

    fn take(&self) -> Vec<Waiting<W, O>> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(self.at_once);
        waiting.drain(..count).collect()
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting<W, O>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Send + 'static, O: Send + 'static> Together<W, Option<O>> {
    /// As [`Self::join`], of work that is one transaction: done for all, with an outcome for each, or for none. None: it is
    /// not done, or nobody knows; whoever asked does it alone, because what is wrong with one piece is not the fault of the
    /// others.
    pub async fn join_transaction<F>(
        &self,
        clock: &Clock,
        piece: W,
        work: impl Fn(Vec<W>) -> F,
    ) -> Option<O>
    where
        F: Future<Output = Option<Vec<O>>> + Send + 'static,
    {
        let each = |pieces: Vec<W>| {
            let none = pieces.iter().map(|_| None).collect();
            let work = work(pieces);
            async move {
                match work.await {
                    Some(outcomes) => outcomes.into_iter().map(Some).collect(),
                    None => none,
                }
            }
        };
        self.join(clock, piece, each).await.flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures_util::FutureExt as _;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn what_comes_while_one_is_at_work_is_done_as_one() {
        let clock = Clock::virtual_at(Timestamp(0));
        let together: Together<u32, (u32, usize)> = Together::default();
        let gate = Arc::new(Semaphore::new(0));
        let ask = |piece: u32| {
            let gate = Arc::clone(&gate);
            let work = move |pieces: Vec<u32>| {
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await.unwrap().forget();
                    let count = pieces.len();
                    pieces.into_iter().map(|piece| (piece, count)).collect()
                }
            };
            let (together, clock) = (together.clone(), clock.clone());
            async move { together.join(&clock, piece, work).await }
        };
        let asking = futures_util::future::join_all((0..70).map(ask));
        let opening = async {
            for _turn in 0..3 {
                tokio::task::yield_now().await;
                gate.add_permits(1);
            }
        };
        let (told, ()) = tokio::join!(asking, opening);
        let told: Vec<(u32, usize)> = told.into_iter().map(Option::unwrap).collect();
        let with = |piece: u32| match piece {
            0 => 1,
            1..=64 => 64,
            _left => 5,
        };
        let expected: Vec<(u32, usize)> = (0..70).map(|piece| (piece, with(piece))).collect();
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn whoever_got_no_outcome_is_told_so() {
        let clock = Clock::virtual_at(Timestamp(0));
        let together: Together<u32, u32> = Together::default();
        let none = together.join(&clock, 1, |_| async { Vec::new() }).await;
        assert_eq!(none, None);
    }

    #[tokio::test]
    async fn a_transaction_that_failed_is_done_for_none() {
        let clock = Clock::virtual_at(Timestamp(0));
        let together: Together<u32, Option<u32>> = Together::default();
        let doubled = |pieces: Vec<u32>| async move {
            let double = |piece: u32| (piece != 3).then_some(2 * piece);
            pieces.into_iter().map(double).collect()
        };
        let ask = |piece| together.join_transaction(&clock, piece, doubled);
        assert_eq!(ask(2).await, Some(4));
        // The first is at work alone while the others come.
        let told = futures_util::future::join_all((1..=3).map(ask)).await;
        assert_eq!(told, [Some(2), None, None]);
    }

    #[tokio::test]
    async fn who_is_at_work_may_be_given_up_and_the_others_hear_all_the_same() {
        let clock = Clock::virtual_at(Timestamp(0));
        let together: Together<u32, u32> = Together::default();
        let gate = Arc::new(Semaphore::new(0));
        let work = |pieces: Vec<u32>| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                pieces
            }
        };
        let mut first = Box::pin(together.join(&clock, 1, work));
        let mut second = Box::pin(together.join(&clock, 2, work));
        let mut third = Box::pin(together.join(&clock, 3, work));
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(futures_util::poll!(&mut third).is_pending());
        // One that works, and one that waits.
        drop((first, second));
        gate.add_permits(2);
        assert_eq!(third.await, Some(3));
    }

    #[tokio::test]
    async fn work_that_panics_leaves_nobody_waiting() {
        let clock = Clock::virtual_at(Timestamp(0));
        let together: Together<u32, u32> = Together::default();
        let work = |pieces: Vec<u32>| async move {
            assert!(!pieces.contains(&2), "the panic of this test");
            pieces
        };
        let ask = |piece| AssertUnwindSafe(together.join(&clock, piece, work)).catch_unwind();
        // The first is at work alone while the others come.
        let told = futures_util::future::join_all((1..=3).map(ask)).await;
        let told: Vec<Option<u32>> = told.into_iter().map(Result::unwrap_or_default).collect();
        assert_eq!(told, [Some(1), None, None]);
        assert_eq!(together.join(&clock, 4, work).await, Some(4));
    }

    #[tokio::test]
    async fn nothing_is_done_for_whoever_waits_no_longer() {
        let clock = Clock::virtual_at(Timestamp(10));
        let together: Together<u32, usize> = Together::default();
        let late = together.join(&clock, 1, |pieces| async move { vec![pieces.len()] });
        let late = request::within(Some(Timestamp(9)), late).await;
        assert_eq!(late, None);
    }
}
