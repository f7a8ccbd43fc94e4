//! The technology behind a border: one haproxy per load balancer, or a simulation of them. Every call can be repeated.

pub mod fake;
pub mod haproxy;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;

use crate::model::spec::{ListenerSeen, LoadBalancerSpec, MemberHealth};

/// The answer of a driver.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, DriverError>>;

/// The load balancers of a host.
pub trait Driver: Send + Sync {
    /// The version of what they run on.
    ///
    /// # Errors
    /// Why none can run here.
    fn version(&self) -> Answer<'_, String>;

    /// Those of which something is here, by id.
    fn list(&self) -> Answer<'_, BTreeSet<String>>;

    /// Makes one be as it is wanted by the document of this generation. Connections that are open stay so, unless it is
    /// switched off.
    fn ensure<'a>(&'a self, spec: &'a LoadBalancerSpec, generation: i64) -> Answer<'a, ()>;

    /// The generation of the document that one was made by last; none: there is none here.
    fn generation<'a>(&'a self, id: &'a str) -> Answer<'a, Option<i64>>;

    /// How one is.
    fn look<'a>(&'a self, id: &'a str) -> Answer<'a, Seen>;

    /// Removes one with all that is left of it.
    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;
}

/// How a load balancer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether something answers for it.
    pub running: bool,
    /// Its listeners, by id.
    pub listeners: BTreeMap<String, ListenerSeen>,
    /// Its members, by [`member_key`](crate::model::spec::member_key).
    pub members: BTreeMap<String, MemberHealth>,
}

/// Why a load balancer is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// What it needs is not there yet.
    #[error("{0}")]
    Waiting(String),
    /// It cannot be.
    #[error("{0}")]
    Refused(String),
    /// An attempt failed.
    #[error("cannot {attempt}: {cause}")]
    Failed {
        /// What was tried, on what.
        attempt: String,
        /// What came of it.
        cause: String,
    },
}

impl DriverError {
    /// A failed attempt.
    pub fn failed(attempt: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Failed {
            attempt: attempt.into(),
            cause: cause.to_string(),
        }
    }
}
