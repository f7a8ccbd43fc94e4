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

/// Whom a session waits for.
struct Waiting {
    host: String,
    sender: oneshot::Sender<Answer>,
}

/// Who waits, by session.
#[derive(Clone)]
pub(crate) struct Consoles {
    waiting: Arc<Mutex<BTreeMap<String, Waiting>>>,
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

    /// Waits in this session for this host.
    pub fn wait(&self, session: &str, host: &str) -> Waiter {
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting {
            host: host.to_owned(),
            sender,
        };
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session.to_owned(), waiting);
        Waiter {
            consoles: self.clone(),
            session: session.to_owned(),
            answer,
        }
    }

    /// This host has come, or cannot; whether somebody still waited for it. Another host changes nothing.
    pub fn join(&self, session: &str, host: &str, answer: Answer) -> bool {
        let called = self.take_if(session, |waiting| waiting.host == host);
        called.is_some_and(|waiting| waiting.sender.send(answer).is_ok())
    }

    fn take_if(&self, session: &str, wanted: impl FnOnce(&Waiting) -> bool) -> Option<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let called = waiting.get(session).is_some_and(wanted);
        called.then(|| waiting.remove(session)).flatten()
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
        self.consoles.take_if(&self.session, |_own| true);
    }
}
