//! Octavia v2: load balancers, listeners, pools, members, health monitors.
//!
//! Rooms: `model` (what things are), `agent` and `driver` (what runs on a host: one haproxy per load balancer, in the
//! network namespace of its port).

pub mod agent;
mod driver;
pub mod model;
