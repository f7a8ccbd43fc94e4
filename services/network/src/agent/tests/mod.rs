//! The agent with the real kernel, as root, in a namespace that each test makes for itself and that goes with it.
//!
//! Guests are the test: it holds the other end of each tap, puts frames in and looks at what comes out elsewhere.

pub mod bench;
mod facts;
mod guest_services;
mod limits;
mod restart;
mod routers;
mod simulated;
mod spaces;
mod trunks;
mod two_hosts;
mod whole;
