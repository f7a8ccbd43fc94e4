//! Named tasks: a panic is logged with the task's name and counted, never silent.

use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::{Instrument, error, warn};

use crate::{Clock, Shutdown, metrics, request};

/// A running task. Dropping the handle lets it run on.
#[derive(Debug)]
pub struct Task(JoinHandle<()>);

impl Task {
    /// Stops the task at its next await.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Waits for the end of the task, however it ends.
    pub async fn join(self) {
        let _ended_or_aborted = self.0.await;
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// Runs `future` as a task called `name`.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn spawn<F>(name: &'static str, future: F) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    let span = tracing::Span::current();
    let future = on_behalf(future);
    Task(tokio::spawn(async move {
        let inner = tokio::spawn(future.instrument(span));
        let _abort = AbortOnDrop(inner.abort_handle());
        if let Err(end) = inner.await
            && end.is_panic()
        {
            metrics::TASK_PANICS.add(name);
            error!(task = name, "task panicked");
        }
    }))
}

/// Runs `future` to its end even if nobody waits for it any more; whoever waits gets what it gives, or its panic.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub async fn finish<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let span = tracing::Span::current();
    let future = request::within(request::until(), on_behalf(future));
    match tokio::spawn(future.instrument(span)).await {
        Ok(value) => value,
        Err(end) => match end.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that ends cancels it, and then nobody is left to wait.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

/// A task works for the request that its maker works for.
fn on_behalf<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let id = request::current();
    async move {
        match id {
            Some(id) => request::under(id, future).await,
            None => future.await,
        }
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs what `start` makes until shutdown, and again after an error or a panic, waiting 0.1 s to 5 s in between.
pub fn supervise<F, Fut, E>(
    name: &'static str,
    clock: Clock,
    shutdown: Shutdown,
    mut start: F,
) -> Task
where
    F: FnMut() -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    spawn(name, async move {
        let mut pause = Duration::from_millis(100);
        while !shutdown.begun() {
            let began = clock.monotonic();
            let (tell, told) = tokio::sync::oneshot::channel();
            let future = start();
            let run = spawn(name, async move {
                let _nobody_listens = tell.send(future.await);
            });
            let _abort = AbortTask(&run);
            tokio::select! {
                () = shutdown.wait() => return,
                end = told => match end {
                    Ok(Ok(())) => return,
                    Ok(Err(why)) => warn!(task = name, %why, "task failed; it starts again. If that goes on, `nephos doctor` says what the process lacks"),
                    Err(_panicked) => warn!(task = name, "task panicked; it starts again"),
                },
            }
            if clock.monotonic().saturating_sub(began) > Duration::from_secs(60) {
                pause = Duration::from_millis(100);
            }
            tokio::select! {
                () = shutdown.wait() => return,
                () = clock.sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
            }
        }
    })
}

struct AbortTask<'a>(&'a Task);

impl Drop for AbortTask<'_> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
