//! The request on whose behalf something is done: its id goes along wherever the work goes.

use nephos_types::{RequestId, Timestamp};

tokio::task_local! {
    static CURRENT: RequestId;
    static UNTIL: Option<Timestamp>;
}

/// Runs `work` on behalf of `id`: calls of siblings made in it carry the id, tasks that it spawns too.
pub async fn under<F: Future>(id: RequestId, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// Runs `work` for somebody who waits for it until then: nothing is committed in it later, so that who stopped waiting
/// knows how it ended. Calls of siblings made in it say so too; tasks that it spawns are nobody's to wait for.
pub async fn within<F: Future>(until: Option<Timestamp>, work: F) -> F::Output {
    UNTIL.scope(until, work).await
}

/// The request on whose behalf this runs, if any.
#[must_use]
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Until when somebody waits for this, if that is known.
#[must_use]
pub fn until() -> Option<Timestamp> {
    UNTIL.try_with(|until| *until).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_id_goes_along_into_tasks() {
        assert_eq!(current(), None);
        let id = RequestId::from("req-1");
        let seen = under(id.clone(), async {
            let (tell, told) = tokio::sync::oneshot::channel();
            let task = crate::spawn("test", async move {
                let _asked = tell.send(current());
            });
            task.join().await;
            told.await.unwrap()
        });
        assert_eq!(seen.await, Some(id));
    }
}
