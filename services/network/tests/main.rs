//! The network service as a client sees it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cloud;
mod feeds;
mod networks;
mod ports;
mod security_groups;
