//! The network service as a client sees it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cloud;
mod feeds;
mod matrix;
mod networks;
mod pools;
mod ports;
mod routers;
mod security_groups;
