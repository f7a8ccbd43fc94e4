//! The image service as clients see it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod check;
mod crash;
mod data;
mod images;
mod imports;
mod kit;
mod lists;
mod matrix;
mod members;
mod metadefs;
