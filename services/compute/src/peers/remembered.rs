//! What siblings say of things that many ask about at once: asked once for all of them, and remembered for a few seconds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use nephos_peer::PeerError;
use nephos_runtime::Clock;
use nephos_types::Timestamp;

/// Things that are remembered; when there are more, all are forgotten.
const THINGS: usize = 1000;
/// What was said may be as old as this.
const SECS: i64 = 5;

/// What a sibling says of things, by their ids.
pub(super) struct Remembered<T> {
    clock: Clock,
    said: Mutex<HashMap<String, Said<T>>>,
}

/// An answer, or a question under way: who asks meanwhile waits for the same one, and shares its failure too.
type Answer<T> = Shared<BoxFuture<'static, Result<T, PeerError>>>;

struct Said<T> {
    asked_at: Timestamp,
    answer: Answer<T>,
}

impl<T> std::fmt::Debug for Remembered<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}

impl<T: Clone + Send + Sync + 'static> Remembered<T> {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            said: Mutex::default(),
        }
    }

    /// What was said of `id` a moment ago, or what `ask` gives.
    ///
    /// # Errors
    /// Those of `ask`; they are not remembered.
    pub(super) async fn get<F>(&self, id: &str, ask: impl FnOnce() -> F) -> Result<T, PeerError>
    where
        F: Future<Output = Result<T, PeerError>> + Send + 'static,
    {
        let answer = self.young(id).unwrap_or_else(|| self.asked(id, ask()));
        let said = answer.clone().await;
        if said.is_err() {
            self.forget(id, &answer);
        }
        said
    }

    fn young(&self, id: &str) -> Option<Answer<T>> {
        let oldest = self.clock.now().plus_secs(-SECS);
        let said = self.said();
        let young = said.get(id).filter(|said| said.asked_at >= oldest)?;
        Some(young.answer.clone())
    }

    fn asked<F>(&self, id: &str, ask: F) -> Answer<T>
    where
        F: Future<Output = Result<T, PeerError>> + Send + 'static,
    {
        let answer = ask.boxed().shared();
        let mut said = self.said();
        if said.len() >= THINGS {
            said.clear();
        }
        let new = Said {
            asked_at: self.clock.now(),
            answer: answer.clone(),
        };
        said.insert(id.to_owned(), new);
        answer
    }

    /// Whoever asks next asks anew, unless somebody already does.
    fn forget(&self, id: &str, answer: &Answer<T>) {
        let mut said = self.said();
        if said.get(id).is_some_and(|now| now.answer.ptr_eq(answer)) {
            said.remove(id);
        }
    }

    fn said(&self) -> MutexGuard<'_, HashMap<String, Said<T>>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    /// A sibling that counts how often it is asked, and refuses the first question when it is to.
    #[derive(Clone, Default)]
    struct Sibling {
        asked: Arc<AtomicU32>,
        refuses: bool,
    }

    impl Sibling {
        async fn say(self) -> Result<u32, PeerError> {
            tokio::task::yield_now().await;
            match self.asked.fetch_add(1, Ordering::Relaxed) {
                0 if self.refuses => Err(PeerError {
                    service: "network",
                    status: None,
                    kind: String::new(),
                    message: "it is away".to_owned(),
                }),
                before => Ok(before + 1),
            }
        }
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_question_and_later_ones_its_answer() {
        let clock = Clock::virtual_at(Timestamp(0));
        let (remembered, sibling) = (Remembered::new(clock.clone()), Sibling::default());
        let get = |id| remembered.get(id, || sibling.clone().say());
        let (one, two) = tokio::join!(get("a"), get("a"));
        assert_eq!((one.unwrap(), two.unwrap()), (1, 1));
        assert_eq!(get("a").await.unwrap(), 1);
        assert_eq!(
            get("b").await.unwrap(),
            2,
            "of another thing nothing was said"
        );
        clock.advance(Duration::from_secs(6));
        assert_eq!(get("a").await.unwrap(), 3, "that is too old");
    }

    #[tokio::test]
    async fn a_failure_is_shared_by_who_waits_and_not_remembered() {
        let clock = Clock::virtual_at(Timestamp(0));
        let remembered = Remembered::new(clock);
        let sibling = Sibling {
            refuses: true,
            ..Sibling::default()
        };
        let get = || remembered.get("a", || sibling.clone().say());
        let (one, two) = tokio::join!(get(), get());
        assert!(one.is_err() && two.is_err());
        assert_eq!(get().await.unwrap(), 2);
    }
}
