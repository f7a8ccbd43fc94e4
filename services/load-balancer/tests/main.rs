//! The load balancing service as clients and hosts see it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bad;
mod changes;
mod crash;
mod hosts;
mod kit;
mod life;
mod lists;
mod matrix;
mod network;
mod quotas;
