//! Functions of templates are worked out beside the threads that answer requests: what one template may ask for takes
//! seconds, in which those threads would answer nobody, of whatever service.

use tokio::sync::Semaphore;

/// So many templates are worked on at once, in the whole process; others wait for their turn.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Does what only computes elsewhere, when it is its turn.
pub(crate) async fn offload<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // Nobody closes it.
    let turn = TURNS.acquire().await.ok();
    // Its turn ends with the work, which goes on when whoever asked for it is gone.
    let in_turn = move || {
        let done = work();
        drop(turn);
        done
    };
    match tokio::task::spawn_blocking(in_turn).await {
        Ok(done) => done,
        Err(why) if why.is_panic() => std::panic::resume_unwind(why.into_panic()),
        // The process ends.
        Err(_cancelled) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Barrier};

    use super::*;

    #[tokio::test]
    async fn two_templates_are_worked_on_at_once_and_others_wait() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pair = Arc::new(Barrier::new(2));
        let works = (0..6).map(|at| {
            let (now, most, pair) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&pair));
            offload(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                pair.wait();
                now.fetch_sub(1, Ordering::SeqCst);
                at
            })
        });
        let done = futures_util::future::join_all(works).await;
        assert_eq!(done, [0, 1, 2, 3, 4, 5]);
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }
}
