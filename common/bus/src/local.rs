//! Delivery inside a process: per listener a bounded set of ids, so that a hundred wakes for one thing are one.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nephos_types::Wake;
use tokio::sync::{Notify, watch};

/// Ids that wait for one listener at most; beyond, they become one "look at everything".
const WAITING_IDS: usize = 4096;

/// The listeners of this process, by topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local {
    topics: Arc<Mutex<Topics>>,
    /// Topics that somebody has listened to, for whoever brings wakes from outside.
    known: Arc<watch::Sender<BTreeSet<&'static str>>>,
}

type Topics = HashMap<&'static str, Vec<Weak<Listener>>>;

#[derive(Debug, Default)]
struct Listener {
    /// Hears of nothing else, if it is of certain things.
    only: Option<HashSet<String>>,
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<String>,
    known: HashSet<String>,
}

/// What one listener hears.
#[derive(Debug)]
pub struct Wakes {
    topic: &'static str,
    listener: Arc<Listener>,
}

impl Local {
    pub(crate) fn subscribe(&self, topic: &'static str, only: Option<HashSet<String>>) -> Wakes {
        let listener = Arc::new(Listener {
            only,
            ..Listener::default()
        });
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let listeners = topics.entry(topic).or_default();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&listener));
        drop(topics);
        self.known.send_if_modified(|known| known.insert(topic));
        Wakes { topic, listener }
    }

    pub(crate) fn deliver(&self, wake: &Wake) {
        self.deliver_named(wake.topic, &wake.id);
    }

    pub(crate) fn deliver_named(&self, topic: &str, id: &str) {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let listeners = topics.get(topic).map(Vec::as_slice).unwrap_or_default();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            listener.push(id);
        }
    }

    /// Topics that somebody here has listened to, as they become more.
    pub(crate) fn topics(&self) -> watch::Receiver<BTreeSet<&'static str>> {
        self.known.subscribe()
    }

    /// Asks every listener to look at everything.
    pub(crate) fn deliver_everything(&self) {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        for listener in topics.values().flatten().filter_map(Weak::upgrade) {
            listener.push("");
        }
    }
}

impl Listener {
    fn push(&self, id: &str) {
        let hears = |only: &HashSet<String>| id.is_empty() || only.contains(id);
        if !self.only.as_ref().is_none_or(hears) {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.order.len() >= WAITING_IDS {
            waiting.order.clear();
            waiting.known.clear();
            waiting.order.push_back(String::new());
        } else if waiting.known.insert(id.to_owned()) {
            waiting.order.push_back(id.to_owned());
        }
        drop(waiting);
        self.more.notify_one();
    }

    fn pop(&self) -> Option<String> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let id = waiting.order.pop_front()?;
        waiting.known.remove(&id);
        Some(id)
    }
}

impl Wakes {
    /// The next wake. An empty id asks to look at everything.
    pub async fn next(&mut self) -> Wake {
        loop {
            if let Some(wake) = self.try_next() {
                return wake;
            }
            self.listener.more.notified().await;
        }
    }

    /// A wake that waits already.
    pub fn try_next(&mut self) -> Option<Wake> {
        self.listener.pop().map(|id| Wake::new(self.topic, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_wakes_for_one_thing_are_one_and_other_topics_hear_nothing() {
        let bus = Local::default();
        let mut wakes = bus.subscribe("a", None);
        let mut others = bus.subscribe("b", None);
        for _ in 0..100 {
            bus.deliver(&Wake::new("a", "1"));
        }
        bus.deliver(&Wake::new("a", "2"));
        assert_eq!(wakes.next().await.id, "1");
        assert_eq!(wakes.next().await.id, "2");
        assert_eq!(wakes.try_next(), None);
        assert_eq!(others.try_next(), None);
    }

    #[tokio::test]
    async fn who_listens_for_certain_things_hears_of_them_and_of_everything() {
        let bus = Local::default();
        let only = ["1", "3"].map(str::to_owned).into();
        let mut wakes = bus.subscribe("a", Some(only));
        bus.deliver(&Wake::new("a", "2"));
        assert_eq!(wakes.try_next(), None);
        bus.deliver(&Wake::new("a", "3"));
        assert_eq!(wakes.next().await.id, "3");
        bus.deliver(&Wake::new("a", "1"));
        bus.deliver(&Wake::new("a", ""));
        assert_eq!(wakes.next().await.id, "1");
        assert_eq!(wakes.next().await.id, "");
    }

    #[tokio::test]
    async fn a_flood_becomes_one_look_at_everything() {
        let bus = Local::default();
        let mut wakes = bus.subscribe("a", None);
        for id in 0..=WAITING_IDS {
            bus.deliver(&Wake::new("a", id.to_string()));
        }
        assert_eq!(wakes.next().await.id, "");
        assert_eq!(wakes.try_next(), None);
    }
}
