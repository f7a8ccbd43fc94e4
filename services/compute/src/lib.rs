//! Nephos compute.

pub mod model;
