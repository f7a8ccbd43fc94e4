//! Requests that wait for what the workers and hosts do.

use std::time::Duration;

use nephos_api::Fault;
use nephos_bus::Wakes;
use nephos_runtime::Clock;

/// Without a wake, it is found this soon.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What `look` finds, looked for at every wake and each second; `None` when it is not there after `limit`.
///
/// The limit is between looks, never within one, and one more look follows it: what came in time is found, however long a
/// look takes.
pub(super) async fn found<T, F>(
    clock: &Clock,
    news: &mut Wakes,
    limit: Duration,
    look: impl Fn() -> F,
) -> Result<Option<T>, Fault>
where
    F: Future<Output = Result<Option<T>, Fault>>,
{
    let until = clock.monotonic() + limit;
    loop {
        let left = until.saturating_sub(clock.monotonic());
        let found = look().await?;
        if found.is_some() || left.is_zero() {
            return Ok(found);
        }
        // Whatever it says, it says: look. And a wake may be lost.
        let _woken_or_not = clock.timeout(left.min(LOOK_AGAIN), news.next()).await;
    }
}
