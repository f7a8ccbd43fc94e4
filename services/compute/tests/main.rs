//! Compute as a client sees it, over simulated siblings and simulated hosts.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod amid_detach;
mod block;
mod check;
mod cloud;
mod consoles;
mod crash;
mod evacuate;
mod faults;
mod flavors;
mod groups;
mod guest;
mod host_tokens;
mod hosts;
mod interfaces;
mod live;
mod matrix;
mod passwords;
mod resize;
mod seen;
mod servers;
mod siblings;
mod snapshots;
mod together;
mod versions;
mod volumes;
mod volumes_killed;
mod volumes_moved;
