//! The whole process: what it offers, and a cloud of simulated hosts in it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod compat;
