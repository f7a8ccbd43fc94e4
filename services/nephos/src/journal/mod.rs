//! What the processes of a cloud remember of what they did, and how it comes together before an operator.
//!
//! `desk` is where a process that listens is asked, and told by those that do not; `forward` tells; `ask` asks every
//! listener; `timeline` and `words` are what an operator reads.

pub mod ask;
pub mod desk;
pub mod forward;
pub mod timeline;
pub mod words;

use std::sync::Arc;

use nephos_ops::Brief;
use nephos_runtime::journal::{Entry, Page};
use serde::{Deserialize, Serialize};

/// Which process answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Another one after each start.
    pub id: String,
    /// Since when it remembers, in microseconds since 1970.
    pub since: i64,
}

/// What a process knows of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Known {
    /// Which process.
    pub process: Process,
    /// What it remembers.
    pub entries: Vec<Arc<Entry>>,
    /// The durable work that the request began at its services.
    pub operations: Vec<Work>,
}

/// Durable work of a service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Work {
    /// `compute`.
    pub service: String,
    /// What became of it.
    #[serde(flatten)]
    pub brief: Brief,
}

/// What is new in a process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct News {
    /// Which process.
    pub process: Process,
    /// What is new.
    #[serde(flatten)]
    pub page: Page,
}

/// What a process tells that does not listen itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notes {
    /// The oldest first.
    pub entries: Vec<Entry>,
}
