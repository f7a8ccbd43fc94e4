//! A wake-up: it says where to look, never what to do. Losing one costs latency, not state.

/// Asks whoever listens on `topic` to look at `id` again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wake {
    /// Who should look: `compute.ops`, `network.feed`, … Dots separate the service from the listener.
    pub topic: &'static str,
    /// The thing to look at: an operation id, a host name. Empty means "look at everything".
    pub id: String,
}

impl Wake {
    /// A wake for one thing.
    #[must_use]
    pub fn new(topic: &'static str, id: impl Into<String>) -> Self {
        Self {
            topic,
            id: id.into(),
        }
    }
}
