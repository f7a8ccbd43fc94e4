//! Functions of templates are worked out beside the threads that answer requests: what one template may ask for takes
//! seconds, in which those threads would answer nobody, of whatever service.

use tokio::sync::Semaphore;

/// So many templates are worked on at once, in the whole process; others wait for their turn.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Does what only computes elsewhere, when it is its turn.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // Nobody closes it.
    let turn = TURNS.acquire().await.ok();
    let done = tokio::task::spawn_blocking(work).await;
    drop(turn);
    match done {
        Ok(done) => done,
        Err(why) if why.is_panic() => std::panic::resume_unwind(why.into_panic()),
        // The process ends.
        Err(_cancelled) => std::future::pending().await,
    }
}
