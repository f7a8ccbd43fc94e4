//! The orchestration service as clients see it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod crash;
mod groups;
mod hooks;
mod kit;
mod matrix;
mod refusals;
mod siblings;
mod stacks;
mod things;
mod updates;
mod volumes;
