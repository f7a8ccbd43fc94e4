//! The block storage service as clients see it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod attachments;
mod backups;
mod bad;
mod chains;
mod check;
mod crash;
mod encryption;
mod groups;
mod kit;
mod lists;
mod matrix;
mod objects;
mod qos;
mod quotas;
mod retypes;
mod reverts;
mod snapshots;
mod transfers;
mod types;
mod uploads;
mod volumes;
