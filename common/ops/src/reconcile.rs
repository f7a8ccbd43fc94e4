//! A reconciler: one function from "what is" to "what to do next".

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use nephos_db::Tx;
use nephos_types::Timestamp;

use crate::{OpCx, Operation};

/// Drives one kind of operation.
pub trait Reconcile<S>: Send + Sync + 'static {
    /// The kind: `server.boot`.
    const KIND: &'static str;

    /// Whether a step may be cut off in the middle when something supersedes its operation. A step that asks others for
    /// things may not: what is under way would come to pass behind the back of what superseded it. One that carries
    /// bytes for minutes should.
    const CUT_OFF: bool = false;

    /// Looks at the world and does at most one side effect. Called again until it says [`Next::Done`].
    fn step(
        &self,
        cx: &OpCx<S>,
        op: &Operation,
    ) -> impl Future<Output = Result<Next, StepError>> + Send;

    /// Writes what the failure means for the resource, in the transaction that ends the operation.
    fn failed(
        &self,
        cx: &OpCx<S>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> impl Future<Output = Result<(), nephos_db::Error>> + Send;
}

/// When to call the step again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Again,
    /// After this long, or when nudged.
    After(Duration),
    /// At this time, or when nudged.
    Wait {
        /// The time.
        until: Timestamp,
    },
    /// Never: it is done.
    Done,
    /// Never: it has failed for good.
    Fail(Failure),
}

/// Why an operation failed, in words for whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP-like code that a fault of the resource shows.
    pub code: u16,
    /// What happened and what would help; any user of the resource may read it.
    pub message: String,
    /// More, for operators only.
    pub details: String,
}

impl Failure {
    /// A failure that is ours.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            code: 500,
            message: message.into(),
            details: String::new(),
        }
    }
}

/// Why a step did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It may work later: tried again with growing pauses until the deadline.
    #[error("{0}")]
    Transient(String),
    /// A sibling does not answer: as [`StepError::Transient`], with pauses of 5 s at most.
    #[error("{0}")]
    Away(String),
    /// It will never work.
    #[error("{0}")]
    Permanent(String),
    /// Another worker has the operation now, or it was superseded.
    #[error("the lease is lost")]
    LeaseLost,
    /// There was news during the step, so it is not the last one: it runs again.
    #[error("there is news")]
    News,
    /// The database refused.
    #[error(transparent)]
    Db(#[from] nephos_db::Error),
}

/// The reconcilers of a service by kind.
pub struct Reconcilers<S>(HashMap<&'static str, Arc<dyn Erased<S>>>);

impl<S> Default for Reconcilers<S> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<S: Send + Sync + 'static> Reconcilers<S> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// And this one.
    #[must_use]
    pub fn with<R: Reconcile<S>>(mut self, reconciler: R) -> Self {
        self.0.insert(R::KIND, Arc::new(reconciler));
        self
    }

    pub(crate) fn find(&self, kind: &str) -> Option<(&'static str, Arc<dyn Erased<S>>)> {
        self.0
            .get_key_value(kind)
            .map(|(kind, found)| (*kind, Arc::clone(found)))
    }
}

/// [`Reconcile`] behind a pointer.
pub(crate) trait Erased<S>: Send + Sync {
    fn cut_off(&self) -> bool;

    fn step<'a>(
        &'a self,
        cx: &'a OpCx<S>,
        op: &'a Operation,
    ) -> BoxFuture<'a, Result<Next, StepError>>;

    fn failed<'a>(
        &'a self,
        cx: &'a OpCx<S>,
        op: &'a Operation,
        failure: &'a Failure,
        tx: &'a mut Tx,
    ) -> BoxFuture<'a, Result<(), nephos_db::Error>>;
}

impl<S: Send + Sync + 'static, R: Reconcile<S>> Erased<S> for R {
    fn cut_off(&self) -> bool {
        R::CUT_OFF
    }

    fn step<'a>(
        &'a self,
        cx: &'a OpCx<S>,
        op: &'a Operation,
    ) -> BoxFuture<'a, Result<Next, StepError>> {
        Reconcile::step(self, cx, op).boxed()
    }

    fn failed<'a>(
        &'a self,
        cx: &'a OpCx<S>,
        op: &'a Operation,
        failure: &'a Failure,
        tx: &'a mut Tx,
    ) -> BoxFuture<'a, Result<(), nephos_db::Error>> {
        Reconcile::failed(self, cx, op, failure, tx).boxed()
    }
}
