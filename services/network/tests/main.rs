//! The network service as a client sees it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bodies;
mod cloud;
mod crash;
mod feeds;
mod matrix;
mod networks;
mod news;
mod pools;
mod ports;
mod qos;
mod routers;
mod security_groups;
mod together;
mod trunks;
