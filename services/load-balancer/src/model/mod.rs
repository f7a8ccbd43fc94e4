//! What things are: pure rules, no I/O, no clock.

pub mod spec;
