//! The process: configuration, logs, clock, ids, supervised tasks, signals and crash points.
//!
//! Invariant: nothing outside this crate reads the wall clock, makes random ids, spawns a task or reads the environment.
//! That is what lets a test move time, name every task, and kill the process between any two side effects.

pub mod boot;
pub mod clock;
pub mod config;
pub mod crash;
pub mod ids;
pub mod journal;
pub mod logging;
pub mod metrics;
pub mod request;
pub mod shutdown;
pub mod task;
pub mod together;
pub mod wake;

pub use clock::Clock;
pub use shutdown::Shutdown;
pub use task::{Task, finish, spawn, supervise};
pub use together::Together;
pub use wake::{NoWakes, WakeSink};
