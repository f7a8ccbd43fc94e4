//! What the host tells back: the latest observation of each server, and which of them nobody has been told yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::model::spec::{GuestState, ObservedServer, ServerId};

/// Observations on their way to the control plane. Only the latest of a server matters. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Reports(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    board: Mutex<Board>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Board {
    latest: BTreeMap<ServerId, ObservedServer>,
    untold: BTreeSet<ServerId>,
}

impl Reports {
    /// Notes an observation; it is news unless only its time is new.
    pub fn put(&self, observed: ObservedServer) {
        let mut board = self.board();
        let same = board.latest.get(&observed.server_id).is_some_and(|before| {
            ObservedServer {
                at: observed.at,
                ..before.clone()
            } == observed
        });
        if same {
            // The time at which it was first so stays: whoever is told everything again finds the same.
            return;
        }
        let server = observed.server_id.clone();
        board.latest.insert(server.clone(), observed);
        board.untold.insert(server);
        drop(board);
        self.0.news.notify_one();
    }

    /// Waits until there is news. Dropping the future loses nothing.
    pub async fn news(&self) {
        while self.board().untold.is_empty() {
            self.0.news.notified().await;
        }
    }

    /// Takes at most `limit` pieces of news, to tell them.
    #[must_use]
    pub fn take(&self, limit: usize) -> Vec<ObservedServer> {
        let mut board = self.board();
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some(server) = board.untold.pop_first() else {
                break;
            };
            let Some(observed) = board.latest.get(&server).cloned() else {
                continue;
            };
            if observed.generation_seen == 0 && observed.state == GuestState::Absent {
                board.latest.remove(&server); // neither here nor wanted here: nothing will ever be said of it again
            }
            taken.push(observed);
        }
        taken
    }

    /// Puts back what could not be told.
    pub fn give_back(&self, untold: &[ObservedServer]) {
        let mut board = self.board();
        for observed in untold {
            let server = observed.server_id.clone();
            board
                .latest
                .entry(server.clone())
                .or_insert_with(|| observed.clone());
            board.untold.insert(server);
        }
        drop(board);
        self.0.news.notify_one();
    }

    /// Makes everything news again: somebody new listens.
    pub fn retell_all(&self) {
        let mut board = self.board();
        board.untold = board.latest.keys().cloned().collect();
        drop(board);
        self.0.news.notify_one();
    }

    /// The latest of one server.
    #[must_use]
    pub fn latest(&self, server: &ServerId) -> Option<ObservedServer> {
        self.board().latest.get(server).cloned()
    }

    /// The latest of every server.
    #[must_use]
    pub fn all(&self) -> Vec<ObservedServer> {
        self.board().latest.values().cloned().collect()
    }

    fn board(&self) -> std::sync::MutexGuard<'_, Board> {
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
