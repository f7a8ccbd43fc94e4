//! Wake-ups: messages without content. Losing every one of them costs latency, never state, because everybody also polls.
//!
//! Listeners of this process always hear at once; with RabbitMQ, those of other processes hear too. A broker that dies,
//! restarts empty or is away for an hour is found again without help; who loses it and who comes back looks at everything once.

mod amqp;
mod local;

use std::time::Duration;

use nephos_runtime::{Clock, WakeSink};
use nephos_types::Wake;

pub use amqp::AddressError;
pub use local::Wakes;

/// While no other process is heard, those who wait for them look by themselves after this long.
const UNHEARD: Duration = Duration::from_secs(1);

/// Carries wake-ups to whoever subscribed to their topic. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus {
    local: local::Local,
    broker: Option<amqp::Broker>,
}

impl Bus {
    /// A bus inside this process.
    #[must_use]
    pub fn local() -> Self {
        Self {
            local: local::Local::default(),
            broker: None,
        }
    }

    /// A bus through the RabbitMQ server at `url`, `amqp://user:password@host/vhost`. It need not be there yet.
    ///
    /// # Errors
    /// When `url` is no such address.
    pub fn amqp(url: &str, clock: Clock) -> Result<Self, AddressError> {
        let local = local::Local::default();
        let broker = amqp::Broker::open(url, clock, local.clone())?;
        Ok(Self {
            local,
            broker: Some(broker),
        })
    }

    /// Whether a process would be let in by the RabbitMQ server at `url`.
    ///
    /// # Errors
    /// Why not, in the broker's words.
    pub async fn reach(url: &str, clock: &Clock) -> Result<(), String> {
        amqp::reach(url, clock).await
    }

    /// Listens to a topic from now on.
    #[must_use]
    pub fn subscribe(&self, topic: &'static str) -> Wakes {
        self.local.subscribe(topic, None)
    }

    /// Listens to a topic for certain ids (and for "look at everything"): a thousand hosts that wait for their news are not
    /// woken for one of them.
    #[must_use]
    pub fn subscribe_to(
        &self,
        topic: &'static str,
        ids: impl IntoIterator<Item = String>,
    ) -> Wakes {
        self.local.subscribe(topic, Some(ids.into_iter().collect()))
    }

    /// How long somebody who listens may wait for a wake before they look by themselves: as long as they would, while other
    /// processes are heard, and else a second.
    #[must_use]
    pub fn may_wait(&self, at_most: Duration) -> Duration {
        match self.is_connected() {
            true => at_most,
            false => at_most.min(UNHEARD),
        }
    }

    /// Whether other processes hear this one now, and it hears them on all that it listened to when it connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.broker.as_ref().is_none_or(amqp::Broker::is_connected)
    }
}

impl WakeSink for Bus {
    fn wake(&self, wake: Wake) {
        self.local.deliver(&wake);
        if let Some(broker) = &self.broker {
            broker.send(wake);
        }
    }
}
