//! Wake-ups: messages without content. Losing every one of them costs latency, never state, because everybody also polls.

mod local;

use nephos_runtime::WakeSink;
use nephos_types::Wake;

pub use local::Wakes;

/// Carries wake-ups to whoever subscribed to their topic. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus(local::Local);

impl Bus {
    /// A bus inside this process.
    #[must_use]
    pub fn local() -> Self {
        Self(local::Local::default())
    }

    /// Listens to a topic from now on.
    #[must_use]
    pub fn subscribe(&self, topic: &'static str) -> Wakes {
        self.0.subscribe(topic, None)
    }

    /// Listens to a topic for one id (and for "look at everything"): a thousand hosts that wait for their news are not
    /// woken for one of them.
    #[must_use]
    pub fn subscribe_to(&self, topic: &'static str, id: &str) -> Wakes {
        self.0.subscribe(topic, Some(id.to_owned()))
    }
}

impl WakeSink for Bus {
    fn wake(&self, wake: Wake) {
        self.0.deliver(&wake);
    }
}
