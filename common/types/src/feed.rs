//! What travels between a service and its agents on hosts: wanted state down, seen state up.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{RequestId, Timestamp};

/// One page of a host's feed: everything that changed after the revision the agent named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPage {
    /// The host's revision that this page brings the agent to.
    pub revision: i64,
    /// Whether `items` is everything wanted on the host, not only what changed.
    pub complete: bool,
    /// The things wanted, or gone.
    pub items: Vec<FeedItem>,
}

/// One wanted thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedItem {
    /// What it is: `server`, `network`, `port`, …
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Version of this one thing; grows with every change.
    pub generation: i64,
    /// What it should be like; absent when it should be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Value>,
    /// The request on whose behalf it was last changed, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// What an agent saw of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// As in the feed.
    pub kind: String,
    /// As in the feed.
    pub id: String,
    /// The generation that the host has carried out, or that failed.
    pub generation_seen: i64,
    /// A word of the thing's own vocabulary: `running`, `up`, `gone`, `failed`.
    pub state: String,
    /// More, as the kind has it; for `failed` the reason.
    #[serde(default)]
    pub detail: Value,
    /// When it was seen, by the host's clock.
    pub at: Timestamp,
}
