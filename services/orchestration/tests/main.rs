//! The orchestration service as clients see it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod administrators;
mod balancers;
mod containers;
mod crash;
mod directory;
mod going_back;
mod groups;
mod health;
mod hooks;
mod kit;
mod matrix;
mod mending;
mod offload;
mod properties;
mod refusals;
mod routes;
mod server_nics;
mod servers;
mod siblings;
mod signals;
mod stacks;
mod stand_in_balancers;
mod stand_in_directory;
mod stand_in_images;
mod stand_ins;
mod things;
mod together;
mod types;
mod update_rules;
mod updates;
mod values;
mod volumes;
