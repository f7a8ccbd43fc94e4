//! What travels between a service and its agents on hosts: wanted state down, seen state up.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{RequestId, Timestamp};

/// Up to where an agent knows its host's feed. The default, nothing, asks for everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The host's revision.
    #[serde(default)]
    pub since: i64,
    /// The revision of the lists that many hosts read.
    #[serde(default)]
    pub lists: i64,
}

/// One page of a host's feed: everything that changed after the revisions the agent named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPage {
    /// The host's revision that this page brings the agent to.
    pub revision: i64,
    /// The revision of the lists that it brings it to.
    #[serde(default)]
    pub lists: i64,
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
    /// Its id; of an entry of a list, `LIST/NAME`, where LIST is the id of the thing that the list goes with.
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
