//! Durable operations, the reconcilers that drive them, leases and host feeds.
//!
//! A request writes what is wanted and an [`Operation`] in one transaction. A [`Worker`] leases the operation and calls
//! its [`Reconcile::step`] again and again: each call looks at the world, does at most one side effect and says when to
//! be called next. First try, retry, restart and upgrade are the same code path.
//!
//! Invariants: at most one live operation per resource; the only transaction a step can open is fenced by its lease,
//! so a worker that lost its lease writes nothing; nothing waits without a deadline.

mod cx;
mod enqueue;
pub mod feed;
mod lease;
mod operation;
mod reconcile;
mod steps;
mod worker;

pub use cx::OpCx;
pub use enqueue::{
    EnqueueError, New, enqueue, enqueue_new, enqueue_or_nudge, live, live_in, nudge, nudge_all,
    supersede,
};
pub use operation::{Brief, Operation, OperationId, of_request};
pub use reconcile::{Failure, Next, Reconcile, Reconcilers, StepError};
pub use worker::{Worker, WorkerParts};

use nephos_db::Migration;

/// The table of operations; first in a service's list of migrations.
pub const MIGRATION: Migration = Migration {
    name: "0000_operations",
    sql: include_str!("../migrations/operations.sql"),
};
