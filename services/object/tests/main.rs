//! The object service as clients see it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod access;
mod accounts;
mod bad;
mod containers;
mod crash;
mod kit;
mod large;
mod matrix;
mod objects;
mod s3;
mod temp_urls;
mod versions;
