//! Identity as its clients see it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests"
)]

mod access;
mod auth;
mod catalog;
mod check;
mod cloud;
mod directory;
mod federation;
mod grants;
mod hanging;
mod hosts;
mod input;
mod keys;
mod limits;
mod passwords;
mod policy;
mod together;
mod trusts;
