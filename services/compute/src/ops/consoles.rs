//! Conversations with consoles that wait for their host's end: hosts are not dialled, they come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Conversations at a time in this process.
const AT_MOST: usize = 256;

/// The host's end of a conversation.
#[derive(Debug)]
pub(crate) struct Joined {
    /// What the guest says.
    pub said: nephos_api::Stream,
    /// What the user types.
    pub typed: mpsc::Sender<Bytes>,
}

type Answer = Result<Joined, String>;

/// Who waits, by session.
#[derive(Clone)]
pub(crate) struct Consoles {
    waiting: Arc<Mutex<BTreeMap<String, oneshot::Sender<Answer>>>>,
    room: Arc<Semaphore>,
}

impl Consoles {
    pub fn new() -> Self {
        Self {
            waiting: Arc::default(),
            room: Arc::new(Semaphore::new(AT_MOST)),
        }
    }

    /// Room for one more conversation.
    pub fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Waits for the host of this session.
    pub fn wait(&self, session: &str) -> Waiter {
        let (sender, answer) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session.to_owned(), sender);
        Waiter {
            consoles: self.clone(),
            session: session.to_owned(),
            answer,
        }
    }

    /// The host has come, or cannot; whether somebody still waited.
    pub fn join(&self, session: &str, answer: Answer) -> bool {
        self.take(session)
            .is_some_and(|waiter| waiter.send(answer).is_ok())
    }

    fn take(&self, session: &str) -> Option<oneshot::Sender<Answer>> {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(session)
    }
}

/// Somebody who waits; who gives up is not waited for any more.
pub(crate) struct Waiter {
    consoles: Consoles,
    session: String,
    answer: oneshot::Receiver<Answer>,
}

impl Waiter {
    /// The host's end. May be asked again after a pause.
    pub async fn answer(&mut self) -> Answer {
        let gone = |_| Err("it went away".to_owned());
        (&mut self.answer).await.unwrap_or_else(gone)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.consoles.take(&self.session);
    }
}
